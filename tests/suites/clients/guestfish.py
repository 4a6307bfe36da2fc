# SPDX-License-Identifier: LGPL-2.1-or-later
"""libguestfs, whose appliance is a domain of the daemon's"""

import re
import subprocess
import xml.etree.ElementTree as ET

import linux
from client import FULL, image, new_nic
from lab import Q35, Broken, models, preferences, until
from slots import free_ports
from topology import Guest, unless

READ = re.compile(r'\bpci_cfg_read ')


def surroundings(daemon):
    """What libguestfs needs: a kernel with its modules, and places to work in"""
    try:
        kernel = linux.kernel('x86_64')
    except linux.Missing as why:
        raise Broken(why) from None
    modules = next((linux.tree('x86_64') / 'lib' / 'modules').iterdir())
    if not (modules / 'modules.dep').exists():
        # the package's installation would do that
        subprocess.run(['/sbin/depmod', '-b', linux.tree('x86_64'), modules.name], check=True)
    directory = daemon.root / 'guestfs'
    directory.mkdir(exist_ok=True)
    return {'SUPERMIN_KERNEL': str(kernel), 'SUPERMIN_KERNEL_VERSION': modules.name, 'SUPERMIN_MODULES': str(modules),
            'LIBGUESTFS_BACKEND': f'libvirt:{daemon.uri}', 'LIBGUESTFS_BACKEND_SETTINGS': 'force_tcg',
            'LIBGUESTFS_CACHEDIR': str(directory), 'LIBGUESTFS_TMPDIR': str(directory)}


def guestfish(bench, daemon, client):
    shown = {}
    settings = {}
    virsh = f'/usr/bin/virsh -q -c {daemon.uri}'
    disk, more = image(daemon, 'first'), image(daemon, 'second')
    with bench.point('guestfish', 'its own machine', 'it reads and writes a disk through the daemon; a SCSI disk that comes while it runs is seen') as faults:
        settings |= surroundings(daemon)
        (daemon.root / 'work' / 'scsi.xml').write_text(
            f"<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{more}'/><target dev='sdc' bus='scsi'/></disk>")
        (daemon.root / 'work' / 'nic.xml').write_text(new_nic(0))
        script = f'''
run
part-disk /dev/sda mbr
mkfs ext2 /dev/sda1
mount /dev/sda1 /
write /kept "kept by the appliance"
cat /kept
!name=$({virsh} list --name | head -n 1); {virsh} dumpxml --inactive $name >live.xml
!name=$({virsh} list --name | head -n 1); {virsh} attach-device $name nic.xml --live >nic.log 2>&1 || true
!name=$({virsh} list --name | head -n 1); {virsh} attach-device $name scsi.xml --live && sleep 5
list-devices
-add-drive {more}
'''
        text = client.must('guestfish', '-a', disk, text=script, **settings)
        faults += unless('kept by the appliance' in text, text)
        faults += unless('/dev/sdc' in text, f'it does not see the disk: {text}')
        # what docs/applications.md says of libguestfs itself
        faults += unless('hotplugging support was removed' in text, f'its own add-drive: {text}')
        shown['xml'] = (daemon.root / 'work' / 'live.xml').read_text()
        shown['nic'] = (daemon.root / 'work' / 'nic.log').read_text()

    with bench.point('guestfish', 'its own machine',
                     'its domain is a pc without ACPI and without a bridge: a NIC is refused in words that say what is missing') as faults:
        domain = ET.fromstring(shown['xml'])
        faults += unless('i440fx' in domain.find('os/type').get('machine'), domain.find('os/type').get('machine'))
        faults += unless(domain.find('features/acpi') is None, 'it has ACPI')
        faults += unless(FULL in shown['nic'] and 'pciHotplugSlots' in shown['nic'], shown['nic'])

    with bench.point('guestfish', Q35, 'its domain on q35: the one spare port of the libguestfs clause, which takes one device and no more') as faults:
        faults += clause(daemon, shown['xml'])

    with bench.point('guestfish', Q35, "its appliance boots with fewer reads of PCI configuration space with hotpluggable='no'") as faults:
        reads = {}
        for prefs in ((), {'hotpluggable': 'no', 'pcieHotplugSlots': 0}):
            reads[bool(prefs)], ports = boot(daemon, shown['xml'], prefs, settings)
            faults += unless((ports == 0) == bool(prefs), f'{ports} root ports with the preferences {prefs}')
        bench.tap.note(f"reads until the appliance's init runs: {reads[False]} without, {reads[True]} with hotpluggable='no'")
        faults += unless(0 < reads[True] < reads[False], f'{reads}')


def on_q35(text, name, prefs=()):
    """The XML of the appliance for q35: what libguestfs wrote, and not what libvirt made of it"""
    domain = ET.fromstring(text)
    domain.find('name').text = name
    for gone in ('uuid', 'features', 'on_crash'):
        if domain.find(gone) is not None:
            domain.remove(domain.find(gone))
    domain.find('os/type').set('machine', 'q35')
    devices = domain.find('devices')
    for device in list(devices):
        added = device.tag == 'controller' and device.get('type') in ('pci', 'virtio-serial')
        if added or device.tag in ('serial', 'channel', 'console', 'input', 'audio'):
            devices.remove(device)
        elif device.find('address') is not None and device.find('address').get('type') == 'pci':
            device.remove(device.find('address'))
    devices.append(ET.fromstring("<channel type='unix'><target type='virtio' name='org.libguestfs.channel.0'/></channel>"))
    if prefs:
        domain.insert(1, ET.fromstring(preferences(prefs)))
    domain.insert(1, ET.fromstring('<features><acpi/></features>'))
    return domain


def without_disks(domain):
    for element in domain.findall('devices/disk'):
        domain.find('devices').remove(element)
    return domain


def clause(daemon, text):
    domain = ET.tostring(without_disks(on_q35(text, 'clause')), encoding='unicode')
    guest = Guest(daemon.define('clause', domain))
    faults = unless(free_ports(guest) == 1, f'{free_ports(guest)} ports are free')
    daemon.must('start clause --paused')
    ok, answer = daemon.attach('clause', new_nic(0), '--live')
    faults += unless(ok, answer) + daemon.misplaced('clause')
    ok, answer = daemon.attach('clause', new_nic(1), '--live')
    faults += unless(not ok, 'it takes two') or unless(FULL in answer, answer)
    daemon.must('destroy clause')
    daemon.must('undefine clause')
    return faults


def boot(daemon, text, prefs, settings, patience=900):
    """(reads of configuration space until init runs, root ports) of the appliance on q35"""
    domain = on_q35(text, 'boot', prefs)
    overlay, trace, console = (daemon.root / 'work' / name for name in ('overlay.qcow2', 'trace', 'console'))
    root = f'{settings["LIBGUESTFS_CACHEDIR"]}/.guestfs-0/appliance.d/root'
    subprocess.run(['qemu-img', 'create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', root, overlay], check=True)
    # libguestfs removes the one that it made
    domain.findall('devices/disk')[1].find('source').set('file', str(overlay))
    domain.find('devices').append(ET.fromstring(f"<serial type='file'><source path='{console}'/></serial>"))
    command = domain.find('.//{*}commandline')
    for argument in ('-icount', 'shift=0,sleep=off', '-trace', 'pci_cfg_read', '-D', trace):
        ET.SubElement(command, command.tag.replace('commandline', 'arg'), value=str(argument))
    for path in (trace, console):
        path.unlink(missing_ok=True)
    guest = Guest(daemon.define('boot', ET.tostring(domain, encoding='unicode')))
    daemon.must('start boot')
    try:
        until(lambda: console.exists() and '/init: ' in console.read_text(errors='replace'), 'the appliance does not come to its init', patience)
        return len(READ.findall(trace.read_text(errors='replace'))), models(guest).get('pcie-root-port', 0)
    finally:
        daemon.must('destroy boot')
        daemon.must('undefine boot')
