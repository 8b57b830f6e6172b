/* pmn_fetch.c - the published weights of pomona.h: list, fetch, verify.
 *
 * In the cache folder, for an entry NAME: NAME.lock is held while one fetch works; NAME.part is what has come of a
 * download; NAME.h5 is the published file, whole and with the right hash, until it is converted, or put there by
 * somebody; NAME.safetensors and NAME.json are the result and its record. Every name appears by a rename.
 */
#include "pmn_convert.h"
#include "pmn_download.h"
#include "pmn_file.h"
#include "pmn_weights_record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PATH_SIZE = 4096 };

typedef struct fetch {
  const pmn_fetch_options *options;
  const pmn_weights_entry *entry;
  char url[1024];
  bool plain_http;
  pmn_buf h5, part;  /* paths */
  pmn_fetched known; /* the record of an earlier fetch */
  bool is_known;
  bool own_h5; /* NAME.h5 is of this fetch: it goes when it is converted */
} fetch;

static pmn_status find_entry(const char *name, const pmn_weights_entry **entry, pmn_err *err) {
  if (pmn_weights_at(0) == NULL) return pmn_err_memory(err, 1, "the list of weights");
  *entry = pmn_weights_find(name);
  if (*entry != NULL) return PMN_STATUS_OK;
  return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0, "there are no published weights \"%.64s\"", name);
}

static void say(const pmn_fetch_options *options, pmn_level level, const char *format, ...) PMN_PRINTF(3, 4);
static void say(const pmn_fetch_options *options, pmn_level level, const char *format, ...) {
  char text[1200];
  va_list args;
  if (options->on_message == NULL) return;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  options->on_message(options->callback_arg, level, text);
}

/* -------------------------------------------------------------------------------------------------- list, verify -- */

pmn_status pmn_weights_list(pmn_weights_info *list, int32_t capacity, int32_t *count, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_weights_entry *entry;
  pmn_buf path;
  pmn_buf_init(&path, sizeof list->path - 1);
  if (pmn_weights_at(0) == NULL) {
    st = pmn_err_memory(err, 1, "the list of weights");
    goto done;
  }
  for (*count = 0; (entry = pmn_weights_at(*count)) != NULL; ++*count) {
    if (*count >= capacity) continue;
    pmn_weights_info *info = &list[*count];
    *info = (pmn_weights_info){.name = entry->name,
        .network = entry->network,
        .licence = entry->licence,
        .size = entry->size,
        .classifier = entry->classifier,
        .bytes = entry->bytes};
    pmn_buf_clear(&path);
    PMN_TRY(pmn_weights_path(entry, &path, &info->fetched, err));
    snprintf(info->path, sizeof info->path, "%s", path.data);
  }
done:
  pmn_buf_reset(&path);
  return st;
}

/* Every tensor of the network is there, and no other. */
static pmn_status check_tensors(const pmn_weights_entry *entry, const pmn_buf *bytes, const char *path, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_safetensors *file = NULL;
  pmn_match match = {.architecture = pmn_architecture_find(entry->network)};
  PMN_TRY(pmn_safetensors_create(bytes->data, bytes->size, path, &file, err));
  match.file = file;
  PMN_TRY(pmn_match_keras(&match, err));
  if (match.classifier != entry->classifier) {
    PMN_FAIL(err, PMN_STATUS_MODEL, "%s: %s", path,
        entry->classifier ? "the classifier is missing" : "there is a classifier that should not be there");
  }
done:
  pmn_match_reset(&match);
  pmn_safetensors_destroy(file);
  return st;
}

pmn_status pmn_weights_verify(const char *name, pmn_fetched *fetched, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_weights_entry *entry = NULL;
  int64_t size = 0;
  bool found = false;
  char sha256[PMN_SHA256_HEX_SIZE];
  pmn_buf bytes;
  pmn_buf_init(&bytes, 2000 * 1000 * 1000);
  PMN_TRY(find_entry(name, &entry, err));
  PMN_TRY(pmn_weights_record_read(entry, fetched, &size, &found, err));
  if (access(fetched->path, F_OK) != 0) {
    PMN_FAIL(err, PMN_STATUS_NOT_FOUND, "%s is not fetched: there is no %.300s", name, fetched->path);
  }
  if (!found) PMN_FAIL(err, PMN_STATUS_MODEL, "%.300s has no record; fetch it again", fetched->path);
  if (entry->md5 != NULL && !fetched->pinned) {
    PMN_FAIL(err, PMN_STATUS_MODEL, "%.200s was made of a file with the MD5 %s, not the published %s; fetch it again",
        fetched->path, fetched->md5, entry->md5);
  }
  PMN_TRY(pmn_file_read(fetched->path, &bytes, err));
  const void *data = bytes.data;
  PMN_TRY(pmn_sha256_hex(&data, &bytes.size, 1, sha256, err));
  if (strcmp(sha256, fetched->safetensors_sha256) != 0) {
    PMN_FAIL(err, PMN_STATUS_MODEL, "%.200s has changed since it was fetched: its SHA-256 is %s; fetch it again",
        fetched->path, sha256);
  }
  PMN_TRY(check_tensors(entry, &bytes, fetched->path, err));
done:
  pmn_buf_reset(&bytes);
  return st;
}

/* --------------------------------------------------------------------------------------------------------- fetch -- */

/* The address, and whether it may be plain http: never by default. */
static pmn_status find_url(fetch *self, pmn_err *err) {
  const char *chosen = self->options->base_url, *base;
  if (chosen == NULL || chosen[0] == '\0') chosen = getenv("POMONA_WEIGHTS_URL");
  base = chosen != NULL && chosen[0] != '\0' ? chosen : pmn_weights_base();
  if (base == NULL) return pmn_err_memory(err, 1, "an address");
  self->plain_http = strncmp(base, "http://", 7) == 0;
  if (!self->plain_http && strncmp(base, "https://", 8) != 0) {
    return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0,
        "%.200s is no address of weights: it starts with neither https:// nor http://", base);
  }
  size_t length = strlen(base);
  if (snprintf(self->url, sizeof self->url, "%s%s%s", base, base[length - 1] == '/' ? "" : "/", self->entry->path) >=
      (int)sizeof self->url) {
    return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0, "the address of weights is too long: %.100s...", base);
  }
  return PMN_STATUS_OK;
}

/* Waits until no other process or thread fetches this entry. */
static pmn_status take_lock(const fetch *self, int *lock, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const struct timespec step = {.tv_nsec = 100 * 1000 * 1000};
  const volatile sig_atomic_t *stop = self->options->stop;
  pmn_buf path;
  pmn_buf_init(&path, PATH_SIZE - 1);
  PMN_TRY(pmn_weights_file(self->entry, ".lock", &path, err));
  *lock = open(path.data, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (*lock < 0) {
    PMN_FAIL_CODE(err, PMN_STATUS_WRITE, errno, "cannot write %.300s: %s", path.data, strerror(errno));
  }
  for (bool said = false; flock(*lock, LOCK_EX | LOCK_NB) != 0; nanosleep(&step, NULL)) {
    if (errno != EWOULDBLOCK && errno != EINTR) {
      PMN_FAIL_CODE(err, PMN_STATUS_WRITE, errno, "cannot lock %.300s: %s", path.data, strerror(errno));
    }
    if (stop != NULL && *stop != 0) PMN_FAIL(err, PMN_STATUS_INTERRUPTED, "interrupted");
    if (!said) say(self->options, PMN_LEVEL_INFO, "%s: waiting for another fetch of it", self->entry->name);
    said = true;
  }
done:
  pmn_buf_reset(&path);
  return st;
}

/* Is this the published file? Without a published hash: is it what was fetched before? */
static pmn_status check_hash(const fetch *self, const char *path, const pmn_fetched *fetched, pmn_err *err) {
  const char *md5 = self->entry->md5;
  if (md5 != NULL && strcmp(md5, fetched->md5) != 0) {
    return pmn_err_set(err, PMN_STATUS_MODEL, 0, "%.250s is not the published file: its MD5 is %s and not %s", path,
        fetched->md5, md5);
  }
  if (md5 == NULL && self->is_known && strcmp(self->known.sha256, fetched->sha256) != 0) {
    return pmn_err_set(err, PMN_STATUS_MODEL, 0,
        "%.120s is not the file that was fetched before: its SHA-256 is %s and not %s; if that is right, remove "
        "%s.json "
        "from the cache",
        path, fetched->sha256, self->known.sha256, self->entry->name);
  }
  return PMN_STATUS_OK;
}

/* NAME.h5, put there by somebody or left by a conversion that failed; *found. */
static pmn_status take_h5(const fetch *self, pmn_fetched *fetched, bool *found, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  struct stat info;
  pmn_digest *digest = NULL;
  int fd = open(self->h5.data, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  *found = fd >= 0;
  if (!*found) return PMN_STATUS_OK;
  if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    PMN_FAIL(err, PMN_STATUS_MODEL, "%.300s is not a regular file", self->h5.data);
  }
  PMN_TRY(pmn_digest_read(fd, info.st_size, self->h5.data, self->options->stop, &digest, err));
  if (!pmn_digest_finish(digest, fetched->md5, fetched->sha256)) {
    PMN_FAIL(err, PMN_STATUS_NO_MEMORY, "libcrypto could not compute a hash");
  }
  fetched->bytes = info.st_size;
  PMN_TRY(check_hash(self, self->h5.data, fetched, err));
done:
  pmn_digest_destroy(digest);
  if (fd >= 0) close(fd);
  return st;
}

static pmn_status download_h5(fetch *self, pmn_fetched *fetched, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_download_options options = {.url = self->url,
      .allow_http = self->plain_http,
      .bytes = self->entry->bytes,
      .on_progress = self->options->on_progress,
      .callback_arg = self->options->callback_arg,
      .stop = self->options->stop};
  if (self->plain_http) {
    say(self->options, PMN_LEVEL_WARNING, "%s is fetched without encryption, from %s", self->entry->name, self->url);
  }
  say(self->options, PMN_LEVEL_DETAIL, "%s", self->url);
  st = pmn_download(self->part.data, &options, &fetched->bytes, fetched->md5, fetched->sha256, err);
  if (st == PMN_STATUS_NETWORK && err != NULL) {
    pmn_err reason = *err;
    PMN_FAIL_CODE(err, PMN_STATUS_NETWORK, reason.foreign,
        "cannot fetch %.330s; without a network, put that file at %.120s and run this again", reason.message,
        self->h5.data);
  }
  if (st == PMN_STATUS_MODEL) pmn_download_forget(self->part.data);
  if (st != PMN_STATUS_OK) goto done;
  st = check_hash(self, self->url, fetched, err);
  if (st != PMN_STATUS_OK) {
    pmn_download_forget(self->part.data);
    goto done;
  }
  if (rename(self->part.data, self->h5.data) != 0) {
    PMN_FAIL_CODE(err, PMN_STATUS_WRITE, errno, "cannot write %.300s: %s", self->h5.data, strerror(errno));
  }
  pmn_download_forget(self->part.data);
  self->own_h5 = true;
done:
  return st;
}

/* NAME.h5 to NAME.safetensors and NAME.json. */
static pmn_status convert(const fetch *self, pmn_fetched *fetched, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_weights_entry *entry = self->entry;
  pmn_converted converted = {.tensors = 0};
  PMN_TRY(pmn_convert_file(self->h5.data, entry->network, entry, fetched->path, true, &converted, err));
  if (strcmp(converted.source_sha256, fetched->sha256) != 0) {
    unlink(fetched->path);
    PMN_FAIL(err, PMN_STATUS_MODEL, "%.300s changed while it was converted", self->h5.data);
  }
  memcpy(fetched->safetensors_sha256, converted.sha256, sizeof converted.sha256);
  PMN_TRY(pmn_weights_record_write(entry, fetched, converted.bytes, self->url, err));
  pmn_download_forget(self->part.data);
done:
  /* A signal from the terminal reaches the program that reads the file too. */
  if (st == PMN_STATUS_MODEL && self->options->stop != NULL && *self->options->stop != 0) {
    st = pmn_err_set(err, PMN_STATUS_INTERRUPTED, 0, "interrupted");
  }
  /* What we brought ourselves goes, when it is converted or no good; what somebody put there, stays. */
  if (self->own_h5 && (st == PMN_STATUS_OK || st == PMN_STATUS_MODEL)) unlink(self->h5.data);
  return st;
}

/* With the lock held. */
static pmn_status fetch_entry(fetch *self, pmn_fetched *fetched, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  struct stat info;
  int64_t size = 0;
  bool found = false;
  PMN_TRY(pmn_weights_record_read(self->entry, &self->known, &size, &self->is_known, err));
  *fetched = self->known;
  bool there = self->is_known && stat(fetched->path, &info) == 0 && S_ISREG(info.st_mode) && info.st_size == size;
  if (there && !self->options->refetch && (self->entry->md5 == NULL || fetched->pinned)) goto done;
  fetched->was_there = false;
  fetched->pinned = self->entry->md5 != NULL;
  PMN_TRY(take_h5(self, fetched, &found, err));
  if (!found) PMN_TRY(download_h5(self, fetched, err));
  if (!fetched->pinned && !self->is_known) {
    say(self->options, PMN_LEVEL_INFO, "%s: no hash is published; the first one seen here is SHA-256 %s",
        self->entry->name, fetched->sha256);
  }
  PMN_TRY(convert(self, fetched, err));
done:
  return st;
}

pmn_status pmn_weights_fetch(const pmn_fetch_options *options, pmn_fetched *fetched, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  fetch self = {.options = options};
  pmn_err local = PMN_ERR_INIT;
  int lock = -1;
  if (err == NULL) err = &local;
  pmn_buf_init(&self.h5, PATH_SIZE - 1);
  pmn_buf_init(&self.part, PATH_SIZE - 1);
  if (options->struct_size != sizeof *options) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "the options are of another version of the library");
  }
  if (options->name == NULL) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "no name of published weights");
  PMN_TRY(find_entry(options->name, &self.entry, err));
  PMN_TRY(find_url(&self, err));
  PMN_TRY(pmn_weights_file(self.entry, ".h5", &self.h5, err));
  PMN_TRY(pmn_weights_file(self.entry, ".part", &self.part, err));
  PMN_TRY(take_lock(&self, &lock, err));
  PMN_TRY(fetch_entry(&self, fetched, err));
done:
  if (lock >= 0) close(lock);
  pmn_buf_reset(&self.h5);
  pmn_buf_reset(&self.part);
  return st;
}
