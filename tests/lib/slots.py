# SPDX-License-Identifier: LGPL-2.1-or-later
"""The slots of a guest that take a device while it runs: which there are, and which are free.

This is the only model of slots that the tests have. It looks at a topology.Guest, that is at XML, and asks
nobody; tests/suites/slots compares it with what the driver counts.

A slot counts for a promise with windows if they are known to be large enough: each of those that its controller has
by its <target> is at least as large. The slots of a bridge share its windows, so that it needs room for what is in its
other slots as well; the root buses have the memory of the machine, but no 64-bit window of a certain size. Each slot is
counted once, for the largest promise first, and of those that suit it the one with the smallest windows.

A slot is near a NUMA node if the host bridge above it has that: an expander bus, or a PHB. Such promises are counted
before others, and these leave such slots to the last.

A slot belongs to a group that has buses of its own if the controller of its bus, or one on the way to the root, says so.
Such slots count for that group only.
"""

import collections

# what a controller offers while the guest runs: kind of slot, and which
HOTPLUG = {
    'pcie-root-port': ('pcie', range(1)),
    'pcie-switch-downstream-port': ('pcie', range(1)),
    'pci-root': ('pci', range(1, 32)),
    'pci-bridge': ('pci', range(1, 32)),
    'pcie-to-pci-bridge': ('pci', range(1, 32)),
}
PREFERENCES = {'pcieHotplugSlots': 'pcie', 'pciHotplugSlots': 'pci'}
WINDOWS = ('memReserve', 'pref64Reserve', 'ioReserve')
# so many conventional slots are promised by number alone that bridges are added with memory for them
ORDINARY = 7

Promise = collections.namedtuple('Promise', 'kind number windows node', defaults=(None,))
PORTS = tuple(model for model, (kind, _) in HOTPLUG.items() if kind == 'pcie')


def hotplugs(guest, index):
    """Does QEMU accept devices on this bus while the guest runs?"""
    controller = guest.controllers[index]
    target = controller.find('target')
    return (controller.get('model') in HOTPLUG and
            (target is None or target.get('hotplug') != 'off') and
            # pci.0 of pc is hotplugged through ACPI
            (index != 0 or guest.acpi or not guest.i440fx()))


def isolated(guest):
    """PHBs of pseries that belong to host devices, if the host has IOMMU groups. The first never does."""
    users = {}
    for key, (_, bus, _, _) in guest.pci_addresses().items():
        users.setdefault(bus, []).append(guest.devices[key].tag == 'hostdev')
    return {bus for bus, hostdevs in users.items() if bus and all(hostdevs)} if guest.pseries() else set()


def hotplug_slots(guest, groups=False, owner=None):
    """kind -> set of (bus, slot), free or not. GROUPS: the host has IOMMU groups. OWNER: those of this group of devices."""
    found = {'pcie': set(), 'pci': set()}
    skipped = isolated(guest) if groups else ()
    for index, controller in guest.controllers.items():
        if index not in skipped and hotplugs(guest, index) and group(guest, index) == owner:
            kind, slots = HOTPLUG[controller.get('model')]
            found[kind] |= {(index, slot) for slot in slots}
    if guest.i440fx():
        found['pci'].discard((0, 1))    # the chipset
    return found


def used_slots(guest, without=()):
    """Set of (bus, slot) with some device. WITHOUT: PCI controllers that do not count."""
    names = {f'PCI controller {index}' for index in without}
    return {address[1:3] for name, address in guest.pci_addresses().items() if name not in names}


def free_slots(guest, groups=False):
    """kind -> set of (bus, slot) where a device can be plugged in while the guest runs"""
    used = used_slots(guest)
    return {kind: slots - used for kind, slots in hotplug_slots(guest, groups).items()}


def count(guest, groups=False):
    """kind -> number of these"""
    return {kind: len(slots) for kind, slots in free_slots(guest, groups).items()}


def free_ports(guest):
    return count(guest)['pcie']


def promised(guest, preference):
    """Number of free slots of the kind that a preference is about"""
    return count(guest)[PREFERENCES[preference]]


# -- groups --------------------------------------------------------------------------------------------

def declared(guest):
    """name -> attributes of the declaration of each group"""
    return {row['value']: row for row in guest.preferences if row.get('name') == 'pciGroup'}


def group(guest, index):
    """Name of the group that a bus belongs to, or None"""
    groups, seen = declared(guest), set()
    while groups and index in guest.controllers and index not in seen:
        seen.add(index)
        target = guest.controllers[index].find('target')
        if target is not None and target.get('group') in groups:
            return target.get('group')
        index = guest.parents()[index]
    return None


def spares(guest):
    """name -> (how many free slots it asks for, how many it has) of each group: PCI Express slots if the machine has some"""
    used, kind = used_slots(guest), 'pcie' if 0 in guest.controllers and guest.controllers[0].get('model') == 'pcie-root' else 'pci'
    return {name: (int(row.get('spare', 0)), len(hotplug_slots(guest, owner=name)[kind] - used))
            for name, row in declared(guest).items()}


# -- NUMA nodes ----------------------------------------------------------------------------------------

def node(guest, index):
    """NUMA node of the guest that the host bridge above a bus has, or None"""
    seen = set()
    while index in guest.controllers and index not in seen:
        seen.add(index)
        model = guest.controllers[index].get('model')
        if model in ('pci-root', 'pcie-root') or model.endswith('expander-bus'):
            text = guest.controllers[index].findtext('target/node')
            return None if text is None else int(text)
        index = guest.parents()[index]
    return None


# -- windows -------------------------------------------------------------------------------------------

def windows(element):
    """kind -> KiB of the windows that are given as attributes of an element, which may be missing"""
    return {} if element is None else {kind: int(element.get(kind)) for kind in WINDOWS if element.get(kind) is not None}


def size(given):
    """Sorts windows: 64-bit windows are the most precious, then those for I/O, then memory"""
    return given.get('pref64Reserve', 0), given.get('ioReserve', 0) > 0, given.get('memReserve', 0)


def promises(guest):
    """What <preferences> promise, what is near a node first, then the largest windows"""
    rows = [Promise(PREFERENCES[row['name']], int(row['value']), windows(row), int(row['node']) if 'node' in row else None)
            for row in guest.preferences if row['name'] in PREFERENCES]
    return sorted((promise for promise in rows if promise.number), reverse=True,
                  key=lambda promise: (-1 if promise.node is None else promise.node, size(promise.windows)))


def ordinary(promise):
    return promise.kind == 'pci' and promise.number >= ORDINARY and not promise.windows


class Windows:
    """The windows of the buses of a guest, and what takes room in them: devices, which may need as much as who asks,
    and promises of which it is known"""

    def __init__(self, guest, used):
        self.given = {index: None if element.get('model') in ('pci-root', 'pcie-root') else windows(element.find('target'))
                      for index, element in guest.controllers.items()}
        self.users = collections.Counter(bus for bus, _ in used)
        self.taken = collections.Counter()

    def suffice(self, bus, needed):
        """Is there room for one device more that needs this?"""
        if self.given[bus] is None:
            return not needed.get('pref64Reserve')
        return all(self.taken[bus, kind] + kib * (self.users[bus] + 1) <= self.given[bus].get(kind, 0) for kind, kib in needed.items() if kib)

    def take(self, bus, needed):
        self.taken.update({(bus, kind): kib for kind, kib in needed.items()})

    def size(self, bus):
        return size(self.given[bus] or {})


def kept(guest, groups=False, without=(), more=None):
    """(promise, how many slots are free for it, at most what it asks for) of each promise. WITHOUT: PCI controllers
    that are not there, nor anything behind them. MORE: a promise for devices that come before the others, and may
    need as much as anybody."""
    used = used_slots(guest, without)
    room = Windows(guest, used)
    buses = {kind: collections.Counter(bus for bus, _ in found - used if bus not in without)
             for kind, found in hotplug_slots(guest, groups).items()}
    nodes = {index: node(guest, index) for index in guest.controllers}
    result = []
    for promise in [more, *promises(guest)] if more else promises(guest):
        left, found = buses[promise.kind], 0
        while found < promise.number:
            suits = [bus for bus in left if left[bus] > 0 and room.suffice(bus, promise.windows) and
                     promise.node in (None, nodes[bus])]
            if not suits:
                break
            bus = min(suits, key=lambda bus: (nodes[bus] is not None, room.size(bus), bus))
            left[bus] -= 1
            if promise is more:
                room.users[bus] += 1
            else:
                room.take(bus, promise.windows)
            found += 1
        result.append((promise, found))
    return result


def missing(guest, **changes):
    """How many promised slots there are not; CHANGES as for kept()"""
    return sum(promise.number - found for promise, found in kept(guest, **changes))
