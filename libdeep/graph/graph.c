/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/graph.h"

#include "base/checked.h"

static const struct {
    const char *name;
    int32_t inputs;
    bool in_place;
} op_kinds[] = {
#define OP(enumerator, name, inputs, outputs, in_place) [DEEP_OP_##enumerator] = {name, inputs, in_place},
#include "graph/ops.def"
#undef OP
    [DEEP_OP_NONE] = {"none", 0, false},
};

void deep__graph_init(deep_graph *graph, const deep_allocator *allocator, int32_t real)
{
    *graph = (deep_graph){.allocator = allocator, .real = real};
}

void deep__graph_free(deep_graph *graph)
{
    if (graph->allocator == NULL) return;
    deep__free(graph->allocator, graph->values);
    deep__free(graph->allocator, graph->nodes);
    *graph = (deep_graph){0};
}

const char *deep__op_name(deep_op op)
{
    return op_kinds[op].name;
}

bool deep__op_in_place(deep_op op)
{
    return op_kinds[op].in_place;
}

int64_t deep__value_elements(const deep_value_info *value)
{
    int64_t count = 1;
    for (int32_t axis = 0; axis < value->rank; ++axis)
        count *= value->shape[axis];
    return count;
}

static int64_t round_up(int64_t count, int64_t step)
{
    return (count + step - 1) / step * step;
}

int64_t deep__kernel_floats(int32_t dtype, int32_t rank, const int64_t *shape)
{
    int64_t inner = 1;
    for (int32_t axis = 0; axis + 1 < rank; ++axis)
        inner *= shape[axis];
    const int64_t columns = shape[rank - 1];
    if (dtype != DEEP_DTYPE_BF16 && dtype != DEEP_DTYPE_F16 && dtype != DEEP_DTYPE_I8) return inner * columns;
    const int64_t bytes = round_up(inner, 4) * (int64_t)deep__dtype_size(dtype) + (dtype == DEEP_DTYPE_I8 ? 4 : 0);
    return round_up(columns, 16) * bytes / 4;
}

static deep_status value_bytes(deep_value_info *info)
{
    info->bytes = deep__dtype_size(info->dtype);
    for (int32_t axis = 0; axis < info->rank; ++axis)
        if (info->shape[axis] < 1 || !deep__mul_size(info->bytes, (size_t)info->shape[axis], &info->bytes) ||
            info->bytes > PTRDIFF_MAX)
            return deep__fail(DEEP_ERROR_LIMIT, "a tensor's extent %" PRId64 " is out of range", info->shape[axis]);
    return DEEP_OK;
}

static deep_value append_value(deep_graph *graph, deep_value_info info)
{
    if (graph->status != DEEP_OK) return DEEP_NO_VALUE;
    graph->status = value_bytes(&info);
    const size_t count = (size_t)graph->value_count;
    if (graph->status == DEEP_OK)
        graph->status = deep__grow(&graph->values, graph->allocator, count, &graph->value_capacity, count + 1,
                                   sizeof *graph->values, "graph values");
    if (graph->status != DEEP_OK) return DEEP_NO_VALUE;
    graph->values[count] = info;
    return graph->value_count++;
}

static deep_value_info describe(int32_t dtype, int32_t rank, const int64_t *shape, int32_t segment, size_t offset)
{
    deep_value_info info = {.dtype = dtype, .rank = rank, .segment = segment, .offset = offset};
    for (int32_t axis = 0; axis < rank; ++axis)
        info.shape[axis] = shape[axis];
    return info;
}

deep_value deep__graph_input(deep_graph *graph, int32_t index, int32_t dtype, int32_t rank, const int64_t *shape)
{
    return append_value(graph, describe(dtype, rank, shape, DEEP_SEGMENT_INPUT + index, 0));
}

deep_value deep__graph_place(deep_graph *graph, enum deep_segment segment, size_t offset, int32_t rank,
                             const int64_t *shape)
{
    return deep__graph_place_as(graph, segment, offset, graph->real, rank, shape);
}

deep_value deep__graph_place_as(deep_graph *graph, enum deep_segment segment, size_t offset, int32_t dtype,
                                int32_t rank, const int64_t *shape)
{
    return append_value(graph, describe(dtype, rank, shape, (int32_t)segment, offset));
}

static deep_status append_node(deep_graph *graph, deep_node *node)
{
    deep_value_info outputs[DEEP_NODE_OUTPUTS] = {{0}};
    DEEP_TRY(deep__infer(graph, node, outputs));
    for (int32_t i = 0; i < node->output_count; ++i) {
        outputs[i].segment = DEEP_SEGMENT_ARENA;
        node->outputs[i] = append_value(graph, outputs[i]);
        DEEP_TRY(graph->status);
    }
    const size_t count = (size_t)graph->node_count;
    DEEP_TRY(deep__grow(&graph->nodes, graph->allocator, count, &graph->node_capacity, count + 1, sizeof *graph->nodes,
                        "graph nodes"));
    graph->nodes[graph->node_count++] = *node;
    return DEEP_OK;
}

deep_value deep__graph_add(deep_graph *graph, deep_op op, const deep_attr *attr, const deep_value *inputs,
                           int32_t count)
{
    if (graph->status != DEEP_OK) return DEEP_NO_VALUE;
    deep_node node = {.op = op, .input_count = count, .outputs = {DEEP_NO_VALUE, DEEP_NO_VALUE, DEEP_NO_VALUE}};
    if (attr != NULL) node.attr = *attr;
    if (count < op_kinds[op].inputs || count > DEEP_NODE_INPUTS) {
        graph->status = deep__fail(DEEP_ERROR_INVALID_ARGUMENT, "%s has %" PRId32 " inputs", deep__op_name(op), count);
        return DEEP_NO_VALUE;
    }
    for (int32_t i = 0; i < count; ++i)
        node.inputs[i] = inputs[i];
    graph->status = append_node(graph, &node);
    return graph->status == DEEP_OK && node.output_count > 0 ? node.outputs[0] : DEEP_NO_VALUE;
}

deep_value deep__graph_last_output(const deep_graph *graph, int32_t index)
{
    return graph->status == DEEP_OK ? graph->nodes[graph->node_count - 1].outputs[index] : DEEP_NO_VALUE;
}

void deep__graph_compact(deep_graph *graph)
{
    int32_t kept = 0;
    for (int32_t i = 0; i < graph->node_count; ++i)
        if (graph->nodes[i].op != DEEP_OP_NONE) graph->nodes[kept++] = graph->nodes[i];
    graph->node_count = kept;
}

void deep__pad_same(int64_t input, int32_t window, int32_t stride, int32_t *before, int32_t *after)
{
    const int64_t output = (input + stride - 1) / stride;
    const int64_t missing = (output - 1) * stride + window - input;
    const int32_t total = missing > 0 ? (int32_t)missing : 0;
    *before = total / 2;
    *after = total - total / 2;
}
