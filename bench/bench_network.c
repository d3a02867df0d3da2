/* SPDX-License-Identifier: Apache-2.0 */
/* Times Xception: bench_network train|train-bf16|infer SIZE BATCH REPEATS [THREADS]. Prints milliseconds per image, min and median. */
#define _POSIX_C_SOURCE 200809L
#include <deep/deep.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void check(deep_status status)
{
    if (status == DEEP_OK) return;
    fprintf(stderr, "%s: %s\n", deep_status_name(status), deep_last_error());
    exit(1);
}

int main(int argc, char **argv)
{
    if (argc < 5) {
        fprintf(stderr, "usage: %s train|train-bf16|infer SIZE BATCH REPEATS [THREADS]\n", argv[0]);
        return 2;
    }
    const int narrow = strcmp(argv[1], "train-bf16") == 0, train = narrow || strcmp(argv[1], "train") == 0;
    const int size = atoi(argv[2]), batch = atoi(argv[3]), repeats = atoi(argv[4]);
    deep_context_options context_options = {DEEP_CONTEXT_OPTIONS_INIT, .threads = argc > 5 ? atoi(argv[5]) : 0};
    deep_model_options model_options = {DEEP_MODEL_OPTIONS_INIT, .input_size = size, .class_count = train ? 34 : 1000,
                                        .head = train ? DEEP_HEAD_SERVICE : DEEP_HEAD_IMAGENET};
    deep_context *context;
    deep_model *model;
    check(deep_context_create(&context, &context_options));
    check(deep_model_create(&model, context, &model_options));

    const size_t count = (size_t)batch * (size_t)size * (size_t)size * 3;
    float *input = malloc(count * sizeof *input);
    int32_t *labels = malloc((size_t)batch * sizeof *labels);
    double *times = malloc((size_t)repeats * sizeof *times);
    for (size_t i = 0; i < count; ++i)
        input[i] = (float)(i * 2654435761u % 2001) / 1000.0f - 1.0f;
    for (int i = 0; i < batch; ++i)
        labels[i] = i % 34;

    deep_session *session = NULL;
    deep_trainer *trainer = NULL;
    deep_session_options session_options = {DEEP_SESSION_OPTIONS_INIT, .batch = batch};
    deep_fit_options fit_options = {DEEP_FIT_OPTIONS_INIT, .batch = batch,
                                    .dtype = narrow ? DEEP_DTYPE_BF16 : DEEP_DTYPE_F32};
    if (train)
        check(deep_trainer_create(&trainer, model, &fit_options));
    else
        check(deep_session_create(&session, model, &session_options));
    for (int r = -2; r < repeats; ++r) { /* two runs to warm up */
        const double begin = seconds();
        check(train ? deep_trainer_step(trainer, input, labels, batch, NULL)
                    : deep_session_run(session, input, batch, NULL, NULL));
        if (r >= 0) times[r] = 1e3 * (seconds() - begin) / batch;
    }
    qsort(times, (size_t)repeats, sizeof *times, ascending);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("%s %d px, batch %d: min %.2f, median %.2f ms/image, peak RSS %ld MB\n", argv[1], size, batch, times[0],
           times[repeats / 2], usage.ru_maxrss / 1024);
    deep_session_free(session);
    deep_trainer_free(trainer);
    deep_model_free(model);
    deep_context_free(context);
    free(times);
    free(labels);
    free(input);
    return 0;
}
