/* pmn_maker_network.c - rows that are what a network makes of pictures.
 *
 * A device that resizes gets pictures as they are, unless they are large: one that shrinks to a fraction of its bytes
 * is resized by the feed, which costs the host less than sending it. */
#include "pmn_maker.h"

#include "pmn_mem.h"
#include "pmn_model.h"
#include "pmn_networks.h"
#include "pmn_record.h"
#include "pmn_s3.h"

#include <jansson.h>
#include <string.h>

enum { SLOTS_MAX = PMN_MAKER_DEVICES_MAX * PMN_NETWORK_SLOTS_MAX };

typedef struct network {
  pmn_maker maker;
  pmn_model *model;                             /* until the devices have its weights */
  pmn_network *networks[PMN_MAKER_DEVICES_MAX]; /* one a device; maker slot s is slot s / count of network s % count */
  int32_t count;
  size_t picture; /* bytes of one */
  /* Where the device resizes: of each slot's next batch, sizes [batch_max] and bytes so far. */
  pmn_picture_size *sizes[SLOTS_MAX];
  size_t bytes[SLOTS_MAX];
  bool resizes;
} network;

/* A picture of noise: into `input` as it is, into `resized` by the host. */
static pmn_status make_probe(
    pmn_resampler *host, pmn_picture_size size, uint32_t *state, uint8_t *input, uint8_t *resized, pmn_err *err) {
  size_t bytes = (size_t)size.width * (size_t)size.height * 3;
  for (size_t i = 0; i < bytes; i++) {
    *state = *state * 1664525u + 1013904223u; /* Numerical Recipes, 2nd ed., section 7.1 */
    input[i] = (uint8_t)(*state >> 24);
  }
  return pmn_resampler_run(host, &(pmn_image){size.width, size.height, input}, resized, err);
}

/* Drivers do miscompile kernels: pictures that need either order of passes must give the rows that they give when the
 * host resizes them, to the bit. */
static pmn_status check_resizing(
    const network *self, pmn_network *one, const pmn_device *device, int32_t batch_max, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_prepare_options *prepare = &self->maker.prepare;
  int32_t w = prepare->width, h = prepare->height;
  const pmn_picture_size sizes[] = {{w + w / 2, h / 2 + 1}, {w / 2 + 1, h + h / 2}, {2 * w - 1, 2 * h - 1}};
  int32_t n = batch_max < 3 ? batch_max : 3;
  size_t row = (size_t)self->maker.width, at = 0;
  uint32_t state = 1;
  void *input;
  pmn_resampler *host = NULL;
  float *rows = pmn_alloc(2 * (size_t)n * row, sizeof *rows);
  uint8_t *resized = pmn_alloc((size_t)n, self->picture);
  if (rows == NULL || resized == NULL) PMN_TRY(pmn_err_memory(err, self->picture, "the check of a device"));
  PMN_TRY(pmn_resampler_create(prepare->filter, w, h, &host, err));
  PMN_TRY(pmn_network_input(one, 0, &input, err));
  for (int32_t i = 0; i < n; i++) {
    PMN_TRY(make_probe(host, sizes[i], &state, (uint8_t *)input + at, resized + (size_t)i * self->picture, err));
    at += (size_t)sizes[i].width * (size_t)sizes[i].height * 3;
  }
  PMN_TRY(pmn_network_submit_pictures(one, 0, sizes, n, err));
  PMN_TRY(pmn_network_collect(one, 0, rows, err));
  PMN_TRY(pmn_network_run(one, resized, n, rows + (size_t)n * row, err));
  if (memcmp(rows, rows + (size_t)n * row, (size_t)n * row * sizeof *rows) != 0) {
    PMN_FAIL(err, PMN_STATUS_DEVICE,
        "%s (%s) computes wrong: pictures that it resizes give other features than those resized here; choose another "
        "--device or --backend cpu",
        device->info.name, device->info.driver);
  }
done:
  pmn_resampler_destroy(host);
  pmn_free(rows);
  pmn_free(resized);
  return st;
}

/* All devices are of one kind: they resize, or none does. */
static pmn_status open_resizing(network *self, pmn_device *const *devices, int32_t batch_max, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_prepare_options *prepare = &self->maker.prepare;
  for (int32_t i = 0; i < self->count; i++)
    PMN_TRY(pmn_network_resize(self->networks[i], prepare->filter, &self->resizes, err));
  if (!self->resizes) goto done;
  prepare->kind = PMN_PREPARE_RAW;
  for (int32_t i = 0; i < self->maker.slots; i++) {
    self->sizes[i] = pmn_alloc((size_t)batch_max, sizeof *self->sizes[i]);
    if (self->sizes[i] == NULL) PMN_TRY(pmn_err_memory(err, (size_t)batch_max * sizeof *self->sizes[i], "a batch"));
  }
  for (int32_t i = 0; i < self->count; i++)
    PMN_TRY(check_resizing(self, self->networks[i], devices[i], batch_max, err));
done:
  return st;
}

static pmn_status open_network(
    pmn_maker *maker, pmn_device *const *devices, int32_t count, int32_t batch_max, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  network *self = (network *)maker;
  const pmn_program *program = pmn_model_program(self->model);
  for (; self->count < count; self->count++)
    PMN_TRY(pmn_network_create(devices[self->count], program, batch_max, &self->networks[self->count], err));
  if (devices[0]->precision != PMN_PRECISION_FP32)
    PMN_TRY(pmn_selfcheck_precision(self->networks[0], program, &maker->error, err));
  pmn_model_destroy(self->model);
  self->model = NULL;
  maker->slots = count * pmn_network_slots(self->networks[0]);
  PMN_TRY(open_resizing(self, devices, batch_max, err));
done:
  return st;
}

static pmn_status put(pmn_maker *maker, int32_t slot, int32_t index, const pmn_picture *picture, pmn_err *err) {
  network *self = (network *)maker;
  void *pixels;
  pmn_status st = pmn_network_input(self->networks[slot % self->count], slot / self->count, &pixels, err);
  if (st != PMN_STATUS_OK) return st;
  if (!self->resizes) {
    memcpy((uint8_t *)pixels + (size_t)index * self->picture, picture->data, self->picture);
    return st;
  }
  pmn_image image = pmn_prepared_rgb(picture->data);
  size_t size = (size_t)image.width * (size_t)image.height * 3;
  if (index == 0) self->bytes[slot] = 0;
  memcpy((uint8_t *)pixels + self->bytes[slot], image.rgb, size);
  self->bytes[slot] += size;
  self->sizes[slot][index] = (pmn_picture_size){image.width, image.height};
  return st;
}

static pmn_status begin(pmn_maker *maker, int32_t slot, int32_t n, pmn_err *err) {
  const network *self = (const network *)maker;
  pmn_network *one = self->networks[slot % self->count];
  int32_t its_slot = slot / self->count;
  if (self->resizes) return pmn_network_submit_pictures(one, its_slot, self->sizes[slot], n, err);
  return pmn_network_submit(one, its_slot, n, err);
}

static pmn_status collect(pmn_maker *maker, int32_t slot, int32_t n, float *rows, pmn_err *err) {
  (void)n;
  network *self = (network *)maker;
  return pmn_network_collect(self->networks[slot % self->count], slot / self->count, rows, err);
}

static double seconds(const pmn_maker *maker) {
  const network *self = (const network *)maker;
  double sum = 0.0;
  for (int32_t i = 0; i < self->count; i++) sum += pmn_network_seconds(self->networks[i]);
  return sum;
}

static pmn_status project(pmn_maker *maker, const pmn_linear_map *map, bool *taken, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  network *self = (network *)maker;
  for (int32_t i = 0; i < self->count; i++) {
    bool took = false;
    PMN_TRY(pmn_network_project(self->networks[i], map, &took, err));
    if (i > 0 && took != *taken)
      PMN_FAIL(err, PMN_STATUS_DEVICE, "of devices that share batches one projects and another does not");
    *taken = took;
  }
done:
  return st;
}

static void destroy(pmn_maker *maker) {
  network *self = (network *)maker;
  for (int32_t i = 0; i < self->count; i++) pmn_network_destroy(self->networks[i]);
  pmn_model_destroy(self->model);
  for (int32_t i = 0; i < SLOTS_MAX; i++) pmn_free(self->sizes[i]);
  pmn_free(self);
}

static const pmn_maker_kind kind = {.stage = "network",
    .computes = true,
    .shares = true,
    .open = open_network,
    .put = put,
    .begin = begin,
    .collect = collect,
    .project = project,
    .seconds = seconds,
    .destroy = destroy};

const pmn_program *pmn_maker_network_program(const pmn_maker *maker) {
  const pmn_model *model = maker->kind == &kind ? ((const network *)maker)->model : NULL;
  return model != NULL ? pmn_model_program(model) : NULL;
}

/* Weights fetched before, for a network of the zoo that has none inside and was given none. What is wrong with the
 * choices is told first: nobody shall download for a run that cannot be. */
static pmn_status find_weights(const pmn_model_options *options, pmn_buf *path, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_architecture *architecture = pmn_architecture_find(options->network);
  bool found = false, classifier = false;
  if (options->weights != NULL || architecture == NULL || architecture->embedded != NULL) return PMN_STATUS_OK;
  PMN_TRY(pmn_model_check(options, &classifier, err));
  PMN_TRY(pmn_networks_weights(architecture, options->width, options->height, classifier, path, &found, err));
  if (found) return PMN_STATUS_OK;
  const pmn_weights_entry *entry = pmn_weights_choose(options->network, options->width, options->height, classifier);
  PMN_FAIL(err, PMN_STATUS_NOT_FOUND,
      "%s has no weights here%s: fetch them once with pomona weights fetch %s, or give a file with --weights",
      options->network, classifier ? " that hold its classifier" : "", entry != NULL ? entry->name : options->network);
done:
  return st;
}

static pmn_status open_model(network *self, const pmn_extract_options *o, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_buf weights;
  pmn_buf_init(&weights, 1 << 16);
  pmn_model_options options = {.network = o->features != NULL ? o->features : "efficientnet_lite0",
      .weights = o->weights,
      .width = o->width,
      .height = o->height,
      .preprocess = o->preprocess,
      .resize = o->resize,
      .layers = o->layers,
      .layer_count = (int32_t)o->layer_count,
      .pooling = PMN_POOLING_AVERAGE};
  const char *const files[] = {o->weights, o->features};
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    if (files[i] == NULL || !pmn_s3_is_uri(files[i])) continue;
    PMN_FAIL(err, PMN_STATUS_ARGUMENT,
        "%.300s: only a file on a disk can be read as a network: copy it first (aws s3 cp), and name the copy",
        files[i]);
  }
  if (o->gray) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "networks look at colours: gray is of pixels");
  if (o->pool != NULL && !pmn_pooling_find(o->pool, &options.pooling))
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "no pooling is called \"%s\"; there are avg, max and none", o->pool);
  PMN_TRY(find_weights(&options, &weights, err));
  if (options.weights == NULL) options.weights = weights.data;
  PMN_TRY(pmn_model_create(&options, &self->model, err));
  const pmn_preprocess *prepare = pmn_model_preprocess(self->model);
  self->maker.prepare =
      (pmn_prepare_options){.kind = PMN_PREPARE_RGB, .width = prepare->width, .height = prepare->height};
  if (!pmn_filter_find(prepare->resize, &self->maker.prepare.filter)) {
    PMN_FAIL(err, PMN_STATUS_MODEL, "%s: no filter is called \"%s\"", pmn_model_origin(self->model), prepare->resize);
  }
  self->picture = pmn_prepare_bytes(&self->maker.prepare);
  self->maker.width = pmn_model_width(self->model);
  self->maker.features = pmn_record_features(self->model, options.pooling);
  /* Left out in fp32: what was saved before there was another precision fits still. */
  pmn_precision precision;
  if (pmn_precision_find(o->precision, &precision) && precision != PMN_PRECISION_FP32 &&
      json_object_set_new(self->maker.features, "precision", json_string(pmn_precision_name(precision))) != 0)
    PMN_TRY(pmn_err_memory(err, 1, "the run record"));
done:
  pmn_buf_reset(&weights);
  return st;
}

pmn_status pmn_maker_network(const pmn_extract_options *options, pmn_maker **maker, pmn_err *err) {
  network *self = pmn_calloc(1, sizeof *self);
  if (self == NULL) return pmn_err_memory(err, sizeof *self, "a network");
  self->maker.kind = &kind;
  *maker = &self->maker;
  return open_model(self, options, err);
}
