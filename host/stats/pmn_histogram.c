/* pmn_histogram.c - pictures as histograms of their words: see pmn_kmeans.h.
 *
 *   h[w] = tf[w] idf[w] / |tf idf|,  idf[w] = ln((1 + n) / (1 + n_w)) + 1
 *
 * which is scikit-learn's TfidfTransformer, whose term frequency is a plain count and whose idf is smoothed so that no
 * word divides by 0. (Sivic and Zisserman, Video Google, 2003, take tf / total and ln(n / n_w).)
 */
#include "pmn_kmeans.h"

#include <math.h>

void pmn_histogram_make(const int32_t *words, int32_t n, int32_t k, const float *idf, pmn_word_norm norm, float *h) {
  double sum = 0.0;
  for (int32_t w = 0; w < k; w++) h[w] = 0.0f;
  for (int32_t i = 0; i < n; i++) h[words[i]] += 1.0f;
  for (int32_t w = 0; w < k; w++) {
    double value = (double)h[w] * (idf == NULL ? 1.0 : (double)idf[w]);
    h[w] = (float)value;
    sum += norm == PMN_WORD_NORM_L2 ? value * value : fabs(value);
  }
  if (norm == PMN_WORD_NORM_NONE || sum == 0.0) return;
  double length = norm == PMN_WORD_NORM_L2 ? sqrt(sum) : sum;
  for (int32_t w = 0; w < k; w++) h[w] = (float)((double)h[w] / length);
}

void pmn_histogram_idf(const int64_t *pictures_with, int64_t pictures, int32_t k, float *idf) {
  for (int32_t w = 0; w < k; w++)
    idf[w] = (float)(log((1.0 + (double)pictures) / (1.0 + (double)pictures_with[w])) + 1.0);
}
