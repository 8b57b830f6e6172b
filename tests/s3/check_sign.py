"""Are our signatures those of botocore? Usage: check_sign.py SIGN_PROBE

A thousand requests to S3 and some to STS, seeded, as odd as S3 allows, are signed by botocore's S3SigV4Auth and
SigV4Auth and by us: targets and all headers must be the same.
"""
import datetime
import hashlib
import random
import subprocess
import sys

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.utils import percent_encode

RANDOM = random.Random(20261121)
PIECES = [b"a", b"plain.jpg", b" ", b"  ", b"+", b"=", b"%41", b"%", b"%2F", b"//", b"/../", b"/./", b"..", b"~", b"'",
          b'"', b"&",
          b"?", b"#", b";", b":", b"@", b"!", b"$", b"(", b")", b"*", b",", b"[", b"]", b"{", b"}", b"|", b"\\", b"^",
          b"`", b"<",
          b">", b"dt=2024-05-22/", b"hour=03/", "사과/배".encode(), "ü".encode(), "\U0001f34e".encode(), b"\x01",
          b"\x1f",
          b"\x7f",
          b"\t", b"\n", b"\r", b"\xff\xfe", b"\xed\xa0\x80", b"\xe6\x97", b"-", b"_", b".", b"0", b"Z", b"x" * 900]
NAMES = ["list-type", "prefix", "continuation-token", "delimiter", "encoding-type", "max-keys", "start-after",
         "uploads", "acl",
         "partNumber", "uploadId", "a", "a-b", "a b", "a.b", "A", "x-id", "ü", "a=", "~", "a%20"]
HEADERS = ["content-type", "x-amz-meta-fruit", "if-none-match", "range", "x-amz-request-payer", "content-md5",
           "cache-control",
           "x-amz-acl", "a", "z-last", "x-amz-copy-source"]
EMPTY = hashlib.sha256(b"").hexdigest()


def key():
    return b"".join(RANDOM.choice(PIECES) for _ in range(RANDOM.randint(0, 9)))


def query():
    pairs = []
    for _ in range(RANDOM.choice([0, 0, 1, 2, 5])):
        name = RANDOM.choice(NAMES)
        value = RANDOM.choice(["", "2", "1/abc+def==", "%2F%41", key(), "a b", "1000", "~"])
        pairs.append((name, value))
    return pairs


def headers():
    values = ["plain", "two words", "a  b\t c", "  outside ", "*", '"0123456789abcdef"', "bytes=0-9", "a, b",
              "text/plain; x=\"a  b\"", ""]
    return {name: RANDOM.choice(values) for name in RANDOM.sample(HEADERS, RANDOM.choice([0, 0, 1, 3]))}


def by_botocore(auth, case, when):
    """(target, {header: value}) as botocore signs it."""
    botocore.auth.get_current_datetime = lambda remove_tzinfo=True: when
    pairs = "&".join(f"{percent_encode(n)}={percent_encode(v)}" for n, v in case["query"])
    path = percent_encode(case["path"], safe="-._~/")
    url = f"{case['scheme']}://{case['host']}{path}" + ("?" + pairs if pairs else "")
    request = AWSRequest(case["method"], url, dict(case["headers"]), case["body"])
    request.context["client_config"] = Config(s3={"payload_signing_enabled": case["signed_payload"]})
    auth(Credentials(case["access"], case["secret"], case["token"] or None), case["service"],
         case["region"]).add_auth(request)
    ordered = sorted((percent_encode(n), percent_encode(v)) for n, v in case["query"])
    target = path + ("?" + "&".join(f"{n}={v}" for n, v in ordered) if ordered else "")
    names = ("x-amz-date", "x-amz-content-sha256", "x-amz-security-token", "authorization")
    return target, {n.lower(): v for n, v in request.headers.items() if n.lower() in names}


def by_us(probe, case, when):
    payload = hashlib.sha256(case["body"]).hexdigest() if case["signed_payload"] else "UNSIGNED-PAYLOAD"
    texts = [case["service"], case["region"], case["method"], case["host"], case["path"], payload, case["access"],
             case["secret"],
             case["token"]]
    words = [str(int(when.replace(tzinfo=datetime.timezone.utc).timestamp()))] + list(map(word, texts))
    for kind, pairs in (("q", case["query"]), ("h", case["headers"].items())):
        for name, value in pairs:
            words += [kind, word(name), word(value)]
    probe.stdin.write(" ".join(words) + "\n")
    probe.stdin.flush()
    target, *lines = probe.stdout.readline().rstrip("\n").split("\t")
    return target, dict(line.split(": ", 1) for line in lines if line)


def word(text):
    return (text.encode() if isinstance(text, str) else text).hex() or "-"


def s3_case():
    style = RANDOM.choice(["virtual", "path", "port", "v6"])
    host = {"virtual": "fruits.s3.eu-central-1.amazonaws.com", "path": "s3.us-east-1.amazonaws.com",
            "port": "127.0.0.1:8080",
            "v6": "[::1]:9000"}[style]
    signed = RANDOM.random() < 0.8
    return {"scheme": "https" if style in ("virtual", "path") or not signed else "http", "host": host,
            "service": "s3", "region": RANDOM.choice(["us-east-1", "eu-central-1", "cn-north-1"]),
            "method": RANDOM.choice(["GET", "PUT", "HEAD", "POST", "DELETE"]), "path": b"/" + key(), "query": query(),
            "headers": headers(), "body": RANDOM.choice([b"", b"apple", bytes(range(256))]), "signed_payload": signed,
            "access": RANDOM.choice(["AKIAIOSFODNN7EXAMPLE", "test:tester"]),
            "secret": RANDOM.choice(["wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "s", "x" * 511]),
            "token": RANDOM.choice(["", "", "FwoGZXIvYXdzEPr//////////wEaD+=" * 40])}


def sts_case():
    return s3_case() | {"service": "sts", "host": "sts.eu-central-1.amazonaws.com", "scheme": "https", "path": b"/",
                        "query": [],
                        "method": "POST", "body": b"Action=AssumeRole", "signed_payload": True,
                        "headers": {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}}


def main():
    probe = subprocess.Popen([sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    count = {"s3": 0, "sts": 0}
    for i in range(1100):
        when = datetime.datetime(2026, 1, 1) + datetime.timedelta(seconds=RANDOM.randrange(0, 40 * 366 * 86400))
        case = s3_case() if i < 1000 else sts_case()
        auth = botocore.auth.S3SigV4Auth if case["service"] == "s3" else botocore.auth.SigV4Auth
        wanted, got = by_botocore(auth, case, when), by_us(probe, case, when)
        assert got == wanted, f"case {i}: {case}\nbotocore: {wanted}\nours:     {got}"
        count[case["service"]] += 1
    for value in ("a\r\nx-evil: 1", "\x01", "\x7f"):
        target, _ = by_us(probe, s3_case() | {"headers": {"x-amz-meta-fruit": value}}, when)
        assert target.startswith("error a control character"), (value, target)
    probe.stdin.close()
    assert probe.wait() == 0
    print(f"good: {count['s3']} requests to S3, {count['sts']} to STS signed as by botocore {botocore.__version__}")


main()
