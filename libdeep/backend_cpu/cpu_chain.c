/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Joined nodes: separable convolutions and the pool behind them, of which nothing but the last result stands in memory.
 * Each thread has its share of the pooled rows and makes, a few rows at a time, whatever rows of the results before them
 * these need; they stay in its second-level cache. Rows at the edge of two shares are made twice.
 */
#include "backend_cpu/cpu_form.h"

enum { STAGES = 4, BAND_PIXELS = 148 /* that a product meets at once, about: a dozen tiles */ };

/* A convolution of the chain. Its results stand in a ring of the rows that its reader looks at together. */
typedef struct stage {
    cpu_run run;
    cpu_kernel kernel;
    cpu_form form;
    cpu_product product;
    int64_t height, width, channels;      /* of the input; the output has as many rows and pixels */
    int64_t ring_rows;                    /* and as many are made at once, at most */
    size_t operands, line, ring, widened; /* where they begin in a thread's memory */
} stage;

typedef struct chain {
    stage stages[STAGES];
    int32_t count;
    const cpu_run *pool;
    int64_t pool_rows; /* made at once */
    size_t thread_bytes;
    char *memory;
} chain;

/* A thread's way through one image. */
typedef struct progress {
    const chain *c;
    char *memory;
    int64_t image;
    int64_t done[STAGES]; /* rows of each stage that have been made, or are not wanted */
} progress;

static size_t rounded(int64_t bytes)
{
    return (size_t)(bytes + 63) / 64 * 64;
}

static size_t take(size_t *total, int64_t bytes)
{
    const size_t at = *total;
    *total += rounded(bytes);
    return at;
}

static void shape_stage(chain *c, stage *s, const cpu_node *node, const cpu_run *pool)
{
    const deep_value_info *x = node->call.in[0];
    s->run = (cpu_run){&node->call, node->kernels, pool->host, node, node->threads};
    s->kernel = deep__cpu_kernel_of(&node->call);
    s->form = deep__cpu_form_of(node, &s->kernel);
    s->height = x->shape[1];
    s->width = x->shape[2];
    s->channels = x->shape[3];
    const int64_t pixels = s->ring_rows * s->width;
    s->operands = take(&c->thread_bytes, pixels * s->form.row_bytes);
    s->line = take(&c->thread_bytes, s->width * s->channels * 4);
    s->ring = take(&c->thread_bytes, pixels * deep__columns(s->kernel.info) * 4);
    s->widened = take(&c->thread_bytes, (int64_t)deep__cpu_widened_bytes(node, &s->kernel) / node->threads);
}

/* Everything but addresses. */
static void shape_chain(chain *c, const cpu_run *pool)
{
    const deep_attr *attr = pool->call->attr;
    const int64_t width = pool->call->in[0]->shape[2], rows = BAND_PIXELS / (width * attr->pool.stride);
    *c = (chain){.count = pool->node->joined, .pool = pool, .pool_rows = rows < 1 ? 1 : rows};
    int64_t ring = (c->pool_rows - 1) * attr->pool.stride + attr->pool.window;
    for (int32_t i = c->count; i-- > 0; ring += 2) { /* a convolution looks at a row more above and below */
        c->stages[i].ring_rows = ring;
        shape_stage(c, &c->stages[i], pool->node - c->count + i, pool);
    }
}

size_t deep__cpu_chain_scratch(const cpu_node *node)
{
    chain c;
    const cpu_run run = {&node->call, node->kernels, NULL, node, node->threads};
    shape_chain(&c, &run);
    return c.thread_bytes * (size_t)node->threads;
}

deep_status deep__cpu_chain_prepare(const cpu_node *node, const deep_host *host)
{
    bool fits = node->joined <= STAGES && node->call.node->op == DEEP_OP_MAX_POOL &&
                node->call.attr->pool.window == 3 && node->call.attr->pool.stride == 2;
    for (int32_t i = 1; i <= node->joined && fits; ++i)
        fits = node[-i].call.node->op == DEEP_OP_SEPARABLE && !(node[-i].call.attr->conv.epilogue & DEEP_EPILOGUE_ADD);
    if (fits) return DEEP_OK;
    return host->fail(host->user, DEEP_ERROR_UNSUPPORTED,
                      "the cpu backend joins separable_conv2d without residual and a 3x3 max_pool of stride 2 alone");
}

/* ---- a thread's work ---- */

static float *ring_row(const progress *p, const stage *s, int64_t row)
{
    return (float *)(void *)(p->memory + s->ring) + row % s->ring_rows * s->width * s->product.columns;
}

/* Input row `row` of stage `i`; NULL = padding. */
static const float *input_row(const progress *p, int32_t i, int64_t row)
{
    const stage *s = &p->c->stages[i];
    if (row < 0 || row >= s->height) return NULL;
    if (i > 0) return ring_row(p, s - 1, row);
    return (const float *)s->run.call->src[0] + (p->image * s->height + row) * s->width * s->channels;
}

/* The product of `count` rows of operands, of which the first is output row `row`: in two pieces at the ring's end. */
static void multiply_rows(const progress *p, const stage *s, int64_t row, int64_t count)
{
    cpu_product product = s->product;
    const char *operands = p->memory + s->operands;
    while (count > 0) {
        const int64_t left = s->ring_rows - row % s->ring_rows, rows = left < count ? left : count;
        product.a = operands;
        product.c = ring_row(p, s, row);
        deep__cpu_multiply_alone(&s->run, &product, &s->kernel, rows * s->width,
                                 (float *)(void *)(p->memory + s->widened));
        operands += rows * s->width * s->form.row_bytes;
        row += rows;
        count -= rows;
    }
}

/* Makes the rows of stage `i` before `end` that are not there yet: no more than its ring holds. */
static void make_rows(progress *p, int32_t i, int64_t end)
{
    const stage *s = &p->c->stages[i];
    const int64_t first = p->done[i], below = end < s->height ? end + 1 : end;
    if (first >= end) return;
    if (i > 0) make_rows(p, i - 1, below);
    const float *x[CPU_DEPTHWISE_ROWS + 2];
    cpu_depthwise rows = {.x = x,
                          .w = s->run.call->src[1],
                          .width = s->width,
                          .channels = s->channels,
                          .relu = s->run.call->attr->conv.relu_input};
    for (int64_t row = first; row < end; row += rows.rows) {
        rows.rows = end - row < CPU_DEPTHWISE_ROWS ? end - row : CPU_DEPTHWISE_ROWS;
        for (int64_t k = 0; k < rows.rows + 2; ++k)
            x[k] = input_row(p, i, row - 1 + k);
        deep__cpu_form_depthwise(&s->form, p->memory + s->operands + (row - first) * s->width * s->form.row_bytes,
                                 &rows, (float *)(void *)(p->memory + s->line));
    }
    multiply_rows(p, s, first, end - first);
    p->done[i] = end;
}

static int64_t clamped(int64_t value, int64_t end)
{
    return value < 0 ? 0 : value < end ? value : end - 1;
}

static void pool_row(const progress *p, int64_t row)
{
    const cpu_run *run = p->c->pool;
    const deep_call *call = run->call;
    const stage *s = &p->c->stages[p->c->count - 1];
    const int64_t top = row * call->attr->pool.stride - call->attr->pool.pad[DEEP_PAD_TOP];
    const float *x[3];
    for (int64_t k = 0; k < 3; ++k)
        x[k] = ring_row(p, s, clamped(top + k, s->height));
    const int64_t at = (p->image * call->out[0]->shape[1] + row) * call->out[0]->shape[2] * call->out[0]->shape[3];
    const float *residual = call->node->input_count > 1 ? (const float *)call->src[1] + at : NULL;
    run->kernels->pool_row((float *)call->dst[0] + at, x, residual, call->out[0]->shape[2], call->out[0]->shape[3],
                           s->width, call->attr->pool.pad[DEEP_PAD_LEFT]);
}

/* Pooled rows first .. end - 1 of an image. */
static void pool_rows(progress *p, int64_t first, int64_t end)
{
    const deep_attr *attr = p->c->pool->call->attr;
    const int32_t last = p->c->count - 1;
    const int64_t height = p->c->stages[last].height, top = attr->pool.pad[DEEP_PAD_TOP];
    int64_t from = first * attr->pool.stride - top;
    for (int32_t i = last; i >= 0; --i, --from)
        p->done[i] = from > 0 ? from : 0;
    for (int64_t row = first, stop; row < end; row = stop) {
        stop = row + p->c->pool_rows < end ? row + p->c->pool_rows : end;
        const int64_t wanted = (stop - 1) * attr->pool.stride - top + attr->pool.window;
        make_rows(p, last, wanted < height ? wanted : height);
        for (int64_t k = row; k < stop; ++k)
            pool_row(p, k);
    }
}

static void run_share(const void *context, int64_t part)
{
    const chain *c = context;
    const deep_value_info *y = c->pool->call->out[0];
    const int64_t height = y->shape[1], rows = y->shape[0] * height, threads = c->pool->threads;
    progress p = {.c = c, .memory = c->memory + (size_t)part * c->thread_bytes};
    const int64_t end = rows * (part + 1) / threads;
    for (int64_t row = rows * part / threads, count; row < end; row += count) {
        const int64_t h = row % height;
        p.image = row / height;
        count = height - h < end - row ? height - h : end - row;
        pool_rows(&p, h, h + count);
    }
}

deep_status deep__cpu_chain(const cpu_run *run)
{
    chain c;
    shape_chain(&c, run);
    c.memory = run->call->scratch;
    for (int32_t i = 0; i < c.count; ++i) {
        stage *s = &c.stages[i];
        s->product = deep__cpu_product_of(s->run.call, &s->kernel);
        deep__cpu_form_resolve(&s->form, s->run.call, &s->kernel);
    }
    deep__cpu_parallel(run->threads, run->threads, run_share, &c);
    return DEEP_OK;
}
