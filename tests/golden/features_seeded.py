"""Network weights made of nothing but their names: every element follows from the tensor's name and its place.

A test of a network needs weights, and trained ones are 14 MB that nobody may commit.  These need no file: C and numpy
compute the same bits from the rule below, which `tests/golden/features_README.md` states in full.

  h = FNV-1a-64 of the tensor's name;  element i (row-major) takes the i-th output of splitmix64 started at h;
  its upper 24 bits are a fraction u in [0, 1);  value = float32(lo + (hi - lo) * u), in double, no fused operation.
"""
import math

import numpy as np

GOLDEN_RATIO = 0x9E3779B97F4A7C15


def fnv1a_64(text):
    h = 0xCBF29CE484222325
    for byte in text.encode():
        h = (h ^ byte) * 0x100000001B3 % 2**64
    return h


def range_of(name, shape):
    """(lo, hi) of a tensor, by the last part of its name.  kernel [kh, kw, cin, cout] or [cin, cout]; depthwise_kernel [kh, kw, c, 1]."""
    part = name.rsplit("/", 1)[1]
    if part in ("kernel", "depthwise_kernel"):
        fan_in = math.prod(shape[:2]) if part == "depthwise_kernel" else math.prod(shape[:-1])
        bound = math.sqrt(6.0 / fan_in)
        return -bound, bound
    return {
        "gamma": (0.8, 1.2),
        "beta": (-0.3, 0.3),
        "moving_mean": (-0.3, 0.3),
        "moving_variance": (0.5, 1.5),
        "bias": (-0.1, 0.1),
    }[part]


def seeded_tensor(name, shape):
    """The f32 tensor of this name and shape."""
    lo, hi = range_of(name, shape)
    with np.errstate(over="ignore"):  # arithmetic modulo 2^64 is meant
        place = np.arange(1, math.prod(shape) + 1, dtype=np.uint64)
        z = np.uint64(fnv1a_64(name)) + place * np.uint64(GOLDEN_RATIO)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    u = (z >> np.uint64(40)).astype(np.float64) / 2.0**24
    return (lo + (hi - lo) * u).astype(np.float32).reshape(shape)


# MobileNetV2, alpha 1.0: expansion, channels out, repeats, stride of the first.
MOBILENET_V2_BLOCKS = [
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
]


def mobilenet_v2_shapes():
    """{name: shape} of every tensor of Keras's MobileNetV2 with its classifier, in network order."""
    shapes = {}

    def conv(layer, batch_norm, shape, c, variable="kernel"):
        shapes[f"{layer}/{variable}"] = shape
        for part in ("gamma", "beta", "moving_mean", "moving_variance"):
            shapes[f"{batch_norm}/{part}"] = (c,)

    conv("Conv1", "bn_Conv1", (3, 3, 3, 32), 32)
    cin, index = 32, 0
    for expansion, cout, repeats, _ in MOBILENET_V2_BLOCKS:
        for _ in range(repeats):
            prefix = f"block_{index}" if index else "expanded_conv"
            c = cin * expansion
            if index:
                conv(f"{prefix}_expand", f"{prefix}_expand_BN", (1, 1, cin, c), c)
            conv(f"{prefix}_depthwise", f"{prefix}_depthwise_BN", (3, 3, c, 1), c, "depthwise_kernel")
            conv(f"{prefix}_project", f"{prefix}_project_BN", (1, 1, c, cout), cout)
            cin, index = cout, index + 1
    conv("Conv_1", "Conv_1_bn", (1, 1, cin, 1280), 1280)
    shapes["predictions/kernel"] = (1280, 1000)
    shapes["predictions/bias"] = (1000,)
    return shapes
