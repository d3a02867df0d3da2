/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 1x1 convolutions with packed kernels, and separable ones: the depthwise result is made in bands that stay in the
 * second-level caches, and never stands in memory as a whole.
 */
#include "backend_cpu/cpu.h"

enum {
    BAND_BYTES = 5 << 18,  /* of depthwise results: 1.25 MiB, over all threads; a whole 19 x 19 x 728 */
    CHUNK_BYTES = 5 << 17, /* 640 KiB of rows that meet a panel before the next panel is fetched */
    TILE = 12              /* rows that the kernel takes at once, at most */
};

typedef struct product_call {
    const cpu_run *run;
    cpu_product product;
    int64_t rows, panels;
    int64_t parts;
    bool by_rows; /* else by panels */
} product_call;

static int64_t cut(int64_t count, int64_t part, int64_t parts)
{
    return count * part / parts;
}

static void product_part(const void *context, int64_t part)
{
    const product_call *c = context;
    const cpu_product *p = &c->product;
    if (!c->by_rows) {
        c->run->kernels->product(p, 0, c->rows, cut(c->panels, part, c->parts), cut(c->panels, part + 1, c->parts));
        return;
    }
    const int64_t tiles = cpu_parts(c->rows, TILE);
    const int64_t first = cut(tiles, part, c->parts), end = cut(tiles, part + 1, c->parts);
    const int64_t chunks = cpu_parts((end - first) * TILE * p->inner * (int64_t)sizeof(float), CHUNK_BYTES);
    for (int64_t i = 0; i < chunks; ++i) {
        const int64_t from = first + cut(end - first, i, chunks), to = first + cut(end - first, i + 1, chunks);
        c->run->kernels->product(p, from * TILE, to * TILE < c->rows ? to * TILE : c->rows, 0, c->panels);
    }
}

/* Many rows are cut among the threads, few are shared by them, each taking some panels. */
static void multiply(const cpu_run *run, const cpu_product *product, int64_t rows)
{
    product_call c = {.run = run,
                      .product = *product,
                      .rows = rows,
                      .panels = cpu_parts(product->columns, run->kernels->panel),
                      .by_rows = rows >= 4 * TILE * (int64_t)run->threads};
    c.parts = c.by_rows || c.panels > run->threads ? run->threads : c.panels;
    deep__cpu_parallel(run->threads, c.parts, product_part, &c);
}

/* Everything but `a`; operand `kernel` is the 1x1 kernel. */
static cpu_product product_of(const deep_call *call, int32_t kernel)
{
    const int32_t flags = call->attr->conv.epilogue;
    const bool affine = flags & DEEP_EPILOGUE_AFFINE;
    return (cpu_product){.b = call->src[kernel],
                         .c = call->dst[0],
                         .scale = affine ? call->src[kernel + 1] : NULL,
                         .shift = affine ? call->src[kernel + 2] : NULL,
                         .residual = flags & DEEP_EPILOGUE_ADD ? call->src[kernel + (affine ? 3 : 1)] : NULL,
                         .inner = call->in[kernel]->shape[2],
                         .columns = call->in[kernel]->shape[3],
                         .relu = flags & DEEP_EPILOGUE_RELU};
}

deep_status deep__cpu_product(const cpu_run *run, const float *x)
{
    cpu_product product = product_of(run->call, 1);
    product.a = x;
    multiply(run, &product, deep__rows(run->call->out[0]));
    return DEEP_OK;
}

/* ---- separable convolutions ---- */

deep_status deep__cpu_separable_prepare(cpu_node *node, const deep_host *host)
{
    if (node->packed && deep__cpu_depthwise_common(&node->call)) return DEEP_OK;
    return host->fail(host->user, DEEP_ERROR_UNSUPPORTED,
                      "the cpu backend has separable_conv2d for 3x3 windows and packed kernels alone");
}

/* Image rows of one band: a number that the threads share evenly. */
static int64_t band_rows(const deep_value_info *x)
{
    const int64_t bytes = x->shape[2] * x->shape[3] * (int64_t)sizeof(float), fitting = BAND_BYTES / bytes;
    const int64_t rows = x->shape[0] * x->shape[1], step = fitting < 2 ? 1 : fitting / 2 * 2;
    return rows < step ? rows : step;
}

size_t deep__cpu_separable_scratch(const cpu_node *node)
{
    const deep_value_info *x = node->call.in[0];
    return (size_t)(band_rows(x) * x->shape[2] * x->shape[3]) * sizeof(float);
}

typedef struct band_call {
    const cpu_run *run;
    int64_t first;  /* image row */
    int64_t values; /* of an image row */
} band_call;

static void band_row(const void *context, int64_t row)
{
    const band_call *b = context;
    float *scratch = b->run->call->scratch;
    deep__cpu_depthwise_row(b->run, b->first + row, scratch + row * b->values);
}

deep_status deep__cpu_separable(const cpu_run *run)
{
    const deep_value_info *x = run->call->in[0];
    const int64_t rows = x->shape[0] * x->shape[1], step = band_rows(x);
    const cpu_product whole = product_of(run->call, 2);
    for (int64_t first = 0; first < rows; first += step) {
        const int64_t count = rows - first < step ? rows - first : step, done = first * x->shape[2] * whole.columns;
        const band_call band = {run, first, x->shape[2] * x->shape[3]};
        deep__cpu_parallel(run->threads, count, band_row, &band);
        cpu_product product = whole;
        product.a = run->call->scratch;
        product.c += done;
        if (product.residual != NULL) product.residual += done;
        multiply(run, &product, count * x->shape[2]);
    }
    return DEEP_OK;
}
