"""Damaged and malicious .h5 files: always exit code 7 with one line, whatever becomes of the process that reads them.

Usage: check_hostile.py POMONA
"""

import concurrent.futures
import random
import signal
import time

import h5py
import numpy as np

from checking import *


def refuse(path, says="", network="efficientnet_lite0"):
    """With a network named: to try all of the zoo on every file would take most of this test's time."""
    named = ("--network", network) if network else ()
    done = subprocess.run([POMONA, "weights", "convert", path, "-o", WORK / "never.safetensors", *named],
                          capture_output=True, timeout=120)
    text = done.stderr.decode("utf-8")
    assert done.returncode == 7, (path, done.returncode, text)
    assert done.stdout == b"" and text.count("\n") == 1 and text.startswith("pomona: "), text
    assert says in text, (says, text)
    return text


def refuse_all(cases):
    """{name: bytes}, on two processors; the texts."""

    def one(item):
        path = WORK / item[0]
        path.write_bytes(item[1])
        text = refuse(path, network=None if "_0_" in item[0] else "efficientnet_lite0")
        path.unlink()
        return text

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        texts = list(pool.map(one, cases.items()))
    assert not (WORK / "never.safetensors").exists()
    return texts


FILES = ("weights_keras2_model.h5", "weights_keras2_split.h5", "weights_keras3.weights.h5")


def test_truncated():
    """At every size that is interesting, and at others. None of the files is of a network of the zoo: even a cut that
    does no harm ends in 7."""
    cases = {}
    for name in FILES:
        data = (GOLDEN / name).read_bytes()
        for size in [*range(0, 96, 24), *range(96, len(data), len(data) // 15)]:
            if size >= 8:  # less is no HDF5 file, but no safetensors either
                cases[f"cut_{size}_{name}"] = data[:size]
    texts = refuse_all(cases)
    assert any("HDF5:" in text for text in texts)
    print(len(texts), "cut files")


def test_flipped():
    """One to eight bits anywhere, most of them in the structure and not in the values."""
    rng, cases = random.Random(20261121), {}
    for name in FILES:
        data = (GOLDEN / name).read_bytes()
        for i in range(70):
            damaged = bytearray(data)
            for _ in range(rng.choice((1, 1, 2, 8))):
                damaged[rng.randrange(8, len(data))] ^= 1 << rng.randrange(8)
            cases[f"flip_{i}_{name}"] = bytes(damaged)
        for i in range(20):  # a whole word of a size or an address
            damaged = bytearray(data)
            at = rng.randrange(8, len(data) - 8) & ~7
            damaged[at : at + 8] = rng.choice((b"\xff" * 8, b"\x00\xff" * 4, bytes(7) + b"\x80"))
            cases[f"word_{i}_{name}"] = bytes(damaged)
    texts = refuse_all(cases)
    kinds = {word: sum(word in text for text in texts) for word in ("does not fit", "HDF5:", "signal")}
    assert kinds["does not fit"] > 0 and kinds["HDF5:"] > 0, kinds
    print(len(texts), "damaged files:", kinds)


def make(change):
    """A good little file, changed."""
    path = WORK / "made.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"a"]
        file.create_group("a").attrs["weight_names"] = [b"a/kernel:0"]
        file["a"].create_group("a")
        change(file)
    return path


def test_malicious():
    secret = WORK / "secret.h5"
    with h5py.File(secret, "w") as file:
        file.create_group("a")["kernel:0"] = np.zeros((2, 2), "f4")
        file["kernel:0"] = np.zeros((2, 2), "f4")
    (WORK / "secret.bin").write_bytes(bytes(16))

    def external_dataset(file):
        file["a/a/kernel:0"] = h5py.ExternalLink(str(secret), "/kernel:0")

    def external_group(file):
        del file["a/a"]
        file["a/a"] = h5py.ExternalLink(str(secret), "/a")

    def soft(file):
        file["a/other"] = np.zeros((2, 2), "f4")
        file["a/a/kernel:0"] = h5py.SoftLink("/a/other")

    def external_values(file):
        file["a/a"].create_dataset("kernel:0", (2, 2), "<f4", external=[(str(WORK / "secret.bin"), 0, 16)])

    def virtual(file):
        layout = h5py.VirtualLayout((2, 2), "<f4")
        layout[:] = h5py.VirtualSource(str(secret), "kernel:0", (2, 2))
        file["a/a"].create_virtual_dataset("kernel:0", layout)

    def bomb(file):
        file["a/a"].create_dataset("kernel:0", (1024, 1024), "<f4", chunks=(1024, 64), compression="gzip",
                                   data=np.zeros((1024, 1024), "f4"))

    def promise(file):
        file["a/a"].create_dataset("kernel:0", (30000, 8000), "<f4", chunks=(100, 100))

    def huge(file):
        file["a/a"].create_dataset("kernel:0", (1 << 40, 1 << 20), "<f4", chunks=(100, 100))

    def dimensions(file):
        file["a/a"].create_dataset("kernel:0", data=np.zeros((1, 1, 1, 1, 2), "f4"))

    def none(file):
        file["a/a"].create_dataset("kernel:0", data=np.zeros((0, 3), "f4"))

    def texts(file):
        file["a/a"].create_dataset("kernel:0", data=b"weights")

    def filtered(file):
        file["a/a"].create_dataset("kernel:0", data=np.ones((64, 64), "f4"), compression="lzf")

    def missing(file):
        pass

    def group(file):
        file["a/a"].create_group("kernel:0")

    def above(file):
        file["a"].attrs["weight_names"] = [b"../a/a/kernel:0"]

    def absolute(file):
        file["a/a/kernel:0"] = np.zeros((2, 2), "f4")
        file["a"].attrs["weight_names"] = [b"/a/a/kernel:0"]

    def quotes(file):
        file["a"].attrs["weight_names"] = [b'k","x":{}']
        file['a/k","x":{}'] = np.zeros((2, 2), "f4")

    def long_name(file):
        file["a"].attrs["weight_names"] = [b"k" * 300]

    def twice(file):
        file["a/a/kernel:0"] = np.zeros((2, 2), "f4")
        file["a"].attrs["weight_names"] = [b"a/kernel:0", b"a/kernel:0"]

    def numbers(file):
        file["a"].attrs["weight_names"] = np.arange(3)

    def many(file):
        del file.attrs["layer_names"]
        for i in range(11):
            file.attrs[f"layer_names{i}"] = np.array([b"a"] * 2000, "S1")
        file["a/a/kernel:0"] = np.zeros((2, 2), "f4")

    def no_names(file):
        del file.attrs["layer_names"]

    def deep(file):
        del file.attrs["layer_names"]
        file.create_group("layers/" + "/".join("abcdefghijklmnopqrst"))

    def loop(file):
        del file.attrs["layer_names"]
        inner = file.create_group("layers/x")
        inner["again"] = file["layers"]

    for change, says in (
        (external_dataset, "refused"), (external_group, "refused"), (soft, "refused"),
        (external_values, "another file"), (virtual, "another file"), (bomb, "the file has"), (promise, "the file has"),
        (huge, "larger than 1 GiB"), (dimensions, "dimensions"), (none, "empty"), (texts, "no numbers"),
        (filtered, "filter"), (missing, "has no a/kernel:0"), (group, "no dataset"), (above, "has no"),
        (absolute, "has no"), (quotes, "not plain text"), (long_name, "not plain text"), (twice, "two tensors"),
        (numbers, "no list of names"), (many, "more than"), (no_names, "not a file of Keras"), (deep, "within each"),
        (loop, "within each"),
    ):
        refuse(make(change), says)


def test_the_reader_itself():
    """A program that dies, hangs up or lies in the place of pomona-hdf5."""
    path, fake = GOLDEN / "weights_keras3.weights.h5", WORK / "libexec" / "pomona-hdf5"
    fake.parent.mkdir()
    os.environ["POMONA_LIBEXEC"] = str(fake.parent)
    for script, says in (
        ("kill -SEGV $$", "signal 11"),
        ("exit 3", "code 3"),
        ("exit 0", "too few"),
        ("printf 'x%.0s' 1 2 3 4 5 6 7 8 9; exit 0", "not a safetensors file"),
        ("head -c 100000 /dev/zero; kill -ABRT $$", "signal 6"),
        ("yes complaint >&2; exit 1", "complaint"),
        ("echo 'it [31m hurts' >&2; exit 0", "hurts"),
    ):
        fake.write_text(f"#!/bin/sh\n{script}\n" if "yes" not in script else
                        "#!/bin/sh\nyes complaint | head -c 100000 >&2; exit 1\n")
        fake.chmod(0o755)
        refuse(path, says)
    del os.environ["POMONA_LIBEXEC"]


def state(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "gone"


def stop_while_reading(path):
    """A run that is stopped, and its reader, which is stopped too, in the middle of its answer."""
    for _ in range(20):
        run = subprocess.Popen([POMONA, "weights", "convert", path, "-o", WORK / "never.safetensors", "--overwrite"])
        children, child = pathlib.Path(f"/proc/{run.pid}/task/{run.pid}/children"), []
        while run.poll() is None and not (child := children.read_text().split()):
            pass
        os.kill(run.pid, signal.SIGSTOP)
        while child and state(child[0]) in "RD":
            time.sleep(0.01)
        if child and state(child[0]) == "S":  # waits for somebody to read
            os.kill(int(child[0]), signal.SIGSTOP)
            return run, int(child[0])
        run.kill()  # it was done before we saw it
        run.wait()
    raise AssertionError("the reader was never seen")


def test_without_a_parent():
    """The reader ends with the program that has started it, even when it can do nothing itself."""
    path = WORK / "parent.h5"
    write_keras2(path, keras_values("mobilenet_v2_0.35"))  # more than a pipe holds
    run, reader = stop_while_reading(path)
    run.kill()
    run.wait()
    for _ in range(600):
        if state(reader) in ("Z", "gone"):
            return
        time.sleep(0.05)
    os.kill(reader, signal.SIGKILL)
    raise AssertionError("the reader outlives the program that has started it")


def test_limits():
    """What the program can do with a file that has taken it over, as far as it can be seen from outside: it must be given
    a regular file, and nothing else than the pipe can be written."""
    with open(GOLDEN / "weights_keras3.weights.h5", "rb") as file, open(WORK / "stolen", "wb") as out:
        assert subprocess.run([HDF5], stdin=file, stdout=out, stderr=subprocess.DEVNULL, timeout=60).returncode != 0
    assert (WORK / "stolen").stat().st_size == 0
    assert b"regular file" in subprocess.run([HDF5], stdin=subprocess.DEVNULL, capture_output=True, timeout=60).stderr


run(globals())
