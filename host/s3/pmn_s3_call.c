/* pmn_s3_call.c - see pmn_s3_call.h. One thread takes calls and answers from a list: it signs and sends the ones,
 * judges the others, and sends again what may pass. All that it learns on the way - where buckets are, how wrong the
 * clock is, how many requests the server bears - is its own and needs no lock. It may wait for credentials; the thread
 * that drives the requests never does.
 *
 * Who may try again how often: each call has attempts_max tries. Retries after a 5xx and the like are charged to a
 * budget that all calls share, so that a server in trouble does not hear everything eight times. What says nothing of
 * the server's load is not charged but waits longer: an answer that asks to slow down, and a line that breaks once the
 * server has answered. Such a break hits all calls at once, and would eat the budget in a moment. The pauses after it
 * are random from half to all of 0.5, 1, 2, .. 16, 20 s: eight tries bridge 26 to 51 s. Nothing is tried again when
 * nobody has been heard for PATIENCE seconds, so that a dead line, where each try takes a timeout, ends a run in
 * less than two minutes. A server that has never answered is likely not there: charged, and pauses of 0.1 s at first.
 */
#include "pmn_clock.h"
#include "pmn_latch.h"
#include "pmn_mem.h"
#include "pmn_s3_client.h"
#include "pmn_s3_refusal.h"
#include "pmn_s3_stored.h"
#include "pmn_s3_wire.h"
#include "pmn_sha256.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
  BUDGET = 500,         /* of retries, each of which takes RETRY_COST; as the AWS tools have it */
  RETRY_COST = 5,       /* given back when it helped */
  PATIENCE = 45,        /* seconds from the first failure in a silence on; less than the lock of an output lasts */
  LAST_TRY_SECONDS = 5, /* what a request waits for its line after that */
  SKEW_MIN = 4 * 60,    /* seconds that clocks must differ by for it to be worth a try; S3 allows 15 minutes */
};
static const double pause_first = 0.1, pause_first_free = 0.5, pause_max = 20;
static const char region_fallback[] = "us-east-1";

typedef struct attempt {
  struct attempt *next;
  pmn_s3_caller *caller;
  const pmn_s3_call *call;
  pmn_s3_outcome *outcome;
  pmn_s3_call_done *done;
  void *arg;

  pmn_s3_wire wire;
  pmn_s3_keys keys; /* that it was signed with; kept for when they are refused */
  char payload[PMN_SHA256_HEX_SIZE], region[PMN_S3_REGION];
  bool answered;
  double delay, sent_at;
  int32_t failures;
  bool other_keys, other_clock, other_region; /* each is tried once */
} attempt;

typedef struct bucket_region {
  struct bucket_region *next;
  char region[PMN_S3_REGION];
  char bucket[];
} bucket_region;

struct pmn_s3_caller {
  pmn_s3 *s3;
  pthread_t thread;

  pthread_mutex_t lock; /* of these */
  pthread_cond_t changed;
  attempt *first, **end;
  int32_t calls; /* under way */
  bool closing;

  /* the thread's own */
  char region[PMN_S3_REGION]; /* where nothing else is known; "" at first */
  bucket_region *regions;
  double clock_offset;
  int32_t budget, in_flight, successes; /* successes since the last step up or down */
  double slowed_at, silent_since;       /* INFINITY: the last one heard something */
  bool heard;                           /* the server has answered before */
  uint64_t random;
};

void pmn_s3_outcome_reset(pmn_s3_outcome *outcome) {
  pmn_http_answer_reset(&outcome->answer);
  *outcome = (pmn_s3_outcome){.answer = outcome->answer};
}

/* ------------------------------------------------------------------------------------------------------- regions -- */

static const char *find_region(pmn_s3_caller *self, const char *bucket) {
  const pmn_s3_config *config = self->s3->config;
  for (const bucket_region *r = self->regions; r != NULL; r = r->next) {
    if (strcmp(r->bucket, bucket) == 0) return r->region;
  }
  if (self->region[0] == '\0') {
    pmn_buf here;
    pmn_buf_init(&here, PMN_S3_REGION - 1);
    /* On EC2 the own region is a better guess: others may be out of reach. A wrong guess costs one answer. */
    bool ask = config->region == NULL && config->endpoint == NULL && !config->no_sign_request;
    bool known = ask && pmn_s3_credentials_region(self->s3->credentials, &here, NULL) == PMN_STATUS_OK &&
                 pmn_s3_region_valid(here.data);
    snprintf(self->region, sizeof self->region, "%.63s",
        config->region != NULL ? config->region
        : known                ? here.data
                               : region_fallback);
    pmn_buf_reset(&here);
  }
  return self->region;
}

/* Without memory the next call asks the wrong server again, and no harm is done. */
static void keep_region(pmn_s3_caller *self, const char *bucket, const char *region) {
  bucket_region *r = self->regions;
  while (r != NULL && strcmp(r->bucket, bucket) != 0) r = r->next;
  if (r == NULL) {
    r = pmn_calloc(1, sizeof *r + strlen(bucket) + 1);
    if (r == NULL) return;
    memcpy(r->bucket, bucket, strlen(bucket) + 1);
    r->next = self->regions;
    self->regions = r;
  }
  snprintf(r->region, sizeof r->region, "%.63s", region);
}

/* ------------------------------------------------------------------------------------------- how much, how soon -- */

static double pick(pmn_s3_caller *self) { /* [0, 1), xorshift64* */
  self->random ^= self->random >> 12;
  self->random ^= self->random << 25;
  self->random ^= self->random >> 27;
  return (double)((self->random * 0x2545f4914f6cdd1dULL) >> 11) * 0x1p-53;
}

/* Half as many at once. Answers to requests from before the last step say nothing new. */
static void step_down(const attempt *one) {
  pmn_s3_caller *self = one->caller;
  if (one->sent_at <= self->slowed_at) return;
  self->slowed_at = pmn_clock_seconds();
  self->successes = 0;
  self->in_flight = self->in_flight > 1 ? self->in_flight / 2 : 1;
  pmn_http_limit(self->s3->http, self->in_flight);
}

static void count_success(pmn_s3_caller *self, const attempt *one) {
  self->budget += one->failures > 0 ? RETRY_COST : 1;
  if (self->budget > BUDGET) self->budget = BUDGET;
  if (self->in_flight == PMN_S3_IN_FLIGHT || ++self->successes < self->in_flight) return;
  self->successes = 0;
  pmn_http_limit(self->s3->http, ++self->in_flight);
}

static void note_silence(pmn_s3_caller *self, const pmn_http_answer *answer) {
  if (answer->code != 0) {
    self->heard = true;
    self->silent_since = INFINITY;
  } else if (answer->status == PMN_STATUS_NETWORK) {
    self->silent_since = fmin(self->silent_since, pmn_clock_seconds());
  }
}

static bool patience_is_spent(const pmn_s3_caller *self) {
  return self->heard && pmn_clock_seconds() - self->silent_since >= PATIENCE;
}

/* Whether to try again, and after how long: "full jitter", so that many clients do not come back at once; half of it
 * where the line broke, to be sure of some patience. */
static bool plan_retry(attempt *one, bool slower) {
  pmn_s3_caller *self = one->caller;
  const pmn_http_answer *answer = &one->outcome->answer;
  bool broken = self->heard && answer->status == PMN_STATUS_NETWORK && !answer->too_large, charged = !slower && !broken;
  if (one->failures + 1 >= self->s3->config->attempts_max) return false;
  if (broken && patience_is_spent(self)) return false;
  if (charged && self->budget < RETRY_COST) return false;
  if (charged) self->budget -= RETRY_COST;
  double most = fmin(pause_max, ldexp(charged ? pause_first : pause_first_free, one->failures));
  double asked = fmin(pause_max, atof(pmn_http_answer_header(answer, "retry-after")));
  one->delay = fmax(broken ? most * (1 + pick(self)) / 2 : most * pick(self), asked > 0 ? asked : 0);
  one->failures++;
  return true;
}

/* ----------------------------------------------------------------------------------------------------- the list -- */

static bool push(pmn_s3_caller *self, attempt *one, bool is_new) {
  pthread_mutex_lock(&self->lock);
  bool good = !(is_new && self->closing);
  if (good) {
    one->next = NULL;
    *self->end = one;
    self->end = &one->next;
    self->calls += is_new;
    pthread_cond_signal(&self->changed);
  }
  pthread_mutex_unlock(&self->lock);
  return good;
}

/* The next one to work on; NULL: all calls have ended, and no more will come. */
static attempt *pop(pmn_s3_caller *self) {
  pthread_mutex_lock(&self->lock);
  while (self->first == NULL && !(self->closing && self->calls == 0)) pthread_cond_wait(&self->changed, &self->lock);
  attempt *one = self->first;
  if (one != NULL && (self->first = one->next) == NULL) self->end = &self->first;
  pthread_mutex_unlock(&self->lock);
  return one;
}

static void on_answer(void *arg, pmn_http_answer *answer) {
  attempt *one = arg;
  (void)answer;
  one->answered = true;
  push(one->caller, one, false);
}

/* --------------------------------------------------------------------------------------------------- one attempt -- */

static void finish(attempt *one, pmn_status status) {
  pmn_s3_caller *self = one->caller;
  one->outcome->status = status;
  if (status == PMN_STATUS_OK) count_success(self, one);
  pmn_s3_wire_reset(&one->wire);
  pmn_s3_keys_reset(&one->keys);
  one->done(one->arg, one->outcome);
  pmn_free(one);
  pthread_mutex_lock(&self->lock);
  self->calls--;
  pthread_mutex_unlock(&self->lock);
}

static pmn_status hash_body(attempt *one, pmn_err *err) {
  const void *const parts[] = {one->call->body_size > 0 ? one->call->body : ""};
  return one->payload[0] != '\0' ? PMN_STATUS_OK : pmn_sha256_hex(parts, &one->call->body_size, 1, one->payload, err);
}

/* Signs for where the bucket is and for now, and sends. `refused`: not with the keys it had. */
static pmn_status transmit(attempt *one, bool refused, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_s3_caller *self = one->caller;
  const pmn_s3_config *config = self->s3->config;
  if (!config->no_sign_request) {
    if (!refused) pmn_s3_keys_reset(&one->keys);
    PMN_TRY(pmn_s3_credentials_get(self->s3->credentials, refused, &one->keys, err));
    PMN_TRY(hash_body(one, err));
  }
  snprintf(one->region, sizeof one->region, "%s", find_region(self, one->call->bucket));
  time_t when = time(NULL) + (time_t)self->clock_offset;
  PMN_TRY(pmn_s3_wire_build(config, one->call, config->no_sign_request ? NULL : &one->keys, one->region, one->payload,
      when, &one->wire, err));
  if (one->failures > 0) one->wire.request.stall_seconds = 0;
  if (patience_is_spent(self)) { /* what tidies up behind a run that has failed */
    one->wire.request.connect_seconds = one->wire.request.stall_seconds = LAST_TRY_SECONDS;
  }
  one->answered = false;
  one->outcome->code[0] = '\0';
  PMN_TRY(pmn_http_start(self->s3->http, &one->wire.request, &one->outcome->answer, one->delay, on_answer, one, err));
  one->sent_at = pmn_clock_seconds() + one->delay;
  one->outcome->tries++; /* the driving thread does not look at it */
  one->delay = 0;
done:
  return st;
}

/* Sends (again) or ends for want of what that takes. */
static void send_or_finish(attempt *one, bool refused) {
  pmn_err err = PMN_ERR_INIT;
  pmn_status st = transmit(one, refused, &err);
  if (st == PMN_STATUS_OK) return;
  one->outcome->error = err;
  finish(one, st);
}

/* True if the server's time is another than the one we signed with, which is set right. */
static bool learn_clock(pmn_s3_caller *self, const pmn_http_answer *answer) {
  time_t server = pmn_http_answer_time(answer);
  if (server == (time_t)-1) return false;
  double offset = difftime(server, time(NULL));
  if (fabs(offset - self->clock_offset) < SKEW_MIN) return false;
  self->clock_offset = offset;
  return true;
}

/* Is there something that we can do other than wait? Each is tried once. */
static bool cure(attempt *one, const pmn_s3_refusal *refusal, bool *refused) {
  pmn_s3_caller *self = one->caller;
  if (!one->other_region && refusal->region[0] != '\0' && strcmp(refusal->region, one->region) != 0) {
    keep_region(self, one->call->bucket, refusal->region);
    return one->other_region = true;
  }
  if (refusal->cure == PMN_S3_CURE_CLOCK && !one->other_clock) {
    /* Another call may have learnt it since this one was signed. */
    one->other_clock = learn_clock(self, &one->outcome->answer) || strcmp(refusal->code, "") != 0;
    return one->other_clock;
  }
  if (refusal->cure == PMN_S3_CURE_KEYS && !one->other_keys && !self->s3->config->no_sign_request) {
    return one->other_keys = *refused = true;
  }
  return false;
}

/* No answer came. */
static pmn_status judge_silence(attempt *one, const char *name) {
  pmn_err *err = &one->outcome->error;
  const pmn_http_answer *answer = &one->outcome->answer;
  const char *etag = pmn_http_answer_header(answer, "etag");
  bool another = one->call->etag == NULL || (etag[0] != '\0' && !pmn_s3_etag_equal(one->call->etag, etag));
  if (answer->status == PMN_STATUS_INTERRUPTED) return pmn_err_set(err, answer->status, 0, "interrupted");
  if (answer->status == PMN_STATUS_ARGUMENT) { /* addresses of ours are good: it is the certificate */
    return pmn_err_set(err, answer->status, 0,
        "%s: %s; is this machine's clock right, and does AWS_CA_BUNDLE name the certificates to trust?", name,
        answer->reason);
  }
  return pmn_err_set(
      err, answer->too_large && another ? PMN_STATUS_NOT_FOUND : answer->status, 0, "%s: %s", name, answer->reason);
}

static void tell_given_up(pmn_s3_outcome *outcome) {
  char last[sizeof outcome->error.message];
  snprintf(last, sizeof last, "%s", outcome->error.message);
  pmn_err_set(&outcome->error, PMN_STATUS_NETWORK, outcome->answer.code, "%.400s; given up after %d %s%s", last,
      (int)outcome->tries, outcome->tries == 1 ? "try" : "tries",
      outcome->answer.code == 0 ? "; is the network there, and are --region and --endpoint-url right?" : "");
}

/* Ends the call or sends it again, according to the answer. */
static void judge(attempt *one) {
  pmn_s3_caller *self = one->caller;
  pmn_s3_outcome *outcome = one->outcome;
  pmn_http_answer *answer = &outcome->answer;
  const pmn_s3_config *config = self->s3->config;
  pmn_s3_refusal refusal = {.cure = PMN_S3_CURE_AGAIN};
  char name[PMN_S3_NAME], last[sizeof outcome->error.message];
  bool refused = false;
  pmn_status st = answer->status;
  note_silence(self, answer);
  pmn_s3_call_name(one->call, name);
  if (st != PMN_STATUS_OK) {
    st = judge_silence(one, name);
  } else if (answer->code >= 200 && answer->code < 300) {
    if (one->call->check != NULL) st = one->call->check(one->call->check_arg, answer, &outcome->error);
    if (st != PMN_STATUS_OK) {
      snprintf(last, sizeof last, "%s", outcome->error.message);
      pmn_err_set(&outcome->error, st, answer->code, "%s: %s", name, last);
    }
  } else {
    bool head = strcmp(one->call->method, "HEAD") == 0;
    pmn_s3_refusal_read(answer, head, one->keys.token != NULL, &refusal);
    snprintf(outcome->code, sizeof outcome->code, "%s", refusal.code);
    if (cure(one, &refusal, &refused)) {
      send_or_finish(one, refused);
      return;
    }
    st = pmn_s3_refusal_tell(&refusal, one->call,
        config->no_sign_request ? NULL : pmn_s3_credentials_source(self->s3->credentials), &outcome->error);
  }
  bool slower = refusal.cure == PMN_S3_CURE_SLOWER;
  if (slower) step_down(one);
  if (st == PMN_STATUS_NETWORK && plan_retry(one, slower)) {
    send_or_finish(one, false);
    return;
  }
  if (st == PMN_STATUS_NETWORK) tell_given_up(outcome);
  outcome->error.status = st;
  finish(one, st);
}

static void *work(void *arg) {
  pmn_s3_caller *self = arg;
  for (attempt *one; (one = pop(self)) != NULL;) {
    if (one->answered)
      judge(one);
    else
      send_or_finish(one, false);
  }
  return NULL;
}

/* -------------------------------------------------------------------------------------------------- from outside -- */

pmn_status pmn_s3_caller_create(pmn_s3 *s3, pmn_s3_caller **caller, pmn_err *err) {
  pmn_s3_caller *self = pmn_calloc(1, sizeof *self);
  if (self == NULL) return pmn_err_memory(err, sizeof *self, "a client of S3");
  *self = (pmn_s3_caller){
      .s3 = s3, .budget = BUDGET, .in_flight = PMN_S3_IN_FLIGHT, .slowed_at = -INFINITY, .silent_since = INFINITY};
  self->end = &self->first;
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  self->random = ((uint64_t)now.tv_nsec << 32 ^ (uint64_t)now.tv_sec ^ (uint64_t)getpid() << 16) | 1;
  pthread_mutex_init(&self->lock, NULL);
  pthread_cond_init(&self->changed, NULL);
  if (pthread_create(&self->thread, NULL, work, self) != 0) {
    pthread_cond_destroy(&self->changed);
    pthread_mutex_destroy(&self->lock);
    pmn_free(self);
    return pmn_err_set(err, PMN_STATUS_NO_MEMORY, 0, "cannot start a thread for S3");
  }
  *caller = self;
  return PMN_STATUS_OK;
}

void pmn_s3_caller_destroy(pmn_s3_caller *caller) {
  if (caller == NULL) return;
  pthread_mutex_lock(&caller->lock);
  caller->closing = true;
  pthread_cond_signal(&caller->changed);
  pthread_mutex_unlock(&caller->lock);
  pmn_http_cancel(caller->s3->http);
  pthread_join(caller->thread, NULL);
  while (caller->regions != NULL) {
    bucket_region *r = caller->regions;
    caller->regions = r->next;
    pmn_free(r);
  }
  pthread_cond_destroy(&caller->changed);
  pthread_mutex_destroy(&caller->lock);
  pmn_free(caller);
}

pmn_status pmn_s3_call_start(
    pmn_s3 *s3, const pmn_s3_call *call, pmn_s3_outcome *outcome, pmn_s3_call_done *done, void *arg, pmn_err *err) {
  pmn_s3_outcome_reset(outcome);
  attempt *one = pmn_calloc(1, sizeof *one);
  if (one == NULL) return pmn_err_memory(err, sizeof *one, "a call of S3");
  *one = (attempt){.caller = s3->caller, .call = call, .outcome = outcome, .done = done, .arg = arg};
  if (push(s3->caller, one, true)) return PMN_STATUS_OK;
  pmn_free(one);
  return pmn_err_set(err, PMN_STATUS_INTERRUPTED, 0, "interrupted");
}

static void on_done(void *arg, pmn_s3_outcome *outcome) {
  (void)outcome;
  pmn_latch_open(arg);
}

pmn_status pmn_s3_call_run(pmn_s3 *s3, const pmn_s3_call *call, pmn_s3_outcome *outcome, pmn_err *err) {
  pmn_latch ended;
  pmn_latch_init(&ended, false);
  pmn_status st = pmn_s3_call_start(s3, call, outcome, on_done, &ended, err);
  if (st == PMN_STATUS_OK) {
    pmn_latch_wait(&ended);
    if (outcome->status != PMN_STATUS_OK && err != NULL) *err = outcome->error;
  } else {
    outcome->status = st;
  }
  pmn_latch_destroy(&ended);
  return outcome->status;
}
