# SPDX-License-Identifier: LGPL-2.1-or-later
"""What our golden files and examples say, on real QEMU."""

import xml.etree.ElementTree as ET

from goldens import Adapter, emulator_of, goldens
from topology import Guest, changed_topology, shared, unreachable


def conformance(bench):
    with bench.lab() as lab:
        adapter = Adapter(lab.root / 'work')
        for name, text, expected in goldens():
            label = ET.fromstring(text).find('os/type').attrib
            label = f'{label["arch"]} {label["machine"]}'
            if not emulator_of(text):
                bench.tap.skip(f'conformance: {label} × {name}', 'no emulator')
                continue
            if '<loader' in text:
                bench.tap.skip(f'conformance: {label} × {name}', 'firmware from a file that need not be here; part "nodes" boots one like it')
                continue
            xml, replaced = adapter.adapt(text)
            what = name + ''.join(f', another device for each {tag}' for tag in sorted(set(replaced)))
            with bench.point('conformance', label, what) as faults:
                faults += conforms(lab, xml, expected and adapter.adapt(expected)[0], 'x86_64' in label)
            lab.run('destroy g')
            lab.run('undefine g')


def conforms(lab, xml, expected, firmware):
    """Faults of a domain: other than expected, or QEMU has something elsewhere than the XML says"""
    dump = lab.define('g', xml)
    guest = Guest(dump)
    faults = unreachable(guest) + shared(guest)
    if expected:
        wanted, found = Guest(expected).addresses(), guest.addresses()
        faults += changed_topology(Guest(expected), guest)
        faults += [f'{key} should be at {wanted.get(key)} and is at {found.get(key)}'
                   for key in sorted(wanted.keys() | found.keys()) if wanted.get(key) != found.get(key)]
    lab.must('start g --paused')
    faults += changed_topology(guest, Guest(lab.dump('g', live=True))) + lab.misplaced('g', empty=not guest.pci_addresses())
    if firmware:
        lab.must('resume g')
        faults += lab.query_pci('g')
    return faults
