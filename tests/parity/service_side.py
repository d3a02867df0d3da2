# SPDX-License-Identifier: Apache-2.0
"""The existing service's own prediction, by its package planktonclas:

service_side.py make RUN REFERENCE_RUN FILES  a run folder with a checkpoint of the service's network
service_side.py predict RUN FILES OUT.npz     what its predict gives for the files named in FILES, one a
line
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import keras  # noqa: E402
import numpy as np  # noqa: E402

import seeded  # noqa: E402

CHECKPOINT = Path("ckpts") / "best_model.keras"
SEED = 81


def make(run: Path, reference: Path, files: list[str]) -> None:
    """The configuration and class list of `reference`, and a checkpoint with seeded weights.

    Its running statistics are those of the files, as after a training, so that predictions depend on the
    image.
    """
    shutil.copytree(reference, run)
    (run / "ckpts").mkdir()
    model = configuration(run)["model"]
    size, classes = model["image_size"], model["num_classes"]
    base = keras.applications.Xception(weights=None, include_top=False, input_shape=(size, size, 3))
    x = keras.layers.GlobalAveragePooling2D()(base.output)
    x = keras.layers.Dense(1024, activation="relu")(x)
    network = keras.Model(base.input, keras.layers.Dense(classes, activation="softmax")(x))
    values = seeded.weights(SEED, head="service", classes=classes)
    values["predictions.kernel"] *= 4  # predictions that are far from uniform
    names = service_names(network)
    for layer in network.layers:
        for weight in layer.weights:
            weight.assign(values[f"{names[layer.name]}.{weight.name}"])
    norms = [layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for layer in norms:
        layer.momentum = 0.0
    network(service_input(run, files), training=True)
    for layer in norms:
        layer.momentum = 0.99
    network.save(run / CHECKPOINT)


def service_names(network: keras.Model) -> dict[str, str]:
    """libdeep's names of the layers that have weights; Keras numbers some of them anew in every process."""
    names = {layer.name: layer.name for layer in network.layers}
    for kind, wanted in (
        (keras.layers.Conv2D, [f"block{block}_shortcut" for block in (2, 3, 4, 13)]),
        (keras.layers.BatchNormalization, [f"block{block}_shortcut_bn" for block in (2, 3, 4, 13)]),
        (keras.layers.Dense, ["dense", "predictions"]),
    ):
        automatic = [
            layer.name for layer in network.layers if type(layer) is kind and "block" not in layer.name
        ]
        names.update(zip(automatic, wanted))
    return names


def lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()


def configuration(run: Path) -> dict:
    return json.loads((run / "conf" / "conf.json").read_text())


def load(run: Path) -> keras.Model:
    """As planktonclas.api.load_inference_model() does."""
    from planktonclas import utils

    return keras.models.load_model(run / CHECKPOINT, custom_objects=utils.get_custom_objects(), compile=False)


def service_input(run: Path, files: list[str]) -> np.ndarray:
    """What the service gives to its network, one crop per image."""
    from planktonclas import data_utils

    conf = configuration(run)
    sequence = data_utils.k_crop_data_sequence(
        inputs=files,
        im_size=conf["model"]["image_size"],
        mean_RGB=conf["dataset"]["mean_RGB"],
        std_RGB=conf["dataset"]["std_RGB"],
        preprocess_mode=conf["model"]["preprocess_mode"],
        aug_params=conf["augmentation"]["val_mode"],
        crop_number=1,
    )
    return np.concatenate([sequence[place] for place in range(len(files))])


def predict(run: Path, files: list[str], out: str) -> None:
    """planktonclas.test_utils.predict() with one crop: probabilities by class, and the input that it made."""
    from planktonclas import test_utils

    labels, in_order = test_utils.predict(load(run), files, configuration(run), crop_num=1)
    probabilities = np.empty_like(in_order)
    np.put_along_axis(probabilities, labels, in_order, axis=1)
    np.savez(out, probabilities=probabilities, x=service_input(run, files))


def main() -> None:
    what, run = sys.argv[1], Path(sys.argv[2])
    if what == "make":
        make(run, Path(sys.argv[3]), lines(sys.argv[4]))
    else:
        predict(run, lines(sys.argv[3]), sys.argv[4])


if __name__ == "__main__":
    main()
