/* SPDX-License-Identifier: Apache-2.0 */
#include "model_data.h"

#include "output.h"

const option_choice part_choices[] = {
    {"auto", PART_AUTO}, {"train", PART_TRAIN}, {"valid", PART_VALID}, {"test", PART_TEST}, {0}};

static const char *choose_part(const data_place *place, int32_t part)
{
    switch (part) {
    case PART_TRAIN:
        return place->train;
    case PART_VALID:
        return place->valid;
    case PART_TEST:
        return place->test;
    default:
        return place->test[0] != '\0' ? place->test : place->valid[0] != '\0' ? place->valid : place->train;
    }
}

int open_for_model(deep_dataset **dataset, deep_context *context, const deep_model *model, const char *data,
                   int32_t part, const data_settings *settings)
{
    data_place place;
    deep_classes *classes = NULL;
    deep_dataset *opened = NULL;
    *dataset = NULL;
    if (!locate_data(data, &place)) return EXIT_USAGE;
    const char *path = choose_part(&place, part);
    if (path[0] == '\0') {
        say_error("%s: has no such part", data);
        return EXIT_DATASET;
    }
    deep_status status = open_data(&opened, context, path, place.images, settings);
    if (status == DEEP_OK) status = model_classes(&classes, context, model);
    int code = status == DEEP_OK ? EXIT_OK : fail_with(status);
    if (code == EXIT_OK && same_classes(deep_dataset_classes(opened), classes)) {
        *dataset = opened;
        opened = NULL;
    } else if (code == EXIT_OK) {
        code = exit_code_of(match_classes(dataset, context, opened, classes)); /* says why itself */
    }
    deep_classes_free(classes);
    deep_dataset_free(opened);
    return code;
}
