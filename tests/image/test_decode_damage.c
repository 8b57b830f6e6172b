/* test_decode_damage.c - damaged files: every one gives pixels or a reason, and the verdict on JPEGs is Pillow's. */
#define _GNU_SOURCE /* memmem */
#include "image_check.h"

#include <dirent.h>

static pmn_status run_exact(pmn_decoder *decoder, const char *bytes, size_t size, pmn_image *image, pmn_err *err) {
  /* On the heap and just as long, so that a sanitizer sees a byte read too many. */
  char *copy = malloc(size + (size == 0));
  memcpy(copy, bytes, size);
  pmn_status status = pmn_decoder_run(decoder, copy, size, image, err);
  free(copy);
  return status;
}

static void cut_files_are_refused(void **state) {
  (void)state;
  static const char *const names[] = {"rgb_420.jpg", "progressive_420.jpg", "cmyk.jpg", "png_filtered_rgb.png",
      "png_palette_4_interlaced.png", "webp_lossy.webp", "webp_lossless_alpha.webp", "webp_lossy_alpha.webp",
      "webp_animated_part.webp"};
  pmn_decoder *decoder = image_decoder(0);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    pmn_buf bytes = image_file(GOLDEN "image_decode/", names[i]);
    /* A JPEG's last two bytes are its end marker, which Pillow does not miss once all rows are out. */
    size_t forgiven = strstr(names[i], ".jpg") != NULL ? 2 : 0;
    for (size_t size = 0; size < bytes.size; size++) {
      pmn_err err = PMN_ERR_INIT;
      pmn_image image;
      pmn_status status = run_exact(decoder, bytes.data, size, &image, &err);
      if (status == PMN_STATUS_OK && size + forgiven >= bytes.size) continue;
      if (status != PMN_STATUS_IMAGE || err.message[0] == '\0' || strchr(err.message, '\n') != NULL)
        fail_msg("%s cut to %zu of %zu bytes: status %d, \"%s\"", names[i], size, bytes.size, (int)status, err.message);
      if (size > 100 && strstr(err.message, "cut short") == NULL)
        fail_msg("%s cut to %zu of %zu bytes: \"%s\"", names[i], size, bytes.size, err.message);
    }
    pmn_buf_reset(&bytes);
  }
  pmn_decoder_destroy(decoder);
}

/* Every byte of the file is changed in turn, by every bit of `flips`: no crash, no silent failure. */
static void changed_bytes_do_no_harm(void **state) {
  (void)state;
  static const char *const names[] = {"rgb_420.jpg", "progressive_420.jpg", "ycck.jpg", "png_palette_4_interlaced.png",
      "png_grey_16.png", "webp_lossy_alpha.webp", "webp_animated_part.webp"};
  static const uint8_t flips[] = {0x01, 0x80, 0xff};
  pmn_decoder *decoder = image_decoder(1000 * 1000);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    pmn_buf bytes = image_file(GOLDEN "image_decode/", names[i]);
    for (size_t at = 0; at < bytes.size * sizeof flips; at++) {
      pmn_err err = PMN_ERR_INIT;
      pmn_image image;
      uint8_t flip = flips[at % sizeof flips];
      bytes.data[at / sizeof flips] ^= (char)flip;
      pmn_status status = run_exact(decoder, bytes.data, bytes.size, &image, &err);
      if (status != PMN_STATUS_OK && (status != PMN_STATUS_IMAGE || err.message[0] == '\0'))
        fail_msg("%s, byte %zu: status %d, \"%s\"", names[i], at / sizeof flips, (int)status, err.message);
      if (status == PMN_STATUS_OK) assert_in_range(image_size(&image), 3, 3000000);
      bytes.data[at / sizeof flips] ^= (char)flip;
    }
    pmn_buf_reset(&bytes);
  }
  pmn_decoder_destroy(decoder);
}

/* Headers that claim far more than the file can hold are refused before memory is taken. */
static void lying_headers_are_refused(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  pmn_image image;
  pmn_decoder *decoder = image_decoder(0);

  pmn_buf jpeg = image_file(GOLDEN "image_decode/", "rgb_420.jpg");
  char *frame = memmem(jpeg.data, jpeg.size, "\xff\xc0", 2);
  assert_non_null(frame);
  memcpy(frame + 5, "\x20\x00\x20\x00", 4); /* 8192 x 8192 */
  check_fails(pmn_decoder_run(decoder, jpeg.data, jpeg.size, &image, &err), PMN_STATUS_IMAGE, "cannot be held");
  memcpy(frame + 5, "\xff\xdc\xff\xdc", 4); /* libjpeg's largest */
  check_fails(pmn_decoder_run(decoder, jpeg.data, jpeg.size, &image, &err), PMN_STATUS_IMAGE, "over the limit");
  memcpy(frame + 5, "\0\x17\0\0", 4);
  check_fails(
      pmn_decoder_run(decoder, jpeg.data, jpeg.size, &image, &err), PMN_STATUS_IMAGE, "JPEG: the file is damaged");
  pmn_buf_reset(&jpeg);

  /* 9000 x 9000 of RGB, with the check sum it needs. */
  static const char png[] = "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x23\x28\0\0\x23\x28\x08\x02\0\0\0\xe2\xb7\xe5\xed"
                            "\0\0\0\0IDAT\x35\xaf\x06\x1e";
  check_fails(pmn_decoder_run(decoder, png, sizeof png - 1, &image, &err), PMN_STATUS_IMAGE, "cannot be held");

  pmn_buf webp = image_file(GOLDEN "image_decode/", "webp_animated_part.webp");
  memcpy(webp.data + 24, "\xff\x3f\0\xff\x3f\0", 6); /* a canvas of 16384 x 16384 */
  check_fails(pmn_decoder_run(decoder, webp.data, webp.size, &image, &err), PMN_STATUS_IMAGE, "over the limit");
  memcpy(webp.data + 24, "\x10\0\0\x10\0\0", 6); /* smaller than the frame */
  check_fails(pmn_decoder_run(decoder, webp.data, webp.size, &image, &err), PMN_STATUS_IMAGE, "damaged");
  pmn_buf_reset(&webp);
  pmn_decoder_destroy(decoder);
}

/* 4.7 megapixels of one colour in nineteen thousand bytes are no lie. */
static void solid_pictures_are_no_lie(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  pmn_image image;
  pmn_decoder *decoder = image_decoder(0);
  pmn_buf bytes = image_file(GOLDEN, "image_solid.jpg");
  assert_in_range(bytes.size, 1, 2304 * 2048 / 250);
  check_ok(pmn_decoder_run(decoder, bytes.data, bytes.size, &image, &err));
  assert_int_equal(image_size(&image), 2304 * 2048 * 3);
  for (size_t i = 0; i < image_size(&image); i++) {
    if (image.rgb[i] != 200) fail_msg("byte %zu is %d", i, image.rgb[i]);
  }
  pmn_buf_reset(&bytes);
  pmn_decoder_destroy(decoder);
}

/* A small file whose last scan is said six hundred times over: hours of work, if it were a large one. */
static void endless_scans_are_refused(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  pmn_image image;
  pmn_decoder *decoder = image_decoder(0);
  pmn_buf file = image_file(GOLDEN "image_decode/", "progressive_444.jpg"), many;
  char *scan = NULL;
  for (char *p = file.data; (p = memmem(p, file.size - (size_t)(p - file.data), "\xff\xda", 2)) != NULL; p += 2)
    scan = p;
  assert_non_null(scan);
  size_t before = (size_t)(scan - file.data), length = file.size - before - 2;
  for (int times = 400; times <= 600; times += 200) {
    pmn_buf_init(&many, 1 << 24);
    check_ok(pmn_buf_append(&many, file.data, before, &err));
    for (int i = 0; i < times; i++) check_ok(pmn_buf_append(&many, scan, length, &err));
    check_ok(pmn_buf_append(&many, "\xff\xd9", 2, &err));
    pmn_status status = run_exact(decoder, many.data, many.size, &image, &err);
    if (status != (times == 400 ? PMN_STATUS_OK : PMN_STATUS_IMAGE)) fail_msg("%d scans: %s", times, err.message);
    pmn_buf_reset(&many);
  }
  assert_non_null(strstr(err.message, "scans"));
  pmn_buf_reset(&file);
  pmn_decoder_destroy(decoder);
}

static int table_find(char names[][1024], int count, const char *name) {
  for (int i = 0; i < count; i++)
    if (strcmp(names[i], name) == 0) return i;
  return -1;
}

/* The pixels of damaged data are what libjpeg-turbo's vector code makes of them: on another architecture others. */
#if defined(__x86_64__)
static const bool same_pixels = true;
#else
static const bool same_pixels = false;
#endif

/* Pillow opens 116 of them and refuses 799. We open those 116, with the same pixels, and two more: one whose segments
 * Pillow's own parser, not libjpeg, refuses, and one that libjpeg-turbo 2.1 forgives and 3 does not. */
static void malformed_jpegs_get_pillows_verdict(void **state) {
  (void)state;
  static const char folder[] = PMN_SOURCE_DIR "/../shared/bad-jpeg/files/";
  static char names[200][1024], hashes[200][1024];
  DIR *files = opendir(folder);
  if (files == NULL) {
    print_message("skipped: no ../shared/bad-jpeg\n");
    check_skip();
  }
  FILE *table = image_table("image_bad_jpeg.csv");
  char line[1024], hex[PMN_SHA256_HEX_SIZE], *fields[8];
  int listed = 0, seen = 0, opened = 0, beyond = 0, compared = 0;
  for (; image_row(table, line, fields, 2); listed++) {
    snprintf(names[listed], sizeof names[listed], "%s", fields[0]);
    snprintf(hashes[listed], sizeof hashes[listed], "%s", fields[1]);
  }
  fclose(table);

  pmn_decoder *decoder = image_decoder(0);
  for (struct dirent *entry = readdir(files); entry != NULL; entry = readdir(files)) {
    if (entry->d_name[0] == '.') continue;
    pmn_err err = PMN_ERR_INIT;
    pmn_image image;
    pmn_buf bytes = image_file(folder, entry->d_name);
    pmn_status status = run_exact(decoder, bytes.data, bytes.size, &image, &err);
    int row = table_find(names, listed, entry->d_name);
    seen++;
    if (status == PMN_STATUS_OK) {
      opened++;
      beyond += row < 0;
    } else if (row >= 0) {
      fail_msg("%s: Pillow opens it, we do not: %s", entry->d_name, err.message);
    } else if (status != PMN_STATUS_IMAGE || err.message[0] == '\0') {
      fail_msg("%s: status %d, \"%s\"", entry->d_name, (int)status, err.message);
    } else if (strstr(err.message, "uspen") != NULL) {
      fail_msg("%s: cut short, but called \"%s\"", entry->d_name, err.message);
    }
    if (same_pixels && status == PMN_STATUS_OK && row >= 0 && hashes[row][0] != '\0') {
      image_hash(image.rgb, image_size(&image), hex);
      if (strcmp(hex, hashes[row]) != 0) fail_msg("%s: pixels differ from Pillow's", entry->d_name);
      compared++;
    }
    pmn_buf_reset(&bytes);
  }
  closedir(files);
  pmn_decoder_destroy(decoder);
  print_message("%d files: %d opened (Pillow %d), %d refused; pixels of %d compared\n", seen, opened, listed,
      seen - opened, compared);
  assert_int_equal(seen, 915);
  assert_int_equal(listed, 116);
  if (same_pixels) assert_in_range(compared, 80, 116);
  assert_in_range(beyond, 0, 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(cut_files_are_refused),
      cmocka_unit_test(changed_bytes_do_no_harm),
      cmocka_unit_test(lying_headers_are_refused),
      cmocka_unit_test(solid_pictures_are_no_lie),
      cmocka_unit_test(endless_scans_are_refused),
      cmocka_unit_test(malformed_jpegs_get_pillows_verdict),
  };
  return check_exit(cmocka_run_group_tests(tests, NULL, NULL));
}
