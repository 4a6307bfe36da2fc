# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests that boot a Linux, which has its part in hotplug and says what it finds on its PCI buses."""

import re
import time
import xml.etree.ElementTree as ET
from typing import NamedTuple

import linux
import slots
from lab import LONG, PC, PC_NO_ACPI, PSERIES, Q35, Q35_NO_ACPI, VIRT, Broken, bridges_inside, nic, rng, root_numbers, show, uefi, xml_places
from parts import refusal
from topology import Guest, changed_topology, shared

# TCG cannot do these
PSERIES_FEATURES = "<cfpc value='broken'/><sbbc value='broken'/><ibs value='broken'/>"
CONSOLES = {'x86_64': 'ttyS0', 'aarch64': 'ttyAMA0', 'ppc64': 'hvc0'}
MODULES = ('rpaphp', 'rpadlpar_io', 'virtio_pci', 'virtio_rng', 'virtio_net', 'virtio_blk', 'e1000', 'e1000e', '8139cp')

# Each line of a listing is a device's path below its root bus, its driver if it has one, a BAR that has an
# address: its number, where it starts, and the kernel's flags, or the NUMA node of a device that has one. The listing is written whenever it is not what it was
# before. To look more often takes a third of what the processors do for a guest.
INIT = '''#!/bin/busybox sh
export PATH=/bin:/usr/sbin
for name in $(/bin/busybox --list); do [ -e /bin/$name ] || /bin/busybox ln -s busybox /bin/$name; done
mkdir -p /proc /sys /tmp /var/log /var/lock
mount -t proc proc /proc; mount -t devtmpfs dev /dev
mount -t sysfs sysfs /sys
for module in /modules/*; do insmod $module; done
[ ! -e /proc/ppc64/rtas/error_log ] || /papr &
before=
while :; do
    now=$(ls -l /sys/bus/pci/devices; ls -ld /sys/bus/pci/devices/*/driver 2>/dev/null
          awk 'FNR <= 6 && $1 !~ /^0x0*$/ { print FILENAME, FNR - 1, $1, $3 }' /sys/bus/pci/devices/*/resource
          grep -H '^[0-9]' /sys/bus/pci/devices/*/numa_node)
    if [ "$now" != "$before" ]; then
        before=$now
        echo; echo '[pci'
        echo "$now" | sed -n 's,.*/pci\\([0-9a-f]*:\\),bus \\1,p; s,.*/sys/bus/pci/devices/\\(.*\\)/driver -> .*/,driver \\1 ,p
                                s,^/sys/bus/pci/devices/\\(.*\\)/resource,bar \\1,p
                                s,^/sys/bus/pci/devices/\\(.*\\)/numa_node:,node \\1 ,p'
        echo 'pci]'
    fi
    sleep 1
done
'''

# The kernel leaves it to user space to handle a slot of PAPR: rtas_errd of Debian reads these events
# and calls drmgr in the same way.
PAPR = '''#!/bin/busybox sh
export PATH=/bin:/usr/sbin LD_LIBRARY_PATH=/lib64
while :; do
    event=$(dd if=/proc/ppc64/rtas/error_log bs=4096 count=1 2>/dev/null | od -An -v -tx1 | tr -d ' \\n')
    case $event in *4850*) ;; *) continue ;; esac
    # a section "HP": length, version, subtype, creator, then resource, action, kind of id, id
    hp=${event#*4850}
    hp=${hp:12}
    [ "${hp:0:2}" = 05 ] || continue
    case ${hp:2:2} in 01) action=-a ;; 02) action=-r ;; *) continue ;; esac
    drmgr -c pci $action -s 0x${hp:8:8} -n -V || echo "papr: drmgr $action 0x${hp:8:8}: $?"
done
'''


def initial(arch, directory):
    """The initial file system of a guest"""
    files = {f'modules/{number:02}-{name}': (0o100644, content)
             for number, (name, content) in enumerate(linux.modules(arch, MODULES).items())}
    files['modules'] = (0o040755, b'')
    if arch == 'ppc64':
        tree = linux.tree(arch)
        files['papr'] = (0o100755, PAPR.encode())
        files['usr/sbin/drmgr'] = (0o100755, (tree / 'usr/sbin/drmgr').read_bytes())
        for library in ('ld64.so.2', 'libc.so.6', 'librtas.so.2', 'libnuma.so.1'):
            path = linux.one(tree, f'**/{library}')
            files[f'lib64/{library}'] = (0o100755, path.read_bytes())
    return linux.initial(directory / f'initrd-{arch}', linux.busybox(arch), INIT, files)


# in the flags of a BAR: the kernel has no room for it
UNSET = 0x20000000


class Listing(NamedTuple):
    """What a guest says of its devices, by their places, which are as in xml_places()"""
    places: set
    drivers: dict  # place -> driver
    bars: set      # place and number of each BAR that has an address
    nodes: dict    # place -> NUMA node, of the devices that have one
    numbers: dict  # place -> number of the bus that it is on


class Booted:
    """A running guest with Linux"""

    def __init__(self, lab, machine, patience=300, firmware='SeaBIOS'):
        self.lab, self.machine, self.firmware = lab, machine, firmware
        self.console = lab.root / 'work' / 'console'
        self.patience = patience

    def xml(self, initrd, devices, prefs, memory=256, plain=True, arguments=()):
        """The domain; ARGUMENTS are for QEMU"""
        arch = self.machine.arch
        # what was said before a guest is restored is still to be read then
        serial = f"<serial type='file'><source path='{self.console}' append='on'/></serial>"
        text = self.machine.domain('g', devices + serial, prefs, memory=512 if arch == 'ppc64' else memory, plain=plain,
                                   features=PSERIES_FEATURES if arch == 'ppc64' else '')
        if arguments:
            text = text.replace("<domain ", "<domain xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0' ", 1)
            text = text.replace('</domain>', '<qemu:commandline>' + ''.join(f"<qemu:arg value='{value}'/>" for value in arguments) +
                                '</qemu:commandline></domain>')
        # without QEMU's ACPI tables the firmware would bring some of its own, which are of another machine
        acpi = ' acpi=off' if arch == 'x86_64' and not self.machine.acpi else ''
        # the default of aarch64 virt is a 32-bit processor
        cpu = "<cpu mode='custom' match='exact'><model>cortex-a57</model></cpu>" if arch == 'aarch64' else ''
        loader = uefi(self.lab.root / 'work', self.firmware) if self.firmware in linux.UEFI else ''
        return text.replace('</os>', f'{loader}<kernel>{linux.kernel(arch)}</kernel><initrd>{initrd}</initrd>'
                                     f'<cmdline>console={CONSOLES[arch]} panic=-1 quiet loglevel=0 mitigations=off{acpi}</cmdline></os>{cpu}')

    def text(self):
        return self.console.read_text(errors='replace').replace('\r', '') if self.console.exists() else ''

    def listing(self):
        """The last full Listing, or None if there is none or the guest was about to change; then another
        one follows"""
        blocks = re.findall(r'\[pci\n(.*?)\npci\]', self.text(), re.S)
        if not blocks:
            return None
        where, drivers, bars, nodes = {}, {}, set(), {}
        for line in blocks[-1].splitlines():
            if found := re.fullmatch(r'bus ([0-9a-f]{4}):([0-9a-f]{2})((?:/[0-9a-f:.]{12})+)', line):
                steps = found[3].split('/')[1:]
                where[steps[-1]] = (root_name(int(found[1], 16), int(found[2], 16)), *((int(step[8:10], 16), int(step[11], 16)) for step in steps))
            elif found := re.fullmatch(r'driver ([0-9a-f:.]{12}) (\S+)', line):
                drivers[found[1]] = found[2]
            elif found := re.fullmatch(r'bar ([0-9a-f:.]{12}) (\d) 0x\w+ 0x(\w+)', line):
                if not int(found[3], 16) & UNSET:
                    bars.add((found[1], int(found[2])))
            elif found := re.fullmatch(r'node ([0-9a-f:.]{12}) (\d+)', line):
                nodes[found[1]] = int(found[2])
            else:
                return None
        if not drivers.keys() | nodes.keys() | {name for name, _ in bars} <= where.keys():
            return None
        return Listing(set(where.values()), {where[name]: driver for name, driver in drivers.items()},
                       {(where[name], number) for name, number in bars}, {where[name]: node for name, node in nodes.items()},
                       {path: int(name[5:7], 16) for name, path in where.items()})

    def expected(self):
        """alias -> place as the guest should have it: number of the root, then what xml_places() has"""
        text = self.lab.dump('g', live=True)
        numbers = root_numbers(text)
        bridges = bridges_inside(text)
        return {name: (root_name(phb(path[0]), numbers.get(path[0], 0)), *bridges.get(path[0], ()), *path[1:])
                for name, path in xml_places(text).items()}

    def wait(self, faults, what, patience=60):
        """Wait until FAULTS() has none; Broken with them otherwise"""
        end = time.monotonic() + patience
        while found := faults():
            if time.monotonic() > end:
                raise Broken(f'{what}: {"; ".join(map(str, found[:5]))}; the console ends with: {self.text()[-300:]}')
            time.sleep(0.2)

    def differs(self):
        """Faults: the guest has a device elsewhere than the XML, or not at all, or one more"""
        listed = self.listing()
        if not listed:
            return ['the guest has no listing yet']
        wanted = set(self.expected().values())
        # the chipset is on the root, and not in the XML
        return ([f'the guest has nothing at {show(path)}' for path in sorted(wanted - listed.places, key=str)] +
                [f'the guest has something at {show(path)}' for path in sorted(listed.places - wanted, key=str) if len(path) > 2])

    def boot(self):
        self.lab.must('start g')
        try:
            self.wait(lambda: [] if self.listing() else ['no listing'], 'Linux does not come up', self.patience)
        except Broken as fault:
            # firmware that goes round in circles has another address than a kernel that waits; a guest that is gone has none
            _, registers = self.lab.run('qemu-monitor-command g --hmp "info registers -a"')
            state = re.findall(r'CPU#\d+|\b(?:[RE]IP=|PC=|NIP +)[0-9a-f]+|HLT=\d', registers)
            raise Broken(f'{fault}; the processors: {" ".join(state)}') from fault
        self.wait(self.differs, 'after the boot')


def root_name(domain, number):
    """What listing() calls a root bus by its PCI domain and its number, which only expander buses have"""
    return f'root {domain}:{number:02x}' if number else f'root {domain}'


def phb(name):
    """The PCI domain that Linux has for a root bus: the number of the PHB on pseries, else 0"""
    found = re.fullmatch(r'pci\.(\d+)\.0', name)
    return int(found[1]) if found else 0


# -- every slot that is counted free takes a device, and gives it back ---------------------------------

def hotplug_options(machine):
    """Arguments for QEMU without which the guest is told nothing: on q35, QEMU 6.1 and later switch
    off the ports' own hotplug for the sake of ACPI's, even if there is no ACPI"""
    return ('-global', 'ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off') if machine is Q35_NO_ACPI else ()


def have_linux(bench, machine, what):
    """Whether there is a way to get a kernel; it is a fault if that way fails."""
    if linux.can_get(machine.arch):
        return True
    bench.tap.skip(f'{what}: {machine}', f'no apt to get a kernel for {machine.arch} with')
    return False


def returns(bench):
    """The guest's part: it sees what comes, lets go of what is to go, and the slot can be used again"""
    rows = [
        # machine, preferences, how many devices at most, or None: as many as there are slots
        (Q35, {'pcieHotplugSlots': 6, 'pciHotplugSlots': 3}, None),
        (Q35_NO_ACPI, {'pcieHotplugSlots': 6, 'pciHotplugSlots': 3}, None),
        (PC, {'pciHotplugSlots': 4}, None),
        (PC_NO_ACPI, {'pciHotplugSlots': 4}, None),
        (VIRT, {'pcieHotplugSlots': 6, 'pciHotplugSlots': 3}, None),
        # drmgr takes ten seconds for each
        (PSERIES, {'pciHotplugSlots': 4}, 3),
    ]
    if LONG:
        rows += [(machine, prefs, None) for machine, prefs, most in rows if most]
        rows += [(Q35, {'pcieHotplugSlots': 40}, None), (PC, {'pciHotplugSlots': 100}, None)]
    initrds = {}
    for machine, prefs, most in rows:
        if not bench.have(machine, 'returns') or not have_linux(bench, machine, 'returns'):
            continue
        what = ', '.join(f'{name} {value}' for name, value in prefs.items())
        what += f', {most} slots are filled' if most else ', every slot is filled'
        with bench.point('returns', machine, f'{what}, emptied and used again') as faults, bench.lab(patience=300) as lab:
            if machine.arch not in initrds:
                initrds[machine.arch] = initial(machine.arch, bench.directory)
            faults += comes_and_goes(Booted(lab, machine), initrds[machine.arch], prefs, most)


def leave(guest):
    """Wait until the attached devices are gone. A guest may miss a request, or take a second press of a
    slot's button for "never mind" (PCI Hot-Plug, SHPC and PCI Express alike). When nothing has gone for
    80 seconds a person asks again, and so does this, four times."""
    def left():
        return sorted(name for name in Guest(guest.lab.dump('g', live=True)).devices if name.startswith('ua-l'))

    requests = 4
    while remaining := left():
        try:
            guest.wait(lambda: left() == remaining and remaining, 'still there after the detach', 80)
        except Broken:
            if not requests:
                raise
            requests -= 1
            for name in left():
                guest.lab.run(f'detach-device-alias g {name} --live')


def comes_and_goes(guest, initrd, prefs, most):
    lab, machine = guest.lab, guest.machine
    dump = lab.define('g', guest.xml(initrd, rng('cold'), prefs, arguments=hotplug_options(machine)))
    before = Guest(dump)
    guest.boot()

    express, conventional = slots.count(before).values()
    total = express + conventional
    count = total if most is None else min(total, most)
    # ports first: a conventional device would take one if it had no other slot
    devices = [rng(f'l{n}') if n < express or (not machine.express and n % 2) else nic(f'l{n}', 'e1000', mac=n)
               for n in range(count)]
    faults = []
    for device in devices:
        ok, text = lab.attach('g', device, '--live')
        faults += [] if ok else [text.strip()]
    if count == total:
        ok, text = lab.attach('g', nic('next', 'e1000', mac=200), '--live')
        faults += refusal(text, 'pciHotplugSlots') if not ok else ['one more than there are slots was taken']
    # Linux takes five seconds for the button of each slot (SHPC, PCI Express), drmgr ten
    guest.wait(guest.differs, 'after the attach', 180 + 15 * count)
    places = guest.expected()
    # not all of them: a bridge with 2 MiB of memory has room for the BARs of a few e1000 only
    groups = {}
    for n, device in enumerate(devices):
        groups.setdefault('virtio-pci' if device.startswith('<rng') else 'e1000', []).append(places[f'ua-l{n}'])

    def idle():
        drivers = getattr(guest.listing(), 'drivers', {})
        return [f'no {driver} drives a device' for driver, group in groups.items() if driver not in map(drivers.get, group)]

    guest.wait(idle, 'drivers')
    full = Guest(lab.dump('g', live=True))
    faults += changed_topology(before, full) + shared(full) + lab.misplaced('g')

    # one as people do it, the others without waiting for each
    element = ET.tostring(full.devices['ua-l0'], encoding='unicode')
    lab.must(f'detach-device g {lab.file(element)} --live')
    for n in range(1, count):
        lab.must(f'detach-device-alias g ua-l{n} --live')
    leave(guest)
    guest.wait(guest.differs, 'after the detach', 60)
    faults += changed_topology(before, Guest(lab.dump('g', live=True))) + lab.misplaced('g')

    lab.must(f'attach-device g {lab.file(devices[-1])} --live')
    name = f'ua-l{count - 1}'
    guest.wait(guest.differs, 'after another attach', 120)
    if name not in guest.expected():
        faults.append(f'{name} is not there again')
    faults += changed_topology(before, Guest(lab.dump('g', live=True))) + lab.misplaced('g')
    return faults
