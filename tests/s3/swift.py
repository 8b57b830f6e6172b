"""OpenStack Swift with its S3 middleware on 127.0.0.1: it checks signatures and joins parts for real.

    with Swift() as swift:
        swift.url, swift.region, swift.access_key, swift.secret_key, swift.bucket
        swift.client()      a boto3 client
        swift.environment() the AWS_... variables

Four servers of Debian's packages, one folder as their only device, as an ordinary user (nobody, when the tests are
root). As a script: runs until it is stopped.
"""

import errno
import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile

import serving

# Swift is a Debian package of Debian's Python. Rings: two to the power of 8 partitions, one copy, on one device.
KINDS = ("account", "container", "object", "proxy")
PYTHON = "/usr/bin/python3"
RINGS = """
import sys
from swift.common.ring import RingBuilder
for name, port in zip(sys.argv[2::2], sys.argv[3::2]):
    builder = RingBuilder(8, 1, 1)
    builder.add_dev({"region": 1, "zone": 1, "ip": "127.0.0.1", "port": int(port), "device": "disk", "weight": 1})
    builder.rebalance()
    builder.get_ring().save(f"{sys.argv[1]}/{name}.ring.gz")
"""
# The servers run as they would from /usr/bin; only the number of uploads on a page is no setting of Swift's.
SERVER = """
from swift.common.middleware.s3api.controllers import multi_upload
from swift.common.wsgi import run_wsgi
from swift.obj import server as obj
kind, path, multi_upload.DEFAULT_MAX_UPLOADS = sys.argv[1], sys.argv[2], int(sys.argv[3])
more = {"global_conf_callback": obj.global_conf_callback} if kind == "object" else {}
sys.exit(run_wsgi(path, kind + "-server", **more))
"""
COMMON = """
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
user = {user}
swift_dir = {folder}
devices = {folder}/devices
mount_check = false
disable_fallocate = true
fallocate_reserve = 0
log_name = {kind}
"""
# Timeouts are wide, because busy machines are slow and one device has nobody to fail over to.
STORAGE = COMMON + """
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
allow_versions = false
conn_timeout = 20
node_timeout = 30
container_update_timeout = 30
"""
PROXY = COMMON + """
[pipeline:main]
pipeline = catch_errors proxy-logging cache listing_formats s3api tempauth bulk slo dlo proxy-logging proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
conn_timeout = 20
node_timeout = 30
recoverable_node_timeout = 30
error_suppression_limit = 1000000
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
max_bucket_listing = {objects_page}
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:proxy-logging]
use = egg:swift#proxy_logging
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:{nobody}
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:bulk]
use = egg:swift#bulk
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
"""


def ordinary_user():
    """Name of the user that the servers run as, and what Popen takes to become it."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid()).pw_name, {}
    nobody = pwd.getpwnam("nobody")
    return nobody.pw_name, {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


class Swift:
    region, access_key, secret_key, bucket = "us-east-1", "test:tester", "testing", "fruit"

    def __init__(self, objects_page=1000, uploads_page=1000):
        self.objects_page, self.uploads_page, self.children = objects_page, uploads_page, []

    def __enter__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="pomona-swift-"))
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        serving.stop(self.children)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self):
        self.user, self.identity = ordinary_user()
        if not all(os.path.exists(f"/usr/bin/swift-{kind}-server") for kind in KINDS):
            raise serving.Skip("Swift is not installed (swift-proxy, swift-account, swift-container, swift-object)")
        device = self.folder / "devices" / "disk"
        device.mkdir(parents=True)
        try:
            os.setxattr(device, "user.pomona", b"?")
        except OSError as error:
            if error.errno in (errno.ENOTSUP, errno.EPERM):
                raise serving.Skip(f"{self.folder}: Swift needs a file system with user xattrs; set TMPDIR") from None
            raise
        ports = dict(zip((*KINDS, "nobody"), serving.free_ports(5)))
        (self.folder / "swift.conf").write_text("[swift-hash]\nswift_hash_path_suffix = pomona\n")
        rings = [str(word) for kind in KINDS[:3] for word in (kind, ports[kind])]
        subprocess.run([PYTHON, "-I", "-c", RINGS, self.folder, *rings], check=True)
        for kind in KINDS:
            text = (PROXY if kind == "proxy" else STORAGE).format(
                kind=kind, port=ports[kind], user=self.user, folder=self.folder, nobody=ports["nobody"],
                objects_page=self.objects_page)
            (self.folder / f"{kind}.conf").write_text(text)
        if self.identity:
            for path in (self.folder, *self.folder.rglob("*")):
                shutil.chown(path, self.identity["user"], self.identity["group"])
        for kind in KINDS:
            child = serving.start_python(PYTHON, SERVER, kind, self.folder / f"{kind}.conf", self.uploads_page,
                                         log=self.folder / f"{kind}.log", cwd=self.folder, **self.identity)
            self.children.append(child)
        for kind, child in zip(KINDS, self.children):
            serving.wait_for_port(ports[kind], child, self.folder / f"{kind}.log")
        self.port = ports["proxy"]
        self.url = f"http://127.0.0.1:{self.port}"
        self.client().create_bucket(Bucket=self.bucket)

    def environment(self, url=None):
        return {"AWS_ENDPOINT_URL_S3": url or self.url, "AWS_REGION": self.region, "AWS_ACCESS_KEY_ID": self.access_key,
                "AWS_SECRET_ACCESS_KEY": self.secret_key}

    def client(self, url=None):
        import boto3
        import botocore.config

        # Swift does not know the checksums that new versions of botocore add by themselves.
        config = botocore.config.Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required",
                                        response_checksum_validation="when_required", read_timeout=60)
        return boto3.client("s3", endpoint_url=url or self.url, region_name=self.region, config=config,
                            aws_access_key_id=self.access_key, aws_secret_access_key=self.secret_key)


if __name__ == "__main__":
    serving.serve_until_stopped(Swift())
