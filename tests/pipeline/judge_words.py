"""Does the table say how many keypoints a picture has? Usage: judge_words.py POMONA ORCHARD

The column `keypoints` of sift and orb against the rows of --save-keypoints, picture by picture, with some that have none:
in every format, whole and in parts, standardised and projected. What reads tables takes it; pixels have no such column.
Versions: requirements.txt.
"""
import collections
import csv
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

KINDS = ("csv", "npy", "parquet")


def check(good, *what):
    if not good:
        sys.exit(" ".join(map(str, what)))


def pomona(*arguments, code=0, says=""):
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)
    check(done.returncode == code and says in done.stderr, arguments, "exit code", done.returncode, done.stderr)


def lines(path):
    with open(path, newline="") as file:
        return list(csv.reader(file, strict=True))


def read(path, width):
    """{path: keypoints} and the features of a table that has such a column."""
    if path.suffix == ".parquet":
        table = pq.read_table(path)
        check(table.schema.names == ["path", "label", "keypoints", "features"], path, table.schema)
        check(table.schema.field("keypoints").type == pa.int32(), path, table.schema)
        counts = dict(zip(table["path"].to_pylist(), table["keypoints"].to_pylist()))
        return counts, np.array(table["features"].to_pylist(), np.float32)
    names = ["path", "label", "keypoints"]
    if path.suffix == ".npy":
        rows = lines(f"{path}.index.csv")
        check(rows[0] == names, path, rows[0])
        features = np.load(path)
    else:
        rows = lines(path)
        check(rows[0] == names + [f"f{i}" for i in range(width)], path, rows[0])
        features = np.array([row[3:] for row in rows[1:]], np.float64).astype(np.float32)
    return {row[0]: int(row[2]) for row in rows[1:]}, features


def judge(pictures, name, options, width, wanted, features):
    """The same counts and rows in every format, as one file and as parts, and verify believes them."""
    for kind in KINDS:
        one, parts = work / f"{name}.{kind}", work / f"{name}-{kind}"
        pomona("extract", pictures, "-o", one, *options)
        pomona("extract", pictures, "-o", f"{parts}/", *options, "--format", kind, "--parts", "3")
        counts, values = read(one, width)
        check(counts == wanted, one, "has other keypoints than were saved")
        check(features is None or np.array_equal(values, features), one, "has other features")
        features = values
        tables = [read(part, width) for part in sorted(parts.glob(f"part-*.{kind}"))]
        check(len(tables) == 3 and {k: v for table in tables for k, v in table[0].items()} == wanted, parts)
        check(np.array_equal(np.concatenate([table[1] for table in tables]), values), parts, "has other features")
        for output in (one, parts):
            pomona("verify", output, "-q")
        record = json.loads((parts / "_record.json").read_text())
        check(record["table"] == record["plan"]["table"] == {"values": "float32", "keypoints": True}, record["table"])
        for table in ({"values": "float32", "keypoints": False}, {"values": "float32"}, None) if kind != "parquet" else ():
            (parts / "_record.json").write_text(json.dumps({**record, "table": table} if table else
                                                           {k: v for k, v in record.items() if k != "table"}))
            pomona("verify", parts, code=7, says="damaged")
    return features


program = sys.argv[1]
with tempfile.TemporaryDirectory() as temporary:
    work = pathlib.Path(temporary)
    subprocess.run([sys.argv[2], str(work / "jpeg"), "--kinds", "3", "--views", "3"], check=True, capture_output=True)
    for blank in ("0.png", "m/1.png", "z.png"):
        (work / "jpeg" / blank).parent.mkdir(exist_ok=True)
        Image.new("RGB", (40, 30), (10, 200, 30)).save(work / "jpeg" / blank)
    for method in ("sift", "orb"):
        words = ["--features", method, "--words", "5", "--keypoints", "40", "-q"]
        saved = work / f"{method}.saved.csv"
        pomona("extract", work / "jpeg", "-o", work / f"{method}.first.csv", *words, "--save-keypoints", saved)
        found = lines(saved)
        check(found[0][:3] == ["path", "label", "f0"], "the table of keypoints has another header", found[0][:4])
        seen = collections.Counter(row[0] for row in found[1:])
        wanted = {row[0]: seen[row[0]] for row in lines(work / f"{method}.first.csv")[1:]}
        check(len(wanted) == 12 and 3 <= list(wanted.values()).count(0) < 12 and len(set(wanted.values())) > 3, wanted)
        rows = judge(work / "jpeg", method, words, 5, wanted, None)
        check([row.sum() for row in rows] == list(wanted.values()), "the words of a row are not its keypoints")
        judge(work / "jpeg", f"{method}-pca", [*words, "--standardize", "--pca", "2"], 2, wanted, None)
        record = json.loads((work / f"{method}.npy.record.json").read_text())
        blank = [key for key, count in wanted.items() if count == 0]
        check(record["blank"] == blank and record["counts"]["blank"] == len(blank), record["blank"])
        pomona("reduce", work / f"{method}.npy", "--index", work / f"{method}.npy.index.csv", "-o", work / "reduced.csv",
               "--pca", "2", "-q", "--overwrite")
        check([row[0] for row in lines(work / "reduced.csv")[1:]] == list(wanted), "reduce takes no such index")
    pomona("extract", work / "jpeg", "-o", work / "pixels.csv", "--features", "pixels", "--size", "2", "-q")
    check(lines(work / "pixels.csv")[0][:3] == ["path", "label", "f0"], "pixels have keypoints")
    check(not json.loads((work / "pixels.csv.record.json").read_text())["table"]["keypoints"], "pixels have keypoints")
    print("keypoints of 12 pictures in 24 tables, of sift and of orb")
