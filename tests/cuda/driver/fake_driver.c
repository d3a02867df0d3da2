/* SPDX-License-Identifier: Apache-2.0 */
/* A libcuda.so.1 that says what FAKE_GPUS and FAKE_CUDA (13000 = 13.0) tell it to. */
#include <stdlib.h>

int cuInit(unsigned flags);
int cuDriverGetVersion(int *version);
int cuDeviceGetCount(int *count);

static int number(const char *name)
{
    const char *text = getenv(name);
    return text == NULL ? 0 : (int)strtol(text, NULL, 10);
}

int cuInit(unsigned flags)
{
    const int gpus = number("FAKE_GPUS");
    return flags != 0 ? 1 : gpus < 0 ? 999 : gpus == 0 ? 100 : 0; /* 100: no device; 999: unknown */
}

int cuDriverGetVersion(int *version)
{
    *version = number("FAKE_CUDA");
    return 0;
}

int cuDeviceGetCount(int *count)
{
    *count = number("FAKE_GPUS");
    return 0;
}
