/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_GRAPH_MEMORY_PLAN_H
#define DEEP_GRAPH_MEMORY_PLAN_H

#include "graph/graph.h"

/*
 * Gives every arena value an offset so that values which live at the same time do not overlap, and sets
 * graph->arena_bytes. An in-place op's result takes the place of its first operand when nothing reads that later.
 */
deep_status deep__memory_plan(deep_graph *graph);

/*
 * Places for the `bytes` that each node needs while it runs (0 = none), at multiples of 256 between the values that are in use
 * then; where no gap is wide enough, graph->arena_bytes grows. After deep__memory_plan().
 */
deep_status deep__memory_place_scratch(deep_graph *graph, const size_t *bytes, size_t *offsets);

#endif
