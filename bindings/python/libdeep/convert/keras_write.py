# SPDX-License-Identifier: Apache-2.0
"""The neutral form as Keras files: .keras, .weights.h5, and weights by layer names (.h5). Keras itself is not
needed."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any, Dict, List, Tuple

from .architecture import PUBLISHED_EPSILON, SUFFIXES
from .errors import need
from .keras_layers import KerasLayer, keras_layers, numbered
from .network import Network
from .output import replacing

KERAS_VERSION = "3.4.0"  # the oldest that reads what is written here
CLASSIC_VERSION = "2.2.4"  # whose layout of .h5 files all later ones read
ZIP_DATE = (1980, 1, 1, 0, 0, 0)  # the same model gives the same bytes
KINDS = {"Conv2D": "conv", "SeparableConv2D": "separable", "BatchNormalization": "norm", "Dense": "dense"}

# What Keras wants to be told although Xception never has another value.
FIXED_OPTIONS: Dict[str, Dict[str, Any]] = {
    "InputLayer": {"sparse": False},
    "Conv2D": {
        "data_format": "channels_last",
        "dilation_rate": [1, 1],
        "groups": 1,
        "activation": "linear",
        "use_bias": False,
    },
    "SeparableConv2D": {
        "data_format": "channels_last",
        "dilation_rate": [1, 1],
        "depth_multiplier": 1,
        "activation": "linear",
        "use_bias": False,
    },
    "BatchNormalization": {"axis": -1, "momentum": 0.99, "center": True, "scale": True},
    "MaxPooling2D": {
        "pool_size": [3, 3],
        "strides": [2, 2],
        "padding": "same",
        "data_format": "channels_last",
    },
    "GlobalAveragePooling2D": {"data_format": "channels_last", "keepdims": False},
    "Dense": {"use_bias": True},
}


def _h5py() -> Any:
    try:
        import h5py
    except ImportError as error:
        raise need("h5py", "keras", "reading and writing Keras files") from error
    return h5py


def _weights(network: Network, layer: KerasLayer) -> List[Tuple[str, Any]]:
    """(suffix, values) of a layer in Keras's order."""
    if not layer.ours:
        return []
    return [(suffix, network.weights[f"{layer.ours}.{suffix}"]) for suffix in SUFFIXES[KINDS[layer.kind]]]


# The description


def _tensor(layer: KerasLayer) -> Dict[str, Any]:
    return {
        "class_name": "__keras_tensor__",
        "config": {"shape": [None, *layer.shape], "dtype": "float32", "keras_history": [layer.name, 0, 0]},
    }


def _layer_config(layer: KerasLayer, by_name: Dict[str, KerasLayer]) -> Dict[str, Any]:
    config: Dict[str, Any] = {
        "name": layer.name,
        "dtype": "float32",
        **FIXED_OPTIONS.get(layer.kind, {}),
        **layer.options,
    }
    if layer.kind == "InputLayer":
        config["batch_shape"] = [None, *layer.shape]
    else:
        config["trainable"] = True
    tensors: List[Any] = [_tensor(by_name[name]) for name in layer.inputs]
    calls: List[Any] = (
        [{"args": [tensors] if layer.kind == "Add" else tensors, "kwargs": {}}] if tensors else []
    )
    return {
        "module": "keras.layers",
        "class_name": layer.kind,
        "config": config,
        "registered_name": None,
        "name": layer.name,
        "inbound_nodes": calls,
    }


def model_config(layers: List[KerasLayer]) -> Dict[str, Any]:
    """Keras 3's description of the model."""
    by_name = {layer.name: layer for layer in layers}
    return {
        "module": "keras.src.models.functional",
        "class_name": "Functional",
        "registered_name": "Functional",
        "config": {
            "name": "xception",
            "trainable": True,
            "layers": [_layer_config(layer, by_name) for layer in layers],
            "input_layers": [layers[0].name, 0, 0],
            "output_layers": [layers[-1].name, 0, 0],
        },
    }


# The files


def _write_numbered(file: Any, network: Network, layers: List[KerasLayer]) -> None:
    """Keras 3's layout: layers/conv2d_1/vars/0."""
    for group, layer in numbered(layers):
        variables = file.create_group(f"layers/{group}/vars")
        variables.attrs["name"] = layer.name
        for number, (_, values) in enumerate(_weights(network, layer)):
            variables.create_dataset(str(number), data=values)


def write_weights_h5(network: Network, path: str) -> None:
    """A .weights.h5, for ``load_weights()`` of a model built by hand."""
    h5py = _h5py()
    with replacing(path) as temporary, h5py.File(temporary, "w") as file:
        _write_numbered(file, network, keras_layers(network.architecture))


def write_h5(network: Network, path: str) -> None:
    """Weights by layer names, as Keras 2 kept them; the shortcuts have the names of the first model of a
    process."""
    h5py = _h5py()
    layers = keras_layers(network.architecture)
    with replacing(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in layers]
        file.attrs["backend"] = b"tensorflow"
        file.attrs["keras_version"] = CLASSIC_VERSION.encode()
        for layer in layers:
            group = file.create_group(layer.name)
            weights = _weights(network, layer)
            names = [f"{layer.name}/{suffix}:0" for suffix, _ in weights]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, (_, values) in zip(names, weights):
                group.create_dataset(name, data=values)


def write_keras(network: Network, path: str) -> None:
    """A .keras archive, for ``keras.saving.load_model()``."""
    h5py = _h5py()
    layers = keras_layers(network.architecture)
    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        _write_numbered(file, network, layers)
    members: Dict[str, Any] = {
        "metadata.json": json.dumps({"keras_version": KERAS_VERSION}).encode(),
        "config.json": json.dumps(model_config(layers)).encode(),
        "model.weights.h5": weights.getbuffer(),
    }
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, ZIP_DATE), data)


def notes_on_keras(network: Network, with_config: bool) -> List[str]:
    """What a Keras file cannot say, so that its user must."""
    notes = []
    if network.classes:
        notes.append("class names and preprocessing are not in the file")
    if network.architecture.batch_norm_epsilon != PUBLISHED_EPSILON and not with_config:
        notes.append(
            f"batch norm epsilon is {network.architecture.batch_norm_epsilon:g}: give it to each "
            "BatchNormalization layer"
        )
    return notes
