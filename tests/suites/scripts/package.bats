#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# scripts/package, as far as it goes without building: source packages, spec files, patches.
# tests/suites/package/upgrade-and-downgrade builds the packages and installs them.

load helper
setup() {
    make_release
    make_patch 0001-one.patch src/one.txt 's/line 20$/line twenty/'
    make_patch 0002-two.patch src/two.txt 's/line 20$/line twenty/'
    local top=$BATS_TEST_TMPDIR/libvirt-1.0.0
    cat >"$top/libvirt.spec" <<'SPEC'
Summary: Made up
Name: libvirt
Version: 1.0.0
Release: 1%{?dist}
License: LGPLv2+
BuildRequires: made-up-devel >= 1.0
Source: libvirt-%{version}.tar.xz

%description
Made up

%prep
%autosetup -S git_am

%changelog
SPEC
    pack
}

# pack: the tarball of the made-up release, after a change of it
pack() {
    tar -C "$BATS_TEST_TMPDIR" -cJf "$TARBALL" libvirt-1.0.0
    sed -i "s/^sha256 = .*/sha256 = $(sha256sum <"$TARBALL" | cut -d' ' -f1)/" "$PCITOPO_ROOT/releases.ini"
    source_tree
}

# packaging [SED-SCRIPT]: Debian's packaging of the made-up release, with a patch of Debian's for src/two.txt
packaging() {
    local deb=$BATS_TEST_TMPDIR/packaging old=$BATS_TEST_TMPDIR/libvirt-1.0.0/src/two.txt
    mkdir -p "$deb/debian/source" "$deb/debian/patches" "$PCITOPO_ROOT/build/download/debian-1.0.0"
    echo '3.0 (quilt)' >"$deb/debian/source/format"
    printf 'Source: libvirt\nMaintainer: Somebody <somebody@localhost>\n\nPackage: libvirt0\nArchitecture: any\nDescription: made up\n' >"$deb/debian/control"
    printf 'libvirt (1.0.0-1) bookworm; urgency=medium\n\n  * Made up\n\n -- Somebody <somebody@localhost>  Sat, 01 Jan 2000 00:00:00 +0000\n' >"$deb/debian/changelog"
    printf '#!/bin/sh\n' >"$deb/debian/rules"
    echo theirs.patch >"$deb/debian/patches/series"
    sed "${1:-s/line 40/line forty/}" "$old" | diff -u --label a/src/two.txt --label b/src/two.txt "$old" - >"$deb/debian/patches/theirs.patch" || true
    tar -C "$deb" -cJf "$PCITOPO_ROOT/build/download/debian-1.0.0/libvirt_1.0.0-1.debian.tar.xz" debian
}

need() { command -v "$1" >/dev/null || skip "there is no $1 here"; }

@test "the patches of a package apply with git am, and give the tree of scripts/build" {
    ln -s ours.txt "$PCITOPO_ROOT/src-overlay/src/link.txt"
    source_tree
    bash -c '. "$1/lib.sh"; . "$1/lib-package.sh"; set_base ""; export_patches "$2"; printf "%s\n" "${NAMES[@]}"' - \
        "$SCRIPTS" "$BATS_TEST_TMPDIR/out" >"$BATS_TEST_TMPDIR/names"
    [ "$(cat "$BATS_TEST_TMPDIR/names")" = "pci-topology-overlay.patch
pci-topology-0001-one.patch
pci-topology-0002-two.patch" ]
    local tree=$BATS_TEST_TMPDIR/libvirt-1.0.0
    git -C "$tree" init -q
    git -C "$tree" -c user.name=t -c user.email=t@localhost add -A
    git -C "$tree" -c user.name=t -c user.email=t@localhost commit -qm release
    cd "$BATS_TEST_TMPDIR/out"
    # shellcheck disable=SC2046  # names without blanks
    git -C "$tree" -c user.name=t -c user.email=t@localhost am -q $(sed "s|^|$PWD/|" "$BATS_TEST_TMPDIR/names")
    diff -r -x .git "$tree" "$SRC"
    [ "$(git -C "$tree" log -1 --format=%s%n%b)" = "area: change src/two.txt
Because a test needs it." ]
    grep -x 'Forwarded: no' pci-topology-0002-two.patch
}

@test "deb: patches come after those of Debian, the changelog has an entry, the version is higher" {
    need dpkg-source
    packaging
    run "$SCRIPTS/package" deb --source-only --number 3
    [ "$status" -eq 0 ]
    local out=$PCITOPO_ROOT/build/package/source-1.0.0
    [ "${lines[-1]}" = "$out" ]
    tar -C "$BATS_TEST_TMPDIR" -xf "$out/libvirt_1.0.0-1+pci3.debian.tar.xz"
    [ "$(cat "$BATS_TEST_TMPDIR/debian/patches/series")" = "theirs.patch
pci-topology-overlay.patch
pci-topology-0001-one.patch
pci-topology-0002-two.patch" ]
    [ "$(dpkg-parsechangelog -l "$BATS_TEST_TMPDIR/debian/changelog" -S Version)" = 1.0.0-1+pci3 ]
    [ "$(dpkg-parsechangelog -l "$BATS_TEST_TMPDIR/debian/changelog" -S Distribution)" = bookworm ]
    dpkg --compare-versions 1.0.0-1+pci3 gt 1.0.0-1
    dpkg --compare-versions 1.0.0-1+pci3 lt 1.0.0-2
    # it copies the tarball to where it runs
    cd "$BATS_TEST_TMPDIR"
    dpkg-source -x "$out/libvirt_1.0.0-1+pci3.dsc" unpacked
    grep -x 'line forty' "$BATS_TEST_TMPDIR/unpacked/src/two.txt"
    grep -x 'line twenty' "$BATS_TEST_TMPDIR/unpacked/src/two.txt"
    [ "$(cat "$BATS_TEST_TMPDIR/unpacked/src/ours.txt")" = overlay ]
    local debian=$BATS_TEST_TMPDIR/unpacked/debian
    [ "$(dpkg-parsechangelog -l "$debian/libvirt-daemon-driver-qemu.NEWS" -S Version)" = 1.0.0-1+pci3 ]
    grep -x 'Tests: pci-topology' "$debian/tests/control"
    [ -x "$debian/tests/pci-topology" ]
}

@test "deb: a patch that would need fuzz after those of Debian is refused, and named" {
    need dpkg-source
    packaging 's/line 17$/line seventeen/'
    run "$SCRIPTS/package" deb --source-only
    [ "$status" -ne 0 ]
    says "src/two.txt"
    says "pci-topology-0002-two.patch"
    [ ! -f "$PCITOPO_ROOT/build/package/source-1.0.0/libvirt_1.0.0-1+pci1.dsc" ]
}

@test "rpm: the spec has patches, release and entry, and rpmbuild applies them" {
    need rpmbuild
    need rpmlint
    run "$SCRIPTS/package" rpm
    echo "$output"
    [ "$status" -eq 0 ]
    local out=$PCITOPO_ROOT/build/package/rpm-1.0.0
    grep -x 'Release: 1.pci1%{?dist}' "$out/SPECS/libvirt.spec"
    grep -x 'Patch0003: pci-topology-0002-two.patch' "$out/SPECS/libvirt.spec"
    grep -A1 '^%changelog' "$out/SPECS/libvirt.spec" | grep -q '1.0.0-1.pci1$'
    diff -r -x .git "$out/BUILD/libvirt-1.0.0" "$SRC"
    [ -f "$out/SRPMS/libvirt-1.0.0-1.pci1.src.rpm" ]
    says "not built: the binary packages. 1 packages are missing here: made-up-devel >= 1.0"
}

@test "rpm: a spec without the lines that are expected is refused" {
    sed -i '/^Release/d' "$BATS_TEST_TMPDIR/libvirt-1.0.0/libvirt.spec"
    pack
    run "$SCRIPTS/package" rpm
    [ "$status" -ne 0 ]
    says "has not the lines that are expected"
}

@test "nothing is packaged without a series, or without saying what" {
    run "$SCRIPTS/package"
    [ "$status" -ne 0 ]
    says "what package"
    : >"$PCITOPO_ROOT/patches/1.0.0/series"
    run "$SCRIPTS/package" rpm
    [ "$status" -ne 0 ]
    says "there is no series for libvirt 1.0.0"
}
