/* test_verify.c - pmn_verify: outputs of every kind are as recorded, and are not after any damage done to them.
 *
 * Outputs are made by pmn_reduce from a small matrix with a row that is rejected, whose name holds a newline, quotes
 * and commas. Damage is done to copies.
 */
#include "check_files.h"
#include "pmn_mem.h"

#include <fcntl.h>
#include <jansson.h>

enum { ROWS = 9, COLUMNS = 3, BAD_ROW = 4 };

static char copy[80]; /* of `folder`, which holds outputs as they were written; to be damaged, made anew by each test */

static const char *const outputs[] = {"t.csv", "t.npy", "t.parquet", "csv/", "npy/", "parquet/"};
enum { OUTPUTS = sizeof outputs / sizeof *outputs };

/* ------------------------------------------------------------------------------------------------------ tools -- */

static pmn_status verify(const char *output, pmn_verified *verified, pmn_err *err) {
  pmn_verify_options options = PMN_VERIFY_OPTIONS_INIT;
  options.output = at(copy, output);
  *err = (pmn_err)PMN_ERR_INIT;
  return pmn_verify(&options, verified, err);
}

static void good(const char *output, const char *notes) {
  pmn_verified found;
  pmn_err err;
  check_ok(verify(output, &found, &err));
  assert_int_equal(found.rows, ROWS - 1);
  assert_int_equal(found.rejects, 1);
  assert_int_equal(found.listed, ROWS);
  if (notes[0] == '\0' ? found.notes[0] != '\0' : strstr(found.notes, notes) == NULL) {
    fail_msg("%s: notes \"%s\"", output, found.notes);
  }
}

static void differs(const char *output, const char *text) {
  pmn_verified found;
  pmn_err err;
  check_fails(verify(output, &found, &err), PMN_STATUS_MODEL, text);
}

static void missing(const char *output, const char *text) {
  pmn_verified found;
  pmn_err err;
  check_fails(verify(output, &found, &err), PMN_STATUS_NOT_FOUND, text);
}

static void fresh(void) {
  shell("rm -rf '%s' && cp -r '%s' '%s'", copy, folder, copy);
}

static json_t *record_of(const char *path) {
  json_t *record = json_load_file(path, 0, NULL);
  if (record == NULL) fail_msg("%s holds no JSON", path);
  return record;
}

static void put_record(const char *path, json_t *record) {
  if (json_dump_file(record, path, JSON_INDENT(1)) != 0) fail_msg("cannot write %s", path);
  json_decref(record);
}

/* -------------------------------------------------------------------------------------------------- fixtures -- */

static void reduce(const char *output, const char *rejects) {
  pmn_reduce_options options = PMN_REDUCE_OPTIONS_INIT;
  pmn_summary *summary = NULL;
  pmn_err err = PMN_ERR_INIT;
  char path[512];
  snprintf(path, sizeof path, "%s", in_folder(output));
  options.matrix = in_folder("x.npy");
  options.index = in_folder("x.csv");
  options.output = path;
  options.format = strchr(output, '/') == NULL ? NULL : strncmp(output, "csv", 3) == 0 ? "csv" : "npy";
  if (strcmp(output, "parquet/") == 0) options.format = "parquet";
  options.parts = strchr(output, '/') != NULL ? 3 : 0;
  options.rejects = rejects;
  options.statistics.with_mean = true;
  options.backend = "cpu";
  options.threads = 1;
  check_ok(pmn_reduce(&options, &summary, &err));
  assert_int_equal(pmn_summary_counts(summary).rejects, 1);
  pmn_summary_destroy(summary);
}

static int make_outputs(void **state) {
  (void)state;
  static const char form[] = "\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', 'fortran_order': False, 'shape': (9, 3), }";
  char header[128], index[1024] = "path,label\n";
  float x[ROWS * COLUMNS];
  check_folder(folder);
  snprintf(copy, sizeof copy, "%s-copy", folder);
  memset(header, ' ', sizeof header);
  memcpy(header, form, sizeof form - 1);
  header[127] = '\n';
  for (int i = 0; i < ROWS * COLUMNS; i++) x[i] = (float)(i * i % 17) / 3;
  x[BAD_ROW * COLUMNS + 1] = __builtin_nanf("");
  FILE *file = fopen(in_folder("x.npy"), "wb");
  assert_non_null(file);
  fwrite(header, 1, sizeof header, file);
  fwrite(x, sizeof *x, ROWS * COLUMNS, file);
  assert_int_equal(fclose(file), 0);
  for (int i = 0; i < ROWS; i++) {
    snprintf(index + strlen(index), sizeof index - strlen(index), "\"%d \"\"a\"\",\nb\",\"l,\n\"\n", i);
  }
  put(in_folder("x.csv"), index, strlen(index));
  for (int i = 0; i < OUTPUTS; i++) reduce(outputs[i], NULL);
  return 0;
}

static int remove_outputs(void **state) {
  (void)state;
  shell("rm -rf '%s'", copy);
  check_folder_remove(folder);
  return 0;
}

/* ------------------------------------------------------------------------------------------------------ tests -- */

static void whole_outputs_are_as_recorded(void **state) {
  (void)state;
  fresh();
  for (int i = 0; i < OUTPUTS; i++) good(outputs[i], "");
  good("csv", "");
  good("csv//", "");
  pmn_verified found;
  pmn_err err;
  check_ok(verify("npy/", &found, &err));
  assert_int_equal(found.files, 7); /* three parts, three indices, rejects */
  pmn_verify_options options = PMN_VERIFY_OPTIONS_INIT;
  options.output = ".";
  char before[4096];
  assert_true(getcwd(before, sizeof before) != NULL && chdir(at(copy, "csv")) == 0);
  check_ok(pmn_verify(&options, &found, &err));
  assert_int_equal(chdir(before), 0);
}

static void put_byte(int fd, size_t offset, char byte) {
  assert_int_equal(pwrite(fd, &byte, 1, (off_t)offset), 1);
}

/* Flips a bit of every byte from `first` to `end`, then cuts the file at every length. *found counts flips that were
 * found, of *all. Whatever is done, the answer is one of two. */
static void damage(const char *output, const char *name, size_t first, size_t end, int64_t *found, int64_t *all) {
  pmn_verified verified;
  pmn_err err;
  size_t size;
  char path[512];
  snprintf(path, sizeof path, "%s", at(copy, name));
  char *bytes = read_all(path, &size);
  int fd = open(path, O_WRONLY);
  assert_true(fd >= 0);
  for (size_t i = first; i < (end < size ? end : size); i++) {
    put_byte(fd, i, (char)(bytes[i] ^ (1 << i % 8)));
    pmn_status st = verify(output, &verified, &err);
    if (st != PMN_STATUS_OK && st != PMN_STATUS_MODEL) fail_msg("%s, byte %zu: %d, %s", path, i, st, err.message);
    put_byte(fd, i, bytes[i]);
    *found += st == PMN_STATUS_MODEL;
    ++*all;
  }
  for (size_t i = size; i-- > 0;) {
    assert_int_equal(ftruncate(fd, (off_t)i), 0);
    bool newline = i + 1 == size && strstr(name, "record.json") != NULL; /* behind the last brace */
    pmn_status st = verify(output, &verified, &err);
    if (st != PMN_STATUS_MODEL && !newline) fail_msg("%s cut to %zu bytes: %d, %s", path, i, st, err.message);
  }
  close(fd);
  put(path, bytes, size);
  free(bytes);
}

static void every_flip_is_found(void **state) {
  (void)state;
  static const struct {
    const char *output, *file;
  } files[] = {{"t.csv", "t.csv"}, {"t.npy", "t.npy"}, {"t.npy", "t.npy.index.csv"}, {"csv/", "csv/part-00001.csv"},
      {"npy/", "npy/part-00002.npy"}, {"npy/", "npy/part-00000.npy.index.csv"},
      {"parquet/", "parquet/part-00000.parquet"}};
  int64_t found = 0, all = 0;
  fresh();
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    damage(files[i].output, files[i].file, 0, SIZE_MAX, &found, &all);
  }
  print_message("files with a checksum: %lld of %lld flips found\n", (long long)found, (long long)all);
  assert_true(all > 2000);
  assert_int_equal(found, all);
}

/* As in buckets, where the header is written last: the hash is of what is behind it. */
static void arrays_hashed_behind_their_header(void **state) {
  (void)state;
  char sha256[65] = "";
  int64_t found = 0, all = 0;
  fresh();
  shell("tail -c +129 '%s/t.npy' | sha256sum > '%s/sum'", copy, copy);
  FILE *file = fopen(at(copy, "sum"), "r");
  assert_true(file != NULL && fread(sha256, 1, 64, file) == 64);
  fclose(file);
  json_t *record = record_of(at(copy, "t.npy.record.json")), *list = json_object_get(record, "files");
  json_object_set_new(json_array_get(list, 0), "sha256", json_string(sha256));
  json_object_set_new(json_array_get(list, 0), "sha256_from", json_integer(128));
  put_record(at(copy, "t.npy.record.json"), record);
  good("t.npy", "");
  damage("t.npy", "t.npy", 0, SIZE_MAX, &found, &all);
  assert_int_equal(all, 128 + 4 * COLUMNS * (ROWS - 1));
  assert_int_equal(found, all);
  record = record_of(at(copy, "t.csv.record.json"));
  list = json_object_get(record, "files");
  json_object_set_new(json_array_get(list, 0), "sha256_from", json_integer(128));
  put_record(at(copy, "t.csv.record.json"), record);
  differs("t.csv", "leaves out bytes that it may not leave out");
}

/* A single Parquet file has the checksum of its rows and that of its footer in the footer. */
static void every_flip_in_a_single_parquet_file_is_found(void **state) {
  (void)state;
  int64_t found = 0, all = 0;
  fresh();
  damage("t.parquet", "t.parquet", 0, SIZE_MAX, &found, &all);
  print_message("a single Parquet file: %lld of %lld flips found\n", (long long)found, (long long)all);
  assert_true(all > 2000);
  assert_int_equal(found, all);
}

static void flips_in_record_and_rejects(void **state) {
  (void)state;
  static const char *const files[][2] = {{"t.csv", "t.csv.record.json"}, {"t.csv", "t.csv.rejects.csv"},
      {"npy/", "npy/_record.json"}, {"parquet/", "parquet/_rejects.csv"}};
  fresh();
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    int64_t found = 0, all = 0;
    damage(files[i][0], files[i][1], 0, SIZE_MAX, &found, &all);
    print_message("%s: %lld of %lld flips found\n", files[i][1], (long long)found, (long long)all);
    assert_true(found > 0);
  }
}

static void missing_files(void **state) {
  (void)state;
  static const char *const files[][2] = {{"t.csv", "t.csv.record.json"}, {"t.csv", "t.csv.rejects.csv"},
      {"t.npy", "t.npy.index.csv"}, {"t.parquet", "t.parquet.rejects.csv"}, {"csv/", "csv/part-00001.csv"},
      {"csv/", "csv/_rejects.csv"}, {"csv", "csv/_record.json"}, {"npy/", "npy/part-00002.npy.index.csv"},
      {"parquet/", "parquet/part-00000.parquet"}};
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    fresh();
    shell("rm '%s'", at(copy, files[i][1]));
    differs(files[i][0], strchr(files[i][1], '/') == NULL ? files[i][1] : strchr(files[i][1], '/') + 1);
    differs(files[i][0], "is not there");
  }
}

static void unfinished_outputs(void **state) {
  (void)state;
  fresh();
  missing("none.csv", "none.csv is not there");
  missing("none/", "none/ is not there");
  shell("rm '%s'", at(copy, "csv/_SUCCESS"));
  missing("csv", "it has no _SUCCESS");
  shell("mkdir '%s'", at(copy, ".csv.pomona"));
  missing("csv/", ".csv.pomona: wait for it, or go on with --resume");
  shell("rm -r '%s' && mkdir '%s'", at(copy, "csv"), at(copy, "csv"));
  missing("csv/", "holds no output");
  shell("rm -r '%s'", at(copy, "csv"));
  missing("csv", "--resume");
  shell("rm '%s'", at(copy, "t.csv"));
  missing("t.csv", "is not there"); /* its record alone promises nothing */
  shell("mkdir '%s'", at(copy, ".npy.pomona"));
  good("npy/", ".npy.pomona");
}

static void added_and_swapped_files(void **state) {
  (void)state;
  fresh();
  shell("cp '%s' '%s'", at(copy, "csv/part-00000.csv"), at(copy, "csv/part-00003.csv"));
  differs("csv/", "csv/part-00003.csv is there, but the record does not name it");
  fresh();
  shell("cd '%s/parquet' && mv part-00000.parquet x && mv part-00001.parquet part-00000.parquet && "
        "mv x part-00001.parquet",
      copy);
  differs("parquet/", "part-00000.parquet");
  fresh();
  shell("cp '%s' '%s'", at(copy, "npy/part-00000.npy.index.csv"), at(copy, "npy/part-00002.npy.index.csv"));
  differs("npy/", "SHA-256");
}

static void without_files(const char *path) {
  char name[512];
  snprintf(name, sizeof name, "%s", path);
  json_t *record = record_of(name);
  assert_int_equal(json_object_del(record, "files"), 0);
  put_record(name, record);
}

/* What readers of a folder take for a part, and what they pass over. */
static void foreign_files(void **state) {
  (void)state;
  static const char *const read[] = {"extra.parquet", "part-00099.parquet", "notes", "part-00001.parquet.bak", "x=1/",
      "part-00000.parquet/", "part-dir/", "a \xff\n"};
  static const char *const passed[] = {"_notes", ".part-00000.parquet.crc", "_temporary/", ".hidden/", "_"};
  char name[256];
  for (size_t i = 0; i < sizeof read / sizeof *read; i++) {
    bool named = strncmp(read[i], "part-00000", 10) == 0;
    for (int older = 0; older < 2; older++) {
      fresh();
      if (older) without_files(at(copy, "parquet/_record.json"));
      snprintf(name, sizeof name, "parquet/%s", read[i]);
      if (named) shell("rm '%s/parquet/part-00000.parquet'", copy);
      if (read[i][strlen(read[i]) - 1] == '/')
        assert_int_equal(mkdir(at(copy, name), 0700), 0);
      else
        put(at(copy, name), "PAR1", 4);
      const char *shown = read[i][0] == 'a' ? "parquet/a \\xFF  is there" : name;
      if (!older || strncmp(read[i], "part-", 5) != 0 || strchr(read[i], '/') != NULL) differs("parquet", shown);
      if (older) differs("parquet/", ""); /* a part more, which is none */
    }
  }
  fresh();
  for (size_t i = 0; i < sizeof passed / sizeof *passed; i++) {
    snprintf(name, sizeof name, "csv/%s", passed[i]);
    if (passed[i][strlen(passed[i]) - 1] == '/')
      assert_int_equal(mkdir(at(copy, name), 0700), 0);
    else
      put(at(copy, name), "x", 1);
    if (i == 0) good("csv/", "1 file is no part of the output, and readers pass over: _notes");
  }
  good("csv/", "5 files are no part of the output, and readers pass over: ");
  shell("ln -s '%s' '%s'", at(copy, "t.csv"), at(copy, "csv/link.csv"));
  differs("csv/", "csv/link.csv is there");
}

static void changed_rejects(void **state) {
  (void)state;
  static const char *const lines[][2] = {{"t.parquet", "t.parquet.rejects.csv"}, {"csv/", "csv/_rejects.csv"}};
  for (size_t i = 0; i < 2; i++) {
    fresh();
    shell("echo 'x,matrix,\"a\nb\"' >> '%s'", at(copy, lines[i][1]));
    differs(lines[i][0], "lists 2 rejects, but the record counts 1");
    fresh();
    shell("echo 'path,stage,reason' > '%s'", at(copy, lines[i][1]));
    differs(lines[i][0], "lists 0 rejects, but the record counts 1");
    fresh();
    shell("printf 'x,\"matrix' >> '%s'", at(copy, lines[i][1]));
    differs(lines[i][0], "within a line");
    fresh();
    shell("echo 'x,matrix' >> '%s'", at(copy, lines[i][1]));
    differs(lines[i][0], "not every line has 3 columns");
  }
}

/* An integer of the record: `path` in words, "files" and an index, or "counts". */
static void edited(const char *output, const char *file, const char *list, size_t i, const char *key, json_t *value) {
  char path[512];
  fresh();
  snprintf(path, sizeof path, "%s", at(copy, file));
  json_t *record = record_of(path), *part = json_object_get(record, list);
  if (json_is_array(part)) part = json_array_get(part, i);
  assert_int_equal(json_object_set_new(part, key, value), 0);
  put_record(path, record);
  pmn_verified found;
  pmn_err err;
  pmn_status st = verify(output, &found, &err);
  if (st != PMN_STATUS_MODEL || err.status != st) fail_msg("%s, %s: %d, %s", file, key, st, err.message);
}

static void edited_records(void **state) {
  (void)state;
  static const char *const files[][2] = {{"t.csv", "t.csv.record.json"}, {"npy/", "npy/_record.json"}};
  static const char *const counts[] = {"listed", "rows", "rejects"};
  const json_int_t numbers[] = {0, 2, 7, 10, -1, INT64_MAX, INT64_MIN};
  for (size_t f = 0; f < 2; f++) {
    const char *output = files[f][0], *file = files[f][1];
    for (size_t n = 0; n < sizeof numbers / sizeof *numbers; n++) {
      for (size_t c = 0; c < 3; c++) edited(output, file, "counts", 0, counts[c], json_integer(numbers[n]));
      edited(output, file, "files", 0, "bytes", json_integer(numbers[n]));
      edited(output, file, "files", 0, "rows", json_integer(numbers[n]));
    }
    edited(output, file, "counts", 0, "width", json_integer(0));
    edited(output, file, "counts", 0, "width", json_integer(4));
    edited(output, file, "counts", 0, "rows", json_string("8"));
    edited(output, file, "files", 0, "sha256", json_string("00"));
    edited(output, file, "files", 0, "sha256", json_integer(0));
    edited(output, file, "files", 0, "name", json_null());
    edited(output, file, "files", 0, "sha256_from", json_integer(-1));
    edited(output, file, "files", 0, "sha256_from", json_integer(1));
    edited(output, file, "files", 0, "sha256_from", json_integer(128)); /* of the whole, it is another */
  }
  edited("parquet/", "parquet/_record.json", "counts", 0, "width", json_integer(4));
}

/* Names are not followed out of the folder, nor is a file counted twice. */
static void entries_that_make_no_sense(void **state) {
  (void)state;
  static const char *const names[] = {"part-/../../t.npy", "../t.npy", "/etc/passwd", "t.npy", "", "part-00001.npy"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    edited("npy/", "npy/_record.json", "files", 4, "name", json_string(names[i]));
    if (i < 5) differs("npy/", "its file 5 makes no sense");
  }
  edited("csv/", "csv/_record.json", "files", 2, "name", json_string("part-00000.csv"));
  edited("csv/", "csv/_record.json", "files", 2, "sha256", json_string("00"));
  differs("csv/", "its file 3 makes no sense");
  fresh();
  json_t *record = record_of(at(copy, "csv/_record.json")), *list = json_object_get(record, "files");
  json_array_append(list, json_array_get(list, 0));
  put_record(at(copy, "csv/_record.json"), record);
  differs("csv/", "its file 4 makes no sense");
}

/* One set of counts that adds up, but not to what is there. */
static void counts_of_another_output(void **state) {
  (void)state;
  for (int moved = -1; moved <= 1; moved += 2) {
    fresh();
    json_t *record = record_of(at(copy, "parquet/_record.json")), *counts = json_object_get(record, "counts");
    json_object_set_new(counts, "rows", json_integer(ROWS - 1 + moved));
    json_object_set_new(counts, "listed", json_integer(ROWS + moved));
    put_record(at(copy, "parquet/_record.json"), record);
    differs("parquet/", "holds 8 rows, but its record counts");
  }
  fresh();
  json_t *record = record_of(at(copy, "parquet/_record.json")), *counts = json_object_get(record, "counts");
  json_object_set_new(counts, "rejects", json_integer(0));
  json_object_set_new(counts, "listed", json_integer(ROWS - 1));
  put_record(at(copy, "parquet/_record.json"), record);
  differs("parquet/", "has a list of rejects");
}

/* Takes a pair whose value is a hash out of the footer of t.parquet. */
static void without_pair(const char *key) {
  size_t size, key_size = strlen(key), pair = 2 + key_size + 2 + 64 + 1; /* two headers and lengths, the end */
  uint32_t footer;
  char *bytes = read_all(at(copy, "t.parquet"), &size);
  char *first = memmem(bytes, size, "\x18\x0dpomona.record", 15), *found = memmem(bytes, size, key, key_size);
  assert_true(first != NULL && found != NULL);
  first[-1] = (char)(first[-1] - 0x10); /* the count of the list, in the upper half of the byte */
  memmove(found - 2, found - 2 + pair, size - (size_t)(found - 2 + pair - bytes));
  size -= pair;
  memcpy(&footer, bytes + size - 8, sizeof footer);
  footer -= (uint32_t)pair;
  memcpy(bytes + size - 8, &footer, sizeof footer);
  put(at(copy, "t.parquet"), bytes, size);
  free(bytes);
}

/* Records that name no files, or no rows of them. */
static void older_versions(void **state) {
  (void)state;
  static const char *const files[][2] = {{"t.csv", "t.csv.record.json"}, {"t.npy", "t.npy.record.json"},
      {"csv/", "csv/_record.json"}, {"npy/", "npy/_record.json"}, {"parquet/", "parquet/_record.json"}};
  fresh();
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    without_files(at(copy, files[i][1]));
    good(files[i][0], "of an older version, names no files");
  }
  shell("rm '%s'", at(copy, "csv/part-00002.csv"));
  differs("csv/", "rows, but its record counts 8");
  shell("head -c 30 '%s' > x && mv x '%s'", at(copy, "t.csv"), at(copy, "t.csv"));
  differs("t.csv", "t.csv");
  shell("printf 'path,label\n' > '%s'", at(copy, "t.npy.index.csv"));
  differs("t.npy", "holds 0 lines for 8 rows");
  shell("truncate -s -1 '%s'", at(copy, "npy/part-00000.npy"));
  differs("npy/", "its header and its");

  fresh();
  json_t *record = record_of(at(copy, "csv/_record.json")), *list = json_object_get(record, "files");
  for (size_t i = 0; i < json_array_size(list); i++) json_object_del(json_array_get(list, i), "rows");
  json_object_set_new(json_array_get(list, 1), "sha256", json_string(""));
  put_record(at(copy, "csv/_record.json"), record);
  good("csv/", "of 1 file no checksum of all bytes is recorded");

  without_pair("pomona.footer.sha256");
  good("t.parquet", "of 1 file no checksum of all bytes is recorded");
  without_pair("pomona.sha256");
  good("t.parquet", "of 1 file no checksum of all bytes is recorded");
}

/* Outputs that were moved, and lists of rejects elsewhere. */
static void other_places(void **state) {
  (void)state;
  fresh();
  shell("cd '%s' && mv csv other && for i in '' .record.json .rejects.csv .index.csv; do mv t.npy$i u.npy$i; done && "
        "mv t.parquet u && mv t.parquet.rejects.csv u.rejects.csv",
      copy);
  good("other", "");
  good("u.npy", "");
  good("u", "");

  char elsewhere[128];
  snprintf(elsewhere, sizeof elsewhere, "%s/bad \\ \xff.csv", folder);
  reduce("r.csv", elsewhere);
  fresh();
  good("r.csv", "");
  reduce("\xff.csv", NULL);
  fresh();
  good("\xff.csv", "");
  put(elsewhere, "path,stage,reason\n", 18);
  differs("r.csv", "lists 0 rejects");
  unlink(elsewhere);
  differs("r.csv", "is not there");
  unlink(in_folder("r.csv"));
}

static void wrong_calls(void **state) {
  (void)state;
  pmn_verify_options options = PMN_VERIFY_OPTIONS_INIT;
  pmn_verified found;
  pmn_err err;
  fresh();
  check_fails(pmn_verify(&options, &found, &err), PMN_STATUS_ARGUMENT, "no output is named");
  options.output = at(copy, "csv/");
  put_text(at(copy, "table.csv"), "");
  missing("table.csv/", "is a file and no folder");
  volatile sig_atomic_t stop = 1;
  options.stop = &stop;
  check_fails(pmn_verify(&options, &found, &err), PMN_STATUS_INTERRUPTED, "interrupted");
  options.struct_size--;
  check_fails(pmn_verify(&options, &found, &err), PMN_STATUS_ARGUMENT, "PMN_VERIFY_OPTIONS_INIT");
}

/* Wherever memory ends, that is what is said; under a sanitizer, nothing is lost then. */
static void memory_that_ends(void **state) {
  (void)state;
  fresh();
  for (int i = 0; i < OUTPUTS; i++) {
    pmn_status st = PMN_STATUS_NO_MEMORY;
    int64_t after = 0;
    for (; st != PMN_STATUS_OK; after++) {
      pmn_verified found;
      pmn_err err;
      pmn_mem_fail_after(after);
      st = verify(outputs[i], &found, &err);
      pmn_mem_fail_after(-1);
      if (st != PMN_STATUS_OK && st != PMN_STATUS_NO_MEMORY) fail_msg("%s: %d, %s", outputs[i], st, err.message);
    }
    assert_true(after > 10);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(whole_outputs_are_as_recorded),
      cmocka_unit_test(every_flip_is_found),
      cmocka_unit_test(arrays_hashed_behind_their_header),
      cmocka_unit_test(every_flip_in_a_single_parquet_file_is_found),
      cmocka_unit_test(flips_in_record_and_rejects),
      cmocka_unit_test(missing_files),
      cmocka_unit_test(unfinished_outputs),
      cmocka_unit_test(added_and_swapped_files),
      cmocka_unit_test(foreign_files),
      cmocka_unit_test(changed_rejects),
      cmocka_unit_test(edited_records),
      cmocka_unit_test(entries_that_make_no_sense),
      cmocka_unit_test(counts_of_another_output),
      cmocka_unit_test(older_versions),
      cmocka_unit_test(other_places),
      cmocka_unit_test(wrong_calls),
      cmocka_unit_test(memory_that_ends),
  };
  return check_exit(cmocka_run_group_tests(tests, make_outputs, remove_outputs));
}
