# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What the scripts beside this file share. Sourced, never run.
#
# PCITOPO_ROOT names another repository root; the tests use it to work on small made-up releases.

set -euo pipefail
export LC_ALL=C.UTF-8

ROOT=${PCITOPO_ROOT:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}
# shellcheck disable=SC2034  # read by the scripts that source this file
SCRIPTS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
BUILD=$ROOT/build
RELEASES=$ROOT/releases.ini

say() { printf '%s\n' "$*" >&2; }
die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

# short_path DIR: a name for DIR that is short enough for the sockets below it, and has no characters that
# would mean something in an URI; DIR itself, or a link to it
short_path() {
    local link dir=${XDG_RUNTIME_DIR:-}
    if [ ${#1} -le 45 ] && [[ $1 != *[!a-zA-Z0-9/._-]* ]]; then printf '%s\n' "$1"; return; fi
    [ -w "$dir" ] || dir=${TMPDIR:-/tmp}
    link=$dir/pcitopo-$(id -u)-$(printf '%s' "$1" | sha256sum | head -c 8)
    # in a directory for all only a link of our own is one to follow
    if [ "$(readlink "$link" 2>/dev/null)" != "$1" ] || [ "$(stat -c %u "$link")" != "$(id -u)" ]; then
        rm -f "$link"
        ln -s "$1" "$link" || die "the path $1 is too long for sockets, and the link $link to it cannot be made"
    fi
    printf '%s\n' "$link"
}

# Whatever a full disk has stopped, that is what has to be said; logs may be cut off.
say_full_disk() {
    local status=$? free
    free=$({ df -k --output=avail "$BUILD" | tail -n 1; } 2>/dev/null) || true
    [ "$status" -eq 0 ] || [ "${free:-2048}" -ge 1024 ] || say "${0##*/}: the disk is full: free some space for $BUILD, then run this again"
    exit "$status"
}
trap say_full_disk EXIT

# The help text of a script is the comment at its head.
help() { sed -n '/^# SPDX/,/^$/{/^# SPDX/d;/^$/d;s/^#//;s/^ //;p;}' "$0" | sed '1{/^$/d;}'; }

# ini SECTION KEY: a value of releases.ini, continued lines joined
ini() {
    awk -v section="[$1]" -v key="$2" '
        /^#/   { next }
        /^\[/  { inside = ($0 == section); found = 0; next }
        !inside { next }
        /^[ \t]/ { if (found) { sub(/^[ \t]+/, ""); printf "%s ", $0 } next }
        { split($0, part, /[ \t]*=/); found = (part[1] == key) }
        found { sub(/^[^=]*=[ \t]*/, ""); printf "%s ", $0 }
    ' "$RELEASES" | sed 's/ *$//; s/^ *//'
}

# releases [STATUS]: the versions in releases.ini
releases() {
    local version
    sed -n 's/^\[\([0-9].*\)\]$/\1/p' "$RELEASES" | while read -r version; do
        if [ -z "${1:-}" ] || [ "$(ini "$version" status)" = "$1" ]; then printf '%s\n' "$version"; fi
    done
}

# default_base: the release that the machine's own Debian has, if there is a series for it
default_base() {
    local codename version
    # shellcheck disable=SC1090
    codename=$(. "${PCITOPO_OS_RELEASE:-/etc/os-release}" 2>/dev/null && printf '%s' "${VERSION_CODENAME:-}") || true
    for version in $(releases supported); do
        if [ "$(ini "$version" suite)" = "$codename" ]; then printf '%s\n' "$version"; return; fi
    done
    ini common default
}

# set_base VERSION [pristine]: the release and the places that belong to it
set_base() {
    BASE=${1:-$(default_base)}
    SHA256=$(ini "$BASE" sha256)
    [ -n "$SHA256" ] ||
        die "libvirt $BASE is not in releases.ini, which has: $(releases | paste -sd' ')"
    KIND=${2:-}
    DIR=$BUILD/$BASE${KIND:+-$KIND}
    SRC=$DIR/src
    OBJ=$DIR/obj
    PATCHES=$ROOT/patches/$BASE
    read -ra GOLDENS <<<"$(ini "$BASE" goldens)"
    INPUTS=$(ini "$BASE" inputs)
}

# set_prefix N: of the series only the first N patches, in a tree of their own that all prefixes share
set_prefix() {
    local all
    all=$(series | wc -l)
    { [[ $1 =~ ^[0-9]+$ ]] && [ "$1" -le "$all" ]; } || die "--prefix: $1 is not a number from 0 to $all"
    set_base "$BASE" prefixes
    PREFIX=$1
    # libvirt's tests may fail on a golden file that none of them names: it comes with the patch that lists it
    [ "$PREFIX" -eq "$all" ] || LISTED=$'\n'$(series | while read -r name; do
        sed -n 's/^+[^"]*"\([^"]*\)".*/\1/p' "$PATCHES/$name"; done)$'\n'
}

# take_lock FILE: wait for another run that works on the same files
take_lock() {
    mkdir -p "$(dirname "$1")"
    exec 9>"$1"
    flock -n 9 || { say "waiting for another run to finish ($1)"; flock 9; }
}

# A build that tests run on stays as it is: they hold DIR/in-use, and who would change the build waits.

# hold_build: for as long as this script runs nobody changes the build in DIR
hold_build() {
    local held
    exec {held}>>"$DIR/in-use"
    flock -s "$held"
    export PCITOPO_HELD=${PCITOPO_HELD:-}:$DIR:
}

# build_is_held [as-is]: whether the build in DIR has to be taken as it is, because tests of ours run on it,
# or anybody's and the caller says "as-is"; waits for their end otherwise, without DIR/lock
build_is_held() {
    [[ ${PCITOPO_HELD:-} != *":$DIR:"* ]] || return 0
    exec 7>>"$DIR/in-use"
    while ! flock -n 7; do
        if [ "${1:-}" = as-is ]; then
            say "tests run on the build of libvirt $BASE: it is taken as it is"
            return 0
        fi
        say "waiting for the tests that run on the build of libvirt $BASE"
        flock -u 9
        flock 7
        flock -u 7
        flock 9
    done
    return 1
}

series() {
    [ ! -f "$PATCHES/series" ] || awk -v last="${PREFIX:-all}" '
        { sub(/[ \t]*#.*/, "") } /^[ \t]*$/ { next } last == "all" || n++ < last + 0' "$PATCHES/series"
}

# shellcheck source=scripts/lib-packages.sh
. "$SCRIPTS/lib-packages.sh"

# -- the tarball -------------------------------------------------------------------------------

check_tarball() {
    local got
    got=$(sha256sum <"$1")
    [ "${got%% *}" = "$SHA256" ] ||
        die "$1 is not the tarball of libvirt $BASE
  expected sha256 $SHA256
  got             ${got%% *}"
}

# apt_sources SUITE DIR [TYPE]: for each Debian archive that the machine itself uses a file DIR/N.sources
# or DIR/N.list, which asks the same archive, with the same keyring, for the packages of SUITE; TYPE is
# deb-src (source packages, the default) or deb. An archive is Debian's if the machine's release is named by
# its codename, or as "stable" and the like from a place called debian.
apt_sources() {
    local codename list parts alias='^(oldstable|stable|testing|unstable|sid)$' place='/debian/?$'
    # shellcheck disable=SC1091
    codename=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
    list=/etc/apt/sources.list parts=/etc/apt/sources.list.d
    eval "$(apt-config shell list Dir::Etc::sourcelist/f parts Dir::Etc::sourceparts/d)"
    rm -rf "$2"; mkdir -p "$2"
    cat "$list" "${parts%/}"/*.list 2>/dev/null | awk -v codename="$codename" -v alias="$alias" -v place="$place" -v suite="$1" -v dir="$2" -v type="${3:-deb-src}" '
        $1 == "deb" {
            # what is wanted may be of another architecture
            sub(/[ \t]+arch=[^] \t]*/, ""); sub(/\[arch=[^] \t]*[ \t]*/, "["); sub(/\[\][ \t]*/, "")
            i = 2
            if ($i ~ /^\[/) { while ($i !~ /\]$/ && i < NF) i++; i++ }
            if ($(i + 1) != codename && !($(i + 1) ~ alias && $i ~ place) || $0 !~ / main( |$)/) next
            line = ""; for (f = 1; f <= i; f++) line = line (f == 1 ? type : $f) " "
            print line suite " main" > (dir "/" ++n ".list")
        }' || true
    for list in "${parts%/}"/*.sources; do
        [ -f "$list" ] || continue
        # a blank line at the end closes the last paragraph
        { grep -v '^#' "$list"; echo; } | awk -v codename="$codename" -v alias="$alias" -v place="$place" -v suite="$1" -v dir="$2/$(basename "$list" .sources)" -v type="${3:-deb-src}" '
            function ours(  names, n, i) {
                n = split(suites, names, " ")
                for (i = 1; i <= n; i++) if (names[i] == codename || names[i] ~ alias && uris ~ place) return 1
            }
            function flush() {
                if (ours() && (" " components " ") ~ / main / && enabled != "no") {
                    file = dir "-" ++n ".sources"
                    printf "Types: %s\nSuites: %s\nComponents: main\n%s", type, suite, rest > file
                }
                suites = components = enabled = rest = uris = ""
            }
            /^[ \t]*$/ { flush(); next }
            /^[ \t]/   { if (keep) rest = rest $0 "\n"; next }
            { name = tolower($1); value = $0; sub(/^[^:]*:[ \t]*/, "", value); keep = 0 }
            name == "suites:"     { suites = value; next }
            name == "components:" { components = value; next }
            name == "enabled:"    { enabled = value; next }
            name == "types:" || name == "architectures:" { next }
            name == "uris:" { uris = value }
            { rest = rest $0 "\n"; keep = 1 }
        '
    done
}

# archive_file OPTION PATTERN FILE: FILE becomes the file of that name in the release's source package,
# one of those that "apt-get source OPTION" gets; where there is none what apt said is shown
archive_file() {
    local apt=$BUILD/download/apt source got log=$BUILD/download/apt.log
    apt_sources "$(ini "$BASE" suite)" "$apt/sources"
    : >"$log"
    for source in "$apt"/sources/*; do
        [ -f "$source" ] || continue
        rm -rf "$apt/lists" "$apt/cache" "$apt/get"
        mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/get"
        local options=(-o "Dir::Etc::SourceList=$source" -o Dir::Etc::SourceParts=/dev/null
                       -o "Dir::State::Lists=$apt/lists" -o "Dir::Cache=$apt/cache"
                       # the default user for downloads may not enter this directory
                       -o APT::Sandbox::User=root)
        # What counts is that the file arrives and is the right one: apt also fails when a file
        # that nobody needs here (the .dsc) is gone from the archive.
        { apt-get "${options[@]}" update &&
          cd "$apt/get" && apt-get "${options[@]}" source --download-only "$1" libvirt; } >>"$log" 2>&1 </dev/null || true
        cd "$ROOT"
        for got in "$apt"/get/*; do
            # shellcheck disable=SC2254  # it is a pattern
            case ${got##*/} in $2) ;; *) continue ;; esac
            [[ $2 != *.orig.tar.xz ]] || check_tarball "$got"
            # a directory keeps the file's own name
            mv "$got" "$3"
            rm -rf "$apt"
            return 0
        done
    done
    tail -n 8 "$log" >&2
    return 1
}

download_tarball() {
    local suite
    suite=$(ini "$BASE" suite)
    command -v apt-get >/dev/null || die "no apt-get here: give the tarball of libvirt $BASE with --tarball FILE"
    say "getting the source of libvirt $BASE (Debian $suite)"
    archive_file --tar-only "libvirt_$BASE.orig.tar.xz" "$1" ||
        die "the source of libvirt $BASE could not be had from Debian $suite$(because "$BUILD/download/apt.log") (log: $BUILD/download/apt.log)
  give it with --tarball FILE: libvirt-$BASE.tar.xz, sha256 $SHA256"
}

# get_tarball [FILE]: TARBALL is the verified tarball
get_tarball() {
    TARBALL=$BUILD/download/libvirt-$BASE.tar.xz
    mkdir -p "$BUILD/download"
    if [ -n "${1:-}" ]; then
        [ -f "$1" ] || die "$1: no such file"
        check_tarball "$1"
        [ "$1" -ef "$TARBALL" ] || { cp -- "$1" "$TARBALL.new" && mv "$TARBALL.new" "$TARBALL"; } ||
            die "$1 could not be copied to $BUILD/download"
    else
        # two bases, or a release and its pristine twin, may be built at the same time
        (
            flock 8
            if [ -f "$TARBALL" ] && ! (check_tarball "$TARBALL"); then
                say "that file is thrown away"
                rm "$TARBALL"
            fi
            [ -f "$TARBALL" ] || download_tarball "$TARBALL"
        ) 8>"$BUILD/download/lock"
    fi
}

# -- the source tree ---------------------------------------------------------------------------
#
# The tree is a git repository with a commit for the release (tag "upstream"), one for the overlay
# (tag "overlay") and one per patch (branch "series"). All of that is made without touching a file;
# then only the files that differ are written, so that ninja rebuilds no more than it must.
# refs/pcitopo/laid is what was laid last: what differs from it is somebody's work.

# Our own commits have a fixed author and date: the same input gives the same commit.
tree_git() {
    env GIT_AUTHOR_NAME=libvirt-pci-topology GIT_AUTHOR_EMAIL=devel@localhost GIT_AUTHOR_DATE='1000000000 +0000' \
        GIT_COMMITTER_NAME=libvirt-pci-topology GIT_COMMITTER_EMAIL=devel@localhost GIT_COMMITTER_DATE='1000000000 +0000' \
        git --git-dir="$SRC/.git" -c core.attributesFile=/dev/null -c core.autocrlf=false -c core.quotePath=false "$@"
}

# stage_inputs: copy the inputs that releases share to the names that this release has for them
stage_inputs() {
    [ -n "$INPUTS" ] || return 0
    rm -rf "$DIR/inputs"
    mkdir -p "$DIR/inputs/${GOLDENS[0]}"
    find "$ROOT/$INPUTS" -maxdepth 1 -name '*.xml' -exec cp -pPt "$DIR/inputs/${GOLDENS[0]}" {} +
}

# overlay_files: "PATH-IN-TREE<TAB>DIRECTORY-IT-IS-UNDER" of each file of ours, sorted
overlay_files() {
    local dir
    {
        [ -z "$INPUTS" ] ||
            find "$DIR/inputs" \( -type f -o -type l \) -printf "%P\t$DIR/inputs\n"
        [ ! -d "$ROOT/src-overlay" ] ||
            find "$ROOT/src-overlay" \( -type f -o -type l \) ! -name '*~' -printf "%P\t$ROOT/src-overlay\n"
        for dir in "${GOLDENS[@]}"; do
            [ ! -d "$ROOT/$dir" ] ||
                find "$ROOT/$dir" \( -type f -o -type l \) ! -name '*~' -printf "$dir/%P\t$ROOT\n"
        done
    } | listed | LC_ALL=C sort
}

# listed: of the files that come in, those that belong to the prefix of the series
listed() {
    local file top name
    [ -n "${LISTED:-}" ] || { cat; return; }
    while IFS=$'\t' read -r file top; do
        name=${file##*/}
        [[ $top == "$ROOT/src-overlay" || $LISTED == *$'\n'"${name%%.*}"$'\n'* ]] || continue
        printf '%s\t%s\n' "$file" "$top"
    done
}

# A hash of all that the source tree is made from.
patches_key() { series | while read -r name; do printf '%s\n' "$name"; cat "$PATCHES/$name" 2>&1 || true; done | sha256sum; }
tree_key() {
    {
        printf '%s\n' "$UNPACKED" "$SHA256" "$SRC"
        [ "$KIND" = pristine ] || {
            patches_key
            overlay_files | while IFS=$'\t' read -r file top; do printf '%s/%s\0' "$top" "$file"; done |
                xargs -0r stat -c '%n %f %N' | sed 's/^.*-> /-> /'
            overlay_files | while IFS=$'\t' read -r file top; do
                [ -L "$top/$file" ] || printf '%s/%s\0' "$top" "$file"; done | xargs -0r sha256sum
        }
    } 2>&1 | sha256sum
}

# Counted up when unpack() makes another tree of the same tarball.
UNPACKED=3
unpack() {
    say "unpacking libvirt $BASE"
    rm -rf "$DIR/src" "$DIR/src.new"
    mkdir -p "$DIR/src.new"
    tar -xf "$TARBALL" --no-same-owner --strip-components=1 -C "$DIR/src.new" || die "libvirt $BASE could not be unpacked"
    local SRC=$DIR/src.new
    git -c init.defaultBranch=series init -q "$SRC"
    # gc would go on in the background after the script has ended
    tree_git config gc.auto 0
    # The last ones are in the tarball but not in upstream's git, so libvirt's linter must not see them.
    printf '%s\n' '*~' '*.orig' '*.rej' '*.swp' '__pycache__/' '/tags' '/build/' \
        /AUTHORS.rst /libvirt.spec /src/keycodemapdb/ /subprojects/keycodemapdb/ >>"$SRC/.git/info/exclude"
    tree_git --work-tree="$SRC" add -A "$SRC"
    tree_git update-ref refs/tags/upstream \
        "$(tree_git commit-tree -m "libvirt $BASE" "$(tree_git write-tree)")"
    tree_git update-ref refs/heads/series refs/tags/upstream
    tree_git update-ref refs/pcitopo/laid refs/tags/upstream
    mv "$DIR/src.new" "$DIR/src"
}

# laid_commit: make the commits of overlay and series, print the last; no file in the tree changes
laid_commit() (
    export GIT_INDEX_FILE=$DIR/lay.index
    rm -f "$GIT_INDEX_FILE"
    tree_git read-tree upstream
    local twice commit name out top dir

    twice=$(LC_ALL=C comm -12 <(overlay_files | cut -f1) <(tree_git ls-tree -r --name-only upstream | LC_ALL=C sort) | paste -sd' ')
    [ -z "$twice" ] || die "the overlay may only add files, but libvirt $BASE already has: $twice"
    overlay_files | cut -f2 | sort -u | while read -r top; do
        overlay_files | awk -F'\t' -v top="$top" '$2 == top { printf "%s%c", $1, 0 }' |
            (cd "$top" && tree_git --work-tree="$top" --literal-pathspecs add -f --pathspec-from-file=- --pathspec-file-nul)
    done
    commit=$(tree_git commit-tree -p upstream -m "overlay: files of the series" "$(tree_git write-tree)")

    while read -r name; do
        [ -f "$PATCHES/$name" ] || die "patches/$BASE/series lists $name, which is not there"
        out=$(tree_git apply --cached --verbose --whitespace=nowarn "$PATCHES/$name" 2>&1) ||
            die "patches/$BASE/$name does not apply to libvirt $BASE:
$(grep -v '^Checking patch' <<<"$out" | sed 's/^/  /')"
        # git never applies with fuzz, but does so at another line than the patch says
        if grep -q 'offset' <<<"$out"; then
            die "patches/$BASE/$name applies only with an offset:
$(grep -B1 'offset' <<<"$out" | sed 's/^/  /')
  apply it by hand in the tree, commit, and run scripts/refresh"
        fi
        commit=$({ sed '/^---$/,$d; /^diff --git /,$d' "$PATCHES/$name"; echo "Patch-Name: $name"; } |
            tree_git commit-tree -p "$commit" "$(tree_git write-tree)")
    done < <(series)
    rm -f "$GIT_INDEX_FILE"
    printf '%s\n' "$commit"
)

# patch_text COMMIT FILE…: the patch that a commit is, as it stands in patches/
patch_text() {
    local commit=$1 message
    shift
    message=$(tree_git log -1 --format=%B "$commit" | sed '/^Patch-Name: /d')
    printf '%s\n' "$message"
    grep -q '^Forwarded: ' <<<"$message" || printf '\nForwarded: no\n'
    printf '%s\n\n' ---
    # all that a user's git settings could change is given; lines with hashes are left out
    tree_git --literal-pathspecs diff-tree -p -r --no-commit-id --no-renames --no-ext-diff --no-textconv --no-color \
        -U3 --inter-hunk-context=0 --diff-algorithm=myers --indent-heuristic --src-prefix=a/ --dst-prefix=b/ \
        "$commit^" "$commit" -- "$@" | sed '/^index [0-9a-f]*\.\./d'
}

# worktree_tree: the tree object of the files as they are now; $DIR/work.index is its index
worktree_tree() {
    cp -p "$SRC/.git/index" "$DIR/work.index" 2>/dev/null || rm -f "$DIR/work.index"
    (cd "$SRC" && GIT_INDEX_FILE=$DIR/work.index tree_git --work-tree="$SRC" add -A . &&
     GIT_INDEX_FILE=$DIR/work.index tree_git write-tree)
}

# changed A B: names of the files that differ between two trees
changed() { tree_git diff-tree -r --name-only --no-renames "$1" "$2" | LC_ALL=C sort; }

# lay_tree TARBALL: make the tree what overlay and series say; TARBALL may be empty
lay_tree() {
    local key new now
    stage_inputs
    undo_laying
    key=$(tree_key)
    if [ -d "$SRC/.git" ] && [ "$(cat "$DIR/tree.key" 2>/dev/null)" = "$key" ]; then return 0; fi
    if [ ! -d "$SRC/.git" ] || [ "$(cat "$DIR/tarball.key" 2>/dev/null)" != "$UNPACKED $SHA256" ]; then
        [ ! -d "$SRC/.git" ] || keep_work refs/pcitopo/laid
        get_tarball "$1"
        unpack
        printf '%s\n' "$UNPACKED $SHA256" >"$DIR/tarball.key"
    fi
    new=upstream
    if [ "$KIND" != pristine ]; then
        say "laying the overlay and $(series | wc -l) patches onto libvirt $BASE"
        new=$(laid_commit)
    fi
    keep_work "$new"
    now=$(worktree_tree)
    mv "$DIR/work.index" "$SRC/.git/index"
    printf '%s\n' "$now $new" >"$DIR/laying"
    (cd "$SRC" && tree_git --work-tree="$SRC" read-tree -m -u "$now" "$new")
    # not before: a tree that was kept still has its old overlay
    [ "$KIND" = pristine ] || tree_git update-ref refs/tags/overlay "$(tree_git rev-list --first-parent "upstream..$new" | tail -n 1)"
    tree_git update-ref --create-reflog -m 'scripts/build: series laid' refs/heads/series "$new"
    tree_git update-ref refs/pcitopo/laid "$new"
    patches_key >"$DIR/patches.key"
    rm "$DIR/laying"
    printf '%s\n' "$key" >"$DIR/tree.key"
}

# undo_laying: after a run that was cut off while it wrote the tree, the files that it wrote become what they were:
# one that is half written must not pass for somebody's work
undo_laying() {
    local old new file
    if [ ! -d "$SRC/.git" ] || [ ! -f "$DIR/laying" ]; then return 0; fi
    read -r old new <"$DIR/laying"
    say "the last run was cut off while it laid the tree"
    find "$SRC/.git" -name '*.lock' -delete
    changed "$old" "$new" | while IFS= read -r file; do rm -f "$SRC/$file"; done
    changed "$old" "$new" | LC_ALL=C comm -12 - <(tree_git ls-tree -r --name-only "$old" | LC_ALL=C sort) |
        (cd "$SRC" && tree_git --work-tree="$SRC" --literal-pathspecs checkout "$old" --pathspec-from-file=-)
    rm "$DIR/laying"
}

# keep_work NEW: stop if somebody's work in the tree would be lost when NEW replaces it
keep_work() {
    local now lost
    [ "$(tree_git symbolic-ref -q HEAD)" = refs/heads/series ] ||
        die "$SRC is not on its branch \"series\" (a rebase that has not ended?)"
    now=$(worktree_tree)
    lost=$(comm -12 <(changed refs/pcitopo/laid "$now") <(changed "$now" "$1") | paste -sd' ')
    [ -z "$lost" ] || die "$SRC has changes that would be lost, in: $lost
  keep them:  scripts/refresh --base $BASE [--into PATCH]   (or git stash -u in that directory)
  drop them:  git -C $SRC reset --hard refs/pcitopo/laid; git -C $SRC clean -fd"
}

# -- configure and compile ---------------------------------------------------------------------

configure() {
    local options key
    read -ra options <<<"$(ini common options) $(ini "$BASE" options)"
    key=$(printf '%s\n' "$OBJ" "${options[@]}" | sha256sum)
    if [ -f "$OBJ/build.ninja" ] && [ "$(cat "$DIR/configure.key" 2>/dev/null)" = "$key" ]; then return 0; fi
    say "configuring libvirt $BASE${KIND:+ ($KIND)}"
    rm -rf "$OBJ"
    (cd "$SRC" && meson setup "$OBJ" "${options[@]}") >"$DIR/configure.log" 2>&1 </dev/null || {
        tail -n 20 "$DIR/configure.log" >&2
        die "libvirt $BASE does not configure (log: $DIR/configure.log)"
    }
    printf '%s\n' "$key" >"$DIR/configure.key"
}

# progress: of the lines of ninja show each tenth of the way
progress() {
    local line tenth last=0
    while IFS= read -r line; do
        [[ $line =~ ^\[([0-9]+)/([0-9]+)\] ]] || continue
        tenth=$((BASH_REMATCH[1] * 10 / BASH_REMATCH[2]))
        [ "$tenth" -gt "$last" ] || continue
        last=$tenth
        # a rebuild of a few files needs no progress
        [ "${BASH_REMATCH[2]}" -lt 20 ] || say "  compiled $((tenth * 10)) %"
    done
}

# prefix_targets: what is compiled of a prefix: the driver, virsh, and the tests of what the series changes
prefix_targets() {
    # a patch may have added a test
    ninja -C "$OBJ" build.ninja >"$DIR/configure.log" 2>&1 </dev/null || true
    meson introspect --tests --targets "$OBJ" | python3 -c '
import json, os, re, sys
top, known = sys.argv[1], json.load(sys.stdin)
made = {target["id"]: [os.path.relpath(name, top) for name in target["filename"]] for target in known["targets"]}
wanted = {name for target in known["targets"] if target["name"] in ("virt", "virt_driver_qemu", "virsh") for name in made[target["id"]]}
programs = {name for names in made.values() for name in names}
for test in known["tests"]:
    if re.match("qemu|domain|genericxml2xml|virschema|virpci", test["name"]):
        wanted |= {name for identity in test["depends"] for name in made.get(identity, [])}
        wanted |= {os.path.relpath(test["cmd"][0], top)} & programs
print("\n".join(sorted(wanted)))' "$OBJ"
}

# pristine_targets: what is compiled of a pristine release: all but what nobody runs there, its tests, its examples and the
# daemons beside QEMU's, each of which would compile the dispatch of all calls for itself
pristine_targets() {
    meson introspect --targets "$OBJ" | python3 -c '
import json, os, re, sys
names = [os.path.relpath(name, sys.argv[1]) for target in json.load(sys.stdin) if target["build_by_default"] for name in target["filename"]]
unused = re.compile(r"tests/|examples/|src/(libvirt|virt(nodedev|nwfilter|proxy|storage))d$")
print("\n".join(name for name in names if not unused.match(name)))' "$OBJ"
}

# which of ninja's targets to make; all without any
TARGETS=()
compile() {
    local log=$DIR/compile.log
    # Both trees compile mostly the same files; without the directory in the hash they share results.
    export CCACHE_NOHASHDIR=1
    [ -n "${CCACHE_DIR:-}" ] || [ -w "${HOME:-/nonexistent}" ] || export CCACHE_DIR=$BUILD/ccache
    NINJA_STATUS='[%f/%t] ' ninja -C "$OBJ" "${TARGETS[@]}" 2>&1 </dev/null | tee "$log" | progress || {
        { grep -A25 '^FAILED: ' "$log" || tail -n 25 "$log"; } | head -n 60 >&2
        die "libvirt $BASE${KIND:+ ($KIND)} does not compile (log: $log)"
    }
}
