/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_TRAIN_HISTORY_H
#define DEEP_TRAIN_HISTORY_H

#include "base/json.h"
#include "base/memory.h"

#include <deep/trainer.h>

struct deep_history {
    const deep_allocator *allocator;
    deep_epoch *epochs;
    size_t capacity;
    int32_t count;
    int32_t best; /* epoch, from 1; 0 = none */
};

deep_status deep__history_create(deep_history **out, const deep_allocator *allocator);
deep_status deep__history_add(deep_history *history, const deep_epoch *epoch);

/* To and from a checkpoint; the caller frees the JSON. */
deep_status deep__history_describe(deep_json **out, const deep_history *history);
deep_status deep__history_restore(deep_history *history, const deep_json *rows);

#endif
