/* pmn_meter.c - see pmn_meter.h. */
#include "pmn_meter.h"

static bool is_feed(int stage) {
  return stage >= PMN_STAGE_READ && stage <= PMN_STAGE_DESCRIBE;
}

void pmn_meter_init(pmn_meter *meter, int32_t feed_lanes) {
  static const char *const names[PMN_STAGE_COUNT] = {"start", "read", "decode", "resize", "describe", "describe_device",
      "vocabulary", "network", "moments", "write", "fit", "project", "classifier"};
  for (int i = 0; i < PMN_STAGE_COUNT; i++) {
    meter->stages[i] = (pmn_stage){.name = names[i], .lanes = is_feed(i) ? feed_lanes : 1};
  }
}

const char *pmn_meter_finish(pmn_meter *meter, double wall_seconds) {
  double feed = 0, feed_most = -1, most = -1;
  int in_feed = 0, bound = 0;
  for (int i = 0; i < PMN_STAGE_COUNT; i++) {
    pmn_stage *stage = &meter->stages[i];
    stage->share = wall_seconds > 0 ? stage->busy_seconds / (wall_seconds * stage->lanes) : 0;
    if (is_feed(i)) {
      feed += stage->share;
      if (stage->share > feed_most) {
        feed_most = stage->share;
        in_feed = i;
      }
    } else if (stage->share > most) {
      most = stage->share;
      bound = i;
    }
  }
  return meter->stages[feed > most ? in_feed : bound].name;
}
