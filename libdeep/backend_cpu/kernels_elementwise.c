/* SPDX-License-Identifier: Apache-2.0 */
/* Loops that the compiler turns into vectors by itself. */
#include "backend_cpu/kernels_list.h"

void KERNEL(relu)(float *y, const float *x, int64_t count)
{
    for (int64_t i = 0; i < count; ++i)
        y[i] = x[i] > 0 ? x[i] : 0;
}

void KERNEL(relu_gradient)(float *dx, const float *dy, const float *y, int64_t count)
{
    for (int64_t i = 0; i < count; ++i)
        dx[i] = y[i] > 0 ? dy[i] : 0;
}

void KERNEL(add)(float *y, const float *a, const float *b, int64_t count)
{
    for (int64_t i = 0; i < count; ++i)
        y[i] = a[i] + b[i];
}

void KERNEL(add_row)(float *y, const float *row, int64_t rows, int64_t columns)
{
    for (int64_t r = 0; r < rows; ++r)
        for (int64_t c = 0; c < columns; ++c)
            y[r * columns + c] += row[c];
}

void KERNEL(sum_rows)(float *restrict sum, const float *x, int64_t rows, int64_t columns)
{
    for (int64_t r = 0; r < rows; ++r)
        for (int64_t c = 0; c < columns; ++c)
            sum[c] += x[r * columns + c];
}

double KERNEL(sum_squares)(const float *x, int64_t count)
{
    enum { LANES = 16 };
    double lane[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES)
        for (int k = 0; k < LANES; ++k)
            lane[k] += (double)x[i + k] * (double)x[i + k];
    for (; i < count; ++i)
        lane[0] += (double)x[i] * (double)x[i];
    double sum = 0;
    for (int k = 0; k < LANES; ++k)
        sum += lane[k];
    return sum;
}

void KERNEL(axpy)(float *restrict y, const float *x, float a, int64_t count)
{
    for (int64_t i = 0; i < count; ++i)
        y[i] += a * x[i];
}

void KERNEL(multiply_add)(float *restrict y, const float *a, const float *b, int64_t count, bool relu_a)
{
    if (relu_a)
        for (int64_t i = 0; i < count; ++i)
            y[i] += (a[i] > 0 ? a[i] : 0) * b[i];
    else
        for (int64_t i = 0; i < count; ++i)
            y[i] += a[i] * b[i];
}

void KERNEL(pool_max)(float *restrict y, uint8_t *restrict index, const float *restrict x, uint8_t tap, bool first,
                      int64_t count)
{
    if (first) {
        for (int64_t i = 0; i < count; ++i) {
            y[i] = x[i];
            index[i] = tap;
        }
        return;
    }
    for (int64_t i = 0; i < count; ++i) {
        const bool larger = x[i] > y[i];
        y[i] = larger ? x[i] : y[i];
        index[i] = larger ? tap : index[i];
    }
}

void KERNEL(pool_gradient)(float *restrict dx, const float *restrict dy, const uint8_t *restrict index, uint8_t tap,
                           int64_t count)
{
    for (int64_t i = 0; i < count; ++i)
        dx[i] += index[i] == tap ? dy[i] : 0;
}
