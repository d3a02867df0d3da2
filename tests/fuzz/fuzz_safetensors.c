/* SPDX-License-Identifier: Apache-2.0 */
#include "core/context.h"
#include "fuzz.h"
#include "model/metadata.h"
#include "model/safetensors.h"

#include <stdlib.h>
#include <string.h>

enum { LIMIT = 1 << 20 };

/* Reads every tensor of the file, with and without a checksum. */
static void read_tensors(const deep_allocator *allocator, const uint8_t *data, size_t size)
{
    deep_safetensors file;
    deep_json *sums = NULL;
    if (deep__safetensors_open_memory(&file, allocator, data, size, LIMIT) != DEEP_OK) return;
    for (int32_t i = 0; i < file.count; ++i) {
        const deep_safetensor *tensor = &file.tensors[i];
        void *values = malloc(tensor->size);
        if (values == NULL) continue;
        if (deep__safetensors_read(&file, tensor, values, NULL) == DEEP_OK) {
            deep_safetensor copy = *tensor;
            copy.data = values;
            if (deep__safetensors_checksums(&sums, &copy, 1) != DEEP_OK) abort();
            if (deep__safetensors_read(&file, tensor, values, sums) != DEEP_OK) abort();
            deep__json_free(sums);
        }
        free(values);
    }
    deep__safetensors_close(&file);
}

static void load_model(deep_context *context, const uint8_t *data, size_t size)
{
    deep_model *model = NULL;
    if (size > 0) (void)deep_model_load_memory(&model, context, data, size);
    deep_model_free(model);
    read_tensors(&context->allocator, data, size);
}

/* The input as the header's text up to a NUL, then the tensors: the size in front is always right. */
static void load_assembled(deep_context *context, const uint8_t *data, size_t size)
{
    const uint8_t *nul = size > 0 ? memchr(data, 0, size) : NULL;
    uint64_t length = nul == NULL ? size : (size_t)(nul - data);
    const size_t data_size = nul == NULL ? 0 : size - length - 1;
    uint8_t *file = malloc(8 + size);
    if (file == NULL) return;
    if (length > 0) memcpy(file + 8, data, length);
    if (data_size > 0) memcpy(file + 8 + length, nul + 1, data_size);
    const size_t file_size = 8 + length + data_size;
    for (int i = 0; i < 8; ++i, length >>= 8)
        file[i] = (uint8_t)length;
    load_model(context, file, file_size);
    free(file);
}

/* The input as the metadata document; what is understood is written and understood again. */
static void read_document(deep_context *context, const uint8_t *data, size_t size)
{
    deep_model *model = NULL;
    deep_text text = deep__text(&context->allocator);
    if (deep__model_new(&model, context) != DEEP_OK) return;
    deep_status status = deep__json_parse(&model->document, (const char *)data, size, LIMIT);
    if (status == DEEP_OK) status = deep__metadata_read(model, model->document);
    if (status == DEEP_OK && deep__metadata_write(&text, model, NULL) != DEEP_OK) abort();
    deep_json *again = NULL;
    if (status == DEEP_OK && deep__json_parse(&again, text.data, text.length, 16 * LIMIT) != DEEP_OK) abort();
    deep__json_free(again);
    deep__text_free(&text);
    deep_model_free(model);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    deep_context *context = NULL;
    const deep_context_options options = {DEEP_CONTEXT_OPTIONS_INIT, .max_model_bytes = LIMIT};
    if (deep__context_create(&context, &options) != DEEP_OK) return 0;
    load_model(context, data, size);
    load_assembled(context, data, size);
    read_document(context, data, size);
    deep_context_free(context);
    return 0;
}
