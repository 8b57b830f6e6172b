#!/usr/bin/env python3
"""Make the golden words and histograms: scikit-learn's KMeans and TfidfTransformer, and k-majority and mini-batches in
plain Python, which scikit-learn has not in this form.

The points are a function of the case: tests/stats/kmeans_cases.h mirrors CASES and points() bit for bit, and each file
carries a checksum of the bytes it was computed from.  Every file is one float64 vector:

  kmeans_NAME.npy   checksum, iterations, inertia, of scikit-learn's k-means++ with 50 seeds the least inertia, the mean
                    and the deviation (0, 0, 0: not tried), centres [k, width]; bits: bytes of the centres
  kmeans_start.npy  the points that STARTS begin with, [k, width] of each, one behind the other
  histogram.npy     pictures, k, counts [pictures, k], idf [k], then for each of idf no, yes and norm none, L1, L2 the
                    histograms [pictures, k]

Run with tests/golden/requirements-stats.txt.
"""
import argparse
import pathlib
from collections import namedtuple

import numpy as np
import sklearn
from make_stats import bell, uniform
from sklearn.cluster import KMeans
from sklearn.feature_extraction.text import TfidfTransformer

Case = namedtuple("Case", "name seed n width clusters spread k tol binary batch special")

# fmt: off
CASES = [
    Case("apart",      1, 1500,   8,  6,  6.0,  6, 0.0,  0,   0, ""),
    Case("overlap",    2, 4500,  16, 12, 40.0, 12, 0.0,  0,   0, ""),
    Case("tolerance",  2, 4500,  16, 12, 40.0, 12, 1e-3, 0,   0, ""),
    Case("sift",       3,  700, 128, 10, 30.0, 10, 0.0,  0,   0, ""),
    Case("many",       4, 3000,   6, 40, 10.0, 40, 0.0,  0,   0, ""),
    Case("empty",      5,  900,   5,  5, 10.0,  6, 0.0,  0,   0, "far start"),
    Case("one",        6,  300,   3,  4, 20.0,  1, 0.0,  0,   0, ""),
    Case("batches",    7, 2500,   8,  9, 20.0,  9, 0.0,  0, 100, ""),
    Case("bits",       8, 2500,  32, 10,  0.3, 10, 0.0,  1,   0, ""),
    Case("bits_empty", 9,  601,   3,  4,  0.2,  7, 0.0,  1,   0, "far start"),
]
# fmt: on
STARTS = [("many", "plusplus", 40), ("bits", "plusplus", 10), ("repeated", "plusplus", 57), ("many", "random", 40),
          ("bits_empty", "random", 30), ("repeated", "random", 57)]  # the seed is the place in this list
BATCHES = 12  # iterations of mini-batches
SEEDS = 50
MASK = (1 << 64) - 1


def points(case):
    i = np.arange(case.n, dtype=np.uint64)[:, None]
    j = np.arange(case.width, dtype=np.uint64)[None, :]
    cluster = np.floor(uniform(case.seed, 0, i, np.uint64(0)) * case.clusters).astype(np.uint64)
    if not case.binary:
        x = 200.0 * uniform(case.seed, 1, cluster, j) + case.spread * bell(case.seed, 2, i, j)
        return np.clip(np.floor(x + 0.5), 0, 255).astype(np.uint8)
    bit = np.arange(8 * case.width, dtype=np.uint64)[None, :]
    bits = (uniform(case.seed, 1, cluster, bit) < 0.5) ^ (uniform(case.seed, 2, i, bit) < case.spread)
    return np.packbits(bits, axis=1, bitorder="little")


def start(case, x):
    c = x[[t * case.n // case.k for t in range(case.k)]].copy()
    if case.special == "far start":  # nothing is near it: its cluster is empty at once
        c[-1] = 255 - c[0] if case.binary else 255
        if case.binary:
            c[-2] = c[0]  # of equally near words the first is taken, so this one is empty too
    return c


def checksum(x):
    weights = np.arange(x.size, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    with np.errstate(over="ignore"):
        return float(int(np.sum(x.ravel().astype(np.uint64) * weights, dtype=np.uint64)) & 0xFFFFFFFF)


def lloyd(case, x):
    wide = x.astype(np.float64)
    options = dict(n_clusters=case.k, n_init=1, tol=case.tol, algorithm="lloyd", max_iter=100)
    fit = KMeans(init=start(case, x).astype(np.float64), **options).fit(wide)
    seeds = [KMeans(random_state=s, **options).fit(wide).inertia_ for s in range(SEEDS)]
    return [fit.n_iter_, fit.inertia_, min(seeds), np.mean(seeds), np.std(seeds)], fit.cluster_centers_


def majority(case, x):
    """k-majority; a bit stays where as many points have the other one; an empty cluster takes the point farthest from
    its centre, the next one the next that differs."""
    bits, centres = np.unpackbits(x, axis=1, bitorder="little").astype(int), start(case, x)
    centres = np.unpackbits(centres, axis=1, bitorder="little").astype(int)
    for iteration in range(1, 101):
        distance = (bits[:, None, :] != centres[None, :, :]).sum(axis=2)
        word = distance.argmin(axis=1)
        own = distance[np.arange(case.n), word]
        members = [list(np.flatnonzero(word == c)) for c in range(case.k)]
        taken = []
        for c in [c for c in range(case.k) if not members[c]]:
            order = sorted(range(case.n), key=lambda i: (-own[i], i))
            far = next(i for i in order if not any((x[i] == x[t]).all() for t in taken))
            taken.append(far)
            if len(members[word[far]]) > 1:
                members[word[far]].remove(far)
            members[c] = [far]
        before = centres.copy()
        for c in range(case.k):
            ones, n = bits[members[c]].sum(axis=0), len(members[c])
            centres[c] = np.where(2 * ones > n, 1, np.where(2 * ones < n, 0, centres[c]))
        if (centres == before).all():
            break
    return [iteration, own.sum(), 0, 0, 0], np.packbits(centres.astype(np.uint8), axis=1, bitorder="little")


class Random:
    """xoshiro256** seeded by splitmix64."""

    def __init__(self, seed):
        self.s = []
        for _ in range(4):
            seed = (seed + 0x9E3779B97F4A7C15) & MASK
            z = ((seed ^ seed >> 30) * 0xBF58476D1CE4E5B9) & MASK
            z = ((z ^ z >> 27) * 0x94D049BB133111EB) & MASK
            self.s.append(z ^ z >> 31)

    def below(self, n):
        def rotate(x, k):
            return (x << k | x >> 64 - k) & MASK

        s = self.s
        result, t = rotate(s[1] * 5 & MASK, 7) * 9 & MASK, s[1] << 17 & MASK
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= t
        s[3] = rotate(s[3], 45)
        return result % n  # that a number would have to be drawn again has odds of n in 2^64


def batches(case, x):
    """Sculley's algorithm 1, as it stands in his paper: a step of 1 / v towards each point in turn."""
    random, centres, v = Random(case.seed), start(case, x).astype(np.float64), np.zeros(case.k)
    for _ in range(BATCHES):
        batch = x[[random.below(case.n) for _ in range(case.batch)]].astype(np.float64)
        word = ((batch[:, None, :] - centres[None, :, :]) ** 2).sum(axis=2).argmin(axis=1)
        for point, c in zip(batch, word):
            v[c] += 1
            centres[c] = (1 - 1 / v[c]) * centres[c] + 1 / v[c] * point
    inertia = ((x[:, None, :] - centres[None, :, :]) ** 2).sum(axis=2).min(axis=1).sum()
    return [BATCHES, inertia, 0, 0, 0], centres


def repeated(n=1030, differ=57):
    i = np.minimum(np.arange(n), differ - 1)
    return np.stack([i, i // 3], axis=1).astype(np.uint8)


def first_centres(seed, name, kind, k):
    """k-means++ with 2 + ln k trials. Or points at random until k differ, 8 k at most; if too few do, what is missing one
    by one from those that differ from all centres."""
    case = next((c for c in CASES if c.name == name), None)
    x = points(case) if case else repeated()
    wide = (np.unpackbits(x, axis=1) if case and case.binary else x).astype(np.int64)
    random, taken, flat = Random(seed), [], kind == "random"
    for _ in range(8 * k if flat else 0):
        i = random.below(len(x)) if len(taken) < k else taken[0]
        if not any((x[i] == x[t]).all() for t in taken):
            taken.append(i)

    def d2(i):
        return ((wide - wide[i]) ** 2).sum(axis=1)

    nearest = np.full(len(x), 2**40)
    for t in taken:
        nearest = np.minimum(nearest, d2(t))
    while len(taken) < k:
        weight = np.minimum(nearest, 1) if flat else nearest
        ends, trials = np.cumsum(weight), 1 if flat else 2 + int(np.log(k))
        if taken:
            drawn = [int(np.searchsorted(ends, random.below(int(ends[-1])), side="right")) for _ in range(trials)]
        else:
            drawn = [random.below(len(x))]
        left = [np.minimum(nearest, d2(i)).sum() for i in drawn]
        taken.append(drawn[int(np.argmin(left))])
        nearest = np.minimum(nearest, d2(taken[-1]))
    return x[taken]


def histograms(pictures=12, k=9):
    i, j = np.arange(pictures, dtype=np.uint64)[:, None], np.arange(k, dtype=np.uint64)[None, :]
    counts = np.floor(np.maximum(uniform(77, 0, i, j) * 30 - 15, 0))
    counts[3], counts[:, 4], counts[:, 5] = 0, 0, 1 + np.arange(pictures)  # nothing; in none; in all
    parts = [[pictures, k], counts.ravel(), TfidfTransformer().fit(counts).idf_]
    for use_idf in (False, True):
        for norm in (None, "l1", "l2"):
            parts.append(TfidfTransformer(use_idf=use_idf, norm=norm).fit_transform(counts).toarray().ravel())
    return np.concatenate(parts)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent)
    out = parser.parse_args().out
    print(f"scikit-learn {sklearn.__version__}, numpy {np.__version__}")
    for case in CASES:
        x = points(case)
        head, centres = (majority if case.binary else batches if case.batch else lloyd)(case, x)
        np.save(out / f"kmeans_{case.name}.npy", np.concatenate([[checksum(x)], head, centres.ravel()]))
        print(f"{case.name:11} [{case.n}, {case.width}] k {case.k:3} iterations, inertia, seeds: {head}")
    starts = [first_centres(seed, *start) for seed, start in enumerate(STARTS)]
    np.save(out / "kmeans_start.npy", np.concatenate([c.ravel() for c in starts]))
    np.save(out / "histogram.npy", histograms())


if __name__ == "__main__":
    main()
