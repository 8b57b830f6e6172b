/* pmn_pictures.c - what every run over pictures begins with: what was asked for, the listing, the maker, the device. */
#include "pmn_run.h"

#include "pmn_choose.h"
#include "pmn_clock.h"
#include "pmn_image.h"
#include "pmn_maker_words.h"
#include "pmn_pool.h"
#include "pmn_s3.h"

#include <jansson.h>
#include <stdio.h>

/* --------------------------------------------------------------------------------------------------- options -- */

enum { LAYERS_MAX = 1024 /* asked for at once */ };

static pmn_status check_numbers(const pmn_extract_options *o, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  if (o->struct_size != sizeof *o) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "pmn_extract_options was not made by PMN_EXTRACT_OPTIONS_INIT of this version");
  }
  if (o->source_count == 0) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "no SOURCE: name a folder of pictures");
  if (o->threads < 0 || o->threads > 1024 || o->batch < 0 || o->batch > 65536 || o->limit < 0 || o->width < 0 ||
      o->width > PMN_PREPARE_SIDE_MAX || o->height < 0 || o->height > PMN_PREPARE_SIDE_MAX ||
      (o->width == 0) != (o->height == 0) || o->layer_count > LAYERS_MAX) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT,
        "a number is out of range: limit from 0; threads to 1024; batch to 65536; width and height both 0, or "
        "both to %d; layers to %d",
        PMN_PREPARE_SIDE_MAX, LAYERS_MAX);
  }
done:
  return st;
}

static pmn_status check_resize(const pmn_extract_options *o, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_filter filter;
  if (o->resize != NULL && !pmn_filter_find(o->resize, &filter)) {
    PMN_FAIL(
        err, PMN_STATUS_ARGUMENT, "no filter is called \"%s\"; there are bicubic, bilinear and nearest", o->resize);
  }
done:
  return st;
}

pmn_status pmn_pictures_check(const pmn_extract_options *options, pmn_err *err) {
  pmn_status st = check_numbers(options, err);
  if (st == PMN_STATUS_OK) st = pmn_statistics_check(&options->statistics, err);
  return st == PMN_STATUS_OK ? check_resize(options, err) : st;
}

/* ------------------------------------------------------------------------------------------------------ open -- */

pmn_status pmn_pictures_list(
    pmn_run *run, const char *const *sources, size_t source_count, int64_t limit, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_extract_options *o = run->options;
  pmn_source_options source = {.sources = sources,
      .source_count = source_count,
      .includes = o->includes,
      .include_count = o->include_count,
      .label_level = o->label_level,
      .label_regex = o->label_regex,
      .limit = limit};
  for (size_t i = 0; i < source_count; i++) {
    if (pmn_s3_is_uri(sources[i])) PMN_TRY(pmn_run_open_s3(run, err));
  }
  source.s3 = run->s3;
  PMN_TRY(pmn_listing_create(&source, &run->listing, err));
  if (pmn_listing_has_objects(run->listing)) PMN_TRY(pmn_run_open_s3(run, err));
  run->counts.listed = pmn_listing_count(run->listing);
  run->counts.skipped = pmn_listing_skipped(run->listing);
  run->counts.duplicates = pmn_listing_duplicates(run->listing);
  if (run->counts.skipped > 0) {
    pmn_run_message(run, PMN_LEVEL_INFO,
        "%lld files of the folders are not listed: their names do not match or begin with a dot",
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
  PMN_TRY(pmn_run_check_pictures(run, err));
done:
  return st;
}

/* Words may be counted in pictures that are described in another way than those they were learnt from: it is told. */
static void compare_words(const pmn_run *run) {
  const pmn_lexicon *words = pmn_maker_look_words(run->maker);
  const pmn_prepare_options *p = &run->maker->prepare;
  if (words == NULL || words->vocabulary == NULL) return;
  const pmn_learning *l = &words->learning;
  if (p->keypoints_max != l->keypoints_max) {
    pmn_run_message(run, PMN_LEVEL_WARNING, "the words were learnt from %d keypoints a picture at most, here it is %d",
        l->keypoints_max, p->keypoints_max);
  }
  if (p->width != l->width || p->height != l->height || (p->width > 0 && p->filter != l->filter)) {
    char theirs[64] = "their own size";
    if (l->width > 0) snprintf(theirs, sizeof theirs, "%d x %d, %s", l->width, l->height, pmn_filter_name(l->filter));
    pmn_run_message(run, PMN_LEVEL_WARNING, "the words were learnt from pictures in %s, here they are %d x %d, %s",
        theirs, p->width, p->height, pmn_filter_name(p->filter));
  }
}

pmn_status pmn_pictures_open_maker(pmn_run *run, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  PMN_TRY(pmn_maker_create(run->options, &run->maker, err));
  compare_words(run);
  run->width = run->maker->width;
  run->counts.width = run->width;
  run->features = json_incref(run->maker->features);
done:
  return st;
}

pmn_status pmn_pictures_open_device(pmn_run *run, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  PMN_TRY(pmn_run_check_stop(run, err));
  run->threads = run->options->threads > 0 ? run->options->threads : pmn_pool_processors();
  pmn_meter_init(&run->meter, run->threads);
  PMN_TRY(pmn_choose_device(run, err));
  if (run->options->fit_on == NULL && run->batch > run->counts.listed) run->batch = (int32_t)run->counts.listed;
  PMN_TRY(run->maker->kind->open(run->maker, run->devices, run->device_count, run->batch, err));
  if (run->device->precision != PMN_PRECISION_FP32) {
    const pmn_precision_error *e = &run->maker->error;
    pmn_run_message(run, PMN_LEVEL_INFO,
        "%s: features of a probe have cosine %.6f with those of fp32, and differ by %.2g of the largest at most",
        pmn_precision_name(run->device->precision), e->cosine, e->difference);
  }
  run->meter.stages[PMN_STAGE_NETWORK].name = run->maker->kind->stage;
  run->meter.stages[PMN_STAGE_NETWORK].lanes = run->device_count;
  run->meter.stages[PMN_STAGE_START].busy_seconds = pmn_clock_seconds() - run->started;
done:
  return st;
}

pmn_status pmn_pictures_project(pmn_run *run, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_fit *fit = run->fit;
  const pmn_maker_kind *kind = run->maker->kind;
  if (fit == NULL || fit->k == 0 || kind->project == NULL) return PMN_STATUS_OK;
  pmn_linear_map map = {fit->d, fit->k, fit->shift, fit->scale, fit->components};
  PMN_TRY(kind->project(run->maker, &map, &run->projected, err));
  if (run->projected) {
    pmn_run_message(
        run, PMN_LEVEL_INFO, "the device projects what its network makes: of a picture %d values come back", fit->k);
  }
done:
  return st;
}
