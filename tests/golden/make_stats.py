#!/usr/bin/env python3
"""Make the golden statistics: what scikit-learn's StandardScaler and PCA say, in float64, about generated float32 rows.

The rows are a function of the case (no input files): tests/stats/stats_cases.h mirrors CASES and rows() bit for bit, and
each file carries a checksum of the bits it was computed from.  Layout, versions and how to run: stats_README.md.
"""
import argparse
import pathlib
from collections import namedtuple

import numpy as np
import sklearn
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

SHOWN = 8  # transformed rows kept of each case
SIGN_TIE = 1e-6
Case = namedtuple("Case", "name seed n d latent noise mean standardize k ratio special")

# fmt: off
CASES = [
    Case("scaler",        1,  1000,  12,  3, 0.50,  2.0, 1,  0, 0.00, ""),
    Case("pca",           2,   500,  20,  8, 0.05,  2.0, 0,  5, 0.00, ""),
    Case("both",          3,   500,  20,  8, 0.05,  2.0, 1,  5, 0.00, ""),
    Case("wide",          4,    20,  60,  9, 0.02,  2.0, 1,  8, 0.00, ""),
    Case("wide_raw",      5,     8, 300,  5, 0.02,  5.0, 0,  4, 0.00, ""),
    Case("two_rows",      6,     2,   7,  2, 0.10,  1.0, 1,  1, 0.00, ""),
    Case("full",          7,    15,  40,  6, 0.30,  1.0, 1, 15, 0.00, ""),
    Case("ratio_80",      8,   300,  30, 12, 0.05,  1.0, 1,  0, 0.80, ""),
    Case("ratio_95",      9,   300,  30, 12, 0.05,  1.0, 0,  0, 0.95, ""),
    Case("ratio_wide",   10,    25,  90, 12, 0.05,  1.0, 1,  0, 0.80, ""),
    Case("constant",     11,   400,  20,  6, 0.05,  2.0, 1,  4, 0.00, "constant"),
    Case("rank_3",       12,   200,  50,  3, 0.00,  0.0, 0, 10, 0.00, ""),
    Case("mean_1e4",     13,  3000,  20,  6, 0.20,  1e4, 1,  5, 0.00, ""),
    Case("mean_1e6",     14,  3000,  20,  6, 0.20,  1e6, 1,  5, 0.00, ""),
    Case("mean_1e6_raw", 15,  3000,  20,  6, 0.20,  1e6, 0,  5, 0.00, ""),
    Case("equal",        16,    64,   6,  0, 0.00,  3.0, 0,  3, 0.00, "equal"),
    Case("far_block",    17, 10000,  40,  8, 0.05,  1.0, 0,  5, 0.00, "far_block"),
    Case("blocks",       18, 10000,  40, 12, 0.05,  2.0, 1, 10, 0.00, ""),
]
# fmt: on


def uniform(seed, stream, i, j):
    """24 bits in [0, 1) at (stream, i, j): splitmix64 of a counter."""
    with np.errstate(over="ignore"):
        counter = (np.uint64(stream) << np.uint64(40)) + (np.uint64(1) * i << np.uint64(16)) + j
        z = np.uint64(seed) * np.uint64(0xD1342543DE82EF95) + (counter + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(40)).astype(np.float64) / 16777216.0


def bell(seed, stream, i, j):
    """Nearly normal: four uniforms, mean 0, deviation 0.577; exact in float64."""
    return sum(uniform(seed, stream + t, i, j) for t in range(4)) - 2.0


def rows(case):
    i = np.arange(case.n, dtype=np.uint64)[:, None]
    j = np.arange(case.d, dtype=np.uint64)[None, :]
    x = case.mean * (1.0 + 0.125 * (j % np.uint64(5)).astype(np.float64)) + np.zeros((case.n, 1))
    for r in range(case.latent):
        r_ = np.uint64(r)
        x = x + (1.0 / (r + 1)) * bell(case.seed, 0, i, r_) * (2.0 * uniform(case.seed, 8, r_, j) - 1.0)
    x = x + case.noise * bell(case.seed, 16, i, j)
    if case.special == "constant":
        x[:, 3] = 0.1
        x[:, 11] = 1234567.875
    elif case.special == "far_block":
        x[:4096] += 10000.0
    elif case.special == "equal":  # two orthogonal patterns of the same strength, one of half
        patterns = np.array([[1, 1, 1, 1, 0, 0], [1, -1, 1, -1, 0, 0], [0, 0, 0, 0, 0.5, 0.5]])
        for r in range(3):
            sign = 1.0 - 2.0 * ((i >> np.uint64(r)) & np.uint64(1)).astype(np.float64)
            x = x + sign * patterns[r]
    return x.astype(np.float32)


def checksum(x):
    bits = x.view(np.uint32).ravel().astype(np.uint64)
    weights = np.arange(bits.size, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    with np.errstate(over="ignore"):
        return float(int(np.sum(bits * weights, dtype=np.uint64)) & 0xFFFFFFFF)


def signs(components):
    """+1 or -1 by row: the entry of largest magnitude is positive; among equals, the first."""
    size = np.abs(components)
    first = np.argmax(size >= size.max(axis=1, keepdims=True) * (1.0 - SIGN_TIE), axis=1)
    return np.where(np.take_along_axis(components, first[:, None], 1)[:, 0] < 0, -1.0, 1.0)


def answer(case, x32):
    x = x32.astype(np.float64)
    mean, scale = x.mean(axis=0), np.ones(case.d)
    y = x - mean
    if case.standardize:
        scaler = StandardScaler().fit(x)
        mean, scale, y = scaler.mean_, scaler.scale_, scaler.transform(x)
    k, variance, ratio, components = 0, [], [], np.empty((0, case.d))
    if case.k or case.ratio:
        pca = PCA(n_components=case.k or case.ratio, svd_solver="full").fit(y)
        sign = signs(pca.components_)
        k, variance, ratio = pca.n_components_, pca.explained_variance_, pca.explained_variance_ratio_
        components, y = pca.components_ * sign[:, None], pca.transform(y) * sign
    shown = y[[t * case.n // SHOWN for t in range(SHOWN)]]
    parts = [[checksum(x32), k], mean, scale, variance, ratio, components.ravel(), shown.ravel()]
    return np.concatenate([np.asarray(p, dtype=np.float64) for p in parts]), k, np.asarray(variance)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent)
    out = parser.parse_args().out
    print(f"scikit-learn {sklearn.__version__}, numpy {np.__version__}")
    for case in CASES:
        values, k, variance = answer(case, rows(case))
        np.save(out / f"stats_{case.name}.npy", values)
        gap = min((-np.diff(variance)) / variance[0]) if k > 1 else float("nan")
        print(f"{case.name:14} [{case.n}, {case.d}] K {k:3} least gap of variances / largest {gap:.2e}")


if __name__ == "__main__":
    main()
