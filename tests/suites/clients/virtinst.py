# SPDX-License-Identifier: LGPL-2.1-or-later
"""virt-install, virt-xml and virt-clone, and "virsh edit" """

import re
import xml.etree.ElementTree as ET

import linux
from client import SLOTS, image, takes
from lab import Q35, Broken, address, disk, models, nic, rng
from slots import free_ports, free_slots
from topology import Guest, changed, changed_topology, lost, unless, unlike

# without this virt-install adds 14 root ports to each guest
NO_PORTS = ('--controller', 'type=pci,model=pcie-root')
QUIET = ('--osinfo', 'detect=off,require=off', '--graphics', 'none', '--noautoconsole', '--check', 'path_in_use=off')
INIT = '#!/bin/busybox sh\n/bin/busybox poweroff -f\n'


def promise(slots, name='pcieHotplugSlots'):
    return ('--xml', f'./preferences/preference/@name={name}', '--xml', f'./preferences/preference/@value={slots}')


def promised(slots):
    """What Guest.preferences has then"""
    return [{'name': 'pcieHotplugSlots', 'value': str(slots)}]


def arguments(name, disk, *more, network='user,model=virtio'):
    # of the usual USB controllers several have the same alias
    return ('--name', name, '--memory', '256', '--virt-type', 'qemu', '--machine', 'q35', *QUIET, '--import', '--controller', 'type=usb,model=qemu-xhci',
            '--disk', f'path={disk},bus=virtio', '--network', network, *more)


def plug_by_virt_xml(client, name):
    return lambda _: client.virt('virt-xml', name, '--add-device', '--network', 'user,model=virtio', '--update', '--no-define')


def virt_install(bench, daemon, client):
    def point(text):
        return bench.point('virt-install', Q35, text)

    drive = image(daemon, 'created')
    with point(f'creates a guest with a promise of {SLOTS} slots, given by --xml: it runs, takes {SLOTS} NICs and no more') as faults:
        client.must_virt('virt-install', *arguments('created', drive, *NO_PORTS, *promise(SLOTS)))
        faults += unlike(promised(SLOTS), Guest(daemon.dump('created')))
        faults += takes(daemon, 'created', SLOTS, plug_by_virt_xml(client, 'created'))

    with point('without a promise it takes one and no more') as faults:
        client.must_virt('virt-install', *arguments('bare', image(daemon, 'bare'), *NO_PORTS))
        faults += takes(daemon, 'bare', 1, plug_by_virt_xml(client, 'bare'))

    with point('--print-xml, then define: the same topology') as faults:
        text = client.must_virt('virt-install', *arguments('printed', drive, '--print-xml', *NO_PORTS, *promise(SLOTS)))
        wanted = Guest(daemon.dump('created'))
        dump = daemon.define('printed', text)
        faults += changed_topology(wanted, Guest(dump)) + unlike(wanted.preferences, Guest(dump))
        faults += unless(free_ports(Guest(dump)) == SLOTS, f'{free_ports(Guest(dump))} slots are free')

    with point('installs from a kernel: afterwards the same topology, with what was promised') as faults:
        try:
            kernel, busybox = linux.kernel('x86_64'), linux.busybox('x86_64')
        except linux.Missing as why:
            raise Broken(why) from None
        initrd = linux.initial(daemon.root / 'work' / 'initrd', busybox, INIT)
        how = [word for word in arguments('installed', image(daemon, 'installed'), *NO_PORTS, *promise(SLOTS)) if word != '--import']
        client.must_virt('virt-install', *how, '--noreboot', '--wait', '10',
                         '--install', f'kernel={kernel},initrd={initrd},kernel_args=console=ttyS0 panic=-1')
        daemon.wait_for('installed', 'shut off')
        dump = daemon.dump('installed')
        faults += unless('<kernel>' not in dump, 'it has the kernel of the installation still')
        faults += changed_topology(Guest(daemon.dump('created')), Guest(dump)) + unlike(promised(SLOTS), Guest(dump))

    with point('its own 14 root ports count as free slots: nothing is added for a promise of 3, and more for one of 20') as faults:
        found = {}
        for slots in (None, SLOTS, 20):
            text = client.must_virt('virt-install', *arguments('ports', drive, '--print-xml', *(promise(slots) if slots else ())))
            faults += unless(text.count('"pcie-root-port"') == 14, f'it lists {text.count("pcie-root-port")} root ports')
            guest = Guest(daemon.define('ports', text))
            found[slots] = models(guest)
            daemon.must('undefine ports')
        faults += unless(found[None] == found[SLOTS], f'without: {found[None]}, with 3: {found[SLOTS]}')
        faults += unless(free_ports(guest) == 20, f'{free_ports(guest)} slots are free of 20')

    for hint, where in (('busHint=pci', 'pcie-to-pci-bridge'), ('hotpluggable=no', 'pcie-root'), (None, 'pcie-root-port')):
        with point(f'a NIC with {hint or "no hint"}: is on {where}') as faults:
            asked = f',xpath1.set=./address/@type=pci,xpath2.set=./address/@{hint}' if hint else ''
            text = client.must_virt('virt-install', *arguments('hint', drive, '--print-xml', *NO_PORTS, network=f'user,model=virtio{asked}'))
            dump = daemon.define('hint', text)
            guest = Guest(dump)
            bus = guest.pci_addresses()['interface user no. 1'][1]
            faults += unless(guest.controllers[bus].get('model') == where, f'it is on {guest.controllers[bus].get("model")}')
            faults += unless(not hint or hint.split('=')[0] in dump, 'the hint is lost')
            daemon.must('undefine hint')

    with point('a promise that the machine cannot keep is refused in words that say why, and nothing is defined') as faults:
        ok, text = client.virt('virt-install', *arguments('refused', drive, *promise(SLOTS)), '--machine', 'pc')
        faults += unless(not ok, 'it is accepted') or unless('pcieHotplugSlots' in text, text)
        faults += unless(not daemon.run('dominfo refused')[0], 'it is defined')
    for name in ('created', 'bare'):
        daemon.must(f'destroy {name}')


HINTED = rng('cold', address(hints="hotpluggable='no'")) + rng('deep', address(hints="preferredConnection='pcie-switch-downstream-port'"))


def edited(before, after, expected):
    """Faults: lines other than EXPECTED (a pattern) differ between two definitions"""
    old, new = before.splitlines(), after.splitlines()
    return [f'also changed: {line.strip()}' for line in set(old) ^ set(new) if not re.search(expected, line)]


def virt_xml(bench, daemon, client):
    def point(text):
        return bench.point('virt-xml', Q35, text)

    def edit(*how):
        """The definition before and after"""
        before = daemon.dump('x')
        client.must_virt('virt-xml', 'x', *how, '--define')
        return before, daemon.dump('x')

    daemon.define('x', Q35.domain('x', HINTED + nic('first', mac=1), {'pcieHotplugSlots': SLOTS}))
    for what, how, pattern in (('memory', ('--edit', '--memory', '128'), 'emory'),
                               ('a description', ('--edit', '--metadata', 'description=edited'), '<description>'),
                               ('the model of a NIC', ('--edit', 'mac=52:54:00:00:00:01', '--network', 'model=e1000e'), '<model type=')):
        with point(f'edits {what}: no other line of the definition changes, so promise, hints and addresses stay') as faults:
            before, after = edit(*how)
            faults += edited(before, after, pattern) + unless(before != after, 'nothing was edited')

    with point('adds a device: it takes a slot that was free, and as many are free again') as faults:
        before, after = edit('--add-device', '--network', 'user,model=virtio,mac=52:54:00:00:00:77')
        faults += arrived(before, after) + unlike(Guest(before).preferences, Guest(after)) + lost(Guest(before).hints(), Guest(after))
        faults += unless(free_ports(Guest(after)) == SLOTS, f'{free_ports(Guest(after))} slots are free')

    with point('removes it: nothing else moves, no slot goes') as faults:
        before, after = edit('--remove-device', '--network', 'mac=52:54:00:00:00:77')
        faults += changed_topology(Guest(before), Guest(after)) + unlike(Guest(before).preferences, Guest(after)) + lost(Guest(before).hints(), Guest(after))

    with point('without a promise a device that is added takes the spare slot, and none is free then') as faults:
        before = daemon.define('s', Q35.domain('s', nic('first', mac=1)))
        client.must_virt('virt-xml', 's', '--add-device', '--network', 'user,model=virtio', '--define')
        after = daemon.dump('s')
        faults += arrived(before, after) + unless(free_ports(Guest(after)) == 0, f'{free_ports(Guest(after))} slots are free')

    with point('raises the promise: slots are added; lowers it: none goes') as faults:
        for value in (6, 2):
            before, after = edit('--edit', '--xml', f'./preferences/preference/@value={value}')
            faults += unlike(promised(value), Guest(after))
            faults += unless(free_ports(Guest(after)) == 6, f'{free_ports(Guest(after))} slots are free')
            faults += grown(Guest(before), Guest(after))

    with point('a promise that is no number is refused, and the definition stays as it was') as faults:
        before = daemon.dump('x')
        ok, text = client.virt('virt-xml', 'x', '--edit', '--xml', './preferences/preference/@value=many', '--define')
        faults += unless(not ok, 'it is accepted') or unless('pcieHotplugSlots' in text, text)
        faults += changed(before, daemon.dump('x'))

    with point('adds a device to the running guest: it takes a free slot there, and nothing else moves') as faults:
        daemon.must('start x --paused')
        before = daemon.dump('x', live=True)
        ok, text = plug_by_virt_xml(client, 'x')(0)
        faults += unless(ok, text) + arrived(before, daemon.dump('x', live=True)) + daemon.misplaced('x')
        daemon.must('destroy x')

    with bench.point('virsh edit', Q35, "Debian's virsh: no other line of the definition changes") as faults:
        before = daemon.dump('x')
        ok, text = client.virsh('edit', 'x', EDITOR='sed -i s/131072/262144/')
        faults += unless(ok, text) + edited(before, daemon.dump('x'), 'emory') + unless(daemon.dump('x') != before, 'nothing was edited')


def grown(before, after):
    """As changed_topology(), but controllers may come"""
    return [fault for fault in changed_topology(before, after) if ' was None and ' not in fault]


def arrived(before, after):
    """Faults: not one device came, at a slot that was free, with nothing else moved"""
    old, new = Guest(before), Guest(after)
    came = {key: where for key, where in new.pci_addresses().items() if key not in old.devices and not key.startswith('PCI controller')}
    faults = unless(len(came) == 1, f'{len(came)} devices came: {came}')
    faults += [f'{key} is at {where}, which was not free' for key, where in came.items() if where[1:3] not in free_slots(old)['pcie']]
    return faults + grown(old, new)


def virt_clone(bench, daemon, client):
    with bench.point('virt-clone', Q35, 'the clone has the same addresses, promise and hints, and starts') as faults:
        text = Q35.domain('o', HINTED + nic('first', mac=1) + disk(image(daemon, 'original')), {'pcieHotplugSlots': SLOTS})
        before = daemon.define('o', text)
        client.must_virt('virt-clone', '-o', 'o', '-n', 'c', '--auto-clone')
        after = daemon.dump('c')
        faults += edited(before, after, '<name>|<uuid>|<mac |<source ') + lost(Guest(before).hints(), Guest(after))
        faults += unless(all(ET.fromstring(before).findtext(tag) != ET.fromstring(after).findtext(tag) for tag in ('name', 'uuid')), 'it is no clone')
        daemon.must('start c --paused')
        faults += daemon.misplaced('c')
        daemon.must('destroy c')
