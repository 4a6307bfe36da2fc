# SPDX-License-Identifier: LGPL-2.1-or-later
"""A detach that QEMU has done and libvirt has not written down: what a kill leaves in the milliseconds between
QEMU's answer and the status file. While the daemon is dead the same is done by QEMU's own commands."""

import json
import os
import pathlib
import signal
import socket
import xml.etree.ElementTree as ET

from lab import PC_NO_ACPI, Broken, address, disk, empty_disk, nic, pci, rng, until
from parts import guest_pid
from topology import Guest, same_guest, unless

# on the bridge, without ACPI, a device goes without the guest
BRIDGE = address(1, 4)


class Qmp:
    """The monitor of a guest that no daemon has in its hands"""

    def __init__(self, path, patience=30):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(patience)
        # the name of a socket may only be short
        directory = os.open(path.parent, os.O_PATH)
        self.socket.connect(f'/proc/self/fd/{directory}/{path.name}')
        os.close(directory)
        self.lines = self.socket.makefile()
        self.events = []
        self.read()
        self.do('qmp_capabilities')

    def read(self):
        line = self.lines.readline()
        if not line:
            raise Broken('QEMU has closed its monitor')
        return json.loads(line)

    def do(self, command, **arguments):
        self.socket.sendall(json.dumps({'execute': command, 'arguments': arguments}).encode())
        while 'event' in (answer := self.read()):
            self.events.append(answer)
        if 'error' in answer:
            raise Broken(f'{command} {arguments}: {answer["error"]["desc"]}')
        return answer['return']

    def unplug(self, alias):
        """Returns when QEMU has let go of all that is behind the device as well"""
        self.do('device_del', id=alias)
        while not any(event['event'] == 'DEVICE_DELETED' and event['data'].get('device') == alias for event in self.events):
            self.events.append(self.read())

    def close(self):
        self.lines.close()
        self.socket.close()


def channel(name):
    return (f"<channel type='unix'><target type='virtio' name='org.example.{name}'/><alias name='ua-{name}'/>"
            "<address type='virtio-serial' controller='0' bus='0' port='1'/></channel>\n")


def shared_memory(name, place):
    return f"<shmem name='{name}'><model type='ivshmem-plain'/><size unit='M'>1</size><alias name='ua-{name}'/>{place}</shmem>\n"


def kinds(daemon):
    """What is behind a device -> its XML, the commands that remove that"""
    return {
        'an object': (rng('x', BRIDGE), [('object-del', 'objua-x')]),
        'a netdev': (nic('x', place=BRIDGE, mac=9), [('netdev_del', 'hostua-x')]),
        'a chardev': (channel('x'), [('chardev-remove', 'charua-x')]),
        'shared memory': (shared_memory('x', BRIDGE), [('object-del', 'shmmem-ua-x')]),
        'a disk': (disk(empty_disk(daemon), 'x', BRIDGE), [('blockdev-del', None)]),
    }


def block_nodes(qmp):
    """The nodes of the one disk, those above first"""
    nodes = [node['node-name'] for node in qmp.do('query-named-block-nodes') if node['node-name'].startswith('libvirt-')]
    return sorted(nodes, key=lambda name: not name.endswith('-format'))


def remove(qmp, command, name):
    if command == 'blockdev-del':
        for node in block_nodes(qmp):
            qmp.do(command, **{'node-name': node})
    else:
        qmp.do(command, id=name)


def detached(bench):
    """Test points: the guest is the same process and has the device no more, whatever of it QEMU has still; the same
    device can be attached again."""
    with bench.daemon(2) as daemon:
        machine = PC_NO_ACPI
        guest = machine.domain('u', pci('pci-bridge', 1) + "<controller type='virtio-serial' index='0'/>" + rng('first'))
        daemon.define('u', guest)
        daemon.must('start u --paused')
        for kind, (xml, back_end) in kinds(daemon).items():
            for what, steps in (('is still there', []), ('is gone as well', back_end)):
                with bench.point('detached', machine, f'QEMU has given up a device, and {kind} behind it {what}') as faults:
                    if daemon.must('domstate u').strip() != 'paused':
                        # the point before has ended it
                        daemon.must('start u --paused')
                    before = daemon.dump('u', live=True)
                    daemon.must(f'attach-device u {daemon.file(xml)} --live')
                    faults += interrupted(daemon, steps)
                    after = daemon.dump('u', live=True)
                    faults += unless('ua-x' not in Guest(after).devices, 'libvirt has the device still')
                    faults += same_guest(before, after) + daemon.misplaced('u')
                    daemon.must(f'attach-device u {daemon.file(xml)} --live')
                    faults += daemon.misplaced('u')
                    daemon.must('detach-device-alias u ua-x --live')
                    until(lambda: 'ua-x' not in Guest(daemon.dump('u', live=True)).devices, 'libvirt does not see the device go')


def interrupted(daemon, steps):
    """Kill the daemon, let QEMU do the rest of a detach, and start the daemon. Faults: the guest has ended"""
    process = guest_pid(daemon)
    daemon.stop(signal.SIGKILL)
    qmp = Qmp(pathlib.Path(ET.parse(daemon.status('u')).find('monitor').get('path')))
    try:
        qmp.unplug('ua-x')
        for command, name in steps:
            remove(qmp, command, name)
    finally:
        qmp.close()
        daemon.start()
    # the daemon answers that when it has reconnected to the guest
    alive, _ = daemon.run('qemu-monitor-command u --hmp "info status"')
    return unless(alive and guest_pid(daemon) == process, 'libvirt has ended the guest')
