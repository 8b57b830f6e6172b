/* pmn_ocl_blas.c - the two matrix products of the statistics, by CLBlast.
 *
 * syrk adds x'x of up to millions of rows to an fp64 sum. Rows go up in panels of one fixed size, the last one filled
 * up with rows of zeros, which add nothing: every call of CLBlast has the same shape, so that it takes the same
 * kernels. Where the device has fp64, panels hold up to 4096 rows, and a product is one call; where it has not, what is
 * multiplied is rounded to fp32 and 256 terms are summed in it. Panels are added up in fp64 on the host.
 *
 * Many devices have no memory of their own, so nothing is held twice that need not be: rows go up from where they lie,
 * and results come down some rows at a time. CLBlast pads what it is given into buffers of the same size again.
 */
#include "pmn_ocl.h"

#include "pmn_err.h"
#include "pmn_mem.h"

#include <clblast_c.h>
#include <string.h>

enum { PANEL_FP64 = 4096, PANEL_FP32 = 256, SLAB_BYTES = 4 * 1024 * 1024 };

static size_t scalar_size(const pmn_ocl_device *device) {
  return device->fp64 ? sizeof(double) : sizeof(float);
}

static void narrow(const double *from, size_t count, float *to) {
  for (size_t i = 0; i < count; i++) to[i] = (float)from[i];
}

/* ------------------------------------------------------------------------------------------------------ syrk -- */

/* The buffers of one syrk. */
typedef struct syrk_work {
  pmn_ocl_device *device;
  size_t panel, columns, scalar, slab; /* slab: rows of the result that come down together */
  cl_mem x, c;
  float *narrowed; /* [panel, columns]; NULL where the device has fp64 */
  void *sums;      /* [slab, columns] */
} syrk_work;

/* Rows of a panel: the fixed size, less (a power of two) for a whole call of fewer rows. */
static size_t panel_choose(const pmn_ocl_device *device, size_t n) {
  size_t most = device->fp64 ? PANEL_FP64 : PANEL_FP32, panel = 16;
  while (panel < n && panel < most) panel *= 2;
  return panel;
}

static size_t slab_choose(size_t columns, size_t scalar) {
  size_t rows = SLAB_BYTES / scalar / columns;
  return rows < 1 ? 1 : rows > columns ? columns : rows;
}

double pmn_ocl_syrk_bytes(const pmn_device *base, int32_t n, int32_t d) {
  const pmn_ocl_device *device = (const pmn_ocl_device *)base;
  double columns = d, scalar = (double)scalar_size(device), panel = (double)panel_choose(device, (size_t)n);
  double bytes = (double)slab_choose((size_t)d, scalar_size(device)) * columns * scalar;
  if (!device->fp64) bytes += panel * columns * scalar;
  return device->hosted ? bytes + 2.0 * (panel + columns) * columns * scalar : bytes;
}

static pmn_status zeros_fill(const syrk_work *w, cl_mem buffer, size_t first, size_t end, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const double zero = 0.0;
  if (first == end) return PMN_STATUS_OK;
  PMN_OCL_TRY(w->device,
      clEnqueueFillBuffer(w->device->queue, buffer, &zero, w->scalar, first * w->columns * w->scalar,
          (end - first) * w->columns * w->scalar, 0, NULL, NULL),
      "clearing a matrix", err);
done:
  return st;
}

static pmn_status panel_fill(const syrk_work *w, const double *rows, size_t count, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const void *from = rows;
  if (w->narrowed != NULL) {
    narrow(rows, count * w->columns, w->narrowed);
    from = w->narrowed;
  }
  PMN_OCL_TRY(w->device,
      clEnqueueWriteBuffer(w->device->queue, w->x, CL_FALSE, 0, count * w->columns * w->scalar, from, 0, NULL, NULL),
      "uploading rows", err);
  PMN_TRY(zeros_fill(w, w->x, count, w->panel, err));
done:
  return st;
}

/* c += the result, upper triangle. */
static pmn_status panel_add(const syrk_work *w, double *c, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const double *wide = w->sums;
  const float *narrowed = w->sums;
  size_t d = w->columns;
  for (size_t first = 0; first < d; first += w->slab) {
    size_t rows = d - first < w->slab ? d - first : w->slab;
    PMN_OCL_TRY(w->device,
        clEnqueueReadBuffer(
            w->device->queue, w->c, CL_TRUE, first * d * w->scalar, rows * d * w->scalar, w->sums, 0, NULL, NULL),
        "reading a covariance", err);
    for (size_t i = 0; i < rows; i++) {
      for (size_t j = first + i; j < d; j++) {
        c[(first + i) * d + j] += w->narrowed == NULL ? wide[i * d + j] : (double)narrowed[i * d + j];
      }
    }
  }
done:
  return st;
}

static pmn_status panel_run(const syrk_work *w, const double *rows, size_t count, double *c, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_ocl_device *device = w->device;
  CLBlastStatusCode code;
  PMN_TRY(panel_fill(w, rows, count, err));
  if (w->narrowed == NULL) {
    code = CLBlastDsyrk(CLBlastLayoutRowMajor, CLBlastTriangleUpper, CLBlastTransposeYes, w->columns, w->panel, 1.0,
        w->x, 0, w->columns, 0.0, w->c, 0, w->columns, &device->queue, NULL);
  } else {
    code = CLBlastSsyrk(CLBlastLayoutRowMajor, CLBlastTriangleUpper, CLBlastTransposeYes, w->columns, w->panel, 1.0f,
        w->x, 0, w->columns, 0.0f, w->c, 0, w->columns, &device->queue, NULL);
  }
  PMN_OCL_TRY(device, (cl_int)code, "CLBlast syrk", err);
  PMN_TRY(panel_add(w, c, err));
done:
  /* Rows may still be on their way up. */
  if (st != PMN_STATUS_OK) clFinish(device->queue);
  return st;
}

pmn_status pmn_ocl_syrk(pmn_device *base, const double *x, int32_t n, int32_t d, double *c, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_ocl_device *device = (pmn_ocl_device *)base;
  size_t rows = (size_t)n, columns = (size_t)d;
  syrk_work w = {.device = device, .panel = panel_choose(device, rows), .columns = columns};
  w.scalar = scalar_size(device);
  w.slab = slab_choose(columns, w.scalar);
  device->blas_used = true;
  w.sums = pmn_alloc(w.slab * columns, w.scalar);
  if (!device->fp64) w.narrowed = pmn_alloc(w.panel * columns, sizeof *w.narrowed);
  if (w.sums == NULL || (!device->fp64 && w.narrowed == NULL)) {
    st = pmn_err_memory(err, (w.panel + w.slab) * columns * w.scalar, "a covariance");
    goto done;
  }
  PMN_TRY(pmn_ocl_buffer_create(device, w.panel * columns, w.scalar, NULL, "rows", &w.x, err));
  PMN_TRY(pmn_ocl_buffer_create(device, columns * columns, w.scalar, NULL, "a covariance", &w.c, err));
  /* CLBlast leaves the lower triangle alone, and reads all of it. */
  PMN_TRY(zeros_fill(&w, w.c, 0, columns, err));
  for (size_t first = 0; first < rows; first += w.panel) {
    PMN_TRY(panel_run(&w, x + first * columns, rows - first < w.panel ? rows - first : w.panel, c, err));
  }
done:
  if (w.x != NULL) clReleaseMemObject(w.x);
  if (w.c != NULL) clReleaseMemObject(w.c);
  pmn_free(w.narrowed);
  pmn_free(w.sums);
  return st;
}

/* ------------------------------------------------------------------------------------------------------ gemm -- */

/* The operands of one gemm, rows of a, then of b, then of y: as they are, or rounded. */
typedef struct gemm_work {
  pmn_ocl_device *device;
  size_t n, k, m;
  cl_mem a, b, y;
  float *narrowed; /* a, b and y of a device without fp64, one behind the other */
} gemm_work;

double pmn_ocl_gemm_bytes(const pmn_device *base, int32_t n, int32_t k, int32_t m) {
  const pmn_ocl_device *device = (const pmn_ocl_device *)base;
  double bytes = ((double)n * k + (double)m * k + (double)n * m) * (double)scalar_size(device);
  return (device->fp64 ? 0.0 : bytes) + (device->hosted ? 2.0 * bytes : 0.0);
}

static pmn_status product_wide(const gemm_work *w, double *y, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_ocl_device *device = w->device;
  PMN_OCL_TRY(device,
      (cl_int)CLBlastDgemm(CLBlastLayoutRowMajor, CLBlastTransposeNo, CLBlastTransposeYes, w->n, w->m, w->k, 1.0, w->a,
          0, w->k, w->b, 0, w->k, 0.0, w->y, 0, w->m, &device->queue, NULL),
      "CLBlast gemm", err);
  PMN_OCL_TRY(device, clEnqueueReadBuffer(device->queue, w->y, CL_TRUE, 0, w->n * w->m * sizeof *y, y, 0, NULL, NULL),
      "reading a product", err);
done:
  return st;
}

static pmn_status product_narrow(const gemm_work *w, double *y, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_ocl_device *device = w->device;
  size_t count = w->n * w->m;
  float *sums = w->narrowed + (w->n + w->m) * w->k;
  for (size_t i = 0; i < count; i++) y[i] = 0.0;
  for (size_t first = 0; first < w->k; first += PANEL_FP32) {
    size_t inner = w->k - first < PANEL_FP32 ? w->k - first : PANEL_FP32;
    PMN_OCL_TRY(device,
        (cl_int)CLBlastSgemm(CLBlastLayoutRowMajor, CLBlastTransposeNo, CLBlastTransposeYes, w->n, w->m, inner, 1.0f,
            w->a, first, w->k, w->b, first, w->k, 0.0f, w->y, 0, w->m, &device->queue, NULL),
        "CLBlast gemm", err);
    PMN_OCL_TRY(device, clEnqueueReadBuffer(device->queue, w->y, CL_TRUE, 0, count * sizeof *sums, sums, 0, NULL, NULL),
        "reading a product", err);
    for (size_t i = 0; i < count; i++) y[i] += (double)sums[i];
  }
done:
  return st;
}

pmn_status pmn_ocl_gemm(
    pmn_device *base, const double *a, const double *b, int32_t n, int32_t k, int32_t m, double *y, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_ocl_device *device = (pmn_ocl_device *)base;
  gemm_work w = {.device = device, .n = (size_t)n, .k = (size_t)k, .m = (size_t)m};
  size_t a_count = w.n * w.k, b_count = w.m * w.k, y_count = w.n * w.m, scalar = scalar_size(device);
  const void *a_from = a, *b_from = b;
  device->blas_used = true;
  if (!device->fp64) {
    w.narrowed = pmn_alloc(a_count + b_count + y_count, sizeof *w.narrowed);
    if (w.narrowed == NULL) {
      st = pmn_err_memory(err, (a_count + b_count + y_count) * sizeof *w.narrowed, "a product");
      goto done;
    }
    narrow(a, a_count, w.narrowed);
    narrow(b, b_count, w.narrowed + a_count);
    a_from = w.narrowed;
    b_from = w.narrowed + a_count;
  }
  PMN_TRY(pmn_ocl_buffer_create(device, a_count, scalar, a_from, "a matrix", &w.a, err));
  PMN_TRY(pmn_ocl_buffer_create(device, b_count, scalar, b_from, "a matrix", &w.b, err));
  PMN_TRY(pmn_ocl_buffer_create(device, y_count, scalar, NULL, "a product", &w.y, err));
  PMN_TRY(device->fp64 ? product_wide(&w, y, err) : product_narrow(&w, y, err));
done:
  if (w.a != NULL) clReleaseMemObject(w.a);
  if (w.b != NULL) clReleaseMemObject(w.b);
  if (w.y != NULL) clReleaseMemObject(w.y);
  pmn_free(w.narrowed);
  return st;
}
