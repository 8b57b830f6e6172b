/* test_resample.c - Pillow's Image.resize, to the bit, over sizes that grow, shrink, stay and go down to one pixel. */
#include "image_check.h"

/* The made-up pictures of make_image.py. */
static uint8_t *made_up(const char *kind, int32_t width, int32_t height) {
  size_t size = (size_t)width * (size_t)height * 3;
  uint8_t *rgb = malloc(size);
  uint32_t random = 12345;
  for (size_t i = 0; i < size; i++) {
    size_t x = i / 3 % (size_t)width, y = i / 3 / (size_t)width, c = i % 3;
    random = random * 1664525u + 1013904223u;
    if (strcmp(kind, "ramp") == 0)
      rgb[i] = (uint8_t)(x * (c + 1) * 3 + y * (3 - c) * 2);
    else if (strcmp(kind, "extremes") == 0)
      rgb[i] = random >> 31 ? 255 : 0;
    else
      rgb[i] = (uint8_t)(random >> 24);
  }
  return rgb;
}

/* Runs twice, since the second run finds its weights made, into a fenced buffer. */
static void check_resized(
    pmn_resampler *resampler, const pmn_image *image, int32_t width, int32_t height, const char *expected) {
  pmn_err err = PMN_ERR_INIT;
  char hex[PMN_SHA256_HEX_SIZE];
  size_t size = (size_t)width * (size_t)height * 3;
  uint8_t *out = malloc(size + 32);
  for (int run = 0; run < 2; run++) {
    memset(out, 0xa5, size + 32);
    check_ok(pmn_resampler_run(resampler, image, out + 16, &err));
    for (size_t i = 0; i < 16; i++)
      if (out[i] != 0xa5 || out[size + 16 + i] != 0xa5) fail_msg("bytes beside the output were written");
    image_hash(out + 16, size, hex);
    if (strcmp(hex, expected) != 0)
      fail_msg(
          "%d x %d to %d x %d differs from Pillow's", (int)image->width, (int)image->height, (int)width, (int)height);
  }
  free(out);
}

static void sizes_are_pillows(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  FILE *table = image_table("image_resample.csv");
  char line[1024], *f[8];
  int count = 0;
  for (; image_row(table, line, f, 7); count++) {
    pmn_image image = {.width = atoi(f[1]), .height = atoi(f[2])};
    int32_t width = atoi(f[3]), height = atoi(f[4]);
    uint8_t *rgb = made_up(f[0], image.width, image.height);
    pmn_filter filter;
    pmn_resampler *resampler = NULL;
    image.rgb = rgb;
    assert_true(pmn_filter_find(f[5], &filter));
    check_ok(pmn_resampler_create(filter, width, height, &resampler, &err));
    check_resized(resampler, &image, width, height, f[6]);
    pmn_resampler_destroy(resampler);
    free(rgb);
  }
  assert_int_equal(count, 396);
  fclose(table);
}

/* One resampler for pictures of several sizes: weights of the size before must not be used. */
static void sizes_may_change(void **state) {
  (void)state;
  static const char *const filters[] = {"nearest", "bilinear", "bicubic"};
  pmn_err err = PMN_ERR_INIT;
  for (int i = 0; i < 3; i++) {
    pmn_filter filter;
    pmn_resampler *resampler = NULL;
    char line[1024], *f[8];
    int count = 0;
    assert_true(pmn_filter_find(filters[i], &filter));
    check_ok(pmn_resampler_create(filter, 224, 224, &resampler, &err));
    FILE *table = image_table("image_resample.csv");
    while (image_row(table, line, f, 7)) {
      if (strcmp(f[5], filters[i]) != 0 || atoi(f[3]) != 224 || atoi(f[4]) != 224) continue;
      pmn_image image = {.width = atoi(f[1]), .height = atoi(f[2])};
      uint8_t *rgb = made_up(f[0], image.width, image.height);
      image.rgb = rgb;
      check_resized(resampler, &image, 224, 224, f[6]);
      free(rgb);
      count++;
    }
    assert_int_equal(count, 9);
    fclose(table);
    pmn_resampler_destroy(resampler);
  }
}

static void filters_have_names(void **state) {
  (void)state;
  pmn_filter filter = PMN_FILTER_NEAREST;
  assert_true(pmn_filter_find("bicubic", &filter));
  assert_int_equal(filter, PMN_FILTER_BICUBIC);
  assert_true(pmn_filter_find("bilinear", &filter));
  assert_int_equal(filter, PMN_FILTER_BILINEAR);
  assert_true(pmn_filter_find("nearest", &filter));
  assert_int_equal(filter, PMN_FILTER_NEAREST);
  assert_false(pmn_filter_find("lanczos", &filter));
  assert_false(pmn_filter_find("", &filter));
}

static void sizes_below_one_are_refused(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  pmn_resampler *resampler = NULL;
  check_fails(pmn_resampler_create(PMN_FILTER_BICUBIC, 0, 5, &resampler, &err), PMN_STATUS_ARGUMENT, "0 x 5");
  check_fails(pmn_resampler_create(PMN_FILTER_BICUBIC, 5, -1, &resampler, &err), PMN_STATUS_ARGUMENT, "5 x -1");
  assert_null(resampler);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sizes_are_pillows),
      cmocka_unit_test(sizes_may_change),
      cmocka_unit_test(filters_have_names),
      cmocka_unit_test(sizes_below_one_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
