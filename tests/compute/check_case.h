/* check_case.h - a row of cases.h as a program with its numbers. */
#ifndef CHECK_CASE_H
#define CHECK_CASE_H

#include "compute_check.h"

#include "cases.h"

/* The operation is the last; a multiplication has a copy before it that makes its factor of the input. */
typedef struct case_program {
  pmn_tensor tensors[3]; /* input, output, factor */
  pmn_op ops[2];
  pmn_op *op; /* the one that the row describes */
  pmn_program program;
  float *weights, *bias;
} case_program;

void case_init(case_program *p, const compute_case *c);
void case_reset(case_program *p);

/* n pictures that differ; the first is the golden's. free() the result. */
void *case_input(const compute_case *c, size_t n);

/* What compute_apply and compute_bound want of the first picture of an input. Reset frees it. */
compute_operands case_operands(const case_program *p, const compute_case *c, const void *input);
void case_operands_reset(compute_operands *operands);

bool case_has(const compute_case *c, char option);

#endif
