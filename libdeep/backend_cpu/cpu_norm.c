/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batch norm. The rows are cut into chunks that fit in a core's cache; each chunk gives its own moments or sums, which
 * are joined in double and in order.
 */
#include "backend_cpu/cpu.h"

#include <math.h>

typedef struct norm_call {
    const cpu_run *run;
    const float *x, *dy;
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

static void set_scale(norm_call *c, const float *gamma, const float *beta, const float *mean, const float *variance)
{
    for (int64_t k = 0; k < c->columns; ++k) {
        const double scale = (double)gamma[k] / sqrt((double)variance[k] + c->run->call->attr->norm.epsilon);
        c->scale[k] = (float)scale;
        c->shift[k] = (float)((double)beta[k] - (double)mean[k] * scale);
    }
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
    c->run->kernels->scale_shift(c->y + begin * c->columns, c->x + begin * c->columns, c->scale, c->shift, NULL,
                                 end - begin, c->columns, c->relu);
}

static void moments_part(const void *context, int64_t part)
{
    const norm_call *c = context;
    const int64_t begin = part * c->grain, end = cpu_part_end(part, c->grain, c->rows);
    c->run->kernels->moments(c->part_a + part * c->columns, c->part_b + part * c->columns, c->x + begin * c->columns,
                             end - begin, c->columns);
}

/* Chan, Golub and LeVeque's rule for joining the moments of two sets. */
static void join_moments(const norm_call *c, float *mean, float *variance)
{
    const int64_t parts = cpu_parts(c->rows, c->grain);
    for (int64_t k = 0; k < c->columns; ++k) {
        double count = 0, centre = 0, squares = 0;
        for (int64_t part = 0; part < parts; ++part) {
            const double more = (double)(cpu_part_end(part, c->grain, c->rows) - part * c->grain);
            const double distance = (double)c->part_a[part * c->columns + k] - centre;
            squares += (double)c->part_b[part * c->columns + k] + distance * distance * count * more / (count + more);
            centre += distance * more / (count + more);
            count += more;
        }
        mean[k] = (float)centre;
        variance[k] = (float)(squares / count);
    }
}

deep_status deep__cpu_batch_norm_train(const cpu_run *run)
{
    const deep_call *call = run->call;
    norm_call c = norm_of(run, call->src[0]);
    run_parts(&c, moments_part);
    join_moments(&c, call->dst[1], call->dst[2]);
    set_scale(&c, call->src[1], call->src[2], call->dst[1], call->dst[2]);
    run_parts(&c, apply_part);
    return DEEP_OK;
}

deep_status deep__cpu_batch_norm_infer(const cpu_run *run)
{
    const deep_call *call = run->call;
    norm_call c = norm_of(run, call->src[0]);
    set_scale(&c, call->src[1], call->src[2], call->src[3], call->src[4]);
    run_parts(&c, apply_part);
    return DEEP_OK;
}

static void sums_part(const void *context, int64_t part)
{
    const norm_call *c = context;
    const int64_t begin = part * c->grain, end = cpu_part_end(part, c->grain, c->rows);
    c->run->kernels->norm_sums(c->part_a + part * c->columns, c->part_b + part * c->columns, c->dy + begin * c->columns,
                               c->x + begin * c->columns, c->mean, c->scale, c->shift, end - begin, c->columns,
                               c->relu);
}

static void gradient_part(const void *context, int64_t part)
{
    const norm_call *c = context;
    const int64_t begin = part * c->grain, end = cpu_part_end(part, c->grain, c->rows);
    c->run->kernels->norm_gradient(c->y + begin * c->columns, c->dy + begin * c->columns, c->x + begin * c->columns,
                                   c->mean, c->scale, c->shift, c->a, c->b, end - begin, c->columns, c->relu);
}

/* dgamma, dbeta, and what dx subtracts: the mean of dy, and the part along x (both 0 with stored statistics). */
static void join_sums(const norm_call *c, const float *variance, bool batch_statistics)
{
    const int64_t parts = cpu_parts(c->rows, c->grain);
    float *dgamma = c->run->call->dst[1], *dbeta = c->run->call->dst[2];
    for (int64_t k = 0; k < c->columns; ++k) {
        const double inverse = 1.0 / sqrt((double)variance[k] + c->run->call->attr->norm.epsilon);
        double sum = 0, dot = 0;
        for (int64_t part = 0; part < parts; ++part) {
            sum += (double)c->part_a[part * c->columns + k];
            dot += (double)c->part_b[part * c->columns + k];
        }
        dgamma[k] = (float)(dot * inverse);
        dbeta[k] = (float)sum;
        c->a[k] = batch_statistics ? (float)(sum / (double)c->rows) : 0;
        c->b[k] = batch_statistics ? (float)(dot * inverse * inverse / (double)c->rows) : 0;
    }
}

static deep_status run_gradient(const cpu_run *run, bool batch_statistics)
{
    const deep_call *call = run->call;
    norm_call c = norm_of(run, call->src[1]);
    c.dy = call->src[0];
    set_scale(&c, call->src[2], call->src[3], call->src[4], call->src[5]);
    run_parts(&c, sums_part);
    join_sums(&c, call->src[5], batch_statistics);
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
