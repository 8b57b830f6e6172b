/* pmn_ocl_speed.c - how fast a device is launched on and copied to. See pmn_examine.h.
 *
 * Figures for a person who wonders where the time goes, each the best of a few tries: not a benchmark of the device,
 * and rough while others use it. Pinned memory is a buffer of CL_MEM_ALLOC_HOST_PTR, mapped; pageable is the heap's.
 *
 * Overlap: with K the time of a kernel alone, C that of a copy from pinned memory alone and B that of both at once on
 * two queues, (K + C - B) / min(K, C) is the part of the shorter that was hidden behind the longer: 1 all, 0 none.
 */
#include "pmn_clock.h"
#include "pmn_examine.h"
#include "pmn_mem.h"
#include "pmn_ocl.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { COPY_BYTES = 16 << 20, LAUNCHES = 1000, TRIES = 5, ITEMS = 1 << 14, ROUNDS_MAX = 1 << 24 };

static const char source[] = "__kernel void nothing(void) {}\n"
                             "__kernel void busy(__global float *y, const int rounds) {\n"
                             "  float v = (float)get_global_id(0);\n"
                             "  for (int i = 0; i < rounds; i++) v = v * 0.999f + 1.0f;\n"
                             "  y[get_global_id(0)] = v;\n"
                             "}\n";

typedef struct bench {
  pmn_ocl_device *device;
  cl_command_queue second;
  cl_program program;
  cl_kernel nothing, busy;
  cl_mem there, pinned, sums;
  void *mapped, *pageable;
} bench;

static pmn_status bench_init(bench *b, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  cl_int code;
  pmn_ocl_device *d = b->device;
  b->second = clCreateCommandQueue(d->context, d->id, 0, &code);
  PMN_OCL_TRY(d, code, "a second queue", err);
  b->program = clCreateProgramWithSource(d->context, 1, (const char *[]){source}, NULL, &code);
  PMN_OCL_TRY(d, code, "creating a program", err);
  PMN_OCL_TRY(d, clBuildProgram(b->program, 1, &d->id, "-cl-std=CL1.2", NULL, NULL), "building an empty kernel", err);
  b->nothing = clCreateKernel(b->program, "nothing", &code);
  PMN_OCL_TRY(d, code, "creating a kernel", err);
  b->busy = clCreateKernel(b->program, "busy", &code);
  PMN_OCL_TRY(d, code, "creating a kernel", err);
  PMN_TRY(pmn_ocl_buffer_create(d, COPY_BYTES, 1, NULL, "a copy", &b->there, err));
  PMN_TRY(pmn_ocl_buffer_create(d, ITEMS, sizeof(cl_float), NULL, "sums", &b->sums, err));
  b->pinned = clCreateBuffer(d->context, CL_MEM_READ_WRITE | CL_MEM_ALLOC_HOST_PTR, COPY_BYTES, NULL, &code);
  PMN_OCL_TRY(d, code, "pinned memory", err);
  b->mapped =
      clEnqueueMapBuffer(d->queue, b->pinned, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, 0, COPY_BYTES, 0, NULL, NULL, &code);
  PMN_OCL_TRY(d, code, "mapping pinned memory", err);
  b->pageable = pmn_calloc(COPY_BYTES, 1);
  if (b->pageable == NULL) PMN_TRY(pmn_err_memory(err, COPY_BYTES, "a copy"));
  memset(b->mapped, 1, COPY_BYTES);
done:
  return st;
}

static void bench_reset(bench *b) {
  if (b->mapped != NULL) clEnqueueUnmapMemObject(b->device->queue, b->pinned, b->mapped, 0, NULL, NULL);
  if (b->device != NULL) clFinish(b->device->queue);
  cl_mem *const buffers[] = {&b->there, &b->pinned, &b->sums};
  for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) {
    if (*buffers[i] != NULL) clReleaseMemObject(*buffers[i]);
  }
  if (b->nothing != NULL) clReleaseKernel(b->nothing);
  if (b->busy != NULL) clReleaseKernel(b->busy);
  if (b->program != NULL) clReleaseProgram(b->program);
  if (b->second != NULL) clReleaseCommandQueue(b->second);
  pmn_free(b->pageable);
}

static pmn_status launches_time(const bench *b, double *seconds, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  double start = pmn_clock_seconds();
  for (int i = 0; i < LAUNCHES; i++) {
    PMN_OCL_TRY(b->device,
        clEnqueueNDRangeKernel(b->device->queue, b->nothing, 1, NULL, &(size_t){1}, &(size_t){1}, 0, NULL, NULL),
        "an empty kernel", err);
  }
  PMN_OCL_TRY(b->device, clFinish(b->device->queue), "empty kernels", err);
  *seconds = pmn_clock_seconds() - start;
done:
  return st;
}

static pmn_status copy_time(const bench *b, bool up, void *host, double *seconds, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  cl_command_queue queue = b->device->queue;
  double start = pmn_clock_seconds();
  cl_int code = up ? clEnqueueWriteBuffer(queue, b->there, CL_TRUE, 0, COPY_BYTES, host, 0, NULL, NULL)
                   : clEnqueueReadBuffer(queue, b->there, CL_TRUE, 0, COPY_BYTES, host, 0, NULL, NULL);
  PMN_OCL_TRY(b->device, code, "a copy", err);
  *seconds = pmn_clock_seconds() - start;
done:
  return st;
}

/* A kernel of so many rounds, a copy up, or both on two queues. */
static pmn_status both_time(const bench *b, bool copy, int32_t rounds, double *seconds, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  double start = pmn_clock_seconds();
  if (rounds > 0) {
    PMN_OCL_TRY(b->device, clSetKernelArg(b->busy, 0, sizeof b->sums, &b->sums), "a kernel", err);
    PMN_OCL_TRY(b->device, clSetKernelArg(b->busy, 1, sizeof(cl_int), &(cl_int){rounds}), "a kernel", err);
    PMN_OCL_TRY(b->device,
        clEnqueueNDRangeKernel(b->device->queue, b->busy, 1, NULL, &(size_t){ITEMS}, &(size_t){64}, 0, NULL, NULL),
        "a kernel", err);
    PMN_OCL_TRY(b->device, clFlush(b->device->queue), "a kernel", err);
  }
  if (copy) {
    PMN_OCL_TRY(b->device, clEnqueueWriteBuffer(b->second, b->there, CL_FALSE, 0, COPY_BYTES, b->mapped, 0, NULL, NULL),
        "a copy", err);
  }
  PMN_OCL_TRY(b->device, clFinish(b->second), "a copy", err);
  PMN_OCL_TRY(b->device, clFinish(b->device->queue), "a kernel", err);
  *seconds = pmn_clock_seconds() - start;
done:
  if (st != PMN_STATUS_OK) clFinish(b->device->queue);
  if (st != PMN_STATUS_OK) clFinish(b->second);
  return st;
}

static pmn_status best_both(const bench *b, bool copy, int32_t rounds, double *best, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  double seconds;
  *best = INFINITY;
  for (int i = 0; i < TRIES; i++) {
    PMN_TRY(both_time(b, copy, rounds, &seconds, err));
    *best = fmin(*best, seconds);
  }
done:
  return st;
}

static pmn_status overlap_tell(const bench *b, const pmn_facts *facts, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  double copy, kernel = 0, both;
  int32_t rounds = 64;
  char value[128];
  PMN_TRY(best_both(b, true, 0, &copy, err));
  for (; rounds < ROUNDS_MAX && kernel < copy; rounds *= 2) PMN_TRY(both_time(b, false, rounds, &kernel, err));
  PMN_TRY(best_both(b, false, rounds, &kernel, err));
  PMN_TRY(best_both(b, true, rounds, &both, err));
  double hidden = fmin(fmax((kernel + copy - both) / fmin(kernel, copy), 0.0), 1.0);
  snprintf(value, sizeof value, "%.0f %% of the shorter (kernel %.2f ms, copy %.2f ms, both %.2f ms)", 100.0 * hidden,
      1e3 * kernel, 1e3 * copy, 1e3 * both);
  PMN_TRY(facts->add(facts->arg, "copy beside kernel", value, err));
done:
  return st;
}

static pmn_status copies_tell(const bench *b, const pmn_facts *facts, pmn_err *err) {
  static const char *const names[] = {"copy up", "copy down", "pinned copy up", "pinned copy down"};
  pmn_status st = PMN_STATUS_OK;
  for (int i = 0; i < 4; i++) {
    double seconds, best = INFINITY;
    char value[64];
    for (int k = 0; k < TRIES; k++) {
      PMN_TRY(copy_time(b, i % 2 == 0, i < 2 ? b->pageable : b->mapped, &seconds, err));
      best = fmin(best, seconds);
    }
    snprintf(value, sizeof value, "%.2f GB/s", COPY_BYTES / best * 1e-9);
    PMN_TRY(facts->add(facts->arg, names[i], value, err));
  }
done:
  return st;
}

pmn_status pmn_ocl_examine_speed(int32_t index, const pmn_facts *facts, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_device *device = NULL;
  bench b = {0};
  double seconds, best = INFINITY;
  char value[64];
  const pmn_device_options options = {.index = index, .threads = 1, .isa = ""};
  PMN_TRY(pmn_backend_opencl.open(&options, &device, err));
  b.device = (pmn_ocl_device *)device;
  PMN_TRY(bench_init(&b, err));
  for (int i = 0; i < TRIES; i++) {
    PMN_TRY(launches_time(&b, &seconds, err));
    best = fmin(best, seconds);
  }
  snprintf(value, sizeof value, "%.0f a second", LAUNCHES / best);
  PMN_TRY(facts->add(facts->arg, "launches", value, err));
  PMN_TRY(copies_tell(&b, facts, err));
  PMN_TRY(overlap_tell(&b, facts, err));
done:
  bench_reset(&b);
  if (device != NULL) pmn_backend_opencl.close(device);
  return st;
}
