/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_EXPORT_H
#define DEEP_EXPORT_H

/**
 * Marks what libdeep.so exports. A program linked against the static library defines nothing.
 */
#if defined(__GNUC__)
#define DEEP_API __attribute__((visibility("default")))
#else
#define DEEP_API
#endif

#endif
