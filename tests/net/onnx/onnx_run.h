/* onnx_run.h - a file of any bytes as far as a program for devices: what all tests of hostile ONNX files do with one.
 */
#ifndef ONNX_RUN_H
#define ONNX_RUN_H

#include "pmn_err.h"

/* Opens the bytes as a model, builds its network and finishes it; nothing is kept. */
pmn_status onnx_run(const void *bytes, size_t size, pmn_err *err);

#endif
