/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batch norm. The rows are cut into chunks that fit in a core's cache; each chunk gives its own moments or sums, which
 * are joined in double and in order.
 */
#include "backend_cpu/cpu.h"

#include <math.h>
#include <string.h>

typedef struct norm_call {
    const cpu_run *run;
    const float *x, *dy;
    const float *residual; /* NULL = none */
    float *y;
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

static norm_call norm_of(const cpu_run *run, const float *x)
{
    const deep_value_info *shape = run->call->in[0];
    norm_call c = {.run = run,
                   .x = x,
                   .y = run->call->dst[0],
                   .rows = deep__rows(shape),
                   .columns = deep__columns(shape),
                   .relu = run->call->attr->norm.relu};
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

static void apply_part(const void *context, int64_t part)
{
    const norm_call *c = context;
    const int64_t begin = part * c->grain, end = cpu_part_end(part, c->grain, c->rows);
    const float *residual = c->residual == NULL ? NULL : c->residual + begin * c->columns;
    c->run->kernels->scale_shift(c->y + begin * c->columns, c->x + begin * c->columns, c->scale, c->shift, residual,
                                 end - begin, c->columns, c->relu);
}

static void moments_part(const void *context, int64_t part)
{
    const norm_call *c = context;
    const int64_t begin = part * c->grain, end = cpu_part_end(part, c->grain, c->rows);
    c->run->kernels->moments(c->part_a + part * c->columns, c->part_b + part * c->columns, c->x + begin * c->columns,
                             end - begin, c->columns);
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
    set_scale(&c, call->src[1], call->src[2], call->src[3], call->src[4]);
    run_parts(&c, apply_part);
    return DEEP_OK;
}

static void sums_part(const void *context, int64_t part)
{
    const norm_call *c = context;
    const int64_t begin = part * c->grain, end = cpu_part_end(part, c->grain, c->rows);
    float *sum = c->part_a + part * c->columns, *dot = c->part_b + part * c->columns;
    memset(sum, 0, (size_t)c->columns * sizeof *sum);
    memset(dot, 0, (size_t)c->columns * sizeof *dot);
    c->run->kernels->norm_sums(sum, dot, c->dy + begin * c->columns, c->x + begin * c->columns, c->mean, c->scale,
                               c->shift, end - begin, c->columns, c->relu);
}

static void gradient_part(const void *context, int64_t part)
{
    const norm_call *c = context;
    const int64_t begin = part * c->grain, end = cpu_part_end(part, c->grain, c->rows);
    c->run->kernels->norm_gradient(c->y + begin * c->columns, c->dy + begin * c->columns, c->x + begin * c->columns,
                                   c->mean, c->scale, c->shift, c->a, c->b, end - begin, c->columns, c->relu);
}

static deep_status run_gradient(const cpu_run *run, bool batch_statistics)
{
    const deep_call *call = run->call;
    norm_call c = norm_of(run, call->src[1]);
    c.dy = call->src[0];
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
