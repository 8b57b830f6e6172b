/* pmn_ocl_project.c - a saved projection behind a network, as one more launch: kernels/project.cl.
 *
 * It is worth it because k values a picture come back in the place of d, and the host's product is saved. The fit goes
 * up once: components transposed, so that neighbouring work-items read neighbouring components, with columns of zeros
 * behind the last to make whole work-groups. A device without fp64 gets them divided by the scale, in fp64, before they
 * are rounded; how far its sums are off stands in the kernel's file. */
#include "pmn_ocl.h"

#include "pmn_err.h"
#include "pmn_mem.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* A map as the device wants it: fp64, or fp32. */
typedef struct packed {
  void *columns; /* [2, d] */
  void *weights; /* [d, stride] */
} packed;

static void pack_wide(const pmn_linear_map *map, size_t stride, const packed *to) {
  size_t d = (size_t)map->d, k = (size_t)map->k;
  double *columns = to->columns, *weights = to->weights;
  memcpy(columns, map->shift, d * sizeof *columns);
  memcpy(columns + d, map->scale, d * sizeof *columns);
  for (size_t j = 0; j < k; j++) {
    for (size_t i = 0; i < d; i++) weights[i * stride + j] = map->components[j * d + i];
  }
}

/* False: a number is beyond fp32. */
static bool pack_narrow(const pmn_linear_map *map, size_t stride, const packed *to) {
  size_t d = (size_t)map->d, k = (size_t)map->k;
  float *columns = to->columns, *weights = to->weights;
  bool fits = true;
  for (size_t i = 0; i < d; i++) {
    fits = fits && fabs(map->shift[i]) <= (double)FLT_MAX;
    columns[i] = fits ? (float)map->shift[i] : 0.0f;
    columns[d + i] = (float)(map->shift[i] - (double)columns[i]);
  }
  for (size_t j = 0; j < k && fits; j++) {
    for (size_t i = 0; i < d; i++) {
      double weight = map->components[j * d + i] / map->scale[i];
      fits = fits && fabs(weight) <= (double)FLT_MAX;
      weights[i * stride + j] = fits ? (float)weight : 0.0f;
    }
  }
  return fits;
}

/* *fits: the map can be had in the device's numbers, and has gone up. */
static pmn_status map_upload(
    pmn_ocl_launch *l, pmn_ocl_device *device, const pmn_linear_map *map, size_t stride, bool *fits, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t d = (size_t)map->d, scalar = device->fp64 ? sizeof(double) : sizeof(float);
  packed to = {.columns = pmn_alloc(2 * d, scalar), .weights = pmn_calloc(d * stride, scalar)};
  *fits = true;
  if (to.columns == NULL || to.weights == NULL) {
    st = pmn_err_memory(err, d * (stride + 2) * scalar, "a projection");
    goto done;
  }
  if (device->fp64)
    pack_wide(map, stride, &to);
  else
    *fits = pack_narrow(map, stride, &to);
  if (!*fits) goto done;
  PMN_TRY(pmn_ocl_buffer_create(device, d * stride, scalar, to.weights, "a projection", &l->weights, err));
  PMN_TRY(pmn_ocl_buffer_create(device, 2 * d, scalar, to.columns, "a projection", &l->bias, err));
done:
  pmn_free(to.columns);
  pmn_free(to.weights);
  return st;
}

pmn_status pmn_ocl_project_init(pmn_ocl_launch *l, pmn_ocl_device *device, const pmn_linear_map *map, cl_mem features,
    size_t at, cl_mem rows, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_ocl_family *family = device->family;
  size_t groups = ((size_t)map->k + family->components - 1) / family->components, stride = groups * family->components;
  size_t scalar = device->fp64 ? sizeof(double) : sizeof(float), bytes;
  bool fits =
      stride <= INT32_MAX && pmn_size_mul((size_t)map->d * stride, scalar, &bytes) && bytes <= device->buffer_bytes_max;
  pmn_ocl_kernel_id id = device->fp64 ? PMN_OCL_PROJECT : PMN_OCL_PROJECT_NARROW;
  if (fits) PMN_TRY(map_upload(l, device, map, stride, &fits, err));
  if (!fits) goto done;
  PMN_TRY(pmn_ocl_kernel_create(device, id, PMN_ACTIVATION_NONE, NULL, &l->kernel, err));
  const struct {
    size_t size;
    const void *value;
  } arguments[] = {{sizeof features, &features}, {sizeof(cl_ulong), &(cl_ulong){at}}, {sizeof l->bias, &l->bias},
      {sizeof l->weights, &l->weights}, {sizeof rows, &rows}, {sizeof(cl_int), &map->d}, {sizeof(cl_int), &map->k},
      {sizeof(cl_int), &(cl_int){(cl_int)stride}}};
  for (cl_uint i = 0; i < sizeof arguments / sizeof *arguments; i++) {
    PMN_OCL_TRY(
        device, clSetKernelArg(l->kernel, i, arguments[i].size, arguments[i].value), "setting up a projection", err);
  }
  *l = (pmn_ocl_launch){.kernel = l->kernel,
      .weights = l->weights,
      .bias = l->bias,
      .global = {groups * family->pixel_local, 1, 1},
      .local = {family->pixel_local, 1, 1},
      .n_dimension = 1,
      .n_units = 1,
      .n_group = 1};
done:
  return st;
}
