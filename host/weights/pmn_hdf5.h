/* pmn_hdf5.h - the weights of a Keras .h5 file, read by the program pomona-hdf5 in a process of its own.
 *
 * HDF5's library is large and has had many holes; a file that breaks it breaks that process alone, which can open
 * nothing, write nothing but its pipe, and is not believed: what it answers is parsed like any file from outside.
 */
#ifndef PMN_HDF5_H
#define PMN_HDF5_H

#include "pmn_buf.h"

/* Starts the program on an open file of `size` bytes and takes its answer, a safetensors file, into `stream`, whose
 * maximum caps it. `path` is for messages. PMN_STATUS_MODEL with the program's own words, or how it died;
 * PMN_STATUS_NOT_FOUND when there is no such program. */
PMN_MUST_USE pmn_status pmn_hdf5_read(int fd, int64_t size, const char *path, pmn_buf *stream, pmn_err *err);

#endif
