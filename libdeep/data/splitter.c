/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rng.h"
#include "data/dataset.h"
#include "data/sort.h"

#include <math.h>
#include <string.h>

/* A sample on its way into a group. */
typedef struct member {
    const char *group;
    int64_t sample;
} member;

typedef struct class_count {
    int32_t label;
    int64_t images; /* of one group */
} class_count;

/* A split in the making. Groups are numbered by the byte order of their names. */
typedef struct splitter {
    const deep_dataset *all;
    double fraction;
    member *members;       /* all samples, group after group */
    size_t *starts;        /* groups + 1 positions in `members` */
    deep_sort_key *visits; /* the groups in the order in which they are considered */
    size_t groups;
    int64_t *valid_count;    /* one for each class */
    class_count *counts;     /* of the group being considered, by label */
    int32_t *labels;         /* the same group's labels, sorted */
    unsigned char *is_valid; /* one for each sample */
} splitter;

static int compare_members(const void *a, const void *b)
{
    const member *first = a, *second = b;
    const int order = strcmp(first->group, second->group);
    return order != 0 ? order : (first->sample > second->sample) - (first->sample < second->sample);
}

static int compare_labels(const void *a, const void *b)
{
    const int32_t first = *(const int32_t *)a, second = *(const int32_t *)b;
    return (first > second) - (first < second);
}

static deep_status allocate(splitter *s)
{
    const deep_allocator *allocator = &s->all->context->allocator;
    const size_t samples = s->all->samples.count, classes = (size_t)s->all->classes->count;
    DEEP_TRY(deep__alloc(&s->members, allocator, samples, sizeof *s->members, "groups"));
    DEEP_TRY(deep__alloc(&s->starts, allocator, samples + 1, sizeof *s->starts, "groups"));
    DEEP_TRY(deep__alloc(&s->visits, allocator, samples, sizeof *s->visits, "groups"));
    DEEP_TRY(deep__alloc_zero(&s->valid_count, allocator, classes, sizeof *s->valid_count, "classes"));
    DEEP_TRY(deep__alloc(&s->counts, allocator, classes, sizeof *s->counts, "classes"));
    DEEP_TRY(deep__alloc(&s->labels, allocator, samples, sizeof *s->labels, "groups"));
    return deep__alloc_zero(&s->is_valid, allocator, samples, 1, "split");
}

static void release(splitter *s)
{
    const deep_allocator *allocator = &s->all->context->allocator;
    deep__free(allocator, s->is_valid);
    deep__free(allocator, s->labels);
    deep__free(allocator, s->counts);
    deep__free(allocator, s->valid_count);
    deep__free(allocator, s->visits);
    deep__free(allocator, s->starts);
    deep__free(allocator, s->members);
}

static void form_groups(splitter *s, uint64_t seed)
{
    const size_t samples = s->all->samples.count;
    for (size_t i = 0; i < samples; ++i)
        s->members[i] = (member){deep_dataset_group(s->all, (int64_t)i), (int64_t)i};
    deep__sort(s->members, samples, sizeof *s->members, compare_members);
    for (size_t i = 0; i < samples; ++i)
        if (i == 0 || strcmp(s->members[i - 1].group, s->members[i].group) != 0) s->starts[s->groups++] = i;
    s->starts[s->groups] = samples;
    for (size_t i = 0; i < s->groups; ++i)
        s->visits[i] = (deep_sort_key){deep__rng_key(deep__rng(seed, DEEP_RNG_SPLIT, i, 0)), (int64_t)i};
    deep__sort(s->visits, s->groups, sizeof *s->visits, deep__compare_keys);
}

/* Fills `counts` with the classes of a group, ascending; returns how many. */
static size_t count_classes(splitter *s, size_t group)
{
    const size_t start = s->starts[group], size = s->starts[group + 1] - start;
    size_t used = 0;
    for (size_t i = 0; i < size; ++i)
        s->labels[i] = s->all->samples.items[s->members[start + i].sample].label;
    deep__sort(s->labels, size, sizeof *s->labels, compare_labels);
    for (size_t i = 0; i < size; ++i) {
        if (used == 0 || s->counts[used - 1].label != s->labels[i]) s->counts[used++] = (class_count){s->labels[i], 0};
        ++s->counts[used - 1].images;
    }
    return used;
}

/* True when taking the group brings the classes nearer to their targets and leaves each an image to train with. */
static bool improves(const splitter *s, size_t classes)
{
    double change = 0;
    for (size_t i = 0; i < classes; ++i) {
        const class_count *count = &s->counts[i];
        const int64_t total = s->all->class_sizes[count->label], taken = s->valid_count[count->label];
        const double target = s->fraction * (double)total;
        if (total - taken - count->images < 1) return false;
        change += fabs((double)(taken + count->images) - target) - fabs((double)taken - target);
    }
    return change < 0;
}

static void choose(splitter *s)
{
    for (size_t i = 0; i < s->groups; ++i) {
        const size_t group = (size_t)s->visits[i].index, classes = count_classes(s, group);
        if (!improves(s, classes)) continue;
        for (size_t k = 0; k < classes; ++k)
            s->valid_count[s->counts[k].label] += s->counts[k].images;
        for (size_t k = s->starts[group]; k < s->starts[group + 1]; ++k)
            s->is_valid[s->members[k].sample] = 1;
    }
}

static deep_status make_side(deep_dataset **out, const splitter *s, bool valid)
{
    deep_dataset *side;
    deep_status status = deep__dataset_new(&side, s->all->context, s->all->classes);
    if (status != DEEP_OK) return status;
    for (size_t i = 0; i < s->all->samples.count && status == DEEP_OK; ++i)
        if ((s->is_valid[i] != 0) == valid) status = deep__samples_add_copy(&side->samples, &s->all->samples.items[i]);
    if (status == DEEP_OK && side->samples.count == 0)
        status = deep__fail(DEEP_ERROR_DATASET, "a split of %zu images in %zu groups leaves the %s side empty",
                            s->all->samples.count, s->groups, valid ? "validation" : "training");
    if (status != DEEP_OK) {
        deep_dataset_free(side);
        return status;
    }
    deep__dataset_count(side);
    *out = side;
    return DEEP_OK;
}

deep_status deep_dataset_split(deep_dataset **train, deep_dataset **valid, const deep_dataset *all, double fraction,
                               const deep_split_options *given)
{
    DEEP_REQUIRE_OUT(train);
    DEEP_REQUIRE_OUT(valid);
    DEEP_REQUIRE(all != NULL, "data set is NULL");
    DEEP_TRY(deep__context_check(all->context));
    DEEP_REQUIRE(fraction > 0 && fraction < 1, "a fraction of %.0f %% is not between 0 and 100 %%", 100 * fraction);
    deep_split_options options = {0};
    DEEP_TRY(deep__options_read(&options, sizeof options, sizeof options, given, "deep_split_options"));

    splitter s = {.all = all, .fraction = fraction};
    deep_status status = allocate(&s);
    if (status == DEEP_OK) {
        form_groups(&s, options.seed);
        choose(&s);
        status = make_side(train, &s, false);
    }
    if (status == DEEP_OK) status = make_side(valid, &s, true);
    if (status != DEEP_OK) {
        deep_dataset_free(*train);
        *train = NULL;
    }
    release(&s);
    return status;
}

void deep_split_options_init(deep_split_options *options, size_t size)
{
    deep__options_init(options, size);
}
