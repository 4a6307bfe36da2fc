# SPDX-License-Identifier: LGPL-2.1-or-later
"""A host goes from one Debian to the next, with the series on both: from 9.0.0 on Debian 12 to 11.3.0 on Debian 13, by the
commands of docs/compatibility.md. Guests of the older one run on, are started, restored, brought back to a snapshot."""

import subprocess

import upgrade
from debian import HOLD, UNHOLD, Scenarios, a_copy, install_from, package
from lab import PC_NO_ACPI, Q35, Broken, Lab
from releases import TOP, read_releases
from topology import Guest, changed, short, unless

MACHINES = ((Q35, 'pcieHotplugSlots'), (PC_NO_ACPI, 'pciHotplugSlots'))
EMULATOR = '/usr/bin/qemu-system-x86_64'
IMAGE = '/var/lib/libvirt/images/snapped.qcow2'
REST = 'apt full-upgrade'


class Host(Lab):
    """The daemon of a Debian as the guests' tests speak to one"""

    def __init__(self, debian):
        self.debian = debian

    def run(self, command):
        return self.debian.run(f'virsh -q {command}')

    def file(self, xml, name='d.xml'):
        # there it has its own QEMU
        self.debian.file(f'/root/{name}').write_text(xml.replace(str(Q35.emulator), EMULATOR))
        return f'/root/{name}'

    def definition(self, name):
        return self.debian.file(f'/etc/libvirt/qemu/{name}.xml')


class Test(Scenarios):
    def __init__(self, tap, debian, older, newer, root):
        """OLDER and NEWER are the releases, their packages are in /older and /newer; ROOT has what apt needs to know"""
        super().__init__(tap, debian)
        self.host, self.older, self.newer, self.root = Host(debian), older, newer, root

    def ours(self, base):
        """Faults: a package of libvirt is installed that is not ours of the release"""
        return [f'{name} {version} is installed' for name, version in self.debian.installed_from('libvirt')
                if not version.startswith(f'{base}-') or '+pci' not in version]

    def begin(self, debian):
        debian.upgrade('/older')
        debian.must(HOLD)
        debian.start()
        faults = self.ours(self.older)
        self.dumps = {name: self.host.define(name, xml) for name, xml in upgrade.all_of_it().items() if f'{Q35.emulator}<' in xml}
        debian.must(f'qemu-img create -q -f qcow2 {IMAGE} 64M')
        self.dumps['snapped'] = self.host.define('snapped', upgrade.snapped(IMAGE))
        self.host.must('snapshot-create-as snapped before')
        self.host.must('autostart hints')
        self.lives = {}
        for machine, _ in MACHINES:
            for what in ('runs', 'saved'):
                name = f'{what}-{machine.name}'
                self.dumps[name], self.lives[name] = upgrade.start(self.host, machine, name)
            self.host.must(f'managedsave saved-{machine.name}')
        self.pids = {name: debian.pid(name) for name in self.lives if name.startswith('runs')}
        self.files = {name: debian.definition(name) for name in self.dumps}
        return faults + unless(len(self.dumps) == 12, f'{len(self.dumps)} guests are defined')

    def upgrade(self, debian):
        text = (TOP / 'docs' / 'compatibility.md').read_text()
        install = install_from(f'./build/package/deb-{self.newer}')
        faults = [f'docs/compatibility.md has other commands than: {line}' for line in (UNHOLD, install, REST) if f'\n{line}\n' not in text]
        debian.stop()
        for name in ('sources.list', 'sources.list.d'):
            subprocess.run(['rm', '-rf', debian.file(f'/etc/apt/{name}')], check=True)
            if (there := self.root / 'etc' / 'apt' / name).exists():
                subprocess.run(['cp', '-r', there, debian.file('/etc/apt')], check=True)
        debian.must(UNHOLD)
        debian.fetch('apt update')
        debian.fetch(install_from('/newer'))
        debian.upgrade('/newer', 900)
        faults += self.ours(self.newer)
        debian.fetch(REST)
        debian.must(f'apt -y -o DPkg::Options::=--force-unsafe-io {REST.removeprefix("apt ")}', 1800)
        faults += self.ours(self.newer)
        suite = read_releases()[self.newer]['suite']
        release = debian.file('/etc/os-release').read_text()
        faults += unless(f'VERSION_CODENAME={suite}\n' in release, release)
        debian.must(HOLD)
        debian.start()
        return faults + unless(not debian.altered(), debian.altered())

    def running(self, debian):
        faults = []
        for machine, preference in MACHINES:
            name = f'runs-{machine.name}'
            self.host.wait_for(name, 'paused')
            found = unless(debian.pid(name) == self.pids[name], 'it is another process')
            found += upgrade.same(self.lives[name], self.host, name, live=True) + upgrade.same(self.dumps[name], self.host, name)
            found += upgrade.takes_the_rest(self.host, preference, name)
            faults += [f'{name}: {fault}' for fault in found]
            self.host.must(f'destroy {name}')
        return faults

    def definitions(self, debian):
        listed = set(self.host.must('list --all --name').split())
        faults = unless(listed == self.dumps.keys(), f'there are {listed}') + upgrade.autostarts(self.host)
        for name, dump in self.dumps.items():
            found = upgrade.same(dump, self.host, name) + changed(self.files[name], debian.definition(name))
            found += short(Guest(self.host.dump(name)))
            faults += [f'{name}: {fault}' for fault in found]
        return faults

    def starts(self, _):
        faults = []
        for name in self.dumps.keys() - self.lives.keys():
            self.host.must(f'start {name} --paused')
            faults += [f'{name}: {fault}' for fault in upgrade.same(self.dumps[name], self.host, name, live=True) + self.host.misplaced(name)]
            self.host.must(f'destroy {name}')
        return faults

    def saved(self, _):
        faults = []
        for machine, preference in MACHINES:
            name = f'saved-{machine.name}'
            self.host.must(f'start {name} --paused')
            found = upgrade.same(self.lives[name], self.host, name, live=True) + upgrade.same(self.dumps[name], self.host, name)
            faults += [f'{name}: {fault}' for fault in found + upgrade.takes_the_rest(self.host, preference, name)]
            self.host.must(f'destroy {name}')
        return faults

    def snapshot(self, _):
        return upgrade.reverted(self.host, self.dumps['snapped'])

    def boot(self, debian):
        debian.stop()
        # which is in memory otherwise
        debian.must('rm -rf /run/libvirt')
        debian.start()
        faults = unless(debian.state('hints') == 'running', 'it is not started')
        faults += upgrade.same(self.dumps['hints'], self.host, 'hints', live=True)
        self.host.must('destroy hints')
        return faults

    def all(self):
        for name, scenario in (
                ('guests with each preference and hint; some run, some are saved, one has a snapshot, one starts by itself', self.begin),
                ("the next Debian's sources, our packages of it, then the rest of it", self.upgrade),
                ('guests run on, nothing has moved, and each free slot takes a device', self.running),
                ('definitions are as they were to the byte, with hints and promises', self.definitions),
                ('they start on the next QEMU, each device where it was', self.starts),
                ('saved guests are restored as they were, and each free slot takes a device', self.saved),
                ('back to the snapshot: the definition of then', self.snapshot),
                ('autostart, as after a boot', self.boot)):
            self.point(f'{self.older} to {self.newer}: {name}', scenario)


def next_debian(tap, base, packages, original):
    """PACKAGES are those of BASE, ORIGINAL is its Debian"""
    newer = next((two for one, _, two, *_ in upgrade.pairs() if one == base), None)
    if not newer:
        tap.skip(f'{base} to the next Debian', f'no release of releases.ini comes after {base}')
        return
    try:
        # what lintian says of them is a matter of the run on that release
        newer_packages, root = package('deb', newer, '--no-lintian'), package('root', newer)
    except Broken as fault:
        tap.point(f'{base} to {newer}: the packages of both', [fault])
        return
    with a_copy(original) as debian:
        debian.take(packages, '/older')
        debian.take(newer_packages, '/newer')
        Test(tap, debian, base, newer, root).all()
