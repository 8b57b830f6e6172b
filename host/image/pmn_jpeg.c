/* pmn_jpeg.c - JPEG through libjpeg-turbo, with Pillow's verdict on damaged files.
 *
 * Why the libjpeg face and not TurboJPEG's: TurboJPEG calls an error that follows a warning a warning, tells only the
 * first warning (so that a missing end hides behind it), refuses sampling factors that Pillow reads, and a reused
 * handle keeps the tables of the picture before, so that a file without tables is decoded with its neighbour's. Here
 * every picture has a decompressor of its own, which costs about a microsecond.
 *
 * The rule for damaged files is Pillow's: the bytes are given as a source that may run dry, and
 *   - running dry before the last row is out means cut short: refused;
 *   - an error of libjpeg means damaged: refused, also between the last row and the end marker;
 *   - whatever libjpeg only warns of (a bad Huffman code, bytes between segments, a scan that ends early in a marker)
 * is accepted with the pixels it made of it; so is an end marker missing after the last row.
 *
 * Invariants: accurate integer DCT, smooth upsampling and block smoothing on, as Pillow has them. Adobe's CMYK is
 * inverted, and Pillow takes all CMYK for Adobe's.
 */
#include "pmn_image_formats.h"

#include <setjmp.h>
#include <stdio.h>

#include <jpeglib.h>

#include <jerror.h>

/* A block of 8x8 pixels costs at least the one bit of its DC code, so no Huffman-coded JPEG holds more than 512 pixels
 * a byte (a grey one of a single colour: 252). Arithmetic coding could, but hardly anybody writes it. Small pictures
 * are let pass, since their memory is no danger and damaged ones may still be what Pillow accepts. */
#define PIXELS_PER_BYTE_MAX 1024
#define PIXELS_ALWAYS_TRIED (4 * 1024 * 1024)

/* A progressive file whose every scan goes over the whole picture again could keep a core busy for hours. Encoders
 * write about ten scans, and no script has use for more than a few hundred. */
#define SCANS_MAX 500

typedef struct reader {
  struct jpeg_decompress_struct info;
  struct jpeg_error_mgr errors;
  struct jpeg_source_mgr source;
  struct jpeg_progress_mgr progress;
  jmp_buf landing;
  bool dry;            /* the source ran dry: the file is cut short */
  bool too_many_scans; /* stopped by watch_scans */
  uint8_t *rgb, *scratch;
} reader;

/* ------------------------------------------------------------------------------------ what libjpeg calls back into --
 */

static void keep_quiet(j_common_ptr info) {
  (void)info;
}

static void keep_quiet_level(j_common_ptr info, int level) {
  (void)info;
  (void)level;
}

static void jump(j_common_ptr info) {
  reader *r = (reader *)info;
  longjmp(r->landing, 1);
}

static void watch_scans(j_common_ptr info) {
  reader *r = (reader *)info;
  if (r->info.input_scan_number <= SCANS_MAX) return;
  r->too_many_scans = true;
  jump(info);
}

static void do_nothing(j_decompress_ptr info) {
  (void)info;
}

static boolean run_dry(j_decompress_ptr info) {
  reader *r = (reader *)info;
  r->dry = true;
  return FALSE;
}

static void skip(j_decompress_ptr info, long count) {
  struct jpeg_source_mgr *source = info->src;
  size_t step = count <= 0 ? 0 : (size_t)count;
  if (step > source->bytes_in_buffer) step = source->bytes_in_buffer;
  source->next_input_byte += step;
  source->bytes_in_buffer -= step;
}

/* -------------------------------------------------------------------------------------------- steps that may jump --
 */

static void open_header(reader *r) {
  int found;
  jpeg_create_decompress(&r->info);
  r->info.src = &r->source;
  r->info.progress = &r->progress;
  do found = jpeg_read_header(&r->info, FALSE);
  while (found == JPEG_HEADER_TABLES_ONLY);
}

/* Pillow's CMYK to RGB. The file holds 255 - ink: v is paper left by one colour, key by black, and the product is
 * rounded as c * key / 255 with c the ink. */
static void cmyk_to_rgb(const uint8_t *cmyk, size_t width, uint8_t *rgb) {
  for (size_t x = 0; x < width; x++, cmyk += 4, rgb += 3) {
    int key = cmyk[3];
    for (int c = 0; c < 3; c++) {
      int product = (255 - cmyk[c]) * key + 128;
      int value = key - ((product >> 8) + product) / 256;
      rgb[c] = (uint8_t)(value < 0 ? 0 : value);
    }
  }
}

static bool read_rows(reader *r) {
  struct jpeg_decompress_struct *info = &r->info;
  size_t width = info->output_width;
  while (info->output_scanline < info->output_height) {
    JSAMPROW rows[8];
    uint8_t *rgb = r->rgb + info->output_scanline * width * 3;
    if (info->out_color_space == JCS_CMYK) {
      rows[0] = r->scratch;
      if (jpeg_read_scanlines(info, rows, 1) != 1) return false;
      cmyk_to_rgb(r->scratch, width, rgb);
    } else {
      JDIMENSION left = info->output_height - info->output_scanline, count = left < 8 ? left : 8;
      for (JDIMENSION i = 0; i < count; i++) rows[i] = rgb + i * width * 3;
      if (jpeg_read_scanlines(info, rows, count) == 0) return false;
    }
  }
  return true;
}

static void decode(reader *r) {
  if (!jpeg_start_decompress(&r->info) || !read_rows(r)) return;
  /* All rows are out, so running dry no longer matters; an error still does. */
  r->dry = false;
  (void)jpeg_finish_decompress(&r->info);
  r->dry = false;
}

/* The one landing place: every libjpeg call that may jump is made by a step run here. Nothing is allocated outside
 * libjpeg while a step runs, and all state is in *r. */
static bool run_step(reader *r, void (*step)(reader *)) {
  if (setjmp(r->landing) != 0) return false;
  step(r);
  return true;
}

/* ---------------------------------------------------------------------------------------------------- the decoder --
 */

static pmn_status step_run(reader *r, void (*step)(reader *), pmn_err *err) {
  char text[JMSG_LENGTH_MAX];
  bool landed = run_step(r, step);
  /* An arithmetic decoder cannot wait for bytes: it jumps where the Huffman decoder returns. */
  if (landed ? r->dry : r->errors.msg_code == JERR_CANT_SUSPEND)
    return pmn_err_set(err, PMN_STATUS_IMAGE, 0, "JPEG: the file is cut short; fetch it again");
  if (landed) return PMN_STATUS_OK;
  if (r->too_many_scans)
    return pmn_err_set(err, PMN_STATUS_IMAGE, 0, "JPEG: more than %d scans; save the picture anew", SCANS_MAX);
  r->errors.format_message((j_common_ptr)&r->info, text);
  if (r->errors.msg_code == JERR_OUT_OF_MEMORY)
    return pmn_err_set(err, PMN_STATUS_NO_MEMORY, r->errors.msg_code, "JPEG: %s", text);
  return pmn_err_set(err, PMN_STATUS_IMAGE, r->errors.msg_code, "JPEG: the file is damaged (%s)", text);
}

static pmn_status admit(const reader *r, const pmn_decoder *decoder, size_t size, pmn_err *err) {
  int64_t width = r->info.image_width, height = r->info.image_height;
  pmn_status st = pmn_decoder_admit(decoder, "JPEG", width, height, err);
  if (st != PMN_STATUS_OK) return st;
  int components = r->info.num_components;
  if (components != 1 && components != 3 && components != 4)
    return pmn_err_set(
        err, PMN_STATUS_IMAGE, 0, "JPEG: %d colour components; only grey, RGB and CMYK are read", components);
  if (width * height > PIXELS_ALWAYS_TRIED && (uint64_t)(width * height) / PIXELS_PER_BYTE_MAX > size)
    return pmn_err_set(err, PMN_STATUS_IMAGE, 0,
        "JPEG: %lld x %lld pixels cannot be held by a file of %zu bytes; the file is damaged", (long long)width,
        (long long)height, size);
  return PMN_STATUS_OK;
}

pmn_status pmn_jpeg_decode(pmn_decoder *decoder, const uint8_t *bytes, size_t size, pmn_image *image, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  reader r = {
      .source = {.next_input_byte = bytes,
          .bytes_in_buffer = size,
          .init_source = do_nothing,
          .fill_input_buffer = run_dry,
          .skip_input_data = skip,
          .resync_to_restart = jpeg_resync_to_restart,
          .term_source = do_nothing},
      .progress = {.progress_monitor = watch_scans},
  };
  r.info.err = jpeg_std_error(&r.errors);
  r.errors.error_exit = jump;
  r.errors.output_message = keep_quiet;
  r.errors.emit_message = keep_quiet_level;

  PMN_TRY(step_run(&r, open_header, err));
  PMN_TRY(admit(&r, decoder, size, err));
  r.info.out_color_space = r.info.num_components == 4 ? JCS_CMYK : JCS_RGB;
  r.info.dct_method = JDCT_ISLOW;
  r.info.do_fancy_upsampling = TRUE;
  PMN_TRY(pmn_decoder_reserve(decoder, r.info.image_width, r.info.image_height, image, &r.rgb, err));
  if (r.info.num_components == 4) PMN_TRY(pmn_decoder_scratch(decoder, (size_t)r.info.image_width * 4, err));
  r.scratch = decoder->scratch;
  PMN_TRY(step_run(&r, decode, err));
done:
  jpeg_destroy_decompress(&r.info);
  return st;
}
