/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_DEEP_H
#define DEEP_DEEP_H

/** Everything: `#include <deep/deep.h>`, `pkg-config --cflags --libs libdeep`. */
#include <deep/context.h>
#include <deep/dataset.h>
#include <deep/export.h>
#include <deep/image.h>
#include <deep/metrics.h>
#include <deep/model.h>
#include <deep/quantize.h>
#include <deep/session.h>
#include <deep/status.h>
#include <deep/tensor.h>
#include <deep/trainer.h>
#include <deep/version.h>

#endif
