/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>

const char *test_data(const char *name)
{
    static char path[4096];
    const char *root = getenv("DEEP_TEST_DATA");
    if (root == NULL || root[0] == '\0') {
        fprintf(stderr, "skipped: DEEP_TEST_DATA is not set, %s is needed\n", name);
        return NULL;
    }
    snprintf(path, sizeof path, "%s/%s", root, name);
    return path;
}

int main(void)
{
    SRunner *runner = srunner_create(test_suite());
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
