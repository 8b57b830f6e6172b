"""pomona weights fetch and verify against a server on 127.0.0.1 that has one fault at a time.

Usage: check_fetch.py POMONA
"""

import hashlib
import http.server
import re
import shutil
import signal
import socket
import ssl
import threading
import time

from checking import *

NAME = "mobilenet_v2_0.35_96"  # no hash is published: any file of the network will do
SOURCE = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_96_no_top.h5"


class Server(http.server.ThreadingHTTPServer):
    """Serves `data` under any address; `faults`, one for each request as they come, say what to do wrong, and `always`
    what to do with all that follow."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/keras/"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def reset(self, data, faults=(), etag='"one"', always=None):
        self.data, self.faults, self.etag, self.always = data, list(faults), etag, always
        self.requests = []

    def handle_error(self, request, address):
        pass  # a client that hangs up


LIARS = {"always a wrong part": "wrong part", "never says which part": "no part"}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, code, headers, body, length=None):
        self.send_response(code)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        server = self.server
        server.requests.append((self.path, self.headers.get("Range"), self.headers.get("If-Range"), dict(self.headers)))
        fault = server.faults.pop(0) if server.faults else server.always
        data, start, code, headers = server.data, 0, 200, {}
        if server.etag:
            headers["ETag"] = server.etag
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if wanted and fault != "range ignored" and self.headers.get("If-Range") == server.etag:
            start, code = int(wanted[1]), 206
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
            if start >= len(data):
                return self.answer(416, {"Content-Range": f"bytes */{len(data)}"}, b"")
        if fault in LIARS:  # sends less than all, and of the rest always a wrong part
            fault = LIARS[fault] if wanted else ("cut", 400_000)
        if isinstance(fault, int):
            return self.answer(fault, {}, b"<html>no</html>" * 10)
        if fault == "no part":
            del headers["Content-Range"]
        if fault == "large header":
            headers["X-Words"] = "a" * 400_000
        if fault == "wrong part":
            headers["Content-Range"] = f"bytes {start + 5}-{len(data) - 1}/{len(data)}"
            start += 5
        if isinstance(fault, tuple) and fault[0] == "redirect":
            return self.answer(302, {"Location": fault[1]}, b"")
        body = data[start:]
        if isinstance(fault, tuple) and fault[0] == "cut":
            self.answer(code, headers, body[: fault[1]], len(body))
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if isinstance(fault, tuple) and fault[0] == "slow":
            self.answer(code, headers, b"", len(body))
            for at in range(0, len(body), len(body) // 8 + 1):
                self.wfile.write(body[at : at + len(body) // 8 + 1])
                self.wfile.flush()
                time.sleep(fault[1])
            return
        if fault == "empty":
            headers.pop("Content-Range", None)
            return self.answer(200, headers, b"")
        self.answer(code, headers, body)


SERVER = Server()


def published(seed):
    path = WORK / f"published_{seed}.h5"
    if not path.exists():
        write_keras2(path, keras_values("mobilenet_v2_0.35", top=False, seed=seed))
    return path.read_bytes()


def forget():
    shutil.rmtree(CACHE, ignore_errors=True)


def fetch(*options, name=NAME, code=0, says=""):
    return pomona("fetch", name, "--base-url", SERVER.url, *options, code=code, says=says)


def file(suffix, name=NAME):
    return CACHE / f"{name}{suffix}"


def check_result(seed, name=NAME):
    tensors, metadata, _ = read_safetensors(file(".safetensors", name).read_bytes())
    same(tensors, keras_values("mobilenet_v2_0.35", top=False, seed=seed))
    data = published(seed)
    assert metadata["pomona.source_sha256"] == hashlib.sha256(data).hexdigest()
    record = json.loads(file(".json", name).read_text())
    assert record["sha256"] == hashlib.sha256(data).hexdigest() and record["md5"] == hashlib.md5(data).hexdigest()
    assert record["bytes"] == len(data)
    assert record["safetensors_sha256"] == hashlib.sha256(file(".safetensors", name).read_bytes()).hexdigest()
    assert sorted(p.suffix for p in CACHE.glob(f"{name}.*")) == [".json", ".lock", ".safetensors"]


def test_good():
    forget()
    SERVER.reset(published(1))
    done = fetch(says="first one seen here is SHA-256 " + hashlib.sha256(published(1)).hexdigest())
    assert done.stdout == f"{file('.safetensors')}\n" and "without encryption" in done.stderr
    assert [path for path, *_ in SERVER.requests] == [f"/keras/mobilenet_v2/{SOURCE}"]
    sent = SERVER.requests[0][3]
    assert sent["User-Agent"].startswith("pomona/") and "Authorization" not in sent and "Range" not in sent
    check_result(1)
    assert read_safetensors(file(".safetensors").read_bytes())[1]["pomona.size"] == "96"
    fetch(says="is there")
    assert len(SERVER.requests) == 1
    fetch("--refetch", "--progress", "json", says='"total": %d' % len(published(1)))
    assert len(SERVER.requests) == 2
    check_result(1)
    listed = {entry["name"]: entry for entry in json.loads(pomona("list", "--json").stdout)}
    assert listed[NAME]["fetched"] and not listed["resnet50"]["fetched"]
    assert fetch("-q", "--refetch").stderr.count("\n") == 1  # the warning of plain http alone


def test_variable():
    forget()
    SERVER.reset(published(1))
    os.environ["POMONA_WEIGHTS_URL"] = SERVER.url.rstrip("/")
    pomona("fetch", NAME)
    del os.environ["POMONA_WEIGHTS_URL"]
    check_result(1)


def test_cut_short():
    """Taken up again where it was cut, twice, in one run; the version is asked for."""
    forget()
    SERVER.reset(published(1), [("cut", 400_000), ("cut", 300_000)])
    fetch()
    assert [r[1:3] for r in SERVER.requests] == [(None, None), ("bytes=400000-", '"one"'), ("bytes=700000-", '"one"')]
    check_result(1)


def test_cut_until_given_up():
    """What has come is kept for the next run."""
    forget()
    SERVER.reset(published(1), [("cut", 400_000)] + [503] * 5)
    fetch(code=5, says="503")
    assert file(".part").stat().st_size == 400_000 and not file(".safetensors").exists()
    SERVER.reset(published(1))
    fetch()
    assert SERVER.requests[0][1] == "bytes=400000-"
    check_result(1)


def test_version_changed():
    """The server has another file now: nothing of the old one may be in the new."""
    forget()
    SERVER.reset(published(1), [("cut", 400_000)] + [500] * 5)
    fetch(code=5)
    SERVER.reset(published(2), etag='"two"')
    fetch()
    assert SERVER.requests[0][1:3] == ("bytes=400000-", '"one"')
    check_result(2)


def test_no_version():
    """A server that names no version: from the beginning again."""
    forget()
    SERVER.reset(published(1), [("cut", 400_000)], etag=None)
    fetch()
    assert [r[1] for r in SERVER.requests] == [None, None]
    check_result(1)


def test_weak_version():
    forget()
    SERVER.reset(published(1), [("cut", 400_000)], etag='W/"one"')
    fetch()
    assert [r[1] for r in SERVER.requests] == [None, None]
    check_result(1)


def test_range_ignored():
    forget()
    SERVER.reset(published(1), [("cut", 400_000), "range ignored"])
    fetch()
    assert len(SERVER.requests) == 2
    check_result(1)


def test_wrong_part():
    forget()
    SERVER.reset(published(1), [("cut", 400_000), "wrong part"])
    fetch()
    assert [r[1] for r in SERVER.requests] == [None, "bytes=400000-", None]
    check_result(1)


def test_always_a_wrong_part():
    """A server that errs in the same way every time is given up, as soon as one that does not answer."""
    for liar in LIARS:
        forget()
        SERVER.reset(published(1), always=liar)
        fetch(code=5, says="bytes remaining")
        assert [r[1] for r in SERVER.requests] == [None, "bytes=400000-", None, None, None, None]


def test_part_is_too_long():
    """416: what is there cannot be a part of the file."""
    forget()
    SERVER.reset(published(1), [("cut", 400_000)] + [500] * 5)
    fetch(code=5)
    with open(file(".part"), "ab") as part:
        part.truncate(len(published(1)) + 10)
    fetch()
    check_result(1)


def test_empty():
    forget()
    SERVER.reset(published(1), [("cut", 400_000), "empty"])
    fetch(code=7)
    assert not file(".safetensors").exists() and not file(".json").exists()


def test_server_errors():
    forget()
    SERVER.reset(published(1), [500, 503, 429])
    fetch()
    assert len(SERVER.requests) == 4
    check_result(1)
    forget()
    for code in (404, 403):
        SERVER.reset(published(1), [code])
        done = fetch(code=3, says=f"answers {code}; give another address with --base-url")
        assert f"put that file at {file('.h5')}" in done.stderr and SOURCE in done.stderr
        assert len(SERVER.requests) == 1
        assert not file(".safetensors").exists()
    SERVER.reset(published(1), always="large header")
    fetch(code=5, says="header is too large")


def test_redirects():
    forget()
    SERVER.reset(published(1), [("redirect", "/elsewhere/file.h5")])
    fetch()
    assert SERVER.requests[1][0] == "/elsewhere/file.h5"
    check_result(1)
    SERVER.reset(published(1), [("redirect", f"http://localhost:{SERVER.server_port}/here.h5")])
    fetch("--refetch")
    assert SERVER.requests[1][0] == "/here.h5"
    # 192.0.2.1 is nobody's (RFC 5737): what begins on this machine must not go on elsewhere without encryption
    for target in ("file:///etc/passwd", "ftp://127.0.0.1/file.h5", "gopher://127.0.0.1/", "http://192.0.2.1/file.h5",
                   "http://localhost.example/file.h5", "http://127.0.0.1@192.0.2.1/file.h5"):
        forget()
        SERVER.reset(published(1), [("redirect", target)])
        fetch(code=5, says=f"a redirect to {target}, which is not https, is not followed")
        assert len(SERVER.requests) == 1
    forget()
    SERVER.reset(published(1), [("redirect", "/again")] * 20)
    fetch(code=5, says="more than 5 redirects")
    assert len(SERVER.requests) == 6


def test_certificate():
    """Nobody vouches for it: no line that may get better."""
    forget()
    certificate, key = WORK / "server.pem", WORK / "server.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test",
                    "-out", certificate, "-keyout", key], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    began = time.monotonic()
    pomona("fetch", NAME, "--base-url", f"https://127.0.0.1:{server.server_port}/", code=2, says="certificate")
    assert time.monotonic() - began < 3
    server.shutdown()


def test_wrong_hash():
    """A published hash is not met: exit code 7, nothing stays, and the user is told what to do."""
    forget()
    SERVER.reset(published(1))
    done = fetch(name="resnet50", code=7, says="4d473c1dd8becc155b73f8504c6f6626")
    assert hashlib.md5(published(1)).hexdigest() in done.stderr
    assert f"put the published file at {file('.h5', 'resnet50')}" in done.stderr
    assert [p.suffix for p in CACHE.glob("resnet50.*")] == [".lock"]


def test_too_large():
    """More than twice the bytes of the manifest, which are but an estimate, however many more there would be."""
    forget()
    SERVER.reset(bytes(20_000_000))
    fetch(name="mobilenet_v2", code=7, says="larger than 18812928 bytes")
    assert [p.suffix for p in CACHE.glob("mobilenet_v2.*")] == [".lock"]
    SERVER.reset(bytes(10_000_000))
    fetch("--progress", "json", name="mobilenet_v2", code=7, says='"total": 10000000')
    SERVER.reset(published(1))
    fetch(name="mobilenet_v2", code=7, says="it would have")  # all of it came: judged by its tensors


def test_no_hdf5():
    """A page that wants a password comes in the place of the file; a file that is cut, in one piece."""
    for name in (NAME, "resnet50"):
        forget()
        SERVER.reset(b"<!DOCTYPE html>\n<html>Sign in to this network</html>")
        done = fetch(name=name, code=7, says='that are no HDF5 file: they begin with "<!DOCTYPE html>.<html>Si..."')
        assert f"put the published file at {file('.h5', name)} and" in done.stderr
        assert [p.suffix for p in CACHE.glob("*.*")] == [".lock"]
    forget()
    SERVER.reset(published(1)[:800_000])
    fetch(code=7, says=f"put the published file at {file('.h5')} and")
    assert [p.suffix for p in CACHE.glob("*.*")] == [".lock"]


def test_another_file_than_before():
    """Nobody publishes a hash: the first one seen counts."""
    forget()
    SERVER.reset(published(1))
    fetch()
    SERVER.reset(published(2), etag='"two"')
    fetch("--refetch", code=7, says=hashlib.sha256(published(1)).hexdigest())
    check_result(1)


def test_another_network():
    forget()
    SERVER.reset(published(1))
    fetch(name="mobilenet_v2_0.5_96", code=7, says="mobilenet_v2_0.5")
    assert not file(".safetensors", "mobilenet_v2_0.5_96").exists()
    forget()
    fetch(name="mobilenet_v2_0.35_96_top", code=7, says="classifier")
    assert [p.suffix for p in CACHE.glob("*.*") if p.suffix != ".lock"] == []


def test_offline():
    forget()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    done = pomona("fetch", NAME, "--base-url", f"http://127.0.0.1:{port}/k/", code=5, says=SOURCE)
    assert f"put that file at {file('.h5')}" in done.stderr
    file(".h5").write_bytes(published(3))
    pomona("fetch", NAME, "--base-url", f"http://127.0.0.1:{port}/k/")
    assert file(".h5").read_bytes() == published(3)  # what somebody put there, stays there
    done = pomona("fetch", NAME, "--refetch", "--base-url", f"http://127.0.0.1:{port}/k/")
    assert f"{file('.h5')} is there and is taken instead of a download" in done.stderr
    assert "from NAME.h5 if there is one" in pomona("--help").stdout
    file(".h5").unlink()
    check_result(3)
    file(".h5", "resnet50").write_bytes(published(3))
    pomona("fetch", "resnet50", "--base-url", f"http://127.0.0.1:{port}/k/", code=7, says="not the published file")
    assert file(".h5", "resnet50").exists()


def test_two_at_once():
    forget()
    SERVER.reset(published(1), [("slow", 0.1)])
    command = [POMONA, "weights", "fetch", NAME, "--base-url", SERVER.url]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    texts = [run.communicate(timeout=120) for run in runs]
    assert [run.returncode for run in runs] == [0] * 4, texts
    assert len(SERVER.requests) == 1 and len({out for out, _ in texts}) == 1
    check_result(1)


def test_interrupted():
    """The first signal ends it soon; what has come is taken up again."""
    forget()
    SERVER.reset(published(1), [("slow", 0.5)])
    run = subprocess.Popen([POMONA, "weights", "fetch", NAME, "--base-url", SERVER.url], stderr=subprocess.PIPE)
    for _ in range(600):
        time.sleep(0.05)
        if file(".part").exists() and file(".part").stat().st_size > 0:
            break
    run.send_signal(signal.SIGINT)
    assert b"interrupted" in run.communicate(timeout=60)[1] and run.returncode == 130
    assert file(".part").stat().st_size > 0 and not file(".safetensors").exists()
    fetch()
    assert SERVER.requests[1][1].startswith("bytes=")
    check_result(1)


def test_interrupted_while_reading():
    """A program that reads the file and gives nothing is not waited for; the file that has come is taken up again."""
    forget()
    SERVER.reset(published(1))
    program, started = WORK / "libexec" / "pomona-hdf5", WORK / "started"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n: > {started}\nexec sleep 300\n")
    program.chmod(0o755)
    run = subprocess.Popen([POMONA, "weights", "fetch", NAME, "--base-url", SERVER.url], stderr=subprocess.PIPE,
                           env={**os.environ, "POMONA_LIBEXEC": str(program.parent)})
    while not started.exists() and run.poll() is None:
        time.sleep(0.05)
    run.send_signal(signal.SIGINT)
    assert b"interrupted" in run.communicate(timeout=60)[1] and run.returncode == 130  # 120 s without a word are waited
    fetch()
    assert len(SERVER.requests) == 1


def test_unwritable():
    """What only looks, makes no folders and needs none."""
    for folder in ("/dev/null/x", "/proc/self", str(WORK / "fresh")):
        os.environ["XDG_CACHE_HOME"] = folder
        pomona("list")
        assert json.loads(pomona("list", "--json").stdout)[0]["fetched"] is False
        pomona("verify", says="no weights are fetched")
        pomona("verify", NAME, code=3, says="not fetched")
        assert subprocess.run([POMONA, "models"], stdout=subprocess.DEVNULL).returncode == 0
        if folder.startswith(str(WORK)):
            assert not pathlib.Path(folder).exists()
        else:
            fetch(code=4, says="cache folder")
    os.environ["XDG_CACHE_HOME"] = str(WORK / "cache")


def test_verify():
    forget()
    pomona("verify", NAME, code=3, says="not fetched")
    SERVER.reset(published(1))
    fetch()
    assert "good" in pomona("verify").stdout and "good" in pomona("verify", NAME).stdout
    (found,) = json.loads(pomona("verify", "--json").stdout)
    assert found["good"] and not found["pinned"] and found["sha256"] == hashlib.sha256(published(1)).hexdigest()
    path = file(".safetensors")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    pomona("verify", code=7, says="has changed since")
    assert json.loads(pomona("verify", "--json", code=7).stdout)[0]["good"] is False
    done = fetch("-q")
    assert f"{path} has changed since it was fetched: it is fetched again" in done.stderr
    assert len(SERVER.requests) == 2
    check_result(1)
    assert "good" in pomona("verify").stdout
    path.write_bytes(data)
    file(".json").write_text("{}")
    pomona("verify", code=7, says="no record")
    path.write_bytes(data[:-8])
    fetch()
    check_result(1)
    record = json.loads(file(".json").read_text())
    # a record of another file than the published one
    shutil.copy(path, file(".safetensors", "resnet50"))
    file(".json", "resnet50").write_text(json.dumps(record))
    pomona("verify", "resnet50", code=7, says="not the published")


def test_verify_with_classifier():
    forget()
    whole = WORK / "whole.h5"
    write_keras2(whole, keras_values("mobilenet_v2_0.35"))
    SERVER.reset(whole.read_bytes())
    fetch(name=f"{NAME}_top")
    assert "good" in pomona("verify", f"{NAME}_top").stdout
    # the classifier is missing, and the record says nothing of it
    shutil.copy(file(".safetensors", f"{NAME}_top"), file(".safetensors"))
    shutil.copy(file(".json", f"{NAME}_top"), file(".json"))
    pomona("verify", NAME, code=7, says="a classifier that should not be there")


run(globals())
