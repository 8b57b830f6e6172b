/* pmn_networks.h - which weights a network gets when the user names none. Also pmn_networks_list of pomona.h. */
#ifndef PMN_NETWORKS_H
#define PMN_NETWORKS_H

#include "pmn_weights.h"

/* Appends the path of the fetched weights of a network to `path`; *found is false if there are none. Published weights
 * may differ by the size of the pictures (0: the network's own). With `classifier` only files that hold one will do;
 * without, they are the second choice, being larger. */
PMN_MUST_USE pmn_status pmn_networks_weights(const pmn_architecture *architecture, int32_t width, int32_t height,
    bool classifier, pmn_buf *path, bool *found, pmn_err *err);

#endif
