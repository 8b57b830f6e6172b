/* pmn_verify.c - pmn_verify of pomona.h. */
#include "pmn_run.h"

#include "pmn_job_verify.h"
#include "pmn_s3.h"

pmn_status pmn_verify(const pmn_verify_options *options, pmn_verified *verified, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_s3 *s3 = NULL;
  if (options->struct_size != sizeof *options) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "pmn_verify_options was not made by PMN_VERIFY_OPTIONS_INIT of this version");
  }
  if (options->output == NULL || options->output[0] == '\0') PMN_FAIL(err, PMN_STATUS_ARGUMENT, "no output is named");
  if (pmn_s3_is_uri(options->output)) PMN_TRY(pmn_run_make_s3(&options->s3, options->stop, &s3, err));
  PMN_TRY(pmn_job_verify(s3, options->output, options->stop, verified, err));
done:
  pmn_s3_destroy(s3);
  return st;
}
