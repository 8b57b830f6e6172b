"""pomona verify on outputs in a bucket of moto's, damaged there by boto3. Usage: check_verify.py POMONA

The records themselves are held against hashlib, csv, NumPy and pyarrow first: they are what verify believes.
"""

import csv
import hashlib
import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import pyarrow.parquet as pq

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "s3"))
import serving  # noqa: E402
from moto_server import Moto  # noqa: E402

POMONA = sys.argv[1]
ROWS, REJECTS, WIDTH = 9, 2, 3
OUTPUTS = ["t.csv", "t.npy", "t.parquet", "csv/", "npy/", "parquet/"]


class Bucket:
    def __init__(self, moto):
        self.client, self.name = moto.client(), moto.bucket
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        self.environment |= {"AWS_EC2_METADATA_DISABLED": "true", **moto.environment()}
        self.whole = {}

    def names(self):
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name)
        return [found["Key"] for page in pages for found in page.get("Contents", [])]

    def read(self, key):
        return self.client.get_object(Bucket=self.name, Key=key)["Body"].read()

    def put(self, key, data):
        self.client.put_object(Bucket=self.name, Key=key, Body=data)

    def remove(self, key):
        self.client.delete_object(Bucket=self.name, Key=key)

    def restore(self):
        for key in set(self.names()) - self.whole.keys():
            self.remove(key)
        for key, data in self.whole.items():
            self.put(key, data)

    def run(self, *words, code=0, says="", **environment):
        """The message, which is one line; exit code and a part of it must be these."""
        done = subprocess.run([POMONA, *words], capture_output=True, env=self.environment | environment, timeout=120)
        text = done.stderr.decode()
        assert (done.returncode, done.stdout) == (code, b"") and says in text, (words, done.returncode, code, text)
        return text

    def verify(self, output, code=0, says="", **environment):
        text = self.run("verify", f"s3://{self.name}/{output}", code=code, says=says, **environment)
        assert text.count("\n") == 1, text
        return text


def make(bucket):
    matrix = np.arange((ROWS + REJECTS) * WIDTH, dtype=np.float32).reshape(-1, WIDTH) ** 1.5
    matrix[3, 1], matrix[7, 0] = np.nan, np.inf
    with tempfile.TemporaryDirectory(prefix="pomona-verify-") as folder:
        np.save(f"{folder}/x.npy", matrix)
        for name in OUTPUTS:
            form = ["--format", name[:-1], "--parts", "3"] if name.endswith("/") else []
            bucket.run("reduce", f"{folder}/x.npy", "-o", f"s3://{bucket.name}/{name}", "--standardize", "-q", *form,
                       "--backend", "cpu", code=1)
    bucket.whole = {key: bucket.read(key) for key in bucket.names()}


def rows_of(name, data):
    if name.endswith(".csv"):
        return len(list(csv.reader(io.StringIO(data.decode(), newline=""), strict=True))) - 1
    if name.endswith(".npy"):
        return len(np.load(io.BytesIO(data)))
    return pq.ParquetFile(io.BytesIO(data)).metadata.num_rows


def check_records(bucket):
    hashes = 0
    for name in OUTPUTS:
        if name == "t.parquet":
            meta = pq.ParquetFile(io.BytesIO(bucket.whole[name])).metadata.metadata
            data = bucket.whole[name]
            start = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
            own = meta[b"pomona.footer.sha256"]
            assert meta[b"pomona.sha256"].decode() == hashlib.sha256(data[:start]).hexdigest()
            assert own.decode() == hashlib.sha256(data[start:-8].replace(own, b"0" * 64)).hexdigest()
            continue
        record = json.loads(bucket.whole[f"{name}_record.json" if name.endswith("/") else f"{name}.record.json"])
        total = 0
        for file in record["files"]:
            data = bucket.whole[(name if name.endswith("/") else "") + file["name"]]
            assert file["bytes"] == len(data), file
            hashed_from = file.get("sha256_from", 0)  # the header of an array is written last
            assert hashed_from == (128 if file["name"].endswith(".npy") else 0), file
            assert file["sha256"] == hashlib.sha256(data[hashed_from:]).hexdigest(), file
            assert file.get("rows", rows_of(file["name"], data)) == rows_of(file["name"], data), file
            assert ("rows" in file) != file["name"].endswith(".index.csv"), file
            total += file.get("rows", 0)
            hashes += 1
        assert total == ROWS == record["counts"]["rows"]
    return hashes


def check_whole(bucket):
    for name in OUTPUTS:
        text = bucket.verify(name, says=f"{ROWS} rows + {REJECTS} rejects = {ROWS + REJECTS} listed")
        assert "no checksum" not in text, text
        assert "work" not in text
    bucket.verify("csv", says="as recorded")
    bucket.verify("csv//", says="as recorded")
    assert bucket.run("verify", f"s3://{bucket.name}/csv/", "-q") == ""


def check_damage(bucket):
    """A bit of one byte in every place of every file with a checksum, of the same length as before."""
    flips = 0
    for key in ("t.csv", "t.npy", "t.npy.index.csv", "t.parquet", "npy/part-00001.npy", "csv/part-00001.csv",
                "parquet/part-00002.parquet"):
        output = key.split("/")[0] + "/" if "/" in key else key.removesuffix(".index.csv")
        data = bucket.whole[key]
        for at in range(0, len(data), 1 + len(data) // 12):
            bucket.put(key, data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1:])
            bucket.verify(output, 7, pathlib.Path(key).name)
            flips += 1
        bucket.put(key, data[:-1])
        bucket.verify(output, 7, "t.parquet is damaged" if key == "t.parquet" else "bytes and not")
        bucket.put(key, data)
    return flips


def check_files(bucket):
    for key, says in (("csv/part-00001.csv", "is not there"), ("csv/_record.json", "is not there"),
                      ("csv/_rejects.csv", "is not there"), ("npy/part-00000.npy.index.csv", "is not there"),
                      ("t.csv.record.json", "no run record"), ("t.csv.rejects.csv", "is not there")):
        bucket.remove(key)
        bucket.verify(key.split("/")[0] + "/" if "/" in key else "t.csv", 7, says)
        bucket.restore()
    for name in ("part-00003.csv", "extra.csv", "sub/extra.csv", "k=1/x", "sub/"):
        bucket.put(f"csv/{name}", b"path,label,f0,f1,f2\n")
        shown = name.split("/")[0] + "/" * ("/" in name)
        bucket.verify("csv/", 7, f"/csv/{shown} is there, but the record does not name it")
        bucket.restore()
    # This _temporary/ is no run's, and the last is a folder as consoles make them.
    for name in ("_notes", ".x/y", ".x/z", "_temporary/part", ""):
        bucket.put(f"csv/{name}", b"")
    bucket.verify("csv/", 0, "3 files are no part of the output, and readers pass over: ")
    bucket.restore()
    one, two = "parquet/part-00000.parquet", "parquet/part-00002.parquet"
    bucket.put(one, bucket.whole[two])
    bucket.put(two, bucket.whole[one])
    bucket.verify("parquet/", 7, "part-00000.parquet")
    bucket.restore()
    bucket.put("csv/_rejects.csv", bucket.whole["csv/_rejects.csv"] + b'x,matrix,"a\nb"\n')
    bucket.verify("csv/", 7, f"lists {REJECTS + 1} rejects")
    record = json.loads(bucket.whole["csv/_record.json"])
    record["counts"]["rows"] += 1
    bucket.put("csv/_record.json", json.dumps(record).encode())
    bucket.verify("csv/", 7, "does not add up")
    bucket.restore()
    del record["files"]
    record["counts"]["rows"] -= 1
    bucket.put("csv/_record.json", json.dumps(record).encode())
    bucket.verify("csv/", 0, "names no files")
    bucket.restore()


def check_unfinished(bucket):
    bucket.put("csv/_temporary/job.json", b"{}")
    bucket.verify("csv/", 0, "a run has left its work in s3://fruit/csv/_temporary")
    bucket.remove("csv/_SUCCESS")
    bucket.verify("csv/", 3, "--resume")
    bucket.restore()
    bucket.verify("none/", 3, "holds no output")
    bucket.verify("none.csv", 3)
    (port,) = serving.free_ports(1)
    nobody = f"http://127.0.0.1:{port}"
    bucket.verify("csv/", 5, AWS_ENDPOINT_URL_S3=nobody, AWS_ENDPOINT_URL=nobody, AWS_MAX_ATTEMPTS="1")


def main():
    with Moto() as moto:
        bucket = Bucket(moto)
        make(bucket)
        hashes = check_records(bucket)
        check_whole(bucket)
        flips = check_damage(bucket)
        check_files(bucket)
        check_unfinished(bucket)
        print(f"{hashes} hashes as hashlib has them, {flips} flips found")


serving.main(main)
