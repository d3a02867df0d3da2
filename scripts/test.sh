#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds libdeep and runs every test: test.sh [BUILD-FOLDER [option of meson setup...]]
# The last line is "N passed, N failed, N skipped". Real data are used when DEEP_TEST_DATA names their folder;
# DEEP_TEST_SUITES="unit ops" runs these suites alone.
set -eu
cd "$(dirname "$0")/.."
scripts/packages.sh test

build=${1:-build-test}
[ $# -eq 0 ] || shift
if [ -d "$build" ]; then
  meson setup --reconfigure "$build" "$@"
else
  meson setup --werror "$build" "$@"
fi
ninja -C "$build"
scripts/python-env.sh || [ $? = 77 ] # without it the Python tests are skipped, each with a line that says so

# A locale with a decimal comma, for the tests that must not notice it.
if command -v localedef > /dev/null && [ -f /usr/share/i18n/locales/de_DE ]; then
  mkdir -p "$build/locale"
  [ -d "$build/locale/de_DE.UTF-8" ] || localedef -i de_DE -f UTF-8 "$build/locale/de_DE.UTF-8"
  LOCPATH=$PWD/$build/locale
  export LOCPATH
fi

# Slow builds and busy machines get more time, from Meson and inside the programs.
CK_TIMEOUT_MULTIPLIER=${DEEP_TIMEOUT_MULTIPLIER:-1}
export CK_TIMEOUT_MULTIPLIER
code=0
suites=
for suite in ${DEEP_TEST_SUITES:-}; do
  suites="$suites --suite $suite"
done
# shellcheck disable=SC2086 # a list of options
meson test -C "$build" --no-rebuild --print-errorlogs --timeout-multiplier "$CK_TIMEOUT_MULTIPLIER" $suites || code=$?

count() { grep -cE "\"result\": \"($1)\"" "$build/meson-logs/testlog.json" || true; }
failed=$(count 'FAIL|ERROR|TIMEOUT|INTERRUPT|UNEXPECTEDPASS')
[ "$code" = 0 ] || [ "$failed" -gt 0 ] || failed=1 # the run itself broke
echo "$(count 'OK|EXPECTEDFAIL') passed, $failed failed, $(count SKIP) skipped"
[ "$failed" = 0 ]
