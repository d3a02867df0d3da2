/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_NN_NETWORK_H
#define DEEP_NN_NETWORK_H

/* Layers that append graph nodes and name their parameters. Like the graph, a network keeps the first failure. */
#include "graph/graph.h"
#include "nn/arch.h"

enum deep_mode {
    DEEP_MODE_INFER,     /* stored statistics, no dropout */
    DEEP_MODE_TRAIN,     /* batch statistics, dropout */
    DEEP_MODE_STATISTICS /* batch statistics, no dropout: what batch norm's statistics are recomputed from */
};

/* A batch norm that computed batch statistics. */
typedef struct deep_norm_site {
    int32_t mean_param; /* indices into params.specs: the running statistics */
    int32_t variance_param;
    deep_value mean; /* of the batch, [C] */
    deep_value variance;
    int64_t rows; /* values per channel in the batch */
} deep_norm_site;

/* The output of a layer, under Keras's name. */
typedef struct deep_layer_output {
    char name[48];
    deep_value value;
} deep_layer_output;

typedef struct deep_network {
    deep_graph *graph;
    const deep_arch *arch; /* borrowed while building */
    enum deep_mode mode;
    int32_t batch;
    const uint8_t *frozen; /* per parameter; NULL = none */
    deep_param_list params;
    size_t param_capacity;
    deep_value *values; /* per parameter: its value in the graph */
    size_t value_capacity;
    deep_norm_site *norms;
    int32_t norm_count;
    size_t norm_capacity;
    deep_layer_output *layers; /* in network order */
    int32_t layer_count;
    size_t layer_capacity;
    deep_value input;   /* [batch, size, size, 3], graph input 0 */
    deep_value counter; /* {seed, step} of dropout, graph input 1; DEEP_NO_VALUE without dropout */
    deep_value logits;  /* [batch, classes] */
    bool in_head;
} deep_network;

/* Graph inputs in use. */
enum {
    DEEP_INPUT_IMAGES,
    DEEP_INPUT_COUNTER,
    DEEP_INPUT_LABELS,
    DEEP_INPUT_CLASS_WEIGHTS,
    DEEP_INPUT_HYPER,
    DEEP_INPUT_LOSS_SCALE
};

/* Channels of an activation, and its value: what layers pass on. */
typedef deep_value deep_activation;

/* 3x3 or 1x1 convolution without bias. `same` = the architecture's padding, else none. Parameter <name>.kernel. */
deep_activation deep__layer_conv2d(deep_network *net, deep_activation x, const char *name, int32_t window,
                                   int32_t stride, bool same, int64_t channels);

/* 3x3 depthwise 'same', then 1x1. Parameters <name>.depthwise_kernel and <name>.pointwise_kernel. */
deep_activation deep__layer_separable(deep_network *net, deep_activation x, const char *name, int64_t channels);

/* Parameters <name>.gamma, .beta, .moving_mean, .moving_variance. */
deep_activation deep__layer_batch_norm(deep_network *net, deep_activation x, const char *name);

deep_activation deep__layer_relu(deep_network *net, deep_activation x, const char *name);
deep_activation deep__layer_add(deep_network *net, deep_activation a, deep_activation b, const char *name);

/* 3x3, stride 2, 'same'. */
deep_activation deep__layer_max_pool(deep_network *net, deep_activation x, const char *name);
deep_activation deep__layer_global_average_pool(deep_network *net, deep_activation x, const char *name);

/* Parameters <name>.kernel and <name>.bias. */
deep_activation deep__layer_dense(deep_network *net, deep_activation x, const char *name, int64_t outputs);

/* Nothing outside training, or with a rate of 0. */
deep_activation deep__layer_dropout(deep_network *net, deep_activation x, double rate);

/*
 * Builds an architecture for `batch` images into an empty graph. `frozen` (per parameter, or NULL): batch norm of a
 * frozen layer uses its stored statistics in every mode. Always free the network, also after a failure; the graph is
 * the caller's.
 */
deep_status deep__network_build(deep_network *net, deep_graph *graph, const deep_arch *arch, int32_t batch,
                                enum deep_mode mode, const uint8_t *frozen);
void deep__network_free(deep_network *net);

/* Remembers `x` as the output of a layer. */
deep_activation deep__layer_output(deep_network *net, deep_activation x, const char *name);

/* Keras's momentum of the running statistics. */
double deep__batch_norm_momentum(void);

/* The figure-5 network of Chollet's paper (arch_xception.c). */
void deep__xception_build(deep_network *net, const deep_arch *arch);

#endif
