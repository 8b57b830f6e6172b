/* pmn_ocl_tuned.c - the tunings that were measured, kept in the cache folder. See pmn_ocl_tuning.h.
 *
 * One file for each device, driver and set of kernels, named by a hash of the three:
 *
 *   pomona tuning 1
 *   SHA-256 of the three and of all lines below
 *   15 numbers of a shape and 5 of its tuning, a line for each shape
 *
 * The file is believed as far as it goes: the hash must be right, and a tuning must be a row of the table that the
 * device can run. Anything else, and the file is as good as none: layers get their defaults.
 */
#include "pmn_ocl_tuning.h"

#include "pmn_err.h"
#include "pmn_file.h"
#include "pmn_mem.h"
#include "pmn_sha256.h"

#include <stdio.h>
#include <string.h>

#define MAGIC "pomona tuning 1\n"
enum {
  MAGIC_SIZE = sizeof MAGIC - 1,
  HEAD_SIZE = MAGIC_SIZE + PMN_SHA256_HEX_SIZE, /* magic, hash of the rest, newline */
  FILE_MAX = 1 << 20,
  NUMBERS = PMN_OCL_SHAPE_NUMBERS + PMN_OCL_TUNABLES, /* of a line */
  ENTRIES_MAX = 4096,
};

/* Device, driver and kernels, and what else is given. */
static pmn_status hash(const pmn_ocl_device *device, const char *text, size_t size, char *hex, pmn_err *err) {
  const pmn_device_info *info = &device->base.info;
  const void *parts[] = {MAGIC, info->name, info->driver, device->base.kernels_hash, text};
  size_t sizes[] = {
      MAGIC_SIZE, strlen(info->name) + 1, strlen(info->driver) + 1, strlen(device->base.kernels_hash) + 1, size};
  return pmn_sha256_hex(parts, sizes, sizeof parts / sizeof parts[0], hex, err);
}

static pmn_status file_name(const pmn_ocl_device *device, char name[PMN_SHA256_HEX_SIZE + 16], pmn_err *err) {
  char hex[PMN_SHA256_HEX_SIZE];
  pmn_status st = hash(device, "", 0, hex, err);
  if (st == PMN_STATUS_OK) snprintf(name, PMN_SHA256_HEX_SIZE + 16, "tuned-%s.txt", hex);
  return st;
}

/* ---------------------------------------------------------------------------------------------------- reading -- */

/* The whole numbers of a line, one character apart; NULL if they are not there. */
static const char *line_read(const char *at, int32_t numbers[NUMBERS]) {
  for (int i = 0; i < NUMBERS; i++) {
    int64_t value = 0;
    if (*at < '0' || *at > '9') return NULL;
    for (; *at >= '0' && *at <= '9'; at++) {
      value = value * 10 + (*at - '0');
      if (value > INT32_MAX) return NULL;
    }
    if (*at++ != (i + 1 < NUMBERS ? ' ' : '\n')) return NULL;
    numbers[i] = (int32_t)value;
  }
  return at;
}

static bool entry_valid(const pmn_ocl_device *device, const pmn_ocl_tuned *entry) {
  size_t count;
  int32_t kernel = entry->shape.numbers[0];
  if (kernel >= PMN_OCL_KERNEL_COUNT || !pmn_ocl_kernel_tunes((pmn_ocl_kernel_id)kernel)) return false;
  const pmn_ocl_tuning *table = pmn_ocl_tuning_table(device, (pmn_ocl_kernel_id)kernel, &count);
  for (size_t i = 0; i < count; i++) {
    if (pmn_ocl_tuning_same(&table[i], &entry->tuning))
      return pmn_ocl_tuning_fits(device, (pmn_ocl_kernel_id)kernel, &entry->tuning);
  }
  return false;
}

/* Adds the entries of a file's text; false at the first thing that is not as we write it. */
static bool entries_read(pmn_ocl_device *device, const char *at) {
  while (*at != '\0') {
    int32_t numbers[NUMBERS];
    pmn_ocl_tuned entry;
    at = line_read(at, numbers);
    if (at == NULL || device->tuned_count == ENTRIES_MAX) return false;
    memcpy(&entry.shape, numbers, sizeof entry.shape);
    memcpy(&entry.tuning, numbers + PMN_OCL_SHAPE_NUMBERS, sizeof entry.tuning);
    if (!entry_valid(device, &entry)) return false;
    device->tuned[device->tuned_count++] = entry;
  }
  return true;
}

void pmn_ocl_tuned_load(pmn_ocl_device *device) {
  char name[PMN_SHA256_HEX_SIZE + 16], hex[PMN_SHA256_HEX_SIZE];
  pmn_buf path, file;
  pmn_buf_init(&path, 4096);
  pmn_buf_init(&file, FILE_MAX);
  if (file_name(device, name, NULL) != PMN_STATUS_OK) goto done;
  if (pmn_file_cache_find(name, &path, NULL) != PMN_STATUS_OK) goto done;
  if (pmn_file_read(path.data, &file, NULL) != PMN_STATUS_OK || file.size < HEAD_SIZE) goto done;
  if (memcmp(file.data, MAGIC, MAGIC_SIZE) != 0 || file.data[HEAD_SIZE - 1] != '\n') goto done;
  if (hash(device, file.data + HEAD_SIZE, file.size - HEAD_SIZE, hex, NULL) != PMN_STATUS_OK) goto done;
  if (memcmp(file.data + MAGIC_SIZE, hex, PMN_SHA256_HEX_SIZE - 1) != 0) goto done;
  device->tuned = pmn_calloc(ENTRIES_MAX, sizeof *device->tuned);
  if (device->tuned == NULL) goto done;
  if (!entries_read(device, file.data + HEAD_SIZE)) pmn_ocl_tuned_reset(device);
done:
  pmn_buf_reset(&path);
  pmn_buf_reset(&file);
}

/* ---------------------------------------------------------------------------------------------------- keeping -- */

static pmn_ocl_tuned *entry_find(const pmn_ocl_device *device, const pmn_ocl_shape *shape) {
  for (int32_t i = 0; i < device->tuned_count; i++) {
    if (memcmp(&device->tuned[i].shape, shape, sizeof *shape) == 0) return &device->tuned[i];
  }
  return NULL;
}

const pmn_ocl_tuning *pmn_ocl_tuned_find(const pmn_ocl_device *device, const pmn_ocl_shape *shape) {
  const pmn_ocl_tuned *entry = entry_find(device, shape);
  return entry != NULL ? &entry->tuning : NULL;
}

static pmn_status file_write(const pmn_ocl_device *device, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  char name[PMN_SHA256_HEX_SIZE + 16], hex[PMN_SHA256_HEX_SIZE];
  pmn_buf path, body, file;
  pmn_buf_init(&path, 4096);
  pmn_buf_init(&body, FILE_MAX - HEAD_SIZE);
  pmn_buf_init(&file, FILE_MAX);
  for (int32_t i = 0; i < device->tuned_count; i++) {
    int32_t numbers[NUMBERS];
    memcpy(numbers, &device->tuned[i].shape, sizeof device->tuned[i].shape);
    memcpy(numbers + PMN_OCL_SHAPE_NUMBERS, &device->tuned[i].tuning, sizeof device->tuned[i].tuning);
    for (int n = 0; n < NUMBERS; n++)
      PMN_TRY(pmn_buf_printf(&body, err, "%d%c", numbers[n], n + 1 < NUMBERS ? ' ' : '\n'));
  }
  PMN_TRY(file_name(device, name, err));
  PMN_TRY(pmn_file_cache_path(name, &path, err));
  PMN_TRY(hash(device, body.size > 0 ? body.data : "", body.size, hex, err));
  PMN_TRY(pmn_buf_printf(&file, err, "%s%s\n%s", MAGIC, hex, body.size > 0 ? body.data : ""));
  PMN_TRY(pmn_file_write_cached(path.data, file.data, file.size, err));
done:
  pmn_buf_reset(&path);
  pmn_buf_reset(&body);
  pmn_buf_reset(&file);
  return st;
}

pmn_status pmn_ocl_tuned_keep(
    pmn_ocl_device *device, const pmn_ocl_shape *shape, const pmn_ocl_tuning *tuning, pmn_err *err) {
  pmn_ocl_tuned *entry = entry_find(device, shape);
  if (device->tuned == NULL) device->tuned = pmn_calloc(ENTRIES_MAX, sizeof *device->tuned);
  if (device->tuned == NULL) return pmn_err_memory(err, ENTRIES_MAX * sizeof *device->tuned, "tunings");
  if (entry == NULL && tuning != NULL) {
    if (device->tuned_count == ENTRIES_MAX) {
      return pmn_err_set(err, PMN_STATUS_NO_MEMORY, 0, "%s: %d shapes are tuned, more are not kept",
          device->base.info.name, ENTRIES_MAX);
    }
    entry = &device->tuned[device->tuned_count++];
    entry->shape = *shape;
  }
  if (tuning != NULL)
    entry->tuning = *tuning;
  else if (entry != NULL)
    *entry = device->tuned[--device->tuned_count];
  return file_write(device, err);
}

void pmn_ocl_tuned_reset(pmn_ocl_device *device) {
  pmn_free(device->tuned);
  device->tuned = NULL;
  device->tuned_count = 0;
}
