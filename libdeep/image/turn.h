/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_IMAGE_TURN_H
#define DEEP_IMAGE_TURN_H

#include <stdint.h>

/* Steps over a grid that is read turned: value (x, y) of the result is element origin + x * step_x + y * step_y of the
 * source. */
typedef struct deep_turn_walk {
    int64_t origin;
    int64_t step_x;
    int64_t step_y;
} deep_turn_walk;

/*
 * The walk that turns a grid of width x height by quarter turns counter-clockwise, then mirrors left and right.
 * `pixel` and `stride` are the source's steps in elements. An odd number of turns swaps the result's sides.
 */
deep_turn_walk deep__turn_walk(int32_t width, int32_t height, int64_t pixel, int64_t stride, int32_t quarter_turns,
                               int32_t mirror);

#endif
