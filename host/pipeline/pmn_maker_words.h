/* pmn_maker_words.h - rows that count words: what learning them needs beside pmn_maker.h. */
#ifndef PMN_MAKER_WORDS_H
#define PMN_MAKER_WORDS_H

#include "pmn_describing.h"
#include "pmn_lexicon.h"
#include "pmn_maker.h"

/* Are keypoints alone wanted, without a table? A row of such a maker has no columns. */
bool pmn_maker_is_bare(const pmn_extract_options *options);
/* Is this a maker of words that has no vocabulary yet? */
bool pmn_maker_wants_words(const pmn_maker *maker);
/* The words of a maker of words, which has them; NULL for any other. */
const pmn_lexicon *pmn_maker_look_words(const pmn_maker *maker);
/* The options that make such rows again, whatever vocabulary they came with. */
void pmn_maker_say_words(const pmn_maker *maker, pmn_extract_options *options);
/* What describes for a maker of words that is open, and what it found in the pictures of the last batch that the maker
 * has run; NULL for any other. */
pmn_describing *pmn_maker_look_describing(const pmn_maker *maker);
const pmn_described *pmn_maker_look_described(const pmn_maker *maker);
/* The words from now on; they are the maker's own then, and *words is empty. */
PMN_MUST_USE pmn_status pmn_maker_take_words(pmn_maker *maker, pmn_lexicon *words, pmn_err *err);

#endif
