/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_CUDA_SMALL_NETWORK_H
#define DEEP_CUDA_SMALL_NETWORK_H

/* What the tests of whole networks on a device share: a network that `ref` computes in milliseconds, and its batch. */
#include <deep/deep.h>
#include <stdbool.h>

enum { SIZE = 71, BATCH = 3, CLASSES = 4, VALUES = SIZE * SIZE * 3, MAX_STEPS = 20 };

extern float input[BATCH * VALUES]; /* of make_input() */
extern const int32_t labels[BATCH];

void make_input(void);

deep_context *open_context(const char *device);
deep_model *new_model(deep_context *context);

/* Probabilities of the whole batch, from a session of its own. */
/* The same with kernels in BF16 or F16. */
deep_model *new_model_of(deep_context *context, int32_t dtype);

void predict(const deep_model *model, float *probabilities);

/* Fails the test when a value of `a` is further from that of `b` than `most` of the largest magnitude in `b`. */
void assert_alike(const float *a, const float *b, int64_t count, double most, const char *what);

typedef struct trained {
    deep_context *context;
    deep_model *model;
    deep_trainer *trainer;
    double loss[MAX_STEPS];
} trained;

trained open_trainer(const char *device, const deep_fit_options *options);

/* Steps `first` to `end` - 1: batches of three images and of two in turns. */
void take_steps(trained *t, int first, int end);
void close_trainer(trained *t);

/* Every parameter, as assert_alike(). */
void assert_same_weights(const deep_model *a, const deep_model *b, double most);

/* Whether a trainer finds memory enough. */
bool fits(deep_model *model, int32_t batch);

/* The batch that the last error offers instead of `batch`; fails the test when its text is another. */
int32_t offered_batch(int32_t batch);

#endif
