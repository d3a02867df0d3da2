/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queued work runs as late as it may: when its queue is waited for. What forgets to wait reads old values. Arguments are copied when
 * work is queued or recorded, so whatever changes between and stands in them shows. FAKE_GPU_RECORDS=0 makes a device that cannot
 * record.
 */
#include "shim.h"

#include "backend_cuda/kernels/rounds.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct shim_launch {
    shim_launch *next;
    shim_work work;
    void *arguments;
    size_t size;
    kernel_grid grid;
};

struct deep_recording {
    deep_accelerator *accelerator;
    shim_launches launches;
};

void shim_append(shim_launches *list, shim_work work, const void *arguments, size_t size, kernel_grid grid)
{
    shim_launch *l = malloc(sizeof *l);
    void *copy = malloc(size);
    if (l == NULL || copy == NULL) abort();
    memcpy(copy, arguments, size);
    *l = (shim_launch){NULL, work, copy, size, grid};
    if (list->first == NULL)
        list->first = l;
    else
        list->last->next = l;
    list->last = l;
}

static void clear(shim_launches *list)
{
    while (list->first != NULL) {
        shim_launch *next = list->first->next;
        free(list->first->arguments);
        free(list->first);
        list->first = next;
    }
    list->last = NULL;
    list->met = NULL;
}

void shim_run(shim_launches *launches)
{
    for (const shim_launch *l = launches->first; l != NULL; l = l->next)
        l->work(l->arguments, l->grid);
    clear(launches);
}

void shim_settle(deep_accelerator *accelerator)
{
    int32_t before;
    if (accelerator == NULL) return;
    deep__accelerator_enter(accelerator, &before);
    shim_run(shim_queued(accelerator));
    shim_run(shim_beside(accelerator));
    deep__accelerator_leave(accelerator, before);
}

void shim_queue(deep_accelerator *accelerator, shim_work work, const void *arguments, size_t size, kernel_grid grid)
{
    if (accelerator == NULL) {
        work(arguments, grid);
        return;
    }
    deep_recording *recording = *shim_recording(accelerator);
    shim_append(recording != NULL ? &recording->launches : shim_queued(accelerator), work, arguments, size, grid);
}

void deep__kernel_queue(kernel_loops loops, const void *arguments, size_t size, kernel_grid grid)
{
    shim_queue(grid.stream, loops, arguments, size, grid);
}

/* ---- uploads beside ---- */

void shim_meet(shim_launches *queued, shim_launches *uploads)
{
    if (queued->first == NULL)
        queued->first = uploads->first;
    else
        queued->last->next = uploads->first;
    if (uploads->first != NULL) queued->last = uploads->last;
    queued->met = queued->last;
    *uploads = (shim_launches){0};
}

bool shim_uses(const shim_launches *queued, const void *memory, size_t bytes)
{
    const shim_launch *l = queued->met == NULL ? queued->first : queued->met->next;
    for (; l != NULL; l = l->next)
        for (size_t at = 0; at + sizeof(uintptr_t) <= l->size; at += sizeof(uintptr_t)) {
            uintptr_t word;
            memcpy(&word, (const char *)l->arguments + at, sizeof word);
            if (word - (uintptr_t)memory < bytes) return true;
        }
    return false;
}

/* ---- recordings ---- */

deep_status deep__recording_begin(deep_accelerator *accelerator)
{
    deep_recording *recording = calloc(1, sizeof *recording);
    if (recording == NULL || *shim_recording(accelerator) != NULL) abort();
    recording->accelerator = accelerator;
    *shim_recording(accelerator) = recording;
    return DEEP_OK;
}

deep_status deep__recording_end(deep_accelerator *accelerator, deep_recording **out)
{
    const char *records = getenv("FAKE_GPU_RECORDS");
    const deep_host *host = deep__accelerator_host(accelerator);
    *out = *shim_recording(accelerator);
    *shim_recording(accelerator) = NULL;
    if (records == NULL || strcmp(records, "0") != 0) return DEEP_OK;
    deep__recording_free(*out);
    *out = NULL;
    return host->fail(host->user, DEEP_ERROR_BACKEND, "this device is to record nothing");
}

deep_status deep__recording_replay(const deep_recording *recording)
{
    for (const shim_launch *l = recording->launches.first; l != NULL; l = l->next)
        shim_append(shim_queued(recording->accelerator), l->work, l->arguments, l->size, l->grid);
    return DEEP_OK;
}

void deep__recording_free(deep_recording *recording)
{
    if (recording == NULL) return;
    shim_run(shim_queued(recording->accelerator));
    clear(&recording->launches);
    free(recording);
}

void *deep__kernel_share(size_t bytes)
{
    void *shared = malloc(bytes);
    if (shared == NULL) abort();
    return shared;
}

void deep__kernel_unshare(void *shared)
{
    free(shared);
}
