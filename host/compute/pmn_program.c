/* pmn_program.c - pmn_program_check: a program is believed only after every index, shape and lifetime was looked at.
 *
 * Programs come from the tables of `net`, and their sizes from weights files and users; backends index memory by them
 * without looking again. All sums and products below are of 31-bit numbers in 64 bits, or checked.
 */
#include "pmn_backend.h"

#include "pmn_err.h"
#include "pmn_mem.h"

#include <math.h>

/* From the operation that writes a tensor to the last that reads it. */
typedef struct lifetime {
  int32_t first, last; /* first is NOT_WRITTEN before any operation writes it, BEFORE_ALL for the program's input */
} lifetime;

enum { BEFORE_ALL = -1, NOT_WRITTEN = INT32_MAX };

static pmn_status tensor_check(const pmn_program *program, int32_t index, pmn_err *err) {
  const pmn_tensor *t = &program->tensors[index];
  if (t->h < 1 || t->w < 1 || t->c < 1 || (int64_t)t->h * t->w > INT32_MAX / t->c) {
    return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0,
        "tensor %d is %d x %d x %d: sizes must be 1 or more and their product below 2^31", index, t->h, t->w, t->c);
  }
  return PMN_STATUS_OK;
}

/* One axis of a window: every output position overlaps the picture, and no further position would fit. */
static bool axis_fits(int32_t in, int32_t out, int32_t kernel, int32_t stride, int32_t pad) {
  if (kernel < 1 || stride < 1 || pad < 0 || pad >= kernel || in > INT32_MAX - kernel) return false;
  int64_t last = (int64_t)(out - 1) * stride - pad; /* where the last window begins */
  int64_t pad_after = last + kernel - in;
  return last < in && pad_after > -(int64_t)stride;
}

static pmn_status window_check(
    const pmn_op *op, const pmn_tensor *in, const pmn_tensor *out, const char *name, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  if (op->weights == NULL || op->bias == NULL) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s has no weights or no bias", name);
  if (!axis_fits(in->h, out->h, op->kernel_h, op->stride_h, op->pad_top)) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s: kernel height %d, stride %d, padding %d do not lead from %d rows to %d",
        name, op->kernel_h, op->stride_h, op->pad_top, in->h, out->h);
  }
  if (!axis_fits(in->w, out->w, op->kernel_w, op->stride_w, op->pad_left)) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s: kernel width %d, stride %d, padding %d do not lead from %d columns to %d",
        name, op->kernel_w, op->stride_w, op->pad_left, in->w, out->w);
  }
  size_t size = 1;
  bool fits = pmn_size_mul((size_t)op->kernel_h, (size_t)op->kernel_w, &size) &&
              pmn_size_mul(size, op->kind == PMN_OP_CONV2D ? (size_t)in->c : 1, &size) &&
              pmn_size_mul(size, (size_t)out->c, &size);
  if (!fits || size > INT32_MAX) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s: 2^31 weights or more", name);
done:
  return st;
}

static pmn_status shapes_check(const pmn_program *program, const pmn_op *op, const char *name, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_tensor *in = &program->tensors[op->input], *out = &program->tensors[op->output];
  if (op->kind != PMN_OP_CONV2D && in->c != out->c) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s: %d channels in, %d out, must be the same", name, in->c, out->c);
  }
  if (op->kind == PMN_OP_GLOBAL_AVERAGE_POOL) {
    if (out->h != 1 || out->w != 1) {
      PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s: a global pool gives 1 x 1, not %d x %d", name, out->h, out->w);
    }
    if (op->residual != PMN_NO_TENSOR) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s: a pool takes no residual", name);
  } else {
    PMN_TRY(window_check(op, in, out, name, err));
  }
  if (op->residual != PMN_NO_TENSOR) {
    const pmn_tensor *r = &program->tensors[op->residual];
    if (r->h != out->h || r->w != out->w || r->c != out->c) {
      PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s: residual of %d x %d x %d added to %d x %d x %d", name, r->h, r->w, r->c,
          out->h, out->w, out->c);
    }
  }
  if (program->input_type == PMN_INPUT_U8 &&
      ((op->input == program->input && op->kind != PMN_OP_CONV2D) || op->residual == program->input)) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s: bytes can be read by a convolution only", name);
  }
done:
  return st;
}

/* The operation with index i: what it reads was written before, what it writes was not. */
static pmn_status op_check(const pmn_program *program, int32_t i, lifetime *lives, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_op *op = &program->ops[i];
  const char *name = op->name;
  if (name == NULL) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "operation %d has no name", i);
  if ((int)op->kind < 0 || op->kind >= PMN_OP_KIND_COUNT) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s: unknown kind of operation %d", name, (int)op->kind);
  }
  const int32_t read[] = {op->input, op->residual};
  for (int r = 0; r < 2; r++) {
    if (r == 1 && read[r] == PMN_NO_TENSOR) continue;
    if (read[r] < 0 || read[r] >= program->tensor_count) {
      PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s reads tensor %d of %d", name, read[r], program->tensor_count);
    }
    if (lives[read[r]].first == NOT_WRITTEN) {
      PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s reads tensor %d before it is written", name, read[r]);
    }
    lives[read[r]].last = i;
  }
  if (op->output < 0 || op->output >= program->tensor_count) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s writes tensor %d of %d", name, op->output, program->tensor_count);
  }
  if (lives[op->output].first != NOT_WRITTEN) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s writes tensor %d, which was written before", name, op->output);
  }
  lives[op->output] = (lifetime){i, i};
  if (!(op->clamp_min <= op->clamp_max)) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s: clamp from %g to %g", name, (double)op->clamp_min, (double)op->clamp_max);
  }
  PMN_TRY(shapes_check(program, op, name, err));
done:
  return st;
}

static pmn_status arena_check(const pmn_program *program, const lifetime *lives, pmn_err *err) {
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
      /* Written before i, so both live at once if the older one is still read at i or later. */
      if (lives[program->ops[j].output].last < i) continue;
      if (o->arena_offset < end && t->arena_offset < o->arena_offset + pmn_tensor_size(o)) {
        PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s: output overlaps that of %s, which is still needed", op->name,
            program->ops[j].name);
      }
    }
  }
done:
  return st;
}

pmn_status pmn_program_check(const pmn_program *program, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  lifetime *lives = NULL;
  int32_t count = program->tensor_count, input = program->input, output = program->output;
  if (count < 1 || program->op_count < 1) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "a program of %d tensors and %d operations", count, program->op_count);
  }
  if (input < 0 || input >= count || output < 0 || output >= count) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "program input %d and output %d of %d tensors", input, output, count);
  }
  for (int32_t i = 0; i < count; i++) PMN_TRY(tensor_check(program, i, err));
  if (program->input_type == PMN_INPUT_U8) {
    if (program->tensors[input].c != 3) {
      PMN_FAIL(err, PMN_STATUS_ARGUMENT, "an input of bytes with %d channels, must be 3", program->tensors[input].c);
    }
    for (int c = 0; c < 3; c++) {
      if (!isfinite(program->input_scale[c]) || !isfinite(program->input_shift[c])) {
        PMN_FAIL(err, PMN_STATUS_ARGUMENT, "input scale or shift of channel %d is not finite", c);
      }
    }
  } else if (program->input_type != PMN_INPUT_F32) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "unknown type of input %d", (int)program->input_type);
  }
  lives = pmn_alloc((size_t)count, sizeof *lives);
  if (lives == NULL) {
    st = pmn_err_memory(err, (size_t)count * sizeof *lives, "tensor lifetimes");
    goto done;
  }
  for (int32_t i = 0; i < count; i++) lives[i] = (lifetime){NOT_WRITTEN, NOT_WRITTEN};
  lives[input] = (lifetime){BEFORE_ALL, BEFORE_ALL};
  for (int32_t i = 0; i < program->op_count; i++) PMN_TRY(op_check(program, i, lives, err));
  if (output == input || lives[output].first == NOT_WRITTEN) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "no operation writes the program's output, tensor %d", output);
  }
  lives[output].last = program->op_count;
  PMN_TRY(arena_check(program, lives, err));
done:
  pmn_free(lives);
  return st;
}
