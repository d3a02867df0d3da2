/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_OP_GRAPH_H
#define DEEP_OP_GRAPH_H

/* A compiled graph of one op and, where it has one, its gradient, with memory of its own. */
#include "backend/backend.h"
#include "op_cases.h"

enum { OP_VALUES = 32 };

typedef struct op_graph {
    deep_graph graph;
    deep_value inputs[8];
    deep_value output;       /* output 0 of the op */
    deep_value dy;           /* a graph input of the output's shape; DEEP_NO_VALUE without gradient */
    deep_value gradients[7]; /* per input */
    int32_t input_count;
    int32_t forward_end; /* nodes of the forward part */
    deep_plan *plan;
    const deep_backend *backend;
    void *base[DEEP_SEGMENT_COUNT];
    size_t bytes[DEEP_SEGMENT_COUNT];
    deep_accelerator *accelerator;    /* NULL = the backend computes in `base` */
    void *device[DEEP_SEGMENT_COUNT]; /* to which a run copies `base`, and back */
} op_graph;

/* The plugin whose path the environment's DEEP_TEST_PLUGIN is; NULL when that is not set. Its first device is opened. */
const deep_backend *op_plugin(void);

void op_graph_open(op_graph *g, const op_case *c, const deep_backend *backend, int32_t real, int32_t threads,
                   int32_t isa, bool gradient);

/* The same in float with the 1x1 kernel packed; false when the case has none. */
bool op_graph_open_packed(op_graph *g, const op_case *c, const deep_backend *backend, int32_t threads, int32_t isa);

/*
 * The same with a kernel in BF16, F16 or I8, packed when the backend packs; false when the case has no kernel. All numbers are
 * few enough bits for every product to be exact in every type, so that backends round alike.
 */
bool op_graph_open_narrow(op_graph *g, const op_case *c, const deep_backend *backend, int32_t dtype, int32_t threads,
                          int32_t isa);

/*
 * With activations stored as BF16 or F16: those of four axes, inputs, results and slopes; not kernels and their gradients.
 * False when the case has none. With `gradient`, backward too.
 */
bool op_graph_open_stored(op_graph *g, const op_case *c, const deep_backend *backend, int32_t dtype, bool gradient);

/* The same, forward, with separable convolutions as one kernel; whether it is, the plan tells in the log. */
bool op_graph_open_fused(op_graph *g, const op_case *c, const deep_backend *backend, int32_t dtype);

/* What was logged last, by whatever plan. */
const char *op_last_log(void);

void op_graph_close(op_graph *g);
void op_graph_run(op_graph *g, int32_t first, int32_t end);

/* The op itself. */
static inline const deep_node *op_graph_node(const op_graph *g)
{
    return &g->graph.nodes[g->forward_end - 1];
}

/* Element of a floating-point value, whatever its type. */
double op_graph_get(const op_graph *g, deep_value value, int64_t index);
void op_graph_set(op_graph *g, deep_value value, int64_t index, double number);
int64_t op_graph_elements(const op_graph *g, deep_value value);

const deep_backend *deep__backend_ref_double(void);

#endif
