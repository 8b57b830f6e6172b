/* pmn_parts.c - see pmn_parts.h. */
#include "pmn_parts.h"

#include "pmn_clock.h"
#include "pmn_digest.h"
#include "pmn_mem.h"
#include "pmn_record.h"
#include "pmn_s3.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum {
  PIECE_PICTURES = 4096,         /* at most, of the first pass: what a broken run has to do again */
  PART_BYTES = 64 * 1024 * 1024, /* of features, about: what Spark and its like read with one task */
  PAUSE_SECONDS = 90,            /* clouds take a machine away two minutes after they say so */
  PIECE_NAME = 40,
  STORED_SIZE = PMN_S3_ETAG + 32,
  REASON_MAX = sizeof((pmn_err *)NULL)->message,
};

/* ------------------------------------------------------------------------------------------------------ cuts -- */

/* `listed` indices in `count` runs that differ by one at most: first index behind run `part`. */
static int64_t cut_end(int64_t listed, int64_t count, int64_t part) {
  return part + 1 >= count ? listed : listed / count * (part + 1) + listed % count * (part + 1) / count;
}

static int64_t ceiling(int64_t value, int64_t unit) {
  return value / unit + (value % unit > 0);
}

/* Runs of the listing whose rows of `width` columns have PART_BYTES, but no more than `most` indices each. */
static int64_t run_count(const pmn_run *run, int32_t width, int64_t most) {
  int64_t size = PART_BYTES / ((int64_t)width * (int64_t)sizeof(float));
  return ceiling(run->counts.listed, size < 1 ? 1 : size > most ? most : size);
}

/* The same for parts, unless the user has said how many. */
static int64_t part_count(const pmn_run *run, int32_t width, int64_t most) {
  if (run->job == NULL) return 1;
  return run->options->parts > 0 ? run->options->parts : run_count(run, width, most);
}

int64_t pmn_parts_count(const pmn_run *run) {
  return part_count(run, (int32_t)run->counts.width, INT64_MAX);
}

int64_t pmn_parts_end(const pmn_run *run, int64_t part) {
  return cut_end(run->counts.listed, pmn_parts_count(run), part);
}

/* The piece that begins at or holds `index`. */
static int64_t piece_of(const pmn_run *run, int64_t index) {
  int64_t low = 0, high = run->piece_count - 1;
  while (low < high) {
    int64_t middle = low + (high - low) / 2;
    if (index < cut_end(run->counts.listed, run->piece_count, middle))
      high = middle;
    else
      low = middle + 1;
  }
  return low;
}

int64_t pmn_parts_border(const pmn_run *run, int64_t index) {
  if (run->is_fitting || run->job == NULL) return run->counts.listed;
  return cut_end(run->counts.listed, run->piece_count, piece_of(run, index));
}

static void piece_name(const pmn_run *run, int64_t piece, char name[PIECE_NAME]) {
  snprintf(name, PIECE_NAME, "%s-%05lld", run->spool != NULL ? "rows" : "part", (long long)piece);
}

/* ------------------------------------------------------------------------------------------------------ plan -- */

pmn_status pmn_parts_open(pmn_run *run, pmn_err *err) {
  const pmn_extract_options *o = run->options;
  const pmn_statistics *s = &o->statistics;
  /* What only gathers moments keeps no rows: they could not be summed again. */
  bool fits = o->fit_on == NULL && pmn_statistics_need_fit(s);
  run->journals = run->reduce == NULL && (fits || s->save_moments == NULL) && o->save_keypoints == NULL;
  pmn_job_options options = {.s3 = run->s3, .output = o->output, .overwrite = o->overwrite, .resume = o->resume};
  return pmn_job_open(&options, &run->job, err);
}

/* Of a picture on a disk its size and time; in a bucket its size and ETag, as far as the listing has told them. */
static void stored_text(const pmn_item *item, char text[STORED_SIZE]) {
  struct stat info;
  if (pmn_s3_is_uri(item->path) || stat(item->path, &info) != 0)
    snprintf(text, STORED_SIZE, "%s", item->stored);
  else
    snprintf(text, STORED_SIZE, "%lld %lld.%09ld", (long long)info.st_size, (long long)info.st_mtim.tv_sec,
        info.st_mtim.tv_nsec);
}

/* Of every key and label, in order; and of what is stored under them: of a run that is taken up again half of the rows
 * would else be of older pictures than the others. */
static pmn_status hash_listing(
    const pmn_run *run, char listing[PMN_SHA256_HEX_SIZE], char contents[PMN_SHA256_HEX_SIZE], pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_digest *names = pmn_digest_create(false), *stored = pmn_digest_create(false);
  bool good = names != NULL && stored != NULL;
  for (int64_t i = 0; good && i < run->counts.listed; i++) {
    char text[STORED_SIZE] = "";
    pmn_item item = pmn_listing_item(run->listing, i);
    PMN_TRY(pmn_run_check_stop(run, err));
    stored_text(&item, text);
    good = pmn_digest_update(names, item.key, strlen(item.key) + 1) &&
           pmn_digest_update(names, item.label, strlen(item.label) + 1) &&
           pmn_digest_update(stored, text, strlen(text) + 1);
  }
  good = good && pmn_digest_finish(names, NULL, listing) && pmn_digest_finish(stored, NULL, contents);
  if (!good) st = pmn_err_memory(err, 1, "the hash of the listing");
done:
  pmn_digest_destroy(names);
  pmn_digest_destroy(stored);
  return st;
}

/* The hashes are of run->listing, if there is one. */
static json_t *plan_json(const pmn_run *run, const char *listing, const char *contents) {
  const pmn_extract_options *o = run->options;
  const pmn_statistics *s = &o->statistics;
  const pmn_device_info *device = &run->device->info;
  json_t *plan = json_pack("{s:s, s:O, s:s, s:s, s:s, s:s, s:i, s:I, s:I}", "pomona", pmn_version(), "features",
      run->features, "backend", device->backend, "device", device->name, "driver", device->driver, "format",
      pmn_format_name(run->format), "parts", o->parts, "pictures", (json_int_t)run->counts.listed, "pieces",
      (json_int_t)run->piece_count);
  json_t *statistics = json_pack("{s:b, s:b, s:i, s:f, s:s, s:b, s:b, s:b}", "with_mean", s->with_mean, "with_std",
      s->with_std, "pca_components", s->pca_components, "pca_ratio", s->pca_ratio, "compat",
      s->compat != NULL ? s->compat : "sklearn", "projection", s->projection != NULL, "projected_by_network",
      run->projected, "fit_on", o->fit_on != NULL);
  bool good = json_object_set_new(plan, "statistics", statistics) == 0 &&
              json_object_set_new(plan, "table", pmn_record_table(run)) == 0;
  if (run->listing != NULL) {
    good = good && json_object_set_new(plan, "listing", json_string(listing)) == 0 &&
           json_object_set_new(plan, "contents", json_string(contents)) == 0;
  }
  if (good) return plan;
  json_decref(plan);
  return NULL;
}

pmn_status pmn_parts_begin(pmn_run *run, bool fits, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  char listing[PMN_SHA256_HEX_SIZE], contents[PMN_SHA256_HEX_SIZE];
  int64_t pieces = run_count(run, run->width, PIECE_PICTURES);
  if (pieces < run->options->parts) pieces = run->options->parts;
  int32_t width = run->fit != NULL ? pmn_fit_width(run->fit) : run->width;
  run->piece_count = run->job == NULL ? 1 : fits ? pieces : part_count(run, width, PIECE_PICTURES);
  if (run->job == NULL) return PMN_STATUS_OK;
  if (run->options->parts > run->counts.listed) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%d parts were asked for, but there are only %lld rows to be spread over them",
        run->options->parts, (long long)run->counts.listed);
  }
  if (run->listing != NULL) PMN_TRY(hash_listing(run, listing, contents, err));
  run->plan = plan_json(run, listing, contents);
  run->files = json_array();
  run->rejected = json_array();
  if (run->plan == NULL || run->files == NULL || run->rejected == NULL) {
    st = pmn_err_memory(err, 1, "the plan of a job");
    goto done;
  }
  PMN_TRY(pmn_job_begin(run->job, run->plan, &run->finished, err));
  if (run->finished != NULL && run->keypoints != NULL) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT,
        "%.300s is finished already, and keypoints are made while it is: start anew with --overwrite, or make them "
        "alone, without an output",
        run->options->output);
  }
  if (!run->journals && run->options->resume && run->finished == NULL) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "a run that saves %s keeps no rows, so there is nothing to go on with: %s",
        run->keypoints != NULL ? "keypoints" : "moments without fitting anything",
        pmn_job_goes_on(run->job) ? "start anew with --overwrite" : "leave out --resume");
  }
done:
  return st;
}

pmn_status pmn_parts_compare_fit(pmn_run *run, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_fit *fit = run->fit;
  size_t d = (size_t)fit->d * sizeof(double);
  const void *const parts[] = {fit->shift, fit->scale, fit->components};
  const size_t sizes[] = {d, d, d * (size_t)fit->k};
  char sha256[PMN_SHA256_HEX_SIZE];
  json_t *mine = NULL, *theirs = NULL;
  if (run->job == NULL || !run->journals) return PMN_STATUS_OK;
  PMN_TRY(pmn_sha256_hex(parts, sizes, fit->k > 0 ? 3 : 2, sha256, err));
  PMN_TRY(pmn_job_recall(run->job, "fit", &theirs, err));
  mine = json_pack("{s:s}", "sha256", sha256);
  if (mine == NULL) {
    st = pmn_err_memory(err, 1, "an entry of the journal");
    goto done;
  }
  if (theirs == NULL) {
    PMN_TRY(pmn_job_note(run->job, "fit", mine, err));
  } else if (!json_equal(mine, theirs)) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT,
        "the fit is not that of the broken run: its pictures or its file have changed; start anew with --overwrite");
  }
done:
  json_decref(mine);
  json_decref(theirs);
  return st;
}

/* --------------------------------------------------------------------------------------------------- restore -- */

static pmn_status damaged(const pmn_run *run, const char *name, pmn_err *err) {
  return pmn_err_set(err, PMN_STATUS_MODEL, 0,
      "%.300s: the journal's entry %s makes no sense; start anew: pomona clean", pmn_job_work_folder(run->job), name);
}

/* Reasons hold names, and names any bytes; JSON holds UTF-8. So a byte is written as the code point of its number. */
static json_t *pack(const char *reason) {
  char text[2 * REASON_MAX];
  size_t size = 0;
  for (; *reason != '\0' && size + 2 < sizeof text; reason++) {
    unsigned byte = (unsigned char)*reason;
    if (byte >= 0x80) text[size++] = (char)(0xc0 | byte >> 6);
    text[size++] = (char)(byte >= 0x80 ? 0x80 | (byte & 0x3f) : byte);
  }
  return json_stringn(text, size);
}

static bool unpack(const json_t *json, char reason[REASON_MAX]) {
  const char *text = json_string_value(json);
  size_t size = 0;
  if (text == NULL) return false;
  for (; *text != '\0' && size + 1 < REASON_MAX; text++) {
    unsigned byte = (unsigned char)*text;
    if (byte >= 0x80) {
      if ((byte & 0xfc) != 0xc0 || text[1] == '\0') return false;
      byte = (byte & 3) << 6 | ((unsigned char)*++text & 0x3f);
    }
    reason[size++] = (char)byte;
  }
  reason[size] = '\0';
  return *text == '\0';
}

pmn_status pmn_parts_reject(pmn_run *run, int64_t index, const char *stage, const char *reason, pmn_err *err) {
  if (!run->journals || run->is_fitting) return PMN_STATUS_OK;
  json_t *reject = json_pack("[I, s, o]", (json_int_t)index, stage, pack(reason));
  bool good = reject != NULL && json_array_append_new(run->rejected, reject) == 0;
  return good ? PMN_STATUS_OK : pmn_err_memory(err, 1, "the list of rejects");
}

/* Rows and rejects of the indices [first, end), as an entry tells. */
static pmn_status restore_indices(
    pmn_run *run, const char *name, json_t *rejected, int64_t first, int64_t end, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t next;
  json_t *reject;
  bool *rejects = pmn_calloc((size_t)(end - first), sizeof *rejects);
  if (rejects == NULL) return pmn_err_memory(err, (size_t)(end - first), "the rejects of a piece");
  json_array_foreach(rejected, next, reject) {
    int64_t index = json_is_integer(json_array_get(reject, 0)) ? json_integer_value(json_array_get(reject, 0)) : -1;
    const char *stage = json_string_value(json_array_get(reject, 1));
    char reason[REASON_MAX];
    if (index < first || index >= end || rejects[index - first] || stage == NULL ||
        !unpack(json_array_get(reject, 2), reason)) {
      st = damaged(run, name, err);
      goto done;
    }
    rejects[index - first] = true;
    PMN_TRY(pmn_run_reject(run, index, stage, reason, err));
  }
  PMN_TRY(pmn_run_list_rejects(run, INT64_MAX, err)); /* `rejected` holds their stages */
  for (int64_t index = first; index < end; index++) {
    if (!rejects[index - first]) run->rows[run->counts.rows++] = index;
  }
  json_array_clear(run->rejected);
done:
  pmn_free(rejects);
  return st;
}

/* Of the rows from `first_row` on, which are those of the piece. */
static pmn_status restore_keypoints(
    pmn_run *run, const char *name, const json_t *counts, int64_t first_row, pmn_err *err) {
  int64_t rows = run->counts.rows - first_row;
  if (run->keypoint_counts == NULL) return PMN_STATUS_OK;
  if (!json_is_array(counts) || json_array_size(counts) != (size_t)rows) return damaged(run, name, err);
  for (int64_t i = 0; i < rows; i++) {
    const json_t *count = json_array_get(counts, (size_t)i);
    int64_t value = json_is_integer(count) ? json_integer_value(count) : -1;
    if (value < 0 || value > INT32_MAX) return damaged(run, name, err);
    pmn_run_take_keypoints(run, run->rows[first_row + i], (int32_t)value);
  }
  return PMN_STATUS_OK;
}

/* The rows of a piece are a file of their own: "rows-00000.f32". */
static pmn_status keep_rows(pmn_run *run, const char *name, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  char file[PIECE_NAME + 8];
  int64_t first = run->kept_rows, n = pmn_spool_count(run->spool) - first;
  size_t values = (size_t)n * (size_t)run->width;
  float *rows = pmn_alloc(values, sizeof *rows);
  if (rows == NULL) return pmn_err_memory(err, values * sizeof *rows, "the rows of a piece");
  snprintf(file, sizeof file, "%s.f32", name);
  PMN_TRY(pmn_spool_read_narrow(run->spool, first, n, rows, err));
  PMN_TRY(pmn_job_keep(run->job, file, rows, values * sizeof *rows, err));
  run->kept_rows += n;
done:
  pmn_free(rows);
  return st;
}

/* Through spool and moments once more: the sums are the same to the bit. */
static pmn_status restore_rows(pmn_run *run, const char *name, int64_t n, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  char file[PIECE_NAME + 8];
  size_t size = (size_t)n * (size_t)run->width * sizeof(float);
  pmn_buf rows;
  pmn_buf_init(&rows, size);
  snprintf(file, sizeof file, "%s.f32", name);
  PMN_TRY(pmn_job_fetch(run->job, file, size, &rows, err));
  if (n == 0) goto done;
  PMN_TRY(pmn_spool_append(run->spool, (const float *)(const void *)rows.data, n, err));
  PMN_TRY(pmn_moments_add(run->moments, (const float *)(const void *)rows.data, n, err));
  run->kept_rows += n;
done:
  pmn_buf_reset(&rows);
  return st;
}

pmn_status pmn_parts_restore(pmn_run *run, int64_t *first, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  json_t *entry = NULL;
  int64_t piece = 0;
  *first = 0;
  if (!run->journals || run->is_fitting) return PMN_STATUS_OK;
  for (; piece < run->piece_count; piece++) {
    char name[PIECE_NAME];
    piece_name(run, piece, name);
    PMN_TRY(pmn_job_recall(run->job, name, &entry, err));
    if (entry == NULL) break;
    int64_t end = cut_end(run->counts.listed, run->piece_count, piece);
    json_t *files = json_object_get(entry, "files");
    if (json_integer_value(json_object_get(entry, "end")) != end ||
        (run->spool == NULL && (!json_is_array(files) || json_array_extend(run->files, files) != 0))) {
      st = damaged(run, name, err);
      goto done;
    }
    int64_t rows = run->counts.rows;
    PMN_TRY(restore_indices(run, name, json_object_get(entry, "rejects"), *first, end, err));
    PMN_TRY(restore_keypoints(run, name, json_object_get(entry, "keypoints"), rows, err));
    if (run->spool != NULL) PMN_TRY(restore_rows(run, name, run->counts.rows - rows, err));
    json_decref(entry);
    entry = NULL;
    *first = end;
  }
  if (run->spool == NULL && *first > 0) PMN_TRY(pmn_job_check_parts(run->job, run->files, err));
  run->restored = true;
  run->counts.restored = run->phase_before = *first;
  run->phase_started = pmn_clock_seconds();
  if (run->fit != NULL) run->counts.width = pmn_fit_width(run->fit); /* though no part may be left to be written */
  if (*first > 0 && *first < run->counts.listed) {
    pmn_run_message(run, PMN_LEVEL_INFO, "going on with picture %lld of %lld: %lld rows and %lld rejects are there",
        (long long)*first + 1, (long long)run->counts.listed, (long long)run->counts.rows,
        (long long)run->counts.rejects);
  }
done:
  json_decref(entry);
  return st;
}

/* ---------------------------------------------------------------------------------------------------- pieces -- */

pmn_status pmn_parts_part_begin(pmn_run *run, int64_t part, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  char name[PIECE_NAME];
  pmn_buf path;
  pmn_buf_init(&path, 1 << 16);
  if (run->job == NULL) {
    PMN_TRY(pmn_run_open_outlet(run, run->options->output, err));
    goto done;
  }
  snprintf(name, sizeof name, "part-%05lld.%s", (long long)part, pmn_format_name(run->format));
  PMN_TRY(pmn_job_output_path(run->job, name, &path, err));
  PMN_TRY(pmn_run_open_outlet(run, path.data, err));
done:
  pmn_buf_reset(&path);
  return st;
}

/* The part's files, whole, into *files. */
static pmn_status end_part(pmn_run *run, json_t **files, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  double start = pmn_clock_seconds();
  char *plan = pmn_record_text(run->plan);
  if (plan == NULL) {
    st = pmn_err_memory(err, 1, "the plan of a job");
    goto done;
  }
  PMN_TRY(pmn_outlet_finish(run->outlet, &run->meter, err));
  PMN_TRY(pmn_sink_seal(run->sink, plan, err));
  PMN_TRY(pmn_job_describe_part(run->job, run->sink, files, err));
  pmn_outlet_destroy(run->outlet);
  pmn_sink_destroy(run->sink);
  run->outlet = NULL;
  run->sink = NULL;
  run->meter.stages[PMN_STAGE_WRITE].busy_seconds += pmn_clock_seconds() - start;
  if (json_array_extend(run->files, *files) != 0) st = pmn_err_memory(err, 1, "the list of files");
done:
  pmn_free(plan);
  return st;
}

pmn_status pmn_parts_part_end(pmn_run *run, pmn_err *err) {
  json_t *files = NULL;
  if (run->job == NULL) return pmn_outlet_finish(run->outlet, &run->meter, err);
  pmn_status st = end_part(run, &files, err);
  json_decref(files);
  return st;
}

/* Not if the rest of the piece would take so long that the machine is gone first. */
bool pmn_parts_will_pause(const pmn_run *run) {
  if (!run->in_piece || !run->journals || run->is_fitting) return false;
  int64_t at = run->counts.rows + run->counts.rejects;
  double seconds = pmn_clock_seconds() - run->phase_started, rate = (double)(at - run->phase_before) / seconds;
  return (double)(pmn_parts_border(run, at) - at) < rate * PAUSE_SECONDS;
}

pmn_status pmn_parts_piece_begin(pmn_run *run, int64_t index, pmn_err *err) {
  run->in_piece = true;
  if (run->is_fitting || run->spool != NULL) return PMN_STATUS_OK;
  return pmn_parts_part_begin(run, run->job == NULL ? 0 : piece_of(run, index), err);
}

/* Keypoints of the rows of the piece that begins at `first`, which are the last; NULL when memory cannot be had. */
static json_t *keypoints_from(const pmn_run *run, int64_t first) {
  json_t *array = json_array();
  int64_t row = run->counts.rows;
  while (row > 0 && run->rows[row - 1] >= first) row--;
  for (; row < run->counts.rows; row++) {
    if (json_array_append_new(array, json_integer(run->keypoint_counts[run->rows[row]])) == 0) continue;
    json_decref(array);
    return NULL;
  }
  return array;
}

pmn_status pmn_parts_piece_end(pmn_run *run, int64_t end, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  json_t *files = NULL, *entry = NULL;
  char name[PIECE_NAME];
  run->in_piece = false;
  PMN_TRY(pmn_run_list_rejects(run, INT64_MAX, err));
  if (run->is_fitting || (run->spool != NULL && !run->journals)) return PMN_STATUS_OK;
  if (run->job == NULL) return pmn_parts_part_end(run, err);
  int64_t piece = piece_of(run, end - 1);
  piece_name(run, piece, name);
  if (run->spool == NULL)
    PMN_TRY(end_part(run, &files, err));
  else
    PMN_TRY(keep_rows(run, name, err));
  if (!run->journals) goto done;
  entry = json_pack("{s:I, s:O, s:O*}", "end", (json_int_t)end, "rejects", run->rejected, "files", files);
  bool good = entry != NULL;
  int64_t first = piece > 0 ? cut_end(run->counts.listed, run->piece_count, piece - 1) : 0;
  if (good && run->keypoint_counts != NULL)
    good = json_object_set_new(entry, "keypoints", keypoints_from(run, first)) == 0;
  if (!good) {
    st = pmn_err_memory(err, 1, "an entry of the journal");
    goto done;
  }
  PMN_TRY(pmn_job_note(run->job, name, entry, err));
  json_array_clear(run->rejected);
  if (run->options->pause != NULL && *run->options->pause != 0 && end < run->counts.listed) {
    PMN_FAIL(err, PMN_STATUS_PAUSED, "ended early, as asked: %lld of %lld pictures are done", (long long)end,
        (long long)run->counts.listed);
  }
done:
  json_decref(files);
  json_decref(entry);
  return st;
}
