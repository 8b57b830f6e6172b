/* pmn_preprocess.c - the table behind pmn_preprocess.h. Constants are those of Keras's imagenet_utils ("tf", "caffe",
 * "torch"), torchvision ("torch") and of EfficientNet-Lite's publishers ("lite"). */
#include "pmn_preprocess.h"

#include <string.h>

#define EACH(value)                                                                                                    \
  { value, value, value }

static const pmn_preprocess table[] = {
    {.name = "tf", .formula = "x / 127.5 - 1", .resize = "bicubic", .scale = EACH(1 / 127.5), .shift = EACH(-1)},
    {.name = "caffe",
        .formula = "BGR, x - (103.939, 116.779, 123.68)",
        .resize = "bicubic",
        .bgr = true,
        .scale = EACH(1),
        .shift = {-103.939, -116.779, -123.68}},
    {.name = "torch",
        .formula = "(x / 255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)",
        .resize = "bicubic",
        .scale = {1 / (255 * 0.229), 1 / (255 * 0.224), 1 / (255 * 0.225)},
        .shift = {-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225}},
    {.name = "lite",
        .formula = "(x - 127) / 128",
        .resize = "bicubic",
        .scale = EACH(1.0 / 128),
        .shift = EACH(-127.0 / 128)},
    {.name = "unit", .formula = "x / 255", .resize = "bicubic", .scale = EACH(1.0 / 255)},
    {.name = "raw", .formula = "x", .resize = "bicubic", .scale = EACH(1)},
};

const pmn_preprocess *pmn_preprocess_at(int32_t index) {
  return index >= 0 && index < (int32_t)(sizeof table / sizeof *table) ? &table[index] : NULL;
}

const pmn_preprocess *pmn_preprocess_find(const char *name) {
  const pmn_preprocess *preprocess;
  for (int32_t i = 0; (preprocess = pmn_preprocess_at(i)) != NULL; i++) {
    if (strcmp(preprocess->name, name) == 0) return preprocess;
  }
  return NULL;
}

pmn_status pmn_preprocess_choose(const char *name, const pmn_preprocess **preprocess, pmn_err *err) {
  *preprocess = pmn_preprocess_find(name);
  if (*preprocess != NULL) return PMN_STATUS_OK;
  return pmn_err_set(
      err, PMN_STATUS_ARGUMENT, 0, "no preprocessing is called \"%s\"; there are " PMN_PREPROCESS_NAMES, name);
}
