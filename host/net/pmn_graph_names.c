/* pmn_graph_names.c - see pmn_graph_names.h. */
#include "pmn_graph_names.h"

#include "pmn_mem.h"

#include <string.h>

void pmn_graph_names_reset(pmn_graph_names *names) {
  for (size_t i = 0; i < names->capacity; i++) pmn_free(names->slots[i].text);
  pmn_free(names->slots);
  *names = (pmn_graph_names){NULL, 0, 0};
}

/* FNV-1a (Fowler, Noll, Vo). */
static uint64_t hash(const char *text) {
  uint64_t h = 14695981039346656037u;
  for (; *text != '\0'; text++) h = (h ^ (unsigned char)*text) * 1099511628211u;
  return h;
}

/* The slot that holds the name, or the free one where it belongs. */
static pmn_graph_name *slot_of(const pmn_graph_names *names, const char *text) {
  size_t at = (size_t)hash(text) & (names->capacity - 1);
  while (names->slots[at].text != NULL && strcmp(names->slots[at].text, text) != 0) {
    at = (at + 1) & (names->capacity - 1);
  }
  return &names->slots[at];
}

const pmn_graph_name *pmn_graph_names_find(const pmn_graph_names *names, const char *text) {
  if (names->capacity == 0) return NULL;
  const pmn_graph_name *slot = slot_of(names, text);
  return slot->text == NULL ? NULL : slot;
}

static bool grow(pmn_graph_names *names) {
  pmn_graph_names larger = {.capacity = names->capacity == 0 ? 64 : names->capacity * 2, .count = names->count};
  larger.slots = pmn_calloc(larger.capacity, sizeof *larger.slots);
  if (larger.slots == NULL) return false;
  for (size_t i = 0; i < names->capacity; i++) {
    if (names->slots[i].text != NULL) *slot_of(&larger, names->slots[i].text) = names->slots[i];
  }
  pmn_free(names->slots);
  *names = larger;
  return true;
}

const char *pmn_graph_names_add(pmn_graph_names *names, const char *text, int32_t node) {
  if (2 * (names->count + 1) > names->capacity && !grow(names)) return NULL;
  pmn_graph_name *slot = slot_of(names, text);
  if (slot->text != NULL) return slot->text;
  slot->text = pmn_strdup(text);
  if (slot->text == NULL) return NULL;
  slot->node = node;
  names->count++;
  return slot->text;
}
