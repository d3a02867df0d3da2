/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "groups.h"

#include <regex.h>
#include <string.h>

static deep_status fail_unmatched(const deep_samples *samples, size_t unmatched, const char *first, const char *pattern)
{
    return deep__fail(DEEP_ERROR_DATASET, "%zu of %zu image names do not match '%s', the first: %s", unmatched,
                      samples->count, pattern, first);
}

static deep_status match_all(deep_samples *samples, const regex_t *compiled, const char *pattern)
{
    size_t unmatched = 0;
    const char *first = NULL;
    for (size_t i = 0; i < samples->count; ++i) {
        deep_sample *sample = &samples->items[i];
        regmatch_t found[2];
        if (regexec(compiled, sample->name, 2, found, 0) != 0) {
            if (unmatched++ == 0) first = sample->name;
            continue;
        }
        const regmatch_t *group = found[1].rm_so >= 0 ? &found[1] : &found[0];
        DEEP_TRY(deep__pool_text(&samples->pool, &sample->group, sample->name + group->rm_so,
                                 (size_t)(group->rm_eo - group->rm_so)));
    }
    return unmatched == 0 ? DEEP_OK : fail_unmatched(samples, unmatched, first, pattern);
}

deep_status deep__group_by_pattern(deep_samples *samples, const char *pattern)
{
    regex_t compiled;
    const int error = regcomp(&compiled, pattern, REG_EXTENDED);
    if (error == REG_ESPACE) return deep__fail(DEEP_ERROR_OUT_OF_MEMORY, "out of memory for the pattern '%s'", pattern);
    if (error != 0) {
        char reason[128];
        regerror(error, &compiled, reason, sizeof reason);
        return deep__fail(DEEP_ERROR_INVALID_ARGUMENT, "the pattern '%s' is not a regular expression: %s", pattern,
                          reason);
    }
    const deep_status status = match_all(samples, &compiled, pattern);
    regfree(&compiled);
    return status;
}
