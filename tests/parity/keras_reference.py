# SPDX-License-Identifier: Apache-2.0
"""Keras's answer to a case, in one precision per process:

    keras_reference.py CASE float64|float32 OUT.npz [--changes CHANGES.npz] [--order N]

CHANGES.npz holds what margins.py found: changes to the seeded parameters, or which images a training takes. N
turns the order of the images in a training batch: mathematically nothing, but sums are rounded in another
order.
"""

from __future__ import annotations

import argparse
import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

import seeded  # noqa: E402
from cases import ALL, OPTIMIZERS, UPDATES, Case, learning_rate  # noqa: E402
from keras_network import build, parameters, set_weights  # noqa: E402


def _loss(case: Case) -> keras.losses.Loss:
    return keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=case.smoothing)


def _targets(case: Case, step: int = 0, order: int = 0) -> np.ndarray:
    return np.eye(case.network["classes"])[np.roll(case.labels(step), order)]


def forward(case: Case, model: keras.Model, names: dict[str, str]) -> dict[str, np.ndarray]:
    """Every layer's output by libdeep's name, with stored statistics; else the logits alone."""
    kept = [
        layer for layer in model.layers if layer.name in names and (case.layers or layer is model.layers[-1])
    ]
    outputs = keras.Model(model.input, [layer.output for layer in kept])(case.images(), training=False)
    outputs = outputs if isinstance(outputs, list) else [outputs]
    made = {f"layer/{names[layer.name]}": np.asarray(output) for layer, output in zip(kept, outputs)}
    made["layer/predictions_softmax"] = np.asarray(tf.nn.softmax(made["layer/predictions"]))
    return made


def gradients(case: Case, model: keras.Model, names: dict[str, str]) -> dict[str, np.ndarray]:
    """Loss, gradient of every trainable variable, and the running statistics after the step's forward
    pass."""
    weights = case.class_weights()[case.labels()]
    with tf.GradientTape() as tape:
        logits = model(case.images(), training=True)
        loss = _loss(case)(_targets(case), logits, sample_weight=weights)
    variables = parameters(model, names)
    trainable = {name: variable for name, variable in variables.items() if variable.trainable}
    found = tape.gradient(loss, [variable.value for variable in trainable.values()])
    made = {f"gradient/{name}": np.asarray(gradient) for name, gradient in zip(trainable, found)}
    for name, variable in variables.items():
        if not variable.trainable:
            made[f"running/{name}"] = np.asarray(variable)
    made["loss"] = np.asarray(loss)[None]
    return made


def make_optimizer(name: str, variables: dict[str, keras.Variable]) -> keras.optimizers.Optimizer:
    """Keras's optimizer; decay, where there is one, on kernels alone, as libdeep's."""
    kind, arguments, _, rate = OPTIMIZERS[name]
    optimizer = getattr(keras.optimizers, kind)(learning_rate=rate, **arguments)
    if keras.backend.floatx() == "float64" and hasattr(optimizer, "beta_2"):
        # Keras casts the Python number .999 to float32 on its way to float64, which alone moves a step by
        # 6e-6.
        optimizer.beta_1, optimizer.beta_2 = np.float64(optimizer.beta_1), np.float64(optimizer.beta_2)
    if "weight_decay" in arguments:
        optimizer.exclude_from_weight_decay(
            var_list=[variable for key, variable in variables.items() if not key.endswith("kernel")]
        )
    return optimizer


class Training:
    """Keras's own training of a case, by train_on_batch()."""

    def __init__(self, case: Case, model: keras.Model, names: dict[str, str]) -> None:
        self.case, self.model = case, model
        self.variables = parameters(model, names)
        model.compile(optimizer=make_optimizer(case.optimizer, self.variables), loss=_loss(case))
        self.weights = dict(enumerate(case.class_weights().tolist()))

    def values(self) -> dict[str, np.ndarray]:
        return {name: np.asarray(variable) for name, variable in self.variables.items()}

    def step(self, step: int, draw: int = 0, order: int = 0) -> float:
        """One update; the loss before it."""
        self.model.optimizer.learning_rate.assign(learning_rate(self.case, step))
        images = np.roll(self.case.images(step, draw), order, axis=0)
        return self.model.train_on_batch(images, _targets(self.case, step, order), class_weight=self.weights)


def updates(
    case: Case, model: keras.Model, names: dict[str, str], draws=None, order: int = 0
) -> dict[str, np.ndarray]:
    """Every variable after UPDATES training steps, and the losses."""
    training = Training(case, model, names)
    draws = [0] * UPDATES if draws is None else draws
    losses = [training.step(step, int(draws[step]), order) for step in range(UPDATES)]
    made = {f"weight/{name}": value for name, value in training.values().items()}
    made["loss"] = np.array(losses, np.float64)
    return made


def optimizer_alone(case: Case, model: keras.Model, names: dict[str, str]) -> dict[str, np.ndarray]:
    """Every trainable variable after UPDATES updates with made-up gradients."""
    variables = {name: v for name, v in parameters(model, names).items() if v.trainable}
    optimizer = make_optimizer(case.optimizer, variables)
    optimizer.build(list(variables.values()))
    for step in range(UPDATES):
        optimizer.learning_rate.assign(learning_rate(case, step))
        optimizer.apply(
            [
                tf.constant(
                    seeded.gradients(case.seed, step, name, tuple(variable.shape)),
                    dtype=keras.backend.floatx(),
                )
                for name, variable in variables.items()
            ]
        )
    return {f"weight/{name}": np.asarray(variable) for name, variable in variables.items()}


KINDS = {"forward": forward, "gradients": gradients, "updates": updates, "optimizer": optimizer_alone}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("case")
    parser.add_argument("dtype", choices=["float64", "float32"])
    parser.add_argument("out")
    parser.add_argument("--changes")
    parser.add_argument("--order", type=int, default=0)
    given = parser.parse_args()
    case = ALL[given.case]
    keras.backend.set_floatx(given.dtype)
    model, names = build(case)
    changes = dict(np.load(given.changes)) if given.changes else {}
    more = {"draws": changes.pop("draws", None), "order": given.order} if case.kind == "updates" else {}
    set_weights(model, names, seeded.changed(case.seed, case.weights(), changes))
    made = KINDS[case.kind](case, model, names, **more)
    wrong = [name for name, value in made.items() if name != "loss" and value.dtype != given.dtype]
    if wrong:
        raise AssertionError(f"not {given.dtype}: {wrong}")
    np.savez(given.out, **made)


if __name__ == "__main__":
    main()
