#!/usr/bin/env python3
"""Does pomona compute ONNX files as ONNX Runtime does? Usage: test_onnx_live.py POMONA ORCHARD [--short]

On generated pictures: the light models of the onnx package (their weights are all equal; filled with others too, so that
channels differ) and tests/golden/onnx_exports, real exports at a few channels. Then files that must be refused. --short,
for builds that are slow, leaves out the large ones.
"""
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import helper

import judging

LIGHT = pathlib.Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
EXPORTS = pathlib.Path(__file__).resolve().parents[1] / "golden" / "onnx_exports"
SMALL = ["squeezenet", "shufflenet"]
LARGE = ["bvlc_alexnet", "densenet121", "inception_v1", "inception_v2", "resnet50", "zfnet512"]
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
    exports(pictures)
    light(pictures, work)
print(f"{failures} failures" if failures else "all as ONNX Runtime says")
sys.exit(failures > 0)
