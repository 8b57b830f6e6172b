#!/usr/bin/env python3
"""Reading many small objects: Pomona against `aws s3 cp --recursive`, from a server on this machine.

    bench/s3_read.py                                             100,000 objects, five rounds: about an hour
    bench/s3_read.py --objects 2000 --rounds 2 --patience 0      does it work? a minute

Sets up what it needs under build/: a Release build, the pictures (pomona-orchard, 3 to 4 kB each), awscli in a virtual
environment of its own. The server is pomona-s3-server, in C: moto gives some hundred objects a second and would measure
itself. It looks at no signature and holds everything in memory, so that the clients are what is slow.

What takes its turn in every round, each a whole process:
- read: pomona-s3-read, listing and reading alone, MD5s compared, on as many threads as cores;
- extract: `pomona extract` from the bucket, decoding included, with a network of a tiny input;
- extract from a disk: the same from files, the rate at which Pomona eats;
- aws: `aws s3 cp --recursive` to a disk with its 10 requests at once, and with 64.

The goals: extract no slower than the slower of read and of extract from a disk, within the noise, and not slower than
the better aws. The server runs on the same cores: its processor time is told, and not counted as a neighbour's.
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

import compare
import compare_report

ROOT = compare.ROOT
KINDS = 100  # of the orchard, a folder each
AWSCLI = "awscli==1.46.3"
SIZE = 32  # of the network's input: decoding is most of the work then


def set_up(args):
    build, work, venv = args.work / "release", args.work, ROOT / "build" / "bench-venv-aws"
    work.mkdir(parents=True, exist_ok=True)
    with open(work / "s3-build.log", "w") as log:
        for command in (["cmake", "--preset", "release", "-B", build, "-DPMN_BUILD_TESTS=OFF", "-DPMN_BUILD_BENCH=ON"],
                        ["cmake", "--build", build, "--target", "pomona", "pomona-orchard", "pomona-s3-server",
                         "pomona-s3-read"]):
            subprocess.run(list(map(str, command)), stdout=log, stderr=log, check=True, cwd=ROOT)
    stamp = venv / "requirements.txt"
    if not stamp.exists() or stamp.read_text() != AWSCLI:
        subprocess.run([sys.executable, "-m", "venv", "--clear", venv], check=True)
        subprocess.run([venv / "bin/pip", "install", "-q", "--disable-pip-version-check", AWSCLI], check=True)
        stamp.write_text(AWSCLI)
    views = -(-args.objects // KINDS)
    orchard = work / f"orchard-{KINDS}x{views}"
    subprocess.run([build / "bin/pomona-orchard", orchard, "--kinds", str(KINDS), "--views", str(views)], check=True,
                   capture_output=True)
    return build, venv / "bin/aws", orchard / "Training"


def run(command):
    """(the JSON that the command printed or None, its figures). As compare.run, which waits for all that lives: so for
    the server."""
    start = time.perf_counter()
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    text = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - start
    if process.returncode != 0:
        sys.exit(f"{command[0]} ... failed ({process.returncode})")
    figures = {"wall_s": wall, "cpu_s": usage.ru_utime + usage.ru_stime, "peak_mb": usage.ru_maxrss * 1024 / 1e6}
    return (json.loads(text) if text.strip() else None), figures


class Server:
    def __init__(self, build, folder):
        self.process = subprocess.Popen([build / "bin/pomona-s3-server", folder], stdout=subprocess.PIPE, text=True)
        port, count = self.process.stdout.readline().split()
        self.count, self.url = int(count), f"http://127.0.0.1:{port}"

    def seconds(self):
        """Processor time so far."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Bench:
    def __init__(self, args, build, aws, pictures, server):
        self.args, self.bin, self.aws, self.pictures, self.server = args, build / "bin", aws, pictures, server
        self.threads = len(os.sched_getaffinity(0))
        self.copy = args.work / "s3-copy"

    def read(self):
        found, figures = run([self.bin / "pomona-s3-read", "s3://bench/", self.threads])
        assert (found["objects"], found["failed"]) == (self.server.count, 0), found
        return figures | found

    def extract(self, source):
        table = self.args.work / "s3-table.npy"
        _, figures = run([self.bin / "pomona", "extract", source, "-o", table, "--overwrite", "-q", "--size", SIZE,
                          "--backend", "cpu", "--threads", self.threads])
        record = json.loads(table.with_name(table.name + ".record.json").read_text())
        assert record["counts"]["rows"] == self.server.count, record["counts"]
        return figures

    def cp(self, at_once):
        shutil.rmtree(self.copy, ignore_errors=True)
        config = self.args.work / f"aws-{at_once}.config"
        config.write_text(f"[default]\ns3 =\n  max_concurrent_requests = {at_once}\n  max_queue_size = 10000\n")
        os.environ["AWS_CONFIG_FILE"] = str(config)
        try:
            _, figures = run([self.aws, "s3", "cp", "--recursive", "--quiet", "s3://bench/", self.copy])
        finally:
            del os.environ["AWS_CONFIG_FILE"]
        copied = sum(len(files) for _, _, files in os.walk(self.copy))
        assert copied == self.server.count, copied
        return figures

    def sides(self):
        return {
            "read": self.read,
            "extract": lambda: self.extract("s3://bench/"),
            "extract from a disk": lambda: self.extract(self.pictures),
            "aws, 10 at once": lambda: self.cp(10),
            "aws, 64 at once": lambda: self.cp(64),
        }

    def sample(self, side):
        neighbours, served, start = compare.Neighbours(), self.server.seconds(), time.perf_counter()
        figures = side()
        elapsed, served = time.perf_counter() - start, self.server.seconds() - served
        others = max(0.0, neighbours.cores() - served / elapsed)
        return figures | {"rate": self.server.count / figures["wall_s"], "served_s": served, "others_cores": others}

    def measure(self):
        """{side: [sample of each round]}; a round that neighbours disturb is run again, the quietest is kept."""
        sides, rounds = self.sides(), []  # no warm-up: the server has read all files, and starts are short beside this
        for number in range(self.args.rounds):
            tries = []
            while len(tries) <= self.args.patience and (not tries or loudest(tries[-1]) > compare.QUIET):
                tries.append({name: self.sample(side) for name, side in sides.items()})
            rounds.append(min(tries, key=loudest))
            print(f"round {number + 1} of {self.args.rounds}", file=sys.stderr, flush=True)
        return {name: [one[name] for one in rounds] for name in sides}


def loudest(one):
    return max(figures["others_cores"] for figures in one.values())


def report(samples, server, facts):
    lines = [f"{server.count:,} objects of {facts['mean object']} bytes on average; {facts['machine']}", "",
             "| what | objects/s | processor time, s | the server's, s | peak memory, MB | others' cores |",
             "|---|---|---|---|---|---|"]
    for name, column in samples.items():
        rate = compare_report.range_of(compare.spread([one["rate"] for one in column]))
        cpu, served, peak = (statistics.median(one[key] for one in column) for key in ("cpu_s", "served_s", "peak_mb"))
        loud = max(one["others_cores"] for one in column)
        mark = " !" if loud > compare.QUIET else ""
        lines.append(f"| {name} | {rate} | {cpu:.2f} | {served:.2f} | {peak:.0f} | {loud:.2f}{mark} |")
    pairs = [("extract / extract from a disk", "extract", ["extract from a disk"]),
             ("extract / the better aws", "extract", ["aws, 10 at once", "aws, 64 at once"]),
             ("read / the better aws", "read", ["aws, 10 at once", "aws, 64 at once"])]
    lines.append("")
    for title, ours, theirs in pairs:
        best = max((samples[name] for name in theirs), key=lambda column: statistics.median(o["rate"] for o in column))
        ratios = [a["rate"] / b["rate"] for a, b in zip(samples[ours], best)]
        lines.append(f"{title}: {compare_report.range_of(compare.spread(ratios))}, round by round")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=pathlib.Path, default=ROOT / "build" / "bench", help="folder of all results")
    parser.add_argument("--objects", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--patience", type=int, default=3, help="repetitions of a disturbed round (default 3)")
    args = parser.parse_args()
    args.work = args.work.resolve()
    build, aws, pictures = set_up(args)
    facts = compare_report.facts_before(build)
    server = Server(build, pictures)
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ |= {"AWS_ENDPOINT_URL_S3": server.url, "AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench",
                   "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
                   "XDG_CACHE_HOME": str(args.work / "cache")}
    samples = Bench(args, build, aws, pictures, server).measure()
    facts["mean object"] = round(samples["read"][0]["bytes"] / server.count)
    facts["awscli"] = AWSCLI
    (args.work / "s3_read.json").write_text(json.dumps({"facts": facts, "samples": samples}, indent=1))
    print(report(samples, server, facts))
    server.process.kill()


if __name__ == "__main__":
    main()
