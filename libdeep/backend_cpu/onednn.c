/* SPDX-License-Identifier: Apache-2.0 */
#include "backend_cpu/onednn.h"

#include <dnnl.h>
#include <pthread.h>
#include <stdio.h>

enum { ALIGNMENT = 64 };

/* ---- what differs between oneDNN 2.x and 3.x ---- */

#if DNNL_VERSION_MAJOR >= 3
#define NO_ISA_CAP dnnl_cpu_isa_default

typedef dnnl_memory_desc_t layout; /* an opaque handle */
typedef const_dnnl_memory_desc_t layout_view;

static layout_view view(const layout *l)
{
    return *l;
}

static dnnl_status_t layout_create(layout *l, const dnnl_dims_t dims, dnnl_format_tag_t tag)
{
    return dnnl_memory_desc_create_with_tag(l, 4, dims, dnnl_f32, tag);
}

static void layout_free(layout *l)
{
    if (*l != NULL) dnnl_memory_desc_destroy(*l);
}
#else
#define NO_ISA_CAP dnnl_cpu_isa_all

typedef dnnl_memory_desc_t layout; /* a plain struct */
typedef const dnnl_memory_desc_t *layout_view;

static layout_view view(const layout *l)
{
    return l;
}

static dnnl_status_t layout_create(layout *l, const dnnl_dims_t dims, dnnl_format_tag_t tag)
{
    return dnnl_memory_desc_init_by_tag(l, 4, dims, dnnl_f32, tag);
}

static void layout_free(layout *l)
{
    (void)l;
}
#endif

typedef struct conv_layouts {
    layout input, weights, output;
    dnnl_dims_t strides, pad_before, pad_after;
} conv_layouts;

/* `hint` is the forward primitive's descriptor; NULL when that itself is made. */
static dnnl_status_t describe_conv(dnnl_primitive_desc_t *made, dnnl_engine_t engine, dnnl_primitive_attr_t attr,
                                   enum deep_onednn_direction direction, bool training, const conv_layouts *l,
                                   const_dnnl_primitive_desc_t hint)
{
    const layout_view x = view(&l->input), w = view(&l->weights), y = view(&l->output);
    const dnnl_prop_kind_t kind = training ? dnnl_forward_training : dnnl_forward_inference;
#if DNNL_VERSION_MAJOR >= 3
    const dnnl_dims_t dense = {0, 0};
    if (direction == DEEP_ONEDNN_FORWARD)
        return dnnl_convolution_forward_primitive_desc_create(made, engine, kind, dnnl_convolution_direct, x, w, NULL,
                                                              y, l->strides, dense, l->pad_before, l->pad_after, attr);
    if (direction == DEEP_ONEDNN_GRAD_INPUT)
        return dnnl_convolution_backward_data_primitive_desc_create(
            made, engine, dnnl_convolution_direct, x, w, y, l->strides, dense, l->pad_before, l->pad_after, hint, attr);
    return dnnl_convolution_backward_weights_primitive_desc_create(made, engine, dnnl_convolution_direct, x, w, NULL, y,
                                                                   l->strides, dense, l->pad_before, l->pad_after, hint,
                                                                   attr);
#else
    dnnl_convolution_desc_t op;
    dnnl_status_t status;
    if (direction == DEEP_ONEDNN_FORWARD)
        status = dnnl_convolution_forward_desc_init(&op, kind, dnnl_convolution_direct, x, w, NULL, y, l->strides,
                                                    l->pad_before, l->pad_after);
    else if (direction == DEEP_ONEDNN_GRAD_INPUT)
        status = dnnl_convolution_backward_data_desc_init(&op, dnnl_convolution_direct, x, w, y, l->strides,
                                                          l->pad_before, l->pad_after);
    else
        status = dnnl_convolution_backward_weights_desc_init(&op, dnnl_convolution_direct, x, w, NULL, y, l->strides,
                                                             l->pad_before, l->pad_after);
    return status == dnnl_success ? dnnl_primitive_desc_create(made, &op, attr, engine, hint) : status;
#endif
}

/* ---- the same for both ---- */

void deep__onednn_version(char *text, size_t size)
{
    const dnnl_version_t *version = dnnl_version();
    snprintf(text, size, "%d.%d.%d", version->major, version->minor, version->patch);
}

static deep_status fail(const deep_host *host, const char *what, dnnl_status_t status)
{
    char text[160];
    const bool memory = status == dnnl_out_of_memory;
    snprintf(text, sizeof text, "oneDNN: %s failed with status %d", what, (int)status);
    return host->fail(host->user, memory ? DEEP_ERROR_OUT_OF_MEMORY : DEEP_ERROR_BACKEND, text);
}

deep_status deep__onednn_cap_isa(const deep_host *host, int32_t isa)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static int32_t capped = DEEP_ISA_AUTO; /* process-wide, as oneDNN's own setting */
    static const dnnl_cpu_isa_t caps[] = {
        [DEEP_ISA_BASELINE] = dnnl_cpu_isa_sse41,
        [DEEP_ISA_AVX2] = dnnl_cpu_isa_avx2,
        [DEEP_ISA_AVX512] = NO_ISA_CAP,
    };
    if (isa == DEEP_ISA_AUTO) return DEEP_OK;
    pthread_mutex_lock(&lock);
    deep_status status = DEEP_OK;
    if (capped == DEEP_ISA_AUTO && dnnl_set_max_cpu_isa(caps[isa]) == dnnl_success) capped = isa;
    if (capped != isa)
        status =
            host->fail(host->user, DEEP_ERROR_STATE,
                       "oneDNN's instruction set is fixed for the whole process by the first context that computes");
    pthread_mutex_unlock(&lock);
    return status;
}

deep_status deep__onednn_multiply(const deep_host *host, const deep_onednn_product *p, const float *a, const float *b,
                                  float *c)
{
    const int64_t lda = p->transpose_a ? p->m : p->k, ldb = p->transpose_b ? p->k : p->n;
    const dnnl_status_t status = dnnl_sgemm(p->transpose_a ? 'T' : 'N', p->transpose_b ? 'T' : 'N', p->m, p->n, p->k,
                                            1.0f, a, lda, b, ldb, p->accumulate ? 1.0f : 0.0f, c, p->n);
    return status == dnnl_success ? DEEP_OK : fail(host, "sgemm", status);
}

deep_status deep__onednn_gemm(const deep_host *host, bool transpose_a, bool transpose_b, int64_t m, int64_t n,
                              int64_t k, const float *a, const float *b, float *c)
{
    const deep_onednn_product product = {transpose_a, transpose_b, false, m, n, k};
    return deep__onednn_multiply(host, &product, a, b, c);
}

/*
 * Input and output are plain NHWC. The kernel, HWIO outside, has whatever layout the primitive likes inside; `reorder`
 * brings it there before the run, or back after a weight gradient.
 */
struct deep_onednn_conv {
    deep_host host;
    enum deep_onednn_direction direction;
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_t primitive, reorder; /* reorder is NULL when the layouts are the same */
    dnnl_memory_t input, plain, packed, output, pad, reorder_pad;
    size_t pad_bytes, packed_bytes, reorder_pad_bytes;
};

static dnnl_status_t make_memory(dnnl_memory_t *memory, dnnl_engine_t engine, layout_view described)
{
    return dnnl_memory_create(memory, described, engine, DNNL_MEMORY_NONE);
}

static dnnl_status_t make_scratchpad(dnnl_memory_t *memory, size_t *bytes, dnnl_engine_t engine,
                                     const_dnnl_primitive_desc_t pd)
{
    const layout_view described = dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0);
    *bytes = described == NULL ? 0 : dnnl_memory_desc_get_size(described);
    return described == NULL ? dnnl_success : make_memory(memory, engine, described);
}

static dnnl_status_t make_reorder(deep_onednn_conv *conv, dnnl_primitive_attr_t attr, layout_view plain,
                                  layout_view packed)
{
    const bool back = conv->direction == DEEP_ONEDNN_GRAD_WEIGHTS;
    dnnl_primitive_desc_t pd = NULL;
    conv->packed_bytes = dnnl_memory_desc_get_size(packed);
    dnnl_status_t status = dnnl_reorder_primitive_desc_create(&pd, back ? packed : plain, conv->engine,
                                                              back ? plain : packed, conv->engine, attr);
    if (status != dnnl_success) return status;
    status = dnnl_primitive_create(&conv->reorder, pd);
    if (status == dnnl_success)
        status = make_scratchpad(&conv->reorder_pad, &conv->reorder_pad_bytes, conv->engine, pd);
    dnnl_primitive_desc_destroy(pd);
    return status;
}

static dnnl_status_t make_conv(deep_onednn_conv *conv, dnnl_primitive_attr_t attr, const conv_layouts *l,
                               layout_view plain)
{
    dnnl_primitive_desc_t forward = NULL, pd = NULL;
    const bool backward = conv->direction != DEEP_ONEDNN_FORWARD;
    dnnl_status_t status = describe_conv(&forward, conv->engine, attr, DEEP_ONEDNN_FORWARD, backward, l, NULL);
    if (status == dnnl_success && backward)
        status = describe_conv(&pd, conv->engine, attr, conv->direction, true, l, forward);
    const_dnnl_primitive_desc_t chosen = backward ? pd : forward;
    if (status == dnnl_success) status = dnnl_primitive_create(&conv->primitive, chosen);
    if (status == dnnl_success) status = make_scratchpad(&conv->pad, &conv->pad_bytes, conv->engine, chosen);
    if (status == dnnl_success) {
        const bool gradient = conv->direction == DEEP_ONEDNN_GRAD_WEIGHTS;
        const layout_view packed =
            dnnl_primitive_desc_query_md(chosen, gradient ? dnnl_query_diff_weights_md : dnnl_query_weights_md, 0);
        status = make_memory(&conv->plain, conv->engine, plain);
        if (status == dnnl_success) status = make_memory(&conv->packed, conv->engine, packed);
        if (status == dnnl_success && !dnnl_memory_desc_equal(plain, packed))
            status = make_reorder(conv, attr, plain, packed);
    }
    if (pd != NULL) dnnl_primitive_desc_destroy(pd);
    if (forward != NULL) dnnl_primitive_desc_destroy(forward);
    return status;
}

static dnnl_status_t make_all(deep_onednn_conv *conv, const deep_onednn_shape *s)
{
    const dnnl_dims_t x = {s->batch, s->channels, s->rows, s->columns};
    const dnnl_dims_t w = {s->outputs, s->channels, s->kernel_rows, s->kernel_columns};
    const dnnl_dims_t y = {s->batch, s->outputs, s->output_rows, s->output_columns};
    conv_layouts l = {.strides = {s->stride, s->stride},
                      .pad_before = {s->pad[DEEP_PAD_TOP], s->pad[DEEP_PAD_LEFT]},
                      .pad_after = {s->pad[DEEP_PAD_BOTTOM], s->pad[DEEP_PAD_RIGHT]}};
    layout plain = {0};
    dnnl_primitive_attr_t attr = NULL;
    dnnl_status_t status = dnnl_engine_create(&conv->engine, dnnl_cpu, 0);
    if (status == dnnl_success) status = dnnl_stream_create(&conv->stream, conv->engine, dnnl_stream_default_flags);
    if (status == dnnl_success) status = dnnl_primitive_attr_create(&attr);
    if (status == dnnl_success) status = dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
    if (status == dnnl_success) status = layout_create(&l.input, x, dnnl_nhwc);
    if (status == dnnl_success) status = layout_create(&l.weights, w, dnnl_format_tag_any);
    if (status == dnnl_success) status = layout_create(&l.output, y, dnnl_nhwc);
    if (status == dnnl_success) status = layout_create(&plain, w, dnnl_hwio);
    if (status == dnnl_success) status = make_memory(&conv->input, conv->engine, view(&l.input));
    if (status == dnnl_success) status = make_memory(&conv->output, conv->engine, view(&l.output));
    if (status == dnnl_success) status = make_conv(conv, attr, &l, view(&plain));
    if (attr != NULL) dnnl_primitive_attr_destroy(attr);
    layout_free(&plain);
    layout_free(&l.output);
    layout_free(&l.weights);
    layout_free(&l.input);
    return status;
}

deep_status deep__onednn_conv_create(deep_onednn_conv **out, const deep_host *host,
                                     enum deep_onednn_direction direction, const deep_onednn_shape *shape)
{
    *out = NULL;
    deep_onednn_conv *conv = host->alloc(host->user, sizeof *conv);
    if (conv == NULL) return DEEP_ERROR_OUT_OF_MEMORY;
    *conv = (deep_onednn_conv){.host = *host, .direction = direction};
    const dnnl_status_t status = make_all(conv, shape);
    if (status != dnnl_success) {
        deep__onednn_conv_free(conv);
        return fail(host, "creating a convolution", status);
    }
    *out = conv;
    return DEEP_OK;
}

void deep__onednn_conv_free(deep_onednn_conv *conv)
{
    if (conv == NULL) return;
    const dnnl_memory_t memories[] = {conv->input,  conv->plain, conv->packed,
                                      conv->output, conv->pad,   conv->reorder_pad};
    for (size_t i = 0; i < sizeof memories / sizeof memories[0]; ++i)
        if (memories[i] != NULL) dnnl_memory_destroy(memories[i]);
    if (conv->reorder != NULL) dnnl_primitive_destroy(conv->reorder);
    if (conv->primitive != NULL) dnnl_primitive_destroy(conv->primitive);
    if (conv->stream != NULL) dnnl_stream_destroy(conv->stream);
    if (conv->engine != NULL) dnnl_engine_destroy(conv->engine);
    const deep_host host = conv->host;
    host.free(host.user, conv);
}

static size_t aligned(size_t bytes)
{
    return (bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
}

size_t deep__onednn_conv_scratch(const deep_onednn_conv *conv)
{
    return aligned(conv->packed_bytes) + aligned(conv->pad_bytes) + aligned(conv->reorder_pad_bytes);
}

static dnnl_status_t run_reorder(deep_onednn_conv *conv)
{
    const bool back = conv->direction == DEEP_ONEDNN_GRAD_WEIGHTS;
    const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, back ? conv->packed : conv->plain},
                                         {DNNL_ARG_TO, back ? conv->plain : conv->packed},
                                         {DNNL_ARG_SCRATCHPAD, conv->reorder_pad}};
    return dnnl_primitive_execute(conv->reorder, conv->stream, conv->reorder_pad != NULL ? 3 : 2, arguments);
}

static dnnl_status_t run_conv(deep_onednn_conv *conv)
{
    static const int names[][3] = {
        [DEEP_ONEDNN_FORWARD] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST},
        [DEEP_ONEDNN_GRAD_INPUT] = {DNNL_ARG_DIFF_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_DST},
        [DEEP_ONEDNN_GRAD_WEIGHTS] = {DNNL_ARG_SRC, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_DST},
    };
    const int *name = names[conv->direction];
    const dnnl_exec_arg_t arguments[] = {
        {name[0], conv->input}, {name[1], conv->packed}, {name[2], conv->output}, {DNNL_ARG_SCRATCHPAD, conv->pad}};
    return dnnl_primitive_execute(conv->primitive, conv->stream, conv->pad != NULL ? 4 : 3, arguments);
}

deep_status deep__onednn_conv_run(deep_onednn_conv *conv, float *input, float *weights, float *output, void *scratch)
{
    char *packed = scratch, *pad = packed + aligned(conv->packed_bytes), *reorder_pad = pad + aligned(conv->pad_bytes);
    dnnl_status_t status = dnnl_memory_set_data_handle(conv->input, input);
    if (status == dnnl_success) status = dnnl_memory_set_data_handle(conv->output, output);
    if (status == dnnl_success) status = dnnl_memory_set_data_handle(conv->plain, weights);
    if (status == dnnl_success)
        status = dnnl_memory_set_data_handle(conv->packed, conv->reorder != NULL ? (void *)packed : weights);
    if (status == dnnl_success && conv->pad != NULL) status = dnnl_memory_set_data_handle(conv->pad, pad);
    if (status == dnnl_success && conv->reorder_pad != NULL)
        status = dnnl_memory_set_data_handle(conv->reorder_pad, reorder_pad);
    const bool before = conv->reorder != NULL && conv->direction != DEEP_ONEDNN_GRAD_WEIGHTS;
    const bool after = conv->reorder != NULL && conv->direction == DEEP_ONEDNN_GRAD_WEIGHTS;
    if (status == dnnl_success && before) status = run_reorder(conv);
    if (status == dnnl_success) status = run_conv(conv);
    if (status == dnnl_success && after) status = run_reorder(conv);
    if (status == dnnl_success) status = dnnl_stream_wait(conv->stream);
    return status == dnnl_success ? DEEP_OK : fail(&conv->host, "a convolution", status);
}
