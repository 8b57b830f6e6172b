/* pmn_json.h - what records and journals need of jansson beyond jansson: our memory, and names of any bytes. */
#ifndef PMN_JSON_H
#define PMN_JSON_H

#include <stddef.h>

struct json_t;

/* A name from the file system as the outputs write it (pmn_text_escape); jansson takes valid UTF-8 only. NULL when
 * memory cannot be had. */
struct json_t *pmn_json_name(const char *name);
/* JSON as text, with jansson's JSON_... flags; to be freed with pmn_free. NULL for NULL, or when memory cannot be had.
 */
char *pmn_json_text(const struct json_t *json, size_t flags);

#endif
