#!/usr/bin/env python3
"""Pomona and its peers side by side: one table.  Called by run.sh, which builds and fetches what is needed.

Rules of measuring
- One process at a time, in turn: Pomona, peer, Pomona, peer ..., or with two peers Pomona, one, other, Pomona ...
  Each is warmed up first.
- The ratio is taken round by round, against the peer with the better median; its median is what counts, its range is
  the noise.
- Core time that went to anybody else during a round is read from the kernel.  A round with more than QUIET cores of it
  is run again, a few times at most; the quietest try is kept, and a row that is still loud is marked.
- The work is checked before it is believed: the peers' networks against known features (make_onnx.py), and here the
  peers against each other, the pipelines against Pomona's, and the variance that a PCA explains.
"""
import argparse
import ctypes
import dataclasses
import itertools
import json
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import typing

import compare_report

ROOT = pathlib.Path(__file__).resolve().parents[1]
PEERS = ROOT / "bench" / "peers"
FRUITS = pathlib.Path(os.environ.get("POMONA_FRUITS", ROOT.parent / "shared" / "fruits-360"))
SPARK_PYTHON = ROOT / "build" / "bench-venv-spark" / "bin" / "python"
QUIET = 0.05  # cores used by others that a figure can bear
THREADS = 2
STARTS = 5  # runs in one sample of the start-up time: one alone is too short to see the neighbours
SPARK_ROUNDS = 3  # of minutes
ORCHARD_KINDS = 100
NETWORK_GOALS = {"mobilenet_v2": 1.2, "efficientnet_lite0": 1.2, "resnet50": 1.2, "vgg16": 1.8}
NETWORK_GOAL_SINGLE = 1.1  # one picture at a time on one thread
F32_VARIANCE = 1e-5  # of the explained variance, between scikit-learn's sums in f32 and ours
RANDOMIZED_VARIANCE = 1e-2  # that a randomised solver may miss
COUNTERS = ("instructions", "cycles", "cache_misses")


# ------------------------------------------------------------------------------------------------------ processes --


class Neighbours:
    """Core time that went neither to us nor to the processes we started; stolen time counts."""

    def __init__(self):
        self.start, self.before = time.perf_counter(), self._others()

    @staticmethod
    def _others():
        with open("/proc/stat") as file:
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, file.readline().split()[1:9])
        ours = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        busy = (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
        return busy - sum(usage.ru_utime + usage.ru_stime for usage in ours)

    def cores(self):
        return max(0.0, self._others() - self.before) / (time.perf_counter() - self.start)


def adopt_orphans():
    """What children leave behind when they end (Spark's JVM and workers) becomes ours, and so does its time."""
    PR_SET_CHILD_SUBREAPER = 36
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")


def children_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def wait_for_orphans():
    while True:
        try:
            os.wait()
        except ChildProcessError:
            return


def run(command):
    """(the JSON that the command printed or None, its figures: wall_s, cpu_s of all processes, peak_mb of the first)."""
    command = [str(part) for part in command]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        start, before = time.perf_counter(), children_seconds()
        process = subprocess.Popen(command, stdout=out, stderr=errors, stdin=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        wait_for_orphans()
        out.seek(0)
        errors.seek(0)
        if process.returncode != 0:
            said = errors.read().decode(errors="replace")
            sys.exit(f"{' '.join(command[:3])} ... failed ({process.returncode}):\n{said}")
        text = out.read()
    # The kernel counts our own size in, of before the program replaces it: what is smaller shows as that.
    figures = {"wall_s": wall, "cpu_s": children_seconds() - before, "peak_mb": usage.ru_maxrss * 1024 / 1e6}
    return (json.loads(text) if text.strip() else None), figures


# ---------------------------------------------------------------------------------------------------------- cases --


@dataclasses.dataclass
class Row:
    """One line of the table, about one figure of a case's samples."""

    title: str
    figure: str
    unit: str
    peer_figure: str | None = None  # where the peers' is another
    more_is_better: bool = False
    goal_ratio: float | None = None  # at least this, against the peer
    goal_most: float | None = None  # at most this
    timed: bool = True  # a figure that neighbours can spoil
    counted: bool = False  # Pomona's samples have `per_picture`, the processor's counters


@dataclasses.dataclass
class Case:
    """Pomona and its peers, or Pomona alone.  A sample is a dict of figures."""

    group: str
    rows: list[Row]
    pomona: typing.Callable[[], dict]
    peers: dict[str, typing.Callable[[], dict]] = dataclasses.field(default_factory=dict)  # by name
    warm_up: bool = True  # run each once unmeasured; no: they do that themselves
    rounds: int | None = None  # None: as asked for
    check: typing.Callable[..., None] | None = None  # of the samples of a round: Pomona's, peers'


class Bench:
    """Where everything is, and the cases made of it."""

    def __init__(self, args):
        self.args, self.bin, self.work = args, args.build / "bin", args.work
        self.python = sys.executable
        self.versions = {}
        glance = [self.bin / "pomona-bench", "network", "--threads", 1, "--batch", 1, "--seconds", 0.01, "--repeats", 1]
        self.kernels = run(glance)[0]["kernels"]
        self.pictures, self.pictures_are = self._pictures()

    def _pictures(self):
        if (FRUITS / "Training").is_dir():
            return FRUITS / "Training", "Fruits-360 (real)"
        return self.orchard(2000) / "Training", "pomona-orchard (generated)"

    def orchard(self, count):
        folder = self.work / f"orchard-{count}"
        run([self.bin / "pomona-orchard", folder, "--kinds", ORCHARD_KINDS, "--views", count // ORCHARD_KINDS])
        return folder

    def _model_options(self, model):
        options = ["--features", model]
        shipped = model == "efficientnet_lite0"
        return options if shipped else options + ["--weights", self.work / f"{model}.safetensors"]

    # ---- network

    def network_cases(self):
        for (batch, threads), model in itertools.product(((16, 2), (1, 1)), NETWORK_GOALS):
            yield self.network_case(model, batch, threads)

    def network_case(self, model, batch, threads):
        common = ["--threads", threads, "--seconds", self.args.seconds, "--repeats", 1]
        onnx = ["--model", self.work / f"{model}.onnx"]

        def pomona():
            command = [self.bin / "pomona-bench", "network", *self._model_options(model), "--backend", "cpu"]
            figures, _ = run([*command, *common, "--batch", batch])
            return {"img_s": figures["img_s_median"], "per_picture": figures["per_picture"]}

        def onnxruntime():
            batches = sorted({batch, 1}, reverse=True)
            figures, _ = run([self.python, PEERS / "ort_network.py", *onnx, *common, "--batch", *batches])
            self.versions["ONNX Runtime"] = figures["onnxruntime"]
            return {"img_s": figures["img_s_median"]} | {name: figures[name] for name in ("ways", "first_features")}

        def openvino():
            figures, _ = run([self.python, PEERS / "ov_network.py", *onnx, *common, "--batch", batch])
            self.versions["OpenVINO"] = figures["openvino"].partition("-")[0]
            return {"img_s": figures["img_s_median"]} | {name: figures[name] for name in ("ways", "first_features")}

        def check(_ours, *theirs):
            features = [figures["first_features"] for figures in theirs]
            if max(features) - min(features) > 1e-3 * min(features):
                sys.exit(f"the peers' features of {model} disagree: {features}")

        goal = NETWORK_GOALS[model] if batch > 1 else NETWORK_GOAL_SINGLE
        title = f"network {model}, 224, batch {batch}, {threads} thread{'s' if threads > 1 else ''}"
        row = Row(title, "img_s", "img/s", more_is_better=True, goal_ratio=goal, counted=True)
        peers = {"ONNX Runtime": onnxruntime, "OpenVINO": openvino}
        return Case("network", [row], pomona, peers, warm_up=False, check=check)

    # ---- pipeline A

    def pomona_pipeline(self, pictures):
        command = [self.bin / "pomona", "extract", pictures, *self._model_options("mobilenet_v2")]
        command += ["--standardize", "--pca", 100, "--limit", self.args.limit, "--backend", "cpu", "--threads", THREADS]
        record, figures = run([*command, "-o", self.work / "pomona.parquet", "--overwrite", "--json", "-q"])
        figures["rows"] = record["counts"]["rows"]
        figures["explained"] = sum(record["statistics"]["explained_variance_ratio"])
        figures["stages_s"] = {name: stage["busy_seconds"] for name, stage in record["stages"].items()}
        figures["bound"] = record["bound"]
        return figures

    @staticmethod
    def check_pipelines(ours, theirs):
        if ours["rows"] != theirs["rows"] or abs(ours["explained"] - theirs["explained"]) > 1e-3:
            sys.exit(
                f"the pipelines disagree: {ours['rows']} and {theirs['rows']} rows, "
                f"{ours['explained']:.4f} and {theirs['explained']:.4f} of the variance explained"
            )

    def pipeline_cases(self):
        limit = self.args.limit

        def pomona():
            return self.pomona_pipeline(self.pictures)

        def peer():
            command = [self.python, PEERS / "pipeline_a.py", self.pictures, "--model", self.work / "mobilenet_v2.onnx"]
            command += ["--pca", 100, "--limit", limit, "--threads", THREADS]
            record, figures = run([*command, "--out", self.work / "peer.parquet"])
            self.versions |= {"Pillow": record["pillow"], "scikit-learn": record["sklearn"]}
            self.versions |= {"ONNX Runtime": record["onnxruntime"], "pyarrow": record["pyarrow"]}
            figures |= {"rows": record["rows"], "explained": record["explained_variance"]}
            figures |= {"import_s": record["import_s"], "stages_s": record["seconds"]}
            return figures

        title = f"pipeline A, {limit:,} pictures, whole process"
        rows = [
            Row(f"{title}: time", "wall_s", "s", goal_ratio=1.5),
            Row(f"{title}: processor time", "cpu_s", "s"),
            Row(f"{title}: peak memory", "peak_mb", "MB", timed=False),
        ]
        peers = {"Pillow + ONNX Runtime + scikit-learn": peer}
        yield Case("pipeline", rows, pomona, peers, check=self.check_pipelines)

    def spark_cases(self):
        folder = self.first_pictures(self.args.limit)

        def pomona():
            return self.pomona_pipeline(folder)

        def peer():
            command = [SPARK_PYTHON, PEERS / "spark_pipeline.py", folder, "--pca", 100, "--threads", THREADS]
            record, figures = run([*command, "--out", self.work / "spark.parquet"])
            self.versions |= {"PySpark": record["pyspark"], "TensorFlow": record["tensorflow"]}
            figures |= {"rows": record["rows"], "explained": record["explained_variance"]}
            return figures | {"stages_s": record["seconds"]}

        title = f"pipeline A, {self.args.limit:,} pictures, whole process, against Spark"
        rows = [Row(f"{title}: time", "wall_s", "s", goal_ratio=15), Row(f"{title}: processor time", "cpu_s", "s")]
        quick = self.args.quick
        options = {"rounds": 1 if quick else SPARK_ROUNDS, "warm_up": not quick, "check": self.check_pipelines}
        yield Case("spark", rows, pomona, {"PySpark + TensorFlow": peer}, **options)

    def first_pictures(self, count):
        """A folder of the first pictures: Spark reads whole folders."""
        folder = self.work / f"first-{count}"
        shutil.rmtree(folder, ignore_errors=True)
        for source in sorted(self.pictures.rglob("*.jpg"), key=os.fsencode)[:count]:
            copy = folder / source.relative_to(self.pictures)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy)
        return folder

    # ---- memory

    def memory_cases(self):
        counts = ([200, 1000] if self.args.quick else [1000, 10000]) + [100000] * self.args.long
        folders = {count: self.orchard(count) for count in counts}
        for reduce in ([], ["--standardize", "--pca", 100]):

            def pomona(reduce=reduce):
                figures = {}
                for count, folder in folders.items():
                    command = [self.bin / "pomona", "extract", folder, *self._model_options("mobilenet_v2"), *reduce]
                    command += ["--backend", "cpu", "--threads", THREADS]
                    _, one = run([*command, "-o", self.work / "memory.parquet", "--overwrite", "-q"])
                    figures |= {f"peak_mb_{count}": one["peak_mb"], f"wall_s_{count}": one["wall_s"]}
                    (self.work / "memory.parquet").unlink()
                growth = figures[f"peak_mb_{counts[-1]}"] - figures[f"peak_mb_{counts[-2]}"]
                return figures | {"growth_bytes": 1e6 * growth / (counts[-1] - counts[-2])}

            what = "peak memory, standardized, PCA 100" if reduce else "peak memory"
            rows = [Row(f"{what}: {n:,} pictures", f"peak_mb_{n}", "MB", goal_most=400, timed=False) for n in counts]
            if self.args.long:  # below that, buffers of fixed size (a Parquet row group) are still filling up
                between = f"growth from {counts[-2]:,} to {counts[-1]:,}"
                rows.append(Row(f"{what}: {between}", "growth_bytes", "B/picture", goal_most=1000, timed=False))
            yield Case("memory", rows, pomona, warm_up=False, rounds=1)

    # ---- start

    def start_cases(self):
        picture = min(self.pictures.rglob("*.jpg"))
        for backend, goal in (("cpu", 0.3), ("auto", None)):

            def pomona(backend=backend):
                command = [self.bin / "pomona", "extract", picture, "-o", self.work / "start.npy", "--overwrite", "-q"]
                walls = [run([*command, "--backend", backend])[1]["wall_s"] for _ in range(STARTS)]
                return {"wall_s": statistics.median(walls)}

            title = f"start to first row: one picture, efficientnet_lite0, --backend {backend}"
            yield Case("start", [Row(title, "wall_s", "s", goal_most=goal)], pomona)

    # ---- image

    def image_cases(self):
        files = list(itertools.islice(sorted(self.pictures.rglob("*.jpg")), 200 if self.args.quick else 1000))
        common = ["--size", 224, "--filter", "bicubic", "--repeats", 3, *files]

        def pomona():
            return run([self.bin / "pomona-bench", "image", *common])[0]

        def peer():
            figures, _ = run([self.python, PEERS / "pillow_image.py", *common])
            self.versions["Pillow"] = figures["pillow"]
            return figures

        rows = [
            Row("decode 100x100 JPEG, one core", "decode_us", "us/picture", goal_ratio=1.0),
            Row("resample to 224x224 bicubic, one core", "resample_us", "us/picture", goal_ratio=1.0),
            Row("decode and resample, one core", "total_us", "us/picture", goal_most=200),
        ]
        yield Case("image", rows, pomona, {"Pillow": peer}, warm_up=False)

    # ---- reduce

    def matrix(self, rows, columns):
        """Made once, by a program of its own: the memory it takes must not become ours (see run)."""
        path, maker = self.work / f"matrix-{rows}x{columns}.npy", PEERS / "make_matrix.py"
        if not path.exists() or path.stat().st_mtime < maker.stat().st_mtime:
            run([self.python, maker, rows, columns, path])
        return path

    def pomona_reduce(self, matrix, components):
        command = [self.bin / "pomona", "reduce", matrix, "-o", self.work / "reduced.npy", "--standardize"]
        record, figures = run([*command, "--pca", components, "--overwrite", "--json", "-q"])
        figures["explained"] = sum(record["statistics"]["explained_variance"])
        figures |= {"solver": record["statistics"]["solver"], "backend": record["device"]["backend"]}
        figures["stages_s"] = {name: stage["busy_seconds"] for name, stage in record["stages"].items()}
        return figures

    def reduce_cases(self):
        tall, square = ((4000, 1280), (2500, 2560)) if self.args.quick else ((67692, 1280), (8000, 8192))
        yield self.reduce_case(tall, 100, "covariance_eigh", goal_ratio=1.5, goal_mb=600, inexact=F32_VARIANCE)
        yield self.reduce_case(square, 16, "randomized", goal_ratio=1.0, goal_mb=None, inexact=RANDOMIZED_VARIANCE)
        few = self.matrix(8, 8192)

        def pomona():
            return {"wall_s": statistics.median(self.pomona_reduce(few, 5)["wall_s"] for _ in range(STARTS))}

        yield Case("reduce", [Row("reduce 8 x 8,192 to 5: time", "wall_s", "s", goal_most=0.05)], pomona)

    def reduce_case(self, shape, components, solver, goal_ratio, goal_mb, inexact):
        matrix = self.matrix(*shape)

        def peer():
            command = [self.python, PEERS / "reduce_sklearn.py", matrix, "--pca", components, "--solver", solver]
            record, figures = run([*command, "--out", self.work / "reduced-peer.npy"])
            self.versions["scikit-learn"] = record["sklearn"]
            return figures | {name: record[name] for name in ("explained", "compute_s", "seconds")}

        def check(ours, theirs):
            excess = ours["explained"] / theirs["explained"] - 1
            if not -F32_VARIANCE <= excess <= inexact:
                sys.exit(f"reduce {matrix.name}: Pomona's explained variance is {1 + excess:.6f} of scikit-learn's")

        title = f"reduce {shape[0]:,} x {shape[1]:,} to {components}"
        rows = [
            Row(f"{title}: time, against fit and transform", "wall_s", "s", "compute_s", goal_ratio=goal_ratio),
            Row(f"{title}: time, against the whole process", "wall_s", "s"),
            Row(f"{title}: peak memory", "peak_mb", "MB", goal_most=goal_mb, timed=False),
        ]
        peers = {f"scikit-learn {solver}": peer}
        return Case("reduce", rows, lambda: self.pomona_reduce(matrix, components), peers, check=check)


GROUPS = {
    "network": Bench.network_cases, "pipeline": Bench.pipeline_cases, "memory": Bench.memory_cases,
    "start": Bench.start_cases, "image": Bench.image_cases, "reduce": Bench.reduce_cases,
    "spark": Bench.spark_cases,
}  # fmt: skip


# --------------------------------------------------------------------------------------------------------- rounds --


def sample(side):
    neighbours = Neighbours()
    figures = side()
    return figures | {"others_cores": neighbours.cores()}


def loudness(samples):
    return max(figures["others_cores"] for figures in samples)


def measure(case, rounds, patience):
    """[samples] of `rounds` rounds: Pomona's, and one of each peer."""
    sides = [case.pomona, *case.peers.values()]
    for side in sides if case.warm_up else []:
        side()
    kept = []
    for _ in range(case.rounds or rounds):
        tries = []
        while len(tries) <= patience and (not tries or loudness(tries[-1]) > QUIET):
            tries.append([sample(side) for side in sides])
        kept.append(min(tries, key=loudness))
        if case.check:
            case.check(*kept[-1])
    return kept


def spread(values):
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def median_counts(rounds):
    """{counter: median a picture, or None where the machine does not count}"""
    columns = {name: [samples[0]["per_picture"][name] for samples in rounds] for name in COUNTERS}
    return {name: None if None in column else statistics.median(column) for name, column in columns.items()}


def summarise(row, case, rounds):
    """What the table says of one row, and all figures it was made of."""
    names = [row.figure] + [row.peer_figure or row.figure] * len(case.peers)
    ours, *theirs = [[samples[side][name] for samples in rounds] for side, name in enumerate(names)]
    others, met = max(map(loudness, rounds)), []
    result = {"what": row.title, "unit": row.unit, "pomona": spread(ours)}
    result |= {"others_cores": others, "loud": row.timed and others > QUIET}
    if row.counted:
        result["per_picture"] = median_counts(rounds)
    if theirs:
        result["peers"] = {name: spread(column) for name, column in zip(case.peers, theirs)}
        best = (max if row.more_is_better else min)(theirs, key=statistics.median)
        ratios = [a / b if row.more_is_better else b / a for a, b in zip(ours, best)]
        result |= {"better_peer": list(case.peers)[theirs.index(best)], "ratio": spread(ratios)}
        if row.goal_ratio is not None:
            result["goal"] = f"≥ {row.goal_ratio:.2f} x"
            met.append(result["ratio"]["median"] >= row.goal_ratio)
    if row.goal_most is not None:
        result["goal"] = f"≤ {row.goal_most:g} {row.unit}"
        met.append(result["pomona"]["median"] <= row.goal_most)
    if met and not result["loud"]:
        result["met"] = all(met)
    return result | {"rounds": rounds}


# ----------------------------------------------------------------------------------------------------------- main --


def parse():
    about, work = "Pomona and its peers side by side, in one table.", ROOT / "build" / "bench"
    parser = argparse.ArgumentParser(prog="bench/run.sh", description=about)
    parser.add_argument("--build", type=pathlib.Path, default=work / "release", help="Release build (run.sh gives it)")
    parser.add_argument("--work", type=pathlib.Path, default=work, help="folder of weights and results")
    parser.add_argument("--only", action="append", choices=GROUPS, help="this group only (may be repeated)")
    parser.add_argument("--rounds", type=int, default=5, help="of each row (default 5)")
    parser.add_argument("--seconds", type=float, default=3.0, help="of a network timing, of its warm-up (default 3)")
    parser.add_argument("--patience", type=int, default=3, help="repetitions of a disturbed round (default 3)")
    parser.add_argument("--limit", type=int, default=2000, help="pictures of pipeline A (default 2000)")
    parser.add_argument("--long", action="store_true", help="memory for 100,000 pictures too (a quarter of an hour)")
    parser.add_argument("--spark", action="store_true", help="group spark too (slow; needs a Java runtime)")
    parser.add_argument("--quick", action="store_true", help="try the harness: few, short rounds; figures mean little")
    parser.add_argument("--results", action="store_true", help="write bench/RESULTS.md")
    args = parser.parse_args()
    if args.quick:
        args.rounds, args.seconds, args.patience, args.limit = 2, 0.5, 0, 300
    if args.results and (args.quick or args.only):
        parser.error("--results takes all groups at full length")
    args.groups = args.only or [group for group in GROUPS if group != "spark" or args.spark]
    args.build, args.work = args.build.resolve(), args.work.resolve()
    return args


def main():
    args = parse()
    adopt_orphans()
    os.environ["XDG_CACHE_HOME"] = str(args.work / "cache")  # not the user's
    facts, bench, results = compare_report.facts_before(args.build), Bench(args), []
    for group in args.groups:
        for case in GROUPS[group](bench):
            print(f"measuring {case.rows[0].title}", file=sys.stderr, flush=True)
            rounds = measure(case, args.rounds, args.patience)
            results += [summarise(row, case, rounds) for row in case.rows]
    facts["kernels"] = bench.kernels
    facts["pictures"] = bench.pictures_are
    facts["peers"] = ", ".join(f"{name} {version}" for name, version in sorted(bench.versions.items())) or "none"
    facts["rounds"] = (
        f"{args.rounds} of each row, memory once; a disturbed one again, {args.patience} times at most; "
        f"network {args.seconds:g} s a round after as long a warm-up"
    )
    text = compare_report.report(facts, results)
    everything = json.dumps({"facts": facts, "results": results}, indent=1, ensure_ascii=False)
    (args.work / "results.json").write_text(everything + "\n")
    if args.results:
        (ROOT / "bench" / "RESULTS.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
