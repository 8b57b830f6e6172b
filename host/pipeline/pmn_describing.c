/* pmn_describing.c - see pmn_describing.h.
 *
 * Grey pictures wait for the device until there are WAITING_BYTES of them, a hundred of 100 x 100, or the batch is
 * whole: they fill a GPU, and a batch of photographs is never in memory as a whole.
 */
#include "pmn_describing.h"

#include "pmn_clock.h"
#include "pmn_mem.h"
#include "pmn_selfcheck.h"

enum { WAITING_BYTES = 1 << 20 };

struct pmn_describing {
  pmn_prepare_options prepare;
  pmn_device_describer *describer; /* NULL: the feed describes */
  pmn_buf gray, sizes;             /* of the pictures that wait: their pixels; pmn_gray_picture without them */
  pmn_buf keypoints, descriptors;  /* of the batch, picture after picture */
  pmn_buf described;               /* pmn_described of each */
  double seconds;                  /* of the device */
};

pmn_status pmn_describing_create(
    pmn_device *device, pmn_prepare_options *prepare, pmn_describing **describing, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_describing *self = pmn_calloc(1, sizeof *self);
  *describing = NULL;
  bool cached;
  if (self == NULL) return pmn_err_memory(err, sizeof *self, "keypoints");
  pmn_buf *const bufs[] = {&self->gray, &self->sizes, &self->keypoints, &self->descriptors, &self->described};
  for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++) pmn_buf_init(bufs[i], SIZE_MAX);
  PMN_TRY(pmn_device_describer_create(device, prepare->descriptor, prepare->keypoints_max, &self->describer, err));
  if (self->describer != NULL) PMN_TRY(pmn_selfcheck_describe(device, prepare->descriptor, &cached, err));
  if (self->describer != NULL) prepare->kind = PMN_PREPARE_PLAIN;
  self->prepare = *prepare;
  *describing = self;
  self = NULL;
done:
  pmn_describing_destroy(self);
  return st;
}

void pmn_describing_destroy(pmn_describing *describing) {
  pmn_describing *self = describing;
  if (self == NULL) return;
  pmn_buf *const bufs[] = {&self->gray, &self->sizes, &self->keypoints, &self->descriptors, &self->described};
  for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++) pmn_buf_reset(bufs[i]);
  pmn_device_describer_destroy(self->describer);
  pmn_free(self);
}

/* Copies what was found in the next picture. */
static pmn_status take(pmn_describing *self, const pmn_described *found, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_described described = {.count = found->count}; /* views are made when nothing moves any more */
  size_t count = (size_t)found->count, bytes = (size_t)pmn_descriptor_bytes(self->prepare.descriptor);
  PMN_TRY(pmn_buf_append(&self->described, &described, sizeof described, err));
  if (count == 0) goto done;
  PMN_TRY(pmn_buf_append(&self->keypoints, found->keypoints, count * sizeof *found->keypoints, err));
  PMN_TRY(pmn_buf_append(&self->descriptors, found->descriptors, count * bytes, err));
done:
  return st;
}

/* The device describes those that wait. */
static pmn_status describe_waiting(pmn_describing *self, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_gray_picture *pictures = (pmn_gray_picture *)(void *)self->sizes.data;
  size_t n = self->sizes.size / sizeof *pictures;
  pmn_described *found = NULL;
  double start = pmn_clock_seconds();
  if (n == 0) goto done;
  found = pmn_alloc(n, sizeof *found);
  if (found == NULL) PMN_TRY(pmn_err_memory(err, n * sizeof *found, "keypoints"));
  const uint8_t *gray = (const uint8_t *)self->gray.data;
  for (size_t i = 0; i < n; i++) {
    pictures[i].gray = gray;
    gray += (size_t)pictures[i].width * (size_t)pictures[i].height;
  }
  PMN_TRY(pmn_device_describer_run(self->describer, pictures, (int32_t)n, found, err));
  for (size_t i = 0; i < n; i++) PMN_TRY(take(self, &found[i], err));
  pmn_buf_clear(&self->gray);
  pmn_buf_clear(&self->sizes);
  self->seconds += pmn_clock_seconds() - start;
done:
  pmn_free(found);
  return st;
}

static void begin(pmn_describing *self) {
  pmn_buf *const bufs[] = {&self->gray, &self->sizes, &self->keypoints, &self->descriptors, &self->described};
  for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++) pmn_buf_clear(bufs[i]);
}

pmn_status pmn_describing_put(pmn_describing *describing, int32_t index, const pmn_picture *picture, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_describing *self = describing;
  if (index == 0) begin(self);
  if (self->describer == NULL) {
    pmn_described found = pmn_prepared_view(&self->prepare, picture->data, picture->size);
    return take(self, &found, err);
  }
  pmn_gray_picture gray = pmn_prepared_gray(picture->data);
  size_t size = (size_t)gray.width * (size_t)gray.height;
  PMN_TRY(pmn_buf_append(&self->sizes, &gray, sizeof gray, err));
  PMN_TRY(pmn_buf_append(&self->gray, gray.gray, size, err));
  if (self->gray.size >= WAITING_BYTES) PMN_TRY(describe_waiting(self, err));
done:
  return st;
}

pmn_status pmn_describing_run(pmn_describing *describing, const pmn_described **described, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_describing *self = describing;
  PMN_TRY(describe_waiting(self, err));
  pmn_described *views = (pmn_described *)(void *)self->described.data;
  const pmn_keypoint *keypoints = (const pmn_keypoint *)(const void *)self->keypoints.data;
  const uint8_t *descriptors = (const uint8_t *)self->descriptors.data;
  for (size_t i = 0; i < self->described.size / sizeof *views; i++) {
    size_t count = (size_t)views[i].count;
    if (count == 0) continue;
    views[i].keypoints = keypoints;
    views[i].descriptors = descriptors;
    keypoints += count;
    descriptors += count * (size_t)pmn_descriptor_bytes(self->prepare.descriptor);
  }
  *described = views;
done:
  return st;
}

double pmn_describing_seconds(const pmn_describing *describing) {
  return describing != NULL ? describing->seconds : 0;
}
