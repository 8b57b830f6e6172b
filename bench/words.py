#!/usr/bin/env python3
"""Pixels, words and classes: Pomona against Pillow, OpenCV and scikit-learn, side by side.

    bench/words.py                  three rounds: ten minutes on two quiet cores
    bench/words.py --quick          does it work? two minutes; the figures mean little
    bench/words.py --only kmeans    one group: pixels, describe, kmeans, classes; may be repeated

Sets up what it needs under build/: a Release build, the peers in a virtual environment of its own
(peers/requirements-words.txt), pictures. All figures go to build/bench/words.json; the tables for RESULTS.md are
printed last. Rounds, noise and ratios are those of compare.py.

- pixels: 20,000 pictures (the real ones, each several times) to 20 x 20 pixels in 24 parts of CSV; whole processes. The
  text of all rows must be the same but for the ".0" behind Pomona's numbers.
- describe: grey pictures of 100 x 100 in memory to descriptors, two threads. As many keypoints, or the run ends.
- kmeans: random descriptors of 128 bytes, k-means++ and a fixed number of iterations; reading the points is in Pomona's
  figure, as it reads them again in each. The sums of squared distances must be alike. Ten million once, for the memory.
- classes: pipeline D, `pomona train` and `pomona evaluate`: time by stages, accuracy; OpenCV and scikit-learn.
"""

import argparse
import dataclasses
import hashlib
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys

import compare
import compare_report

ROOT, PEERS = compare.ROOT, compare.PEERS
THREADS = compare.THREADS
SIDE = 20
PARTS = 24
WORDS, ITERATIONS, MINI_BATCH = 100, 10, 4096
BOUND_MB = 200  # of k-means, however many points there are
KEYPOINTS_APART = 0.01  # of the peers' number: a keypoint at the edge of a threshold comes or goes
INERTIA_APART = 0.02  # other starts end in other places
STAGES = {  # of a training: a column of the table, and the stages of the record that are in it
    "features": ["read", "decode", "resize", "describe", "network", "pixels"], "words": ["vocabulary"],
    "histogram": ["words"], "PCA": ["moments", "fit", "project"], "training": ["classifier"],
}  # fmt: skip
WORDS_OF = ["--words", 30, "--standardize", "--pca", 21, "--hidden", "21,21"]
PIXELS = ["--features", "pixels", "--size", SIDE, "--resize", "nearest"]
CLASSES = {  # options of pomona train, and of the peer
    "SIFT words": (["--features", "sift", *WORDS_OF], ["--features", "sift", "--pca", 21, "--hidden", "21,21"]),
    "ORB words": (["--features", "orb", *WORDS_OF], ["--features", "orb", "--pca", 21, "--hidden", "21,21"]),
    "pixels": ([*PIXELS, "--standardize", "--pca", 100],
               ["--features", "pixels", "--side", SIDE, "--pca", 100, "--hidden", 100]),
    "EfficientNet-Lite0": (["--standardize", "--pca", 100], None),
}  # fmt: skip


# --------------------------------------------------------------------------------------------------------- set up --


def set_up(args):
    """(folder of the programs, Python with the peers)"""
    build, venv, wanted = args.work / "release", ROOT / "build" / "bench-venv-words", PEERS / "requirements-words.txt"
    args.work.mkdir(parents=True, exist_ok=True)
    with open(args.work / "words-build.log", "w") as log:
        for command in (["cmake", "--preset", "release", "-B", build, "-DPMN_BUILD_TESTS=OFF", "-DPMN_BUILD_BENCH=ON"],
                        ["cmake", "--build", build, "--target", "pomona", "pomona-orchard", "pomona-words"]):
            subprocess.run(list(map(str, command)), stdout=log, stderr=log, check=True, cwd=ROOT)
    stamp = venv / "requirements.txt"
    if not stamp.exists() or stamp.read_text() != wanted.read_text():
        subprocess.run([sys.executable, "-m", "venv", "--clear", venv], check=True)
        subprocess.run([venv / "bin/pip", "install", "-q", "--disable-pip-version-check", "-r", wanted], check=True)
        shutil.copyfile(wanted, stamp)
    return build, venv / "bin/python"


def pictures_of(folder):
    return sorted(folder.rglob("*.jpg"), key=os.fsencode)


def link(folder, pictures):
    """A folder of links: {name in it: picture}. Reads them too: their pages are in memory then."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, picture in pictures.items():
        picture.read_bytes()
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(picture.resolve())
    return folder


@dataclasses.dataclass
class Case(compare.Case):
    apart: compare.Row | None = None  # a row more: against the first peer alone
    stages: str | None = None  # a line of the table of stages


class Bench:
    def __init__(self, args, build, python):
        self.args, self.work, self.bin, self.python = args, args.work, build / "bin", python
        self.versions, self.notes = {}, []
        self.fruits, self.pictures_are = compare.FRUITS, "Fruits-360 (real)"
        if not (self.fruits / "Test").is_dir():
            self.fruits, self.pictures_are = self.orchard(40, 70, 30), "pomona-orchard (generated)"
        if args.quick:
            self.fruits = self.some_of_all(8)

    def orchard(self, kinds, views, test_views):
        folder = self.work / f"orchard-{kinds}x{views}+{test_views}"
        command = [self.bin / "pomona-orchard", folder, "--kinds", kinds, "--views", views, "--test-views", test_views]
        compare.run(command)
        return folder

    def some_of_all(self, count):
        """The first pictures of each kind."""
        chosen = {}
        for kind in [*self.fruits.glob("Training/*"), *self.fruits.glob("Test/*")]:
            chosen |= {picture.relative_to(self.fruits): picture for picture in pictures_of(kind)[:count]}
        return link(self.work / "words-some", chosen)

    def make(self, what, *arguments):
        """A file of make_words.py."""
        path = self.work / f"words-{what}.bytes"
        compare.run([self.python, PEERS / "make_words.py", what, path, *arguments])
        return path

    def peer(self, program, *arguments):
        """The JSON of a peer, and its figures."""
        record, figures = compare.run([self.python, PEERS / program, *arguments])
        for key, name in (("pillow", "Pillow"), ("opencv", "OpenCV"), ("sklearn", "scikit-learn")):
            if key in record:
                self.versions[name] = record.pop(key)
        return figures | record

    # ---- pixels

    def pixels_cases(self):
        count, chosen = (1200 if self.args.quick else 20000), {}
        pictures = [*pictures_of(self.fruits / "Training"), *pictures_of(self.fruits / "Test")]
        for number in range(count):
            picture = pictures[number % len(pictures)]
            chosen[f"{picture.parent.name}/{number:05d}.jpg"] = picture
        folder, out = link(self.work / "words-pixels", chosen), self.work / "words-pixels-out"

        def pomona():
            shutil.rmtree(out, ignore_errors=True)
            command = [self.bin / "pomona", "extract", folder, "-o", f"{out}/", *PIXELS, "--format", "csv", "--parts"]
            command += [PARTS, "--backend", "cpu", "--threads", THREADS, "--json", "-q"]
            record, figures = compare.run(command)
            figures["stages_s"] = {name: stage["busy_seconds"] for name, stage in record["stages"].items()}
            return figures | {"img_s": count / figures["wall_s"], "text": text_of(out)}

        def pillow(processes):
            there = self.work / "words-pixels-peer"
            shutil.rmtree(there, ignore_errors=True)
            figures = self.peer("pillow_pixels.py", folder, "--out", there, "--processes", processes, "--parts", PARTS)
            return figures | {"img_s": count / figures["wall_s"], "text": text_of(there)}

        def check(*samples):
            if len({figures["text"] for figures in samples}) > 1:
                sys.exit("the pixels of Pomona and of Pillow are not the same")

        peers = {"Pillow, one process": lambda: pillow(1), f"Pillow, {THREADS} processes": lambda: pillow(THREADS)}
        title = f"{count:,} pictures to {SIDE} x {SIDE} pixels, {PARTS} parts of CSV"
        rate = compare.Row(f"{title}: rate", "img_s", "img/s", more_is_better=True)
        memory = compare.Row(f"{title}: peak memory", "peak_mb", "MB", timed=False)
        alone = dataclasses.replace(rate, title=f"{title}: rate, against one process", goal_ratio=6.0)
        yield Case("pixels", [rate, memory], pomona, peers, warm_up=False, check=check, apart=alone)

    # ---- describe

    def describe_cases(self):
        pictures = pictures_of(self.fruits / "Training")[: 100 if self.args.quick else 1000]
        grey = self.make("pictures", *pictures)
        seconds = 0.5 if self.args.quick else 3
        for kind in ("sift", "orb"):

            def pomona(kind=kind):
                return compare.run([self.bin / "pomona-words", "describe", kind, grey, 100, THREADS, seconds])[0]

            def opencv(kind=kind):
                common = ["--side", 100, "--threads", THREADS, "--seconds", seconds]
                return self.peer("cv_describe.py", kind, grey, *common)

            def check(ours, theirs):
                if abs(ours["keypoints"] - theirs["keypoints"]) > KEYPOINTS_APART * theirs["keypoints"]:
                    sys.exit(f"{ours['keypoints']} keypoints a picture, but {theirs['keypoints']} by OpenCV")

            title = f"{kind.upper()} of 100 x 100 grey pictures, {THREADS} threads"
            row = compare.Row(title, "img_s", "img/s", more_is_better=True, goal_ratio=1.0)
            yield Case("describe", [row], pomona, {"OpenCV": opencv}, warm_up=False, check=check)

    # ---- k-means

    def cluster(self, points, iterations, mini_batch, threads=THREADS, backend="cpu", words=WORDS):
        command = [self.bin / "pomona-words", "kmeans", self.descriptors, points, words, iterations]
        record, figures = compare.run([*command, mini_batch, threads, backend])
        return figures | record

    def kmeans_cases(self):
        points, many = (20_000, 200_000) if self.args.quick else (1_000_000, 10_000_000)
        self.descriptors = self.make("descriptors", many)
        self.same_everywhere(points // 10)
        ways = {"": (ITERATIONS, 0), f" of {MINI_BATCH:,} points": (points // MINI_BATCH, MINI_BATCH)}
        for batch, (iterations, mini_batch) in ways.items():

            def pomona(iterations=iterations, mini_batch=mini_batch):
                return self.cluster(points, iterations, mini_batch)

            def sklearn(kind, iterations=iterations, mini_batch=mini_batch):
                options = ["--points", points, "--words", WORDS, "--iterations", iterations, "--mini-batch", mini_batch]
                return self.peer("kmeans_sklearn.py", self.descriptors, *options, "--type", kind)

            def check(ours, *theirs):
                for other in theirs:
                    if abs(ours["inertia"] - other["inertia"]) > INERTIA_APART * other["inertia"]:
                        sys.exit(f"k-means: inertia {ours['inertia']:.4g}, but {other['inertia']:.4g} by scikit-learn")
                    if abs(ours["iterations"] - other["iterations"]) > 1:  # it rounds to whole times through all points
                        sys.exit(f"k-means: {ours['iterations']} iterations, but {other['iterations']} by scikit-learn")

            title = f"k-means, {points:,} descriptors of 128 bytes, {WORDS} words, {iterations} iterations{batch}"
            rows = [compare.Row(f"{title}: time", "compute_s", "s", goal_ratio=1.0),
                    compare.Row(f"{title}: peak memory", "peak_mb", "MB", timed=False)]
            peers = {f"scikit-learn {kind}": lambda kind=kind: sklearn(kind) for kind in ("float32", "float64")}
            yield Case("kmeans", rows, pomona, peers, warm_up=False, check=check)

        def largest():
            return self.cluster(many, ITERATIONS, 0, words=30)

        title = f"k-means, {many:,} descriptors, 30 words, {ITERATIONS} iterations"
        rows = [compare.Row(f"{title}: time", "compute_s", "s"),
                compare.Row(f"{title}: peak memory", "peak_mb", "MB", goal_most=BOUND_MB, timed=False)]
        yield Case("kmeans", rows, largest, warm_up=False, rounds=1)
        self.descriptors.unlink()  # 1.3 GB

    def same_everywhere(self, points):
        """The same centres, to the bit, for any number of threads and on every backend."""
        some, few = points, points // 10  # ref is slow
        by_threads = {self.cluster(some, 3, 0, threads=n)["sha256"] for n in (1, 2, 3)}
        backends = ["cpu", "ref"] + ["opencl"] * ("opencl" in compare_report.output_of(self.bin / "pomona", "devices"))
        by_backend = {self.cluster(few, 3, 0, backend=name, words=10)["sha256"] for name in backends}
        if len(by_threads) > 1 or len(by_backend) > 1:
            sys.exit("k-means does not make the same centres for any number of threads, or on every backend")
        on = ", ".join(backends)
        self.notes.append(f"k-means makes the same centres, to the bit, on 1 to 3 threads, and on {on}.")

    # ---- classes

    def classes_case(self, name, folder, options, theirs, title, goal=None):
        """`folder` has Training and Test; options of pomona train, and of the peer."""
        model = self.work / "words.model"
        running = ["--backend", "cpu", "--threads", THREADS, "--json", "-q"]

        def pomona():
            train = [self.bin / "pomona", "train", folder / "Training", "-o", model, "--overwrite", *options, *running]
            record, figures = compare.run(train)
            tested, test = compare.run([self.bin / "pomona", "evaluate", folder / "Test", "--model", model, *running])
            stages = record["stages"]
            told = {column: sum(stages[n]["busy_seconds"] / stages[n]["lanes"] for n in names if n in stages)
                    for column, names in STAGES.items()}
            figures["stages_s"] = told | {"test": test["wall_s"]}
            figures["wall_s"] += test["wall_s"]
            figures["peak_mb"] = max(figures["peak_mb"], test["peak_mb"])
            return figures | {"accuracy": tested["evaluation"]["accuracy"]}

        def peer():
            return self.peer("classes_sklearn.py", folder / "Training", folder / "Test", *theirs, "--threads", THREADS)

        row = compare.Row(f"{title}: time", "wall_s", "s", goal_most=goal)
        peers = {"OpenCV + scikit-learn" if name != "pixels" else "Pillow + scikit-learn": peer} if theirs else {}
        return Case("classes", [row], pomona, peers, warm_up=False, stages=name)

    def three_kinds(self):
        """(a folder of 438 + 438 pictures, what they are)"""
        each = 10 if self.args.quick else 146
        if self.pictures_are.startswith("pomona-orchard"):
            return self.orchard(3, each, each), "generated"
        chosen = {}
        for part in ("Training", "Test"):
            for kind in ("Apple", "Cherry", "Tomato"):
                pictures = pictures_of(self.fruits / part)
                pictures = [picture for picture in pictures if picture.parent.name.startswith(kind)]
                for number in range(each):
                    picture = pictures[number * len(pictures) // each]
                    chosen[f"{part}/{kind}/{picture.parent.name} {picture.name}"] = picture
        return link(self.work / "words-three", chosen), "apples, cherries, tomatoes of all 40 kinds"

    def classes_cases(self):
        counts = [len(pictures_of(self.fruits / part)) for part in ("Training", "Test")]
        kinds = len(list(self.fruits.glob("Training/*")))
        for name, (ours, theirs) in CLASSES.items():
            title = f"pipeline D, {name}, {kinds} kinds, {counts[0]:,} + {counts[1]:,} pictures"
            yield self.classes_case(name, self.fruits, ours, theirs, title)
        folder, what = self.three_kinds()
        counts = [len(pictures_of(folder / part)) for part in ("Training", "Test")]
        ours, theirs = CLASSES["SIFT words"]
        title = f"pipeline D, SIFT words, 3 kinds ({what}), {counts[0]} + {counts[1]} pictures"
        yield self.classes_case("SIFT words, 3 kinds", folder, ours, theirs, title, goal=3.0)


GROUPS = {"pixels": Bench.pixels_cases, "describe": Bench.describe_cases, "kmeans": Bench.kmeans_cases,
          "classes": Bench.classes_cases}  # fmt: skip


# --------------------------------------------------------------------------------------------------------- report --


def text_of(folder):
    """Hash of all rows of all parts, in their order; 255.0 is 255."""
    hashed = hashlib.sha256()
    for part in sorted(folder.glob("part-*.csv")):
        _, _, rows = part.read_bytes().partition(b"\n")
        hashed.update(rows.replace(b".0", b""))
    return hashed.hexdigest()


def only(case, rounds, side):
    """The case, and its rounds, with Pomona and one peer."""
    name = list(case.peers)[side]
    return dataclasses.replace(case, peers={name: case.peers[name]}), [[r[0], r[1 + side]] for r in rounds]


def stage_lines(case, rounds):
    """Lines of the table of stages: Pomona's and the peer's medians."""
    lines = []
    for side, name in enumerate(["Pomona", *case.peers]):
        column = [samples[side] for samples in rounds]
        seconds = {stage: statistics.median(one["stages_s"].get(stage, 0.0) for one in column)
                   for stage in [*STAGES, "test"]}
        cells = [compare_report.number(value) if value else "" for value in seconds.values()]
        whole = compare_report.range_of(compare.spread([one["wall_s"] for one in column]))
        accuracy = statistics.median(one["accuracy"] for one in column)
        lines.append([case.stages, name, *cells, whole, f"{accuracy:.3f}"])
    return lines


def stages_table(lines):
    head = ["features", "who", *(f"{stage}, s" for stage in STAGES), "test, s", "whole, s", "accuracy"]
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, ["---"] * len(head), *lines])


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=pathlib.Path, default=ROOT / "build" / "bench", help="folder of all results")
    parser.add_argument("--only", action="append", choices=GROUPS, help="this group only (may be repeated)")
    parser.add_argument("--rounds", type=int, default=3, help="of each row (default 3)")
    parser.add_argument("--patience", type=int, default=1, help="repetitions of a disturbed round (default 1)")
    parser.add_argument("--quick", action="store_true", help="try the harness: little to do, one round")
    args = parser.parse_args()
    if args.quick:
        args.rounds, args.patience = 1, 0
    args.work = args.work.resolve()
    return args


def main():
    args = parse()
    compare.adopt_orphans()
    os.environ["XDG_CACHE_HOME"] = str(args.work / "cache")  # not the user's
    build, python = set_up(args)
    facts, bench, results, stages = compare_report.facts_before(build), Bench(args, build, python), [], []
    for group in args.only or GROUPS:
        for case in GROUPS[group](bench):
            print(f"measuring {case.rows[0].title}", file=sys.stderr, flush=True)
            rounds = compare.measure(case, args.rounds, args.patience)
            results += [compare.summarise(row, case, rounds) for row in case.rows]
            if case.apart:
                results.append(compare.summarise(case.apart, *only(case, rounds, 0)))
            if case.stages:
                stages += stage_lines(case, rounds)
    facts |= {"pictures": bench.pictures_are, "rounds": f"{args.rounds}, a disturbed one again {args.patience} times"}
    facts["peers"] = ", ".join(f"{name} {version}" for name, version in sorted(bench.versions.items()))
    everything = {"facts": facts, "notes": bench.notes, "results": results, "stages": stages}
    (args.work / "words.json").write_text(json.dumps(everything, indent=1, ensure_ascii=False) + "\n")
    print("\n".join(f"- {name}: {value}" for name, value in facts.items()))
    print("\n".join(["", *bench.notes, "", compare_report.table(results)]))
    if stages:
        print("\n" + stages_table(stages))


if __name__ == "__main__":
    main()
