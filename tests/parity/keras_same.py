# SPDX-License-Identifier: Apache-2.0
"""The Keras network that is grown from the list of layers, and keras.applications.Xception: the same, bit for
bit."""

from __future__ import annotations

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import keras  # noqa: E402
import numpy as np  # noqa: E402

from cases import Case  # noqa: E402
from keras_network import application, grown, set_weights  # noqa: E402

CASES = [
    Case("71 px", "forward", batch=2, seed=5),
    Case("100 px", "forward", size=100, batch=1, seed=6, head="service"),
]


def main() -> None:
    for case in CASES:
        outputs = []
        for make in (application, grown):
            keras.backend.clear_session()
            model, names = make(case)
            set_weights(model, names, case.weights())
            outputs.append(np.asarray(model(case.images(), training=False)))
        if not np.array_equal(*outputs):
            raise SystemExit(
                f"{case.name}: the network of the list of layers is not keras.applications.Xception"
            )
        print(
            f"{case.name}, head {case.head}: {model.count_params()} parameters, the same logits", flush=True
        )


if __name__ == "__main__":
    main()
