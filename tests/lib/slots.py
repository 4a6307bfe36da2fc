# SPDX-License-Identifier: LGPL-2.1-or-later
"""The slots of a guest that take a device while it runs: which there are, and which are free.

This is the only model of slots that the tests have. It looks at a topology.Guest, that is at XML, and asks
nobody; tests/suites/slots compares it with what the driver counts.
"""

# what a controller offers while the guest runs: kind of slot, and which
HOTPLUG = {
    'pcie-root-port': ('pcie', range(1)),
    'pcie-switch-downstream-port': ('pcie', range(1)),
    'pci-root': ('pci', range(1, 32)),
    'pci-bridge': ('pci', range(1, 32)),
    'pcie-to-pci-bridge': ('pci', range(1, 32)),
}
PREFERENCES = {'pcieHotplugSlots': 'pcie', 'pciHotplugSlots': 'pci'}
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


def hotplug_slots(guest, groups=False):
    """kind -> set of (bus, slot), free or not. GROUPS: the host has IOMMU groups."""
    found = {'pcie': set(), 'pci': set()}
    skipped = isolated(guest) if groups else ()
    for index, controller in guest.controllers.items():
        if index not in skipped and hotplugs(guest, index):
            kind, slots = HOTPLUG[controller.get('model')]
            found[kind] |= {(index, slot) for slot in slots}
    if guest.i440fx():
        found['pci'].discard((0, 1))    # the chipset
    return found


def free_slots(guest, groups=False):
    """kind -> set of (bus, slot) where a device can be plugged in while the guest runs"""
    used = {address[1:3] for address in guest.pci_addresses().values()}
    return {kind: slots - used for kind, slots in hotplug_slots(guest, groups).items()}


def count(guest, groups=False):
    """kind -> number of these"""
    return {kind: len(slots) for kind, slots in free_slots(guest, groups).items()}


def free_ports(guest):
    return count(guest)['pcie']


def promised(guest, preference):
    """Number of free slots of the kind that a preference is about"""
    return count(guest)[PREFERENCES[preference]]
