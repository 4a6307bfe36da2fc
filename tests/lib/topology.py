# SPDX-License-Identifier: LGPL-2.1-or-later
"""What must hold for the PCI addresses of a domain, checked on the XML that dumpxml prints.

Each check returns a list of faults, empty if all is well.
"""

import json
import re
import shlex
import xml.etree.ElementTree as ET

import slots

ROOTS = ('pci-root', 'pcie-root')
CLASSES = {
    'pcie': ('pcie-root', 'pcie-root-port', 'pcie-switch-downstream-port'),
    'pci': ('pci-root', 'pci-bridge', 'pci-expander-bus', 'dmi-to-pci-bridge', 'pcie-to-pci-bridge'),
}
HINTS = ('hotpluggable', 'busHint', 'preferredConnection', 'node', 'group')
HOSTS = {'pci-root', 'pcie-expander-bus', 'pci-expander-bus'}
NOT_DEVICES = ('emulator', 'graphics', 'alias')


def number(text):
    return int(text or '0', 0)


def pci_address(element):
    """(domain, bus, slot, function) of a device, or None without a full PCI address"""
    address = element.find('address')
    if address is None or address.get('type') != 'pci' or address.get('slot') is None:
        return None
    parts = tuple(number(address.get(part)) for part in ('domain', 'bus', 'slot', 'function'))
    # to libvirt zero all over is no address
    return parts if any(parts) else None


def show(address):
    return '{:04x}:{:02x}:{:02x}.{:x}'.format(*address)


def any_address(element):
    """An address of any type as text; "multifunction" is not where a device sits."""
    pci = pci_address(element)
    if pci:
        return show(pci)
    address = element.find('address')
    if address is None or address.get('type') == 'pci':
        return None
    return ' '.join(f'{key}={value}' for key, value in sorted(address.attrib.items()))


class Guest:
    """The devices of a domain by names that stay when others come and go."""

    def __init__(self, xml):
        self.devices = {}
        self.controllers = {}   # PCI controllers: index -> element, in the order of the XML
        seen = {}
        domain = ET.fromstring(xml)
        machine = domain.find('os/type')
        self.machine = '' if machine is None else machine.get('machine', '')
        self.acpi = domain.find('features/acpi') is not None
        # the attributes of each; a name may be there several times
        self.preferences = [dict(element.attrib) for element in domain.iterfind('preferences/preference')]
        for element in domain.find('devices'):
            alias = element.find('alias')
            if element.tag in NOT_DEVICES:
                continue
            if is_pci_controller(element) and element.get('index') is not None:
                key = f'PCI controller {element.get("index")}'
                self.controllers[number(element.get('index'))] = element
            elif alias is not None and (alias.get('name') or '').startswith('ua-'):
                key = alias.get('name')
            elif element.tag == 'controller' and element.get('index') is not None:
                # companions have the index of their master
                key = f'{element.get("type")} {element.get("model")} controller {element.get("index")}'
            else:
                key = f'{element.tag} {element.get("type") or element.get("model") or ""}'
                seen[key] = seen.get(key, 0) + 1
                key += f' no. {seen[key]}'
            self.devices[key] = element

    def addresses(self):
        return {key: any_address(element) for key, element in self.devices.items()}

    def pci_addresses(self):
        found = ((key, pci_address(element)) for key, element in self.devices.items())
        return {key: address for key, address in found if address}

    def parents(self):
        """index -> index of the bus it sits on; None for a root, -1 without an address"""
        parents = {}
        for index, element in self.controllers.items():
            address = pci_address(element)
            parents[index] = (None if element.get('model') in ROOTS else
                              address[1] if address else -1)
        return parents

    def i440fx(self):
        return self.machine == 'pc' or self.machine.startswith('pc-i440fx')

    def pseries(self):
        return self.machine.startswith('pseries')

    def prefers(self, name):
        return any(row.get('name') == name for row in self.preferences)

    def hints(self):
        """name -> hints of a device, for those that have some"""
        found = {}
        for key, element in self.devices.items():
            address = element.find('address')
            given = {} if address is None else {hint: address.get(hint) for hint in HINTS if address.get(hint)}
            if given:
                found[key] = given
        return found


def short(guest):
    """Preferences that ask for more free slots than there are, or for larger windows"""
    return [f'{promise.number} {promise.kind} slots are promised{f" with {promise.windows}" if promise.windows else ""}'
            f'{"" if promise.node is None else f" near node {promise.node}"}, but {found} are free'
            for promise, found in slots.kept(guest) if found < promise.number] + [
                f'group {name} asks for {spare} spare slots, and has {found}' for name, (spare, found) in slots.spares(guest).items() if found < spare]


def dishonoured(guest):
    """Hints that the address beside them contradicts"""
    faults = []
    places = guest.pci_addresses()
    for key, hints in guest.hints().items():
        address = places.get(key)
        if not address or address[1] not in guest.controllers:
            faults.append(f'{key} has {hints} and no place')
            continue
        bus = address[1]
        model = guest.controllers[bus].get('model')
        honoured = {
            'hotpluggable': slots.hotplugs(guest, bus) if hints.get('hotpluggable') == 'yes' else bus == 0,
            'busHint': model in CLASSES.get(hints.get('busHint'), ()),
            'preferredConnection': model == hints.get('preferredConnection'),
            'node': str(slots.node(guest, bus)) == hints.get('node'),
        }
        faults += [f"{key} has {hint}='{hints[hint]}' and is on {model} {bus}" for hint in hints if not honoured.get(hint, True)]
    return faults


def mingled(guest):
    """Members of a group that are not together, and what is with them that is in no group or in another"""
    places, hints, groups = guest.pci_addresses(), guest.hints(), slots.declared(guest)
    own = {key: hints.get(key, {}).get('group') for key in places if not is_pci_controller(guest.devices[key])}
    slot_of, faults = {}, []
    for key, name in own.items():
        bus = slots.group(guest, places[key][1])
        shares = groups[name]['share'] if name in groups else None
        if bus != (name if shares in ('switch', 'root') else None):
            faults.append(f'{key} of group {name} is on bus {places[key][1]}, which belongs to group {bus}')
        if shares == 'slot' and slot_of.setdefault(name, places[key][1:3]) != places[key][1:3]:
            faults.append(f'{key} of group {name} is at {show(places[key])}, and the slot of the group is {slot_of[name]}')
    faults += [f'{key} is at {show(places[key])}, in the slot of group {name}' for name, slot in slot_of.items()
               for key in own if own[key] != name and places[key][1:3] == slot]
    for name, row in groups.items():
        heads = {head(guest, places[key][1], name) for key in own if own[key] == name and row['share'] != 'slot'} - {None}
        models = {guest.controllers[index].get('model') for index in heads}
        if len(heads) > 1 or models - ({'pcie-switch-upstream-port'} if row['share'] == 'switch' else HOSTS):
            faults.append(f'group {name} is below {", ".join(map(str, sorted(heads)))}: {", ".join(sorted(models))}')
    return faults


def head(guest, index, name):
    """The uppermost PCI controller on the way from a bus to the root that belongs to a group, or None"""
    found = None
    while index in guest.controllers and index != found and slots.group(guest, index) == name:
        found, index = index, guest.parents()[index]
    return found


def crowded(asked, guest):
    """Devices that were given a function beside one that has to have its slot alone, or while a slot of the root bus is free.
    asked: the guest without the addresses that were given"""
    written, places, hints = asked.pci_addresses(), guest.pci_addresses(), guest.hints()
    chipset = {1} if guest.i440fx() else {0x1f} if 0 in guest.controllers and guest.machine.startswith(('q35', 'pc-q35')) else set()
    groups = slots.declared(guest)
    general = [row.get('value') for row in guest.preferences if row.get('name') == 'hotpluggable'] == ['no']

    def shares(key):
        element, hinted = guest.devices[key], hints.get(key, {})
        if grouped(key):
            return False
        alone = (element.tag == 'video' or is_pci_controller(element) or
                 (element.get('model') or '').startswith('ich9-') and element.tag == 'controller')
        return not alone and (hinted.get('hotpluggable') or ('no' if general and not hinted.keys() & {'preferredConnection', 'node'} else '')) == 'no'

    def grouped(key):
        """Is it in a group that shares a slot? Those are looked at in mingled()."""
        return groups.get(hints.get(key, {}).get('group'), {}).get('share') == 'slot'

    members = {}
    for key, where in places.items():
        members.setdefault(where[1:3], []).append(key)
    free = set(range(1, 32)) - chipset - {slot for bus, slot in members if bus == 0}
    faults = []
    for key, where in places.items():
        element = guest.devices[key]
        if (not where[3] or key in written or grouped(key) or where[1:3] in {(0, slot) for slot in chipset} or is_pci_controller(element) or
                element.tag == 'controller' and (element.get('model') or '').startswith('ich9-')):
            continue
        alone = [other for other in members[where[1:3]] if not shares(other)]
        faults += [f'{key} is at {show(where)}, and slot {min(free):#x} is free'] if free else []
        faults += [f'{key} is at {show(where)}, beside {", ".join(alone)}'] if alone else []
    return faults


def lost(asked, guest):
    """Hints of devices that are there that went away or became others. asked: what Guest.hints() said before"""
    found = guest.hints()
    return [f'{key} had {asked.get(key, {})} and has {found.get(key, {})}' for key in sorted(asked.keys() | found.keys())
            if key in guest.devices and asked.get(key) != found.get(key)]


def unlike(preferences, guest):
    if preferences == guest.preferences:
        return []
    return [f'preferences were {preferences} and are {guest.preferences}']


def added_controllers(before, after):
    """Controllers of any type that were not there"""
    return [f'{key} was added' for key, element in after.devices.items()
            if element.tag == 'controller' and key not in before.devices]


def moved(before, after):
    """Devices that are in both but at another address, and expander buses with another number. Only who has one can
    lose it."""
    old, new = before.addresses(), after.addresses()
    numbers = {index: bus_number(element) for index, element in before.controllers.items()}
    return [f'{key} moved from {old[key]} to {new[key]}'
            for key in old if old[key] and key in new and new[key] != old[key]] + [
                f'expander bus {index} had busNr {numbers[index]} and has {bus_number(element)}' for index, element in after.controllers.items()
                if numbers.get(index) not in (None, bus_number(element))]


def shared(guest):
    users = {}
    for key, address in guest.pci_addresses().items():
        users.setdefault(address, []).append(key)
    return [f'{show(address)} is shared by {", ".join(keys)}'
            for address, keys in users.items() if len(keys) > 1]


def is_pci_controller(element):
    return element.tag == 'controller' and element.get('type') == 'pci'


def lost_buses(guest):
    """Indexes of PCI controllers that do not lead to a root, and of buses that are not there"""
    parents = guest.parents()
    lost = {address[1] for address in guest.pci_addresses().values()} - parents.keys()
    for index in parents:
        bus, seen = index, set()
        while bus is not None and bus in parents and bus not in seen:
            seen.add(bus)
            bus = parents[bus]
        if bus is not None:
            lost.add(index)
    return sorted(lost)


def bus_number(element):
    """The busNr of an expander bus, or None"""
    target = element.find('target')
    return None if target is None or target.get('busNr') is None else number(target.get('busNr'))


def numbers_below(guest, index):
    """How many bus numbers what is below a controller takes; an expander bus has numbers of its own"""
    return sum(1 + numbers_below(guest, child) for child, parent in guest.parents().items()
               if parent == index and child != index and not guest.controllers[child].get('model', '').endswith('expander-bus'))


def overlapping(guest):
    """index of an expander bus -> fault, if its bus numbers run into those of the next one, or the root's into its"""
    if lost_buses(guest):
        return {}
    numbers = {index: bus_number(element) for index, element in guest.controllers.items() if bus_number(element) is not None}
    faults = {}
    for index, first in numbers.items():
        inside = 1 if guest.controllers[index].get('model') == 'pci-expander-bus' else 0
        end = min((other for key, other in numbers.items() if key != index and other >= first), default=256)
        if first + 1 + inside + numbers_below(guest, index) > end:
            faults[index] = f'expander bus {index} has busNr {first}, and what is below it does not end before {end}'
    if numbers and 1 + numbers_below(guest, 0) > min(numbers.values()):
        lowest = min(numbers, key=numbers.get)
        faults.setdefault(lowest, f'expander bus {lowest} has busNr {numbers[lowest]}, which the root bus needs')
    return faults


def expander_numbers(guest, given):
    """index -> (busNr, the one that leaves room) for each expander bus that was not GIVEN its number: below it
    there is one number for each controller, and one for the bridge inside a pci-expander-bus"""
    parents = guest.parents()

    def below(index):
        return sum(1 + below(child) for child, parent in parents.items() if parent == index and child != index)

    numbers = {index: bus_number(element) for index, element in guest.controllers.items()
               if element.get('model', '').endswith('expander-bus')}
    taken, found = [chosen for chosen in numbers.values() if chosen in given], {}
    for index, chosen in numbers.items():
        if chosen in given:
            continue
        inside = 1 if guest.controllers[index].get('model') == 'pci-expander-bus' else 0
        best = min(taken, default=256) - max(2, 1 + inside + below(index))
        taken.append(best)
        found[index] = chosen, best
    return found


def unreachable(guest):
    """PCI controllers that do not lead to a root, and devices on buses that are not there."""
    parents, lost = guest.parents(), lost_buses(guest)
    return ([f'PCI controller {index} does not reach the root: '
             f'{"it has no address" if parents[index] == -1 else f"it is on bus {parents[index]}"}' for index in lost if index in parents] +
            [f'{key} is on bus {address[1]}, which is not there'
             for key, address in guest.pci_addresses().items() if address[1] not in parents])


def changed(before, after):
    """The first line that differs between two dumps."""
    if before == after:
        return []
    old, new = before.splitlines(), after.splitlines()
    for line, (a, b) in enumerate(zip(old + [''], new + ['']), 1):
        if a != b:
            return [f'line {line} was "{a.strip()}" and is "{b.strip()}"']
    return [f'{len(old)} lines became {len(new)}']


def changed_topology(before, after):
    """PCI controllers that came, went or became another model, and devices that moved"""
    old, new = ({index: element.get('model') for index, element in guest.controllers.items()}
                for guest in (before, after))
    faults = [f'PCI controller {index} was {old.get(index)} and is {new.get(index)}'
              for index in sorted(old.keys() | new.keys()) if old.get(index) != new.get(index)]
    return faults + moved(before, after)


def same_guest(before, after):
    """The same for two XMLs, and devices that are gone"""
    old, new = Guest(before), Guest(after)
    return changed_topology(old, new) + [f'{key} is gone' for key in old.devices if key not in new.devices]


BUILT_IN_BUS = re.compile(r'pcie?\.0|pci')
PCI_BUS = re.compile(r'pcie?\.\d+')


def argv_devices(text):
    """(id, bus) of each -device and of each PCI controller on a command line, in its order"""
    words = shlex.split(text)
    for option, value in zip(words, words[1:]):
        if option != '-device':
            continue
        if value.startswith('{'):
            properties = json.loads(value)
        else:
            driver, *rest = value.split(',')
            properties = dict(part.partition('=')[::2] for part in rest)
            properties['driver'] = driver
        yield properties['driver'], properties.get('id'), properties.get('bus')


def child_first_argv(text):
    """Devices on a command line whose PCI bus is not there yet when QEMU comes to them"""
    there, faults = set(), []
    for driver, name, bus in argv_devices(text):
        if bus and PCI_BUS.fullmatch(bus) and not BUILT_IN_BUS.fullmatch(bus) and bus not in there:
            faults.append(f'{driver} {name} comes before its bus {bus}')
        there.add(name)
    return faults


# -- that the checks can fail -------------------------------------------------------------------

def sample(*devices):
    return '<domain><devices>' + ''.join(devices) + '</devices></domain>'


def sample_controller(index, model, bus=None, slot=1):
    where = '' if bus is None else f"<address type='pci' domain='0x0000' bus='{bus:#04x}' slot='{slot:#04x}' function='0x0'/>"
    return f"<controller type='pci' index='{index}' model='{model}'>{where}</controller>"


def sample_device(alias, bus, slot):
    return (f"<rng model='virtio'><alias name='ua-{alias}'/>"
            f"<address type='pci' domain='0x0000' bus='{bus:#04x}' slot='{slot:#04x}' function='0x0'/></rng>")


def sample_promise(name, value, **given):
    return f"<preference name='{name}' value='{value}' {sample_windows(**given)}/>"


def sample_windows(**given):
    return ' '.join(f"{kind}Reserve='{kib}'" for kind, kib in given.items())


def sample_wishes(devices, machine='q35', acpi=True, rows='', **preferences):
    rows += ''.join(f"<preference name='{name}' value='{value}'/>" for name, value in preferences.items())
    return Guest(f"<domain><os><type machine='{machine}'>hvm</type></os><features>{'<acpi/>' if acpi else ''}</features>"
                 f"<preferences>{rows}</preferences><devices>{''.join(devices)}</devices></domain>")


def self_test_wishes():
    """The same for preferences and hints"""
    root, port, full = (sample_controller(0, 'pcie-root'), sample_controller(1, 'pcie-root-port', 0, 1),
                        sample_device('a', 1, 0))
    # zero all over is no address, so nothing here is on slot 0 of bus 0
    off = port.replace('><address', "><target hotplug='off'/><address")
    pci = [root, sample_controller(1, 'pcie-to-pci-bridge', 0, 1)]
    pc = [sample_controller(0, 'pci-root')]

    def expect(what, found, caught):
        return what, [] if bool(found) == caught else ['not caught'] if caught else found

    def counts(what, guest, **numbers):
        free = slots.count(guest)
        return f'free slots: {what}', [f'{free[kind]} {kind} instead of {count}' for kind, count in numbers.items()
                                       if free[kind] != count]

    yield counts('a root port', sample_wishes([root, port]), pcie=1, pci=0)
    yield counts('a root port that is used', sample_wishes([root, port, full]), pcie=0, pci=0)
    yield counts('a root port without hotplug', sample_wishes([root, off]), pcie=0, pci=0)
    yield counts('a bridge with one device', sample_wishes([*pci, sample_device('a', 1, 3)]), pcie=0, pci=30)
    yield counts('dmi-to-pci-bridge has none', sample_wishes([root, sample_controller(1, 'dmi-to-pci-bridge', 0, 1)]), pcie=0, pci=0)
    yield counts('pc with ACPI', sample_wishes(pc, 'pc-i440fx-7.2'), pcie=0, pci=30)
    yield counts('pc with ACPI and video', sample_wishes([*pc, '<video/>'], 'pc-i440fx-7.2'), pci=30)
    yield counts('pc without ACPI', sample_wishes(pc, 'pc-i440fx-7.2', acpi=False), pci=0)
    yield counts('pci-expander-bus has none', sample_wishes([*pc, sample_controller(1, 'pci-expander-bus', 0, 3)], 'pc'), pci=29)
    yield counts('two PHBs', sample_wishes([*pc, sample_controller(1, 'pci-root')], 'pseries-7.2', acpi=False), pci=62)
    yield expect('enough slots', short(sample_wishes([root, port], pcieHotplugSlots=1)), False)
    yield expect('too few PCIe slots', short(sample_wishes([root, port], pcieHotplugSlots=2)), True)
    yield expect('too few conventional slots', short(sample_wishes(pci, pciHotplugSlots=32)), True)
    wish = sample_wishes([root, port], pcieHotplugSlots=1)
    yield expect('a lost preference', unlike(wish.preferences, sample_wishes([root, port])), True)
    yield expect('another number', unlike(wish.preferences, sample_wishes([root, port], pcieHotplugSlots=2)), True)
    yield expect('a preference that is kept', unlike(wish.preferences, sample_wishes([root, port], pcieHotplugSlots=1)), False)
    windowed = [sample_promise('pcieHotplugSlots', 1, mem=4), sample_promise('pcieHotplugSlots', 1)]
    yield expect('a lost window', unlike(sample_wishes([], rows=windowed[0]).preferences, sample_wishes([], rows=windowed[1])), True)
    yield expect('one of a name that is there twice is lost', unlike(sample_wishes([], rows=''.join(windowed)).preferences,
                                                                   sample_wishes([], rows=windowed[1])), True)
    yield from self_test_windows(expect)

    def hinted(bus, slot, hint):
        return sample_device('a', bus, slot).replace("type='pci'", f"type='pci' {hint}")

    for hint, bus, slot, caught in (
            ("hotpluggable='yes'", 1, 0, False), ("hotpluggable='yes'", 0, 2, True),
            ("hotpluggable='no'", 0, 2, False), ("hotpluggable='no'", 1, 0, True),
            ("busHint='pcie'", 1, 0, False), ("busHint='pci'", 1, 0, True),
            ("preferredConnection='pcie-root'", 0, 2, False), ("preferredConnection='pcie-root'", 1, 0, True)):
        guest = sample_wishes([root, port, hinted(bus, slot, hint)])
        yield expect(f'{hint} on {"the root bus" if not bus else "a root port"}', dishonoured(guest), caught)
    yield expect("hotpluggable='yes' on a root port without hotplug",
                 dishonoured(sample_wishes([root, off, hinted(1, 0, "hotpluggable='yes'")])), True)
    yield expect("busHint='pcie' behind a bridge", dishonoured(sample_wishes([*pci, hinted(1, 3, "busHint='pcie'")])), True)
    without = sample_wishes([root, port, "<rng model='virtio'><alias name='ua-a'/><address type='pci' busHint='pcie'/></rng>"])
    yield expect('a hint without an address', dishonoured(without), True)
    asked = without.hints()
    yield expect('a lost hint', lost(asked, sample_wishes([root, port, full])), True)
    yield expect('another hint', lost(asked, sample_wishes([root, port, hinted(1, 0, "busHint='pci'")])), True)
    yield expect('a hint that nobody gave', lost({}, sample_wishes([root, port, hinted(1, 0, "busHint='pcie'")])), True)
    yield expect('a hint that is kept', lost(asked, sample_wishes([root, port, hinted(1, 0, "busHint='pcie'")])), False)
    yield expect('a hint of a device that was removed', lost(asked, sample_wishes([root, port])), False)
    yield expect('a controller that was added', added_controllers(sample_wishes([root]), sample_wishes([root, port])), True)
    yield expect('a controller that was removed', added_controllers(sample_wishes([root, port]), sample_wishes([root])), False)


def self_test_windows(expect):
    """The same for promises with windows"""
    def ports(*given):
        rows = [sample_controller(0, 'pcie-root')]
        for index, windows in enumerate(given, 1):
            rows.append(sample_controller(index, 'pcie-root-port', 0, index).replace('><address', f'><target {sample_windows(**windows)}/><address'))
        return rows

    def bridge(**given):
        return [sample_controller(0, 'pcie-root'), sample_controller(1, 'pcie-to-pci-bridge', 0, 1),
                sample_controller(2, 'pci-bridge', 1, 1).replace('><address', f'><target {sample_windows(**given)}/><address')]

    def pcie(number, **given):
        return sample_promise('pcieHotplugSlots', number, **given)

    def pci(number, **given):
        return sample_promise('pciHotplugSlots', number, **given)

    pc = [sample_controller(0, 'pci-root')]
    for what, devices, rows, caught in (
            ('a port with the window', ports({'mem': 8}), pcie(1, mem=8), False),
            ('a port with a larger window', ports({'pref64': 16}), pcie(1, pref64=8), False),
            ('a port with a smaller window', ports({'pref64': 7}), pcie(1, pref64=8), True),
            ('a port with another window', ports({'mem': 8}), pcie(1, pref64=8), True),
            ('a port with one of two windows', ports({'mem': 8}), pcie(1, mem=8, io=4), True),
            ('a port without windows', ports({}), pcie(1, io=4), True),
            ('a port where no I/O is wanted', ports({}), pcie(1, io=0), False),
            ('a used port with the window', [*ports({'mem': 8}), sample_device('a', 1, 0)], pcie(1, mem=8), True),
            ('two promises, two ports', ports({}, {'mem': 8}), pcie(1) + pcie(1, mem=8), False),
            ('two promises, one port', ports({'mem': 8}), pcie(1, mem=8) + pcie(1), True),
            ('the largest promise comes first', ports({'mem': 8, 'pref64': 8}, {'mem': 8}), pcie(1, mem=8) + pcie(1, pref64=8), False),
            ('the smallest port that suits', ports({'mem': 8, 'io': 4}, {'mem': 8}), pcie(1, mem=8) + pcie(1, io=4), False),
            ('a bridge with room for two', bridge(mem=16), pci(2, mem=8), False),
            ('a bridge with room for one', bridge(mem=15), pci(2, mem=8), True),
            ('a bridge with room for two, one slot is used', [*bridge(mem=16), sample_device('a', 2, 1)], pci(2, mem=8), True),
            ('a bridge with room for two promises', bridge(mem=24), pci(1, mem=16) + pci(1, mem=8), False),
            ('a bridge with room for two promises of the smaller', bridge(mem=23), pci(1, mem=16) + pci(1, mem=8), True),
            ('a bridge with windows and one without', bridge(mem=16), pci(2, mem=8) + pci(59), False),
            ('a bridge with windows and one without, one slot more', bridge(mem=16), pci(2, mem=8) + pci(60), True)):
        yield expect(f'windows: {what}', short(sample_wishes(devices, rows=rows)), caught)
    yield expect('windows: the root bus has memory', short(sample_wishes(pc, 'pc', rows=pci(30, mem=1024))), False)
    yield expect('windows: the root bus has no 64-bit window', short(sample_wishes(pc, 'pc', rows=pci(1, pref64=4))), True)


def self_test_functions():
    """The same for slots that are shared"""
    root = sample_controller(0, 'pci-root')
    full = [sample_device(n, 0, n) for n in range(2, 32)]
    more = sample_device('x', 0, 2).replace("function='0x0'", "function='0x1'")
    asked = sample_wishes([root, *full, "<rng model='virtio'><alias name='ua-x'/></rng>"], 'pc', hotpluggable='no')
    for what, devices, prefs, caught in (('slot where none is free', full, 'no', False), ('slot while one is free', full[:-1], 'no', True),
                                         ('slot of what must be hotpluggable', full, 'yes', True)):
        found = crowded(asked, sample_wishes([root, *devices, more], 'pc', hotpluggable=prefs))
        yield f'a shared {what}', [] if bool(found) == caught else found or ['not caught']


def self_test_groups():
    """The same for groups of devices"""
    def device(alias, bus, function=0, group=''):
        text = sample_device(alias, bus, 0).replace("function='0x0'", f"function='{function:#x}'")
        return text.replace('/></rng>', f" group='{group}'/></rng>") if group else text

    def marked(text):
        return text.replace('><address', "><target group='g'/><address")

    root, port = sample_controller(0, 'pcie-root'), sample_controller(1, 'pcie-root-port', 0, 1)
    up = marked(sample_controller(2, 'pcie-switch-upstream-port', 1, 0))
    switch = [root, port, up, sample_controller(3, 'pcie-switch-downstream-port', 2, 0), sample_controller(4, 'pcie-switch-downstream-port', 2, 1)]
    ports = [root, port, sample_controller(2, 'pcie-root-port', 0, 2)]
    for what, share, devices, caught in (
            ('in one slot', 'slot', [*ports, device('a', 1, 0, 'g'), device('b', 1, 1, 'g')], False),
            ('in two slots', 'slot', [*ports, device('a', 1, 0, 'g'), device('b', 2, 0, 'g')], True),
            ('in one slot with a stranger', 'slot', [*ports, device('a', 1, 0, 'g'), device('b', 1, 1)], True),
            ('below one switch', 'switch', [*switch, device('a', 3, 0, 'g'), device('b', 4, 0, 'g')], False),
            ('outside of their switch', 'switch', [*switch, sample_controller(5, 'pcie-root-port', 0, 2), device('a', 3, 0, 'g'), device('b', 5, 0, 'g')], True),
            ('below one switch with a stranger', 'switch', [*switch, device('a', 3, 0, 'g'), device('b', 4)], True),
            ('on a marked port that is below no switch', 'switch', [root, marked(port), device('a', 1, 0, 'g')], True)):
        found = mingled(sample_wishes(devices, rows=f"<preference name='pciGroup' value='g' share='{share}'/>"))
        yield f'members of a group {what}', [] if bool(found) == caught else found or ['not caught']
    row = "<preference name='pciGroup' value='g' share='switch' spare='{}'/>"
    for spare, caught in ((1, False), (2, True)):
        found = short(sample_wishes([*switch, device('a', 3, 0, 'g')], rows=row.format(spare)))
        yield f'{spare} spare of a group that has one', [] if bool(found) == caught else found or ['not caught']
    free = slots.count(sample_wishes(switch, rows=row.format(2)))
    yield 'the slots of a group count for nobody else', [] if free['pcie'] == 0 else [f'{free} are free']


def self_test():
    """(what, faults) for each check: it catches what is broken and passes what is not"""
    root = sample_controller(0, 'pci-root')
    bridge = sample_controller(1, 'pci-bridge', 0)
    good = sample(root, bridge, sample_device('a', 0, 2), sample_device('b', 1, 1))
    guest = Guest(good)

    def caught(found):
        return [] if found else ['not caught']

    yield 'a moved address', caught(moved(guest, Guest(sample(root, bridge, sample_device('a', 0, 3), sample_device('b', 1, 1)))))
    yield 'a moved PCI controller', caught(moved(guest, Guest(sample(root, sample_controller(1, 'pci-bridge', 0, 5)))))
    yield 'a lost address', caught(moved(guest, Guest(sample(root, bridge, "<rng model='virtio'><alias name='ua-a'/></rng>"))))
    yield 'a shared address', caught(shared(Guest(sample(root, bridge, sample_device('a', 0, 1)))))
    yield from self_test_functions()
    yield from self_test_groups()
    yield 'a controller plugged into itself', caught(unreachable(Guest(sample(root, sample_controller(1, 'pci-bridge', 1)))))
    yield 'a cycle of controllers', caught(unreachable(Guest(sample(
        root, sample_controller(1, 'pci-bridge', 2), sample_controller(2, 'pci-bridge', 1)))))
    yield 'a controller without an address', caught(unreachable(Guest(sample(root, sample_controller(1, 'pci-bridge')))))
    yield 'a device on a bus that is not there', caught(unreachable(Guest(sample(root, sample_device('a', 1, 1)))))
    late = sample(root, sample_controller(1, 'pci-bridge', 2), sample_controller(2, 'pci-bridge', 0))
    yield 'a child before its parent in the XML passes', unreachable(Guest(late))
    yield 'one changed byte', caught(changed(good, good.replace("slot='0x02'", "slot='0x03'")))
    yield 'one line more', caught(changed(good, good + '\n'))
    yield 'a PCI controller more', caught(changed_topology(guest, Guest(sample(root, bridge, sample_controller(2, 'pci-bridge', 0, 9)))))
    yield 'a device that is gone', caught(same_guest(good, sample(root, bridge, sample_device('a', 0, 2))))
    yield 'another model of a PCI controller', caught(changed_topology(guest, Guest(good.replace('pci-bridge', 'pcie-root-port'))))
    parent = '-device pci-bridge,chassis_nr=1,id=pci.1,bus=pci.0,addr=0x1'
    child = '''-device '{"driver":"pci-bridge","id":"pci.2","bus":"pci.1","addr":"0x1"}' '''
    device = '-device virtio-rng-pci,id=r,bus=pci.2,addr=0x1'
    yield 'a child before its parent on the command line', caught(child_first_argv(f'qemu {child} {parent}'))
    yield 'a device before its bus on the command line', caught(child_first_argv(f'qemu {parent} {device} {child}'))
    expanders = Guest(sample(
        sample_controller(0, 'pcie-root'),
        *(sample_controller(index, 'pcie-expander-bus', 0, index).replace('<address', f"<target busNr='{chosen}'/><address")
          for index, chosen in ((1, 254), (2, 252), (3, 200))),
        sample_controller(4, 'pcie-root-port', 1, 0), sample_controller(5, 'pcie-root-port', 1, 1), sample_controller(6, 'pcie-root-port', 2, 0)))
    yield 'bus numbers below expander buses', unless(
        (found := expander_numbers(expanders, {200})) == {1: (254, 197), 2: (252, 195)}, f'{found}')
    yield 'bus numbers below expander buses, all chosen', unless(
        (found := expander_numbers(expanders, set())) == {1: (254, 253), 2: (252, 251), 3: (200, 249)}, f'{found}')
    yield from self_test_wishes()
    yield 'a good guest passes', (
        moved(guest, guest) + shared(guest) + unreachable(guest) + changed(good, good) +
        changed_topology(guest, guest) + same_guest(good, good) + child_first_argv(f'qemu {parent} {child} {device}'))


def plain(text):
    """A domain's XML without what only the series knows"""
    text = re.sub(r' *<preferences>.*?</preferences>\n', '', text, flags=re.S)
    text = re.sub(r" (hotpluggable|busHint|preferredConnection|group)='[^']*'", '', text)
    return re.sub(r' *<target/>\n', '', text)


def unless(condition, fault):
    return [] if condition else [fault]
