# SPDX-License-Identifier: Apache-2.0
"""The layers of keras.applications.Xception in Keras's own order and with its names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, Iterator, List, Tuple

from .architecture import HIDDEN_UNITS, Architecture, channels_of

LINEAR, RELU, SOFTMAX = "linear", "relu", "softmax"


@dataclass
class KerasLayer:
    """A layer of the model. ``ours`` is libdeep's name of the layer with these weights, '' when there are
    none; ``shape`` that of the output without the batch; ``options`` what belongs into the layer's
    configuration.
    """

    kind: str  # Keras's class name
    name: str
    inputs: List[str]
    shape: Tuple[int, ...]
    ours: str = ""
    options: Dict[str, Any] = field(default_factory=dict)


# What Keras 3 calls the classes in weight files, before it numbers them.
SNAKE_CASE = {
    "InputLayer": "input_layer",
    "Conv2D": "conv2d",
    "SeparableConv2D": "separable_conv2d",
    "Dense": "dense",
    "BatchNormalization": "batch_normalization",
    "Activation": "activation",
    "ReLU": "re_lu",
    "Softmax": "softmax",
    "MaxPooling2D": "max_pooling2d",
    "GlobalAveragePooling2D": "global_average_pooling2d",
    "Add": "add",
    "Dropout": "dropout",
    "Functional": "functional",
    "Model": "functional",
    "Sequential": "sequential",
}


class Counter:
    """Numbers equal names as Keras does: conv2d, conv2d_1, conv2d_2, ..."""

    def __init__(self) -> None:
        self._used: Dict[str, int] = {}

    def next(self, name: str) -> str:
        number = self._used.get(name, -1) + 1
        self._used[name] = number
        return f"{name}_{number}" if number else name


class _Builder:
    def __init__(self, architecture: Architecture) -> None:
        self.architecture = architecture
        self.layers: List[KerasLayer] = []
        self.names = Counter()
        self.side = architecture.input_size

    def append(
        self, kind: str, name: str, inputs: List[str], channels: int, ours: str = "", **options: Any
    ) -> str:
        shape = (self.side, self.side, channels) if self.side else (channels,)
        self.layers.append(KerasLayer(kind, name, inputs, shape, ours, options))
        return name

    def width(self, published: int) -> int:
        return channels_of(published, self.architecture.width)

    def norm(self, name: str, value: str, channels: int, ours: str = "") -> str:
        return self.append(
            "BatchNormalization",
            name,
            [value],
            channels,
            ours or name,
            epsilon=self.architecture.batch_norm_epsilon,
        )

    def relu(self, name: str, value: str, channels: int) -> str:
        return self.append("Activation", name, [value], channels, activation=RELU)

    def conv_unit(self, index: int, value: str, stride: int, channels: int) -> str:
        name = f"block1_conv{index}"
        self.side = (self.side - 3) // stride + 1
        value = self.append(
            "Conv2D",
            name,
            [value],
            channels,
            name,
            filters=channels,
            kernel_size=[3, 3],
            strides=[stride, stride],
            padding="valid",
        )
        return self.relu(f"{name}_act", self.norm(f"{name}_bn", value, channels), channels)

    def separable(self, name: str, value: str, channels: int) -> str:
        value = self.append(
            "SeparableConv2D",
            name,
            [value],
            channels,
            name,
            filters=channels,
            kernel_size=[3, 3],
            strides=[1, 1],
            padding="same",
        )
        return self.norm(f"{name}_bn", value, channels)

    def down_block(self, block: int, value: str, inputs: int, first: int, second: int) -> str:
        """Keras lists the shortcut late: a layer stands before those that need it, the nearest to the output
        last."""
        start, name = value, f"block{block}"
        if block != 2:
            value = self.relu(f"{name}_sepconv1_act", value, inputs)
        value = self.separable(f"{name}_sepconv1", value, first)
        value = self.relu(f"{name}_sepconv2_act", value, first)
        value = self.separable(f"{name}_sepconv2", value, second)
        self.side = (self.side + 1) // 2
        beside = self.append(
            "Conv2D",
            self.names.next("conv2d"),
            [start],
            second,
            f"{name}_shortcut",
            filters=second,
            kernel_size=[1, 1],
            strides=[2, 2],
            padding="same",
        )
        value = self.append("MaxPooling2D", f"{name}_pool", [value], second)
        beside = self.norm(self.names.next("batch_normalization"), beside, second, f"{name}_shortcut_bn")
        return self.append("Add", self.names.next("add"), [value, beside], second)

    def middle_block(self, block: int, value: str) -> str:
        start, channels = value, self.width(728)
        for index in (1, 2, 3):
            name = f"block{block}_sepconv{index}"
            value = self.separable(name, self.relu(f"{name}_act", value, channels), channels)
        return self.append("Add", self.names.next("add"), [value, start], channels)

    def exit_flow(self, block: int, value: str) -> str:
        for index, published in ((1, 1536), (2, 2048)):
            name, channels = f"block{block}_sepconv{index}", self.width(published)
            value = self.relu(f"{name}_act", self.separable(name, value, channels), channels)
        return value

    def head(self, value: str) -> None:
        self.side = 0
        service, features, classes = (
            self.architecture.head == "service",
            self.width(2048),
            self.architecture.classes,
        )
        value = self.append(
            "GlobalAveragePooling2D", "global_average_pooling2d" if service else "avg_pool", [value], features
        )
        if service:
            features = self.width(HIDDEN_UNITS)
            value = self.append("Dense", "dense", [value], features, "dense", units=features, activation=RELU)
        if self.architecture.dropout:
            value = self.append("Dropout", "dropout", [value], features, rate=self.architecture.dropout)
        self.append(
            "Dense",
            "dense_1" if service else "predictions",
            [value],
            classes,
            "predictions",
            units=classes,
            activation=SOFTMAX,
        )


def keras_layers(architecture: Architecture) -> List[KerasLayer]:
    """All layers, weightless ones too, in the order of Keras's ``model.layers``."""
    build = _Builder(architecture)
    value = build.append("InputLayer", "input_layer", [], 3)
    value = build.conv_unit(1, value, 2, build.width(32))
    value = build.conv_unit(2, value, 1, build.width(64))
    for block, inputs, outputs in ((2, 64, 128), (3, 128, 256), (4, 256, 728)):
        value = build.down_block(
            block, value, build.width(inputs), build.width(outputs), build.width(outputs)
        )
    block = 5
    for block in range(5, 5 + architecture.middle_blocks):
        value = build.middle_block(block, value)
    value = build.down_block(block + 1, value, build.width(728), build.width(728), build.width(1024))
    build.head(build.exit_flow(block + 2, value))
    return build.layers


def numbered(layers: List[KerasLayer]) -> Iterator[Tuple[str, KerasLayer]]:
    """(name in a Keras 3 weights file, layer): snake-case class name, numbered in the order of the model."""
    names = Counter()
    for layer in layers:
        yield names.next(SNAKE_CASE[layer.kind]), layer
