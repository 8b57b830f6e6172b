/* pmn_random.h - a seeded stream of random numbers: the same on every machine. Not for secrets.
 *
 * xoshiro256** by Blackman and Vigna (Scrambled linear pseudorandom number generators, ACM TOMS 2021), its state filled
 * by splitmix64 (Steele, Lea and Flood, 2014) from the seed, as its authors advise. Any seed will do, 0 too.
 */
#ifndef PMN_RANDOM_H
#define PMN_RANDOM_H

#include <stdint.h>

typedef struct pmn_random {
  uint64_t state[4];
} pmn_random;

void pmn_random_init(pmn_random *self, uint64_t seed);
uint64_t pmn_random_next(pmn_random *self);
double pmn_random_uniform(pmn_random *self);             /* [0, 1), a multiple of 2^-53 */
uint64_t pmn_random_below(pmn_random *self, uint64_t n); /* [0, n), each alike; n at least 1 */

#endif
