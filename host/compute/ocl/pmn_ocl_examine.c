/* pmn_ocl_examine.c - what is known of OpenCL on this machine: loader, drivers, devices. See pmn_examine.h.
 *
 * The loader finds drivers by files NAME.icd, each with the name of a library on its first line, in the folder
 * OCL_ICD_VENDORS or /etc/OpenCL/vendors. A file whose library is not there is passed over without a word; here it is
 * named, with what the dynamic linker says.
 */
#define _GNU_SOURCE /* dladdr */
#include "pmn_examine.h"
#include "pmn_ocl.h"
#include "pmn_text.h"

#include <dirent.h>
#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VALUE_MAX = 1024 };

static pmn_status fact(const pmn_facts *facts, pmn_err *err, const char *name, const char *format, ...)
    PMN_PRINTF(4, 5);
static pmn_status fact(const pmn_facts *facts, pmn_err *err, const char *name, const char *format, ...) {
  char value[VALUE_MAX];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(value, sizeof value, format, arguments);
  va_end(arguments);
  return facts->add(facts->arg, name, value, err);
}

/* ------------------------------------------------------------------------------------------- loader, drivers -- */

/* The driver that a file names: said, and counted if it can be loaded. */
static pmn_status driver_examine(
    const pmn_facts *facts, const char *folder, const char *file, int32_t *usable, pmn_err *err) {
  char path[VALUE_MAX], library[256] = "";
  snprintf(path, sizeof path, "%s/%s", folder, file);
  FILE *stream = fopen(path, "re");
  bool named = stream != NULL && fgets(library, sizeof library, stream) != NULL;
  if (stream != NULL) fclose(stream);
  library[strcspn(library, "\r\n")] = '\0';
  if (!named || library[0] == '\0') return fact(facts, err, "driver file", "%.400s: names no library", path);
  /* The loader has it open already, if it can be opened: drivers do not bear to be loaded again after a dlclose. */
  void *handle = dlopen(library, RTLD_LAZY | RTLD_LOCAL | RTLD_NODELETE);
  if (handle == NULL) {
    const char *why = dlerror();
    return fact(facts, err, "driver file", "%.400s: %.200s cannot be loaded: %.300s", path, library,
        why != NULL ? why : "no reason is given");
  }
  (*usable)++;
  dlclose(handle);
  return fact(facts, err, "driver file", "%.400s: %.200s", path, library);
}

static int is_driver_file(const struct dirent *entry) {
  return pmn_text_ends(entry->d_name, ".icd");
}

pmn_status pmn_ocl_examine_drivers(const pmn_facts *facts, int32_t *usable, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  Dl_info loader;
  struct dirent **files = NULL;
  cl_platform_id platforms[32];
  cl_uint platform_count = 0;
  const char *asked = getenv("OCL_ICD_VENDORS"), *folder = asked != NULL ? asked : "/etc/OpenCL/vendors";
  cl_int code = clGetPlatformIDs(32, platforms, &platform_count);
  *usable = 0;
  if (code != CL_SUCCESS) platform_count = 0;
  /* A pointer to a function is no pointer to an object in C; POSIX makes it one. */
  union {
    cl_int (*call)(cl_uint, cl_platform_id *, cl_uint *);
    void *address;
  } entry = {.call = clGetPlatformIDs};
  if (dladdr(entry.address, &loader) != 0) PMN_TRY(fact(facts, err, "loader", "%s", loader.dli_fname));
  PMN_TRY(fact(facts, err, "drivers in", "%.500s%s", folder, asked != NULL ? " (OCL_ICD_VENDORS)" : ""));
  int count = scandir(folder, &files, is_driver_file, alphasort);
  for (int i = 0; i < count; i++) {
    if (st == PMN_STATUS_OK) st = driver_examine(facts, folder, files[i]->d_name, usable, err);
    free(files[i]);
  }
  free(files);
  PMN_TRY(st);
  PMN_TRY(fact(facts, err, "platforms", "%u", platform_count));
  for (cl_uint i = 0; i < platform_count && i < 32; i++) {
    char name[256] = "?", version[256] = "?";
    clGetPlatformInfo(platforms[i], CL_PLATFORM_NAME, sizeof name, name, NULL);
    clGetPlatformInfo(platforms[i], CL_PLATFORM_VERSION, sizeof version, version, NULL);
    PMN_TRY(fact(facts, err, "platform", "%.250s, %.250s", name, version));
  }
done:
  return st;
}

/* ---------------------------------------------------------------------------------------------------- device -- */

/* Asks for one number; 0 where the driver does not know the question. */
#define NUMBER(type, function)                                                                                         \
  static type function(cl_device_id id, cl_device_info what) {                                                         \
    type value = 0;                                                                                                    \
    return clGetDeviceInfo(id, what, sizeof value, &value, NULL) == CL_SUCCESS ? value : 0;                            \
  }
NUMBER(cl_uint, ask_uint)
NUMBER(cl_ulong, ask_ulong)
NUMBER(cl_bool, ask_bool)

static bool has_extension(cl_device_id id, const char *name) {
  char list[16384] = "";
  size_t length = strlen(name);
  if (clGetDeviceInfo(id, CL_DEVICE_EXTENSIONS, sizeof list, list, NULL) != CL_SUCCESS) return false;
  for (const char *at = strstr(list, name); at != NULL; at = strstr(at + 1, name)) {
    if ((at == list || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0')) return true;
  }
  return false;
}

static pmn_status nvidia_examine(const pmn_facts *facts, cl_device_id id, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  PMN_TRY(fact(facts, err, "compute capability", "%u.%u", ask_uint(id, PMN_OCL_CAPABILITY_MAJOR),
      ask_uint(id, PMN_OCL_CAPABILITY_MINOR)));
  PMN_TRY(fact(facts, err, "warp", "%u", ask_uint(id, PMN_OCL_WARP_SIZE)));
done:
  return st;
}

static pmn_status memory_examine(const pmn_facts *facts, cl_device_id id, pmn_err *err) {
  static const double MIB = 1024.0 * 1024.0;
  pmn_status st = PMN_STATUS_OK;
  PMN_TRY(fact(facts, err, "memory", "%.0f MiB", (double)ask_ulong(id, CL_DEVICE_GLOBAL_MEM_SIZE) / MIB));
  PMN_TRY(fact(facts, err, "largest buffer", "%.0f MiB", (double)ask_ulong(id, CL_DEVICE_MAX_MEM_ALLOC_SIZE) / MIB));
  PMN_TRY(fact(facts, err, "local memory", "%.0f KiB", (double)ask_ulong(id, CL_DEVICE_LOCAL_MEM_SIZE) / 1024.0));
  PMN_TRY(fact(facts, err, "host's memory", "%s",
      ask_bool(id, CL_DEVICE_HOST_UNIFIED_MEMORY) ? "shared with the device" : "apart"));
done:
  return st;
}

pmn_status pmn_ocl_examine_device(int32_t index, const pmn_facts *facts, bool *nvidia, pmn_err *err) {
  static const char *const types[] = {[PMN_DEVICE_CPU] = "cpu", [PMN_DEVICE_GPU] = "gpu", [PMN_DEVICE_OTHER] = "other"};
  pmn_status st = PMN_STATUS_OK;
  pmn_device *device = NULL;
  char vendor[256] = "?", version[256] = "?";
  const pmn_device_options options = {.index = index, .threads = 1, .isa = ""};
  PMN_TRY(pmn_backend_opencl.open(&options, &device, err));
  const pmn_ocl_device *opencl = (const pmn_ocl_device *)device;
  cl_device_id id = opencl->id;
  clGetDeviceInfo(id, CL_DEVICE_VENDOR, sizeof vendor, vendor, NULL);
  clGetDeviceInfo(id, CL_DEVICE_VERSION, sizeof version, version, NULL);
  *nvidia = has_extension(id, "cl_nv_device_attribute_query");
  PMN_TRY(fact(facts, err, "name", "%s", device->info.name));
  PMN_TRY(fact(facts, err, "vendor", "%s", vendor));
  PMN_TRY(fact(facts, err, "driver", "%s", device->info.driver));
  PMN_TRY(fact(facts, err, "type", "%s", types[device->info.type]));
  PMN_TRY(fact(facts, err, "version", "%s", version));
  PMN_TRY(memory_examine(facts, id, err));
  PMN_TRY(fact(facts, err, "compute units", "%d", device->info.compute_units));
  PMN_TRY(fact(facts, err, "clock", "%u MHz", ask_uint(id, CL_DEVICE_MAX_CLOCK_FREQUENCY)));
  PMN_TRY(fact(facts, err, "fp64", "%s", opencl->fp64 ? "yes" : "no"));
  PMN_TRY(fact(facts, err, "fp16 extension", "%s", has_extension(id, "cl_khr_fp16") ? "yes" : "no"));
  PMN_TRY(fact(facts, err, "exact division", "%s", opencl->rounds ? "yes, on demand" : "no"));
  PMN_TRY(fact(facts, err, "kernels", "%s", opencl->family->name));
  if (*nvidia) PMN_TRY(nvidia_examine(facts, id, err));
done:
  if (device != NULL) pmn_backend_opencl.close(device);
  return st;
}
