/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_VERSION_H
#define DEEP_VERSION_H

#include <deep/export.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Semantic version of these headers. The build reads it from here. */
#define DEEP_VERSION_MAJOR 0
#define DEEP_VERSION_MINOR 1
#define DEEP_VERSION_PATCH 0

/** The integer behind the soname libdeep.so.0; it changes when a program must be rebuilt. */
#define DEEP_ABI_VERSION 0

/**
 * Version of the library that is running, such as "0.1.0".
 *
 * @return A static string. Any thread. Since 0.1.
 */
DEEP_API const char *deep_version_string(void);

/**
 * ABI of the library that is running; equals the headers' DEEP_ABI_VERSION when the two fit together.
 *
 * @return The soversion. Any thread. Since 0.1.
 */
DEEP_API int32_t deep_abi_version(void);

/**
 * What the library was built with, as one JSON object: version, backends, versions of oneDNN, libpng, libjpeg and
 * others.
 *
 * @return A static string. Any thread. Since 0.1.
 */
DEEP_API const char *deep_build_info(void);

#ifdef __cplusplus
}
#endif

#endif
