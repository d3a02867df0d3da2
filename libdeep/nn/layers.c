/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/network.h"

#include <deep/model.h>
#include <stdio.h>
#include <string.h>

static const double BN_MOMENTUM = 0.99; /* keras.applications.Xception: Keras's default */

double deep__batch_norm_momentum(void)
{
    return BN_MOMENTUM;
}

enum { PARAM_ALIGNMENT = 16 }; /* floats: 64 bytes */

static size_t real_size(const deep_network *net)
{
    return deep__dtype_size(net->graph->real);
}

static deep_status append_param(deep_network *net, const deep_param_spec *spec, deep_value value)
{
    const size_t count = (size_t)net->params.count;
    const deep_allocator *allocator = net->graph->allocator;
    DEEP_TRY(
        deep__grow(&net->params.specs, allocator, count, &net->param_capacity, count + 1, sizeof *spec, "parameters"));
    DEEP_TRY(deep__grow(&net->values, allocator, count, &net->value_capacity, count + 1, sizeof value, "parameters"));
    net->params.specs[count] = *spec;
    net->values[count] = value;
    net->params.count++;
    const int64_t floats = deep__kernel_floats(spec->dtype, spec->rank, spec->shape);
    net->params.elements += (floats + PARAM_ALIGNMENT - 1) / PARAM_ALIGNMENT * PARAM_ALIGNMENT;
    return DEEP_OK;
}

static deep_value add_typed_param(deep_network *net, const char *layer, const char *suffix, int32_t role, int32_t dtype,
                                  int32_t rank, const int64_t *shape)
{
    deep_graph *graph = net->graph;
    deep_param_spec spec = {
        .role = role, .dtype = dtype, .rank = rank, .offset = net->params.elements, .head = net->in_head};
    snprintf(spec.name, sizeof spec.name, "%s.%s", layer, suffix);
    const deep_value value = deep__graph_place_as(graph, DEEP_SEGMENT_PARAM, (size_t)spec.offset * real_size(net),
                                                  dtype == DEEP_DTYPE_F32 ? graph->real : dtype, rank, shape);
    if (graph->status != DEEP_OK) return DEEP_NO_VALUE;
    for (int32_t axis = 0; axis < rank; ++axis)
        spec.shape[axis] = shape[axis];
    spec.elements = deep__value_elements(deep__graph_value(graph, value));
    graph->status = append_param(net, &spec, value);
    return value;
}

static deep_value add_param(deep_network *net, const char *layer, const char *suffix, int32_t role, int32_t rank,
                            const int64_t *shape)
{
    return add_typed_param(net, layer, suffix, role, DEEP_DTYPE_F32, rank, shape);
}

/* A kernel in its storage type, and its quantization (DEEP_NO_VALUE when it has none). Its last axes are in and out. */
static deep_value add_kernel(deep_network *net, const char *layer, const char *suffix, int32_t rank,
                             const int64_t *shape, deep_value *quantization)
{
    const deep_arch *arch = net->arch;
    const int32_t index = net->params.kernels++;
    const int32_t dtype = index < arch->kernel_count ? arch->kernel_dtypes[index] : DEEP_DTYPE_F32;
    const deep_value w = add_typed_param(net, layer, suffix, DEEP_ROLE_KERNEL, dtype, rank, shape);
    *quantization = DEEP_NO_VALUE;
    if (dtype != DEEP_DTYPE_I8) return w;
    const int64_t length = 2 * shape[rank - 2] + shape[rank - 1];
    char name[64];
    snprintf(name, sizeof name, "%.*squantization", (int)(strlen(suffix) - strlen("kernel")), suffix);
    *quantization = add_param(net, layer, name, DEEP_ROLE_QUANTIZATION, 1, &length);
    return w;
}

deep_activation deep__layer_output(deep_network *net, deep_activation x, const char *name)
{
    deep_graph *graph = net->graph;
    const size_t count = (size_t)net->layer_count;
    if (graph->status == DEEP_OK)
        graph->status = deep__grow(&net->layers, graph->allocator, count, &net->layer_capacity, count + 1,
                                   sizeof *net->layers, "layers");
    if (graph->status != DEEP_OK) return DEEP_NO_VALUE;
    deep_layer_output *layer = &net->layers[net->layer_count++];
    layer->value = x;
    snprintf(layer->name, sizeof layer->name, "%s", name);
    return x;
}

static int64_t extent(const deep_network *net, deep_activation x, int32_t axis)
{
    return net->graph->status == DEEP_OK ? deep__graph_value(net->graph, x)->shape[axis] : 0;
}

static void pad_same(const deep_network *net, deep_activation x, int32_t window, int32_t stride, int32_t pad[4])
{
    if (net->arch->padding == DEEP_PADDING_SYMMETRIC) {
        for (int32_t side = 0; side < 4; ++side)
            pad[side] = window / 2;
        return;
    }
    deep__pad_same(extent(net, x, 1), window, stride, &pad[DEEP_PAD_TOP], &pad[DEEP_PAD_BOTTOM]);
    deep__pad_same(extent(net, x, 2), window, stride, &pad[DEEP_PAD_LEFT], &pad[DEEP_PAD_RIGHT]);
}

static deep_activation convolve(deep_network *net, deep_activation x, const char *name, const char *suffix,
                                int32_t window, int32_t stride, bool same, int64_t channels)
{
    const int64_t shape[4] = {window, window, extent(net, x, 3), channels};
    deep_value quantization;
    const deep_value w = add_kernel(net, name, suffix, 4, shape, &quantization);
    deep_attr attr = {.conv = {.stride = stride}};
    if (same) pad_same(net, x, window, stride, attr.conv.pad);
    const deep_value operands[] = {x, w, quantization};
    return deep__graph_add(net->graph, DEEP_OP_CONV2D, &attr, operands, quantization == DEEP_NO_VALUE ? 2 : 3);
}

deep_activation deep__layer_conv2d(deep_network *net, deep_activation x, const char *name, int32_t window,
                                   int32_t stride, bool same, int64_t channels)
{
    return deep__layer_output(net, convolve(net, x, name, "kernel", window, stride, same, channels), name);
}

deep_activation deep__layer_separable(deep_network *net, deep_activation x, const char *name, int64_t channels)
{
    const int64_t shape[4] = {3, 3, extent(net, x, 3), 1};
    const deep_value w = add_param(net, name, "depthwise_kernel", DEEP_ROLE_KERNEL, 4, shape);
    if (net->graph->status == DEEP_OK) net->params.specs[net->params.count - 1].depthwise = true;
    deep_attr attr = {.conv = {.stride = 1}};
    pad_same(net, x, 3, 1, attr.conv.pad);
    const deep_activation y = DEEP_GRAPH_ADD(net->graph, DEEP_OP_DEPTHWISE, &attr, x, w);
    return deep__layer_output(net, convolve(net, y, name, "pointwise_kernel", 1, 1, true, channels), name);
}

static void append_norm_site(deep_network *net, int32_t mean_param, int64_t rows)
{
    deep_graph *graph = net->graph;
    if (graph->status != DEEP_OK) return;
    const size_t count = (size_t)net->norm_count;
    graph->status = deep__grow(&net->norms, graph->allocator, count, &net->norm_capacity, count + 1, sizeof *net->norms,
                               "batch norms");
    if (graph->status != DEEP_OK) return;
    net->norms[net->norm_count++] = (deep_norm_site){mean_param, mean_param + 1, deep__graph_last_output(graph, 1),
                                                     deep__graph_last_output(graph, 2), rows};
}

deep_activation deep__layer_batch_norm(deep_network *net, deep_activation x, const char *name)
{
    const int64_t channels = extent(net, x, 3);
    const int32_t first = net->params.count;
    const deep_value gamma = add_param(net, name, "gamma", DEEP_ROLE_GAMMA, 1, &channels);
    const deep_value beta = add_param(net, name, "beta", DEEP_ROLE_BETA, 1, &channels);
    const deep_value mean = add_param(net, name, "moving_mean", DEEP_ROLE_MEAN, 1, &channels);
    const deep_value variance = add_param(net, name, "moving_variance", DEEP_ROLE_VARIANCE, 1, &channels);
    const deep_attr attr = {.norm = {.epsilon = net->arch->epsilon}};
    if (net->mode == DEEP_MODE_INFER || (net->frozen != NULL && net->frozen[first])) {
        const deep_activation y =
            DEEP_GRAPH_ADD(net->graph, DEEP_OP_BATCH_NORM_INFER, &attr, x, gamma, beta, mean, variance);
        return deep__layer_output(net, y, name);
    }
    const int64_t rows = extent(net, x, 0) * extent(net, x, 1) * extent(net, x, 2);
    const deep_activation y = DEEP_GRAPH_ADD(net->graph, DEEP_OP_BATCH_NORM_TRAIN, &attr, x, gamma, beta);
    append_norm_site(net, first + 2, rows);
    return deep__layer_output(net, y, name);
}

deep_activation deep__layer_relu(deep_network *net, deep_activation x, const char *name)
{
    return deep__layer_output(net, DEEP_GRAPH_ADD(net->graph, DEEP_OP_RELU, NULL, x), name);
}

deep_activation deep__layer_add(deep_network *net, deep_activation a, deep_activation b, const char *name)
{
    return deep__layer_output(net, DEEP_GRAPH_ADD(net->graph, DEEP_OP_ADD, NULL, a, b), name);
}

deep_activation deep__layer_max_pool(deep_network *net, deep_activation x, const char *name)
{
    deep_attr attr = {.pool = {.window = 3, .stride = 2}};
    pad_same(net, x, 3, 2, attr.pool.pad);
    return deep__layer_output(net, DEEP_GRAPH_ADD(net->graph, DEEP_OP_MAX_POOL, &attr, x), name);
}

deep_activation deep__layer_global_average_pool(deep_network *net, deep_activation x, const char *name)
{
    return deep__layer_output(net, DEEP_GRAPH_ADD(net->graph, DEEP_OP_GLOBAL_AVERAGE_POOL, NULL, x), name);
}

deep_activation deep__layer_dense(deep_network *net, deep_activation x, const char *name, int64_t outputs)
{
    const int64_t shape[2] = {extent(net, x, 1), outputs};
    deep_value quantization;
    const deep_value w = add_kernel(net, name, "kernel", 2, shape, &quantization);
    const deep_value bias = add_param(net, name, "bias", DEEP_ROLE_BIAS, 1, &outputs);
    const deep_value operands[] = {x, w, bias, quantization};
    const deep_activation y =
        deep__graph_add(net->graph, DEEP_OP_DENSE, NULL, operands, quantization == DEEP_NO_VALUE ? 3 : 4);
    return deep__layer_output(net, y, name);
}

deep_activation deep__layer_dropout(deep_network *net, deep_activation x, double rate)
{
    if (net->mode != DEEP_MODE_TRAIN || rate <= 0) return x;
    if (net->counter == DEEP_NO_VALUE)
        net->counter = deep__graph_input(net->graph, DEEP_INPUT_COUNTER, DEEP_DTYPE_I64, 1, (const int64_t[]){2});
    const deep_attr attr = {.dropout = {.rate = rate}};
    return DEEP_GRAPH_ADD(net->graph, DEEP_OP_DROPOUT, &attr, x, net->counter);
}
