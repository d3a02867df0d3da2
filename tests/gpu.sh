#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What has to be seen on a GPU, in less than ten minutes: gpu.sh BUILD [-o FOLDER] [-p FOLDER] [-w COMMAND]
#   BUILD       a build folder, or the folder `build` of what scripts/gpu-bundle.sh made
#   -o FOLDER   where gpu-results.md and gpu-results.log are written (the current folder)
#   -p FOLDER   of another libdeep-cuda.so: BUILD/tests/cuda/device needs no GPU
#   -w COMMAND  runs the test programs: 'compute-sanitizer --error-exitcode 9', with --tool racecheck or without
# cuDNN and cuBLASLt are found by the dynamic linker, in the wheels of DEEP_TEST_PYTHON (python3), in the folders of
# DEEP_CUDA_LIBRARIES. The last line is "N passed, N failed, N skipped"; without a GPU it says what is missing and ends with 1.
set -eu

usage() {
  sed -n '3,9s/^# //p' "$0" >&2
  exit 2
}

[ $# -ge 1 ] || usage
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd)
shift
results=$PWD plugin=$build/libdeep wrapper='' limit=570 # seconds in all
while getopts o:p:w: option; do
  case $option in
  o) mkdir -p "$OPTARG" && results=$(cd "$OPTARG" && pwd) ;;
  p) plugin=$(cd "$OPTARG" && pwd) ;;
  w) wrapper=$OPTARG ;;
  *) usage ;;
  esac
done
python=${DEEP_TEST_PYTHON:-$here/../build-python/bin/python}
[ -x "$python" ] || python=$(command -v python3 || true)
wheels=
[ -z "$python" ] || wheels=$("$python" "$here/gpu_about.py" folders)
LD_LIBRARY_PATH=$build/lib:$build/libdeep:${DEEP_CUDA_LIBRARIES:-}:$wheels:/usr/local/cuda/lib64:${LD_LIBRARY_PATH:-}
LD_LIBRARY_PATH=$(printf %s "$LD_LIBRARY_PATH" | sed 's/::*/:/g; s/:$//') # an empty entry is the working directory
export LD_LIBRARY_PATH DEEP_PLUGIN_PATH="$plugin" DEEP_TEST_PLUGIN="$plugin/libdeep-cuda.so"
export PYTHONPATH="$build/bindings/python${PYTHONPATH:+:$PYTHONPATH}" LIBDEEP_LIBRARY="$build/libdeep/libdeep.so.0"
export OMP_WAIT_POLICY=passive PYTHONDONTWRITEBYTECODE=1
[ -z "$wrapper" ] || { limit=7200 && export CK_FORK=no; } # its reports are of one process
report=$results/gpu-results.md log=$results/gpu-results.log
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' INT TERM
begin=$(date +%s) passed=0 failed=0 skipped=0

# note RESULT TEXT PROGRAM SECONDS: a line of the table
note() { printf '| %s | %s | %s | %s |\n' "$2" "$3" "$1" "$4" >> "$report"; }

# Runs a command for the time that is left.
limited() { timeout "$left" "$@"; }

# part TEXT PROGRAM COMMAND...: one line of the table
part() {
  text=$1 program=$2
  shift 2
  from=$(date +%s)
  left=$((begin + limit - from))
  echo "== $text ($program)" | tee -a "$log"
  status=0
  if [ "$left" -gt 0 ]; then "$@" > "$scratch/output" 2>&1 || status=$?; else status=124; fi
  cat "$scratch/output" >> "$log"
  took=$(($(date +%s) - from))
  case $status in
  0) passed=$((passed + 1)) && note passed "$text" "$program" $took ;;
  77) skipped=$((skipped + 1)) && note "skipped: $(tail -n 1 "$scratch/output")" "$text" "$program" $took ;;
  124) failed=$((failed + 1)) && note 'failed: no time left' "$text" "$program" $took ;;
  *) failed=$((failed + 1)) && note "failed ($status)" "$text" "$program" $took ;;
  esac
  [ $status = 0 ] || cat "$scratch/output"
}

# check TEXT PROGRAM [CASE]: a test program, all of it or one of its cases
check() {
  if [ -n "${3:-}" ]; then export CK_RUN_CASE="$3"; else unset CK_RUN_CASE; fi
  # shellcheck disable=SC2086 # a command and its arguments
  part "$1" "$2${3:+, case $3}" limited $wrapper "$build/tests/$2"
}

# Networks against recorded answers of Keras and PyTorch; the stand-in is too slow for those of full width.
golden() {
  if [ -z "$python" ] || ! "$python" -c 'import numpy, pytest'; then
    echo 'no python3 with numpy and pytest'
    return 77
  fi
  case "$line" in *stand-in*) export DEEP_GOLDEN=small ;; esac
  limited "$python" -m pytest -q -p no:cacheprovider "$here/python/test_golden.py"
}

# Images to a trained model and its predictions, by the tool.
job() {
  limited "$build/tools/deep" synth "$scratch/images" --classes 3 --per-class 12 --seed 1 &&
    limited "$build/tools/deep" train "$scratch/images" -o "$scratch/model.safetensors" --arch xception-small --size 71 --epochs 2 \
      --seed 1 --device cuda --progress none &&
    limited "$build/tools/deep" evaluate "$scratch/model.safetensors" "$scratch/images" --device cuda
}

line=$("$build/tools/deep" devices)
line=$(echo "$line" | head -n 1)
echo "$line"
case "$line" in *'not available'*) exit 1 ;; esac
: > "$log"
{
  echo '# What a GPU has shown'
  echo
  echo "- $(date -u '+%Y-%m-%d %H:%M') UTC"
  echo "- $line"
  echo "- $("$build/tools/deep" version | head -n 1)"
  nvidia-smi --query-gpu=name,driver_version,memory.total,compute_cap --format=csv,noheader 2> /dev/null | sed 's/^/- nvidia-smi: /' ||
    true
  [ -z "$python" ] || "$python" "$here/gpu_about.py" versions 2>&1 | sed 's/^/- /'
  [ -z "$wrapper" ] || echo "- test programs run by: $wrapper"
  printf '\n| what | by | result | seconds |\n|---|---|---|---|\n'
} > "$report"

check 'every op, forward and backward, beside ref' ops/test_ops cuda
check 'sessions, parameters, gradients, layers, steps and checkpoints beside ref' cuda/test_device device
check '20 training steps beside ref' cuda/test_gpu steps
check '20 training steps in halves beside ref' cuda/test_gpu halves
check 'the same bits twice' cuda/test_gpu bits
check 'runs replayed as graphs, beside kernels queued one by one' cuda/test_replay replay
check 'batches uploaded beside what is computed, and in turn' cuda/test_uploads uploads
check 'pictures resized, turned and normalised by the device, bit for bit as by the host' cuda/test_pictures pictures
check 'sessions between arrays of the device, bit for bit as between those of the host' cuda/test_session_device device
check 'two sessions and two contexts in two threads' cuda/test_gpu threads
check 'a full device says which batch fits, and goes on' cuda/test_gpu memory
check 'sessions: layers, batches, saving while they run' unit/test_session
check 'trainers' unit/test_trainer
check 'fitting: seeds, cancelling and resuming at every callback, checkpoints' unit/test_fit fit
if [ -z "$wrapper" ]; then # which wants one process
  check 'prediction: threads, batches, forked children' unit/test_predict
  part 'parity with Keras and PyTorch' python/test_golden.py golden
  part 'a whole job: drawing, training, evaluating' tools/deep job
fi
echo "$passed passed, $failed failed, $skipped skipped" | tee -a "$log"
printf '\n%s, in %s seconds\n' "$passed passed, $failed failed, $skipped skipped" $(($(date +%s) - begin)) >> "$report"
[ "$failed" = 0 ]
