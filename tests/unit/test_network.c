/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"
#include "graph/memory_plan.h"
#include "graph/passes.h"
#include "nn/network.h"
#include "test.h"

#include <deep/model.h>
#include <stdio.h>
#include <string.h>

static deep_allocator allocator;
static deep_graph graph;
static deep_network net;

static void setup(void)
{
    allocator = deep__allocator_default();
    deep__graph_init(&graph, &allocator, DEEP_DTYPE_F32);
}

static void teardown(void)
{
    deep__network_free(&net);
    deep__graph_free(&graph);
}

static deep_arch published(int32_t size, int32_t head, int32_t classes)
{
    deep_arch arch;
    assert_ok(deep__arch_find(&arch, NULL));
    arch.input_size = size;
    arch.head = head;
    arch.classes = classes;
    return arch;
}

static int64_t count_params(const deep_param_list *list, bool trainable_alone, bool backbone_alone)
{
    int64_t count = 0;
    for (int32_t i = 0; i < list->count; ++i) {
        const deep_param_spec *spec = &list->specs[i];
        const bool statistic = spec->role == DEEP_ROLE_MEAN || spec->role == DEEP_ROLE_VARIANCE;
        if ((trainable_alone && statistic) || (backbone_alone && spec->head)) continue;
        count += spec->elements;
    }
    return count;
}

START_TEST(parameter_counts_are_the_published_ones)
{
    deep_param_list list;
    const deep_arch arch = published(299, DEEP_HEAD_IMAGENET, 1000);
    assert_ok(deep__arch_params(&list, &arch, &allocator));
    ck_assert_int_eq(count_params(&list, false, false), 22910480);
    ck_assert_int_eq(count_params(&list, true, false), 22855952);
    ck_assert_int_eq(count_params(&list, false, true), 20861480);
    ck_assert_int_eq(list.multiply_adds, 8357403496); /* padded taps counted */
    deep__arch_params_free(&list, &allocator);

    const deep_arch service = published(100, DEEP_HEAD_SERVICE, 95);
    assert_ok(deep__arch_params(&list, &service, &allocator));
    ck_assert_int_eq(count_params(&list, false, false), 20861480 + 2195551);
    deep__arch_params_free(&list, &allocator);
}
END_TEST

START_TEST(parameters_carry_keras_names_and_shapes)
{
    static const struct {
        const char *name;
        int64_t shape[4];
    } expected[] = {
        {"block1_conv1.kernel", {3, 3, 3, 32}},
        {"block2_shortcut.kernel", {1, 1, 64, 128}},
        {"block2_shortcut_bn.gamma", {128}},
        {"block5_sepconv1.depthwise_kernel", {3, 3, 728, 1}},
        {"block5_sepconv1.pointwise_kernel", {1, 1, 728, 728}},
        {"block13_shortcut_bn.moving_variance", {1024}},
        {"block14_sepconv2_bn.beta", {2048}},
        {"predictions.kernel", {2048, 1000}},
        {"predictions.bias", {1000}},
    };
    deep_param_list list;
    const deep_arch arch = published(299, DEEP_HEAD_IMAGENET, 1000);
    assert_ok(deep__arch_params(&list, &arch, &allocator));
    for (size_t e = 0; e < sizeof expected / sizeof expected[0]; ++e) {
        int32_t i = 0;
        while (i < list.count && strcmp(list.specs[i].name, expected[e].name) != 0)
            ++i;
        ck_assert_msg(i < list.count, "no parameter %s", expected[e].name);
        for (int32_t axis = 0; axis < list.specs[i].rank; ++axis)
            ck_assert_int_eq(list.specs[i].shape[axis], expected[e].shape[axis]);
    }
    deep__arch_params_free(&list, &allocator);
}
END_TEST

/* Sides behind conv1, conv2 and the pools, and the pads (before, after) of the four pools. */
static const struct {
    int32_t size;
    int64_t sides[6];
    int32_t pads[4][2];
} geometry[] = {
    {299, {149, 147, 74, 37, 19, 10}, {{1, 1}, {0, 1}, {1, 1}, {1, 1}}},
    {224, {111, 109, 55, 28, 14, 7}, {{1, 1}, {1, 1}, {0, 1}, {0, 1}}},
    {100, {49, 47, 24, 12, 6, 3}, {{1, 1}, {0, 1}, {0, 1}, {0, 1}}},
    {71, {35, 33, 17, 9, 5, 3}, {{1, 1}, {1, 1}, {1, 1}, {1, 1}}},
};

START_TEST(pools_pad_as_tensorflow_at_every_size)
{
    const deep_arch arch = published(geometry[_i].size, DEEP_HEAD_SERVICE, 10);
    assert_ok(deep__network_build(&net, &graph, &arch, 2, DEEP_MODE_INFER, NULL));
    int32_t pools = 0, stems = 0;
    for (int32_t i = 0; i < graph.node_count; ++i) {
        const deep_node *node = &graph.nodes[i];
        const int64_t side = deep__graph_value(&graph, node->outputs[0])->shape[1];
        if (node->op == DEEP_OP_CONV2D && stems < 2) ck_assert_int_eq(side, geometry[_i].sides[stems++]);
        if (node->op != DEEP_OP_MAX_POOL) continue;
        ck_assert_int_eq(side, geometry[_i].sides[2 + pools]);
        ck_assert_int_eq(node->attr.pool.pad[DEEP_PAD_TOP], geometry[_i].pads[pools][0]);
        ck_assert_int_eq(node->attr.pool.pad[DEEP_PAD_BOTTOM], geometry[_i].pads[pools][1]);
        ck_assert_int_eq(node->attr.pool.pad[DEEP_PAD_LEFT], geometry[_i].pads[pools][0]);
        ck_assert_int_eq(node->attr.pool.pad[DEEP_PAD_RIGHT], geometry[_i].pads[pools][1]);
        ++pools;
    }
    ck_assert_int_eq(pools, 4);
    const deep_value_info *logits = deep__graph_value(&graph, net.logits);
    ck_assert_int_eq(logits->shape[0], 2);
    ck_assert_int_eq(logits->shape[1], 10);
}
END_TEST

START_TEST(symmetric_padding_puts_a_pixel_on_every_side)
{
    deep_arch arch = published(geometry[_i].size, DEEP_HEAD_IMAGENET, 10);
    arch.padding = DEEP_PADDING_SYMMETRIC;
    assert_ok(deep__network_build(&net, &graph, &arch, 1, DEEP_MODE_INFER, NULL));
    int32_t pools = 0;
    for (int32_t i = 0; i < graph.node_count; ++i) {
        const deep_node *node = &graph.nodes[i];
        const int32_t *pad = node->op == DEEP_OP_MAX_POOL ? node->attr.pool.pad : node->attr.conv.pad;
        if (node->op != DEEP_OP_MAX_POOL && node->op != DEEP_OP_DEPTHWISE && node->op != DEEP_OP_CONV2D) continue;
        for (int32_t side = 0; side < 4; ++side)
            ck_assert_int_eq(pad[side], node->op == DEEP_OP_CONV2D ? 0 : 1); /* the stem is 'valid', the rest 1x1 */
        if (node->op != DEEP_OP_MAX_POOL) continue;
        ck_assert_int_eq(deep__graph_value(&graph, node->outputs[0])->shape[1], geometry[_i].sides[2 + pools]);
        ++pools;
    }
    ck_assert_int_eq(pools, 4);
}
END_TEST

static int32_t count_ops(deep_op op)
{
    int32_t count = 0;
    for (int32_t i = 0; i < graph.node_count; ++i)
        count += graph.nodes[i].op == op;
    return count;
}

START_TEST(inference_passes_leave_81_kernels_and_40_folds)
{
    const deep_arch arch = published(299, DEEP_HEAD_IMAGENET, 1000);
    assert_ok(deep__network_build(&net, &graph, &arch, 1, DEEP_MODE_INFER, NULL));
    ck_assert_int_eq(count_ops(DEEP_OP_DEPTHWISE), 34);
    ck_assert_int_eq(count_ops(DEEP_OP_CONV2D), 40);
    ck_assert_int_eq(count_ops(DEEP_OP_BATCH_NORM_INFER), 40);
    ck_assert_int_eq(count_ops(DEEP_OP_RELU), 35);
    ck_assert_int_eq(count_ops(DEEP_OP_ADD), 12);
    graph.values[net.logits].keep = true;
    assert_ok(deep__pass_fold_batch_norm(&graph));
    assert_ok(deep__pass_fuse_epilogue(&graph));
    assert_ok(deep__pass_fuse_relu(&graph));
    ck_assert_int_eq(count_ops(DEEP_OP_BATCH_NORM_FOLD), 40);
    ck_assert_int_eq(count_ops(DEEP_OP_BATCH_NORM_INFER), 0);
    ck_assert_int_eq(count_ops(DEEP_OP_ADD), 0); /* 8 are made by convolutions, 4 by the pools before them */
    ck_assert_int_eq(count_ops(DEEP_OP_RELU),
                     0); /* in what writes the value, or, where it is wanted as it is, what reads it */
    assert_ok(deep__memory_plan(&graph));
    ck_assert_uint_lt(graph.arena_bytes, 30u << 20); /* two 147 x 147 x 128 maps are 22 MB */
}
END_TEST

START_TEST(separable_convolutions_become_one_kernel)
{
    const deep_arch arch = published(299, DEEP_HEAD_IMAGENET, 1000);
    assert_ok(deep__network_build(&net, &graph, &arch, 1, DEEP_MODE_INFER, NULL));
    graph.values[net.logits].keep = true;
    assert_ok(deep__pass_fold_batch_norm(&graph));
    assert_ok(deep__pass_fuse_epilogue(&graph));
    assert_ok(deep__pass_fuse_relu(&graph));
    assert_ok(deep__pass_fuse_separable(&graph));
    ck_assert_int_eq(count_ops(DEEP_OP_SEPARABLE), 34);
    ck_assert_int_eq(count_ops(DEEP_OP_DEPTHWISE), 0);
    ck_assert_int_eq(count_ops(DEEP_OP_CONV2D), 2 + 4); /* the stem and the shortcuts */
    int32_t rectified = 0, added = 0;
    for (int32_t i = 0; i < graph.node_count; ++i) {
        if (graph.nodes[i].op != DEEP_OP_SEPARABLE) continue;
        rectified += graph.nodes[i].attr.conv.relu_input;
        added += (graph.nodes[i].attr.conv.epilogue & DEEP_EPILOGUE_ADD) != 0;
    }
    ck_assert_int_eq(rectified, 11); /* the first of blocks 3 to 13, whose shortcut wants the input as it is */
    ck_assert_int_eq(added, 8);      /* the middle blocks */
    assert_ok(deep__memory_plan(&graph));
    ck_assert_uint_lt(graph.arena_bytes, 24u << 20); /* a map of 147 x 147 x 128 and one of 64 channels */
}
END_TEST

START_TEST(relus_move_into_the_depthwise_convolutions)
{
    const deep_arch arch = published(71, DEEP_HEAD_IMAGENET, 4);
    assert_ok(deep__network_build(&net, &graph, &arch, 1, DEEP_MODE_INFER, NULL));
    assert_ok(deep__pass_fuse_relu(&graph));
    int32_t rectifying = 0;
    for (int32_t i = 0; i < graph.node_count; ++i)
        rectifying += graph.nodes[i].op == DEEP_OP_DEPTHWISE && graph.nodes[i].attr.conv.relu_input;
    /* all 34 but the first of block 2 and of block 14, which read values without a ReLU */
    ck_assert_int_eq(rectifying, 32);
}
END_TEST

START_TEST(impossible_architectures_are_refused)
{
    deep_param_list list;
    deep_arch arch = published(70, DEEP_HEAD_IMAGENET, 10);
    assert_status(deep__arch_params(&list, &arch, &allocator), DEEP_ERROR_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(deep_last_error(), "70"));
    arch = published(100, DEEP_HEAD_IMAGENET, 0);
    assert_status(deep__arch_params(&list, &arch, &allocator), DEEP_ERROR_INVALID_ARGUMENT);
    arch = published(100, 7, 10);
    assert_status(deep__arch_params(&list, &arch, &allocator), DEEP_ERROR_INVALID_ARGUMENT);
    arch = published(100, DEEP_HEAD_IMAGENET, 10);
    arch.epsilon = -1e-3;
    assert_status(deep__arch_params(&list, &arch, &allocator), DEEP_ERROR_INVALID_ARGUMENT);
    arch = published(100, DEEP_HEAD_IMAGENET, 10);
    arch.padding = 2;
    assert_status(deep__arch_params(&list, &arch, &allocator), DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(deep__arch_find(&arch, "resnet"), DEEP_ERROR_INVALID_ARGUMENT);
}
END_TEST

Suite *test_suite(void)
{
    Suite *suite = suite_create("network");
    TCase *tests = tcase_create("network");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, parameter_counts_are_the_published_ones);
    tcase_add_test(tests, parameters_carry_keras_names_and_shapes);
    tcase_add_loop_test(tests, pools_pad_as_tensorflow_at_every_size, 0, 4);
    tcase_add_loop_test(tests, symmetric_padding_puts_a_pixel_on_every_side, 0, 4);
    tcase_add_test(tests, inference_passes_leave_81_kernels_and_40_folds);
    tcase_add_test(tests, separable_convolutions_become_one_kernel);
    tcase_add_test(tests, relus_move_into_the_depthwise_convolutions);
    tcase_add_test(tests, impossible_architectures_are_refused);
    suite_add_tcase(suite, tests);
    return suite;
}
