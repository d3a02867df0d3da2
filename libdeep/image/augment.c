/* SPDX-License-Identifier: Apache-2.0 */
#include "augment.h"

#include "base/rng.h"

#include <deep/trainer.h>

void deep__augment_draw(uint64_t seed, uint64_t sample, uint32_t epoch, int32_t flags, int32_t *quarter_turns,
                        int32_t *mirror)
{
    const deep_rng_block random = deep__rng(seed, DEEP_RNG_AUGMENT, sample, epoch);
    int32_t turns = 0, mirrored = 0;
    if (flags & DEEP_AUGMENT_ROTATE90) turns = (int32_t)deep__rng_below(random.word[0], 4);
    if (flags & DEEP_AUGMENT_FLIP) {
        const int32_t left_right = (int32_t)deep__rng_below(random.word[1], 2);
        const int32_t top_bottom = (int32_t)deep__rng_below(random.word[2], 2);
        mirrored = left_right ^ top_bottom;
        turns = (turns + 2 * top_bottom) % 4; /* top and bottom swapped = half a turn, then left and right swapped */
    }
    *quarter_turns = turns;
    *mirror = mirrored;
}
