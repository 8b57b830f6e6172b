/* test_ocl_resample.c - pictures resized on an OpenCL device, held to the bit against the host's pmn_resampler, with
 * the kernels of both families.
 *
 * Pictures are noise of all bytes, of any sizes in one batch. No OpenCL device is a visible skip. */
#include "check.h"

#include "pmn_image.h"
#include "pmn_mem.h"
#include "pmn_ocl_resample.h"

enum { GUARD = 64, GUARD_BYTE = 0xa5, BATCH_MAX = 64 };
static const char *const filter_names[] = {"nearest", "bilinear", "bicubic"};

static pmn_ocl_device *device;

static uint32_t state;

static uint32_t draw(uint32_t below) {
  state = state * 1664525 + 1013904223;
  return (state >> 8) % below;
}

/* ---------------------------------------------------------------------------------------------------------- batch */

/* What is to be resized, and where. */
typedef struct target {
  pmn_filter filter;
  int32_t width, height;
} target;

typedef struct batch {
  int32_t n;
  pmn_picture_size sizes[BATCH_MAX];
  size_t bytes;
  uint8_t *pixels;
  cl_mem raw, out;
  pmn_ocl_resample_batch work;
} batch;

static size_t picture_bytes(int32_t width, int32_t height) {
  return (size_t)width * (size_t)height * 3;
}

/* Noise, half of it black and white, where sums go out of range; in buffers exactly as long as it needs, so that what
 * is read beyond can be seen, but for the guard behind the output. */
static void batch_begin(batch *b, const target *to) {
  pmn_err err = PMN_ERR_INIT;
  size_t out_bytes = (size_t)b->n * picture_bytes(to->width, to->height) + GUARD;
  const cl_uchar guard = GUARD_BYTE;
  b->bytes = 0;
  for (int32_t i = 0; i < b->n; i++) b->bytes += picture_bytes(b->sizes[i].width, b->sizes[i].height);
  b->pixels = malloc(b->bytes);
  assert_non_null(b->pixels);
  for (size_t i = 0; i < b->bytes; i++) {
    uint32_t value = draw(512);
    b->pixels[i] = (uint8_t)(value < 256 ? value : value < 384 ? 0 : 255);
  }
  check_ok(pmn_ocl_buffer_create(device, b->bytes, 1, b->pixels, "raw", &b->raw, &err));
  check_ok(pmn_ocl_buffer_create(device, out_bytes, 1, NULL, "out", &b->out, &err));
  assert_int_equal(
      clEnqueueFillBuffer(device->queue, b->out, &guard, sizeof guard, 0, out_bytes, 0, NULL, NULL), CL_SUCCESS);
  pmn_ocl_resample_batch_init(&b->work);
}

static pmn_status batch_run(pmn_ocl_resampler *resampler, batch *b, pmn_err *err) {
  return pmn_ocl_resampler_run(resampler, &b->work, b->sizes, b->n, b->raw, b->out, err);
}

/* Waits for the batch and holds it against the host. */
static void batch_check(batch *b, const target *to) {
  pmn_err err = PMN_ERR_INIT;
  size_t size = picture_bytes(to->width, to->height), all = (size_t)b->n * size;
  uint8_t *found = malloc(all + GUARD), *expected = malloc(size);
  const uint8_t *from = b->pixels;
  pmn_resampler *host;
  assert_true(found != NULL && expected != NULL);
  check_ok(pmn_ocl_download(device, b->out, all + GUARD, found, &err));
  check_ok(pmn_resampler_create(to->filter, to->width, to->height, &host, &err));
  for (int32_t i = 0; i < b->n; i++) {
    pmn_image image = {b->sizes[i].width, b->sizes[i].height, from};
    check_ok(pmn_resampler_run(host, &image, expected, &err));
    const uint8_t *mine = found + (size_t)i * size;
    for (size_t at = 0; at < size; at++) {
      if (mine[at] != expected[at])
        fail_msg("%s, %s, picture %d of %d: %d x %d to %d x %d, byte %zu is %d, the host's %d", device->family->name,
            filter_names[to->filter], i, b->n, image.width, image.height, to->width, to->height, at, mine[at],
            expected[at]);
    }
    from += picture_bytes(image.width, image.height);
  }
  for (size_t i = 0; i < GUARD; i++) assert_int_equal(found[all + i], GUARD_BYTE);
  pmn_resampler_destroy(host);
  free(found);
  free(expected);
}

static void batch_end(batch *b) {
  clFinish(device->queue);
  clReleaseMemObject(b->raw);
  clReleaseMemObject(b->out);
  pmn_ocl_resample_batch_reset(&b->work);
  free(b->pixels);
}

static void check_batch(pmn_ocl_resampler *resampler, const target *to, const pmn_picture_size *sizes, int32_t n) {
  pmn_err err = PMN_ERR_INIT;
  batch b = {.n = n};
  memcpy(b.sizes, sizes, (size_t)n * sizeof *sizes);
  batch_begin(&b, to);
  check_ok(batch_run(resampler, &b, &err));
  batch_check(&b, to);
  batch_end(&b);
}

static pmn_ocl_resampler *resampler_of(const target *to) {
  pmn_err err = PMN_ERR_INIT;
  pmn_ocl_resampler *resampler;
  check_ok(pmn_ocl_resampler_create(device, to->filter, to->width, to->height, &resampler, &err));
  return resampler;
}

/* Any size that goes to a device: up to 600 x 700. */
static pmn_picture_size size_draw(const target *to) {
  uint32_t w = PMN_RAW_SIDE * (uint32_t)to->width, h = PMN_RAW_SIDE * (uint32_t)to->height;
  for (;;) {
    pmn_picture_size size = {1 + (int32_t)draw(w < 600 ? w : 600), 1 + (int32_t)draw(h < 700 ? h : 700)};
    if (pmn_resample_takes_raw(size.width, size.height, to->width, to->height)) return size;
  }
}

/* ---------------------------------------------------------------------------------------------------------- tests */

/* The sizes that decide something: one pass, none, either order and the border between them, the largest of the rule.
 */
static int32_t sizes_choose(const target *to, pmn_picture_size *sizes) {
  int32_t w = to->width, h = to->height, count = 0;
  const pmn_picture_size chosen[] = {{w, h}, {w, h + 1}, {w + 1, h}, {1, 1}, {w, 1}, {1, h}, {w + 1, h + 2},
      {w + 1, h + 3}, {w + 1, h + 1}, {w + 10, h + 20}, {w + 10, h + 21}, {w - 1, h + 1}, {w - 1, h - 1},
      {w + 9, h - 1}, {2 * w, 2 * h}, {w, 4 * h}, {4 * w, h}, {1, 16 * h}, {16 * w, 1}, {w, h}};
  for (size_t i = 0; i < sizeof chosen / sizeof *chosen; i++) {
    pmn_picture_size c = chosen[i];
    if (c.width > 0 && c.height > 0 && pmn_resample_takes_raw(c.width, c.height, w, h)) sizes[count++] = c;
  }
  return count;
}

/* All of a batch of 64 sizes, and of batches of 1, 2, 3, ... of them, by the same resampler. */
static void check_target(const target *to) {
  pmn_picture_size sizes[BATCH_MAX];
  pmn_ocl_resampler *resampler = resampler_of(to);
  int32_t count = sizes_choose(to, sizes), down = 0, both = 0;
  while (count < BATCH_MAX) sizes[count++] = size_draw(to);
  for (int32_t i = 0; i < count; i++) {
    int32_t w = sizes[i].width, h = sizes[i].height;
    if (w == to->width || h == to->height) continue;
    both++;
    down += pmn_resample_down_first(w, h, to->width, to->height);
  }
  assert_true(to->width == 1 || (down > 0 && both - down > 0)); /* 2 x 2 alone is left to become 1 x 1 */
  check_batch(resampler, to, sizes, count);
  for (int32_t first = 0, n = 1; first + n <= count; first += n++) check_batch(resampler, to, sizes + first, n);
  pmn_ocl_resampler_destroy(resampler);
}

static void sizes(void **unused) {
  (void)unused;
  static const int32_t targets[][2] = {{224, 224}, {100, 37}, {29, 150}, {5, 4}, {1, 1}, {200, 230}};
  state = 7;
  for (int f = PMN_FILTER_NEAREST; f <= PMN_FILTER_BICUBIC; f++) {
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
      check_target(&(target){(pmn_filter)f, targets[i][0], targets[i][1]});
    }
  }
}

/* Batches of pictures that all have the size already, alone and between others. */
static void copied(void **unused) {
  (void)unused;
  for (int f = PMN_FILTER_NEAREST; f <= PMN_FILTER_BICUBIC; f++) {
    const target to = {(pmn_filter)f, 60, 50};
    pmn_ocl_resampler *resampler = resampler_of(&to);
    check_batch(resampler, &to, (pmn_picture_size[]){{60, 50}, {60, 50}, {60, 50}}, 3);
    check_batch(resampler, &to, (pmn_picture_size[]){{60, 50}, {50, 60}, {60, 50}}, 3);
    check_batch(resampler, &to, (pmn_picture_size[]){{60, 50}}, 1);
    pmn_ocl_resampler_destroy(resampler);
  }
}

/* Three batches are under way before the first is looked at, each larger than the one before and with its sizes: what
 * they share grows meanwhile, and moves. */
static void under_way(void **unused) {
  (void)unused;
  enum { BATCHES = 3 };
  pmn_err err = PMN_ERR_INIT;
  const target to = {PMN_FILTER_BICUBIC, 90, 80};
  for (int round = 0; round < 3; round++) {
    static batch batches[BATCHES];
    pmn_ocl_resampler *resampler = resampler_of(&to);
    for (int k = 0; k < BATCHES; k++) {
      batches[k].n = 7 + 20 * k;
      for (int32_t i = 0; i < batches[k].n; i++)
        batches[k].sizes[i] = k > 0 && i < batches[k - 1].n ? batches[k - 1].sizes[i] : size_draw(&to);
      batch_begin(&batches[k], &to);
    }
    for (int k = 0; k < BATCHES; k++) check_ok(batch_run(resampler, &batches[k], &err));
    for (int k = 0; k < BATCHES; k++) batch_check(&batches[k], &to);
    for (int k = 0; k < BATCHES; k++) batch_end(&batches[k]);
    pmn_ocl_resampler_destroy(resampler);
  }
}

/* More tables than are kept, 2^22 ints: each of these has 224 * 49 or more. The first sizes come again at the end. */
static void tables(void **unused) {
  (void)unused;
  enum { N = 32 };
  const target to = {PMN_FILTER_BICUBIC, 224, 8};
  pmn_ocl_resampler *resampler = resampler_of(&to);
  int32_t ints = 0;
  for (int32_t round = 0; ints < 1 << 22 || round < 4; round++) {
    pmn_picture_size s[N];
    for (int32_t i = 0; i < N; i++, ints += 224 * 49) s[i] = (pmn_picture_size){3000 - N * round - i, 2};
    check_batch(resampler, &to, s, N);
  }
  pmn_picture_size s[N];
  for (int32_t i = 0; i < N; i++) s[i] = (pmn_picture_size){3000 - i, 2};
  for (int round = 0; round < 2; round++) check_batch(resampler, &to, s, N);
  pmn_ocl_resampler_destroy(resampler);
}

static void refusals(void **unused) {
  (void)unused;
  pmn_err err = PMN_ERR_INIT;
  pmn_ocl_resampler *resampler = NULL;
  static const int32_t targets[][2] = {{0, 5}, {5, -1}, {16384, 16384}, {1 << 28, 1}, {1, 1 << 28}};
  for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
    check_fails(pmn_ocl_resampler_create(device, PMN_FILTER_BICUBIC, targets[i][0], targets[i][1], &resampler, &err),
        PMN_STATUS_ARGUMENT, "cannot resize");
    assert_null(resampler);
  }
  const target to = {PMN_FILTER_BILINEAR, 10, 20};
  resampler = resampler_of(&to);
  static const pmn_picture_size refused[] = {
      {0, 5}, {5, 0}, {-5, -5}, {21, 40}, {20, 41}, {161, 1}, {1, 321}, {INT32_MAX, INT32_MAX}};
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
    pmn_picture_size s[] = {{10, 20}, refused[i]};
    size_t bytes;
    pmn_ocl_resample_batch work;
    pmn_ocl_resample_batch_init(&work);
    check_fails(pmn_ocl_resampler_bytes(resampler, s, 2, &bytes, &err), PMN_STATUS_ARGUMENT, "is not resized");
    check_fails(pmn_ocl_resampler_run(resampler, &work, s, 2, NULL, NULL, &err), PMN_STATUS_ARGUMENT, "is not resized");
    pmn_ocl_resample_batch_reset(&work);
  }
  check_batch(resampler, &to, (pmn_picture_size[]){{160, 5}, {2, 320}, {20, 40}}, 3); /* the largest that are not */
  pmn_ocl_resampler_destroy(resampler);
}

/* Memory runs out anywhere: an error, no leak, and the same resampler goes on when there is some again. */
static void memory(void **unused) {
  (void)unused;
  const target to = {PMN_FILTER_BICUBIC, 40, 30};
  int failures = 0;
  bool done = false;
  for (int64_t k = 0; !done; k++) {
    pmn_err err = PMN_ERR_INIT;
    pmn_ocl_resampler *resampler = NULL;
    batch b = {.n = 3, .sizes = {{50, 50}, {40, 60}, {20, 30}}};
    batch_begin(&b, &to);
    pmn_mem_fail_after(k);
    pmn_status st = pmn_ocl_resampler_create(device, to.filter, to.width, to.height, &resampler, &err);
    if (st == PMN_STATUS_OK) st = batch_run(resampler, &b, &err);
    done = pmn_mem_fail_after(-1) <= k;
    if (st != PMN_STATUS_OK) {
      assert_int_equal(st, PMN_STATUS_NO_MEMORY);
      failures++;
    }
    if (resampler != NULL) check_ok(batch_run(resampler, &b, &err));
    if (resampler != NULL) batch_check(&b, &to);
    batch_end(&b);
    pmn_ocl_resampler_destroy(resampler);
  }
  assert_true(failures >= 15);
}

static int run_family(const char *family) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sizes),
      cmocka_unit_test(copied),
      cmocka_unit_test(under_way),
      cmocka_unit_test(tables),
      cmocka_unit_test(refusals),
      cmocka_unit_test(memory),
  };
  pmn_err err = PMN_ERR_INIT;
  const pmn_device_options options = {.index = -1, .threads = 1, .isa = family};
  pmn_device *opened;
  if (pmn_device_open(pmn_backend_find("opencl"), &options, &opened, &err) != PMN_STATUS_OK) {
    fprintf(stderr, "%s\n", err.message);
    return 1;
  }
  device = (pmn_ocl_device *)opened;
  int failures = cmocka_run_group_tests_name(family, tests, NULL, NULL);
  pmn_device_close(opened);
  return failures;
}

int main(void) {
  pmn_device_info info;
  int32_t count = 0;
  if (pmn_backend_find("opencl")->devices(&info, 1, &count, NULL) != PMN_STATUS_OK || count == 0) return 77;
  return check_exit(run_family("vector") + run_family("tile"));
}
