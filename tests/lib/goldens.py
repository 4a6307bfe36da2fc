# SPDX-License-Identifier: LGPL-2.1-or-later
"""The guests of our golden files and examples, made fit for the QEMU that is here."""

import pathlib
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET

from releases import base, read_releases

# architectures that QEMU calls otherwise than libvirt
QEMU_NAMES = {'armv7l': 'arm', 'i686': 'i386'}
TOP = pathlib.Path(__file__).resolve().parents[2]
RELEASES = read_releases()
DEFAULT = RELEASES['common']['default']
RELEASE = RELEASES[base()]


def golden_directories(release):
    """(command lines, XML) of a release; one directory or two"""
    names = release['goldens'].split()
    return TOP / names[0], TOP / names[-1]


def emulator_of(text):
    """The emulator that this machine has for a domain, or None"""
    arch = ET.fromstring(text).find('os/type').get('arch')
    return shutil.which(f'qemu-system-{QEMU_NAMES.get(arch, arch)}')


class Adapter:
    """Makes a domain run here without a change of its topology: files and networks become some that
    exist, and what the host would have to lend is replaced by a device that takes the same slot."""

    def __init__(self, directory):
        self.directory = directory
        self.machines = {}

    def machine(self, emulator, wanted):
        """The machine type, or the newest of its family if this QEMU has it no more or not yet"""
        if emulator not in self.machines:
            text = subprocess.run([emulator, '-machine', 'help'], stdout=subprocess.PIPE, text=True, check=True).stdout
            self.machines[emulator] = {line.split()[0] for line in text.splitlines()[1:] if line.strip()}
        family = re.sub(r'-[\d.]+$', '', wanted)
        for name in (wanted, family, family.removeprefix('pc-'), {'pc-i440fx': 'pc'}.get(family)):
            if name in self.machines[emulator]:
                return name
        raise LookupError(f'{emulator} has no machine type like {wanted}')

    def adapt(self, text, name='g'):
        """(the XML, what was replaced)"""
        domain = ET.fromstring(text)
        domain.set('type', 'qemu')
        domain.find('name').text = name
        devices, replaced = domain.find('devices'), []
        emulator = emulator_of(text)
        if devices.find('emulator') is None:
            devices.insert(0, ET.Element('emulator'))
        devices.find('emulator').text = emulator
        kind = domain.find('os/type')
        kind.set('machine', self.machine(emulator, kind.get('machine')))
        for position, device in enumerate(devices):
            if device.tag == 'disk':
                self.disk(device, position)
            elif device.tag == 'interface':
                self.only(device, 'mac', 'model', 'alias', 'address').set('type', 'user')
            elif device.tag == 'hostdev' and device.get('type') == 'pci':
                replaced.append('hostdev')
                devices[position] = self.stand_in(device)
        return ET.tostring(domain, encoding='unicode'), replaced

    @staticmethod
    def only(device, *kept):
        for child in list(device):
            if child.tag not in kept:
                device.remove(child)
        return device

    def disk(self, device, position):
        # each has its own, because QEMU locks what a guest writes to
        path = self.directory / f'disk{position}'
        with open(path, 'wb') as image:
            image.truncate(1 << 20)
        self.only(device, 'target', 'alias', 'address').set('type', 'file')
        device.insert(0, ET.Element('source', file=str(path)))
        device.insert(0, ET.Element('driver', name='qemu', type='raw'))

    @staticmethod
    def stand_in(device):
        other = ET.Element('rng', model='virtio')
        ET.SubElement(other, 'backend', model='random').text = '/dev/urandom'
        address = device.find('address')
        if address is not None:
            other.append(address)
        return other


def goldens():
    """(name, what to define, what the result must be or None) for each guest that the golden files of
    the release have a command line for. For an old QEMU the result itself is defined: this one would
    choose other controllers. Only the default release tells which those are: the name lacks "latest"."""
    inputs, _ = golden_directories(RELEASES[DEFAULT])
    commands, results = golden_directories(RELEASE)
    for args in sorted(commands.glob('pci-topology-*.args')):
        name, _, latest = args.name.removesuffix('.args').partition('.')
        if '-load-' in f'{name}-' or list(commands.glob(f'{name}.*err')):
            # what is read from a definition on disk, and not what anybody gets or may define
            continue
        text = (results / args.with_suffix('.xml').name).read_text()
        written = (inputs / f'{name}.xml').read_text()
        if (inputs / args.name).exists() and latest and '<hostdev' not in written:
            yield name, written, text
        else:
            yield name, text, text
    for path in sorted((TOP / 'examples').glob('*.xml')):
        yield f'examples/{path.name}', path.read_text(), None
