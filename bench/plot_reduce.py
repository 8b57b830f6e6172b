#!/usr/bin/env python3
"""What `pomona reduce` costs by size, as a plot (SVG), and its figures as JSON on stdout.  After bench/run.sh:

  build/bench-venv/bin/python bench/plot_reduce.py

By rows at 1280 columns and by columns at 16,000 rows, --standardize --pca 100, whole processes, log-log; one run each,
after one to warm up.  Below the measured points two limits that no program on this machine could pass:

- bytes: what the process read, as the kernel counts it (the matrix as often as it was read), over what one thread
  reads from the page cache into a small buffer.
- operations: the multiply-adds of scatter and projection, over numpy's dgemm on all processors.  The scatter is symmetric, so half of n d^2; with fewer rows than columns half of n^2 d, of the rows'
  products with each other.

What the limits leave out: the start of the process, and the eigenvectors, which grow as the smaller side's cube.  The
machine's rates are measured once, at the start.  Others at work spoil a point: then the plot says so.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import matplotlib
import numpy as np

import compare

WORK = compare.ROOT / "build" / "bench"
COMPONENTS = 100
ROWS_AT, COLUMNS_AT = 1280, 16000  # columns while rows vary, and the other way round


def best_of(times, action):
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def multiply_adds_per_second(dtype, order=2048):
    a = np.random.default_rng(1).standard_normal((order, order)).astype(dtype)
    out = np.empty_like(a)
    return order**3 / best_of(7, lambda: np.matmul(a, a, out=out))


def bytes_read_per_second(path):
    buffer = bytearray(1 << 20)

    def read():
        with open(path, "rb", buffering=0) as file:
            while file.readinto(buffer):
                pass

    return path.stat().st_size / best_of(5, read)


def timed(command):
    """(seconds, bytes read) of a process."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    wall = time.perf_counter() - start
    counts = pathlib.Path(f"/proc/{process.pid}/io").read_text()  # while nobody has waited for it
    if process.wait() != 0:
        sys.exit(f"{command[0]} failed ({process.returncode})")
    return wall, int(counts.split()[1])


def make_matrix(rows, columns, folder):
    path = folder / "matrix.npy"
    subprocess.run([sys.executable, compare.PEERS / "make_matrix.py", str(rows), str(columns), path], check=True)
    return path


def machine_rates(folder):
    return {
        "bytes": bytes_read_per_second(make_matrix(COLUMNS_AT, ROWS_AT, folder)),
        "fp64": multiply_adds_per_second(np.float64),
    }


def measure(pomona, rows, columns, rates, folder):
    matrix, out = make_matrix(rows, columns, folder), folder / "reduced.npy"
    command = [pomona, "reduce", matrix, "-o", out, "--standardize", "--pca", str(COMPONENTS), "--overwrite", "-q"]
    timed(command)
    neighbours = compare.Neighbours()
    seconds, read = timed(command)
    others = neighbours.cores()
    small, large = sorted((rows, columns))
    scatter, projection = small * small * large / 2, rows * columns * COMPONENTS
    print(f"{rows:,} x {columns:,}: {seconds:.3f} s{' !' * (others > compare.QUIET)}", file=sys.stderr, flush=True)
    return {
        "rows": rows, "columns": columns, "seconds": seconds, "others_cores": others,
        "times_read": round(read / matrix.stat().st_size, 2),
        "limits": {
            "operations": (scatter + projection) / rates["fp64"], "bytes": read / rates["bytes"],
        },
    }  # fmt: skip


def draw(by_rows, by_columns, out):
    matplotlib.use("svg")
    from matplotlib import pyplot, ticker

    matplotlib.rcParams["svg.fonttype"] = "none"
    matplotlib.rcParams["svg.hashsalt"] = "pomona"  # the same names in every file
    figure, axes = pyplot.subplots(1, 2, figsize=(10, 4.2), sharey=True, layout="constrained")
    panels = [("rows", f"{ROWS_AT:,} columns", by_rows), ("columns", f"{COLUMNS_AT:,} rows", by_columns)]
    for axis, (what, title, points) in zip(axes, panels):
        x = [point[what] for point in points]
        axis.loglog(x, [point["seconds"] for point in points], "o-", color="#2b6f3e", label="pomona reduce")
        for limit, style in (("operations", "--"), ("bytes", ":")):
            y = [point["limits"][limit] for point in points]
            axis.loglog(x, y, style, color="#555555", label=f"limit: {limit}")
        axis.set(title=title, xlabel=what)
        axis.set_xticks(x, [f"{size:,}" for size in x])
        axis.xaxis.set_minor_locator(ticker.NullLocator())
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("seconds")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    loud = any(point["others_cores"] > compare.QUIET for point in by_rows + by_columns)
    quotable = " - others were at work, not to be quoted" if loud else ""
    figure.suptitle(f"pomona reduce --standardize --pca {COMPONENTS}, whole process{quotable}")
    figure.savefig(out, metadata={"Date": None})


def main():
    parser = argparse.ArgumentParser(description="The cost of pomona reduce by size, as a plot.")
    parser.add_argument("--pomona", type=pathlib.Path, default=WORK / "release" / "bin" / "pomona")
    parser.add_argument("--out", type=pathlib.Path, default=WORK / "reduce.svg", help="default build/bench/reduce.svg")
    parser.add_argument("--quick", action="store_true", help="try it: small sizes only")
    args = parser.parse_args()
    few = 3 if args.quick else None
    with tempfile.TemporaryDirectory(dir=WORK) as folder:
        folder = pathlib.Path(folder)
        rates = machine_rates(folder)
        by_rows = [measure(args.pomona, 1000 * 2**i, ROWS_AT, rates, folder) for i in range(7)[:few]]
        by_columns = [measure(args.pomona, COLUMNS_AT, 128 * 2**i, rates, folder) for i in range(6)[:few]]
    draw(by_rows, by_columns, args.out)
    print(json.dumps({"rates": rates, "by_rows": by_rows, "by_columns": by_columns}, indent=1))


if __name__ == "__main__":
    main()
