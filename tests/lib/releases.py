# SPDX-License-Identifier: LGPL-2.1-or-later
"""What releases.ini says."""

import configparser
import os
import pathlib
import subprocess

TOP = pathlib.Path(__file__).resolve().parents[2]


def read_releases(root=TOP):
    """The sections of ROOT's releases.ini: each release, and 'common'"""
    found = configparser.ConfigParser(interpolation=None)
    found.read(root / 'releases.ini')
    return found


def default_base():
    """The release that the scripts take on this machine if none is named"""
    return subprocess.run(['bash', '-c', '. "$1/scripts/lib.sh"; default_base', 'bash', TOP], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def base():
    """The release to test"""
    return os.environ.get('PCITOPO_BASE') or default_base()


def build_directory(kind):
    """Where the release to test is built: KIND is patched or pristine"""
    named = os.environ.get(f'PCITOPO_{kind.upper()}')
    return pathlib.Path(named) if named else TOP / 'build' / (base() + ('' if kind == 'patched' else f'-{kind}')) / 'obj'
