/* pmn_block.c - see pmn_block.h. */
#include "pmn_block.h"

bool pmn_op_is_pointwise(const pmn_op *op, const pmn_tensor *in, const pmn_tensor *out) {
  return op->kernel_h == 1 && op->kernel_w == 1 && op->stride_h == 1 && op->stride_w == 1 && op->pad_top == 0 &&
         op->pad_left == 0 && in->h == out->h && in->w == out->w;
}

static bool used_once(const pmn_program *program, int32_t tensor) {
  int uses = tensor == program->output;
  for (int32_t i = 0; i < program->op_count; i++) {
    uses += program->ops[i].input == tensor;
    uses += program->ops[i].residual == tensor;
    uses += program->ops[i].factor == tensor;
  }
  return uses == 1;
}

static bool is_plain(const pmn_op *op) {
  return op->groups == 1 && op->dilation_h == 1 && op->dilation_w == 1 && op->activation == PMN_ACTIVATION_NONE;
}

int32_t pmn_block_length(const pmn_program *program, int32_t index) {
  int32_t length = program->ops[index].kind == PMN_OP_CONV2D ? 3 : 2;
  if (index + length > program->op_count) return 1;
  const pmn_op *first = &program->ops[index], *last = first + length - 1, *middle = last - 1;
  if (middle->kind != PMN_OP_DEPTHWISE_CONV2D || last->kind != PMN_OP_CONV2D || !is_plain(last) ||
      !pmn_op_is_pointwise(last, &program->tensors[last->input], &program->tensors[last->output])) {
    return 1;
  }
  for (const pmn_op *op = first; op < last; op++) {
    bool leads_on = op[1].input == op->output && used_once(program, op->output);
    if (!is_plain(op) || op->residual != PMN_NO_TENSOR || !leads_on) return 1;
  }
  return length;
}
