/* pmn_matrix.h - a table of features that somebody else computed: a .npy of two dimensions.
 *
 * NumPy's format, versions 1.0 to 3.0, with little-endian f32 or f64, or bytes, in C order; any number of rows, which
 * stay in the file until they are read.
 */
#ifndef PMN_MATRIX_H
#define PMN_MATRIX_H

#include "pmn_err.h"

typedef struct pmn_matrix pmn_matrix; /* immutable once open: any number of threads may read it */

/* The header and the size of the file are checked here; what is not as above is refused with what to do about it.
 * PMN_STATUS_ARGUMENT, PMN_STATUS_NOT_FOUND (cannot be read), PMN_STATUS_NO_MEMORY. */
PMN_MUST_USE pmn_status pmn_matrix_open(const char *path, pmn_matrix **matrix, pmn_err *err);
void pmn_matrix_close(pmn_matrix *matrix); /* accepts NULL */

int64_t pmn_matrix_rows(const pmn_matrix *matrix);     /* 0 or more */
int32_t pmn_matrix_columns(const pmn_matrix *matrix);  /* 1 or more */
const char *pmn_matrix_type(const pmn_matrix *matrix); /* NumPy's name: "float32", "float64", "uint8" */

/* Rows [first, first + n), which must exist, to rows[n][columns]; f32 and bytes are widened, which changes no value.
 * `matrix` is a pmn_matrix, void for those who read rows of any kind. PMN_STATUS_NOT_FOUND when the file cannot be
 * read, or has become shorter. */
PMN_MUST_USE pmn_status pmn_matrix_read(void *matrix, int64_t first, int32_t n, double *rows, pmn_err *err);

#endif
