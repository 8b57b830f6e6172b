/* pmn_projector.c - rows through a fit: y = (x - shift) / scale in fp64, rounded to f32, then y components' on the
 * device.
 *
 * A matrix product may sum differently for another number of rows (edge kernels, a vector product for one row), so the
 * device always gets PROJECT_ROWS of them, the last tile filled up with whatever was there (zeros at first): the bits
 * of a row hang on its place in the tile at most, never on n or rows_max. Callers that cut a stream at multiples of
 * PROJECT_ROWS thus get the same bits for a row wherever the stream ends. 512 rows keep the tile
 * small (17 MB at 8192 columns) and let the components, which go to the device with every product, be a fifth of the
 * traffic at K = 100.
 *
 * Error: the rounding of y and the fp32 product, about sqrt(d) 2^-24 of the row's length. */
#include "pmn_mem.h"
#include "pmn_stats.h"

#include <inttypes.h>
#include <string.h>

#define PROJECT_ROWS 512

struct pmn_projector {
  pmn_device *device;
  int32_t d, k, rows_max; /* k = 0: no PCA */
  double *shift, *scale;  /* [d] */
  float *weights;         /* [d, k] components, transposed */
  float *tile;            /* [PROJECT_ROWS, d] */
  float *product;         /* [PROJECT_ROWS, k], for the last tile */
};

pmn_status pmn_projector_create(
    pmn_device *device, const pmn_fit *fit, int32_t rows_max, pmn_projector **projector, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t d = (size_t)fit->d, k = (size_t)fit->k;
  pmn_projector *p = pmn_calloc(1, sizeof *p);
  *projector = NULL;
  if (p == NULL) return pmn_err_memory(err, sizeof *p, "the projection");
  p->device = device;
  p->d = fit->d;
  p->k = fit->k;
  p->rows_max = rows_max;
  p->shift = pmn_alloc(d, sizeof *p->shift);
  p->scale = pmn_alloc(d, sizeof *p->scale);
  if (p->shift == NULL || p->scale == NULL) {
    st = pmn_err_memory(err, d * sizeof *p->shift, "the projection");
    goto done;
  }
  memcpy(p->shift, fit->shift, d * sizeof *p->shift);
  memcpy(p->scale, fit->scale, d * sizeof *p->scale);
  if (k > 0) {
    /* k <= d columns of f32 are less than the fit's doubles; the tile is below 2^31 * 2^11 bytes: no product overflows.
     */
    p->weights = pmn_alloc_aligned(d * k, sizeof *p->weights);
    p->tile = pmn_alloc_aligned(d * PROJECT_ROWS, sizeof *p->tile);
    p->product = pmn_alloc_aligned(k * PROJECT_ROWS, sizeof *p->product);
    if (p->weights == NULL || p->tile == NULL || p->product == NULL) {
      st = pmn_err_memory(err, d * PROJECT_ROWS * sizeof *p->tile, "a tile of the projection");
      goto done;
    }
    memset(p->tile, 0, d * PROJECT_ROWS * sizeof *p->tile);
    for (size_t c = 0; c < k; c++) {
      for (size_t j = 0; j < d; j++) p->weights[j * k + c] = (float)fit->components[c * d + j];
    }
  }
  *projector = p;
  p = NULL;
done:
  pmn_projector_destroy(p);
  return st;
}

void pmn_projector_destroy(pmn_projector *projector) {
  if (projector == NULL) return;
  pmn_free(projector->shift);
  pmn_free(projector->scale);
  pmn_free(projector->weights);
  pmn_free(projector->tile);
  pmn_free(projector->product);
  pmn_free(projector);
}

static void rows_scale(const pmn_projector *p, const double *x, int32_t n, float *y) {
  size_t d = (size_t)p->d;
  const double *restrict shift = p->shift, *restrict scale = p->scale;
  for (size_t i = 0; i < (size_t)n; i++) {
    const double *restrict from = x + i * d;
    float *restrict to = y + i * d;
    for (size_t j = 0; j < d; j++) to[j] = (float)((from[j] - shift[j]) / scale[j]);
  }
}

pmn_status pmn_projector_run(pmn_projector *projector, const double *x, int32_t n, float *y, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_projector *p = projector;
  size_t d = (size_t)p->d, k = (size_t)p->k;
  if (n < 0 || n > p->rows_max)
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%" PRId32 " rows for a projection made for at most %" PRId32, n, p->rows_max);
  if (k == 0) {
    rows_scale(p, x, n, y);
    goto done;
  }
  for (int32_t first = 0; first < n; first += PROJECT_ROWS) {
    int32_t rows = n - first < PROJECT_ROWS ? n - first : PROJECT_ROWS;
    float *out = y + (size_t)first * k;
    rows_scale(p, x + (size_t)first * d, rows, p->tile);
    if (rows == PROJECT_ROWS) {
      PMN_TRY(pmn_device_gemm(p->device, p->tile, p->weights, PROJECT_ROWS, p->d, p->k, out, err));
    } else {
      PMN_TRY(pmn_device_gemm(p->device, p->tile, p->weights, PROJECT_ROWS, p->d, p->k, p->product, err));
      memcpy(out, p->product, (size_t)rows * k * sizeof *out);
    }
  }
done:
  return st;
}
