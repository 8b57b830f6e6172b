/* pmn_store.c - see pmn_store.h: what a projection and moments are to pmn_store_file.h. */
#include "pmn_store.h"

#include "pmn_mem.h"
#include "pmn_store_parts.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

/* Tensors in the order of their data; the matrix last, because there may be none. */
enum { P_MEAN, P_SHIFT, P_SCALE, P_VARIANCE, P_RATIO, P_SPECTRUM, P_COMPONENTS, P_COUNT };
_Static_assert((int)P_COUNT == (int)PMN_PROJECTION_TENSORS, "as pmn_store_parts.h has it");
enum { M_ORIGIN, M_OFFSET, M_SQUARES, M_M2, M_COUNT };

int32_t pmn_projection_list(const pmn_fit *fit, pmn_store_tensor tensors[PMN_PROJECTION_TENSORS]) {
  int32_t d = fit->d, k = fit->k;
  tensors[P_MEAN] = (pmn_store_tensor){.name = "mean", .columns = d, .values = fit->mean};
  tensors[P_SHIFT] = (pmn_store_tensor){.name = "shift", .columns = d, .values = fit->shift};
  tensors[P_SCALE] = (pmn_store_tensor){.name = "scale", .columns = d, .values = fit->scale};
  /* Infinite is what Spark's rule makes 0. */
  tensors[P_SCALE].rule =
      fit->with_std && fit->compat == PMN_COMPAT_SPARK ? PMN_VALUE_POSITIVE_OR_INFINITE : PMN_VALUE_POSITIVE;
  tensors[P_VARIANCE] = (pmn_store_tensor){
      .name = "explained_variance", .columns = k, .values = fit->explained_variance, .rule = PMN_VALUE_NOT_NEGATIVE};
  tensors[P_RATIO] = (pmn_store_tensor){
      .name = "explained_ratio", .columns = k, .values = fit->explained_ratio, .rule = PMN_VALUE_NOT_NEGATIVE};
  tensors[P_SPECTRUM] = (pmn_store_tensor){
      .name = "spectrum", .columns = fit->spectrum_count, .values = fit->spectrum, .rule = PMN_VALUE_NOT_NEGATIVE};
  tensors[P_COMPONENTS] = (pmn_store_tensor){.name = "components", .rows = k, .columns = d, .values = fit->components};
  return k > 0 ? P_COUNT : P_COMPONENTS;
}

static int32_t list_moments(const pmn_moments_view *view, bool with_covariance, pmn_store_tensor tensors[M_COUNT]) {
  int32_t d = view->d;
  tensors[M_ORIGIN] = (pmn_store_tensor){.name = "origin", .columns = d, .values = view->origin};
  tensors[M_OFFSET] = (pmn_store_tensor){.name = "offset", .columns = d, .values = view->offset};
  tensors[M_SQUARES] =
      (pmn_store_tensor){.name = "squares", .columns = d, .values = view->squares, .rule = PMN_VALUE_NOT_NEGATIVE};
  tensors[M_M2] = (pmn_store_tensor){.name = "m2", .rows = d, .columns = d, .values = view->m2, .triangle = true};
  return with_covariance ? M_COUNT : M_M2;
}

pmn_status pmn_projection_describe(const char *path, const pmn_fit *fit, json_t **record, pmn_err *err) {
  *record = NULL;
  if (!isfinite(fit->total_variance)) {
    return pmn_err_set(
        err, PMN_STATUS_ARGUMENT, 0, "%s: the total variance is %g: it must be finite", path, fit->total_variance);
  }
  *record = json_pack("{s:I, s:i, s:i, s:b, s:b, s:s, s:f, s:i, s:s?}", "n", (json_int_t)fit->n, "d", fit->d, "k",
      fit->k, "with_mean", fit->with_mean, "with_std", fit->with_std, "compat",
      fit->compat == PMN_COMPAT_SPARK ? "spark" : "sklearn", "total_variance", fit->total_variance, "constant_columns",
      fit->constant_columns, "solver", fit->solver);
  return *record != NULL ? PMN_STATUS_OK : pmn_err_memory(err, 1, "what is known of a projection");
}

pmn_status pmn_projection_save(
    const char *path, bool overwrite, const pmn_fit *fit, const char *features, pmn_outfile **file, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_store_tensor tensors[P_COUNT];
  json_t *object = NULL, *record = NULL;
  PMN_TRY(pmn_store_parse(features, path, "features", PMN_STATUS_ARGUMENT, &object, err));
  PMN_TRY(pmn_projection_describe(path, fit, &record, err));
  if (json_object_set(record, "features", object) != 0) PMN_TRY(pmn_err_memory(err, 1, "features"));
  int32_t count = pmn_projection_list(fit, tensors);
  st = pmn_store_write(path, overwrite, PMN_STORE_PROJECTION, record, tensors, count, file, err);
  record = NULL;
done:
  json_decref(object);
  json_decref(record);
  return st;
}

pmn_status pmn_moments_save(const char *path, bool overwrite, const pmn_moments_view *moments, const char *features,
    pmn_outfile **file, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_store_tensor tensors[M_COUNT];
  json_t *object = NULL;
  if (moments->n < 1) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s: moments of no rows cannot be saved", path);
  PMN_TRY(pmn_store_parse(features, path, "features", PMN_STATUS_ARGUMENT, &object, err));
  int32_t count = list_moments(moments, moments->m2 != NULL, tensors);
  json_t *record = json_pack("{s:I, s:i, s:o}", "n", (json_int_t)moments->n, "d", moments->d, "features", object);
  PMN_TRY(pmn_store_write(path, overwrite, PMN_STORE_MOMENTS, record, tensors, count, file, err));
done:
  return st;
}

/* The text that lives as long as the program; NULL: the record has no text. */
static const char *known_solver(const char *name) {
  static const char *const known[] = {"dsyevd", "dsyevd of the Gram matrix", "block Lanczos", "dsyevr"};
  for (size_t i = 0; name != NULL && i < sizeof known / sizeof *known; i++) {
    if (strcmp(name, known[i]) == 0) return known[i];
  }
  return name == NULL ? NULL : "a solver of another version";
}

/* All of *fit but its arrays. */
pmn_status pmn_projection_read(const pmn_stored *self, pmn_fit *fit, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const char *compat = json_string_value(json_object_get(self->section, "compat"));
  const json_t *total = json_object_get(self->section, "total_variance");
  const pmn_weight *spectrum = pmn_safetensors_find(self->file, "spectrum");
  PMN_TRY(pmn_stored_integer(self, "n", 2, PMN_STORE_ROWS_MAX, &fit->n, err));
  PMN_TRY(pmn_stored_count(self, "d", 1, INT32_MAX, &fit->d, err));
  int64_t most = fit->n < fit->d ? fit->n : fit->d;
  PMN_TRY(pmn_stored_count(self, "k", 0, most, &fit->k, err));
  PMN_TRY(pmn_stored_count(self, "constant_columns", 0, fit->d, &fit->constant_columns, err));
  PMN_TRY(pmn_stored_bool(self, "with_mean", &fit->with_mean, err));
  PMN_TRY(pmn_stored_bool(self, "with_std", &fit->with_std, err));
  if (compat == NULL || (strcmp(compat, "sklearn") != 0 && strcmp(compat, "spark") != 0)) {
    PMN_FAIL(err, PMN_STATUS_MODEL, "%s: its record has no compat that is sklearn or spark", self->path);
  }
  fit->compat = strcmp(compat, "spark") == 0 ? PMN_COMPAT_SPARK : PMN_COMPAT_SKLEARN;
  fit->total_variance = json_number_value(total);
  if (!json_is_number(total) || !pmn_value_obeys(fit->total_variance, PMN_VALUE_NOT_NEGATIVE)) {
    PMN_FAIL(err, PMN_STATUS_MODEL, "%s: its record has no total_variance from 0", self->path);
  }
  fit->solver = known_solver(json_string_value(json_object_get(self->section, "solver")));
  if ((fit->solver != NULL) != (fit->k > 0)) {
    PMN_FAIL(
        err, PMN_STATUS_MODEL, "%s: its record has a solver without components, or the other way round", self->path);
  }
  int64_t known = spectrum != NULL && spectrum->rank == 1 ? spectrum->shape[0] : 0;
  if (known < fit->k || known > most) {
    PMN_FAIL(err, PMN_STATUS_MODEL, "%s: spectrum has %" PRId64 " values; there must be %" PRId32 " to %" PRId64,
        self->path, known, fit->k, most);
  }
  fit->spectrum_count = (int32_t)known;
done:
  return st;
}

static double *take(pmn_store_tensor *t) {
  double *values = t->loaded;
  t->loaded = NULL;
  return values;
}

void pmn_projection_take(pmn_fit *fit, pmn_store_tensor tensors[PMN_PROJECTION_TENSORS]) {
  fit->mean = take(&tensors[P_MEAN]);
  fit->shift = take(&tensors[P_SHIFT]);
  fit->scale = take(&tensors[P_SCALE]);
  fit->explained_variance = take(&tensors[P_VARIANCE]);
  fit->explained_ratio = take(&tensors[P_RATIO]);
  fit->spectrum = take(&tensors[P_SPECTRUM]);
  if (fit->k > 0) fit->components = take(&tensors[P_COMPONENTS]); /* else what comes there is another part's */
}

static char *take_features(pmn_stored *self) {
  char *features = self->features;
  self->features = NULL;
  return features;
}

pmn_status pmn_projection_load(const char *path, pmn_fit **result, char **features, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_stored self = {.path = path};
  pmn_store_tensor tensors[P_COUNT] = {0};
  *result = NULL;
  *features = NULL;
  pmn_fit *fit = pmn_calloc(1, sizeof *fit);
  if (fit == NULL) return pmn_err_memory(err, sizeof *fit, "a projection");
  PMN_TRY(pmn_stored_open(&self, PMN_STORE_PROJECTION, err));
  PMN_TRY(pmn_projection_read(&self, fit, err));
  PMN_TRY(pmn_stored_tensors(&self, tensors, pmn_projection_list(fit, tensors), err));
  pmn_projection_take(fit, tensors);
  *features = take_features(&self);
  *result = fit;
  fit = NULL;
done:
  for (int32_t i = 0; i < P_COUNT; i++) pmn_free(tensors[i].loaded);
  pmn_stored_reset(&self);
  pmn_fit_destroy(fit);
  return st;
}

static pmn_status read_moments_record(const pmn_stored *self, pmn_moments_view *view, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  PMN_TRY(pmn_stored_integer(self, "n", 1, PMN_STORE_ROWS_MAX, &view->n, err));
  PMN_TRY(pmn_stored_count(self, "d", 1, INT32_MAX, &view->d, err));
done:
  return st;
}

pmn_status pmn_moments_inspect(const char *path, int64_t *n, int32_t *d, bool *with_covariance, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_stored self = {.path = path};
  pmn_moments_view view = {0};
  PMN_TRY(pmn_stored_open(&self, PMN_STORE_MOMENTS, err));
  PMN_TRY(read_moments_record(&self, &view, err));
  *n = view.n;
  *d = view.d;
  *with_covariance = pmn_safetensors_find(self.file, "m2") != NULL;
done:
  pmn_stored_reset(&self);
  return st;
}

pmn_status pmn_moments_load(const char *path, pmn_stored_moments *moments, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_stored self = {.path = path};
  pmn_store_tensor tensors[M_COUNT] = {0};
  pmn_moments_view view = {0};
  *moments = (pmn_stored_moments){0};
  PMN_TRY(pmn_stored_open(&self, PMN_STORE_MOMENTS, err));
  PMN_TRY(read_moments_record(&self, &view, err));
  bool with_covariance = pmn_safetensors_find(self.file, "m2") != NULL;
  PMN_TRY(pmn_stored_tensors(&self, tensors, list_moments(&view, with_covariance, tensors), err));
  view.origin = moments->origin = take(&tensors[M_ORIGIN]);
  view.offset = moments->offset = take(&tensors[M_OFFSET]);
  view.squares = moments->squares = take(&tensors[M_SQUARES]);
  view.m2 = moments->m2 = take(&tensors[M_M2]);
  moments->features = take_features(&self);
  moments->view = view;
done:
  for (int32_t i = 0; i < M_COUNT; i++) pmn_free(tensors[i].loaded);
  pmn_stored_reset(&self);
  return st;
}

void pmn_stored_moments_reset(pmn_stored_moments *moments) {
  pmn_free(moments->features);
  pmn_free(moments->origin);
  pmn_free(moments->offset);
  pmn_free(moments->squares);
  pmn_free(moments->m2);
  *moments = (pmn_stored_moments){0};
}
