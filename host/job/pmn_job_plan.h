/* pmn_job_plan.h - is this the job that was begun? Private to this room. */
#ifndef PMN_JOB_PLAN_H
#define PMN_JOB_PLAN_H

#include <stdbool.h>

struct json_t;

/* True when two plans differ; `text` then says in what, by the first member that does: "parts: 3 then, 4 now". */
bool pmn_job_plans_differ(struct json_t *there, struct json_t *here, char text[256]);

#endif
