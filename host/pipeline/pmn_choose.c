/* pmn_choose.c - see pmn_choose.h. Also pmn_devices_list of pomona.h. */
#include "pmn_choose.h"

#include "pmn_mem.h"
#include "pmn_selfcheck.h"

#include <stdio.h>
#include <string.h>

/* Bytes of pictures and of features that one batch should not exceed: a handful of batches are alive at once. */
enum { BATCH_BYTES = 64 * 1024 * 1024 };

/* Pictures of one network call. On the cpu: enough for every thread several times over, so that none waits long for the
 * last; few enough that the first row does not wait for many. On a GPU: enough to fill it. */
static int32_t default_batch(const pmn_run *run, pmn_device_type type) {
  int32_t wanted = type == PMN_DEVICE_GPU ? 64 : 8 * run->threads < 64 ? 8 * run->threads : 64;
  int64_t bytes = (int64_t)run->width * 4;
  if (run->maker != NULL) bytes += (int64_t)pmn_prepare_bytes(&run->maker->prepare);
  int64_t fitting = BATCH_BYTES / bytes;
  return fitting < 1 ? 1 : fitting < wanted ? (int32_t)fitting : wanted;
}

/* True when OpenCL offers a GPU. Platforms that fail to answer are as good as none here. */
static bool gpu_exists(void) {
  pmn_device_info list[64];
  int32_t count = 0;
  const pmn_backend *opencl = pmn_backend_find("opencl");
  if (opencl->devices(list, 64, &count, NULL) != PMN_STATUS_OK) return false;
  for (int32_t i = 0; i < count && i < 64; i++) {
    if (list[i].type == PMN_DEVICE_GPU) return true;
  }
  return false;
}

/* Products that the statistics take, about, where there is no network; a processor does SMALL of them while OpenCL is
 * being asked. */
static bool is_small(const pmn_run *run) {
  static const double SMALL = 1e9;
  double rows = (double)run->counts.listed, width = run->width;
  if (run->maker != NULL) {
    const pmn_statistics *s = &run->options->statistics;
    if (run->maker->kind->computes) return false;
    if (!pmn_statistics_need_fit(s) && s->projection == NULL && s->save_moments == NULL) return true;
  }
  return rows * width * (rows < width ? rows : width) < SMALL;
}

/* Several devices: what can be said before one is opened. */
static pmn_status check_more(const pmn_run *run, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_extract_options *o = run->options;
  if (o->more_device_count == 0) return PMN_STATUS_OK;
  if (o->more_device_count >= PMN_MAKER_DEVICES_MAX)
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%zu devices were named: %d may share the batches", o->more_device_count + 1,
        PMN_MAKER_DEVICES_MAX);
  if (run->maker == NULL || !run->maker->kind->shares)
    PMN_FAIL(err, PMN_STATUS_ARGUMENT,
        "several devices share the batches of a network, and there is none here: name "
        "one device");
  for (size_t i = 0; i < o->more_device_count; i++) {
    bool twice = o->more_devices[i] == o->device;
    for (size_t j = 0; j < i; j++) twice = twice || o->more_devices[i] == o->more_devices[j];
    if (twice || o->more_devices[i] < 0 || o->device < 0)
      PMN_FAIL(err, PMN_STATUS_ARGUMENT, "device %d: name each device once, by its index", o->more_devices[i]);
  }
done:
  return st;
}

/* All that were named. Another kind of device rounds its own way: rows would depend on who made them. */
static pmn_status open_devices(pmn_run *run, const pmn_backend *backend, pmn_device_options *options, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t more = run->options->more_device_count;
  for (size_t i = 0; i <= more; i++) {
    if (i > 0) options->index = run->options->more_devices[i - 1];
    PMN_TRY(pmn_device_open(backend, options, &run->devices[i], err));
    run->device_count++;
    const pmn_device_info *first = &run->devices[0]->info, *info = &run->devices[i]->info;
    if (strcmp(first->name, info->name) != 0 || strcmp(first->driver, info->driver) != 0)
      PMN_FAIL(err, PMN_STATUS_ARGUMENT,
          "devices %d and %d are of different kinds, and round differently: %.100s (%.80s), %.100s (%.80s)",
          first->index, info->index, first->name, first->driver, info->name, info->driver);
  }
  run->device = run->devices[0];
done:
  return st;
}

static pmn_status check_device(const pmn_run *run, pmn_device *device, pmn_err *err) {
  bool cached;
  double error_ratio;
  pmn_status st = pmn_selfcheck_run(device, &cached, &error_ratio, err);
  if (st == PMN_STATUS_OK && !cached) {
    pmn_run_message(run, PMN_LEVEL_INFO, "the device agrees with the reference: largest error %.2g of what is allowed",
        error_ratio);
  }
  return st;
}

pmn_status pmn_choose_device(pmn_run *run, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_extract_options *o = run->options;
  const char *asked = o->backend != NULL ? o->backend : "auto", *why = "as asked for";
  const char *name = asked;
  bool automatic = strcmp(asked, "auto") == 0;
  if (automatic && o->device >= 0) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "a device is numbered within its backend: name the backend too, opencl or cpu");
  }
  pmn_precision precision;
  if (!pmn_precision_find(o->precision, &precision)) precision = PMN_PRECISION_FP32; /* the maker has refused others */
  if (automatic && precision != PMN_PRECISION_FP32) {
    name = pmn_backend_of_precision(precision)->name;
    why = "of all backends it has the precision";
  } else if (automatic) {
    bool small = is_small(run), gpu = !small && gpu_exists();
    name = gpu ? "opencl" : "cpu";
    why = gpu ? "OpenCL offers a GPU" : small ? "there is little to compute" : "OpenCL offers no GPU";
  }
  const pmn_backend *backend = pmn_backend_find(name);
  if (backend == NULL) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "no backend is called \"%s\"; there are auto, opencl, cpu and ref", name);
  }
  pmn_device_options options = {.index = o->device, .threads = run->threads, .precision = precision};
  options.gpu_only = automatic && precision == PMN_PRECISION_FP32; /* else no other backend could take its place */
  PMN_TRY(check_more(run, err));
  PMN_TRY(open_devices(run, backend, &options, err));
  const pmn_device_info *info = &run->device->info;
  char several[32] = "";
  if (run->device_count > 1) snprintf(several, sizeof several, "%d devices: ", run->device_count);
  pmn_run_message(
      run, PMN_LEVEL_INFO, "computing with %s: %s%s, %s (%s)", info->backend, several, info->name, info->driver, why);
  for (int32_t i = 0; i < run->device_count && strcmp(name, "opencl") == 0; i++)
    PMN_TRY(check_device(run, run->devices[i], err));
  run->batch = o->batch > 0 ? o->batch : default_batch(run, info->type);
done:
  return st;
}

pmn_status pmn_devices_list(pmn_device_info *list, int32_t capacity, int32_t *count, pmn_err *err) {
  static const char *const names[] = {"cpu", "opencl"};
  *count = 0;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    int32_t found = 0, room = capacity > *count ? capacity - *count : 0;
    pmn_status st = pmn_backend_find(names[i])->devices(room > 0 ? list + *count : NULL, room, &found, err);
    if (st != PMN_STATUS_OK) return st;
    *count += found;
  }
  return PMN_STATUS_OK;
}
