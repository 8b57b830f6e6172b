/* onnx_run.c - see onnx_run.h. The bytes are a file without a name, so that thousands of runs touch no disk. */
#define _GNU_SOURCE /* memfd_create */
#include "onnx_run.h"

#include "pmn_backend.h"
#include "pmn_mem.h"
#include "pmn_onnx.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* Pictures for models that leave their size open. */
enum { OPEN_SIZE = 32 };

/* What is computed: programs of little work. `cpu` sums in f32 and `ref` in fp64, so numbers that are far apart part
 * them: parameters up to PARAMETER_MAX, and a difference up to DIFFERENCE_MAX of the largest value, are far from where
 * a wrong program would be. */
enum { WORK_MAX = 2000000, FLOATS_MAX = 1 << 20 };
static const float PARAMETER_MAX = 100;
static const double DIFFERENCE_MAX = 1e-3;

static bool moderate(const float *numbers, size_t count) {
  for (size_t i = 0; numbers != NULL && i < count; i++)
    if (!(fabsf(numbers[i]) <= PARAMETER_MAX)) return false;
  return true;
}

static bool is_small(const pmn_graph *graph, const pmn_program *program) {
  int64_t work = 0;
  pmn_graph_layer layer;
  for (int32_t i = 0; pmn_graph_layer_at(graph, i, &layer); i++) work += layer.operations;
  bool small = work <= WORK_MAX && program->arena_size <= FLOATS_MAX && program->op_count <= 1000;
  for (int32_t i = 0; small && i < program->op_count; i++) {
    const pmn_op *op = &program->ops[i];
    const pmn_tensor *in = &program->tensors[op->input], *out = &program->tensors[op->output];
    small = moderate(op->weights, pmn_op_weights_size(op, in, out)) && moderate(op->bias, pmn_op_bias_size(op, out));
  }
  return small;
}

static pmn_status compute(
    const char *backend, const pmn_program *program, const uint8_t *picture, float *values, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_device_options options = {.index = -1, .threads = 1};
  pmn_device *device = NULL;
  pmn_network *network = NULL;
  PMN_TRY(pmn_device_open(pmn_backend_find(backend), &options, &device, err));
  PMN_TRY(pmn_network_create(device, program, 1, &network, err));
  PMN_TRY(pmn_network_run(network, picture, 1, values, err));
done:
  pmn_network_destroy(network);
  pmn_device_close(device);
  return st;
}

static pmn_status compare(const pmn_program *program, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t size = pmn_tensor_size(&program->tensors[program->input]);
  size_t count = pmn_tensor_size(&program->tensors[program->output]);
  uint8_t *picture = pmn_alloc(size, sizeof *picture);
  float *cpu = pmn_alloc(count, sizeof *cpu), *ref = pmn_alloc(count, sizeof *ref);
  if (picture == NULL || cpu == NULL || ref == NULL) {
    st = pmn_err_memory(err, size, "a picture");
    goto done;
  }
  for (size_t i = 0; i < size; i++) picture[i] = (uint8_t)(i * i * 31 + i * 7);
  PMN_TRY(compute("cpu", program, picture, cpu, err));
  PMN_TRY(compute("ref", program, picture, ref, err));
  double largest = 0, difference = 0;
  for (size_t i = 0; i < count; i++) {
    if (!isfinite(ref[i])) goto done; /* from there on all may differ */
    largest = fmax(largest, fabs((double)ref[i]));
    difference = fmax(difference, isfinite(cpu[i]) ? fabs((double)cpu[i] - (double)ref[i]) : INFINITY);
  }
  if (difference > DIFFERENCE_MAX * fmax(largest, 1))
    PMN_FAIL(err, PMN_STATUS_DEVICE, "cpu and ref differ by %g of %g", difference, largest);
done:
  pmn_free(picture);
  pmn_free(cpu);
  pmn_free(ref);
  return st;
}

static pmn_status build(pmn_onnx *onnx, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_preprocess preprocess = *pmn_preprocess_find("unit"), own;
  const pmn_program *program;
  bool found;
  pmn_buf unsupported;
  pmn_buf_init(&unsupported, 16 << 20);
  pmn_graph *graph = pmn_graph_create("m.onnx");
  if (graph == NULL) {
    st = pmn_err_memory(err, 1, "a graph");
    goto done;
  }
  PMN_TRY(pmn_onnx_preprocess(onnx, &own, &found, err));
  if (found) preprocess = own;
  pmn_onnx_input_size(onnx, &preprocess.width, &preprocess.height);
  if (preprocess.width == 0) preprocess.width = OPEN_SIZE;
  if (preprocess.height == 0) preprocess.height = OPEN_SIZE;
  pmn_onnx_build(onnx, graph, &preprocess, &unsupported);
  PMN_TRY(pmn_graph_check(graph, err));
  pmn_node features = pmn_onnx_features(onnx, graph);
  if (features >= 0) features = pmn_onnx_flatten(onnx, graph, features);
  PMN_TRY(pmn_graph_finish(graph, &features, 1, &program, err));
  if (is_small(graph, program)) PMN_TRY(compare(program, err));
done:
  pmn_graph_destroy(graph);
  pmn_buf_reset(&unsupported);
  return st;
}

pmn_status onnx_run(const void *bytes, size_t size, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_onnx *onnx = NULL;
  char path[64];
  int fd = memfd_create("m.onnx", MFD_CLOEXEC);
  if (fd < 0 || (size > 0 && write(fd, bytes, size) != (ssize_t)size)) abort();
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  PMN_TRY(pmn_onnx_open(path, &onnx, err));
  PMN_TRY(build(onnx, err));
done:
  pmn_onnx_close(onnx);
  close(fd);
  return st;
}
