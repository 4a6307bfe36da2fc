# SPDX-License-Identifier: LGPL-2.1-or-later
"""Near the memory: Linux says of each device the NUMA node that was asked for, whether it was there at boot or came
later, and of no other device that it has one. Each bus has a number in the range of its expander bus."""

from typing import NamedTuple

from boots import Booted, have_linux, initial
from lab import AAVMF_VIRT, PC, PSERIES, Q35, address, nic, pci, preference, rng
from parts import refusal
from topology import Guest, bus_number, changed_topology, shared

CELLS = "<numa><cell id='0' cpus='0' memory='256' unit='MiB'/><cell id='1' cpus='1' memory='256' unit='MiB'/></numa>"


class Row(NamedTuple):
    machine: object
    firmware: str
    what: str
    prefs: str
    cold: str           # the aliases of devices for which a node is asked end in -0 or -1
    hot: list = ()
    one_more: tuple = ()  # a device that is refused, and what the message says


def near(kind, node, n=''):
    """A device near NODE"""
    hint = address(hints=f"node='{node}'")
    name = f'{kind}{n}-{node}'
    return rng(name, hint) if kind == 'rng' else nic(name, kind, hint, mac=node * 16 + (n or 0))


def rows():
    def slots(name):
        return preference(name, 2, node=0) + preference(name, 2, node=1)

    both = near('rng', 0) + near('rng', 1) + rng('nowhere')
    hot = [near('rng', node, n) for n in (1, 2) for node in (0, 1)]
    for machine, firmware, name in ((Q35, 'SeaBIOS', 'pcieHotplugSlots'), (Q35, 'OVMF', 'pcieHotplugSlots'),
                                    (AAVMF_VIRT, 'AAVMF', 'pcieHotplugSlots')):
        yield Row(machine, firmware, 'a device and two slots near each node', slots(name), both, hot, (near('rng', 1, 3), 'NUMA node 1'))
    # there each PHB has 31 slots
    yield Row(PSERIES, 'SLOF', 'a device and two slots near each node', slots('pciHotplugSlots'), both, hot[:2])
    yield Row(Q35, 'SeaBIOS', 'conventional devices and slots near node 1', preference('pciHotplugSlots', 2, node=1),
              near('e1000', 1) + rng('nowhere'), [near('e1000', 1, 1), near('e1000', 1, 2)])
    yield Row(Q35, 'OVMF', '20 ports, and a device and a slot near node 1',
              preference('pcieHotplugSlots', 20) + preference('pcieHotplugSlots', 1, node=1), near('rng', 1) + rng('nowhere'), [near('rng', 1, 1)])
    yield Row(PC, 'SeaBIOS', 'devices near each node', '', both + near('e1000', 1))
    # without the series the firmware never comes to an end
    yield Row(Q35, 'SeaBIOS', 'three ports below an expander bus that is listed (U15)', '',
              pci('pcie-root', 0) + pci('pcie-expander-bus', 1, target='<target><node>1</node></target>') +
              ''.join(pci('pcie-root-port', port, address(1, port)) for port in (2, 3, 4)) +
              ''.join(rng(f'port{port}-1', address(port)) for port in (2, 3, 4)))


def with_cells(text):
    """The domain with two processors and two NUMA cells"""
    text = text.replace('</memory>\n', '</memory>\n<vcpu>2</vcpu>\n', 1)
    if '</cpu>' in text:
        return text.replace('</cpu>', f'{CELLS}</cpu>')
    return text.replace('</os>', f'</os><cpu>{CELLS}</cpu>')


def wrong_nodes(guest):
    """Faults: a device has another node than the end of its alias says"""
    listed, places = guest.listing(), guest.expected()
    if not listed:
        return ['the guest has no listing']
    faults = []
    for name, place in places.items():
        wanted = int(name[-1]) if name.startswith('ua-') and name[-2:-1] == '-' else None
        if name.startswith('ua-') and listed.nodes.get(place) != wanted:
            faults.append(f'{name} has node {listed.nodes.get(place)} instead of {wanted}')
    return faults


def outside(guest):
    """Faults: a bus has a number that is not in the range of its expander bus, or of the root"""
    text = guest.lab.dump('g', live=True)
    listed = guest.listing()
    firsts = sorted({0} | {bus_number(element) for element in Guest(text).controllers.values() if bus_number(element) is not None})
    ends = dict(zip(firsts, [*firsts[1:], 256]))
    faults = []
    for place, bus in listed.numbers.items():
        first = int(place[0].partition(':')[2] or '0', 16)
        if not place[0].startswith('root 0') or first <= bus < ends[first]:
            continue
        faults.append(f'{place} is on bus {bus}, and the range is {first} to {ends[first] - 1}')
    return faults


def look(guest, what):
    guest.wait(lambda: guest.differs() or wrong_nodes(guest), what, 120)
    return outside(guest) + guest.lab.misplaced('g')


def boots(guest, row, initrd):
    """Faults of a guest that boots and gets what was promised"""
    lab = guest.lab
    lab.define('g', with_cells(guest.xml(initrd, row.cold, row.prefs)))
    guest.boot()
    before = Guest(lab.dump('g', live=True))
    faults = look(guest, 'after the boot')
    for device in row.hot:
        ok, text = lab.attach('g', device, '--live')
        faults += [] if ok else [text.strip()]
    if row.one_more:
        ok, text = lab.attach('g', row.one_more[0], '--live')
        faults += refusal(text, row.one_more[1]) if not ok else ['one more than there are slots was taken']
    faults += look(guest, 'after the attach') if row.hot else []
    full = Guest(lab.dump('g', live=True))
    return faults + changed_topology(before, full) + shared(full)


def near_memory(bench):
    initrds = {}
    for row in rows():
        if not bench.have(row.machine, 'nodes') or not have_linux(bench, row.machine, 'nodes'):
            continue
        with bench.point('nodes', row.machine, f'{row.firmware}, {row.what}') as faults, bench.lab(patience=300) as lab:
            arch = row.machine.arch
            if arch not in initrds:
                initrds[arch] = initial(arch, bench.directory)
            faults += boots(Booted(lab, row.machine, firmware=row.firmware), row, initrds[arch])
