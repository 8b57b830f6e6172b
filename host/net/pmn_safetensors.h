/* pmn_safetensors.h - reading a safetensors file that nobody has vouched for.
 *
 * Weights are read whole and stay in memory (create); a matrix that may be gigabytes is read from the open file
 * straight into its place (open, read).
 *
 * Layout: u64 little-endian length N of the header; N bytes of JSON, {"name": {"dtype", "shape", "data_offsets"}, ...,
 * "__metadata__": {text: text}}; then the data, which the tensors cover without holes or overlaps. Every number is
 * checked against the bytes that are really there before it is used.
 */
#ifndef PMN_SAFETENSORS_H
#define PMN_SAFETENSORS_H

#include "pmn_sha256.h"

enum { PMN_TENSOR_RANK_MAX = 8, PMN_TENSOR_COUNT_MAX = 100000 };

typedef struct pmn_weight {
  const char *name;
  char type[8]; /* "F32", "BF16", ... */
  int32_t rank;
  int64_t shape[PMN_TENSOR_RANK_MAX];
  const void *data; /* in the caller's bytes; aligned as the file has it: copy before use as anything but bytes */
  size_t offset;    /* of the data, from where the data of all tensors begin */
  size_t size;      /* bytes */
} pmn_weight;

typedef struct pmn_safetensors pmn_safetensors;

/* Reads the header of a whole file in memory. `bytes` is borrowed until destroy; `origin` names it in messages.
 * PMN_STATUS_MODEL with what is wrong and where; PMN_STATUS_NO_MEMORY. */
PMN_MUST_USE pmn_status pmn_safetensors_create(
    const void *bytes, size_t size, const char *origin, pmn_safetensors **file, pmn_err *err);
/* Reads the header of a regular file, which stays open until destroy; its tensors have data NULL.
 * PMN_STATUS_NOT_FOUND: it cannot be opened or read; else as create. */
PMN_MUST_USE pmn_status pmn_safetensors_open(const char *path, pmn_safetensors **file, pmn_err *err);
/* Bytes [from, from + size) of a tensor of an opened file. PMN_STATUS_NOT_FOUND: they cannot be read (any more). */
PMN_MUST_USE pmn_status pmn_safetensors_read(
    const pmn_safetensors *file, const pmn_weight *tensor, size_t from, void *bytes, size_t size, pmn_err *err);
/* In hex, of all bytes of an opened file, header and all; where the header first holds the text `blank`, which may be
 * NULL, as many '0' are counted for it. PMN_STATUS_NOT_FOUND: they cannot be read (any more); PMN_STATUS_NO_MEMORY. */
PMN_MUST_USE pmn_status pmn_safetensors_hash(
    const pmn_safetensors *file, const char *blank, char sha256[PMN_SHA256_HEX_SIZE], pmn_err *err);
void pmn_safetensors_destroy(pmn_safetensors *file);
/* NULL when there is no tensor of that name. */
const pmn_weight *pmn_safetensors_find(const pmn_safetensors *file, const char *name);
/* Tensors in the order of their data, by index from 0; NULL past the last. */
const pmn_weight *pmn_safetensors_at(const pmn_safetensors *file, int32_t index);
/* A text of "__metadata__"; NULL when there is none under that key. Ours: "pomona.network", a name of the zoo;
 * "pomona.framework", "keras" or "torch"; "pomona.source_sha256" of the file that was converted. */
const char *pmn_safetensors_metadata(const pmn_safetensors *file, const char *key);
const char *pmn_safetensors_origin(const pmn_safetensors *file);

#endif
