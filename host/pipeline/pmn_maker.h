/* pmn_maker.h - what makes a row of a picture: a network, or its pixels as they are.
 *
 * The feed prepares pictures as `prepare` says; the features pass puts them into the maker one by one and lets it make
 * the rows of a batch. A row does not depend on what else is in the batch. A maker whose device works beside its host
 * has several slots, each with a batch that is being filled or under way; slots are used in turn.
 */
#ifndef PMN_MAKER_H
#define PMN_MAKER_H

#include "pmn_backend.h"
#include "pmn_feed.h"
#include "pmn_selfcheck.h"

struct json_t;
typedef struct pmn_maker pmn_maker;
enum { PMN_MAKER_DEVICES_MAX = 16 };

/* 0 <= slot < maker->slots. put: picture `index` of a slot's next batch. begin: its first n pictures are there, do not
 * wait; NULL: nothing is done before collect. collect: their rows, [n, width], once they are made. */
typedef struct pmn_maker_kind {
  const char *stage; /* what a row that is no row is rejected for */
  bool computes;     /* it is worth a GPU */
  bool shares;       /* it can compute on several devices */
  /* Once, before the first batch; `devices`, 1 unless it shares, are borrowed until destroy. It may change what is to
   * be prepared. */
  pmn_status (*open)(pmn_maker *maker, pmn_device *const *devices, int32_t count, int32_t batch_max, pmn_err *err);
  pmn_status (*put)(pmn_maker *maker, int32_t slot, int32_t index, const pmn_picture *picture, pmn_err *err);
  pmn_status (*begin)(pmn_maker *maker, int32_t slot, int32_t n, pmn_err *err);
  pmn_status (*collect)(pmn_maker *maker, int32_t slot, int32_t n, float *rows, pmn_err *err);
  /* Once, after open: rows leave as pmn_network_project says from now on, if *taken. NULL: never. */
  pmn_status (*project)(pmn_maker *maker, const pmn_linear_map *map, bool *taken, pmn_err *err);
  /* Seconds that what makes the rows has worked so far, of all devices together; NULL: as long as collect took. */
  double (*seconds)(const pmn_maker *maker);
  /* Keypoints of picture `index` of the batch, once it is collected: a row without any is blank. NULL: none are made.
   */
  int32_t (*keypoints)(const pmn_maker *maker, int32_t index);
  void (*destroy)(pmn_maker *maker); /* not NULL */
} pmn_maker_kind;

/* Every kind's own struct begins with this. */
struct pmn_maker {
  const pmn_maker_kind *kind;
  pmn_prepare_options prepare;
  int32_t slots;             /* 1 unless `open` says more */
  int32_t width;             /* values of a row */
  bool bytes;                /* each of them is a byte, 0 to 255 */
  struct json_t *features;   /* what it says of itself, for the record; the maker's own */
  pmn_precision_error error; /* of a device that rounds, once it is open */
};

/* The maker that options->features names. Errors as of pmn_extract: PMN_STATUS_ARGUMENT, _NOT_FOUND, _MODEL. */
PMN_MUST_USE pmn_status pmn_maker_create(const pmn_extract_options *options, pmn_maker **maker, pmn_err *err);
void pmn_maker_destroy(pmn_maker *maker); /* before its device is closed; NULL is fine */

/* What a network that is not open yet will give to its device; NULL of other kinds. */
const pmn_program *pmn_maker_network_program(const pmn_maker *maker);

/* The kinds. Each fills what it can of its own; pmn_maker_create destroys what has failed. */
PMN_MUST_USE pmn_status pmn_maker_network(const pmn_extract_options *options, pmn_maker **maker, pmn_err *err);
PMN_MUST_USE pmn_status pmn_maker_words(const pmn_extract_options *options, pmn_maker **maker, pmn_err *err);
PMN_MUST_USE pmn_status pmn_maker_pixels(const pmn_extract_options *options, pmn_maker **maker, pmn_err *err);

#endif
