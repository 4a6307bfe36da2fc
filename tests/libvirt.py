#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Run libvirt's own tests in the patched build and report each test program as one TAP point.

usage: tests/libvirt.py NAME [ARGUMENT of "meson test"…]

NAME tells the logs of one choice of tests from those of another.
"""

import json
import os
import pathlib
import subprocess
import sys

sys.dont_write_bytecode = True
root = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(root / 'tests' / 'lib'))

from embedded import environment

name, arguments = sys.argv[1], sys.argv[2:]
base = os.environ.get('PCITOPO_BASE', '9.0.0')
build = pathlib.Path(os.environ.get('PCITOPO_PATCHED', root / 'build' / base / 'obj'))
log = build / 'meson-logs' / f'{name}.json'
log.unlink(missing_ok=True)

# the caller's settings for libvirt must not reach its tests
run = subprocess.run(['meson', 'test', '-C', build, '--no-rebuild', '--logbase', name, *arguments],
                     env=environment('MESON_'), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                     stderr=subprocess.STDOUT, text=True, errors='replace')

results = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
for number, result in enumerate(results, 1):
    title = result['name'].replace('#', '')
    if result['result'] == 'SKIP':
        print(f'ok {number} - {title} # SKIP')
    elif result['result'] in ('OK', 'EXPECTEDFAIL'):
        print(f'ok {number} - {title}')
    else:
        print(f'not ok {number} - {title}')
        print(f'# {result["result"]}, exit status {result["returncode"]}')
        text = (result.get('stdout') or '') + (result.get('stderr') or '')
        for line in text.splitlines()[-40:]:
            print(f'# {line}')
if not results:
    for line in run.stdout.splitlines()[-20:]:
        print(f'# {line}')
    print('Bail out! no test of libvirt ran')
    sys.exit(1)
print(f'1..{len(results)}')
