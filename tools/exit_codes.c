/* SPDX-License-Identifier: Apache-2.0 */
#include "exit_codes.h"

int exit_code_of(deep_status status)
{
    static const int codes[] = {
        [DEEP_OK] = EXIT_OK,
        [DEEP_ERROR_INVALID_ARGUMENT] = EXIT_USAGE,
        [DEEP_ERROR_OUT_OF_MEMORY] = EXIT_MEMORY,
        [DEEP_ERROR_IO] = EXIT_INPUT_OUTPUT,
        [DEEP_ERROR_FORMAT] = EXIT_BAD_FILE,
        [DEEP_ERROR_TRUNCATED] = EXIT_BAD_FILE,
        [DEEP_ERROR_UNSUPPORTED] = EXIT_BAD_FILE,
        [DEEP_ERROR_LIMIT] = EXIT_BAD_FILE,
        [DEEP_ERROR_CHECKSUM] = EXIT_BAD_FILE,
        [DEEP_ERROR_VERSION] = EXIT_BAD_FILE,
        [DEEP_ERROR_DATASET] = EXIT_DATASET,
        [DEEP_ERROR_DIVERGED] = EXIT_NUMERICAL,
        [DEEP_ERROR_CANCELLED] = EXIT_INTERRUPTED,
        [DEEP_ERROR_STATE] = EXIT_GENERIC,
        [DEEP_ERROR_FORKED] = EXIT_GENERIC,
        [DEEP_ERROR_BACKEND] = EXIT_DEVICE,
        [DEEP_ERROR_DEVICE] = EXIT_DEVICE,
        [DEEP_ERROR_NOT_FOUND] = EXIT_INPUT_OUTPUT,
    };
    const int32_t known = (int32_t)(sizeof codes / sizeof codes[0]);
    return status >= 0 && status < known ? codes[status] : EXIT_GENERIC;
}
