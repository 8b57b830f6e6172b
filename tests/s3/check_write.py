"""The writing calls of pmn_s3.h against moto or Swift; boto3 reads back what was written.

Usage: check_write.py WRITE_PROBE moto|swift
"""

import hashlib
import json
import os
import signal
import subprocess

from writing import *


def test_sizes():
    for size in (0, 1, PART - 1, PART, PART + 1, 20 << 20):
        data = content(size)
        upload(f"size-{size}", data, piece=max(size // 7, 1))
        assert read(f"size-{size}") == data, size
        if size:
            etag = SERVER.boto.head_object(Bucket="fruit", Key=f"size-{size}")["ETag"]
            sums = [hashlib.md5(data[i : i + PART]).digest() for i in range(0, size, PART)]
            assert etag == f'"{hashlib.md5(b"".join(sums)).hexdigest()}-{len(sums)}"'
    assert uploads("size-") == []


def test_one_write():
    """All of it in one call, more than the parts that may be on their way."""
    data = content(6 * PART + 17)
    upload("one-write", data, piece=len(data))
    assert read("one-write") == data


def test_many_threads():
    data = content(2 * PART + 5)
    probe("many", "fruit", "many", file_of(data))
    assert all(read(f"many.{i}") == data for i in range(4))


def test_rewrite_head():
    for size in (100, PART + 5, 40 << 20):
        data = content(size)
        upload("head", data, head="pomaceous")
        assert read("head") == b"pomaceous" + data[9:], size
    upload("head", content(100), head="x" * 101, code=ARGUMENT, says="first 101 bytes")
    assert uploads("head") == []


ODD_KEYS = ["a b+c", "dt=2024-05-22&x=/100%41", "a//b/./c/../d", "(사과)!*'~;:@$,/🍎", "é\u0301", "<&>\"'?q#f",
            "[x]{y}|z^`\\", "a/", "tab\tname "]


def test_odd_keys():
    for i, key in enumerate(ODD_KEYS):
        data = content(50 + i, seed=i)
        probe("put", "fruit", "put/" + key, file_of(data))
        assert read("put/" + key) == data, key
        assert probe("head", "fruit", "put/" + key) == f'{len(data)} "{hashlib.md5(data).hexdigest()}"\n', key
        upload("up/" + key, data)
        assert read("up/" + key) == data, key
        probe("delete", "fruit", "put/" + key)
        assert not is_there("put/" + key), key
    # What the program made is what the keys are, and not what some of them could be mistaken for.
    listed = [o["Key"] for o in SERVER.boto.list_objects_v2(Bucket="fruit", Prefix="up/")["Contents"]]
    assert sorted(listed) == sorted("up/" + key for key in ODD_KEYS), listed


def test_invisible():
    data = content(PART + 100)
    description = upload("invisible", data, end="describe")
    assert not is_there("invisible") and len(uploads("invisible")) == 1
    parsed = json.loads(description)
    assert [uploads("invisible")[0][1], [PART, 100]] == [parsed["upload_id"], [part[0] for part in parsed["parts"]]]
    probe("complete", "fruit", "invisible", description)
    assert read("invisible") == data and uploads("invisible") == []
    probe("complete", "fruit", "invisible", description)  # again, as after a crash
    assert read("invisible") == data
    if KIND == "moto":
        return  # moto 5.2.5 answers 500 when it does not know an upload; check_write_faults.py has these cases
    # Another object has come since: it must not pass for ours.
    SERVER.boto.put_object(Bucket="fruit", Key="invisible", Body=content(len(data), seed=2))
    probe("complete", "fruit", "invisible", description, code=NOT_FOUND, says="another object")
    SERVER.boto.delete_object(Bucket="fruit", Key="invisible")
    probe("complete", "fruit", "invisible", description, code=NOT_FOUND, says="is gone")


def test_empty():
    description = upload("empty", b"", end="describe")
    assert not is_there("empty")
    for _ in range(2):
        probe("complete", "fruit", "empty", description)
        assert read("empty") == b"" and uploads("empty") == []


def test_damaged_descriptions():
    good = json.loads(upload("damaged", content(10), end="describe"))
    bad = [{**good, "upload_id": ""}, {**good, "upload_id": 1}, {**good, "parts": {}}, {**good, "parts": [[10]]},
           {**good, "parts": [[-1, good["parts"][0][1]]]}, {**good, "parts": [[10, '"<x>"']]},
           {**good, "parts": [[10, "x"]]}, {**good, "more": 1}, [], {},
           {**good, "parts": [[2**62, good["parts"][0][1]]] * 3}]
    for description in [json.dumps(b) for b in bad] + ["", "{", json.dumps(good)[:-1]]:
        probe("complete", "fruit", "damaged", description, code=ARGUMENT, says="descri")
    assert not is_there("damaged")
    probe("abort", "fruit", "damaged", good["upload_id"])


def test_wrong_part():
    """The server does not have the part that the journal names."""
    description = json.loads(upload("wrong-part", content(10), end="describe"))
    description["parts"][0][1] = '"%s"' % hashlib.md5(b"other").hexdigest()
    probe("complete", "fruit", "wrong-part", json.dumps(description), code=NOT_FOUND, says="does not have the parts")
    assert not is_there("wrong-part")
    probe("abort", "fruit", "wrong-part", description["upload_id"])


def test_drop():
    """Given up: nothing stays, neither an object nor parts."""
    upload("drop", content(3 * PART), end="drop")
    assert not is_there("drop") and uploads("drop") == []
    upload("drop", content(3), end="drop")
    assert not is_there("drop") and uploads("drop") == []


def test_kill():
    """kill -9: no object, and what stays is found and aborted."""
    data = file_of(content(2 * PART))
    environment = {**os.environ, **SERVER.environment()}
    done = subprocess.run([PROBE, "upload", "fruit", "kill/a", data, "1000000", "", "kill"], env=environment)
    assert done.returncode == -signal.SIGKILL and not is_there("kill/a")
    ((key, upload_id),) = [line.split("\t") for line in probe("uploads", "fruit", "kill/").splitlines()]
    assert key == "kill/a"
    for _ in range(2):
        probe("abort", "fruit", key, upload_id)
        assert uploads("kill/") == [] == probe("uploads", "fruit", "kill/").splitlines()


def test_list_uploads():
    """More than Swift's pages here hold, two of the same key, odd keys; as boto3 lists them."""
    keys = ["list/a", "list/a", "list/a+b", "list/a b", "list/ü", "list/100%41", "list/z", "list/z/y"]
    ids = {SERVER.boto.create_multipart_upload(Bucket="fruit", Key=key)["UploadId"]: key for key in keys}
    listed = [tuple(line.split("\t")) for line in probe("uploads", "fruit", "list/").splitlines()]
    assert sorted(listed) == sorted((key, upload_id) for upload_id, key in ids.items()), listed
    assert len(probe("uploads", "fruit", "list/a").splitlines()) == 4
    assert probe("uploads", "fruit", "list/none") == ""
    for upload_id, key in ids.items():
        probe("abort", "fruit", key, upload_id)
    assert uploads("list/") == []


def test_only_new():
    first, second = file_of(b"first"), file_of(b"second")
    probe("put", "fruit", "new", first, "new")
    probe("put", "fruit", "new", first, "new")  # these bytes are ours
    for again in (second, file_of(b"longer than it"), file_of(b"")):
        probe("put", "fruit", "new", again, "new", code=EXISTS, says="s3://fruit/new is there already")
        assert read("new") == b"first"
    probe("put", "fruit", "new", second)
    assert read("new") == b"second"
    probe("delete", "fruit", "new")
    probe("put", "fruit", "new", second, "new")
    assert read("new") == b"second"


def test_missing():
    probe("head", "fruit", "nothing", code=NOT_FOUND, says="nothing")
    probe("delete", "fruit", "nothing")
    probe("put", "no-such-bucket", "a", file_of(b"x"), code=WRITE, says="no-such-bucket")
    upload("a", b"x", bucket="no-such-bucket", code=WRITE, says="no-such-bucket")
    probe("delete", "no-such-bucket", "a", code=WRITE, says="no-such-bucket")


def test_wrong_secret():
    """Only Swift looks at signatures."""
    if KIND != "swift":
        return
    wrong = {"AWS_SECRET_ACCESS_KEY": "another-secret"}
    probe("put", "fruit", "secret", file_of(b"x"), code=REFUSED, says="SignatureDoesNotMatch", **wrong)
    upload("secret", b"x", code=REFUSED, says="SignatureDoesNotMatch", **wrong)
    assert not is_there("secret") and uploads("secret") == []


run(globals())
