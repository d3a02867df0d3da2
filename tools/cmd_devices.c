/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"
#include "json_out.h"
#include "options.h"
#include "output.h"

#include <deep/deep.h>

typedef struct devices_settings {
    int32_t json;
} devices_settings;

static const option_row rows[] = {
    {"json", 0, OPTION_FLAG, NULL, "print one JSON object", offsetof(devices_settings, json), 0, 0, NULL},
    {0},
};
static const command_help help = {"devices [--json]", "Lists the devices that can compute, the preferred one first.",
                                  NULL, 0, 0};

static void print_device(const deep_device *device)
{
    if (device->available)
        printf("%-6s available, %d threads: %s\n", device->name, device->threads, device->description);
    else
        printf("%-6s not available: %s\n", device->name, device->description);
}

static void add_device(json_out *json, const deep_device *device)
{
    emit_open(json, NULL, '{');
    emit_text(json, "name", device->name);
    emit_text(json, "description", device->description);
    emit_bool(json, "available", device->available != 0);
    emit_int(json, "threads", device->threads);
    emit_close(json, '}');
}

int cmd_devices(int argc, char **argv)
{
    devices_settings settings = {0};
    int first;
    const int code = options_parse(&help, rows, argc, argv, &settings, &first);
    if (code != OPTIONS_GO_ON) return code;
    json_out json = {0};
    emit_open(&json, NULL, '{');
    emit_open(&json, "devices", '[');
    for (int32_t i = 0; i < deep_device_count(); ++i) {
        deep_device device = {.struct_size = sizeof device};
        const deep_status status = deep_device_info(i, &device);
        if (status != DEEP_OK) {
            emit_free(&json);
            return fail_with(status);
        }
        if (settings.json)
            add_device(&json, &device);
        else
            print_device(&device);
    }
    emit_close(&json, ']');
    emit_close(&json, '}');
    if (settings.json) emit_line(&json, stdout);
    emit_free(&json);
    return EXIT_OK;
}
