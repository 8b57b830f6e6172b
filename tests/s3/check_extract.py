"""pomona extract from buckets and to buckets, end to end: the same bytes as from a disk, whatever happens on the way.

Usage: check_extract.py POMONA POMONA_ORCHARD moto|swift

moto is for breadth, Swift for truth. POMONA_S3_ROUNDS: how often a run is broken off at random (default 12, with the
slower Swift 4).
"""

import contextlib
import csv
import functools
import hashlib
import io
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import duckdb
import numpy
import pyarrow.dataset
import pyarrow.fs
import pyarrow.parquet

import moto_server
import serving
import swift
from faulty_proxy import FaultyProxy

OK, REJECTS, USAGE, MISSING, WRITE, GO_ON = range(6)  # exit codes
SMALL = ["--size", "64", "--backend", "cpu", "--threads", "2"]  # little to compute
ODD = ["a+b.jpg", "a%41.jpg", "a b.jpg", "사과/배.jpg", "x//y.jpg", "x/../z.jpg", "x/./z.jpg", "../up.jpg", "tab\tand\x01.jpg", "<&>\"'.jpg", "#?.jpg",
       "long/" + "n" * 240 + "/" + "m" * 240 + "/" + "o" * 240 + "/" + "p" * 235 + ".jpg", "UPPER.JPEG"]
HIDDEN = [".hidden.jpg", "x//.jpg", "x/.../a.jpg", "x/.git/a.jpg", ".lock", "text.txt", "folder/"]
SECRET, TOKEN = "canary/Secret+ofNobody5521", "canaryTokenOfNobody9913=="

lab = None


class Lab:
    """A server with pictures in it, the same pictures on a disk, and a folder for everything else."""

    def __init__(self, pomona, orchard, server, folder):
        self.pomona, self.server, self.folder = pomona, server, folder
        self.boto, self.bucket = server.client(), server.bucket
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")} | server.environment()
        self.environment["HOME"] = str(folder)
        subprocess.run([orchard, folder / "grown", "--kinds", "6", "--views", "10", "--size", "32"], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.disk = folder / "grown" / "Training"
        (self.disk / "empty.jpg").write_bytes(b"")
        (self.disk / "page.jpg").write_bytes(b"<!DOCTYPE html><html>")
        self.pictures = sorted(self.disk.rglob("*.jpg"))
        for path in self.pictures:
            self.put(f"pics/{path.relative_to(self.disk)}", path.read_bytes())

    def uri(self, key):
        return f"s3://{self.bucket}/{key}"

    def put(self, key, data):
        self.boto.put_object(Bucket=self.bucket, Key=key, Body=data)

    def get(self, key):
        return self.boto.get_object(Bucket=self.bucket, Key=key)["Body"].read()

    def keys(self, prefix):
        pages = self.boto.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return [entry["Key"].removeprefix(prefix) for page in pages for entry in page.get("Contents", [])]

    def uploads(self, prefix):
        entries = self.boto.list_multipart_uploads(Bucket=self.bucket, Prefix=prefix).get("Uploads", [])
        return [entry["Key"] for entry in entries if entry["Key"].startswith(prefix)]

    def output(self, prefix):
        """What readers get of a folder, but for the record, which holds times."""
        keys = [key for key in self.keys(prefix) if not key.startswith("_temporary/") and key != "_record.json"]
        return {key: hashlib.sha256(self.get(prefix + key)).hexdigest() for key in keys}

    def start(self, *words, **environment):
        return subprocess.Popen([self.pomona, *map(str, words)], env=self.environment | environment, cwd=self.folder,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def run(self, *words, code=OK, says="", **environment):
        child = self.start(*words, **environment)
        out, err = child.communicate(timeout=300)
        text = err.decode(errors="replace")
        codes = code if isinstance(code, tuple) else (code,)
        assert child.returncode in codes, f"{words}: exit code {child.returncode}, not {code}\n{text}"
        assert says in text, f"{words}: it does not say {says!r}\n{text}"
        return out + err

    def extract(self, source, output, *words, code=REJECTS, **more):
        return self.run("extract", source, "-o", output, *SMALL, *words, code=code, **more)


def rows(data):
    return list(csv.reader(io.StringIO(data.decode(), newline="")))


def in_bucket(data):
    """A table of the pictures on the disk, with the paths that they have in the bucket."""
    head, *lines = rows(data)
    return [head, *([lab.uri("pics/" + line[0]), *line[1:]] for line in lines)]


# ------------------------------------------------------------------------------------------ the same bytes as a disk


def check_files():
    """Bucket or disk, in any combination: the same table."""
    lab.extract(lab.disk, "disk.csv")
    lab.extract(lab.disk, "disk.npy")
    expected = in_bucket((lab.folder / "disk.csv").read_bytes())
    lab.extract(lab.uri("pics/"), "table.csv")
    table = (lab.folder / "table.csv").read_bytes()
    assert rows(table) == expected
    assert len(expected) == 1 + len(lab.pictures) - 2
    rejects = rows((lab.folder / "table.csv.rejects.csv").read_bytes())
    bad = [[lab.uri(f"pics/{n}.jpg"), "decode"] for n in ("empty", "page")]
    assert [line[:2] for line in rejects[1:]] == bad, rejects
    lab.extract(lab.uri("pics"), lab.uri("files/table.csv"))
    assert lab.get("files/table.csv") == table
    lab.extract(lab.disk, lab.uri("files/disk.csv"))
    assert lab.get("files/disk.csv") == (lab.folder / "disk.csv").read_bytes()
    lab.extract(lab.uri("pics/"), lab.uri("files/table.npy"))
    assert lab.get("files/table.npy") == (lab.folder / "disk.npy").read_bytes()
    assert rows(lab.get("files/table.npy.index.csv"))[1:] == [
        [lab.uri("pics/" + line[0]), *line[1:]] for line in rows((lab.folder / "disk.npy.index.csv").read_bytes())[1:]]
    lab.extract(lab.uri("pics/"), lab.uri("files/table.parquet"))
    arrow = pyarrow.parquet.read_table(io.BytesIO(lab.get("files/table.parquet")))
    assert arrow["path"].to_pylist() == [line[0] for line in expected[1:]]
    assert (numpy.array(arrow["features"].to_pylist(), "f4") == numpy.load(lab.folder / "disk.npy")).all()
    record = json.loads(lab.get("files/table.csv.record.json"))
    assert hashlib.sha256(table).hexdigest() in json.dumps(record)
    assert lab.uploads("files/") == []
    lab.extract(lab.uri("pics/"), lab.uri("files/table.csv"), code=WRITE, says="exists")
    lab.extract(lab.uri("pics/"), lab.uri("files/new.csv"), "--rejects", lab.uri("files/new.csv"), code=USAGE)
    lab.extract(lab.uri("pics/"), lab.uri("files/table.csv"), "--overwrite", "--limit", 3, code=OK)
    assert lab.get("files/table.csv") == b"".join(table.splitlines(True)[:4])
    assert "table.csv.rejects.csv" not in lab.keys("files/"), "the rejects of another table"


def check_folders():
    lab.extract(lab.disk, "folder/", "--parts", 3, "--format", "csv")
    lab.extract(lab.uri("pics/"), lab.uri("folder/"), "--parts", 3, "--format", "csv")
    names = ["_SUCCESS", "_record.json", "_rejects.csv", *(f"part-0000{i}.csv" for i in range(3))]
    assert lab.keys("folder/") == names, lab.keys("folder/")
    for name in names[3:]:
        assert rows(lab.get("folder/" + name)) == in_bucket((lab.folder / "folder" / name).read_bytes())
    lab.extract(lab.uri("pics/"), "fetched/", "--parts", 3, "--format", "csv")
    assert all((lab.folder / "fetched" / name).read_bytes() == lab.get("folder/" + name) for name in names[2:])
    whole = lab.output("folder/")
    lab.extract(lab.uri("pics/"), lab.uri("folder/"), code=WRITE, says="holds an output")
    lab.extract(lab.uri("pics/"), lab.uri("folder/"), "--parts", 3, "--format", "csv", "--resume",
                says="nothing is left")
    assert lab.output("folder/") == whole
    lab.extract(lab.uri("pics/"), lab.uri("folder/"), "--parts", 2, "--include", "*/*.jpg", "--overwrite", code=OK)
    assert lab.keys("folder/") == ["_SUCCESS", "_record.json", "part-00000.parquet", "part-00001.parquet"]
    lab.put("folder/mine.txt", b"x")
    for word in ("--resume", "--overwrite"):
        lab.extract(lab.uri("pics/"), lab.uri("folder/"), word, code=WRITE, says="mine.txt")
    lab.boto.delete_object(Bucket=lab.bucket, Key="folder/mine.txt")
    check_foreign()
    lab.extract(lab.uri("pics/"), lab.uri(""), "--resume", code=WRITE, says="none of Pomona's")
    lab.boto.create_bucket(Bucket="results")
    lab.extract(lab.uri("pics/"), "s3://results/", "--parts", 1, "--format", "csv")
    content = lab.boto.list_objects_v2(Bucket="results")["Contents"]
    assert [entry["Key"] for entry in content] == ["_SUCCESS", "_record.json", "_rejects.csv", "part-00000.csv"]


def check_foreign():
    """What other programs have written is neither overwritten nor cleaned away, though its name is much like ours."""
    for name in ("_temporary/0/task-1/part-00000.parquet", "_temporary/mine", "_metadata", "part-00000-a.parquet",
                 "part-00002.parquet"):
        lab.put("folder/" + name, b"x")
        lab.extract(lab.uri("pics/"), lab.uri("folder/"), "--overwrite", code=WRITE, says=name)
        lab.run("clean", lab.uri("folder/"), says="0 files")
        assert name in lab.keys("folder/"), lab.keys("folder/")
        lab.boto.delete_object(Bucket=lab.bucket, Key="folder/" + name)


def check_sources():
    picture = lab.pictures[0].read_bytes()
    for key in ODD + HIDDEN:
        lab.put("odd/" + key, picture)
    lab.extract(lab.uri("odd"), "odd.csv", code=OK)
    found = rows((lab.folder / "odd.csv").read_bytes())[1:]
    expected = sorted((lab.uri("odd/" + key) for key in ODD), key=str.encode)
    assert [line[0] for line in found] == expected, [line[0] for line in found]
    record = json.loads((lab.folder / "odd.csv.record.json").read_bytes())
    assert record["counts"]["skipped"] == 3, record["counts"]  # .hidden.jpg, x//.jpg, text.txt
    assert len({tuple(line[2:]) for line in found}) == 1
    labels = {line[0]: line[1] for line in found}
    assert labels[lab.uri("odd/사과/배.jpg")] == "사과" and labels[lab.uri("odd/a+b.jpg")] == "odd"
    assert labels[lab.uri("odd/x/../z.jpg")] == ".." and labels[lab.uri("odd/x/./z.jpg")] == "x"
    lab.extract(lab.uri("odd/a+b.jpg"), "one.csv", code=OK)
    assert [line[0] for line in rows((lab.folder / "one.csv").read_bytes())[1:]] == [lab.uri("odd/a+b.jpg")]
    lab.extract(lab.uri("odd/nothing"), "none.csv", code=MISSING, says="there is none")
    lab.extract("s3://no-such-bucket-here/", "none.csv", code=MISSING, says="no such bucket")

    local = str(lab.pictures[3])
    lines = [lab.uri("pics/" + str(lab.pictures[7].relative_to(lab.disk))), local, lab.uri("odd/사과/배.jpg"),
             "/no/such.jpg", lab.uri("odd/lost.jpg"), lab.uri("odd/a+b.jpg"), "zzz.jpg"]
    (lab.folder / "list").write_text("\n".join(lines) + "\n")
    lab.extract("@list", lab.uri("lists/list.csv"))
    kept = [line[0] for line in rows(lab.get("lists/list.csv"))[1:]]
    assert kept == sorted((line for line in lines if "/no/" not in line and "lost" not in line and line != "zzz.jpg"),
                          key=str.encode), kept
    rejects = rows(lab.get("lists/list.csv.rejects.csv"))[1:]
    lost = ["/no/such.jpg", lab.uri("odd/lost.jpg"), "zzz.jpg"]
    assert [line[:2] for line in rejects] == [[path, "read"] for path in lost]
    assert "no such object" in rejects[1][2], rejects

    lab.extract(lab.uri("pics/"), "some.csv", "--include", "*/0_*.jpg", "--label-level", 0, "--limit", 4, code=OK)
    some = rows((lab.folder / "some.csv").read_bytes())[1:]
    assert len(some) == 4 and {line[1] for line in some} == {"pics"} and all("/0_" in line[0] for line in some)


# ------------------------------------------------------------------------------------------------- broken off, taken up


PLANS = [["--parts", "6", "--format", "csv"], ["--parts", "4", "--standardize", "--pca", "5"]]


@contextlib.contextmanager
def fresh(prefix):
    """Nothing lies below `prefix`; and in the end nothing that only Pomona can see."""
    for key in lab.keys(prefix):
        lab.boto.delete_object(Bucket=lab.bucket, Key=prefix + key)
    yield lab.uri(prefix)
    assert not [key for key in lab.keys(prefix) if key.startswith("_temporary/")], lab.keys(prefix)
    assert lab.uploads(prefix) == [], lab.uploads(prefix)


@functools.cache
def wholes():
    """For each plan the output of an unbroken run, and how long that takes."""
    made = []
    for i, plan in enumerate(PLANS):
        began = time.monotonic()
        lab.extract(lab.uri("pics/"), lab.uri(f"whole-{i}/"), *plan)
        made.append((plan, lab.output(f"whole-{i}/"), time.monotonic() - began))
        assert "_SUCCESS" in made[-1][1] and "_rejects.csv" in made[-1][1]
    return made


def wait_for(prefix, name, child):
    """Until there is such an object, or the child ends."""
    while child.poll() is None and not any(name in key for key in lab.keys(prefix)):
        time.sleep(0.02)


def break_off(how, line, out, plan, seconds):
    words = ["extract", lab.uri("pics/"), "-o", out, *SMALL, *plan, "--resume"]
    child = lab.start(*words, AWS_ENDPOINT_URL_S3=line.url, AWS_MAX_ATTEMPTS="3" if how == "gone" else "10")
    when = random.uniform(0.05, seconds * 1.1)
    time.sleep(when)
    if how == "killed":
        child.kill()
    else:
        line.cut(1 if how == "cut" else 3600, refuse=how == "gone")
    _, err = child.communicate(timeout=300)
    code, text = child.returncode, err.decode()
    expected = {"killed": (-signal.SIGKILL, REJECTS), "cut": (REJECTS,), "gone": (GO_ON, REJECTS)}[how]
    assert code in expected, f"{how} after {when:.2f} s of {plan}: exit code {code}\n{text}"
    line.cut(0)
    keys = lab.keys(out.removeprefix(f"s3://{lab.bucket}/"))
    entries = [key for key in keys if key.startswith(("_temporary/part", "_temporary/rows")) and key.endswith(".json")]
    if code == GO_ON and len(entries) > 1:  # of the last one the run may not know that it arrived
        assert "--resume" in text, text
    return code


def check_resume():
    rounds = int(os.environ.get("POMONA_S3_ROUNDS", lab.server.rounds))
    made, counts = wholes(), {}
    with FaultyProxy(lab.server.port) as line:
        for i in range(rounds):
            plan, whole, seconds = made[i % 2]
            how = ("killed", "cut", "killed", "gone")[i // 2 % 4]
            with fresh("broken/") as out:
                code = break_off(how, line, out, plan, seconds)
                counts[how, code] = counts.get((how, code), 0) + 1
                lab.extract(lab.uri("pics/"), out, *plan, "--resume")
                assert lab.output("broken/") == whole, (i, how, plan)
    print("broken off, with exit code:", counts, flush=True)


def check_termination():
    """SIGTERM: the piece is finished, exit code 5."""
    plan, whole, _ = wholes()[0]
    with fresh("ended/") as out, FaultyProxy(lab.server.port) as line:
        line.fault("PUT", r"part-00002", "late", seconds=1)
        child = lab.start("extract", lab.uri("pics/"), "-o", out, *SMALL, *plan, AWS_ENDPOINT_URL_S3=line.url)
        wait_for("ended/", "part-00001.json", child)
        child.terminate()
        _, err = child.communicate(timeout=60)
        assert child.returncode == GO_ON and b"--resume" in err, (child.returncode, err)
        lab.extract(lab.uri("pics/"), out, *plan, code=WRITE, says="--resume")
        lab.extract(lab.uri("pics/"), out, "--parts", 5, "--format", "csv", "--resume", code=USAGE,
                    says="another job's")
        lab.extract(lab.uri("pics/"), out, *plan, "--resume", says="going on")
        assert lab.output("ended/") == whole


def check_interrupt():
    """^C before anything was done leaves nothing that is in the way, though it cannot talk to the server any more."""
    plan, whole, _ = wholes()[0]
    with fresh("interrupted/") as out, FaultyProxy(lab.server.port) as line:
        line.fault("GET", "/pics/", "late", seconds=2, times=100)
        child = lab.start("extract", lab.uri("pics/"), "-o", out, *SMALL, *plan, AWS_ENDPOINT_URL_S3=line.url)
        wait_for("interrupted/", "job.json", child)
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=60)
        assert child.returncode == 130, child.returncode
        lab.extract(lab.uri("pics/"), out, *plan)
        assert lab.output("interrupted/") == whole


def check_interrupted_commit():
    """^C while the parts are shown: the user is told what is kept, as at any other time."""
    plan, whole, _ = wholes()[0]
    with fresh("stopped/") as out, FaultyProxy(lab.server.port) as line:
        line.fault("POST", "part-00002.csv.uploadId", "late", seconds=3)
        child = lab.start("extract", lab.uri("pics/"), "-o", out, *SMALL, *plan, AWS_ENDPOINT_URL_S3=line.url)
        wait_for("stopped/", "part-00001.csv", child)
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=60)
        assert child.returncode == 130, child.returncode
        assert err.count(b"; what was done is kept in") == 1 and b"go on with --resume, or remove" in err, err
        lab.extract(lab.uri("pics/"), out, *plan, "--resume")
        assert lab.output("stopped/") == whole


def check_lock_and_clean():
    """One run at a time; a dead one is taken over at once; what it left can be removed, a living one's cannot."""
    plan, whole, _ = wholes()[0]
    with fresh("locked/") as out:
        child = lab.start("extract", lab.uri("pics/"), "-o", out, *SMALL, *plan)
        wait_for("locked/", "part-00000.json", child)
        child.send_signal(signal.SIGSTOP)
        assert lab.uploads("locked/") and child.poll() is None
        for words in (["--resume"], ["--overwrite"], []):
            lab.extract(lab.uri("pics/"), out, *plan, *words, code=WRITE, says=f"process {child.pid} ")
        lab.run("clean", out, code=WRITE, says=f"process {child.pid} ")
        child.kill()
        child.communicate()
        lab.extract(lab.uri("pics/"), out, *plan, "--resume", says="going on")
        assert lab.output("locked/") == whole
    with fresh("cleaned/") as out:
        child = lab.start("extract", lab.uri("pics/"), "-o", out, *SMALL, *plan)
        wait_for("cleaned/", "part-00001.json", child)
        child.kill()
        child.communicate()
        assert lab.uploads("cleaned/")
        lab.run("clean", out, says="removed")
        assert lab.keys("cleaned/") == [] and lab.uploads("cleaned/") == []
    others = {key: lab.boto.create_multipart_upload(Bucket=lab.bucket, Key=key)["UploadId"]
              for key in ("lost.csv", "lost/deep/part-00000.csv", "lost/part-00000.csv")}
    for name in ("lost.csv", "lost/", "lost"):  # nothing says that they are a run's
        lab.run("clean", lab.uri(name), code=MISSING, says="check the name")
    assert sorted(lab.uploads("lost")) == list(others), lab.uploads("lost")
    lab.put("lost/_temporary/job.json", b"{}")
    lab.run("clean", lab.uri("lost/"), says="1 files and uploads")
    lab.put(".lost.csv.lock", b"")
    lab.run("clean", lab.uri("lost.csv"), says="2 files and uploads")
    assert lab.uploads("lost") == ["lost/deep/part-00000.csv"]
    lab.run("clean", lab.uri("pics/"), says="0 files")  # something is there
    key = "lost/deep/part-00000.csv"
    lab.boto.abort_multipart_upload(Bucket=lab.bucket, Key=key, UploadId=others[key])


def check_one_file():
    """The same for an output that is one object."""
    with fresh("alone/") as out:
        table = out + "table.csv"
        for ended in ("killed", "cleaned", "taken over"):
            child = lab.start("extract", lab.uri("pics/"), "-o", table, *SMALL)
            wait_for("alone/", ".table.csv.lock", child)
            child.send_signal(signal.SIGSTOP)
            assert child.poll() is None
            for words in (["--overwrite"], []):
                lab.extract(lab.uri("pics/"), table, *words, code=WRITE, says=f"process {child.pid} ")
            lab.run("clean", table, code=WRITE, says=f"process {child.pid} ")
            if ended == "taken over":
                lock = json.loads(lab.get("alone/.table.csv.lock"))
                lab.put("alone/.table.csv.lock", json.dumps(lock | {"id": "0" * 32, "host": "elsewhere"}).encode())
                child.send_signal(signal.SIGCONT)
                _, err = child.communicate(timeout=60)
                assert child.returncode == WRITE and b"elsewhere" in err, (child.returncode, err)
                assert lab.keys("alone/") == [".table.csv.lock"], lab.keys("alone/")
                lab.put("alone/.table.csv.lock", json.dumps(lock | {"time": 0}).encode())
            else:
                child.kill()
                child.communicate()
            if ended == "cleaned":
                lab.run("clean", table, says="removed")
                assert lab.keys("alone/") == [] and lab.uploads("alone/") == []
            lab.extract(lab.uri("pics/"), table)
            assert lab.keys("alone/") == ["table.csv", "table.csv.record.json", "table.csv.rejects.csv"], lab.keys("alone/")
            lab.run("clean", table)  # what the dead one was sending
            for key in lab.keys("alone/"):
                lab.boto.delete_object(Bucket=lab.bucket, Key="alone/" + key)


def check_taken_over():
    """A run that slept for minutes and was taken for dead neither shows its output nor harms the other's."""
    plan, whole, _ = wholes()[0]
    with fresh("slept/") as out:
        child = lab.start("extract", lab.uri("pics/"), "-o", out, *SMALL, *plan)
        wait_for("slept/", "part-00000.json", child)
        child.send_signal(signal.SIGSTOP)
        lock = json.loads(lab.get("slept/_temporary/lock.json"))
        lab.put("slept/_temporary/lock.json", json.dumps(lock | {"id": "0" * 32, "host": "elsewhere"}).encode())
        child.send_signal(signal.SIGCONT)
        _, err = child.communicate(timeout=60)
        assert child.returncode == WRITE and b"elsewhere" in err, (child.returncode, err)
        assert b"at the same time" in err, err  # it has not slept that long
        assert json.loads(lab.get("slept/_temporary/lock.json"))["host"] == "elsewhere"
        assert "_SUCCESS" not in lab.keys("slept/")
        lab.put("slept/_temporary/lock.json", json.dumps(lock | {"time": 0}).encode())
        lab.extract(lab.uri("pics/"), out, *plan, "--resume")
        assert lab.output("slept/") == whole


# --------------------------------------------------------------------------------------------------------------- faults


def check_reading_faults():
    """The network's faults are no picture's: the same bytes."""
    lab.extract(lab.uri("pics/"), "calm.csv")
    calm = [(lab.folder / name).read_bytes() for name in ("calm.csv", "calm.csv.rejects.csv")]
    faults = [("half", {}), ("reset", {"at": 100}), ("lost", {}), ("short", {}), ("long", {}),
              ("stall", {"seconds": 0.3}), ("error", {"status": 503}),
              ("error", {"status": 500, "code": "InternalError"})]
    with FaultyProxy(lab.server.port) as line:
        for kind, options in faults:
            line.reset()
            line.fault("GET", r"/pics/.*jpg", kind, nth=3, times=4, **options)
            lab.extract(lab.uri("pics/"), "faults.csv", "--overwrite", AWS_ENDPOINT_URL_S3=line.url)
            assert line.faults_left() == [], kind
            assert [(lab.folder / f"faults.csv{end}").read_bytes() for end in ("", ".rejects.csv")] == calm, kind


def check_changed_objects():
    """Changed, lost or denied after they were listed: rejects, with the reason."""
    names = ["changed", "kept", "lost", "denied"]
    for name in names:
        lab.put(f"moving/{name}.jpg", lab.pictures[0].read_bytes())
    with FaultyProxy(lab.server.port) as line:
        for name in ("changed", "lost"):
            line.fault("GET", f"/moving/{name}.jpg", "error", times=5)
        line.fault("GET", "/moving/denied.jpg", "error", times=100, status=403, code="AccessDenied")
        child = lab.start("extract", lab.uri("moving/"), "-o", "moving.csv", *SMALL, AWS_ENDPOINT_URL_S3=line.url)
        while child.poll() is None and not all(line.count("GET", f"/{name}.jpg") for name in ("changed", "lost")):
            time.sleep(0.01)
        lab.put("moving/changed.jpg", lab.pictures[1].read_bytes())
        lab.boto.delete_object(Bucket=lab.bucket, Key="moving/lost.jpg")
        _, err = child.communicate(timeout=120)
        assert child.returncode == REJECTS, err
    rejects = rows((lab.folder / "moving.csv.rejects.csv").read_bytes())[1:]
    reasons = {line[0].split("/")[-1]: line[2] for line in rejects}
    assert sorted(reasons) == ["changed.jpg", "denied.jpg", "lost.jpg"], reasons
    assert "has changed" in reasons["changed.jpg"], reasons
    assert "denied" in reasons["denied.jpg"] and "no such object" in reasons["lost.jpg"], reasons


def check_writing_faults():
    plan, whole, _ = wholes()[0]
    passing = [("PUT", "partNumber", "error", {"times": 3}), ("PUT", "partNumber", "reset request", {"at": 100}),
               ("PUT", "partNumber", "lost", {}), ("PUT", "partNumber", "damage", {}),
               ("POST", "uploads", "error", {}), ("POST", "uploadId", "lost", {"times": 2}),
               ("POST", "uploadId", "lie", {"code": "InternalError"}), ("PUT", "_temporary/part", "lost", {}),
               ("PUT", "_SUCCESS", "lost", {}), ("DELETE", "_temporary", "error", {})]
    with FaultyProxy(lab.server.port) as line:
        with fresh("faulty/") as out:
            for method, target, kind, options in passing:
                line.fault(method, target, kind, nth=2 if "PUT" != method else 1, **options)
            lab.extract(lab.uri("pics/"), out, *plan, AWS_ENDPOINT_URL_S3=line.url)
            assert line.faults_left() == [], line.faults_left()
            assert lab.output("faulty/") == whole


def check_commit_faults():
    """What can be seen when it ends in the middle of the commit: S3 shows one object after the other, _SUCCESS last."""
    plan, whole, _ = wholes()[0]
    parts = [f"part-0000{i}.csv" for i in range(6)]
    steps = [("POST", "part-00000.csv.uploadId", []), ("POST", "part-00002.csv.uploadId", parts[:2]),
             ("POST", "_rejects.csv.uploadId", parts), ("PUT", "_record.json", ["_rejects.csv", *parts]),
             ("PUT", "_SUCCESS", ["_record.json", "_rejects.csv", *parts])]
    with FaultyProxy(lab.server.port) as line:
        for method, target, visible in steps:
            for status, code in ((503, GO_ON), (403, WRITE)):
                with fresh("step/") as out:
                    line.reset()
                    line.fault(method, target, "error", times=100, status=status,
                               code="SlowDown" if status == 503 else "AccessDenied")
                    lab.extract(lab.uri("pics/"), out, *plan, code=code, says="--resume", AWS_ENDPOINT_URL_S3=line.url,
                                AWS_MAX_ATTEMPTS="2")
                    seen = [key for key in lab.keys("step/") if not key.startswith("_temporary/")]
                    assert sorted(seen) == visible, (target, seen)
                    lab.extract(lab.uri("pics/"), out, *plan, code=WRITE, says="--resume")
                    lab.extract(lab.uri("pics/"), out, *plan, "--resume")
                    assert lab.output("step/") == whole, target
            with fresh("step/") as out:  # what was shown without _SUCCESS goes with the journal that could finish it
                lab.extract(lab.uri("pics/"), out, *plan, code=WRITE, says="--resume", AWS_ENDPOINT_URL_S3=line.url)
                lab.run("clean", out, says="removed")
                assert lab.keys("step/") == [], (target, lab.keys("step/"))
        # With --overwrite the old output is whole until its _SUCCESS goes, the list of rejects included.
        words = [*plan, "--overwrite", "--include", "*/*.jpg"]
        with fresh("over/") as out:
            lab.extract(lab.uri("pics/"), out, *plan)
            line.reset()
            line.fault("DELETE", "_SUCCESS", "error", times=100)
            lab.extract(lab.uri("pics/"), out, *words, code=GO_ON, says="--resume", AWS_ENDPOINT_URL_S3=line.url,
                        AWS_MAX_ATTEMPTS="2")
            assert lab.output("over/") == whole
            line.reset()
            line.fault("POST", "part-00002.csv.uploadId", "error", times=100, status=403, code="AccessDenied")
            lab.extract(lab.uri("pics/"), out, *words, "--resume", code=WRITE, says="--resume",
                        AWS_ENDPOINT_URL_S3=line.url)
            lab.run("clean", out, code=WRITE, says="half old and half new: go on with --resume")
            lab.extract(lab.uri("pics/"), out, *words, "--resume", code=OK)
            assert lab.keys("over/") == ["_SUCCESS", "_record.json", *parts], lab.keys("over/")


# ----------------------------------------------------------------------------------------------------- readers and keys


def check_readers():
    lab.extract(lab.uri("pics/"), lab.uri("readers/"), "--parts", 3, "--standardize", "--pca", 4)
    copy = lab.folder / "readers"
    copy.mkdir()
    for key in lab.keys("readers/"):
        lab.boto.download_file(lab.bucket, "readers/" + key, str(copy / key))
    count = len(lab.pictures) - 2
    table = pyarrow.dataset.dataset(copy, format="parquet").to_table()
    assert table.num_rows == count and len(table["features"][0]) == 4
    query = f"select count(*), count(distinct path), min(len(features)) from read_parquet('{copy}/*.parquet')"
    assert duckdb.sql(query).fetchall() == [(count, count, 4)]
    s3 = pyarrow.fs.S3FileSystem(access_key=lab.server.access_key, secret_key=lab.server.secret_key,
                                 region=lab.server.region, endpoint_override=lab.server.url)
    remote = pyarrow.dataset.dataset(f"{lab.bucket}/readers/", format="parquet", filesystem=s3).to_table()
    assert remote.equals(table)


def check_refusals():
    """Lines that a user understands, and no reject for what is no picture's fault."""
    none = {name: "" for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    lab.extract(lab.uri("pics/"), "no.csv", code=USAGE, says="no AWS credentials", AWS_EC2_METADATA_DISABLED="true",
                **none)
    if lab.server.checks_signatures:
        lab.extract(lab.uri("pics/"), "no.csv", code=GO_ON, says="secret key is wrong", AWS_SECRET_ACCESS_KEY="wrong")
        lab.extract(lab.disk, lab.uri("no/"), code=GO_ON, says="secret key is wrong", AWS_SECRET_ACCESS_KEY="wrong")
    with FaultyProxy(lab.server.port) as line:
        for target in ("list-type", r"/pics/.*jpg"):  # at once, and in the middle of a run
            line.reset()
            line.fault("GET", target, "error", nth=1 if target == "list-type" else 5, times=1000, status=400,
                       code="ExpiredToken")
            lab.extract(lab.uri("pics/"), "no.csv", code=GO_ON, says="expired", AWS_ENDPOINT_URL_S3=line.url)
    assert not list(lab.folder.glob("no.csv*"))
    plan, whole, _ = wholes()[0]
    with fresh("expired/") as out, FaultyProxy(lab.server.port) as line:
        # What was done until then is kept, and that is said.
        line.fault("GET", r"/pics/.*jpg", "error", nth=len(lab.pictures) - 5, times=1000, status=400,
                   code="ExpiredToken")
        said = lab.extract(lab.uri("pics/"), out, *plan, code=GO_ON, says="expired", AWS_ENDPOINT_URL_S3=line.url)
        assert b"go on with --resume" in said, said
        lab.extract(lab.uri("pics/"), out, *plan, "--resume", says="going on")
        assert lab.output("expired/") == whole


def check_secrets():
    """What is secret is in nothing that a run leaves or says."""
    keys = {"AWS_ACCESS_KEY_ID": "canary", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_SESSION_TOKEN": TOKEN}
    said = lab.extract(lab.uri("pics/"), lab.uri("secret/"), "--parts", 2, "-v", "--json", "--progress", "json", **keys)
    said += lab.extract(lab.uri("pics/"), "secret.csv", "-v", "--json", **keys)
    child = lab.start("extract", lab.uri("pics/"), "-o", lab.uri("secret-2/"), *SMALL, *PLANS[0], "-v", **keys)
    wait_for("secret-2/", "part-00001.json", child)
    child.kill()
    said += b"".join(child.communicate())
    journal = [key for key in lab.keys("secret-2/") if key.startswith("_temporary/")]
    assert any("lock.json" in key for key in journal) and any("part-" in key for key in journal), journal
    with FaultyProxy(lab.server.port) as line:
        for code in ("SignatureDoesNotMatch", "AccessDenied", "ExpiredToken", "InternalError"):
            line.fault("GET", "list-type", "error", status=403, times=2, code=code)
            said += lab.extract(lab.uri("pics/"), "secret-3.csv", "-v", code=(USAGE, MISSING, GO_ON, REJECTS),
                                AWS_ENDPOINT_URL_S3=line.url, AWS_MAX_ATTEMPTS="1", **keys)
            line.reset()
    left = [lab.get(prefix + key) for prefix in ("secret/", "secret-2/") for key in lab.keys(prefix)]
    left += [path.read_bytes() for path in lab.folder.glob("secret*")]
    said += lab.run("clean", lab.uri("secret-2/"), **keys)
    for text in (said, *left):
        for secret in (SECRET, TOKEN, "ofNobody5521", "OfNobody9913"):
            assert secret.encode() not in text


CHECKS = {
    "moto": [check_files, check_folders, check_sources, check_resume, check_termination, check_interrupt,
             check_interrupted_commit,
             check_lock_and_clean, check_one_file, check_taken_over, check_reading_faults, check_changed_objects, check_writing_faults,
             check_commit_faults, check_readers, check_refusals, check_secrets],
    "swift": [check_files, check_folders, check_sources, check_resume, check_lock_and_clean, check_one_file,
              check_refusals],
}


def main():
    global lab
    pomona, orchard, kind, *only = sys.argv[1:]
    Server = {"moto": moto_server.Moto, "swift": swift.Swift}[kind]
    Server.checks_signatures, Server.rounds = (True, "4") if kind == "swift" else (False, "12")
    random.seed(os.environ.get("POMONA_S3_SEED"))
    folder = pathlib.Path(tempfile.mkdtemp(prefix="pomona-extract-"))
    try:
        with Server() as server:
            lab = Lab(pomona, orchard, server, folder)
            for check in CHECKS[kind]:
                if only and check.__name__ not in only:
                    continue
                began = time.monotonic()
                check()
                print(f"{check.__name__}: {time.monotonic() - began:.1f} s", flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    serving.main(main)
