/* seeded_weights.h - weights and pictures made of nothing, as tests/golden/features_README.md defines them.
 *
 * The same rule stands in tests/golden/features_seeded.py, from which Keras and torchvision got the weights of the
 * golden features.
 */
#ifndef SEEDED_WEIGHTS_H
#define SEEDED_WEIGHTS_H

#include <stdbool.h>
#include <stdint.h>

/* Writes a safetensors file for a network of the zoo, whose metadata say network and framework ("keras" or "torch";
 * NULL: no metadata). 0, or -1 with errno set. */
int seeded_weights_write(const char *path, const char *network, const char *framework, bool classifier);
/* Of mobilenet_v2 with its classifier, without metadata. */
int seeded_mobilenet_v2_write(const char *path);

/* Picture `index`, RGB [height, width, 3]. */
void seeded_picture(int index, int width, int height, uint8_t *pixels);

#endif
