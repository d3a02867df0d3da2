/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_FUZZ_H
#define DEEP_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* What libFuzzer calls with each input; replay_main.c does so with each file. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
