/* pmn_backend.h - the one door to everything that computes.
 *
 * Three backends stand behind it: `ref` (plain loops, sums in fp64: the judge, never optimised), `cpu` and `opencl`. A
 * backend is a table of functions; pmn_device, pmn_network and pmn_device_describer are its own opaque structs. Callers
 * use the functions below, which dispatch through the table.
 *
 * Promise of every backend: on one device the features and descriptors of a picture are the same bits whatever the
 * batch size, the number of threads or the neighbours in the batch.
 */
#ifndef PMN_BACKEND_H
#define PMN_BACKEND_H

#include "pmn_err.h"
#include "pmn_program.h"
#include "pmn_resample_rules.h"
#include "pmn_vision.h"

#include <pthread.h>

/* A device that was opened, a program compiled for it, and what finds keypoints on it. Any number of threads may run
 * networks, products and describers on one device: a call waits for those before it. One thread at a time opens,
 * creates and closes. */
typedef struct pmn_device pmn_device;
typedef struct pmn_network pmn_network;
typedef struct pmn_device_describer pmn_device_describer;

/* gray [height, width], dense; sides as of pmn_describer_run. */
typedef struct pmn_gray_picture {
  const uint8_t *gray;
  int32_t width, height;
} pmn_gray_picture;

/* Of a picture, pixels. */
typedef struct pmn_picture_size {
  int32_t width, height;
} pmn_picture_size;

/* What is rounded to fewer bits than fp32 has. Products, sums and everything else that is computed are fp32. */
typedef enum pmn_precision {
  PMN_PRECISION_FP32,
  PMN_PRECISION_BF16, /* factors of convolutions and dense layers, to 8 bits of significand; only cpu, and not every
                         processor */
  PMN_PRECISION_FP16, /* all that is stored between operations, and weights of convolutions and dense layers, to 11
                         bits of significand and 65504 at most; only opencl. A weight beyond is PMN_STATUS_MODEL, a
                         value becomes infinite */
  PMN_PRECISION_COUNT
} pmn_precision;
/* "fp32", which NULL means too, "bf16" or "fp16"; false, and fp32, for any other name. */
bool pmn_precision_find(const char *name, pmn_precision *precision);
const char *pmn_precision_name(pmn_precision precision);

typedef struct pmn_device_options {
  int32_t index;   /* of the backend's own list; -1: the first that fits (opencl: a GPU before anything else) */
  int32_t threads; /* cpu and ref: worker threads, at least 1 */
  bool gpu_only;   /* opencl, index -1: PMN_STATUS_DEVICE when there is no GPU */
  /* cpu: instruction set by name ("avx2", ...); opencl: kernels by name, "vector" (written for CPUs), "tile" (for
   * GPUs) or "tensor" (for their tensor cores, fp16 alone: PMN_STATUS_ARGUMENT without); NULL: what suits the device
   * best. PMN_STATUS_DEVICE for a name the device cannot run.
   * "" is NULL, whatever POMONA_ISA says to the cpu, and POMONA_KERNELS to opencl. */
  const char *isa;
  pmn_precision precision; /* PMN_STATUS_DEVICE where the device has not this one: nothing else is taken instead */
} pmn_device_options;

/* A saved fit for rows of d columns, as a network takes it in: y = components ((x - shift) / scale). shift [d]; scale
 * [d], not 0, infinite for a column that becomes 0; components [k, d], k and d 1 or more. */
typedef struct pmn_linear_map {
  int32_t d, k;
  const double *shift, *scale, *components;
} pmn_linear_map;
/* Who is told how tuning goes, and how it is ended. */
typedef struct pmn_tune_watch {
  void (*on_layer)(void *arg, const pmn_tuned_layer *layer); /* may be NULL, as may stop */
  void *arg;
  const volatile sig_atomic_t *stop;
} pmn_tune_watch;

typedef struct pmn_backend {
  const char *name;
  pmn_precision lower; /* that it has beside fp32, on some machine; `open` knows about this one; fp32: none */
  /* Up to `capacity` infos, their number in *count. A backend with no device gives 0 and PMN_STATUS_OK. */
  pmn_status (*devices)(pmn_device_info *list, int32_t capacity, int32_t *count, pmn_err *err);
  pmn_status (*open)(const pmn_device_options *options, pmn_device **device, pmn_err *err);
  void (*close)(pmn_device *device); /* not NULL */
  pmn_status (*network_create)(
      pmn_device *device, const pmn_program *program, int32_t batch_max, pmn_network **network, pmn_err *err);
  pmn_status (*network_run)(pmn_network *network, const void *input, int32_t n, float *output, pmn_err *err);
  /* Batches under way, arguments checked. slots 0: this backend runs a batch when it is collected, and has none of the
   * three. collect finds the device unlocked, and adds to network->seconds. */
  int32_t slots;
  pmn_status (*network_input)(pmn_network *network, int32_t slot, void **input, pmn_err *err);
  pmn_status (*network_submit)(pmn_network *network, int32_t slot, int32_t n, pmn_err *err);
  pmn_status (*network_collect)(pmn_network *network, int32_t slot, int32_t n, float *output, pmn_err *err);
  /* NULL: the networks of this backend do not project. */
  pmn_status (*network_project)(pmn_network *network, const pmn_linear_map *map, bool *taken, pmn_err *err);
  /* Both NULL: pictures are resized before they come. resize may leave *resizes as it is, false. */
  pmn_status (*network_resize)(pmn_network *network, pmn_filter filter, bool *resizes, pmn_err *err);
  pmn_status (*network_submit_pictures)(
      pmn_network *network, int32_t slot, const pmn_picture_size *sizes, int32_t n, pmn_err *err);
  void (*network_destroy)(pmn_network *network);                      /* not NULL; batches may be under way */
  void (*network_times)(const pmn_network *network, double *seconds); /* NULL: this backend does not tell */
  pmn_status (*tune)(pmn_device *device, const pmn_program *program, int32_t batch, const pmn_tune_watch *watch,
      pmn_err *err); /* NULL: there is nothing to tune */
  pmn_status (*syrk)(pmn_device *device, const double *x, int32_t n, int32_t d, double *c, pmn_err *err);
  pmn_status (*gemm)(
      pmn_device *device, const double *a, const double *b, int32_t n, int32_t k, int32_t m, double *y, pmn_err *err);
  /* What the two take of the host's memory beside their arguments; NULL: nothing to speak of. */
  double (*syrk_bytes)(const pmn_device *device, int32_t n, int32_t d);
  double (*gemm_bytes)(const pmn_device *device, int32_t n, int32_t k, int32_t m);
  /* All three NULL: this backend has none. create may leave NULL for a kind that it does not describe. */
  pmn_status (*describer_create)(pmn_device *device, pmn_descriptor_kind kind, int32_t keypoints_max,
      pmn_device_describer **describer, pmn_err *err);
  pmn_status (*describer_run)(pmn_device_describer *describer, const pmn_gray_picture *pictures, int32_t n,
      pmn_described *described, pmn_err *err);
  void (*describer_destroy)(pmn_device_describer *describer); /* not NULL */
} pmn_backend;

/* Every backend's own structs begin with these, so that the calls below find their way. */
struct pmn_device {
  const pmn_backend *backend;
  pmn_device_info info; /* what was opened, for the record */
  pmn_precision precision;
  char kernels_hash[65]; /* SHA-256 of kernels compiled at run time and their options; "" if there are none */
  pthread_mutex_t lock;  /* held by the call under way; a backend finds it locked, or is alone */
};
enum { PMN_NETWORK_SLOTS_MAX = 4 };
struct pmn_network { /* set by pmn_network_create once the backend has made the rest */
  pmn_device *device;
  int32_t batch_max;
  size_t picture_bytes;                     /* of the input */
  bool resizes;                             /* see pmn_network_resize */
  void *inputs[PMN_NETWORK_SLOTS_MAX];      /* NULL until asked for */
  int32_t under_way[PMN_NETWORK_SLOTS_MAX]; /* pictures of the batch in each slot; 0: none */
  double seconds;                           /* see pmn_network_seconds */
};
struct pmn_device_describer {
  pmn_device *device; /* set by pmn_device_describer_create */
};

/* "ref", "cpu" or "opencl"; NULL for any other name. */
const pmn_backend *pmn_backend_find(const char *name);
/* The one that has a precision that is not fp32. */
const pmn_backend *pmn_backend_of_precision(pmn_precision precision);

/* Opens a device. PMN_STATUS_DEVICE when there is none such, with a message that says what there is. */
PMN_MUST_USE pmn_status pmn_device_open(
    const pmn_backend *backend, const pmn_device_options *options, pmn_device **device, pmn_err *err);
/* NULL is fine. Networks of the device must be destroyed before. */
void pmn_device_close(pmn_device *device);

/* Compiles a program for batches of up to batch_max pictures. The program and its weights are borrowed for the call
 * only. Errors: PMN_STATUS_ARGUMENT (a program that contradicts itself), PMN_STATUS_MODEL (weights that the precision
 * does not hold), PMN_STATUS_DEVICE, PMN_STATUS_NO_MEMORY. */
PMN_MUST_USE pmn_status pmn_network_create(
    pmn_device *device, const pmn_program *program, int32_t batch_max, pmn_network **network, pmn_err *err);
/* input [n, h, w, c], u8 or f32 as the program says; output [n, h', w', c'] f32, the program's output tensor; both
 * dense host memory, borrowed for the call. 1 <= n <= batch_max. */
PMN_MUST_USE pmn_status pmn_network_run(
    pmn_network *network, const void *input, int32_t n, float *output, pmn_err *err);

/* Batches in slots, for a caller that fills one while others are computed; one thread at a time, of a network.
 *   slot  0 <= slot < pmn_network_slots(network), at least one; a backend that does nothing beside its caller has one
 * The memory of a slot is the network's own: input [batch_max, h, w, c], made when it is first asked for, valid until
 * the network is destroyed, and pinned where the device copies it. It may be written while no batch of the slot is
 * under way. submit begins with its first n pictures, 1 <= n <= batch_max, and does not wait; collect waits for them
 * and gives their rows, the same bits as pmn_network_run's. Whatever collect returns, the slot is free again; and so it
 * is when submit fails. Errors: PMN_STATUS_ARGUMENT (no such slot, a batch is under way in it, or there is none to be
 * collected), PMN_STATUS_NO_MEMORY, PMN_STATUS_DEVICE. */
int32_t pmn_network_slots(const pmn_network *network);
PMN_MUST_USE pmn_status pmn_network_input(pmn_network *network, int32_t slot, void **input, pmn_err *err);
PMN_MUST_USE pmn_status pmn_network_submit(pmn_network *network, int32_t slot, int32_t n, pmn_err *err);
PMN_MUST_USE pmn_status pmn_network_collect(pmn_network *network, int32_t slot, float *output, pmn_err *err);
/* Pictures that the device resizes, to the bits of pmn_resampler: asks whether it does, before the memory of any slot
 * is asked for. *resizes false: everything stays as it is. Else the memory of a slot is for the pixels of pictures of
 * any sizes for which pmn_resample_takes_raw, RGB, one after the other: PMN_RAW_PIXELS times as much. submit_pictures
 * begins with n of them; sizes [n]. submit and run are there still, for pictures as the network sees them. opencl does
 * it on GPUs, whose host has enough to do with decoding, and for networks of colour pictures in bytes;
 * POMONA_RESIZE=device makes all devices do it, POMONA_RESIZE=host none: for tests, and to compare.
 * Errors: PMN_STATUS_ARGUMENT (a size, or POMONA_RESIZE is neither; see above), PMN_STATUS_NO_MEMORY,
 * PMN_STATUS_DEVICE. */
PMN_MUST_USE pmn_status pmn_network_resize(pmn_network *network, pmn_filter filter, bool *resizes, pmn_err *err);
PMN_MUST_USE pmn_status pmn_network_submit_pictures(
    pmn_network *network, int32_t slot, const pmn_picture_size *sizes, int32_t n, pmn_err *err);
/* Seconds that the device has worked on this network's batches, those under way left out. Where it works beside its
 * host they are those of the device's own clock. */
double pmn_network_seconds(const pmn_network *network);

/* Once *taken, the device puts every picture's features through the map, and rows of the output are [k + 1]: y, rounded
 * to fp32 at the end and infinite where that ends, then 1 if a feature is NaN or infinite (y is undefined then), else
 * 0. fp64 accuracy where the device has fp64, else fp32 with an error bound (kernels/project.cl). Not taken: the
 * backend cannot, or the map is too large or beyond the numbers of the device; nothing has changed. Once for a network;
 * the map is borrowed for the call. PMN_STATUS_ARGUMENT: d is not the size of the program's output, or a batch is under
 * way. */
PMN_MUST_USE pmn_status pmn_network_project(pmn_network *network, const pmn_linear_map *map, bool *taken, pmn_err *err);

void pmn_network_destroy(pmn_network *network); /* batches under way are lost; NULL is fine */
/* Seconds that each operation of the program took in all runs so far, of all threads together, in seconds [op_count];
 * an operation that was fused with a later one has 0, the later one has the time of both. False: the backend does not
 * tell. */
bool pmn_network_times(const pmn_network *network, double *seconds);

/* Measures, for every shape of a program's convolutions, what of a few tens of ways to cut their work is fastest on
 * this device in batches of `batch` pictures, and keeps it in the cache folder, shape after shape: networks made later
 * on such a device, with the same driver, use it. Bits of outputs do not change. PMN_STATUS_ARGUMENT: the backend has
 * nothing to tune, the device is not of fp32, or as of pmn_network_create; PMN_STATUS_INTERRUPTED: what was finished is
 * kept; PMN_STATUS_NOT_FOUND (no cache folder), PMN_STATUS_WRITE, PMN_STATUS_DEVICE, PMN_STATUS_NO_MEMORY. */
PMN_MUST_USE pmn_status pmn_device_tune(
    pmn_device *device, const pmn_program *program, int32_t batch, const pmn_tune_watch *watch, pmn_err *err);

/* A describer of batches, keypoints_max as of pmn_describer_create; *describer is NULL when the device has none: then
 * the host's threads describe (pmn_vision.h). Keypoints and descriptors are those of pmn_describer_run, to the bit
 * where the device divides and takes roots as IEEE says. Errors: PMN_STATUS_ARGUMENT, PMN_STATUS_DEVICE,
 * PMN_STATUS_NO_MEMORY. */
PMN_MUST_USE pmn_status pmn_device_describer_create(pmn_device *device, pmn_descriptor_kind kind, int32_t keypoints_max,
    pmn_device_describer **describer, pmn_err *err);
/* described [n], views into the describer, valid until its next run. Pictures of any sizes together, n from 1: memory
 * is bounded, a batch that does not fit is cut. PMN_STATUS_ARGUMENT (size), PMN_STATUS_NO_MEMORY (a single picture that
 * does not fit the device), PMN_STATUS_DEVICE. */
PMN_MUST_USE pmn_status pmn_device_describer_run(pmn_device_describer *describer, const pmn_gray_picture *pictures,
    int32_t n, pmn_described *described, pmn_err *err);
void pmn_device_describer_destroy(pmn_device_describer *describer); /* before its device is closed; NULL is fine */

/* c += x' x for x [n, d] f64 row-major; c [d, d] f64 row-major, of which only the upper triangle (column >= row) is
 * read and written. Products and sums carry fp64 accuracy where the device has fp64; a device without it rounds x to
 * fp32 and sums at most 256 rows before adding to c. Same bits for the same x, n, d. */
PMN_MUST_USE pmn_status pmn_device_syrk(
    pmn_device *device, const double *x, int32_t n, int32_t d, double *c, pmn_err *err);
/* y = a b' for a [n, k], b [m, k], y [n, m], row-major, dense. fp64 as in pmn_device_syrk; a device without it rounds a
 * and b to fp32 and sums at most 256 products before adding to y. */
PMN_MUST_USE pmn_status pmn_device_gemm(
    pmn_device *device, const double *a, const double *b, int32_t n, int32_t k, int32_t m, double *y, pmn_err *err);
/* Bytes of the host's memory that a call takes beside its arguments: also what a device that has no memory of its own
 * takes. */
double pmn_device_syrk_bytes(const pmn_device *device, int32_t n, int32_t d);
double pmn_device_gemm_bytes(const pmn_device *device, int32_t n, int32_t k, int32_t m);

/* PMN_STATUS_ARGUMENT with the name of the layer when shapes, indices or lifetimes of a program contradict each other.
 * Every backend's network_create may rely on it: pmn_network_create calls it first. */
PMN_MUST_USE pmn_status pmn_program_check(const pmn_program *program, pmn_err *err);

#endif
