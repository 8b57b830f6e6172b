/* pomona-seeded-weights: writes weights made of nothing but their names, for timing: a network's speed does not depend
 * on its training. bench/peers/make_onnx.py makes the same for the peers. */
#include "pmn_model.h"
#include "seeded_weights.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
  if (argc != 3 || argv[1][0] == '-') {
    fprintf(stderr,
        "Usage: pomona-seeded-weights NETWORK FILE\nWrites seeded weights, with the classifier, as safetensors.\n");
    return 2;
  }
  if (pmn_architecture_find(argv[1]) == NULL) {
    fprintf(stderr, "pomona-seeded-weights: no network is called \"%s\"\n", argv[1]);
    return 2;
  }
  if (seeded_weights_write(argv[2], argv[1], "keras", true) != 0) {
    fprintf(stderr, "pomona-seeded-weights: cannot write %s: %s\n", argv[2], strerror(errno));
    return 4;
  }
  return 0;
}
