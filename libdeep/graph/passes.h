/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_GRAPH_PASSES_H
#define DEEP_GRAPH_PASSES_H

/* Rewrites of a graph before it is compiled. Each keeps what the graph computes. */
#include "graph/graph.h"

/* conv2d -> batch_norm_infer becomes conv2d +affine, with a batch_norm_fold before it. Inference. */
deep_status deep__pass_fold_batch_norm(deep_graph *graph);

/* 3x3 depthwise with stride 1 -> 1x1 conv2d (its only reader) becomes separable_conv2d with the latter's epilogue: last. */
deep_status deep__pass_fuse_separable(deep_graph *graph);

/* conv2d -> relu, conv2d -> add, and max_pool -> add become one node each. Inference. */
deep_status deep__pass_fuse_epilogue(deep_graph *graph);

/* relu -> depthwise (its only reader) becomes a depthwise that rectifies on load; batch_norm -> relu one that rectifies
 * its result. */
deep_status deep__pass_fuse_relu(deep_graph *graph);

/*
 * separable_conv2d [-> separable_conv2d] -> 3x3 max_pool of stride 2, each read by the next alone and large, are joined.
 * Inference, for backends that can: after all others.
 */
deep_status deep__pass_join_bands(deep_graph *graph);

/*
 * 3x3 depthwise -> 1x1 conv2d -> batch_norm_train becomes separable_train, which also gives the statistics that the norm
 * then applies; where that norm's only reader is the next such convolution, it applies the norm while it reads. Before
 * the gradients are added.
 */
deep_status deep__pass_fuse_training(deep_graph *graph);

/*
 * What a norm by the batch's statistics gives is computed again for those nodes from `backward` on that read it, where all that it
 * comes from is there by then: it does not stand in memory in between. The same bits. Once the gradients are added.
 */
deep_status deep__pass_recompute_norms(deep_graph *graph, int32_t backward);

/*
 * Activations and their gradients, whatever has four axes in the arena and is not kept, are stored as `dtype`, BF16 or F16:
 * ops read them as floats and round what they write. Statistics, weights and their gradients stay. Last of all, before
 * the memory plan.
 */
deep_status deep__pass_store_halves(deep_graph *graph, int32_t dtype);

#endif
