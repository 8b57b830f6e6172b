/* pmn_fetch.c - the published weights of pomona.h: list, fetch, verify.
 *
 * In the cache folder, for an entry NAME: NAME.lock is held while one fetch works; NAME.part is what has come of a
 * download; NAME.h5 is the published file, whole and with the right hash, until it is converted, or put there by
 * somebody; NAME.safetensors and NAME.json are the result and its record. Every name appears by a rename.
 */
#include "pmn_convert.h"
#include "pmn_download.h"
#include "pmn_file.h"
#include "pmn_hdf5.h"
#include "pmn_nearest.h"
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
  const pmn_architecture *architecture = pmn_architecture_find(name);
  if (architecture != NULL && architecture->embedded != NULL) {
    return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0, "%s is inside the program: there is nothing to fetch", name);
  }
  pmn_nearest nearest = pmn_nearest_init(name);
  const pmn_weights_entry *other;
  char hint[256];
  for (int32_t i = 0; (other = pmn_weights_at(i)) != NULL; i++) pmn_nearest_offer(&nearest, other->name);
  pmn_nearest_text(&nearest, hint, sizeof hint);
  return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0, "there are no published weights \"%.64s\"%s", name, hint);
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

/* Is this, open as `fd`, the published file? A page that says something else instead (a network that wants a password,
 * a proxy) is told by its first bytes. */
static pmn_status check_file(const fetch *self, int fd, const char *path, const pmn_fetched *fetched, pmn_err *err) {
  const char *md5 = self->entry->md5;
  char head[PMN_HEAD_SIZE] = "", shown[PMN_HEAD_TEXT_SIZE];
  if (pread(fd, head, sizeof head, 0) < 0) {
    return pmn_err_set(err, PMN_STATUS_NOT_FOUND, errno, "cannot read %.300s: %s", path, strerror(errno));
  }
  if (!pmn_hdf5_has_head(head)) {
    pmn_hdf5_show_head(head, fetched->bytes, shown);
    return pmn_err_set(err, PMN_STATUS_MODEL, 0, "%.200s: %lld bytes that are no HDF5 file: they begin with \"%s\"",
        path, (long long)fetched->bytes, shown);
  }
  if (md5 != NULL && strcmp(md5, fetched->md5) != 0) {
    return pmn_err_set(err, PMN_STATUS_MODEL, 0, "%.180s is not the published file: its MD5 is %s and not %s", path,
        fetched->md5, md5);
  }
  return PMN_STATUS_OK;
}

/* Without a published hash: is it what was fetched before? */
static pmn_status check_known(const fetch *self, const char *path, const pmn_fetched *fetched, pmn_err *err) {
  if (self->entry->md5 == NULL && self->is_known && strcmp(self->known.sha256, fetched->sha256) != 0) {
    return pmn_err_set(err, PMN_STATUS_MODEL, 0,
        "%.120s is not the file that was fetched before: its SHA-256 is %s and not %s; if that is right, remove "
        "%s.json from the cache",
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
  PMN_TRY(pmn_digest_read(fd, info.st_size, self->h5.data, true, self->options->stop, &digest, err));
  if (!pmn_digest_finish(digest, fetched->md5, fetched->sha256)) {
    PMN_FAIL(err, PMN_STATUS_NO_MEMORY, "libcrypto could not compute a hash");
  }
  fetched->bytes = info.st_size;
  PMN_TRY(check_file(self, fd, self->h5.data, fetched, err));
  PMN_TRY(check_known(self, self->h5.data, fetched, err));
  say(self->options, PMN_LEVEL_INFO, "%s: %s is there and is taken instead of a download", self->entry->name,
      self->h5.data);
done:
  pmn_digest_destroy(digest);
  if (fd >= 0) close(fd);
  return st;
}

/* Adds to what is wrong with a download what can be done. */
static pmn_status say_way_out(const fetch *self, pmn_status status, pmn_err *err) {
  static const struct {
    pmn_status status;
    const char *before, *after;
  } ways[] = {{PMN_STATUS_NETWORK, "cannot fetch ", "without a network, put that file at"},
      {PMN_STATUS_NOT_FOUND, "", "give another address with --base-url, or put that file at"},
      {PMN_STATUS_ARGUMENT, "cannot fetch ", "give another address with --base-url, or put that file at"},
      {PMN_STATUS_MODEL, "", "put the published file at"}};
  const pmn_err reason = *err;
  char way[256];
  for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
    if (ways[i].status != status) continue;
    int used = snprintf(way, sizeof way, "; %s %.160s and run this again", ways[i].after, self->h5.data);
    int room = (int)sizeof reason.message - 1 - used - (int)strlen(ways[i].before);
    pmn_err_set(err, status, reason.foreign, "%s%.*s%s", ways[i].before, room, reason.message, way);
  }
  return status;
}

/* What has come, is it the file? */
static pmn_status check_part(const fetch *self, const pmn_fetched *fetched, pmn_err *err) {
  int fd = open(self->part.data, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) {
    return pmn_err_set(err, PMN_STATUS_WRITE, errno, "cannot read %.300s: %s", self->part.data, strerror(errno));
  }
  pmn_status status = check_file(self, fd, self->url, fetched, err);
  close(fd);
  return status;
}

static pmn_status download_h5(fetch *self, pmn_fetched *fetched, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_download_options options = {.url = self->url,
      .bytes = self->entry->bytes,
      .on_progress = self->options->on_progress,
      .callback_arg = self->options->callback_arg,
      .stop = self->options->stop};
  if (self->plain_http) {
    say(self->options, PMN_LEVEL_WARNING, "%s is fetched without encryption, from %s", self->entry->name, self->url);
  }
  say(self->options, PMN_LEVEL_DETAIL, "%s", self->url);
  st = pmn_download(self->part.data, &options, &fetched->bytes, fetched->md5, fetched->sha256, err);
  if (st == PMN_STATUS_OK) st = check_part(self, fetched, err);
  st = say_way_out(self, st, err);
  if (st == PMN_STATUS_OK) st = check_known(self, self->url, fetched, err);
  if (st == PMN_STATUS_MODEL) pmn_download_forget(self->part.data);
  if (st != PMN_STATUS_OK) goto done;
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
  PMN_TRY(pmn_convert_file(
      self->h5.data, entry->network, entry, fetched->path, true, self->options->stop, &converted, err));
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
  return self->own_h5 ? say_way_out(self, st, err) : st;
}

/* *good: our copy is the one that was made then; *there: there is one. */
static pmn_status check_copy(const fetch *self, int64_t size, bool *there, bool *good, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  struct stat info;
  char sha256[PMN_SHA256_HEX_SIZE];
  pmn_digest *digest = NULL;
  int fd = open(self->known.path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  *there = fd >= 0;
  *good = *there && fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size == size;
  if (!*good) goto done;
  PMN_TRY(pmn_digest_read(fd, size, self->known.path, false, self->options->stop, &digest, err));
  if (!pmn_digest_finish(digest, NULL, sha256)) {
    PMN_FAIL(err, PMN_STATUS_NO_MEMORY, "libcrypto could not compute a hash");
  }
  *good = strcmp(sha256, self->known.safetensors_sha256) == 0;
done:
  pmn_digest_destroy(digest);
  if (fd >= 0) close(fd);
  return st;
}

/* With the lock held. */
static pmn_status fetch_entry(fetch *self, pmn_fetched *fetched, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  int64_t size = 0;
  bool found = false, there = false, good = false;
  PMN_TRY(pmn_weights_record_read(self->entry, &self->known, &size, &self->is_known, err));
  *fetched = self->known;
  if (self->is_known && !self->options->refetch) {
    PMN_TRY(check_copy(self, size, &there, &good, err));
    if (there && !good) {
      say(self->options, PMN_LEVEL_WARNING, "%s has changed since it was fetched: it is fetched again", fetched->path);
    }
  }
  if (good && (self->entry->md5 == NULL || fetched->pinned)) goto done;
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
  PMN_TRY(pmn_weights_make_folder(err));
  PMN_TRY(take_lock(&self, &lock, err));
  PMN_TRY(fetch_entry(&self, fetched, err));
done:
  if (lock >= 0) close(lock);
  pmn_buf_reset(&self.h5);
  pmn_buf_reset(&self.part);
  return st;
}
