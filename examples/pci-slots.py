#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a program can ask libvirt about the PCI slots of a guest, with any libvirt-python.

usage: examples/pci-slots.py URI free DOMAIN          which slots are free
       examples/pci-slots.py URI plan FILE            what define would make of the XML in a file
       examples/pci-slots.py URI fill DOMAIN FILE     attach the device in a file until no slot is left
"""

import json
import pathlib
import sys

import libvirt


def topology(conn, xml):
    """The topology of a domain, from the driver"""
    return json.loads(conn.domainXMLToNative('pci-topology', xml, 0))


def free_slots(shown):
    """[(bus, slot, class)] of the slots that take a device while the guest runs"""
    return [(controller['index'], slot, controller['class']) for controller in shown['controllers']
            if controller['hotplug'] and not controller.get('isolated') for slot in controller['freeSlots']]


def free(conn, name):
    shown = topology(conn, conn.lookupByName(name).XMLDesc())
    for bus, slot, kind in free_slots(shown):
        print(f'{bus:02x}:{slot:02x} {kind}')
    for kind, count in shown['free'].items():
        print(f'{kind}: {count["slots"]} free, {count["missing"]} missing')


def plan(conn, path):
    xml = pathlib.Path(path).read_text()
    shown = topology(conn, xml)
    for thing in shown['controllers'] + shown['devices']:
        where = thing.get('address')
        print(f'{where["bus"]:02x}:{where["slot"]:02x}.{where["function"]}' if where else 'root',
              thing.get('type', 'controller'), thing.get('model', ''), '(added)' if thing.get('added') else '')
    # the definition itself; to define it later gives the same
    print(conn.domainXMLToNative('planned-xml', xml, 0))


def fill(conn, name, path):
    domain, device = conn.lookupByName(name), pathlib.Path(path).read_text()
    promised = sum(count['slots'] for count in topology(conn, domain.XMLDesc())['free'].values())
    done = 0
    while True:
        try:
            domain.attachDeviceFlags(device, libvirt.VIR_DOMAIN_AFFECT_LIVE)
            done += 1
        except libvirt.libvirtError as error:
            if error.get_error_code() != libvirt.VIR_ERR_OPERATION_FAILED:
                raise
            print(error.get_error_message(), file=sys.stderr)
            break
    print(f'{promised} were free, {done} attached')


def main(uri, verb, *arguments):
    # errors come as exceptions; by itself libvirt would print them too
    libvirt.registerErrorHandler(lambda context, error: None, None)
    conn = libvirt.open(uri)
    try:
        {'free': free, 'plan': plan, 'fill': fill}[verb](conn, *arguments)
    except libvirt.libvirtError as error:
        sys.exit(f'error {error.get_error_code()}: {error.get_error_message()}')
    finally:
        conn.close()


if __name__ == '__main__':
    if len(sys.argv) not in (4, 5) or sys.argv[2] not in ('free', 'plan', 'fill'):
        sys.exit(__doc__.strip())
    main(*sys.argv[1:])
