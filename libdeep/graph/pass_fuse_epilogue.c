/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/pass_uses.h"
#include "graph/passes.h"

/* The other operand of `add`, when it is ready before node `conv_index` runs; DEEP_NO_VALUE otherwise. */
static deep_value ready_operand(const deep_uses *uses, const deep_node *add, deep_value result, int32_t conv_index)
{
    const deep_value other = add->inputs[0] == result ? add->inputs[1] : add->inputs[0];
    return other != result && uses->writer[other] < conv_index ? other : DEEP_NO_VALUE;
}

/* The sum that follows node `index`, when the node can make it. */
static bool fuse_add(deep_uses *uses, deep_graph *graph, int32_t index)
{
    deep_node *node = &graph->nodes[index], *add = deep__only_reader(uses, graph, node);
    if (add == NULL || add->op != DEEP_OP_ADD) return false;
    const deep_value residual = ready_operand(uses, add, node->outputs[0], index);
    if (residual == DEEP_NO_VALUE) return false;
    node->inputs[node->input_count++] = residual;
    deep__absorb(uses, graph, node, add);
    return true;
}

static bool fuse_next(deep_uses *uses, deep_graph *graph, int32_t index)
{
    deep_node *node = &graph->nodes[index];
    if (node->op == DEEP_OP_MAX_POOL && node->input_count == 1 && uses->readers[node->outputs[1]] == 0)
        return fuse_add(uses, graph, index);
    if (node->op != DEEP_OP_CONV2D || (node->attr.conv.epilogue & DEEP_EPILOGUE_RELU)) return false;
    deep_node *next = deep__only_reader(uses, graph, node);
    if (next != NULL && next->op == DEEP_OP_RELU) {
        node->attr.conv.epilogue |= DEEP_EPILOGUE_RELU;
        deep__absorb(uses, graph, node, next);
        return true;
    }
    if ((node->attr.conv.epilogue & DEEP_EPILOGUE_ADD) || !fuse_add(uses, graph, index)) return false;
    node->attr.conv.epilogue |= DEEP_EPILOGUE_ADD;
    return true;
}

deep_status deep__pass_fuse_epilogue(deep_graph *graph)
{
    DEEP_TRY(graph->status);
    deep_uses uses;
    DEEP_TRY(deep__uses_build(&uses, graph));
    for (int32_t i = 0; i < graph->node_count; ++i)
        while (fuse_next(&uses, graph, i)) {
        }
    deep__uses_free(&uses, graph);
    deep__graph_compact(graph);
    return DEEP_OK;
}
