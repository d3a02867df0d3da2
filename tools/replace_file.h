/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_TOOLS_REPLACE_FILE_H
#define DEEP_TOOLS_REPLACE_FILE_H

#include <stddef.h>

/* Writes a file whole or not at all: what was there before stays until the new one is complete. 0, or -1 with errno. */
int replace_file(const char *path, const char *data, size_t size);

#endif
