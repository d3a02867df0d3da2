#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Compiles each public header alone, twice in one file, and all together, as C99, C11 and C++17 without a warning.
set -eu
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
warnings='-Wall -Wextra -Wpedantic -Wundef -Werror'
failed=0

compile() { # FILE LANGUAGE STANDARD COMPILER WHAT
  # shellcheck disable=SC2086 # a list of options
  "$4" -x "$2" "-std=$3" $warnings -Iinclude -fsyntax-only "$1" || {
    echo "$5 fails as $3" >&2
    failed=1
  }
}

check() { # FILE WHAT
  compile "$1" c c99 "${CC:-cc}" "$2"
  compile "$1" c c11 "${CC:-cc}" "$2"
  compile "$1" c++ c++17 "${CXX:-c++}" "$2"
}

all=$folder/all.c
reverse=$folder/reverse.c
: > "$all"
: > "$reverse"
for header in include/deep/*.h; do
  name=deep/$(basename "$header")
  printf '#include <%s>\n#include <%s>\ntypedef int deep_check_unit;\n' "$name" "$name" > "$folder/one.c"
  check "$folder/one.c" "$name"
  echo "#include <$name>" >> "$all"
  { echo "#include <$name>"; cat "$reverse"; } > "$folder/next.c"
  mv "$folder/next.c" "$reverse"
done
check "$all" "all headers"
check "$reverse" "all headers in reverse order"
[ "$failed" = 0 ] && echo "headers: fine"
exit "$failed"
