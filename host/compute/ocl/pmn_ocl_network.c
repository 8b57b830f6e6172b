/* pmn_ocl_network.c - a program as a list of kernel launches on one arena.
 *
 * Weights are packed and uploaded once. All tensors of all pictures of a batch live in one buffer, the arena: tensor t
 * of a batch of N begins at arena_offset * N, its pictures one after the other. A run uploads the input, enqueues one
 * kernel per operation on the in-order queue without waiting, and waits once, for the output to come down.
 *
 * Kernels index within a tensor by 32 bits and a driver limits the size of one buffer, so a network may take a batch in
 * slices of fewer pictures than the caller asked for; the caller sees no difference, neither in bits.
 */
#include "pmn_ocl.h"

#include "pmn_err.h"
#include "pmn_mem.h"

#include <string.h>

/* One operation, its arguments set but for the number of pictures. */
typedef struct launch {
  cl_kernel kernel;
  cl_mem weights, bias;
  size_t global[3], local[3];
  /* Dimension n_dimension of the global size holds as many groups as n * n_units need at n_group each. */
  size_t n_dimension, n_units, n_group;
  bool takes_n; /* the last argument is the number of pictures */
  cl_uint n_argument;
} launch;

typedef struct ocl_network {
  pmn_network base;
  pmn_ocl_device *device;
  int32_t slice; /* pictures the buffers hold */
  cl_mem input, arena;
  size_t input_bytes, output_size, output_at; /* of one picture: bytes, floats; floats into the arena */
  launch *launches;
  int32_t launch_count;
} ocl_network;

pmn_status pmn_ocl_buffer_create(pmn_ocl_device *device, size_t count, size_t size, const void *host, const char *what,
    cl_mem *buffer, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t bytes;
  cl_int code;
  if (!pmn_size_mul(count, size, &bytes) || bytes > device->buffer_bytes_max) {
    PMN_FAIL(err, PMN_STATUS_NO_MEMORY, "%s: %zu x %zu bytes for %s; the largest buffer it allows has %llu",
        device->base.info.name, count, size, what, (unsigned long long)device->buffer_bytes_max);
  }
  cl_mem_flags flags = host != NULL ? CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR : CL_MEM_READ_WRITE;
  /* The cast drops a const that OpenCL does not know of: COPY_HOST_PTR only reads. */
  *buffer = clCreateBuffer(device->context, flags, bytes > 0 ? bytes : 1, (void *)(uintptr_t)host, &code);
  PMN_OCL_TRY(device, code, what, err);
done:
  return st;
}

/* --------------------------------------------------------------------------------------------------- weights -- */

/* [depth][channels] into [panel][depth][width], the last panel filled up with zeros. NULL if memory cannot be had. */
static float *panels_pack(const float *weights, size_t depth, size_t channels, size_t width) {
  size_t panels = (channels + width - 1) / width;
  float *packed = pmn_calloc(panels * width, depth * sizeof(float));
  if (packed == NULL) return NULL;
  for (size_t first = 0; first < channels; first += width) {
    size_t count = channels - first < width ? channels - first : width;
    for (size_t k = 0; k < depth; k++) {
      memcpy(packed + first * depth + k * width, weights + k * channels + first, count * sizeof(float));
    }
  }
  return packed;
}

static pmn_status weights_upload(
    ocl_network *network, launch *l, const pmn_op *op, const pmn_tensor *in, const pmn_tensor *out, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t channels = (size_t)out->c, depth = (size_t)op->kernel_h * (size_t)op->kernel_w;
  size_t width = op->kind == PMN_OP_CONV2D ? (size_t)network->device->family->panel : 1;
  size_t padded = (channels + width - 1) / width * width;
  float *weights = NULL, *bias = NULL;
  if (op->kind == PMN_OP_CONV2D) depth *= (size_t)in->c;
  if (depth > INT32_MAX / padded) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s: %zu x %zu packed weights, 2^31 or more", op->name, depth, padded);
  }
  weights = op->kind == PMN_OP_CONV2D ? panels_pack(op->weights, depth, channels, width) : NULL;
  bias = panels_pack(op->bias, 1, channels, width);
  if (bias == NULL || (weights == NULL && op->kind == PMN_OP_CONV2D)) {
    st = pmn_err_memory(err, padded * depth * sizeof(float), op->name);
    goto done;
  }
  const float *upload = weights != NULL ? weights : op->weights; /* depthwise weights go up as they are */
  PMN_TRY(pmn_ocl_buffer_create(network->device, padded * depth, sizeof(float), upload, "weights", &l->weights, err));
  PMN_TRY(pmn_ocl_buffer_create(network->device, padded, sizeof(float), bias, "bias", &l->bias, err));
done:
  pmn_free(weights);
  pmn_free(bias);
  return st;
}

/* ------------------------------------------------------------------------------------------------- arguments -- */

/* Sets arguments one after the other and remembers the first failure. */
typedef struct arguments {
  cl_kernel kernel;
  cl_uint next;
  cl_int code;
} arguments;

static void argument_add(arguments *a, size_t size, const void *value) {
  if (a->code == CL_SUCCESS) a->code = clSetKernelArg(a->kernel, a->next, size, value);
  a->next++;
}
static void add_int(arguments *a, int32_t value) {
  argument_add(a, sizeof(cl_int), &(cl_int){value});
}
static void add_float(arguments *a, float value) {
  argument_add(a, sizeof(cl_float), &(cl_float){value});
}
static void add_buffer(arguments *a, cl_mem buffer) {
  argument_add(a, sizeof buffer, &buffer);
}

/* A tensor: its buffer and where it begins there, in elements. */
static void add_tensor(arguments *a, const ocl_network *network, const pmn_program *program, int32_t tensor) {
  bool input = tensor == program->input || tensor == PMN_NO_TENSOR;
  add_buffer(a, input ? network->input : network->arena);
  cl_ulong at = input ? 0 : (cl_ulong)program->tensors[tensor].arena_offset * (cl_ulong)network->slice;
  argument_add(a, sizeof at, &at);
}

static void add_colours(arguments *a, const float v[3]) {
  argument_add(a, sizeof(cl_float4), &(cl_float4){.s = {v[0], v[1], v[2], 0.0f}});
}

/* The arguments that both convolutions share up to the output's sizes, and the clamp after the window. */
static void add_window(arguments *a, const pmn_op *op) {
  const int32_t window[] = {op->kernel_h, op->kernel_w, op->stride_h, op->stride_w, op->pad_top, op->pad_left};
  for (size_t i = 0; i < sizeof window / sizeof window[0]; i++) add_int(a, window[i]);
  add_float(a, op->clamp_min);
  add_float(a, op->clamp_max);
}

static void add_operands(
    arguments *a, const ocl_network *network, const launch *l, const pmn_program *program, const pmn_op *op) {
  add_tensor(a, network, program, op->input);
  add_buffer(a, l->weights);
  add_buffer(a, l->bias);
  add_tensor(a, network, program, op->residual);
  add_int(a, op->residual != PMN_NO_TENSOR);
  add_tensor(a, network, program, op->output);
}

/* -------------------------------------------------------------------------------------------------- launches -- */

static size_t groups(size_t units, size_t group) {
  return (units + group - 1) / group;
}

static void conv2d_arguments(
    arguments *a, const ocl_network *network, launch *l, const pmn_program *program, const pmn_op *op) {
  const pmn_ocl_family *family = network->device->family;
  const pmn_tensor *in = &program->tensors[op->input], *out = &program->tensors[op->output];
  size_t pixels = (size_t)out->h * (size_t)out->w, panels = groups((size_t)out->c, (size_t)family->panel);
  add_operands(a, network, l, program, op);
  const int32_t shapes[] = {in->h, in->w, in->c, out->h, out->w, out->c};
  for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) add_int(a, shapes[i]);
  add_window(a, op);
  add_colours(a, program->input_scale);
  add_colours(a, program->input_shift);
  l->local[0] = family->conv_local[0];
  l->local[1] = family->conv_local[1];
  if (family->tiled) {
    l->takes_n = true;
    l->n_argument = a->next;
    l->global[0] = panels * l->local[0];
    l->n_dimension = 1;
    l->n_units = pixels;
    l->n_group = (size_t)family->pixels;
  } else {
    l->global[0] = groups(pixels, (size_t)family->pixels);
    l->global[1] = panels;
    l->n_dimension = 2;
  }
}

static void depthwise_arguments(
    arguments *a, const ocl_network *network, launch *l, const pmn_program *program, const pmn_op *op) {
  const pmn_ocl_family *family = network->device->family;
  const pmn_tensor *in = &program->tensors[op->input], *out = &program->tensors[op->output];
  add_operands(a, network, l, program, op);
  const int32_t shapes[] = {in->h, in->w, in->c, out->h, out->w};
  for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) add_int(a, shapes[i]);
  add_window(a, op);
  size_t items = groups((size_t)in->c, (size_t)family->vector) * groups((size_t)out->w, (size_t)family->columns);
  l->local[0] = family->line_local;
  l->global[0] = groups(items, family->line_local) * family->line_local;
  l->n_dimension = 1;
  l->n_units = (size_t)out->h;
}

static void pool_arguments(
    arguments *a, const ocl_network *network, launch *l, const pmn_program *program, const pmn_op *op) {
  const pmn_tensor *in = &program->tensors[op->input];
  size_t line = network->device->family->line_local;
  add_tensor(a, network, program, op->input);
  add_tensor(a, network, program, op->output);
  add_int(a, in->h * in->w);
  add_int(a, in->c);
  add_float(a, op->clamp_min);
  add_float(a, op->clamp_max);
  l->local[0] = line;
  l->global[0] = groups((size_t)in->c, line) * line;
  l->n_dimension = 1;
}

static pmn_status launch_init(
    ocl_network *network, launch *l, const pmn_program *program, const pmn_op *op, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_tensor *in = &program->tensors[op->input], *out = &program->tensors[op->output];
  bool bytes = op->input == program->input && program->input_type == PMN_INPUT_U8;
  for (int d = 0; d < 3; d++) l->global[d] = l->local[d] = 1;
  l->n_units = l->n_group = 1;
  pmn_ocl_kernel_id id = PMN_OCL_GLOBAL_AVERAGE_POOL;
  if (op->kind == PMN_OP_CONV2D) id = bytes ? PMN_OCL_CONV2D_BYTES : PMN_OCL_CONV2D;
  if (op->kind == PMN_OP_DEPTHWISE_CONV2D) id = PMN_OCL_DEPTHWISE_CONV2D;
  if (op->kind != PMN_OP_GLOBAL_AVERAGE_POOL) PMN_TRY(weights_upload(network, l, op, in, out, err));
  PMN_TRY(pmn_ocl_kernel_create(network->device, id, &l->kernel, err));
  arguments a = {.kernel = l->kernel, .code = CL_SUCCESS};
  if (op->kind == PMN_OP_CONV2D)
    conv2d_arguments(&a, network, l, program, op);
  else if (op->kind == PMN_OP_DEPTHWISE_CONV2D)
    depthwise_arguments(&a, network, l, program, op);
  else
    pool_arguments(&a, network, l, program, op);
  PMN_OCL_TRY(network->device, a.code, op->name, err);
done:
  return st;
}

/* --------------------------------------------------------------------------------------------------- network -- */

void pmn_ocl_network_destroy(pmn_network *base) {
  ocl_network *network = (ocl_network *)base;
  if (network == NULL) return;
  for (int32_t i = 0; i < network->launch_count; i++) {
    const launch *l = &network->launches[i];
    if (l->kernel != NULL) clReleaseKernel(l->kernel);
    if (l->weights != NULL) clReleaseMemObject(l->weights);
    if (l->bias != NULL) clReleaseMemObject(l->bias);
  }
  if (network->input != NULL) clReleaseMemObject(network->input);
  if (network->arena != NULL) clReleaseMemObject(network->arena);
  pmn_free(network->launches);
  pmn_free(network);
}

/* How many pictures at once: no tensor of them may have 2^31 elements, nor the arena outgrow the largest buffer. */
static int32_t slice_choose(const pmn_ocl_device *device, const pmn_program *program, int32_t batch_max) {
  size_t most = (size_t)batch_max, arena_bytes = program->arena_size * sizeof(float);
  for (int32_t i = 0; i < program->tensor_count; i++) {
    size_t fits = (size_t)INT32_MAX / pmn_tensor_size(&program->tensors[i]);
    if (fits < most) most = fits;
  }
  if (device->buffer_bytes_max / arena_bytes < most) most = device->buffer_bytes_max / arena_bytes;
  return most > 0 ? (int32_t)most : 1; /* if not even one fits, creating the buffer says so */
}

pmn_status pmn_ocl_network_create(
    pmn_device *base, const pmn_program *program, int32_t batch_max, pmn_network **result, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_ocl_device *device = (pmn_ocl_device *)base;
  ocl_network *network = pmn_calloc(1, sizeof *network);
  launch *launches = pmn_calloc((size_t)program->op_count, sizeof *launches);
  if (network == NULL || launches == NULL) {
    pmn_free(launches);
    st = pmn_err_memory(err, (size_t)program->op_count * sizeof *launches, "an OpenCL network");
    goto done;
  }
  const pmn_tensor *output = &program->tensors[program->output];
  network->device = device;
  network->launches = launches;
  network->launch_count = program->op_count;
  network->slice = slice_choose(device, program, batch_max);
  network->input_bytes =
      pmn_tensor_size(&program->tensors[program->input]) * (program->input_type == PMN_INPUT_U8 ? 1 : sizeof(float));
  network->output_size = pmn_tensor_size(output);
  network->output_at = output->arena_offset * (size_t)network->slice;
  size_t slice = (size_t)network->slice;
  PMN_TRY(pmn_ocl_buffer_create(device, slice, network->input_bytes, NULL, "pictures", &network->input, err));
  PMN_TRY(pmn_ocl_buffer_create(
      device, slice, program->arena_size * sizeof(float), NULL, "the tensors of a batch", &network->arena, err));
  for (int32_t i = 0; i < program->op_count; i++) {
    PMN_TRY(launch_init(network, &launches[i], program, &program->ops[i], err));
  }
  *result = &network->base;
  network = NULL;
done:
  pmn_ocl_network_destroy((pmn_network *)network);
  return st;
}

static pmn_status slice_run(ocl_network *network, const char *input, int32_t n, float *output, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_ocl_device *device = network->device;
  size_t pictures = (size_t)n;
  PMN_OCL_TRY(device,
      clEnqueueWriteBuffer(
          device->queue, network->input, CL_FALSE, 0, pictures * network->input_bytes, input, 0, NULL, NULL),
      "uploading pictures", err);
  for (int32_t i = 0; i < network->launch_count; i++) {
    launch *l = &network->launches[i];
    if (l->takes_n) {
      PMN_OCL_TRY(device, clSetKernelArg(l->kernel, l->n_argument, sizeof(cl_int), &(cl_int){n}), "a kernel", err);
    }
    size_t global[3] = {l->global[0], l->global[1], l->global[2]};
    global[l->n_dimension] = groups(pictures * l->n_units, l->n_group) * l->local[l->n_dimension];
    PMN_OCL_TRY(device, clEnqueueNDRangeKernel(device->queue, l->kernel, 3, NULL, global, l->local, 0, NULL, NULL),
        "a kernel", err);
  }
  PMN_OCL_TRY(device,
      clEnqueueReadBuffer(device->queue, network->arena, CL_TRUE, network->output_at * sizeof(float),
          pictures * network->output_size * sizeof(float), output, 0, NULL, NULL),
      "running the network", err);
done:
  /* The input is the caller's: nothing may still read it when we return with an error. */
  if (st != PMN_STATUS_OK) clFinish(device->queue);
  return st;
}

pmn_status pmn_ocl_network_run(pmn_network *base, const void *input, int32_t n, float *output, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  ocl_network *network = (ocl_network *)base;
  for (int32_t first = 0; first < n; first += network->slice) {
    int32_t count = n - first < network->slice ? n - first : network->slice;
    PMN_TRY(slice_run(network, (const char *)input + (size_t)first * network->input_bytes, count,
        output + (size_t)first * network->output_size, err));
  }
done:
  return st;
}
