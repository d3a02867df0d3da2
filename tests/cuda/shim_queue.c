/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queued work runs at once, unless it is recorded: then with the addresses and numbers of that time at each replay, so whatever
 * changes from run to run and stands in them shows. FAKE_GPU_RECORDS=0 makes a device that cannot record.
 */
#include "shim.h"

#include <stdlib.h>
#include <string.h>

typedef struct launch {
    struct launch *next;
    shim_work work;
    void *arguments;
    kernel_grid grid;
} launch;

struct deep_recording {
    deep_accelerator *accelerator;
    launch *first, **end;
};

static void record(deep_recording *recording, shim_work work, const void *arguments, size_t size, kernel_grid grid)
{
    launch *l = malloc(sizeof *l);
    void *copy = malloc(size);
    if (l == NULL || copy == NULL) abort();
    memcpy(copy, arguments, size);
    *l = (launch){NULL, work, copy, grid};
    *recording->end = l;
    recording->end = &l->next;
}

void shim_queue(deep_accelerator *accelerator, shim_work work, const void *arguments, size_t size, kernel_grid grid)
{
    deep_recording *recording = accelerator == NULL ? NULL : *shim_recording(accelerator);
    if (recording == NULL)
        work(arguments, grid);
    else
        record(recording, work, arguments, size, grid);
}

void deep__kernel_queue(kernel_loops loops, const void *arguments, size_t size, kernel_grid grid)
{
    shim_queue(grid.stream, loops, arguments, size, grid);
}

deep_status deep__recording_begin(deep_accelerator *accelerator)
{
    deep_recording *recording = malloc(sizeof *recording);
    if (recording == NULL || *shim_recording(accelerator) != NULL) abort();
    *recording = (deep_recording){.accelerator = accelerator};
    recording->end = &recording->first;
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
    for (const launch *l = recording->first; l != NULL; l = l->next)
        l->work(l->arguments, l->grid);
    return DEEP_OK;
}

void deep__recording_free(deep_recording *recording)
{
    if (recording == NULL) return;
    for (launch *l = recording->first; l != NULL;) {
        launch *next = l->next;
        free(l->arguments);
        free(l);
        l = next;
    }
    free(recording);
}
