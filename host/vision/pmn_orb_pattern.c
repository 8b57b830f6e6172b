/* pmn_orb_pattern.c - see pmn_orb_pattern.h.
 *
 * The pairs that Rublee, Rabaud, Konolige and Bradski learned from PASCAL VOC pictures for few correlations and much
 * variance (ICCV 2011, section 4.3), as OpenCV has them. The numbers were measured from the answers of OpenCV 5.0.0 and
 * written here by tests/golden/make_orb_pattern.py; OpenCV, under Apache 2.0, has them in a file with this notice:
 *
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
 */
#include "pmn_orb_pattern.h"

/* clang-format off */
const int8_t pmn_orb_pattern[4][256] = {
  {
    8, 4, -11, 7, 2, 1, -2, -13, -13, 10, -13, -11, 7, -4, -13, -9, 12, -3, -6, 11, 4, 5, 3, -8, -2, -13, -7, -4, -10,
    5, 5, 1, 9, 4, 2, -4, -8, 4, 0, -13, -3, -6, 8, 0, 7, -13, 10, -6, 10, -13, -13, 3, 5, -1, 3, 2, -13, -13, -13, -7,
    6, -9, -2, -12, 3, -7, -3, 2, -11, -1, 5, -4, -9, -12, 10, 7, -7, -4, 7, -7, -13, -3, 7, -13, 1, 2, -4, -1, 7, 1, 9,
    -1, -13, 7, 12, 6, 5, 2, 3, 2, 9, -8, -11, 1, 6, 2, 6, 3, 7, -11, -10, -5, -10, 8, 4, -10, 4, -2, -5, 7, -9, -5, 8,
    -9, 1, 7, -2, 11, -12, 3, 5, 0, -9, 0, -1, 5, 3, -13, -5, -4, 6, -7, -13, 1, 4, -2, 2, -2, 4, -6, -3, 7, 4, -13, 7,
    7, -7, -8, -13, 2, 10, -6, 8, 2, -11, -12, -11, 5, -2, -1, -13, -10, -3, 2, -9, -4, -4, -6, 6, -13, 11, 7, -1, -4,
    -7, -13, -7, -8, -5, -13, 1, 1, 9, 5, -1, -9, -1, -13, 8, 2, 7, -10, -10, 4, 3, -4, 5, 4, -9, 0, -12, 3, -10, 8, -8,
    2, 10, 6, -7, -3, -1, -3, -8, 4, 2, 6, 3, 11, -3, 4, 2, -10, -13, -13, 6, 0, -13, -9, -13, 5, 2, -1, 9, 11, 3, -1,
    3, -13, 5, 8, 7, -10, 7, 9, 7, -1,
  },
  {
    -3, 2, 9, -12, -13, -7, -10, -13, -3, 4, -8, 7, 7, -5, 2, 0, -6, 6, -13, -13, 7, -3, -7, -7, 11, 12, 3, 2, -12, -12,
    -6, 0, 11, 7, -1, -12, -5, 11, -8, -2, -2, 9, 12, 9, -5, -6, 7, -3, -9, 8, 0, 3, 7, 7, -10, -4, 0, -7, 3, 12, -10,
    -1, -5, 5, -10, -7, -2, 9, -13, 6, -3, -13, -6, -10, 2, 12, -13, 9, -1, 6, 11, 7, -8, -7, -3, -6, 3, -13, 1, -1, 1,
    -9, -13, 7, -5, 3, -13, -12, 8, 6, -12, 4, 12, 12, -9, 3, 3, -3, 8, -5, 11, -8, 5, -1, -6, 12, -2, 0, -8, -6, -13,
    -13, -8, -11, -8, -4, 1, -6, -9, 7, 5, -4, 12, 7, 2, 11, 5, -4, 9, -7, 5, 6, 6, -10, 1, -2, -12, -13, 1, -10, -13,
    5, -2, 9, 1, -8, -4, 11, 6, 4, -5, -5, -3, -12, -2, -13, 0, -3, -13, -8, -11, -2, 9, -3, -13, 6, 12, -11, -3, 11,
    11, -5, 12, -8, 1, -12, -2, 5, -1, 7, 5, 0, 12, -8, 11, -3, -10, 1, -11, -13, -13, -10, -8, -6, 12, 2, -13, -13, 9,
    3, 1, 2, -10, -13, -12, 2, 6, 8, 10, -9, -13, -7, -2, 2, -5, -9, -1, -1, 0, -11, -4, -6, 7, 12, 0, -1, 3, 8, -6, -9,
    7, -6, 5, -3, 0, 4, -6, 0, 8, 9, -4, 4, 3, -7, 0, -6,
  },
  {
    9, 7, -8, 12, 2, 1, -2, -11, -12, 11, -8, -9, 12, -3, -12, -7, 12, -2, -4, 12, 5, 10, 6, -6, -1, -8, -5, -3, -6, 6,
    7, 4, 11, 4, 4, -2, -7, 9, 1, -8, -2, -4, 10, 1, 11, -11, 12, -6, 12, -8, -8, 7, 10, 1, 5, 3, -13, -12, -11, -4, 12,
    -7, 0, -7, 8, -4, -1, 5, -5, 0, 5, -4, -9, -8, 12, 12, -6, -3, 12, -5, -12, -2, 12, -11, 12, 3, -2, 1, 8, 3, 12, -1,
    -10, 10, 12, 7, 6, 2, 4, 12, 10, -7, -4, 2, 7, 3, 11, 8, 9, -6, -5, -3, -9, 12, 6, -8, 6, -2, -5, 10, -8, -5, 9, -9,
    1, 9, -1, 12, -6, 7, 10, 2, -5, 2, 1, 7, 6, -8, -3, -3, 8, -6, -5, 3, 8, 2, 12, 0, 9, -3, -1, 12, 5, -9, 8, 7, -7,
    -7, -12, 3, 12, -6, 9, 2, -10, -7, -10, 11, -1, 0, -12, -10, -2, 3, -4, -3, -2, -4, 6, -5, 12, 12, 0, -3, -6, -8,
    -6, -6, -4, -8, 5, 10, 10, 10, 1, -6, 1, -8, 10, 3, 12, -5, -8, 8, 8, -3, 10, 5, -4, 3, -6, 4, -10, 12, -6, 3, 11,
    8, -6, -3, -1, -3, -8, 12, 3, 11, 7, 12, -3, 4, 2, -8, -11, -11, 11, 1, -9, -6, -8, 8, 3, -1, 11, 12, 3, 0, 4, -10,
    12, 9, 8, -10, 12, 10, 12, 0,
  },
  {
    5, -12, 2, -13, 12, 6, -4, -8, -9, 9, -9, 12, 6, 0, -3, 5, -1, 12, -8, -8, 1, -3, 12, -2, -10, 10, -3, 7, 11, -7,
    -1, -5, -13, 12, 4, 7, -10, 12, -13, 2, 3, -9, 7, 3, -10, 0, 1, 12, -4, -12, -4, 8, -7, -12, 6, -10, 5, 12, 8, 7, 8,
    -6, 12, 5, -13, 5, -7, -11, -13, -1, 2, 12, 6, -4, -3, 12, 5, 4, 2, 1, 5, -6, -7, -12, 12, 0, -13, 9, -6, 12, 6, 3,
    5, 12, 9, 11, 10, 3, -6, -13, 3, 9, -6, -8, -4, -2, 0, -8, 3, -4, 10, 12, 0, -6, -11, 7, 7, 12, 2, 12, -8, -2, -13,
    0, -2, 1, -4, -11, 4, 12, 8, 8, -13, 12, 7, -9, -8, 9, -3, -12, 0, 12, -2, 10, -4, -13, 12, -6, 3, -5, 1, -11, -7,
    -5, 6, 6, 1, -8, -8, 9, 3, 7, -8, 8, 3, -9, -5, 8, 12, 9, -5, 11, -13, 2, 0, -10, -7, 9, 11, 5, 6, -2, 7, -2, 7,
    -13, -8, -9, 5, 10, -13, -13, -1, -9, -13, 2, 12, -10, -6, -6, -9, -7, -13, 5, -13, -3, -12, -1, 3, -9, 1, -8, 9,
    12, -5, 7, -8, -12, 5, 9, 5, 4, 3, 12, 11, -13, 12, 4, 6, 12, 1, 1, 1, -13, -13, 4, -2, -3, -2, 10, -9, -1, -2, -8,
    5, 10, 5, 5, 11, -6, -12, 9, 4, -2, -2, -11,
  },
};
