/* SPDX-License-Identifier: Apache-2.0 */
#include "build_info.h" /* written by the build */

#include <deep/version.h>

const char *deep_version_string(void)
{
    return DEEP_VERSION;
}

int32_t deep_abi_version(void)
{
    return DEEP_ABI_VERSION;
}

const char *deep_build_info(void)
{
    return DEEP_BUILD_INFO;
}
