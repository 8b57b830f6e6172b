/* pmn_ocl_device.c - OpenCL devices: listing, choosing, opening; and the table of the backend "opencl".
 *
 * The index of a device counts the available devices of all platforms in the order in which the loader gives them.
 */
#include "pmn_ocl_describe.h"
#include "pmn_ocl_tuning.h"

#include "pmn_err.h"
#include "pmn_mem.h"
#include "pmn_sha256.h"

#include <clblast_c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PLATFORMS_MAX = 32, DEVICES_MAX = 256 };

typedef struct device_list {
  cl_device_id ids[DEVICES_MAX];
  int32_t count;
} device_list;

/* Every available device of every platform. No platform is an empty list. */
static pmn_status devices_find(device_list *list, pmn_err *err) {
  enum { PLATFORM_NOT_FOUND = -1001 }; /* CL_PLATFORM_NOT_FOUND_KHR of the loader */
  cl_platform_id platforms[PLATFORMS_MAX];
  cl_uint platform_count = 0;
  list->count = 0;
  cl_int code = clGetPlatformIDs(PLATFORMS_MAX, platforms, &platform_count);
  if (code == PLATFORM_NOT_FOUND) return PMN_STATUS_OK;
  if (code != CL_SUCCESS) {
    return pmn_err_set(
        err, PMN_STATUS_DEVICE, code, "cannot list OpenCL platforms: %s (%d)", pmn_ocl_error_name(code), code);
  }
  if (platform_count > PLATFORMS_MAX) platform_count = PLATFORMS_MAX;
  for (cl_uint p = 0; p < platform_count; p++) {
    cl_device_id ids[DEVICES_MAX];
    cl_uint count = 0;
    if (clGetDeviceIDs(platforms[p], CL_DEVICE_TYPE_ALL, DEVICES_MAX, ids, &count) != CL_SUCCESS) continue;
    for (cl_uint d = 0; d < count && d < DEVICES_MAX && list->count < DEVICES_MAX; d++) {
      cl_bool available = CL_FALSE;
      if (clGetDeviceInfo(ids[d], CL_DEVICE_AVAILABLE, sizeof available, &available, NULL) == CL_SUCCESS && available) {
        list->ids[list->count++] = ids[d];
      }
    }
  }
  return PMN_STATUS_OK;
}

/* A text of the device or its platform; "?" if the driver has none that fits. */
static void device_text(cl_device_id id, cl_device_info what, char *text, size_t size) {
  if (clGetDeviceInfo(id, what, size, text, NULL) != CL_SUCCESS) snprintf(text, size, "?");
  text[size - 1] = '\0';
}

static void platform_text(cl_platform_id id, cl_platform_info what, char *text, size_t size) {
  if (clGetPlatformInfo(id, what, size, text, NULL) != CL_SUCCESS) snprintf(text, size, "?");
  text[size - 1] = '\0';
}

static void device_describe(cl_device_id id, int32_t index, pmn_device_info *info) {
  char driver[256] = "", platform_name[256] = "?", platform_version[256] = "?";
  cl_device_type type = CL_DEVICE_TYPE_DEFAULT;
  cl_platform_id platform = NULL;
  cl_ulong memory = 0;
  cl_uint units = 0;
  *info = (pmn_device_info){.backend = "opencl", .index = index};
  device_text(id, CL_DEVICE_NAME, driver, sizeof driver);
  snprintf(info->name, sizeof info->name, "%.*s", (int)sizeof info->name - 1, driver);
  device_text(id, CL_DRIVER_VERSION, driver, sizeof driver);
  if (clGetDeviceInfo(id, CL_DEVICE_PLATFORM, sizeof platform, &platform, NULL) == CL_SUCCESS) {
    platform_text(platform, CL_PLATFORM_NAME, platform_name, sizeof platform_name);
    platform_text(platform, CL_PLATFORM_VERSION, platform_version, sizeof platform_version);
  }
  snprintf(info->driver, sizeof info->driver, "%.40s, %.60s, %.80s", driver, platform_name, platform_version);
  clGetDeviceInfo(id, CL_DEVICE_TYPE, sizeof type, &type, NULL);
  info->type = (type & CL_DEVICE_TYPE_GPU) != 0   ? PMN_DEVICE_GPU
               : (type & CL_DEVICE_TYPE_CPU) != 0 ? PMN_DEVICE_CPU
                                                  : PMN_DEVICE_OTHER;
  clGetDeviceInfo(id, CL_DEVICE_GLOBAL_MEM_SIZE, sizeof memory, &memory, NULL);
  clGetDeviceInfo(id, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof units, &units, NULL);
  info->memory_bytes = memory;
  info->compute_units = (int32_t)units;
}

static pmn_status ocl_devices(pmn_device_info *infos, int32_t capacity, int32_t *count, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  device_list list;
  *count = 0;
  PMN_TRY(devices_find(&list, err));
  for (int32_t i = 0; i < list.count && i < capacity; i++) device_describe(list.ids[i], i, &infos[i]);
  *count = list.count;
done:
  return st;
}

/* The device that the options ask for. */
static pmn_status device_choose(
    const pmn_device_options *options, cl_device_id *id, pmn_device_info *info, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  device_list list;
  PMN_TRY(devices_find(&list, err));
  if (list.count == 0) {
    PMN_FAIL(err, PMN_STATUS_DEVICE, "there is no OpenCL device: install a driver, or use --backend cpu");
  }
  if (options->index >= list.count) {
    PMN_FAIL(err, PMN_STATUS_DEVICE, "no OpenCL device %d: there are %d, counted from 0; `pomona devices` lists them",
        options->index, list.count);
  }
  int32_t index = options->index;
  for (int32_t i = 0; index < 0 && i < list.count; i++) {
    device_describe(list.ids[i], i, info);
    if (info->type == PMN_DEVICE_GPU) index = i;
  }
  if (index < 0 && options->gpu_only) {
    PMN_FAIL(err, PMN_STATUS_DEVICE, "none of the %d OpenCL devices is a GPU", list.count);
  }
  if (index < 0) index = 0;
  *id = list.ids[index];
  device_describe(*id, index, info);
done:
  return st;
}

static void ocl_close(pmn_device *base) {
  pmn_ocl_device *device = (pmn_ocl_device *)base;
  pmn_ocl_programs_reset(device);
  pmn_ocl_tuned_reset(device);
  if (device->queue != NULL) clReleaseCommandQueue(device->queue);
  if (device->uploads != NULL) clReleaseCommandQueue(device->uploads);
  /* CLBlast keeps programs of our context; they must go before it does. */
  if (device->blas_used) CLBlastClearCache();
  if (device->context != NULL) clReleaseContext(device->context);
  pmn_free(device);
}

/* What a work-group may be. What a driver does not tell is what OpenCL 1.2 promises at least. */
static void ask_groups(pmn_ocl_device *device) {
  cl_ulong bytes = 0;
  size_t local_max[16];
  if (clGetDeviceInfo(device->id, CL_DEVICE_LOCAL_MEM_SIZE, sizeof bytes, &bytes, NULL) != CL_SUCCESS) bytes = 32768;
  device->local_bytes = (size_t)bytes;
  if (clGetDeviceInfo(device->id, CL_DEVICE_MAX_WORK_GROUP_SIZE, sizeof device->group_max, &device->group_max, NULL) !=
      CL_SUCCESS)
    device->group_max = 1;
  bool told =
      clGetDeviceInfo(device->id, CL_DEVICE_MAX_WORK_ITEM_SIZES, sizeof local_max, local_max, NULL) == CL_SUCCESS;
  for (int d = 0; d < 3; d++) device->local_max[d] = told ? local_max[d] : 1;
}

/* Those asked for, or what suits the device. No card has run "tensor" yet, so that it must be asked for; without tensor
 * cores it computes the same, slowly, which is for tests. */
static pmn_status family_choose(pmn_ocl_device *device, const pmn_device_options *options, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  cl_uint capability = 0;
  const char *kernels = options->isa != NULL ? options->isa : getenv("POMONA_KERNELS");
  if (kernels != NULL && kernels[0] == '\0') kernels = NULL;
  device->family = pmn_ocl_family_find(kernels, device->base.info.type);
  if (device->family == NULL) {
    PMN_FAIL(
        err, PMN_STATUS_DEVICE, "no kernels \"%s\" for OpenCL: there are \"vector\", \"tile\" and \"tensor\"", kernels);
  }
  bool told = clGetDeviceInfo(device->id, PMN_OCL_CAPABILITY_MAJOR, sizeof capability, &capability, NULL) == CL_SUCCESS;
  device->ptx = told && capability >= 8;
  if (device->family->tensor && options->precision != PMN_PRECISION_FP16)
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "kernels \"tensor\" compute in fp16: ask for --precision fp16");
done:
  return st;
}

static pmn_status device_init(pmn_ocl_device *device, const pmn_device_options *options, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  cl_int code;
  cl_bool compiler = CL_FALSE;
  cl_device_fp_config fp32 = 0, fp64 = 0;
  PMN_TRY(device_choose(options, &device->id, &device->base.info, err));
  PMN_TRY(family_choose(device, options, err));
  PMN_OCL_TRY(device, clGetDeviceInfo(device->id, CL_DEVICE_COMPILER_AVAILABLE, sizeof compiler, &compiler, NULL),
      "asking for a compiler", err);
  if (!compiler) PMN_FAIL(err, PMN_STATUS_DEVICE, "%s: the driver has no compiler", device->base.info.name);
  PMN_OCL_TRY(device,
      clGetDeviceInfo(
          device->id, CL_DEVICE_MAX_MEM_ALLOC_SIZE, sizeof device->buffer_bytes_max, &device->buffer_bytes_max, NULL),
      "asking for the largest buffer", err);
  /* Devices without fp64 may not know the question. */
  device->fp64 =
      clGetDeviceInfo(device->id, CL_DEVICE_DOUBLE_FP_CONFIG, sizeof fp64, &fp64, NULL) == CL_SUCCESS && fp64 != 0;
  device->rounds = clGetDeviceInfo(device->id, CL_DEVICE_SINGLE_FP_CONFIG, sizeof fp32, &fp32, NULL) == CL_SUCCESS &&
                   (fp32 & CL_FP_CORRECTLY_ROUNDED_DIVIDE_SQRT) != 0;
  cl_bool unified = CL_FALSE;
  device->hosted =
      device->base.info.type == PMN_DEVICE_CPU ||
      (clGetDeviceInfo(device->id, CL_DEVICE_HOST_UNIFIED_MEMORY, sizeof unified, &unified, NULL) == CL_SUCCESS &&
          unified);
  PMN_TRY(pmn_ocl_sources_hash(device->family, options->precision, device->base.kernels_hash, err));
  ask_groups(device);
  pmn_ocl_tuned_load(device);
  device->context = clCreateContext(NULL, 1, &device->id, NULL, NULL, &code);
  PMN_OCL_TRY(device, code, "creating a context", err);
  /* It tells how long batches take; see pmn_network_seconds. */
  device->queue = clCreateCommandQueue(device->context, device->id, CL_QUEUE_PROFILING_ENABLE, &code);
  PMN_OCL_TRY(device, code, "creating a queue", err);
  device->uploads = clCreateCommandQueue(device->context, device->id, 0, &code);
  PMN_OCL_TRY(device, code, "creating a queue", err);
done:
  return st;
}

static pmn_status ocl_open(const pmn_device_options *options, pmn_device **result, pmn_err *err) {
  pmn_ocl_device *device = pmn_calloc(1, sizeof *device);
  if (device == NULL) return pmn_err_memory(err, sizeof *device, "an OpenCL device");
  pmn_status st = device_init(device, options, err);
  if (st == PMN_STATUS_OK)
    *result = &device->base;
  else
    ocl_close(&device->base);
  return st;
}

const pmn_backend pmn_backend_opencl = {
    .name = "opencl",
    .lower = PMN_PRECISION_FP16,
    .devices = ocl_devices,
    .open = ocl_open,
    .close = ocl_close,
    .network_create = pmn_ocl_network_create,
    .network_run = pmn_ocl_network_run,
    .slots = PMN_OCL_SLOTS,
    .network_input = pmn_ocl_network_input,
    .network_submit = pmn_ocl_network_submit,
    .network_collect = pmn_ocl_network_collect,
    .network_project = pmn_ocl_network_project,
    .network_resize = pmn_ocl_network_resize,
    .network_submit_pictures = pmn_ocl_network_submit_pictures,
    .network_destroy = pmn_ocl_network_destroy,
    .tune = pmn_ocl_tune,
    .syrk = pmn_ocl_syrk,
    .gemm = pmn_ocl_gemm,
    .syrk_bytes = pmn_ocl_syrk_bytes,
    .gemm_bytes = pmn_ocl_gemm_bytes,
    .describer_create = pmn_ocl_describer_create,
    .describer_run = pmn_ocl_describer_run,
    .describer_destroy = pmn_ocl_describer_destroy,
};
