/* SPDX-License-Identifier: Apache-2.0 */
/* Fused ops of training: by definition what their parts give one after the other, with the results between in scratch. */
#include "backend_ref/ref.h"

/* The operands of a separable convolution in either direction. */
typedef struct unit {
    const deep_call *call;
    const deep_value_info *x_info, *w_info, *pointwise_info, *y_info, *gamma_info;
    void *x, *w, *pointwise;
    void *const *norm;                           /* gamma, beta, mean, variance; NULL = none */
    deep_attr window, point, affine;             /* attributes of the depthwise, the 1x1 and the norm */
    real *normalised, *between, *slope, *result; /* scratch, each [N, H, W, C] */
} unit;

static int64_t input_index(const deep_call *call)
{
    return call->node->op == DEEP_OP_SEPARABLE_GRAD ? 1 : 0;
}

size_t REF_NAME(separable_scratch)(const deep_call *call)
{
    const deep_op op = call->node->op;
    if (op != DEEP_OP_SEPARABLE_TRAIN && op != DEEP_OP_SEPARABLE_GRAD) return 0;
    return 4 * (size_t)deep__value_elements(call->in[input_index(call)]) * sizeof(real);
}

static unit unit_of(const deep_call *call)
{
    const int64_t i = input_index(call), elements = deep__value_elements(call->in[i]);
    const bool norm = call->attr->conv.norm_input;
    unit u = {.call = call,
              .x_info = call->in[i],
              .w_info = call->in[i + 1],
              .pointwise_info = call->in[i + 2],
              .y_info = i == 1 ? call->in[0] : call->out[0],
              .gamma_info = call->in[i + 3],
              .x = call->src[i],
              .w = call->src[i + 1],
              .pointwise = call->src[i + 2],
              .norm = norm ? call->src + i + 3 : NULL,
              .window = *call->attr,
              .point = {.conv = {.stride = 1}},
              .affine = {.norm = {.epsilon = call->attr->conv.epsilon, .relu = call->attr->conv.relu_input}},
              .normalised = call->scratch};
    u.between = u.normalised + elements;
    u.slope = u.between + elements;
    u.result = u.slope + elements;
    u.window.conv.relu_input = call->attr->conv.relu_input && !norm;
    return u;
}

/* The depthwise input into u->normalised when there is a norm, and the depthwise result into u->between. */
static void *make_between(const unit *u)
{
    static const deep_node five = {.input_count = 5};
    void *x = u->x;
    if (u->norm != NULL) {
        const deep_call apply = {.node = &five,
                                 .attr = &u->affine,
                                 .in = {u->x_info},
                                 .src = {u->x, u->norm[0], u->norm[1], u->norm[2], u->norm[3]},
                                 .dst = {u->normalised}};
        REF_NAME(batch_norm_infer)(&apply);
        x = u->normalised;
    }
    const deep_call depthwise = {
        .attr = &u->window, .in = {u->x_info, u->w_info}, .out = {u->x_info}, .src = {x, u->w}, .dst = {u->between}};
    REF_NAME(depthwise)(&depthwise);
    return x;
}

void REF_NAME(separable_train)(const deep_call *call)
{
    const unit u = unit_of(call);
    make_between(&u);
    const deep_call product = {.attr = &u.point,
                               .in = {u.x_info, u.pointwise_info},
                               .out = {u.y_info},
                               .src = {u.between, u.pointwise},
                               .dst = {call->dst[0]}};
    REF_NAME(conv2d)(&product);
    REF_NAME(moments)(call->dst[0], deep__rows(u.y_info), deep__columns(u.y_info), call->dst[1], call->dst[2]);
}

static void pointwise_gradients(const unit *u)
{
    const deep_call *call = u->call;
    const deep_call weights = {.attr = &u->point,
                               .in = {u->x_info, u->y_info},
                               .out = {u->pointwise_info},
                               .src = {u->between, call->src[0]},
                               .dst = {call->dst[2]}};
    REF_NAME(conv2d_grad_weights)(&weights);
    const deep_call input = {.attr = &u->point,
                             .in = {u->y_info, u->pointwise_info},
                             .out = {u->x_info},
                             .src = {call->src[0], u->pointwise},
                             .dst = {u->slope}};
    REF_NAME(conv2d_grad_input)(&input);
}

static void depthwise_gradients(const unit *u, void *x, void *dx)
{
    const deep_call weights = {.attr = &u->window,
                               .in = {u->x_info, u->x_info},
                               .out = {u->w_info},
                               .src = {x, u->slope},
                               .dst = {u->call->dst[1]}};
    REF_NAME(depthwise_grad_weights)(&weights);
    const deep_call input = {.attr = &u->window,
                             .in = {u->x_info, u->w_info, u->x_info},
                             .out = {u->x_info},
                             .src = {u->slope, u->w, x},
                             .dst = {dx}};
    REF_NAME(depthwise_grad_input)(&input);
}

void REF_NAME(separable_grad)(const deep_call *call)
{
    const unit u = unit_of(call);
    void *x = make_between(&u);
    pointwise_gradients(&u);
    depthwise_gradients(&u, x, u.norm != NULL ? u.result : call->dst[0]);
    if (u.norm == NULL) return;
    const deep_call norm = {.attr = &u.affine,
                            .in = {u.x_info, u.x_info, u.gamma_info},
                            .src = {u.result, u.x, u.norm[0], u.norm[1], u.norm[2], u.norm[3]},
                            .dst = {call->dst[0], call->dst[3], call->dst[4]}};
    REF_NAME(batch_norm_grad)(&norm);
}
