/* pmn_maker.c - see pmn_maker.h: by what is asked for. */
#include "pmn_maker.h"

#include "pmn_model.h"
#include "pmn_nearest.h"
#include "pmn_text.h"

#include <jansson.h>
#include <string.h>

/* What is none of the other features is a network's, and mistyped if there is none of that name. */
static pmn_status check_network(const char *name, pmn_err *err) {
  static const char *const others[] = {"pixels", "sift", "orb"};
  char near[256];
  pmn_nearest nearest = pmn_nearest_init(name);
  const pmn_architecture *architecture;
  if (pmn_text_ends(name, ".onnx") || pmn_architecture_find(name) != NULL) return PMN_STATUS_OK;
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) pmn_nearest_offer(&nearest, others[i]);
  for (int32_t i = 0; (architecture = pmn_architecture_at(i)) != NULL; i++)
    pmn_nearest_offer(&nearest, architecture->name);
  pmn_nearest_text(&nearest, near, sizeof near);
  return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0,
      "no features are called \"%s\"%s there are pixels, sift, orb, networks (\"pomona models\" lists them) and files "
      "whose names end in .onnx",
      name, nearest.count > 0 ? near : ";");
}

/* What only words have. */
static pmn_status check_words(const pmn_extract_options *o, bool words, pmn_err *err) {
  bool asked = o->words != 0 || o->keypoints != 0 || o->mini_batch != 0 || o->vocabulary != NULL ||
               o->save_vocabulary != NULL || o->save_keypoints != NULL || o->weighting != NULL || o->norm != NULL ||
               o->start != NULL;
  if (words || !asked) return PMN_STATUS_OK;
  return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0,
      "words, keypoints, vocabularies and how words are counted are of the features sift and orb");
}

/* What only networks have. */
static pmn_status check_precision(const pmn_extract_options *o, bool network, pmn_err *err) {
  pmn_precision precision;
  if (!pmn_precision_find(o->precision, &precision)) {
    return pmn_err_set(
        err, PMN_STATUS_ARGUMENT, 0, "no precision is called \"%s\"; there are fp32, bf16 and fp16", o->precision);
  }
  if (network || precision == PMN_PRECISION_FP32) return PMN_STATUS_OK;
  return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0, "precision %s is of networks: %s has no products to round",
      o->precision, o->features);
}

pmn_status pmn_maker_create(const pmn_extract_options *options, pmn_maker **maker, pmn_err *err) {
  const char *name = options->features != NULL ? options->features : "";
  pmn_descriptor_kind descriptor;
  pmn_status (*make)(const pmn_extract_options *options, pmn_maker **maker, pmn_err *err) = pmn_maker_network;
  if (strcmp(name, "pixels") == 0) make = pmn_maker_pixels;
  if (pmn_descriptor_find(name, &descriptor)) make = pmn_maker_words;
  *maker = NULL;
  pmn_status st = PMN_STATUS_OK;
  if (make == pmn_maker_network && name[0] != '\0') st = check_network(name, err);
  if (st == PMN_STATUS_OK) st = check_words(options, make == pmn_maker_words, err);
  if (st == PMN_STATUS_OK) st = check_precision(options, make == pmn_maker_network, err);
  if (st == PMN_STATUS_OK) st = make(options, maker, err);
  if (st == PMN_STATUS_OK) (*maker)->slots = 1;
  if (st == PMN_STATUS_OK && (*maker)->features == NULL) st = pmn_err_memory(err, 1, "the run record");
  if (st != PMN_STATUS_OK) {
    pmn_maker_destroy(*maker);
    *maker = NULL;
  }
  return st;
}

void pmn_maker_destroy(pmn_maker *maker) {
  if (maker == NULL) return;
  json_decref(maker->features);
  maker->kind->destroy(maker);
}
