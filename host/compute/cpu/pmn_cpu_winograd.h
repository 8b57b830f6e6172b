/* pmn_cpu_winograd.h - 3x3 convolutions of stride 1 with fewer multiplications (Winograd, Arithmetic Complexity of
 * Computations, 1980; Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2016).
 *
 * F(m x m, 3x3): a tile of m x m outputs comes from (m + 2) x (m + 2) inputs d and the taps g of every pair of
 * channels:
 *
 *   y = A' [ sum over in channels of (G g G') * (B' d B) ] A
 *
 * element by element; so of each tile and position there is one product where the direct convolution has nine for each
 * output: 36 for 144 of 4x4 outputs, 16 for 36 of 2x2.
 *
 *   m = 4: | 4  0 -5  0  1  0 |        |  1/4    0    0  |        | 1  1  1  1  1  0 |
 *          | 0 -4 -4  1  1  0 |        | -1/6 -1/6 -1/6  |   A' = | 0  1 -1  2 -2  0 |
 *     B' = | 0  4 -4 -1  1  0 |    G = | -1/6  1/6 -1/6  |        | 0  1  1  4  4  0 |
 *          | 0 -2 -1  2  1  0 |        | 1/24 1/12  1/6  |        | 0  1 -1  8 -8  1 |
 *          | 0  2 -1 -2  1  0 |        | 1/24 -1/12 1/6  |
 *          | 0  4  0 -5  0  1 |        |   0    0    1   |
 *
 *   m = 2: | 1  0 -1  0 |        |  1    0    0  |
 *     B' = | 0  1  1  0 |    G = | 1/2  1/2  1/2 |   A' = | 1  1  1  0 |
 *          | 0 -1  1  0 |        | 1/2 -1/2  1/2 |        | 0  1 -1 -1 |
 *          | 0  1  0 -1 |        |  0    0    1  |
 *
 * At each position the sum over channels is a matrix product, [tiles, in] [in, out]. With m = 4 the weights are four
 * times the taps; a picture of few tiles uses each of them too seldom for its way from memory: it has tiles of 2 x 2.
 *
 * Error. Every step is a sum of products, so an output is off by at most (in + 24) eps M, where M is the formula over
 * absolute values, |A'| [ sum of |G| |g| |G'| * |B'| |d| |B| ] |A|: in channels, four roundings in each of the four
 * passes of the transforms, and those of G g G', which is computed in fp64 and rounded once (Higham, Accuracy and
 * Stability of Numerical Algorithms, section 3.1). The tests hold every output to it, and the mean of errors to a small
 * part of it. Of random numbers M is 77 times the direct convolution's sum over absolute values for m = 4, 7 times for
 * m = 2; the error that is seen is three to five times the direct one's for m = 4, and a little below it for m = 2.
 */
#ifndef PMN_CPU_WINOGRAD_H
#define PMN_CPU_WINOGRAD_H

enum { PMN_WINOGRAD_SIZE_MAX = 4 };

#endif
