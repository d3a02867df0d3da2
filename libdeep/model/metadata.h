/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_MODEL_METADATA_H
#define DEEP_MODEL_METADATA_H

/*
 * The JSON document in a model file: docs/model-file.md describes it. It stands as a string under __metadata__["deep"].
 * What it says about architecture, classes and preprocessing is kept in the model; members that this version does not
 * know stay in the document and are written back.
 */
#include "model/model.h"

#define DEEP_METADATA_KEY "deep"

enum { DEEP_MODEL_FORMAT_MAJOR = 1, DEEP_MODEL_FORMAT_MINOR = 0 };

/* Makes the document of a new model from its fields. */
deep_status deep__metadata_create(deep_json **out, const deep_model *model);

/* Replaces the list of classes in `document` by the model's. */
deep_status deep__metadata_set_classes(deep_json *document, const deep_model *model);

/* The document as it stands in a file, appended to `text`; `checksums` is borrowed, NULL leaves them out. */
deep_status deep__metadata_write(deep_text *text, const deep_model *model, const deep_json *checksums);

/* The document's word for the type of a kernel: "f32", "bf16", "i8". */
const char *deep__metadata_dtype(int32_t dtype);

/* Checks version and required members, then fills the model's arch, preprocess, has_mean and classes. */
deep_status deep__metadata_read(deep_model *model, const deep_json *document);

#endif
