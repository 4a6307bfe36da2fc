# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What scripts/package needs: the distribution's packaging, the series in the form that it takes, and
# directories with a Debian in them to build and try packages in. Sourced, never run.

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

# -- a Debian in a directory -------------------------------------------------------------------

# make_root DIR HOOK ARGUMENT…: DIR holds the release's Debian, made by mmdebstrap with ARGUMENT… and at the
# end the program HOOK, which gets DIR. One that the same HOOK has made is taken as it is.
make_root() {
    local dir=$1 key suite source done=''
    # no path is part of it, so that build/ can be moved
    key=$(printf '%s\n' "$(sed "s|$ROOT|.|g" "$2")" "${@:3}" | sha256sum)
    suite=$(ini "$BASE" suite)
    if [ "$(cat "$dir.key" 2>/dev/null)" = "$key" ]; then return 0; fi
    say "making ${dir#"$ROOT"/}, a Debian $suite (log: $dir.log)"
    rm -rf --one-file-system "$dir.key" "$dir"
    apt_sources "$suite" "$dir.sources" deb
    for source in "$dir.sources"/*; do
        [ -f "$source" ] || continue
        if mmdebstrap --mode=root --variant=minbase --format=directory --aptopt='APT::Install-Recommends "false"' \
            "${@:3}" --customize-hook="$2" "$suite" "$dir" "$source" >"$dir.log" 2>&1 </dev/null; then done=yes; break; fi
        rm -rf --one-file-system "$dir"
    done
    rm -rf "$dir.sources"
    [ -n "$done" ] || { tail -n 15 "$dir.log" >&2; die "there is no Debian $suite in $dir"; }
    # nothing that is installed later starts a service
    printf '#!/bin/sh\nexit 101\n' >"$dir/usr/sbin/policy-rc.d"
    chmod +x "$dir/usr/sbin/policy-rc.d"
    printf '%s\n' "$key" >"$dir.key"
}

# in_root DIR COMMAND…: run it with DIR as the root. Its processes, mounts and network are its own and
# end with it, however it ends.
in_root() {
    # shellcheck disable=SC2016  # the inner shell expands that
    unshare --mount --pid --net --ipc --uts --fork --kill-child -- bash -c '
        set -e
        root=$1; shift
        mount --bind "$root" "$root"
        mount -t proc proc "$root/proc"
        mount -t sysfs -o ro sysfs "$root/sys"
        mount -t tmpfs -o mode=755 dev "$root/dev"
        for node in null:3 zero:5 full:7 random:8 urandom:9; do
            mknod -m 666 "$root/dev/${node%:*}" c 1 "${node#*:}"
        done
        mknod -m 666 "$root/dev/tty" c 5 0
        mkdir "$root/dev/pts" "$root/dev/shm"
        mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts "$root/dev/pts"
        mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
        ln -s pts/ptmx "$root/dev/ptmx"
        ln -s /proc/self/fd "$root/dev/fd"
        for fd in 0:stdin 1:stdout 2:stderr; do ln -s "/proc/self/fd/${fd%:*}" "$root/dev/${fd#*:}"; done
        ip link set lo up 2>/dev/null || true
        hostname localhost
        # the root of the namespace as well, into which libvirt returns when it makes one for a guest
        cd "$root"
        mount --move "$root" /
        # not exec: as the first process it has to wait for orphans
        env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 TERM=dumb DEBIAN_FRONTEND=noninteractive \
            chroot . "$@"
        exit $?' in_root "$@"
}
