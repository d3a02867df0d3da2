/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_DATA_CHECK_H
#define DEEP_DATA_CHECK_H

#include "data/dataset.h"

/* Decodes every image with `threads` threads (0 = the context's) and treats those that cannot be as `policy`, a
 * DEEP_BAD_IMAGE_*, says. */
deep_status deep__dataset_check(deep_dataset *dataset, int32_t policy, int32_t threads);

/* True when `status` of deep_image_load() is about the file, not about this process. */
bool deep__is_bad_image(deep_status status);

#endif
