/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each rewriting of the graph pays: bench_fusions infer|train SIZE|MODEL BATCH [ROUNDS [THREADS]]. Each is left out in
 * turn, then all: time and memory without it, as multiples of those with all, and how far the first answers differ. SIZE in pixels stands for
 * a new network with 1000 classes, or for training with 34.
 *
 * The linker puts the functions below where the library calls its passes (--wrap), so that one of them can be skipped. Each
 * measurement has a process of its own.
 */
#define _POSIX_C_SOURCE 200809L
#include "graph/passes.h"

#include <deep/deep.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* PASSES is X(name of a pass) for each; meson.build has the list. */
#define X(name) PASS_##name,
enum { PASSES PASS_COUNT, EVERY = PASS_COUNT, NONE, CHOICES };
#undef X

#define X(name) #name,
static const char *const pass_names[] = {PASSES};
#undef X

static int left_out = NONE;
static bool called[PASS_COUNT]; /* by the library, for this kind of work */

#define X(name)                                                                                                        \
    deep_status __real_deep__pass_##name(deep_graph *graph);                                                           \
    deep_status __wrap_deep__pass_##name(deep_graph *graph);                                                           \
    deep_status __wrap_deep__pass_##name(deep_graph *graph)                                                            \
    {                                                                                                                  \
        called[PASS_##name] = true;                                                                                    \
        return left_out == PASS_##name || left_out == EVERY ? DEEP_OK : __real_deep__pass_##name(graph);               \
    }
PASSES
#undef X

enum { WARM_UP = 2, REPEATS = 5, ANSWERS = 16, TRAINING_CLASSES = 34 };

typedef struct job {
    bool train;
    const char *model; /* path, or pixels of a side */
    int32_t batch, rounds, threads;
} job;

typedef struct finding {
    double milliseconds;   /* of an image, the least */
    double megabytes;      /* most resident */
    float answer[ANSWERS]; /* of the first run: logits, or the loss */
    bool called[PASS_COUNT];
} finding;

static void check(deep_status status)
{
    if (status == DEEP_OK) return;
    fprintf(stderr, "%s: %s\n", deep_status_name(status), deep_last_error());
    exit(1);
}

static void *need(void *memory)
{
    if (memory != NULL) return memory;
    fprintf(stderr, "out of memory\n");
    exit(1);
}

static double milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return 1e3 * (double)now.tv_sec + 1e-6 * (double)now.tv_nsec;
}

static deep_model *open_model(deep_context *context, const job *j)
{
    char *end;
    deep_model *model;
    const long side = strtol(j->model, &end, 10);
    const deep_model_options options = {DEEP_MODEL_OPTIONS_INIT, .input_size = (int32_t)side,
                                        .class_count = j->train ? TRAINING_CLASSES : 0,
                                        .head = j->train ? DEEP_HEAD_SERVICE : DEEP_HEAD_IMAGENET};
    if (*end == '\0')
        check(deep_model_create(&model, context, &options));
    else
        check(deep_model_load(&model, context, j->model));
    return model;
}

/* ---- one measurement ---- */

typedef struct work {
    deep_session *session; /* or */
    deep_trainer *trainer;
    float *input, *logits;
    int32_t *labels;
    int32_t batch, classes;
} work;

static void open_work(work *w, const job *j, deep_model *model)
{
    deep_model_summary info = {.struct_size = sizeof info};
    const deep_session_options session = {DEEP_SESSION_OPTIONS_INIT, .batch = j->batch};
    const deep_fit_options fit = {DEEP_FIT_OPTIONS_INIT, .batch = j->batch};
    check(deep_model_info(model, &info));
    const size_t count = (size_t)j->batch * (size_t)info.input_size * (size_t)info.input_size * 3;
    w->batch = j->batch;
    w->classes = info.classes;
    w->input = need(malloc(count * sizeof *w->input));
    w->labels = need(malloc((size_t)j->batch * sizeof *w->labels));
    w->logits = need(malloc((size_t)j->batch * (size_t)w->classes * sizeof *w->logits));
    for (size_t i = 0; i < count; ++i)
        w->input[i] = (float)(i * 2654435761u % 2001) / 1000.0f - 1.0f;
    for (int32_t i = 0; i < j->batch; ++i)
        w->labels[i] = i % w->classes;
    if (j->train)
        check(deep_trainer_create(&w->trainer, model, &fit));
    else
        check(deep_session_create(&w->session, model, &session));
}

static void close_work(work *w)
{
    deep_trainer_free(w->trainer);
    deep_session_free(w->session);
    free(w->logits);
    free(w->labels);
    free(w->input);
}

static void run_once(work *w, float answer[ANSWERS])
{
    if (w->trainer != NULL) {
        deep_step step = {.struct_size = sizeof step};
        check(deep_trainer_step(w->trainer, w->input, w->labels, w->batch, &step));
        answer[0] = (float)step.loss;
        return;
    }
    check(deep_session_run(w->session, w->input, w->batch, w->logits, NULL));
    memcpy(answer, w->logits, (size_t)(w->classes < ANSWERS ? w->classes : ANSWERS) * sizeof *answer);
}

static void measure(finding *found, const job *j)
{
    const deep_context_options options = {DEEP_CONTEXT_OPTIONS_INIT, .threads = j->threads};
    deep_context *context;
    work w = {0};
    float unused[ANSWERS];
    *found = (finding){.milliseconds = INFINITY};
    check(deep_context_create(&context, &options));
    deep_model *model = open_model(context, j);
    open_work(&w, j, model);
    for (int run = 0; run < WARM_UP + REPEATS; ++run) {
        const double begin = milliseconds();
        run_once(&w, run == 0 ? found->answer : unused);
        const double taken = (milliseconds() - begin) / j->batch;
        if (run >= WARM_UP && taken < found->milliseconds) found->milliseconds = taken;
    }
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    found->megabytes = (double)usage.ru_maxrss / 1024;
    memcpy(found->called, called, sizeof called);
    close_work(&w);
    deep_model_free(model);
    deep_context_free(context);
}

/* measure() without `pass`, in a process of its own. */
static finding measure_without(int pass, const job *j)
{
    finding found;
    int ends[2], result = 1;
    if (pipe(ends) != 0) exit(1);
    const pid_t child = fork();
    if (child == 0) {
        left_out = pass;
        measure(&found, j);
        _exit(write(ends[1], &found, sizeof found) == (ssize_t)sizeof found ? 0 : 1); /* less than a pipe's room */
    }
    close(ends[1]);
    const bool got = child > 0 && read(ends[0], &found, sizeof found) == (ssize_t)sizeof found;
    close(ends[0]);
    if (child > 0) waitpid(child, &result, 0);
    if (!got || result != 0) exit(1);
    return found;
}

/* ---- all of them ---- */

/* Largest difference, as a part of the largest answer. */
static double distance(const finding *a, const finding *b)
{
    double difference = 0, largest = 0;
    for (int i = 0; i < ANSWERS; ++i) {
        difference = fmax(difference, fabs((double)a->answer[i] - (double)b->answer[i]));
        largest = fmax(largest, fabs((double)b->answer[i]));
    }
    return largest > 0 ? difference / largest : 0;
}

static void print_row(const char *name, const finding *found, const finding *all)
{
    printf("| %s | %.2f | %.3f | %.0f | %.2f | %.1e |\n", name, found->milliseconds,
           found->milliseconds / all->milliseconds, found->megabytes, found->megabytes / all->megabytes,
           distance(found, all));
}

int main(int argc, char **argv)
{
    if (argc < 4 || (strcmp(argv[1], "infer") != 0 && strcmp(argv[1], "train") != 0)) {
        fprintf(stderr, "usage: %s infer|train SIZE|MODEL BATCH [ROUNDS [THREADS]]\n", argv[0]);
        return 2;
    }
    const job j = {.train = strcmp(argv[1], "train") == 0,
                   .model = argv[2],
                   .batch = atoi(argv[3]),
                   .rounds = argc > 4 ? atoi(argv[4]) : 3,
                   .threads = argc > 5 ? atoi(argv[5]) : 0};
    finding best[CHOICES];
    for (int i = 0; i < CHOICES; ++i)
        best[i].milliseconds = INFINITY;
    for (int round = 0; round < j.rounds; ++round)
        for (int i = NONE; i >= 0; --i) { /* with all first: it tells which are called */
            if (i < PASS_COUNT && !best[NONE].called[i]) continue;
            const finding found = measure_without(i, &j);
            if (found.milliseconds < best[i].milliseconds) best[i] = found;
        }
    printf("| left out | ms per image | x | MB | x | largest difference |\n|---|---|---|---|---|---|\n");
    print_row("nothing", &best[NONE], &best[NONE]);
    for (int i = 0; i < PASS_COUNT; ++i)
        if (best[NONE].called[i]) print_row(pass_names[i], &best[i], &best[NONE]);
    print_row("all of them", &best[EVERY], &best[NONE]);
    return 0;
}
