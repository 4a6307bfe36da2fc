#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The series of release 1.0.0 brought to a release 2.0.0.

load helper

# make_next FILE SED-SCRIPT [FILE SED-SCRIPT…]: release 2.0.0, which differs from 1.0.0 in that
make_next() {
    local top=$BATS_TEST_TMPDIR/libvirt-2.0.0
    NEXT=$BATS_TEST_TMPDIR/libvirt-2.0.0.tar.xz
    cp -a "$BATS_TEST_TMPDIR/libvirt-1.0.0" "$top"
    while [ $# -gt 0 ]; do sed -i "$2" "$top/$1"; shift 2; done
    pack_next
}

pack_next() {
    tar -C "$BATS_TEST_TMPDIR" -cJf "$NEXT" libvirt-2.0.0
    sed -i '/^\[2.0.0\]/,$d' "$PCITOPO_ROOT/releases.ini"
    cat >>"$PCITOPO_ROOT/releases.ini" <<INI
[2.0.0]
sha256 = $(sha256sum <"$NEXT" | cut -d' ' -f1)
suite = trixie
status = planned
goldens = tests/goldendata
INI
}

setup() {
    make_release
    echo >>"$PCITOPO_ROOT/releases.ini"
    make_patch 0001-one.patch src/one.txt 's/line 20$/line twenty/'
    make_patch 0002-two.patch src/two.txt 's/line 10$/line ten/; s/line 30$/line thirty/'
    make_patch 0003-run.patch run.in 's/^exec/# nothing\nexec/'
    mkdir -p "$PCITOPO_ROOT/build/download"
    cp "$TARBALL" "$PCITOPO_ROOT/build/download"
    TREE=$PCITOPO_ROOT/build/2.0.0-rebase/src
    NEW=$PCITOPO_ROOT/patches/2.0.0
}

rebase() { "$SCRIPTS/rebase" 2.0.0 --no-test "$@"; }
repository() { (cd "$PCITOPO_ROOT" && find . -path ./build -prune -o -type f -exec sha256sum {} + | sort); }
log_line() { tail -n 1 "$PCITOPO_ROOT/docs/rebase-log.md" | cut -d'|' -f3-; }

@test "no conflict: patches at their new lines, the same names, releases.ini and a line in the log" {
    make_next src/one.txt '1i new at the top' src/two.txt '20i new in the middle'
    old=$(snapshot "$PCITOPO_ROOT/patches/1.0.0")
    run rebase --tarball "$NEXT"
    echo "$output"
    [ "$status" -eq 0 ]
    diff "$NEW/series" "$PCITOPO_ROOT/patches/1.0.0/series"
    grep -x '@@ -18,7 +18,7 @@ line 16' "$NEW/0001-one.patch"
    [ "$(grep -c '^@@' "$NEW/0002-two.patch")" -eq 2 ]
    [ "$(head -n 5 "$NEW/0001-one.patch")" = "$(head -n 5 "$PCITOPO_ROOT/patches/1.0.0/0001-one.patch")" ]
    [ "$(log_line)" = " 1.0.0 | 2.0.0 | 3 | 0 | 0 | – |" ]
    [ ! -e "$TREE" ]
    [ "$old" = "$(snapshot "$PCITOPO_ROOT/patches/1.0.0")" ]
    # they apply as they are, and refresh would write the same
    "$SCRIPTS/build" --base 2.0.0 --source
    run "$SCRIPTS/refresh" --base 2.0.0 --check
    [ "$status" -eq 0 ]
    grep -x 'line twenty' "$PCITOPO_ROOT/build/2.0.0/src/src/one.txt"
    # nothing was tested, so nothing is said to be supported
    sed -n '/^\[2.0.0\]/,$p' "$PCITOPO_ROOT/releases.ini" | grep -x 'status = planned'
}

@test "a conflict stops: the patch, the file, what upstream changed there and nothing else; then --continue" {
    make_next src/two.txt 's/line 30$/line 30 of upstream/; s/line 1$/line 1 of upstream/; s/line 20$/line 20 of upstream/'
    before=$(repository)
    run rebase --tarball "$NEXT"
    [ "$status" -ne 0 ]
    says "stopped at 0002-two.patch (patch 2 of 3)"
    says "src/two.txt: 1 conflicts"
    says "-line 30"
    says "+line 30 of upstream"
    [[ $output != *"line 20 of upstream"* ]]
    says "scripts/rebase 2.0.0 --continue"
    [ "$before" = "$(repository)" ]

    # with the markers in it, it does not go on
    run rebase --continue
    [ "$status" -ne 0 ]
    says "conflicts are left"
    says "src/two.txt:"
    [ "$before" = "$(repository)" ]
    grep '^<<<<<<<' "$TREE/src/two.txt"

    sed -i '/^<<<<<<<\|^|||||||\|^=======\|^>>>>>>>/d; /^line 30$/d; /^line 30 of upstream$/d; s/line thirty$/line thirty of upstream/' "$TREE/src/two.txt"
    run rebase --continue --note 'upstream says whose line it is'
    echo "$output"
    [ "$status" -eq 0 ]
    grep -x '+line thirty of upstream' "$NEW/0002-two.patch"
    grep -x '+line ten' "$NEW/0002-two.patch"
    grep -x -B1 -A2 '\[2.0.0: upstream says whose line it is\]' "$NEW/0002-two.patch" | diff - <(printf '\n[2.0.0: upstream says whose line it is]\n\nForwarded: no\n')
    [ "$(cat "$NEW/series")" = "$(cat "$PCITOPO_ROOT/patches/1.0.0/series")" ]
    [ "$(log_line)" = " 1.0.0 | 2.0.0 | 3 | 1 | 1 | 0002 (src/two.txt) |" ]
}

@test "each conflict of a stop is counted" {
    # underlines of headings are no conflict markers
    make_next src/two.txt "s/line 30\$/line 30 of upstream/; s/line 10\$/line 10 of upstream/; \$a ======="
    run rebase --tarball "$NEXT"
    [ "$status" -ne 0 ]
    says "src/two.txt: 2 conflicts"
    sed -i '/^<<<<<<</,/^>>>>>>>/d' "$TREE/src/two.txt"
    rebase --continue
    [ "$(log_line)" = " 1.0.0 | 2.0.0 | 3 | 1 | 2 | 0002 (src/two.txt) |" ]
}

@test "a file that upstream rewrote does not fill the screen" {
    seq -f 'line %g' 40000 | sed 's/^line 4$/line four/' >"$BATS_TEST_TMPDIR/libvirt-1.0.0/src/one.txt"
    rm "$PCITOPO_ROOT/patches/1.0.0/"*
    tar -C "$BATS_TEST_TMPDIR" -cJf "$TARBALL" libvirt-1.0.0
    sed -i "s/^sha256.*/sha256 = $(sha256sum <"$TARBALL" | cut -d' ' -f1)/" "$PCITOPO_ROOT/releases.ini"
    cp "$TARBALL" "$PCITOPO_ROOT/build/download"
    make_patch 0001-one.patch src/one.txt 's/line 20$/line twenty/'
    make_next src/one.txt 's/$/ of upstream/'
    run rebase --tarball "$NEXT"
    [ "$status" -ne 0 ]
    says "-line 2"
    says "when it is right:"
    [ "${#lines[@]}" -lt 120 ]
}

@test "--abort leaves everything as it was" {
    make_next src/two.txt 's/line 30$/line 30 of upstream/'
    source_tree
    all() { repository; snapshot "$PCITOPO_ROOT/build" | grep -v 'download/\|/lock '; }
    before=$(all)
    run rebase --tarball "$NEXT"
    [ "$status" -ne 0 ]
    run rebase --abort
    [ "$status" -eq 0 ]
    diff <(echo "$before") <(all)
    run rebase --abort
    [ "$status" -ne 0 ]
    says "no rebase onto libvirt 2.0.0 is under way"
}

@test "a rebase under way is not begun again" {
    make_next src/two.txt 's/line 30$/line 30 of upstream/'
    run rebase --tarball "$NEXT"
    echo work >>"$TREE/src/two.txt"
    run rebase
    [ "$status" -ne 0 ]
    says "a rebase onto libvirt 2.0.0 is under way"
    tail -n 1 "$TREE/src/two.txt" | grep -x work
}

@test "--continue without a rebase is refused" {
    make_next src/one.txt '1i new'
    run rebase --continue
    [ "$status" -ne 0 ]
    says "no rebase onto libvirt 2.0.0 is under way"
}

@test "a file that upstream renamed is found; one that it removed stops" {
    make_next
    mv "$BATS_TEST_TMPDIR/libvirt-2.0.0/src/one.txt" "$BATS_TEST_TMPDIR/libvirt-2.0.0/src/uno.txt"
    sed -i 's/one.txt/uno.txt/' "$BATS_TEST_TMPDIR/libvirt-2.0.0/meson.build"
    rm "$BATS_TEST_TMPDIR/libvirt-2.0.0/src/two.txt"
    pack_next
    run rebase --tarball "$NEXT"
    [ "$status" -ne 0 ]
    says "  0001-one.patch"
    says "stopped at 0002-two.patch"
    says "src/two.txt: libvirt 2.0.0 does not have it"
    # left in the tree it would be a new file
    run rebase --continue
    [ "$status" -ne 0 ]
    says "src/two.txt is not in libvirt 2.0.0"
    git -C "$TREE" rm -q --cached src/two.txt
    rm -f "$TREE/src/two.txt"
    run rebase --continue
    [ "$status" -eq 0 ]
    says "0002-two.patch: left out"
    [ "$(cat "$NEW/series")" = "0001-one.patch
0002-run.patch" ]
    grep -x '+++ b/src/uno.txt' "$NEW/0001-one.patch"
}

@test "a patch that the release has already stops, and is left out by --continue" {
    make_next src/one.txt 's/line 20$/line twenty/'
    run rebase --tarball "$NEXT"
    [ "$status" -ne 0 ]
    says "stopped at 0001-one.patch"
    says "nothing is left of this patch"
    run rebase --continue
    [ "$status" -eq 0 ]
    says "0001-one.patch: left out"
    [ "$(cat "$NEW/series")" = "0001-two.patch
0002-run.patch" ]
}

@test "new files, and edits of the overlay, do not become part of a patch" {
    make_next src/two.txt 's/line 30$/line 30 of upstream/'
    run rebase --tarball "$NEXT"
    sed -i '/^<<<<<<</,/^>>>>>>>/d' "$TREE/src/two.txt"
    echo new >"$TREE/src/new.txt"
    run rebase --continue
    [ "$status" -ne 0 ]
    says "new files in the tree: src/new.txt"
    rm "$TREE/src/new.txt"
    echo edited >"$TREE/src/ours.txt"
    run rebase --continue
    [ "$status" -ne 0 ]
    says "files of the overlay were edited: src/ours.txt"
    git -C "$TREE" checkout -q HEAD src/ours.txt
    run rebase --continue
    [ "$status" -eq 0 ]
}

@test "an overlay file that the new release has is refused" {
    make_next
    echo upstream >"$BATS_TEST_TMPDIR/libvirt-2.0.0/src/ours.txt"
    pack_next
    run rebase --tarball "$NEXT"
    [ "$status" -ne 0 ]
    says "libvirt 2.0.0 already has: src/ours.txt"
    [ ! -e "$NEW" ]
}

@test "--stop-at: a patch that merges can be edited; it counts as a stop" {
    make_next src/one.txt '1i new at the top'
    run rebase --tarball "$NEXT" --stop-at 000
    [ "$status" -ne 0 ]
    says "--stop-at 000 names 3 of the patches"
    run rebase --tarball "$NEXT" --stop-at two
    [ "$status" -ne 0 ]
    says "stopped at 0002-two.patch (patch 2 of 3)"
    says "it merges; you asked to stop here"
    [[ $output != *"0003"* ]]
    sed -i 's/^line ten$/line 5+5/' "$TREE/src/two.txt"
    run rebase --continue
    [ "$status" -eq 0 ]
    grep -x '+line 5+5' "$NEW/0002-two.patch"
    grep -x '+line thirty' "$NEW/0002-two.patch"
    [ "$(head -n 5 "$NEW/0002-two.patch")" = "$(head -n 5 "$PCITOPO_ROOT/patches/1.0.0/0002-two.patch")" ]
    [ "$(log_line)" = " 1.0.0 | 2.0.0 | 3 | 1 | 1 | 0002 (src/two.txt) |" ]
}

@test "a release that has a series is only done over with --again" {
    make_next src/one.txt '1i new'
    rebase --tarball "$NEXT"
    first=$(snapshot "$NEW" | cut -d' ' -f1 | grep -v patches)
    sed -i 's/Because a test/Because this test/' "$NEW/0001-one.patch"
    run rebase
    [ "$status" -ne 0 ]
    says "has a series already"
    run rebase --again
    [ "$status" -eq 0 ]
    [ "$first" = "$(snapshot "$NEW" | cut -d' ' -f1 | grep -v patches)" ]
}

@test "the nearest series before the release is taken, or the one that is named" {
    make_next src/one.txt '1i new'
    cp -a "$BATS_TEST_TMPDIR/libvirt-2.0.0" "$BATS_TEST_TMPDIR/libvirt-2.1.0"
    rebase --tarball "$NEXT"
    next=$BATS_TEST_TMPDIR/libvirt-2.1.0.tar.xz
    tar -C "$BATS_TEST_TMPDIR" -cJf "$next" libvirt-2.1.0
    for from in 2.0.0 1.0.0; do
        rm -rf "$PCITOPO_ROOT/patches/2.1.0"
        named=()
        [ $from = 2.0.0 ] || named=(--from "$from")
        run "$SCRIPTS/rebase" 2.1.0 --tarball "$next" --no-test "${named[@]}"
        [ "$status" -eq 0 ]
        [ "$(log_line)" = " $from | 2.1.0 | 3 | 0 | 0 | – |" ]
    done
    run "$SCRIPTS/rebase" 2.0.0 --again --from 2.0.0 --no-test
    [ "$status" -ne 0 ]
    says "no series to start from"
}

@test "a release that is new to releases.ini needs a tarball, and is added at the end" {
    make_next src/two.txt 's/line 30$/line 30 of upstream/'
    sed -i '/^\[2.0.0\]/,$d' "$PCITOPO_ROOT/releases.ini"
    run rebase
    [ "$status" -ne 0 ]
    says "name its tarball with --tarball"
    before=$(repository)
    run rebase --tarball "$NEXT"
    says "stopped at 0002-two.patch"
    [ "$before" = "$(repository)" ]
    sed -i '/^<<<<<<</,/^>>>>>>>/d' "$TREE/src/two.txt"
    run rebase --continue
    [ "$status" -eq 0 ]
    [ "$(sed -n '/^\[2.0.0\]/,$p' "$PCITOPO_ROOT/releases.ini")" = "[2.0.0]
sha256 = $(sha256sum <"$NEXT" | cut -d' ' -f1)
suite = bookworm
status = planned
goldens = tests/goldendata" ]
    "$SCRIPTS/build" --base 2.0.0 --source
}

@test "what a person's git is set up to do does not change the outcome" {
    make_next src/one.txt '1i new at the top'
    export HOME=$BATS_TEST_TMPDIR/home
    mkdir -p "$HOME"
    git config --global commit.gpgSign true
    git config --global diff.noprefix true
    git config --global merge.conflictStyle merge
    git config --global diff.context 1
    git config --global user.useConfigOnly true
    run rebase --tarball "$NEXT"
    [ "$status" -eq 0 ]
    grep -x '@@ -18,7 +18,7 @@ line 16' "$NEW/0001-one.patch"
}

@test "the suites run at the end; only what passes is supported" {
    make_next src/one.txt '1i new at the top'
    mkdir -p "$PCITOPO_ROOT/tests/lib"
    cp "$REPO/tests/lib/summary.py" "$PCITOPO_ROOT/tests/lib"
    echo "option('base', type: 'string')" >"$PCITOPO_ROOT/meson_options.txt"
    status_of() { sed -n '/^\[2.0.0\]/,$s/^status = //p' "$PCITOPO_ROOT/releases.ini"; }
    for result in 'not ok' ok; do
        {
            echo "project('suites')"
            for suite in lint upstream-data libvirt; do
                printf "test('%s', find_program('echo'), args: ['%s 1\\\\n1..1'], protocol: 'tap')\\n" $suite "$([ $suite = libvirt ] && echo "$result" || echo ok)"
            done
        } >"$PCITOPO_ROOT/meson.build"
        run "$SCRIPTS/rebase" 2.0.0 --tarball "$NEXT" --again
        echo "$output"
        if [ "$result" = ok ]; then
            [ "$status" -eq 0 ]
            says "3 passed, 0 failed, 0 skipped"
            [ "$(status_of)" = supported ]
        else
            [ "$status" -ne 0 ]
            says "2 passed, 1 failed, 0 skipped"
            says "the patches are written, but something failed"
            [ "$(status_of)" = planned ]
        fi
        [ -s "$NEW/series" ]
    done
    [ "$(sed -n '/^\[1.0.0\]/,/^$/s/^status = //p' "$PCITOPO_ROOT/releases.ini")" = supported ]
}
