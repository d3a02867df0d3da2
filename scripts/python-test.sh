#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs a Python module in the environment that scripts/python-env.sh made: python-test.sh MODULE [ARGUMENT...]
# DEEP_TEST_PYTHON names another interpreter; DEEP_TEST_PRELOAD what a sanitised library needs. 77 (skipped) without either
# environment.
set -eu
python=${DEEP_TEST_PYTHON:-$(dirname "$0")/../build-python/bin/python}
if [ ! -x "$python" ] || { [ -z "${DEEP_TEST_PYTHON:-}" ] && [ ! -f "$(dirname "$0")/../build-python/stamp" ]; }; then
  echo "skipped: there is no environment for the Python tests; scripts/python-env.sh makes it" >&2
  exit 77
fi
[ -z "${DEEP_TEST_PRELOAD:-}" ] || export LD_PRELOAD="$DEEP_TEST_PRELOAD"
exec "$python" -m "$@"
