/* pmn_doctor.c - what a machine offers Pomona, and what it lacks: pmn_doctor of pomona.h.
 *
 * A diagnosis is a list of facts, section by section. What is wrong with one device is a fact of that device and ends
 * nothing; only a diagnosis that cannot be kept in memory is an error.
 */
#include "pmn_doctor.h"

#include "pmn_backend.h"
#include "pmn_examine.h"
#include "pmn_mem.h"
#include "pmn_pool.h"
#include "pmn_record.h"
#include "pmn_selfcheck.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FACTS_MAX = 4096, DEVICES_MAX = 64 };

struct pmn_diagnosis {
  pmn_fact *facts;
  int32_t count, capacity;
  char section[32]; /* of the facts that come now */
  bool healthy;
  char *record;
};

static pmn_status fact_add(void *arg, const char *name, const char *value, pmn_err *err) {
  pmn_diagnosis *self = arg;
  if (self->count == self->capacity) {
    int32_t capacity = self->capacity == 0 ? 64 : 2 * self->capacity;
    pmn_fact *facts = capacity <= FACTS_MAX ? pmn_realloc(self->facts, (size_t)capacity, sizeof *self->facts) : NULL;
    if (facts == NULL) return pmn_err_memory(err, (size_t)capacity * sizeof *facts, "a diagnosis");
    self->facts = facts;
    self->capacity = capacity;
  }
  const char *texts[] = {pmn_strdup(self->section), pmn_strdup(name), pmn_strdup(value)};
  self->facts[self->count++] = (pmn_fact){texts[0], texts[1], texts[2]};
  if (texts[0] != NULL && texts[1] != NULL && texts[2] != NULL) return PMN_STATUS_OK;
  return pmn_err_memory(err, strlen(value), "a diagnosis");
}

static pmn_status say(pmn_diagnosis *self, pmn_err *err, const char *name, const char *format, ...) PMN_PRINTF(4, 5);
static pmn_status say(pmn_diagnosis *self, pmn_err *err, const char *name, const char *format, ...) {
  char value[1024];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(value, sizeof value, format, arguments);
  va_end(arguments);
  return fact_add(self, name, value, err);
}

static void section_begin(pmn_diagnosis *self, const char *name) {
  snprintf(self->section, sizeof self->section, "%s", name);
}

/* -------------------------------------------------------------------------------------- program, processor -- */

static pmn_status program_examine(pmn_diagnosis *self, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  section_begin(self, "program");
  PMN_TRY(say(self, err, "version", "%s", pmn_version()));
  PMN_TRY(say(self, err, "backends", "cpu, opencl, ref"));
done:
  return st;
}

/* The kernels that the cpu backend has for a precision. */
static pmn_status kernels_examine(pmn_diagnosis *self, const char *name, pmn_precision precision, pmn_err *err) {
  pmn_err why = PMN_ERR_INIT;
  pmn_device *device;
  const pmn_device_options options = {.index = -1, .threads = 1, .precision = precision};
  pmn_status st = pmn_device_open(pmn_backend_find("cpu"), &options, &device, &why);
  if (st == PMN_STATUS_NO_MEMORY) return pmn_err_memory(err, 1, "a diagnosis");
  st = say(self, err, name, "%s", st == PMN_STATUS_OK ? device->info.driver : why.message);
  pmn_device_close(device);
  return st;
}

/* The first line of a file; false if there is none. */
static bool line_read(const char *path, char line[128]) {
  FILE *file = fopen(path, "re");
  bool good = file != NULL && fgets(line, 128, file) != NULL;
  if (file != NULL) fclose(file);
  if (good) line[strcspn(line, "\n")] = '\0';
  return good;
}

/* Of control groups, version 2 and then 1, as a container sees its own. */
static pmn_status limits_examine(pmn_diagnosis *self, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  static const double GIB = 1024.0 * 1024 * 1024;
  char line[128], period[128];
  double quota = -1, each = 0, bytes;
  if (line_read("/sys/fs/cgroup/cpu.max", line)) {
    if (sscanf(line, "%lf %lf", &quota, &each) != 2) quota = -1;
  } else if (line_read("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", line) &&
             line_read("/sys/fs/cgroup/cpu/cpu.cfs_period_us", period)) {
    quota = atof(line);
    each = atof(period);
  }
  PMN_TRY(quota > 0 && each > 0 ? say(self, err, "limit of cores", "%.2f", quota / each)
                                : say(self, err, "limit of cores", "none"));
  PMN_TRY(say(self, err, "memory", "%.1f GiB", (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE) / GIB));
  bool limited = (line_read("/sys/fs/cgroup/memory.max", line) ||
                     line_read("/sys/fs/cgroup/memory/memory.limit_in_bytes", line)) &&
                 sscanf(line, "%lf", &bytes) == 1 && bytes < 0x1p60; /* version 1 says "none" by 2^63 */
  PMN_TRY(
      limited ? say(self, err, "limit of memory", "%.1f GiB", bytes / GIB) : say(self, err, "limit of memory", "none"));
done:
  return st;
}

static pmn_status processor_examine(pmn_diagnosis *self, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_device_info info;
  int32_t count;
  section_begin(self, "processor");
  PMN_TRY(pmn_backend_find("cpu")->devices(&info, 1, &count, err));
  PMN_TRY(say(self, err, "name", "%s", info.name));
  PMN_TRY(kernels_examine(self, "fp32", PMN_PRECISION_FP32, err));
  PMN_TRY(kernels_examine(self, "bf16", PMN_PRECISION_BF16, err));
  PMN_TRY(say(self, err, "cores to use", "%d", pmn_pool_processors()));
  PMN_TRY(limits_examine(self, err));
done:
  return st;
}

/* -------------------------------------------------------------------------------------------------- devices -- */

/* An error of the device is told as a fact; want of its memory, too: others may have taken it. */
static pmn_status tell_failure(pmn_diagnosis *self, const char *name, pmn_status st, const pmn_err *why, pmn_err *err) {
  if (st == PMN_STATUS_OK) return st;
  self->healthy = false;
  return say(self, err, name, "fails: %s", why->message);
}

/* What a device is checked with, whatever POMONA_KERNELS says: its own kernels, and what can be asked for. */
typedef struct check {
  const char *name, *kernels;
  pmn_precision precision;
} check;
static const check checks[] = {{"self-check", "", PMN_PRECISION_FP32}, {"self-check fp16", "", PMN_PRECISION_FP16}},
                   tensor_check = {"self-check tensor cores", "tensor", PMN_PRECISION_FP16};

static pmn_status selfcheck_examine(pmn_diagnosis *self, int32_t index, const check *c, pmn_err *err) {
  pmn_err why = PMN_ERR_INIT;
  pmn_device *device = NULL;
  bool cached = false;
  double ratio = 0;
  const pmn_device_options options = {.index = index, .threads = 1, .isa = c->kernels, .precision = c->precision};
  pmn_status st = pmn_device_open(pmn_backend_find("opencl"), &options, &device, &why);
  if (st == PMN_STATUS_OK) st = pmn_selfcheck_run(device, &cached, &ratio, &why);
  pmn_device_close(device);
  if (st != PMN_STATUS_OK) return tell_failure(self, c->name, st, &why, err);
  return say(self, err, c->name, "passes: largest error %.2g of what is allowed%s", ratio,
      cached ? " (known from before)" : "");
}

/* Probes of PTX, each in a process of its own; and the plain one, which shows that such a process works here. */
static pmn_status probes_examine(
    pmn_diagnosis *self, const pmn_doctor_options *options, int32_t index, bool nvidia, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  char name[64], verdict[600];
  if (options->probe_program == NULL) return say(self, err, "probes", "not asked: no program to run them");
  for (int32_t i = 0; pmn_ocl_probe_name(i) != NULL; i++) {
    snprintf(name, sizeof name, i == 0 ? "probe %s" : "PTX %s", pmn_ocl_probe_name(i));
    if (i > 0 && !nvidia) {
      PMN_TRY(say(self, err, name, "not asked: not an NVIDIA device"));
      continue;
    }
    double seconds = options->probe_seconds > 0 ? options->probe_seconds : 60;
    PMN_TRY(pmn_doctor_ask(options->probe_program, pmn_ocl_probe_name(i), index, seconds, verdict, err));
    if (i == 0 && strcmp(verdict, "yes") != 0) self->healthy = false;
    PMN_TRY(say(self, err, name, "%s", verdict));
  }
done:
  return st;
}

static pmn_status device_examine(pmn_diagnosis *self, const pmn_doctor_options *options, int32_t index, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_err why = PMN_ERR_INIT;
  const pmn_facts facts = {fact_add, self};
  bool nvidia = false;
  char section[32];
  snprintf(section, sizeof section, "device %d", index);
  section_begin(self, section);
  pmn_status answer = pmn_ocl_examine_device(index, &facts, &nvidia, &why);
  PMN_TRY(tell_failure(self, "device", answer, &why, err));
  if (answer != PMN_STATUS_OK) goto done;
  PMN_TRY(probes_examine(self, options, index, nvidia, err));
  for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) PMN_TRY(selfcheck_examine(self, index, &checks[i], err));
  if (nvidia) PMN_TRY(selfcheck_examine(self, index, &tensor_check, err));
  answer = pmn_ocl_examine_speed(index, &facts, &why);
  PMN_TRY(tell_failure(self, "speed", answer, &why, err));
done:
  return st;
}

/* --------------------------------------------------------------------------------------------------- advice -- */

static pmn_status advise(pmn_diagnosis *self, int32_t drivers, int32_t devices, bool gpu, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  bool nvidia = access("/dev/nvidiactl", F_OK) == 0;
  section_begin(self, "advice");
  if (drivers == 0) {
    PMN_TRY(say(self, err, "driver",
        "no driver of OpenCL can be loaded: install that of the GPU (NVIDIA: it is part of the driver, package "
        "nvidia-opencl-icd; AMD, Intel: mesa-opencl-icd, intel-opencl-icd), or pocl-opencl-icd to try on the "
        "processor"));
  } else if (devices == 0) {
    PMN_TRY(say(self, err, "device",
        "a driver is there, but it finds no device: may this user open /dev/dri or "
        "/dev/nvidia*?"));
  }
  if (nvidia && !gpu) {
    PMN_TRY(say(self, err, "container",
        "an NVIDIA GPU is there, but not for OpenCL: /etc/OpenCL/vendors/nvidia.icd must hold the line "
        "libnvidia-opencl.so.1, and a container needs NVIDIA_DRIVER_CAPABILITIES=compute,utility"));
  }
  if (!gpu) PMN_TRY(say(self, err, "backend", "there is no GPU for OpenCL: --backend auto computes on the processor"));
  if (!self->healthy) PMN_TRY(say(self, err, "device", "do not use a device that fails: --device or --backend cpu"));
done:
  return st;
}

static pmn_status opencl_examine(pmn_diagnosis *self, const pmn_doctor_options *options, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_err why = PMN_ERR_INIT;
  pmn_device_info list[DEVICES_MAX];
  const pmn_facts facts = {fact_add, self};
  int32_t drivers, devices = 0;
  bool gpu = false;
  section_begin(self, "OpenCL");
  PMN_TRY(pmn_ocl_examine_drivers(&facts, &drivers, err));
  pmn_status answer = pmn_backend_find("opencl")->devices(list, DEVICES_MAX, &devices, &why);
  PMN_TRY(tell_failure(self, "devices", answer, &why, err));
  if (answer == PMN_STATUS_OK) PMN_TRY(say(self, err, "devices", "%d", devices));
  for (int32_t i = 0; i < devices && i < DEVICES_MAX; i++) {
    gpu = gpu || list[i].type == PMN_DEVICE_GPU;
    PMN_TRY(device_examine(self, options, i, err));
  }
  PMN_TRY(advise(self, drivers, devices, gpu, err));
done:
  return st;
}

/* --------------------------------------------------------------------------------------------------- record -- */

static pmn_status record_make(pmn_diagnosis *self, pmn_err *err) {
  json_t *list = json_array(), *record = json_pack("{s:b, s:O}", "healthy", self->healthy, "facts", list);
  bool good = record != NULL;
  for (int32_t i = 0; good && i < self->count; i++) {
    const pmn_fact *f = &self->facts[i];
    good = json_array_append_new(
               list, json_pack("{s:s, s:s, s:s}", "section", f->section, "name", f->name, "value", f->value)) == 0;
  }
  if (good) self->record = pmn_record_text(record);
  json_decref(list);
  json_decref(record);
  return self->record != NULL ? PMN_STATUS_OK : pmn_err_memory(err, 1, "the record of a diagnosis");
}

pmn_status pmn_doctor(const pmn_doctor_options *options, pmn_diagnosis **diagnosis, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  *diagnosis = NULL;
  pmn_diagnosis *self = pmn_calloc(1, sizeof *self);
  if (self == NULL) return pmn_err_memory(err, sizeof *self, "a diagnosis");
  self->healthy = true;
  if (options->struct_size != sizeof *options) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "options of another version: start from PMN_DOCTOR_OPTIONS_INIT");
  }
  PMN_TRY(program_examine(self, err));
  PMN_TRY(processor_examine(self, err));
  PMN_TRY(opencl_examine(self, options, err));
  PMN_TRY(record_make(self, err));
  *diagnosis = self;
  self = NULL;
done:
  pmn_diagnosis_destroy(self);
  return st;
}

const pmn_fact *pmn_diagnosis_facts(const pmn_diagnosis *diagnosis, int32_t *count) {
  *count = diagnosis->count;
  return diagnosis->facts;
}

bool pmn_diagnosis_healthy(const pmn_diagnosis *diagnosis) {
  return diagnosis->healthy;
}

const char *pmn_diagnosis_record(const pmn_diagnosis *diagnosis) {
  return diagnosis->record;
}

void pmn_diagnosis_destroy(pmn_diagnosis *diagnosis) {
  if (diagnosis == NULL) return;
  for (int32_t i = 0; i < diagnosis->count; i++) {
    const pmn_fact *f = &diagnosis->facts[i];
    const char *const texts[] = {f->section, f->name, f->value};
    for (int k = 0; k < 3; k++) pmn_free((void *)(uintptr_t)texts[k]);
  }
  pmn_free(diagnosis->facts);
  pmn_free(diagnosis->record);
  pmn_free(diagnosis);
}
