/* pmn_kmeans_rows.c - see pmn_kmeans_rows.h.
 *
 * Workload: a point of 128 or 32 bytes against 10 to 1000 words. Loops over bytes that lie side by side, compiled twice
 * on x86-64, where the baseline counts no bits, and chosen at load time. Beside the GEMM, which takes 256 operations
 * for each of its numbers, the search for the least takes three.
 */
#include "pmn_kmeans_rows.h"

#include "pmn_per_machine.h"

#include <string.h>

enum { LANES = 16, BITS = 8, WORD = sizeof(uint64_t) };

/* At most 65,536 * 255^2 < 2^32: sums wrap nowhere. */
PMN_PER_MACHINE void pmn_bytes_distances(
    const uint8_t *points, size_t n, size_t width, const int16_t *to, uint32_t *distances) {
  for (size_t i = 0; i < n; i++) {
    const uint8_t *point = points + i * width;
    uint32_t sum = 0;
    for (size_t j = 0; j < width; j++) {
      int16_t difference = (int16_t)(point[j] - to[j]);
      sum += (uint32_t)(difference * difference);
    }
    distances[i] = sum;
  }
}

PMN_INLINE uint32_t bits_distance(const uint8_t *a, const uint8_t *b, size_t width) {
  uint32_t bits = 0;
  size_t j = 0;
  for (; j + WORD <= width; j += WORD) {
    uint64_t x, y;
    memcpy(&x, a + j, WORD);
    memcpy(&y, b + j, WORD);
    bits += (uint32_t)__builtin_popcountll(x ^ y);
  }
  for (; j < width; j++) bits += (uint32_t)__builtin_popcount((unsigned)(a[j] ^ b[j]));
  return bits;
}

PMN_PER_MACHINE void pmn_bits_distances(
    const uint8_t *points, size_t n, size_t width, const uint8_t *to, uint32_t *distances) {
  for (size_t i = 0; i < n; i++) distances[i] = bits_distance(points + i * width, to, width);
}

PMN_PER_MACHINE size_t pmn_bits_least(
    const uint8_t *words, size_t k, size_t width, const uint8_t *point, uint32_t *least) {
  size_t best = 0;
  uint32_t fewest = UINT32_MAX;
  for (size_t c = 0; c < k; c++) {
    uint32_t bits = bits_distance(words + c * width, point, width);
    if (bits >= fewest) continue;
    fewest = bits;
    best = c;
  }
  *least = fewest;
  return best;
}

PMN_PER_MACHINE void pmn_bytes_widen(const uint8_t *bytes, size_t count, double *numbers) {
  for (size_t i = 0; i < count; i++) numbers[i] = bytes[i];
}

PMN_PER_MACHINE uint64_t pmn_bytes_square(const uint8_t *point, size_t width) {
  uint32_t sum = 0; /* as in pmn_bytes_distances */
  for (size_t j = 0; j < width; j++) sum += (uint32_t)point[j] * point[j];
  return sum;
}

/* The value first, without regard to its place; then its place. */
PMN_PER_MACHINE size_t pmn_scores_least(
    const double *products, const double *norms, size_t k, double scale, double *least) {
  double lanes[LANES], best = norms[0] - scale * products[0];
  size_t j = 0;
  for (int lane = 0; lane < LANES; lane++) lanes[lane] = best;
  for (; j + LANES <= k; j += LANES) {
    for (size_t lane = 0; lane < LANES; lane++) {
      double score = norms[j + lane] - scale * products[j + lane];
      lanes[lane] = score < lanes[lane] ? score : lanes[lane];
    }
  }
  for (int lane = 0; lane < LANES; lane++) best = lanes[lane] < best ? lanes[lane] : best;
  for (; j < k; j++) {
    double score = norms[j] - scale * products[j];
    best = score < best ? score : best;
  }
  *least = best;
  for (j = 0; norms[j] - scale * products[j] != best;) j++;
  return j;
}

PMN_PER_MACHINE void pmn_bytes_add(const uint8_t *restrict point, size_t width, uint16_t *restrict sums) {
  for (size_t j = 0; j < width; j++) sums[j] = (uint16_t)(sums[j] + point[j]);
}

PMN_PER_MACHINE void pmn_bits_add(const uint8_t *restrict point, size_t width, uint16_t *restrict sums) {
  for (size_t j = 0; j < width; j++) {
    for (int bit = 0; bit < BITS; bit++) {
      sums[BITS * j + (size_t)bit] = (uint16_t)(sums[BITS * j + (size_t)bit] + (point[j] >> bit & 1));
    }
  }
}

PMN_PER_MACHINE void pmn_sums_flush(uint16_t *restrict recent, size_t count, int64_t *restrict sums) {
  for (size_t j = 0; j < count; j++) sums[j] += recent[j];
  memset(recent, 0, count * sizeof *recent);
}
