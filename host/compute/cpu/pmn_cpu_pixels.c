/* pmn_cpu_pixels.c - what is done to one pixel or one run of floats at a time: activations, pools, products, softmax,
 * normalisations, blends. Compiled once per instruction set, as pmn_cpu_kernels.c is.
 *
 * Vectors run along channels. A last vector that is not full is loaded whole - behind every tensor there are
 * PMN_CPU_SLACK floats that may be read - and stored in part. Everything here waits for memory or for divisions, so
 * loops are simple; what it must be is exact. Sums of all channels are held in LANES partial sums and so depend on the
 * instruction set, but on nothing else.
 */
#include "pmn_cpu_math.h"

#include <math.h>

/* ----------------------------------------------------------------------------------------------- activations -- */

/* Every one is a function of v and alpha. e is exp(-|v|) or alike, never above 1, and the sign of v decides where it
 * stands: no intermediate overflows, nothing cancels. Definitions in pmn_program.h. */

INLINE vec none(vec v, vec alpha) {
  (void)alpha;
  return v;
}

/* 1 / (1 + exp(-x)) for x of the sign of v, given e = exp(-|x|). */
INLINE vec logistic(vec v, vec e) {
  return select(v < 0.0f, e, splat(1.0f)) / (1.0f + e);
}

INLINE vec sigmoid(vec v, vec alpha) {
  (void)alpha;
  return logistic(v, exp_of(-magnitude(v)));
}

INLINE vec hyperbolic_tangent(vec v, vec alpha) {
  (void)alpha;
  vec m = expm1_of(-2.0f * magnitude(v)); /* tanh(|v|) = -m / (2 + m) */
  vec t = -m / (2.0f + m);
  return (vec)(((mask)t & 0x7fffffff) | ((mask)v & ~0x7fffffff));
}

INLINE vec silu(vec v, vec alpha) {
  return v * sigmoid(v, alpha);
}

INLINE vec hard_swish(vec v, vec alpha) {
  (void)alpha;
  const bounds unit = {splat(0.0f), splat(1.0f)};
  return v * clamp(v / 6.0f + 0.5f, &unit);
}

/* q = erfc(|v| / sqrt(2)) / 2, half of which lies in a polynomial and half in exp(-v^2 / 2). */
INLINE vec gelu(vec v, vec alpha) {
  (void)alpha;
  vec q = 0.5f * scaled_erfc(magnitude(v) * 0.707106781f) * exp_of(v * v * -0.5f);
  return v * select(v < 0.0f, q, 1.0f - q);
}

/* (1 + tanh(u)) / 2 = 1 / (1 + exp(-2u)); 2 sqrt(2 / pi) = 1.59576912, and that times 0.044715. */
INLINE vec gelu_tanh(vec v, vec alpha) {
  (void)alpha;
  return v * logistic(v, exp_of(-magnitude(v) * (1.59576912f + 0.0713548163f * (v * v))));
}

INLINE vec leaky_relu(vec v, vec alpha) {
  return select(v < 0.0f, alpha * v, v);
}

INLINE vec elu(vec v, vec alpha) {
  mask below = v < 0.0f;
  return select(below, alpha * expm1_of(select(below, v, splat(0.0f))), v);
}

INLINE vec softplus(vec v, vec alpha) {
  (void)alpha;
  return select(v > 0.0f, v, splat(0.0f)) + log1p_of(exp_of(-magnitude(v)));
}

/* tanh(log(1 + w)) = w (w + 2) / (w (w + 2) + 2); with w = 1 / e: (1 + 2e) / (1 + 2e + 2e^2). */
INLINE vec mish(vec v, vec alpha) {
  (void)alpha;
  vec e = exp_of(-magnitude(v)), twice = 2.0f * e;
  mask below = v < 0.0f;
  vec numerator = select(below, e * (e + 2.0f), 1.0f + twice);
  return v * (numerator / (numerator + select(below, splat(2.0f), twice * e)));
}

/* The function is a constant wherever this is used, and so becomes part of the loop. */
INLINE void activate_by(vec (*f)(vec, vec), float *y, size_t count, vec alpha, const bounds *b) {
  size_t at = 0;
  for (; at + LANES <= count; at += LANES) store(y + at, clamp(f(load(y + at), alpha), b));
  if (at < count) store_some(y + at, clamp(f(load(y + at), alpha), b), (int)(count - at));
}

static void activate(const pmn_op *op, float *y, size_t count) {
  const bounds b = {splat(op->clamp_min), splat(op->clamp_max)};
  vec alpha = splat(op->alpha);
  switch (op->activation) {
  case PMN_ACTIVATION_NONE:
  case PMN_ACTIVATION_COUNT:
    activate_by(none, y, count, alpha, &b);
    break;
  case PMN_ACTIVATION_SIGMOID:
    activate_by(sigmoid, y, count, alpha, &b);
    break;
  case PMN_ACTIVATION_TANH:
    activate_by(hyperbolic_tangent, y, count, alpha, &b);
    break;
  case PMN_ACTIVATION_SILU:
    activate_by(silu, y, count, alpha, &b);
    break;
  case PMN_ACTIVATION_HARD_SWISH:
    activate_by(hard_swish, y, count, alpha, &b);
    break;
  case PMN_ACTIVATION_GELU:
    activate_by(gelu, y, count, alpha, &b);
    break;
  case PMN_ACTIVATION_GELU_TANH:
    activate_by(gelu_tanh, y, count, alpha, &b);
    break;
  case PMN_ACTIVATION_LEAKY_RELU:
    activate_by(leaky_relu, y, count, alpha, &b);
    break;
  case PMN_ACTIVATION_ELU:
    activate_by(elu, y, count, alpha, &b);
    break;
  case PMN_ACTIVATION_SOFTPLUS:
    activate_by(softplus, y, count, alpha, &b);
    break;
  case PMN_ACTIVATION_MISH:
    activate_by(mish, y, count, alpha, &b);
    break;
  }
}

/* ---------------------------------------------------------------------------------------------- pixel by pixel -- */

/* The residual of the vector at `at`, NULL for none. */
INLINE const float *residual_at(const pmn_cpu_epilogue *e, int32_t at) {
  return e->residual == NULL ? NULL : e->residual + at;
}

/* All bits set in the first `count` lanes. */
INLINE mask first_lanes(int count) {
  static const int32_t edge[32] = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1};
  return *(const mask *)(edge + 16 - (count < LANES ? count : LANES));
}

INLINE float lanes_sum(vec v) {
  float sum = 0.0f;
  for (int i = 0; i < LANES; i++) sum += v[i];
  return sum;
}

static void max_pool(const pmn_cpu_window *w, float *y, const pmn_cpu_epilogue *e) {
  bounds b = bounds_of(e);
  for (int32_t channel = 0; channel < w->c; channel += LANES) {
    vec most = load(w->x + channel);
    for (int32_t r = 0; r < w->rows; r++) {
      const float *x = w->x + (size_t)r * w->row_step + channel;
      for (int32_t s = 0; s < w->columns; s++, x += w->column_step) {
        vec v = load(x);
        most = select(v > most, v, most);
      }
    }
    finish(y + channel, most, w->c - channel, residual_at(e, channel), &b);
  }
}

static void average_pool(const pmn_cpu_window *w, float divisor, float *y, const pmn_cpu_epilogue *e) {
  bounds b = bounds_of(e);
  for (int32_t channel = 0; channel < w->c; channel += LANES) {
    vec sum = {0};
    for (int32_t r = 0; r < w->rows; r++) {
      const float *x = w->x + (size_t)r * w->row_step + channel;
      for (int32_t s = 0; s < w->columns; s++, x += w->column_step) sum += load(x);
    }
    finish(y + channel, sum / divisor, w->c - channel, residual_at(e, channel), &b);
  }
}

static void multiply(
    const float *x, const float *factor, bool one_factor, int32_t count, float *y, const pmn_cpu_epilogue *e) {
  bounds b = bounds_of(e);
  vec one = splat(factor[0]);
  for (int32_t at = 0; at < count; at += LANES) {
    vec v = load(x + at) * (one_factor ? one : load(factor + at));
    finish(y + at, v, count - at, residual_at(e, at), &b);
  }
}

static void softmax(const float *x, int32_t c, float *y, const pmn_cpu_epilogue *e) {
  const bounds open = {splat(-INFINITY), splat(INFINITY)};
  bounds b = bounds_of(e);
  vec most = splat(x[0]), sum = {0};
  for (int32_t at = 0; at < c; at += LANES) {
    vec v = load(x + at);
    most = select((v > most) & first_lanes(c - at), v, most);
  }
  float maximum = most[0];
  for (int i = 1; i < LANES; i++) maximum = most[i] > maximum ? most[i] : maximum;
  for (int32_t at = 0; at < c; at += LANES) {
    vec v = exp_of(select(first_lanes(c - at), load(x + at) - maximum, splat(-INFINITY)));
    finish(y + at, v, c - at, NULL, &open);
    sum += v;
  }
  float total = lanes_sum(sum);
  for (int32_t at = 0; at < c; at += LANES) finish(y + at, load(y + at) / total, c - at, residual_at(e, at), &b);
}

static void lrn(const float *x, int32_t c, const pmn_op *op, float *squares, float *y, const pmn_cpu_epilogue *e) {
  bounds b = bounds_of(e);
  /* A window that reaches further than all channels holds no more than they are. */
  int32_t before = (op->lrn_size - 1) / 2, after = op->lrn_size / 2;
  before = before < c ? before : c - 1;
  after = after < c ? after : c - 1;
  float share = op->lrn_alpha / (float)op->lrn_size;
  memset(squares, 0, (size_t)before * sizeof(float));
  for (int32_t at = 0; at < c; at += LANES) {
    vec v = select(first_lanes(c - at), load(x + at), splat(0.0f));
    store(squares + before + at, v * v);
  }
  memset(squares + before + c, 0, ((size_t)after + LANES) * sizeof(float));
  for (int32_t at = 0; at < c; at += LANES) {
    vec sum = {0};
    for (int32_t j = 0; j <= before + after; j++) sum += load(squares + at + j);
    vec power = log_of(op->lrn_bias + share * sum) * -op->lrn_beta;
    power = select(power > 87.0f, splat(87.0f), power);
    finish(y + at, load(x + at) * exp_of(power), c - at, residual_at(e, at), &b);
  }
}

static void layer_norm(const float *x, int32_t c, const float *weights, const float *bias, float epsilon, float *y,
    const pmn_cpu_epilogue *e) {
  bounds b = bounds_of(e);
  vec sum = {0}, squares = {0};
  for (int32_t at = 0; at < c; at += LANES) sum += select(first_lanes(c - at), load(x + at), splat(0.0f));
  float mean = lanes_sum(sum) / (float)c;
  for (int32_t at = 0; at < c; at += LANES) {
    vec deviation = select(first_lanes(c - at), load(x + at) - mean, splat(0.0f));
    squares += deviation * deviation;
  }
  float scale = 1.0f / sqrtf(lanes_sum(squares) / (float)c + epsilon);
  for (int32_t at = 0; at < c; at += LANES) {
    vec v = (load(x + at) - mean) * scale * load(weights + at) + load(bias + at);
    finish(y + at, v, c - at, residual_at(e, at), &b);
  }
}

static void blend(const float *const x[4], const float shares[4], int32_t c, float *y, const pmn_cpu_epilogue *e) {
  bounds b = bounds_of(e);
  for (int32_t at = 0; at < c; at += LANES) {
    vec v = load(x[0] + at) * shares[0] + load(x[1] + at) * shares[1] + load(x[2] + at) * shares[2] +
            load(x[3] + at) * shares[3];
    finish(y + at, v, c - at, residual_at(e, at), &b);
  }
}

const pmn_cpu_pixel_kernels PASTE(pmn_cpu_pixels_, ISA) = {
    .activate = activate,
    .max_pool = max_pool,
    .average_pool = average_pool,
    .multiply = multiply,
    .softmax = softmax,
    .lrn = lrn,
    .layer_norm = layer_norm,
    .blend = blend,
};
