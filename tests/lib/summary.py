#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sum up the subtests of a run of "meson test".

usage: tests/lib/summary.py TESTLOG.json

Shows what failed, the lines that a suite marks with "#|" and one line per suite, then "N passed, N failed, N skipped". A suite that ran
nothing, ended badly or was cut short counts as a failure, whatever its subtests say.
"""

import json
import re
import sys

POINT = re.compile(r'(not )?ok\b[ \t]*\d*[^#\\]*(?:\\.[^#\\]*)*(?:#[ \t]*(skip|todo)\b)?', re.I)


def count(result):
    """(passed, failed, skipped, lines about failures, lines that are shown in any case) of one test program"""
    passed = failed = skipped = 0
    planned, notes, noting, shown = None, [], 0, []
    for line in (result.get('stdout') or '').splitlines():
        plan = re.match(r'1\.\.(\d+)[ \t]*(#[ \t]*skip.*)?$', line, re.I)
        point = POINT.match(line)
        if plan:
            planned = int(plan[1])
            if planned == 0 and plan[2]:
                skipped += 1
        elif point:
            directive = (point[2] or '').lower()
            noting = 0
            if directive == 'skip':
                skipped += 1
            elif directive == 'todo' or not point[1]:
                passed += 1
            else:
                failed += 1
                noting = 45
                notes.append(line)
        elif line.startswith('Bail out!'):
            failed += 1
            notes.append(line)
        elif line.startswith('#|'):
            shown.append(line[2:].strip())
        elif line.startswith('#') and noting:
            noting -= 1
            notes.append('  ' + line)

    executed = passed + failed + skipped
    reason = None
    if result['result'] == 'TIMEOUT':
        reason = f'stopped after {result["duration"]:.0f} s'
    elif planned and planned != executed:
        reason = f'planned {planned} subtests, ran {executed}'
    elif planned is None and not failed:
        reason = 'ended without a plan'
    elif not executed:
        reason = 'ran no subtests'
    elif not failed and result['result'] not in ('OK', 'SKIP'):
        reason = f'{result["result"].lower()}, exit status {result["returncode"]}'
    if reason:
        failed += 1
        notes.append(f'not ok - {reason}')
        notes += ['  # ' + text for text in (result.get('stderr') or '').splitlines()[-20:]]
    return passed, failed, skipped, notes, shown


def main():
    with open(sys.argv[1], encoding='utf-8', errors='replace') as log:
        results = [json.loads(line) for line in log if line.strip()]
    total = [0, 0, 0]
    table = []
    for result in results:
        name = result['name'].split(' / ')[-1]
        *numbers, notes, shown = count(result)
        total = [a + b for a, b in zip(total, numbers)]
        table.append((name, *numbers, result['duration']))
        if shown:
            print(f'\n{name}:', *shown, sep='\n  ')
        if notes:
            print(f'\n{name}:', *notes, sep='\n  ')
    print()
    for name, passed, failed, skipped, seconds in table:
        print(f'{"FAILED" if failed else "ok":6} {name:15} {passed:6} passed {failed:4} failed {skipped:4} skipped {seconds:7.0f} s')
    if not total[0]:
        # nothing at all passed: that is no success either
        total[1] = max(total[1], 1)
    print(f'\n{total[0]} passed, {total[1]} failed, {total[2]} skipped')
    sys.exit(1 if total[1] else 0)


main()
