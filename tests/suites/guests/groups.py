# SPDX-License-Identifier: LGPL-2.1-or-later
"""Devices that belong together: the members of a group share a slot, a switch or a host bridge, which nobody else has a
part in. That holds for Linux in the guest, for what comes while it runs, and for what comes to the definition."""

from typing import NamedTuple

import slots
from boots import Booted, have_linux, initial
from lab import AAVMF_VIRT, PC, PSERIES, Q35, RISCV, address, nic, preference, rng, show
from nodes import with_cells, wrong_nodes
from parts import refusal
from topology import Guest, changed, changed_topology, mingled, moved, shared, unless

# the groups by their names: what their members share, whose aliases are the name of the group and a letter
SHARE = {'slot': 'slot', 'cold': 'slot', 'switch': 'switch', 'root': 'root'}
# what the places of all members have in common, and those of no other device
HEADS = {'slot': lambda place: (*place[:-1], place[-1][:1]), 'switch': lambda place: place[:-2], 'root': lambda place: place[:1]}
OCCUPIED, NO_PORTS, NO_CONTROLLERS = 'which is occupied', 'downstream ports cannot be added', 'PCI controllers cannot be added'
NO_HOTPLUG = 'do not support hotplug'


class Row(NamedTuple):
    machine: object
    firmware: str
    groups: dict   # name -> attributes of the preference
    slots: str     # a preference for devices in no group
    live: list     # what is attached to the running guest, and what the refusal says


def group(name, **more):
    return preference('pciGroup', name, share=SHARE[name], **more)


def member(name, model='rng'):
    """A member of the group that NAME begins with"""
    place = address(hints=f"group='{group_of(f'ua-{name}')}'" + (" hotpluggable='no'" if name.startswith('cold') else ''))
    return rng(name, place) if model == 'rng' else nic(name, model, place, mac=ord(name[4]))


def group_of(alias):
    """The group of a device, or None"""
    return next((name for name in SHARE if alias.startswith(f'ua-{name}')), None)


def other_model(machine):
    """Of a network interface, and its driver: what shares a slot need not be alike"""
    return 'e1000e' if machine.express else 'e1000'


def cold(row):
    """The devices of a guest that boots: two members of each group, each behind a stranger. Those near the memory have the
    node at the end, for wrong_nodes()."""
    near = {name: f'-{given["node"]}' if 'node' in given else '' for name, given in row.groups.items()}
    return ''.join(rng(f'other{letter}') + ''.join(member(f'{name}{letter}{end}', model if name == 'slot' else 'rng') for name, end in near.items())
                   for letter, model in (('a', 'rng'), ('b', other_model(row.machine))))


def rows():
    express = [(member('rootc-1'), None), (member('rootd-1'), NO_CONTROLLERS), (rng('other2'), None), (rng('other3'), 'pcieHotplugSlots'),
               (member('switchc'), None), (member('switchd'), None), (member('switche'), NO_PORTS), (member('slotc'), OCCUPIED)]
    for machine, firmware in ((Q35, 'SeaBIOS'), (AAVMF_VIRT, 'AAVMF')):
        yield Row(machine, firmware, {'slot': {}, 'cold': {}, 'switch': {'spare': 2}, 'root': {'spare': 1, 'node': 1}},
                  preference('pcieHotplugSlots', 1), express)
    conventional = [(member('slotc'), OCCUPIED), (rng('other2'), None)]
    # there an expander bus has no slot that can hotplug
    yield Row(PC, 'SeaBIOS', {'slot': {}, 'cold': {}, 'root': {'node': 1}}, preference('pciHotplugSlots', 1),
              [*conventional, (member('rootc-1'), NO_HOTPLUG)])
    yield Row(PSERIES, 'SLOF', {'slot': {}, 'root': {'spare': 1, 'node': 1}}, '', [*conventional, (member('rootc-1'), None)])


# -- Linux in the guest ------------------------------------------------------------------------------------

def apart(where):
    """Faults: members of a group are not in one place, or a stranger is there. WHERE: what seen() says"""
    faults = []
    # the bridge in an expander bus of pc is not in the XML
    bridges = {place[:-1] for place in where.values()}
    for name, share in SHARE.items():
        members = {device for device in where if group_of(device) == name}
        heads = {HEADS[share](where[device]) for device in members}
        there = {device for device, place in where.items() if HEADS[share](place) in heads and place not in bridges and not device.startswith('pci.')}
        faults += unless(len(heads) < 2, f'group {name} is in {len(heads)} places')
        faults += unless(there == members, f'{", ".join(sorted(there - members))} is where group {name} is')
        own = {'switch': heads & set(where.values()), 'root': heads - {('root 0',)}}.get(share, heads)
        faults += unless(own == heads, f'group {name} has no {share} of its own')
    return faults


def seen(guest):
    """alias -> place of all that Linux sees; what it should not see has no alias"""
    names = {place: name for name, place in guest.expected().items()}
    return {names.get(place, show(place)): place for place in guest.listing().places}


def wrong_drivers(guest, row):
    """Faults: Linux has no driver for a device, or another than its own"""
    drivers = guest.listing().drivers
    found = {name: drivers.get(place) for name, place in seen(guest).items() if name.startswith('ua-')}
    wanted = {'ua-slotb': other_model(row.machine)}
    return [f'{name} has driver {driver}' for name, driver in found.items() if driver != wanted.get(name, 'virtio-pci')]


def free_ports(guest, name):
    """How many ports Linux sees that are like those of a group, and lead to nothing"""
    where = seen(guest)
    above = next(place[:-2] for device, place in where.items() if group_of(device) == name)
    bridges = {place[:-1] for place in where.values()}
    return sum(place[:-1] == above and place not in bridges for place in where.values())


def boots(guest, row, initrd):
    lab = guest.lab
    prefs = row.slots + ''.join(group(name, **given) for name, given in row.groups.items())
    lab.define('g', with_cells(guest.xml(initrd, cold(row), prefs)))
    guest.boot()
    faults = look(guest, row, 'after the boot')
    spares = {name: given['spare'] for name, given in row.groups.items() if 'spare' in given and row.machine.express}
    faults += [f'{name}: Linux sees {free_ports(guest, name)} spare ports' for name, number in spares.items() if free_ports(guest, name) != number]
    faults += attach_all(lab, row.live)
    faults += look(guest, row, 'after the attach')
    return faults + [f'{name}: Linux sees spare ports that are to be in use' for name in spares if free_ports(guest, name)]


def look(guest, row, what):
    guest.wait(lambda: guest.differs() or wrong_nodes(guest) or wrong_drivers(guest, row), what, 180)
    where = seen(guest)
    found = {name: sorted(place[-1][1] for device, place in where.items() if group_of(device) == name)
             for name in row.groups if SHARE[name] == 'slot'}
    return apart(where) + [f'Linux sees functions {functions} of group {name}' for name, functions in found.items() if functions != [0, 1]]


# -- without Linux ---------------------------------------------------------------------------------------------

def misgrouped(guest):
    """Faults of the XML: a member is in no group, or not where its group is"""
    written = {key: given['group'] for key, given in guest.hints().items() if 'group' in given}
    wanted = {key: group_of(key) for key in guest.devices if group_of(key)}
    return unless(written == wanted, f'the groups are {written}, and should be {wanted}') + mingled(guest) + shared(guest)


def attach_all(lab, devices):
    """Attach to the running guest what is not to be refused. Faults, also if controllers came or a device moved"""
    before = Guest(lab.dump('g', live=True))
    faults = []
    for device, reason in devices:
        ok, text = lab.attach('g', device, '--live')
        if reason is None:
            faults += unless(ok, text.strip())
        elif ok:
            faults.append(f'it was taken, and should be refused with "{reason}": {device.strip()}')
        else:
            faults += unless(reason in text, f'refused without "{reason}": {text.strip()}') if reason == OCCUPIED else refusal(text, reason)
    after = Guest(lab.dump('g', live=True))
    faults += unless(len(after.devices) == len(before.devices) + sum(reason is None for _, reason in devices), f'it has {after.devices.keys()}')
    return faults + changed_topology(before, after) + misgrouped(after) + lab.misplaced('g')


class Stored:
    """The definition of a guest, to which devices come and from which they go"""

    def __init__(self, lab, text):
        self.lab = lab
        self.text = lab.define('g', text)

    def places(self):
        return Guest(self.text).pci_addresses()

    def functions(self, name):
        """Of the members of a group"""
        return sorted(place[3] for device, place in self.places().items() if group_of(device) == name)

    def change(self, command):
        """Faults: the command failed, or a device moved, or is where it does not belong"""
        before = Guest(self.text)
        ok, said = self.lab.run(f'{command} --config')
        self.text = self.lab.dump('g')
        after = Guest(self.text)
        return unless(ok, said.strip()) + moved(before, after) + misgrouped(after)

    def attach(self, device):
        return self.change(f'attach-device g {self.lab.file(device)}')

    def detach(self, name):
        return self.change(f'detach-device-alias g ua-{name}')

    def refuses(self, command, reason):
        """Faults: it was done, or refused for another reason, or has changed something"""
        ok, said = self.lab.run(f'{command} --config')
        return unless(not ok and reason in said, f'not refused with "{reason}": {said.strip()}') + changed(self.text, self.lab.dump('g'))


def stored_slot(bench, machine, name):
    """A member more becomes the next function, function 0 goes last, and only a member fills a hole"""
    with bench.point('groups', machine, f'attach-device --config and detach-device --config, group {name}') as faults, bench.lab() as lab:
        stored = Stored(lab, machine.domain('g', member(f'{name}a') + rng('other0') + member(f'{name}b'), group(name)))
        on_root = stored.places()[f'ua-{name}a'][1] == 0
        faults += unless(on_root == (name == 'cold' or not machine.express), f'it is {"" if on_root else "not "}on the root bus')
        faults += stored.attach(rng('other1')) + stored.attach(member(f'{name}c', 'virtio'))
        faults += unless(stored.functions(name) == [0, 1, 2], f'functions {stored.functions(name)} are in use')
        faults += stored.refuses(f'detach-device-alias g ua-{name}a', 'cannot be detached before those that share the slot')
        hole = stored.places()[f'ua-{name}b']
        faults += stored.detach(f'{name}b') + stored.attach(rng('other2')) + stored.attach(member(f'{name}d'))
        faults += unless(stored.places()[f'ua-{name}d'] == hole, f'the hole is not filled: {stored.functions(name)}')
        for letter in 'efghi':
            faults += stored.attach(member(name + letter))
        faults += unless(stored.functions(name) == list(range(8)), f'functions {stored.functions(name)} are in use')
        faults += stored.refuses(f'attach-device g {lab.file(member(f"{name}j"))}', 'has to be a function of the slot of group')
        for letter in 'cdefghia':
            faults += stored.detach(name + letter)


def stored_buses(bench, name):
    """A member more has a port of the group, and as many remain free for the next; nobody else gets one"""
    with bench.point('groups', Q35, f'attach-device --config and detach-device --config, group {name}') as faults, bench.lab() as lab:
        stored = Stored(lab, Q35.domain('g', member(f'{name}a') + rng('other0') + member(f'{name}b'), group(name, spare=1)))

        def has_free(number, when):
            found = slots.spares(Guest(stored.text))[name][1]
            return unless(found == number, f'{found} ports are free {when}')

        faults += has_free(1, 'at first')
        faults += stored.attach(member(f'{name}c')) + has_free(1, 'with a third member')
        faults += stored.attach(rng('other1')) + has_free(1, 'with a stranger')
        hole, before = stored.places()[f'ua-{name}b'], Guest(stored.text)
        faults += stored.detach(f'{name}b') + has_free(2, 'with a hole') + changed_topology(before, Guest(stored.text))
        faults += stored.attach(rng('other2')) + has_free(2, 'with a hole and another stranger')
        faults += stored.attach(member(f'{name}d')) + has_free(1, 'when the hole is filled')
        faults += unless(stored.places()[f'ua-{name}d'] == hole, f'the hole is not filled: {stored.places()}')


def live(bench):
    """What a running guest takes and refuses; there is no Linux in it"""
    one, two = preference('pcieHotplugSlots', 1), preference('pcieHotplugSlots', 2)
    # a free slot of nobody is none for a member, and a spare of the group none for a stranger
    rows_of = [row for name, reason in (('switch', NO_PORTS), ('root', NO_CONTROLLERS)) for row in (
        (f'group {name} without spares', group(name) + one, member(f'{name}a'), [(member(f'{name}b'), reason), (rng('other0'), None)]),
        (f'group {name} with a spare', group(name, spare=1) + preference('pcieHotplugSlots', 0), member(f'{name}a'),
         [(rng('other0'), 'pcieHotplugSlots'), (member(f'{name}b'), None), (member(f'{name}c'), reason)]))]
    for what, prefs, cold_devices, devices in (
            *rows_of,
            ('group slot with a member', group('slot') + one, member('slota'), [(member('slotb'), OCCUPIED), (rng('other0'), None)]),
            ('group slot without members', group('slot') + two, '', [(member('slota'), None), (member('slotb'), OCCUPIED), (rng('other0'), None)])):
        with bench.point('groups', Q35, f'attach-device --live, {what}') as faults, bench.lab() as lab:
            lab.define('g', Q35.domain('g', cold_devices, prefs))
            lab.must('start g --paused')
            faults += attach_all(lab, devices)


def starts(bench, machine):
    with bench.point('groups', machine, 'two devices that share a slot start') as faults, bench.lab() as lab:
        stored = Stored(lab, machine.domain('g', member('slota') + rng('other0') + member('slotb'), group('slot')))
        faults += misgrouped(Guest(stored.text)) + unless(stored.functions('slot') == [0, 1], f'the functions are {stored.functions("slot")}')
        lab.must('start g --paused')
        faults += lab.misplaced('g')


def groups(bench):
    initrds = {}
    for row in rows():
        if not bench.have(row.machine, 'groups') or not have_linux(bench, row.machine, 'groups'):
            continue
        with bench.point('groups', row.machine, f'Linux sees {", ".join(row.groups)}, and what comes to them') as faults, \
                bench.lab(patience=300) as lab:
            arch = row.machine.arch
            if arch not in initrds:
                initrds[arch] = initial(arch, bench.directory)
            faults += boots(Booted(lab, row.machine, firmware=row.firmware), row, initrds[arch])
    if bench.have(RISCV, 'groups'):
        starts(bench, RISCV)
    definition(bench)


def definition(bench):
    for machine, name in ((Q35, 'slot'), (Q35, 'cold'), (PC, 'slot'), (PSERIES, 'slot')):
        if bench.have(machine, 'groups'):
            stored_slot(bench, machine, name)
    if bench.have(Q35, 'groups'):
        for name in ('switch', 'root'):
            stored_buses(bench, name)
        live(bench)
