/* test_resize_device.c - pictures that an OpenCL device resizes, whichever there is: tables, lists of rejects and parts
 * are byte for byte what they are when the threads of the feed resize. */
#include "extract_check.h"

#include "pmn_backend.h"

#include <png.h>

/* For a network of 64 x 64: in the right size already, smaller, larger, of one pixel a side, in either order of passes;
 * and too large to go to a device as they are, in pixels or in one direction. */
static const int sizes[][2] = {{64, 64}, {1, 1}, {64, 100}, {100, 64}, {63, 65}, {128, 128}, {20, 700}, {80, 200},
    {200, 80}, {1024, 3}, {3, 1024}, {31, 47}, {64, 64}, {90, 110}, {129, 128}, {1025, 3}, {2, 1030}, {300, 310}};
enum { SIZES = sizeof sizes / sizeof *sizes };

/* Noise on slopes: what is off by one pixel or one unit shows. */
static void make_pictures(const char *where) {
  static uint8_t rgb[300 * 310 * 3];
  uint32_t state = 5;
  for (int i = 0; i < SIZES; i++) {
    int width = sizes[i][0], height = sizes[i][1];
    char path[512];
    for (int k = 0; k < width * height * 3; k++) {
      state = state * 1664525 + 1013904223;
      rgb[k] = (uint8_t)(k / 3 % width * 3 + k / 3 / width * 2 + (int)(state >> 26));
    }
    png_image png = {.version = PNG_IMAGE_VERSION,
        .width = (png_uint_32)width,
        .height = (png_uint_32)height,
        .format = PNG_FORMAT_RGB};
    snprintf(path, sizeof path, "%s/%02d_p.png", where, i);
    assert_int_equal(png_image_write_to_file(&png, path, 0, rgb, 0, NULL), 1);
  }
}

/* Pictures of all sizes between the orchard's, and bad ones. */
static const char *make_source(void) {
  static char source[128];
  snprintf(source, sizeof source, "%s/pictures", folder);
  shell("cp -r '%s' '%s'", mixed, source);
  make_pictures(source);
  return source;
}

static pmn_extract_options on_device(const char *source, const char *output, const char *who, int32_t batch) {
  setenv("POMONA_RESIZE", who, 1);
  pmn_extract_options options = options_for(source, output);
  options.backend = "opencl";
  options.width = options.height = 64;
  options.batch = batch;
  options.overwrite = true;
  return options;
}

static void tables_are_the_same(void **state) {
  (void)state;
  static const char *const filters[] = {"bicubic", "bilinear", "nearest"};
  static const int32_t batches[] = {32, 1, 7};
  const char *source = make_source();
  for (int i = 0; i < 3; i++) {
    pmn_extract_options options = on_device(source, "host.csv", "host", 32);
    options.resize = filters[i];
    pmn_counts counts = extract_counts(&options);
    assert_int_equal(counts.rows, PICTURES + SIZES);
    assert_int_equal(counts.rejects, MIXED_BAD);
    options = on_device(source, "device.csv", "device", batches[i]);
    options.resize = filters[i];
    counts = extract_counts(&options);
    assert_int_equal(counts.rejects, MIXED_BAD);
    check_same_file(in_folder("device.csv"), in_folder("host.csv"));
    check_same_file(in_folder("device.csv.rejects.csv"), in_folder("host.csv.rejects.csv"));
  }
}

static void parts_and_fits(void **state) {
  (void)state;
  const char *source = make_source();
  for (int device = 0; device < 2; device++) {
    pmn_extract_options options =
        on_device(source, device ? "device/" : "host/", device ? "device" : "host", device ? 4 : 32);
    options.parts = 3;
    options.format = "csv";
    options.statistics.pca_components = 2;
    (void)extract_counts(&options);
  }
  check_same_file(in_folder("device/part-00000.csv"), in_folder("host/part-00000.csv"));
  check_same_file(in_folder("device/part-00001.csv"), in_folder("host/part-00001.csv"));
  check_same_file(in_folder("device/part-00002.csv"), in_folder("host/part-00002.csv"));
}

/* A word that is none is told before anything is made. */
static void who_is_checked(void **state) {
  (void)state;
  pmn_summary *summary;
  pmn_err err;
  pmn_extract_options options = on_device(mixed, "table.csv", "somebody", 4);
  check_fails(extract(&options, &summary, &err), PMN_STATUS_ARGUMENT, "POMONA_RESIZE");
  assert_int_not_equal(access(in_folder("table.csv"), F_OK), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      in_fresh_folder(tables_are_the_same),
      in_fresh_folder(parts_and_fits),
      in_fresh_folder(who_is_checked),
  };
  return has_opencl() ? check_exit(cmocka_run_group_tests(tests, make_orchard, remove_orchard)) : 77;
}
