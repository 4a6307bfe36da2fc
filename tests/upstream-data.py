#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""TAP: the patched tree differs from the release only where the series says so.

Compares the files of the two source trees, not what git knows of them: no file of the release is
missing, none of its test data is changed, what is changed is named in a patch, what is new comes
from src-overlay/ or is one of our golden files.
"""

import os
import pathlib
import re
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / 'lib'))

from releases import read_releases

root = pathlib.Path(__file__).resolve().parent.parent
base = os.environ.get('PCITOPO_BASE', '9.0.0')
source = {kind: pathlib.Path(os.environ.get(f'PCITOPO_{kind.upper()}', root / 'build' / (base + suffix) / 'obj')).parent / 'src'
          for kind, suffix in (('patched', ''), ('pristine', '-pristine'))}
releases = read_releases()

points = 0
failed = False


def point(good, text, details=()):
    global points, failed
    points += 1
    failed |= not good
    print(f'{"ok" if good else "not ok"} {points} - {text}')
    for line in sorted(details)[:50]:
        print(f'# {line}')


def files(top):
    """Every file below TOP, but for what git and compilers of Python put there."""
    found = set()
    for directory, subdirectories, names in os.walk(top):
        subdirectories[:] = [name for name in subdirectories if name not in ('.git', '__pycache__')]
        found |= {os.path.relpath(os.path.join(directory, name), top) for name in names}
    return found


def same(name):
    old, new = source['pristine'] / name, source['patched'] / name
    if old.is_symlink() or new.is_symlink():
        return old.is_symlink() and new.is_symlink() and os.readlink(old) == os.readlink(new)
    return old.read_bytes() == new.read_bytes()


patches = root / 'patches' / base
series = []
if (patches / 'series').exists():
    series = [line.split('#')[0].strip() for line in (patches / 'series').read_text().splitlines()]
named = set()
for patch in filter(None, series):
    named |= set(re.findall(r'^\+\+\+ b/(.*?)\t?$', (patches / patch).read_text(), re.M))
ours = files(root / 'src-overlay') if (root / 'src-overlay').exists() else set()
for directory in releases[base].get('goldens', '').split():
    if (root / directory).exists():
        ours |= {os.path.join(directory, name) for name in files(root / directory)}
if 'inputs' in releases[base]:
    ours |= {os.path.join(releases[base]['goldens'].split()[0], path.name)
             for path in (root / releases[base]['inputs']).glob('*.xml')}

old, new = files(source['pristine']), files(source['patched'])
if not old or not new:
    print(f'Bail out! no source tree in {source["pristine"]} or {source["patched"]}')
    sys.exit(1)
both = old & new
changed = {name for name in both if not same(name)}
data = {name for name in both if re.match(r'tests/[^/]*data/', name)}

point(not old - new, f'no file of libvirt {base} is missing', old - new)
point(len(data) > 1000, f'test data of upstream found ({len(data)} files)')
point(not changed & data, 'no test data of upstream is changed', changed & data)
point(not changed - named, f'the {len(changed)} changed files are named in patches', changed - named)
point(not named - changed - (new - old), 'every file named in a patch is changed', named - changed - (new - old))
point(not new - old - ours - named, f'the {len(new - old)} new files are ours', new - old - ours - named)
point(not ours - new, 'every file of ours is in the tree', ours - new)
print(f'1..{points}')
sys.exit(failed)
