/* SPDX-License-Identifier: Apache-2.0 */
#include "train/history.h"

deep_status deep__history_create(deep_history **out, const deep_allocator *allocator)
{
    DEEP_TRY(deep__alloc_zero(out, allocator, 1, sizeof **out, "history"));
    (*out)->allocator = allocator;
    return DEEP_OK;
}

void deep_history_free(deep_history *history)
{
    if (history == NULL) return;
    const deep_allocator *allocator = history->allocator;
    deep__free(allocator, history->epochs);
    deep__free(allocator, history);
}

deep_status deep__history_add(deep_history *history, const deep_epoch *epoch)
{
    const size_t count = (size_t)history->count;
    DEEP_TRY(deep__grow(&history->epochs, history->allocator, count, &history->capacity, count + 1, sizeof *epoch,
                        "history"));
    history->epochs[history->count++] = *epoch;
    return DEEP_OK;
}

int32_t deep_history_count(const deep_history *history)
{
    return history == NULL ? 0 : history->count;
}

int32_t deep_history_best(const deep_history *history)
{
    return history == NULL ? 0 : history->best;
}

deep_status deep_history_get(const deep_history *history, int32_t index, deep_epoch *epoch)
{
    DEEP_REQUIRE(history != NULL, "history is NULL");
    DEEP_REQUIRE(index >= 0 && index < history->count, "row %" PRId32 " of %" PRId32, index, history->count);
    deep_epoch row = history->epochs[index];
    return deep__result_write(epoch, sizeof row, &row, sizeof row, "deep_epoch");
}

/* A row in a checkpoint: numbers in this order. */
enum { ROW_NUMBERS = 9 };

static void row_to_numbers(const deep_epoch *row, double numbers[ROW_NUMBERS])
{
    const double values[ROW_NUMBERS] = {row->epoch,         row->has_valid,  row->loss,
                                        row->accuracy,      row->valid_loss, row->valid_accuracy,
                                        row->learning_rate, row->seconds,    row->train_seconds};
    for (int i = 0; i < ROW_NUMBERS; ++i)
        numbers[i] = values[i];
}

static deep_status describe_row(deep_json *rows, const deep_epoch *row)
{
    double numbers[ROW_NUMBERS];
    deep_json *values = deep__json_new_array();
    deep_status status = DEEP_OK;
    row_to_numbers(row, numbers);
    for (int i = 0; i < ROW_NUMBERS && status == DEEP_OK; ++i)
        status = deep__json_append(values, deep__json_new_real(numbers[i]));
    if (status == DEEP_OK) return deep__json_append(rows, values);
    deep__json_free(values);
    return status;
}

deep_status deep__history_describe(deep_json **out, const deep_history *history)
{
    deep_status status = DEEP_OK;
    *out = deep__json_new_array();
    for (int32_t i = 0; i < history->count && status == DEEP_OK; ++i)
        status = describe_row(*out, &history->epochs[i]);
    if (status == DEEP_OK) return DEEP_OK;
    deep__json_free(*out);
    *out = NULL;
    return status;
}

deep_status deep__history_restore(deep_history *history, const deep_json *rows)
{
    history->count = 0;
    for (size_t i = 0; i < deep__json_count(rows); ++i) {
        const deep_json *values = deep__json_at(rows, i);
        double n[ROW_NUMBERS];
        for (size_t k = 0; k < ROW_NUMBERS; ++k)
            if (!deep__json_number(deep__json_at(values, k), &n[k]))
                return deep__fail(DEEP_ERROR_FORMAT, "history row %zu is malformed", i);
        if (!(n[0] >= 1 && n[0] <= INT32_MAX)) return deep__fail(DEEP_ERROR_FORMAT, "history row %zu is malformed", i);
        const deep_epoch row = {.epoch = (int32_t)n[0],
                                .has_valid = n[1] != 0,
                                .loss = n[2],
                                .accuracy = n[3],
                                .valid_loss = n[4],
                                .valid_accuracy = n[5],
                                .learning_rate = n[6],
                                .seconds = n[7],
                                .train_seconds = n[8]};
        DEEP_TRY(deep__history_add(history, &row));
    }
    return DEEP_OK;
}
