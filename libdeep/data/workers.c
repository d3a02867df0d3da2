/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "workers.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { MAX_WORKERS = 64 }; /* decoding is bound by memory long before */

typedef struct crew {
    deep_index_fn work;
    void *user;
    size_t count;
    pthread_mutex_t mutex; /* guards what follows */
    size_t next;
    size_t failed_index; /* `count` = none */
    deep_status status;
    char text[1024]; /* of deep_last_error() in the thread that failed */
} crew;

static bool take(crew *c, size_t *index)
{
    pthread_mutex_lock(&c->mutex);
    const bool more = c->next < c->count && c->status == DEEP_OK;
    if (more) *index = c->next++;
    pthread_mutex_unlock(&c->mutex);
    return more;
}

static void note_failure(crew *c, size_t index, deep_status status)
{
    pthread_mutex_lock(&c->mutex);
    if (index < c->failed_index) {
        c->failed_index = index;
        c->status = status;
        snprintf(c->text, sizeof c->text, "%s", deep_last_error());
    }
    pthread_mutex_unlock(&c->mutex);
}

static void *run(void *user)
{
    crew *c = user;
    size_t index;
    while (take(c, &index)) {
        const deep_status status = c->work(c->user, index);
        if (status != DEEP_OK) note_failure(c, index, status);
    }
    return NULL;
}

int deep__thread_start(pthread_t *thread, void *(*body)(void *), void *user)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int error = pthread_create(thread, NULL, body, user);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

deep_status deep__for_each_index(const deep_context *context, int32_t threads, size_t count, deep_index_fn work,
                                 void *user)
{
    crew c = {.work = work, .user = user, .count = count, .mutex = PTHREAD_MUTEX_INITIALIZER, .failed_index = count};
    pthread_t helpers[MAX_WORKERS];
    const size_t wanted = (size_t)(threads > 0 ? threads : context->threads);
    size_t started = 0;
    while (started + 1 < wanted && started + 1 < count && started < MAX_WORKERS) {
        if (deep__thread_start(&helpers[started], run, &c) != 0) break; /* fewer threads do the same work */
        ++started;
    }
    run(&c);
    for (size_t i = 0; i < started; ++i)
        pthread_join(helpers[i], NULL);
    pthread_mutex_destroy(&c.mutex);
    return c.status == DEEP_OK ? DEEP_OK : deep__fail(c.status, "%s", c.text);
}

typedef struct zeroing {
    char *memory;
    size_t bytes;
} zeroing;

enum { ZERO_PART = 4 << 20 }; /* several large pages */

static deep_status zero_part(void *user, size_t index)
{
    const zeroing *z = user;
    const size_t begin = index * ZERO_PART, rest = z->bytes - begin;
    memset(z->memory + begin, 0, rest < ZERO_PART ? rest : ZERO_PART);
    return DEEP_OK;
}

void deep__zero_fill(const deep_context *context, void *memory, size_t bytes)
{
    zeroing z = {memory, bytes};
    (void)deep__for_each_index(context, 0, (bytes + ZERO_PART - 1) / ZERO_PART, zero_part, &z); /* cannot fail */
}
