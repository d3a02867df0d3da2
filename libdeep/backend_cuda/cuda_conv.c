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

/* ---- kernels: scaled, in the other order, in the type that the op computes with ---- */

/* w x scale of each column, the last axis. */
static void scale_columns(const cuda_node *node, void *to, int32_t dtype, const float *w, const float *scale,
                          const deep_value_info *info)
{
    const rows_arguments a = {.count = cuda_elements(info),
                              .columns = deep__columns(info),
                              .x = w,
                              .scale = scale,
                              .storage = cuda_storage(dtype),
                              .y = to};
    deep__kernel_rows(&a, cuda_flat_grid(node, a.count));
}

void deep__cuda_to_output_first(const cuda_node *node, void *to, int32_t dtype, const void *from,
                                const deep_value_info *w)
{
    const int64_t r = w->shape[0], s = w->shape[1], i = w->shape[2], o = w->shape[3];
    const permute_arguments a = {.count = cuda_elements(w),
                                 .rank = 4,
                                 .shape = {o, r, s, i},
                                 .stride = {1, s * i * o, i * o, o},
                                 .x_storage = cuda_storage(w->dtype),
                                 .y_storage = cuda_storage(dtype),
                                 .x = from,
                                 .y = to};
    deep__kernel_permute(&a, cuda_flat_grid(node, a.count));
}

/* And back. */
static void from_output_first(const cuda_node *node, void *to, const void *from, int32_t dtype,
                              const deep_value_info *w)
{
    const int64_t r = w->shape[0], s = w->shape[1], i = w->shape[2], o = w->shape[3];
    const permute_arguments a = {.count = cuda_elements(w),
                                 .rank = 4,
                                 .shape = {r, s, i, o},
                                 .stride = {s * i, i, 1, r * s * i},
                                 .x_storage = cuda_storage(dtype),
                                 .y_storage = cuda_storage(w->dtype),
                                 .x = from,
                                 .y = to};
    deep__kernel_permute(&a, cuda_flat_grid(node, a.count));
}

/* Bytes of a copy of `info` as `dtype`; 0 when it is that already. */
static size_t copy_bytes(const deep_value_info *info, int32_t dtype)
{
    return info->dtype == dtype ? 0 : cuda_room(cuda_elements(info), dtype);
}

/* An operand as `dtype`: itself, or a copy in scratch at `*room`, which moves behind it. */
static const void *as_type(const cuda_node *node, const deep_value_info *info, const void *value, int32_t dtype,
                           char **room)
{
    char *copy = *room;
    if (info->dtype == dtype) return value;
    deep__cuda_convert(node, copy, dtype, value, info->dtype, cuda_elements(info));
    *room += copy_bytes(info, dtype);
    return copy;
}

/* ---- forward ---- */

static deep_convolution_shape shape_of(const deep_call *call, const deep_value_info *x, const deep_value_info *w,
                                       const deep_value_info *y, int32_t dtype)
{
    deep_convolution_shape shape = {.dtype = dtype,
                                    .images = x->shape[0],
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

/* The product of all pixels of x with operand `kernel`, and the epilogue; in the type of y. */
static deep_status prepare_pointwise(cuda_node *node, int kernel)
{
    const deep_call *call = &node->call;
    const int32_t epilogue = call->attr->conv.epilogue, dtype = call->out[0]->dtype;
    const deep_product_shape shape = {.factors = dtype,
                                      .result = dtype,
                                      .rows = deep__rows(call->in[0]),
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
        const deep_convolution_shape shape =
            shape_of(call, call->in[0], call->in[1], call->out[0], call->out[0]->dtype);
        return deep__convolution_create(&node->convolution, node->accelerator, &shape, DEEP_FORWARD);
    }
    return prepare_pointwise(node, 1);
}

/* Of the kernel, operand `kernel`, that the product reads, and of the bias. */
static size_t pointwise_bytes(const deep_call *call, int kernel)
{
    const int32_t dtype = call->out[0]->dtype;
    if ((call->attr->conv.epilogue & DEEP_EPILOGUE_AFFINE) == 0) return copy_bytes(call->in[kernel], dtype);
    return copy_bytes(call->in[kernel], DEEP_DTYPE_F32) + cuda_room(cuda_elements(call->in[kernel]), dtype) +
           copy_bytes(call->in[kernel + 2], dtype);
}

size_t deep__cuda_scratch_conv2d(const deep_call *call)
{
    const int32_t dtype = call->out[0]->dtype;
    const size_t kernel =
        is_product(call->attr, call->in[1]) ? pointwise_bytes(call, 1) : cuda_room(cuda_elements(call->in[1]), dtype);
    return copy_bytes(call->in[0], dtype) + kernel;
}

cuda_epilogue deep__cuda_epilogue(const deep_call *call, int next)
{
    cuda_epilogue e = {NULL, NULL, NULL};
    if (call->attr->conv.epilogue & DEEP_EPILOGUE_AFFINE) {
        e.scale = call->src[next++];
        e.shift = call->src[next++];
    }
    if (call->attr->conv.epilogue & DEEP_EPILOGUE_ADD) e.residual = call->src[next];
    return e;
}

/* Inputs of whatever type; a residual of that of y. */
bool deep__cuda_takes_conv2d(const deep_call *call)
{
    const bool adds = (call->attr->conv.epilogue & DEEP_EPILOGUE_ADD) != 0;
    return !adds || call->in[call->node->input_count - 1]->dtype == call->out[0]->dtype;
}

static deep_status run_convolution(const cuda_node *node, const void *x, char *room)
{
    const deep_call *call = &node->call;
    const cuda_epilogue e = deep__cuda_epilogue(call, 2);
    deep__cuda_to_output_first(node, room, call->out[0]->dtype, call->src[1], call->in[1]);
    const deep_convolution_operands operands = {x, room, call->dst[0], cuda_workspace(node)};
    DEEP_TRY(deep__convolution_run(node->convolution, &operands));
    if (call->attr->conv.epilogue == 0) return DEEP_OK;
    const affine_arguments a = {.norm = {.relu = (call->attr->conv.epilogue & DEEP_EPILOGUE_RELU) != 0},
                                .scale = e.scale,
                                .shift = e.shift,
                                .x = call->dst[0],
                                .residual = e.residual,
                                .y = call->dst[0]};
    deep__cuda_affine(node, call->out[0], &a);
    return DEEP_OK;
}

/* y = rows x operand `kernel`, with the epilogue; `room` takes the kernel and the bias as the product reads them. */
static deep_status run_pointwise(const cuda_node *node, const void *rows, int kernel, char *room)
{
    const deep_call *call = &node->call;
    const deep_value_info *info = call->in[kernel];
    const int32_t dtype = call->out[0]->dtype;
    const cuda_epilogue e = deep__cuda_epilogue(call, kernel + 1);
    deep_product_operands operands = {.a = rows, .added = e.residual, .d = call->dst[0]};
    operands.workspace = cuda_workspace(node);
    if (e.scale == NULL) {
        operands.b = as_type(node, info, call->src[kernel], dtype, &room);
    } else {
        const float *w = as_type(node, info, call->src[kernel], DEEP_DTYPE_F32, &room);
        scale_columns(node, room, dtype, w, e.scale, info);
        operands.b = room;
        room += cuda_room(cuda_elements(info), dtype);
        operands.bias = as_type(node, call->in[kernel + 2], e.shift, dtype, &room);
    }
    return deep__product_run(node->products[0], &operands);
}

deep_status deep__cuda_run_conv2d(const cuda_node *node)
{
    const deep_call *call = &node->call;
    char *room = call->scratch;
    const void *x = as_type(node, call->in[0], call->src[0], call->out[0]->dtype, &room);
    return node->convolution != NULL ? run_convolution(node, x, room) : run_pointwise(node, x, 1, room);
}

/* ---- gradients: in the type of dy; that of a kernel is float32 ---- */

/* dx of the type of dy; the kernel of whatever type. */
bool deep__cuda_takes_conv2d_grad_input(const deep_call *call)
{
    return call->in[0]->dtype == call->out[0]->dtype;
}

/* x of whatever type. */
bool deep__cuda_takes_conv2d_grad_weights(const deep_call *call)
{
    return call->out[0]->dtype == DEEP_DTYPE_F32;
}

size_t deep__cuda_scratch_conv2d_grad_input(const deep_call *call)
{
    const deep_value_info *dy = call->in[0], *w = call->in[1];
    return is_product(call->attr, w) ? copy_bytes(w, dy->dtype) : cuda_room(cuda_elements(w), dy->dtype);
}

deep_status deep__cuda_prepare_conv2d_grad_input(cuda_node *node)
{
    const deep_call *call = &node->call;
    const deep_value_info *dy = call->in[0], *w = call->in[1];
    if (!is_product(call->attr, w)) {
        const deep_convolution_shape shape = shape_of(call, call->out[0], w, dy, dy->dtype);
        return deep__convolution_create(&node->convolution, node->accelerator, &shape, DEEP_TO_INPUT);
    }
    const deep_product_shape shape = {.factors = dy->dtype,
                                      .result = dy->dtype,
                                      .rows = deep__rows(dy),
                                      .columns = deep__columns(call->out[0]),
                                      .inner = deep__columns(dy),
                                      .b_transposed = true};
    return deep__product_create(&node->products[0], node->accelerator, &shape);
}

deep_status deep__cuda_run_conv2d_grad_input(const cuda_node *node)
{
    const deep_call *call = &node->call;
    const int32_t dtype = call->in[0]->dtype;
    char *room = call->scratch;
    if (node->convolution != NULL) {
        deep__cuda_to_output_first(node, room, dtype, call->src[1], call->in[1]);
        const deep_convolution_operands operands = {call->dst[0], room, call->src[0], cuda_workspace(node)};
        return deep__convolution_run(node->convolution, &operands);
    }
    const deep_product_operands operands = {.a = call->src[0],
                                            .b = as_type(node, call->in[1], call->src[1], dtype, &room),
                                            .d = call->dst[0],
                                            .workspace = cuda_workspace(node)};
    return deep__product_run(node->products[0], &operands);
}

size_t deep__cuda_scratch_conv2d_grad_weights(const deep_call *call)
{
    const int32_t dtype = call->in[1]->dtype;
    const deep_value_info *w = call->out[0];
    return copy_bytes(call->in[0], dtype) + (is_product(call->attr, w) ? 0 : cuda_room(cuda_elements(w), dtype));
}

deep_status deep__cuda_prepare_conv2d_grad_weights(cuda_node *node)
{
    const deep_call *call = &node->call;
    const deep_value_info *x = call->in[0], *dy = call->in[1], *w = call->out[0];
    if (!is_product(call->attr, w)) {
        const deep_convolution_shape shape = shape_of(call, x, w, dy, dy->dtype);
        return deep__convolution_create(&node->convolution, node->accelerator, &shape, DEEP_TO_WEIGHTS);
    }
    const deep_product_shape shape = {.factors = dy->dtype,
                                      .result = w->dtype,
                                      .rows = deep__columns(x),
                                      .columns = deep__columns(dy),
                                      .inner = deep__rows(x),
                                      .a_transposed = true};
    return deep__product_create(&node->products[0], node->accelerator, &shape);
}

deep_status deep__cuda_run_conv2d_grad_weights(const cuda_node *node)
{
    const deep_call *call = &node->call;
    const int32_t dtype = call->in[1]->dtype;
    char *room = call->scratch;
    const void *x = as_type(node, call->in[0], call->src[0], dtype, &room);
    if (node->convolution != NULL) {
        const deep_convolution_operands operands = {x, room, call->src[1], cuda_workspace(node)};
        DEEP_TRY(deep__convolution_run(node->convolution, &operands));
        from_output_first(node, call->dst[0], room, dtype, call->out[0]);
        return DEEP_OK;
    }
    const deep_product_operands operands = {
        .a = x, .b = call->src[1], .d = call->dst[0], .workspace = cuda_workspace(node)};
    return deep__product_run(node->products[0], &operands);
}

/* ---- dense layers: in float32 ---- */

static deep_product_shape dense_shape(int64_t rows, int64_t columns, int64_t inner)
{
    return (deep_product_shape){
        .factors = DEEP_DTYPE_F32, .result = DEEP_DTYPE_F32, .rows = rows, .columns = columns, .inner = inner};
}

deep_status deep__cuda_prepare_dense(cuda_node *node)
{
    const deep_value_info *x = node->call.in[0], *w = node->call.in[1];
    deep_product_shape shape = dense_shape(x->shape[0], w->shape[1], x->shape[1]);
    shape.bias = true;
    return deep__product_create(&node->products[0], node->accelerator, &shape);
}

deep_status deep__cuda_prepare_dense_grad_input(cuda_node *node)
{
    const deep_value_info *dy = node->call.in[0], *w = node->call.in[1];
    deep_product_shape shape = dense_shape(dy->shape[0], w->shape[0], dy->shape[1]);
    shape.b_transposed = true;
    return deep__product_create(&node->products[0], node->accelerator, &shape);
}

deep_status deep__cuda_prepare_dense_grad_weights(cuda_node *node)
{
    const deep_value_info *x = node->call.in[0], *dy = node->call.in[1];
    deep_product_shape shape = dense_shape(x->shape[1], dy->shape[1], x->shape[0]);
    shape.a_transposed = true;
    return deep__product_create(&node->products[0], node->accelerator, &shape);
}

static deep_status run_dense(const cuda_node *node, const void *bias)
{
    const deep_call *call = &node->call;
    const deep_product_operands operands = {
        .a = call->src[0], .b = call->src[1], .bias = bias, .d = call->dst[0], .workspace = cuda_workspace(node)};
    return deep__product_run(node->products[0], &operands);
}

deep_status deep__cuda_run_dense(const cuda_node *node)
{
    return run_dense(node, node->call.src[2]);
}

deep_status deep__cuda_run_dense_grad_input(const cuda_node *node)
{
    return run_dense(node, NULL);
}

deep_status deep__cuda_run_dense_grad_weights(const cuda_node *node)
{
    return run_dense(node, NULL);
}

/* ---- separable: the depthwise half goes through scratch, unless both are one kernel (cuda_fused.c) ---- */

bool deep__cuda_fits_separable(const deep_call *call)
{
    const bool backward = call->node->op == DEEP_OP_SEPARABLE_GRAD;
    return deep__cuda_is_xceptions(call->attr, call->in[backward ? 2 : 1]);
}

/* The pointwise kernel of whatever type; activations alike. */
bool deep__cuda_takes_separable(const deep_call *call)
{
    return call->in[0]->dtype == call->out[0]->dtype && !cuda_is_half(call->in[1]->dtype) &&
           deep__cuda_takes_conv2d(call);
}

deep_status deep__cuda_prepare_separable(cuda_node *node)
{
    node->fused = deep__cuda_fuses_separable(node);
    return node->fused ? DEEP_OK : prepare_pointwise(node, 2);
}

size_t deep__cuda_scratch_separable(const deep_call *call)
{
    const size_t apart = cuda_room(cuda_elements(call->in[0]), call->in[0]->dtype) + pointwise_bytes(call, 2);
    const size_t fused = deep__cuda_fused_bytes(call);
    return apart > fused ? apart : fused;
}

deep_status deep__cuda_run_separable(const cuda_node *node)
{
    const deep_call *call = &node->call;
    const deep_value_info *x = call->in[0];
    char *between = call->scratch;
    if (node->fused) {
        deep__cuda_run_fused(node);
        return DEEP_OK;
    }
    const cuda_depthwise d = {x, {.relu = call->attr->conv.relu_input}, call->src[0], call->src[1]};
    deep__cuda_depthwise(node, &d, between);
    return run_pointwise(node, between, 2, between + cuda_room(cuda_elements(x), x->dtype));
}
