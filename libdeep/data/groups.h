/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_DATA_GROUPS_H
#define DEEP_DATA_GROUPS_H

/* Which images belong together, so that a split keeps them on one side. */
#include "core/context.h"
#include "data/samples.h"

/* The group is the first parenthesis of `pattern`, a POSIX extended regular expression, or its whole match. */
deep_status deep__group_by_pattern(deep_samples *samples, const char *pattern);

/* The group is column `column` of a table in memory: a header line, then TAB-separated rows whose column "path" is an image's name. */
deep_status deep__group_by_table(deep_samples *samples, const char *text, size_t size, const char *file,
                                 const char *column);

/* deep__group_by_table() of a file. */
deep_status deep__group_by_manifest(deep_samples *samples, const deep_context *context, const char *manifest,
                                    const char *column);

#endif
