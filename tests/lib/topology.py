# SPDX-License-Identifier: LGPL-2.1-or-later
"""What must hold for the PCI addresses of a domain, checked on the XML that dumpxml prints.

Each check returns a list of faults, empty if all is well.
"""

import json
import re
import shlex
import xml.etree.ElementTree as ET

ROOTS = ('pci-root', 'pcie-root')
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
        for element in ET.fromstring(xml).find('devices'):
            alias = element.find('alias')
            if element.tag in NOT_DEVICES:
                continue
            if element.get('type') == 'pci' and element.tag == 'controller' and element.get('index') is not None:
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


def moved(before, after):
    """Devices that are in both but at another address. Only who has one can lose it."""
    old, new = before.addresses(), after.addresses()
    return [f'{key} moved from {old[key]} to {new[key]}'
            for key in old if old[key] and key in new and new[key] != old[key]]


def shared(guest):
    users = {}
    for key, address in guest.pci_addresses().items():
        users.setdefault(address, []).append(key)
    return [f'{show(address)} is shared by {", ".join(keys)}'
            for address, keys in users.items() if len(keys) > 1]


def unreachable(guest):
    """PCI controllers that do not lead to a root, and devices on buses that are not there."""
    parents = guest.parents()
    faults = []
    for index in parents:
        bus, seen = index, set()
        while bus is not None and bus in parents and bus not in seen:
            seen.add(bus)
            bus = parents[bus]
        if bus is not None:
            faults.append(f'PCI controller {index} does not reach the root: '
                          f'{"it has no address" if parents[index] == -1 else f"bus {bus}"}')
    faults += [f'{key} is on bus {address[1]}, which is not there'
               for key, address in guest.pci_addresses().items() if address[1] not in parents]
    return faults


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
    yield 'another model of a PCI controller', caught(changed_topology(guest, Guest(good.replace('pci-bridge', 'pcie-root-port'))))
    parent = '-device pci-bridge,chassis_nr=1,id=pci.1,bus=pci.0,addr=0x1'
    child = '''-device '{"driver":"pci-bridge","id":"pci.2","bus":"pci.1","addr":"0x1"}' '''
    device = '-device virtio-rng-pci,id=r,bus=pci.2,addr=0x1'
    yield 'a child before its parent on the command line', caught(child_first_argv(f'qemu {child} {parent}'))
    yield 'a device before its bus on the command line', caught(child_first_argv(f'qemu {parent} {device} {child}'))
    yield 'a good guest passes', (
        moved(guest, guest) + shared(guest) + unreachable(guest) + changed(good, good) +
        changed_topology(guest, guest) + child_first_argv(f'qemu {parent} {child} {device}'))
