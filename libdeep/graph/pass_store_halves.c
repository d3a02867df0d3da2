/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/passes.h"

static bool makes_weights(deep_op op)
{
    return op == DEEP_OP_CONV2D_GRAD_WEIGHTS || op == DEEP_OP_DEPTHWISE_GRAD_WEIGHTS;
}

deep_status deep__pass_store_halves(deep_graph *graph, int32_t dtype)
{
    DEEP_TRY(graph->status);
    for (int32_t i = 0; i < graph->node_count; ++i) {
        const deep_node *node = &graph->nodes[i];
        if (node->output_count == 0 || makes_weights(node->op)) continue;
        deep_value_info *y = &graph->values[node->outputs[0]];
        if (y->segment != DEEP_SEGMENT_ARENA || y->rank != 4 || y->dtype != DEEP_DTYPE_F32 || y->keep) continue;
        y->dtype = dtype;
        y->bytes /= 2;
    }
    return DEEP_OK;
}
