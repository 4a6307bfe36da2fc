#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The source tree (overlay, series) and the build directory.

load helper
setup() { make_release; }

@test "without a series the tree is the release and the overlay" {
    run source_tree
    [ "$status" -eq 0 ]
    [ "${lines[-1]}" = "$SRC" ]
    cmp "$SRC/src/one.txt" "$BATS_TEST_TMPDIR/libvirt-1.0.0/src/one.txt"
    [ "$(cat "$SRC/src/ours.txt")" = overlay ]
}

@test "the tree has a commit for the release, one for the overlay, one per patch" {
    make_patch 0001-one.patch src/one.txt 's/line 20$/line twenty/'
    make_patch 0002-two.patch src/two.txt 's/line 20$/line twenty/'
    source_tree
    [ "$(git -C "$SRC" log --format=%s)" = "area: change src/two.txt
area: change src/one.txt
overlay: files of the series
libvirt 1.0.0" ]
    [ -z "$(git -C "$SRC" status --porcelain)" ]
    grep -x 'line twenty' "$SRC/src/two.txt"
}

@test "a pristine tree has neither" {
    make_patch 0001-one.patch src/one.txt 's/line 20$/line twenty/'
    run source_tree --pristine
    [ "$status" -eq 0 ]
    [ "${lines[-1]}" = "$PCITOPO_ROOT/build/1.0.0-pristine/src" ]
    diff -r -x .git "${lines[-1]}" "$BATS_TEST_TMPDIR/libvirt-1.0.0"
}

@test "a prefix of the series: the first patches, golden files only where a patch lists them" {
    make_patch 0001-one.patch src/one.txt 's/line 20$/line twenty/'
    make_patch 0002-two.patch src/two.txt 's/line 20$/  TEST("ours", "x86_64");/'
    make_patch 0003-run.patch run.in 's/^exec/# nothing\nexec/'
    mkdir -p "$PCITOPO_ROOT/tests/goldendata"
    echo ours >"$PCITOPO_ROOT/tests/goldendata/ours.xml"
    echo other >"$PCITOPO_ROOT/tests/goldendata/other.xml"
    tree=$PCITOPO_ROOT/build/1.0.0-prefixes/src
    top=$BATS_TEST_TMPDIR/libvirt-1.0.0
    for n in 0 1 2 3 1; do
        run source_tree --prefix $n
        [ "$status" -eq 0 ]
        [ "${lines[-1]}" = "$tree" ]
        [ "$(git -C "$tree" rev-list --count overlay..)" -eq $n ]
        [ "$(cat "$tree/src/ours.txt")" = overlay ]
        case $n in
        0) cmp "$tree/src/one.txt" "$top/src/one.txt" ;;
        1) grep -x 'line twenty' "$tree/src/one.txt"; cmp "$tree/src/two.txt" "$top/src/two.txt" ;;
        esac
        # the whole series has them all
        [ "$(cd "$tree/tests/goldendata"; echo *)" = "$(case $n in 2) echo ours.xml ;; 3) echo other.xml ours.xml ;; esac | cat - <(echo upstream.xml) | paste -sd' ')" ]
    done
    [ ! -e "$PCITOPO_ROOT/build/1.0.0" ]
    for n in 4 -1 x; do
        run source_tree --prefix $n
        [ "$status" -ne 0 ]
        says "--prefix: $n is not a number from 0 to 3"
    done
}

@test "golden files are laid with the overlay" {
    mkdir -p "$PCITOPO_ROOT/tests/goldendata"
    echo ours >"$PCITOPO_ROOT/tests/goldendata/ours.xml"
    ln -s ours.xml "$PCITOPO_ROOT/tests/goldendata/link.xml"
    source_tree
    [ "$(cat "$SRC/tests/goldendata/ours.xml")" = ours ]
    [ "$(readlink "$SRC/tests/goldendata/link.xml")" = ours.xml ]
    git -C "$SRC" ls-tree -r --name-only overlay | grep -x tests/goldendata/ours.xml
}

@test "an overlay file that the release has already is refused" {
    echo mine >"$PCITOPO_ROOT/src-overlay/src/one.txt"
    run source_tree
    [ "$status" -ne 0 ]
    says "libvirt 1.0.0 already has: src/one.txt"
}

@test "a golden file that the release has already is refused" {
    mkdir -p "$PCITOPO_ROOT/tests/goldendata"
    echo mine >"$PCITOPO_ROOT/tests/goldendata/upstream.xml"
    run source_tree
    [ "$status" -ne 0 ]
    says "libvirt 1.0.0 already has: tests/goldendata/upstream.xml"
}

@test "a patch that conflicts is named, with the file; the tree stays as it was" {
    make_patch 0001-one.patch src/one.txt 's/line 20$/line twenty/'
    source_tree
    make_patch 0002-two.patch src/two.txt 's/line 20$/line twenty/'
    sed -i 's/^-line 20$/-line 20 of another release/' "$PCITOPO_ROOT/patches/1.0.0/0002-two.patch"
    before=$(snapshot "$SRC")
    run source_tree
    [ "$status" -ne 0 ]
    says "patches/1.0.0/0002-two.patch does not apply to libvirt 1.0.0"
    says "src/two.txt:17"
    [ "$before" = "$(snapshot "$SRC")" ]
}

@test "a patch that needs fuzz is refused" {
    make_patch 0001-one.patch src/one.txt 's/line 20$/line twenty/'
    sed -i 's/^ line 17$/ line seventeen/' "$PCITOPO_ROOT/patches/1.0.0/0001-one.patch"
    # patch(1) itself would take it
    patch --dry-run -p1 -d "$BATS_TEST_TMPDIR/libvirt-1.0.0" <"$PCITOPO_ROOT/patches/1.0.0/0001-one.patch" | grep fuzz
    run source_tree
    [ "$status" -ne 0 ]
    says "0001-one.patch does not apply"
    says "src/one.txt"
}

@test "a patch that needs an offset is refused" {
    make_patch 0001-one.patch src/one.txt 's/line 20$/line twenty/'
    sed -i 's/^@@ -17,7 +17,7 @@/@@ -15,7 +15,7 @@/' "$PCITOPO_ROOT/patches/1.0.0/0001-one.patch"
    run source_tree
    [ "$status" -ne 0 ]
    says "0001-one.patch applies only with an offset"
    says "src/one.txt"
    says "offset 2 lines"
}

@test "a patch that is already in the release is refused" {
    make_patch 0001-one.patch src/one.txt 's/line 20$/line twenty/'
    make_patch 0002-again.patch src/one.txt 's/line 20$/line twenty/'
    run source_tree
    [ "$status" -ne 0 ]
    says "0002-again.patch does not apply"
}

@test "a patch that is listed but missing is named" {
    echo 0001-none.patch >"$PCITOPO_ROOT/patches/1.0.0/series"
    run source_tree
    [ "$status" -ne 0 ]
    says "lists 0001-none.patch, which is not there"
}

@test "the second run does nothing" {
    make_patch 0001-one.patch src/one.txt 's/line 20$/line twenty/'
    "$SCRIPTS/build" --tarball "$TARBALL"
    before=$(snapshot "$PCITOPO_ROOT/build/1.0.0/src" "$PCITOPO_ROOT/build/1.0.0/obj")
    run "$SCRIPTS/build"
    [ "$status" -eq 0 ]
    [ "$output" = "$PCITOPO_ROOT/build/1.0.0/obj" ]
    [ "$before" = "$(snapshot "$PCITOPO_ROOT/build/1.0.0/src" "$PCITOPO_ROOT/build/1.0.0/obj" | grep -v '/\.ninja_')" ] ||
        diff <(echo "$before" | grep -v '/\.ninja_') \
             <(snapshot "$PCITOPO_ROOT/build/1.0.0/src" "$PCITOPO_ROOT/build/1.0.0/obj" | grep -v '/\.ninja_')
}

@test "a change of the overlay touches only the file that differs" {
    make_patch 0001-one.patch src/one.txt 's/line 20$/line twenty/'
    source_tree
    before=$(snapshot "$SRC" | grep -v ours.txt)
    echo changed >"$PCITOPO_ROOT/src-overlay/src/ours.txt"
    source_tree
    [ "$(cat "$SRC/src/ours.txt")" = changed ]
    [ "$before" = "$(snapshot "$SRC" | grep -v ours.txt)" ]
}

@test "a patch taken off the series is undone, and nothing else is touched" {
    make_patch 0001-one.patch src/one.txt 's/line 20$/line twenty/'
    make_patch 0002-two.patch src/two.txt 's/line 20$/line twenty/'
    source_tree
    before=$(snapshot "$SRC" | grep -v two.txt)
    echo 0001-one.patch >"$PCITOPO_ROOT/patches/1.0.0/series"
    source_tree
    cmp "$SRC/src/two.txt" "$BATS_TEST_TMPDIR/libvirt-1.0.0/src/two.txt"
    [ "$before" = "$(snapshot "$SRC" | grep -v two.txt)" ]
}

@test "work in the tree is never overwritten" {
    source_tree
    echo work >>"$SRC/src/one.txt"
    make_patch 0001-one.patch src/one.txt 's/line 20$/line twenty/'
    run source_tree
    [ "$status" -ne 0 ]
    says "changes that would be lost, in: src/one.txt"
    tail -n 1 "$SRC/src/one.txt" | grep -x work
}

@test "work in the tree is not lost to another tarball of the release" {
    source_tree
    echo work >"$SRC/src/new.txt"
    sed -i 's/^sha256.*/sha256 = 0/' "$PCITOPO_ROOT/releases.ini"
    run "$SCRIPTS/build" --source
    [ "$status" -ne 0 ]
    says "changes that would be lost, in: src/new.txt"
    [ -f "$SRC/src/new.txt" ]
}

@test "work on other files in the tree stays when the series changes" {
    source_tree
    echo work >>"$SRC/src/one.txt"
    echo changed >"$PCITOPO_ROOT/src-overlay/src/ours.txt"
    run source_tree
    # what is not exported yet blocks a new tree rather than ending up between two states
    [ "$status" -ne 0 ]
    git -C "$SRC" stash -q
    source_tree
    git -C "$SRC" stash pop -q
    [ "$(cat "$SRC/src/ours.txt")" = changed ]
    tail -n 1 "$SRC/src/one.txt" | grep -x work
}

@test "the build directory is the last line and has run and tools/virsh" {
    run --separate-stderr "$SCRIPTS/build" --tarball "$TARBALL"
    [ "$status" -eq 0 ]
    [ "$output" = "$PCITOPO_ROOT/build/1.0.0/obj" ]
    [ -x "$output/run" ]
    [ -x "$output/tools/virsh" ]
}

@test "what is edited in the tree is compiled" {
    "$SCRIPTS/build" --tarball "$TARBALL"
    # ninja goes by the times of files, and these only by the tick of the kernel
    sleep 0.1
    echo work >>"$SRC/src/one.txt"
    "$SCRIPTS/build"
    tail -n 1 "$PCITOPO_ROOT/build/1.0.0/obj/one" | grep -x work
}

@test "what does not compile is shown" {
    make_patch 0001-one.patch meson.build "s/^cp = .*/cp = find_program('false')/"
    run "$SCRIPTS/build" --tarball "$TARBALL"
    [ "$status" -ne 0 ]
    says "FAILED:"
    says "libvirt 1.0.0 does not compile"
}

@test "what does not configure is shown" {
    make_patch 0001-one.patch meson.build "s/^cp = .*/error('no such thing')/"
    run "$SCRIPTS/build" --tarball "$TARBALL"
    [ "$status" -ne 0 ]
    says "no such thing"
    says "libvirt 1.0.0 does not configure"
}

@test "two builds at once wait for each other" {
    "$SCRIPTS/build" --tarball "$TARBALL" >"$BATS_TEST_TMPDIR/first" 2>&1 3>&- &
    "$SCRIPTS/build" --tarball "$TARBALL" >"$BATS_TEST_TMPDIR/second" 2>&1 3>&-
    wait $!
    [ "$(tail -n 1 "$BATS_TEST_TMPDIR/first")" = "$(tail -n 1 "$BATS_TEST_TMPDIR/second")" ]
    [ "$(cat "$BATS_TEST_TMPDIR/first" "$BATS_TEST_TMPDIR/second" | grep -c '^configuring')" -eq 1 ]
}
