#!/usr/bin/env python3
"""What a GPU does with Pomona, and with PyTorch: one table, one JSON.  Called by gpu.sh, which builds what is needed.

A part that a machine has not (fp16 kernels, PyTorch, CUDA) is a line that says so, never a figure.  A part that is there and
fails ends the run: no speed is told of a device that computes wrong.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

import compare_report

ROOT = pathlib.Path(__file__).resolve().parents[1]
FRUITS = pathlib.Path(os.environ.get("POMONA_FRUITS", ROOT.parent / "shared" / "fruits-360"))
TESTS = "^test_compute_(opencl|opencl_fp16|ocl_blocks|ocl_half|ocl_narrow|ocl_orb|ocl_sift|ocl_tune|ocl_cache|shared)$"
MODELS = ["mobilenet_v2", "efficientnet_lite0", "resnet50", "vgg16"]
PRECISIONS = [("fp32", ""), ("fp16", ""), ("fp16", "tensor")]  # and kernels: ours for the device, or those named


def run(command, **environment):
    command = [str(part) for part in command]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | environment)


def fail(what, done):
    sys.exit(f"{what} failed ({done.returncode}):\n{done.stdout[-4000:]}{done.stderr[-4000:]}")


def say(text):
    print(text, file=sys.stderr, flush=True)


class Gpu:
    def __init__(self, args):
        self.args, self.bin = args, args.build / "bin"
        self.rows, self.left_out, self.device, self.driver = [], [], "none", "none"

    def add(self, what, unit, value, values, device, driver):
        self.rows.append({"what": what, "unit": unit, "median": value, "values": values, "device": device, "driver": driver})
        say(f"{what}: {value:.4g} {unit}")

    def leave_out(self, what, why):
        why = why.strip().splitlines()[0] if why.strip() else "no reason given"
        self.left_out.append({"what": what, "why": why})
        say(f"{what}: left out: {why}")

    def doctor(self):
        done = run([self.bin / "pomona", "doctor", "--json"])
        if done.returncode != 0:
            fail("pomona doctor", done)
        facts = json.loads(done.stdout)["facts"]
        sections = sorted({fact["section"] for fact in facts if fact["section"].startswith("device ")})
        devices = [{f["name"]: f["value"] for f in facts if f["section"] == section} for section in sections]
        if not devices:
            sys.exit("OpenCL has no device here; pomona doctor tells what to do")
        # As the backend chooses: the first GPU, else the first device.
        chosen = next((d for d in devices if d["type"] == "gpu"), devices[0])
        self.device, self.driver = chosen["name"], chosen["driver"]
        return facts

    def tests(self):
        done = run(["ctest", "--test-dir", self.args.build, "--output-on-failure", "-R", TESTS])
        if done.returncode != 0:
            fail("the tests of the kernels", done)
        return [line for line in done.stdout.splitlines() if "tests passed" in line]

    def model_options(self, model):
        shipped = model == "efficientnet_lite0"
        return ["--features", model] + ([] if shipped else ["--weights", self.args.work / f"{model}.safetensors"])

    def network(self, model, batch, precision, kernels):
        what = f"network {model}, 224, batch {batch}, {precision}" + (f", kernels {kernels}" if kernels else "")
        command = [self.bin / "pomona-bench", "network", "--backend", "opencl", *self.model_options(model)]
        command += ["--batch", batch, "--precision", precision, "--threads", 1]
        command += ["--seconds", self.args.seconds, "--repeats", self.args.repeats]
        done = run(command, POMONA_KERNELS=kernels)
        if done.returncode != 0 and precision != "fp32":
            return self.leave_out(what, done.stderr)
        if done.returncode != 0:
            fail(what, done)
        figures = json.loads(done.stdout)
        self.add(f"Pomona: {what}", "img/s", figures["img_s_median"], figures["img_s"], figures["device"], figures["kernels"])

    def pipeline(self):
        pictures = FRUITS / "Training"
        if not pictures.is_dir():
            folder = self.args.work / "orchard-2000"
            done = run([self.bin / "pomona-orchard", folder, "--kinds", 100, "--views", 20])
            if done.returncode != 0:
                fail("pomona-orchard", done)
            pictures = folder / "Training"
        command = [self.bin / "pomona", "extract", pictures, *self.model_options("mobilenet_v2"), "--backend", "opencl"]
        command += ["--standardize", "--pca", 100, "--limit", self.args.limit, "-o", self.args.work / "gpu.parquet"]
        walls = []
        for _ in range(self.args.repeats + 1):  # the first compiles kernels
            start = time.perf_counter()
            done = run([*command, "--overwrite", "--json", "-q"])
            walls.append(time.perf_counter() - start)
            if done.returncode != 0:
                fail("pipeline A", done)
        rows = json.loads(done.stdout)["counts"]["rows"]
        what = f"Pomona: pipeline A, {rows:,} pictures, whole process"
        self.add(what, "s", sorted(walls[1:])[len(walls[1:]) // 2], walls[1:], self.device, self.driver)

    def torch(self):
        python = self.args.torch_python
        command = [python, ROOT / "bench" / "peers" / "torch_network.py", "--seconds", self.args.seconds]
        command += ["--repeats", self.args.repeats, "--batch", *self.args.batch, "--model", *self.args.model]
        try:
            done = run(command)
        except OSError as error:
            return self.leave_out("PyTorch", str(error))
        if done.returncode == 77:
            return self.leave_out("PyTorch", done.stderr)
        if done.returncode != 0:
            fail("PyTorch", done)
        for line in done.stdout.splitlines():
            r = json.loads(line)
            if "left_out" in r:
                self.leave_out(r["what"], r["left_out"])
            else:
                self.add(f"PyTorch: {r['what']}", "img/s", r["img_s_median"], r["img_s"], r["device"], r["driver"])


def table(gpu):
    lines = ["| what | unit | median | range | device | driver |", "|---|---|---|---|---|---|"]
    for r in gpu.rows:
        low, high = (compare_report.number(f(r["values"])) for f in (min, max))
        figure = compare_report.number(r["median"])
        lines.append(f"| {r['what']} | {r['unit']} | {figure} | {low}–{high} | {r['device']} | {r['driver']} |")
    lines += [""] * bool(gpu.left_out)
    lines += [f"- left out: {entry['what']}: {entry['why']}" for entry in gpu.left_out]
    return "\n".join(lines)


def parse():
    parser = argparse.ArgumentParser(description="Measures a GPU; gpu.sh builds what this needs.")
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--torch-python", required=True)
    parser.add_argument("--model", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 32, 256])
    parser.add_argument("--seconds", type=float, default=3, help="of a repeat")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--limit", type=int, default=2000, help="pictures of pipeline A")
    parser.add_argument("--quick", action="store_true", help="try the harness: tiny sizes, no kernel tests; no figures to keep")
    args = parser.parse_args()
    if args.quick:
        args.model, args.batch, args.seconds, args.repeats, args.limit = MODELS[:2], [1, 2], 0.1, 2, 120
    args.build, args.work = args.build.resolve(), args.work.resolve()
    return args


def main():
    args = parse()
    os.environ["XDG_CACHE_HOME"] = str(args.work / "cache")  # not the user's
    facts, gpu = compare_report.facts_before(args.build), Gpu(args)
    diagnosis = gpu.doctor()
    say(f"measuring {gpu.device}, {gpu.driver}")
    passed = [] if args.quick else gpu.tests()
    for model in args.model:
        for precision, kernels in PRECISIONS:
            for batch in args.batch:
                gpu.network(model, batch, precision, kernels)
    gpu.pipeline()
    gpu.torch()
    everything = {"facts": facts, "quick": args.quick, "doctor": diagnosis, "tests": passed}
    everything |= {"results": gpu.rows, "left_out": gpu.left_out}
    (args.work / "gpu.json").write_text(json.dumps(everything, indent=1, ensure_ascii=False) + "\n")
    text = "\n".join(f"- {name}: {value}" for name, value in facts.items()) + "\n\n" + table(gpu)
    (args.work / "gpu.md").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
