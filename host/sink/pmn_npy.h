/* pmn_npy.h - the header of our arrays: one form for one shape, so that to check it is to make it again. */
#ifndef PMN_NPY_H
#define PMN_NPY_H

#include "pmn_sink.h"

#define PMN_NPY_HEADER 128 /* bytes before the first row */

void pmn_npy_header(int64_t rows, int64_t columns, pmn_values values, char header[PMN_NPY_HEADER]);

#endif
