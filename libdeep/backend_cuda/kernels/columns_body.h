/* SPDX-License-Identifier: Apache-2.0 */
#include "backend_cuda/kernels/tiles_body.h"

/* ---- element by element ---- */

KERNEL_FUNCTION void affine(const affine_arguments *a, kernel_position at, int lanes, int storage)
{
    const tile_place p = tile_find(&a->tiles, at, lanes);
    norm_lanes k;
    float scale[MAX_LANES], shift[MAX_LANES];
    if (!p.inside) return;
    norm_load(&k, &a->norm, p.channel, lanes);
    KERNEL_UNROLL
    for (int l = 0; l < lanes; ++l) {
        scale[l] = 1;
        shift[l] = 0;
    }
    if (a->scale != NULL) {
        lanes_load(scale, a->scale + p.channel, lanes);
        lanes_load(shift, a->shift + p.channel, lanes);
    }
    for (uint32_t row = p.row; row < p.end; row += p.step) {
        const size_t i = tile_at(&a->tiles, row, p.channel);
        float x[MAX_LANES], r[MAX_LANES] = {0};
        values_load(x, a->x, i, lanes, storage);
        if (a->residual != NULL) values_load(r, a->residual, i, lanes, storage);
        KERNEL_UNROLL
        for (int l = 0; l < lanes; ++l) {
            x[l] = norm_value(&k, x[l], l) * scale[l] + shift[l] + r[l];
            x[l] = relu_if(a->norm.relu, x[l]);
        }
        values_store(a->y, i, x, lanes, storage);
    }
}

KERNEL_FUNCTION void norm_grad(const norm_grad_arguments *a, kernel_position at, int lanes, int storage)
{
    const tile_place p = tile_find(&a->tiles, at, lanes);
    norm_lanes k;
    float dot[MAX_LANES] = {0}, sum[MAX_LANES] = {0};
    const float part = 1 / (float)a->tiles.rows;
    if (!p.inside) return;
    norm_load(&k, &a->norm, p.channel, lanes);
    if (a->dot != NULL) {
        lanes_load(dot, a->dot + p.channel, lanes);
        lanes_load(sum, a->sum + p.channel, lanes);
    }
    for (uint32_t row = p.row; row < p.end; row += p.step) {
        const size_t i = tile_at(&a->tiles, row, p.channel);
        float x[MAX_LANES], dy[MAX_LANES];
        values_load(x, a->x, i, lanes, storage);
        values_load(dy, a->dy, i, lanes, storage);
        KERNEL_UNROLL
        for (int l = 0; l < lanes; ++l) {
            const bool dead = a->norm.relu && !(norm_value(&k, x[l], l) > 0);
            float slope = dead ? 0 : dy[l];
            if (a->dot != NULL) slope -= (sum[l] + (x[l] - k.mean[l]) * k.inverse[l] * dot[l]) * part;
            dy[l] = k.scale[l] * slope;
        }
        values_store(a->dx, i, dy, lanes, storage);
    }
}

/* ---- sums of a chunk ---- */

typedef struct sums_room {
    lane_room first;
    lane_room second;
} sums_room;

enum sums_kind { SUMS_PLAIN, SUMS_MOMENTS, SUMS_NORM };

KERNEL_FUNCTION void sums_add(const sums_arguments *a, const norm_lanes *k, size_t i, const float *pivot, float *first,
                              float *second, int lanes, int storage, enum sums_kind kind)
{
    float x[MAX_LANES], dy[MAX_LANES];
    values_load(x, a->x, i, lanes, storage);
    if (kind == SUMS_NORM) values_load(dy, a->dy, i, lanes, storage);
    KERNEL_UNROLL
    for (int l = 0; l < lanes; ++l) {
        if (kind == SUMS_PLAIN) {
            first[l] += x[l];
        } else if (kind == SUMS_MOMENTS) {
            const float d = x[l] - pivot[l];
            first[l] += d;
            second[l] += d * d;
        } else if (!a->norm.relu || norm_value(k, x[l], l) > 0) {
            first[l] += dy[l] * ((x[l] - k->mean[l]) * k->inverse[l]);
            second[l] += dy[l];
        }
    }
}

KERNEL_FUNCTION void sums_gather(const sums_arguments *a, kernel_position at, sums_room *room, int lanes, int storage,
                                 enum sums_kind kind)
{
    const tile_place p = tile_find(&a->tiles, at, lanes);
    norm_lanes k;
    float first[MAX_LANES], second[MAX_LANES], pivot[MAX_LANES];
    KERNEL_UNROLL
    for (int l = 0; l < lanes; ++l)
        first[l] = second[l] = 0;
    if (p.inside) {
        norm_load(&k, &a->norm, p.channel, lanes);
        if (kind == SUMS_MOMENTS) values_load(pivot, a->x, p.channel, lanes, storage);
        for (uint32_t row = p.row; row < p.end; row += p.step)
            sums_add(a, &k, tile_at(&a->tiles, row, p.channel), pivot, first, second, lanes, storage, kind);
    }
    KERNEL_UNROLL
    for (int l = 0; l < lanes; ++l) {
        room->first.v[at.thread][l] = first[l];
        room->second.v[at.thread][l] = second[l];
    }
}

KERNEL_FUNCTION void sums_write(const sums_arguments *a, kernel_position at, const sums_room *room, int lanes,
                                uint32_t quantities)
{
    lane_sum(&room->first, &a->tiles, at, lanes, a->partial, 0, quantities);
    if (quantities > 1) lane_sum(&room->second, &a->tiles, at, lanes, a->partial, 1, quantities);
}

/* ---- totals of all chunks ---- */

enum { TOTAL_COLUMNS = 32, TOTAL_PARTS = KERNEL_THREADS / TOTAL_COLUMNS };

typedef struct totals_room {
    double sum[2][TOTAL_PARTS][TOTAL_COLUMNS];
} totals_room;

/* Thread (part, column) adds every TOTAL_PARTS-th chunk. */
KERNEL_FUNCTION void totals_gather(const float *partial, uint32_t chunks, uint32_t quantities, uint32_t columns,
                                   uint32_t quantity, kernel_position at, double sum[TOTAL_PARTS][TOTAL_COLUMNS])
{
    const uint32_t part = at.thread / TOTAL_COLUMNS, lane = at.thread % TOTAL_COLUMNS;
    const uint32_t column = at.block * TOTAL_COLUMNS + lane;
    double total = 0;
    for (uint32_t chunk = part; chunk < chunks && column < columns; chunk += TOTAL_PARTS)
        total += (double)partial[((size_t)chunk * quantities + quantity) * columns + column];
    sum[part][lane] = total;
}

KERNEL_FUNCTION double totals_of(const double sum[TOTAL_PARTS][TOTAL_COLUMNS], uint32_t lane)
{
    double total = 0;
    for (int part = 0; part < TOTAL_PARTS; ++part)
        total += sum[part][lane];
    return total;
}

KERNEL_FUNCTION void totals_first(const totals_arguments *a, kernel_position at, totals_room *room)
{
    totals_gather(a->partial, a->chunks, a->quantities, a->columns, at.slice, at, room->sum[0]);
}

KERNEL_FUNCTION void totals_second(const totals_arguments *a, kernel_position at, const totals_room *room)
{
    const uint32_t column = at.block * TOTAL_COLUMNS + at.thread, extra = a->extra[0] == NULL ? 0 : 2;
    if (at.thread >= TOTAL_COLUMNS || column >= a->columns) return;
    const float total = (float)totals_of(room->sum[0], at.thread);
    if (at.slice + extra < a->quantities)
        a->out[(size_t)at.slice * a->columns + column] = total;
    else
        a->extra[at.slice + extra - a->quantities][column] = total;
}

KERNEL_FUNCTION void moments_first(const moments_arguments *a, kernel_position at, totals_room *room)
{
    for (uint32_t q = 0; q < 2; ++q)
        totals_gather(a->partial, a->chunks, 2, a->columns, q, at, room->sum[q]);
}

KERNEL_FUNCTION void moments_second(const moments_arguments *a, kernel_position at, const totals_room *room)
{
    const uint32_t column = at.block * TOTAL_COLUMNS + at.thread;
    if (at.thread >= TOTAL_COLUMNS || column >= a->columns) return;
    const double mean = totals_of(room->sum[0], at.thread) / (double)a->rows;
    const double variance = totals_of(room->sum[1], at.thread) / (double)a->rows - mean * mean;
    a->mean[column] = (float)(mean + (double)value_load(a->x, column, a->storage));
    a->variance[column] = variance > 0 ? (float)variance : 0;
}

/* ---- kernels ---- */

#define SUMS_KERNEL(name, kind, quantities)                                                                            \
    KERNEL_FUNCTION void name##_gather(const sums_arguments *a, kernel_position at, sums_room *room, int lanes,        \
                                       int storage)                                                                    \
    {                                                                                                                  \
        sums_gather(a, at, room, lanes, storage, kind);                                                                \
    }                                                                                                                  \
    KERNEL_FUNCTION void name##_write(const sums_arguments *a, kernel_position at, const sums_room *room, int lanes)   \
    {                                                                                                                  \
        sums_write(a, at, room, lanes, quantities);                                                                    \
    }                                                                                                                  \
    KERNEL_FORMS_IN_TWO(deep__kernel_##name, sums_arguments, sums_room, name##_gather, name##_write, FLOAT_LANES,      \
                        HALF_LANES)

KERNEL_FORMS(deep__kernel_affine, affine_arguments, affine, FLOAT_LANES, HALF_LANES)
KERNEL_FORMS(deep__kernel_norm_grad, norm_grad_arguments, norm_grad, FLOAT_LANES, HALF_LANES)
SUMS_KERNEL(sum, SUMS_PLAIN, 1)
SUMS_KERNEL(moment_sums, SUMS_MOMENTS, 2)
SUMS_KERNEL(norm_sums, SUMS_NORM, 2)
KERNEL_IN_TWO(deep__kernel_totals, totals_arguments, totals_room, totals_first, totals_second)
KERNEL_IN_TWO(deep__kernel_moments, moments_arguments, totals_room, moments_first, moments_second)
