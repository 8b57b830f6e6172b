"""Are configuration and keys found where botocore finds them? Usage: check_credentials.py CREDENTIALS_PROBE

A table of environments and profile files is resolved by botocore and by us; keys of roles, containers and instances
come from a server of the test's own (metadata_server.py). Every secret holds the word CANARY, which must never be
printed.
"""
import hashlib
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import botocore
import botocore.session

import metadata_server as md
import serving

PROBE = os.path.abspath(sys.argv[1])
ARN = "arn:aws:iam::123456789012:role/"
METHODS = {"env": "the environment", "container-role": "the container", "iam-role": "the EC2 instance"}
PROFILE = {"assume-role": "role_arn", "assume-role-with-web-identity": "web_identity_token_file",
           "custom-process": "credential_process",
           "shared-credentials-file": "keys", "config-file": "keys"}
PRINT = """import json, sys; a = "AK" + "|".join(sys.argv[1:]).encode().hex(); \
print(json.dumps({"Version": 1, "AccessKeyId": a, "SecretAccessKey": "CANARY/secret+of/" + a}))"""


def static(name, token=None):
    return (f"aws_access_key_id = {name}\naws_secret_access_key = {md.secret_of(name)}\n" +
            (f"aws_session_token={token}\n" if token else ""))


def process(*words):
    return f"credential_process = {sys.executable} -I {' '.join(words)}\n"


def role(name, **more):
    return f"role_arn = {ARN}{name}\n" + "".join(f"{k} = {v}\n" for k, v in more.items())


class Place:
    """A home with profile files, and the environment of one case."""

    def __init__(self, server, folder):
        self.server, self.folder = server, folder
        self.outputs = ""
        (folder / ".aws").mkdir()
        (folder / "web-token").write_text(md.WEB_TOKEN)
        (folder / "container-token").write_text(md.CONTAINER_TOKEN)
        (folder / "keys.py").write_text(PRINT)
        (folder / "a b'c.py").write_text(PRINT)

    def set(self, config="", credentials="", env=None):
        for name, text in (("config", config), ("credentials", credentials)):
            path = self.folder / ".aws" / name
            path.unlink(missing_ok=True)
            if text is not None:
                path.write_bytes(self.fill(text).encode() if isinstance(text, str) else text)
        self.env = {"HOME": str(self.folder), "PATH": os.environ["PATH"], "AWS_ENDPOINT_URL_STS": self.server.url,
                    "AWS_EC2_METADATA_SERVICE_ENDPOINT": self.server.url}
        self.env.update({k: self.fill(v) for k, v in (env or {}).items()})
        self.env = {k: v for k, v in self.env.items() if v != "UNSET"}
        for name in ("ASAN_OPTIONS", "LSAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"):
            if name in os.environ:
                self.env[name] = os.environ[name]
        self.server.reset()

    def fill(self, text):
        return text.replace("{F}", str(self.folder)).replace("{U}", self.server.url)

    def probe(self, *words, code=0):
        """Standard output's lines, or the message."""
        done = subprocess.run([PROBE, *words], env=self.env, capture_output=True, text=True, timeout=120,
                              cwd=self.folder,
                              input='{"Version": 1, "AccessKeyId": "stdin", "SecretAccessKey": "CANARY"}')
        self.outputs += done.stdout + done.stderr
        assert "CANARY" not in done.stdout + done.stderr, done
        assert done.returncode == code, (words, done)
        return done.stdout.splitlines() if code == 0 else done.stderr

    def fails(self, *words, status, says):
        message = self.probe(*words, code=1)
        assert message.startswith(f"{status}: ") and all(part in message for part in says), message
        assert message.count("\n") == 1 and len(message) < 520, message

    def botocore(self, profile=None):
        """(method, frozen keys) as botocore finds them here."""
        old = dict(os.environ)
        os.environ.clear()
        os.environ.update(self.env, AWS_DEFAULT_REGION="eu-central-1")
        try:
            session = botocore.session.Session(profile=profile)
            found = session.get_credentials()
            return (None, None) if found is None else (found.method, found.get_frozen_credentials())
        finally:
            os.environ.clear()
            os.environ.update(old)

    def same(self, profile=None, source=None):
        """Ours are botocore's keys, and from the same source."""
        flags = ["--profile", profile] if profile else []
        method, keys = self.botocore(profile)
        (line,) = self.probe(*flags, "--region", "eu-central-1", "keys")
        got_source, access, _, sha = line.split("\t")
        assert access == keys.access_key, (line, method, keys.access_key)
        assert sha == hashlib.sha256(f"{keys.secret_key}\n{keys.token or ''}".encode()).hexdigest(), (line, method)
        name = profile or self.env.get("AWS_PROFILE", "default")
        wanted = METHODS.get(method) or f"profile {name} ({PROFILE[method]})"
        assert got_source == (source or wanted), (got_source, method)
        return access


ENV_KEYS = {"AWS_ACCESS_KEY_ID": "AKenv", "AWS_SECRET_ACCESS_KEY": md.secret_of("AKenv")}
WEB = {"AWS_WEB_IDENTITY_TOKEN_FILE": "{F}/web-token", "AWS_ROLE_ARN": ARN + "web"}
CONTAINER = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "{U}/container",
             "AWS_CONTAINER_AUTHORIZATION_TOKEN": md.CONTAINER_TOKEN}
DEFAULT = "[default]\n" + static("AKdefault")
LONG_NAME = "AdministratorAccess-123456789012.a-profile-whose-name-is-much-longer-than-fifty-characters"

# (what, config, credentials, environment, profile's flag)
SAME = [
    ("environment", "", "", ENV_KEYS, None),
    ("environment with token", "", "", ENV_KEYS | {"AWS_SESSION_TOKEN": md.token_of("AKenv")}, None),
    ("environment before all others", "", DEFAULT, ENV_KEYS | WEB | CONTAINER, None),
    ("environment before AWS_PROFILE", "[profile x]\n" + static("AKx"), DEFAULT, ENV_KEYS | {"AWS_PROFILE": "x"}, None),
    ("a profile's flag before the environment", "", DEFAULT + "[x]\n" + static("AKx"), ENV_KEYS | WEB, "x"),
    ("web identity before keys of a profile", "", DEFAULT, WEB | CONTAINER, None),
    ("keys of the credentials file", "", DEFAULT, CONTAINER, None),
    ("keys of the config file", DEFAULT, None, CONTAINER, None),
    ("[profile default]", "[profile default]\n" + static("AKdefault"), None, {}, None),
    ("credentials file before config file", "[default]\n" + static("AKconfig"), DEFAULT, {}, None),
    ("process before keys of the config file", "[default]\n" + static("AKconfig") + process("{F}/keys.py", "p"), "",
     {}, None),
    ("keys of the credentials file before process", "[default]\n" + process("{F}/keys.py", "p"), DEFAULT, {}, None),
    ("role before keys", "[default]\n" + role("r", source_profile="s") + "[profile s]\n" + static("AKs"), DEFAULT,
     CONTAINER, None),
    ("container before instance", "", "", CONTAINER, None),
    ("container with a file's token", "", "", {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "{U}/container",
                                               "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "{F}/container-token"}, None),
    ("container without token", "", "", {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "{U}/container"}, None),
    ("instance", None, None, {}, None),
    ("instance for a profile without keys", "[profile x]\nregion = eu-west-1\n", "", ENV_KEYS, "x"),
    ("a token of 1500 characters", "", "[default]\n" + static("AKs", md.token_of("AKs")), {}, None),
    ("a long name", f"[profile {LONG_NAME}]\nregion=eu-west-1\n", f"[{LONG_NAME}]\n" + static("AKlong"),
     {"AWS_PROFILE": LONG_NAME}, None),
    ("a name in quotes", '[profile "with blank"]\n' + static("AKq"), "", {"AWS_PROFILE": "with blank"}, None),
    ("other files", "", "", {"AWS_CONFIG_FILE": "{F}/none", "AWS_SHARED_CREDENTIALS_FILE": "~/elsewhere"}, None),
    ("no files", DEFAULT, DEFAULT,
     {"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"} | CONTAINER, None),
    ("CRLF, comments, colons, capitals", "",
     b"# x\r\n[default]\r\n; y\r\nAWS_Access_Key_ID:AKcrlf\r\n\r\naws_secret_access_key = "
     + md.secret_of("AKcrlf").encode() + b"\r\n  # indented comment\r\n", {}, None),
    ("a nested block first", "[default]\ns3 =\n  addressing_style = path\n  aws_access_key_id = no\n" +
     static("AKnested"), "", {}, None),
    ("indented alike", "[default]\n  aws_access_key_id = AKi\n  aws_secret_access_key = " + md.secret_of("AKi") + "\n",
     "", {}, None),
    ("no inline comments", "", "[default]\naws_access_key_id = AK;x#y\naws_secret_access_key = " + md.secret_of("a") +
     "\n", {}, None),
    ("words in quotes", "[default]\n" + process("\"{F}/a b'c.py\"", r"""'q\u'\ \"ote\"\ '' '' "d\q\"\\" """), "", {},
     None),
    ("role, chain of two", "[profile a]\n" + role("ra", source_profile="b") + "[profile b]\n" +
     role("rb", source_profile="c") +
     "[profile c]\n" + static("AKc"), "", {"AWS_PROFILE": "a"}, None),
    ("role of itself", "[profile a]\n" + role("ra", source_profile="a") + static("AKa"), "", {"AWS_PROFILE": "a"},
     None),
    ("role, source's own role left aside", "[profile a]\n" + role("ra", source_profile="b") + "[profile b]\n" +
     role("rb", source_profile="c") + static("AKb") + "[profile c]\n" + static("AKc"), "", {"AWS_PROFILE": "a"}, None),
    ("role by process", "[profile a]\n" + role("ra", source_profile="b") + "[profile b]\n" +
     process("{F}/keys.py", "b"), "",
     {"AWS_PROFILE": "a"}, None),
    ("role by web identity", "[profile a]\n" + role("ra", source_profile="b") + "[profile b]\n" +
     role("rb", web_identity_token_file="{F}/web-token"), "", {"AWS_PROFILE": "a"}, None),
    ("role by the environment", "[profile a]\n" + role("ra", credential_source="Environment"), "", ENV_KEYS, "a"),
    ("role by the container", "[profile a]\n" + role("ra", credential_source="EcsContainer"), "", CONTAINER, "a"),
    ("role by the instance", "[profile a]\n" + role("ra", credential_source="Ec2InstanceMetadata"), "", {}, "a"),
    ("role with a token", "[profile a]\n" + role("ra", source_profile="b"), "[b]\n" +
     static("ASIAb", md.token_of("ASIAb")), {}, "a"),
    ("web identity of a profile", "[profile a]\n" + role("ra", web_identity_token_file="{F}/web-token"), "", {}, "a"),
]


def test_same(place):
    for what, config, credentials, env, profile in SAME:
        place.set(config, credentials, env)
        if what == "other files":
            (place.folder / "elsewhere").write_text("[default]\n" + static("AKelsewhere"))
        try:
            # The one difference of names: botocore has one method for web identities of profile and environment.
            web = "AWS_WEB_IDENTITY_TOKEN_FILE" in env and not profile and env.keys().isdisjoint(ENV_KEYS)
            place.same(profile, "the environment's web identity" if web else None)
        except Exception as problem:
            raise AssertionError(what) from problem
    return f"{len(SAME)} cases"


def test_role_fields(place):
    """What is asked of STS."""
    place.set("[profile a]\n" + role("ra", source_profile="b", external_id="ext+1/2=", role_session_name="my@session",
                                     duration_seconds="900") + "[profile b]\n" + static("AKb"))
    (line,) = place.probe("--profile", "a", "keys")
    wanted = {"Action": "AssumeRole", "Version": "2011-06-15", "RoleArn": ARN + "ra", "RoleSessionName": "my@session",
              "ExternalId": "ext+1/2=", "DurationSeconds": "900"}
    assert place.server.asked == [wanted], place.server.asked
    assert abs(float(line.split("\t")[2]) - time.time() - 900) < 30, line
    place.set(env=WEB | {"AWS_ROLE_SESSION_NAME": "named"})
    place.probe("keys")
    assert place.server.asked[0]["RoleSessionName"] == "named", place.server.asked
    place.set(env={"AWS_ENDPOINT_URL_STS": "{U}/x/../", "AWS_REGION": "eu-west-1"} | WEB)
    place.fails("keys", status=1, says=["AWS_ENDPOINT_URL_STS", "without a user, path or query"])


def test_messages(place):
    """What is refused, and that the message says what to do."""
    half = {"AWS_ACCESS_KEY_ID": "AKenv"}
    table = [
        ("", "", half, 1, ["AWS_ACCESS_KEY_ID is set", "not AWS_SECRET_ACCESS_KEY"]),
        ("", "", {"AWS_SECRET_ACCESS_KEY": "CANARY"}, 1, ["AWS_SECRET_ACCESS_KEY is set", "not AWS_ACCESS_KEY_ID"]),
        ("", "", ENV_KEYS | {"AWS_CREDENTIAL_EXPIRATION": "2026-02-30T00:00:00Z"}, 1, ["time of expiry"]),
        ("", "", ENV_KEYS | {"AWS_CREDENTIAL_EXPIRATION": "2020-02-28T00:00:00Z"}, 42,
         ["environment", "expired already", "clock"]),
        ("", "", ENV_KEYS | {"AWS_SESSION_TOKEN": "CANARY\nx"}, 1, ["environment", "blanks or characters"]),
        ("", "[default]\naws_access_key_id = AKx\n", {}, 1, ["profile default", "no secret key"]),
        ("[default]\naws_secret_access_key = CANARY\n", "[default]\naws_access_key_id = AKx\n", {}, 1,
         ["profile default", "no secret key"]),
        ("", "[default]\naws_secret_access_key = CANARY\n", {}, 1, ["profile default", "no access key"]),
        ("[default]\nsso_session = s\nsso_account_id = 1\nsso_role_name = r\n", "", {}, 1,
         ["SSO", "aws configure export-credentials --profile default --format process"]),
        ("[default]\nlogin_session = s\n", "", {}, 1, ["aws login", "export-credentials"]),
        ("[default]\n" + role("r", source_profile="default", mfa_serial="m") + static("AKa"), "", {}, 1,
         ["mfa_serial", "export-credentials"]),
        ("[default]\n" + role("r"), "", {}, 1, ["source_profile and credential_source"]),
        ("[default]\n" + role("r", source_profile="x", credential_source="Environment"), "", {}, 1,
         ["one of source_profile"]),
        ("[default]\n" + role("r", credential_source="Environment"), "", {}, 1, ["the environment has no keys"]),
        ("[default]\n" + role("r", source_profile="nobody"), "", {}, 1, ["no profile nobody"]),
        ("[default]\n" + role("r", source_profile="default"), "", {}, 1, ["default", "leads back"]),
        ("[default]\n" + role("r", source_profile="b") + "[profile b]\n" + role("q", source_profile="default"), "", {},
         1, ["leads back"]),
        ("[default]\n" + role("r", source_profile="p0") + "".join(f"[profile p{i}]\n" +
                                                                  role("q", source_profile=f"p{i + 1}")
                                                                 for i in range(20)) + "[profile p20]\n" +
                                                                 static("AKz"), "", {}, 1,
         ["too many in a row"]),
        ("[default]\n" + role("r", credential_source="Elsewhere"), "", {}, 1, ["credential_source is none of"]),
        ("[default]\n" + role("r", source_profile="b", duration_seconds="12x") + "[profile b]\n" + static("AKb"), "",
         {}, 1,
         ["duration_seconds", "900"]),
        ("[default]\n" + role("denied", source_profile="b") + "[profile b]\n" + static("AKb"), "", {}, 42,
         ["profile default", "403 AccessDenied", "not authorized to perform: sts:AssumeRole"]),
        ("[default]\n" + role("r", source_profile="b") +
         "[profile b]\naws_access_key_id=AKb\naws_secret_access_key=CANARY\n", "", {}, 42,
         ["SignatureDoesNotMatch"]),
        ("[default]\nweb_identity_token_file = {F}/web-token\n", "", {}, 1, ["no role_arn"]),
        ("", "", {"AWS_WEB_IDENTITY_TOKEN_FILE": "{F}/web-token"}, 1, ["not AWS_ROLE_ARN"]),
        ("", "", WEB | {"AWS_WEB_IDENTITY_TOKEN_FILE": "{F}/nothing"}, 20, ["cannot read the token in", "nothing"]),
        ("", "", WEB | {"AWS_WEB_IDENTITY_TOKEN_FILE": "/dev/zero"}, 20, ["cannot read the token in"]),
        ("", "", {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://192.0.2.1/x"}, 1, ["only https"]),
        ("", "", {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1.example.com/x"}, 1, ["only https"]),
        ("", "", {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://u:CANARY@127.0.0.1/x"}, 1, ["only https"]),
        ("", "", {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "file:///etc/passwd"}, 1, ["only https"]),
        ("", "", {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "@evil.example/x"}, 1, ["starts with /"]),
        ("", "", CONTAINER | {"AWS_CONTAINER_AUTHORIZATION_TOKEN": "CANARY\r\nX-Evil: 1"}, 1, ["more than one line"]),
        ("", "", CONTAINER | {"AWS_CONTAINER_AUTHORIZATION_TOKEN": "wrong"}, 1, ["container", "401"]),
        ("", "", {"AWS_EC2_METADATA_DISABLED": "true"}, 1, ["no AWS credentials", "AWS_ACCESS_KEY_ID",
                                                            "AWS_EC2_METADATA_DISABLED"]),
        ("", "", {"AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:1"}, 1, ["no AWS credentials", "hop limit"]),
        ("", "", {"AWS_PROFILE": "nobody"}, 1, ["AWS_PROFILE", "no profile nobody", ".aws/config", ".aws/credentials"]),
    ]
    for config, credentials, env, status, says in table:
        place.set(config, credentials, env)
        place.fails("keys", status=status, says=says)
    return f"{len(table)} refusals"


def test_answers(place):
    """Servers that give nonsense, or nothing at first."""
    role_path = "/latest/meta-data/iam/security-credentials/"
    good = md.imds("{}")
    table = [
        ({"/latest/api/token": (403, "")}, {}, 1, ["answers 403 when asked for a token", "version 2"]),
        ({"/latest/api/token": (200, "two\nlines")}, {}, 1, ["a token that is none"]),
        ({role_path: (404, "")}, {}, 1, ["has no role"]),
        ({role_path: md.imds("../../x")}, {}, 1, ["role is none"]),
        ({role_path: md.imds("..")}, {}, 1, ["role is none"]),
        ({role_path: md.imds("a b")}, {}, 1, ["role is none"]),
        ({role_path + "apple-role": good}, {}, 1, ["no access key"]),
        ({role_path + "apple-role": md.imds('{"Code":"Failed","Message":"not you"}')}, {}, 1, ["Failed: not you"]),
        ({role_path + "apple-role": md.imds('["CANARY"]')}, {}, 1, ["not a JSON object"]),
        ({role_path + "apple-role": md.imds('{"SecretAccessKey": "CANARY')}, {}, 1, ["not a JSON object"]),
        ({role_path + "apple-role": md.imds('{"AccessKeyId": 7, "SecretAccessKey": "CANARY"}')}, {}, 1,
         ["AccessKeyId is no text"]),
        ({role_path + "apple-role": md.imds('{"AccessKeyId": "' + "A" * 300 + '", "SecretAccessKey": "CANARY"}')}, {},
         1, ["longer than"]),
        ({role_path + "apple-role": md.imds("x" * 70000)}, {}, 40, ["EC2"]),
        ({"/latest/api/token": (500, "")}, {}, 40, ["answers 500"]),
        ({"/container": (500, "")}, CONTAINER, 40, ["container", "500"]),
        ({"/container": (200, '{"AccessKeyId": "A", "SecretAccessKey": "CANARY", "Expiration": "tomorrow"}')},
         CONTAINER, 1, ["time of expiry"]),
        ({"/": (200, "<html>")}, WEB, 1, ["not STS's XML"]),
        ({"/": (200, '<!DOCTYPE x [<!ENTITY e "ASIA">]><r><AccessKeyId>&e;</AccessKeyId>'
                      '<SecretAccessKey>CANARY</SecretAccessKey></r>')},
         WEB, 1, ["not STS's XML"]),
        ({"/": (200, "<r><AccessKeyId>" + "A" * 20000 + "</AccessKeyId></r>")}, WEB, 1, ["not STS's XML"]),
        ({"/": (400, md.STS_ERROR.format("ExpiredTokenException", "the token is old"))}, WEB, 42,
         ["ExpiredTokenException: the token is old"]),
        ({"/": (503, "busy")}, WEB, 40, ["503"]),
    ]
    for behave, env, status, says in table:
        place.set(env=env)
        place.server.behave.update(behave)
        place.fails("keys", status=status, says=says)
    passing = [({"/": [(400, md.STS_ERROR.format("IDPCommunicationError", "later")), (503, "busy"), md.sts]}, WEB, 3),
               ({"/container": [(500, ""), (200, "{}")][:1] + [md.container]}, CONTAINER, 2),
               ({"/latest/api/token": [(500, ""), md.imds_token]}, {}, 4)]
    for behave, env, requests in passing:
        place.set(env=env)
        place.server.behave.update(behave)
        place.probe("keys")
        assert len(place.server.log) == requests, place.server.log
    return f"{len(table)} bad answers"


def test_instance(place):
    """Version 2 and nothing else; region."""
    place.set()
    place.probe("keys")
    path = "/latest/meta-data/iam/security-credentials/"
    assert place.server.log == ["PUT /latest/api/token", f"GET {path}", f"GET {path}apple-role"], place.server.log
    assert place.probe("region") == ["eu-west-3"]
    place.server.behave["/latest/meta-data/placement/region"] = md.imds("evil.example")
    place.fails("region", status=1, says=["gives a region that is none"])
    place.set(env={"AWS_EC2_METADATA_DISABLED": "TRUE"})
    place.fails("region", status=20, says=["AWS_EC2_METADATA_DISABLED"])
    assert place.server.log == []
    place.set(env={"http_proxy": "http://127.0.0.1:1", "all_proxy": "http://127.0.0.1:1"})
    place.probe("keys")


def test_refused(place):
    """Keys that the server calls expired."""
    place.set(env=ENV_KEYS)
    place.fails("refused", status=42, says=["the server calls the keys of the environment expired; renew"])
    place.set(credentials=DEFAULT)
    place.fails("refused", status=42, says=["profile default (keys)", "renew them"])
    (place.folder / "count.py").write_text(
        "import pathlib; f = pathlib.Path(__file__).with_name('count')\n"
        "n = int(f.read_text()) if f.exists() else 0; f.write_text(str(n + 1))\n"
        "print('{\"Version\": 1, \"AccessKeyId\": \"AK%d\", \"SecretAccessKey\": \"CANARY\"}' % n)")
    place.set("[default]\n" + process("{F}/count.py"))
    assert [line.split("\t")[1] for line in place.probe("refused")] == ["AK0", "AK1"]
    place.set(env=ENV_KEYS)
    assert place.probe("--no-sign-request", "keys")[0].split("\t")[:2] == ["nobody: requests are not signed", ""]


def test_process(place):
    """What a credential_process may do wrong."""
    table = [
        ("print('{}')", ["Version"]),
        ("print('{\"Version\": 2}')", ["Version"]),
        ("print('{\"Version\": 1, \"AccessKeyId\": \"A\"}')", ["no secret key"]),
        ("print('{\"Version\": 1, \"AccessKeyId\": \"A\", \"SecretAccessKey\": \"CANARY')", ["not a JSON object"]),
        ("import sys; print('{\"Version\": 1}'); sys.exit(3)", ["exit code 3", "by hand"]),
        ("import os; os.kill(os.getpid(), 9)", ["signal 9"]),
        ("print('CANARY' * 100000)", ["prints more than 65536 bytes"]),
        ("import sys; print(sys.stdin.read(), end='')", ["not a JSON object"]),
    ]
    for source, says in table:
        (place.folder / "bad.py").write_text(source)
        place.set("[default]\n" + process("{F}/bad.py"))
        place.fails("keys", status=1, says=["credential_process of profile default", *says])
    for command, says in (("/no/such/program x", ["cannot run /no/such/program"]),
                          ("'open", ["a quote without its end"]),
                          ('a\\', ["a quote without its end"])):
        place.set(f"[default]\ncredential_process = {command}\n")
        place.fails("keys", status=1, says=says)
    (place.folder / "talks.py").write_text("import sys; print('on standard error', file=sys.stderr); " + PRINT)
    place.set("[default]\n" + process("{F}/talks.py", "t"))
    before = len(place.outputs)
    place.probe("keys")
    assert "on standard error" in place.outputs[before:]
    expires = '"Version": 1, "Expiration": "2099-01-01T01:30:00.25+01:30"'
    (place.folder / "offset.py").write_text(PRINT.replace('"Version": 1', expires))
    place.set("[default]\n" + process("{F}/offset.py", "t"))
    assert place.probe("keys")[0].split("\t")[2] == "4070908800"


SERVICES = """[default]
services = mine
endpoint_url = http://all:1
[services mine]
s3 =
  endpoint_url = http://s3:2/
sts =
  endpoint_url = http://sts:3
"""


def test_config(place):
    """Regions and endpoints as botocore's clients have them."""
    def botocores(profile):
        old = dict(os.environ)
        os.environ.clear()
        os.environ.update(place.env | {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"})
        try:
            session = botocore.session.Session(profile=profile)
            region = session.get_config_variable("region") or "us-east-1"
            s3, sts = (session.create_client(name, region_name=region) for name in ("s3", "sts"))
            style = (session.get_config_variable("s3") or {}).get("addressing_style")
            return {"region": session.get_config_variable("region") or "-", "endpoint": own(s3),
                    "sts_endpoint": own(sts),
                    "ca_bundle": session.get_config_variable("ca_bundle") or "-",
                    "profile": session.profile or "default",
                    "attempts": str(session.get_config_variable("max_attempts") or 8)}, style
        finally:
            os.environ.clear()
            os.environ.update(old)

    def own(client):
        url = client.meta.endpoint_url
        return "-" if "amazonaws.com" in url else re.sub(r"^(http://.*):80$", r"\1", url.rstrip("/"))

    env = {"AWS_ENDPOINT_URL_STS": "UNSET"}
    table = [
        ("", {}, None),
        ("[default]\nregion = eu-west-1\nmax_attempts = 3\nca_bundle = {F}/web-token\n", {}, None),
        ("[default]\nregion = eu-west-1\n", {"AWS_DEFAULT_REGION": "eu-west-2", "AWS_MAX_ATTEMPTS": "5",
                                             "AWS_CA_BUNDLE": "{F}/keys.py"}, None),
        ("[default]\nregion = eu-west-1\n[profile x]\nregion = eu-west-3\n", {"AWS_PROFILE": "x"}, None),
        ("[default]\nregion = eu-west-1\n[profile x]\nregion = eu-west-3\n", {"AWS_PROFILE": "default"}, "x"),
        ("[profile x]\n[profile y]\nregion = y\n", {}, "x"),
        ("[default]\nendpoint_url = http://127.0.0.1:9000\n", {}, None),
        ("[default]\nendpoint_url = http://minio\n", {"AWS_ENDPOINT_URL": "http://localhost:80"}, None),
        ("[default]\nendpoint_url = http://minio\n", {"AWS_ENDPOINT_URL": "http://localhost:1",
                                                      "AWS_ENDPOINT_URL_S3": "https://h:8443/"}, None),
        (SERVICES, {}, None),
        (SERVICES, {"AWS_ENDPOINT_URL": "http://localhost:1"}, None),
        (SERVICES, {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}, None),
        (SERVICES, {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false"}, None),
        (SERVICES.replace("services = mine\n", "services = mine\nignore_configured_endpoint_urls = True\n"), {}, None),
        ("[default]\ns3 =\n    addressing_style = path\n    # comment\nregion = eu-west-1\n", {}, None),
        ("[default]\nregion = eu-west-1\ns3=\n addressing_style=virtual\n\n signature_version = s3v4\n", {}, None),
    ]
    for config, more, profile in table:
        place.set(config, None, env | more)
        wanted, style = botocores(profile)
        got = dict(line.split("=", 1) for line in place.probe(*(["--profile", profile] if profile else []), "config"))
        wanted["path_style"] = "1" if style == "path" or (style is None and wanted["endpoint"] != "-") else "0"
        assert got == wanted, (config, more, got, wanted)
    return f"{len(table)} cases"


def run():
    with md.Metadata() as server, tempfile.TemporaryDirectory(prefix="pomona-credentials-") as folder:
        place = Place(server, pathlib.Path(folder))
        for name, test in list(globals().items()):
            if name.startswith("test_"):
                start = time.monotonic()
                print(f"good: {name}, {test(place) or 'done'}, {time.monotonic() - start:.1f} s", flush=True)
        server.shutdown()
    print(f"botocore {botocore.__version__}")


serving.main(run)
