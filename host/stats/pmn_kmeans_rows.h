/* pmn_kmeans_rows.h - the inner loops of k-means; inside stats only. Exact, so alike on every machine. */
#ifndef PMN_KMEANS_ROWS_H
#define PMN_KMEANS_ROWS_H

#include <stddef.h>
#include <stdint.h>

/* distances [n] of points [n, width] to one point: sums of squared differences (`to` is widened: that saves a third of
 * the time); */
void pmn_bytes_distances(const uint8_t *points, size_t n, size_t width, const int16_t *to, uint32_t *distances);
/* numbers of differing bits. */
void pmn_bits_distances(const uint8_t *points, size_t n, size_t width, const uint8_t *to, uint32_t *distances);

void pmn_bytes_widen(const uint8_t *bytes, size_t count, double *numbers);
uint64_t pmn_bytes_square(const uint8_t *point, size_t width); /* sum of squares */

/* The first j with the least norms[j] - scale * products[j], which is put to *least. */
size_t pmn_scores_least(const double *products, const double *norms, size_t k, double scale, double *least);
/* The first of k words [k, width] with the fewest bits that differ from the point's, their number to *least. */
size_t pmn_bits_least(const uint8_t *words, size_t k, size_t width, const uint8_t *point, uint32_t *least);

/* sums [width] += the point; */
void pmn_bytes_add(const uint8_t *point, size_t width, uint16_t *sums);
/* sums [8 * width] += its bits, the lowest of a byte first. */
void pmn_bits_add(const uint8_t *point, size_t width, uint16_t *sums);
/* sums [count] += recent [count], which becomes 0. */
void pmn_sums_flush(uint16_t *recent, size_t count, int64_t *sums);

#endif
