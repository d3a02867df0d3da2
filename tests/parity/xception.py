# SPDX-License-Identifier: Apache-2.0
"""The layers of Xception by name, in the order of the forward pass: a list that no framework and no libdeep
made.

Names are those that libdeep gives to a session's layers: Keras's, with block<n>_shortcut[_bn] and
block<n>_add for Keras's automatic names.
"""

from __future__ import annotations

from typing import NamedTuple

ENTRY = ((2, 128), (3, 256), (4, 728))  # block, channels


class Layer(NamedTuple):
    name: str
    kind: str  # conv, separable, norm, relu, pool, add, average, dense, softmax
    inputs: tuple  # names; "input" is the network's
    shape: tuple = ()  # conv: HWIO; separable: (channels in, channels out); dense: IO; norm: (channels,)
    stride: int = 1
    padding: str = "same"


class _Builder:
    """Grows the list; `at` is the last layer's name and `channels` its channels."""

    def __init__(self, width: float) -> None:
        self.width, self.made, self.at, self.channels = width, [], "input", 3

    def count(self, published: int) -> int:
        return max(8, int(published * self.width / 8 + 0.5) * 8)

    def add(self, name: str, kind: str, inputs: tuple = (), **rest) -> None:
        self.made.append(Layer(name, kind, inputs or (self.at,), **rest))
        self.at = name

    def norm(self, name: str) -> None:
        self.add(name, "norm", shape=(self.channels,))

    def conv(self, name: str, side: int, stride: int, padding: str, published: int) -> None:
        out = self.count(published)
        self.add(name, "conv", shape=(side, side, self.channels, out), stride=stride, padding=padding)
        self.channels = out
        self.norm(name + "_bn")

    def separable(self, name: str, published: int) -> None:
        out = self.count(published)
        self.add(name, "separable", shape=(self.channels, out))
        self.channels = out
        self.norm(name + "_bn")

    def dense(self, name: str, out: int) -> None:
        self.add(name, "dense", shape=(self.channels, out))
        self.channels = out

    def down(self, block: int, first: int, second: int) -> None:
        """Two separable convolutions and a pool, beside a strided shortcut that starts before the ReLU."""
        start, channels = self.at, self.channels
        self.conv(f"block{block}_shortcut", 1, 2, "same", second)
        shortcut, self.at, self.channels = self.at, start, channels
        if block != 2:
            self.add(f"block{block}_sepconv1_act", "relu")
        self.separable(f"block{block}_sepconv1", first)
        self.add(f"block{block}_sepconv2_act", "relu")
        self.separable(f"block{block}_sepconv2", second)
        self.add(f"block{block}_pool", "pool")
        self.add(f"block{block}_add", "add", (self.at, shortcut))

    def middle(self, block: int) -> None:
        start = self.at
        for index in (1, 2, 3):
            self.add(f"block{block}_sepconv{index}_act", "relu")
            self.separable(f"block{block}_sepconv{index}", 728)
        self.add(f"block{block}_add", "add", (self.at, start))


def layers(
    head: str = "imagenet", classes: int = 7, width: float = 1.0, middle_blocks: int = 8
) -> list[Layer]:
    """Every layer of Xception with head "imagenet" (pool, dense) or "service" (pool, dense 1024 with ReLU,
    dense)."""
    b = _Builder(width)
    for index, stride, channels in ((1, 2, 32), (2, 1, 64)):
        b.conv(f"block1_conv{index}", 3, stride, "valid", channels)
        b.add(f"block1_conv{index}_act", "relu")
    for block, channels in ENTRY:
        b.down(block, channels, channels)
    for block in range(5, 5 + middle_blocks):
        b.middle(block)
    block = 5 + middle_blocks
    b.down(block, 728, 1024)
    for index, channels in ((1, 1536), (2, 2048)):
        b.separable(f"block{block + 1}_sepconv{index}", channels)
        b.add(f"block{block + 1}_sepconv{index}_act", "relu")
    b.add("avg_pool", "average")
    if head == "service":
        b.dense("dense", b.count(1024))
        b.add("dense_act", "relu")
    b.dense("predictions", classes)
    b.add("predictions_softmax", "softmax")
    return b.made


def sides(size: int, listed: list[Layer]) -> dict[str, int]:
    """Side of each layer's square output, 1 after the pooling, for input of `size`; either padding gives the
    same."""
    found = {"input": size}
    for layer in listed:
        side = found[layer.inputs[0]]
        if layer.kind == "conv" and layer.padding == "valid":
            side = (side - layer.shape[0]) // layer.stride + 1
        elif layer.kind == "pool" or layer.stride == 2:
            side = -(-side // 2)
        found[layer.name] = 1 if layer.kind == "average" else side
    return found
