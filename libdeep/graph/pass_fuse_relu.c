/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/pass_uses.h"
#include "graph/passes.h"

static void fuse_into_reader(deep_uses *uses, deep_graph *graph, deep_node *relu)
{
    deep_node *reader = deep__only_reader(uses, graph, relu);
    if (reader == NULL || reader->op != DEEP_OP_DEPTHWISE || reader->attr.conv.relu_input) return;
    const deep_value x = relu->inputs[0];
    reader->attr.conv.relu_input = true;
    reader->inputs[0] = x;
    uses->reader[x] = (int32_t)(reader - graph->nodes);
    relu->op = DEEP_OP_NONE;
    relu->input_count = relu->output_count = 0;
}

static void fuse_into_writer(deep_uses *uses, deep_graph *graph, deep_node *norm)
{
    if (norm->op != DEEP_OP_BATCH_NORM_TRAIN && norm->op != DEEP_OP_BATCH_NORM_INFER) return;
    deep_node *relu = deep__only_reader(uses, graph, norm);
    if (relu == NULL || relu->op != DEEP_OP_RELU || norm->attr.norm.relu) return;
    norm->attr.norm.relu = true;
    deep__absorb(uses, graph, norm, relu);
}

deep_status deep__pass_fuse_relu(deep_graph *graph)
{
    DEEP_TRY(graph->status);
    deep_uses uses;
    DEEP_TRY(deep__uses_build(&uses, graph));
    for (int32_t i = 0; i < graph->node_count; ++i)
        if (graph->nodes[i].op == DEEP_OP_RELU) fuse_into_reader(&uses, graph, &graph->nodes[i]);
    for (int32_t i = 0; i < graph->node_count; ++i)
        fuse_into_writer(&uses, graph, &graph->nodes[i]);
    deep__uses_free(&uses, graph);
    deep__graph_compact(graph);
    return DEEP_OK;
}
