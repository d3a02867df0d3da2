/* SPDX-License-Identifier: Apache-2.0 */
/* That cuDNN takes every graph of a convolution that the plugin makes, and has an engine for it; without a GPU. */
#include "backend_cuda/convolution.h"
#include "described_gpu.h"
#include "test.h"

#include <inttypes.h>

enum {
    BATCHES = 4,
    PARTIAL_SUMS = 32 << 20 /* bytes; more would be copies of whole operands */
};

static const described_kind turing = {"Tesla T4", 750, 40, 1024, 16, 65536, 4 << 20, 16LL << 30};
static const described_kind kinds[] = {{"NVIDIA A100-SXM4-80GB", 800, 108, 2048, 32, 166912, 40 << 20, 80LL << 30},
                                       {"NVIDIA L40S", 890, 142, 1536, 24, 101376, 96 << 20, 48LL << 30},
                                       {"NVIDIA H100 80GB HBM3", 900, 132, 2048, 32, 232448, 50 << 20, 80LL << 30},
                                       {"NVIDIA H200", 900, 132, 2048, 32, 232448, 50 << 20, 141LL << 30}};

static const int32_t types[] = {DEEP_DTYPE_F32, DEEP_DTYPE_BF16, DEEP_DTYPE_F16};
static const int64_t batches[BATCHES] = {1, 8, 32, 128};

/* Xception's dense and strided convolutions, at 299 and at 100 px; none has padding. */
static const struct {
    int64_t side, channels, out_side, out_channels, kernel, stride;
} sizes[] = {{299, 3, 149, 32, 3, 2},  {149, 32, 147, 64, 3, 1},  {147, 64, 74, 128, 1, 2}, {74, 128, 37, 256, 1, 2},
             {37, 256, 19, 728, 1, 2}, {19, 728, 10, 1024, 1, 2}, {100, 3, 49, 32, 3, 2},   {49, 32, 47, 64, 3, 1},
             {47, 64, 24, 128, 1, 2},  {24, 128, 12, 256, 1, 2},  {12, 256, 6, 728, 1, 2},  {6, 728, 3, 1024, 1, 2}};
enum { SIZES = sizeof sizes / sizeof sizes[0] };

static deep_convolution_shape shape_of(int size, int32_t dtype, int64_t images)
{
    return (deep_convolution_shape){.dtype = dtype,
                                    .images = images,
                                    .height = sizes[size].side,
                                    .width = sizes[size].side,
                                    .channels = sizes[size].channels,
                                    .out_height = sizes[size].out_side,
                                    .out_width = sizes[size].out_side,
                                    .out_channels = sizes[size].out_channels,
                                    .rows = sizes[size].kernel,
                                    .columns = sizes[size].kernel,
                                    .stride = sizes[size].stride};
}

static void check_plan(const deep_convolution_shape *s, size_t workspace)
{
    const described_plan *plan = described_gpu_plan();
    ck_assert(plan->is_deterministic);
    ck_assert(!plan->is_compiled_at_run_time); /* that would be seconds at the start of each process */
    ck_assert_msg(workspace <= ((size_t)1 << 30), "%zu bytes of workspace", workspace);
    if (s->dtype == DEEP_DTYPE_F32) {
        ck_assert(!plan->has_tensor_cores); /* they would round to TF32 */
    } else if (s->channels % 8 == 0) {
        ck_assert(plan->has_tensor_cores);
        ck_assert_msg(workspace <= PARTIAL_SUMS, "%zu bytes of workspace", workspace);
    }
}

static void check_convolution(deep_accelerator *gpu, const deep_convolution_shape *s, enum deep_direction direction)
{
    deep_convolution *convolution = NULL;
    const deep_status status = deep__convolution_create(&convolution, gpu, s, direction);
    ck_assert_msg(status == DEEP_OK, "type %d, %" PRId64 " images of %" PRId64 "x%" PRId64 ", direction %d: %s",
                  (int)s->dtype, s->images, s->height, s->channels, (int)direction, described_gpu_error());
    check_plan(s, deep__convolution_workspace(convolution));
    deep__convolution_free(convolution);
}

static void check_type(const described_kind *kind, int32_t dtype)
{
    deep_accelerator *gpu = described_gpu_open(kind);
    ck_assert_msg(gpu != NULL, "cuDNN does not take the description of %s", kind->name);
    for (int size = 0; size < SIZES; ++size)
        for (int i = 0; i < BATCHES; ++i) {
            const deep_convolution_shape shape = shape_of(size, dtype, batches[i]);
            for (int direction = DEEP_FORWARD; direction <= DEEP_TO_WEIGHTS; ++direction)
                check_convolution(gpu, &shape, (enum deep_direction)direction);
        }
    described_gpu_close(gpu);
}

START_TEST(every_convolution_has_an_exact_engine)
{
    check_type(&kinds[_i / 3], types[_i % 3]);
}
END_TEST

START_TEST(a_gpu_without_bf16_says_so)
{
    deep_accelerator *gpu = described_gpu_open(&turing);
    const deep_convolution_shape shape = shape_of(1, DEEP_DTYPE_BF16, 8);
    deep_convolution *convolution;
    ck_assert_ptr_nonnull(gpu);
    ck_assert_int_eq(deep__convolution_create(&convolution, gpu, &shape, DEEP_FORWARD), DEEP_ERROR_UNSUPPORTED);
    ck_assert_ptr_null(convolution);
    ck_assert_str_eq(described_gpu_error(),
                     "cuDNN: this GPU has no exact engine in bf16 for a convolution of 8 images, "
                     "149x149x32 to 64 channels");
    described_gpu_close(gpu);
}
END_TEST

/* float32 and fp16. */
START_TEST(a_gpu_without_bf16_has_the_others)
{
    check_type(&turing, types[_i * 2]);
}
END_TEST

START_TEST(paddings_may_differ)
{
    deep_accelerator *gpu = described_gpu_open(&kinds[2]);
    ck_assert_ptr_nonnull(gpu);
    deep_convolution_shape shape = {.dtype = DEEP_DTYPE_F32,
                                    .images = 2,
                                    .height = 11,
                                    .width = 8,
                                    .channels = 5,
                                    .out_height = 6,
                                    .out_width = 4,
                                    .out_channels = 7,
                                    .rows = 3,
                                    .columns = 3,
                                    .stride = 2};
    shape.pad[DEEP_PAD_TOP] = shape.pad[DEEP_PAD_BOTTOM] = shape.pad[DEEP_PAD_RIGHT] = 1;
    for (int direction = DEEP_FORWARD; direction <= DEEP_TO_WEIGHTS; ++direction)
        check_convolution(gpu, &shape, (enum deep_direction)direction);
    described_gpu_close(gpu);
}
END_TEST

static Suite *convolutions_suite(void)
{
    Suite *suite = suite_create("convolutions");
    TCase *tests = tcase_create("convolutions");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, every_convolution_has_an_exact_engine, 0, 3 * (int)(sizeof kinds / sizeof kinds[0]));
    tcase_add_test(tests, a_gpu_without_bf16_says_so);
    tcase_add_loop_test(tests, a_gpu_without_bf16_has_the_others, 0, 2);
    tcase_add_test(tests, paddings_may_differ);
    suite_add_tcase(suite, tests);
    return suite;
}

enum { SKIPPED = 77 };

int main(void)
{
    if (!described_gpu_is_possible()) return SKIPPED;
    SRunner *runner = srunner_create(convolutions_suite());
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
