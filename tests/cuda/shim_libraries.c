/* SPDX-License-Identifier: Apache-2.0 */
/* What cuBLASLt and cuDNN do, by the definition. */
#include "backend_cuda/convolution.h"
#include "backend_cuda/product.h"
#include "shim.h"

#include <stdlib.h>
#include <string.h>

/* ---- products ---- */

struct deep_product {
    deep_accelerator *accelerator;
    deep_product_shape shape;
};

enum { WORKSPACE = 256 }; /* bytes, written to: a scratch that is too small shows */

deep_status deep__product_create(deep_product **out, deep_accelerator *accelerator, const deep_product_shape *shape)
{
    *out = malloc(sizeof **out);
    if (*out == NULL) return DEEP_ERROR_OUT_OF_MEMORY;
    **out = (deep_product){accelerator, *shape};
    return DEEP_OK;
}

void deep__product_free(deep_product *product)
{
    free(product);
}

size_t deep__product_workspace(const deep_product *product)
{
    (void)product;
    return WORKSPACE;
}

/* One row of the product into `sum`, which has room for it. */
static void product_row(const deep_product_shape *s, const deep_product_operands *o, int64_t row, double *sum)
{
    for (int64_t column = 0; column < s->columns; ++column) {
        sum[column] = s->added ? (double)o->added[row * s->columns + column] : 0;
        if (s->bias) sum[column] += (double)o->bias[column];
    }
    for (int64_t i = 0; i < s->inner; ++i) {
        const double a = (double)o->a[s->a_transposed ? i * s->rows + row : row * s->inner + i];
        for (int64_t column = 0; column < s->columns; ++column)
            sum[column] += a * (double)o->b[s->b_transposed ? column * s->inner + i : i * s->columns + column];
    }
}

typedef struct product_call {
    const deep_product *product;
    deep_product_operands operands;
} product_call;

static void multiply(const void *arguments, kernel_grid grid)
{
    const product_call *call = arguments;
    const deep_product_shape *s = &call->product->shape;
    const deep_product_operands *o = &call->operands;
    double *sum = malloc((size_t)s->columns * sizeof *sum);
    (void)grid;
    if (sum == NULL) abort();
    memset(o->workspace, 0xff, WORKSPACE);
    for (int64_t row = 0; row < s->rows; ++row) {
        product_row(s, o, row, sum);
        for (int64_t column = 0; column < s->columns; ++column)
            o->d[row * s->columns + column] = (float)(s->relu && sum[column] < 0 ? 0 : sum[column]);
    }
    free(sum);
}

deep_status deep__product_run(const deep_product *product, const deep_product_operands *o)
{
    const product_call call = {product, *o};
    shim_queue(product->accelerator, multiply, &call, sizeof call, (kernel_grid){0});
    return DEEP_OK;
}

/* ---- convolutions ---- */

struct deep_convolution {
    deep_accelerator *accelerator;
    deep_convolution_shape shape;
    enum deep_direction direction;
};

deep_status deep__convolution_create(deep_convolution **out, deep_accelerator *accelerator,
                                     const deep_convolution_shape *shape, enum deep_direction direction)
{
    *out = malloc(sizeof **out);
    if (*out == NULL) return DEEP_ERROR_OUT_OF_MEMORY;
    **out = (deep_convolution){accelerator, *shape, direction};
    return DEEP_OK;
}

void deep__convolution_free(deep_convolution *convolution)
{
    free(convolution);
}

size_t deep__convolution_workspace(const deep_convolution *convolution)
{
    (void)convolution;
    return WORKSPACE;
}

/* One tap at one position: all pairs of channels. */
static void pairs(const deep_convolution *c, float *x, float *w, float *y)
{
    for (int64_t o = 0; o < c->shape.out_channels; ++o) {
        float *kernel = w + o * c->shape.rows * c->shape.columns * c->shape.channels;
        for (int64_t i = 0; i < c->shape.channels; ++i) {
            if (c->direction == DEEP_FORWARD)
                y[o] += x[i] * kernel[i];
            else if (c->direction == DEEP_TO_INPUT)
                x[i] += y[o] * kernel[i];
            else
                kernel[i] += x[i] * y[o];
        }
    }
}

/* All taps of one position of y [n, h, v]. */
static void taps(const deep_convolution *c, int64_t n, int64_t h, int64_t v, float *x, float *w, float *y)
{
    const deep_convolution_shape *s = &c->shape;
    for (int64_t a = 0; a < s->rows; ++a)
        for (int64_t b = 0; b < s->columns; ++b) {
            const int64_t row = h * s->stride - s->pad[DEEP_PAD_TOP] + a;
            const int64_t column = v * s->stride - s->pad[DEEP_PAD_LEFT] + b;
            if (row < 0 || row >= s->height || column < 0 || column >= s->width) continue;
            pairs(c, x + ((n * s->height + row) * s->width + column) * s->channels,
                  w + (a * s->columns + b) * s->channels,
                  y + ((n * s->out_height + h) * s->out_width + v) * s->out_channels);
        }
}

typedef struct convolution_call {
    const deep_convolution *convolution;
    float *x, *w, *y;
    void *workspace;
} convolution_call;

static void convolve(const void *arguments, kernel_grid grid)
{
    const convolution_call *call = arguments;
    const deep_convolution *c = call->convolution;
    const deep_convolution_shape *s = &c->shape;
    const int64_t in = s->images * s->height * s->width * s->channels;
    const int64_t out = s->images * s->out_height * s->out_width * s->out_channels;
    const int64_t kernel = s->rows * s->columns * s->channels * s->out_channels;
    float *const made[] = {call->y, call->x, call->w};
    const int64_t counts[] = {out, in, kernel};
    (void)grid;
    memset(call->workspace, 0xff, WORKSPACE);
    memset(made[c->direction], 0, (size_t)counts[c->direction] * sizeof(float));
    for (int64_t n = 0; n < s->images; ++n)
        for (int64_t h = 0; h < s->out_height; ++h)
            for (int64_t v = 0; v < s->out_width; ++v)
                taps(c, n, h, v, call->x, call->w, call->y);
}

deep_status deep__convolution_run(const deep_convolution *c, float *x, float *w, float *y, void *workspace)
{
    const convolution_call call = {c, x, w, y, workspace};
    shim_queue(c->accelerator, convolve, &call, sizeof call, (kernel_grid){0});
    return DEEP_OK;
}
