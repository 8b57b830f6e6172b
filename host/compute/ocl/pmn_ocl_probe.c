/* pmn_ocl_probe.c - does inline PTX work, instruction by instruction? See pmn_examine.h.
 *
 * NVIDIA's OpenCL compiler takes asm() with PTX; what of PTX depends on driver and card, and nothing tells but trying.
 * Each probe is a kernel for one warp of 32 work-items, `(a, b, out)`, over small whole numbers: products and sums of
 * them are exact in fp16, tf32 and fp32, so that every number must be the plain sum's, none merely near it.
 * None of the probes but "plain" has ever been run on a card: they were written by the PTX ISA's tables of fragments
 * (sections 9.7.13 to 9.7.15 of version 8), and say yes only where all numbers agree.
 *
 * Fragments of mma, g = lane / 4, t = lane % 4: row g or g + 8 of a and d, column g of b; along the sum 2t, 2t + 1 and
 * the same + 8 in fp16, t and t + 4 in tf32; columns 2t, 2t + 1 of d.
 */
#include "pmn_examine.h"
#include "pmn_ocl.h"

#include <stdio.h>
#include <string.h>

enum { WARP = 32, VALUES = 512 };

typedef struct probe {
  const char *name;
  int32_t rows, columns, depth; /* out = a [rows, depth] b [depth, columns]; depth 0: out [columns] is a's bytes */
  bool fp16;                    /* a and b are fp16, else fp32 */
  bool b_by_columns;            /* b lies column after column */
  const char *source;
} probe;

#define HEAD "__kernel __attribute__((reqd_work_group_size(32, 1, 1))) void probe("
#define HALVES "const __global ushort *a, const __global ushort *b, __global float *out) {\n"
#define FLOATS "const __global float *a, const __global float *b, __global float *out) {\n"
#define LANE "const uint lane = (uint)get_local_id(0), g = lane / 4, t = lane % 4;\n"
#define PAIR "#define AT(p, i) (*(const __global uint *)((p) + (i)))\n"
#define STORE_D                                                                                                        \
  "out[g * 8 + 2 * t] = d0; out[g * 8 + 2 * t + 1] = d1;\n"                                                            \
  "out[(g + 8) * 8 + 2 * t] = d2; out[(g + 8) * 8 + 2 * t + 1] = d3;\n}\n"

static const char plain_source[] =
    HEAD FLOATS "for (int i = (int)get_local_id(0); i < 256; i += 32) {\n"
                "  float sum = 0.0f;\n"
                "  for (int k = 0; k < 16; k++) sum += a[i / 16 * 16 + k] * b[k * 16 + i % 16];\n"
                "  out[i] = sum;\n"
                "}\n}\n";

/* out[i] = a[lane of work-item i] */
static const char laneid_source[] = HEAD FLOATS "uint lane;\n"
                                                "asm volatile(\"mov.u32 %0, %%laneid;\" : \"=r\"(lane));\n"
                                                "out[get_local_id(0)] = a[lane];\n}\n";

static const char wmma_source[] = HEAD HALVES
    "uint a0, a1, a2, a3, a4, a5, a6, a7, b0, b1, b2, b3, b4, b5, b6, b7;\n"
    "float d0 = 0, d1 = 0, d2 = 0, d3 = 0, d4 = 0, d5 = 0, d6 = 0, d7 = 0;\n"
    "asm volatile(\"wmma.load.a.sync.aligned.row.m16n16k16.global.f16 {%0, %1, %2, %3, %4, %5, %6, %7}, [%8], %9;\"\n"
    "  : \"=r\"(a0), \"=r\"(a1), \"=r\"(a2), \"=r\"(a3), \"=r\"(a4), \"=r\"(a5), \"=r\"(a6), \"=r\"(a7)\n"
    "  : \"l\"(a), \"r\"(16));\n"
    "asm volatile(\"wmma.load.b.sync.aligned.row.m16n16k16.global.f16 {%0, %1, %2, %3, %4, %5, %6, %7}, [%8], %9;\"\n"
    "  : \"=r\"(b0), \"=r\"(b1), \"=r\"(b2), \"=r\"(b3), \"=r\"(b4), \"=r\"(b5), \"=r\"(b6), \"=r\"(b7)\n"
    "  : \"l\"(b), \"r\"(16));\n"
    "asm volatile(\"wmma.mma.sync.aligned.row.row.m16n16k16.f32.f32 {%0, %1, %2, %3, %4, %5, %6, %7}, \"\n"
    "  \"{%8, %9, %10, %11, %12, %13, %14, %15}, {%16, %17, %18, %19, %20, %21, %22, %23}, \"\n"
    "  \"{%0, %1, %2, %3, %4, %5, %6, %7};\"\n"
    "  : \"+f\"(d0), \"+f\"(d1), \"+f\"(d2), \"+f\"(d3), \"+f\"(d4), \"+f\"(d5), \"+f\"(d6), \"+f\"(d7)\n"
    "  : \"r\"(a0), \"r\"(a1), \"r\"(a2), \"r\"(a3), \"r\"(a4), \"r\"(a5), \"r\"(a6), \"r\"(a7),\n"
    "    \"r\"(b0), \"r\"(b1), \"r\"(b2), \"r\"(b3), \"r\"(b4), \"r\"(b5), \"r\"(b6), \"r\"(b7));\n"
    "asm volatile(\"wmma.store.d.sync.aligned.row.m16n16k16.global.f32 [%0], {%1, %2, %3, %4, %5, %6, %7, %8}, %9;\"\n"
    "  :: \"l\"(out), \"f\"(d0), \"f\"(d1), \"f\"(d2), \"f\"(d3), \"f\"(d4), \"f\"(d5), \"f\"(d6), \"f\"(d7), "
    "\"r\"(16)\n"
    "  : \"memory\");\n}\n";

static const char mma_f16_source[] =
    PAIR HEAD HALVES LANE "const uint a0 = AT(a, g * 16 + 2 * t), a1 = AT(a, (g + 8) * 16 + 2 * t);\n"
                          "const uint a2 = AT(a, g * 16 + 2 * t + 8), a3 = AT(a, (g + 8) * 16 + 2 * t + 8);\n"
                          "const uint b0 = AT(b, g * 16 + 2 * t), b1 = AT(b, g * 16 + 2 * t + 8);\n"
                          "float d0 = 0, d1 = 0, d2 = 0, d3 = 0;\n"
                          "asm volatile(\"mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 \"\n"
                          "  \"{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};\"\n"
                          "  : \"+f\"(d0), \"+f\"(d1), \"+f\"(d2), \"+f\"(d3)\n"
                          "  : \"r\"(a0), \"r\"(a1), \"r\"(a2), \"r\"(a3), \"r\"(b0), \"r\"(b1));\n" STORE_D;

static const char mma_tf32_source[] =
    HEAD FLOATS LANE "const uint a0 = as_uint(a[g * 8 + t]), a1 = as_uint(a[(g + 8) * 8 + t]);\n"
                     "const uint a2 = as_uint(a[g * 8 + t + 4]), a3 = as_uint(a[(g + 8) * 8 + t + 4]);\n"
                     "const uint b0 = as_uint(b[t * 8 + g]), b1 = as_uint(b[(t + 4) * 8 + g]);\n"
                     "float d0 = 0, d1 = 0, d2 = 0, d3 = 0;\n"
                     "asm volatile(\"mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 \"\n"
                     "  \"{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};\"\n"
                     "  : \"+f\"(d0), \"+f\"(d1), \"+f\"(d2), \"+f\"(d3)\n"
                     "  : \"r\"(a0), \"r\"(a1), \"r\"(a2), \"r\"(a3), \"r\"(b0), \"r\"(b1));\n" STORE_D;

/* Four 8 x 8 matrices of fp16: work-item i gives the address of row i % 8 of matrix i / 8, and is given elements 2t and
 * 2t + 1 of row g of each. */
static const char ldmatrix_source[] = HEAD HALVES LANE
    "__local ushort tile[256] __attribute__((aligned(16)));\n"
    "for (uint i = lane; i < 256; i += 32) tile[i] = a[i];\n"
    "barrier(CLK_LOCAL_MEM_FENCE);\n"
    "uint r[4];\n"
    "asm volatile(\"ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];\"\n"
    "  : \"=r\"(r[0]), \"=r\"(r[1]), \"=r\"(r[2]), \"=r\"(r[3]) : \"l\"(tile + lane * 8) : \"memory\");\n"
    "for (uint m = 0; m < 4; m++) {\n"
    "  out[m * 64 + g * 8 + 2 * t] = vload_half(0, (const __private half *)&r[m]);\n"
    "  out[m * 64 + g * 8 + 2 * t + 1] = vload_half(1, (const __private half *)&r[m]);\n"
    "}\n}\n";

static const char cp_async_source[] = HEAD FLOATS
    "const uint lane = (uint)get_local_id(0);\n"
    "__local float tile[128] __attribute__((aligned(16)));\n"
    "asm volatile(\"cp.async.ca.shared.global [%0], [%1], 16;\" :: \"l\"(tile + 4 * lane), \"l\"(a + 4 * lane)\n"
    "  : \"memory\");\n"
    "asm volatile(\"cp.async.wait_all;\" ::: \"memory\");\n"
    "barrier(CLK_LOCAL_MEM_FENCE);\n"
    "for (uint i = lane; i < 128; i += 32) out[i] = tile[127 - i];\n}\n";

static const probe probes[] = {
    {"plain", 16, 16, 16, false, false, plain_source}, {"laneid", 1, 32, 0, false, false, laneid_source},
    {"wmma m16n16k16 f16", 16, 16, 16, true, false, wmma_source},
    {"mma.sync m16n8k16 f16", 16, 8, 16, true, true, mma_f16_source},
    {"mma.sync m16n8k8 tf32", 16, 8, 8, false, false, mma_tf32_source},
    {"ldmatrix", 1, 256, 0, true, false, ldmatrix_source},
    {"cp.async", 1, -128, 0, false, false, cp_async_source}, /* backwards: work-items read what others fetched */
};
enum { PROBES = sizeof probes / sizeof *probes };

const char *pmn_ocl_probe_name(int32_t i) {
  return i >= 0 && i < PROBES ? probes[i].name : NULL;
}

/* Whole numbers from -7 to 7 that repeat with no period of a fragment. */
static int32_t number_at(int32_t seed, int32_t i) {
  return (i * 7 + i / 5 * 3 + seed) % 15 - 7;
}

/* fp16 of a whole number of at most 3 bits and its sign. */
static cl_ushort half_of(int32_t v) {
  static const cl_ushort bits[] = {0x0000, 0x3c00, 0x4000, 0x4200, 0x4400, 0x4500, 0x4600, 0x4700};
  return (cl_ushort)(bits[v < 0 ? -v : v] | (v < 0 ? 0x8000 : 0));
}

static void numbers_fill(const probe *p, int32_t seed, void *to) {
  for (int32_t i = 0; i < VALUES; i++) {
    if (p->fp16)
      ((cl_ushort *)to)[i] = half_of(number_at(seed, i));
    else
      ((cl_float *)to)[i] = (cl_float)number_at(seed, i);
  }
}

static int32_t expected_at(const probe *p, int32_t i) {
  int32_t sum = 0;
  if (p->depth == 0) return number_at(0, p->columns < 0 ? -p->columns - 1 - i : i);
  int32_t row = i / p->columns, column = i % p->columns;
  for (int32_t k = 0; k < p->depth; k++) {
    sum += number_at(0, row * p->depth + k) *
           number_at(4, p->b_by_columns ? column * p->depth + k : k * p->columns + column);
  }
  return sum;
}

static pmn_status numbers_compare(const pmn_ocl_device *device, const probe *p, const float *out, pmn_err *err) {
  int32_t count = p->rows * (p->columns < 0 ? -p->columns : p->columns);
  for (int32_t i = 0; i < count; i++) {
    double expected = expected_at(p, i);
    if (!((double)out[i] >= expected && (double)out[i] <= expected)) {
      return pmn_err_set(err, PMN_STATUS_DEVICE, 0, "wrong numbers from %s: value %d is %g, not %g",
          device->base.info.name, i, (double)out[i], expected);
    }
  }
  return PMN_STATUS_OK;
}

/* Builds the kernel; the first line of the compiler's log that speaks of an error is the message if it does not. */
static pmn_status kernel_build(
    pmn_ocl_device *device, const probe *p, cl_program *program, cl_kernel *kernel, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  cl_int code;
  char log[16384] = "";
  *program = clCreateProgramWithSource(device->context, 1, (const char *[]){p->source}, NULL, &code);
  PMN_OCL_TRY(device, code, "creating a program", err);
  code = clBuildProgram(*program, 1, &device->id, "-cl-std=CL1.2", NULL, NULL);
  if (code != CL_SUCCESS) {
    clGetProgramBuildInfo(*program, device->id, CL_PROGRAM_BUILD_LOG, sizeof log - 1, log, NULL);
    const char *line = strstr(log, "error");
    while (line != NULL && line > log && line[-1] != '\n') line--;
    PMN_FAIL_CODE(err, PMN_STATUS_DEVICE, code, "does not build (%s): %.*s", pmn_ocl_error_name(code),
        line != NULL ? (int)strcspn(line, "\n") : 0, line != NULL ? line : "");
  }
  *kernel = clCreateKernel(*program, "probe", &code);
  PMN_OCL_TRY(device, code, "creating a kernel", err);
done:
  return st;
}

static pmn_status probe_launch(pmn_ocl_device *device, const probe *p, cl_kernel kernel, float *out, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  cl_float numbers[2][VALUES] = {{0}};
  cl_mem buffers[3] = {NULL};
  size_t size = p->fp16 ? sizeof(cl_ushort) : sizeof(cl_float);
  for (int32_t i = 0; i < 2; i++) {
    numbers_fill(p, 4 * i, numbers[i]);
    PMN_TRY(pmn_ocl_buffer_create(device, VALUES, size, numbers[i], "a probe", &buffers[i], err));
  }
  PMN_TRY(pmn_ocl_buffer_create(device, VALUES, sizeof(cl_float), NULL, "a probe", &buffers[2], err));
  PMN_OCL_TRY(device,
      clEnqueueWriteBuffer(device->queue, buffers[2], CL_TRUE, 0, VALUES * sizeof *out, out, 0, NULL, NULL),
      "a probe's numbers", err);
  for (cl_uint i = 0; i < 3; i++) {
    PMN_OCL_TRY(device, clSetKernelArg(kernel, i, sizeof buffers[i], &buffers[i]), "a probe's arguments", err);
  }
  PMN_OCL_TRY(device,
      clEnqueueNDRangeKernel(device->queue, kernel, 1, NULL, &(size_t){WARP}, &(size_t){WARP}, 0, NULL, NULL),
      "launching a probe", err);
  PMN_OCL_TRY(device,
      clEnqueueReadBuffer(device->queue, buffers[2], CL_TRUE, 0, VALUES * sizeof *out, out, 0, NULL, NULL),
      "running a probe", err);
done:
  for (int32_t i = 0; i < 3; i++) {
    if (buffers[i] != NULL) clReleaseMemObject(buffers[i]);
  }
  return st;
}

pmn_status pmn_ocl_probe_run(int32_t index, const char *name, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const probe *p = NULL;
  pmn_device *device = NULL;
  cl_program program = NULL;
  cl_kernel kernel = NULL;
  float out[VALUES];
  const pmn_device_options options = {.index = index, .threads = 1, .isa = ""};
  for (int32_t i = 0; i < PROBES; i++) {
    if (strcmp(probes[i].name, name) == 0) p = &probes[i];
  }
  if (p == NULL) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "there is no probe \"%s\"", name);
  /* What is not written is no small number. */
  for (int32_t i = 0; i < VALUES; i++) out[i] = -1e9f;
  PMN_TRY(pmn_backend_opencl.open(&options, &device, err));
  pmn_ocl_device *opencl = (pmn_ocl_device *)device;
  PMN_TRY(kernel_build(opencl, p, &program, &kernel, err));
  PMN_TRY(probe_launch(opencl, p, kernel, out, err));
  PMN_TRY(numbers_compare(opencl, p, out, err));
done:
  if (kernel != NULL) clReleaseKernel(kernel);
  if (program != NULL) clReleaseProgram(program);
  if (device != NULL) pmn_backend_opencl.close(device);
  return st;
}
