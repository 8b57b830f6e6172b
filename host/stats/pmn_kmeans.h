/* pmn_kmeans.h - words: the centres of clusters of descriptors.
 *
 * Lloyd's iteration: every point goes to its nearest centre, every centre to the middle of its points. Float points:
 * Euclidean distance and mean, |x - c|^2 = |x|^2 - 2 x c + |c|^2 with the products by one GEMM on the device. Binary
 * points: Hamming distance, and the bit that most of the cluster's points have (k-majority, Grana et al., 2013); where
 * as many have the other one, the bit that the centre has already.
 *
 * The result depends on points, options and seed alone: not on threads, not on the device, not on how the points are
 * read. Coordinates of centres are multiples of 2^-15 for points of 33 to 128 bytes (2^-16 for shorter ones, and so
 * on): that makes all distances exact, and equal ones are known to be equal. pmn_vocabulary.c has the argument.
 */
#ifndef PMN_KMEANS_H
#define PMN_KMEANS_H

#include "pmn_backend.h"
#include "pmn_stats.h"

/* Points [count, width] that can be read again and again. Several threads may call `read` at once. */
typedef struct pmn_points {
  int64_t count;
  int32_t width; /* bytes of a point */
  bool binary;   /* 8 * width bits, else width numbers from 0 to 255 */
  void *arg;
  /* Points [first, first + n) to `points`, dense. */
  pmn_status (*read)(void *arg, int64_t first, int32_t n, uint8_t *points, pmn_err *err);
} pmn_points;

enum { PMN_WORDS_MAX = 65536 };

typedef enum pmn_kmeans_start { PMN_KMEANS_PLUSPLUS, PMN_KMEANS_RANDOM } pmn_kmeans_start;

typedef struct pmn_kmeans_options {
  int32_t k; /* 1 to PMN_WORDS_MAX; at most as many as there are points that differ: else PMN_STATUS_ARGUMENT */
  pmn_kmeans_start start; /* k-means++ (Arthur and Vassilvitskii, 2007) with scikit-learn's 2 + ln k trials a centre,
                             or k different points at random */
  uint64_t seed;
  int32_t iterations_max; /* 0: 100 */
  double tolerance;       /* the iteration ends when the sum of squared moves of all centres is at most this share of
                             the mean variance of the columns, 0: when none moves; binary: when no centre changes */
  int32_t mini_batch;     /* points an iteration, drawn at random (Sculley, 2010); 0, or all there are: all */
  int32_t threads;        /* 0: one */
  pmn_watch watch;
} pmn_kmeans_options;

/* Centres. Owned by the caller: pmn_vocabulary_destroy. */
typedef struct pmn_vocabulary {
  int32_t k, width;
  bool binary;
  float *centres;     /* [k, width] unless binary; from 0 to 255 */
  uint8_t *bits;      /* [k, width] if binary */
  int64_t points;     /* that it was made of */
  int32_t iterations; /* that it took */
  double inertia;     /* sum of squared distances (binary: of differing bits) of the points to their centres */
} pmn_vocabulary;

/* A cluster that loses its last point takes the point that is farthest from its own centre, of equally far ones the
 * first; several such clusters take points that differ. (With mini_batch a centre without points stays where it is.)
 * `device` multiplies; not needed, and may be NULL, for binary points. Memory: see pmn_kmeans_memory.
 * Errors: PMN_STATUS_ARGUMENT, PMN_STATUS_NO_MEMORY, those of read, watch and the device; *vocabulary is then NULL. */
PMN_MUST_USE pmn_status pmn_kmeans_run(pmn_device *device, const pmn_points *points, const pmn_kmeans_options *options,
    pmn_vocabulary **vocabulary, pmn_err *err);
void pmn_vocabulary_destroy(pmn_vocabulary *vocabulary); /* NULL is fine */
/* Bytes, at most: 4 of them a point while the start is chosen by k-means++, else none. */
double pmn_kmeans_memory(const pmn_device *device, const pmn_points *points, const pmn_kmeans_options *options);

/* A vocabulary made ready to find words with; one thread at a time. The vocabulary is borrowed for the call, the device
 * until destroy. PMN_STATUS_ARGUMENT: a centre has a number that is not from 0 to 255, or a device is needed;
 * PMN_STATUS_NO_MEMORY, PMN_STATUS_DEVICE. */
typedef struct pmn_finder pmn_finder;
PMN_MUST_USE pmn_status pmn_finder_create(
    pmn_device *device, const pmn_vocabulary *vocabulary, pmn_finder **finder, pmn_err *err);
void pmn_finder_destroy(pmn_finder *finder); /* NULL is fine */
/* The nearest word of each of n points [n, width], n at least 0; of equally near ones the first. distances: squared, or
 * bits that differ; may be NULL. The same on every device. PMN_STATUS_DEVICE. */
PMN_MUST_USE pmn_status pmn_finder_run(
    pmn_finder *finder, const uint8_t *points, int32_t n, int32_t *words, float *distances, pmn_err *err);

typedef enum pmn_word_norm { PMN_WORD_NORM_NONE, PMN_WORD_NORM_L1, PMN_WORD_NORM_L2 } pmn_word_norm;
/* Histogram of n words (each below k) of one picture, h [k]: how often each occurs; times idf [k], unless that is NULL;
 * divided by its norm, unless that is 0: a picture without words has zeros. */
void pmn_histogram_make(const int32_t *words, int32_t n, int32_t k, const float *idf, pmn_word_norm norm, float *h);
/* idf [k] = ln((1 + pictures) / (1 + pictures that have the word)) + 1, as scikit-learn's TfidfTransformer. */
void pmn_histogram_idf(const int64_t *pictures_with, int64_t pictures, int32_t k, float *idf);

#endif
