#!/usr/bin/env python3
"""Make the golden keypoints: what OpenCV's SIFT finds in made-up gray pictures.

    pip install opencv-python-headless==5.0.0.93 numpy
    python tests/golden/make_sift.py

sift_pictures.npy    u8 [pixels]: the pictures, one behind the other
sift_sizes.npy       f4 [pictures, 3]: width, height, keypoints
sift_keypoints.npy   f4 [keypoints, 6]: x, y, size, angle, response, octave (from -1); strongest first in each picture
sift_descriptors.npy u8 [keypoints, 128]

Made with OpenCV 5.0.0, numpy 2.4.6; cv2.SIFT_create() as it is. Pictures are noise of seed 7 at several grains, so
that no two extremes are equal; one is small, one dark with a few spots, which are not symmetric by the grid of pixels
for the same reason.
"""
import pathlib

import cv2
import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
SIZES = ((100, 100, 2.0), (57, 91, 1.2), (141, 38, 3.0), (24, 24, 1.0))


def made_up(generator, width, height, grain):
    field = cv2.GaussianBlur(generator.normal(size=(height, width)), (0, 0), grain)
    field += 0.5 * cv2.GaussianBlur(generator.normal(size=(height, width)), (0, 0), grain / 3)
    field -= field.min()
    return (field / field.max() * 255).astype("u1")


def spots(width, height):
    """Soft spots of many sizes on a dark ground: what keypoints are made for."""
    y, x = np.mgrid[0:height, 0:width].astype("f8")
    field = np.full((height, width), 20.0)
    for k, radius in enumerate((1.5, 2.2, 3.1, 4.4, 6.3, 9.0)):
        at_x, at_y = 14.3 + 21.9 * (k % 4), 17.6 + 40.9 * (k // 4)
        field += (140 + 10 * k) * np.exp(-(((x - at_x) / radius) ** 2 + ((y - at_y) / (0.8 * radius)) ** 2) / 2)
    return np.clip(field, 0, 255).astype("u1")


def main():
    generator = np.random.default_rng(7)
    pictures = [made_up(generator, *size) for size in SIZES] + [spots(96, 80)]
    sift, sizes, points, rows = cv2.SIFT_create(), [], [], []
    for picture in pictures:
        keypoints, descriptors = sift.detectAndCompute(picture, None)
        order = sorted(range(len(keypoints)), key=lambda i: (-keypoints[i].response, keypoints[i].pt, keypoints[i].angle))
        for i in order:
            k = keypoints[i]
            octave = (k.octave & 255) - (k.octave & 128) * 2
            points.append((*k.pt, k.size, k.angle, k.response, octave))
            rows.append(descriptors[i])
        sizes.append((picture.shape[1], picture.shape[0], len(keypoints)))
    np.save(HERE / "sift_pictures.npy", np.concatenate([p.ravel() for p in pictures]))
    np.save(HERE / "sift_sizes.npy", np.array(sizes, "f4"))
    np.save(HERE / "sift_keypoints.npy", np.array(points, "f4"))
    np.save(HERE / "sift_descriptors.npy", np.array(rows).astype("u1"))
    print(cv2.__version__, np.__version__, sizes)


if __name__ == "__main__":
    main()
