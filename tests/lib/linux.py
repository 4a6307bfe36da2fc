# SPDX-License-Identifier: LGPL-2.1-or-later
"""A Linux for guests: Debian's kernel and an initial file system with busybox, for each architecture.

The packages are downloaded with a private configuration of apt, which has the machine's own archives
and all three architectures; nothing is installed. What came is kept in build/download/linux.
"""

import fcntl
import gzip
import lzma
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
FILES = TOP / 'build' / 'download' / 'linux'
# libvirt's architecture -> Debian's, the package that depends on the kernel, and its file in /boot
ARCHES = {
    'x86_64': ('amd64', 'linux-image-amd64', 'vmlinuz-*'),
    'aarch64': ('arm64', 'linux-image-arm64', 'vmlinuz-*'),
    'ppc64': ('ppc64el', 'linux-image-powerpc64le', 'vmlinux-*'),
}
# name -> Debian's package, where its files are, and its release if it may not be the machine's own. The
# firmware of Debian 12 tells an aarch64 guest nothing of the NUMA nodes of expander buses.
UEFI = {
    'OVMF': ('ovmf', 'OVMF', 'OVMF_CODE_4M.fd', 'OVMF_VARS_4M.fd', ''),
    'AAVMF': ('qemu-efi-aarch64', 'AAVMF', 'AAVMF_CODE.fd', 'AAVMF_VARS.fd', 'trixie'),
}
# what PAPR expects of user space when a device comes or goes, and the libraries of that
PAPR = ('powerpc-ibm-utils', 'librtas2', 'librtasevent2', 'libc6', 'libnuma1', 'zlib1g')


class Missing(Exception):
    """A file could not be had; the text says why."""


def say(text):
    print(text, file=sys.stderr, flush=True)


# -- packages --------------------------------------------------------------------------------------

def run(*command, cwd=None, **environment):
    """What a command prints; Missing if it fails"""
    result = subprocess.run(command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            timeout=900, env={**os.environ, 'LC_ALL': 'C', **environment})
    if result.returncode:
        raise Missing(f'{" ".join(map(str, command[:4]))}: {(result.stderr or result.stdout).strip()[-500:]}')
    return result.stdout


class Apt:
    """apt with a state of its own, so that no architecture is added to the machine's"""

    def __init__(self, directory, codename=''):
        self.directory = directory
        self.codename = codename    # of Debian; empty: the machine's own
        self.settings = directory / 'apt.conf'

    def run(self, *command, **options):
        return run(*command, APT_CONFIG=str(self.settings), **options)

    def update(self):
        """Get the lists of packages, unless that was done a moment ago for another architecture."""
        if self.settings.exists() and time.time() - self.settings.stat().st_mtime < 600:
            return
        for path in ('lists/partial', 'cache/archives/partial'):
            (self.directory / path).mkdir(parents=True, exist_ok=True)
        (self.directory / 'status').touch()
        run('bash', '-c', '. "$1/scripts/lib.sh"; apt_sources "${3:-$(. /etc/os-release; echo "$VERSION_CODENAME")}" "$2" deb', 'bash',
            str(TOP), str(self.directory / 'sources'), self.codename)
        architectures = ' '.join(f'"{debian}";' for debian, _, _ in ARCHES.values())
        settings = f'''APT::Architectures {{ {architectures} }};
Dir::State::Lists "{self.directory}/lists";
Dir::State::status "{self.directory}/status";
Dir::Cache "{self.directory}/cache";
Dir::Etc::SourceList "/dev/null";
Dir::Etc::SourceParts "{self.directory}/sources";
APT::Sandbox::User "root";
Acquire::Languages "none";
'''
        self.settings.write_text(settings)
        try:
            # by default apt is content if it got nothing
            self.run('apt-get', '-o', 'APT::Update::Error-Mode=any', 'update')
        except Missing:
            self.settings.unlink()
            raise

    def kernel(self, package, debian):
        """The package with the kernel, on which PACKAGE depends"""
        found = re.search(r'Depends: (linux-image-\d[^\s:]*)', self.run('apt-cache', 'depends', f'{package}:{debian}'))
        if not found:
            raise Missing(f'apt knows no package that {package} of {debian} depends on')
        return found[1]

    def unpack(self, package, debian, tree):
        work = self.directory / 'get'
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        self.run('apt-get', 'download', f'{package}:{debian}', cwd=work)
        run('dpkg', '-x', *map(str, work.glob('*.deb')), str(tree))
        shutil.rmtree(work)


def can_get(arch):
    """Whether files for ARCH are there or could be downloaded"""
    return (FILES / ARCHES[arch][0]).is_dir() or bool(shutil.which('apt-get'))


def tree(arch):
    """The directory into which the packages for ARCH are unpacked"""
    debian, package, _ = ARCHES[arch]
    FILES.mkdir(parents=True, exist_ok=True)
    with open(FILES / 'lock', 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path, new = FILES / debian, FILES / f'{debian}.new'
        if path.is_dir():
            return path
        say(f"getting a kernel for {arch} from Debian's package {package}")
        apt = Apt(FILES / 'apt')
        apt.update()
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir()
        for name in (apt.kernel(package, debian), 'busybox-static', *(PAPR if arch == 'ppc64' else ())):
            apt.unpack(name, debian, new)
        new.rename(path)
        return path


def uefi(firmware):
    """UEFI firmware for guests: (code, template of its variables), of the machine's own package, or of Debian's"""
    package, directory, code, variables, codename = UEFI[firmware]
    path = pathlib.Path('/usr/share') / directory
    if codename or not path.is_dir():
        path = FILES / package / 'usr' / 'share' / directory
        if not path.is_dir():
            say(f"getting {firmware} from Debian's package {package}")
            FILES.mkdir(parents=True, exist_ok=True)
            apt = Apt(FILES / f'apt{codename}', codename)
            apt.update()
            apt.unpack(package, 'all', FILES / package)
    return path / code, path / variables


def one(directory, pattern):
    # Debian 13 has links to some from where they were
    found = sorted({path.resolve() for path in directory.glob(pattern)})
    if len(found) != 1:
        raise Missing(f'{directory}: {len(found)} files fit {pattern}')
    return found[0]


def kernel(arch):
    return one(tree(arch) / 'boot', ARCHES[arch][2])


def busybox(arch):
    return one(tree(arch), '**/bin/busybox')


# -- the initial file system -------------------------------------------------------------------------

def archive(files):
    """A cpio archive, as the kernel unpacks it: files is name -> (mode, content)"""
    out = b''
    for number, (name, (mode, content)) in enumerate((*files.items(), ('TRAILER!!!', (0, b''))), 1):
        fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 5 if name == 'dev/console' else 0,
                  1 if name == 'dev/console' else 0, len(name) + 1, 0)
        out += b'070701' + b''.join(b'%08X' % field for field in fields) + name.encode() + b'\0'
        out += b'\0' * (-len(out) % 4) + content
        out += b'\0' * (-len(out) % 4)
    return gzip.compress(out, 6, mtime=0)


def initial(target, program, init, extra=()):
    """Write an initial file system: busybox PROGRAM, the script INIT and EXTRA, name -> (mode, content)"""
    files = {'bin': (0o040755, b''), 'dev': (0o040755, b''), 'dev/console': (0o020600, b''),
             'bin/busybox': (0o100755, program.read_bytes()), 'init': (0o100755, init.encode())}
    for name, entry in dict(extra).items():
        for parent in reversed(pathlib.PurePath(name).parents[:-1]):
            files.setdefault(str(parent), (0o040755, b''))
        files[name] = entry
    target.write_bytes(archive(files))
    return target


def modules(arch, names):
    """Modules of the kernel and all that they need, in the order to load them: name -> content"""
    # the kernels of Debian 13 have them in usr/lib, and compressed
    directory = one(tree(arch), '**/lib/modules/*')
    paths = {path.name.partition('.')[0].replace('-', '_'): path for path in directory.rglob('*.ko*')}
    found = {}

    def add(name):
        if name in found or name not in paths:
            # what is not there is built in, or unknown to this architecture
            return
        content = paths[name].read_bytes()
        if paths[name].suffix == '.xz':
            content = lzma.decompress(content)
        for needed in re.search(rb'\0depends=([^\0]*)\0', content)[1].decode().split(','):
            add(needed.replace('-', '_'))
        found[name] = content

    for name in names:
        add(name)
    return found
