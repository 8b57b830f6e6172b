"""Goldens of the single operations: PyTorch's convolutions and means in float64.

Reads the rows between BEGIN and END of tests/compute/cases.h, makes the same numbers as the C tests, and writes all outputs,
row after row, NHWC, to compute_ops.npy. Run with: pip install torch==2.15.0 numpy==2.4.6; python tests/golden/make_compute.py
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


def answer(kind, in_h, in_w, in_c, out_c, kh, kw, sh, sw, top, left, out_h, out_w, flags):
    x = bytes_of(SEED_INPUT, in_h, in_w, in_c) * SCALE + SHIFT if "B" in flags else values(SEED_INPUT, in_h, in_w, in_c)
    picture = torch.from_numpy(x).permute(2, 0, 1)[None]
    if kind == "POOL":
        y = picture.mean(dim=(2, 3), keepdim=True)
    else:
        bottom = (out_h - 1) * sh + kh - top - in_h
        right = (out_w - 1) * sw + kw - left - in_w
        padded = F.pad(picture, (left, right, top, bottom))  # a negative side is cut off
        if kind == "CONV":
            w = torch.from_numpy(values(SEED_WEIGHTS, kh, kw, in_c, out_c)).permute(3, 2, 0, 1)
        else:
            w = torch.from_numpy(values(SEED_WEIGHTS, kh, kw, in_c)).permute(2, 0, 1)[:, None]
        bias = torch.from_numpy(values(SEED_BIAS, out_c))
        y = F.conv2d(padded, w, bias, (sh, sw), groups=in_c if kind == "DEPTHWISE" else 1)
    if "R" in flags:
        y = y + picture
    if "C" in flags:
        y = y.clamp(0, 6)
    assert tuple(y.shape) == (1, out_c, out_h, out_w), (y.shape, out_c, out_h, out_w)
    return y[0].permute(1, 2, 0).contiguous().numpy().ravel()


def main():
    text = (HERE.parent / "compute" / "cases.h").read_text()
    text = text[text.index("/* BEGIN") : text.index("/* END")]
    rows = re.findall(r'\{"(\w+)", (\w+), ([\d, ]+), "(\w*)"\}', text)
    outputs = [answer(kind, *map(int, numbers.split(",")), flags) for _, kind, numbers, flags in rows]
    np.save(HERE / "compute_ops.npy", np.concatenate(outputs))
    print(f"{len(rows)} cases, {sum(map(len, outputs))} numbers, torch {torch.__version__}, numpy {np.__version__}")


if __name__ == "__main__":
    main()
