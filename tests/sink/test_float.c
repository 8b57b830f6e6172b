/* test_float.c - the shortest decimals of floats, held against NumPy's and read back. */
#include "check.h"
#include "pmn_float.h"

static float float_of(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static void print(float value, char text[PMN_FLOAT_TEXT_MAX + 1]) {
  memset(text, '#', PMN_FLOAT_TEXT_MAX + 1);
  size_t length = pmn_float_print(value, text);
  assert_in_range(length, 3, 16);
  text[length] = '\0';
}

/* Digits without leading and trailing zeros, and the power of ten of the last one. */
static int split(const char *text, char digits[64]) {
  int count = 0, after_point = 0;
  bool point = false;
  if (*text == '-') text++;
  for (; *text != '\0' && *text != 'e'; text++) {
    if (*text == '.') {
      point = true;
      continue;
    }
    after_point += point;
    if (count > 0 || *text != '0') digits[count++] = *text;
  }
  int power = (*text == 'e' ? atoi(text + 1) : 0) - after_point;
  while (count > 0 && digits[count - 1] == '0') {
    count--;
    power++;
  }
  digits[count] = '\0';
  return count == 0 ? 0 : power;
}

static void known_texts(void **state) {
  (void)state;
  static const struct {
    uint32_t bits;
    const char *text;
  } cases[] = {
      {0x00000000, "0.0"},
      {0x80000000, "-0.0"},
      {0x3f800000, "1.0"},
      {0x437f0000, "255.0"},
      {0xc2c80000, "-100.0"},
      {0x3dcccccd, "0.1"},
      {0x3eaaaaab, "0.33333334"},
      {0x42f6e666, "123.45"},
      {0x4b800000, "16777216.0"},
      {0x4cbebc20, "100000000.0"},
      {0x4e6e6b28, "1e9"},
      {0x3727c5ac, "0.00001"},
      {0x3727c5ab, "9.999999e-6"},
      {0x358637bd, "1e-6"},
      {0x7f7fffff, "3.4028235e38"},
      {0xff7fffff, "-3.4028235e38"},
      {0x00800000, "1.1754944e-38"},
      {0x00000001, "1e-45"},
      {0x007fffff, "1.1754942e-38"},
      {0x33d6bf95, "1e-7"},
      {0x7f800000, "inf"},
      {0xff800000, "-inf"},
      {0x7fc00000, "nan"},
      {0xb8a7c5ac, "-0.00008"},
  };
  char text[PMN_FLOAT_TEXT_MAX + 1];
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    print(float_of(cases[i].bits), text);
    if (strcmp(text, cases[i].text) != 0) fail_msg("%08x: \"%s\", not \"%s\"", cases[i].bits, text, cases[i].text);
  }
}

/* tests/golden/sink_floats.csv: bits in hexadecimal, shortest decimal by NumPy. */
static void same_digits_as_numpy(void **state) {
  (void)state;
  FILE *file = fopen(PMN_SOURCE_DIR "/tests/golden/sink_floats.csv", "r");
  assert_non_null(file);
  char line[128], text[PMN_FLOAT_TEXT_MAX + 1], ours[64], theirs[64];
  int count = 0;
  while (fgets(line, sizeof line, file) != NULL) {
    if (line[0] == '#') continue;
    line[strcspn(line, "\n")] = '\0';
    char *comma = strchr(line, ',');
    assert_non_null(comma);
    print(float_of((uint32_t)strtoul(line, NULL, 16)), text);
    int our_power = split(text, ours), their_power = split(comma + 1, theirs);
    if (strcmp(ours, theirs) != 0 || our_power != their_power || (text[0] == '-') != (comma[1] == '-')) {
      fail_msg("%s: \"%s\"", line, text);
    }
    count++;
  }
  fclose(file);
  assert_true(count > 4000);
}

static void read_back_and_short(uint32_t bits) {
  char text[PMN_FLOAT_TEXT_MAX + 1], digits[64], shorter[64];
  float value = float_of(bits);
  print(value, text);
  float back = strtof(text, NULL), narrowed = (float)strtod(text, NULL);
  if (memcmp(&back, &value, sizeof value) != 0) fail_msg("%08x: \"%s\" reads back otherwise", bits, text);
  if (memcmp(&narrowed, &value, sizeof value) != 0) fail_msg("%08x: \"%s\" reads otherwise as double", bits, text);
  split(text, digits);
  int count = (int)strlen(digits);
  if (count > 1) {
    snprintf(shorter, sizeof shorter, "%.*e", count - 2, (double)value);
    if (strtof(shorter, NULL) == value) fail_msg("%08x: \"%s\" where \"%s\" would do", bits, text, shorter);
  }
}

static void every_exponent_reads_back(void **state) {
  (void)state;
  static const uint32_t edges[] = {0, 1, 2, 3, 0x400000, 0x3fffff, 0x555555, 0x7ffffe, 0x7fffff};
  uint32_t random = 1;
  for (uint32_t high = 0; high < 512; high++) { /* sign and exponent */
    if ((high & 0xff) == 0xff) continue;
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++) read_back_and_short(high << 23 | edges[i]);
    for (int i = 0; i < 300; i++) {
      random = random * 1664525 + 1013904223;
      read_back_and_short(high << 23 | random >> 9);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(known_texts),
      cmocka_unit_test(same_digits_as_numpy),
      cmocka_unit_test(every_exponent_reads_back),
  };
  return cmocka_run_group_tests_name("float", tests, NULL, NULL);
}
