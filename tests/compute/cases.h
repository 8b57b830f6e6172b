/* cases.h - single operations that every backend must get right. One table for tests, goldens and benchmarks.
 *
 * A row: name, kind, input h w c, output channels, kernel h w, stride h w, padding top left, output h w, flags.
 * Flags: R adds the input as residual, C clamps to [0, 6], B reads bytes. tests/golden/make_compute.py reads the rows
 * between BEGIN and END, so each stands on a line of its own.
 *
 * Sizes: 1, primes, one below, at and above the tiles of the kernels (4, 8, 16, 32, 64), stride 2, padding on one side
 * only (what TensorFlow's "same" gives for even sizes), windows larger than the picture, and real layers.
 */
#ifndef CASES_H
#define CASES_H

#include "pmn_program.h"

typedef struct compute_case {
  const char *name;
  pmn_op_kind kind;
  int32_t in_h, in_w, in_c, out_c, kernel_h, kernel_w, stride_h, stride_w, pad_top, pad_left, out_h, out_w;
  const char *flags;
} compute_case;

#define CONV PMN_OP_CONV2D
#define DEPTHWISE PMN_OP_DEPTHWISE_CONV2D
#define POOL PMN_OP_GLOBAL_AVERAGE_POOL

/* clang-format off */
static const compute_case compute_cases[] = {
    /* BEGIN small: these have goldens */
    {"dense_1", CONV, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1, ""},
    {"dense_7_to_3", CONV, 1, 1, 7, 3, 1, 1, 1, 1, 0, 0, 1, 1, ""},
    {"dense_31_to_17", CONV, 1, 1, 31, 17, 1, 1, 1, 1, 0, 0, 1, 1, "C"},
    {"dense_257_to_65", CONV, 1, 1, 257, 65, 1, 1, 1, 1, 0, 0, 1, 1, ""},
    {"pointwise_3x5x2_to_3", CONV, 3, 5, 2, 3, 1, 1, 1, 1, 0, 0, 3, 5, ""},
    {"pointwise_5x7x13_to_11", CONV, 5, 7, 13, 11, 1, 1, 1, 1, 0, 0, 5, 7, "C"},
    {"pointwise_residual", CONV, 5, 3, 19, 19, 1, 1, 1, 1, 0, 0, 5, 3, "R"},
    {"pointwise_residual_clamp", CONV, 4, 4, 16, 16, 1, 1, 1, 1, 0, 0, 4, 4, "RC"},
    {"pointwise_stride_2", CONV, 7, 7, 5, 9, 1, 1, 2, 2, 0, 0, 4, 4, ""},
    {"conv_3x3_same", CONV, 7, 5, 3, 8, 3, 3, 1, 1, 1, 1, 7, 5, ""},
    {"conv_3x3_valid", CONV, 7, 5, 4, 5, 3, 3, 1, 1, 0, 0, 5, 3, "C"},
    {"conv_3x3_stride_2_one_sided", CONV, 8, 10, 3, 7, 3, 3, 2, 2, 0, 0, 4, 5, ""},
    {"conv_3x3_residual", CONV, 5, 5, 6, 6, 3, 3, 1, 1, 1, 1, 5, 5, "R"},
    {"conv_3x2_stride_1x3", CONV, 6, 11, 2, 4, 3, 2, 1, 3, 1, 0, 6, 4, ""},
    {"conv_7x7_on_3x3", CONV, 3, 3, 2, 5, 7, 7, 1, 1, 3, 3, 3, 3, ""},
    {"conv_5x5_unused_border", CONV, 8, 8, 1, 3, 5, 5, 2, 2, 0, 0, 2, 2, ""},
    {"bytes_stem_one_sided", CONV, 8, 6, 3, 17, 3, 3, 2, 2, 0, 0, 4, 3, "BC"},
    {"bytes_stem_same", CONV, 7, 7, 3, 16, 3, 3, 2, 2, 1, 1, 4, 4, "B"},
    {"bytes_pointwise", CONV, 3, 5, 3, 5, 1, 1, 1, 1, 0, 0, 3, 5, "B"},
    {"depthwise_1x1x1", DEPTHWISE, 1, 1, 1, 1, 3, 3, 1, 1, 1, 1, 1, 1, ""},
    {"depthwise_3x3_same", DEPTHWISE, 5, 7, 11, 11, 3, 3, 1, 1, 1, 1, 5, 7, "C"},
    {"depthwise_3x3_stride_2", DEPTHWISE, 7, 5, 17, 17, 3, 3, 2, 2, 1, 1, 4, 3, ""},
    {"depthwise_3x3_stride_2_one_sided", DEPTHWISE, 8, 8, 16, 16, 3, 3, 2, 2, 0, 0, 4, 4, "C"},
    {"depthwise_5x5_same", DEPTHWISE, 7, 7, 8, 8, 5, 5, 1, 1, 2, 2, 7, 7, ""},
    {"depthwise_5x5_stride_2_one_sided", DEPTHWISE, 6, 8, 20, 20, 5, 5, 2, 2, 1, 1, 3, 4, "C"},
    {"depthwise_5x5_on_2x2", DEPTHWISE, 2, 2, 33, 33, 5, 5, 1, 1, 2, 2, 2, 2, ""},
    {"depthwise_3x1_valid", DEPTHWISE, 6, 3, 4, 4, 3, 1, 1, 1, 0, 0, 4, 3, ""},
    {"depthwise_residual", DEPTHWISE, 5, 5, 15, 15, 3, 3, 1, 1, 1, 1, 5, 5, "RC"},
    {"pool_1x1x3", POOL, 1, 1, 3, 3, 1, 1, 1, 1, 0, 0, 1, 1, ""},
    {"pool_7x7x17", POOL, 7, 7, 17, 17, 1, 1, 1, 1, 0, 0, 1, 1, ""},
    {"pool_5x3x64", POOL, 5, 3, 64, 64, 1, 1, 1, 1, 0, 0, 1, 1, "C"},
    /* END small */
    {"stem_224_bytes", CONV, 224, 224, 3, 32, 3, 3, 2, 2, 0, 0, 112, 112, "BC"},
    {"depthwise_112x112x32", DEPTHWISE, 112, 112, 32, 32, 3, 3, 1, 1, 1, 1, 112, 112, "C"},
    {"project_112x112x32_to_16", CONV, 112, 112, 32, 16, 1, 1, 1, 1, 0, 0, 112, 112, ""},
    {"depthwise_112x112x96_stride_2", DEPTHWISE, 112, 112, 96, 96, 3, 3, 2, 2, 0, 0, 56, 56, "C"},
    {"expand_56x56x24_to_144", CONV, 56, 56, 24, 144, 1, 1, 1, 1, 0, 0, 56, 56, "C"},
    {"depthwise_56x56x144_5x5_stride_2", DEPTHWISE, 56, 56, 144, 144, 5, 5, 2, 2, 1, 1, 28, 28, "C"},
    {"project_28x28x240_to_40", CONV, 28, 28, 240, 40, 1, 1, 1, 1, 0, 0, 28, 28, ""},
    {"depthwise_14x14x576_stride_2", DEPTHWISE, 14, 14, 576, 576, 3, 3, 2, 2, 0, 0, 7, 7, "C"},
    {"conv_3x3_14x14x64_to_72", CONV, 14, 14, 64, 72, 3, 3, 1, 1, 1, 1, 14, 14, "C"},
    {"conv_7x7_32x32x3_to_64", CONV, 32, 32, 3, 64, 7, 7, 2, 2, 3, 3, 16, 16, "C"},
    {"head_7x7x320_to_1280", CONV, 7, 7, 320, 1280, 1, 1, 1, 1, 0, 0, 7, 7, "C"},
    {"pool_7x7x1280", POOL, 7, 7, 1280, 1280, 1, 1, 1, 1, 0, 0, 1, 1, ""},
    {"dense_1280_to_1000", CONV, 1, 1, 1280, 1000, 1, 1, 1, 1, 0, 0, 1, 1, ""},
};
/* clang-format on */
enum { COMPUTE_CASE_COUNT = sizeof compute_cases / sizeof compute_cases[0] };

/* One below, at and above every tile: each of pixels, input and output channels takes all of them while the others
 * stay. */
static const int32_t compute_sweep[] = {1, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 23, 24, 25, 31, 32, 33, 63, 64, 65};
enum { COMPUTE_SWEEP_COUNT = sizeof compute_sweep / sizeof compute_sweep[0] };

/* Numbers that C and Python make alike: a 64-bit mixer of seed and index, its top 24 bits as a float in [-1, 1). */
static inline uint64_t compute_mix(uint64_t seed, uint64_t index) {
  uint64_t z = (seed << 32 ^ index) + 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}
static inline float compute_value(uint64_t seed, uint64_t index) {
  return (float)((int32_t)(compute_mix(seed, index) >> 40) - (1 << 23)) / (float)(1 << 23);
}
static inline uint8_t compute_byte(uint64_t seed, uint64_t index) {
  return (uint8_t)(compute_mix(seed, index) >> 56);
}

/* Of every case: seeds of its input, weights and bias, and how bytes are read. */
enum { SEED_INPUT = 1, SEED_WEIGHTS = 2, SEED_BIAS = 3 };
static const float compute_scale[3] = {0.0171f, 0.0175f, 0.0174f}, compute_shift[3] = {-2.118f, -2.036f, -1.804f};

#endif
