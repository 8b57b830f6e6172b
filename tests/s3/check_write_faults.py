"""The writing calls of pmn_s3.h over a line that has every fault at every step; boto3 reads back what came through.

Usage: check_write_faults.py WRITE_PROBE moto|swift

Against Swift, which is slow to answer, the faults that matter most.
"""

import concurrent.futures
import itertools
import json

from faulty_proxy import FaultyProxy
from writing import *

# The steps of an upload of two parts: the request that each of them is.
STEPS = {
    "create": ("POST", r"\?uploads"),
    "first part": ("PUT", r"partNumber=1(&|$)"),
    "second part": ("PUT", r"partNumber=2(&|$)"),
    "complete": ("POST", r"\?uploadId="),
}
# Faults of a while; each of them must be met by trying again, and by nothing else.
FAULTS = {
    "reset at once": dict(kind="reset request", at=0),
    "reset in the middle": dict(kind="reset request", at=100_000),
    "slow down": dict(kind="error", status=503, code="SlowDown"),
    "internal error": dict(kind="error", status=500, code="InternalError"),
    "throttled twice": dict(kind="error", status=429, code="TooManyRequests", times=2),
    "200 with an error": dict(kind="error", status=200, code="InternalError"),
    "done, 200 with an error": dict(kind="lie", code="InternalError"),
    "lost": dict(kind="lost"),
    "reset in the answer": dict(kind="reset", at=10),
    "half": dict(kind="half"),
    "length too long": dict(kind="long"),
    "length too short": dict(kind="short"),
    "damage": dict(kind="damage"),
    "stall": dict(kind="stall", seconds=33),
    "late": dict(kind="late", seconds=1),
    "power cut": dict(kind="cut", seconds=2),
    "refused": dict(kind="cut", seconds=0.5, refuse=True),
}
ON_SWIFT = ("reset in the middle", "slow down", "done, 200 with an error", "lost", "half", "damage", "power cut")
# Answers of a few bytes cannot be cut in the middle, and these have no body to begin with.
HARMLESS = ("late", "half", "length too short", "reset in the answer")
DATA = content(PART + 1000)


def chosen(faults=FAULTS):
    return [name for name in faults if KIND == "moto" or name in ON_SWIFT]


def at_once(cases):
    """Each (function, arguments...) with a line of its own, several at a time; stalls pass side by side."""

    def one(case):
        with FaultyProxy(SERVER.port) as line:
            try:
                case[0](line, *case[1:])
            except BaseException as error:
                raise AssertionError(case[1:], line.seen) from error

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        for done in [pool.submit(one, case) for case in cases]:
            done.result()


def order(line, request, fault, **more):
    line.fault(*request, **{**FAULTS[fault], **more})


def met(line, request, fault, asked=2):
    """The fault has happened, and the request was sent again."""
    assert line.faults_left() == [], "the fault did not happen"
    wanted = 1 if fault == "late" else asked
    assert line.count(*request) >= wanted, (line.count(*request), wanted)


def upload_with(line, step, fault):
    key = f"faults/{step}/{fault}"
    order(line, STEPS[step], fault)
    upload(key, DATA, head="pome", url=line.url)
    bodiless = step in ("first part", "second part") and fault in HARMLESS
    met(line, STEPS[step], fault, asked=1 if bodiless or (fault, step) == ("length too short", "complete") else 2)
    assert read(key) == b"pome" + DATA[4:]
    left = len(uploads(key))
    assert left <= 1 if step == "create" else left == 0  # one whose name has never arrived can stay


def upload_cases():
    # What is damaged in the request to complete is XML, and its refusal final.
    return [
        (upload_with, step, fault)
        for step, fault in itertools.product(STEPS, chosen())
        if fault != "damage" or step.endswith("part")
    ]


def put_with(line, fault, only_new):
    key, data = f"puts/{fault}/{only_new}", content(150_000)
    request = ("PUT", "puts")
    order(line, request, fault)
    probe("put", "fruit", key, file_of(data), *["new"] * only_new, url=line.url)
    met(line, request, fault, asked=1 if fault in HARMLESS else 2)
    assert read(key) == data
    probe("put", "fruit", key, file_of(data[:-1] + b"?"), "new", url=line.url, code=EXISTS)


def head_with(line, fault):
    key, data = f"heads/{fault}", content(5000)
    SERVER.boto.put_object(Bucket="fruit", Key=key, Body=data)
    order(line, ("HEAD", "heads"), fault)
    assert probe("head", "fruit", key, url=line.url).startswith("5000 ")
    met(line, ("HEAD", "heads"), fault, asked=1 if fault in HARMLESS else 2)


def delete_with(line, fault):
    key = f"deletes/{fault}"
    SERVER.boto.put_object(Bucket="fruit", Key=key, Body=b"x")
    order(line, ("DELETE", "deletes"), fault)
    probe("delete", "fruit", key, url=line.url)
    met(line, ("DELETE", "deletes"), fault, asked=1)
    assert not is_there(key)


def abort_with(line, fault):
    key = f"aborts/{fault}"
    upload_id = SERVER.boto.create_multipart_upload(Bucket="fruit", Key=key)["UploadId"]
    order(line, ("DELETE", "uploadId"), fault)
    probe("abort", "fruit", key, upload_id, url=line.url)
    met(line, ("DELETE", "uploadId"), fault, asked=1)
    assert uploads(key) == []


def list_with(line, fault):
    key = f"lists/{fault}"
    ids = [SERVER.boto.create_multipart_upload(Bucket="fruit", Key=key)["UploadId"] for _ in range(2)]
    order(line, ("GET", "uploads"), fault)
    listed = probe("uploads", "fruit", key, url=line.url).splitlines()
    assert sorted(listed) == sorted(f"{key}\t{upload_id}" for upload_id in ids)
    met(line, ("GET", "uploads"), fault)
    for upload_id in ids:
        SERVER.boto.abort_multipart_upload(Bucket="fruit", Key=key, UploadId=upload_id)


def small_cases():
    cases = [(put_with, fault, only_new) for fault in chosen() for only_new in (False, True)]
    if KIND == "moto":
        cases.remove((put_with, "damage", True))  # it stores damaged bodies, which then are there already
    # An answer to HEAD has no body, and its length says how large the object is, which nobody can check.
    no_body = [fault for fault in chosen() if fault != "damage"]
    headers_only = ("200 with an error", "done, 200 with an error", "length too long", "length too short")
    cases += [(head_with, fault) for fault in no_body if fault not in headers_only]
    # A 200 says enough, whatever comes with it.
    cases += [(f, fault) for f in (delete_with, abort_with) for fault in no_body if fault not in headers_only[:2]]
    return cases + [(list_with, fault) for fault in no_body]


def only_new_with(line, others):
    """The answer was lost, and on asking again there is an object: ours, or one that somebody else made before."""
    key = f"new/{others}"
    if others is not None:
        SERVER.boto.put_object(Bucket="fruit", Key=key, Body=others)
    line.fault("PUT", "kept", "lost")  # there libcurl itself asks again
    probe("put", "fruit", f"kept/{others}", file_of(b"ours, too"), "kept", url=line.url)
    assert read(f"kept/{others}") == b"ours, too" and line.count("PUT", "kept") >= 2
    line.fault("PUT", "new", "lost")
    probe("put", "fruit", key, file_of(b"mine"), "new", url=line.url, code=OK if others is None else EXISTS)
    assert read(key) == (others or b"mine")


def dead_with(line, step):
    """A line that never comes back: given up in time, and what was not completed is not to be seen."""
    key = f"dead/{step}"
    line.fault(*STEPS[step], "error", times=10**6)
    upload(key, DATA, url=line.url, code=NETWORK, says="SlowDown", AWS_MAX_ATTEMPTS="3")
    assert line.count(*STEPS[step]) == 3
    assert not is_there(key) and len(uploads(key)) == (step == "complete")


def lost_for_good(line):
    """Not one answer to complete arrives, though it was done at once: the next run finds the object."""
    description = upload("lost", DATA, end="describe")
    line.fault("POST", r"\?uploadId=", "lost", times=10**6)
    probe("complete", "fruit", "lost", description, url=line.url, code=NETWORK, AWS_MAX_ATTEMPTS="2")
    assert read("lost") == DATA
    probe("complete", "fruit", "lost", description)
    line.reset()
    line.fault("POST", r"\?uploadId=", "error", status=404, code="NoSuchUpload", times=10**6)
    probe("complete", "fruit", "lost", description, url=line.url)
    line.reset()
    line.fault("POST", r"\?uploadId=", "error", status=200, code="NoSuchUpload", times=10**6)
    probe("complete", "fruit", "lost", description, url=line.url)
    # held against size and ETag: neither alone will do
    parsed = json.loads(description)
    for change in ([DATA[:PART], content(1000, seed=5)], [DATA[:PART], DATA[PART:-1]], [DATA]):
        parsed["parts"] = [[len(part), '"%s"' % hashlib.md5(part).hexdigest()] for part in change]
        probe("complete", "fruit", "lost", json.dumps(parsed), url=line.url, code=NOT_FOUND, says="another object")
    parsed = json.loads(description)
    parsed["parts"][1][0] -= 1
    probe("complete", "fruit", "lost", json.dumps(parsed), url=line.url, code=NOT_FOUND, says="another object")


def refused(line):
    """What will never pass is not tried again."""
    description = upload("refused", DATA, end="describe")
    for status, says in ((200, "AccessDenied"), (403, "access denied")):
        line.reset()
        line.fault("POST", r"\?uploadId=", "error", status=status, code="AccessDenied", times=10**6)
        probe("complete", "fruit", "refused", description, url=line.url, code=WRITE, says=says)
        assert line.count("POST", "uploadId") == 1 and not is_there("refused")
    line.reset()
    line.fault("PUT", "partNumber=2", "error", status=403, code="AccessDenied", times=10**6)
    upload("refused-part", DATA, url=line.url, code=WRITE, says="access denied")
    assert line.count("PUT", "partNumber=2") == 1 and not is_there("refused-part") and uploads("refused-part") == []


def conditions(line):
    """Servers that do not know If-None-Match; and to be denied a look is not to see nothing."""
    for status, code in ((501, "NotImplemented"), (400, "InvalidArgument")):
        key = f"conditions/{status}"
        line.fault("PUT", key, "error", status=status, code=code)
        probe("put", "fruit", key, file_of(b"mine"), "new", url=line.url)
        assert read(key) == b"mine" and line.count("PUT", key) == 2 and line.count("HEAD", key) == 1
        line.fault("PUT", key, "error", status=status, code=code)
        probe("put", "fruit", key, file_of(b"more"), "new", url=line.url, code=EXISTS)
        assert read(key) == b"mine"
    line.fault("HEAD", "denied", "error", status=403, code="AccessDenied", times=10**6)
    line.fault("PUT", "denied", "error", status=501, code="NotImplemented")
    probe("put", "fruit", "denied", file_of(b"mine"), "new", url=line.url, code=ARGUMENT, says="denied")
    assert line.count("PUT", "denied") == 1 and not is_there("denied")
    description = upload("denied", b"x", end="describe")
    line.fault("POST", "denied", "error", status=404, code="NoSuchUpload")
    probe("complete", "fruit", "denied", description, url=line.url, code=ARGUMENT, says="access denied")


def several(line):
    """One line for many parts: faults of all kinds among them, in whatever order they go."""
    data = content(6 * PART + 3)
    for nth, fault in enumerate(("lost", "length too long", "slow down", "refused"), start=1):
        order(line, ("PUT", "partNumber"), fault, nth=2 * nth)
    upload("several", data, url=line.url)
    assert line.faults_left() == [] and read("several") == data


def bounded(line):
    """Parts go several at a time, but only so many: memory is theirs."""
    data = content(9 * PART + 1)
    line.fault("PUT", "partNumber", "late", seconds=0.5, times=10**6)
    upload("bounded", data, piece=len(data), url=line.url)
    assert line.most_at_once == 4 and read("bounded") == data
    upload("bounded-drop", data, piece=len(data), end="drop", url=line.url)  # with parts on their way
    assert not is_there("bounded-drop") and uploads("bounded-drop") == []


def endless(line):
    """A server that lists the same page again and again."""
    ids = [SERVER.boto.create_multipart_upload(Bucket="fruit", Key="endless")["UploadId"] for _ in range(2)]
    line.fault("GET", "uploads", "more", times=10**6)
    probe("uploads", "fruit", "endless", url=line.url, code=NETWORK, says="does not get on")
    probe("uploads", "fruit", "endless/none", url=line.url, code=NETWORK, says="does not get on")
    for upload_id in ids:
        SERVER.boto.abort_multipart_upload(Bucket="fruit", Key="endless", UploadId=upload_id)


def encrypted(line):
    """With a key of KMS ETags are no MD5s: they are not compared, and of the object's only the number of parts is."""
    line.fault("PUT", "encrypted", "encrypt", nth=2)
    probe("put", "fruit", "encrypted", file_of(b"x"), url=line.url)
    description = json.loads(upload("encrypted", DATA, end="describe", url=line.url))
    assert line.faults_left() == [] and line.count("PUT", "encrypted") == 3 and description["opaque"] is True
    probe("abort", "fruit", "encrypted", description["upload_id"])
    description = json.loads(upload("encrypted", DATA, end="describe"))
    assert description["opaque"] is False
    probe("complete", "fruit", "encrypted", json.dumps(description))
    line.fault("POST", "uploadId", "error", status=404, code="NoSuchUpload", times=10**6)
    opaque = [[size, '"%s"' % ("0" * 32)] for size, _ in description["parts"]]
    for parts, flag, code in ((opaque, True, OK), (opaque, False, NOT_FOUND), (opaque[1:], True, NOT_FOUND),
                              ([[PART + 1000, "x"]], True, NOT_FOUND), ([[PART, "x"], [1000, "y"]], True, OK)):
        text = json.dumps({**description, "parts": parts, "opaque": flag})
        probe("complete", "fruit", "encrypted", text, url=line.url, code=code)


def hard_cases():
    cases = [(only_new_with, others) for others in (None, b"your", b"theirs")]
    cases += [(endless,), *[(dead_with, step) for step in STEPS]] if KIND == "moto" else []
    return [*cases, (lost_for_good,), (refused,), (encrypted,), (bounded,), (conditions,), (several,)]


def test_faults():
    cases = upload_cases() + small_cases() + hard_cases()
    at_once(sorted(cases, key=lambda case: "stall" not in case))  # those that take longest, first
    print(len(cases), "cases")


run(globals())
