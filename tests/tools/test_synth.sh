#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# deep synth: counts, repeats itself, and refuses what it cannot do.
set -eu
deep=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

fail() {
  echo "$1" >&2
  exit 1
}

expect() { # CODE COMMAND...
  wanted=$1
  shift
  code=0
  "$@" >"$folder/out" 2>"$folder/err" || code=$?
  [ "$code" = "$wanted" ] || fail "$* gave $code, expected $wanted: $(cat "$folder/err")"
}

expect 0 "$deep" synth "$folder/a" --classes 11 --per-class 3 --seed 5
[ "$(find "$folder/a" -name '*.png' | wc -l)" = 33 ] || fail "not 33 images"
[ "$(find "$folder/a" -mindepth 1 -type d | wc -l)" = 11 ] || fail "not 11 folders"
expect 0 "$deep" synth "$folder/b" --classes 11 --per-class 3 --seed 5
diff -r "$folder/a" "$folder/b" || fail "the same seed gave other images"
expect 0 "$deep" synth "$folder/c" --classes 1 --per-class 1 --seed 6 --size-min 16 --size-max 16
cmp -s "$folder/a/centric_diatom/centric_diatom_00000.png" "$folder/c/centric_diatom/centric_diatom_00000.png" &&
  fail "another seed gave the same image"

expect 0 "$deep" synth --help
grep -q -- --per-class "$folder/out" || fail "the help does not name --per-class"
expect 2 "$deep" synth
expect 2 "$deep" synth "$folder/d" --classes 12
expect 2 "$deep" synth "$folder/d" --classes 0
expect 2 "$deep" synth "$folder/d" --per-class x
expect 2 "$deep" synth "$folder/d" --size-min 90 --size-max 80
expect 2 "$deep" synth "$folder/d" --unknown
expect 2 "$deep" synth "$folder/d" "$folder/e"
expect 5 "$deep" synth "$folder/none/d"
expect 5 "$deep" synth "$folder/err"
[ ! -e "$folder/d" ] || fail "a refused call left a folder"
expect 2 "$deep"
expect 2 "$deep" nonsense
expect 0 "$deep" --version
expect 0 "$deep" --help
grep -q synth "$folder/out" || fail "the help does not name synth"
