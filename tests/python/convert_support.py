# SPDX-License-Identifier: Apache-2.0
"""Small networks, and files of them in the layouts of other programs, for the tests of the converters."""

from __future__ import annotations

import copy
import dataclasses
import io
import json
import zipfile

import h5py
import numpy as np

import libdeep
from libdeep import convert
from libdeep.convert.bridge import from_model
from libdeep.convert.keras_layers import keras_layers, numbered
from libdeep.convert.keras_write import KINDS, model_config
from libdeep.convert.architecture import SUFFIXES

TINY = {"width": 0.05, "middle_blocks": 1, "input_size": 71}


def randomise(model, seed=0):
    """Weights and statistics as after a training: nothing is 0 or 1 that could hide a mix-up."""
    random = np.random.default_rng(seed)
    for name in model.params:
        role, shape = model.params.info(name).role, model.params.info(name).shape
        if role == "gamma":
            model.params[name] = random.uniform(0.6, 1.4, shape)
        elif role == "variance":
            model.params[name] = random.uniform(0.5, 1.5, shape)
        elif role in ("beta", "mean", "bias"):
            model.params[name] = random.normal(0, 0.2, shape)
    return model


def tiny_model(classes=3, seed=0, **options):
    """A model of some 50 kB."""
    context = libdeep.Context(threads=1)
    return randomise(libdeep.Model.create(classes, **{**TINY, **options}, seed=seed, context=context), seed)


def same_weights(one, other):
    assert list(one.params) == list(other.params)
    for name in one.params:
        np.testing.assert_array_equal(one.params[name], other.params[name], err_msg=name)


def same_form(one, other):
    """Equal in all that a file can say; libdeep's two names for architectures aside."""
    for name in (
        "input_size",
        "classes",
        "head",
        "padding",
        "middle_blocks",
        "width",
        "dropout",
        "batch_norm_epsilon",
    ):
        assert getattr(one.info, name) == getattr(other.info, name), name


def probabilities(model, x):
    with model.session(batch=len(x), threads=1) as session:
        return session.run(x)


def images(model, count=2, seed=7):
    side = model.info.input_size
    return np.random.default_rng(seed).normal(size=(count, side, side, 3)).astype(np.float32)


# Keras's layouts, written as Keras's versions write them


def layer_weights(network, layer):
    """(suffix, values) of a Keras layer."""
    suffixes = SUFFIXES[KINDS[layer.kind]] if layer.ours else ()
    return [(suffix, network.weights[f"{layer.ours}.{suffix}"]) for suffix in suffixes]


def renamed(layers, offset=0, named_head=True):
    """Keras's layers with the auto-named ones numbered from `offset`, as in a process that made models
    before."""
    layers = copy.deepcopy(layers)
    names = {}
    for layer in layers:
        for word in ("conv2d", "batch_normalization", "add", "dense"):
            if layer.name == word or layer.name.startswith(word + "_"):
                number = int(layer.name[len(word) + 1 :] or 0) + offset
                names[layer.name] = f"{word}_{number}" if number else word
        layer.name = names.get(layer.name, layer.name)
        layer.inputs = [names.get(name, name) for name in layer.inputs]
    return layers


def write_named_weights(group, network, layers, chunked=False, suffix=":0", scope=lambda name: name):
    """layer_names, and in each group weight_names, as Keras 1 and 2 wrote them and Keras 3 writes .h5."""
    names = [layer.name.encode() for layer in layers]
    if chunked:
        for number in range(0, len(names), 40):
            group.attrs[f"layer_names{number // 40}"] = names[number : number + 40]
    else:
        group.attrs["layer_names"] = names
    group.attrs["backend"], group.attrs["keras_version"] = b"tensorflow", b"2.2.4"
    for layer in layers:
        subgroup = group.create_group(layer.name)
        entries = [
            (f"{scope(layer.name)}/{part}{suffix}", values) for part, values in layer_weights(network, layer)
        ]
        subgroup.attrs["weight_names"] = [name.encode() for name, _ in entries]
        for name, values in entries:
            subgroup.create_dataset(name, data=values)


def write_nested_weights(group, network, layers, head, model_name="xception"):
    """A backbone that was one layer of the model: trainable weights first, then the statistics."""
    backbone = [layer for layer in layers if not layer.ours.startswith(("dense", "predictions"))]
    parts = [
        (f"{layer.name}/{part}:0", values)
        for layer in backbone
        for part, values in layer_weights(network, layer)
    ]
    parts.sort(key=lambda entry: "moving" in entry[0])
    group.attrs["layer_names"] = [
        name.encode() for name in ["input_2", model_name] + [layer.name for layer in head]
    ]
    group.create_group("input_2").attrs["weight_names"] = []
    subgroup = group.create_group(model_name)
    subgroup.attrs["weight_names"] = [name.encode() for name, _ in parts]
    for name, values in parts:
        subgroup.create_dataset(name, data=values)
    for layer in head:
        inner = group.create_group(layer.name)
        entries = [(f"{layer.name}/{part}:0", values) for part, values in layer_weights(network, layer)]
        inner.attrs["weight_names"] = [name.encode() for name, _ in entries]
        for name, values in entries:
            inner.create_dataset(name, data=values)


def keras2_config(layers, name="xception"):
    """The description in Keras 2's words: nested lists for the calls, batch_input_shape."""
    config = model_config(layers)["config"]
    entries = []
    for entry, layer in zip(config["layers"], layers):
        options = dict(entry["config"])
        if "batch_shape" in options:
            options["batch_input_shape"] = options.pop("batch_shape")
        calls = [[[source, 0, 0, {}] for source in layer.inputs]] if layer.inputs else []
        entries.append(
            {"class_name": layer.kind, "config": options, "name": layer.name, "inbound_nodes": calls}
        )
    return {
        "class_name": "Model",
        "config": {
            "name": name,
            "layers": entries,
            "input_layers": [[layers[0].name, 0, 0]],
            "output_layers": [[layers[-1].name, 0, 0]],
        },
    }


def nested_config(layers, head):
    """Keras 2's description of a model around a backbone."""
    backbone = layers[: [layer.kind for layer in layers].index("GlobalAveragePooling2D")]
    inner = keras2_config(backbone)
    inner.update(name="xception", inbound_nodes=[[["input_2", 0, 0, {}]]])
    outer = keras2_config([layers[0], dataclasses.replace(head[0], inputs=[layers[0].name])] + head[1:])
    entries = outer["config"]["layers"]
    entries[0]["name"] = entries[0]["config"]["name"] = "input_2"
    entries[1]["inbound_nodes"] = [[["xception", 1, 0, {}]]]
    outer["config"]["layers"] = [entries[0], inner] + entries[1:]
    outer["config"]["input_layers"] = [["input_2", 0, 0]]
    return outer


def write_full_h5(path, network, config=None, layers=None):
    """A Keras 2 full model."""
    layers = layers or keras_layers(network.architecture)
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config or keras2_config(layers)).encode()
        file.attrs["keras_version"] = b"2.2.4"
        write_named_weights(file.create_group("model_weights"), network, layers)


def weights_h5(network, names=True, word="layers"):
    """The bytes of a Keras 3 weights file."""
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        for group, layer in numbered(keras_layers(network.architecture)):
            variables = file.create_group(f"{word}/{group}/vars")
            if names:
                variables.attrs["name"] = layer.name
            for number, (_, values) in enumerate(layer_weights(network, layer)):
                variables[str(number)] = values
    return memory.getvalue()


def write_keras_archive(path, network, config=None, weights=None, method=zipfile.ZIP_STORED, **members):
    """A .keras archive; members add to or replace config.json, metadata.json, model.weights.h5."""
    config = config if config is not None else model_config(keras_layers(network.architecture))
    data = {
        "metadata.json": b'{"keras_version": "3.13.0"}',
        "config.json": config if isinstance(config, bytes) else json.dumps(config).encode(),
        "model.weights.h5": weights if weights is not None else weights_h5(network),
        **members,
    }
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in data.items():
            archive.writestr(name, content)


def network_of(model):
    return from_model(model)


def refused(path, *words, **options):
    """load() refuses the file in one line that has these words, and the file's name."""
    try:
        convert.load(path, **options)
    except convert.ConvertError as error:
        text = str(error)
    else:
        raise AssertionError(f"{path} was taken")
    assert "\n" not in text and len(text) <= 400, text
    assert str(path) in text, text
    for word in words:
        assert word in text, f"no {word!r} in: {text}"
    return text
