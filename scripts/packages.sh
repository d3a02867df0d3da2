#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian or Ubuntu packages that are missing: packages.sh build|test|ci
# Asks before it uses sudo; does not ask when it runs as root.
set -eu

build='gcc libc6-dev meson ninja-build pkgconf libpng-dev libjpeg-dev libjansson-dev libxxhash-dev libmd-dev libdnnl-dev'
test="$build g++ check python3 python3-venv"
ci="$test cmake abigail-tools clang-14 libclang-rt-14-dev clang-format-14 locales" # Debian 12's

case "${1:-}" in
build) wanted=$build ;;
test) wanted=$test ;;
ci) wanted=$ci ;;
*) echo "usage: packages.sh build|test|ci" >&2; exit 2 ;;
esac

command -v dpkg-query >/dev/null || {
  echo "This is neither Debian nor Ubuntu; what is needed there: $wanted" >&2
  exit 0
}

missing=
for package in $wanted; do
  status=$(dpkg-query -W -f='${db:Status-Abbrev}' "$package" 2>/dev/null || true)
  case "$status" in ii*) ;; *) missing="$missing $package" ;; esac
done
[ -n "$missing" ] || exit 0

echo "Missing packages:$missing"
if [ "$(id -u)" = 0 ]; then
  sudo=
else
  printf 'Install them with sudo apt-get? [Y/n] '
  read -r answer || answer=n
  case "$answer" in '' | y* | Y*) ;; *) echo "Nothing was installed." >&2; exit 1 ;; esac
  sudo=sudo
fi
$sudo apt-get update
# shellcheck disable=SC2086 # a list of words
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y --no-install-recommends $missing
