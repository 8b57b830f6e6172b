"""What does Pillow say to --features pixels? Usage: judge_pixels.py POMONA ORCHARD

Every value of every row is Pillow's, to the bit: each filter, each size, colour and grey, bytes and what a preprocessing
makes of them; generated JPEG pictures, and PNG ones of every mode that Pillow writes.  Versions: requirements.txt.
"""
import itertools
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image

FILTERS = {"nearest": Image.Resampling.NEAREST, "bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def check(good, *what):
    if not good:
        sys.exit(" ".join(map(str, what)))


def pomona(*arguments):
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)
    check(done.returncode == 0, arguments, "exit code", done.returncode, done.stderr)


def make_modes(folder):
    """A picture of every mode, of an odd size."""
    pixels = np.random.default_rng(5).integers(0, 256, (37, 53, 4), dtype=np.uint8)
    whole = Image.fromarray(pixels)
    for mode in ("RGB", "RGBA", "L", "LA", "P", "1"):
        whole.convert("RGB" if mode in ("P", "1") else "RGBA").convert(mode).save(folder / f"{mode}.png")


def rows(pictures, *options):
    out = work / "out.npy"
    pomona("extract", pictures, "-o", out, "-q", "--overwrite", "--features", "pixels", *options)
    names = (work / "out.npy.index.csv").read_text().splitlines()[1:]
    return [name.split(",")[0] for name in names], np.load(out)


def pillow(path, size, how, gray):
    picture = Image.open(path).convert("RGB")
    if gray:
        picture = picture.convert("L")
    return np.asarray(picture.resize(size, FILTERS[how])).ravel()


def judge(pictures):
    judged = 0
    for (how, gray, size) in itertools.product(FILTERS, (False, True), ((20, 20), (7, 31), (150, 90))):
        options = ["--size", f"{size[0]}x{size[1]}", "--resize", how, *(["--gray"] if gray else [])]
        keys, values = rows(pictures, *options)
        for key, row in zip(keys, values, strict=True):
            good = pillow(pictures / key, size, how, gray)
            check(np.array_equal(row, good), key, *options, "differs from Pillow's in", np.count_nonzero(row != good))
            judged += 1
        _, unit = rows(pictures, *options, "--preprocess", "unit")
        check(np.array_equal(unit, values * np.float32(1 / 255)), *options, "--preprocess unit")
    return judged


program = sys.argv[1]
with tempfile.TemporaryDirectory() as temporary:
    work = pathlib.Path(temporary)
    (work / "modes").mkdir()
    make_modes(work / "modes")
    subprocess.run([sys.argv[2], str(work / "jpeg"), "--kinds", "3", "--views", "3"], check=True, capture_output=True)
    judged = judge(work / "modes") + judge(work / "jpeg")
    check(judged == 18 * 15, "only", judged, "rows were judged")
    print(judged, "rows are Pillow's to the bit")
