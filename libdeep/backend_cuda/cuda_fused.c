/* SPDX-License-Identifier: Apache-2.0 */
/* Separable convolutions of halves in one kernel, where the plan's options want that. */
#include "backend_cuda/cuda.h"
#include "backend_cuda/kernels/separable.h"

/* Whether no operand behind the two kernels is of another type than the kernel reads: scale and shift are floats. */
static bool has_float_epilogue(const deep_call *call)
{
    if ((call->attr->conv.epilogue & DEEP_EPILOGUE_AFFINE) == 0) return true;
    return call->in[3]->dtype == DEEP_DTYPE_F32 && call->in[4]->dtype == DEEP_DTYPE_F32;
}

static separable_arguments arguments_of(const deep_call *call)
{
    const deep_value_info *x = call->in[0];
    const cuda_epilogue e = deep__cuda_epilogue(call, 3);
    return (separable_arguments){.images = (int32_t)x->shape[0],
                                 .height = (int32_t)x->shape[1],
                                 .width = (int32_t)x->shape[2],
                                 .channels = (uint32_t)x->shape[3],
                                 .columns = (uint32_t)call->out[0]->shape[3],
                                 .relu_input = call->attr->conv.relu_input,
                                 .relu = (call->attr->conv.epilogue & DEEP_EPILOGUE_RELU) != 0,
                                 .x = call->src[0],
                                 .depthwise = call->src[1],
                                 .pointwise = call->scratch,
                                 .scale = e.scale,
                                 .shift = e.shift,
                                 .residual = e.residual,
                                 .y = call->dst[0]};
}

/*
 * Blocks for other output channels make the same depthwise results again: with more of them than a wide tile has, two kernels are
 * expected to be faster (docs/gpu.md).
 */
enum { TALL_COLUMNS = 128, WIDE_COLUMNS = 256 };

static separable_tile tile_of(const separable_arguments *a)
{
    return a->columns <= TALL_COLUMNS ? SEPARABLE_TALL : SEPARABLE_WIDE;
}

bool deep__cuda_fuses_separable(const cuda_node *node)
{
    const separable_arguments a = arguments_of(&node->call);
    const uint32_t most = node->wants_fused == 2 ? UINT32_MAX : node->wants_fused == 1 ? WIDE_COLUMNS : 0;
    return a.columns <= most && cuda_is_half(node->call.out[0]->dtype) && a.channels % HALF_LANES == 0 &&
           a.columns % HALF_LANES == 0 && has_float_epilogue(&node->call) &&
           deep__kernel_separable_fits(&a, tile_of(&a));
}

size_t deep__cuda_fused_bytes(const deep_call *call)
{
    return cuda_room(cuda_elements(call->in[2]), call->out[0]->dtype);
}

void deep__cuda_run_fused(const cuda_node *node)
{
    const deep_call *call = &node->call;
    const separable_arguments a = arguments_of(call);
    const int32_t dtype = call->out[0]->dtype;
    deep__cuda_to_output_first(node, call->scratch, dtype, call->src[2], call->in[2]);
    deep__kernel_separable(&a, tile_of(&a), cuda_storage(dtype), deep__accelerator_stream(node->accelerator));
}
