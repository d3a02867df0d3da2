/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dense convolutions with plain kernels, and their gradients. A 1x1 convolution without padding is a matrix product over
 * the pixels (gathered first when strided); any other one is oneDNN's. Packed kernels: cpu_windows.c, cpu_bands.c.
 */
#include "backend_cpu/cpu.h"

#include <string.h>

typedef struct conv_operands {
    const deep_value_info *x, *w, *y;
    float *x_data, *w_data, *y_data;
} conv_operands;

/* Input, kernel and output of a node, whichever direction it computes. */
static conv_operands operands_of(const deep_call *call)
{
    const bool input = call->node->op == DEEP_OP_CONV2D_GRAD_INPUT,
               weights = call->node->op == DEEP_OP_CONV2D_GRAD_WEIGHTS;
    if (input) return (conv_operands){call->out[0], call->in[1], call->in[0], call->dst[0], call->src[1], call->src[0]};
    if (weights)
        return (conv_operands){call->in[0], call->out[0], call->in[1], call->src[0], call->dst[0], call->src[1]};
    return (conv_operands){call->in[0], call->in[1], call->out[0], call->src[0], call->src[1], call->dst[0]};
}

bool deep__cpu_is_pointwise(const deep_call *call)
{
    const int32_t *pad = call->attr->conv.pad;
    const deep_value_info *w = operands_of(call).w;
    return w->shape[0] == 1 && w->shape[1] == 1 && (pad[0] | pad[1] | pad[2] | pad[3]) == 0;
}

deep_status deep__cpu_conv_prepare(cpu_node *node, const deep_host *host)
{
    const conv_operands o = operands_of(&node->call);
    const deep_attr *attr = node->call.attr;
    if (deep__cpu_is_pointwise(&node->call) || deep__cpu_is_packed(node)) return DEEP_OK;
    deep_onednn_shape shape = {
        .batch = o.x->shape[0],
        .rows = o.x->shape[1],
        .columns = o.x->shape[2],
        .channels = o.x->shape[3],
        .kernel_rows = o.w->shape[0],
        .kernel_columns = o.w->shape[1],
        .outputs = o.w->shape[3],
        .output_rows = o.y->shape[1],
        .output_columns = o.y->shape[2],
        .stride = attr->conv.stride,
    };
    memcpy(shape.pad, attr->conv.pad, sizeof shape.pad);
    const deep_op op = node->call.node->op;
    const enum deep_onednn_direction direction = op == DEEP_OP_CONV2D              ? DEEP_ONEDNN_FORWARD
                                                 : op == DEEP_OP_CONV2D_GRAD_INPUT ? DEEP_ONEDNN_GRAD_INPUT
                                                                                   : DEEP_ONEDNN_GRAD_WEIGHTS;
    return deep__onednn_conv_create(&node->conv, host, direction, &shape);
}

size_t deep__cpu_conv_scratch(const cpu_node *node)
{
    if (node->conv != NULL) return deep__onednn_conv_scratch(node->conv);
    if (deep__cpu_is_packed(node))
        return deep__cpu_windows_fit(node) ? deep__cpu_windows_scratch(node) : deep__cpu_bands_scratch(node);
    const conv_operands o = operands_of(&node->call);
    if (node->call.attr->conv.stride == 1) return 0;
    return (size_t)(o.y->shape[0] * o.y->shape[1] * o.y->shape[2] * o.x->shape[3]) * sizeof(float);
}

/* ---- strided 1x1: the pixels that the stride meets, gathered or put back ---- */

typedef struct stride_call {
    const deep_value_info *x, *y;
    float *image;    /* [N, H, W, C] */
    float *gathered; /* [N, h, w, C] */
    int32_t stride;
} stride_call;

static void gather_row(const void *context, int64_t row)
{
    const stride_call *s = context;
    const int64_t channels = s->x->shape[3], columns = s->y->shape[2];
    const int64_t n = row / s->y->shape[1], h = row % s->y->shape[1];
    const float *from = s->image + (n * s->x->shape[1] + h * s->stride) * s->x->shape[2] * channels;
    float *to = s->gathered + row * columns * channels;
    for (int64_t w = 0; w < columns; ++w)
        memcpy(to + w * channels, from + w * s->stride * channels, (size_t)channels * sizeof *to);
}

static void scatter_row(const void *context, int64_t row)
{
    const stride_call *s = context;
    const int64_t channels = s->x->shape[3], width = s->x->shape[2];
    const int64_t n = row / s->x->shape[1], h = row % s->x->shape[1];
    float *to = s->image + row * width * channels;
    memset(to, 0, (size_t)(width * channels) * sizeof *to);
    if (h % s->stride != 0 || h / s->stride >= s->y->shape[1]) return;
    const float *from = s->gathered + (n * s->y->shape[1] + h / s->stride) * s->y->shape[2] * channels;
    for (int64_t w = 0; w < s->y->shape[2]; ++w)
        memcpy(to + w * s->stride * channels, from + w * channels, (size_t)channels * sizeof *to);
}

static float *gathered_input(const cpu_run *run, const conv_operands *o)
{
    if (run->call->attr->conv.stride == 1) return o->x_data;
    const stride_call s = {o->x, o->y, o->x_data, run->call->scratch, run->call->attr->conv.stride};
    deep__cpu_parallel(run->threads, o->y->shape[0] * o->y->shape[1], gather_row, &s);
    return s.gathered;
}

/* ---- forward ---- */

typedef struct epilogue_call {
    const cpu_run *run;
    float *y;
    const float *scale, *shift, *residual;
    int64_t rows, columns, grain;
    bool relu;
} epilogue_call;

static void epilogue_part(const void *context, int64_t part)
{
    const epilogue_call *e = context;
    const int64_t begin = part * e->grain, end = cpu_part_end(part, e->grain, e->rows);
    float *y = e->y + begin * e->columns;
    const float *residual = e->residual == NULL ? NULL : e->residual + begin * e->columns;
    const cpu_kernels *k = e->run->kernels;
    if (e->scale != NULL) {
        k->scale_shift(y, y, e->scale, e->shift, residual, end - begin, e->columns, e->relu);
        return;
    }
    if (residual != NULL) k->add(y, y, residual, (end - begin) * e->columns);
    if (e->relu) k->relu(y, y, (end - begin) * e->columns);
}

static void run_epilogue(const cpu_run *run)
{
    const deep_call *call = run->call;
    const int32_t flags = call->attr->conv.epilogue;
    if (flags == 0) return;
    const bool affine = flags & DEEP_EPILOGUE_AFFINE;
    epilogue_call e = {.run = run,
                       .y = call->dst[0],
                       .scale = affine ? call->src[2] : NULL,
                       .shift = affine ? call->src[3] : NULL,
                       .residual = flags & DEEP_EPILOGUE_ADD ? call->src[affine ? 4 : 2] : NULL,
                       .rows = deep__rows(call->out[0]),
                       .columns = deep__columns(call->out[0]),
                       .relu = flags & DEEP_EPILOGUE_RELU};
    e.grain = cpu_row_grain(e.columns);
    deep__cpu_parallel(run->threads, cpu_parts(e.rows, e.grain), epilogue_part, &e);
}

deep_status deep__cpu_conv2d(const cpu_run *run)
{
    const conv_operands o = operands_of(run->call);
    if (deep__cpu_is_packed(run->node))
        return deep__cpu_windows_fit(run->node) ? deep__cpu_windows(run) : deep__cpu_bands(run);
    if (run->node->conv != NULL)
        DEEP_TRY(deep__onednn_conv_run(run->node->conv, o.x_data, o.w_data, o.y_data, run->call->scratch));
    else
        DEEP_TRY(deep__onednn_gemm(run->host, false, false, deep__rows(o.y), o.w->shape[3], o.w->shape[2],
                                   gathered_input(run, &o), o.w_data, o.y_data));
    run_epilogue(run);
    return DEEP_OK;
}

/* ---- backward ---- */

deep_status deep__cpu_conv2d_grad_input(const cpu_run *run)
{
    const conv_operands o = operands_of(run->call);
    if (run->node->conv != NULL)
        return deep__onednn_conv_run(run->node->conv, o.x_data, o.w_data, o.y_data, run->call->scratch);
    const bool strided = run->call->attr->conv.stride != 1;
    float *dx = strided ? run->call->scratch : o.x_data;
    DEEP_TRY(deep__onednn_gemm(run->host, false, true, deep__rows(o.y), o.w->shape[2], o.w->shape[3], o.y_data,
                               o.w_data, dx));
    if (!strided) return DEEP_OK;
    const stride_call s = {o.x, o.y, o.x_data, dx, run->call->attr->conv.stride};
    deep__cpu_parallel(run->threads, o.x->shape[0] * o.x->shape[1], scatter_row, &s);
    return DEEP_OK;
}

deep_status deep__cpu_conv2d_grad_weights(const cpu_run *run)
{
    const conv_operands o = operands_of(run->call);
    if (run->node->conv != NULL)
        return deep__onednn_conv_run(run->node->conv, o.x_data, o.w_data, o.y_data, run->call->scratch);
    return deep__onednn_gemm(run->host, true, false, o.w->shape[2], o.w->shape[3], deep__rows(o.y),
                             gathered_input(run, &o), o.y_data, o.w_data);
}
