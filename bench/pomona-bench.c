/* pomona-bench: parts of Pomona alone, timed in the process that runs them; one JSON line on stdout.
 *
 * `network` is the counterpart of bench/peers/ort_network.py: the network from a batch of bytes in memory to features
 * in memory, again and again. Bytes, not normalised floats: reading them in is part of Pomona's network, and is charged
 * to it. `layers` tells where its time goes. `image` is that of bench/peers/pillow_image.py: decoding and resampling
 * from bytes in memory on one core. */
#include "pmn_backend.h"
#include "pmn_buf.h"
#include "pmn_clock.h"
#include "pmn_file.h"
#include "pmn_image.h"
#include "pmn_mem.h"
#include "pmn_model.h"
#include "pmn_pool.h"
#include "pmn_text.h"

#include "pomona_counters.h"
#include "pomona_peak.h"

#include <getopt.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_USAGE = 2, FILE_BYTES_MAX = 256 * 1024 * 1024 };

typedef struct bench_options {
  const char *features, *weights, *preprocess, *backend, *isa, *filter;
  pmn_precision precision;
  int32_t threads, batch, repeats;
  int32_t size; /* 0: the network's own, or 224 of `image` */
  double seconds;
  bool table; /* of `layers`, instead of JSON */
  char **files;
  int32_t file_count;
} bench_options;

/* ------------------------------------------------------------------------------------------------ measuring -- */

/* Core-seconds since boot that were neither idle nor ours, stolen ones included; negative where the system does not
 * tell. The load average is no judge: it lags by a minute. */
static double others_seconds(void) {
  long long user, nice, system, idle, iowait, irq, softirq, steal;
  struct timespec own;
  FILE *file = fopen("/proc/stat", "re");
  if (file == NULL) return -1;
  int found = fscanf(file, "cpu %lld %lld %lld %lld %lld %lld %lld %lld", &user, &nice, &system, &idle, &iowait, &irq,
      &softirq, &steal);
  fclose(file);
  if (found != 8 || clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own) != 0) return -1;
  double busy = (double)(user + nice + system + irq + softirq + steal) / (double)sysconf(_SC_CLK_TCK);
  return busy - (double)own.tv_sec - 1e-9 * (double)own.tv_nsec;
}

/* Cores that other processes used on average since `before` and `start` were taken; null when it cannot be known. */
static json_t *others_cores(double before, double start) {
  double now = others_seconds(), cores = (now - before) / (pmn_clock_seconds() - start);
  if (before < 0 || now < 0) return json_null();
  return json_real(cores > 0 ? cores : 0);
}

static int compare_doubles(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Sorts the values. */
static double median(double *values, size_t count) {
  qsort(values, count, sizeof *values, compare_doubles);
  return 0.5 * (values[(count - 1) / 2] + values[count / 2]);
}

/* Prints and frees `json`. */
static pmn_status print_line(json_t *json, pmn_err *err) {
  if (json == NULL) return pmn_err_memory(err, 1, "the figures");
  bool good = json_dumpf(json, stdout, JSON_REAL_PRECISION(6)) == 0 && putchar('\n') != EOF && fflush(stdout) == 0;
  json_decref(json);
  return good ? PMN_STATUS_OK : pmn_err_set(err, PMN_STATUS_WRITE, 0, "cannot write the figures to standard output");
}

/* -------------------------------------------------------------------------------------------------- network -- */

typedef struct network_run {
  pmn_network *network;
  uint8_t *pixels; /* [batch, h, w, 3] */
  float *features; /* [batch, width] */
  int32_t batch;
  pomona_counters counters;
} network_run;

/* Pictures per second of as many batches as begin before the time is up, and at least one. */
static pmn_status run_for(const network_run *run, double seconds, double *rate, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  double start = pmn_clock_seconds(), elapsed = 0;
  int64_t pictures = 0;
  while (pictures == 0 || elapsed < seconds) {
    PMN_TRY(pmn_network_run(run->network, run->pixels, run->batch, run->features, err));
    pictures += run->batch;
    elapsed = pmn_clock_seconds() - start;
  }
  *rate = (double)pictures / elapsed;
done:
  return st;
}

static void fill_random(uint8_t *bytes, size_t size) {
  uint64_t state = 1;
  for (size_t i = 0; i < size; i++) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    bytes[i] = (uint8_t)(state >> 56);
  }
}

/* A broken network must not pass for a fast one. */
static pmn_status check_features(const float *features, size_t count, pmn_err *err) {
  double low = INFINITY, high = -INFINITY;
  for (size_t i = 0; i < count; i++) {
    if (!isfinite(features[i])) low = high = 0;
    if ((double)features[i] < low) low = (double)features[i];
    if ((double)features[i] > high) high = (double)features[i];
  }
  if (low < high) return PMN_STATUS_OK;
  return pmn_err_set(err, PMN_STATUS_DEVICE, 0, "the features are not numbers worth timing");
}

/* What a picture took since `before`: a number, or null where there is no such counter. */
static json_t *counts_per_picture(const network_run *run, const double before[POMONA_COUNTERS], double pictures) {
  double now[POMONA_COUNTERS];
  json_t *counts = json_object();
  pomona_counters_read(&run->counters, now);
  for (int i = 0; i < POMONA_COUNTERS; i++) {
    double count = (now[i] - before[i]) / pictures;
    json_object_set_new(counts, pomona_counter_names[i], isnan(count) ? json_null() : json_real(count));
  }
  return counts;
}

static pmn_status time_network(
    const bench_options *o, const network_run *run, size_t width, const pmn_device_info *info, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  double ignored, before, start, counts[POMONA_COUNTERS], pictures = 0;
  double *rates = pmn_alloc((size_t)o->repeats, sizeof *rates);
  json_t *list = json_array();
  if (rates == NULL || list == NULL) {
    st = pmn_err_memory(err, (size_t)o->repeats * sizeof *rates, "the figures");
    goto done;
  }
  PMN_TRY(run_for(run, o->seconds, &ignored, err));
  PMN_TRY(check_features(run->features, width * (size_t)run->batch, err));
  pomona_counters_read(&run->counters, counts);
  before = others_seconds();
  start = pmn_clock_seconds();
  for (int32_t i = 0; i < o->repeats; i++) {
    double begun = pmn_clock_seconds();
    PMN_TRY(run_for(run, o->seconds, &rates[i], err));
    pictures += rates[i] * (pmn_clock_seconds() - begun);
    json_array_append_new(list, json_real(rates[i]));
  }
  json_t *others = others_cores(before, start), *per_picture = counts_per_picture(run, counts, pictures);
  double middle = median(rates, (size_t)o->repeats);
  PMN_TRY(print_line(
      json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:f, s:O, s:f, s:f, s:o, s:o, s:s, s:i}", "what", "pomona_network",
          "model", o->features, "backend", info->backend, "kernels", info->driver, "precision",
          pmn_precision_name(o->precision), "threads", o->threads, "batch", o->batch, "seconds", o->seconds, "img_s",
          list, "img_s_median", middle, "img_s_max", rates[o->repeats - 1], "others_cores", others, "per_picture",
          per_picture, "device", info->name, "cores", pmn_pool_processors()),
      err));
done:
  json_decref(list);
  pmn_free(rates);
  return st;
}

/* ---------------------------------------------------------------------------------------------------- layers -- */

/* Multiply-adds of an operation for one picture. */
static double multiply_adds(const pmn_program *program, const pmn_op *op) {
  const pmn_tensor *in = &program->tensors[op->input], *out = &program->tensors[op->output];
  double window = (double)op->kernel_h * op->kernel_w;
  if (op->kind == PMN_OP_CONV2D) return window * (in->c / op->groups) * (double)pmn_tensor_size(out);
  if (op->kind == PMN_OP_DEPTHWISE_CONV2D) return window * (double)pmn_tensor_size(out);
  return 0;
}

static const char *kind_name(pmn_op_kind kind) {
  static const char *const names[PMN_OP_KIND_COUNT] = {"conv2d", "depthwise_conv2d", "global_average_pool", "max_pool",
      "average_pool", "multiply", "copy", "softmax", "lrn", "layer_norm", "resize"};
  return names[kind];
}

/* {"avx2": GFLOP/s ...} of one core, of all instruction sets that it has. */
static json_t *measure_peaks(void) {
  json_t *peaks = json_object();
  const pomona_peak *peak;
  for (int i = 0; (peak = pomona_peak_at(i)) != NULL; i++) {
    if (peak->runs()) json_object_set_new(peaks, peak->isa, json_real(pomona_peak_gflops(peak)));
  }
  return peaks;
}

/* That of the kernels that run, which are called "avx2 kernels"; 0 where it is not known. */
static double peak_of_kernels(const json_t *peaks, const char *kernels) {
  char isa[64];
  snprintf(isa, sizeof isa, "%.*s", (int)strcspn(kernels, " "), kernels);
  return json_number_value(json_object_get(peaks, isa));
}

/* Operations that run as one, with `seconds` a picture and core. Adds to `list` what they are, their milliseconds and
 * their GFLOP/s; the window is the largest. */
static void append_layers(
    json_t *list, const pmn_program *program, size_t first, size_t last, double seconds, double peak) {
  const pmn_tensor *in = &program->tensors[program->ops[first].input];
  const pmn_tensor *out = &program->tensors[program->ops[last].output];
  const pmn_op *widest = &program->ops[first];
  double multiplies = 0;
  json_t *names = json_array();
  for (const pmn_op *op = &program->ops[first]; op <= &program->ops[last]; op++) {
    multiplies += multiply_adds(program, op);
    json_array_append_new(names, json_string(op->name));
    if (op->kernel_h * op->kernel_w > widest->kernel_h * widest->kernel_w) widest = op;
  }
  double gflops = 2e-9 * multiplies / seconds;
  json_array_append_new(
      list, json_pack("{s:o, s:s, s:[iii], s:[iii], s:[ii], s:i, s:i, s:f, s:f, s:f, s:f}", "layers", names, "kind",
                kind_name(widest->kind), "in", in->h, in->w, in->c, "out", out->h, out->w, out->c, "kernel",
                widest->kernel_h, widest->kernel_w, "stride", widest->stride_h, "groups", widest->groups, "mmac",
                multiplies * 1e-6, "ms", 1e3 * seconds, "gflops", gflops, "of_peak", peak > 0 ? gflops / peak : 0.0));
}

/* "112x112x32" */
static const char *shape_text(const json_t *shape, char text[48]) {
  int size[3];
  for (size_t i = 0; i < 3; i++) size[i] = (int)json_integer_value(json_array_get(shape, i));
  snprintf(text, 48, "%dx%dx%d", size[0], size[1], size[2]);
  return text;
}

static void print_layer(const json_t *layer) {
  const json_t *names = json_object_get(layer, "layers"), *kernel = json_object_get(layer, "kernel");
  size_t count = json_array_size(names);
  char name[96], window[32], in[48], out[48];
  snprintf(name, sizeof name, "%s%s%s", json_string_value(json_array_get(names, 0)), count > 1 ? " .. " : "",
      count > 1 ? json_string_value(json_array_get(names, count - 1)) : "");
  snprintf(window, sizeof window, "%dx%d/%d", (int)json_integer_value(json_array_get(kernel, 0)),
      (int)json_integer_value(json_array_get(kernel, 1)), (int)json_integer_value(json_object_get(layer, "stride")));
  printf("%-44s %-20s %-8s %12s %12s %8.1f %8.3f %8.1f %6.0f %%\n", name,
      json_string_value(json_object_get(layer, "kind")), window, shape_text(json_object_get(layer, "in"), in),
      shape_text(json_object_get(layer, "out"), out), json_number_value(json_object_get(layer, "mmac")),
      json_number_value(json_object_get(layer, "ms")), json_number_value(json_object_get(layer, "gflops")),
      100 * json_number_value(json_object_get(layer, "of_peak")));
}

/* Prints and frees what `time_layers` found, for people. */
static pmn_status print_table(json_t *json, pmn_err *err) {
  const json_t *layers = json_object_get(json, "layers"), *peak;
  const char *isa;
  double mmac = 0, ms = 0, best = json_number_value(json_object_get(json, "peak_gflops"));
  double clock = json_number_value(json_object_get(json, "clock_ghz"));
  if (json == NULL) return pmn_err_memory(err, 1, "the figures");
  printf("%s, %s, threads %d, batch %d: %.1f img/s; others' cores %.3f\n",
      json_string_value(json_object_get(json, "model")), json_string_value(json_object_get(json, "kernels")),
      (int)json_integer_value(json_object_get(json, "threads")),
      (int)json_integer_value(json_object_get(json, "batch")), json_number_value(json_object_get(json, "img_s")),
      json_number_value(json_object_get(json, "others_cores")));
  printf("peak of a core at %.2f GHz:", clock);
  json_object_foreach(json_object_get(json, "peaks_gflops"), isa, peak) {
    printf(" %s %.1f GFLOP/s (%.1f a cycle)", isa, json_number_value(peak), json_number_value(peak) / clock);
  }
  printf("\n\n%-44s %-20s %-8s %12s %12s %8s %8s %8s %8s\n", "layers", "kind", "window", "in", "out", "Mmac", "ms",
      "GFLOP/s", "of peak");
  for (size_t i = 0; i < json_array_size(layers); i++) {
    const json_t *layer = json_array_get(layers, i);
    print_layer(layer);
    mmac += json_number_value(json_object_get(layer, "mmac"));
    ms += json_number_value(json_object_get(layer, "ms"));
  }
  printf("%-44s %-20s %-8s %12s %12s %8.1f %8.3f %8.1f %6.0f %%\n", "all", "", "", "", "", mmac, ms, 2 * mmac / ms,
      best > 0 ? 200 * mmac / ms / best : 0.0);
  json_decref(json);
  return fflush(stdout) == 0 ? PMN_STATUS_OK
                             : pmn_err_set(err, PMN_STATUS_WRITE, 0, "cannot write the table to standard output");
}

/* Where the time goes: for every operation milliseconds a picture and core, and GFLOP/s against the peak of a core.
 * Operations that run as one stand together. */
static pmn_status time_layers(const bench_options *o, const network_run *run, const pmn_program *program,
    const pmn_device_info *info, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t count = (size_t)program->op_count, first = 0;
  double rate, before, start, *seconds = pmn_calloc(2 * count, sizeof *seconds), *warm = seconds + count;
  json_t *list = json_array(), *peaks = measure_peaks();
  if (seconds == NULL || list == NULL || peaks == NULL) {
    st = pmn_err_memory(err, 2 * count * sizeof *seconds, "the figures");
    goto done;
  }
  PMN_TRY(run_for(run, o->seconds, &rate, err));
  if (!pmn_network_times(run->network, warm)) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "backend %s does not time its layers", info->backend);
  }
  before = others_seconds();
  start = pmn_clock_seconds();
  PMN_TRY(run_for(run, o->seconds, &rate, err));
  double pictures = rate * (pmn_clock_seconds() - start), peak = peak_of_kernels(peaks, info->driver);
  json_t *others = others_cores(before, start);
  pmn_network_times(run->network, seconds);
  for (size_t i = 0; i < count; i++) {
    if (seconds[i] <= 0) continue;
    append_layers(list, program, first, i, (seconds[i] - warm[i]) / pictures, peak);
    first = i + 1;
  }
  json_t *figures =
      json_pack("{s:s, s:s, s:s, s:i, s:i, s:f, s:f, s:f, s:O, s:o, s:O}", "what", "pomona_layers", "model",
          o->features, "kernels", info->driver, "threads", o->threads, "batch", o->batch, "img_s", rate, "clock_ghz",
          pomona_peak_clock(), "peak_gflops", peak, "peaks_gflops", peaks, "others_cores", others, "layers", list);
  PMN_TRY(o->table ? print_table(figures, err) : print_line(figures, err));
done:
  json_decref(list);
  json_decref(peaks);
  pmn_free(seconds);
  return st;
}

static pmn_status bench_network(const bench_options *o, bool layers, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_model *model = NULL;
  pmn_device *device = NULL;
  network_run run = {.batch = o->batch};
  pomona_counters_open(&run.counters); /* before the backend's threads begin */
  const pmn_backend *backend = pmn_backend_find(o->backend);
  if (backend == NULL) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "no backend is called \"%s\"", o->backend);
  pmn_model_options model_options = {.network = o->features,
      .weights = o->weights,
      .width = o->size,
      .height = o->size,
      .preprocess = o->preprocess,
      .pooling = PMN_POOLING_AVERAGE};
  pmn_device_options device_options = {.index = -1, .threads = o->threads, .isa = o->isa, .precision = o->precision};
  PMN_TRY(pmn_model_create(&model_options, &model, err));
  PMN_TRY(pmn_device_open(backend, &device_options, &device, err));
  PMN_TRY(pmn_network_create(device, pmn_model_program(model), o->batch, &run.network, err));
  const pmn_preprocess *prepare = pmn_model_preprocess(model);
  size_t batch = (size_t)o->batch, width = (size_t)pmn_model_width(model);
  size_t picture = (size_t)prepare->width * (size_t)prepare->height * 3;
  run.pixels = pmn_alloc_aligned(batch, picture);
  run.features = pmn_alloc_aligned(batch * width, sizeof *run.features);
  if (run.pixels == NULL || run.features == NULL) {
    st = pmn_err_memory(err, batch * picture, "a batch of pictures");
    goto done;
  }
  fill_random(run.pixels, batch * picture);
  if (layers)
    PMN_TRY(time_layers(o, &run, pmn_model_program(model), &device->info, err));
  else
    PMN_TRY(time_network(o, &run, width, &device->info, err));
done:
  pomona_counters_close(&run.counters);
  pmn_free(run.features);
  pmn_free(run.pixels);
  pmn_network_destroy(run.network);
  pmn_device_close(device);
  pmn_model_destroy(model);
  return st;
}

/* ---------------------------------------------------------------------------------------------------- image -- */

typedef struct image_run {
  pmn_decoder *decoder;
  pmn_resampler *resampler;
  uint8_t *out;
  char **names;   /* [count] of the files */
  pmn_buf *files; /* [count] their bytes: reading is not measured */
  size_t count;
} image_run;

/* Times every picture once: microseconds into decode[i] and resample[i]. */
static pmn_status run_images(const image_run *run, double *decode, double *resample, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  for (size_t i = 0; i < run->count; i++) {
    pmn_image image;
    pmn_err why = PMN_ERR_INIT;
    double start = pmn_clock_seconds();
    st = pmn_decoder_run(run->decoder, run->files[i].data, run->files[i].size, &image, &why);
    if (st != PMN_STATUS_OK) PMN_FAIL(err, st, "%s: %s", run->names[i], why.message);
    double middle = pmn_clock_seconds();
    PMN_TRY(pmn_resampler_run(run->resampler, &image, run->out, err));
    decode[i] = 1e6 * (middle - start);
    resample[i] = 1e6 * (pmn_clock_seconds() - middle);
  }
done:
  return st;
}

static pmn_status time_images(const bench_options *o, const image_run *run, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t samples = run->count * (size_t)o->repeats;
  double *decode = pmn_alloc(samples, 3 * sizeof *decode), *resample, *both, before, start;
  if (decode == NULL) return pmn_err_memory(err, samples * 3 * sizeof *decode, "the figures");
  resample = decode + samples;
  both = resample + samples;
  PMN_TRY(run_images(run, decode, resample, err));
  before = others_seconds();
  start = pmn_clock_seconds();
  for (size_t done = 0; done < samples; done += run->count) {
    PMN_TRY(run_images(run, decode + done, resample + done, err));
  }
  json_t *others = others_cores(before, start);
  for (size_t i = 0; i < samples; i++) both[i] = decode[i] + resample[i];
  PMN_TRY(print_line(json_pack("{s:s, s:i, s:s, s:I, s:i, s:f, s:f, s:f, s:o, s:i}", "what", "pomona_image", "size",
                         o->size, "filter", o->filter, "pictures", (json_int_t)run->count, "repeats", o->repeats,
                         "decode_us", median(decode, samples), "resample_us", median(resample, samples), "total_us",
                         median(both, samples), "others_cores", others, "cores", pmn_pool_processors()),
      err));
done:
  pmn_free(decode);
  return st;
}

static pmn_status bench_image(const bench_options *o, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_filter filter;
  const pmn_image_limits limits = PMN_IMAGE_LIMITS_DEFAULT;
  image_run run = {.names = o->files, .count = (size_t)o->file_count};
  if (!pmn_filter_find(o->filter, &filter)) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "no filter is called \"%s\"; there are bicubic, bilinear, nearest", o->filter);
  }
  if (run.count == 0) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "name the pictures to decode");
  run.files = pmn_calloc(run.count, sizeof *run.files);
  run.out = pmn_alloc_aligned((size_t)o->size * (size_t)o->size, 3);
  if (run.files == NULL || run.out == NULL) {
    st = pmn_err_memory(err, run.count * sizeof *run.files, "pictures");
    goto done;
  }
  for (size_t i = 0; i < run.count; i++) {
    pmn_buf_init(&run.files[i], FILE_BYTES_MAX);
    PMN_TRY(pmn_file_read(o->files[i], &run.files[i], err));
  }
  PMN_TRY(pmn_decoder_create(&limits, &run.decoder, err));
  PMN_TRY(pmn_resampler_create(filter, o->size, o->size, &run.resampler, err));
  PMN_TRY(time_images(o, &run, err));
done:
  for (size_t i = 0; run.files != NULL && i < run.count; i++) pmn_buf_reset(&run.files[i]);
  pmn_free(run.files);
  pmn_free(run.out);
  pmn_resampler_destroy(run.resampler);
  pmn_decoder_destroy(run.decoder);
  return st;
}

/* ----------------------------------------------------------------------------------------------------- main -- */

static const char help[] =
    "Usage: pomona-bench network --features NAME [OPTION]...\n"
    "       pomona-bench layers --features NAME [OPTION]...\n"
    "       pomona-bench image [OPTION]... FILE...\n"
    "Times a part of Pomona alone; one JSON line on standard output.\n\n"
    "network:\n"
    "  --features NAME   a network of the zoo (default efficientnet_lite0) or an .onnx file\n"
    "  --weights FILE    safetensors; every network but the default needs them (pomona-seeded-weights)\n"
    "  --preprocess NAME for ONNX files that do not say\n"
    "  --size N          width and height of the pictures (default: the network's own)\n"
    "  --backend NAME    cpu (default), opencl or ref\n"
    "  --isa NAME        kernels to use instead of the best: cpu baseline, avx2, avx512, or avx512bf16, amx for bf16;\n"
    "                    opencl vector, tile\n"
    "  --precision HOW   fp32 (default), bf16 or fp16\n"
    "  --threads N       default: all processors\n"
    "  --batch N         pictures a call (default 16)\n"
    "  --seconds S       length of one repeat and of the warm-up (default 3)\n"
    "  --repeats N       default 5\n\n"
    "layers, with the options of network but --repeats: milliseconds a picture and core, GFLOP/s and share of the\n"
    "measured peak of a core\n"
    "  --table           for people, instead of JSON\n\n"
    "image, on one core, medians in microseconds a picture:\n"
    "  --size N          width and height to resample to (default 224)\n"
    "  --filter NAME     bicubic (default), bilinear or nearest\n"
    "  --repeats N       passes over the files after the warm-up (default 5)\n";

static int usage(const char *what, const char *value) {
  fprintf(stderr, "pomona-bench: %s %s\nTry 'pomona-bench --help'.\n", what, value);
  return EXIT_USAGE;
}

static bool whole_number(const char *text, int32_t max, int32_t *value) {
  int64_t wide;
  if (!pmn_text_int64(text, 1, max, &wide)) return false;
  *value = (int32_t)wide;
  return true;
}

/* True when the value of option `letter` makes sense. */
static bool take_option(bench_options *o, int letter, const char *value) {
  switch (letter) {
  case 'f':
    o->features = value;
    return true;
  case 'w':
    o->weights = value;
    return true;
  case 'p':
    o->preprocess = value;
    return true;
  case 'b':
    o->backend = value;
    return true;
  case 'i':
    o->isa = value;
    return true;
  case 'P':
    return pmn_precision_find(value, &o->precision);
  case 'r':
    o->filter = value;
    return true;
  case 't':
    return whole_number(value, 1024, &o->threads);
  case 'n':
    return whole_number(value, 65536, &o->batch);
  case 'R':
    return whole_number(value, 100000, &o->repeats);
  case 's':
    return whole_number(value, 16384, &o->size);
  case 'T':
    o->table = true;
    return true;
  case 'S':
    return pmn_text_double(value, &o->seconds) && o->seconds > 0;
  default:
    return false;
  }
}

int main(int argc, char **argv) {
  static const struct option names[] = {{"features", 1, NULL, 'f'}, {"weights", 1, NULL, 'w'},
      {"preprocess", 1, NULL, 'p'}, {"backend", 1, NULL, 'b'}, {"isa", 1, NULL, 'i'}, {"precision", 1, NULL, 'P'},
      {"filter", 1, NULL, 'r'}, {"threads", 1, NULL, 't'}, {"batch", 1, NULL, 'n'}, {"repeats", 1, NULL, 'R'},
      {"size", 1, NULL, 's'}, {"seconds", 1, NULL, 'S'}, {"table", 0, NULL, 'T'}, {"help", 0, NULL, 'h'},
      {NULL, 0, NULL, 0}};
  bench_options o = {.features = "efficientnet_lite0",
      .backend = "cpu",
      .filter = "bicubic",
      .threads = pmn_pool_processors(),
      .batch = 16,
      .repeats = 5,
      .seconds = 3};
  int letter;
  opterr = 0;
  while ((letter = getopt_long(argc, argv, "h", names, NULL)) != -1) {
    if (letter == 'h') return fputs(help, stdout) < 0;
    if (letter == '?') return usage("what is", argv[optind - 1]);
    if (!take_option(&o, letter, optarg)) return usage("this value makes no sense:", optarg);
  }
  if (optind == argc) return usage("name what to time:", "network, layers or image");
  const char *command = argv[optind];
  o.files = argv + optind + 1;
  o.file_count = argc - optind - 1;
  bool layers = strcmp(command, "layers") == 0, network = layers || strcmp(command, "network") == 0;
  if (!network && strcmp(command, "image") != 0) return usage("there is no command", command);
  if (network && o.file_count > 0) return usage("a network takes no files:", o.files[0]);
  if (!network && o.size == 0) o.size = 224;
  pmn_err err = PMN_ERR_INIT;
  if ((network ? bench_network(&o, layers, &err) : bench_image(&o, &err)) == PMN_STATUS_OK) return 0;
  fprintf(stderr, "pomona-bench: %s\n", err.message);
  return 1;
}
