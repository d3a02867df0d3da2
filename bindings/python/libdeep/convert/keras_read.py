# SPDX-License-Identifier: Apache-2.0
"""Keras files into the neutral form: .h5 with and without the model's description, .weights.h5, .keras."""

from __future__ import annotations

import os
from typing import Any, Callable, Dict, Union

import numpy

from .architecture import Shape
from .archive import ZipFile
from .errors import Where
from .hdf5 import Hdf5File, check_file_size
from .keras_config import graph_of_config
from .keras_names import Layers, as_match, by_names, by_order
from .keras_weights import NamedStore, NumberedStore, Paths
from .limits import MAX_FILE_BYTES, MAX_JSON_BYTES, parse_json
from .match import Match, match_xception
from .network import Network, parse_class_lists, read_weights, settle_architecture
from .options import ReadOptions

Find = Callable[[str, str], Paths]  # (libdeep's layer name, kind) -> data sets


def _kind_of(suffix: str) -> str:
    if suffix in ("depthwise_kernel", "pointwise_kernel"):
        return "separable"
    return "norm" if suffix in ("gamma", "beta", "moving_mean", "moving_variance") else ""


def _network(
    file: Hdf5File, match: Match, find: Find, options: ReadOptions, provenance: Dict[str, Any]
) -> Network:
    """Checks the form, then reads; the first byte of a weight is read after every shape is known to be
    right."""
    where = file.where
    top = "predictions" in match.nodes
    if not top and options.classes is None:
        raise where.refuse("", "has no last layer: name the classes (--classes), and it is made anew")
    match.padding = options.padding or match.padding
    match.epsilon = options.batch_norm_epsilon or match.epsilon
    match.input_size = options.input_size or match.input_size  # Keras pads for any size
    architecture = settle_architecture(where, match, options.size, len(options.classes or ()))

    def read(name: str, shape: Shape) -> numpy.ndarray:
        layer, suffix = name.split(".")
        kind = _kind_of(suffix) or ("dense" if layer in ("dense", "predictions") else "conv")
        return file.read(find(layer, kind)[suffix], shape)

    weights = read_weights(where, architecture, read, top)
    classes, aphia_ids = parse_class_lists(where, options.classes, options.aphia_ids, architecture.classes)
    network = Network(architecture, weights, classes, aphia_ids, provenance=provenance)
    if not top:
        network.notes.append(
            f"no last layer in the file: a new one with random weights for " f"{architecture.classes} classes"
        )
    return network


def _describe(where: Where, place: str, config: Dict[str, Any], options: ReadOptions) -> Match:
    """A model's description compared with Xception, before its weights are looked at."""
    return match_xception(graph_of_config(where, place, config), options.size, top=False)


def _with_config(
    file: Hdf5File,
    match: Match,
    store: Union[NamedStore, NumberedStore],
    options: ReadOptions,
    provenance: Dict[str, Any],
) -> Network:
    """The weights of a model that described itself."""

    def find(layer: str, kind: str) -> Paths:
        node = match.nodes.get(layer) or match.nodes[f"{layer}.pointwise"]
        return store.find(node.source, kind)

    network = _network(file, match, find, options, provenance)
    if "predictions" in match.nodes and not match.softmax:
        network.notes.append("the file's model ends with logits; libdeep's gives probabilities")
    return network


def _without_config(
    file: Hdf5File, store: Union[NamedStore, NumberedStore], options: ReadOptions, provenance: Dict[str, Any]
) -> Network:
    """Weights alone: layers by name, or by order where a file has no names."""
    where = file.where
    stored = store.all_layers()
    named = isinstance(store, NamedStore) or store.has_names()
    layers, middle_blocks, head = by_names(where, stored) if named else by_order(where, stored)
    match = as_match(where, layers, middle_blocks, head)
    network = _network(file, match, _finder(file.where, layers), options, provenance)
    if not options.input_size:
        network.notes.append(
            f"weights do not say the input's size: {network.architecture.input_size} pixels assumed "
            "(--input-size)"
        )
    return network


def _finder(where: Where, layers: Layers) -> Find:
    return lambda layer, kind: layers[layer].paths(where, kind)


def _provenance(file: Hdf5File, form: str, group: str) -> Dict[str, Any]:
    found = {"format": form}
    version = file.text(group, "keras_version")
    if version:
        found["keras_version"] = version.decode("utf-8", "replace")[:40]
    return found


def read_h5(path: str, options: ReadOptions) -> Network:
    """A .h5 file of any of Keras's three kinds, told apart by what is inside."""
    where = Where(path)
    check_file_size(os.path.getsize(path), where)
    with Hdf5File(path, where) as file:
        config = file.text("", "model_config")
        if config is not None:
            match = _describe(where, "model_config", parse_json(where, "model_config", config), options)
            return _with_config(
                file, match, NamedStore(file, "model_weights"), options, _provenance(file, "keras-h5", "")
            )
        for root in ("", "model_weights"):
            if root in file.groups and file.names(root, "layer_names") is not None:
                return _without_config(
                    file, NamedStore(file, root), options, _provenance(file, "keras-h5-weights", root)
                )
        return _without_config(file, NumberedStore(file), options, {"format": "keras-weights-h5"})


def read_keras(path: str, options: ReadOptions) -> Network:
    """A .keras archive."""
    where = Where(path)
    check_file_size(os.path.getsize(path), where)
    with ZipFile(path, where) as archive:
        config = parse_json(where, "config.json", archive.read("config.json", MAX_JSON_BYTES))
        match = _describe(where, "config.json", config, options)
        if "model.weights.h5" not in archive.names() and "model.weights.npz" in archive.names():
            raise where.refuse(
                "model.weights.npz", 'weights in NumPy form are not read: save with weights_format="h5"'
            )
        weights = archive.read("model.weights.h5", MAX_FILE_BYTES)
        version = ""
        if "metadata.json" in archive.names():
            metadata = parse_json(where, "metadata.json", archive.read("metadata.json", MAX_JSON_BYTES))
            version = str(metadata.get("keras_version", ""))[:40]
    with Hdf5File(weights, where) as file:
        return _with_config(
            file, match, NumberedStore(file), options, {"format": "keras", "keras_version": version}
        )
