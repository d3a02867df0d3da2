/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/autodiff.h"

#include <string.h>

typedef struct grad_call {
    deep_graph *graph;
    const deep_node *node;           /* the forward node, a copy */
    deep_value dy;                   /* gradient of output 0 */
    const bool *needs;               /* per input */
    deep_value dx[DEEP_NODE_INPUTS]; /* result, DEEP_NO_VALUE to begin with */
} grad_call;

typedef void (*grad_rule)(grad_call *call);

static void set_extent(const grad_call *call, int32_t value_input, int32_t first_axis, int32_t extent[2])
{
    const deep_value_info *value = deep__graph_value(call->graph, call->node->inputs[value_input]);
    extent[0] = (int32_t)value->shape[first_axis];
    extent[1] = (int32_t)value->shape[first_axis + 1];
}

static void grad_convolution(grad_call *call, deep_op grad_input, deep_op grad_weights, deep_value relu_source)
{
    const deep_value x = call->node->inputs[0], w = call->node->inputs[1];
    deep_attr attr = call->node->attr;
    if (call->needs[0]) {
        set_extent(call, 0, 1, attr.conv.extent);
        const deep_value inputs[3] = {call->dy, w, relu_source};
        call->dx[0] = deep__graph_add(call->graph, grad_input, &attr, inputs, relu_source == DEEP_NO_VALUE ? 2 : 3);
    }
    if (call->needs[1]) {
        set_extent(call, 1, 0, attr.conv.extent);
        call->dx[1] = DEEP_GRAPH_ADD(call->graph, grad_weights, &attr, x, call->dy);
    }
}

static void grad_conv2d(grad_call *call)
{
    grad_convolution(call, DEEP_OP_CONV2D_GRAD_INPUT, DEEP_OP_CONV2D_GRAD_WEIGHTS, DEEP_NO_VALUE);
}

static void grad_depthwise(grad_call *call)
{
    const deep_value relu_source = call->node->attr.conv.relu_input ? call->node->inputs[0] : DEEP_NO_VALUE;
    grad_convolution(call, DEEP_OP_DEPTHWISE_GRAD_INPUT, DEEP_OP_DEPTHWISE_GRAD_WEIGHTS, relu_source);
}

static void grad_separable_train(grad_call *call)
{
    const deep_node *node = call->node;
    const bool *needs = call->needs;
    deep_value inputs[DEEP_NODE_INPUTS] = {call->dy};
    deep_attr attr = node->attr;
    attr.conv.wanted =
        (needs[0] || needs[3] || needs[4] ? DEEP_WANT_INPUT : 0) | (needs[1] || needs[2] ? DEEP_WANT_KERNELS : 0);
    memcpy(inputs + 1, node->inputs, (size_t)node->input_count * sizeof *inputs);
    call->dx[0] = deep__graph_add(call->graph, DEEP_OP_SEPARABLE_GRAD, &attr, inputs, node->input_count + 1);
    for (int32_t k = 1; k < (attr.conv.norm_input ? 5 : 3); ++k)
        call->dx[k] = deep__graph_last_output(call->graph, k);
}

static void grad_norm(grad_call *call, deep_op op, deep_value mean, deep_value variance)
{
    const deep_value *in = call->node->inputs;
    call->dx[0] = DEEP_GRAPH_ADD(call->graph, op, &call->node->attr, call->dy, in[0], in[1], in[2], mean, variance);
    call->dx[1] = deep__graph_last_output(call->graph, 1);
    call->dx[2] = deep__graph_last_output(call->graph, 2);
}

static void grad_batch_norm_train(grad_call *call)
{
    grad_norm(call, DEEP_OP_BATCH_NORM_GRAD, call->node->outputs[1], call->node->outputs[2]);
}

static void grad_batch_norm_infer(grad_call *call)
{
    const deep_op op = call->node->attr.norm.batch ? DEEP_OP_BATCH_NORM_GRAD : DEEP_OP_BATCH_NORM_INFER_GRAD;
    grad_norm(call, op, call->node->inputs[3], call->node->inputs[4]);
    if (call->node->input_count > 5) call->dx[5] = call->dy;
}

static void grad_relu(grad_call *call)
{
    call->dx[0] = DEEP_GRAPH_ADD(call->graph, DEEP_OP_RELU_GRAD, NULL, call->dy, call->node->outputs[0]);
}

static void grad_max_pool(grad_call *call)
{
    deep_attr attr = call->node->attr;
    set_extent(call, 0, 1, attr.pool.extent);
    call->dx[0] = DEEP_GRAPH_ADD(call->graph, DEEP_OP_MAX_POOL_GRAD, &attr, call->dy, call->node->outputs[1]);
}

static void grad_global_average_pool(grad_call *call)
{
    deep_attr attr = call->node->attr;
    set_extent(call, 0, 1, attr.pool.extent);
    call->dx[0] = DEEP_GRAPH_ADD(call->graph, DEEP_OP_GLOBAL_AVERAGE_POOL_GRAD, &attr, call->dy);
}

static void grad_dense(grad_call *call)
{
    const deep_value *in = call->node->inputs;
    if (call->needs[0]) call->dx[0] = DEEP_GRAPH_ADD(call->graph, DEEP_OP_DENSE_GRAD_INPUT, NULL, call->dy, in[1]);
    if (call->needs[1]) call->dx[1] = DEEP_GRAPH_ADD(call->graph, DEEP_OP_DENSE_GRAD_WEIGHTS, NULL, in[0], call->dy);
    if (call->needs[2]) call->dx[2] = DEEP_GRAPH_ADD(call->graph, DEEP_OP_REDUCE_SUM, NULL, call->dy);
}

static void grad_add(grad_call *call)
{
    call->dx[0] = call->dx[1] = call->dy;
}

static void grad_dropout(grad_call *call)
{
    call->dx[0] = DEEP_GRAPH_ADD(call->graph, DEEP_OP_DROPOUT, &call->node->attr, call->dy, call->node->inputs[1]);
}

static void grad_cast(grad_call *call)
{
    const deep_attr attr = {.cast = {deep__graph_value(call->graph, call->node->inputs[0])->dtype}};
    call->dx[0] = DEEP_GRAPH_ADD(call->graph, DEEP_OP_CAST, &attr, call->dy);
}

static void grad_reorder(grad_call *call)
{
    deep_attr inverse = {0};
    for (int32_t axis = 0; axis < DEEP_GRAPH_RANK; ++axis)
        inverse.reorder.axis[call->node->attr.reorder.axis[axis]] = axis;
    call->dx[0] = DEEP_GRAPH_ADD(call->graph, DEEP_OP_REORDER, &inverse, call->dy);
}

static void grad_reduce_sum(grad_call *call)
{
    const deep_value_info x = *deep__graph_value(call->graph, call->node->inputs[0]);
    deep_attr attr = {.fill = {.dtype = x.dtype, .rank = x.rank}};
    memcpy(attr.fill.shape, x.shape, sizeof attr.fill.shape);
    call->dx[0] = DEEP_GRAPH_ADD(call->graph, DEEP_OP_BROADCAST_ROWS, &attr, call->dy);
}

static void grad_broadcast(grad_call *call)
{
    call->dx[0] = DEEP_GRAPH_ADD(call->graph, DEEP_OP_REDUCE_SUM, NULL, call->dy);
}

static const grad_rule grad_rules[DEEP_OP_COUNT] = {
    [DEEP_OP_CONV2D] = grad_conv2d,
    [DEEP_OP_SEPARABLE_TRAIN] = grad_separable_train,
    [DEEP_OP_DEPTHWISE] = grad_depthwise,
    [DEEP_OP_BATCH_NORM_TRAIN] = grad_batch_norm_train,
    [DEEP_OP_BATCH_NORM_INFER] = grad_batch_norm_infer,
    [DEEP_OP_RELU] = grad_relu,
    [DEEP_OP_MAX_POOL] = grad_max_pool,
    [DEEP_OP_GLOBAL_AVERAGE_POOL] = grad_global_average_pool,
    [DEEP_OP_DENSE] = grad_dense,
    [DEEP_OP_ADD] = grad_add,
    [DEEP_OP_DROPOUT] = grad_dropout,
    [DEEP_OP_CAST] = grad_cast,
    [DEEP_OP_REORDER] = grad_reorder,
    [DEEP_OP_REDUCE_SUM] = grad_reduce_sum,
    [DEEP_OP_BROADCAST_ROWS] = grad_broadcast,
};

/* reaches[v]: v is wanted, or is computed from something that is. */
static void mark_reaches(const deep_graph *graph, const bool *wanted, bool *reaches)
{
    memcpy(reaches, wanted, (size_t)graph->value_count * sizeof *reaches);
    for (int32_t i = 0; i < graph->node_count; ++i) {
        const deep_node *node = &graph->nodes[i];
        bool any = false;
        for (int32_t k = 0; k < node->input_count; ++k)
            any = any || reaches[node->inputs[k]];
        for (int32_t k = 0; k < node->output_count; ++k)
            reaches[node->outputs[k]] = any;
    }
}

static void accumulate(deep_graph *graph, deep_value *total, deep_value part)
{
    *total = *total == DEEP_NO_VALUE ? part : DEEP_GRAPH_ADD(graph, DEEP_OP_ADD, NULL, *total, part);
}

static void differentiate(deep_graph *graph, const deep_node *node, const bool *reaches, deep_value *gradients)
{
    bool needs[DEEP_NODE_INPUTS] = {false}, any = false;
    for (int32_t k = 0; k < node->input_count; ++k)
        any = (needs[k] = reaches[node->inputs[k]]) || any;
    if (!any || node->output_count == 0 || gradients[node->outputs[0]] == DEEP_NO_VALUE) return;
    if (grad_rules[node->op] == NULL || (node->op == DEEP_OP_CONV2D && node->attr.conv.epilogue != 0)) {
        graph->status = deep__fail(DEEP_ERROR_UNSUPPORTED, "%s has no gradient", deep__op_name(node->op));
        return;
    }
    grad_call call = {.graph = graph, .node = node, .dy = gradients[node->outputs[0]], .needs = needs};
    for (int32_t k = 0; k < DEEP_NODE_INPUTS; ++k)
        call.dx[k] = DEEP_NO_VALUE;
    grad_rules[node->op](&call);
    for (int32_t k = 0; k < node->input_count; ++k)
        if (needs[k] && call.dx[k] != DEEP_NO_VALUE) accumulate(graph, &gradients[node->inputs[k]], call.dx[k]);
}

deep_status deep__autodiff(deep_graph *graph, deep_value root, deep_value root_gradient, const bool *wanted,
                           deep_value *gradients)
{
    DEEP_TRY(graph->status);
    const int32_t values = graph->value_count, nodes = graph->node_count;
    bool *reaches;
    DEEP_TRY(deep__alloc(&reaches, graph->allocator, (size_t)values, sizeof *reaches, "autodiff"));
    mark_reaches(graph, wanted, reaches);
    for (int32_t v = 0; v < values; ++v)
        gradients[v] = DEEP_NO_VALUE;
    gradients[root] = root_gradient;
    for (int32_t i = nodes - 1; i >= 0 && graph->status == DEEP_OK; --i) {
        const deep_node node = graph->nodes[i]; /* the array may move */
        differentiate(graph, &node, reaches, gradients);
    }
    deep__free(graph->allocator, reaches);
    return graph->status;
}
