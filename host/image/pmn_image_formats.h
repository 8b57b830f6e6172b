/* pmn_image_formats.h - what the decoders of the single formats share; private to the room.
 *
 * Each format reads its header, asks pmn_decoder_admit whether a picture of that size may be decoded at all, takes room
 * for the pixels with pmn_decoder_reserve, and only then decodes. A picture that claims more pixels than its bytes can
 * possibly hold is refused before memory is taken, by a rule that belongs to the format.
 */
#ifndef PMN_IMAGE_FORMATS_H
#define PMN_IMAGE_FORMATS_H

#include "pmn_image.h"

struct pmn_decoder {
  pmn_image_limits limits;
  uint8_t *rgb; /* pixels of the last picture; grows, never shrinks */
  size_t rgb_size;
  uint8_t *scratch; /* pixels in the format's own layout, where that is not RGB */
  size_t scratch_size;
};

/* PMN_STATUS_IMAGE if a side is not positive or the picture has more pixels than the limit. Takes no memory. */
PMN_MUST_USE pmn_status pmn_decoder_admit(
    const pmn_decoder *decoder, const char *format, int64_t width, int64_t height, pmn_err *err);
/* Room for an admitted picture; *image is a view of it, and *rgb the same bytes to write to. */
PMN_MUST_USE pmn_status pmn_decoder_reserve(
    pmn_decoder *decoder, int64_t width, int64_t height, pmn_image *image, uint8_t **rgb, pmn_err *err);
PMN_MUST_USE pmn_status pmn_decoder_scratch(pmn_decoder *decoder, size_t size, pmn_err *err);

/* One whole picture of that format; arguments as pmn_decoder_run. */
PMN_MUST_USE pmn_status pmn_jpeg_decode(
    pmn_decoder *decoder, const uint8_t *bytes, size_t size, pmn_image *image, pmn_err *err);
PMN_MUST_USE pmn_status pmn_png_decode(
    pmn_decoder *decoder, const uint8_t *bytes, size_t size, pmn_image *image, pmn_err *err);
PMN_MUST_USE pmn_status pmn_webp_decode(
    pmn_decoder *decoder, const uint8_t *bytes, size_t size, pmn_image *image, pmn_err *err);

#endif
