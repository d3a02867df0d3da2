/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/memory_plan.h"

#include "base/checked.h"

#include <stdlib.h>

enum { ALIGNMENT = 64, SCRATCH_ALIGNMENT = 256 };

typedef struct lifetime {
    size_t offset;
    size_t bytes;  /* rounded up to ALIGNMENT */
    int32_t first; /* node that writes it; -1 = never */
    int32_t last;  /* last node that touches it */
    deep_value value;
    deep_value root; /* the value whose memory this one takes; itself mostly */
} lifetime;

static void extend(const deep_graph *graph, lifetime *lives, deep_value value, int32_t node)
{
    if (graph->values[value].segment != DEEP_SEGMENT_ARENA) return;
    if (lives[value].first < 0) lives[value].first = node;
    if (node > lives[value].last) lives[value].last = node;
}

/* The operands of a node that runs together with nodes first .. last: they are in use from the first to the last. */
static void touch_operands(const deep_graph *graph, lifetime *lives, const deep_node *node, int32_t first, int32_t last)
{
    for (int32_t k = 0; k < node->input_count; ++k) {
        extend(graph, lives, node->inputs[k], first);
        extend(graph, lives, node->inputs[k], last);
    }
    for (int32_t k = 0; k < node->output_count; ++k) {
        extend(graph, lives, node->outputs[k], first);
        extend(graph, lives, node->outputs[k], last);
    }
}

static void find_lifetimes(const deep_graph *graph, lifetime *lives)
{
    for (int32_t v = 0; v < graph->value_count; ++v)
        lives[v] = (lifetime){.first = -1,
                              .last = -1,
                              .value = v,
                              .root = v,
                              .bytes = (graph->values[v].bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1)};
    for (int32_t i = 0, first = 0; i < graph->node_count; ++i) {
        for (int32_t j = first; j <= i && !graph->nodes[i].joined; ++j)
            touch_operands(graph, lives, &graph->nodes[j], first, i);
        if (!graph->nodes[i].joined) first = i + 1;
    }
    for (int32_t v = 0; v < graph->value_count; ++v)
        if (graph->values[v].keep && lives[v].first >= 0) lives[v].last = graph->node_count;
}

/* Merges the result of an in-place op into its first operand's memory. */
static void share_in_place(const deep_graph *graph, lifetime *lives)
{
    for (int32_t i = 0; i < graph->node_count; ++i) {
        const deep_node *node = &graph->nodes[i];
        if (!deep__op_in_place(node->op)) continue;
        const deep_value x = node->inputs[0], y = node->outputs[0];
        const bool both =
            graph->values[x].segment == DEEP_SEGMENT_ARENA && graph->values[y].segment == DEEP_SEGMENT_ARENA;
        const bool repeated = node->input_count > 1 && node->inputs[1] == x;
        if (!both || repeated || lives[lives[x].root].last > i || lives[x].bytes != lives[y].bytes) continue;
        const deep_value root = lives[x].root;
        lives[y].root = root;
        if (lives[y].last > lives[root].last) lives[root].last = lives[y].last;
    }
}

static int larger_first(const void *a, const void *b)
{
    const lifetime *x = a, *y = b;
    if (x->bytes != y->bytes) return x->bytes > y->bytes ? -1 : 1;
    return x->value < y->value ? -1 : 1;
}

static size_t align(size_t offset, size_t alignment)
{
    return (offset + alignment - 1) & ~(alignment - 1);
}

/* Lowest offset where `life` meets none of the `count` lives placed already (best fit: the tightest gap that holds it). */
static size_t find_place(const lifetime *life, size_t alignment, const lifetime *placed, int32_t count, int32_t *order)
{
    int32_t neighbours = 0;
    for (int32_t i = 0; i < count; ++i) {
        if (placed[i].last < life->first || placed[i].first > life->last) continue;
        int32_t at = neighbours++;
        for (; at > 0 && placed[order[at - 1]].offset > placed[i].offset; --at)
            order[at] = order[at - 1];
        order[at] = i;
    }
    size_t end = 0, best = SIZE_MAX, best_gap = SIZE_MAX;
    for (int32_t k = 0; k < neighbours; ++k) {
        const lifetime *other = &placed[order[k]];
        const size_t begin = align(end, alignment), gap = other->offset > begin ? other->offset - begin : 0;
        if (gap >= life->bytes && gap < best_gap) {
            best = begin;
            best_gap = gap;
        }
        if (other->offset + other->bytes > end) end = other->offset + other->bytes;
    }
    return best != SIZE_MAX ? best : align(end, alignment);
}

/* Whether the arena holds so many bytes from there on, which makes it larger if need be. */
static deep_status reach(deep_graph *graph, size_t offset, size_t bytes)
{
    size_t end;
    if (!deep__add_size(offset, bytes, &end) || end > PTRDIFF_MAX)
        return deep__fail(DEEP_ERROR_OUT_OF_MEMORY, "intermediate results do not fit in memory");
    if (end > graph->arena_bytes) graph->arena_bytes = end;
    return DEEP_OK;
}

static deep_status place_all(deep_graph *graph, lifetime *roots, int32_t count, int32_t *order)
{
    qsort(roots, (size_t)count, sizeof *roots, larger_first);
    graph->arena_bytes = 0;
    for (int32_t i = 0; i < count; ++i) {
        roots[i].offset = find_place(&roots[i], ALIGNMENT, roots, i, order);
        DEEP_TRY(reach(graph, roots[i].offset, roots[i].bytes));
        graph->values[roots[i].value].offset = roots[i].offset;
    }
    return DEEP_OK;
}

/* What a plan works with: of each value, of those that have memory of their own, and room for find_place(). */
typedef struct lifetimes {
    lifetime *lives;
    lifetime *roots;
    int32_t *order;
    int32_t count; /* of roots */
} lifetimes;

static void lifetimes_free(lifetimes *l, const deep_graph *graph)
{
    deep__free(graph->allocator, l->order);
    deep__free(graph->allocator, l->lives);
}

static deep_status lifetimes_find(lifetimes *l, const deep_graph *graph)
{
    const size_t count = (size_t)graph->value_count;
    *l = (lifetimes){0};
    DEEP_TRY(graph->status);
    DEEP_TRY(deep__alloc(&l->lives, graph->allocator, 2 * count, sizeof *l->lives, "memory plan"));
    DEEP_TRY(deep__alloc(&l->order, graph->allocator, count, sizeof *l->order, "memory plan"));
    l->roots = l->lives + count;
    find_lifetimes(graph, l->lives);
    share_in_place(graph, l->lives);
    for (int32_t v = 0; v < graph->value_count; ++v)
        if (l->lives[v].first >= 0 && l->lives[v].root == v) l->roots[l->count++] = l->lives[v];
    return DEEP_OK;
}

deep_status deep__memory_plan(deep_graph *graph)
{
    lifetimes l;
    deep_status status = lifetimes_find(&l, graph);
    if (status == DEEP_OK) status = place_all(graph, l.roots, l.count, l.order);
    for (int32_t v = 0; v < graph->value_count && status == DEEP_OK; ++v)
        if (l.lives[v].root != v) graph->values[v].offset = graph->values[l.lives[v].root].offset;
    lifetimes_free(&l, graph);
    return status;
}

deep_status deep__memory_place_scratch(deep_graph *graph, const size_t *bytes, size_t *offsets)
{
    lifetimes l;
    deep_status status = lifetimes_find(&l, graph);
    for (int32_t r = 0; r < l.count; ++r)
        l.roots[r].offset = graph->values[l.roots[r].value].offset;
    for (int32_t i = 0; i < graph->node_count && status == DEEP_OK; ++i) {
        const lifetime life = {.first = i, .last = i, .bytes = bytes[i]};
        offsets[i] = bytes[i] == 0 ? 0 : find_place(&life, SCRATCH_ALIGNMENT, l.roots, l.count, l.order);
        status = reach(graph, offsets[i], bytes[i]);
    }
    lifetimes_free(&l, graph);
    return status;
}
