#!/usr/bin/env python3
"""SIFT and ORB by OpenCV: what `pomona-words describe` is held against. Grey pictures in memory to descriptors.

Two ways, and the better one counts: as many threads as asked for, each with pictures of its own and OpenCV on one
thread; or one after the other, OpenCV on that many threads.
"""
import argparse
import concurrent.futures
import json
import time

import cv2
import numpy as np

SLICE = 8  # pictures that a thread takes together


def make(kind):
    return cv2.SIFT_create() if kind == "sift" else cv2.ORB_create()


def describe(detector, pictures):
    return sum(len(detector.detectAndCompute(picture, None)[0]) for picture in pictures)


def rate(pictures, seconds, one_pass):
    """(pictures a second, keypoints of all)"""
    keypoints, passes, start = one_pass(), 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        one_pass()
        passes += 1
    return passes * len(pictures) / (time.perf_counter() - start), keypoints


def main():
    parser = argparse.ArgumentParser(description="SIFT or ORB by OpenCV; one JSON line on stdout.")
    parser.add_argument("kind", choices=["sift", "orb"])
    parser.add_argument("file", help="grey pictures [n, side, side], bytes")
    parser.add_argument("--side", type=int, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each way")
    args = parser.parse_args()
    pictures = np.fromfile(args.file, np.uint8).reshape(-1, args.side, args.side)
    slices = [pictures[i : i + SLICE] for i in range(0, len(pictures), SLICE)]
    ways = {}
    cv2.setNumThreads(args.threads)
    detector = make(args.kind)
    ways["OpenCV's threads"], keypoints = rate(pictures, args.seconds, lambda: describe(detector, pictures))
    cv2.setNumThreads(1)
    with concurrent.futures.ThreadPoolExecutor(args.threads) as pool:
        ways["pictures apart"], again = rate(
            pictures, args.seconds, lambda: sum(pool.map(lambda part: describe(make(args.kind), part), slices)))
    if again != keypoints:
        raise SystemExit(f"{keypoints} keypoints, then {again}")
    figures = {"img_s": round(max(ways.values()), 1), "ways": {name: round(value, 1) for name, value in ways.items()}}
    print(json.dumps(figures | {"keypoints": round(keypoints / len(pictures), 3), "opencv": cv2.__version__}))


if __name__ == "__main__":
    main()
