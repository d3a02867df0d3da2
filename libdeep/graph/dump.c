/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"
#include "graph/graph.h"

static void dump_value(const deep_graph *graph, deep_value value, deep_text *text)
{
    static const char *const segments[] = {"", "param ", "grad ", "slot ", "scratch ", "input "};
    const deep_value_info *info = deep__graph_value(graph, value);
    const int32_t segment = info->segment < DEEP_SEGMENT_INPUT ? info->segment : DEEP_SEGMENT_INPUT;
    deep__text_printf(text, " %%%" PRId32 ":%s%s[", value, segment < 0 ? "no " : segments[segment],
                      deep__dtype_name(info->dtype));
    for (int32_t axis = 0; axis < info->rank; ++axis)
        deep__text_printf(text, axis == 0 ? "%" PRId64 : "x%" PRId64, info->shape[axis]);
    deep__text_append(text, "]", 1);
}

static void dump_flags(const deep_node *node, deep_text *text)
{
    if (node->op == DEEP_OP_CONV2D || node->op == DEEP_OP_SEPARABLE) {
        if (node->attr.conv.epilogue & DEEP_EPILOGUE_AFFINE) deep__text_printf(text, " +affine");
        if (node->attr.conv.epilogue & DEEP_EPILOGUE_ADD) deep__text_printf(text, " +add");
        if (node->attr.conv.epilogue & DEEP_EPILOGUE_RELU) deep__text_printf(text, " +relu");
    }
    const bool train = node->op == DEEP_OP_SEPARABLE_TRAIN || node->op == DEEP_OP_SEPARABLE_GRAD;
    if (train && node->attr.conv.norm_input) deep__text_printf(text, " norm+");
    if ((node->op == DEEP_OP_DEPTHWISE || node->op == DEEP_OP_SEPARABLE || train) && node->attr.conv.relu_input)
        deep__text_printf(text, " relu+");
    if ((node->op == DEEP_OP_BATCH_NORM_TRAIN || node->op == DEEP_OP_BATCH_NORM_INFER) && node->attr.norm.relu)
        deep__text_printf(text, " +relu");
    if (node->op == DEEP_OP_MAX_POOL && node->input_count > 1) deep__text_printf(text, " +add");
    if (node->joined) deep__text_printf(text, " joined");
}

void deep__graph_dump(const deep_graph *graph, deep_text *text)
{
    for (int32_t i = 0; i < graph->node_count; ++i) {
        const deep_node *node = &graph->nodes[i];
        deep__text_printf(text, "%s", deep__op_name(node->op));
        dump_flags(node, text);
        for (int32_t k = 0; k < node->input_count; ++k)
            dump_value(graph, node->inputs[k], text);
        deep__text_printf(text, node->output_count > 0 ? " ->" : "");
        for (int32_t k = 0; k < node->output_count; ++k)
            dump_value(graph, node->outputs[k], text);
        deep__text_append(text, "\n", 1);
    }
}
