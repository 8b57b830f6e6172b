/* pmn_image.c - see pmn_image.h. Tells formats apart and owns the memory that every picture is decoded into.
 *
 * The workload is 10^4 to 10^7 small pictures, mostly of one size, so the memory is kept from picture to picture.
 * Nothing else is: what one picture held (tables, palettes) must never colour the next.
 */
#include "pmn_image_formats.h"

#include "pmn_mem.h"
#include "pmn_text.h"

#include <string.h>

pmn_status pmn_decoder_create(const pmn_image_limits *limits, pmn_decoder **decoder, pmn_err *err) {
  *decoder = pmn_calloc(1, sizeof **decoder);
  if (*decoder == NULL) return pmn_err_memory(err, sizeof **decoder, "a picture decoder");
  (*decoder)->limits = *limits;
  return PMN_STATUS_OK;
}

void pmn_decoder_destroy(pmn_decoder *decoder) {
  if (decoder == NULL) return;
  pmn_free(decoder->rgb);
  pmn_free(decoder->scratch);
  pmn_free(decoder);
}

pmn_status pmn_decoder_admit(
    const pmn_decoder *decoder, const char *format, int64_t width, int64_t height, pmn_err *err) {
  if (width < 1 || height < 1 || width > INT32_MAX || height > INT32_MAX)
    return pmn_err_set(err, PMN_STATUS_IMAGE, 0, "%s: the header claims %lld x %lld pixels; the file is damaged",
        format, (long long)width, (long long)height);
  if (height > decoder->limits.pixels_max / width)
    return pmn_err_set(err, PMN_STATUS_IMAGE, 0,
        "%s: %lld x %lld pixels are over the limit of %lld; reduce the picture", format, (long long)width,
        (long long)height, (long long)decoder->limits.pixels_max);
  return PMN_STATUS_OK;
}

/* Old contents are not kept, so there is nothing to copy. */
static pmn_status grow(uint8_t **memory, size_t *capacity, size_t size, pmn_err *err) {
  if (size <= *capacity) return PMN_STATUS_OK;
  pmn_free(*memory);
  *capacity = 0;
  *memory = pmn_alloc_aligned(size, 1);
  if (*memory == NULL) return pmn_err_memory(err, size, "a decoded picture");
  *capacity = size;
  return PMN_STATUS_OK;
}

pmn_status pmn_decoder_reserve(
    pmn_decoder *decoder, int64_t width, int64_t height, pmn_image *image, uint8_t **rgb, pmn_err *err) {
  size_t size = 0;
  if (!pmn_size_mul((size_t)width, (size_t)height, &size) || !pmn_size_mul(size, 3, &size))
    return pmn_err_memory(err, SIZE_MAX, "a decoded picture");
  pmn_status st = grow(&decoder->rgb, &decoder->rgb_size, size, err);
  if (st != PMN_STATUS_OK) return st;
  *image = (pmn_image){.width = (int32_t)width, .height = (int32_t)height, .rgb = decoder->rgb};
  *rgb = decoder->rgb;
  return PMN_STATUS_OK;
}

pmn_status pmn_decoder_scratch(pmn_decoder *decoder, size_t size, pmn_err *err) {
  return grow(&decoder->scratch, &decoder->scratch_size, size, err);
}

/* ------------------------------------------------------------------------------------------ telling formats apart --
 */

typedef struct signature {
  const char *name;
  size_t offset, size;
  const char *bytes;
  pmn_status (*decode)(pmn_decoder *, const uint8_t *, size_t, pmn_image *, pmn_err *); /* NULL: only named */
} signature;

/* The first that matches counts. Pillow wants the third byte of a JPEG to begin a marker, and so do we. */
static const signature signatures[] = {
    {"JPEG", 0, 3, "\xff\xd8\xff", pmn_jpeg_decode},
    {"PNG", 0, 8, "\x89PNG\r\n\x1a\n", pmn_png_decode},
    {"WebP", 8, 4, "WEBP", pmn_webp_decode},
    {"GIF", 0, 4, "GIF8", NULL},
    {"BMP", 0, 2, "BM", NULL},
    {"TIFF", 0, 4, "II*\0", NULL},
    {"TIFF", 0, 4, "MM\0*", NULL},
    {"AVIF", 4, 8, "ftypavif", NULL},
    {"AVIF", 4, 8, "ftypavis", NULL},
    {"HEIC", 4, 7, "ftyphei", NULL},
    {"HEIC", 4, 7, "ftyphev", NULL},
    {"HEIF", 4, 8, "ftypmif1", NULL},
    {"HEIF", 4, 8, "ftypmsf1", NULL},
    {"a film (MP4 or QuickTime)", 4, 4, "ftyp", NULL},
    {"JPEG 2000", 4, 8, "jP  \r\n\x87\n", NULL},
    {"JPEG 2000", 0, 4, "\xff\x4f\xff\x51", NULL},
    {"JPEG XL", 4, 8, "JXL \r\n\x87\n", NULL},
    {"JPEG XL", 0, 2, "\xff\x0a", NULL},
    {"Photoshop", 0, 4, "8BPS", NULL},
    {"an icon (ICO)", 0, 4, "\0\0\1\0", NULL},
    {"PDF", 0, 5, "%PDF-", NULL},
    {"ZIP", 0, 4, "PK\3\4", NULL},
    {"gzip", 0, 2, "\x1f\x8b", NULL},
};

static bool matches(const signature *s, const uint8_t *bytes, size_t size) {
  return size >= s->offset + s->size && memcmp(bytes + s->offset, s->bytes, s->size) == 0;
}

/* UTF-8 without control characters, for as far as a reader of a log would look. */
static bool is_text(const uint8_t *bytes, size_t size) {
  if (size > 256) size = 256;
  for (size_t i = 0; i < size;) {
    int length = pmn_text_utf8_length((const char *)bytes + i, size - i);
    if (length == 0) return size - i < 4 && size == 256; /* a character may be cut at the end of the look */
    if (length == 1 && (bytes[i] == 0x7f || (bytes[i] < 0x20 && memchr("\t\n\f\r", bytes[i], 4) == NULL))) return false;
    i += (size_t)length;
  }
  return true;
}

static bool is_zero(const uint8_t *bytes, size_t size) {
  for (size_t i = 0; i < size; i++)
    if (bytes[i] != 0) return false;
  return true;
}

pmn_status pmn_decoder_run(pmn_decoder *decoder, const void *bytes, size_t size, pmn_image *image, pmn_err *err) {
  const uint8_t *p = bytes;
  const char *looks = "no picture format we know";
  *image = (pmn_image){0};
  if (size == 0) return pmn_err_set(err, PMN_STATUS_IMAGE, 0, "the file is empty");
  for (size_t i = 0; i < sizeof signatures / sizeof *signatures; i++) {
    if (!matches(&signatures[i], p, size)) continue;
    if (signatures[i].decode != NULL) return signatures[i].decode(decoder, p, size, image, err);
    return pmn_err_set(err, PMN_STATUS_IMAGE, 0,
        "looks like %s; only JPEG, PNG and WebP are read: convert it or leave it out", signatures[i].name);
  }
  if (is_text(p, size))
    looks = p[0] == '<' ? "HTML, XML or SVG" : "text";
  else if (is_zero(p, size))
    looks = "nothing but zero bytes";
  return pmn_err_set(
      err, PMN_STATUS_IMAGE, 0, "looks like %s; only JPEG, PNG and WebP are read: convert it or leave it out", looks);
}
