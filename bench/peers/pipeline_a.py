#!/usr/bin/env python3
"""Pipeline A as a good engineer would write it in Python today: the whole of it, in pictures per second.

Folders -> Pillow decodes and resizes (bicubic, 224) in a thread pool -> ONNX Runtime in batches -> StandardScaler ->
PCA(100), fitted on the same rows -> Parquet with path, label, features.

Measured: from listing the folders to the Parquet file under its final name, loading the model included.  The imports
are told apart (`import_s`) and are not in `img_s`.  `seconds` is what the main thread did: decode_wait is the time
the network starved, since decoding runs beside it; decode_busy is the decoders' own time, summed over threads.

Fair to Python: no Spark, no Keras, nothing serialised between processes.  Pillow works without the interpreter's lock
and the pool runs ahead of the network by --ahead batches, so both cores stay busy; fp32 throughout; the PCA solver is
scikit-learn's exact covariance one, the fastest of its solvers at 20,000 rows and level with them at 1,200. Whether
ONNX Runtime's threads spin made no difference beyond the noise (--spin: they do). One pass from a warm page cache:
run it twice and keep the second, if `others_cores` (cores that other processes used meanwhile) is below 0.05.

--repeat goes through the listing again until --limit pictures are done, to stand in for a larger folder.
"""
import time

STARTED = time.perf_counter()

import argparse  # noqa: E402
import collections  # noqa: E402
import concurrent.futures  # noqa: E402
import itertools  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import resource  # noqa: E402

import numpy as np  # noqa: E402
import onnxruntime  # noqa: E402
import PIL  # noqa: E402
import pyarrow  # noqa: E402
import pyarrow.parquet  # noqa: E402
import sklearn  # noqa: E402
import threadpoolctl  # noqa: E402
from PIL import Image  # noqa: E402
from sklearn.decomposition import PCA  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402

import peers_common  # noqa: E402

IMPORT_S = time.perf_counter() - STARTED
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


class Stopwatch:
    """Seconds of the main thread by stage."""

    def __init__(self):
        self.seconds, self.start = {}, time.perf_counter()
        self.last = self.start

    def lap(self, stage):
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self.last
        self.last = now


def list_pictures(folders, limit, repeat):
    """Paths in byte-wise order, folder by folder."""
    paths = []
    for folder in folders:
        found = (os.path.join(base, name) for base, _, names in os.walk(folder) for name in names)
        paths += sorted((p for p in found if p.lower().endswith(SUFFIXES)), key=os.fsencode)
    if not paths:
        raise SystemExit("no pictures in these folders")
    if limit and repeat:
        return list(itertools.islice(itertools.cycle(paths), limit))
    return paths[:limit] if limit else paths


def decode(path, model, slot):
    """Fill slot [3, 224, 224]; returns (seconds taken, None or what was wrong with the picture)."""
    start, wrong = time.perf_counter(), None
    try:
        with Image.open(path) as image:
            image = image.convert("RGB").resize((peers_common.SIZE,) * 2, Image.Resampling.BICUBIC)
        slot[...] = np.asarray(image).transpose(2, 0, 1)
        peers_common.normalise(model, slot)
    except (OSError, ValueError) as error:
        slot[...] = 0
        wrong = str(error)
    return time.perf_counter() - start, wrong


def decoded_batches(pool, paths, model, batch, ahead):
    """Yield (pixels [n, 3, 224, 224], results of decode) in order, `ahead` batches in flight."""
    waiting = collections.deque()
    for start in range(0, len(paths), batch):
        part = paths[start : start + batch]
        x = np.empty((len(part), 3, peers_common.SIZE, peers_common.SIZE), np.float32)
        waiting.append((x, [pool.submit(decode, path, model, x[i]) for i, path in enumerate(part)]))
        if len(waiting) > ahead:
            x, jobs = waiting.popleft()
            yield x, [job.result() for job in jobs]
    for x, jobs in waiting:
        yield x, [job.result() for job in jobs]


def write_parquet(path, paths, features):
    offsets = np.arange(len(features) + 1, dtype=np.int32) * features.shape[1]
    columns = {
        "path": pyarrow.array(paths),
        "label": pyarrow.array([os.path.basename(os.path.dirname(p)) for p in paths]),
        "features": pyarrow.ListArray.from_arrays(offsets, np.ascontiguousarray(features, np.float32).ravel()),
    }
    partial = f"{path}.partial"
    pyarrow.parquet.write_table(pyarrow.table(columns), partial, compression="zstd")
    os.replace(partial, path)


def main():
    parser = argparse.ArgumentParser(description="Pipeline A in plain Python; one JSON line on stdout.")
    parser.add_argument("folder", nargs="+")
    parser.add_argument("--model", required=True, help="a file of make_onnx.py")
    parser.add_argument("--out", required=True, help="the Parquet file")
    parser.add_argument("--limit", type=int, default=0, metavar="N", help="N pictures at most (default: all)")
    parser.add_argument("--repeat", action="store_true", help="cycle through the listing until --limit is reached")
    parser.add_argument("--threads", type=int, default=2, help="of the decoders, of the network and of BLAS, each (default 2)")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--ahead", type=int, default=4, metavar="N", help="batches decoded in advance (default 4)")
    parser.add_argument("--pca", type=int, default=100, metavar="K")
    parser.add_argument("--spin", action="store_true", help="let ONNX Runtime's threads spin while they wait")
    args = parser.parse_args()

    where, neighbours, watch = peers_common.machine(), peers_common.Neighbours(), Stopwatch()
    session, model = peers_common.open_session(args.model, args.threads, args.spin)
    watch.lap("load")
    paths = list_pictures(args.folder, args.limit, args.repeat)
    features = np.empty((len(paths), session.get_outputs()[0].shape[1]), np.float32)
    watch.lap("list")

    row, wrong, decode_busy = 0, {}, 0.0
    with concurrent.futures.ThreadPoolExecutor(args.threads) as pool:
        for x, results in decoded_batches(pool, paths, model, args.batch, args.ahead):
            watch.lap("decode_wait")
            features[row : row + len(x)] = session.run(["features"], {"input": x})[0]
            for i, (seconds, error) in enumerate(results):
                decode_busy += seconds
                if error is not None:
                    wrong[row + i] = error
            row += len(x)
            watch.lap("network")
    if wrong:  # a bad picture is no row
        good = [i for i in range(len(paths)) if i not in wrong]
        features, paths = features[good], [paths[i] for i in good]

    with threadpoolctl.threadpool_limits(args.threads):
        scaled = StandardScaler(copy=False).fit_transform(features)
        watch.lap("scale")
        pca = PCA(min(args.pca, *scaled.shape), svd_solver="covariance_eigh")
        projected = pca.fit_transform(scaled)
        watch.lap("pca")
    write_parquet(args.out, paths, projected)
    watch.lap("write")

    total, others = watch.last - watch.start, neighbours.share()
    figures = {
        "what": "pipeline_a", "model": model, "rows": len(paths), "rejects": len(wrong), "threads": args.threads,
        "batch": args.batch, "img_s": round(len(paths) / total, 2), "total_s": round(total, 3),
        "seconds": {stage: round(seconds, 3) for stage, seconds in watch.seconds.items()},
        "decode_busy_s": round(decode_busy, 3), "others_cores": others, "import_s": round(IMPORT_S, 3),
        "max_rss_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "explained_variance": round(float(pca.explained_variance_ratio_.sum()), 4),
        "onnxruntime": onnxruntime.__version__, "pillow": PIL.__version__, "sklearn": sklearn.__version__,
        "pyarrow": pyarrow.__version__, **where,
    }  # fmt: skip
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
