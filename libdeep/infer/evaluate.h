/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_INFER_EVALUATE_H
#define DEEP_INFER_EVALUATE_H

#include "data/loader.h"
#include "infer/session.h"

/* Called after each batch; a value other than 0 cancels. */
typedef struct deep_evaluate_hook {
    int32_t (*step)(void *user, int64_t step, int64_t steps);
    void *user;
} deep_evaluate_hook;

/* Classifies the loader's `count` images with a session; hook may be NULL. */
deep_status deep__evaluate_with(deep_session *session, deep_loader *loader, int64_t count,
                                const deep_evaluate_hook *hook, deep_metrics **out);

#endif
