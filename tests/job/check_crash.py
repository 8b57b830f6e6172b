"""Runs that are killed, stopped, interrupted, or short of room, and taken up again: is the output that of an unbroken
run, to the byte, and do readers see nothing or all? Usage: check_crash.py POMONA ORCHARD KILL_AT_LIBRARY

POMONA_CRASH_KILLS (60): kill -9 at random times, over six kinds of runs. pyarrow 26.0.1, DuckDB 2.0.0, Polars 2.1.0.
"""
import concurrent.futures
import json
import os
import pathlib
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

try:
    import duckdb
    import polars
    import pyarrow.dataset
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

POMONA, ORCHARD, KILL_AT = map(os.path.abspath, sys.argv[1:4])
KILLS = int(os.environ.get("POMONA_CRASH_KILLS", "60"))
FOLDER = tempfile.TemporaryDirectory(prefix="pomona-crash-")
WORK = pathlib.Path(FOLDER.name)
GOOD, BAD = 60, 8
FAST = ["--backend", "cpu", "--threads", "1", "--size", "64", "--progress", "none", "-q"]
CSV = ["--parts", "4", "--format", "csv"]
PCA = ["--parts", "3", "--standardize", "--pca", "5"]


def make_pictures():
    subprocess.run([ORCHARD, WORK / "orchard", "--kinds", "6", "--views", "10"], check=True, capture_output=True)
    pictures = sorted((WORK / "orchard" / "Training").rglob("*.jpg"))[:GOOD]
    assert len(pictures) == GOOD
    for i, picture in enumerate(pictures):
        to = WORK / "src" / "abc"[i % 3] / f"{i:03d}.jpg"
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(picture, to)
    other = WORK / "other" / "x"
    other.mkdir(parents=True)
    for i, picture in enumerate(pictures[::3]):
        shutil.copy(picture, other / f"{i:03d}.jpg")
    (other / "bad.jpg").write_bytes(b"bad")
    names = [b"a/003x.jpg", b"a/000 .jpg", b"a/z\xff\\.jpg", b"b/, \"q\"'.jpg", b"b/001\n.jpg", b"c/\x01\xc3\xbc.png"]
    for name in names:
        with open(os.path.join(os.fsencode(WORK), b"src", name), "wb") as file:
            file.write(b"no picture")
    os.symlink("nothing", os.path.join(os.fsencode(WORK), b"src/a/lost\xc3\xbf\xfe\x80.jpg"))  # a reason with its name
    whole = (WORK / "src/b/001.jpg").read_bytes()
    (WORK / "src/b/zz.jpg").write_bytes(whole[: len(whole) // 2])


def start(home, args, kill_at=0, delay=0, log=None, **more):
    environment = dict(os.environ)
    if kill_at or delay or log:
        environment |= {"LD_PRELOAD": KILL_AT, "KILL_AT": str(kill_at), "KILL_AT_DELAY": str(delay)}
        environment["ASAN_OPTIONS"] = environment.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
    if log:
        environment["KILL_AT_LOG"] = str(log)
    command = [POMONA, "extract", WORK / "src", "-o", f"{home}/out/"]
    return subprocess.Popen(command + FAST + args, stderr=subprocess.PIPE, cwd=home, env=environment, **more)


def end(process):
    """Exit code and messages."""
    _, messages = process.communicate(timeout=300)
    return process.returncode, messages.decode(errors="replace")


def finish(home, args, **more):
    """A run that must come to its end; some pictures are bad, so that is 1."""
    code, messages = end(start(home, args, **more))
    assert code == 1, (args, code, messages)
    return messages


def fresh(name):
    home = WORK / name
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    return home


def output(home):
    """{name: bytes} of everything in OUT but the record, of which only what no clock decides; None without OUT."""
    out = home / "out"
    if not out.exists():
        return None
    files = {file.name: file.read_bytes() for file in out.iterdir()}
    record = json.loads(files.pop("_record.json"))
    return files, record["counts"], record["files"], record["plan"]


def check_same(home, wanted, extra=()):
    got = output(home)
    assert got is not None and got[0].keys() == wanted[0].keys(), (got and got[0].keys(), wanted[0].keys())
    for name, data in wanted[0].items():
        assert got[0][name] == data, f"{home}: {name} is not that of an unbroken run"
    assert got[1:] == wanted[1:], (got[1:], wanted[1:])
    # Hidden temporary files of the files beside OUT stay after SIGKILL: pomona clean FILE removes them.
    beside = [name for name in os.listdir(home) if not re.fullmatch(r"\.[pm]\.\w{6}\.tmp", name)]
    assert sorted(beside) == sorted(["out", *extra]), beside


class Case:
    """One kind of run: its options, what an unbroken one makes, and files that it makes beside OUT."""

    def __init__(self, name, args, extra=()):
        self.name, self.args, self.extra = name, args, extra
        home = fresh(f"{name}-unbroken")
        started = time.monotonic()
        finish(home, args)
        self.seconds = time.monotonic() - started
        self.wanted = output(home)
        self.files = {file: (home / file).read_bytes() for file in extra}
        counts = self.wanted[1]
        assert (counts["rows"], counts["rejects"]) == (GOOD, BAD), counts
        assert self.wanted[0]["_rejects.csv"].count(b"\n") > BAD
        self.home = home

    def check(self, home):
        check_same(home, self.wanted, self.extra)
        for file, data in self.files.items():
            assert (home / file).read_bytes() == data, f"{home}: {file}"

    def check_nothing_or_all(self, home):
        if (home / "out").exists():
            got = output(home)
            assert got[0] == self.wanted[0], f"{home}: a part of the output is to be seen"


# ------------------------------------------------------------------------------------------------- random kills --


def check_signal(sent, code, messages):
    """Ended in time, or as that signal wants it."""
    ends = {signal.SIGKILL: (-9,), signal.SIGTERM: (5, 143, -15), signal.SIGINT: (130, -2)}[sent]
    assert code == 1 or code in ends, (sent, code, messages)
    if code == 5:
        assert "--resume" in messages and messages.count("\n") == 1, messages
    if code == 143:
        assert "nothing was written" in messages, messages


def random_kills(case, seed, wanted):
    """Rounds of runs that are broken off until one comes to its end, for as long as it takes to kill `wanted`."""
    chance = random.Random(seed)
    sent, rounds, seconds = [], 0, case.seconds
    while sent.count(signal.SIGKILL) < wanted:
        rounds += 1
        home = fresh(f"{case.name}-random")
        code = None
        while code != 1:
            process = start(home, case.args + ["--resume"])
            try:
                process.wait(chance.uniform(0.1, 1) * seconds)
                code, messages = end(process)
                seconds *= 0.9  # about as long as it takes, however busy the machine is
                assert code == 1, (code, messages)
            except subprocess.TimeoutExpired:
                one = chance.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
                process.send_signal(one)
                code, messages = end(process)
                check_signal(one, code, messages)
                if code == -one or one != signal.SIGKILL:  # else it had come to its end
                    sent.append(one)
                seconds *= 1.05
            case.check_nothing_or_all(home)
        case.check(home)
        finish(home, case.args + ["--resume"])  # once more: nothing is left to do
        case.check(home)
    kills = sent.count(signal.SIGKILL)
    others = len(sent) - kills
    return f"{case.name}: {kills} times kill -9 and {others} other signals on the way to {rounds} outputs", kills


# ---------------------------------------------------------------------------------------------- at every call --


def prepare(home, old):
    """An output of another plan, of which only the whole or nothing may go."""
    if old:
        shutil.copytree(old.home / "out", home / "out")


def kill_at_calls(case, name, numbers, old, args):
    ended = False
    for number in numbers:
        home = fresh(f"{name}-{number}")
        prepare(home, old)
        code, messages = end(start(home, case.args + args, kill_at=number))
        assert code in (1, -9), (number, code, messages)
        ended = code == 1
        got = output(home)
        assert got is None and not old or got[0] in (case.wanted[0], old and old.wanted[0]), f"{home}: neither nor"
        if not ended:
            finish(home, case.args + args)
        case.check(home)
        shutil.rmtree(home)
    return ended


def kill_everywhere(case, name, pool, old=None, args=("--resume",)):
    """In steps of a few calls, so that several can be at work at once."""
    futures, step = [], 4
    home = fresh(f"{name}-log")
    prepare(home, old)
    finish(home, case.args + list(args), log=WORK / f"{name}.log")
    counted = [line for line in open(WORK / f"{name}.log", errors="replace") if not line.startswith("write")]
    for first in range(1, len(counted) + 1, step):
        numbers = range(first, min(first + step, len(counted) + 2))
        futures.append(pool.submit(kill_at_calls, case, name, numbers, old, list(args)))
    assert len(counted) > 30, len(counted)
    return futures, f"{name}: killed at each of {len(counted)} calls"


def check_order(case, name, broken_at=0):
    """After a loss of power nothing may be told of that is not there: what an entry of the journal, or the output's
    name, vouches for is synchronised before it, the names as well as the bytes."""
    home, log = fresh(f"{name}-order"), WORK / f"{name}-order.log"
    if broken_at:
        assert end(start(home, case.args + ["--resume"], kill_at=broken_at))[0] == -9
    finish(home, case.args + ["--resume"], log=log)
    unsafe, made, entries, shown = set(), set(), 0, False
    work, out = f"{home}/.out.pomona", f"{home}/out"
    for line in open(log, errors="surrogateescape"):
        call, path, to = line.rstrip("\n").split("\t")
        folder, _, base = (to or path).rpartition("/")
        if not f"{to or path}/".startswith(f"{home}/") or base == "lock" or path.endswith(" (deleted)"):
            continue
        if call == "write":
            unsafe.add(path)
        elif call == "fsync":
            unsafe.discard(path)
        elif call == "mkdir" and path not in made:
            made.add(path)
            unsafe.add(folder)
        elif call.startswith("rename"):
            assert path not in unsafe, f"{path} was renamed before it was synchronised"
            if folder == work or to == out:
                left = {name for name in unsafe if not name.startswith(f"{work}/output/._rejects") and name != work}
                assert not left, f"{to} vouches for {left}"
                entries += folder == work
            shown = shown or to == out
            unsafe.add(folder)
    assert shown and entries >= 2 and str(home) not in unsafe, (shown, entries, unsafe)
    return f"{name}: {entries} entries of the journal come after what they tell of"


# ----------------------------------------------------------------------------------------------------- readers --


def count_arrow(home):
    return pyarrow.dataset.dataset(home / "out", format="parquet").count_rows()


def count_arrow_above(home):
    """The folder that OUT lies in: 0 rows before."""
    return pyarrow.dataset.dataset(home, format="parquet").count_rows() or None


def count_duckdb(home):
    with duckdb.connect() as connection:
        return connection.execute(f"select count(*) from '{home}/out/*.parquet'").fetchone()[0]


def count_duckdb_above(home):
    with duckdb.connect() as connection:
        return connection.execute(f"select count(*) from '{home}/*/*.parquet'").fetchone()[0]


def count_polars(home):
    return polars.scan_parquet(f"{home}/out/*.parquet").select(polars.len()).collect().item()


def readers(case):
    home = fresh("readers")
    all_readers = (count_arrow, count_arrow_above, count_duckdb, count_duckdb_above, count_polars)
    seen = {reader: set() for reader in all_readers}
    process = start(home, case.args, delay=60)

    def read(reader):
        last = False
        while not last:
            last = process.poll() is not None
            try:
                seen[reader].add(reader(home))
            except FileNotFoundError:
                seen[reader].add(None)
            except (duckdb.IOException, polars.exceptions.ComputeError) as error:
                assert re.search("No files found|expand|empty", str(error)), error
                seen[reader].add(None)

    with concurrent.futures.ThreadPoolExecutor(len(seen)) as pool:
        futures = [pool.submit(read, reader) for reader in seen]
        code, messages = end(process)
        assert code == 1, (code, messages)
        for future in futures:
            future.result()
    for reader, counts in seen.items():
        assert counts == {None, GOOD}, (reader.__name__, counts)
    return "readers saw nothing, then all"


# ---------------------------------------------------------------------------------- signals, two runs, no room --


def wait_for(process, path):
    for _ in range(3000):
        if path.exists() or process.poll() is not None:
            break
        time.sleep(0.01)
    assert path.exists(), end(process)


def terminated(case, entry):
    home = fresh(f"{case.name}-terminated")
    process = start(home, case.args, delay=20)
    wait_for(process, home / ".out.pomona" / entry)
    process.send_signal(signal.SIGTERM)
    code, messages = end(process)
    assert code == 5 and "--resume" in messages and messages.count("\n") == 1, (code, messages)
    assert not (home / "out").exists()
    code, messages = end(start(home, case.args))
    assert code == 4 and "--resume" in messages and "pomona clean" in messages, (code, messages)
    finish(home, case.args + ["--resume"])
    case.check(home)
    return f"{case.name}: SIGTERM ends with 5, and --resume goes on"


def two_runs(case):
    home = fresh("two")
    process = start(home, case.args, delay=20)
    wait_for(process, home / ".out.pomona" / "part-00001.json")
    process.send_signal(signal.SIGSTOP)
    for flags in ([], ["--resume"], ["--overwrite"], ["--resume", "--overwrite"]):
        code, messages = end(start(home, case.args + flags))
        assert code == 4 and f"another run (process {process.pid})" in messages, (flags, code, messages)
    process.send_signal(signal.SIGCONT)
    code, messages = end(process)
    assert code == 1, (code, messages)
    case.check(home)
    return "the second run on one output is refused"


def mount(home, size):
    """A small disk of its own, if this may be had."""
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "pomona", home], capture_output=True)
    return done.returncode == 0


def disk_full(case, size):
    """On a full disk of `size` bytes, or with this limit to each file where there can be none."""
    home = fresh(f"{case.name}-full")
    mounted = os.geteuid() == 0 and mount(home, size)
    try:
        limits = {} if mounted else {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))}
        code, messages = end(start(home, case.args, **limits))
        wanted = "No space left on device" if mounted else "File too large"
        assert code == 4 and wanted in messages and str(home) in messages, (code, messages)
        assert messages.count("\n") == 1 and not (home / "out").exists(), (messages, os.listdir(home))
        journal = [name for name in os.listdir(home / ".out.pomona") if re.match("(part|rows)-.*json", name)]
        assert journal, os.listdir(home / ".out.pomona")
        if mounted:
            subprocess.run(["mount", "-o", "remount,size=8m", home], check=True)
        finish(home, case.args + ["--resume"])
        case.check(home)
    finally:
        if mounted:
            subprocess.run(["umount", home], check=True)
    return f"{case.name}: {'a full disk' if mounted else 'a limit to files'} ends with 4, and --resume goes on"


# ------------------------------------------------------------------------------- rejects that the network makes --


def make_overflow():
    """A network whose features of bright pictures are infinite: rejects that are found after others with higher
    indices, and listed before them."""
    try:
        from onnx import TensorProto, helper, save
    except ImportError:
        return None
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("Mul", ["flat", "factor"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "overflow",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 16, 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])],
        [helper.make_tensor("factor", TensorProto.FLOAT, [1], [3.4e38 / 225])],
    )
    path = WORK / "overflow.onnx"
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


def network_rejects(model):
    if model is None:
        return "skipped: no onnx"
    args = ["--features", str(model), "--preprocess", "raw", "--size", "16", "--format", "csv", "--parts", "2"]
    home = fresh("overflow-unbroken")
    finish(home, args)
    wanted = output(home)
    stages = re.findall(rb",(decode|network),", wanted[0]["_rejects.csv"])
    assert {b"decode", b"network"} == set(stages) and wanted[1]["rows"] > 10, (stages, wanted[1])
    for batch in ("1", "7", "32"):  # one at a time they are found in the order of the listing
        home = fresh(f"overflow-batch-{batch}")
        finish(home, args + ["--batch", batch])
        check_same(home, wanted)
    lists = []
    for batch in ("1", "32"):
        table = home / f"out-{batch}.csv"
        done = subprocess.run([POMONA, "extract", WORK / "src", "-o", table, *FAST, *args[:6], "--batch", batch])
        assert done.returncode == 1
        lists.append(table.with_name(table.name + ".rejects.csv").read_bytes())
    assert lists[0] == lists[1] == wanted[0]["_rejects.csv"], "the list of rejects depends on the batch"
    home = fresh("overflow")
    process = start(home, args, delay=20)
    wait_for(process, home / ".out.pomona" / "part-00000.json")
    process.kill()
    end(process)
    finish(home, args + ["--resume"])
    check_same(home, wanted)
    return f"overflow: {stages.count(b'network')} rejects of the network come back in their order"


def check_all(cases, pool):
    csv, pca = cases[:2]
    first = [
        pool.submit(readers, pca),
        pool.submit(terminated, csv, "part-00001.json"),
        pool.submit(terminated, pca, "rows-00001.json"),
        pool.submit(two_runs, csv),
        pool.submit(disk_full, pca, 330_000),
        pool.submit(network_rejects, make_overflow()),
    ]
    first += [pool.submit(check_order, case, case.name) for case in cases]
    first += [pool.submit(check_order, pca, "pca-again", 20)]
    for future in first:
        print("good:", future.result(), flush=True)
    whole = [
        kill_everywhere(csv, "csv-calls", pool),
        kill_everywhere(pca, "pca-calls", pool),
        kill_everywhere(csv, "csv-over-pca", pool, pca, ("--resume", "--overwrite")),
    ]
    for futures, text in whole:
        for future in futures:
            future.result()
        print("good:", text, flush=True)
    kills, share = 0, -(-KILLS // len(cases))
    for future in [pool.submit(random_kills, case, seed, share) for seed, case in enumerate(cases)]:
        text, more = future.result()
        kills += more
        print("good:", text, flush=True)
    assert kills >= KILLS
    print(f"good: {kills} times kill -9 at random", flush=True)


def main():
    make_pictures()
    csv = Case("csv", CSV)
    pca = Case("pca", PCA)
    saved = Case("saved", ["--parts", "2", "--pca", "3", "--save-projection", "p", "--save-moments", "m"], ["p", "m"])
    projection = str(saved.home / "p")
    cases = [
        csv,
        pca,
        saved,
        Case("npy", ["--parts", "3", "--format", "npy", "--standardize"]),
        Case("fit-on", ["--parts", "4", "--pca", "4", "--fit-on", str(WORK / "other")]),
        Case("projection", ["--parts", "4", "--projection", projection]),
    ]
    with concurrent.futures.ThreadPoolExecutor(max(2, os.cpu_count() or 1)) as pool:
        try:
            check_all(cases, pool)
        finally:
            pool.shutdown(cancel_futures=True)


if __name__ == "__main__":
    begun = time.monotonic()
    main()
    print(f"{time.monotonic() - begun:.0f} s")
