"""What does Pillow say to --features pixels? Usage: judge_pixels.py POMONA ORCHARD

Every value of every row is Pillow's, to the bit: each filter, each size, colour and grey, bytes and what a preprocessing
makes of them; generated JPEG pictures, and PNG ones of every mode that Pillow writes. Bytes are bytes in every format,
in one file, in parts and after a run that broke off, and what reads tables takes them. Versions: requirements.txt.
"""
import csv
import itertools
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

FILTERS = {"nearest": Image.Resampling.NEAREST, "bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def check(good, *what):
    if not good:
        sys.exit(" ".join(map(str, what)))


def pomona(*arguments, code=0, says=""):
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)
    check(done.returncode == code and says in done.stderr, arguments, "exit code", done.returncode, done.stderr)


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
        check(values.dtype == np.dtype("|u1"), *options, "are", values.dtype)
        for key, row in zip(keys, values, strict=True):
            good = pillow(pictures / key, size, how, gray)
            check(np.array_equal(row, good), key, *options, "differs from Pillow's in", np.count_nonzero(row != good))
            judged += 1
        _, unit = rows(pictures, *options, "--preprocess", "unit")
        check(unit.dtype == np.float32, *options, "--preprocess unit are", unit.dtype)
        check(np.array_equal(unit, (values / 255).astype(np.float32)), *options, "--preprocess unit")
    return judged


def read(path):
    """Values of a table, which must be bytes."""
    if path.suffix == ".npy":
        values = np.load(path)
        check(values.dtype.str == "|u1", path, "holds", values.dtype)
        return values
    if path.suffix == ".parquet":
        table = pq.read_table(path)
        check(table.schema.field("features").type.value_type == pa.uint8(), path, table.schema)
        element = pq.ParquetFile(path).schema.column(2)
        check((element.physical_type, element.converted_type) == ("INT32", "UINT_8"), path, element)
        return np.array(table["features"].to_pylist(), np.uint8)
    with open(path, newline="") as file:
        lines = list(csv.reader(file, strict=True))[1:]
    values = np.array([[int(text) for text in line[2:]] for line in lines])
    check([line[2:] for line in lines] == values.astype(str).tolist(), path, "is not integers alone")
    check(values.min() >= 0 and values.max() <= 255, path, "holds what is no byte")
    return values.astype(np.uint8)


def kind_of(record):
    return json.loads(record)["table"]["values"]


def judge_formats(pictures):
    """The same bytes in every format, with a picture left out, whole and after a run that broke off at it."""
    pixels = ["--features", "pixels", "--size", "7x31", "--resize", "nearest", "-q"]
    keys, good = rows(pictures, *pixels[2:])
    (pictures / "zz.png").write_text("no picture")
    for kind in ("csv", "npy", "parquet"):
        one, parts, broken = work / f"one.{kind}", work / kind, work / f"broken-{kind}"
        form = [*pixels, "--format", kind, "--parts", "3"]
        pomona("extract", pictures, "-o", one, *pixels, code=1)
        pomona("extract", pictures, "-o", f"{parts}/", *form, code=1)
        pomona("extract", pictures, "-o", f"{broken}/", *form, "--on-error", "stop", code=3, says="zz.png")
        pomona("extract", pictures, "-o", f"{broken}/", *form[:-2], "--parts", "3", "--preprocess", "unit", "--resume",
               code=2, says="another job")
        pomona("extract", pictures, "-o", f"{broken}/", *form, "--resume", code=1)
        names = sorted(path.name for path in parts.glob("part-*"))
        for name in names:
            check((parts / name).read_bytes() == (broken / name).read_bytes(), name, "differs after --resume")
        check(np.array_equal(read(one), good), one)
        files = [parts / name for name in names if name.endswith(kind)]
        check(len(files) == 3 and np.array_equal(np.concatenate([read(file) for file in files]), good), parts)
        record = (parts / "_record.json").read_text()
        check(kind_of(record) == json.loads(record)["plan"]["table"]["values"] == "uint8", "the record of", parts)
        for output in (one, parts, broken):
            pomona("verify", output, "-q")
        # A record that says otherwise is not that of these arrays; one that says nothing is of an older version: floats.
        unlike, none = "its header", "its table is none"
        wrong = [({"values": "float32", "keypoints": False}, unlike), ({"values": "int8", "keypoints": False}, none),
                 ({"keypoints": False}, none), ({"values": "uint8"}, none), (None, unlike)]
        for table, says in wrong if kind == "npy" else ():
            changed = {**json.loads(record), "table": table}
            if table is None:
                del changed["table"]
            (parts / "_record.json").write_text(json.dumps(changed))
            pomona("verify", parts, code=7, says=says)
        (parts / "_record.json").write_text(record)
    pomona("extract", pictures, "-o", work / "unit.csv", *pixels, "--preprocess", "unit", code=1)
    check(kind_of((work / "unit.csv.record.json").read_text()) == "float32", "unit")
    return good, pixels


def judge_statistics(pictures, good, pixels):
    """What is fitted or projected is floats, of bytes as of the same numbers as floats; moments alone leave bytes."""
    np.save(work / "floats.npy", good.astype("<f4"))
    for name, source in (("a", "one.npy"), ("b", "floats.npy")):
        pomona("reduce", work / source, "-o", work / f"{name}.npy", "--index", work / "one.npy.index.csv", "--pca", "3",
               "--standardize", "--save-moments", work / f"{name}.moments", "-q")
    check((work / "a.npy").read_bytes() == (work / "b.npy").read_bytes(), "reduce makes other numbers of bytes")
    pomona("merge", work / "a.moments", work / "b.moments", "--standardize", "--pca", "3", "--save-projection",
           work / "merged.projection")
    pomona("reduce", work / "one.npy", "-o", work / "merged.npy", "--projection", work / "merged.projection", "-q")
    pomona("extract", pictures, "-o", work / "kept.npy", *pixels, "--save-moments", work / "kept.moments", code=1)
    check(np.array_equal(read(work / "kept.npy"), good), "--save-moments changes the bytes")
    for name, more in (("fitted", ["--standardize", "--save-projection", work / "p"]),
                       ("projected", ["--projection", work / "p"])):
        pomona("extract", pictures, "-o", work / f"{name}.npy", *pixels, *more, code=1)
        check(np.load(work / f"{name}.npy").dtype == np.float32, name)
        check(kind_of((work / f"{name}.npy.record.json").read_text()) == "float32", name)
        pomona("verify", work / f"{name}.npy", "-q")
    check((work / "fitted.npy").read_bytes() == (work / "projected.npy").read_bytes(), "the projection is another one")


program = sys.argv[1]
with tempfile.TemporaryDirectory() as temporary:
    work = pathlib.Path(temporary)
    (work / "modes").mkdir()
    make_modes(work / "modes")
    subprocess.run([sys.argv[2], str(work / "jpeg"), "--kinds", "3", "--views", "3"], check=True, capture_output=True)
    judged = judge(work / "modes") + judge(work / "jpeg")
    judge_statistics(work / "jpeg", *judge_formats(work / "jpeg"))
    check(judged == 18 * 15, "only", judged, "rows were judged")
    print(judged, "rows are Pillow's to the bit")
