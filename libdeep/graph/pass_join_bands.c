/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/pass_uses.h"
#include "graph/passes.h"

enum {
    LARGE = 1 << 21, /* bytes; smaller results stay in the second-level caches until they are read */
    SMALL = 1 << 17, /* elements; larger kernels cost more to read again for each band than the results do */
    MOST = 2         /* convolutions: with each the rows that are made twice become more */
};

/* Joins node `index`, a separable convolution, to the next, which alone reads its result. */
static bool join(const deep_uses *uses, deep_graph *graph, int32_t index)
{
    if (index < 0) return false;
    deep_node *node = &graph->nodes[index];
    if (node->op != DEEP_OP_SEPARABLE || (node->attr.conv.epilogue & DEEP_EPILOGUE_ADD)) return false;
    if (deep__only_reader(uses, graph, node) != node + 1 || node[1].inputs[0] != node->outputs[0]) return false;
    if (graph->values[node->outputs[0]].bytes < LARGE) return false;
    if (deep__value_elements(deep__graph_value(graph, node->inputs[2])) > SMALL) return false;
    node->joined = true;
    graph->values[node->outputs[0]].segment = DEEP_SEGMENT_NONE;
    return true;
}

deep_status deep__pass_join_bands(deep_graph *graph)
{
    DEEP_TRY(graph->status);
    deep_uses uses;
    DEEP_TRY(deep__uses_build(&uses, graph));
    for (int32_t i = 0; i < graph->node_count; ++i) {
        const deep_node *pool = &graph->nodes[i];
        if (pool->op != DEEP_OP_MAX_POOL || pool->attr.pool.window != 3 || pool->attr.pool.stride != 2) continue;
        if (uses.readers[pool->outputs[1]] != 0) continue;
        int32_t joined = 0;
        while (joined < MOST && join(&uses, graph, i - 1 - joined))
            ++joined;
        if (joined > 0) graph->values[pool->outputs[1]].segment = DEEP_SEGMENT_NONE;
    }
    deep__uses_free(&uses, graph);
    return DEEP_OK;
}
