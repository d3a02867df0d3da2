/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/arch.h"

#include "nn/network.h"

#include <deep/model.h>
#include <string.h>

#define KERAS_EPSILON 1e-3 /* keras.applications.Xception's batch norm */

static const deep_arch architectures[] = {
    {.name = "xception", .middle_blocks = 8, .width = 1.0, .epsilon = KERAS_EPSILON},
    {.name = "xception-small", .middle_blocks = 2, .width = 0.25, .epsilon = KERAS_EPSILON},
};

enum {
    MIN_SIZE = 71, /* keras.applications.Xception refuses less */
    MAX_SIZE = 1000,
    MAX_CLASSES = 65536,
    MAX_MIDDLE_BLOCKS = 64
};

deep_status deep__arch_find(deep_arch *arch, const char *name)
{
    if (name == NULL) name = architectures[0].name;
    for (size_t i = 0; i < sizeof architectures / sizeof architectures[0]; ++i)
        if (strcmp(name, architectures[i].name) == 0) {
            *arch = architectures[i];
            return DEEP_OK;
        }
    return deep__fail(DEEP_ERROR_INVALID_ARGUMENT, "architecture \"%.64s\" is not known: xception, xception-small",
                      name);
}

static deep_status check_arch(const deep_arch *arch)
{
    DEEP_REQUIRE(arch->input_size >= MIN_SIZE && arch->input_size <= MAX_SIZE,
                 "input size is %" PRId32 ", not %d to %d", arch->input_size, MIN_SIZE, MAX_SIZE);
    DEEP_REQUIRE(arch->classes >= 1 && arch->classes <= MAX_CLASSES, "class count is %" PRId32 ", not 1 to %d",
                 arch->classes, MAX_CLASSES);
    DEEP_REQUIRE(arch->head == DEEP_HEAD_IMAGENET || arch->head == DEEP_HEAD_SERVICE,
                 "head %" PRId32 " is not one of DEEP_HEAD", arch->head);
    DEEP_REQUIRE(arch->middle_blocks >= 1 && arch->middle_blocks <= MAX_MIDDLE_BLOCKS,
                 "middle blocks are %" PRId32 ", not 1 to %d", arch->middle_blocks, MAX_MIDDLE_BLOCKS);
    DEEP_REQUIRE(arch->width >= 0.01 && arch->width <= 4, "width multiplier is not 0.01 to 4");
    DEEP_REQUIRE(arch->dropout >= 0 && arch->dropout < 1, "dropout is not at least 0 and below 1");
    DEEP_REQUIRE(arch->epsilon > 0 && arch->epsilon <= 1, "batch norm's epsilon is %g, not above 0 and at most 1",
                 arch->epsilon);
    DEEP_REQUIRE(arch->padding == DEEP_PADDING_SAME || arch->padding == DEEP_PADDING_SYMMETRIC,
                 "padding %" PRId32 " is not one of DEEP_PADDING", arch->padding);
    DEEP_REQUIRE(arch->kernel_count >= 0 && (arch->kernel_count == 0) == (arch->kernel_dtypes == NULL),
                 "%" PRId32 " kernel types, but no list of them", arch->kernel_count);
    for (int32_t i = 0; i < arch->kernel_count; ++i) {
        const int32_t dtype = arch->kernel_dtypes[i];
        DEEP_REQUIRE(dtype == DEEP_DTYPE_F32 || dtype == DEEP_DTYPE_BF16 || dtype == DEEP_DTYPE_F16 ||
                         dtype == DEEP_DTYPE_I8,
                     "kernel %" PRId32 " has the type %" PRId32 ", not f32, bf16, f16 or i8", i, dtype);
    }
    return DEEP_OK;
}

deep_status deep__network_build(deep_network *net, deep_graph *graph, const deep_arch *arch, int32_t batch,
                                enum deep_mode mode, const uint8_t *frozen)
{
    *net = (deep_network){
        .graph = graph, .arch = arch, .mode = mode, .batch = batch, .frozen = frozen, .counter = DEEP_NO_VALUE};
    DEEP_TRY(check_arch(arch));
    const int64_t shape[4] = {batch, arch->input_size, arch->input_size, 3};
    net->input = deep__graph_input(graph, DEEP_INPUT_IMAGES, graph->real, 4, shape);
    deep__xception_build(net, arch);
    DEEP_TRY(graph->status);
    DEEP_REQUIRE(arch->kernel_count == 0 || arch->kernel_count == net->params.kernels,
                 "%" PRId32 " kernel types given, the architecture has %" PRId32 " kernels", arch->kernel_count,
                 net->params.kernels);
    return DEEP_OK;
}

void deep__network_free(deep_network *net)
{
    if (net->graph == NULL) return;
    const deep_allocator *allocator = net->graph->allocator;
    deep__free(allocator, net->params.specs);
    deep__free(allocator, net->values);
    deep__free(allocator, net->norms);
    deep__free(allocator, net->layers);
    *net = (deep_network){0};
}

deep_status deep__arch_params(deep_param_list *out, const deep_arch *arch, const deep_allocator *allocator)
{
    *out = (deep_param_list){0};
    deep_graph graph;
    deep_network net;
    deep__graph_init(&graph, allocator, DEEP_DTYPE_F32);
    const deep_status status = deep__network_build(&net, &graph, arch, 1, DEEP_MODE_INFER, NULL);
    if (status == DEEP_OK) {
        for (int32_t i = 0; i < graph.node_count; ++i)
            net.params.multiply_adds += deep__node_multiply_adds(&graph, &graph.nodes[i]);
        *out = net.params;
        net.params.specs = NULL;
    }
    deep__network_free(&net);
    deep__graph_free(&graph);
    return status;
}

void deep__arch_params_free(deep_param_list *list, const deep_allocator *allocator)
{
    deep__free(allocator, list->specs);
    *list = (deep_param_list){0};
}
