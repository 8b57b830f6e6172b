/* pmn_resample_rules.c - see pmn_resample_rules.h.
 *
 * Bilinear and bicubic (a = -1/2) are filters of support 1 and 2 pixels, stretched by the scale where the picture gets
 * smaller, so that every input pixel counts. With s = in / out and f = max(s, 1), output pixel i lies at c = (i + 1/2)
 * s and takes the input pixels j from round(c - support f) up to round(c + support f), cut to the picture, with weights
 *
 *   k((j - c + 1/2) / f) / sum of them
 *
 * in doubles, then rounded to fixed point. Nearest takes the pixel under a point that starts at s / 2 and moves on by
 * s, summed up step by step as Pillow does: the product would round otherwise.
 *
 * A direction whose size stays is left out. Of two, the first is rounded to bytes before the other. Which goes first
 * shows in the last bit: across, but down where the height loses more than twice as many pixels as the width. That is
 * Pillow's rule since 13.0; before, across always went first.
 */
#include "pmn_resample_rules.h"

#include "pmn_mem.h"

#include <math.h>
#include <string.h>

static const char *const filter_names[] = {
    [PMN_FILTER_NEAREST] = "nearest", [PMN_FILTER_BILINEAR] = "bilinear", [PMN_FILTER_BICUBIC] = "bicubic"};

const char *pmn_filter_name(pmn_filter filter) {
  return filter_names[filter];
}

bool pmn_filter_find(const char *name, pmn_filter *filter) {
  for (size_t i = 0; i < sizeof filter_names / sizeof *filter_names; i++) {
    if (strcmp(name, filter_names[i]) != 0) continue;
    *filter = (pmn_filter)i;
    return true;
  }
  return false;
}

void pmn_weights_reset(pmn_weights *weights) {
  pmn_free(weights->first);
  pmn_free(weights->count);
  pmn_free(weights->weights);
  *weights = (pmn_weights){0};
}

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

static pmn_status nearest_make(int32_t in, int32_t out, pmn_weights *w, pmn_err *err) {
  w->first = pmn_alloc((size_t)out, sizeof *w->first);
  if (w->first == NULL) return pmn_err_memory(err, (size_t)out * sizeof *w->first, "a resampling table");
  double step = (double)in / out, at = step * 0.5;
  for (int32_t i = 0; i < out; i++, at += step) w->first[i] = at < in ? (int32_t)at : in - 1;
  w->in = in;
  w->out = out;
  return PMN_STATUS_OK;
}

pmn_status pmn_weights_make(pmn_filter filter, int32_t in, int32_t out, pmn_weights *weights, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_weights *w = weights;
  double *exact = NULL;
  double scale = (double)in / out, support = (filter == PMN_FILTER_BICUBIC ? 2 : 1) * (scale < 1 ? 1 : scale);
  pmn_weights_reset(w);
  if (filter == PMN_FILTER_NEAREST) return nearest_make(in, out, w, err);
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
  if (st != PMN_STATUS_OK) pmn_weights_reset(w);
  pmn_free(exact);
  return st;
}

bool pmn_resample_down_first(int32_t in_width, int32_t in_height, int32_t width, int32_t height) {
  int64_t lost_across = (int64_t)in_width - width, lost_down = (int64_t)in_height - height;
  return lost_down > 0 && lost_down > 2 * lost_across;
}

bool pmn_resample_takes_raw(int32_t in_width, int32_t in_height, int32_t width, int32_t height) {
  int64_t pixels = (int64_t)in_width * in_height, most = PMN_RAW_PIXELS * (int64_t)width * height;
  return pixels <= most && in_width <= PMN_RAW_SIDE * (int64_t)width && in_height <= PMN_RAW_SIDE * (int64_t)height;
}
