/* pmn_choose.c - see pmn_choose.h. Also pmn_devices_list of pomona.h. */
#include "pmn_choose.h"

#include "pmn_mem.h"
#include "pmn_selfcheck.h"

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
  if (automatic && precision == PMN_PRECISION_BF16) {
    name = "cpu";
    why = "of all backends it has bf16";
  } else if (automatic) {
    bool small = is_small(run), gpu = !small && gpu_exists();
    name = gpu ? "opencl" : "cpu";
    why = gpu ? "OpenCL offers a GPU" : small ? "there is little to compute" : "OpenCL offers no GPU";
  }
  const pmn_backend *backend = pmn_backend_find(name);
  if (backend == NULL) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "no backend is called \"%s\"; there are auto, opencl, cpu and ref", name);
  }
  pmn_device_options options = {
      .index = o->device, .threads = run->threads, .gpu_only = automatic, .precision = precision};
  PMN_TRY(pmn_device_open(backend, &options, &run->device, err));
  const pmn_device_info *info = &run->device->info;
  pmn_run_message(run, PMN_LEVEL_INFO, "computing with %s: %s, %s (%s)", info->backend, info->name, info->driver, why);
  if (strcmp(name, "opencl") == 0) {
    bool cached;
    double error_ratio;
    PMN_TRY(pmn_selfcheck_run(run->device, &cached, &error_ratio, err));
    if (!cached) {
      pmn_run_message(run, PMN_LEVEL_INFO,
          "the device agrees with the reference: largest error %.2g of what is allowed", error_ratio);
    }
  }
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
