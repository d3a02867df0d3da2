/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_DATA_WORKERS_H
#define DEEP_DATA_WORKERS_H

#include "core/context.h"

#include <pthread.h>

/* Work on element `index`; called from several threads at once. */
typedef deep_status (*deep_index_fn)(void *user, size_t index);

/*
 * Calls `work` for 0 .. count - 1 from up to `threads` threads (0 = the context's), the calling one among them. After a
 * failure no further index is begun, and the failure of the lowest index is returned: the same one for any number of
 * threads.
 */
deep_status deep__for_each_index(const deep_context *context, int32_t threads, size_t count, deep_index_fn work,
                                 void *user);

/*
 * Zero-fills memory that was just allocated, by all of the context's threads: the system makes a page when it is first touched,
 * which takes longer than filling it.
 */
void deep__zero_fill(const deep_context *context, void *memory, size_t bytes);

/* pthread_create() with every signal blocked in the new thread, so that the host's handlers run in the host's threads.
 */
int deep__thread_start(pthread_t *thread, void *(*body)(void *), void *user);

#endif
