# SPDX-License-Identifier: LGPL-2.1-or-later
"""What releases.ini says."""

import configparser
import pathlib


def read_releases(root=pathlib.Path(__file__).resolve().parents[2]):
    """The sections of ROOT's releases.ini: each release, and 'common'"""
    found = configparser.ConfigParser(interpolation=None)
    found.read(root / 'releases.ini')
    return found
