#!/usr/bin/env python3
"""Make the golden keypoints of ORB: what OpenCV 5.0.0 finds, by default options but for the number of features.

Pictures are drawn from one small generator of numbers that tests/vision/test_orb.c repeats, so that none is stored.
orb_keypoints.npy has a line for each keypoint, case after case: case, x, y, size, angle, response, octave as float32;
orb_bits.npy the descriptors. A case is good when OpenCV finds no more than were asked for: it keeps ties beyond that
number, Pomona does not. Needs numpy and OpenCV (opencv-python-headless); nothing here depends on threads.
"""
import pathlib

import cv2
import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
CASES = [(100, 100, 500), (63, 150, 500), (131, 97, 500), (320, 240, 500), (320, 240, 50), (223, 301, 120)]


def picture(width, height):
    """Boxes and discs on a slope, and noise of 0 to 7. Only integers, in the order of the C test."""
    state = width * 1000 + height

    def draw(below):
        nonlocal state
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        return (state >> 16) % below

    y, x = np.mgrid[:height, :width]
    gray = (x + y) // 4 % 200
    for _ in range(width * height // 150):
        cx, cy, radius, value, disc = draw(width), draw(height), 2 + draw(12), draw(248), draw(2)
        dx, dy = abs(x - cx), abs(y - cy)
        inside = dx * dx + dy * dy <= radius * radius if disc else np.maximum(dx, dy) <= radius
        gray = np.where(inside, value, gray)
    noise = [draw(8) for _ in range(width * height)]
    return (gray + np.reshape(noise, gray.shape)).astype(np.uint8)


def main():
    rows, bits = [], []
    for case, (width, height, wanted) in enumerate(CASES):
        found, descriptors = cv2.ORB_create(wanted).detectAndCompute(picture(width, height), None)
        assert 0 < len(found) <= wanted, (case, len(found))
        rows += [(case, *k.pt, k.size, k.angle, k.response, k.octave) for k in found]
        bits += list(descriptors)
        print(case, width, height, wanted, len(found))
    np.save(HERE / "orb_keypoints.npy", np.array(rows, np.float32))
    np.save(HERE / "orb_bits.npy", np.array(bits, np.uint8))
    turns = np.linspace(0, 2 * np.pi, 100001)[:-1]
    error = [abs(cv2.fastAtan2(np.sin(t), np.cos(t)) - np.degrees(t)) for t in turns]
    print("OpenCV", cv2.__version__, "- its arctangent is off by", max(min(e, 360 - e) for e in error), "degrees")


if __name__ == "__main__":
    main()
