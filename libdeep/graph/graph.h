/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_GRAPH_GRAPH_H
#define DEEP_GRAPH_GRAPH_H

/*
 * A network as data: values (typed shapes) and nodes (ops) in execution order, each value written by one node (SSA).
 * Building never returns a status: the graph keeps the first failure, and whoever compiles it sees it.
 */
#include "base/text.h"
#include "core/tensor.h"

typedef enum deep_op {
#define OP(enumerator, name, inputs, outputs, in_place) DEEP_OP_##enumerator,
#include "graph/ops.def"
#undef OP
    DEEP_OP_COUNT,
    DEEP_OP_NONE = DEEP_OP_COUNT /* a node that a pass removed */
} deep_op;

typedef int32_t deep_value; /* index into the graph's values */

enum { DEEP_NO_VALUE = -1, DEEP_GRAPH_RANK = 4, DEEP_NODE_INPUTS = 8, DEEP_NODE_OUTPUTS = 5, DEEP_GRAPH_INPUTS = 8 };

/* Where a value lives. Offsets are bytes into the segment. */
enum deep_segment {
    DEEP_SEGMENT_NONE = -1, /* nowhere: what joined nodes hand on */
    DEEP_SEGMENT_ARENA,     /* intermediates, placed by the memory plan */
    DEEP_SEGMENT_PARAM,     /* the model's parameters */
    DEEP_SEGMENT_GRAD,      /* their gradients, at the same offsets */
    DEEP_SEGMENT_SLOT,      /* optimizer slots: each a whole copy of the parameter segment's layout */
    DEEP_SEGMENT_SCRATCH,   /* a backend's own, during one node */
    DEEP_SEGMENT_INPUT,     /* first of DEEP_GRAPH_INPUTS buffers that the caller binds for each run */
    DEEP_SEGMENT_COUNT = DEEP_SEGMENT_INPUT + DEEP_GRAPH_INPUTS
};

typedef struct deep_value_info {
    int32_t dtype;
    int32_t rank;
    int64_t shape[DEEP_GRAPH_RANK];
    int32_t segment;
    bool keep;     /* stays readable after the run */
    size_t offset; /* bytes into the segment */
    size_t bytes;
} deep_value_info;

/* Additions to a convolution's result, in this order: x scale + shift, + residual, ReLU. */
enum { DEEP_EPILOGUE_AFFINE = 1, DEEP_EPILOGUE_ADD = 2, DEEP_EPILOGUE_RELU = 4 };

/* Gradients of separable_train that somebody reads: of x with gamma and beta; of both kernels. */
enum { DEEP_WANT_INPUT = 1, DEEP_WANT_KERNELS = 2 };

enum { DEEP_PAD_TOP, DEEP_PAD_BOTTOM, DEEP_PAD_LEFT, DEEP_PAD_RIGHT };

typedef union deep_attr {
    struct {
        int32_t stride;    /* both axes */
        int32_t pad[4];    /* DEEP_PAD_* */
        int32_t extent[2]; /* rows, columns of what a gradient op makes: the input, or the kernel */
        int32_t epilogue;  /* DEEP_EPILOGUE_*, conv2d alone */
        bool relu_input;   /* depthwise: x counts as max(x, 0) */
        bool norm_input;   /* separable_train: x counts as normalised before that */
        int32_t wanted;    /* separable_grad: DEEP_WANT_* */
        double epsilon;    /* of that norm */
    } conv;
    struct {
        int32_t window;
        int32_t stride;
        int32_t pad[4];
        int32_t extent[2]; /* rows, columns of the input, for the gradient */
    } pool;
    struct {
        double epsilon;
        double momentum; /* of statistics_update: running = momentum running + (1 - momentum) batch */
        bool relu;       /* y = max(y, 0) */
        bool batch;      /* of batch_norm_infer: the statistics are those of x, and the gradient goes through them */
    } norm;
    struct {
        double rate;    /* part that is dropped */
        uint32_t layer; /* keeps two layers' masks apart */
    } dropout;
    struct {
        double smoothing; /* of the labels */
        double lambda;    /* of L2 */
    } loss;
    struct {
        int32_t element; /* of the factors */
    } scale;
    struct {
        double beta1; /* SGD and RMSprop: momentum */
        double beta2; /* RMSprop: rho */
        double epsilon;
        double rate;  /* multiplier of the learning rate */
        double decay; /* decoupled weight decay */
        double clip;  /* global norm; 0 = none */
        bool nesterov;
        bool amsgrad;
    } update;
    struct {
        int32_t dtype;
    } cast;
    struct {
        int32_t axis[DEEP_GRAPH_RANK]; /* axis i of y is axis axis[i] of x */
    } reorder;
    struct {
        double value;
        int32_t dtype;
        int32_t rank; /* also of broadcast_rows's result */
        int64_t shape[DEEP_GRAPH_RANK];
    } fill;
} deep_attr;

typedef struct deep_node {
    deep_op op;
    int32_t input_count;
    int32_t output_count;
    deep_value inputs[DEEP_NODE_INPUTS];
    deep_value outputs[DEEP_NODE_OUTPUTS];
    deep_attr attr;
    bool joined; /* runs with the node behind it, a few rows at a time: its result never stands in memory */
} deep_node;

typedef struct deep_graph {
    const deep_allocator *allocator;
    deep_status status; /* the first failure; its text is the thread's */
    int32_t real;       /* dtype of activations and parameters: f32, or f64 in tests */
    int32_t value_count;
    int32_t node_count;
    size_t value_capacity;
    size_t node_capacity;
    deep_value_info *values;
    deep_node *nodes;
    size_t arena_bytes; /* set by the memory plan */
} deep_graph;

/* hyper: what an update reads each step. */
enum { DEEP_HYPER_RATE, DEEP_HYPER_ADAM_RATE, DEEP_HYPER_COUNT };

void deep__graph_init(deep_graph *graph, const deep_allocator *allocator, int32_t real);
void deep__graph_free(deep_graph *graph);

/* A value in the caller's buffer `index`. */
deep_value deep__graph_input(deep_graph *graph, int32_t index, int32_t dtype, int32_t rank, const int64_t *shape);

/* A value of type `real` at `offset` bytes into a segment other than the arena. */
deep_value deep__graph_place(deep_graph *graph, enum deep_segment segment, size_t offset, int32_t rank,
                             const int64_t *shape);

/* The same for a kernel of another type: `shape` says what it is, not how its backend lays it out. */
deep_value deep__graph_place_as(deep_graph *graph, enum deep_segment segment, size_t offset, int32_t dtype,
                                int32_t rank, const int64_t *shape);

/* Appends a node, infers its outputs, returns the first (DEEP_NO_VALUE when there is none, or after a failure). */
deep_value deep__graph_add(deep_graph *graph, deep_op op, const deep_attr *attr, const deep_value *inputs,
                           int32_t count);

#define DEEP_GRAPH_ADD(graph, op, attr, ...)                                                                           \
    deep__graph_add(graph, op, attr, (const deep_value[]){__VA_ARGS__},                                                \
                    (int32_t)(sizeof((const deep_value[]){__VA_ARGS__}) / sizeof(deep_value)))

/* Output `index` of the node added last. */
deep_value deep__graph_last_output(const deep_graph *graph, int32_t index);

static inline const deep_value_info *deep__graph_value(const deep_graph *graph, deep_value value)
{
    return &graph->values[value];
}

const char *deep__op_name(deep_op op);
bool deep__op_in_place(deep_op op);
int64_t deep__value_elements(const deep_value_info *value);

/*
 * Floats of memory for a parameter. BF16, F16 and I8 kernels (last axes: in, out) have room for whatever a backend packs
 * them into: rows in fours, columns in sixteens, and with I8 an i32 for each column.
 */
int64_t deep__kernel_floats(int32_t dtype, int32_t rank, const int64_t *shape);

/* Checks a node's inputs and fills the type and shape of its outputs (infer.c). */
deep_status deep__infer(const deep_graph *graph, deep_node *node, deep_value_info outputs[DEEP_NODE_OUTPUTS]);

/* Multiply-adds of a node's forward pass; 0 for all but convolutions and dense (infer.c). */
int64_t deep__node_multiply_adds(const deep_graph *graph, const deep_node *node);

/* Drops nodes that passes turned into DEEP_OP_NONE. */
void deep__graph_compact(deep_graph *graph);

/* One line per node, for tests and debugging (dump.c). */

void deep__graph_dump(const deep_graph *graph, deep_text *text);

/* TF's 'same' rule: output = ceil(input / stride); what is missing is padded, the odd one at the end. */
void deep__pad_same(int64_t input, int32_t window, int32_t stride, int32_t *before, int32_t *after);

#endif
