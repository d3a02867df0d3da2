/* SPDX-License-Identifier: Apache-2.0 */
#include "train/options.h"

#include "base/memory.h"

#include <math.h>

enum { MAX_BATCH = 1024, MAX_EPOCHS = 1000000, MAX_WORKERS = 64 };

void deep_fit_options_init(deep_fit_options *options, size_t size)
{
    deep__options_init(options, size);
}

/* Every real option: name, place, default, and the open or closed range it must be in. */
static const struct real_option {
    const char *name;
    size_t offset;
    double fallback, low, high;
} real_options[] = {
#define REAL(field, fallback, low, high)                                                                               \
    {                                                                                                                  \
#field, offsetof(deep_fit_options, field), fallback, low, high                                                 \
    }
    REAL(learning_rate, 1e-3, 1e-12, 1e3),
    REAL(momentum, 0, 0, 0.99999),
    REAL(beta1, 0.9, 0, 0.99999),
    REAL(beta2, 0.999, 0, 0.9999999),
    REAL(epsilon, 1e-7, 0, 1),
    REAL(weight_decay, 0.004, 0, 1),
    REAL(l2, 0, 0, 1),
    REAL(clip_norm, 0, 0, 1e12),
    REAL(label_smoothing, 0, 0, 0.99999),
    REAL(backbone_rate, 1, 0, 1e3),
    REAL(step_decay, 0.1, 0, 1),
    REAL(step_milestones[0], 0.7, 0, 1),
    REAL(step_milestones[1], 0.9, 0, 1),
    REAL(decay_rate, 0.94, 0, 1),
    REAL(decay_epochs, 2, 1e-3, 1e6),
    REAL(warmup_epochs, 0, 0, 1e6),
    REAL(plateau_factor, 0.1, 0, 1),
#undef REAL
};

static double *real_at(deep_fit_options *options, const struct real_option *option)
{
    return (double *)(void *)((char *)options + option->offset);
}

static deep_status check_reals(deep_fit_options *options)
{
    for (size_t i = 0; i < sizeof real_options / sizeof real_options[0]; ++i) {
        const struct real_option *option = &real_options[i];
        double *value = real_at(options, option);
        if (*value == 0) *value = option->fallback;
        DEEP_REQUIRE(isfinite(*value) && *value >= option->low && *value <= option->high, "%s is not %g to %g",
                     option->name, option->low, option->high);
    }
    return DEEP_OK;
}

static const struct integer_option {
    const char *name;
    size_t offset;
    int32_t fallback, low, high;
    bool indifferent; /* to the result */
} integer_options[] = {
#define INTEGER(field, fallback, low, high)                                                                            \
    {                                                                                                                  \
#field, offsetof(deep_fit_options, field), fallback, low, high, false                                          \
    }
#define INDIFFERENT(field, fallback, low, high)                                                                        \
    {                                                                                                                  \
#field, offsetof(deep_fit_options, field), fallback, low, high, true                                           \
    }
    INTEGER(epochs, 15, 1, MAX_EPOCHS),
    INTEGER(batch, 16, 1, MAX_BATCH),
    INTEGER(optimizer, 0, DEEP_OPTIMIZER_ADAM, DEEP_OPTIMIZER_ADAMW),
    INTEGER(schedule, 0, DEEP_SCHEDULE_STEP, DEEP_SCHEDULE_PLATEAU),
    INTEGER(nesterov, 0, 0, 1),
    INTEGER(no_amsgrad, 0, 0, 1),
    INTEGER(class_weights, 0, DEEP_CLASS_WEIGHTS_NONE, DEEP_CLASS_WEIGHTS_SQRT),
    INTEGER(plateau_patience, 3, 1, MAX_EPOCHS),
    INTEGER(early_stop, 0, 0, MAX_EPOCHS),
    INTEGER(keep_running_statistics, 0, 0, 1),
    INTEGER(keep_last, 0, 0, 1),
    INDIFFERENT(workers, 0, 0, MAX_WORKERS),
    INTEGER(keep_preprocessing, 0, 0, 1),
    INTEGER(dtype, DEEP_DTYPE_F32, DEEP_DTYPE_F32, DEEP_DTYPE_F16),
    INDIFFERENT(resume, 0, 0, 1),
    INDIFFERENT(checkpoint_seconds, 30, -1, INT32_MAX),
#undef INTEGER
#undef INDIFFERENT
};

static deep_status check_integers(deep_fit_options *options)
{
    for (size_t i = 0; i < sizeof integer_options / sizeof integer_options[0]; ++i) {
        const struct integer_option *option = &integer_options[i];
        int32_t *value = (int32_t *)(void *)((char *)options + option->offset);
        if (*value == 0) *value = option->fallback;
        DEEP_REQUIRE(*value >= option->low && *value <= option->high, "%s is %" PRId32 ", not %" PRId32 " to %" PRId32,
                     option->name, *value, option->low, option->high);
    }
    return DEEP_OK;
}

deep_status deep__fit_options_read(deep_fit_options *options, const deep_fit_options *given)
{
    *options = (deep_fit_options){0};
    DEEP_TRY(deep__options_read(options, sizeof *options, sizeof *options, given, "deep_fit_options"));
    if (options->optimizer == DEEP_OPTIMIZER_SGD && options->learning_rate == 0) options->learning_rate = 1e-2;
    if (options->optimizer == DEEP_OPTIMIZER_RMSPROP && options->beta2 == 0) options->beta2 = 0.9;
    DEEP_TRY(check_reals(options));
    DEEP_TRY(check_integers(options));
    DEEP_REQUIRE(options->dtype <= DEEP_DTYPE_BF16 || options->dtype == DEEP_DTYPE_F16,
                 "dtype is %" PRId32 ", not DEEP_DTYPE_F32, DEEP_DTYPE_BF16 or DEEP_DTYPE_F16", options->dtype);
    if (options->augment == 0) options->augment = DEEP_AUGMENT_FLIP | DEEP_AUGMENT_ROTATE90;
    if (options->augment == DEEP_AUGMENT_NONE) options->augment = 0;
    DEEP_REQUIRE((options->augment & ~(DEEP_AUGMENT_FLIP | DEEP_AUGMENT_ROTATE90)) == 0,
                 "augment has unknown flags: %" PRId32, options->augment);
    if (options->cache_bytes == 0) options->cache_bytes = INT64_C(1) << 30;
    if (options->cache_bytes < 0) options->cache_bytes = 0;
    if (options->checkpoint_seconds < 0) options->checkpoint_seconds = 0;
    DEEP_REQUIRE(options->checkpoint_steps >= 0, "checkpoint_steps is %" PRId64, options->checkpoint_steps);
    DEEP_REQUIRE(!options->resume || options->checkpoint != NULL, "resume needs a checkpoint's path");
    return DEEP_OK;
}

int32_t deep__optimizer_slots(const deep_fit_options *options)
{
    static const int32_t slots[] = {
        [DEEP_OPTIMIZER_ADAM] = 3, [DEEP_OPTIMIZER_SGD] = 1, [DEEP_OPTIMIZER_RMSPROP] = 2, [DEEP_OPTIMIZER_ADAMW] = 3};
    return slots[options->optimizer];
}

deep_status deep__fit_options_describe(deep_json **out, const deep_fit_options *given)
{
    deep_fit_options options = *given;
    deep_status status = DEEP_OK;
    *out = deep__json_new_object();
    for (size_t i = 0; i < sizeof real_options / sizeof real_options[0] && status == DEEP_OK; ++i)
        status = deep__json_set(*out, real_options[i].name, deep__json_new_real(*real_at(&options, &real_options[i])));
    for (size_t i = 0; i < sizeof integer_options / sizeof integer_options[0] && status == DEEP_OK; ++i) {
        const int32_t *value = (const int32_t *)(const void *)((const char *)&options + integer_options[i].offset);
        if (!integer_options[i].indifferent)
            status = deep__json_set(*out, integer_options[i].name, deep__json_new_integer(*value));
    }
    if (status == DEEP_OK) status = deep__json_set(*out, "augment", deep__json_new_integer(options.augment));
    if (status == DEEP_OK) status = deep__json_set(*out, "seed", deep__json_new_integer((int64_t)options.seed));
    if (status == DEEP_OK) return DEEP_OK;
    deep__json_free(*out);
    *out = NULL;
    return status;
}
