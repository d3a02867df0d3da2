/* SPDX-License-Identifier: Apache-2.0 */
#include "backend_cuda/cuda.h"
#include "backend_cuda/kernels/picture.h"

deep_status deep__cuda_preprocess(deep_accelerator *accelerator, float *to, const deep_pictures *block,
                                  const deep_pictures *head)
{
    int32_t before;
    const picture_arguments a = {block, head->size, to};
    const int64_t pixels = (int64_t)head->size * head->size;
    const kernel_grid grid = {(uint32_t)cuda_divide_up(pixels, KERNEL_THREADS), (uint32_t)head->images, KERNEL_THREADS,
                              deep__accelerator_stream(accelerator)};
    DEEP_TRY(deep__accelerator_enter(accelerator, &before));
    if (head->weighted)
        deep__kernel_picture_weighted(&a, grid);
    else
        deep__kernel_picture_fixed(&a, grid);
    const deep_status status = deep__accelerator_check(accelerator, "preprocessing");
    deep__accelerator_leave(accelerator, before);
    return status;
}
