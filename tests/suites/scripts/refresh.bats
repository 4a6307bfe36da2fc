#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# shellcheck disable=SC2030,SC2031  # each test is a process of its own, and may set what it likes

load helper

setup() {
    make_release
    make_patch 0001-one.patch src/one.txt 's/line 20$/line twenty/'
    make_patch 0002-two.patch src/two.txt 's/line 20$/line twenty/'
    mkdir -p "$PCITOPO_ROOT/tests/goldendata"
    echo golden >"$PCITOPO_ROOT/tests/goldendata/ours.xml"
    source_tree
    PATCHES=$PCITOPO_ROOT/patches/1.0.0
}

ours() { snapshot "$PCITOPO_ROOT/patches" "$PCITOPO_ROOT/src-overlay" "$PCITOPO_ROOT/tests"; }

@test "an unchanged tree: nothing changes" {
    before=$(ours)
    run "$SCRIPTS/refresh"
    [ "$status" -eq 0 ]
    [ -z "$output" ]
    [ "$before" = "$(ours)" ]
}

@test "the repository's own series comes back byte for byte" {
    unset PCITOPO_ROOT
    base=${PCITOPO_BASE:-9.0.0}
    tarball=$REPO/build/download/libvirt-$base.tar.xz
    [ -f "$tarball" ] || skip "libvirt $base is not here"
    export PCITOPO_ROOT=$BATS_TEST_TMPDIR/copy
    mkdir -p "$PCITOPO_ROOT/tests"
    for part in releases.ini patches src-overlay; do
        [ ! -e "$REPO/$part" ] || cp -a "$REPO/$part" "$PCITOPO_ROOT"
    done
    for golden in "$REPO"/tests/*data; do
        [ ! -d "$golden" ] || cp -a "$golden" "$PCITOPO_ROOT/tests"
    done
    "$SCRIPTS/build" --base "$base" --source --tarball "$tarball"
    before=$(ours)
    run "$SCRIPTS/refresh" --base "$base"
    echo "$output"
    [ "$status" -eq 0 ]
    [ -z "$output" ]
    [ "$before" = "$(ours)" ]
}

@test "a new commit becomes the last patch" {
    sed -i 's/line 5$/line five/' "$SRC/src/one.txt"
    commit -am 'area: say five

Because five is better.'
    run "$SCRIPTS/refresh"
    [ "$status" -eq 0 ]
    says patches/1.0.0/0003-area-say-five.patch
    [ "$(tail -n 1 "$PATCHES/series")" = 0003-area-say-five.patch ]
    [ "$(head -n 11 "$PATCHES/0003-area-say-five.patch")" = "area: say five

Because five is better.

Forwarded: no
---

diff --git a/src/one.txt b/src/one.txt
--- a/src/one.txt
+++ b/src/one.txt
@@ -2,7 +2,7 @@ line 1" ]
    before=$(ours)
    source_tree
    run "$SCRIPTS/refresh"
    [ -z "$output" ]
    [ "$before" = "$(ours)" ]
}

@test "a commit taken away, and the patch after it, get new numbers" {
    git -C "$SRC" -c user.name=test -c user.email=test@localhost rebase -q --onto overlay HEAD~1
    run "$SCRIPTS/refresh"
    [ "$status" -eq 0 ]
    [ "$(cat "$PATCHES/series")" = 0001-two.patch ]
    [ ! -e "$PATCHES/0001-one.patch" ]
    [ ! -e "$PATCHES/0002-two.patch" ]
    cmp "$SRC/src/one.txt" "$BATS_TEST_TMPDIR/libvirt-1.0.0/src/one.txt"
}

@test "a changed message changes the patch's header" {
    commit --amend -m 'area: another summary

Another body.

Forwarded: no
Patch-Name: 0002-two.patch'
    run "$SCRIPTS/refresh"
    [ "$status" -eq 0 ]
    says 0002-two.patch
    grep -x 'area: another summary' "$PATCHES/0002-two.patch"
    run ! grep Patch-Name "$PATCHES/0002-two.patch"
}

@test "edits are folded into the patch that is named" {
    sed -i 's/line twenty$/line XX/' "$SRC/src/one.txt"
    before=$(snapshot "$SRC")
    run "$SCRIPTS/refresh" --into one
    echo "$output"
    [ "$status" -eq 0 ]
    grep -x '+line XX' "$PATCHES/0001-one.patch"
    [ "$(cat "$PATCHES/series")" = "0001-one.patch
0002-two.patch" ]
    # no file of the tree was written, so nothing would be compiled again
    [ "$before" = "$(snapshot "$SRC")" ]
    [ -z "$(git -C "$SRC" status --porcelain)" ]
    before=$(ours)
    run "$SCRIPTS/refresh"
    [ -z "$output" ]
    [ "$before" = "$(ours)" ]
}

@test "edits fold after a build that stopped because of them" {
    sed -i 's/line twenty$/line XX/' "$SRC/src/one.txt"
    echo here >"$PCITOPO_ROOT/src-overlay/src/ours.txt"
    run source_tree
    [ "$status" -ne 0 ]
    says "changes that would be lost, in: src/one.txt"
    run "$SCRIPTS/refresh" --into one
    echo "$output"
    [ "$status" -eq 0 ]
    grep -x '+line XX' "$PATCHES/0001-one.patch"
    [ "$(cat "$SRC/src/ours.txt")" = here ]
    [ "$(git -C "$SRC" log --format=%s overlay -1)" = "overlay: files of the series" ]
    [ "$(git -C "$SRC" show overlay:src/ours.txt)" = here ]
}

@test "edits that do not fold are refused, and nothing changes" {
    sed -i 's/line twenty$/line 2x10/' "$SRC/src/one.txt"
    commit -am 'area: two times ten

Why not.'
    "$SCRIPTS/refresh"
    sed -i 's/line 2x10$/line XX/' "$SRC/src/one.txt"
    before=$(ours)
    run "$SCRIPTS/refresh" --into 0001-one.patch
    [ "$status" -ne 0 ]
    says "do not fold"
    [ "$before" = "$(ours)" ]
    grep -x 'line XX' "$SRC/src/one.txt"
}

@test "edits without --into are refused, the files are named" {
    echo work >>"$SRC/src/one.txt"
    before=$(ours)
    run "$SCRIPTS/refresh"
    [ "$status" -ne 0 ]
    says "src/one.txt"
    says "--into"
    [ "$before" = "$(ours)" ]
}

@test "--into needs one patch" {
    echo work >>"$SRC/src/one.txt"
    for name in 000 none; do
        run "$SCRIPTS/refresh" --into "$name"
        [ "$status" -ne 0 ]
        says "--into $name names"
    done
}

@test "edited overlay and golden files are copied back" {
    echo edited >"$SRC/src/ours.txt"
    echo edited >"$SRC/tests/goldendata/ours.xml"
    run "$SCRIPTS/refresh"
    [ "$status" -eq 0 ]
    [ "$(cat "$PCITOPO_ROOT/src-overlay/src/ours.txt")" = edited ]
    [ "$(cat "$PCITOPO_ROOT/tests/goldendata/ours.xml")" = edited ]
    [ -z "$(git -C "$SRC" status --porcelain)" ]
}

@test "overlay files committed with a patch do not end up in the patch" {
    echo edited >"$SRC/src/ours.txt"
    sed -i 's/line 5$/line five/' "$SRC/src/one.txt"
    commit -am 'area: say five

Because five is better.'
    run "$SCRIPTS/refresh"
    [ "$status" -eq 0 ]
    [ "$(cat "$PCITOPO_ROOT/src-overlay/src/ours.txt")" = edited ]
    run ! grep ours.txt "$PATCHES"/*.patch
}

@test "golden files that a test wrote are copied back" {
    echo new >"$SRC/tests/goldendata/new.xml"
    run "$SCRIPTS/refresh"
    [ "$status" -eq 0 ]
    [ "$(cat "$PCITOPO_ROOT/tests/goldendata/new.xml")" = new ]
}

@test "an overlay file edited on both sides is refused" {
    echo here >"$PCITOPO_ROOT/src-overlay/src/ours.txt"
    echo there >"$SRC/src/ours.txt"
    run "$SCRIPTS/refresh"
    [ "$status" -ne 0 ]
    says "src-overlay/src/ours.txt was edited both here and in the tree"
    [ "$(cat "$PCITOPO_ROOT/src-overlay/src/ours.txt")" = here ]
}

@test "an overlay file edited here only stays" {
    echo here >"$PCITOPO_ROOT/src-overlay/src/ours.txt"
    run "$SCRIPTS/refresh"
    [ "$status" -eq 0 ]
    [ "$(cat "$PCITOPO_ROOT/src-overlay/src/ours.txt")" = here ]
    [ "$(cat "$SRC/src/ours.txt")" = here ]
}

@test "a new file in the tree is refused" {
    echo new >"$SRC/src/new.c"
    run "$SCRIPTS/refresh"
    [ "$status" -ne 0 ]
    says "src/new.c"
    says "src-overlay/"
}

@test "a series edited since the tree was made is refused" {
    echo '# more' >>"$PATCHES/0001-one.patch"
    run "$SCRIPTS/refresh"
    [ "$status" -ne 0 ]
    says "run scripts/build first"
}

@test "--check passes on a series as refresh writes it, whatever was edited in the tree" {
    sed -i 's/line twenty$/line XX/' "$SRC/src/one.txt"
    before=$(ours; snapshot "$SRC")
    run "$SCRIPTS/refresh" --check
    [ "$status" -eq 0 ]
    [ -z "$output" ]
    [ "$before" = "$(ours; snapshot "$SRC")" ]
}

@test "--check names a patch that refresh would write in another way, and changes nothing" {
    # applies, but with less context than git writes
    sed -i '/^@@/{s/17,7 +17,7/18,6 +18,6/;n;d}' "$PATCHES/0002-two.patch"
    before=$(ours)
    run "$SCRIPTS/refresh" --check
    [ "$status" -ne 0 ]
    says "patches/1.0.0/0002-two.patch is not as refresh writes it"
    says "+@@ -17,7 +17,7 @@"
    [ "$before" = "$(ours)" ]
}

@test "--check names a patch that needs an offset, or does not apply" {
    sed -i 's/^@@ -17,7 +17,7 @@/@@ -15,7 +15,7 @@/' "$PATCHES/0002-two.patch"
    run "$SCRIPTS/refresh" --check
    [ "$status" -ne 0 ]
    says "0002-two.patch applies only with an offset"
    sed -i 's/^-line 20$/-line 20 of another release/' "$PATCHES/0001-one.patch"
    run "$SCRIPTS/refresh" --check
    [ "$status" -ne 0 ]
    says "0001-one.patch does not apply"
}
