/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_GRAPH_MEMORY_PLAN_H
#define DEEP_GRAPH_MEMORY_PLAN_H

#include "graph/graph.h"

/*
 * Gives every arena value an offset so that values which live at the same time do not overlap, and sets
 * graph->arena_bytes. An in-place op's result takes the place of its first operand when nothing reads that later.
 */
deep_status deep__memory_plan(deep_graph *graph);

#endif
