"""Network weights and pictures made of nothing: every weight follows from its tensor's name and its place.

A test of a network needs weights, and trained ones are up to 500 MB that nobody may commit.  These need no file: C and
numpy compute the same bits from the rule below, which `tests/golden/features_README.md` states in full.

  h = FNV-1a-64 of the tensor's name;  element i (row-major) takes the i-th output of splitmix64 started at h;
  its upper 24 bits are a fraction u in [0, 1);  value = float32(lo + (hi - lo) * u), in double, no fused operation.
"""
import math

import numpy as np

GOLDEN_RATIO = 0x9E3779B97F4A7C15

# Layers that see bytes less a mean, not numbers near 1: smaller weights, or later biases would not show in the features.
# For the same reason what a residual block of ResNet50 adds (the BatchNorms "_3_bn") is small.
READS_BYTES = ("conv1_conv", "block1_conv1")


def fnv1a_64(text):
    h = 0xCBF29CE484222325
    for byte in text.encode():
        h = (h ^ byte) * 0x100000001B3 % 2**64
    return h


def splitmix64(state, count):
    """The first `count` outputs, u64."""
    with np.errstate(over="ignore"):  # arithmetic modulo 2^64 is meant
        z = np.uint64(state) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(GOLDEN_RATIO)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def range_of(name, shape):
    """(lo, hi) of a tensor, by its name.  kernel [kh, kw, cin, cout] or [cin, cout]; depthwise_kernel [kh, kw, c, 1]."""
    layer, part = name.rsplit("/", 1)
    if part in ("kernel", "depthwise_kernel"):
        fan_in = math.prod(shape[:2]) if part == "depthwise_kernel" else math.prod(shape[:-1])
        bound = math.sqrt(6.0 / fan_in)
        if layer in READS_BYTES:
            bound /= 16.0
        return -bound, bound
    if part == "gamma" and layer.endswith("_3_bn"):
        return 0.2, 0.3
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
    u = (splitmix64(fnv1a_64(name), math.prod(shape)) >> np.uint64(40)).astype(np.float64) / 2.0**24
    return (lo + (hi - lo) * u).astype(np.float32).reshape(shape)


def seeded_picture(index, width, height):
    """u8 [height, width, 3]: soft gradients that wrap around, noise in the middle."""
    y, x, c = np.mgrid[0:height, 0:width, 0:3]
    noise = (splitmix64(index, height * width * 3) >> np.uint64(56)).reshape(height, width, 3)
    in_patch = (x >= width // 4) & (x < width - width // 4) & (y >= height // 4) & (y < height - height // 4)
    return np.where(in_patch, noise, (3 * (c + 1) * x + 2 * (index + 2) * y + 50 * c + 37 * index) % 256).astype(np.uint8)


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
