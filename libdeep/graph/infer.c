/* SPDX-License-Identifier: Apache-2.0 */
/* Shape inference: one rule per op, all in one table. A rule checks what it reads. */
#include "graph/graph.h"

#include <string.h>

typedef struct rule_call {
    const deep_graph *graph;
    const deep_node *node;
    deep_value_info *out;
} rule_call;

typedef deep_status (*shape_rule)(const rule_call *call);

static const deep_value_info *in(const rule_call *call, int32_t index)
{
    return deep__graph_value(call->graph, call->node->inputs[index]);
}

static deep_status fail_shape(const rule_call *call, const char *what, int64_t got, int64_t wanted)
{
    return deep__fail(DEEP_ERROR_INVALID_ARGUMENT, "%s: %s is %" PRId64 ", not %" PRId64, deep__op_name(call->node->op),
                      what, got, wanted);
}

static deep_status expect(const rule_call *call, const char *what, int64_t got, int64_t wanted)
{
    return got == wanted ? DEEP_OK : fail_shape(call, what, got, wanted);
}

static deep_status expect_vector(const rule_call *call, int32_t index, int64_t length)
{
    DEEP_TRY(expect(call, "rank of a vector", in(call, index)->rank, 1));
    return expect(call, "length of a vector", in(call, index)->shape[0], length);
}

static deep_status expect_same(const rule_call *call, int32_t a, int32_t b)
{
    DEEP_TRY(expect(call, "rank", in(call, b)->rank, in(call, a)->rank));
    for (int32_t axis = 0; axis < in(call, a)->rank; ++axis)
        DEEP_TRY(expect(call, "extent", in(call, b)->shape[axis], in(call, a)->shape[axis]));
    return DEEP_OK;
}

static void set_shape(deep_value_info *out, int32_t dtype, int32_t rank, int64_t a, int64_t b, int64_t c, int64_t d)
{
    *out = (deep_value_info){.dtype = dtype, .rank = rank, .shape = {a, b, c, d}};
}

static int64_t last_extent(const deep_value_info *value)
{
    return value->shape[value->rank - 1];
}

static deep_status same_as_input(const rule_call *call)
{
    call->out[0] = *in(call, 0);
    return DEEP_OK;
}

/* Output extent of a window that slides over `input` + pads; 0 when it does not fit. */
static int64_t slide(int64_t input, int64_t window, int32_t stride, int32_t before, int32_t after)
{
    const int64_t room = input + before + after - window;
    return room < 0 || stride < 1 ? 0 : room / stride + 1;
}

static deep_status windowed(const rule_call *call, int64_t rows, int64_t columns, int32_t stride, const int32_t pad[4],
                            int64_t channels)
{
    const deep_value_info *x = in(call, 0);
    const int64_t h = slide(x->shape[1], rows, stride, pad[DEEP_PAD_TOP], pad[DEEP_PAD_BOTTOM]);
    const int64_t w = slide(x->shape[2], columns, stride, pad[DEEP_PAD_LEFT], pad[DEEP_PAD_RIGHT]);
    if (h < 1 || w < 1) return fail_shape(call, "input height, too small for the window,", x->shape[1], rows);
    set_shape(&call->out[0], x->dtype, 4, x->shape[0], h, w, channels);
    return DEEP_OK;
}

/* The operands of an epilogue, of which `next` is the first. */
static deep_status expect_epilogue(const rule_call *call, int32_t next, int64_t channels)
{
    const int32_t epilogue = call->node->attr.conv.epilogue;
    if (epilogue & DEEP_EPILOGUE_AFFINE) {
        DEEP_TRY(expect_vector(call, next++, channels));
        DEEP_TRY(expect_vector(call, next++, channels));
    }
    return expect(call, "number of inputs", call->node->input_count, next + ((epilogue & DEEP_EPILOGUE_ADD) != 0));
}

/* An I8 kernel's quantization follows it as operand `next`; returns the operand after that. */
static deep_status expect_quantization(const rule_call *call, const deep_value_info *w, int32_t *next)
{
    if (w->dtype != DEEP_DTYPE_I8) return DEEP_OK;
    if (call->node->input_count <= *next)
        return fail_shape(call, "number of inputs", call->node->input_count, *next + 1);
    return expect_vector(call, (*next)++, 2 * w->shape[w->rank - 2] + w->shape[w->rank - 1]);
}

static deep_status infer_conv2d(const rule_call *call)
{
    int32_t next = 2;
    const deep_value_info *x = in(call, 0), *w = in(call, 1);
    DEEP_TRY(expect(call, "rank of x", x->rank, 4));
    DEEP_TRY(expect(call, "rank of w", w->rank, 4));
    DEEP_TRY(expect(call, "input channels of w", w->shape[2], x->shape[3]));
    DEEP_TRY(
        windowed(call, w->shape[0], w->shape[1], call->node->attr.conv.stride, call->node->attr.conv.pad, w->shape[3]));
    DEEP_TRY(expect_quantization(call, w, &next));
    return expect_epilogue(call, next, w->shape[3]);
}

/* Of a separable convolution of x. */
static deep_status expect_kernels(const rule_call *call, const deep_value_info *x, const deep_value_info *w,
                                  const deep_value_info *pointwise)
{
    DEEP_TRY(expect(call, "rank of x", x->rank, 4));
    DEEP_TRY(expect(call, "rank of the depthwise w", w->rank, 4));
    DEEP_TRY(expect(call, "rank of the pointwise w", pointwise->rank, 4));
    DEEP_TRY(expect(call, "channels of the depthwise w", w->shape[2], x->shape[3]));
    return expect(call, "input channels of the pointwise w", pointwise->shape[2], x->shape[3]);
}

static deep_status infer_separable(const rule_call *call)
{
    int32_t next = 3;
    const deep_value_info *x = in(call, 0), *w = in(call, 1), *pointwise = in(call, 2);
    DEEP_TRY(expect_kernels(call, x, w, pointwise));
    DEEP_TRY(windowed(call, w->shape[0], w->shape[1], call->node->attr.conv.stride, call->node->attr.conv.pad,
                      pointwise->shape[3]));
    DEEP_TRY(expect_quantization(call, pointwise, &next));
    return expect_epilogue(call, next, pointwise->shape[3]);
}

/* The operands of the norm on the input, of which `next` is the first. */
static deep_status expect_norm_input(const rule_call *call, int32_t next, int64_t channels)
{
    const int32_t operands = call->node->attr.conv.norm_input ? 4 : 0;
    DEEP_TRY(expect(call, "number of inputs", call->node->input_count, next + operands));
    for (int32_t k = next; k < next + operands; ++k)
        DEEP_TRY(expect_vector(call, k, channels));
    return DEEP_OK;
}

static deep_status infer_separable_train(const rule_call *call)
{
    const deep_value_info *x = in(call, 0), *w = in(call, 1), *pointwise = in(call, 2);
    DEEP_TRY(expect_kernels(call, x, w, pointwise));
    DEEP_TRY(windowed(call, w->shape[0], w->shape[1], call->node->attr.conv.stride, call->node->attr.conv.pad,
                      pointwise->shape[3]));
    set_shape(&call->out[1], w->dtype, 1, pointwise->shape[3], 0, 0, 0);
    call->out[2] = call->out[1];
    return expect_norm_input(call, 3, x->shape[3]);
}

static deep_status infer_separable_grad(const rule_call *call)
{
    const deep_value_info *dy = in(call, 0), *x = in(call, 1), *w = in(call, 2), *pointwise = in(call, 3);
    DEEP_TRY(expect_kernels(call, x, w, pointwise));
    DEEP_TRY(expect(call, "output channels", dy->shape[3], pointwise->shape[3]));
    call->out[0] = *x;
    call->out[1] = *w;
    call->out[2] = *pointwise;
    set_shape(&call->out[3], w->dtype, 1, x->shape[3], 0, 0, 0);
    call->out[4] = call->out[3];
    return expect_norm_input(call, 4, x->shape[3]);
}

static deep_status infer_conv2d_grad_input(const rule_call *call)
{
    const deep_value_info *dy = in(call, 0), *w = in(call, 1);
    DEEP_TRY(expect(call, "output channels", dy->shape[3], w->shape[3]));
    const int32_t *extent = call->node->attr.conv.extent;
    set_shape(&call->out[0], dy->dtype, 4, dy->shape[0], extent[0], extent[1], w->shape[2]);
    return DEEP_OK;
}

static deep_status infer_conv2d_grad_weights(const rule_call *call)
{
    const deep_value_info *x = in(call, 0), *dy = in(call, 1);
    DEEP_TRY(expect(call, "batch of dy", dy->shape[0], x->shape[0]));
    const int32_t *extent = call->node->attr.conv.extent;
    set_shape(&call->out[0], x->dtype, 4, extent[0], extent[1], x->shape[3], dy->shape[3]);
    return DEEP_OK;
}

static deep_status infer_depthwise(const rule_call *call)
{
    const deep_value_info *x = in(call, 0), *w = in(call, 1);
    DEEP_TRY(expect(call, "rank of x", x->rank, 4));
    DEEP_TRY(expect(call, "rank of w", w->rank, 4));
    DEEP_TRY(expect(call, "channels of w", w->shape[2], x->shape[3]));
    DEEP_TRY(expect(call, "channel multiplier", w->shape[3], 1));
    return windowed(call, w->shape[0], w->shape[1], call->node->attr.conv.stride, call->node->attr.conv.pad,
                    x->shape[3]);
}

static deep_status infer_depthwise_grad_input(const rule_call *call)
{
    const deep_value_info *dy = in(call, 0), *w = in(call, 1);
    DEEP_TRY(expect(call, "channels of w", w->shape[2], dy->shape[3]));
    DEEP_TRY(expect(call, "number of inputs", call->node->input_count, call->node->attr.conv.relu_input ? 3 : 2));
    const int32_t *extent = call->node->attr.conv.extent;
    set_shape(&call->out[0], dy->dtype, 4, dy->shape[0], extent[0], extent[1], dy->shape[3]);
    return DEEP_OK;
}

static deep_status infer_depthwise_grad_weights(const rule_call *call)
{
    const deep_value_info *x = in(call, 0), *dy = in(call, 1);
    DEEP_TRY(expect(call, "channels of dy", dy->shape[3], x->shape[3]));
    const int32_t *extent = call->node->attr.conv.extent;
    set_shape(&call->out[0], x->dtype, 4, extent[0], extent[1], x->shape[3], 1);
    return DEEP_OK;
}

static deep_status infer_batch_norm_train(const rule_call *call)
{
    const int64_t channels = last_extent(in(call, 0));
    DEEP_TRY(expect_vector(call, 1, channels));
    DEEP_TRY(expect_vector(call, 2, channels));
    call->out[0] = *in(call, 0);
    call->out[1] = call->out[2] = *in(call, 1);
    return DEEP_OK;
}

static deep_status infer_batch_norm_infer(const rule_call *call)
{
    for (int32_t i = 1; i < 5; ++i)
        DEEP_TRY(expect_vector(call, i, last_extent(in(call, 0))));
    if (call->node->input_count > 5) DEEP_TRY(expect_same(call, 0, 5));
    return same_as_input(call);
}

static deep_status infer_batch_norm_grad(const rule_call *call)
{
    DEEP_TRY(expect_same(call, 0, 1));
    for (int32_t i = 2; i < 6; ++i)
        DEEP_TRY(expect_vector(call, i, last_extent(in(call, 0))));
    call->out[0] = *in(call, 0);
    call->out[1] = call->out[2] = *in(call, 2);
    return DEEP_OK;
}

static deep_status infer_batch_norm_fold(const rule_call *call)
{
    for (int32_t i = 1; i < 4; ++i)
        DEEP_TRY(expect_same(call, 0, i));
    call->out[0] = call->out[1] = *in(call, 0);
    return DEEP_OK;
}

static deep_status infer_statistics_update(const rule_call *call)
{
    for (int32_t i = 1; i < 4; ++i)
        DEEP_TRY(expect_same(call, 0, i));
    return DEEP_OK;
}

static deep_status infer_binary(const rule_call *call)
{
    DEEP_TRY(expect_same(call, 0, 1));
    return same_as_input(call);
}

static deep_status infer_max_pool(const rule_call *call)
{
    const deep_value_info *x = in(call, 0);
    const int32_t window = call->node->attr.pool.window;
    DEEP_TRY(expect(call, "rank of x", x->rank, 4));
    DEEP_TRY(windowed(call, window, window, call->node->attr.pool.stride, call->node->attr.pool.pad, x->shape[3]));
    call->out[1] = call->out[0];
    call->out[1].dtype = DEEP_DTYPE_U8;
    for (int32_t axis = 0; axis < 4 && call->node->input_count > 1; ++axis)
        DEEP_TRY(expect(call, "extent of the residual", in(call, 1)->shape[axis], call->out[0].shape[axis]));
    return DEEP_OK;
}

static deep_status infer_pool_grad(const rule_call *call)
{
    const deep_value_info *dy = in(call, 0);
    const int32_t *extent = call->node->attr.pool.extent;
    set_shape(&call->out[0], dy->dtype, 4, dy->shape[0], extent[0], extent[1], last_extent(dy));
    return DEEP_OK;
}

static deep_status infer_global_average_pool(const rule_call *call)
{
    const deep_value_info *x = in(call, 0);
    DEEP_TRY(expect(call, "rank of x", x->rank, 4));
    set_shape(&call->out[0], x->dtype, 2, x->shape[0], x->shape[3], 0, 0);
    return DEEP_OK;
}

static deep_status infer_dense(const rule_call *call)
{
    const deep_value_info *x = in(call, 0), *w = in(call, 1);
    DEEP_TRY(expect(call, "rank of x", x->rank, 2));
    DEEP_TRY(expect(call, "rank of w", w->rank, 2));
    DEEP_TRY(expect(call, "inputs of w", w->shape[0], x->shape[1]));
    int32_t next = 3;
    DEEP_TRY(expect_vector(call, 2, w->shape[1]));
    DEEP_TRY(expect_quantization(call, w, &next));
    set_shape(&call->out[0], x->dtype, 2, x->shape[0], w->shape[1], 0, 0);
    return DEEP_OK;
}

static deep_status infer_dense_grad_input(const rule_call *call)
{
    const deep_value_info *dy = in(call, 0), *w = in(call, 1);
    DEEP_TRY(expect(call, "outputs of w", w->shape[1], dy->shape[1]));
    set_shape(&call->out[0], dy->dtype, 2, dy->shape[0], w->shape[0], 0, 0);
    return DEEP_OK;
}

static deep_status infer_dense_grad_weights(const rule_call *call)
{
    const deep_value_info *x = in(call, 0), *dy = in(call, 1);
    DEEP_TRY(expect(call, "rows of dy", dy->shape[0], x->shape[0]));
    set_shape(&call->out[0], x->dtype, 2, x->shape[1], dy->shape[1], 0, 0);
    return DEEP_OK;
}

static deep_status check_labels(const rule_call *call)
{
    const deep_value_info *logits = in(call, 0);
    DEEP_TRY(expect(call, "rank of logits", logits->rank, 2));
    DEEP_TRY(expect(call, "type of labels", in(call, 1)->dtype, DEEP_DTYPE_I32));
    DEEP_TRY(expect_vector(call, 1, logits->shape[0]));
    return expect_vector(call, 2, logits->shape[1]);
}

static deep_status infer_cross_entropy(const rule_call *call)
{
    DEEP_TRY(check_labels(call));
    set_shape(&call->out[0], in(call, 0)->dtype, 1, 2, 0, 0, 0);
    return DEEP_OK;
}

static deep_status infer_cross_entropy_grad(const rule_call *call)
{
    DEEP_TRY(check_labels(call));
    return same_as_input(call);
}

static deep_status infer_pair(const rule_call *call)
{
    set_shape(&call->out[0], in(call, 0)->dtype, 1, 2, 0, 0, 0);
    return DEEP_OK;
}

static deep_status infer_flag(const rule_call *call)
{
    set_shape(&call->out[0], in(call, 0)->dtype, 1, 1, 0, 0, 0);
    return DEEP_OK;
}

static deep_status infer_nothing(const rule_call *call)
{
    (void)call;
    return DEEP_OK;
}

static deep_status infer_l2_grad(const rule_call *call)
{
    return expect_same(call, 0, 1);
}

static deep_status infer_scale(const rule_call *call)
{
    return expect_vector(call, 1, 2);
}

static deep_status infer_update(const rule_call *call)
{
    DEEP_TRY(expect_same(call, 0, 1));
    for (int32_t i = 4; i < call->node->input_count; ++i)
        DEEP_TRY(expect_same(call, 0, i));
    return expect_vector(call, 2, DEEP_HYPER_COUNT);
}

static deep_status infer_cast(const rule_call *call)
{
    call->out[0] = *in(call, 0);
    call->out[0].dtype = call->node->attr.cast.dtype;
    return DEEP_OK;
}

static deep_status infer_reorder(const rule_call *call)
{
    const deep_value_info *x = in(call, 0);
    uint32_t seen = 0;
    call->out[0] = *x;
    for (int32_t axis = 0; axis < x->rank; ++axis) {
        const int32_t from = call->node->attr.reorder.axis[axis];
        if (from < 0 || from >= x->rank || (seen & 1u << from)) return fail_shape(call, "axis", from, axis);
        seen |= 1u << from;
        call->out[0].shape[axis] = x->shape[from];
    }
    return DEEP_OK;
}

static deep_status infer_fill(const rule_call *call)
{
    const deep_attr *attr = &call->node->attr;
    call->out[0].dtype = attr->fill.dtype;
    call->out[0].rank = attr->fill.rank;
    memcpy(call->out[0].shape, attr->fill.shape, sizeof attr->fill.shape);
    return DEEP_OK;
}

static deep_status infer_reduce_sum(const rule_call *call)
{
    const deep_value_info *x = in(call, 0);
    set_shape(&call->out[0], x->dtype, 1, last_extent(x), 0, 0, 0);
    return DEEP_OK;
}

static deep_status infer_broadcast(const rule_call *call)
{
    DEEP_TRY(infer_fill(call));
    call->out[0].dtype = in(call, 0)->dtype;
    return expect_vector(call, 0, last_extent(&call->out[0]));
}

static const struct {
    shape_rule infer;
    int32_t outputs;
} rules[DEEP_OP_COUNT] = {
    [DEEP_OP_CONV2D] = {infer_conv2d, 1},
    [DEEP_OP_SEPARABLE] = {infer_separable, 1},
    [DEEP_OP_SEPARABLE_TRAIN] = {infer_separable_train, 3},
    [DEEP_OP_SEPARABLE_GRAD] = {infer_separable_grad, 5},
    [DEEP_OP_CONV2D_GRAD_INPUT] = {infer_conv2d_grad_input, 1},
    [DEEP_OP_CONV2D_GRAD_WEIGHTS] = {infer_conv2d_grad_weights, 1},
    [DEEP_OP_DEPTHWISE] = {infer_depthwise, 1},
    [DEEP_OP_DEPTHWISE_GRAD_INPUT] = {infer_depthwise_grad_input, 1},
    [DEEP_OP_DEPTHWISE_GRAD_WEIGHTS] = {infer_depthwise_grad_weights, 1},
    [DEEP_OP_BATCH_NORM_TRAIN] = {infer_batch_norm_train, 3},
    [DEEP_OP_BATCH_NORM_GRAD] = {infer_batch_norm_grad, 3},
    [DEEP_OP_BATCH_NORM_INFER] = {infer_batch_norm_infer, 1},
    [DEEP_OP_BATCH_NORM_INFER_GRAD] = {infer_batch_norm_grad, 3},
    [DEEP_OP_BATCH_NORM_FOLD] = {infer_batch_norm_fold, 2},
    [DEEP_OP_STATISTICS_UPDATE] = {infer_statistics_update, 0},
    [DEEP_OP_RELU] = {same_as_input, 1},
    [DEEP_OP_RELU_GRAD] = {infer_binary, 1},
    [DEEP_OP_MAX_POOL] = {infer_max_pool, 2},
    [DEEP_OP_MAX_POOL_GRAD] = {infer_pool_grad, 1},
    [DEEP_OP_GLOBAL_AVERAGE_POOL] = {infer_global_average_pool, 1},
    [DEEP_OP_GLOBAL_AVERAGE_POOL_GRAD] = {infer_pool_grad, 1},
    [DEEP_OP_DENSE] = {infer_dense, 1},
    [DEEP_OP_DENSE_GRAD_INPUT] = {infer_dense_grad_input, 1},
    [DEEP_OP_DENSE_GRAD_WEIGHTS] = {infer_dense_grad_weights, 1},
    [DEEP_OP_ADD] = {infer_binary, 1},
    [DEEP_OP_DROPOUT] = {same_as_input, 1},
    [DEEP_OP_SOFTMAX] = {same_as_input, 1},
    [DEEP_OP_SOFTMAX_CROSS_ENTROPY] = {infer_cross_entropy, 1},
    [DEEP_OP_SOFTMAX_CROSS_ENTROPY_GRAD] = {infer_cross_entropy_grad, 1},
    [DEEP_OP_L2_PENALTY] = {infer_nothing, 0},
    [DEEP_OP_L2_GRAD] = {infer_l2_grad, 0},
    [DEEP_OP_SCALE] = {infer_scale, 0},
    [DEEP_OP_GRADIENT_NORM] = {infer_pair, 1},
    [DEEP_OP_UPDATE_SGD] = {infer_update, 0},
    [DEEP_OP_UPDATE_RMSPROP] = {infer_update, 0},
    [DEEP_OP_UPDATE_ADAM] = {infer_update, 0},
    [DEEP_OP_CAST] = {infer_cast, 1},
    [DEEP_OP_REORDER] = {infer_reorder, 1},
    [DEEP_OP_FILL] = {infer_fill, 1},
    [DEEP_OP_REDUCE_SUM] = {infer_reduce_sum, 1},
    [DEEP_OP_BROADCAST_ROWS] = {infer_broadcast, 1},
    [DEEP_OP_FINITE_CHECK] = {infer_flag, 1},
};

deep_status deep__infer(const deep_graph *graph, deep_node *node, deep_value_info outputs[DEEP_NODE_OUTPUTS])
{
    for (int32_t i = 0; i < node->input_count; ++i)
        if (node->inputs[i] < 0 || node->inputs[i] >= graph->value_count)
            return deep__fail(DEEP_ERROR_INVALID_ARGUMENT, "%s: input %" PRId32 " is not a value",
                              deep__op_name(node->op), i);
    const rule_call call = {graph, node, outputs};
    DEEP_TRY(rules[node->op].infer(&call));
    node->output_count = rules[node->op].outputs;
    for (int32_t i = 0; i < node->output_count; ++i)
        outputs[i].keep = false;
    return DEEP_OK;
}

int64_t deep__node_multiply_adds(const deep_graph *graph, const deep_node *node)
{
    const bool dense = node->op == DEEP_OP_DENSE,
               separable = node->op == DEEP_OP_SEPARABLE || node->op == DEEP_OP_SEPARABLE_TRAIN;
    if (!dense && !separable && node->op != DEEP_OP_CONV2D && node->op != DEEP_OP_DEPTHWISE) return 0;
    const deep_value_info *w = deep__graph_value(graph, node->inputs[1]),
                          *y = deep__graph_value(graph, node->outputs[0]);
    if (dense) return y->shape[0] * w->shape[0] * w->shape[1];
    const int64_t pixels = y->shape[0] * y->shape[1] * y->shape[2];
    const int64_t pointwise = separable ? deep__value_elements(deep__graph_value(graph, node->inputs[2])) : 0;
    return pixels * (deep__value_elements(w) + pointwise);
}
