#!/bin/sh
# Koine's times, beside PyTorch's where there is one. `make bench` calls this; the environment says what is measured:
#   BENCH      the program koine_bench
#   PYTHON     an interpreter that may have torch, transformers and numpy (python3)
#   PAIRS      how often each workload runs, ours and PyTorch's in turn, each in a process of its own (7)
#   DEVICE     cpu or cuda, for both (cpu)
#   WORKLOADS  out of: ops gemm mlp ae convnet cnn encoder encoder-step (all)
# Only ratios of one run mean something: times depend on the machine and on what else it does.
set -eu

bench=${BENCH:?is the path of koine_bench; make bench sets it}
python=${PYTHON:-python3}
pairs=${PAIRS:-7}
export DEVICE="${DEVICE:-cpu}"
workloads=${WORKLOADS:-ops gemm mlp ae convnet cnn encoder encoder-step}
peer=$(dirname "$0")/peer.py

# Both programs on the same threads, which may spin.
unset OMP_WAIT_POLICY
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-$(getconf _NPROCESSORS_ONLN)}" PYTHONDONTWRITEBYTECODE=1

results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT

if "$python" -c 'import numpy, torch, transformers' 2>"$results/import"; then
    has_peer=yes
    version=$("$python" -c 'import torch; print(torch.__version__)')
else
    has_peer=no
    echo "No peer: $python cannot import torch, transformers and numpy ($(tail -n 1 "$results/import"))." >&2
    echo "Ours alone; PYTHON=... names another interpreter." >&2
fi

# The two programs must compute the same before their times are compared: the losses of the first steps, from equal
# weights and images.
if [ $has_peer = yes ]; then
    "$bench" losses | grep -v '^#' >"$results/ours"
    "$python" "$peer" losses >"$results/peer"
    paste -d ' ' "$results/ours" "$results/peer" | awk '
        { difference = $3 / $6 - 1
          if ($1 != $4 || $2 != $5 || !(difference < 1e-4 && difference > -1e-4)) {
              print "The peer computes something else: " $0; n++
          }
        }
        END { if (n || NR == 0) exit 1; print NR " losses agree with PyTorch '"$version"' within 1e-4." }' >&2
fi

for workload in $workloads; do
    if [ "$workload" = ops ]; then
        "$bench" ops
        continue
    fi
    i=0
    while [ $i -lt "$pairs" ]; do
        i=$((i + 1))
        [ ! -t 2 ] || printf '\r%s: %d of %d ' "$workload" $i "$pairs" >&2
        "$bench" "$workload" >>"$results/times"
        [ $has_peer = no ] || "$python" "$peer" "$workload" >>"$results/times"
    done
    [ ! -t 2 ] || printf '\r                    \r' >&2
done
[ -s "$results/times" ] || exit 0

grep -m 1 '^#' "$results/times"
echo "# medians of $pairs runs in turn; ratio: ours to the better of PyTorch's"
awk '
    /^#/ { next }
    function median(key,    n, i, j, t) {
        n = count[key]
        if (!n) return -1
        for (i = 2; i <= n; i++)
            for (j = i; j > 1 && value[key, j] < value[key, j - 1]; j--) {
                t = value[key, j]; value[key, j] = value[key, j - 1]; value[key, j - 1] = t
            }
        return n % 2 ? value[key, (n + 1) / 2] : (value[key, n / 2] + value[key, n / 2 + 1]) / 2
    }
    function cell(x, digits) { return x < 0 ? "-" : sprintf("%." digits "f", x) }
    { key = $1 " " $2; value[key, ++count[key]] = $3; if (!seen[$1]++) name[++n_names] = $1 }
    END {
        form = "%-12s %10s %12s %18s %6s %11s\n"
        printf form, "workload", "ours, ms", "PyTorch, ms", "channels_last, ms", "ratio", "ours, GF/s"
        for (w = 1; w <= n_names; w++) {
            ours = median(name[w] " ours"); plain = median(name[w] " pytorch"); last = median(name[w] " channels_last")
            best = last >= 0 && last < plain ? last : plain
            printf form, name[w], cell(ours, 3), cell(plain, 3), cell(last, 3), \
                cell(best < 0 ? -1 : ours / best, 2), cell(1000 * median(name[w] " gflop") / ours, 0)
        }
    }' "$results/times"
