/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_GRAPH_PASS_USES_H
#define DEEP_GRAPH_PASS_USES_H

/* Who writes and who reads each value, for the passes. */
#include "graph/graph.h"

typedef struct deep_uses {
    int32_t *writer;  /* node, or -1 */
    int32_t *readers; /* how many inputs name the value; a kept value counts one more */
    int32_t *reader;  /* one of the nodes that read it, or -1 */
} deep_uses;

deep_status deep__uses_build(deep_uses *uses, const deep_graph *graph);
void deep__uses_free(deep_uses *uses, const deep_graph *graph);

/* Node that reads output 0 of `node`, when it is the only reader; NULL otherwise. */
deep_node *deep__only_reader(const deep_uses *uses, const deep_graph *graph, const deep_node *node);

/* Makes `kept` produce what `removed`, its only reader, did, and removes that node. */
void deep__absorb(deep_uses *uses, deep_graph *graph, deep_node *kept, deep_node *removed);

#endif
