#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later

load helper

@test "shellcheck finds nothing in any script" {
    local programs=()
    while IFS= read -r file; do
        ! head -n 2 "$REPO/$file" | grep -Eq '^#!.*\b(sh|bash|bats)$|^# shellcheck shell=' || programs+=("$REPO/$file")
    done < <(git -C "$REPO" ls-files --cached --others --exclude-standard | sort -u)
    [ "${#programs[@]}" -ge 10 ]
    cd "$REPO"
    run shellcheck -x "${programs[@]}"
    echo "$output"
    [ "$status" -eq 0 ]
}

@test "--help of each script says how to use it" {
    for script in "$SCRIPTS"/*; do
        [[ $script != *.* ]] || continue
        run "$script" --help
        [ "$status" -eq 0 ]
        says "Usage: scripts/${script##*/}"
        says "--help"
        [[ $output != *shellcheck* ]]
    done
}

@test "an unknown argument is refused" {
    for script in build test refresh rebase bench; do
        run "$SCRIPTS/$script" --nonsense
        [ "$status" -ne 0 ]
        says "--nonsense"
    done
}

@test "an unknown release is refused, the known ones are named" {
    for script in build test refresh virsh bench; do
        run "$SCRIPTS/$script" --base 0.0.1
        [ "$status" -ne 0 ]
        says "libvirt 0.0.1 is not in releases.ini"
        says "9.0.0"
    done
    LIBVIRT_BASE=0.0.2 run "$SCRIPTS/build"
    says "libvirt 0.0.2 is not in releases.ini"
}

@test "--help of each program of a suite says what it does" {
    local program n=0
    while IFS= read -r program; do
        [[ $(head -n 1 "$REPO/$program") =~ ^#!.*(python3|bash)$ ]] || continue
        n=$((n + 1))
        run "$REPO/$program" --help
        echo "$program: $output"
        [ "$status" -eq 0 ]
        [[ $output == *[Uu]sage:* || $output == *TAP* ]]
    done < <(cd "$REPO" && find tests/suites -mindepth 2 -maxdepth 2 -type f)
    [ "$n" -ge 15 ]
}
