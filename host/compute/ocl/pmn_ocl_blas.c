/* pmn_ocl_blas.c - the two matrix products of the statistics, by CLBlast.
 *
 * syrk adds x'x of up to millions of rows to an fp64 sum. Rows go up in panels of one fixed size, the last one filled
 * up with rows of zeros, which add nothing: every call of CLBlast has the same shape, so that it takes the same
 * kernels. Where the device has fp64, panels hold up to 4096 rows; where it has not, panels of 256 rows are rounded to
 * fp32 and summed in it. Panels are added up in fp64 on the host.
 */
#include "pmn_ocl.h"

#include "pmn_err.h"
#include "pmn_mem.h"

#include <clblast_c.h>
#include <string.h>

enum { PANEL_FP64 = 4096, PANEL_FP32 = 256 };

/* The buffers of one syrk; `scalar` is the size of what the device computes in. */
typedef struct syrk_work {
  pmn_ocl_device *device;
  size_t panel, columns, scalar;
  cl_mem x, c;
  void *host_x, *host_c;
} syrk_work;

/* Rows of a panel: the fixed size, less (a power of two) for a whole call of fewer rows. */
static size_t panel_choose(const pmn_ocl_device *device, size_t n) {
  size_t most = device->fp64 ? PANEL_FP64 : PANEL_FP32, panel = 16;
  while (panel < n && panel < most) panel *= 2;
  return panel;
}

static void panel_fill(const syrk_work *w, const double *rows, size_t count) {
  size_t used = count * w->columns;
  if (w->scalar == sizeof(double)) {
    memcpy(w->host_x, rows, used * sizeof *rows);
  } else {
    float *to = w->host_x;
    for (size_t i = 0; i < used; i++) to[i] = (float)rows[i];
  }
  memset((char *)w->host_x + used * w->scalar, 0, (w->panel * w->columns - used) * w->scalar);
}

static void panel_add(const syrk_work *w, double *c) {
  const double *wide = w->host_c;
  const float *narrow = w->host_c;
  for (size_t i = 0; i < w->columns; i++) {
    for (size_t j = i; j < w->columns; j++) {
      size_t at = i * w->columns + j;
      c[at] += w->scalar == sizeof(double) ? wide[at] : (double)narrow[at];
    }
  }
}

static pmn_status panel_run(const syrk_work *w, const double *rows, size_t count, double *c, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_ocl_device *device = w->device;
  size_t x_bytes = w->panel * w->columns * w->scalar, c_bytes = w->columns * w->columns * w->scalar;
  panel_fill(w, rows, count);
  PMN_OCL_TRY(device, clEnqueueWriteBuffer(device->queue, w->x, CL_FALSE, 0, x_bytes, w->host_x, 0, NULL, NULL),
      "uploading rows", err);
  CLBlastStatusCode code;
  if (w->scalar == sizeof(double)) {
    code = CLBlastDsyrk(CLBlastLayoutRowMajor, CLBlastTriangleUpper, CLBlastTransposeYes, w->columns, w->panel, 1.0,
        w->x, 0, w->columns, 0.0, w->c, 0, w->columns, &device->queue, NULL);
  } else {
    code = CLBlastSsyrk(CLBlastLayoutRowMajor, CLBlastTriangleUpper, CLBlastTransposeYes, w->columns, w->panel, 1.0f,
        w->x, 0, w->columns, 0.0f, w->c, 0, w->columns, &device->queue, NULL);
  }
  PMN_OCL_TRY(device, (cl_int)code, "CLBlast syrk", err);
  PMN_OCL_TRY(device, clEnqueueReadBuffer(device->queue, w->c, CL_TRUE, 0, c_bytes, w->host_c, 0, NULL, NULL),
      "reading a covariance", err);
  panel_add(w, c);
done:
  /* host_x may still be on its way up. */
  if (st != PMN_STATUS_OK) clFinish(device->queue);
  return st;
}

pmn_status pmn_ocl_syrk(pmn_device *base, const double *x, int32_t n, int32_t d, double *c, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_ocl_device *device = (pmn_ocl_device *)base;
  size_t rows = (size_t)n;
  syrk_work w = {.device = device,
      .panel = panel_choose(device, rows),
      .columns = (size_t)d,
      .scalar = device->fp64 ? sizeof(double) : sizeof(float)};
  device->blas_used = true;
  w.host_x = pmn_alloc(w.panel * w.columns, w.scalar);
  w.host_c = pmn_calloc(w.columns * w.columns, w.scalar);
  if (w.host_x == NULL || w.host_c == NULL) {
    st = pmn_err_memory(err, (w.panel + w.columns) * w.columns * w.scalar, "a covariance");
    goto done;
  }
  PMN_TRY(pmn_ocl_buffer_create(device, w.panel * w.columns, w.scalar, NULL, "rows", &w.x, err));
  /* Filled with zeros: CLBlast leaves the lower triangle alone, and reads all of it. */
  PMN_TRY(pmn_ocl_buffer_create(device, w.columns * w.columns, w.scalar, NULL, "a covariance", &w.c, err));
  PMN_OCL_TRY(device,
      clEnqueueWriteBuffer(device->queue, w.c, CL_TRUE, 0, w.columns * w.columns * w.scalar, w.host_c, 0, NULL, NULL),
      "clearing a covariance", err);
  for (size_t first = 0; first < rows; first += w.panel) {
    PMN_TRY(panel_run(&w, x + first * w.columns, rows - first < w.panel ? rows - first : w.panel, c, err));
  }
done:
  if (w.x != NULL) clReleaseMemObject(w.x);
  if (w.c != NULL) clReleaseMemObject(w.c);
  pmn_free(w.host_x);
  pmn_free(w.host_c);
  return st;
}

pmn_status pmn_ocl_gemm(
    pmn_device *base, const float *a, const float *b, int32_t n, int32_t k, int32_t m, float *y, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_ocl_device *device = (pmn_ocl_device *)base;
  size_t rows = (size_t)n, inner = (size_t)k, columns = (size_t)m;
  cl_mem a_buffer = NULL, b_buffer = NULL, y_buffer = NULL;
  device->blas_used = true;
  PMN_TRY(pmn_ocl_buffer_create(device, rows * inner, sizeof(float), a, "a matrix", &a_buffer, err));
  PMN_TRY(pmn_ocl_buffer_create(device, inner * columns, sizeof(float), b, "a matrix", &b_buffer, err));
  PMN_TRY(pmn_ocl_buffer_create(device, rows * columns, sizeof(float), NULL, "a product", &y_buffer, err));
  PMN_OCL_TRY(device,
      (cl_int)CLBlastSgemm(CLBlastLayoutRowMajor, CLBlastTransposeNo, CLBlastTransposeNo, rows, columns, inner, 1.0f,
          a_buffer, 0, inner, b_buffer, 0, columns, 0.0f, y_buffer, 0, columns, &device->queue, NULL),
      "CLBlast gemm", err);
  PMN_OCL_TRY(device,
      clEnqueueReadBuffer(device->queue, y_buffer, CL_TRUE, 0, rows * columns * sizeof(float), y, 0, NULL, NULL),
      "reading a product", err);
done:
  if (a_buffer != NULL) clReleaseMemObject(a_buffer);
  if (b_buffer != NULL) clReleaseMemObject(b_buffer);
  if (y_buffer != NULL) clReleaseMemObject(y_buffer);
  return st;
}
