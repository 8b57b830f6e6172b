/* pmn_maker_pixels.c - rows that are the pixels of small pictures: bytes, or what --preprocess makes of them.
 * Where every byte becomes itself the table is one of bytes.
 *
 * In the order height, width, channel, as numpy flattens a picture. A byte of a channel becomes one of 256 numbers,
 * made once.
 */
#include "pmn_maker.h"

#include "pmn_mem.h"
#include "pmn_preprocess.h"
#include "pmn_record.h"

#include <jansson.h>
#include <string.h>

typedef struct pixels {
  pmn_maker maker;
  bool bgr;
  int32_t channels;
  float values[3][256];
  uint8_t *bytes; /* [batch, height, width, channels] */
  size_t picture; /* bytes of one */
} pixels;

static pmn_status open_pixels(
    pmn_maker *maker, pmn_device *const *devices, int32_t count, int32_t batch_max, pmn_err *err) {
  (void)devices, (void)count;
  pixels *self = (pixels *)maker;
  self->bytes = pmn_alloc((size_t)batch_max, self->picture);
  return self->bytes != NULL ? PMN_STATUS_OK : pmn_err_memory(err, self->picture, "a batch of pictures");
}

static pmn_status put(pmn_maker *maker, int32_t slot, int32_t index, const pmn_picture *picture, pmn_err *err) {
  (void)slot, (void)err;
  pixels *self = (pixels *)maker;
  memcpy(self->bytes + (size_t)index * self->picture, picture->data, self->picture);
  return PMN_STATUS_OK;
}

static pmn_status collect(pmn_maker *maker, int32_t slot, int32_t n, float *rows, pmn_err *err) {
  (void)slot, (void)err;
  pixels *self = (pixels *)maker;
  size_t pixel_count = (size_t)n * self->picture / (size_t)self->channels;
  const uint8_t *bytes = self->bytes;
  if (self->channels == 1) {
    for (size_t i = 0; i < pixel_count; i++) rows[i] = self->values[0][bytes[i]];
    return PMN_STATUS_OK;
  }
  int first = self->bgr ? 2 : 0;
  for (size_t i = 0; i < pixel_count; i++) {
    const uint8_t *from = bytes + 3 * i;
    float *to = rows + 3 * i;
    to[0] = self->values[0][from[first]];
    to[1] = self->values[1][from[1]];
    to[2] = self->values[2][from[2 - first]];
  }
  return PMN_STATUS_OK;
}

static void destroy(pmn_maker *maker) {
  pmn_free(((pixels *)maker)->bytes);
  pmn_free(maker);
}

static const pmn_maker_kind kind = {
    .stage = "pixels", .open = open_pixels, .put = put, .collect = collect, .destroy = destroy};

/* The same for red, green and blue? */
static bool is_gray(const pmn_preprocess *p) {
  return p->scale[0] == p->scale[1] && p->scale[1] == p->scale[2] && p->shift[0] == p->shift[1] &&
         p->shift[1] == p->shift[2];
}

static pmn_status check(const pmn_extract_options *o, const pmn_preprocess **preprocess, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  PMN_TRY(pmn_preprocess_choose(o->preprocess != NULL ? o->preprocess : "raw", preprocess, err));
  if (o->weights != NULL || o->layer_count > 0 || o->pool != NULL)
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "weights, layers and pooling are of networks: pixels have none");
  if (o->width == 0) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "pixels of which size? Give width and height with --size");
  if (o->gray && !is_gray(*preprocess)) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT,
        "the preprocessing \"%s\" is of red, green and blue: gray pixels have one channel", (*preprocess)->name);
  }
done:
  return st;
}

pmn_status pmn_maker_pixels(const pmn_extract_options *options, pmn_maker **maker, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_extract_options *o = options;
  const pmn_preprocess *asked = NULL;
  PMN_TRY(check(o, &asked, err));
  pixels *self = pmn_calloc(1, sizeof *self);
  if (self == NULL) return pmn_err_memory(err, sizeof *self, "pixels");
  self->maker.kind = &kind;
  *maker = &self->maker;
  self->bgr = asked->bgr;
  self->channels = o->gray ? 1 : 3;
  pmn_preprocess preprocess = *asked;
  if (o->resize != NULL) preprocess.resize = o->resize;
  preprocess.width = o->width;
  preprocess.height = o->height;
  self->maker.prepare = (pmn_prepare_options){
      .kind = o->gray ? PMN_PREPARE_GRAY : PMN_PREPARE_RGB, .width = o->width, .height = o->height};
  if (!pmn_filter_find(preprocess.resize, &self->maker.prepare.filter))
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "no filter is called \"%s\"", preprocess.resize);
  self->picture = pmn_prepare_bytes(&self->maker.prepare);
  self->maker.width = (int32_t)self->picture;
  self->maker.bytes = true;
  for (int channel = 0; channel < 3; channel++) {
    for (int byte = 0; byte < 256; byte++) {
      float value = (float)(byte * preprocess.scale[channel] + preprocess.shift[channel]);
      self->values[channel][byte] = value;
      self->maker.bytes = self->maker.bytes && value == (float)byte;
    }
  }
  self->maker.features = json_pack("{s:s, s:i, s:o}", "pixels", o->gray ? "gray" : "RGB", "width", self->maker.width,
      "preprocess", pmn_record_preprocess(&preprocess, o->gray));
done:
  return st;
}
