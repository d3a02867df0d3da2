/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_IMAGE_AUGMENT_H
#define DEEP_IMAGE_AUGMENT_H

#include <stdint.h>

/*
 * How training image `sample` is turned in `epoch`: quarter turns counter-clockwise, then mirrored, as
 * deep_image_turn(). `flags` are DEEP_AUGMENT_* added. The same arguments always give the same answer.
 */
void deep__augment_draw(uint64_t seed, uint64_t sample, uint32_t epoch, int32_t flags, int32_t *quarter_turns,
                        int32_t *mirror);

#endif
