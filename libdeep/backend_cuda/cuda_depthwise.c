/* SPDX-License-Identifier: Apache-2.0 */
#include "backend_cuda/cuda.h"
#include "backend_cuda/kernels/depthwise.h"

enum { GENERAL_CHUNKS = 64 }; /* of rows, in a kernel's gradient of other windows */

bool deep__cuda_is_xceptions(const deep_attr *attr, const deep_value_info *w)
{
    for (int i = 0; i < 4; ++i)
        if (attr->conv.pad[i] != 1) return false;
    return w->shape[0] == 3 && w->shape[1] == 3 && attr->conv.stride == 1;
}

/* ---- 3x3, stride 1 ---- */

/* Queues the forward kernel: a block has DEPTHWISE_GROUPS groups of channels and the rest of its threads below them. */
static void queue_depthwise(const cuda_node *node, int32_t dtype, const depthwise_arguments *a)
{
    const kernel_form form = cuda_form_of(dtype, a->channels, DEPTHWISE_LANES);
    const int64_t below = KERNEL_THREADS / DEPTHWISE_GROUPS, groups = a->channels / form.lanes;
    const int64_t places = cuda_divide_up(a->height, DEPTHWISE_STRIP) * a->width * a->images;
    const kernel_grid grid = {(uint32_t)cuda_divide_up(places, below),
                              (uint32_t)cuda_divide_up(groups, DEPTHWISE_GROUPS), KERNEL_THREADS,
                              deep__accelerator_stream(node->accelerator)};
    deep__kernel_depthwise(a, form, grid);
}

static depthwise_arguments shape_of(const deep_value_info *x)
{
    return (depthwise_arguments){.images = (int32_t)x->shape[0],
                                 .height = (int32_t)x->shape[1],
                                 .width = (int32_t)x->shape[2],
                                 .channels = (int32_t)x->shape[3]};
}

void deep__cuda_depthwise(const cuda_node *node, const cuda_depthwise *d, void *y)
{
    depthwise_arguments a = shape_of(d->x_info);
    a.norm = d->norm;
    a.x = d->x;
    a.w = d->w;
    a.y = y;
    queue_depthwise(node, d->x_info->dtype, &a);
}

static kernel_form grad_form(const deep_value_info *x)
{
    return cuda_form_of(x->dtype, x->shape[3], DEPTHWISE_GRAD_LANES);
}

static column_tiles grad_tiles(const deep_value_info *x)
{
    return deep__cuda_tiles(x->shape[0] * x->shape[1], x->shape[3], grad_form(x).lanes);
}

size_t deep__cuda_depthwise_grad_bytes(const deep_value_info *x)
{
    const column_tiles tiles = grad_tiles(x);
    return deep__cuda_partial_bytes(&tiles, DEPTHWISE_SUMS);
}

void deep__cuda_depthwise_grad(const cuda_node *node, const cuda_depthwise *d, const void *dy, void *dx, float *dw,
                               float *dot, float *sum, float *partial)
{
    const kernel_form form = grad_form(d->x_info);
    const depthwise_grad_arguments a = {.tiles = grad_tiles(d->x_info),
                                        .height = (int32_t)d->x_info->shape[1],
                                        .width = (int32_t)d->x_info->shape[2],
                                        .norm = d->norm,
                                        .dy = dy,
                                        .x = d->x,
                                        .w = d->w,
                                        .dx = dx,
                                        .partial = partial};
    deep__kernel_depthwise_grad(&a, form, deep__cuda_tile_grid(node, &a.tiles, form.lanes));
    const bool norm = d->norm.gamma != NULL;
    const totals_arguments totals = {.partial = partial,
                                     .chunks = deep__cuda_chunks(&a.tiles),
                                     .quantities = norm ? DEPTHWISE_SUMS : DEPTHWISE_TAPS,
                                     .columns = a.tiles.columns,
                                     .out = dw,
                                     .extra = {norm ? dot : NULL, norm ? sum : NULL}};
    deep__cuda_totals(node, &totals);
}

/* ---- any window ---- */

static window_arguments window_of(const deep_call *call, const deep_value_info *x, const deep_value_info *w,
                                  const deep_value_info *y)
{
    const deep_attr *attr = call->attr;
    return (window_arguments){.images = (int32_t)x->shape[0],
                              .height = (int32_t)x->shape[1],
                              .width = (int32_t)x->shape[2],
                              .out_height = (int32_t)y->shape[1],
                              .out_width = (int32_t)y->shape[2],
                              .channels = (int32_t)x->shape[3],
                              .rows = (int32_t)w->shape[0],
                              .columns = (int32_t)w->shape[1],
                              .stride = attr->conv.stride,
                              .top = attr->conv.pad[DEEP_PAD_TOP],
                              .left = attr->conv.pad[DEEP_PAD_LEFT],
                              .relu = attr->conv.relu_input};
}

deep_status deep__cuda_run_depthwise(const cuda_node *node)
{
    const deep_call *call = &node->call;
    if (deep__cuda_is_xceptions(call->attr, call->in[1])) {
        const cuda_depthwise d = {call->in[0], {.relu = call->attr->conv.relu_input}, call->src[0], call->src[1]};
        deep__cuda_depthwise(node, &d, call->dst[0]);
        return DEEP_OK;
    }
    window_arguments a = window_of(call, call->in[0], call->in[1], call->out[0]);
    a.x = call->src[0];
    a.w = call->src[1];
    a.result = call->dst[0];
    deep__kernel_window(&a, cuda_grid(node, cuda_elements(call->out[0])));
    return DEEP_OK;
}

/* The slope of x is dy under the kernel in reverse. */
deep_status deep__cuda_run_depthwise_grad_input(const cuda_node *node)
{
    const deep_call *call = &node->call;
    const void *x = call->attr->conv.relu_input ? call->src[2] : NULL;
    if (deep__cuda_is_xceptions(call->attr, call->in[1])) {
        depthwise_arguments a = shape_of(call->out[0]);
        a.flip = 1;
        a.x = call->src[0];
        a.w = call->src[1];
        a.mask = x;
        a.y = call->dst[0];
        queue_depthwise(node, call->in[0]->dtype, &a);
        return DEEP_OK;
    }
    window_arguments a = window_of(call, call->out[0], call->in[1], call->in[0]);
    a.dy = call->src[0];
    a.w = call->src[1];
    a.x = x;
    a.result = call->dst[0];
    deep__kernel_window_grad_input(&a, cuda_grid(node, cuda_elements(call->out[0])));
    return DEEP_OK;
}

static uint32_t general_span(const deep_value_info *y)
{
    return (uint32_t)((y->shape[0] * y->shape[1] + GENERAL_CHUNKS - 1) / GENERAL_CHUNKS);
}

size_t deep__cuda_scratch_depthwise_grad_weights(const deep_call *call)
{
    if (deep__cuda_is_xceptions(call->attr, call->out[0])) return deep__cuda_depthwise_grad_bytes(call->in[0]);
    return cuda_align((size_t)cuda_elements(call->out[0]) * GENERAL_CHUNKS * sizeof(float));
}

deep_status deep__cuda_run_depthwise_grad_weights(const cuda_node *node)
{
    const deep_call *call = &node->call;
    if (deep__cuda_is_xceptions(call->attr, call->out[0])) {
        const cuda_depthwise d = {call->in[0], {.relu = call->attr->conv.relu_input}, call->src[0], NULL};
        deep__cuda_depthwise_grad(node, &d, call->src[1], NULL, call->dst[0], NULL, NULL, call->scratch);
        return DEEP_OK;
    }
    window_arguments a = window_of(call, call->in[0], call->out[0], call->in[1]);
    a.x = call->src[0];
    a.dy = call->src[1];
    a.span = general_span(call->in[1]);
    a.result = call->scratch;
    const uint32_t rows = (uint32_t)(call->in[1]->shape[0] * call->in[1]->shape[1]);
    const uint32_t chunks = (rows + a.span - 1) / a.span, taps = (uint32_t)(a.rows * a.columns);
    const uint32_t across = ((uint32_t)a.channels + KERNEL_THREADS - 1) / KERNEL_THREADS;
    const kernel_grid grid = {across * chunks, taps, KERNEL_THREADS, deep__accelerator_stream(node->accelerator)};
    deep__kernel_window_grad_weights(&a, grid);
    const totals_arguments totals = {.partial = a.result,
                                     .chunks = chunks,
                                     .quantities = taps,
                                     .columns = (uint32_t)a.channels,
                                     .out = call->dst[0]};
    deep__cuda_totals(node, &totals);
    return DEEP_OK;
}
