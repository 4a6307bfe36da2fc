# SPDX-License-Identifier: LGPL-2.1-or-later
"""The scenarios, part by part."""

import re
import shutil
import signal
import time
import xml.etree.ElementTree as ET

import plans
import slots
from embedded import FLAG_ROOT_HOTPLUG, flags
from lab import (ARM, LONG, PC, PC_NO_ACPI, PSERIES, Q35, Q35_NO_ACPI, RISCV, VIRT, Broken, Daemon, address, disk, empty_disk,
                 misplaced, models, nic, pci, rng)
from topology import Guest, changed, changed_topology, moved, number, shared, unreachable, unless

EMPTY_ROOT = pci('pcie-root', 0)


def self_test(bench):
    """The checks of places can fail."""
    text = ("<domain><devices><controller type='pci' index='0' model='pcie-root'><alias name='pcie.0'/></controller>"
            "<controller type='pci' index='1' model='pcie-root-port'><alias name='pci.1'/>"
            f'{address(0, 1)}</controller>' + rng('a', address(1)) + '</devices></domain>')
    tree = ('bus: main-system-bus\n  type System\n  dev: q35-pcihost, id ""\n    bus: pcie.0\n      type PCIE\n'
            '      dev: pcie-root-port, id "pci.1"\n        addr = 01.0\n        bus: pci.1\n          type PCIE\n'
            '          dev: virtio-rng-pci, id "ua-a"\n            addr = 00.0\n')
    extra = '          dev: virtio-rng-pci, id "ua-b"\n            addr = 00.1\n'
    bench.tap.point('self-test: the place of a device is compared through all bridges',
                    misplaced(text, tree) +
                    unless(misplaced(text, tree.replace('01.0', '01.1')), 'a moved root port is not noticed') +
                    unless(misplaced(text, tree.replace('00.0', '00.1')), 'a moved device is not noticed') +
                    unless(misplaced(text, tree + extra), 'a device that the XML has not is not noticed') +
                    unless(misplaced(text, tree[:tree.index('          dev: virtio')]), 'a missing device is not noticed'))
    bench.tap.point('self-test: a domain without any PCI device is noticed',
                    unless(misplaced('<domain><devices/></domain>', ''), 'not noticed') +
                    misplaced('<domain><devices/></domain>', '', empty=True) +
                    unless(misplaced('<domain><devices/></domain>', tree, empty=True), 'a device of QEMU is not noticed'))
    guest = Guest(text)
    bench.tap.point('self-test: free slots are counted',
                    unless(slots.free_ports(guest) == 0, 'an occupied port is counted') +
                    unless(slots.free_ports(Guest(text.replace("bus='0x01'", "bus='0x00'"))) == 1, 'a free port is not counted'))


# -- a) what is defined starts, and QEMU has all devices where the XML says ----------------------------

def start(bench):
    three = ''.join(pci('pcie-to-pci-bridge', n) for n in (1, 2, 3)) + pci('pcie-root-port', 4) + pci('pcie-root-port', 5)
    guests = [
        (Q35, 'upstream and downstream port without a root port (U4)',
         EMPTY_ROOT + pci('pcie-switch-upstream-port', 1) + pci('pcie-switch-downstream-port', 2) + rng('a') + rng('b')),
        (VIRT, 'upstream and downstream port without a root port (U4)',
         EMPTY_ROOT + pci('pcie-switch-upstream-port', 1) + pci('pcie-switch-downstream-port', 2) + rng('a') + rng('b')),
        (Q35, 'a lone pci-bridge (U5)', pci('pci-bridge', 1) + nic('a', 'e1000') + rng('b')),
        (Q35, 'a lone pcie-to-pci-bridge (U6)', pci('pcie-to-pci-bridge', 1) + nic('a', 'e1000') + rng('b')),
        (Q35, 'three pcie-to-pci-bridges and two root ports', EMPTY_ROOT + three + nic('a', 'rtl8139') + rng('b')),
        (Q35, 'bare root ports (U14)', pci('pcie-root-port') * 3 + rng('a') + rng('b')),
        (VIRT, 'bare root ports (U14)', pci('pcie-root-port') * 3 + rng('a') + rng('b')),
        (Q35, 'four bare downstream ports', pci('pcie-switch-downstream-port') * 4 + rng('a')),
        (VIRT, 'four bare downstream ports', pci('pcie-switch-downstream-port') * 4 + rng('a')),
        (Q35, 'a conventional device given bus 1 slot 2 (U3)', nic('a', 'rtl8139', address(1, 2))),
        (Q35, 'bus 1 slot 2 and free ports (U3)',
         EMPTY_ROOT + nic('a', 'rtl8139', address(1, 2)) + nic('b', 'rtl8139') + rng('c')),
        (Q35, 'ports below two expander buses (U15)',
         EMPTY_ROOT + pci('pcie-expander-bus', 1) + pci('pcie-expander-bus', 2) +
         ''.join(pci('pcie-root-port', port, address(1 + port // 6, 0, port % 3)) for port in range(3, 9)) +
         ''.join(rng(f'r{port}', address(port)) for port in range(3, 9))),
        (Q35_NO_ACPI, 'conventional and PCIe devices', nic('a', 'e1000') + nic('b', 'rtl8139') + rng('c') + rng('d')),
        (PC, 'forty devices', ''.join(rng(n) for n in range(40))),
        (PC_NO_ACPI, 'nested bridges', ''.join(rng(n) for n in range(70))),
        (PSERIES, 'forty devices', ''.join(rng(n) for n in range(40))),
        *((machine, what, devices) for machine in (RISCV, ARM) for what, devices in (
            ('bare root ports (U14)', pci('pcie-root-port') * 3 + rng('a') + rng('b')),
            ('four bare downstream ports', pci('pcie-switch-downstream-port') * 4 + rng('a')),
            ('conventional and PCIe devices', nic('a', 'e1000') + nic('b', 'rtl8139') + rng('c') + rng('d')))),
    ]
    for machine, what, devices in guests:
        if not bench.have(machine, 'start'):
            continue
        with bench.lab() as lab, bench.point('start', machine, what) as faults:
            dump = lab.define('g', machine.domain('g', devices))
            guest = Guest(dump)
            faults += unreachable(guest) + shared(guest)
            given = Guest(machine.domain('g', devices)).addresses()
            faults += [f'{name} was given {where} and has {guest.addresses().get(name)}'
                       for name, where in given.items() if where and guest.addresses().get(name) != where]
            if what.startswith('four bare'):
                count = models(guest)
                faults += unless((count.get('pcie-switch-downstream-port'), count.get('pcie-switch-upstream-port'),
                                  count.get('pcie-root-port')) == (4, 1, 1), f'controllers: {count}')
            if what.startswith('bare root'):
                faults += unless(models(guest) == {'pcie-root': 1, 'pcie-root-port': 3}, f'controllers: {models(guest)}')
            lab.must('start g --paused')
            faults += lab.misplaced('g')
            faults += changed_topology(guest, Guest(lab.dump('g', live=True)))
            if machine.arch == 'x86_64':
                lab.must('resume g')
                faults += lab.query_pci('g')


# -- b) a promise is pluggable -----------------------------------------------------------------------

REFUSED = re.compile(r'^error: (?!internal error)[a-z ]+: No more available PCI slots', re.M)


def refusal(text, *names):
    """Faults of the message about a live attach for which there is no slot"""
    faults = unless(REFUSED.search(text), f'not refused as it should be: {text.strip()}')
    faults += unless('internal error' not in text and 'QEMU command' not in text, f'not libvirt refused: {text.strip()}')
    return faults + [f'the message does not name {name}: {text.strip()}' for name in names if name not in text]


def promise(bench):
    def virtio_nic(n):
        return nic(f'l{n}', 'virtio', mac=n)

    def e1000(n):
        return nic(f'l{n}', 'e1000', mac=n)

    def live_rtl8139(n):
        return nic(f'l{n}', 'rtl8139', mac=n)

    def live_rng(n):
        return rng(f'l{n}')

    rows = [
        # machine, preference, how many, the devices, what they are, whether the guest runs
        (Q35, 'pcieHotplugSlots', 20, live_rng, 'rng', False),
        (Q35, 'pcieHotplugSlots', 20, virtio_nic, 'virtio NICs', True),
        (Q35_NO_ACPI, 'pcieHotplugSlots', 20, live_rng, 'rng', False),
        (VIRT, 'pcieHotplugSlots', 6, live_rng, 'rng', False),
        # so many that switches are needed
        (Q35, 'pcieHotplugSlots', 240, live_rng, 'rng', False),
        (PC, 'pciHotplugSlots', 40, live_rng, 'rng', False),
        (PC, 'pciHotplugSlots', 40, virtio_nic, 'virtio NICs', True),
        (PC, 'pciHotplugSlots', 120, live_rng, 'rng', False),
        (PC_NO_ACPI, 'pciHotplugSlots', 3, live_rng, 'rng', False),
        (PC_NO_ACPI, 'pciHotplugSlots', 3, e1000, 'e1000', True),
        (PC_NO_ACPI, 'pciHotplugSlots', 70, live_rng, 'rng', False),
        (Q35, 'pciHotplugSlots', 4, e1000, 'e1000', False),
        (Q35_NO_ACPI, 'pciHotplugSlots', 4, e1000, 'e1000', False),
        (VIRT, 'pciHotplugSlots', 4, e1000, 'e1000', False),
        # a bridge behind the bridge
        (Q35, 'pciHotplugSlots', 40, e1000, 'e1000', False),
        (Q35, 'pciHotplugSlots', 40, e1000, 'e1000', True),
        (Q35_NO_ACPI, 'pciHotplugSlots', 40, e1000, 'e1000', False),
        (VIRT, 'pciHotplugSlots', 40, e1000, 'e1000', False),
        (PSERIES, 'pciHotplugSlots', 40, live_rng, 'rng', False),
        (PSERIES, 'pciHotplugSlots', 100, e1000, 'e1000', False),
        *((machine, 'pcieHotplugSlots', 6, live_rng, 'rng', False) for machine in (RISCV, ARM)),
        *((machine, 'pciHotplugSlots', 4, e1000, 'e1000', False) for machine in (RISCV, ARM)),
    ]
    if LONG:
        rows += [
            (Q35_NO_ACPI, 'pcieHotplugSlots', 240, live_rng, 'rng', False),
            (VIRT, 'pcieHotplugSlots', 240, live_rng, 'rng', False),
            (Q35, 'pciHotplugSlots', 300, live_rtl8139, 'rtl8139', False),
            (PC, 'pciHotplugSlots', 400, live_rng, 'rng', False),
            (PC_NO_ACPI, 'pciHotplugSlots', 400, live_rng, 'rng', False),
            (PSERIES, 'pciHotplugSlots', 800, live_rng, 'rng', False),
        ]
    for machine, preference, n, device, kind, running in rows:
        if bench.have(machine, 'promise'):
            promise_kept(bench, machine, f'{preference} {n}, {kind}{", running" if running else ""}',
                         machine.domain('g', rng('cold'), {preference: n}), preference, n, device, running)

    off = "<target hotplug='off'/>"
    ports_off = EMPTY_ROOT + ''.join(pci('pcie-root-port', index, target=off) for index in (1, 2, 3))
    rows = [
        # machine, what, devices, preferences (the first is the one that is tried), the devices to attach, plain
        (Q35, 'beside ports with hotplug off', ports_off + rng('cold'), {'pcieHotplugSlots': 3}, live_rng, True),
        (VIRT, 'beside ports with hotplug off', ports_off + rng('cold'), {'pcieHotplugSlots': 3}, live_rng, True),
        (PC, 'beside a root with hotplug off', pci('pci-root', 0, target=off) + rng('cold'), {'pciHotplugSlots': 3}, live_rng, True),
        (PSERIES, 'beside a root with hotplug off', pci('pci-root', 0, target=off) + rng('cold'), {'pciHotplugSlots': 3}, live_rng, True),
        (Q35, 'beside pciHotplugSlots 5', rng('cold'), {'pcieHotplugSlots': 5, 'pciHotplugSlots': 5}, live_rng, True),
        (Q35, 'beside pcieHotplugSlots 5', rng('cold'), {'pciHotplugSlots': 5, 'pcieHotplugSlots': 5}, e1000, True),
        (PC, 'beside 60 devices', ''.join(map(rng, range(60))), {'pciHotplugSlots': 40}, live_rng, True),
        (PC_NO_ACPI, 'beside 60 devices', ''.join(map(rng, range(60))), {'pciHotplugSlots': 40}, live_rng, True),
        (Q35, 'beside 60 e1000', ''.join(nic(n, 'e1000', mac=100 + n) for n in range(60)), {'pciHotplugSlots': 10}, e1000, True),
        (Q35, 'with all that libvirt adds', rng('cold'), {'pcieHotplugSlots': 6}, live_rng, False),
        (PC, 'with all that libvirt adds', rng('cold'), {'pciHotplugSlots': 40}, live_rng, False),
        (PSERIES, 'with all that libvirt adds', rng('cold'), {'pciHotplugSlots': 40}, live_rng, False),
        (Q35, "in a domain of hotpluggable 'no'", rng('cold'), {'pcieHotplugSlots': 5, 'hotpluggable': 'no'}, live_rng, True),
        (PC_NO_ACPI, "in a domain of hotpluggable 'no'", rng('cold'), {'pciHotplugSlots': 5, 'hotpluggable': 'no'}, live_rng, True),
        (Q35, "in a domain of hotpluggable 'yes'", rng('cold'), {'pcieHotplugSlots': 5, 'hotpluggable': 'yes'}, live_rng, True),
        (PC, "in a domain of hotpluggable 'yes'", rng('cold'), {'pciHotplugSlots': 5, 'hotpluggable': 'yes'}, live_rng, False),
        (PC_NO_ACPI, "in a domain of hotpluggable 'yes'", rng('cold'), {'pciHotplugSlots': 5, 'hotpluggable': 'yes'}, live_rng, False),
        (VIRT, "in a domain of hotpluggable 'yes'", rng('cold'), {'pcieHotplugSlots': 5, 'hotpluggable': 'yes'}, live_rng, False),
        (PSERIES, "in a domain of hotpluggable 'yes'", rng('cold'), {'pciHotplugSlots': 40, 'hotpluggable': 'yes'}, live_rng, False),
        (VIRT, 'in a domain of virtio-mmio', rng('cold'), {'pcieHotplugSlots': 3, 'defaultAddressType': 'virtio-mmio'}, live_rng, True),
    ]
    for machine, what, devices, prefs, device, plain in rows:
        if bench.have(machine, 'promise'):
            preference, n = next(iter(prefs.items()))
            promise_kept(bench, machine, f'{preference} {n} {what}', machine.domain('g', devices, prefs, plain), preference, n, device, False)


def not_exactly(n, preference, given, dump):
    """Faults: a definition has not the N free slots that are promised, or more PCI controllers than that takes.
    Ports are added one by one; a bridge brings more slots than were asked for."""
    count = slots.promised(Guest(dump), preference)
    return (unless(count == n if preference == 'pcieHotplugSlots' else count >= n, f'{count} slots are free and {n} are promised') +
            plans.superfluous(Guest(given), Guest(dump)))


def promise_kept(bench, machine, what, xml, preference, n, device, running):
    """The definition has the free slots; each of them takes a device, and the next is refused by libvirt"""
    with bench.lab() as lab, bench.point('promise', machine, what) as faults:
        if machine is PSERIES and "<target hotplug='off'/>" in xml and FLAG_ROOT_HOTPLUG not in flags(bench.cache, machine.arch):
            # requests/phb_hotplug_off has the rest
            ok, text = lab.run(f'define {lab.virsh.write(xml)}')
            faults += unless(not ok and "'hotplug' property on a 'pci-root' device" in text, text.strip())
            return
        dump = lab.define('g', xml)
        before = Guest(dump)
        count = slots.promised(before, preference)
        faults += not_exactly(n, preference, xml, dump)
        if preference == 'pciHotplugSlots' and machine.express:
            # a conventional device takes a PCIe port when there is nothing else
            count += slots.free_ports(before)
        lab.must('start g' + ('' if running else ' --paused'))
        if running:
            faults += lab.query_pci('g')
        taken, text = 0, ''
        while taken <= count + 3:
            ok, text = lab.attach('g', device(taken), '--live')
            if not ok:
                break
            taken += 1
        faults += unless(taken == count, f'{count} free slots took {taken} devices, then: {text.strip()}')
        after = lab.dump('g', live=True)
        faults += refusal(text, preference)
        faults += changed_topology(before, Guest(after)) + shared(Guest(after))
        faults += unless(len(after.split("<alias name='ua-l")) - 1 == taken, 'the XML shows another number of devices')
        faults += lab.misplaced('g')
        # the order of the elements may change when the definition is read again
        faults += [f'stored: {fault}' for fault in changed_topology(before, Guest(lab.dump('g')))]


# -- c) coldplug keeps the promise -------------------------------------------------------------------

def coldplug(bench):
    rows = [
        (Q35, 'pcieHotplugSlots', 5, lambda n: rng(f'c{n}')),
        (Q35, 'pcieHotplugSlots', 0, lambda n: rng(f'c{n}')),
        (Q35, 'pciHotplugSlots', 30, lambda n: nic(f'c{n}', 'e1000', mac=n)),
        (VIRT, 'pcieHotplugSlots', 3, lambda n: rng(f'c{n}')),
        (PC, 'pciHotplugSlots', 27, lambda n: rng(f'c{n}')),
        (PC_NO_ACPI, 'pciHotplugSlots', 31, lambda n: rng(f'c{n}', address(hints="hotpluggable='yes'"))),
        (PSERIES, 'pciHotplugSlots', 30, lambda n: rng(f'c{n}')),
    ]
    for machine, preference, n, device in rows:
        if not bench.have(machine, 'coldplug'):
            continue
        with bench.lab() as lab, bench.point('coldplug', machine, f'{preference} {n} after each of five devices') as faults:
            given = machine.domain('g', rng('first'), {preference: n})
            dump = lab.define('g', given)
            for step in range(6):
                guest = Guest(dump)
                faults += [f'after {step} devices: {fault}' for fault in not_exactly(n, preference, given, dump)]
                faults += shared(guest) + unreachable(guest)
                lab.must(f'define {lab.file(dump)}')
                faults += [f'redefined after {step} devices: {fault}' for fault in changed(dump, lab.dump('g'))]
                if step == 5:
                    break
                given = dump.replace('</devices>', device(step) + '</devices>')
                ok, text = lab.attach('g', device(step), '--config')
                faults += unless(ok, f'device {step}: {text.strip()}')
                dump = lab.dump('g')
                after = Guest(dump)
                faults += moved(guest, after)
                faults += [f'PCI controller {index} is gone' for index in guest.controllers if index not in after.controllers]
                faults += unless(f'ua-c{step}' in after.pci_addresses(), f'device {step} has no address')
            lab.must('start g --paused')
            faults += lab.misplaced('g')

    if bench.have(Q35, 'coldplug'):
        with bench.lab() as lab, bench.point('coldplug', Q35, '--live --config gives both the same address') as faults:
            lab.define('g', Q35.domain('g', rng('first'), {'pcieHotplugSlots': 3}))
            lab.must('start g --paused')
            for step in range(3):
                ok, text = lab.attach('g', rng(f'c{step}'), '--live --config')
                faults += unless(ok, text.strip())
            live, stored = (Guest(lab.dump('g', live=live)).addresses() for live in (True, False))
            faults += [f'{name} is at {where} and will be at {stored.get(name)}'
                       for name, where in live.items() if where != stored.get(name)]
            faults += unless(slots.free_ports(Guest(lab.dump('g'))) == 3, 'the definition has no 3 free ports')
            ok, text = lab.attach('g', rng('c3'), '--live')
            faults += unless(not ok, 'a fourth device was taken') + refusal(text, 'pcieHotplugSlots')


# -- e) bad input ------------------------------------------------------------------------------------

def errors(bench):
    def given(*preferences):
        return '<preferences>' + ''.join(f'<preference {text}/>' for text in preferences) + '</preferences>'

    slots = "name='pcieHotplugSlots'"
    rows = [
        (Q35, "value='-1'", given(f"{slots} value='-1'"), 'pcieHotplugSlots'),
        (Q35, "value='x'", given(f"{slots} value='x'"), 'pcieHotplugSlots'),
        (Q35, "value=''", given(f"{slots} value=''"), 'pcieHotplugSlots'),
        (Q35, "value='3.5'", given(f"{slots} value='3.5'"), 'pcieHotplugSlots'),
        (Q35, 'no value', given(slots), 'pcieHotplugSlots'),
        (Q35, 'no name', given("value='3'"), 'preference'),
        (Q35, 'given twice', given(f"{slots} value='3'", f"{slots} value='3'"), 'pcieHotplugSlots'),
        (Q35, 'two elements', given(f"{slots} value='3'") * 2, 'preferences'),
        (Q35, "value='100000'", given(f"{slots} value='100000'"), 'pcieHotplugSlots'),
        (Q35, "value='4294967296'", given(f"{slots} value='4294967296'"), 'pcieHotplugSlots'),
        (Q35, "pciHotplugSlots 100000", given("name='pciHotplugSlots' value='100000'"), 'pciHotplugSlots'),
        (PC, "pciHotplugSlots 100000", given("name='pciHotplugSlots' value='100000'"), 'pciHotplugSlots'),
        (PSERIES, "pciHotplugSlots 100000", given("name='pciHotplugSlots' value='100000'"), 'pciHotplugSlots'),
        (VIRT, "pcieHotplugSlots 100000", given(f"{slots} value='100000'"), 'pcieHotplugSlots'),
        (Q35, 'an unknown name', given("name='pcieColdplugSlots' value='3'"), 'pcieColdplugSlots'),
        (VIRT, "defaultAddressType 'isa'", given("name='defaultAddressType' value='isa'"), 'defaultAddressType'),
        (Q35, "defaultAddressType 'isa'", given("name='defaultAddressType' value='isa'"), 'defaultAddressType'),
        (Q35, "defaultAddressType 'virtio-mmio'", given("name='defaultAddressType' value='virtio-mmio'"), 'defaultAddressType'),
        (PC, 'pcieHotplugSlots', given(f"{slots} value='1'"), 'pcieHotplugSlots'),
        (PSERIES, 'pcieHotplugSlots', given(f"{slots} value='1'"), 'pcieHotplugSlots'),
        (Q35, "hotpluggable 'maybe'", given("name='hotpluggable' value='maybe'"), 'hotpluggable'),
    ]
    with bench.lab() as lab:
        for machine, what, element, named in rows:
            if not bench.have(machine, 'errors'):
                continue
            with bench.point('errors', machine, f'{what} is refused') as faults:
                xml = machine.domain('g', rng('a')).replace('<devices>', element + '<devices>', 1)
                for command in ('define', 'create'):
                    ok, text = lab.run(f'{command} {lab.file(xml)}')
                    faults += unless(not ok, f'{command} accepts it')
                    faults += unless(ok or named in text, f'{command} does not name {named}: {text.strip()}')
                    faults += unless('internal error' not in text and 'unknown error' not in text, f'{command}: {text.strip()}')
                    exists, _ = lab.run('dominfo g')
                    faults += unless(not exists, f'there is a domain after {command}')
                    if exists:
                        lab.run('destroy g')
                        lab.run('undefine g')
        if Q35.emulator:
            with bench.point('errors', Q35, 'a bad redefinition leaves the old one as it was') as faults:
                good = Q35.domain('g', rng('a'), {'pcieHotplugSlots': 3})
                dump = lab.define('g', good)
                bad = dump.replace("Slots' value='3'", "Slots' value='100000'")
                ok, text = lab.run(f'define {lab.file(bad)}')
                faults += unless(not ok, 'it was accepted') + unless(ok or 'pcieHotplugSlots' in text, text)
                faults += changed(dump, lab.dump('g'))


# -- f) a conventional device takes a free PCIe port ----------------------------------------------------

def any_port(bench):
    for machine in (Q35, Q35_NO_ACPI):
        if not bench.have(machine, 'any-port'):
            continue
        with bench.lab() as lab, bench.point('any-port', machine, 'an rtl8139 attached to a running default guest (U10)') as faults:
            xml = machine.domain('g', nic('first', 'virtio'), plain=False)
            guest = Guest(lab.define('g', xml))
            ports = slots.free_ports(guest)
            faults += unless(ports == 1, f'{ports} free ports in the definition')
            faults += unless(models(guest).keys() == {'pcie-root', 'pcie-root-port'}, f'controllers: {models(guest)}')
            lab.must('start g --paused')
            ok, text = lab.attach('g', nic('live', 'rtl8139', mac=1), '--live')
            faults += unless(ok, text.strip())
            after = Guest(lab.dump('g', live=True))
            faults += changed_topology(guest, after) + lab.misplaced('g')
            where = after.pci_addresses().get('ua-live')
            faults += unless(where and after.controllers[where[1]].get('model') in slots.PORTS, f'it is at {where}')
            ok, text = lab.attach('g', nic('next', 'rtl8139', mac=2), '--live')
            faults += unless(not ok, 'a second one was taken') + refusal(text)


# -- d) slots are added only where the guest can be told (C4) ------------------------------------------

SHORT = (
    # machine, preference, how many, and how many controllers are taken out of the definition
    (Q35, 'pcieHotplugSlots', 4, 3),
    (PC, 'pciHotplugSlots', 40, 1),
    (VIRT, 'pcieHotplugSlots', 3, 2),
    (PSERIES, 'pciHotplugSlots', 40, 1),
)


def shorten(path, controllers):
    """Take the last PCI controllers out of a definition on disk; nothing may be plugged into them."""
    text = path.read_text()
    tree = ET.fromstring(text)
    devices = tree.find('devices')
    there = Guest(text)
    for index in sorted(there.controllers)[-controllers:]:
        if any(bus == index for _, bus, _, _ in there.pci_addresses().values()):
            raise Broken(f'PCI controller {index} is not empty')
        devices.remove(next(device for device in devices if device.tag == 'controller' and
                            device.get('type') == 'pci' and number(device.get('index')) == index))
    path.write_text(ET.tostring(tree, encoding='unicode'))


class Short:
    """A domain "g" whose definition on disk falls short of its promise, and what must stay as it is."""

    def __init__(self, lab, row, devices='', reload=None):
        self.lab = lab
        self.machine, self.preference, self.n, take = row
        full = lab.define('g', self.machine.domain('g', rng('first') + nic('nic', 'virtio', mac=9) + devices,
                                                   {self.preference: self.n}))
        if self.free(full) < self.n:
            raise Broken(f'only {self.free(full)} slots are free in the first place')
        if reload:
            lab.stop()
        else:
            lab.virsh.close()
        shorten(lab.definition('g'), take)
        if reload:
            lab.start()
        self.guest = Guest(lab.dump('g'))
        if self.free(lab.dump('g')) >= self.n:
            raise Broken('the shortened definition has grown when it was loaded, or is not short')

    def free(self, text):
        return slots.promised(Guest(text), self.preference)

    def same(self, live=None, lab=None):
        """Faults: a controller came or went, a device moved, in the definition or the running guest"""
        lab = lab or self.lab
        if live is None:
            return self.same(True, lab) + self.same(False, lab)
        return [f'{"running" if live else "stored"}: {fault}'
                for fault in changed_topology(self.guest, Guest(lab.dump('g', live=live)))]

    def topped_up(self, given, text):
        """Faults: what was there has not stayed where it is, or not just the slots are there that are missing in GIVEN"""
        after = Guest(text)
        return (moved(self.guest, after) + shared(after) + unreachable(after) +
                [f'PCI controller {index} is gone' for index in self.guest.controllers if index not in after.controllers] +
                not_exactly(self.n, self.preference, given, text))


def growth(bench):
    for row in SHORT:
        machine, preference, n, _ = row
        if bench.have(machine, 'growth'):
            growth_paths(bench, row, machine, f'{preference} {n}')
    if bench.have(Q35, 'growth'):
        growth_snapshots(bench, SHORT[0], Q35)


def growth_paths(bench, row, machine, promised):
    def point(path):
        return bench.point('growth', machine, f'{promised}, {path}')

    with bench.lab() as lab:
        with point('create: as many free as promised, start adds none') as faults:
            given = machine.domain('t', rng('first'), {row[1]: row[2]})
            lab.must(f'create {lab.file(given)} --paused')
            faults += not_exactly(row[2], row[1], given, lab.dump('t', live=True))
            faults += lab.misplaced('t')
        lab.run('destroy t')

        with point('start of a definition that keeps it: nothing is added') as faults:
            dump = lab.define('g', machine.domain('g', rng('first'), {row[1]: row[2]}))
            lab.must('start g --paused')
            faults += changed(dump, lab.dump('g'))
            faults += changed_topology(Guest(dump), Guest(lab.dump('g', live=True)))
            lab.must('destroy g')
            faults += changed(dump, lab.dump('g'))
        lab.run('undefine g')

    with bench.lab() as lab:
        short = None
        with point('loading a definition that falls short: as it was') as faults:
            short = Short(lab, row)
            faults += unless('g' in lab.must('list --all --name').split(), 'it is not listed')
        if not short:
            return

        with point('start of one that falls short: it starts as it is') as faults:
            lab.must('start g --paused')
            faults += short.same() + lab.misplaced('g')

        with point('reload of the status: running guest and definition as they were') as faults:
            lab.reopen(['g'])
            faults += short.same() + lab.misplaced('g')
            lab.must('destroy g')
            faults += short.same(False)

        image = lab.root / 'work' / 'image'
        with point('save and restore: as it was') as faults:
            lab.must('start g --paused')
            lab.must(f'save g {image}')
            faults += [f'in the image: {fault}' for fault in
                       changed_topology(short.guest, Guest(lab.must(f'save-image-dumpxml {image}')))]
            lab.must(f'restore {image} --paused')
            faults += short.same() + lab.misplaced('g')
            lab.must('destroy g')
            faults += short.same(False)

        with point('editing a saved image: as it was') as faults:
            text = lab.must(f'save-image-dumpxml {image}')
            lab.must(f'save-image-define {image} {lab.file(text)}')
            lab.must(f'restore {image} --paused')
            faults += short.same() + lab.misplaced('g')
            lab.must('destroy g')

        with point('managed save, reload, start: as it was') as faults:
            lab.must('start g --paused')
            lab.must('managedsave g')
            lab.reopen()
            faults += short.same(False)
            lab.must('start g --paused')
            faults += short.same() + lab.misplaced('g')
            lab.must('destroy g')
            faults += short.same(False)

        with point('update-device --config: nothing is added, the place is kept') as faults:
            text = nic('nic', 'virtio', mac=9).replace('</interface>', "<link state='down'/></interface>")
            lab.must(f'update-device g {lab.file(text)} --config')
            faults += unless("<link state='down'/>" in lab.dump('g'), 'there was no update')
            faults += short.same(False)

        with point('other changes of the definition: nothing is added') as faults:
            for command in ('setmaxmem g 131072 --config', 'setmem g 131072 --config', 'desc g --config --title named',
                            'setvcpus g 1 --config', 'autostart g', 'autostart g --disable'):
                lab.must(command)
                faults += [f'{command}: {fault}' for fault in short.same(False)]
            lab.must('domrename g h')
            faults += [f'domrename: {fault}' for fault in changed_topology(short.guest, Guest(lab.dump('h')))]
            lab.must('domrename h g')
            lab.reopen()
            faults += short.same(False)

        with point('detach-device --config: nothing is added') as faults:
            lab.must(f'detach-device g {lab.file(nic("nic", "virtio", mac=9))} --config')
            after = Guest(lab.dump('g'))
            faults += unless('ua-nic' not in after.devices, 'it is still there')
            faults += unless(after.controllers.keys() == short.guest.controllers.keys(), f'controllers: {models(after)}')
            faults += moved(short.guest, after)
            lab.reopen()
            faults += changed_topology(after, Guest(lab.dump('g')))
            short.guest = after

        with point('attach-device --config: tops up, nothing moves') as faults:
            given = lab.dump('g').replace('</devices>', rng('cold') + '</devices>')
            ok, text = lab.attach('g', rng('cold'), '--config')
            faults += unless(ok, text)
            faults += short.topped_up(given, lab.dump('g'))

    with bench.lab() as lab, point('define of what dumpxml printed: tops up, nothing moves') as faults:
        short = Short(lab, row)
        given = lab.dump('g')
        dump = lab.define('g', given)
        faults += short.topped_up(given, dump)
        faults += [f'defined again: {fault}' for fault in changed(dump, lab.define('g', dump))]


def growth_snapshots(bench, row, machine):
    def point(path):
        return bench.point('growth', machine, f'{row[1]} {row[2]}, {path}')

    if not shutil.which('qemu-img'):
        bench.tap.skip(f'growth: {machine} × snapshots', 'no qemu-img')
        return
    with bench.lab() as lab:
        image = empty_disk(lab)
        kept = live_snapshot(bench, lab.root / 'work')
        short = None
        with point('snapshot of an inactive definition that falls short') as faults:
            short = Short(lab, row, disk(image, 'disk'))
            lab.must('snapshot-create-as g off')
            faults += short.same(False)
            faults += changed_topology(short.guest, Guest(snapshot_domain(lab.must('snapshot-dumpxml g off'))))
        if not short:
            return

        with point('snapshot of the running guest') as faults:
            lab.must('start g --paused')
            lab.must(f'snapshot-create-as g live {kept}')
            faults += short.same()

        with point('revert of the running guest to its live snapshot') as faults:
            lab.must('snapshot-revert g live')
            lab.wait_for('g', 'paused')
            faults += short.same() + lab.misplaced('g')

        with point('revert of the running guest to the inactive snapshot') as faults:
            lab.must('snapshot-revert g off')
            lab.wait_for('g', 'shut off')
            faults += short.same(False)

        with point('reload, then revert to the live snapshot starts it as it was') as faults:
            lab.reopen()
            lab.must('snapshot-revert g live')
            lab.wait_for('g', 'paused')
            faults += short.same() + lab.misplaced('g')
            lab.must('destroy g')
            faults += short.same(False)

        with point('revert after the definition has grown: what was saved comes back') as faults:
            ok, text = lab.attach('g', rng('cold'), '--config')
            faults += unless(ok, text)
            grown = Guest(lab.dump('g'))
            faults += unless(len(grown.controllers) > len(short.guest.controllers), 'it has not grown')
            lab.must('snapshot-revert g off')
            faults += short.same(False)
            lab.attach('g', rng('cold'), '--config')
            lab.must('snapshot-revert g live')
            lab.wait_for('g', 'paused')
            faults += short.same() + lab.misplaced('g')


def live_snapshot(bench, directory):
    """Options for a snapshot of a running guest to which it can go back"""
    if bench.loads_internal_snapshots():
        return ''
    bench.tap.note('snapshots of the running guest are external: internal ones cannot be loaded, with or without the series')
    return f'--memspec {directory}/memory --diskspec vda,file={directory}/overlay.qcow2'


def snapshot_domain(text):
    """The domain in a snapshot's XML"""
    return ET.tostring(ET.fromstring(text).find('domain'), encoding='unicode')


def daemon(bench):
    """The same with real daemons"""
    if not bench.have(Q35, 'daemon'):
        return
    why = Daemon.missing()
    if why:
        bench.tap.skip('daemon: virtqemud', why)
        return

    def point(path):
        return bench.point('daemon', Q35, f'{row[1]} {row[2]}, {path}')

    row = SHORT[0]
    with bench.daemon(1) as one:
        short = None
        with point('start of a definition that falls short') as faults:
            short = Short(one, row, reload=True)
            one.must('start g --paused')
            faults += short.same() + one.misplaced('g')
        if not short:
            return

        for signum, name in ((signal.SIGTERM, 'an orderly restart'), (signal.SIGKILL, 'a restart after SIGKILL')):
            with point(f'{name} of virtqemud: the guest runs on, nothing is added') as faults:
                before = guest_pid(one)
                one.restart(signum, ['g'])
                faults += unless(guest_pid(one) == before, 'it is another process')
                faults += short.same() + one.misplaced('g')

        with point('saved, restored after a restart') as faults:
            image = one.root / 'work' / 'image'
            one.must(f'save g {image}')
            one.restart(signal.SIGTERM)
            faults += short.same(False)
            one.must(f'restore {image} --paused')
            faults += short.same() + one.misplaced('g')

        with bench.daemon(2) as two:
            with point('incoming migration of the running guest') as faults:
                one.must(f'migrate g {two.uri} tcp://127.0.0.1 --live --persistent')
                two.wait_for('g', 'paused')
                faults += short.same(lab=two) + two.misplaced('g') + short.same(False)
                two.restart(signal.SIGKILL, ['g'])
                faults += short.same(lab=two)

            with point('migrated back, to where it is defined') as faults:
                two.must(f'migrate g {one.uri} tcp://127.0.0.1 --live --undefinesource')
                one.wait_for('g', 'paused')
                faults += short.same() + one.misplaced('g')
                faults += unless(not two.run('dominfo g')[0], 'it is still defined at the source')

            with point('migrated offline') as faults:
                one.must('destroy g')
                one.must(f'migrate g {two.uri} tcp://127.0.0.1 --offline --persistent')
                faults += short.same(False, lab=two)
                two.must('start g --paused')
                faults += short.same(lab=two) + two.misplaced('g')


def guest_pid(lab):
    return sorted(path.read_text() for path in lab.pid_files() if path.name != 'driver.pid')


# -- g) placement that people ask for --------------------------------------------------------------------

def hint(text):
    return address(hints=text)


def model_of_bus(guest, name):
    """Model of the PCI controller that a device is plugged into"""
    where = guest.pci_addresses().get(name)
    return guest.controllers[where[1]].get('model') if where else None


def written_hints(text):
    """What the <address> of each device asks for, beside the address itself"""
    found = {}
    for name, device in Guest(text).devices.items():
        where = device.find('address')
        asked = {key: value for key, value in (where.attrib if where is not None else {}).items()
                 if key in ('hotpluggable', 'busHint', 'preferredConnection')}
        if asked:
            found[name] = asked
    return found


def hints(bench):
    downstream = hint("preferredConnection='pcie-switch-downstream-port'")
    cold = hint("hotpluggable='no'")
    appliance = ("<controller type='scsi' model='virtio-scsi'/><controller type='virtio-serial'/>" + rng('a') + nic('b'))
    switch = {'pcie-root': 1, 'pcie-root-port': 1, 'pcie-switch-upstream-port': 1}
    no_ports = {'pcieHotplugSlots': 0}
    accepted = [
        # machine, what, devices, preferences, controllers or None, name -> model of its bus
        (Q35, 'three devices in downstream ports', ''.join(rng(n, downstream) for n in 'abc'), no_ports,
         {**switch, 'pcie-switch-downstream-port': 3}, dict.fromkeys('abc', 'pcie-switch-downstream-port')),
        (VIRT, 'three devices in downstream ports', ''.join(rng(n, downstream) for n in 'abc'), no_ports,
         {**switch, 'pcie-switch-downstream-port': 3}, dict.fromkeys('abc', 'pcie-switch-downstream-port')),
        (Q35, '33 devices in downstream ports: two upstream ports', ''.join(rng(n, downstream) for n in range(33)), no_ports,
         {'pcie-root': 1, 'pcie-root-port': 2, 'pcie-switch-upstream-port': 2, 'pcie-switch-downstream-port': 33}, {}),
        (Q35, "hotpluggable='no'", rng('a', cold), {}, {'pcie-root': 1}, {'a': 'pcie-root'}),
        (VIRT, "hotpluggable='no'", rng('a', cold), {}, {'pcie-root': 1}, {'a': 'pcie-root'}),
        (Q35, "hotpluggable='no' of a conventional device", nic('a', 'rtl8139', cold), {}, {'pcie-root': 1}, {'a': 'pcie-root'}),
        (PC, "hotpluggable='no'", rng('a', cold), {}, {'pci-root': 1}, {'a': 'pci-root'}),
        (PSERIES, "hotpluggable='no'", rng('a', cold), {}, {'pci-root': 1}, {'a': 'pci-root'}),
        (Q35, "hotpluggable='yes'", rng('a', hint("hotpluggable='yes'")), no_ports, None, {'a': 'pcie-root-port'}),
        (Q35, "hotpluggable='yes' in a domain of 'no'", rng('a', hint("hotpluggable='yes'")) + rng('b'),
         {'hotpluggable': 'no', **no_ports}, None, {'a': 'pcie-root-port', 'b': 'pcie-root'}),
        (PC_NO_ACPI, "hotpluggable='yes'", rng('a', hint("hotpluggable='yes'")) + rng('b'), {}, None,
         {'a': 'pci-bridge', 'b': 'pci-root'}),
        (Q35, "busHint='pcie' of an rtl8139", nic('a', 'rtl8139', hint("busHint='pcie'")), no_ports,
         {'pcie-root': 1, 'pcie-root-port': 1}, {'a': 'pcie-root-port'}),
        (VIRT, "busHint='pcie' of an rtl8139", nic('a', 'rtl8139', hint("busHint='pcie'")), no_ports,
         {'pcie-root': 1, 'pcie-root-port': 1}, {'a': 'pcie-root-port'}),
        (Q35, "busHint='pci' of a virtio device", rng('a', hint("busHint='pci'")), no_ports, None, {'a': 'pcie-to-pci-bridge'}),
        (PC, "busHint='pci'", rng('a', hint("busHint='pci'")), {}, None, {'a': 'pci-root'}),
        *((Q35, f'preferredConnection {model}', rng('a', hint(f"preferredConnection='{model}'")), no_ports, None, {'a': model})
          for model in ('pcie-root', 'pcie-root-port', 'pcie-to-pci-bridge', 'dmi-to-pci-bridge', 'pci-bridge')),
        (PC, 'preferredConnection pci-bridge', rng('a', hint("preferredConnection='pci-bridge'")), {}, None, {'a': 'pci-bridge'}),
        (PC, 'preferredConnection pci-root', rng('a', hint("preferredConnection='pci-root'")), {}, {'pci-root': 1}, {'a': 'pci-root'}),
        (PSERIES, 'preferredConnection pci-bridge', rng('a', hint("preferredConnection='pci-bridge'")), {}, None, {'a': 'pci-bridge'}),
        (PC, 'preferredConnection a given pci-expander-bus', pci('pci-root', 0) + pci('pci-expander-bus', 1, target="<target busNr='200'/>") +
         rng('a', hint("preferredConnection='pci-expander-bus'")), {}, None, {'a': 'pci-expander-bus'}),
        (Q35, 'an appliance', appliance, {'hotpluggable': 'no', **no_ports}, {'pcie-root': 1}, {'a': 'pcie-root', 'b': 'pcie-root'}),
        (VIRT, 'an appliance', appliance, {'hotpluggable': 'no', **no_ports}, {'pcie-root': 1}, {'a': 'pcie-root', 'b': 'pcie-root'}),
        (Q35, 'a written address that agrees', pci('pcie-root', 0) + pci('pcie-root-port', 1) +
         rng('a', address(1, 0, hints="hotpluggable='yes' busHint='pcie' preferredConnection='pcie-root-port'")), no_ports,
         {'pcie-root': 1, 'pcie-root-port': 1}, {'a': 'pcie-root-port'}),
    ]
    for machine, what, devices, prefs, controllers, buses in accepted:
        if not bench.have(machine, 'hints'):
            continue
        with bench.lab() as lab, bench.point('hints', machine, what) as faults:
            dump = lab.define('g', machine.domain('g', devices, prefs))
            guest = Guest(dump)
            faults += unless(controllers is None or models(guest) == controllers, f'controllers: {models(guest)}')
            faults += [f'{name} is plugged into {model_of_bus(guest, "ua-" + name)}' for name, model in buses.items()
                       if model_of_bus(guest, f'ua-{name}') != model]
            given, kept = written_hints(machine.domain('g', devices, prefs)), written_hints(dump)
            faults += unless(given == kept, f'hints were {given} and are {kept}')
            faults += [f'defined again: {fault}' for fault in changed(dump, lab.define('g', dump))]
            lab.must('start g --paused')
            faults += lab.misplaced('g')

    if bench.have(VIRT, 'hints'):
        with bench.lab() as lab, bench.point('hints', VIRT, "defaultAddressType 'virtio-mmio', but one device with its own type") as faults:
            dump = lab.define('g', VIRT.domain('g', rng('a') + nic('b') + rng('c', "<address type='pci'/>"), {'defaultAddressType': 'virtio-mmio'}))
            types = {name: device.find('address').get('type') for name, device in Guest(dump).devices.items() if name.startswith('ua-')}
            faults += unless(types == {'ua-a': 'virtio-mmio', 'ua-b': 'virtio-mmio', 'ua-c': 'pci'}, f'{types}')
            lab.must('start g --paused')
            faults += lab.misplaced('g')
        with bench.lab() as lab, bench.point('hints', VIRT, "defaultAddressType 'pci', but one device with its own type") as faults:
            dump = lab.define('g', VIRT.domain('g', rng('a') + nic('b') + rng('c', "<address type='virtio-mmio'/>"), {'defaultAddressType': 'pci'}))
            types = {name: device.find('address').get('type') for name, device in Guest(dump).devices.items() if name.startswith('ua-')}
            faults += unless(types == {'ua-a': 'pci', 'ua-b': 'pci', 'ua-c': 'virtio-mmio'}, f'{types}')
            lab.must('start g --paused')
            faults += lab.misplaced('g')

    hints_refused(bench, downstream, cold)
    hints_live(bench)


def hints_refused(bench, downstream, cold):
    refused = [
        # machine, what, devices, words of the message
        (PC, 'downstream ports', rng('a', downstream), 'preferredConnection'),
        (PSERIES, 'downstream ports', rng('a', downstream), 'preferredConnection'),
        (Q35, 'a model that is none', rng('a', hint("preferredConnection='bogus'")), 'preferredConnection'),
        (Q35, "preferredConnection='default'", rng('a', hint("preferredConnection='default'")), 'preferredConnection'),
        (Q35, 'a switch upstream port, which holds no device', rng('a', hint("preferredConnection='pcie-switch-upstream-port'")), 'preferredConnection'),
        # only ports and bridges go there
        (Q35, 'a given pcie-expander-bus, which holds no device', EMPTY_ROOT + pci('pcie-expander-bus', 1, target="<target busNr='200'/>") +
         rng('a', hint("preferredConnection='pcie-expander-bus'")), 'preferredConnection'),
        (Q35, 'an expander bus that is not given', rng('a', hint("preferredConnection='pcie-expander-bus'")), 'preferredConnection'),
        (Q35, "hotpluggable='no' with an address in a port", pci('pcie-root', 0) + pci('pcie-root-port', 1) +
         rng('a', address(1, 0, hints="hotpluggable='no'")), "hotpluggable='no'"),
        (Q35, "hotpluggable='yes' with an address on pcie-root", rng('a', address(0, 5, hints="hotpluggable='yes'")), "hotpluggable='yes'"),
        (Q35, "hotpluggable='maybe'", rng('a', hint("hotpluggable='maybe'")), 'hotpluggable'),
        # eight functions of 30 slots
        (Q35, 'a root bus that is full', ''.join(rng(n, cold) for n in range(241)), 'root bus'),
        (PC, "busHint='pcie'", rng('a', hint("busHint='pcie'")), 'busHint'),
        (PSERIES, "busHint='pcie'", rng('a', hint("busHint='pcie'")), 'busHint'),
        (Q35, "busHint='usb'", rng('a', hint("busHint='usb'")), 'busHint'),
        (Q35, "busHint='default'", rng('a', hint("busHint='default'")), 'busHint'),
        (Q35, "busHint='pci' with an address in a port", pci('pcie-root', 0) + pci('pcie-root-port', 1) +
         rng('a', address(1, 0, hints="busHint='pci'")), 'busHint'),
        (Q35, 'an address that contradicts preferredConnection', pci('pcie-root', 0) + pci('pcie-root-port', 1) +
         rng('a', address(1, 0, hints="preferredConnection='pcie-switch-downstream-port'")), 'preferredConnection'),
        (Q35, 'hints that contradict each other', rng('a', hint("busHint='pci' preferredConnection='pcie-root-port'")), 'busHint'),
        (Q35, "hotpluggable='yes' on pcie-root", rng('a', hint("hotpluggable='yes' preferredConnection='pcie-root'")), 'hotpluggable'),
        (Q35, "hotpluggable='no' in a port", rng('a', hint("hotpluggable='no' preferredConnection='pcie-root-port'")), 'root bus'),
        (Q35, 'a hint on a PCI controller', pci('pcie-root', 0) + pci('pcie-root-port', 1, hint("hotpluggable='no'")), 'controller'),
        (Q35, 'a hint in a <source>', "<hostdev mode='subsystem' type='pci'><source><address domain='0' bus='1' slot='0' function='0' "
         "busHint='pcie'/></source></hostdev>", 'busHint'),
        (Q35, 'a hint on a device without PCI', "<serial type='null'><target type='isa-serial' port='0'/>"
         "<address type='isa' iobase='0x3f8' irq='4' hotpluggable='no'/></serial>", 'hotpluggable'),
        (VIRT, 'a hint on a virtio-mmio device', rng('a', "<address type='virtio-mmio' hotpluggable='no'/>"), 'hotpluggable'),
    ]
    with bench.lab() as lab:
        for machine, what, devices, words in refused:
            if not bench.have(machine, 'hints'):
                continue
            with bench.point('hints', machine, f'{what}: refused') as faults:
                ok, text = lab.run(f'define {lab.file(machine.domain("g", devices))}')
                faults += unless(not ok, 'it was accepted')
                faults += unless(ok or words in text, f'the message does not name {words}: {text.strip()}')
                faults += unless('internal error' not in text, text.strip())
                exists, _ = lab.run('dominfo g')
                faults += unless(not exists, 'there is a domain now')
                if exists:
                    lab.must('undefine g')


def hints_live(bench):
    rows = [
        # what, device, model of its bus or None if it must be refused, words of the message
        ("hotpluggable='no'", rng('l', hint("hotpluggable='no'")), None, "hotpluggable='no'"),
        ("hotpluggable='yes'", rng('l', hint("hotpluggable='yes'")), 'pcie-root-port', ''),
        ("busHint='pcie' of an e1000", nic('l', 'e1000', hint("busHint='pcie'"), mac=1), 'pcie-root-port', ''),
        ("busHint='pci' of a virtio device", rng('l', hint("busHint='pci'")), 'pcie-to-pci-bridge', ''),
        ("preferredConnection='pci-bridge', which is not there", rng('l', hint("preferredConnection='pci-bridge'")), None,
         'No more available PCI slots'),
        ("preferredConnection='pcie-root'", rng('l', hint("preferredConnection='pcie-root'")), None, 'No more available PCI slots'),
        ("preferredConnection='pcie-to-pci-bridge'", rng('l', hint("preferredConnection='pcie-to-pci-bridge'")), 'pcie-to-pci-bridge', ''),
        ('an address that contradicts busHint', rng('l', address(1, 0, hints="busHint='pci'")), None, 'busHint'),
        ('an address on pcie-root with hotpluggable yes', rng('l', address(0, 9, hints="hotpluggable='yes'")), None, 'hotplug'),
        ('an address that contradicts preferredConnection',
         rng('l', address(1, 0, hints="preferredConnection='pcie-switch-downstream-port'")), None, 'preferredConnection'),
        ('a model that is none', rng('l', hint("preferredConnection='bogus'")), None, 'preferredConnection'),
    ]
    if not bench.have(Q35, 'hints'):
        return
    for what, device, model, words in rows:
        with bench.lab() as lab, bench.point('hints', Q35, f'live attach, {what}: {"honoured" if model else "refused"}') as faults:
            # ports are there for it at 1, and a conventional bridge
            given = EMPTY_ROOT + pci('pcie-root-port', 1) + pci('pcie-root-port', 2) + pci('pcie-root-port', 3)
            guest = Guest(lab.define('g', Q35.domain('g', given + pci('pcie-to-pci-bridge', 4, address(3, 0)))))
            lab.must('start g --paused')
            ok, text = lab.attach('g', device, '--live')
            after = Guest(lab.dump('g', live=True))
            faults += changed_topology(guest, after) + lab.misplaced('g')
            if model:
                faults += unless(ok, text.strip())
                faults += unless(model_of_bus(after, 'ua-l') == model, f'it is on {model_of_bus(after, "ua-l")}')
            else:
                faults += unless(not ok, f'it was accepted, on {model_of_bus(after, "ua-l")}')
                faults += unless(ok or words in text, f'the message does not name {words}: {text.strip()}')
                faults += unless('internal error' not in text, text.strip())
                faults += unless('ua-l' not in after.devices, 'it is in the running guest')

    with bench.lab() as lab, bench.point('hints', Q35, "live attach, busHint='pci' without a bridge: refused, though ports are free") as faults:
        lab.define('g', Q35.domain('g', rng('a'), {'pcieHotplugSlots': 2}))
        lab.must('start g --paused')
        ok, text = lab.attach('g', rng('l', hint("busHint='pci'")), '--live')
        faults += unless(not ok, 'it was accepted') + refusal(text, 'pciHotplugSlots')
    with bench.lab() as lab, bench.point('hints', Q35, "live attach in a domain of hotpluggable='no': takes the promised port") as faults:
        lab.define('g', Q35.domain('g', rng('a'), {'pcieHotplugSlots': 2, 'hotpluggable': 'no'}))
        lab.must('start g --paused')
        for n in range(2):
            ok, text = lab.attach('g', rng(f'l{n}'), '--live')
            faults += unless(ok, text.strip())
        ok, text = lab.attach('g', rng('l2'), '--live')
        faults += unless(not ok, 'a third one was accepted') + refusal(text, 'pcieHotplugSlots')
        faults += lab.misplaced('g')


# -- capacity ----------------------------------------------------------------------------------------------

def capacity(bench):
    rows = [
        # machine, devices, how many, whether it starts
        (Q35, 'virtio devices', rng, 250, True),
        (VIRT, 'virtio devices', rng, 252, True),
        (Q35, 'rtl8139', lambda n: nic(n, 'rtl8139', mac=n), 7500, False),
        (PC, 'virtio devices', rng, 7600, False),
        (PSERIES, 'virtio devices', rng, 7700, False),
    ]
    for machine, what, device, n, starts in rows:
        if not bench.have(machine, 'capacity'):
            continue
        with bench.lab(patience=900) as lab, bench.point('capacity', machine, f'{n} {what}') as faults:
            begin = time.monotonic()
            dump = lab.define('g', machine.domain('g', ''.join(map(device, range(n))), memory=256))
            bench.tap.note(f'define: {time.monotonic() - begin:.1f} s')
            guest = Guest(dump)
            placed = [name for name in guest.pci_addresses() if name.startswith('ua-')]
            faults += unless(len(placed) == n, f'{len(placed)} devices have an address')
            faults += shared(guest) + unreachable(guest)
            faults += unless(max(guest.controllers) <= 255, f'highest bus: {max(guest.controllers)}')
            if starts:
                begin = time.monotonic()
                lab.must('start g --paused')
                bench.tap.note(f'start: {time.monotonic() - begin:.1f} s')
                faults += lab.misplaced('g')
