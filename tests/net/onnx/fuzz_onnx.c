/* fuzz_onnx.c - libFuzzer's door to the ONNX importer; see tests/net/onnx/CMakeLists.txt. */
#include "onnx_run.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  pmn_err err = PMN_ERR_INIT;
  pmn_status status = onnx_run(bytes, size, &err);
  if (status != PMN_STATUS_OK && status != PMN_STATUS_MODEL && status != PMN_STATUS_NO_MEMORY) abort();
  return 0;
}
