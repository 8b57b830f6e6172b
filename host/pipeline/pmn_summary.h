/* pmn_summary.h - what pmn_extract hands back; private to the pipeline, opaque outside. */
#ifndef PMN_SUMMARY_H
#define PMN_SUMMARY_H

#include "pmn_meter.h"

struct pmn_summary {
  pmn_counts counts;
  double seconds;
  pmn_meter meter;
  const char *bound;
  double *explained;
  int32_t explained_count;
  char *rejects_path, *record;
};

#endif
