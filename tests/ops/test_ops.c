/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/registry.h"
#include "op_graph.h"
#include "shim.h"
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- gradients of the reference in double against finite differences ---- */

static double objective(op_graph *g) /* <y, dy> */
{
    double sum = 0;
    op_graph_run(g, 0, g->forward_end);
    for (int64_t i = 0; i < op_graph_elements(g, g->output); ++i)
        sum += op_graph_get(g, g->output, i) * op_graph_get(g, g->dy, i);
    return sum;
}

/*
 * Central difference by fourth order, whose error is O(step^4). A kink (ReLU, max) within the step spoils it: then two
 * steps disagree, and the element is passed over; the test counts that at least 90 % of them were compared.
 */
static double difference(op_graph *g, deep_value x, int64_t i, double step)
{
    static const double offset[4] = {-2, -1, 1, 2}, weight[4] = {1, -8, 8, -1};
    const double value = op_graph_get(g, x, i);
    double sum = 0;
    for (int k = 0; k < 4; ++k) {
        op_graph_set(g, x, i, value + offset[k] * step);
        sum += weight[k] * objective(g);
    }
    op_graph_set(g, x, i, value);
    return sum / (12 * step);
}

enum { SAMPLES = 24 }; /* elements per input that are perturbed */

static void check_gradient(op_graph *g, const op_case *c, int32_t k, double *gradient, int64_t *compared,
                           int64_t *tried)
{
    const int64_t count = op_graph_elements(g, g->inputs[k]), stride = count > SAMPLES ? count / SAMPLES : 1;
    double largest = 1;
    for (int64_t i = 0; i < count; ++i)
        if (fabs(gradient[i]) > largest) largest = fabs(gradient[i]);
    for (int64_t i = 0; i < count; i += stride) {
        const double wide = difference(g, g->inputs[k], i, 1e-3), narrow = difference(g, g->inputs[k], i, 5e-4);
        ++*tried;
        if (fabs(wide - narrow) > 1e-7 * largest) continue;
        ++*compared;
        ck_assert_msg(fabs(narrow - gradient[i]) <= 1e-6 * largest,
                      "%s: input %d element %lld: gradient %.12g, difference %.12g", c->name, (int)k, (long long)i,
                      gradient[i], narrow);
    }
}

START_TEST(reference_gradients_agree_with_finite_differences)
{
    static double gradient[1 << 20];
    const op_case *c = &op_cases[_i];
    if (!c->differentiable) return;
    op_graph g;
    op_graph_open(&g, c, deep__backend_ref_double(), DEEP_DTYPE_F64, 1, DEEP_ISA_AUTO, true);
    int64_t compared = 0, tried = 0;
    for (int32_t k = 0; k < g.input_count; ++k) {
        if (g.gradients[k] == DEEP_NO_VALUE) continue;
        op_graph_run(&g, 0, g.graph.node_count);
        ck_assert_int_le(op_graph_elements(&g, g.inputs[k]), 1 << 20);
        for (int64_t i = 0; i < op_graph_elements(&g, g.inputs[k]); ++i)
            gradient[i] = op_graph_get(&g, g.gradients[k], i);
        check_gradient(&g, c, k, gradient, &compared, &tried);
    }
    ck_assert_msg(tried > 0 && compared * 10 >= tried * 9, "%s: only %lld of %lld elements compared", c->name,
                  (long long)compared, (long long)tried);
    op_graph_close(&g);
}
END_TEST

/* The gradient of the loss itself: with respect to logits, seeded with 1. */
START_TEST(loss_gradient_agrees_with_finite_differences)
{
    const op_case *loss = NULL, *slope = NULL;
    for (int i = 0; i < op_case_count; ++i) {
        if (op_cases[i].op == DEEP_OP_SOFTMAX_CROSS_ENTROPY) loss = &op_cases[i]; /* the smoothed one is last */
        if (op_cases[i].op == DEEP_OP_SOFTMAX_CROSS_ENTROPY_GRAD) slope = &op_cases[i];
    }
    op_graph l, s;
    op_graph_open(&l, loss, deep__backend_ref_double(), DEEP_DTYPE_F64, 1, DEEP_ISA_AUTO, false);
    op_graph_open(&s, slope, deep__backend_ref_double(), DEEP_DTYPE_F64, 1, DEEP_ISA_AUTO, false);
    op_graph_run(&s, 0, 1);
    for (int64_t i = 0; i < op_graph_elements(&l, l.inputs[0]); ++i) {
        const double value = op_graph_get(&l, l.inputs[0], i), step = 1e-4;
        op_graph_set(&l, l.inputs[0], i, value + step);
        op_graph_run(&l, 0, 1);
        const double above = op_graph_get(&l, l.output, 0);
        op_graph_set(&l, l.inputs[0], i, value - step);
        op_graph_run(&l, 0, 1);
        const double below = op_graph_get(&l, l.output, 0);
        op_graph_set(&l, l.inputs[0], i, value);
        ck_assert_double_eq_tol((above - below) / (2 * step), op_graph_get(&s, s.output, i), 1e-7);
    }
    op_graph_close(&l);
    op_graph_close(&s);
}
END_TEST

/* ---- the cpu backend against the reference, forward and gradients, in float ---- */

/* Of the largest value: sums of floats in another order. */
#define OTHER_ORDER 2e-5

static void compare_within(const op_graph *a, const op_graph *b, deep_value value, double tolerance, const char *name,
                           const char *what)
{
    double largest = 0, worst = 0;
    for (int64_t i = 0; i < op_graph_elements(b, value); ++i) {
        const double wanted = op_graph_get(b, value, i), got = op_graph_get(a, value, i);
        if (fabs(wanted) > largest) largest = fabs(wanted);
        if (!isnan(worst) && !(fabs(wanted - got) <= worst)) worst = fabs(wanted - got);
    }
    ck_assert_msg(worst <= tolerance * largest, "%s: %s differs by %.3g, largest value %.3g", name, what, worst,
                  largest);
}

static void compare(const op_graph *a, const op_graph *b, deep_value value, const char *name, const char *what)
{
    compare_within(a, b, value, OTHER_ORDER, name, what);
}

static void compare_packed(const op_case *c, int32_t threads, int32_t isa)
{
    op_graph cpu, ref;
    if (!op_graph_open_packed(&cpu, c, deep__backend_cpu(), threads, isa)) return;
    op_graph_open(&ref, c, deep__backend_ref(), DEEP_DTYPE_F32, 1, DEEP_ISA_AUTO, false);
    op_graph_run(&ref, 0, ref.graph.node_count);
    op_graph_run(&cpu, 0, cpu.graph.node_count);
    compare(&cpu, &ref, ref.output, c->name, "output of the packed kernel");
    op_graph_close(&cpu);
    op_graph_close(&ref);
}

static void compare_narrow(const op_case *c, const deep_backend *backend, int32_t dtype, int32_t threads, int32_t isa)
{
    op_graph cpu, ref;
    if (!op_graph_open_narrow(&cpu, c, backend, dtype, threads, isa)) return;
    op_graph_open_narrow(&ref, c, deep__backend_ref(), dtype, 1, DEEP_ISA_AUTO);
    op_graph_run(&ref, 0, ref.graph.node_count);
    op_graph_run(&cpu, 0, cpu.graph.node_count);
    compare(&cpu, &ref, ref.output, c->name, dtype == DEEP_DTYPE_I8 ? "output with an i8 kernel" : "output with bf16");
    op_graph_close(&cpu);
    op_graph_close(&ref);
}

/* All in float32, with kernels as they are. */
static void compare_plain(const op_case *c, const deep_backend *backend, int32_t threads, int32_t isa)
{
    op_graph other, ref;
    op_graph_open(&ref, c, deep__backend_ref(), DEEP_DTYPE_F32, 1, DEEP_ISA_AUTO, c->differentiable);
    op_graph_open(&other, c, backend, DEEP_DTYPE_F32, threads, isa, c->differentiable);
    op_graph_run(&ref, 0, ref.graph.node_count);
    op_graph_run(&other, 0, other.graph.node_count);
    for (int32_t k = 0; k < op_graph_node(&ref)->output_count; ++k)
        compare(&other, &ref, op_graph_node(&ref)->outputs[k], c->name, "output");
    for (int32_t k = 0; k < ref.input_count; ++k)
        if (ref.gradients[k] != DEEP_NO_VALUE) compare(&other, &ref, ref.gradients[k], c->name, "gradient");
    op_graph_close(&other);
    op_graph_close(&ref);
}

static void compare_backends(const op_case *c, int32_t threads, int32_t isa)
{
    compare_packed(c, threads, isa);
    compare_narrow(c, deep__backend_cpu(), DEEP_DTYPE_BF16, threads, isa);
    compare_narrow(c, deep__backend_cpu(), DEEP_DTYPE_I8, threads, isa);
    if (c->op == DEEP_OP_SEPARABLE) return; /* with packed kernels alone */
    compare_plain(c, deep__backend_cpu(), threads, isa);
}

START_TEST(cpu_agrees_with_the_reference)
{
    static const struct {
        int32_t threads, isa;
    } runs[] = {{1, DEEP_ISA_AUTO},
                {2, DEEP_ISA_AVX512_BF16},
                {2, DEEP_ISA_AVX512},
                {3, DEEP_ISA_AVX2},
                {2, DEEP_ISA_BASELINE}};
    for (size_t r = 0; r < sizeof runs / sizeof runs[0]; ++r)
        compare_backends(&op_cases[_i], runs[r].threads, runs[r].isa);
}
END_TEST

static const deep_backend *gpu(void)
{
    const deep_backend *plugin = op_plugin();
    return plugin != NULL ? plugin : deep__backend_shim();
}

/* The GPU's kernels, as loops; or those of a plugin, on its device. */
START_TEST(cuda_agrees_with_the_reference)
{
    compare_plain(&op_cases[_i], gpu(), 1, DEEP_ISA_AUTO);
}
END_TEST

/*
 * Both sides read the same halves and round what they write: a value whose neighbours are equally far falls to either side,
 * two roundings apart. A GPU also rounds the kernels, the bias and what stands between the parts of an op, each by one: errors
 * of the terms of a sum grow with the root of their number, as the sum does. So four roundings of the largest value.
 */
static void compare_stored(const op_case *c, int32_t dtype)
{
    const double rounding = dtype == DEEP_DTYPE_BF16 ? 1.0 / 512 : 1.0 / 4096;
    op_graph other, ref;
    if (!op_graph_open_stored(&ref, c, deep__backend_ref(), dtype, c->differentiable)) return;
    ck_assert(op_graph_open_stored(&other, c, gpu(), dtype, c->differentiable));
    op_graph_run(&ref, 0, ref.graph.node_count);
    op_graph_run(&other, 0, other.graph.node_count);
    for (int32_t k = 0; k < op_graph_node(&ref)->output_count; ++k)
        compare_within(&other, &ref, op_graph_node(&ref)->outputs[k], 4 * rounding, c->name, "output of halves");
    for (int32_t k = 0; k < ref.input_count; ++k)
        if (ref.gradients[k] != DEEP_NO_VALUE)
            compare_within(&other, &ref, ref.gradients[k], 4 * rounding, c->name, "gradient of halves");
    op_graph_close(&other);
    op_graph_close(&ref);
}

START_TEST(cuda_agrees_with_the_reference_on_stored_halves)
{
    compare_stored(&op_cases[_i], DEEP_DTYPE_BF16);
    compare_stored(&op_cases[_i], DEEP_DTYPE_F16);
}
END_TEST

/* ---- separable convolutions as one kernel ---- */

/* Devices below compute capability 8.0 have none; of a plugin's it is not known. */
static void assert_fused(bool fused)
{
    const bool none = op_plugin() != NULL && strstr(op_last_log(), "cuda: 0 of 1 ") != NULL;
    ck_assert_str_eq(op_last_log(), fused && !none ? "cuda: 1 of 1 separable convolutions are one kernel"
                                                   : "cuda: 0 of 1 separable convolutions are one kernel");
}

/* Bounds as in compare_stored(): of what that rounds, kernels with a scale and the bias are not rounded here. */
static void compare_fused(const op_case *c, int32_t dtype, bool exists)
{
    const double rounding = dtype == DEEP_DTYPE_BF16 ? 1.0 / 512 : 1.0 / 4096;
    op_graph fused, ref;
    ck_assert(op_graph_open_stored(&ref, c, deep__backend_ref(), dtype, false));
    ck_assert(op_graph_open_fused(&fused, c, gpu(), dtype));
    assert_fused(exists);
    op_graph_run(&ref, 0, ref.graph.node_count);
    op_graph_run(&fused, 0, fused.graph.node_count);
    compare_within(&fused, &ref, ref.output, 4 * rounding, c->name, "output of one kernel");
    op_graph_close(&fused);
    op_graph_close(&ref);
}

static void compare_fused_halves(const op_case *c, bool exists)
{
    compare_fused(c, DEEP_DTYPE_BF16, exists);
    compare_fused(c, DEEP_DTYPE_F16, exists);
}

START_TEST(fused_separable_convolutions_agree_with_the_reference)
{
    const op_case *c = &op_cases[_i];
    if (c->op != DEEP_OP_SEPARABLE) return;
    compare_fused_halves(c, c->inputs[2].shape[2] % 8 == 0 && c->inputs[2].shape[3] % 8 == 0);
}
END_TEST

typedef struct separable_shape {
    int64_t images, height, width, from, to;
    bool relu_input;
    int32_t epilogue;
} separable_shape;

static op_case separable_case(const char *name, const separable_shape *s)
{
    op_case c = {name,
                 DEEP_OP_SEPARABLE,
                 {.conv = {.stride = 1, .pad = {1, 1, 1, 1}, .relu_input = s->relu_input, .epilogue = s->epilogue}},
                 {{OP_INPUT_ANY, 4, {s->images, s->height, s->width, s->from}},
                  {OP_INPUT_ANY, 4, {3, 3, s->from, 1}},
                  {OP_INPUT_ANY, 4, {1, 1, s->from, s->to}}},
                 false};
    int next = 3;
    if (s->epilogue & DEEP_EPILOGUE_AFFINE) {
        c.inputs[next++] = (op_input){OP_INPUT_POSITIVE, 1, {s->to}};
        c.inputs[next++] = (op_input){OP_INPUT_ANY, 1, {s->to}};
    }
    if (s->epilogue & DEEP_EPILOGUE_ADD)
        c.inputs[next] = (op_input){OP_INPUT_ANY, 4, {s->images, s->height, s->width, s->to}};
    return c;
}

enum { AFFINE = DEEP_EPILOGUE_AFFINE, ADD = DEEP_EPILOGUE_ADD, RELU = DEEP_EPILOGUE_RELU };

/* Xception's, at 299 px, then at 100 px, as wide as they are: some lines of two images, that tiles end within. */
enum { AT_299_PX = 11 };

static const separable_shape xceptions[] = {
    {2, 3, 147, 64, 128, false, AFFINE},          {2, 3, 147, 128, 128, true, AFFINE},
    {2, 3, 74, 128, 256, true, AFFINE},           {2, 3, 74, 256, 256, true, AFFINE},
    {2, 3, 37, 256, 728, true, AFFINE},           {2, 3, 37, 728, 728, true, AFFINE},
    {2, 3, 19, 728, 728, true, AFFINE},           {2, 3, 19, 728, 728, true, AFFINE | ADD},
    {2, 3, 19, 728, 1024, true, AFFINE},          {2, 3, 10, 1024, 1536, false, AFFINE | RELU},
    {2, 3, 10, 1536, 2048, false, AFFINE | RELU}, {2, 3, 47, 64, 128, false, AFFINE},
    {2, 3, 47, 128, 128, true, AFFINE},           {2, 3, 24, 128, 256, true, AFFINE},
    {2, 3, 24, 256, 256, true, AFFINE},           {2, 3, 12, 256, 728, true, AFFINE},
    {2, 3, 12, 728, 728, true, AFFINE},           {2, 6, 6, 728, 728, true, AFFINE},
    {2, 6, 6, 728, 728, true, AFFINE | ADD},      {2, 6, 6, 728, 1024, true, AFFINE},
    {2, 3, 3, 1024, 1536, false, AFFINE | RELU},  {2, 3, 3, 1536, 2048, false, AFFINE | RELU}};

START_TEST(fused_separable_convolutions_of_xception)
{
    const op_case c = separable_case("separable of Xception", &xceptions[_i]);
    compare_fused(&c, _i < AT_299_PX ? DEEP_DTYPE_BF16 : DEEP_DTYPE_F16, true); /* loops are slow */
}
END_TEST

/* In both tiles; neither channels nor output channels fill their last. */
START_TEST(fused_separable_convolutions_with_every_option)
{
    for (int64_t to = 72; to <= 136; to += 64) {
        const separable_shape s = {
            3, 5, 29, 40, to, _i & 1, (_i & 2 ? AFFINE : 0) | (_i & 4 ? ADD : 0) | (_i & 8 ? RELU : 0)};
        const op_case c = separable_case("separable with options", &s);
        compare_fused_halves(&c, true);
    }
}
END_TEST

START_TEST(a_block_that_lacks_shared_memory_leaves_two_kernels)
{
    const separable_shape s = {1, 2, 700, 16, 16, true, AFFINE};
    const op_case c = separable_case("separable of 700 columns", &s);
    compare_fused_halves(&c, false);
}
END_TEST

/* Neighbours of an image's last column, and of its last line, belong to others. */
START_TEST(what_is_no_number_stays_with_its_neighbours)
{
    const separable_shape s = {2, 5, 6, 40, 72, false, 0};
    const op_case c = separable_case("separable with no numbers", &s);
    const int64_t pixels[] = {5, 12, 27, 33};
    op_graph fused, ref;
    ck_assert(op_graph_open_stored(&ref, &c, deep__backend_ref(), DEEP_DTYPE_BF16, false));
    ck_assert(op_graph_open_fused(&fused, &c, gpu(), DEEP_DTYPE_BF16));
    const int64_t i = pixels[_i] * s.from + 7;
    op_graph_set(&ref, ref.inputs[0], i, NAN);
    op_graph_set(&fused, fused.inputs[0], i, NAN);
    op_graph_run(&ref, 0, ref.graph.node_count);
    op_graph_run(&fused, 0, fused.graph.node_count);
    for (int64_t k = 0; k < op_graph_elements(&ref, ref.output); ++k)
        ck_assert_msg(isnan(op_graph_get(&fused, fused.output, k)) == isnan(op_graph_get(&ref, ref.output, k)),
                      "element %lld", (long long)k);
    op_graph_close(&fused);
    op_graph_close(&ref);
}
END_TEST

/* Kernels of quantized models, in numbers that every type holds. */
START_TEST(cuda_agrees_with_the_reference_on_kernels_of_halves)
{
    compare_narrow(&op_cases[_i], gpu(), DEEP_DTYPE_BF16, 1, DEEP_ISA_AUTO);
    compare_narrow(&op_cases[_i], gpu(), DEEP_DTYPE_F16, 1, DEEP_ISA_AUTO);
}
END_TEST

Suite *test_suite(void)
{
    Suite *suite = suite_create("ops");
    TCase *tests = tcase_create("ops"), *cuda = tcase_create("cuda");
    tcase_set_timeout(tests, 300);
    tcase_add_loop_test(tests, reference_gradients_agree_with_finite_differences, 0, op_case_count);
    tcase_add_test(tests, loss_gradient_agrees_with_finite_differences);
    if (deep__backend_cpu() != NULL) tcase_add_loop_test(tests, cpu_agrees_with_the_reference, 0, op_case_count);
    tcase_set_timeout(cuda, 300);
    tcase_add_loop_test(cuda, cuda_agrees_with_the_reference, 0, op_case_count);
    tcase_add_loop_test(cuda, cuda_agrees_with_the_reference_on_stored_halves, 0, op_case_count);
    tcase_add_loop_test(cuda, cuda_agrees_with_the_reference_on_kernels_of_halves, 0, op_case_count);
    tcase_add_loop_test(cuda, fused_separable_convolutions_agree_with_the_reference, 0, op_case_count);
    tcase_add_loop_test(cuda, fused_separable_convolutions_of_xception, 0,
                        (int)(sizeof xceptions / sizeof xceptions[0]));
    tcase_add_loop_test(cuda, fused_separable_convolutions_with_every_option, 0, 16);
    tcase_add_test(cuda, a_block_that_lacks_shared_memory_leaves_two_kernels);
    tcase_add_loop_test(cuda, what_is_no_number_stays_with_its_neighbours, 0, 4);
    suite_add_tcase(suite, cuda);
    suite_add_tcase(suite, tests);
    return suite;
}
