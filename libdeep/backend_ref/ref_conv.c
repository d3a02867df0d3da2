/* SPDX-License-Identifier: Apache-2.0 */
/* Convolutions. A tap (a, b) of the kernel meets output (h, w) at input (h stride - top + a, w stride - left + b). */
#include "backend_ref/ref_kernel.h"

#include <string.h>

typedef struct window {
    const deep_value_info *x, *w, *y; /* shapes: input, kernel, output */
    int32_t stride, top, left;
} window;

static window window_of(const deep_call *call, const deep_value_info *x, const deep_value_info *w,
                        const deep_value_info *y)
{
    return (window){
        x, w, y, call->attr->conv.stride, call->attr->conv.pad[DEEP_PAD_TOP], call->attr->conv.pad[DEEP_PAD_LEFT]};
}

/* Input position under tap (a, b) of output (h, w); false in the padding. */
static bool tap(const window *k, int64_t h, int64_t w, int64_t a, int64_t b, int64_t *row, int64_t *column)
{
    *row = h * k->stride - k->top + a;
    *column = w * k->stride - k->left + b;
    return *row >= 0 && *row < k->x->shape[1] && *column >= 0 && *column < k->x->shape[2];
}

/* Calls for every (image, output position, tap inside the input). */
#define FOR_EACH_TAP(k, n, h, w, a, b, row, column)                                                                    \
    for (int64_t n = 0, row, column; n < (k).x->shape[0]; ++n)                                                         \
        for (int64_t h = 0; h < (k).y->shape[1]; ++h)                                                                  \
            for (int64_t w = 0; w < (k).y->shape[2]; ++w)                                                              \
                for (int64_t a = 0; a < (k).w->shape[0]; ++a)                                                          \
                    for (int64_t b = 0; b < (k).w->shape[1]; ++b)                                                      \
                        if (tap(&(k), h, w, a, b, &row, &column))

static double relu_if(bool relu, double value)
{
    return relu && value < 0 ? 0 : value;
}

static double conv_at(const window *k, const real *x, const ref_kernel *kernel, int64_t n, int64_t h, int64_t v,
                      int64_t o)
{
    double sum = 0;
    int64_t row, column;
    for (int64_t a = 0; a < k->w->shape[0]; ++a)
        for (int64_t b = 0; b < k->w->shape[1]; ++b) {
            if (!tap(k, h, v, a, b, &row, &column)) continue;
            const real *from = x + ref_at(k->x, n, row, column, 0);
            for (int64_t i = 0; i < k->x->shape[3]; ++i)
                sum += ref_weigh(kernel, (double)from[i], a * k->w->shape[1] + b, i, o);
        }
    return sum;
}

/* `next` is the first operand of the epilogue. */
static double epilogue(const deep_call *call, int next, double sum, int64_t position, int64_t channel)
{
    const int32_t flags = call->attr->conv.epilogue;
    if (flags & DEEP_EPILOGUE_AFFINE) {
        const real *scale = call->src[next], *shift = call->src[next + 1];
        sum = sum * (double)scale[channel] + (double)shift[channel];
        next += 2;
    }
    if (flags & DEEP_EPILOGUE_ADD) sum += (double)((const real *)call->src[next])[position];
    return relu_if(flags & DEEP_EPILOGUE_RELU, sum);
}

void REF_NAME(conv2d)(const deep_call *call)
{
    const window k = window_of(call, call->in[0], call->in[1], call->out[0]);
    const ref_kernel kernel = ref_kernel_of(call, 1, 2);
    const int next = kernel.quantization == NULL ? 2 : 3;
    real *y = call->dst[0];
    for (int64_t n = 0; n < k.y->shape[0]; ++n)
        for (int64_t h = 0; h < k.y->shape[1]; ++h)
            for (int64_t w = 0; w < k.y->shape[2]; ++w)
                for (int64_t o = 0; o < k.y->shape[3]; ++o) {
                    const int64_t position = ref_at(k.y, n, h, w, o);
                    y[position] =
                        (real)epilogue(call, next, conv_at(&k, call->src[0], &kernel, n, h, w, o), position, o);
                }
}

void REF_NAME(conv2d_grad_input)(const deep_call *call)
{
    const window k = window_of(call, call->out[0], call->in[1], call->in[0]);
    const real *dy = call->src[0], *weights = call->src[1];
    real *dx = call->dst[0];
    memset(dx, 0, call->out[0]->bytes);
    FOR_EACH_TAP(k, n, h, w, a, b, row, column)
    {
        for (int64_t i = 0; i < k.x->shape[3]; ++i) {
            double sum = 0;
            for (int64_t o = 0; o < k.y->shape[3]; ++o)
                sum += (double)dy[ref_at(k.y, n, h, w, o)] * (double)weights[ref_at(k.w, a, b, i, o)];
            dx[ref_at(k.x, n, row, column, i)] += (real)sum;
        }
    }
}

/* Sum over images and positions of x (rectified or not) times dy, for one element of the kernel. */
static double weight_sum(const window *k, const real *x, const real *dy, int64_t a, int64_t b, int64_t i, int64_t o,
                         bool relu)
{
    double sum = 0;
    int64_t row, column;
    for (int64_t n = 0; n < k->x->shape[0]; ++n)
        for (int64_t h = 0; h < k->y->shape[1]; ++h)
            for (int64_t w = 0; w < k->y->shape[2]; ++w)
                if (tap(k, h, w, a, b, &row, &column))
                    sum += relu_if(relu, (double)x[ref_at(k->x, n, row, column, i)]) *
                           (double)dy[ref_at(k->y, n, h, w, o)];
    return sum;
}

void REF_NAME(conv2d_grad_weights)(const deep_call *call)
{
    const window k = window_of(call, call->in[0], call->out[0], call->in[1]);
    real *dw = call->dst[0];
    for (int64_t a = 0; a < k.w->shape[0]; ++a)
        for (int64_t b = 0; b < k.w->shape[1]; ++b)
            for (int64_t i = 0; i < k.w->shape[2]; ++i)
                for (int64_t o = 0; o < k.w->shape[3]; ++o)
                    dw[ref_at(k.w, a, b, i, o)] = (real)weight_sum(&k, call->src[0], call->src[1], a, b, i, o, false);
}

static double depthwise_at(const window *k, const deep_call *call, int64_t n, int64_t h, int64_t w, int64_t c)
{
    const real *x = call->src[0], *weights = call->src[1];
    double sum = 0;
    int64_t row, column;
    for (int64_t a = 0; a < k->w->shape[0]; ++a)
        for (int64_t b = 0; b < k->w->shape[1]; ++b)
            if (tap(k, h, w, a, b, &row, &column))
                sum += relu_if(call->attr->conv.relu_input, (double)x[ref_at(k->x, n, row, column, c)]) *
                       (double)weights[ref_at(k->w, a, b, c, 0)];
    return sum;
}

void REF_NAME(depthwise)(const deep_call *call)
{
    const window k = window_of(call, call->in[0], call->in[1], call->out[0]);
    real *y = call->dst[0];
    for (int64_t n = 0; n < k.y->shape[0]; ++n)
        for (int64_t h = 0; h < k.y->shape[1]; ++h)
            for (int64_t w = 0; w < k.y->shape[2]; ++w)
                for (int64_t c = 0; c < k.y->shape[3]; ++c)
                    y[ref_at(k.y, n, h, w, c)] = (real)depthwise_at(&k, call, n, h, w, c);
}

/* Makes each depthwise value anew for every output channel: for comparing small cases, not for running networks. */
void REF_NAME(separable)(const deep_call *call)
{
    const window k = window_of(call, call->in[0], call->in[1], call->out[0]);
    const ref_kernel pointwise = ref_kernel_of(call, 2, 3);
    const int next = pointwise.quantization == NULL ? 3 : 4;
    const int64_t inner = call->in[2]->shape[2], outputs = call->in[2]->shape[3];
    real *y = call->dst[0];
    for (int64_t n = 0; n < k.y->shape[0]; ++n)
        for (int64_t h = 0; h < k.y->shape[1]; ++h)
            for (int64_t w = 0; w < k.y->shape[2]; ++w)
                for (int64_t o = 0; o < outputs; ++o) {
                    const int64_t position = ref_at(k.y, n, h, w, o);
                    double sum = 0;
                    for (int64_t i = 0; i < inner; ++i)
                        sum += ref_weigh(&pointwise, (double)(real)depthwise_at(&k, call, n, h, w, i), 0, i, o);
                    y[position] = (real)epilogue(call, next, sum, position, o);
                }
}

void REF_NAME(depthwise_grad_input)(const deep_call *call)
{
    const window k = window_of(call, call->out[0], call->in[1], call->in[0]);
    const real *dy = call->src[0], *weights = call->src[1], *x = call->src[2];
    real *dx = call->dst[0];
    memset(dx, 0, call->out[0]->bytes);
    FOR_EACH_TAP(k, n, h, w, a, b, row, column)
    {
        for (int64_t c = 0; c < k.x->shape[3]; ++c)
            dx[ref_at(k.x, n, row, column, c)] += dy[ref_at(k.y, n, h, w, c)] * weights[ref_at(k.w, a, b, c, 0)];
    }
    if (!call->attr->conv.relu_input) return;
    for (int64_t i = 0; i < deep__value_elements(k.x); ++i)
        if (!(x[i] > 0)) dx[i] = 0;
}

void REF_NAME(depthwise_grad_weights)(const deep_call *call)
{
    const window k = window_of(call, call->in[0], call->out[0], call->in[1]);
    real *dw = call->dst[0];
    for (int64_t a = 0; a < k.w->shape[0]; ++a)
        for (int64_t b = 0; b < k.w->shape[1]; ++b)
            for (int64_t c = 0; c < k.w->shape[2]; ++c)
                dw[ref_at(k.w, a, b, c, 0)] =
                    (real)weight_sum(&k, call->src[0], call->src[1], a, b, c, c, call->attr->conv.relu_input);
}
