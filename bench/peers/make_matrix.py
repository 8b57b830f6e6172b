#!/usr/bin/env python3
"""A matrix like a network's features, as .npy (f32, C order), for `pomona reduce` and its peers.

  x = max(0, G diag(r^-0.7) A + 0.3 E),  r = 1 ... 300,  G, A and E standard normal from a seeded generator:

nonnegative, zeros among it, a spectrum that falls as a power and ends in noise.  Made by blocks of rows, so that it is
never in memory as a whole; it is on the disk when this ends, so that writing it back spoils no timing.
"""
import argparse
import os

import numpy as np

RANK, DECAY, NOISE, SEED, BLOCK = 300, -0.7, 0.3, 1, 2048


def main():
    parser = argparse.ArgumentParser(description="A seeded matrix like a network's features.")
    parser.add_argument("rows", type=int)
    parser.add_argument("columns", type=int)
    parser.add_argument("out")
    args = parser.parse_args()

    random = np.random.default_rng(SEED)
    mixing = random.standard_normal((RANK, args.columns), np.float32)
    mixing *= (np.arange(1, RANK + 1, dtype=np.float32) ** DECAY)[:, None]
    partial = f"{args.out}.partial"
    matrix = np.lib.format.open_memmap(partial, "w+", np.float32, (args.rows, args.columns))
    for start in range(0, args.rows, BLOCK):
        rows = min(BLOCK, args.rows - start)
        x = random.standard_normal((rows, RANK), np.float32) @ mixing
        x += NOISE * random.standard_normal(x.shape, np.float32)
        matrix[start : start + rows] = np.maximum(x, 0)
    matrix.flush()
    os.replace(partial, args.out)


if __name__ == "__main__":
    main()
