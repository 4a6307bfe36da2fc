# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the benchmarks share: both builds with a warm cache of capabilities, tables, checks."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path[:0] = [str(TOP / 'tests' / 'lib'), str(TOP / 'tests' / 'suites' / 'guests')]

import embedded
import lab
import releases

BASE = releases.base()
RESULTS = TOP / 'build' / 'bench' / BASE
SERIES, PRISTINE = 'series', 'pristine'
MACHINES = {'q35': lab.Q35, 'pc': lab.PC, 'virt': lab.VIRT, 'pseries': lab.PSERIES}


def say(text):
    print(text, file=sys.stderr, flush=True)


class Builds:
    """The two builds, and a directory for roots of theirs, which goes at the end."""

    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix='pcitopo-bench-'))
        self.path = dict(zip((SERIES, PRISTINE), embedded.builds()))
        self.cache = {}
        self.roots = 0
        self.open = []

    def probe(self, names):
        say('finding out what QEMU can do')
        rows = {machine.emulator: (machine.arch, machine.machine, machine.emulator)
                for machine in MACHINES.values() if machine.emulator}
        for name in names:
            self.cache[name] = embedded.probe(self.path[name], self.directory / f'probe-{name}', list(rows.values()))

    def root(self, name):
        """A new root: no domain that would be loaded at start, but nothing to find out either"""
        self.roots += 1
        root = self.directory / f'{name}-{self.roots}'
        embedded.make_root(root, self.cache[name])
        return root

    def virsh(self, name, patience=600):
        virsh = embedded.Virsh(self.path[name], self.root(name), patience)
        self.open.append(virsh)
        return virsh

    def close(self):
        for virsh in self.open:
            virsh.close()
            for path in virsh.root.glob('run/qemu/bench.pid'):
                lab.kill_guest(path, virsh.root)
        shutil.rmtree(self.directory, ignore_errors=True)


@contextlib.contextmanager
def builds(*names):
    """The builds with these names; both without any"""
    both = Builds()
    try:
        both.probe(names or (PRISTINE, SERIES))
        yield both
    finally:
        both.close()


def domain(machine, count, model='virtio', prefs=()):
    """A domain with COUNT NICs and no other device that takes a slot"""
    return MACHINES[machine].domain('bench', ''.join(lab.nic(model=model, mac=number) for number in range(count)), prefs)


def instructions(builds, name, function, xml, command='define d.xml'):
    """Instructions in FUNCTION and all it calls, in a virsh of its own that runs one command on XML in the
    file d.xml; None if the domain is refused"""
    root = builds.root(name)
    (root / 'work' / 'd.xml').write_text(xml)
    build, out = builds.path[name], root / 'callgrind.out'
    run = subprocess.run(
        [build / 'run', 'env', '-u', 'MALLOC_PERTURB_', 'GLIBC_TUNABLES=glibc.malloc.mxfast=0',
         f'LIBVIRT_LOG_OUTPUTS=3:file:{root}/virsh.log',
         'valgrind', '--tool=callgrind', f'--toggle-collect={function}', f'--callgrind-out-file={out}',
         build / 'tools' / 'virsh', '-q', '-c', f'qemu:///embed?root={root}', command],
        cwd=root / 'work', stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        errors='replace')
    if run.returncode:
        if re.search(r'^error: (Failed to define|.*No more available|XML error|internal error)', run.stdout, re.M):
            return None
        raise SystemExit(f'valgrind does not run virsh: {run.stdout[-1000:]}')
    found = re.search(r'^totals: (\d+)', out.read_text(), re.M)
    count = int(found[1]) if found else 0
    if not count:
        raise SystemExit(f'callgrind saw no call of {function} in {build}')
    return count


# -- output --------------------------------------------------------------------------------------

def table(head, rows):
    """Print a table that is also Markdown: numbers to the right."""
    cells = [[str(cell) for cell in row] for row in (head, *rows)]
    cells = [row + [''] * (len(head) - len(row)) for row in cells]
    width = [max(len(row[column]) for row in cells) for column in range(len(head))]
    right = [all(re.fullmatch(r'[+\d.]*( M)?|refused|all', row[column]) for row in cells[1:]) for column in range(len(head))]
    for number, row in enumerate(cells):
        print('| ' + ' | '.join(cell.rjust(size) if numbers else cell.ljust(size)
                                for cell, size, numbers in zip(row, width, right)) + ' |')
        if not number:
            print('|' + '|'.join('-' * (size + 1) + (':' if numbers else '-') for size, numbers in zip(width, right)) + '|')
    print(flush=True)


def millions(count):
    return f'{count / 1e6:.1f} M'


class Checks:
    """The lines that a benchmark ends with"""

    def __init__(self):
        self.missed = 0

    def check(self, good, text):
        self.missed += not good
        print(f'{"ok" if good else "MISSED"}: {text}', flush=True)

    def status(self):
        return 1 if self.missed else 0


def keep(verb, results):
    """Keep RESULTS for the picture; what was not measured this time stays as it is."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f'{verb}.json'
    before = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**before, **results}, indent=1) + '\n')
