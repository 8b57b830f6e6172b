/* pmn_resample.c - Pillow's Image.resize for RGB, to the bit.
 *
 * Bilinear and bicubic (a = -1/2) are filters of support 1 and 2 pixels, stretched by the scale where the picture gets
 * smaller, so that every input pixel counts. With s = in / out and f = max(s, 1), output pixel i lies at c = (i + 1/2)
 * s and takes the input pixels j from round(c - support f) up to round(c + support f), cut to the picture, with weights
 *
 *   k((j - c + 1/2) / f) / sum of them
 *
 * in doubles, then rounded to fixed point (pmn_resample_rows.h). First one direction, rounded to bytes, then the other;
 * a direction whose size stays is left out. Which goes first shows in the last bit: across, but down where the height
 * loses more than twice as many pixels as the width. That is Pillow's rule since 13.0; before, across always went
 * first. Nearest takes the pixel under a point that starts at s / 2 and moves on by s, summed up step by step as Pillow
 * does: the product would round otherwise.
 *
 * Invariants: weights are kept while the input size stays, which it does over whole folders.
 */
#include "pmn_resample_rows.h"

#include "pmn_image.h"
#include "pmn_mem.h"

#include <math.h>
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

bool pmn_filter_find(const char *name, pmn_filter *filter) {
  static const char *const names[] = {"nearest", "bilinear", "bicubic"};
  for (int i = 0; i < 3; i++) {
    if (strcmp(name, names[i]) != 0) continue;
    *filter = (pmn_filter)i;
    return true;
  }
  return false;
}

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

static void weights_reset(pmn_weights *w) {
  pmn_free(w->first);
  pmn_free(w->count);
  pmn_free(w->weights);
  *w = (pmn_weights){0};
}

void pmn_resampler_destroy(pmn_resampler *resampler) {
  if (resampler == NULL) return;
  weights_reset(&resampler->across);
  weights_reset(&resampler->down);
  pmn_free(resampler->rows);
  pmn_free(resampler->mix);
  pmn_free(resampler);
}

/* -------------------------------------------------------------------------------------------------------- weights --
 */

/* Order of operations is Pillow's: the last bit of a weight decides some pixels. */
static double kernel(pmn_filter filter, double x) {
  if (x < 0) x = -x;
  if (filter == PMN_FILTER_BILINEAR) return x < 1 ? 1 - x : 0;
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * -0.5;
  return 0;
}

static void weights_fill(pmn_filter filter, double support, double scale, double *exact, pmn_weights *w) {
  double stretch = scale < 1 ? 1 : scale, unit = 1 / stretch;
  for (int32_t i = 0; i < w->out; i++) {
    double centre = (i + 0.5) * scale, sum = 0;
    double low = centre - support + 0.5, high = centre + support + 0.5;
    int32_t first = low < 0 ? 0 : (int32_t)low;
    int32_t count = (high > w->in ? w->in : (int32_t)high) - first;
    int32_t *fixed = w->weights + (size_t)i * w->taps;
    for (int32_t t = 0; t < count; t++) {
      exact[t] = kernel(filter, (t + first - centre + 0.5) * unit);
      sum += exact[t];
    }
    for (int32_t t = 0; t < count; t++) {
      double share = sum != 0 ? exact[t] / sum : exact[t];
      fixed[t] = (int32_t)(share * (1 << PMN_WEIGHT_BITS) + (share < 0 ? -0.5 : 0.5));
    }
    w->first[i] = first;
    w->count[i] = count;
  }
}

/* Makes the weights of one direction, unless they are at hand. */
static pmn_status weights_prepare(pmn_filter filter, int32_t in, int32_t out, pmn_weights *w, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  double *exact = NULL;
  double scale = (double)in / out, support = (filter == PMN_FILTER_BICUBIC ? 2 : 1) * (scale < 1 ? 1 : scale);
  if (w->in == in) return st;
  weights_reset(w);
  double taps = 2 * ceil(support) + 1;
  size_t most = taps > in ? (size_t)in : (size_t)taps, total = 0;
  if (!pmn_size_mul(most, (size_t)out, &total)) PMN_TRY(pmn_err_memory(err, SIZE_MAX, "resampling weights"));
  w->first = pmn_alloc((size_t)out, sizeof *w->first);
  w->count = pmn_alloc((size_t)out, sizeof *w->count);
  w->weights = pmn_alloc(total, sizeof *w->weights);
  exact = pmn_alloc(most, sizeof *exact);
  if (w->first == NULL || w->count == NULL || w->weights == NULL || exact == NULL)
    PMN_TRY(pmn_err_memory(err, total * sizeof *w->weights, "resampling weights"));
  w->out = out;
  w->taps = most;
  w->in = in;
  weights_fill(filter, support, scale, exact, w);
done:
  if (st != PMN_STATUS_OK) weights_reset(w);
  pmn_free(exact);
  return st;
}

/* -------------------------------------------------------------------------------------------------------- nearest --
 */

static pmn_status nearest_prepare(int32_t in, int32_t out, pmn_weights *w, pmn_err *err) {
  if (w->in == in) return PMN_STATUS_OK;
  weights_reset(w);
  w->first = pmn_alloc((size_t)out, sizeof *w->first);
  if (w->first == NULL) return pmn_err_memory(err, (size_t)out * sizeof *w->first, "a resampling table");
  double step = (double)in / out, at = step * 0.5;
  for (int32_t i = 0; i < out; i++, at += step) w->first[i] = at < in ? (int32_t)at : in - 1;
  w->in = in;
  w->out = out;
  return PMN_STATUS_OK;
}

static pmn_status nearest_run(pmn_resampler *r, const pmn_image *image, uint8_t *out, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t stride_in = (size_t)image->width * 3, stride_out = (size_t)r->width * 3;
  PMN_TRY(nearest_prepare(image->width, r->width, &r->across, err));
  PMN_TRY(nearest_prepare(image->height, r->height, &r->down, err));
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
  int64_t lost_across = (int64_t)image->width - r->width, lost_down = (int64_t)image->height - r->height;
  bool down_first = lost_down > 0 && lost_down > 2 * lost_across;
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
