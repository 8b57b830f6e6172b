/* cli_options.c - see cli_options.h. */
#include "cli_options.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool cli_number(const char *command, const char *name, const char *text, int64_t min, int64_t max, int64_t *value) {
  if (cli_int64(text, min, max, value)) return true;
  if (max == INT64_MAX)
    cli_usage(command, "--%s %s: not a whole number of %lld or more", name, text, (long long)min);
  else
    cli_usage(command, "--%s %s: not a whole number from %lld to %lld", name, text, (long long)min, (long long)max);
  return false;
}

bool cli_number32(const char *command, const char *name, const char *text, int32_t min, int32_t max, int32_t *value) {
  int64_t wide = 0;
  if (!cli_number(command, name, text, min, max, &wide)) return false;
  *value = (int32_t)wide;
  return true;
}

int cli_choice(const char *command, const char *name, const char *text, const char *const *words, int count) {
  for (int i = 0; i < count; i++) {
    if (strcmp(text, words[i]) == 0) return i;
  }
  char list[128] = "";
  for (int i = 0; i < count; i++) {
    size_t used = strlen(list);
    snprintf(list + used, sizeof list - used, "%s%s", i == 0 ? "" : i < count - 1 ? ", " : " or ", words[i]);
  }
  cli_usage(command, "--%s %s: it can be %s", name, text, list);
  return -1;
}

/* ------------------------------------------------------------------------------------------------ statistics -- */

#define COLUMNS_HELP                                                                                                   \
  "Statistics:\n"                                                                                                      \
  "      --standardize[=HOW] subtract each column's mean and divide by its deviation; HOW: mean or std, only one of\n" \
  "                          the two\n"                                                                                \
  "      --pca K             reduce to K principal components; a number below 1 (0.95) takes as many as explain\n"     \
  "                          that share of the variance\n"                                                             \
  "      --compat WHOSE      sklearn (default) or spark: the deviation of the sample (n - 1), columns without\n"       \
  "                          variance become 0, rows are projected as they are unless their mean is subtracted\n"
#define SAVE_HELP                                                                                                      \
  "      --save-projection FILE\n"                                                                                     \
  "                          keep what was fitted, to use it on other rows\n"                                          \
  "      --save-moments FILE keep the sums behind it; pomona merge adds those of several runs\n"
#define MEMORY_HELP                                                                                                    \
  "      --memory SIZE       what this may take, such as 8G (default: a quarter of the machine), beside the "          \
  "program's\n"                                                                                                        \
  "                          own 30 MB, or 150 with OpenCL\n"
#define FIT_HELP COLUMNS_HELP SAVE_HELP MEMORY_HELP

const char cli_columns_help[] = COLUMNS_HELP MEMORY_HELP;
const char cli_fit_help[] = FIT_HELP;
const char cli_statistics_help[] = FIT_HELP
    "      --projection FILE   use what another run has kept, in one pass; features of another kind are refused\n";

/* "100" is a count, "0.95" a share. */
static bool components(const char *command, const char *text, pmn_statistics *s) {
  int64_t count = 0;
  char *end = NULL;
  if (cli_int64(text, 1, INT32_MAX, &count)) {
    s->pca_components = (int32_t)count;
    s->pca_ratio = 0;
    return true;
  }
  double ratio = strtod(text, &end);
  if (end != text && *end == '\0' && ratio > 0 && ratio < 1) {
    s->pca_ratio = ratio;
    s->pca_components = 0;
    return true;
  }
  cli_usage(command, "--pca %s: neither a number of components (100) nor a share of variance (0.95)", text);
  return false;
}

/* "512M", "8G", "1.5T", or bytes; units of 1024. */
static bool size(const char *command, const char *name, const char *text, int64_t *bytes) {
  static const char units[] = "KMGT";
  char *end = NULL;
  double value = strtod(text, &end);
  if (end != text && *end != '\0') {
    const char *unit = strchr(units, *end);
    if (unit != NULL && end[1] == '\0') {
      value = ldexp(value, 10 * (int)(unit - units + 1));
      end++;
    }
  }
  if (end != text && *end == '\0' && value >= 1 && value <= 0x1p60) {
    *bytes = (int64_t)value;
    return true;
  }
  cli_usage(command, "--%s %s: not a size such as 512M or 8G", name, text);
  return false;
}

static bool standardize(const char *command, const char *name, const char *how, pmn_statistics *s) {
  static const char *const words[] = {"mean", "std"};
  int word = how == NULL ? -1 : cli_choice(command, name, how, words, 2);
  if (how != NULL && word < 0) return false;
  s->with_mean = word != 1;
  s->with_std = word != 0;
  return true;
}

bool cli_take_statistics(const char *command, int option, const char *name, pmn_statistics *statistics) {
  static const char *const compat[] = {"sklearn", "spark"};
  pmn_statistics *s = statistics;
  int word;
  switch (option) {
  case CLI_OPT_STANDARDIZE:
    return standardize(command, name, optarg, s);
  case CLI_OPT_PCA:
    return components(command, optarg, s);
  case CLI_OPT_COMPAT:
    word = cli_choice(command, name, optarg, compat, 2);
    if (word >= 0) s->compat = compat[word];
    return word >= 0;
  case CLI_OPT_PROJECTION:
    s->projection = optarg;
    return true;
  case CLI_OPT_SAVE_PROJECTION:
    s->save_projection = optarg;
    return true;
  case CLI_OPT_SAVE_MOMENTS:
    s->save_moments = optarg;
    return true;
  case CLI_OPT_MEMORY:
    return size(command, name, optarg, &s->memory);
  default:
    return false;
  }
}

/* --------------------------------------------------------------------------------------------------- buckets -- */

const char cli_s3_help[] =
    "Buckets (s3://BUCKET/...; keys and the rest as the AWS tools find them: environment, profiles, roles, EC2):\n"
    "      --region NAME       region of the bucket (default: AWS_REGION, the profile's, or what the bucket says)\n"
    "      --endpoint-url URL  another server than AWS's (default: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, the "
    "profile's)\n"
    "      --profile NAME      profile of ~/.aws/config and ~/.aws/credentials\n"
    "      --no-sign-request   without keys, for public buckets\n\n";

bool cli_take_s3(int option, pmn_s3_access *access) {
  switch (option) {
  case CLI_OPT_REGION:
    access->region = optarg;
    return true;
  case CLI_OPT_ENDPOINT_URL:
    access->endpoint = optarg;
    return true;
  case CLI_OPT_PROFILE:
    access->profile = optarg;
    return true;
  case CLI_OPT_NO_SIGN_REQUEST:
    access->no_sign_request = true;
    return true;
  default:
    return false;
  }
}

/* ------------------------------------------------------------------------------------------------------ rows -- */

/* "0", or several: "0,1". */
static bool take_devices(const char *command, const char *name, const char *text, cli_rows *rows) {
  enum { MORE_MAX = sizeof rows->more_devices / sizeof *rows->more_devices };
  int32_t devices[1 + MORE_MAX];
  size_t count = 0;
  for (const char *at = text;; at++) {
    char one[8] = "";
    int64_t number;
    size_t size = strcspn(at, ",");
    if (size < sizeof one) memcpy(one, at, size);
    if (count > MORE_MAX || !cli_int64(one, 0, 1000, &number)) {
      cli_usage(command, "--%s %s: not a whole number from 0 to 1000, nor up to %d of them with commas between", name,
          text, 1 + MORE_MAX);
      return false;
    }
    devices[count++] = (int32_t)number;
    at += size;
    if (*at == '\0') break;
  }
  pmn_extract_options *o = &rows->options;
  o->device = devices[0];
  memcpy(rows->more_devices, devices + 1, (count - 1) * sizeof *devices);
  o->more_devices = rows->more_devices;
  o->more_device_count = count - 1;
  return true;
}

bool cli_take_rows(const char *command, int option, const char *name, cli_rows *rows) {
  static const char *const on_error[] = {"skip", "stop"};
  static const char *const progress[] = {"auto", "plain", "json", "none"};
  pmn_extract_options *o = &rows->options;
  int word;
  switch (option) {
  case 'o':
    o->output = optarg;
    return true;
  case CLI_OPT_FORMAT:
    o->format = optarg;
    return true;
  case CLI_OPT_REJECTS:
    o->rejects = optarg;
    return true;
  case CLI_OPT_PARTS:
    return cli_number32(command, name, optarg, 1, 100000, &o->parts);
  case CLI_OPT_OVERWRITE:
    o->overwrite = true;
    return true;
  case CLI_OPT_BACKEND:
    o->backend = optarg;
    return true;
  case CLI_OPT_DEVICE:
    return take_devices(command, name, optarg, rows);
  case CLI_OPT_THREADS:
    return cli_number32(command, name, optarg, 1, 1024, &o->threads);
  case CLI_OPT_ON_ERROR:
    word = cli_choice(command, name, optarg, on_error, 2);
    o->stop_on_error = word == 1;
    return word >= 0;
  case CLI_OPT_MAX_REJECTS:
    return cli_number(command, name, optarg, 0, INT64_MAX, &o->max_rejects);
  case CLI_OPT_PROGRESS:
    word = cli_choice(command, name, optarg, progress, 4);
    rows->report.progress = word < 0 ? CLI_PROGRESS_NONE : (cli_progress)word;
    return word >= 0;
  case CLI_OPT_JSON:
    rows->json = true;
    return true;
  case 'q':
    rows->report.level = -1;
    return true;
  case 'v':
    rows->report.level = PMN_LEVEL_DETAIL;
    return true;
  case 'h':
    rows->help = true;
    return true;
  default:
    return cli_take_s3(option, &o->s3) || cli_take_statistics(command, option, name, &o->statistics);
  }
}

void cli_rows_start(cli_rows *rows) {
  cli_report_start(&rows->report);
  rows->options.on_progress = cli_report_progress;
  rows->options.on_message = cli_report_message;
  rows->options.callback_arg = &rows->report;
  rows->options.stop = cli_catch_signals();
}

int cli_rows_end(cli_rows *rows, pmn_status status, pmn_summary *summary, const pmn_err *err) {
  cli_report_end(&rows->report);
  if (status != PMN_STATUS_OK) return cli_fail(status, err);
  int code = pmn_summary_counts(summary).rejects > 0 ? EXIT_SOME_REJECTED : EXIT_ALL_ROWS;
  const pmn_extract_options *o = &rows->options;
  cli_report_summary(&rows->report, summary, o->output != NULL ? o->output : o->save_keypoints);
  if (rows->json) printf("%s\n", pmn_summary_record(summary));
  pmn_summary_destroy(summary);
  return code;
}
