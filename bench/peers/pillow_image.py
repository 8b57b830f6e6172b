#!/usr/bin/env python3
"""Decoding and resampling in Pillow, in microseconds a picture on one core: what Pomona's image room is held against.

Measured: Image.open from bytes in memory, convert("RGB"), resize; the median of all pictures over --repeats passes,
after a pass to warm up.  Not measured: reading the files, and turning the result into an array.
"""
import argparse
import io
import json
import pathlib
import statistics
import time

import PIL
from PIL import Image

import peers_common


def run_images(files, side, filter):
    """[(decode, resample)] in microseconds."""
    times = []
    for blob in files:
        start = time.perf_counter()
        with Image.open(io.BytesIO(blob)) as image:
            image = image.convert("RGB")
        middle = time.perf_counter()
        image.resize((side, side), filter)
        times.append((1e6 * (middle - start), 1e6 * (time.perf_counter() - middle)))
    return times


def main():
    parser = argparse.ArgumentParser(description="Decode and resample pictures with Pillow; one JSON line on stdout.")
    parser.add_argument("file", nargs="+", type=pathlib.Path)
    parser.add_argument("--size", type=int, default=224, help="width and height to resample to (default 224)")
    parser.add_argument("--filter", default="bicubic", choices=["bicubic", "bilinear", "nearest"])
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()

    files = [path.read_bytes() for path in args.file]
    filter = Image.Resampling[args.filter.upper()]
    run_images(files, args.size, filter)
    neighbours, times = peers_common.Neighbours(), []
    for _ in range(args.repeats):
        times += run_images(files, args.size, filter)
    figures = {
        "what": "pillow_image", "size": args.size, "filter": args.filter, "pictures": len(files), "repeats": args.repeats,
        "decode_us": round(statistics.median(decode for decode, _ in times), 2),
        "resample_us": round(statistics.median(resample for _, resample in times), 2),
        "total_us": round(statistics.median(decode + resample for decode, resample in times), 2),
        "others_cores": neighbours.share(), "pillow": PIL.__version__, **peers_common.machine(),
    }  # fmt: skip
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
