/* pmn_job_plan.c - see pmn_job_plan.h. */
#include "pmn_job_plan.h"

#include "pmn_json.h"
#include "pmn_mem.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* A value as a message shows it. */
static void show_value(const json_t *value, char text[100]) {
  char *dump = pmn_json_text(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS);
  snprintf(text, 100, "%.99s", dump != NULL ? dump : "nothing");
  pmn_free(dump);
}

/* The first member that differs, by its innermost name; false if none does. */
static bool find_difference(json_t *there, json_t *here, const char **name, char then[100], char now[100]) {
  const char *key;
  json_t *value;
  for (int pass = 0; pass < 2; pass++) {
    json_object_foreach(pass == 0 ? here : there, key, value) {
      json_t *other = json_object_get(pass == 0 ? there : here, key);
      if (other != NULL && json_equal(value, other)) continue;
      if (json_is_object(value) && json_is_object(other)) return find_difference(other, value, name, then, now);
      *name = key;
      show_value(pass == 0 ? value : NULL, now);
      show_value(pass == 0 ? other : value, then);
      return true;
    }
  }
  return false;
}

/* Of numbers and names the values say it all; of a listing they are a count and hashes. */
static void tell_difference(const char *name, const char *then, const char *now, char text[256]) {
  if (strcmp(name, "pictures") == 0)
    snprintf(text, 256, "%s pictures then, %s now", then, now);
  else if (strcmp(name, "listing") == 0)
    snprintf(text, 256, "as many pictures as then, but with other names or labels");
  else if (strcmp(name, "contents") == 0)
    snprintf(text, 256, "the same names as then, but pictures of other sizes or times");
  else
    snprintf(text, 256, "%s: %s then, %s now", name, then, now);
}

bool pmn_job_plans_differ(json_t *there, json_t *here, char text[256]) {
  const char *name;
  char then[100], now[100];
  if (!find_difference(there, here, &name, then, now)) return false;
  tell_difference(name, then, now, text);
  return true;
}
