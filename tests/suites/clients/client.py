# SPDX-License-Identifier: LGPL-2.1-or-later
"""Debian's own programs, which know nothing of the series, talking to a daemon of the build."""

import os
import pathlib
import shlex
import subprocess

import slots
from lab import Broken, nic
from topology import Guest, unless

PACKAGES = ('virtinst', 'guestfish', 'python3-libvirt', 'libsys-virt-perl', 'libvirt-clients', 'libvirt0')
SLOTS = 3
FULL = 'No more available PCI slots'


def versions():
    """package -> version, of those that are installed"""
    text = subprocess.run(['dpkg-query', '-W', '-f', '${db:Status-Status} ${Package} ${Version}\n', *PACKAGES],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    return dict(line.split()[1:] for line in text.splitlines() if line.startswith('installed '))


class Client:
    """Runs programs with a home of their own and without what the caller has set"""

    def __init__(self, daemon):
        self.uri, self.root = daemon.uri, daemon.root
        self.home = daemon.root / 'home'
        self.home.mkdir(exist_ok=True)

    def run(self, *command, patience=600, text=None, **settings):
        """(did it succeed?, its output); TEXT is what it reads"""
        environment = {'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'HOME': str(self.home), 'LC_ALL': 'C.UTF-8', 'TERM': 'dumb',
                       'XDG_RUNTIME_DIR': f'{self.root}/run', 'TMPDIR': str(self.home), **settings}
        try:
            done = subprocess.run([*map(str, command)], cwd=self.root / 'work', env=environment, timeout=patience, text=True, errors='replace',
                                  input=text or '', stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        except subprocess.TimeoutExpired as late:
            raise Broken(f'{shlex.join(map(str, command))} does not end: {(late.stdout or b"")[-500:]}') from None
        return done.returncode == 0, done.stdout

    def must(self, *command, **options):
        ok, output = self.run(*command, **options)
        if not ok:
            raise Broken(f'{shlex.join(map(str, command))}: {output.strip()[-1500:]}')
        return output

    def virt(self, program, *arguments):
        """A program of virtinst"""
        return self.run(program, '--connect', self.uri, *arguments)

    def must_virt(self, program, *arguments):
        return self.must(program, '--connect', self.uri, *arguments)

    def virsh(self, *arguments, **options):
        return self.run('/usr/bin/virsh', '-q', '-c', self.uri, *arguments, **options)


def image(daemon, name):
    path = pathlib.Path(daemon.root / 'work' / f'{name}.qcow2')
    subprocess.run(['qemu-img', 'create', '-q', '-f', 'qcow2', path, '64M'], check=True)
    return path


def takes(daemon, name, wanted, attach, preference='pcieHotplugSlots'):
    """Faults: a running guest does not take WANTED devices, each where QEMU has it, and refuse the next in libvirt's words.
    attach(number) attaches one and returns (did it succeed?, the answer)."""
    faults = []
    for number in range(wanted):
        ok, text = attach(number)
        faults += unless(ok, f'device {number + 1}: {text.strip()}')
    ok, text = attach(wanted)
    faults += unless(not ok, f'it takes more than {wanted}') or unless(FULL in text, text)
    left = slots.promised(Guest(daemon.dump(name, live=True)), preference)
    return faults + unless(left == 0, f'{left} slots are free then') + daemon.misplaced(name)


def new_nic(number):
    return nic(f'new{number}', mac=0x100 + number)


def write(daemon, xml, name='client.xml'):
    path = daemon.root / 'work' / name
    path.write_text(xml)
    return os.fspath(path)
