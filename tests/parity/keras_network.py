# SPDX-License-Identifier: Apache-2.0
"""Xception in Keras: Keras's own, and one grown from xception.layers() that may be narrow or wrong on
purpose."""

from __future__ import annotations

import keras
import numpy as np

from cases import Case
from xception import Layer, layers


def application(case: Case) -> tuple[keras.Model, dict[str, str]]:
    """keras.applications.Xception with the case's head, and libdeep's names of its layers.

    The last layer of the model gives logits.
    """
    base = keras.applications.Xception(include_top=False, weights=None, input_shape=(case.size, case.size, 3))
    x = keras.layers.GlobalAveragePooling2D(name="avg_pool")(base.output)
    if case.head == "service":
        x = keras.layers.Dense(1024, name="dense")(x)
        x = keras.layers.ReLU(name="dense_act")(x)
    x = keras.layers.Dense(case.network["classes"], name="predictions")(x)
    model = keras.Model(base.input, x)
    names = {layer.name: layer.name for layer in model.layers[1:]}
    for kind, wanted in (("conv2d", "block{}_shortcut"), ("batch_normalization", "block{}_shortcut_bn")):
        automatic = [layer.name for layer in model.layers if layer.name.startswith(kind)]
        names.update(zip(automatic, (wanted.format(block) for block in (2, 3, 4, 13))))
    adds = [layer.name for layer in model.layers if isinstance(layer, keras.layers.Add)]
    names.update(zip(adds, (f"block{block}_add" for block in range(2, 14))))
    return model, names


def _keras_layer(layer: Layer, fault: str) -> keras.layers.Layer:
    name = layer.name
    if layer.kind == "conv":
        side, _, _, channels = layer.shape
        return keras.layers.Conv2D(
            channels, side, strides=layer.stride, padding=layer.padding, use_bias=False, name=name
        )
    if layer.kind == "separable":
        return keras.layers.SeparableConv2D(layer.shape[1], 3, padding="same", use_bias=False, name=name)
    if layer.kind == "norm":
        return keras.layers.BatchNormalization(epsilon=1e-5 if fault == "norm-epsilon" else 1e-3, name=name)
    if layer.kind == "relu":
        return keras.layers.ReLU(name=name)
    if layer.kind == "pool":
        return keras.layers.MaxPooling2D(3, strides=2, padding="same", name=name)
    if layer.kind == "average":
        return keras.layers.GlobalAveragePooling2D(name=name)
    return keras.layers.Dense(layer.shape[1], name=name)


def grown(case: Case) -> tuple[keras.Model, dict[str, str]]:
    """The same from the list of layers, of any width and depth, with the case's fault built in."""
    image = keras.Input((case.size, case.size, 3))
    made = {"input": image}
    last_block = case.middle_blocks + 5
    for layer in layers(**case.network):
        if layer.kind == "softmax":
            continue
        inputs = [made[name] for name in layer.inputs]
        if layer.kind != "add":
            made[layer.name] = _keras_layer(layer, case.fault)(inputs[0])
            continue
        made[layer.name] = keras.layers.Add(name=layer.name)(inputs)
        if case.fault == "relu-in-place" and layer.name != f"block{last_block}_add":
            # The next block begins with a ReLU; in place, it changes what that block's shortcut reads as
            # well.
            made[layer.name] = keras.layers.ReLU(name=layer.name + "_in_place")(made[layer.name])
    model = keras.Model(image, made["predictions"])
    names = {layer.name: layer.name for layer in model.layers[1:] if not layer.name.endswith("_in_place")}
    return model, names


def build(case: Case) -> tuple[keras.Model, dict[str, str]]:
    """The case's model with the case's weights, and libdeep's name of each of its layers."""
    published = case.width == 1 and case.middle_blocks == 8 and not case.fault
    model, names = application(case) if published else grown(case)
    set_weights(model, names, case.weights())
    return model, names


def parameters(model: keras.Model, names: dict[str, str]) -> dict[str, keras.Variable]:
    """Keras's variables by libdeep's names."""
    return {
        f"{names[layer.name]}.{variable.name}": variable
        for layer in model.layers
        for variable in layer.weights
    }


def set_weights(model: keras.Model, names: dict[str, str], values: dict[str, np.ndarray]) -> None:
    """Assigns every variable by name; a name too many or too few is an error."""
    variables = parameters(model, names)
    if variables.keys() != values.keys():
        raise AssertionError(f"parameters differ: {sorted(variables.keys() ^ values.keys())}")
    for name, variable in variables.items():
        variable.assign(values[name].reshape(variable.shape))
