#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Prints the version that include/deep/version.h states: the one source of it.
sed -n 's/^#define DEEP_VERSION_\(MAJOR\|MINOR\|PATCH\) \([0-9]*\)$/\2/p' "$(dirname "$0")/../include/deep/version.h" | paste -sd.
