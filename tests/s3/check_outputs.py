"""Outputs in a bucket beside other people's objects, and locks that change hands: what is not a run's own stays.

Usage: check_outputs.py POMONA POMONA_ORCHARD moto|swift
"""

import contextlib
import json
import pathlib
import shutil
import signal
import sys
import tempfile
import time

import check_extract
import moto_server
import serving
import swift
from check_extract import OK, SMALL, WRITE, Lab, wait_for
from faulty_proxy import FaultyProxy

PLAN = ["--parts", "2", "--format", "csv"]

lab = None


@contextlib.contextmanager
def scene(name):
    """Nothing lies below that name, before and after."""
    yield lab.uri(f"{name}/")
    for key in lab.keys(f"{name}/"):
        lab.boto.delete_object(Bucket=lab.bucket, Key=f"{name}/{key}")
    for entry in lab.boto.list_multipart_uploads(Bucket=lab.bucket).get("Uploads", []):
        if entry["Key"].startswith(f"{name}/"):
            lab.boto.abort_multipart_upload(Bucket=lab.bucket, Key=entry["Key"], UploadId=entry["UploadId"])


@contextlib.contextmanager
def held(method, target, *words, nth=1, seconds=2):
    """A run whose nth such request is answered late; inside, the server has seen that request. Gives the child."""
    with FaultyProxy(lab.server.port) as line:
        line.fault(method, target, "late", nth=nth, seconds=seconds)
        child = lab.start("extract", lab.uri("pics/"), *words, *SMALL, AWS_ENDPOINT_URL_S3=line.url)
        while line.faults_left() and child.poll() is None:
            time.sleep(0.02)
        yield child
        child.kill()
        child.communicate()


def ends(child, code, says=""):
    _, err = child.communicate(timeout=120)
    assert child.returncode == code and says in err.decode(), (child.returncode, err)


def content(prefix):
    """All that is there, but for the work of runs and the record, which holds times."""
    return {key: lab.get(prefix + key) for key in lab.keys(prefix)
            if not key.startswith("_temporary/") and key != "_record.json"}


def check_parts_that_appear():
    """Parts that somebody else puts there while a run computes, or behind one that was killed: refused, not touched."""
    mine = {"part-00001.csv": b"mine", "part-00005.csv": b"mine"}
    for words, code in (([], WRITE), (["--overwrite"], WRITE)):
        with scene("appear") as out, held("GET", "/pics/", "-o", out, *PLAN, *words, nth=40) as child:
            for name, data in mine.items():
                lab.put(f"appear/{name}", data)
            ends(child, code, "part-00001.csv" if words else "holds an output")
            assert content("appear/") == mine, content("appear/")
            lab.extract(lab.uri("pics/"), out, *PLAN, "--resume", *words, code=WRITE)
            lab.run("clean", out)
            assert content("appear/") == mine and lab.uploads("appear/") == []
    with scene("appear") as out:
        child = lab.start("extract", lab.uri("pics/"), "-o", out, *SMALL, *PLAN)
        wait_for("appear/", "part-00000.json", child)
        child.kill()
        child.communicate()
        for name, data in mine.items():
            lab.put(f"appear/{name}", data)
        for words in (["--resume"], ["--overwrite"], []):
            lab.extract(lab.uri("pics/"), out, *PLAN, *words, code=WRITE)
            assert content("appear/") == mine
        for name in mine:
            lab.boto.delete_object(Bucket=lab.bucket, Key=f"appear/{name}")
        lab.extract(lab.uri("pics/"), out, *PLAN, "--resume")
        assert "_SUCCESS" in lab.keys("appear/")


def check_parts_in_a_half():
    """A commit that broke off is gone on with or begun anew; other people's parts in it are in the way of both."""
    for over in (False, True):
        for word in ("--resume", "--overwrite"):
            with scene("half") as out, FaultyProxy(lab.server.port) as line:
                if over:
                    lab.extract(lab.uri("pics/"), out, "--parts", 4, "--format", "csv")
                line.fault("POST", r"part-00001.csv\?uploadId", "error", times=100, status=403, code="AccessDenied")
                lab.extract(lab.uri("pics/"), out, *PLAN, *["--overwrite"] * over, code=WRITE,
                            AWS_ENDPOINT_URL_S3=line.url)
                plan = lab.get("half/_temporary/job.json")
                lab.boto.delete_object(Bucket=lab.bucket, Key="half/_temporary/job.json")
                before = content("half/")
                for words in ([], ["--resume"]):  # without its plan there is nothing to go on with
                    lab.extract(lab.uri("pics/"), out, *PLAN, *words, code=WRITE, says="holds an output")
                assert content("half/") == before
                lab.put("half/_temporary/job.json", plan)
                lab.put("half/part-00009.csv", b"mine")
                before = content("half/")
                lab.extract(lab.uri("pics/"), out, *PLAN, word, code=WRITE, says="part-00009.csv")
                assert content("half/") == before
                lab.boto.delete_object(Bucket=lab.bucket, Key="half/part-00009.csv")
                # Begun anew with another number of parts, and broken off again: what was there is still known.
                plan = PLAN if word == "--resume" else ["--parts", "3", "--format", "csv"]
                lab.extract(lab.uri("pics/"), out, *plan, word)
                parts = [key for key in lab.keys("half/") if key.startswith("part-")]
                assert len(parts) == int(plan[1]) and "_SUCCESS" in lab.keys("half/"), lab.keys("half/")
                lab.run("verify", out)


def check_exact_names():
    """What has exactly a name of ours, but is none of it, is neither replaced nor removed."""
    theirs = {"part-00000.csv": b"mine", "_record.json": b'{"mine": 1}', "_rejects.csv": b"mine", "_SUCCESS": b"mine"}
    for name, data in theirs.items():
        with scene("exact") as out:
            lab.put(f"exact/{name}", data)
            lab.extract(lab.uri("pics/"), out, *PLAN, "--overwrite", code=WRITE, says=name)
            lab.run("clean", out, says="0 files")
            assert lab.keys("exact/") == [name] and lab.get(f"exact/{name}") == data


def dead_lock(key):
    """The lock that is there, as of a process of this machine that is no more."""
    child = lab.start("--version")
    child.communicate()
    return json.dumps(json.loads(lab.get(key)) | {"id": "0" * 32, "process": child.pid}).encode()


def check_asleep():
    """A run that sleeps at any point of its commit, is taken for dead and wakes up harms nothing of what another has
    made meanwhile."""
    points = [("POST", r"part-00001.csv\?uploadId"), ("POST", r"_rejects.csv\?uploadId"), ("PUT", "_record.json"),
              ("DELETE", "part-00002.csv"), ("DELETE", "_SUCCESS")]
    for method, target in points if isinstance(lab.server, moto_server.Moto) else points[1:3]:
        with scene("asleep") as out:
            lab.extract(lab.uri("pics/"), out, "--parts", 4, "--format", "csv")
            with held(method, target, "-o", out, *PLAN, "--overwrite") as child:
                time.sleep(0.2)  # until the server has done it
                child.send_signal(signal.SIGSTOP)
                lab.put("asleep/_temporary/lock.json", dead_lock("asleep/_temporary/lock.json"))
                lab.extract(lab.uri("pics/"), out, "--parts", 5, "--format", "csv", "--overwrite")
                lab.run("verify", out)
                before, record = content("asleep/"), lab.get("asleep/_record.json")
                child.send_signal(signal.SIGCONT)
                ends(child, WRITE, "taken this one for dead")
            assert content("asleep/") == before and lab.get("asleep/_record.json") == record, (method, target)
            lab.run("verify", out)
            assert not [key for key in lab.keys("asleep/") if key.startswith("_temporary/")], lab.keys("asleep/")


def check_clocks():
    """Who is alive the server's clock says: clients' clocks may be off by an hour either way."""
    with scene("clocks") as out, FaultyProxy(lab.server.port) as line:
        child = lab.start("extract", lab.uri("pics/"), "-o", out, *SMALL, *PLAN)
        wait_for("clocks/", "part-00000.json", child)
        child.send_signal(signal.SIGSTOP)
        key = "clocks/_temporary/lock.json"
        theirs = json.loads(lab.get(key)) | {"id": "0" * 32, "host": "elsewhere", "machine": "of another"}
        uploads = lab.uploads("clocks/")
        for off in (-3600, 3600):
            lab.put(key, json.dumps(theirs | {"time": int(time.time()) + off}).encode())
            for words in (["extract", lab.uri("pics/"), "-o", out, *SMALL, *PLAN, "--overwrite"], ["clean", out]):
                said = lab.run(*words, code=WRITE, says="of elsewhere, last heard of ").decode()
                assert 0 <= int(said.split("last heard of ")[1].split()[0]) < 60, said
            assert lab.uploads("clocks/") == uploads != []
        child.kill()
        child.communicate()
        line.fault("HEAD", "lock.json", "aged", seconds=100, times=10)
        lab.run("clean", out, code=WRITE, says="last heard of 10", AWS_ENDPOINT_URL_S3=line.url)
        line.reset()
        line.fault("HEAD", "lock.json", "aged", seconds=130, times=10)
        lab.extract(lab.uri("pics/"), out, *PLAN, "--resume", AWS_ENDPOINT_URL_S3=line.url)
        lab.run("verify", out)


def check_work_of_others():
    """In the places of a run's work, other people's objects and uploads: neither a run nor clean touches them."""
    work = {"_temporary/mine.json": b"mine", "_temporary/a.f32": b"mine", "_temporary/lock.json": b"mine",
            "_temporary/lock.json ": b"mine"}
    for name, data in work.items():
        with scene("work") as out:
            lab.put(f"work/{name}", data)
            for words in ([], ["--overwrite"], ["--resume"]):
                lab.extract(lab.uri("pics/"), out, *PLAN, *words, code=WRITE, says=name)
            lab.run("clean", out, code=WRITE if name == "_temporary/lock.json" else OK)
            assert lab.keys("work/") == [name] and lab.get(f"work/{name}") == data, (name, lab.keys("work/"))
    with scene("work") as out:
        for data in (b"mine", b"{}", b"x" * 5000):
            lab.put("work/.x.csv.lock", data)
            lab.extract(lab.uri("pics/"), out + "x.csv", code=WRITE, says="none of Pomona's")
            lab.run("clean", out + "x.csv", code=WRITE, says="none of Pomona's")
            assert lab.keys("work/") == [".x.csv.lock"] and lab.get("work/.x.csv.lock") == data
        lab.put("work/.x.csv.lock", b"")
        lab.extract(lab.uri("pics/"), out + "x.csv")
        lab.boto.create_multipart_upload(Bucket=lab.bucket, Key="work/part-00000.parquet")
        lab.boto.create_multipart_upload(Bucket=lab.bucket, Key="work/x.csv")
        theirs = lab.uploads("work/")
        lab.extract(lab.uri("pics/"), out, code=WRITE, says="none of Pomona's")
        lab.run("clean", out)
        lab.run("clean", out + "x.csv", says="0 files")
        assert lab.uploads("work/") == theirs and len(theirs) == 2, lab.uploads("work/")


def check_companions():
    """What has the name of a companion of a table, and is none, is not overwritten."""
    for name in ("x.npy.record.json", "x.npy.index.csv", "x.npy.rejects.csv"):
        with scene("beside") as out:
            lab.put(f"beside/{name}", b"mine")
            lab.extract(lab.uri("pics/"), out + "x.npy", "--overwrite", code=WRITE, says=name)
            assert content("beside/") == {name: b"mine"} and lab.uploads("beside/") == []
    with scene("beside") as out:
        for words in ([], ["--overwrite"]):
            lab.extract(lab.uri("pics/"), out + "x.npy", *words)


def check_broken_replacement():
    """--overwrite of a single file that ends at any of its requests: the old output is whole, or what is not is told."""
    with scene("over") as out, FaultyProxy(lab.server.port) as line:
        table = out + "x.csv"
        lab.extract(lab.uri("pics/"), table)
        before = {key: lab.get(f"over/{key}") for key in lab.keys("over/")}
        for method, target in (("POST", r"/x.csv\?uploads"), ("POST", r"/x.csv\?uploadId")):
            for words in (["--limit", 3], []):  # without rejects, and with them
                line.reset()
                line.fault(method, target, "error", times=100, status=403, code="AccessDenied")
                lab.extract(lab.uri("pics/"), table, "--overwrite", *words, code=WRITE,
                            AWS_ENDPOINT_URL_S3=line.url)
                assert {key: lab.get(f"over/{key}") for key in lab.keys("over/")} == before, lab.keys("over/")
                assert lab.uploads("over/") == []
                lab.run("verify", table)
        for name in ("x.csv.record.json", "x.csv.rejects.csv"):
            line.reset()
            line.fault("POST", name + r"\?uploadId", "error", times=100, status=403, code="AccessDenied")
            lab.extract(lab.uri("pics/"), table, "--overwrite", code=WRITE, says="is new already",
                        AWS_ENDPOINT_URL_S3=line.url)
            assert lab.uploads("over/") == [] and len(lab.keys("over/")) == 3, lab.keys("over/")
            lab.extract(lab.uri("pics/"), table, "--overwrite")
            lab.run("verify", table)
        line.reset()  # a list of rejects that the new output does not have goes last
        line.fault("DELETE", "x.csv.rejects.csv", "error", times=100, status=403, code="AccessDenied")
        lab.extract(lab.uri("pics/"), table, "--overwrite", "--limit", 3, code=WRITE, says="is new already",
                    AWS_ENDPOINT_URL_S3=line.url)
        lab.extract(lab.uri("pics/"), table, "--overwrite", "--limit", 3, code=OK)
        assert lab.keys("over/") == ["x.csv", "x.csv.record.json"]


CHECKS = {
    "moto": [check_parts_that_appear, check_parts_in_a_half, check_asleep, check_exact_names,
             check_clocks,
             check_work_of_others, check_companions, check_broken_replacement],
    "swift": [check_parts_that_appear, check_asleep, check_exact_names, check_clocks,
             check_work_of_others, check_companions, check_broken_replacement],
}


def main():
    global lab
    pomona, orchard, kind, *only = sys.argv[1:]
    Server = {"moto": moto_server.Moto, "swift": swift.Swift}[kind]
    folder = pathlib.Path(tempfile.mkdtemp(prefix="pomona-outputs-"))
    try:
        with Server() as server:
            lab = check_extract.lab = Lab(pomona, orchard, server, folder)
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
