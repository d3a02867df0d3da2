/* SPDX-License-Identifier: Apache-2.0 */
#include "op_cases.h"

#define ANY4(n, h, w, c)                                                                                               \
    {                                                                                                                  \
        OP_INPUT_ANY, 4,                                                                                               \
        {                                                                                                              \
            n, h, w, c                                                                                                 \
        }                                                                                                              \
    }
#define ANY2(n, c)                                                                                                     \
    {                                                                                                                  \
        OP_INPUT_ANY, 2,                                                                                               \
        {                                                                                                              \
            n, c                                                                                                       \
        }                                                                                                              \
    }
#define ANY1(c)                                                                                                        \
    {                                                                                                                  \
        OP_INPUT_ANY, 1,                                                                                               \
        {                                                                                                              \
            c                                                                                                          \
        }                                                                                                              \
    }
#define POSITIVE1(c)                                                                                                   \
    {                                                                                                                  \
        OP_INPUT_POSITIVE, 1,                                                                                          \
        {                                                                                                              \
            c                                                                                                          \
        }                                                                                                              \
    }
#define LABELS(n)                                                                                                      \
    {                                                                                                                  \
        OP_INPUT_LABELS, 1,                                                                                            \
        {                                                                                                              \
            n                                                                                                          \
        }                                                                                                              \
    }
#define COUNTER                                                                                                        \
    {                                                                                                                  \
        OP_INPUT_COUNTER, 1,                                                                                           \
        {                                                                                                              \
            2                                                                                                          \
        }                                                                                                              \
    }

#define CONV(s, t, b, l, r, relu)                                                                                      \
    {                                                                                                                  \
        .conv = {.stride = s, .pad = {t, b, l, r}, .relu_input = relu }                                                \
    }
#define EPILOGUE(s, t, b, l, r, flags)                                                                                 \
    {                                                                                                                  \
        .conv = {.stride = s, .pad = {t, b, l, r}, .epilogue = flags }                                                 \
    }
#define POOL(k, s, t, b, l, r)                                                                                         \
    {                                                                                                                  \
        .pool = {.window = k, .stride = s, .pad = {t, b, l, r} }                                                       \
    }
#define NORM(rectify)                                                                                                  \
    {                                                                                                                  \
        .norm = {.epsilon = 1e-3, .momentum = 0.99, .relu = rectify }                                                  \
    }
#define NO_ATTR                                                                                                        \
    {                                                                                                                  \
        {                                                                                                              \
            0                                                                                                          \
        }                                                                                                              \
    }

#define CONV_CASE(text, attr, x, w)                                                                                    \
    {                                                                                                                  \
        text, DEEP_OP_CONV2D, attr, {x, w}, true                                                                       \
    }
#define DEPTHWISE_CASE(text, attr, x, w)                                                                               \
    {                                                                                                                  \
        text, DEEP_OP_DEPTHWISE, attr, {x, w}, true                                                                    \
    }
#define POOL_CASE(text, attr, x)                                                                                       \
    {                                                                                                                  \
        text, DEEP_OP_MAX_POOL, attr, {x}, true                                                                        \
    }

const op_case op_cases[] = {
    /* dense convolutions: Xception's stem, odd sizes, uneven pads */
    CONV_CASE("conv 3x3/2 valid (block1_conv1)", CONV(2, 0, 0, 0, 0, false), ANY4(2, 15, 15, 3), ANY4(3, 3, 3, 32)),
    CONV_CASE("conv 3x3 valid (block1_conv2)", CONV(1, 0, 0, 0, 0, false), ANY4(2, 9, 9, 32), ANY4(3, 3, 32, 64)),
    CONV_CASE("conv 3x3 same", CONV(1, 1, 1, 1, 1, false), ANY4(1, 6, 5, 4), ANY4(3, 3, 4, 5)),
    CONV_CASE("conv 3x3/2 pad (0,1)", CONV(2, 0, 1, 0, 1, false), ANY4(1, 8, 8, 5), ANY4(3, 3, 5, 7)),
    CONV_CASE("conv 2x3/3 four different pads", CONV(3, 1, 2, 0, 1, false), ANY4(2, 7, 10, 3), ANY4(2, 3, 3, 4)),
    CONV_CASE("pointwise 728", CONV(1, 0, 0, 0, 0, false), ANY4(1, 3, 3, 728), ANY4(1, 1, 728, 728)),
    CONV_CASE("pointwise odd", CONV(1, 0, 0, 0, 0, false), ANY4(3, 5, 7, 13), ANY4(1, 1, 13, 9)),
    CONV_CASE("shortcut 1x1/2 of an odd side", CONV(2, 0, 0, 0, 0, false), ANY4(2, 7, 7, 24), ANY4(1, 1, 24, 40)),
    CONV_CASE("shortcut 1x1/2 of an even side", CONV(2, 0, 0, 0, 0, false), ANY4(1, 6, 8, 16), ANY4(1, 1, 16, 8)),
    {"conv +affine +relu",
     DEEP_OP_CONV2D,
     EPILOGUE(1, 1, 1, 1, 1, DEEP_EPILOGUE_AFFINE | DEEP_EPILOGUE_RELU),
     {ANY4(2, 5, 5, 8), ANY4(3, 3, 8, 16), POSITIVE1(16), ANY1(16)},
     false},
    {"pointwise +affine +add",
     DEEP_OP_CONV2D,
     EPILOGUE(1, 0, 0, 0, 0, DEEP_EPILOGUE_AFFINE | DEEP_EPILOGUE_ADD),
     {ANY4(2, 4, 5, 24), ANY4(1, 1, 24, 17), POSITIVE1(17), ANY1(17), ANY4(2, 4, 5, 17)},
     false},
    {"pointwise +add +relu",
     DEEP_OP_CONV2D,
     EPILOGUE(1, 0, 0, 0, 0, DEEP_EPILOGUE_ADD | DEEP_EPILOGUE_RELU),
     {ANY4(1, 4, 5, 24), ANY4(1, 1, 24, 17), ANY4(1, 4, 5, 17)},
     false},

    /* packed kernels: panels left over, rows left over, long and short sums, more rows than a band */
    CONV_CASE("pointwise 24 -> 200", CONV(1, 0, 0, 0, 0, false), ANY4(1, 9, 7, 24), ANY4(1, 1, 24, 200)),
    CONV_CASE("pointwise 520 -> 72, 77 rows", CONV(1, 0, 0, 0, 0, false), ANY4(1, 7, 11, 520), ANY4(1, 1, 520, 72)),
    {"pointwise 600 -> 104, 121 rows, +affine +add +relu",
     DEEP_OP_CONV2D,
     EPILOGUE(1, 0, 0, 0, 0, DEEP_EPILOGUE_AFFINE | DEEP_EPILOGUE_ADD | DEEP_EPILOGUE_RELU),
     {ANY4(1, 11, 11, 600), ANY4(1, 1, 600, 104), POSITIVE1(104), ANY1(104), ANY4(1, 11, 11, 104)},
     false},
    {"conv 3x3/2 of 24 x 199 x 32, +affine +add", /* more lines than are converted at once */
     DEEP_OP_CONV2D,
     EPILOGUE(2, 1, 0, 0, 1, DEEP_EPILOGUE_AFFINE | DEEP_EPILOGUE_ADD),
     {ANY4(2, 24, 199, 32), ANY4(3, 3, 32, 40), POSITIVE1(40), ANY1(40), ANY4(2, 12, 99, 40)},
     false},
    {"separable 728 -> 728 relu+ +affine +add",
     DEEP_OP_SEPARABLE,
     {.conv =
          {.stride = 1, .pad = {1, 1, 1, 1}, .relu_input = true, .epilogue = DEEP_EPILOGUE_AFFINE | DEEP_EPILOGUE_ADD}},
     {ANY4(1, 3, 4, 728), ANY4(3, 3, 728, 1), ANY4(1, 1, 728, 728), POSITIVE1(728), ANY1(728), ANY4(1, 3, 4, 728)},
     false},
    {"separable 13 -> 37 +affine +relu",
     DEEP_OP_SEPARABLE,
     {.conv = {.stride = 1, .pad = {1, 1, 1, 1}, .epilogue = DEEP_EPILOGUE_AFFINE | DEEP_EPILOGUE_RELU}},
     {ANY4(3, 5, 7, 13), ANY4(3, 3, 13, 1), ANY4(1, 1, 13, 37), POSITIVE1(37), ANY1(37)},
     false},
    {"separable 64 -> 16, several bands",
     DEEP_OP_SEPARABLE,
     {.conv = {.stride = 1, .pad = {1, 1, 1, 1}, .relu_input = true}},
     {ANY4(2, 60, 61, 64), ANY4(3, 3, 64, 1), ANY4(1, 1, 64, 16)},
     false},

    /* depthwise: the common 3x3, its channel remainders, and everything else */
    DEPTHWISE_CASE("depthwise 728", CONV(1, 1, 1, 1, 1, false), ANY4(1, 5, 5, 728), ANY4(3, 3, 728, 1)),
    DEPTHWISE_CASE("depthwise 728 relu+", CONV(1, 1, 1, 1, 1, true), ANY4(2, 4, 3, 728), ANY4(3, 3, 728, 1)),
    DEPTHWISE_CASE("depthwise 3 channels", CONV(1, 1, 1, 1, 1, true), ANY4(2, 6, 5, 3), ANY4(3, 3, 3, 1)),
    DEPTHWISE_CASE("depthwise 37 channels", CONV(1, 1, 1, 1, 1, true), ANY4(2, 6, 5, 37), ANY4(3, 3, 37, 1)),
    DEPTHWISE_CASE("depthwise one row", CONV(1, 1, 1, 1, 1, true), ANY4(1, 1, 7, 20), ANY4(3, 3, 20, 1)),
    DEPTHWISE_CASE("depthwise one column", CONV(1, 1, 1, 1, 1, false), ANY4(1, 7, 1, 20), ANY4(3, 3, 20, 1)),
    DEPTHWISE_CASE("depthwise one pixel", CONV(1, 1, 1, 1, 1, true), ANY4(1, 1, 1, 16), ANY4(3, 3, 16, 1)),
    DEPTHWISE_CASE("depthwise 17 images", CONV(1, 1, 1, 1, 1, true), ANY4(17, 3, 3, 16), ANY4(3, 3, 16, 1)),
    DEPTHWISE_CASE("depthwise stride 2", CONV(2, 0, 1, 0, 1, true), ANY4(2, 8, 6, 19), ANY4(3, 3, 19, 1)),
    DEPTHWISE_CASE("depthwise 5x4 valid", CONV(1, 0, 0, 0, 0, false), ANY4(1, 8, 9, 6), ANY4(5, 4, 6, 1)),

    /* batch norm */
    {"batch norm, batch 1", DEEP_OP_BATCH_NORM_TRAIN, NORM(false), {ANY4(1, 5, 5, 24), POSITIVE1(24), ANY1(24)}, true},
    {"batch norm 728", DEEP_OP_BATCH_NORM_TRAIN, NORM(false), {ANY4(3, 3, 3, 728), POSITIVE1(728), ANY1(728)}, true},
    {"batch norm +relu", DEEP_OP_BATCH_NORM_TRAIN, NORM(true), {ANY4(2, 4, 5, 19), POSITIVE1(19), ANY1(19)}, true},
    {"batch norm, many chunks",
     DEEP_OP_BATCH_NORM_TRAIN,
     NORM(true),
     {ANY4(4, 70, 71, 8), POSITIVE1(8), ANY1(8)},
     false},
    {"batch norm, stored statistics",
     DEEP_OP_BATCH_NORM_INFER,
     NORM(false),
     {ANY4(2, 4, 5, 19), POSITIVE1(19), ANY1(19), ANY1(19), POSITIVE1(19)},
     true},
    {"batch norm, stored statistics +relu",
     DEEP_OP_BATCH_NORM_INFER,
     NORM(true),
     {ANY4(1, 4, 5, 32), POSITIVE1(32), ANY1(32), ANY1(32), POSITIVE1(32)},
     true},
    {"batch norm fold",
     DEEP_OP_BATCH_NORM_FOLD,
     NORM(false),
     {POSITIVE1(19), ANY1(19), ANY1(19), POSITIVE1(19)},
     false},

    /* pools: Xception's at 299 (147, 74, 37, 19) and others */
    POOL_CASE("pool 147 -> 74 pads (1,1)", POOL(3, 2, 1, 1, 1, 1), ANY4(1, 147, 147, 2)),
    POOL_CASE("pool 74 -> 37 pads (0,1)", POOL(3, 2, 0, 1, 0, 1), ANY4(1, 74, 74, 3)),
    POOL_CASE("pool 19 -> 10", POOL(3, 2, 1, 1, 1, 1), ANY4(2, 19, 19, 20)),
    {"pool 19 -> 10 and a sum",
     DEEP_OP_MAX_POOL,
     POOL(3, 2, 1, 1, 1, 1),
     {ANY4(2, 19, 19, 20), ANY4(2, 10, 10, 20)},
     false},
    {"pool 6 x 5 and a sum, 40 channels",
     DEEP_OP_MAX_POOL,
     POOL(3, 2, 0, 1, 1, 1),
     {ANY4(1, 6, 5, 40), ANY4(1, 3, 3, 40)},
     false},
    POOL_CASE("pool 2x2/1, other pads", POOL(2, 1, 0, 1, 1, 0), ANY4(1, 4, 5, 35)),
    {"global average pool", DEEP_OP_GLOBAL_AVERAGE_POOL, NO_ATTR, {ANY4(3, 4, 5, 33)}, true},

    /* head and loss */
    {"dense", DEEP_OP_DENSE, NO_ATTR, {ANY2(5, 37), ANY2(37, 11), ANY1(11)}, true},
    {"dense, batch 1", DEEP_OP_DENSE, NO_ATTR, {ANY2(1, 64), ANY2(64, 34), ANY1(34)}, true},
    {"softmax", DEEP_OP_SOFTMAX, NO_ATTR, {ANY2(3, 7)}, false},
    {"cross-entropy", DEEP_OP_SOFTMAX_CROSS_ENTROPY, NO_ATTR, {ANY2(4, 7), LABELS(4), POSITIVE1(7)}, false},
    {"cross-entropy, smoothed",
     DEEP_OP_SOFTMAX_CROSS_ENTROPY,
     {.loss = {.smoothing = 0.1}},
     {ANY2(4, 7), LABELS(4), POSITIVE1(7)},
     false},
    {"cross-entropy gradient",
     DEEP_OP_SOFTMAX_CROSS_ENTROPY_GRAD,
     {.loss = {.smoothing = 0.1}},
     {ANY2(4, 7), LABELS(4), POSITIVE1(7)},
     false},

    /* element by element */
    {"relu", DEEP_OP_RELU, NO_ATTR, {ANY4(2, 3, 5, 7)}, true},
    {"add", DEEP_OP_ADD, NO_ATTR, {ANY4(2, 3, 5, 7), ANY4(2, 3, 5, 7)}, true},
    {"add, several parts", DEEP_OP_ADD, NO_ATTR, {ANY4(2, 70, 70, 7), ANY4(2, 70, 70, 7)}, false},
    {"dropout", DEEP_OP_DROPOUT, {.dropout = {.rate = 0.4, .layer = 1}}, {ANY2(6, 13), COUNTER}, true},
    {"reorder NHWC to NCHW", DEEP_OP_REORDER, {.reorder = {{0, 3, 1, 2}}}, {ANY4(2, 3, 4, 5)}, true},
    {"fill",
     DEEP_OP_FILL,
     {.fill = {.value = 2.5, .dtype = 0, .rank = 2, .shape = {3, 5}}},
     {{OP_INPUT_NONE, 0, {0}}},
     false},
    {"reduce sum", DEEP_OP_REDUCE_SUM, NO_ATTR, {ANY4(2, 3, 4, 21)}, true},
    {"reduce sum, many parts", DEEP_OP_REDUCE_SUM, NO_ATTR, {ANY4(5, 60, 60, 9)}, false},
    {"broadcast rows", DEEP_OP_BROADCAST_ROWS, {.fill = {.rank = 3, .shape = {2, 4, 6}}}, {ANY1(6)}, true},
    {"gradient norm", DEEP_OP_GRADIENT_NORM, NO_ATTR, {ANY4(3, 70, 70, 9)}, false},
    {"finite check", DEEP_OP_FINITE_CHECK, NO_ATTR, {ANY4(3, 7, 7, 9)}, false},
    {"cast", DEEP_OP_CAST, {.cast = {DEEP_DTYPE_F32}}, {ANY2(3, 5)}, false},
};
const int op_case_count = sizeof op_cases / sizeof op_cases[0];
