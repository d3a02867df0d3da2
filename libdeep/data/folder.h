/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_DATA_FOLDER_H
#define DEEP_DATA_FOLDER_H

#include "core/context.h"
#include "data/classes.h"
#include "data/samples.h"

/*
 * Lists the .png, .jpg and .jpeg files below `root`. A folder that holds images, or nothing else to look into, is a
 * class. With a `table` the folders must be among its classes; without one the classes are the folders in the order of
 * their bytes. Hidden files are left out; a link to a folder above itself is not followed.
 */
deep_status deep__folder_scan(deep_samples *samples, deep_classes **classes, const deep_context *context,
                              const char *root, const deep_classes *table);

#endif
