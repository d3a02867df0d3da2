/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_OP_CASES_H
#define DEEP_OP_CASES_H

/*
 * One table of ops and shapes for every comparison: gradients by finite differences on the reference in double, and
 * each backend against the reference in float.
 */
#include "graph/graph.h"

/* A case builds its op on graph inputs that hold random numbers; what they are is said by `kind`. */
enum op_input_kind {
    OP_INPUT_NONE,
    OP_INPUT_ANY,         /* uniform in -1 .. 1 */
    OP_INPUT_POSITIVE,    /* uniform in 0.5 .. 1.5: variances */
    OP_INPUT_LABELS,      /* i32 class indices */
    OP_INPUT_COUNTER,     /* i64 {seed, step} */
    OP_INPUT_BF16,        /* a kernel */
    OP_INPUT_F16,         /* a kernel */
    OP_INPUT_I8,          /* a kernel, and ... */
    OP_INPUT_QUANTIZATION /* ... what belongs to it */
};

typedef struct op_input {
    enum op_input_kind kind;
    int32_t rank;
    int64_t shape[4];
} op_input;

typedef struct op_case {
    const char *name;
    deep_op op;
    deep_attr attr;
    op_input inputs[7];
    bool differentiable; /* gradients are checked by finite differences */
} op_case;

extern const op_case op_cases[];
extern const int op_case_count;

#endif
