# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A Debian in a directory, to build, try and test in. Sourced after lib.sh, never run.

# make_root DIR SUITE HOOK ARGUMENT…: DIR holds that Debian, made by mmdebstrap with ARGUMENT… and at the
# end the program HOOK, which gets DIR. One that the same HOOK has made is taken as it is.
make_root() {
    local dir=$1 suite=$2 key source done=''
    # no path is part of it, so that build/ can be moved
    key=$(printf '%s\n' "$(sed "s|$ROOT|.|g" "$3")" "${@:4}" | sha256sum)
    if [ "$(cat "$dir.key" 2>/dev/null)" = "$key" ]; then return 0; fi
    say "making ${dir#"$ROOT"/}, a Debian $suite (log: $dir.log)"
    rm -rf --one-file-system "$dir.key" "$dir"
    apt_sources "$suite" "$dir.sources" deb
    for source in "$dir.sources"/*; do
        [ -f "$source" ] || continue
        if mmdebstrap --mode=root --variant=minbase --format=directory --aptopt='APT::Install-Recommends "false"' \
            "${@:4}" --customize-hook="$3" "$suite" "$dir" "$source" >"$dir.log" 2>&1 </dev/null; then done=yes; break; fi
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
# end with it, however it ends. With IN_ROOT_NETWORK=host it has the machine's network, with IN_ROOT_KVM=host
# the machine's KVM, if there is one.
in_root() {
    local net=(--net) kvm=''
    [ "${IN_ROOT_NETWORK:-}" != host ] || net=()
    [ "${IN_ROOT_KVM:-}" != host ] || [ ! -c /dev/kvm ] || kvm=yes
    # shellcheck disable=SC2016  # the inner shell expands that
    unshare --mount --pid "${net[@]}" --ipc --uts --fork --kill-child -- bash -c '
        set -e
        root=$1 kvm=$2; shift 2
        mount --bind "$root" "$root"
        mount -t proc proc "$root/proc"
        mount -t sysfs -o ro sysfs "$root/sys"
        mount -t tmpfs -o mode=755 dev "$root/dev"
        for node in null:3 zero:5 full:7 random:8 urandom:9; do
            mknod -m 666 "$root/dev/${node%:*}" c 1 "${node#*:}"
        done
        mknod -m 666 "$root/dev/tty" c 5 0
        [ -z "$kvm" ] || mknod -m 666 "$root/dev/kvm" c 10 232
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
        exit $?' in_root "$1" "$kvm" "${@:2}"
}
