/* pmn_parquet.c - rows as Parquet: PAR1, row groups, footer, its length, PAR1.
 *
 *   row group = path pages, label pages, keypoints pages (if any), features pages;   page = header, then body
 * compressed by zstd body of a path or label page    = (uint32 length, bytes) of each value body of a keypoints page =
 * int32 values body of a features page         = repetition levels, definition levels, floats, or bytes as int32
 *
 * A page holds about 1 MiB and a row group at most 64 MiB of values (or one row that is longer). Compressed pages wait
 * until their row group is full, those of the features on the disk, so that memory does not grow with the group. They
 * cannot go to the file earlier: readers that split files (Spark's) find a row group by the offset of its first column
 * plus half its size, and would lose one whose first column, the path, lay behind the features.
 *
 * Pages of version 1, plain values and runs are what every reader knows. Level 1 of zstd: on features of two networks
 * the levels 2 to 6 made files 0.4 to 3 % smaller and took up to six times as long; paths and labels shrink well at
 * any.
 */
#include "pmn_mem.h"
#include "pmn_parquet_meta.h"
#include "pmn_scratch.h"
#include "pmn_sink_format.h"
#include "pmn_text.h"
#include "pmn_thrift.h"

#include <string.h>
#include <zstd.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers go to the file as they lie in memory");

enum { PAGE_SIZE = 1 << 20, ROW_GROUP_SIZE = 64 << 20, ZSTD_LEVEL = 1 };
enum { VALUE_SIZE = 4 };               /* bytes of a feature in a page, be it float or int32 */
enum { STATISTICS_MAX = 1024 };        /* longer values make min and max a burden to every reader: none are told then */
#define BUFFER_MAX ((size_t)256 << 20) /* the longest row, its bound when compressed, and room */
#define FOOTER_MAX ((size_t)INT32_MAX)

typedef struct column {
  pmn_buf page;       /* values of the page being filled */
  int32_t page_count; /* rows of it */
  pmn_buf pages;      /* of this row group, compressed, with their headers; of the features, one page on its way */
  uint64_t uncompressed_size;
  pmn_buf text, min, max; /* strings only: the current value, and the extremes of this row group */
  bool has_range;
} column;

typedef struct parquet {
  pmn_outfile *file;
  pmn_scratch *scratch; /* the features' pages of this row group */
  size_t width, rows_per_page;
  pmn_parquet_form form;
  ZSTD_CCtx *zstd;
  column columns[PMN_PARQUET_COLUMNS];
  pmn_buf body, packed; /* scratch: a page before and after compression */
  pmn_buf groups;       /* metadata of the row groups in the file */
  size_t group_count, group_size;
  int64_t rows, group_rows;
} parquet;

static void reset_group(parquet *self) {
  self->group_rows = 0;
  self->group_size = 0;
  for (int i = 0; i < PMN_PARQUET_COLUMNS; i++) {
    pmn_buf_clear(&self->columns[i].pages);
    self->columns[i].uncompressed_size = 0;
    self->columns[i].has_range = i <= PMN_PARQUET_LABEL;
  }
  pmn_scratch_clear(self->scratch);
}

static void destroy(void *state) {
  parquet *self = state;
  if (self == NULL) return;
  for (int i = 0; i < PMN_PARQUET_COLUMNS; i++) {
    column *c = &self->columns[i];
    pmn_buf *buffers[] = {&c->page, &c->pages, &c->text, &c->min, &c->max};
    for (size_t k = 0; k < sizeof buffers / sizeof *buffers; k++) pmn_buf_reset(buffers[k]);
  }
  pmn_buf_reset(&self->body);
  pmn_buf_reset(&self->packed);
  pmn_buf_reset(&self->groups);
  ZSTD_freeCCtx(self->zstd);
  pmn_scratch_destroy(self->scratch);
  pmn_free(self);
}

static pmn_status create(const pmn_sink_options *options, pmn_outfile *const *files, void **state, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  parquet *self = pmn_calloc(1, sizeof *self);
  if (self == NULL) return pmn_err_memory(err, sizeof *self, "a Parquet file");
  self->file = files[0];
  self->width = (size_t)options->width;
  self->form = (pmn_parquet_form){.bytes = options->values == PMN_VALUES_BYTE, .keypoints = options->keypoints};
  self->rows_per_page = PAGE_SIZE / (self->width * VALUE_SIZE);
  if (self->rows_per_page == 0) self->rows_per_page = 1;
  for (int i = 0; i < PMN_PARQUET_COLUMNS; i++) {
    column *c = &self->columns[i];
    pmn_buf *buffers[] = {&c->page, &c->pages, &c->text, &c->min, &c->max};
    for (size_t k = 0; k < sizeof buffers / sizeof *buffers; k++) pmn_buf_init(buffers[k], BUFFER_MAX);
  }
  pmn_buf_init(&self->body, BUFFER_MAX);
  pmn_buf_init(&self->packed, BUFFER_MAX);
  pmn_buf_init(&self->groups, FOOTER_MAX);
  PMN_TRY(pmn_scratch_create(pmn_outfile_path(self->file), NULL, &self->scratch, err));
  reset_group(self);
  self->zstd = ZSTD_createCCtx();
  if (self->zstd == NULL) PMN_FAIL(err, PMN_STATUS_NO_MEMORY, "cannot get memory for zstd");
  PMN_TRY(pmn_outfile_write(self->file, "PAR1", 4, err));
  *state = self;
  self = NULL;
done:
  destroy(self);
  return st;
}

/* Appends `size` bytes of levels with the length that a version 1 page puts in front. */
static pmn_status append_levels(pmn_buf *body, const pmn_buf *levels, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  uint32_t size = (uint32_t)levels->size;
  PMN_TRY(pmn_buf_append(body, &size, sizeof size, err));
  PMN_TRY(pmn_buf_append(body, levels->data, levels->size, err));
done:
  return st;
}

/* A run of `count` equal levels of one bit. */
static pmn_status append_run(pmn_buf *levels, uint64_t count, char level, pmn_err *err) {
  pmn_status st = pmn_varint_append(levels, count << 1, err);
  return st == PMN_STATUS_OK ? pmn_buf_append(levels, &level, 1, err) : st;
}

/* Repetition level 0 begins a row, 1 continues it; definition level 1 says that the list has an element there. */
static pmn_status features_body(parquet *self, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const column *features = &self->columns[PMN_PARQUET_FEATURES];
  pmn_buf *levels = &self->packed;
  uint64_t rows = (uint64_t)features->page_count;
  pmn_buf_clear(&self->body);
  pmn_buf_clear(levels);
  if (self->width == 1) {
    PMN_TRY(append_run(levels, rows, 0, err));
  } else {
    for (uint64_t i = 0; i < rows; i++) {
      PMN_TRY(append_run(levels, 1, 0, err));
      PMN_TRY(append_run(levels, self->width - 1, 1, err));
    }
  }
  PMN_TRY(append_levels(&self->body, levels, err));
  pmn_buf_clear(levels);
  PMN_TRY(append_run(levels, rows * self->width, 1, err));
  PMN_TRY(append_levels(&self->body, levels, err));
  PMN_TRY(pmn_buf_append(&self->body, features->page.data, features->page.size, err));
done:
  return st;
}

static pmn_status close_page(parquet *self, int index, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  column *c = &self->columns[index];
  const pmn_buf *body = &c->page;
  int32_t values = c->page_count;
  if (values == 0) return PMN_STATUS_OK;
  if (index == PMN_PARQUET_FEATURES) {
    PMN_TRY(features_body(self, err));
    body = &self->body;
    values *= (int32_t)self->width; /* a page holds 2^18 values, or one row */
  }
  size_t bound = ZSTD_compressBound(body->size);
  PMN_TRY(pmn_buf_reserve(&self->packed, bound, err));
  size_t size = ZSTD_compressCCtx(self->zstd, self->packed.data, bound, body->data, body->size, ZSTD_LEVEL);
  if (ZSTD_isError(size)) PMN_FAIL(err, PMN_STATUS_NO_MEMORY, "cannot compress a page: %s", ZSTD_getErrorName(size));
  size_t before = c->pages.size;
  PMN_TRY(pmn_parquet_page_header(values, body->size, size, &c->pages, err));
  c->uncompressed_size += c->pages.size - before + body->size;
  PMN_TRY(pmn_buf_append(&c->pages, self->packed.data, size, err));
  if (index == PMN_PARQUET_FEATURES) {
    PMN_TRY(pmn_scratch_append(self->scratch, c->pages.data, c->pages.size, err));
    pmn_buf_clear(&c->pages);
  }
  pmn_buf_clear(&c->page);
  c->page_count = 0;
done:
  return st;
}

/* The features' pages, a piece at a time. */
static pmn_status write_scratch(parquet *self, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  uint64_t size = pmn_scratch_size(self->scratch);
  PMN_TRY(pmn_buf_reserve(&self->packed, PAGE_SIZE, err));
  for (uint64_t at = 0; at < size; at += PAGE_SIZE) {
    size_t piece = size - at < PAGE_SIZE ? (size_t)(size - at) : PAGE_SIZE;
    PMN_TRY(pmn_scratch_read(self->scratch, at, self->packed.data, piece, err));
    PMN_TRY(pmn_outfile_write(self->file, self->packed.data, piece, err));
  }
done:
  return st;
}

static pmn_status close_group(parquet *self, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_parquet_chunk chunks[PMN_PARQUET_COLUMNS];
  if (self->group_rows == 0) return PMN_STATUS_OK;
  for (int i = 0; i < PMN_PARQUET_COLUMNS; i++) {
    column *c = &self->columns[i];
    if (!pmn_parquet_has(self->form, i)) continue;
    PMN_TRY(close_page(self, i, err));
    bool on_disk = i == PMN_PARQUET_FEATURES;
    chunks[i] = (pmn_parquet_chunk){
        .values = self->group_rows * (i == PMN_PARQUET_FEATURES ? (int64_t)self->width : 1),
        .offset = pmn_outfile_size(self->file),
        .size = on_disk ? pmn_scratch_size(self->scratch) : c->pages.size,
        .uncompressed_size = c->uncompressed_size,
        .min = c->has_range ? &c->min : NULL,
        .max = c->has_range ? &c->max : NULL,
    };
    PMN_TRY(on_disk ? write_scratch(self, err) : pmn_outfile_write(self->file, c->pages.data, c->pages.size, err));
  }
  PMN_TRY(pmn_parquet_row_group(self->form, chunks, self->group_rows, &self->groups, err));
  self->group_count++;
  reset_group(self);
done:
  return st;
}

static int compare_bytes(const pmn_buf *a, const pmn_buf *b) {
  size_t common = a->size < b->size ? a->size : b->size;
  int order = common == 0 ? 0 : memcmp(a->data, b->data, common);
  return order != 0 ? order : (a->size > b->size) - (a->size < b->size);
}

static pmn_status widen_range(column *c, bool first, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  if (c->text.size > STATISTICS_MAX) c->has_range = false;
  if (!c->has_range) return PMN_STATUS_OK;
  if (first || compare_bytes(&c->text, &c->min) < 0) {
    pmn_buf_clear(&c->min);
    PMN_TRY(pmn_buf_append(&c->min, c->text.data, c->text.size, err));
  }
  if (first || compare_bytes(&c->text, &c->max) > 0) {
    pmn_buf_clear(&c->max);
    PMN_TRY(pmn_buf_append(&c->max, c->text.data, c->text.size, err));
  }
done:
  return st;
}

/* A value more in the page: that of a column of one value a row. */
static pmn_status end_value(parquet *self, int index, pmn_err *err) {
  column *c = &self->columns[index];
  c->page_count++;
  return c->page.size >= PAGE_SIZE ? close_page(self, index, err) : PMN_STATUS_OK;
}

static pmn_status add_text(parquet *self, int index, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  column *c = &self->columns[index];
  uint32_t size = (uint32_t)c->text.size;
  PMN_TRY(widen_range(c, self->group_rows == 0, err));
  PMN_TRY(pmn_buf_append(&c->page, &size, sizeof size, err));
  PMN_TRY(pmn_buf_append(&c->page, c->text.data, c->text.size, err));
  st = end_value(self, index, err);
done:
  return st;
}

static pmn_status add_keypoints(parquet *self, int32_t count, pmn_err *err) {
  pmn_status st = pmn_buf_append(&self->columns[PMN_PARQUET_KEYPOINTS].page, &count, sizeof count, err);
  return st == PMN_STATUS_OK ? end_value(self, PMN_PARQUET_KEYPOINTS, err) : st;
}

/* One of the two is NULL. */
static pmn_status add_features(parquet *self, const float *floats, const uint8_t *bytes, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  column *c = &self->columns[PMN_PARQUET_FEATURES];
  size_t size = self->width * VALUE_SIZE;
  if (bytes == NULL) {
    PMN_TRY(pmn_buf_append(&c->page, floats, size, err));
  } else {
    PMN_TRY(pmn_buf_reserve(&c->page, c->page.size + size, err));
    char *to = c->page.data + c->page.size;
    for (size_t i = 0; i < self->width; i++) {
      memcpy(to + i * VALUE_SIZE, &(int32_t){bytes[i]}, VALUE_SIZE);
    }
    c->page.size += size;
  }
  c->page_count++;
  if ((size_t)c->page_count == self->rows_per_page) PMN_TRY(close_page(self, PMN_PARQUET_FEATURES, err));
done:
  return st;
}

static pmn_status write_row(parquet *self, const pmn_row_block *rows, size_t row, const uint8_t *bytes, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const char *texts[] = {[PMN_PARQUET_PATH] = rows->keys[row], [PMN_PARQUET_LABEL] = rows->labels[row]};
  size_t size = self->width * VALUE_SIZE, at = row * self->width;
  for (int i = PMN_PARQUET_PATH; i <= PMN_PARQUET_LABEL; i++) {
    pmn_buf *text = &self->columns[i].text;
    pmn_buf_clear(text);
    PMN_TRY(pmn_text_escape(text, texts[i], strlen(texts[i]), err));
    size += sizeof(uint32_t) + text->size;
  }
  if (rows->keypoints != NULL) size += sizeof *rows->keypoints;
  if (self->group_size + size > ROW_GROUP_SIZE) PMN_TRY(close_group(self, err));
  PMN_TRY(add_text(self, PMN_PARQUET_PATH, err));
  PMN_TRY(add_text(self, PMN_PARQUET_LABEL, err));
  if (rows->keypoints != NULL) PMN_TRY(add_keypoints(self, rows->keypoints[row], err));
  PMN_TRY(add_features(self, bytes == NULL ? rows->features + at : NULL, bytes != NULL ? bytes + at : NULL, err));
  self->group_size += size;
  self->group_rows++;
  self->rows++;
done:
  return st;
}

static pmn_status write(void *state, const pmn_row_block *rows, const uint8_t *bytes, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  for (int64_t i = 0; i < rows->n; i++) PMN_TRY(write_row(state, rows, (size_t)i, bytes, err));
done:
  return st;
}

static pmn_status finish(void *state, const char *record, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  parquet *self = state;
  char sha256[PMN_SHA256_HEX_SIZE];
  pmn_buf footer;
  pmn_buf_init(&footer, FOOTER_MAX);
  PMN_TRY(close_group(self, err));
  PMN_TRY(pmn_outfile_hash(self->file, sha256, err));
  PMN_TRY(pmn_parquet_footer(self->form, &self->groups, self->group_count, self->rows, record, sha256, &footer, err));
  uint32_t size = (uint32_t)footer.size;
  PMN_TRY(pmn_outfile_write(self->file, footer.data, footer.size, err));
  PMN_TRY(pmn_outfile_write(self->file, &size, sizeof size, err));
  PMN_TRY(pmn_outfile_write(self->file, "PAR1", 4, err));
done:
  pmn_buf_reset(&footer);
  return st;
}

const pmn_sink_format pmn_sink_parquet = {
    .name = "parquet",
    .suffixes = {""},
    .holds_record = true,
    .create = create,
    .write = write,
    .finish = finish,
    .destroy = destroy,
};
