#!/usr/bin/env python3
"""StandardScaler and PCA of a matrix in a file with scikit-learn: what `pomona reduce` is held against.

Two figures.  The whole process, Python's start, imports, np.load and np.save included, is timed from outside by
compare.py.  `compute_s` is the computation alone: fit and transform of the loaded matrix.  Pomona is a whole process
always, and its goals are judged against the smaller of the two, the computation alone: what Python's start costs
is no merit of Pomona's, and a user may have the matrix in memory already.

Fair to scikit-learn: nothing is imported that it does not need; the matrix is scaled and centred in place, without
copies; fit_transform, so that what the fit knows is used again; it computes in f32, as it does with f32 rows, where
Pomona computes the fit in f64; BLAS takes all processors, as Pomona does.  covariance_eigh is the exact solver that it
has for many rows; randomized, with its own defaults, is what its "auto" takes for few of many components: that one
approximates, and Pomona's answer, exact, may explain more.  One pass, from a warm page cache.
"""
import time

STARTED = time.perf_counter()

import argparse  # noqa: E402
import itertools  # noqa: E402
import json  # noqa: E402

import numpy as np  # noqa: E402
import sklearn  # noqa: E402
from sklearn.decomposition import PCA  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402

IMPORT_S = time.perf_counter() - STARTED


def main():
    parser = argparse.ArgumentParser(description="StandardScaler and PCA of an .npy; one JSON line on stdout.")
    parser.add_argument("matrix", help="an .npy file")
    parser.add_argument("--out", required=True, help="the .npy file to write")
    parser.add_argument("--pca", type=int, default=100, metavar="K")
    parser.add_argument("--solver", default="covariance_eigh", choices=["covariance_eigh", "randomized"])
    args = parser.parse_args()

    laps = [time.perf_counter()]
    x = np.load(args.matrix)
    laps.append(time.perf_counter())
    x = StandardScaler(copy=False).fit_transform(x)
    laps.append(time.perf_counter())
    pca = PCA(args.pca, svd_solver=args.solver, copy=False, random_state=0)
    projected = pca.fit_transform(x)
    laps.append(time.perf_counter())
    np.save(args.out, projected)
    laps.append(time.perf_counter())

    load, scale, reduce, save = (after - before for before, after in itertools.pairwise(laps))
    figures = {
        "what": "reduce_sklearn", "rows": x.shape[0], "columns": x.shape[1], "pca": args.pca, "solver": args.solver,
        "compute_s": round(scale + reduce, 4), "explained": float(pca.explained_variance_.sum(dtype=np.float64)),
        "seconds": {
            "import": round(IMPORT_S, 4), "load": round(load, 4), "scale": round(scale, 4), "pca": round(reduce, 4),
            "save": round(save, 4),
        },
        "sklearn": sklearn.__version__, "numpy": np.__version__,
    }  # fmt: skip
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
