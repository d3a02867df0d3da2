/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_TOOLS_TRAIN_SETTINGS_H
#define DEEP_TOOLS_TRAIN_SETTINGS_H

#include "common.h"
#include "json_out.h"

/* The options of `deep train`; 0 and NULL mean the default. */
typedef struct train_settings {
    const char *output;
    /* data */
    data_settings data;
    const char *valid; /* a fraction, or a data set */
    int64_t min_images;
    /* network */
    const char *init;
    int32_t architecture; /* index into architecture_names */
    int32_t head;
    int64_t size;
    int64_t channels;
    double width;
    int64_t middle_blocks;
    double dropout;
    int32_t preprocess;
    int32_t filter;
    int32_t fit;
    int32_t freeze_backbone;
    /* training */
    int64_t epochs;
    int64_t batch;
    double learning_rate;
    int32_t optimizer;
    int32_t schedule;
    int32_t dtype;
    int64_t seed;
    int32_t augment;
    int32_t class_weights;
    double momentum;
    int32_t nesterov;
    int32_t no_amsgrad;
    double weight_decay;
    double l2;
    double clip_norm;
    double label_smoothing;
    double backbone_rate;
    double warmup_epochs;
    int64_t early_stop;
    int32_t keep_last;
    int32_t keep_running_statistics;
    /* running */
    compute_settings compute;
    int64_t workers;
    int64_t cache_megabytes; /* -1 = the default */
    int64_t checkpoint_every;
    int64_t checkpoint_seconds; /* -1 = the default */
    int32_t resume;
    int32_t progress;
    int32_t json;
} train_settings;

/* Reads the command line; `*data` is the argument DATA. OPTIONS_GO_ON or an exit status. */
int train_settings_parse(train_settings *settings, int argc, char **argv, const char **data);

deep_model_options train_model_options(const train_settings *settings, const deep_classes *classes);

/* `checkpoint` is borrowed by the result. */
deep_fit_options train_fit_options(const train_settings *settings, const char *checkpoint);

/* What of the settings decides the result, as members of the object that is open: no path, thread count or device. */
void train_settings_to_json(const train_settings *settings, json_out *json);

#endif
