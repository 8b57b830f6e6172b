#!/usr/bin/env python3
"""k-means by scikit-learn: what `pomona-words kmeans` is held against. As many iterations, k-means++, one start.

Measured: fit, of an array that is in memory as scikit-learn wants it; neither reading it nor bringing it to floats.
"""
import argparse
import json
import time
import warnings

import numpy as np
import sklearn
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.exceptions import ConvergenceWarning


def main():
    parser = argparse.ArgumentParser(description="k-means by scikit-learn; one JSON line on stdout.")
    parser.add_argument("file", help="[n, 128] bytes")
    parser.add_argument("--points", type=int, required=True)
    parser.add_argument("--words", type=int, required=True)
    parser.add_argument("--iterations", type=int, required=True)
    parser.add_argument("--mini-batch", type=int, default=0, help="points an iteration (default: all)")
    parser.add_argument("--type", choices=["float32", "float64"], required=True)
    args = parser.parse_args()
    x = np.fromfile(args.file, np.uint8, 128 * args.points).reshape(-1, 128).astype(args.type)
    common = {"n_clusters": args.words, "n_init": 1, "random_state": 0, "tol": 0}
    if args.mini_batch:  # max_iter counts times through all points; iterations are n_steps_
        epochs = -(-args.iterations * args.mini_batch // args.points)
        common |= {"max_iter": epochs, "batch_size": args.mini_batch, "max_no_improvement": None}
        made = MiniBatchKMeans(**common)
    else:
        made = KMeans(max_iter=args.iterations, algorithm="lloyd", **common)
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        made.fit(x)
    seconds = time.perf_counter() - start
    iterations = made.n_steps_ if args.mini_batch else made.n_iter_
    figures = {"compute_s": round(seconds, 4), "iterations": int(iterations), "inertia": float(made.inertia_)}
    figures |= {"sklearn": sklearn.__version__}
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
