/* SPDX-License-Identifier: Apache-2.0 */
#include "backend_cuda/kernels/loss.h"

#include <math.h>

/* What each thread knows of every `threads`-th class of its row. */
typedef struct loss_room {
    float largest[KERNEL_THREADS];
    int32_t where[KERNEL_THREADS]; /* -1 = it has no class */
    double sum[KERNEL_THREADS];    /* of exp(logit - largest) */
} loss_room;

KERNEL_FUNCTION void loss_gather(const loss_arguments *a, kernel_position at, loss_room *room)
{
    const float *row = a->logits + (size_t)at.block * (size_t)a->classes;
    int32_t where = -1;
    float largest = 0;
    double sum = 0;
    for (int32_t k = (int32_t)at.thread; k < a->classes; k += (int32_t)at.threads)
        if (where < 0 || row[k] > largest) {
            largest = row[k];
            where = k;
        }
    for (int32_t k = (int32_t)at.thread; k < a->classes; k += (int32_t)at.threads)
        sum += exp((double)row[k] - (double)largest);
    room->largest[at.thread] = largest;
    room->where[at.thread] = where;
    room->sum[at.thread] = sum;
}

/* Logarithm of the sum of exp(row), and the first of its largest; every thread adds up the same. */
KERNEL_FUNCTION double log_sum(const loss_room *room, kernel_position at, int32_t *where)
{
    float largest = room->largest[0];
    double sum = 0;
    *where = room->where[0];
    for (uint32_t t = 1; t < at.threads && room->where[t] >= 0; ++t)
        if (room->largest[t] > largest || (room->largest[t] == largest && room->where[t] < *where)) {
            largest = room->largest[t];
            *where = room->where[t];
        }
    for (uint32_t t = 0; t < at.threads && room->where[t] >= 0; ++t)
        sum += room->sum[t] * exp((double)room->largest[t] - (double)largest);
    return log(sum) + (double)largest;
}

KERNEL_FUNCTION double target(const loss_arguments *a, int32_t k, int32_t label)
{
    return (k == label ? 1 - a->smoothing : 0) + a->smoothing / (double)a->classes;
}

KERNEL_FUNCTION void softmax_write(const loss_arguments *a, kernel_position at, const loss_room *room)
{
    int32_t where;
    const size_t first = (size_t)at.block * (size_t)a->classes;
    const double total = log_sum(room, at, &where);
    for (size_t k = at.thread; k < (size_t)a->classes; k += at.threads)
        a->out[first + k] = (float)exp((double)a->logits[first + k] - total);
}

/* sum over k of -t_k log p_k, by thread 0: t_k is the same for all k but the label. */
KERNEL_FUNCTION void losses_write(const loss_arguments *a, kernel_position at, const loss_room *room)
{
    int32_t where;
    const float *row = a->logits + (size_t)at.block * (size_t)a->classes;
    const int32_t label = a->labels[at.block];
    double sum = 0;
    if (at.thread != 0) return;
    const double total = log_sum(room, at, &where);
    for (int32_t k = 0; k < a->classes && a->smoothing > 0; ++k)
        sum += total - (double)row[k];
    sum = a->smoothing / (double)a->classes * sum + (1 - a->smoothing) * (total - (double)row[label]);
    a->out[2 * at.block] = (float)((double)a->weights[label] * sum);
    a->out[2 * at.block + 1] = where == label ? 1 : 0;
}

KERNEL_FUNCTION void loss_grad_write(const loss_arguments *a, kernel_position at, const loss_room *room)
{
    int32_t where;
    const size_t first = (size_t)at.block * (size_t)a->classes;
    const int32_t label = a->labels[at.block];
    const double total = log_sum(room, at, &where), weight = (double)a->weights[label] / (double)a->rows;
    for (int32_t k = (int32_t)at.thread; k < a->classes; k += (int32_t)at.threads) {
        const double probability = exp((double)a->logits[first + (size_t)k] - total);
        a->out[first + (size_t)k] = (float)(weight * (probability - target(a, k, label)));
    }
}

typedef struct loss_end_room {
    double loss[KERNEL_THREADS];
    int32_t right[KERNEL_THREADS];
} loss_end_room;

KERNEL_FUNCTION void loss_end_gather(const loss_end_arguments *a, kernel_position at, loss_end_room *room)
{
    double loss = 0;
    int32_t right = 0;
    for (int32_t r = (int32_t)at.thread; r < a->rows; r += (int32_t)at.threads) {
        loss += (double)a->losses[2 * r];
        right += a->losses[2 * r + 1] > 0;
    }
    room->loss[at.thread] = loss;
    room->right[at.thread] = right;
}

KERNEL_FUNCTION void loss_end_write(const loss_end_arguments *a, kernel_position at, const loss_end_room *room)
{
    double loss = 0;
    int32_t right = 0;
    if (at.thread != 0) return;
    for (uint32_t t = 0; t < at.threads; ++t) {
        loss += room->loss[t];
        right += room->right[t];
    }
    a->out[0] = (float)(loss / (double)a->rows);
    a->out[1] = (float)right;
}

KERNEL_IN_TWO(deep__kernel_softmax, loss_arguments, loss_room, loss_gather, softmax_write)
KERNEL_IN_TWO(deep__kernel_losses, loss_arguments, loss_room, loss_gather, losses_write)
KERNEL_IN_TWO(deep__kernel_loss_grad, loss_arguments, loss_room, loss_gather, loss_grad_write)
KERNEL_IN_TWO(deep__kernel_loss_end, loss_end_arguments, loss_end_room, loss_end_gather, loss_end_write)
