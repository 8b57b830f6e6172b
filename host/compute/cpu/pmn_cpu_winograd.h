/* pmn_cpu_winograd.h - 3x3 convolutions of stride 1 with a quarter of the multiplications (Winograd, Arithmetic
 * Complexity of Computations, 1980; Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2016).
 *
 * F(4x4, 3x3): a tile of 4x4 outputs comes from 6x6 inputs d and the taps g of every pair of channels as
 *
 *   y = A' [ sum over in channels of (G g G') * (B' d B) ] A        * element by element: 36 products, not 144
 *
 *        | 4  0 -5  0  1  0 |        |  1/4    0    0  |        | 1  1  1  1  1  0 |
 *        | 0 -4 -4  1  1  0 |        | -1/6 -1/6 -1/6  |   A' = | 0  1 -1  2 -2  0 |
 *   B' = | 0  4 -4 -1  1  0 |    G = | -1/6  1/6 -1/6  |        | 0  1  1  4  4  0 |
 *        | 0 -2 -1  2  1  0 |        | 1/24 1/12  1/6  |        | 0  1 -1  8 -8  1 |
 *        | 0  2 -1 -2  1  0 |        | 1/24 -1/12 1/6  |
 *        | 0  4  0 -5  0  1 |        |   0    0    1   |
 *
 * At each of the 36 positions the sum over channels is a matrix product, [tiles, in] [in, out].
 *
 * Error. Every step is a sum of products, so an output is off by at most (in + 24) eps M, where M is the formula over
 * absolute values, |A'| [ sum of |G| |g| |G'| * |B'| |d| |B| ] |A|: in channels, four roundings in each of the four
 * passes of the transforms, and those of G g G', which is computed in fp64 and rounded once (Higham, Accuracy and
 * Stability of Numerical Algorithms, section 3.1). The tests hold every output to it. Of random numbers M is fifty times
 * the direct convolution's sum over absolute values, and the error that is seen four to five times the direct one's.
 */
#ifndef PMN_CPU_WINOGRAD_H
#define PMN_CPU_WINOGRAD_H

enum { PMN_WINOGRAD_TILE = 4, PMN_WINOGRAD_SIDE = 6, PMN_WINOGRAD_POSITIONS = 36 };

#endif
