/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"
#include "options.h"
#include "output.h"

#include <deep/deep.h>
#include <stdio.h>

typedef struct version_settings {
    int32_t json;
} version_settings;

static const option_row rows[] = {
    {"json", 0, OPTION_FLAG, NULL, "print what the library was built with as one JSON object",
     offsetof(version_settings, json), 0, 0, NULL},
    {0},
};
static const command_help help = {"version [--json]", "Prints the versions of the tool and its libraries.", NULL, 0, 0};

int cmd_version(int argc, char **argv)
{
    version_settings settings = {0};
    int first;
    const int code = options_parse(&help, rows, argc, argv, &settings, &first);
    if (code != OPTIONS_GO_ON) return code;
    if (settings.json)
        printf("%s\n", deep_build_info());
    else
        printf("deep %d.%d.%d, libdeep %s\n%s\n", DEEP_VERSION_MAJOR, DEEP_VERSION_MINOR, DEEP_VERSION_PATCH,
               deep_version_string(), deep_build_info());
    return EXIT_OK;
}
