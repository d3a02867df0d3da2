/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_MODEL_H
#define DEEP_MODEL_H

#include <deep/dataset.h>
#include <deep/image.h>
#include <deep/metrics.h>
#include <deep/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * A network with its weights, class names and preprocessing. Shared by threads for prediction; a fit, a trainer or a
 * write of a parameter needs it alone, else DEEP_ERROR_STATE.
 */
typedef struct deep_model deep_model;

/** Classifier on top of the backbone. */
enum {
    DEEP_HEAD_IMAGENET = 0, /**< Global average pooling, dense K. */
    DEEP_HEAD_SERVICE = 1   /**< Global average pooling, dense 1024 with ReLU, dense K. */
};

/** How many zeros (pools: nothing) stand around the 3x3 windows of 'same' layers. */
enum {
    DEEP_PADDING_SAME = 0,     /**< TensorFlow's rule: output = ceil(input / stride), the odd pixel at the end. */
    DEEP_PADDING_SYMMETRIC = 1 /**< One pixel on every side, as PyTorch's Xception (Cadene, timm). */
};

/** What becomes of a pixel value 0..255 on its way into the network. */
enum {
    DEEP_PREPROCESS_TF = 0,    /**< (x - mean) / 127.5; mean 127.5 gives Keras's -1..1. */
    DEEP_PREPROCESS_TORCH = 1, /**< (x - mean) / std */
    DEEP_PREPROCESS_CAFFE = 2  /**< x - mean, channels in the order BGR */
};

/** Options of deep_model_create(). Zero means the default in every field. */
typedef struct deep_model_options {
    size_t struct_size;          /**< sizeof(deep_model_options) */
    const char *architecture;    /**< "xception" (default) or "xception-small" (width 0.25, 2 middle blocks). */
    const deep_classes *classes; /**< Copied; NULL = `class_count` classes named "0", "1", ... */
    int32_t class_count;         /**< Used when `classes` is NULL; 0 = 1000. */
    int32_t input_size;          /**< Side of the square input in pixels, 71 to 1000; 0 = 299. */
    int32_t input_channels;      /**< 1 = images become grey, repeated for the RGB stem; 0 or 3 = RGB. */
    int32_t head;                /**< DEEP_HEAD_* */
    double dropout;              /**< Before the last dense layer, 0 to below 1. */
    double width;                /**< Multiplier of every channel count; 0 = the architecture's. */
    int32_t middle_blocks;       /**< 1 to 64; 0 = the architecture's (8). */
    int32_t preprocess;          /**< DEEP_PREPROCESS_* */
    int32_t filter;              /**< DEEP_FILTER_* for bringing images to input_size. */
    int32_t fit;                 /**< DEEP_FIT_* */
    int32_t has_mean;            /**< 1 = use `mean` and `std`; 0 = 127.5 until a fit computes the dataset's. */
    int32_t reserved;            /**< 0 */
    double mean[3];              /**< Per RGB channel, on the scale 0..255. */
    double std[3];               /**< Above 0; used by DEEP_PREPROCESS_TORCH. */
    uint64_t seed;               /**< Of the initial weights (Keras's Glorot uniform). */
    double batch_norm_epsilon;   /**< 0 = 1e-3, Keras's; 1e-5 for weights from PyTorch. */
    int32_t padding;             /**< DEEP_PADDING_* */
    int32_t reserved2;           /**< 0 */
} deep_model_options;

#define DEEP_MODEL_OPTIONS_INIT .struct_size = sizeof(deep_model_options)

/** Fills options with the defaults. Since 0.1. */
DEEP_API void deep_model_options_init(deep_model_options *options, size_t size);

/**
 * Makes a model with random weights.
 *
 * @param[out] out The caller frees it with deep_model_free(). NULL on error.
 * @return DEEP_OK, DEEP_ERROR_INVALID_ARGUMENT, DEEP_ERROR_OUT_OF_MEMORY, DEEP_ERROR_FORKED. Any thread. Since 0.1.
 */
DEEP_API deep_status deep_model_create(deep_model **out, deep_context *context, const deep_model_options *options);

/**
 * Loads a model file.
 *
 * @param path A .safetensors file that libdeep wrote.
 * @return DEEP_OK, DEEP_ERROR_INVALID_ARGUMENT, DEEP_ERROR_NOT_FOUND, DEEP_ERROR_IO, DEEP_ERROR_FORMAT,
 *         DEEP_ERROR_TRUNCATED, DEEP_ERROR_CHECKSUM, DEEP_ERROR_VERSION, DEEP_ERROR_UNSUPPORTED, DEEP_ERROR_LIMIT,
 *         DEEP_ERROR_OUT_OF_MEMORY, DEEP_ERROR_FORKED.
 * Any thread. Since 0.1.
 */
DEEP_API deep_status deep_model_load(deep_model **out, deep_context *context, const char *path);

/** Loads a model file held in memory; `data` is borrowed for the call. Otherwise as deep_model_load(). Since 0.1. */
DEEP_API deep_status deep_model_load_memory(deep_model **out, deep_context *context, const void *data, size_t size);

/**
 * Writes a model file: a temporary file in the same folder, synced, renamed; `path` is whole, old or new, at every
 * instant.
 *
 * The same model gives the same bytes: no time, host or path is inside.
 *
 * @return DEEP_OK, DEEP_ERROR_INVALID_ARGUMENT, DEEP_ERROR_IO, DEEP_ERROR_OUT_OF_MEMORY. Shared. Since 0.1.
 */
DEEP_API deep_status deep_model_save(const deep_model *model, const char *path);

/**
 * Writes a model file into memory.
 *
 * @param[out] data The caller frees it with deep_free(). NULL on error.
 * @param[out] size Bytes at `data`. Since 0.1.
 */
DEEP_API deep_status deep_model_save_memory(const deep_model *model, void **data, size_t *size);

/** Makes an independent copy. @return DEEP_OK, DEEP_ERROR_INVALID_ARGUMENT, DEEP_ERROR_OUT_OF_MEMORY. Since 0.1. */
DEEP_API deep_status deep_model_clone(deep_model **out, const deep_model *model);

/** Frees a model; NULL is fine. Its sessions and trainers must be gone. Since 0.1. */
DEEP_API void deep_model_free(deep_model *model);

/** What a model is. */
typedef struct deep_model_summary {
    size_t struct_size;       /**< sizeof(deep_model_summary), set by the caller */
    const char *architecture; /**< Borrowed from the model; likewise below. */
    int32_t input_size;
    int32_t input_channels;
    int32_t classes;
    int32_t head;
    int32_t preprocess;
    int32_t filter;
    int32_t fit;
    int32_t middle_blocks;
    double width;
    double dropout;
    double mean[3];
    double std[3];
    int64_t parameters;           /**< All values, running statistics of batch norm included. */
    int64_t trainable_parameters; /**< Those that an optimizer changes. */
    int64_t multiply_adds;        /**< Of one image's forward pass. */
    double batch_norm_epsilon;
    int32_t padding;
    int32_t dtype; /**< DEEP_DTYPE_* of its kernels, of those with the fewest bits: F32, BF16, F16 or I8. */
} deep_model_summary;

/** @return DEEP_OK, DEEP_ERROR_INVALID_ARGUMENT. Shared. Since 0.1. */
DEEP_API deep_status deep_model_info(const deep_model *model, deep_model_summary *summary);

/**
 * The metadata document that stands in the model file, without the checksums of the tensors.
 *
 * @return JSON, borrowed until the model changes or is freed; NULL for NULL. Since 0.1.
 */
DEEP_API const char *deep_model_metadata(const deep_model *model);

/**
 * Puts a value into the metadata's free part ("user"), where provenance, metrics and settings of a program belong.
 *
 * @param key  Not empty.
 * @param json A JSON value; NULL removes the key.
 * @return DEEP_OK, DEEP_ERROR_INVALID_ARGUMENT (not JSON), DEEP_ERROR_OUT_OF_MEMORY, DEEP_ERROR_STATE. Needs the
 *         model alone. Since 0.1.
 */
DEEP_API deep_status deep_model_set_metadata(deep_model *model, const char *key, const char *json);

/**
 * @return Name of the device that computes the model: its context's, but where that was chosen by "auto" and lacks something
 *         that the model needs, "cpu" or "ref"; "" for NULL. Lives as long as the context. Since 0.1.
 */
DEEP_API const char *deep_model_device(const deep_model *model);

/** @return Number of classes; 0 for NULL. Since 0.1. */
DEEP_API int32_t deep_model_class_count(const deep_model *model);

/** @return UTF-8 name of class `index`, borrowed from the model; NULL outside. Since 0.1. */
DEEP_API const char *deep_model_class_name(const deep_model *model, int32_t index);

/** @return WoRMS AphiaID of class `index`; 0 when unknown. Since 0.1. */
DEEP_API int64_t deep_model_class_aphia_id(const deep_model *model, int32_t index);

/** @return Text about class `index`, borrowed from the model; NULL when there is none. Since 0.1. */
DEEP_API const char *deep_model_class_info(const deep_model *model, int32_t index);

/**
 * Renames the classes; with another count also makes a new last layer with random weights.
 *
 * @param seed Of the new layer.
 * @return DEEP_OK, DEEP_ERROR_INVALID_ARGUMENT, DEEP_ERROR_OUT_OF_MEMORY, DEEP_ERROR_STATE. Needs the model alone.
 *         Since 0.1.
 */
DEEP_API deep_status deep_model_set_classes(deep_model *model, const deep_classes *classes, uint64_t seed);

/** Role of a parameter. */
enum {
    DEEP_ROLE_KERNEL = 1, /**< Convolution and dense weights; L2 and weight decay apply to these alone. */
    DEEP_ROLE_BIAS = 2,
    DEEP_ROLE_GAMMA = 3, /**< Batch norm's scale ... */
    DEEP_ROLE_BETA = 4,  /**< ... and shift ... */
    DEEP_ROLE_MEAN = 5,  /**< ... and running statistics, which an optimizer does not change. */
    DEEP_ROLE_VARIANCE = 6,
    DEEP_ROLE_QUANTIZATION = 7 /**< Of the kernel before it; see deep/quantize.h. */
};

/** Description of a parameter. */
typedef struct deep_param {
    size_t struct_size; /**< sizeof(deep_param), set by the caller */
    const char *name;   /**< Keras's, such as "block5_sepconv1.depthwise_kernel"; borrowed from the model. */
    int32_t role;       /**< DEEP_ROLE_* */
    int32_t dtype;      /**< DEEP_DTYPE_* that it is stored in: BF16, F16 and I8 for kernels of quantized models. */
    int32_t rank;
    int32_t trainable; /**< 1 when an optimizer changes it. */
    int64_t shape[4];  /**< Keras's layout: kernels HWIO, depthwise HWC1, dense IO. */
} deep_param;

/** @return Number of parameter tensors; 0 for NULL. Since 0.1. */
DEEP_API int32_t deep_model_param_count(const deep_model *model);

/** @return DEEP_OK, DEEP_ERROR_INVALID_ARGUMENT (no such index). Since 0.1. */
DEEP_API deep_status deep_model_param_info(const deep_model *model, int32_t index, deep_param *param);

/** @return Index of the parameter with this name; -1 when there is none. Since 0.1. */
DEEP_API int32_t deep_model_param_index(const deep_model *model, const char *name);

/**
 * Copies a parameter out, as float32 whatever it is stored in.
 *
 * @param[out] values Room for the whole tensor.
 * @param      count  Elements at `values`; must be the tensor's.
 * @return DEEP_OK, DEEP_ERROR_INVALID_ARGUMENT. Shared. Since 0.1.
 */
DEEP_API deep_status deep_model_param_read(const deep_model *model, int32_t index, float *values, int64_t count);

/**
 * Overwrites a parameter.
 *
 * @return DEEP_OK, DEEP_ERROR_INVALID_ARGUMENT (count, a value that is not finite), DEEP_ERROR_STATE (a session or
 *         trainer exists), DEEP_ERROR_UNSUPPORTED (the model is quantized).
 * Needs the model alone. Since 0.1.
 */
DEEP_API deep_status deep_model_param_write(deep_model *model, int32_t index, const float *values, int64_t count);

/**
 * Freezes or frees parameters. Batch norm of a frozen layer uses its stored statistics, also while training.
 *
 * @param prefix    Names that begin so ("block1_", "" for all); "backbone" stands for everything below the head.
 * @param trainable 1 or 0.
 * @return DEEP_OK, DEEP_ERROR_INVALID_ARGUMENT (no name matches), DEEP_ERROR_STATE. Needs the model alone. Since 0.1.
 */
DEEP_API deep_status deep_model_set_trainable(deep_model *model, const char *prefix, int32_t trainable);

/** One row of a prediction. A slot beyond the number of classes is -1 and 0. */
typedef struct deep_prediction {
    int32_t class_index;
    float probability;
} deep_prediction;

/** Options of deep_model_predict() and deep_model_evaluate(). Zero means the default in every field. */
typedef struct deep_predict_options {
    size_t struct_size; /**< sizeof(deep_predict_options) */
    int32_t batch;      /**< Images computed at once, 1 to 1024; 0 = 1 for predict, 16 for evaluate. */
    int32_t workers;    /**< Decoding threads of evaluate; 0 = the context's threads. */
} deep_predict_options;

#define DEEP_PREDICT_OPTIONS_INIT .struct_size = sizeof(deep_predict_options)

/** Fills options with the defaults. Since 0.1. */
DEEP_API void deep_predict_options_init(deep_predict_options *options, size_t size);

/**
 * Classifies images.
 *
 * Calls from several threads run side by side on one copy of the weights.
 *
 * @param      images  `n` decoded images of any size, borrowed for the call.
 * @param      options NULL = defaults.
 * @param[out] top     n x k predictions, the most probable first, ties by class index.
 * @param      k       1 or more.
 * @return DEEP_OK, DEEP_ERROR_INVALID_ARGUMENT, DEEP_ERROR_OUT_OF_MEMORY, DEEP_ERROR_STATE (a fit is running),
 *         DEEP_ERROR_FORKED, DEEP_ERROR_BACKEND.
 * Shared. Since 0.1.
 */
DEEP_API deep_status deep_model_predict(const deep_model *model, deep_image *const *images, int64_t n,
                                        const deep_predict_options *options, deep_prediction *top, int32_t k);

/**
 * Classifies a dataset and compares with its labels.
 *
 * @param      dataset Its classes must be the model's, by name and order.
 * @param[out] out     The caller frees it. NULL on error.
 * @return as deep_model_predict(), DEEP_ERROR_DATASET, DEEP_ERROR_CANCELLED. Shared. Since 0.1.
 */
DEEP_API deep_status deep_model_evaluate(const deep_model *model, const deep_dataset *dataset,
                                         const deep_predict_options *options, deep_metrics **out);

/** Bytes that a model needs. */
typedef struct deep_memory_estimate {
    size_t struct_size;  /**< sizeof(deep_memory_estimate), set by the caller */
    int64_t weights;     /**< Parameters, shared by all sessions. */
    int64_t activations; /**< Of one session, or of the trainer. */
    int64_t optimizer;   /**< Gradients and optimizer slots; 0 for inference. */
    int64_t total;
} deep_memory_estimate;

/**
 * How much memory a use of the model takes, before anything is allocated. Libraries' code and decoded images come on
 * top.
 *
 * @param batch    Images at once.
 * @param training 1 = a training step with Adam-amsgrad, 0 = inference.
 * @return DEEP_OK, DEEP_ERROR_INVALID_ARGUMENT, DEEP_ERROR_OUT_OF_MEMORY. Shared. Since 0.1.
 */
DEEP_API deep_status deep_model_memory_estimate(const deep_model *model, int32_t batch, int32_t training,
                                                deep_memory_estimate *estimate);

#ifdef __cplusplus
}
#endif

#endif
