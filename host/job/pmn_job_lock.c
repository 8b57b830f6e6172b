/* pmn_job_lock.c - see pmn_job_lock.h. */
#define _GNU_SOURCE /* pthread_cond_clockwait */
#include "pmn_job_lock.h"

#include "pmn_json.h"
#include "pmn_mem.h"

#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum {
  BEAT_SECONDS = 30,
  DEAD_SECONDS = 120,
  TEXT_MAX = 4096, /* bytes of the object */
  ID_SIZE = 33,
  MACHINE_SIZE = 80,
};

struct pmn_job_lock {
  pmn_s3 *s3;
  char *bucket, *key;
  char id[ID_SIZE];
  int64_t began; /* in seconds, by the clock that goes on while the machine sleeps */
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t wake;
  bool started, stop;
};

/* What is there; an empty object is a lock of ours that says nothing. */
typedef enum content { NOTHING, EMPTY, LOCK, FOREIGN } content;

typedef struct owner {
  content content;
  char id[ID_SIZE], host[128], machine[MACHINE_SIZE];
  int64_t process;
} owner;

/* Where numbers of processes mean the same: this start of this kernel, this container. Host names are not unique. "" if
 * the system does not say. */
static void find_machine(char machine[MACHINE_SIZE]) {
  char boot[40] = "", container[40] = "";
  FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
  bool good = file != NULL && fscanf(file, "%39s", boot) == 1;
  if (file != NULL) fclose(file);
  good = good && readlink("/proc/self/ns/pid", container, sizeof container - 1) > 0;
  snprintf(machine, MACHINE_SIZE, "%s%s%s", good ? boot : "", good ? " " : "", good ? container : "");
}

/* The time is for people: nobody's clock is believed. */
static char *owner_text(const pmn_job_lock *self) {
  char host[128] = "", machine[MACHINE_SIZE];
  if (gethostname(host, sizeof host - 1) != 0) host[0] = '\0';
  find_machine(machine);
  json_t *json = json_pack("{s:s, s:s, s:s, s:I, s:I}", "id", self->id, "host", host, "machine", machine, "process",
      (json_int_t)getpid(), "time", (json_int_t)time(NULL));
  char *text = pmn_json_text(json, JSON_COMPACT);
  json_decref(json);
  return text;
}

static pmn_status put(const pmn_job_lock *self, bool only_new, pmn_err *err) {
  char *text = owner_text(self);
  if (text == NULL) return pmn_err_memory(err, TEXT_MAX, "a lock");
  pmn_status st = pmn_s3_put(self->s3, self->bucket, self->key, text, strlen(text), only_new, err);
  pmn_free(text);
  return st;
}

/* Who has it; all empty if nobody does, or if what is there does not say. */
static pmn_status read_owner(const pmn_job_lock *self, owner *o, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const char *id, *host, *machine;
  json_int_t process;
  pmn_buf text;
  *o = (owner){.content = NOTHING};
  pmn_buf_init(&text, TEXT_MAX);
  st = pmn_s3_get(self->s3, self->bucket, self->key, -1, NULL, &text, err);
  if (st == PMN_STATUS_OK) {
    o->content = text.size == 0 ? EMPTY : FOREIGN;
    json_t *json = json_loadb(text.data != NULL ? text.data : "", text.size, 0, NULL);
    if (json_unpack(json, "{s:s, s:s, s:s, s:I}", "id", &id, "host", &host, "machine", &machine, "process", &process) ==
        0) {
      snprintf(o->id, sizeof o->id, "%s", id);
      snprintf(o->host, sizeof o->host, "%s", host);
      snprintf(o->machine, sizeof o->machine, "%s", machine);
      o->process = process;
      o->content = LOCK;
    }
    json_decref(json);
  }
  pmn_buf_reset(&text);
  return st == PMN_STATUS_NOT_FOUND ? PMN_STATUS_OK : st;
}

/* *age: seconds since the last sign of life. A process of this machine that is there may be another one by now, with
 * the same number, so the object must be young, too. */
static pmn_status is_alive(const pmn_job_lock *self, const owner *o, bool *alive, int64_t *age, pmn_err *err) {
  char machine[MACHINE_SIZE];
  *alive = false;
  if (o->id[0] == '\0') return PMN_STATUS_OK;
  find_machine(machine);
  bool here = machine[0] != '\0' && strcmp(machine, o->machine) == 0;
  if (here && kill((pid_t)o->process, 0) != 0 && errno == ESRCH) return PMN_STATUS_OK;
  pmn_status st = pmn_s3_age(self->s3, self->bucket, self->key, age, err);
  *alive = st == PMN_STATUS_OK && *age <= DEAD_SECONDS;
  return st == PMN_STATUS_NOT_FOUND ? PMN_STATUS_OK : st;
}

static int64_t boot_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_BOOTTIME, &now);
  return now.tv_sec;
}

/* A process that slept for minutes may have been taken for dead; of two that begin together, each may have found the
 * lock free. */
pmn_status pmn_job_lock_check(const pmn_job_lock *self, pmn_err *err) {
  owner o;
  pmn_status st = read_owner(self, &o, err);
  if (st != PMN_STATUS_OK || strcmp(o.id, self->id) == 0) return st;
  if (o.id[0] == '\0') {
    return pmn_err_set(err, PMN_STATUS_EXISTS, 0,
        "the lock of this run, s3://%.60s/%.200s, is gone: another run has taken this one for dead, and has ended; "
        "look at its output",
        self->bucket, self->key);
  }
  bool young = boot_seconds() - self->began <= DEAD_SECONDS;
  return pmn_err_set(err, PMN_STATUS_EXISTS, 0,
      "another run (process %lld of %s) has %s and writes the output now; leave it to that one", (long long)o.process,
      o.host, young ? "begun at the same time as this one" : "taken this one for dead");
}

/* Writes the time until it is told to end. What cannot be written now is written next time: the network may be back. */
static void *beat(void *arg) {
  pmn_job_lock *self = arg;
  pthread_mutex_lock(&self->lock);
  while (!self->stop) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += BEAT_SECONDS;
    while (!self->stop && pthread_cond_clockwait(&self->wake, &self->lock, CLOCK_MONOTONIC, &until) != ETIMEDOUT) {}
    if (self->stop) break;
    pthread_mutex_unlock(&self->lock);
    pmn_err ignored = PMN_ERR_INIT;
    pmn_status st = pmn_job_lock_check(self, &ignored);
    if (st == PMN_STATUS_OK) st = put(self, false, &ignored);
    pthread_mutex_lock(&self->lock);
    if (st == PMN_STATUS_INTERRUPTED || st == PMN_STATUS_EXISTS) break;
  }
  pthread_mutex_unlock(&self->lock);
  return NULL;
}

static pmn_status make_id(char id[ID_SIZE], pmn_err *err) {
  unsigned char noise[(ID_SIZE - 1) / 2];
  if (getrandom(noise, sizeof noise, 0) != (ssize_t)sizeof noise) {
    return pmn_err_set(err, PMN_STATUS_WRITE, errno, "the system gives no random numbers: %s", strerror(errno));
  }
  for (size_t i = 0; i < sizeof noise; i++) snprintf(id + 2 * i, 3, "%02x", noise[i]);
  return PMN_STATUS_OK;
}

/* The object was there, and cannot be read or is no lock, or it has gone since. */
static pmn_status take_again(pmn_job_lock *self, const owner *o, pmn_err *err) {
  pmn_status st = o->content == NOTHING ? put(self, true, err) : PMN_STATUS_EXISTS;
  if (st != PMN_STATUS_EXISTS) return st;
  return pmn_err_set(err, st, 0,
      "s3://%.60s/%.200s is where a run has its lock, but holds something that is none of Pomona's and is not removed; "
      "move it, or choose another name",
      self->bucket, self->key);
}

/* A dead one's object is written over. Of two that do this at once, the later one has it: both look again. */
static pmn_status take_over(pmn_job_lock *self, const char *output, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  owner o;
  const struct timespec pause = {.tv_sec = 1};
  bool alive;
  int64_t age;
  PMN_TRY(read_owner(self, &o, err));
  if (o.content == NOTHING || o.content == FOREIGN) return take_again(self, &o, err);
  PMN_TRY(is_alive(self, &o, &alive, &age, err));
  if (alive) {
    PMN_FAIL(err, PMN_STATUS_EXISTS,
        "another run (process %lld of %s, last heard of %lld s ago) is writing %.200s; wait for it, or name another "
        "output",
        (long long)o.process, o.host, (long long)age, output);
  }
  PMN_TRY(put(self, false, err));
  nanosleep(&pause, NULL);
  PMN_TRY(read_owner(self, &o, err));
  if (strcmp(o.id, self->id) != 0) {
    PMN_FAIL(
        err, PMN_STATUS_EXISTS, "another run has begun to write %.200s; wait for it, or name another output", output);
  }
done:
  return st;
}

pmn_status pmn_job_lock_take(
    pmn_s3 *s3, const char *bucket, const char *key, const char *output, pmn_job_lock **lock, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  bool ours = false;
  pmn_job_lock *self = pmn_calloc(1, sizeof *self);
  *lock = NULL;
  if (self == NULL) return pmn_err_memory(err, sizeof *self, "a lock");
  pthread_mutex_init(&self->lock, NULL);
  pthread_cond_init(&self->wake, NULL);
  self->s3 = s3;
  self->bucket = pmn_strdup(bucket);
  self->key = pmn_strdup(key);
  if (self->bucket == NULL || self->key == NULL) {
    st = pmn_err_memory(err, strlen(key), "a lock");
    goto done;
  }
  self->began = boot_seconds();
  PMN_TRY(make_id(self->id, err));
  st = put(self, true, err);
  if (st == PMN_STATUS_EXISTS) st = take_over(self, output, err);
  if (st != PMN_STATUS_OK) goto done;
  ours = true;
  int code = pthread_create(&self->thread, NULL, beat, self);
  if (code != 0) PMN_FAIL_CODE(err, PMN_STATUS_NO_MEMORY, code, "cannot start a thread for the lock of %.200s", output);
  self->started = true;
  *lock = self;
  self = NULL;
done:
  if (self != NULL && !ours) { /* the object is another's, or none */
    pmn_free(self->key);
    self->key = NULL;
  }
  pmn_job_lock_destroy(self);
  return st;
}

void pmn_job_lock_destroy(pmn_job_lock *lock) {
  if (lock == NULL) return;
  pthread_mutex_lock(&lock->lock);
  lock->stop = true;
  pthread_cond_signal(&lock->wake);
  pthread_mutex_unlock(&lock->lock);
  if (lock->started) pthread_join(lock->thread, NULL);
  /* What cannot be removed is dead in two minutes, or at once for this machine. */
  bool mine = lock->key != NULL && pmn_job_lock_check(lock, NULL) == PMN_STATUS_OK;
  if (mine && pmn_s3_delete(lock->s3, lock->bucket, lock->key, NULL) != PMN_STATUS_OK) lock->stop = true;
  pthread_cond_destroy(&lock->wake);
  pthread_mutex_destroy(&lock->lock);
  pmn_free(lock->bucket);
  pmn_free(lock->key);
  pmn_free(lock);
}
