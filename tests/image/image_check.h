/* image_check.h - what the tests of the image room share: files, hashes of pixels, rows of the golden tables. */
#ifndef IMAGE_CHECK_H
#define IMAGE_CHECK_H

#include "check.h"

#include "pmn_file.h"
#include "pmn_image.h"
#include "pmn_sha256.h"

#define GOLDEN PMN_SOURCE_DIR "/tests/golden/"

/* The whole of a file; pmn_buf_reset() it. Fails the test when it cannot be read. */
static inline pmn_buf image_file(const char *folder, const char *name) {
  pmn_buf bytes;
  pmn_err err = PMN_ERR_INIT;
  char path[8192];
  snprintf(path, sizeof path, "%s%s", folder, name);
  pmn_buf_init(&bytes, 1 << 24);
  check_ok(pmn_file_read(path, &bytes, &err));
  return bytes;
}

static inline void image_hash(const uint8_t *rgb, size_t size, char hex[PMN_SHA256_HEX_SIZE]) {
  pmn_err err = PMN_ERR_INIT;
  const void *parts[] = {rgb};
  check_ok(pmn_sha256_hex(parts, &size, 1, hex, &err));
}

static inline size_t image_size(const pmn_image *image) {
  return (size_t)image->width * (size_t)image->height * 3;
}

static inline pmn_decoder *image_decoder(int64_t pixels_max) {
  pmn_decoder *decoder = NULL;
  pmn_err err = PMN_ERR_INIT;
  pmn_image_limits limits = PMN_IMAGE_LIMITS_DEFAULT;
  if (pixels_max > 0) limits.pixels_max = pixels_max;
  check_ok(pmn_decoder_create(&limits, &decoder, &err));
  return decoder;
}

/* Reads the next row of a golden table into `fields` (no field of ours holds a quote or a comma); false at the end. The
 * first call skips the head. */
static inline bool image_row(FILE *table, char line[1024], char *fields[8], int count) {
  if (ftell(table) == 0 && fgets(line, 1024, table) == NULL) return false;
  if (fgets(line, 1024, table) == NULL) return false;
  line[strcspn(line, "\n")] = '\0';
  char *p = line;
  for (int i = 0; i < count; i++) {
    fields[i] = p;
    p += strcspn(p, ",");
    if (*p != '\0')
      *p++ = '\0';
    else if (i < count - 1)
      fail_msg("a golden table has too few fields: %s", line);
  }
  return true;
}

static inline FILE *image_table(const char *name) {
  char path[8192];
  snprintf(path, sizeof path, GOLDEN "%s", name);
  FILE *table = fopen(path, "r");
  if (table == NULL) fail_msg("cannot open %s", path);
  return table;
}

#endif
