/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_GRAPH_AUTODIFF_H
#define DEEP_GRAPH_AUTODIFF_H

#include "graph/graph.h"

/*
 * Appends the nodes that carry the gradient of `root` back to the values wanted.
 *
 * root_gradient  same shape as root
 * wanted         one flag per value that exists at the call: a leaf whose gradient is wanted
 * gradients      one slot per value that exists at the call; the gradient, or DEEP_NO_VALUE
 */
deep_status deep__autodiff(deep_graph *graph, deep_value root, deep_value root_gradient, const bool *wanted,
                           deep_value *gradients);

#endif
