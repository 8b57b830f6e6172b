/* pmn_json.c - see pmn_json.h. */
#include "pmn_json.h"

#include "pmn_mem.h"
#include "pmn_text.h"

#include <jansson.h>
#include <string.h>

json_t *pmn_json_name(const char *name) {
  pmn_buf text;
  json_t *json = NULL;
  pmn_buf_init(&text, SIZE_MAX);
  if (pmn_text_escape(&text, name, strlen(name), NULL) == PMN_STATUS_OK)
    json = json_string(text.data != NULL ? text.data : "");
  pmn_buf_reset(&text);
  return json;
}

char *pmn_json_text(const json_t *json, size_t flags) {
  char *text = NULL;
  size_t size = json == NULL ? 0 : json_dumpb(json, NULL, 0, flags);
  if (size > 0) text = pmn_alloc(size + 1, 1);
  /* It takes memory of its own, and may find none the second time. */
  if (text != NULL && json_dumpb(json, text, size, flags) == size) {
    text[size] = '\0';
    return text;
  }
  pmn_free(text);
  return NULL;
}
