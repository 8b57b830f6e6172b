/* pmn_program.c - what an operation holds, and pmn_program_check: a program is believed only after every index, shape
 * and lifetime was looked at.
 *
 * Programs come from the tables of `net`, and their sizes from weights files, ONNX files and users; backends index
 * memory by them without looking again, in 32 bits where the sums below fit. All sums and products here are of 31-bit
 * numbers in 64 bits, or checked.
 */
#include "pmn_backend.h"

#include "pmn_err.h"
#include "pmn_mem.h"

#include <math.h>

/* ------------------------------------------------------------------------------------------------ operations -- */

pmn_op pmn_op_init(pmn_op_kind kind, const char *name, int32_t input, int32_t output) {
  return (pmn_op){.kind = kind,
      .name = name,
      .input = input,
      .output = output,
      .residual = PMN_NO_TENSOR,
      .factor = PMN_NO_TENSOR,
      .kernel_h = 1,
      .kernel_w = 1,
      .stride_h = 1,
      .stride_w = 1,
      .dilation_h = 1,
      .dilation_w = 1,
      .groups = 1,
      .clamp_min = -INFINITY,
      .clamp_max = INFINITY};
}

size_t pmn_op_weights_size(const pmn_op *op, const pmn_tensor *in, const pmn_tensor *out) {
  size_t window = (size_t)op->kernel_h * (size_t)op->kernel_w;
  switch (op->kind) {
  case PMN_OP_CONV2D:
    return window * (size_t)(in->c / op->groups) * (size_t)out->c;
  case PMN_OP_DEPTHWISE_CONV2D:
    return window * (size_t)out->c;
  case PMN_OP_LAYER_NORM:
    return (size_t)out->c;
  case PMN_OP_RESIZE:
    return 3 * ((size_t)out->h + (size_t)out->w);
  default:
    return 0;
  }
}

size_t pmn_op_bias_size(const pmn_op *op, const pmn_tensor *out) {
  bool biased = op->kind == PMN_OP_CONV2D || op->kind == PMN_OP_DEPTHWISE_CONV2D || op->kind == PMN_OP_LAYER_NORM;
  return biased ? (size_t)out->c : 0;
}

/* --------------------------------------------------------------------------------------------------- windows -- */

/* One axis of a window. */
typedef struct axis {
  const char *side, *lines; /* for messages: "height" and "rows", or "width" and "columns" */
  int32_t in, out, kernel, stride, dilation, pad;
} axis;

/* The parameters are in range, no further position would fit, and no sum that a backend forms exceeds 31 bits. */
static bool axis_fits(const axis *a) {
  if (a->kernel < 1 || a->stride < 1 || a->dilation < 1 || a->pad < 0) return false;
  int64_t extent = (int64_t)(a->kernel - 1) * a->dilation + 1, strides = (int64_t)a->out * a->stride;
  int64_t padded = (int64_t)a->in + a->pad;
  return padded + extent <= INT32_MAX - strides && strides + extent > padded;
}

/* Every window holds at least one line of the picture. */
static bool axis_meets_picture(const axis *a) {
  for (int64_t o = 0; o < a->out; o++) {
    int64_t first = o * a->stride - a->pad, last = first + (int64_t)(a->kernel - 1) * a->dilation;
    if (first < 0) first += (a->dilation - 1 - first) / a->dilation * a->dilation; /* the first one that is not */
    if (first > last || first >= a->in) return false;
  }
  return true;
}

static pmn_status window_check(
    const pmn_op *op, const pmn_tensor *in, const pmn_tensor *out, const char *name, pmn_err *err) {
  const axis axes[] = {{"height", "rows", in->h, out->h, op->kernel_h, op->stride_h, op->dilation_h, op->pad_top},
      {"width", "columns", in->w, out->w, op->kernel_w, op->stride_w, op->dilation_w, op->pad_left}};
  bool pools = op->kind == PMN_OP_MAX_POOL || op->kind == PMN_OP_AVERAGE_POOL;
  for (int i = 0; i < 2; i++) {
    const axis *a = &axes[i];
    if (axis_fits(a) && (!pools || axis_meets_picture(a))) continue;
    return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0,
        "%s: kernel %s %d, stride %d, dilation %d, padding %d do not lead from %d %s to %d", name, a->side, a->kernel,
        a->stride, a->dilation, a->pad, a->in, a->lines, a->out);
  }
  if (op->kind == PMN_OP_AVERAGE_POOL && (op->dilation_h != 1 || op->dilation_w != 1)) {
    return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0, "%s: an average pool with dilation", name);
  }
  int64_t padded_h = (int64_t)in->h + op->pad_top + op->pad_bottom;
  int64_t padded_w = (int64_t)in->w + op->pad_left + op->pad_right;
  if (op->kind == PMN_OP_AVERAGE_POOL && op->count_padding &&
      (op->pad_bottom < 0 || op->pad_right < 0 || padded_h > INT32_MAX || padded_w > INT32_MAX)) {
    return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0, "%s: counts padding of %d rows below and %d columns to the right",
        name, op->pad_bottom, op->pad_right);
  }
  return PMN_STATUS_OK;
}

/* ------------------------------------------------------------------------------------------- kinds, one by one -- */

static pmn_status convolution_check(
    const pmn_op *op, const pmn_tensor *in, const pmn_tensor *out, const char *name, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  PMN_TRY(window_check(op, in, out, name, err));
  int32_t depth = 1;
  if (op->kind == PMN_OP_CONV2D) {
    if (op->groups < 1 || in->c % op->groups != 0 || out->c % op->groups != 0) {
      PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s: %d groups do not divide %d channels in and %d out", name, op->groups,
          in->c, out->c);
    }
    depth = in->c / op->groups;
  }
  size_t size = 1;
  bool fits = pmn_size_mul((size_t)op->kernel_h, (size_t)op->kernel_w, &size) &&
              pmn_size_mul(size, (size_t)depth, &size) && pmn_size_mul(size, (size_t)out->c, &size);
  if (!fits || size > INT32_MAX) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s: 2^31 weights or more", name);
done:
  return st;
}

static pmn_status multiply_check(const pmn_tensor *in, const pmn_tensor *factor, const char *name, pmn_err *err) {
  bool fits = (factor->h == in->h || factor->h == 1) && (factor->w == in->w || factor->w == 1) &&
              (factor->c == in->c || factor->c == 1);
  if (fits) return PMN_STATUS_OK;
  return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0,
      "%s: %d x %d x %d times a factor of %d x %d x %d, each of which must be the same or 1", name, in->h, in->w, in->c,
      factor->h, factor->w, factor->c);
}

static pmn_status lrn_check(const pmn_op *op, const char *name, pmn_err *err) {
  bool fits = op->lrn_size >= 1 && isfinite(op->lrn_alpha) && op->lrn_alpha >= 0.0f && isfinite(op->lrn_beta) &&
              isfinite(op->lrn_bias) && op->lrn_bias > 0.0f;
  if (fits) return PMN_STATUS_OK;
  return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0,
      "%s: normalises over %d channels with alpha %g, beta %g, bias %g; must be 1 or more, 0 or more, finite, above 0",
      name, op->lrn_size, (double)op->lrn_alpha, (double)op->lrn_beta, (double)op->lrn_bias);
}

/* `taps` of one axis: two whole numbers that index the input, and a share. */
static pmn_status taps_check(const float *taps, int32_t in, int32_t out, const char *name, pmn_err *err) {
  for (int32_t o = 0; o < out; o++, taps += 3) {
    bool fits = taps[2] >= 0.0f && taps[2] <= 1.0f;
    for (int i = 0; i < 2; i++) fits = fits && taps[i] >= 0.0f && taps[i] < (float)in && floorf(taps[i]) == taps[i];
    if (fits) continue;
    return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0,
        "%s: output line %d takes lines %g and %g of %d with share %g; must be whole, below %d, and 0 to 1", name, o,
        (double)taps[0], (double)taps[1], in, (double)taps[2], in);
  }
  return PMN_STATUS_OK;
}

static pmn_status copy_check(const pmn_op *op, const char *name, pmn_err *err) {
  bool plain = op->activation == PMN_ACTIVATION_NONE && op->residual == PMN_NO_TENSOR && !(op->clamp_min > -INFINITY) &&
               !(op->clamp_max < INFINITY);
  if (plain) return PMN_STATUS_OK;
  return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0, "%s: a copy takes no residual, activation or clamp", name);
}

/* What output and input must share, and which parameters there must be. */
typedef struct kind_rule {
  enum { SHARES_NOTHING, SHARES_CHANNELS, SHARES_ALL } shares;
  bool weights, bias;
} kind_rule;

static const kind_rule kind_rules[PMN_OP_KIND_COUNT] = {
    [PMN_OP_CONV2D] = {SHARES_NOTHING, true, true},
    [PMN_OP_DEPTHWISE_CONV2D] = {SHARES_CHANNELS, true, true},
    [PMN_OP_GLOBAL_AVERAGE_POOL] = {SHARES_CHANNELS, false, false},
    [PMN_OP_MAX_POOL] = {SHARES_CHANNELS, false, false},
    [PMN_OP_AVERAGE_POOL] = {SHARES_CHANNELS, false, false},
    [PMN_OP_MULTIPLY] = {SHARES_ALL, false, false},
    [PMN_OP_COPY] = {SHARES_NOTHING, false, false},
    [PMN_OP_SOFTMAX] = {SHARES_ALL, false, false},
    [PMN_OP_LRN] = {SHARES_ALL, false, false},
    [PMN_OP_LAYER_NORM] = {SHARES_ALL, true, true},
    [PMN_OP_RESIZE] = {SHARES_CHANNELS, true, false},
};

static pmn_status rule_check(
    const pmn_op *op, const pmn_tensor *in, const pmn_tensor *out, const char *name, pmn_err *err) {
  const kind_rule *rule = &kind_rules[op->kind];
  if ((rule->weights && op->weights == NULL) || (rule->bias && op->bias == NULL)) {
    return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0, "%s has no weights or no bias", name);
  }
  if (rule->shares != SHARES_NOTHING && in->c != out->c) {
    return pmn_err_set(
        err, PMN_STATUS_ARGUMENT, 0, "%s: %d channels in, %d out, must be the same", name, in->c, out->c);
  }
  if (rule->shares == SHARES_ALL && (in->h != out->h || in->w != out->w)) {
    return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0, "%s: %d x %d in, %d x %d out, must be the same", name, in->h, in->w,
        out->h, out->w);
  }
  return PMN_STATUS_OK;
}

/* What else the kind asks. */
static pmn_status kind_check(const pmn_program *program, const pmn_op *op, const char *name, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_tensor *in = &program->tensors[op->input], *out = &program->tensors[op->output];
  switch (op->kind) {
  case PMN_OP_CONV2D:
  case PMN_OP_DEPTHWISE_CONV2D:
    PMN_TRY(convolution_check(op, in, out, name, err));
    break;
  case PMN_OP_GLOBAL_AVERAGE_POOL:
    if (out->h != 1 || out->w != 1) {
      PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s: a global pool gives 1 x 1, not %d x %d", name, out->h, out->w);
    }
    if (op->residual != PMN_NO_TENSOR) {
      PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s: a global pool takes no residual", name);
    }
    break;
  case PMN_OP_MAX_POOL:
  case PMN_OP_AVERAGE_POOL:
    PMN_TRY(window_check(op, in, out, name, err));
    break;
  case PMN_OP_MULTIPLY:
    PMN_TRY(multiply_check(in, &program->tensors[op->factor], name, err));
    break;
  case PMN_OP_COPY:
    PMN_TRY(copy_check(op, name, err));
    break;
  case PMN_OP_LRN:
    PMN_TRY(lrn_check(op, name, err));
    break;
  case PMN_OP_LAYER_NORM:
    if (!isfinite(op->epsilon) || op->epsilon <= 0.0f) {
      PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s: epsilon %g, must be above 0", name, (double)op->epsilon);
    }
    break;
  case PMN_OP_RESIZE:
    PMN_TRY(taps_check(op->weights, in->h, out->h, name, err));
    PMN_TRY(taps_check(op->weights + 3 * (size_t)out->h, in->w, out->w, name, err));
    break;
  case PMN_OP_SOFTMAX:
  case PMN_OP_KIND_COUNT:
    break;
  }
done:
  return st;
}

/* ------------------------------------------------------------------------------------- tensors and their lives -- */

/* What is known of a tensor after the operations looked at so far. */
typedef struct tensor_life {
  int32_t first, last; /* from the operation that writes it first, or NOT_WRITTEN or BEFORE_ALL, to the last use */
  uint64_t *copied;    /* a bit for every element that copies have written; NULL if another kind writes it */
  size_t missing;      /* elements that are not written yet */
} tensor_life;

enum { BEFORE_ALL = -1, NOT_WRITTEN = INT32_MAX };

static pmn_status tensor_check(const pmn_program *program, int32_t index, pmn_err *err) {
  const pmn_tensor *t = &program->tensors[index];
  if (t->h < 1 || t->w < 1 || t->c < 1 || (int64_t)t->h * t->w > INT32_MAX / t->c) {
    return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0,
        "tensor %d is %d x %d x %d: sizes must be 1 or more and their product below 2^31", index, t->h, t->w, t->c);
  }
  return PMN_STATUS_OK;
}

static pmn_status read_check(const pmn_program *program, int32_t i, int32_t tensor, tensor_life *lives, pmn_err *err) {
  const char *name = program->ops[i].name;
  if (tensor < 0 || tensor >= program->tensor_count) {
    return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0, "%s reads tensor %d of %d", name, tensor, program->tensor_count);
  }
  tensor_life *life = &lives[tensor];
  if (life->first == NOT_WRITTEN) {
    return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0, "%s reads tensor %d before it is written", name, tensor);
  }
  if (life->missing > 0) {
    return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0, "%s reads tensor %d before its last %zu elements are written", name,
        tensor, life->missing);
  }
  life->last = i;
  return PMN_STATUS_OK;
}

/* Lowest and highest index of one side of a copy. Extents of 1 or more with a product below 2^31 have a sum below
 * 2^32, so that no sum here exceeds 64 bits. */
static bool copy_in_range(const int32_t extent[3], int64_t first, const int32_t stride[3], size_t size) {
  int64_t lowest = first, highest = first;
  for (int d = 0; d < 3; d++) {
    int64_t reach = (int64_t)(extent[d] - 1) * stride[d];
    if (reach < 0)
      lowest += reach;
    else
      highest += reach;
  }
  return lowest >= 0 && highest < (int64_t)size;
}

/* Marks what a copy writes. */
static pmn_status copy_mark(const pmn_program *program, const pmn_op *op, tensor_life *life, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_copy *copy = &op->copy;
  size_t in_size = pmn_tensor_size(&program->tensors[op->input]);
  size_t out_size = pmn_tensor_size(&program->tensors[op->output]), count = 1;
  for (int d = 0; d < 3; d++) {
    bool fits = copy->extent[d] >= 1 && pmn_size_mul(count, (size_t)copy->extent[d], &count) && count <= out_size;
    if (!fits) {
      PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s copies %d x %d x %d elements to a tensor of %zu", op->name,
          copy->extent[0], copy->extent[1], copy->extent[2], out_size);
    }
  }
  if (!copy_in_range(copy->extent, copy->in_first, copy->in_stride, in_size)) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s copies from outside its input", op->name);
  }
  if (!copy_in_range(copy->extent, copy->out_first, copy->out_stride, out_size)) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s copies to outside its output", op->name);
  }
  for (int64_t i = 0; i < copy->extent[0]; i++) {
    for (int64_t j = 0; j < copy->extent[1]; j++) {
      int64_t at = copy->out_first + i * copy->out_stride[0] + j * copy->out_stride[1];
      for (int32_t k = 0; k < copy->extent[2]; k++, at += copy->out_stride[2]) {
        uint64_t bit = (uint64_t)1 << (at % 64);
        if ((life->copied[at / 64] & bit) != 0) {
          PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s copies to element %lld of its output, which was written before",
              op->name, (long long)at);
        }
        life->copied[at / 64] |= bit;
      }
    }
  }
  life->missing -= count;
done:
  return st;
}

static pmn_status write_check(const pmn_program *program, int32_t i, tensor_life *lives, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_op *op = &program->ops[i];
  if (op->output < 0 || op->output >= program->tensor_count) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s writes tensor %d of %d", op->name, op->output, program->tensor_count);
  }
  tensor_life *life = &lives[op->output];
  bool fresh = life->first == NOT_WRITTEN, copies = op->kind == PMN_OP_COPY;
  if (!fresh && !(copies && life->missing > 0)) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s writes tensor %d, which was written before", op->name, op->output);
  }
  if (fresh) life->first = i;
  life->last = i;
  if (!copies) goto done;
  if (fresh) {
    size_t size = pmn_tensor_size(&program->tensors[op->output]);
    life->missing = size;
    life->copied = pmn_calloc(size / 64 + 1, sizeof *life->copied);
    if (life->copied == NULL) {
      st = pmn_err_memory(err, size / 8, "a map of what copies write");
      goto done;
    }
  }
  PMN_TRY(copy_mark(program, op, life, err));
done:
  return st;
}

static pmn_status epilogue_check(const pmn_program *program, const pmn_op *op, pmn_err *err) {
  const pmn_tensor *out = &program->tensors[op->output];
  if (op->residual != PMN_NO_TENSOR) {
    const pmn_tensor *r = &program->tensors[op->residual];
    if (r->h != out->h || r->w != out->w || r->c != out->c) {
      return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0, "%s: residual of %d x %d x %d added to %d x %d x %d", op->name,
          r->h, r->w, r->c, out->h, out->w, out->c);
    }
  }
  if ((int)op->activation < 0 || op->activation >= PMN_ACTIVATION_COUNT || !isfinite(op->alpha)) {
    return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0, "%s: unknown activation %d, or alpha %g is not finite", op->name,
        (int)op->activation, (double)op->alpha);
  }
  if (!(op->clamp_min <= op->clamp_max)) {
    return pmn_err_set(
        err, PMN_STATUS_ARGUMENT, 0, "%s: clamp from %g to %g", op->name, (double)op->clamp_min, (double)op->clamp_max);
  }
  return PMN_STATUS_OK;
}

/* The operation with index i: what it reads was written before, what it writes was not. */
static pmn_status op_check(const pmn_program *program, int32_t i, tensor_life *lives, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_op *op = &program->ops[i];
  const char *name = op->name;
  if (name == NULL) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "operation %d has no name", i);
  if ((int)op->kind < 0 || op->kind >= PMN_OP_KIND_COUNT) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s: unknown kind of operation %d", name, (int)op->kind);
  }
  if (op->kind != PMN_OP_MULTIPLY && op->factor != PMN_NO_TENSOR) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s: only a multiplication takes a factor", name);
  }
  PMN_TRY(read_check(program, i, op->input, lives, err));
  if (op->residual != PMN_NO_TENSOR) PMN_TRY(read_check(program, i, op->residual, lives, err));
  if (op->kind == PMN_OP_MULTIPLY) PMN_TRY(read_check(program, i, op->factor, lives, err));
  PMN_TRY(write_check(program, i, lives, err));
  PMN_TRY(rule_check(op, &program->tensors[op->input], &program->tensors[op->output], name, err));
  PMN_TRY(kind_check(program, op, name, err));
  PMN_TRY(epilogue_check(program, op, err));
  bool reads_bytes = op->kind == PMN_OP_CONV2D && op->groups == 1;
  if (program->input_type == PMN_INPUT_U8 && ((op->input == program->input && !reads_bytes) ||
                                                 op->residual == program->input || op->factor == program->input)) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s: bytes can be read by a convolution of 1 group only", name);
  }
done:
  return st;
}

static pmn_status arena_check(const pmn_program *program, const tensor_life *lives, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t bytes;
  if (!pmn_size_mul(program->arena_size, sizeof(float), &bytes)) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "an arena of %zu floats", program->arena_size);
  }
  for (int32_t i = 0; i < program->op_count; i++) {
    const pmn_op *op = &program->ops[i];
    const pmn_tensor *t = &program->tensors[op->output];
    size_t end;
    if (t->arena_offset % 16 != 0 || !pmn_size_add(t->arena_offset, pmn_tensor_size(t), &end) ||
        end > program->arena_size) {
      PMN_FAIL(err, PMN_STATUS_ARGUMENT,
          "%s: output at %zu is not a multiple of 16 or ends past the arena of %zu floats", op->name, t->arena_offset,
          program->arena_size);
    }
    for (int32_t j = 0; j < i; j++) {
      const pmn_tensor *o = &program->tensors[program->ops[j].output];
      /* Written before i, so both live at once if the older one is still needed at i or later. */
      if (o == t || lives[program->ops[j].output].last < i) continue;
      if (o->arena_offset < end && t->arena_offset < o->arena_offset + pmn_tensor_size(o)) {
        PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s: output overlaps that of %s, which is still needed", op->name,
            program->ops[j].name);
      }
    }
  }
done:
  return st;
}

static pmn_status input_check(const pmn_program *program, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  if (program->input_type == PMN_INPUT_U8) {
    int32_t channels = program->tensors[program->input].c;
    if (channels != 3) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "an input of bytes with %d channels, must be 3", channels);
    for (int c = 0; c < 3; c++) {
      if (!isfinite(program->input_scale[c]) || !isfinite(program->input_shift[c])) {
        PMN_FAIL(err, PMN_STATUS_ARGUMENT, "input scale or shift of channel %d is not finite", c);
      }
    }
  } else if (program->input_type != PMN_INPUT_F32) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "unknown type of input %d", (int)program->input_type);
  }
done:
  return st;
}

pmn_status pmn_program_check(const pmn_program *program, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  tensor_life *lives = NULL;
  int32_t count = program->tensor_count, input = program->input, output = program->output;
  if (count < 1 || program->op_count < 1) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "a program of %d tensors and %d operations", count, program->op_count);
  }
  if (input < 0 || input >= count || output < 0 || output >= count) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "program input %d and output %d of %d tensors", input, output, count);
  }
  for (int32_t i = 0; i < count; i++) PMN_TRY(tensor_check(program, i, err));
  PMN_TRY(input_check(program, err));
  lives = pmn_calloc((size_t)count, sizeof *lives);
  if (lives == NULL) {
    st = pmn_err_memory(err, (size_t)count * sizeof *lives, "tensor lifetimes");
    goto done;
  }
  for (int32_t i = 0; i < count; i++) lives[i].first = lives[i].last = NOT_WRITTEN;
  lives[input].first = lives[input].last = BEFORE_ALL;
  for (int32_t i = 0; i < program->op_count; i++) PMN_TRY(op_check(program, i, lives, err));
  if (output == input || lives[output].first == NOT_WRITTEN || lives[output].missing > 0) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "no operation writes the program's output, tensor %d", output);
  }
  lives[output].last = program->op_count;
  PMN_TRY(arena_check(program, lives, err));
done:
  for (int32_t i = 0; lives != NULL && i < count; i++) pmn_free(lives[i].copied);
  pmn_free(lives);
  return st;
}
