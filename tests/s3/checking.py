"""What check_client.py and check_client_faults.py share: running the probe, and reading what it says."""

import hashlib
import os
import pathlib
import subprocess
import sys
import tempfile

import serving

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "support"))
from running import run  # noqa: E402, F401

PROBE = sys.argv[1]
ARGUMENT, NOT_FOUND, WRITE, NETWORK, REFUSED, INTERRUPTED = 1, 20, 24, 40, 42, 90  # of pmn_status
SECRETS = ("nobodys-secret", "testing", "canary-secret", "canary-token")
FOLDER = tempfile.TemporaryDirectory(prefix="pomona-s3-")
WORK = pathlib.Path(FOLDER.name)


def environment(more):
    kept = {name: value for name, value in os.environ.items()
            if not name.startswith("AWS_") and not name.lower().endswith("_proxy")}
    return kept | {"HOME": str(WORK), "AWS_EC2_METADATA_DISABLED": "true"} | more


def probe(variables, *words, code=0, says="", between=None, flags="", timeout=120):
    """Runs the probe; the exit code and a part of standard error must be these, and no secret is told. `between` is
    called while it waits between listing and reading. Standard output comes back."""
    process = subprocess.Popen([PROBE, *words], env=environment(variables | {"PROBE_FLAGS": flags}),
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    first = b""
    try:
        if between is not None:
            first = process.stdout.readline()
            between(process)
        out, err = process.communicate(timeout=timeout)
    finally:
        process.kill()
    err = err.decode(errors="surrogateescape")
    codes = code if isinstance(code, tuple) else (code,)
    assert process.returncode in codes and says in err, (words, process.returncode, code, out[-2000:], err[-2000:])
    assert err.count("\n") == (process.returncode != 0), err
    for secret in SECRETS:
        assert secret.encode() not in out and secret not in err, (words, err)
    return first + out


def listed(variables, bucket, prefix, **options):
    """[(key, size, ETag)] in the order of the listing; keys as bytes."""
    rows = []
    for line in probe(variables, "list", bucket, prefix, **options).decode().splitlines():
        key, size, etag = line.split(" ", 2)
        rows.append((bytes.fromhex(key), int(size), etag))
    return rows


def taken(variables, bucket, prefix, ahead=100, bytes_max=10**8, object_max=10**8, threads=4, count=10**9, **options):
    """{index: MD5 or (status, message)} of objects read ahead."""
    words = map(str, (ahead, bytes_max, object_max, threads, count))
    out = probe(variables, "read", bucket, prefix, *words, **options).decode(errors="surrogateescape")
    found = {}
    for line in out.splitlines()[1:]:
        index, rest = line.split(" ", 1)
        assert int(index) not in found
        found[int(index)] = rest if " " not in rest else (int(rest.split(" ", 1)[0]), rest.split(" ", 1)[1])
    return found


def md5(data):
    return hashlib.md5(data).hexdigest()
