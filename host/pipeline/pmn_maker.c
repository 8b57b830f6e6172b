/* pmn_maker.c - see pmn_maker.h: by what is asked for. */
#include "pmn_maker.h"

#include <jansson.h>
#include <string.h>

pmn_status pmn_maker_create(const pmn_extract_options *options, pmn_maker **maker, pmn_err *err) {
  bool pixels = options->features != NULL && strcmp(options->features, "pixels") == 0;
  *maker = NULL;
  pmn_status st = pixels ? pmn_maker_pixels(options, maker, err) : pmn_maker_network(options, maker, err);
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
