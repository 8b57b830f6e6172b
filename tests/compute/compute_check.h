/* compute_check.h - what the parts of the backend test share.
 *
 * The judge is `ref`, itself judged by goldens. A backend may be wrong by what rounding explains and no more. Where an
 * output is a sum of products:
 *   |y - ref| <= (L + 4) * FLT_EPSILON * M + P
 * L terms in the sum; M the same sum over absolute values, plus |bias| and |residual|; P what errors already in the
 * input grow to. M and P come from running `ref` on absolute values and on errors. The 4: bias, residual, and the
 * loading and storing of values. See Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 3.1.
 * Where a convolution takes Winograd's way, M is instead its own formula over absolute values,
 *   |A'| [ sum over in channels of |G| |g| |G'| * |B'| |d| |B| ] |A|      (pmn_cpu_winograd.h)
 * and L + 24 its longest chain of roundings: L channels, then 4 + 4 in either transform of d and of the products, and
 * g.
 * With bf16 either factor of a convolution's product is off by 2^-8 of itself at most, half a unit in the last of 8
 * bits, so that the products add
 *   (2 * 2^-8 + 2^-16) * M'
 * M' being M without the bias. The products of two such numbers are exact in fp32.
 * With fp16 the test gives factors that halves hold, and what rounding the result y to 11 bits adds is
 *   2^-11 |y| + 2^-25
 * the second for what lies below 2^-14.
 * Maxima and copies are exact. Softmax and the normalisations have bounds of their own; their reasons stand in
 * check_bound.c. An activation f then adds
 *   S * (the bound so far) + U * FLT_EPSILON * |f|
 * S its steepest slope, U units in the last place that its own computation may cost on the backend.
 */
#ifndef COMPUTE_CHECK_H
#define COMPUTE_CHECK_H

#include "check.h"
#include "pmn_backend.h"

/* Devices under test: every configuration of the backend that this machine can run, the first with 1 thread. */
typedef struct compute_config {
  pmn_device *device;
  const char *label;
  double activation_units; /* U above */
  bool has_winograd;       /* convolutions may take Winograd's way, with its bound */
  bool has_bf16;           /* convolutions round their factors */
  bool has_fp16;           /* of all configurations or of none: tensors and factors are halves */
} compute_config;
enum { COMPUTE_CONFIGS_MAX = 10 };
extern compute_config compute_configs[COMPUTE_CONFIGS_MAX];
extern int compute_config_count;
extern pmn_device *compute_reference;

/* calloc that fails the test. */
void *compute_alloc(size_t count, size_t size);

/* A number as the devices under test store it: itself, or the nearest half, 65504 at most. */
float compute_stored(float value);
/* What storing adds to the error of a result that is about y. */
double compute_storing_bound(const compute_config *config, double y);

/* Numbers of a seed, each times `scale`, as they are stored. */
float *compute_random(uint64_t seed, size_t count, float scale);
float *compute_absolute(const float *v, size_t count);

/* Runs a program on n pictures with a network made for batch_max. The output is prefilled with NaN between two fences
 * that must stay whole. free() the result. */
float *compute_run(pmn_device *device, const pmn_program *program, const void *input, int32_t n, int32_t batch_max);

/* What one operation reads of one picture, as f32; residual and factor NULL for none. Magnitudes are those of `in`, or
 * NULL where they are its absolute values. */
typedef struct compute_operands {
  const float *in, *magnitudes, *residual, *factor;
} compute_operands;

/* One operation of a program by `ref`: shapes and parameters are those of the operation. free() the result. */
float *compute_apply(const pmn_program *program, const pmn_op *op, const compute_operands *operands);
/* The bound above for the same on a device that was configured so. free() the result. */
float *compute_bound(
    const pmn_program *program, const pmn_op *op, const compute_operands *operands, const compute_config *config);

/* What computing f(v) in f32 may add, f being its true value: `units` in the last place of it, and what cannot be
 * relative to it. */
double compute_activation_bound(pmn_activation activation, double v, double f, double units);

/* Largest |y - expected| / bound; NaN in y or anything above 1 fails the test. */
double compute_compare(
    const float *y, const float *expected, const float *bound, size_t count, const char *label, const char *name);
/* Of convolutions that may take Winograd's way: their errors in the mean, against a hundredth of their bounds. */
void compute_check_mean_error(const pmn_program *program, const pmn_op *op, const compute_config *config,
    const float *y, const float *expected, const float *bound, const char *name);
/* The same of convolutions that round their factors, which must be spread like compute_random's: against the part of
 * their bounds that rounding to both sides leaves. */
void compute_check_mean_rounding(const pmn_program *program, const pmn_op *op, const compute_config *config,
    const float *y, const float *expected, const float *bound, const char *name);

/* The tests: CMocka test functions. */
void check_ops_goldens(void **state);
void check_ops_table(void **state);
void check_ops_sweep(void **state);
void check_ops_means(void **state);
void check_ops_activations(void **state);
void check_networks_chain(void **state);
void check_networks_batches(void **state);
void check_networks_slots(void **state);
void check_networks_arguments(void **state);
void check_networks_memory(void **state);
void check_matrix_syrk(void **state);
void check_matrix_gemm(void **state);

#endif
