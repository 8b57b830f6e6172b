/* pmn_weights_write.c - see pmn_weights_write.h. Values pass through a small block, so that the largest tensor (VGG's
 * first dense layer, 411 MB) is in memory once, as it was read. */
#include "pmn_weights_write.h"

#include "pmn_buf.h"
#include "pmn_digest.h"
#include "pmn_mem.h"
#include "pmn_outfile.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK_FLOATS = 1 << 15, ALIGNMENT = 64, HEADER_MAX = 1 << 24 };

typedef struct writer {
  pmn_outfile *file;
  pmn_digest *digest;
  float *block; /* [BLOCK_FLOATS] */
  size_t used;
} writer;

static pmn_status put(writer *self, const void *bytes, size_t size, pmn_err *err) {
  if (!pmn_digest_update(self->digest, bytes, size)) {
    return pmn_err_set(err, PMN_STATUS_NO_MEMORY, 0, "libcrypto could not compute a hash");
  }
  return pmn_outfile_write(self->file, bytes, size, err);
}

static pmn_status flush(writer *self, pmn_err *err) {
  size_t size = self->used * sizeof *self->block;
  self->used = 0;
  return put(self, self->block, size, err);
}

/* ----------------------------------------------------------------------------------------------------- values -- */

static float from_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/* IEEE 754 binary16 to binary32, which holds every value of it. */
static float from_half(uint16_t half) {
  uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31, fraction = half & 1023;
  if (exponent == 31) return from_bits(sign | 0x7f800000 | fraction << 13);
  if (exponent > 0) return from_bits(sign | (exponent + 112) << 23 | fraction << 13);
  float value = (float)fraction / 16777216.0f; /* subnormal: fraction * 2^-24 */
  return sign != 0 ? -value : value;
}

static float load(const pmn_weight *source, size_t index) {
  const unsigned char *data = source->data; /* not aligned */
  uint32_t word;
  uint16_t half;
  if (strcmp(source->type, "F32") == 0) {
    memcpy(&word, data + 4 * index, sizeof word);
    return from_bits(word);
  }
  memcpy(&half, data + 2 * index, sizeof half);
  return strcmp(source->type, "BF16") == 0 ? from_bits((uint32_t)half << 16) : from_half(half);
}

static pmn_status write_reordered(writer *self, const pmn_weights_tensor *t, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t strides[4], extent[4], step[4];
  for (size_t k = 4, stride = 1; k-- > 0; stride *= (size_t)t->view[k]) strides[k] = stride;
  for (int k = 0; k < 4; k++) {
    extent[k] = (size_t)t->view[t->axes[k]];
    step[k] = strides[t->axes[k]];
  }
  for (size_t a = 0; a < extent[0]; a++) {
    for (size_t b = 0; b < extent[1]; b++) {
      for (size_t c = 0; c < extent[2]; c++) {
        for (size_t d = 0, at = a * step[0] + b * step[1] + c * step[2]; d < extent[3]; d++, at += step[3]) {
          self->block[self->used++] = load(t->source, at);
          if (self->used == BLOCK_FLOATS) PMN_TRY(flush(self, err));
        }
      }
    }
  }
  st = flush(self, err);
done:
  return st;
}

static pmn_status write_values(writer *self, const pmn_weights_tensor *t, pmn_err *err) {
  bool in_order = strcmp(t->source->type, "F32") == 0;
  for (int k = 0; k < 4; k++) in_order = in_order && t->axes[k] == k;
  return in_order ? put(self, t->source->data, t->source->size, err) : write_reordered(self, t, err);
}

/* ----------------------------------------------------------------------------------------------------- header -- */

static int by_name(const void *a, const void *b) {
  const pmn_weights_tensor *x = a, *y = b;
  return strcmp(x->spec->name, y->spec->name);
}

static uint64_t bytes_of(const pmn_tensor_spec *spec) {
  uint64_t bytes = sizeof(float);
  for (int32_t i = 0; i < spec->rank; i++) bytes *= (uint64_t)spec->shape[i];
  return bytes;
}

static pmn_status print_header(const pmn_weights_tensor *tensors, int32_t count, const pmn_weights_metadata *metadata,
    int32_t metadata_count, pmn_buf *text, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  uint64_t offset = 0;
  PMN_TRY(pmn_buf_printf(text, err, "{\"__metadata__\":{"));
  for (int32_t i = 0; i < metadata_count; i++) {
    PMN_TRY(pmn_buf_printf(text, err, "%s\"%s\":\"%s\"", i > 0 ? "," : "", metadata[i].key, metadata[i].value));
  }
  PMN_TRY(pmn_buf_printf(text, err, "}"));
  for (int32_t i = 0; i < count; i++) {
    const pmn_tensor_spec *spec = tensors[i].spec;
    uint64_t end = offset + bytes_of(spec);
    PMN_TRY(pmn_buf_printf(text, err, ",\"%s\":{\"dtype\":\"F32\",\"shape\":[", spec->name));
    for (int32_t d = 0; d < spec->rank; d++) {
      PMN_TRY(pmn_buf_printf(text, err, "%s%lld", d > 0 ? "," : "", (long long)spec->shape[d]));
    }
    PMN_TRY(pmn_buf_printf(
        text, err, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)offset, (unsigned long long)end));
    offset = end;
  }
  PMN_TRY(pmn_buf_printf(text, err, "}"));
  while ((text->size + 8) % ALIGNMENT != 0) PMN_TRY(pmn_buf_append(text, " ", 1, err));
done:
  return st;
}

pmn_status pmn_weights_write(const char *path, bool overwrite, pmn_weights_tensor *tensors, int32_t count,
    const pmn_weights_metadata *metadata, int32_t metadata_count, const volatile sig_atomic_t *stop,
    char sha256[PMN_SHA256_HEX_SIZE], int64_t *bytes, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  writer self = {0};
  unsigned char length[8];
  pmn_buf header;
  pmn_buf_init(&header, HEADER_MAX);
  self.digest = pmn_digest_create(false);
  self.block = pmn_alloc(BLOCK_FLOATS, sizeof *self.block);
  if (self.digest == NULL || self.block == NULL) {
    st = pmn_err_memory(err, BLOCK_FLOATS * sizeof *self.block, "a block of weights");
    goto done;
  }
  qsort(tensors, (size_t)count, sizeof *tensors, by_name);
  PMN_TRY(print_header(tensors, count, metadata, metadata_count, &header, err));
  PMN_TRY(pmn_outfile_create(NULL, path, "", overwrite, &self.file, err));
  for (int i = 0; i < 8; i++) length[i] = (unsigned char)((uint64_t)header.size >> 8 * i);
  PMN_TRY(put(&self, length, sizeof length, err));
  PMN_TRY(put(&self, header.data, header.size, err));
  for (int32_t i = 0; i < count; i++) {
    if (stop != NULL && *stop != 0) PMN_FAIL(err, PMN_STATUS_INTERRUPTED, "interrupted");
    PMN_TRY(write_values(&self, &tensors[i], err));
  }
  *bytes = (int64_t)pmn_outfile_size(self.file);
  if (!pmn_digest_finish(self.digest, NULL, sha256)) {
    PMN_FAIL(err, PMN_STATUS_NO_MEMORY, "libcrypto could not compute a hash");
  }
  PMN_TRY(pmn_outfile_commit(&self.file, 1, err));
done:
  pmn_outfile_destroy(self.file);
  pmn_digest_destroy(self.digest);
  pmn_free(self.block);
  pmn_buf_reset(&header);
  return st;
}
