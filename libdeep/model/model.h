/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_MODEL_MODEL_H
#define DEEP_MODEL_MODEL_H

#include "backend/device_memory.h"
#include "base/json.h"
#include "core/context.h"
#include "image/preprocess.h"
#include "nn/arch.h"

#include <deep/model.h>
#include <pthread.h>

struct deep_model {
    deep_context *context;
    deep_arch arch;
    deep_preprocess preprocess;
    bool has_mean; /* the caller gave mean and std; a fit leaves them alone */
    deep_classes *classes;
    deep_param_list params;
    float *values;          /* params.elements floats; the padding is 0 */
    deep_mirror mirror;     /* of the values; while a trainer has the model the device's may be newer */
    uint8_t *kernel_dtypes; /* what arch shows; NULL = all F32 (kernel_dtypes.h) */
    bool packed;            /* the layout of 1x1 kernels among them (layout.h); changed under `lock` */
    uint8_t *frozen;        /* per parameter, 0 or 1 */
    deep_json *document;    /* metadata as loaded or set; checksums and library are added while saving */
    char *metadata;         /* text for deep_model_metadata(); NULL = to be made; under `lock` */
    pthread_mutex_t lock;
    int32_t shared;    /* sessions and running predictions; under `lock` */
    bool exclusive;    /* a fit, a trainer or a write; under `lock` */
    void *infer_cache; /* compiled sessions waiting for the next prediction */
    /* Set by infer. Frees the idle sessions, and the cache when that empties it. Called without `lock`, from any
     * thread. */
    void (*infer_cache_free)(struct deep_model *);
};

/* Holds the model for reading: DEEP_ERROR_STATE while somebody has it alone. */
deep_status deep__model_share(const deep_model *model);
void deep__model_unshare(const deep_model *model);

/* Holds the model alone: DEEP_ERROR_STATE while it is shared or somebody else has it alone. Frees idle cached sessions.
 */
deep_status deep__model_own(deep_model *model);
void deep__model_disown(deep_model *model);

/* Puts a value into the metadata's top level ("training", "metrics", ...), taken over also on error. The caller owns
 * the model. */
deep_status deep__model_set_document(deep_model *model, const char *key, deep_json *value);

/* A model without classes, parameters and document. */
deep_status deep__model_new(deep_model **out, deep_context *context);

/* Allocates the list, the values, for the caller to fill, and the frozen flags that `model->arch` asks for. */
deep_status deep__model_allocate(deep_model *model);

/*
 * Before a model has values: one that its context's device cannot compute is given to the context in the host's memory, where
 * the device was chosen by "auto". The log says why.
 */
deep_status deep__model_choose_device(deep_model *model);

/* DEEP_ERROR_INVALID_ARGUMENT when a stream is given and the model is computed in the host's memory. */
deep_status deep__model_check_stream(const deep_model *model, const void *stream);

/* Moves values and computing to the host's memory, and says why in the log. The caller has the model alone. */
deep_status deep__model_leave_device(deep_model *model, const char *why);

/* As deep_model_clone(), in another context. */
deep_status deep__model_clone_into(deep_model **out, const deep_model *model, deep_context *context);

/*
 * Zeroes what stands behind each parameter, where readers may look; after the values, whose memory the threads that read
 * a file enter side by side.
 */
void deep__model_clear_padding(deep_model *model);

/* Where plans find the values. The caller shares the model, or has it alone. */
deep_status deep__model_for_device(const deep_model *model, void **address);

/* The values of parameter `index`. */
static inline float *deep__model_values(const deep_model *model, int32_t index)
{
    return model->values + model->params.specs[index].offset;
}

#endif
