#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds the fuzz targets with clang's libFuzzer, ASan and UBSan and runs each on its corpus; a finding ends it with an error.
# scripts/fuzz.sh [SECONDS, default 60] [TARGET...]     FUZZ_RUNS=N limits the executions too
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-60}
[ $# -gt 0 ] && shift
build=${FUZZ_BUILD:-build-fuzz}
if [ ! -f "$build/build.ninja" ]; then
  CC=${FUZZ_CC:-clang} meson setup "$build" -Dfuzzing_engine=libfuzzer -Db_sanitize=address,undefined -Db_lundef=false \
    -Dbuildtype=debugoptimized -Dcpu_backend=disabled -Dtools=false
fi
ninja -C "$build" fuzz
[ $# -eq 0 ] && set -- $(cd "$build/tests/fuzz" && ls -d fuzz_* | grep -v '\.p$' | sed 's/^fuzz_//')
for target; do
  echo "fuzz: $target for $seconds s"
  found=$build/found-$target
  mkdir -p "$found"
  UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 "$build/tests/fuzz/fuzz_$target" "$found" "tests/fuzz/corpus/$target" \
    -max_total_time="$seconds" -runs="${FUZZ_RUNS:--1}" -max_len=4096 -malloc_limit_mb=64 -rss_limit_mb=1024 -timeout=60 \
    -artifact_prefix="$build/finding-$target-" -print_final_stats=1
done
echo "fuzz: no finding"
