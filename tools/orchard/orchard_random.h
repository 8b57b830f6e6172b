/* Random numbers of the orchard: every draw is a pure function of (seed, kind, stream), so a picture never depends on
 * which pictures were drawn before it. The mixer is the finaliser of SplitMix64 (Steele, Lea, Flood 2014). */
#ifndef ORCHARD_RANDOM_H
#define ORCHARD_RANDOM_H

#include <stdint.h>

typedef struct orchard_random {
  uint64_t state;
} orchard_random;

static inline uint64_t orchard_mix(uint64_t x) {
  x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
  x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
  return x ^ (x >> 31);
}

static inline orchard_random orchard_random_of(uint64_t seed, uint32_t kind, uint32_t stream) {
  const uint64_t place = ((uint64_t)kind << 32) | stream;
  return (orchard_random){orchard_mix(orchard_mix(seed + UINT64_C(0x9E3779B97F4A7C15)) ^ place)};
}

static inline uint64_t orchard_random_next(orchard_random *random) {
  random->state += UINT64_C(0x9E3779B97F4A7C15);
  return orchard_mix(random->state);
}

/* Uniform in [0, 1). 24 bits, so that the conversion to float is exact. */
static inline float orchard_random_unit(orchard_random *random) {
  return (float)(orchard_random_next(random) >> 40) * (1.0f / 16777216.0f);
}

/* Uniform in [low, high). */
static inline float orchard_random_between(orchard_random *random, float low, float high) {
  return low + (high - low) * orchard_random_unit(random);
}

/* Uniform in [0, n), n > 0. The bias of the remainder is below 2^-32 for the small n used here. */
static inline uint32_t orchard_random_below(orchard_random *random, uint32_t n) {
  return (uint32_t)(orchard_random_next(random) % n);
}

#endif
