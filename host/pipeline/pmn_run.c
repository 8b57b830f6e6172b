/* pmn_run.c - what the steps of a run share; see pmn_run.h. */
#include "pmn_run.h"

#include "pmn_clock.h"
#include "pmn_keypoints.h"
#include "pmn_mem.h"
#include "pmn_outfile.h"
#include "pmn_parts.h"
#include "pmn_s3.h"
#include "pmn_summary.h"

#include <jansson.h>

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *pmn_version(void) {
  return PMN_VERSION;
}

pmn_status pmn_run_check_stop(const pmn_run *run, pmn_err *err) {
  const pmn_extract_options *o = run->options;
  bool stop = o->stop != NULL && *o->stop != 0, pause = o->pause != NULL && *o->pause != 0;
  if (!stop && (!pause || pmn_parts_will_pause(run))) return PMN_STATUS_OK;
  if (run->job == NULL || !pmn_job_has_journal(run->job)) {
    if (!stop && run->journals) { /* or will, when its pictures are listed */
      return pmn_err_set(err, PMN_STATUS_PAUSED, 0,
          "interrupted before anything was kept; the same command with --resume begins again");
    }
    return pmn_err_set(err, PMN_STATUS_INTERRUPTED, 0, "interrupted; nothing was written");
  }
  return pmn_err_set(err, stop ? PMN_STATUS_INTERRUPTED : PMN_STATUS_PAUSED, 0, "interrupted");
}

static pmn_status check_stop(const void *run, pmn_err *err) {
  return pmn_run_check_stop(run, err);
}

pmn_watch pmn_run_watch(const pmn_run *run) {
  return (pmn_watch){check_stop, run};
}

void pmn_run_message(const pmn_run *run, pmn_level level, const char *format, ...) {
  char text[1024];
  va_list args;
  if (run->options->on_message == NULL) return;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  run->options->on_message(run->options->callback_arg, level, text);
}

void pmn_run_progress(pmn_run *run, const char *phase, int64_t done, int64_t total, double phase_started) {
  double now = pmn_clock_seconds(), seconds = now - phase_started;
  if (run->options->on_progress == NULL || (now - run->progress_last < 0.1 && done < total)) return;
  run->progress_last = now;
  pmn_progress progress = {
      .done = done, .total = total, .rejects = run->counts.rejects, .phase = phase, .seconds_left = -1};
  double mine = (double)(done - run->phase_before);
  if (seconds > 0) progress.images_per_second = mine / seconds;
  if (mine > 0) progress.seconds_left = (double)(total - done) * seconds / mine;
  run->options->on_progress(run->options->callback_arg, &progress);
}

pmn_status pmn_run_make_s3(const pmn_s3_access *access, const volatile sig_atomic_t *stop, pmn_s3 **s3, pmn_err *err) {
  pmn_s3_options options = {.flags = {.region = access->region,
                                .endpoint = access->endpoint,
                                .profile = access->profile,
                                .no_sign_request = access->no_sign_request},
      .stop = stop};
  return pmn_s3_create(&options, s3, err);
}

pmn_status pmn_run_open_s3(pmn_run *run, pmn_err *err) {
  if (run->s3 != NULL) return PMN_STATUS_OK;
  pmn_status st = pmn_run_make_s3(&run->options->s3, run->options->stop, &run->s3, err);
  if (st == PMN_STATUS_OK) pmn_run_message(run, PMN_LEVEL_INFO, "buckets: %s", pmn_s3_describe(run->s3));
  return st;
}

/* ---------------------------------------------------------------------------------------------------- finish -- */

/* What goes on behind a message, which may be a question. */
static const char *joint(const char *message) {
  size_t size = strlen(message);
  return size > 0 && message[size - 1] == '?' ? " - " : "; ";
}

/* What could not be removed is in nobody's way for long, but it is there, and uploads are paid for. */
static void warn_of_rest(const pmn_run *run) {
  pmn_err why;
  if (run->s3 == NULL || run->options->output == NULL || !pmn_s3_undeleted(run->s3, &why)) return;
  pmn_run_message(run, PMN_LEVEL_WARNING,
      "%s%swhat this run has left in the bucket beside its output, pomona clean %.300s removes when it may",
      why.message, joint(why.message), run->options->output);
}

static void close_run(pmn_run *run) {
  bool keeps = run->job != NULL && pmn_job_has_journal(run->job);
  pmn_outlet_destroy(run->outlet);
  pmn_projector_destroy(run->projector);
  pmn_sink_destroy(run->sink);
  pmn_keypoints_destroy(run->keypoints);
  pmn_rejects_destroy(run->rejects);
  pmn_run_forget_rejects(run);
  pmn_spool_destroy(run->spool);
  pmn_fit_destroy(run->fit);
  pmn_moments_destroy(run->moments);
  pmn_maker_destroy(run->maker);
  for (int32_t i = 0; i < run->device_count; i++) pmn_device_close(run->devices[i]);
  pmn_listing_destroy(run->listing);
  for (size_t i = 0; i < run->kept_count; i++) pmn_outfile_destroy(run->kept[i]);
  pmn_matrix_close(run->matrix);
  pmn_index_destroy(run->index);
  pmn_job_guard_release(run->guard);
  pmn_job_close(run->job); /* after everything that has a file in it */
  if (!keeps) warn_of_rest(run);
  pmn_s3_destroy(run->s3);
  json_decref(run->features);
  json_decref(run->plan);
  json_decref(run->files);
  json_decref(run->rejected);
  json_decref(run->fit_rejected);
  json_decref(run->results);
  pmn_free(run->finished);
  pmn_free(run->rows);
  pmn_free(run->keypoint_counts);
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
  bool listed = run->counts.rejects > 0 && run->rejects_path != NULL;
  if (listed) summary->rejects_path = pmn_strdup(run->rejects_path);
  bool good = !listed || summary->rejects_path != NULL;
  return good ? PMN_STATUS_OK : pmn_err_memory(err, 1, "the summary");
}

static pmn_status make_record(const pmn_run *run, pmn_summary *summary, const json_t *files, pmn_err *err) {
  pmn_free(summary->record);
  summary->record = pmn_record_create(run, summary->bound, summary->seconds, files);
  return summary->record != NULL ? PMN_STATUS_OK : pmn_err_memory(err, 1, "the run record");
}

/* A table that is one file. A record beside it can tell its hash; one inside cannot. */
static pmn_status commit_file(pmn_run *run, pmn_summary *summary, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  json_t *files = NULL;
  PMN_TRY(make_record(run, summary, NULL, err));
  PMN_TRY(pmn_sink_seal(run->sink, summary->record, err));
  if (!pmn_format_holds_record(run->format)) {
    PMN_TRY(pmn_job_describe_files(run->sink, &files, err));
    PMN_TRY(make_record(run, summary, files, err));
  }
  while (run->kept_count > 0) pmn_sink_adopt(run->sink, run->kept[--run->kept_count]);
  PMN_TRY(pmn_sink_commit(run->sink, summary->record, err));
done:
  json_decref(files);
  return st;
}

/* The list of rejects in a folder of a bucket is shown with the parts, after the old output's _SUCCESS has gone. */
static bool shows_rejects_late(const pmn_run *run) {
  return run->rejects_inside && pmn_s3_is_uri(run->options->output);
}

/* The files of the parts, and the list of rejects if it is shown with them. */
static pmn_status list_files(const pmn_run *run, json_t **files, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_outfile *rejects = NULL;
  json_t *file = NULL;
  *files = json_copy(run->files);
  if (*files == NULL) return pmn_err_memory(err, 1, "the list of files");
  if (shows_rejects_late(run)) PMN_TRY(pmn_rejects_seal(run->rejects, &rejects, err));
  if (rejects == NULL) goto done;
  PMN_TRY(pmn_job_describe_file(rejects, &file, err));
  if (json_array_append_new(*files, file) != 0) st = pmn_err_memory(err, 1, "the list of files");
done:
  return st;
}

/* What was kept is there before the folder that promises it: a crash between the two is mended by taking up the job. */
static pmn_status commit_folder(pmn_run *run, pmn_summary *summary, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  json_t *files = NULL;
  PMN_TRY(make_record(run, summary, run->files, err));
  PMN_TRY(list_files(run, &files, err));
  if (run->kept_count > 0) PMN_TRY(pmn_outfile_publish(run->kept, run->kept_count, err));
  PMN_TRY(pmn_job_commit(run->job, files, summary->record, err));
done:
  json_decref(files);
  return st;
}

/* Hash of a file; "" if there is none. */
static pmn_status hash_file(
    const char *path, const volatile sig_atomic_t *stop, char sha256[PMN_SHA256_HEX_SIZE], pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  struct stat info;
  pmn_digest *digest = NULL;
  int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  sha256[0] = '\0';
  if (fd < 0 || fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) goto done;
  PMN_TRY(pmn_digest_read(fd, info.st_size, path, false, stop, &digest, err));
  if (!pmn_digest_finish(digest, NULL, sha256)) st = pmn_err_memory(err, 1, "the hash of a file");
done:
  pmn_digest_destroy(digest);
  if (fd >= 0) close(fd);
  return st;
}

/* Nothing can be fitted again without the rows: what is to be saved was saved with the output, and is there. */
static pmn_status check_saved(const pmn_run *run, const char *what, const char *path, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  char then[PMN_SHA256_HEX_SIZE], now[PMN_SHA256_HEX_SIZE];
  if (path == NULL) return PMN_STATUS_OK;
  pmn_record_saved(run->finished, what, then);
  if (then[0] == '\0') {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT,
        "%.200s is finished already, and no %s %s saved with it: start anew with --overwrite", run->options->output,
        what, strcmp(what, "moments") == 0 ? "were" : "was");
  }
  PMN_TRY(hash_file(path, run->options->stop, now, err));
  if (strcmp(then, now) != 0) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT,
        "%.160s is finished already, but %.160s is not what was saved with it: name that file, or start anew with "
        "--overwrite",
        run->options->output, path);
  }
done:
  return st;
}

/* One file that is no table, or none. */
static pmn_status commit_product(pmn_run *run, pmn_summary *summary, pmn_err *err) {
  pmn_status st = make_record(run, summary, NULL, err);
  if (st == PMN_STATUS_OK && run->kept_count > 0) st = pmn_outfile_publish(run->kept, run->kept_count, err);
  return st;
}

/* An output that was finished before. */
static pmn_status find_summary(pmn_run *run, pmn_summary *summary, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_statistics *s = &run->options->statistics;
  PMN_TRY(pmn_record_counts(run->finished, &summary->counts, &summary->rejects_path, err));
  PMN_TRY(check_saved(run, "projection", s->save_projection, err));
  PMN_TRY(check_saved(run, "moments", s->save_moments, err));
  PMN_TRY(check_saved(run, "vocabulary", run->options->save_vocabulary, err));
  summary->record = run->finished;
  run->finished = NULL;
  pmn_meter_init(&summary->meter, 1);
  summary->bound = pmn_meter_finish(&summary->meter, 0);
  pmn_run_message(run, PMN_LEVEL_INFO, "%.300s is finished already: nothing is left to do", run->options->output);
done:
  return st;
}

/* What takes the place of an older output's list, or removes it, comes behind the table: that may fail, and then the
 * list is still the older table's. */
static bool replaces_rejects(const pmn_run *run) {
  return run->rejects != NULL && run->job == NULL && run->options->overwrite;
}

static pmn_status replace_rejects(pmn_run *run, pmn_err *err) {
  pmn_err why = PMN_ERR_INIT;
  pmn_status st = pmn_rejects_commit(run->rejects, &why);
  if (st == PMN_STATUS_OK) return st;
  return pmn_err_set(err, st, why.foreign,
      "%.500s; the table is new already, and its list of rejects is not: run again with --overwrite", why.message);
}

static pmn_status commit(pmn_run *run, pmn_summary *summary, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  bool replaces = replaces_rejects(run);
  if (run->counts.rows + run->counts.rejects != run->counts.listed) {
    PMN_FAIL(err, PMN_STATUS_WRITE,
        "%lld pictures were listed, but %lld rows and %lld rejects came of them: report this",
        (long long)run->counts.listed, (long long)run->counts.rows, (long long)run->counts.rejects);
  }
  PMN_TRY(pmn_run_check_stop(run, err));
  PMN_TRY(fill_summary(run, summary, err));
  if (run->guard != NULL) PMN_TRY(pmn_job_guard_check(run->guard, err));
  if (run->rejects != NULL && !replaces && !shows_rejects_late(run)) PMN_TRY(pmn_rejects_commit(run->rejects, err));
  if (run->keypoints != NULL) {
    PMN_TRY(make_record(run, summary, NULL, err));
    PMN_TRY(pmn_keypoints_commit(run->keypoints, summary->record, err));
  }
  if (run->product != NULL)
    st = commit_product(run, summary, err);
  else
    st = run->job != NULL ? commit_folder(run, summary, err) : commit_file(run, summary, err);
  if (st == PMN_STATUS_OK && replaces) st = replace_rejects(run, err);
  /* A list of rejects without its table would only be in the way of the next run. */
  bool alone = st != PMN_STATUS_OK && run->counts.rejects > 0 && run->job == NULL && run->rejects != NULL && !replaces;
  if (alone && pmn_outfile_remove_old(run->s3, run->rejects_path, NULL) != PMN_STATUS_OK) goto done;
done:
  return st;
}

/* Whatever ends a run, the user is told what is kept and how to go on; these messages say it themselves, or what else
 * to do: that the job is another one, for example, which is found before its journal is read. */
static void tell_kept(const pmn_run *run, pmn_status status, pmn_err *err) {
  const pmn_extract_options *o = run->options;
  bool told =
      (status == PMN_STATUS_ARGUMENT && !run->restored) || status == PMN_STATUS_EXISTS || status == PMN_STATUS_MODEL;
  pmn_err why = err != NULL ? *err : (pmn_err)PMN_ERR_INIT;
  if (told || err == NULL) return;
  if (run->job == NULL || !pmn_job_has_journal(run->job)) {
    /* Nothing can be sent any more, so that nothing can be removed. */
    bool begun =
        status == PMN_STATUS_INTERRUPTED && (run->job != NULL || run->guard != NULL) && pmn_s3_is_uri(o->output);
    if (begun) {
      pmn_err_set(err, status, why.foreign, "%.150s; pomona clean %.300s removes what was begun in the bucket",
          why.message, o->output);
    }
    return;
  }
  bool too_many = status == PMN_STATUS_REJECTED && (o->stop_on_error || o->max_rejects >= 0);
  bool resumes = run->plan == NULL || run->journals;
  char kept[300];
  snprintf(kept, sizeof kept, "%swhat was done is kept in %.150s: %s%s, or %s", joint(why.message),
      pmn_job_work_folder(run->job), resumes ? "go on with --resume" : "start anew with --overwrite",
      too_many ? " and more rejects allowed" : "", pmn_job_way_out(run->job));
  pmn_err_set(err, status, why.foreign, "%.*s%s", (int)(sizeof why.message - 1 - strlen(kept)), why.message, kept);
}

pmn_status pmn_run_execute(
    pmn_run *run, pmn_status (*steps)(pmn_run *run, pmn_err *err), pmn_summary **summary, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  *summary = NULL;
  run->started = pmn_clock_seconds();
  pmn_clock_utc(run->started_utc);
  pmn_summary *result = pmn_calloc(1, sizeof *result);
  if (result == NULL) return pmn_err_memory(err, sizeof *result, "the summary");
  PMN_TRY(steps(run, err));
  PMN_TRY(run->finished != NULL ? find_summary(run, result, err) : commit(run, result, err));
  *summary = result;
  result = NULL;
done:
  if (st != PMN_STATUS_OK) tell_kept(run, st, err);
  close_run(run);
  pmn_summary_destroy(result);
  return st;
}

pmn_status pmn_clean(const pmn_clean_options *options, int64_t *removed, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_s3 *s3 = NULL;
  if (options->struct_size != sizeof *options) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "pmn_clean_options was not made by PMN_CLEAN_OPTIONS_INIT of this version");
  }
  if (options->output == NULL || options->output[0] == '\0') PMN_FAIL(err, PMN_STATUS_ARGUMENT, "no output is named");
  if (pmn_s3_is_uri(options->output)) PMN_TRY(pmn_run_make_s3(&options->s3, options->stop, &s3, err));
  PMN_TRY(pmn_job_clean(s3, options->output, removed, err));
done:
  pmn_s3_destroy(s3);
  return st;
}
