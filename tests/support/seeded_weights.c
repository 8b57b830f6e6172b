/* seeded_weights.c - see seeded_weights.h. */
#include "seeded_weights.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Two passes over the same list of tensors: the header, then the data. */
typedef struct writer {
  FILE *file;
  int writes_data;
  size_t offset;
  const char *separator;
} writer;

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

static void write_values(FILE *file, const char *name, size_t count, double low, double high) {
  uint64_t state = fnv1a_64(name);
  for (size_t i = 0; i < count; i++) {
    state += 0x9e3779b97f4a7c15u;
    double u = (double)(splitmix64(state) >> 40) / 16777216.0;
    float value = (float)(low + (high - low) * u);
    fwrite(&value, sizeof value, 1, file);
  }
}

static void put(writer *w, const char *layer, const char *part, int rank, const int *shape, double low, double high) {
  char name[128];
  size_t count = 1;
  snprintf(name, sizeof name, "%s/%s", layer, part);
  for (int i = 0; i < rank; i++) count *= (size_t)shape[i];
  if (w->writes_data) {
    write_values(w->file, name, count, low, high);
    return;
  }
  fprintf(w->file, "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[", w->separator, name);
  for (int i = 0; i < rank; i++) fprintf(w->file, "%s%d", i > 0 ? "," : "", shape[i]);
  fprintf(w->file, "],\"data_offsets\":[%zu,%zu]}", w->offset, w->offset + 4 * count);
  w->offset += 4 * count;
  w->separator = ",";
}

static void put_kernel(writer *w, const char *layer, int depthwise, int size, int in, int out) {
  double bound = sqrt(6.0 / (size * size * (depthwise ? 1 : in)));
  put(w, layer, depthwise ? "depthwise_kernel" : "kernel", 4, (int[]){size, size, in, depthwise ? 1 : out}, -bound,
      bound);
}

static void put_batch_norm(writer *w, const char *layer, int channels) {
  put(w, layer, "gamma", 1, &channels, 0.8, 1.2);
  put(w, layer, "beta", 1, &channels, -0.3, 0.3);
  put(w, layer, "moving_mean", 1, &channels, -0.3, 0.3);
  put(w, layer, "moving_variance", 1, &channels, 0.5, 1.5);
}

static void put_block(writer *w, int index, int expansion, int in, int out) {
  char prefix[32] = "expanded_conv_", name[64];
  int hidden = in * expansion;
  if (index > 0) snprintf(prefix, sizeof prefix, "block_%d_", index);
  static const char *const parts[] = {"expand", "depthwise", "project"};
  for (int part = expansion > 1 ? 0 : 1; part < 3; part++) {
    int channels = part == 2 ? out : hidden;
    snprintf(name, sizeof name, "%s%s", prefix, parts[part]);
    put_kernel(w, name, part == 1, part == 1 ? 3 : 1, part == 0 ? in : hidden, channels);
    snprintf(name, sizeof name, "%s%s_BN", prefix, parts[part]);
    put_batch_norm(w, name, channels);
  }
}

static void put_mobilenet_v2(writer *w) {
  static const int stages[][3] = {{1, 16, 1}, {6, 24, 2}, {6, 32, 3}, {6, 64, 4}, {6, 96, 3}, {6, 160, 3}, {6, 320, 1}};
  int channels = 32, index = 0;
  put_kernel(w, "Conv1", 0, 3, 3, channels);
  put_batch_norm(w, "bn_Conv1", channels);
  for (size_t s = 0; s < sizeof stages / sizeof *stages; s++) {
    for (int repeat = 0; repeat < stages[s][2]; repeat++) {
      put_block(w, index++, stages[s][0], channels, stages[s][1]);
      channels = stages[s][1];
    }
  }
  put_kernel(w, "Conv_1", 0, 1, channels, 1280);
  put_batch_norm(w, "Conv_1_bn", 1280);
  double bound = sqrt(6.0 / 1280);
  put(w, "predictions", "kernel", 2, (int[]){1280, 1000}, -bound, bound);
  put(w, "predictions", "bias", 1, (int[]){1000}, -0.1, 0.1);
}

int seeded_mobilenet_v2_write(const char *path) {
  FILE *file = fopen(path, "wb");
  if (file == NULL) return -1;
  writer header = {.file = file, .separator = ""};
  fwrite("\0\0\0\0\0\0\0\0{", 1, 9, file);
  put_mobilenet_v2(&header);
  fputc('}', file);
  uint64_t length = (uint64_t)ftell(file) - 8;
  writer data = {.file = file, .writes_data = 1};
  put_mobilenet_v2(&data);
  rewind(file);
  for (int i = 0; i < 8; i++) fputc((int)(length >> (8 * i) & 255), file);
  int bad = ferror(file);
  return fclose(file) != 0 || bad ? -1 : 0;
}
