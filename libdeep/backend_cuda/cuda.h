/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BACKEND_CUDA_CUDA_H
#define DEEP_BACKEND_CUDA_CUDA_H

/* The GPU backend's plans: how nodes become kernels, the same for a GPU and for the tests' loops. */
#include "backend_cuda/convolution.h"
#include "backend_cuda/kernels/columns.h"
#include "backend_cuda/product.h"

typedef struct cuda_op cuda_op;
typedef struct cuda_widened cuda_widened;

enum { CUDA_PRODUCTS = 2 };

typedef struct cuda_node {
    deep_call call;
    const cuda_op *op;
    deep_accelerator *accelerator;
    deep_product *products[CUDA_PRODUCTS];
    deep_convolution *convolution;
    cuda_widened *widened; /* NULL = the op takes its operands as they are */
    int32_t wants_fused;   /* as the plan's option */
    bool fused;            /* one kernel does the separable convolution */
    size_t workspace;      /* where the libraries' begins in scratch, behind the op's own */
    size_t scratch_bytes;
    size_t scratch_offset; /* into the segment */
} cuda_node;

/* One op: any but `run` may be NULL. */
struct cuda_op {
    bool (*fits)(const deep_call *call);      /* NULL = every node of the op */
    bool (*takes)(const deep_call *call);     /* operands stored as halves, as these are; NULL = none (cuda_widen.c) */
    deep_status (*prepare)(cuda_node *node);  /* makes products and convolutions */
    size_t (*scratch)(const deep_call *call); /* bytes of its own */
    deep_status (*run)(const cuda_node *node);
    int32_t (*together)(const cuda_node *node, int32_t most); /* nodes from here on that one run does; NULL = 1 */
    deep_status (*run_many)(const cuda_node *node, int32_t count);
};

/* By deep_op; `run` (or `run_many`) is NULL where there is none. */
extern const cuda_op deep__cuda_ops[DEEP_OP_COUNT];

/* plan_create and so on of deep_backend. */
bool deep__cuda_supports(const deep_graph *graph, const deep_node *node);
deep_status deep__cuda_plan_create(deep_plan **out, size_t *scratch, const deep_graph *graph,
                                   const deep_plan_options *options, const deep_host *host);
deep_status deep__cuda_plan_run(deep_plan *plan, void *const base[DEEP_SEGMENT_COUNT], int32_t first, int32_t end);
void deep__cuda_plan_free(deep_plan *plan);
void deep__cuda_plan_scratch(const deep_plan *plan, size_t *bytes);
void deep__cuda_plan_place(deep_plan *plan, const size_t *offsets);

/* ---- for the ops ---- */

enum { CUDA_ALIGNMENT = 256 }; /* of what stands in scratch */

static inline size_t cuda_align(size_t bytes)
{
    return (bytes + CUDA_ALIGNMENT - 1) / CUDA_ALIGNMENT * CUDA_ALIGNMENT;
}

static inline int64_t cuda_elements(const deep_value_info *value)
{
    return deep__rows(value) * deep__columns(value);
}

static inline void *cuda_workspace(const cuda_node *node)
{
    return (char *)node->call.scratch + node->workspace;
}

static inline int64_t cuda_divide_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static inline bool cuda_is_half(int32_t dtype)
{
    return dtype == DEEP_DTYPE_BF16 || dtype == DEEP_DTYPE_F16;
}

static inline size_t cuda_size(int32_t dtype)
{
    return cuda_is_half(dtype) ? 2 : 4;
}

/* Bytes of that many elements in scratch. */
static inline size_t cuda_room(int64_t elements, int32_t dtype)
{
    return cuda_align((size_t)elements * cuda_size(dtype));
}

static inline int32_t cuda_storage(int32_t dtype)
{
    return dtype == DEEP_DTYPE_BF16 ? STORED_BF16 : dtype == DEEP_DTYPE_F16 ? STORED_F16 : STORED_F32;
}

/* Of a kernel that has `wide` channels a thread where their number allows. */
static inline kernel_form cuda_form_of(int32_t dtype, int64_t channels, int32_t wide)
{
    return (kernel_form){cuda_storage(dtype), channels % wide == 0 ? wide : 1};
}

/* Of a kernel whose accesses have 16 bytes. */
static inline kernel_form cuda_form(int32_t dtype, int64_t channels)
{
    return cuda_form_of(dtype, channels, cuda_is_half(dtype) ? HALF_LANES : FLOAT_LANES);
}

/* As many threads as `count`, in a row. */
static inline kernel_grid cuda_grid(const cuda_node *node, int64_t count)
{
    const int64_t blocks = cuda_divide_up(count, KERNEL_THREADS);
    return (kernel_grid){(uint32_t)blocks, 1, KERNEL_THREADS, deep__accelerator_stream(node->accelerator)};
}

/* A thread for every FLOAT_LANES of `count` elements. */
static inline kernel_grid cuda_flat_grid(const cuda_node *node, int64_t count)
{
    return cuda_grid(node, cuda_divide_up(count, FLOAT_LANES));
}

/* ---- operands stored as halves (cuda_widen.c) ---- */

/* Gives the op widened copies in scratch of operands that it does not take as halves. */
deep_status deep__cuda_widen(cuda_node *node, const deep_host *host);
size_t deep__cuda_widened_bytes(const cuda_node *node);

/* Runs the op between its operands' conversions. */
deep_status deep__cuda_run_widened(const cuda_node *node);

/* Copies `count` values from one type to another. */
void deep__cuda_convert(const cuda_node *node, void *to, int32_t to_dtype, const void *from, int32_t from_dtype,
                        int64_t count);

/* ---- columns (cuda_columns.c) ---- */

column_tiles deep__cuda_tiles(int64_t rows, int64_t columns, int lanes);
uint32_t deep__cuda_chunks(const column_tiles *tiles);
kernel_grid deep__cuda_tile_grid(const cuda_node *node, const column_tiles *tiles, int lanes);

/* Bytes of the partial sums of so many quantities. */
size_t deep__cuda_partial_bytes(const column_tiles *tiles, int64_t quantities);
size_t deep__cuda_sums_bytes(const deep_value_info *x, int64_t quantities);

/* What passes over a matrix of activations; `x` says how they are stored. */
void deep__cuda_affine(const cuda_node *node, const deep_value_info *x, const affine_arguments *arguments);
void deep__cuda_moments(const cuda_node *node, const deep_value_info *x_info, const void *x, float *partial,
                        float *mean, float *variance);
void deep__cuda_norm_grad(const cuda_node *node, const deep_value_info *x, const norm_grad_arguments *arguments);

/* Adds up partial [chunks, quantities, columns]; `dot` and `sum` take the last two quantities, or are NULL. */
void deep__cuda_totals(const cuda_node *node, const totals_arguments *arguments);

/* ---- dense convolutions (cuda_conv.c) ---- */

/* [rows, columns, in, out], stored as `w` says, to [out, rows, columns, in] of type `dtype`. */
void deep__cuda_to_output_first(const cuda_node *node, void *to, int32_t dtype, const void *from,
                                const deep_value_info *w);

/* The operands behind the kernel, from `next` on. */
typedef struct cuda_epilogue {
    const float *scale, *shift;
    const void *residual;
} cuda_epilogue;

cuda_epilogue deep__cuda_epilogue(const deep_call *call, int next);

/* ---- separable convolutions in one kernel (cuda_fused.c) ---- */

/* Whether it is wanted, and there is one for the node on the device that was entered. */
bool deep__cuda_fuses_separable(const cuda_node *node);
size_t deep__cuda_fused_bytes(const deep_call *call);
void deep__cuda_run_fused(const cuda_node *node);

/* ---- depthwise (cuda_depthwise.c) ---- */

/* Whether it is 3x3 with stride 1 and one pixel of padding. */
bool deep__cuda_is_xceptions(const deep_attr *attr, const deep_value_info *w);

/* Operands of the two fast kernels; [N, H, W, C] as `x_info`. */
typedef struct cuda_depthwise {
    const deep_value_info *x_info; /* y, dy and dx are stored as x is */
    norm_arguments norm;
    const void *x;
    const float *w;
} cuda_depthwise;

void deep__cuda_depthwise(const cuda_node *node, const cuda_depthwise *d, void *y);

/* dw, and with a norm its two sums; dx, unless it is NULL, has not gone through the norm. */
void deep__cuda_depthwise_grad(const cuda_node *node, const cuda_depthwise *d, const void *dy, void *dx, float *dw,
                               float *dot, float *sum, float *partial);
size_t deep__cuda_depthwise_grad_bytes(const deep_value_info *x);

/* ---- the ops ---- */

#define CUDA_RUN(name) deep_status deep__cuda_run_##name(const cuda_node *node);
CUDA_RUN(conv2d)
CUDA_RUN(conv2d_grad_input)
CUDA_RUN(conv2d_grad_weights)
CUDA_RUN(separable)
CUDA_RUN(separable_train)
CUDA_RUN(separable_grad)
CUDA_RUN(depthwise)
CUDA_RUN(depthwise_grad_input)
CUDA_RUN(depthwise_grad_weights)
CUDA_RUN(batch_norm_train)
CUDA_RUN(batch_norm_infer)
CUDA_RUN(batch_norm_grad)
CUDA_RUN(batch_norm_infer_grad)
CUDA_RUN(batch_norm_fold)
CUDA_RUN(statistics_update)
CUDA_RUN(relu)
CUDA_RUN(relu_grad)
CUDA_RUN(max_pool)
CUDA_RUN(max_pool_grad)
CUDA_RUN(average)
CUDA_RUN(average_grad)
CUDA_RUN(dense)
CUDA_RUN(dense_grad_input)
CUDA_RUN(dense_grad_weights)
CUDA_RUN(add)
CUDA_RUN(dropout)
CUDA_RUN(softmax)
CUDA_RUN(cross_entropy)
CUDA_RUN(cross_entropy_grad)
CUDA_RUN(l2_penalty)
CUDA_RUN(l2_grad)
CUDA_RUN(scale)
CUDA_RUN(gradient_norm)
CUDA_RUN(finite_check)
CUDA_RUN(reorder)
CUDA_RUN(fill)
CUDA_RUN(cast)
CUDA_RUN(reduce_sum)
CUDA_RUN(broadcast_rows)
#undef CUDA_RUN

deep_status deep__cuda_prepare_conv2d(cuda_node *node);
deep_status deep__cuda_prepare_conv2d_grad_input(cuda_node *node);
deep_status deep__cuda_prepare_conv2d_grad_weights(cuda_node *node);
deep_status deep__cuda_prepare_dense(cuda_node *node);
deep_status deep__cuda_prepare_dense_grad_input(cuda_node *node);
deep_status deep__cuda_prepare_dense_grad_weights(cuda_node *node);
deep_status deep__cuda_prepare_separable(cuda_node *node);
deep_status deep__cuda_prepare_separable_train(cuda_node *node);
deep_status deep__cuda_prepare_separable_grad(cuda_node *node);

bool deep__cuda_fits_separable(const deep_call *call);

bool deep__cuda_takes_conv2d(const deep_call *call);
bool deep__cuda_takes_conv2d_grad_input(const deep_call *call);
bool deep__cuda_takes_conv2d_grad_weights(const deep_call *call);
bool deep__cuda_takes_separable(const deep_call *call);

size_t deep__cuda_scratch_conv2d(const deep_call *call);
size_t deep__cuda_scratch_conv2d_grad_input(const deep_call *call);
size_t deep__cuda_scratch_conv2d_grad_weights(const deep_call *call);
size_t deep__cuda_scratch_separable(const deep_call *call);
size_t deep__cuda_scratch_separable_train(const deep_call *call);
size_t deep__cuda_scratch_separable_grad(const deep_call *call);
size_t deep__cuda_scratch_depthwise_grad_weights(const deep_call *call);
size_t deep__cuda_scratch_norm(const deep_call *call);
size_t deep__cuda_scratch_norm_grad(const deep_call *call);
size_t deep__cuda_scratch_reduce_sum(const deep_call *call);
size_t deep__cuda_scratch_cross_entropy(const deep_call *call);
size_t deep__cuda_scratch_reduce(const deep_call *call);

int32_t deep__cuda_updates_together(const cuda_node *node, int32_t most);
deep_status deep__cuda_run_updates(const cuda_node *node, int32_t count);

#endif
