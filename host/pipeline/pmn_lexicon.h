/* pmn_lexicon.h - a vocabulary in use: its words, how telling each is, and how they were learnt.
 *
 * Files of it are those of pmn_store_file.h: "words" [k, 128] the centres, or [k, 32] the bytes of binary words; "idf"
 * [k]. The record says under "features" which descriptors they are of and how the pictures were described, and beside
 * it how the words were made, and of how many pictures and descriptors.
 */
#ifndef PMN_LEXICON_H
#define PMN_LEXICON_H

#include "pmn_kmeans.h"
#include "pmn_outfile.h"
#include "pmn_prepare.h"
#include "pmn_sha256.h"
#include "pmn_vision.h"

enum { PMN_KEYPOINTS_MAX = 65536 };

typedef struct pmn_learning {
  int32_t keypoints_max; /* of a picture, 1 to PMN_KEYPOINTS_MAX */
  int32_t width, height; /* to which pictures were resized; 0: they were described in their own size */
  pmn_filter filter;     /* by which */
  pmn_kmeans_start start;
  int32_t mini_batch; /* as in pmn_kmeans_options */
  uint64_t seed;      /* to INT64_MAX */
} pmn_learning;

typedef struct pmn_lexicon {
  pmn_descriptor_kind descriptor;
  pmn_vocabulary *vocabulary;
  float *idf;       /* [k] */
  int64_t pictures; /* that it was made of */
  pmn_learning learning;
  char sha256[PMN_SHA256_HEX_SIZE]; /* of words and idf */
} pmn_lexicon;

/* Frees what is in it. */
void pmn_lexicon_reset(pmn_lexicon *words);
/* Fills words->sha256. */
PMN_MUST_USE pmn_status pmn_lexicon_hash(pmn_lexicon *words, pmn_err *err);
/* Errors and *file as those of pmn_projection_save. */
PMN_MUST_USE pmn_status pmn_lexicon_save(
    const char *path, bool overwrite, const pmn_lexicon *words, pmn_outfile **file, pmn_err *err);
/* PMN_STATUS_NOT_FOUND, PMN_STATUS_MODEL; PMN_STATUS_ARGUMENT: words of other descriptors. */
PMN_MUST_USE pmn_status pmn_lexicon_load(
    const char *path, pmn_descriptor_kind descriptor, pmn_lexicon *words, pmn_err *err);

#endif
