/* pmn_ocl_describe.h - what SIFT and ORB share on a device. Private to host/compute/ocl.
 *
 * A batch is cut into slices whose buffers fit the device. The pictures of a slice lie in one buffer of bytes, one
 * after the other; a table says where each begins. The kernels of a kind go over all pictures of a slice at once,
 * dimension 2 being the picture, and put what they find into lists by atomic counters: in any order, so lists are
 * sorted on the host before anybody sees them. Buffers stay for the next batch and only grow.
 */
#ifndef PMN_OCL_DESCRIBE_H
#define PMN_OCL_DESCRIBE_H

#include "pmn_buf.h"
#include "pmn_ocl.h"

/* A buffer that grows; zeroed to begin with. */
typedef struct pmn_ocl_space {
  cl_mem buffer; /* NULL until it is needed */
  size_t bytes;
} pmn_ocl_space;

/* Room for count x size bytes; what was there is lost when it grows. */
PMN_MUST_USE pmn_status pmn_ocl_space_reserve(
    pmn_ocl_device *device, pmn_ocl_space *space, size_t count, size_t size, const char *what, pmn_err *err);
void pmn_ocl_space_reset(pmn_ocl_space *space);

/* A list that kernels append to: atomic_inc of the counter tells the place, and a place beyond the capacity is not
 * written. So a count above the capacity means: nothing is wrong but the room; reserve so much and run again. */
typedef struct pmn_ocl_list {
  pmn_ocl_space items, counter; /* cl_uint */
  cl_uint capacity;
} pmn_ocl_list;

/* Room for `capacity` items of `size` bytes, and an empty list. */
PMN_MUST_USE pmn_status pmn_ocl_list_begin(
    pmn_ocl_device *device, pmn_ocl_list *list, size_t capacity, size_t size, pmn_err *err);
/* How many were found; waits for the kernels. */
PMN_MUST_USE pmn_status pmn_ocl_list_count(
    pmn_ocl_device *device, const pmn_ocl_list *list, cl_uint *count, pmn_err *err);
void pmn_ocl_list_reset(pmn_ocl_list *list);

/* Copies between host and device; upload is done with `from` when it returns. */
PMN_MUST_USE pmn_status pmn_ocl_upload(pmn_ocl_device *device, const void *from, size_t bytes, cl_mem to, pmn_err *err);
PMN_MUST_USE pmn_status pmn_ocl_download(pmn_ocl_device *device, cl_mem from, size_t bytes, void *to, pmn_err *err);

typedef struct pmn_ocl_argument {
  size_t size;
  const void *value;
} pmn_ocl_argument;
#define PMN_OCL_ARGUMENT(x)                                                                                            \
  { sizeof(x), &(x) }

/* Enqueues a kernel for `items` work-items in groups of `local` each way; items are rounded up to whole groups. */
PMN_MUST_USE pmn_status pmn_ocl_start(pmn_ocl_device *device, cl_kernel kernel, const pmn_ocl_argument *arguments,
    cl_uint argument_count, const size_t items[3], const size_t local[3], pmn_err *err);

/* Where a picture begins in a buffer, in elements, and its size: struct pmn_plane of common.clh. */
typedef struct pmn_ocl_plane {
  cl_ulong offset;
  cl_int width, height;
} pmn_ocl_plane;

typedef struct pmn_ocl_slice {
  int32_t count;
  const pmn_ocl_plane *planes; /* [count] */
  int32_t width, height;       /* the largest of any picture */
  cl_mem gray;                 /* bytes of all pictures */
  cl_mem table;                /* the planes, on the device */
} pmn_ocl_slice;

/* What was found in the pictures of a batch so far. */
typedef struct pmn_ocl_answer {
  pmn_buf keypoints, descriptors;
  size_t descriptor_bytes;
  int32_t *counts; /* [pictures] */
  int32_t pictures, capacity;
} pmn_ocl_answer;

/* Those of the next picture, in the order of pmn_vision.h. */
PMN_MUST_USE pmn_status pmn_ocl_answer_add(
    pmn_ocl_answer *answer, const pmn_keypoint *keypoints, const uint8_t *descriptors, int32_t count, pmn_err *err);

typedef struct pmn_ocl_describer pmn_ocl_describer;

/* What SIFT or ORB is to pmn_ocl_describe.c. */
typedef struct pmn_ocl_describer_kind {
  /* A struct that begins with pmn_ocl_describer, which is filled in afterwards; kernels are built here. */
  pmn_status (*create)(pmn_ocl_device *device, int32_t keypoints_max, pmn_ocl_describer **describer, pmn_err *err);
  /* Bytes of the device that a picture of a slice takes beside its own. */
  double (*bytes)(int32_t width, int32_t height);
  /* Adds every picture of the slice to the answer. The queue may be left with work on an error. */
  pmn_status (*run)(pmn_ocl_describer *describer, const pmn_ocl_slice *slice, pmn_ocl_answer *answer, pmn_err *err);
  void (*destroy)(pmn_ocl_describer *describer); /* what create has made, the struct too */
} pmn_ocl_describer_kind;

/* Every kind's own struct begins with this. */
struct pmn_ocl_describer {
  pmn_device_describer base;
  const pmn_ocl_describer_kind *kind;
  pmn_ocl_device *device;
  int32_t keypoints_max; /* 0: the kind's default */
  pmn_ocl_space gray, table;
  pmn_buf bytes, planes; /* of a slice, on their way up */
  pmn_ocl_answer answer;
};

/* A kind that is not there yet is NULL in the table of pmn_ocl_describe.c. */
extern const pmn_ocl_describer_kind pmn_ocl_sift, pmn_ocl_orb;

/* The three entries of pmn_backend. */
pmn_status pmn_ocl_describer_create(pmn_device *device, pmn_descriptor_kind kind, int32_t keypoints_max,
    pmn_device_describer **describer, pmn_err *err);
pmn_status pmn_ocl_describer_run(pmn_device_describer *describer, const pmn_gray_picture *pictures, int32_t n,
    pmn_described *described, pmn_err *err);
void pmn_ocl_describer_destroy(pmn_device_describer *describer);

#endif
