/* pmn_evaluate.c - pmn_evaluate of pomona.h: what is predicted, held against what is true.
 *
 * A row counts in the matrix if the training knew its label. The others cannot be right, and would make accuracy a
 * number about the choice of pictures: they are counted apart, by their labels. Without one of the former there is no
 * evaluation.
 */
#include "pmn_classify.h"

#include "pmn_csv_text.h"
#include "pmn_float.h"
#include "pmn_json.h"
#include "pmn_mem.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

struct pmn_evaluation {
  pmn_evaluation_totals totals;
  pmn_classes known, unknown;
  pmn_class_scores *classes, *unseen; /* [known.count], [unknown.count] */
  int64_t *confusion;                 /* [known.count, known.count] */
};

typedef struct assessment {
  pmn_classify classify; /* first: it is given to the calls below */
  pmn_evaluation *made;
  int64_t *unseen; /* [totals.unseen_rows] indices in the listing */
} assessment;

void pmn_evaluation_destroy(pmn_evaluation *evaluation) {
  if (evaluation == NULL) return;
  pmn_classes_reset(&evaluation->known);
  pmn_classes_reset(&evaluation->unknown);
  pmn_free(evaluation->classes);
  pmn_free(evaluation->unseen);
  pmn_free(evaluation->confusion);
  pmn_free(evaluation);
}

pmn_evaluation_totals pmn_evaluation_get(const pmn_evaluation *evaluation) {
  return evaluation->totals;
}

const pmn_class_scores *pmn_evaluation_classes(const pmn_evaluation *evaluation, int32_t *count) {
  *count = evaluation->known.count;
  return evaluation->classes;
}

const int64_t *pmn_evaluation_confusion(const pmn_evaluation *evaluation) {
  return evaluation->confusion;
}

const pmn_class_scores *pmn_evaluation_unseen(const pmn_evaluation *evaluation, int32_t *count) {
  *count = evaluation->unknown.count;
  return evaluation->unseen;
}

/* ------------------------------------------------------------------------------------------------------ count -- */

/* Without a label that the model knows there is nothing to hold it against. */
static pmn_status check_labels(const pmn_run *run, const pmn_classes *known, pmn_err *err) {
  for (int64_t i = 0; i < run->counts.listed; i++) {
    if (pmn_classes_find(known, pmn_listing_item(run->listing, i).label) >= 0) return PMN_STATUS_OK;
  }
  const char *label = pmn_listing_item(run->listing, 0).label, *quote = label[0] != '\0' ? "\"" : "";
  return pmn_err_set(err, PMN_STATUS_NOT_FOUND, 0,
      "none of %lld pictures has a label that the model knows: the first picture's is %s%.120s%s, the model's first is "
      "\"%.120s\"; --label-level and --label-regex say where labels are",
      (long long)run->counts.listed, quote, label[0] != '\0' ? label : "missing", quote, known->names[0]);
}

static pmn_status begin(pmn_classify *classify, pmn_err *err) {
  pmn_status st = check_labels(&classify->run, &classify->model->classes, err);
  if (st != PMN_STATUS_OK) return st;
  assessment *self = (assessment *)classify;
  pmn_evaluation *made = self->made;
  size_t count = (size_t)classify->model->classes.count, rows = (size_t)classify->run.counts.listed;
  made->known = classify->model->classes;
  classify->model->classes = (pmn_classes){0};
  made->classes = pmn_calloc(count, sizeof *made->classes);
  made->confusion = pmn_calloc(count, count * sizeof *made->confusion);
  self->unseen = pmn_alloc(rows, sizeof *self->unseen);
  if (made->classes == NULL || made->confusion == NULL || self->unseen == NULL)
    return pmn_err_memory(err, count * count * sizeof *made->confusion, "the confusion matrix");
  for (size_t i = 0; i < count; i++) made->classes[i].label = made->known.names[i];
  return PMN_STATUS_OK;
}

/* No keypoint was found where words are counted. */
static bool is_blank(const pmn_run *run, int64_t index) {
  return run->keypoint_counts != NULL && run->keypoint_counts[index] == 0;
}

static pmn_status took(pmn_classify *classify, int64_t index, int32_t class_number, double probability, pmn_err *err) {
  (void)probability, (void)err;
  assessment *self = (assessment *)classify;
  pmn_evaluation *made = self->made;
  int32_t truth = pmn_classes_find(&made->known, pmn_listing_item(classify->run.listing, index).label);
  if (truth < 0) {
    self->unseen[made->totals.unseen_rows++] = index;
    return PMN_STATUS_OK;
  }
  made->confusion[(size_t)truth * (size_t)made->known.count + (size_t)class_number]++;
  made->classes[truth].rows++;
  made->classes[class_number].predicted++;
  made->classes[truth].correct += truth == class_number;
  made->classes[truth].blank += is_blank(&classify->run, index);
  return PMN_STATUS_OK;
}

static double ratio(int64_t part, int64_t whole) {
  return whole > 0 ? (double)part / (double)whole : NAN;
}

static void score(pmn_evaluation *made) {
  pmn_evaluation_totals *totals = &made->totals;
  for (int32_t i = 0; i < made->known.count; i++) {
    pmn_class_scores *c = &made->classes[i];
    c->precision = ratio(c->correct, c->predicted);
    c->recall = ratio(c->correct, c->rows);
    totals->rows += c->rows;
    totals->correct += c->correct;
    totals->blank_rows += c->blank;
  }
  totals->accuracy = ratio(totals->correct, totals->rows);
}

static pmn_status list_unseen(assessment *self, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_evaluation *made = self->made;
  const pmn_run *run = &self->classify.run;
  int64_t rows = made->totals.unseen_rows;
  const char **labels = pmn_alloc((size_t)rows, sizeof *labels);
  if (labels == NULL) PMN_TRY(pmn_err_memory(err, (size_t)rows * sizeof *labels, "labels"));
  for (int64_t i = 0; i < rows; i++) labels[i] = pmn_listing_item(run->listing, self->unseen[i]).label;
  PMN_TRY(pmn_classes_collect(labels, rows, &made->unknown, err));
  size_t count = (size_t)made->unknown.count;
  made->unseen = pmn_calloc(count, sizeof *made->unseen);
  if (made->unseen == NULL) PMN_TRY(pmn_err_memory(err, count * sizeof *made->unseen, "labels"));
  for (size_t i = 0; i < count; i++)
    made->unseen[i] = (pmn_class_scores){.label = made->unknown.names[i], .precision = NAN, .recall = NAN};
  for (int64_t i = 0; i < rows; i++) {
    pmn_class_scores *c = &made->unseen[pmn_classes_find(&made->unknown, labels[i])];
    c->rows++;
    c->blank += is_blank(run, self->unseen[i]);
  }
  if (rows > 0) {
    pmn_run_message(&self->classify.run, PMN_LEVEL_WARNING,
        "%lld pictures have one of %d labels that the training did not know: they are counted apart", (long long)rows,
        made->unknown.count);
  }
done:
  pmn_free(labels);
  return st;
}

/* ----------------------------------------------------------------------------------------------------- outputs -- */

/* A line of the table; names are raw bytes, and NULL where there is none. A measure is ASCII without a comma. */
static pmn_status begin_line(pmn_buf *line, const char *measure, const char *label, const char *class, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_buf_clear(line);
  PMN_TRY(pmn_buf_printf(line, err, "%s,", measure));
  if (label != NULL) PMN_TRY(pmn_csv_text_append(line, label, err));
  PMN_TRY(pmn_buf_append(line, ",", 1, err));
  if (class != NULL) PMN_TRY(pmn_csv_text_append(line, class, err));
  PMN_TRY(pmn_buf_append(line, ",", 1, err));
done:
  return st;
}

typedef struct table {
  pmn_outfile *file;
  pmn_buf line;
} table;

static pmn_status put_count(
    table *to, const char *measure, const char *label, const char *class, int64_t count, pmn_err *err) {
  pmn_status st = begin_line(&to->line, measure, label, class, err);
  if (st == PMN_STATUS_OK) st = pmn_buf_printf(&to->line, err, "%lld\n", (long long)count);
  return st == PMN_STATUS_OK ? pmn_outfile_write(to->file, to->line.data, to->line.size, err) : st;
}

/* As the numbers of tables are; 0 / 0 is an empty field. */
static pmn_status put_share(table *to, const char *measure, const char *label, double share, pmn_err *err) {
  char number[PMN_FLOAT_TEXT_MAX];
  size_t size = isnan(share) ? 0 : pmn_float_print((float)share, number);
  pmn_status st = begin_line(&to->line, measure, label, NULL, err);
  if (st == PMN_STATUS_OK) st = pmn_buf_append(&to->line, number, size, err);
  if (st == PMN_STATUS_OK) st = pmn_buf_append(&to->line, "\n", 1, err);
  return st == PMN_STATUS_OK ? pmn_outfile_write(to->file, to->line.data, to->line.size, err) : st;
}

/* measure,label,class,value: one form for everything, so that labels of any names have their place, and none of them is
 * a column. */
static pmn_status write_table(assessment *self, pmn_err *err) {
  static const char head[] = "measure,label,class,value\n";
  pmn_status st = PMN_STATUS_OK;
  const pmn_evaluation *made = self->made;
  const pmn_run *run = &self->classify.run;
  int32_t count = made->known.count;
  table to = {.file = NULL};
  pmn_buf_init(&to.line, SIZE_MAX); /* a class is a name of a file, and each was in memory before */
  PMN_TRY(pmn_classify_open(&self->classify, &to.file, err));
  PMN_TRY(pmn_outfile_write(to.file, head, sizeof head - 1, err));
  PMN_TRY(put_share(&to, "accuracy", NULL, made->totals.accuracy, err));
  for (int32_t i = 0; i < count; i++) {
    const pmn_class_scores *c = &made->classes[i];
    PMN_TRY(put_count(&to, "pictures", c->label, NULL, c->rows, err));
    if (pmn_run_counts_keypoints(run)) PMN_TRY(put_count(&to, "blank", c->label, NULL, c->blank, err));
    PMN_TRY(put_share(&to, "precision", c->label, c->precision, err));
    PMN_TRY(put_share(&to, "recall", c->label, c->recall, err));
  }
  for (int32_t i = 0; i < count; i++) {
    const int64_t *counts = made->confusion + (size_t)i * (size_t)count;
    for (int32_t j = 0; j < count; j++)
      PMN_TRY(put_count(&to, "confusion", made->known.names[i], made->known.names[j], counts[j], err));
  }
  for (int32_t i = 0; i < made->unknown.count; i++)
    PMN_TRY(put_count(&to, "unseen", made->unseen[i].label, NULL, made->unseen[i].rows, err));
  PMN_TRY(pmn_outfile_seal(to.file, err));
done:
  pmn_buf_reset(&to.line);
  return st;
}

static json_t *real_json(double value) {
  return isnan(value) ? json_null() : json_real(value);
}

/* Takes the value; false when memory cannot be had. */
static bool append(json_t *array, json_t *value) {
  return json_array_append_new(array, value) == 0;
}

static json_t *evaluation_json(const pmn_evaluation *e) {
  bool good = true;
  json_t *classes = json_array(), *confusion = json_array(), *unseen = json_array();
  for (int32_t i = 0; i < e->known.count; i++) {
    const pmn_class_scores *c = &e->classes[i];
    good = good && append(classes, json_pack("{s:o, s:I, s:I, s:I, s:I, s:o, s:o}", "label", pmn_json_name(c->label),
                                       "rows", (json_int_t)c->rows, "blank", (json_int_t)c->blank, "predicted",
                                       (json_int_t)c->predicted, "correct", (json_int_t)c->correct, "precision",
                                       real_json(c->precision), "recall", real_json(c->recall)));
    json_t *row = json_array();
    for (int32_t j = 0; j < e->known.count; j++)
      good =
          good && append(row, json_integer((json_int_t)e->confusion[(size_t)i * (size_t)e->known.count + (size_t)j]));
    good = append(confusion, row) && good;
  }
  for (int32_t i = 0; i < e->unknown.count; i++) {
    const pmn_class_scores *c = &e->unseen[i];
    good = good && append(unseen, json_pack("{s:o, s:I, s:I}", "label", pmn_json_name(c->label), "rows",
                                      (json_int_t)c->rows, "blank", (json_int_t)c->blank));
  }
  json_t *json = json_pack("{s:o, s:I, s:I, s:I, s:I, s:o, s:o, s:o}", "accuracy", real_json(e->totals.accuracy),
      "rows", (json_int_t)e->totals.rows, "correct", (json_int_t)e->totals.correct, "unseen_rows",
      (json_int_t)e->totals.unseen_rows, "blank_rows", (json_int_t)e->totals.blank_rows, "classes", classes,
      "confusion", confusion, "unseen", unseen);
  if (good) return json;
  json_decref(json);
  return NULL;
}

static pmn_status end(pmn_classify *classify, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  assessment *self = (assessment *)classify;
  score(self->made);
  if (self->made->totals.rows == 0)
    PMN_FAIL(err, PMN_STATUS_REJECTED,
        "of the pictures whose labels the model knows none could be read; the first one "
        "rejected is %.300s",
        classify->run.first_reject.message);
  PMN_TRY(list_unseen(self, err));
  if (classify->options->rows.output != NULL) PMN_TRY(write_table(self, err));
  if (json_object_set_new(classify->run.results, "evaluation", evaluation_json(self->made)) != 0)
    st = pmn_err_memory(err, 1, "the run record");
done:
  return st;
}

pmn_status pmn_evaluate(
    const pmn_classify_options *options, pmn_evaluation **evaluation, pmn_summary **summary, pmn_err *err) {
  assessment self = {.classify = {.run = {.product = "the evaluation"}, .begin = begin, .took = took, .end = end},
      .made = pmn_calloc(1, sizeof *self.made)};
  *evaluation = NULL;
  *summary = NULL;
  if (self.made == NULL) return pmn_err_memory(err, sizeof *self.made, "an evaluation");
  pmn_status st = pmn_classify_run(&self.classify, options, summary, err);
  if (st == PMN_STATUS_OK) {
    *evaluation = self.made;
    self.made = NULL;
  }
  pmn_evaluation_destroy(self.made);
  pmn_free(self.unseen);
  pmn_classify_reset(&self.classify);
  return st;
}
