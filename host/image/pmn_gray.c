/* pmn_gray.c - see pmn_image.h. */
#include "pmn_image.h"

/* Pillow's: the weights of ITU-R 601 in units of 2^-16, rounded. */
void pmn_gray_convert(const uint8_t *rgb, size_t pixels, uint8_t *gray) {
  for (size_t i = 0; i < pixels; i++) {
    uint32_t sum = 19595U * rgb[3 * i] + 38470U * rgb[3 * i + 1] + 7471U * rgb[3 * i + 2] + 0x8000U;
    gray[i] = (uint8_t)(sum >> 16);
  }
}
