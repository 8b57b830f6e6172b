/* pmn_prepare.c - see pmn_prepare.h.
 *
 * Grey is resized as three equal channels, of which one is kept: the resampler has one form, and each of its channels
 * is Pillow's resampling of an "L" picture.
 */
#include "pmn_prepare.h"

#include "pmn_mem.h"

struct pmn_preparer {
  pmn_prepare_options options;
  pmn_resampler *resampler;
  pmn_buf gray, three; /* of one picture; only if grey is asked for */
};

static size_t pixel_count(const pmn_prepare_options *options) {
  return (size_t)options->width * (size_t)options->height;
}

size_t pmn_prepare_bytes(const pmn_prepare_options *options) {
  return pixel_count(options) * (options->kind == PMN_PREPARE_GRAY ? 1 : 3);
}

pmn_status pmn_preparer_create(const pmn_prepare_options *options, pmn_preparer **preparer, pmn_err *err) {
  pmn_preparer *self = pmn_calloc(1, sizeof *self);
  *preparer = NULL;
  if (self == NULL) return pmn_err_memory(err, sizeof *self, "resizing");
  self->options = *options;
  pmn_buf_init(&self->gray, SIZE_MAX);
  pmn_buf_init(&self->three, SIZE_MAX);
  pmn_status st = pmn_resampler_create(options->filter, options->width, options->height, &self->resampler, err);
  if (st == PMN_STATUS_OK)
    *preparer = self;
  else
    pmn_preparer_destroy(self);
  return st;
}

void pmn_preparer_destroy(pmn_preparer *preparer) {
  if (preparer == NULL) return;
  pmn_resampler_destroy(preparer->resampler);
  pmn_buf_reset(&preparer->gray);
  pmn_buf_reset(&preparer->three);
  pmn_free(preparer);
}

/* Grey as three equal channels. */
static pmn_status make_gray(pmn_preparer *self, const pmn_image *image, pmn_image *gray, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t count = (size_t)image->width * (size_t)image->height;
  PMN_TRY(pmn_buf_reserve(&self->gray, count, err));
  PMN_TRY(pmn_buf_reserve(&self->three, 3 * count, err));
  const uint8_t *from = (const uint8_t *)self->gray.data;
  uint8_t *to = (uint8_t *)self->three.data;
  pmn_gray_convert(image->rgb, count, (uint8_t *)self->gray.data);
  for (size_t i = 0; i < count; i++) to[3 * i] = to[3 * i + 1] = to[3 * i + 2] = from[i];
  *gray = (pmn_image){.width = image->width, .height = image->height, .rgb = to};
done:
  return st;
}

static pmn_status resize_gray(pmn_preparer *self, const pmn_image *image, uint8_t *out, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t count = pixel_count(&self->options);
  pmn_image gray;
  PMN_TRY(make_gray(self, image, &gray, err));
  PMN_TRY(pmn_buf_reserve(&self->gray, 3 * count, err));
  uint8_t *three = (uint8_t *)self->gray.data;
  PMN_TRY(pmn_resampler_run(self->resampler, &gray, three, err));
  for (size_t i = 0; i < count; i++) out[i] = three[3 * i];
done:
  return st;
}

pmn_status pmn_preparer_run(
    pmn_preparer *preparer, const pmn_image *image, pmn_buf *out, const char **stage, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t size = pmn_prepare_bytes(&preparer->options);
  *stage = "resize";
  pmn_buf_clear(out);
  PMN_TRY(pmn_buf_reserve(out, size, err));
  if (preparer->options.kind == PMN_PREPARE_GRAY)
    PMN_TRY(resize_gray(preparer, image, (uint8_t *)out->data, err));
  else
    PMN_TRY(pmn_resampler_run(preparer->resampler, image, (uint8_t *)out->data, err));
  out->size = size;
done:
  return st;
}
