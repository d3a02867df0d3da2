/* SPDX-License-Identifier: Apache-2.0 */
/* What computes a model: its context's device, or, where that was "auto" and lacks something, the processor. */
#include "graph/graph.h"
#include "model.h"
#include "nn/network.h"

static void change_context(deep_model *model, const char *why)
{
    deep__log(&model->context->logger, DEEP_LOG_WARNING, "%s: %s computes instead", why,
              model->context->beside->device);
    model->context = model->context->beside;
}

deep_status deep__model_leave_device(deep_model *model, const char *why)
{
    DEEP_TRY(deep__mirror_for_host(&model->mirror));
    deep__mirror_free(&model->mirror);
    change_context(model, why);
    model->mirror = deep__mirror(model->context, model->values, (size_t)model->params.elements * sizeof(float));
    return DEEP_OK;
}

deep_status deep__model_choose_device(deep_model *model)
{
    char reason[128];
    deep_graph graph;
    deep_network net;
    if (model->context->beside == NULL) return DEEP_OK;
    deep__graph_init(&graph, &model->context->allocator, DEEP_DTYPE_F32);
    const deep_status status = deep__network_build(&net, &graph, &model->arch, 1, DEEP_MODE_INFER, NULL);
    if (status == DEEP_OK && !deep__context_supports(model->context, &graph, reason, sizeof reason))
        change_context(model, reason);
    deep__network_free(&net);
    deep__graph_free(&graph);
    return status;
}

deep_status deep__model_check_stream(const deep_model *model, const void *stream)
{
    DEEP_REQUIRE(stream == NULL || !deep__computes_in_host_memory(model->context),
                 "a stream is given, but device \"%s\" has none", deep_model_device(model));
    return DEEP_OK;
}

const char *deep_model_device(const deep_model *model)
{
    return model == NULL ? "" : deep_context_device(model->context);
}
