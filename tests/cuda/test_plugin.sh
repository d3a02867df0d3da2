#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# test_plugin.sh PLUGIN TOOL FAKES: the real plugin exports one function, loads without a GPU, and says what is missing.
set -eu
plugin=$1 tool=$2 fakes=$3

fail() {
  echo "$*" >&2
  exit 1
}

# tells EXPECTED PATH [VARIABLE=VALUE...]: what the first line of `deep devices` says with NVIDIA's libraries from PATH
tells() {
  expected=$1 path=$2
  shift 2
  line=$(env "$@" LD_LIBRARY_PATH="$path" DEEP_PLUGIN_PATH="$(dirname "$plugin")" "$tool" devices | head -n 1)
  case "$line" in
  *"not available"*"$expected"*) ;;
  *) fail "expected \"$expected\": $line" ;;
  esac
}

exported=$(nm -D --defined-only "$plugin" | awk '{ print $3 }')
[ "$exported" = deep_backend_entry_v1 ] || fail "the plugin exports: $exported"
missing=$(nm -D --undefined-only "$plugin" | awk '{ print $2 }' | grep -E '^(deep|cudnn|cublas|cu[A-Z])' || true)
[ -z "$missing" ] || fail "the plugin needs: $missing"

tells 'no NVIDIA driver: ' "$fakes/broken"
tells 'no NVIDIA GPU: ' "$fakes/driver" FAKE_GPUS=0 FAKE_CUDA=99000
tells 'too old' "$fakes/driver" FAKE_GPUS=1 FAKE_CUDA=11000
tells 'libcudnn.so.9 has no ' "$fakes/driver" FAKE_GPUS=1 FAKE_CUDA=99000
mkdir -p "$fakes/mixed"
cp "$fakes"/driver/libcuda.so.1 "$fakes"/broken/libcudnn.so.9 "$fakes/mixed/"
tells 'no cuDNN 9: ' "$fakes/mixed" FAKE_GPUS=1 FAKE_CUDA=99000
