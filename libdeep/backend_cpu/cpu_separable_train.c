/* SPDX-License-Identifier: Apache-2.0 */
#include "backend_cpu/cpu_separable_train.h"
#include "backend_cpu/cpu_widen.h"

#include <string.h>

enum { BAND_BYTES = 2 << 20 }; /* of depthwise results or of y, over all threads, or up to a half more */

static bool is_gradient(const deep_call *call)
{
    return call->node->op == DEEP_OP_SEPARABLE_GRAD;
}

int64_t deep__cpu_unit_describe(cpu_unit *u, const deep_call *call)
{
    const int32_t first = is_gradient(call) ? 1 : 0;
    *u = (cpu_unit){.shape = call->in[first],
                    .x = call->src[first],
                    .w = call->src[first + 1],
                    .pointwise = call->src[first + 2],
                    .relu = call->attr->conv.relu_input};
    for (int32_t k = 0; k < 4 && call->attr->conv.norm_input; ++k)
        u->norm[k] = call->src[first + 3 + k];
    u->channels = u->shape->shape[3];
    u->outputs = call->in[first + 2]->shape[3];
    u->row = u->shape->shape[2] * u->channels;
    u->rows = u->shape->shape[0] * u->shape->shape[1];
    const int64_t widest = u->outputs > u->channels ? u->outputs : u->channels;
    u->band = BAND_BYTES / (u->shape->shape[2] * widest * (int64_t)sizeof(float));
    const int64_t bands = u->band < 1 ? u->rows : (u->rows + u->band / 2) / u->band;
    u->band = bands > 1 ? cpu_parts(u->rows, bands) : u->rows; /* none is short: threads would wait for it */
    return 2 * u->channels + (2 * u->band + 2) * u->row;
}

float *deep__cpu_unit_open(cpu_unit *u, const cpu_run *run)
{
    deep__cpu_unit_describe(u, run->call);
    u->run = run;
    u->scale = run->call->scratch;
    u->shift = u->scale + u->channels;
    u->taken = u->shift + u->channels;
    u->between = u->taken + (u->band + 2) * u->row;
    if (u->norm[0] != NULL)
        deep__cpu_norm_affine(u->scale, u->shift, u->norm, run->call->attr->conv.epsilon, u->channels);
    return u->between + u->band * u->row;
}

deep_status deep__cpu_unit_prepare(cpu_node *node, const deep_host *host)
{
    const deep_call *call = &node->call;
    const int32_t *pad = call->attr->conv.pad, first = is_gradient(call) ? 1 : 0;
    const deep_value_info *w = call->in[first + 1], *pointwise = call->in[first + 2];
    bool common = w->shape[0] == 3 && w->shape[1] == 3 && call->attr->conv.stride == 1;
    for (int32_t i = 0; i < 4; ++i)
        common = common && pad[i] == 1;
    if (common && pointwise->shape[0] == 1 && pointwise->shape[1] == 1) return DEEP_OK;
    return host->fail(host->user, DEEP_ERROR_UNSUPPORTED,
                      "the cpu backend trains separable convolutions with 3x3 and 1x1 windows alone");
}

/* ---- depthwise results ---- */

typedef struct band_call {
    const cpu_unit *unit;
    const float *from; /* rows `low` and up of what is convolved */
    int64_t low, first, count;
} band_call;

static void take_row(const void *context, int64_t i)
{
    const band_call *b = context;
    const cpu_unit *u = b->unit;
    const cpu_kernels *k = u->run->kernels;
    float *taken = u->taken + i * u->row;
    const float *x = cpu_read(k, u->shape, u->x, (b->low + i) * u->row, u->row, taken);
    if (u->norm[0] != NULL)
        k->scale_shift(taken, x, u->scale, u->shift, NULL, u->shape->shape[2], u->channels, u->relu);
}

enum { TOGETHER = 5 }; /* rows of a part, in one image */

/* Rows of the band that begin with row i, up to the end of a part or an image. */
static void convolve_rows(const void *context, int64_t part)
{
    const band_call *b = context;
    const cpu_unit *u = b->unit;
    const int64_t height = u->shape->shape[1], end = cpu_part_end(part, TOGETHER, b->count);
    for (int64_t i = part * TOGETHER, count; i < end; i += count) {
        const int64_t row = b->first + i, h = row % height;
        const float *here = b->from + (row - b->low) * u->row, *x[TOGETHER + 2];
        count = end - i < height - h ? end - i : height - h;
        for (int64_t k = 0; k < count + 2; ++k)
            x[k] = h + k < 1 || h + k > height ? NULL : here + (k - 1) * u->row;
        u->run->kernels->depthwise_rows(u->between + i * u->row,
                                        &(cpu_depthwise){.x = x,
                                                         .w = u->w,
                                                         .rows = count,
                                                         .width = u->shape->shape[2],
                                                         .channels = u->channels,
                                                         .relu = u->relu && u->norm[0] == NULL});
    }
}

void deep__cpu_unit_band(const cpu_unit *u, int64_t first, int64_t count)
{
    const int64_t low = first > 0 ? first - 1 : 0, end = first + count < u->rows ? first + count + 1 : u->rows;
    band_call b = {u, u->taken, low, first, count};
    if (u->norm[0] != NULL || u->shape->dtype == DEEP_DTYPE_BF16)
        deep__cpu_parallel(u->run->threads, end - low, take_row, &b);
    else
        b.from = (const float *)u->x + low * u->row;
    deep__cpu_parallel(u->run->threads, cpu_parts(count, TOGETHER), convolve_rows, &b);
}

/* ---- forward ---- */

/* Pixels in bands, and in parts whose moments are taken together. */
static cpu_cut moments_cut(const cpu_unit *u)
{
    const int64_t width = u->shape->shape[2];
    return (cpu_cut){u->rows * width, u->band * width, cpu_row_grain(u->outputs)};
}

/* Long sums go faster through the packed panels of the product kernel, short ones through sgemm; measured. */
enum { PACKED_CHANNELS = 512, BEYOND = 16 /* floats that readers of a packed kernel look further */ };

static int64_t packed_floats(const cpu_unit *u)
{
    return u->channels >= PACKED_CHANNELS ? u->channels * u->outputs + BEYOND : 0;
}

/* A band of y before it is rounded. */
static int64_t result_floats(const cpu_unit *u, const deep_value_info *y)
{
    return y->dtype == DEEP_DTYPE_BF16 ? u->band * u->shape->shape[2] * u->outputs : 0;
}

size_t deep__cpu_separable_train_scratch(const cpu_node *node)
{
    cpu_unit u;
    const int64_t floats = deep__cpu_unit_describe(&u, &node->call);
    const cpu_cut cut = moments_cut(&u);
    return (size_t)(floats + 2 * cpu_cut_parts(&cut) * u.outputs + packed_floats(&u) +
                    result_floats(&u, node->call.out[0])) *
           sizeof(float);
}

typedef struct moments_call {
    const cpu_unit *unit;
    cpu_cut cut;
    int64_t first;         /* part of the band that is being worked on */
    int64_t begin;         /* its first pixel */
    float *band;           /* its result, floats */
    float *mean, *squares; /* [parts, outputs] */
} moments_call;

static void moments_part(const void *context, int64_t i)
{
    const moments_call *m = context;
    const int64_t part = m->first + i, begin = cpu_cut_begin(&m->cut, part), end = cpu_cut_end(&m->cut, part);
    const int64_t outputs = m->unit->outputs;
    const deep_call *call = m->unit->run->call;
    const cpu_kernels *k = m->unit->run->kernels;
    const float *y = m->band + (begin - m->begin) * outputs;
    if (begin == end) return;
    k->moments(m->mean + part * outputs, m->squares + part * outputs, y, end - begin, outputs);
    cpu_written(k, call->out[0], call->dst[0], begin * outputs, (end - begin) * outputs, y);
}

typedef struct packed_call {
    const cpu_kernels *kernels;
    cpu_product product;
    int64_t pixels, chunk;
} packed_call;

enum {
    CHUNK = 180, /* pixels that meet a panel before the next one is fetched, at most: 512 KiB of 728 channels */
    TILES = 12   /* whole tiles of the product kernel have so many pixels or a half of them */
};

static void multiply_chunk(const void *context, int64_t i)
{
    const packed_call *c = context;
    const int64_t panels = cpu_parts(c->product.columns, c->kernels->panel);
    c->kernels->product(&c->product, i * c->chunk, cpu_part_end(i, c->chunk, c->pixels), 0, panels);
}

/* Pixels of a chunk, so that each thread has as many of them. */
static int64_t chunk_of(int64_t pixels, int32_t threads)
{
    const int64_t rounds = cpu_parts(pixels, (int64_t)CHUNK * threads);
    return cpu_parts(cpu_parts(pixels, rounds * threads), TILES) * TILES;
}

/* y = unit->between times the 1x1 kernel, which `packed` holds when it is not NULL. */
static deep_status multiply_band(const cpu_unit *u, const float *packed, int64_t pixels, float *y)
{
    if (packed == NULL)
        return deep__onednn_gemm(u->run->host, false, false, pixels, u->outputs, u->channels, u->between, u->pointwise,
                                 y);
    const cpu_product product = {.a = u->between, .b = packed, .c = y, .inner = u->channels, .columns = u->outputs};
    const packed_call c = {u->run->kernels, product, pixels, chunk_of(pixels, u->run->threads)};
    deep__cpu_parallel(u->run->threads, cpu_parts(pixels, c.chunk), multiply_chunk, &c);
    return DEEP_OK;
}

typedef struct packing {
    const cpu_unit *unit;
    float *packed;
} packing;

static void pack_panel(const void *context, int64_t panel)
{
    const packing *p = context;
    const cpu_unit *u = p->unit;
    const int64_t grain = u->run->kernels->panel, column = panel * grain;
    const int64_t width = cpu_part_end(panel, grain, u->outputs) - column;
    float *to = p->packed + column * u->channels;
    for (int64_t i = 0; i < u->channels; ++i, to += width)
        memcpy(to, u->pointwise + i * u->outputs + column, (size_t)width * sizeof *to);
}

static float *pack_kernel(const cpu_unit *u, float *packed)
{
    if (packed_floats(u) == 0) return NULL;
    const packing p = {u, packed};
    deep__cpu_parallel(u->run->threads, cpu_parts(u->outputs, u->run->kernels->panel), pack_panel, &p);
    return packed;
}

deep_status deep__cpu_separable_train(const cpu_run *run)
{
    cpu_unit u;
    moments_call m = {.unit = &u, .mean = deep__cpu_unit_open(&u, run)};
    m.cut = moments_cut(&u);
    m.squares = m.mean + cpu_cut_parts(&m.cut) * u.outputs;
    float *rounded = m.squares + cpu_cut_parts(&m.cut) * u.outputs;
    const float *packed = pack_kernel(&u, rounded + result_floats(&u, run->call->out[0]));
    const int64_t width = u.shape->shape[2], in_band = cpu_parts(m.cut.band, m.cut.grain);
    for (int64_t first = 0; first < u.rows; first += u.band, m.first += in_band) {
        const int64_t count = u.rows - first < u.band ? u.rows - first : u.band;
        m.begin = first * width;
        m.band = cpu_writable(run->call->out[0], run->call->dst[0], m.begin * u.outputs, rounded);
        deep__cpu_unit_band(&u, first, count);
        DEEP_TRY(multiply_band(&u, packed, count * width, m.band));
        deep__cpu_parallel(run->threads, in_band, moments_part, &m);
    }
    deep__cpu_join_moments(run->threads, run->call->dst[1], run->call->dst[2], &m.cut, m.mean, m.squares, u.outputs);
    return DEEP_OK;
}
