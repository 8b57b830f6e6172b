/* net_weights.c - see net_weights.h. */
#include "net_weights.h"

static net_bytes join(const char *header, const void *data, size_t data_size) {
  size_t length = strlen(header);
  net_bytes file = {.bytes = malloc(8 + length + data_size), .size = 8 + length + data_size};
  assert_non_null(file.bytes);
  for (int i = 0; i < 8; i++) file.bytes[i] = (unsigned char)((uint64_t)length >> (8 * i) & 255);
  memcpy(file.bytes + 8, header, length);
  if (data_size > 0) memcpy(file.bytes + 8 + length, data, data_size);
  return file;
}

net_bytes net_bytes_create(const char *header, size_t data_size) {
  unsigned char *data = malloc(data_size + 1);
  assert_non_null(data);
  for (size_t i = 0; i < data_size; i++) data[i] = (unsigned char)i;
  net_bytes file = join(header, data, data_size);
  free(data);
  return file;
}

net_weight *net_weights_add(
    net_weights *weights, const char *layer, const char *part, int rank, const int *shape, float low, float high) {
  assert_in_range(weights->count, 0, NET_WEIGHTS_MAX - 1);
  net_weight *t = &weights->tensors[weights->count++];
  *t = (net_weight){.type = "F32", .rank = rank, .count = 1};
  snprintf(t->name, sizeof t->name, "%s/%s", layer, part);
  for (int i = 0; i < rank; i++) {
    t->shape[i] = shape[i];
    t->count *= (size_t)shape[i];
  }
  t->values = malloc(t->count * sizeof(float));
  assert_non_null(t->values);
  uint64_t state = (uint64_t)weights->count;
  for (size_t i = 0; i < t->count; i++) {
    state = state * 6364136223846793005u + 1442695040888963407u; /* Knuth's, The Art of Computer Programming 3.3.4 */
    t->values[i] = low + (high - low) * (float)(state >> 40) / 16777216.0f;
  }
  return t;
}

const net_weight *net_weights_find(const net_weights *weights, const char *layer, const char *part) {
  char name[64];
  snprintf(name, sizeof name, "%s/%s", layer, part);
  for (int i = 0; i < weights->count; i++) {
    if (strcmp(weights->tensors[i].name, name) == 0) return &weights->tensors[i];
  }
  fail_msg("the test has no tensor %s", name);
  return NULL;
}

net_bytes net_weights_write(const net_weights *weights) {
  enum { ENTRY = 256 };
  size_t offset = 0, used = 1;
  char *header = calloc((size_t)weights->count + 1, ENTRY);
  assert_non_null(header);
  header[0] = '{';
  for (int i = 0; i < weights->count; i++) {
    const net_weight *t = &weights->tensors[i];
    used +=
        (size_t)sprintf(header + used, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[", i > 0 ? "," : "", t->name, t->type);
    for (int d = 0; d < t->rank; d++) used += (size_t)sprintf(header + used, "%s%d", d > 0 ? "," : "", t->shape[d]);
    size_t end = offset + t->count * sizeof(float);
    used += (size_t)sprintf(header + used, "],\"data_offsets\":[%zu,%zu]}", offset, end);
    offset = end;
  }
  header[used] = '}';
  unsigned char *data = malloc(offset + 1);
  assert_non_null(data);
  size_t at = 0;
  for (int i = 0; i < weights->count; at += weights->tensors[i++].count * sizeof(float)) {
    memcpy(data + at, weights->tensors[i].values, weights->tensors[i].count * sizeof(float));
  }
  net_bytes file = join(header, data, offset);
  free(header);
  free(data);
  return file;
}

void net_weights_reset(net_weights *weights) {
  for (int i = 0; i < weights->count; i++) free(weights->tensors[i].values);
  weights->count = 0;
}
