#!/usr/bin/env python3
"""What bench/words.py describes and clusters, as raw bytes.

    make_words.py pictures OUT FILE...       grey pictures [n, height, width], by Pillow; all of one size
    make_words.py descriptors OUT COUNT      [COUNT, 128]: 1000 random centres, one of them and noise for each row
"""
import os
import pathlib
import sys

import numpy as np
from PIL import Image

CENTRES, BLOCK, NOISE = 1000, 100_000, 48


def pictures(out, paths):
    for path in paths:
        out.write(np.asarray(Image.open(path).convert("L")).tobytes())


def descriptors(out, count):
    random = np.random.default_rng(1)
    centres = random.integers(0, 256 - NOISE, (CENTRES, 128), np.uint8)
    for first in range(0, count, BLOCK):
        n = min(BLOCK, count - first)
        out.write((centres[random.integers(0, CENTRES, n)] + random.integers(0, NOISE, (n, 128), np.uint8)).tobytes())


what, path, *rest = sys.argv[1:]
partial = pathlib.Path(path + ".partial")
with open(partial, "wb") as file:
    if what == "pictures":
        pictures(file, rest)
    else:
        descriptors(file, int(*rest))
os.replace(partial, path)
