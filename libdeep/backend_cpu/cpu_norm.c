/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batch norm. The rows are cut into chunks that fit in a core's cache; each chunk gives its own moments or sums, which
 * are joined in double and in order.
 */
#include "backend_cpu/cpu_widen.h"

#include <math.h>
#include <string.h>

typedef struct norm_call {
    const cpu_run *run;
    const void *x, *dy, *residual; /* floats or bfloat16, as their infos say; NULL = none */
    void *y;
    const deep_value_info *x_info, *dy_info, *residual_info, *y_info;
    bool narrow; /* one of them is bfloat16 */
    const float *mean;
    float *scale, *shift, *a, *b; /* per channel, in scratch */
    float *part_a, *part_b;       /* per chunk and channel, in scratch */
    int64_t rows, columns, grain;
    bool relu;
} norm_call;

size_t deep__cpu_norm_scratch(const cpu_node *node)
{
    const deep_value_info *x = node->call.in[0];
    const int64_t columns = deep__columns(x), parts = cpu_parts(deep__rows(x), cpu_row_grain(columns));
    return (size_t)((4 + 2 * parts) * columns) * sizeof(float);
}

static norm_call norm_of(const cpu_run *run, const void *x)
{
    const deep_value_info *shape = run->call->in[0];
    norm_call c = {.run = run,
                   .x = x,
                   .y = run->call->dst[0],
                   .x_info = shape,
                   .y_info = run->call->out[0],
                   .rows = deep__rows(shape),
                   .columns = deep__columns(shape),
                   .relu = run->call->attr->norm.relu};
    for (int32_t k = 0; k < run->call->node->input_count; ++k)
        c.narrow = c.narrow || run->call->in[k]->dtype == DEEP_DTYPE_BF16;
    c.narrow = c.narrow || c.y_info->dtype == DEEP_DTYPE_BF16;
    c.grain = cpu_row_grain(c.columns);
    c.scale = run->call->scratch;
    c.shift = c.scale + c.columns;
    c.a = c.shift + c.columns;
    c.b = c.a + c.columns;
    c.part_a = c.b + c.columns;
    c.part_b = c.part_a + cpu_parts(c.rows, c.grain) * c.columns;
    return c;
}

void deep__cpu_norm_affine(float *scale, float *shift, const float *const norm[4], double epsilon, int64_t columns)
{
    const float *gamma = norm[0], *beta = norm[1], *mean = norm[2], *variance = norm[3];
    for (int64_t k = 0; k < columns; ++k) {
        const double factor = (double)gamma[k] / sqrt((double)variance[k] + epsilon);
        scale[k] = (float)factor;
        shift[k] = (float)((double)beta[k] - (double)mean[k] * factor);
    }
}

static void set_scale(norm_call *c, const float *gamma, const float *beta, const float *mean, const float *variance)
{
    deep__cpu_norm_affine(c->scale, c->shift, (const float *const[4]){gamma, beta, mean, variance},
                          c->run->call->attr->norm.epsilon, c->columns);
    c->mean = mean;
}

static void run_parts(const norm_call *c, cpu_task task)
{
    deep__cpu_parallel(c->run->threads, cpu_parts(c->rows, c->grain), task, c);
}

/* ---- some rows, or some channels of one, at a time: as much as is widened together ---- */

enum { WIDENED = 2048 };

typedef struct norm_block {
    int64_t at;     /* first value */
    int64_t column; /* first channel */
    int64_t rows, columns;
    float x[WIDENED], dy[WIDENED]; /* widened; `dy` is what else is read, `x` also what is to be rounded */
} norm_block;

/* The first block of rows begin .. end - 1. */
static void block_first(norm_block *b, const norm_call *c, int64_t begin, int64_t end)
{
    const int64_t fitting = WIDENED / c->columns < 1 ? 1 : WIDENED / c->columns;
    b->at = begin * c->columns;
    b->column = 0;
    b->rows = c->narrow && fitting < end - begin ? fitting : end - begin;
    b->columns = c->narrow && c->columns > WIDENED ? WIDENED : c->columns;
}

/* The next one; false behind the last. */
static bool block_next(norm_block *b, const norm_call *c, int64_t end)
{
    b->at += b->columns == c->columns ? b->rows * c->columns : b->columns;
    b->column = b->at % c->columns;
    const int64_t row = b->at / c->columns, left = c->columns - b->column;
    if (row >= end) return false;
    if (b->rows > end - row) b->rows = end - row;
    if (c->narrow && c->columns > WIDENED) b->columns = left < WIDENED ? left : WIDENED;
    return true;
}

static const float *block_read(const norm_block *b, const norm_call *c, const deep_value_info *info, const void *data,
                               float *buffer)
{
    return cpu_read(c->run->kernels, info, data, b->at, b->rows * b->columns, buffer);
}

static void apply_part(const void *context, int64_t part)
{
    const norm_call *c = context;
    const cpu_kernels *k = c->run->kernels;
    const int64_t end = cpu_part_end(part, c->grain, c->rows);
    norm_block b;
    block_first(&b, c, part * c->grain, end);
    do {
        const float *x = block_read(&b, c, c->x_info, c->x, b.x),
                    *residual = c->residual == NULL ? NULL : block_read(&b, c, c->residual_info, c->residual, b.dy);
        float *y = cpu_writable(c->y_info, c->y, b.at, b.x);
        k->scale_shift(y, x, c->scale + b.column, c->shift + b.column, residual, b.rows, b.columns, c->relu);
        cpu_written(k, c->y_info, c->y, b.at, b.rows * b.columns, y);
    } while (block_next(&b, c, end));
}

static void moments_part(const void *context, int64_t part)
{
    const norm_call *c = context;
    const int64_t begin = part * c->grain, end = cpu_part_end(part, c->grain, c->rows);
    c->run->kernels->moments(c->part_a + part * c->columns, c->part_b + part * c->columns,
                             (const float *)c->x + begin * c->columns, end - begin, c->columns);
}

/* ---- joining the parts: some channels at a time, so that the parts are read along their rows ---- */

enum { JOINED = 64 };

typedef struct moments_join {
    float *mean, *variance;
    const cpu_cut *cut;
    const float *part_mean, *part_squares;
    int64_t columns;
} moments_join;

/* Chan, Golub and LeVeque's rule for joining the moments of two sets. */
static void join_some_moments(const void *context, int64_t block)
{
    const moments_join *j = context;
    const int64_t first = block * JOINED, count = cpu_part_end(block, JOINED, j->columns) - first;
    double centre[JOINED] = {0}, squares[JOINED] = {0}, so_far = 0;
    for (int64_t part = 0; part < cpu_cut_parts(j->cut); ++part) {
        const double more = (double)(cpu_cut_end(j->cut, part) - cpu_cut_begin(j->cut, part));
        if (more == 0) continue;
        const double share = more / (so_far + more);
        const float *mean = j->part_mean + part * j->columns + first,
                    *distances = j->part_squares + part * j->columns + first;
        for (int64_t k = 0; k < count; ++k) {
            const double step = (double)mean[k] - centre[k];
            squares[k] += (double)distances[k] + step * step * so_far * share;
            centre[k] += step * share;
        }
        so_far += more;
    }
    for (int64_t k = 0; k < count; ++k) {
        j->mean[first + k] = (float)centre[k];
        j->variance[first + k] = (float)(squares[k] / so_far);
    }
}

void deep__cpu_join_moments(int32_t threads, float *mean, float *variance, const cpu_cut *cut, const float *part_mean,
                            const float *part_squares, int64_t columns)
{
    const moments_join j = {mean, variance, cut, part_mean, part_squares, columns};
    deep__cpu_parallel(threads, cpu_parts(columns, JOINED), join_some_moments, &j);
}

typedef struct sums_join {
    const cpu_norm_sums *sums;
    const float *variance;
    float *dgamma, *dbeta, *a, *b;
} sums_join;

static void join_some_sums(const void *context, int64_t block)
{
    const sums_join *j = context;
    const cpu_norm_sums *s = j->sums;
    const int64_t first = block * JOINED, count = cpu_part_end(block, JOINED, s->columns) - first;
    double sum[JOINED] = {0}, dot[JOINED] = {0};
    for (int64_t part = 0; part < s->parts; ++part)
        for (int64_t k = 0; k < count; ++k) {
            sum[k] += (double)s->sum[part * s->stride + first + k];
            dot[k] += (double)s->dot[part * s->stride + first + k];
        }
    for (int64_t k = 0; k < count; ++k) {
        const double inverse = 1.0 / sqrt((double)j->variance[first + k] + s->epsilon);
        j->dgamma[first + k] = (float)(dot[k] * inverse);
        j->dbeta[first + k] = (float)sum[k];
        j->a[first + k] = (float)(sum[k] / (double)s->rows);
        j->b[first + k] = (float)(dot[k] * inverse * inverse / (double)s->rows);
    }
}

void deep__cpu_join_norm_sums(int32_t threads, const cpu_norm_sums *sums, const float *variance, float *dgamma,
                              float *dbeta, float *a, float *b)
{
    const sums_join j = {sums, variance, dgamma, dbeta, a, b};
    deep__cpu_parallel(threads, cpu_parts(sums->columns, JOINED), join_some_sums, &j);
}

/* ---- the ops ---- */

deep_status deep__cpu_batch_norm_train(const cpu_run *run)
{
    const deep_call *call = run->call;
    norm_call c = norm_of(run, call->src[0]);
    run_parts(&c, moments_part);
    const cpu_cut cut = {c.rows, c.rows, c.grain};
    deep__cpu_join_moments(run->threads, call->dst[1], call->dst[2], &cut, c.part_a, c.part_b, c.columns);
    set_scale(&c, call->src[1], call->src[2], call->dst[1], call->dst[2]);
    run_parts(&c, apply_part);
    return DEEP_OK;
}

deep_status deep__cpu_batch_norm_infer(const cpu_run *run)
{
    const deep_call *call = run->call;
    norm_call c = norm_of(run, call->src[0]);
    c.residual = call->node->input_count > 5 ? call->src[5] : NULL;
    c.residual_info = call->in[5];
    set_scale(&c, call->src[1], call->src[2], call->src[3], call->src[4]);
    run_parts(&c, apply_part);
    return DEEP_OK;
}

static void sums_part(const void *context, int64_t part)
{
    const norm_call *c = context;
    const int64_t end = cpu_part_end(part, c->grain, c->rows);
    float *sum = c->part_a + part * c->columns, *dot = c->part_b + part * c->columns;
    norm_block b;
    memset(sum, 0, (size_t)c->columns * sizeof *sum);
    memset(dot, 0, (size_t)c->columns * sizeof *dot);
    block_first(&b, c, part * c->grain, end);
    do {
        const float *x = block_read(&b, c, c->x_info, c->x, b.x), *dy = block_read(&b, c, c->dy_info, c->dy, b.dy);
        c->run->kernels->norm_sums(sum + b.column, dot + b.column, dy, x, c->mean + b.column, c->scale + b.column,
                                   c->shift + b.column, b.rows, b.columns, c->relu);
    } while (block_next(&b, c, end));
}

static void gradient_part(const void *context, int64_t part)
{
    const norm_call *c = context;
    const cpu_kernels *k = c->run->kernels;
    const int64_t end = cpu_part_end(part, c->grain, c->rows);
    norm_block b;
    block_first(&b, c, part * c->grain, end);
    do {
        const float *x = block_read(&b, c, c->x_info, c->x, b.x), *dy = block_read(&b, c, c->dy_info, c->dy, b.dy);
        float *dx = cpu_writable(c->y_info, c->y, b.at, b.dy);
        k->norm_gradient(dx, dy, x, c->mean + b.column, c->scale + b.column, c->shift + b.column, c->a + b.column,
                         c->b + b.column, b.rows, b.columns, c->relu);
        cpu_written(k, c->y_info, c->y, b.at, b.rows * b.columns, dx);
    } while (block_next(&b, c, end));
}

static deep_status run_gradient(const cpu_run *run, bool batch_statistics)
{
    const deep_call *call = run->call;
    norm_call c = norm_of(run, call->src[1]);
    c.dy = call->src[0];
    c.dy_info = call->in[0];
    c.x_info = call->in[1];
    set_scale(&c, call->src[2], call->src[3], call->src[4], call->src[5]);
    run_parts(&c, sums_part);
    const cpu_norm_sums sums = {c.part_a,  c.part_b, cpu_parts(c.rows, c.grain), c.columns,
                                c.columns, c.rows,   call->attr->norm.epsilon};
    deep__cpu_join_norm_sums(run->threads, &sums, call->src[5], call->dst[1], call->dst[2], c.a, c.b);
    if (!batch_statistics) memset(c.a, 0, 2 * (size_t)c.columns * sizeof *c.a); /* and b behind it */
    run_parts(&c, gradient_part);
    return DEEP_OK;
}

deep_status deep__cpu_batch_norm_grad(const cpu_run *run)
{
    return run_gradient(run, true);
}

deep_status deep__cpu_batch_norm_infer_grad(const cpu_run *run)
{
    return run_gradient(run, false);
}
