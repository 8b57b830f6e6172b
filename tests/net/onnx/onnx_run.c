/* onnx_run.c - see onnx_run.h. The bytes are a file without a name, so that thousands of runs touch no disk. */
#define _GNU_SOURCE /* memfd_create */
#include "onnx_run.h"

#include "pmn_onnx.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* Pictures for models that leave their size open. */
enum { OPEN_SIZE = 32 };

static pmn_status build(const pmn_onnx *onnx, pmn_err *err) {
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
  if (features >= 0) PMN_TRY(pmn_graph_finish(graph, &features, 1, &program, err));
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
