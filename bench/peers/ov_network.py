#!/usr/bin/env python3
"""The network alone in OpenVINO, in pictures per second: the other figure that Pomona's cpu backend is held against.

Measured as in ort_network.py: from normalised f32 NCHW pictures in memory to the features in memory.  Two ways to run
it are timed one after the other, and the better of each repeat is kept:

throughput   single pictures through an AsyncInferQueue, as many streams as threads, hint THROUGHPUT
latency      the whole batch as one request, hint LATENCY, all threads at it

Fair to OpenVINO: its released wheel, static shapes, its own layouts, inputs shared and not copied, a warm-up before
the clock starts.  fp32 is asked for (INFERENCE_PRECISION_HINT): where the processor has bf16 it would take that else.
"""
import argparse
import json
import statistics
import time

import numpy as np
import openvino as ov

import peers_common


def compile_model(path, pictures, threads, hint, streams):
    core = ov.Core()
    model = core.read_model(path)
    model.reshape([pictures, 3, peers_common.SIZE, peers_common.SIZE])
    options = {"PERFORMANCE_HINT": hint, "NUM_STREAMS": streams, "INFERENCE_NUM_THREADS": threads}
    return core.compile_model(model, "CPU", options | {"INFERENCE_PRECISION_HINT": "f32"})


def throughput(args, x, y):
    """A function (seconds) -> (pictures, elapsed seconds); y gets the features."""
    queue = ov.AsyncInferQueue(compile_model(args.model, 1, args.threads, "THROUGHPUT", args.threads))

    def store(request, index):
        y[index] = request.get_output_tensor().data[0]

    queue.set_callback(store)
    pictures = [ov.Tensor(x[i : i + 1], shared_memory=True) for i in range(len(x))]

    def run_for(seconds):
        done, start = 0, time.perf_counter()
        while done == 0 or time.perf_counter() - start < seconds:
            for index, picture in enumerate(pictures):
                queue.start_async({0: picture}, index)
            done += len(pictures)
        queue.wait_all()
        return done, time.perf_counter() - start

    return run_for


def latency(args, x, y):
    """The same."""
    request = compile_model(args.model, len(x), args.threads, "LATENCY", 1).create_infer_request()
    request.set_input_tensor(ov.Tensor(x, shared_memory=True))
    request.set_output_tensor(ov.Tensor(y, shared_memory=True))

    def run_for(seconds):
        done, start = 0, time.perf_counter()
        while done == 0 or time.perf_counter() - start < seconds:
            request.infer(share_outputs=True)
            done += len(x)
        return done, time.perf_counter() - start

    return run_for


def rate_for(run_for, seconds):
    pictures, elapsed = run_for(seconds)
    return pictures / elapsed


def main():
    parser = argparse.ArgumentParser(description="Network-only throughput of OpenVINO; one JSON line on stdout.")
    parser.add_argument("--model", required=True, help="a file of make_onnx.py")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=3.0, help="length of one repeat and of the warm-up (default 3)")
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()

    where = peers_common.machine()
    model = ov.Core().read_model(args.model).get_rt_info(["framework", "model"]).astype(str)
    x = peers_common.random_pictures(model, args.batch)
    rates, check, others = {}, {}, []
    for way in (throughput, latency):
        y = np.zeros((args.batch, peers_common.FEATURES[model]), np.float32)
        run_for = way(args, x, y)
        run_for(args.seconds)
        neighbours = peers_common.Neighbours()
        rates[way.__name__] = [rate_for(run_for, args.seconds) for _ in range(args.repeats)]
        others.append(neighbours.share())
        check[way.__name__] = peers_common.check_features(y)
    best = [max(pair) for pair in zip(*rates.values())]
    figures = {
        "what": "ov_network", "model": model, "threads": args.threads, "batch": args.batch, "seconds": args.seconds,
        "ways": {way: round(statistics.median(each), 2) for way, each in rates.items()},
        "img_s": [round(rate, 2) for rate in best], "img_s_median": round(statistics.median(best), 2),
        "img_s_max": round(max(best), 2), "first_features": check["latency"], "others_cores": max(others),
        "openvino": ov.__version__, **where,
    }  # fmt: skip
    if abs(check["throughput"] - check["latency"]) > peers_common.FEATURES_TOLERANCE * check["latency"]:
        raise SystemExit("throughput and latency do not compute the same features")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
