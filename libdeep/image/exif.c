/* SPDX-License-Identifier: Apache-2.0 */
#include "exif.h"

#include <stdbool.h>
#include <string.h>

enum { TAG_ORIENTATION = 0x0112, TYPE_SHORT = 3, HEADER_SIZE = 8, ENTRY_SIZE = 12 };

static uint32_t read_16(const uint8_t *at, bool big_endian)
{
    return big_endian ? (uint32_t)at[0] << 8 | at[1] : (uint32_t)at[1] << 8 | at[0];
}

static uint32_t read_32(const uint8_t *at, bool big_endian)
{
    const uint32_t first = read_16(at, big_endian), second = read_16(at + 2, big_endian);
    return big_endian ? first << 16 | second : second << 16 | first;
}

int32_t deep__exif_orientation(const uint8_t *tiff, size_t size)
{
    if (size < HEADER_SIZE) return 1;
    const bool big_endian = memcmp(tiff, "MM\0*", 4) == 0;
    if (!big_endian && memcmp(tiff, "II*\0", 4) != 0) return 1;
    const size_t directory = read_32(tiff + 4, big_endian);
    if (directory > size || size - directory < 2) return 1;
    const size_t room = (size - directory - 2) / ENTRY_SIZE;
    size_t entries = read_16(tiff + directory, big_endian);
    if (entries > room) entries = room; /* a count that lies is common enough; read what is there */
    for (size_t i = 0; i < entries; ++i) {
        const uint8_t *entry = tiff + directory + 2 + i * ENTRY_SIZE;
        if (read_16(entry, big_endian) != TAG_ORIENTATION) continue;
        const uint32_t value = read_16(entry + 8, big_endian);
        const bool usable = read_16(entry + 2, big_endian) == TYPE_SHORT && value >= 1 && value <= 8;
        return usable ? (int32_t)value : 1;
    }
    return 1;
}

deep_orientation deep__exif_turn(int32_t orientation)
{
    static const deep_orientation turns[9] = {
        {0, 0}, {0, 0}, {0, 1}, /* 2: mirrored left and right */
        {2, 0}, {2, 1},         /* 3: upside down; 4: mirrored top and bottom */
        {3, 1}, {3, 0},         /* 5: transposed; 6: lies on its left side */
        {1, 1}, {1, 0},         /* 7: transposed over the other diagonal; 8: lies on its right side */
    };
    return orientation >= 1 && orientation <= 8 ? turns[orientation] : turns[0];
}
