# SPDX-License-Identifier: Apache-2.0
"""Xception as a list of layers with libdeep's names, and how to tell its width from channel counts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Dict, Iterator, List, Mapping, Optional, Tuple

Shape = Tuple[int, ...]

PUBLISHED_EPSILON = 1e-3  # keras.applications.Xception
TORCH_EPSILON = 1e-5  # torch.nn.BatchNorm2d
DEFAULT_INPUT_SIZE = 299
MIN_INPUT_SIZE, MAX_INPUT_SIZE = 71, 1000
MIN_WIDTH, MAX_WIDTH = Fraction(1, 100), Fraction(4)
MAX_MIDDLE_BLOCKS = 64
MAX_CLASSES = 100_000
HIDDEN_UNITS = 1024  # of the service's head
FEATURES = 2048  # channels of the last convolution

SUFFIXES: Dict[str, Tuple[str, ...]] = {
    "conv": ("kernel",),
    "separable": ("depthwise_kernel", "pointwise_kernel"),
    "norm": ("gamma", "beta", "moving_mean", "moving_variance"),
    "dense": ("kernel", "bias"),
}


@dataclass(frozen=True)
class Layer:
    """A layer with weights. ``inputs`` and ``outputs`` are channels of the published network, before the
    width."""

    name: str
    kind: str  # a key of SUFFIXES
    inputs: int
    outputs: int
    window: int = 1  # side of the kernel


@dataclass
class Architecture:
    """What deep_model_options says of the network's form."""

    classes: int = 1000
    head: str = "imagenet"  # or 'service': a hidden dense layer before the last
    width: float = 1.0
    middle_blocks: int = 8
    input_size: int = DEFAULT_INPUT_SIZE
    input_channels: int = 3
    padding: str = "same"  # or 'symmetric'
    batch_norm_epsilon: float = PUBLISHED_EPSILON
    dropout: float = 0.0


def channels_of(published: int, width: float) -> int:
    """Channels under the width multiplier: a multiple of 8, and the published count at width 1."""
    return max(8, int(math.floor(published * width / 8 + 0.5)) * 8)


def _unit(block: int, kind: str, index: int, inputs: int, outputs: int) -> List[Layer]:
    name = f'block{block}_{"conv" if kind == "conv" else "sepconv"}{index}'
    return [Layer(name, kind, inputs, outputs, 3), Layer(name + "_bn", "norm", outputs, outputs)]


def _down_block(block: int, inputs: int, first: int, second: int) -> List[Layer]:
    name = f"block{block}_shortcut"
    return [
        Layer(name, "conv", inputs, second),
        Layer(name + "_bn", "norm", second, second),
        *_unit(block, "separable", 1, inputs, first),
        *_unit(block, "separable", 2, first, second),
    ]


def shortcut_blocks(middle_blocks: int) -> Tuple[int, int, int, int]:
    """Numbers of the blocks with a convolution beside them: 2, 3, 4, 13 in the published network."""
    return 2, 3, 4, 5 + middle_blocks


def backbone(middle_blocks: int) -> List[Layer]:
    """The layers below the head, in libdeep's order."""
    layers = _unit(1, "conv", 1, 3, 32) + _unit(1, "conv", 2, 32, 64)
    for block, inputs, outputs in ((2, 64, 128), (3, 128, 256), (4, 256, 728)):
        layers += _down_block(block, inputs, outputs, outputs)
    for block in range(5, 5 + middle_blocks):
        for index in (1, 2, 3):
            layers += _unit(block, "separable", index, 728, 728)
    last = 5 + middle_blocks
    layers += _down_block(last, 728, 728, 1024)
    return (
        layers + _unit(last + 1, "separable", 1, 1024, 1536) + _unit(last + 1, "separable", 2, 1536, FEATURES)
    )


def head_layers(head: str) -> List[Layer]:
    """The dense layers; the last one's outputs are the classes, which no width changes (outputs 0 here)."""
    if head == "service":
        return [
            Layer("dense", "dense", FEATURES, HIDDEN_UNITS),
            Layer("predictions", "dense", HIDDEN_UNITS, 0),
        ]
    return [Layer("predictions", "dense", FEATURES, 0)]


def all_layers(architecture: Architecture) -> List[Layer]:
    return backbone(architecture.middle_blocks) + head_layers(architecture.head)


def layer_shapes(layer: Layer, architecture: Architecture) -> Iterator[Tuple[str, Shape]]:
    """(suffix, shape) of each weight: kernels HWIO, depthwise HWC1, dense IO."""
    # The image's three colours are no channels of the network and have no width.
    inputs = 3 if layer.name == "block1_conv1" else channels_of(layer.inputs, architecture.width)
    outputs = channels_of(layer.outputs, architecture.width) if layer.outputs else architecture.classes
    side = layer.window
    shapes: Dict[str, List[Shape]] = {
        "conv": [(side, side, inputs, outputs)],
        "separable": [(side, side, inputs, 1), (1, 1, inputs, outputs)],
        "norm": [(outputs,)] * 4,
        "dense": [(inputs, outputs), (outputs,)],
    }
    return zip(SUFFIXES[layer.kind], shapes[layer.kind])


def parameter_shapes(architecture: Architecture) -> Dict[str, Shape]:
    """libdeep's parameter names with their shapes, in libdeep's order."""
    return {
        f"{layer.name}.{suffix}": shape
        for layer in all_layers(architecture)
        for suffix, shape in layer_shapes(layer, architecture)
    }


def _width_bounds(published: int, channels: int) -> Tuple[Fraction, Fraction]:
    """Widths w, from the first to below the second, under which ``published`` becomes ``channels``."""
    low = MIN_WIDTH if channels == 8 else Fraction(channels - 4, published)
    return low, Fraction(channels + 4, published)


def _plain_number(low: Fraction, high: Fraction) -> float:
    """1 if it lies in [low, high), else the number with the fewest decimals there."""
    if low <= 1 < high:
        return 1.0
    for decimals in range(1, 10):
        scale = 10**decimals
        candidate = Fraction(-(-low.numerator * scale // low.denominator), scale)
        if candidate < high:
            return float(candidate)
    return float((low + high) / 2)


def find_width(channels: Mapping[str, int], layers: List[Layer]) -> Tuple[Optional[float], str]:
    """The width multiplier under which ``layers`` have the outputs ``channels`` (layer name -> channels).

    Gives (width, '') or (None, the name of a layer that does not fit the others).
    """
    low, high = MIN_WIDTH, MAX_WIDTH + Fraction(1, 1000)
    scaled = [layer for layer in layers if layer.outputs and layer.kind != "norm"]
    # The widest layer narrows the width most, so what disagrees with it is named.
    for layer in sorted(scaled, key=lambda one: -one.outputs):
        count = channels[layer.name]
        bounds = _width_bounds(layer.outputs, count)
        if count < 8 or count % 8 or max(low, bounds[0]) >= min(high, bounds[1]):
            return None, layer.name
        low, high = max(low, bounds[0]), min(high, bounds[1])
    width = _plain_number(low, high)
    for layer in scaled:
        if channels_of(layer.outputs, width) != channels[layer.name]:
            return None, layer.name
    return width, ""
