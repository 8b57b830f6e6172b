/* pmn_parts.h - a run whose output is a folder: where its parts begin, what is journalled at their borders, and how a
 * broken run is taken up again. Private to the pipeline.
 *
 * The listing is cut at indices that depend on its length alone, so parts are the same in every run of a job. The first
 * pass ends a piece at a border: what it made is whole, then its entry is written. Without a fit a piece is a part of
 * the output ("part-00000"); with one it is rows in the spool ("rows-00000"), and all parts are written after the fit.
 *
 * An output that is one file has one piece, nothing is journalled, and the calls below do no more than open and finish
 * the outlet.
 */
#ifndef PMN_PARTS_H
#define PMN_PARTS_H

#include "pmn_run.h"

/* Opens the job of an output that is a folder. */
PMN_MUST_USE pmn_status pmn_parts_open(pmn_run *run, pmn_err *err);
/* Listing, device and features are known: the plan is compared with that of the broken run, if there is one.
 * run->finished becomes the record of an output that is there already: nothing is left to do. */
PMN_MUST_USE pmn_status pmn_parts_begin(pmn_run *run, bool fits, pmn_err *err);
/* Takes the journalled pieces as done: counts, rows, rejects, spool and moments are as they were. *first is the index
 * that the first pass goes on with. */
PMN_MUST_USE pmn_status pmn_parts_restore(pmn_run *run, int64_t *first, pmn_err *err);
/* First index behind the piece that index belongs to. */
int64_t pmn_parts_border(const pmn_run *run, int64_t index);
/* A wish to pause will be met at the end of the piece under way. */
bool pmn_parts_will_pause(const pmn_run *run);
/* A piece of the first pass begins, or has come to its end with everything written. */
PMN_MUST_USE pmn_status pmn_parts_piece_begin(pmn_run *run, int64_t index, pmn_err *err);
PMN_MUST_USE pmn_status pmn_parts_piece_end(pmn_run *run, int64_t end, pmn_err *err);
/* For the entry of the piece under way. */
PMN_MUST_USE pmn_status pmn_parts_reject(
    pmn_run *run, int64_t index, const char *stage, const char *reason, pmn_err *err);
/* The same fit as in the broken run, or this one's is written down: fit_on may lead to other pictures than before. */
PMN_MUST_USE pmn_status pmn_parts_compare_fit(pmn_run *run, pmn_err *err);

/* Parts of the output after a fit: their number, and the first index behind each. */
int64_t pmn_parts_count(const pmn_run *run);
int64_t pmn_parts_end(const pmn_run *run, int64_t part);
/* Outlet to part number `part`; the outlet's last rows, and the files that they are in. */
PMN_MUST_USE pmn_status pmn_parts_part_begin(pmn_run *run, int64_t part, pmn_err *err);
PMN_MUST_USE pmn_status pmn_parts_part_end(pmn_run *run, pmn_err *err);

#endif
