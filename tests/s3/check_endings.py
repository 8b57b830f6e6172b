"""How runs with buckets end when something is wrong: the exit code, what is said, and whether the advice works.

Usage: check_endings.py POMONA POMONA_ORCHARD
"""

import pathlib
import re
import shutil
import signal
import sys
import tempfile
import time
import urllib.parse

import check_extract
import moto_server
import serving
from check_extract import GO_ON, MISSING, OK, REJECTS, SMALL, USAGE, WRITE, fresh, wholes
from faulty_proxy import FaultyProxy

DAMAGED = 7  # exit code
lab = None


def stop_at(line, out, plan, method, target, nth, how=signal.SIGKILL, more=()):
    """A run that is ended when it waits for that answer; what it says, and its exit code."""
    line.reset()
    line.fault(method, target, "stall", nth=nth, seconds=30)
    child = lab.start("extract", lab.uri("pics/"), "-o", out, *SMALL, *plan, *more, AWS_ENDPOINT_URL_S3=line.url)
    while line.faults_left() and child.poll() is None:
        time.sleep(0.02)
    time.sleep(0.3)
    child.send_signal(how)
    _, err = child.communicate(timeout=60)
    line.reset()
    return err.decode(), child.returncode


def check_all_denied():
    """Not one row: exit code 3, nothing written, no journal that would lead there again."""
    with FaultyProxy(lab.server.port) as line:
        for words in (["--pca", "5"], ["--parts", "6"], ["--features", "sift", "--words", "4"]):
            with fresh("denied/") as out:
                line.reset()
                line.fault("GET", "/pics/", "error", times=10000, status=403, code="AccessDenied")
                said = lab.run("extract", lab.uri("pics/"), "-o", out, *SMALL, *words, "-q", code=MISSING,
                               says=f"none of {len(lab.pictures)} pictures became a row", AWS_ENDPOINT_URL_S3=line.url)
                assert b"access denied" in said and b"--resume" not in said, said
                assert lab.keys("denied/") == [] and lab.uploads("denied/") == []
        with fresh("denied/") as out:  # over an older output
            lab.extract(lab.uri("pics/"), out, "--parts", 2)
            before = lab.output("denied/")
            lab.extract(lab.uri("pics/"), out, "--parts", 3, "--overwrite", code=MISSING, AWS_ENDPOINT_URL_S3=line.url)
            assert lab.output("denied/") == before
            lab.run("verify", out)


def check_lost_uploads():
    """A rule of the bucket has ended the uploads that a journal tells of: said at once, with what helps."""
    plan, whole, _ = wholes()[0]
    with FaultyProxy(lab.server.port) as line, fresh("ruled/") as out:
        stop_at(line, out, plan, "PUT", "part-00004", 1)
        for entry in lab.boto.list_multipart_uploads(Bucket=lab.bucket, Prefix="ruled/")["Uploads"]:
            lab.boto.abort_multipart_upload(Bucket=lab.bucket, Key=entry["Key"], UploadId=entry["UploadId"])
        lab.extract(lab.uri("pics/"), out, *plan, "--resume", code=DAMAGED, AWS_ENDPOINT_URL_S3=line.url,
                    says="its upload is gone, and so is what it held; a rule of the bucket may have ended it; what is "
                         "left of this run is of no use: remove it with pomona clean, then run again")
        assert line.count("POST", "part-") == 0, "other work went first"
        lab.run("clean", out, says="removed")
        lab.extract(lab.uri("pics/"), out, *plan)
        assert lab.output("ruled/") == whole


def check_broken_overwrite():
    """A commit over an older output that breaks off: clean refuses, so it is not advised."""
    plan, whole, _ = wholes()[0]
    with FaultyProxy(lab.server.port) as line, fresh("over/") as out:
        lab.extract(lab.uri("pics/"), out, "--parts", 2)
        line.fault("POST", "part-00002.csv.uploadId", "error", times=100, status=403, code="AccessDenied")
        advice = "go on with --resume, or start anew with --overwrite"
        lab.extract(lab.uri("pics/"), out, *plan, "--overwrite", code=WRITE, says=advice, AWS_ENDPOINT_URL_S3=line.url)
        lab.extract(lab.uri("pics/"), out, *plan, code=WRITE, says=advice)
        lab.extract(lab.uri("pics/"), out, *plan, "--overwrite")
        assert lab.output("over/") == whole


def check_early_interrupt():
    """^C before anything is kept: nothing can be removed any more, so it is said what does."""
    first = urllib.parse.quote(lab.pictures[0].relative_to(lab.disk).as_posix())  # without it the first part waits
    with FaultyProxy(lab.server.port) as line:
        for name, plan in (("early/", ["--parts", "2", "--format", "csv"]), ("early/table.csv", [])):
            with fresh("early/"):
                said, code = stop_at(line, lab.uri(name), plan, "GET", re.escape(f"/pics/{first}"), 1, signal.SIGINT)
                assert code == 130 and f"; pomona clean {lab.uri(name)} removes what was begun" in said, (code, said)
                assert lab.keys("early/") != []
                lab.run("clean", lab.uri(name), says="removed")
                assert lab.keys("early/") == [] and lab.uploads("early/") == []


def check_undeletable():
    """Whoever may not delete is told what stays, though the output is there."""
    with FaultyProxy(lab.server.port) as line, fresh("stays/"):
        for name in ("stays/table.csv", "stays/folder/"):
            line.reset()
            line.fault("DELETE", ".", "error", times=1000, status=403, code="AccessDenied")
            said = lab.run("extract", lab.uri("pics/"), "-o", lab.uri(name), *SMALL, "--include", "*/*.jpg",
                           code=(OK, WRITE), AWS_ENDPOINT_URL_S3=line.url).decode()
            assert "access denied" in said and "pomona clean" in said, said
            line.reset()
            lab.run("clean", lab.uri(name))
            lab.extract(lab.uri("pics/"), lab.uri(name), "--overwrite")
        for key in lab.keys("stays/"):
            assert not key.startswith(".") and "_temporary" not in key, key


def check_words():
    """What is said names the thing once, the right that is missing, and what to do."""
    with FaultyProxy(lab.server.port) as line, fresh("words/") as out:
        line.fault("GET", "/pics/.*jpg", "error", nth=3, times=100, status=403, code="AccessDenied")
        lab.extract(lab.uri("pics/"), "words.csv", AWS_ENDPOINT_URL_S3=line.url)
        denied = check_extract.rows((lab.folder / "words.csv.rejects.csv").read_bytes())[5]
        assert denied[2].startswith("access denied") and denied[2].endswith("this takes s3:GetObject"), denied
        lab.extract(lab.uri("pics/"), out, "--parts", 2)
        lab.run("verify", out + "part-00001.parquet", code=MISSING, says=f"is a part of an output: verify {out}")
        lab.run("reduce", out + "x.npy", "-o", "reduced.csv", "--pca", 2, code=USAGE, says="are read from a disk")


def check_early_termination():
    """SIGTERM while the pictures are listed is what it is later: the same command begins again."""
    with FaultyProxy(lab.server.port) as line, fresh("listing/") as out:
        line.fault("GET", "list-type.*pics", "late", seconds=1.5)
        child = lab.start("extract", lab.uri("pics/"), "-o", out, *SMALL, AWS_ENDPOINT_URL_S3=line.url)
        while not line.count("GET", "list-type.*pics") and child.poll() is None:
            time.sleep(0.02)
        child.terminate()
        _, err = child.communicate(timeout=60)
        assert child.returncode == GO_ON and b"--resume begins again" in err, (child.returncode, err)


CHECKS = [check_words, check_early_termination, check_all_denied, check_lost_uploads, check_broken_overwrite,
          check_early_interrupt, check_undeletable]


def main():
    global lab
    pomona, orchard, *only = sys.argv[1:]
    moto_server.Moto.checks_signatures, moto_server.Moto.rounds = False, "0"
    folder = pathlib.Path(tempfile.mkdtemp(prefix="pomona-endings-"))
    try:
        with moto_server.Moto() as server:
            lab = check_extract.lab = check_extract.Lab(pomona, orchard, server, folder)
            for check in CHECKS:
                if only and check.__name__ not in only:
                    continue
                began = time.monotonic()
                check()
                print(f"{check.__name__}: {time.monotonic() - began:.1f} s", flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    serving.main(main)
