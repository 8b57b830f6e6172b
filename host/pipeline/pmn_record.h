/* pmn_record.h - pieces of the run record that are made before there is a run. */
#ifndef PMN_RECORD_H
#define PMN_RECORD_H

#include "pmn_model.h"

struct json_t;

/* Each is the caller's own; NULL when memory cannot be had. */
/* Network, weights, layers and preprocessing of a model. */
struct json_t *pmn_record_features(const pmn_model *model, pmn_pooling pooling);
struct json_t *pmn_record_preprocess(const pmn_preprocess *preprocess, bool gray);
/* JSON as text, to be freed with pmn_free; NULL when memory cannot be had. */
char *pmn_record_text(const struct json_t *json);

#endif
