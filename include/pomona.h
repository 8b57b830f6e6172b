/* pomona.h - turn folders of pictures into tables of features.
 *
 * The one public header of libpomona. The smallest whole program:
 *
 *   #include <pomona.h>
 *   #include <stdio.h>
 *
 *   int main(void) {
 *     const char *sources[] = {"pictures/"};
 *     pmn_extract_options options = PMN_EXTRACT_OPTIONS_INIT;
 *     options.sources = sources;
 *     options.source_count = 1;
 *     options.output = "features.parquet";
 *     pmn_summary *summary = NULL;
 *     pmn_err err = PMN_ERR_INIT;
 *     pmn_status status = pmn_extract(&options, &summary, &err);
 *     if (status != PMN_STATUS_OK) fprintf(stderr, "%s\n", err.message);
 *     else printf("%lld rows\n", (long long)pmn_summary_counts(summary).rows);
 *     pmn_summary_destroy(summary);
 *     return status != PMN_STATUS_OK;
 *   }
 *
 * Rules of the house, true of every call below:
 *   - A pmn_status tells the machine what happened, a pmn_err (on the caller's stack, may be NULL) tells the human.
 *   - The library never prints, exits or aborts. Its visible global effects: OpenBLAS, if the caller uses it too, is
 * set to one thread for the process, because its sums depend on their number; and while a bucket is used, the process
 * leaves no core file (PR_SET_DUMPABLE), because keys are in its memory.
 *   - Texts returned as `const char *` are borrowed from the object they came from and live as long as it does.
 *   - Every destroy accepts NULL.
 */
#ifndef POMONA_H
#define POMONA_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PMN_API __attribute__((visibility("default")))
#define PMN_MUST_USE __attribute__((warn_unused_result))
#define PMN_PRINTF(format_index, first_argument) __attribute__((format(printf, format_index, first_argument)))

/* What happened. Numbers come in bands: 1 arguments, 20 files and formats, 40 network, 60 device, 80 memory, 90
 * signals. */
typedef enum pmn_status {
  PMN_STATUS_OK = 0,
  PMN_STATUS_ARGUMENT = 1,     /* an option or argument is wrong, or asks for what the data cannot give */
  PMN_STATUS_NOT_FOUND = 20,   /* an input does not exist or cannot be read */
  PMN_STATUS_IMAGE = 21,       /* one picture cannot be decoded; the run may go on without it */
  PMN_STATUS_REJECTED = 22,    /* too many pictures were rejected: more than allowed, or all of them */
  PMN_STATUS_EXISTS = 23,      /* an output exists and overwrite was not given */
  PMN_STATUS_WRITE = 24,       /* an output cannot be written */
  PMN_STATUS_MODEL = 25,       /* a model, weights or statistics file is malformed, or holds what we cannot compute */
  PMN_STATUS_NETWORK = 40,     /* temporary; the same call may succeed later */
  PMN_STATUS_PAUSED = 41,      /* ended early as asked, with everything done so far kept for a later call with resume */
  PMN_STATUS_KEYS = 42,        /* a service refuses the keys of a bucket, or they have expired; others may do */
  PMN_STATUS_DEVICE = 60,      /* the compute device is missing, fails or computes wrong */
  PMN_STATUS_NO_MEMORY = 80,   /* memory could not be had */
  PMN_STATUS_INTERRUPTED = 90, /* the caller's stop flag was raised */
} pmn_status;

/* What to tell a human. `message` is one line of UTF-8 without newline: what, where, and what to do. */
typedef struct pmn_err {
  pmn_status status;
  int32_t foreign; /* the code of the library below (errno, cl_int, ...), 0 if none */
  char message[512];
} pmn_err;
#define PMN_ERR_INIT                                                                                                   \
  { PMN_STATUS_OK, 0, "" }

/* Version of the library as text, for example "0.1.0". */
PMN_API const char *pmn_version(void);

/* ---------------------------------------------------------------------------------------------------- devices -- */

typedef enum pmn_device_type { PMN_DEVICE_CPU, PMN_DEVICE_GPU, PMN_DEVICE_OTHER } pmn_device_type;

/* One thing that can compute. `backend` is "cpu" or "opencl"; `index` is what `--device` takes, counted per backend. */
typedef struct pmn_device_info {
  char backend[16];
  int32_t index;
  pmn_device_type type;
  char name[128];
  char driver[192];      /* driver and platform, or the instruction set for "cpu" */
  uint64_t memory_bytes; /* global memory */
  int32_t compute_units; /* processors, as the device counts them */
} pmn_device_info;

/* Writes up to `capacity` devices to `list` and their number to *count (which may exceed capacity: call again).
 * No OpenCL platform is no error: only "cpu" is listed. Errors: PMN_STATUS_NO_MEMORY, PMN_STATUS_DEVICE. */
PMN_API PMN_MUST_USE pmn_status pmn_devices_list(pmn_device_info *list, int32_t capacity, int32_t *count, pmn_err *err);

/* Options of pmn_doctor. Start from PMN_DOCTOR_OPTIONS_INIT. */
typedef struct pmn_doctor_options {
  size_t struct_size; /* set by the INIT macro */
  /* Probes may hang with a driver that does, so each runs in a process of its own: this program with the arguments
   * doctor-probe, NAME and DEVICE, which must call pmn_doctor_probe and exit with 0 for PMN_STATUS_OK, else print the
   * message and exit with another code. NULL: no probes. */
  const char *probe_program;
  double probe_seconds; /* a child that takes longer is killed; 0: 60 */
} pmn_doctor_options;
#define PMN_DOCTOR_OPTIONS_INIT                                                                                        \
  { .struct_size = sizeof(pmn_doctor_options) }

typedef struct pmn_fact {
  const char *section; /* "program", "processor", "OpenCL", "device 0" and so on, "advice" */
  const char *name, *value;
} pmn_fact;

typedef struct pmn_diagnosis pmn_diagnosis;

/* Examines this machine: program, processor, OpenCL's drivers, and every OpenCL device: what it is, probes, the check
 * against the reference, launch and copy rates. Takes seconds, a minute where kernels must be compiled. A device that
 * fails is a fact, not an error. Errors: PMN_STATUS_ARGUMENT, PMN_STATUS_DEVICE (the probe program cannot be started),
 * PMN_STATUS_NO_MEMORY. */
PMN_API PMN_MUST_USE pmn_status pmn_doctor(const pmn_doctor_options *options, pmn_diagnosis **diagnosis, pmn_err *err);
PMN_API const pmn_fact *pmn_diagnosis_facts(const pmn_diagnosis *diagnosis, int32_t *count);
/* Every device that is there is right; true also where there is none. */
PMN_API bool pmn_diagnosis_healthy(const pmn_diagnosis *diagnosis);
PMN_API const char *pmn_diagnosis_record(const pmn_diagnosis *diagnosis); /* all of it as JSON */
PMN_API void pmn_diagnosis_destroy(pmn_diagnosis *diagnosis);

/* One probe, in this process; for the child of pmn_doctor alone. PMN_STATUS_DEVICE with the reason if it fails. */
PMN_API PMN_MUST_USE pmn_status pmn_doctor_probe(const char *name, int32_t device, pmn_err *err);

/* --------------------------------------------------------------------------------------------------- networks -- */

/* A network that can be named. Texts live as long as the program. */
typedef struct pmn_network_info {
  const char *name, *description;
  const char *licence;    /* of the published weights */
  const char *layer;      /* whose values are the features, unless others are asked for */
  const char *preprocess; /* formula */
  const char *resize;     /* filter */
  int32_t size;           /* width and height of the pictures it was trained on */
  bool embedded;          /* its weights are in the library */
  char weights[4096];     /* the file that is used when none is given; "" if there is none or they are embedded */
} pmn_network_info;

/* Writes up to `capacity` networks to `list` and their number to *count (which may exceed capacity: call again). */
PMN_API PMN_MUST_USE pmn_status pmn_networks_list(
    pmn_network_info *list, int32_t capacity, int32_t *count, pmn_err *err);

/* What is to be looked at. Start from PMN_INSPECT_OPTIONS_INIT. */
typedef struct pmn_inspect_options {
  size_t struct_size;    /* set by the INIT macro */
  const char *target;    /* a network's name, an .onnx file, a safetensors file, or what a run has kept: a projection,
                            moments, a vocabulary, a model */
  const char *network;   /* of a safetensors file that does not say whose weights it holds; may be NULL */
  int32_t width, height; /* of the input; 0: the network's own */
} pmn_inspect_options;
#define PMN_INSPECT_OPTIONS_INIT                                                                                       \
  { .struct_size = sizeof(pmn_inspect_options) }

/* A layer with the tensor it gives; or, of a safetensors file of no known network, a tensor. */
typedef struct pmn_layer_info {
  const char *name, *kind; /* kind: "conv2d", "batch_norm", ..., or a tensor's type */
  const char *shape;       /* "7 x 7 x 2048": height, width, channels */
  int64_t parameters;      /* numbers learnt */
  int64_t operations;      /* multiplications with addition, for one picture */
} pmn_layer_info;

typedef struct pmn_inspection pmn_inspection;

/* What is known of the whole; texts are borrowed, NULL for what there is not. */
typedef struct pmn_inspection_info {
  const char *kind; /* "network", "ONNX", "safetensors"; "pomona.projection", ".moments", ".vocabulary", ".model" */
  const char *name;
  const char *sha256;     /* of the file, in hex */
  const char *preprocess; /* formula; NULL if the file says nothing: it must then be named for a run */
  const char *features;   /* the layer that is taken unless others are asked for */
  int32_t opset;          /* of ONNX, else 0 */
  int32_t width, height;  /* of the input that shapes and operations are given for */
  bool any_size;          /* the input's size may be chosen */
  int64_t parameters, operations;
  const char *made; /* of what a run has kept: its record of how that was made, as JSON */
} pmn_inspection_info;

/* A file that can be read but not run, for its operators, is no error: see pmn_inspection_unsupported. Errors:
 * PMN_STATUS_ARGUMENT, PMN_STATUS_NOT_FOUND, PMN_STATUS_MODEL, PMN_STATUS_NO_MEMORY. */
PMN_API PMN_MUST_USE pmn_status pmn_inspect(
    const pmn_inspect_options *options, pmn_inspection **inspection, pmn_err *err);
PMN_API pmn_inspection_info pmn_inspection_get(const pmn_inspection *inspection);
PMN_API const pmn_layer_info *pmn_inspection_layers(const pmn_inspection *inspection, int32_t *count);
/* Every node that cannot be computed, one line each with operator, node, opset and reason. */
PMN_API const char *const *pmn_inspection_unsupported(const pmn_inspection *inspection, int32_t *count);
PMN_API const char *pmn_inspection_record(const pmn_inspection *inspection); /* all of it as JSON */
PMN_API void pmn_inspection_destroy(pmn_inspection *inspection);

/* ------------------------------------------------------------------------------------------------- statistics -- */

/* What is done to the columns of a table: standardised, y = (x - mean) / deviation, and reduced to K principal
 * components. All zero: nothing. Texts are borrowed for the call. */
typedef struct pmn_statistics {
  bool with_mean, with_std; /* subtract the mean; divide by the deviation */
  int32_t pca_components;   /* K; 0: no PCA unless pca_ratio > 0 */
  double pca_ratio;         /* 0 < ratio < 1: as many components as explain this share of the variance */
  /* Whose definitions: "sklearn" (or NULL): deviation of the population, rows are centred before they are projected;
   * "spark": deviation of the sample, a column without variance becomes 0, rows are projected as they are unless
   * with_mean centres them. */
  const char *compat;
  const char *projection;      /* a file of save_projection: its transform is applied, nothing is fitted */
  const char *save_projection; /* where the fitted transform is written (safetensors), with the output; NULL: nowhere */
  const char *save_moments;    /* where the sums behind the fit are written, for pmn_merge; NULL: nowhere */
  /* Bytes that all this may take, beside what program, libraries and network take themselves (some 30 MB, with OpenCL
   * 150); 0: a quarter of the machine's. What needs more is refused before it is begun. */
  int64_t memory;
  const char *spool; /* pmn_extract: folder for rows that wait for the fit; NULL: that of the output */
} pmn_statistics;

/* --------------------------------------------------------------------------------------------------- buckets -- */

/* How s3:// is reached, beyond what the environment and the AWS profile files say (AWS_ACCESS_KEY_ID, AWS_PROFILE,
 * AWS_REGION, AWS_ENDPOINT_URL_S3, AWS_CA_BUNDLE and so on). All zero: as those say. Texts are borrowed for the call.
 */
typedef struct pmn_s3_access {
  const char *region, *endpoint, *profile; /* endpoint: "https://host:port" */
  bool no_sign_request;                    /* public buckets, without keys */
} pmn_s3_access;

/* ---------------------------------------------------------------------------------------------------- extract -- */

typedef enum pmn_level { PMN_LEVEL_WARNING, PMN_LEVEL_INFO, PMN_LEVEL_DETAIL } pmn_level;

/* How far a run is. `seconds_left` is negative while it cannot be known. */
typedef struct pmn_progress {
  int64_t done, total, rejects;           /* pictures; done counts rows and rejects */
  double images_per_second, seconds_left; /* of what this run does: not of what a broken one had done */
  const char *phase; /* "features" (of a matrix "moments"), "describe", "words", "fit", "project" or "train" */
} pmn_progress;

/* Options of one run. Start from PMN_EXTRACT_OPTIONS_INIT; everything is borrowed for the call. */
typedef struct pmn_extract_options {
  size_t struct_size; /* set by the INIT macro: a program built with another version's header is refused */

  /* input */
  const char *const *sources; /* folders, files, "s3://bucket/prefix", "@list.txt", or "-" (names on standard input) */
  size_t source_count;
  const char *const *includes; /* globs on the key or its last component; none: by picture file name extension */
  size_t include_count;
  int32_t label_level;     /* component of the path: -1 the parent folder, -2 its parent, 0 the topmost folder */
  const char *label_regex; /* POSIX extended; group 1 (or the whole match) is the label; overrides label_level */
  int64_t limit;           /* take only the first N of the sorted listing; 0: all */

  /* features */
  /* A network's name (pmn_networks_list) or an .onnx file; "pixels": those of the resized picture, in the order height,
   * width, channel; "sift" or "orb": how often each word of a vocabulary occurs, behind a column "keypoints", how many
   * the picture has. NULL: "efficientnet_lite0". */
  const char *features;
  const char *weights; /* safetensors file; NULL: embedded in the library, or fetched before (pmn_weights_fetch) */
  /* Layers whose values are the features, joined in this order; none: the layer before the classifier. */
  const char *const *layers;
  size_t layer_count;
  const char *pool;      /* of layers with more than one pixel: "avg", "max", or "none" to flatten; NULL: "avg" */
  int32_t width, height; /* pixels of the network's input, 1 to 8192; 0: the network's own. "pixels" need them */
  /* "tf", "caffe", "torch", "lite", "unit", "raw"; NULL: the network's own; of pixels "raw", whose table is of bytes
   * unless something is fitted or projected. */
  const char *preprocess;
  const char *resize; /* "bicubic", "bilinear", "nearest"; NULL: the network's own; of pixels "bicubic" */
  /* "fp32", or a precision that is less exact: "bf16" rounds what a network multiplies, and is faster; only the backend
   * "cpu" has it and only on processors with AVX-512 BF16. "fp16" rounds what is stored, in half the memory; only the
   * backend "opencl" has it, and values from 65520 on become infinite. Else PMN_STATUS_DEVICE; PMN_STATUS_MODEL for
   * weights beyond 65504 with fp16. How far features are off is told as a message and in the run record. NULL: "fp32".
   */
  const char *precision;
  /* Of "sift" and "orb". */
  int32_t words;               /* that the pictures' descriptors are clustered to; or: */
  const char *vocabulary;      /* a file of save_vocabulary, whose words are counted */
  int32_t keypoints;           /* of a picture, at most: the most distinct ones, up to 65,536; 0: 500 */
  const char *weighting;       /* "tf" (how often a word occurs) or "tf-idf"; NULL: "tf" */
  const char *norm;            /* each row is divided by its "l1" or "l2" norm; NULL or "none": not */
  const char *start;           /* of the clustering: "k-means++" or "random"; NULL: "k-means++" */
  int32_t mini_batch;          /* descriptors for each step of the clustering; 0: all */
  uint64_t seed;               /* of what is drawn for `words`; where none are learnt it is 0 */
  const char *save_vocabulary; /* a file to keep the words in */
  /* A .csv, .parquet or .npy file: a row for each keypoint, x, y (pixels), size, angle (degrees), response, octave and
   * the numbers of the descriptor. With it `output` may be NULL: then there is no table, no word and no statistic. */
  const char *save_keypoints;
  bool gray; /* of "pixels": one channel, Pillow's convert("L"), made before resizing */

  pmn_statistics statistics;
  /* A source like those above, all of whose pictures are fitted instead; NULL: those of the table. Those that cannot be
   * read are told as messages and in the run record. */
  const char *fit_on;

  /* output */
  /* A file: .csv, .parquet or .npy. Or a folder, which ends with a slash: part-00000.parquet and so on in it, with
   * _record.json, _rejects.csv if there are any, and _SUCCESS. */
  const char *output;
  const char *format;  /* "csv", "parquet", "npy"; NULL: by the name of a file, parquet for a folder */
  const char *rejects; /* CSV of the pictures left out; NULL: OUTPUT.rejects.csv, written only if there are any */
  int32_t parts;       /* of a folder; 0: so many that each holds about 64 MiB */
  bool overwrite;
  /* Of a folder: a run that was broken off, by whatever, is taken up again, and the output is the same to the byte.
   * What is not there is begun, and what is finished stays as it is. */
  bool resume;

  pmn_s3_access s3;

  /* running */
  const char *backend; /* "auto", "opencl", "cpu", "ref"; NULL: "auto" */
  int32_t device;      /* index as listed by pmn_devices_list; -1: the first that fits */
  /* Others that share the batches of a network with it, up to 15: of the same name and driver, so that no row depends
   * on which of them made it. Statistics are computed on `device`. */
  const int32_t *more_devices;
  size_t more_device_count;
  int32_t threads;     /* 0: as many as this process may use */
  int32_t batch;       /* pictures a network call; 0: chosen for the device */
  bool stop_on_error;  /* true: the first bad picture ends the run and nothing is written */
  int64_t max_rejects; /* more rejects than this end the run; negative: no limit */

  /* callbacks: called from threads of the library, never two at once */
  void (*on_progress)(void *arg, const pmn_progress *progress);
  void (*on_message)(void *arg, pmn_level level, const char *text);
  void *callback_arg;
  const volatile sig_atomic_t *stop; /* non-zero: end soon, leave no output; may be NULL */
  /* Non-zero: end as soon as the piece under way is done and kept, with PMN_STATUS_PAUSED; where nothing can be kept,
   * as by stop. May be NULL. */
  const volatile sig_atomic_t *pause;
} pmn_extract_options;
#define PMN_EXTRACT_OPTIONS_INIT                                                                                       \
  { .struct_size = sizeof(pmn_extract_options), .label_level = -1, .device = -1, .max_rejects = -1 }

typedef struct pmn_summary pmn_summary;

typedef struct pmn_counts {
  int64_t listed;     /* pictures in the listing: rows + rejects */
  int64_t rows;       /* rows written */
  int64_t rejects;    /* pictures left out, each a line of the rejects file */
  int64_t width;      /* feature columns of a row */
  int64_t skipped;    /* files in the folders that were not listed, by their names */
  int64_t duplicates; /* pictures named twice by the sources and taken once */
  int64_t restored;   /* of listed: done by a run that was broken off, or finished before */
  int64_t keypoints;  /* of all rows, where the features are of them */
  int64_t blank;      /* rows without a keypoint, 0 in the column keypoints: all words 0; the run record names them */
} pmn_counts;

/* Time of one stage. A stage is busy on up to `lanes` threads or devices at once; share = busy / (wall * lanes). */
typedef struct pmn_stage {
  const char *name;
  double busy_seconds;
  int32_t lanes;
  double share;
} pmn_stage;

/* Extracts features of every picture of options->sources into options->output, in byte-wise order of their keys.
 * On PMN_STATUS_OK the output is whole under its final name and *summary is the caller's, to be destroyed; pictures
 * that could not be decoded are in the rejects file and in pmn_summary_counts; when all are, the run ends with
 * PMN_STATUS_REJECTED. On any other status *summary is NULL and
 * nothing stands under the output's name that was not there before. (With overwrite, a disk that fails while the
 * finished files are renamed can cost the old ones too.) Errors: every status but PMN_STATUS_IMAGE. Any thread; runs
 * share nothing. */
PMN_API PMN_MUST_USE pmn_status pmn_extract(const pmn_extract_options *options, pmn_summary **summary, pmn_err *err);

PMN_API pmn_counts pmn_summary_counts(const pmn_summary *summary);
PMN_API double pmn_summary_seconds(const pmn_summary *summary); /* wall time of the whole run */
/* Stages in the order of the flow; *count is their number. */
PMN_API const pmn_stage *pmn_summary_stages(const pmn_summary *summary, int32_t *count);
PMN_API const char *pmn_summary_bound(const pmn_summary *summary); /* name of the stage that bounded the run */
/* Explained variance ratio of each kept component, descending; NULL and 0 without PCA. */
PMN_API const double *pmn_summary_explained(const pmn_summary *summary, int32_t *count);
PMN_API const char *pmn_summary_rejects_path(const pmn_summary *summary); /* NULL if there were none */
PMN_API const char *pmn_summary_record(const pmn_summary *summary);       /* the run record, JSON, as in the output */
PMN_API void pmn_summary_destroy(pmn_summary *summary);

/* ----------------------------------------------------------------------------------------------------- reduce -- */

/* Options of pmn_reduce. Start from PMN_REDUCE_OPTIONS_INIT; everything is borrowed for the call. */
typedef struct pmn_reduce_options {
  size_t struct_size; /* set by the INIT macro */
  const char *matrix; /* .npy file, [rows, columns] f32, f64 or u8 in C order */
  /* CSV with a column path, and label if there is one, a line for every row; no path is empty, but paths may repeat.
   * NULL: rows are named by their number, from 0. */
  const char *index;
  pmn_statistics statistics;
  const char *output, *format, *rejects; /* as in pmn_extract_options */
  int32_t parts;
  bool overwrite;
  pmn_s3_access s3;
  const char *backend;
  int32_t device, threads;
  bool stop_on_error;  /* true: the first row with a NaN or an infinity ends the run */
  int64_t max_rejects; /* more such rows end the run; negative: no limit */
  void (*on_progress)(void *arg, const pmn_progress *progress);
  void (*on_message)(void *arg, pmn_level level, const char *text);
  void *callback_arg;
  const volatile sig_atomic_t *stop;
} pmn_reduce_options;
#define PMN_REDUCE_OPTIONS_INIT                                                                                        \
  { .struct_size = sizeof(pmn_reduce_options), .device = -1, .max_rejects = -1 }

/* Standardises and reduces features from elsewhere. A row with a NaN or an infinity is a reject, like a picture that
 * cannot be decoded; a row whose result no 32-bit float can hold ends the run. Status and *summary as of pmn_extract.
 */
PMN_API PMN_MUST_USE pmn_status pmn_reduce(const pmn_reduce_options *options, pmn_summary **summary, pmn_err *err);

/* -------------------------------------------------------------------------------------------------- classify -- */

/* Options of pmn_train. Start from PMN_TRAIN_OPTIONS_INIT; everything is borrowed for the call. */
typedef struct pmn_train_options {
  size_t struct_size; /* set by the INIT macro */
  /* Pictures, their features and what is done to those, as in pmn_extract; `output` is the model's file, which holds
   * the vocabulary and the projection too. Every picture needs a label, and there are two labels at least. `fit_on`,
   * `format`, `parts`, `resume`, `pause`, `save_vocabulary` and, of `statistics`, `projection`, `save_projection` and
   * `save_moments` are of tables, and not to be set. `seed` draws the first weights and the rows that are held out too.
   */
  pmn_extract_options rows;
  const int32_t *hidden;  /* widths of the hidden layers, 16 at most */
  int32_t hidden_count;   /* 0: none, which is logistic regression; -1: one of 100 */
  const char *activation; /* of hidden layers: "sigmoid" or "relu"; NULL: "sigmoid" */
  const char *solver;     /* "lbfgs" or "adam"; NULL: "lbfgs" */
  int32_t iterations;     /* at most; of Adam epochs; 0: 100 */
  double penalty;         /* on squared weights; 0: none */
  double held_out;        /* share of the rows of every class that is kept from the training, from 0, below 1 */
  int32_t patience;       /* iterations without a smaller loss of these rows, after which the training ends; 0: 10 */
} pmn_train_options;
#define PMN_TRAIN_OPTIONS_INIT                                                                                         \
  { .struct_size = sizeof(pmn_train_options), .rows = PMN_EXTRACT_OPTIONS_INIT, .hidden_count = -1, .held_out = 0.1 }

/* What came of it. */
typedef struct pmn_training {
  int64_t rows, held_out_rows; /* that were trained, and held out */
  int32_t width, classes;      /* of a row, after the projection; labels */
  int32_t iterations;
  double loss,
      held_out_loss; /* mean -ln p[label] of the weights kept, the first with the penalty; NaN: none held out */
} pmn_training;

/* Trains a multilayer perceptron on the features of labelled pictures. On PMN_STATUS_OK the model is whole under its
 * name; on any other status nothing is there that was not there before. Pictures that cannot be decoded are rejects, as
 * in pmn_extract. The same options and pictures give the same model, whatever the threads. *training may be NULL.
 * Errors: those of pmn_extract but PMN_STATUS_PAUSED; PMN_STATUS_ARGUMENT: a picture without a label, too few labels,
 * or too few rows to hold any out. */
PMN_API PMN_MUST_USE pmn_status pmn_train(
    const pmn_train_options *options, pmn_training *training, pmn_summary **summary, pmn_err *err);

/* Options of pmn_predict and pmn_evaluate. Start from PMN_CLASSIFY_OPTIONS_INIT; everything is borrowed for the call.
 */
typedef struct pmn_classify_options {
  size_t struct_size; /* set by the INIT macro */
  const char *model;  /* a file of pmn_train */
  /* Pictures, and how they are run, as in pmn_extract. What the features are, the model says; but `weights` may say
   * where the network's weights, or the .onnx file, are now. */
  pmn_extract_options rows;
} pmn_classify_options;
#define PMN_CLASSIFY_OPTIONS_INIT                                                                                      \
  { .struct_size = sizeof(pmn_classify_options), .rows = PMN_EXTRACT_OPTIONS_INIT }

/* Writes path, label, class and its probability of every picture, and its number of keypoints where the model counts
 * words, to the .csv file `output`. Status and *summary as of
 * pmn_extract; PMN_STATUS_MODEL: the file is no model, or damaged; PMN_STATUS_ARGUMENT: the weights are others than
 * those that it was trained with. */
PMN_API PMN_MUST_USE pmn_status pmn_predict(const pmn_classify_options *options, pmn_summary **summary, pmn_err *err);

typedef struct pmn_evaluation pmn_evaluation;

/* precision = correct / predicted, recall = correct / rows; NaN for 0 / 0. Only rows with a known label count. */
typedef struct pmn_class_scores {
  const char *label; /* any bytes, as in the path */
  int64_t rows, predicted, correct;
  int64_t blank; /* of rows, those without a keypoint where the model counts words: all they tell is that */
  double precision, recall;
} pmn_class_scores;

typedef struct pmn_evaluation_totals {
  int64_t rows, correct; /* whose label the training knew, and of these the ones that got it */
  int64_t unseen_rows;   /* whose label it did not know, or that have none: they are in no other number */
  int64_t blank_rows;    /* of rows, those without a keypoint */
  double accuracy;       /* correct / rows */
} pmn_evaluation_totals;

/* Predicts the class of every picture and holds it against its label. `output`, if it is not NULL, becomes a .csv file
 * measure,label,class,value: "accuracy"; "pictures", "precision" and "recall" of each label, and "blank" where the
 * model counts words; "confusion" of each label and class, the pictures with that label and that prediction; "unseen",
 * the pictures of a label that the training did not know. What does not apply is empty, and so is 0 / 0. Without it and
 * without `rejects` no list of rejects is written. Status and *summary as of pmn_predict; *evaluation is NULL when
 * *summary is. PMN_STATUS_NOT_FOUND: no picture has a label that the training knew; PMN_STATUS_REJECTED: none that
 * could be read has. */
PMN_API PMN_MUST_USE pmn_status pmn_evaluate(
    const pmn_classify_options *options, pmn_evaluation **evaluation, pmn_summary **summary, pmn_err *err);
PMN_API pmn_evaluation_totals pmn_evaluation_get(const pmn_evaluation *evaluation);
/* The classes of the model, by their labels' bytes. */
PMN_API const pmn_class_scores *pmn_evaluation_classes(const pmn_evaluation *evaluation, int32_t *count);
/* [classes, classes] rows of each label, by what was predicted. */
PMN_API const int64_t *pmn_evaluation_confusion(const pmn_evaluation *evaluation);
/* The labels that the training did not know, with `rows` and `blank` alone. */
PMN_API const pmn_class_scores *pmn_evaluation_unseen(const pmn_evaluation *evaluation, int32_t *count);
PMN_API void pmn_evaluation_destroy(pmn_evaluation *evaluation);

/* Options of pmn_clean. Start from PMN_CLEAN_OPTIONS_INIT; everything is borrowed for the call. */
typedef struct pmn_clean_options {
  size_t struct_size; /* set by the INIT macro */
  const char *output; /* of the run that was broken off, as it was given */
  pmn_s3_access s3;
  const volatile sig_atomic_t *stop;
} pmn_clean_options;
#define PMN_CLEAN_OPTIONS_INIT                                                                                         \
  { .struct_size = sizeof(pmn_clean_options) }

/* Removes what a broken run has left of an output: its working folder, temporary files, uploads. What is finished
 * stays. *removed is how many files and uploads went. PMN_STATUS_EXISTS: a run is at work on it. PMN_STATUS_NOT_FOUND:
 * neither the output is there nor anything that a run has left of it. */
PMN_API PMN_MUST_USE pmn_status pmn_clean(const pmn_clean_options *options, int64_t *removed, pmn_err *err);

/* Options of pmn_verify. Start from PMN_VERIFY_OPTIONS_INIT; everything is borrowed for the call. */
typedef struct pmn_verify_options {
  size_t struct_size; /* set by the INIT macro */
  const char *output; /* a finished one: a file, or a folder of parts */
  pmn_s3_access s3;
  const volatile sig_atomic_t *stop;
} pmn_verify_options;
#define PMN_VERIFY_OPTIONS_INIT                                                                                        \
  { .struct_size = sizeof(pmn_verify_options) }

typedef struct pmn_verified {
  int64_t files, bytes; /* of tables, what belongs to them, and the list of rejects */
  int64_t rows, rejects, listed;
  char notes[1024]; /* one line: what could not be checked, and a working folder that is there; "" if nothing is */
} pmn_verified;

/* Holds an output against its run record: files, sizes, checksums, rows of every file and of all together, rows and
 * rejects as many as were listed, lines of the list of rejects, and nothing more in a folder that readers would take
 * for a part. The record and that list have no checksums: of them, what they count and name is checked.
 * PMN_STATUS_MODEL: something differs; the message says what and where. PMN_STATUS_NOT_FOUND: there is no output, it is
 * not finished, or it cannot be read. Else PMN_STATUS_ARGUMENT, PMN_STATUS_NETWORK, PMN_STATUS_KEYS,
 * PMN_STATUS_INTERRUPTED, PMN_STATUS_NO_MEMORY. *verified is filled on PMN_STATUS_OK. */
PMN_API PMN_MUST_USE pmn_status pmn_verify(const pmn_verify_options *options, pmn_verified *verified, pmn_err *err);

/* Options of pmn_merge. Start from PMN_MERGE_OPTIONS_INIT; everything is borrowed for the call. */
typedef struct pmn_merge_options {
  size_t struct_size;         /* set by the INIT macro */
  const char *const *moments; /* files of save_moments, of the same features */
  size_t moments_count;
  pmn_statistics
      statistics; /* save_projection, save_moments or both say what is written; projection and spool are not used */
  bool overwrite;
  int32_t threads;                   /* 0: as many as this process may use */
  const volatile sig_atomic_t *stop; /* non-zero: end soon, leave no output; may be NULL */
  void (*on_message)(void *arg, pmn_level level, const char *text);
  void *callback_arg;
} pmn_merge_options;
#define PMN_MERGE_OPTIONS_INIT                                                                                         \
  { .struct_size = sizeof(pmn_merge_options) }

typedef struct pmn_merged {
  int64_t rows; /* of all runs together */
  int32_t width, components;
  double explained; /* share of the variance that the components explain */
} pmn_merged;

/* Adds the statistics of several runs: what is fitted is what one run over all their rows would fit. Errors:
 * PMN_STATUS_ARGUMENT (statistics of other features, too few rows), PMN_STATUS_NOT_FOUND, PMN_STATUS_EXISTS,
 * PMN_STATUS_WRITE, PMN_STATUS_NO_MEMORY, PMN_STATUS_INTERRUPTED. */
PMN_API PMN_MUST_USE pmn_status pmn_merge(const pmn_merge_options *options, pmn_merged *merged, pmn_err *err);

/* ------------------------------------------------------------------------------------------------------- tune -- */

/* What was found for one shape of layers. Texts are for people, and borrowed for the call. */
typedef struct pmn_tuned_layer {
  const char *name;                /* of the first layer that has the shape */
  const char *shape;               /* "3x3/2 112x112x32 -> 56x56x64": window, stride, input, output */
  int32_t index, total;            /* of the network's shapes, from 1 */
  int32_t layers;                  /* of the network that have this one */
  int32_t right;                   /* tunings that ran and gave the bits of the default */
  int32_t refused, wrong;          /* that the device could not run; that gave other bits, and are not used */
  double default_seconds, seconds; /* of a batch, medians: with the default, and with the fastest that was right */
  const char *default_tuning, *tuning;
  bool kept; /* the fastest is faster by more than times vary, and is used from now on; else the default is */
} pmn_tuned_layer;

/* Options of pmn_tune. Start from PMN_TUNE_OPTIONS_INIT; everything is borrowed for the call. */
typedef struct pmn_tune_options {
  size_t struct_size;             /* set by the INIT macro */
  const char *features, *weights; /* a network, and the size of its pictures, as in pmn_extract */
  int32_t width, height;
  int32_t batch;         /* pictures; 0: as many as pmn_extract takes at once on a GPU, 64, and 16 on other devices */
  int32_t device;        /* index within OpenCL; -1: the first GPU, else the first device */
  const char *precision; /* "fp32" or "fp16", which are tuned apart; NULL: "fp32" */
  /* callbacks, from the thread of the caller */
  void (*on_layer)(void *arg, const pmn_tuned_layer *layer);
  void (*on_message)(void *arg, pmn_level level, const char *text);
  void *callback_arg;
  const volatile sig_atomic_t *stop; /* non-zero: end soon; what is finished is kept; may be NULL */
} pmn_tune_options;
#define PMN_TUNE_OPTIONS_INIT                                                                                          \
  { .struct_size = sizeof(pmn_tune_options), .device = -1 }

/* Measures on an OpenCL device how the work of each layer of a network is cut best, and keeps that in the cache folder
 * for later runs on such a device with the same driver. It changes how long a run takes and no bit of what it writes.
 * Errors: those of pmn_extract for a network; PMN_STATUS_DEVICE, PMN_STATUS_NO_MEMORY; PMN_STATUS_NOT_FOUND (no cache
 * folder), PMN_STATUS_WRITE; PMN_STATUS_INTERRUPTED. */
PMN_API PMN_MUST_USE pmn_status pmn_tune(const pmn_tune_options *options, pmn_err *err);

/* ---------------------------------------------------------------------------------------------------- weights -- */

/* A published weights file that can be fetched. Texts live as long as the program. */
typedef struct pmn_weights_info {
  const char *name;    /* what fetch and verify take, for example "resnet50" or "mobilenet_v2_0.5_160_top" */
  const char *network; /* whose weights they are: a name of pmn_networks_list */
  const char *licence; /* and who published them */
  int32_t size;        /* width and height of the pictures they were trained on */
  bool classifier;     /* the layers after the features are there too */
  int64_t bytes;       /* of the published file, an estimate; 0 if it is not known */
  bool fetched;        /* `path` is there */
  char path[4096];     /* where our copy is, or will be: a safetensors file in the cache folder */
} pmn_weights_info;

/* Writes up to `capacity` entries to `list` and their number to *count (which may exceed capacity: call again).
 * Errors: PMN_STATUS_NOT_FOUND (no cache folder), PMN_STATUS_NO_MEMORY. */
PMN_API PMN_MUST_USE pmn_status pmn_weights_list(
    pmn_weights_info *list, int32_t capacity, int32_t *count, pmn_err *err);

/* Options of a fetch. Start from PMN_FETCH_OPTIONS_INIT; everything is borrowed for the call. */
typedef struct pmn_fetch_options {
  size_t struct_size; /* set by the INIT macro */
  const char *name;   /* of pmn_weights_list */
  /* Address instead of the published one, https:// or http://; NULL: $POMONA_WEIGHTS_URL, else the published one. */
  const char *base_url;
  bool refetch; /* even if it is there */
  /* callbacks: called from threads of the library, never two at once */
  void (*on_progress)(void *arg, int64_t done, int64_t total); /* bytes; total 0: not known */
  void (*on_message)(void *arg, pmn_level level, const char *text);
  void *callback_arg;
  const volatile sig_atomic_t *stop; /* non-zero: end soon; what has come is kept and taken up again; may be NULL */
} pmn_fetch_options;
#define PMN_FETCH_OPTIONS_INIT                                                                                         \
  { .struct_size = sizeof(pmn_fetch_options) }

/* What is known of fetched weights; hashes in hex. */
typedef struct pmn_fetched {
  bool was_there; /* nothing had to be fetched */
  bool pinned;    /* the file has the published MD5; false: none is published, and the hash is the first seen here */
  int64_t bytes;  /* of the published file */
  char md5[33], sha256[65];    /* of the published file */
  char safetensors_sha256[65]; /* of our copy */
  char path[4096];             /* of our copy */
} pmn_fetched;

/* Fetches a published file, checks its hash, converts it and keeps it in the cache folder. Two calls at once, of two
 * processes too, do the work once. A published file that somebody has put beside `path`, with .h5 instead of
 * .safetensors, is checked and taken instead of a download. Errors: PMN_STATUS_ARGUMENT (no such name, no such
 * address), PMN_STATUS_NETWORK (what has come is kept for the next call; the message says what to put where to do
 * without a network), PMN_STATUS_NOT_FOUND (the server has no such file), PMN_STATUS_MODEL (another hash, malformed),
 * PMN_STATUS_WRITE, PMN_STATUS_INTERRUPTED, PMN_STATUS_NO_MEMORY. */
PMN_API PMN_MUST_USE pmn_status pmn_weights_fetch(const pmn_fetch_options *options, pmn_fetched *fetched, pmn_err *err);

/* Holds our copy against its record, and that against the published MD5, and its tensors against the network.
 * Errors: PMN_STATUS_ARGUMENT, PMN_STATUS_NOT_FOUND (not fetched), PMN_STATUS_MODEL (changed since),
 * PMN_STATUS_NO_MEMORY. */
PMN_API PMN_MUST_USE pmn_status pmn_weights_verify(const char *name, pmn_fetched *fetched, pmn_err *err);

/* What a conversion made. */
typedef struct pmn_converted {
  const char *network;   /* lives as long as the program */
  const char *framework; /* "keras" or "torch": networks trained with PyTorch pad and normalise differently */
  bool classifier;       /* the layers after the features are there too */
  int32_t tensors;
  int64_t bytes;
  char sha256[65], source_sha256[65];
  char note[256]; /* what was left out, and why; "" if nothing was */
} pmn_converted;

/* Converts weights to our safetensors. What `input` is, its content tells: Keras's .h5 (legacy, or a full model),
 * Keras 3's .weights.h5, or safetensors with torchvision's, timm's or our own names. `network` NULL: found by the
 * tensors; "tf_efficientnet_lite0" means weights of efficientnet_lite0 that TensorFlow trained, which have timm's names
 * like the others. Every tensor must find its place; but a classifier of other classes is left out. `output` appears
 * whole or not at all. Errors: PMN_STATUS_ARGUMENT, PMN_STATUS_NOT_FOUND, PMN_STATUS_MODEL (what does not fit),
 * PMN_STATUS_EXISTS, PMN_STATUS_WRITE, PMN_STATUS_NO_MEMORY; PMN_STATUS_INTERRUPTED once *stop, which may be NULL, is
 * raised. */
PMN_API PMN_MUST_USE pmn_status pmn_weights_convert(const char *input, const char *network, const char *output,
    bool overwrite, const volatile sig_atomic_t *stop, pmn_converted *converted, pmn_err *err);

#ifdef __cplusplus
}
#endif
#endif
