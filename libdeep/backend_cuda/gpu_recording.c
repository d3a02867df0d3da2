/* SPDX-License-Identifier: Apache-2.0 */
/* Recordings are CUDA graphs, captured from the stream. */
#include "backend_cuda/gpu.h"

struct deep_recording {
    deep_accelerator *gpu;
    cudaGraphExec_t graph;
};

/* What other threads do meanwhile, such as allocating, is none of this recording's business. */
deep_status deep__recording_begin(deep_accelerator *gpu)
{
    const cudaError_t error = cudaStreamBeginCapture(gpu->stream, cudaStreamCaptureModeThreadLocal);
    if (error != cudaSuccess) cudaGetLastError(); /* it would be told again by the next kernel */
    return deep__gpu_check(&gpu->host, error, "beginning a graph");
}

deep_status deep__recording_end(deep_accelerator *gpu, deep_recording **out)
{
    cudaGraph_t graph = NULL;
    *out = NULL;
    deep_recording *recording = gpu->host.alloc(gpu->host.user, sizeof *recording);
    cudaError_t error = cudaStreamEndCapture(gpu->stream, &graph);
    if (recording != NULL) {
        *recording = (deep_recording){.gpu = gpu};
        if (error == cudaSuccess) error = cudaGraphInstantiate(&recording->graph, graph, 0);
    }
    if (graph != NULL) cudaGraphDestroy(graph);
    if (error == cudaSuccess && recording != NULL) {
        *out = recording;
        return DEEP_OK;
    }
    cudaGetLastError();
    gpu->host.free(gpu->host.user, recording);
    return error == cudaSuccess ? DEEP_ERROR_OUT_OF_MEMORY : deep__gpu_check(&gpu->host, error, "a graph");
}

deep_status deep__recording_replay(const deep_recording *recording)
{
    deep_accelerator *gpu = recording->gpu;
    return deep__gpu_check(&gpu->host, cudaGraphLaunch(recording->graph, gpu->stream), "queueing a graph");
}

void deep__recording_free(deep_recording *recording)
{
    if (recording == NULL) return;
    const deep_host host = recording->gpu->host;
    cudaStreamSynchronize(recording->gpu->stream);
    cudaGraphExecDestroy(recording->graph);
    host.free(host.user, recording);
}
