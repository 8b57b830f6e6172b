/* test_graph_values.c - values of a tiny network, held against its layers as they were built, in fp64, within a bound
 * that the evaluation carries along; and of its input, exact.
 */
#include "graph_tiny.h"

#include <float.h>

/* A tensor in fp64 with a bound on what fp32 may make of each of its values. */
typedef struct layer64 {
  int h, w, c;
  double v[H * W * STEM], bound[H * W * STEM];
} layer64;

/* A convolution as the layers were trained: sum and bias, factor and term, residual, clamp. Bound: u = FLT_EPSILON / 2
 * for each rounding of a folded weight, of the folded bias, and of the result, of which there are two with a residual;
 * what was wrong in the input passes through the magnitudes of the weights. */
static layer64 conv64(const layer64 *in, const layer_spec *spec, const layer64 *residual) {
  const double u = FLT_EPSILON / 2;
  layer_values values = values_of(spec);
  int k = spec->kernel, s = spec->stride;
  layer64 out = {.h = (in->h + s - 1) / s, .w = (in->w + s - 1) / s, .c = spec->filters};
  int pad_h = ((out.h - 1) * s + k - in->h) / 2, pad_w = ((out.w - 1) * s + k - in->w) / 2;
  for (int at = 0; at < out.h * out.w * out.c; at++) {
    int o = at % out.c, x = at / out.c % out.w, y = at / out.c / out.w;
    double factor = values.scale[o], term = (double)values.bias[o] * factor + values.shift[o];
    double sum = 0.0, wrong = u * fabs(term);
    for (int tap = 0; tap < k * k; tap++) {
      int iy = y * s + tap / k - pad_h, ix = x * s + tap % k - pad_w;
      if (iy < 0 || iy >= in->h || ix < 0 || ix >= in->w) continue;
      for (int i = spec->depthwise ? o : 0; i < (spec->depthwise ? o + 1 : in->c); i++) {
        double weight = (double)values.weights[spec->depthwise ? tap * out.c + o : (tap * in->c + i) * out.c + o];
        int from = (iy * in->w + ix) * in->c + i;
        sum += weight * in->v[from];
        wrong += fabs(weight * factor) * (in->bound[from] + u * fabs(in->v[from]));
      }
    }
    double v = sum * factor + term;
    wrong += u * fabs(v);
    if (residual != NULL) {
      v += residual->v[at];
      wrong += residual->bound[at] + u * fabs(v);
    }
    out.v[at] = fmin(fmax(v, (double)spec->clamp_min), (double)spec->clamp_max);
    out.bound[at] = wrong * 1.001; /* products of errors */
  }
  return out;
}

static void tiny_expected(const uint8_t *picture, bool bgr, layer64 *middle, layer64 *last) {
  layer64 in = {.h = H, .w = W, .c = 3};
  for (int i = 0; i < H * W * 3; i++) {
    double byte = picture[bgr ? i - i % 3 + 2 - i % 3 : i], scaled = byte * (double)normalised.scale[i % 3];
    in.v[i] = scaled + (double)normalised.shift[i % 3];
    in.bound[i] = FLT_EPSILON / 2 * (fabs(scaled) + fabs(in.v[i]));
  }
  layer64 stem = conv64(&in, &stem_spec, NULL), deep = conv64(&stem, &deep_spec, NULL);
  *middle = conv64(&deep, &back_spec, &stem);
  layer64 plain = conv64(middle, &plain_spec, NULL), pool = {.h = 1, .w = 1, .c = OUT};
  for (int c = 0; c < OUT; c++) {
    for (int p = 0; p < plain.h * plain.w; p++) {
      pool.v[c] += plain.v[p * OUT + c] / (plain.h * plain.w);
      pool.bound[c] += plain.bound[p * OUT + c] / (plain.h * plain.w);
    }
    pool.bound[c] += FLT_EPSILON / 2 * fabs(pool.v[c]);
  }
  *last = conv64(&pool, &dense_spec, NULL);
}

static double compare64(const float *y, const layer64 *expected) {
  double worst = 0.0;
  for (int i = 0; i < expected->h * expected->w * expected->c; i++) {
    double part = fabs((double)y[i] - expected->v[i]) / expected->bound[i];
    if (!(part <= 1.0)) fail_msg("value %d is %.9g, must be %.9g", i, (double)y[i], expected->v[i]);
    worst = fmax(worst, part);
  }
  return worst;
}

static void test_values(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  for (int bgr = 0; bgr < 2; bgr++) {
    layer64 expected[2];
    tiny_expected(picture(), bgr == 1, &expected[0], &expected[1]);
    for (int part = 0; part < 3; part++) { /* the middle, the end, both */
      pmn_graph *graph = pmn_graph_create("tiny");
      const pmn_program *program = NULL;
      pmn_preprocess preprocess = normalised;
      preprocess.bgr = bgr == 1;
      pmn_node outputs[2];
      outputs[1] = tiny_build(graph, &preprocess, &outputs[0]);
      check_ok(pmn_graph_finish(graph, outputs + part % 2, part == 2 ? 2 : 1, &program, &err));
      assert_string_equal(graph_describe(program),
          part == 0   ? "conv/1,0[0,6] depthwise/1,1[-0.25,0.5] conv+"
          : part == 1 ? "conv/1,0[0,6] depthwise/1,1[-0.25,0.5] conv+ conv/1,1 mean conv"
                      : "conv/1,0[0,6] depthwise/1,1[-0.25,0.5] conv+ copy conv/1,1 mean conv copy");
      const pmn_tensor *out = &program->tensors[program->output];
      if (part == 0) assert_true(out->h == 4 && out->w == 3 && out->c == STEM);
      if (part == 1) assert_true(out->h == 1 && out->w == 1 && out->c == UNITS);
      if (part == 2) assert_true(out->h == 1 && out->w == 1 && out->c == 4 * 3 * STEM + UNITS);
      float *y = graph_run(program, picture());
      double worst = compare64(y, &expected[part % 2]);
      if (part == 2) worst = fmax(worst, compare64(y + 4 * 3 * STEM, &expected[1]));
      print_message("largest error %.3f of its bound\n", worst);
      free(y);
      pmn_graph_destroy(graph);
    }
  }
}

/* The input's values as an output, and read by what does not read bytes: exact, in the network's order of channels. */
static void test_input_values(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  for (int bgr = 0; bgr < 2; bgr++) {
    for (int part = 0; part < 3; part++) { /* asked for, asked for twice, through a pool of one pixel */
      pmn_preprocess preprocess = {
          .width = W, .height = H, .scale = {1, 2, 4}, .shift = {-7, 0.5f, 100}, .bgr = bgr == 1};
      pmn_graph *graph = pmn_graph_create("input");
      pmn_node x[2] = {pmn_graph_input(graph, "input", &preprocess)};
      pmn_window one = pmn_window_square(1, 1);
      if (part == 2) x[0] = pmn_graph_max_pool(graph, NULL, x[0], &one);
      x[1] = x[0];
      const pmn_program *program = NULL;
      check_ok(pmn_graph_finish(graph, x, part == 1 ? 2 : 1, &program, &err));
      assert_string_equal(graph_describe(program), part == 0 ? "conv" : part == 1 ? "conv copy copy" : "conv max");
      float *y = graph_run(program, picture());
      for (int i = 0; i < H * W * 3 * (part == 1 ? 2 : 1); i++) {
        int at = i % (H * W * 3), c = at % 3;
        int byte = picture()[bgr ? at - c + 2 - c : at];
        double expected = byte * preprocess.scale[c] + preprocess.shift[c];
        if ((double)y[i] != expected) fail_msg("value %d is %g, must be %g", i, (double)y[i], expected);
      }
      free(y);
      pmn_graph_destroy(graph);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_values),
      cmocka_unit_test(test_input_values),
  };
  return cmocka_run_group_tests_name("graph_values", tests, NULL, NULL);
}
