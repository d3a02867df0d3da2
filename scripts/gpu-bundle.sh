#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes a folder that a machine with a GPU, and without network, packages or oneDNN, can test: gpu-bundle.sh BUILD FOLDER
# BUILD is a release build with -Dcpu_backend=disabled -Dgpu_backend=enabled -Dbenchmarks=true, its tests compiled, and
# -Dgpu_architectures=90 (an H100) to keep it small. There, wherever the folder lies:
#   FOLDER/source/tests/gpu.sh FOLDER/build -o RESULTS
#   FOLDER/source/bench/gpu.py --build FOLDER/build
# What the programs need outside of glibc, libgcc and libstdc++ is in build/lib; NVIDIA's libraries are not in it.
set -eu
[ $# = 2 ] || { sed -n '3,8s/^# //p' "$0" >&2; exit 2; }
source=$(cd "$(dirname "$0")/.." && pwd)
build=$(cd "$1" && pwd)
folder=$2
PROGRAMS='tools/deep tests/ops/test_ops tests/cuda/test_device tests/cuda/test_gpu tests/cuda/test_pictures tests/cuda/test_replay tests/cuda/test_uploads
  tests/cuda/test_session_device tests/unit/test_session tests/unit/test_predict tests/unit/test_trainer tests/unit/test_fit
  bench/bench_start'
PLUGINS='libdeep/libdeep-cuda.so tests/cuda/device/libdeep-cuda.so'

[ ! -e "$folder" ] || { echo "$folder is there already" >&2; exit 1; }
for file in $PROGRAMS $PLUGINS libdeep/libdeep.so.0 bindings/python/libdeep/_declarations.py; do
  [ -e "$build/$file" ] || { echo "$build/$file is not there: see the options in $0" >&2; exit 1; }
done

# place FILE: from the build folder, stripped
place() {
  mkdir -p "$folder/build/$(dirname "$1")"
  strip --strip-unneeded -o "$folder/build/$1" "$build/$1"
}

for file in $PROGRAMS $PLUGINS libdeep/libdeep.so.0; do place "$file"; done
mkdir -p "$folder/build/lib" "$folder/build/bindings/python" "$folder/source/tests/python"
for file in $PROGRAMS $PLUGINS; do ldd "$build/$file"; done | awk '$2 == "=>" && $3 ~ /^\// { print $3 }' | sort -u |
  while read -r library; do
    case "${library##*/}" in
    libc.so.* | libm.so.* | libdl.so.* | librt.so.* | libpthread.so.* | libgcc_s.so.* | libstdc++.so.* | libdeep.so.*) ;;
    *dnnl* | *gomp*) echo "$build is a build with oneDNN" >&2 && exit 1 ;;
    *) cp -L "$library" "$folder/build/lib/" ;;
    esac
  done
cp -R "$build/bindings/python/libdeep" "$folder/build/bindings/python/"
cp "$source/tests/gpu.sh" "$source/tests/gpu_about.py" "$folder/source/tests/"
cp "$source/tests/python/conftest.py" "$source/tests/python/test_golden.py" "$folder/source/tests/python/"
cp -R "$source/tests/parity" "$source/tests/golden" "$source/bench" "$folder/source/"
mv "$folder/source/parity" "$folder/source/golden" "$folder/source/tests/"
cp "$source/LICENSE" "$folder/"
find "$folder" -name __pycache__ -prune -exec rm -rf {} +
echo "$folder: $(du -sm "$folder" | cut -f 1) MB, $(tar -C "$folder" -czf - . | wc -c | awk '{ printf "%.1f", $1 / 1e6 }') MB packed"
