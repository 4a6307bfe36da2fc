#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# tests/suites/prefixes/build-prefixes finds the prefix that does not build, and the one that fails libvirt's tests.

load helper

setup() {
    make_release
    # a "test of libvirt" that reads a file of the tree
    echo "test('qemuxml2argvtest', find_program('grep'), args: ['-qx', 'line 20', meson.current_source_dir() / 'src/two.txt'])
test('othertest', find_program('false'))" >>"$BATS_TEST_TMPDIR/libvirt-1.0.0/meson.build"
    tar -C "$BATS_TEST_TMPDIR" -cJf "$TARBALL" libvirt-1.0.0
    sed -i "s/^sha256.*/sha256 = $(sha256sum <"$TARBALL" | cut -d' ' -f1)/" "$PCITOPO_ROOT/releases.ini"
    mkdir -p "$PCITOPO_ROOT/build/download"
    cp "$TARBALL" "$PCITOPO_ROOT/build/download"
    make_patch 0001-one.patch src/one.txt 's/line 20$/line twenty/'
}

prefixes() { run --separate-stderr "$REPO/tests/suites/prefixes/build-prefixes" --base 1.0.0 "$@"; }

@test "prefixes that build and pass; a test that nobody asked for does not count" {
    prefixes
    [ "$status" -eq 0 ]
    [ "$output" = "ok 1 - prefix 0: the overlay alone, builds
ok 2 - prefix 0: the overlay alone, passes libvirt's QEMU tests
ok 3 - prefix 1: 0001-one.patch, builds
ok 4 - prefix 1: 0001-one.patch, passes libvirt's QEMU tests
1..4" ]
}

@test "a prefix that does not build is named, and what the compiler says is shown" {
    make_patch 0002-broken.patch meson.build "s/^cp = .*/cp = find_program('false')/"
    prefixes
    [ "$status" -ne 0 ]
    says "ok 4 - prefix 1: 0001-one.patch, passes"
    says "not ok 5 - prefix 2: 0002-broken.patch, builds"
    says "# FAILED:"
    says "not ok 6 - prefix 2: 0002-broken.patch, passes"
}

@test "a prefix that fails a test is named, also if a later patch makes it pass" {
    make_patch 0002-two.patch src/two.txt 's/line 20$/line twenty/'
    # the patch turned round
    sed 's/^-line/=line/; s/^+line/-line/; s/^=line/+line/' "$PCITOPO_ROOT/patches/1.0.0/0002-two.patch" |
        awk '/^\+line/ { held = $0; next } { print } /^-line/ && held { print held; held = "" }' >"$PCITOPO_ROOT/patches/1.0.0/0003-back.patch"
    echo 0003-back.patch >>"$PCITOPO_ROOT/patches/1.0.0/series"
    prefixes
    [ "$status" -ne 0 ]
    says "
ok 5 - prefix 2: 0002-two.patch, builds
not ok 6 - prefix 2: 0002-two.patch, passes"
    says "# not ok 1 - qemuxml2argvtest"
    says "ok 8 - prefix 3: 0003-back.patch, passes"
    [ "$(grep -c '^not ok' <<<"$output")" -eq 1 ]
    # one prefix alone
    prefixes 2
    [ "$status" -ne 0 ]
    [ "${lines[-1]}" = 1..2 ]
}

@test "a prefix in which no test runs has not passed" {
    sed -i '/^test(/d' "$BATS_TEST_TMPDIR/libvirt-1.0.0/meson.build"
    tar -C "$BATS_TEST_TMPDIR" -cJf "$TARBALL" libvirt-1.0.0
    sed -i "s/^sha256.*/sha256 = $(sha256sum <"$TARBALL" | cut -d' ' -f1)/" "$PCITOPO_ROOT/releases.ini"
    cp "$TARBALL" "$PCITOPO_ROOT/build/download"
    prefixes 1
    [ "$status" -ne 0 ]
    says "not ok 2 - prefix 1: 0001-one.patch, passes"
}
