# SPDX-License-Identifier: LGPL-2.1-or-later
"""A host goes from one release of libvirt to the next, with the series on both, and back. The daemon is replaced, QEMU and
all files stay. What docs/compatibility.md says."""

import itertools
import os

from compat import kept, refused
from lab import PC, PC_NO_ACPI, Q35, VIRT, Daemon, address, disk, empty_disk, nic, preference, rng
from nodes import with_cells
from parts import guest_pid
from releases import TOP, read_releases
from slots import free_ports, promised
from topology import Guest, changed, same_guest, unless

SLOTS = 3


def hinted(name, hint, value):
    return rng(f'{hint}-{name}', address(hints=f"{hint}='{value}'"))


def all_of_it():
    """name -> XML: each preference and each hint, with each of its values"""
    q35_hints = ''.join(hinted(name, hint, value) for name, hint, value in (
        ('yes', 'hotpluggable', 'yes'), ('no', 'hotpluggable', 'no'), ('pci', 'busHint', 'pci'), ('pcie', 'busHint', 'pcie'),
        ('root', 'preferredConnection', 'pcie-root'), ('port', 'preferredConnection', 'pcie-root-port'),
        ('down', 'preferredConnection', 'pcie-switch-downstream-port'), ('conv', 'preferredConnection', 'pcie-to-pci-bridge'),
        ('bridge', 'preferredConnection', 'pci-bridge')))
    return {
        'hints': Q35.domain('hints', q35_hints, {'pcieHotplugSlots': 5, 'pciHotplugSlots': 3}),
        'cold': Q35.domain('cold', rng('a') + nic('b', mac=2), {'pcieHotplugSlots': 0, 'hotpluggable': 'no'}),
        'hot': Q35.domain('hot', rng('a'), {'hotpluggable': 'yes', 'defaultAddressType': 'pci'}),
        'pc': PC.domain('pc', rng('a') + hinted('b', 'preferredConnection', 'pci-bridge'), {'pciHotplugSlots': 40}),
        'windows': Q35.domain('windows', rng('a'), preference('pcieHotplugSlots', 2, memReserve=4096, pref64Reserve=65536) +
                              preference('pcieHotplugSlots', 1, ioReserve=4) + preference('pciHotplugSlots', 7)),
        'nodes': with_cells(Q35.domain('nodes', hinted('near', 'node', '1') + rng('a'), preference('pcieHotplugSlots', 1, node=0) +
                                       preference('hostdevPlacement', 'numa'), memory=512)),
        'groups': Q35.domain('groups', ''.join(rng(f'{name}{n}', address(hints=f"group='{name}'")) for name in ('card', 'rail', 'host') for n in (0, 1)),
                             preference('pciGroup', 'card', share='slot') + preference('pciGroup', 'rail', share='switch', spare=1) +
                             preference('pciGroup', 'host', share='root', spare=1)),
        **({'mmio': VIRT.domain('mmio', rng('a') + rng('b', address()), {'defaultAddressType': 'virtio-mmio', 'pcieHotplugSlots': 2})}
           if VIRT.emulator else {}),
    }


def pairs():
    """(release, its build, the next release, its build, those of them that are not built, or not for this run)"""
    made = os.environ.get('PCITOPO_RELEASES')
    found = read_releases()
    versions = sorted((name for name in found.sections() if found[name].get('status') == 'supported'), key=lambda name: [*map(int, name.split('.'))])
    for one, two in itertools.pairwise(versions):
        builds = [TOP / 'build' / version / 'obj' for version in (one, two)]
        missing = [version for version, build in zip((one, two), builds)
                   if not (build / 'src' / 'virtqemud').exists() or made is not None and version not in made.split()]
        yield one, builds[0], two, builds[1], missing


def upgrade(bench):
    if not bench.have(Q35, 'upgrade'):
        return
    why = Daemon.missing()
    for one, old, two, new, missing in pairs():
        if why or missing:
            bench.tap.skip(f'upgrade: {one} to {two}', why or f'{" and ".join(missing)} is not built for this run: "./scripts/test guests" does that')
            continue
        there, back = f'{one} → {two}', f'{two} → {one}'
        definitions(bench, old, new, there, back)
        for machine, preference in ((Q35, 'pcieHotplugSlots'), (PC_NO_ACPI, 'pciHotplugSlots')):
            saved(bench, old, new, there, machine, preference)
            running(bench, old, new, there, machine, preference)
        saved(bench, new, old, back, PC_NO_ACPI, 'pciHotplugSlots')


def targets(text):
    """index of a controller -> what its <target> says: of windows, group and NUMA node, among others"""
    found = {index: element.find('target') for index, element in Guest(text).controllers.items()}
    return {index: {**target.attrib, 'node': target.findtext('node')} for index, target in found.items() if target is not None}


def same(before, daemon, name, live=False):
    """Faults: a device or controller is elsewhere or gone, preferences or hints are others"""
    after = daemon.dump(name, live=live)
    return same_guest(before, after) + kept(before, after) + unless(targets(before) == targets(after), f'{targets(before)} became {targets(after)}')


def definitions(bench, old, new, there, back):
    with bench.daemon(1, old) as daemon:
        dumps, files = {}, {}
        with bench.point('upgrade', there, 'definitions with each preference and hint, autostart, a snapshot: all as they were, files untouched') as faults:
            for name, xml in all_of_it().items():
                dumps[name] = daemon.define(name, xml)
            dumps['snapped'] = daemon.define('snapped', snapped(empty_disk(daemon)))
            daemon.must('snapshot-create-as snapped before')
            daemon.must('autostart hints')
            files = {name: daemon.definition(name).read_text() for name in dumps}
            daemon.swap(new)
            for name, dump in dumps.items():
                faults += [f'{name}: {fault}' for fault in same(dump, daemon, name) + changed(files[name], daemon.definition(name).read_text())]
            faults += autostarts(daemon)

        with bench.point('upgrade', there, 'they start there') as faults:
            for name, dump in dumps.items():
                daemon.must(f'start {name} --paused')
                faults += [f'{name}: {fault}' for fault in same(dump, daemon, name, live=True) + daemon.misplaced(name)]
                daemon.must(f'destroy {name}')

        with bench.point('upgrade', back, 'definitions that the newer release has loaded and started: as they were, to the byte') as faults:
            daemon.swap(old)
            for name, dump in dumps.items():
                faults += [f'{name}: {fault}' for fault in changed(dump, daemon.dump(name)) + changed(files[name], daemon.definition(name).read_text())]
            faults += autostarts(daemon) + reverted(daemon, dumps['snapped'])

        with bench.point('upgrade', there, 'defined again there: no topology changes; back to the snapshot: the definition of then') as faults:
            daemon.swap(new)
            for name, dump in dumps.items():
                daemon.define(name, daemon.dump(name))
                faults += [f'{name}: {fault}' for fault in same(dump, daemon, name)]
            faults += reverted(daemon, dumps['snapped'])

        with bench.point('upgrade', back,
                         'definitions that the newer release has stored: as they were, but those that libvirt itself cannot read') as faults:
            q35 = {name for name in dumps if 'itco' in daemon.dump(name)}
            daemon.swap(old)
            listed = set(daemon.must('list --all --name').split())
            faults += unless(listed == dumps.keys() - q35, f'there are {listed}')
            log = (daemon.root / 'virtqemud.log').read_text()
            # what docs/compatibility.md says of it
            faults += unless(not q35 or "unknown watchdog model 'itco'" in log, log[-1000:])
            for name in listed:
                faults += [f'{name}: {fault}' for fault in same(dumps[name], daemon, name)]


def autostarts(daemon):
    listed = daemon.must('list --all --autostart --name').split()
    return unless(listed == ['hints'], f'autostart: {listed}')


def reverted(daemon, dump):
    daemon.define('snapped', dump.replace(f"value='{SLOTS}'", f"value='{SLOTS + 2}'").replace("hotpluggable='no' ", ''))
    faults = unless(free_ports(Guest(daemon.dump('snapped'))) == SLOTS + 2, 'the other promise is not kept')
    daemon.must('snapshot-revert snapped before')
    return faults + same(dump, daemon, 'snapped')


def snapped(image):
    """A guest with a disk, for snapshots"""
    return Q35.domain('snapped', disk(image, 'disk') + hinted('no', 'hotpluggable', 'no'), {'pcieHotplugSlots': SLOTS})


def guest(machine, name='g'):
    """A guest with hints, and a promise of the machine's kind of slot"""
    if machine is Q35:
        return Q35.domain(name, rng('plain') + hinted('no', 'hotpluggable', 'no') + hinted('down', 'preferredConnection', 'pcie-switch-downstream-port'),
                          {'pcieHotplugSlots': SLOTS})
    return machine.domain(name, rng('plain') + hinted('no', 'hotpluggable', 'no') + hinted('bridge', 'preferredConnection', 'pci-bridge'),
                          {'pciHotplugSlots': SLOTS})


def takes_the_rest(daemon, preference, name='g'):
    """Faults: the running guest does not take a device in each free slot, or takes one more"""
    for number in range(promised(Guest(daemon.dump(name, live=True)), preference)):
        daemon.must(f'attach-device {name} {daemon.file(rng(f"rest{number}"))} --live')
    return refused(*daemon.attach(name, rng('more'), '--live'), 'No more available PCI slots') + daemon.misplaced(name)


def start(daemon, machine, name='g'):
    """Start a guest with a device that came live; what dumpxml prints, and that of the running guest"""
    dump = daemon.define(name, guest(machine, name))
    daemon.must(f'start {name} --paused')
    daemon.must(f'attach-device {name} {daemon.file(rng("live"))} --live')
    return dump, daemon.dump(name, live=True)


def saved(bench, old, new, path, machine, preference):
    with bench.daemon(1, old) as daemon:
        image = daemon.root / 'work' / 'image'
        for how, save, restore in (('managed save', 'managedsave g', 'start g --paused'),
                                   ('saved to a file', f'save g {image}', f'restore {image} --paused')):
            with bench.point('upgrade', path, f'{machine.name}, {how}: as it was, and each free slot takes a device') as faults:
                dump, live = start(daemon, machine)
                daemon.must(save)
                daemon.swap(new)
                daemon.must(restore)
                faults += same(live, daemon, 'g', live=True) + same(dump, daemon, 'g') + takes_the_rest(daemon, preference)
                daemon.must('destroy g')
                daemon.must('undefine g')
                daemon.swap(old)


def running(bench, old, new, path, machine, preference):
    with bench.daemon(1, old) as daemon:
        with bench.point('upgrade', path, f'{machine.name}, a running guest: it runs on, nothing moves, and each free slot takes a device') as faults:
            dump, live = start(daemon, machine)
            pid = guest_pid(daemon)
            daemon.swap(new, ['g'])
            faults += unless(guest_pid(daemon) == pid, 'it is another process')
            faults += same(live, daemon, 'g', live=True) + same(dump, daemon, 'g')
            daemon.must(f'attach-device g {daemon.file(rng("new"))} --live')
            live = daemon.dump('g', live=True)
            if machine is Q35:
                # the older release does not read the status that the newer one writes for it
                faults += takes_the_rest(daemon, preference)
                return

        with bench.point('upgrade', path, f'{machine.name}, and back, while it runs on') as faults:
            daemon.swap(old, ['g'])
            faults += unless(guest_pid(daemon) == pid, 'it is another process')
            faults += same(live, daemon, 'g', live=True) + same(dump, daemon, 'g') + takes_the_rest(daemon, preference)
