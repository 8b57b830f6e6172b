"""What do scikit-learn and Spark say to pomona reduce? Usage: judge_reduce.py POMONA ORCHARD FRUITS [--short]

Matrices that are hard on statistics, and features of pictures, go through pomona on the processor and, where there is
one, on an OpenCL device. Every table is held against scikit-learn's StandardScaler and PCA in fp64, or against the
golden files of Spark (make_stats_spark.py); shares of variance, spectrum and solver are read in the run record.
Where there is no folder FRUITS (the real pictures) generated ones are taken. Versions: requirements.txt.
"""
import csv
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # more of them wait for each other where other programs run
import numpy as np
from safetensors.numpy import load_file
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

GOLDEN = pathlib.Path(__file__).parent.parent / "golden"
VALUES, RATIOS, VECTORS = 1e-5, 1e-8, 1e-11  # of the largest value of a table; of the whole variance; in components
STREAM_MB = 60  # that a million rows may take, less than they fill; it is some 30 for any number of them
OWN_MB = {"cpu": 60, "opencl": 250}  # of program and libraries; 30 and 140 here
# ru_maxrss of a child begins with what its parent had: a small parent measures.
MEASURE = "import resource, subprocess, sys; done = subprocess.run(sys.argv[1:]); " \
          "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024); sys.exit(done.returncode)"


def check(good, *what):
    if not good:
        sys.exit(" ".join(map(str, what)))


def pomona(*arguments, code=0, before=()):
    command = [*before, program, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    check(done.returncode == code, command, "exit code", done.returncode, done.stderr)
    return done.stdout


def read_back(out):
    return np.load(out), json.loads(pathlib.Path(f"{out}.record.json").read_text()).get("statistics")


def reduce(x, backend, *options, code=0):
    """The table, the record's statistics, and the rejects."""
    out = work / f"{backend}.npy"
    np.save(work / "x.npy", x)
    pomona("reduce", work / "x.npy", "-o", out, "-q", "--overwrite", "--backend", backend, *options, code=code)
    rejects = pathlib.Path(f"{out}.rejects.csv")
    return *read_back(out), list(csv.reader(rejects.open()))[1:] if code else []


def words(standardize, components):
    """Options: standardize is mean, std, both or nothing; components a number, a share or nothing."""
    how = {"": [], "both": ["--standardize"]}.get(standardize, [f"--standardize={standardize}"])
    return how + (["--pca", components] if components else [])


def signs(components):
    """Our rule: the entry of largest magnitude of a component is positive, among equals (to 1e-6) the first."""
    size = np.abs(components)
    first = np.argmax(size >= size.max(axis=1, keepdims=True) * (1 - 1e-6), axis=1)
    return np.sign(components[np.arange(len(components)), first])


class Scikit:
    """StandardScaler and PCA fitted to x; of the PCA all components, k of which are wanted."""

    def __init__(self, x, standardize, components, solver):
        self.scaler = StandardScaler(with_mean=standardize != "std", with_std=standardize != "mean")
        self.scaler = self.scaler.fit(x.astype(np.float64)) if standardize else None
        self.pca, self.k = None, 0
        if components:
            rows = self.scaled(x)
            self.pca = PCA(svd_solver=solver).fit(rows)
            self.k = components
            if components < 1:
                self.k = PCA(n_components=components, svd_solver=solver).fit(rows).n_components_

    def scaled(self, x):
        x = x.astype(np.float64)
        return self.scaler.transform(x) if self.scaler else x

    def table(self, x):
        if self.pca is None:
            return self.scaled(x)
        return (self.pca.transform(self.scaled(x)) * signs(self.pca.components_))[:, :self.k]


def distance(name, got, expected, equal=()):
    """Of two tables, in units of the largest value. Columns [first, end) in `equal` belong to one eigenvalue and may be
    turned: the products of their rows are compared."""
    check(got.shape == expected.shape, name, "shape", got.shape, "not", expected.shape)
    check(np.isfinite(got).all(), name, "not finite")
    got, expected = got.astype(np.float64), expected.astype(np.float64)
    free = np.ones(got.shape[1], bool)
    worst = 0.0
    for first, end in equal:
        free[first:end] = False
        a, b = got[:, first:end], expected[:, first:end]
        worst = max(worst, np.abs(a @ a.T - b @ b.T).max() / np.abs(b @ b.T).max())
    return max(worst, np.abs(got - expected)[:, free].max(initial=0.0) / np.abs(expected).max())


def judge_spectrum(name, record, scikit, solver, ratios):
    full, whole = scikit.pca.explained_variance_ratio_, np.cumsum(scikit.pca.explained_variance_ratio_)
    check(solver in (None, record["solver"]), name, "solver", record["solver"], "not", solver)
    known = np.array(record["known_spectrum"]) / record["total_variance"]
    count = scikit.k if record["solver"] == "block Lanczos" else len(full)
    check(len(known) == count and record["pca_components"] == scikit.k, name, len(known), record["pca_components"])
    error = np.abs(known - full[:count]).max()
    error = max(error, np.abs(np.array(record["explained_variance_ratio"]) - full[:scikit.k]).max())
    total = scikit.pca.explained_variance_.sum()
    check(error <= ratios and abs(record["total_variance"] / total - 1) <= RATIOS, name, "spectrum off by", error)
    for share, k in record["components_for"].items():
        expected = np.searchsorted(whole, float(share), side="right") + 1
        check(k == (int(expected) if expected <= count else None), name, "components for", share, k, "not", expected)
    return error


def judge_vectors(name, scikit):
    """Tables are rounded to fp32; what was iterated is held to more."""
    ours, theirs = load_file(work / "kept.projection")["components"], scikit.pca.components_[:scikit.k]
    error = np.abs(ours - theirs * signs(theirs)[:, None]).max()
    check(error <= VECTORS, name, "components off by", error)


def judge(name, x, standardize="", components=0, *, equal=(), solver=None, ratios=RATIOS, constant=None, bad=(),
          theirs="full"):
    """bad: (row, reason) of those that are no numbers. constant: how many columns are, if not those of one value."""
    good = np.delete(x, [row for row, _ in bad], axis=0)
    constant = int((np.ptp(good, axis=0) == 0).sum()) if constant is None else constant
    scikit = Scikit(good, standardize, components, theirs)
    expected, tables, told = scikit.table(good), [], []
    for backend in backends:
        keep = ["--save-projection", work / "kept.projection"] if solver == "block Lanczos" else []
        table, record, rejects = reduce(x, backend, *words(standardize, components), *keep, code=1 if bad else 0)
        error = distance(f"{name} {backend}", table, expected, equal)
        check(error <= VALUES, name, backend, "values off by", error)
        check(rejects == [[str(row), "matrix", reason] for row, reason in bad], name, backend, "rejects", rejects)
        counts = record["constant_columns"], record["fitted_rows"]
        check(counts == (constant, len(good)), name, backend, "constant columns and rows", counts)
        told.append(f"{backend} {error:.0e}")
        if solver == "block Lanczos":
            judge_vectors(f"{name} {backend}", scikit)
        if components:
            told[-1] += f" ratios {judge_spectrum(f'{name} {backend}', record, scikit, solver, ratios):.0e}"
        tables.append(table)
    if len(tables) > 1:
        error = distance(name, tables[1], tables[0], equal)
        check(error <= VALUES, name, "backends differ by", error)
        told.append(f"apart {error:.0e}")
    print(f"{name}: {x.shape[0]} x {x.shape[1]} {x.dtype} {' '.join(map(str, words(standardize, components)))}: "
          f"{', '.join(told)}", flush=True)


def normal(*shape):
    return rng.standard_normal(shape)


def directions(n, d, strengths, noise=0.0):
    """n rows of d columns with the given deviations, exactly, along directions at right angles."""
    count = len(strengths)
    left = np.linalg.qr(np.column_stack([np.ones(n), normal(n, min(count, n - 1))]))[0][:, 1:]
    right = np.linalg.qr(normal(d, left.shape[1]))[0]
    return np.sqrt(n) * left * np.array(strengths)[:left.shape[1]] @ right.T + noise * normal(n, d)


def hard():
    plain = directions(500, 30, 0.8 ** np.arange(20), 0.05)
    for dtype in (np.float32, np.float64):
        for standardize in ("mean", "std", "both"):
            judge("plain", plain.astype(dtype), standardize)
        judge("plain", (3 + plain).astype(dtype), "std", 5)
        far = (1e6 + normal(2000, 20) @ normal(20, 20)).astype(dtype)
        judge("mean 10^6 deviations", far, "both")
        judge("mean 10^6 deviations", far, "", 5, solver="dsyevd")
        judge("mean 10^6 deviations", far, "both", 5)
        judge("equal eigenvalues", directions(400, 24, [3, 3, 3, 2, 2, 1, 0.5]).astype(dtype), "mean", 6,
              equal=[(0, 3), (3, 5)])
    judge("rank 3", directions(1200, 1000, [3, 2, 1]).astype(np.float32), "", 3, solver="dsyevd")
    judge("rank 3, k = 8", directions(60, 1000, [3, 2, 1]).astype(np.float32), "", 8,
          solver="dsyevd of the Gram matrix")
    judge("rank 3, k = 8", directions(300, 50, [3, 2, 1]), "both", 8)
    for n in (2, 12):
        judge("k = n", directions(n, 40, 0.7 ** np.arange(11), 0.01).astype(np.float32), "both", n)
    judge("two rows", np.float32([[1, 5, -2], [3, 5, 8]]), "both", 1)
    constant = directions(300, 12, 0.7 ** np.arange(11), 0.01)
    constant[:, [2, 5, 9]] = 0.1, 1234567.875, 0
    constant[:, 7] = 1e8 + (np.arange(300) % 3 == 0) * np.spacing(1e8)  # rounding could have made that
    for standardize, components in (("both", 0), ("std", 0), ("both", 4), ("", 4)):
        judge("constant columns", constant, standardize, components, constant=4 if standardize else 3)
    broken = directions(1500, 17, 0.8 ** np.arange(12), 0.05).astype(np.float32)
    broken[0, 16], broken[1, 3], broken[700, 0], broken[1499, 8] = np.nan, -np.inf, np.inf, np.nan
    broken[700, 5] = np.nan
    reasons = [(0, "column 16 is NaN"), (1, "column 3 is infinite"), (700, "column 0 is infinite"),
               (1499, "column 8 is NaN")]
    judge("broken rows", broken, "both", 4, bad=reasons)
    judge("broken rows", broken.astype(np.float64), "both", bad=reasons)
    judge("broken rows, wide", np.vstack([broken[:3], broken[5:9]]), "", 3, bad=reasons[:2],
          solver="dsyevd of the Gram matrix")
    for share in (0.8, 0.95):
        judge("by share", plain.astype(np.float32), "both", share, solver="dsyevd")
        judge("by share", plain[:25], "", share, solver="dsyevd of the Gram matrix")
    steep = 10.0 ** -np.arange(7)  # variances down to 1e-12 of the largest
    judge("steep", directions(300, 40, steep), "", 7, ratios=1e-14)
    judge("steep", directions(40, 300, steep), "", 7, ratios=1e-14)


def large():
    """More of both than LAPACK is given for some components; the spectrum falls slowly."""
    x = directions(2250, 2200, 4 * 0.96 ** np.arange(150), 0.01).astype(np.float32)
    judge("block Lanczos on the rows", x[:2100], "", 5, solver="block Lanczos", theirs="covariance_eigh")
    if not short:
        judge("block Lanczos on the covariance", x, "both", 5, solver="block Lanczos", theirs="covariance_eigh")


def merging():
    x = 1000 + directions(700, 30, 0.8 ** np.arange(20), 0.05)
    x[:100] += 50  # parts unlike each other
    parts = [work / f"{i}.moments" for i in range(3)]
    for backend in backends:
        for part, rows in zip(parts, np.split(x, [100, 333])):
            reduce(rows, backend, "--standardize", "--save-moments", part, "--overwrite")
        fit = ["--standardize", "--pca", 5, "--overwrite", "--save-projection"]
        reduce(x, backend, *fit, work / "one.projection")
        pomona("merge", *parts, *fit, work / "merged.projection")
        one, merged = (load_file(work / f"{name}.projection") for name in ("one", "merged"))
        check(one.keys() == merged.keys() and one["components"].shape == (5, 30), one.keys(), merged.keys())
        error = max(np.abs(one[k] - merged[k]).max() / np.abs(one[k]).max() for k in one)
        check(error <= 1e-10, "merge", backend, error)
        scikit = Scikit(x, "both", 5, "full")
        error = max(error, np.abs(merged["scale"] - scikit.scaler.scale_).max())
        angle = np.abs(merged["components"] - (scikit.pca.components_ * signs(scikit.pca.components_)[:, None])[:5])
        check(error <= 1e-9 and angle.max() <= 1e-8, "merge", backend, "is not scikit-learn's", error, angle.max())
        print(f"merge: three parts are one run to {error:.0e} on {backend}")


def stream():
    mixed = rng.standard_normal((10**6, 16), dtype=np.float32) @ normal(16, 16).astype(np.float32) + np.float32(10)
    scikit = Scikit(mixed, "both", 6, "covariance_eigh")
    expected = scikit.table(mixed)
    np.save(work / "x.npy", mixed)
    for backend in backends:
        out = work / f"{backend}.npy"
        size = int(pomona("reduce", work / "x.npy", "-o", out, "-q", "--overwrite", "--backend", backend,
                          "--standardize", "--pca", 6, before=[sys.executable, "-S", "-c", MEASURE]))
        table, record = read_back(out)
        error, ratios = distance("stream", table, expected), judge_spectrum("stream", record, scikit, "dsyevd", RATIOS)
        print(f"a million rows on {backend}: values to {error:.0e}, ratios to {ratios:.0e}, {size} MB at most")
        # A driver of OpenCL is its maker's.
        check(error <= VALUES and (size <= STREAM_MB or backend != "cpu"), "a million rows", backend, error, size)


def memory():
    """What is planned is what is taken, whatever the shape; and what is more than allowed is refused before it is."""
    shapes = (8, 500_000, ("--pca", 2)), (64, 60_000, ("--pca", 5)), (5000, 1000, ("--pca", 5)), \
        (300_000, 30, ("--standardize",))
    for n, d, options in shapes:
        np.save(work / "x.npy", rng.standard_normal((n, d), dtype=np.float32))
        for backend in backends:
            command = [sys.executable, "-S", "-c", MEASURE, program, "reduce", work / "x.npy", "-o", work / "memory.npy",
                       "--overwrite", "--progress", "none", "--backend", backend, *options]
            done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
            check(done.returncode == 0, command, done.stderr)
            size, planned = int(done.stdout), float(re.search("up to ([0-9.e+]+) MB", done.stderr)[1])
            print(f"memory: {n} x {d} on {backend}: {planned} MB planned, {size} MB taken", flush=True)
            check(size <= planned + OWN_MB[backend], "that is too much")
            less = subprocess.run(list(map(str, [*command, "--memory", f"{planned / 2}M"])), capture_output=True, text=True)
            check(less.returncode == 6 and int(less.stdout) <= OWN_MB[backend], "not refused", less.stdout, less.stderr)


def spark():
    for path in sorted(GOLDEN.glob("stats_spark_*.npz")):
        golden = np.load(path)
        x, shown = golden["x"], golden["shown"]
        compared = 12 if path.stem == "stats_spark_tall" else x.shape[1]  # columns; see LAST_BITS, make_stats_spark.py
        constant = int((np.ptp(x[:, :compared], axis=0) == 0).sum())
        for backend in backends:
            worst = 0.0
            for how in ("mean", "std", "both"):
                table, record, _ = reduce(x, backend, "--compat", "spark", *words(how, 0))
                theirs = golden[f"scaled_{how}"]
                check(how == "mean" or table[:, compared:].any(axis=0).all(), path, how, "a column that varies is 0")
                error = distance(path.stem, table[shown][:, :compared], theirs[:, :compared])
                check(error <= VALUES, path.stem, backend, how, error)
                worst = max(worst, error)
            for how in ("", "std", "both"):
                table, record, _ = reduce(x[:, :compared], backend, "--compat", "spark", *words(how, 3))
                how = how or "raw"
                theirs = golden[f"pca_{how}"] * signs(golden[f"components_{how}"])
                error = distance(path.stem, table[shown], theirs)
                ratios = np.abs(np.array(record["explained_variance_ratio"]) - golden[f"ratio_{how}"]).max()
                check(error <= VALUES and ratios <= RATIOS, path.stem, backend, "PCA of", how, error, ratios)
                counts = record["compat"], record["constant_columns"]
                check(counts == ("spark", constant), path.stem, backend, "rule and constant columns", counts)
                worst = max(worst, error)
            print(f"{golden['version']}, {path.stem}: {x.shape[0]} x {x.shape[1]}: {backend} {worst:.0e}", flush=True)


def pictures(orchard, fruits):
    """Features of one part of the pictures, and of another that is fitted on it."""
    root = pathlib.Path(os.environ.get("POMONA_FRUITS", fruits)) / "Test"
    if not root.is_dir():
        print("the real pictures are not here: generated ones instead")
        subprocess.run([orchard, work / "orchard", "--kinds", "12", "--views", "35"], check=True, capture_output=True)
        root = work / "orchard" / "Training"
    files = sorted(root.rglob("*.jpg"))
    count = 30 if short else 150
    lists = [work / "fitted.txt", work / "applied.txt"]
    for i, part in enumerate(lists):
        chosen = files[i * len(files) // (2 * count)::max(1, len(files) // count)][:count]
        part.write_text("\n".join(map(str, chosen)) + "\n")
        pomona("extract", f"@{part}", "-o", part.with_suffix(".npy"), "-q", "--backend", "cpu")
    fitted, applied = (np.load(part.with_suffix(".npy")) for part in lists)
    check(len(fitted) == len(applied) == count and not np.array_equal(fitted, applied), "other pictures expected")
    judge("pictures", np.vstack([fitted, applied]), "both", 20)
    expected = Scikit(fitted, "both", 12, "full").table(applied)
    fit = ["--standardize", "--pca", 12]
    pomona("extract", f"@{lists[1]}", "--fit-on", f"@{lists[0]}", "-o", work / "on.npy", "-q", "--backend", "cpu", *fit)
    error = distance("--fit-on", np.load(work / "on.npy"), expected)
    check(error <= VALUES, "--fit-on", error)
    for backend in backends:
        reduce(fitted, backend, *fit, "--save-projection", work / "kept.projection", "--overwrite")
        table = reduce(applied, backend, "--projection", work / "kept.projection")[0]
        kept = distance("--projection", table, expected)
        check(kept <= VALUES, "--projection", backend, kept)
    print(f"fitted on {count} pictures, applied to {count} others: {error:.0e}")


program, orchard, fruits = sys.argv[1:4]
short = "--short" in sys.argv
rng = np.random.default_rng(1)
backends = ["cpu"]
if any(line.startswith("opencl") for line in pomona("devices").splitlines()):
    backends.append("opencl")
else:
    print("skipped: there is no OpenCL device, the processor alone is judged")
with tempfile.TemporaryDirectory() as folder:
    work = pathlib.Path(folder)
    hard()
    spark()
    merging()
    large()
    pictures(orchard, fruits)
    if short:
        print("a million rows, and many columns with more rows: left out, this build is slow")
    else:
        memory()
        stream()
