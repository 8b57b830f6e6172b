/* pomona-seeded-weights: writes MobileNetV2 weights made of nothing but their names, for timing: a network's speed does
 * not depend on its training. bench/peers/make_onnx.py makes the same for the peers. */
#include "seeded_weights.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
  if (argc != 2 || argv[1][0] == '-') {
    fprintf(stderr, "Usage: pomona-seeded-weights FILE\nWrites seeded MobileNetV2 weights as safetensors.\n");
    return 2;
  }
  if (seeded_mobilenet_v2_write(argv[1]) != 0) {
    fprintf(stderr, "pomona-seeded-weights: cannot write %s: %s\n", argv[1], strerror(errno));
    return 4;
  }
  return 0;
}
