"""How long koine_bench and gensim take to read the same word vectors, in turn, each load in a process of its own.

    python3 tests/bench/word_vectors_peer.py make FOLDER            2 GB: big.bin (1 M x 300), big.vec (300 k x 300)
    python3 tests/bench/word_vectors_peer.py compare FOLDER BENCH [PAIRS]     BENCH: the program koine_bench

The files are in memory already when they are read (page cache): what is compared is the reading, not the disk. gensim
has no filter, so a filtered load stands beside gensim's full one. Needs numpy, and gensim to compare.
"""

import os
import pathlib
import statistics
import subprocess
import sys
import time

N_BIN, N_VEC, N_DIM, N_FIRST = 1_000_000, 300_000, 300, 20_000


def make(folder):
    import numpy as np

    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    with open(folder / "big.bin", "wb") as out:
        out.write(f"{N_BIN} {N_DIM}\n".encode())
        for begin in range(0, N_BIN, 10_000):
            vectors = rng.standard_normal((10_000, N_DIM), dtype=np.float32) * np.float32(0.2)
            for i, vector in enumerate(vectors):
                out.write(b"word%d " % (begin + i) + vector.tobytes() + b"\n")
    with open(folder / "big.vec", "w") as out:
        out.write(f"{N_VEC} {N_DIM}\n")
        form = " ".join(["%.4f"] * N_DIM)
        for i in range(N_VEC):
            out.write(f"word{i} {form % tuple(rng.standard_normal(N_DIM) * 0.2)}\n")


def peak_mb():
    status = pathlib.Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def load(path, limit):
    """One load by gensim in this process; prints milliseconds and the memory that was added, in MB."""
    from gensim.models import KeyedVectors

    before = peak_mb()
    begin = time.perf_counter()
    KeyedVectors.load_word2vec_format(path, binary=path.endswith(".bin"), limit=limit)
    print(1e3 * (time.perf_counter() - begin), peak_mb() - before)


def compare(folder, bench, n_pairs):
    # What gensim is asked for each of our workloads.
    limits = {"": None, "-some": None, "-first": N_FIRST}
    ours, gensim = {}, {}
    for pair in range(n_pairs):
        out = subprocess.run([bench, "vectors"], env={**os.environ, "KOINE_BENCH_VECTORS": str(folder)}, check=True,
                             capture_output=True, text=True).stdout
        for line in out.splitlines():
            if not line.startswith("#"):
                name, quantity, value = line.split()
                ours.setdefault((name, quantity), []).append(float(value))
        for kind in ("bin", "vec"):
            for limit in (None, N_FIRST):
                out = subprocess.run([sys.executable, __file__, "load", folder / f"big.{kind}", str(limit or 0)],
                                     check=True, capture_output=True, text=True).stdout
                gensim.setdefault((kind, limit), []).append([float(x) for x in out.split()])
        print(f"pair {pair + 1} of {n_pairs}", file=sys.stderr)
    print(f"medians of {n_pairs} runs in turn")
    print(f"{'workload':18} {'words':>8} {'ours, ms':>9} {'gensim, ms':>11} {'ratio':>6} {'ours, MB':>9} "
          f"{'gensim, MB':>11} {'matrix, MB':>11}")
    for kind in ("bin", "vec"):
        for suffix, limit in limits.items():
            name = f"vectors-{kind}{suffix}"
            mine = {q: statistics.median(v) for (n, q), v in ours.items() if n == name}
            ms, mb = (statistics.median(v) for v in zip(*gensim[kind, limit]))
            print(f"{name:18} {mine['words']:8.0f} {mine['ours']:9.1f} {ms:11.1f} {ms / mine['ours']:6.1f} "
                  f"{mine['peak_mb']:9.1f} {mb:11.1f} {mine['matrix_mb']:11.1f}")


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if len(arguments) == 2 and arguments[0] == "make":
        make(pathlib.Path(arguments[1]))
    elif len(arguments) in (3, 4) and arguments[0] == "compare":
        compare(pathlib.Path(arguments[1]), arguments[2], int(arguments[3]) if len(arguments) == 4 else 3)
    elif len(arguments) == 3 and arguments[0] == "load":
        load(arguments[1], int(arguments[2]) or None)
    else:
        sys.exit(__doc__)
