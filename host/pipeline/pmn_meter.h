/* pmn_meter.h - how long each stage of a run was busy, and which one the others waited for. */
#ifndef PMN_METER_H
#define PMN_METER_H

#include "pomona.h"

/* In the order of the flow. Reading, decoding, resizing and describing share the threads of the feed. */
typedef enum pmn_stage_kind {
  PMN_STAGE_START, /* listing, weights, device and its check: all before the first picture */
  PMN_STAGE_READ,
  PMN_STAGE_DECODE,
  PMN_STAGE_RESIZE,
  PMN_STAGE_DESCRIBE, /* keypoints and descriptors */
  PMN_STAGE_DEVICE,   /* the same by a device, which the feed leaves it to */
  PMN_STAGE_WORDS,    /* learning them from descriptors that are there */
  PMN_STAGE_NETWORK,
  PMN_STAGE_MOMENTS,
  PMN_STAGE_WRITE,
  PMN_STAGE_FIT,
  PMN_STAGE_PROJECT,
  PMN_STAGE_CLASSIFIER, /* trained or asked */
  PMN_STAGE_COUNT
} pmn_stage_kind;

typedef struct pmn_meter {
  pmn_stage stages[PMN_STAGE_COUNT];
} pmn_meter;

void pmn_meter_init(pmn_meter *meter, int32_t feed_lanes);
/* Fills the shares for a run of `wall_seconds` and returns the name of the stage that bounded it: the group of threads
 * that was busy for the largest share of the run, and in it the busiest stage. */
const char *pmn_meter_finish(pmn_meter *meter, double wall_seconds);

#endif
