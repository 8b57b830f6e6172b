/* test_project_device.c - a saved projection behind the network of an OpenCL device, on whatever device there is: the
 * table is that of the host but for roundings, the same bits for any batch, with the same rejects and the same end
 * where fp32 ends. How exact the kernel is, is the matter of tests/compute. */
#include "extract_check.h"

#include "pmn_maker.h"
#include "pmn_record.h"
#include "pmn_store.h"
#include "seeded_weights.h"

#include <float.h>
#include <math.h>

enum { K = 5 };
static bool device_is_cpu; /* which have fp64 */
static char projection[128];

/* Standardisation and PCA of the orchard's pictures. */
static int make_projection(void **state) {
  int failed = make_orchard(state);
  check_folder(folder);
  snprintf(projection, sizeof projection, "%s/orchard.projection", orchard);
  pmn_extract_options options = options_for(training, "fit.npy");
  options.statistics = (pmn_statistics){.with_mean = true, .with_std = true, .pca_components = K};
  options.statistics.save_projection = projection;
  extract_counts(&options);
  check_folder_remove(folder);
  return failed;
}

static pmn_extract_options projected(const char *source, const char *output, const char *backend) {
  pmn_extract_options options = options_for(source, output);
  options.backend = backend;
  options.statistics.projection = projection;
  return options;
}

/* One run; what its record says of who projected. */
static bool by_network(const pmn_extract_options *options) {
  pmn_summary *summary;
  pmn_err err;
  int network = -1, width = 0, columns = 0;
  check_ok(extract(options, &summary, &err));
  json_t *record = json_loads(pmn_summary_record(summary), 0, NULL);
  assert_int_equal(json_unpack(record, "{s:{s:b}, s:{s:i}, s:{s:i}}", "statistics", "projected_by_network", &network,
                       "features", "width", &width, "counts", "width", &columns),
      0);
  assert_int_equal(width, WIDTH);
  assert_int_equal(columns, K);
  json_t *plan = json_object_get(record, "plan");
  if (plan != NULL) {
    int planned = -1;
    assert_int_equal(json_unpack(plan, "{s:{s:b}}", "statistics", "projected_by_network", &planned), 0);
    assert_int_equal(planned, network);
  }
  assert_int_equal(strstr(seen.text, "the device projects") != NULL, network);
  json_decref(record);
  pmn_summary_destroy(summary);
  return network == 1;
}

/* Against pmn_projector on the cpu, of the same features. Each side rounds the result once; before that the sums of d
 * products may differ, by (d + 8) 2^-53 of what is summed for each side where there is fp64, else as
 * kernels/project.cl says. */
static void rows_are_the_hosts(void **state) {
  (void)state;
  pmn_err err;
  pmn_fit *fit = NULL;
  char *text = NULL;
  pmn_device *cpu = NULL;
  pmn_projector *projector = NULL;
  pmn_extract_options options = options_for(training, "features.npy");
  options.backend = "opencl";
  extract_counts(&options);
  check_npy features = check_npy_read(in_folder("features.npy"));
  options = projected(training, "rows.npy", "opencl");
  assert_true(by_network(&options));
  check_npy rows = check_npy_read(in_folder("rows.npy"));
  assert_true(rows.shape[0] == PICTURES && rows.shape[1] == K && features.shape[1] == WIDTH);
  check_ok(pmn_projection_load(projection, &fit, &text, &err));
  pmn_device_options on_cpu = {.index = -1, .threads = 1};
  check_ok(pmn_device_open(pmn_backend_find("cpu"), &on_cpu, &cpu, &err));
  check_ok(pmn_projector_create(cpu, fit, &projector, &err));
  double *x = malloc(PICTURES * WIDTH * sizeof *x);
  float y[PICTURES * K];
  assert_non_null(x);
  for (int i = 0; i < PICTURES * WIDTH; i++) x[i] = (double)((const float *)features.data)[i];
  check_ok(pmn_projector_run(projector, x, PICTURES, y, &err));
  for (int i = 0; i < PICTURES * K; i++) {
    double moved = 0, shifted = 0, value = (double)((const float *)rows.data)[i];
    for (int j = 0; j < WIDTH; j++) {
      double w = fit->components[i % K * WIDTH + j] / fit->scale[j];
      moved += fabs((x[i / K * WIDTH + j] - fit->shift[j]) * w);
      shifted += fabs(fit->shift[j] * w);
    }
    double bound = 0x1p-24 * (fabs(value) + fabs((double)y[i])) + 2 * (WIDTH + 8) * 0x1p-53 * moved;
    if (!device_is_cpu) bound += (256 + 4) * 0x1p-24 * moved + 3 * 0x1p-48 * shifted;
    if (!(fabs(value - (double)y[i]) <= bound))
      fail_msg("row %d, column %d is %.9g, the host's is %.9g: %.3g of the bound", i / K, i % K, value, (double)y[i],
          fabs(value - (double)y[i]) / bound);
  }
  pmn_projector_destroy(projector);
  pmn_device_close(cpu);
  pmn_fit_destroy(fit);
  free(text);
  free(x);
  free(rows.data);
  free(features.data);
}

static void the_record_tells_who_projected(void **state) {
  (void)state;
  pmn_extract_options options = projected(training, "cpu.npy", "cpu");
  assert_false(by_network(&options));
  options = projected(training, "parts/", "opencl");
  assert_true(by_network(&options));
}

/* With bad pictures between the good ones; and in a folder of parts. */
static void one_table_for_any_batch(void **state) {
  (void)state;
  static const int32_t batches[] = {1, 5, 12};
  pmn_extract_options options = projected(mixed, "first.csv", "opencl");
  assert_true(by_network(&options));
  for (size_t i = 0; i < sizeof batches / sizeof *batches; i++) {
    options = projected(mixed, "other.csv", "opencl");
    options.batch = batches[i];
    options.threads = 1 + (int32_t)i;
    options.overwrite = true;
    assert_true(by_network(&options));
    check_same_file(in_folder("other.csv"), in_folder("first.csv"));
  }
  options = projected(mixed, "parts/", "opencl");
  options.format = "csv";
  options.parts = 3;
  assert_true(by_network(&options));
  shell("cd '%s/parts' && (cat part-00000.csv; tail -n +2 part-00001.csv; tail -n +2 part-00002.csv) > ../joined.csv",
      folder);
  check_same_file(in_folder("joined.csv"), in_folder("first.csv"));
  options = projected(mixed, "cpu.csv", "cpu");
  assert_false(by_network(&options));
  check_same_file(in_folder("first.csv.rejects.csv"), in_folder("cpu.csv.rejects.csv"));
}

/* A projection to three columns, for the features of a run that may never have been. */
static void save_made_up(const pmn_extract_options *options, double scale, const char *path) {
  pmn_err err = PMN_ERR_INIT;
  pmn_maker *maker = NULL;
  check_ok(pmn_maker_create(options, &maker, &err));
  size_t d = (size_t)maker->width, k = 3;
  double *values = malloc((3 + k) * d * sizeof *values), variance[] = {3, 2, 1};
  assert_non_null(values);
  for (size_t i = 0; i < d; i++) {
    values[i] = values[d + i] = 0.25 * (double)(i + 1);
    values[2 * d + i] = scale;
    for (size_t j = 0; j < k; j++) values[(3 + j) * d + i] = 1.0 / (double)(1 + i + j);
  }
  pmn_fit fit = {.n = 10,
      .d = (int32_t)d,
      .k = (int32_t)k,
      .with_mean = true,
      .with_std = true,
      .mean = values,
      .shift = values + d,
      .scale = values + 2 * d,
      .components = values + 3 * d,
      .explained_variance = variance,
      .explained_ratio = variance,
      .total_variance = 6,
      .spectrum = variance,
      .spectrum_count = 3,
      .solver = "made up"};
  char *text = pmn_record_text(maker->features);
  pmn_outfile *file = NULL;
  check_ok(pmn_projection_save(path, true, &fit, text, &file, &err));
  check_ok(pmn_outfile_publish(&file, 1, &err));
  pmn_outfile_destroy(file);
  free(text);
  free(values);
  pmn_maker_destroy(maker);
}

/* A first layer that subtracts green from red, both times 2^123: colours leave fp32 on their way through the pool,
 * while grey pictures are exactly 0. */
static void write_colour_weights(const char *path) {
  float weights[3 * 3 * 3 * 32];
  uint64_t header;
  assert_int_equal(seeded_mobilenet_v2_write(path), 0);
  for (size_t i = 0; i < sizeof weights / sizeof *weights; i++)
    weights[i] = i / 32 % 3 == 0 ? 0x1p123f : i / 32 % 3 == 1 ? -0x1p123f : 0.0f;
  FILE *file = fopen(path, "r+b");
  assert_non_null(file);
  assert_int_equal(fread(&header, sizeof header, 1, file), 1);
  fseek(file, (long)header + 8, SEEK_SET);
  assert_int_equal(fwrite(weights, 1, sizeof weights, file), sizeof weights);
  assert_int_equal(fclose(file), 0);
}

/* More rows at once than the outlet names together. */
static void one_batch_of_many(void **state) {
  (void)state;
  enum { MANY = 700 };
  char made_up[512], source[512];
  snprintf(made_up, sizeof made_up, "%s", in_folder("made_up.projection"));
  snprintf(source, sizeof source, "%s", in_folder("pictures"));
  shell(
      "mkdir '%s' && find '%s' -name '*.jpg' | LC_ALL=C sort > '%s.list' && i=0 && while [ $i -lt %d ]; do while read "
      "-r f; do ln -s \"$f\" '%s'/$i.jpg; i=$((i+1)); done < '%s.list'; done",
      source, training, source, MANY, source, source);
  for (int at_once = 0; at_once < 2; at_once++) {
    pmn_extract_options options = options_for(source, at_once ? "at_once.csv" : "few.csv");
    options.width = options.height = 32;
    options.layers = (const char *const[]){"stem_conv"};
    options.layer_count = 1;
    save_made_up(&options, 1.0, made_up);
    options.statistics.projection = made_up;
    options.backend = "opencl";
    options.batch = at_once ? MANY : 100;
    assert_true(extract_counts(&options).rows >= MANY);
    assert_non_null(strstr(seen.text, "the device projects"));
  }
  check_same_file(in_folder("at_once.csv"), in_folder("few.csv"));
}

static void broken_features_are_rejects(void **state) {
  (void)state;
  char weights[512], made_up[512], source[512];
  snprintf(weights, sizeof weights, "%s", in_folder("weights"));
  snprintf(made_up, sizeof made_up, "%s", in_folder("made_up.projection"));
  snprintf(source, sizeof source, "%s", in_folder("pictures"));
  write_colour_weights(weights);
  shell("mkdir '%s' && i=0 && find '%s' -name '*.jpg' | LC_ALL=C sort | head -5 | while read -r f; do "
        "cp \"$f\" '%s'/$i.jpg; i=$((i+1)); done && for i in 0a 3a 3b 9; do cp '%s/tests/golden/image_solid.jpg' "
        "'%s'/$i.jpg; done",
      source, training, source, PMN_SOURCE_DIR, source);
  for (int device = 0; device < 2; device++) {
    pmn_counts counts;
    pmn_extract_options options = options_for(source, device ? "device.csv" : "host.csv");
    options.features = "mobilenet_v2";
    options.weights = weights;
    options.layers = (const char *const[]){"Conv1"};
    options.layer_count = 1;
    save_made_up(&options, 1.0, made_up);
    options.statistics.projection = made_up;
    options.backend = device ? "opencl" : "cpu";
    options.batch = 4;
    counts = extract_counts(&options);
    assert_int_equal(strstr(seen.text, "the device projects") != NULL, device);
    assert_true(counts.rows == 4 && counts.rejects == 5 && counts.width == 3);
  }
  check_same_file(in_folder("device.csv.rejects.csv"), in_folder("host.csv.rejects.csv"));
  shell("grep -c 'network,its features are not finite numbers' '%s' | grep -qx 5", in_folder("host.csv.rejects.csv"));
  shell("cut -d, -f1,2 '%s' > '%s'; cut -d, -f1,2 '%s' > '%s'", in_folder("host.csv"), in_folder("host.names"),
      in_folder("device.csv"), in_folder("device.names"));
  check_same_file(in_folder("device.names"), in_folder("host.names"));
  shell("awk -F, 'NR == 2 {a = $3 $4 $5} NR > 2 && $3 $4 $5 != a {exit 1}' '%s'", in_folder("device.csv"));
}

/* Nothing is wrong with the features: the run ends, with the host's words. */
static void results_beyond_fp32_end_the_run(void **state) {
  (void)state;
  char made_up[512], messages[2][sizeof((pmn_err *)NULL)->message];
  snprintf(made_up, sizeof made_up, "%s", in_folder("made_up.projection"));
  for (int device = 0; device < 2; device++) {
    pmn_summary *summary;
    pmn_err err;
    pmn_extract_options options = options_for(training, "rows.npy");
    save_made_up(&options, 1e-37, made_up);
    options.statistics.projection = made_up;
    options.backend = device ? "opencl" : "cpu";
    check_fails(extract(&options, &summary, &err), PMN_STATUS_ARGUMENT,
        "column 0 of its result is -inf, which is beyond what a table of 32-bit floats can hold");
    snprintf(messages[device], sizeof messages[device], "%s", err.message);
    shell("test \"$(ls '%s')\" = made_up.projection", folder);
  }
  assert_string_equal(messages[0], messages[1]);
}

/* A model's projection, too: pictures that were learnt by heart are known again. */
static void models_are_asked_the_same(void **state) {
  (void)state;
  static const int32_t hidden[] = {6};
  pmn_summary *summary;
  pmn_err err = PMN_ERR_INIT;
  pmn_train_options train = PMN_TRAIN_OPTIONS_INIT;
  train.rows = options_for(training, "x.model");
  train.rows.statistics = (pmn_statistics){.with_mean = true, .with_std = true, .pca_components = 3};
  train.hidden = hidden;
  train.hidden_count = 1;
  train.held_out = 0;
  check_ok(pmn_train(&train, NULL, &summary, &err));
  pmn_summary_destroy(summary);
  for (int device = 0; device < 2; device++) {
    pmn_evaluation *evaluation;
    pmn_classify_options options = PMN_CLASSIFY_OPTIONS_INIT;
    options.rows = options_for(training, "none");
    options.rows.output = NULL;
    options.rows.backend = device ? "opencl" : "cpu";
    options.model = in_folder("x.model");
    memset(&seen, 0, sizeof seen);
    check_ok(pmn_evaluate(&options, &evaluation, &summary, &err));
    assert_int_equal(strstr(seen.text, "the device projects") != NULL, device);
    assert_int_equal(pmn_evaluation_get(evaluation).correct, PICTURES);
    pmn_evaluation_destroy(evaluation);
    pmn_summary_destroy(summary);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      in_fresh_folder(rows_are_the_hosts),
      in_fresh_folder(the_record_tells_who_projected),
      in_fresh_folder(one_table_for_any_batch),
      in_fresh_folder(one_batch_of_many),
      in_fresh_folder(broken_features_are_rejects),
      in_fresh_folder(results_beyond_fp32_end_the_run),
      in_fresh_folder(models_are_asked_the_same),
  };
  pmn_device_info list[16];
  int32_t count = 0;
  pmn_err err;
  bool found = pmn_devices_list(list, 16, &count, &err) == PMN_STATUS_OK;
  for (int32_t i = 0; found && i < count && i < 16; i++) {
    if (strcmp(list[i].backend, "opencl") != 0) continue;
    device_is_cpu = list[i].type == PMN_DEVICE_CPU;
    return check_exit(cmocka_run_group_tests(tests, make_projection, remove_orchard));
  }
  return 77;
}
