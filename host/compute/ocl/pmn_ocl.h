/* pmn_ocl.h - what the files of the OpenCL backend share. Private to host/compute/ocl.
 *
 * A device is one cl_device_id with a context and two in-order queues of its own, one that computes and one that brings
 * pictures up meanwhile; kernels are built when the first network needs them and live as long as the device. Every
 * OpenCL call is checked; nothing is retried.
 */
#ifndef PMN_OCL_H
#define PMN_OCL_H

#include "pmn_backends.h"

#include <CL/cl.h>

/* A file of kernels/, embedded at build time. */
typedef struct pmn_ocl_source {
  const char *name; /* of the file without .cl; its kernel is pmn_<name>. "common.clh" stands in front of all others */
  const char *text;
  size_t size;
} pmn_ocl_source;

extern const pmn_ocl_source pmn_ocl_sources[];
extern const size_t pmn_ocl_source_count;

/* One kernel with its tunables. */
typedef enum pmn_ocl_kernel_id {
  PMN_OCL_CONV2D,
  PMN_OCL_CONV2D_BYTES,  /* reads u8 */
  PMN_OCL_CONV2D_TENSOR, /* on tensor cores */
  PMN_OCL_DEPTHWISE_CONV2D,
  PMN_OCL_INVERTED_RESIDUAL,
  PMN_OCL_GLOBAL_AVERAGE_POOL,
  PMN_OCL_MAX_POOL,
  PMN_OCL_AVERAGE_POOL,
  PMN_OCL_MULTIPLY,
  PMN_OCL_COPY,
  PMN_OCL_SOFTMAX,
  PMN_OCL_LRN,
  PMN_OCL_LAYER_NORM,
  PMN_OCL_RESIZE,
  PMN_OCL_PROJECT,
  PMN_OCL_PROJECT_NARROW, /* where there is no fp64 */
  PMN_OCL_NARROW,         /* an input of floats becomes halves */
  PMN_OCL_WIDEN,          /* an output of halves becomes floats */
  PMN_OCL_ORB_SHRINK,     /* the first of ORB's */
  PMN_OCL_ORB_FAST,
  PMN_OCL_ORB_PEAKS,
  PMN_OCL_ORB_LEAST,
  PMN_OCL_ORB_LIST,
  PMN_OCL_ORB_HARRIS,
  PMN_OCL_ORB_MOMENTS,
  PMN_OCL_ORB_BLUR,
  PMN_OCL_ORB_BITS, /* the last of ORB's */
  PMN_OCL_SIFT_ENLARGE,
  PMN_OCL_SIFT_BLUR_COLUMNS,
  PMN_OCL_SIFT_BLUR_ROWS,
  PMN_OCL_SIFT_HALVE,
  PMN_OCL_SIFT_EXTREMES,
  PMN_OCL_SIFT_DIRECTIONS,
  PMN_OCL_SIFT_DESCRIBE,
  PMN_OCL_RESAMPLE_PASS,
  PMN_OCL_RESAMPLE_NEAREST,
  PMN_OCL_KERNEL_COUNT
} pmn_ocl_kernel_id;

/* How the work of a convolution is cut; what the numbers are depends on the kernel (pmn_ocl_tuning.h), and is 0 where
 * it has fewer. The host packs and launches by these numbers and gives them to the compiler, so that both sides cannot
 * disagree. */
enum { PMN_OCL_TUNABLES = 5 };
typedef struct pmn_ocl_tuning {
  int32_t values[PMN_OCL_TUNABLES];
} pmn_ocl_tuning;

/* Kernels for one kind of processor. */
typedef struct pmn_ocl_family {
  const char *name;
  bool tiled;           /* conv2d_tile or conv2d_vector */
  bool tensor;          /* and conv2d_tensor where that can be; computes in fp16 alone */
  size_t line_local;    /* work-groups of the global pool, along dimension 0 */
  size_t element_local; /* of kernels whose work-items are elements of the output, along dimension 0 */
  size_t pixel_local;   /* of kernels whose work-groups are pixels, and of the projection */
  size_t components;    /* of a projection's work-group */
  struct {
    const char *source, *options;
    const char *header; /* a .clh between common and source, or NULL */
    bool rounded;       /* divisions and roots are IEEE's, where the device can */
  } kernels[PMN_OCL_KERNEL_COUNT];
} pmn_ocl_family;

typedef struct pmn_ocl_device {
  pmn_device base;
  cl_device_id id;
  cl_context context;
  cl_command_queue queue;   /* computes, and brings results down */
  cl_command_queue uploads; /* of pictures, for batches whose turn comes later */
  const pmn_ocl_family *family;
  bool fp64, blas_used;
  bool ptx;                                    /* its compiler takes NVIDIA's instructions, of compute capability 8.0 */
  bool rounds;                                 /* divisions and roots of fp32 as IEEE has them, if asked to */
  bool hosted;                                 /* its buffers are taken from the host's memory */
  cl_ulong buffer_bytes_max;                   /* of one buffer */
  size_t group_max, local_max[3], local_bytes; /* work-items of a group, along each dimension; its local memory */
  struct pmn_ocl_built *built;                 /* programs; grows */
  bool trying;                                 /* what is built now is not kept in the cache folder */
  struct pmn_ocl_tuned *tuned;                 /* what was measured; NULL: nothing */
  int32_t tuned_count;
} pmn_ocl_device;

/* Questions of cl_nv_device_attribute_query; drivers that are not NVIDIA's refuse them. Answers are cl_uint. */
enum { PMN_OCL_CAPABILITY_MAJOR = 0x4000, PMN_OCL_CAPABILITY_MINOR = 0x4001, PMN_OCL_WARP_SIZE = 0x4003 };

/* ------------------------------------------------------------------------------------------- pmn_ocl_error.c -- */

/* "CL_OUT_OF_RESOURCES" for cl_int and CLBlast codes; "unknown error" for others. */
const char *pmn_ocl_error_name(int32_t code);
/* PMN_STATUS_NO_MEMORY for codes that say memory ran out, else PMN_STATUS_DEVICE; "device: what failed: NAME (code)".
 */
pmn_status pmn_ocl_error_set(const pmn_ocl_device *device, int32_t code, const char *what, pmn_err *err);

/* code must be an expression of cl_int; device a pmn_ocl_device *. */
#define PMN_OCL_TRY(device, code, what, err)                                                                           \
  do {                                                                                                                 \
    cl_int pmn_ocl_code = (code);                                                                                      \
    if (pmn_ocl_code != CL_SUCCESS) PMN_TRY(pmn_ocl_error_set((device), pmn_ocl_code, (what), (err)));                 \
  } while (0)

/* ----------------------------------------------------------------------------------------- pmn_ocl_program.c -- */

/* The family by name, or the one for a type of device when name is NULL; NULL for an unknown name. */
const pmn_ocl_family *pmn_ocl_family_find(const char *name, pmn_device_type type);
/* SHA-256 of a family's kernels and their options. */
PMN_MUST_USE pmn_status pmn_ocl_sources_hash(
    const pmn_ocl_family *family, pmn_precision precision, char hex[65], pmn_err *err);
/* A new kernel object (clReleaseKernel) of the device's family; builds its program, or loads it from the cache, the
 * first time. Activation and tunables (" -DNAME=VALUE"..., or NULL) are compiled into it. */
PMN_MUST_USE pmn_status pmn_ocl_kernel_create(pmn_ocl_device *device, pmn_ocl_kernel_id id, pmn_activation activation,
    const char *tunables, cl_kernel *kernel, pmn_err *err);
enum { PMN_OCL_TUNABLES_TEXT = 384 }; /* bytes of them, at most */
/* Releases all programs. */
void pmn_ocl_programs_reset(pmn_ocl_device *device);

/* ------------------------------------------------------------------------------------------- pmn_ocl_block.c -- */

/* An inverted residual as one launch of pmn_inverted_residual, and how its work is cut; the kernel's head explains. */
typedef struct pmn_ocl_block {
  const pmn_op *expand, *depthwise, *project; /* expand is NULL where there is none */
  int32_t in_c, wide_c, out_c, out_padded;    /* channels; out_padded is filled up to whole fours */
  size_t width;                               /* bytes of a number in memory */
  int32_t tile_h, tile_w, chunk, item_m, sums;
} pmn_ocl_block;

/* How many operations from ops[index] on the device runs as one launch: those of a block, which is filled in, or 1. */
int32_t pmn_ocl_block_find(
    const pmn_ocl_device *device, const pmn_program *program, int32_t index, pmn_ocl_block *block);
/* Local memory that its kernel takes; INT64_MAX for windows that are out of the question. */
int64_t pmn_ocl_block_local_bytes(const pmn_ocl_block *block);
/* Work-items of a group, and what the kernel is compiled with. */
enum { PMN_OCL_BLOCK_ITEMS = 256 };
void pmn_ocl_block_options(const pmn_ocl_block *block, char options[PMN_OCL_TUNABLES_TEXT]);
/* Weights and bias as the kernel wants them. */
PMN_MUST_USE pmn_status pmn_ocl_block_upload(
    const pmn_ocl_block *block, pmn_ocl_device *device, cl_mem *weights, cl_mem *bias, pmn_err *err);

/* -------------------------------------------------------------------------------------------- pmn_ocl_half.c -- */

#define PMN_OCL_HALF_MAX 65504.0f

/* The bits of the nearest half, ties to even; |value| <= PMN_OCL_HALF_MAX. */
uint16_t pmn_ocl_half_round(float value);
/* Bytes of a number of a tensor, or of a convolution's weights: 4, with fp16 2. */
size_t pmn_ocl_width(const pmn_ocl_device *device);
/* PMN_STATUS_MODEL, with the layer's name, for weights that cannot be stored so. */
PMN_MUST_USE pmn_status pmn_ocl_weights_check(
    const pmn_ocl_device *device, const char *name, const float *weights, size_t count, pmn_err *err);
/* A buffer of a convolution's weights, rounded if need be. Errors as above, and those of pmn_ocl_buffer_create. */
PMN_MUST_USE pmn_status pmn_ocl_weights_create(
    pmn_ocl_device *device, const char *name, const float *weights, size_t count, cl_mem *buffer, pmn_err *err);

/* ------------------------------------------------------------------------------------------ pmn_ocl_launch.c -- */

/* Where the tensors of a batch are, but for the program's input: in the arena tensor t begins at arena_offset * slice,
 * its pictures one after the other. Offsets and sizes count numbers of `width` bytes; with fp16, behind the program's
 * arena, lie the input as halves, if it is of floats, and the output as floats. */
typedef struct pmn_ocl_batch {
  pmn_ocl_device *device;
  const pmn_program *program; /* only while a network is made */
  cl_mem arena;
  int32_t slice;                          /* pictures it holds */
  const pmn_ocl_tuning *tuning;           /* of every convolution; NULL: what suits each */
  size_t width;                           /* 4, or with fp16 2 */
  bool narrowed;                          /* the input is read as halves, at input_at */
  size_t input_at, output_at, arena_size; /* of one picture; output_at is where it comes down from, as floats */
} pmn_ocl_batch;

/* One operation, its arguments set but for the pictures and their number. */
typedef struct pmn_ocl_launch {
  cl_kernel kernel;
  cl_mem weights, bias;
  size_t global[3], local[3];
  /* Dimension n_dimension of the global size holds as many groups as n * n_units need at n_group each. */
  size_t n_dimension, n_units, n_group;
  bool takes_n; /* the last argument is the number of pictures */
  cl_uint n_argument;
  cl_uint inputs[3]; /* arguments that are the program's input */
  int32_t input_count;
} pmn_ocl_launch;

/* The bias of a convolution with +0 for -0. A kernel that adds the +0 of what lies outside a picture or past the end of
 * a sum makes +0 of a -0 that underflow has left; behind a bias that is never -0 nobody can tell, and all kernels and
 * tiles give the same bits. */
void pmn_ocl_bias_copy(const float *bias, size_t count, float *to);
/* The kernel that an operation takes. */
pmn_ocl_kernel_id pmn_ocl_launch_kernel(const pmn_ocl_device *device, const pmn_program *program, const pmn_op *op);
/* The launch must be zero; it may be reset after an error. */
PMN_MUST_USE pmn_status pmn_ocl_launch_init(
    pmn_ocl_launch *launch, const pmn_ocl_batch *batch, const pmn_op *op, pmn_err *err);
/* A block's operations as one launch; see pmn_ocl_block.c. */
PMN_MUST_USE pmn_status pmn_ocl_launch_init_block(
    pmn_ocl_launch *launch, const pmn_ocl_batch *batch, const pmn_ocl_block *block, pmn_err *err);
/* With fp16: the input narrowed (PMN_OCL_NARROW), or the output widened (PMN_OCL_WIDEN). Otherwise the same. */
PMN_MUST_USE pmn_status pmn_ocl_launch_convert(
    pmn_ocl_launch *launch, const pmn_ocl_batch *batch, pmn_ocl_kernel_id id, pmn_err *err);
/* Enqueues it for n pictures of `input` on the device's queue. */
PMN_MUST_USE pmn_status pmn_ocl_launch_run(
    const pmn_ocl_launch *launch, const pmn_ocl_device *device, cl_mem input, int32_t n, pmn_err *err);
/* The same on any queue of the device, with an event (clReleaseEvent) if that is not NULL. */
PMN_MUST_USE pmn_status pmn_ocl_launch_enqueue(const pmn_ocl_launch *launch, const pmn_ocl_device *device,
    cl_command_queue queue, cl_mem input, int32_t n, cl_event *event, pmn_err *err);
void pmn_ocl_launch_reset(pmn_ocl_launch *launch);

/* ----------------------------------------------------------------------------------------- pmn_ocl_project.c -- */

/* The projection of features, which begin at features[at], into rows [map->k + 1], a buffer for as many pictures as are
 * run: pmn_network_project. launch->kernel stays NULL if it is not taken. The launch must be zero; it may be reset
 * after an error. */
PMN_MUST_USE pmn_status pmn_ocl_project_init(pmn_ocl_launch *launch, pmn_ocl_device *device, const pmn_linear_map *map,
    cl_mem features, size_t at, cl_mem rows, pmn_err *err);

/* ------------------------------------------------------------------------------------------- pmn_ocl_plan.c -- */

/* A program as it is launched. */
typedef struct pmn_ocl_plan {
  pmn_program program; /* with tensors where they live when blocks are fused; what is left out of it has no place */
  pmn_tensor *tensors; /* [tensor_count] */
  int32_t *lengths;    /* [op_count]: how many operations the launch that begins with each has; 0 for none begins */
  int32_t launch_count;
} pmn_ocl_plan;

/* The program is borrowed for the plan's life. PMN_STATUS_NO_MEMORY. */
PMN_MUST_USE pmn_status pmn_ocl_plan_init(
    pmn_ocl_plan *plan, const pmn_ocl_device *device, const pmn_program *program, pmn_err *err);
void pmn_ocl_plan_reset(pmn_ocl_plan *plan);

/* ----------------------------------------------------------------------- pmn_ocl_network.c, pmn_ocl_tune.c,
 * pmn_ocl_blas.c -- */

/* A buffer of `count` elements of `size` bytes, at least one, filled from host memory if that is not NULL.
 * PMN_STATUS_NO_MEMORY when the device does not allow one so large. */
PMN_MUST_USE pmn_status pmn_ocl_buffer_create(pmn_ocl_device *device, size_t count, size_t size, const void *host,
    const char *what, cl_mem *buffer, pmn_err *err);

pmn_status pmn_ocl_network_create(
    pmn_device *device, const pmn_program *program, int32_t batch_max, pmn_network **network, pmn_err *err);
pmn_status pmn_ocl_network_run(pmn_network *network, const void *input, int32_t n, float *output, pmn_err *err);
enum { PMN_OCL_SLOTS = 3 }; /* one is filled, one computed, one on its way up or waiting to be collected */
pmn_status pmn_ocl_network_input(pmn_network *network, int32_t slot, void **input, pmn_err *err);
pmn_status pmn_ocl_network_submit(pmn_network *network, int32_t slot, int32_t n, pmn_err *err);
pmn_status pmn_ocl_network_resize(pmn_network *network, pmn_filter filter, bool *resizes, pmn_err *err);
pmn_status pmn_ocl_network_submit_pictures(
    pmn_network *network, int32_t slot, const pmn_picture_size *sizes, int32_t n, pmn_err *err);
pmn_status pmn_ocl_network_collect(pmn_network *network, int32_t slot, int32_t n, float *output, pmn_err *err);
pmn_status pmn_ocl_network_project(pmn_network *network, const pmn_linear_map *map, bool *taken, pmn_err *err);
void pmn_ocl_network_destroy(pmn_network *network);
/* Launches of a batch, or of a slice of it. */
int32_t pmn_ocl_network_launches(const pmn_network *network);

pmn_status pmn_ocl_tune(
    pmn_device *device, const pmn_program *program, int32_t batch, const pmn_tune_watch *watch, pmn_err *err);

pmn_status pmn_ocl_syrk(pmn_device *device, const double *x, int32_t n, int32_t d, double *c, pmn_err *err);
pmn_status pmn_ocl_gemm(
    pmn_device *device, const double *a, const double *b, int32_t n, int32_t k, int32_t m, double *y, pmn_err *err);
double pmn_ocl_syrk_bytes(const pmn_device *device, int32_t n, int32_t d);
double pmn_ocl_gemm_bytes(const pmn_device *device, int32_t n, int32_t k, int32_t m);

#endif
