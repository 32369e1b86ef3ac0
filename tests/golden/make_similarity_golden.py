"""Writes similarity.json beside itself: what tests/test_golden_similarity.cpp expects of nn/similarity.h and
nn/correlation.h. Needs numpy, and torch for relative_ae.py. Everything is computed from the definitions in float64,
with N x N matrices where Koine has sums over samples. Run it again only when the measures or the formula change.

    python3 tests/golden/make_similarity_golden.py
"""

import json
import pathlib

import numpy as np

from relative_ae import formula

HERE = pathlib.Path(__file__).parent
K = 5  # neighbours
N_ANCHORS = 10  # the first samples
# Space x is its latents times a map, plus noise and a mean; y has a map and noise of its own, and the latents of x
# unless it is "unrelated". A "turned" y is x, reflected twice, plus noise. "flat" spaces have a constant column.
CASES = {
    "turned": {"n": 200, "d": 16, "e": 16, "latents": 16, "noise": 0.25, "mean": 0.5, "turned": True},
    "wider": {"n": 150, "d": 12, "e": 20, "latents": 6, "noise": 0.25, "mean": 0},
    "few_samples": {"n": 12, "d": 20, "e": 30, "latents": 8, "noise": 0.25, "mean": 0},
    "unrelated": {"n": 60, "d": 24, "e": 24, "latents": 24, "noise": 0.25, "mean": 0, "unrelated": True},
    "common_mean": {"n": 200, "d": 16, "e": 12, "latents": 8, "noise": 0.25, "mean": 10000},
    "rank_deficient": {"n": 100, "d": 10, "e": 8, "latents": 3, "noise": 0, "mean": 0.5, "flat": True},
}


# ---- the spaces ------------------------------------------------------------------------------------------------------


def matrix(stream, rows, cols):
    """Numbers in [-1, 1)"""
    return 2 * formula(stream, rows * cols).reshape(rows, cols) - 1


def space(case, cols, latents, stream):
    z, n = case["latents"], case["n"]
    x = latents @ matrix(stream, z, cols) / np.sqrt(z) + case["noise"] * matrix(stream + 1, n, cols)
    x[:, 0] *= not case.get("flat")
    return x + case["mean"]


def spaces(case, stream):
    """x[N, D] and y[N, E], numbers of float32, so that both precisions of Koine have the same ones"""
    n, d, e, z = case["n"], case["d"], case["e"], case["latents"]
    latents = matrix(stream, n, z)
    x = space(case, d, latents, stream + 1)
    if case.get("turned"):
        y = x
        for h in (matrix(stream + 3, 1, d), matrix(stream + 4, 1, d)):
            y = y - y @ h.T * h * 2 / np.sum(h**2)
        y = y + case["noise"] * matrix(stream + 5, n, e)
    else:
        y = space(case, e, matrix(stream + 5, n, z) if case.get("unrelated") else latents, stream + 3)
    return x.astype(np.float32).astype(np.float64), y.astype(np.float32).astype(np.float64)


# ---- the measures ----------------------------------------------------------------------------------------------------


def cosines(x, y):
    return x @ y.T / np.linalg.norm(x, axis=1)[:, None] / np.linalg.norm(y, axis=1)


def cka(x, y):
    """Kornblith et al. 2019, sec. 3: Gram matrices and the centring matrix"""
    n = len(x)
    h = np.eye(n) - np.ones((n, n)) / n
    k, l = h @ (x @ x.T) @ h, h @ (y @ y.T) @ h
    return np.sum(k * l) / np.linalg.norm(k) / np.linalg.norm(l)


def hsic_1(x, y):
    """Nguyen et al. 2021, eq. 3"""
    n, one = len(x), np.ones(len(x))
    k, l = x @ x.T, y @ y.T
    np.fill_diagonal(k, 0)
    np.fill_diagonal(l, 0)
    middle = (one @ k @ one) * (one @ l @ one) / ((n - 1) * (n - 2))
    return (np.trace(k @ l) + middle - 2 / (n - 2) * (one @ k @ l @ one)) / (n * (n - 3))


def cka_debiased(x, y):
    return hsic_1(x, y) / np.sqrt(hsic_1(x, x) * hsic_1(y, y))


def kept_directions(x, kept):
    u, s, _ = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    share = np.cumsum(s**2) / np.sum(s**2)
    m = int(np.searchsorted(share, kept)) + 1
    assert np.abs(share - kept).min() > 1e-6  # not a question of rounding
    return u[:, :m] * s[:m]


def svcca(x, y, kept):
    q_x, _ = np.linalg.qr(kept_directions(x, kept))
    q_y, _ = np.linalg.qr(kept_directions(y, kept))
    return np.linalg.svd(q_x.T @ q_y, compute_uv=False).mean()


def procrustes(x, y):
    """|x - y Q|^2 with the Q that is best; the smaller space has columns of zeros added"""
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    width = max(x.shape[1], y.shape[1])
    x, y = (np.pad(a / np.linalg.norm(a), ((0, 0), (0, width - a.shape[1]))) for a in (x, y))
    u, _, vt = np.linalg.svd(y.T @ x)
    return np.linalg.norm(x - y @ u @ vt) ** 2


def neighbours(x):
    lists = []
    for i, cosine in enumerate(cosines(x, x)):
        order = sorted((j for j in range(len(x)) if j != i), key=lambda j: (-cosine[j], j))
        assert cosine[order[K - 1]] - cosine[order[K]] > 1e-6  # float32 must not see it the other way round
        lists.append(set(order[:K]))
    return lists


def jaccard(x, y):
    return np.mean([len(a & b) / len(a | b) for a, b in zip(neighbours(x), neighbours(y))])


def one_case(case, stream):
    x, y = spaces(case, stream)
    # Large means would spoil the Gram matrices. H does not see means: where they are small, this is checked.
    x0, y0 = x - x.mean(axis=0), y - y.mean(axis=0)
    if case["mean"] < 1:
        assert abs(cka_debiased(x, y) - cka_debiased(x0, y0)) < 1e-9
    values = {
        "case": case | {"stream": stream},
        "relative_cosine": np.mean(np.diag(cosines(cosines(x0, x0[:N_ANCHORS]), cosines(y0, y0[:N_ANCHORS])))),
        "linear_cka": cka(x0, y0),
        "linear_cka_debiased": cka_debiased(x0, y0),
        "svcca": svcca(x, y, 0.99),
        "svcca_half": svcca(x, y, 0.5),
        "procrustes_distance": procrustes(x, y),
        "neighbourhood_jaccard": jaccard(x0, y0),
    }
    if case["d"] == case["e"]:
        values["mean_cosine"] = np.mean(np.diag(cosines(x, y)))
    return values


# ---- lists of numbers ------------------------------------------------------------------------------------------------


def ranks(values):
    """1 is the smallest; equal ones share the mean of their ranks"""
    return np.array([(values < v).sum() + ((values == v).sum() + 1) / 2 for v in values])


def correlation(a, b):
    a, b = a - a.mean(), b - b.mean()
    return a @ b / np.sqrt(a @ a * (b @ b))


def lists():
    """Few different numbers, so that there are ties"""
    a = np.floor(8 * formula(901, 40))
    return a, a**2 + np.floor(30 * formula(902, 40))


values = {"from": f"make_similarity_golden.py, numpy {np.__version__}", "k": K, "n_anchors": N_ANCHORS}
values["cases"] = {name: one_case(case, 100 * (i + 1)) for i, (name, case) in enumerate(CASES.items())}
a, b = lists()
values["correlation"] = {"n": len(a), "pearson": correlation(a, b), "spearman": correlation(ranks(a), ranks(b))}
(HERE / "similarity.json").write_text(json.dumps(values, indent=1) + "\n")
