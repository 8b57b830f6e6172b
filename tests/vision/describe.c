/* describe.c - keypoints and descriptors of gray pictures, for the judges in Python.
 *
 *   describe KIND KEYPOINTS_MAX < PGM...        binary PGM (P5, 255), any number of them one behind the other
 *
 * Answers with the same number of records, all in the machine's own order of bytes: the count as int32, then that many
 * pmn_keypoint (x, y, size, angle, response as float32, octave as int32), then that many descriptors. One describer
 * sees them all, as it does in a run.
 */
#include "pmn_vision.h"

#include "pmn_mem.h"
#include "pmn_text.h"

#include <stdio.h>

/* The next picture, into *gray (pmn_free); false at the end of the input, or when that is no PGM. */
static bool picture_read(uint8_t **gray, int32_t *width, int32_t *height) {
  if (scanf("P5 %d %d 255", width, height) != 2 || getchar() == EOF || *width < 1 || *height < 1) return false;
  *gray = pmn_alloc((size_t)*width, (size_t)*height);
  size_t rows = (size_t)*height;
  if (*gray != NULL && fread(*gray, (size_t)*width, rows, stdin) == rows) return true;
  pmn_free(*gray);
  return false;
}

int main(int count, char **arguments) {
  pmn_descriptor_kind kind;
  int64_t keypoints_max;
  if (count != 3 || !pmn_descriptor_find(arguments[1], &kind) ||
      !pmn_text_int64(arguments[2], 0, INT32_MAX, &keypoints_max)) {
    fprintf(stderr, "usage: describe sift|orb KEYPOINTS_MAX < PGM\n");
    return 2;
  }
  pmn_err err;
  pmn_describer *describer;
  pmn_status st = pmn_describer_create(kind, (int32_t)keypoints_max, &describer, &err);
  uint8_t *gray;
  int32_t width, height;
  while (st == PMN_STATUS_OK && picture_read(&gray, &width, &height)) {
    pmn_described found;
    st = pmn_describer_run(describer, gray, width, height, &found, &err);
    pmn_free(gray);
    if (st != PMN_STATUS_OK) break;
    fwrite(&found.count, sizeof found.count, 1, stdout);
    if (found.count == 0) continue; /* then the pointers may be NULL */
    fwrite(found.keypoints, sizeof *found.keypoints, (size_t)found.count, stdout);
    fwrite(found.descriptors, (size_t)pmn_descriptor_bytes(kind), (size_t)found.count, stdout);
  }
  pmn_describer_destroy(describer);
  bool whole = st == PMN_STATUS_OK && feof(stdin) && fflush(stdout) == 0 && ferror(stdout) == 0;
  if (!whole) fprintf(stderr, "describe: %s\n", st == PMN_STATUS_OK ? "input is no PGM, or output fails" : err.message);
  return whole ? 0 : 1;
}
