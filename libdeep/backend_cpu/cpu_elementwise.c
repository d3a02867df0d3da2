/* SPDX-License-Identifier: Apache-2.0 */
#include "backend_cpu/cpu_widen.h"

#include <math.h>
#include <string.h>

enum { GRAIN = 1 << 15 }; /* floats of a part: 128 KiB */

typedef struct span_call {
    const cpu_run *run;
    int64_t count;
    double *sums; /* per part */
} span_call;

static void run_spans(const cpu_run *run, cpu_task task, double *sums)
{
    const deep_value_info *x = run->call->in[run->call->node->input_count - 1]; /* of one shape, but l2_penalty's */
    const span_call s = {run, deep__value_elements(x), sums};
    deep__cpu_parallel(run->threads, cpu_parts(s.count, GRAIN), task, &s);
}

#define SPAN(context, part)                                                                                            \
    const span_call *s = (context);                                                                                    \
    const deep_call *call = s->run->call;                                                                              \
    const int64_t begin = (part)*GRAIN, count = cpu_part_end(part, GRAIN, s->count) - begin

static void relu_part(const void *context, int64_t part)
{
    SPAN(context, part);
    s->run->kernels->relu((float *)call->dst[0] + begin, (const float *)call->src[0] + begin, count);
}

static void relu_grad_part(const void *context, int64_t part)
{
    SPAN(context, part);
    s->run->kernels->relu_gradient((float *)call->dst[0] + begin, (const float *)call->src[0] + begin,
                                   (const float *)call->src[1] + begin, count);
}

enum { WIDENED = 2048 };

static void add_part(const void *context, int64_t part)
{
    SPAN(context, part);
    const cpu_kernels *k = s->run->kernels;
    float a[WIDENED], b[WIDENED];
    const bool narrow = call->out[0]->dtype == DEEP_DTYPE_BF16 || call->in[0]->dtype == DEEP_DTYPE_BF16 ||
                        call->in[1]->dtype == DEEP_DTYPE_BF16;
    for (int64_t at = begin, step; at < begin + count; at += step) {
        step = narrow && begin + count - at > WIDENED ? WIDENED : begin + count - at;
        float *y = cpu_writable(call->out[0], call->dst[0], at, a);
        k->add(y, cpu_read(k, call->in[0], call->src[0], at, step, a),
               cpu_read(k, call->in[1], call->src[1], at, step, b), step);
        cpu_written(k, call->out[0], call->dst[0], at, step, y);
    }
}

static void l2_grad_part(const void *context, int64_t part)
{
    SPAN(context, part);
    s->run->kernels->axpy((float *)call->src[0] + begin, (const float *)call->src[1] + begin,
                          (float)(2 * call->attr->loss.lambda), count);
}

static void squares_part(const void *context, int64_t part)
{
    SPAN(context, part);
    const float *x = call->src[call->node->input_count - 1];
    s->sums[part] = s->run->kernels->sum_squares(x + begin, count);
}

deep_status deep__cpu_relu(const cpu_run *run)
{
    run_spans(run, relu_part, NULL);
    return DEEP_OK;
}

deep_status deep__cpu_relu_grad(const cpu_run *run)
{
    run_spans(run, relu_grad_part, NULL);
    return DEEP_OK;
}

deep_status deep__cpu_add(const cpu_run *run)
{
    run_spans(run, add_part, NULL);
    return DEEP_OK;
}

deep_status deep__cpu_l2_grad(const cpu_run *run)
{
    run_spans(run, l2_grad_part, NULL);
    return DEEP_OK;
}

size_t deep__cpu_parts_scratch(const cpu_node *node)
{
    const deep_value_info *x = node->call.in[node->call.node->input_count - 1];
    return (size_t)cpu_parts(deep__value_elements(x), GRAIN) * sizeof(double);
}

static double sum_of_squares(const cpu_run *run)
{
    const deep_call *call = run->call;
    const double *sums = call->scratch;
    const int64_t parts = cpu_parts(deep__value_elements(call->in[call->node->input_count - 1]), GRAIN);
    run_spans(run, squares_part, call->scratch);
    double sum = 0;
    for (int64_t part = 0; part < parts; ++part)
        sum += sums[part];
    return sum;
}

deep_status deep__cpu_l2_penalty(const cpu_run *run)
{
    *(float *)run->call->src[0] += (float)(run->call->attr->loss.lambda * sum_of_squares(run));
    return DEEP_OK;
}

deep_status deep__cpu_gradient_norm(const cpu_run *run)
{
    float *result = run->call->dst[0]; /* {norm, 1 when finite} */
    const double sum = sum_of_squares(run);
    result[0] = (float)sqrt(sum);
    result[1] = isfinite(sum) ? 1 : 0;
    return DEEP_OK;
}

/* ---- sum over rows ---- */

typedef struct rows_call {
    const cpu_run *run;
    const float *x;
    float *sums;
    int64_t rows, columns, grain;
} rows_call;

static void rows_part(const void *context, int64_t part)
{
    const rows_call *c = context;
    const int64_t begin = part * c->grain, end = cpu_part_end(part, c->grain, c->rows);
    float *sum = c->sums + part * c->columns;
    memset(sum, 0, (size_t)c->columns * sizeof *sum);
    c->run->kernels->sum_rows(sum, c->x + begin * c->columns, end - begin, c->columns);
}

size_t deep__cpu_rows_scratch(const cpu_node *node)
{
    const deep_value_info *x = node->call.in[0];
    const int64_t columns = deep__columns(x);
    return (size_t)(cpu_parts(deep__rows(x), cpu_row_grain(columns)) * columns) * sizeof(float);
}

deep_status deep__cpu_reduce_sum(const cpu_run *run)
{
    const deep_value_info *x = run->call->in[0];
    rows_call c = {run, run->call->src[0], run->call->scratch, deep__rows(x), deep__columns(x), 0};
    c.grain = cpu_row_grain(c.columns);
    const int64_t parts = cpu_parts(c.rows, c.grain);
    float *sum = run->call->dst[0];
    deep__cpu_parallel(run->threads, parts, rows_part, &c);
    memset(sum, 0, (size_t)c.columns * sizeof *sum);
    run->kernels->sum_rows(sum, c.sums, parts, c.columns);
    return DEEP_OK;
}
