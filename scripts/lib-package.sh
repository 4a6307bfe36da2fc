# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What scripts/package needs: the distribution's packaging, and the series in the form that it takes.
# Sourced, never run.

# shellcheck disable=SC2034  # read by scripts/package
PACKAGE=$BUILD/package
PACKAGER="${DEBFULLNAME:-libvirt-pci-topology} <${DEBEMAIL:-devel@localhost}>"

# export_patches DIR: overlay and series as DIR/pci-topology-*.patch, which quilt, dpkg and "git am"
# take; NAMES are their names, in order
export_patches() {
    local name
    mkdir -p "$1"
    NAMES=(pci-topology-overlay.patch)
    {
        printf 'overlay: files of the series\n\nWhat the patches after this one call, and the tests of it.\n\nForwarded: no\n---\n\n'
        tree_git diff-tree -p --binary --no-renames --no-ext-diff --no-color --src-prefix=a/ --dst-prefix=b/ upstream overlay
    } | mailbox >"$1/${NAMES[0]}"
    while read -r name; do
        NAMES+=("pci-topology-$name")
        mailbox <"$PATCHES/$name" >"$1/pci-topology-$name"
    done < <(series)
}

# mailbox: a patch of ours in the form of a mail. "Forwarded" is where Debian looks for it.
mailbox() {
    awk -v from="$PACKAGER" '
        diff { print; next }
        NR == 1 {
            print "From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001"
            print "From: " from
            print "Subject: [PATCH] " $0
            next
        }
        /^Forwarded: / { forwarded = $0; next }
        /^---$/ {
            print forwarded
            sub(/\n+$/, "", body); print body
            print "---"; diff = 1; next
        }
        { body = body $0 "\n" }'
}

# -- Debian's packaging ------------------------------------------------------------------------

# get_packaging: DEBIAN is the archive with Debian's debian/ of the release, VERSION its version
get_packaging() {
    local suite dir=$BUILD/download/debian-$BASE
    suite=$(ini "$BASE" suite)
    mkdir -p "$dir"
    if ! compgen -G "$dir/*.debian.tar.xz" >/dev/null; then
        say "getting Debian's packaging of libvirt $BASE ($suite)"
        archive_file --diff-only "libvirt_$BASE-*.debian.tar.xz" "$dir/" ||
            die "Debian's packaging of libvirt $BASE could not be had from $suite (log: $BUILD/download/apt.log)"
    fi
    DEBIAN=$(printf '%s\n' "$dir"/*.debian.tar.xz | sort -V | tail -n 1)
    VERSION=${DEBIAN##*/libvirt_} VERSION=${VERSION%.debian.tar.xz}
}

# source_package DIR [EDIT]: unpack the release and Debian's packaging in DIR, run the function EDIT
# in it, and make the source package beside it
source_package() {
    local dir=$1/libvirt-$BASE log=$1/source.log
    mkdir -p "$dir"
    cp "$TARBALL" "$1/libvirt_$BASE.orig.tar.xz"
    tar -xf "$TARBALL" --no-same-owner --strip-components=1 -C "$dir"
    tar -xf "$DEBIAN" --no-same-owner -C "$dir"
    [ $# -lt 2 ] || (cd "$dir" && "$2")
    # dpkg applies all patches, and takes none that needs fuzz
    (cd "$1" && dpkg-source -b "libvirt-$BASE") >"$log" 2>&1 || {
        grep -vE '^dpkg-source: (info|warning)' "$log" | tail -n 25 >&2
        die "there is no source package of this (log: $log)"
    }
    rm -rf "$dir"
}
