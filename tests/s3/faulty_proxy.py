"""An HTTP proxy on 127.0.0.1 in front of a test server, with faults by order.

    with FaultyProxy(server.port) as line:
        line.fault("PUT", r"partNumber=2", "reset request", at=100_000)   the first such request
        line.fault("GET", r"/a\\.jpg$", "half", nth=3, times=2)            the third and the fourth
        line.cut(2)                                                       now, for two seconds
        line.count("PUT", r"partNumber=2"), line.faults_left(), line.most_at_once

Kinds; the server never sees the request:
    reset request   the connection is reset after `at` bytes of the request's body
    error           answers `status` with an <Error> of `code`: 503 SlowDown, 200 InternalError, ...
it sees another one
    damage          the first byte of the request's body is changed
or it has answered, and
    lost            nothing of its answer arrives, the connection is reset
    reset           the connection is reset after `at` bytes of the answer's body
    half            half of the body, then an orderly end of the connection
    stall           half of the body (without one: nothing), then silence for `seconds`, then a reset
    late            the whole answer, after `seconds`
    lie             200 with an <Error> of `code` in the place of the answer, though the server did it
    encrypt         the ETag is another one, and a header says why: encrypted with a key of KMS
    more            a listing says that it goes on
    aged            Last-Modified is `seconds` before now
    long, short     Content-Length says 10 bytes more or fewer than there are; the connection ends
and for everybody:
    cut             the line is dead for `seconds` from this request on: what is under way never gets an answer, what
                    comes is not forwarded; connections are reset when the time is over (`refuse`: at once)
"""

import email.utils
import http.client
import re
import socket
import struct
import threading
import time
from dataclasses import dataclass

ERROR = '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{}</Code><Message>by order of the test</Message></Error>'
KINDS = ("reset request", "error", "damage", "lost", "reset", "half", "stall", "late", "lie", "encrypt", "more", "aged", "long",
         "short", "cut")
HOP_HEADERS = ("connection", "content-length", "transfer-encoding", "keep-alive")


@dataclass
class Fault:
    method: str
    target: str
    kind: str
    nth: int = 1
    times: int = 1
    at: int = 0
    seconds: float = 60
    status: int = 503
    code: str = "SlowDown"
    refuse: bool = False


class Gone(Exception):
    """This connection has nothing more to say; `reset`: not even good-bye."""

    def __init__(self, reset=True):
        self.reset = reset


class FaultyProxy:
    def __init__(self, port):
        self.server_port, self.lock = port, threading.Lock()
        self.seen, self.faults, self.dark_until, self.refuse = [], [], 0.0, False
        self.unanswered, self.most_at_once = set(), 0  # threads with a request that has not begun to be answered

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def fault(self, method, target, kind, **options):
        """`target` is a regular expression, looked for in "/path?query" as it is on the wire."""
        assert kind in KINDS, kind
        with self.lock:
            self.faults.append(Fault(method, target, kind, **options))

    def cut(self, seconds, refuse=False):
        self.dark_until, self.refuse = time.monotonic() + seconds, refuse

    def reset(self):
        with self.lock:
            self.seen, self.faults, self.dark_until = [], [], 0.0

    def count(self, method, target):
        with self.lock:
            return sum(m == method and re.search(target, t) is not None for m, t in self.seen)

    def faults_left(self):
        """Those that have not happened as often as was ordered."""
        with self.lock:
            return [f for f in self.faults if f.times > 0]

    def _choose(self, method, target):
        """The fault of this request; None: none."""
        chosen = None
        with self.lock:
            self.seen.append((method, target))
            self.unanswered.add(threading.get_ident())
            self.most_at_once = max(self.most_at_once, len(self.unanswered))
            for fault in self.faults:
                if fault.times > 0 and fault.method == method and re.search(fault.target, target):
                    fault.nth -= 1
                    if fault.nth <= 0 and chosen is None:
                        fault.times -= 1
                        chosen = fault
        return chosen

    def _settle(self):
        with self.lock:
            self.unanswered.discard(threading.get_ident())

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._converse, args=(client,), daemon=True).start()

    def _check_dark(self):
        left = self.dark_until - time.monotonic()
        if left > 0:
            time.sleep(0 if self.refuse else left)
            raise Gone

    def _converse(self, client):
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream = client.makefile("rb")
        server = http.client.HTTPConnection("127.0.0.1", self.server_port, timeout=120)
        try:
            self._check_dark()
            while self._serve_one(client, stream, server):
                pass
        except Gone as gone:
            if gone.reset:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass  # a client that hangs up, a server that is stopped
        self._settle()
        stream.close()
        client.close()
        server.close()

    def _serve_one(self, client, stream, server):
        line = stream.readline()
        if not line:
            return False
        method, target, _ = line.decode("ascii").split()
        headers = []
        while (line := stream.readline().strip()):
            headers.append([part.strip() for part in line.decode("latin-1").split(":", 1)])
        named = {name.lower(): value for name, value in headers}
        fault = self._choose(method, target)
        kind = fault.kind if fault else None
        if kind == "cut":
            self.cut(fault.seconds, fault.refuse)
            self._check_dark()
        if named.get("expect"):
            client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        size = int(named.get("content-length", 0))
        if kind == "reset request":
            stream.read(min(fault.at, size))
            raise Gone
        body = stream.read(size)
        self._check_dark()
        if kind == "error":
            return self._error(client, method, fault.status, fault.code)
        if kind == "damage":
            body = bytes([body[0] ^ 1]) + body[1:]
        server.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in headers:
            if name.lower() not in ("connection", "expect"):
                server.putheader(name, value)
        server.endheaders(body if size else None)
        answer = server.getresponse()
        content = answer.read()
        self._check_dark()
        return self._answer(client, method, fault, answer, content)

    def _error(self, client, method, status, code):
        body = b"" if method == "HEAD" else ERROR.format(code).encode()
        self._settle()
        client.sendall(b"HTTP/1.1 %d By Order\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n\r\n%b"
                       % (status, len(body), body))
        return True

    def _answer(self, client, method, fault, answer, content):
        kind = fault.kind if fault else None
        if kind == "lost":
            raise Gone
        if kind == "lie":
            return self._error(client, method, 200, fault.code)
        if kind == "more":
            content = content.replace(b"<IsTruncated>false", b"<IsTruncated>true")
        if kind == "late":
            time.sleep(fault.seconds)
        headers = [(name, value) for name, value in answer.getheaders() if name.lower() not in HOP_HEADERS]
        if kind == "encrypt":
            headers = [(n, v) for n, v in headers if n.lower() != "etag"]
            headers += [("ETag", '"%s"' % ("0" * 32)), ("x-amz-server-side-encryption", "aws:kms")]
        if kind == "aged":
            headers = [(n, v) for n, v in headers if n.lower() != "last-modified"]
            headers += [("Last-Modified", email.utils.formatdate(time.time() - fault.seconds, usegmt=True))]
        length = int(answer.getheader("content-length", 0)) if method == "HEAD" else len(content)
        length += {"long": 10, "short": -10}.get(kind, 0)
        head = f"HTTP/1.1 {answer.status} {answer.reason}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in headers)
        if answer.status != 204:
            head += f"Content-Length: {max(length, 0)}\r\n"
        cut_at = fault.at if kind == "reset" else len(content) // 2 if kind in ("half", "stall") else len(content)
        if kind == "stall" and not content:
            head = ""
        self._settle()
        client.sendall(head.encode("latin-1") + b"\r\n" * bool(head) + content[:cut_at])
        if kind == "stall":
            time.sleep(fault.seconds)
        if kind in ("reset", "stall", "half", "long", "short"):
            time.sleep(0.05 * (kind == "reset"))  # a reset overtakes bytes that were sent before it
            raise Gone(reset=kind in ("reset", "stall"))
        return True
