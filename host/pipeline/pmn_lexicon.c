/* pmn_lexicon.c - see pmn_lexicon.h. */
#include "pmn_lexicon.h"

#include "pmn_mem.h"
#include "pmn_store_parts.h"

#include <jansson.h>
#include <string.h>

enum { T_WORDS, T_IDF, T_COUNT };
_Static_assert((int)T_COUNT == (int)PMN_LEXICON_TENSORS, "as pmn_store_parts.h has it");

static const char *const start_names[] = {[PMN_KMEANS_PLUSPLUS] = "k-means++", [PMN_KMEANS_RANDOM] = "random"};
enum { START_COUNT = sizeof start_names / sizeof *start_names };

void pmn_lexicon_reset(pmn_lexicon *words) {
  pmn_vocabulary_destroy(words->vocabulary);
  pmn_free(words->idf);
  *words = (pmn_lexicon){0};
}

static size_t value_count(const pmn_vocabulary *v) {
  return (size_t)v->k * (size_t)v->width;
}

pmn_status pmn_lexicon_hash(pmn_lexicon *words, pmn_err *err) {
  const pmn_vocabulary *v = words->vocabulary;
  size_t count = value_count(v);
  const void *parts[] = {v->binary ? (const void *)v->bits : v->centres, words->idf};
  const size_t sizes[] = {count * (v->binary ? 1 : sizeof *v->centres), (size_t)v->k * sizeof *words->idf};
  return pmn_sha256_hex(parts, sizes, 2, words->sha256, err);
}

void pmn_lexicon_list(const pmn_lexicon *words, const double *values, pmn_store_tensor tensors[PMN_LEXICON_TENSORS]) {
  const pmn_vocabulary *v = words->vocabulary;
  tensors[T_WORDS] = (pmn_store_tensor){
      .name = "words", .rows = v->k, .columns = v->width, .rule = PMN_VALUE_NOT_NEGATIVE, .values = values};
  tensors[T_IDF] = (pmn_store_tensor){.name = "idf", .columns = v->k, .rule = PMN_VALUE_POSITIVE};
  if (values != NULL) tensors[T_IDF].values = values + value_count(v);
}

pmn_status pmn_lexicon_values(const pmn_lexicon *words, double **result, pmn_err *err) {
  const pmn_vocabulary *v = words->vocabulary;
  size_t count = value_count(v), k = (size_t)v->k;
  double *values = *result = pmn_alloc(count + k, sizeof *values);
  if (values == NULL) return pmn_err_memory(err, (count + k) * sizeof *values, "a vocabulary");
  for (size_t i = 0; i < count; i++) values[i] = v->binary ? v->bits[i] : (double)v->centres[i];
  for (size_t i = 0; i < k; i++) values[count + i] = (double)words->idf[i];
  return PMN_STATUS_OK;
}

json_t *pmn_lexicon_describe(const pmn_lexicon *words) {
  const pmn_vocabulary *v = words->vocabulary;
  const pmn_learning *l = &words->learning;
  json_t *resized = l->width == 0 ? NULL
                                  : json_pack("{s:i, s:i, s:s}", "width", l->width, "height", l->height, "resize",
                                        pmn_filter_name(l->filter));
  return json_pack("{s:{s:s, s:i, s:o*}, s:s, s:i, s:I, s:i, s:I, s:I, s:i, s:f}", "features", "descriptor",
      pmn_descriptor_name(words->descriptor), "keypoints", l->keypoints_max, "resized", resized, "start",
      start_names[l->start], "mini_batch", l->mini_batch, "seed", (json_int_t)l->seed, "k", v->k, "pictures",
      (json_int_t)words->pictures, "descriptors", (json_int_t)v->points, "iterations", v->iterations, "inertia",
      v->inertia);
}

pmn_status pmn_lexicon_save(
    const char *path, bool overwrite, const pmn_lexicon *words, pmn_outfile **file, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_store_tensor tensors[T_COUNT];
  double *values = NULL;
  PMN_TRY(pmn_lexicon_values(words, &values, err));
  pmn_lexicon_list(words, values, tensors);
  PMN_TRY(
      pmn_store_write(path, overwrite, PMN_STORE_VOCABULARY, pmn_lexicon_describe(words), tensors, T_COUNT, file, err));
done:
  pmn_free(values);
  return st;
}

/* How the pictures were described, and the words drawn. */
static pmn_status read_learning(const pmn_stored *stored, pmn_learning *l, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  int32_t start;
  int64_t seed;
  pmn_stored inner = *stored;
  PMN_TRY(pmn_stored_choice(stored, "start", start_names, START_COUNT, &start, err));
  PMN_TRY(pmn_stored_count(stored, "mini_batch", 0, INT32_MAX, &l->mini_batch, err));
  PMN_TRY(pmn_stored_integer(stored, "seed", 0, INT64_MAX, &seed, err));
  l->start = (pmn_kmeans_start)start;
  l->seed = (uint64_t)seed;
  inner.section = json_object_get(stored->section, "features");
  PMN_TRY(pmn_stored_count(&inner, "keypoints", 1, PMN_KEYPOINTS_MAX, &l->keypoints_max, err));
  inner.section = json_object_get(inner.section, "resized");
  if (inner.section == NULL) goto done;
  PMN_TRY(pmn_stored_count(&inner, "width", 1, PMN_PREPARE_SIDE_MAX, &l->width, err));
  PMN_TRY(pmn_stored_count(&inner, "height", 1, PMN_PREPARE_SIDE_MAX, &l->height, err));
  const char *resize = json_string_value(json_object_get(inner.section, "resize"));
  if (resize == NULL || !pmn_filter_find(resize, &l->filter))
    PMN_FAIL(err, PMN_STATUS_MODEL, "%s: its record has no resize that is known", stored->path);
done:
  return st;
}

pmn_status pmn_lexicon_read(const pmn_stored *stored, pmn_lexicon *words, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_vocabulary *v = words->vocabulary;
  pmn_descriptor_kind theirs;
  const char *name = json_string_value(json_object_get(json_object_get(stored->section, "features"), "descriptor"));
  if (name == NULL || !pmn_descriptor_find(name, &theirs))
    PMN_FAIL(err, PMN_STATUS_MODEL, "%s: its record names no descriptor that is known", stored->path);
  if (theirs != words->descriptor) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s holds words of %s, these descriptors are %s", stored->path, name,
        pmn_descriptor_name(words->descriptor));
  }
  PMN_TRY(read_learning(stored, &words->learning, err));
  PMN_TRY(pmn_stored_count(stored, "k", 1, PMN_WORDS_MAX, &v->k, err));
  PMN_TRY(pmn_stored_integer(stored, "pictures", 1, PMN_STORE_ROWS_MAX, &words->pictures, err));
  PMN_TRY(pmn_stored_integer(stored, "descriptors", v->k, PMN_STORE_ROWS_MAX, &v->points, err));
  PMN_TRY(pmn_stored_count(stored, "iterations", 0, INT32_MAX, &v->iterations, err));
  PMN_TRY(pmn_stored_number(stored, "inertia", &v->inertia, err));
  v->binary = words->descriptor == PMN_DESCRIPTOR_ORB;
  v->width = pmn_descriptor_bytes(words->descriptor);
done:
  return st;
}

/* Numbers from a file to what they were. */
pmn_status pmn_lexicon_take(
    const pmn_stored *stored, const pmn_store_tensor tensors[PMN_LEXICON_TENSORS], pmn_lexicon *words, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_vocabulary *v = words->vocabulary;
  size_t count = value_count(v), k = (size_t)v->k;
  const double *values = tensors[T_WORDS].loaded;
  if (v->binary)
    v->bits = pmn_alloc(count, 1);
  else
    v->centres = pmn_alloc_aligned(count, sizeof *v->centres);
  words->idf = pmn_alloc(k, sizeof *words->idf);
  if ((v->bits == NULL && v->centres == NULL) || words->idf == NULL)
    PMN_TRY(pmn_err_memory(err, count * sizeof *v->centres, "a vocabulary"));
  for (size_t i = 0; i < count; i++) {
    if (values[i] > 255 || (v->binary && values[i] != (double)(uint8_t)values[i])) {
      PMN_FAIL(err, PMN_STATUS_MODEL, "%s: value %zu of words is %g: it must be %s", stored->path, i, values[i],
          v->binary ? "a byte" : "at most 255");
    }
    if (v->binary)
      v->bits[i] = (uint8_t)values[i];
    else
      v->centres[i] = (float)values[i];
  }
  for (size_t i = 0; i < k; i++) words->idf[i] = (float)tensors[T_IDF].loaded[i];
  PMN_TRY(pmn_lexicon_hash(words, err));
done:
  return st;
}

pmn_status pmn_lexicon_load(const char *path, pmn_descriptor_kind descriptor, pmn_lexicon *words, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_stored stored = {.path = path};
  pmn_store_tensor tensors[T_COUNT] = {0};
  *words = (pmn_lexicon){.descriptor = descriptor, .vocabulary = pmn_calloc(1, sizeof *words->vocabulary)};
  if (words->vocabulary == NULL) PMN_TRY(pmn_err_memory(err, sizeof *words->vocabulary, "a vocabulary"));
  PMN_TRY(pmn_stored_open(&stored, PMN_STORE_VOCABULARY, err));
  PMN_TRY(pmn_lexicon_read(&stored, words, err));
  pmn_lexicon_list(words, NULL, tensors);
  PMN_TRY(pmn_stored_tensors(&stored, tensors, T_COUNT, err));
  PMN_TRY(pmn_lexicon_take(&stored, tensors, words, err));
done:
  for (int i = 0; i < T_COUNT; i++) pmn_free(tensors[i].loaded);
  pmn_stored_reset(&stored);
  if (st != PMN_STATUS_OK) pmn_lexicon_reset(words);
  return st;
}
