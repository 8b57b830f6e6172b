"""The client against a server of other people's: what boto3 wrote is listed and read.

Usage: check_client.py PROBE moto|swift

moto believes any signature, Swift checks it
"""

import concurrent.futures

from checking import *

from moto_server import Moto
from swift import Swift

KIND = sys.argv[2]
COUNT = 3500 if KIND == "moto" else 250
SERVER = Moto() if KIND == "moto" else Swift(objects_page=100)

# Every byte of ASCII that XML can hold, alone and in company; what URLs, paths and forms give a meaning to.
ASCII = [chr(c) for c in range(0x20, 0x7F)]
ODD = ["one/" + "x".join(ASCII[i : i + 4]) for i in range(0, len(ASCII), 4)]
ODD += ["one/a b+c%20d%2Bf%", "one/%41", "one/dt=2026-11-21/part.jpg", "one//double//", "one/..", "one/../up",
        "one/./here", "one/사과.jpg", "one/🍎", "one/e\u0301 é", "one/tab\there", "one/ends with space ",
        "one/?list-type=2&x#y", "one/" + "k" * 1020, "one/" + "배" * 340, "/leading slash"]


def content(key):
    return f"what is in {key}".encode()


def fill(client, bucket, keys):
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda key: client.put_object(Bucket=bucket, Key=key, Body=content(key)), keys))


def check_list(bucket, prefix, keys, **options):
    wanted = sorted((k.encode(), len(content(k)), f'"{md5(content(k))}"') for k in keys)
    found = listed(SERVER.environment(), bucket, prefix, **options)
    assert found == wanted, sorted(set(found) ^ set(wanted))[:5]


def test_odd_keys():
    check_list("odd", "", ODD)
    found = taken(SERVER.environment(), "odd", "")
    wanted = [md5(content(k)) for k in sorted(ODD, key=str.encode)]
    assert found == dict(enumerate(wanted)), [(i, w) for i, w in enumerate(wanted) if found.get(i) != w][:5]


def test_odd_keys_written():
    for key in ODD:
        probe(SERVER.environment(), "put", "odd", key, "anew" + key)
        assert BOTO.get_object(Bucket="odd", Key=key)["Body"].read() == ("anew" + key).encode(), key
        assert probe(SERVER.environment(), "get", "odd", key, "-1") == ("anew" + key).encode(), key


def test_pages():
    keys = [f"many/{i * 7919 % COUNT:05d}.jpg" for i in range(COUNT)]
    check_list("fruit", "many/", keys)
    found = taken(SERVER.environment(), "fruit", "many/", bytes_max=5000, count=500)
    assert found == dict(enumerate(md5(content(k)) for k in sorted(keys)[:500]))
    # The caller may stop where it wants, whatever is still under way.
    out = probe(SERVER.environment(), "list", "fruit", "many/", "7", code=WRITE, says="enough")
    assert out.count(b"\n") == 7


def test_prefixes():
    check_list("fruit", "a/b", ["a/b", "a/b/c", "a/bc"])
    check_list("fruit", "a/b/", ["a/b/c"])
    assert listed(SERVER.environment(), "fruit", "no such prefix") == []
    assert listed(SERVER.environment(), "empty", "") == []
    assert taken(SERVER.environment(), "empty", "") == {}


def test_sizes():
    """Nothing, exactly what is allowed, one byte more; and sizes that the reader was not told."""
    e = SERVER.environment()
    bodies = [b"", b"a", b"b" * 1000, b"c" * 1001, b"d" * 300000]
    for i, body in enumerate(bodies):
        BOTO.put_object(Bucket="sizes", Key=str(i), Body=body)
        assert probe(e, "get", "sizes", str(i), str(len(body))) == body
    for ahead in (10, -10):
        found = taken(e, "sizes", "", ahead=ahead, object_max=1000)
        assert {i: found[i] for i in range(3)} == {i: md5(bodies[i]) for i in range(3)}, found
        for i in (3, 4):
            assert found[i][0] == NOT_FOUND and "1000" in found[i][1] and f"s3://sizes/{i}" in found[i][1], found
    probe(e, "get", "sizes", "4", "299999", code=NOT_FOUND, says="has changed since it was listed")
    probe(e, "get", "sizes", "4", str(65 << 20), code=NOT_FOUND, says="more than")


def test_changed():
    """Objects that change between listing and reading cost themselves, not their neighbours."""
    for key in "abcdef":
        BOTO.put_object(Bucket="changed", Key=key, Body=b"old " + key.encode())

    def change(_):
        BOTO.put_object(Bucket="changed", Key="b", Body=b"new b")
        BOTO.put_object(Bucket="changed", Key="c", Body=b"much longer than before")
        BOTO.put_object(Bucket="changed", Key="d", Body=b"")
        BOTO.delete_object(Bucket="changed", Key="e")

    found = taken(SERVER.environment(), "changed", "", between=change)
    assert found[0] == md5(b"old a") and found[5] == md5(b"old f"), found
    for i in (1, 2, 3):
        assert found[i][0] == NOT_FOUND and "has changed since it was listed" in found[i][1], found
    assert found[4][0] == NOT_FOUND and "no such object" in found[4][1], found


def test_multipart():
    """Its ETag is no MD5."""
    parts = [b"x" * (5 << 20), b"the end"]
    upload = BOTO.create_multipart_upload(Bucket="parts", Key="large")["UploadId"]
    tags = [BOTO.upload_part(Bucket="parts", Key="large", UploadId=upload, PartNumber=i + 1, Body=p)["ETag"]
            for i, p in enumerate(parts)]
    BOTO.complete_multipart_upload(Bucket="parts", Key="large", UploadId=upload, MultipartUpload={
        "Parts": [{"PartNumber": i + 1, "ETag": tag} for i, tag in enumerate(tags)]})
    ((key, size, etag),) = listed(SERVER.environment(), "parts", "")
    assert (key, size) == (b"large", len(b"".join(parts))) and etag.endswith('-2"'), etag
    assert taken(SERVER.environment(), "parts", "") == {0: md5(b"".join(parts))}
    whole = b"".join(parts)
    for at, size in ((0, 1), (0, len(whole) - 1), (1, len(whole) - 1), ((5 << 20) - 3, 6), (len(whole) - 8, 8)):
        assert probe(SERVER.environment(), "range", "parts", "large", str(at), str(size), etag) == whole[at : at + size]
    e = SERVER.environment()
    probe(e, "range", "parts", "large", "7", "9", '"other"', code=NOT_FOUND, says="has changed since it was looked at")
    probe(e, "range", "parts", "large", str(len(whole)), "1", "-", code=NOT_FOUND, says="become shorter (InvalidRange)")
    probe(e | {"AWS_MAX_ATTEMPTS": "2"}, "range", "parts", "large", str(len(whole) - 1), "2", "-", code=NETWORK,
          says="1 bytes came where 2 were")


def test_states():
    """Archived objects; versions, of which only the last is seen, and keys that were deleted, of which none is."""
    if KIND != "moto":
        return
    BOTO.put_bucket_versioning(Bucket="states", VersioningConfiguration={"Status": "Enabled"})
    for body in (b"older", b"newer"):
        BOTO.put_object(Bucket="states", Key="a", Body=body)
    BOTO.put_object(Bucket="states", Key="archived", Body=b"cold", StorageClass="GLACIER")
    BOTO.put_object(Bucket="states", Key="deleted", Body=b"x")
    BOTO.delete_object(Bucket="states", Key="deleted")
    e = SERVER.environment()
    assert [row[0] for row in listed(e, "states", "")] == [b"a", b"archived"]
    found = taken(e, "states", "")
    assert found == {0: md5(b"newer"), 1: (NOT_FOUND, "s3://states/archived: the object is archived; restore it first "
                                           "(InvalidObjectState)")}, found


def test_refusals():
    e = SERVER.environment()
    probe(e, "list", "nobucket", "", code=NOT_FOUND, says="s3://nobucket: there is no such bucket")
    probe(e, "get", "fruit", "no such key", "-1", code=NOT_FOUND,
          says="s3://fruit/no such key: there is no such object")
    probe({**e, "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "list", "fruit", "", code=ARGUMENT)
    if KIND == "swift":
        wrong = {**e, "AWS_SECRET_ACCESS_KEY": "canary-secret"}
        probe(wrong, "list", "fruit", "", code=REFUSED, says="refuses the signature")
        probe(wrong, "put", "fruit", "x", "text", code=REFUSED, says="refuses the signature")
        # The server says which region signatures are to be made for.
        assert listed({**e, "AWS_REGION": "eu-west-3"}, "fruit", "a/bc")
    else:
        assert len(listed({"AWS_ENDPOINT_URL_S3": SERVER.url}, "fruit", "a/b", flags="a")) == 3


def main():
    global BOTO
    with SERVER:
        BOTO = SERVER.client()
        for bucket in ("odd", "empty", "sizes", "changed", "parts", "states"):
            BOTO.create_bucket(Bucket=bucket)
        fill(BOTO, "odd", ODD)
        fill(BOTO, "fruit", [f"many/{i:05d}.jpg" for i in range(COUNT)] + ["a/b", "a/b/c", "a/bc", "a/a"])
        run(globals())


serving.main(main)
