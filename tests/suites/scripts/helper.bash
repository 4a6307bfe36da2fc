# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A made-up release of a few files, so that the scripts can be tested in seconds. It has what they
# ask of libvirt: meson builds it, and its build directory has "run" and "tools/virsh".

bats_require_minimum_version 1.5.0
REPO=$(cd "$BATS_TEST_DIRNAME/../../.." && pwd)
# shellcheck disable=SC2034  # used by the tests
SCRIPTS=$REPO/scripts
unset LIBVIRT_BASE

make_release() {
    export PCITOPO_ROOT=$BATS_TEST_TMPDIR/root
    SRC=$PCITOPO_ROOT/build/1.0.0/src
    TARBALL=$BATS_TEST_TMPDIR/libvirt-1.0.0.tar.xz
    local top=$BATS_TEST_TMPDIR/libvirt-1.0.0
    mkdir -p "$top/src" "$top/tests/goldendata" "$PCITOPO_ROOT/patches/1.0.0" "$PCITOPO_ROOT/src-overlay/src"
    seq -f 'line %g' 40 >"$top/src/one.txt"
    seq -f 'line %g' 40 >"$top/src/two.txt"
    echo upstream >"$top/tests/goldendata/upstream.xml"
    printf '#!/bin/sh\nexec "$@"\n' >"$top/run.in"
    printf '#!/bin/sh\necho "virsh got: $*"\n[ "$#" -gt 2 ] || cat\n' >"$top/virsh.in"
    cat >"$top/meson.build" <<'MESON'
project('fake', meson_version: '>= 1.0')
cp = find_program('cp')
custom_target('run', input: 'run.in', output: 'run', command: [cp, '@INPUT@', '@OUTPUT@'], build_by_default: true)
custom_target('one', input: 'src/one.txt', output: 'one', command: [cp, '@INPUT@', '@OUTPUT@'], build_by_default: true)
subdir('tools')
MESON
    mkdir "$top/tools"
    mv "$top/virsh.in" "$top/tools"
    echo "custom_target('virsh', input: 'virsh.in', output: 'virsh', command: [cp, '@INPUT@', '@OUTPUT@'], build_by_default: true)" >"$top/tools/meson.build"
    chmod +x "$top/run.in" "$top/tools/virsh.in"
    tar -C "$BATS_TEST_TMPDIR" -cJf "$TARBALL" libvirt-1.0.0
    SHA256=$(sha256sum <"$TARBALL" | cut -d' ' -f1)
    cat >"$PCITOPO_ROOT/releases.ini" <<INI
[common]
default = 1.0.0
packages-build = git
 meson
options = -Dprefix=/usr

[1.0.0]
sha256 = $SHA256
suite = bookworm
status = supported
goldens = tests/goldendata
INI
    echo overlay >"$PCITOPO_ROOT/src-overlay/src/ours.txt"
}

# source_tree [ARGUMENT…]: make the tree of the made-up release
source_tree() { "$SCRIPTS/build" --source --tarball "$TARBALL" "$@"; }

# make_patch NAME FILE SED-SCRIPT: a patch of FILE at the end of the series
make_patch() {
    local old=$BATS_TEST_TMPDIR/libvirt-1.0.0/$2
    # like git, diff shall end a hunk's first line with the last line that began with a letter
    # shellcheck disable=SC2016
    {
        printf 'area: change %s\n\nBecause a test needs it.\n\nForwarded: no\n---\n\n' "$2"
        printf 'diff --git a/%s b/%s\n' "$2" "$2"
        sed "$3" "$old" | diff -u -F '^[[:alpha:]$_]' --label "a/$2" --label "b/$2" "$old" - || true
    } >"$PCITOPO_ROOT/patches/1.0.0/$1"
    echo "$1" >>"$PCITOPO_ROOT/patches/1.0.0/series"
}

# stub NAME COMMAND: a program of that name which comes first on the path
stub() {
    mkdir -p "$BATS_TEST_TMPDIR/bin"
    printf '#!/bin/sh\n%s\n' "$2" >"$BATS_TEST_TMPDIR/bin/$1"
    chmod +x "$BATS_TEST_TMPDIR/bin/$1"
    PATH=$BATS_TEST_TMPDIR/bin:${PATH#"$BATS_TEST_TMPDIR/bin:"}
}

commit() { git -C "$SRC" -c user.name=test -c user.email=test@localhost commit -q "$@"; }

# snapshot DIRECTORY…: names, times and contents
snapshot() { find "$@" -type f -not -path '*/.git/*' -printf '%p %T@\n' -exec sha256sum {} + | sort; }

# shellcheck disable=SC2154  # "run" sets it
says() { [[ $output == *"$1"* ]] || { echo "not said: $1"; echo "$output"; return 1; }; }
