/* SPDX-License-Identifier: Apache-2.0 */
#include "train_data.h"

#include "output.h"

#include <inttypes.h>
#include <stdlib.h>

#define DEFAULT_FRACTION 0.2 /* for validation */

/* Where validation images come from. */
typedef struct valid_source {
    const char *path; /* NULL = a part of the training images */
    double fraction;  /* 0 = none */
} valid_source;

static int choose_valid(valid_source *source, const train_settings *settings, const data_place *place)
{
    *source = (valid_source){.fraction = DEFAULT_FRACTION};
    if (settings->valid == NULL) {
        if (place->valid[0] != '\0') source->path = place->valid;
        return EXIT_OK;
    }
    char *end;
    const double fraction = strtod(settings->valid, &end);
    if (end == settings->valid || *end != '\0') {
        source->path = settings->valid;
        return EXIT_OK;
    }
    source->fraction = fraction;
    if (fraction >= 0 && fraction < 1) return EXIT_OK;
    say_error("train: --valid: %s is not a fraction from 0 to below 1", settings->valid);
    return EXIT_USAGE;
}

static int check_classes(const deep_dataset *dataset, const char *path, int64_t min_images)
{
    const deep_classes *classes = deep_dataset_classes(dataset);
    if (deep_classes_count(classes) < 2) {
        say_error("%s: has only one class, '%s'; at least two are needed", path, deep_classes_name(classes, 0));
        return EXIT_DATASET;
    }
    for (int32_t i = 0; i < deep_classes_count(classes); ++i) {
        const int64_t size = deep_dataset_class_size(dataset, i);
        if (size >= min_images) continue;
        say_error("%s: class '%s' has %" PRId64 " image%s, at least %" PRId64 " are needed (--min-images)", path,
                  deep_classes_name(classes, i), size, size == 1 ? "" : "s", min_images);
        return EXIT_DATASET;
    }
    return EXIT_OK;
}

static int open_valid(train_data *out, deep_context *context, const char *path, const char *images,
                      const train_settings *settings)
{
    deep_dataset *opened;
    data_settings data = settings->data;
    data.group_by = data.manifest = data.manifest_column = NULL; /* nothing is split off it */
    const deep_status status = open_data(&opened, context, path, images, &data);
    if (status != DEEP_OK) return fail_with(status);
    if (same_classes(deep_dataset_classes(opened), deep_dataset_classes(out->train))) {
        out->valid = opened;
        return EXIT_OK;
    }
    const int code = exit_code_of(match_classes(&out->valid, context, opened, deep_dataset_classes(out->train)));
    deep_dataset_free(opened);
    return code;
}

static int split_off_valid(train_data *out, double fraction, const train_settings *settings)
{
    const deep_split_options options = {DEEP_SPLIT_OPTIONS_INIT, .seed = (uint64_t)settings->seed};
    deep_dataset *all = out->train;
    const deep_status status = deep_dataset_split(&out->train, &out->valid, all, fraction, &options);
    deep_dataset_free(all);
    return status == DEEP_OK ? EXIT_OK : fail_with(status);
}

int train_data_open(train_data *out, deep_context *context, const char *data, const train_settings *settings)
{
    data_place place;
    valid_source source;
    *out = (train_data){0};
    if (!locate_data(data, &place)) return EXIT_USAGE;
    int code = choose_valid(&source, settings, &place);
    if (code != EXIT_OK) return code;
    const deep_status status = open_data(&out->train, context, place.train, place.images, &settings->data);
    if (status != DEEP_OK) return fail_with(status);
    code = check_classes(out->train, place.train, settings->min_images);
    if (code == EXIT_OK && source.path != NULL)
        code = open_valid(out, context, source.path, source.path == place.valid ? place.images : NULL, settings);
    else if (code == EXIT_OK && source.fraction > 0)
        code = split_off_valid(out, source.fraction, settings);
    if (code != EXIT_OK) train_data_close(out);
    return code;
}

void train_data_close(train_data *data)
{
    deep_dataset_free(data->train);
    deep_dataset_free(data->valid);
    *data = (train_data){0};
}
