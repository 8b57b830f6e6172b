"""What the tests of weights share: the program, safetensors, files in Keras's layouts, and the names of real networks."""

import csv
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile

import h5py
import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "support"))
from running import run  # noqa: E402, F401

POMONA = pathlib.Path(sys.argv[1])
HDF5 = POMONA.with_name("pomona-hdf5")
GOLDEN = pathlib.Path(__file__).parent.parent / "golden"
FOLDER = tempfile.TemporaryDirectory(prefix="pomona-weights-")
WORK = pathlib.Path(FOLDER.name)
os.environ["XDG_CACHE_HOME"] = str(WORK / "cache")
os.environ.pop("POMONA_WEIGHTS_URL", None)
(WORK / "cache").mkdir()
CACHE = WORK / "cache" / "pomona" / "weights"


def pomona(*words, code=0, says=""):
    """Runs `pomona weights WORDS`; the exit code and a part of standard error must be these."""
    done = subprocess.run([POMONA, "weights", *map(str, words)], capture_output=True, text=True, timeout=300)
    assert done.returncode == code and says in done.stderr, (words, done.returncode, code, done.stdout, done.stderr)
    return done


def read_safetensors(data):
    """({name: array}, metadata, names in the order of the data)"""
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    metadata = header.pop("__metadata__", {})
    tensors, body, types = {}, data[8 + length :], {"F32": "<f4", "F16": "<f2"}
    order = sorted(header, key=lambda name: header[name]["data_offsets"])
    for name in order:
        begin, end = header[name]["data_offsets"]
        tensors[name] = np.frombuffer(body[begin:end], types[header[name]["dtype"]]).reshape(header[name]["shape"])
    return tensors, metadata, order


def write_safetensors(path, tensors, kind="F32"):
    """`tensors` in this order; with kind F16 or BF16 only the upper halves of float32 are kept for BF16."""
    header, parts, at = {"__metadata__": {"format": "pt"}}, [], 0
    for name, array in tensors.items():
        if kind == "F32" or array.dtype.kind != "f":
            data, dtype = array.tobytes(), "F32" if array.dtype.kind == "f" else "I64"
        elif kind == "F16":
            data, dtype = array.astype("<f2").tobytes(), "F16"
        elif kind == "F64":
            data, dtype = array.astype("<f8").tobytes(), "F64"
        else:
            data, dtype = (array.view("<u4") >> 16).astype("<u2").tobytes(), "BF16"
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [at, at + len(data)]}
        parts.append(data)
        at += len(data)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(parts))


def names_of(source, network):
    """[(tensor, shape)] of a real network in the order of its definition."""
    rows = []
    with open(GOLDEN / "weights_names.csv", newline="") as file:
        for row in csv.reader(file):
            if row[:2] == [source, network]:
                rows.append((row[2], tuple(int(n) for n in row[3].split("x") if n)))
    assert rows
    return rows


def values(rows, seed=1):
    """Different numbers for every tensor, cheap to make."""
    out = {}
    for i, (name, shape) in enumerate(rows):
        if name.endswith("num_batches_tracked"):
            out[name] = np.array(1, "<i8")
            continue
        size = int(np.prod(shape))
        out[name] = (np.arange(size, dtype="<f4") % 8191 * np.float32(2**-13) + np.float32(seed + i)).reshape(shape)
    return out


def keras_values(network, top=True, seed=1):
    """{LAYER/PART: array} with our names of parts, as Keras 3 orders its layers."""
    out = {}
    for name, array in values(names_of("keras", network), seed).items():
        layer, part = name.split("/")
        if not top and layer in ("predictions", "fc1", "fc2"):
            continue
        if part == "kernel" and array.ndim == 4 and array.shape[3] == 1:
            part = "depthwise_kernel"
        out[f"{layer}/{part}"] = array
    return out


def by_layer(tensors):
    layers = {}
    for name, array in tensors.items():
        layers.setdefault(name.split("/")[0], []).append((name.split("/")[1], array))
    return layers


def write_keras2(path, tensors, root="", split=0, rename=None):
    """The legacy layout, as weights_keras2.h5 has it; `split`: into so many attributes; `rename`: other layers' names."""
    with h5py.File(path, "w") as file:
        group = file.require_group(root) if root else file
        layers = by_layer(tensors)
        names = [(rename or {}).get(layer, layer) for layer in layers]
        if split:
            for i, part in enumerate(np.array_split(np.array(names, "S"), split)):
                group.attrs[f"layer_names{i}"] = part
        else:
            group.attrs["layer_names"] = np.array(names, "S")
        group.attrs["keras_version"] = b"2.2.4"
        for name, (layer, parts) in zip(names, layers.items()):
            own = group.create_group(name)
            own.attrs["weight_names"] = np.array([f"{name}/{part}:0" for part, _ in parts], "S")
            for part, array in parts:
                own.create_dataset(f"{name}/{part}:0", data=array)


CLASSES = {"gamma": "batch_normalization", "depthwise_kernel": "depthwise_conv2d"}


def write_keras3(path, tensors, named=True):
    """The layout of .weights.h5, as weights_keras3.weights.h5 has it."""
    counts = {}
    with h5py.File(path, "w") as file:
        for layer, parts in by_layer(tensors).items():
            kind = CLASSES.get(parts[0][0], "conv2d" if parts[0][1].ndim == 4 else "dense")
            number = counts.setdefault(kind, 0)
            counts[kind] += 1
            group = file.create_group(f"layers/{kind}{f'_{number}' if number else ''}/vars")
            if named:
                group.attrs["name"] = layer
            for i, (_, array) in enumerate(parts):
                group.create_dataset(str(i), data=array)


def same(got, wanted):
    assert got.keys() == wanted.keys(), sorted(got.keys() ^ wanted.keys())[:5]
    for name, array in wanted.items():
        assert got[name].shape == array.shape and np.array_equal(got[name], array), name
