/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/pass_uses.h"
#include "graph/passes.h"

static void remove_node(deep_node *node)
{
    node->op = DEEP_OP_NONE;
    node->input_count = node->output_count = 0;
}

/* ---- depthwise, 1x1, statistics ---- */

static bool is_window(const deep_graph *graph, const deep_node *conv, int64_t side, int32_t pad)
{
    const deep_value_info *w = deep__graph_value(graph, conv->inputs[1]);
    for (int32_t i = 0; i < 4; ++i)
        if (conv->attr.conv.pad[i] != pad) return false;
    return w->shape[0] == side && w->shape[1] == side && conv->attr.conv.stride == 1;
}

static void fuse_convolutions(const deep_uses *uses, deep_graph *graph, deep_node *depthwise)
{
    deep_node *conv = deep__only_reader(uses, graph, depthwise);
    if (conv == NULL || conv->op != DEEP_OP_CONV2D || conv->attr.conv.epilogue != 0) return;
    if (!is_window(graph, depthwise, 3, 1) || !is_window(graph, conv, 1, 0)) return;
    deep_node *norm = deep__only_reader(uses, graph, conv);
    if (norm == NULL || norm->op != DEEP_OP_BATCH_NORM_TRAIN) return;

    const deep_value pointwise = conv->inputs[1];
    conv->op = DEEP_OP_SEPARABLE_TRAIN;
    conv->attr = depthwise->attr;
    conv->inputs[0] = depthwise->inputs[0];
    conv->inputs[1] = depthwise->inputs[1];
    conv->inputs[2] = pointwise;
    conv->input_count = conv->output_count = 3;
    norm->op = DEEP_OP_BATCH_NORM_INFER;
    norm->attr.norm.batch = true;
    for (int32_t k = 1; k < 3; ++k)
        norm->inputs[norm->input_count++] = conv->outputs[k] = norm->outputs[k];
    norm->output_count = 1;
    remove_node(depthwise);
}

/* ---- the norm in front ---- */

static void fuse_norm(const deep_uses *uses, deep_graph *graph, deep_node *norm)
{
    if (norm->op != DEEP_OP_BATCH_NORM_INFER || !norm->attr.norm.batch) return;
    deep_node *reader = deep__only_reader(uses, graph, norm);
    if (reader == NULL || reader->op != DEEP_OP_SEPARABLE_TRAIN || reader->attr.conv.norm_input) return;
    reader->attr.conv.norm_input = true;
    reader->attr.conv.relu_input |= norm->attr.norm.relu;
    reader->attr.conv.epsilon = norm->attr.norm.epsilon;
    reader->inputs[0] = norm->inputs[0];
    for (int32_t k = 1; k < 5; ++k)
        reader->inputs[reader->input_count++] = norm->inputs[k];
    remove_node(norm);
}

/* norm -> add: the sum is made where the norm is applied. */
static void fuse_residual(deep_uses *uses, deep_graph *graph, int32_t index)
{
    deep_node *norm = &graph->nodes[index];
    if (norm->op != DEEP_OP_BATCH_NORM_INFER || !norm->attr.norm.batch || norm->attr.norm.relu) return;
    deep_node *add = deep__only_reader(uses, graph, norm);
    if (add == NULL || add->op != DEEP_OP_ADD || norm->input_count > 5) return;
    const deep_value residual = add->inputs[0] == norm->outputs[0] ? add->inputs[1] : add->inputs[0];
    if (residual == norm->outputs[0] || uses->writer[residual] >= index) return;
    norm->inputs[norm->input_count++] = residual;
    deep__absorb(uses, graph, norm, add);
}

typedef void (*rewrite)(deep_uses *uses, deep_graph *graph, int32_t index);

static void convolutions_at(deep_uses *uses, deep_graph *graph, int32_t index)
{
    if (graph->nodes[index].op == DEEP_OP_DEPTHWISE) fuse_convolutions(uses, graph, &graph->nodes[index]);
}

static void norm_at(deep_uses *uses, deep_graph *graph, int32_t index)
{
    fuse_norm(uses, graph, &graph->nodes[index]);
    fuse_residual(uses, graph, index);
}

static deep_status rewrite_all(deep_graph *graph, rewrite rewrite_at)
{
    deep_uses uses;
    DEEP_TRY(deep__uses_build(&uses, graph));
    for (int32_t i = 0; i < graph->node_count; ++i)
        rewrite_at(&uses, graph, i);
    deep__uses_free(&uses, graph);
    deep__graph_compact(graph);
    return DEEP_OK;
}

deep_status deep__pass_fuse_training(deep_graph *graph)
{
    DEEP_TRY(graph->status);
    DEEP_TRY(rewrite_all(graph, convolutions_at));
    return rewrite_all(graph, norm_at);
}
