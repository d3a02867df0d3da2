# SPDX-License-Identifier: Apache-2.0
"""Keras's descriptions of models that are malformed, no Xception, or ask for code; and hostile .keras
archives."""

from __future__ import annotations

import io
import json
import struct
import zipfile

import numpy as np
import pytest

h5py = pytest.importorskip("h5py", reason="h5py is not installed")

from convert_support import (
    keras2_config,
    network_of,
    refused,
    same_weights,
    tiny_model,
    weights_h5,
    write_full_h5,
    write_keras_archive,
)
from libdeep import convert
from libdeep.convert.keras_layers import keras_layers
from libdeep.convert.keras_write import model_config

MODEL = network_of(tiny_model())


# Descriptions. Each change gets the whole document, as Keras 3 writes it.


def layer_of(config, name):
    return next(layer for layer in config["config"]["layers"] if layer["name"] == name)


def layer(which, **members):
    return lambda config: layer_of(config, which).update(members)


def option(name, **members):
    return lambda config: layer_of(config, name)["config"].update(members)


def without(name, key):
    return lambda config: layer_of(config, name).pop(key)


def without_option(name, key):
    return lambda config: layer_of(config, name)["config"].pop(key)


def add(entry):
    return lambda config: config["config"]["layers"].append(entry)


def reads(name, *sources):
    """The layer is called on these layers' outputs."""

    def change(config):
        tensors = [
            {"class_name": "__keras_tensor__", "config": {"shape": [], "keras_history": [source, 0, 0]}}
            for source in sources
        ]
        layer_of(config, name)["inbound_nodes"] = [
            {"args": [tensors] if len(tensors) > 1 else tensors, "kwargs": {}}
        ]

    return change


def called_with(name, **arguments):
    return lambda config: layer_of(config, name)["inbound_nodes"][0].update(kwargs=arguments)


def twice_called(config):
    calls = layer_of(config, "block1_conv1_act")["inbound_nodes"]
    calls.append(calls[0])


def nested(depth):
    def change(config):
        for _ in range(depth):
            inner = json.loads(json.dumps(config))
            config["config"] = {
                "name": "outer",
                "layers": [
                    {
                        "class_name": "InputLayer",
                        "name": "i",
                        "config": {"name": "i", "batch_shape": [None, 71, 71, 3]},
                        "inbound_nodes": [],
                    },
                    {**inner, "name": "inner", "inbound_nodes": [[["i", 0, 0, {}]]]},
                ],
                "input_layers": ["i", 0, 0],
                "output_layers": ["inner", 0, 0],
            }

    return change


LAMBDA = {
    "class_name": "Lambda",
    "name": "evil",
    "registered_name": None,
    "module": "keras.layers",
    "inbound_nodes": [],
    "config": {"name": "evil", "function": ["4wEAAAAAAAAA", None, None]},
}
CUSTOM = {
    "class_name": "TorchModuleWrapper",
    "name": "evil",
    "module": "keras.layers",
    "config": {"module": "gASVJAAAAAAA"},
    "registered_name": None,
    "inbound_nodes": [],
}

CASES = {
    "Lambda": (add(LAMBDA), ["evil", "Lambda"]),
    "a wrapped torch module": (add(CUSTOM), ["evil", "TorchModuleWrapper"]),
    "custom class": (layer("block5_sepconv1", class_name="MyLayer"), ["block5_sepconv1", "MyLayer"]),
    "registered name": (
        layer("block5_sepconv1", registered_name="Custom>SeparableConv2D"),
        ["Custom>SeparableConv2D"],
    ),
    "registered name of a model": (
        lambda config: config.update(registered_name="own>Functional"),
        ["own>Functional"],
    ),
    "module of the system": (layer("block5_sepconv1", module="os"), ["'os'"]),
    "module of nothing": (layer("block5_sepconv1", module=3), ["custom class"]),
    "function of the system as activation": (
        option(
            "block1_conv1_act",
            activation={
                "module": "builtins",
                "class_name": "function",
                "config": "eval",
                "registered_name": "function",
            },
        ),
        ["activation"],
    ),
    "another activation": (option("block1_conv1_act", activation="swish"), ["block1_conv1_act", "swish"]),
    "activation inside a convolution": (option("block1_conv1", activation="relu"), ["block1_conv1"]),
    "unknown layer": (
        layer("block2_pool", class_name="AveragePooling2D"),
        ["block2_pool", "AveragePooling2D"],
    ),
    "no class_name": (without("block2_pool", "class_name"), ["class_name"]),
    "class_name of the wrong type": (layer("block2_pool", class_name=["Conv2D"]), ["class_name"]),
    "no config": (without("block2_pool", "config"), ["block2_pool", "config"]),
    "config of the wrong type": (layer("block2_pool", config=7), ["block2_pool", "config"]),
    "no inbound_nodes": (without("block2_pool", "inbound_nodes"), ["block2_pool", "inbound_nodes"]),
    "no filters": (without_option("block1_conv1", "filters"), ["block1_conv1", "filters"]),
    "filters as text": (option("block1_conv1", filters="32"), ["block1_conv1", "filters"]),
    "filters true": (option("block1_conv1", filters=True), ["block1_conv1", "filters"]),
    "negative filters": (option("block1_conv1", filters=-8), ["block1_conv1", "-8"]),
    "filters of 10^9": (option("block1_conv1", filters=10**9), ["block1_conv1", "1000000000"]),
    "filters against the weights": (option("block7_sepconv2", filters=112), ["channels"]),
    "kernel size": (option("block1_conv1", kernel_size=[5, 5]), ["block1_conv1", "window"]),
    "kernel that is no square": (option("block1_conv1", kernel_size=[3, 1]), ["block1_conv1", "kernel_size"]),
    "kernel of a string": (option("block1_conv1", kernel_size="33"), ["kernel_size"]),
    "strides": (option("block1_conv1", strides=[1, 1]), ["block1_conv1", "stride"]),
    "padding": (option("block1_conv1", padding="same"), ["block1_conv1", "padding"]),
    "padding of nothing": (option("block1_conv1", padding="causal"), ["block1_conv1", "causal"]),
    "dilation": (option("block1_conv1", dilation_rate=[2, 2]), ["block1_conv1", "dilation_rate"]),
    "groups": (option("block1_conv1", groups=2), ["block1_conv1", "groups"]),
    "channels first": (option("block1_conv1", data_format="channels_first"), ["block1_conv1", "data_format"]),
    "bias": (option("block1_conv1", use_bias=True), ["block1_conv1", "use_bias"]),
    "depth multiplier": (
        option("block2_sepconv1", depth_multiplier=2),
        ["block2_sepconv1", "depth_multiplier"],
    ),
    "batch norm without shift": (option("block1_conv1_bn", center=False), ["block1_conv1_bn", "center"]),
    "batch norm over rows": (option("block1_conv1_bn", axis=1), ["block1_conv1_bn", "axis"]),
    "batch renorm": (option("block1_conv1_bn", renorm=True), ["block1_conv1_bn", "renorm"]),
    "two epsilons": (option("block3_sepconv1_bn", epsilon=0.5), ["block3_sepconv1_bn", "0.5"]),
    "negative epsilon": (option("block3_sepconv1_bn", epsilon=-1), ["block3_sepconv1_bn", "-1"]),
    "statistics of the batch": (
        called_with("block1_conv1_bn", training=True),
        ["block1_conv1_bn", "training"],
    ),
    "call with a mask": (called_with("block1_conv1_bn", mask={"class_name": "__keras_tensor__"}), ["mask"]),
    "pool size": (option("block2_pool", pool_size=[2, 2]), ["block2_pool", "window"]),
    "dense without bias": (option("predictions", use_bias=False), ["predictions", "use_bias"]),
    "sigmoid": (option("predictions", activation="sigmoid"), ["predictions", "sigmoid"]),
    "keepdims": (option("avg_pool", keepdims=True), ["avg_pool", "keepdims"]),
    "a layer named twice": (
        lambda config: config["config"]["layers"].append(layer_of(config, "block2_pool")),
        ["block2_pool", "already"],
    ),
    "a name of a path": (layer("block2_pool", name="../../x"), ["MaxPooling2D"]),
    "a name of a megabyte": (layer("block2_pool", name="x" * 10**6), ["MaxPooling2D"]),
    "a name that is a number": (layer("block2_pool", name=5), ["MaxPooling2D"]),
    "cycle": (reads("block2_sepconv1", "block7_sepconv2_act"), ["cycle"]),
    "a layer that reads itself": (reads("block2_sepconv1", "block2_sepconv1"), ["cycle", "block2_sepconv1"]),
    "an input that is not there": (reads("block2_sepconv1", "nothing"), ["block2_sepconv1", "nothing"]),
    "a shortcut from elsewhere": (reads("conv2d_1", "block1_conv2_act"), ["block1_conv2_act"]),
    "a sum of one": (reads("add", "block2_pool", "block2_pool"), ["add"]),
    "a layer of two inputs": (
        reads("block2_sepconv1", "block1_conv2_act", "block1_conv1_act"),
        ["block2_sepconv1", "2"],
    ),
    "a layer called twice": (twice_called, ["block1_conv1_act", "2 times"]),
    "calls that are no list": (layer("block2_pool", inbound_nodes=[3]), ["block2_pool"]),
    "a call on a number": (
        layer("block2_pool", inbound_nodes=[{"args": [3], "kwargs": {}}]),
        ["block2_pool"],
    ),
    "a call on a history of numbers": (layer("block2_pool", inbound_nodes=[[[1, 2, 3]]]), ["block2_pool"]),
    "second output of a layer": (
        layer("block2_pool", inbound_nodes=[[["block2_sepconv2_bn", 0, 1, {}]]]),
        ["output 1"],
    ),
    "two outputs": (
        lambda config: config["config"].update(output_layers=[["predictions", 0, 0], ["avg_pool", 0, 0]]),
        ["output_layers"],
    ),
    "no output": (lambda config: config["config"].update(output_layers=[]), ["output_layers"]),
    "an output that is not there": (
        lambda config: config["config"].update(output_layers=["nothing", 0, 0]),
        ["nothing"],
    ),
    "an output in the middle": (
        lambda config: config["config"].update(output_layers=["block5_sepconv1", 0, 0]),
        ["block5_sepconv1"],
    ),
    "two inputs": (
        lambda config: config["config"].update(input_layers=[["a", 0, 0], ["b", 0, 0]]),
        ["input_layers"],
    ),
    "no layers": (lambda config: config["config"].update(layers=[]), ["layer"]),
    "layers that are no list": (lambda config: config["config"].update(layers={"a": 1}), ["layers"]),
    "a layer that is a number": (add(3), ["3 is no layer"]),
    "a million layers": (lambda config: config["config"].update(layers=[1] * 10**6), ["1000000 layers"]),
    "a layer more": (
        add(
            {
                "class_name": "Dropout",
                "name": "d",
                "config": {"name": "d", "rate": 0.1},
                "inbound_nodes": [[["block2_pool", 0, 0, {}]]],
            }
        ),
        ["block2_pool"],
    ),
    "grey input": (option("input_layer", batch_shape=[None, 71, 71, 1]), ["input_layer"]),
    "oblong input": (option("input_layer", batch_shape=[None, 71, 80, 3]), ["input_layer"]),
    "tiny input": (option("input_layer", batch_shape=[None, 8, 8, 3]), ["8 pixels"]),
    "huge input": (option("input_layer", batch_shape=[None, 10**9, 10**9, 3]), ["1000000000 pixels"]),
    "input of text": (option("input_layer", batch_shape="abcd"), ["input_layer"]),
    "models in models": (nested(6), ["deeper"]),
    "a model of another class": (lambda config: config.update(class_name="MyModel"), ["MyModel"]),
    "a rate of 1": (
        lambda config: (
            add(
                {
                    "class_name": "Dropout",
                    "name": "d",
                    "config": {"name": "d", "rate": 1},
                    "inbound_nodes": [[["avg_pool", 0, 0, {}]]],
                }
            )(config),
            reads("predictions", "d")(config),
        ),
        ["rate"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_descriptions_are_refused_by_name(tmp_path, case):
    change, words = CASES[case]
    config = json.loads(json.dumps(model_config(keras_layers(MODEL.architecture))))
    change(config)
    write_keras_archive(tmp_path / "net.keras", MODEL, config=config)
    refused(tmp_path / "net.keras", *words)


@pytest.mark.parametrize(
    "text, words",
    [
        (b"", ["config.json"]),
        (b"{", ["config.json"]),
        (b"[]", ["object"]),
        (b"null", ["object"]),
        (b"\xff\xfe", ["config.json"]),
        (b'{"a":' * 10**5, ["nested 100000"]),
        (b"[" * 10**5 + b"]" * 10**5, ["nested"]),
        (b'{"a":1,"a":2}', ["twice"]),
        (b'{"class_name": NaN}', ["NaN"]),
        (b'{"x": 1e99999}', ["class_name"]),
        (b'{"class_name":"Sequential","config":{}}', ["layers"]),
        (b'{"a":' + b"9" * 10**5 + b"}", ["config.json"]),
        (b'{"' + b"\\u0022" * 10**5 + b'":1}', ["class_name"]),
    ],
    ids=[
        "empty",
        "cut",
        "list",
        "null",
        "not UTF-8",
        "depth 10^5",
        "brackets",
        "twice",
        "NaN",
        "infinity",
        "empty model",
        "a long number",
        "a long name",
    ],
)
def test_texts_that_are_no_description(tmp_path, text, words):
    write_keras_archive(tmp_path / "net.keras", MODEL, config=text)
    refused(tmp_path / "net.keras", *words)
    if text:
        with h5py.File(tmp_path / "net.h5", "w") as file:
            file.attrs["model_config"] = np.void(b"x") if b"\xff" in text else text[:60000]
            file.create_group("model_weights").attrs["layer_names"] = [b"a"]
        refused(tmp_path / "net.h5")


def test_a_keras_2_description_is_checked_too(tmp_path):
    config = keras2_config(keras_layers(MODEL.architecture))
    config["config"]["layers"].append({**LAMBDA, "registered_name": None})
    write_full_h5(tmp_path / "net.h5", MODEL, config)
    refused(tmp_path / "net.h5", "Lambda")


# Archives


def good(path):
    write_keras_archive(path, MODEL)
    return bytearray(path.read_bytes())


def end_record(data):
    return data.rindex(b"PK\5\6")


def first_entry(data):
    """Of the central directory."""
    return data.index(b"PK\1\2", struct.unpack_from("<L", data, end_record(data) + 16)[0])


def patch(where, offset, form, value):
    def change(data):
        struct.pack_into(form, data, where(data) + offset, value)
        return data

    return change


def local(data):
    return 0


def doubled(data):
    """A second member of the same name, both in the directory."""
    memory = io.BytesIO(bytes(data))
    with pytest.warns(UserWarning), zipfile.ZipFile(memory, "a") as archive:
        archive.writestr("config.json", b"{}")
    return memory.getvalue()


def with_member(name, content=b"x", method=zipfile.ZIP_STORED):
    def change(data):
        memory = io.BytesIO(bytes(data))
        with zipfile.ZipFile(memory, "a", method) as archive:
            archive.writestr(zipfile.ZipInfo(name), content, method)
        return memory.getvalue()

    return change


def renamed(data):
    """The member's own header has another name than the directory."""
    return data.replace(b"metadata.json", b"metedata.json", 1)


def overlapping(data):
    """The second member begins where the first does."""
    second = data.index(b"PK\1\2", first_entry(data) + 4)
    struct.pack_into("<L", data, second + 42, 0)
    return data


def two_ends(data):
    return bytes(data) + bytes(data[end_record(data) :])


def wrong_checksum(data):
    data[data.index(b'"class_name"') + 3] ^= 1
    return data


def zip64_lies(data):
    """An extra field in the directory claims 2^60 bytes."""
    entry = first_entry(data)
    struct.pack_into("<LL", data, entry + 20, 0xFFFFFFFF, 0xFFFFFFFF)
    name, extra = struct.unpack_from("<HH", data, entry + 28)
    field = struct.pack("<HHQQ", 1, 16, 2**60, 2**60)
    struct.pack_into("<H", data, entry + 30, len(field))
    data = data[: entry + 46 + name] + field + data[entry + 46 + name + extra :]
    end = end_record(data)
    struct.pack_into("<L", data, end + 12, struct.unpack_from("<L", data, end + 12)[0] + len(field))
    return data


ARCHIVES = {
    "no end record": (lambda data: data[: end_record(data)], []),
    "cut in half": (lambda data: data[: len(data) // 2], []),
    "only the end record": (lambda data: data[end_record(data) :], []),
    "two end records": (two_ends, []),
    "bytes before": (lambda data: b"#!/bin/sh\n" + bytes(data), []),
    "bytes behind": (lambda data: bytes(data) + b"x" * 100, []),
    "a gap before the directory": (
        lambda data: data[: first_entry(data)] + b"hidden" + data[first_entry(data) :],
        [],
    ),
    "a comment that is another archive": (
        lambda data: data[:-2] + struct.pack("<H", 22) + data[end_record(data) :],
        [],
    ),
    "zip64 lies": (zip64_lies, []),
    "names differ": (renamed, ["metadata.json"]),
    "methods differ": (patch(local, 8, "<H", 8), ["metadata.json"]),
    "sizes differ": (patch(local, 18, "<L", 5), ["metadata.json"]),
    "encrypted in the directory": (patch(first_entry, 8, "<H", 1), ["encrypted"]),
    "encrypted in the member": (patch(local, 6, "<H", 1), ["metadata.json"]),
    "method 99": (patch(first_entry, 10, "<H", 99), ["method 99"]),
    "a size of 4 GB": (patch(first_entry, 24, "<L", 2**32 - 2), ["metadata.json"]),
    "an offset behind the end": (patch(first_entry, 42, "<L", 2**31), ["member"]),
    "a directory elsewhere": (lambda data: patch(end_record, 16, "<L", 7)(data), []),
    "overlapping members": (overlapping, ["overlaps"]),
    "a name twice": (doubled, ["config.json", "twice"]),
    "a name that climbs": (with_member("../../evil"), ["evil"]),
    "a name from the root": (with_member("/etc/passwd"), ["passwd"]),
    "a name with a drive": (with_member("c:\\x"), ["x"]),
    "a bomb of zeros": (with_member("zeros", bytes(10**7), zipfile.ZIP_DEFLATED), ["zeros", "100-fold"]),
    "bzip2": (with_member("other", b"x" * 100, zipfile.ZIP_BZIP2), ["method 12"]),
    "wrong checksum": (wrong_checksum, ["config.json"]),
}


@pytest.mark.parametrize("case", ARCHIVES)
def test_hostile_archives_are_refused(tmp_path, case):
    change, words = ARCHIVES[case]
    path = tmp_path / "net.keras"
    path.write_bytes(bytes(change(good(path))))
    refused(path, *words)


def test_a_nul_in_a_name(tmp_path):
    path = tmp_path / "net.keras"
    data = bytes(with_member("evil_name")(good(path)))
    path.write_bytes(data.replace(b"evil_name", b"evil\0name"))
    refused(path)


@pytest.mark.parametrize(
    "members, words",
    [
        ({"config.json": None}, ["config.json"]),
        ({"model.weights.h5": None}, ["model.weights.h5"]),
        ({"model.weights.h5": None, "model.weights.npz": b"x"}, ["NumPy"]),
    ],
)
def test_missing_members(tmp_path, members, words):
    path = tmp_path / "net.keras"
    data = {
        "config.json": json.dumps(model_config(keras_layers(MODEL.architecture))).encode(),
        "model.weights.h5": weights_h5(MODEL),
        **members,
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in data.items():
            if content is not None:
                archive.writestr(name, content)
    refused(path, *words)


def test_a_deflated_archive_is_read(tmp_path):
    write_keras_archive(tmp_path / "net.keras", MODEL, method=zipfile.ZIP_DEFLATED)
    same_weights(tiny_model(), convert.load(tmp_path / "net.keras"))


def test_layers_that_are_called_otherwise_in_the_weights(tmp_path):
    memory = io.BytesIO(weights_h5(MODEL))
    with h5py.File(memory, "r+") as file:
        file["layers/conv2d/vars"].attrs["name"] = "another"
    write_keras_archive(tmp_path / "net.keras", MODEL, weights=memory.getvalue())
    refused(tmp_path / "net.keras", "another", "block1_conv1")
