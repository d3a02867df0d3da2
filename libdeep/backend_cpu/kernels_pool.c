/* SPDX-License-Identifier: Apache-2.0 */
#include "backend_cpu/kernels_list.h"
#include "backend_cpu/vec.h"

enum { TAPS = 9 };

/* The nine pixels of output column w. Where one is missing another stands for it: that changes no maximum. */
static void find_taps(const float *taps[TAPS], const float *const x[3], int64_t w, int64_t channels, int64_t width,
                      int64_t left)
{
    for (int64_t t = 0; t < TAPS; ++t) {
        const int64_t column = 2 * w - left + t % 3;
        taps[t] = x[t / 3] + (column < 0 ? 0 : column < width ? column : width - 1) * channels;
    }
}

void KERNEL(pool_row)(float *y, const float *const x[3], const float *residual, int64_t columns, int64_t channels,
                      int64_t width, int64_t left)
{
    for (int64_t w = 0; w < columns; ++w) {
        const float *taps[TAPS];
        find_taps(taps, x, w, channels, width, left);
        float *to = y + w * channels;
        const float *plus = residual == 0 ? 0 : residual + w * channels;
        int64_t c = 0;
        for (; c + VEC_FLOATS <= channels; c += VEC_FLOATS) {
            vec best = vec_load(taps[0] + c);
            for (int t = 1; t < TAPS; ++t)
                best = vec_larger(best, vec_load(taps[t] + c));
            vec_store(to + c, plus == 0 ? best : best + vec_load(plus + c));
        }
        for (; c < channels; ++c) {
            float best = taps[0][c];
            for (int t = 1; t < TAPS; ++t)
                best = taps[t][c] > best ? taps[t][c] : best;
            to[c] = plus == 0 ? best : best + plus[c];
        }
    }
}
