# SPDX-License-Identifier: LGPL-2.1-or-later
"""Test points in TAP."""

import sys


class Tap:
    def __init__(self):
        self.points = 0
        self.failed = False

    def point(self, name, faults=()):
        """One test point; it passes if there are no faults, which are shown otherwise."""
        faults = list(faults)
        self.points += 1
        self.failed |= bool(faults)
        print(f'{"not ok" if faults else "ok"} {self.points} - {name.replace("#", "no.")}')
        for fault in faults[:40]:
            self.note(fault)
        if len(faults) > 40:
            self.note(f'and {len(faults) - 40} more')

    def skip(self, name, why):
        self.points += 1
        print(f'ok {self.points} - {name} # SKIP {why}')

    @staticmethod
    def note(text):
        for line in str(text).splitlines():
            print(f'# {line}')

    def end(self):
        print(f'1..{self.points}', flush=True)
        return int(self.failed)


def show_help(text):
    """Of a program whose only option is --help: print TEXT and end, if that is what is asked for"""
    if '--help' in sys.argv[1:] or '-h' in sys.argv[1:]:
        print(text.strip())
        sys.exit(0)
