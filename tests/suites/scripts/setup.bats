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

@test "a tarball that was damaged after it was got is thrown away and got again" {
    source_tree
    rm -r "$SRC"
    echo more >>"$PCITOPO_ROOT/build/download/libvirt-1.0.0.tar.xz"
    stub apt-get 'echo "E: Temporary failure resolving"; exit 100'
    run "$SCRIPTS/build" --source
    [ "$status" -ne 0 ]
    says "expected sha256 $SHA256"
    says "there is no network, run this again when there is"
    stub apt-get 'case "$*" in *" source "*) cp "'"$TARBALL"'" libvirt_1.0.0.orig.tar.xz ;; esac'
    run "$SCRIPTS/build" --source
    echo "$output"
    [ "$status" -eq 0 ]
    [ -e "$SRC/src/one.txt" ]
}

@test "a full disk is said to be full, and the next run goes on" {
    unshare --mount --map-root-user true || skip "no name spaces"
    # nothing of git's own belongs on the small disk
    local small=$PCITOPO_ROOT/build
    mkdir -p "$small"
    run unshare --mount --map-root-user bash -c 'mount -t tmpfs -o size=16k none "$1/build" && "$2/build" --source --tarball "$3"' - \
        "$PCITOPO_ROOT" "$SCRIPTS" "$TARBALL"
    echo "$output"
    [ "$status" -ne 0 ]
    says "build: the disk is full: free some space for $PCITOPO_ROOT/build, then run this again"
    source_tree
    [ -e "$SRC/src/one.txt" ]
}

@test "a run that is cut off anywhere is continued by the next" {
    mkdir -p "$PCITOPO_ROOT/build/download"
    cp "$TARBALL" "$PCITOPO_ROOT/build/download/libvirt-1.0.0.tar.xz"
    make_patch 0001-one.patch src/one.txt 's/line 20$/line twenty/'
    # each of these programs kills the script, and itself with a signal, when it has begun
    for program in tar git meson ninja; do
        stub "$program" 'kill -9 $PPID; kill -9 $$'
        run "$SCRIPTS/build"
        [ "$status" -ne 0 ]
        rm "$BATS_TEST_TMPDIR/bin/$program"
    done
    run "$SCRIPTS/build"
    echo "$output"
    [ "$status" -eq 0 ]
    grep -x 'line twenty' "$SRC/src/one.txt"
    [ -x "${lines[-1]}/run" ]
    # cut off while the tree was written: a file half written, one missing, one too many, git's lock left
    old=$(git -C "$SRC" rev-parse 'refs/pcitopo/laid^{tree}')
    echo changed >"$PCITOPO_ROOT/src-overlay/src/ours.txt"
    echo new >"$PCITOPO_ROOT/src-overlay/src/new.txt"
    "$SCRIPTS/build" --source
    new=$(git -C "$SRC" rev-parse 'refs/pcitopo/laid^{tree}')
    git -C "$SRC" update-ref refs/pcitopo/laid "$(git -C "$SRC" rev-parse 'refs/heads/series@{1}')"
    printf 'chan' >"$SRC/src/ours.txt"
    rm "$PCITOPO_ROOT/build/1.0.0/tree.key"
    touch "$SRC/.git/index.lock"
    echo "$old $new" >"$PCITOPO_ROOT/build/1.0.0/laying"
    run "$SCRIPTS/build" --source
    echo "$output"
    [ "$status" -eq 0 ]
    says "the last run was cut off while it laid the tree"
    [ "$(cat "$SRC/src/ours.txt")" = changed ]
    [ "$(cat "$SRC/src/new.txt")" = new ]
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
    stub sudo '[ "$1" != -n ] || shift; [ "$1" != true ] || exit 0; echo "$*" >>"'"$BATS_TEST_TMPDIR"'/sudo.log"'
    run "$SCRIPTS/build" --source --tarball "$TARBALL" </dev/null
    [ "$status" -eq 0 ]
    grep 'apt-get .*install -y --no-install-recommends meson$' "$BATS_TEST_TMPDIR/sudo.log"
}

@test "root: what is missing is installed, and only that" {
    stub dpkg-query 'echo "installed meson"; exit 1'
    stub id 'echo 0'
    stub apt-get 'shift 2; echo "$*" >>"'"$BATS_TEST_TMPDIR"'/apt.log"'
    run "$SCRIPTS/build" --source --tarball "$TARBALL"
    [ "$status" -eq 0 ]
    grep -x 'install -y --no-install-recommends git' "$BATS_TEST_TMPDIR/apt.log"
}

# packages_for CONTENT PURPOSE…: what need_packages says with these lines of releases.ini
packages_for() {
    printf '[common]\ndefault = 1.0.0\n%s\n' "$1" >"$PCITOPO_ROOT/releases.ini"
    run bash -c '. "$1/lib.sh"; BASE=1.0.0; need_packages "${@:2}"' - "$SCRIPTS" "${@:2}"
}

@test "packages: only those for the purpose, of alternatives the first that this Debian has" {
    stub dpkg-query 'exit 1'
    stub id 'echo 0'
    stub apt-cache '[ "$2" != clang-19 ] && [ "$2" != here ] || echo "  Candidate: 1"'
    stub apt-get 'shift 2; echo "$*" >>"'"$BATS_TEST_TMPDIR"'/apt.log"'
    packages_for $'packages-build = gcc\npackages-fuzz = clang-14|clang-19\n valgrind' fuzz
    [ "$status" -eq 0 ]
    grep -x 'install -y --no-install-recommends clang-19 valgrind' "$BATS_TEST_TMPDIR/apt.log"
    # one of them that is installed is enough
    stub dpkg-query 'echo "installed clang-14"; exit 1'
    : >"$BATS_TEST_TMPDIR/apt.log"
    packages_for 'packages-fuzz = clang-19|clang-14' fuzz
    [ "$status" -eq 0 ] && [ ! -s "$BATS_TEST_TMPDIR/apt.log" ]
}

@test "packages: a name that cannot be had is reported with what it is for" {
    stub dpkg-query 'exit 1'
    stub id 'echo 0'
    stub apt-cache '[ "$2" != here ] || echo "  Candidate: 1"'
    stub apt-get '[ "$3" = update ] || { echo "E: Unable to locate package"; exit 100; }'
    packages_for $'packages-build = here\npackages-fuzz = clang-14|clang-19 here' build fuzz
    [ "$status" -ne 0 ]
    says "not in this machine's archives: clang-14 or clang-19, needed to fuzz"
    [[ $output != *"archives: here"* ]]
}

@test "packages: apt waits for another dpkg, and an installation that was interrupted is ended" {
    stub dpkg-query 'exit 1'
    stub id 'echo 0'
    stub dpkg 'echo "dpkg $*" >>"'"$BATS_TEST_TMPDIR"'/apt.log"'
    stub apt-get 'echo "apt-get $*" >>"'"$BATS_TEST_TMPDIR"'/apt.log"
        [ "$3" = update ] || grep -q "^dpkg" "'"$BATS_TEST_TMPDIR"'/apt.log" || { echo "E: you must manually run '"'dpkg --configure -a'"'"; exit 100; }'
    packages_for 'packages-build = gcc' build
    [ "$status" -eq 0 ]
    [ "$(cut -d' ' -f1 "$BATS_TEST_TMPDIR/apt.log" | xargs)" = "apt-get apt-get dpkg apt-get" ]
    [ "$(grep -c '^apt-get -o DPkg::Lock::Timeout=[1-9]' "$BATS_TEST_TMPDIR/apt.log")" -eq 3 ]
}

@test "another distribution gets the list of what to install" {
    mkdir "$BATS_TEST_TMPDIR/bin"
    for program in bash awk sed paste sort cat dirname tr; do ln -s "$(command -v $program)" "$BATS_TEST_TMPDIR/bin"; done
    printf '[common]\npackages-build = gcc meson xsltproc\n' >"$PCITOPO_ROOT/releases.ini"
    PATH=$BATS_TEST_TMPDIR/bin run bash -c '. "$1/lib.sh"; BASE=1.0.0; need_packages build' - "$SCRIPTS"
    [ "$status" -ne 0 ]
    says "install by hand what Debian calls: gcc meson xsltproc"
}

@test "the default release is that of the machine's own Debian, where there is a series for it" {
    printf '[common]\ndefault = 1.0.0\n[1.0.0]\nsuite = one\nstatus = supported\n[2.0.0]\nsuite = two\nstatus = supported\n' >"$PCITOPO_ROOT/releases.ini"
    printf '[3.0.0]\nsuite = three\nstatus = planned\n' >>"$PCITOPO_ROOT/releases.ini"
    for case in one:1.0.0 two:2.0.0 three:1.0.0 four:1.0.0 :1.0.0; do
        printf 'ID=debian\nVERSION_CODENAME=%s\n' "${case%:*}" >"$BATS_TEST_TMPDIR/os-release"
        PCITOPO_OS_RELEASE=$BATS_TEST_TMPDIR/os-release run bash -c '. "$1/lib.sh"; default_base' - "$SCRIPTS"
        echo "$case: $output"
        [ "$output" = "${case#*:}" ]
    done
    PCITOPO_OS_RELEASE=$BATS_TEST_TMPDIR/none run bash -c '. "$1/lib.sh"; default_base' - "$SCRIPTS"
    [ "$output" = 1.0.0 ]
}

@test "packages that cannot be installed: the command is named" {
    stub dpkg-query 'exit 1'
    stub id 'echo 0'
    stub apt-get 'echo "E: no network"; exit 100'
    run "$SCRIPTS/build" --source --tarball "$TARBALL"
    [ "$status" -ne 0 ]
    says "E: no network"
    says "apt-get install -y --no-install-recommends git meson"
    stub apt-get 'echo "E: Temporary failure resolving"; exit 100'
    run "$SCRIPTS/build" --source --tarball "$TARBALL"
    [ "$status" -ne 0 ]
    says "there is no network, run this again when there is"
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
deb http://stable.invalid/debian stable main
deb http://fourth.invalid/tool stable main
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

Types: deb
URIs: http://five.invalid/debian/
Suites: stable stable-updates
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
    says "URIs: http://five.invalid/debian/"
    says "URIs: http://two.invalid/debian"
    says "Suites: elsewhere"
    says " -----END KEY-----"
    says "deb-src http://stable.invalid/debian elsewhere main"
    for other in third fourth security off; do [[ $output != *"$other.invalid"* ]]; done
    [ "$(find "$BATS_TEST_TMPDIR/sources" -type f | wc -l)" -eq 4 ]
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
