/* SPDX-License-Identifier: Apache-2.0 */
/* What cuBLASLt and cuDNN do, by the definition: operands of any type, sums in higher precision, one rounding. */
#include "backend_cuda/convolution.h"
#include "backend_cuda/kernels/form.h"
#include "backend_cuda/product.h"
#include "shim.h"

#include <stdlib.h>
#include <string.h>

static int storage_of(int32_t dtype)
{
    return dtype == DEEP_DTYPE_BF16 ? STORED_BF16 : dtype == DEEP_DTYPE_F16 ? STORED_F16 : STORED_F32;
}

/* A copy in float, for the caller to free. */
static float *widened(const void *values, int32_t dtype, int64_t count)
{
    float *floats = malloc((size_t)count * sizeof *floats);
    if (floats == NULL) abort();
    for (int64_t i = 0; i < count; ++i)
        floats[i] = value_load(values, (size_t)i, storage_of(dtype));
    return floats;
}

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
    if (product != NULL) shim_settle(product->accelerator);
    free(product);
}

size_t deep__product_workspace(const deep_product *product)
{
    (void)product;
    return WORKSPACE;
}

/* One row of the product of a and b into `sum`, which has room for it. */
static void product_row(const deep_product_shape *s, const deep_product_operands *o, const float *a, const float *b,
                        int64_t row, double *sum)
{
    const int storage = storage_of(s->result);
    for (int64_t column = 0; column < s->columns; ++column) {
        sum[column] = s->added ? (double)value_load(o->added, (size_t)(row * s->columns + column), storage) : 0;
        if (s->bias) sum[column] += (double)value_load(o->bias, (size_t)column, storage);
    }
    for (int64_t i = 0; i < s->inner; ++i) {
        const double factor = (double)a[s->a_transposed ? i * s->rows + row : row * s->inner + i];
        for (int64_t column = 0; column < s->columns; ++column)
            sum[column] += factor * (double)b[s->b_transposed ? column * s->inner + i : i * s->columns + column];
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
    float *a = widened(o->a, s->factors, s->rows * s->inner), *b = widened(o->b, s->factors, s->inner * s->columns);
    double *sum = malloc((size_t)s->columns * sizeof *sum);
    (void)grid;
    if (sum == NULL) abort();
    memset(o->workspace, 0xff, WORKSPACE);
    for (int64_t row = 0; row < s->rows; ++row) {
        product_row(s, o, a, b, row, sum);
        for (int64_t column = 0; column < s->columns; ++column)
            value_store(o->d, (size_t)(row * s->columns + column),
                        (float)(s->relu && sum[column] < 0 ? 0 : sum[column]), storage_of(s->result));
    }
    free(sum);
    free(b);
    free(a);
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
    if (convolution != NULL) shim_settle(convolution->accelerator);
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
    deep_convolution_operands operands;
} convolution_call;

static void convolve(const void *arguments, kernel_grid grid)
{
    const convolution_call *call = arguments;
    const deep_convolution *c = call->convolution;
    const deep_convolution_shape *s = &c->shape;
    const deep_convolution_operands *o = &call->operands;
    const int64_t counts[] = {s->images * s->out_height * s->out_width * s->out_channels,
                              s->images * s->height * s->width * s->channels,
                              s->rows * s->columns * s->channels * s->out_channels};
    float *y = widened(o->y, s->dtype, counts[0]), *x = widened(o->x, s->dtype, counts[1]),
          *w = widened(o->w, s->dtype, counts[2]);
    float *const values[] = {y, x, w}; /* by direction, as `counts` and `made`: what is made */
    union {
        const void *in;
        void *out;
    } made = {((const void *const[]){o->y, o->x, o->w})[c->direction]};
    (void)grid;
    memset(o->workspace, 0xff, WORKSPACE);
    memset(values[c->direction], 0, (size_t)counts[c->direction] * sizeof(float));
    for (int64_t n = 0; n < s->images; ++n)
        for (int64_t h = 0; h < s->out_height; ++h)
            for (int64_t v = 0; v < s->out_width; ++v)
                taps(c, n, h, v, x, w, y);
    for (int64_t i = 0; i < counts[c->direction]; ++i)
        value_store(made.out, (size_t)i, values[c->direction][i], storage_of(s->dtype));
    free(w);
    free(x);
    free(y);
}

deep_status deep__convolution_run(const deep_convolution *c, const deep_convolution_operands *o)
{
    const convolution_call call = {c, *o};
    shim_queue(c->accelerator, convolve, &call, sizeof call, (kernel_grid){0});
    return DEEP_OK;
}
