/* pmn_vocabulary.c - the nearest word of a point, exactly.
 *
 * Coordinates of float words are rounded to multiples of 2^-f, and counted in them: c is a whole number below 2^24,
 * which a float holds. With a point x of bytes and g = 2^f,
 *
 *   |c - g x|^2 = |c|^2 - 2 g (x c) + g^2 |x|^2,   x c by one GEMM
 *
 * is a whole number of at most 255^2 width g^2. f is so small (15 for SIFT's width of 128) that this is at most 2^53:
 * each of the three terms and every sum on the way to them is then a whole number that fp64 holds. So no rounding
 * happens, in whatever order a device sums, and whether or not it fuses: all devices, and any number of threads, find
 * the same distances, and equally near words are known to be so.
 *
 * A device without fp64 rounds factors to fp32 and sums 256 products in it. There c goes in as three digits of 8 bits,
 * and 256 * 255^2 < 2^24 makes those sums exact too. Whether it has fp64 is asked by a product that needs it.
 *
 * Rounding to the grid moves a coordinate by at most 2^-16 (SIFT), where bytes were rounded by 2^-1. The grid's point
 * next to a mean is the best one for its cluster, as squared distances are sums over the columns, so Lloyd's iteration
 * still never gets worse.
 */
#include "pmn_kmeans_parts.h"
#include "pmn_kmeans_rows.h"
#include "pmn_mem.h"
#include "pmn_numbers.h"

#include <math.h>

enum { DIGITS = 3, DIGIT_BITS = 8, FRACTION_MAX = 16, BLOCK_BYTES = 8 * 1024 * 1024 };

/* The most bits behind the point with 255^2 width 2^(2 f) <= 2^53, and 255 * 2^f < 2^24. */
static int32_t fraction_choose(int32_t width) {
  int32_t fraction = FRACTION_MAX;
  while (65025.0 * width * ldexp(1.0, 2 * fraction) > 0x1p53) fraction--;
  return fraction;
}

int32_t pmn_words_block(int32_t k, int32_t width) {
  int32_t slabs = PMN_WORDS_SLABS_MAX;
  while (slabs > 1 && (double)slabs * PMN_WORDS_SLAB * ((double)k + width) * sizeof(double) > BLOCK_BYTES) slabs /= 2;
  return slabs * PMN_WORDS_SLAB;
}

size_t pmn_words_products(const pmn_words *words) {
  return words->binary ? 0 : (size_t)words->k * (size_t)words->digits;
}

double pmn_words_memory(const pmn_device *device, int32_t k, int32_t width, bool binary) {
  double count = (double)k * width;
  if (binary) return count;
  return count * (sizeof(int32_t) + DIGITS * sizeof(double)) + k * (double)sizeof(double) +
         pmn_device_gemm_bytes(device, pmn_words_block(k, width), width, DIGITS * k);
}

/* 2^24 + 1 is the first whole number that fp32 has not. */
static pmn_status digits_choose(pmn_device *device, int32_t *digits, pmn_err *err) {
  const double one = 1.0, large = 0x1p24 + 1.0;
  double product = 0.0;
  pmn_status st = pmn_device_gemm(device, &one, &large, 1, 1, 1, &product, err);
  *digits = product == large ? 1 : DIGITS;
  return st;
}

pmn_status pmn_words_init(pmn_words *words, pmn_device *device, int32_t k, int32_t width, bool binary, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t count = (size_t)k * (size_t)width;
  *words = (pmn_words){.device = device, .k = k, .width = width, .binary = binary};
  if (binary) {
    words->bits = pmn_calloc(count, 1);
    if (words->bits == NULL) st = pmn_err_memory(err, count, "the words");
    goto done;
  }
  if (device == NULL) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "words of numbers are found by a device, and none was given");
  words->fraction = fraction_choose(width);
  PMN_TRY(digits_choose(device, &words->digits, err));
  words->grid = pmn_calloc(count, sizeof *words->grid);
  words->factors = pmn_alloc_aligned(count * (size_t)words->digits, sizeof *words->factors);
  words->norms = pmn_alloc_aligned((size_t)k, sizeof *words->norms);
  if (words->grid == NULL || words->factors == NULL || words->norms == NULL)
    st = pmn_err_memory(err, count * (sizeof *words->grid + (size_t)words->digits * sizeof(double)), "the words");
done:
  return st;
}

void pmn_words_reset(pmn_words *words) {
  pmn_free(words->bits);
  pmn_free(words->grid);
  pmn_free(words->factors);
  pmn_free(words->norms);
  *words = (pmn_words){0};
}

void pmn_words_refresh(pmn_words *words) {
  if (words->binary) return;
  size_t width = (size_t)words->width, count = (size_t)words->k * width;
  for (size_t c = 0; c < (size_t)words->k; c++) {
    const int32_t *grid = words->grid + c * width;
    int64_t norm = 0;
    for (size_t j = 0; j < width; j++) norm += (int64_t)grid[j] * grid[j];
    words->norms[c] = (double)norm;
  }
  for (int32_t digit = 0; digit < words->digits; digit++) {
    double *factors = words->factors + (size_t)digit * count;
    int shift = digit * DIGIT_BITS, mask = words->digits == 1 ? -1 : (1 << DIGIT_BITS) - 1;
    for (size_t i = 0; i < count; i++) factors[i] = words->grid[i] >> shift & mask;
  }
}

pmn_status pmn_words_multiply(const pmn_words *words, const double *x, int32_t n, double *products, pmn_err *err) {
  if (words->binary) return PMN_STATUS_OK;
  return pmn_device_gemm(words->device, x, words->factors, n, words->width, words->digits * words->k, products, err);
}

uint64_t pmn_words_nearest(
    const pmn_words *words, const uint8_t *points, double *products, int32_t n, int32_t *nearest, uint64_t *distances) {
  size_t k = (size_t)words->k, width = (size_t)words->width, stride = pmn_words_products(words);
  double unit = ldexp(1.0, words->fraction);
  uint64_t squares = 0;
  for (size_t i = 0; i < (size_t)n; i++) {
    const uint8_t *point = points + i * width;
    if (words->binary) {
      uint32_t bits;
      nearest[i] = (int32_t)pmn_bits_least(words->bits, k, width, point, &bits);
      distances[i] = bits;
      continue;
    }
    double *row = products + i * stride, least;
    for (size_t c = 0; words->digits > 1 && c < k; c++) row[c] += row[k + c] * 0x1p8 + row[2 * k + c] * 0x1p16;
    nearest[i] = (int32_t)pmn_scores_least(row, words->norms, k, 2.0 * unit, &least);
    uint64_t square = pmn_bytes_square(point, width);
    distances[i] = (uint64_t)(least + (double)square * unit * unit);
    squares += square;
  }
  return squares;
}

/* --------------------------------------------------------------------------------------------------- vocabulary -- */

void pmn_vocabulary_destroy(pmn_vocabulary *vocabulary) {
  if (vocabulary == NULL) return;
  pmn_free(vocabulary->centres);
  pmn_free(vocabulary->bits);
  pmn_free(vocabulary);
}

/* Centres come back to the grid unchanged if k-means made them; others are rounded to it. */
static pmn_status words_load(const pmn_vocabulary *v, pmn_words *words, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  for (size_t i = 0; i < (size_t)v->k * (size_t)v->width; i++) {
    if (v->binary) {
      words->bits[i] = v->bits[i];
      continue;
    }
    if (!(v->centres[i] >= 0.0f && v->centres[i] <= 255.0f)) {
      PMN_FAIL(err, PMN_STATUS_ARGUMENT, "word %zu of the vocabulary has %g in column %zu: from 0 to 255 is possible",
          i / (size_t)v->width, (double)v->centres[i], i % (size_t)v->width);
    }
    words->grid[i] = (int32_t)nearbyint(ldexp((double)v->centres[i], words->fraction));
  }
  pmn_words_refresh(words);
done:
  return st;
}

struct pmn_finder {
  pmn_words words;
  int32_t block; /* points that are multiplied together */
  double *x, *products;
  uint64_t *distances;
};

void pmn_finder_destroy(pmn_finder *finder) {
  if (finder == NULL) return;
  pmn_words_reset(&finder->words);
  pmn_free(finder->x);
  pmn_free(finder->products);
  pmn_free(finder->distances);
  pmn_free(finder);
}

pmn_status pmn_finder_create(pmn_device *device, const pmn_vocabulary *vocabulary, pmn_finder **finder, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_vocabulary *v = vocabulary;
  *finder = NULL;
  pmn_finder *self = pmn_calloc(1, sizeof *self);
  if (self == NULL) return pmn_err_memory(err, sizeof *self, "the words");
  PMN_TRY(pmn_words_init(&self->words, device, v->k, v->width, v->binary, err));
  PMN_TRY(words_load(v, &self->words, err));
  self->block = pmn_words_block(v->k, v->width);
  size_t block = (size_t)self->block, numbers = v->binary ? 0 : (size_t)v->width;
  size_t products = pmn_words_products(&self->words);
  self->x = pmn_alloc_aligned(block * numbers, sizeof *self->x);
  self->products = pmn_alloc_aligned(block * products, sizeof *self->products);
  self->distances = pmn_alloc(block, sizeof *self->distances);
  if (self->x == NULL || self->products == NULL || self->distances == NULL)
    PMN_TRY(pmn_err_memory(err, block * (numbers + products + 1) * sizeof *self->x, "points and their products"));
  *finder = self;
  self = NULL;
done:
  pmn_finder_destroy(self);
  return st;
}

pmn_status pmn_finder_run(
    pmn_finder *finder, const uint8_t *points, int32_t n, int32_t *words, float *distances, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_finder *self = finder;
  size_t width = (size_t)self->words.width, numbers = self->words.binary ? 0 : width;
  for (int32_t first = 0; first < n; first += self->block) {
    int32_t rows = pmn_least(self->block, n - first);
    const uint8_t *from = points + (size_t)first * width;
    pmn_bytes_widen(from, (size_t)rows * numbers, self->x);
    PMN_TRY(pmn_words_multiply(&self->words, self->x, rows, self->products, err));
    (void)pmn_words_nearest(&self->words, from, self->products, rows, words + first, self->distances);
    for (int32_t i = 0; distances != NULL && i < rows; i++)
      distances[first + i] = (float)ldexp((double)self->distances[i], -2 * self->words.fraction);
  }
done:
  return st;
}
