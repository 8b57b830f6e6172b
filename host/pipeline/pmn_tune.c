/* pmn_tune.c - pmn_tune of pomona.h: a network's layers are tried on a device, as a run would open both. */
#include "pmn_maker.h"

#include <stdarg.h>
#include <stdio.h>

static PMN_PRINTF(2, 3) void tell(const pmn_tune_options *o, const char *format, ...) {
  char text[512];
  va_list args;
  if (o->on_message == NULL) return;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  o->on_message(o->callback_arg, PMN_LEVEL_INFO, text);
}

/* A device that computes wrong is not worth tuning. */
static pmn_status open_device(const pmn_tune_options *o, pmn_device **device, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  bool cached;
  double error_ratio;
  pmn_device_options options = {.index = o->device, .threads = 1};
  if (o->precision != NULL && !pmn_precision_find(o->precision, &options.precision)) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "no precision is called \"%s\"; those that can be tuned are fp32 and fp16",
        o->precision);
  }
  PMN_TRY(pmn_device_open(pmn_backend_find("opencl"), &options, device, err));
  tell(o, "tuning %s (%s)", (*device)->info.name, (*device)->info.driver);
  PMN_TRY(pmn_selfcheck_run(*device, &cached, &error_ratio, err));
done:
  return st;
}

pmn_status pmn_tune(const pmn_tune_options *options, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_maker *maker = NULL;
  pmn_device *device = NULL;
  const pmn_tune_options *o = options;
  if (o->struct_size != sizeof *o)
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "pmn_tune_options was not made by PMN_TUNE_OPTIONS_INIT of this version");
  if (o->batch < 0 || o->device < -1)
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "batch %d, device %d: neither can be negative", o->batch, o->device);
  pmn_extract_options extract = PMN_EXTRACT_OPTIONS_INIT;
  extract.features = o->features;
  extract.weights = o->weights;
  extract.width = o->width;
  extract.height = o->height;
  extract.preprocess = "raw"; /* any will do, and not every file names its own */
  PMN_TRY(pmn_maker_create(&extract, &maker, err));
  const pmn_program *program = pmn_maker_network_program(maker);
  if (program == NULL) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s has no layers to tune: name a network", o->features);
  PMN_TRY(open_device(o, &device, err));
  int32_t batch = o->batch > 0 ? o->batch : device->info.type == PMN_DEVICE_GPU ? 64 : 16;
  const pmn_tune_watch watch = {o->on_layer, o->callback_arg, o->stop};
  PMN_TRY(pmn_device_tune(device, program, batch, &watch, err));
done:
  pmn_device_close(device);
  pmn_maker_destroy(maker);
  return st;
}
