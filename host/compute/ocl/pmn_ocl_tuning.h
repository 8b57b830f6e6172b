/* pmn_ocl_tuning.h - how the work of convolutions is cut, layer by layer. Private to host/compute/ocl.
 *
 * A tuning is the numbers that a kernel's source leaves open: sizes of tiles, pixels of a work-item. A layer gets the
 * one that `pomona tune` has measured best for its shape on this device, or else what a rule gives it. No tuning
 * changes a bit of any output: a sum runs over the same terms in the same order in all of them (see the kernels'
 * files), and one that did change bits on a device is not kept by the tuner. So nothing that runs later needs to know
 * which was taken.
 */
#ifndef PMN_OCL_TUNING_H
#define PMN_OCL_TUNING_H

#include "pmn_ocl.h"

/* What pmn_ocl_tuning.values are. */
enum {
  PMN_OCL_TILE_M = 0, /* conv2d_tile: rows, columns and steps of a tile, rows and columns of a work-item */
  PMN_OCL_TILE_N,
  PMN_OCL_TILE_K,
  PMN_OCL_ITEM_M,
  PMN_OCL_ITEM_N,
  PMN_OCL_WARPS_M = PMN_OCL_ITEM_M, /* conv2d_tensor: the same of a tile; warps of a group */
  PMN_OCL_WARPS_N = PMN_OCL_ITEM_N,
  PMN_OCL_PIXELS = 0, /* conv2d_vector: pixels that share a load of weights, blocks of those of a work-item */
  PMN_OCL_BLOCKS,
  PMN_OCL_VECTOR = 0, /* depthwise_conv2d_...: channels and pixels of a work-item, work-items of a group */
  PMN_OCL_COLUMNS,
  PMN_OCL_LOCAL,
};

/* A layer that a tuning is for, and the pictures it runs on together. */
typedef struct pmn_ocl_layer {
  pmn_ocl_kernel_id kernel;
  const pmn_op *op;
  const pmn_tensor *in, *out;
  int32_t n;
} pmn_ocl_layer;

/* What tells layers apart by which the same tuning may be differently fast: kernel, activation, height, width and
 * channels of input and output, kernel, stride, dilation, groups. */
enum { PMN_OCL_SHAPE_NUMBERS = 15 };
typedef struct pmn_ocl_shape {
  int32_t numbers[PMN_OCL_SHAPE_NUMBERS];
} pmn_ocl_shape;

/* ------------------------------------------------------------------------------------------ pmn_ocl_tuning.c -- */

/* Has the kernel tunings? The functions below are for those that have. */
bool pmn_ocl_kernel_tunes(pmn_ocl_kernel_id kernel);
pmn_ocl_shape pmn_ocl_shape_of(const pmn_ocl_layer *layer);
/* "3x3/2 112x112x32 -> 56x56x64, groups 2, dilation 2x2, bytes": for people. */
void pmn_ocl_shape_print(const pmn_ocl_layer *layer, char *text, size_t size);

/* All tunings that are tried, or taken from a file. */
const pmn_ocl_tuning *pmn_ocl_tuning_table(const pmn_ocl_device *device, pmn_ocl_kernel_id kernel, size_t *count);
/* Work-items of a group, along both dimensions; bytes of local memory. */
void pmn_ocl_tuning_local(const pmn_ocl_device *device, pmn_ocl_kernel_id kernel, const pmn_ocl_tuning *tuning,
    size_t local[2], size_t *bytes);
bool pmn_ocl_tuning_fits(const pmn_ocl_device *device, pmn_ocl_kernel_id kernel, const pmn_ocl_tuning *tuning);
bool pmn_ocl_tuning_same(const pmn_ocl_tuning *a, const pmn_ocl_tuning *b);
/* " -DPMN_PIXELS=6 -DPMN_BLOCKS=4": what the compiler is told, of the layer too. */
void pmn_ocl_tuning_options(
    const pmn_ocl_device *device, const pmn_ocl_layer *layer, const pmn_ocl_tuning *tuning, char *text, size_t size);
/* "pixels 6, blocks 4": for people. */
void pmn_ocl_tuning_print(
    const pmn_ocl_device *device, pmn_ocl_kernel_id kernel, const pmn_ocl_tuning *tuning, char *text, size_t size);

/* Takes channels of a work-item back to as many as divide the layer's, where its kernel wants that. */
void pmn_ocl_tuning_adapt(const pmn_ocl_device *device, const pmn_ocl_layer *layer, pmn_ocl_tuning *tuning);

/* The default, from the shape and the device alone. */
pmn_ocl_tuning pmn_ocl_tuning_rule(const pmn_ocl_device *device, const pmn_ocl_layer *layer);
/* What was measured, else the default. */
pmn_ocl_tuning pmn_ocl_tuning_choose(const pmn_ocl_device *device, const pmn_ocl_layer *layer);

/* ------------------------------------------------------------------------------------------- pmn_ocl_tuned.c -- */

typedef struct pmn_ocl_tuned {
  pmn_ocl_shape shape;
  pmn_ocl_tuning tuning;
} pmn_ocl_tuned;

/* Reads what was measured on this device with this driver and these kernels. A file that is missing, damaged, another
 * device's or out of range is as good as none. */
void pmn_ocl_tuned_load(pmn_ocl_device *device);
/* NULL: nothing better than the default is known. */
const pmn_ocl_tuning *pmn_ocl_tuned_find(const pmn_ocl_device *device, const pmn_ocl_shape *shape);
/* Remembers a shape's tuning, or with NULL forgets it, in the device and in the file. PMN_STATUS_NOT_FOUND (no cache
 * folder), PMN_STATUS_WRITE, PMN_STATUS_NO_MEMORY. */
PMN_MUST_USE pmn_status pmn_ocl_tuned_keep(
    pmn_ocl_device *device, const pmn_ocl_shape *shape, const pmn_ocl_tuning *tuning, pmn_err *err);
void pmn_ocl_tuned_reset(pmn_ocl_device *device);

#endif
