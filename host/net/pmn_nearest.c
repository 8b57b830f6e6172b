/* pmn_nearest.c - see pmn_nearest.h. */
#include "pmn_nearest.h"

#include "pmn_numbers.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { LENGTH_MAX = 127 }; /* of what is compared; names of layers are shorter, mostly */

static int lower(char c) {
  return tolower((unsigned char)c);
}

/* Letters to insert, delete or replace until a is b, case aside (Levenshtein 1966; Wagner and Fischer 1974); or until a
 * is the beginning of b, and one for the rest. */
static int32_t edit_distance(const char *a, size_t a_size, const char *b, size_t b_size) {
  int32_t row[LENGTH_MAX + 1];
  for (size_t j = 0; j <= b_size; j++) row[j] = (int32_t)j;
  for (size_t i = 1; i <= a_size; i++) {
    int32_t diagonal = row[0];
    row[0] = (int32_t)i;
    for (size_t j = 1; j <= b_size; j++) {
      int32_t replaced = diagonal + (lower(a[i - 1]) != lower(b[j - 1]));
      diagonal = row[j];
      row[j] = pmn_least(replaced, pmn_least(row[j], row[j - 1]) + 1);
    }
  }
  int32_t distance = row[b_size];
  for (size_t j = 0; j < b_size; j++) distance = pmn_least(distance, row[j] + 1);
  return distance;
}

pmn_nearest pmn_nearest_init(const char *wanted) {
  return (pmn_nearest){.wanted = wanted};
}

void pmn_nearest_offer(pmn_nearest *nearest, const char *name) {
  size_t wanted_size = strnlen(nearest->wanted, LENGTH_MAX), size = strnlen(name, LENGTH_MAX);
  int32_t distance = edit_distance(nearest->wanted, wanted_size, name, size), most = (int32_t)(wanted_size + 2) / 3;
  /* The middle of a name is as good as its beginning. */
  if (wanted_size >= 3 && strstr(name, nearest->wanted) != NULL) distance = 1;
  if (size == 0 || distance > most) return;
  int32_t at = nearest->count;
  while (at > 0 && nearest->distances[at - 1] > distance) at--;
  if (at == PMN_NEAREST_COUNT) return;
  if (nearest->count < PMN_NEAREST_COUNT) nearest->count++;
  for (int32_t i = nearest->count - 1; i > at; i--) {
    nearest->names[i] = nearest->names[i - 1];
    nearest->distances[i] = nearest->distances[i - 1];
  }
  nearest->names[at] = name;
  nearest->distances[at] = distance;
}

void pmn_nearest_text(const pmn_nearest *nearest, char *text, size_t size) {
  size_t used = 0;
  text[0] = '\0';
  for (int32_t i = 0; i < nearest->count && used < size; i++) {
    const char *before = i == 0 ? "; did you mean " : i == nearest->count - 1 ? " or " : ", ";
    int written =
        snprintf(text + used, size - used, "%s%.100s%s", before, nearest->names[i], i == nearest->count - 1 ? "?" : "");
    used += written > 0 ? (size_t)written : 0;
  }
}
