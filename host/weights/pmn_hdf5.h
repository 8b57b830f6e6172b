/* pmn_hdf5.h - the weights of a Keras .h5 file, read by the program pomona-hdf5 in a process of its own.
 *
 * HDF5's library is large and has had many holes; a file that breaks it breaks that process alone, which can open
 * nothing, write nothing but its pipe, and is not believed: what it answers is parsed like any file from outside.
 */
#ifndef PMN_HDF5_H
#define PMN_HDF5_H

#include "pmn_buf.h"

enum { PMN_HEAD_SIZE = 24, PMN_HEAD_TEXT_SIZE = PMN_HEAD_SIZE + 4 };

/* Do these first bytes of a file (zeros after its end) begin an HDF5 file? */
bool pmn_hdf5_has_head(const char head[PMN_HEAD_SIZE]);
/* The first bytes of a file that is something else, for a message: "<!DOCTYPE html>...". */
void pmn_hdf5_show_head(const char head[PMN_HEAD_SIZE], int64_t size, char text[PMN_HEAD_TEXT_SIZE]);

/* Starts the program on an open file of `size` bytes and takes its answer, a safetensors file, into `stream`, whose
 * maximum caps it. `path` is for messages. PMN_STATUS_MODEL with the program's own words, or how it died;
 * PMN_STATUS_NOT_FOUND when there is no such program; PMN_STATUS_INTERRUPTED once *stop is raised, which may be NULL.
 */
PMN_MUST_USE pmn_status pmn_hdf5_read(
    int fd, int64_t size, const char *path, const volatile sig_atomic_t *stop, pmn_buf *stream, pmn_err *err);

#endif
