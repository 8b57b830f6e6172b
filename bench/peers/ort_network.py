#!/usr/bin/env python3
"""The network alone in ONNX Runtime, in pictures per second: the figure that Pomona's cpu backend is held against.

Measured: session.run from a normalised f32 NCHW batch in memory to the features in memory, again and again for
--seconds, --repeats times.  Not measured: reading, decoding, resizing, normalising, loading the model.

Fair to ONNX Runtime: its released wheel, all graph optimisations, its own layout, input and output bound once so that
no copy or allocation is charged to it, spinning threads (its default), a warm-up before the clock starts.  Run it
and Pomona in turn on an otherwise idle machine with the same --threads and --batch; `others_cores` tells if it was
not (cores that other processes used meanwhile), and a figure with more than 0.05 there is to be thrown away.
"""
import argparse
import json
import statistics
import time

import numpy as np
import onnxruntime

import peers_common


def run_for(session, binding, seconds):
    """(runs, elapsed seconds) of as many runs as begin before the time is up, and at least one."""
    runs, start = 0, time.perf_counter()
    while True:
        session.run_with_iobinding(binding)
        runs += 1
        elapsed = time.perf_counter() - start
        if elapsed >= seconds:
            return runs, elapsed


def main():
    parser = argparse.ArgumentParser(description="Network-only throughput of ONNX Runtime; one JSON line on stdout.")
    parser.add_argument("--model", required=True, help="a file of make_onnx.py")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=3.0, help="length of one repeat and of the warm-up (default 3)")
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()

    where = peers_common.machine()
    session, model = peers_common.open_session(args.model, args.threads)
    pixels = np.random.default_rng(1).integers(0, 256, (args.batch, 3, peers_common.SIZE, peers_common.SIZE), np.uint8)
    x = pixels.astype(np.float32)
    peers_common.normalise(model, x)
    y = np.empty((args.batch, session.get_outputs()[0].shape[1]), np.float32)
    binding = session.io_binding()
    binding.bind_input("input", "cpu", 0, np.float32, x.shape, x.ctypes.data)
    binding.bind_output("features", "cpu", 0, np.float32, y.shape, y.ctypes.data)

    run_for(session, binding, args.seconds)
    rates, neighbours = [], peers_common.Neighbours()
    for _ in range(args.repeats):
        runs, elapsed = run_for(session, binding, args.seconds)
        rates.append(runs * args.batch / elapsed)
    others = neighbours.share()
    if not (np.isfinite(y).all() and y.std() > 0):
        raise SystemExit("the features are not numbers worth timing")
    figures = {
        "what": "ort_network", "model": model, "threads": args.threads, "batch": args.batch, "seconds": args.seconds,
        "img_s": [round(rate, 2) for rate in rates], "img_s_median": round(statistics.median(rates), 2),
        "img_s_max": round(max(rates), 2), "others_cores": others, "onnxruntime": onnxruntime.__version__, **where,
    }  # fmt: skip
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
