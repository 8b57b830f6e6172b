/* pmn_spool.c - see pmn_spool.h. */
#include "pmn_spool.h"

#include "pmn_mem.h"
#include "pmn_scratch.h"

struct pmn_spool {
  pmn_scratch *scratch;
  size_t row_size; /* bytes */
};

pmn_status pmn_spool_create(const char *beside, int32_t width, pmn_spool **spool, pmn_err *err) {
  pmn_spool *self = pmn_calloc(1, sizeof *self);
  *spool = NULL;
  if (self == NULL) return pmn_err_memory(err, sizeof *self, "the spool");
  self->row_size = (size_t)width * sizeof(float);
  pmn_status st = pmn_scratch_create(beside, "--spool", &self->scratch, err);
  if (st == PMN_STATUS_OK)
    *spool = self;
  else
    pmn_free(self);
  return st;
}

void pmn_spool_destroy(pmn_spool *spool) {
  if (spool == NULL) return;
  pmn_scratch_destroy(spool->scratch);
  pmn_free(spool);
}

pmn_status pmn_spool_append(pmn_spool *spool, const float *rows, int64_t n, pmn_err *err) {
  return pmn_scratch_append(spool->scratch, rows, (size_t)n * spool->row_size, err);
}

pmn_status pmn_spool_read_narrow(const pmn_spool *spool, int64_t first, int64_t n, float *rows, pmn_err *err) {
  return pmn_scratch_read(spool->scratch, (uint64_t)first * spool->row_size, rows, (size_t)n * spool->row_size, err);
}

int64_t pmn_spool_count(const pmn_spool *spool) {
  return (int64_t)(pmn_scratch_size(spool->scratch) / spool->row_size);
}

pmn_status pmn_spool_read(void *spool, int64_t first, int32_t n, double *rows, pmn_err *err) {
  const pmn_spool *self = spool;
  enum { PIECE = 8192 };
  float narrow[PIECE];
  size_t left = (size_t)n * self->row_size / sizeof *narrow;
  for (uint64_t at = (uint64_t)first * self->row_size; left > 0;) {
    size_t count = left < PIECE ? left : PIECE;
    pmn_status st = pmn_scratch_read(self->scratch, at, narrow, count * sizeof *narrow, err);
    if (st != PMN_STATUS_OK) return st;
    for (size_t i = 0; i < count; i++) *rows++ = (double)narrow[i];
    at += count * sizeof *narrow;
    left -= count;
  }
  return PMN_STATUS_OK;
}
