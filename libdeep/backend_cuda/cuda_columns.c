/* SPDX-License-Identifier: Apache-2.0 */
/* Batch norm and sums over rows. */
#include "backend_cuda/cuda.h"

enum {
    TILE_GROUPS = 32,  /* at most, side by side */
    ROWS_A_THREAD = 8, /* at least, where there are so many */
    BLOCKS_WANTED =
        1024 /* for a GPU of up to 148 multiprocessors; a number of its own would change sums with the GPU */
};

column_tiles deep__cuda_tiles(int64_t rows, int64_t columns, int lanes)
{
    const int64_t groups = columns / lanes;
    column_tiles tiles = {.rows = (uint32_t)rows, .columns = (uint32_t)columns, .width = 1};
    while (tiles.width < TILE_GROUPS && tiles.width < groups)
        tiles.width *= 2;
    const int64_t across = cuda_divide_up(groups, tiles.width), below = KERNEL_THREADS / tiles.width;
    const int64_t most = across < BLOCKS_WANTED ? BLOCKS_WANTED / across : 1;
    int64_t chunks = cuda_divide_up(rows, below * ROWS_A_THREAD);
    if (chunks > most) chunks = most;
    tiles.span = (uint32_t)cuda_divide_up(rows, chunks);
    return tiles;
}

uint32_t deep__cuda_chunks(const column_tiles *tiles)
{
    return (tiles->rows + tiles->span - 1) / tiles->span;
}

kernel_grid deep__cuda_tile_grid(const cuda_node *node, const column_tiles *tiles, int lanes)
{
    const int64_t across = cuda_divide_up(tiles->columns / (uint32_t)lanes, tiles->width);
    return (kernel_grid){deep__cuda_chunks(tiles), (uint32_t)across, KERNEL_THREADS,
                         deep__accelerator_stream(node->accelerator)};
}

size_t deep__cuda_partial_bytes(const column_tiles *tiles, int64_t quantities)
{
    return cuda_align((size_t)deep__cuda_chunks(tiles) * (size_t)(quantities * tiles->columns) * sizeof(float));
}

/* ---- what other ops use too ---- */

static kernel_form form_of(const deep_value_info *x)
{
    return cuda_form(x->dtype, deep__columns(x));
}

static column_tiles tiles_of(const deep_value_info *x)
{
    return deep__cuda_tiles(deep__rows(x), deep__columns(x), form_of(x).lanes);
}

size_t deep__cuda_sums_bytes(const deep_value_info *x, int64_t quantities)
{
    const column_tiles tiles = tiles_of(x);
    return deep__cuda_partial_bytes(&tiles, quantities);
}

void deep__cuda_affine(const cuda_node *node, const deep_value_info *x, const affine_arguments *arguments)
{
    affine_arguments a = *arguments;
    const kernel_form form = form_of(x);
    a.tiles = tiles_of(x);
    deep__kernel_affine(&a, form, deep__cuda_tile_grid(node, &a.tiles, form.lanes));
}

/* A thread for every column, in blocks of 32 columns. */
static kernel_grid total_grid(const cuda_node *node, uint32_t columns, uint32_t quantities)
{
    return (kernel_grid){(uint32_t)cuda_divide_up(columns, 32), quantities, KERNEL_THREADS,
                         deep__accelerator_stream(node->accelerator)};
}

void deep__cuda_totals(const cuda_node *node, const totals_arguments *a)
{
    deep__kernel_totals(a, total_grid(node, a->columns, a->quantities));
}

void deep__cuda_moments(const cuda_node *node, const deep_value_info *x_info, const void *x, float *partial,
                        float *mean, float *variance)
{
    const kernel_form form = form_of(x_info);
    const sums_arguments sums = {.tiles = tiles_of(x_info), .x = x, .partial = partial};
    deep__kernel_moment_sums(&sums, form, deep__cuda_tile_grid(node, &sums.tiles, form.lanes));
    const moments_arguments moments = {.partial = partial,
                                       .chunks = deep__cuda_chunks(&sums.tiles),
                                       .columns = sums.tiles.columns,
                                       .rows = sums.tiles.rows,
                                       .x = x,
                                       .storage = form.storage,
                                       .mean = mean,
                                       .variance = variance};
    deep__kernel_moments(&moments, total_grid(node, moments.columns, 1));
}

void deep__cuda_norm_grad(const cuda_node *node, const deep_value_info *x, const norm_grad_arguments *arguments)
{
    norm_grad_arguments a = *arguments;
    const kernel_form form = form_of(x);
    a.tiles = tiles_of(x);
    deep__kernel_norm_grad(&a, form, deep__cuda_tile_grid(node, &a.tiles, form.lanes));
}

/* ---- the ops ---- */

static norm_arguments norm_of(const deep_call *call, const void *gamma, const void *beta, const void *mean,
                              const void *variance)
{
    return (norm_arguments){.gamma = gamma,
                            .beta = beta,
                            .mean = mean,
                            .variance = variance,
                            .epsilon = (float)call->attr->norm.epsilon,
                            .relu = call->attr->norm.relu};
}

size_t deep__cuda_scratch_norm(const deep_call *call)
{
    return deep__cuda_sums_bytes(call->in[0], 2);
}

deep_status deep__cuda_run_batch_norm_train(const cuda_node *node)
{
    const deep_call *call = &node->call;
    deep__cuda_moments(node, call->in[0], call->src[0], call->scratch, call->dst[1], call->dst[2]);
    const affine_arguments a = {.norm = norm_of(call, call->src[1], call->src[2], call->dst[1], call->dst[2]),
                                .x = call->src[0],
                                .y = call->dst[0]};
    deep__cuda_affine(node, call->in[0], &a);
    return DEEP_OK;
}

deep_status deep__cuda_run_batch_norm_infer(const cuda_node *node)
{
    const deep_call *call = &node->call;
    const affine_arguments a = {.norm = norm_of(call, call->src[1], call->src[2], call->src[3], call->src[4]),
                                .x = call->src[0],
                                .residual = call->node->input_count > 5 ? call->src[5] : NULL,
                                .y = call->dst[0]};
    deep__cuda_affine(node, call->in[0], &a);
    return DEEP_OK;
}

/* Operands: dy, x, gamma, beta, mean, variance -> dx, dgamma, dbeta. */
static void norm_gradients(const cuda_node *node, bool through_statistics)
{
    const deep_call *call = &node->call;
    const kernel_form form = form_of(call->in[0]);
    const sums_arguments sums = {
        .tiles = tiles_of(call->in[0]),
        .norm = norm_of(call, call->src[2], call->src[3], call->src[4], call->src[5]),
        .x = call->src[1],
        .dy = call->src[0],
        .partial = call->scratch,
    };
    deep__kernel_norm_sums(&sums, form, deep__cuda_tile_grid(node, &sums.tiles, form.lanes));
    const totals_arguments totals = {.partial = sums.partial,
                                     .chunks = deep__cuda_chunks(&sums.tiles),
                                     .quantities = 2,
                                     .columns = sums.tiles.columns,
                                     .extra = {call->dst[1], call->dst[2]}};
    deep__cuda_totals(node, &totals);
    const norm_grad_arguments grad = {.norm = sums.norm,
                                      .dy = sums.dy,
                                      .x = sums.x,
                                      .dot = through_statistics ? call->dst[1] : NULL,
                                      .sum = call->dst[2],
                                      .dx = call->dst[0]};
    deep__cuda_norm_grad(node, call->in[0], &grad);
}

deep_status deep__cuda_run_batch_norm_grad(const cuda_node *node)
{
    norm_gradients(node, true);
    return DEEP_OK;
}

deep_status deep__cuda_run_batch_norm_infer_grad(const cuda_node *node)
{
    norm_gradients(node, false);
    return DEEP_OK;
}

size_t deep__cuda_scratch_reduce_sum(const deep_call *call)
{
    return deep__cuda_sums_bytes(call->in[0], 1);
}

deep_status deep__cuda_run_reduce_sum(const cuda_node *node)
{
    const deep_call *call = &node->call;
    const kernel_form form = form_of(call->in[0]);
    const sums_arguments sums = {.tiles = tiles_of(call->in[0]), .x = call->src[0], .partial = call->scratch};
    deep__kernel_sum(&sums, form, deep__cuda_tile_grid(node, &sums.tiles, form.lanes));
    const totals_arguments totals = {.partial = sums.partial,
                                     .chunks = deep__cuda_chunks(&sums.tiles),
                                     .quantities = 1,
                                     .columns = sums.tiles.columns,
                                     .out = call->dst[0]};
    deep__cuda_totals(node, &totals);
    return DEEP_OK;
}
