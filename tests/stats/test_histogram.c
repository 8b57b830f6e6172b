/* test_histogram.c - histograms of words against scikit-learn's TfidfTransformer (make_kmeans.py). */
#include "check.h"

#include "pmn_kmeans.h"

#include <math.h>

enum { WORDS_MAX = 4096, PICTURES_MAX = 64, K_MAX = 64 };

/* idf: one rounding to fp32. A histogram: the rounding of idf, of the product, and of the quotient. */
static void test_as_tfidf_transformer(void **state) {
  (void)state;
  check_npy golden = check_npy_read("tests/golden/histogram.npy");
  const double *g = golden.data;
  int32_t pictures = (int32_t)g[0], k = (int32_t)g[1];
  const double *counts = g + 2, *idf_golden = counts + pictures * k, *expected = idf_golden + k;
  int64_t with[K_MAX] = {0};
  float idf[K_MAX], h[K_MAX];
  assert_true(pictures > 1 && pictures <= PICTURES_MAX && k > 1 && k <= K_MAX);
  assert_int_equal(golden.shape[0], 2 + k + 7 * pictures * k);
  for (int32_t i = 0; i < pictures * k; i++) with[i % k] += counts[i] > 0.0;
  pmn_histogram_idf(with, pictures, k, idf);
  for (int32_t w = 0; w < k; w++) assert_true(fabs((double)idf[w] - idf_golden[w]) <= 0x1p-24 * idf_golden[w]);
  for (int use_idf = 0; use_idf < 2; use_idf++) {
    for (int norm = PMN_WORD_NORM_NONE; norm <= PMN_WORD_NORM_L2; norm++) {
      for (int32_t p = 0; p < pictures; p++, expected += k) {
        int32_t words[WORDS_MAX], n = 0;
        /* Interleaved: the order of the words does not matter. */
        for (int32_t round = 0; round < 40; round++) {
          for (int32_t w = k - 1; w >= 0; w--) {
            if (round < (int32_t)counts[p * k + w]) words[n++] = w;
          }
        }
        pmn_histogram_make(words, n, k, use_idf ? idf : NULL, (pmn_word_norm)norm, h);
        for (int32_t w = 0; w < k; w++) {
          if (!(fabs((double)h[w] - expected[w]) <= 3.0 * 0x1p-24 * expected[w]))
            fail_msg(
                "idf %d, norm %d, picture %d, word %d: %.9g, not %.9g", use_idf, norm, p, w, (double)h[w], expected[w]);
        }
      }
    }
  }
  free(golden.data);
}

/* A picture without words has a histogram of zeros, not of NaN; one of a single word has 1. */
static void test_few_words(void **state) {
  (void)state;
  const int32_t word = 2;
  for (int norm = PMN_WORD_NORM_NONE; norm <= PMN_WORD_NORM_L2; norm++) {
    float h[3] = {7, 7, 7};
    pmn_histogram_make(NULL, 0, 3, NULL, (pmn_word_norm)norm, h);
    assert_true(h[0] == 0.0f && h[1] == 0.0f && h[2] == 0.0f);
    pmn_histogram_make(&word, 1, 3, NULL, (pmn_word_norm)norm, h);
    assert_true(h[0] == 0.0f && h[1] == 0.0f && h[2] == 1.0f);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_as_tfidf_transformer), cmocka_unit_test(test_few_words)};
  return check_exit(cmocka_run_group_tests_name("histograms", tests, NULL, NULL));
}
