/* pmn_webp.c - WebP through libwebp: lossy, lossless, and the first frame of an animation.
 *
 * Alpha is dropped without blending, as Pillow's convert("RGB") drops it. Of an animation Pillow shows the first frame
 * on a black transparent canvas, unblended, and so do we: its chunk is found here by hand, so that libwebpdemux is not
 * needed.
 *
 *   RIFF size WEBP  VP8X size flags canvas  [ANIM ...]  ANMF size  x y w h duration flags  [ALPH ...]  VP8 or VP8L ...
 *                                                                  `---- 16 bytes ----'   `- a frame's bitstream -'
 *
 * A format of arithmetic codes: a picture of one colour takes a few bytes whatever its size, so a tiny file is no sign
 * of damage and only the limit on pixels holds. A side is at most 16,384 for lack of bits.
 */
#include "pmn_image_formats.h"

#include <string.h>

#include <webp/decode.h>

/* The part of the file that libwebp decodes, and where its pixels stand on the canvas. */
typedef struct frame {
  const uint8_t *bytes;
  size_t size;
  int32_t x, y, width, height;
} frame;

static uint32_t little_24(const uint8_t *p) {
  return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16;
}
static uint32_t little_32(const uint8_t *p) {
  return little_24(p) | (uint32_t)p[3] << 24;
}

static pmn_status fail(VP8StatusCode code, pmn_err *err) {
  switch (code) {
  case VP8_STATUS_OUT_OF_MEMORY:
    return pmn_err_memory(err, 0, "a WebP decoder");
  case VP8_STATUS_NOT_ENOUGH_DATA:
  case VP8_STATUS_SUSPENDED:
    return pmn_err_set(err, PMN_STATUS_IMAGE, (int32_t)code, "WebP: the file is cut short; fetch it again");
  default:
    return pmn_err_set(err, PMN_STATUS_IMAGE, (int32_t)code, "WebP: the file is damaged");
  }
}

/* Finds the first ANMF chunk between `at` and the end; every length is held against what is left. */
static pmn_status find_first_frame(const uint8_t *bytes, size_t size, frame *first, pmn_err *err) {
  size_t at = 12;
  while (size - at >= 8) {
    const uint8_t *chunk = bytes + at;
    size_t length = little_32(chunk + 4), padded = length + (length & 1);
    if (padded > size - at - 8) return fail(VP8_STATUS_NOT_ENOUGH_DATA, err);
    if (memcmp(chunk, "ANMF", 4) == 0 && length > 16) {
      *first = (frame){.bytes = chunk + 24,
          .size = length - 16,
          .x = (int32_t)little_24(chunk + 8) * 2,
          .y = (int32_t)little_24(chunk + 11) * 2,
          .width = (int32_t)little_24(chunk + 14) + 1,
          .height = (int32_t)little_24(chunk + 17) + 1};
      return PMN_STATUS_OK;
    }
    at += 8 + padded;
  }
  return fail(VP8_STATUS_BITSTREAM_ERROR, err);
}

static pmn_status place_frame(
    const WebPBitstreamFeatures *canvas, const uint8_t *bytes, size_t size, frame *picture, pmn_err *err) {
  *picture = (frame){.bytes = bytes, .size = size, .width = canvas->width, .height = canvas->height};
  if (!canvas->has_animation) return PMN_STATUS_OK;
  if ((size_t)little_32(bytes + 4) + 8 > size) return fail(VP8_STATUS_NOT_ENOUGH_DATA, err);
  pmn_status st = find_first_frame(bytes, size, picture, err);
  if (st != PMN_STATUS_OK) return st;
  WebPBitstreamFeatures own;
  VP8StatusCode code = WebPGetFeatures(picture->bytes, picture->size, &own);
  if (code != VP8_STATUS_OK) return fail(code, err);
  if (own.width != picture->width || own.height != picture->height || picture->x > canvas->width - own.width ||
      picture->y > canvas->height - own.height)
    return fail(VP8_STATUS_BITSTREAM_ERROR, err);
  return PMN_STATUS_OK;
}

pmn_status pmn_webp_decode(pmn_decoder *decoder, const uint8_t *bytes, size_t size, pmn_image *image, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  WebPBitstreamFeatures canvas;
  WebPDecoderConfig config;
  frame picture;
  uint8_t *rgb = NULL;
  VP8StatusCode code = WebPGetFeatures(bytes, size, &canvas);
  if (code != VP8_STATUS_OK) return fail(code, err);
  PMN_TRY(pmn_decoder_admit(decoder, "WebP", canvas.width, canvas.height, err));
  PMN_TRY(place_frame(&canvas, bytes, size, &picture, err));
  PMN_TRY(pmn_decoder_reserve(decoder, canvas.width, canvas.height, image, &rgb, err));
  size_t stride = (size_t)canvas.width * 3, total = stride * (size_t)canvas.height;
  size_t start = (size_t)picture.y * stride + (size_t)picture.x * 3;
  if (picture.width < canvas.width || picture.height < canvas.height) memset(rgb, 0, total);

  if (!WebPInitDecoderConfig(&config)) PMN_FAIL(err, PMN_STATUS_IMAGE, "WebP: libwebp is of another version");
  if (stride > INT32_MAX) PMN_FAIL(err, PMN_STATUS_IMAGE, "WebP: the file is damaged");
  config.output.colorspace = MODE_RGB;
  config.output.is_external_memory = 1;
  config.output.u.RGBA = (WebPRGBABuffer){.rgba = rgb + start, .stride = (int)stride, .size = total - start};
  code = WebPDecode(picture.bytes, picture.size, &config);
  WebPFreeDecBuffer(&config.output);
  if (code != VP8_STATUS_OK) st = fail(code, err);
done:
  return st;
}
