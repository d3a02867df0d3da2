/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Xception: F. Chollet, "Xception: Deep Learning with Depthwise Separable Convolutions", arXiv 1610.02357, figure 5,
 * with the names and details of keras.applications.Xception: convolutions without bias, each followed by batch norm;
 * the first two are 'valid', the rest 'same'; the shortcut takes its input before the ReLU of the branch; block 2's
 * branch begins without a ReLU.
 */
#include "nn/network.h"

#include <deep/model.h>
#include <math.h>
#include <stdio.h>

typedef struct builder {
    deep_network *net;
    const deep_arch *arch;
} builder;

/* Channels under the width multiplier: a multiple of 8, and the paper's own at width 1. */
static int64_t channels_of(const builder *b, int32_t published)
{
    const int64_t channels = (int64_t)floor(published * b->arch->width / 8 + 0.5) * 8;
    return channels < 8 ? 8 : channels;
}

typedef char layer_name[48];

static const char *layer(layer_name name, int32_t block, const char *kind, int32_t index, const char *suffix)
{
    if (index > 0)
        snprintf(name, sizeof(layer_name), "block%d_%s%d%s", (int)block, kind, (int)index, suffix);
    else
        snprintf(name, sizeof(layer_name), "block%d_%s%s", (int)block, kind, suffix);
    return name;
}

static deep_activation conv_unit(const builder *b, deep_activation x, int32_t index, int32_t stride, int32_t published)
{
    layer_name name;
    x = deep__layer_conv2d(b->net, x, layer(name, 1, "conv", index, ""), 3, stride, false, channels_of(b, published));
    x = deep__layer_batch_norm(b->net, x, layer(name, 1, "conv", index, "_bn"));
    return deep__layer_relu(b->net, x, layer(name, 1, "conv", index, "_act"));
}

static deep_activation separable_unit(const builder *b, deep_activation x, int32_t block, int32_t index,
                                      int32_t published)
{
    layer_name name;
    x = deep__layer_separable(b->net, x, layer(name, block, "sepconv", index, ""), channels_of(b, published));
    return deep__layer_batch_norm(b->net, x, layer(name, block, "sepconv", index, "_bn"));
}

static deep_activation shortcut(const builder *b, deep_activation x, int32_t block, int32_t published)
{
    layer_name name;
    x = deep__layer_conv2d(b->net, x, layer(name, block, "shortcut", 0, ""), 1, 2, true, channels_of(b, published));
    return deep__layer_batch_norm(b->net, x, layer(name, block, "shortcut", 0, "_bn"));
}

/* The ReLU in front of (Keras 'act') or, in the last block, behind separable convolution `index`. */
static deep_activation relu(const builder *b, deep_activation x, int32_t block, int32_t index)
{
    layer_name name;
    return deep__layer_relu(b->net, x, layer(name, block, "sepconv", index, "_act"));
}

/* Entry and exit blocks: two separable convolutions, a pool, and a strided shortcut beside them. */
static deep_activation down_block(const builder *b, deep_activation x, int32_t block, int32_t first, int32_t second)
{
    layer_name name;
    const deep_activation residual = shortcut(b, x, block, second);
    deep_activation y = block == 2 ? x : relu(b, x, block, 1);
    y = separable_unit(b, y, block, 1, first);
    y = relu(b, y, block, 2);
    y = separable_unit(b, y, block, 2, second);
    y = deep__layer_max_pool(b->net, y, layer(name, block, "pool", 0, ""));
    return deep__layer_add(b->net, y, residual, layer(name, block, "add", 0, ""));
}

static deep_activation middle_block(const builder *b, deep_activation x, int32_t block)
{
    layer_name name;
    deep_activation y = x;
    for (int32_t index = 1; index <= 3; ++index) {
        y = relu(b, y, block, index);
        y = separable_unit(b, y, block, index, 728);
    }
    return deep__layer_add(b->net, y, x, layer(name, block, "add", 0, ""));
}

static deep_activation head(const builder *b, deep_activation x)
{
    b->net->in_head = true;
    x = deep__layer_global_average_pool(b->net, x, "avg_pool");
    if (b->arch->head == DEEP_HEAD_SERVICE) {
        x = deep__layer_dense(b->net, x, "dense", channels_of(b, 1024));
        x = deep__layer_relu(b->net, x, "dense_act");
    }
    x = deep__layer_dropout(b->net, x, b->arch->dropout);
    return deep__layer_dense(b->net, x, "predictions", b->arch->classes);
}

void deep__xception_build(deep_network *net, const deep_arch *arch)
{
    const builder b = {net, arch};
    deep_activation x = net->input;

    /* entry flow */
    x = conv_unit(&b, x, 1, 2, 32);
    x = conv_unit(&b, x, 2, 1, 64);
    x = down_block(&b, x, 2, 128, 128);
    x = down_block(&b, x, 3, 256, 256);
    x = down_block(&b, x, 4, 728, 728);

    /* middle flow: blocks 5 to 12 of the published network */
    int32_t block = 5;
    for (int32_t i = 0; i < arch->middle_blocks; ++i)
        x = middle_block(&b, x, block++);

    /* exit flow */
    x = down_block(&b, x, block++, 728, 1024);
    x = relu(&b, separable_unit(&b, x, block, 1, 1536), block, 1);
    x = relu(&b, separable_unit(&b, x, block, 2, 2048), block, 2);
    net->logits = head(&b, x);
}
