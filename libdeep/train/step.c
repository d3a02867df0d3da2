/* SPDX-License-Identifier: Apache-2.0 */
#include "train/step.h"

#include "graph/autodiff.h"
#include "graph/passes.h"

static bool is_statistic(const deep_param_spec *spec)
{
    return spec->role == DEEP_ROLE_MEAN || spec->role == DEEP_ROLE_VARIANCE;
}

static bool is_trainable(const deep_trainer *trainer, int32_t param)
{
    return !trainer->model->frozen[param] && !is_statistic(&trainer->model->params.specs[param]);
}

static size_t param_offset(const deep_trainer *trainer, int32_t param)
{
    return (size_t)trainer->model->params.specs[param].offset * sizeof(float);
}

static size_t params_bytes(const deep_trainer *trainer)
{
    return (size_t)trainer->model->params.elements * sizeof(float);
}

static deep_value place_param(const deep_trainer *trainer, deep_graph *graph, enum deep_segment segment, size_t offset,
                              int32_t param)
{
    const deep_param_spec *spec = &trainer->model->params.specs[param];
    return deep__graph_place(graph, segment, offset + param_offset(trainer, param), spec->rank, spec->shape);
}

/* ---- forward, loss, backward ---- */

static deep_value add_loss(deep_step_program *p, const deep_trainer *trainer, deep_value *slope)
{
    deep_graph *graph = &p->program.graph;
    const deep_value logits = p->program.net.logits;
    const int64_t batch = p->batch, classes = trainer->model->arch.classes;
    const deep_value labels = deep__graph_input(graph, DEEP_INPUT_LABELS, DEEP_DTYPE_I32, 1, &batch);
    const deep_value weights = deep__graph_input(graph, DEEP_INPUT_CLASS_WEIGHTS, graph->real, 1, &classes);
    const deep_attr attr = {.loss = {.smoothing = trainer->options.label_smoothing}};
    const deep_value loss = DEEP_GRAPH_ADD(graph, DEEP_OP_SOFTMAX_CROSS_ENTROPY, &attr, logits, labels, weights);
    *slope = DEEP_GRAPH_ADD(graph, DEEP_OP_SOFTMAX_CROSS_ENTROPY_GRAD, &attr, logits, labels, weights);
    return loss;
}

/* Makes the backward nodes write the parameters' gradients into their segment. */
static deep_status add_backward(deep_step_program *p, const deep_trainer *trainer, deep_value slope)
{
    deep_graph *graph = &p->program.graph;
    const deep_network *net = &p->program.net;
    const size_t count = (size_t)graph->value_count;
    bool *wanted = NULL;
    deep_value *gradients = NULL;
    deep_status status = deep__alloc_zero(&wanted, graph->allocator, count, sizeof *wanted, "autodiff");
    if (status == DEEP_OK) status = deep__alloc(&gradients, graph->allocator, count, sizeof *gradients, "autodiff");
    for (int32_t i = 0; i < net->params.count && status == DEEP_OK; ++i)
        wanted[net->values[i]] = is_trainable(trainer, i);
    if (status == DEEP_OK) status = deep__autodiff(graph, net->logits, slope, wanted, gradients);
    for (int32_t i = 0; i < net->params.count && status == DEEP_OK; ++i) {
        if (!is_trainable(trainer, i)) continue;
        deep_value_info *gradient = &graph->values[gradients[net->values[i]]];
        gradient->segment = DEEP_SEGMENT_GRAD;
        gradient->offset = param_offset(trainer, i);
    }
    deep__free(graph->allocator, gradients);
    deep__free(graph->allocator, wanted);
    return status;
}

/* In fp16, multiplies a value by the loss's factor (element 0) or its inverse (1). */
static void add_scale(deep_step_program *p, const deep_trainer *trainer, deep_value value, int32_t element)
{
    deep_graph *graph = &p->program.graph;
    const int64_t factors = 2;
    const deep_attr attr = {.scale = {element}};
    if (trainer->options.dtype != DEEP_DTYPE_F16 || graph->status != DEEP_OK) return;
    DEEP_GRAPH_ADD(graph, DEEP_OP_SCALE, &attr, value,
                   deep__graph_input(graph, DEEP_INPUT_LOSS_SCALE, graph->real, 1, &factors));
}

static void add_l2(deep_step_program *p, const deep_trainer *trainer)
{
    deep_graph *graph = &p->program.graph;
    const deep_attr attr = {.loss = {.lambda = trainer->options.l2}};
    if (trainer->options.l2 == 0) return;
    for (int32_t i = 0; i < p->program.net.params.count; ++i) {
        if (trainer->model->params.specs[i].role != DEEP_ROLE_KERNEL || !is_trainable(trainer, i)) continue;
        const deep_value w = p->program.net.values[i];
        DEEP_GRAPH_ADD(graph, DEEP_OP_L2_PENALTY, &attr, p->result, w);
        DEEP_GRAPH_ADD(graph, DEEP_OP_L2_GRAD, &attr, place_param(trainer, graph, DEEP_SEGMENT_GRAD, 0, i), w);
    }
}

/* ---- updates ---- */

static deep_op update_op(int32_t optimizer)
{
    return optimizer == DEEP_OPTIMIZER_SGD       ? DEEP_OP_UPDATE_SGD
           : optimizer == DEEP_OPTIMIZER_RMSPROP ? DEEP_OP_UPDATE_RMSPROP
                                                 : DEEP_OP_UPDATE_ADAM;
}

static deep_attr update_attr(const deep_trainer *trainer, int32_t param)
{
    const deep_fit_options *o = &trainer->options;
    const deep_param_spec *spec = &trainer->model->params.specs[param];
    const bool adam = update_op(o->optimizer) == DEEP_OP_UPDATE_ADAM;
    const bool decays = o->optimizer == DEEP_OPTIMIZER_ADAMW && spec->role == DEEP_ROLE_KERNEL;
    return (deep_attr){.update = {.beta1 = adam ? o->beta1 : o->momentum,
                                  .beta2 = o->beta2,
                                  .epsilon = o->epsilon,
                                  .rate = spec->head ? 1 : o->backbone_rate,
                                  .decay = decays ? o->weight_decay : 0,
                                  .clip = o->clip_norm,
                                  .nesterov = o->nesterov != 0,
                                  .amsgrad = !o->no_amsgrad}};
}

static void add_updates(deep_step_program *p, const deep_trainer *trainer)
{
    deep_graph *graph = &p->program.graph;
    const int64_t hyper_count = DEEP_HYPER_COUNT;
    const deep_value hyper = deep__graph_input(graph, DEEP_INPUT_HYPER, graph->real, 1, &hyper_count);
    for (int32_t i = 0; i < p->program.net.params.count; ++i) {
        if (!is_trainable(trainer, i)) continue;
        deep_value operands[4 + 3] = {p->program.net.values[i], place_param(trainer, graph, DEEP_SEGMENT_GRAD, 0, i),
                                      hyper, p->norm};
        for (int32_t s = 0; s < trainer->slot_count; ++s)
            operands[4 + s] = place_param(trainer, graph, DEEP_SEGMENT_SLOT, (size_t)s * params_bytes(trainer), i);
        const deep_attr attr = update_attr(trainer, i);
        deep__graph_add(graph, update_op(trainer->options.optimizer), &attr, operands, 4 + trainer->slot_count);
    }
}

/* Running statistics of batch norm; the batch's stay in the arena until the update. */
static void add_statistics_updates(deep_step_program *p)
{
    deep_graph *graph = &p->program.graph;
    const deep_network *net = &p->program.net;
    const deep_attr attr = {.norm = {.momentum = deep__batch_norm_momentum()}};
    for (int32_t i = 0; i < net->norm_count && graph->status == DEEP_OK; ++i) {
        const deep_norm_site *site = &net->norms[i];
        DEEP_GRAPH_ADD(graph, DEEP_OP_STATISTICS_UPDATE, &attr, net->values[site->mean_param],
                       net->values[site->variance_param], site->mean, site->variance);
    }
}

deep_status deep__step_graph(deep_step_program *p, const deep_trainer *trainer)
{
    deep_program *program = &p->program;
    deep_graph *graph = &program->graph;
    deep_value slope;
    DEEP_TRY(deep__program_build(program, trainer->model, p->batch, DEEP_MODE_TRAIN));
    graph->values[program->net.logits].keep = true;
    DEEP_TRY(deep__pass_fuse_relu(graph));
    DEEP_TRY(deep__pass_fuse_training(graph));
    p->result = add_loss(p, trainer, &slope);
    DEEP_TRY(graph->status);
    add_scale(p, trainer, slope, 0);
    const int32_t backward = graph->node_count;
    DEEP_TRY(add_backward(p, trainer, slope));
    if (!deep__computes_in_host_memory(trainer->model->context)) /* whose memory is scarce */
        DEEP_TRY(deep__pass_recompute_norms(graph, backward));
    const int64_t all = trainer->model->params.elements;
    const deep_value gradients = deep__graph_place(graph, DEEP_SEGMENT_GRAD, 0, 1, &all);
    add_scale(p, trainer, gradients, 1);
    add_l2(p, trainer);
    p->norm = DEEP_GRAPH_ADD(graph, DEEP_OP_GRADIENT_NORM, NULL, gradients);
    p->update_begin = graph->node_count;
    add_updates(p, trainer);
    add_statistics_updates(p);
    DEEP_TRY(graph->status);
    graph->values[p->result].keep = graph->values[p->norm].keep = true;
    return trainer->options.dtype != DEEP_DTYPE_F32 ? deep__pass_store_halves(graph, trainer->options.dtype) : DEEP_OK;
}

deep_status deep__step_build(deep_step_program *p, const deep_trainer *trainer)
{
    DEEP_TRY(deep__step_graph(p, trainer));
    return deep__program_compile(&p->program, trainer->workspace.queue, trainer->model->context->threads, false);
}

deep_status deep__step_program(deep_step_program **out, deep_trainer *trainer, int32_t batch)
{
    for (int32_t i = 0; i < DEEP_STEP_PROGRAMS; ++i)
        if (trainer->programs[i].batch == batch) {
            *out = &trainer->programs[i];
            return DEEP_OK;
        }
    deep_step_program *p = &trainer->programs[trainer->next_program];
    deep__program_free(&p->program);
    *p = (deep_step_program){.batch = batch};
    deep_status status = deep__step_build(p, trainer);
    if (status == DEEP_OK) status = deep__workspace_reserve(&trainer->workspace, &p->program, batch);
    if (status != DEEP_OK) {
        deep__program_free(&p->program);
        p->batch = 0;
        return status;
    }
    trainer->next_program = (trainer->next_program + 1) % DEEP_STEP_PROGRAMS;
    *out = p;
    return DEEP_OK;
}
