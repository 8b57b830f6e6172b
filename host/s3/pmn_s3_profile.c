/* pmn_s3_profile.c - see pmn_s3_profile.h.
 *
 * Not by inih: Debian's build cuts lines at 200 and names at 50 characters, where session tokens have more than a
 * thousand and profile names may be long, hands the cut value out before it tells of an error, and takes what follows
 * " ;" for a comment. Messages never show what stands in a line: it may be a secret.
 */
#define _GNU_SOURCE /* explicit_bzero */
#include "pmn_s3_profile.h"

#include "pmn_file.h"
#include "pmn_mem.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { FILE_MAX = 1 << 20, PATH_SIZE = 4096 };
static const char blanks[] = " \t\r\f\v";

/* A setting, or the head of a section: name NULL. */
typedef struct entry {
  pmn_s3_file file;
  char *section; /* "profile NAME" whatever the file calls it; owned by the head */
  char *name, *value;
} entry;

struct pmn_s3_profiles {
  entry *entries; /* in the order of the files */
  size_t count, capacity;
  char paths[2][PATH_SIZE];
};

typedef struct reader {
  pmn_s3_profiles *profiles;
  pmn_s3_file file;
  const char *path;
  int line;
  char *section; /* NULL before the first */
  size_t indent; /* of the last line that was not continued */
  size_t open;   /* the entry that deeper lines continue; SIZE_MAX: none */
} reader;

const char *pmn_s3_env(const char *name) {
  const char *value = getenv(name);
  return value != NULL && value[0] != '\0' ? value : NULL;
}

/* ----------------------------------------------------------------------------------------------------- reading -- */

static pmn_status fail(const reader *self, const char *what, pmn_err *err) {
  return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0, "%.300s line %d: %s", self->path, self->line, what);
}

static void wipe_text(char *text) {
  if (text != NULL) explicit_bzero(text, strlen(text));
  pmn_free(text);
}

/* Takes all three texts over, also when it fails, or when one that should be there is NULL for want of memory. */
static pmn_status add(reader *self, bool head, char *section, char *name, char *value, pmn_err *err) {
  pmn_s3_profiles *p = self->profiles;
  bool good = section != NULL && (head || (name != NULL && value != NULL));
  if (good && p->count == p->capacity) {
    size_t capacity = 2 * p->capacity + 16;
    entry *grown = pmn_realloc(p->entries, capacity, sizeof *grown);
    good = grown != NULL;
    if (good) p->entries = grown;
    if (good) p->capacity = capacity;
  }
  if (!good) {
    if (head) pmn_free(section);
    pmn_free(name);
    wipe_text(value);
    return pmn_err_memory(err, sizeof(entry), "the AWS profile files");
  }
  p->entries[p->count++] = (entry){self->file, section, name, value};
  return PMN_STATUS_OK;
}

/* "[profile x]", "[default]" of the config file and "[x]" of the credentials file are all "profile x". */
static pmn_status read_section(reader *self, char *text, pmn_err *err) {
  char *end = strchr(text, ']'), *name = text + 1;
  if (end == NULL) return fail(self, "a [section] without its closing bracket", err);
  *end = '\0';
  const char *kind = "";
  if (self->file == PMN_S3_FILE_CREDENTIALS || strcmp(name, "default") == 0) {
    kind = "profile ";
  } else {
    size_t word = strcspn(name, blanks);
    kind = strncmp(name, "profile", 7) == 0 && word == 7    ? "profile "
           : strncmp(name, "services", 8) == 0 && word == 8 ? "services "
                                                            : "";
    if (kind[0] != '\0') name += word + strspn(name + word, blanks);
    size_t length = strlen(name);
    if (length > 1 && strchr("\"'", name[0]) != NULL && name[length - 1] == name[0]) {
      name[length - 1] = '\0';
      name++;
    }
  }
  size_t size = strlen(kind) + strlen(name) + 1;
  char *section = pmn_alloc(size, 1);
  if (section != NULL) snprintf(section, size, "%s%s", kind, name);
  pmn_status st = add(self, true, section, NULL, NULL, err);
  if (st == PMN_STATUS_OK) self->section = section;
  self->open = SIZE_MAX;
  return st;
}

/* Cuts "name = value" in two; false if it is not that. */
static bool split(char *text, const char *delimiters, char **value) {
  size_t name = strcspn(text, delimiters);
  if (text[name] == '\0') return false;
  *value = text + name + 1 + strspn(text + name + 1, blanks);
  while (name > 0 && strchr(blanks, text[name - 1]) != NULL) name--;
  text[name] = '\0';
  return name > 0;
}

static pmn_status read_option(reader *self, char *text, pmn_err *err) {
  char *value;
  if (!split(text, "=:", &value)) return fail(self, "neither [section] nor name = value", err);
  for (char *c = text; *c != '\0'; c++) *c = (char)tolower((unsigned char)*c);
  self->open = self->profiles->count;
  return add(self, false, self->section, pmn_strdup(text), pmn_strdup(value), err);
}

/* An indented line: a setting of its own below "s3 =", or more of a value. */
static pmn_status read_more(reader *self, char *text, pmn_err *err) {
  entry *open = &self->profiles->entries[self->open];
  char *value;
  if (open->value[0] != '\0') {
    size_t size = strlen(open->value) + 1 + strlen(text) + 1;
    char *joined = pmn_alloc(size, 1);
    if (joined == NULL) return pmn_err_memory(err, size, "the AWS profile files");
    snprintf(joined, size, "%s\n%s", open->value, text);
    wipe_text(open->value);
    open->value = joined;
    return PMN_STATUS_OK;
  }
  if (!split(text, "=", &value)) return fail(self, "an indented line that is not name = value", err);
  size_t size = strlen(open->name) + 1 + strlen(text) + 1;
  char *name = pmn_alloc(size, 1);
  if (name != NULL) snprintf(name, size, "%s.%s", open->name, text);
  return add(self, false, self->section, name, pmn_strdup(value), err);
}

static pmn_status read_line(reader *self, char *line, pmn_err *err) {
  size_t indent = strspn(line, blanks), end = strlen(line);
  while (end > indent && strchr(blanks, line[end - 1]) != NULL) line[--end] = '\0';
  char *text = line + indent;
  if (text[0] == '\0' || text[0] == '#' || text[0] == ';') return PMN_STATUS_OK;
  if (self->open != SIZE_MAX && indent > self->indent) return read_more(self, text, err);
  self->indent = indent;
  if (text[0] == '[') return read_section(self, text, err);
  if (self->section == NULL) return fail(self, "a setting before the first [section]", err);
  return read_option(self, text, err);
}

static pmn_status read_file(pmn_s3_profiles *profiles, pmn_s3_file file, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const char *path = profiles->paths[file];
  reader self = {.profiles = profiles, .file = file, .path = path, .open = SIZE_MAX};
  struct stat info;
  pmn_buf bytes;
  pmn_buf_init(&bytes, FILE_MAX);
  if (path[0] == '\0' || (stat(path, &info) != 0 && (errno == ENOENT || errno == ENOTDIR))) goto done;
  if (strcmp(path, "/dev/null") == 0) goto done; /* a common way to say: none */
  PMN_TRY(pmn_file_read(path, &bytes, err));
  if (bytes.size > 0 && memchr(bytes.data, '\0', bytes.size) != NULL) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%.300s holds NUL bytes: it is no profile file", path);
  }
  char *line = bytes.data;
  if (line != NULL && strncmp(line, "\xef\xbb\xbf", 3) == 0) line += 3;
  for (char *next = line; next != NULL; line = next) {
    self.line++;
    next = strchr(line, '\n');
    if (next != NULL) *next++ = '\0';
    PMN_TRY(read_line(&self, line, err));
  }
done:
  if (bytes.data != NULL) explicit_bzero(bytes.data, bytes.capacity);
  pmn_buf_reset(&bytes);
  return st;
}

static pmn_status find_path(const char *variable, const char *standard, char path[PATH_SIZE], pmn_err *err) {
  const char *named = pmn_s3_env(variable), *home = pmn_s3_env("HOME");
  if (named == NULL) named = standard;
  bool at_home = strncmp(named, "~/", 2) == 0;
  if (at_home && home == NULL) return PMN_STATUS_OK; /* no home, no file */
  int length = snprintf(path, PATH_SIZE, "%s%s", at_home ? home : "", at_home ? named + 1 : named);
  if (length < PATH_SIZE) return PMN_STATUS_OK;
  return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0, "the path in %s is too long", variable);
}

pmn_status pmn_s3_profiles_create(pmn_s3_profiles **profiles, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_s3_profiles *self = pmn_calloc(1, sizeof *self);
  *profiles = NULL;
  if (self == NULL) return pmn_err_memory(err, sizeof *self, "the AWS profile files");
  PMN_TRY(find_path("AWS_CONFIG_FILE", "~/.aws/config", self->paths[PMN_S3_FILE_CONFIG], err));
  PMN_TRY(find_path("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials", self->paths[PMN_S3_FILE_CREDENTIALS], err));
  PMN_TRY(read_file(self, PMN_S3_FILE_CONFIG, err));
  PMN_TRY(read_file(self, PMN_S3_FILE_CREDENTIALS, err));
  *profiles = self;
  self = NULL;
done:
  pmn_s3_profiles_destroy(self);
  return st;
}

void pmn_s3_profiles_destroy(pmn_s3_profiles *profiles) {
  if (profiles == NULL) return;
  for (size_t i = 0; i < profiles->count; i++) {
    entry *e = &profiles->entries[i];
    if (e->name == NULL) pmn_free(e->section);
    pmn_free(e->name);
    wipe_text(e->value);
  }
  pmn_free(profiles->entries);
  pmn_free(profiles);
}

/* ------------------------------------------------------------------------------------------------------ asking -- */

/* The last entry of that name, name NULL: the last head; NULL if there is none. */
static const entry *find(
    const pmn_s3_profiles *profiles, const char *kind, const char *of, const char *name, pmn_s3_file file) {
  size_t length = strlen(kind);
  for (size_t i = profiles->count; i-- > 0;) {
    const entry *e = &profiles->entries[i];
    if (file != PMN_S3_FILE_ANY && e->file != file) continue;
    if (strncmp(e->section, kind, length) != 0 || strcmp(e->section + length, of) != 0) continue;
    if (name == NULL ? e->name == NULL : e->name != NULL && strcmp(e->name, name) == 0) return e;
  }
  return NULL;
}

bool pmn_s3_profiles_has(const pmn_s3_profiles *profiles, const char *profile) {
  return find(profiles, "profile ", profile, NULL, PMN_S3_FILE_ANY) != NULL;
}

const char *pmn_s3_profiles_get(
    const pmn_s3_profiles *profiles, const char *profile, const char *name, pmn_s3_file file) {
  const entry *e = find(profiles, "profile ", profile, name, file);
  return e != NULL && e->value[0] != '\0' ? e->value : NULL;
}

const char *pmn_s3_profiles_service(
    const pmn_s3_profiles *profiles, const char *services, const char *name, bool *found) {
  const entry *e = find(profiles, "services ", services, name, PMN_S3_FILE_ANY);
  *found = find(profiles, "services ", services, NULL, PMN_S3_FILE_ANY) != NULL;
  return e != NULL && e->value[0] != '\0' ? e->value : NULL;
}

const char *pmn_s3_profiles_path(const pmn_s3_profiles *profiles, pmn_s3_file file) {
  return profiles->paths[file];
}
