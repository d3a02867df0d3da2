/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Products by cuBLASLt, which counts down columns: a matrix row after row is its transpose there. So d = a b becomes
 * d' = b' a', with b as the first operand, and d's columns are cuBLASLt's rows, along which it adds a bias.
 * Sums in float32: CUBLAS_COMPUTE_32F does not round float32 operands to TF32. A bias is of the result's type, which is what
 * cuBLASLt takes with every type.
 */
#include "backend_cuda/gpu.h"
#include "backend_cuda/product.h"

enum {
    WORKSPACE_LIMIT = 32 << 20, /* what NVIDIA recommends for Hopper */
    OPERAND_ALIGNMENT = 64      /* of values in every segment */
};

struct deep_product {
    deep_accelerator *gpu;
    deep_product_shape shape;
    cublasLtMatmulDesc_t description;
    cublasLtMatrixLayout_t a, b, d;
    cublasLtMatmulAlgo_t algorithm;
    size_t workspace;
};

static deep_status set(const deep_product *p, cublasLtMatmulDescAttributes_t attribute, const void *value, size_t size)
{
    return deep__gpu_check_lt(p->gpu, p->gpu->lt.MatmulDescSetAttribute(p->description, attribute, value, size),
                              "describing a product");
}

static deep_status describe(deep_product *p)
{
    const deep_product_shape *s = &p->shape;
    const cublasOperation_t first = s->b_transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
    const cublasOperation_t second = s->a_transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
    const int bias = s->bias ? CUBLASLT_EPILOGUE_BIAS : 0, relu = s->relu ? CUBLASLT_EPILOGUE_RELU : 0;
    const cublasLtEpilogue_t epilogue =
        bias + relu == 0 ? CUBLASLT_EPILOGUE_DEFAULT : (cublasLtEpilogue_t)(bias | relu);
    DEEP_TRY(deep__gpu_check_lt(p->gpu, p->gpu->lt.MatmulDescCreate(&p->description, CUBLAS_COMPUTE_32F, CUDA_R_32F),
                                "a product"));
    DEEP_TRY(set(p, CUBLASLT_MATMUL_DESC_TRANSA, &first, sizeof first));
    DEEP_TRY(set(p, CUBLASLT_MATMUL_DESC_TRANSB, &second, sizeof second));
    return set(p, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue);
}

static cudaDataType_t type_of(int32_t dtype)
{
    return dtype == DEEP_DTYPE_BF16 ? CUDA_R_16BF : dtype == DEEP_DTYPE_F16 ? CUDA_R_16F : CUDA_R_32F;
}

/* A matrix of so many rows, row after row. */
static deep_status lay_out(const deep_product *p, cublasLtMatrixLayout_t *layout, int32_t dtype, int64_t rows,
                           int64_t columns)
{
    return deep__gpu_check_lt(
        p->gpu, p->gpu->lt.MatrixLayoutCreate(layout, type_of(dtype), (uint64_t)columns, (uint64_t)rows, columns),
        "a matrix");
}

static deep_status lay_out_factors(deep_product *p)
{
    const deep_product_shape *s = &p->shape;
    DEEP_TRY(s->a_transposed ? lay_out(p, &p->a, s->factors, s->inner, s->rows)
                             : lay_out(p, &p->a, s->factors, s->rows, s->inner));
    return s->b_transposed ? lay_out(p, &p->b, s->factors, s->columns, s->inner)
                           : lay_out(p, &p->b, s->factors, s->inner, s->columns);
}

static deep_status choose_among(deep_product *p, cublasLtMatmulPreference_t preference)
{
    static const cublasLtMatmulPreferenceAttributes_t alignments[] = {
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES};
    const cublaslt_functions *lt = &p->gpu->lt;
    const size_t limit = WORKSPACE_LIMIT;
    const uint32_t alignment = OPERAND_ALIGNMENT;
    /* Parts of a sum are added up in float32 and in one order: not in place, which is by atomics, nor in the result's type. */
    const uint32_t reduction = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
    cublasLtMatmulHeuristicResult_t best;
    int found = 0;
    cublasStatus_t status =
        lt->MatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &limit, sizeof limit);
    if (status == CUBLAS_STATUS_SUCCESS)
        status = lt->MatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &reduction,
                                                  sizeof reduction);
    for (size_t i = 0; i < sizeof alignments / sizeof alignments[0] && status == CUBLAS_STATUS_SUCCESS; ++i)
        status = lt->MatmulPreferenceSetAttribute(preference, alignments[i], &alignment, sizeof alignment);
    if (status == CUBLAS_STATUS_SUCCESS)
        status = lt->MatmulAlgoGetHeuristic(p->gpu->lt_handle, p->description, p->b, p->a, p->d, p->d, preference, 1,
                                            &best, &found);
    if (status == CUBLAS_STATUS_SUCCESS && found == 0) status = CUBLAS_STATUS_NOT_SUPPORTED;
    if (status != CUBLAS_STATUS_SUCCESS) return deep__gpu_check_lt(p->gpu, status, "choosing an algorithm");
    p->algorithm = best.algo;
    p->workspace = best.workspaceSize;
    return DEEP_OK;
}

static deep_status choose(deep_product *p)
{
    cublasLtMatmulPreference_t preference;
    DEEP_TRY(deep__gpu_check_lt(p->gpu, p->gpu->lt.MatmulPreferenceCreate(&preference), "a preference"));
    const deep_status status = choose_among(p, preference);
    p->gpu->lt.MatmulPreferenceDestroy(preference);
    return status;
}

deep_status deep__product_create(deep_product **out, deep_accelerator *gpu, const deep_product_shape *s)
{
    *out = NULL;
    deep_product *p = gpu->host.alloc(gpu->host.user, sizeof *p);
    if (p == NULL) return DEEP_ERROR_OUT_OF_MEMORY;
    *p = (deep_product){.gpu = gpu, .shape = *s};
    deep_status status = describe(p);
    if (status == DEEP_OK) status = lay_out_factors(p);
    if (status == DEEP_OK) status = lay_out(p, &p->d, s->result, s->rows, s->columns);
    if (status == DEEP_OK) status = choose(p);
    if (status != DEEP_OK) {
        deep__product_free(p);
        return status;
    }
    *out = p;
    return DEEP_OK;
}

void deep__product_free(deep_product *p)
{
    if (p == NULL) return;
    const deep_host *host = &p->gpu->host;
    const cublasLtMatrixLayout_t layouts[] = {p->a, p->b, p->d};
    for (size_t i = 0; i < sizeof layouts / sizeof layouts[0]; ++i)
        if (layouts[i] != NULL) p->gpu->lt.MatrixLayoutDestroy(layouts[i]);
    if (p->description != NULL) p->gpu->lt.MatmulDescDestroy(p->description);
    host->free(host->user, p);
}

size_t deep__product_workspace(const deep_product *p)
{
    return p->workspace;
}

deep_status deep__product_run(const deep_product *p, const deep_product_operands *o)
{
    const float one = 1, added = p->shape.added ? 1 : 0;
    const void *c = p->shape.added ? o->added : o->d;
    if (p->shape.bias) DEEP_TRY(set(p, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &o->bias, sizeof o->bias));
    const cublasStatus_t status =
        p->gpu->lt.Matmul(p->gpu->lt_handle, p->description, &one, o->b, p->b, o->a, p->a, &added, c, p->d, o->d, p->d,
                          &p->algorithm, o->workspace, p->workspace, p->gpu->stream);
    return deep__gpu_check_lt(p->gpu, status, "a product");
}
