# SPDX-License-Identifier: LGPL-2.1-or-later
"""The programs in examples/, with Debian's libvirt-python and libvirt-dev, on a daemon of the build."""

import json
import pathlib
import re
import shutil
import xml.etree.ElementTree as ET

import slots
from lab import Q35, Broken, rng
from topology import Guest, changed_topology, unless

TOP = pathlib.Path(__file__).resolve().parents[3]
EXAMPLES = TOP / 'examples'
KUBEVIRT = TOP / 'tests' / 'suites' / 'clients' / 'kubevirt.xml'
HOOK = EXAMPLES / 'kubevirt-hook' / 'onDefineDomain'
PROMISE = 4
PORTS = 16      # that KubeVirt keeps for network interfaces to come


def compiled(client):
    """examples/pci-slots.c as its first lines say, or None if it cannot be compiled here"""
    ok, flags = client.run('pkg-config', '--cflags', '--libs', 'libvirt', 'json-c')
    if not ok or not shutil.which('cc'):
        return None
    program = client.root / 'work' / 'pci-slots'
    client.must('cc', '-Wall', '-Wextra', '-Werror', EXAMPLES / 'pci-slots.c', '-o', program, *flags.split())
    return program


def ask(bench, daemon, client, program, name):
    """The three verbs of one of the programs"""
    device = daemon.root / 'work' / 'device.xml'
    device.write_text(rng())
    text = Q35.domain(name, rng(), {'pcieHotplugSlots': PROMISE})
    source = daemon.root / 'work' / f'{name}.xml'
    source.write_text(text)

    with bench.point(f'examples: {program.name}', Q35, 'plan says what define makes') as faults:
        planned = client.must(program, daemon.uri, 'plan', source)
        faults += unless('defined' not in daemon.must('list --all'), 'it is defined')
        daemon.define(name, text)
        faults += changed_topology(Guest(planned[planned.index('<domain'):]), Guest(daemon.dump(name)))

    with bench.point(f'examples: {program.name}', Q35, 'free says what is free, fill attaches just as many') as faults:
        daemon.must(f'start {name} --paused')
        faults += unless(re.search(rf'^pcie: {PROMISE} free', client.must(program, daemon.uri, 'free', name), re.M), 'not all are free')
        text = client.must(program, daemon.uri, 'fill', name, device)
        faults += unless(f'{PROMISE} were free, {PROMISE} attached' in text, text)
        faults += unless('No more available PCI slots' in text, text)
        faults += unless('pcie: 0 free' in client.must(program, daemon.uri, 'free', name), 'some are still free')
        daemon.must(f'destroy {name}')

    with bench.point(f'examples: {program.name}', Q35, 'an error has its code and its message') as faults:
        for arguments, wanted in ((('free', 'nosuch'), 'error 42: '), (('plan', TOP / 'meson.build'), 'error 35: ')):
            ok, text = client.run(program, daemon.uri, *arguments)
            faults += unless(not ok and text.startswith(wanted), text)


def codes(bench, daemon, client):
    """The error codes that docs/applications.md names"""
    q35 = Q35.domain('e', rng(), {'pcieHotplugSlots': 300})
    cases = [('more slots than can be', 'planned-xml', q35, 67), ('no XML', 'pci-topology', 'x', 35),
             ('an unknown preference', 'planned-xml', q35.replace('pcieHotplugSlots', 'nosuch'), 67),
             ('a value that is no number', 'planned-xml', q35.replace('300', 'x'), 27),
             ('an unknown format', 'nosuch', q35, 8)]
    program = ("import sys, libvirt\nlibvirt.registerErrorHandler(lambda c, e: None, None)\n"
               "conn = (libvirt.openReadOnly if sys.argv[3] == 'ro' else libvirt.open)(sys.argv[1])\n"
               "try: conn.domainXMLToNative(sys.argv[2], sys.stdin.read(), 0)\n"
               "except libvirt.libvirtError as error: print(error.get_error_code())\n")
    with bench.point('examples', Q35, 'error codes are those of docs/applications.md') as faults:
        for what, form, text, wanted in cases:
            code = client.must('/usr/bin/python3', '-c', program, daemon.uri, form, 'rw', text=text).strip()
            faults += unless(code == str(wanted), f'{what}: {code}, not {wanted}')
        code = client.must('/usr/bin/python3', '-c', program, daemon.uri, 'planned-xml', 'ro', text=q35).strip()
        faults += unless(code == '29', f'read-only: {code}, not 29')
        code = client.must('/usr/bin/python3', '-c', program, 'test:///default', 'planned-xml', 'rw', text=q35).strip()
        faults += unless(code == '3', f'another driver: {code}, not 3')


def placeholders(text):
    """With the network interfaces that KubeVirt adds for a while so that ports come"""
    for number in range(PORTS):
        text = text.replace('</devices>', f'<interface type="ethernet"><target dev="placeholder-{number}" managed="no"></target>'
                            '<model type="virtio-non-transitional"></model></interface></devices>')
    return text


def root_ports(text):
    """With ports written out, as they are when the placeholders have gone"""
    ports = ''.join(f'<controller type="pci" index="{index}" model="pcie-root-port"></controller>' for index in range(1, PORTS + 1))
    return text.replace('<devices>', f'<devices><controller type="pci" index="0" model="pcie-root"></controller>{ports}')


def hook(bench, daemon, client):
    plain = KUBEVIRT.read_text()
    vmi = {'metadata': {'name': 'testvmi', 'annotations': {'libvirt-pci-topology/pcieHotplugSlots': '8', 'other/annotation': 'x'}}}

    def run(text, machine=vmi):
        return client.must(HOOK, '--vmi', json.dumps(machine), '--domain', text)

    def free(text):
        return slots.count(Guest(daemon.define('default_testvmi', text)))['pcie']

    with bench.point('examples: kubevirt-hook', Q35, 'without annotations XML stays as it is') as faults:
        for machine in {}, {'metadata': {}}, {'metadata': {'annotations': {'other/annotation': 'x'}}}:
            faults += unless(run(plain, machine).strip() == plain.strip(), f'changed with {machine}')

    with bench.point('examples: kubevirt-hook', Q35, 'an annotation becomes a promise, with placeholders and without') as faults:
        for what, text, wanted in (('without', plain, 8), (f'{PORTS} placeholder NICs', placeholders(plain), 8),
                                   # these are more than the promise, so none is added
                                   (f'{PORTS} ports', root_ports(plain), None)):
            found = free(run(text))
            faults += unless(found == (wanted or free(text)), f'{what}: {found} slots are free')
        faults += unless(free(placeholders(plain)) < 8, 'the placeholders alone leave slots free')

    with bench.point('examples: kubevirt-hook', Q35, 'all else stays, a promise that is there is replaced') as faults:
        hooked = run(run(plain), {'metadata': {'annotations': {'libvirt-pci-topology/pcieHotplugSlots': '2'}}})
        domain = ET.fromstring(hooked)
        faults += unless([(node.get('name'), node.get('value')) for node in domain.iterfind('preferences/preference')] ==
                         [('pcieHotplugSlots', '2')], hooked[:300])
        added = domain.find('preferences')
        domain.text = added.tail
        domain.remove(added)
        faults += unless(ET.canonicalize(ET.tostring(domain, encoding='unicode')) == ET.canonicalize(
            ET.tostring(ET.fromstring(plain), encoding='unicode')), 'something else has changed')


def examples(bench, daemon, client):
    ask(bench, daemon, client, EXAMPLES / 'pci-slots.py', 'python')
    program = compiled(client)
    if program:
        ask(bench, daemon, client, program, 'c')
    else:
        bench.tap.skip('examples: pci-slots.c', 'no compiler, libvirt-dev or libjson-c-dev')
    codes(bench, daemon, client)
    hook(bench, daemon, client)
