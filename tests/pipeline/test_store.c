/* test_store.c - projections and moments in files: what is loaded is what was saved, to the bit; damaged files are
 * refused, each with its message.
 *
 * `test_store FOLDER` writes four files there instead, for judge_store.py, which makes the same numbers. (Long for its
 * tables: a line for every lie that a file can tell.)
 */
#include "check_store.h"

#include "pmn_mem.h"
#include "pmn_store.h"

#include <float.h>
#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <sys/resource.h>

/* Saved and published at once. */
static pmn_status publish(pmn_status status, pmn_outfile *file, pmn_err *err) {
  if (status == PMN_STATUS_OK) status = pmn_outfile_publish(&file, 1, err);
  pmn_outfile_destroy(file);
  return status;
}

static pmn_status save_projection(
    const char *path, bool overwrite, const pmn_fit *fit, const char *text, pmn_err *err) {
  pmn_outfile *file = NULL;
  pmn_status status = pmn_projection_save(path, overwrite, fit, text, &file, err);
  return publish(status, file, err);
}

static pmn_status save_moments(
    const char *path, bool overwrite, const pmn_moments_view *moments, const char *text, pmn_err *err) {
  pmn_outfile *file = NULL;
  pmn_status status = pmn_moments_save(path, overwrite, moments, text, &file, err);
  return publish(status, file, err);
}

static const char features[] =
    "{\"network\":\"resnet50\",\"width\":2048,\"layers\":[{\"layer\":\"avg_pool\",\"width\":2048}],\"pool\":\"avg\","
    "\"weights\":\"/w/a \\\"quoted\\\" \xc3\xbc.safetensors\",\"weights_sha256\":\"1234abcd0000\","
    "\"preprocess\":{\"width\":224,\"height\":224,\"scale\":[0.017507003247737885,1.0,1.0],\"name\":\"torch\"}}";

static char folder[64], path[128];

static int set_up(void **state) {
  (void)state;
  check_folder(folder);
  snprintf(path, sizeof path, "%s/file.proj", folder);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  check_folder_remove(folder);
  return 0;
}

/* Any numbers that Python gives too; different for every tensor. */
static double number(int tensor, size_t i) {
  return (double)((i * 37 + (size_t)tensor * 11) % 101) / 7.0 + 0.25;
}

static void fill(double *values, int tensor, size_t count) {
  for (size_t i = 0; i < count; i++) values[i] = number(tensor, i);
}

enum { D = 5, K = 3 };

/* A fit in memory of its own; every array is as long as any test needs. */
typedef struct sample {
  pmn_fit fit;
  double mean[D], shift[D], scale[D], components[K * D], variance[K], ratio[K], spectrum[D];
  pmn_moments_view moments;
  double squares[D], m2[D * D];
} sample;

static void sample_fill(sample *s) {
  fill(s->mean, 0, D);
  fill(s->shift, 1, D);
  fill(s->scale, 2, D);
  fill(s->components, 3, (size_t)K * D);
  fill(s->variance, 4, K);
  fill(s->ratio, 5, K);
  fill(s->spectrum, 6, D);
  fill(s->squares, 7, D);
  fill(s->m2, 8, (size_t)D * D);
  s->fit = (pmn_fit){.n = 10,
      .d = D,
      .k = K,
      .with_std = true,
      .compat = PMN_COMPAT_SPARK,
      .mean = s->mean,
      .shift = s->shift,
      .scale = s->scale,
      .components = s->components,
      .explained_variance = s->variance,
      .explained_ratio = s->ratio,
      .total_variance = 1.0 / 3.0,
      .spectrum = s->spectrum,
      .spectrum_count = 4,
      .solver = "block Lanczos",
      .constant_columns = 1};
  s->scale[2] = INFINITY;
  s->mean[1] = -0.0;
  s->mean[3] = DBL_MAX;
  s->shift[0] = -DBL_TRUE_MIN;
  s->moments = (pmn_moments_view){(int64_t)1 << 40, D, s->mean, s->shift, s->squares, s->m2};
}

/* ------------------------------------------------------------------------------------------------- round trips -- */

static void same_values(const char *name, const double *saved, const double *loaded, int32_t count) {
  if (count > 0 && (loaded == NULL || memcmp(saved, loaded, (size_t)count * sizeof *saved) != 0))
    fail_msg("%s came back with other bits", name);
}

static void same_features(const char *loaded) {
  assert_non_null(loaded);
  json_t *a = json_loads(features, 0, NULL), *b = json_loads(loaded, 0, NULL);
  assert_non_null(a);
  if (!json_equal(a, b)) fail_msg("features came back as %s", loaded);
  json_decref(a);
  json_decref(b);
}

static void projection_round_trip(const pmn_fit *fit) {
  pmn_err err = PMN_ERR_INIT;
  pmn_fit *back = NULL;
  char *text = NULL;
  check_ok(save_projection(path, true, fit, features, &err));
  check_ok(pmn_projection_load(path, &back, &text, &err));
  assert_int_equal(back->n, fit->n);
  assert_int_equal(back->d, fit->d);
  assert_int_equal(back->k, fit->k);
  assert_int_equal(back->with_mean, fit->with_mean);
  assert_int_equal(back->with_std, fit->with_std);
  assert_int_equal(back->compat, fit->compat);
  assert_int_equal(back->constant_columns, fit->constant_columns);
  assert_int_equal(back->spectrum_count, fit->spectrum_count);
  same_values("total_variance", &fit->total_variance, &back->total_variance, 1);
  same_values("mean", fit->mean, back->mean, fit->d);
  same_values("shift", fit->shift, back->shift, fit->d);
  same_values("scale", fit->scale, back->scale, fit->d);
  same_values("components", fit->components, back->components, fit->k * fit->d);
  same_values("explained_variance", fit->explained_variance, back->explained_variance, fit->k);
  same_values("explained_ratio", fit->explained_ratio, back->explained_ratio, fit->k);
  same_values("spectrum", fit->spectrum, back->spectrum, fit->spectrum_count);
  assert_int_equal(back->components == NULL, fit->k == 0);
  if (fit->solver == NULL)
    assert_null(back->solver);
  else
    assert_string_equal(back->solver, fit->solver);
  same_features(text);
  pmn_fit_destroy(back);
  pmn_free(text);
}

static void projections_come_back(void **state) {
  (void)state;
  sample s;
  sample_fill(&s);
  projection_round_trip(&s.fit);
  static const char *const solvers[] = {"dsyevd", "dsyevd of the Gram matrix", "dsyevr", "a solver of another version"};
  for (size_t i = 0; i < sizeof solvers / sizeof *solvers; i++) {
    s.fit.solver = solvers[i];
    s.fit.with_mean = i % 2 == 0;
    s.fit.with_std = i / 2 == 0;
    s.fit.compat = PMN_COMPAT_SKLEARN;
    s.scale[2] = 1.0; /* infinite by Spark's rule alone */
    projection_round_trip(&s.fit);
  }
  s.fit.d = s.fit.k = s.fit.spectrum_count = 1;
  s.fit.n = 2;
  projection_round_trip(&s.fit);
  s.fit.d = D;
  s.fit.k = s.fit.spectrum_count = s.fit.constant_columns = 0;
  s.fit.solver = NULL;
  s.fit.components = s.fit.explained_variance = s.fit.explained_ratio = s.fit.spectrum = NULL;
  s.fit.total_variance = 0.0;
  projection_round_trip(&s.fit);
}

/* m2 may be anything below its diagonal and comes back as 0 there. */
static void moments_round_trip(const pmn_moments_view *view) {
  pmn_err err = PMN_ERR_INIT;
  pmn_stored_moments back;
  int32_t d = view->d;
  check_ok(save_moments(path, true, view, features, &err));
  check_ok(pmn_moments_load(path, &back, &err));
  assert_int_equal(back.view.n, view->n);
  assert_int_equal(back.view.d, d);
  same_values("origin", view->origin, back.view.origin, d);
  same_values("offset", view->offset, back.view.offset, d);
  same_values("squares", view->squares, back.view.squares, d);
  assert_int_equal(back.view.m2 == NULL, view->m2 == NULL);
  for (int32_t i = 0; view->m2 != NULL && i < d; i++) {
    same_values("m2", view->m2 + i * d + i, back.view.m2 + i * d + i, d - i);
    for (int32_t j = 0; j < i; j++) assert_true(back.view.m2[i * d + j] == 0.0);
  }
  same_features(back.features);
  pmn_stored_moments_reset(&back);
  assert_null(back.features);
}

static void moments_come_back(void **state) {
  (void)state;
  enum { WIDE = 300 }; /* rows that lie across the buffer's end */
  sample s;
  sample_fill(&s);
  for (size_t i = 0; i < D; i++) {
    for (size_t j = 0; j < i; j++) s.m2[i * D + j] = NAN;
  }
  moments_round_trip(&s.moments);
  s.moments.m2 = NULL;
  moments_round_trip(&s.moments);
  s.moments = (pmn_moments_view){1, 1, s.mean, s.shift, s.squares, s.m2};
  moments_round_trip(&s.moments);
  double *many = malloc((size_t)WIDE * (WIDE + 3) * sizeof *many);
  assert_non_null(many);
  fill(many, 0, (size_t)WIDE * (WIDE + 3));
  s.moments = (pmn_moments_view){WIDE, WIDE, many, many + WIDE, many + 2 * (size_t)WIDE, many + 3 * (size_t)WIDE};
  moments_round_trip(&s.moments);
  free(many);
}

/* ------------------------------------------------------------------------------------------------ damaged files -- */

typedef struct bytes {
  size_t size;
  char data[8192];
} bytes;

static bytes read_bytes(void) {
  bytes b = {0};
  FILE *file = fopen(path, "rb");
  assert_non_null(file);
  b.size = fread(b.data, 1, sizeof b.data - 1, file);
  assert_in_range(b.size, 9, sizeof b.data - 2);
  fclose(file);
  return b;
}

static void write_bytes(const bytes *b) {
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(b->data, 1, b->size, file), b->size);
  fclose(file);
}

static size_t header_size(const bytes *b) {
  return (size_t)(unsigned char)b->data[0] | (size_t)(unsigned char)b->data[1] << 8;
}

/* Puts `to` for the first `from` of the header, and its new length. */
static void replace(bytes *b, const char *from, const char *to) {
  char *at = memmem(b->data + 8, header_size(b), from, strlen(from));
  if (at == NULL) fail_msg("the header has no %s", from);
  size_t tail = b->size - (size_t)(at - b->data) - strlen(from), length = header_size(b) + strlen(to) - strlen(from);
  assert_true(b->size + strlen(to) < sizeof b->data);
  memmove(at + strlen(to), at + strlen(from), tail);
  memcpy(at, to, strlen(to));
  b->size += strlen(to) - strlen(from);
  b->data[0] = (char)(length & 255);
  b->data[1] = (char)(length >> 8);
}

static void refuse(bool projection, const char *text) {
  pmn_err err = PMN_ERR_INIT;
  pmn_fit *fit = (pmn_fit *)path;
  pmn_stored_moments moments = {.features = path};
  char *loaded = path;
  if (projection) {
    check_fails(pmn_projection_load(path, &fit, &loaded, &err), PMN_STATUS_MODEL, text);
    assert_null(fit);
    assert_null(loaded);
  } else {
    check_fails(pmn_moments_load(path, &moments, &err), PMN_STATUS_MODEL, text);
    assert_null(moments.features);
    assert_null(moments.view.origin);
  }
  assert_non_null(strstr(err.message, path));
}

#define ENTRY(name, shape, offsets)                                                                                    \
  "\"" name "\":{\"dtype\":\"F64\",\"shape\":[" shape "],\"data_offsets\":[" offsets "]}"

static const struct {
  bool projection;
  const char *from, *to, *text;
} lies[] = {
    {true, "pomona.projection", "pomona.moments", "holds moments, not a projection; use pomona merge"},
    {false, "pomona.moments", "pomona.projection", "holds a projection, not moments; give it to --projection"},
    {true, "pomona.projection", "pt",
        "does not hold a projection: its metadata have no \"format\" \"pomona.projection\""},
    {true, "\"format\"", "\"former\"", "does not hold a projection"},
    {false, "pomona.moments", "", "does not hold moments: its metadata have no \"format\" \"pomona.moments\""},
    {true, "\"version\":\"1\"", "\"version\":\"2\"", "has version 2 of its format"},
    {false, "\"version\":\"1\"", "\"version\":\"20\"", "has version 20 of its format"},
    {true, "\"version\":\"1\"", "\"version\":\"0\"", "its metadata have no \"version\""},
    {true, "\"version\":\"1\"", "\"version\":\"one\"", "its metadata have no \"version\""},
    {true, "\"version\"", "\"verse\"", "its metadata have no \"version\""},
    {true, "\"record\":", "\"rec\":", "its record must be a JSON object"},
    {true, "\"record\":\"{", "\"record\":\"[{", "its record must be a JSON object"},
    {true, "\"record\":\"{", "\"record\":\"{\\\"n\\\":3,", "its record must be a JSON object"},
    {true, "\\\"features\\\":{", "\\\"feature\\\":{", "does not say of which features"},
    {false, "\\\"features\\\":{", "\\\"features\\\":3,\\\"f\\\":{", "does not say of which features"},
    {true, "\\\"n\\\":10", "\\\"n\\\":1", "no n between 2 and 9007199254740992"},
    {true, "\\\"n\\\":10", "\\\"n\\\":9007199254740993", "no n between"},
    {true, "\\\"n\\\":10", "\\\"n\\\":10.0", "no n between"},
    {true, "\\\"n\\\":10", "\\\"m\\\":10", "no n between"},
    {true, "\\\"n\\\":10", "\\\"n\\\":2", "no k between 0 and 2"},
    {true, "\\\"n\\\":10", "\\\"n\\\":3", "spectrum has 4 values; there must be 3 to 3"},
    {false, "\\\"n\\\":1099511627776", "\\\"n\\\":0", "no n between 1 and"},
    {false, "\\\"n\\\":1099511627776", "\\\"n\\\":-1", "no n between 1 and"},
    {true, "\\\"d\\\":5", "\\\"d\\\":0", "no d between 1 and 2147483647"},
    {true, "\\\"d\\\":5", "\\\"d\\\":4294967301", "no d between"},
    {true, "\\\"d\\\":5", "\\\"d\\\":4", "tensor mean is not F64 of the shape that its record gives, 1 x 4"},
    {false, "\\\"d\\\":5", "\\\"d\\\":0", "no d between"},
    {false, "\\\"d\\\":5", "\\\"d\\\":6", "tensor origin is not F64 of the shape that its record gives, 1 x 6"},
    {true, "\\\"k\\\":3", "\\\"k\\\":-1", "no k between 0 and 5"},
    {true, "\\\"k\\\":3", "\\\"k\\\":6", "no k between 0 and 5"},
    {true, "\\\"k\\\":3", "\\\"k\\\":5", "spectrum has 4 values; there must be 5 to 5"},
    {true, "\\\"k\\\":3", "\\\"k\\\":2", "explained_variance is not F64 of the shape"},
    {true, "\\\"k\\\":3", "\\\"k\\\":0", "a solver without components"},
    {true, "\\\"solver\\\":\\\"block Lanczos\\\"", "\\\"solver\\\":null", "or the other way round"},
    {true, "\\\"with_mean\\\":false", "\\\"with_mean\\\":0", "no with_mean that is true or false"},
    {true, "\\\"with_std\\\":true", "\\\"with_sdt\\\":true", "no with_std that is true or false"},
    {true, "spark", "Spark", "no compat that is sklearn or spark"},
    {true, "\\\"spark\\\"", "1", "no compat that is sklearn or spark"},
    {true, "\\\"total_variance\\\":0", "\\\"total_variance\\\":-0", "no total_variance"},
    {true, "\\\"total_variance\\\":", "\\\"variance\\\":", "no total_variance"},
    {true, "\\\"constant_columns\\\":1", "\\\"constant_columns\\\":6", "no constant_columns between 0 and 5"},
    {true, "\"spectrum\":", "\"spektrum\":", "spectrum has 0 values"},
    {true, "\"shift\":", "\"shaft\":", "there is no tensor shift"},
    {false, "\"squares\":", "\"m3\":", "there is no tensor squares"},
    {false, "\"m2\":", "\"m3\":", "there are more tensors than the 3 that belong there"},
    {true, ENTRY("mean", "5", "0,40"), "\"mean\":{\"dtype\":\"I64\",\"shape\":[5],\"data_offsets\":[0,40]}",
        "tensor mean is not F64"},
    {true, ENTRY("mean", "5", "0,40"), ENTRY("mean", "5,1", "0,40"), "tensor mean is not F64"},
    {true, ENTRY("mean", "5", "0,40"), ENTRY("mean", "6", "0,48"), "a hole or an overlap"},
    {true, "\"shape\":[3,5]", "\"shape\":[5,3]", "components is not F64 of the shape that its record gives, 3 x 5"},
    {true, "\"shape\":[3,5]", "\"shape\":[1,15]", "components is not F64 of the shape"},
    {true, "\"shape\":[3,5]", "\"shape\":[15]", "components is not F64 of the shape"},
    {false, "\"shape\":[5,5]", "\"shape\":[25]", "m2 is not F64 of the shape that its record gives, 5 x 5"},
    {false, ENTRY("m2", "5,5", "120,320"), ENTRY("m2", "4,5", "120,280") "," ENTRY("m3", "5", "280,320"),
        "m2 is not F64 of the shape that its record gives, 5 x 5"},
    {true, "\"shift\":", ENTRY("more", "0", "40,40") ",\"shift\":", "there are more tensors than the 7"},
};

/* Values by their place in the data: seven tensors, or four. */
static const struct {
  bool projection;
  size_t at;
  double value;
  const char *text;
} bad_values[] = {
    {true, 0, NAN, "value 0 of mean is nan: it must be finite"},
    {true, 9, -INFINITY, "value 4 of shift is -inf: it must be finite"},
    {true, 10, 0.0, "value 0 of scale is 0: it must be positive"},
    {true, 11, -1.5, "value 1 of scale is -1.5"},
    {true, 14, NAN, "value 4 of scale is nan"},
    {true, 15, INFINITY, "value 0 of explained_variance is inf"},
    {true, 16, -1.0, "value 1 of explained_variance is -1: it must be finite and not negative"},
    {true, 19, -0.25, "value 1 of explained_ratio is -0.25"},
    {true, 22, -1e-9, "value 1 of spectrum is -1e-09"},
    {true, 20, INFINITY, "value 2 of explained_ratio is inf"},
    {true, 24, NAN, "value 3 of spectrum is nan"},
    {true, 25 + 14, INFINITY, "value 14 of components is inf"},
    {false, 4, INFINITY, "value 4 of origin is inf"},
    {false, 10, -1.0, "value 0 of squares is -1: it must be finite and not negative"},
    {false, 14, INFINITY, "value 4 of squares is inf"},
    {false, 15 + 24, NAN, "value 24 of m2 is nan"},
    {false, 15 + 5, INFINITY, "value 5 of m2 is inf"},
};

static void damaged_files_are_refused(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  sample s;
  bytes sound[2];
  sample_fill(&s);
  for (int projection = 0; projection < 2; projection++) {
    check_ok(projection ? save_projection(path, true, &s.fit, features, &err)
                        : save_moments(path, true, &s.moments, features, &err));
    sound[projection] = read_bytes();
    assert_int_equal((8 + header_size(&sound[projection])) % 64, 0);
  }
  for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
    bytes b = sound[lies[i].projection];
    replace(&b, lies[i].from, lies[i].to);
    check_sign(b.data, b.size);
    write_bytes(&b);
    refuse(lies[i].projection, lies[i].text);
  }
  for (size_t i = 0; i < sizeof bad_values / sizeof *bad_values; i++) {
    bytes b = sound[bad_values[i].projection];
    memcpy(b.data + 8 + header_size(&b) + bad_values[i].at * 8, &bad_values[i].value, 8);
    check_sign(b.data, b.size);
    write_bytes(&b);
    refuse(bad_values[i].projection, bad_values[i].text);
  }
  for (size_t size = 0; size < sound[1].size; size++) {
    bytes b = sound[1];
    b.size = size;
    write_bytes(&b);
    refuse(true, size < 8                            ? "too few for a safetensors file"
                 : size < 8 + header_size(&sound[1]) ? "not a safetensors file"
                                                     : "data_offsets do not give");
  }
}

/* Of every byte one bit after another: each is refused, wherever it is. */
static void every_flipped_bit_is_refused(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  sample s;
  sample_fill(&s);
  for (int projection = 0; projection < 2; projection++) {
    check_ok(projection ? save_projection(path, true, &s.fit, features, &err)
                        : save_moments(path, true, &s.moments, features, &err));
    bytes b = read_bytes();
    for (size_t at = 0; at < b.size; at++) {
      char bit = (char)(1 << at % 8);
      b.data[at] ^= bit;
      write_bytes(&b);
      refuse(projection, at < 8 + header_size(&b) ? "" : "is damaged: its bytes have SHA-256 ");
      b.data[at] ^= bit;
    }
    replace(&b, "\"sha256\":", "\"sha257\":");
    write_bytes(&b);
    refuse(projection, "its metadata have no \"sha256\": it is damaged, or of an older pomona; make it again");
  }
}

static void what_is_no_file_is_refused(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  pmn_fit *fit = NULL;
  pmn_stored_moments moments;
  char *text = NULL, fifo[128];
  FILE *table = fopen(path, "wb");
  assert_non_null(table);
  fputs("path,label,f0\n", table);
  fclose(table);
  check_fails(pmn_projection_load(path, &fit, &text, &err), PMN_STATUS_MODEL,
      "file.proj is not a projection, or is damaged: not a safetensors file: its first 8 bytes give");
  assert_int_equal(remove(path), 0);
  check_fails(pmn_projection_load("s3://bucket/a.proj", &fit, &text, &err), PMN_STATUS_ARGUMENT,
      "s3://bucket/a.proj: only a file on a disk can be read as a projection: copy it first (aws s3 cp)");
  check_fails(pmn_moments_load("s3://bucket/a", &moments, &err), PMN_STATUS_ARGUMENT, "can be read as moments");
  check_fails(pmn_projection_load(path, &fit, &text, &err), PMN_STATUS_NOT_FOUND, "No such file");
  check_fails(pmn_moments_load(folder, &moments, &err), PMN_STATUS_NOT_FOUND, "is not a regular file");
  snprintf(fifo, sizeof fifo, "%s/fifo", folder);
  assert_int_equal(mkfifo(fifo, 0600), 0);
  check_fails(pmn_projection_load(fifo, &fit, &text, &err), PMN_STATUS_NOT_FOUND, "is not a regular file");
}

/* ------------------------------------------------------------------------------------------------------ writing -- */

static int files_in_folder(void) {
  char command[128];
  snprintf(command, sizeof command, "test -z \"$(ls -A '%s')\"", folder);
  return system(command);
}

static void what_could_not_be_read_is_not_written(void **state) {
  (void)state;
  static const char *const not_objects[] = {"", "[]", "{\"a\":1,\"a\":2}", "{} {}"};
  pmn_err err = PMN_ERR_INIT;
  sample s;
  sample_fill(&s);
  for (size_t i = 0; i < sizeof not_objects / sizeof *not_objects; i++) {
    check_fails(save_projection(path, false, &s.fit, not_objects[i], &err), PMN_STATUS_ARGUMENT,
        "its features must be a JSON object");
    check_fails(save_moments(path, false, &s.moments, not_objects[i], &err), PMN_STATUS_ARGUMENT,
        "its features must be a JSON object");
  }
  s.components[14] = NAN;
  check_fails(save_projection(path, false, &s.fit, features, &err), PMN_STATUS_ARGUMENT,
      "value 14 of components is nan: it must be finite");
  s.fit.total_variance = INFINITY;
  check_fails(save_projection(path, false, &s.fit, features, &err), PMN_STATUS_ARGUMENT, "total variance is inf");
  s.moments.n = 0;
  check_fails(save_moments(path, false, &s.moments, features, &err), PMN_STATUS_ARGUMENT, "of no rows");
  s.moments.n = 1;
  s.m2[24] = INFINITY;
  check_fails(save_moments(path, false, &s.moments, features, &err), PMN_STATUS_ARGUMENT, "value 24 of m2 is inf");
  assert_int_equal(files_in_folder(), 0);
}

static void files_are_written_whole_or_not_at_all(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  sample s;
  char away[128];
  sample_fill(&s);
  snprintf(away, sizeof away, "%s/no/file.proj", folder);
  check_fails(save_projection(away, false, &s.fit, features, &err), PMN_STATUS_WRITE, "its folder does not exist");
  check_fails(save_moments(folder, true, &s.moments, features, &err), PMN_STATUS_WRITE, "it is a folder");
  if (geteuid() != 0) {
    assert_int_equal(chmod(folder, 0500), 0);
    check_fails(save_projection(path, false, &s.fit, features, &err), PMN_STATUS_WRITE, "Permission denied");
    assert_int_equal(chmod(folder, 0700), 0);
  }
  struct rlimit old, small;
  signal(SIGXFSZ, SIG_IGN);
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
  small = (struct rlimit){500, old.rlim_max};
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
  pmn_status projection = save_projection(path, false, &s.fit, features, &err);
  pmn_status moments = save_moments(path, false, &s.moments, features, &err);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
  assert_int_equal(projection, PMN_STATUS_WRITE);
  check_fails(moments, PMN_STATUS_WRITE, "File too large");
  assert_int_equal(files_in_folder(), 0);

  check_ok(save_projection(path, false, &s.fit, features, &err));
  bytes before = read_bytes();
  check_fails(save_projection(path, false, &s.fit, "{}", &err), PMN_STATUS_EXISTS, "exists; choose another name");
  check_fails(save_moments(path, false, &s.moments, features, &err), PMN_STATUS_EXISTS, "exists");
  bytes after = read_bytes();
  assert_int_equal(before.size, after.size);
  assert_memory_equal(before.data, after.data, before.size);
}

/* ------------------------------------------------------------------------------------------------------- memory -- */

static pmn_status save_and_load(const sample *s, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_fit *fit = NULL;
  char *text = NULL;
  pmn_stored_moments moments = {0};
  PMN_TRY(save_projection(path, true, &s->fit, features, err));
  PMN_TRY(pmn_projection_load(path, &fit, &text, err));
  PMN_TRY(save_moments(path, true, &s->moments, features, err));
  PMN_TRY(pmn_moments_load(path, &moments, err));
  PMN_TRY(pmn_features_compare(text, moments.features, "f.proj", err));
  PMN_TRY(pmn_features_compare(text, features, "f.proj", err));
done:
  pmn_fit_destroy(fit);
  pmn_free(text);
  pmn_stored_moments_reset(&moments);
  return st;
}

static void every_allocation_may_fail(void **state) {
  (void)state;
  sample s;
  pmn_status status = PMN_STATUS_NO_MEMORY;
  int64_t k = 0;
  int before = dup(0), after;
  close(before);
  sample_fill(&s);
  for (; status != PMN_STATUS_OK && k < 100; k++) {
    pmn_err err = PMN_ERR_INIT;
    pmn_mem_fail_after(k);
    status = save_and_load(&s, &err);
    pmn_mem_fail_after(-1);
    if (status == PMN_STATUS_OK) break;
    if (status != PMN_STATUS_NO_MEMORY || err.status != status || strstr(err.message, "bytes of memory for") == NULL)
      fail_msg("allocation %d: status %d, \"%s\"", (int)k, (int)status, err.message);
  }
  assert_int_equal(status, PMN_STATUS_OK);
  assert_in_range(k, 30, 60);
  after = dup(0);
  close(after);
  assert_int_equal(before, after); /* no file stays open */
}

/* jansson's allocations: so many more succeed. (One that fails alone makes its parser abort, in 2.14.) */
static int64_t jansson_left;
static bool jansson_failed;

static void *jansson_alloc(size_t size) {
  if (jansson_left-- > 0) return malloc(size);
  jansson_failed = true;
  return NULL;
}

/* jansson's parser calls some failures bad syntax, so the status may be any; but what is said to be good is good. */
static void jansson_may_fail(void **state) {
  (void)state;
  sample s;
  int64_t k = 0;
  sample_fill(&s);
  pmn_err err = PMN_ERR_INIT;
  char other[128];
  snprintf(other, sizeof other, "%s/other.proj", folder);
  check_ok(save_projection(path, true, &s.fit, features, &err));
  json_set_alloc_funcs(jansson_alloc, free);
  do {
    pmn_fit *fit = NULL;
    char *text = NULL;
    jansson_failed = false;
    jansson_left = k;
    pmn_status status = pmn_projection_load(path, &fit, &text, &err);
    jansson_left = INT64_MAX;
    if (status == PMN_STATUS_OK) same_features(text);
    pmn_fit_destroy(fit);
    pmn_free(text);
    jansson_left = k;
    status = save_projection(other, true, &s.fit, features, &err);
    jansson_left = INT64_MAX;
    fit = NULL;
    text = NULL;
    if (status == PMN_STATUS_OK) check_ok(pmn_projection_load(other, &fit, &text, &err));
    pmn_fit_destroy(fit);
    pmn_free(text);
    jansson_left = k;
    assert_int_not_equal(pmn_features_compare(features, "{\"network\":\"b\"}", "f.proj", &err), PMN_STATUS_OK);
    k++;
  } while (jansson_failed);
  json_set_alloc_funcs(malloc, free);
  assert_in_range(k, 100, 2000);
}

static int write_samples(const char *where) {
  pmn_err err = PMN_ERR_INIT;
  sample s;
  char names[4][256];
  static const char *const files[] = {"full.proj", "scaler.proj", "full.moments", "diagonal.moments"};
  for (int i = 0; i < 4; i++) snprintf(names[i], sizeof names[i], "%s/%s", where, files[i]);
  sample_fill(&s);
  pmn_fit scaler = s.fit;
  scaler.k = scaler.spectrum_count = 0;
  scaler.solver = NULL;
  pmn_moments_view diagonal = s.moments;
  diagonal.m2 = NULL;
  bool good = save_projection(names[0], false, &s.fit, features, &err) == PMN_STATUS_OK &&
              save_projection(names[1], false, &scaler, features, &err) == PMN_STATUS_OK &&
              save_moments(names[2], false, &s.moments, features, &err) == PMN_STATUS_OK &&
              save_moments(names[3], false, &diagonal, features, &err) == PMN_STATUS_OK;
  if (!good) fprintf(stderr, "%s\n", err.message);
  return good ? 0 : 1;
}

int main(int argc, char **argv) {
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(projections_come_back),
      TEST(moments_come_back),
      TEST(damaged_files_are_refused),
      TEST(every_flipped_bit_is_refused),
      TEST(what_is_no_file_is_refused),
      TEST(what_could_not_be_read_is_not_written),
      TEST(files_are_written_whole_or_not_at_all),
      TEST(every_allocation_may_fail),
      TEST(jansson_may_fail),
  };
  if (argc == 2) return write_samples(argv[1]);
  return check_exit(cmocka_run_group_tests(tests, NULL, NULL));
}
