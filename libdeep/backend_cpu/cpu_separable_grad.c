/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gradients of a separable convolution in training, a few images at a time: the slope of their depthwise results stays
 * near while it becomes the gradients of the depthwise kernel and of the input, with the sums that the norm needs.
 * Every sum is cut into parts that only the shape decides, joined in order.
 */
#include "backend_cpu/cpu_separable_train.h"
#include "backend_cpu/cpu_widen.h"

#include <string.h>

enum {
    GROUP_BYTES = 2 << 20, /* of slopes: as many whole images, at least one */
    GROUP_PARTS = 16,      /* of a group: enough for as many threads */
    TAPS = 9
};

enum { ROW_X, ROW_TAKEN, ROW_DX, ROWS }; /* a strip's: as stored, normalised, and the gradient */

typedef struct grad_call {
    cpu_unit unit;
    const deep_value_info *dy, *dx; /* floats or bfloat16 */
    int64_t images;                 /* of a group */
    int64_t strips;                 /* that an image is cut into */
    int64_t first_image;            /* of the group that is being worked on */
    int32_t wanted;                 /* DEEP_WANT_* */
    float *turned;                  /* scratch [9, C]: the depthwise kernel by half a turn */
    float *a, *b;                   /* scratch [C]: what the norm's gradient subtracts */
    float *slope;                   /* scratch [images, H, W, C]: gradient of the depthwise results */
    float *rows;                    /* scratch [images strips, ROWS, W, C]: what a strip works on */
    float *sums; /* scratch [N strips, 11, C]: gradient of the depthwise kernel, sum and product of the norm */
    float *wide; /* scratch [band, W, outputs]: a band of dy that is stored as bfloat16 */
} grad_call;

static int64_t describe(grad_call *g, const deep_call *call)
{
    const int64_t floats = deep__cpu_unit_describe(&g->unit, call);
    const int64_t *shape = g->unit.shape->shape, image = shape[1] * g->unit.row;
    const int64_t fitting = GROUP_BYTES / (image * (int64_t)sizeof(float));
    g->images = fitting < 1 ? 1 : fitting > shape[0] ? shape[0] : fitting;
    g->strips = cpu_parts(GROUP_PARTS, g->images) < shape[1] ? cpu_parts(GROUP_PARTS, g->images) : shape[1];
    return floats + (TAPS + 2) * g->unit.channels * (1 + shape[0] * g->strips) + g->images * image +
           g->images * g->strips * ROWS * g->unit.row +
           (call->in[0]->dtype == DEEP_DTYPE_BF16 ? g->unit.band * shape[2] * g->unit.outputs : 0);
}

size_t deep__cpu_separable_grad_scratch(const cpu_node *node)
{
    grad_call g;
    return (size_t)describe(&g, &node->call) * sizeof(float);
}

static void open_gradient(grad_call *g, const cpu_run *run)
{
    const deep_call *call = run->call;
    describe(g, call);
    g->turned = deep__cpu_unit_open(&g->unit, run);
    g->a = g->turned + TAPS * g->unit.channels;
    g->b = g->a + g->unit.channels;
    g->slope = g->b + g->unit.channels;
    g->rows = g->slope + g->images * g->unit.shape->shape[1] * g->unit.row;
    g->sums = g->rows + g->images * g->strips * ROWS * g->unit.row;
    g->wide = g->sums + (TAPS + 2) * g->unit.channels * g->unit.shape->shape[0] * g->strips;
    g->dy = call->in[0];
    g->dx = call->out[0];
    g->wanted = call->attr->conv.wanted;
    for (int64_t t = 0; t < TAPS; ++t)
        memcpy(g->turned + t * g->unit.channels, g->unit.w + (TAPS - 1 - t) * g->unit.channels,
               (size_t)g->unit.channels * sizeof(float));
}

/* ---- 1x1: gradient of its kernel, and slope of the depthwise results ---- */

typedef struct slope_call {
    const grad_call *gradient;
    int64_t first; /* image row */
} slope_call;

static void widen_slopes(const void *context, int64_t i)
{
    const slope_call *s = context;
    const cpu_unit *u = &s->gradient->unit;
    const int64_t row = u->shape->shape[2] * u->outputs;
    u->run->kernels->load_bf16(s->gradient->wide + i * row,
                               (const uint16_t *)u->run->call->src[0] + (s->first + i) * row, row);
}

/* dy of image rows first .. first + count - 1 as floats. */
static const float *slopes_of(const grad_call *g, int64_t first, int64_t count)
{
    const cpu_unit *u = &g->unit;
    const slope_call s = {g, first};
    if (g->dy->dtype != DEEP_DTYPE_BF16)
        return (const float *)u->run->call->src[0] + first * u->shape->shape[2] * u->outputs;
    deep__cpu_parallel(u->run->threads, count, widen_slopes, &s);
    return g->wide;
}

static deep_status pointwise_band(grad_call *g, int64_t first, int64_t count)
{
    cpu_unit *u = &g->unit;
    const int64_t width = u->shape->shape[2], group_row = g->first_image * u->shape->shape[1];
    const float *dy = slopes_of(g, first, count);
    if (g->wanted & DEEP_WANT_KERNELS) {
        const deep_onednn_product weights = {true, false, first > 0, u->channels, u->outputs, count * width};
        deep__cpu_unit_band(u, first, count);
        DEEP_TRY(deep__onednn_multiply(u->run->host, &weights, u->between, dy, u->run->call->dst[2]));
    }
    return deep__onednn_gemm(u->run->host, false, true, count * width, u->channels, u->outputs, dy, u->pointwise,
                             g->slope + (first - group_row) * u->row);
}

static deep_status pointwise_group(grad_call *g, int64_t images)
{
    const int64_t height = g->unit.shape->shape[1], begin = g->first_image * height, end = begin + images * height;
    for (int64_t first = begin; first < end; first += g->unit.band)
        DEEP_TRY(pointwise_band(g, first, end - first < g->unit.band ? end - first : g->unit.band));
    return DEEP_OK;
}

/* ---- depthwise: gradient of its kernel and of its input, and the norm's sums ---- */

static float *row_of(const grad_call *g, int64_t strip, int which)
{
    return g->rows + (strip * ROWS + which) * g->unit.row;
}

/* Slopes of row `h` of image `n` of the group, or NULL outside. */
static const float *slope_row(const grad_call *g, int64_t n, int64_t h)
{
    const int64_t height = g->unit.shape->shape[1];
    return h < 0 || h >= height ? NULL : g->slope + ((n - g->first_image) * height + h) * g->unit.row;
}

static void depthwise_row(const grad_call *g, int64_t strip, float *sums, int64_t n, int64_t h)
{
    const cpu_unit *u = &g->unit;
    const deep_call *call = u->run->call;
    const cpu_kernels *k = u->run->kernels;
    const int64_t width = u->shape->shape[2], channels = u->channels, at = (n * u->shape->shape[1] + h) * u->row;
    const float *x = cpu_read(k, u->shape, u->x, at, u->row, row_of(g, strip, ROW_X)), *taken = x;
    const float *above = slope_row(g, n, h - 1), *here = slope_row(g, n, h), *below = slope_row(g, n, h + 1);
    if (u->norm[0] != NULL) {
        taken = row_of(g, strip, ROW_TAKEN);
        k->scale_shift(row_of(g, strip, ROW_TAKEN), x, u->scale, u->shift, NULL, width, channels, u->relu);
    }
    if (g->wanted & DEEP_WANT_KERNELS)
        k->depthwise_weights_row(sums, taken, (const float *const[3]){below, here, above}, width, channels,
                                 u->relu && u->norm[0] == NULL);
    if (!(g->wanted & DEEP_WANT_INPUT)) return;
    float *dx = cpu_writable(g->dx, call->dst[0], at, row_of(g, strip, ROW_DX));
    k->depthwise_rows(dx, &(cpu_depthwise){.x = (const float *const[3]){above, here, below},
                                           .w = g->turned,
                                           .mask = u->relu ? taken : NULL,
                                           .rows = 1,
                                           .width = width,
                                           .channels = channels});
    if (u->norm[0] != NULL)
        k->norm_sums(sums + TAPS * channels, sums + (TAPS + 1) * channels, dx, x, u->norm[2], u->scale, u->shift, width,
                     channels, false);
    cpu_written(k, g->dx, call->dst[0], at, u->row, dx);
}

static void depthwise_strip(const void *context, int64_t strip)
{
    const grad_call *g = context;
    const int64_t n = g->first_image + strip / g->strips, i = strip % g->strips, height = g->unit.shape->shape[1];
    const int64_t size = (TAPS + 2) * g->unit.channels;
    float *sums = g->sums + (n * g->strips + i) * size;
    memset(sums, 0, (size_t)size * sizeof *sums);
    for (int64_t h = height * i / g->strips; h < height * (i + 1) / g->strips; ++h)
        depthwise_row(g, strip, sums, n, h);
}

enum { JOINED = 1024 };

static void join_some(const void *context, int64_t block)
{
    const grad_call *g = context;
    const int64_t size = TAPS * g->unit.channels, step = (TAPS + 2) * g->unit.channels;
    const int64_t first = block * JOINED, count = cpu_part_end(block, JOINED, size) - first;
    float *dw = (float *)g->unit.run->call->dst[1] + first;
    memcpy(dw, g->sums + first, (size_t)count * sizeof *dw);
    for (int64_t part = 1; part < g->unit.shape->shape[0] * g->strips; ++part)
        g->unit.run->kernels->add(dw, dw, g->sums + part * step + first, count);
}

static void join_kernel(const grad_call *g)
{
    deep__cpu_parallel(g->unit.run->threads, cpu_parts(TAPS * g->unit.channels, JOINED), join_some, g);
}

/* ---- the norm ---- */

static void norm_rows(const void *context, int64_t strip)
{
    const grad_call *g = context;
    const cpu_unit *u = &g->unit;
    const cpu_kernels *k = u->run->kernels;
    const int64_t strips = g->images * g->strips;
    for (int64_t row = u->rows * strip / strips; row < u->rows * (strip + 1) / strips; ++row) {
        const int64_t at = row * u->row;
        void *data = u->run->call->dst[0];
        float *dx = cpu_writable(g->dx, data, at, row_of(g, strip, ROW_DX));
        const float *slope = cpu_read(k, g->dx, data, at, u->row, row_of(g, strip, ROW_DX));
        const float *x = cpu_read(k, u->shape, u->x, at, u->row, row_of(g, strip, ROW_X));
        k->norm_gradient(dx, slope, x, u->norm[2], u->scale, u->shift, g->a, g->b, u->shape->shape[2], u->channels,
                         false);
        cpu_written(k, g->dx, data, at, u->row, dx);
    }
}

/* dx, which was the slope of the normalised input with the ReLU's zeros in it, becomes that of x itself. */
static void norm_gradient(const grad_call *g, int64_t parts)
{
    const cpu_unit *u = &g->unit;
    const deep_call *call = u->run->call;
    const cpu_norm_sums sums = {.sum = g->sums + TAPS * u->channels,
                                .dot = g->sums + (TAPS + 1) * u->channels,
                                .parts = parts,
                                .stride = (TAPS + 2) * u->channels,
                                .columns = u->channels,
                                .rows = u->rows * u->shape->shape[2],
                                .epsilon = call->attr->conv.epsilon};
    deep__cpu_join_norm_sums(u->run->threads, &sums, u->norm[3], call->dst[3], call->dst[4], g->a, g->b);
    deep__cpu_parallel(u->run->threads, g->images * g->strips, norm_rows, g);
}

deep_status deep__cpu_separable_grad(const cpu_run *run)
{
    grad_call g;
    open_gradient(&g, run);
    const int64_t images = g.unit.shape->shape[0], parts = images * g.strips;
    for (g.first_image = 0; g.first_image < images; g.first_image += g.images) {
        const int64_t count = images - g.first_image < g.images ? images - g.first_image : g.images;
        DEEP_TRY(pointwise_group(&g, count));
        deep__cpu_parallel(run->threads, count * g.strips, depthwise_strip, &g);
    }
    if (g.wanted & DEEP_WANT_KERNELS) join_kernel(&g);
    if ((g.wanted & DEEP_WANT_INPUT) && g.unit.norm[0] != NULL) norm_gradient(&g, parts);
    return DEEP_OK;
}
