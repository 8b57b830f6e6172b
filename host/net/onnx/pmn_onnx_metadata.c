/* pmn_onnx_metadata.c - how a model's pictures are to be prepared, if its metadata says so.
 *
 * Our own key, "pomona.preprocess", has as its value the name of one of our presets ("torch") or a JSON object, all of
 * whose members may be left out:
 *
 *   {"size": [224, 224], "resize": "bilinear", "channels": "RGB",
 *    "scale": 0.00392156862745098, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
 *
 *   network input = (byte * scale - mean) / std
 *
 * "size" is width and height; "channels" is "RGB" (if left out) or "BGR", and mean (0) and std (1) are in that order;
 * "scale" is 1 and "resize" "bilinear" if left out. Any other member is an error, for it may be one of these misspelt.
 *
 * ONNX's own keys, in any case of letters: Image.BitmapPixelFormat, Image.NominalPixelRange, Image.ColorSpaceGamma
 * (https://github.com/onnx/onnx/blob/main/docs/MetadataProps.md). Our key goes first.
 */
#include "pmn_onnx_read.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { RECORD_MAX = 4096 };

static const char own_key[] = "pomona.preprocess";

/* NULL if there is no such key. */
static const char *metadata_find(const Onnx__ModelProto *model, const char *key) {
  for (size_t i = 0; i < model->n_metadata_props; i++) {
    const Onnx__StringStringEntryProto *entry = model->metadata_props[i];
    if (entry->key != NULL && strcasecmp(entry->key, key) == 0) return entry->value != NULL ? entry->value : "";
  }
  return NULL;
}

/* ------------------------------------------------------------------------------------------------------ our own key */

static pmn_status refuse(const char *origin, const char *member, const char *should, pmn_err *err) {
  return pmn_err_set(err, PMN_STATUS_MODEL, 0, "%s: metadata %s: \"%s\" should be %s", origin, own_key, member, should);
}

/* Three numbers if the member is there. */
static bool read_triple(const json_t *array, double numbers[3]) {
  if (array == NULL) return true;
  for (size_t i = 0; i < 3; i++) {
    const json_t *item = json_array_get(array, i);
    if (!json_is_number(item)) return false;
    numbers[i] = json_number_value(item);
  }
  return json_array_size(array) == 3;
}

static pmn_status read_size(const json_t *size, const char *origin, pmn_preprocess *preprocess, pmn_err *err) {
  if (size == NULL) return PMN_STATUS_OK;
  json_int_t width = json_integer_value(json_array_get(size, 0)), height = json_integer_value(json_array_get(size, 1));
  if (json_array_size(size) != 2 || width < 1 || width > UINT16_MAX || height < 1 || height > UINT16_MAX) {
    return refuse(origin, "size", "[width, height] in pixels", err);
  }
  preprocess->width = (int32_t)width;
  preprocess->height = (int32_t)height;
  return PMN_STATUS_OK;
}

static pmn_status read_resize(const json_t *resize, const char *origin, pmn_preprocess *preprocess, pmn_err *err) {
  static const char *const filters[] = {"bilinear", "bicubic", "nearest"};
  preprocess->resize = filters[0];
  if (resize == NULL) return PMN_STATUS_OK;
  for (size_t i = 0; json_is_string(resize) && i < sizeof filters / sizeof *filters; i++) {
    if (strcmp(json_string_value(resize), filters[i]) != 0) continue;
    preprocess->resize = filters[i];
    return PMN_STATUS_OK;
  }
  return refuse(origin, "resize", "\"bilinear\", \"bicubic\" or \"nearest\"", err);
}

static pmn_status read_channels(const json_t *channels, const char *origin, pmn_preprocess *preprocess, pmn_err *err) {
  if (channels == NULL) return PMN_STATUS_OK;
  const char *text = json_is_string(channels) ? json_string_value(channels) : "";
  preprocess->bgr = strcmp(text, "BGR") == 0;
  if (preprocess->bgr || strcmp(text, "RGB") == 0) return PMN_STATUS_OK;
  return refuse(origin, "channels", "\"RGB\" or \"BGR\"", err);
}

/* input = (byte * scale - mean) / std as byte * (scale / std) - mean / std. */
static pmn_status read_numbers(const json_t *record, const char *origin, pmn_preprocess *preprocess,
    char formula[PMN_ONNX_FORMULA_SIZE], pmn_err *err) {
  double scale = 1, mean[3] = {0, 0, 0}, std[3] = {1, 1, 1};
  const json_t *member = json_object_get(record, "scale");
  if (member != NULL && !json_is_number(member)) return refuse(origin, "scale", "a number", err);
  if (member != NULL) scale = json_number_value(member);
  if (!read_triple(json_object_get(record, "mean"), mean)) return refuse(origin, "mean", "three numbers", err);
  if (!read_triple(json_object_get(record, "std"), std)) return refuse(origin, "std", "three numbers", err);
  for (int i = 0; i < 3; i++) {
    preprocess->scale[i] = scale / std[i];
    preprocess->shift[i] = -mean[i] / std[i];
    float s = (float)preprocess->scale[i],
          t = (float)preprocess->shift[i]; /* what comes of them has no greater range */
    if (isfinite(s) && isfinite(t) && s != 0) continue;
    return refuse(origin, "std", "such that (byte * scale - mean) / std is a number that depends on the byte", err);
  }
  snprintf(formula, PMN_ONNX_FORMULA_SIZE, "(x * %.9g - (%.9g, %.9g, %.9g)) / (%.9g, %.9g, %.9g), %s", scale, mean[0],
      mean[1], mean[2], std[0], std[1], std[2], preprocess->bgr ? "BGR" : "RGB");
  preprocess->formula = formula;
  return PMN_STATUS_OK;
}

static pmn_status read_record(const char *text, const char *origin, pmn_preprocess *preprocess,
    char formula[PMN_ONNX_FORMULA_SIZE], pmn_err *err) {
  static const char *const members[] = {"size", "resize", "channels", "scale", "mean", "std"};
  pmn_status st = PMN_STATUS_OK;
  json_error_t problem = {.text = ""};
  const char *key;
  json_t *value;
  json_t *record = strlen(text) > RECORD_MAX ? NULL : json_loads(text, JSON_REJECT_DUPLICATES, &problem);
  if (record == NULL && json_error_code(&problem) == json_error_out_of_memory) {
    st = pmn_err_memory(err, strlen(text), "a preprocessing record");
    goto done;
  }
  if (!json_is_object(record)) {
    PMN_FAIL(err, PMN_STATUS_MODEL,
        "%s: metadata %s is neither a JSON object nor a name that --preprocess takes: %.60s", origin, own_key, text);
  }
  json_object_foreach(record, key, value) {
    bool known = false;
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) known = known || strcmp(key, members[i]) == 0;
    if (!known) PMN_FAIL(err, PMN_STATUS_MODEL, "%s: metadata %s has an unknown member \"%s\"", origin, own_key, key);
  }
  *preprocess = (pmn_preprocess){.name = "file"};
  PMN_TRY(read_size(json_object_get(record, "size"), origin, preprocess, err));
  PMN_TRY(read_resize(json_object_get(record, "resize"), origin, preprocess, err));
  PMN_TRY(read_channels(json_object_get(record, "channels"), origin, preprocess, err));
  PMN_TRY(read_numbers(record, origin, preprocess, formula, err));
done:
  json_decref(record);
  return st;
}

/* -------------------------------------------------------------------------------------------------------- ONNX's keys
 */

static pmn_status read_image_keys(const Onnx__ModelProto *model, const char *origin, pmn_preprocess *preprocess,
    char formula[PMN_ONNX_FORMULA_SIZE], bool *found, pmn_err *err) {
  static const struct {
    const char *name;
    double scale, shift;
    const char *formula;
  } ranges[] = {
      {"NominalRange_0_255", 1, 0, "x"},
      {"Normalized_0_1", 1.0 / 255, 0, "x / 255"},
      {"Normalized_1_1", 1.0 / 127.5, -1, "x / 127.5 - 1"},
  };
  pmn_status st = PMN_STATUS_OK;
  const char *format = metadata_find(model, "Image.BitmapPixelFormat");
  const char *range = metadata_find(model, "Image.NominalPixelRange");
  const char *gamma = metadata_find(model, "Image.ColorSpaceGamma");
  size_t r = 0;
  *found = format != NULL || range != NULL;
  if (!*found) goto done;
  if (format == NULL || range == NULL) {
    PMN_FAIL(err, PMN_STATUS_MODEL,
        "%s: of the metadata Image.BitmapPixelFormat and Image.NominalPixelRange only one is "
        "there",
        origin);
  }
  *preprocess = (pmn_preprocess){.name = "file", .resize = "bilinear", .bgr = strcasecmp(format, "Bgr8") == 0};
  if (!preprocess->bgr && strcasecmp(format, "Rgb8") != 0) {
    PMN_FAIL(
        err, PMN_STATUS_MODEL, "%s: metadata Image.BitmapPixelFormat is %s; Rgb8 and Bgr8 are taken", origin, format);
  }
  if (gamma != NULL && strcasecmp(gamma, "SRGB") != 0) {
    PMN_FAIL(err, PMN_STATUS_MODEL, "%s: metadata Image.ColorSpaceGamma is %s; SRGB is taken", origin, gamma);
  }
  while (r < sizeof ranges / sizeof *ranges && strcasecmp(range, ranges[r].name) != 0) r++;
  if (r == sizeof ranges / sizeof *ranges) {
    PMN_FAIL(err, PMN_STATUS_MODEL,
        "%s: metadata Image.NominalPixelRange is %s; NominalRange_0_255, Normalized_0_1 and Normalized_1_1 are taken",
        origin, range);
  }
  for (int i = 0; i < 3; i++) {
    preprocess->scale[i] = ranges[r].scale;
    preprocess->shift[i] = ranges[r].shift;
  }
  snprintf(formula, PMN_ONNX_FORMULA_SIZE, "%s, %s", ranges[r].formula, preprocess->bgr ? "BGR" : "RGB");
  preprocess->formula = formula;
done:
  return st;
}

pmn_status pmn_onnx_metadata_preprocess(const Onnx__ModelProto *model, const char *origin, pmn_preprocess *preprocess,
    char formula[PMN_ONNX_FORMULA_SIZE], bool *found, pmn_err *err) {
  const char *own = metadata_find(model, own_key);
  if (own == NULL) return read_image_keys(model, origin, preprocess, formula, found, err);
  const pmn_preprocess *preset = pmn_preprocess_find(own);
  *found = true;
  if (preset == NULL) return read_record(own, origin, preprocess, formula, err);
  *preprocess = *preset;
  return PMN_STATUS_OK;
}
