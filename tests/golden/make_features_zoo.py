#!/usr/bin/env python3
"""Make the golden features of the zoo: what Keras and torchvision say of seeded weights on seeded pictures.

A heavy judge like make_features.py, run by hand: see features_README.md.  Weights and pictures come from
features_seeded.py, so nothing is downloaded and every network, width and size can be asked.  The judges compute in fp64:
with random weights their fp32 answers are up to half a tolerance off, and that is printed.

Writes features_zoo.csv (a line per layer: network, framework, width, height, pooling, layer, values), features_zoo.npy
(the values, line after line, of every picture) and features_zoo_tensors.csv (the tensors of every network in Keras's
order, as a hash; networks named as arguments are also listed).
"""
import concurrent.futures
import csv
import hashlib
import importlib.metadata
import multiprocessing
import os
import pathlib
import re
import sys

import numpy as np

import features_seeded

HERE = pathlib.Path(__file__).resolve().parent
PICTURES = 2

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
import keras  # noqa: E402

MOBILENETS = {"mobilenet_v2": 1.0, **{f"mobilenet_v2_{a}": a for a in (0.35, 0.5, 0.75, 1.3, 1.4)}}
OTHERS = {"resnet50": "ResNet50", "vgg16": "VGG16", "vgg19": "VGG19"}

# network, framework, (width, height), pooling, layers.  Sizes: one that halves evenly as long as it can, odd ones, and
# pipeline B's 50x50.  Layers: before and inside activations, beside an addition, before it, padding, the classifier.  No
# maximum over many pixels at the end of a MobileNet: fp32 itself is then 5e-5 off with random weights, and no judge.
CASES = [
    ("resnet50", "keras", (50, 50), "none", ["conv5_block3_out"]),
    ("resnet50", "keras", (97, 131), "avg", ["conv1_conv", "conv2_block1_0_bn", "conv3_block4_add", "conv4_block1_1_conv", "avg_pool", "predictions/logits"]),
    ("resnet50", "keras", (97, 131), "max", ["conv1_pad", "pool1_pad", "conv5_block3_out"]),
    ("vgg16", "keras", (48, 33), "avg", ["block1_conv1", "block3_conv2/linear", "block5_pool"]),
    ("vgg16", "keras", (101, 70), "none", ["block5_pool"]),
    ("vgg19", "keras", (33, 47), "max", ["block2_pool", "block5_conv4", "block5_pool"]),
    ("vgg19", "keras", (64, 96), "avg", ["block4_conv4/linear", "block5_pool"]),
    ("mobilenet_v2", "keras", (225, 225), "avg", ["out_relu"]),
    ("mobilenet_v2_0.35", "keras", (64, 64), "avg", ["block_1_pad", "block_5_project_BN", "block_5_add", "out_relu", "predictions"]),
    ("mobilenet_v2_0.35", "keras", (97, 131), "avg", ["out_relu"]),
    ("mobilenet_v2_0.35", "keras", (97, 131), "max", ["Conv1_relu", "block_13_depthwise"]),
    ("mobilenet_v2_1.4", "keras", (96, 32), "avg", ["out_relu"]),
    ("mobilenet_v2_1.4", "keras", (33, 51), "max", ["block_6_depthwise_relu", "out_relu"]),
    ("resnet50", "torch", (64, 64), "avg", ["conv2_block1_3_bn", "conv3_block1_0_bn", "conv5_block3_out", "predictions/logits"]),
    ("resnet50", "torch", (97, 131), "max", ["conv1_relu", "pool1_pool", "conv4_block1_2_conv", "conv5_block3_out"]),
    ("mobilenet_v2", "torch", (64, 64), "avg", ["block_3_depthwise", "out_relu", "predictions/logits"]),
    ("mobilenet_v2", "torch", (97, 131), "avg", ["Conv1", "block_16_project_BN", "out_relu"]),
]


def pictures(size):
    """u8 [PICTURES, h, w, 3]."""
    return np.stack([features_seeded.seeded_picture(i, *size) for i in range(PICTURES)])


def pool(x, pooling):
    """[n, h, w, c] or [n, c] to rows."""
    if x.ndim == 2 or pooling == "none":
        return x.reshape(len(x), -1)
    return x.mean(axis=(1, 2)) if pooling == "avg" else x.max(axis=(1, 2))


# ------------------------------------------------------------------------------------------------------------- Keras --


def keras_model(network, size, dtype="float32", top=True):
    """With seeded weights; `size` is (width, height)."""
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)  # floatx alone leaves the policy of the first model in force
    options = {"weights": None, "input_shape": (size[1], size[0], 3), "include_top": top}
    if network in MOBILENETS:
        return keras.applications.MobileNetV2(alpha=MOBILENETS[network], **options)
    return getattr(keras.applications, OTHERS[network])(**options)


def tensor_name(layer, weight):
    """Keras 3 calls a depthwise kernel just "kernel"; the files of trained weights say "depthwise_kernel"."""
    return f"{layer.name}/{'depthwise_' if isinstance(layer, keras.layers.DepthwiseConv2D) else ''}{weight.name}"


def seed(model):
    for layer in model.layers:
        if layer.weights:
            layer.set_weights([features_seeded.seeded_tensor(tensor_name(layer, w), tuple(w.shape)) for w in layer.weights])


def keras_layer(model, name):
    """The symbolic output of a layer; of NAME/linear and NAME/logits what NAME's activation is applied to."""
    name, _, part = name.partition("/")
    layer = model.get_layer(name)
    if not part:
        return layer.output
    apply = keras.ops.matmul if isinstance(layer, keras.layers.Dense) else layer.convolution_op
    return keras.ops.add(apply(layer.input, layer.kernel), layer.bias)


def keras_preprocess(network, x):
    module = keras.applications.mobilenet_v2 if network in MOBILENETS else getattr(keras.applications, network)
    return module.preprocess_input(x)


def ask_keras(network, size, layers, dtype):
    model = keras_model(network, size, dtype, top=any(name.startswith(("predictions", "avg_pool")) for name in layers))
    seed(model)
    inner = keras.Model(model.input, [keras_layer(model, name) for name in layers])
    answers = inner(keras_preprocess(network, pictures(size).astype(dtype)), training=False)
    return [np.asarray(answer) for answer in (answers if isinstance(answers, (list, tuple)) else [answers])]


# ------------------------------------------------------------------------------------------------------- torchvision --


def torch_module(network, layer):
    """torchvision's name of a layer of ours."""
    fixed = {
        "resnet50": {"conv1_conv": "conv1", "conv1_bn": "bn1", "conv1_relu": "relu", "pool1_pool": "maxpool", "predictions": "fc"},
        "mobilenet_v2": {"Conv1": "features.0.0", "bn_Conv1": "features.0.1", "Conv_1": "features.18.0", "Conv_1_bn": "features.18.1",
                         "out_relu": "features.18", "predictions": "classifier.1"},
    }[network]
    if layer in fixed:
        return fixed[layer]
    if network == "resnet50":
        stage, block, part = re.fullmatch(r"conv(\d)_block(\d)_(.*)", layer).groups()
        prefix = f"layer{int(stage) - 1}.{int(block) - 1}"
        parts = {"0_conv": ".downsample.0", "0_bn": ".downsample.1", "out": ""}
        return prefix + parts.get(part, f".{part[2:]}{part[0]}")
    block, part, bn = re.fullmatch(r"(?:block_(\d+)|expanded_conv)_(expand|depthwise|project)(_BN)?", layer).groups()
    at = {"expand": 0, "depthwise": 1 if block else 0, "project": 2 if block else 1}[part]
    tail = f"{at + 1 if bn else at}" if part == "project" else f"{at}.{1 if bn else 0}"
    return f"features.{int(block or 0) + 1}.conv.{tail}"


def ask_torch(network, size, layers, dtype):
    import torch
    import torchvision

    model = getattr(torchvision.models, network)(weights=None).eval()
    state = {name: None for name in model.state_dict() if not name.endswith("num_batches_tracked")}
    parts = {"kernel": "weight", "depthwise_kernel": "weight", "bias": "bias", "gamma": "weight", "beta": "bias",
             "moving_mean": "running_mean", "moving_variance": "running_var"}
    for layer in keras_model(network, (224, 224)).layers:
        for weight in layer.weights:
            name, part = tensor_name(layer, weight).rsplit("/", 1)
            target = f"{torch_module(network, name)}.{parts[part]}"
            if target not in state:  # a bias beside a BatchNorm
                assert network == "resnet50" and part == "bias", target
                continue
            x = features_seeded.seeded_tensor(f"{name}/{part}", tuple(weight.shape))
            order = {"kernel": (3, 2, 0, 1) if x.ndim == 4 else (1, 0), "depthwise_kernel": (2, 3, 0, 1)}
            state[target] = torch.from_numpy(np.ascontiguousarray(x.transpose(order[part]) if part in order else x))
    assert all(tensor is not None for tensor in state.values())
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected and all(name.endswith("num_batches_tracked") for name in missing)

    model = model.to(getattr(torch, dtype))
    x = (pictures(size) / 255 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    seen = {}
    for layer in layers:
        module = model.get_submodule(torch_module(network, layer.partition("/")[0]))
        # A ReLU works in place on what its BatchNorm gave, and one module may stand in several places: the first counts.
        module.register_forward_hook(lambda _m, _i, out, layer=layer: seen.setdefault(layer, out.clone()) is None or None)
    with torch.inference_mode():
        model(torch.from_numpy(x.transpose(0, 3, 1, 2).astype(dtype)))
    return [np.moveaxis(seen[layer].numpy(), 1, -1) for layer in layers]


def ask_torch_aside(*arguments):
    """In a process of its own: TensorFlow and torch each bring an LLVM, and those quarrel."""
    os.environ["KERAS_BACKEND"] = "torch"
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool_of_one:
        return pool_of_one.submit(ask_torch, *arguments).result()


# -------------------------------------------------------------------------------------------------------------- main --


def write_features():
    values = []
    with open(HERE / "features_zoo.csv", "w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["network", "framework", "width", "height", "pooling", "layer", "values"])
        for network, framework, size, pooling, layers in CASES:
            ask = ask_keras if framework == "keras" else ask_torch_aside
            single, double = (ask(network, size, layers, dtype) for dtype in ("float32", "float64"))
            for layer, x, exact in zip(layers, single, double):
                x, exact = pool(x, pooling), pool(exact, pooling)
                assert x.dtype == np.float32 and exact.dtype == np.float64
                rows.writerow([network, framework, *size, pooling, layer, x.shape[1]])
                values.append(exact.ravel())
                print(
                    f"{network} {framework} {size[0]}x{size[1]} {pooling} {layer}: {x.shape[1]} values, mean {x.mean():.4g}, "
                    f"std {x.std():.4g}, largest {np.abs(x).max():.4g}, between pictures {np.abs(x[0] - x[1]).max():.2g}, "
                    f"|fp32 - fp64| / largest {np.abs(x - exact).max() / np.abs(exact).max():.1e}"
                )
    np.save(HERE / "features_zoo.npy", np.concatenate(values).astype("<f4"))


def write_tensors():
    """Lines "NAME d0xd1x...", all of one class of layers after the other; a hash of each list."""
    classes = [keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.BatchNormalization, keras.layers.Dense]
    with open(HERE / "features_zoo_tensors.csv", "w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["network", "classifier", "tensors", "sha256"])
        for network in [*MOBILENETS, *OTHERS]:
            for top in False, True:
                model = keras_model(network, (224, 224), top=top)
                lines = [
                    f"{tensor_name(layer, weight)} {'x'.join(str(extent) for extent in weight.shape)}\n"
                    for kind in classes
                    for layer in model.layers
                    if type(layer) is kind
                    for weight in layer.weights
                ]
                assert len(lines) == sum(len(layer.weights) for layer in model.layers)
                rows.writerow([network, int(top), len(lines), hashlib.sha256("".join(lines).encode()).hexdigest()])
                if network in sys.argv[1:]:
                    print("".join(lines))


def main():
    write_tensors()
    write_features()
    for package in "keras", "tensorflow-cpu", "torch", "torchvision":
        print(package, importlib.metadata.version(package))


if __name__ == "__main__":
    main()
