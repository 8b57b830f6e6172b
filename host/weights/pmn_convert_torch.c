/* pmn_convert_torch.c - see pmn_convert.h. torchvision and timm name the modules of one network differently; a file is
 * asked for a layer's weight under both names.
 *
 * PyTorch's tensors: convolutions [out, in, h, w], depthwise ones [c, 1, h, w], dense layers [out, in]. The first dense
 * layer after a picture reads it in the order c, h, w, and ours in the order h, w, c.
 */
#include "pmn_convert.h"

#include <stdio.h>
#include <string.h>

enum { NAME_SIZE = 96, FLATTENED_SIDE = 7 };
typedef struct module_name {
  char text[NAME_SIZE]; /* "" for none */
} module_name;

static module_name named(const char *text) {
  module_name name = {""};
  snprintf(name.text, sizeof name.text, "%s", text);
  return name;
}

/* ----------------------------------------------------------------------------------------------------- ResNet -- */

/* convS_blockB_I_conv: torchvision and timm agree. I = 0 is the projection of the shortcut. */
static module_name name_resnet(const char *layer) {
  module_name name = {""};
  int stage, block, place, end = 0;
  if (strcmp(layer, "conv1_conv") == 0) return named("conv1");
  if (strcmp(layer, "conv1_bn") == 0) return named("bn1");
  if (strcmp(layer, "predictions") == 0) return named("fc");
  if (sscanf(layer, "conv%d_block%d_%d_%n", &stage, &block, &place, &end) != 3 || end == 0) return name;
  bool norm = strcmp(layer + end, "bn") == 0;
  if (place == 0)
    snprintf(name.text, sizeof name.text, "layer%d.%d.downsample.%d", stage - 1, block - 1, norm ? 1 : 0);
  else
    snprintf(name.text, sizeof name.text, "layer%d.%d.%s%d", stage - 1, block - 1, norm ? "bn" : "conv", place);
  return name;
}

/* -------------------------------------------------------------------------------------------------------- VGG -- */

/* blockB_convI: the modules of `features` are counted, two for a convolution and its ReLU, one for a pool. */
static module_name name_vgg(const char *layer, bool timm, int convolutions_of_last_blocks) {
  static const char *const dense[][3] = {{"fc1", "classifier.0", "pre_logits.fc1"},
      {"fc2", "classifier.3", "pre_logits.fc2"}, {"predictions", "classifier.6", "head.fc"}};
  module_name name = {""};
  int block, place, before = 0;
  for (int i = 0; i < 3; i++) {
    if (strcmp(layer, dense[i][0]) == 0) return named(dense[i][timm ? 2 : 1]);
  }
  if (sscanf(layer, "block%d_conv%d", &block, &place) != 2) return name;
  for (int b = 1; b < block; b++) before += 2 * (b <= 2 ? 2 : convolutions_of_last_blocks) + 1;
  snprintf(name.text, sizeof name.text, "features.%d", before + 2 * (place - 1));
  return name;
}

/* ----------------------------------------------------------------------------------------- inverted residuals -- */

typedef enum inverted_part { STEM, EXPAND, DEPTHWISE, PROJECT, HEAD, CLASSIFIER } inverted_part;

/* Where a layer of MobileNetV2 or EfficientNet-Lite is. */
typedef struct inverted_place {
  inverted_part part;
  bool norm;
  int block; /* from 0, through all stages */
} inverted_place;

static bool find_place(const char *layer, inverted_place *place) {
  static const struct {
    const char *name;
    inverted_place place;
  } ends[] = {{"Conv1", {STEM, false, 0}}, {"bn_Conv1", {STEM, true, 0}}, {"stem_conv", {STEM, false, 0}},
      {"stem_bn", {STEM, true, 0}}, {"Conv_1", {HEAD, false, 0}}, {"Conv_1_bn", {HEAD, true, 0}},
      {"head_conv", {HEAD, false, 0}}, {"head_bn", {HEAD, true, 0}}, {"predictions", {CLASSIFIER, false, 0}}};
  static const char *const parts[] = {[EXPAND] = "expand", [DEPTHWISE] = "depthwise", [PROJECT] = "project"};
  static const char first[] = "expanded_conv_";
  int end = 0;
  for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
    if (strcmp(layer, ends[i].name) != 0) continue;
    *place = ends[i].place;
    return true;
  }
  place->block = 0;
  if (strncmp(layer, first, sizeof first - 1) == 0)
    end = (int)sizeof first - 1;
  else if (sscanf(layer, "block_%d_%n", &place->block, &end) != 1 || end == 0)
    return false;
  for (inverted_part part = EXPAND; part <= PROJECT; part++) {
    size_t length = strlen(parts[part]);
    if (strncmp(layer + end, parts[part], length) != 0) continue;
    place->part = part;
    place->norm = layer[(size_t)end + length] != '\0';
    return true;
  }
  return false;
}

/* Blocks are numbered by stage and place in it; the first stage has no expansion. */
static module_name name_timm_inverted(const char *layer, const int repeats[7]) {
  static const char *const first[] = {[DEPTHWISE] = "conv_dw", [PROJECT] = "conv_pw"};
  static const char *const other[] = {[EXPAND] = "conv_pw", [DEPTHWISE] = "conv_dw", [PROJECT] = "conv_pwl"};
  module_name name = {""};
  inverted_place at;
  int stage = 0;
  if (!find_place(layer, &at)) return name;
  if (at.part == STEM) return named(at.norm ? "bn1" : "conv_stem");
  if (at.part == HEAD) return named(at.norm ? "bn2" : "conv_head");
  if (at.part == CLASSIFIER) return named("classifier");
  int block = at.block;
  while (stage < 6 && block >= repeats[stage]) block -= repeats[stage++];
  if (stage == 0 && at.part == EXPAND) return name;
  if (at.norm)
    snprintf(name.text, sizeof name.text, "blocks.%d.%d.bn%d", stage, block,
        (int)at.part - (int)EXPAND + (stage == 0 ? 0 : 1));
  else
    snprintf(
        name.text, sizeof name.text, "blocks.%d.%d.%s", stage, block, stage == 0 ? first[at.part] : other[at.part]);
  return name;
}

/* torchvision's MobileNetV2: features.0 is the stem, features.N + 1 is block N, and each convolution with its norm and
 * activation is a module of its own but the last, which has no activation. */
static module_name name_torchvision_mobilenet(const char *layer) {
  module_name name = {""};
  inverted_place at;
  if (!find_place(layer, &at)) return name;
  if (at.part == STEM) return named(at.norm ? "features.0.1" : "features.0.0");
  if (at.part == HEAD) return named(at.norm ? "features.18.1" : "features.18.0");
  if (at.part == CLASSIFIER) return named("classifier.1");
  int module = (int)at.part - (int)EXPAND - (at.block == 0 ? 1 : 0);
  if (module < 0) return name;
  if (at.part == PROJECT)
    snprintf(name.text, sizeof name.text, "features.%d.conv.%d", at.block + 1, module + (at.norm ? 1 : 0));
  else
    snprintf(name.text, sizeof name.text, "features.%d.conv.%d.%d", at.block + 1, module, at.norm ? 1 : 0);
  return name;
}

/* ------------------------------------------------------------------------------------------------------- match -- */

static module_name name_module(const char *network, const char *layer, bool timm) {
  static const int mobilenet[7] = {1, 2, 3, 4, 3, 3, 1}, lite[7] = {1, 2, 2, 3, 3, 4, 1};
  if (strcmp(network, "resnet50") == 0) return name_resnet(layer);
  if (strcmp(network, "vgg16") == 0) return name_vgg(layer, timm, 3);
  if (strcmp(network, "vgg19") == 0) return name_vgg(layer, timm, 4);
  if (strcmp(network, "efficientnet_lite0") == 0) return name_timm_inverted(layer, lite);
  return timm ? name_timm_inverted(layer, mobilenet) : name_torchvision_mobilenet(layer);
}

/* The tensor that is `part` ("kernel", "gamma", ...) of a layer of ours; NULL if the file has it under neither name,
 * `shown` then being one of them. */
static const pmn_weight *find(const pmn_match *match, const char *layer, const char *part, char shown[2 * NAME_SIZE]) {
  static const char *const parts[][2] = {{"kernel", "weight"}, {"depthwise_kernel", "weight"}, {"gamma", "weight"},
      {"bias", "bias"}, {"beta", "bias"}, {"moving_mean", "running_mean"}, {"moving_variance", "running_var"}};
  const char *theirs = part;
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    if (strcmp(part, parts[i][0]) == 0) theirs = parts[i][1];
  }
  for (int timm = 1; timm >= 0; timm--) {
    snprintf(shown, 2 * NAME_SIZE, "%s.%s", name_module(match->architecture->name, layer, timm == 1).text, theirs);
    const pmn_weight *weight = pmn_safetensors_find(match->file, shown);
    if (weight != NULL) return weight;
  }
  return NULL;
}

/* A dense layer, [in, out] here. timm has VGG's as convolutions of a picture; in torchvision's VGG the first one reads
 * a flattened picture of 7x7. */
static pmn_status set_dense(pmn_match *match, int32_t index, const pmn_weight *source, bool flattened, pmn_err *err) {
  static const int32_t transposed[4] = {2, 3, 1, 0};
  const int64_t in = match->specs[index].shape[0], out = match->specs[index].shape[1];
  int64_t side = flattened ? FLATTENED_SIDE : 1;
  const int64_t view[4] = {out, in / (side * side), side, side}, flat[2] = {out, in};
  bool picture = source->rank == 4;
  return pmn_match_set(match, index, source, picture ? 4 : 2, picture ? view : flat, view, transposed, err);
}

static pmn_status set(
    pmn_match *match, int32_t index, const char *layer, const char *part, const pmn_weight *source, pmn_err *err) {
  static const int32_t in_order[4] = {0, 1, 2, 3}, convolution[4] = {2, 3, 1, 0}, depthwise[4] = {2, 3, 0, 1};
  const int64_t *s = match->specs[index].shape;
  if (match->specs[index].rank == 2) return set_dense(match, index, source, strcmp(layer, "fc1") == 0, err);
  if (match->specs[index].rank != 4) {
    const int64_t view[4] = {1, 1, 1, s[0]};
    return pmn_match_set(match, index, source, 1, s, view, in_order, err);
  }
  if (strcmp(part, "depthwise_kernel") == 0) {
    const int64_t view[4] = {s[2], 1, s[0], s[1]};
    return pmn_match_set(match, index, source, 4, view, view, depthwise, err);
  }
  const int64_t view[4] = {s[3], s[2], s[0], s[1]};
  return pmn_match_set(match, index, source, 4, view, view, convolution, err);
}

pmn_status pmn_match_torch(pmn_match *match, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  char shown[2 * NAME_SIZE];
  const char *classifier = match->architecture->classifier;
  PMN_TRY(pmn_match_start(match, classifier != NULL && find(match, classifier, "kernel", shown) != NULL, err));
  for (int32_t i = 0; i < match->count; i++) {
    char layer[sizeof match->specs->name];
    const char *name = match->specs[i].name, *slash = strrchr(name, '/');
    snprintf(layer, sizeof layer, "%.*s", (int)(slash - name), name);
    const pmn_weight *source = find(match, layer, slash + 1, shown);
    if (source == NULL) {
      PMN_FAIL(err, PMN_STATUS_MODEL, "%s has no tensor %s, which would be %s of %s",
          pmn_safetensors_origin(match->file), shown, name, match->architecture->name);
    }
    PMN_TRY(set(match, i, layer, slash + 1, source, err));
  }
  PMN_TRY(pmn_match_finish(match, err));
done:
  return st;
}
