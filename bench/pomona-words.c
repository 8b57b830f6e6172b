/* pomona-words: what describing pictures and clustering descriptors takes, without files to decode and tables to write;
 * for bench/words.py. Prints one line of JSON.
 *
 *   pomona-words describe sift|orb FILE SIDE THREADS SECONDS
 *     FILE: grey pictures [n, SIDE, SIDE], bytes. All of them once to warm up, then again and again for SECONDS.
 *   pomona-words kmeans FILE POINTS WORDS ITERATIONS MINI_BATCH THREADS BACKEND
 *     FILE: POINTS descriptors of 128 bytes or more of them, read block by block as pomona extract does. k-means++, and
 * as many iterations; MINI_BATCH 0: all points in each. "sha256" is of the centres.
 */
#include "pmn_clock.h"
#include "pmn_kmeans.h"
#include "pmn_mem.h"
#include "pmn_pool.h"
#include "pmn_sha256.h"
#include "pmn_text.h"
#include "pmn_vision.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { THREADS_MAX = 64, SIDE_MAX = 4096, WIDTH = 128, SLICE = 8 /* pictures that a thread takes together */ };

static pmn_status number(const char *text, int64_t min, int64_t max, int64_t *value, pmn_err *err) {
  if (pmn_text_int64(text, min, max, value)) return PMN_STATUS_OK;
  return pmn_err_set(
      err, PMN_STATUS_ARGUMENT, 0, "%s: not a number from %lld to %lld", text, (long long)min, (long long)max);
}

/* *size: bytes of the file. */
static pmn_status open_file(const char *path, int *fd, int64_t *size, pmn_err *err) {
  struct stat info;
  *fd = open(path, O_RDONLY | O_CLOEXEC);
  if (*fd < 0 || fstat(*fd, &info) != 0) return pmn_err_set(err, PMN_STATUS_NOT_FOUND, 0, "cannot open %s", path);
  *size = info.st_size;
  return PMN_STATUS_OK;
}

static pmn_status read_bytes(int fd, int64_t at, size_t size, uint8_t *bytes, pmn_err *err) {
  for (size_t done = 0; done < size;) {
    ssize_t got = pread(fd, bytes + done, size - done, (off_t)at + (off_t)done);
    if (got <= 0) return pmn_err_set(err, PMN_STATUS_NOT_FOUND, 0, "the file is shorter than it should be");
    done += (size_t)got;
  }
  return PMN_STATUS_OK;
}

/* ---------------------------------------------------------------------------------------------------- describe -- */

typedef struct describing {
  const uint8_t *pictures;
  int64_t count;
  int32_t side;
  pmn_describer *describers[THREADS_MAX];
  int64_t keypoints[THREADS_MAX];
  pmn_status statuses[THREADS_MAX];
} describing;

static void describe_slice(void *arg, int64_t index, int32_t worker) {
  describing *self = arg;
  size_t size = (size_t)self->side * (size_t)self->side;
  int64_t end = (index + 1) * SLICE < self->count ? (index + 1) * SLICE : self->count;
  for (int64_t i = index * SLICE; i < end; i++) {
    pmn_described found = {.count = 0};
    pmn_status st = pmn_describer_run(
        self->describers[worker], self->pictures + (size_t)i * size, self->side, self->side, &found, NULL);
    if (st != PMN_STATUS_OK) self->statuses[worker] = st;
    self->keypoints[worker] += found.count;
  }
}

static pmn_status describe_all(pmn_pool *pool, describing *self, double seconds, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  int64_t slices = (self->count + SLICE - 1) / SLICE, passes = 0, keypoints = 0;
  pmn_pool_run(pool, slices, describe_slice, self);
  double start = pmn_clock_seconds(), passed = 0;
  for (; passed < seconds; passes++) {
    pmn_pool_run(pool, slices, describe_slice, self);
    passed = pmn_clock_seconds() - start;
  }
  for (int32_t i = 0; i < pmn_pool_threads(pool); i++) {
    if (self->statuses[i] != PMN_STATUS_OK) PMN_FAIL(err, self->statuses[i], "a picture could not be described");
    keypoints += self->keypoints[i];
  }
  printf("{\"pictures\": %lld, \"passes\": %lld, \"img_s\": %.1f, \"keypoints\": %.3f}\n", (long long)self->count,
      (long long)passes, (double)(passes * self->count) / passed,
      (double)keypoints / (double)((passes + 1) * self->count));
done:
  return st;
}

static pmn_status describe(char **arguments, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  describing self = {.count = 0};
  pmn_pool *pool = NULL;
  pmn_descriptor_kind kind;
  uint8_t *pictures = NULL;
  int64_t side, threads, size;
  double seconds;
  int fd = -1;
  if (!pmn_descriptor_find(arguments[0], &kind) || !pmn_text_double(arguments[4], &seconds))
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "describe sift or orb, for a number of seconds");
  PMN_TRY(number(arguments[2], 1, SIDE_MAX, &side, err));
  PMN_TRY(number(arguments[3], 1, THREADS_MAX, &threads, err));
  PMN_TRY(open_file(arguments[1], &fd, &size, err));
  self.count = size / (side * side);
  self.side = (int32_t)side;
  if (self.count == 0) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s holds no picture", arguments[1]);
  self.pictures = pictures = pmn_alloc((size_t)size, 1);
  if (pictures == NULL) PMN_TRY(pmn_err_memory(err, (size_t)size, "pictures"));
  PMN_TRY(read_bytes(fd, 0, (size_t)size, pictures, err));
  PMN_TRY(pmn_pool_create((int32_t)threads, &pool, err));
  for (int64_t i = 0; i < threads; i++) PMN_TRY(pmn_describer_create(kind, 0, &self.describers[i], err));
  PMN_TRY(describe_all(pool, &self, seconds, err));
done:
  for (int i = 0; i < THREADS_MAX; i++) pmn_describer_destroy(self.describers[i]);
  pmn_pool_destroy(pool);
  pmn_free(pictures);
  if (fd >= 0) close(fd);
  return st;
}

/* ------------------------------------------------------------------------------------------------------ k-means -- */

static pmn_status read_points(void *arg, int64_t first, int32_t n, uint8_t *points, pmn_err *err) {
  return read_bytes(*(const int *)arg, first * WIDTH, (size_t)n * WIDTH, points, err);
}

static pmn_status cluster(int fd, int64_t count, pmn_device *device, const pmn_kmeans_options *options, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_vocabulary *v = NULL;
  char sha256[PMN_SHA256_HEX_SIZE];
  pmn_points points = {.count = count, .width = WIDTH, .arg = &fd, .read = read_points};
  double start = pmn_clock_seconds();
  PMN_TRY(pmn_kmeans_run(device, &points, options, &v, err));
  double seconds = pmn_clock_seconds() - start;
  const void *parts[] = {v->centres};
  const size_t sizes[] = {(size_t)v->k * WIDTH * sizeof *v->centres};
  PMN_TRY(pmn_sha256_hex(parts, sizes, 1, sha256, err));
  printf("{\"compute_s\": %.4f, \"iterations\": %d, \"inertia\": %.10g, \"planned_mb\": %.1f, \"sha256\": \"%s\"}\n",
      seconds, v->iterations, v->inertia, pmn_kmeans_memory(device, &points, options) / 1e6, sha256);
done:
  pmn_vocabulary_destroy(v);
  return st;
}

static pmn_status kmeans(char **arguments, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  int64_t points, words, iterations, mini_batch, threads, size;
  pmn_device *device = NULL;
  int fd = -1;
  PMN_TRY(number(arguments[1], 1, INT64_MAX / WIDTH, &points, err));
  PMN_TRY(number(arguments[2], 1, PMN_WORDS_MAX, &words, err));
  PMN_TRY(number(arguments[3], 1, INT32_MAX, &iterations, err));
  PMN_TRY(number(arguments[4], 0, INT32_MAX, &mini_batch, err));
  PMN_TRY(number(arguments[5], 1, THREADS_MAX, &threads, err));
  const pmn_backend *backend = pmn_backend_find(arguments[6]);
  if (backend == NULL) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s: no backend", arguments[6]);
  PMN_TRY(open_file(arguments[0], &fd, &size, err));
  if (size / WIDTH < points) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s has fewer points", arguments[0]);
  const pmn_device_options opening = {.index = -1, .threads = (int32_t)threads};
  PMN_TRY(pmn_device_open(backend, &opening, &device, err));
  const pmn_kmeans_options options = {.k = (int32_t)words,
      .iterations_max = (int32_t)iterations,
      .mini_batch = (int32_t)mini_batch,
      .threads = (int32_t)threads};
  PMN_TRY(cluster(fd, points, device, &options, err));
done:
  pmn_device_close(device);
  if (fd >= 0) close(fd);
  return st;
}

int main(int argc, char **argv) {
  pmn_err err = PMN_ERR_INIT;
  pmn_status st;
  if (argc == 7 && strcmp(argv[1], "describe") == 0) {
    st = describe(argv + 2, &err);
  } else if (argc == 9 && strcmp(argv[1], "kmeans") == 0) {
    st = kmeans(argv + 2, &err);
  } else {
    fprintf(stderr, "Usage: pomona-words describe sift|orb FILE SIDE THREADS SECONDS\n"
                    "       pomona-words kmeans FILE POINTS WORDS ITERATIONS MINI_BATCH THREADS BACKEND\n");
    return 2;
  }
  if (st != PMN_STATUS_OK) fprintf(stderr, "pomona-words: %s\n", err.message);
  return st == PMN_STATUS_OK ? 0 : 1;
}
