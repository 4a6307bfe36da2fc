#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""TAP: the repository keeps its own rules (the series, the overlay, what its text speaks of).

Needs no build; what libvirt's own linter checks is the suite "syntax-check".
"""

import os
import pathlib
import re
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / 'lib'))

from releases import read_releases

root = pathlib.Path(os.environ.get('PCITOPO_ROOT', pathlib.Path(__file__).resolve().parent.parent))
releases = read_releases(root)
bases = [name for name in releases.sections() if name != 'common']

points = 0
failed = False


def point(text, faults):
    global points, failed
    points += 1
    failed |= bool(faults)
    print(f'{"not ok" if faults else "ok"} {points} - {text}')
    for fault in sorted(faults):
        for line in fault.splitlines():
            print(f'# {line}')


def below(directory):
    """Files below a directory of the repository, by their names in it, without editors' leavings."""
    top = root / directory
    return {path.relative_to(top).as_posix() for path in top.rglob('*')
            if (path.is_file() or path.is_symlink()) and not re.search(r'~$|\.(orig|rej|swp|pyc)$', path.name)}


def series(base):
    path = root / 'patches' / base / 'series'
    lines = path.read_text().splitlines() if path.exists() else []
    return [name for name in (line.split('#')[0].strip() for line in lines) if name]


# -- the series --------------------------------------------------------------------------------

def header_faults(name, text):
    """What is wrong with a patch's header and form."""
    header, _, diff = text.partition('\n---\n\n')
    lines = header.split('\n')
    if not diff.startswith('diff --git '):
        return [f'{name}: after the header comes a line "---", a blank line, the diff']
    faults = []
    if not re.fullmatch(r'[a-z][a-z0-9_, /.-]*: \S.*[^.]', lines[0]) or len(lines[0]) > 72:
        faults.append(f'{name}: the first line is "area: summary", at most 72 characters, no full stop')
    body = '\n'.join(lines[1:])
    forwarded = re.search(r'\n\nForwarded: (no|not-needed|https?://\S+)$', header)
    if not forwarded:
        faults.append(f'{name}: the header ends in a blank line and "Forwarded: no" (or where to)')
    if not re.match(r'\n(?!Forwarded:)\S', body):
        faults.append(f'{name}: a blank line and a body that says why follow the first line')
    if any(len(line) > 100 for line in lines):
        faults.append(f'{name}: a line of the header is longer than 100 characters')
    if re.search(r'^Signed-off-by:', header, re.M | re.I):
        faults.append(f'{name}: Signed-off-by, which only a person can give')
    if re.search(r'^(From|Date|Patch-Name|Subject): ', header, re.M) or re.match(r'From [0-9a-f]{40}', header):
        faults.append(f'{name}: From, Date or Subject in the header')
    if any(set(line.split()[1].replace('..', '')) != {'0'} for line in re.findall(r'^index \S+', diff, re.M)):
        faults.append(f'{name}: hashes that are not zero')
    if re.search(r'^(new file|deleted file|rename|copy|similarity)', diff, re.M):
        faults.append(f'{name}: adds, removes or renames a file; new files belong in src-overlay/')
    if re.search(r'^GIT binary patch|^Binary files', diff, re.M):
        faults.append(f'{name}: binary')
    data = re.findall(r'^\+\+\+ b/(tests/[^/]*data/.*)', diff, re.M)
    if data:
        faults.append(f'{name}: changes test data of upstream: {" ".join(data)}')
    return faults


faults, names = [], {}
for directory in sorted(path.name for path in (root / 'patches').iterdir()) if (root / 'patches').exists() else []:
    if directory not in bases:
        faults.append(f'patches/{directory}: not a release of releases.ini')
for base in bases:
    listed = series(base)
    names[base] = listed
    there = below(pathlib.Path('patches', base)) - {'series'}
    faults += [f'{base}: {name} is listed twice' for name in set(listed) if listed.count(name) > 1]
    faults += [f'{base}: {name} is listed but not there' for name in set(listed) - there]
    faults += [f'{base}: {name} is there but not listed' for name in there - set(listed)]
    for number, name in enumerate(listed, 1):
        if not re.fullmatch(rf'{number:04}-[a-z0-9][a-z0-9-]*\.patch', name):
            faults.append(f'{base}: {name} should be called {number:04}-slug.patch')
        if base in name:
            faults.append(f'{base}: {name} has a version number in its name')
point('each patch is listed once, none is unused, names are NNNN-slug.patch', faults)

faults = []
for base in bases:
    for name in names[base]:
        if (root / 'patches' / base / name).exists():
            faults += header_faults(f'patches/{base}/{name}', (root / 'patches' / base / name).read_text())
point('patches have a complete header, zero hashes, and only hooks', faults)

kept = {base: names[base] for base in bases if names[base]}
here = [base for base in kept if (root / 'build' / base / 'tree.key').exists()]
faults = []
for base in here:
    check = subprocess.run([pathlib.Path(__file__).resolve().parent.parent / 'scripts' / 'refresh', '--base', base, '--check'],
                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors='replace')
    if check.returncode != 0:
        faults.append(f'{base}: {check.stderr or "failed"}')
point(f'patches apply without fuzz and offset, and refresh would change nothing ({" ".join(here) or "no tree here yet"})', faults)

first = next(iter(kept), None)
point('the series has the same patches on every release',
      [f'{base} differs from {first}: {" ".join(sorted(set(kept[base]) ^ set(kept[first])))}'
       for base in kept if kept[base] != kept[first]])

# -- the overlay -------------------------------------------------------------------------------

overlay = below('src-overlay')
faults = []
trees = []
for base in bases:
    tree = root / 'build' / base / 'src'
    known = subprocess.run(['git', '-C', tree, 'ls-tree', '-r', '--name-only', 'upstream'],
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout.split('\n')
    if len(known) < 2:
        continue
    trees.append(base)
    goldens = {f'{directory}/{name}' for directory in releases[base].get('goldens', '').split() for name in below(directory)}
    faults += [f'{name} is a file of libvirt {base}' for name in (overlay | goldens) & set(known)]
point(f'overlay and golden files shadow no file of upstream ({" ".join(trees) or "no tree here yet"})', faults)

faults = []
for name in overlay:
    head = (root / 'src-overlay' / name).read_text(errors='replace')[:4000]
    if name.endswith(('.c', '.h', '.py', '.sh')) and not re.search(r'SPDX-License-Identifier: LGPL-2.1-or-later|GNU Lesser General Public', head):
        faults.append(f'src-overlay/{name}: no licence')
point('overlay sources name their licence', faults)

# -- the repository's own files ----------------------------------------------------------------

listing = subprocess.run(['git', '-C', root, 'ls-files', '-z', '--cached', '--others', '--exclude-standard'],
                         stdout=subprocess.PIPE, text=True, check=True).stdout.split('\0')
own = sorted(name for name in listing if name and (root / name).is_file() and not (root / name).is_symlink())
golden = re.compile(r'tests/[^/]*data/')

faults = []
for name in own:
    first_lines = (root / name).read_bytes()[:400].decode(errors='replace')
    program = first_lines.startswith('#!') or re.search(r'\.(sh|bash|bats|py)$|(^|/)meson(\.build|_options\.txt)$', name)
    if program and not golden.match(name) and 'SPDX-License-Identifier: LGPL-2.1-or-later' not in first_lines:
        faults.append(f'{name}: no line "SPDX-License-Identifier: LGPL-2.1-or-later" at its head')
point('every program has its licence at the head', faults)

# Paths of one machine and hosts of one mirror; in brackets so that this file does not match itself.
foreign = re.compile(r'(?<![\w.}])/w[o]rk(?=[\s/`\'".,)]|$)|(?<![\w.}])/h[o]me/[a-z]+/|'
                     r'\b(deb|ftp[.a-z]*|security|snapshot|archive|cdn-[a-z]+)\.d[e]bian\.(org|net)\b', re.M)
scratch = re.compile(r'/t[m]p/')
faults = []
for name in own:
    if name == 'COPYING':
        continue
    for number, line in enumerate((root / name).read_text(errors='replace').split('\n'), 1):
        # upstream's own test files and guests' file systems have a scratch directory
        if foreign.search(line) or (scratch.search(line) and not golden.match(name) and not name.startswith(('tests/guests/', 'patches/', 'src-overlay/tests/'))):
            faults.append(f'{name}:{number}: {line.strip()[:100]}')
point('no path of one machine, no host of a mirror', faults)

point('no white space at the end of a line',
      [f'{name}:{number}' for name in own
       if not golden.match(name) and not name.endswith(('.patch', '.png')) and name != 'COPYING'
       for number, line in enumerate((root / name).read_text(errors='replace').split('\n'), 1)
       if line != line.rstrip()])

print(f'1..{points}')
sys.exit(failed)
