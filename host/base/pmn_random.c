/* pmn_random.c - see pmn_random.h. */
#include "pmn_random.h"

void pmn_random_init(pmn_random *self, uint64_t seed) {
  for (int i = 0; i < 4; i++) {
    uint64_t z = seed += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    self->state[i] = z ^ (z >> 31);
  }
}

static uint64_t rotate(uint64_t x, int bits) {
  return x << bits | x >> (64 - bits);
}

uint64_t pmn_random_next(pmn_random *self) {
  uint64_t *s = self->state, result = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= t;
  s[3] = rotate(s[3], 45);
  return result;
}

double pmn_random_uniform(pmn_random *self) {
  return (double)(pmn_random_next(self) >> 11) * 0x1p-53;
}

/* Draws again what lies in the last, incomplete run of n: 2^64 mod n numbers of 2^64. */
uint64_t pmn_random_below(pmn_random *self, uint64_t n) {
  uint64_t spare = (0 - n) % n, x;
  do {
    x = pmn_random_next(self);
  } while (x < spare);
  return x % n;
}
