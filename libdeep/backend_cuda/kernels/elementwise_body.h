/* SPDX-License-Identifier: Apache-2.0 */
#include "backend_cuda/kernels/elementwise.h"
#include "base/philox.h"

#include <math.h>

/* The elements of a thread: as many as it has lanes, or what is left of them; 0 behind the end. */
typedef struct flat_place {
    size_t first;
    int count;
} flat_place;

KERNEL_FUNCTION flat_place flat_find(int64_t count, kernel_position at, int lanes)
{
    flat_place p;
    p.first = ((size_t)at.block * at.threads + at.thread) * (size_t)lanes;
    const int64_t left = count - (int64_t)p.first;
    p.count = left > lanes ? lanes : left < 0 ? 0 : (int)left;
    return p;
}

enum pair_kind { PAIR_RELU, PAIR_RELU_GRAD, PAIR_SCALED_ADD };

KERNEL_FUNCTION void pair(const pair_arguments *a, kernel_position at, int lanes, int storage, enum pair_kind kind)
{
    const flat_place p = flat_find(a->count, at, lanes);
    float x[MAX_LANES] = {0}, b[MAX_LANES] = {0};
    values_load(x, a->a, p.first, p.count, storage);
    if (kind != PAIR_RELU) values_load(b, a->b, p.first, p.count, storage);
    KERNEL_UNROLL
    for (int i = 0; i < lanes; ++i) {
        if (kind == PAIR_RELU)
            x[i] = x[i] > 0 ? x[i] : 0;
        else if (kind == PAIR_RELU_GRAD)
            x[i] = b[i] > 0 ? x[i] : 0;
        else
            x[i] = a->factor * x[i] + b[i];
    }
    values_store(a->y, p.first, x, p.count, storage);
}

KERNEL_FUNCTION void relu(const pair_arguments *a, kernel_position at, int lanes, int storage)
{
    pair(a, at, lanes, storage, PAIR_RELU);
}

KERNEL_FUNCTION void relu_grad(const pair_arguments *a, kernel_position at, int lanes, int storage)
{
    pair(a, at, lanes, storage, PAIR_RELU_GRAD);
}

KERNEL_FUNCTION void scaled_add(const pair_arguments *a, kernel_position at, int lanes, int storage)
{
    pair(a, at, lanes, storage, PAIR_SCALED_ADD);
}

/* With `scale`, x is a matrix, and else a row that is repeated. */
KERNEL_FUNCTION void rows(const rows_arguments *a, kernel_position at)
{
    const flat_place p = flat_find(a->count, at, FLOAT_LANES);
    for (int i = 0; i < p.count; ++i) {
        const size_t index = p.first + (size_t)i, column = index % (size_t)a->columns;
        float value = a->value;
        if (a->x != NULL) value = a->x[a->scale != NULL ? index : column];
        if (a->scale != NULL) value *= a->scale[column];
        value_store(a->y, index, value, a->storage);
    }
}

KERNEL_FUNCTION void convert(const convert_arguments *a, kernel_position at)
{
    const flat_place p = flat_find(a->count, at, HALF_LANES);
    float v[MAX_LANES];
    values_load(v, a->from, p.first, p.count, a->from_storage);
    values_store(a->to, p.first, v, p.count, a->to_storage);
}

KERNEL_FUNCTION void scale(const scale_arguments *a, kernel_position at)
{
    const flat_place p = flat_find(a->count, at, FLOAT_LANES);
    float v[FLOAT_LANES] = {0};
    lanes_load(v, a->x + p.first, p.count);
    KERNEL_UNROLL
    for (int i = 0; i < FLOAT_LANES; ++i)
        v[i] *= *a->factor;
    lanes_store(a->x + p.first, v, p.count);
}

KERNEL_FUNCTION void permute(const permute_arguments *a, kernel_position at)
{
    const flat_place p = flat_find(a->count, at, FLOAT_LANES);
    for (int i = 0; i < p.count; ++i) {
        int64_t rest = (int64_t)p.first + i, from = 0;
        for (int32_t axis = a->rank - 1; axis >= 0; --axis) {
            from += rest % a->shape[axis] * a->stride[axis];
            rest /= a->shape[axis];
        }
        value_store(a->y, p.first + (size_t)i, value_load(a->x, (size_t)from, a->x_storage), a->y_storage);
    }
}

/* A thread's four elements are one draw of the generator. */
KERNEL_FUNCTION void dropout(const dropout_arguments *a, kernel_position at)
{
    const flat_place p = flat_find(a->count, at, FLOAT_LANES);
    if (p.count == 0) return;
    const uint64_t place = (uint64_t)a->layer << 48 | (uint64_t)p.first / FLOAT_LANES;
    const deep_rng_block block =
        deep__philox((uint64_t)a->counter[0], DEEP_RNG_DROPOUT, place, (uint32_t)a->counter[1]);
    for (int i = 0; i < p.count; ++i) {
        const bool kept = (double)deep__philox_uniform(block.word[i]) >= a->rate;
        a->y[p.first + (size_t)i] = kept ? (float)((double)a->x[p.first + (size_t)i] / (1 - a->rate)) : 0;
    }
}

KERNEL_FUNCTION void fold(const fold_arguments *a, kernel_position at)
{
    const uint32_t c = at.block * at.threads + at.thread;
    if (c >= a->count) return;
    const double factor = (double)a->gamma[c] / sqrt((double)a->variance[c] + a->epsilon);
    a->scale[c] = (float)factor;
    a->shift[c] = (float)((double)a->beta[c] - (double)a->mean[c] * factor);
}

KERNEL_FUNCTION void running(const running_arguments *a, kernel_position at)
{
    const uint32_t c = at.block * at.threads + at.thread;
    if (c >= a->count) return;
    KERNEL_UNROLL
    for (int i = 0; i < 2; ++i)
        a->running[i][c] = a->running[i][c] * a->momentum + a->batch[i][c] * (1 - a->momentum);
}

KERNEL_FORMS(deep__kernel_relu, pair_arguments, relu, FLOAT_LANES, HALF_LANES)
KERNEL_FORMS(deep__kernel_relu_grad, pair_arguments, relu_grad, FLOAT_LANES, HALF_LANES)
KERNEL_FORMS(deep__kernel_scaled_add, pair_arguments, scaled_add, FLOAT_LANES, HALF_LANES)
KERNEL(deep__kernel_rows, rows_arguments, rows)
KERNEL(deep__kernel_convert, convert_arguments, convert)
KERNEL(deep__kernel_scale, scale_arguments, scale)
KERNEL(deep__kernel_permute, permute_arguments, permute)
KERNEL(deep__kernel_dropout, dropout_arguments, dropout)
KERNEL(deep__kernel_fold, fold_arguments, fold)
KERNEL(deep__kernel_running, running_arguments, running)
