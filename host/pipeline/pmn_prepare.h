/* pmn_prepare.h - what becomes of a decoded picture before a batch takes it: the work that every picture needs alone,
 * done on the threads of the feed. */
#ifndef PMN_PREPARE_H
#define PMN_PREPARE_H

#include "pmn_backend.h"
#include "pmn_buf.h"
#include "pmn_image.h"
#include "pmn_vision.h"

typedef enum pmn_prepare_kind {
  PMN_PREPARE_RGB,      /* [height, width, 3] bytes, resized */
  PMN_PREPARE_RAW,      /* the same as it is, if pmn_resample_takes_raw, else resized: see pmn_prepared_rgb */
  PMN_PREPARE_GRAY,     /* [height, width] bytes, grey first and then resized */
  PMN_PREPARE_DESCRIBE, /* keypoints of the grey picture and their descriptors: see pmn_prepared_view */
  PMN_PREPARE_PLAIN     /* the grey picture that would have been described: see pmn_prepared_gray */
} pmn_prepare_kind;

enum { PMN_PREPARE_SIDE_MAX = 8192 };

typedef struct pmn_prepare_options {
  pmn_prepare_kind kind;
  pmn_filter filter;
  int32_t width, height; /* pixels, to PMN_PREPARE_SIDE_MAX; 0: as it is, to be described only */
  pmn_descriptor_kind descriptor;
  int32_t keypoints_max;
  int64_t memory;  /* bytes that describing may take: a picture that wants more is refused, wherever it is described */
  int32_t threads; /* that prepare at once: who wants much of it, does so alone */
} pmn_prepare_options;

/* Bytes of a prepared picture, at most; 0 of one that stays as it is. */
size_t pmn_prepare_bytes(const pmn_prepare_options *options);

/* What PMN_PREPARE_DESCRIBE has made of a picture; views into `data`. */
pmn_described pmn_prepared_view(const pmn_prepare_options *options, const void *data, size_t size);

/* What PMN_PREPARE_RAW has made of it; a view into `data`. */
pmn_image pmn_prepared_rgb(const void *data);

/* What PMN_PREPARE_PLAIN has made of it; a view into `data`. */
pmn_gray_picture pmn_prepared_gray(const void *data);

typedef struct pmn_preparer pmn_preparer; /* one thread at a time */

PMN_MUST_USE pmn_status pmn_preparer_create(const pmn_prepare_options *options, pmn_preparer **preparer, pmn_err *err);
void pmn_preparer_destroy(pmn_preparer *preparer); /* NULL is fine */
/* *stage names what failed, if something did, as the list of rejects has it. */
PMN_MUST_USE pmn_status pmn_preparer_run(
    pmn_preparer *preparer, const pmn_image *image, pmn_buf *out, const char **stage, pmn_err *err);

#endif
