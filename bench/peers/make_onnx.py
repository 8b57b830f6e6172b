#!/usr/bin/env python3
"""Write Pomona's networks as ONNX files, so that the peers run what Pomona runs.

efficientnet_lite0 has the weights of weights/efficientnet_lite0.safetensors, mobilenet_v2 the seeded ones of
tests/golden/features_seeded.py, resnet50 and vgg16 the seeded ones that pomona-seeded-weights wrote (--weights): a
network's speed does not depend on its training.

Input `input` [n, 3, 224, 224] f32, normalised; output `features` [n, c], pooled, before the classifier.

Fair to the peers: NCHW, ONNX Runtime's own layout; batch norms folded into the convolutions (in fp64) as its
converters do; Clip for ReLU6, which it fuses, Relu for ReLU; the classifier left out, since features are all that is
asked of anybody.

The written file is held against features, and fails beyond 1e-4 of the largest.  Those of mobilenet_v2 and
efficientnet_lite0 are the golden ones of tests/golden.  Of resnet50 and vgg16 there are none at 224x224: there
Pomona's own stand in (--pomona), which shows that both run the same network; that it is Keras's show golden features
of the same nodes at another size.
"""
import argparse
import csv
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile

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
TOLERANCE = 1e-4
OWN_PICTURES = 4  # that features of Pomona itself are taken of
ZOO_PICTURES = 2  # of each line of features_zoo.csv
ZOO_LAYERS = {"resnet50": "avg_pool", "vgg16": "block5_pool"}  # in features_zoo.csv: pooled, before the classifier
GOLDEN_STEMS = {"mobilenet_v2": "features_mobilenet_v2_seeded", "efficientnet_lite0": "features_efficientnet_lite0"}

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
RESNET50_STAGES = [(64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)]  # channels, blocks, stride of the first
VGG16_BLOCKS = [2, 2, 3, 3, 3]  # convolutions


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

    def __init__(self, weights, epsilon):
        self.weights, self.epsilon, self.nodes, self.constants = weights, epsilon, [], []
        self.channels = 3  # of the value that was made last

    def constant(self, name, value):
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value, np.float32), name))
        return name

    def node(self, op, name, inputs, **attributes):
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def folded(self, layer, batch_norm):
        """(kernel [out, in, h, w], bias, whether depthwise) in fp64, the batch norm folded in where there is one."""
        depthwise = f"{layer}/depthwise_kernel" in self.weights
        kernel = self.weights[f"{layer}/depthwise_kernel" if depthwise else f"{layer}/kernel"].astype(np.float64)
        kernel = kernel.transpose(2, 3, 0, 1) if depthwise else kernel.transpose(3, 2, 0, 1)
        bias = self.weights.get(f"{layer}/bias", np.zeros(1)).astype(np.float64) + np.zeros(len(kernel))
        if batch_norm:
            gamma, beta, mean, variance = (
                self.weights[f"{batch_norm}/{part}"].astype(np.float64)
                for part in ("gamma", "beta", "moving_mean", "moving_variance")
            )
            scale = gamma / np.sqrt(variance + self.epsilon)
            kernel, bias = kernel * scale[:, None, None, None], (bias - mean) * scale + beta
        return kernel, bias, depthwise

    def conv(self, x, layer, batch_norm, stride=1, pads=(0, 0, 0, 0)):
        """Convolution with its batch norm; pads are top, left, bottom, right."""
        kernel, bias, depthwise = self.folded(layer, batch_norm)
        self.channels = len(kernel)
        w, b = self.constant(f"{layer}.weight", kernel), self.constant(f"{layer}.bias", bias)
        return self.node(
            "Conv", layer, [x, w, b], kernel_shape=kernel.shape[2:], strides=[stride, stride], pads=pads,
            group=len(kernel) if depthwise else 1,
        )  # fmt: skip

    def relu(self, x):
        return self.node("Relu", f"{x}.relu", [x])

    def features(self, x):
        self.node("Flatten", "features", [self.node("GlobalAveragePool", "pool", [x])], axis=1)
        return self


class InvertedResiduals(Graph):
    """MobileNetV2 and EfficientNet-Lite0, which pad as TensorFlow's "same"."""

    def __init__(self, weights):
        super().__init__(weights, epsilon=1e-3)
        self.constant("zero", 0)
        self.constant("six", 6)

    def conv_same(self, x, layer, batch_norm, size, stride=1, clamp=True):
        """Convolution, batch norm, ReLU6 if clamp.  Returns the value and its side."""
        k, out = self.folded(layer, batch_norm)[0].shape[2], -(-size // stride)
        pad = max((out - 1) * stride + k - size, 0)  # the odd one goes to the bottom and right
        before, after = pad // 2, pad - pad // 2
        y = self.conv(x, layer, batch_norm, stride, [before, before, after, after])
        return (self.node("Clip", f"{layer}.relu6", [y, "zero", "six"]) if clamp else y), out

    def build(self, blocks, stem, head, prefix, suffix):
        """prefix(i) names block i, suffix its batch norms."""
        x, size = self.conv_same("input", *stem, peers_common.SIZE, stride=2)
        cin, index = 32, 0
        for expansion, _, cout, repeats, first_stride in blocks:
            for repeat in range(repeats):
                name, skip, stride = prefix(index), x, first_stride if repeat == 0 else 1
                if expansion != 1:
                    x, size = self.conv_same(x, f"{name}_expand", f"{name}_expand{suffix}", size)
                x, size = self.conv_same(x, f"{name}_depthwise", f"{name}_depthwise{suffix}", size, stride)
                x, size = self.conv_same(x, f"{name}_project", f"{name}_project{suffix}", size, clamp=False)
                if stride == 1 and cin == cout:
                    x = self.node("Add", f"{name}_add", [x, skip])
                cin, index = cout, index + 1
        return self.features(self.conv_same(x, *head, size)[0])


def mobilenet_v2(_path):
    shapes = features_seeded.mobilenet_v2_shapes()
    weights = {name: features_seeded.seeded_tensor(name, shape) for name, shape in shapes.items()}
    names = ("Conv1", "bn_Conv1"), ("Conv_1", "Conv_1_bn"), lambda i: f"block_{i}" if i else "expanded_conv", "_BN"
    return InvertedResiduals(weights).build(MOBILENET_V2_BLOCKS, *names)


def efficientnet_lite0(_path):
    weights = read_safetensors(ROOT / "weights" / "efficientnet_lite0.safetensors")
    names = ("stem_conv", "stem_bn"), ("head_conv", "head_bn"), lambda i: f"block_{i}", "_bn"
    return InvertedResiduals(weights).build(EFFICIENTNET_LITE0_BLOCKS, *names)


def resnet50(path):
    """Keras's: the stride of a stage is in the first 1x1 convolution of its first block, and all pads are explicit."""
    graph = Graph(read_safetensors(path), epsilon=1.001e-5)
    x = graph.relu(graph.conv("input", "conv1_conv", "conv1_bn", 2, [3, 3, 3, 3]))
    x = graph.node("MaxPool", "pool1_pool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    for stage, (_, blocks, stage_stride) in enumerate(RESNET50_STAGES, 2):
        for block in range(1, blocks + 1):
            name, skip, stride = f"conv{stage}_block{block}", x, stage_stride if block == 1 else 1
            x = graph.relu(graph.conv(x, f"{name}_1_conv", f"{name}_1_bn", stride))
            x = graph.relu(graph.conv(x, f"{name}_2_conv", f"{name}_2_bn", 1, [1, 1, 1, 1]))
            x = graph.conv(x, f"{name}_3_conv", f"{name}_3_bn")
            if block == 1:
                skip = graph.conv(skip, f"{name}_0_conv", f"{name}_0_bn", stride)
            x = graph.relu(graph.node("Add", f"{name}_add", [skip, x]))
    return graph.features(x)


def vgg16(path):
    graph, x = Graph(read_safetensors(path), epsilon=None), "input"
    for block, convolutions in enumerate(VGG16_BLOCKS, 1):
        for index in range(1, convolutions + 1):
            x = graph.relu(graph.conv(x, f"block{block}_conv{index}", None, 1, [1, 1, 1, 1]))
        x = graph.node("MaxPool", f"block{block}_pool", [x], kernel_shape=[2, 2], strides=[2, 2])
    return graph.features(x)


MODELS = {"mobilenet_v2": mobilenet_v2, "efficientnet_lite0": efficientnet_lite0, "resnet50": resnet50, "vgg16": vgg16}


def make_model(model, weights, height=peers_common.SIZE, width=peers_common.SIZE):
    """Sides may be names: any size."""
    graph = MODELS[model](weights)
    proto = helper.make_model(
        helper.make_graph(
            graph.nodes,
            model,
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", 3, height, width])],
            [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", graph.channels])],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="pomona bench/peers",
    )
    helper.set_model_props(proto, {"model": model})
    onnx.checker.check_model(proto, full_check=True)
    return proto


def golden_features(model):
    """(whose they are, features, pictures) as tests/golden has them."""
    stem = GOLDEN_STEMS[model]
    pictures = []
    with open(GOLDEN / f"{stem}.csv", newline="") as file:
        for row in csv.DictReader(file):
            pictures.append(FRUITS / row["path"])
            if hashlib.sha256(pictures[-1].read_bytes()).hexdigest() != row["sha256"]:
                sys.exit(f"{row['path']} is not the picture the golden features were made of")
    return "golden", np.load(GOLDEN / f"{stem}.npy"), pictures


def own_features(model, args):
    """(whose they are, features, pictures) by Pomona's cpu backend, which is the one timed."""
    found = sorted((FRUITS / "Training").rglob("*.jpg"), key=os.fsencode)
    pictures = found[:: -(-len(found) // OWN_PICTURES)]
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "features.npy"
        command = [args.pomona, "extract", *pictures, "--features", model, "--weights", args.weights]
        subprocess.run([*command, "--backend", "cpu", "-o", out, "-q"], check=True)
        return "of Pomona's own", np.load(out), pictures


def zoo_features(model):
    """(features, normalised pictures): Keras's of seeded pictures, of a size of its own."""
    start = 0
    with open(GOLDEN / "features_zoo.csv", newline="") as file:
        for row in csv.DictReader(file):
            size, count = (int(row["width"]), int(row["height"])), int(row["values"])
            names = row["network"], row["framework"], row["pooling"], row["layer"]
            if names == (model, "keras", "avg", ZOO_LAYERS[model]):
                break
            start += ZOO_PICTURES * count
        else:
            sys.exit(f"features_zoo.csv has no {ZOO_LAYERS[model]} of {model}")
    features = np.load(GOLDEN / "features_zoo.npy")[start : start + ZOO_PICTURES * count].reshape(ZOO_PICTURES, count)
    x = np.stack([features_seeded.seeded_picture(i, *size) for i in range(ZOO_PICTURES)]).astype(np.float32)
    x = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    peers_common.normalise(model, x)
    return features, x


def verify_zoo(model, args):
    """Hold the nodes, at another size, against Keras."""
    expected, x = zoo_features(model)
    proto = make_model(model, args.weights, "h", "w")
    session, _ = peers_common.open_session(proto.SerializeToString(), threads=2)
    worst = np.abs(session.run(["features"], {"input": x})[0] - expected).max() / np.abs(expected).max()
    if not worst <= TOLERANCE:
        args.output.unlink()
        sys.exit(f"{args.output}: off Keras's features by {worst:.2e} of the largest")
    return f"within {worst:.2e} of the largest golden feature at {x.shape[3]}x{x.shape[2]}"


def verify(model, args):
    """Hold the file against features, alone and in a batch; a line of text says how it went."""
    if not FRUITS.is_dir():
        return "NOT VERIFIED: no pictures (POMONA_FRUITS)"
    if model not in GOLDEN_STEMS and args.pomona is None:
        return "NOT VERIFIED: no golden features, and no --pomona to make some"
    whose, expected, pictures = golden_features(model) if model in GOLDEN_STEMS else own_features(model, args)
    rows = []
    for picture in pictures:
        image = Image.open(picture).convert("RGB").resize((peers_common.SIZE,) * 2, Image.Resampling.BICUBIC)
        rows.append(np.asarray(image, np.float32).transpose(2, 0, 1))
    x = np.stack(rows)
    peers_common.normalise(model, x)
    session, _ = peers_common.open_session(str(args.output), threads=2)
    batch = session.run(["features"], {"input": x})[0]
    single = np.concatenate([session.run(["features"], {"input": x[i : i + 1]})[0] for i in range(len(x))])
    worst = max(np.abs(y - expected).max() for y in (batch, single)) / np.abs(expected).max()
    if not worst <= TOLERANCE:
        args.output.unlink()
        sys.exit(f"{args.output}: off the {whose} features by {worst:.2e} of the largest")
    spread = np.abs(batch - single).max()
    return f"within {worst:.2e} of the largest {whose} feature, {len(x)} pictures, batch against single {spread:.1e}"


def main():
    parser = argparse.ArgumentParser(description="Write a network as an ONNX file and hold it against known features.")
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("output", type=pathlib.Path, help="the .onnx file to write")
    parser.add_argument("--weights", type=pathlib.Path, help="of resnet50 and vgg16: a file of pomona-seeded-weights")
    parser.add_argument("--pomona", help="the program, to hold resnet50 and vgg16 against")
    args = parser.parse_args()
    if args.weights is None and args.model not in GOLDEN_STEMS:
        parser.error(f"{args.model} needs --weights")
    onnx.save(make_model(args.model, args.weights), args.output)
    checks = [verify_zoo(args.model, args)] if args.model in ZOO_LAYERS else []
    checks.append(verify(args.model, args))
    print(f"{args.output.name}: {args.output.stat().st_size} bytes; {'; '.join(checks)}")


if __name__ == "__main__":
    main()
