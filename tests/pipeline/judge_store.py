"""What does the package safetensors read in our projections and moments? Usage: judge_store.py TEST_STORE

The files of `test_store FOLDER` are held, bit for bit, against the same numbers made here. safetensors 0.8.0.
"""
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile

try:
    import numpy as np
    from safetensors import safe_open
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

D, K = 5, 3


def numbers(tensor, *shape):
    count = int(np.prod(shape))
    return ((np.arange(count) * 37 + tensor * 11) % 101 / 7.0 + 0.25).reshape(shape)


def judge(path, file_format, record, tensors):
    with safe_open(path, framework="np") as file:
        metadata = file.metadata()
        read = {name: file.get_tensor(name) for name in file.keys()}
    assert set(metadata) == {"format", "version", "pomona", "record", "sha256"}, metadata
    blank = path.read_bytes().replace(metadata["sha256"].encode(), b"0" * 64, 1)
    assert hashlib.sha256(blank).hexdigest() == metadata["sha256"], metadata
    assert metadata["format"] == file_format and metadata["version"] == "1", metadata
    told = json.loads(metadata["record"])
    features = told.pop("features")
    assert told == record, told
    assert features["weights"] == '/w/a "quoted" ü.safetensors' and features["preprocess"]["width"] == 224, features
    assert features["preprocess"]["scale"][0] == 0.017507003247737885, features
    assert set(read) == set(tensors), set(read)
    for name, expected in tensors.items():
        assert read[name].dtype == np.float64 and read[name].shape == expected.shape, (name, read[name])
        assert read[name].tobytes() == expected.tobytes(), (name, read[name], expected)


mean, shift, scale = numbers(0, D), numbers(1, D), numbers(2, D)
mean[1], mean[3], shift[0], scale[2] = -0.0, np.finfo(np.float64).max, -5e-324, np.inf
scaler = {"mean": mean, "shift": shift, "scale": scale, "explained_variance": numbers(4, 0),
          "explained_ratio": numbers(5, 0), "spectrum": numbers(6, 0)}
full = scaler | {"explained_variance": numbers(4, K), "explained_ratio": numbers(5, K), "spectrum": numbers(6, 4),
                 "components": numbers(3, K, D)}
diagonal = {"origin": mean, "offset": shift, "squares": numbers(7, D)}
record = {"n": 10, "d": D, "k": K, "with_mean": False, "with_std": True, "compat": "spark", "total_variance": 1 / 3,
          "constant_columns": 1, "solver": "block Lanczos"}
with tempfile.TemporaryDirectory() as folder:
    subprocess.run([sys.argv[1], folder], check=True)
    where = pathlib.Path(folder)
    judge(where / "full.proj", "pomona.projection", record, full)
    judge(where / "scaler.proj", "pomona.projection", record | {"k": 0, "solver": None}, scaler)
    judge(where / "full.moments", "pomona.moments", {"n": 1 << 40, "d": D},
          diagonal | {"m2": np.triu(numbers(8, D, D))})
    judge(where / "diagonal.moments", "pomona.moments", {"n": 1 << 40, "d": D}, diagonal)
print("4 files read as they were written")
