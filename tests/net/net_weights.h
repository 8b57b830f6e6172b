/* net_weights.h - safetensors files in memory, made tensor by tensor or from any header a test likes. */
#ifndef NET_WEIGHTS_H
#define NET_WEIGHTS_H

#include "check.h"

/* Bytes in memory of exactly their size, so that a sanitizer sees the first byte read beyond them. free(bytes). */
typedef struct net_bytes {
  unsigned char *bytes;
  size_t size;
} net_bytes;

/* Length, header and `data_size` bytes 0, 1, 2, ... */
net_bytes net_bytes_create(const char *header, size_t data_size);

enum { NET_WEIGHTS_MAX = 64 };

/* One tensor to be written. Tests change its fields to make it wrong. */
typedef struct net_weight {
  char name[64];
  const char *type;
  int rank;
  int shape[4];
  float *values; /* owned */
  size_t count;
} net_weight;

typedef struct net_weights {
  net_weight tensors[NET_WEIGHTS_MAX];
  int count;
} net_weights;

/* Adds a tensor LAYER/PART of numbers in [low, high), the same on every run. */
net_weight *net_weights_add(
    net_weights *weights, const char *layer, const char *part, int rank, const int *shape, float low, float high);
const net_weight *net_weights_find(const net_weights *weights, const char *layer, const char *part);
net_bytes net_weights_write(const net_weights *weights);
void net_weights_reset(net_weights *weights);

#endif
