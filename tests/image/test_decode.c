/* test_decode.c - pixels against Pillow's, of made-up pictures in every layout and of real ones; unknown formats,
 * limits, and that one picture leaves nothing behind for the next. */
#include "image_check.h"

#include "pmn_mem.h"

/* Says where the first difference is: a hash would not. */
static void check_pixels(const char *name, const pmn_image *image, const check_npy *expected) {
  if (expected->shape[0] != image->height || expected->shape[1] != image->width || expected->shape[2] != 3)
    fail_msg("%s: %d x %d pixels, Pillow has %d x %d", name, (int)image->width, (int)image->height,
        (int)expected->shape[1], (int)expected->shape[0]);
  const uint8_t *theirs = expected->data;
  size_t wrong = 0, first = 0;
  for (size_t i = 0; i < image_size(image); i++) {
    if (image->rgb[i] == theirs[i]) continue;
    if (wrong++ == 0) first = i;
  }
  if (wrong > 0)
    fail_msg("%s: %zu of %zu bytes differ, the first at x %zu, y %zu, colour %zu: %d, Pillow has %d", name, wrong,
        image_size(image), first / 3 % (size_t)image->width, first / 3 / (size_t)image->width, first % 3,
        image->rgb[first], theirs[first]);
}

static void pixels_are_pillows(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  pmn_decoder *decoder = image_decoder(0);
  FILE *table = image_table("image_decode.csv");
  char line[1024], path[2048], *name[8];
  int count = 0;
  for (; image_row(table, line, name, 1); count++) {
    pmn_buf bytes = image_file(GOLDEN "image_decode/", name[0]);
    snprintf(path, sizeof path, "tests/golden/image_decode/%s.npy", name[0]);
    check_npy expected = check_npy_read(path);
    pmn_image image;
    pmn_status status = pmn_decoder_run(decoder, bytes.data, bytes.size, &image, &err);
    if (status != PMN_STATUS_OK) fail_msg("%s: %s", name[0], err.message);
    check_pixels(name[0], &image, &expected);
    free(expected.data);
    pmn_buf_reset(&bytes);
  }
  assert_int_equal(count, 70);
  fclose(table);
  pmn_decoder_destroy(decoder);
}

static void real_pictures_are_pillows(void **state) {
  (void)state;
  static const pmn_filter filters[] = {PMN_FILTER_NEAREST, PMN_FILTER_BILINEAR, PMN_FILTER_BICUBIC};
  const char *fruits = check_fruits();
  if (fruits == NULL) {
    print_message("skipped: no ../shared/fruits-360\n");
    check_skip();
  }
  pmn_err err = PMN_ERR_INIT;
  pmn_decoder *decoder = image_decoder(0);
  uint8_t *out = malloc(224 * 224 * 3);
  FILE *table = image_table("image_fruits.csv");
  char line[1024], folder[4096], hex[PMN_SHA256_HEX_SIZE], *fields[8];
  int count = 0;
  snprintf(folder, sizeof folder, "%s/", fruits);
  for (; image_row(table, line, fields, 5); count++) {
    pmn_buf bytes = image_file(folder, fields[0]);
    pmn_image image;
    check_ok(pmn_decoder_run(decoder, bytes.data, bytes.size, &image, &err));
    image_hash(image.rgb, image_size(&image), hex);
    if (strcmp(hex, fields[1]) != 0) fail_msg("%s: decoded pixels differ from Pillow's", fields[0]);
    for (int f = 0; f < 3; f++) {
      pmn_resampler *resampler = NULL;
      check_ok(pmn_resampler_create(filters[f], 224, 224, &resampler, &err));
      check_ok(pmn_resampler_run(resampler, &image, out, &err));
      image_hash(out, 224 * 224 * 3, hex);
      if (strcmp(hex, fields[2 + f]) != 0) fail_msg("%s: filter %d differs from Pillow's", fields[0], f);
      pmn_resampler_destroy(resampler);
    }
    pmn_buf_reset(&bytes);
  }
  assert_int_equal(count, 20);
  fclose(table);
  free(out);
  pmn_decoder_destroy(decoder);
}

static void other_formats_are_named(void **state) {
  (void)state;
  static const struct {
    const char *bytes;
    size_t size;
    const char *said;
  } cases[] = {
      {"", 0, "empty"},
      {"GIF89a\1\0\1\0", 10, "looks like GIF"},
      {"BM\x46\0\0\0\0\0", 8, "looks like BMP"},
      {"II*\0\x08\0\0\0", 8, "looks like TIFF"},
      {"MM\0*\0\0\0\x08", 8, "looks like TIFF"},
      {"\0\0\0\x18"
       "ftypheic\0\0\0\0",
          16, "looks like HEIC"},
      {"\0\0\0\x1c"
       "ftypavif\0\0\0\0",
          16, "looks like AVIF"},
      {"\0\0\0\x20"
       "ftypisom\0\0\0\0",
          16, "looks like a film"},
      {"\0\0\0\x0cjP  \r\n\x87\n", 12, "looks like JPEG 2000"},
      {"%PDF-1.4\n", 9, "looks like PDF"},
      {"<!DOCTYPE html>", 15, "looks like HTML"},
      {"path,label\n", 11, "looks like text"},
      {"\xc3\xa9t\xc3\xa9\n", 6, "looks like text"},
      {"\0\0\0\0\0\0", 6, "zero bytes"},
      {"\x01\x02\x03\xff", 4, "no picture format we know"},
      {"\xff\xd8", 2, "no picture format we know"},
      {"RIFF\x24\0\0\0WAVEfmt ", 16, "no picture format we know"},
  };
  pmn_err err = PMN_ERR_INIT;
  pmn_decoder *decoder = image_decoder(0);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    pmn_image image = {.width = 1};
    /* On the heap and just as long, so that a sanitizer sees a byte read too many. */
    char *bytes = malloc(cases[i].size + (cases[i].size == 0));
    memcpy(bytes, cases[i].bytes, cases[i].size);
    check_fails(pmn_decoder_run(decoder, bytes, cases[i].size, &image, &err), PMN_STATUS_IMAGE, cases[i].said);
    assert_int_equal(image.width, 0);
    free(bytes);
  }
  pmn_decoder_destroy(decoder);
}

static void limit_on_pixels_holds(void **state) {
  (void)state;
  static const char *const names[] = {"rgb_420.jpg", "png_filtered_rgb.png", "webp_lossy.webp", "webp_animated.webp"};
  pmn_err err = PMN_ERR_INIT;
  pmn_decoder *exact = image_decoder(37 * 23), *less = image_decoder(37 * 23 - 1);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    pmn_image image;
    pmn_buf bytes = image_file(GOLDEN "image_decode/", names[i]);
    check_ok(pmn_decoder_run(exact, bytes.data, bytes.size, &image, &err));
    check_fails(pmn_decoder_run(less, bytes.data, bytes.size, &image, &err), PMN_STATUS_IMAGE, "over the limit of 850");
    pmn_buf_reset(&bytes);
  }
  pmn_decoder_destroy(exact);
  pmn_decoder_destroy(less);
}

static void pictures_leave_nothing_behind(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  pmn_image image;
  pmn_decoder *decoder = image_decoder(0);
  pmn_buf bytes = image_file(GOLDEN "image_decode/", "rgb_420.jpg");
  check_ok(pmn_decoder_run(decoder, bytes.data, bytes.size, &image, &err));
  /* The same picture without its quantisation tables: those of the picture before must not be used. */
  char *table = NULL;
  for (size_t i = 0; i + 1 < bytes.size; i++) {
    if ((uint8_t)bytes.data[i] != 0xff || (uint8_t)bytes.data[i + 1] != 0xdb) continue;
    table = bytes.data + i;
    table[1] = (char)0xed; /* an application's segment, skipped */
  }
  assert_non_null(table);
  check_fails(pmn_decoder_run(decoder, bytes.data, bytes.size, &image, &err), PMN_STATUS_IMAGE, "table");
  pmn_buf_reset(&bytes);
  pmn_decoder_destroy(decoder);
}

/* Every allocation of a decode and a resize fails once: the status says so, nothing leaks, and the next call works. */
static void memory_may_fail_anywhere(void **state) {
  (void)state;
  static const char *const names[] = {
      "rgb_420.jpg", "cmyk.jpg", "png_rgb_8.png", "png_grey_16_interlaced.png", "webp_animated_part.webp"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    pmn_buf bytes = image_file(GOLDEN "image_decode/", names[i]);
    int64_t failed = 0;
    for (bool passed = false; !passed; failed++) {
      pmn_err err = PMN_ERR_INIT;
      pmn_image_limits limits = PMN_IMAGE_LIMITS_DEFAULT;
      pmn_decoder *decoder = NULL;
      pmn_resampler *resampler = NULL;
      pmn_image image;
      static uint8_t out[64 * 64 * 3];
      pmn_mem_fail_after(failed);
      pmn_status status = pmn_decoder_create(&limits, &decoder, &err);
      if (status == PMN_STATUS_OK) status = pmn_resampler_create(PMN_FILTER_BICUBIC, 64, 64, &resampler, &err);
      if (status == PMN_STATUS_OK) status = pmn_decoder_run(decoder, bytes.data, bytes.size, &image, &err);
      if (status == PMN_STATUS_OK) status = pmn_resampler_run(resampler, &image, out, &err);
      pmn_mem_fail_after(-1);
      passed = status == PMN_STATUS_OK;
      if (!passed && status != PMN_STATUS_NO_MEMORY)
        fail_msg("%s, allocation %d: status %d, %s", names[i], (int)failed, (int)status, err.message);
      if (!passed) assert_true(err.message[0] != '\0');
      if (!passed && resampler != NULL) {
        check_ok(pmn_decoder_run(decoder, bytes.data, bytes.size, &image, &err));
        check_ok(pmn_resampler_run(resampler, &image, out, &err));
      }
      pmn_resampler_destroy(resampler);
      pmn_decoder_destroy(decoder);
    }
    assert_in_range(failed, 12, 100); /* the allocations are really counted */
    pmn_buf_reset(&bytes);
  }
}

/* A picture too large for the memory there is: the small ones after it still pass. */
static void memory_may_fail_between_pictures(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  pmn_image small = {0}, large = {0};
  pmn_decoder *decoder = image_decoder(0), *other = image_decoder(0);
  pmn_resampler *resampler = NULL;
  static uint8_t out[20 * 20 * 3];
  pmn_buf one = image_file(GOLDEN "image_decode/", "one_row.jpg"), two = image_file(GOLDEN "image_decode/", "cmyk.jpg");
  check_ok(pmn_resampler_create(PMN_FILTER_BICUBIC, 20, 20, &resampler, &err));
  check_ok(pmn_decoder_run(other, two.data, two.size, &large, &err));
  for (int64_t after = 0; after < 12; after++) {
    check_ok(pmn_decoder_run(decoder, one.data, one.size, &small, &err));
    check_ok(pmn_resampler_run(resampler, &small, out, &err));
    pmn_mem_fail_after(after);
    pmn_status status = pmn_resampler_run(resampler, &large, out, &err);
    pmn_mem_fail_after(after > 1 ? 1 : after);
    pmn_image image;
    pmn_status decoded = pmn_decoder_run(decoder, two.data, two.size, &image, &err);
    pmn_mem_fail_after(-1);
    if (after == 0) assert_int_equal(status, PMN_STATUS_NO_MEMORY);
    if (after < 2) assert_int_equal(decoded, PMN_STATUS_NO_MEMORY);
  }
  pmn_buf_reset(&one);
  pmn_buf_reset(&two);
  pmn_resampler_destroy(resampler);
  pmn_decoder_destroy(decoder);
  pmn_decoder_destroy(other);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(pixels_are_pillows),
      cmocka_unit_test(real_pictures_are_pillows),
      cmocka_unit_test(other_formats_are_named),
      cmocka_unit_test(limit_on_pixels_holds),
      cmocka_unit_test(pictures_leave_nothing_behind),
      cmocka_unit_test(memory_may_fail_anywhere),
      cmocka_unit_test(memory_may_fail_between_pictures),
  };
  return check_exit(cmocka_run_group_tests(tests, NULL, NULL));
}
