/* sink_sample.c - writes a table of known content for read_back.py, which computes the same content by itself.
 *
 *   sink_sample OUT FORMAT WIDTH ROWS VALUES [keypoints]
 *
 * Features are all kinds of finite floats, or of bytes, by a hash of row and column; numbers of keypoints are hashes of
 * the row. Names are those that break formats.
 */
#include "pmn_sink.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 97, NAME_SIZE = 2100, LONG_ROW = 5000, LONG_NAME = 2000 };

static const char *const odd_names[] = {"plain", "two words ", "a \"quote\"", "a,comma", "new\nline", "return\r",
    "back\\slash", "tab\t", "not \xff\xfe UTF-8", "surrogate \xed\xa0\x80", "cut \xe6\x97", "\xc3\xbcml\xc3\xa4ut",
    "\xe6\x97\xa5\xe6\x9c\xac", "\xf0\x9d\x84\x9e", "", "'single'", "=1+1", "\"", "NULL"};
enum { ODD_NAMES = sizeof odd_names / sizeof *odd_names };

static float feature(pmn_values values, uint32_t row, uint32_t column) {
  uint32_t bits = row * 2654435761u + column * 2246822519u + 1;
  bits ^= bits >> 15;
  bits *= 2246822519u;
  bits ^= bits >> 13;
  if (values == PMN_VALUES_BYTE) return (float)(bits >> 24);
  if ((bits & 0x7f800000) == 0x7f800000) bits &= ~0x40000000u; /* no infinity, no NaN */
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

int main(int argc, char **argv) {
  pmn_err err = PMN_ERR_INIT;
  pmn_sink_options options = {.overwrite = false};
  if (argc < 6 || !pmn_format_find(argv[2], &options.format) || !pmn_values_find(argv[5], &options.values)) return 2;
  options.path = argv[1];
  options.keypoints = argc > 6;
  options.width = atoi(argv[3]);
  uint32_t rows = (uint32_t)atoi(argv[4]);
  size_t width = (size_t)options.width;

  static char names[BLOCK][NAME_SIZE];
  const char *keys[BLOCK], *labels[BLOCK];
  int32_t keypoints[BLOCK];
  float *features = calloc(BLOCK * width, sizeof *features);
  pmn_sink *sink = NULL;
  pmn_status status = features == NULL ? PMN_STATUS_NO_MEMORY : pmn_sink_create(&options, &sink, &err);
  for (uint32_t first = 0; status == PMN_STATUS_OK && first < rows; first += BLOCK) {
    uint32_t n = rows - first < BLOCK ? rows - first : BLOCK;
    for (uint32_t i = 0; i < n; i++) {
      uint32_t row = first + i;
      snprintf(names[i], NAME_SIZE, "%s/%08" PRIu32 ".jpg", odd_names[row % ODD_NAMES], row);
      /* One key is too long for the statistics of a Parquet file. */
      if (row == LONG_ROW) {
        memset(names[i], 'x', LONG_NAME);
        names[i][LONG_NAME] = '\0';
      }
      keys[i] = names[i];
      keypoints[i] = (int32_t)(row * 2654435761u >> 1);
      labels[i] = odd_names[row / 7 % ODD_NAMES];
      for (uint32_t k = 0; k < width; k++) features[i * width + k] = feature(options.values, row, k);
    }
    status =
        pmn_sink_write(sink, &(pmn_row_block){n, keys, labels, features, options.keypoints ? keypoints : NULL}, &err);
  }
  if (status == PMN_STATUS_OK)
    status = pmn_sink_commit(sink, "{\"version\": \"sample\", \"text\": \"\xc3\xbc\"}", &err);
  pmn_sink_destroy(sink);
  free(features);
  if (status != PMN_STATUS_OK) fprintf(stderr, "%s\n", err.message);
  return status != PMN_STATUS_OK;
}
