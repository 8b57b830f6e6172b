/* pmn_preprocess.h - what a picture must look like before it goes into a network. Part of the network: its weights were
 * trained on pictures prepared so, and its record is stored with every output. */
#ifndef PMN_PREPROCESS_H
#define PMN_PREPROCESS_H

#include "pmn_err.h"

typedef struct pmn_preprocess {
  int32_t width, height; /* pixels; the picture is resized without crop */
  const char *resize;    /* Pillow's name of the filter */
  bool bgr;              /* the network's channels are blue, green, red; else red, green, blue */
  /* Network input = byte * scale + shift, in the order of the network's channels. In fp64: rounded to fp32 once, at the
   * end, x * (1 / 255) is the fp32 nearest to x / 255 for every byte. */
  double scale[3], shift[3];
  const char *name;    /* what --preprocess calls it, or "file" if a model file describes its own */
  const char *formula; /* the same in words, for people */
} pmn_preprocess;

/* The named ways to prepare a picture, by index from 0 and by name; NULL past the last and for no such name. They
 * differ in their formulas alone: the filter is Pillow's default for all, width and height are 0. "tf", "caffe" and
 * "torch" are the modes of Keras's imagenet_utils; "lite" is EfficientNet-Lite's, "unit" x / 255, "raw" the bytes. */
const pmn_preprocess *pmn_preprocess_at(int32_t index);
const pmn_preprocess *pmn_preprocess_find(const char *name);
#define PMN_PREPROCESS_NAMES "tf, caffe, torch, lite, unit, raw"
/* The same with an error that lists the names. */
PMN_MUST_USE pmn_status pmn_preprocess_choose(const char *name, const pmn_preprocess **preprocess, pmn_err *err);

#endif
