// SPDX-License-Identifier: Apache-2.0
// As consumer.c, in C++.
#include <cstring>
#include <deep/deep.h>
#include <iostream>

int main()
{
    deep_context_options options;
    deep_context_options_init(&options, sizeof options);
    options.threads = 1;
    deep_context *context = nullptr;
    if (deep_context_create(&context, &options) != DEEP_OK) return 1;
    const bool one = deep_context_threads(context) == 1;
    deep_context_free(context);
    if (!one || std::strcmp(deep_status_name(DEEP_OK), "DEEP_OK") != 0) return 2;
    std::cout << "libdeep " << deep_version_string() << '\n';
    return 0;
}
