# SPDX-License-Identifier: LGPL-2.1-or-later
"""Two builds of one libvirt, with the series and without it, and guests that go from one to the
other: their definitions, while they run, saved, and by migration. What docs/compatibility.md says."""

import slots
from lab import BUILD, PC, PRISTINE, Q35, Daemon, address, nic, pci, preference, rng
from parts import guest_pid
from topology import Guest, changed, changed_topology, lost, plain, same_guest, unless, unlike

SLOTS = 4
PREFS = preference('pcieHotplugSlots', SLOTS) + preference('pciGroup', 'rail', share='switch')


def hinted(name, hint):
    return rng(name, f"<address type='pci' {hint}/>")


DEVICES = rng('plain') + hinted('cold', "hotpluggable='no'") + \
    hinted('deep', "preferredConnection='pcie-switch-downstream-port'") + hinted('member', "group='rail'")


def dropped(text):
    """Faults: preferences or hints are still there"""
    guest = Guest(text)
    return unless(not guest.preferences, f'there are still preferences: {guest.preferences}') + \
        unless(not guest.hints(), f'there are still hints: {guest.hints()}')


def kept(before, after):
    """Faults: preferences or hints are not those of before"""
    return unlike(Guest(before).preferences, Guest(after)) + lost(Guest(before).hints(), Guest(after))


def refused(ok, text, words):
    """Faults: it was not refused with these words"""
    return unless(not ok, 'it was not refused') or unless(words in text, text)


def compat(bench):
    if not bench.have(Q35, 'compat'):
        return
    why = Daemon.missing() or (None if (PRISTINE / 'src' / 'virtqemud').exists() else 'the release without the series is not built')
    if why:
        bench.tap.skip('compat: two builds', why)
        return
    definitions(bench)
    redefined(bench)
    running(bench)
    saved(bench)
    migrated(bench)
    only_series(bench)


def point(bench, path):
    return bench.point('compat', Q35, path)


def ours(daemon, name='g'):
    """Define a guest that has all that only the series knows; what dumpxml prints then"""
    dump = daemon.define(name, Q35.domain(name, DEVICES, PREFS))
    faults = unless(slots.free_ports(Guest(dump)) == SLOTS, f'{slots.free_ports(Guest(dump))} slots are free')
    return dump, faults + unless(len(Guest(dump).hints()) == 3, 'there are not three hints')


def definitions(bench):
    with bench.daemon(1) as daemon:
        with point(bench, 'a definition of the series, loaded and started by stock: same addresses, file untouched') as faults:
            dump, found = ours(daemon)
            faults += found
            before = daemon.definition('g').read_text()
            daemon.swap(PRISTINE)
            stock = daemon.dump('g')
            faults += changed(plain(dump), stock)
            daemon.must('start g --paused')
            faults += same_guest(dump, daemon.dump('g', live=True)) + daemon.misplaced('g')
            daemon.must('destroy g')
            faults += changed(before, daemon.definition('g').read_text())

        with point(bench, 'back to the series: the definition is as it was, to the byte') as faults:
            daemon.swap(BUILD)
            faults += changed(dump, daemon.dump('g'))

        with point(bench, 'a definition of stock, loaded by the series and back: as it was, to the byte') as faults:
            daemon.swap(PRISTINE)
            stock = daemon.define('s', Q35.domain('s', rng('plain') + nic('nic'), plain=False))
            before = daemon.definition('s').read_text()
            daemon.swap(BUILD)
            faults += changed(stock, daemon.dump('s'))
            daemon.must('start s --paused')
            faults += same_guest(stock, daemon.dump('s', live=True)) + daemon.misplaced('s')
            daemon.must('destroy s')
            daemon.swap(PRISTINE)
            faults += changed(stock, daemon.dump('s')) + changed(before, daemon.definition('s').read_text())


def redefined(bench):
    """What ends the life of preferences under stock"""
    changes = {
        'define of what its dumpxml prints': lambda daemon, name: daemon.define(name, daemon.dump(name)),
        'attach-device --config': lambda daemon, name: daemon.must(f'attach-device {name} {daemon.file(rng("new"))} --config'),
        'setmaxmem --config': lambda daemon, name: daemon.must(f'setmaxmem {name} 131072 --config'),
    }
    with bench.daemon(1) as daemon:
        guests = {f'g{number}': change for number, change in enumerate(changes)}
        dumps = {name: ours(daemon, name)[0] for name in guests}
        daemon.swap(PRISTINE)
        for name, change in guests.items():
            with point(bench, f'{change} by stock: preferences and hints are lost, addresses and free ports are kept') as faults:
                changes[change](daemon, name)
                new = Guest(daemon.dump(name))
                faults += changed_topology(Guest(dumps[name]), new) + dropped(daemon.definition(name).read_text())
                left = SLOTS - ('ua-new' in new.devices)
                faults += unless(slots.free_ports(new) == left, f'{slots.free_ports(new)} ports are free, not {left}')
        daemon.swap(BUILD)
        with point(bench, 'the series does not bring them back') as faults:
            for name in guests:
                faults += dropped(daemon.dump(name))

    with bench.daemon(1, PRISTINE) as daemon, point(bench, 'stock ignores preferences in a define, and refuses them with --validate') as faults:
        xml = Q35.domain('g', DEVICES, PREFS)
        ok, text = daemon.run(f'define --validate {daemon.file(xml)}')
        faults += refused(ok, text, 'extra content: preferences')
        dump = daemon.define('g', xml)
        faults += dropped(dump) + unless(slots.free_ports(Guest(dump)) == 1, f'{slots.free_ports(Guest(dump))} ports are free, not one')


def running(bench):
    with bench.daemon(1) as daemon:
        with point(bench, 'stock takes over a running guest of the series: it runs on, nothing moves') as faults:
            dump, found = ours(daemon)
            faults += found
            daemon.must('start g --paused')
            daemon.must(f'attach-device g {daemon.file(rng("live1"))} --live')
            live, pid = daemon.dump('g', live=True), guest_pid(daemon)
            status = daemon.status('g').read_text()
            faults += kept(dump, status[status.index('<domain '):status.rindex('</domstatus>')])
            daemon.swap(PRISTINE, ['g'])
            faults += unless(guest_pid(daemon) == pid, 'it is another process')
            faults += same_guest(live, daemon.dump('g', live=True)) + daemon.misplaced('g')

        with point(bench, 'and attaches devices to all the ports that are left') as faults:
            for number in range(2, SLOTS + 1):
                daemon.must(f'attach-device g {daemon.file(rng(f"live{number}"))} --live')
            ok, text = daemon.attach('g', rng('more'), '--live')
            faults += refused(ok, text, 'No more available PCI slots')
            faults += daemon.misplaced('g')

        with point(bench, 'the series takes it back: it runs on, the definition has its preferences, the running guest has not') as faults:
            live = daemon.dump('g', live=True)
            daemon.swap(BUILD, ['g'])
            faults += unless(guest_pid(daemon) == pid, 'it is another process')
            faults += same_guest(live, daemon.dump('g', live=True)) + daemon.misplaced('g')
            faults += dropped(daemon.dump('g', live=True)) + changed(dump, daemon.dump('g'))

        with point(bench, 'and has them again when it is started again') as faults:
            daemon.must('destroy g')
            daemon.must('start g --paused')
            faults += kept(dump, daemon.dump('g', live=True)) + same_guest(dump, daemon.dump('g', live=True))


def saved(bench):
    with bench.daemon(1) as daemon:
        for first, second, name in ((BUILD, PRISTINE, 'the series, restored by stock'), (PRISTINE, BUILD, 'stock, restored by the series')):
            with point(bench, f'saved by {name}: same addresses') as faults:
                dump = ours(daemon)[0] if first is BUILD else daemon.dump('g')
                daemon.must('start g --paused')
                daemon.must(f'attach-device g {daemon.file(rng("live"))} --live')
                live = daemon.dump('g', live=True)
                daemon.must('managedsave g')
                daemon.swap(second)
                daemon.must('start g --paused')
                faults += same_guest(live, daemon.dump('g', live=True)) + daemon.misplaced('g') + same_guest(dump, daemon.dump('g'))
                daemon.must('destroy g')


def migrated(bench):
    with bench.daemon(1) as series, bench.daemon(2, PRISTINE) as stock:
        dump = live = ''
        with point(bench, 'migrated to stock while it runs: same addresses, no preferences there, and they stay at the source') as faults:
            dump, found = ours(series)
            faults += found
            series.must('start g --paused')
            series.must(f'attach-device g {series.file(rng("live"))} --live')
            live = series.dump('g', live=True)
            series.must(f'migrate g {stock.uri} tcp://127.0.0.1 --live --persistent')
            stock.wait_for('g', 'paused')
            faults += same_guest(live, stock.dump('g', live=True)) + stock.misplaced('g')
            faults += same_guest(dump, stock.dump('g')) + dropped(stock.dump('g'))
            faults += changed(dump, series.dump('g'))

        with point(bench, 'migrated back: same addresses, and the definition that stayed has its preferences') as faults:
            stock.must(f'migrate g {series.uri} tcp://127.0.0.1 --live --undefinesource')
            series.wait_for('g', 'paused')
            faults += same_guest(live, series.dump('g', live=True)) + series.misplaced('g')
            faults += dropped(series.dump('g', live=True)) + changed(dump, series.dump('g'))

        with point(bench, 'there and back, undefined at the source each time: preferences are lost, addresses are not') as faults:
            series.must(f'migrate g {stock.uri} tcp://127.0.0.1 --live --persistent --undefinesource')
            stock.must(f'migrate g {series.uri} tcp://127.0.0.1 --live --persistent --undefinesource')
            series.wait_for('g', 'paused')
            faults += same_guest(live, series.dump('g', live=True)) + series.misplaced('g')
            faults += same_guest(dump, series.dump('g')) + dropped(series.dump('g'))

        with point(bench, 'defined again with them: nothing is added, for all ports are there') as faults:
            series.must('destroy g')
            again = series.define('g', dump)
            faults += changed(dump, again)

        with point(bench, 'a guest of stock, migrated to the series and back') as faults:
            mine = stock.define('s', Q35.domain('s', rng('plain') + nic('nic'), plain=False))
            stock.must('start s --paused')
            stock.must(f'migrate s {series.uri} tcp://127.0.0.1 --live --persistent --undefinesource')
            series.wait_for('s', 'paused')
            faults += same_guest(mine, series.dump('s', live=True)) + series.misplaced('s') + changed(mine, series.dump('s'))
            series.must(f'migrate s {stock.uri} tcp://127.0.0.1 --live --persistent --undefinesource')
            stock.wait_for('s', 'paused')
            faults += same_guest(mine, stock.dump('s', live=True)) + stock.misplaced('s') + changed(mine, stock.dump('s'))


def only_series(bench):
    """Topologies that stock does not make, or does not start"""
    with bench.daemon(1) as daemon:
        with bench.point('compat', PC, 'a number of devices that stock cannot place: stock starts what the series has placed') as faults:
            daemon.swap(PRISTINE)
            for count in range(55, 65):
                xml = PC.domain('n', ''.join(rng(f'n{i}') for i in range(count)))
                ok, text = daemon.run(f'define {daemon.file(xml)}')
                if not ok:
                    break
                daemon.must('undefine n')
            faults += refused(ok, text, "a PCI slot is needed to connect a PCI controller model='pci-bridge'")
            daemon.swap(BUILD)
            dump = daemon.define('n', xml)
            daemon.swap(PRISTINE)
            faults += same_guest(dump, daemon.dump('n'))
            daemon.must('start n --paused')
            faults += daemon.misplaced('n')
            daemon.must('destroy n')

        with point(bench, 'a controller listed before the port it sits on: stock loads it, and does not start it') as faults:
            daemon.swap(BUILD)
            child = pci('pcie-switch-upstream-port', 1, address(2))
            dump = daemon.define('o', Q35.domain('o', child + pci('pcie-root-port', 2) + rng('plain')))
            daemon.must('start o --paused')
            daemon.must('destroy o')
            daemon.swap(PRISTINE)
            faults += same_guest(dump, daemon.dump('o'))
            faults += refused(*daemon.run('start o --paused'), "Bus 'pci.2' not found")
