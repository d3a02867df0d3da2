/* SPDX-License-Identifier: Apache-2.0 */
/* A plugin that finds every libdeep too new or too old. */
#include <backend/backend.h>

const deep_backend *deep_backend_entry_v1(uint32_t abi, const deep_host *host);

const deep_backend *deep_backend_entry_v1(uint32_t abi, const deep_host *host)
{
    (void)abi;
    (void)host;
    return NULL;
}
