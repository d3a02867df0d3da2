#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What has to be seen on a GPU: gpu.sh BUILD [FOLDER of libdeep-cuda.so, the build's own by default]
# The last line is "N passed, N failed, 0 skipped"; without a GPU it says what is missing and ends with 1.
set -eu
build=$(cd "$1" && pwd)
DEEP_PLUGIN_PATH=$(cd "${2:-$build/libdeep}" && pwd)
DEEP_TEST_PLUGIN=$DEEP_PLUGIN_PATH/libdeep-cuda.so
export DEEP_PLUGIN_PATH DEEP_TEST_PLUGIN
passed=0 failed=0

# check CASE PROGRAM: one case of a test program, or all of them for -
check() {
  echo "== $2 ($1)"
  if [ "$1" = - ]; then unset CK_RUN_CASE; else export CK_RUN_CASE="$1"; fi
  if "$build/tests/$2"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
}

line=$("$build/tools/deep" devices | head -n 1)
echo "$line"
case "$line" in *'not available'*) exit 1 ;; esac
check cuda ops/test_ops
check device cuda/test_device
check - unit/test_session
check - unit/test_predict
check - unit/test_trainer
check fit unit/test_fit
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
