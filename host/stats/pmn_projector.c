/* pmn_projector.c - rows through a fit: y = (x - shift) / scale, then y components' on the device, then one rounding to
 * fp32.
 *
 * A matrix product may sum differently for another number of rows (edge kernels, a vector product for one row), so the
 * device always gets pmn_block_rows of them, the last tile filled up with whatever was there (zeros at first): the bits
 * of a row hang on its place in the tile at most, never on n. Callers that cut a stream at multiples of that thus get
 * the same bits for a row wherever the stream ends. 512 rows, or 8 MiB of them, keep the tile small and let the
 * components, which go to the device with every product, be a fifth of the traffic at K = 100.
 *
 * Error: the last rounding. (On a device without fp64 also that of y and of 256 products summed in fp32, about 2^-20 of
 * the row's length.) */
#include "pmn_mem.h"
#include "pmn_stats.h"

enum { BLOCK_ROWS = 512, BLOCK_BYTES = 8 * 1024 * 1024 };

struct pmn_projector {
  pmn_device *device;
  const pmn_fit *fit;
  int32_t rows;    /* of a tile */
  double *tile;    /* [rows, d] */
  double *product; /* [rows, k] */
};

int32_t pmn_block_rows(int32_t d) {
  int32_t rows = BLOCK_ROWS;
  while (rows > 1 && (int64_t)rows * d * (int64_t)sizeof(double) > BLOCK_BYTES) rows /= 2;
  return rows;
}

double pmn_projector_memory(const pmn_device *device, int32_t d, int32_t k) {
  int32_t rows = pmn_block_rows(d);
  return k == 0 ? 0.0 : (double)rows * ((double)d + k) * sizeof(double) + pmn_device_gemm_bytes(device, rows, d, k);
}

pmn_status pmn_projector_create(pmn_device *device, const pmn_fit *fit, pmn_projector **projector, pmn_err *err) {
  size_t d = (size_t)fit->d, k = (size_t)fit->k, rows = (size_t)pmn_block_rows(fit->d);
  pmn_projector *p = pmn_calloc(1, sizeof *p);
  *projector = NULL;
  if (p == NULL) return pmn_err_memory(err, sizeof *p, "the projection");
  *p = (pmn_projector){.device = device, .fit = fit, .rows = (int32_t)rows};
  if (k > 0) {
    p->tile = pmn_calloc(rows * d, sizeof *p->tile);
    p->product = pmn_alloc_aligned(rows * k, sizeof *p->product);
    if (p->tile == NULL || p->product == NULL) {
      pmn_projector_destroy(p);
      return pmn_err_memory(err, rows * d * sizeof *p->tile, "a tile of the projection");
    }
  }
  *projector = p;
  return PMN_STATUS_OK;
}

void pmn_projector_destroy(pmn_projector *projector) {
  if (projector == NULL) return;
  pmn_free(projector->tile);
  pmn_free(projector->product);
  pmn_free(projector);
}

/* One row. */
static void row_scale(const pmn_fit *fit, const double *restrict x, double *restrict y) {
  const double *restrict shift = fit->shift, *restrict scale = fit->scale;
  for (size_t j = 0; j < (size_t)fit->d; j++) y[j] = (x[j] - shift[j]) / scale[j];
}

static void rows_scale(const pmn_fit *fit, const double *x, int32_t n, float *y) {
  for (size_t i = 0; i < (size_t)n; i++) {
    const double *restrict from = x + i * (size_t)fit->d, *restrict shift = fit->shift, *restrict scale = fit->scale;
    float *restrict to = y + i * (size_t)fit->d;
    for (size_t j = 0; j < (size_t)fit->d; j++) to[j] = (float)((from[j] - shift[j]) / scale[j]);
  }
}

pmn_status pmn_projector_run(pmn_projector *projector, const double *x, int32_t n, float *y, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_projector *p = projector;
  size_t d = (size_t)p->fit->d, k = (size_t)p->fit->k;
  if (k == 0) {
    rows_scale(p->fit, x, n, y);
    goto done;
  }
  for (int32_t first = 0; first < n; first += p->rows) {
    size_t rows = (size_t)(n - first < p->rows ? n - first : p->rows);
    float *out = y + (size_t)first * k;
    for (size_t i = 0; i < rows; i++) row_scale(p->fit, x + ((size_t)first + i) * d, p->tile + i * d);
    PMN_TRY(pmn_device_gemm(p->device, p->tile, p->fit->components, p->rows, p->fit->d, p->fit->k, p->product, err));
    for (size_t i = 0; i < rows * k; i++) out[i] = (float)p->product[i];
  }
done:
  return st;
}
