/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The weights themselves stay as they are, so that an inference model keeps one copy of them: y = (x * w) scale +
 * shift, with scale = gamma / sqrt(variance + epsilon) and shift = beta - mean scale applied to the convolution's sums.
 */
#include "graph/pass_uses.h"
#include "graph/passes.h"

static deep_node *foldable(const deep_uses *uses, const deep_graph *graph, const deep_node *conv)
{
    if (conv->op != DEEP_OP_CONV2D || conv->attr.conv.epilogue != 0) return NULL;
    deep_node *norm = deep__only_reader(uses, graph, conv);
    return norm != NULL && norm->op == DEEP_OP_BATCH_NORM_INFER ? norm : NULL;
}

/* Appends the node that computes scale and shift; it is moved before the convolution afterwards. */
static void fold(deep_graph *graph, int32_t conv_index, int32_t norm_index)
{
    const deep_node norm = graph->nodes[norm_index];
    const deep_value *in = norm.inputs;
    const deep_value scale = DEEP_GRAPH_ADD(graph, DEEP_OP_BATCH_NORM_FOLD, &norm.attr, in[1], in[2], in[3], in[4]);
    const deep_value shift = deep__graph_last_output(graph, 1);
    if (graph->status != DEEP_OK) return;
    deep_node *conv = &graph->nodes[conv_index];
    conv->inputs[conv->input_count++] = scale;
    conv->inputs[conv->input_count++] = shift;
    conv->attr.conv.epilogue = DEEP_EPILOGUE_AFFINE | (norm.attr.norm.relu ? DEEP_EPILOGUE_RELU : 0);
    conv->outputs[0] = norm.outputs[0];
    graph->nodes[norm_index].op = DEEP_OP_NONE;
    graph->nodes[norm_index].input_count = graph->nodes[norm_index].output_count = 0;
}

/* The folds were appended last but depend on parameters alone: they go first. */
static deep_status rotate_to_front(deep_graph *graph, int32_t first_appended)
{
    const int32_t appended = graph->node_count - first_appended;
    deep_node *sorted;
    DEEP_TRY(deep__alloc(&sorted, graph->allocator, graph->node_capacity, sizeof *sorted, "graph nodes"));
    for (int32_t i = 0; i < graph->node_count; ++i)
        sorted[i] = graph->nodes[i < appended ? first_appended + i : i - appended];
    deep__free(graph->allocator, graph->nodes);
    graph->nodes = sorted;
    return DEEP_OK;
}

deep_status deep__pass_fold_batch_norm(deep_graph *graph)
{
    DEEP_TRY(graph->status);
    deep_uses uses;
    DEEP_TRY(deep__uses_build(&uses, graph));
    const int32_t nodes = graph->node_count;
    for (int32_t i = 0; i < nodes && graph->status == DEEP_OK; ++i) {
        const deep_node *norm = foldable(&uses, graph, &graph->nodes[i]);
        if (norm != NULL) fold(graph, i, (int32_t)(norm - graph->nodes));
    }
    deep__uses_free(&uses, graph);
    if (graph->status == DEEP_OK && graph->node_count > nodes) graph->status = rotate_to_front(graph, nodes);
    deep__graph_compact(graph);
    return graph->status;
}
