/* pmn_selfcheck_parts.c - see pmn_selfcheck_parts.h. */
#include "pmn_selfcheck_parts.h"

#include "pmn_file.h"
#include "pmn_mem.h"
#include "pmn_sha256.h"
#include "pmn_text.h"

#include <stdio.h>
#include <string.h>

static float number_next(uint32_t *state) {
  *state = *state * 1664525u + 1013904223u; /* Numerical Recipes, 2nd ed., section 7.1 */
  return (float)((int32_t)(*state >> 8) - (1 << 23)) / (float)(1 << 23);
}

float *pmn_selfcheck_numbers(uint32_t seed, size_t count) {
  float *v = pmn_alloc(count, sizeof(float));
  for (size_t i = 0; v != NULL && i < count; i++) v[i] = number_next(&seed);
  return v;
}

pmn_status pmn_selfcheck_apply(
    pmn_device *device, const pmn_program *program, const void *input, int32_t n, float *output, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_network *network = NULL;
  PMN_TRY(pmn_network_create(device, program, n, &network, err));
  PMN_TRY(pmn_network_run(network, input, n, output, err));
done:
  pmn_network_destroy(network);
  return st;
}

#define CACHE_TITLE "pomona check 4 passed "

bool pmn_selfcheck_place(const pmn_device *device, const char *checked, pmn_buf *path) {
  const pmn_device_info *info = &device->info;
  const char *texts[] = {PMN_VERSION, info->backend, info->name, info->driver, device->kernels_hash, checked};
  enum { TEXTS = sizeof texts / sizeof *texts };
  const void *parts[TEXTS];
  size_t sizes[TEXTS];
  char hex[PMN_SHA256_HEX_SIZE], name[PMN_SHA256_HEX_SIZE + 16];
  if (device->kernels_hash[0] == '\0') return false;
  for (size_t i = 0; i < TEXTS; i++) {
    parts[i] = texts[i];
    sizes[i] = strlen(texts[i]) + 1;
  }
  if (pmn_sha256_hex(parts, sizes, TEXTS, hex, NULL) != PMN_STATUS_OK) return false;
  snprintf(name, sizeof name, "check-%s.txt", hex);
  return pmn_file_cache_path(name, path, NULL) == PMN_STATUS_OK;
}

bool pmn_selfcheck_recall(const char *path, double *ratio) {
  pmn_buf file;
  pmn_buf_init(&file, 256);
  bool good = pmn_file_read(path, &file, NULL) == PMN_STATUS_OK &&
              strncmp(file.data, CACHE_TITLE, strlen(CACHE_TITLE)) == 0 &&
              pmn_text_double(file.data + strlen(CACHE_TITLE), ratio) && *ratio >= 0.0 && *ratio <= 1.0;
  pmn_buf_reset(&file);
  return good;
}

/* A cache that cannot be written costs the next run a second and nothing else. */
void pmn_selfcheck_keep(const char *path, double ratio) {
  char text[64];
  snprintf(text, sizeof text, CACHE_TITLE "%.6f", ratio);
  if (pmn_file_write_cached(path, text, strlen(text), NULL) != PMN_STATUS_OK) return;
}
