/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_TEST_JPEG_BUILDER_H
#define DEEP_TEST_JPEG_BUILDER_H

#include "bytes.h"

/* A JPEG file written by libjpeg. Zero in every field is a 24 x 17 grey image. */
typedef struct jpeg_plan {
    int width, height;    /* 0 = 24 and 17 */
    int components;       /* 0 = 1; 2 = unknown colours; 3 = YCbCr; 4 = CMYK */
    int ycck;             /* 1 = four components as YCCK */
    int rgb;              /* 1 = three components without colour transform */
    int luma_h, luma_v;   /* sampling of the first component; 0 = 1 */
    int other_h, other_v; /* of the others */
    int progressive;
    int scans; /* progressive, with so many scans */
    int arithmetic;
    int restart; /* MCUs between restart markers */
    int optimize;
} jpeg_plan;

bytes jpeg_build(const jpeg_plan *plan);

/* Position of the 0xff of the n-th (from 0) marker of this kind before the first scan's data; SOS itself included. */
size_t jpeg_find(const bytes *file, int marker, int n);

/* Position of the first restart marker at or behind `from`. */
size_t jpeg_find_restart(const bytes *file, size_t from);

/* An APP1 segment with an EXIF directory that holds this orientation, and `padding` bytes behind it. */
void jpeg_add_exif(bytes *file, int orientation, int big_endian, size_t padding);

#endif
