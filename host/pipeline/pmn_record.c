/* pmn_record.c - the run record: how every number of an output came to be, as JSON. */
#include "pmn_run.h"

#include "pmn_mem.h"
#include "pmn_text.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* Names from the file system as the outputs write them; jansson takes valid UTF-8 only. */
static json_t *name_json(const char *name) {
  pmn_buf text;
  pmn_buf_init(&text, 1 << 20);
  json_t *json = pmn_text_escape(&text, name, strlen(name), NULL) == PMN_STATUS_OK && text.data != NULL
                     ? json_string(text.data)
                     : json_string("");
  pmn_buf_reset(&text);
  return json;
}

static json_t *doubles_json(const double *values, int32_t count) {
  json_t *array = json_array();
  for (int32_t i = 0; i < count; i++) json_array_append_new(array, json_real(values[i]));
  return array;
}

static json_t *floats_json(const float *values, int32_t count) {
  json_t *array = json_array();
  for (int32_t i = 0; i < count; i++) json_array_append_new(array, json_real((double)values[i]));
  return array;
}

static json_t *features_json(const pmn_run *run) {
  const pmn_preprocess *p = &run->architecture->preprocess;
  json_t *preprocess = json_pack("{s:i, s:i, s:s, s:s, s:s, s:o, s:o}", "width", p->width, "height", p->height,
      "resize", run->resize, "channels", "RGB", "formula", p->formula, "scale", floats_json(p->scale, 3), "shift",
      floats_json(p->shift, 3));
  return json_pack("{s:s, s:i, s:o, s:s, s:o}", "network", run->architecture->name, "width", run->width, "weights",
      name_json(run->model_origin), "weights_sha256", run->model_sha256, "preprocess", preprocess);
}

static json_t *device_json(const pmn_run *run) {
  const pmn_device_info *info = &run->device->info;
  return json_pack("{s:s, s:i, s:o, s:o}", "backend", info->backend, "index", info->index, "name",
      name_json(info->name), "driver", name_json(info->driver));
}

static json_t *input_json(const pmn_run *run) {
  const pmn_extract_options *o = run->options;
  json_t *sources = json_array(), *includes = json_array();
  for (size_t i = 0; i < o->source_count; i++) json_array_append_new(sources, name_json(o->sources[i]));
  for (size_t i = 0; i < o->include_count; i++) json_array_append_new(includes, name_json(o->includes[i]));
  json_t *label = o->label_regex != NULL ? name_json(o->label_regex) : json_integer(o->label_level);
  return json_pack("{s:o, s:o, s:o, s:I}", "sources", sources, "include", includes,
      o->label_regex != NULL ? "label_regex" : "label_level", label, "limit", (json_int_t)o->limit);
}

static json_t *counts_json(const pmn_counts *c) {
  return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "listed", (json_int_t)c->listed, "rows", (json_int_t)c->rows,
      "rejects", (json_int_t)c->rejects, "width", (json_int_t)c->width, "skipped", (json_int_t)c->skipped, "duplicates",
      (json_int_t)c->duplicates);
}

static json_t *statistics_json(const pmn_run *run) {
  const pmn_fit *fit = run->fit;
  json_t *json = json_pack("{s:b, s:I, s:i}", "standardize", run->options->standardize, "fitted_rows",
      (json_int_t)fit->n, "constant_columns", fit->constant_columns);
  if (fit->k > 0) {
    json_object_set_new(json, "pca_components", json_integer(fit->k));
    json_object_set_new(json, "total_variance", json_real(fit->total_variance));
    json_object_set_new(json, "explained_variance", doubles_json(fit->explained_variance, fit->k));
    json_object_set_new(json, "explained_variance_ratio", doubles_json(fit->explained_ratio, fit->k));
  }
  return json;
}

static json_t *stages_json(const pmn_meter *meter) {
  json_t *stages = json_object();
  for (int i = 0; i < PMN_STAGE_COUNT; i++) {
    const pmn_stage *stage = &meter->stages[i];
    json_object_set_new(stages, stage->name,
        json_pack(
            "{s:f, s:i, s:f}", "busy_seconds", stage->busy_seconds, "lanes", stage->lanes, "share", stage->share));
  }
  return stages;
}

char *pmn_record_create(const pmn_run *run, const char *bound, double seconds) {
  /* jansson allocates behind our back; its own failures come out as NULL at the end. */
  json_t *record = json_pack("{s:s, s:s, s:o, s:o, s:o, s:o}", "pomona", pmn_version(), "started", run->started_utc,
      "features", features_json(run), "device", device_json(run), "input", input_json(run), "counts",
      counts_json(&run->counts));
  if (record != NULL && run->fit != NULL) json_object_set_new(record, "statistics", statistics_json(run));
  if (record != NULL) {
    json_object_set_new(record, "options", json_pack("{s:i, s:i}", "threads", run->threads, "batch", run->batch));
    json_object_set_new(record, "rejects", run->counts.rejects > 0 ? name_json(run->rejects_path) : json_null());
    json_object_set_new(record, "seconds", json_real(seconds));
    json_object_set_new(record, "bound", json_string(bound));
    json_object_set_new(record, "stages", stages_json(&run->meter));
  }
  char *text = NULL;
  size_t size = record == NULL ? 0 : json_dumpb(record, NULL, 0, JSON_INDENT(1) | JSON_REAL_PRECISION(17));
  if (size > 0) text = pmn_alloc(size + 1, 1);
  if (text != NULL) {
    json_dumpb(record, text, size, JSON_INDENT(1) | JSON_REAL_PRECISION(17));
    text[size] = '\0';
  }
  if (record != NULL) json_decref(record);
  return text;
}
