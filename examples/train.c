/* SPDX-License-Identifier: Apache-2.0 */
/* Trains a small Xception on a folder with one folder of images per class: train IMAGES MODEL.safetensors [EPOCHS] */
#include <deep/deep.h>
#include <stdio.h>
#include <stdlib.h>

static int32_t on_progress(void *user, const deep_progress *progress)
{
    (void)user;
    if (progress->phase == DEEP_PHASE_EPOCH)
        printf("epoch %d of %d: loss %.3f, accuracy %.3f, unseen images %.3f\n", progress->epoch, progress->epochs,
               progress->loss, progress->accuracy, progress->valid_accuracy);
    return 0; /* another value stops here */
}

/* Every object that a step needs is freed by the caller, whether or not it came to be. */
typedef struct objects {
    deep_context *context;
    deep_dataset *all, *train, *valid;
    deep_model *model;
} objects;

static deep_status train(objects *o, const char *images, const char *path, int32_t epochs)
{
    const deep_split_options split = {DEEP_SPLIT_OPTIONS_INIT, .seed = 1};
    deep_status status = deep_context_create(&o->context, NULL);
    if (status == DEEP_OK) status = deep_dataset_open(&o->all, o->context, images, NULL);
    if (status == DEEP_OK) status = deep_dataset_split(&o->train, &o->valid, o->all, 0.2, &split);
    if (status != DEEP_OK) return status;

    const deep_model_options model = {DEEP_MODEL_OPTIONS_INIT, .architecture = "xception-small", .input_size = 100,
                                      .classes = deep_dataset_classes(o->train)};
    const deep_fit_options fit = {DEEP_FIT_OPTIONS_INIT, .epochs = epochs};
    status = deep_model_create(&o->model, o->context, &model);
    if (status == DEEP_OK) status = deep_model_fit(o->model, o->train, o->valid, &fit, on_progress, NULL, NULL);
    if (status == DEEP_OK) status = deep_model_save(o->model, path);
    return status;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: %s IMAGES MODEL.safetensors [EPOCHS]\n", argv[0]);
        return 2;
    }
    objects o = {NULL, NULL, NULL, NULL, NULL};
    const deep_status status = train(&o, argv[1], argv[2], argc > 3 ? atoi(argv[3]) : 0);
    if (status != DEEP_OK) fprintf(stderr, "%s: %s\n", deep_status_name(status), deep_last_error());
    deep_model_free(o.model);
    deep_dataset_free(o.valid);
    deep_dataset_free(o.train);
    deep_dataset_free(o.all);
    deep_context_free(o.context);
    return status == DEEP_OK ? 0 : 1;
}
