# SPDX-License-Identifier: LGPL-2.1-or-later
"""A Debian in a directory: its packages, the daemon in it and its guests."""

import contextlib
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from lab import Broken
from releases import TOP

MARK = 'pcitopo-end-of-command'
# as README.md has them
INSTALL = 'apt install --only-upgrade ./build/package/deb-9.0.0/*.deb'
HOLD = "apt-mark hold $(dpkg-query -W -f '${source:Package} ${Package}\\n' | sed -n 's/^libvirt //p')"
UNHOLD = HOLD.replace('hold', 'unhold')


def package(what, base, *options):
    """What scripts/package makes, made now if it has to be"""
    done = subprocess.run([TOP / 'scripts' / 'package', what, '--base', base, *options], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise Broken(f'scripts/package {what} --base {base} fails')
    return pathlib.Path(done.stdout.splitlines()[-1])


@contextlib.contextmanager
def a_copy(original):
    """A copy of the Debian ORIGINAL, which goes at the end"""
    scratch = pathlib.Path(tempfile.mkdtemp(prefix='test-', dir=original.parent))
    debian = None
    try:
        debian = Debian(original, scratch)
        yield debian
    finally:
        if debian:
            debian.close()
        subprocess.run(['rm', '-rf', '--one-file-system', scratch], check=False)


def install_from(where):
    """The command of README.md for the .debs in a directory"""
    return INSTALL.replace('./build/package/deb-9.0.0', where)


class Scenarios:
    """Test points, each of which starts where the one before ended"""

    def __init__(self, tap, debian):
        self.tap, self.debian, self.broken = tap, debian, False

    def point(self, name, scenario):
        start = time.monotonic()
        if self.broken:
            self.tap.point(name, ['not run, for one before it has not ended as it should'])
            return
        try:
            faults = scenario(self.debian)
        except Broken as fault:
            self.broken, faults = True, [fault]
        self.tap.point(name, faults)
        self.tap.note(f'{time.monotonic() - start:.1f} s')
        sys.stdout.flush()


class Debian:
    """A Debian with a shell in it that runs commands one by one, without a network."""

    def __init__(self, original, scratch):
        self.root = scratch / 'root'
        subprocess.run(['cp', '-a', '--reflink=auto', original, self.root], check=True)
        self.shell = subprocess.Popen(
            ['bash', '-c', '. scripts/lib.sh; . scripts/lib-root.sh; in_root "$0" sh', self.root],
            cwd=TOP, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0, start_new_session=True)

    def run(self, command, patience=120):
        """(did it succeed?, its output)"""
        # a daemon that goes on must not hold the pipe
        self.shell.stdin.write(f'( {command}\n) </dev/null >/output 2>&1; echo "{MARK} $?"\n'.encode())
        text, end = '', time.monotonic() + patience
        while not (done := re.search(rf'{MARK} (\d+)\n', text)):
            ready, _, _ = select.select([self.shell.stdout], [], [], max(0, end - time.monotonic()))
            piece = os.read(self.shell.stdout.fileno(), 1 << 16) if ready else b''
            if not piece:
                raise Broken(f'{"no end" if not ready else "no shell"}: {command}: {text}')
            text += piece.decode(errors='replace')
        return done[1] == '0', self.file('/output').read_text(errors='replace')

    def must(self, command, patience=120):
        ok, text = self.run(command, patience)
        if not ok:
            raise Broken(f'{command}: {text.strip()[-1500:]}')
        return text

    def file(self, path):
        return self.root / path.lstrip('/')

    def close(self):
        # the shell's end is that of all processes and mounts
        self.shell.stdin.close()
        try:
            self.shell.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self.shell.pid, signal.SIGKILL)
            self.shell.wait()

    # -- packages --

    def take(self, packages, where):
        """Put the .debs of a directory into another in here, which need not be there"""
        shutil.copytree(packages, self.file(where), ignore=lambda _, names: [name for name in names if not name.endswith('.deb')])

    def upgrade(self, where, patience=300):
        """By the command of README.md, which leaves out what is not installed, to the .debs in a directory in here"""
        return self.must(install_from(where).replace('apt ', 'apt -y ', 1), patience)

    def fetch(self, command):
        """What a COMMAND of apt's needs from an archive, with the machine's network"""
        done = subprocess.run(
            ['bash', '-c', '. scripts/lib.sh; . scripts/lib-root.sh; cp /etc/resolv.conf "$0/etc"; IN_ROOT_NETWORK=host in_root "$0" sh -c "$1"',
             self.root, command.replace('apt ', 'apt -y --download-only ', 1)],
            cwd=TOP, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace')
        if done.returncode:
            raise Broken(f'{command}, only to download: {done.stdout.strip()[-1500:]}')

    def installed_from(self, source):
        """(package, version) of each that is installed from a source package"""
        rows = (row.split() for row in self.must("dpkg-query -W -f '${source:Package} ${Package} ${Version}\\n'").splitlines())
        return [(name, version) for given, name, version in rows if given == source]

    def version(self, package='libvirt0'):
        return self.must(f"dpkg-query -W -f '${{Version}}' {package}")

    def install(self, directory):
        """What is installed of libvirt, in the version that DIRECTORY has, by apt and without a network"""
        self.must(f'apt-get -y --allow-downgrades -o Dpkg::Options::=--force-confdef install {directory}/*.deb', 300)

    def packages(self):
        return self.must("dpkg-query -W -f '${Package}\\n'")

    def altered(self):
        """Files of libvirt's packages that are not as they were installed"""
        return self.run("dpkg --verify $(dpkg-query -W -f '${source:Package} ${Package}\\n' | sed -n 's/^libvirt //p')")[1]

    # -- the daemon and its guests --

    def start(self):
        """The daemons, as their services would start them"""
        daemon = 'libvirtd' if self.file('/usr/sbin/libvirtd').exists() else 'virtqemud'
        self.must('mkdir -p /run/libvirt && virtlogd -d')
        self.must(f'{daemon} -d')
        end = time.monotonic() + 30
        while not self.run('virsh -q uri')[0]:
            if time.monotonic() > end:
                raise Broken(f'{daemon} does not answer: {self.run("virsh uri")[1]}')
            time.sleep(0.2)

    def stop(self):
        for name in ('libvirtd', 'virtqemud', 'virtlogd'):
            self.must(f'[ -f /run/{name}.pid ] || exit 0; pid=$(cat /run/{name}.pid); kill $pid; '
                      'for i in $(seq 300); do [ -d /proc/$pid ] || exit 0; sleep 0.1; done; exit 1')

    def define(self, xml):
        self.file('/root/d.xml').write_text(xml)
        self.must('virsh -q define /root/d.xml')

    def attach(self, name, xml):
        self.file('/root/d.xml').write_text(xml)
        return self.run(f'virsh -q attach-device {name} /root/d.xml --live')

    def dump(self, name, live=False):
        return self.must(f'virsh -q dumpxml {name}' + ('' if live else ' --inactive'))

    def definition(self, name):
        return self.file(f'/etc/libvirt/qemu/{name}.xml').read_text()

    def pid(self, name):
        return self.file(f'/run/libvirt/qemu/{name}.pid').read_text()

    def state(self, name, patience=30):
        """The state that the daemon reports, once it has looked at its guests"""
        end = time.monotonic() + patience
        while (state := self.must(f'virsh -q domstate {name}').strip()) != 'running' and time.monotonic() < end:
            time.sleep(0.2)
        return state
