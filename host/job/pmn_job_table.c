/* pmn_job_table.c - see pmn_job_table.h.
 *
 * Workload: parts of 64 MiB by the thousand, or one table of many gigabytes; read once from the beginning to the end,
 * a block at a time, for hashes and lines alike.
 */
#include "pmn_job_table.h"

#include "pmn_csv_text.h"
#include "pmn_digest.h"
#include "pmn_mem.h"
#include "pmn_npy.h"
#include "pmn_parquet_meta.h"
#include "pmn_parquet_read.h"

#include <stdio.h>
#include <string.h>

enum {
  BLOCK = 1 << 18,
  FOOTER_MAX = 256 << 20, /* bytes: 64 MiB of rows take some hundred of them, the record some thousand */
  MAGIC = 4,
};

typedef enum format { CSV, NPY, PARQUET } format;

/* -------------------------------------------------------------------------------------------------- one pass -- */

/* Lines of a CSV file: those that end outside quotes. */
typedef struct lines {
  int64_t count, fields, columns; /* fields of the line that is being read; columns of every line */
  bool quoted, ragged;            /* ragged: some line has other columns */
} lines;

static void count_lines(lines *self, const char *bytes, size_t size) {
  for (size_t i = 0; i < size; i++) {
    char byte = bytes[i];
    if (byte == '"') {
      self->quoted = !self->quoted; /* twice for a doubled one */
    } else if (!self->quoted && byte == ',') {
      self->fields++;
    } else if (!self->quoted && byte == '\n') {
      self->ragged = self->ragged || self->fields + 1 != self->columns;
      self->count++;
      self->fields = 0;
    }
  }
}

typedef struct pass {
  lines *lines;  /* NULL: not counted */
  int64_t from;  /* hashes begin at this byte */
  int64_t split; /* `head` is of the bytes before this one */
  char head[PMN_SHA256_HEX_SIZE], whole[PMN_SHA256_HEX_SIZE];
} pass;

static pmn_status read_through(pmn_infile *file, pass *p, const volatile sig_atomic_t *stop, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  int64_t size = pmn_infile_size(file);
  char *block = pmn_alloc(BLOCK, 1);
  pmn_digest *digest = pmn_digest_create(false);
  bool good = block != NULL && digest != NULL;
  for (int64_t at = 0, end; good && at < size; at = end) {
    if (stop != NULL && *stop != 0) PMN_FAIL(err, PMN_STATUS_INTERRUPTED, "interrupted");
    end = size - at < BLOCK ? size : at + BLOCK;
    if (at < p->split && p->split < end) end = p->split;
    if (at < p->from && p->from < end) end = p->from;
    size_t piece = (size_t)(end - at);
    PMN_TRY(pmn_infile_read(file, at, block, piece, err));
    if (p->lines != NULL) count_lines(p->lines, block, piece);
    good = (at < p->from || pmn_digest_update(digest, block, piece)) &&
           (end != p->split || pmn_digest_so_far(digest, p->head));
  }
  good = good && pmn_digest_finish(digest, NULL, p->whole);
  if (!good) st = pmn_err_memory(err, BLOCK, "the hash of a file");
done:
  pmn_digest_destroy(digest);
  pmn_free(block);
  return st;
}

static pmn_status damaged(const pmn_infile *file, const char *how, pmn_err *err) {
  return pmn_err_set(err, PMN_STATUS_MODEL, 0, "%.300s is damaged: %s", pmn_infile_path(file), how);
}

static pmn_status compare(const pmn_infile *file, const pmn_table_wanted *wanted, const pass *p, pmn_err *err) {
  if (wanted->sha256[0] == '\0' || strcmp(p->whole, wanted->sha256) == 0) return PMN_STATUS_OK;
  return pmn_err_set(err, PMN_STATUS_MODEL, 0, "%.200s is damaged: its SHA-256 is %s and not %.64s, as recorded",
      pmn_infile_path(file), p->whole, wanted->sha256);
}

/* --------------------------------------------------------------------------------------------------- formats -- */

/* The first bytes of a file; 0 where it is shorter. */
static pmn_status read_start(pmn_infile *file, void *bytes, size_t size, pmn_err *err) {
  int64_t there = pmn_infile_size(file);
  memset(bytes, 0, size);
  return pmn_infile_read(file, 0, bytes, there < (int64_t)size ? (size_t)there : size, err);
}

static pmn_status read_tail(pmn_infile *file, char tail[PMN_PARQUET_TAIL], pmn_err *err) {
  int64_t size = pmn_infile_size(file);
  memset(tail, 0, PMN_PARQUET_TAIL);
  return size < PMN_PARQUET_TAIL ? PMN_STATUS_OK
                                 : pmn_infile_read(file, size - PMN_PARQUET_TAIL, tail, PMN_PARQUET_TAIL, err);
}

/* A Parquet file has its mark at both ends: one that is damaged still has the other. */
static pmn_status find_format(pmn_infile *file, format *found, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  char start[6], tail[PMN_PARQUET_TAIL];
  PMN_TRY(read_start(file, start, sizeof start, err));
  PMN_TRY(read_tail(file, tail, err));
  bool parquet = memcmp(start, "PAR1", MAGIC) == 0 || memcmp(tail + MAGIC, "PAR1", MAGIC) == 0;
  *found = parquet ? PARQUET : memcmp(start, "\x93NUMPY", 6) == 0 ? NPY : CSV;
done:
  return st;
}

static pmn_status check_csv(pmn_infile *file, const pmn_table_wanted *wanted, pmn_table_found *found, pmn_err *err) {
  static const char *const ends[] = {",f0", "\n", "path,stage,reason\n"};
  pmn_status st = PMN_STATUS_OK;
  char start[32], header[32];
  int64_t names = wanted->keypoints ? 3 : 2;
  const int64_t columns[] = {wanted->width + names, names, 3};
  lines text = {.columns = columns[wanted->kind]};
  snprintf(header, sizeof header, "%s%s", wanted->kind == PMN_TABLE_REJECTS ? "" : pmn_csv_names(wanted->keypoints),
      ends[wanted->kind]);
  pass p = {.lines = &text, .split = -1};
  PMN_TRY(read_through(file, &p, wanted->stop, err));
  PMN_TRY(compare(file, wanted, &p, err));
  PMN_TRY(read_start(file, start, sizeof start, err));
  if (strncmp(start, header, strlen(header)) != 0) {
    st = damaged(file, "it does not begin like a file that Pomona writes", err);
    goto done;
  }
  char last = '\0';
  PMN_TRY(pmn_infile_read(file, pmn_infile_size(file) - 1, &last, 1, err));
  if (text.quoted || last != '\n') {
    st = damaged(file, "it ends within a line", err);
    goto done;
  }
  if (text.ragged) {
    PMN_FAIL(err, PMN_STATUS_MODEL, "%.300s is damaged: not every line has %lld columns", pmn_infile_path(file),
        (long long)text.columns);
  }
  found->rows = text.count - 1;
done:
  return st;
}

/* The header is the one that an array of this size and width has, or it is wrong. */
static pmn_status check_npy(pmn_infile *file, const pmn_table_wanted *wanted, pmn_table_found *found, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  char header[PMN_NPY_HEADER], there[PMN_NPY_HEADER];
  int64_t value = wanted->values == PMN_VALUES_BYTE ? 1 : (int64_t)sizeof(float);
  int64_t row = wanted->width * value, data = pmn_infile_size(file) - PMN_NPY_HEADER;
  pass p = {.from = wanted->sha256_from, .split = -1};
  PMN_TRY(read_start(file, there, sizeof there, err));
  if (data >= 0 && row > 0) pmn_npy_header(data / row, wanted->width, wanted->values, header);
  if (data < 0 || row < 1 || data % row != 0 || memcmp(header, there, sizeof header) != 0) {
    PMN_FAIL(err, PMN_STATUS_MODEL, "%.300s is damaged: its header and its %lld bytes are not those of rows of %lld",
        pmn_infile_path(file), (long long)pmn_infile_size(file), (long long)wanted->width);
  }
  PMN_TRY(read_through(file, &p, wanted->stop, err));
  PMN_TRY(compare(file, wanted, &p, err));
  found->rows = data / row;
done:
  return st;
}

/* `footer` is empty before; both are to be reset after any status. */
static pmn_status read_footer(pmn_infile *file, pmn_buf *footer, int64_t *start, pmn_parquet_info *info, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_err why = PMN_ERR_INIT;
  char head[MAGIC], tail[PMN_PARQUET_TAIL];
  *info = (pmn_parquet_info){.rows = 0};
  PMN_TRY(read_start(file, head, sizeof head, err));
  PMN_TRY(read_tail(file, tail, err));
  *start = pmn_parquet_footer_start(tail, pmn_infile_size(file));
  int64_t size = pmn_infile_size(file) - PMN_PARQUET_TAIL - *start;
  if (memcmp(head, "PAR1", MAGIC) != 0 || *start < 0 || size > FOOTER_MAX) {
    st = damaged(file, "it does not begin or end as a Parquet file does", err);
    goto done;
  }
  pmn_buf_init(footer, FOOTER_MAX);
  PMN_TRY(pmn_buf_reserve(footer, (size_t)size, err));
  PMN_TRY(pmn_infile_read(file, *start, footer->data, (size_t)size, err));
  st = pmn_parquet_read(footer->data, (size_t)size, *start, info, &why);
  if (st == PMN_STATUS_MODEL)
    st = damaged(file, why.message, err);
  else if (st != PMN_STATUS_OK && err != NULL)
    *err = why;
done:
  return st;
}

static pmn_status check_values(
    const pmn_infile *file, const pmn_parquet_info *info, const pmn_table_wanted *wanted, pmn_err *err) {
  for (size_t i = 0; i < info->group_count; i++) {
    int64_t values;
    if (!__builtin_mul_overflow(info->groups[i].rows, wanted->width, &values) && values == info->groups[i].values) {
      continue;
    }
    return pmn_err_set(err, PMN_STATUS_MODEL, 0,
        "%.300s is damaged: row group %zu has %lld features and %lld rows, and a row has %lld", pmn_infile_path(file),
        i, (long long)info->groups[i].values, (long long)info->groups[i].rows, (long long)wanted->width);
  }
  return PMN_STATUS_OK;
}

static pmn_status check_parquet(
    pmn_infile *file, const pmn_table_wanted *wanted, pmn_table_found *found, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_parquet_info info;
  pmn_buf footer = {.data = NULL};
  pass p = {.from = 0};
  PMN_TRY(read_footer(file, &footer, &p.split, &info, err));
  PMN_TRY(read_through(file, &p, wanted->stop, err));
  PMN_TRY(compare(file, wanted, &p, err));
  PMN_TRY(check_values(file, &info, wanted, err));
  const pmn_parquet_text *sha256 = pmn_parquet_find(&info, PMN_PARQUET_SHA256);
  if (sha256 != NULL && (sha256->size != strlen(p.head) || memcmp(sha256->data, p.head, sha256->size) != 0)) {
    PMN_FAIL(err, PMN_STATUS_MODEL, "%.200s is damaged: the SHA-256 of its rows is %s and not %.*s, as its footer says",
        pmn_infile_path(file), p.head, sha256->size < 64 ? (int)sha256->size : 64, sha256->data);
  }
  found->rows = info.rows;
  found->hashed = found->hashed || (sha256 != NULL && info.sealed);
done:
  pmn_parquet_info_reset(&info);
  pmn_buf_reset(&footer);
  return st;
}

pmn_status pmn_table_check(pmn_infile *file, const pmn_table_wanted *wanted, pmn_table_found *found, pmn_err *err) {
  format kind = CSV;
  *found = (pmn_table_found){.hashed = wanted->sha256[0] != '\0'};
  pmn_status st = wanted->kind == PMN_TABLE_ROWS ? find_format(file, &kind, err) : PMN_STATUS_OK;
  if (st != PMN_STATUS_OK) return st;
  if (wanted->sha256_from != 0 && !(kind == NPY && wanted->sha256_from == PMN_NPY_HEADER)) {
    return damaged(file, "the SHA-256 in its record leaves out bytes that it may not leave out", err);
  }
  return kind == PARQUET ? check_parquet(file, wanted, found, err)
         : kind == NPY   ? check_npy(file, wanted, found, err)
                         : check_csv(file, wanted, found, err);
}

pmn_status pmn_table_record(pmn_infile *file, bool *is_parquet, pmn_buf *record, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_parquet_info info = {.rows = 0};
  pmn_buf footer = {.data = NULL};
  format kind;
  int64_t start;
  *is_parquet = false;
  PMN_TRY(find_format(file, &kind, err));
  if (kind != PARQUET) goto done;
  *is_parquet = true;
  PMN_TRY(read_footer(file, &footer, &start, &info, err));
  const pmn_parquet_text *text = pmn_parquet_find(&info, PMN_PARQUET_RECORD);
  if (text == NULL) {
    PMN_FAIL(err, PMN_STATUS_MODEL, "%.300s holds no run record: it is none of Pomona's", pmn_infile_path(file));
  }
  PMN_TRY(pmn_buf_append(record, text->data, text->size, err));
done:
  pmn_parquet_info_reset(&info);
  pmn_buf_reset(&footer);
  return st;
}
