/* pmn_fold.h - joining layers into operations, which is where most of a framework's layers disappear. */
#ifndef PMN_FOLD_H
#define PMN_FOLD_H

#include "pmn_graph_parts.h"

/* Changes the layers that are `needed`; `readers` must have been counted, outputs included. A layer that became part of
 * another is no longer needed; every layer that still is gives the values that it gave before, within rounding, and
 * comes after all that it reads. An error, want of memory only, is left in the graph. */
void pmn_fold(pmn_graph *graph);

#endif
