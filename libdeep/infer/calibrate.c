/* SPDX-License-Identifier: Apache-2.0 */
#include "infer/calibrate.h"

#include <string.h>

enum { PIXELS_A_BATCH = 800 * 800, MAX_BATCH = 32 }; /* unfused activations of a batch are some hundred MB */

/* ---- where the kernels work ---- */

static int32_t param_of(const deep_network *net, deep_value value)
{
    for (int32_t i = 0; i < net->params.count; ++i)
        if (net->values[i] == value) return i;
    return -1;
}

static bool is_site(const deep_node *node)
{
    return node->op == DEEP_OP_CONV2D || node->op == DEEP_OP_DENSE;
}

/* The batch norm that reads `value`; every convolution of the architectures has one. */
static const deep_node *norm_of(const deep_graph *graph, deep_value value)
{
    for (int32_t i = 0; i < graph->node_count; ++i)
        if (graph->nodes[i].op == DEEP_OP_BATCH_NORM_INFER && graph->nodes[i].inputs[0] == value)
            return &graph->nodes[i];
    return NULL;
}

static deep_status describe_site(deep_kernel_site *site, const deep_program *program, int32_t index)
{
    const deep_graph *graph = &program->graph;
    const deep_node *node = &graph->nodes[index], *norm = norm_of(graph, node->outputs[0]);
    deep_value shift = node->op == DEEP_OP_DENSE ? node->inputs[2] : DEEP_NO_VALUE;
    if (norm != NULL) shift = norm->inputs[3];
    site->node = index;
    site->param = param_of(&program->net, node->inputs[1]);
    site->shift = param_of(&program->net, shift);
    if (site->param < 0 || site->shift < 0)
        return deep__fail(DEEP_ERROR_UNSUPPORTED, "node %" PRId32 " has neither bias nor batch norm", index);
    site->input = node->inputs[0];
    site->output = node->outputs[0];
    site->shape = deep__kernel_shape(&program->net.params.specs[site->param]);
    site->input_rows = deep__rows(deep__graph_value(graph, site->input)) / program->net.batch;
    site->output_rows = deep__rows(deep__graph_value(graph, site->output)) / program->net.batch;
    return DEEP_OK;
}

static deep_status find_sites(deep_calibration *calibration)
{
    const deep_graph *graph = &calibration->program.graph;
    DEEP_TRY(deep__alloc(&calibration->sites, graph->allocator, (size_t)graph->node_count, sizeof *calibration->sites,
                         "kernels"));
    for (int32_t i = 0; i < graph->node_count; ++i)
        if (is_site(&graph->nodes[i]))
            DEEP_TRY(describe_site(&calibration->sites[calibration->count++], &calibration->program, i));
    return DEEP_OK;
}

/* ---- the images ---- */

static deep_status open_images(deep_calibration *calibration, const deep_dataset *dataset)
{
    const deep_allocator *allocator = &calibration->model->context->allocator;
    const int64_t size = deep_dataset_size(dataset), count = calibration->images;
    int64_t *chosen;
    DEEP_TRY(deep__alloc(&chosen, allocator, (size_t)count, sizeof *chosen, "image order"));
    for (int64_t i = 0; i < count; ++i)
        chosen[i] = (int64_t)((double)i * (double)size / (double)count);
    const deep_loader_options loading = {.batch = calibration->batch,
                                         .subset = chosen,
                                         .subset_count = count,
                                         .preprocess = calibration->model->preprocess};
    const deep_status status = deep__loader_create(&calibration->loader, dataset, &loading);
    deep__free(allocator, chosen);
    return status;
}

static deep_status compile(deep_calibration *calibration)
{
    const deep_model *model = calibration->model;
    deep_program *program = &calibration->program;
    DEEP_TRY(deep__program_build(program, model, calibration->batch, DEEP_MODE_INFER));
    DEEP_TRY(deep__program_compile(program, NULL, model->context->threads, false));
    DEEP_TRY(find_sites(calibration));
    return deep__workspace_reserve(&calibration->workspace, program, calibration->batch);
}

static size_t input_values(const deep_calibration *calibration)
{
    return (size_t)calibration->model->arch.input_size * (size_t)calibration->model->arch.input_size * 3;
}

deep_status deep__calibration_create(deep_calibration *calibration, const deep_model *model,
                                     const deep_dataset *dataset, int64_t images, int32_t passes)
{
    const int64_t size = deep_dataset_size(dataset);
    const int64_t pixels = (int64_t)model->arch.input_size * model->arch.input_size;
    const deep_allocator *allocator = &model->context->allocator;
    *calibration = (deep_calibration){.model = model, .workspace = {.context = model->context}};
    calibration->images = images > 0 && images < size ? images : size;
    int64_t batch = PIXELS_A_BATCH / pixels < MAX_BATCH ? PIXELS_A_BATCH / pixels : MAX_BATCH;
    if (batch > calibration->images) batch = calibration->images;
    calibration->batch = batch < 1 ? 1 : (int32_t)batch;
    DEEP_TRY(compile(calibration));
    DEEP_TRY(deep__alloc_zero(&calibration->input, allocator, (size_t)calibration->batch * input_values(calibration),
                              sizeof *calibration->input, "calibration images"));
    DEEP_TRY(open_images(calibration, dataset));
    calibration->steps = passes * deep__loader_steps(calibration->loader);
    return DEEP_OK;
}

void deep__calibration_free(deep_calibration *calibration)
{
    if (calibration->model == NULL) return;
    const deep_allocator *allocator = &calibration->model->context->allocator;
    deep__loader_free(calibration->loader);
    deep__free(allocator, calibration->input);
    deep__free(allocator, calibration->sites);
    deep__workspace_free(&calibration->workspace);
    deep__program_free(&calibration->program);
    *calibration = (deep_calibration){0};
}

/* ---- running ---- */

static deep_status run_nodes(const deep_calibration *calibration, float *weights, int32_t first, int32_t end)
{
    void *base[DEEP_SEGMENT_COUNT] = {NULL};
    base[DEEP_SEGMENT_PARAM] = weights;
    base[DEEP_SEGMENT_INPUT + DEEP_INPUT_IMAGES] = calibration->input; /* the host's memory: quantize.c sees to that */
    return deep__program_run(&calibration->program, &calibration->workspace, base, first, end);
}

deep_status deep__calibration_rerun(const deep_calibration *calibration, int32_t index, float *weights)
{
    const int32_t node = calibration->sites[index].node;
    return run_nodes(calibration, weights, node, node + 1);
}

static deep_status run_batch(const deep_calibration *calibration, int32_t n, deep_site_visit visit, void *user)
{
    int32_t done = 0;
    for (int32_t i = 0; i < calibration->count; ++i) {
        const int32_t end = calibration->sites[i].node + 1;
        DEEP_TRY(run_nodes(calibration, calibration->model->values, done, end));
        DEEP_TRY(visit(user, calibration, i, n));
        done = end;
    }
    return DEEP_OK;
}

deep_status deep__calibration_pass(deep_calibration *calibration, deep_site_visit visit, void *user)
{
    DEEP_TRY(deep__loader_begin(calibration->loader, 0, 0));
    for (;;) {
        deep_batch batch;
        const int32_t *labels;
        int32_t n;
        DEEP_TRY(deep__context_check_cancel(calibration->model->context));
        DEEP_TRY(deep__loader_next(calibration->loader, &batch, &labels, &n));
        if (n == 0) return DEEP_OK;
        memcpy(calibration->input, batch.images, batch.bytes);
        DEEP_TRY(run_batch(calibration, n, visit, user));
        ++calibration->step;
        if (calibration->progress != NULL &&
            calibration->progress(calibration->user, calibration->step, calibration->steps) != 0)
            return deep__fail(DEEP_ERROR_CANCELLED, "cancelled");
    }
}
