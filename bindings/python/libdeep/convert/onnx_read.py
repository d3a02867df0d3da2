# SPDX-License-Identifier: Apache-2.0
"""ONNX files into the neutral form: those written here, by tf2onnx from Keras, and by torch.onnx from
timm."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, List, Optional, Sequence

import numpy

from .architecture import Shape
from .errors import Where
from .limits import MAX_JSON_BYTES, one_value, parse_json
from .match import Match, match_xception
from .network import (
    Network,
    Preprocessing,
    parse_class_lists,
    read_weights,
    restored,
    settle_architecture,
    transposed_shape,
)
from .onnx_graph import OnnxWalk
from .onnx_proto import parse_model
from .onnx_values import Affine
from .onnx_write import METADATA
from .options import ReadOptions

VECTORS = {"gamma": 0, "beta": 1, "moving_mean": 2, "moving_variance": 3}


def _properties(where: Where, model: Any) -> Dict[str, Any]:
    """What libdeep wrote into metadata_props, parsed; {} for files of other programs."""
    found: Dict[str, Any] = {}
    for entry in model.metadata_props:
        if not entry.key.startswith(METADATA):
            continue
        name = entry.key[len(METADATA) :]
        if name in found or len(entry.value) > MAX_JSON_BYTES:
            raise where.refuse(entry.key, "stands twice, or is too long")
        # parse_json() takes objects only, so a list is read as a member of one.
        wrapped = b'{"value":' + entry.value.encode("utf-8", "surrogateescape") + b"}"
        found[name] = parse_json(where, entry.key, wrapped).get("value")
    return found


def _list_of(where: Where, properties: Dict[str, Any], name: str, kind: type) -> Optional[Sequence[Any]]:
    value = properties.get(name)
    if value is None or value == []:
        return None
    if not isinstance(value, list) or not all(
        isinstance(one, kind) and not isinstance(one, bool) for one in value
    ):
        raise where.refuse(METADATA + name, f"is {one_value(value)}")
    return value


def _preprocessing(where: Where, properties: Dict[str, Any]) -> Preprocessing:
    value = properties.get("preprocessing", {})
    if not isinstance(value, dict):
        raise where.refuse(METADATA + "preprocessing", f"is {one_value(value)}")
    known = {name: value[name] for name in ("mode", "filter", "fit") if isinstance(value.get(name), str)}
    images = replace(Preprocessing(), **known)
    for name in ("mean", "std"):
        numbers: Optional[List[float]] = value.get(name)
        if (
            isinstance(numbers, list)
            and len(numbers) == 3
            and all(isinstance(one, (int, float)) for one in numbers)
        ):
            setattr(images, name, tuple(float(one) for one in numbers))
    return images


def _kernel(where: Where, name: str, node_name: str, values: numpy.ndarray, shape: Shape) -> numpy.ndarray:
    if values.shape != shape:
        raise where.refuse(node_name, f"weights of shape {values.shape}, {name} has {shape}")
    return values


def _reader(where: Where, match: Match) -> Any:
    """The function that finds a parameter among the matched nodes."""

    def read(name: str, shape: Shape) -> numpy.ndarray:
        layer, suffix = name.split(".")
        if suffix in VECTORS:
            node = match.nodes[layer]
            affine: Affine = node.source
            return _kernel(where, name, node.name, affine.vectors(match.epsilon)[VECTORS[suffix]], shape)
        if layer in ("dense", "predictions"):
            node = match.nodes[layer]
            return numpy.ascontiguousarray(
                _kernel(where, name, node.name, node.source[suffix], shape), dtype=numpy.float32
            )
        part = {"depthwise_kernel": ".depthwise", "pointwise_kernel": ".pointwise"}.get(suffix, "")
        node = match.nodes[layer + part]
        return restored(name, _kernel(where, name, node.name, node.source, transposed_shape(name, shape)))

    return read


def _folded(match: Match) -> int:
    """Batch norms that the exporter had folded away."""
    return sum(1 for node in match.nodes.values() if node.kind == "norm" and not node.source.is_norm())


def read_onnx(path: str, options: ReadOptions) -> Network:
    """The network that a graph computes."""
    where = Where(path)
    model = parse_model(path, where)
    properties = _properties(where, model)
    match = match_xception(OnnxWalk(where, model).walk(), options.size)
    match.padding = options.padding or match.padding
    match.epsilon = options.batch_norm_epsilon or match.epsilon
    architecture = settle_architecture(where, match, options.size, 0)
    written = properties.get("architecture")
    if isinstance(written, dict):
        _take_written(architecture, written)
    weights = read_weights(where, architecture, _reader(where, match))
    classes, aphia_ids = parse_class_lists(
        where,
        options.classes or _list_of(where, properties, "classes", str),
        options.aphia_ids or _list_of(where, properties, "aphia_ids", int),
        architecture.classes,
    )
    network = Network(
        architecture,
        weights,
        classes,
        aphia_ids,
        _preprocessing(where, properties),
        {"format": "onnx", "producer": model.producer_name[:80]},
    )
    if _folded(match):
        network.notes.append(
            f"{_folded(match)} batch norms were folded into convolutions: their weights are those of "
            "the graph, no longer those that were trained"
        )
    if not match.input_size:
        network.notes.append(
            f"the graph leaves the input's size open: {architecture.input_size} pixels assumed "
            "(--input-size)"
        )
    return network


def _take_written(architecture: Any, written: Dict[str, Any]) -> None:
    """What a graph for inference has no place for."""
    dropout, padding = written.get("dropout"), written.get("padding")
    if isinstance(dropout, float) and 0 <= dropout < 1:
        architecture.dropout = dropout
    # Where every map has an odd side the pads of both rules are the same, and the graph cannot tell them
    # apart.
    if (
        padding in ("same", "symmetric")
        and architecture.padding != padding
        and _all_odd(architecture.input_size)
    ):
        architecture.padding = padding


def _all_odd(side: int) -> bool:
    """Whether each map that is pooled has an odd side."""
    side = (side - 3) // 2 + 1 - 2
    for _ in range(4):
        if side % 2 == 0:
            return False
        side = (side + 1) // 2
    return True
