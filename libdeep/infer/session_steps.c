/* SPDX-License-Identifier: Apache-2.0 */
/* What each node of a session's plan costs. */
#define _POSIX_C_SOURCE 200809L
#include "infer/session.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static double milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return 1e3 * (double)now.tv_sec + 1e-6 * (double)now.tv_nsec;
}

deep_status deep__session_run_steps(deep_session *session, void *base[DEEP_SEGMENT_COUNT])
{
    const int32_t count = session->program.graph.node_count;
    if (session->passes == 1) memset(session->step_times, 0, (size_t)count * sizeof *session->step_times);
    for (int32_t i = 0; i < count; ++i) {
        const double begin = milliseconds();
        DEEP_TRY(deep__program_run(&session->program, session->workspace, base, i, i + 1));
        DEEP_TRY(deep__program_wait(&session->program));
        session->step_times[i] += milliseconds() - begin;
    }
    return DEEP_OK;
}

/* ---- what a node is called ---- */

/* The parameter that a value is; NULL when it is none. */
static const deep_param_spec *find_param(const deep_network *net, deep_value value)
{
    for (int32_t i = 0; i < net->params.count; ++i)
        if (net->values[i] == value) return &net->params.specs[i];
    return NULL;
}

/* The layer that the node's first parameter belongs to, or whose output it makes. */
static void name_layer(char *name, size_t size, const deep_network *net, const deep_node *node)
{
    name[0] = '\0';
    for (int32_t i = 0; i < node->input_count; ++i) {
        const deep_param_spec *param = find_param(net, node->inputs[i]);
        if (param == NULL) continue;
        snprintf(name, size, "%.*s", (int)strcspn(param->name, "."), param->name);
        return;
    }
    for (int32_t i = 0; i < net->layer_count; ++i)
        if (net->layers[i].value == node->outputs[0]) snprintf(name, size, "%s", net->layers[i].name);
}

static int write_shape(char *text, size_t size, const deep_value_info *value)
{
    int length = 0;
    text[0] = '\0';
    const int32_t first = value->rank > 1 ? 1 : 0; /* the first of several axes counts images */
    for (int32_t axis = first; axis < value->rank && length >= 0 && (size_t)length < size; ++axis)
        length += snprintf(text + length, size - (size_t)length, axis == first ? "%" PRId64 : " x %" PRId64,
                           value->shape[axis]);
    return length;
}

static void describe_shape(char *text, size_t size, const deep_graph *graph, const deep_node *node)
{
    static const char arrow[] = " -> ";
    const deep_value_info *x = deep__graph_value(graph, node->inputs[0]),
                          *y = deep__graph_value(graph, node->outputs[0]);
    const int length = write_shape(text, size, x);
    if (length < 0 || (size_t)length + sizeof arrow >= size) return;
    memcpy(text + length, arrow, sizeof arrow);
    write_shape(text + length + sizeof arrow - 1, size - (size_t)length - sizeof arrow + 1, y);
}

/* ---- what it moves ---- */

static int64_t count_bytes(const deep_graph *graph, const deep_node *node)
{
    size_t bytes = 0;
    for (int32_t i = 0; i < node->input_count; ++i)
        bytes += deep__graph_value(graph, node->inputs[i])->bytes;
    for (int32_t i = 0; i < node->output_count; ++i)
        bytes += deep__graph_value(graph, node->outputs[i])->bytes;
    return (int64_t)bytes;
}

/* Of the operand with the fewest bits, which is the kernel where there is one of fewer than 32. */
static int32_t kernel_dtype(const deep_graph *graph, const deep_node *node)
{
    int32_t dtype = DEEP_DTYPE_F32;
    for (int32_t i = 0; i < node->input_count; ++i) {
        const deep_value_info *value = deep__graph_value(graph, node->inputs[i]);
        if (value->segment == DEEP_SEGMENT_PARAM && deep__dtype_size(value->dtype) < deep__dtype_size(dtype))
            dtype = value->dtype;
    }
    return dtype;
}

/* ---- the public side ---- */

int32_t deep_session_step_count(const deep_session *session)
{
    return session == NULL || session->step_times == NULL ? 0 : session->program.graph.node_count;
}

deep_status deep_session_step_info(const deep_session *session, int32_t index, deep_session_step *out)
{
    DEEP_REQUIRE(session != NULL, "session is NULL");
    const int32_t count = deep_session_step_count(session);
    DEEP_REQUIRE(index >= 0 && index < count, "step %" PRId32 " of %" PRId32, index, count);
    if (session->images == 0) return deep__fail(DEEP_ERROR_STATE, "the session has not run yet");
    const deep_graph *graph = &session->program.graph;
    const deep_node *node = &graph->nodes[index];
    deep_session_step step = {.milliseconds = session->step_times[index],
                              .multiply_adds = deep__node_multiply_adds(graph, node) * session->passes,
                              .bytes = count_bytes(graph, node) * session->passes,
                              .dtype = kernel_dtype(graph, node),
                              .passes = session->passes};
    snprintf(step.op, sizeof step.op, "%s", deep__op_name(node->op));
    name_layer(step.layer, sizeof step.layer, &session->program.net, node);
    describe_shape(step.shape, sizeof step.shape, graph, node);
    return deep__result_write(out, sizeof step, &step, sizeof step, "deep_session_step");
}
