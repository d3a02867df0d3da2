/* SPDX-License-Identifier: Apache-2.0 */
/* libdeep-cuda.so of a build without a GPU: what a plugin exports, in front of the shim. */
#include "shim.h"

__attribute__((visibility("default"))) const deep_backend *deep_backend_entry_v1(uint32_t abi, const deep_host *host);

const deep_backend *deep_backend_entry_v1(uint32_t abi, const deep_host *host)
{
    return abi == DEEP_BACKEND_ABI && host->struct_size == sizeof *host ? deep__backend_shim() : NULL;
}
