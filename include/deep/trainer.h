/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_TRAINER_H
#define DEEP_TRAINER_H

#include <deep/model.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Optimizers, with Keras 3's formulas. */
enum {
    DEEP_OPTIMIZER_ADAM = 0,    /**< amsgrad by option */
    DEEP_OPTIMIZER_SGD = 1,     /**< momentum and Nesterov by option */
    DEEP_OPTIMIZER_RMSPROP = 2, /**< momentum by option */
    DEEP_OPTIMIZER_ADAMW = 3    /**< Adam with decoupled weight decay */
};

/** Learning-rate schedules over the epochs of a fit. */
enum {
    DEEP_SCHEDULE_STEP = 0, /**< x step_decay at the fractions step_milestones (.7 and .9) of the epochs. */
    DEEP_SCHEDULE_CONSTANT = 1,
    DEEP_SCHEDULE_EXPONENTIAL = 2, /**< x decay_rate (.94) every decay_epochs (2) epochs. */
    DEEP_SCHEDULE_COSINE = 3,      /**< Linear warm-up over warmup_epochs, then half a cosine to 0, per step. */
    DEEP_SCHEDULE_PLATEAU = 4      /**< x plateau_factor (.1) after plateau_patience (3) epochs without progress. */
};

/** Augmentations of training images, added together. */
enum { DEEP_AUGMENT_FLIP = 1, DEEP_AUGMENT_ROTATE90 = 2, DEEP_AUGMENT_NONE = 1 << 30 };

/** Class weights in the loss. */
enum {
    DEEP_CLASS_WEIGHTS_NONE = 0,
    DEEP_CLASS_WEIGHTS_BALANCED = 1, /**< N / (K * n_c) */
    DEEP_CLASS_WEIGHTS_SQRT = 2      /**< Square root of the balanced ones. */
};

/** Options of deep_trainer_create() and deep_model_fit(). Zero means the default in every field. */
typedef struct deep_fit_options {
    size_t struct_size;              /**< sizeof(deep_fit_options) */
    int32_t epochs;                  /**< 0 = 15 */
    int32_t batch;                   /**< Images per step, 1 to 1024; 0 = 16 */
    uint64_t seed;                   /**< Of shuffling, augmentation and dropout. */
    int32_t optimizer;               /**< DEEP_OPTIMIZER_* */
    int32_t schedule;                /**< DEEP_SCHEDULE_* */
    double learning_rate;            /**< 0 = 1e-3; 1e-2 for SGD */
    double momentum;                 /**< SGD and RMSprop; 0 = none */
    int32_t nesterov;                /**< 1 = Nesterov momentum */
    int32_t no_amsgrad;              /**< 1 = Adam without amsgrad */
    double beta1;                    /**< 0 = .9 */
    double beta2;                    /**< 0 = .999; RMSprop's rho, 0 = .9 */
    double epsilon;                  /**< 0 = 1e-7 */
    double weight_decay;             /**< AdamW, kernels only; 0 = .004 */
    double l2;                       /**< Adds l2 * sum w^2 over the kernels to the loss; 0 = none */
    double clip_norm;                /**< Global norm of the gradient; 0 = no clipping */
    double label_smoothing;          /**< 0 to below 1 */
    double backbone_rate;            /**< Learning-rate multiplier below the head; 0 = 1 */
    int32_t class_weights;           /**< DEEP_CLASS_WEIGHTS_* */
    int32_t augment;                 /**< DEEP_AUGMENT_* added; 0 = flip and rotate90 */
    double step_decay;               /**< 0 = .1 */
    double step_milestones[2];       /**< 0 = .7 and .9 */
    double decay_rate;               /**< 0 = .94 */
    double decay_epochs;             /**< 0 = 2 */
    double warmup_epochs;            /**< 0 = none */
    double plateau_factor;           /**< 0 = .1 */
    int32_t plateau_patience;        /**< 0 = 3 */
    int32_t early_stop;              /**< Stop after this many epochs without a better validation loss; 0 = never */
    int32_t keep_running_statistics; /**< 1 = Keras's moving averages; 0 = recompute exact ones */
    int32_t keep_last;               /**< 1 = end with the last epoch's weights; 0 = the best validation accuracy's */
    int32_t workers;                 /**< Decoding threads; 0 = the context's threads */
    int32_t keep_preprocessing;      /**< 1 = leave mean and std; 0 = the dataset's unless the model was given some */
    int64_t cache_bytes;             /**< For decoded images; 0 = 1 GiB, -1 = none */
    int64_t checkpoint_steps; /**< Write a checkpoint every so many steps and after each epoch; 0 = after epochs */
    const char *checkpoint;   /**< File for checkpoints; the one before is kept as `checkpoint`.prev */
    int32_t resume;           /**< 1 = continue from `checkpoint` when it exists */
    int32_t dtype;            /**< Of stored activations: DEEP_DTYPE_F32 (0 too), or DEEP_DTYPE_BF16 or DEEP_DTYPE_F16,
                                          which halve their memory; sums, weights and updates are float32 in any case.
                                          F16 is for GPUs (and "ref"): a step whose gradient overflows in it is computed
                                          again with the loss multiplied by half of what it was, from 65536 on down;
                                          after 2000 steps without that, it is doubled. The "cpu" device refuses it. */
    int32_t checkpoint_seconds; /**< Without checkpoint_steps, the end of an epoch writes a checkpoint when the last
                                          one is so old; the end of the training always does. 0 = 30, -1 = each epoch */
    /**
     * On a GPU: the caller's stream (cudaStream_t) to compute in, as in deep_session_options. A step comes behind what is queued there;
     * its loss is known when the call returns, while its update may still be queued. NULL = a stream of the training's own.
     */
    void *stream;
} deep_fit_options;

#define DEEP_FIT_OPTIONS_INIT .struct_size = sizeof(deep_fit_options)

/** Fills options with the defaults. Since 0.1. */
DEEP_API void deep_fit_options_init(deep_fit_options *options, size_t size);

/** What a progress callback is told. */
enum {
    DEEP_PHASE_PREPARE = 1,  /**< Dataset statistics; step of steps images. */
    DEEP_PHASE_TRAIN = 2,    /**< After each training step. */
    DEEP_PHASE_EVALUATE = 3, /**< After each validation batch. */
    DEEP_PHASE_EPOCH = 4     /**< After each epoch, with the validation figures. */
};

typedef struct deep_progress {
    size_t struct_size; /**< sizeof(deep_progress) in the library */
    int32_t phase;      /**< DEEP_PHASE_* */
    int32_t epoch;      /**< From 1. */
    int32_t epochs;
    int32_t has_valid; /**< 1 when the valid_* fields mean something. */
    int64_t step;      /**< Within the phase, from 1. */
    int64_t steps;     /**< Of the phase. */
    double loss;       /**< Mean over the epoch so far. */
    double accuracy;
    double valid_loss;
    double valid_accuracy;
    double learning_rate;
    double images_per_second; /**< Moving average; training alone. */
    double seconds_left;      /**< Estimate for the whole fit; 0 = unknown. */
} deep_progress;

/**
 * @return 0 to go on; another value stops at this step with DEEP_ERROR_CANCELLED, resumable. Called in the fit's
 *         thread.
 */
typedef int32_t (*deep_progress_fn)(void *user, const deep_progress *progress);

/** One row per epoch. Immutable. */
typedef struct deep_history deep_history;

/** A row of the history. */
typedef struct deep_epoch {
    size_t struct_size; /**< sizeof(deep_epoch), set by the caller */
    int32_t epoch;      /**< From 1. */
    int32_t has_valid;
    double loss;
    double accuracy;
    double valid_loss;
    double valid_accuracy;
    double learning_rate;
    double seconds;       /**< Of the whole epoch. */
    double train_seconds; /**< Of its training steps. */
} deep_epoch;

/** Frees a history; NULL is fine. Since 0.1. */
DEEP_API void deep_history_free(deep_history *history);

/** @return Number of epochs; 0 for NULL. Since 0.1. */
DEEP_API int32_t deep_history_count(const deep_history *history);

/** @return DEEP_OK, DEEP_ERROR_INVALID_ARGUMENT (no such row). Since 0.1. */
DEEP_API deep_status deep_history_get(const deep_history *history, int32_t index, deep_epoch *epoch);

/** @return Epoch, from 1, whose weights the model has; 0 for NULL. Since 0.1. */
DEEP_API int32_t deep_history_best(const deep_history *history);

/**
 * Trains a model.
 *
 * @param      model    Needed alone until the call returns.
 * @param      train    Its classes must be the model's, by name and order.
 * @param      valid    NULL = no validation.
 * @param      options  NULL = defaults.
 * @param      progress NULL = none.
 * @param      user     First argument of `progress`.
 * @param[out] history  The caller frees it; NULL = not wanted. Also given, with the epochs so far, when the call is
 *                      cancelled.
 * @return DEEP_OK, DEEP_ERROR_INVALID_ARGUMENT, DEEP_ERROR_DATASET, DEEP_ERROR_DIVERGED,
 *         DEEP_ERROR_CANCELLED, DEEP_ERROR_IO,
 *         DEEP_ERROR_OUT_OF_MEMORY, DEEP_ERROR_STATE, DEEP_ERROR_FORKED, DEEP_ERROR_BACKEND.
 * After an error the model has the weights of the last finished step, and so has the checkpoint, if there is to be one
 * and it could be written. Since 0.1.
 */
DEEP_API deep_status deep_model_fit(deep_model *model, const deep_dataset *train, const deep_dataset *valid,
                                    const deep_fit_options *options, deep_progress_fn progress, void *user,
                                    deep_history **history);

/** Step-level control, for outer loops. Holds the model alone. One thread at a time. */
typedef struct deep_trainer deep_trainer;

/** What a step found. */
typedef struct deep_step {
    size_t struct_size;   /**< sizeof(deep_step), set by the caller */
    double loss;          /**< Mean over the batch, with class weights, smoothing and L2. */
    double gradient_norm; /**< Global, before clipping. */
    int64_t correct;      /**< Images whose most probable class was the label. */
    int64_t step;         /**< Number of updates done. */
    double loss_scale;    /**< What the loss was multiplied by for the gradient, which is divided by it again; 1 but in
                                    fp16. */
} deep_step;

/**
 * Makes a trainer.
 *
 * @param[out] out   The caller frees it with deep_trainer_free(), before the model. NULL on error.
 * @param      model Cannot be predicted with or written until the trainer is freed.
 * @return DEEP_OK, DEEP_ERROR_INVALID_ARGUMENT, DEEP_ERROR_OUT_OF_MEMORY, DEEP_ERROR_STATE, DEEP_ERROR_FORKED,
 *         DEEP_ERROR_BACKEND. Since 0.1.
 */
DEEP_API deep_status deep_trainer_create(deep_trainer **out, deep_model *model, const deep_fit_options *options);

/** Frees a trainer; NULL is fine. The model keeps the weights. Since 0.1. */
DEEP_API void deep_trainer_free(deep_trainer *trainer);

/**
 * One training step: forward, loss, backward, update.
 *
 * @param      input  n x size x size x 3 values, NHWC, preprocessed.
 * @param      labels n class indices.
 * @param      n      1 to the options' batch.
 * @param[out] result NULL = not wanted.
 * @return DEEP_OK, DEEP_ERROR_INVALID_ARGUMENT, DEEP_ERROR_DIVERGED, DEEP_ERROR_OUT_OF_MEMORY, DEEP_ERROR_FORKED,
 *         DEEP_ERROR_BACKEND. Since 0.1.
 */
DEEP_API deep_status deep_trainer_step(deep_trainer *trainer, const float *input, const int32_t *labels, int32_t n,
                                       deep_step *result);

/** Forward, loss and backward of deep_trainer_step(), without the update. Since 0.1. */
DEEP_API deep_status deep_trainer_gradients(deep_trainer *trainer, const float *input, const int32_t *labels, int32_t n,
                                            deep_step *result);

/** The update of deep_trainer_step(), with the gradients as they stand. Since 0.1. */
DEEP_API deep_status deep_trainer_apply(deep_trainer *trainer);

/**
 * The gradient of a parameter, to read or to change before deep_trainer_apply().
 *
 * @param      index  As deep_model_param_info().
 * @param[out] values Borrowed from the trainer; NULL when the parameter is not trainable.
 * @param[out] count  Elements.
 * @return DEEP_OK, DEEP_ERROR_INVALID_ARGUMENT. Since 0.1.
 */
DEEP_API deep_status deep_trainer_gradient(deep_trainer *trainer, int32_t index, float **values, int64_t *count);

/**
 * Weighs the images of each class in the loss of the next steps.
 *
 * @param weights One for each class, not negative; NULL = 1 for all. Copied.
 * @param count   The model's classes; 0 with NULL.
 * @return DEEP_OK, DEEP_ERROR_INVALID_ARGUMENT. Since 0.1.
 */
DEEP_API deep_status deep_trainer_set_class_weights(deep_trainer *trainer, const float *weights, int32_t count);

/** Sets the rate of the next updates; above 0. Since 0.1. */
DEEP_API deep_status deep_trainer_set_learning_rate(deep_trainer *trainer, double rate);

/** @return The rate of the next update; 0 for NULL. Since 0.1. */
DEEP_API double deep_trainer_learning_rate(const deep_trainer *trainer);

/** Writes parameters, optimizer slots and step count; `path`.prev keeps the file before. Since 0.1. */
DEEP_API deep_status deep_trainer_save(const deep_trainer *trainer, const char *path);

/**
 * Continues from what deep_trainer_save() wrote; falls back to `path`.prev, with a warning in the log, when `path`
 * is damaged.
 *
 * @return DEEP_OK, DEEP_ERROR_NOT_FOUND, DEEP_ERROR_INVALID_ARGUMENT (of another model or other options), and what
 *         deep_model_load() returns. Since 0.1.
 */
DEEP_API deep_status deep_trainer_load(deep_trainer *trainer, const char *path);

/**
 * A batch for those who have no wish: the largest that fits the free memory of the device that computes the model, at most 256;
 * in the host's memory 16 for training and 8 for inference.
 *
 * @param      training Of the training that is meant, its batch ignored; NULL = inference.
 * @param[out] batch    1 when not even one fits: using it will tell.
 * @return DEEP_OK, DEEP_ERROR_INVALID_ARGUMENT, DEEP_ERROR_OUT_OF_MEMORY, DEEP_ERROR_UNSUPPORTED. Needs the model shared. Since 0.1.
 */
DEEP_API deep_status deep_model_largest_batch(const deep_model *model, const deep_fit_options *training,
                                              int32_t *batch);

#ifdef __cplusplus
}
#endif

#endif
