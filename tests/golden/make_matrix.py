"""Makes matrix_*.npy, matrix_one.npz and matrix_index.csv: tables as NumPy saves them, an index as csv writes it.

Value j of row i is (7 i + j) / 3, rounded to the type; of bytes, rounded down. Made with numpy 2.4.6 and Python 3.11; deterministic.
"""
import csv
import pathlib

import numpy as np

HERE = pathlib.Path(__file__).parent
ROWS, COLUMNS = 4, 3
INDEX = [
    ("a/1.jpg", "a", "0"),
    ('b, "c"/2.jpg', 'b, "c"', "x,y"),
    ("two\nlines.jpg", "two\r\nlines", '"'),
    ("grün/é.jpg", "", ""),
]

values = (7.0 * np.arange(ROWS)[:, None] + np.arange(COLUMNS)) / 3.0
for name, array, version in [
    ("f4", values.astype(np.float32), (1, 0)),
    ("f8", values, (1, 0)),
    ("f8_v2", values, (2, 0)),
    ("f4_v3", values.astype(np.float32), (3, 0)),
    ("u1", values.astype(np.uint8), (1, 0)),
    ("no_rows", values[:0], (1, 0)),
    ("fortran", np.asfortranarray(values), (1, 0)),
    ("vector", values[0], (1, 0)),
    ("scalar", np.float32(1), (1, 0)),
    ("cube", values[None], (1, 0)),
    ("no_columns", values[:, :0], (1, 0)),
    ("f2", values.astype(np.float16), (1, 0)),
    ("big_endian", values.astype(">f4"), (1, 0)),
    ("integers", values.astype(np.int64), (1, 0)),
    ("complex", values.astype(np.complex64), (1, 0)),
    ("objects", values.astype(object), (1, 0)),
    ("records", np.zeros((2, 2), [("a", "<f4"), ("b", "<f4")]), (1, 0)),
]:
    with open(HERE / f"matrix_{name}.npy", "wb") as file:
        np.lib.format.write_array(file, np.asanyarray(array), version)
np.savez(HERE / "matrix_one.npz", values)
with open(HERE / "matrix_index.csv", "w", encoding="utf-8-sig", newline="") as file:
    csv.writer(file).writerows([("path", "label", "other"), *INDEX])
