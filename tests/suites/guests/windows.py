# SPDX-License-Identifier: LGPL-2.1-or-later
"""Promised windows: whatever is plugged into a promised slot finds an address for each of its BARs, under
SeaBIOS and OVMF, and its driver takes it. The twin of a guest has no windows, or less: the same devices in the
same slots do not work there."""

import contextlib
import json
import pathlib
import re
import time
import xml.etree.ElementTree as ET
from typing import NamedTuple

from boots import Booted, have_linux, initial
from lab import PC, Q35, Broken, address, nic, preference, query_pci_devices, rng, show
from topology import Guest, changed_topology, pci_address, shared

FIRMWARE = ('SeaBIOS', 'OVMF')
WINDOWS = ('memReserve', 'pref64Reserve', 'ioReserve')
GIB = 1 << 20   # KiB
BAR = 4 * GIB


class Device(NamedTuple):
    xml: str
    driver: str = None  # of Linux; None: it has none

    def at(self, place):
        """The same with an address"""
        return Device(re.sub(r'(</\w+>\s*)$', place + r'\1', self.xml), self.driver)


class Row(NamedTuple):
    machine: object
    promise: str
    prefs: object
    devices: list       # in the order in which they come; the aliases are ua-w0, ua-w1, …
    twin: range         # those of them that come to the twin, too
    lacks: dict         # what is missing there: number of the device -> number of the BAR
    works: range        # devices that lack nothing there
    exact: int = None   # the device that has a window there which is as large as its BAR: enough if the firmware aligns it
    memory: int = 256


def shmem(name, number):
    return (f"<shmem name='{name}'><model type='ivshmem-plain'/><size unit='KiB'>{BAR}</size>"
            f"<alias name='ua-w{number}'/></shmem>\n")


def rows(unique):
    """UNIQUE is the beginning of the names of shared memory, which belong to the host"""
    e1000 = [Device(nic(f'w{n}', 'e1000', mac=n), 'e1000') for n in range(40)]
    rngs = [Device(rng(f'w{n}'), 'virtio-pci') for n in range(28)]
    # those that need nothing special come first: they leave what is special to the others
    io = rngs[:19] + [Device(nic('w19', 'rtl8139', mac=19), '8139cp')]
    big = rngs[:18] + [Device(shmem(f'{unique}-{n}', n)) for n in (18, 19)]
    return [
        Row(Q35, '12 conventional slots, 12 e1000', {'pciHotplugSlots': 12}, e1000[:12], range(12), {11: 0}, range(4)),
        # the root bus, which needs no windows, has 28 of these slots. With those in use Linux opens the bridge for I/O, if
        # the firmware has not
        Row(PC, '40 conventional slots, 28 virtio-rng and 12 e1000', {'pciHotplugSlots': 40}, rngs + e1000[28:], range(28, 40), {39: 0},
            range(28, 32)),
        Row(Q35, '20 ports, one with I/O: 19 virtio-rng and an rtl8139',
            preference('pcieHotplugSlots', 1, ioReserve=4) + preference('pcieHotplugSlots', 19), io, range(18, 20), {19: 0}, range(18, 19)),
        Row(Q35, '20 ports, two with 8 GiB: 18 virtio-rng, two ivshmem of 4 GiB',
            preference('pcieHotplugSlots', 2, pref64Reserve=2 * BAR) + preference('pcieHotplugSlots', 18), big, range(17, 20), {18: 2, 19: 2},
            range(17, 18), 19, 4096),
    ]


# -- what the guest says -------------------------------------------------------------------------------

def regions(lab):
    """place -> BARs of the device there, as query-pci shows them; the ROM is none"""
    devices = query_pci_devices(lab.qmp('g', 'query-pci'))
    return {(f'root {path[0]}', *path[1:]): [region for region in device['regions'] if region['bar'] < 6]
            for path, device in devices.items()}


def firmware_windows(lab):
    """place -> windows of the port or bridge there, as they are now: 'io', 'mem' and 'pref64', each (first, last) or None"""
    kinds = {'io': 'io_range', 'mem': 'memory_range', 'pref64': 'prefetchable_range'}
    found = {}
    for path, device in query_pci_devices(lab.qmp('g', 'query-pci')).items():
        if 'pci_bridge' in device:
            ranges = {kind: device['pci_bridge']['bus'][name] for kind, name in kinds.items()}
            # a window that is closed begins behind its end
            found[(f'root {path[0]}', *path[1:])] = {
                kind: (window['base'], window['limit']) if window['base'] < window['limit'] else None for kind, window in ranges.items()}
    return found


def has_aligned(window, size):
    """Whether there is room for a BAR, which is aligned to its SIZE in bytes"""
    return window is not None and -(-window[0] // size) * size + size - 1 <= window[1]


def missing(guest, devices):
    """DEVICES: number -> device. Number -> what it lacks: numbers of BARs, 'driver'; None while the guest does not say"""
    listed, places, known = guest.listing(), guest.expected(), regions(guest.lab)
    if not listed or guest.differs():
        return None
    found = {}
    for number, device in devices.items():
        place = places[f'ua-w{number}']
        lacks = [region['bar'] for region in known[place] if (place, region['bar']) not in listed.bars]
        if listed.drivers.get(place) != device.driver:
            lacks.append('driver')
        if lacks:
            found[number] = lacks
    return found


def no_io(guest, devices):
    """Number -> BARs for I/O of those devices that are behind a bridge without any I/O: OVMF 2025.02 gives a bridge I/O only
    if that is asked for. OVMF 2022.11 and SeaBIOS give it to each"""
    known, places, windows = regions(guest.lab), guest.expected(), firmware_windows(guest.lab)
    closed = {place for place, kinds in windows.items() if guest.firmware == 'OVMF' and not kinds['io']}
    bars = {number: [region['bar'] for region in known.get(places[f'ua-w{number}'], ()) if region['type'] == 'io']
            for number in devices if places[f'ua-w{number}'][:-1] in closed}
    return {number: numbers for number, numbers in bars.items() if numbers}


def incomplete(guest, devices, without=None):
    """The same as faults, but for the BARs in WITHOUT, from no_io(), which have to be missing"""
    found, without = missing(guest, devices), without or {}
    if found is None:
        return guest.differs() or ['the guest has no listing']
    places = guest.expected()
    faults = [f'w{number} at {show(places[f"ua-w{number}"])} lacks ' +
              ', '.join(what if what == 'driver' else f'BAR {what}' for what in lacks if what not in without.get(number, ()))
              for number, lacks in found.items() if not set(lacks) <= set(without.get(number, ()))]
    return faults + [f'w{number} has BAR {bar}, and the bridge has no I/O' for number, bars in without.items() for bar in bars
                     if bar not in found.get(number, ())]


def settle(guest, seconds=3):
    """Wait until the guest has said nothing for a while."""
    before, since = None, time.monotonic()
    while time.monotonic() < since + seconds:
        if (text := guest.text()) != before:
            before, since = text, time.monotonic()
        time.sleep(0.2)


# -- the guests ----------------------------------------------------------------------------------------

def windows(text):
    """index of a controller -> its windows"""
    targets = {index: element.find('target') for index, element in Guest(text).controllers.items()}
    return {index: {kind: target.get(kind) for kind in WINDOWS if target.get(kind)}
            for index, target in targets.items() if target is not None and any(map(target.get, WINDOWS))}


def without_windows(text):
    """A definition as it would be if its windows had not been asked for; where there are two for BARs of 4 GiB, the
    second is not twice as large as the BAR, but as large"""
    text = re.sub(r' *<preferences>.*?</preferences>\n', '', text, flags=re.S)
    double = f" pref64Reserve='{2 * BAR}'"
    # beside so many ports OVMF would drop one that asks for I/O as well
    text = re.sub(f'({double}.*?){double}', rf" \1 pref64='{BAR}' io='0'", text, flags=re.S)
    text = re.sub(rf" ({'|'.join(WINDOWS)})='\d+'", '', text)
    return text.replace(f" pref64='{BAR}' io='0'", f" pref64Reserve='{BAR}' ioReserve='0'")


def attach(guest, devices):
    faults = []
    for device in devices.values():
        ok, text = guest.lab.attach('g', device.xml, '--live')
        faults += [] if ok else [text.strip()]
    return faults


def interrupt(lab):
    """The guest is saved and restored, and the driver ends and comes back. Faults: windows are not what they were"""
    before = windows(lab.dump('g', live=True))
    faults = [] if before else ['there are no windows']
    lab.must('save g state')
    lab.must('restore state')
    faults += [] if windows(lab.dump('g', live=True)) == before else ['restored with other windows']
    lab.reopen(['g'], 'running')
    return faults + ([] if windows(lab.dump('g', live=True)) == before else ['other windows for the next driver'])


def uses_up(guest, row, definition, faults):
    """Attach what was promised, half of it before an interruption under SeaBIOS. Returns those that come to the
    twin, with the addresses that they got."""
    lab, devices = guest.lab, dict(enumerate(row.devices))
    rest = dict(devices)
    guest.boot()
    if guest.firmware == 'SeaBIOS':
        half = {number: rest.pop(number) for number in range(len(devices) // 2)}
        faults += attach(guest, half)
        guest.wait(lambda: incomplete(guest, half), 'after the first half', 120)
        faults += interrupt(lab)
    faults += attach(guest, rest)
    full = Guest(lab.dump('g', live=True))
    guest.wait(lambda: incomplete(guest, devices), 'at the end', 120)
    faults += changed_topology(Guest(definition), full) + shared(full) + lab.misplaced('g')
    return {number: devices[number].at(address(*pci_address(full.devices[f'ua-w{number}'])[1:])) for number in row.twin}


def fails(guest, row, devices, note):
    """Faults of the twin: something works that should not, or something else does not"""
    guest.boot()
    windows = firmware_windows(guest.lab)
    faults = attach(guest, devices)
    works = {number: devices[number] for number in row.works}
    guest.wait(lambda: incomplete(guest, works, no_io(guest, works)), 'those that need no window', 120)
    settle(guest)
    if without := no_io(guest, works):
        note(f'{len(without)} of {len(works)} devices that need no window are behind a bridge without I/O, and lack just those BARs')
    found = missing(guest, devices) or {}
    wanted = dict(row.lacks)
    if row.exact:
        window = windows[guest.expected()[f'ua-w{row.exact}'][:-1]]['pref64']
        if has_aligned(window, BAR * 1024):
            note(f'the window for w{row.exact} is as large as its BAR, and aligned: {window[0]:#x}')
            del wanted[row.exact]
        elif guest.firmware == 'OVMF':
            faults.append(f'the window for w{row.exact} is not aligned: {window}')
    faults += [f'w{number} has BAR {bar} without a window' for number, bar in wanted.items() if bar not in found.get(number, ())]
    if row.exact in found and row.exact not in wanted:
        faults.append(f'w{row.exact} lacks {found[row.exact]}, and its window is aligned and as large as its BAR')
    return faults


@contextlib.contextmanager
def shared_memory(unique):
    """Files that QEMU makes for shared memory and leaves behind; nothing is ever written to them."""
    try:
        yield
    finally:
        for path in pathlib.Path('/dev/shm').glob(f'{unique}-*'):
            path.unlink()


def promise_and_twin(bench, row, firmware, initrd):
    devices = {}
    promise = f'{firmware}, {row.promise}'
    with bench.point('windows', row.machine, promise) as faults, bench.lab(patience=300) as lab:
        guest = Booted(lab, row.machine, firmware=firmware)
        before, xml = str(lab.root), lab.define('g', guest.xml(initrd, rng('cold'), row.prefs, memory=row.memory))
        devices = uses_up(guest, row, xml, faults)
    less = ', for one ivshmem 4 GiB' if row.exact else ''
    with bench.point('without windows', row.machine, promise + less) as faults, bench.lab(patience=300) as lab:
        if not devices:
            raise Broken('there are no addresses to try')
        guest = Booted(lab, row.machine, firmware=firmware)
        # the console and the variables of the firmware are in the directory of a lab
        lab.define('g', without_windows(xml).replace(before, str(lab.root)))
        faults += fails(guest, row, devices, bench.tap.note)


def windowed(bench):
    unique = bench.directory.name
    initrd = None
    with shared_memory(unique):
        for row in rows(unique):
            for firmware in FIRMWARE:
                if not bench.have(row.machine, 'windows') or not have_linux(bench, row.machine, 'windows'):
                    continue
                initrd = initrd or initial(row.machine.arch, bench.directory)
                promise_and_twin(bench, row, firmware, initrd)
