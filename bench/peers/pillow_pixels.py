#!/usr/bin/env python3
"""Pipeline C in plain Python: every picture resized to SIDE x SIDE by Pillow, its pixels to parts of CSV.

As a good engineer would write it: convert("RGB"), resize, numpy, csv.writer; one process, or several that take parts.
The text of a number is its own, 255 and not 255.0.
"""
import argparse
import csv
import json
import multiprocessing
import os
import pathlib

import numpy as np
import PIL
from PIL import Image


def write_part(job):
    path, folder, pictures, side = job
    with open(path, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["path", "label", *(f"f{i}" for i in range(3 * side * side))])
        for picture in pictures:
            with Image.open(folder / picture) as image:
                row = np.asarray(image.convert("RGB").resize((side, side), Image.Resampling.NEAREST)).ravel().tolist()
            writer.writerow([picture, picture.rpartition("/")[0].rpartition("/")[2], *row])
    return len(pictures)


def main():
    parser = argparse.ArgumentParser(description="Pictures to pixels as CSV with Pillow; one JSON line on stdout.")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path, required=True, help="a folder")
    parser.add_argument("--side", type=int, default=20)
    parser.add_argument("--parts", type=int, default=24)
    parser.add_argument("--processes", type=int, default=1)
    args = parser.parse_args()
    found = (os.path.join(base, name) for base, _, names in os.walk(args.folder) for name in names)
    keys = sorted((os.path.relpath(path, args.folder) for path in found), key=os.fsencode)
    args.out.mkdir(exist_ok=True)
    jobs = []
    for part in range(args.parts):
        first, end = (len(keys) * number // args.parts for number in (part, part + 1))
        jobs.append((args.out / f"part-{part:05d}.csv", args.folder, keys[first:end], args.side))
    if args.processes == 1:
        rows = sum(map(write_part, jobs))
    else:
        with multiprocessing.Pool(args.processes) as pool:
            rows = sum(pool.imap_unordered(write_part, jobs))
            pool.close()
            pool.join()
    print(json.dumps({"rows": rows, "pillow": PIL.__version__}))


if __name__ == "__main__":
    main()
