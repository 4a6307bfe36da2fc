# SPDX-License-Identifier: LGPL-2.1-or-later
"""Devices that share the slots of the root bus: Linux has a driver for each, and they leave in an order that works."""

from boots import Booted, have_linux, initial
from lab import PC, PSERIES, Q35, RISCV, VIRT, nic, rng
from topology import Guest, changed, moved, shared, unless

COLD = {'hotpluggable': 'no'}
COUNT = 60


def functions_of(guest):
    """(bus, slot) -> function -> alias, of the devices whose aliases are ours"""
    slots = {}
    for name, (domain, bus, slot, function) in guest.pci_addresses().items():
        if name.startswith('ua-'):
            slots.setdefault((bus, slot), {})[function] = name
    return slots


def shared_slot(guest):
    """function -> alias in the first slot that several devices share, or nothing"""
    return next((slot for slot in functions_of(guest).values() if len(slot) > 1), {})


def drivers_missing(guest):
    listed = guest.listing()
    places = {name: place for name, place in guest.expected().items() if name.startswith('ua-')}
    return [f'{name} at {place} has no driver' for name, place in places.items()
            if not listed or listed.drivers.get(place) != 'virtio-pci']


def has_drivers(bench, machine, initrd):
    with bench.point('functions', machine, f'{COUNT} devices that need not be hotpluggable: Linux drives all') as faults, \
            bench.lab(patience=300) as lab:
        guest = Booted(lab, machine)
        before = Guest(lab.define('g', guest.xml(initrd, ''.join(rng(n) for n in range(COUNT)), COLD)))
        faults += unless({bus for bus, _ in functions_of(before)} == {0}, 'a device is not on the root bus')
        faults += unless(shared_slot(before), 'no slot is shared')
        guest.boot()
        guest.wait(lambda: drivers_missing(guest), 'drivers', 120)
        faults += shared(before) + lab.misplaced('g')
        # QEMU would remove the others of the slot as well
        ok, text = lab.run(f'detach-device-alias g {shared_slot(before)[1]} --live')
        faults += unless(not ok and 'multifunction' in text, f'a function is detached: {text.strip()}')


def starts(bench, machine):
    with bench.point('functions', machine, f'{COUNT} devices that need not be hotpluggable start') as faults, bench.lab() as lab:
        guest = Guest(lab.define('g', machine.domain('g', ''.join(rng(n) for n in range(COUNT)), COLD)))
        faults += unless(shared_slot(guest), 'no slot is shared')
        lab.must('start g --paused')
        faults += shared(guest) + lab.misplaced('g')


def comes_and_goes(bench, machine):
    """In the definition: a device more begins to share, function 0 goes last, a hole is filled, and nobody moves"""
    with bench.point('functions', machine, 'attach-device --config and detach-device --config') as faults, bench.lab() as lab:
        def nics(first, count):
            return ''.join(nic(f'n{n}', mac=n) for n in range(first, first + count))

        def remove(name):
            return lab.run(f'detach-device-alias g {name} --config')

        def is_too_much(count):
            found = shared_slot(Guest(lab.define('g', machine.domain('g', nics(0, count), COLD))))
            lab.must('undefine g')
            return found

        full = next(count for count in range(20, 40) if is_too_much(count + 1))
        before = Guest(lab.define('g', machine.domain('g', nics(0, full), COLD)))
        faults += unless(not shared_slot(before), 'a slot is shared although one is free')
        for n in (full, full + 1):
            lab.must(f'attach-device g {lab.file(nics(n, 1))} --config')
        text = lab.dump('g')
        after = Guest(text)
        faults += moved(before, after) + shared(after)
        slot = shared_slot(after)
        faults += unless(sorted(slot) == [0, 1, 2], f'functions {sorted(slot)} are in use')
        ok, said = remove(slot[0])
        faults += unless(not ok and 'function 0' in said, f'function 0 is detached first: {said.strip()}') + changed(text, lab.dump('g'))
        ok, said = remove(slot[1])
        faults += unless(ok, said.strip())
        lab.must(f'attach-device g {lab.file(nics(full + 2, 1))} --config')
        filled = shared_slot(Guest(lab.dump('g')))
        faults += unless(filled.get(1) == f'ua-n{full + 2}', f'the hole is not filled: {filled}')
        for function in (1, 2, 0):
            ok, said = remove(filled[function])
            faults += unless(ok, said.strip())


def functions(bench):
    initrds = {}
    for machine in (Q35, PC, VIRT, PSERIES):
        if not bench.have(machine, 'functions') or not have_linux(bench, machine, 'functions'):
            continue
        if machine.arch not in initrds:
            initrds[machine.arch] = initial(machine.arch, bench.directory)
        has_drivers(bench, machine, initrds[machine.arch])
    if bench.have(RISCV, 'functions'):
        starts(bench, RISCV)
    definition(bench)


def definition(bench):
    for machine in (Q35, PC, PSERIES):
        if bench.have(machine, 'functions'):
            comes_and_goes(bench, machine)
