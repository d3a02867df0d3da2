/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device without a GPU, whose memory the host cannot touch: its pages are closed except while a plan runs or something is
 * copied. A forgotten upload or download ends the program, and so does an upload beside into what queued work uses. FAKE_GPUS says how
 * many there are, FAKE_GPU_BYTES how much memory each has; FAKE_GPU_LOCKS=0 makes one without page-locked memory.
 */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include "shim.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { MAX_BLOCKS = 4096, MAX_LOCKED = 64, PAGE = 4096 };

typedef struct block {
    char *memory;
    size_t bytes;
} block;

/* What the queues of a device share. */
typedef struct shim_device {
    pthread_mutex_t lock; /* of what follows */
    block blocks[MAX_BLOCKS];
    block locked[MAX_LOCKED]; /* of the host's memory */
    size_t limit, used;
    int32_t users;               /* queues that have the memory open */
    pthread_mutex_t queues_lock; /* taken before any other */
    deep_accelerator *queues;
} shim_device;

struct deep_accelerator {
    deep_host host;
    pthread_mutex_t busy; /* from enter to leave */
    shim_device *device;
    void *stream; /* the host's; NULL = none */
    shim_launches queued;
    shim_launches beside; /* uploads since the two met */
    deep_recording *recording;
    deep_accelerator *next; /* queue of the device */
};

static size_t number(const char *name, size_t otherwise)
{
    const char *text = getenv(name);
    return text == NULL ? otherwise : (size_t)strtoull(text, NULL, 10);
}

static int32_t count(char *text, size_t size)
{
    const int32_t gpus = (int32_t)number("FAKE_GPUS", 1);
    if (gpus == 0) snprintf(text, size, "no NVIDIA GPU: there are to be none");
    return gpus;
}

static int32_t describe(int32_t index, char *text, size_t size)
{
    snprintf(text, size, "stand-in for GPU %d", (int)index);
    return 1;
}

static void open_queue(deep_accelerator **out, shim_device *device, const deep_host *host)
{
    deep_accelerator *accelerator = calloc(1, sizeof *accelerator);
    if (accelerator == NULL) abort();
    pthread_mutex_init(&accelerator->busy, NULL);
    accelerator->host = *host;
    accelerator->device = device;
    pthread_mutex_lock(&device->queues_lock);
    accelerator->next = device->queues;
    device->queues = accelerator;
    pthread_mutex_unlock(&device->queues_lock);
    *out = accelerator;
}

static deep_status open_device(deep_accelerator **out, int32_t index, const deep_host *host)
{
    (void)index;
    shim_device *device = calloc(1, sizeof *device);
    if (device == NULL) abort();
    pthread_mutex_init(&device->lock, NULL);
    pthread_mutex_init(&device->queues_lock, NULL);
    device->limit = number("FAKE_GPU_BYTES", (size_t)8 << 30);
    open_queue(out, device, host);
    return DEEP_OK;
}

static deep_status branch(deep_accelerator **out, deep_accelerator *of, void *stream)
{
    open_queue(out, of->device, &of->host);
    (*out)->stream = stream; /* nobody else computes here */
    return DEEP_OK;
}

static void close_device(shim_device *device)
{
    for (int i = 0; i < MAX_BLOCKS; ++i)
        if (device->blocks[i].memory != NULL) abort(); /* device memory was leaked */
    for (int i = 0; i < MAX_LOCKED; ++i)
        if (device->locked[i].memory != NULL) abort();
    pthread_mutex_destroy(&device->queues_lock);
    pthread_mutex_destroy(&device->lock);
    free(device);
}

static void close_queue(deep_accelerator *accelerator)
{
    shim_device *device = accelerator->device;
    shim_settle(accelerator);
    pthread_mutex_lock(&device->queues_lock);
    deep_accelerator **at = &device->queues;
    while (*at != accelerator)
        at = &(*at)->next;
    *at = accelerator->next;
    const bool last = device->queues == NULL;
    pthread_mutex_unlock(&device->queues_lock);
    pthread_mutex_destroy(&accelerator->busy);
    free(accelerator);
    if (last) close_device(device);
}

/* ---- memory ---- */

static void protect(shim_device *device, int how)
{
    for (int i = 0; i < MAX_BLOCKS; ++i)
        if (device->blocks[i].memory != NULL) mprotect(device->blocks[i].memory, device->blocks[i].bytes, how);
}

deep_status deep__accelerator_enter(deep_accelerator *accelerator, int32_t *before)
{
    *before = 0;
    if (accelerator == NULL) return DEEP_OK;
    shim_device *device = accelerator->device;
    pthread_mutex_lock(&accelerator->busy);
    pthread_mutex_lock(&device->lock);
    if (device->users++ == 0) protect(device, PROT_READ | PROT_WRITE);
    pthread_mutex_unlock(&device->lock);
    return DEEP_OK;
}

void deep__accelerator_leave(deep_accelerator *accelerator, int32_t before)
{
    (void)before;
    if (accelerator == NULL) return;
    shim_device *device = accelerator->device;
    pthread_mutex_lock(&device->lock);
    if (--device->users == 0) protect(device, PROT_NONE);
    pthread_mutex_unlock(&device->lock);
    pthread_mutex_unlock(&accelerator->busy);
}

/* The block that an address is in, or, for NULL, a free one. */
static block *find_block(block *blocks, int count, const void *memory)
{
    for (int i = 0; i < count; ++i) {
        block *b = &blocks[i];
        if (memory == NULL
                ? b->memory == NULL
                : b->memory != NULL && (const char *)memory >= b->memory && (const char *)memory < b->memory + b->bytes)
            return b;
    }
    return NULL;
}

bool shim_owns(deep_accelerator *accelerator, const void *memory)
{
    pthread_mutex_lock(&accelerator->device->lock);
    const bool found = find_block(accelerator->device->blocks, MAX_BLOCKS, memory) != NULL;
    pthread_mutex_unlock(&accelerator->device->lock);
    return found;
}

static deep_status alloc(deep_accelerator *accelerator, void **out, size_t bytes)
{
    shim_device *device = accelerator->device;
    const size_t whole = (bytes + PAGE - 1) / PAGE * PAGE + (bytes == 0 ? PAGE : 0);
    pthread_mutex_lock(&device->lock);
    block *b = find_block(device->blocks, MAX_BLOCKS, NULL);
    void *memory = MAP_FAILED;
    const size_t left = device->limit - device->used;
    if (b != NULL && whole <= left)
        memory = mmap(NULL, whole, device->users > 0 ? PROT_READ | PROT_WRITE : PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
                      -1, 0);
    if (memory != MAP_FAILED) {
        *b = (block){memory, whole};
        device->used += whole;
    }
    pthread_mutex_unlock(&device->lock);
    *out = memory == MAP_FAILED ? NULL : memory;
    if (*out != NULL) return DEEP_OK;
    char text[128];
    snprintf(text, sizeof text, "out of GPU memory: %zu bytes wanted, %zu free", bytes, left);
    return accelerator->host.fail(accelerator->host.user, DEEP_ERROR_OUT_OF_MEMORY, text);
}

static deep_status sync_device(deep_accelerator *accelerator)
{
    shim_device *device = accelerator->device;
    pthread_mutex_lock(&device->queues_lock);
    for (deep_accelerator *queue = device->queues; queue != NULL; queue = queue->next)
        shim_settle(queue);
    pthread_mutex_unlock(&device->queues_lock);
    return DEEP_OK;
}

static void release(deep_accelerator *accelerator, void *memory)
{
    shim_device *device = accelerator->device;
    if (memory == NULL) return;
    sync_device(accelerator);
    pthread_mutex_lock(&device->lock);
    block *b = find_block(device->blocks, MAX_BLOCKS, memory);
    if (b == NULL || b->memory != memory) abort(); /* not ours, or freed twice */
    device->used -= b->bytes;
    munmap(b->memory, b->bytes);
    *b = (block){NULL, 0};
    pthread_mutex_unlock(&device->lock);
}

static size_t free_bytes(deep_accelerator *accelerator)
{
    shim_device *device = accelerator->device;
    pthread_mutex_lock(&device->lock);
    const size_t left = device->limit - device->used;
    pthread_mutex_unlock(&device->lock);
    return left;
}

/* A copy, or zeros, with what was there when it was queued behind it. */
typedef struct write {
    void *to;
    size_t bytes;
} write;

static void write_now(const void *arguments, kernel_grid grid)
{
    const write *w = arguments;
    (void)grid;
    memcpy(w->to, w + 1, w->bytes);
}

static void queue_write(deep_accelerator *accelerator, void *to, const void *from, size_t bytes)
{
    int32_t before;
    write *w = calloc(1, sizeof *w + bytes);
    if (w == NULL) abort();
    *w = (write){to, bytes};
    if (from != NULL) memcpy(w + 1, from, bytes);
    deep__accelerator_enter(accelerator, &before);
    shim_queue(accelerator, write_now, w, sizeof *w + bytes, (kernel_grid){0});
    deep__accelerator_leave(accelerator, before);
    free(w);
}

/* A copy that reads when it runs. */
typedef struct late_copy {
    void *to;
    const void *from;
    size_t bytes;
} late_copy;

static void copy_now(const void *arguments, kernel_grid grid)
{
    const late_copy *copy = arguments;
    (void)grid;
    memcpy(copy->to, copy->from, copy->bytes);
}

static bool is_locked(deep_accelerator *accelerator, const void *memory)
{
    shim_device *device = accelerator->device;
    pthread_mutex_lock(&device->lock);
    const bool found = find_block(device->locked, MAX_LOCKED, memory) != NULL;
    pthread_mutex_unlock(&device->lock);
    return found;
}

static deep_status upload(deep_accelerator *accelerator, void *to, const void *from, size_t bytes)
{
    int32_t before;
    if (!shim_owns(accelerator, to) || shim_owns(accelerator, from)) abort(); /* the wrong way round */
    if (!is_locked(accelerator, from)) {
        queue_write(accelerator, to, from, bytes);
        return DEEP_OK;
    }
    deep__accelerator_enter(accelerator, &before);
    shim_queue(accelerator, copy_now, &(late_copy){to, from, bytes}, sizeof(late_copy), (kernel_grid){0});
    deep__accelerator_leave(accelerator, before);
    return DEEP_OK;
}

/* It may run at once, so nothing that it does not wait for may use the memory; it runs late, when it is met. */
static deep_status upload_beside(deep_accelerator *accelerator, void *to, const void *from, size_t bytes)
{
    int32_t before;
    if (!shim_owns(accelerator, to) || shim_owns(accelerator, from)) abort();
    deep__accelerator_enter(accelerator, &before);
    if (shim_uses(&accelerator->queued, to, bytes)) {
        fprintf(stderr, "an upload beside changes what queued work uses\n");
        abort();
    }
    shim_append(&accelerator->beside, copy_now, &(late_copy){to, from, bytes}, sizeof(late_copy), (kernel_grid){0});
    deep__accelerator_leave(accelerator, before);
    return DEEP_OK;
}

static deep_status meet(deep_accelerator *accelerator)
{
    int32_t before;
    deep__accelerator_enter(accelerator, &before);
    shim_meet(&accelerator->queued, &accelerator->beside);
    deep__accelerator_leave(accelerator, before);
    return DEEP_OK;
}

static deep_status alloc_locked(deep_accelerator *accelerator, void **out, size_t bytes)
{
    shim_device *device = accelerator->device;
    *out = NULL;
    if (number("FAKE_GPU_LOCKS", 1) == 0)
        return accelerator->host.fail(accelerator->host.user, DEEP_ERROR_OUT_OF_MEMORY,
                                      "this device is to lock nothing");
    const size_t whole = (bytes + PAGE - 1) / PAGE * PAGE;
    pthread_mutex_lock(&device->lock);
    block *b = find_block(device->locked, MAX_LOCKED, NULL);
    if (b == NULL || posix_memalign(out, PAGE, whole) != 0) abort();
    *b = (block){*out, whole};
    pthread_mutex_unlock(&device->lock);
    return DEEP_OK;
}

static void free_locked(deep_accelerator *accelerator, void *memory)
{
    shim_device *device = accelerator->device;
    sync_device(accelerator);
    pthread_mutex_lock(&device->lock);
    block *b = find_block(device->locked, MAX_LOCKED, memory);
    if (b == NULL || b->memory != memory) abort();
    *b = (block){NULL, 0};
    pthread_mutex_unlock(&device->lock);
    free(memory);
}

static deep_status download(deep_accelerator *accelerator, void *to, const void *from, size_t bytes)
{
    int32_t before;
    if (shim_owns(accelerator, to) || !shim_owns(accelerator, from)) abort();
    deep__accelerator_enter(accelerator, &before);
    shim_run(shim_queued(accelerator));
    memcpy(to, from, bytes);
    deep__accelerator_leave(accelerator, before);
    return DEEP_OK;
}

static deep_status copy(deep_accelerator *accelerator, void *to, const void *from, size_t bytes)
{
    int32_t before;
    if (!shim_owns(accelerator, to) || !shim_owns(accelerator, from)) abort();
    deep__accelerator_enter(accelerator, &before);
    shim_queue(accelerator, copy_now, &(late_copy){to, from, bytes}, sizeof(late_copy), (kernel_grid){0});
    deep__accelerator_leave(accelerator, before);
    return DEEP_OK;
}

static deep_status clear(deep_accelerator *accelerator, void *memory, size_t bytes)
{
    queue_write(accelerator, memory, NULL, bytes);
    return DEEP_OK;
}

static deep_status sync(deep_accelerator *accelerator)
{
    shim_settle(accelerator);
    return DEEP_OK;
}

static void *stream_of(deep_accelerator *accelerator)
{
    return accelerator->stream != NULL ? accelerator->stream : accelerator;
}

/* A stream that waits is one that finds everything done. */
static deep_status hold(deep_accelerator *accelerator, void *stream)
{
    if (stream == NULL) abort(); /* that is nobody's */
    return sync(accelerator);
}

/* ---- for the ops ---- */

const deep_host *deep__accelerator_host(const deep_accelerator *accelerator)
{
    return &accelerator->host;
}

void *deep__accelerator_stream(const deep_accelerator *accelerator)
{
    union {
        const deep_accelerator *in;
        void *out;
    } stream = {accelerator};
    return stream.out;
}

shim_launches *shim_beside(deep_accelerator *accelerator)
{
    return &accelerator->beside;
}

shim_launches *shim_queued(deep_accelerator *accelerator)
{
    return &accelerator->queued;
}

deep_recording **shim_recording(deep_accelerator *accelerator)
{
    return &accelerator->recording;
}

deep_status deep__accelerator_check(const deep_accelerator *accelerator, const char *what)
{
    (void)accelerator;
    (void)what;
    return DEEP_OK;
}

const deep_accelerators deep__cuda_accelerators = {
    sizeof(deep_accelerators),
    count,
    describe,
    open_device,
    close_queue,
    alloc,
    release,
    free_bytes,
    upload,
    download,
    clear,
    sync,
    branch,
    sync_device,
    upload_beside,
    meet,
    alloc_locked,
    free_locked,
    copy,
    shim_owns,
    stream_of,
    hold,
    deep__cuda_preprocess,
};
