/* SPDX-License-Identifier: Apache-2.0 */
/* Batch norm and sums over rows. */
#include "backend_cuda/cuda.h"

enum {
    TILE_GROUPS = 32,  /* at most, side by side */
    ROWS_A_THREAD = 8, /* at least, where there are so many */
    BLOCKS_WANTED =
        1024 /* for a GPU of up to 148 multiprocessors; a number of its own would change sums with the GPU */
};

static int64_t divide_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

column_tiles deep__cuda_tiles(int64_t rows, int64_t columns, int lanes)
{
    const int64_t groups = columns / lanes;
    column_tiles tiles = {.rows = (uint32_t)rows, .columns = (uint32_t)columns, .width = 1};
    while (tiles.width < TILE_GROUPS && tiles.width < groups)
        tiles.width *= 2;
    const int64_t across = divide_up(groups, tiles.width), below = KERNEL_THREADS / tiles.width;
    const int64_t most = across < BLOCKS_WANTED ? BLOCKS_WANTED / across : 1;
    int64_t chunks = divide_up(rows, below * ROWS_A_THREAD);
    if (chunks > most) chunks = most;
    tiles.span = (uint32_t)divide_up(rows, chunks);
    return tiles;
}

uint32_t deep__cuda_chunks(const column_tiles *tiles)
{
    return (tiles->rows + tiles->span - 1) / tiles->span;
}

kernel_grid deep__cuda_tile_grid(const cuda_node *node, const column_tiles *tiles, int lanes)
{
    const int64_t across = divide_up(tiles->columns / (uint32_t)lanes, tiles->width);
    return (kernel_grid){deep__cuda_chunks(tiles), (uint32_t)across, KERNEL_THREADS,
                         deep__accelerator_stream(node->accelerator)};
}

size_t deep__cuda_sums_bytes(int64_t rows, int64_t columns, int lanes, int64_t quantities)
{
    const column_tiles tiles = deep__cuda_tiles(rows, columns, lanes);
    return cuda_align((size_t)deep__cuda_chunks(&tiles) * (size_t)(quantities * columns) * sizeof(float));
}

/* ---- what other ops use too ---- */

void deep__cuda_affine(const cuda_node *node, const affine_arguments *arguments)
{
    affine_arguments a = *arguments;
    const int lanes = cuda_lanes(a.tiles.columns);
    a.tiles = deep__cuda_tiles(a.tiles.rows, a.tiles.columns, lanes);
    (lanes == MAX_LANES ? deep__kernel_affine_4 : deep__kernel_affine_1)(&a,
                                                                         deep__cuda_tile_grid(node, &a.tiles, lanes));
}

void deep__cuda_totals(const cuda_node *node, const totals_arguments *a)
{
    const kernel_grid grid = {(uint32_t)divide_up(a->columns, 32), a->quantities, KERNEL_THREADS,
                              deep__accelerator_stream(node->accelerator)};
    deep__kernel_totals(a, grid);
}

void deep__cuda_moments(const cuda_node *node, const float *x, int64_t rows, int64_t columns, float *partial,
                        float *mean, float *variance)
{
    const int lanes = cuda_lanes(columns);
    const sums_arguments sums = {.tiles = deep__cuda_tiles(rows, columns, lanes), .x = x, .partial = partial};
    (lanes == MAX_LANES ? deep__kernel_moment_sums_4
                        : deep__kernel_moment_sums_1)(&sums, deep__cuda_tile_grid(node, &sums.tiles, lanes));
    const moments_arguments moments = {
        partial, deep__cuda_chunks(&sums.tiles), (uint32_t)columns, (uint32_t)rows, x, mean, variance};
    const kernel_grid grid = {(uint32_t)divide_up(columns, 32), 1, KERNEL_THREADS,
                              deep__accelerator_stream(node->accelerator)};
    deep__kernel_moments(&moments, grid);
}

void deep__cuda_norm_grad(const cuda_node *node, const norm_grad_arguments *arguments)
{
    norm_grad_arguments a = *arguments;
    const int lanes = cuda_lanes(a.tiles.columns);
    a.tiles = deep__cuda_tiles(a.tiles.rows, a.tiles.columns, lanes);
    (lanes == MAX_LANES ? deep__kernel_norm_grad_4
                        : deep__kernel_norm_grad_1)(&a, deep__cuda_tile_grid(node, &a.tiles, lanes));
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

static column_tiles shape_of(const deep_value_info *x)
{
    return (column_tiles){.rows = (uint32_t)deep__rows(x), .columns = (uint32_t)deep__columns(x)};
}

size_t deep__cuda_scratch_norm(const deep_call *call)
{
    const int64_t rows = deep__rows(call->in[0]), columns = deep__columns(call->in[0]);
    return deep__cuda_sums_bytes(rows, columns, cuda_lanes(columns), 2);
}

deep_status deep__cuda_run_batch_norm_train(const cuda_node *node)
{
    const deep_call *call = &node->call;
    deep__cuda_moments(node, call->src[0], deep__rows(call->in[0]), deep__columns(call->in[0]), call->scratch,
                       call->dst[1], call->dst[2]);
    const affine_arguments a = {.tiles = shape_of(call->in[0]),
                                .norm = norm_of(call, call->src[1], call->src[2], call->dst[1], call->dst[2]),
                                .x = call->src[0],
                                .y = call->dst[0]};
    deep__cuda_affine(node, &a);
    return DEEP_OK;
}

deep_status deep__cuda_run_batch_norm_infer(const cuda_node *node)
{
    const deep_call *call = &node->call;
    const affine_arguments a = {.tiles = shape_of(call->in[0]),
                                .norm = norm_of(call, call->src[1], call->src[2], call->src[3], call->src[4]),
                                .x = call->src[0],
                                .residual = call->node->input_count > 5 ? call->src[5] : NULL,
                                .y = call->dst[0]};
    deep__cuda_affine(node, &a);
    return DEEP_OK;
}

/* Operands: dy, x, gamma, beta, mean, variance -> dx, dgamma, dbeta. */
static void norm_gradients(const cuda_node *node, bool through_statistics)
{
    const deep_call *call = &node->call;
    const int lanes = cuda_lanes(deep__columns(call->in[0]));
    const sums_arguments sums = {
        .tiles = deep__cuda_tiles(deep__rows(call->in[0]), deep__columns(call->in[0]), lanes),
        .norm = norm_of(call, call->src[2], call->src[3], call->src[4], call->src[5]),
        .x = call->src[1],
        .dy = call->src[0],
        .partial = call->scratch,
    };
    (lanes == MAX_LANES ? deep__kernel_norm_sums_4
                        : deep__kernel_norm_sums_1)(&sums, deep__cuda_tile_grid(node, &sums.tiles, lanes));
    const totals_arguments totals = {.partial = sums.partial,
                                     .chunks = deep__cuda_chunks(&sums.tiles),
                                     .quantities = 2,
                                     .columns = sums.tiles.columns,
                                     .extra = {call->dst[1], call->dst[2]}};
    deep__cuda_totals(node, &totals);
    const norm_grad_arguments grad = {.tiles = sums.tiles,
                                      .norm = sums.norm,
                                      .dy = sums.dy,
                                      .x = sums.x,
                                      .dot = through_statistics ? call->dst[1] : NULL,
                                      .sum = call->dst[2],
                                      .dx = call->dst[0]};
    deep__cuda_norm_grad(node, &grad);
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
    const int64_t rows = deep__rows(call->in[0]), columns = deep__columns(call->in[0]);
    return deep__cuda_sums_bytes(rows, columns, cuda_lanes(columns), 1);
}

deep_status deep__cuda_run_reduce_sum(const cuda_node *node)
{
    const deep_call *call = &node->call;
    const int64_t rows = deep__rows(call->in[0]), columns = deep__columns(call->in[0]);
    const int lanes = cuda_lanes(columns);
    const sums_arguments sums = {
        .tiles = deep__cuda_tiles(rows, columns, lanes), .x = call->src[0], .partial = call->scratch};
    (lanes == MAX_LANES ? deep__kernel_sum_4 : deep__kernel_sum_1)(&sums,
                                                                   deep__cuda_tile_grid(node, &sums.tiles, lanes));
    const totals_arguments totals = {.partial = sums.partial,
                                     .chunks = deep__cuda_chunks(&sums.tiles),
                                     .quantities = 1,
                                     .columns = sums.tiles.columns,
                                     .out = call->dst[0]};
    deep__cuda_totals(node, &totals);
    return DEEP_OK;
}
