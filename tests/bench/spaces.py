"""The spaces of spaces.cpp: the same formula, in the same order. Needs numpy."""

import os
import pathlib

import numpy as np

N_ROWS, N_FEATURES, N_ANCHORS, N_NEAREST = 20_000, 300, 1000, 10
SPACE, ANCHORS = (N_ROWS, 5000), (N_ANCHORS, 5002)  # rows and stream
ROWS_OF_BLOCK = 500


def formula(stream, n):
    """Numbers 0 to n - 1 of a stream, float64: as in ../golden/relative_ae.py, which needs torch."""
    h = np.uint32(stream * 0x9E3779B9 & 0xFFFFFFFF) + np.arange(n, dtype=np.uint32)
    h = (h ^ (h >> 16)) * np.uint32(0x85EBCA6B)
    h = (h ^ (h >> 13)) * np.uint32(0xC2B2AE35)
    return ((h ^ (h >> 16)) >> 8) * 2.0**-24


def space(n, stream):
    return (formula(stream, n * N_FEATURES) - 0.5).astype(np.float32).reshape(n, N_FEATURES)


def spaces():
    a, b = space(N_ROWS, 5000), space(N_ROWS, 5001)
    return a, b + a / np.float32(4)


def difference_of_codes(codes):
    """The largest difference from the codes that koine_bench has written."""
    ours = np.fromfile(pathlib.Path(os.environ["KOINE_BENCH"]) / "projection.f32", np.float32)
    return {"max_difference": float(np.abs(codes - ours.reshape(codes.shape)).max())}
