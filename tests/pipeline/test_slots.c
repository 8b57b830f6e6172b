/* test_slots.c - batches under way on a device beside its host, on whatever OpenCL device there is: table, rejects,
 * parts and errors are what they are when each batch is waited for. One batch of all pictures is never under way beside
 * another. */
#include "extract_check.h"

#include "pmn_backend.h"
#include "seeded_weights.h"

/* Networks of 32 x 32 pixels: this is about batches. */
static pmn_extract_options small(const char *source, const char *output, int32_t batch) {
  pmn_extract_options options = options_for(source, output);
  options.backend = "opencl";
  options.width = options.height = 32;
  options.batch = batch;
  options.overwrite = true;
  return options;
}

static const int32_t batches[] = {1, 2, 3, 5, 7}; /* 12 good pictures */
enum { BATCHES = sizeof batches / sizeof *batches };

static void bad_pictures_between(void **state) {
  (void)state;
  pmn_extract_options options = small(mixed, "one.csv", 32);
  pmn_counts counts = extract_counts(&options);
  assert_int_equal(counts.rows, PICTURES);
  assert_int_equal(counts.rejects, MIXED_BAD);
  for (int i = 0; i < BATCHES; i++) {
    options = small(mixed, "many.csv", batches[i]);
    counts = extract_counts(&options);
    assert_int_equal(counts.rejects, MIXED_BAD);
    assert_int_equal(seen.last.done, seen.last.total);
    check_same_file(in_folder("many.csv"), in_folder("one.csv"));
    check_same_file(in_folder("many.csv.rejects.csv"), in_folder("one.csv.rejects.csv"));
  }
}

static void parts_and_fits(void **state) {
  (void)state;
  for (int fits = 0; fits < 2; fits++) {
    for (int i = -1; i < BATCHES; i++) {
      pmn_extract_options options = small(mixed, i < 0 ? "one/" : "many/", i < 0 ? 32 : batches[i]);
      options.parts = 3;
      options.format = "csv";
      if (fits) options.statistics.pca_components = 2;
      (void)extract_counts(&options);
      for (int part = 0; part < 3 && i >= 0; part++) {
        char one[32], many[32];
        snprintf(one, sizeof one, "one/part-%05d.csv", part);
        snprintf(many, sizeof many, "many/part-%05d.csv", part);
        check_same_file(in_folder(many), in_folder(one));
      }
    }
  }
}

/* A network that makes numbers of black pictures only: sums of its first layer overflow where a byte is not 0. */
static pmn_extract_options overflowing(const char *weights, const char *output, int32_t batch) {
  static const char *const layer[] = {"Conv1"};
  pmn_extract_options options = small(in_folder("pictures"), output, batch);
  options.features = "mobilenet_v2";
  options.weights = weights;
  options.preprocess = "raw";
  options.layers = layer;
  options.layer_count = 1;
  return options;
}

static void make_overflowing(const char *weights) {
  static const uint8_t black[] = /* a PNG of one grey pixel */
      "\211PNG\r\n\032\n\000\000\000\015IHDR\000\000\000\001\000\000\000\001\010\000\000\000\000\072\176\233\125"
      "\000\000\000\012IDAT\170\234\143\140\000\000\000\002\000\001\110\257\244\161\000\000\000\000IEND\256\102\140"
      "\202";
  static const char *const names[] = {
      "02_k.png", "03_k.png", "05_k.png", "06_k.png", "09_k.png", "10_k.png", "12_k.png"};
  char pictures[128];
  uint64_t header;
  float huge[3 * 3 * 3 * 32];
  assert_int_equal(seeded_mobilenet_v2_write(weights), 0);
  FILE *file = fopen(weights, "r+b");
  assert_int_equal(fread(&header, sizeof header, 1, file), 1);
  for (size_t i = 0; i < sizeof huge / sizeof *huge; i++) huge[i] = 3e38f;
  assert_int_equal(fseek(file, (long)header + 8, SEEK_SET), 0);
  assert_int_equal(fwrite(huge, sizeof huge, 1, file), 1);
  fclose(file);
  snprintf(pictures, sizeof pictures, "%s/pictures", folder);
  shell("cp -r '%s' '%s'", mixed, pictures);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) put(at(pictures, names[i]), black, sizeof black - 1);
}

/* The network's rejects are found when later pictures have been rejected by the decoder. */
static void rows_that_are_none(void **state) {
  (void)state;
  char weights[512];
  snprintf(weights, sizeof weights, "%s", in_folder("weights"));
  make_overflowing(weights);
  pmn_extract_options options = overflowing(weights, "one.csv", 32);
  pmn_counts counts = extract_counts(&options);
  assert_int_equal(counts.rows, 7);
  assert_int_equal(counts.rejects, PICTURES + MIXED_BAD);
  for (int i = 0; i < BATCHES; i++) {
    options = overflowing(weights, "many.csv", batches[i]);
    (void)extract_counts(&options);
    check_same_file(in_folder("many.csv"), in_folder("one.csv"));
    check_same_file(in_folder("many.csv.rejects.csv"), in_folder("one.csv.rejects.csv"));
  }
  /* 00.jpg is found by the network, after 00_a.jpg by the decoder. */
  pmn_summary *summary;
  pmn_err err;
  shell("cd '%s' && mv 00.jpg 00_.jpg", in_folder("pictures"));
  options = overflowing(weights, "many.csv", 1);
  options.stop_on_error = true;
  check_fails(extract(&options, &summary, &err), PMN_STATUS_REJECTED, "00_.jpg: network");
}

/* Taken away while batches are under way, and gone on with. */
static void broken_and_resumed(void **state) {
  (void)state;
  pmn_summary *summary;
  pmn_err err;
  pmn_extract_options options = small(mixed, "one/", 32);
  options.parts = 4;
  options.format = "csv";
  (void)extract_counts(&options);
  options = small(mixed, "many/", 1);
  options.parts = 4;
  options.format = "csv";
  options.overwrite = false;
  for (int i = 0; i < 2; i++) {
    seen.stop_phase = "features";
    options.resume = i > 0;
    check_fails(extract(&options, &summary, &err), PMN_STATUS_INTERRUPTED, "");
  }
  seen.stop_phase = NULL;
  options.resume = true;
  assert_int_equal(extract_counts(&options).rows, PICTURES);
  for (int part = 0; part < 4; part++) {
    char one[32], many[32];
    snprintf(one, sizeof one, "one/part-%05d.csv", part);
    snprintf(many, sizeof many, "many/part-%05d.csv", part);
    check_same_file(in_folder(many), in_folder(one));
  }
  check_same_file(in_folder("many/_rejects.csv"), in_folder("one/_rejects.csv"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      in_fresh_folder(bad_pictures_between),
      in_fresh_folder(parts_and_fits),
      in_fresh_folder(rows_that_are_none),
      in_fresh_folder(broken_and_resumed),
  };
  return has_opencl() ? check_exit(cmocka_run_group_tests(tests, make_orchard, remove_orchard)) : 77;
}
