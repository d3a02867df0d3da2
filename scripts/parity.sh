#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Proves libdeep equal to Keras, timm, OpenCV, the ONNX runtimes and the existing service, live: parity.sh [BUILD-FOLDER]
# Writes the report of docs/parity.md as Markdown to standard output. Takes about an hour on 2 CPUs.
#
# PARITY_ENV      an existing virtual environment with tests/parity/requirements.txt; default: build-parity, made here
# PARITY_KERAS, PARITY_TORCH, PARITY_SERVICE
#                 Python interpreters that have TensorFlow, PyTorch with timm, and planktonclas; default: PARITY_ENV's
# PARITY_ONLY     some of: network cases preprocessing onnx service; default: all
# pip's own settings (PIP_EXTRA_INDEX_URL) choose a PyTorch without CUDA.
# DEEP_TEST_DATA  the folder of test images; without it preprocessing and service cannot run
set -eu
cd "$(dirname "$0")/.."
build=${1:-build}
parity=tests/parity

if [ -z "${PARITY_ENV:-}" ]; then
  PARITY_ENV=$PWD/build-parity
  if [ ! -x "$PARITY_ENV/bin/python" ]; then
    python3 -m venv "$PARITY_ENV"
    "$PARITY_ENV/bin/pip" install --quiet -r $parity/requirements.txt >&2
    "$PARITY_ENV/bin/pip" install --quiet --no-deps planktonclas==0.2.4 >&2
  fi
fi
python=$PARITY_ENV/bin/python
export PARITY_KERAS="${PARITY_KERAS:-$python}" PARITY_TORCH="${PARITY_TORCH:-$python}"
export PARITY_SERVICE="${PARITY_SERVICE:-$python}"
PYTHONPATH=$PWD/$build/bindings/python${PYTHONPATH:+:$PYTHONPATH}
LIBDEEP_LIBRARY=$PWD/$build/libdeep/libdeep.so.0
export PYTHONPATH LIBDEEP_LIBRARY PYTHONDONTWRITEBYTECODE=1 OMP_WAIT_POLICY=passive
failed=

# part NAME TITLE COMMAND...: a section of the report
part() {
  case " ${PARITY_ONLY:-$1} " in *" $1 "*) ;; *) return 0 ;; esac
  name=$1
  printf '\n## %s\n\n' "$2"
  shift 2
  "$@" || failed="$failed $name"
}

echo '| | |'
echo '|---|---|'
"$PARITY_KERAS" $parity/about.py tensorflow-cpu tensorflow keras
"$PARITY_TORCH" $parity/about.py torch timm
"$PARITY_SERVICE" $parity/about.py planktonclas albumentations
"$python" $parity/about.py numpy onnxruntime openvino opencv-python-headless opencv-python pillow libdeep

part network 'The list of layers' "$PARITY_KERAS" $parity/keras_same.py
part cases 'Outputs, gradients, updates' "$python" $parity/compare_live.py
part preprocessing 'Preprocessing' "$python" $parity/preprocessing.py
part onnx 'ONNX export' "$python" $parity/onnx_runtimes.py
part service 'The existing service' "$python" $parity/service.py

[ -z "$failed" ] || { echo "failed:$failed" >&2; exit 1; }
