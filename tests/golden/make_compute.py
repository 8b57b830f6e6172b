"""Goldens of the single operations: PyTorch's own, in float64.

Reads the rows between BEGIN and END of tests/compute/cases.h, makes the same numbers as the C tests, and writes all outputs,
row after row, NHWC, to compute_ops.npy. Run with: pip install torch==2.15.0 numpy==2.4.6; python tests/golden/make_compute.py
Copies are NumPy's as_strided. Windows are cut from a picture that was padded by hand, because PyTorch pads no more than half
a window; wherever it can do the same by itself, both are compared.
"""

import pathlib
import re

import numpy as np
import torch
import torch.nn.functional as F

HERE = pathlib.Path(__file__).resolve().parent
SEED_INPUT, SEED_WEIGHTS, SEED_BIAS = 1, 2, 3
SCALE = np.array([0.0171, 0.0175, 0.0174], np.float32).astype(np.float64)
SHIFT = np.array([-2.118, -2.036, -1.804], np.float32).astype(np.float64)


def mix(seed, count):
    with np.errstate(over="ignore"):
        z = (np.uint64(seed << 32) ^ np.arange(count, dtype=np.uint64)) + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def values(seed, *shape):
    z = (mix(seed, int(np.prod(shape))) >> np.uint64(40)).astype(np.int64) - (1 << 23)
    return (z / float(1 << 23)).reshape(shape)


def bytes_of(seed, *shape):
    return (mix(seed, int(np.prod(shape))) >> np.uint64(56)).astype(np.float64).reshape(shape)


def f32(text):
    return float(np.float32(float(text)))


def options(text):
    words = {}
    for word in text.split():
        key, _, value = word.partition("=")
        words[key] = value
    return "".join(k for k in words if k.isupper()), words


def padded(picture, row, words, value=0.0):
    """The picture as its windows see it: padded, or cut where no window looks."""
    dh, dw = dilation(words)
    bottom = (row["oh"] - 1) * row["sh"] + (row["kh"] - 1) * dh + 1 - row["top"] - row["h"]
    right = (row["ow"] - 1) * row["sw"] + (row["kw"] - 1) * dw + 1 - row["left"] - row["w"]
    return F.pad(picture, (row["left"], right, row["top"], bottom), value=value)


def dilation(words):
    return tuple(map(int, words.get("dilation", "1x1").split("x")))


def convolution(picture, row, words):
    groups = row["c"] if row["kind"] == "DEPTHWISE" else int(words.get("groups", 1))
    if row["kind"] == "DEPTHWISE":
        w = torch.from_numpy(values(SEED_WEIGHTS, row["kh"], row["kw"], row["c"])).permute(2, 0, 1)[:, None]
    else:
        w = torch.from_numpy(values(SEED_WEIGHTS, row["kh"], row["kw"], row["c"] // groups, row["oc"])).permute(3, 2, 0, 1)
    bias = torch.from_numpy(values(SEED_BIAS, row["oc"]))
    return F.conv2d(padded(picture, row, words), w, bias, (row["sh"], row["sw"]), 0, dilation(words), groups)


def max_pool(picture, row, words):
    kernel, stride = (row["kh"], row["kw"]), (row["sh"], row["sw"])
    y = F.max_pool2d(padded(picture, row, words, -np.inf), kernel, stride, 0, dilation(words))
    compare_pools(F.max_pool2d, y, picture, row, dilation=dilation(words))
    return y


def average_pool(picture, row, words):
    kernel, stride, counts = (row["kh"], row["kw"]), (row["sh"], row["sw"]), "count" in words
    sums = F.avg_pool2d(padded(picture, row, words), kernel, stride, divisor_override=1)
    ones = torch.ones_like(picture)
    if counts:
        below, beside = map(int, words["count"].split("x"))
        ones = F.pad(ones, (row["left"], beside, row["top"], below), value=1.0)
        row = dict(row, h=row["h"] + row["top"] + below, w=row["w"] + row["left"] + beside, top=0, left=0)
    y = sums / F.avg_pool2d(padded(ones, row, words), kernel, stride, divisor_override=1)
    if not counts:
        compare_pools(F.avg_pool2d, y, picture, row, count_include_pad=False)
    elif below == beside == row["pads"][0] == row["pads"][1]:
        compare_pools(F.avg_pool2d, y, picture, dict(row, top=below, left=beside), count_include_pad=True)
    return y


compared = 0


def compare_pools(pool, y, picture, row, **how):
    """With PyTorch's own padding and rounding of sizes, where it has them."""
    global compared
    if 2 * row["top"] > row["kh"] or 2 * row["left"] > row["kw"]:
        return
    for ceil in False, True:
        own = pool(picture, (row["kh"], row["kw"]), (row["sh"], row["sw"]), (row["top"], row["left"]), ceil_mode=ceil, **how)
        if own.shape == y.shape:
            assert torch.allclose(own, y, rtol=1e-12, atol=1e-14), row
            compared += 1


def multiply(picture, row, words):
    shape = tuple(map(int, words["factor"].split("x")))
    x = picture[0].permute(1, 2, 0)
    factor = x.flatten().flip(0)[: int(np.prod(shape))].reshape(shape)
    return (x * factor).permute(2, 0, 1)[None]


def copy(picture, row, words):
    n = list(map(int, words["copy"].split(",")))
    x = picture[0].permute(1, 2, 0).contiguous().numpy().ravel()
    y = np.full(row["oh"] * row["ow"] * row["oc"], np.nan)
    view = np.lib.stride_tricks.as_strided
    view(y[n[7] :], n[0:3], [8 * s for s in n[8:11]])[:] = view(x[n[3] :], n[0:3], [8 * s for s in n[4:7]])
    return torch.from_numpy(y.reshape(row["oh"], row["ow"], row["oc"])).permute(2, 0, 1)[None]


def softmax(picture, row, words):
    return torch.softmax(picture, 1)


def lrn(picture, row, words):
    size, alpha, beta, bias = (float(v) for v in words["lrn"].split(":"))
    # PyTorch's window of an even size has its longer half before the channel, ONNX's and ours behind it.
    return F.local_response_norm(picture.flip(1), int(size), f32(alpha), f32(beta), f32(bias)).flip(1)


def layer_norm(picture, row, words):
    c = row["c"]
    weights, bias = torch.from_numpy(values(SEED_WEIGHTS, c)), torch.from_numpy(values(SEED_BIAS, c))
    return F.layer_norm(picture.permute(0, 2, 3, 1), (c,), weights, bias, f32(words["epsilon"])).permute(0, 3, 1, 2)


def resize(picture, row, words):
    size = row["oh"], row["ow"]
    if words["taps"] == "nearest":
        return F.interpolate(picture, size, mode="nearest")
    return F.interpolate(picture, size, mode="bilinear", align_corners=words["taps"] == "corners")


KINDS = {
    "CONV": convolution,
    "DEPTHWISE": convolution,
    "POOL": lambda picture, row, words: picture.mean(dim=(2, 3), keepdim=True),
    "MAX_POOL": max_pool,
    "AVERAGE_POOL": average_pool,
    "MULTIPLY": multiply,
    "COPY": copy,
    "SOFTMAX": softmax,
    "LRN": lrn,
    "LAYER_NORM": layer_norm,
    "RESIZE": resize,
}

ACTIVATIONS = {
    "none": lambda v, alpha: v,
    "sigmoid": lambda v, alpha: torch.sigmoid(v),
    "tanh": lambda v, alpha: torch.tanh(v),
    "silu": lambda v, alpha: F.silu(v),
    "hard_swish": lambda v, alpha: F.hardswish(v),
    "gelu": lambda v, alpha: F.gelu(v),
    "gelu_tanh": lambda v, alpha: F.gelu(v, approximate="tanh"),
    "leaky_relu": F.leaky_relu,
    "elu": F.elu,
    "softplus": lambda v, alpha: F.softplus(v, threshold=1e9),
    "mish": lambda v, alpha: v * torch.tanh(F.softplus(v, threshold=1e9)),
}

FIELDS = ("h", "w", "c", "oc", "kh", "kw", "sh", "sw", "top", "left", "oh", "ow")


def answer(kind, numbers, text):
    row = dict(zip(FIELDS, numbers), kind=kind, pads=numbers[8:10])
    flags, words = options(text)
    shape = row["h"], row["w"], row["c"]
    x = bytes_of(SEED_INPUT, *shape) * SCALE + SHIFT if "B" in flags else values(SEED_INPUT, *shape)
    picture = torch.from_numpy(x * float(words.get("scale", 1))).permute(2, 0, 1)[None]
    y = KINDS[kind](picture, row, words)
    if "R" in flags:
        y = y + picture
    name, _, alpha = words.get("act", "none").partition(":")
    y = ACTIVATIONS[name](y, f32(alpha or 0))
    if "C" in flags:
        y = y.clamp(0, 6)
    assert tuple(y.shape) == (1, row["oc"], row["oh"], row["ow"]), (y.shape, row)
    y = y[0].permute(1, 2, 0).contiguous().numpy().ravel()
    assert np.isfinite(y).all(), row
    return y


def main():
    text = (HERE.parent / "compute" / "cases.h").read_text()
    text = text[text.index("/* BEGIN") : text.index("/* END")]
    rows = re.findall(r'\{"(\w+)", (\w+), ([\d, ]+), "([^"]*)"\}', text)
    outputs = [answer(kind, tuple(map(int, numbers.split(","))), words) for _, kind, numbers, words in rows]
    assert len(rows) == text.count("    {") and compared >= 10
    np.save(HERE / "compute_ops.npy", np.concatenate(outputs))
    versions = f"torch {torch.__version__}, numpy {np.__version__}"
    print(f"{len(rows)} cases, {compared} pools twice, {sum(map(len, outputs))} numbers, {versions}")


if __name__ == "__main__":
    main()
