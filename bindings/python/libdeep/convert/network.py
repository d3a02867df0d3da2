# SPDX-License-Identifier: Apache-2.0
"""The neutral form between formats: Xception's options and weights under libdeep's names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy

from .architecture import (
    MAX_CLASSES,
    MAX_INPUT_SIZE,
    MIN_INPUT_SIZE,
    Architecture,
    Shape,
    all_layers,
    backbone,
    find_width,
    head_layers,
    parameter_shapes,
)
from .errors import Where
from .match import Match

TF_MEAN = (127.5, 127.5, 127.5)  # pixels 0..255 become -1..1, as keras.applications.xception and timm have it


@dataclass
class Preprocessing:
    """From pixels 0..255 to the network's input; see deep_model_options."""

    mode: str = "tf"
    mean: Optional[Sequence[float]] = TF_MEAN
    std: Optional[Sequence[float]] = None
    filter: str = "bilinear"
    fit: str = "squash"


@dataclass
class Network:
    """A converted network. ``weights`` may lack the last dense layer: then it is made anew (``notes`` says
    so)."""

    architecture: Architecture
    weights: Dict[str, numpy.ndarray]
    classes: List[str] = field(default_factory=list)
    aphia_ids: List[int] = field(default_factory=list)  # empty or one for each class, 0 = unknown
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    provenance: Dict[str, Any] = field(default_factory=dict)
    notes: List[str] = field(default_factory=list)


Reader = Callable[[str, Shape], numpy.ndarray]


def settle_architecture(where: Where, match: Match, default_size: int, classes: int) -> Architecture:
    """The options of what was matched; its channel counts must be Xception's under one width multiplier.

    ``classes`` is for a network without its last layer.
    """
    channels = match.channels()
    layers = backbone(match.middle_blocks)
    if "predictions" in match.nodes:
        layers += head_layers(match.head)
        classes = channels["predictions"]
    width, odd = find_width(channels, layers)
    if width is None:
        raise where.refuse(
            match.nodes[odd if odd in match.nodes else odd + ".pointwise"].name,
            f"{channels[odd]} channels do not fit Xception, nor one width multiplier for all layers",
        )
    if not 1 <= classes <= MAX_CLASSES:
        raise where.refuse("", f"{classes} classes, not 1 to {MAX_CLASSES}")
    size = match.input_size or default_size
    if not MIN_INPUT_SIZE <= size <= MAX_INPUT_SIZE:
        raise where.refuse("", f"input of {size} pixels, not {MIN_INPUT_SIZE} to {MAX_INPUT_SIZE}")
    return Architecture(
        classes=classes,
        head=match.head,
        width=width,
        middle_blocks=match.middle_blocks,
        input_size=size,
        padding=match.padding,
        batch_norm_epsilon=match.epsilon,
        dropout=match.dropout,
    )


def check_values(where: Where, name: str, values: numpy.ndarray) -> numpy.ndarray:
    """``values`` if each is a finite number, and no variance is negative."""
    if not numpy.isfinite(values).all():
        index = int(numpy.flatnonzero(~numpy.isfinite(values))[0])
        raise where.refuse(name, f"value {index} is {values.reshape(-1)[index]}")
    if name.endswith(".moving_variance") and (values < 0).any():
        raise where.refuse(name, f"a variance is {values.min()}")
    return values


def read_weights(
    where: Where, architecture: Architecture, read: Reader, top: bool = True
) -> Dict[str, numpy.ndarray]:
    """Every parameter through ``read(name, shape)``; without ``top`` the dense layers are left out."""
    dense = {layer.name for layer in all_layers(architecture) if layer.kind == "dense"}
    weights: Dict[str, numpy.ndarray] = {}
    for name, shape in parameter_shapes(architecture).items():
        if top or name.split(".")[0] not in dense:
            weights[name] = check_values(where, name, read(name, shape))
    return weights


def check_complete(network: Network) -> None:
    """ValueError unless ``weights`` are exactly the architecture's."""
    shapes = parameter_shapes(network.architecture)
    for name, shape in shapes.items():
        if name not in network.weights or network.weights[name].shape != shape:
            raise ValueError(f"{name} is missing or has another shape than {shape}")
    for name in network.weights:
        if name not in shapes:
            raise ValueError(f"{name} is no parameter of this architecture")


def parse_class_lists(
    where: Where, names: Optional[Sequence[str]], aphia_ids: Optional[Sequence[int]], count: int
) -> Tuple[List[str], List[int]]:
    """Class names and AphiaIDs checked against the number of outputs; names default to numbers."""
    names = [str(index) for index in range(count)] if names is None else list(names)
    ids = list(aphia_ids or [])
    if len(names) != count:
        raise where.refuse("", f"{len(names)} class names for {count} outputs")
    if len(ids) not in (0, count):
        raise where.refuse("", f"{len(ids)} AphiaIDs for {count} classes")
    for number in ids:
        if not 0 <= number < 2**63:
            raise where.refuse("", f"{number} is no AphiaID")
    return names, ids


def transposed(weights: Mapping[str, numpy.ndarray], name: str) -> numpy.ndarray:
    """A weight in PyTorch's and ONNX's layout: kernels OIHW, depthwise C1HW, dense OI."""
    values = weights[name]
    if name.endswith(".depthwise_kernel"):
        return numpy.ascontiguousarray(values.transpose(2, 3, 0, 1))
    if values.ndim == 4:
        return numpy.ascontiguousarray(values.transpose(3, 2, 0, 1))
    return numpy.ascontiguousarray(values.T)


def transposed_shape(name: str, shape: Shape) -> Shape:
    """The shape that transposed() gives for libdeep's ``shape``."""
    if name.endswith(".depthwise_kernel"):
        return shape[2], shape[3], shape[0], shape[1]
    if len(shape) == 4:
        return shape[3], shape[2], shape[0], shape[1]
    return tuple(reversed(shape))


def restored(name: str, values: numpy.ndarray) -> numpy.ndarray:
    """The inverse of transposed()."""
    if name.endswith(".depthwise_kernel"):
        return numpy.ascontiguousarray(values.transpose(2, 3, 0, 1))
    if values.ndim == 4:
        return numpy.ascontiguousarray(values.transpose(2, 3, 1, 0))
    return numpy.ascontiguousarray(values.T)
