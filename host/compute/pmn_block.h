/* pmn_block.h - inverted residuals in a program: which neighbouring operations a backend may compute as one.
 *
 *   x [h, w, cin] --convolution--> wide [h, w, cw] --depthwise--> narrow [h', w', cw] --pointwise--> y [h', w', cout]
 *
 * Wide and narrow are the largest tensors of such networks, and nobody else reads them: fused, they never exist.
 */
#ifndef PMN_BLOCK_H
#define PMN_BLOCK_H

#include "pmn_program.h"

/* A convolution whose output pixel reads the input pixel at its place and no other. */
bool pmn_op_is_pointwise(const pmn_op *op, const pmn_tensor *in, const pmn_tensor *out);

/* How many operations from ops[index] on make a block: 3, 2 without the widening convolution (which may be of any
 * kernel), or 1 for none. They have no groups, no dilation and no activation but the clamp, and only the last may add a
 * residual. */
int32_t pmn_block_length(const pmn_program *program, int32_t index);

#endif
