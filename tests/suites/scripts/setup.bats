#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What scripts/build does before there is a tree: packages and the tarball.
#
# shellcheck disable=SC2016  # stubs are written in single quotes

load helper
setup() { make_release; }

@test "a wrong tarball is refused by name, with the hash expected and the one found" {
    echo nonsense >"$BATS_TEST_TMPDIR/other.tar.xz"
    run "$SCRIPTS/build" --source --tarball "$BATS_TEST_TMPDIR/other.tar.xz"
    [ "$status" -ne 0 ]
    says "$BATS_TEST_TMPDIR/other.tar.xz is not the tarball of libvirt 1.0.0"
    says "expected sha256 $SHA256"
    says "$(sha256sum <"$BATS_TEST_TMPDIR/other.tar.xz" | cut -d' ' -f1)"
    [ ! -e "$SRC" ]
}

@test "a wrong tarball is refused even if the tree is there already" {
    source_tree
    echo nonsense >"$BATS_TEST_TMPDIR/other.tar.xz"
    run "$SCRIPTS/build" --source --tarball "$BATS_TEST_TMPDIR/other.tar.xz"
    [ "$status" -ne 0 ]
}

@test "a tarball that was damaged after it was got is refused" {
    source_tree
    rm -r "$SRC"
    echo more >>"$PCITOPO_ROOT/build/download/libvirt-1.0.0.tar.xz"
    run "$SCRIPTS/build" --source
    [ "$status" -ne 0 ]
    says "expected sha256 $SHA256"
}

@test "a tarball that is not there is said to be so" {
    run "$SCRIPTS/build" --source --tarball "$BATS_TEST_TMPDIR/none.tar.xz"
    [ "$status" -ne 0 ]
    says "none.tar.xz"
}

@test "not root and no sudo: the exact command is printed, nothing is done" {
    stub dpkg-query 'echo "installed git"; exit 1'
    stub id 'echo 1000'
    stub sudo 'exit 1'
    stub apt-get 'echo "apt-get must not run" >&2; exit 1'
    run "$SCRIPTS/build" --source --tarball "$TARBALL" </dev/null
    [ "$status" -ne 0 ]
    says "Run this as root"
    says "  apt-get install -y --no-install-recommends meson"
    [[ $output != *"must not run"* ]]
    [ ! -e "$SRC" ]
}

@test "not root but sudo: sudo installs what is missing" {
    stub dpkg-query 'echo "installed git"; exit 1'
    stub id 'echo 1000'
    stub sudo '[ "$1" != -n ] || shift; echo "$*" >>"'"$BATS_TEST_TMPDIR"'/sudo.log"'
    run "$SCRIPTS/build" --source --tarball "$TARBALL" </dev/null
    [ "$status" -eq 0 ]
    grep 'apt-get install -y --no-install-recommends meson$' "$BATS_TEST_TMPDIR/sudo.log"
}

@test "root: what is missing is installed, and only that" {
    stub dpkg-query 'echo "installed meson"; exit 1'
    stub id 'echo 0'
    stub apt-get 'echo "$*" >>"'"$BATS_TEST_TMPDIR"'/apt.log"'
    run "$SCRIPTS/build" --source --tarball "$TARBALL"
    [ "$status" -eq 0 ]
    grep -x 'install -y --no-install-recommends git' "$BATS_TEST_TMPDIR/apt.log"
}

@test "packages that cannot be installed: the command is named" {
    stub dpkg-query 'exit 1'
    stub id 'echo 0'
    stub apt-get 'echo "E: no network"; exit 100'
    run "$SCRIPTS/build" --source --tarball "$TARBALL"
    [ "$status" -ne 0 ]
    says "E: no network"
    says "apt-get install -y --no-install-recommends git meson"
}

@test "the private apt configuration asks the machine's own archive for another suite's sources" {
    local etc=$BATS_TEST_TMPDIR/etc codename
    # shellcheck disable=SC1091
    codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
    mkdir -p "$etc/parts"
    cat >"$etc/list" <<LIST
deb [signed-by=/keys/one.gpg arch=amd64] http://one.invalid/debian $codename main contrib
deb http://one.invalid/debian $codename-updates main
deb http://third.invalid/tool $codename stable
LIST
    cat >"$etc/parts/debian.sources" <<SOURCES
# a comment
Types: deb
# another
URIs: http://two.invalid/debian
Suites: $codename $codename-updates
Components: main
Signed-By:
 -----BEGIN KEY-----
 .
 -----END KEY-----

Types: deb
URIs: http://security.invalid/debian
Suites: $codename-security
Components: main

Enabled: no
Types: deb
URIs: http://off.invalid/debian
Suites: $codename
Components: main
SOURCES
    cat >"$BATS_TEST_TMPDIR/apt.conf" <<CONF
Dir::Etc::sourcelist "$etc/list";
Dir::Etc::sourceparts "$etc/parts";
CONF
    export APT_CONFIG=$BATS_TEST_TMPDIR/apt.conf
    run bash -c '. "$1/lib.sh"; apt_sources elsewhere "$2"' - "$SCRIPTS" "$BATS_TEST_TMPDIR/sources"
    echo "$output"
    [ "$status" -eq 0 ]
    output=$(cat "$BATS_TEST_TMPDIR"/sources/*)
    says "deb-src [signed-by=/keys/one.gpg] http://one.invalid/debian elsewhere main"
    says "URIs: http://two.invalid/debian"
    says "Suites: elsewhere"
    says " -----END KEY-----"
    for other in third security off; do [[ $output != *"$other.invalid"* ]]; done
    [ "$(find "$BATS_TEST_TMPDIR/sources" -type f | wc -l)" -eq 2 ]
    # for binary packages of any architecture
    bash -c '. "$1/lib.sh"; apt_sources elsewhere "$2" deb' - "$SCRIPTS" "$BATS_TEST_TMPDIR/sources"
    output=$(cat "$BATS_TEST_TMPDIR"/sources/*)
    says "deb [signed-by=/keys/one.gpg] http://one.invalid/debian elsewhere main"
    says "Types: deb"
    [[ $output != *deb-src* ]]
}

@test "the source cannot be had: suite, file name, hash and --tarball are named" {
    stub apt-get 'echo "E: Unable to find a source package for libvirt"; exit 100'
    run "$SCRIPTS/build" --source
    [ "$status" -ne 0 ]
    says "could not be had from Debian bookworm"
    says "--tarball FILE: libvirt-1.0.0.tar.xz, sha256 $SHA256"
}
