/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dense convolutions and layers. 1x1 kernels with stride 1 are matrix products of all pixels at once; the others are
 * cuDNN's, which wants kernels by output channel.
 */
#include "backend_cuda/cuda.h"
#include "backend_cuda/kernels/elementwise.h"

static bool is_product(const deep_attr *attr, const deep_value_info *w)
{
    const int32_t *pad = attr->conv.pad;
    return w->shape[0] == 1 && w->shape[1] == 1 && attr->conv.stride == 1 && (pad[0] | pad[1] | pad[2] | pad[3]) == 0;
}

static size_t kernel_bytes(const deep_value_info *w)
{
    return cuda_align((size_t)cuda_elements(w) * sizeof(float));
}

/* ---- kernels: scaled, and in the other order ---- */

/* w x scale of each column, the last axis. */
static void scale_columns(const cuda_node *node, float *to, const float *w, const float *scale,
                          const deep_value_info *info)
{
    const rows_arguments a = {
        .count = cuda_elements(info), .columns = deep__columns(info), .x = w, .scale = scale, .y = to};
    deep__kernel_rows(&a, cuda_flat_grid(node, a.count));
}

/* [rows, columns, in, out] to [out, rows, columns, in], or back. */
static void permute_kernel(const cuda_node *node, float *to, const float *from, const deep_value_info *w, bool back)
{
    const int64_t r = w->shape[0], s = w->shape[1], i = w->shape[2], o = w->shape[3];
    permute_arguments a = {.count = cuda_elements(w), .rank = 4, .x = from, .y = to};
    if (back)
        a = (permute_arguments){a.count, 4, {r, s, i, o}, {s * i, i, 1, r * s * i}, from, to};
    else
        a = (permute_arguments){a.count, 4, {o, r, s, i}, {1, s * i * o, i * o, o}, from, to};
    deep__kernel_permute(&a, cuda_flat_grid(node, a.count));
}

/* ---- forward ---- */

static deep_convolution_shape shape_of(const deep_call *call, const deep_value_info *x, const deep_value_info *w,
                                       const deep_value_info *y)
{
    deep_convolution_shape shape = {.images = x->shape[0],
                                    .height = x->shape[1],
                                    .width = x->shape[2],
                                    .channels = x->shape[3],
                                    .out_height = y->shape[1],
                                    .out_width = y->shape[2],
                                    .out_channels = y->shape[3],
                                    .rows = w->shape[0],
                                    .columns = w->shape[1],
                                    .stride = call->attr->conv.stride};
    for (int i = 0; i < 4; ++i)
        shape.pad[i] = call->attr->conv.pad[i];
    return shape;
}

/* The product of all pixels of x with operand `kernel`, and the epilogue. */
static deep_status prepare_pointwise(cuda_node *node, int kernel)
{
    const deep_call *call = &node->call;
    const int32_t epilogue = call->attr->conv.epilogue;
    const deep_product_shape shape = {.rows = deep__rows(call->in[0]),
                                      .columns = deep__columns(call->in[kernel]),
                                      .inner = deep__columns(call->in[0]),
                                      .bias = (epilogue & DEEP_EPILOGUE_AFFINE) != 0,
                                      .added = (epilogue & DEEP_EPILOGUE_ADD) != 0,
                                      .relu = (epilogue & DEEP_EPILOGUE_RELU) != 0};
    return deep__product_create(&node->products[0], node->accelerator, &shape);
}

deep_status deep__cuda_prepare_conv2d(cuda_node *node)
{
    const deep_call *call = &node->call;
    if (!is_product(call->attr, call->in[1])) {
        const deep_convolution_shape shape = shape_of(call, call->in[0], call->in[1], call->out[0]);
        return deep__convolution_create(&node->convolution, node->accelerator, &shape, DEEP_FORWARD);
    }
    return prepare_pointwise(node, 1);
}

size_t deep__cuda_scratch_conv2d(const deep_call *call)
{
    const bool scaled = (call->attr->conv.epilogue & DEEP_EPILOGUE_AFFINE) != 0;
    return scaled || !is_product(call->attr, call->in[1]) ? kernel_bytes(call->in[1]) : 0;
}

/* The operands behind the kernel. */
typedef struct epilogue {
    const float *scale, *shift, *residual;
} epilogue;

static epilogue epilogue_of(const deep_call *call, int next)
{
    epilogue e = {NULL, NULL, NULL};
    if (call->attr->conv.epilogue & DEEP_EPILOGUE_AFFINE) {
        e.scale = call->src[next++];
        e.shift = call->src[next++];
    }
    if (call->attr->conv.epilogue & DEEP_EPILOGUE_ADD) e.residual = call->src[next];
    return e;
}

static deep_status run_convolution(const cuda_node *node)
{
    const deep_call *call = &node->call;
    const epilogue e = epilogue_of(call, 2);
    permute_kernel(node, call->scratch, call->src[1], call->in[1], false);
    DEEP_TRY(deep__convolution_run(node->convolution, call->src[0], call->scratch, call->dst[0], cuda_workspace(node)));
    if (call->attr->conv.epilogue == 0) return DEEP_OK;
    const affine_arguments a = {
        .tiles = {.rows = (uint32_t)deep__rows(call->out[0]), .columns = (uint32_t)deep__columns(call->out[0])},
        .norm = {.relu = (call->attr->conv.epilogue & DEEP_EPILOGUE_RELU) != 0},
        .scale = e.scale,
        .shift = e.shift,
        .x = call->dst[0],
        .residual = e.residual,
        .y = call->dst[0]};
    deep__cuda_affine(node, &a);
    return DEEP_OK;
}

/* y = rows x operand `kernel`, with the epilogue; `room` takes the scaled kernel. */
static deep_status run_pointwise(const cuda_node *node, const float *rows, int kernel, float *room)
{
    const deep_call *call = &node->call;
    const epilogue e = epilogue_of(call, kernel + 1);
    const float *w = call->src[kernel];
    if (e.scale != NULL) {
        scale_columns(node, room, w, e.scale, call->in[kernel]);
        w = room;
    }
    const deep_product_operands operands = {rows, w, e.residual, e.shift, call->dst[0], cuda_workspace(node)};
    return deep__product_run(node->products[0], &operands);
}

deep_status deep__cuda_run_conv2d(const cuda_node *node)
{
    if (node->convolution != NULL) return run_convolution(node);
    return run_pointwise(node, node->call.src[0], 1, node->call.scratch);
}

/* ---- gradients ---- */

/* The first two operands, as the product was prepared for. */
static deep_status run_plain_product(const cuda_node *node)
{
    const deep_call *call = &node->call;
    const deep_product_operands operands = {call->src[0], call->src[1], NULL, NULL, call->dst[0], cuda_workspace(node)};
    return deep__product_run(node->products[0], &operands);
}

size_t deep__cuda_scratch_conv2d_grad(const deep_call *call)
{
    const deep_value_info *w = call->node->op == DEEP_OP_CONV2D_GRAD_INPUT ? call->in[1] : call->out[0];
    return is_product(call->attr, w) ? 0 : kernel_bytes(w);
}

deep_status deep__cuda_prepare_conv2d_grad_input(cuda_node *node)
{
    const deep_call *call = &node->call;
    const deep_value_info *dy = call->in[0], *w = call->in[1];
    if (!is_product(call->attr, w)) {
        const deep_convolution_shape shape = shape_of(call, call->out[0], w, dy);
        return deep__convolution_create(&node->convolution, node->accelerator, &shape, DEEP_TO_INPUT);
    }
    const deep_product_shape shape = {.rows = deep__rows(dy),
                                      .columns = deep__columns(call->out[0]),
                                      .inner = deep__columns(dy),
                                      .b_transposed = true};
    return deep__product_create(&node->products[0], node->accelerator, &shape);
}

deep_status deep__cuda_run_conv2d_grad_input(const cuda_node *node)
{
    const deep_call *call = &node->call;
    if (node->convolution != NULL) {
        permute_kernel(node, call->scratch, call->src[1], call->in[1], false);
        return deep__convolution_run(node->convolution, call->dst[0], call->scratch, call->src[0],
                                     cuda_workspace(node));
    }
    return run_plain_product(node);
}

deep_status deep__cuda_prepare_conv2d_grad_weights(cuda_node *node)
{
    const deep_call *call = &node->call;
    const deep_value_info *x = call->in[0], *dy = call->in[1], *w = call->out[0];
    if (!is_product(call->attr, w)) {
        const deep_convolution_shape shape = shape_of(call, x, w, dy);
        return deep__convolution_create(&node->convolution, node->accelerator, &shape, DEEP_TO_WEIGHTS);
    }
    const deep_product_shape shape = {
        .rows = deep__columns(x), .columns = deep__columns(dy), .inner = deep__rows(x), .a_transposed = true};
    return deep__product_create(&node->products[0], node->accelerator, &shape);
}

deep_status deep__cuda_run_conv2d_grad_weights(const cuda_node *node)
{
    const deep_call *call = &node->call;
    if (node->convolution != NULL) {
        DEEP_TRY(
            deep__convolution_run(node->convolution, call->src[0], call->scratch, call->src[1], cuda_workspace(node)));
        permute_kernel(node, call->dst[0], call->scratch, call->out[0], true);
        return DEEP_OK;
    }
    return run_plain_product(node);
}

/* ---- dense layers ---- */

deep_status deep__cuda_prepare_dense(cuda_node *node)
{
    const deep_value_info *x = node->call.in[0], *w = node->call.in[1];
    const deep_product_shape shape = {.rows = x->shape[0], .columns = w->shape[1], .inner = x->shape[1], .bias = true};
    return deep__product_create(&node->products[0], node->accelerator, &shape);
}

deep_status deep__cuda_run_dense(const cuda_node *node)
{
    const deep_call *call = &node->call;
    const deep_product_operands operands = {call->src[0], call->src[1], NULL,
                                            call->src[2], call->dst[0], cuda_workspace(node)};
    return deep__product_run(node->products[0], &operands);
}

deep_status deep__cuda_prepare_dense_grad_input(cuda_node *node)
{
    const deep_value_info *dy = node->call.in[0], *w = node->call.in[1];
    const deep_product_shape shape = {
        .rows = dy->shape[0], .columns = w->shape[0], .inner = dy->shape[1], .b_transposed = true};
    return deep__product_create(&node->products[0], node->accelerator, &shape);
}

deep_status deep__cuda_prepare_dense_grad_weights(cuda_node *node)
{
    const deep_value_info *x = node->call.in[0], *dy = node->call.in[1];
    const deep_product_shape shape = {
        .rows = x->shape[1], .columns = dy->shape[1], .inner = x->shape[0], .a_transposed = true};
    return deep__product_create(&node->products[0], node->accelerator, &shape);
}

deep_status deep__cuda_run_dense_grad_input(const cuda_node *node)
{
    return run_plain_product(node);
}

deep_status deep__cuda_run_dense_grad_weights(const cuda_node *node)
{
    return run_plain_product(node);
}

/* ---- separable: the depthwise half goes through scratch ---- */

bool deep__cuda_fits_separable(const deep_call *call)
{
    const bool backward = call->node->op == DEEP_OP_SEPARABLE_GRAD;
    return deep__cuda_is_xceptions(call->attr, call->in[backward ? 2 : 1]);
}

deep_status deep__cuda_prepare_separable(cuda_node *node)
{
    return prepare_pointwise(node, 2);
}

size_t deep__cuda_scratch_separable(const deep_call *call)
{
    return kernel_bytes(call->in[0]) + kernel_bytes(call->in[2]);
}

deep_status deep__cuda_run_separable(const cuda_node *node)
{
    const deep_call *call = &node->call;
    float *between = call->scratch;
    const cuda_depthwise d = {call->in[0], {.relu = call->attr->conv.relu_input}, call->src[0], call->src[1]};
    deep__cuda_depthwise(node, &d, between);
    return run_pointwise(node, between, 2, between + kernel_bytes(call->in[0]) / sizeof *between);
}
