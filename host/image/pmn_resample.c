/* pmn_resample.c - Pillow's Image.resize for RGB, to the bit: the two passes on the host.
 *
 * What the passes are, and which goes first, say the rules (pmn_resample_rules.h).
 *
 * Invariants: weights are kept while the input size stays, which it does over whole folders.
 */
#include "pmn_resample_rows.h"

#include "pmn_image.h"
#include "pmn_mem.h"

#include <string.h>

struct pmn_resampler {
  pmn_filter filter;
  int32_t width, height;
  pmn_weights across, down; /* of nearest only `first` is used */
  uint8_t *rows;            /* between the passes */
  size_t rows_size;
  uint8_t *mix; /* rows side by side */
  size_t mix_size;
};

pmn_status pmn_resampler_create(
    pmn_filter filter, int32_t width, int32_t height, pmn_resampler **resampler, pmn_err *err) {
  *resampler = NULL;
  if (width < 1 || height < 1)
    return pmn_err_set(
        err, PMN_STATUS_ARGUMENT, 0, "cannot resize to %d x %d pixels: a side is at least 1", (int)width, (int)height);
  *resampler = pmn_calloc(1, sizeof **resampler);
  if (*resampler == NULL) return pmn_err_memory(err, sizeof **resampler, "a resampler");
  (*resampler)->filter = filter;
  (*resampler)->width = width;
  (*resampler)->height = height;
  return PMN_STATUS_OK;
}

void pmn_resampler_destroy(pmn_resampler *resampler) {
  if (resampler == NULL) return;
  pmn_weights_reset(&resampler->across);
  pmn_weights_reset(&resampler->down);
  pmn_free(resampler->rows);
  pmn_free(resampler->mix);
  pmn_free(resampler);
}

/* The weights of one direction, unless they are at hand. */
static pmn_status weights_prepare(pmn_filter filter, int32_t in, int32_t out, pmn_weights *w, pmn_err *err) {
  return w->in == in ? PMN_STATUS_OK : pmn_weights_make(filter, in, out, w, err);
}

/* -------------------------------------------------------------------------------------------------------- nearest --
 */

static pmn_status nearest_run(pmn_resampler *r, const pmn_image *image, uint8_t *out, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t stride_in = (size_t)image->width * 3, stride_out = (size_t)r->width * 3;
  PMN_TRY(weights_prepare(r->filter, image->width, r->width, &r->across, err));
  PMN_TRY(weights_prepare(r->filter, image->height, r->height, &r->down, err));
  for (int32_t y = 0; y < r->height; y++, out += stride_out) {
    const uint8_t *row = image->rgb + (size_t)r->down.first[y] * stride_in;
    if (y > 0 && r->down.first[y] == r->down.first[y - 1]) {
      memcpy(out, out - stride_out, stride_out);
      continue;
    }
    for (int32_t x = 0; x < r->width; x++) memcpy(out + (size_t)x * 3, row + (size_t)r->across.first[x] * 3, 3);
  }
done:
  return st;
}

/* ----------------------------------------------------------------------------------------------------- two passes --
 */

static pmn_status room(uint8_t **memory, size_t *capacity, size_t count, size_t size, pmn_err *err) {
  size_t bytes = 0;
  if (!pmn_size_mul(count, size, &bytes)) return pmn_err_memory(err, SIZE_MAX, "resampling");
  if (bytes <= *capacity) return PMN_STATUS_OK;
  pmn_free(*memory);
  *capacity = 0;
  *memory = pmn_alloc_aligned(bytes, 1);
  if (*memory == NULL) return pmn_err_memory(err, bytes, "resampling");
  *capacity = bytes;
  return PMN_STATUS_OK;
}

/* Rows [0, rows) of `in`, PMN_ROWS_ACROSS at a time; the last of them repeat the last row. */
static void run_across(pmn_resampler *r, const uint8_t *in, int32_t rows, uint8_t *out) {
  size_t stride_in = (size_t)r->across.in * 3, stride_out = (size_t)r->width * 3;
  for (int32_t y = 0; y < rows; y += PMN_ROWS_ACROSS) {
    const uint8_t *from[PMN_ROWS_ACROSS];
    uint8_t *to[PMN_ROWS_ACROSS];
    for (int32_t i = 0; i < PMN_ROWS_ACROSS; i++) {
      size_t row = (size_t)(i < rows - y ? y + i : rows - 1);
      from[i] = in + row * stride_in;
      to[i] = out + row * stride_out;
    }
    pmn_resample_across(&r->across, from, r->mix, to);
  }
}

static void run_down(const pmn_resampler *r, const uint8_t *in, int32_t width, uint8_t *out) {
  const pmn_weights *w = &r->down;
  size_t stride = (size_t)width * 3;
  for (int32_t y = 0; y < r->height; y++)
    pmn_resample_down(in + (size_t)w->first[y] * stride, stride, w->weights + (size_t)y * w->taps, w->count[y], stride,
        out + (size_t)y * stride);
}

static pmn_status run_both(pmn_resampler *r, const pmn_image *image, uint8_t *out, pmn_err *err) {
  bool down_first = pmn_resample_down_first(image->width, image->height, r->width, r->height);
  int32_t width = down_first ? image->width : r->width, height = down_first ? r->height : image->height;
  pmn_status st = room(&r->rows, &r->rows_size, (size_t)height, (size_t)width * 3, err);
  if (st != PMN_STATUS_OK) return st;
  if (down_first) {
    run_down(r, image->rgb, width, r->rows);
    run_across(r, r->rows, height, out);
  } else {
    run_across(r, image->rgb, height, r->rows);
    run_down(r, r->rows, width, out);
  }
  return st;
}

pmn_status pmn_resampler_run(pmn_resampler *resampler, const pmn_image *image, uint8_t *out, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_resampler *r = resampler;
  bool across = image->width != r->width, down = image->height != r->height;
  if (!across && !down) {
    memcpy(out, image->rgb, (size_t)r->width * (size_t)r->height * 3);
    return st;
  }
  if (r->filter == PMN_FILTER_NEAREST) return nearest_run(r, image, out, err);
  if (across) PMN_TRY(weights_prepare(r->filter, image->width, r->width, &r->across, err));
  if (down) PMN_TRY(weights_prepare(r->filter, image->height, r->height, &r->down, err));
  if (across) PMN_TRY(room(&r->mix, &r->mix_size, (size_t)image->width, 4 * PMN_ROWS_ACROSS, err));
  if (across && down)
    PMN_TRY(run_both(r, image, out, err));
  else if (across)
    run_across(r, image->rgb, image->height, out);
  else
    run_down(r, image->rgb, r->width, out);
done:
  return st;
}
