/* pmn_float.c - the shortest decimal that reads back to the same float.
 *
 * Why our own: a table of a million pictures is 10^9 floats; "%.9g" takes 127 ns each where this takes 43, and
 * pads them with digits that mean nothing, and C has no shortest form. The method is Schubfach (R. Giulietti, "The
 * Schubfach way to render doubles", 2020), cut down to binary32.
 *
 * A float is c * 2^q. All reals between the midpoints to its two neighbours read back to it (the midpoints themselves
 * only if c is even: ties go to even). Choose k so that this interval is at least 10^k and less than 10^(k+1) wide:
 * then it holds a multiple of 10^k, and at most one multiple of 10^(k+1), which is one digit shorter and wins. It
 * remains to scale lower midpoint, value and upper midpoint, here times 4, by 10^-k. That product is taken with a power
 * rounded up to 64 bits and rounded to odd: the last bit of the result says that something was cut off, so every
 * comparison below comes out as with exact numbers (the paper proves it for the wider double; every float has been
 * read back once, and tests/sink repeats it for a sample).
 */
#include "pmn_float.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { POWER_MIN = -31, POWER_MAX = 45 };

/* 10^k for k of [POWER_MIN, POWER_MAX] as ceil(10^k * 2^s), with s such that the highest bit is set. */
static const uint64_t powers[POWER_MAX - POWER_MIN + 1] = {0x81ceb32c4b43fcf5, 0xa2425ff75e14fc32, 0xcad2f7f5359a3b3f,
    0xfd87b5f28300ca0e, 0x9e74d1b791e07e49, 0xc612062576589ddb, 0xf79687aed3eec552, 0x9abe14cd44753b53,
    0xc16d9a0095928a28, 0xf1c90080baf72cb2, 0x971da05074da7bef, 0xbce5086492111aeb, 0xec1e4a7db69561a6,
    0x9392ee8e921d5d08, 0xb877aa3236a4b44a, 0xe69594bec44de15c, 0x901d7cf73ab0acda, 0xb424dc35095cd810,
    0xe12e13424bb40e14, 0x8cbccc096f5088cc, 0xafebff0bcb24aaff, 0xdbe6fecebdedd5bf, 0x89705f4136b4a598,
    0xabcc77118461cefd, 0xd6bf94d5e57a42bd, 0x8637bd05af6c69b6, 0xa7c5ac471b478424, 0xd1b71758e219652c,
    0x83126e978d4fdf3c, 0xa3d70a3d70a3d70b, 0xcccccccccccccccd, 0x8000000000000000, 0xa000000000000000,
    0xc800000000000000, 0xfa00000000000000, 0x9c40000000000000, 0xc350000000000000, 0xf424000000000000,
    0x9896800000000000, 0xbebc200000000000, 0xee6b280000000000, 0x9502f90000000000, 0xba43b74000000000,
    0xe8d4a51000000000, 0x9184e72a00000000, 0xb5e620f480000000, 0xe35fa931a0000000, 0x8e1bc9bf04000000,
    0xb1a2bc2ec5000000, 0xde0b6b3a76400000, 0x8ac7230489e80000, 0xad78ebc5ac620000, 0xd8d726b7177a8000,
    0x878678326eac9000, 0xa968163f0a57b400, 0xd3c21bcecceda100, 0x84595161401484a0, 0xa56fa5b99019a5c8,
    0xcecb8f27f4200f3a, 0x813f3978f8940985, 0xa18f07d736b90be6, 0xc9f2c9cd04674edf, 0xfc6f7c4045812297,
    0x9dc5ada82b70b59e, 0xc5371912364ce306, 0xf684df56c3e01bc7, 0x9a130b963a6c115d, 0xc097ce7bc90715b4,
    0xf0bdc21abb48db21, 0x96769950b50d88f5, 0xbc143fa4e250eb32, 0xeb194f8e1ae525fe, 0x92efd1b8d0cf37bf,
    0xb7abc627050305ae, 0xe596b7b0c643c71a, 0x8f7e32ce7bea5c70, 0xb35dbf821ae4f38c};

/* floor(log10(2^q)), floor(log10(3/4 * 2^q)), floor(log2(10^k)): logarithms in fixed point, exact over our ranges. */
static int32_t log10_of_power_of_2(int32_t q) {
  return (q * 1262611) >> 22;
}
static int32_t log10_of_3_4_power_of_2(int32_t q) {
  return (q * 1262611 - 524031) >> 22;
}
static int32_t log2_of_power_of_10(int32_t k) {
  return (k * 1741647) >> 19;
}

/* floor(power * x / 2^64), its last bit set if the 32 bits after it are more than the error of `power` can make. */
static uint32_t scale_to_odd(uint64_t power, uint32_t x) {
  uint64_t low = (power & UINT32_MAX) * x;
  uint64_t high = (power >> 32) * x + (low >> 32); /* product / 2^32 */
  return (uint32_t)(high >> 32) | ((uint32_t)high > 1);
}

/* value = *digits * 10^result; fraction and exponent are the fields of a finite float that is not zero. */
static int32_t shortest(uint32_t fraction, uint32_t exponent, uint32_t *digits) {
  bool normal = exponent != 0;
  uint32_t c = normal ? fraction | 1u << 23 : fraction;
  int32_t q = normal ? (int32_t)exponent - 150 : -149;
  /* At a power of two the neighbour below is only half as far away. */
  bool lower_is_closer = fraction == 0 && exponent > 1;
  int32_t k = lower_is_closer ? log10_of_3_4_power_of_2(q) : log10_of_power_of_2(q);
  int32_t shift = q + log2_of_power_of_10(-k) + 1;
  uint64_t power = powers[-k - POWER_MIN];
  uint32_t excluded = c & 1; /* of an odd c the midpoints read back to a neighbour */
  uint32_t lower = scale_to_odd(power, (4 * c - 2 + lower_is_closer) << shift) + excluded;
  uint32_t middle = scale_to_odd(power, 4 * c << shift);
  uint32_t upper = scale_to_odd(power, (4 * c + 2) << shift) - excluded;

  uint32_t floor1 = middle / 4, floor10 = floor1 / 10;
  if (floor1 >= 10) {
    bool below_inside = lower <= 40 * floor10, above_inside = 40 * floor10 + 40 <= upper;
    if (below_inside != above_inside) {
      *digits = floor10 + above_inside;
      return k + 1;
    }
  }
  bool below_inside = lower <= 4 * floor1, above_inside = 4 * floor1 + 4 <= upper;
  uint32_t half = 4 * floor1 + 2;
  bool round_up = middle > half || (middle == half && (floor1 & 1) != 0);
  *digits = floor1 + (below_inside != above_inside ? above_inside : round_up);
  return k;
}

/* Writes the decimal `digits` (`count` of them, most significant first) with a point before the digit number `point`.
 */
static char *put_digits(char *p, const char *digits, int32_t count, int32_t point) {
  for (int32_t i = 0; i < count; i++) {
    if (i == point) *p++ = '.';
    *p++ = digits[i];
  }
  return p;
}

static size_t print_decimal(uint32_t digits, int32_t exponent, char *text) {
  char reversed[10], ordered[10], *p = text;
  int32_t count = 0;
  while (digits % 10 == 0) {
    digits /= 10;
    exponent++;
  }
  for (; digits != 0; digits /= 10) reversed[count++] = (char)('0' + digits % 10);
  for (int32_t i = 0; i < count; i++) ordered[i] = reversed[count - 1 - i];

  int32_t scientific = exponent + count - 1; /* of the first digit */
  if (scientific < -5 || scientific >= 9) {
    p = put_digits(p, ordered, count, 1);
    *p++ = 'e';
    if (scientific < 0) *p++ = '-';
    uint32_t size = (uint32_t)(scientific < 0 ? -scientific : scientific);
    if (size >= 10) *p++ = (char)('0' + size / 10);
    *p++ = (char)('0' + size % 10);
  } else if (scientific < 0) {
    *p++ = '0';
    *p++ = '.';
    for (int32_t i = -1; i > scientific; i--) *p++ = '0';
    p = put_digits(p, ordered, count, count);
  } else {
    p = put_digits(p, ordered, count, scientific + 1);
    if (count <= scientific + 1) {
      for (int32_t i = count; i <= scientific; i++) *p++ = '0';
      *p++ = '.';
      *p++ = '0';
    }
  }
  return (size_t)(p - text);
}

size_t pmn_float_print(float value, char text[PMN_FLOAT_TEXT_MAX]) {
  uint32_t bits, digits;
  memcpy(&bits, &value, sizeof bits);
  uint32_t fraction = bits & 0x7fffff, exponent = bits >> 23 & 0xff;
  if (exponent == 0xff && fraction != 0) {
    memcpy(text, "nan", 3);
    return 3;
  }
  size_t sign = bits >> 31;
  text[0] = '-'; /* overwritten when there is no sign */
  text += sign;
  if (exponent == 0xff || (fraction | exponent) == 0) {
    memcpy(text, exponent == 0xff ? "inf" : "0.0", 3);
    return sign + 3;
  }
  int32_t power = shortest(fraction, exponent, &digits);
  return sign + print_decimal(digits, power, text);
}
