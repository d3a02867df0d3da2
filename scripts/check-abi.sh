#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Compares the types of the public interface with the committed baseline: check-abi.sh [--update]
# Both sides are dumped by abidw from a probe that has the type of every function and struct; abidiff must find nothing.
# 77 (skipped) when abidw is missing.
set -eu
cd "$(dirname "$0")/.."
baseline=tests/abi/baseline.abi
if ! command -v abidw >/dev/null || ! command -v abidiff >/dev/null; then
  echo "skipped: abidw and abidiff (abigail-tools) are not installed" >&2
  exit 77
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=scripts python3 -c 'import public_api; print(public_api.probe())' > "$folder/probe.c"
"${CC:-cc}" -g -O0 -shared -fPIC -fvisibility=default -Iinclude -x c -o "$folder/probe.so" - < "$folder/probe.c"
abidw --no-show-locs --no-corpus-path --no-comp-dir-path --out-file "$folder/now.abi" "$folder/probe.so"
if [ "${1:-}" = --update ]; then
  cp "$folder/now.abi" "$baseline"
  echo "$baseline is new: commit it with the change that made it necessary"
  exit 0
fi
abidiff "$baseline" "$folder/now.abi"
echo "abi: as in $baseline"
