"""Files of word vectors that are large, and gensim, which reads them.

    python3 tests/bench/word_vectors_peer.py make FOLDER     0.4 GB: big.bin (200 k x 300), big.vec (50 k x 300)
    python3 tests/bench/word_vectors_peer.py                 run.py talks to it

The files are in memory already when they are read (page cache): what is compared is the reading, not the disk. gensim
has no filter, so a filtered load stands beside gensim's full one. Needs numpy, and gensim to read.
"""

import functools
import os
import pathlib
import sys
import zlib

import numpy as np

N_BIN, N_VEC, N_DIM, N_FIRST = 200_000, 50_000, 300, 20_000


def make(folder):
    """What is made is there whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    if not (folder / "big.bin").exists():
        with open(folder / "big.bin.part", "wb") as out:
            out.write(f"{N_BIN} {N_DIM}\n".encode())
            for begin in range(0, N_BIN, 10_000):
                vectors = rng.standard_normal((10_000, N_DIM), dtype=np.float32) * np.float32(0.2)
                for i, vector in enumerate(vectors):
                    out.write(b"word%d " % (begin + i) + vector.tobytes() + b"\n")
        (folder / "big.bin.part").rename(folder / "big.bin")
    if not (folder / "big.vec").exists():
        with open(folder / "big.vec.part", "w") as out:
            out.write(f"{N_VEC} {N_DIM}\n")
            form = " ".join(["%.4f"] * N_DIM)
            for i in range(N_VEC):
                out.write(f"word{i} {form % tuple(rng.standard_normal(N_DIM) * 0.2)}\n")
        (folder / "big.vec.part").rename(folder / "big.vec")


def load(path, limit):
    from gensim.models import KeyedVectors

    return KeyedVectors.load_word2vec_format(str(path), binary=path.suffix == ".bin", limit=limit)


def summary(vectors, is_kept):
    rows = [i for i, word in enumerate(vectors.index_to_key) if is_kept(word)]
    words = "".join(vectors.index_to_key[i] + "\n" for i in rows).encode()
    numbers = np.ascontiguousarray(vectors.vectors[rows], np.float32)
    return {"words": len(rows), "crc32_of_words": zlib.crc32(words), "crc32_of_numbers": zlib.crc32(numbers.tobytes())}


def workloads(folder):
    from peer_server import Workload

    found = {}
    for kind in ("bin", "vec"):
        path = folder / f"big.{kind}"
        for suffix, limit, is_kept in (
            ("", None, lambda word: True),
            ("-some", None, lambda word: word.endswith(("00", "50"))),
            ("-first", N_FIRST, lambda word: True),
        ):
            step = functools.partial(load, path, limit)
            found[f"vectors-{kind}{suffix}/gensim"] = Workload(
                lambda step=step: step, lambda step=step, is_kept=is_kept: summary(step(), is_kept), n_warm_up=0
            )  # what is compared has warmed up
    return found


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "make":
        make(pathlib.Path(sys.argv[2]))
    elif len(sys.argv) == 1:
        import gensim
        from peer_server import serve

        serve({"gensim": gensim.__version__}, workloads(pathlib.Path(os.environ["KOINE_BENCH"])))
    else:
        sys.exit(__doc__)
