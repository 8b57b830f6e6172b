/* pmn_ocl_tune.c - the tuner: tries the tunings of every shape of convolution in a program.
 *
 * A trial is one layer alone on random pictures with its own weights. Every tuning of the table that the device can run
 * must give the bits of the default on up to three pictures before it is timed: drivers do miscompile kernels, one tile
 * size and not the next. Times are those of the device's own events. First all tunings run a few times each; then the
 * fastest meets the default in pairs, one after the other, so that a device that warms up or has other work slows both.
 * It is kept if the median of the differences is larger than the distance of their quartiles.
 */
#include "pmn_ocl_tuning.h"

#include "pmn_err.h"
#include "pmn_mem.h"
#include "pmn_random.h"

#include <stdlib.h>
#include <string.h>

enum {
  CHECKED_MAX = 3, /* pictures whose bits are compared: tiles that reach from one into the next are among them */
  RUNS = 3,        /* of every tuning, behind one that is not counted */
  PAIRS = 11,
};
static const double HOPELESS = 2.0; /* times the fastest so far: a first run that took longer ends a trial */

typedef struct trial {
  pmn_ocl_device *device;
  cl_command_queue queue; /* that tells times */
  pmn_tensor tensors[3];  /* input, output, residual */
  pmn_op op;
  pmn_program program;
  cl_mem input;
  pmn_ocl_batch batch;
  pmn_ocl_layer layer;
  int32_t checked;
  size_t bytes;             /* of `checked` outputs, as they are stored */
  char *expected, *outcome; /* [bytes] */
} trial;

static void trial_reset(trial *t) {
  if (t->input != NULL) clReleaseMemObject(t->input);
  if (t->batch.arena != NULL) clReleaseMemObject(t->batch.arena);
  if (t->queue != NULL) clReleaseCommandQueue(t->queue);
  pmn_free(t->expected);
  pmn_free(t->outcome);
}

/* The operation as a program of its own. */
static void program_init(trial *t, const pmn_program *program, const pmn_op *op) {
  t->tensors[0] = program->tensors[op->input];
  t->tensors[1] = t->tensors[2] = program->tensors[op->output];
  t->tensors[1].arena_offset = 0;
  t->tensors[2].arena_offset = (pmn_tensor_size(&t->tensors[1]) + 15) / 16 * 16;
  t->op = *op;
  t->op.input = 0;
  t->op.output = 1;
  if (op->residual != PMN_NO_TENSOR) t->op.residual = 2;
  bool first = op->input == program->input;
  t->program = (pmn_program){.tensors = t->tensors,
      .ops = &t->op,
      .tensor_count = 3,
      .op_count = 1,
      .input = 0,
      .output = 1,
      .input_type = first ? program->input_type : PMN_INPUT_F32,
      .arena_size = 2 * t->tensors[2].arena_offset};
  memcpy(t->program.input_scale, program->input_scale, sizeof t->program.input_scale);
  memcpy(t->program.input_shift, program->input_shift, sizeof t->program.input_shift);
}

/* No more pictures than the buffers may hold. */
static int32_t pictures_fit(const trial *t, int32_t batch) {
  size_t most = (size_t)batch, in = pmn_tensor_size(&t->tensors[0]), arena = t->program.arena_size;
  size_t largest = (in > arena ? in : arena);
  if ((size_t)INT32_MAX / largest < most) most = (size_t)INT32_MAX / largest;
  if (t->device->buffer_bytes_max / sizeof(float) / largest < most)
    most = t->device->buffer_bytes_max / sizeof(float) / largest;
  return most > 0 ? (int32_t)most : 1;
}

/* Random pictures over and over, `size` bytes, from one block of them: bytes, or numbers from -1 to 1 as tensors have.
 */
static pmn_status buffer_fill(const trial *t, cl_mem buffer, size_t first, size_t size, bool bytes, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  enum { BLOCK = 1 << 20 };
  pmn_random random;
  pmn_random_init(&random, 1);
  float *block = pmn_alloc(BLOCK, sizeof *block);
  if (block == NULL) return pmn_err_memory(err, BLOCK * sizeof *block, "random pictures");
  for (size_t i = 0; i < BLOCK; i++) block[i] = (float)(2.0 * pmn_random_uniform(&random) - 1.0);
  bool halves = t->batch.width == sizeof(uint16_t);
  for (size_t i = 0; i < 2 * BLOCK && halves; i++) {
    float v = (float)(2.0 * pmn_random_uniform(&random) - 1.0);
    memcpy((char *)block + i * sizeof(uint16_t), &(uint16_t){pmn_ocl_half_round(v)}, sizeof(uint16_t));
  }
  for (size_t i = 0; i < BLOCK * sizeof *block && bytes; i++) ((uint8_t *)block)[i] = (uint8_t)pmn_random_next(&random);
  for (size_t at = 0; at < size; at += BLOCK * sizeof *block) {
    size_t part = size - at < BLOCK * sizeof *block ? size - at : BLOCK * sizeof *block;
    PMN_OCL_TRY(t->device, clEnqueueWriteBuffer(t->queue, buffer, CL_TRUE, first + at, part, block, 0, NULL, NULL),
        "random pictures", err);
  }
done:
  pmn_free(block);
  return st;
}

static pmn_status trial_init(
    trial *t, pmn_ocl_device *device, const pmn_program *program, const pmn_op *op, int32_t batch, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  cl_int code;
  t->device = device;
  program_init(t, program, op);
  int32_t n = pictures_fit(t, batch);
  t->checked = n < CHECKED_MAX ? n : CHECKED_MAX;
  t->layer =
      (pmn_ocl_layer){pmn_ocl_launch_kernel(device, &t->program, &t->op), &t->op, &t->tensors[0], &t->tensors[1], n};
  size_t width = pmn_ocl_width(device);
  t->batch = (pmn_ocl_batch){.device = device, .program = &t->program, .slice = n, .width = width};
  t->bytes = pmn_tensor_size(&t->tensors[1]) * (size_t)t->checked * width;
  t->expected = pmn_alloc(t->bytes, 1);
  t->outcome = pmn_alloc(t->bytes, 1);
  if (t->expected == NULL || t->outcome == NULL) PMN_TRY(pmn_err_memory(err, 2 * t->bytes, "outputs of a layer"));
  bool bytes = t->program.input_type == PMN_INPUT_U8;
  size_t scalar = bytes ? 1 : width, in = pmn_tensor_size(&t->tensors[0]) * (size_t)n * scalar;
  size_t arena = t->program.arena_size * (size_t)n, residual = t->tensors[2].arena_offset * (size_t)n * width;
  t->queue = clCreateCommandQueue(device->context, device->id, CL_QUEUE_PROFILING_ENABLE, &code);
  PMN_OCL_TRY(device, code, "creating a queue that tells times", err);
  PMN_TRY(pmn_ocl_buffer_create(device, in, 1, NULL, "pictures", &t->input, err));
  PMN_TRY(pmn_ocl_buffer_create(device, arena, width, NULL, "outputs of a layer", &t->batch.arena, err));
  PMN_TRY(buffer_fill(t, t->input, 0, in, bytes, err));
  if (op->residual != PMN_NO_TENSOR)
    PMN_TRY(buffer_fill(t, t->batch.arena, residual, arena * width - residual, false, err));
done:
  return st;
}

/* ------------------------------------------------------------------------------------------------------- runs -- */

static pmn_status run_timed(const trial *t, const pmn_ocl_launch *launch, double *seconds, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  cl_event event = NULL;
  cl_ulong start = 0, end = 0;
  PMN_TRY(pmn_ocl_launch_enqueue(launch, t->device, t->queue, t->input, t->layer.n, &event, err));
  PMN_OCL_TRY(t->device, clWaitForEvents(1, &event), t->op.name, err);
  PMN_OCL_TRY(t->device, clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_START, sizeof start, &start, NULL),
      "asking for a time", err);
  PMN_OCL_TRY(t->device, clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_END, sizeof end, &end, NULL),
      "asking for a time", err);
  *seconds = end > start ? (double)(end - start) * 1e-9 : 0.0;
done:
  if (event != NULL) clReleaseEvent(event);
  return st;
}

/* The bits that a launch makes of the pictures that are checked; what it leaves out is NaN. */
static pmn_status run_read(const trial *t, const pmn_ocl_launch *launch, char *outcome, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const cl_uchar nan = UINT8_MAX; /* of every byte */
  size_t bytes = t->bytes;
  PMN_OCL_TRY(t->device, clEnqueueFillBuffer(t->queue, t->batch.arena, &nan, sizeof nan, 0, bytes, 0, NULL, NULL),
      "clearing outputs", err);
  PMN_TRY(pmn_ocl_launch_enqueue(launch, t->device, t->queue, t->input, t->checked, NULL, err));
  PMN_OCL_TRY(t->device, clEnqueueReadBuffer(t->queue, t->batch.arena, CL_TRUE, 0, bytes, outcome, 0, NULL, NULL),
      t->op.name, err);
done:
  if (st != PMN_STATUS_OK) clFinish(t->queue);
  return st;
}

static int seconds_compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static pmn_status launch_create(trial *t, const pmn_ocl_tuning *tuning, pmn_ocl_launch *launch, pmn_err *err) {
  t->batch.tuning = tuning;
  return pmn_ocl_launch_init(launch, &t->batch, &t->op, err);
}

/* ----------------------------------------------------------------------------------------------------- search -- */

/* The median of a few runs, or of the first alone if it is hopeless; *right tells whether the bits are the default's.
 * Any error means that the device cannot run this tuning: whether it can run anything still, the pairs will show. */
static pmn_status tuning_try(
    trial *t, const pmn_ocl_tuning *tuning, double fastest, bool *right, double *seconds, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_ocl_launch launch = {0};
  double runs[RUNS];
  *right = false;
  PMN_TRY(launch_create(t, tuning, &launch, err));
  PMN_TRY(run_read(t, &launch, t->outcome, err));
  *right = memcmp(t->outcome, t->expected, t->bytes) == 0;
  if (!*right) goto done;
  PMN_TRY(run_timed(t, &launch, seconds, err));
  if (*seconds > HOPELESS * fastest) goto done;
  for (int i = 0; i < RUNS; i++) PMN_TRY(run_timed(t, &launch, &runs[i], err));
  qsort(runs, RUNS, sizeof runs[0], seconds_compare);
  *seconds = runs[RUNS / 2];
done:
  pmn_ocl_launch_reset(&launch);
  return st;
}

/* Default and fastest in turns. */
static pmn_status pairs_run(
    trial *t, const pmn_ocl_tuning *rule, const pmn_ocl_tuning *best, pmn_tuned_layer *found, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_ocl_launch launches[2] = {0};
  double ignored, runs[2][PAIRS], gains[PAIRS];
  PMN_TRY(launch_create(t, rule, &launches[0], err));
  PMN_TRY(launch_create(t, best, &launches[1], err));
  for (int l = 0; l < 2; l++) PMN_TRY(run_timed(t, &launches[l], &ignored, err));
  for (int i = 0; i < PAIRS; i++) {
    for (int l = 0; l < 2; l++) PMN_TRY(run_timed(t, &launches[l], &runs[l][i], err));
    gains[i] = runs[0][i] - runs[1][i];
  }
  qsort(gains, PAIRS, sizeof gains[0], seconds_compare);
  for (int l = 0; l < 2; l++) qsort(runs[l], PAIRS, sizeof runs[l][0], seconds_compare);
  found->default_seconds = runs[0][PAIRS / 2];
  found->seconds = runs[1][PAIRS / 2];
  found->kept = gains[PAIRS / 2] > gains[3 * PAIRS / 4] - gains[PAIRS / 4];
done:
  for (int l = 0; l < 2; l++) pmn_ocl_launch_reset(&launches[l]);
  return st;
}

static pmn_ocl_tuning adapted(const trial *t, pmn_ocl_tuning tuning) {
  pmn_ocl_tuning_adapt(t->device, &t->layer, &tuning);
  return tuning;
}

/* The i-th of the table makes the same kernel for this layer as the rule or an earlier one. */
static bool is_known(const trial *t, const pmn_ocl_tuning *rule, const pmn_ocl_tuning *table, size_t i) {
  pmn_ocl_tuning own = adapted(t, table[i]), other = adapted(t, *rule);
  for (size_t j = 0; !pmn_ocl_tuning_same(&own, &other); j++) {
    if (j == i) return false;
    other = adapted(t, table[j]);
  }
  return true;
}

static bool stopped(const pmn_tune_watch *watch) {
  return watch->stop != NULL && *watch->stop != 0;
}

static pmn_status fastest_find(trial *t, const pmn_tune_watch *watch, const pmn_ocl_tuning *rule, pmn_ocl_tuning *best,
    pmn_tuned_layer *found, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t count;
  bool right;
  double fastest = 1e30, seconds = 0.0;
  const pmn_ocl_tuning *table = pmn_ocl_tuning_table(t->device, t->layer.kernel, &count);
  pmn_ocl_launch launch = {0};
  PMN_TRY(launch_create(t, rule, &launch, err));
  PMN_TRY(run_read(t, &launch, t->expected, err));
  PMN_TRY(tuning_try(t, rule, fastest, &right, &fastest, err));
  if (!right) {
    PMN_FAIL(err, PMN_STATUS_DEVICE, "%s: layer %s gives other bits when it runs again", t->device->base.info.name,
        t->op.name);
  }
  *best = *rule;
  for (size_t i = 0; i < count; i++) {
    if (stopped(watch)) PMN_FAIL(err, PMN_STATUS_INTERRUPTED, "interrupted; layers that were finished are kept");
    if (is_known(t, rule, table, i)) continue;
    bool runs = pmn_ocl_tuning_fits(t->device, t->layer.kernel, &table[i]) &&
                tuning_try(t, &table[i], fastest, &right, &seconds, NULL) == PMN_STATUS_OK;
    if (!runs) found->refused++;
    if (runs && !right) found->wrong++;
    if (runs && right) found->right++;
    if (!runs || !right || seconds >= fastest) continue;
    fastest = seconds;
    *best = table[i];
  }
done:
  pmn_ocl_launch_reset(&launch);
  return st;
}

static pmn_status layer_tune(pmn_ocl_device *device, const pmn_program *program, const pmn_op *op, int32_t batch,
    const pmn_tune_watch *watch, pmn_tuned_layer *found, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  char shape_text[160], rule_text[96], best_text[96];
  pmn_ocl_tuning best;
  trial t = {0};
  PMN_TRY(trial_init(&t, device, program, op, batch, err));
  pmn_ocl_tuning rule = pmn_ocl_tuning_rule(device, &t.layer);
  pmn_ocl_shape shape = pmn_ocl_shape_of(&t.layer);
  PMN_TRY(fastest_find(&t, watch, &rule, &best, found, err));
  PMN_TRY(pairs_run(&t, &rule, &best, found, err));
  if (pmn_ocl_tuning_same(&rule, &best)) found->kept = false;
  PMN_TRY(pmn_ocl_tuned_keep(device, &shape, found->kept ? &best : NULL, err));
  pmn_ocl_tuning_adapt(device, &t.layer, &rule);
  pmn_ocl_tuning_adapt(device, &t.layer, &best);
  pmn_ocl_shape_print(&t.layer, shape_text, sizeof shape_text);
  pmn_ocl_tuning_print(device, t.layer.kernel, &rule, rule_text, sizeof rule_text);
  pmn_ocl_tuning_print(device, t.layer.kernel, &best, best_text, sizeof best_text);
  found->name = op->name;
  found->shape = shape_text;
  found->default_tuning = rule_text;
  found->tuning = best_text;
  if (watch->on_layer != NULL) watch->on_layer(watch->arg, found);
done:
  trial_reset(&t);
  return st;
}

/* ---------------------------------------------------------------------------------------------------- program -- */

static bool same_shape(const pmn_ocl_device *device, const pmn_program *program, const pmn_op *a, const pmn_op *b) {
  pmn_ocl_layer layers[2];
  const pmn_op *const ops[2] = {a, b};
  for (int i = 0; i < 2; i++) {
    layers[i] = (pmn_ocl_layer){pmn_ocl_launch_kernel(device, program, ops[i]), ops[i],
        &program->tensors[ops[i]->input], &program->tensors[ops[i]->output], 1};
  }
  pmn_ocl_shape first = pmn_ocl_shape_of(&layers[0]), second = pmn_ocl_shape_of(&layers[1]);
  return memcmp(&first, &second, sizeof first) == 0;
}

/* How many operations that are launches of their own have the shape of the i-th; 0 if it has no tunings, is none of
 * them, or an earlier one has its shape. */
static int32_t layers_count(const pmn_ocl_device *device, const pmn_ocl_plan *plan, int32_t i) {
  const pmn_program *program = &plan->program;
  int32_t count = 0;
  if (plan->lengths[i] != 1 || !pmn_ocl_kernel_tunes(pmn_ocl_launch_kernel(device, program, &program->ops[i])))
    return 0;
  for (int32_t j = 0; j < program->op_count; j++) {
    if (plan->lengths[j] != 1 || !same_shape(device, program, &program->ops[i], &program->ops[j])) continue;
    if (j < i) return 0;
    count++;
  }
  return count;
}

pmn_status pmn_ocl_tune(
    pmn_device *base, const pmn_program *program, int32_t batch, const pmn_tune_watch *watch, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_ocl_device *device = (pmn_ocl_device *)base;
  int32_t total = 0, index = 0;
  pmn_ocl_plan plan = {0};
  /* Where nothing can be kept, that is told before anything is measured. */
  PMN_TRY(pmn_ocl_tuned_keep(device, &(pmn_ocl_shape){{0}}, NULL, err));
  PMN_TRY(pmn_ocl_plan_init(&plan, device, program, err));
  device->trying = true;
  for (int32_t i = 0; i < program->op_count; i++) total += layers_count(device, &plan, i) > 0;
  for (int32_t i = 0; i < program->op_count; i++) {
    pmn_tuned_layer found = {.total = total, .layers = layers_count(device, &plan, i)};
    if (found.layers == 0) continue;
    found.index = ++index;
    PMN_TRY(layer_tune(device, program, &program->ops[i], batch, watch, &found, err));
  }
done:
  device->trying = false;
  pmn_ocl_plan_reset(&plan);
  return st;
}
