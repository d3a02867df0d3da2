/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/passes.h"

#include <string.h>

static bool reads(const deep_node *node, deep_value value)
{
    for (int32_t k = 0; k < node->input_count; ++k)
        if (node->inputs[k] == value) return true;
    return false;
}

/* First and last node from `begin` on that read a value; -1 = none does. */
typedef struct late_readers {
    int32_t first, last;
} late_readers;

static late_readers find_late_readers(const deep_graph *graph, deep_value value, int32_t begin)
{
    late_readers found = {-1, -1};
    for (int32_t i = begin; i < graph->node_count; ++i) {
        if (!reads(&graph->nodes[i], value)) continue;
        if (found.first < 0) found.first = i;
        found.last = i;
    }
    return found;
}

/* A norm by the batch's own statistics, which are values too. */
static bool is_batch_norm(const deep_node *node)
{
    return node->op == DEEP_OP_BATCH_NORM_TRAIN || (node->op == DEEP_OP_BATCH_NORM_INFER && node->attr.norm.batch);
}

/* The norm as it is computed from x and the statistics that are known by then. */
static deep_node again(const deep_node *norm)
{
    deep_node node = *norm;
    node.op = DEEP_OP_BATCH_NORM_INFER;
    node.attr.norm.batch = true;
    if (norm->op == DEEP_OP_BATCH_NORM_INFER) return node;
    for (int32_t k = 1; k < 3; ++k)
        node.inputs[node.input_count++] = norm->outputs[k];
    return node;
}

/* Whether everything that it is computed from is there at that node anyway. */
static bool is_there(const deep_graph *graph, const deep_node *node, int32_t begin, int32_t at)
{
    for (int32_t k = 0; k < node->input_count; ++k)
        if (graph->values[node->inputs[k]].segment == DEEP_SEGMENT_ARENA &&
            find_late_readers(graph, node->inputs[k], begin).last < at)
            return false;
    return true;
}

/* Moves the node that was added last in front of another. */
static void move_last_to(deep_graph *graph, int32_t at)
{
    const int32_t last = graph->node_count - 1;
    const deep_node node = graph->nodes[last];
    memmove(&graph->nodes[at + 1], &graph->nodes[at], (size_t)(last - at) * sizeof node);
    graph->nodes[at] = node;
}

static void recompute(deep_graph *graph, int32_t index, int32_t begin)
{
    const deep_value y = graph->nodes[index].outputs[0];
    const late_readers readers = find_late_readers(graph, y, begin);
    const deep_node node = again(&graph->nodes[index]);
    if (readers.first < 0 || graph->values[y].keep || !is_there(graph, &node, begin, readers.first)) return;
    const deep_value copy = deep__graph_add(graph, node.op, &node.attr, node.inputs, node.input_count);
    if (copy == DEEP_NO_VALUE) return;
    move_last_to(graph, readers.first);
    for (int32_t i = readers.first + 1; i < graph->node_count; ++i)
        for (int32_t k = 0; k < graph->nodes[i].input_count; ++k)
            if (graph->nodes[i].inputs[k] == y) graph->nodes[i].inputs[k] = copy;
}

deep_status deep__pass_recompute_norms(deep_graph *graph, int32_t backward)
{
    for (int32_t i = 0; i < backward && graph->status == DEEP_OK; ++i)
        if (is_batch_norm(&graph->nodes[i])) recompute(graph, i, backward);
    return graph->status;
}
