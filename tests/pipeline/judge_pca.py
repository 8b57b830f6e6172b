"""What do scikit-learn and pyarrow say to pomona extract? Usage: judge_pca.py POMONA ORCHARD FRUITS [--short]

Rows: features without statistics, standardised and projected by scikit-learn in fp64, are held against the tables that
pomona standardised and projected itself. Files: names of any bytes, as Python's csv module and pyarrow read them.
Where there is no folder FRUITS (the real pictures) generated ones are taken.
"""
import csv
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import pyarrow.parquet as pq
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler


def extract(source, out, *options, code=0):
    command = [pomona, "extract", source, "-o", out, "-q", "--backend", "cpu", *options]
    done = subprocess.run(command, capture_output=True)
    if done.returncode != code:
        sys.exit(f"{command}: exit code {done.returncode}\n{done.stderr.decode()}")


def fix_signs(table, components):
    """Our rule: the entry of largest magnitude of a component is positive, among equals (to 1e-6) the first."""
    size = np.abs(components)
    first = np.argmax(size >= size.max(axis=1, keepdims=True) * (1 - 1e-6), axis=1)
    return table * np.sign(components[np.arange(len(components)), first])


def judge(name, raw, out, standardize, components):
    expected, ratios = raw.astype(np.float64), None
    if standardize:
        expected = StandardScaler().fit_transform(expected)
    if components:
        pca = PCA(n_components=components, svd_solver="full").fit(expected)
        expected, ratios = fix_signs(pca.transform(expected), pca.components_), pca.explained_variance_ratio_
    got = np.load(out)
    record = json.loads(pathlib.Path(f"{out}.record.json").read_text())
    if got.shape != expected.shape:
        sys.exit(f"{name}: shape {got.shape}, not {expected.shape}")
    error = np.abs(got - expected).max() / np.abs(expected).max()
    ratio_error = 0.0
    if ratios is not None:
        ours = np.array(record["statistics"]["explained_variance_ratio"])
        ratio_error = np.abs(ours - ratios).max()
    print(f"{name}: {got.shape[0]} x {got.shape[1]}, values to {error:.1e} of the largest, ratios to {ratio_error:.1e}")
    if not (error <= 1e-5 and ratio_error <= 1e-6):
        sys.exit(f"{name}: not what scikit-learn says")


def statistics(source, limit, work, *cases):
    """Each case: standardize, components."""
    raw = work / f"raw{limit}.npy"
    extract(source, raw, "--limit", str(limit))
    for standardize, components in cases:
        out = work / f"{limit}-{standardize}-{components}.npy"
        options = ["--standardize"] * standardize + (["--pca", str(components)] if components else [])
        extract(source, out, "--limit", str(limit), *options)
        judge(f"{limit} pictures {' '.join(options)}", np.load(raw), out, standardize, components)


NAMES = [b"plain.jpg", b"a space.jpg", b'a"quote.jpg', b"a,comma.jpg", b"a\nline.jpg", b"back\\slash.jpg",
         b"not\xff\xfeUTF-8.jpg", "ümlaut.jpg".encode(), b'la,"bel/\xe6\x97.jpg']


def escape(name):
    """Bytes that are no UTF-8 become \\xHH, a backslash two."""
    return "".join(f"\\x{ord(c) - 0xdc00:02X}" if 0xdc80 <= ord(c) <= 0xdcff else c
                   for c in name.replace(b"\\", b"\\\\").decode(errors="surrogateescape"))


def names(picture, work):
    root = work / "nämes"
    for name in NAMES:
        path = bytes(root) + b"/" + name
        pathlib.Path(path.rpartition(b"/")[0].decode()).mkdir(exist_ok=True, parents=True)
        with open(path, "wb") as file:
            file.write(picture.read_bytes())
    with open(bytes(root) + b"/bad,\n\xff.jpg", "wb"):
        pass
    expected = [(escape(n), 'la,"bel' if b"/" in n else "nämes") for n in sorted(NAMES)]
    for ending in ("npy", "csv", "parquet"):
        extract(root, work / f"names.{ending}", code=1)
        rejects = list(csv.reader(open(work / f"names.{ending}.rejects.csv", newline="", encoding="utf-8")))
        assert rejects[0] == ["path", "stage", "reason"] and len(rejects) == 2, rejects
        assert rejects[1][:2] == [escape(b"bad,\n\xff.jpg"), "decode"], rejects
    values = np.load(work / "names.npy")
    index = list(csv.reader(open(work / "names.npy.index.csv", newline="", encoding="utf-8")))
    assert [tuple(row) for row in index[1:]] == expected, index
    rows = list(csv.reader(open(work / "names.csv", newline="", encoding="utf-8")))
    assert rows[0] == ["path", "label"] + [f"f{i}" for i in range(values.shape[1])]
    assert [tuple(row[:2]) for row in rows[1:]] == expected
    assert np.array([row[2:] for row in rows[1:]], dtype=np.float32).tobytes() == values.tobytes()
    table = pq.read_table(work / "names.parquet")
    assert list(zip(table["path"].to_pylist(), table["label"].to_pylist())) == expected
    assert np.array(table["features"].to_pylist(), dtype=np.float32).tobytes() == values.tobytes()
    record = json.loads(table.schema.metadata[b"pomona.record"])
    assert record["counts"] == {"listed": 10, "rows": 9, "rejects": 1, "width": 1280, "skipped": 0, "duplicates": 0}
    assert record["input"]["sources"] == [str(root)]
    print(f"names: {len(expected)} rows are the same in npy, CSV and Parquet")


pomona, orchard = sys.argv[1:3]
with tempfile.TemporaryDirectory() as folder:
    work = pathlib.Path(folder)
    subprocess.run([orchard, work / "orchard", "--kinds", "40", "--views", "35"], check=True, capture_output=True)
    test = train = work / "orchard" / "Training"
    fruits = pathlib.Path(os.environ.get("POMONA_FRUITS", sys.argv[3]))
    if fruits.is_dir():
        test, train = fruits / "Test", fruits / "Training"
    else:
        print("the real pictures are not here: generated ones instead")
    names(next(test.rglob("*.jpg")), work)
    statistics(test, 150, work, (True, 50), (True, 0.9), (False, 30), (True, 0))
    if "--short" in sys.argv:
        print("more rows than columns: left out, this build is slow")
    else:
        statistics(train, 1300, work, (True, 100))  # the way through the covariance
