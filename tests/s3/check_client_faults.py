"""The client against a server of S3 that is wrong in one way at a time.

Usage: check_client_faults.py PROBE
"""

import collections
import datetime
import http.server
import re
import signal
import ssl
import threading
import time
import urllib.parse
import xml.sax.saxutils

import botocore.auth
import botocore.awsrequest
import botocore.credentials

from checking import *
from faulty_proxy import FaultyProxy

Request = collections.namedtuple("Request", "method path query headers body target")
HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
KEYS = {"AWS_ACCESS_KEY_ID": "apple", "AWS_SECRET_ACCESS_KEY": "canary-secret", "AWS_REGION": "us-east-1"}


def error(status, code, more="", message="of the test", **headers):
    body = f"{HEAD}<Error><Code>{code}</Code><Message>{message}</Message>{more}</Error>" if code else ""
    return status, {k.replace("_", "-"): v for k, v in headers.items()}, body.encode()


class Server(http.server.ThreadingHTTPServer):
    """`objects` by key, in one bucket; `answer`, a function of a Request, goes before: None leaves it to the server."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, context=None):
        super().__init__(("127.0.0.1", 0), Handler)
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{self.server_port}"
        self.lock = threading.Lock()
        self.reset()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def reset(self, answer=lambda request: None, objects=None):
        self.answer, self.objects, self.requests = answer, objects or {}, []
        self.busy = self.busy_most = 0
        return {"AWS_ENDPOINT_URL_S3": self.url, **KEYS}

    def handle_error(self, request, address):
        pass  # a client that hangs up

    def listing(self, prefix=""):
        rows = "".join(contents(k, v) for k, v in sorted(self.objects.items()) if k.startswith(prefix))
        return page(rows)


def contents(key, body=b"", etag=None):
    etag = f'"{md5(body)}"' if etag is None else etag
    return (f"<Contents><Key>{urllib.parse.quote(key)}</Key><ETag>{xml.sax.saxutils.escape(etag)}</ETag>"
            f"<Size>{len(body)}</Size></Contents>")


def page(rows, token=None, truncated=None, more="<EncodingType>url</EncodingType>"):
    truncated = token is not None if truncated is None else truncated
    token = "" if token is None else f"<NextContinuationToken>{xml.sax.saxutils.escape(token)}</NextContinuationToken>"
    return (f'{HEAD}<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name>{rows}'
            f"{token}<IsTruncated>{str(truncated).lower()}</IsTruncated>{more}</ListBucketResult>").encode()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, *args):
        pass

    def serve(self):
        server = self.server
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        request = Request(self.command, urllib.parse.unquote(url.path), query, self.headers, body, self.path)
        with server.lock:
            server.requests.append(request)
            server.busy += 1
            server.busy_most = max(server.busy_most, server.busy)
        try:
            self.send(*(server.answer(request) or self.own(request)))
        finally:
            with server.lock:
                server.busy -= 1

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = serve

    def own(self, request):
        key = request.path.removeprefix("/bucket").removeprefix("/")
        if "list-type" in request.query:
            return 200, {}, self.server.listing(request.query["prefix"])
        if request.method == "PUT":
            return 200, {"ETag": f'"{md5(request.body)}"'}, b""
        if key not in self.server.objects:
            return error(404, "NoSuchKey")
        return 200, {"ETag": f'"{md5(self.server.objects[key])}"'}, self.server.objects[key]

    def send(self, status, headers, body):
        self.send_response(status)
        lines = {"Content-Length": str(len(body)), **headers}
        for key, value in lines.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()
        if int(lines["Content-Length"]) != len(body):
            self.close_connection = True


SERVER = Server()
OBJECTS = {f"{i:03d}": f"object {i}".encode() * 50 for i in range(20)}
GOOD = {i: md5(body) for i, body in enumerate(OBJECTS.values())}
FEW = {"AWS_MAX_ATTEMPTS": "3"}


def scope(request):
    """(day, region, service) that it is signed for"""
    return re.search(r"Credential=[^/]+/(\d+)/([^/]+)/([^/]+)/aws4_request", request.headers["Authorization"]).groups()


def by_turns(*answers):
    """An `answer` that gives these to the first requests of all."""
    left = list(answers)
    lock = threading.Lock()

    def answer(request):
        with lock:
            turn = left.pop(0) if left else None
        return turn(request) if callable(turn) else turn

    return answer


# ------------------------------------------------------------------------------------------------------------ listings


def list_pages(*bodies, prefix="", **options):
    e = SERVER.reset(by_turns(*[(200, {}, body) for body in bodies]))
    return listed(e | FEW, "bucket", prefix, **options)


def test_listing():
    """What AWS writes and other servers do not: a space as +, a token that must come back as it is."""
    token = "1/+=&%20 \u00e9\"<x>~"
    found = list_pages(page("<Contents><Size>1</Size><Key>a+b%2Bc%0A%EC%82%AC</Key></Contents>", token),
                       page(contents("b", b"xx") + "<CommonPrefixes><Prefix>x/</Prefix></CommonPrefixes>"))
    assert found == [("a b+c\n사".encode(), 1, ""), (b"b", 2, f'"{md5(b"xx")}"')], found
    assert SERVER.requests[1].query["continuation-token"] == token
    assert all(r.query["list-type"] == "2" and r.query["encoding-type"] == "url" for r in SERVER.requests)
    raw = "<Contents><Key>a+b%2B&amp;&#x9;</Key><Size>1</Size></Contents>"
    assert list_pages(page(raw, more="")) == [(b"a+b%2B&\t", 1, "")]
    assert list_pages(page("", "t1"), page("", "t2"), page(contents("a"))) != []


def test_listing_order():
    for keys in (("b", "a"), ("a", "a"), ("a/b", "a-b"), ("사", "z")):
        list_pages(page("".join(map(contents, keys))), code=NOT_FOUND, says="only byte-wise order")
    list_pages(page(contents("b"), "t"), page(contents("a")), code=NOT_FOUND, says="lists a after b")
    list_pages(page(contents("other/a")), prefix="mine/", code=NOT_FOUND, says="which is elsewhere")


def test_listing_in_circles():
    again = page(contents("b"), "t")
    list_pages(page(contents("a"), "t"), again, code=NOT_FOUND, says="continuation token comes again")
    e = SERVER.reset(lambda r: (200, {}, page("", str(len(SERVER.requests)))))
    listed(e, "bucket", "", code=NOT_FOUND, says="page after page is empty")
    assert len(SERVER.requests) < 200


def test_listing_damaged():
    """Tried again, then given up with a reason; a good one after bad ones is taken."""
    good = page(contents("a", b"1"))
    bomb = b'<!DOCTYPE b [<!ENTITY a "aaaaaaaaaa">' + b"".join(
        b'<!ENTITY %c "%s">' % (c, b"&%c;" % (c - 1) * 100) for c in range(98, 110)) + b"]>"
    cases = {
        "cut": (good[:-30], "no XML as S3 writes it"),
        "empty": (b"", "it is empty"),
        "page of a proxy": (b"<html><body>log in</body></html>", "a web page; does a proxy"),
        "page with a type": (b"<!DOCTYPE HTML><html><body>log in</body></html>", "a web page; does a proxy"),
        "other XML": (b"<rss></rss>", "another root"),
        "bomb": (good.replace(b"?>\n", b"?>" + bomb).replace(b">a<", b">&m;<"), "document type"),
        "entity": (good.replace(b">a<", b">&a;<"), "undefined entity"),
        "deep": (good.replace(b"<Name>", b"<x>" * 20 + b"</x>" * 20 + b"<Name>"), "too deeply"),
        "long": (good.replace(b">a<", b">" + b"a" * 20000 + b"<"), "too long"),
        "no key": (good.replace(b"<Key>a</Key>", b""), "without key or size"),
        "no size": (good.replace(b"<Size>1</Size>", b""), "without key or size"),
        "size": (good.replace(b"<Size>1<", b"<Size>-1<"), "no number"),
        "no token": (page(contents("a"), truncated=True), "no continuation token"),
        "key": (good.replace(b">a<", b">%zz<"), "not encoded"),
        "nul": (good.replace(b">a<", b">a%00b<"), "not encoded"),
        "utf-8": (good.replace(b">a<", b">\xff<"), "not well-formed"),
    }
    for name, (body, says) in cases.items():
        if name not in ("key", "nul"):  # those are noticed when the page is believed
            assert len(list_pages(body, body, good)) == 1, name
        list_pages(body, body, body, code=NETWORK, says=says)


def test_listing_too_large():
    """200 MB are neither kept nor waited for."""
    sent = []

    def answer(request):
        sent.append(request)
        return 200, {"Content-Length": str(200_000_000)}, b"<x>" * 1000

    e = SERVER.reset(answer)
    listed(e, "bucket", "", code=NOT_FOUND, says="larger than", timeout=10)
    assert len(sent) == 1


# ------------------------------------------------------------------------------------------------- lines and servers


def read_with(answer, variables=FEW, **options):
    e = SERVER.reset(answer, OBJECTS)
    return taken(e | variables, "bucket", "", **options)


def once(key, fault):
    """One GET of this object goes wrong."""
    left = [fault]
    return lambda r: left.pop() if r.path == f"/bucket/{key}" and left else None


def test_read():
    assert read_with(lambda r: None) == GOOD
    ours = SERVER.requests[-1].headers
    assert ours["Host"] == SERVER.url.removeprefix("http://")
    assert ours["x-amz-content-sha256"] == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert not ours.get("Content-Type") and not ours.get("Expect")
    assert read_with(lambda r: None, flags="a") == GOOD
    assert not any("Authorization" in r.headers or "x-amz-date" in r.headers for r in SERVER.requests)


def test_read_damaged():
    """A body that is not whole, or not what its ETag says, is fetched again and no error of the object."""
    body, etag = OBJECTS["005"], f'"{md5(OBJECTS["005"])}"'
    faults = {
        "cut": (200, {"ETag": etag, "Content-Length": str(len(body))}, body[:100]),
        "short, with a length of its own": (200, {"ETag": etag}, body[:-1]),
        "another body": (200, {"ETag": etag}, body[:-1] + b"?"),
        "another ETag": (200, {"ETag": f'"{md5(b"")}"'}, body),
        "500": error(500, "InternalError"),
        "503": error(503, "SlowDown"),
        "503 of a proxy": (503, {}, b"<html>come back later</html>"),
        "429": (429, {}, b""),
        "400": error(400, "RequestTimeout"),
        "empty": (200, {}, b""),
        "page of a proxy": (200, {}, b"<html>log in</html>"),
        "long page of a proxy": (200, {}, b"<html>" + b"x" * 100_000),
    }
    for name, fault in faults.items():
        assert read_with(once("005", fault)) == GOOD, name
        assert sum(r.path == "/bucket/005" for r in SERVER.requests) == 2, name
        found = read_with(lambda r: fault if r.path == "/bucket/005" else None)
        status, message = found.pop(5)
        assert status == NETWORK and "s3://bucket/005: " in message and "after 3 tries" in message, (name, message)
        assert found == {i: m for i, m in GOOD.items() if i != 5}, name
    # Encrypted by a key of the server's, ETags say nothing.
    sealed = (200, {"ETag": '"' + "0" * 32 + '"', "x-amz-server-side-encryption": "aws:kms"}, b"what it was")
    e = SERVER.reset(lambda r: sealed if r.path == "/bucket/x" else None)
    assert probe(e, "get", "bucket", "x", "-1") == b"what it was"


def test_ranges():
    """A piece that was cut is asked for again; without ranges there is none."""
    body = OBJECTS["005"]
    piece = lambda data, **headers: (206, {"ETag": '"x"', **headers}, data)
    ask = ("range", "bucket", "005", "10", "20", '"x"')
    for name, fault in {"cut": piece(body[10:20], **{"Content-Length": "20"}), "short": piece(body[10:20]),
                        "503": error(503, "SlowDown")}.items():
        e = SERVER.reset(by_turns(fault, piece(body[10:30]))) | FEW
        assert probe(e, *ask) == body[10:30], name
        assert [r.headers["Range"] for r in SERVER.requests] == ["bytes=10-29"] * 2, name
        assert all("range;" in r.headers["Authorization"] for r in SERVER.requests)
        probe(SERVER.reset(lambda r: fault) | FEW, *ask, code=NETWORK, says="after 3 tries")
    for answer in ((200, {"ETag": '"x"'}, body[10:30]), (200, {"ETag": '"x"'}, body)):
        probe(SERVER.reset(lambda r: answer) | FEW, *ask, code=NOT_FOUND, says="it gives no parts of objects")
        assert len(SERVER.requests) == 1
    probe(SERVER.reset(lambda r: (206, {"ETag": '"y"'}, body[10:30])) | FEW, *ask, code=NOT_FOUND, says="has changed")


def test_pauses():
    """Retry-After is heard."""
    start = time.monotonic()
    read_with(once("003", (503, {"Retry-After": "2"}, b"")))
    assert 1.9 < time.monotonic() - start < 10


def test_dead_server():
    """500 for all: every call gives up, and the retries of all together have a limit."""
    many = {f"{i:04d}": b"x" for i in range(300)}
    e = SERVER.reset(lambda r: None if "list-type" in r.query else error(500, "InternalError"), many)
    found = taken(e, "bucket", "", count=300)
    assert len(found) == 300 and all(status == NETWORK and "InternalError" in m for status, m in found.values())
    assert 300 + 90 <= len(SERVER.requests) <= 1 + 300 + 101, len(SERVER.requests)
    e = SERVER.reset(lambda r: error(500, "InternalError"))
    listed(e | FEW, "bucket", "", code=NETWORK, says="cannot do it now (InternalError); given up after 3 tries")
    listed({**e, **FEW, "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1"}, "bucket", "", code=NETWORK,
           says="given up after 3 tries; is the network there, and are --region and --endpoint-url right?")


def test_outage():
    """A line that is gone for seconds hits all requests at once: each comes back, and none is charged for it."""
    many = {f"{i:04d}": b"x" * i for i in range(300)}
    good = {i: md5(body) for i, body in enumerate(many.values())}
    with FaultyProxy(SERVER.server_port) as line:
        e = SERVER.reset(objects=many) | {"AWS_ENDPOINT_URL_S3": line.url}
        # The fourth retry of each is 3.75 s to 7.5 s after its first failure.
        line.fault("GET", r"/bucket/\d+", "cut", nth=70, seconds=3.7, refuse=True)
        assert taken(e, "bucket", "", ahead=300, threads=8, count=300) == good
        assert line.faults_left() == []
        line.reset()  # away for good
        line.fault("GET", r"/bucket/\d+", "cut", seconds=3600, refuse=True)
        found = taken(e | FEW, "bucket", "00", ahead=100, count=100)
        assert len(found) == 100 and all("given up after 3 tries; is the network" in m for _, m in found.values()), found


def test_slow_down():
    """A server that bears eight at once gets them all done, without hearing many more."""
    many = {f"{i:04d}": b"x" * i for i in range(600)}
    refused = []

    def answer(request):
        if "list-type" in request.query:
            return None
        busy = SERVER.busy
        time.sleep(0.02)
        if busy > 8:
            refused.append(request)
            return error(503, "SlowDown")
        return None

    e = SERVER.reset(answer, many)
    found = taken(e, "bucket", "", ahead=300, threads=8)
    assert found == {i: md5(body) for i, body in enumerate(many.values())}
    assert SERVER.busy_most > 12 and len(refused) < 250, (SERVER.busy_most, len(refused))


def test_one_burst():
    """One word is enough: half as many at once, not half for each that hears it; then slowly more."""
    many = {f"{i:04d}": b"x" * i for i in range(900)}
    waves, last = [0], [0.0]

    def answer(request):
        """Once nothing more comes, those that wait are answered together: a wave is all that the client has at once."""
        if "list-type" in request.query:
            return None
        with SERVER.lock:
            wave = len(waves)
            waves[-1] += 1
            last[0] = time.monotonic()
        while wave == len(waves):
            time.sleep(0.02)
            with SERVER.lock:
                if wave == len(waves) and time.monotonic() - last[0] > 0.25:
                    waves.append(0)
        return error(503, "SlowDown") if wave == 1 else None

    found = taken(SERVER.reset(answer, many), "bucket", "", ahead=300, threads=8)
    assert found == {i: md5(body) for i, body in enumerate(many.values())}
    assert waves[0] == 64 and 28 < max(waves[1:4]) < 40 < max(waves[1:]) < 62, waves


def test_bounds_of_the_reader():
    """What is fetched ahead is limited in number and in bytes."""
    def wait(process):
        process.stdin.write(b"\n")
        process.stdin.flush()
        time.sleep(1)
        counts.append(sum("list-type" not in r.query for r in SERVER.requests))

    for ahead, bytes_max, most in ((5, 10**9, 6), (1000, 4 * len(OBJECTS["000"]), 5), (1000, 1, 2)):
        counts = []
        found = read_with(lambda r: None, ahead=ahead, bytes_max=bytes_max, count=1, between=wait)
        assert found == {0: GOOD[0]} and counts == [most], (ahead, bytes_max, counts)
    assert read_with(lambda r: None, ahead=1, bytes_max=1, threads=1) == GOOD
    assert read_with(lambda r: None, ahead=2, bytes_max=1, threads=16) == GOOD
    assert read_with(lambda r: None, ahead=-7, threads=3) == GOOD


def test_destroyed_and_stopped():
    """While everything stalls."""
    stalled = threading.Event()

    def answer(request):
        if "list-type" not in request.query and request.path >= "/bucket/003":
            stalled.wait(60)

    def go(process):
        process.stdin.close()
        process.stdin = None

    start = time.monotonic()
    assert read_with(answer, count=3, between=go) == {i: GOOD[i] for i in range(3)}
    assert time.monotonic() - start < 10

    def interrupt(process):
        process.stdin.write(b"\n\n")
        process.stdin.flush()
        time.sleep(0.5)
        process.send_signal(signal.SIGUSR1)

    start = time.monotonic()
    found = read_with(answer, between=interrupt)
    assert time.monotonic() - start < 10
    assert found == {i: GOOD[i] if i < 3 else (INTERRUPTED, "interrupted") for i in range(20)}, found
    stalled.set()


# ------------------------------------------------------------------------------------------------ regions, keys, clocks


def test_regions():
    elsewhere = error(301, "PermanentRedirect", x_amz_bucket_region="eu-west-3")
    there = lambda r: None if scope(r)[1] == "eu-west-3" else elsewhere
    assert read_with(there) == GOOD
    assert [scope(r)[1] for r in SERVER.requests].count("us-east-1") == 1  # remembered
    there = lambda r: None if scope(r)[1] == "eu-west-3" else error(
        400, "AuthorizationHeaderMalformed", "<Region>eu-west-3</Region>")
    assert read_with(there) == GOOD
    e = SERVER.reset(lambda r: error(307, "TemporaryRedirect", x_amz_bucket_region="eu-west-3", Location="http://x.example/?k"))
    listed(e, "bucket", "", code=ARGUMENT, says="refers to x.example in region eu-west-3 (307), which is not followed; are --region")
    assert len(SERVER.requests) == 2
    listed(SERVER.reset(lambda r: (301, {}, b"")), "bucket", "", code=ARGUMENT, says="refers to another one (301), which is not")
    e = SERVER.reset(lambda r: error(301, "PermanentRedirect", x_amz_bucket_region=f"eu-west-{len(SERVER.requests)}"))
    listed(e, "bucket", "", code=ARGUMENT, says="--region and --endpoint-url")
    assert len(SERVER.requests) == 2  # not for ever
    for bad in ("evil.example.com/", "a" * 64, "-x", "", "US EAST"):
        e = SERVER.reset(lambda r: error(301, "PermanentRedirect", x_amz_bucket_region=bad))
        listed(e, "bucket", "", code=ARGUMENT, says="--region and --endpoint-url")
        assert len(SERVER.requests) == 1, bad


def test_expired_keys():
    """The program that makes keys is asked for new ones, once for all that were refused."""
    process = WORK / "keys.sh"
    calls = WORK / "calls"
    process.write_text(f"""#!/bin/sh
echo >> {calls}
n=$(wc -l < {calls})
echo '{{"Version": 1, "AccessKeyId": "key'$n'", "SecretAccessKey": "canary-secret", "SessionToken": "canary-token'$n'",
"Expiration": "2099-01-01T00:00:00Z"}}'
""")
    process.chmod(0o700)
    (WORK / "config").write_text(f"[default]\ncredential_process = {process}\n")
    e = {"AWS_CONFIG_FILE": str(WORK / "config"), "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    old = lambda r: "list-type" not in r.query and "key1/" in r.headers["Authorization"]
    expire = lambda r: error(400, "ExpiredToken") if old(r) else None
    assert read_with(expire, e) == GOOD
    assert calls.read_text() == "\n\n"
    assert SERVER.requests[-1].headers["x-amz-security-token"] == "canary-token2"
    assert "x-amz-security-token" in SERVER.requests[-1].headers["Authorization"]
    always = lambda r: error(400, "ExpiredToken")
    listed(SERVER.reset(always) | e, "bucket", "", code=REFUSED, says="have expired")
    assert len(SERVER.requests) == 2  # new keys, refused like the old ones
    listed(SERVER.reset(always), "bucket", "", code=REFUSED)


def test_clock():
    """A machine whose clock is an hour off signs by the server's."""
    def answer(request):
        sent = time.mktime(time.strptime(request.headers["x-amz-date"], "%Y%m%dT%H%M%SZ")) - time.timezone
        date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 3600))
        return error(403, "RequestTimeTooSkewed", Date=date) if abs(sent - time.time() - 3600) > 900 else None

    assert read_with(answer) == GOOD
    late = [r for r in SERVER.requests if answer(r) is not None]
    assert len(late) == 1, len(late)
    e = SERVER.reset(lambda r: error(403, "RequestTimeTooSkewed"))
    listed(e, "bucket", "", code=REFUSED, says="clock")


def test_denied():
    """Who lacks which right; and no denial passes for "there is none"."""
    no = lambda r: error(403, "AccessDenied", message="Access Denied.")
    call = lambda *words, **expected: probe(SERVER.reset(no), *words, **expected)
    call("list", "bucket", "", code=NOT_FOUND, says="keys of the environment; is it the right account, does it allow s3:ListBucket?")
    call("list", "bucket", "", code=NOT_FOUND, says="leave out --no-sign-request", flags="a")
    call("get", "bucket", "x", "-1", code=ARGUMENT, says="does it allow s3:GetObject, and is the object there?")
    call("put", "bucket", "x", "text", code=WRITE, says="does it allow s3:PutObject?")
    call("head", "bucket", "x", code=ARGUMENT, says="does it allow s3:GetObject and s3:ListBucket?")
    call("delete", "bucket", "x", code=WRITE, says="does it allow s3:DeleteObject?")
    call("abort", "bucket", "x", "id", code=WRITE, says="does it allow s3:AbortMultipartUpload?")
    call("uploads", "bucket", "", code=NOT_FOUND, says="does it allow s3:ListBucketMultipartUploads?")
    assert len(SERVER.requests) == 1
    found = read_with(lambda r: no(r) if r.path == "/bucket/003" else None)
    assert found[3][0] == NOT_FOUND and "access denied" in found[3][1] and len(found) == 20, found[3]
    words = "User: farmer is not authorized to perform: kms:Decrypt on the resource"
    e = SERVER.reset(lambda r: error(403, "AccessDenied", message=words))
    probe(e, "get", "bucket", "x", "-1", code=ARGUMENT, says="keys of the environment: " + words)
    e = SERVER.reset(lambda r: error(403, "AccessDenied", message="no"))
    probe(e, "put", "bucket", "x", "text", code=WRITE, says="keys of the environment: no; this takes s3:PutObject")
    page = lambda r: (403, {}, b"<html>" + b"x" * 100_000)
    for verb in (("list", "bucket", ""), ("get", "bucket", "x", "-1")):
        probe(SERVER.reset(page), *verb, code=(NOT_FOUND, ARGUMENT), says="access denied (403), but not by S3: does a proxy")
        assert len(SERVER.requests) == 1


def test_refusals():
    for code in ("SignatureDoesNotMatch", "InvalidAccessKeyId", "InvalidToken"):
        e = SERVER.reset(lambda r: error(403, code, "<StringToSign>canary</StringToSign>"))
        listed(e, "bucket", "", code=REFUSED, says=f"({code}; keys of the environment)")
        assert len(SERVER.requests) == 1
    cases = [  # status, code, of a list, of one object, of a write
        (400, "InvalidRequest", ARGUMENT, NOT_FOUND, WRITE),
        (400, "KMS.DisabledException", ARGUMENT, NOT_FOUND, WRITE),
        (403, "QuotaExceeded", ARGUMENT, NOT_FOUND, WRITE),
        (405, "MethodNotAllowed", ARGUMENT, NOT_FOUND, WRITE),
        (501, "NotImplemented", ARGUMENT, NOT_FOUND, WRITE),
    ]
    for status, code, of_list, of_one, of_write in cases:
        says = f"the server answers {status} {code}: of the test"
        e = SERVER.reset(lambda r: error(status, code))
        listed(e, "bucket", "", code=of_list, says=says)
        probe(e, "put", "bucket", "x", "text", code=of_write, says=says)
        found = read_with(lambda r: error(status, code) if r.path == "/bucket/003" else None)
        assert found.pop(3) == (of_one, "s3://bucket/003: " + says) and len(found) == 19, found
    gone = SERVER.reset(lambda r: error(404, "NoSuchBucket"))
    listed(gone, "bucket", "", code=NOT_FOUND, says="s3://bucket: there is no such bucket")
    probe(gone, "put", "bucket", "x", "text", code=WRITE, says="s3://bucket/x: there is no such bucket")
    probe(SERVER.reset(lambda r: (407, {}, b"")), "list", "bucket", "", code=ARGUMENT, says="the proxy asks for a name")
    probe(SERVER.reset(lambda r: (400, {}, b"")), "get", "bucket", "x", "-1", code=ARGUMENT, says="bucket/x: the server answers 400\n")


def by_botocore(request):
    """The Authorization that botocore would have sent with this request, keys and region as in KEYS."""
    host, sent = request.headers["Host"], request.headers["Authorization"]
    when = datetime.datetime.strptime(request.headers["x-amz-date"], "%Y%m%dT%H%M%SZ")
    botocore.auth.get_current_datetime = lambda remove_tzinfo=True: when
    names = set(re.search("SignedHeaders=([^,]+)", sent)[1].split(";")) - {"host", "x-amz-date", "x-amz-content-sha256"}
    theirs = botocore.awsrequest.AWSRequest(request.method, f"http://{host}{request.target}",
                                            {name: request.headers[name] for name in names}, request.body)
    credentials = botocore.credentials.Credentials(KEYS["AWS_ACCESS_KEY_ID"], KEYS["AWS_SECRET_ACCESS_KEY"])
    botocore.auth.S3SigV4Auth(credentials, "s3", KEYS["AWS_REGION"]).add_auth(theirs)
    return theirs.headers["Authorization"]


def test_bucket_in_host():
    """The bucket is part of the host's name, of which every one below localhost is this machine; and so it is signed."""
    (WORK / "virtual").write_text("[default]\ns3 =\n  addressing_style = virtual\n")
    objects = {"a b+c%20/사과.jpg": b"apple", "line\n\rfeed": b"plum", "plain": b"pear"}
    e = SERVER.reset(objects=objects) | {"AWS_CONFIG_FILE": str(WORK / "virtual"),
                                         "AWS_ENDPOINT_URL_S3": f"http://s3.localhost:{SERVER.server_port}"}
    assert [row[0].decode() for row in listed(e, "bucket", "")] == sorted(objects)
    assert taken(e, "bucket", "") == {i: md5(objects[key]) for i, key in enumerate(sorted(objects))}
    probe(e, "put", "bucket", "a b", "text")
    assert {r.headers["Host"] for r in SERVER.requests} == {f"bucket.s3.localhost:{SERVER.server_port}"}
    assert {r.path for r in SERVER.requests} == {"/", "/a b", *("/" + key for key in objects)}
    probe(e, "get", "bucket", "no\nsuch", "-1", code=NOT_FOUND, says="s3://bucket/no such: there is no such object")
    for dotted in ("my.bucket", "Bucket"):  # no label of a host's name
        probe(e, "put", dotted, "x", "text")
        assert SERVER.requests[-1].path == f"/{dotted}/x"
        assert SERVER.requests[-1].headers["Host"] == f"s3.localhost:{SERVER.server_port}"
    for request in SERVER.requests:
        assert request.headers["Authorization"] == by_botocore(request), (request, by_botocore(request))


def test_tls():
    """A certificate that nobody vouches for is no line that may get better; bodies are not hashed."""
    certificate, key = WORK / "server.pem", WORK / "server.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-out", certificate, "-keyout", key],
                   check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = Server(context)
    e = server.reset(objects=OBJECTS)
    start = time.monotonic()
    listed(e, "bucket", "", code=ARGUMENT, says="certificate; is this machine's clock right, and does AWS_CA_BUNDLE name")
    assert time.monotonic() - start < 5
    plain = {**e, **FEW, "AWS_ENDPOINT_URL_S3": SERVER.url.replace("http:", "https:")}
    listed(plain, "bucket", "", code=NETWORK, says="no TLS there: ")
    trusted = {**e, "AWS_CA_BUNDLE": str(certificate)}
    assert taken(trusted, "bucket", "") == GOOD
    probe(trusted, "put", "bucket", "x", "text")
    assert server.requests[-1].headers["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
    assert server.requests[-1].body == b"text"
    e = SERVER.reset()
    probe(e, "put", "bucket", "x", "text")
    digest = hashlib.sha256(b"text").hexdigest()
    assert SERVER.requests[-1].headers["x-amz-content-sha256"] == digest


serving.main(lambda: run(globals()))
