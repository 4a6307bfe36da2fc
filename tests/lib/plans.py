# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether a plan was right: what was added had to be, and what was refused has no plan at all."""

import re

import slots
import topology
from generate import EXPRESS, NO_PCI

# messages that say that there is no topology for what is asked
NO_PLAN = re.compile('No more available PCI slots|a PCI slot is needed to connect|cannot be automatically added|No usable target index|'
                     'Attempted double use|Invalid PCI address|cannot be plugged into|preference .* asks for .* free slots, but|'
                     'does not lead to the root|needs to be an integrated device|does not come to an end|unsupported <address> of|'
                     "'ioReserve' is promised, but|memory windows of|64-bit windows of|bus numbers|PCI group .* asks for")
# what has nothing to do with slots
OTHER = re.compile("USB is disabled|No free USB ports|is configured for a NUMA node|does not support video model|controllers are not supported with this machine type|This QEMU doesn't support|"
                   "spapr-vio (reg|address)|cannot have an associated address|PIIX3 USB controller at index 0 must have|target index '.*' out of range|preference '.*' is not supported for machine type|not supported (with|in|by) this QEMU binary|"
                   "model of watchdog cannot be used with this machine|"
                   "does not support configuring the address|No PCI buses available|Primary SATA controller must have|"
                   "requires address type|only 'pci' addresses are supported|Required option 'modelName' is not set|"
                   "preference .* is given more than once|are not supported for preference|Invalid value for attribute '(mem|pref64|io)Reserve'|"
                   "'memReserve', 'pref64Reserve' or 'ioReserve' is not supported for PCI controller")
PHBS = 31


# -- nothing is added that could be missing --------------------------------------------------------------

def conventional_slots(guest, hotplug):
    """Number of free slots of conventional buses that libvirt gives to devices"""
    used = {address[1:3] for address in guest.pci_addresses().values()}
    every = {(index, slot) for index, element in guest.controllers.items() if not slots.group(guest, index)
             for kind, numbers in [slots.HOTPLUG.get(element.get('model'), (None, ()))] if kind == 'pci' for slot in numbers}
    return slots.count(guest)['pci'] if hotplug else len(every - used - ({(0, 1)} if guest.i440fx() else set()))


def wanted_slots(before, guest):
    """kind -> number of slots that are to stay free, by preference or by libvirt's own rule"""
    wanted = {kind: sum(promise.number for promise in slots.promises(guest) if promise.kind == kind) for kind in slots.PREFERENCES.values()}
    model = guest.controllers[0].get('model') if 0 in guest.controllers else None
    if model == 'pcie-root' and not guest.prefers('pcieHotplugSlots') and not before.controllers.keys() - {0}:
        wanted['pcie'] = 1
    return wanted, model == 'pci-root'


def idle(guest, given):
    """Ports that were added for a group, are empty, and nobody asked for"""
    used = {bus for bus, _ in slots.used_slots(guest)}
    ports = [index for index, element in guest.controllers.items()
             if index > given and element.get('model') in slots.PORTS and index not in used]
    return [f'{sum(slots.group(guest, index) == name for index in ports)} ports were added for group {name} and are empty, {spare} are asked for'
            for name, (spare, _) in slots.spares(guest).items() if sum(slots.group(guest, index) == name for index in ports) > spare]


def superfluous(before, guest):
    """PCI controllers that were added to BEFORE, and that GUEST could do without. Those up to a bus that was
    listed or written have to be there. Hints may ask for more; then only what is empty is looked at."""
    if any(topology.is_pci_controller(element) and element.get('index') is None for element in before.devices.values()):
        return []
    given = max([0, *before.controllers, *(where[1] for where in before.pci_addresses().values())])
    added = {index: element.get('model') for index, element in guest.controllers.items() if index > given and not slots.group(guest, index)}
    users = {}
    for key, where in guest.pci_addresses().items():
        users.setdefault(where[1], []).append(guest.devices[key])
    wanted, growth = wanted_slots(before, guest)
    free, every = slots.count(guest), conventional_slots(guest, False)
    # libvirt counts a primary video of q35 twice if it is not where the chipset has it
    video = next((key for key, element in before.devices.items() if element.tag == 'video'), None)
    if video and not topology.pci_address(before.devices[video]) and guest.pci_addresses().get(video, (0, 0, 1))[1:3] != (0, 1):
        wanted['pcie'] += 1
    # a device that asks for no node does not have to make do with what is near one
    hinted = bool(guest.hints()) or guest.prefers('hotpluggable') or any(promise.node is not None for promise in slots.promises(guest))
    special = any(promise.windows or promise.node is not None for promise in slots.promises(guest))

    def needed_for_promise(index, kind):
        """Would a promise be broken without this one? What is in it would have other slots, and take room of their windows."""
        more = len({where[1:3] for where in guest.pci_addresses().values() if where[1] == index})
        return special and slots.missing(guest, without={index}, more=slots.Promise(kind, more, {})) > 0

    faults = idle(guest, given)
    # a port for each pcie-to-pci-bridge is added even if there is a free one
    own = list(added.values()).count('pcie-to-pci-bridge')
    # a port into which a device was put, or nothing; PCI controllers find a place for themselves
    ports = [index for index, model in added.items() if model in slots.PORTS and
             not any(map(topology.is_pci_controller, users.get(index, ()))) and not (hinted and index in users)]
    placed = all(topology.pci_address(element) for index, element in before.controllers.items() if index)
    ports = [index for index in ports if not needed_for_promise(index, 'pcie')]
    if placed and free['pcie'] > wanted['pcie'] + own and len(ports) > own:
        faults.append(f'{free["pcie"]} ports are free and {wanted["pcie"]} are wanted, but {len(ports)} were added')
    # libvirt looks for a slot for each USB2 companion, and then puts all of them in that of the master
    every -= 3 * sum(element.get('model') == 'ich9-ehci1' for element in guest.devices.values())
    # where no other bridge can have memory for many ordinary devices, there is one that has
    memory = [index for index, model in added.items()
              if model == 'pci-bridge' and guest.controllers[index].find('target[@memReserve]') is not None]
    near = [[index for index in memory if promise.node in (None, slots.node(guest, index))]
            for promise in slots.promises(guest) if slots.ordinary(promise) and not growth]
    needed = {bridges[0] for bridges in near if len(bridges) == 1}
    # without one of them: its slots are gone, and that in which it sits is free
    for index, model in added.items():
        if index in needed or slots.HOTPLUG.get(model, ('',))[0] != 'pci' or index in users and (hinted or model not in ('pci-bridge', 'pci-root')):
            continue
        back = 1 if model == 'pci-bridge' else 0
        hot = back if slots.hotplugs(guest, guest.parents()[index] or 0) else 0
        least = max(wanted['pci'], 1 if growth else 0)
        if every - 31 + back >= least and free['pci'] - 31 + hot >= wanted['pci'] and not needed_for_promise(index, 'pci'):
            faults.append(f'{model} {index} was added: {every} conventional slots are free, {free["pci"]} of them for hotplug, '
                          f'and {least} are wanted, {wanted["pci"]} for hotplug')
            break
    return faults


# -- what is refused has no plan -------------------------------------------------------------------------

def others(domain):
    """(what, domain) of domains that are the same but for more PCI controllers that are listed. If one of
    them can be had, so could DOMAIN: libvirt may add controllers itself."""
    if domain.family in NO_PCI:
        # what is no PCI machine gets no root
        return
    guest = topology.Guest(domain.xml())
    listed = [topology.is_pci_controller(element) for element in guest.devices.values()]
    express = domain.family in EXPRESS
    fillers = ('pcie-root-port', 'pci-bridge') if express else ('pci-root', 'pci-bridge') if domain.family == 'pseries' else ('pci-bridge',)
    seen = set()
    for filler in fillers:
        gaps = fill(guest, filler, express) if sum(listed) == len(guest.controllers) else {}
        # those without an index take the lowest that are left
        top = max([0, *guest.controllers, *gaps]) + sum(listed) - len(guest.controllers)
        for more in ((), ('pcie-root-port',), ('pcie-to-pci-bridge',), ('pcie-root-port', 'pcie-to-pci-bridge'),
                     ('pcie-switch-upstream-port', 'pcie-switch-downstream-port')) if express else ((), (filler,), (filler,) * 2):
            added = {**gaps, **{top + n: model for n, model in enumerate(more, 1)}}
            if not added or top + len(more) > 255 or tuple(added.items()) in seen:
                continue
            seen.add(tuple(added.items()))
            root = [] if 0 in guest.controllers else [f"<controller type='pci' index='0' model='{'pcie-root' if express else 'pci-root'}'/>"]
            elements = root + [f"<controller type='pci' index='{index}' model='{model}'/>" for index, model in added.items()]
            yield ', '.join(f'{model} {index}' for index, model in list(added.items())[:4]), domain.but([*elements, *domain.elements])


def fill(guest, filler, express):
    """index -> model for the buses up to the last that are not listed, such that what is written has its place"""
    written = {}
    for _, bus, slot, _ in guest.pci_addresses().values():
        written.setdefault(bus, set()).add(slot)
    models, housed = {}, not express or any(element.get('model') in ('pcie-to-pci-bridge', 'dmi-to-pci-bridge')
                                            for element in guest.controllers.values())
    roots = sum(element.get('model') == 'pci-root' for element in guest.controllers.values()) or 1
    for index in range(1, max([0, *guest.controllers, *written]) + 1):
        if index in guest.controllers:
            continue
        model = filler
        if index in written and express:
            model = 'pcie-root-port' if written[index] == {0} else 'pci-bridge'
        if model == 'pci-bridge' and not housed:
            model, housed = 'pcie-to-pci-bridge', True
        if model == 'pci-root':
            roots += 1
            model = 'pci-root' if roots <= PHBS else 'pci-bridge'
        models[index] = model
    return models


def counterexample(virsh, domain, message):
    """Faults: DOMAIN was refused with MESSAGE, and there is a plan for it"""
    if not NO_PLAN.search(message):
        return [] if OTHER.search(message) else [f'an unknown reason: {message.strip()}']
    for what, other in others(domain.renamed('other')):
        ok, text = virsh.define_once(other.name, other.xml())
        if not ok:
            continue
        guest = topology.Guest(text)
        if not (topology.unreachable(guest) + topology.shared(guest) + topology.dishonoured(guest) + topology.short(guest)):
            return [f'it was refused, and can be had with {what}: {message.strip().splitlines()[-1]}']
    return []


def self_test():
    """(what, faults): a plan that is larger than it has to be is noticed, the smallest is not"""
    def devices(count, bus=0, first=2):
        return [topology.sample_device(f'{bus}-{n}', bus, n) for n in range(first, first + count)]

    def bridges(count):
        return [topology.sample_controller(index, 'pci-bridge', 0, 31 - index) for index in range(1, count + 1)]

    pc, q35 = topology.sample_controller(0, 'pci-root'), topology.sample_controller(0, 'pcie-root')
    given = topology.sample_wishes([pc], 'pc')
    bare = topology.sample_wishes([q35, topology.sample_controller(1, 'pcie-root-port', 0, 1)])

    def ports(count):
        return [topology.sample_controller(index, 'pcie-root-port', 0, index) for index in range(1, count + 1)]

    for what, before, after, caught in (
            ('no bridge for 29 devices', given, topology.sample_wishes([pc, *devices(29)], 'pc'), False),
            ('a bridge for 28 devices', given, topology.sample_wishes([pc, *bridges(1), *devices(28)], 'pc'), True),
            ('a bridge for 30 devices', given, topology.sample_wishes([pc, *bridges(1), *devices(28), *devices(2, 1)], 'pc'), False),
            ('two bridges for 58 devices', given, topology.sample_wishes([pc, *bridges(2), *devices(27), *devices(31, 1, 1)], 'pc'), True),
            ('a bridge for 20 free slots', given, topology.sample_wishes([pc, *bridges(1), *devices(20)], 'pc', pciHotplugSlots=20), False),
            ('two bridges for 20 free slots', given, topology.sample_wishes([pc, *bridges(2), *devices(20)], 'pc', pciHotplugSlots=20), True),
            ('two ports for two free slots', topology.sample_wishes([q35]), topology.sample_wishes([q35, *ports(2)], pcieHotplugSlots=2), False),
            ('three ports for two free slots', topology.sample_wishes([q35]), topology.sample_wishes([q35, *ports(3)], pcieHotplugSlots=2), True),
            ('a spare port', topology.sample_wishes([q35]), topology.sample_wishes([q35, *ports(2), topology.sample_device('a', 1, 0)]), False),
            ('a spare port where ports are listed', bare, topology.sample_wishes([q35, *ports(2), topology.sample_device('a', 1, 0)]), True)):
        found = superfluous(before, after)
        yield f'{what}: {"too many" if caught else "the smallest plan"}', [] if bool(found) == caught else found or ['not caught']
