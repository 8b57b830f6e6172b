/* pmn_places.h - where the names of a run lead: no file is to be two things at once, and no input is to be replaced. */
#ifndef PMN_PLACES_H
#define PMN_PLACES_H

#include "pmn_err.h"

typedef struct pmn_place {
  const char *path, *suffix; /* the name is both together; path NULL: there is none */
  const char *what;          /* "the table", for messages */
  bool is_folder;            /* the folder `path`, with everything in it */
} pmn_place;

/* PMN_STATUS_ARGUMENT names what two outputs, or an output and an input that exists, would be at once. Names are the
 * same that have one folder and one last component, whatever they look like; an output is an input also if both lead to
 * one file. */
PMN_MUST_USE pmn_status pmn_places_check(
    const pmn_place *outputs, size_t output_count, const pmn_place *inputs, size_t input_count, pmn_err *err);

#endif
