/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_TOOLS_TWINS_H
#define DEEP_TOOLS_TWINS_H

#include <deep/deep.h>

/* Two images of a data set, by index, whose files have the same bytes. */
typedef struct twin {
    int64_t first;
    int64_t second;
} twin;

/* The caller frees `*twins`. Files that cannot be read are left out. An exit status, with a message unless EXIT_OK. */
int find_twins(const deep_dataset *dataset, twin **twins, int64_t *count);

#endif
