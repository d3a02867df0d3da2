/* SPDX-License-Identifier: Apache-2.0 */
/* The least program: proves that headers, library and flags of an install fit together. */
#include <deep/deep.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
    deep_context *context = NULL;
    deep_model *model = NULL;
    if (deep_abi_version() != DEEP_ABI_VERSION) return 1;
    if (deep_context_create(&context, NULL) != DEEP_OK) return 2;
    if (deep_model_load(&model, context, "no-such-file") != DEEP_ERROR_NOT_FOUND || model != NULL) return 3;
    if (strstr(deep_last_error(), "no-such-file") == NULL) return 4;
    deep_context_free(context);
    printf("libdeep %s\n", deep_version_string());
    return 0;
}
