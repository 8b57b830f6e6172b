/* seeded_weights.c - see seeded_weights.h. Which tensors a network has is asked of the zoo; the golden files hold what
 * Keras says of that. */
#include "seeded_weights.h"

#include "pmn_mem.h"
#include "pmn_model.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const uint64_t golden_ratio = 0x9e3779b97f4a7c15u;

static uint64_t fnv1a_64(const char *text) {
  uint64_t h = 0xcbf29ce484222325u;
  for (; *text != '\0'; text++) h = (h ^ (unsigned char)*text) * 0x100000001b3u;
  return h;
}

static uint64_t splitmix64(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

static bool ends_with(const char *text, const char *end) {
  size_t size = strlen(text), end_size = strlen(end);
  return size >= end_size && strcmp(text + size - end_size, end) == 0;
}

static void choose_range(const pmn_tensor_spec *spec, double *low, double *high) {
  static const struct {
    const char *end;
    double low, high;
  } ranges[] = {{"_3_bn/gamma", 0.2, 0.3}, {"/gamma", 0.8, 1.2}, {"/beta", -0.3, 0.3}, {"/moving_mean", -0.3, 0.3},
      {"/moving_variance", 0.5, 1.5}, {"/bias", -0.1, 0.1}};
  for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
    if (!ends_with(spec->name, ranges[i].end)) continue;
    *low = ranges[i].low;
    *high = ranges[i].high;
    return;
  }
  int64_t fan_in = 1;
  for (int32_t i = 0; i < spec->rank - (ends_with(spec->name, "/depthwise_kernel") ? 2 : 1); i++) {
    fan_in *= spec->shape[i];
  }
  *high = sqrt(6.0 / (double)fan_in);
  bool reads_bytes = strcmp(spec->name, "conv1_conv/kernel") == 0 || strcmp(spec->name, "block1_conv1/kernel") == 0;
  if (reads_bytes) *high /= 16.0;
  *low = -*high;
}

static size_t spec_count(const pmn_tensor_spec *spec) {
  size_t count = 1;
  for (int32_t i = 0; i < spec->rank; i++) count *= (size_t)spec->shape[i];
  return count;
}

static void write_values(FILE *file, const pmn_tensor_spec *spec) {
  enum { BLOCK = 4096 };
  float values[BLOCK];
  double low, high;
  uint64_t state = fnv1a_64(spec->name);
  choose_range(spec, &low, &high);
  for (size_t left = spec_count(spec); left > 0;) {
    size_t block = left < BLOCK ? left : BLOCK;
    for (size_t i = 0; i < block; i++) {
      state += golden_ratio;
      double u = (double)(splitmix64(state) >> 40) / 16777216.0;
      values[i] = (float)(low + (high - low) * u);
    }
    fwrite(values, sizeof *values, block, file);
    left -= block;
  }
}

static void write_header(
    FILE *file, const pmn_tensor_spec *specs, int32_t count, const char *network, const char *framework) {
  size_t offset = 0;
  const char *separator = "";
  fputc('{', file);
  if (framework != NULL) {
    fprintf(file, "\"__metadata__\":{\"pomona.network\":\"%s\",\"pomona.framework\":\"%s\"}", network, framework);
    separator = ",";
  }
  for (int32_t i = 0; i < count; i++) {
    size_t size = spec_count(&specs[i]) * sizeof(float);
    fprintf(file, "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[", separator, specs[i].name);
    for (int32_t d = 0; d < specs[i].rank; d++) {
      fprintf(file, "%s%lld", d > 0 ? "," : "", (long long)specs[i].shape[d]);
    }
    fprintf(file, "],\"data_offsets\":[%zu,%zu]}", offset, offset + size);
    offset += size;
    separator = ",";
  }
  fputc('}', file);
}

int seeded_weights_write(const char *path, const char *network, const char *framework, bool classifier) {
  const pmn_architecture *architecture = pmn_architecture_find(network);
  pmn_tensor_spec *specs = NULL;
  int32_t count = 0;
  bool torch = framework != NULL && strcmp(framework, "torch") == 0;
  if (architecture == NULL ||
      pmn_architecture_tensors(architecture, torch, classifier, &specs, &count, NULL) != PMN_STATUS_OK) {
    errno = EINVAL;
    return -1;
  }
  FILE *file = fopen(path, "wb");
  if (file == NULL) {
    pmn_free(specs);
    return -1;
  }
  fwrite("\0\0\0\0\0\0\0\0", 1, 8, file);
  write_header(file, specs, count, network, framework);
  uint64_t length = (uint64_t)ftell(file) - 8;
  for (int32_t i = 0; i < count; i++) write_values(file, &specs[i]);
  rewind(file);
  for (int i = 0; i < 8; i++) fputc((int)(length >> (8 * i) & 255), file);
  bool good = ferror(file) == 0;
  good = fclose(file) == 0 && good;
  pmn_free(specs);
  return good ? 0 : -1;
}

int seeded_mobilenet_v2_write(const char *path) {
  return seeded_weights_write(path, "mobilenet_v2", NULL, true);
}

void seeded_picture(int index, int width, int height, uint8_t *pixels) {
  uint64_t state = (uint64_t)index;
  for (int at = 0; at < width * height * 3; at++) {
    int x = at / 3 % width, y = at / 3 / width, c = at % 3;
    bool noise = x >= width / 4 && x < width - width / 4 && y >= height / 4 && y < height - height / 4;
    state += golden_ratio;
    pixels[at] = (uint8_t)(noise ? (int)(splitmix64(state) >> 56)
                                 : (3 * (c + 1) * x + 2 * (index + 2) * y + 50 * c + 37 * index) % 256);
  }
}
