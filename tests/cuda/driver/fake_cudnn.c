/* SPDX-License-Identifier: Apache-2.0 */
/* A libcudnn.so.9 of another kind: it has a version, and not what is needed. */
#include <stddef.h>

size_t cudnnGetVersion(void);

size_t cudnnGetVersion(void)
{
    return 90000;
}
