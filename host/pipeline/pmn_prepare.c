/* pmn_prepare.c - see pmn_prepare.h.
 *
 * Grey is resized as three equal channels, of which one is kept: the resampler has one form, and each of its channels
 * is Pillow's resampling of an "L" picture.
 */
#include "pmn_prepare.h"

#include "pmn_mem.h"

#include <pthread.h>
#include <string.h>

struct pmn_preparer {
  pmn_prepare_options options;
  pmn_resampler *resampler;   /* NULL: no resizing */
  pmn_describer *describer;   /* NULL unless descriptors are asked for */
  pmn_buf gray, three, small; /* of one picture: grey, as three channels, and those resized */
};

static size_t pixel_count(const pmn_prepare_options *options) {
  return (size_t)options->width * (size_t)options->height;
}

static size_t keypoint_bytes(const pmn_prepare_options *options) {
  return sizeof(pmn_keypoint) + (size_t)pmn_descriptor_bytes(options->descriptor);
}

pmn_described pmn_prepared_view(const pmn_prepare_options *options, const void *data, size_t size) {
  size_t count = size / keypoint_bytes(options);
  const pmn_keypoint *keypoints = data;
  return (pmn_described){.count = (int32_t)count,
      .keypoints = keypoints,
      .descriptors = count > 0 ? (const uint8_t *)(keypoints + count) : NULL};
}

/* In front of the pixels of a picture that has a size of its own. */
typedef struct plain_size {
  int32_t width, height;
} plain_size;

pmn_gray_picture pmn_prepared_gray(const void *data) {
  const plain_size *size = data;
  return (pmn_gray_picture){(const uint8_t *)(size + 1), size->width, size->height};
}

pmn_image pmn_prepared_rgb(const void *data) {
  const plain_size *size = data;
  return (pmn_image){size->width, size->height, (const uint8_t *)(size + 1)};
}

size_t pmn_prepare_bytes(const pmn_prepare_options *options) {
  if (options->kind == PMN_PREPARE_RAW) return sizeof(plain_size) + PMN_RAW_PIXELS * pixel_count(options) * 3;
  if (options->kind == PMN_PREPARE_DESCRIBE) return (size_t)options->keypoints_max * keypoint_bytes(options);
  return pixel_count(options) * (options->kind == PMN_PREPARE_RGB ? 3 : 1);
}

pmn_status pmn_preparer_create(const pmn_prepare_options *options, pmn_preparer **preparer, pmn_err *err) {
  pmn_preparer *self = pmn_calloc(1, sizeof *self);
  *preparer = NULL;
  if (self == NULL) return pmn_err_memory(err, sizeof *self, "resizing");
  self->options = *options;
  pmn_buf_init(&self->gray, SIZE_MAX);
  pmn_buf_init(&self->three, SIZE_MAX);
  pmn_buf_init(&self->small, SIZE_MAX);
  pmn_status st = PMN_STATUS_OK;
  if (options->width > 0)
    PMN_TRY(pmn_resampler_create(options->filter, options->width, options->height, &self->resampler, err));
  if (options->kind == PMN_PREPARE_DESCRIBE)
    PMN_TRY(pmn_describer_create(options->descriptor, options->keypoints_max, &self->describer, err));
  *preparer = self;
  self = NULL;
done:
  pmn_preparer_destroy(self);
  return st;
}

void pmn_preparer_destroy(pmn_preparer *preparer) {
  if (preparer == NULL) return;
  pmn_resampler_destroy(preparer->resampler);
  pmn_buf_reset(&preparer->gray);
  pmn_buf_reset(&preparer->three);
  pmn_buf_reset(&preparer->small);
  pmn_describer_destroy(preparer->describer);
  pmn_free(preparer);
}

/* The grey picture, resized unless it is to stay as it is: *gray is a view into the preparer. */
static pmn_status make_gray(pmn_preparer *self, const pmn_image *image, const uint8_t **gray, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t count = (size_t)image->width * (size_t)image->height, small = pixel_count(&self->options);
  PMN_TRY(pmn_buf_reserve(&self->gray, count > small ? count : small, err));
  uint8_t *one = (uint8_t *)self->gray.data;
  *gray = one;
  pmn_gray_convert(image->rgb, count, one);
  if (self->resampler == NULL) goto done;
  PMN_TRY(pmn_buf_reserve(&self->three, 3 * count, err));
  PMN_TRY(pmn_buf_reserve(&self->small, 3 * small, err));
  uint8_t *from = (uint8_t *)self->three.data, *to = (uint8_t *)self->small.data;
  for (size_t i = 0; i < count; i++) from[3 * i] = from[3 * i + 1] = from[3 * i + 2] = one[i];
  pmn_image three = {.width = image->width, .height = image->height, .rgb = from};
  PMN_TRY(pmn_resampler_run(self->resampler, &three, to, err));
  for (size_t i = 0; i < small; i++) one[i] = to[3 * i];
done:
  return st;
}

static pmn_status append_described(
    pmn_preparer *self, pmn_describer *describer, const uint8_t *gray, plain_size size, pmn_buf *out, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_described described;
  PMN_TRY(pmn_describer_run(describer, gray, size.width, size.height, &described, err));
  size_t count = (size_t)described.count, bytes = (size_t)pmn_descriptor_bytes(self->options.descriptor);
  PMN_TRY(pmn_buf_append(out, described.keypoints, count * sizeof(pmn_keypoint), err));
  PMN_TRY(pmn_buf_append(out, described.descriptors, count * bytes, err));
done:
  return st;
}

/* What wants much memory has it alone, and gives it back. */
static pmn_status describe_large(pmn_preparer *self, const uint8_t *gray, plain_size size, pmn_buf *out, pmn_err *err) {
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  const pmn_prepare_options *o = &self->options;
  pmn_describer *describer = NULL;
  pthread_mutex_lock(&lock);
  pmn_status st = pmn_describer_create(o->descriptor, o->keypoints_max, &describer, err);
  if (st == PMN_STATUS_OK) st = append_described(self, describer, gray, size, out, err);
  pmn_describer_destroy(describer);
  pthread_mutex_unlock(&lock);
  return st;
}

/* Keypoints and descriptors of the grey picture, or the picture for somebody else to describe. Who refuses a picture
 * for its size is the same for both. */
static pmn_status describe(pmn_preparer *self, const pmn_image *image, pmn_buf *out, const char **stage, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_prepare_options *o = &self->options;
  const uint8_t *gray;
  plain_size size = {image->width, image->height};
  if (o->width > 0) size = (plain_size){o->width, o->height};
  PMN_TRY(make_gray(self, image, &gray, err));
  *stage = "describe";
  PMN_TRY(pmn_describer_check(size.width, size.height, err));
  double need = pmn_describer_memory(o->descriptor, size.width, size.height), most = (double)o->memory;
  if (need > most) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT,
        "%d x %d pixels need %.4g MB of memory to be described, but may take %.4g MB: allow more with --memory, or "
        "make "
        "pictures smaller with --size",
        size.width, size.height, need / 1e6, most / 1e6);
  }
  if (o->kind == PMN_PREPARE_PLAIN) {
    PMN_TRY(pmn_buf_append(out, &size, sizeof size, err));
    PMN_TRY(pmn_buf_append(out, gray, (size_t)size.width * (size_t)size.height, err));
  } else if (need * o->threads > most / 2) {
    PMN_TRY(describe_large(self, gray, size, out, err));
  } else {
    PMN_TRY(append_described(self, self->describer, gray, size, out, err));
  }
done:
  return st;
}

/* As it is, or resized: who takes it in knows which from its size. */
static pmn_status make_raw(pmn_preparer *self, const pmn_image *image, pmn_buf *out, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_prepare_options *o = &self->options;
  bool raw = pmn_resample_takes_raw(image->width, image->height, o->width, o->height);
  plain_size size = {raw ? image->width : o->width, raw ? image->height : o->height};
  size_t bytes = (size_t)size.width * (size_t)size.height * 3;
  PMN_TRY(pmn_buf_append(out, &size, sizeof size, err));
  if (raw) {
    PMN_TRY(pmn_buf_append(out, image->rgb, bytes, err));
    goto done;
  }
  PMN_TRY(pmn_buf_reserve(out, out->size + bytes, err));
  PMN_TRY(pmn_resampler_run(self->resampler, image, (uint8_t *)out->data + out->size, err));
  out->size += bytes;
done:
  return st;
}

pmn_status pmn_preparer_run(
    pmn_preparer *preparer, const pmn_image *image, pmn_buf *out, const char **stage, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t size = pmn_prepare_bytes(&preparer->options);
  const uint8_t *gray;
  *stage = "resize";
  pmn_buf_clear(out);
  pmn_prepare_kind kind = preparer->options.kind;
  if (kind == PMN_PREPARE_DESCRIBE || kind == PMN_PREPARE_PLAIN) return describe(preparer, image, out, stage, err);
  if (kind == PMN_PREPARE_RAW) return make_raw(preparer, image, out, err);
  PMN_TRY(pmn_buf_reserve(out, size, err));
  if (kind == PMN_PREPARE_GRAY) {
    PMN_TRY(make_gray(preparer, image, &gray, err));
    memcpy(out->data, gray, size);
  } else {
    PMN_TRY(pmn_resampler_run(preparer->resampler, image, (uint8_t *)out->data, err));
  }
  out->size = size;
done:
  return st;
}
