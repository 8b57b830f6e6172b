/* pmn_png.c - PNG through libpng, with the pixels of Pillow's convert("RGB").
 *
 * What Pillow does and libpng is asked for: alpha and transparent colours are dropped without blending, 1, 2 and 4 bits
 * are spread over 0..255, sixteen bits lose their low byte; but sixteen bits of grey without alpha are clipped at 255,
 * not scaled, and palette indices past the palette are black. Gamma and colour profiles are ignored.
 *
 * Damage: whatever libpng calls an error is refused, and so is a file that ends before its IEND chunk or holds a wrong
 * check sum in a chunk that matters. Pillow forgives the last two; a file that fails its own check sum is no good row.
 */
#include "pmn_image_formats.h"

#include "pmn_mem.h"

#include <png.h>
#include <setjmp.h>
#include <string.h>

/* Deflate cannot expand by more than 1032: 258 bytes by a match code and a distance code of one bit each. */
#define DEFLATE_RATIO_MAX 1032

typedef struct reader {
  png_structp png;
  png_infop info;
  const uint8_t *bytes;
  size_t size, offset;
  jmp_buf landing;
  char message[160];
  bool out_of_memory, cut_short;
  bool grey_16; /* rows are big-endian sixteen-bit grey, not RGB */
  uint8_t *pixels;
  size_t row_size;
  png_uint_32 height;
  int passes; /* 7 if interlaced */
} reader;

/* ------------------------------------------------------------------------------------- what libpng calls back into --
 */

static void jump(png_structp png, png_const_charp message) {
  reader *r = png_get_error_ptr(png);
  strncpy(r->message, message, sizeof r->message - 1);
  longjmp(r->landing, 1);
}

static void keep_quiet(png_structp png, png_const_charp message) {
  (void)png;
  (void)message;
}

static png_voidp take_memory(png_structp png, png_alloc_size_t size) {
  reader *r = png_get_mem_ptr(png);
  void *memory = pmn_alloc(size, 1);
  if (memory == NULL) r->out_of_memory = true;
  return memory;
}

static void give_memory(png_structp png, png_voidp memory) {
  (void)png;
  pmn_free(memory);
}

static void read_bytes(png_structp png, png_bytep out, size_t count) {
  reader *r = png_get_io_ptr(png);
  if (count > r->size - r->offset) {
    r->cut_short = true;
    png_error(png, "end of file");
  }
  memcpy(out, r->bytes + r->offset, count);
  r->offset += count;
}

/* -------------------------------------------------------------------------------------------- steps that may jump --
 */

static void open_header(reader *r) {
  r->png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, r, jump, keep_quiet, r, take_memory, give_memory);
  if (r->png == NULL) return;
  r->info = png_create_info_struct(r->png);
  if (r->info == NULL) return;
  png_set_read_fn(r->png, r, read_bytes);
  png_set_user_limits(r->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX); /* the limit is on pixels, and ours */
  /* Texts and profiles are not even unpacked: nobody looks at them, and a small one may unpack to gigabytes. */
  png_set_keep_unknown_chunks(r->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
  png_read_info(r->png, r->info);
}

static void choose_layout(reader *r) {
  r->grey_16 = png_get_color_type(r->png, r->info) == PNG_COLOR_TYPE_GRAY && png_get_bit_depth(r->png, r->info) == 16;
  if (!r->grey_16) {
    png_set_strip_16(r->png);
    if (png_get_color_type(r->png, r->info) == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(r->png);
    png_set_gray_to_rgb(r->png); /* spreads 1, 2 and 4 bits as well */
    png_set_strip_alpha(r->png);
  }
  r->passes = png_set_interlace_handling(r->png);
  png_read_update_info(r->png, r->info);
  r->row_size = png_get_rowbytes(r->png, r->info);
  r->height = png_get_image_height(r->png, r->info);
}

static void decode(reader *r) {
  for (int pass = 0; pass < r->passes; pass++)
    for (png_uint_32 y = 0; y < r->height; y++) png_read_row(r->png, r->pixels + y * r->row_size, NULL);
  png_read_end(r->png, NULL);
}

/* The one landing place: every libpng call that may jump is made by a step run here, and all state is in *r. */
static bool run_step(reader *r, void (*step)(reader *)) {
  if (setjmp(r->landing) != 0) return false;
  step(r);
  return true;
}

/* ---------------------------------------------------------------------------------------------------- the decoder --
 */

static pmn_status step_run(reader *r, void (*step)(reader *), pmn_err *err) {
  bool landed = run_step(r, step);
  if (r->out_of_memory || r->png == NULL || r->info == NULL) return pmn_err_memory(err, 0, "a PNG decoder");
  if (landed) return PMN_STATUS_OK;
  if (r->cut_short) return pmn_err_set(err, PMN_STATUS_IMAGE, 0, "PNG: the file is cut short; fetch it again");
  return pmn_err_set(err, PMN_STATUS_IMAGE, 0, "PNG: the file is damaged (%s)", r->message);
}

static pmn_status admit(const reader *r, const pmn_decoder *decoder, pmn_err *err) {
  int64_t width = png_get_image_width(r->png, r->info), height = png_get_image_height(r->png, r->info);
  pmn_status st = pmn_decoder_admit(decoder, "PNG", width, height, err);
  if (st != PMN_STATUS_OK) return st;
  double bytes =
      (double)width * (double)height * png_get_channels(r->png, r->info) * png_get_bit_depth(r->png, r->info) / 8;
  if (bytes > (double)r->size * DEFLATE_RATIO_MAX)
    return pmn_err_set(err, PMN_STATUS_IMAGE, 0,
        "PNG: %lld x %lld pixels cannot be held by a file of %zu bytes; the file is damaged", (long long)width,
        (long long)height, r->size);
  return PMN_STATUS_OK;
}

static void clip_grey_16(const uint8_t *grey, size_t count, uint8_t *rgb) {
  for (size_t i = 0; i < count; i++, grey += 2, rgb += 3) {
    uint8_t value = grey[0] != 0 ? 255 : grey[1];
    rgb[0] = rgb[1] = rgb[2] = value;
  }
}

pmn_status pmn_png_decode(pmn_decoder *decoder, const uint8_t *bytes, size_t size, pmn_image *image, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  reader r = {.bytes = bytes, .size = size};
  uint8_t *rgb = NULL;

  PMN_TRY(step_run(&r, open_header, err));
  PMN_TRY(admit(&r, decoder, err));
  PMN_TRY(step_run(&r, choose_layout, err));
  PMN_TRY(pmn_decoder_reserve(
      decoder, png_get_image_width(r.png, r.info), png_get_image_height(r.png, r.info), image, &rgb, err));
  size_t pixels = (size_t)image->width * (size_t)image->height;
  if (r.row_size != (size_t)image->width * (r.grey_16 ? 2 : 3))
    PMN_FAIL(err, PMN_STATUS_IMAGE, "PNG: colour type %d at %d bits is not read",
        (int)png_get_color_type(r.png, r.info), (int)png_get_bit_depth(r.png, r.info));
  if (r.grey_16) PMN_TRY(pmn_decoder_scratch(decoder, pixels * 2, err));
  r.pixels = r.grey_16 ? decoder->scratch : rgb;
  PMN_TRY(step_run(&r, decode, err));
  if (r.grey_16) clip_grey_16(decoder->scratch, pixels, rgb);
done:
  png_destroy_read_struct(&r.png, &r.info, NULL);
  return st;
}
