/* cases.h - single operations that every backend must get right. One table for tests and goldens.
 *
 * A row: name, kind, input h w c, output channels, kernel h w, stride h w, padding top left, output h w, options.
 * Options: first R adds the input as residual, C clamps to [0, 6], B reads bytes; then words, of which each may be left
 * out:
 *   groups=G  dilation=HxW                    windows
 *   count=BxR                                 an average pool counts its padding, B rows below and R columns right
 *   act=name:alpha                            activation
 *   factor=HxWxC                              of a multiplication: the input's last elements, backwards
 *   copy=extents:first:strides:first:strides  three numbers, input's first, three, output's first, three, by commas
 *   lrn=size:alpha:beta:bias  epsilon=E
 *   taps=half|corners|nearest                 of a resize: pixel centres at halves, corners on corners, rounding down
 *   scale=S                                   of the input, a power of two
 * tests/golden/make_compute.py reads the rows between BEGIN and END, so each stands on a line of its own.
 *
 * Sizes: 1, primes, one below, at and above the tiles of the kernels (4, 8, 16, 32, 64), stride 2, padding on one side
 * only (what TensorFlow's "same" gives for even sizes), windows larger than the picture, padding larger than windows,
 * real layers.
 */
#ifndef CASES_H
#define CASES_H

#include "pmn_program.h"

typedef struct compute_case {
  const char *name;
  pmn_op_kind kind;
  int32_t in_h, in_w, in_c, out_c, kernel_h, kernel_w, stride_h, stride_w, pad_top, pad_left, out_h, out_w;
  const char *options;
} compute_case;

#define CONV PMN_OP_CONV2D
#define DEPTHWISE PMN_OP_DEPTHWISE_CONV2D
#define POOL PMN_OP_GLOBAL_AVERAGE_POOL
#define MAX_POOL PMN_OP_MAX_POOL
#define AVERAGE_POOL PMN_OP_AVERAGE_POOL
#define MULTIPLY PMN_OP_MULTIPLY
#define COPY PMN_OP_COPY
#define SOFTMAX PMN_OP_SOFTMAX
#define LRN PMN_OP_LRN
#define LAYER_NORM PMN_OP_LAYER_NORM
#define RESIZE PMN_OP_RESIZE

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
    {"dense_2500_to_37", CONV, 1, 1, 2500, 37, 1, 1, 1, 1, 0, 0, 1, 1, "C"},
    {"pointwise_1030_residual", CONV, 3, 5, 1030, 1030, 1, 1, 1, 1, 0, 0, 3, 5, "R"},
    {"conv_5x5_50_to_37", CONV, 4, 5, 50, 37, 5, 5, 1, 1, 2, 2, 4, 5, ""},
    {"pointwise_pad_bottom", CONV, 4, 5, 20, 17, 1, 1, 1, 1, 0, 0, 6, 5, "C"},
    {"pointwise_pad_right_groups_2", CONV, 4, 5, 20, 18, 1, 1, 1, 1, 0, 0, 4, 6, "groups=2"},
    {"pointwise_pads", CONV, 3, 4, 16, 32, 1, 1, 1, 1, 1, 2, 5, 8, ""},
    {"conv_3x3_same", CONV, 7, 5, 3, 8, 3, 3, 1, 1, 1, 1, 7, 5, ""},
    {"conv_3x3_valid", CONV, 7, 5, 4, 5, 3, 3, 1, 1, 0, 0, 5, 3, "C"},
    {"conv_3x3_stride_2_one_sided", CONV, 8, 10, 3, 7, 3, 3, 2, 2, 0, 0, 4, 5, ""},
    {"conv_3x3_residual", CONV, 5, 5, 6, 6, 3, 3, 1, 1, 1, 1, 5, 5, "R"},
    {"conv_3x3_16_to_32", CONV, 9, 11, 16, 32, 3, 3, 1, 1, 1, 1, 9, 11, "C"},
    {"conv_3x3_16_to_16_residual", CONV, 8, 8, 16, 16, 3, 3, 1, 1, 1, 1, 8, 8, "R"},
    {"conv_3x3_48_to_48_residual_clamp", CONV, 13, 6, 48, 48, 3, 3, 1, 1, 1, 1, 13, 6, "RC"},
    {"conv_3x3_64_to_16_valid", CONV, 14, 14, 64, 16, 3, 3, 1, 1, 0, 0, 12, 12, ""},
    {"conv_3x3_16_to_48_one_sided", CONV, 7, 10, 16, 48, 3, 3, 1, 1, 0, 2, 7, 10, "C"},
    {"conv_3x3_32_to_32_on_1x1", CONV, 1, 1, 32, 32, 3, 3, 1, 1, 1, 1, 1, 1, ""},
    {"conv_3x3_16_to_16_wide_padding", CONV, 3, 2, 16, 16, 3, 3, 1, 1, 7, 9, 14, 17, ""},
    {"conv_3x3_16_to_16_silu", CONV, 6, 7, 16, 16, 3, 3, 1, 1, 1, 1, 6, 7, "R act=silu"},
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
    {"conv_groups_2", CONV, 5, 7, 6, 10, 3, 3, 1, 1, 1, 1, 5, 7, "C groups=2"},
    {"conv_groups_3_residual", CONV, 5, 5, 9, 9, 3, 3, 1, 1, 1, 1, 5, 5, "R groups=3"},
    {"conv_groups_3_stride_2", CONV, 7, 6, 21, 51, 3, 3, 2, 2, 1, 1, 4, 3, "groups=3"},
    {"conv_groups_32", CONV, 5, 4, 64, 96, 3, 3, 1, 1, 1, 1, 5, 4, "groups=32"},
    {"conv_groups_all", CONV, 4, 5, 7, 14, 3, 2, 1, 1, 1, 0, 4, 4, "C groups=7"},
    {"pointwise_groups_2", CONV, 3, 5, 34, 38, 1, 1, 1, 1, 0, 0, 3, 5, "groups=2"},
    {"pointwise_groups_3_residual", CONV, 4, 3, 51, 51, 1, 1, 1, 1, 0, 0, 4, 3, "RC groups=3"},
    {"pointwise_groups_32_stride_2", CONV, 5, 5, 64, 32, 1, 1, 2, 2, 0, 0, 3, 3, "groups=32"},
    {"dense_groups_2", CONV, 1, 1, 130, 34, 1, 1, 1, 1, 0, 0, 1, 1, "groups=2"},
    {"conv_dilation_2", CONV, 7, 9, 5, 17, 3, 3, 1, 1, 2, 2, 7, 9, "dilation=2x2"},
    {"conv_dilation_3x1_stride_2", CONV, 11, 8, 3, 4, 3, 3, 2, 2, 3, 1, 6, 4, "C dilation=3x1"},
    {"conv_dilation_1x4_valid", CONV, 4, 11, 18, 6, 2, 3, 1, 1, 0, 0, 3, 3, "dilation=1x4"},
    {"conv_dilation_2_groups_2", CONV, 6, 7, 8, 12, 3, 3, 1, 1, 2, 2, 6, 7, "groups=2 dilation=2x2"},
    {"conv_dilation_7_on_5x5", CONV, 5, 5, 4, 3, 3, 3, 1, 1, 7, 7, 5, 5, "dilation=7x7"},
    {"bytes_dilation_2", CONV, 9, 8, 3, 20, 3, 3, 2, 2, 1, 1, 4, 4, "B dilation=2x2"},
    {"depthwise_dilation_2", DEPTHWISE, 7, 6, 19, 19, 3, 3, 1, 1, 2, 2, 7, 6, "C dilation=2x2"},
    {"depthwise_5x5_dilation_2x3", DEPTHWISE, 9, 13, 16, 16, 5, 5, 2, 1, 4, 6, 5, 13, "dilation=2x3"},
    {"conv_1x1_pads", CONV, 3, 4, 5, 6, 1, 1, 1, 1, 2, 3, 8, 9, ""},
    {"conv_3x3_pads_beyond_kernel", CONV, 4, 3, 5, 18, 3, 3, 2, 2, 5, 7, 8, 9, "C"},
    {"conv_3x3_pads_beyond_kernel_groups_2", CONV, 4, 3, 6, 4, 3, 3, 1, 1, 4, 4, 10, 9, "groups=2"},
    {"conv_bottom_and_right_pads", CONV, 3, 3, 2, 3, 2, 2, 1, 1, 0, 0, 6, 7, ""},
    {"depthwise_pads", DEPTHWISE, 3, 3, 18, 18, 1, 1, 1, 1, 2, 1, 7, 6, ""},
    {"depthwise_3x3_pads_beyond_kernel", DEPTHWISE, 5, 3, 17, 17, 3, 3, 1, 1, 4, 5, 11, 12, "C"},
    {"depthwise_5x5_stride_2_pads_beyond_kernel", DEPTHWISE, 3, 4, 16, 16, 5, 5, 2, 2, 6, 9, 7, 10, ""},
    {"depthwise_2x2_stride_11", DEPTHWISE, 13, 24, 20, 20, 2, 2, 11, 11, 0, 0, 2, 3, ""},
    {"depthwise_1x1", DEPTHWISE, 5, 7, 35, 35, 1, 1, 1, 1, 0, 0, 5, 7, "RC"},
    {"depthwise_1x1_stride_2", DEPTHWISE, 5, 7, 16, 16, 1, 1, 2, 2, 0, 0, 3, 4, ""},
    {"depthwise_7x7", DEPTHWISE, 8, 9, 24, 24, 7, 7, 1, 1, 3, 3, 8, 9, ""},
    {"max_pool_2x2_stride_2", MAX_POOL, 6, 8, 16, 16, 2, 2, 2, 2, 0, 0, 3, 4, ""},
    {"max_pool_3x3_stride_2", MAX_POOL, 7, 9, 17, 17, 3, 3, 2, 2, 1, 1, 4, 5, ""},
    {"max_pool_3x3_same_residual", MAX_POOL, 5, 7, 35, 35, 3, 3, 1, 1, 1, 1, 5, 7, "RC"},
    {"max_pool_ceil", MAX_POOL, 8, 8, 5, 5, 3, 3, 2, 2, 0, 0, 4, 4, ""},
    {"max_pool_one_sided", MAX_POOL, 8, 6, 33, 33, 3, 3, 2, 2, 0, 0, 4, 3, "C"},
    {"max_pool_wide_padding", MAX_POOL, 3, 4, 3, 3, 3, 3, 1, 1, 2, 2, 5, 6, ""},
    {"max_pool_5x5_on_2x2", MAX_POOL, 2, 2, 20, 20, 5, 5, 1, 1, 2, 2, 2, 2, ""},
    {"max_pool_dilation_2", MAX_POOL, 7, 8, 18, 18, 3, 2, 1, 1, 2, 1, 7, 8, "dilation=2x2"},
    {"max_pool_dilation_3_stride_2", MAX_POOL, 9, 11, 9, 9, 2, 3, 2, 2, 1, 3, 4, 6, "dilation=3x3"},
    {"max_pool_unused_border", MAX_POOL, 8, 8, 1, 1, 2, 2, 3, 3, 0, 0, 3, 3, ""},
    {"average_pool_2x2_stride_2", AVERAGE_POOL, 6, 8, 16, 16, 2, 2, 2, 2, 0, 0, 3, 4, ""},
    {"average_pool_3x3_same", AVERAGE_POOL, 5, 7, 19, 19, 3, 3, 1, 1, 1, 1, 5, 7, "C"},
    {"average_pool_3x3_same_counted", AVERAGE_POOL, 5, 7, 19, 19, 3, 3, 1, 1, 1, 1, 5, 7, "count=1x1"},
    {"average_pool_ceil", AVERAGE_POOL, 8, 8, 33, 33, 3, 3, 2, 2, 0, 0, 4, 4, ""},
    {"average_pool_ceil_counted", AVERAGE_POOL, 8, 8, 33, 33, 3, 3, 2, 2, 1, 1, 5, 5, "count=1x1"},
    {"average_pool_one_sided_counted", AVERAGE_POOL, 8, 6, 3, 3, 3, 3, 2, 2, 0, 0, 4, 3, "count=1x1"},
    {"average_pool_uneven_counted", AVERAGE_POOL, 5, 6, 20, 20, 4, 3, 2, 2, 2, 0, 4, 3, "count=3x1"},
    {"average_pool_wide_padding", AVERAGE_POOL, 3, 4, 5, 5, 3, 3, 1, 1, 2, 2, 5, 6, ""},
    {"average_pool_5x5_on_2x2_counted", AVERAGE_POOL, 2, 2, 17, 17, 5, 5, 1, 1, 2, 2, 2, 2, "count=2x2"},
    {"average_pool_residual", AVERAGE_POOL, 4, 5, 6, 6, 3, 3, 1, 1, 1, 1, 4, 5, "R"},
    {"multiply_channels", MULTIPLY, 4, 5, 35, 35, 1, 1, 1, 1, 0, 0, 4, 5, "factor=1x1x35"},
    {"multiply_pixels", MULTIPLY, 4, 5, 18, 18, 1, 1, 1, 1, 0, 0, 4, 5, "factor=4x5x1"},
    {"multiply_same", MULTIPLY, 3, 4, 17, 17, 1, 1, 1, 1, 0, 0, 3, 4, "C factor=3x4x17"},
    {"multiply_rows", MULTIPLY, 3, 4, 5, 5, 1, 1, 1, 1, 0, 0, 3, 4, "factor=3x1x1"},
    {"multiply_columns_of_channels", MULTIPLY, 3, 4, 5, 5, 1, 1, 1, 1, 0, 0, 3, 4, "R factor=1x4x5"},
    {"multiply_rows_of_channels", MULTIPLY, 5, 3, 16, 16, 1, 1, 1, 1, 0, 0, 5, 3, "factor=5x1x16"},
    {"multiply_one", MULTIPLY, 3, 4, 33, 33, 1, 1, 1, 1, 0, 0, 3, 4, "factor=1x1x1"},
    {"copy_slice", COPY, 4, 5, 12, 5, 1, 1, 1, 1, 0, 0, 4, 5, "copy=1,20,5,3,0,12,1,0,0,5,1"},
    {"copy_shuffle", COPY, 3, 3, 12, 12, 1, 1, 1, 1, 0, 0, 3, 3, "copy=9,3,4,0,12,4,1,0,12,1,3"},
    {"copy_channels_first", COPY, 3, 5, 7, 105, 1, 1, 1, 1, 0, 0, 1, 1, "copy=1,15,7,0,0,7,1,0,0,1,15"},
    {"copy_crop", COPY, 7, 6, 3, 3, 1, 1, 1, 1, 0, 0, 4, 5, "copy=4,5,3,39,18,3,1,0,15,3,1"},
    {"copy_reshape", COPY, 4, 3, 5, 30, 1, 1, 1, 1, 0, 0, 1, 2, "copy=1,1,60,0,0,0,1,0,0,0,1"},
    {"copy_transpose", COPY, 3, 5, 4, 4, 1, 1, 1, 1, 0, 0, 5, 3, "copy=3,5,4,0,20,4,1,0,4,12,1"},
    {"copy_mirror", COPY, 3, 4, 2, 2, 1, 1, 1, 1, 0, 0, 3, 4, "copy=3,4,2,6,8,-2,1,0,8,2,1"},
    {"copy_repeat", COPY, 1, 1, 5, 5, 1, 1, 1, 1, 0, 0, 3, 4, "copy=3,4,5,0,0,0,1,0,20,5,1"},
    {"copy_backwards", COPY, 1, 7, 3, 3, 1, 1, 1, 1, 0, 0, 1, 7, "copy=1,1,21,0,0,0,1,20,0,0,-1"},
    {"softmax_1", SOFTMAX, 2, 3, 1, 1, 1, 1, 1, 1, 0, 0, 2, 3, ""},
    {"softmax_10", SOFTMAX, 1, 1, 10, 10, 1, 1, 1, 1, 0, 0, 1, 1, "scale=8"},
    {"softmax_3x2x33", SOFTMAX, 3, 2, 33, 33, 1, 1, 1, 1, 0, 0, 3, 2, "R"},
    {"softmax_large", SOFTMAX, 2, 2, 67, 67, 1, 1, 1, 1, 0, 0, 2, 2, "scale=128"},
    {"softmax_1000", SOFTMAX, 1, 1, 1000, 1000, 1, 1, 1, 1, 0, 0, 1, 1, "scale=16"},
    {"lrn_5", LRN, 3, 4, 35, 35, 1, 1, 1, 1, 0, 0, 3, 4, "lrn=5:0.5:0.75:1 scale=2"},
    {"lrn_4", LRN, 2, 3, 16, 16, 1, 1, 1, 1, 0, 0, 2, 3, "C lrn=4:2:0.5:2 scale=4"},
    {"lrn_1", LRN, 2, 2, 17, 17, 1, 1, 1, 1, 0, 0, 2, 2, "lrn=1:1:1:1"},
    {"lrn_2", LRN, 3, 2, 33, 33, 1, 1, 1, 1, 0, 0, 3, 2, "lrn=2:8:1.5:0.25 scale=8"},
    {"lrn_9_on_3", LRN, 3, 3, 3, 3, 1, 1, 1, 1, 0, 0, 3, 3, "R lrn=9:4:0.75:1 scale=2"},
    {"lrn_100_on_20", LRN, 2, 3, 20, 20, 1, 1, 1, 1, 0, 0, 2, 3, "lrn=100:64:0.25:0.5"},
    {"lrn_negative_beta", LRN, 2, 3, 9, 9, 1, 1, 1, 1, 0, 0, 2, 3, "lrn=3:1:-0.5:1 scale=4"},
    {"layer_norm_1", LAYER_NORM, 2, 2, 1, 1, 1, 1, 1, 1, 0, 0, 2, 2, "epsilon=0.5"},
    {"layer_norm_35", LAYER_NORM, 3, 4, 35, 35, 1, 1, 1, 1, 0, 0, 3, 4, "epsilon=0.000001"},
    {"layer_norm_16", LAYER_NORM, 2, 3, 16, 16, 1, 1, 1, 1, 0, 0, 2, 3, "RC epsilon=0.25 scale=16"},
    {"layer_norm_97", LAYER_NORM, 1, 1, 97, 97, 1, 1, 1, 1, 0, 0, 1, 1, "epsilon=0.001 scale=64"},
    {"resize_half_5x3_to_10x6", RESIZE, 5, 3, 17, 17, 1, 1, 1, 1, 0, 0, 10, 6, "taps=half"},
    {"resize_half_6x12_to_4x8", RESIZE, 6, 12, 5, 5, 1, 1, 1, 1, 0, 0, 4, 8, "taps=half"},
    {"resize_corners_5x3_to_9x5", RESIZE, 5, 3, 33, 33, 1, 1, 1, 1, 0, 0, 9, 5, "C taps=corners"},
    {"resize_nearest_5x7_to_10x14", RESIZE, 5, 7, 18, 18, 1, 1, 1, 1, 0, 0, 10, 14, "taps=nearest"},
    {"resize_nearest_9x8_to_3x4", RESIZE, 9, 8, 3, 3, 1, 1, 1, 1, 0, 0, 3, 4, "taps=nearest"},
    {"resize_half_same_residual", RESIZE, 3, 4, 16, 16, 1, 1, 1, 1, 0, 0, 3, 4, "R taps=half"},
    {"conv_sigmoid", CONV, 5, 7, 9, 19, 3, 3, 1, 1, 1, 1, 5, 7, "act=sigmoid scale=2"},
    {"depthwise_sigmoid", DEPTHWISE, 5, 4, 37, 37, 1, 1, 1, 1, 0, 0, 5, 4, "R act=sigmoid scale=16"},
    {"conv_tanh", CONV, 5, 7, 9, 19, 3, 3, 1, 1, 1, 1, 5, 7, "act=tanh scale=2"},
    {"depthwise_tanh", DEPTHWISE, 5, 4, 37, 37, 1, 1, 1, 1, 0, 0, 5, 4, "R act=tanh scale=16"},
    {"conv_silu", CONV, 5, 7, 9, 19, 3, 3, 1, 1, 1, 1, 5, 7, "act=silu scale=2"},
    {"depthwise_silu", DEPTHWISE, 5, 4, 37, 37, 1, 1, 1, 1, 0, 0, 5, 4, "R act=silu scale=16"},
    {"conv_hard_swish", CONV, 5, 7, 9, 19, 3, 3, 1, 1, 1, 1, 5, 7, "act=hard_swish scale=2"},
    {"depthwise_hard_swish", DEPTHWISE, 5, 4, 37, 37, 1, 1, 1, 1, 0, 0, 5, 4, "R act=hard_swish scale=16"},
    {"conv_gelu", CONV, 5, 7, 9, 19, 3, 3, 1, 1, 1, 1, 5, 7, "act=gelu scale=2"},
    {"depthwise_gelu", DEPTHWISE, 5, 4, 37, 37, 1, 1, 1, 1, 0, 0, 5, 4, "R act=gelu scale=16"},
    {"conv_gelu_tanh", CONV, 5, 7, 9, 19, 3, 3, 1, 1, 1, 1, 5, 7, "act=gelu_tanh scale=2"},
    {"depthwise_gelu_tanh", DEPTHWISE, 5, 4, 37, 37, 1, 1, 1, 1, 0, 0, 5, 4, "R act=gelu_tanh scale=16"},
    {"conv_leaky_relu", CONV, 5, 7, 9, 19, 3, 3, 1, 1, 1, 1, 5, 7, "act=leaky_relu:0.25 scale=2"},
    {"depthwise_leaky_relu", DEPTHWISE, 5, 4, 37, 37, 1, 1, 1, 1, 0, 0, 5, 4, "R act=leaky_relu:0.25 scale=16"},
    {"conv_elu", CONV, 5, 7, 9, 19, 3, 3, 1, 1, 1, 1, 5, 7, "act=elu:1.5 scale=2"},
    {"depthwise_elu", DEPTHWISE, 5, 4, 37, 37, 1, 1, 1, 1, 0, 0, 5, 4, "R act=elu:1.5 scale=16"},
    {"conv_softplus", CONV, 5, 7, 9, 19, 3, 3, 1, 1, 1, 1, 5, 7, "act=softplus scale=2"},
    {"depthwise_softplus", DEPTHWISE, 5, 4, 37, 37, 1, 1, 1, 1, 0, 0, 5, 4, "R act=softplus scale=16"},
    {"conv_mish", CONV, 5, 7, 9, 19, 3, 3, 1, 1, 1, 1, 5, 7, "act=mish scale=2"},
    {"depthwise_mish", DEPTHWISE, 5, 4, 37, 37, 1, 1, 1, 1, 0, 0, 5, 4, "R act=mish scale=16"},
    {"pointwise_silu_residual_clamp", CONV, 9, 8, 20, 20, 1, 1, 1, 1, 0, 0, 9, 8, "RC act=silu scale=8"},
    {"pointwise_groups_2_tanh", CONV, 4, 5, 20, 22, 1, 1, 1, 1, 0, 0, 4, 5, "groups=2 act=tanh"},
    {"bytes_stem_mish", CONV, 8, 6, 3, 17, 3, 3, 2, 2, 0, 0, 4, 3, "B act=mish"},
    {"max_pool_elu", MAX_POOL, 5, 6, 7, 7, 3, 3, 2, 2, 1, 1, 3, 3, "act=elu:1 scale=4"},
    {"average_pool_gelu", AVERAGE_POOL, 5, 6, 18, 18, 3, 3, 2, 2, 1, 1, 3, 3, "act=gelu scale=4"},
    {"pool_hard_swish", POOL, 3, 4, 33, 33, 1, 1, 1, 1, 0, 0, 1, 1, "act=hard_swish scale=32"},
    {"multiply_sigmoid", MULTIPLY, 3, 4, 5, 5, 1, 1, 1, 1, 0, 0, 3, 4, "RC act=sigmoid factor=1x1x5 scale=8"},
    {"softmax_softplus", SOFTMAX, 2, 2, 9, 9, 1, 1, 1, 1, 0, 0, 2, 2, "act=softplus scale=4"},
    {"lrn_leaky_relu", LRN, 2, 2, 9, 9, 1, 1, 1, 1, 0, 0, 2, 2, "act=leaky_relu:-0.5 lrn=3:1:0.75:1 scale=4"},
    {"layer_norm_gelu_tanh", LAYER_NORM, 3, 2, 20, 20, 1, 1, 1, 1, 0, 0, 3, 2, "act=gelu_tanh epsilon=0.001 scale=4"},
    {"resize_mish", RESIZE, 2, 3, 6, 6, 1, 1, 1, 1, 0, 0, 4, 6, "act=mish taps=half scale=4"},
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
    {"conv_3x3_40x37x128_to_40", CONV, 40, 37, 128, 40, 3, 3, 1, 1, 1, 1, 40, 37, "C"},
    {"conv_3x3_33x35x64_stride_2", CONV, 33, 35, 64, 50, 3, 3, 2, 2, 0, 1, 16, 18, ""},
    {"conv_3x3_17x33x32_residual", CONV, 17, 33, 32, 32, 3, 3, 1, 1, 1, 1, 17, 33, "R act=silu"},
    {"conv_5x3_9x17x32_dilation_2", CONV, 9, 17, 32, 17, 5, 3, 1, 1, 4, 1, 9, 17, "dilation=2x1"},
    {"conv_2x2_19x20x96_stride_1x2", CONV, 19, 20, 96, 33, 2, 2, 1, 2, 3, 5, 25, 15, ""},
    {"conv_3x3_7x7x512", CONV, 7, 7, 512, 160, 3, 3, 1, 1, 1, 1, 7, 7, ""},
    {"conv_3x3_9x9x400_stride_2", CONV, 9, 9, 400, 24, 3, 3, 2, 2, 0, 1, 4, 5, "C"},
    {"conv_5x5_6x6x44_residual", CONV, 6, 6, 44, 44, 5, 5, 1, 1, 2, 2, 6, 6, "R"},
    {"conv_2x3_11x9x20_dilated_down", CONV, 11, 9, 20, 24, 2, 3, 1, 1, 3, 1, 9, 9, "dilation=5x1"},
    {"conv_2x3_16x10x20_stride_3x2", CONV, 16, 10, 20, 18, 2, 3, 3, 2, 0, 1, 5, 5, ""},
    {"pointwise_13x10x4200_to_70", CONV, 13, 10, 4200, 70, 1, 1, 1, 1, 0, 0, 13, 10, "C"},
    {"conv_7x7_32x32x3_to_64", CONV, 32, 32, 3, 64, 7, 7, 2, 2, 3, 3, 16, 16, "C"},
    {"head_7x7x320_to_1280", CONV, 7, 7, 320, 1280, 1, 1, 1, 1, 0, 0, 7, 7, "C"},
    {"pool_7x7x1280", POOL, 7, 7, 1280, 1280, 1, 1, 1, 1, 0, 0, 1, 1, ""},
    {"dense_1280_to_1000", CONV, 1, 1, 1280, 1000, 1, 1, 1, 1, 0, 0, 1, 1, ""},
    {"resnext_28x28x256_groups_32", CONV, 28, 28, 256, 256, 3, 3, 1, 1, 1, 1, 28, 28, "C groups=32"},
    {"project_28x28x144_silu", CONV, 28, 28, 144, 240, 1, 1, 1, 1, 0, 0, 28, 28, "act=silu scale=2"},
    {"max_pool_112x112x64", MAX_POOL, 112, 112, 64, 64, 3, 3, 2, 2, 1, 1, 56, 56, ""},
    {"excite_28x28x240", MULTIPLY, 28, 28, 240, 240, 1, 1, 1, 1, 0, 0, 28, 28, "factor=1x1x240"},
    {"lrn_27x27x96", LRN, 27, 27, 96, 96, 1, 1, 1, 1, 0, 0, 27, 27, "lrn=5:0.0001:0.75:1 scale=64"},
    {"layer_norm_14x14x384", LAYER_NORM, 14, 14, 384, 384, 1, 1, 1, 1, 0, 0, 14, 14, "epsilon=0.000001"},
    {"depthwise_1x3_stride_1x4000", DEPTHWISE, 1, 5, 4, 4, 1, 3, 1, 4000, 0, 1, 1, 1, ""},
    {"depthwise_1x40_dilation_1x3", DEPTHWISE, 2, 90, 4, 4, 1, 40, 1, 1, 0, 30, 2, 33, "dilation=1x3"},
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
