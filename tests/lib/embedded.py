# SPDX-License-Identifier: LGPL-2.1-or-later
"""virsh with the QEMU driver inside it, fed with commands one by one.

Each driver has a root of its own. What QEMU can do is found out once per build and then copied,
because asking five emulators takes ten seconds.
"""

import getpass
import grp
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time

import releases

PROMPT = b'virsh # '
FLAG_PCIE_TO_PCI = 'pcie-pci-bridge'
# what libvirt asks for hotplug='off' on any pci-root, that of pseries included
FLAG_ROOT_HOTPLUG = 'piix4.acpi-root-pci-hotplug'


class Gone(Exception):
    """virsh ended or hangs; the text says which and in what command."""


def builds():
    """The build directories to test, (patched, pristine)."""
    return releases.build_directory('patched'), releases.build_directory('pristine')


def scratch():
    """A temporary directory, in memory where that can be had: the driver syncs each file that it
    writes to disk."""
    memory = '/dev/shm'
    return tempfile.TemporaryDirectory(prefix='pcitopo-', ignore_cleanup_errors=True,
                                       dir=memory if os.access(memory, os.W_OK) else None)


def environment(*more, **settings):
    """The environment without what the caller has set for libvirt, or what begins with one of MORE, and
    with SETTINGS"""
    unwanted = ('LIBVIRT_', 'VIR_', 'VIRSH_', 'PCITOPO_', *more)
    return {**{key: value for key, value in os.environ.items() if not key.startswith(unwanted)}, **settings}


def make_root(root, cache=None):
    (root / 'etc').mkdir(parents=True)
    (root / 'work').mkdir()
    (root / 'etc' / 'qemu.conf').write_text(f'''user = "{getpass.getuser()}"
group = "{grp.getgrgid(os.getgid()).gr_name}"
stdio_handler = "file"
security_driver = "none"
namespaces = []
cgroup_controllers = []
''')
    if cache:
        shutil.copytree(cache, root / 'cache')


def probe(build, root, machines):
    """Fill the cache of capabilities below a new root; returns its path."""
    make_root(root)
    virsh = Virsh(build, root)
    for arch, machine, emulator in machines:
        ok, text = virsh.run(f'domcapabilities --virttype qemu --arch {arch} --machine {machine} --emulatorbin {emulator}')
        if not ok:
            raise RuntimeError(f'{build}: {emulator}: {text}')
    virsh.close()
    return root / 'cache'


def without_flag(cache, copy, flag):
    """A copy of a cache as if no emulator had what FLAG stands for; returns its path."""
    shutil.copytree(cache, copy)
    changed = 0
    for path in copy.glob('qemu/capabilities/*.xml'):
        text = path.read_text()
        path.write_text(re.sub(rf"\n *<flag name='{flag}'/>", '', text))
        changed += text != path.read_text()
    if not changed:
        raise RuntimeError(f'no emulator has {flag}')
    return copy


def flags(cache, arch):
    """What the emulator of ARCH has, by a cache"""
    texts = [path.read_text() for path in cache.glob('qemu/capabilities/*.xml')]
    return {flag for text in texts if f'<arch>{arch}</arch>' in text for flag in re.findall(r"<flag name='(.*?)'/>", text)}


def with_flag(cache, copy, flag):
    """A copy of a cache as if each emulator had what FLAG stands for; returns its path."""
    shutil.copytree(cache, copy)
    for path in copy.glob('qemu/capabilities/*.xml'):
        text = path.read_text()
        if f"<flag name='{flag}'/>" not in text:
            path.write_text(text.replace('<flag ', f"<flag name='{flag}'/>\n  <flag ", 1))
    return copy


def fake_host(build, directory):
    """Settings for a driver that finds other host devices than there are, each in an IOMMU group: what
    libvirt's own tests make believe. Some of them are in HOST_DEVICES."""
    return {'LD_PRELOAD': str(build / 'tests' / 'libvirpcimock.so'), 'LIBVIRT_FAKE_ROOT_DIR': str(directory)}


# domain, bus, slot, function; the first two share an IOMMU group
HOST_DEVICES = ((1, 1, 0, 0), (1, 1, 0, 1), (0, 6, 0x12, 0), (0, 1, 0, 0), (0, 2, 0, 0))


# Where CPUID is not the same on all CPUs of a host, a driver that starts on another CPU takes what is known of
# QEMU for outdated, asks again, and overwrites a cache that a test has edited. It looks once, when it starts.
CPUS = os.sched_getaffinity(0)
ON_ONE_CPU = ['taskset', '-c', str(min(CPUS))]


def on_all_cpus(session):
    """The processes of a session, which were started on one CPU, may use all from now on."""
    for stat in pathlib.Path('/proc').glob('[0-9]*/stat'):
        try:
            # after the name, which may hold anything: state, parent, group, session
            if int(stat.read_text().rpartition(')')[2].split()[3]) == session:
                for thread in stat.with_name('task').iterdir():
                    os.sched_setaffinity(int(thread.name), CPUS)
        except (OSError, IndexError):
            # it has ended meanwhile
            continue


class Overwritten(Exception):
    """The driver asked QEMU again, so that an edit of its cache of capabilities is gone."""


class Virsh:
    """KEPT says that the cache in its root was edited, and has to stay as it is."""

    def __init__(self, build, root, patience=120, uri=None, settings=(), kept=False):
        self.build, self.root, self.patience, self.settings = build, root, patience, dict(settings)
        self.uri = uri or f'qemu:///embed?root={root}'
        self.process = None
        self.kept = self.cached() if kept else None

    def cached(self):
        return {path: path.stat().st_mtime_ns for path in self.root.glob('cache/qemu/capabilities/*.xml')}

    def start(self):
        self.process = subprocess.Popen(
            [*ON_ONE_CPU, self.build / 'run', self.build / 'tools' / 'virsh', '-q', '-c', self.uri], cwd=self.root / 'work',
            env=environment(**{'LC_ALL': 'C', 'TERM': 'dumb', 'LIBVIRT_LOG_OUTPUTS': f'3:file:{self.root}/virsh.log', **self.settings}),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0, start_new_session=True)
        self.read('start')
        on_all_cpus(self.process.pid)

    def read(self, command):
        """What virsh writes up to its next prompt."""
        text = b''
        end = time.monotonic() + self.patience
        while not text.endswith(PROMPT):
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))
            piece = os.read(self.process.stdout.fileno(), 1 << 20) if ready else b''
            if not piece:
                status = self.stop()
                raise Gone(f'virsh hangs in: {command}' if not ready else
                           f'virsh died (status {status}) in: {command}: {text.decode(errors="replace")[-300:]}')
            text += piece
        return text[:-len(PROMPT)].decode(errors='replace')

    def run(self, command):
        """(did it succeed?, its output); Commands have to be short, or readline would wrap the echo."""
        if not self.process:
            self.start()
        self.process.stdin.write(command.encode() + b'\n')
        text = self.read(command)
        if self.kept is not None and self.cached() != self.kept:
            raise Overwritten(f'{self.build}: the driver asked QEMU again, so the edited capabilities are gone')
        if text.startswith(command):
            text = text[len(command):].lstrip('\n')
        return not re.search(r'^error: ', text, re.M), text

    def write(self, xml, name='d.xml'):
        (self.root / 'work' / name).write_text(xml)
        return name

    def define(self, name, xml):
        """(did it succeed?, what dumpxml prints then or the error)"""
        ok, text = self.run(f'define {self.write(xml)}')
        return self.dump(name) if ok else (ok, text)

    def dump(self, name):
        return self.run(f'dumpxml --inactive {name}')

    def undefine(self, name):
        ok, text = self.run(f'undefine {name}')
        if not ok:
            raise Gone(f'undefine {name}: {text}')

    def define_once(self, name, xml):
        """As define(), and the domain is gone afterwards. A crash is an outcome as well: None."""
        try:
            ok, text = self.define(name, xml)
            if ok:
                self.undefine(name)
            return ok, text
        except Gone as gone:
            self.forget(name)
            return None, str(gone)

    def forget(self, name):
        """After virsh has died: remove what it had stored."""
        self.stop()
        for path in self.root.glob(f'etc/qemu/{name}.xml'):
            path.unlink()

    def stop(self):
        process, self.process = self.process, None
        if not process:
            return None
        if process.poll() is None:
            time.sleep(0.05)
        if process.poll() is None:
            # its own session, so this reaches nobody else
            os.killpg(process.pid, signal.SIGKILL)
        process.stdin.close()
        process.wait()
        process.stdout.close()
        return process.returncode

    def close(self):
        if self.process:
            self.process.stdin.close()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                pass
        self.stop()
