/* pmn_maker_words.c - rows that tell how often each word of a vocabulary occurs in a picture: bags of visual words
 * (Csurka et al., 2004). Without keypoints a row is all zeros, and counted. */
#include "pmn_maker_words.h"

#include "pmn_mem.h"
#include "pmn_run.h"

#include <jansson.h>
#include <string.h>

enum { KEYPOINTS = 500 /* of a picture, if nothing is said */ };

typedef struct bag {
  pmn_maker maker;
  pmn_lexicon words; /* without a vocabulary until they are learnt, and where keypoints alone are wanted */
  bool idf;
  pmn_word_norm norm;
  pmn_device *device;
  pmn_finder *finder; /* of words; NULL until the first batch that has descriptors */
  pmn_describing *describing;
  const pmn_described *described; /* of the batch, once it is collected */
  int32_t *nearest;               /* [nearest_max] word of each descriptor of the batch */
  size_t nearest_max;
} bag;

static pmn_status open_bag(
    pmn_maker *maker, pmn_device *const *devices, int32_t count, int32_t batch_max, pmn_err *err) {
  (void)count, (void)batch_max;
  bag *self = (bag *)maker;
  self->device = devices[0];
  return pmn_describing_create(devices[0], &maker->prepare, &self->describing, err);
}

static pmn_status put(pmn_maker *maker, int32_t slot, int32_t index, const pmn_picture *picture, pmn_err *err) {
  (void)slot;
  return pmn_describing_put(((bag *)maker)->describing, index, picture, err);
}

static pmn_status collect(pmn_maker *maker, int32_t slot, int32_t n, float *rows, pmn_err *err) {
  (void)slot;
  pmn_status st = PMN_STATUS_OK;
  bag *self = (bag *)maker;
  const pmn_vocabulary *v = self->words.vocabulary;
  size_t count = 0;
  const uint8_t *descriptors = NULL; /* of the batch, picture after picture */
  PMN_TRY(pmn_describing_run(self->describing, &self->described, err));
  const pmn_described *described = self->described;
  if (v == NULL) goto done; /* keypoints alone are wanted */
  for (int32_t i = 0; i < n; i++) {
    if (count == 0) descriptors = described[i].descriptors;
    count += (size_t)described[i].count;
  }
  if (count > self->nearest_max) {
    pmn_free(self->nearest);
    self->nearest_max = 0;
    self->nearest = pmn_alloc(count, sizeof *self->nearest);
    if (self->nearest == NULL) PMN_TRY(pmn_err_memory(err, count * sizeof *self->nearest, "words"));
    self->nearest_max = count;
  }
  if (count > 0 && self->finder == NULL) PMN_TRY(pmn_finder_create(self->device, v, &self->finder, err));
  if (count > 0) PMN_TRY(pmn_finder_run(self->finder, descriptors, (int32_t)count, self->nearest, NULL, err));
  const int32_t *nearest = self->nearest;
  for (int32_t i = 0; i < n; i++) {
    float *row = rows + (size_t)i * (size_t)v->k;
    pmn_histogram_make(nearest, described[i].count, v->k, self->idf ? self->words.idf : NULL, self->norm, row);
    if (described[i].count > 0) nearest += described[i].count;
  }
done:
  return st;
}

static int32_t keypoints(const pmn_maker *maker, int32_t index) {
  return ((const bag *)maker)->described[index].count;
}

static void destroy(pmn_maker *maker) {
  bag *self = (bag *)maker;
  pmn_finder_destroy(self->finder);
  pmn_lexicon_reset(&self->words);
  pmn_describing_destroy(self->describing);
  pmn_free(self->nearest);
  pmn_free(self);
}

static const pmn_maker_kind kind = {.stage = "words",
    .computes = true,
    .open = open_bag,
    .put = put,
    .collect = collect,
    .keypoints = keypoints,
    .destroy = destroy};

bool pmn_maker_wants_words(const pmn_maker *maker) {
  return maker->kind == &kind && ((const bag *)maker)->words.vocabulary == NULL;
}

const pmn_lexicon *pmn_maker_look_words(const pmn_maker *maker) {
  return maker->kind == &kind ? &((const bag *)maker)->words : NULL;
}

void pmn_maker_say_words(const pmn_maker *maker, pmn_extract_options *options) {
  const pmn_prepare_options *p = &maker->prepare;
  options->words = maker->width;
  options->keypoints = p->keypoints_max;
  options->width = p->width;
  options->height = p->height;
  options->resize = p->width > 0 ? pmn_filter_name(p->filter) : NULL;
}

pmn_describing *pmn_maker_look_describing(const pmn_maker *maker) {
  return maker->kind == &kind ? ((const bag *)maker)->describing : NULL;
}

const pmn_described *pmn_maker_look_described(const pmn_maker *maker) {
  return maker->kind == &kind ? ((const bag *)maker)->described : NULL;
}

pmn_status pmn_maker_take_words(pmn_maker *maker, pmn_lexicon *words, pmn_err *err) {
  bag *self = (bag *)maker;
  self->words = *words;
  *words = (pmn_lexicon){0};
  bool good = json_object_set_new(maker->features, "vocabulary_sha256", json_string(self->words.sha256)) == 0;
  return good ? PMN_STATUS_OK : pmn_err_memory(err, 1, "the run record");
}

/* ---------------------------------------------------------------------------------------------------- options -- */

bool pmn_maker_is_bare(const pmn_extract_options *o) {
  return o->output == NULL && o->save_keypoints != NULL;
}

static pmn_status check(const pmn_extract_options *o, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  if (o->weights != NULL || o->layer_count > 0 || o->pool != NULL || o->preprocess != NULL)
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "weights, layers, pooling and preprocessing are of networks: %s has none",
        o->features);
  if (o->gray)
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s looks at grey pictures in any case: gray is of pixels", o->features);
  if (o->words < 0 || o->words > PMN_WORDS_MAX || o->keypoints < 0 || o->keypoints > PMN_KEYPOINTS_MAX ||
      o->mini_batch < 0) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "a number is out of range: words to %d, keypoints to %d, a mini-batch from 0",
        PMN_WORDS_MAX, PMN_KEYPOINTS_MAX);
  }
  if (pmn_maker_is_bare(o)) goto done;
  if ((o->words > 0) == (o->vocabulary != NULL)) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT,
        "%s counts words: say how many are to be learnt (--words 30), or give those of another run (--vocabulary "
        "FILE)%s",
        o->features, o->words > 0 ? ", not both" : "");
  }
  if (o->vocabulary != NULL && (o->save_vocabulary != NULL || o->start != NULL || o->mini_batch > 0))
    PMN_FAIL(
        err, PMN_STATUS_ARGUMENT, "%.300s has its words: nothing is learnt, and nothing to be saved", o->vocabulary);
  if (o->words > 0 && o->statistics.projection != NULL) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT,
        "a projection goes with the words that it was made for: give them with --vocabulary, do not learn new ones");
  }
  if (o->start != NULL && strcmp(o->start, "k-means++") != 0 && strcmp(o->start, "random") != 0)
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "k-means starts from \"k-means++\" or \"random\", not from \"%s\"", o->start);
done:
  return st;
}

static pmn_status take_counting(bag *self, const pmn_extract_options *o, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  static const char *const norms[] = {
      [PMN_WORD_NORM_NONE] = "none", [PMN_WORD_NORM_L1] = "l1", [PMN_WORD_NORM_L2] = "l2"};
  const char *weighting = o->weighting != NULL ? o->weighting : "tf", *norm = o->norm != NULL ? o->norm : "none";
  self->idf = strcmp(weighting, "tf-idf") == 0;
  if (!self->idf && strcmp(weighting, "tf") != 0)
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "words are weighted \"tf\" or \"tf-idf\", not \"%s\"", weighting);
  size_t i = 0;
  while (i < sizeof norms / sizeof *norms && strcmp(norms[i], norm) != 0) i++;
  if (i == sizeof norms / sizeof *norms)
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "no norm is called \"%s\"; there are none, l1 and l2", norm);
  self->norm = (pmn_word_norm)i;
  pmn_maker *maker = &self->maker;
  const pmn_prepare_options *p = &maker->prepare;
  maker->features =
      pmn_maker_is_bare(o)
          ? json_pack("{s:s, s:i, s:i}", "descriptors", o->features, "width", 0, "keypoints", p->keypoints_max)
          : json_pack("{s:s, s:i, s:i, s:s, s:s}", "words", o->features, "width", maker->width, "keypoints",
                p->keypoints_max, "weighting", weighting, "norm", norm);
  if (maker->features == NULL) PMN_TRY(pmn_err_memory(err, 1, "the run record"));
  if (p->width > 0) {
    json_t *size =
        json_pack("{s:i, s:i, s:s}", "width", p->width, "height", p->height, "resize", pmn_filter_name(p->filter));
    if (json_object_set_new(maker->features, "resized", size) != 0) PMN_TRY(pmn_err_memory(err, 1, "the run record"));
  }
done:
  return st;
}

/* What the user does not say of the pictures is as it was for the words that are given. */
static pmn_status prepare_words(bag *self, const pmn_extract_options *o, pmn_lexicon *loaded, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_prepare_options *p = &self->maker.prepare;
  pmn_learning learning = {.keypoints_max = KEYPOINTS};
  *p = (pmn_prepare_options){.kind = PMN_PREPARE_DESCRIBE, .memory = pmn_statistics_memory(&o->statistics)};
  (void)pmn_descriptor_find(o->features, &p->descriptor); /* or we would not be here */
  self->maker.width = o->words;
  if (o->vocabulary != NULL) {
    PMN_TRY(pmn_lexicon_load(o->vocabulary, p->descriptor, loaded, err));
    self->maker.width = loaded->vocabulary->k;
    learning = loaded->learning;
  }
  p->keypoints_max = o->keypoints > 0 ? o->keypoints : learning.keypoints_max;
  p->width = o->width > 0 ? o->width : learning.width;
  p->height = o->width > 0 ? o->height : learning.height;
  p->filter = learning.width > 0 ? learning.filter : PMN_FILTER_BICUBIC;
  if (o->resize != NULL && p->width == 0)
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "pictures are described as they are: a filter to resize them goes with --size");
  if (o->resize != NULL) (void)pmn_filter_find(o->resize, &p->filter); /* it has been checked */
done:
  return st;
}

pmn_status pmn_maker_words(const pmn_extract_options *options, pmn_maker **maker, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_extract_options *o = options;
  pmn_lexicon loaded = {0};
  PMN_TRY(check(o, err));
  bag *self = pmn_calloc(1, sizeof *self);
  if (self == NULL) return pmn_err_memory(err, sizeof *self, "words");
  self->maker.kind = &kind;
  *maker = &self->maker;
  PMN_TRY(prepare_words(self, o, &loaded, err));
  PMN_TRY(take_counting(self, o, err));
  if (o->vocabulary != NULL) PMN_TRY(pmn_maker_take_words(*maker, &loaded, err));
done:
  pmn_lexicon_reset(&loaded);
  return st;
}
