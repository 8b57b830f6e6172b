/* pmn_perceptron_rows.c - see pmn_perceptron_rows.h. Rows are read once, in blocks, and put where they belong: the
 * training goes through them hundreds of times, so they lie dense. */
#include "pmn_perceptron_rows.h"

#include "pmn_mem.h"
#include "pmn_numbers.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

double pmn_lessons_memory(int64_t rows, int32_t width, int32_t classes) {
  double block = (double)pmn_block_rows(width) * width;
  double choice = (double)rows * (sizeof(int64_t) + sizeof(bool)) + (double)classes * sizeof(int64_t);
  return ((double)rows * width + block) * sizeof(double) + (double)rows * sizeof(int32_t) + choice;
}

/* counts [classes]: rows of each class. */
static pmn_status classes_count(const int32_t *labels, int64_t rows, int32_t classes, int64_t *counts, pmn_err *err) {
  for (int64_t i = 0; i < rows; i++) {
    if (labels[i] < 0 || labels[i] >= classes)
      return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0,
          "row %" PRId64 " has label %" PRId32 ": labels of %" PRId32 " classes go from 0 to %" PRId32, i, labels[i],
          classes, classes - 1);
    counts[labels[i]]++;
  }
  for (int32_t c = 0; c < classes; c++) {
    if (counts[c] == 0)
      return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0,
          "class %" PRId32 " has no rows: each of the %" PRId32 " classes needs at least one to be learned", c,
          classes);
  }
  return PMN_STATUS_OK;
}

/* Sets held [rows] for those that are held out; returns how many. by_class [rows] is scratch, for the rows sorted by
 * class; counts becomes where each class ends there. */
static int64_t choose(const int32_t *labels, int64_t rows, int32_t classes, double held_out, pmn_random *random,
    int64_t *counts, int64_t *by_class, bool *held) {
  int64_t total = 0, sum = 0;
  for (int32_t c = 0; c < classes; c++) {
    int64_t count = counts[c];
    counts[c] = sum;
    sum += count;
  }
  for (int64_t i = 0; i < rows; i++) by_class[counts[labels[i]]++] = i;
  for (int32_t c = 0; c < classes; c++) {
    int64_t begin = c > 0 ? counts[c - 1] : 0, count = counts[c] - begin, take = llround((double)count * held_out);
    if (take > count - 1) take = count - 1;
    for (int64_t i = 0; i < take; i++) { /* Fisher and Yates, as far as it is needed */
      int64_t other = i + (int64_t)pmn_random_below(random, (uint64_t)(count - i)), row = by_class[begin + other];
      by_class[begin + other] = by_class[begin + i];
      by_class[begin + i] = row;
      held[row] = true;
    }
    total += take;
  }
  return total;
}

static pmn_status check_finite(const double *block, int64_t first, int32_t n, int32_t width, pmn_err *err) {
  size_t count = (size_t)n * (size_t)width, bad = pmn_nonfinite_find_wide(block, count);
  if (bad == count) return PMN_STATUS_OK;
  return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0, "row %" PRId64 ", column %zu is %s: a perceptron needs finite values",
      first + (int64_t)(bad / (size_t)width), bad % (size_t)width, isnan(block[bad]) ? "NaN" : "infinite");
}

/* All rows to where they belong, block by block. */
static pmn_status fill(pmn_lessons *lessons, const pmn_rows *rows, const int32_t *labels, const bool *held,
    double *block, const pmn_watch *watch, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  int64_t trained = 0, kept = lessons->count;
  int32_t most = pmn_block_rows(rows->width);
  size_t width = (size_t)rows->width;
  for (int64_t first = 0; first < rows->count; first += most) {
    int32_t n = rows->count - first < most ? (int32_t)(rows->count - first) : most;
    PMN_TRY(pmn_watch_check(watch, err));
    PMN_TRY(rows->read(rows->arg, first, n, block, err));
    PMN_TRY(check_finite(block, first, n, rows->width, err));
    for (int32_t i = 0; i < n; i++) {
      int64_t to = held[first + i] ? kept++ : trained++;
      memcpy(lessons->x + (size_t)to * width, block + (size_t)i * width, width * sizeof *block);
      lessons->labels[to] = labels[first + i];
    }
  }
done:
  return st;
}

pmn_status pmn_lessons_init(pmn_lessons *lessons, const pmn_rows *rows, const int32_t *labels, int32_t classes,
    double held_out, pmn_random *random, const pmn_watch *watch, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t count = (size_t)rows->count, width = (size_t)rows->width, values = SIZE_MAX;
  int64_t *counts = pmn_calloc((size_t)classes, sizeof *counts), *by_class = NULL;
  bool *held = pmn_calloc(count, sizeof *held);
  double *block = pmn_alloc_aligned((size_t)pmn_block_rows(rows->width) * width, sizeof *block);
  memset(lessons, 0, sizeof *lessons);
  if (counts == NULL || held == NULL || block == NULL) {
    st = pmn_err_memory(err, (size_t)pmn_block_rows(rows->width) * width * sizeof *block, "a block of feature rows");
    goto done;
  }
  PMN_TRY(classes_count(labels, rows->count, classes, counts, err));
  if (held_out > 0.0) {
    by_class = pmn_alloc(count, sizeof *by_class);
    if (by_class == NULL) {
      st = pmn_err_memory(err, count * sizeof *by_class, "the choice of rows that are held out");
      goto done;
    }
    lessons->held_count = choose(labels, rows->count, classes, held_out, random, counts, by_class, held);
    if (lessons->held_count == 0)
      PMN_FAIL(err, PMN_STATUS_ARGUMENT,
          "no class has rows enough to hold a share of %g of them out: give another share, or 0", held_out);
  }
  lessons->count = rows->count - lessons->held_count;
  if (pmn_size_mul(count, width, &values)) lessons->x = pmn_alloc_aligned(values, sizeof *lessons->x);
  lessons->labels = pmn_alloc(count, sizeof *lessons->labels);
  if (lessons->x == NULL || lessons->labels == NULL) {
    st = pmn_err_memory(err, values > SIZE_MAX / sizeof *block ? SIZE_MAX : values * sizeof *block, "the feature rows");
    goto done;
  }
  PMN_TRY(fill(lessons, rows, labels, held, block, watch, err));
done:
  pmn_free(counts);
  pmn_free(by_class);
  pmn_free(held);
  pmn_free(block);
  if (st != PMN_STATUS_OK) pmn_lessons_reset(lessons);
  return st;
}

void pmn_lessons_reset(pmn_lessons *lessons) {
  pmn_free(lessons->x);
  pmn_free(lessons->labels);
  lessons->x = NULL;
  lessons->labels = NULL;
}
