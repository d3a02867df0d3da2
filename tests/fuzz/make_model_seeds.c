/* SPDX-License-Identifier: Apache-2.0 */
#include "core/context.h"
#include "model/kernel_dtypes.h"
#include "model/metadata.h"
#include "model/safetensors.h"

#include <stdio.h>
#include <string.h>

/* Writes the seeds of the model file's fuzzer: make_model_seeds tests/fuzz/corpus/safetensors */

static const char *folder;

static int write_file(const char *name, const void *data, size_t size)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(data, 1, size, file) != size || fclose(file) != 0) {
        perror(path);
        return 1;
    }
    return 0;
}

static int write_content(const char *name, const deep_context *context, const deep_safetensors_content *content)
{
    void *data;
    size_t size;
    if (deep__safetensors_write_memory(content, &context->allocator, &data, &size) != DEEP_OK) return 1;
    const int failed = write_file(name, data, size);
    deep__free(&context->allocator, data);
    return failed;
}

/* The document of a model alone, and in a file without its tensors. */
static int write_model(const deep_context *context, const char *name, const deep_model *model)
{
    char file[256];
    const char *document = deep_model_metadata(model);
    const deep_safetensors_pair pair = {DEEP_METADATA_KEY, document};
    snprintf(file, sizeof file, "%s.json", name);
    int failed = write_file(file, document, strlen(document));
    snprintf(file, sizeof file, "%s.safetensors", name);
    failed |= write_content(file, context, &(deep_safetensors_content){NULL, 0, &pair, 1});
    return failed;
}

static int write_document(deep_context *context, const char *name, const deep_model_options *options)
{
    deep_model *model;
    if (deep_model_create(&model, context, options) != DEEP_OK) return 1;
    const int failed = write_model(context, name, model);
    deep_model_free(model);
    return failed;
}

/* Of a model whose kernels are of all types; with one of its I8 kernels and what belongs to it as a file of its own. */
static int write_quantized(deep_context *context, const deep_model_options *options)
{
    static const uint8_t dtypes[] = {DEEP_DTYPE_BF16, DEEP_DTYPE_I8, DEEP_DTYPE_F32};
    static const int8_t levels[6] = {127, -127, 0, 1, 2, 3};
    static const float vector[7] = {2, 4, 0, 255, 1, 2, 3};
    static const deep_safetensor kernel[] = {
        {.name = "a.kernel", .dtype = DEEP_DTYPE_I8, .rank = 2, .shape = {2, 3}, .data = levels, .size = 6},
        {.name = "a.quantization", .dtype = DEEP_DTYPE_F32, .rank = 1, .shape = {7}, .data = vector, .size = 28},
    };
    deep_model *model;
    if (deep_model_create(&model, context, options) != DEEP_OK) return 1;
    int failed = deep__model_set_kernel_dtypes(model, dtypes, 3) != DEEP_OK;
    failed |= write_model(context, "quantized", model);
    failed |= write_content("kernel.safetensors", context, &(deep_safetensors_content){kernel, 2, NULL, 0});
    deep_model_free(model);
    return failed;
}

int main(int argc, char **argv)
{
    static const float floats[6] = {1, 2, 3, 4, 5, 6};
    static const int64_t step[1] = {7};
    static const deep_safetensor tensors[] = {
        {.name = "a", .dtype = DEEP_DTYPE_F32, .rank = 2, .shape = {2, 3}, .data = floats, .size = sizeof floats},
        {.name = "step", .dtype = DEEP_DTYPE_I64, .rank = 0, .data = step, .size = sizeof step},
        {.name = "u", .dtype = DEEP_DTYPE_U8, .rank = 3, .shape = {1, 2, 1}, .data = step, .size = 2},
    };
    static const char header[] = "{\"b\":{\"dtype\":\"BF16\",\"shape\":[1],\"data_offsets\":[0,2]}}\0xy";
    const deep_safetensors_pair pair = {"key", "value"};
    deep_model_options small = {DEEP_MODEL_OPTIONS_INIT, .architecture = "xception-small",
                                .class_count = 2,        .input_size = 71,
                                .width = 0.0625,         .middle_blocks = 1};
    deep_context *context;
    if (argc != 2 || deep__context_create(&context, NULL) != DEEP_OK) return 2;
    folder = argv[1];
    int failed = write_content("three.safetensors", context, &(deep_safetensors_content){tensors, 3, &pair, 1});
    failed |= write_content("empty.safetensors", context, &(deep_safetensors_content){NULL, 0, NULL, 0});
    failed |= write_file("header", header, sizeof header - 1);
    failed |= write_document(context, "imagenet", &small);
    failed |= write_quantized(context, &small);
    small.head = DEEP_HEAD_SERVICE;
    small.preprocess = DEEP_PREPROCESS_TORCH;
    small.input_channels = 1;
    failed |= write_document(context, "service", &small);
    deep_context_free(context);
    return failed;
}
