/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_TOOLS_METRICS_OUT_H
#define DEEP_TOOLS_METRICS_OUT_H

#include "json_out.h"

#include <deep/deep.h>

/* The members accuracy ... confusion_matrix into the object that is open. */
void metrics_to_json(json_out *json, const deep_metrics *metrics, const deep_classes *classes);

/* Only the figures of the whole set. */
void summary_to_json(json_out *json, const deep_metrics_summary *summary);

/* A table for people on stdout. */
void metrics_to_text(const deep_metrics *metrics, const deep_classes *classes);

#endif
