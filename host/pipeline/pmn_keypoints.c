/* pmn_keypoints.c - see pmn_keypoints.h. */
#include "pmn_keypoints.h"

#include "pmn_mem.h"

enum { GEOMETRY = 6 /* numbers of a keypoint before its descriptor */ };

struct pmn_keypoints {
  const pmn_run *run;
  pmn_sink *sink;
  int32_t bytes;      /* of a descriptor */
  float *rows;        /* [most, GEOMETRY + bytes] of a picture */
  const char **names; /* [2, most] keys, then labels */
};

pmn_status pmn_keypoints_create(const pmn_run *run, pmn_keypoints **keypoints, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_prepare_options *prepare = &run->maker->prepare;
  const char *path = run->options->save_keypoints;
  pmn_sink_options options = {.s3 = run->s3, .path = path, .overwrite = run->replaces};
  *keypoints = NULL;
  pmn_keypoints *self = pmn_calloc(1, sizeof *self);
  if (self == NULL) return pmn_err_memory(err, sizeof *self, "keypoints");
  if (!pmn_format_of_path(path, &options.format))
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s: the ending tells no format; use .csv, .parquet or .npy", path);
  self->run = run;
  self->bytes = pmn_descriptor_bytes(prepare->descriptor);
  options.width = GEOMETRY + self->bytes;
  size_t most = (size_t)prepare->keypoints_max;
  self->rows = pmn_alloc(most * (size_t)options.width, sizeof *self->rows);
  self->names = pmn_alloc(2 * most, sizeof *self->names);
  if (self->rows == NULL || self->names == NULL)
    PMN_TRY(pmn_err_memory(err, most * (size_t)options.width * sizeof *self->rows, "keypoints"));
  PMN_TRY(pmn_sink_create(&options, &self->sink, err));
  *keypoints = self;
  self = NULL;
done:
  pmn_keypoints_destroy(self);
  return st;
}

pmn_status pmn_keypoints_put(pmn_keypoints *keypoints, int64_t index, const pmn_described *described, pmn_err *err) {
  pmn_keypoints *self = keypoints;
  pmn_item item = pmn_listing_item(self->run->listing, index);
  pmn_described d = *described;
  const char **labels = self->names + d.count;
  float *to = self->rows;
  for (int32_t i = 0; i < d.count; i++) {
    const pmn_keypoint *k = &d.keypoints[i];
    const uint8_t *descriptor = d.descriptors + (size_t)i * (size_t)self->bytes;
    self->names[i] = item.key;
    labels[i] = item.label;
    *to++ = k->x;
    *to++ = k->y;
    *to++ = k->size;
    *to++ = k->angle;
    *to++ = k->response;
    *to++ = (float)k->octave;
    for (int32_t b = 0; b < self->bytes; b++) *to++ = descriptor[b];
  }
  pmn_row_block block = {.n = d.count, .keys = self->names, .labels = labels, .features = self->rows};
  return d.count > 0 ? pmn_sink_write(self->sink, &block, err) : PMN_STATUS_OK;
}

pmn_status pmn_keypoints_commit(pmn_keypoints *keypoints, const char *record, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  PMN_TRY(pmn_sink_seal(keypoints->sink, record, err));
  PMN_TRY(pmn_sink_commit(keypoints->sink, record, err));
done:
  return st;
}

void pmn_keypoints_destroy(pmn_keypoints *keypoints) {
  if (keypoints == NULL) return;
  pmn_sink_destroy(keypoints->sink);
  pmn_free(keypoints->rows);
  pmn_free(keypoints->names);
  pmn_free(keypoints);
}
