/* pmn_image.h - from the bytes of a picture to RGB pixels, as Pillow gives them.
 *
 * The format is told by the first bytes, never by a name. JPEG through libjpeg-turbo (accurate integer DCT, fancy
 * upsampling), PNG through libpng, WebP through libwebp. Grey, palette, CMYK and alpha become RGB by the rule of
 * Pillow's Image.open(f).convert("RGB"). EXIF orientation is not applied, as Pillow and Keras do not apply it.
 */
#ifndef PMN_IMAGE_H
#define PMN_IMAGE_H

#include "pmn_err.h"
#include "pmn_resample_rules.h"

/* Pixels of one picture. */
typedef struct pmn_image {
  int32_t width, height;
  const uint8_t *rgb; /* [height, width, 3], dense */
} pmn_image;

/* Looked at before memory is taken. */
typedef struct pmn_image_limits {
  int64_t pixels_max; /* width * height */
} pmn_image_limits;
#define PMN_IMAGE_LIMITS_DEFAULT                                                                                       \
  { .pixels_max = 100 * 1000 * 1000 }

typedef struct pmn_decoder pmn_decoder; /* reused from picture to picture; one thread at a time */

PMN_MUST_USE pmn_status pmn_decoder_create(const pmn_image_limits *limits, pmn_decoder **decoder, pmn_err *err);
void pmn_decoder_destroy(pmn_decoder *decoder);
/* Decodes one whole picture. On success *image is a view into the decoder, valid until its next call.
 * PMN_STATUS_IMAGE: not a picture we read (the message says what it looks like), damaged, cut short, or over a limit;
 * PMN_STATUS_NO_MEMORY. The message does not name the file: the caller knows it. */
PMN_MUST_USE pmn_status pmn_decoder_run(
    pmn_decoder *decoder, const void *bytes, size_t size, pmn_image *image, pmn_err *err);

/* Grey of RGB, equal to Pillow 13's Image.convert("L") of an RGB picture to the bit: rgb [pixels, 3] -> gray [pixels].
 */
void pmn_gray_convert(const uint8_t *rgb, size_t pixels, uint8_t *gray);

typedef struct pmn_resampler pmn_resampler; /* keeps its coefficients for the last sizes; one thread at a time */

/* Any size from 1x1 up. */
PMN_MUST_USE pmn_status pmn_resampler_create(
    pmn_filter filter, int32_t width, int32_t height, pmn_resampler **resampler, pmn_err *err);
void pmn_resampler_destroy(pmn_resampler *resampler);
/* Writes [height, width, 3] bytes to `out`, which must not overlap the picture. PMN_STATUS_NO_MEMORY. */
PMN_MUST_USE pmn_status pmn_resampler_run(pmn_resampler *resampler, const pmn_image *image, uint8_t *out, pmn_err *err);

#endif
