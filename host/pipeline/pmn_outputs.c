/* pmn_outputs.c - where the rows of a run go: table, list of rejects, and the files beside them. */
#include "pmn_run.h"

#include "pmn_buf.h"
#include "pmn_keypoints.h"
#include "pmn_mem.h"
#include "pmn_outfile.h"
#include "pmn_parts.h"
#include "pmn_places.h"
#include "pmn_s3.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What the name and the format say, before anything is looked at. */
pmn_status pmn_run_check_format(pmn_run *run, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_extract_options *o = run->options;
  if (o->output == NULL || o->output[0] == '\0') {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "no output: name a .csv, .parquet or .npy file, or a folder/");
  }
  if (strcmp(o->output, "-") == 0) {
    PMN_FAIL(
        err, PMN_STATUS_ARGUMENT, "a table is a file with companions and cannot go to standard output; name a file");
  }
  if (o->format != NULL && !pmn_format_find(o->format, &run->format)) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "no format is called \"%s\"; there are csv, parquet and npy", o->format);
  }
  bool is_folder = pmn_job_is_folder(o->output);
  if (is_folder && o->format == NULL) {
    run->format = PMN_FORMAT_PARQUET;
  } else if (o->format == NULL && !pmn_format_of_path(o->output, &run->format)) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT,
        "%s: the ending tells no format; use .csv, .parquet or .npy, name the format, or end it with / for a folder",
        o->output);
  }
  if (o->parts < 0 || o->parts > 100000) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "parts can be from 0 to 100000");
  if (!is_folder && (o->parts > 0 || o->resume)) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%.300s is one file: %s a folder as output; end its name with /", o->output,
        o->resume ? "only a run that writes a folder can be taken up again, so name" : "parts want");
  }
done:
  return st;
}

/* Names of rows for the outlet. */
static void name_row(
    const void *arg, int64_t index, char number[PMN_OUTLET_NUMBER], const char **key, const char **label) {
  const pmn_run *run = arg;
  if (run->listing != NULL) {
    pmn_item item = pmn_listing_item(run->listing, index);
    *key = item.key;
    *label = item.label;
  } else if (run->index != NULL) {
    *key = pmn_index_path(run->index, index);
    *label = pmn_index_label(run->index, index);
  } else {
    snprintf(number, PMN_OUTLET_NUMBER, "%lld", (long long)index);
    *key = number;
    *label = "";
  }
}

pmn_values pmn_run_values(const pmn_run *run) {
  const pmn_statistics *s = &run->options->statistics;
  bool as_made = run->maker != NULL && !pmn_statistics_need_fit(s) && s->projection == NULL;
  return as_made && run->maker->bytes ? PMN_VALUES_BYTE : PMN_VALUES_FLOAT;
}

bool pmn_run_counts_keypoints(const pmn_run *run) {
  return run->maker != NULL && run->maker->kind->keypoints != NULL;
}

/* What lies where a part of a folder is to be is left of a broken run. */
static pmn_status open_sink(pmn_run *run, const char *path, int32_t width, pmn_err *err) {
  bool is_part = run->job != NULL;
  pmn_sink_options options = {.s3 = run->s3,
      .path = path,
      .format = run->format,
      .width = width,
      .values = pmn_run_values(run),
      .keypoints = pmn_run_counts_keypoints(run),
      .overwrite = run->options->overwrite || is_part,
      .is_part = is_part};
  return pmn_sink_create(&options, &run->sink, err);
}

enum { OUTPUTS_MAX = 10 };

/* Every file that the run will write, or for a folder replace. */
static size_t list_outputs(const pmn_run *run, pmn_place outputs[OUTPUTS_MAX]) {
  const pmn_extract_options *o = run->options;
  const char *suffix;
  size_t count = 0;
  outputs[count++] = (pmn_place){.path = run->rejects_inside ? NULL : run->rejects_path, .what = "the list of rejects"};
  outputs[count++] = (pmn_place){.path = o->statistics.save_projection, .what = "the projection"};
  outputs[count++] = (pmn_place){.path = o->statistics.save_moments, .what = "the moments"};
  outputs[count++] = (pmn_place){.path = o->save_vocabulary, .what = "the vocabulary"};
  pmn_format keypoints;
  bool saves = o->save_keypoints != NULL && pmn_format_of_path(o->save_keypoints, &keypoints);
  for (size_t i = 0; saves && (suffix = pmn_format_suffix(keypoints, i)) != NULL; i++)
    outputs[count++] = (pmn_place){.path = o->save_keypoints, .suffix = suffix, .what = "the keypoints"};
  if (run->job != NULL || run->product != NULL) {
    bool is_folder = run->job != NULL;
    outputs[count++] =
        (pmn_place){.path = o->output, .what = is_folder ? "the output" : run->product, .is_folder = is_folder};
    return count;
  }
  for (size_t i = 0; (suffix = pmn_format_suffix(run->format, i)) != NULL; i++) {
    outputs[count++] = (pmn_place){
        .path = o->output, .suffix = suffix, .what = i == 0 ? "the table" : "a file that belongs to the table"};
  }
  return count;
}

/* A list of names is read from the file behind the @. */
static pmn_place source_place(const char *source) {
  return (pmn_place){.path = source == NULL || source[0] != '@' ? source : source + 1};
}

static pmn_status check_places(const pmn_run *run, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_extract_options *o = run->options;
  size_t length = o->features != NULL ? strlen(o->features) : 0, count;
  bool is_file = length > 5 && strcasecmp(o->features + length - 5, ".onnx") == 0; /* else a network's name */
  pmn_place outputs[OUTPUTS_MAX];
  const pmn_place inputs[] = {{.path = run->reduce != NULL ? run->reduce->matrix : NULL},
      {.path = run->reduce != NULL ? run->reduce->index : NULL}, {.path = o->statistics.projection},
      {.path = o->weights}, {.path = is_file ? o->features : NULL}, {.path = run->model}, {.path = o->vocabulary},
      source_place(o->fit_on)};
  count = list_outputs(run, outputs);
  PMN_TRY(pmn_places_check(outputs, count, inputs, sizeof inputs / sizeof *inputs, err));
  for (size_t i = 0; i < o->source_count; i++) {
    pmn_place source = source_place(o->sources[i]);
    PMN_TRY(pmn_places_check(outputs, count, &source, 1, err));
  }
done:
  return st;
}

static const char *last_component(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash == NULL ? path : slash + 1;
}

static bool is_named(const pmn_place *place, const char *name) {
  const char *own = place->path == NULL ? "" : last_component(place->path);
  size_t size = strlen(own);
  return size > 0 && strncmp(own, name, size) == 0 &&
         strcmp(name + size, place->suffix != NULL ? place->suffix : "") == 0;
}

pmn_status pmn_run_check_pictures(const pmn_run *run, pmn_err *err) {
  pmn_place outputs[OUTPUTS_MAX];
  size_t count = list_outputs(run, outputs);
  for (int64_t i = 0; i < pmn_listing_count(run->listing); i++) {
    pmn_place picture = {.path = pmn_listing_item(run->listing, i).path};
    const char *name = last_component(picture.path);
    for (size_t j = 0; j < count; j++) {
      /* Looking up every picture would take longer than listing them. */
      if (!is_named(&outputs[j], name)) continue;
      pmn_status st = pmn_places_check(&outputs[j], 1, &picture, 1, err);
      if (st != PMN_STATUS_OK) return st;
    }
  }
  return PMN_STATUS_OK;
}

/* The width of a PCA by ratio is not known yet: a sink of any width shows that the output can be written. */
static pmn_status check_table(pmn_run *run, pmn_err *err) {
  pmn_err why = PMN_ERR_INIT;
  pmn_status st = open_sink(run, run->options->output, 1, &why);
  pmn_sink_destroy(run->sink);
  run->sink = NULL;
  if (st == PMN_STATUS_WRITE && why.foreign == EISDIR)
    return pmn_err_set(err, st, EISDIR, "%.440s, or end it with / for a folder of parts", why.message);
  if (st != PMN_STATUS_OK && err != NULL) *err = why;
  return st;
}

static pmn_status check_outputs(pmn_run *run, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_extract_options *o = run->options;
  const char *const kept[] = {o->statistics.save_projection, o->statistics.save_moments, o->save_vocabulary};
  PMN_TRY(check_places(run, err));
  if (run->product != NULL) {
    if (o->output != NULL) PMN_TRY(pmn_outfile_check(run->s3, o->output, "", o->overwrite, err));
  } else if (run->job == NULL) {
    PMN_TRY(check_table(run, err));
  }
  for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
    if (kept[i] != NULL) PMN_TRY(pmn_outfile_check(NULL, kept[i], "", run->replaces, err));
  }
done:
  return st;
}

/* One run at a time on an output that is one file. What another has finished since it was looked for is seen now. */
static pmn_status guard_output(pmn_run *run, pmn_err *err) {
  const pmn_extract_options *o = run->options;
  pmn_status st = pmn_job_guard_take(run->s3, o->output, &run->guard, err);
  return st == PMN_STATUS_OK ? pmn_outfile_check(run->s3, o->output, "", o->overwrite, err) : st;
}

/* The list of rejects of a folder is in it, that of a file beside it, unless the user wants it elsewhere. */
static pmn_status name_rejects(pmn_run *run, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_extract_options *o = run->options;
  const char *output = o->output != NULL ? o->output : o->save_keypoints;
  size_t size = output != NULL ? strlen(output) : 0;
  pmn_buf path;
  pmn_buf_init(&path, 1 << 16);
  if (output == NULL && o->rejects == NULL) return PMN_STATUS_OK; /* they are counted, and told as they come */
  run->rejects_inside = run->job != NULL && o->rejects == NULL;
  while (run->rejects_inside && size > 0 && output[size - 1] == '/') size--;
  if (o->rejects != NULL)
    PMN_TRY(pmn_buf_printf(&path, err, "%s", o->rejects));
  else
    PMN_TRY(pmn_buf_printf(
        &path, err, "%.*s%s", (int)size, output, run->rejects_inside ? "/_rejects.csv" : ".rejects.csv"));
  run->rejects_path = pmn_buf_take(&path);
done:
  pmn_buf_reset(&path);
  return st;
}

static pmn_status open_rejects(pmn_run *run, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_buf path;
  pmn_buf_init(&path, 1 << 16);
  if (run->rejects_path == NULL) return PMN_STATUS_OK;
  if (run->rejects_inside) PMN_TRY(pmn_job_output_path(run->job, "_rejects.csv", &path, err));
  PMN_TRY(pmn_rejects_create(run->s3, run->rejects_inside ? path.data : run->rejects_path,
      run->options->overwrite || run->rejects_inside, &run->rejects, err));
done:
  pmn_buf_reset(&path);
  return st;
}

pmn_status pmn_run_open_outputs(pmn_run *run, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_extract_options *o = run->options;
  if ((o->output != NULL && pmn_s3_is_uri(o->output)) || (o->rejects != NULL && pmn_s3_is_uri(o->rejects))) {
    PMN_TRY(pmn_run_open_s3(run, err));
  }
  if (run->product == NULL && pmn_job_is_folder(o->output)) PMN_TRY(pmn_parts_open(run, err));
  run->replaces = o->overwrite || (run->job != NULL && pmn_job_goes_on(run->job));
  PMN_TRY(name_rejects(run, err));
  PMN_TRY(check_outputs(run, err));
  if (run->job == NULL && o->output != NULL) PMN_TRY(guard_output(run, err));
  if (o->save_keypoints != NULL) PMN_TRY(pmn_keypoints_create(run, &run->keypoints, err));
  PMN_TRY(open_rejects(run, err));
done:
  return st;
}

pmn_status pmn_run_open_outlet(pmn_run *run, const char *path, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  int32_t width = run->fit != NULL ? pmn_fit_width(run->fit) : run->width;
  run->counts.width = width;
  if (run->taker.take == NULL) PMN_TRY(open_sink(run, path, width, err));
  if (run->fit != NULL && run->projector == NULL && !run->projected) {
    PMN_TRY(pmn_projector_create(run->device, run->fit, &run->projector, err));
  }
  pmn_outlet_options outlet = {.sink = run->sink,
      .taker = run->taker,
      .projector = run->projector,
      .width = run->projected ? width : run->width,
      .out_width = width,
      .checks = run->projected,
      .name = name_row,
      .arg = run,
      .keypoints = run->keypoint_counts};
  PMN_TRY(pmn_outlet_create(&outlet, &run->outlet, err));
done:
  return st;
}

/* --------------------------------------------------------------------------------------------------- rejects -- */

/* The network finds its rejects when later pictures have been decoded, as many as the batches under way have; the list
 * is in the order of the listing whatever the batch. So a reject waits until all rows before it are decided. */
struct pmn_reject {
  int64_t index;
  const char *stage;
  char *reason;
};

/* Bytes of a key shown in messages. */
enum { KEY_SHOWN = 240 };

/* The end of a long key, so that in a message the reason after it is not cut off. */
static const char *key_end(const char *key) {
  size_t size = strlen(key);
  return size > KEY_SHOWN ? key + size - KEY_SHOWN : key;
}

static pmn_status keep_waiting(pmn_run *run, int64_t index, const char *stage, const char *reason, pmn_err *err) {
  if (run->waiting_count == run->waiting_capacity) {
    size_t capacity = run->waiting_capacity + run->waiting_capacity / 2 + 16;
    struct pmn_reject *waiting = pmn_realloc(run->waiting, capacity, sizeof *waiting);
    if (waiting == NULL) return pmn_err_memory(err, capacity * sizeof *waiting, "the list of rejects");
    run->waiting = waiting;
    run->waiting_capacity = capacity;
  }
  char *copy = pmn_strdup(reason);
  if (copy == NULL) return pmn_err_memory(err, strlen(reason) + 1, "the list of rejects");
  run->waiting[run->waiting_count++] = (struct pmn_reject){index, stage, copy};
  return PMN_STATUS_OK;
}

static int by_index(const void *a, const void *b) {
  int64_t x = ((const struct pmn_reject *)a)->index, y = ((const struct pmn_reject *)b)->index;
  return (x > y) - (x < y);
}

/* In the list, or in the record of what was fitted on. */
static pmn_status list_reject(pmn_run *run, const struct pmn_reject *r, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  char number[PMN_OUTLET_NUMBER];
  const char *key, *label;
  name_row(run, r->index, number, &key, &label);
  if (run->is_fitting) return pmn_record_reject(run, key, r->stage, r->reason, err);
  PMN_TRY(pmn_parts_reject(run, r->index, r->stage, r->reason, err));
  if (run->rejects != NULL) PMN_TRY(pmn_rejects_add(run->rejects, key, r->stage, r->reason, err));
done:
  return st;
}

pmn_status pmn_run_list_rejects(pmn_run *run, int64_t end, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t listed = 0;
  if (run->waiting_count > 1) qsort(run->waiting, run->waiting_count, sizeof *run->waiting, by_index);
  while (st == PMN_STATUS_OK && listed < run->waiting_count && run->waiting[listed].index < end)
    st = list_reject(run, &run->waiting[listed++], err);
  for (size_t i = 0; i < listed; i++) pmn_free(run->waiting[i].reason);
  run->waiting_count -= listed;
  if (listed > 0) memmove(run->waiting, run->waiting + listed, run->waiting_count * sizeof *run->waiting);
  return st;
}

void pmn_run_forget_rejects(pmn_run *run) {
  while (run->waiting_count > 0) pmn_free(run->waiting[--run->waiting_count].reason);
  pmn_free(run->waiting);
  run->waiting = NULL;
  run->waiting_capacity = 0;
}

/* For run->first_reject and last_reject. */
static void note_reject(pmn_run *run, int64_t index, const char *stage, const char *reason) {
  char number[PMN_OUTLET_NUMBER];
  const char *key, *label;
  name_row(run, index, number, &key, &label);
  pmn_err_set(&run->last_reject, PMN_STATUS_IMAGE, 0, "%s: %s: %s", key_end(key), stage, reason);
  if (run->first_reject.message[0] != '\0' && run->first_rejected < index) return;
  run->first_reject = run->last_reject;
  run->first_rejected = index;
}

pmn_status pmn_run_bear_reject(
    pmn_run *run, int64_t index, const char *stage, const char *reason, int64_t count, pmn_err *err) {
  const pmn_extract_options *o = run->options;
  note_reject(run, index, stage, reason);
  if (o->stop_on_error) {
    return pmn_err_set(err, PMN_STATUS_REJECTED, 0, "stopped at the first bad %s: %s",
        run->matrix != NULL ? "row" : "picture", run->last_reject.message);
  }
  if (o->max_rejects >= 0 && count > o->max_rejects) {
    return pmn_err_set(err, PMN_STATUS_REJECTED, 0, "more rejects than the %lld allowed; the last is %s",
        (long long)o->max_rejects, run->last_reject.message);
  }
  return PMN_STATUS_OK;
}

pmn_status pmn_run_reject(pmn_run *run, int64_t index, const char *stage, const char *reason, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  PMN_TRY(pmn_run_bear_reject(run, index, stage, reason, ++run->counts.rejects, err));
  pmn_run_message(run, PMN_LEVEL_DETAIL, "rejected %s", run->last_reject.message);
  PMN_TRY(keep_waiting(run, index, stage, reason, err));
done:
  return st;
}

pmn_status pmn_run_check_rows(pmn_run *run, pmn_err *err) {
  const pmn_statistics *s = &run->options->statistics;
  const char *listed = run->matrix != NULL ? "rows of the matrix" : "pictures", *first = run->first_reject.message;
  int64_t rows = run->counts.rows;
  pmn_err why;
  bool fits = run->moments != NULL && pmn_statistics_need_fit(s);
  if (rows > 0 && (!fits || pmn_fit_check(rows, run->width, s->pca_components, "row", &why) == PMN_STATUS_OK))
    return PMN_STATUS_OK;
  if (run->restored) pmn_job_drop(run->job);
  if (rows > 0) {
    return pmn_err_set(err, PMN_STATUS_REJECTED, 0, "%lld of %lld %s became rows: %s; the first one rejected is %s",
        (long long)rows, (long long)run->counts.listed, listed, why.message, first);
  }
  return pmn_err_set(err, PMN_STATUS_REJECTED, 0,
      "none of %lld %s became a row, so nothing is written; the first one rejected is %s",
      (long long)run->counts.listed, listed, first);
}

void pmn_run_take_keypoints(pmn_run *run, int64_t index, int32_t count) {
  run->keypoint_counts[index] = count;
  run->counts.keypoints += count;
  run->counts.blank += count == 0;
}
