/* describe.c - keypoints and descriptors of gray pictures, for the judges in Python.
 *
 *   describe KIND KEYPOINTS_MAX [BACKEND] < PGM...      binary PGM (P5, 255), any number of them one behind the other
 *
 * Answers with the same number of records, all in the machine's own order of bytes: the count as int32, then that many
 * pmn_keypoint (x, y, size, angle, response as float32, octave as int32), then that many descriptors. One describer
 * sees them all, as it does in a run: the host's, or that of the backend's first device, in batches. 77: it has none.
 */
#include "pmn_backend.h"
#include "pmn_mem.h"
#include "pmn_text.h"
#include "pmn_vision.h"

#include <stdio.h>

enum { BATCH = 64, NO_DEVICE = 77 };

typedef struct work {
  pmn_descriptor_kind kind;
  pmn_describer *host;
  pmn_device *device;
  pmn_device_describer *describer; /* NULL: the host describes */
} work;

/* The next picture, into gray (pmn_free); false at the end of the input, or when that is no PGM. */
static bool picture_read(uint8_t **gray, int32_t *width, int32_t *height) {
  if (scanf("P5 %d %d 255", width, height) != 2 || getchar() == EOF || *width < 1 || *height < 1) return false;
  *gray = pmn_alloc((size_t)*width, (size_t)*height);
  size_t rows = (size_t)*height;
  if (*gray != NULL && fread(*gray, (size_t)*width, rows, stdin) == rows) return true;
  pmn_free(*gray);
  return false;
}

static void described_write(const work *w, const pmn_described *found) {
  fwrite(&found->count, sizeof found->count, 1, stdout);
  if (found->count == 0) return; /* then the pointers may be NULL */
  fwrite(found->keypoints, sizeof *found->keypoints, (size_t)found->count, stdout);
  fwrite(found->descriptors, (size_t)pmn_descriptor_bytes(w->kind), (size_t)found->count, stdout);
}

static pmn_status batch_describe(const work *w, const pmn_gray_picture *pictures, int32_t count, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_described found[BATCH];
  if (w->describer != NULL) PMN_TRY(pmn_device_describer_run(w->describer, pictures, count, found, err));
  for (int32_t i = 0; i < count; i++) {
    if (w->describer == NULL) {
      PMN_TRY(pmn_describer_run(w->host, pictures[i].gray, pictures[i].width, pictures[i].height, &found[i], err));
    }
    described_write(w, &found[i]);
  }
done:
  return st;
}

static pmn_status pictures_describe(const work *w, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  int32_t count = BATCH;
  while (st == PMN_STATUS_OK && count == BATCH) {
    pmn_gray_picture pictures[BATCH];
    uint8_t *grays[BATCH];
    for (count = 0; count < BATCH; count++) {
      pmn_gray_picture *p = &pictures[count];
      if (!picture_read(&grays[count], &p->width, &p->height)) break;
      p->gray = grays[count];
    }
    if (count > 0) st = batch_describe(w, pictures, count, err);
    for (int32_t i = 0; i < count; i++) pmn_free(grays[i]);
  }
  return st;
}

static pmn_status work_init(work *w, const char *backend, int32_t keypoints_max, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  if (backend == NULL) return pmn_describer_create(w->kind, keypoints_max, &w->host, err);
  const pmn_device_options options = {.index = -1, .threads = 1};
  PMN_TRY(pmn_device_open(pmn_backend_find(backend), &options, &w->device, err));
  PMN_TRY(pmn_device_describer_create(w->device, w->kind, keypoints_max, &w->describer, err));
  if (w->describer == NULL) PMN_FAIL(err, PMN_STATUS_DEVICE, "the device has no describer");
done:
  return st;
}

int main(int count, char **arguments) {
  work w = {0};
  int64_t keypoints_max;
  const char *backend = count == 4 ? arguments[3] : NULL;
  if (count < 3 || count > 4 || !pmn_descriptor_find(arguments[1], &w.kind) ||
      !pmn_text_int64(arguments[2], 0, INT32_MAX, &keypoints_max) ||
      (backend != NULL && pmn_backend_find(backend) == NULL)) {
    fprintf(stderr, "usage: describe sift|orb KEYPOINTS_MAX [ref|cpu|opencl] < PGM\n");
    return 2;
  }
  pmn_err err;
  pmn_status st = work_init(&w, backend, (int32_t)keypoints_max, &err);
  bool ready = st == PMN_STATUS_OK;
  if (ready) st = pictures_describe(&w, &err);
  bool whole = st == PMN_STATUS_OK && feof(stdin) && fflush(stdout) == 0 && ferror(stdout) == 0;
  if (!whole) fprintf(stderr, "describe: %s\n", st == PMN_STATUS_OK ? "input is no PGM, or output fails" : err.message);
  pmn_device_describer_destroy(w.describer);
  pmn_device_close(w.device);
  pmn_describer_destroy(w.host);
  return whole ? 0 : !ready && st == PMN_STATUS_DEVICE ? NO_DEVICE : 1;
}
