/* seeded_weights.h - MobileNetV2 weights made of nothing but their names, as tests/golden/features_README.md defines
 * them.
 *
 * The same rule stands in tests/golden/features_seeded.py, from which Keras got the weights of the golden features.
 */
#ifndef SEEDED_WEIGHTS_H
#define SEEDED_WEIGHTS_H

/* Writes a safetensors file of Keras's MobileNetV2 (alpha 1.0) tensors. 0, or -1 with errno set. */
int seeded_mobilenet_v2_write(const char *path);

#endif
