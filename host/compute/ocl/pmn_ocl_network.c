/* pmn_ocl_network.c - a program as a list of kernel launches on one arena.
 *
 * All tensors of all pictures of a batch live in one buffer, the arena: tensor t of a batch of N begins at
 * arena_offset * N, its pictures one after the other. A run uploads the input, enqueues one kernel per operation on the
 * in-order queue without waiting, and waits once, for the output to come down.
 *
 * Kernels index within a tensor by 32 bits and a driver limits the size of one buffer, so a network may take a batch in
 * slices of fewer pictures than the caller asked for; the caller sees no difference, neither in bits.
 */
#include "pmn_ocl.h"

#include "pmn_err.h"
#include "pmn_mem.h"

typedef struct ocl_network {
  pmn_network base;
  pmn_ocl_batch batch;
  size_t input_bytes, output_size, output_at; /* of one picture: bytes, floats; floats into the arena */
  pmn_ocl_launch *launches;
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

void pmn_ocl_network_destroy(pmn_network *base) {
  ocl_network *network = (ocl_network *)base;
  if (network == NULL) return;
  for (int32_t i = 0; i < network->launch_count; i++) pmn_ocl_launch_reset(&network->launches[i]);
  if (network->batch.input != NULL) clReleaseMemObject(network->batch.input);
  if (network->batch.arena != NULL) clReleaseMemObject(network->batch.arena);
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
  pmn_ocl_launch *launches = pmn_calloc((size_t)program->op_count, sizeof *launches);
  if (network == NULL || launches == NULL) {
    pmn_free(launches);
    st = pmn_err_memory(err, (size_t)program->op_count * sizeof *launches, "an OpenCL network");
    goto done;
  }
  const pmn_tensor *output = &program->tensors[program->output];
  network->launches = launches;
  network->launch_count = program->op_count;
  network->batch =
      (pmn_ocl_batch){.device = device, .program = program, .slice = slice_choose(device, program, batch_max)};
  size_t slice = (size_t)network->batch.slice;
  network->input_bytes =
      pmn_tensor_size(&program->tensors[program->input]) * (program->input_type == PMN_INPUT_U8 ? 1 : sizeof(float));
  network->output_size = pmn_tensor_size(output);
  network->output_at = output->arena_offset * slice;
  PMN_TRY(pmn_ocl_buffer_create(device, slice, network->input_bytes, NULL, "pictures", &network->batch.input, err));
  PMN_TRY(pmn_ocl_buffer_create(
      device, slice, program->arena_size * sizeof(float), NULL, "the tensors of a batch", &network->batch.arena, err));
  for (int32_t i = 0; i < program->op_count; i++) {
    PMN_TRY(pmn_ocl_launch_init(&launches[i], &network->batch, &program->ops[i], err));
  }
  network->batch.program = NULL;
  *result = &network->base;
  network = NULL;
done:
  pmn_ocl_network_destroy((pmn_network *)network);
  return st;
}

static pmn_status slice_run(ocl_network *network, const char *input, int32_t n, float *output, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_ocl_device *device = network->batch.device;
  size_t pictures = (size_t)n;
  PMN_OCL_TRY(device,
      clEnqueueWriteBuffer(
          device->queue, network->batch.input, CL_FALSE, 0, pictures * network->input_bytes, input, 0, NULL, NULL),
      "uploading pictures", err);
  for (int32_t i = 0; i < network->launch_count; i++) {
    PMN_TRY(pmn_ocl_launch_run(&network->launches[i], device, n, err));
  }
  PMN_OCL_TRY(device,
      clEnqueueReadBuffer(device->queue, network->batch.arena, CL_TRUE, network->output_at * sizeof(float),
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
  for (int32_t first = 0; first < n; first += network->batch.slice) {
    int32_t count = n - first < network->batch.slice ? n - first : network->batch.slice;
    PMN_TRY(slice_run(network, (const char *)input + (size_t)first * network->input_bytes, count,
        output + (size_t)first * network->output_size, err));
  }
done:
  return st;
}
