"""What check_write.py and check_write_faults.py share: the probe, the server that was asked for, and boto3's eyes."""

import hashlib
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import threading
import time

import serving
from botocore.exceptions import ClientError
from moto_server import Moto
from swift import Swift

PROBE, KIND = sys.argv[1:]
PART = 8 << 20
OK, ARGUMENT, NOT_FOUND, EXISTS, WRITE, NETWORK, REFUSED = 0, 1, 20, 23, 24, 40, 42  # pmn_status
FOLDER = tempfile.TemporaryDirectory(prefix="pomona-s3-write-")
FILES = threading.Lock()
SERVER = Moto() if KIND == "moto" else Swift(uploads_page=3)


def content(size, seed=1):
    return random.Random(seed).randbytes(size)


def file_of(data):
    path = pathlib.Path(FOLDER.name) / hashlib.sha256(data).hexdigest()[:16]
    with FILES:
        if not path.exists():
            path.write_bytes(data)
    return path


def probe(*words, code=OK, says="", url=None, **environment):
    """Runs the probe against the server, or a line in front of it; the exit code and a part of the message must be
    these."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    variables |= {"AWS_EC2_METADATA_DISABLED": "true", **SERVER.environment(url), **environment}
    done = subprocess.run([PROBE, *map(str, words)], capture_output=True, env=variables, timeout=120)
    text = done.stderr.decode(errors="replace")
    assert done.returncode == code and says in text, (words, done.returncode, code, text)
    assert SERVER.secret_key not in text and text.count("\n") == (code != OK), text
    return done.stdout.decode()


def upload(key, data, piece=1 << 20, head="", end="complete", bucket="fruit", **expected):
    return probe("upload", bucket, key, file_of(data), piece, head, end, **expected)


def read(key):
    return SERVER.boto.get_object(Bucket="fruit", Key=key)["Body"].read()


def is_there(key):
    try:
        SERVER.boto.head_object(Bucket="fruit", Key=key)
    except ClientError as error:
        assert error.response["Error"]["Code"] == "404"
        return False
    return True


def uploads(prefix=""):
    """As boto3 sees them."""
    pages = SERVER.boto.get_paginator("list_multipart_uploads").paginate(Bucket="fruit", Prefix=prefix)
    return sorted((u["Key"], u["UploadId"]) for page in pages for u in page.get("Uploads", []))


def run(tests):
    """Runs the functions of a module that are named test_..., with the server there."""

    def run_all():
        with SERVER:
            SERVER.boto = SERVER.client()
            for name, test in list(tests.items()):
                if name.startswith("test_"):
                    start = time.monotonic()
                    test()
                    print(f"good: {name}, {time.monotonic() - start:.1f} s", flush=True)

    serving.main(run_all)
