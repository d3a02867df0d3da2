#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# From nothing to a trained classifier in a few minutes: quickstart.sh [FOLDER]
# Installs what is missing (asks before sudo), builds, draws a small set of synthetic plankton, trains a small Xception on
# it, evaluates, and classifies a few images. Everything it makes is in FOLDER (default: quickstart) and build-quickstart.
set -eu
start=$PWD
cd "$(dirname "$0")/.."
case "${1:-quickstart}" in
/*) folder=${1:-quickstart} ;;
*) folder=$start/${1:-quickstart} ;;
esac
build='build-quickstart'
deep=$PWD/$build/tools/deep

say() { printf '\n== %s\n' "$*"; }

say "What is needed"
scripts/packages.sh build
if ! pkg-config --exists jansson libpng libjpeg libxxhash libmd; then
  echo "A library is missing; see the list above." >&2
  exit 1
fi

say "Building"
[ -d "$build" ] || meson setup "$build" -Dtests=false > "$build.log" 2>&1 || { cat "$build.log"; exit 1; }
ninja -C "$build"
rm -f "$build.log"

say "Drawing plankton"
mkdir -p "$folder"
"$deep" synth "$folder/images" --classes 6 --per-class 60 --seed 1

say "Training a small Xception; watch the accuracy on images that it has not seen"
"$deep" train "$folder/images" -o "$folder/model.safetensors" --arch xception-small --size 71 --epochs 12 --seed 1

say "Classifying images of another drawing"
"$deep" synth "$folder/unseen" --classes 6 --per-class 10 --seed 2
"$deep" evaluate "$folder/model.safetensors" "$folder/unseen"
find "$folder/unseen" -name '*_00000.png' | sort | head -n 4 |
  xargs "$deep" predict "$folder/model.safetensors"

say "Done"
cat << END
The model:   $folder/model.safetensors
The report:  $folder/model.safetensors.run/report.html   (open it in a browser)

For images of your own, make a folder with one folder per class in it, and then:

  $deep train IMAGES -o mine.safetensors
  $deep predict mine.safetensors NEW-IMAGES

Without --arch xception-small it is the full Xception: better, and much slower.
END
