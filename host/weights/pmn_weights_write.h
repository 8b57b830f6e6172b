/* pmn_weights_write.h - a safetensors file of float32 tensors, most of them in another order than their source. */
#ifndef PMN_WEIGHTS_WRITE_H
#define PMN_WEIGHTS_WRITE_H

#include "pmn_layers.h"
#include "pmn_sha256.h"

#include <signal.h>

/* A tensor to be written. Its values are those of `source` seen as `view`, with axis k of the output being axis axes[k]
 * of the view: so HWIO of OIHW has axes 2, 3, 1, 0. `spec` may fold axes together: only the number of values must
 * agree. */
typedef struct pmn_weights_tensor {
  const pmn_tensor_spec *spec;
  const pmn_weight *source; /* F32, F16 or BF16 */
  int64_t view[4];          /* axes that there are not, have extent 1 */
  int32_t axes[4];
} pmn_weights_tensor;

typedef struct pmn_weights_metadata {
  const char *key, *value; /* printable ASCII without " and \ */
} pmn_weights_metadata;

/* Writes `path`, whole or not at all: header sorted by name, data aligned to 64 bytes in the same order. Sorts
 * `tensors`. *sha256: of the file. PMN_STATUS_EXISTS (and not overwrite), PMN_STATUS_WRITE, PMN_STATUS_NO_MEMORY;
 * PMN_STATUS_INTERRUPTED once *stop is raised, which may be NULL. */
PMN_MUST_USE pmn_status pmn_weights_write(const char *path, bool overwrite, pmn_weights_tensor *tensors, int32_t count,
    const pmn_weights_metadata *metadata, int32_t metadata_count, const volatile sig_atomic_t *stop,
    char sha256[PMN_SHA256_HEX_SIZE], int64_t *bytes, pmn_err *err);

#endif
