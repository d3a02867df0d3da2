#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes build-python/, the virtual environment of tests/python, unless it is there and its requirements are unchanged.
# 77 (skipped) when no package index can be reached.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
requirements=bindings/python/requirements-test.txt
stamp=build-python/stamp
want=$("$python" -c 'import hashlib, sys; print(sys.version, hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())' \
  "$requirements")
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$want" ] && build-python/bin/python -c '' 2> /dev/null; then
  exit 0
fi

rm -rf build-python
if ! "$python" -m venv build-python; then
  echo "the tests of the Python package need the module venv (Debian: python3-venv)" >&2
  exit 1
fi
log=build-python/pip.log
if ! build-python/bin/python -m pip --disable-pip-version-check install --quiet --retries 2 --timeout 30 \
  -r "$requirements" > "$log" 2>&1; then
  tail -n 5 "$log" >&2
  if grep -qE 'ConnectionError|ConnectTimeout|ReadTimeout|ProxyError|name resolution|Network is unreachable' "$log"; then
    echo "skipped: no package index can be reached, so the Python package is not tested" >&2
    exit 77
  fi
  exit 1
fi
echo "$want" > "$stamp"
