#!/usr/bin/env python3
"""Write the two networks as ONNX files, so that the peers run what Pomona runs.

mobilenet_v2 has the seeded weights of tests/golden/features_seeded.py (a network's speed does not depend on its
training), efficientnet_lite0 those of weights/efficientnet_lite0.safetensors.

Input `input` [n, 3, 224, 224] f32, normalised; output `features` [n, 1280], pooled, before the classifier.

Fair to ONNX Runtime: NCHW, its own layout; batch norms folded into the convolutions (in fp64) as its converters do;
Clip for ReLU6, which it fuses; the classifier left out, since features are all that is asked of anybody.
When the golden features and their pictures are at hand the written file is held against them, and fails beyond 1e-4
of the largest feature.
"""
import argparse
import csv
import hashlib
import json
import os
import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

import peers_common

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"
FRUITS = pathlib.Path(os.environ.get("POMONA_FRUITS", ROOT.parent / "shared" / "fruits-360"))
sys.path.insert(0, str(GOLDEN))
import features_seeded  # noqa: E402

OPSET, IR_VERSION = 17, 8
BATCH_NORM_EPSILON = 1e-3
TOLERANCE = 1e-4

# expansion, kernel side, channels out, repeats, stride of the first
EFFICIENTNET_LITE0_BLOCKS = [
    (1, 3, 16, 1, 1),
    (6, 3, 24, 2, 2),
    (6, 5, 40, 2, 2),
    (6, 3, 80, 3, 2),
    (6, 5, 112, 3, 1),
    (6, 5, 192, 4, 2),
    (6, 3, 320, 1, 1),
]
MOBILENET_V2_BLOCKS = [(t, 3, c, n, s) for t, c, n, s in features_seeded.MOBILENET_V2_BLOCKS]


def read_safetensors(path):
    """{name: f32 array}"""
    blob = path.read_bytes()
    start = 8 + int.from_bytes(blob[:8], "little")
    header = json.loads(blob[8:start])
    header.pop("__metadata__", None)
    spans = {name: (t["shape"], *t["data_offsets"]) for name, t in header.items()}
    return {n: np.frombuffer(blob[start + a : start + b], "<f4").reshape(shape) for n, (shape, a, b) in spans.items()}


class Graph:
    """Nodes and constants as they grow; a value is its name."""

    def __init__(self, weights):
        self.weights, self.nodes, self.constants = weights, [], []
        self.constant("zero", np.float32(0))
        self.constant("six", np.float32(6))

    def constant(self, name, value):
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, op, name, inputs, **attributes):
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def conv(self, x, layer, batch_norm, size, stride=1, clamp=True):
        """Convolution, folded batch norm, ReLU6 if clamp.  Returns the value and its side."""
        depthwise = f"{layer}/depthwise_kernel" in self.weights
        kernel = self.weights[f"{layer}/depthwise_kernel" if depthwise else f"{layer}/kernel"].astype(np.float64)
        gamma, beta, mean, variance = (
            self.weights[f"{batch_norm}/{part}"].astype(np.float64) for part in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        scale = gamma / np.sqrt(variance + BATCH_NORM_EPSILON)
        kernel = kernel.transpose(2, 3, 0, 1) if depthwise else kernel.transpose(3, 2, 0, 1)
        kernel = kernel * scale[:, None, None, None]
        k, out = kernel.shape[2], -(-size // stride)
        pad = max((out - 1) * stride + k - size, 0)  # TensorFlow's "same": the odd one goes to the bottom and right
        before, after = pad // 2, pad - pad // 2
        w = self.constant(f"{layer}.weight", kernel.astype(np.float32))
        b = self.constant(f"{layer}.bias", (beta - mean * scale).astype(np.float32))
        y = self.node(
            "Conv", layer, [x, w, b], kernel_shape=[k, k], strides=[stride, stride],
            pads=[before, before, after, after], group=len(scale) if depthwise else 1,
        )  # fmt: skip
        return (self.node("Clip", f"{layer}.relu6", [y, "zero", "six"]) if clamp else y), out


def build(weights, blocks, stem, head, prefix, suffix):
    """Nodes of a stack of inverted residual blocks.  prefix(i) names block i, suffix its batch norms."""
    graph = Graph(weights)
    x, size = graph.conv("input", *stem, peers_common.SIZE, stride=2)
    cin, index = 32, 0
    for expansion, _, cout, repeats, first_stride in blocks:
        for repeat in range(repeats):
            name, skip, stride = prefix(index), x, first_stride if repeat == 0 else 1
            if expansion != 1:
                x, size = graph.conv(x, f"{name}_expand", f"{name}_expand{suffix}", size)
            x, size = graph.conv(x, f"{name}_depthwise", f"{name}_depthwise{suffix}", size, stride)
            x, size = graph.conv(x, f"{name}_project", f"{name}_project{suffix}", size, clamp=False)
            if stride == 1 and cin == cout:
                x = graph.node("Add", f"{name}_add", [x, skip])
            cin, index = cout, index + 1
    x, size = graph.conv(x, *head, size)
    x = graph.node("GlobalAveragePool", "pool", [x])
    graph.node("Flatten", "features", [x], axis=1)
    return graph


def make_model(model):
    if model == "mobilenet_v2":
        shapes = features_seeded.mobilenet_v2_shapes()
        weights = {name: features_seeded.seeded_tensor(name, shape) for name, shape in shapes.items()}
        names = ("Conv1", "bn_Conv1"), ("Conv_1", "Conv_1_bn"), lambda i: f"block_{i}" if i else "expanded_conv", "_BN"
        graph = build(weights, MOBILENET_V2_BLOCKS, *names)
    else:
        weights = read_safetensors(ROOT / "weights" / "efficientnet_lite0.safetensors")
        names = ("stem_conv", "stem_bn"), ("head_conv", "head_bn"), lambda i: f"block_{i}", "_bn"
        graph = build(weights, EFFICIENTNET_LITE0_BLOCKS, *names)
    side = peers_common.SIZE
    proto = helper.make_model(
        helper.make_graph(
            graph.nodes,
            model,
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", 3, side, side])],
            [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", 1280])],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="pomona bench/peers",
    )
    helper.set_model_props(proto, {"model": model})
    onnx.checker.check_model(proto, full_check=True)
    return proto


def verify(model, path):
    """Hold the file against the golden features, alone and in a batch; a line of text says how it went."""
    stem = {"mobilenet_v2": "features_mobilenet_v2_seeded", "efficientnet_lite0": "features_efficientnet_lite0"}[model]
    if not (GOLDEN / f"{stem}.npy").exists() or not FRUITS.is_dir():
        return "SKIPPED: no golden features or no pictures (POMONA_FRUITS)"
    golden, rows = np.load(GOLDEN / f"{stem}.npy"), []
    with open(GOLDEN / f"{stem}.csv", newline="") as file:
        for row in csv.DictReader(file):
            picture = FRUITS / row["path"]
            if hashlib.sha256(picture.read_bytes()).hexdigest() != row["sha256"]:
                return f"SKIPPED: {row['path']} is not the picture the golden features were made of"
            image = Image.open(picture).convert("RGB").resize((peers_common.SIZE,) * 2, Image.Resampling.BICUBIC)
            rows.append(np.asarray(image, np.float32).transpose(2, 0, 1))
    x = np.stack(rows)
    peers_common.normalise(model, x)
    session, _ = peers_common.open_session(str(path), threads=2)
    batch = session.run(["features"], {"input": x})[0]
    single = np.concatenate([session.run(["features"], {"input": x[i : i + 1]})[0] for i in range(len(x))])
    worst = max(np.abs(y - golden).max() for y in (batch, single)) / np.abs(golden).max()
    if not worst <= TOLERANCE:
        sys.exit(f"{path}: off the golden features by {worst:.2e} of the largest")
    return f"within {worst:.2e} of the largest golden feature, {len(x)} pictures, batch against single {np.abs(batch - single).max():.1e}"


def main():
    parser = argparse.ArgumentParser(description="Write a network as an ONNX file and hold it against the golden features.")
    parser.add_argument("model", choices=["mobilenet_v2", "efficientnet_lite0"])
    parser.add_argument("output", type=pathlib.Path, help="the .onnx file to write")
    args = parser.parse_args()
    onnx.save(make_model(args.model), args.output)
    print(f"{args.output.name}: {args.output.stat().st_size} bytes; {verify(args.model, args.output)}")


if __name__ == "__main__":
    main()
