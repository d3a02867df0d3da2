/* SPDX-License-Identifier: Apache-2.0 */
/* Passes, tested by graphs printed before and after; the memory plan, by what must hold of it. */
#include "graph/autodiff.h"
#include "graph/graph.h"
#include "graph/memory_plan.h"
#include "graph/passes.h"
#include "nn/network.h"
#include "test.h"

#include <string.h>

static deep_allocator allocator;
static deep_graph graph;

static void setup(void)
{
    allocator = deep__allocator_default();
    deep__graph_init(&graph, &allocator, DEEP_DTYPE_F32);
}

static void teardown(void)
{
    deep__graph_free(&graph);
}

static void assert_dump(const char *expected)
{
    deep_text text = deep__text(&allocator);
    assert_ok(graph.status);
    deep__graph_dump(&graph, &text);
    assert_ok(text.status);
    ck_assert_str_eq(text.data, expected);
    deep__text_free(&text);
}

static deep_value input(int32_t index, int64_t n, int64_t h, int64_t w, int64_t c)
{
    return deep__graph_input(&graph, index, DEEP_DTYPE_F32, 4, (const int64_t[]){n, h, w, c});
}

static deep_value vector(int32_t index, int64_t c)
{
    return deep__graph_input(&graph, index, DEEP_DTYPE_F32, 1, &c);
}

/* x -> conv -> norm -> relu -> depthwise, and a shortcut that is added */
static deep_value residual_unit(void)
{
    const deep_attr conv = {.conv = {.stride = 1}}, same = {.conv = {.stride = 1, .pad = {1, 1, 1, 1}}};
    const deep_attr norm = {.norm = {.epsilon = 1e-3}};
    const deep_value x = input(0, 1, 4, 4, 8), w = input(1, 1, 1, 8, 8), d = input(2, 3, 3, 8, 1);
    const deep_value gamma = vector(3, 8), beta = vector(4, 8), mean = vector(5, 8), variance = vector(6, 8);
    deep_value y = DEEP_GRAPH_ADD(&graph, DEEP_OP_RELU, NULL, x);
    y = DEEP_GRAPH_ADD(&graph, DEEP_OP_DEPTHWISE, &same, y, d);
    y = DEEP_GRAPH_ADD(&graph, DEEP_OP_CONV2D, &conv, y, w);
    y = DEEP_GRAPH_ADD(&graph, DEEP_OP_BATCH_NORM_INFER, &norm, y, gamma, beta, mean, variance);
    y = DEEP_GRAPH_ADD(&graph, DEEP_OP_ADD, NULL, y, x);
    graph.values[y].keep = true;
    return y;
}

START_TEST(passes_fold_a_residual_unit_into_two_kernels)
{
    residual_unit();
    assert_dump("relu %0:input f32[1x4x4x8] -> %7:f32[1x4x4x8]\n"
                "depthwise_conv2d %7:f32[1x4x4x8] %2:input f32[3x3x8x1] -> %8:f32[1x4x4x8]\n"
                "conv2d %8:f32[1x4x4x8] %1:input f32[1x1x8x8] -> %9:f32[1x4x4x8]\n"
                "batch_norm_infer %9:f32[1x4x4x8] %3:input f32[8] %4:input f32[8] %5:input f32[8] %6:input f32[8]"
                " -> %10:f32[1x4x4x8]\n"
                "add %10:f32[1x4x4x8] %0:input f32[1x4x4x8] -> %11:f32[1x4x4x8]\n");
    assert_ok(deep__pass_fuse_relu(&graph));
    assert_dump("depthwise_conv2d relu+ %0:input f32[1x4x4x8] %2:input f32[3x3x8x1] -> %8:f32[1x4x4x8]\n"
                "conv2d %8:f32[1x4x4x8] %1:input f32[1x1x8x8] -> %9:f32[1x4x4x8]\n"
                "batch_norm_infer %9:f32[1x4x4x8] %3:input f32[8] %4:input f32[8] %5:input f32[8] %6:input f32[8]"
                " -> %10:f32[1x4x4x8]\n"
                "add %10:f32[1x4x4x8] %0:input f32[1x4x4x8] -> %11:f32[1x4x4x8]\n");
    assert_ok(deep__pass_fold_batch_norm(&graph));
    assert_ok(deep__pass_fuse_epilogue(&graph));
    assert_dump("batch_norm_fold %3:input f32[8] %4:input f32[8] %5:input f32[8] %6:input f32[8]"
                " -> %12:f32[8] %13:f32[8]\n"
                "depthwise_conv2d relu+ %0:input f32[1x4x4x8] %2:input f32[3x3x8x1] -> %8:f32[1x4x4x8]\n"
                "conv2d +affine +add %8:f32[1x4x4x8] %1:input f32[1x1x8x8] %12:f32[8] %13:f32[8]"
                " %0:input f32[1x4x4x8] -> %11:f32[1x4x4x8]\n");
}
END_TEST

START_TEST(a_relu_that_two_read_stays)
{
    const deep_attr same = {.conv = {.stride = 1, .pad = {1, 1, 1, 1}}};
    const deep_value x = input(0, 1, 4, 4, 8), d = input(1, 3, 3, 8, 1);
    const deep_value y = DEEP_GRAPH_ADD(&graph, DEEP_OP_RELU, NULL, x);
    const deep_value z = DEEP_GRAPH_ADD(&graph, DEEP_OP_DEPTHWISE, &same, y, d);
    DEEP_GRAPH_ADD(&graph, DEEP_OP_ADD, NULL, z, y);
    assert_ok(deep__pass_fuse_relu(&graph));
    ck_assert_int_eq(graph.node_count, 3);
    ck_assert_int_eq(graph.nodes[0].op, DEEP_OP_RELU);
}
END_TEST

START_TEST(gradients_of_a_value_read_twice_are_added)
{
    const deep_value x = input(0, 1, 2, 2, 3);
    const deep_value y = DEEP_GRAPH_ADD(&graph, DEEP_OP_RELU, NULL, x);
    const deep_value z = DEEP_GRAPH_ADD(&graph, DEEP_OP_ADD, NULL, y, x);
    const deep_value dz = input(1, 1, 2, 2, 3);
    bool wanted[8] = {false};
    deep_value gradients[8];
    wanted[x] = true;
    assert_ok(deep__autodiff(&graph, z, dz, wanted, gradients));
    assert_dump("relu %0:input f32[1x2x2x3] -> %1:f32[1x2x2x3]\n"
                "add %1:f32[1x2x2x3] %0:input f32[1x2x2x3] -> %2:f32[1x2x2x3]\n"
                "relu_grad %3:input f32[1x2x2x3] %1:f32[1x2x2x3] -> %4:f32[1x2x2x3]\n"
                "add %3:input f32[1x2x2x3] %4:f32[1x2x2x3] -> %5:f32[1x2x2x3]\n");
    ck_assert_int_eq(gradients[x], 5);
}
END_TEST

START_TEST(nothing_is_differentiated_that_nobody_wants)
{
    const deep_value x = input(0, 1, 2, 2, 3);
    const deep_value y = DEEP_GRAPH_ADD(&graph, DEEP_OP_RELU, NULL, x);
    const deep_value dy = input(1, 1, 2, 2, 3);
    bool wanted[8] = {false};
    deep_value gradients[8];
    assert_ok(deep__autodiff(&graph, y, dy, wanted, gradients));
    ck_assert_int_eq(graph.node_count, 1);
}
END_TEST

START_TEST(wrong_shapes_are_refused_with_the_op_and_the_number)
{
    const deep_attr attr = {.conv = {.stride = 1}};
    DEEP_GRAPH_ADD(&graph, DEEP_OP_CONV2D, &attr, input(0, 1, 4, 4, 8), input(1, 1, 1, 7, 8));
    ck_assert_int_eq(graph.status, DEEP_ERROR_INVALID_ARGUMENT);
    ck_assert_str_eq(deep_last_error(), "conv2d: input channels of w is 7, not 8");
    ck_assert_int_eq(DEEP_GRAPH_ADD(&graph, DEEP_OP_RELU, NULL, 0), DEEP_NO_VALUE); /* the first failure stays */
    ck_assert_int_eq(graph.node_count, 0);
}
END_TEST

/* ---- memory plan ---- */

typedef struct life {
    int32_t first, last;
} life;

static life life_of(deep_value value)
{
    life l = {-1, -1};
    for (int32_t i = 0; i < graph.node_count; ++i) {
        const deep_node *node = &graph.nodes[i];
        for (int32_t k = 0; k < node->input_count + node->output_count; ++k) {
            const deep_value touched = k < node->input_count ? node->inputs[k] : node->outputs[k - node->input_count];
            if (touched != value) continue;
            if (l.first < 0) l.first = i;
            l.last = i;
        }
    }
    if (graph.values[value].keep) l.last = graph.node_count;
    return l;
}

/* True when node `i` writes b over a, its first operand, which is read no more. */
static bool in_place(deep_value a, deep_value b, int32_t i)
{
    const deep_node *node = &graph.nodes[i];
    return deep__op_in_place(node->op) && node->inputs[0] == a && node->outputs[0] == b;
}

static void assert_no_overlap(void)
{
    for (deep_value a = 0; a < graph.value_count; ++a)
        for (deep_value b = 0; b < graph.value_count; ++b) {
            const deep_value_info *x = &graph.values[a], *y = &graph.values[b];
            if (a == b || x->segment != DEEP_SEGMENT_ARENA || y->segment != DEEP_SEGMENT_ARENA) continue;
            const life la = life_of(a), lb = life_of(b);
            if (la.first < 0 || lb.first < 0 || la.last < lb.first || lb.last < la.first || lb.first < la.first)
                continue;
            if (la.last == lb.first && in_place(a, b, lb.first)) continue;
            const bool apart = x->offset + x->bytes <= y->offset || y->offset + y->bytes <= x->offset;
            ck_assert_msg(apart, "values %d and %d live at the same time in the same place", (int)a, (int)b);
            ck_assert_uint_le(x->offset + x->bytes, graph.arena_bytes);
        }
}

START_TEST(values_that_live_together_do_not_overlap)
{
    deep_arch arch;
    deep_network net;
    assert_ok(deep__arch_find(&arch, "xception-small"));
    arch.input_size = 100;
    arch.classes = 4;
    assert_ok(deep__network_build(&net, &graph, &arch, 2, DEEP_MODE_TRAIN, NULL));
    const deep_value slope = DEEP_GRAPH_ADD(&graph, DEEP_OP_SOFTMAX, NULL, net.logits); /* any value of that shape */
    bool *wanted;
    deep_value *gradients;
    const size_t count = (size_t)graph.value_count;
    assert_ok(deep__alloc_zero(&wanted, &allocator, count, sizeof *wanted, "test"));
    assert_ok(deep__alloc(&gradients, &allocator, count, sizeof *gradients, "test"));
    for (int32_t i = 0; i < net.params.count; ++i)
        wanted[net.values[i]] = true;
    graph.values[net.logits].keep = true;
    assert_ok(deep__autodiff(&graph, net.logits, slope, wanted, gradients));
    assert_ok(deep__memory_plan(&graph));
    assert_no_overlap();
    deep__free(&allocator, gradients);
    deep__free(&allocator, wanted);
    deep__network_free(&net);
}
END_TEST

START_TEST(inference_reuses_memory)
{
    residual_unit();
    assert_ok(deep__memory_plan(&graph));
    assert_no_overlap();
    ck_assert_uint_eq(graph.arena_bytes, 2 * 512); /* five values of 512 bytes, two alive at a time */
}
END_TEST

Suite *test_suite(void)
{
    Suite *suite = suite_create("graph");
    TCase *tests = tcase_create("graph");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, passes_fold_a_residual_unit_into_two_kernels);
    tcase_add_test(tests, a_relu_that_two_read_stays);
    tcase_add_test(tests, gradients_of_a_value_read_twice_are_added);
    tcase_add_test(tests, nothing_is_differentiated_that_nobody_wants);
    tcase_add_test(tests, wrong_shapes_are_refused_with_the_op_and_the_number);
    tcase_add_test(tests, values_that_live_together_do_not_overlap);
    tcase_add_test(tests, inference_reuses_memory);
    suite_add_tcase(suite, tests);
    return suite;
}
