#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# scripts/virsh and scripts/test.
#
# shellcheck disable=SC2030,SC2031  # each test is a process of its own

load helper

setup() { export XDG_RUNTIME_DIR=$BATS_TEST_TMPDIR; }
# the root of the driver inside virsh
# shellcheck disable=SC1091
driver_root() { (. "$SCRIPTS/lib.sh"; short_path "$PCITOPO_ROOT/build/root/1.0.0"); }

@test "virsh: arguments and the embedded driver's root" {
    make_release
    "$SCRIPTS/build" --tarball "$TARBALL"
    run --separate-stderr "$SCRIPTS/virsh" 'define a.xml; dumpxml a'
    [ "$status" -eq 0 ]
    [ "$output" = "virsh got: -c qemu:///embed?root=$(driver_root) define a.xml; dumpxml a" ]
    grep -x "user = \"$(id -un)\"" "$PCITOPO_ROOT/build/root/1.0.0/etc/qemu.conf"
    # shellcheck disable=SC2154  # set by run
    [ -z "$stderr" ]
}

@test "virsh: the first use builds, with nothing of that on standard output" {
    make_release
    mkdir -p "$PCITOPO_ROOT/build/download"
    cp "$TARBALL" "$PCITOPO_ROOT/build/download/"
    run --separate-stderr "$SCRIPTS/virsh" list --all
    [ "$status" -eq 0 ]
    [ "${#lines[@]}" -eq 1 ]
    [[ $stderr == *"configuring libvirt 1.0.0"* ]]
}

@test "virsh: a connection among the options is passed through" {
    make_release
    "$SCRIPTS/build" --tarball "$TARBALL"
    for options in '-c test:///default' '--connect test:///default' '--connect=test:///default' '-ctest:///default' \
                   '-q -c test:///default' '-qc test:///default' '-d 0 -c test:///default' '--log x --connect=y'; do
        # shellcheck disable=SC2086
        run --separate-stderr "$SCRIPTS/virsh" $options list
        [ "$output" = "virsh got: $options list" ]
    done
    # these are options of a command, or arguments of options
    for options in 'list -c' '-l -c' '-q list --connect=x' '--debug 0 list'; do
        # shellcheck disable=SC2086
        run --separate-stderr "$SCRIPTS/virsh" $options
        [ "$output" = "virsh got: -c qemu:///embed?root=$(driver_root) $options" ]
    done
}

@test "virsh: a long path, or one with a blank, is reached by a link of our own" {
    make_release
    local long
    long=$BATS_TEST_TMPDIR/$(printf 'a%.0s' {1..100})
    for place in "$long" "$BATS_TEST_TMPDIR/with a blank"; do
        cp -r "$PCITOPO_ROOT" "$place"
        PCITOPO_ROOT=$place "$SCRIPTS/build" --tarball "$TARBALL"
        for _ in 1 2; do
            PCITOPO_ROOT=$place run --separate-stderr "$SCRIPTS/virsh" list
            echo "$output"
            [ "$status" -eq 0 ]
            [[ $output =~ ^"virsh got: -c qemu:///embed?root="([^ ]*)" list"$ ]]
            link=${BASH_REMATCH[1]}
            [ "${link%/*}" = "$XDG_RUNTIME_DIR" ]
            [ "$link" -ef "$place/build/root/1.0.0" ]
        done
        # somebody else has one of this name
        rm "$link"
        ln -s "$BATS_TEST_TMPDIR" "$link"
        PCITOPO_ROOT=$place run --separate-stderr "$SCRIPTS/virsh" list
        [ "$link" -ef "$place/build/root/1.0.0" ]
    done
}

@test "virsh: each release has a root of its own, and the driver stays on one CPU" {
    make_release
    "$SCRIPTS/build" --tarball "$TARBALL"
    sed '1,/^\[1/d; s/^status.*/status = planned/' "$PCITOPO_ROOT/releases.ini" >"$BATS_TEST_TMPDIR/section"
    { echo; echo '[2.0.0]'; cat "$BATS_TEST_TMPDIR/section"; } >>"$PCITOPO_ROOT/releases.ini"
    cp "$TARBALL" "$PCITOPO_ROOT/build/download/libvirt-2.0.0.tar.xz"
    run --separate-stderr "$SCRIPTS/virsh" --base 2.0.0 list
    [ "$status" -eq 0 ]
    [ -e "$PCITOPO_ROOT/build/root/2.0.0/etc/qemu.conf" ] && [ ! -e "$PCITOPO_ROOT/build/root/1.0.0" ]
    printf '#!/bin/sh\ngrep Cpus_allowed_list /proc/self/status\n' >"$PCITOPO_ROOT/build/1.0.0/obj/run"
    first=$(taskset -cp $$ | sed 's/.*: //; s/[,-].*//')
    run --separate-stderr "$SCRIPTS/virsh" --base 1.0.0 list
    echo "$output, first $first"
    [[ $output =~ ^Cpus_allowed_list:[[:space:]]*"$first"$ ]]
    # a connection to elsewhere is no driver
    run --separate-stderr "$SCRIPTS/virsh" --base 1.0.0 -c test:///default list
    [ "$output" = "$(grep Cpus_allowed_list /proc/self/status)" ]
}

@test "virsh and build while tests run: virsh takes the build as it is, build waits, the tests' own do not" {
    make_release
    "$SCRIPTS/build" --tarball "$TARBALL"
    echo changed >"$PCITOPO_ROOT/src-overlay/src/ours.txt"
    exec 5>"$PCITOPO_ROOT/build/1.0.0/in-use"
    flock -s 5
    run --separate-stderr "$SCRIPTS/virsh" list
    [ "$status" -eq 0 ]
    [[ $stderr == *"tests run on the build of libvirt 1.0.0: it is taken as it is"* ]]
    [ "$(cat "$SRC/src/ours.txt")" = overlay ]
    PCITOPO_HELD=:$PCITOPO_ROOT/build/1.0.0: run "$SCRIPTS/build" --source
    [ "$output" = "$SRC" ]
    run timeout 3 "$SCRIPTS/build"
    [ "$status" -eq 124 ]
    says "waiting for the tests"
    # and who waits keeps nobody else from the build
    "$SCRIPTS/build" >"$BATS_TEST_TMPDIR/log" 2>&1 5>&- &
    sleep 1
    run --separate-stderr timeout 20 "$SCRIPTS/virsh" list
    [ "$status" -eq 0 ]
    [ "$(cat "$SRC/src/ours.txt")" = overlay ]
    exec 5>&-
    wait
    [ "$(cat "$SRC/src/ours.txt")" = changed ]
}

@test "virsh: its exit status and standard input are the caller's" {
    make_release
    "$SCRIPTS/build" --tarball "$TARBALL"
    run --separate-stderr "$SCRIPTS/virsh" <<<"list --all"
    [ "$status" -eq 0 ]
    [ "${lines[-1]}" = "list --all" ]
}

# not within "run", where skip would only end the command
need_virsh() {
    base=${PCITOPO_BASE:-9.0.0}
    [ -x "${PCITOPO_PATCHED:-$REPO/build/$base/obj}/tools/virsh" ] || skip "libvirt $base is not built"
}
real_virsh() { (cd "$BATS_TEST_TMPDIR" && "$SCRIPTS/virsh" --base "$base" "$@"); }

@test "virsh of libvirt: -c test:///default" {
    need_virsh
    run --separate-stderr real_virsh -c test:///default list --name
    [ "$status" -eq 0 ] && [ "${lines[0]}" = test ]
}

@test "virsh of libvirt: a script on standard input" {
    need_virsh
    run --separate-stderr real_virsh -q -c test:///default < <(echo 'domstate test'; echo 'dominfo test')
    [ "$status" -eq 0 ]
    says 'running'
    says 'OS Type:'
}

@test "virsh of libvirt: a file given relative to the caller's directory" {
    need_virsh
    sed 's/%/q35/' >"$BATS_TEST_TMPDIR/guest.xml" <<XML
<domain type='test'><name>fromfile</name><memory>65536</memory><os><type>hvm</type></os></domain>
XML
    run --separate-stderr real_virsh -c test:///default 'define guest.xml; dumpxml fromfile'
    [ "$status" -eq 0 ]
    says '<name>fromfile</name>'
}

@test "virsh of libvirt: a failing command gives its exit status" {
    need_virsh
    run --separate-stderr real_virsh -c test:///default domstate nobody
    [ "$status" -eq 1 ]
    [[ $stderr == *"failed to get domain 'nobody'"* ]]
}

summary() { run python3 "$REPO/tests/lib/summary.py" "$1"; }

log() { # NAME RESULT STATUS TAP: one line of meson's log
    python3 -c 'import json, sys; print(json.dumps({"name": sys.argv[1], "result": sys.argv[2],
        "returncode": int(sys.argv[3]), "duration": 1.0, "stdout": sys.argv[4].replace("\\n", "\n"), "stderr": "its stderr"}))' "$@"
}

@test "summary: subtests are summed over the suites, and the last line is alone" {
    { log one OK 0 'ok 1 - a\nok 2 - b # SKIP no kvm\n1..2'; log two FAIL 1 '1..3\nok 1\nnot ok 2 - c\n# because\nok 3 # TODO x'; } >"$BATS_TEST_TMPDIR/log"
    summary "$BATS_TEST_TMPDIR/log"
    [ "$status" -ne 0 ]
    [ "${lines[-1]}" = "3 passed, 1 failed, 1 skipped" ]
    [ "$(grep -c '[0-9] passed, [0-9]' <<<"$output")" -eq 1 ]
    says 'not ok 2 - c'
    says '# because'
}

@test "summary: success" {
    log one OK 0 '1..2\nok 1\nok 2' >"$BATS_TEST_TMPDIR/log"
    summary "$BATS_TEST_TMPDIR/log"
    [ "$status" -eq 0 ]
    [ "${lines[-1]}" = "2 passed, 0 failed, 0 skipped" ]
}

@test "summary: the lines that a suite marks are shown, other comments of what passed are not" {
    log one OK 0 '1..1\nok 1\n# 0.3 s\n#| machine  kept\n#| q35      kept' >"$BATS_TEST_TMPDIR/log"
    summary "$BATS_TEST_TMPDIR/log"
    [ "$status" -eq 0 ]
    says '  q35      kept'
    [[ $output != *"0.3 s"* ]]
    [[ $output != *"#|"* ]]
    [ "${lines[-1]}" = "1 passed, 0 failed, 0 skipped" ]
}

@test "summary: no test run is never success" {
    for tap in '' '1..0' 'all is well' '1..5\nok 1' 'ok 1\nBail out! no qemu' '1..0 # SKIP nothing here'; do
        log one OK 0 "$tap" >"$BATS_TEST_TMPDIR/log"
        summary "$BATS_TEST_TMPDIR/log"
        echo "$tap: ${lines[-1]}"
        [ "$status" -ne 0 ]
    done
    : >"$BATS_TEST_TMPDIR/log"
    summary "$BATS_TEST_TMPDIR/log"
    [ "$status" -ne 0 ]
}

@test "summary: a suite that dies or runs out of time fails, whatever it printed" {
    for result in ERROR FAIL TIMEOUT INTERRUPT; do
        log one "$result" 1 '1..2\nok 1\nok 2' >"$BATS_TEST_TMPDIR/log"
        summary "$BATS_TEST_TMPDIR/log"
        [ "$status" -ne 0 ]
        [ "${lines[-1]}" = "2 passed, 1 failed, 0 skipped" ]
        says 'its stderr'
    done
}

@test "test --list shows each suite with what it covers and how long it takes, an unknown suite is refused" {
    # a root of its own: the tests may be running in the other one
    make_release
    cp "$REPO/meson.build" "$REPO/meson_options.txt" "$PCITOPO_ROOT"
    mkdir -p "$PCITOPO_ROOT/tests"
    cp -r "$REPO/tests/suites" "$PCITOPO_ROOT/tests"
    run --separate-stderr "$SCRIPTS/test" --list
    [ "$status" -eq 0 ]
    for suite in lint scripts upstream-data libvirt syntax-check; do grep -E "^$suite +[0-9]+ (s|min)  [^ ]" <<<"$output"; done
    # each directory is the suite of that name, and each suite is listed once
    for suite in "$REPO"/tests/suites/*/; do
        suite=${suite%/}
        [ "$(grep -c "^${suite##*/} " <<<"$output")" -eq 1 ]
    done
    run "$SCRIPTS/test" nonsense
    [ "$status" -ne 0 ]
    says "there is no suite nonsense"
}

# suites that only say that they ran: usual-…, all-…, named-…, and what they need
make_suites() {
    make_release
    cp "$REPO/meson_options.txt" "$PCITOPO_ROOT"
    mkdir -p "$PCITOPO_ROOT/tests/lib" "$PCITOPO_ROOT/build/download"
    cp "$REPO/tests/lib/summary.py" "$PCITOPO_ROOT/tests/lib"
    cp "$TARBALL" "$PCITOPO_ROOT/build/download"
    printf '#!/bin/sh\necho "ok 1 - it ran"\necho 1..1\n' >"$PCITOPO_ROOT/suite"
    chmod +x "$PCITOPO_ROOT/suite"
    cat >"$PCITOPO_ROOT/meson.build" <<'MESON'
project('suites')
foreach name, tags : {
    'usual': [], 'usual-patched': ['patched'], 'usual-source': ['pristine-source'],
    'all-pristine': ['all', 'named-pristine'], 'all-longer': ['all', 'includes-usual'], 'named': ['on-demand', 'patched']}
  test(name, find_program(meson.current_source_dir() / 'suite'), suite: [name] + tags, protocol: 'tap',
       env: ['PCITOPO_TAKES=1 s', 'PCITOPO_COVERS=it'])
endforeach
MESON
}
ran() { grep -o '^ok  *[^ ]*' <<<"$output" | awk '{ print $2 }' | sort | xargs; }

@test "test: without arguments the usual suites, all and rest as they say, any by name, none beside one that includes it" {
    make_suites
    run --separate-stderr "$SCRIPTS/test" --list
    [ "$(awk '{ print $1 }' <<<"$output" | xargs)" = "usual usual-patched usual-source with all-pristine all-longer by named" ]
    for case in ':usual usual-patched usual-source' 'all:all-longer all-pristine usual-patched usual-source' \
        'rest:all-longer all-pristine' 'named usual:named usual' 'usual all-pristine usual:all-pristine usual' \
        'usual all-longer:all-longer'; do
        # shellcheck disable=SC2086
        run --separate-stderr "$SCRIPTS/test" ${case%%:*}
        echo "$case: $output"
        [ "$status" -eq 0 ]
        [ "$(ran)" = "${case#*:}" ]
    done
}

@test "test: built is what the suites need, and nothing else" {
    make_suites
    run "$SCRIPTS/test" usual
    [ "$status" -eq 0 ]
    [ ! -e "$PCITOPO_ROOT/build/1.0.0" ] && [ ! -e "$PCITOPO_ROOT/build/1.0.0-pristine" ]
    run "$SCRIPTS/test" usual-source
    [ "$status" -eq 0 ]
    [ -e "$PCITOPO_ROOT/build/1.0.0-pristine/src/src/one.txt" ]
    [ ! -e "$PCITOPO_ROOT/build/1.0.0-pristine/obj" ] && [ ! -e "$PCITOPO_ROOT/build/1.0.0" ]
    run "$SCRIPTS/test" usual-patched usual-source
    [ "$status" -eq 0 ]
    [ -e "$PCITOPO_ROOT/build/1.0.0/obj/run" ] && [ ! -e "$PCITOPO_ROOT/build/1.0.0-pristine/obj" ]
    # what is needed only by name
    run "$SCRIPTS/test" rest
    [ "$status" -eq 0 ]
    [ ! -e "$PCITOPO_ROOT/build/1.0.0-pristine/obj" ]
    run "$SCRIPTS/test" all-pristine
    [ "$status" -eq 0 ]
    [ -e "$PCITOPO_ROOT/build/1.0.0-pristine/obj/run" ]
    [ "${lines[-1]}" = "1 passed, 0 failed, 0 skipped" ]
}

@test "ci: the last line is the sum of the usual suites and the rest, a run that did not come to its end is a failure" {
    local top=$BATS_TEST_TMPDIR/top
    mkdir -p "$top/.ci" "$top/scripts"
    cp "$REPO/.ci/run" "$top/.ci"
    # shellcheck disable=SC2016  # the stub expands that
    printf '#!/bin/sh\necho "$*" >>calls\n[ $# -gt 2 ] && echo "3 passed, 0 failed, 1 skipped" || { %s; }\n' \
        'echo "40 passed, 0 failed, 2 skipped"' >"$top/scripts/test"
    chmod +x "$top/scripts/test"
    run "$top/.ci/run" --base 1.0.0
    [ "$status" -eq 0 ]
    [ "${lines[-1]}" = "43 passed, 0 failed, 3 skipped" ]
    [ "$(head -n 1 "$top/calls")" = "--base 1.0.0" ]
    grep '^--base 1.0.0 .*fuzz' "$top/calls"
    sed -i 's/echo "40.*"/exit 1/' "$top/scripts/test"
    run "$top/.ci/run" --base 1.0.0
    [ "$status" -ne 0 ]
    [ "${lines[-1]}" = "3 passed, 1 failed, 1 skipped" ]
}
