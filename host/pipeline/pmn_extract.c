/* pmn_extract.c - the main job: checks what was asked, opens everything, runs the passes, commits.
 *
 * Order matters to the user: what can be wrong with the command is found before the pictures are listed, what can be
 * wrong with the output before the network runs for hours.
 */
#include "pmn_run.h"

#include "pmn_choose.h"
#include "pmn_clock.h"
#include "pmn_image.h"
#include "pmn_mem.h"
#include "pmn_networks.h"
#include "pmn_pool.h"
#include "pmn_summary.h"

#include <jansson.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --------------------------------------------------------------------------------------------------- options -- */

/* Of a network's input, in each direction; and of layers asked for at once. */
enum { SIZE_PIXELS_MAX = 8192, LAYERS_MAX = 1024 };

static pmn_status check_numbers(const pmn_extract_options *o, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  if (o->struct_size != sizeof *o) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "pmn_extract_options was not made by PMN_EXTRACT_OPTIONS_INIT of this version");
  }
  if (o->source_count == 0) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "no SOURCE: name a folder of pictures");
  if (o->output == NULL || o->output[0] == '\0') {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "no output: name a .csv, .parquet or .npy file");
  }
  if (strcmp(o->output, "-") == 0) {
    PMN_FAIL(
        err, PMN_STATUS_ARGUMENT, "a table is a file with companions and cannot go to standard output; name a file");
  }
  if (o->pca_components < 0 || o->threads < 0 || o->threads > 1024 || o->batch < 0 || o->batch > 65536 ||
      o->limit < 0 || o->width < 0 || o->width > SIZE_PIXELS_MAX || o->height < 0 || o->height > SIZE_PIXELS_MAX ||
      (o->width == 0) != (o->height == 0) || o->layer_count > LAYERS_MAX) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT,
        "a number is out of range: pca, limit from 0; threads to 1024; batch to 65536; width and height both 0, or "
        "both to %d; layers to %d",
        SIZE_PIXELS_MAX, LAYERS_MAX);
  }
  if (o->pca_ratio < 0 || o->pca_ratio >= 1 || isnan(o->pca_ratio)) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "the share of variance must lie between 0 and 1");
  }
  if (o->pca_ratio > 0 && o->pca_components > 0) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "ask for a number of components or for a share of variance, not both");
  }
done:
  return st;
}

static pmn_status check_names(pmn_run *run, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_extract_options *o = run->options;
  pmn_filter filter;
  if (o->resize != NULL && !pmn_filter_find(o->resize, &filter)) {
    PMN_FAIL(
        err, PMN_STATUS_ARGUMENT, "no filter is called \"%s\"; there are bicubic, bilinear and nearest", o->resize);
  }
  if (o->format != NULL && !pmn_format_find(o->format, &run->format)) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "no format is called \"%s\"; there are csv, parquet and npy", o->format);
  }
  if (o->format == NULL && !pmn_format_of_path(o->output, &run->format)) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s: the ending tells no format; use .csv, .parquet or .npy, or name the format",
        o->output);
  }
done:
  return st;
}

/* ------------------------------------------------------------------------------------------------------ open -- */

/* Device and inode of the folder that `path` lies in; false if there is no such folder. */
static bool stat_folder(const char *path, struct stat *info) {
  char folder[4096];
  const char *slash = strrchr(path, '/');
  size_t size = slash == NULL ? 0 : (size_t)(slash - path) + 1;
  if (size >= sizeof folder) return false;
  memcpy(folder, path, size);
  folder[size] = '\0';
  return stat(size == 0 ? "." : folder, info) == 0;
}

/* However the two are written: the rejects are not to land on the table, nor on a file beside it. */
static pmn_status check_rejects_path(const pmn_run *run, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  static const char *const suffixes[] = {"", ".record.json", ".index.csv"};
  const char *output = run->options->output, *rejects = run->rejects_path;
  const char *output_slash = strrchr(output, '/'), *rejects_slash = strrchr(rejects, '/');
  const char *output_name = output_slash == NULL ? output : output_slash + 1;
  const char *rejects_name = rejects_slash == NULL ? rejects : rejects_slash + 1;
  size_t size = strlen(output_name);
  struct stat a, b;
  if (strncmp(output_name, rejects_name, size) != 0 || !stat_folder(output, &a) || !stat_folder(rejects, &b) ||
      a.st_dev != b.st_dev || a.st_ino != b.st_ino)
    return PMN_STATUS_OK;
  for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
    if (strcmp(rejects_name + size, suffixes[i]) != 0) continue;
    PMN_FAIL(err, PMN_STATUS_ARGUMENT,
        "%.300s: the rejects cannot go where the output goes; give them a file of their own", rejects);
  }
done:
  return st;
}

static pmn_status open_outputs(pmn_run *run, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_extract_options *o = run->options;
  pmn_buf path;
  pmn_buf_init(&path, 1 << 16);
  PMN_TRY(pmn_buf_printf(
      &path, err, o->rejects != NULL ? "%s" : "%s.rejects.csv", o->rejects != NULL ? o->rejects : o->output));
  run->rejects_path = pmn_buf_take(&path);
  PMN_TRY(check_rejects_path(run, err));
  /* The width of a PCA by ratio is not known yet: a sink of any width shows that the output can be written. */
  PMN_TRY(pmn_run_open_sink(run, 1, err));
  pmn_sink_destroy(run->sink);
  run->sink = NULL;
  PMN_TRY(pmn_rejects_create(run->rejects_path, o->overwrite, &run->rejects, err));
done:
  pmn_buf_reset(&path);
  return st;
}

static pmn_status open_listing(pmn_run *run, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_extract_options *o = run->options;
  pmn_source_options source = {.sources = o->sources,
      .source_count = o->source_count,
      .includes = o->includes,
      .include_count = o->include_count,
      .label_level = o->label_level,
      .label_regex = o->label_regex,
      .limit = o->limit};
  PMN_TRY(pmn_listing_create(&source, &run->listing, err));
  run->counts.listed = pmn_listing_count(run->listing);
  run->counts.skipped = pmn_listing_skipped(run->listing);
  run->counts.duplicates = pmn_listing_duplicates(run->listing);
  if (run->counts.skipped > 0) {
    pmn_run_message(run, PMN_LEVEL_INFO, "%lld files of the folders are not listed: their names do not match",
        (long long)run->counts.skipped);
  }
  if (run->counts.duplicates > 0) {
    pmn_run_message(run, PMN_LEVEL_WARNING, "%lld pictures were named more than once and are taken once",
        (long long)run->counts.duplicates);
  }
  int64_t unlabelled = 0;
  for (int64_t i = 0; i < run->counts.listed; i++) unlabelled += pmn_listing_item(run->listing, i).label[0] == '\0';
  if (unlabelled > 0) {
    pmn_run_message(run, PMN_LEVEL_WARNING, "%lld pictures have no label: %s finds none in their paths",
        (long long)unlabelled, o->label_regex != NULL ? "the regular expression" : "the label level");
  }
done:
  return st;
}

/* Weights fetched before, for a network of the zoo that has none inside and was given none. What is wrong with the
 * choices is told first: nobody shall download for a run that cannot be. */
static pmn_status find_weights(const pmn_model_options *options, pmn_buf *path, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_architecture *architecture = pmn_architecture_find(options->network);
  bool found = false, classifier = false;
  if (options->weights != NULL || architecture == NULL || architecture->embedded != NULL) return PMN_STATUS_OK;
  PMN_TRY(pmn_model_check(options, &classifier, err));
  PMN_TRY(pmn_networks_weights(architecture, options->width, options->height, classifier, path, &found, err));
  if (found) return PMN_STATUS_OK;
  const pmn_weights_entry *entry = pmn_weights_choose(options->network, options->width, options->height, classifier);
  PMN_FAIL(err, PMN_STATUS_ARGUMENT,
      "%s has no weights here%s: fetch them once with pomona weights fetch %s, or give a file with --weights",
      options->network, classifier ? " that hold its classifier" : "", entry != NULL ? entry->name : options->network);
done:
  return st;
}

static pmn_status open_model(pmn_run *run, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_extract_options *o = run->options;
  pmn_buf weights;
  pmn_buf_init(&weights, 1 << 16);
  pmn_model_options options = {.network = o->features != NULL ? o->features : "efficientnet_lite0",
      .weights = o->weights,
      .width = o->width,
      .height = o->height,
      .preprocess = o->preprocess,
      .resize = o->resize,
      .layers = o->layers,
      .layer_count = (int32_t)o->layer_count,
      .pooling = PMN_POOLING_AVERAGE};
  if (o->pool != NULL && !pmn_pooling_find(o->pool, &options.pooling)) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "no pooling is called \"%s\"; there are avg, max and none", o->pool);
  }
  PMN_TRY(find_weights(&options, &weights, err));
  if (options.weights == NULL) options.weights = weights.data;
  PMN_TRY(pmn_model_create(&options, &run->model, err));
  const pmn_preprocess *prepare = pmn_model_preprocess(run->model);
  run->picture_width = prepare->width;
  run->picture_height = prepare->height;
  if (!pmn_filter_find(prepare->resize, &run->filter)) {
    PMN_FAIL(err, PMN_STATUS_MODEL, "%s: no filter is called \"%s\"", pmn_model_origin(run->model), prepare->resize);
  }
  run->width = pmn_model_width(run->model);
  run->counts.width = run->width;
  run->features = pmn_record_features(run->model, options.pooling);
  if (run->features == NULL) st = pmn_err_memory(err, 1, "the run record");
done:
  pmn_buf_reset(&weights);
  return st;
}

static pmn_status open_network(pmn_run *run, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  PMN_TRY(pmn_choose_device(run, err));
  if (run->batch > run->counts.listed) run->batch = (int32_t)run->counts.listed;
  PMN_TRY(pmn_network_create(run->device, pmn_model_program(run->model), run->batch, &run->network, err));
  pmn_model_destroy(run->model); /* the device has its weights now */
  run->model = NULL;
done:
  return st;
}

static pmn_status open_statistics(pmn_run *run, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_extract_options *o = run->options;
  if (!pmn_run_needs_fit(run)) return pmn_run_open_sink(run, run->width, err);
  bool pca = o->pca_components > 0 || o->pca_ratio > 0;
  int64_t least = run->counts.listed < run->width ? run->counts.listed : run->width;
  if (run->counts.listed < 2) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "a single picture has no statistics: standardising and PCA need 2 or more");
  }
  if (o->pca_components > least) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT,
        "%d components were asked for, but %lld pictures of %d features give at most %lld", o->pca_components,
        (long long)run->counts.listed, run->width, (long long)least);
  }
  /* With fewer rows than columns the Gram matrix of the rows is the smaller one. */
  bool covariance = pca && run->counts.listed >= run->width;
  PMN_TRY(pmn_spool_create(o->output, run->width, &run->spool, err));
  PMN_TRY(pmn_moments_create(run->device, run->width, covariance, &run->moments, err));
done:
  return st;
}

/* ------------------------------------------------------------------------------------------------------- run -- */

static void close_run(pmn_run *run) {
  pmn_sink_destroy(run->sink);
  pmn_rejects_destroy(run->rejects);
  pmn_spool_destroy(run->spool);
  pmn_fit_destroy(run->fit);
  pmn_moments_destroy(run->moments);
  pmn_network_destroy(run->network);
  pmn_device_close(run->device);
  pmn_listing_destroy(run->listing);
  pmn_model_destroy(run->model);
  json_decref(run->features);
  pmn_free(run->rows);
  pmn_free(run->rejects_path);
}

static pmn_status fill_summary(pmn_run *run, pmn_summary *summary, pmn_err *err) {
  summary->seconds = pmn_clock_seconds() - run->started;
  summary->bound = pmn_meter_finish(&run->meter, summary->seconds);
  summary->counts = run->counts;
  summary->meter = run->meter;
  if (run->fit != NULL && run->fit->k > 0) {
    size_t k = (size_t)run->fit->k;
    summary->explained = pmn_alloc(k, sizeof *summary->explained);
    if (summary->explained == NULL) return pmn_err_memory(err, k * sizeof *summary->explained, "the summary");
    memcpy(summary->explained, run->fit->explained_ratio, k * sizeof *summary->explained);
    summary->explained_count = run->fit->k;
  }
  summary->record = pmn_record_create(run, summary->bound, summary->seconds);
  if (run->counts.rejects > 0) summary->rejects_path = pmn_strdup(run->rejects_path);
  bool good = summary->record != NULL && (run->counts.rejects == 0 || summary->rejects_path != NULL);
  return good ? PMN_STATUS_OK : pmn_err_memory(err, 1, "the run record");
}

static pmn_status run_all(pmn_run *run, pmn_summary *summary, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  PMN_TRY(check_numbers(run->options, err));
  PMN_TRY(check_names(run, err));
  PMN_TRY(open_model(run, err));
  PMN_TRY(open_outputs(run, err));
  PMN_TRY(open_listing(run, err));
  PMN_TRY(pmn_run_check_stop(run, err));
  run->threads = run->options->threads > 0 ? run->options->threads : pmn_pool_processors();
  pmn_meter_init(&run->meter, run->threads);
  PMN_TRY(open_network(run, err));
  PMN_TRY(open_statistics(run, err));
  run->meter.stages[PMN_STAGE_START].busy_seconds = pmn_clock_seconds() - run->started;
  PMN_TRY(pmn_features_run(run, err));
  if (run->counts.rows + run->counts.rejects != run->counts.listed) {
    PMN_FAIL(err, PMN_STATUS_WRITE,
        "%lld pictures were listed, but %lld rows and %lld rejects came of them: report this",
        (long long)run->counts.listed, (long long)run->counts.rows, (long long)run->counts.rejects);
  }
  if (pmn_run_needs_fit(run)) PMN_TRY(pmn_transform_run(run, err));
  PMN_TRY(pmn_run_check_stop(run, err));
  PMN_TRY(fill_summary(run, summary, err));
  PMN_TRY(pmn_rejects_commit(run->rejects, err));
  st = pmn_sink_commit(run->sink, summary->record, err);
  /* A list of rejects without its table would only be in the way of the next run. */
  if (st != PMN_STATUS_OK && run->counts.rejects > 0) unlink(run->rejects_path);
done:
  return st;
}

pmn_status pmn_extract(const pmn_extract_options *options, pmn_summary **summary, pmn_err *err) {
  pmn_run run = {.options = options, .started = pmn_clock_seconds()};
  pmn_clock_utc(run.started_utc);
  *summary = NULL;
  pmn_summary *result = pmn_calloc(1, sizeof *result);
  if (result == NULL) return pmn_err_memory(err, sizeof *result, "the summary");
  pmn_status st = run_all(&run, result, err);
  close_run(&run);
  if (st == PMN_STATUS_OK)
    *summary = result;
  else
    pmn_summary_destroy(result);
  return st;
}
