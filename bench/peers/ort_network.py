#!/usr/bin/env python3
"""The network alone in ONNX Runtime, in pictures per second: the figure that Pomona's cpu backend is held against.

Measured: session.run from a normalised f32 NCHW batch in memory to the features in memory, again and again for
--seconds, --repeats times; of several --batch the better one of each repeat.  Not measured: reading, decoding,
resizing, normalising, loading the model.

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


def bind(session, x, y):
    binding = session.io_binding()
    binding.bind_input("input", "cpu", 0, np.float32, x.shape, x.ctypes.data)
    binding.bind_output("features", "cpu", 0, np.float32, y.shape, y.ctypes.data)
    return binding


def rate_for(session, binding, pictures, seconds):
    """Pictures per second of as many runs as begin before the time is up, and at least one."""
    runs, start = 0, time.perf_counter()
    while True:
        session.run_with_iobinding(binding)
        runs += 1
        elapsed = time.perf_counter() - start
        if elapsed >= seconds:
            return runs * pictures / elapsed


def main():
    parser = argparse.ArgumentParser(description="Network-only throughput of ONNX Runtime; one JSON line on stdout.")
    parser.add_argument("--model", required=True, help="a file of make_onnx.py")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, nargs="+", default=[16], help="of several the better counts (default 16)")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of one repeat and of the warm-up (default 3)")
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()

    where, rates, others = peers_common.machine(), {}, []
    for batch in args.batch:
        session, model = peers_common.open_session(args.model, args.threads)
        x = peers_common.random_pictures(model, batch)
        y = np.zeros((batch, peers_common.FEATURES[model]), np.float32)
        binding = bind(session, x, y)
        rate_for(session, binding, batch, args.seconds)
        neighbours = peers_common.Neighbours()
        rates[batch] = [rate_for(session, binding, batch, args.seconds) for _ in range(args.repeats)]
        others.append(neighbours.share())
        first_features = peers_common.check_features(y)
    best = [max(each) for each in zip(*rates.values())]
    figures = {
        "what": "ort_network", "model": model, "threads": args.threads, "batch": args.batch, "seconds": args.seconds,
        "ways": {f"batch {batch}": round(statistics.median(each), 2) for batch, each in rates.items()},
        "img_s": [round(rate, 2) for rate in best], "img_s_median": round(statistics.median(best), 2),
        "img_s_max": round(max(best), 2), "first_features": first_features, "others_cores": max(others),
        "onnxruntime": onnxruntime.__version__, **where,
    }  # fmt: skip
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
