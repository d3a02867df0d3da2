/* SPDX-License-Identifier: Apache-2.0 */
/* What each step of a session's plan costs: a node, or several that are joined. */
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

/* The nodes first .. end - 1 of step `index`. */
typedef struct step_nodes {
    int32_t first, end;
} step_nodes;

static step_nodes nodes_of(const deep_graph *graph, int32_t index)
{
    step_nodes nodes = {0, 0};
    for (int32_t step = 0; step <= index; ++step) {
        nodes.first = nodes.end++;
        while (graph->nodes[nodes.end - 1].joined)
            ++nodes.end;
    }
    return nodes;
}

static int32_t count_steps(const deep_graph *graph)
{
    int32_t count = 0;
    for (int32_t i = 0; i < graph->node_count; ++i)
        count += !graph->nodes[i].joined;
    return count;
}

deep_status deep__session_run_steps(deep_session *session, void *base[DEEP_SEGMENT_COUNT])
{
    const deep_graph *graph = &session->program.graph;
    const int32_t count = count_steps(graph);
    if (session->passes == 1) memset(session->step_times, 0, (size_t)count * sizeof *session->step_times);
    for (int32_t i = 0; i < count; ++i) {
        const step_nodes nodes = nodes_of(graph, i);
        const double begin = milliseconds();
        DEEP_TRY(deep__program_run(&session->program, session->workspace, base, nodes.first, nodes.end));
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

static void describe_shape(char *text, size_t size, const deep_graph *graph, step_nodes nodes)
{
    static const char arrow[] = " -> ";
    const deep_value_info *x = deep__graph_value(graph, graph->nodes[nodes.first].inputs[0]),
                          *y = deep__graph_value(graph, graph->nodes[nodes.end - 1].outputs[0]);
    const int length = write_shape(text, size, x);
    if (length < 0 || (size_t)length + sizeof arrow >= size) return;
    memcpy(text + length, arrow, sizeof arrow);
    write_shape(text + length + sizeof arrow - 1, size - (size_t)length - sizeof arrow + 1, y);
}

/* ---- what it moves ---- */

static int64_t value_bytes(const deep_graph *graph, deep_value value)
{
    const deep_value_info *info = deep__graph_value(graph, value);
    return info->segment == DEEP_SEGMENT_NONE ? 0 : (int64_t)info->bytes;
}

static int64_t count_bytes(const deep_graph *graph, const deep_node *node)
{
    int64_t bytes = 0;
    for (int32_t i = 0; i < node->input_count; ++i)
        bytes += value_bytes(graph, node->inputs[i]);
    for (int32_t i = 0; i < node->output_count; ++i)
        bytes += value_bytes(graph, node->outputs[i]);
    return bytes;
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

/* "separable_conv2d", or "2 separable_conv2d + max_pool" of joined nodes. */
static void name_op(char *text, size_t size, const deep_graph *graph, step_nodes nodes)
{
    const deep_node *node = graph->nodes;
    const int32_t joined = nodes.end - 1 - nodes.first;
    const char *name = deep__op_name(node[nodes.first].op), *last = deep__op_name(node[nodes.end - 1].op);
    if (joined == 0)
        snprintf(text, size, "%s", name);
    else if (joined == 1)
        snprintf(text, size, "%s + %s", name, last);
    else
        snprintf(text, size, "%" PRId32 " %s + %s", joined, name, last);
}

/* ---- the public side ---- */

int32_t deep_session_step_count(const deep_session *session)
{
    return session == NULL || session->step_times == NULL ? 0 : count_steps(&session->program.graph);
}

deep_status deep_session_step_info(const deep_session *session, int32_t index, deep_session_step *out)
{
    DEEP_REQUIRE(session != NULL, "session is NULL");
    const int32_t count = deep_session_step_count(session);
    DEEP_REQUIRE(index >= 0 && index < count, "step %" PRId32 " of %" PRId32, index, count);
    if (session->images == 0) return deep__fail(DEEP_ERROR_STATE, "the session has not run yet");
    const deep_graph *graph = &session->program.graph;
    const step_nodes nodes = nodes_of(graph, index);
    const deep_node *first = &graph->nodes[nodes.first];
    deep_session_step step = {
        .milliseconds = session->step_times[index], .dtype = kernel_dtype(graph, first), .passes = session->passes};
    for (int32_t i = nodes.first; i < nodes.end; ++i) {
        step.multiply_adds += deep__node_multiply_adds(graph, &graph->nodes[i]) * session->passes;
        step.bytes += count_bytes(graph, &graph->nodes[i]) * session->passes;
    }
    name_op(step.op, sizeof step.op, graph, nodes);
    name_layer(step.layer, sizeof step.layer, &session->program.net, first);
    describe_shape(step.shape, sizeof step.shape, graph, nodes);
    return deep__result_write(out, sizeof step, &step, sizeof step, "deep_session_step");
}
