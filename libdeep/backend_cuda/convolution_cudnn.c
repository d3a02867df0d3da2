/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Convolutions by cuDNN's graph interface: descriptors of three tensors, the convolution, the operation and a graph of that
 * alone; then the first of the engines that cuDNN suggests that keeps operands as they are, adds up in float32 and gives the same
 * bits each time. Halves go to tensor cores where their channels allow, even if cuDNN likes another engine better: in places that one
 * wants room for both operands in another layout, 0.5 GB for block 2's shortcut of 128 images at 299 px.
 */
#include "backend_cuda/convolution.h"
#include "backend_cuda/gpu.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { TENSOR_X = 1, TENSOR_W, TENSOR_Y }; /* names of the operands */
enum {
    SUGGESTIONS = 64, /* cuDNN 9.19 has up to 40, and those that are exact for float32 are not among the first 16 */
    OPERAND_ALIGNMENT = 64,
    NOTES = 16,
    TENSOR_CORE_CHANNELS = 8 /* halves: rows of as many, 16 bytes, are what tensor cores are fed with */
};

#define WORKSPACE_LIMIT ((int64_t)1 << 30)

enum { DESCRIPTION_COUNT = 7 };

struct deep_convolution {
    deep_accelerator *gpu;
    int32_t dtype;
    union {
        struct {
            cudnnBackendDescriptor_t x, w, y, window, operation, graph, plan;
        };
        cudnnBackendDescriptor_t all[DESCRIPTION_COUNT];
    };
    int64_t workspace;
};

/* ---- descriptors ---- */

static deep_status create(const deep_convolution *c, cudnnBackendDescriptorType_t type, cudnnBackendDescriptor_t *out)
{
    return deep__gpu_check_dnn(c->gpu, c->gpu->dnn.BackendCreateDescriptor(type, out), "a descriptor");
}

static deep_status set(const deep_convolution *c, cudnnBackendDescriptor_t of, cudnnBackendAttributeName_t name,
                       cudnnBackendAttributeType_t type, int64_t count, const void *values)
{
    return deep__gpu_check_dnn(c->gpu, c->gpu->dnn.BackendSetAttribute(of, name, type, count, values),
                               "an attribute of a convolution");
}

static deep_status set_descriptor(const deep_convolution *c, cudnnBackendDescriptor_t of,
                                  cudnnBackendAttributeName_t name, const cudnnBackendDescriptor_t *value)
{
    return set(c, of, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, value);
}

static deep_status finalize(const deep_convolution *c, cudnnBackendDescriptor_t of, const char *what)
{
    return deep__gpu_check_dnn(c->gpu, c->gpu->dnn.BackendFinalize(of), what);
}

/* Extents in cuDNN's order, n, c, h, w, of a tensor whose c are neighbours; for a kernel n are the output channels. */
static deep_status describe_tensor(deep_convolution *c, cudnnBackendDescriptor_t *out, int64_t name,
                                   cudnnDataType_t type, const int64_t extents[4])
{
    const int64_t alignment = OPERAND_ALIGNMENT, channels = extents[1], height = extents[2], width = extents[3];
    const int64_t strides[4] = {height * width * channels, 1, width * channels, channels};
    DEEP_TRY(create(c, CUDNN_BACKEND_TENSOR_DESCRIPTOR, out));
    DEEP_TRY(set(c, *out, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type));
    DEEP_TRY(set(c, *out, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, extents));
    DEEP_TRY(set(c, *out, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, strides));
    DEEP_TRY(set(c, *out, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &name));
    DEEP_TRY(set(c, *out, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment));
    return finalize(c, *out, "a tensor");
}

static deep_status describe_tensors(deep_convolution *c, const deep_convolution_shape *s)
{
    const int64_t x[4] = {s->images, s->channels, s->height, s->width};
    const int64_t w[4] = {s->out_channels, s->channels, s->rows, s->columns};
    const int64_t y[4] = {s->images, s->out_channels, s->out_height, s->out_width};
    const cudnnDataType_t type = s->dtype == DEEP_DTYPE_BF16  ? CUDNN_DATA_BFLOAT16
                                 : s->dtype == DEEP_DTYPE_F16 ? CUDNN_DATA_HALF
                                                              : CUDNN_DATA_FLOAT;
    DEEP_TRY(describe_tensor(c, &c->x, TENSOR_X, type, x));
    DEEP_TRY(describe_tensor(c, &c->w, TENSOR_W, type, w));
    return describe_tensor(c, &c->y, TENSOR_Y, type, y);
}

static deep_status describe_window(deep_convolution *c, const deep_convolution_shape *s)
{
    const cudnnDataType_t type = CUDNN_DATA_FLOAT; /* of the sums */
    const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    const int64_t axes = 2, dilations[2] = {1, 1}, strides[2] = {s->stride, s->stride};
    const int64_t before[2] = {s->pad[DEEP_PAD_TOP], s->pad[DEEP_PAD_LEFT]};
    const int64_t after[2] = {s->pad[DEEP_PAD_BOTTOM], s->pad[DEEP_PAD_RIGHT]};
    DEEP_TRY(create(c, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, &c->window));
    DEEP_TRY(set(c, c->window, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type));
    DEEP_TRY(set(c, c->window, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode));
    DEEP_TRY(set(c, c->window, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &axes));
    DEEP_TRY(set(c, c->window, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2, dilations));
    DEEP_TRY(set(c, c->window, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2, strides));
    DEEP_TRY(set(c, c->window, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2, before));
    DEEP_TRY(set(c, c->window, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2, after));
    return finalize(c, c->window, "a convolution");
}

/* The names of one direction's attributes. */
static const struct {
    cudnnBackendDescriptorType_t type;
    cudnnBackendAttributeName_t x, w, y, window, alpha, beta;
} directions[] = {
    [DEEP_FORWARD] = {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
                      CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
                      CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
                      CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA},
    [DEEP_TO_INPUT] = {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
                       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
                       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
                       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
                       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA},
    [DEEP_TO_WEIGHTS] = {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
                         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
                         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
                         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
                         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
                         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA},
};

static deep_status describe_graph(deep_convolution *c, enum deep_direction direction)
{
    const float one = 1, zero = 0;
    DEEP_TRY(create(c, directions[direction].type, &c->operation));
    DEEP_TRY(set_descriptor(c, c->operation, directions[direction].x, &c->x));
    DEEP_TRY(set_descriptor(c, c->operation, directions[direction].w, &c->w));
    DEEP_TRY(set_descriptor(c, c->operation, directions[direction].y, &c->y));
    DEEP_TRY(set_descriptor(c, c->operation, directions[direction].window, &c->window));
    DEEP_TRY(set(c, c->operation, directions[direction].alpha, CUDNN_TYPE_FLOAT, 1, &one));
    DEEP_TRY(set(c, c->operation, directions[direction].beta, CUDNN_TYPE_FLOAT, 1, &zero));
    DEEP_TRY(finalize(c, c->operation, "an operation"));
    DEEP_TRY(create(c, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, &c->graph));
    DEEP_TRY(set(c, c->graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &c->gpu->dnn_handle));
    DEEP_TRY(set_descriptor(c, c->graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, &c->operation));
    return finalize(c, c->graph, "a graph");
}

/* ---- engines ---- */

/* Of an engine in one configuration. */
typedef struct engine_notes {
    cudnnBackendNumericalNote_t notes[NOTES];
    int64_t count;
} engine_notes;

static bool has_note(const engine_notes *n, cudnnBackendNumericalNote_t note)
{
    for (int64_t i = 0; i < n->count; ++i)
        if (n->notes[i] == note) return true;
    return false;
}

static bool read_notes(const deep_convolution *c, cudnnBackendDescriptor_t suggestion, engine_notes *n)
{
    const cudnn_functions *dnn = &c->gpu->dnn;
    cudnnBackendDescriptor_t engine = NULL;
    int64_t count = 0;
    if (dnn->BackendCreateDescriptor(CUDNN_BACKEND_ENGINE_DESCRIPTOR, &engine) != CUDNN_STATUS_SUCCESS) return false;
    const bool read = dnn->BackendGetAttribute(suggestion, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                                               1, &count, &engine) == CUDNN_STATUS_SUCCESS &&
                      dnn->BackendGetAttribute(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                                               NOTES, &n->count, n->notes) == CUDNN_STATUS_SUCCESS;
    dnn->BackendDestroyDescriptor(engine);
    return read && n->count <= NOTES;
}

/*
 * Whether it rounds neither its operands nor its sums, and gives the same bits each time. Tensor cores multiply no float32: they
 * round it to TF32, also where no note says "down convert".
 */
static bool is_exact(const deep_convolution *c, const engine_notes *n)
{
    return !has_note(n, CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS) &&
           !has_note(n, CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION) &&
           !has_note(n, CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC) &&
           (c->dtype != DEEP_DTYPE_F32 || !has_note(n, CUDNN_NUMERICAL_NOTE_TENSOR_CORE));
}

/* Compiles a suggestion; false when it is not wanted, or does not fit this GPU. */
static bool try_plan(deep_convolution *c, cudnnBackendDescriptor_t suggestion, bool on_tensor_cores)
{
    const cudnn_functions *dnn = &c->gpu->dnn;
    engine_notes notes;
    int64_t count = 0;
    if (!read_notes(c, suggestion, &notes) || !is_exact(c, &notes)) return false;
    if (on_tensor_cores && !has_note(&notes, CUDNN_NUMERICAL_NOTE_TENSOR_CORE)) return false;
    if (dnn->BackendCreateDescriptor(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, &c->plan) != CUDNN_STATUS_SUCCESS)
        return false;
    if (dnn->BackendSetAttribute(c->plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1,
                                 &c->gpu->dnn_handle) == CUDNN_STATUS_SUCCESS &&
        dnn->BackendSetAttribute(c->plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
                                 &suggestion) == CUDNN_STATUS_SUCCESS &&
        dnn->BackendFinalize(c->plan) == CUDNN_STATUS_SUCCESS &&
        dnn->BackendGetAttribute(c->plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &count,
                                 &c->workspace) == CUDNN_STATUS_SUCCESS &&
        c->workspace <= WORKSPACE_LIMIT)
        return true;
    dnn->BackendDestroyDescriptor(c->plan);
    c->plan = NULL;
    return false;
}

/* The suggestions of one heuristic, best first. */
static deep_status try_suggestions(deep_convolution *c, cudnnBackendDescriptor_t heuristic, bool on_tensor_cores)
{
    cudnnBackendDescriptor_t suggestions[SUGGESTIONS] = {NULL};
    int64_t count = 0;
    deep_status status = DEEP_OK;
    for (int i = 0; i < SUGGESTIONS && status == DEEP_OK; ++i)
        status = create(c, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, &suggestions[i]);
    if (status == DEEP_OK)
        status = deep__gpu_check_dnn(c->gpu,
                                     c->gpu->dnn.BackendGetAttribute(heuristic, CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                                                     CUDNN_TYPE_BACKEND_DESCRIPTOR, SUGGESTIONS, &count,
                                                                     suggestions),
                                     "engines for a convolution");
    for (int64_t i = 0; i < count && i < SUGGESTIONS && status == DEEP_OK; ++i)
        if (try_plan(c, suggestions[i], on_tensor_cores)) break;
    for (int i = 0; i < SUGGESTIONS; ++i)
        if (suggestions[i] != NULL) c->gpu->dnn.BackendDestroyDescriptor(suggestions[i]);
    return status;
}

static deep_status ask(deep_convolution *c, cudnnBackendHeurMode_t mode, bool on_tensor_cores)
{
    cudnnBackendDescriptor_t heuristic;
    DEEP_TRY(create(c, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, &heuristic));
    deep_status status = set_descriptor(c, heuristic, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, &c->graph);
    if (status == DEEP_OK) status = set(c, heuristic, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
    if (status == DEEP_OK) status = finalize(c, heuristic, "heuristics");
    if (status == DEEP_OK) status = try_suggestions(c, heuristic, on_tensor_cores);
    c->gpu->dnn.BackendDestroyDescriptor(heuristic);
    return status;
}

static bool suits_tensor_cores(const deep_convolution_shape *s)
{
    return s->dtype != DEEP_DTYPE_F32 && s->channels % TENSOR_CORE_CHANNELS == 0 &&
           s->out_channels % TENSOR_CORE_CHANNELS == 0;
}

/* cuDNN has no bf16, for one, below compute capability 8.0. */
static deep_status fail_without_engine(const deep_convolution *c, const deep_convolution_shape *s)
{
    char text[192];
    const char *type = s->dtype == DEEP_DTYPE_BF16 ? "bf16" : s->dtype == DEEP_DTYPE_F16 ? "fp16" : "float32";
    snprintf(text, sizeof text,
             "cuDNN: this GPU has no exact engine in %s for a convolution of %" PRId64 " images, %" PRId64 "x%" PRId64
             "x%" PRId64 " to %" PRId64 " channels",
             type, s->images, s->height, s->width, s->channels, s->out_channels);
    return c->gpu->host.fail(c->gpu->host.user, DEEP_ERROR_UNSUPPORTED, text);
}

static deep_status choose(deep_convolution *c, const deep_convolution_shape *s)
{
    if (suits_tensor_cores(s)) DEEP_TRY(ask(c, CUDNN_HEUR_MODE_A, true));
    if (c->plan == NULL) DEEP_TRY(ask(c, CUDNN_HEUR_MODE_A, false));
    if (c->plan == NULL) DEEP_TRY(ask(c, CUDNN_HEUR_MODE_FALLBACK, false));
    return c->plan == NULL ? fail_without_engine(c, s) : DEEP_OK;
}

/* ---- convolutions ---- */

deep_status deep__convolution_create(deep_convolution **out, deep_accelerator *gpu, const deep_convolution_shape *shape,
                                     enum deep_direction direction)
{
    *out = NULL;
    deep_convolution *c = gpu->host.alloc(gpu->host.user, sizeof *c);
    if (c == NULL) return DEEP_ERROR_OUT_OF_MEMORY;
    memset(c, 0, sizeof *c);
    c->gpu = gpu;
    c->dtype = shape->dtype;
    deep_status status = describe_tensors(c, shape);
    if (status == DEEP_OK) status = describe_window(c, shape);
    if (status == DEEP_OK) status = describe_graph(c, direction);
    if (status == DEEP_OK) status = choose(c, shape);
    if (status != DEEP_OK) {
        deep__convolution_free(c);
        return status;
    }
    *out = c;
    return DEEP_OK;
}

void deep__convolution_free(deep_convolution *c)
{
    if (c == NULL) return;
    const deep_host *host = &c->gpu->host;
    for (int i = DESCRIPTION_COUNT - 1; i >= 0; --i)
        if (c->all[i] != NULL) c->gpu->dnn.BackendDestroyDescriptor(c->all[i]);
    host->free(host->user, c);
}

size_t deep__convolution_workspace(const deep_convolution *c)
{
    return (size_t)c->workspace;
}

deep_status deep__convolution_run(const deep_convolution *c, const deep_convolution_operands *o)
{
    const int64_t names[3] = {TENSOR_X, TENSOR_W, TENSOR_Y};
    const void *const addresses[3] = {o->x, o->w, o->y};
    cudnnBackendDescriptor_t pack;
    DEEP_TRY(create(c, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, &pack));
    deep_status status = set(c, pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, 3, names);
    if (status == DEEP_OK)
        status = set(c, pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, 3, addresses);
    if (status == DEEP_OK)
        status = set(c, pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &o->workspace);
    if (status == DEEP_OK) status = finalize(c, pack, "operands");
    if (status == DEEP_OK)
        status =
            deep__gpu_check_dnn(c->gpu, c->gpu->dnn.BackendExecute(c->gpu->dnn_handle, c->plan, pack), "a convolution");
    c->gpu->dnn.BackendDestroyDescriptor(pack);
    return status;
}
