/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_DATA_CLASS_FILE_H
#define DEEP_DATA_CLASS_FILE_H

/* classes.txt, aphia_ids.txt and info.txt, as the reference service has them, and tables that also name folders. */
#include "data/classes.h"

/*
 * Parses a class table: line n, from 0, is class n: its name, or its folder, TAB, its name and perhaps TAB, its
 * AphiaID. `file` stands in the errors.
 */
deep_status deep__class_file_parse(deep_classes **out, const deep_allocator *allocator, const char *text, size_t size,
                                   const char *file);

/* Reads a class table and, from the same folder, aphia_ids.txt: line n is the AphiaID of class n, anything but a number
 * unknown,
 * and info.txt, a text about each class. */
deep_status deep__class_file_read(deep_classes **out, const deep_context *context, const char *path);

/* Writes classes.txt, aphia_ids.txt and, where there are texts, info.txt beside `path`. */
deep_status deep__class_file_write(const deep_classes *classes, const deep_context *context, const char *path);

/* `name` in the folder of the file `path`; the caller frees it. */
deep_status deep__path_beside(char **out, const deep_allocator *allocator, const char *path, const char *name);

/* Skips a byte order mark at `*text`. */
const char *deep__skip_byte_order_mark(const char *text, const char *end);

#endif
