#!/usr/bin/env python3
"""Does pomona compute ONNX files as ONNX Runtime does? Usage: test_onnx_live.py POMONA ORCHARD [--short]

On generated pictures: the light models of the onnx package (their weights are all equal; filled with others too, so that
channels differ), tests/golden/onnx_exports, real exports at a few channels, and networks at random. Then files that must
be refused. --short, for builds that are slow, leaves out the large ones.
"""
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
from onnx import helper

import judging
import random_networks

LIGHT = pathlib.Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
EXPORTS = pathlib.Path(__file__).resolve().parents[1] / "golden" / "onnx_exports"
SMALL = ["squeezenet", "shufflenet"]
LARGE = ["bvlc_alexnet", "densenet121", "inception_v1", "inception_v2", "resnet50", "zfnet512"]
RANDOM = [(8, 8), (17, 13), (7, 30), (21, 9), (13, 13), (31, 10), (9, 16), (12, 5)]  # sizes of pictures, one for a file
OPENCL = "mobilenet_v3_op13"  # also by OpenCL, where there is a device

failures = 0


def report(passed, text):
    global failures
    failures += not passed
    print(f"{'ok  ' if passed else 'FAIL'} {text}", flush=True)


def judge(name, path, preprocess, pictures, backend="cpu"):
    try:
        session = judging.Session(path, preprocess, pictures, size=(48, 40))
        answers, note = judging.compare(pomona, session, backend)
    except judging.Refused as refusal:
        if backend == "opencl" and refusal.code == 6:
            print(f"skip {name}, {backend}: {refusal}")
        else:
            report(False, f"{name}, {backend}: {refusal}")
        return
    shown = ", ".join(f"{answer:.1e}" for answer in answers)
    report(max(answers) < judging.TOLERANCE, f"{name}, {backend}: features, inner, output differ by {shown}; {note}")


def light(pictures, work):
    for name in SMALL + LARGE * (not short):
        judge(f"light {name}", LIGHT / f"light_{name}.onnx", "torch", pictures)
    for name in SMALL + ["densenet121", "inception_v1"] * (not short):
        path = judging.seeded(LIGHT / f"light_{name}.onnx", work / "seeded.onnx")
        judge(f"light {name}, other weights", path, "torch", pictures)


def exports(pictures):
    paths = sorted(EXPORTS.glob("*.onnx"))
    if len(paths) < 20:
        report(False, f"{len(paths)} files in {EXPORTS}")
    for path in paths:
        preprocess = "torch"
        if path.stem.startswith("keras"):
            preprocess = "raw" if "efficientnet" in path.stem or "v3" in path.stem else "tf"
        judge(path.stem, path, preprocess, pictures)
        if path.stem == OPENCL:
            judge(path.stem, path, preprocess, pictures, "opencl")


def at_random(pictures, work):
    path, compared, wrong = work / "random.onnx", 0, []
    for seed, size in enumerate(RANDOM, 1):
        model = random_networks.model(seed, 60, size)
        onnx.save(model, path)
        names = [output.name for output in model.graph.output]
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        x = np.ascontiguousarray(judging.prepare(pictures[:1], "torch", size).transpose(0, 3, 1, 2))
        expected = [answer.reshape(1, -1) for answer in session.run(names, {"pictures": x})]
        layers = (word for name in names for word in ("--layer", name))
        try:
            rows, _ = judging.extract(pomona, pictures[:1], "--features", path, "--preprocess", "torch", "--resize", "bicubic",
                                      "--pool", "none", "--backend", "cpu", *layers)
        except judging.Refused as refusal:
            wrong.append(str(refusal))
            continue
        edges = np.cumsum([0] + [answer.shape[1] for answer in expected])
        for name, a, b, answer in zip(names, edges, edges[1:], expected):
            off = judging.difference(rows[:, a:b], answer) if answer.any() else abs(rows[:, a:b]).max()
            compared += 1
            if not off < judging.TOLERANCE:
                wrong.append(f"{name} of {path.name} off by {off:.1e}")
    report(compared > 400 and not wrong, f"{compared} networks at random; wrong: {wrong}")


def refuse(what, path, pictures, code, words, *options):
    """pomona must end with `code` and say all of `words`."""
    try:
        judging.extract(pomona, pictures, "--features", path, "--backend", "cpu", *options)
        report(False, f"{what}: taken")
    except judging.Refused as refusal:
        missing = [word for word in words if word not in refusal.message]
        report(refusal.code == code and not missing, f"{what}: {refusal}" + (f" (not said: {missing})" if missing else ""))


def refusals(pictures, work):
    def save(name, nodes, opset=17, dims=(1, 3, 32, 32), weights=()):
        given = helper.make_tensor_value_info("pictures", onnx.TensorProto.FLOAT, dims)
        result = helper.make_tensor_value_info("result", onnx.TensorProto.FLOAT, None)
        graph = helper.make_graph(nodes, "refused", [given], [result], weights)
        imports = [helper.make_opsetid("", opset), helper.make_opsetid("com.example", 1)]
        path = work / f"{name}.onnx"
        onnx.save(helper.make_model(graph, opset_imports=imports, ir_version=8), path)
        return path

    sound = sorted(EXPORTS.glob("mobilenet_v3*.onnx"))[0]
    refuse("a file that is not there", work / "none.onnx", pictures, 3, ["none.onnx"], "--preprocess", "torch")
    refuse("no preprocessing", sound, pictures, 2, ["--preprocess", "torch"])
    refuse("no such layer", sound, pictures, 2, ["no_such_layer"], "--preprocess", "torch", "--layer", "no_such_layer")
    refuse("a size that the file does not take", sound, pictures, 2, ["48"], "--preprocess", "torch", "--size", "64")
    unsupported = save("unsupported", [
        helper.make_node("Cos", ["pictures"], ["a"], "first"),
        helper.make_node("Fancy", ["a"], ["b"], "second", domain="com.example"),
        helper.make_node("Det", ["b"], ["c"], "third"),
        helper.make_node("Relu", ["c"], ["result"], "fourth"),
    ])
    refuse("three operators of others", unsupported, pictures, 7, ["3 nodes", "Cos", "first"], "--preprocess", "torch")
    done = subprocess.run([pomona, "inspect", unsupported], capture_output=True, text=True)
    missing = [word for word in ("Cos node first", "Fancy node second", "Det node third") if word not in done.stdout]
    report(done.returncode == 7 and not missing, f"inspect lists all three: exit code {done.returncode}, not said: {missing}")
    relu = [helper.make_node("Relu", ["pictures"], ["result"], "fourth")]
    for opset in (6, 99):
        path = save(f"opset{opset}", relu, opset)
        refuse(f"opset {opset}", path, pictures, 7, [str(opset)], "--preprocess", "torch")
    for dims in ((1, 4, 32, 32), (1, 3, 32), (2, 3, 32, 32)):
        path = save("dims%d%d" % (dims[0], dims[1]) + "x" * len(dims), relu, 17, dims)
        refuse(f"input {dims}", path, pictures, 7, [], "--preprocess", "torch")
    content = sound.read_bytes()
    random = np.random.default_rng(1)
    for name, damaged in (
        ("empty", b""),
        ("a JPEG", pathlib.Path(pictures[0]).read_bytes()),
        ("noise", random.bytes(5000)),
        ("cut at a tenth", content[: len(content) // 10]),
        ("cut at nine tenths", content[: len(content) * 9 // 10]),
    ):
        path = work / "damaged.onnx"
        path.write_bytes(damaged)
        refuse(f"damaged: {name}", path, pictures, 7, ["damaged.onnx"], "--preprocess", "torch")


pomona, orchard, short = sys.argv[1], sys.argv[2], "--short" in sys.argv
with tempfile.TemporaryDirectory() as folder:
    work = pathlib.Path(folder)
    subprocess.run([orchard, work / "orchard", "--kinds", "2", "--views", "1"], check=True, capture_output=True)
    pictures = judging.sample(work / "orchard" / "Training", 2)
    assert len(pictures) == 2
    refusals(pictures, work)
    at_random(pictures, work)
    exports(pictures)
    light(pictures, work)
print(f"{failures} failures" if failures else "all as ONNX Runtime says")
sys.exit(failures > 0)
