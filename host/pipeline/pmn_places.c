/* pmn_places.c - see pmn_places.h. A handful of names, once a run. */
#include "pmn_places.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { PATH_SIZE = 4352 /* the system takes 4096 bytes; what is longer leads nowhere */ };

/* A place, looked up. */
typedef struct spot {
  char path[PATH_SIZE];
  const char *name; /* last component, within it */
  bool has_folder, exists;
  struct stat folder, file;
} spot;

static void look(const pmn_place *place, spot *s) {
  snprintf(s->path, sizeof s->path, "%s%s", place->path, place->suffix != NULL ? place->suffix : "");
  for (size_t size = strlen(s->path); place->is_folder && size > 1 && s->path[size - 1] == '/';) s->path[--size] = '\0';
  char *slash = strrchr(s->path, '/'), *name = slash == NULL ? s->path : slash + 1, first = *name;
  s->name = name;
  s->exists = stat(s->path, &s->file) == 0;
  *name = '\0';
  s->has_folder = stat(slash == NULL ? "." : s->path, &s->folder) == 0;
  *name = first;
}

static bool same(const struct stat *a, const struct stat *b) {
  return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* b lies in the folder that a is. */
static bool holds(const pmn_place *place, const spot *a, const spot *b) {
  return place->is_folder && a->exists && b->has_folder && same(&a->file, &b->folder);
}

static bool collide(const pmn_place *a, const spot *x, const pmn_place *b, const spot *y, bool is_input) {
  if (holds(a, x, y) || holds(b, y, x)) return true;
  if (is_input && x->exists && same(&x->file, &y->file)) return true;
  if (strcmp(x->path, y->path) == 0) return true;
  return x->has_folder && y->has_folder && same(&x->folder, &y->folder) && strcmp(x->name, y->name) == 0;
}

static pmn_status check_inputs(
    const pmn_place *output, const spot *out, const pmn_place *inputs, size_t count, pmn_err *err) {
  for (size_t i = 0; i < count; i++) {
    spot in;
    if (inputs[i].path == NULL) continue;
    look(&inputs[i], &in);
    if (!in.exists || S_ISDIR(in.file.st_mode) || !collide(output, out, &inputs[i], &in, true)) continue;
    return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0, "%.180s would be replaced by %s, %.180s: give that another name",
        in.path, output->what, out->path);
  }
  return PMN_STATUS_OK;
}

pmn_status pmn_places_check(
    const pmn_place *outputs, size_t output_count, const pmn_place *inputs, size_t input_count, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  for (size_t i = 0; i < output_count; i++) {
    spot a, b;
    if (outputs[i].path == NULL) continue;
    look(&outputs[i], &a);
    for (size_t j = 0; j < i; j++) {
      if (outputs[j].path == NULL) continue;
      look(&outputs[j], &b);
      if (collide(&outputs[i], &a, &outputs[j], &b, false)) {
        PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%.300s is to be two things at once, %s and %s: give each a file of its own",
            a.path, outputs[j].what, outputs[i].what);
      }
    }
    PMN_TRY(check_inputs(&outputs[i], &a, inputs, input_count, err));
  }
done:
  return st;
}
