# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The Debian packages that the scripts need, by purpose. Sourced by lib.sh, never run.

# installed NAME…: those that are
installed() { dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^installed //p' | sort -u || true; }

# known NAME: whether the machine's Debian has a package of this name
known() { apt-cache policy "$1" 2>/dev/null | grep -q 'Candidate: [^(]'; }

# need_packages PURPOSE…: install what releases.ini names for that, "packages-PURPOSE"; the release's own
# packages are for building
need_packages() {
    local purpose word name command here wanted=() missing=() names=() sudo=() log=$BUILD/packages.log
    local -A purpose_of=()
    for purpose in "$@"; do
        for word in $(ini common "packages-$purpose") $([ "$purpose" != build ] || ini "$BASE" packages); do
            [ -n "${purpose_of[$word]:-}" ] || wanted+=("$word")
            purpose_of[$word]=${purpose_of[$word]:-$purpose}
        done
    done
    if ! command -v dpkg-query >/dev/null; then
        for command in meson ninja gcc git xz; do
            command -v "$command" >/dev/null ||
                die "$command is missing; on a system other than Debian install by hand what Debian calls: ${wanted[*]}"
        done
        return 0
    fi
    # shellcheck disable=SC2046  # names without blanks
    here=" $(installed $(printf '%s\n' "${wanted[@]}" | tr '|' ' ') | paste -sd' ') "
    for word in "${wanted[@]}"; do
        for name in ${word//|/ }; do [[ $here != *" $name "* ]] || continue 2; done
        missing+=("$word")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" -ne 0 ]; then
        sudo=(sudo)
        # without a terminal nobody could answer a question for a password
        [ -t 0 ] || sudo+=(-n)
        if ! command -v sudo >/dev/null || ! { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
            say "Debian packages are missing. Run this as root, then try again:"
            say "  apt-get install -y --no-install-recommends $(the_names "${missing[@]}")"
            exit 1
        fi
    fi
    mkdir -p "$BUILD"
    # another dpkg may be at work; what matters is whether the packages can be had, not what update says
    local apt_get=("${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600)
    "${apt_get[@]}" update >"$log" 2>&1 </dev/null || true
    read -ra names <<<"$(the_names "${missing[@]}")"
    say "installing packages: ${names[*]}"
    command="install -y --no-install-recommends ${names[*]}"
    # shellcheck disable=SC2086  # the command is a list of words
    "${apt_get[@]}" $command >>"$log" 2>&1 </dev/null || {
        # an installation that was interrupted has to be ended first
        grep -q 'dpkg --configure -a' "$log" && "${sudo[@]}" dpkg --configure -a >>"$log" 2>&1 </dev/null &&
            "${apt_get[@]}" $command >>"$log" 2>&1 </dev/null
    } || {
        tail -n 15 "$log" >&2
        for word in "${missing[@]}"; do
            known "$(the_names "$word")" || say "not in this machine's archives: ${word//|/ or }, needed to ${purpose_of[$word]}"
        done
        die "packages could not be installed$(because "$log"); the command was: apt-get $command"
    }
}

# the_names WORD…: of each one|two|three the first that can be had
the_names() {
    local word name names=()
    for word in "$@"; do
        for name in ${word//|/ }; do if [[ $word != *'|'* ]] || known "$name"; then break; fi; done
        names+=("$name")
    done
    printf '%s\n' "${names[*]}"
}

# because LOG: what of what apt says a person can put right
because() {
    case $(cat "$1") in
    *'Temporary failure'* | *'Could not resolve'* | *'Could not connect'* | *'Network is unreachable'* | *'Connection failed'* | *'Unable to connect'*)
        printf ': there is no network, run this again when there is' ;;
    esac
}
