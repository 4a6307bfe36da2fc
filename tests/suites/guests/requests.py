# SPDX-License-Identifier: LGPL-2.1-or-later
"""One device, asked for in one way or another: what it gets, or what the refusal says, is the same."""

import itertools
import json
import re

import embedded
import slots
from lab import PC, PRISTINE, PSERIES, Q35, Broken, Machine, address, models, nic, pci, preference, rng
from parts import hint, refusal
from topology import Guest, changed, dishonoured, shared, show, unless, unreachable

S390X = Machine('s390-ccw-virtio', 's390x', 's390-ccw-virtio', False, 's390x', False)
ROOT = pci('pcie-root', 0)


def on(bench, machine, what):
    """A point for MACHINE, or None if it is skipped"""
    return bench.point('requests', machine, what) if bench.have(machine, 'requests') else None


def place(guest, name):
    where = guest.pci_addresses().get(f'ua-{name}')
    return where and show(where)


# -- zPCI ids are part of what is asked for -----------------------------------------------------------

ZPCI = "<address type='pci'><zpci uid='0x0042' fid='0x00000077'/></address>"


def zpci_of(text, name):
    found = Guest(text).devices.get(f'ua-{name}')
    found = None if found is None else found.find('address/zpci')
    return None if found is None else (int(found.get('uid'), 0), int(found.get('fid'), 0))


def zpci(bench):
    for how in ('--config', '--live', '--live --config'):
        if not (point := on(bench, S390X, f'attach-device {how} keeps the zPCI ids that are written')):
            return
        with bench.lab() as lab, point as faults:
            lab.define('g', S390X.domain('g', plain=False))
            lab.must('start g --paused')
            ok, text = lab.attach('g', rng('z', ZPCI), how)
            faults += unless(ok, text.strip())
            for live in (True, False):
                if ('--live' if live else '--config') in how:
                    ids = zpci_of(lab.dump('g', live=live), 'z')
                    faults += unless(ids == (0x42, 0x77), f'{"running" if live else "stored"}: it has {ids}')
    with bench.lab() as lab, on(bench, S390X, 'update-device --config keeps the slot, and takes the zPCI ids that are written') as faults:
        before = Guest(lab.define('g', S390X.domain('g', nic('z', 'virtio', "<address type='pci'/>", mac=1), plain=False)))
        for ids in (ZPCI, ''):
            lab.must(f'update-device g {lab.file(nic("z", "virtio", ids, mac=1))} --config')
            after = lab.dump('g')
            faults += unless(zpci_of(after, 'z') == (0x42, 0x77), f'it has {zpci_of(after, "z")}')
            faults += unless(place(Guest(after), 'z') == place(before, 'z'), f'it moved to {place(Guest(after), "z")}')


# -- an update -------------------------------------------------------------------------------------------

def update_keeps_place(bench):
    def updated(lab, xml):
        """Where the device is after an update"""
        lab.must(f'update-device g {lab.file(xml)} --config')
        return Guest(lab.dump('g')).addresses()['ua-a']

    def virtio_nic(where=''):
        return nic('a', 'virtio', where, mac=1)

    if not Q35.emulator:
        on(bench, Q35, 'update-device --config')
        return
    rows = (
        # what, the device before, the update, and where it is then: 'same', or the start of an address
        ('without an address', virtio_nic(), virtio_nic(), 'same'),
        ('without the hints that it has', virtio_nic(hint("busHint='pcie'")), virtio_nic(), 'same'),
        ('with the hints that it has', virtio_nic(hint("busHint='pcie'")), virtio_nic(hint("busHint='pcie'")), 'same'),
        ('with another hint', virtio_nic(), virtio_nic(hint("hotpluggable='no'")), '0000:00:'),
        ('with another hint than it has', virtio_nic(hint("hotpluggable='no'")), virtio_nic(hint("hotpluggable='yes'")), '0000:0'),
        ('of a disk from virtio to sata', disk_on('virtio'), disk_on('sata'), 'bus=0 controller=0 target=0 type=drive'),
        ('of a disk from sata to virtio', disk_on('sata'), disk_on('virtio'), '0000:0'),
    )
    for what, before, update, where in rows:
        with bench.lab() as lab, on(bench, Q35, f'update-device --config {what}') as faults:
            old = Guest(lab.define('g', Q35.domain('g', before, {'pcieHotplugSlots': 3})))
            new = updated(lab, update)
            is_same = new == old.addresses()['ua-a']
            faults += unless(is_same if where == 'same' else not is_same and where in new, f'it was at {old.addresses()["ua-a"]} and is at {new}')
            after = Guest(lab.dump('g'))
            faults += dishonoured(after) + shared(after)


def disk_on(bus):
    return (f"<disk type='file' device='disk'><source file='/images/a'/><target dev='vda' bus='{bus}'/><alias name='ua-a'/></disk>")


def same_place_in_both(bench):
    """attach-device --live --config, where one has a device more than the other"""
    for machine, (what, first) in itertools.product((Q35, PC, PSERIES), (
            ('as many devices', None), ('a device more in the running guest', '--live'), ('a device more in the definition', '--config'))):
        if not (point := on(bench, machine, f'attach-device --live --config, with {what}')):
            continue
        with bench.lab() as lab, point as faults:
            lab.define('g', machine.domain('g', rng('cold'), {'pcieHotplugSlots' if machine.express else 'pciHotplugSlots': 4}))
            lab.must('start g --paused')
            for name, how in (('first', first), ('second', '--live --config')):
                if how:
                    ok, text = lab.attach('g', rng(name), how)
                    faults += unless(ok, text.strip())
            live, stored = (Guest(lab.dump('g', live=live)) for live in (True, False))
            faults += shared(live) + shared(stored) + lab.misplaced('g')
            same = place(live, 'second') == place(stored, 'second')
            # the definition may have given that place away
            faults += unless(same != (first == '--config'), f'it is at {place(live, "second")} and will be at {place(stored, "second")}')


def update_to_no_pci(bench):
    for machine, model in ((PSERIES, 'spapr-vlan'), (Q35, 'usb-net')):
        if not (point := on(bench, machine, f'update-device --config from virtio to {model}: as without the series')):
            continue
        found = []
        with point as faults:
            for options in ({}, {'build': PRISTINE}):
                with bench.lab(**options) as lab:
                    lab.define('g', machine.domain('g', nic('a', 'virtio', mac=1)))
                    ok, text = lab.run(f'update-device g {lab.file(nic("a", model, mac=1))} --config')
                    where = Guest(lab.dump('g')).addresses()['ua-a']
                    found.append(f'at {where}' if ok else f'refused, and at {where}')
            faults += unless(found[0] == found[1], f'it is {found[0]}, and without the series {found[1]}')


def update_checks_hints(bench):
    for what, given in (("hotpluggable='no' beside bus 1", "hotpluggable='no'"), ("busHint='pci' beside a root port", "busHint='pci'"),
                        ("preferredConnection beside another controller", "preferredConnection='pcie-switch-downstream-port'")):
        if not (point := on(bench, Q35, f'update-device --config, {what}: refused as define does')):
            return
        with bench.lab() as lab, point as faults:
            dump = lab.define('g', Q35.domain('g', nic('a', 'virtio', mac=1)))
            bus, slot = Guest(dump).pci_addresses()['ua-a'][1:3]
            ok, text = lab.run(f'update-device g {lab.file(nic("a", "virtio", address(bus, slot, hints=given), mac=1))} --config')
            faults += unless(not ok, 'it is accepted') + unless(ok or '52:54:00:00:00:01' in text, f'the device is not named: {text.strip()}')
            faults += changed(dump, lab.dump('g'))
            for command in (f'define {lab.file(lab.dump("g"))}', f'attach-device g {lab.file(rng("b"), "b.xml")} --config'):
                ok, text = lab.run(command)
                faults += unless(ok, f'afterwards: {text.strip()}')


# -- written addresses ------------------------------------------------------------------------------------

def order_of_devices(bench):
    rows = (
        (Q35, 'bus 2 slot 1 of a bridge, bus 1 of a port', (nic('a', 'rtl8139', address(2, 1), mac=1), nic('b', 'virtio', address(1), mac=2))),
        (Q35, 'two bridges and a port', (nic('a', 'rtl8139', address(2, 1), mac=1), nic('b', 'rtl8139', address(3, 4), mac=2), rng('c', address(1)))),
        (Q35, 'a port far away and a device without an address', (rng('a', address(9)), nic('b', 'rtl8139', mac=2), rng('c'))),
        (PC, 'bridges', (rng('a', address(3, 1)), rng('b', address(1, 1)), rng('c', address(2, 31)))),
        (PSERIES, 'PHBs', (rng('a', address(3, 1)), rng('b', address(1, 1)), rng('c', address(2, 31)))),
    )
    for machine, what, devices in rows:
        if not (point := on(bench, machine, f'the order of devices does not matter: {what}')):
            continue
        with bench.lab() as lab, point as faults:
            results = {}
            for order in itertools.permutations(devices):
                ok, text = lab.virsh.define_once('g', machine.domain('g', ''.join(order)))
                guest = Guest(text) if ok else None
                results[str(sorted(guest.addresses().items())) if ok else text.strip()] = order
                if ok:
                    faults += unreachable(guest) + shared(guest)
            faults += unless(len(results) == 1, f'{len(results)} results: {" | ".join(results)}')
            faults += unless(all(not text.startswith('error') for text in results), 'it is refused')


def far_buses(bench):
    rows = (
        (Q35, 'a NIC on bus 0xf5', nic('a', 'virtio', address(0xf5), mac=1)),
        (Q35, 'a conventional NIC on bus 0xf5', nic('a', 'rtl8139', address(0xf5, 1), mac=1)),
        (PSERIES, 'a NIC on bus 0x22', nic('a', 'virtio', address(0x22, 1), mac=1)),
        (PC, 'a NIC on bus 0xff', nic('a', 'virtio', address(0xff, 1), mac=1)),
        (Q35, 'a gap that is filled with what is written on it', ROOT + pci('pcie-root-port', 2) + nic('a', 'rtl8139', address(1, 2), mac=1)),
    )
    for machine, what, devices in rows:
        if not (point := on(bench, machine, f'{what}: planned, and it starts')):
            continue
        with bench.lab() as lab, point as faults:
            xml = machine.domain('g', devices)
            guest = Guest(lab.define('g', xml))
            wanted = Guest(xml).pci_addresses()['ua-a']
            faults += unless(guest.pci_addresses().get('ua-a') == wanted, f'it is at {place(guest, "a")}')
            faults += unreachable(guest) + shared(guest)
            lab.must('start g --paused')
            faults += lab.misplaced('g')


def all_phbs(bench):
    """QEMU has room for 31 PHBs; what is more sits behind bridges."""
    for number, expected in ((30 * 31, {'pci-root': 30}), (31 * 31, {'pci-root': 31}), (31 * 31 + 1, {'pci-root': 31, 'pci-bridge': 1})):
        if not (point := on(bench, PSERIES, f'{number} free slots: {expected}')):
            return
        with bench.lab() as lab, point as faults:
            guest = Guest(lab.define('g', PSERIES.domain('g', '', {'pciHotplugSlots': number})))
            faults += unless(models(guest) == expected, f'controllers: {models(guest)}')
            lab.must('start g --paused')
            faults += lab.misplaced('g', empty=True)


def companions(bench):
    """The parts of a USB2 controller share a slot, whatever the domain prefers."""
    def usb2(master):
        return (f"<controller type='usb' index='7' model='ich9-ehci1'><alias name='ua-ehci'/>{master}</controller>" +
                ''.join(f"<controller type='usb' index='7' model='ich9-uhci{n}'><alias name='ua-uhci{n}'/>"
                        f"<master startport='{2 * n - 2}'/></controller>" for n in (1, 2, 3)))

    for machine, prefer, (what, master) in itertools.product((Q35, PC, PSERIES), ('no', 'yes'), (
            ('has no address', ''), ('is on bus 1', address(1, 3, 7)), ('is on bus 2', address(2, 3, 7)),
            ('prefers a bridge', hint("preferredConnection='pci-bridge'")))):
        if 'bridge' in what and machine is Q35:
            # the chipset has its place, and that is no bridge
            continue
        if not (point := on(bench, machine, f"a USB2 controller that {what}, in a domain of hotpluggable '{prefer}': its companions follow")):
            continue
        with bench.lab() as lab, point as faults:
            places = []
            for prefs in ({}, {'hotpluggable': prefer}):
                lab.run('undefine g')
                xml = machine.domain('g', usb2(master), prefs).replace("<controller type='usb' model='none'/>", '')
                guest = Guest(lab.define('g', xml))
                places.append({name: place(guest, name[3:]) for name in guest.devices if name.startswith('ua-')})
            faults += unless(places[0] == places[1], f'they are at {places[1]}, and in a domain that prefers nothing at {places[0]}')
            faults += shared(guest) + unreachable(guest)
            lab.must('start g --paused')
            faults += lab.misplaced('g')


# -- which slot a live device takes --------------------------------------------------------------------

def live_kinds(bench):
    """A conventional device takes a PCI Express port where there is nothing else, and nobody asked for something else."""
    rows = (
        # what, the device, preferences, class of the slot that it gets or None if it is refused
        ('a conventional NIC takes a conventional slot while there is one', nic('l', 'rtl8139', mac=1),
         {'pcieHotplugSlots': 1, 'pciHotplugSlots': 1}, 'pci'),
        ('a conventional NIC takes a port if there is nothing else', nic('l', 'rtl8139', mac=1), {'pcieHotplugSlots': 1}, 'pcie'),
        ("busHint='pci' takes no port", nic('l', 'rtl8139', hint("busHint='pci'"), mac=1), {'pcieHotplugSlots': 1}, None),
        ('a PCI Express device takes no conventional slot', nic('l', 'e1000e', mac=1), {'pcieHotplugSlots': 0, 'pciHotplugSlots': 1}, None),
        ("hotpluggable='no' is refused", rng('l', hint("hotpluggable='no'")), {'pcieHotplugSlots': 1}, None),
        ("hotpluggable='no' of the domain does not matter", rng('l'), {'pcieHotplugSlots': 1, 'hotpluggable': 'no'}, 'pcie'),
    )
    for what, device, prefs, kind in rows:
        if not (point := on(bench, Q35, f'attach-device --live, {what}')):
            return
        with bench.lab() as lab, point as faults:
            lab.define('g', Q35.domain('g', '', prefs))
            lab.must('start g --paused')
            ok, text = lab.attach('g', device, '--live')
            guest = Guest(lab.dump('g', live=True))
            where = guest.pci_addresses().get('ua-l')
            found = where and slots.HOTPLUG[guest.controllers[where[1]].get('model')][0]
            faults += unless(found == kind, f'its slot is {found}: {text.strip()}') + lab.misplaced('g', empty=not guest.pci_addresses())
            faults += unless(ok or 'internal error' not in text, text.strip())


# -- a live refusal says what is needed, for what, and what helps ---------------------------------------

PREFERENCE = re.compile(r"preference '(\w+)'")


def live_refusals(bench):
    rows = [
        # machine, what, device, what the message has to name
        (Q35, 'a PCI Express device', rng('l'), ('rng', 'PCI Express')),
        (Q35, 'a conventional NIC', nic('l', 'rtl8139', mac=1), ("interface '52:54:00:00:00:01'", 'conventional')),
        (Q35, "busHint='pci'", rng('l', hint("busHint='pci'")), ('rng', 'conventional')),
        (Q35, "busHint='pcie' of an rtl8139", nic('l', 'rtl8139', hint("busHint='pcie'"), mac=1),
         ("interface '52:54:00:00:00:01'", 'PCI Express')),
        *((Q35, f'preferredConnection {model}', rng('l', hint(f"preferredConnection='{model}'")), ('rng', model))
          for model in ('pcie-switch-downstream-port', 'pcie-root-port', 'pcie-to-pci-bridge', 'pci-bridge')),
        (PSERIES, 'preferredConnection pci-bridge', rng('l', hint("preferredConnection='pci-bridge'")), ('rng', 'pci-bridge')),
        (PC, 'preferredConnection pci-bridge', rng('l', hint("preferredConnection='pci-bridge'")), ('rng', 'pci-bridge')),
    ]
    for machine, what, device, named in rows:
        if not (point := on(bench, machine, f'{what} without a slot: the message names it, its need, and what helps')):
            continue
        with bench.lab() as lab, point as faults:
            lab.define('g', machine.domain('g', ROOT + rng('cold') if machine is Q35 else rng('cold'), {'pcieHotplugSlots': 0} if machine.express else {}))
            lab.must('start g --paused')
            ok, text = lab.attach('g', device, '--live')
            faults += unless(not ok, 'it is accepted')
            faults += unless(re.search(r'^error: (?!internal error)[a-z ]+: No more available PCI slots', text, re.M), f'not refused as it should be: {text.strip()}')
            faults += [f'the message does not name {name}: {text.strip()}' for name in named if name not in text]
            advised = PREFERENCE.findall(text)
            for preference in advised:
                lab.must('destroy g')
                lab.must('undefine g')
                lab.define('g', machine.domain('g', rng('cold'), {preference: 1}))
                lab.must('start g --paused')
                helped, answer = lab.attach('g', device, '--live')
                faults += unless(helped, f'{preference} is advised and does not help: {answer.strip()}')


def live_disk(bench):
    """A SCSI disk brings its controller: the message names both, and what the controller needs."""
    if not (point := on(bench, Q35, 'a SCSI disk that brings its controller, without a slot: the message names both')):
        return
    with bench.lab() as lab, point as faults:
        image = lab.root / 'work' / 'image'
        with open(image, 'wb') as empty:
            empty.truncate(1 << 20)
        lab.define('g', Q35.domain('g', ROOT + rng('cold'), {'pcieHotplugSlots': 0}))
        lab.must('start g --paused')
        ok, text = lab.attach('g', f"<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{image}'/>"
                                   "<target dev='sda' bus='scsi'/></disk>", '--live')
        faults += unless(not ok, 'it is accepted') + refusal(text, "disk 'sda'", 'controller', 'conventional', 'pciHotplugSlots')


# -- hints of another release --------------------------------------------------------------------------

def unknown_hints(bench):
    known = "busHint='pcie'"
    for what, text in (('busHint', "busHint='cxl'"), ('hotpluggable', "hotpluggable='sometimes'"),
                       ('preferredConnection', "preferredConnection='cxl-port'")):
        if not (point := on(bench, Q35, f'an unknown {what} in a definition on disk: loaded, kept, without effect')):
            return
        with bench.lab() as lab, point as faults:
            dump = lab.define('g', Q35.domain('g', rng('a', hint(known))))
            lab.virsh.close()
            path = lab.definition('g')
            path.write_text(path.read_text().replace(known, text))
            listed = lab.must('list --all --name').split()
            faults += unless('g' in listed, 'the domain is gone')
            if 'g' not in listed:
                continue
            faults += changed(dump.replace(known, text), lab.dump('g'))
            lab.must('desc g --config --title named')
            faults += unless(text in path.read_text(), 'it is lost when the definition is written')
            lab.must('start g --paused')
            faults += lab.misplaced('g')
            lab.must('destroy g')
            # one who writes it is told
            ok, answer = lab.run(f'define {lab.file(lab.dump("g"))}')
            faults += unless(not ok and what in answer, f'define: {answer.strip() or "accepted"}')


# -- what is only seen in what the driver reserves -------------------------------------------------------

def spare_dmi_bridge(bench):
    """The chipset has a place for the first dmi-to-pci-bridge."""
    if not (point := on(bench, Q35, 'a dmi-to-pci-bridge that is there for free slots only takes one slot')):
        return
    cache = bench.directory / 'no-pcie-to-pci-bridge'
    embedded.without_flag(bench.cache, cache, embedded.FLAG_PCIE_TO_PCI)
    with bench.lab(cache=cache, kept=True, tell=True) as lab, point as faults:
        reserved = lab.reserved(f'define {lab.file(Q35.domain("g", "", {"pciHotplugSlots": 3}))}')
        guest = Guest(lab.dump('g'))
        faults += unless([element.get('model') for element in guest.controllers.values()].count('dmi-to-pci-bridge') == 1, 'there is none')
        places = {where[1:] for where in guest.pci_addresses().values()}
        # addresses are given once the plan stands; the first of these is that of the SATA controller
        given = reserved[len(reserved) - reserved[::-1].index((0, 0x1f, 2)):]
        faults += [f'00:{slot:02x}.{function} was reserved, and nothing is there'
                   for bus, slot, function in sorted({*given} - places) if bus == 0 and slot != 0x1f]


def isolated_live(bench):
    """QEMU cannot have these devices; but the definition is made ready before it is asked."""
    if not (point := on(bench, PSERIES, 'attach-device --live --config of a host device looks for an isolated PHB in the definition as well')):
        return
    with bench.lab(host_devices=True, tell=True) as lab, point as faults:
        dump = lab.define('g', PSERIES.domain('g', pci('pci-root', 0) + pci('pci-root', 1) + rng('cold')))
        lab.must('start g --paused')
        there = {where[1:] for where in Guest(dump).pci_addresses().values()}
        found = {}
        for how in ('--config', '--live --config'):
            reserved = lab.reserved(f'attach-device g {lab.file(hostdev("h", 0))} {how}')
            found[how] = {place for place in reserved if place[0] == 0 and place not in there}
            lab.run('detach-device-alias g ua-h --config')
        faults += [f'00:{slot:02x}.{function} was reserved on the first PHB, and not with --config alone'
                   for _, slot, function in sorted(found['--live --config'] - found['--config'])]


# -- a PHB whose hotplug is switched off -----------------------------------------------------------------

NO_PROPERTY = "the 'hotplug' property on a 'pci-root' device is not supported by this QEMU"


def phb_hotplug_off(bench):
    """QEMU has no such property of PHBs. libvirt asks whether the emulator has that of i440fx, as the one of
    pseries had up to 7.2 and has no more in 10.0: both are shown, whichever is installed."""
    if not (point := on(bench, PSERIES, "hotplug='off' of a PHB, by an emulator that has the property: no slot of it is promised")):
        return
    has, lacks = bench.directory / 'has-root-hotplug', bench.directory / 'lacks-root-hotplug'
    embedded.with_flag(bench.cache, has, embedded.FLAG_ROOT_HOTPLUG)
    embedded.without_flag(has, lacks, embedded.FLAG_ROOT_HOTPLUG)
    xml = PSERIES.domain('g', pci('pci-root', 0, target="<target hotplug='off'/>") + rng('cold'), {'pciHotplugSlots': 3})
    stored = None
    with bench.lab(cache=has, kept=True) as lab, point as faults:
        dump = lab.define('g', xml)
        stored = lab.definition('g').read_text()
        guest = Guest(dump)
        faults += unless(not slots.hotplugs(guest, 0), 'it is on in the definition')
        faults += unless(len(guest.controllers) == 2 and slots.promised(guest, 'pciHotplugSlots') >= 3,
                         f'{len(guest.controllers)} PHBs, {slots.promised(guest, "pciHotplugSlots")} slots')
        shown = {row['index']: row['hotplug'] for row in json.loads(lab.must('dompci g --format json'))['controllers']}
        faults += unless(shown == {0: False, 1: True}, f'dompci: {shown}')
    with bench.lab(cache=lacks, kept=True) as lab:
        with on(bench, PSERIES, "hotplug='off' of a PHB, by an emulator without the property: refused, planned or defined") as faults:
            answers = {command: lab.run(f'{command} {lab.file(xml)}') for command in ('define', 'domxml-to-native planned-xml --xml')}
            faults += [f'{command}: {text.strip() or "accepted"}' for command, (ok, text) in answers.items() if ok or NO_PROPERTY not in text]
        with on(bench, PSERIES, 'the same in a definition of before: it is listed and shown as it was, and not started') as faults:
            if stored is None:
                raise Broken('there is none')
            lab.virsh.close()
            lab.definition('g').parent.mkdir(parents=True, exist_ok=True)
            lab.definition('g').write_text(stored)
            faults += changed(dump, lab.dump('g'))
            shown = {row['index']: row['hotplug'] for row in json.loads(lab.must('dompci g --format json'))['controllers']}
            faults += unless(shown == {0: False, 1: True}, f'dompci: {shown}')
            ok, text = lab.run('start g --paused')
            faults += unless(not ok and NO_PROPERTY in text, f'start: {text.strip()}')
            faults += unless(lab.definition('g').read_text() == stored, 'the file has changed')


# -- isolation ---------------------------------------------------------------------------------------------

def hostdev(name, which, where=''):
    domain, bus, slot, function = embedded.HOST_DEVICES[which]
    return (f"<hostdev mode='subsystem' type='pci' managed='no'><driver name='vfio'/><source><address domain='{domain}' bus='{bus}' "
            f"slot='{slot}' function='{function}'/></source><alias name='ua-{name}'/>{where}</hostdev>")


def full_but_isolated(bench):
    """31 PHBs, which are all that QEMU has; 30 are full, and the last one belongs to a device of the host."""
    if not (point := on(bench, PSERIES, 'free slots only where a host device is isolated: nothing is kept for growth')):
        return
    phbs = ''.join(pci('pci-root', index, target=f"<target index='{index}'/>") for index in range(31))
    full = ''.join(rng(f'{bus}-{slot}', address(bus, slot)) for bus in range(30) for slot in slots.HOTPLUG['pci-root'][1])
    with bench.lab(host_devices=True) as lab:
        with point as faults:
            guest = Guest(lab.define('g', PSERIES.domain('g', phbs + full + hostdev('h', 0, address(30, 1)))))
            faults += unless(len(guest.controllers) == 31, f'{len(guest.controllers)} PCI controllers')
        with on(bench, PSERIES, 'free slots only where a host device is isolated: one device more is refused by name') as faults:
            ok, text = lab.run(f'define {lab.file(PSERIES.domain("h", phbs + full + hostdev("h", 0, address(30, 1)) + nic("more", mac=1)))}')
            faults += unless(not ok, 'it is accepted')
            faults += unless(ok or ('No more available PCI slots' in text and "interface '52:54:00:00:00:01'" in text), text.strip())
        with on(bench, PSERIES, 'another device of the same group has a place there') as faults:
            guest = Guest(lab.define('i', PSERIES.domain('i', phbs + full + hostdev('h', 0, address(30, 1)) + hostdev('i', 1))))
            faults += unless(guest.pci_addresses()['ua-i'][1] == 30, f'it is at {place(guest, "i")}')


# -- windows, which the guest reads from its controllers ---------------------------------------------------

OTHER_WINDOWS = "has other 'memReserve', 'pref64Reserve' or 'ioReserve' than the source"


def other_windows(text):
    """(what, TEXT with another window), for each kind of window changed, dropped and added"""
    for name, size in (('memReserve', 4096), ('pref64Reserve', 8192), ('ioReserve', 4)):
        given = f" {name}='{size}'"
        yield f'{name} changed', text.replace(given, f" {name}='{size * 2}'", 1)
        yield f'{name} dropped', text.replace(given, '', 1)
        # the port that is promised without any has ioReserve='0'
        yield f'{name} added', text.replace(" ioReserve='0'", f" {name}='{size}'" if name == 'ioReserve' else f"{given} ioReserve='0'", 1)


def saved_windows(bench):
    if not (point := on(bench, Q35, 'a saved guest: restore --xml and save-image-define with other windows are refused')):
        return
    with bench.lab() as lab:
        image = lab.root / 'work' / 'image'
        with point as faults:
            wishes = preference('pcieHotplugSlots', 1, memReserve=4096, pref64Reserve=8192, ioReserve=4) + preference('pcieHotplugSlots', 1)
            lab.define('g', Q35.domain('g', rng('cold'), wishes))
            lab.must('start g --paused')
            live = lab.dump('g', live=True)
            lab.must(f'save g {image}')
            saved = lab.must(f'save-image-dumpxml {image}')
            # preferences stay as they are: the guest does not know them
            head, separator, devices = saved.partition('<devices>')
            for what, text in other_windows(devices):
                faults += unless(text != devices, f'{what}: it is not')
                for command in (f'save-image-define {image}', f'restore {image} --paused --xml'):
                    ok, answer = lab.run(f'{command} {lab.file(head + separator + text)}')
                    faults += unless(not ok and OTHER_WINDOWS in answer, f'{what}: {command.split()[0]}: {answer.strip() or "accepted"}')
            faults += changed(saved, lab.must(f'save-image-dumpxml {image}'))
        with on(bench, Q35, 'a saved guest: the same with the same windows are accepted, and the guest runs on') as faults:
            lab.must(f'save-image-define {image} {lab.file(saved)}')
            lab.must(f'restore {image} --paused --xml {lab.file(saved)}')
            faults += changed(re.sub(r"<domain [^>]*>", '', live), re.sub(r"<domain [^>]*>", '', lab.dump('g', live=True))) + lab.misplaced('g')
            ok, text = lab.attach('g', rng('hot'), '--live')
            faults += unless(ok, text.strip()) + lab.misplaced('g')


SCENARIOS = (zpci, update_keeps_place, same_place_in_both, update_to_no_pci, update_checks_hints, order_of_devices,
             far_buses, all_phbs, companions, live_kinds, live_refusals, live_disk, unknown_hints, spare_dmi_bridge, isolated_live,
             phb_hotplug_off, full_but_isolated, saved_windows)


def requests(bench):
    for scenario in SCENARIOS:
        scenario(bench)
