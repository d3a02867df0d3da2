/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BACKEND_REF_REF_H
#define DEEP_BACKEND_REF_REF_H

/*
 * The reference backend: every op in plain C, one thread, sums in double, written to be read. It is the oracle for the
 * others. Compiled once in float for the library and once in double (-DDEEP_REF_DOUBLE) for tests of gradients by
 * finite differences.
 */
#include "backend/backend.h"

#ifdef DEEP_REF_DOUBLE
typedef double real;
#define DEEP_REF_REAL  DEEP_DTYPE_F64
#define REF_NAME(name) deep__ref_double_##name
#else
typedef float real;
#define DEEP_REF_REAL  DEEP_DTYPE_F32
#define REF_NAME(name) deep__ref_##name
#endif

typedef void (*ref_kernel)(const deep_call *call);

#define OP(enumerator, name, inputs, outputs, in_place) void REF_NAME(enumerator)(const deep_call *call);
#include "graph/ops.def"
#undef OP

/* NHWC position. */
static inline int64_t ref_at(const deep_value_info *value, int64_t n, int64_t h, int64_t w, int64_t c)
{
    return ((n * value->shape[1] + h) * value->shape[2] + w) * value->shape[3] + c;
}

#endif
