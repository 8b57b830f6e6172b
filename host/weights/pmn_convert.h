/* pmn_convert.h - which tensor of somebody else's file is which of a network of the zoo. Private to the room.
 *
 * A match is all or nothing: every tensor of the network is found with its shape, and none of the file is left over
 * but what says nothing about the network (PyTorch's counters of batches). One thing may differ: a network trained on
 * classes of somebody's own ends in another number of them; it is matched without its classifier.
 */
#ifndef PMN_CONVERT_H
#define PMN_CONVERT_H

#include "pmn_weights.h"
#include "pmn_weights_write.h"

/* A network that a file holds the weights of. Given empty (zeros) to a match; pmn_match_reset frees it. */
typedef struct pmn_match {
  const pmn_safetensors *file;
  const pmn_architecture *architecture;
  bool torch;                  /* computes as PyTorch does: padding, epsilons, which biases there are */
  bool classifier;             /* the classifier is there too */
  int64_t classes;             /* of the file's classifier; 0: it has none */
  int64_t own_classes;         /* of the network's, when the file has one */
  pmn_tensor_spec *specs;      /* [count] */
  pmn_weights_tensor *tensors; /* [count], of the specs in their order */
  int32_t count;
} pmn_match;

/* Tensors named LAYER/PART in the order in which Keras reads them. The layers' names are used if every layer of the
 * network is there by its name; else the k-th convolution is the k-th convolution, and so on for every kind of layer,
 * which is how Keras itself loads a file. PMN_STATUS_MODEL with what does not fit, PMN_STATUS_NO_MEMORY. */
PMN_MUST_USE pmn_status pmn_match_keras(pmn_match *match, pmn_err *err);
/* The same for tensors with the names that torchvision's or timm's networks give them. */
PMN_MUST_USE pmn_status pmn_match_torch(pmn_match *match, pmn_err *err);
void pmn_match_reset(pmn_match *match);

/* What both need. Specs and room for tensors, with or without the classifier's. */
PMN_MUST_USE pmn_status pmn_match_start(pmn_match *match, bool classifier, pmn_err *err);
/* `source`, which must have this shape, becomes the tensor of specs[index]; view and axes as in pmn_weights_tensor. */
PMN_MUST_USE pmn_status pmn_match_set(pmn_match *match, int32_t index, const pmn_weight *source, int32_t rank,
    const int64_t *shape, const int64_t view[4], const int32_t axes[4], pmn_err *err);
/* Once all are set: PMN_STATUS_MODEL naming the first tensors of the file that belong to none of the network. Leaves a
 * classifier of other classes out. */
PMN_MUST_USE pmn_status pmn_match_finish(pmn_match *match, pmn_err *err);
/* The file's classifier was left out. */
bool pmn_match_is_cut(const pmn_match *match);

/* pmn_weights_convert of pomona.h. `entry`, or NULL: what the file was published as: its network, with or without
 * classifier; the metadata then says "pomona.size" too. PMN_STATUS_INTERRUPTED once *stop is raised; stop may be NULL.
 */
PMN_MUST_USE pmn_status pmn_convert_file(const char *input, const char *network, const pmn_weights_entry *entry,
    const char *output, bool overwrite, const volatile sig_atomic_t *stop, pmn_converted *converted, pmn_err *err);

#endif
