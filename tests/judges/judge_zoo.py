#!/usr/bin/env python3
"""Holds pomona's zoo against the libraries whose weights it takes. Usage: judge_zoo.py POMONA keras|torch [NETWORK...]

A network of the library with seeded weights is saved as its users save it, converted by `pomona weights convert`, run
by `pomona extract` and by the library on the same real pictures. Compared are the default features, then layers from
all over the network, flattened, down to the classifier. PyTorch answers in fp64; single values of a deep layer may lie
further from it than 1e-4 of the largest only if PyTorch's own fp32 does (random weights amplify rounding). Under Keras 2 (TensorFlow 2.15) the file is a legacy .h5, under Keras 3 a
.weights.h5 and the whole model as .h5. See README.md.
"""
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np

import judging
import make_models

PICTURES = 4
LAYERS = 9  # of a Keras model that are compared

# pomona's name: (Keras's, arguments, preprocessing, [(width, height, with classifier)])
SIZES = [(224, 224, True), (97, 131, False), (96, 96, False)]
KERAS = {
    "mobilenet_v2_0.35": ("MobileNetV2", {"alpha": 0.35}, "tf", SIZES),
    "mobilenet_v2_0.5": ("MobileNetV2", {"alpha": 0.5}, "tf", SIZES),
    "mobilenet_v2_0.75": ("MobileNetV2", {"alpha": 0.75}, "tf", SIZES),
    "mobilenet_v2": ("MobileNetV2", {"alpha": 1.0}, "tf", SIZES),
    "mobilenet_v2_1.3": ("MobileNetV2", {"alpha": 1.3}, "tf", SIZES),
    "mobilenet_v2_1.4": ("MobileNetV2", {"alpha": 1.4}, "tf", SIZES),
    "resnet50": ("ResNet50", {}, "caffe", [(224, 224, True), (97, 131, False), (50, 50, False)]),
    "vgg16": ("VGG16", {}, "caffe", [(224, 224, True), (97, 131, False), (50, 50, False)]),
    "vgg19": ("VGG19", {}, "caffe", [(224, 224, False), (97, 131, False)]),
}

MOBILENET = {"features.1": "expanded_conv_project_BN", "features.2": "block_1_project_BN", "features.8": "block_7_add",
             "features.17": "block_16_project_BN", "features.18": "out_relu", "classifier.1": "predictions/logits"}
TIMM_MOBILENET = {"blocks.0": "expanded_conv_project_BN", "blocks.1": "block_2_add", "blocks.3": "block_9_add",
                  "blocks.6": "block_16_project_BN", "bn2": "out_relu", "classifier": "predictions/logits"}
RESNET = {"layer1": "conv2_block3_out", "layer2": "conv3_block4_out", "layer3": "conv4_block6_out",
          "layer4": "conv5_block3_out", "fc": "predictions/logits"}
VGG16 = {"features.9": "block2_pool", "features.16": "block3_pool", "features.30": "block5_pool",
         "classifier.1": "fc1", "classifier.4": "fc2", "classifier.6": "predictions/logits"}
VGG19 = {"features.9": "block2_pool", "features.18": "block3_pool", "features.36": "block5_pool",
         "classifier.4": "fc2", "classifier.6": "predictions/logits"}
LITE = {"blocks.0": "block_0_project_bn", "blocks.2": "block_4_add", "blocks.6": "block_15_project_bn",
        "bn2": "head_relu", "classifier": "predictions/logits"}
# (library, its network, arguments, pomona's name, {module: layer}, sizes). The two Lites look alike: convert is told which.
TORCH = [
    ("torchvision", "mobilenet_v2", {}, "mobilenet_v2", MOBILENET, [(224, 224), (97, 131)]),
    ("torchvision", "mobilenet_v2", {"width_mult": 0.5}, "mobilenet_v2_0.5", MOBILENET, [(224, 224)]),
    ("torchvision", "mobilenet_v2", {"width_mult": 1.4}, "mobilenet_v2_1.4", MOBILENET, [(160, 160)]),
    ("torchvision", "resnet50", {}, "resnet50", RESNET, [(224, 224), (97, 131), (50, 50)]),
    ("torchvision", "vgg16", {}, "vgg16", VGG16, [(224, 224)]),
    ("torchvision", "vgg19", {}, "vgg19", VGG19, [(224, 224)]),
    ("timm", "mobilenetv2_100", {}, "mobilenet_v2", TIMM_MOBILENET, [(224, 224), (97, 131)]),
    ("timm", "mobilenetv2_050", {}, "mobilenet_v2_0.5", TIMM_MOBILENET, [(224, 224)]),
    ("timm", "resnet50", {}, "resnet50", RESNET, [(224, 224), (97, 131)]),
    ("timm", "efficientnet_lite0", {}, "efficientnet_lite0", LITE, [(224, 224), (97, 131)]),
    ("timm", "tf_efficientnet_lite0", {}, "efficientnet_lite0", LITE, [(224, 224)]),
]

failed = 0


def line(source, network, size, what, answer, note, tolerance=judging.TOLERANCE):
    global failed
    passed = answer is not None and answer < tolerance
    failed += not passed
    cell = f"{answer:.1e}" if answer is not None else "-"
    print(f"| {source} | {network} | {size} | {what} | {cell} | {'pass' if passed else 'FAIL'} | {note} |", flush=True)


def convert(source, target, *options):
    command = [pomona, "weights", "convert", source, "-o", target, *options]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, errors="replace")
    if done.returncode != 0:
        raise judging.Refused(done.returncode, done.stderr)


def compare(source, network, weights, paths, size, preprocess, features, layers, noise=None):
    """`features` [n, k] and `layers` {pomona's name: [n, ...]} as the library has them; channels last. `noise`: how far
    the library's own fp32 lies from these values of a layer, if they are more exact."""
    shown = "%dx%d" % size
    options = ["--features", network, "--weights", weights, "--size", shown, "--resize", "bicubic", "--backend", "cpu"]
    try:
        started = time.monotonic()
        rows, record = judging.extract(pomona, paths, *options)
        seconds = time.monotonic() - started
        used = record["preprocess"]["name"]
        line(source, network, shown, f"default features ({rows.shape[1]})", judging.difference(rows, features),
             f"{record['layers'][0]['layer']}, {used}, {seconds:.1f} s")
        if used != preprocess:
            line(source, network, shown, "preprocessing", None, f"{used}, not {preprocess}")
        words = [word for name in layers for word in ("--layer", name)]
        rows, _ = judging.extract(pomona, paths, *options, *words, "--pool", "none")
    except judging.Refused as refusal:
        line(source, network, shown, "extract", None, refusal)
        return
    flat = {name: values.reshape(len(paths), -1) for name, values in layers.items()}
    if rows.shape[1] != sum(part.shape[1] for part in flat.values()):
        line(source, network, shown, "layers", None, f"{rows.shape[1]} columns")
        return
    edges = np.cumsum([0] + [part.shape[1] for part in flat.values()])
    answers = {name: judging.difference(rows[:, a:b], part) for (name, part), a, b in zip(flat.items(), edges, edges[1:])}
    tolerances = {name: max(judging.TOLERANCE, 2 * noise[name] if noise else 0) for name in answers}
    worst = max(answers, key=lambda name: answers[name] / tolerances[name])
    for name in answers:
        if name == worst or not answers[name] < tolerances[name]:
            note = f"{name}" + (f"; the library's own fp32 {noise[name]:.1e}" if noise else "")
            what = f"worst of {len(answers)} layers, unpooled ({rows.shape[1]})" if name == worst else "and"
            line(source, network, shown, what, answers[name], note, tolerances[name])


def save_keras(model, folder, network):
    """{kind: path}, as users of this Keras write weights."""
    import keras

    if keras.__version__.startswith("2."):
        files = {"legacy .h5": folder / f"{network}.h5"}
        model.save_weights(files["legacy .h5"])
    else:
        files = {".weights.h5": folder / f"{network}.weights.h5", "whole model .h5": folder / f"{network}.whole.h5"}
        model.save_weights(files[".weights.h5"])
        model.save(files["whole model .h5"])
    return files


def judge_keras(network, folder, pictures):
    import keras
    import tensorflow as tf

    name, arguments, preprocess, cases = KERAS[network]
    library = f"Keras {keras.__version__}"
    for width, height, classifier in cases:
        options = dict(arguments, include_top=classifier)
        model = make_models.seeded_keras_network(name, options, preprocess, (height, width, 3))
        x = judging.prepare(pictures, preprocess, (width, height))
        inner = [layer for layer in model.layers if not isinstance(layer, tf.keras.layers.InputLayer)]
        chosen = [inner[i] for i in sorted({round(i * (len(inner) - 1) / (LAYERS - 1)) for i in range(LAYERS)})]
        last = next(layer for layer in reversed(inner) if len(layer.output.shape) == 4)
        outputs = [layer.output for layer in chosen]
        *values, features = tf.keras.Model(model.input, outputs + [last.output])(x, training=False)
        layers = {layer.name: np.asarray(value) for layer, value in zip(chosen, values)}
        for kind, path in save_keras(model, folder, network).items():
            weights = folder / "converted.safetensors"
            try:
                convert(path, weights)
            except judging.Refused as refusal:
                line(f"{library}, {kind}", network, "", "convert", None, refusal)
                continue
            finally:
                path.unlink()
            compare(f"{library}, {kind}", network, weights, pictures, (width, height), preprocess,
                    np.asarray(features).mean(axis=(1, 2), dtype=np.float64), layers)
            weights.unlink()


def judge_torch(case, folder, pictures):
    import safetensors.torch
    import torch

    library, name, arguments, network, modules, sizes = case
    preprocess = "lite" if name.startswith("tf_") else "torch"  # as convert decides for what it was told
    source = " ".join([library, name, *(str(value) for value in arguments.values())])
    model = make_models.seeded_torch_network(library, name, **arguments)
    path, weights = folder / "torch.safetensors", folder / "converted.safetensors"
    safetensors.torch.save_file({key: value.contiguous() for key, value in model.state_dict().items()}, path)
    try:
        convert(path, weights, *(["--network", name] if name.endswith("lite0") else []))
    except judging.Refused as refusal:
        line(source, network, "", "convert", None, refusal)
        return
    finally:
        path.unlink()
    seen = {}
    for module, layer in modules.items():
        model.get_submodule(module).register_forward_hook(lambda _, __, value, layer=layer: seen.__setitem__(layer, value))

    def run(dtype, size):
        with torch.inference_mode():
            model.to(dtype)(torch.from_numpy(judging.prepare(pictures, preprocess, size).transpose(0, 3, 1, 2).copy()).to(dtype))
        return {layer: np.moveaxis(value.numpy(), 1, -1) if value.ndim == 4 else value.numpy() for layer, value in seen.items()}

    for size in sizes:
        single, layers = run(torch.float32, size), run(torch.float64, size)
        if network.startswith("vgg") and size != (224, 224):
            layers = {layer: value for layer, value in layers.items() if value.ndim == 4}
        noise = {layer: judging.difference(single[layer], value) for layer, value in layers.items()}
        last = [value for value in layers.values() if value.ndim == 4][-1]
        compare(source, network, weights, pictures, size, preprocess, last.mean(axis=(1, 2)), layers, noise)
    weights.unlink()


pomona, library, only = sys.argv[1], sys.argv[2], sys.argv[3:]
pictures = judging.sample(judging.FRUITS / "Test", PICTURES)
if not pictures:
    sys.exit("no pictures")
print("| source | network | size | what | difference | | |\n|---|---|---|---|---|---|---|")
with tempfile.TemporaryDirectory() as scratch:
    if library == "keras":
        for network in only or KERAS:
            judge_keras(network, pathlib.Path(scratch), pictures)
    else:
        for case in TORCH:
            if not only or case[1] in only:
                judge_torch(case, pathlib.Path(scratch), pictures)
sys.exit(failed > 0)
