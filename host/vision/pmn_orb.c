/* pmn_orb.c - see pmn_vision.h. */
#include "pmn_describer_kind.h"

static pmn_status create(int32_t keypoints_max, pmn_describer **describer, pmn_err *err) {
  (void)keypoints_max;
  (void)describer;
  return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0, "not there yet");
}

const pmn_describer_kind pmn_orb = {.name = "orb", .bytes = 32, .create = create};
