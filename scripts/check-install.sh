#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs a build into an empty folder and builds the examples and consumers from that install with nothing but what
# pkg-config (and CMake, when there is one) says: check-install.sh shared|static BUILD [option of meson setup...]
# For "static" a second build with these options is made inside BUILD.
set -eu
cd "$(dirname "$0")/.."
kind=$1
build=$(cd "$2" && pwd)
shift 2
root=$PWD
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

static=
if [ "$kind" = static ]; then
  static=--static
  [ -d "$build/static" ] ||
    meson setup "$build/static" . -Ddefault_library=static -Dtests=false -Dtools=false "$@" > "$folder/setup.log" ||
    { cat "$folder/setup.log"; exit 1; }
  build=$build/static
  ninja -C "$build" > "$folder/ninja.log" || { cat "$folder/ninja.log"; exit 1; }
fi
meson install -C "$build" --no-rebuild --quiet --destdir "$folder/install"

PKG_CONFIG_SYSROOT_DIR=$folder/install
PKG_CONFIG_PATH=$(dirname "$(find "$folder/install" -name libdeep.pc)")
LD_LIBRARY_PATH=$(dirname "$(find "$folder/install" \( -name libdeep.so -o -name libdeep.a \))")
export PKG_CONFIG_SYSROOT_DIR PKG_CONFIG_PATH LD_LIBRARY_PATH
[ "$(pkg-config --modversion libdeep)" = "$(scripts/version.sh)" ]

build_program() { # SOURCE COMPILER STANDARD
  # shellcheck disable=SC2046 # a list of options
  "$2" "-std=$3" -Wall -Wextra -Wpedantic -Werror -o "$folder/$(basename "${1%.*}")" "$1" -pthread \
    $(pkg-config --cflags --libs $static libdeep)
  if readelf -d "$folder/$(basename "${1%.*}")" | grep -q 'NEEDED.*libdeep'; then needed=shared; else needed=static; fi
  [ "$needed" = "$kind" ] || { echo "$1 was linked $needed"; exit 1; }
}

cp pkgconfig/consumer/consumer.cpp "$folder/consumer_cpp.cpp"
build_program pkgconfig/consumer/consumer.c "${CC:-cc}" c99
build_program "$folder/consumer_cpp.cpp" "${CXX:-c++}" c++17
build_program examples/classify.c "${CC:-cc}" c11
build_program examples/train.c "${CC:-cc}" c11
build_program examples/embed.cpp "${CXX:-c++}" c++17

"$folder/consumer"
"$folder/consumer_cpp"
mkdir "$folder/plankton"
"$folder/embed" "$folder/plankton"
mkdir "$folder/plankton/disc" "$folder/plankton/rod"
mv "$folder"/plankton/0-*.png "$folder/plankton/disc"
mv "$folder"/plankton/1-*.png "$folder/plankton/rod"
"$folder/train" "$folder/plankton" "$folder/model.safetensors" 1
"$folder/classify" "$folder/model.safetensors" "$folder/plankton/disc/0-0.png"

if command -v cmake > /dev/null; then
  unset PKG_CONFIG_SYSROOT_DIR
  [ "$kind" = shared ] || export PKG_CONFIG_SYSROOT_DIR="$folder/install"
  cmake -S "$root/pkgconfig/consumer" -B "$folder/cmake" -Wno-dev \
    -Dlibdeep_DIR="$(dirname "$(find "$folder/install" -name libdeepConfig.cmake)")" > "$folder/cmake.log" ||
    { cat "$folder/cmake.log"; exit 1; }
  cmake --build "$folder/cmake" > "$folder/cmake.log" || { cat "$folder/cmake.log"; exit 1; }
  "$folder/cmake/consumer-c"
  "$folder/cmake/consumer-cpp"
else
  echo "CMake is not installed: find_package was not tried"
fi
echo "install: fine ($kind)"
