/* pmn_learn.h - a vocabulary, learnt from pictures before the first of them becomes a row. */
#ifndef PMN_LEARN_H
#define PMN_LEARN_H

#include "pmn_run.h"

/* If run->maker has no words yet: describes every picture of run->listing, clusters the descriptors, gives the words to
 * the maker and keeps them in the file that is asked for. Pictures that cannot be read are passed over: those of the
 * table will be rejects. The device is open, and the descriptors wait on the disk meanwhile. */
PMN_MUST_USE pmn_status pmn_learn_words(pmn_run *run, pmn_err *err);

/* Where run `i` begins when so many descriptors are cut into runs of almost equal length; where the last one ends for
 * i = runs. Up to 2^31 runs. */
int64_t pmn_learn_border(int64_t descriptors, int64_t runs, int64_t i);

#endif
