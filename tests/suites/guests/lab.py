# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests on real QEMU: their XML, the drivers that run them, and where QEMU says the devices are."""

import contextlib
import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET

import linux
from embedded import ON_ONE_CPU, Gone, Virsh, builds, environment, fake_host, make_root, on_all_cpus, probe
from goldens import QEMU_NAMES
from tap import Tap
from topology import number

BUILD, PRISTINE = builds()
LONG = os.environ.get('PCITOPO_LONG') == '1'


class Broken(Exception):
    """Something that a test needs did not work; the text says what."""


class NotHere(Exception):
    """This machine lacks what a test point needs; the text says what."""


def until(condition, fault, patience=30):
    """Wait for it; Broken with the text FAULT if it does not come."""
    end = time.monotonic() + patience
    while not condition():
        if time.monotonic() > end:
            raise Broken(fault)
        time.sleep(0.1)


# -- machines and their guests ------------------------------------------------------------------

class Machine:
    def __init__(self, name, arch, machine, acpi, label, express, features=''):
        self.name, self.arch, self.machine, self.acpi = name, arch, machine, acpi
        self.label, self.express, self.features = label, express, features
        self.emulator = shutil.which(f'qemu-system-{QEMU_NAMES.get(arch, arch)}')

    def __str__(self):
        return self.label

    def domain(self, name, devices='', prefs=(), plain=True, memory=64, features=''):
        """XML of a domain. If PLAIN, libvirt adds no device that would take a slot."""
        features += self.features + ('<acpi/>' if self.acpi else '')
        none = ("<controller type='usb' model='none'/><memballoon model='none'/>"
                "<video><model type='none'/></video>") if plain else ''
        return (f"<domain type='qemu'>\n<name>{name}</name>\n<memory unit='MiB'>{memory}</memory>\n"
                f"<os><type arch='{self.arch}' machine='{self.machine}'>hvm</type></os>\n"
                f'<features>{features}</features>\n{preferences(prefs)}'
                f'<devices>\n<emulator>{self.emulator}</emulator>\n{none}\n{devices}\n</devices>\n</domain>\n')


def preference(name, value, **attributes):
    """Windows are in KiB"""
    given = ''.join(f" {kind}='{size}'" for kind, size in attributes.items())
    return f"<preference name='{name}' value='{value}'{given}/>"


def preferences(prefs):
    """PREFS: name -> value, or the elements, if a name is there twice or has windows"""
    if not prefs:
        return ''
    text = prefs if isinstance(prefs, str) else ''.join(preference(*pair) for pair in dict(prefs).items())
    return f'<preferences>{text}</preferences>\n'


def uefi(directory, firmware='OVMF'):
    """What <os> has for a guest with OVMF or AAVMF, whose variables are in DIRECTORY then"""
    code, variables = linux.uefi(firmware)
    return f"<loader readonly='yes' type='pflash'>{code}</loader><nvram template='{variables}'>{directory}/nvram</nvram>"


Q35 = Machine('q35', 'x86_64', 'q35', True, 'q35 × ACPI', True)
Q35_NO_ACPI = Machine('q35', 'x86_64', 'q35', False, 'q35 × no ACPI', True)
PC = Machine('pc', 'x86_64', 'pc', True, 'pc × ACPI', False)
PC_NO_ACPI = Machine('pc', 'x86_64', 'pc', False, 'pc × no ACPI', False)
# ACPI needs UEFI there
VIRT = Machine('virt', 'aarch64', 'virt', False, 'aarch64 virt × no ACPI', True)
AAVMF_VIRT = Machine('virt', 'aarch64', 'virt', True, 'aarch64 virt × ACPI', True, "<gic version='2'/>")
PSERIES = Machine('pseries', 'ppc64', 'pseries', False, 'pseries × no ACPI', False)
RISCV = Machine('virt', 'riscv64', 'virt', False, 'riscv64 virt × no ACPI', True)
ARM = Machine('virt', 'armv7l', 'virt', False, 'armv7l virt × no ACPI', True)
MACHINES = (Q35, Q35_NO_ACPI, PC, PC_NO_ACPI, VIRT, PSERIES, RISCV, ARM)


def address(bus=None, slot=0, function=0, hints=''):
    where = '' if bus is None else f" domain='0x0000' bus='{bus:#04x}' slot='{slot:#04x}' function='{function:#x}'"
    return f"<address type='pci'{where}{' ' + hints if hints else ''}/>"


def alias(name):
    return f"<alias name='ua-{name}'/>" if name is not None else ''


def rng(name=None, place=''):
    return f"<rng model='virtio'><backend model='random'>/dev/urandom</backend>{alias(name)}{place}</rng>\n"


def nic(name=None, model='virtio', place='', mac=None):
    given = f"<mac address='52:54:00:00:{mac >> 8:02x}:{mac & 255:02x}'/>" if mac is not None else ''
    return f"<interface type='user'>{given}<model type='{model}'/>{alias(name)}{place}</interface>\n"


def pci(model, index=None, place='', target=''):
    given = '' if index is None else f" index='{index}'"
    return f"<controller type='pci' model='{model}'{given}>{target}{place}</controller>\n"


def disk(path, name=None, place=''):
    return (f"<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{path}'/>"
            f"<target dev='vda' bus='virtio'/>{alias(name)}{place}</disk>\n")


def empty_disk(lab):
    """Make an image of the LAB's; returns its path."""
    image = lab.root / 'work' / 'disk.qcow2'
    subprocess.run(['qemu-img', 'create', '-q', '-f', 'qcow2', image, '64M'], check=True)
    return image


def models(guest):
    """How many PCI controllers there are of each model"""
    count = {}
    for controller in guest.controllers.values():
        count[controller.get('model')] = count.get(controller.get('model'), 0) + 1
    return count


# -- where devices are ---------------------------------------------------------------------------

def xml_places(text):
    """alias -> path of a device of a running guest: the name of the root bus, then (slot, function)
    of each bridge on the way and of the device"""
    devices = [device for device in ET.fromstring(text).find('devices') if device.tag != 'emulator']
    controllers = {number(device.get('index')): device for device in devices
                   if device.tag == 'controller' and device.get('type') == 'pci'}

    def place(device):
        where = device.find('address')
        if where is None or where.get('type') != 'pci' or where.get('slot') is None:
            return None
        return path(number(where.get('bus'))) + ((number(where.get('slot')), number(where.get('function'))),)

    def path(index):
        controller = controllers[index]
        name = controller.find('alias').get('name')
        if controller.get('model') == 'pci-root' and index:
            return (f'{name}.0',)
        if controller.get('model') in ('pci-root', 'pcie-root', 'pci-expander-bus', 'pcie-expander-bus'):
            return (name,)
        return place(controller)

    def name(device):
        """The alias, which companions of a USB2 controller share with it; QEMU knows only that one by it"""
        master = device.find('master')
        return device.find('alias').get('name') + ('' if master is None else f', companion {master.get("startport")}')

    places = {name(device): place(device) for device in devices if device.find('alias') is not None}
    return {name: where for name, where in places.items() if where}


def qemu_places(tree):
    """From what "info qtree" prints: (id -> path as above, all paths)"""
    named, every, stack, device = {}, set(), [], None
    for line in tree.replace('\r', '').split('\n'):
        depth = len(line) - len(line.lstrip())
        text = line.strip()
        if not text:
            continue
        while stack and depth <= stack[-1]['depth']:
            stack.pop()
        if text.startswith('bus: '):
            stack.append({'depth': depth, 'bus': text[5:], 'type': None})
        elif text.startswith('dev: '):
            device = {'depth': depth, 'id': re.search(r'id "(.*)"', text)[1], 'place': None}
            stack.append(device)
        elif text.startswith('type ') and stack and 'bus' in stack[-1]:
            stack[-1]['type'] = text[5:]
        elif (where := re.fullmatch(r'addr = ([0-9a-f]+)\.([0-9a-f])', text)) and stack and 'id' in stack[-1]:
            buses = [entry for entry in stack if 'bus' in entry]
            if not buses or buses[-1]['type'] not in ('PCI', 'PCIE', 'pxb-pcie-bus'):
                continue
            stack[-1]['place'] = (int(where[1], 16), int(where[2], 16))
            chain = [entry['place'] for entry in stack if entry.get('place')]
            above = stack[:next(i for i, entry in enumerate(stack) if entry.get('place'))]
            path = (above[-1]['bus'], *chain)
            every.add(path)
            if stack[-1]['id']:
                named[stack[-1]['id']] = path
    return named, every


def show(path):
    return ' / '.join(str(step) if not isinstance(step, tuple) else f'{step[0]:02x}.{step[1]:x}' for step in path)


def misplaced(text, tree, empty=False):
    """Devices that QEMU has elsewhere than the XML says, or that only one of both knows. EMPTY: the
    domain may be one without PCI."""
    wanted = xml_places(text)
    named, every = qemu_places(tree)
    faults = []
    for name, path in wanted.items():
        if name in named and named[name] != path:
            faults.append(f'{name} should be at {show(path)}, QEMU has it at {show(named[name])}')
        elif name not in named and path not in every:
            faults.append(f'{name} should be at {show(path)}, QEMU has nothing there')
    faults += [f'QEMU has {name} at {show(path)}, and the XML does not say so'
               for name, path in named.items() if name not in wanted]
    return faults or ([] if wanted or empty else ['the XML has no PCI device at all'])


def root_numbers(text):
    """name of an expander bus -> its bus number, by which query-pci knows it; the root is 0"""
    return {controller.find('alias').get('name'): number(controller.find('target').get('busNr'))
            for controller in ET.fromstring(text).find('devices').iterfind("controller[@type='pci']")
            if controller.get('model', '').endswith('expander-bus')}


def bridges_inside(text):
    """name of a pci-expander-bus -> the bridge that QEMU puts in between"""
    return {controller.find('alias').get('name'): ((0, 0),)
            for controller in ET.fromstring(text).find('devices').iterfind("controller[@model='pci-expander-bus']")}


def query_pci_devices(reply):
    """Path of each device that query-pci shows, from the number of the root bus on -> what it says of it"""
    paths = {}

    def walk(devices, above):
        for device in devices:
            path = above + ((device['slot'], device['function']),)
            paths[path] = device
            walk(device.get('pci_bridge', {}).get('devices', []), path)

    for root in json.loads(reply)['return']:
        walk(root['devices'], (root['bus'],))
    return paths


# -- drivers and the guests they run -------------------------------------------------------------

class Lab:
    """The driver inside virsh, with its own root and guests, which go when the lab does. HOST_DEVICES: it
    finds those of embedded.py. TELL: it tells which addresses it reserves. KEPT: see Virsh."""

    def __init__(self, directory, cache, patience=120, build=BUILD, host_devices=False, tell=False, kept=False):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix='g', dir=directory))
        self.root.rmdir()
        make_root(self.root, cache)
        settings = fake_host(build, self.root / 'host') if host_devices else {}
        if tell:
            settings |= {'LIBVIRT_LOG_FILTERS': '1:conf.domain_addr', 'LIBVIRT_LOG_OUTPUTS': f'1:file:{self.root}/virsh.log'}
        self.virsh = Virsh(build, self.root, patience, settings=settings, kept=kept)

    def run(self, command):
        return self.virsh.run(command)

    def reserved(self, command):
        """What a driver that tells has reserved for a COMMAND, in its order: (bus, slot, function)"""
        log = self.root / 'virsh.log'
        known = len(log.read_text()) if log.exists() else 0
        self.run(command)
        return [tuple(int(part, 16) for part in where)
                for where in re.findall(r'Reserving PCI address 0000:(\w+):(\w+)\.(\w)', log.read_text()[known:])]

    def must(self, command):
        ok, text = self.run(command)
        if not ok:
            raise Broken(f'{command}: {text.strip()}')
        return text

    def file(self, xml, name='d.xml'):
        return self.virsh.write(xml, name)

    def define(self, name, xml):
        self.must(f'define {self.file(xml)}')
        return self.dump(name)

    def dump(self, name, live=False):
        return self.must(f'dumpxml {name}' + ('' if live else ' --inactive'))

    def attach(self, name, xml, how):
        return self.run(f'attach-device {name} {self.file(xml)} {how}')

    def hmp(self, name, command):
        return self.must(f'qemu-monitor-command {name} --hmp "{command}"')

    def qmp(self, name, command):
        text = self.must(f"qemu-monitor-command {name} '{{\"execute\":\"{command}\"}}'")
        return text[text.index('{"return"'):text.rindex('}') + 1]

    def misplaced(self, name, empty=False):
        return misplaced(self.dump(name, live=True), self.hmp(name, 'info qtree'), empty)

    def query_pci(self, name, patience=60):
        """Faults: query-pci shows the topology of the XML, once the firmware has given the bridges
        their bus numbers. What the XML has not is part of the chipset."""
        text = self.dump(name, live=True)
        roots = root_numbers(text)
        inside = bridges_inside(text)
        wanted = {(roots.get(path[0], 0), *inside.get(path[0], ()), *path[1:]) for path in xml_places(text).values()}
        end = time.monotonic() + patience
        while True:
            shown = query_pci_devices(self.qmp(name, 'query-pci')).keys()
            faults = [f'query-pci has nothing at {show(path)}' for path in sorted(wanted - shown)]
            faults += [f'query-pci has something at {show(path)}' for path in sorted(shown - wanted) if len(path) > 2]
            if not faults or time.monotonic() > end:
                return faults
            time.sleep(0.3)

    def wait_for(self, name, state, patience=30):
        end = time.monotonic() + patience
        while True:
            ok, text = self.run(f'domstate {name}')
            if ok and text.strip() == state:
                return
            if time.monotonic() > end:
                raise Broken(f'{name} is not {state} but {text.strip()}')
            time.sleep(0.1)

    def reopen(self, running=(), state='paused'):
        """End the driver and start it again, while guests go on."""
        self.virsh.close()
        for name in running:
            self.wait_for(name, state)

    def definition(self, name):
        """The definition as it is on disk"""
        return self.root / 'etc' / 'qemu' / f'{name}.xml'

    def pid_files(self):
        return self.root.glob('run/qemu/*.pid')

    def close(self):
        self.virsh.close()
        for path in list(self.pid_files()):
            if path.name != 'driver.pid':
                kill_guest(path, self.root)
        shutil.rmtree(self.root, ignore_errors=True)


def kill_guest(pid_file, root):
    """Kill the QEMU of a pid file, if it is one that runs from ROOT."""
    with contextlib.suppress(OSError, ValueError):
        pid = int(pid_file.read_text())
        command = pathlib.Path(f'/proc/{pid}/cmdline').read_bytes()
        if b'qemu-system' in command and str(root).encode() in command:
            os.kill(pid, signal.SIGKILL)


class Daemon(Lab):
    """A virtqemud with directories of its own. A session daemon must not be root: if we are, it is
    somebody else in a user namespace."""

    def __init__(self, directory, cache, number, build=BUILD, patience=120):
        self.build, self.patience = build, patience
        self.root = pathlib.Path(tempfile.mkdtemp(prefix='s', dir=directory))
        for part in ('run', 'cache/libvirt/qemu', 'config/libvirt', 'data', 'work'):
            (self.root / part).mkdir(parents=True)
        shutil.copytree(cache / 'qemu' / 'capabilities', self.root / 'cache/libvirt/qemu/cache/capabilities')
        (self.root / 'config/libvirt/qemu.conf').write_text(
            'stdio_handler = "file"\nsecurity_driver = "none"\nnamespaces = []\ncgroup_controllers = []\n')
        # two daemons of one host can only migrate to each other if they do not know that
        (self.root / 'virtqemud.conf').write_text(
            f'host_uuid = "00000000-0000-4000-8000-{number:012}"\nauth_unix_rw = "none"\nauth_unix_ro = "none"\n'
            f'log_outputs = "3:file:{self.root}/virtqemud.log"\n')
        self.socket = self.root / 'run/libvirt/virtqemud-sock'
        self.uri = f'qemu+unix:///session?socket={self.socket}'
        self.virsh = Virsh(build, self.root, patience, self.uri)
        self.process = None
        self.start()

    @staticmethod
    def missing():
        """Why there can be no daemon here, or None"""
        if not (BUILD / 'src' / 'virtqemud').exists():
            return 'the build has no virtqemud'
        if os.geteuid() == 0 and subprocess.run(Daemon.disguise() + ['true'], stderr=subprocess.DEVNULL).returncode:
            return 'no user namespaces'
        return None

    @staticmethod
    def disguise():
        if os.geteuid():
            return []
        # virtqemud of libvirt 9.0.0 crashes if nobody has its user's number
        user = next(entry for entry in pwd.getpwall() if entry.pw_uid)
        return ['unshare', '--user', f'--map-user={user.pw_uid}', f'--map-group={user.pw_gid}']

    def start(self):
        settings = environment('XDG_', 'DBUS_', LC_ALL='C', HOME=str(self.root), XDG_RUNTIME_DIR=f'{self.root}/run',
                               XDG_CACHE_HOME=f'{self.root}/cache', XDG_CONFIG_HOME=f'{self.root}/config',
                               XDG_DATA_HOME=f'{self.root}/data')
        with open(self.root / 'virtqemud.out', 'a') as output:
            self.process = subprocess.Popen(
                [*ON_ONE_CPU, *self.disguise(), self.build / 'run', self.build / 'src' / 'virtqemud', '--config', self.root / 'virtqemud.conf',
                                   '--pid-file', self.root / 'virtqemud.pid'],
                cwd=self.root, env=settings, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True)
        end = time.monotonic() + 30
        while not self.answers():
            if time.monotonic() > end or self.process.poll() is not None:
                raise Broken('virtqemud does not start: ' + (self.root / 'virtqemud.out').read_text()[-500:])
            time.sleep(0.2)
        on_all_cpus(self.process.pid)

    def answers(self):
        """Whether virsh reaches the daemon. One that was killed leaves its socket behind."""
        try:
            return self.socket.exists() and self.run('uri')[0]
        except Gone:
            return False

    def stop(self, how=signal.SIGTERM):
        self.virsh.close()
        if self.process and self.process.poll() is None:
            # its own session, so this reaches nobody else; its guests have sessions of their own
            os.killpg(self.process.pid, how)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()

    def restart(self, how, running=()):
        self.stop(how)
        self.start()
        for name in running:
            self.wait_for(name, 'paused')

    def swap(self, build, running=()):
        """Go on with the daemon and the virsh of another build, while guests run."""
        self.stop()
        self.build, self.virsh = build, Virsh(build, self.root, self.patience, self.uri)
        self.restart(signal.SIGTERM, running)

    def definition(self, name):
        return self.root / 'config/libvirt/qemu' / f'{name}.xml'

    def status(self, name):
        """What the daemon writes down about a running guest"""
        return self.root / 'run/libvirt/qemu/run' / f'{name}.xml'

    def pid_files(self):
        return self.root.glob('run/libvirt/qemu/run/*.pid')

    def close(self):
        self.stop()
        super().close()


# -- test points ---------------------------------------------------------------------------------

class Bench:
    """What all scenarios share: the test points and a directory for the labs."""

    def __init__(self):
        self.tap = Tap()
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix='pcitopo-'))
        self.cache = None
        self.labs = []

    def prepare(self):
        rows = {machine.emulator: (machine.arch, machine.machine, machine.emulator) for machine in MACHINES if machine.emulator}
        self.cache = probe(BUILD, self.directory / 'probe', list(rows.values()))

    def have(self, machine, what):
        """Whether there is an emulator for MACHINE; a point is skipped otherwise."""
        if not machine.emulator:
            self.tap.skip(f'{what}: {machine}', f'no qemu-system-{machine.arch}')
        return bool(machine.emulator)

    @contextlib.contextmanager
    def lab(self, **options):
        lab = Lab(self.directory, **{'cache': self.cache, **options})
        self.labs.append(lab)
        try:
            yield lab
        finally:
            lab.close()

    def loads_internal_snapshots(self):
        """Whether the release without the series brings a running guest back from an internal snapshot.
        11.3.0 does not with QEMU 7.2, which has not taken its disks yet when it is asked to, and answers
        that one "is writable but does not support snapshots"."""
        with self.lab(build=PRISTINE) as lab:
            lab.define('g', Q35.domain('g', disk(empty_disk(lab), 'disk')))
            lab.must('start g --paused')
            lab.must('snapshot-create-as g live')
            ok, text = lab.run('snapshot-revert g live')
            if not ok and 'does not support snapshots' not in text:
                raise Broken(text)
            return ok

    @contextlib.contextmanager
    def daemon(self, number, build=BUILD):
        daemon = Daemon(self.directory, self.cache, number, build)
        try:
            yield daemon
        finally:
            daemon.close()

    @contextlib.contextmanager
    def point(self, part, machine, promise):
        """A test point. What is appended to the list it yields are faults, and so is an exception, but for
        NotHere."""
        faults = []
        start = time.monotonic()
        try:
            yield faults
        except NotHere as why:
            self.tap.skip(f'{part}: {machine} × {promise}', str(why).replace('#', 'no.'))
            return
        except (Broken, Gone) as fault:
            faults.append(fault)
        except Exception as fault:
            faults.append(f'{type(fault).__name__}: {fault} in line {sys.exc_info()[2].tb_next.tb_lineno}')
        self.tap.point(f'{part}: {machine} × {promise} → {"broken" if faults else "kept"}', faults)
        self.tap.note(f"{time.monotonic() - start:.1f} s")
        sys.stdout.flush()

    def close(self):
        shutil.rmtree(self.directory, ignore_errors=True)
