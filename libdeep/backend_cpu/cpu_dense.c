/* SPDX-License-Identifier: Apache-2.0 */
#include "backend_cpu/cpu.h"

/* Kernels of other types than float are packed. */
static bool is_narrow(const deep_call *call)
{
    return call->in[1]->dtype != DEEP_DTYPE_F32;
}

size_t deep__cpu_dense_scratch(const cpu_node *node)
{
    return is_narrow(&node->call) ? deep__cpu_bands_scratch(node) : 0;
}

deep_status deep__cpu_dense(const cpu_run *run)
{
    const deep_call *call = run->call;
    const int64_t rows = call->in[0]->shape[0], inner = call->in[0]->shape[1], columns = call->in[1]->shape[1];
    if (is_narrow(call)) return deep__cpu_bands(run);
    DEEP_TRY(
        deep__onednn_gemm(run->host, false, false, rows, columns, inner, call->src[0], call->src[1], call->dst[0]));
    run->kernels->add_row(call->dst[0], call->src[2], rows, columns);
    return DEEP_OK;
}

deep_status deep__cpu_dense_grad_input(const cpu_run *run)
{
    const deep_call *call = run->call;
    return deep__onednn_gemm(run->host, false, true, call->in[0]->shape[0], call->in[1]->shape[0],
                             call->in[0]->shape[1], call->src[0], call->src[1], call->dst[0]);
}

deep_status deep__cpu_dense_grad_weights(const cpu_run *run)
{
    const deep_call *call = run->call;
    return deep__onednn_gemm(run->host, true, false, call->in[0]->shape[1], call->in[1]->shape[1],
                             call->in[0]->shape[0], call->src[0], call->src[1], call->dst[0]);
}
