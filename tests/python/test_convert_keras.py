# SPDX-License-Identifier: Apache-2.0
"""Keras's files, in the layouts of its versions, written here with h5py. test_convert_live.py has Keras
itself."""

from __future__ import annotations

import doctest
import json
import pathlib

import numpy as np
import pytest

h5py = pytest.importorskip("h5py", reason="h5py is not installed")

from convert_support import (
    keras2_config,
    nested_config,
    network_of,
    refused,
    renamed,
    same_form,
    same_weights,
    tiny_model,
    weights_h5,
    write_full_h5,
    write_keras_archive,
    write_named_weights,
    write_nested_weights,
)
from libdeep import convert
from libdeep.convert.keras_layers import keras_layers

HEADS = ["imagenet", "service"]


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("suffix", ["keras", "h5", "weights.h5"])
def test_a_round_trip_keeps_every_bit(tmp_path, head, suffix):
    model = tiny_model(head=head, dropout=0.25)
    convert.save(model, tmp_path / f"net.{suffix}")
    again = convert.load(tmp_path / f"net.{suffix}", input_size=71)
    same_weights(model, again)
    if suffix == "keras":
        same_form(model, again)


def test_equal_models_give_equal_files(tmp_path):
    model = tiny_model()
    for name in ("net.keras", "net.h5", "net.weights.h5"):
        convert.save(model, tmp_path / name)
        first = (tmp_path / name).read_bytes()
        convert.save(model, tmp_path / name)
        assert (tmp_path / name).read_bytes() == first
    assert len(list(tmp_path.iterdir())) == 3  # no temporary file is left


@pytest.mark.parametrize("head", HEADS)
def test_a_keras_2_full_model(tmp_path, head):
    model = tiny_model(head=head, batch_norm_epsilon=2e-3, dropout=0.5)
    write_full_h5(tmp_path / "full.h5", network_of(model))
    again = convert.load(tmp_path / "full.h5")
    same_weights(model, again)
    same_form(model, again)
    assert again.metadata["user"]["converted"]["keras_version"] == "2.2.4"


@pytest.mark.parametrize("offset", [0, 1, 5, 98])
def test_shortcuts_are_numbered_from_anywhere(tmp_path, offset):
    """The published weights begin at conv2d_1 and batch_normalization_1; a second model of a process,
    anywhere. 98 makes names whose order as text is another one."""
    model, path = tiny_model(head="service"), tmp_path / "weights.h5"
    network = network_of(model)
    with h5py.File(path, "w") as file:
        write_named_weights(file, network, renamed(keras_layers(network.architecture), offset))
    same_weights(model, convert.load(path, input_size=71))


def test_layer_names_in_pieces_and_names_that_tensorflow_numbered_again(tmp_path):
    model, path = tiny_model(), tmp_path / "weights.h5"
    network = network_of(model)
    with h5py.File(path, "w") as file:
        write_named_weights(
            file,
            network,
            keras_layers(network.architecture),
            chunked=True,
            scope=lambda name: f"scope/{name}_1",
        )
    same_weights(model, convert.load(path, input_size=71))


def test_the_names_of_weights_before_keras_2(tmp_path):
    """block1_conv1_W:0 directly in the group, running_std for the variance."""
    old = {"kernel": "W", "bias": "b", "moving_mean": "running_mean", "moving_variance": "running_std"}
    model, path = tiny_model(), tmp_path / "weights.h5"
    network = network_of(model)
    with h5py.File(path, "w") as file:
        write_named_weights(file, network, keras_layers(network.architecture))
        for layer in keras_layers(network.architecture):
            group = file[layer.name]
            names = [
                name.decode() if isinstance(name, bytes) else name for name in group.attrs["weight_names"]
            ]
            for place, name in enumerate(names):
                part = name.split("/")[1][:-2]
                names[place] = f"{layer.name}_{old.get(part, part)}:0"
                group[names[place]] = group[name][()]
            group.attrs["weight_names"] = [name.encode() for name in names]
    same_weights(model, convert.load(path, input_size=71))


@pytest.mark.parametrize("described", [True, False])
def test_a_backbone_that_is_one_layer(tmp_path, described):
    model, path = tiny_model(head="service"), tmp_path / "nested.h5"
    network = network_of(model)
    layers = keras_layers(network.architecture)
    head = layers[[layer.kind for layer in layers].index("GlobalAveragePooling2D") :]
    with h5py.File(path, "w") as file:
        if described:
            file.attrs["model_config"] = json.dumps(nested_config(layers, head)).encode()
        write_nested_weights(file.create_group("model_weights"), network, layers, head)
    again = convert.load(path) if described else convert.load(path, input_size=71)
    same_weights(model, again)
    same_form(model, again)


@pytest.mark.parametrize("names", [True, False])
@pytest.mark.parametrize("head", HEADS)
def test_keras_3_weights_with_and_without_names(tmp_path, names, head):
    model, path = tiny_model(head=head), tmp_path / "net.weights.h5"
    path.write_bytes(weights_h5(network_of(model), names))
    same_weights(model, convert.load(path, input_size=71))


def test_the_word_of_tensorflow_2_13(tmp_path):
    model, path = tiny_model(), tmp_path / "net.keras"
    network = network_of(model)
    write_keras_archive(path, network, weights=weights_h5(network, word="_layer_checkpoint_dependencies"))
    same_weights(model, convert.load(path))


def test_weights_without_a_last_layer_get_a_new_one(tmp_path):
    model, path = tiny_model(), tmp_path / "notop.h5"
    network = network_of(model)
    with h5py.File(path, "w") as file:
        write_named_weights(
            file,
            network,
            [layer for layer in keras_layers(network.architecture) if layer.ours != "predictions"],
        )
    refused(path, "no last layer", "--classes")
    done = convert.convert(path, tmp_path / "net.safetensors", classes=["one", "two"], input_size=71, seed=3)
    assert any("random" in note for note in done.notes)
    assert done.model.classes == ["one", "two"]
    for name in done.model.params:
        if not name.startswith("predictions"):
            np.testing.assert_array_equal(done.model.params[name], model.params[name])
    again = convert.load(path, classes=["one", "two"], input_size=71, seed=3)
    same_weights(done.model, again)


def test_a_description_without_a_last_layer(tmp_path):
    model, path = tiny_model(), tmp_path / "notop.keras"
    network = network_of(model)
    layers = [layer for layer in keras_layers(network.architecture) if layer.ours != "predictions"]
    config = keras2_config(layers)
    write_keras_archive(path, network, config=config)
    assert convert.load(path, classes=["a", "b"]).classes == ["a", "b"]
    config["config"]["layers"].pop()
    config["config"]["output_layers"] = [[layers[-2].name, 0, 0]]
    write_keras_archive(path, network, config=config)
    assert convert.load(path, classes=["a"]).info.input_size == 71


def test_half_precision_becomes_single(tmp_path):
    model, path = tiny_model(), tmp_path / "half.h5"
    network = network_of(model)
    network.weights = {name: values.astype(np.float16) for name, values in network.weights.items()}
    write_full_h5(path, network)
    again = convert.load(path)
    for name in again.params:
        np.testing.assert_array_equal(again.params[name], network.weights[name].astype(np.float32))


@pytest.mark.parametrize(
    "options", [{"compression": "gzip", "shuffle": True}, {"chunks": True, "fletcher32": True}]
)
def test_compressed_weights(tmp_path, options):
    model, path = tiny_model(), tmp_path / "net.h5"
    convert.save(model, path)
    with h5py.File(path, "r+") as file:
        values = file["block1_conv1/block1_conv1/kernel:0"][()]
        del file["block1_conv1/block1_conv1/kernel:0"]
        file["block1_conv1"].create_dataset("block1_conv1/kernel:0", data=values, **options)
    same_weights(model, convert.load(path, input_size=71))


def test_published_width_is_found(tmp_path):
    """Full channels, the smallest depth: what names and shapes say of a network of the published width."""
    model = tiny_model(width=1, middle_blocks=1)
    convert.save(model, tmp_path / "net.h5")
    assert convert.load(tmp_path / "net.h5", input_size=71).info.width == 1


@pytest.mark.parametrize("width", [0.05, 0.1, 0.25, 0.3, 0.5, 0.75, 1.25, 2])
def test_width_is_found_from_channels(width):
    from libdeep.convert.architecture import backbone, channels_of, find_width

    layers = backbone(2)
    channels = {layer.name: channels_of(layer.outputs, width) for layer in layers}
    assert find_width(channels, layers) == (width, "")
    channels["block5_sepconv1"] += 8
    assert find_width(channels, layers) == (None, "block5_sepconv1")


def test_classes_and_their_ids(tmp_path):
    model, path = tiny_model(), tmp_path / "net.h5"
    convert.save(model, path)
    again = convert.load(path, classes=["a", "b", "ü"], aphia_ids=[0, 12, 0], input_size=71, mean=[1, 2, 3])
    assert (again.classes, again.aphia_ids, again.info.mean) == (["a", "b", "ü"], [0, 12, 0], (1, 2, 3))
    refused(path, "2 class names for 3 outputs", classes=["a", "b"])
    refused(path, "1 AphiaIDs for 3 classes", classes=["a", "b", "c"], aphia_ids=[4])
    with pytest.raises(TypeError, match="unknown option colour"):
        convert.load(path, colour="blue")


def test_a_symmetric_model_is_no_keras_model(tmp_path):
    model = tiny_model(padding="symmetric")
    for name in ("net.keras", "net.h5", "net.weights.h5"):
        with pytest.raises(convert.ConvertError, match="pads its pools"):
            convert.save(model, tmp_path / name)
        assert not (tmp_path / name).exists()
    assert any("pads" in note for note in convert.save(model, tmp_path / "net.keras", force=True))


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "net.keras"
    path.write_bytes(b"old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError):
        convert.save(tiny_model(), path)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_the_examples_of_the_page(tmp_path, monkeypatch):
    pytest.importorskip("onnx", reason="onnx is not installed")
    monkeypatch.chdir(tmp_path)
    convert.save(tiny_model(2), "net.keras")
    page = pathlib.Path(__file__).resolve().parents[2] / "docs" / "convert.md"
    flags = doctest.NORMALIZE_WHITESPACE
    failed, tried = doctest.testfile(str(page), module_relative=False, optionflags=flags)
    assert tried >= 6 and failed == 0
