/* SPDX-License-Identifier: Apache-2.0 */
/* Classifies images: classify MODEL.safetensors IMAGE... */
#include <deep/deep.h>
#include <stdio.h>

enum { TOP = 5 };

static int classify(deep_context *context, const deep_model *model, const char *path)
{
    deep_image *image;
    deep_prediction top[TOP];
    deep_status status = deep_image_load(&image, context, path, NULL);
    if (status == DEEP_OK) status = deep_model_predict(model, &image, 1, NULL, top, TOP);
    deep_image_free(image);
    if (status != DEEP_OK) {
        fprintf(stderr, "%s\n", deep_last_error()); /* one line that names the file and the reason */
        return 1;
    }
    for (int i = 0; i < TOP && top[i].class_index >= 0; ++i)
        printf("%s\t%s\t%.4f\n", path, deep_model_class_name(model, top[i].class_index), (double)top[i].probability);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: %s MODEL.safetensors IMAGE...\n", argv[0]);
        return 2;
    }
    deep_context *context = NULL;
    deep_model *model = NULL;
    int failed = 0;
    if (deep_context_create(&context, NULL) != DEEP_OK || deep_model_load(&model, context, argv[1]) != DEEP_OK) {
        fprintf(stderr, "%s\n", deep_last_error());
        failed = 1;
    }
    for (int i = 2; i < argc && model != NULL; ++i)
        failed |= classify(context, model, argv[i]);
    deep_model_free(model);
    deep_context_free(context);
    return failed;
}
