/* SPDX-License-Identifier: Apache-2.0 */
/* Batch norm's passes over a chunk of rows. */
#include "backend_cpu/kernels_list.h"
#include "backend_cpu/vec.h"

void KERNEL(scale_shift)(float *y, const float *x, const float *scale, const float *shift, const float *residual,
                         int64_t rows, int64_t columns, bool relu)
{
    for (int64_t r = 0; r < rows; ++r, y += columns, x += columns) {
        for (int64_t c = 0; c < columns; ++c) {
            float value = x[c] * scale[c] + shift[c];
            if (residual != 0) value += residual[c];
            y[c] = relu && !(value > 0) ? 0 : value;
        }
        if (residual != 0) residual += columns;
    }
}

void KERNEL(moments)(float *mean, float *squares, const float *x, int64_t rows, int64_t columns)
{
    const float inverse = 1.0f / (float)rows;
    for (int64_t c = 0; c < columns; ++c)
        mean[c] = squares[c] = 0;
    for (int64_t r = 0; r < rows; ++r)
        for (int64_t c = 0; c < columns; ++c)
            mean[c] += x[r * columns + c];
    for (int64_t c = 0; c < columns; ++c)
        mean[c] *= inverse;
    for (int64_t r = 0; r < rows; ++r)
        for (int64_t c = 0; c < columns; ++c) {
            const float distance = x[r * columns + c] - mean[c];
            squares[c] += distance * distance;
        }
}

VEC_INLINE void sums_block(float *sum, float *dot, const float *dy, const float *x, const float *mean,
                           const float *scale, const float *shift, int64_t rows, int64_t columns, int64_t channel,
                           const bool relu)
{
    vec total = {0}, product = {0};
    const vec centre = vec_load(mean + channel), factor = vec_load(scale + channel), offset = vec_load(shift + channel);
    for (int64_t r = 0; r < rows; ++r) {
        const vec value = vec_load(x + r * columns + channel);
        vec slope = vec_load(dy + r * columns + channel);
        if (relu) slope = vec_gate(slope, value * factor + offset);
        total += slope;
        product += slope * (value - centre);
    }
    vec_store(sum + channel, vec_load(sum + channel) + total);
    vec_store(dot + channel, vec_load(dot + channel) + product);
}

static void sums_scalar(float *sum, float *dot, const float *dy, const float *x, const float *mean, const float *scale,
                        const float *shift, int64_t rows, int64_t columns, int64_t c, bool relu)
{
    for (int64_t r = 0; r < rows; ++r) {
        const float value = x[r * columns + c];
        const float slope = relu && !(value * scale[c] + shift[c] > 0) ? 0 : dy[r * columns + c];
        sum[c] += slope;
        dot[c] += slope * (value - mean[c]);
    }
}

void KERNEL(norm_sums)(float *sum, float *dot, const float *dy, const float *x, const float *mean, const float *scale,
                       const float *shift, int64_t rows, int64_t columns, bool relu)
{
    int64_t channel = 0;
    for (; channel + VEC_FLOATS <= columns; channel += VEC_FLOATS)
        if (relu)
            sums_block(sum, dot, dy, x, mean, scale, shift, rows, columns, channel, true);
        else
            sums_block(sum, dot, dy, x, mean, scale, shift, rows, columns, channel, false);
    for (; channel < columns; ++channel)
        sums_scalar(sum, dot, dy, x, mean, scale, shift, rows, columns, channel, relu);
}

/* One vector of channels of one row; `dx` may be `dy`. */
VEC_INLINE void gradient_vector(float *dx, const float *dy, const float *x, const float *mean, const float *scale,
                                const float *shift, const float *a, const float *b, int64_t c, bool relu)
{
    const vec value = vec_load(x + c), factor = vec_load(scale + c);
    vec slope = vec_load(dy + c);
    if (relu) slope = vec_gate(slope, value * factor + vec_load(shift + c));
    vec_store(dx + c, factor * (slope - vec_load(a + c) - (value - vec_load(mean + c)) * vec_load(b + c)));
}

void KERNEL(norm_gradient)(float *dx, const float *dy, const float *x, const float *mean, const float *scale,
                           const float *shift, const float *a, const float *b, int64_t rows, int64_t columns, bool relu)
{
    for (int64_t r = 0; r < rows; ++r, dx += columns, dy += columns, x += columns) {
        int64_t c = 0;
        for (; c + VEC_FLOATS <= columns; c += VEC_FLOATS)
            gradient_vector(dx, dy, x, mean, scale, shift, a, b, c, relu);
        for (; c < columns; ++c) {
            const float slope = relu && !(x[c] * scale[c] + shift[c] > 0) ? 0 : dy[c];
            dx[c] = scale[c] * (slope - a[c] - (x[c] - mean[c]) * b[c]);
        }
    }
}
