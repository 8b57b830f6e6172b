"""What gives out keys inside AWS, on 127.0.0.1: STS, a container's service and EC2's, in one server of small answers.

    with Metadata() as server:
        server.url, server.log   the address; what was asked, ["PUT /latest/api/token", ...]
        server.behave[PATH] = (code, body) or a function of the request that gives them, or a list of these: one each

STS checks signatures with botocore. The keys of a role tell who asked: "ASIA" + ROLE + "." + the signer's access key.
"""

import datetime
import hashlib
import http.server
import json
import sys
import threading
import time
import urllib.parse

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

WEB_TOKEN = "eyJ0eXAiOiJKV1QifQ.CANARY-web-identity.c2ln"
CONTAINER_TOKEN = "CANARY-container-authorization"
IMDS_TOKEN = "CANARY-imds-session-token=="
STS_XML = """<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{action}Result>
<AssumedRoleUser><Arn>{arn}</Arn></AssumedRoleUser><Credentials><AccessKeyId>{AccessKeyId}</AccessKeyId>
<SecretAccessKey>{SecretAccessKey}</SecretAccessKey><SessionToken>{Token}</SessionToken>
<Expiration>{Expiration}</Expiration></Credentials></{action}Result></{action}Response>"""
STS_ERROR = """<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>
<Code>{}</Code><Message>{}</Message></Error><RequestId>1</RequestId></ErrorResponse>"""


def secret_of(access_key):
    return "CANARY/secret+of/" + access_key.split(":")[-1]


def token_of(access_key):
    return "CANARY+token/of=" + access_key + "x" * 1500


def keys_of(access_key, seconds=3600):
    expires = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return {"Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": access_key, "SecretAccessKey": secret_of(access_key),
            "Token": token_of(access_key), "Expiration": expires.strftime("%Y-%m-%dT%H:%M:%SZ")}


class Refusal(Exception):
    """(code of HTTP, code, message)"""


def check_signature(request):
    """The access key that signed, or Refusal; what botocore's signer makes of the request is the truth."""
    authorization = request.headers.get("Authorization", "")
    if not authorization.startswith("AWS4-HMAC-SHA256 Credential="):
        raise Refusal(403, "MissingAuthenticationToken", "the request is not signed")
    fields = dict(part.strip().split("=", 1) for part in authorization.split(" ", 1)[1].split(","))
    access, day, region, service, _ = fields["Credential"].split("/")
    names = fields["SignedHeaders"].split(";")
    assert {"host", "x-amz-date"} <= set(names), names
    token = request.headers.get("X-Amz-Security-Token")
    assert (token is not None) == access.startswith("ASIA") and (token is None or "x-amz-security-token" in names)
    if token is not None and token != token_of(access):
        raise Refusal(403, "InvalidClientTokenId", "the session token is not of this key")
    copy = AWSRequest(request.command, f"http://{request.headers['Host']}{request.path}",
                      {n: request.headers[n] for n in names if n != "host"}, request.body)
    copy.context["timestamp"] = request.headers["X-Amz-Date"]
    assert abs(time.time() - datetime.datetime.strptime(copy.context["timestamp"] + "+0000",
                                                        "%Y%m%dT%H%M%SZ%z").timestamp()) < 60
    auth = botocore.auth.SigV4Auth(Credentials(access, secret_of(access)), service, region)
    if auth.signature(auth.string_to_sign(copy, auth.canonical_request(copy)),
                      copy) != fields["Signature"] or service != "sts":
        raise Refusal(403, "SignatureDoesNotMatch", "The request signature we calculated does not match")
    return access


def sts(request):
    fields = dict(urllib.parse.parse_qsl(request.body.decode(), keep_blank_values=True, strict_parsing=True))
    action = fields["Action"]
    request.server.asked.append(fields)
    try:
        assert fields["Version"] == "2011-06-15" and fields["RoleSessionName"] and request.command == "POST"
        if action == "AssumeRoleWithWebIdentity":
            if request.headers.get("Authorization") or fields["WebIdentityToken"] != WEB_TOKEN:
                raise Refusal(400, "InvalidIdentityToken", "the token is none of ours")
            signer = "web"
        else:
            signer = check_signature(request)
        role = fields["RoleArn"].split("/")[-1]
        if role == "denied":
            raise Refusal(403, "AccessDenied", f"User: {signer} is not authorized to perform: sts:AssumeRole")
        keys = keys_of(f"ASIA{role}.{signer}", int(fields.get("DurationSeconds", 3600)))
        return 200, STS_XML.format(action=action, arn=fields["RoleArn"], **keys)
    except Refusal as refusal:
        code, *words = refusal.args
        return code, STS_ERROR.format(*words)


def container(request):
    if request.headers.get("Authorization") not in (CONTAINER_TOKEN, None) or request.command != "GET":
        return 401, "{}"
    return 200, json.dumps(keys_of("ASIAcontainer" + ("" if request.headers.get("Authorization") else ".open")))


def imds_token(request):
    good = request.command == "PUT" and request.headers.get("X-aws-ec2-metadata-token-ttl-seconds") == "21600"
    return (200, IMDS_TOKEN) if good else (400, "")


def imds(text):
    def answer(request):
        known = request.headers.get("X-aws-ec2-metadata-token") == IMDS_TOKEN and request.command == "GET"
        return (200, text() if callable(text) else text) if known else (401, "")
    return answer


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.log.append(f"{self.command} {self.path}")
        how = self.server.behave.get(self.path, (404, ""))
        if isinstance(how, list):
            how = how.pop(0) if len(how) > 1 else how[0]
        code, text = how(self) if callable(how) else how
        data = text.encode() if isinstance(text, str) else text
        self.send_response(code)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_PUT = do_POST = answer

    def log_message(self, *_):
        pass


class Metadata(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.reset()
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def handle_error(self, request, client_address):
        """A client that hangs up is no error of ours; others are shown."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    def reset(self):
        roles = "/latest/meta-data/iam/security-credentials/"
        self.log, self.asked = [], []
        self.behave = {"/": sts, "/container": container, "/latest/api/token": imds_token, roles: imds("apple-role"),
                       roles + "apple-role": imds(lambda: json.dumps(keys_of("ASIAinstance"))),
                       "/latest/meta-data/placement/region": imds("eu-west-3")}


def sha(access_key, token=""):
    """What credentials_probe prints of keys."""
    return hashlib.sha256(f"{secret_of(access_key)}\n{token}".encode()).hexdigest()
