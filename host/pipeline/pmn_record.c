/* pmn_record.c - the run record: how every number of an output came to be, as JSON.
 *
 * jansson takes memory of its own. A value that it could not make is NULL; whoever is given one gives NULL back, so the
 * record is whole or there is none.
 */
#include "pmn_run.h"

#include "pmn_json.h"
#include "pmn_maker_words.h"
#include "pmn_mem.h"
#include "pmn_record.h"
#include "pmn_store_parts.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* Takes both; *array becomes NULL when the value cannot be added. */
static void append(json_t **array, json_t *value) {
  if (*array == NULL) {
    json_decref(value);
  } else if (json_array_append_new(*array, value) != 0) {
    json_decref(*array);
    *array = NULL;
  }
}

/* Takes both; *object becomes NULL when the value cannot be set. */
static void set(json_t **object, const char *key, json_t *value) {
  if (*object == NULL) {
    json_decref(value);
  } else if (json_object_set_new(*object, key, value) != 0) {
    json_decref(*object);
    *object = NULL;
  }
}

static json_t *names_json(const char *const *names, size_t count) {
  json_t *array = json_array();
  for (size_t i = 0; i < count; i++) append(&array, pmn_json_name(names[i]));
  return array;
}

static json_t *doubles_json(const double *values, int32_t count) {
  json_t *array = json_array();
  for (int32_t i = 0; i < count; i++) append(&array, json_real(values[i]));
  return array;
}

json_t *pmn_record_preprocess(const pmn_preprocess *p, bool gray) {
  int32_t channels = gray ? 1 : 3;
  return json_pack("{s:i, s:i, s:s, s:s, s:s, s:s, s:o, s:o}", "width", p->width, "height", p->height, "resize",
      p->resize, "channels",
      gray     ? "gray"
      : p->bgr ? "BGR"
               : "RGB",
      "name", p->name, "formula", p->formula, "scale", doubles_json(p->scale, channels), "shift",
      doubles_json(p->shift, channels));
}

json_t *pmn_record_features(const pmn_model *model, pmn_pooling pooling) {
  json_t *layers = json_array();
  for (int32_t i = 0; i < pmn_model_output_count(model); i++) {
    int32_t width;
    const char *name = pmn_model_output_name(model, i, &width);
    append(&layers, json_pack("{s:o, s:i}", "layer", pmn_json_name(name), "width", width));
  }
  return json_pack("{s:o, s:i, s:o, s:s, s:o, s:s, s:o}", "network", pmn_json_name(pmn_model_name(model)), "width",
      pmn_model_width(model), "layers", layers, "pool", pmn_pooling_name(pooling), "weights",
      pmn_json_name(pmn_model_origin(model)), "weights_sha256", pmn_model_sha256(model), "preprocess",
      pmn_record_preprocess(pmn_model_preprocess(model), false));
}

pmn_status pmn_record_reject(pmn_run *run, const char *key, const char *stage, const char *reason, pmn_err *err) {
  if (run->fit_rejected == NULL) run->fit_rejected = json_array();
  append(&run->fit_rejected, json_pack("[o, s, o]", pmn_json_name(key), stage, pmn_json_name(reason)));
  return run->fit_rejected != NULL ? PMN_STATUS_OK : pmn_err_memory(err, 1, "the run record");
}

static json_t *device_json(const pmn_run *run) {
  const pmn_device_info *info = &run->device->info;
  json_t *json = json_pack("{s:s, s:i, s:o, s:o}", "backend", info->backend, "index", info->index, "name",
      pmn_json_name(info->name), "driver", pmn_json_name(info->driver));
  if (run->device_count > 1) {
    json_t *indices = json_array();
    for (int32_t i = 0; i < run->device_count; i++) append(&indices, json_integer(run->devices[i]->info.index));
    set(&json, "indices", indices);
  }
  if (run->device->precision != PMN_PRECISION_FP32) {
    bool bf16 = run->device->precision == PMN_PRECISION_BF16;
    const pmn_precision_error *e = &run->maker->error; /* no other run has a device that rounds */
    set(&json, bf16 ? "bf16_probe" : "fp16_probe",
        json_pack("{s:f, s:f}", "cosine", e->cosine, "largest_difference", e->difference));
  }
  return json;
}

static json_t *matrix_json(const pmn_run *run) {
  json_t *index = run->reduce->index != NULL ? pmn_json_name(run->reduce->index) : json_null();
  return json_pack("{s:o, s:s, s:o}", "matrix", pmn_json_name(run->reduce->matrix), "type",
      pmn_matrix_type(run->matrix), "index", index);
}

static json_t *input_json(const pmn_run *run) {
  const pmn_extract_options *o = run->options;
  if (run->reduce != NULL) return matrix_json(run);
  json_t *sources = names_json(o->sources, o->source_count), *includes = names_json(o->includes, o->include_count);
  json_t *label = o->label_regex != NULL ? pmn_json_name(o->label_regex) : json_integer(o->label_level);
  return json_pack("{s:o, s:o, s:o, s:I}", "sources", sources, "include", includes,
      o->label_regex != NULL ? "label_regex" : "label_level", label, "limit", (json_int_t)o->limit);
}

static json_t *counts_json(const pmn_run *run) {
  const pmn_counts *c = &run->counts;
  json_t *json = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "listed", (json_int_t)c->listed, "rows",
      (json_int_t)c->rows, "rejects", (json_int_t)c->rejects, "width", (json_int_t)c->width, "skipped",
      (json_int_t)c->skipped, "duplicates", (json_int_t)c->duplicates);
  if (pmn_run_counts_keypoints(run)) {
    set(&json, "keypoints", json_integer((json_int_t)c->keypoints));
    set(&json, "blank", json_integer((json_int_t)c->blank));
  }
  return json;
}

json_t *pmn_record_table(const pmn_run *run) {
  return json_pack(
      "{s:s, s:b}", "values", pmn_values_name(pmn_run_values(run)), "keypoints", pmn_run_counts_keypoints(run));
}

/* How many components explain a share of the variance; null where more would be needed than are known. */
static json_t *shares_json(const pmn_fit *fit) {
  static const struct {
    const char *name;
    double share;
  } shares[] = {{"0.80", 0.80}, {"0.90", 0.90}, {"0.95", 0.95}, {"0.99", 0.99}};
  json_t *json = json_object();
  for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
    int32_t k = pmn_fit_components_for(fit, shares[i].share);
    set(&json, shares[i].name, k > 0 ? json_integer(k) : json_null());
  }
  return json;
}

static json_t *statistics_json(const pmn_run *run) {
  const pmn_fit *fit = run->fit;
  const pmn_statistics *s = &run->options->statistics;
  json_t *json = json_pack("{s:b, s:b, s:s, s:I, s:i}", "with_mean", fit->with_mean, "with_std", fit->with_std,
      "compat", fit->compat == PMN_COMPAT_SPARK ? "spark" : "sklearn", "fitted_rows", (json_int_t)fit->n,
      "constant_columns", fit->constant_columns);
  if (s->projection != NULL) set(&json, "projection", pmn_json_name(s->projection));
  if (s->projection != NULL || run->projected) set(&json, "projected_by_network", json_boolean(run->projected));
  if (run->options->fit_on != NULL) {
    set(&json, "fit_on", pmn_json_name(run->options->fit_on));
    set(&json, "fit_rejects", json_integer((json_int_t)json_array_size(run->fit_rejected)));
    if (run->fit_rejected != NULL) set(&json, "fit_rejected", json_incref(run->fit_rejected));
  }
  if (fit->k > 0) {
    set(&json, "pca_components", json_integer(fit->k));
    set(&json, "solver", json_string(fit->solver));
    set(&json, "total_variance", json_real(fit->total_variance));
    set(&json, "explained_variance", doubles_json(fit->explained_variance, fit->k));
    set(&json, "explained_variance_ratio", doubles_json(fit->explained_ratio, fit->k));
    set(&json, "known_spectrum", doubles_json(fit->spectrum, fit->spectrum_count));
    set(&json, "components_for", shares_json(fit));
  }
  return json;
}

static json_t *stages_json(const pmn_meter *meter) {
  json_t *stages = json_object();
  for (int i = 0; i < PMN_STAGE_COUNT; i++) {
    const pmn_stage *stage = &meter->stages[i];
    set(&stages, stage->name,
        json_pack(
            "{s:f, s:i, s:f}", "busy_seconds", stage->busy_seconds, "lanes", stage->lanes, "share", stage->share));
  }
  return stages;
}

char *pmn_record_text(const json_t *json) {
  return pmn_json_text(json, JSON_INDENT(1) | JSON_REAL_PRECISION(17));
}

/* What readers may check: not the uploads that made the files. */
static json_t *files_json(const json_t *files) {
  json_t *copy = json_deep_copy(files);
  for (size_t i = 0; i < json_array_size(copy); i++) json_object_del(json_array_get(copy, i), "upload");
  return copy;
}

/* What a file that is kept beside the table holds. */
static const char *kept_name(const pmn_run *run, const char *path) {
  const pmn_extract_options *o = run->options;
  if (o->statistics.save_moments != NULL && strcmp(path, o->statistics.save_moments) == 0) return "moments";
  return o->save_vocabulary != NULL && strcmp(path, o->save_vocabulary) == 0 ? "vocabulary" : "projection";
}

/* What --resume of a finished output holds the files beside it against. */
static json_t *saved_json(const pmn_run *run) {
  json_t *saved = json_object();
  for (size_t i = 0; i < run->kept_count; i++) {
    const char *path = pmn_outfile_path(run->kept[i]);
    uint64_t from; /* 0, as these files are not in buckets */
    set(&saved, kept_name(run, path),
        json_pack("{s:o, s:s}", "file", pmn_json_name(path), "sha256", pmn_outfile_sha256(run->kept[i], &from)));
  }
  return saved;
}

/* Keys of the rows without a keypoint. */
static json_t *blank_json(const pmn_run *run) {
  json_t *array = json_array();
  for (int64_t i = 0; i < run->counts.rows; i++) {
    int64_t index = run->rows[i];
    if (run->keypoint_counts[index] == 0) append(&array, pmn_json_name(pmn_listing_item(run->listing, index).key));
  }
  return array;
}

char *pmn_record_create(const pmn_run *run, const char *bound, double seconds, const json_t *files) {
  json_t *record =
      json_pack("{s:s, s:s, s:o, s:o, s:o, s:o}", "pomona", pmn_version(), "started", run->started_utc, "features",
          json_incref(run->features), "device", device_json(run), "input", input_json(run), "counts", counts_json(run));
  if (run->product == NULL) set(&record, "table", pmn_record_table(run));
  const pmn_lexicon *words = run->maker != NULL ? pmn_maker_look_words(run->maker) : NULL;
  if (words != NULL && words->vocabulary != NULL) set(&record, "vocabulary", pmn_lexicon_describe(words));
  if (run->fit != NULL) set(&record, "statistics", statistics_json(run));
  if (run->results != NULL && json_object_update(record, run->results) != 0) {
    json_decref(record);
    return NULL;
  }
  set(&record, "options", json_pack("{s:i, s:i}", "threads", run->threads, "batch", run->batch));
  set(&record, "rejects",
      run->counts.rejects > 0 && run->rejects_path != NULL ? pmn_json_name(run->rejects_path) : json_null());
  if (run->kept_count > 0) set(&record, "saved", saved_json(run));
  if (pmn_run_counts_keypoints(run)) set(&record, "blank", blank_json(run));
  if (files != NULL) set(&record, "files", files_json(files));
  if (run->plan != NULL) set(&record, "plan", json_incref(run->plan));
  set(&record, "seconds", json_real(seconds));
  set(&record, "bound", json_string(bound));
  set(&record, "stages", stages_json(&run->meter));
  char *text = pmn_record_text(record);
  json_decref(record);
  return text;
}

pmn_status pmn_record_counts(const char *record, pmn_counts *counts, char **rejects_path, pmn_err *err) {
  json_int_t listed, rows, rejects, width, skipped, duplicates, keypoints = 0, blank = 0;
  json_t *json = json_loads(record, 0, NULL);
  const char *path = json_string_value(json_object_get(json, "rejects"));
  *rejects_path = path != NULL ? pmn_strdup(path) : NULL;
  bool copied = path == NULL || *rejects_path != NULL;
  int failed = json_unpack(json, "{s:{s:I, s:I, s:I, s:I, s:I, s:I, s?I, s?I}}", "counts", "listed", &listed, "rows",
      &rows, "rejects", &rejects, "width", &width, "skipped", &skipped, "duplicates", &duplicates, "keypoints",
      &keypoints, "blank", &blank);
  json_decref(json);
  if (!copied) return pmn_err_memory(err, 1, "the summary");
  if (failed) return pmn_err_set(err, PMN_STATUS_MODEL, 0, "the run record of the output holds no counts");
  *counts = (pmn_counts){
      listed, rows, rejects, width, skipped, duplicates, .restored = listed, .keypoints = keypoints, .blank = blank};
  return PMN_STATUS_OK;
}

void pmn_record_saved(const char *record, const char *what, char sha256[PMN_SHA256_HEX_SIZE]) {
  const char *hash = "";
  json_t *json = json_loads(record, 0, NULL);
  if (json_unpack(json, "{s:{s:{s:s}}}", "saved", what, "sha256", &hash) != 0) hash = "";
  snprintf(sha256, PMN_SHA256_HEX_SIZE, "%s", hash);
  json_decref(json);
}
