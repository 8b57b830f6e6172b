"""moto's S3 on 127.0.0.1: broad and lenient, it believes any signature.

    with Moto() as moto:
        moto.url, moto.region, moto.access_key, moto.secret_key, moto.bucket
        moto.client()      a boto3 client
        moto.environment() the AWS_... variables

As a script: runs until it is stopped.
"""

import pathlib
import shutil
import sys
import tempfile

import serving
import swift

SERVER = """
import moto.server
moto.server.main(["-H", "127.0.0.1", "-p", sys.argv[1]])
"""


class Moto(swift.Swift):
    access_key, secret_key = "apple", "secret/of+nobodys"

    def _start(self):
        (self.port,) = serving.free_ports(1)
        log = self.folder / "moto.log"
        self.children.append(serving.start_python(sys.executable, SERVER, self.port, log=log))
        serving.wait_for_port(self.port, self.children[0], log)
        self.url = f"http://127.0.0.1:{self.port}"
        self.client().create_bucket(Bucket=self.bucket)


if __name__ == "__main__":
    serving.serve_until_stopped(Moto())
