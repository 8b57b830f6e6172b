#!/usr/bin/env python3
"""Measure the 256 pairs of points that ORB compares, and write host/vision/pmn_orb_pattern.c.

No source is read: OpenCV describes one keypoint, at angle 0, of pictures of noise. Bit i of the answer says whether the
blurred picture is darker at the first point of pair i than at the second. Of all pairs of points in the patch half
survive a picture, so that two hundred leave one pair for each bit; fewer than one, or several, is an error.
What is found is then held against fresh pictures, whole. Needs numpy and OpenCV.
"""
import pathlib

import cv2
import numpy as np

OUT = pathlib.Path(__file__).resolve().parents[2] / "host/vision/pmn_orb_pattern.c"
SIDE, CENTRE, RADIUS = 127, 63, 15
PATCH = slice(CENTRE - RADIUS, CENTRE + RADIUS + 1)
POINTS = np.mgrid[-RADIUS:RADIUS + 1, -RADIUS:RADIUS + 1].reshape(2, -1).T[:, ::-1]  # x, y in the order of a patch
PICTURES, CHECKS = 200, 1000

NOTICE = """\
 * Copyright (c) 2009, Willow Garage, Inc. All rights reserved.
 *
 * Redistribution and use in source and binary forms, with or without modification, are permitted provided that the
 * following conditions are met:
 *  - Redistributions of source code must retain the above copyright notice, this list of conditions and the following
 *    disclaimer.
 *  - Redistributions in binary form must reproduce the above copyright notice, this list of conditions and the
 *    following disclaimer in the documentation and/or other materials provided with the distribution.
 *  - Neither the name of the Willow Garage nor the names of its contributors may be used to endorse or promote products
 *    derived from this software without specific prior written permission.
 *
 * THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS "AS IS" AND ANY EXPRESS OR IMPLIED WARRANTIES,
 * INCLUDING, BUT NOT LIMITED TO, THE IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS FOR A PARTICULAR PURPOSE ARE
 * DISCLAIMED. IN NO EVENT SHALL THE COPYRIGHT OWNER OR CONTRIBUTORS BE LIABLE FOR ANY DIRECT, INDIRECT, INCIDENTAL,
 * SPECIAL, EXEMPLARY, OR CONSEQUENTIAL DAMAGES (INCLUDING, BUT NOT LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS OR
 * SERVICES; LOSS OF USE, DATA, OR PROFITS; OR BUSINESS INTERRUPTION) HOWEVER CAUSED AND ON ANY THEORY OF LIABILITY,
 * WHETHER IN CONTRACT, STRICT LIABILITY, OR TORT (INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN ANY WAY OUT OF THE USE
 * OF THIS SOFTWARE, EVEN IF ADVISED OF THE POSSIBILITY OF SUCH DAMAGE.
"""
HEAD = """\
/* pmn_orb_pattern.c - see pmn_orb_pattern.h.
 *
 * The pairs that Rublee, Rabaud, Konolige and Bradski learned from PASCAL VOC pictures for few correlations and much
 * variance (ICCV 2011, section 4.3), as OpenCV has them. The numbers were measured from the answers of OpenCV %s and
 * written here by tests/golden/make_orb_pattern.py; OpenCV, under Apache 2.0, has them in a file with this notice:
 *
%s */
#include "pmn_orb_pattern.h"

"""


def picture(random):
    """Blurred patch, flat, and bits, of a picture of noise."""
    gray = random.integers(0, 256, (SIDE, SIDE), dtype=np.uint8)
    keypoint = cv2.KeyPoint(x=CENTRE, y=CENTRE, size=31, angle=0, response=0, octave=0)
    _, descriptors = orb.compute(gray, [keypoint])
    kernel = cv2.getGaussianKernel(7, 2, cv2.CV_32F)  # not GaussianBlur: that is another one for whole pictures
    return (cv2.sepFilter2D(gray, -1, kernel, kernel)[PATCH, PATCH].ravel(),
            np.unpackbits(descriptors[0], bitorder="little").astype(bool))


def pair_of(bit, pictures):
    blurred, bits = pictures[0]
    pairs = np.argwhere((blurred[:, None] < blurred[None, :]) == bits[bit])
    for blurred, bits in pictures[1:]:
        pairs = pairs[(blurred[pairs[:, 0]] < blurred[pairs[:, 1]]) == bits[bit]]
    assert len(pairs) == 1, (bit, len(pairs))
    return pairs[0]


def rows(numbers):
    lines, line = [], "   "
    for n in numbers:
        if len(line) + len(f" {n},") > 120:
            lines, line = [*lines, line], "   "
        line += f" {n},"
    return "\n".join([*lines, line])


orb = cv2.ORB_create()
random = np.random.default_rng(2011)
pictures = [picture(random) for _ in range(PICTURES)]
pairs = np.array([pair_of(bit, pictures) for bit in range(256)])
for _ in range(CHECKS):
    blurred, bits = picture(random)
    assert np.array_equal(blurred[pairs[:, 0]] < blurred[pairs[:, 1]], bits)
first, second = POINTS[pairs[:, 0]], POINTS[pairs[:, 1]]
table = "\n".join(f"  {{\n{rows(column)}\n  }}," for column in (*first.T, *second.T))
OUT.write_text(HEAD % (cv2.__version__.rstrip("."), NOTICE) +
               f"/* clang-format off */\nconst int8_t pmn_orb_pattern[4][256] = {{\n{table}\n}};\n")
print(OUT.name, "largest distance from the centre", np.hypot(*np.concatenate([first, second]).T).max())
