/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/pass_uses.h"

deep_status deep__uses_build(deep_uses *uses, const deep_graph *graph)
{
    *uses = (deep_uses){0};
    const size_t count = (size_t)graph->value_count;
    DEEP_TRY(deep__alloc(&uses->writer, graph->allocator, 3 * count, sizeof *uses->writer, "graph uses"));
    uses->readers = uses->writer + count;
    uses->reader = uses->readers + count;
    for (size_t v = 0; v < count; ++v) {
        uses->writer[v] = uses->reader[v] = -1;
        uses->readers[v] = graph->values[v].keep ? 1 : 0;
    }
    for (int32_t i = 0; i < graph->node_count; ++i) {
        const deep_node *node = &graph->nodes[i];
        for (int32_t k = 0; k < node->input_count; ++k) {
            ++uses->readers[node->inputs[k]];
            uses->reader[node->inputs[k]] = i;
        }
        for (int32_t k = 0; k < node->output_count; ++k)
            uses->writer[node->outputs[k]] = i;
    }
    return DEEP_OK;
}

void deep__uses_free(deep_uses *uses, const deep_graph *graph)
{
    deep__free(graph->allocator, uses->writer);
    *uses = (deep_uses){0};
}

deep_node *deep__only_reader(const deep_uses *uses, const deep_graph *graph, const deep_node *node)
{
    const deep_value y = node->outputs[0];
    return uses->readers[y] == 1 && uses->reader[y] >= 0 ? &graph->nodes[uses->reader[y]] : NULL;
}

void deep__absorb(deep_uses *uses, deep_graph *graph, deep_node *kept, deep_node *removed)
{
    kept->outputs[0] = removed->outputs[0];
    uses->writer[kept->outputs[0]] = (int32_t)(kept - graph->nodes);
    removed->op = DEEP_OP_NONE;
    removed->input_count = removed->output_count = 0;
}
