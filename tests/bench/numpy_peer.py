"""Products, relative codes and retrieval in numpy, float32, on whatever BLAS it has. run.py talks to it."""

import functools

import numpy as np
from peer_server import Workload, serve
from spaces import ANCHORS, N_NEAREST, SPACE, ROWS_OF_BLOCK, difference_of_codes, formula, space, spaces


def product(n):
    a, b = (formula(stream, n * n).astype(np.float32).reshape(n, n) for stream in (6000, 6001))
    c = np.zeros_like(a)
    return lambda: np.matmul(a, b, out=c)


def entries_of_product(n):
    c = product(n)()
    return {f"entry-{i}": float(c[i, n - 1 - i]) for i in range(0, n, n // 8)}


def unit_rows(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def projection():
    x, anchors = space(*SPACE), space(*ANCHORS)
    return lambda: unit_rows(x) @ unit_rows(anchors).T


def retrieval(dtype):
    a, b = (x.astype(dtype) for x in spaces())

    def nearest(found):
        return np.argpartition(found, -N_NEAREST, axis=1)[:, -N_NEAREST:]

    def run():
        x, y = unit_rows(a), unit_rows(b)
        ranks, shared = [], []
        buffer = np.empty((ROWS_OF_BLOCK, len(y)), dtype)
        for i in range(0, len(x), ROWS_OF_BLOCK):
            rows = slice(i, i + ROWS_OF_BLOCK)
            found = np.matmul(x[rows], y.T, out=buffer)
            ranks.append(1 + (found > found.diagonal(i)[:, None]).sum(1))
            near_a, near_b = nearest(found), nearest(np.matmul(y[rows], y.T, out=buffer))
            shared.append((near_a[:, :, None] == near_b[:, None, :]).sum((1, 2)))
        ranks, shared = np.concatenate(ranks), np.concatenate(shared)
        return {
            "jaccard": (shared / (2 * N_NEAREST - shared)).mean(),
            "mrr": (1 / ranks).mean(),
            "cosine": (x * y).sum(1, dtype=np.float64).mean(),
            "top1": (ranks == 1).mean(),
            "top_k": (ranks <= N_NEAREST).mean(),
        }

    return run


WORKLOADS = {
    "projection/numpy": Workload(projection, lambda: difference_of_codes(projection()())),
    # Of two rows that are nearly as near, float32 may take either: what is compared is computed in float64.
    "retrieval/numpy": Workload(lambda: retrieval(np.float32), lambda: retrieval(np.float64)(), n_warm_up=1),
}
for n in (256, 512, 1024, 2048):
    WORKLOADS[f"gemm-{n}/numpy"] = Workload(
        functools.partial(product, n), functools.partial(entries_of_product, n), n_warm_up=1)  # fmt: skip

if __name__ == "__main__":
    serve({"numpy": np.__version__}, WORKLOADS)
