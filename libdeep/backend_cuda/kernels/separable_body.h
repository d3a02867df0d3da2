/* SPDX-License-Identifier: Apache-2.0 */
#include "backend_cuda/kernels/norm_on_load.h"
#include "backend_cuda/kernels/separable_room.h"

/* ---- before the rounds ---- */

/* Of a pixel in the images with zeros behind: its index in x. */
KERNEL_FUNCTION uint32_t place_of(const separable_arguments *a, int64_t pixel)
{
    const uint32_t width = (uint32_t)a->width, height = (uint32_t)a->height;
    if (pixel < 0 || pixel >= (int64_t)all_pixels(a)) return NOWHERE;
    const uint32_t column = (uint32_t)pixel % (width + 1), line = (uint32_t)pixel / (width + 1);
    const uint32_t image = line / (height + 1), row = line % (height + 1);
    return column == width || row == height ? NOWHERE : (image * height + row) * width + column;
}

KERNEL_FUNCTION void separable_begin(const separable_arguments *a, kernel_position at, void *shared,
                                     separable_lanes *own, int tile)
{
    uint32_t *places = places_of(a, shared, tile);
    for (uint32_t i = at.thread; i < neighbours(a, tile); i += KERNEL_THREADS)
        places[i] = place_of(a, (int64_t)first_pixel(a, at, tile) + i - reach(a));
    KERNEL_UNROLL
    for (int i = 0; i < DOWN; ++i)
        KERNEL_UNROLL
    for (int j = 0; j < ACROSS; ++j)
        KERNEL_UNROLL
    for (int k = 0; k < 4; ++k)
        own->sum[i][j][at.thread % KERNEL_LANES][k] = 0;
}

/* ---- copying what a round reads ---- */

enum { COPIED = KERNEL_THREADS / PIECES }; /* pixels, or output channels, at once */

/* x and the depthwise kernel. The places of x have 32 bits: so has each of the tensors' elements. */
KERNEL_FUNCTION void load_pixels(const separable_arguments *a, kernel_position at, uint32_t round, void *shared,
                                 int tile)
{
    const uint32_t *places = places_of(a, shared, tile);
    const uint32_t piece = at.thread % PIECES, channel = round * SEPARABLE_DEPTH + piece * PIECE;
    uint16_t *to = x_of(a, shared, round, tile) + at.thread / PIECES * PITCH + piece * PIECE;
    for (uint32_t i = at.thread / PIECES; i < neighbours(a, tile); i += COPIED, to += COPIED * PITCH) {
        const bool there = places[i] != NOWHERE && channel < a->channels;
        const uint32_t from = there ? places[i] * a->channels + channel : 0;
        copy_begin(to, (const uint16_t *)a->x + from, there);
    }
    if (at.thread < TAPS * GROUPS) {
        const uint32_t tap = at.thread / GROUPS, lane = at.thread % GROUPS * LANES;
        const bool there = round * SEPARABLE_DEPTH + lane < a->channels;
        const uint32_t from = there ? tap * a->channels + round * SEPARABLE_DEPTH + lane : 0;
        copy_begin(&((separable_room *)shared)->depthwise[round % 2][tap][lane], a->depthwise + from, there);
    }
}

KERNEL_FUNCTION void load_pointwise(const separable_arguments *a, kernel_position at, uint32_t round, void *shared,
                                    int tile)
{
    const uint32_t piece = at.thread % PIECES, channel = round * SEPARABLE_DEPTH + piece * PIECE;
    const uint32_t first = first_column(a, at, tile) + at.thread / PIECES;
    uint16_t *to = pointwise_at(shared, round, at.thread / PIECES, piece, tile);
    KERNEL_UNROLL
    for (uint32_t i = 0; i < tile_columns(tile); i += COPIED) { /* which is a multiple of what places repeat after */
        const bool there = first + i < a->columns && channel < a->channels;
        const uint32_t from = there ? (first + i) * a->channels + channel : 0;
        copy_begin(to + i * SEPARABLE_DEPTH, (const uint16_t *)a->pointwise + from, there);
    }
}

/* The product is a round later: so is what it reads beside the depthwise results. */
KERNEL_FUNCTION void separable_load(const separable_arguments *a, kernel_position at, uint32_t step, void *shared,
                                    int tile)
{
    if (step < separable_rounds(a)) load_pixels(a, at, step, shared, tile);
    if (step - 1 < separable_rounds(a)) load_pointwise(a, at, step - 1, shared, tile);
}

/* ---- depthwise results ---- */

/* One line of six pixels adds to the sums of four; with a ReLU none of them is below `least`, two halves. */
KERNEL_FUNCTION void line_add(float sum[RUN][LANES], const uint16_t *x, float w[3][LANES], uint32_t least, int storage)
{
    KERNEL_UNROLL
    for (int i = 0; i < RUN + 2; ++i) {
        uint32_t words[LANES / 2];
        float values[LANES];
        words_load(words, x + i * PITCH, LANES);
        KERNEL_UNROLL
        for (int l = 0; l < LANES; l += 2)
            word_widen(values + l, word_greater(words[l / 2], least, storage), storage);
        KERNEL_UNROLL
        for (int p = 0; p < RUN; ++p) {
            const int tap = i - p;
            if (tap < 0 || tap > 2) continue;
            KERNEL_UNROLL
            for (int l = 0; l < LANES; ++l)
                sum[p][l] += values[l] * w[tap][l];
        }
    }
}

KERNEL_FUNCTION void run_store(void *shared, uint32_t round, uint32_t pixel, uint32_t lane, float sum[RUN][LANES],
                               int storage)
{
    KERNEL_UNROLL
    for (uint32_t p = 0; p < RUN; ++p)
        halves_store(result_at(shared, round, pixel + p, lane / PIECE) + lane % PIECE, sum[p], LANES, storage);
}

KERNEL_FUNCTION void separable_make(const separable_arguments *a, kernel_position at, uint32_t round, void *shared,
                                    int tile, int storage)
{
    const uint32_t infinities = storage == STORED_BF16 ? 0xff80ff80 : 0xfc00fc00; /* below 0 */
    const uint32_t least = a->relu_input ? 0 : infinities;
    const uint32_t lane = at.thread % GROUPS * LANES, width = (uint32_t)a->width;
    float w[TAPS][LANES];
    KERNEL_UNROLL
    for (int tap = 0; tap < TAPS; ++tap)
        lanes_load(w[tap], ((separable_room *)shared)->depthwise[round % 2][tap] + lane, LANES);
    KERNEL_UNROLL
    for (uint32_t r = 0; r < tile_pixels(tile) / (RUNS * RUN); ++r) {
        const uint32_t pixel = (r * RUNS + at.thread / GROUPS) * RUN;
        const uint16_t *x = x_of(a, shared, round, tile) + pixel * PITCH + lane;
        float sum[RUN][LANES];
        KERNEL_UNROLL
        for (int p = 0; p < RUN; ++p)
            KERNEL_UNROLL
        for (int l = 0; l < LANES; ++l)
            sum[p][l] = 0;
        KERNEL_UNROLL
        for (uint32_t line = 0; line < 3; ++line)
            line_add(sum, x + line * (width + 1) * PITCH, w + 3 * line, least, storage);
        run_store(shared, round, pixel, lane, sum, storage);
    }
}

/* ---- the product: by warps ---- */

KERNEL_FUNCTION uint32_t warp_pixel(kernel_position at, int tile)
{
    return at.thread / KERNEL_WARP % (tile_pixels(tile) / SIDE) * SIDE;
}

KERNEL_FUNCTION uint32_t warp_column(kernel_position at, int tile)
{
    return at.thread / KERNEL_WARP / (tile_pixels(tile) / SIDE) * SIDE;
}

/* Two pieces of 16 pixels, of which the thread has two: `from` is where the first of them begins, in both pieces. */
KERNEL_FUNCTION void fragment_a(uint32_t a[4], const uint16_t *const from[2], uint32_t lane)
{
    KERNEL_UNROLL
    for (int i = 0; i < 4; ++i)
        words_load(&a[i], from[i / 2] + i % 2 * FRAGMENT_ROWS / 2 * SEPARABLE_DEPTH + lane % 4 * 2, 2);
}

/* Of eight output channels, of which the thread has one. */
KERNEL_FUNCTION void fragment_b(uint32_t b[2], const uint16_t *const from[2], uint32_t lane)
{
    KERNEL_UNROLL
    for (int i = 0; i < 2; ++i)
        words_load(&b[i], from[i] + lane % 4 * 2, 2);
}

/*
 * What a lane has of the warp's fragments, of two pieces. Its results of a fragment are columns 2 t and 2 t + 1; for those of BESIDE
 * fragments to be neighbours, columns 2 t and 2 t + 1 of fragment j are output channels 8 t + 2 j and 8 t + 2 j + 1 of RESULTS.
 */
KERNEL_FUNCTION void fragments_load(uint32_t a[DOWN][KERNEL_LANES][4], uint32_t b[ACROSS][KERNEL_LANES][2], uint32_t n,
                                    kernel_position at, uint32_t round, void *shared, uint32_t piece, int tile)
{
    const uint32_t lane = at.thread % KERNEL_WARP + n, g = lane / 4;
    const uint32_t pixel = warp_pixel(at, tile) + g, column = warp_column(at, tile) + g / 2 * HALF_LANES + g % 2;
    const uint16_t *const pixels[2] = {result_at(shared, round, pixel, piece),
                                       result_at(shared, round, pixel, piece + 1)};
    const uint16_t *const columns[2] = {pointwise_at(shared, round, column, piece, tile),
                                        pointwise_at(shared, round, column, piece + 1, tile)};
    KERNEL_UNROLL
    for (uint32_t i = 0; i < DOWN; ++i) {
        const uint32_t down = i * FRAGMENT_ROWS * SEPARABLE_DEPTH;
        const uint16_t *const from[2] = {pixels[0] + down, pixels[1] + down};
        fragment_a(a[i][n], from, lane);
    }
    KERNEL_UNROLL
    for (uint32_t j = 0; j < ACROSS; ++j) {
        const uint32_t across = (j / BESIDE * RESULTS + j % BESIDE * 2) * SEPARABLE_DEPTH;
        const uint16_t *const from[2] = {columns[0] + across, columns[1] + across};
        fragment_b(b[j][n], from, lane);
    }
}

KERNEL_FUNCTION void separable_use(kernel_position at, uint32_t round, void *shared, separable_lanes *own, int tile,
                                   int storage)
{
    uint32_t a[DOWN][KERNEL_LANES][4], b[ACROSS][KERNEL_LANES][2];
    KERNEL_UNROLL
    for (uint32_t piece = 0; piece < PIECES; piece += FRAGMENT_DEPTH / PIECE) {
        KERNEL_UNROLL
        for (uint32_t n = 0; n < KERNEL_LANES; ++n)
            fragments_load(a, b, n, at, round, shared, piece, tile);
        KERNEL_UNROLL
        for (int i = 0; i < DOWN; ++i)
            KERNEL_UNROLL
        for (int j = 0; j < ACROSS; ++j)
            fragments_multiply(own->sum[i][j], a[i], b[j], storage);
    }
}

/* ---- after the rounds ---- */

/* What a thread adds to its results, HALF_LANES of each of its pixels: all is on its way before any is waited for. */
typedef uint32_t separable_added[DOWN][2][HALF_LANES / 2];

KERNEL_FUNCTION void residuals_load(const separable_arguments *a, const uint32_t *places, separable_added added,
                                    uint32_t column)
{
    KERNEL_UNROLL
    for (int i = 0; i < DOWN; ++i)
        KERNEL_UNROLL
    for (int lower = 0; lower < 2; ++lower) {
        const uint32_t place = places[i * FRAGMENT_ROWS + lower * 8];
        KERNEL_UNROLL
        for (int l = 0; l < HALF_LANES / 2; ++l)
            added[i][lower][l] = 0;
        if (a->residual != NULL && place != NOWHERE)
            words_load(added[i][lower], (const uint16_t *)a->residual + (size_t)place * a->columns + column,
                       HALF_LANES);
    }
}

/* Scale and shift of HALF_LANES output channels. */
typedef struct separable_affine {
    float scale[HALF_LANES], shift[HALF_LANES];
} separable_affine;

KERNEL_FUNCTION void affine_load(const separable_arguments *a, separable_affine *affine, uint32_t column)
{
    KERNEL_UNROLL
    for (int l = 0; l < HALF_LANES; ++l) {
        affine->scale[l] = 1;
        affine->shift[l] = 0;
    }
    if (a->scale == NULL) return;
    lanes_load(affine->scale, a->scale + column, HALF_LANES);
    lanes_load(affine->shift, a->shift + column, HALF_LANES);
}

/* From two results of each of BESIDE fragments, in row g, or g + 8 for `lower`. */
KERNEL_FUNCTION void results_finish(const separable_arguments *a, float y[HALF_LANES],
                                    float sum[ACROSS][KERNEL_LANES][4], uint32_t lane, int lower,
                                    const uint32_t added[HALF_LANES / 2], const separable_affine *affine, int storage)
{
    KERNEL_UNROLL
    for (int j = 0; j < BESIDE; ++j) {
        float residual[2];
        word_widen(residual, added[j], storage);
        KERNEL_UNROLL
        for (int l = 0; l < 2; ++l) {
            const int k = 2 * j + l;
            const float value = sum[j][lane][2 * lower + l] * affine->scale[k] + affine->shift[k];
            y[k] = relu_if(a->relu, value + residual[l]);
        }
    }
}

/* The BESIDE fragments from `first` on, of output channels from `column` on; `places` are of the thread's pixels. */
KERNEL_FUNCTION void columns_end(const separable_arguments *a, kernel_position at, const uint32_t *places,
                                 separable_lanes *own, int first, uint32_t column, int storage)
{
    separable_added added;
    separable_affine affine;
    residuals_load(a, places, added, column);
    affine_load(a, &affine, column);
    KERNEL_UNROLL
    for (int i = 0; i < DOWN; ++i)
        KERNEL_UNROLL
    for (int lower = 0; lower < 2; ++lower) {
        const uint32_t place = places[i * FRAGMENT_ROWS + lower * 8];
        float y[HALF_LANES];
        results_finish(a, y, &own->sum[i][first], at.thread % KERNEL_LANES, lower, added[i][lower], &affine, storage);
        if (place != NOWHERE) values_store(a->y, (size_t)place * a->columns + column, y, HALF_LANES, storage);
    }
}

KERNEL_FUNCTION void separable_end(const separable_arguments *a, kernel_position at, void *shared, separable_lanes *own,
                                   int tile, int storage)
{
    const uint32_t *places = places_of(a, shared, tile) + reach(a) + warp_pixel(at, tile) + at.thread % KERNEL_WARP / 4;
    KERNEL_UNROLL
    for (int j = 0; j < ACROSS; j += BESIDE) {
        const uint32_t column = first_column(a, at, tile) + warp_column(at, tile) + (uint32_t)j * FRAGMENT_COLUMNS +
                                at.thread % 4 * HALF_LANES;
        if (column < a->columns) columns_end(a, at, places, own, j, column, storage);
    }
}

/* ---- for both tiles and types ---- */

#define SEPARABLE_KERNEL(name, tile, storage)                                                                          \
    KERNEL_ANYWHERE size_t name##_bytes(const separable_arguments *a)                                                  \
    {                                                                                                                  \
        return separable_bytes(a, tile);                                                                               \
    }                                                                                                                  \
    KERNEL_FUNCTION void name##_begin(const separable_arguments *a, kernel_position at, void *shared,                  \
                                      separable_lanes *own)                                                            \
    {                                                                                                                  \
        separable_begin(a, at, shared, own, tile);                                                                     \
    }                                                                                                                  \
    KERNEL_FUNCTION void name##_load(const separable_arguments *a, kernel_position at, uint32_t step, void *shared)    \
    {                                                                                                                  \
        separable_load(a, at, step, shared, tile);                                                                     \
    }                                                                                                                  \
    KERNEL_FUNCTION void name##_make(const separable_arguments *a, kernel_position at, uint32_t round, void *shared)   \
    {                                                                                                                  \
        separable_make(a, at, round, shared, tile, storage);                                                           \
    }                                                                                                                  \
    KERNEL_FUNCTION void name##_use(kernel_position at, uint32_t round, void *shared, separable_lanes *own)            \
    {                                                                                                                  \
        separable_use(at, round, shared, own, tile, storage);                                                          \
    }                                                                                                                  \
    KERNEL_FUNCTION void name##_end(const separable_arguments *a, kernel_position at, void *shared,                    \
                                    separable_lanes *own)                                                              \
    {                                                                                                                  \
        separable_end(a, at, shared, own, tile, storage);                                                              \
    }                                                                                                                  \
    KERNEL_IN_ROUNDS_AS(static, name, separable_arguments, separable_lanes, name##_bytes, separable_rounds,            \
                        name##_begin, name##_load, name##_make, name##_use, name##_end)

SEPARABLE_KERNEL(separable_tall_bf16, SEPARABLE_TALL, STORED_BF16)
SEPARABLE_KERNEL(separable_tall_f16, SEPARABLE_TALL, STORED_F16)
SEPARABLE_KERNEL(separable_wide_bf16, SEPARABLE_WIDE, STORED_BF16)
SEPARABLE_KERNEL(separable_wide_f16, SEPARABLE_WIDE, STORED_F16)

KERNEL_LINKAGE void deep__kernel_separable(const separable_arguments *a, separable_tile tile, int32_t storage,
                                           void *stream)
{
    const uint32_t tiles = (all_pixels(a) + tile_pixels(tile) - 1) / tile_pixels(tile);
    const kernel_grid grid = {tiles * tiles_across(a, tile), 1, KERNEL_THREADS, stream};
    if (tile == SEPARABLE_TALL)
        (storage == STORED_BF16 ? separable_tall_bf16 : separable_tall_f16)(a, grid);
    else
        (storage == STORED_BF16 ? separable_wide_bf16 : separable_wide_f16)(a, grid);
}

/* ---- what a device can do ---- */

#ifdef __CUDACC__

/* Of the code that was chosen for the device, among those that were compiled: whether it has what it needs, of `most` bytes. */
static bool allow(const void *kernel, int most)
{
    cudaFuncAttributes attributes;
    return cudaFuncGetAttributes(&attributes, kernel) == cudaSuccess && attributes.ptxVersion >= 80 &&
           cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, most) == cudaSuccess;
}

static bool allow_all(int most)
{
    return allow((const void *)separable_tall_bf16_global, most) &&
           allow((const void *)separable_tall_f16_global, most) &&
           allow((const void *)separable_wide_bf16_global, most) &&
           allow((const void *)separable_wide_f16_global, most);
}

KERNEL_LINKAGE bool deep__kernel_separable_fits(const separable_arguments *a, separable_tile tile)
{
    int device, most;
    const bool known = cudaGetDevice(&device) == cudaSuccess &&
                       cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, device) == cudaSuccess;
    const bool fits = known && separable_bytes(a, tile) <= (size_t)most && allow_all(most);
    if (!fits) cudaGetLastError(); /* it is not the next kernel's */
    return fits;
}

#else

KERNEL_LINKAGE bool deep__kernel_separable_fits(const separable_arguments *a, separable_tile tile)
{
    enum { HOPPERS_BYTES = 227 * 1024 }; /* of a block's shared memory */
    return separable_bytes(a, tile) <= HOPPERS_BYTES;
}

#endif
