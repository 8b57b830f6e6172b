/* pmn_keypoints.c - see pmn_keypoints.h. */
#include "pmn_keypoints.h"

#include "pmn_mem.h"
#include "pmn_record.h"

#include <jansson.h>

enum { GEOMETRY = 6 /* numbers of a keypoint before its descriptor */ };

struct pmn_keypoints {
  const pmn_run *run;
  pmn_sink *sink;
  pmn_format format;
  int32_t bytes;      /* of a descriptor */
  int64_t count;      /* of rows so far */
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
  self->format = options.format;
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
  self->count += d.count;
  pmn_row_block block = {.n = d.count, .keys = self->names, .labels = labels, .features = self->rows};
  return d.count > 0 ? pmn_sink_write(self->sink, &block, err) : PMN_STATUS_OK;
}

/* The run's record, as that of this table: its rows are keypoints, and what the run counts are pictures. */
static pmn_status make_record(const pmn_keypoints *self, const char *record, json_t *files, char **text, pmn_err *err) {
  json_t *json = json_loads(record, 0, NULL);
  json_t *counts = json_pack("{s:I, s:I, s:i, s:i, s:i, s:i}", "listed", (json_int_t)self->count, "rows",
      (json_int_t)self->count, "rejects", 0, "width", GEOMETRY + self->bytes, "skipped", 0, "duplicates", 0);
  json_t *table = json_pack("{s:s, s:b}", "values", pmn_values_name(PMN_VALUES_FLOAT), "keypoints", 0);
  bool good = json_object_set(json, "pictures", json_object_get(json, "counts")) == 0 &&
              json_object_set(json, "rejected_pictures", json_object_get(json, "rejects")) == 0 &&
              json_object_set_new(json, "rejects", json_null()) == 0;
  good = json_object_set_new(json, "counts", counts) == 0 && good;
  good = json_object_set_new(json, "table", table) == 0 && good;
  if (files != NULL) good = json_object_set(json, "files", files) == 0 && good;
  pmn_free(*text);
  *text = good ? pmn_record_text(json) : NULL;
  json_decref(json);
  return *text != NULL ? PMN_STATUS_OK : pmn_err_memory(err, 1, "the record of keypoints");
}

/* As a table that is one file: a record beside it can tell its hash, one inside cannot. */
pmn_status pmn_keypoints_commit(pmn_keypoints *keypoints, const char *record, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_keypoints *self = keypoints;
  json_t *files = NULL;
  char *text = NULL;
  PMN_TRY(make_record(self, record, NULL, &text, err));
  PMN_TRY(pmn_sink_seal(self->sink, text, err));
  if (!pmn_format_holds_record(self->format)) {
    PMN_TRY(pmn_job_describe_files(self->sink, &files, err));
    PMN_TRY(make_record(self, record, files, &text, err));
  }
  PMN_TRY(pmn_sink_commit(self->sink, text, err));
done:
  json_decref(files);
  pmn_free(text);
  return st;
}

void pmn_keypoints_destroy(pmn_keypoints *keypoints) {
  if (keypoints == NULL) return;
  pmn_sink_destroy(keypoints->sink);
  pmn_free(keypoints->rows);
  pmn_free(keypoints->names);
  pmn_free(keypoints);
}
