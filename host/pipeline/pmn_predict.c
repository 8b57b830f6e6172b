/* pmn_predict.c - pmn_predict of pomona.h: a line of CSV for every picture, in the order of the listing. */
#include "pmn_classify.h"

#include "pmn_csv_text.h"
#include "pmn_float.h"

#include <string.h>

typedef struct prediction {
  pmn_classify classify; /* first: it is given to the calls below */
  pmn_outfile *file;     /* the run's own */
  pmn_buf line;
} prediction;

static pmn_status begin(pmn_classify *classify, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  prediction *self = (prediction *)classify;
  const char *header = pmn_run_counts_keypoints(&classify->run) ? "path,label,class,probability,keypoints\n"
                                                                : "path,label,class,probability\n";
  PMN_TRY(pmn_classify_open(classify, &self->file, err));
  PMN_TRY(pmn_outfile_write(self->file, header, strlen(header), err));
done:
  return st;
}

static pmn_status took(pmn_classify *classify, int64_t index, int32_t class_number, double probability, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  prediction *self = (prediction *)classify;
  pmn_item item = pmn_listing_item(classify->run.listing, index);
  const char *const fields[] = {item.key, item.label, classify->model->classes.names[class_number]};
  char number[PMN_FLOAT_TEXT_MAX];
  pmn_buf_clear(&self->line);
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
    PMN_TRY(pmn_csv_text_append(&self->line, fields[i], err));
    PMN_TRY(pmn_buf_append(&self->line, ",", 1, err));
  }
  PMN_TRY(pmn_buf_append(&self->line, number, pmn_float_print((float)probability, number), err));
  if (pmn_run_counts_keypoints(&classify->run))
    PMN_TRY(pmn_buf_printf(&self->line, err, ",%d", classify->run.keypoint_counts[index]));
  PMN_TRY(pmn_buf_append(&self->line, "\n", 1, err));
  PMN_TRY(pmn_outfile_write(self->file, self->line.data, self->line.size, err));
done:
  return st;
}

static pmn_status end(pmn_classify *classify, pmn_err *err) {
  return pmn_outfile_seal(((prediction *)classify)->file, err);
}

pmn_status pmn_predict(const pmn_classify_options *options, pmn_summary **summary, pmn_err *err) {
  prediction self = {
      .classify = {
          .run = {.product = "the predictions"}, .wants_output = true, .begin = begin, .took = took, .end = end}};
  pmn_buf_init(&self.line, 4 * PMN_CSV_FIELD_MAX);
  pmn_status st = pmn_classify_run(&self.classify, options, summary, err);
  pmn_classify_reset(&self.classify);
  pmn_buf_reset(&self.line);
  return st;
}
