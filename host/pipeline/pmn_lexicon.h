/* pmn_lexicon.h - a vocabulary in use: its words, and how telling each is.
 *
 * Files of it are those of pmn_store_file.h: "words" [k, 128] the centres, or [k, 32] the bytes of binary words; "idf"
 * [k]. The record says under "features" which descriptors they are of, and how many pictures and descriptors made them.
 */
#ifndef PMN_LEXICON_H
#define PMN_LEXICON_H

#include "pmn_kmeans.h"
#include "pmn_outfile.h"
#include "pmn_sha256.h"
#include "pmn_vision.h"

typedef struct pmn_lexicon {
  pmn_descriptor_kind descriptor;
  pmn_vocabulary *vocabulary;
  float *idf;                       /* [k] */
  int64_t pictures;                 /* that it was made of */
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
