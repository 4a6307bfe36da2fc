# SPDX-License-Identifier: LGPL-2.1-or-later
"""The bindings of Debian: libvirt-python and Perl's Sys::Virt"""

import contextlib
import pathlib
import threading

from client import FULL, SLOTS, image, new_nic, takes, write
from lab import PC_NO_ACPI, Q35, address, disk, nic, rng, until
from slots import free_ports
from topology import Guest, changed, lost, same_guest, unless, unlike

HERE = pathlib.Path(__file__).resolve().parent
PROMISE = {'pcieHotplugSlots': SLOTS}


# -- libvirt-python ------------------------------------------------------------------------------------

class Events:
    """Devices that came and went, as libvirt tells it"""

    def __init__(self, libvirt, connection):
        self.seen = []
        for event, what in ((libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_ADDED, 'came'), (libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, 'went')):
            connection.domainEventRegisterAny(None, event, lambda _, domain, alias, what: self.seen.append((what, domain.name(), alias)), what)

    def wait(self, event):
        until(lambda: event in self.seen, f'no event {event}', 60)


@contextlib.contextmanager
def connected(libvirt, uri):
    connection = libvirt.open(uri)
    try:
        yield connection
    finally:
        connection.close()


def plug_by_python(libvirt, domain):
    def plug(number):
        try:
            domain.attachDeviceFlags(new_nic(number), libvirt.VIR_DOMAIN_AFFECT_LIVE)
            return True, ''
        except libvirt.libvirtError as error:
            return False, str(error)
    return plug


def python(bench, daemon, _):
    import libvirt
    # errors are exceptions already
    libvirt.registerErrorHandler(lambda *_: None, None)
    libvirt.virEventRegisterDefaultImpl()

    def loop():
        while True:
            libvirt.virEventRunDefaultImpl()

    threading.Thread(target=loop, daemon=True).start()
    with connected(libvirt, daemon.uri) as connection:
        events(bench, daemon, libvirt, connection)
        transient(bench, daemon, libvirt, connection)
        snapshots(bench, daemon, libvirt, connection)
        migrated(bench, daemon, libvirt, connection)


def events(bench, daemon, libvirt, connection):
    machine = PC_NO_ACPI
    with bench.point('libvirt-python', machine,
                     f'events: each of {SLOTS} devices is told when it comes and when it goes; one that is refused is not') as faults:
        domain = connection.defineXML(machine.domain('e', '', {'pciHotplugSlots': SLOTS}))
        domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
        told = Events(libvirt, connection)
        slots = 31
        faults += takes(daemon, 'e', slots, plug_by_python(libvirt, domain), 'pciHotplugSlots')
        for number in range(slots):
            told.wait(('came', 'e', f'ua-new{number}'))
        for number in range(SLOTS):
            domain.detachDeviceAlias(f'ua-new{number}', libvirt.VIR_DOMAIN_AFFECT_LIVE)
            told.wait(('went', 'e', f'ua-new{number}'))
        faults += [f'event {event}' for event in told.seen if event[2] not in {f'ua-new{number}' for number in range(slots)}]
        faults += daemon.misplaced('e')
        domain.destroy()


def transient(bench, daemon, libvirt, connection):
    for prefs, slots in ((PROMISE, SLOTS), ((), 1)):
        with bench.point('libvirt-python', Q35, f'a transient domain with {f"a promise of {slots} slots" if prefs else "no promise"}: '
                         f'it takes {slots} and no more, and leaves nothing') as faults:
            domain = connection.createXML(Q35.domain('t', rng('plain'), prefs), libvirt.VIR_DOMAIN_START_PAUSED)
            faults += unless(not domain.isPersistent(), 'it is persistent')
            faults += takes(daemon, 't', slots, plug_by_python(libvirt, domain))
            domain.destroy()
            faults += unless('t' not in [one.name() for one in connection.listAllDomains()], 'it is still there')


def hinted():
    return rng('cold', address(hints="hotpluggable='no'"))


def snapshots(bench, daemon, libvirt, connection):
    with bench.point('libvirt-python', Q35,
                     'a snapshot has the promise, hints and addresses; the guest has them again when it goes back to it') as faults:
        drive = disk(image(daemon, 'snapshot'), 'disk')
        domain = connection.defineXML(Q35.domain('n', hinted() + drive, PROMISE))
        before = daemon.dump('n')
        snapshot = domain.snapshotCreateXML('<domainsnapshot><name>here</name></domainsnapshot>')
        faults += unlike(Guest(before).preferences, Guest(inner(snapshot.getXMLDesc())))
        faults += lost(Guest(before).hints(), Guest(inner(snapshot.getXMLDesc())))
        domain = connection.defineXML(before.replace("value='3'", "value='7'").replace("hotpluggable='no' ", ''))
        faults += unless(free_ports(Guest(daemon.dump('n'))) == 7, 'the other promise is not kept')
        domain.revertToSnapshot(snapshot)
        faults += changed(before, daemon.dump('n'))
        domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
        faults += daemon.misplaced('n') + takes(daemon, 'n', SLOTS, plug_by_python(libvirt, domain))
        domain.destroy()


def inner(text):
    return text[text.index('<domain '):text.index('</domain>') + 9]


def migrated(bench, daemon, libvirt, connection):
    with bench.daemon(2) as other, connected(libvirt, other.uri) as there:
        with bench.point('libvirt-python', Q35, 'migrate between two daemons: same addresses, promise and hints; '
                         'the slots that are left take devices there') as faults:
            domain = connection.defineXML(Q35.domain('m', hinted() + nic('first', mac=1), PROMISE))
            domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
            plug = plug_by_python(libvirt, domain)
            faults += unless(*plug(0))
            before = {live: daemon.dump('m', live=live) for live in (False, True)}
            arrived = domain.migrate3(there, {libvirt.VIR_MIGRATE_PARAM_URI: 'tcp://127.0.0.1'},
                                      libvirt.VIR_MIGRATE_LIVE | libvirt.VIR_MIGRATE_PERSIST_DEST | libvirt.VIR_MIGRATE_UNDEFINE_SOURCE)
            faults += changed(before[False], other.dump('m')) + same_guest(before[True], other.dump('m', live=True))
            faults += unlike(Guest(before[True]).preferences, Guest(other.dump('m', live=True)))
            faults += lost(Guest(before[True]).hints(), Guest(other.dump('m', live=True)))
            plug = plug_by_python(libvirt, arrived)
            faults += takes(other, 'm', SLOTS - 1, lambda number: plug(number + 1))
            arrived.destroy()


# -- Sys::Virt -----------------------------------------------------------------------------------------

def perl(bench, daemon, client):
    for prefs, slots in ((PROMISE, SLOTS), ((), 1)):
        with bench.point('Sys::Virt', Q35, f'defines a guest with {f"a promise of {slots} slots" if prefs else "no promise"}, edits and starts it, '
                         f'attaches {slots} devices and no more, and takes it away') as faults:
            write(daemon, Q35.domain('p', hinted() + nic('first', mac=1), prefs), 'guest.xml')
            for number in range(slots + 1):
                write(daemon, new_nic(number), f'device{number}.xml')
            told = client.must('perl', HERE / 'attach-by-sys-virt', client.uri, 'p', slots + 1).splitlines()
            results = [line for line in told if line.startswith(('attached', 'refused'))]
            faults += unless([line.split()[0] for line in results] == ['attached'] * slots + ['refused'], '\n'.join(told))
            faults += unless(FULL in results[-1], results[-1])
            faults += [f'no event for device {number}' for number in range(slots) if f'came ua-new{number}' not in told]
            before, edited, live = ((daemon.root / 'work' / name).read_text() for name in ('before.xml', 'edited.xml', 'live.xml'))
            faults += changed(before, edited.replace('<description>edited</description>\n  ', ''))
            faults += unless('<description>edited<' in edited, 'it is not edited') + lost(Guest(before).hints(), Guest(edited))
            faults += same_guest(edited, live)
            faults += unless(not daemon.run('dominfo p')[0], 'it is still there')
