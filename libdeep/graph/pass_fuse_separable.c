/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/pass_uses.h"
#include "graph/passes.h"

static bool is_xceptions(const deep_graph *graph, const deep_node *depthwise)
{
    const deep_value_info *w = deep__graph_value(graph, depthwise->inputs[1]);
    const int32_t *pad = depthwise->attr.conv.pad;
    return w->shape[0] == 3 && w->shape[1] == 3 && depthwise->attr.conv.stride == 1 && pad[0] == 1 && pad[1] == 1 &&
           pad[2] == 1 && pad[3] == 1;
}

static bool is_pointwise(const deep_graph *graph, const deep_node *conv)
{
    const deep_value_info *w = deep__graph_value(graph, conv->inputs[1]);
    const int32_t *pad = conv->attr.conv.pad;
    return w->shape[0] == 1 && w->shape[1] == 1 && conv->attr.conv.stride == 1 &&
           (pad[0] | pad[1] | pad[2] | pad[3]) == 0;
}

static void fuse(const deep_uses *uses, deep_graph *graph, deep_node *depthwise)
{
    deep_node *conv = deep__only_reader(uses, graph, depthwise);
    if (conv == NULL || conv->op != DEEP_OP_CONV2D || conv->inputs[0] != depthwise->outputs[0]) return;
    if (!is_xceptions(graph, depthwise) || !is_pointwise(graph, conv)) return;
    if (conv->input_count + 1 > DEEP_NODE_INPUTS) return;
    for (int32_t k = conv->input_count++; k > 1; --k)
        conv->inputs[k] = conv->inputs[k - 1];
    conv->inputs[0] = depthwise->inputs[0];
    conv->inputs[1] = depthwise->inputs[1];
    const int32_t epilogue = conv->attr.conv.epilogue;
    conv->attr = depthwise->attr;
    conv->attr.conv.epilogue = epilogue;
    conv->op = DEEP_OP_SEPARABLE;
    depthwise->op = DEEP_OP_NONE;
    depthwise->input_count = depthwise->output_count = 0;
}

deep_status deep__pass_fuse_separable(deep_graph *graph)
{
    DEEP_TRY(graph->status);
    deep_uses uses;
    DEEP_TRY(deep__uses_build(&uses, graph));
    for (int32_t i = 0; i < graph->node_count; ++i)
        if (graph->nodes[i].op == DEEP_OP_DEPTHWISE) fuse(&uses, graph, &graph->nodes[i]);
    deep__uses_free(&uses, graph);
    deep__graph_compact(graph);
    return DEEP_OK;
}
