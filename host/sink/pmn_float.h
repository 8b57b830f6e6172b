/* pmn_float.h - the shortest decimal that reads back to the same float. */
#ifndef PMN_FLOAT_H
#define PMN_FLOAT_H

#include <stddef.h>

#define PMN_FLOAT_TEXT_MAX 24 /* bytes that pmn_float_print may touch */

/* Writes `value` to `text` (no NUL) and returns the length, at most 16. The fewest digits that read back to the same
 * float, and of those the nearest; plain from 1e-5 up to below 1e9 ("0.001", "255.0": a reader that guesses types from
 * the first rows sees a column of floats, never of integers), else as "1.5e-7"; "nan", "inf", "-inf".
 * Readers that take it for a double and narrow that get the same float too, but for +-7.038531e-26 (one unit off). */
size_t pmn_float_print(float value, char text[PMN_FLOAT_TEXT_MAX]);

#endif
