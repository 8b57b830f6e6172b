/* pmn_summary.c - reading a summary, see pomona.h. */
#include "pmn_summary.h"

#include "pmn_mem.h"

pmn_counts pmn_summary_counts(const pmn_summary *summary) {
  return summary->counts;
}

double pmn_summary_seconds(const pmn_summary *summary) {
  return summary->seconds;
}

const pmn_stage *pmn_summary_stages(const pmn_summary *summary, int32_t *count) {
  *count = PMN_STAGE_COUNT;
  return summary->meter.stages;
}

const char *pmn_summary_bound(const pmn_summary *summary) {
  return summary->bound;
}

const double *pmn_summary_explained(const pmn_summary *summary, int32_t *count) {
  *count = summary->explained_count;
  return summary->explained;
}

const char *pmn_summary_rejects_path(const pmn_summary *summary) {
  return summary->rejects_path;
}

const char *pmn_summary_record(const pmn_summary *summary) {
  return summary->record;
}

void pmn_summary_destroy(pmn_summary *summary) {
  if (summary == NULL) return;
  pmn_free(summary->explained);
  pmn_free(summary->rejects_path);
  pmn_free(summary->record);
  pmn_free(summary);
}
