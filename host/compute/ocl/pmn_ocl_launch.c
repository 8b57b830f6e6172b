/* pmn_ocl_launch.c - one operation of a program, or a block of them, as one launch of a kernel.
 *
 * Making a launch chooses a convolution's tuning, packs and uploads the operation's weights, takes the kernel with
 * tuning and activation compiled in and sets its arguments; running it sets what differs from batch to batch, where its
 * pictures are and how many, and enqueues: a kernel that is enqueued keeps the arguments that it had then. The order of
 * arguments is that of the kernels' files. Sizes and indices were checked by pmn_program_check.
 */
#include "pmn_ocl_tuning.h"

#include "pmn_err.h"
#include "pmn_mem.h"

#include <string.h>

static size_t groups_needed(size_t units, size_t group) {
  return (units + group - 1) / group;
}

/* --------------------------------------------------------------------------------------------------- weights -- */

/* Output channels that a kernel takes together. */
static size_t panel_width(const pmn_ocl_device *device, const pmn_ocl_tuning *tuning) {
  return device->family->tiled ? (size_t)tuning->values[PMN_OCL_TILE_N] : 16;
}

/* Output channels of a convolution, filled up so that every group has whole panels. */
static size_t channels_padded(const pmn_op *op, const pmn_tensor *out, size_t panel) {
  size_t groups = (size_t)op->groups;
  return groups * groups_needed((size_t)out->c / groups, panel) * panel;
}

/* [depth][channels] into [panel][depth][width]: group after group, the last panel of each filled up with zeros. NULL if
 * memory cannot be had. */
static float *panels_pack(const float *weights, size_t depth, size_t channels, size_t groups, size_t width) {
  size_t group_channels = channels / groups, panels = groups_needed(group_channels, width);
  float *packed = pmn_calloc(groups * panels * width, depth * sizeof(float)), *panel = packed;
  if (packed == NULL) return NULL;
  for (size_t group = 0; group < groups; group++) {
    for (size_t first = 0; first < group_channels; first += width, panel += depth * width) {
      size_t count = group_channels - first < width ? group_channels - first : width;
      const float *from = weights + group * group_channels + first;
      for (size_t k = 0; k < depth; k++) memcpy(panel + k * width, from + k * channels, count * sizeof(float));
    }
  }
  return packed;
}

void pmn_ocl_bias_copy(const float *bias, size_t count, float *to) {
  for (size_t i = 0; i < count; i++) to[i] = bias[i] + 0.0f;
}

/* The bias of a convolution, in panels of `width` channels. */
static pmn_status bias_upload(
    pmn_ocl_launch *l, pmn_ocl_device *device, const pmn_op *op, const pmn_tensor *out, size_t width, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t padded = channels_padded(op, out, width);
  float *bias = panels_pack(op->bias, 1, (size_t)out->c, (size_t)op->groups, width);
  if (bias == NULL) return pmn_err_memory(err, padded * sizeof *bias, op->name);
  pmn_ocl_bias_copy(bias, padded, bias);
  PMN_TRY(pmn_ocl_buffer_create(device, padded, sizeof *bias, bias, "bias", &l->bias, err));
done:
  pmn_free(bias);
  return st;
}

/* [panel][depth][width] into [panel][depth / 2][width][2]; NULL if memory cannot be had. */
static float *pairs_pack(const float *packed, size_t panels, size_t depth, size_t width) {
  float *pairs = pmn_alloc(panels * depth * width, sizeof *pairs);
  for (size_t k = 0; pairs != NULL && k < panels * depth; k++) {
    for (size_t n = 0; n < width; n++) pairs[(k / 2 * width + n) * 2 + k % 2] = packed[k * width + n];
  }
  return pairs;
}

/* Convolutions read weights in panels of `width` channels; those on tensor cores in pairs along the depth, which is
 * even then. */
static pmn_status panels_upload(pmn_ocl_launch *l, pmn_ocl_device *device, const pmn_op *op, size_t depth, size_t width,
    const pmn_tensor *out, bool in_pairs, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t padded = channels_padded(op, out, width);
  float *weights = NULL, *pairs = NULL;
  if (depth > INT32_MAX / padded) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s: %zu x %zu packed weights, 2^31 or more", op->name, depth, padded);
  }
  weights = panels_pack(op->weights, depth, (size_t)out->c, (size_t)op->groups, width);
  if (weights != NULL && in_pairs) pairs = pairs_pack(weights, padded / width, depth, width);
  if (weights == NULL || (in_pairs && pairs == NULL)) {
    st = pmn_err_memory(err, padded * depth * sizeof(float), op->name);
    goto done;
  }
  PMN_TRY(pmn_ocl_weights_create(device, op->name, in_pairs ? pairs : weights, padded * depth, &l->weights, err));
done:
  pmn_free(weights);
  pmn_free(pairs);
  return st;
}

static pmn_status weights_upload(pmn_ocl_launch *l, pmn_ocl_device *device, const pmn_program *program,
    const pmn_op *op, pmn_ocl_kernel_id kernel, const pmn_ocl_tuning *tuning, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_tensor *in = &program->tensors[op->input], *out = &program->tensors[op->output];
  size_t weights = pmn_op_weights_size(op, in, out), bias = pmn_op_bias_size(op, out);
  if (op->kind == PMN_OP_CONV2D) {
    size_t width = panel_width(device, tuning);
    bool in_pairs = kernel == PMN_OCL_CONV2D_TENSOR;
    PMN_TRY(panels_upload(l, device, op, weights / (size_t)out->c, width, out, in_pairs, err));
    PMN_TRY(bias_upload(l, device, op, out, width, err));
  } else if (op->kind == PMN_OP_DEPTHWISE_CONV2D) {
    PMN_TRY(pmn_ocl_weights_create(device, op->name, op->weights, weights, &l->weights, err));
    PMN_TRY(bias_upload(l, device, op, out, (size_t)out->c, err));
  } else {
    if (weights > 0)
      PMN_TRY(pmn_ocl_buffer_create(device, weights, sizeof(float), op->weights, "weights", &l->weights, err));
    if (bias > 0) PMN_TRY(pmn_ocl_buffer_create(device, bias, sizeof(float), op->bias, "bias", &l->bias, err));
  }
done:
  return st;
}

/* One work-item, once: what is not said of a launch. */
static void launch_begin(pmn_ocl_launch *l) {
  for (int d = 0; d < 3; d++) l->global[d] = l->local[d] = 1;
  l->n_units = l->n_group = 1;
}

/* ------------------------------------------------------------------------------------------------- arguments -- */

/* A launch in the making. Arguments are set one after the other; the first failure is remembered. */
typedef struct arguments {
  pmn_ocl_launch *launch;
  const pmn_ocl_batch *batch;
  const pmn_ocl_family *family;
  pmn_ocl_kernel_id kernel;
  pmn_ocl_tuning tuning; /* of kernels that have one */
  const pmn_op *op;
  const pmn_tensor *in, *out;
  cl_uint next;
  cl_int code;
} arguments;

static void argument_add(arguments *a, size_t size, const void *value) {
  if (a->code == CL_SUCCESS) a->code = clSetKernelArg(a->launch->kernel, a->next, size, value);
  a->next++;
}
static void add_int(arguments *a, int32_t value) {
  argument_add(a, sizeof(cl_int), &(cl_int){value});
}
static void add_place(arguments *a, size_t numbers) {
  argument_add(a, sizeof(cl_ulong), &(cl_ulong){numbers});
}
static void add_float(arguments *a, float value) {
  argument_add(a, sizeof(cl_float), &(cl_float){value});
}
static void add_buffer(arguments *a, cl_mem buffer) {
  argument_add(a, sizeof buffer, &buffer);
}
static void add_int3(arguments *a, const int32_t v[3]) {
  argument_add(a, sizeof(cl_int4), &(cl_int4){.s = {v[0], v[1], v[2], 0}});
}
static void add_colours(arguments *a, const float v[3]) {
  argument_add(a, sizeof(cl_float4), &(cl_float4){.s = {v[0], v[1], v[2], 0.0f}});
}

/* A tensor: its buffer and where it begins there, in elements. For none, memory that the kernel will not read. The
 * buffer of the program's input is set when the launch runs. */
static void add_tensor(arguments *a, int32_t tensor) {
  const pmn_ocl_batch *b = a->batch;
  bool input = tensor == b->program->input, outside = input && !b->narrowed;
  if (outside)
    a->launch->inputs[a->launch->input_count++] = a->next++;
  else
    add_buffer(a, b->arena);
  size_t at = outside || tensor == PMN_NO_TENSOR ? 0 : b->program->tensors[tensor].arena_offset;
  add_place(a, (size_t)b->slice * (input && b->narrowed ? b->input_at : at));
}

/* The residual, then the output. */
static void add_output(arguments *a) {
  add_tensor(a, a->op->residual);
  add_int(a, a->op->residual != PMN_NO_TENSOR);
  add_tensor(a, a->op->output);
}

/* Input with its parameters, residual, output. */
static void add_operands(arguments *a) {
  add_tensor(a, a->op->input);
  if (a->launch->weights != NULL) add_buffer(a, a->launch->weights);
  if (a->launch->bias != NULL) add_buffer(a, a->launch->bias);
  add_output(a);
}

/* Heights, widths and channels of a kernel that keeps the number of channels. */
static void add_shapes(arguments *a) {
  const int32_t shapes[] = {a->in->h, a->in->w, a->in->c, a->out->h, a->out->w};
  for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) add_int(a, shapes[i]);
}

static void add_window(arguments *a, bool dilation) {
  const pmn_op *op = a->op;
  const int32_t window[] = {op->kernel_h, op->kernel_w, op->stride_h, op->stride_w};
  for (size_t i = 0; i < sizeof window / sizeof window[0]; i++) add_int(a, window[i]);
  if (dilation) {
    add_int(a, op->dilation_h);
    add_int(a, op->dilation_w);
  }
  add_int(a, op->pad_top);
  add_int(a, op->pad_left);
}

static void add_activation(arguments *a) {
  add_float(a, a->op->alpha);
  add_float(a, a->op->clamp_min);
  add_float(a, a->op->clamp_max);
}

/* --------------------------------------------------------------------------------------------- kind by kind -- */

/* A work-item for every element: dimension 0; pictures: dimension 1. */
static void elements_launch(arguments *a, size_t elements) {
  size_t local = a->family->element_local;
  a->launch->local[0] = local;
  a->launch->global[0] = groups_needed(elements, local) * local;
  a->launch->n_dimension = 1;
}

/* A work-group for every pixel: dimension 0; pictures: dimension 1. */
static void pixels_launch(arguments *a) {
  size_t local = a->family->pixel_local;
  a->launch->local[0] = local;
  a->launch->global[0] = (size_t)a->in->h * (size_t)a->in->w * local;
  a->launch->n_dimension = 1;
}

static void conv2d_arguments(arguments *a) {
  const int32_t *cut = a->tuning.values;
  pmn_ocl_launch *l = a->launch;
  size_t pixels = (size_t)a->out->h * (size_t)a->out->w, width = panel_width(a->batch->device, &a->tuning), bytes;
  size_t panels = channels_padded(a->op, a->out, width) / width;
  add_operands(a);
  add_shapes(a);
  add_int(a, a->out->c);
  add_window(a, true);
  add_activation(a);
  add_int(a, a->op->groups);
  add_colours(a, a->batch->program->input_scale);
  add_colours(a, a->batch->program->input_shift);
  pmn_ocl_tuning_local(a->batch->device, a->kernel, &a->tuning, l->local, &bytes);
  if (a->family->tiled) {
    l->takes_n = true;
    l->n_argument = a->next;
    l->global[0] = panels * l->local[0];
    l->n_dimension = 1;
    l->n_units = pixels;
    l->n_group = (size_t)cut[PMN_OCL_TILE_M];
  } else {
    l->global[0] = groups_needed(pixels, (size_t)cut[PMN_OCL_PIXELS] * (size_t)cut[PMN_OCL_BLOCKS]);
    l->global[1] = panels;
    l->n_dimension = 2;
  }
}

static void depthwise_arguments(arguments *a) {
  const int32_t *cut = a->tuning.values;
  pmn_ocl_launch *l = a->launch;
  size_t bytes;
  add_operands(a);
  add_shapes(a);
  if (a->family->tiled) { /* the rest of the window is compiled in */
    const int32_t down[] = {a->op->stride_h, a->op->dilation_h, a->op->pad_top, a->op->pad_left};
    for (size_t i = 0; i < sizeof down / sizeof down[0]; i++) add_int(a, down[i]);
  } else {
    add_window(a, true);
  }
  add_activation(a);
  size_t vectors = groups_needed((size_t)a->in->c, (size_t)cut[PMN_OCL_VECTOR]);
  size_t items = vectors * groups_needed((size_t)a->out->w, (size_t)cut[PMN_OCL_COLUMNS]);
  pmn_ocl_tuning_local(a->batch->device, a->kernel, &a->tuning, l->local, &bytes);
  l->global[0] = groups_needed(items, l->local[0]) * l->local[0];
  l->n_dimension = 1;
  l->n_units = (size_t)a->out->h;
}

static void global_average_pool_arguments(arguments *a) {
  size_t local = a->family->line_local;
  add_tensor(a, a->op->input);
  add_tensor(a, a->op->output);
  add_int(a, a->in->h * a->in->w);
  add_int(a, a->in->c);
  add_activation(a);
  a->launch->local[0] = local;
  a->launch->global[0] = groups_needed((size_t)a->in->c, local) * local;
  a->launch->n_dimension = 1;
}

static void max_pool_arguments(arguments *a) {
  add_operands(a);
  add_shapes(a);
  add_window(a, true);
  add_activation(a);
  elements_launch(a, pmn_tensor_size(a->out));
}

/* Where the rows or columns that a divisor counts end: past the pads that count, but no further than any window. */
static int32_t counted_end(int32_t in, int32_t pad_after, int32_t out, int32_t kernel, int32_t stride, int32_t pad) {
  int32_t last_window_end = (out - 1) * stride - pad + kernel;
  return in + pad_after < last_window_end ? in + pad_after : last_window_end;
}

static void average_pool_arguments(arguments *a) {
  const pmn_op *op = a->op;
  bool padding = op->count_padding;
  add_operands(a);
  add_shapes(a);
  add_window(a, false);
  add_int(a, padding);
  add_int(a, counted_end(a->in->h, padding ? op->pad_bottom : 0, a->out->h, op->kernel_h, op->stride_h, op->pad_top));
  add_int(a, counted_end(a->in->w, padding ? op->pad_right : 0, a->out->w, op->kernel_w, op->stride_w, op->pad_left));
  add_activation(a);
  elements_launch(a, pmn_tensor_size(a->out));
}

static void multiply_arguments(arguments *a) {
  const pmn_tensor *factor = &a->batch->program->tensors[a->op->factor];
  add_tensor(a, a->op->input);
  add_tensor(a, a->op->factor);
  add_output(a);
  add_int(a, a->in->h);
  add_int(a, a->in->w);
  add_int(a, a->in->c);
  add_int(a, factor->h * factor->w * factor->c);
  add_int(a, factor->h > 1 ? factor->w * factor->c : 0);
  add_int(a, factor->w > 1 ? factor->c : 0);
  add_int(a, factor->c > 1 ? 1 : 0);
  add_activation(a);
  elements_launch(a, pmn_tensor_size(a->out));
}

static void copy_arguments(arguments *a) {
  const pmn_copy *copy = &a->op->copy;
  add_tensor(a, a->op->input);
  add_tensor(a, a->op->output);
  add_int(a, (int32_t)pmn_tensor_size(a->in));
  add_int(a, (int32_t)pmn_tensor_size(a->out));
  add_int3(a, copy->extent);
  add_int(a, copy->in_first);
  add_int3(a, copy->in_stride);
  add_int(a, copy->out_first);
  add_int3(a, copy->out_stride);
  elements_launch(a, (size_t)copy->extent[0] * (size_t)copy->extent[1] * (size_t)copy->extent[2]);
}

static void softmax_arguments(arguments *a) {
  add_operands(a);
  add_int(a, a->in->h * a->in->w);
  add_int(a, a->in->c);
  add_activation(a);
  pixels_launch(a);
}

static void lrn_arguments(arguments *a) {
  const pmn_op *op = a->op;
  add_operands(a);
  add_int(a, a->in->h * a->in->w);
  add_int(a, a->in->c);
  add_int(a, (op->lrn_size - 1) / 2);
  add_int(a, op->lrn_size / 2);
  add_float(a, op->lrn_bias);
  add_float(a, (float)((double)op->lrn_alpha / op->lrn_size));
  add_float(a, op->lrn_beta);
  add_activation(a);
  elements_launch(a, pmn_tensor_size(a->out));
}

static void layer_norm_arguments(arguments *a) {
  add_operands(a);
  add_int(a, a->in->h * a->in->w);
  add_int(a, a->in->c);
  add_float(a, a->op->epsilon);
  add_activation(a);
  pixels_launch(a);
}

static void resize_arguments(arguments *a) {
  add_operands(a);
  add_shapes(a);
  add_activation(a);
  elements_launch(a, pmn_tensor_size(a->out));
}

static const struct {
  pmn_ocl_kernel_id kernel;
  void (*arguments)(arguments *a);
} kinds[PMN_OP_KIND_COUNT] = {
    [PMN_OP_CONV2D] = {PMN_OCL_CONV2D, conv2d_arguments},
    [PMN_OP_DEPTHWISE_CONV2D] = {PMN_OCL_DEPTHWISE_CONV2D, depthwise_arguments},
    [PMN_OP_GLOBAL_AVERAGE_POOL] = {PMN_OCL_GLOBAL_AVERAGE_POOL, global_average_pool_arguments},
    [PMN_OP_MAX_POOL] = {PMN_OCL_MAX_POOL, max_pool_arguments},
    [PMN_OP_AVERAGE_POOL] = {PMN_OCL_AVERAGE_POOL, average_pool_arguments},
    [PMN_OP_MULTIPLY] = {PMN_OCL_MULTIPLY, multiply_arguments},
    [PMN_OP_COPY] = {PMN_OCL_COPY, copy_arguments},
    [PMN_OP_SOFTMAX] = {PMN_OCL_SOFTMAX, softmax_arguments},
    [PMN_OP_LRN] = {PMN_OCL_LRN, lrn_arguments},
    [PMN_OP_LAYER_NORM] = {PMN_OCL_LAYER_NORM, layer_norm_arguments},
    [PMN_OP_RESIZE] = {PMN_OCL_RESIZE, resize_arguments},
};

pmn_ocl_kernel_id pmn_ocl_launch_kernel(const pmn_ocl_device *device, const pmn_program *program, const pmn_op *op) {
  if (op->kind != PMN_OP_CONV2D) return kinds[op->kind].kernel;
  if (op->input == program->input && program->input_type == PMN_INPUT_U8) return PMN_OCL_CONV2D_BYTES;
  int32_t in = program->tensors[op->input].c / op->groups, out = program->tensors[op->output].c / op->groups;
  return device->family->tensor && in % 8 == 0 && out % 8 == 0 ? PMN_OCL_CONV2D_TENSOR : PMN_OCL_CONV2D;
}

pmn_status pmn_ocl_launch_init(pmn_ocl_launch *l, const pmn_ocl_batch *batch, const pmn_op *op, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_program *program = batch->program;
  pmn_ocl_device *device = batch->device;
  pmn_ocl_kernel_id id = pmn_ocl_launch_kernel(device, program, op);
  arguments a = {.launch = l,
      .batch = batch,
      .family = device->family,
      .kernel = id,
      .op = op,
      .in = &program->tensors[op->input],
      .out = &program->tensors[op->output],
      .code = CL_SUCCESS};
  char tunables[PMN_OCL_TUNABLES_TEXT] = "";
  pmn_ocl_tuning *tuning = pmn_ocl_kernel_tunes(id) ? &a.tuning : NULL;
  const pmn_ocl_layer layer = {id, op, a.in, a.out, batch->slice};
  if (tuning != NULL && batch->tuning != NULL)
    *tuning = *batch->tuning;
  else if (tuning != NULL)
    *tuning = pmn_ocl_tuning_choose(device, &layer);
  if (tuning != NULL) pmn_ocl_tuning_adapt(device, &layer, tuning);
  launch_begin(l);
  PMN_TRY(weights_upload(l, device, program, op, id, tuning, err));
  if (tuning != NULL) pmn_ocl_tuning_options(device, &layer, tuning, tunables, sizeof tunables);
  PMN_TRY(pmn_ocl_kernel_create(device, id, op->activation, tunables, &l->kernel, err));
  kinds[op->kind].arguments(&a);
  PMN_OCL_TRY(device, a.code, op->name, err);
done:
  return st;
}

pmn_status pmn_ocl_launch_convert(pmn_ocl_launch *l, const pmn_ocl_batch *batch, pmn_ocl_kernel_id id, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_program *program = batch->program;
  bool narrow = id == PMN_OCL_NARROW;
  size_t slice = (size_t)batch->slice;
  const pmn_tensor *tensor = &program->tensors[narrow ? program->input : program->output];
  launch_begin(l);
  PMN_TRY(pmn_ocl_kernel_create(batch->device, id, PMN_ACTIVATION_NONE, NULL, &l->kernel, err));
  arguments a = {.launch = l, .batch = batch, .family = batch->device->family, .code = CL_SUCCESS};
  if (narrow)
    l->inputs[l->input_count++] = a.next++;
  else
    add_buffer(&a, batch->arena);
  add_place(&a, narrow ? 0 : slice * tensor->arena_offset);
  add_buffer(&a, batch->arena);
  add_place(&a, slice * (narrow ? batch->input_at : batch->output_at));
  add_int(&a, (int32_t)pmn_tensor_size(tensor));
  elements_launch(&a, pmn_tensor_size(tensor));
  PMN_OCL_TRY(batch->device, a.code, "converting", err);
done:
  return st;
}

/* The block's input is that of its first operation, residual, output and clamp are those of its last. */
static void inverted_residual_arguments(arguments *a, const pmn_ocl_block *block) {
  const pmn_op *expand = block->expand, *depthwise = block->depthwise;
  size_t tiles_h = groups_needed((size_t)a->out->h, (size_t)block->tile_h);
  size_t tiles_w = groups_needed((size_t)a->out->w, (size_t)block->tile_w);
  add_tensor(a, expand != NULL ? expand->input : depthwise->input);
  add_buffer(a, a->launch->weights);
  add_buffer(a, a->launch->bias);
  add_output(a);
  add_shapes(a);
  add_int(a, block->out_c);
  add_int(a, block->wide_c);
  add_int(a, depthwise->pad_top);
  add_int(a, depthwise->pad_left);
  add_float(a, expand != NULL ? expand->clamp_min : 0.0f);
  add_float(a, expand != NULL ? expand->clamp_max : 0.0f);
  add_float(a, depthwise->clamp_min);
  add_float(a, depthwise->clamp_max);
  add_float(a, a->op->clamp_min);
  add_float(a, a->op->clamp_max);
  a->launch->local[0] = PMN_OCL_BLOCK_ITEMS;
  a->launch->global[0] = tiles_h * tiles_w * PMN_OCL_BLOCK_ITEMS;
  a->launch->n_dimension = 1;
}

pmn_status pmn_ocl_launch_init_block(
    pmn_ocl_launch *l, const pmn_ocl_batch *batch, const pmn_ocl_block *block, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_tensor *tensors = batch->program->tensors;
  const pmn_op *first = block->expand != NULL ? block->expand : block->depthwise;
  char tunables[PMN_OCL_TUNABLES_TEXT];
  launch_begin(l);
  PMN_TRY(pmn_ocl_block_upload(block, batch->device, &l->weights, &l->bias, err));
  pmn_ocl_block_options(block, tunables);
  PMN_TRY(
      pmn_ocl_kernel_create(batch->device, PMN_OCL_INVERTED_RESIDUAL, PMN_ACTIVATION_NONE, tunables, &l->kernel, err));
  arguments a = {.launch = l,
      .batch = batch,
      .family = batch->device->family,
      .op = block->project,
      .in = &tensors[first->input],
      .out = &tensors[block->project->output],
      .code = CL_SUCCESS};
  inverted_residual_arguments(&a, block);
  PMN_OCL_TRY(batch->device, a.code, block->project->name, err);
done:
  return st;
}

pmn_status pmn_ocl_launch_enqueue(const pmn_ocl_launch *l, const pmn_ocl_device *device, cl_command_queue queue,
    cl_mem input, int32_t n, cl_event *event, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  for (int32_t i = 0; i < l->input_count; i++)
    PMN_OCL_TRY(device, clSetKernelArg(l->kernel, l->inputs[i], sizeof input, &input), "a kernel", err);
  if (l->takes_n) {
    PMN_OCL_TRY(device, clSetKernelArg(l->kernel, l->n_argument, sizeof(cl_int), &(cl_int){n}), "a kernel", err);
  }
  size_t global[3] = {l->global[0], l->global[1], l->global[2]};
  global[l->n_dimension] = groups_needed((size_t)n * l->n_units, l->n_group) * l->local[l->n_dimension];
  PMN_OCL_TRY(
      device, clEnqueueNDRangeKernel(queue, l->kernel, 3, NULL, global, l->local, 0, NULL, event), "a kernel", err);
done:
  return st;
}

pmn_status pmn_ocl_launch_run(
    const pmn_ocl_launch *l, const pmn_ocl_device *device, cl_mem input, int32_t n, pmn_err *err) {
  return pmn_ocl_launch_enqueue(l, device, device->queue, input, n, NULL, err);
}

void pmn_ocl_launch_reset(pmn_ocl_launch *l) {
  if (l->kernel != NULL) clReleaseKernel(l->kernel);
  if (l->weights != NULL) clReleaseMemObject(l->weights);
  if (l->bias != NULL) clReleaseMemObject(l->bias);
  *l = (pmn_ocl_launch){0};
}
