/* pmn_ocl_program.c - builds kernels, and keeps what was built.
 *
 * Compiling takes a driver from a tenth of a second to several; runs are often shorter. Binaries are therefore cached
 * under the cache folder, named by SHA-256 of everything they depend on: source, options, device, driver and platform.
 * The file carries the hash of its content; a file that is missing, cut short, altered or refused by the driver means
 * building from source, never an error. Nothing is written under the final name before it is whole.
 */
#include "pmn_ocl_tuning.h"

#include "pmn_err.h"
#include "pmn_file.h"
#include "pmn_mem.h"
#include "pmn_resample_rules.h"
#include "pmn_sha256.h"

#include <stdio.h>
#include <string.h>

#define CACHE_MAGIC "pomona kernel 1\n"
enum {
  MAGIC_SIZE = sizeof CACHE_MAGIC - 1,
  HEAD_SIZE = MAGIC_SIZE + PMN_SHA256_HEX_SIZE, /* magic, hash of the rest, newline */
  BINARY_MAX = 64 << 20,
};

#define CL12 "-cl-std=CL1.2"
/* Kernels that are the same for all processors. */
#define ELEMENT_KERNELS                                                                                                \
  [PMN_OCL_GLOBAL_AVERAGE_POOL] = {"global_average_pool", CL12}, [PMN_OCL_MAX_POOL] = {"max_pool", CL12},              \
  [PMN_OCL_AVERAGE_POOL] = {"average_pool", CL12}, [PMN_OCL_MULTIPLY] = {"multiply", CL12},                            \
  [PMN_OCL_COPY] = {"copy", CL12}, [PMN_OCL_LRN] = {"lrn", CL12}, [PMN_OCL_RESIZE] = {"resize", CL12},                 \
  [PMN_OCL_INVERTED_RESIDUAL] = {"inverted_residual", CL12}, [PMN_OCL_NARROW] = {"convert", CL12 " -DPMN_TO=16"},      \
  [PMN_OCL_WIDEN] = {"convert", CL12 " -DPMN_TO=32"}

#define SIFT(name)                                                                                                     \
  { "sift_" name, CL12, .header = "sift", .rounded = true }
#define SIFT_KERNELS                                                                                                   \
  [PMN_OCL_SIFT_ENLARGE] = SIFT("enlarge"), [PMN_OCL_SIFT_BLUR_COLUMNS] = SIFT("blur_columns"),                        \
  [PMN_OCL_SIFT_BLUR_ROWS] = SIFT("blur_rows"), [PMN_OCL_SIFT_HALVE] = SIFT("halve"),                                  \
  [PMN_OCL_SIFT_EXTREMES] = SIFT("extremes"), [PMN_OCL_SIFT_DIRECTIONS] = SIFT("directions"),                          \
  [PMN_OCL_SIFT_DESCRIBE] = SIFT("describe")
#define ORB(name)                                                                                                      \
  { "orb_" name, CL12, .header = "orb" }
#define ORB_KERNELS                                                                                                    \
  [PMN_OCL_ORB_SHRINK] = ORB("shrink"), [PMN_OCL_ORB_FAST] = ORB("fast"), [PMN_OCL_ORB_PEAKS] = ORB("peaks"),          \
  [PMN_OCL_ORB_LEAST] = ORB("least"), [PMN_OCL_ORB_LIST] = ORB("list"), [PMN_OCL_ORB_HARRIS] = ORB("harris"),          \
  [PMN_OCL_ORB_MOMENTS] = ORB("moments"), [PMN_OCL_ORB_BLUR] = ORB("blur"), [PMN_OCL_ORB_BITS] = ORB("bits")
#define PROJECT(work)                                                                                                  \
  [PMN_OCL_PROJECT] = {"project", CL12 " -DPMN_FP64=1" work}, [PMN_OCL_PROJECT_NARROW] = {"project", CL12 work}
#define TEXT_OF(number) #number
#define TEXT(number) TEXT_OF(number)
#define RESAMPLE(name)                                                                                                 \
  { "resample_" name, CL12 " -DPMN_WEIGHT_BITS=" TEXT(PMN_WEIGHT_BITS), .header = "resample" }
#define RESAMPLE_KERNELS [PMN_OCL_RESAMPLE_PASS] = RESAMPLE("pass"), [PMN_OCL_RESAMPLE_NEAREST] = RESAMPLE("nearest")
#define TILE_KERNELS                                                                                                   \
  [PMN_OCL_CONV2D] = {"conv2d_tile", CL12}, [PMN_OCL_CONV2D_BYTES] = {"conv2d_tile", CL12 " -DPMN_BYTES=1"},           \
  [PMN_OCL_DEPTHWISE_CONV2D] = {"depthwise_conv2d_tile", CL12},                                                        \
  [PMN_OCL_SOFTMAX] = {"softmax", CL12 " -DPMN_ITEMS=64"},                                                             \
  [PMN_OCL_LAYER_NORM] = {"layer_norm", CL12 " -DPMN_ITEMS=64"}, PROJECT(" -DPMN_ITEMS=64 -DPMN_EACH=1"), ORB_KERNELS, \
  SIFT_KERNELS, RESAMPLE_KERNELS, ELEMENT_KERNELS
static const pmn_ocl_family families[] = {
    {.name = "vector",
        .line_local = 1,
        .element_local = 64,
        .pixel_local = 1,
        .components = 1 * 16,
        .kernels = {[PMN_OCL_CONV2D] = {"conv2d_vector", CL12},
            [PMN_OCL_CONV2D_BYTES] = {"conv2d_vector", CL12 " -DPMN_BYTES=1"},
            [PMN_OCL_DEPTHWISE_CONV2D] = {"depthwise_conv2d_vector", CL12},
            [PMN_OCL_SOFTMAX] = {"softmax", CL12 " -DPMN_ITEMS=1"},
            [PMN_OCL_LAYER_NORM] = {"layer_norm", CL12 " -DPMN_ITEMS=1"},
            PROJECT(" -DPMN_ITEMS=1 -DPMN_EACH=16"),
            ORB_KERNELS,
            SIFT_KERNELS,
            RESAMPLE_KERNELS,
            ELEMENT_KERNELS}},
    {.name = "tile",
        .tiled = true,
        .line_local = 64,
        .element_local = 64,
        .pixel_local = 64,
        .components = 64 * 1,
        .kernels = {TILE_KERNELS}},
    {.name = "tensor",
        .tiled = true,
        .tensor = true,
        .line_local = 64,
        .element_local = 64,
        .pixel_local = 64,
        .components = 64 * 1,
        .kernels = {[PMN_OCL_CONV2D_TENSOR] = {"conv2d_tensor", CL12}, TILE_KERNELS}},
};

/* Added to a kernel's options: how tensors and weights are stored. */
static const char *const storages[PMN_PRECISION_COUNT] = {
    [PMN_PRECISION_FP32] = "", [PMN_PRECISION_FP16] = " -DPMN_STORAGE=16"};

/* Added to a kernel's options: the name of a macro of common.clh. */
static const char *const activations[PMN_ACTIVATION_COUNT] = {
    [PMN_ACTIVATION_NONE] = "",
    [PMN_ACTIVATION_SIGMOID] = " -DPMN_ACTIVATION=PMN_SIGMOID",
    [PMN_ACTIVATION_TANH] = " -DPMN_ACTIVATION=PMN_TANH",
    [PMN_ACTIVATION_SILU] = " -DPMN_ACTIVATION=PMN_SILU",
    [PMN_ACTIVATION_HARD_SWISH] = " -DPMN_ACTIVATION=PMN_HARD_SWISH",
    [PMN_ACTIVATION_GELU] = " -DPMN_ACTIVATION=PMN_GELU",
    [PMN_ACTIVATION_GELU_TANH] = " -DPMN_ACTIVATION=PMN_GELU_TANH",
    [PMN_ACTIVATION_LEAKY_RELU] = " -DPMN_ACTIVATION=PMN_LEAKY_RELU",
    [PMN_ACTIVATION_ELU] = " -DPMN_ACTIVATION=PMN_ELU",
    [PMN_ACTIVATION_SOFTPLUS] = " -DPMN_ACTIVATION=PMN_SOFTPLUS",
    [PMN_ACTIVATION_MISH] = " -DPMN_ACTIVATION=PMN_MISH",
};

const pmn_ocl_family *pmn_ocl_family_find(const char *name, pmn_device_type type) {
  if (name == NULL) name = type == PMN_DEVICE_CPU ? "vector" : "tile";
  for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
    if (strcmp(families[i].name, name) == 0) return &families[i];
  }
  return NULL;
}

static const pmn_ocl_source *source_find(const char *name) {
  for (size_t i = 0; i < pmn_ocl_source_count; i++) {
    if (strcmp(pmn_ocl_sources[i].name, name) == 0) return &pmn_ocl_sources[i];
  }
  return NULL;
}

static const pmn_ocl_source none = {"", "", 0};

/* What stands between common and a kernel's source; nothing is an empty text. */
static const pmn_ocl_source *header_of(const pmn_ocl_family *family, pmn_ocl_kernel_id id) {
  const char *header = family->kernels[id].header;
  return header != NULL ? source_find(header) : &none;
}

/* Empty, too, for a kernel that the family has not. */
static const pmn_ocl_source *source_of(const pmn_ocl_family *family, pmn_ocl_kernel_id id) {
  const char *source = family->kernels[id].source;
  return source != NULL ? source_find(source) : &none;
}

pmn_status pmn_ocl_sources_hash(const pmn_ocl_family *family, pmn_precision precision, char hex[65], pmn_err *err) {
  enum { PARTS = 3, LAST = 1 + PARTS * PMN_OCL_KERNEL_COUNT, COUNT = LAST + 1 };
  const pmn_ocl_source *common = source_find("common");
  const void *parts[COUNT] = {common->text};
  size_t sizes[COUNT] = {common->size + 1};
  for (size_t i = 0; i < PMN_OCL_KERNEL_COUNT; i++) {
    const pmn_ocl_source *header = header_of(family, (pmn_ocl_kernel_id)i);
    const pmn_ocl_source *source = source_of(family, (pmn_ocl_kernel_id)i);
    const char *options = family->kernels[i].options;
    parts[1 + PARTS * i] = header->text;
    sizes[1 + PARTS * i] = header->size + 1;
    parts[2 + PARTS * i] = source->text;
    sizes[2 + PARTS * i] = source->size + 1;
    parts[3 + PARTS * i] = options != NULL ? options : "";
    sizes[3 + PARTS * i] = strlen(parts[3 + PARTS * i]) + 1;
  }
  parts[LAST] = storages[precision];
  sizes[LAST] = strlen(storages[precision]);
  return pmn_sha256_hex(parts, sizes, COUNT, hex, err);
}

/* ------------------------------------------------------------------------------------------------------ cache -- */

/* Common, header and source of a kernel, as the compiler gets them. */
enum { TEXTS = 3 };
typedef struct kernel_text {
  const char *name, *texts[TEXTS];
  size_t sizes[TEXTS];
} kernel_text;

static kernel_text text_of(const pmn_ocl_device *device, pmn_ocl_kernel_id id) {
  const pmn_ocl_source *common = source_find("common"), *header = header_of(device->family, id);
  const pmn_ocl_source *source = source_of(device->family, id);
  return (kernel_text){
      source->name, {common->text, header->text, source->text}, {common->size, header->size, source->size}};
}

/* Where the binary of a kernel is kept; false when there is nowhere. */
static bool cache_path(const pmn_ocl_device *device, const kernel_text *text, const char *options, pmn_buf *path) {
  const pmn_device_info *info = &device->base.info;
  const char *const *t = text->texts;
  const void *parts[] = {CACHE_MAGIC, t[0], t[1], t[2], options, info->name, info->driver};
  size_t sizes[] = {MAGIC_SIZE, text->sizes[0] + 1, text->sizes[1] + 1, text->sizes[2] + 1, strlen(options) + 1,
      strlen(info->name) + 1, strlen(info->driver) + 1};
  char hex[PMN_SHA256_HEX_SIZE], name[PMN_SHA256_HEX_SIZE + 16];
  if (pmn_sha256_hex(parts, sizes, sizeof parts / sizeof parts[0], hex, NULL) != PMN_STATUS_OK) return false;
  snprintf(name, sizeof name, "opencl-%s.bin", hex);
  return pmn_file_cache_path(name, path, NULL) == PMN_STATUS_OK;
}

/* The cached binary, built; NULL if there is none that is whole and that the driver takes. */
static cl_program cache_load(const pmn_ocl_device *device, const char *path, const char *options) {
  cl_program program = NULL;
  char hex[PMN_SHA256_HEX_SIZE];
  pmn_buf file;
  pmn_buf_init(&file, BINARY_MAX);
  if (pmn_file_read(path, &file, NULL) != PMN_STATUS_OK || file.size <= HEAD_SIZE) goto done;
  const void *binary = file.data + HEAD_SIZE;
  size_t size = file.size - HEAD_SIZE;
  if (memcmp(file.data, CACHE_MAGIC, MAGIC_SIZE) != 0 || file.data[HEAD_SIZE - 1] != '\n') goto done;
  if (pmn_sha256_hex(&binary, &size, 1, hex, NULL) != PMN_STATUS_OK) goto done;
  if (memcmp(file.data + MAGIC_SIZE, hex, PMN_SHA256_HEX_SIZE - 1) != 0) goto done;
  const unsigned char *bytes = binary;
  cl_int code, loaded;
  program = clCreateProgramWithBinary(device->context, 1, &device->id, &size, &bytes, &loaded, &code);
  if (program != NULL && (code != CL_SUCCESS || loaded != CL_SUCCESS ||
                             clBuildProgram(program, 1, &device->id, options, NULL, NULL) != CL_SUCCESS)) {
    clReleaseProgram(program);
    program = NULL;
  }
done:
  pmn_buf_reset(&file);
  return program;
}

/* Keeps the binary of a built program. A cache that cannot be written costs the next run time and nothing else. */
static void cache_store(cl_program program, const char *path) {
  size_t size = 0;
  unsigned char *binary = NULL;
  char hex[PMN_SHA256_HEX_SIZE];
  pmn_buf file;
  pmn_buf_init(&file, BINARY_MAX);
  if (clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof size, &size, NULL) != CL_SUCCESS) goto done;
  if (size == 0 || size > BINARY_MAX - HEAD_SIZE - 1) goto done;
  binary = pmn_alloc(size, 1);
  if (binary == NULL) goto done;
  if (clGetProgramInfo(program, CL_PROGRAM_BINARIES, sizeof binary, &binary, NULL) != CL_SUCCESS) goto done;
  const void *part = binary;
  if (pmn_sha256_hex(&part, &size, 1, hex, NULL) != PMN_STATUS_OK) goto done;
  if (pmn_buf_printf(&file, NULL, "%s%s\n", CACHE_MAGIC, hex) != PMN_STATUS_OK) goto done;
  if (pmn_buf_append(&file, binary, size, NULL) != PMN_STATUS_OK) goto done;
  if (pmn_file_write_cached(path, file.data, file.size, NULL) != PMN_STATUS_OK) goto done;
done:
  pmn_buf_reset(&file);
  pmn_free(binary);
}

/* ------------------------------------------------------------------------------------------------------ build -- */

/* "kernel K does not build with OPTIONS: the first line of the log that speaks of an error". */
static pmn_status build_failed(const pmn_ocl_device *device, cl_program program, const char *name, const char *options,
    cl_int code, pmn_err *err) {
  size_t size = 0;
  char *log = NULL;
  if (clGetProgramBuildInfo(program, device->id, CL_PROGRAM_BUILD_LOG, 0, NULL, &size) == CL_SUCCESS) {
    log = pmn_calloc(size + 1, 1);
  }
  if (log != NULL) clGetProgramBuildInfo(program, device->id, CL_PROGRAM_BUILD_LOG, size, log, NULL);
  const char *excerpt = log == NULL || log[0] == '\0' ? "the driver gives no log" : log;
  const char *error = strstr(excerpt, "error");
  if (error != NULL) {
    while (error > excerpt && error[-1] != '\n') error--;
    excerpt = error;
  }
  pmn_status st = pmn_err_set(err, PMN_STATUS_DEVICE, code, "%s: kernel %s does not build (%s; %s): %.240s",
      device->base.info.name, name, pmn_ocl_error_name(code), options, excerpt);
  pmn_free(log);
  return st;
}

/* A program of the device, known by its kernel and its options. */
struct pmn_ocl_built {
  struct pmn_ocl_built *next;
  pmn_ocl_kernel_id id;
  cl_program program;
  char options[640];
};

static pmn_status program_build(
    pmn_ocl_device *device, pmn_ocl_kernel_id id, const char *options, cl_program *result, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  kernel_text text = text_of(device, id);
  cl_program program = NULL;
  cl_int code;
  pmn_buf path;
  pmn_buf_init(&path, 4096);
  bool cache = cache_path(device, &text, options, &path);
  if (cache) *result = cache_load(device, path.data, options);
  if (*result != NULL) goto done;
  program = clCreateProgramWithSource(device->context, TEXTS, text.texts, text.sizes, &code);
  PMN_OCL_TRY(device, code, "creating a program", err);
  code = clBuildProgram(program, 1, &device->id, options, NULL, NULL);
  if (code != CL_SUCCESS) PMN_TRY(build_failed(device, program, text.name, options, code, err));
  if (cache && !device->trying) cache_store(program, path.data);
  *result = program;
  program = NULL;
done:
  if (program != NULL) clReleaseProgram(program);
  pmn_buf_reset(&path);
  return st;
}

/* The program of a kernel with these options, built before or now. */
static pmn_status program_find(
    pmn_ocl_device *device, pmn_ocl_kernel_id id, const char *options, cl_program *program, pmn_err *err) {
  struct pmn_ocl_built *built;
  for (built = device->built; built != NULL; built = built->next) {
    *program = built->program;
    if (built->id == id && strcmp(built->options, options) == 0) return PMN_STATUS_OK;
  }
  built = pmn_calloc(1, sizeof *built);
  if (built == NULL) return pmn_err_memory(err, sizeof *built, "a program");
  pmn_status st = program_build(device, id, options, &built->program, err);
  if (st != PMN_STATUS_OK) {
    pmn_free(built);
    return st;
  }
  built->id = id;
  snprintf(built->options, sizeof built->options, "%s", options);
  built->next = device->built;
  device->built = built;
  *program = built->program;
  return PMN_STATUS_OK;
}

void pmn_ocl_programs_reset(pmn_ocl_device *device) {
  while (device->built != NULL) {
    struct pmn_ocl_built *built = device->built;
    device->built = built->next;
    clReleaseProgram(built->program);
    pmn_free(built);
  }
}

pmn_status pmn_ocl_kernel_create(pmn_ocl_device *device, pmn_ocl_kernel_id id, pmn_activation activation,
    const char *tunables, cl_kernel *kernel, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  cl_program program = NULL;
  cl_int code;
  char name[64], options[640];
  bool rounded = device->family->kernels[id].rounded && device->rounds;
  snprintf(options, sizeof options, "%s%s%s%s%s", device->family->kernels[id].options, tunables != NULL ? tunables : "",
      rounded ? " -cl-fp32-correctly-rounded-divide-sqrt" : "", storages[device->base.precision],
      activations[activation]);
  PMN_TRY(program_find(device, id, options, &program, err));
  snprintf(name, sizeof name, "pmn_%s", device->family->kernels[id].source);
  *kernel = clCreateKernel(program, name, &code);
  PMN_OCL_TRY(device, code, name, err);
done:
  return st;
}
