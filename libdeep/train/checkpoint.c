/* SPDX-License-Identifier: Apache-2.0 */
#include "train/checkpoint.h"

#include "model/safetensors.h"
#include "train/options.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { FORMAT_MAJOR = 1, EXTRA_BYTES = 64 << 20 };

static const char *const slot_names[] = {"slot1", "slot2", "slot3"};

/* ---- the document ---- */

static const struct real_field {
    const char *name;
    size_t offset;
} real_fields[] = {{"loss_sum", offsetof(deep_fit_state, loss_sum)},
                   {"best_accuracy", offsetof(deep_fit_state, best_accuracy)},
                   {"best_loss", offsetof(deep_fit_state, best_loss)}};

static const struct integer_field {
    const char *name;
    size_t offset;
    bool wide; /* int64_t, else int32_t */
} integer_fields[] = {{"epoch", offsetof(deep_fit_state, epoch), false},
                      {"epoch_step", offsetof(deep_fit_state, step), true},
                      {"correct", offsetof(deep_fit_state, correct), true},
                      {"images", offsetof(deep_fit_state, images), true},
                      {"epochs_without", offsetof(deep_fit_state, epochs_without), false},
                      {"plateau_wait", offsetof(deep_fit_state, plateau_wait), false},
                      {"drops", offsetof(deep_fit_state, drops), false}};

enum {
    REAL_FIELDS = sizeof real_fields / sizeof real_fields[0],
    INTEGER_FIELDS = sizeof integer_fields / sizeof integer_fields[0]
};

/* JSON has no infinity, which best_loss begins with. */
static const double NO_LOSS = 1e300;

static deep_status describe_state(deep_json *document, const deep_fit_state *state)
{
    const char *base = (const char *)state;
    deep_json *rows;
    for (int i = 0; i < REAL_FIELDS; ++i) {
        double value;
        memcpy(&value, base + real_fields[i].offset, sizeof value);
        DEEP_TRY(deep__json_set(document, real_fields[i].name, deep__json_new_real(isfinite(value) ? value : NO_LOSS)));
    }
    for (int i = 0; i < INTEGER_FIELDS; ++i) {
        int64_t wide = 0;
        int32_t narrow = 0;
        memcpy(integer_fields[i].wide ? (void *)&wide : (void *)&narrow, base + integer_fields[i].offset,
               integer_fields[i].wide ? sizeof wide : sizeof narrow);
        DEEP_TRY(deep__json_set(document, integer_fields[i].name,
                                deep__json_new_integer(integer_fields[i].wide ? wide : narrow)));
    }
    DEEP_TRY(deep__json_set(document, "best_epoch", deep__json_new_integer(state->history->best)));
    DEEP_TRY(deep__json_set(document, "stopped", deep__json_new_bool(state->stopped)));
    DEEP_TRY(deep__history_describe(&rows, state->history));
    return deep__json_set(document, "history", rows);
}

static deep_status describe_scale(deep_json *document, const deep_loss_scale *scale)
{
    DEEP_TRY(deep__json_set(document, "loss_scale", deep__json_new_real(scale->factor)));
    return deep__json_set(document, "loss_scale_steps", deep__json_new_integer(scale->good_steps));
}

static deep_status read_scale(const deep_json *document, deep_loss_scale *scale)
{
    double factor = 0;
    int64_t steps = 0;
    if (!deep__json_number(deep__json_get(document, "loss_scale"), &factor) ||
        !deep__json_integer(deep__json_get(document, "loss_scale_steps"), &steps))
        return deep__fail(DEEP_ERROR_FORMAT, "loss_scale or loss_scale_steps is missing");
    return deep__loss_scale_restore(scale, factor, steps);
}

static deep_status describe(deep_json *document, const deep_trainer *trainer, const deep_fit_state *state,
                            const deep_safetensor *tensors, int32_t count)
{
    deep_json *options, *checksums;
    DEEP_TRY(deep__json_set(document, "format", deep__json_new_integer(FORMAT_MAJOR)));
    DEEP_TRY(deep__json_set(document, "step", deep__json_new_integer(trainer->step)));
    DEEP_TRY(deep__json_set(document, "learning_rate", deep__json_new_real(trainer->learning_rate)));
    if (trainer->options.dtype == DEEP_DTYPE_F16) DEEP_TRY(describe_scale(document, &trainer->loss_scale));
    DEEP_TRY(deep__fit_options_describe(&options, &trainer->options));
    DEEP_TRY(deep__json_set(document, "options", options));
    DEEP_TRY(deep__safetensors_checksums(&checksums, tensors, count));
    DEEP_TRY(deep__json_set(document, "tensors", checksums));
    return state == NULL ? DEEP_OK : describe_state(document, state);
}

static deep_status read_state(const deep_json *document, deep_fit_state *state)
{
    deep_fit_state read = *state;
    char *base = (char *)&read;
    int64_t integer = 0;
    for (int i = 0; i < REAL_FIELDS; ++i) {
        double value;
        if (!deep__json_number(deep__json_get(document, real_fields[i].name), &value))
            return deep__fail(DEEP_ERROR_FORMAT, "%s is missing or no number", real_fields[i].name);
        if (value == NO_LOSS) value = INFINITY;
        memcpy(base + real_fields[i].offset, &value, sizeof value);
    }
    for (int i = 0; i < INTEGER_FIELDS; ++i) {
        const bool wide = integer_fields[i].wide;
        if (!deep__json_integer(deep__json_get(document, integer_fields[i].name), &integer) || integer < 0 ||
            (!wide && integer > INT32_MAX))
            return deep__fail(DEEP_ERROR_FORMAT, "%s is missing or out of range", integer_fields[i].name);
        const int32_t narrow = wide ? 0 : (int32_t)integer;
        memcpy(base + integer_fields[i].offset, wide ? (const void *)&integer : (const void *)&narrow,
               wide ? sizeof integer : sizeof narrow);
    }
    if (!deep__json_bool(deep__json_get(document, "stopped"), &read.stopped) ||
        !deep__json_integer(deep__json_get(document, "best_epoch"), &integer) || integer < 0 || integer > INT32_MAX)
        return deep__fail(DEEP_ERROR_FORMAT, "stopped or best_epoch is missing");
    DEEP_TRY(deep__history_restore(read.history, deep__json_get(document, "history")));
    read.history->best = (int32_t)integer;
    *state = read;
    return DEEP_OK;
}

/* ---- the tensors ---- */

static deep_safetensor flat(const char *name, const float *data, int64_t elements)
{
    return (deep_safetensor){.name = name,
                             .dtype = DEEP_DTYPE_F32,
                             .rank = 1,
                             .shape = {elements},
                             .data = data,
                             .size = (size_t)elements * sizeof *data};
}

/* Parameters one by one under their own names; slots and best weights whole. */
static int32_t list_tensors(deep_safetensor *tensors, const deep_trainer *trainer, const deep_fit_state *state)
{
    const deep_model *model = trainer->model;
    int32_t count = 0;
    for (int32_t i = 0; i < model->params.count; ++i) {
        const deep_param_spec *spec = &model->params.specs[i];
        deep_safetensor *tensor = &tensors[count++];
        *tensor = flat(spec->name, deep__model_values(model, i), spec->elements);
        tensor->rank = spec->rank;
        for (int32_t axis = 0; axis < spec->rank; ++axis)
            tensor->shape[axis] = spec->shape[axis];
    }
    for (int32_t s = 0; s < trainer->slot_count; ++s)
        tensors[count++] = flat(slot_names[s], trainer->slots + s * model->params.elements, model->params.elements);
    if (state != NULL && state->best != NULL && state->history->best > 0)
        tensors[count++] = flat("best", state->best, model->params.elements);
    return count;
}

static deep_status write_document(const deep_trainer *trainer, const deep_fit_state *state, const char *path,
                                  const deep_safetensor *tensors, int32_t count)
{
    const deep_allocator *allocator = &trainer->model->context->allocator;
    deep_text text = deep__text(allocator), previous = deep__text(allocator);
    deep_json *document = deep__json_new_object();
    deep_status status = describe(document, trainer, state, tensors, count);
    if (status == DEEP_OK) status = deep__json_dump(&text, document);
    deep__text_printf(&previous, "%s.prev", path);
    if (status == DEEP_OK) status = previous.status;
    if (status == DEEP_OK) {
        const deep_safetensors_pair pair = {"deep.checkpoint", text.data};
        const deep_safetensors_content content = {tensors, count, &pair, 1};
        status = deep__safetensors_write_file(&content, allocator, path, previous.data);
    }
    deep__json_free(document);
    deep__text_free(&previous);
    deep__text_free(&text);
    return status;
}

deep_status deep__checkpoint_save(const deep_trainer *trainer, const deep_fit_state *state, const char *path)
{
    const deep_allocator *allocator = &trainer->model->context->allocator;
    deep_safetensor *tensors;
    DEEP_TRY(
        deep__alloc_zero(&tensors, allocator, (size_t)trainer->model->params.count + 4, sizeof *tensors, "checkpoint"));
    const int32_t count = list_tensors(tensors, trainer, state);
    deep_status status = deep__trainer_for_host(trainer);
    if (status == DEEP_OK) status = write_document(trainer, state, path, tensors, count);
    deep__free(allocator, tensors);
    return status;
}

/* ---- reading ---- */

static deep_status check_options(const deep_json *saved, const deep_fit_options *options,
                                 const deep_allocator *allocator)
{
    deep_json *wanted;
    DEEP_TRY(deep__fit_options_describe(&wanted, options));
    deep_status status = DEEP_OK;
    for (void *it = deep__json_next(wanted, NULL); it != NULL && status == DEEP_OK; it = deep__json_next(wanted, it)) {
        deep_text was = deep__text(allocator), is = deep__text(allocator);
        const deep_json *other = deep__json_get(saved, deep__json_key(it));
        status = deep__json_dump(&is, deep__json_value(it));
        if (status == DEEP_OK && other != NULL) status = deep__json_dump(&was, other);
        if (status == DEEP_OK && (was.data == NULL || strcmp(was.data, is.data) != 0))
            status = deep__fail(DEEP_ERROR_INVALID_ARGUMENT, "was made with %s = %.40s, not %.40s", deep__json_key(it),
                                was.data == NULL ? "?" : was.data, is.data);
        deep__text_free(&is);
        deep__text_free(&was);
    }
    deep__json_free(wanted);
    return status;
}

static deep_status read_tensor(const deep_safetensors *file, const deep_safetensor *wanted, const deep_json *checksums)
{
    union {
        const void *in;
        void *out;
    } place = {wanted->data};
    const deep_safetensor *found = deep__safetensors_find(file, wanted->name);
    if (found == NULL || found->size != wanted->size || found->dtype != wanted->dtype)
        return deep__fail(DEEP_ERROR_INVALID_ARGUMENT, "tensor %s is %s: a checkpoint of another model or optimizer",
                          wanted->name, found == NULL ? "missing" : "of another size");
    return deep__safetensors_read(file, found, place.out, checksums);
}

static deep_status read_tensors(const deep_safetensors *file, const deep_trainer *trainer, const deep_fit_state *state,
                                const deep_json *checksums)
{
    const deep_allocator *allocator = &trainer->model->context->allocator;
    deep_safetensor *tensors;
    DEEP_TRY(
        deep__alloc_zero(&tensors, allocator, (size_t)trainer->model->params.count + 4, sizeof *tensors, "checkpoint"));
    const int32_t count = list_tensors(tensors, trainer, state);
    deep_status status = DEEP_OK;
    for (int32_t i = 0; i < count && status == DEEP_OK; ++i)
        status = read_tensor(file, &tensors[i], checksums);
    deep__free(allocator, tensors);
    return status;
}

static deep_status read_document(const deep_safetensors *file, const deep_json *document, deep_trainer *trainer,
                                 deep_fit_state *state)
{
    int64_t format = 0, step = 0;
    double rate = 0;
    if (!deep__json_integer(deep__json_get(document, "format"), &format))
        return deep__fail(DEEP_ERROR_FORMAT, "format is missing");
    if (format > FORMAT_MAJOR)
        return deep__fail(DEEP_ERROR_VERSION, "format %" PRId64 " is newer than %d", format, FORMAT_MAJOR);
    if (!deep__json_integer(deep__json_get(document, "step"), &step) || step < 0 ||
        !deep__json_number(deep__json_get(document, "learning_rate"), &rate))
        return deep__fail(DEEP_ERROR_FORMAT, "step or learning_rate is missing");
    DEEP_TRY(
        check_options(deep__json_get(document, "options"), &trainer->options, &trainer->model->context->allocator));
    deep_loss_scale scale = deep__loss_scale(trainer->options.dtype);
    if (trainer->options.dtype == DEEP_DTYPE_F16) DEEP_TRY(read_scale(document, &scale));
    if (state != NULL) DEEP_TRY(read_state(document, state));
    DEEP_TRY(deep__trainer_for_host(trainer));
    deep__trainer_host_wrote(trainer); /* in part, when it fails */
    DEEP_TRY(read_tensors(file, trainer, state, deep__json_get(document, "tensors")));
    trainer->step = step;
    trainer->learning_rate = rate;
    trainer->loss_scale = scale;
    trainer->current = NULL;
    return DEEP_OK;
}

static deep_status load_file(deep_trainer *trainer, deep_fit_state *state, const char *path)
{
    const deep_context *context = trainer->model->context;
    const size_t limit =
        (size_t)context->limits.max_model_bytes * 6 + EXTRA_BYTES; /* weights, best weights, three slots */
    deep_safetensors file = {.fd = -1};
    deep_json *document = NULL;
    DEEP_TRY(deep__safetensors_open_file(&file, &context->allocator, path, limit));
    const char *text = deep__safetensors_metadata(&file, "deep.checkpoint");
    deep_status status = text == NULL ? deep__fail(DEEP_ERROR_FORMAT, "is not a checkpoint") : DEEP_OK;
    if (status == DEEP_OK) status = deep__json_parse(&document, text, strlen(text), EXTRA_BYTES);
    if (status == DEEP_OK) status = read_document(&file, document, trainer, state);
    if (status != DEEP_OK) status = deep__fail_within(status, path);
    deep__json_free(document);
    deep__safetensors_close(&file);
    return status;
}

static bool is_damage(deep_status status)
{
    return status == DEEP_ERROR_FORMAT || status == DEEP_ERROR_TRUNCATED || status == DEEP_ERROR_CHECKSUM;
}

deep_status deep__checkpoint_load(deep_trainer *trainer, deep_fit_state *state, const char *path)
{
    const deep_status status = load_file(trainer, state, path);
    if (!is_damage(status)) return status;
    deep_context *context = trainer->model->context;
    deep_text previous = deep__text(&context->allocator);
    deep__log(&context->logger, DEEP_LOG_WARNING, "%s; trying the checkpoint before it", deep_last_error());
    deep__text_printf(&previous, "%s.prev", path);
    deep_status second = previous.status == DEEP_OK ? load_file(trainer, state, previous.data) : previous.status;
    if (second == DEEP_ERROR_NOT_FOUND)
        second = deep__fail(status, "%s is damaged, and there is no %s", path, previous.data);
    deep__text_free(&previous);
    return second;
}

deep_status deep_trainer_save(const deep_trainer *trainer, const char *path)
{
    DEEP_REQUIRE(trainer != NULL, "trainer is NULL");
    DEEP_REQUIRE(path != NULL, "path is NULL");
    DEEP_TRY(deep__context_check(trainer->model->context));
    return deep__checkpoint_save(trainer, NULL, path);
}

deep_status deep_trainer_load(deep_trainer *trainer, const char *path)
{
    DEEP_REQUIRE(trainer != NULL, "trainer is NULL");
    DEEP_REQUIRE(path != NULL, "path is NULL");
    DEEP_TRY(deep__context_check(trainer->model->context));
    return deep__checkpoint_load(trainer, NULL, path);
}
