/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Products with packed kernels. Where no instruction multiplies a kernel's type, panels of it are widened to float, two
 * at a time, for as many rows as stay in the caches.
 */
#include "backend_cpu/cpu.h"

enum {
    CHUNK_BYTES = 5 << 17, /* 640 KiB of rows that meet a panel before the next panel is fetched */
    TILE = 12,             /* rows that the kernels take at once, at most */
    WIDENED_PANELS = 2
};

typedef struct product_call {
    const cpu_run *run;
    cpu_product product;
    const cpu_kernel *kernel;
    cpu_operand operand;
    int64_t rows, panels;
    int64_t parts;
    bool by_rows; /* else by panels */
    float *widened;
} product_call;

cpu_kernel deep__cpu_kernel_of(const deep_call *call)
{
    const bool dense = call->node->op == DEEP_OP_DENSE;
    const int32_t operand = call->node->op == DEEP_OP_SEPARABLE ? 2 : 1;
    const bool quantized = call->in[operand]->dtype == DEEP_DTYPE_I8;
    if (dense) return (cpu_kernel){call->in[operand], operand, quantized ? 3 : 0, 2};
    return (cpu_kernel){call->in[operand], operand, quantized ? operand + 1 : 0, operand + 1 + quantized};
}

cpu_operand deep__cpu_operand_of(const cpu_node *node, const cpu_kernel *kernel)
{
    if (kernel->info->dtype == DEEP_DTYPE_I8) return node->kernels->dot_i8 != NULL ? CPU_QUANTIZED : CPU_QUANTIZED_WIDE;
    return kernel->info->dtype == DEEP_DTYPE_BF16 && node->bf16_dot ? CPU_BF16 : CPU_FLOAT;
}

int64_t deep__cpu_inner(const cpu_kernel *kernel)
{
    return deep__rows(kernel->info);
}

int64_t deep__cpu_row_bytes(cpu_operand operand, int64_t inner)
{
    switch (operand) {
    case CPU_BF16:
        return (inner + 1) / 2 * 4;
    case CPU_QUANTIZED:
        return (inner + 3) / 4 * 4;
    default:
        return inner * 4;
    }
}

cpu_product deep__cpu_product_of(const deep_call *call, const cpu_kernel *kernel)
{
    const bool dense = call->node->op == DEEP_OP_DENSE;
    const int32_t flags = dense ? 0 : call->attr->conv.epilogue, next = kernel->epilogue;
    const bool affine = flags & DEEP_EPILOGUE_AFFINE;
    const int64_t channels = kernel->info->shape[kernel->info->rank - 2];
    cpu_product product = {.b = call->src[kernel->operand],
                           .c = call->dst[0],
                           .scale = affine ? call->src[next] : NULL,
                           .shift = affine  ? call->src[next + 1]
                                    : dense ? call->src[next]
                                            : NULL,
                           .residual = flags & DEEP_EPILOGUE_ADD ? call->src[next + (affine ? 2 : 0)] : NULL,
                           .inner = deep__cpu_inner(kernel),
                           .columns = deep__columns(kernel->info),
                           .relu = flags & DEEP_EPILOGUE_RELU};
    if (kernel->quantization != 0) product.unit = (const float *)call->src[kernel->quantization] + 2 * channels;
    return product;
}

/* ---- widened panels ---- */

static bool is_widened(cpu_operand operand, const cpu_kernel *kernel)
{
    return kernel->info->dtype != DEEP_DTYPE_F32 && (operand == CPU_FLOAT || operand == CPU_QUANTIZED_WIDE);
}

static int64_t widened_floats(const cpu_kernels *kernels, const cpu_kernel *kernel)
{
    return WIDENED_PANELS * kernels->panel * deep__cpu_inner(kernel) + kernels->panel; /* looked at beyond the end */
}

size_t deep__cpu_widened_bytes(const cpu_node *node, const cpu_kernel *kernel)
{
    if (!is_widened(deep__cpu_operand_of(node, kernel), kernel)) return 0;
    return (size_t)(node->threads * widened_floats(node->kernels, kernel)) * sizeof(float);
}

static void multiply_widened(const product_call *c, int64_t part, int64_t first, int64_t end, int64_t panel,
                             int64_t end_panel)
{
    const cpu_kernels *k = c->run->kernels;
    float *widened = c->widened + part * widened_floats(k, c->kernel);
    cpu_product product = c->product;
    product.b = widened;
    product.alone = true; /* another thread's panels would be asked for */
    for (; panel < end_panel; panel += WIDENED_PANELS) {
        const int64_t stop = panel + WIDENED_PANELS < end_panel ? panel + WIDENED_PANELS : end_panel;
        product.first_column = panel * k->panel;
        for (int64_t i = panel; i < stop; ++i) {
            float *to = widened + (i - panel) * k->panel * product.inner;
            if (c->kernel->info->dtype == DEEP_DTYPE_I8)
                k->widen_i8(to, c->product.b, product.inner, product.columns, i * k->panel);
            else
                k->widen_bf16(to, c->product.b, product.inner, product.columns, i * k->panel);
        }
        k->product(&product, first, end, panel, stop);
    }
}

/* ---- shares of the threads ---- */

static int64_t cut(int64_t count, int64_t part, int64_t parts)
{
    return count * part / parts;
}

static void multiply_some(const product_call *c, int64_t part, int64_t first, int64_t end, int64_t panel,
                          int64_t end_panel)
{
    const cpu_kernels *k = c->run->kernels;
    if (is_widened(c->operand, c->kernel))
        multiply_widened(c, part, first, end, panel, end_panel);
    else
        (c->operand == CPU_QUANTIZED ? k->dot_i8
         : c->operand == CPU_BF16    ? k->dot_bf16
                                     : k->product)(&c->product, first, end, panel, end_panel);
}

static void product_part(const void *context, int64_t part)
{
    const product_call *c = context;
    if (!c->by_rows) {
        multiply_some(c, part, 0, c->rows, cut(c->panels, part, c->parts), cut(c->panels, part + 1, c->parts));
        return;
    }
    const int64_t tiles = cpu_parts(c->rows, TILE), row_bytes = deep__cpu_row_bytes(c->operand, c->product.inner);
    const int64_t first = cut(tiles, part, c->parts), end = cut(tiles, part + 1, c->parts);
    const int64_t chunks = cpu_parts((end - first) * TILE * row_bytes, CHUNK_BYTES);
    for (int64_t i = 0; i < chunks; ++i) {
        const int64_t from = first + cut(end - first, i, chunks), to = first + cut(end - first, i + 1, chunks);
        multiply_some(c, part, from * TILE, to * TILE < c->rows ? to * TILE : c->rows, 0, c->panels);
    }
}

static product_call call_of(const cpu_run *run, const cpu_product *product, const cpu_kernel *kernel, int64_t rows,
                            float *widened)
{
    product_call c = {.run = run,
                      .product = *product,
                      .kernel = kernel,
                      .operand = deep__cpu_operand_of(run->node, kernel),
                      .rows = rows,
                      .panels = cpu_parts(product->columns, run->kernels->panel),
                      .widened = widened};
    c.product.groups = deep__cpu_row_bytes(c.operand, product->inner) / 4;
    if (c.product.pieces == 0) {
        c.product.pitch = c.product.groups;
        c.product.pieces = 1;
    }
    return c;
}

/* Many rows are cut among the threads, few are shared by them, each taking some panels. */
void deep__cpu_multiply(const cpu_run *run, const cpu_product *product, const cpu_kernel *kernel, int64_t rows,
                        float *widened)
{
    product_call c = call_of(run, product, kernel, rows, widened);
    c.by_rows = rows >= 4 * TILE * (int64_t)run->threads;
    c.parts = c.by_rows || c.panels > run->threads ? run->threads : c.panels;
    deep__cpu_parallel(run->threads, c.parts, product_part, &c);
}

void deep__cpu_multiply_alone(const cpu_run *run, const cpu_product *product, const cpu_kernel *kernel, int64_t rows,
                              float *widened)
{
    const product_call c = call_of(run, product, kernel, rows, widened);
    multiply_some(&c, 0, 0, rows, 0, c.panels);
}
