/* pmn_describer_kind.h - what SIFT and ORB are to pmn_describer.c; inside vision only. */
#ifndef PMN_DESCRIBER_KIND_H
#define PMN_DESCRIBER_KIND_H

#include "pmn_vision.h"

/* As the functions of pmn_vision.h; sizes have been checked. */
typedef struct pmn_describer_kind {
  const char *name;
  int32_t bytes;
  double (*memory)(int32_t width, int32_t height);
  pmn_status (*create)(int32_t keypoints_max, pmn_describer **describer, pmn_err *err);
  void (*destroy)(pmn_describer *describer); /* not NULL */
  pmn_status (*run)(pmn_describer *describer, const uint8_t *gray, int32_t width, int32_t height,
      pmn_described *described, pmn_err *err);
} pmn_describer_kind;

/* Every kind's own struct begins with this. */
struct pmn_describer {
  const pmn_describer_kind *kind; /* set by pmn_describer_create */
};

extern const pmn_describer_kind pmn_sift, pmn_orb;

#endif
