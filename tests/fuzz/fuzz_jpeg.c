/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz_image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3 || data[0] != 0xff || data[1] != 0xd8) return 0; /* fuzz_png has the sniffing */
    fuzz_image(data, size, DEEP_TRUNCATION_STRICT);
    fuzz_image(data, size, DEEP_TRUNCATION_LENIENT);
    return 0;
}
