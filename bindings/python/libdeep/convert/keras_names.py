# SPDX-License-Identifier: Apache-2.0
"""Weights without a description of the model: which layer of Xception is which, from names, numbers and
shapes."""

from __future__ import annotations

import re
from typing import Dict, List, Tuple

from .architecture import SUFFIXES, Architecture, backbone, shortcut_blocks
from .errors import Where
from .graph import Node
from .keras_layers import SNAKE_CASE, KerasLayer, keras_layers
from .keras_weights import StoredLayer, in_order
from .limits import MAX_LAYERS
from .match import Match

OWN_NAME = re.compile(r"block(\d+)_(conv|sepconv|shortcut)(\d?)(_bn)?")
Layers = Dict[str, StoredLayer]  # libdeep's layer name -> what the file has for it


def _sorted_by_name(where: Where, stored: List[StoredLayer]) -> Tuple[Layers, Dict[str, List[StoredLayer]]]:
    """Layers whose names are Xception's, and the others by kind."""
    named: Layers = {}
    others: Dict[str, List[StoredLayer]] = {kind: [] for kind in SUFFIXES}
    for layer in stored:
        kind = layer.kind()
        if not kind:
            raise where.refuse(
                layer.name,
                f"weights of shapes {[shape for _, _, shape in layer.weights]} belong to "
                "no layer of Xception",
            )
        if OWN_NAME.fullmatch(layer.name):
            if layer.name in named:
                raise where.refuse(layer.name, "a layer of this name is already there")
            named[layer.name] = layer
        else:
            others[kind].append(layer)
    return named, others


def _middle_blocks(where: Where, named: Layers) -> int:
    """Blocks between 4 and the last two, from the highest number in a name."""
    blocks = [int(OWN_NAME.fullmatch(name).group(1)) for name in named]  # type: ignore[union-attr]
    if not blocks or max(blocks) < 7:
        raise where.refuse("", "has no layers named block1_conv1 to block14_sepconv2: not Xception")
    return max(blocks) - 6


def _place_shortcuts(
    where: Where, named: Layers, others: Dict[str, List[StoredLayer]], middle_blocks: int
) -> None:
    """The four shortcuts, which Keras numbers through: in the order of their numbers, whatever the first one
    is."""
    for kind, suffix in (("conv", ""), ("norm", "_bn")):
        names = [f"block{block}_shortcut{suffix}" for block in shortcut_blocks(middle_blocks)]
        names = [name for name in names if name not in named]
        found = in_order(others[kind])
        if len(found) != len(names):
            raise where.refuse(
                "",
                f"{len(found)} {kind} layers without a name of Xception's "
                f'({", ".join(layer.name for layer in found[:5])}), {len(names)} are expected',
            )
        named.update(zip(names, found))


def _place_head(where: Where, named: Layers, dense: List[StoredLayer]) -> str:
    """The dense layers: none, the last, or the hidden one and the last. Gives the head's name, '' for
    none."""
    last = [layer for layer in dense if layer.name == "predictions"]
    found = in_order([layer for layer in dense if layer not in last]) + last
    if len(found) > 2:
        raise where.refuse(found[2].name, f"{len(found)} dense layers, libdeep has one or two")
    named.update(zip(["dense", "predictions"][2 - len(found) :], found))
    return {0: "", 1: "imagenet", 2: "service"}[len(found)]


def by_names(where: Where, stored: List[StoredLayer]) -> Tuple[Layers, int, str]:
    """(layers, middle blocks, head) from the layers' names."""
    if len(stored) > MAX_LAYERS:
        raise where.refuse("", f"{len(stored)} layers, the limit is {MAX_LAYERS}")
    named, others = _sorted_by_name(where, stored)
    middle_blocks = _middle_blocks(where, named)
    _place_shortcuts(where, named, others, middle_blocks)
    if others["separable"]:
        raise where.refuse(others["separable"][0].name, "is no layer of Xception")
    return named, middle_blocks, _place_head(where, named, others["dense"])


def by_order(where: Where, stored: List[StoredLayer]) -> Tuple[Layers, int, str]:
    """(layers, middle blocks, head) of a Keras 3 file without names: the n-th layer of a class is the n-th of
    Keras's own Xception."""
    found: Dict[str, List[StoredLayer]] = {kind: [] for kind in SUFFIXES}
    for layer in stored:
        if not layer.kind():
            raise where.refuse(layer.name, "has weights of no layer of Xception")
        found[layer.kind()].append(layer)
    middle_blocks, rest = divmod(len(found["separable"]) - 10, 3)
    if rest or middle_blocks < 1 or len(found["dense"]) > 2:
        raise where.refuse(
            "", f'{len(found["separable"])} separable and {len(found["dense"])} dense layers: ' "not Xception"
        )
    head = {0: "", 1: "imagenet", 2: "service"}[len(found["dense"])]
    layers: Layers = {}
    model = keras_layers(Architecture(middle_blocks=middle_blocks, head=head or "imagenet"))
    for kind, ours in _ours_by_kind(model).items():
        if kind == "dense" and not head:
            continue
        if len(ours) != len(found[kind]):
            raise where.refuse("", f"{len(found[kind])} {kind} layers, Xception has {len(ours)}")
        layers.update(zip(ours, found[kind]))
    return layers, middle_blocks, head


def _ours_by_kind(model: List[KerasLayer]) -> Dict[str, List[str]]:
    """libdeep's layer names by kind, in Keras's order."""
    kinds = {"Conv2D": "conv", "SeparableConv2D": "separable", "BatchNormalization": "norm", "Dense": "dense"}
    names: Dict[str, List[str]] = {kind: [] for kind in SUFFIXES}
    for layer in model:
        if layer.ours and layer.kind in SNAKE_CASE:
            names[kinds[layer.kind]].append(layer.ours)
    return names


def as_match(where: Where, layers: Layers, middle_blocks: int, head: str) -> Match:
    """What match_xception() would have found; channels are those of the stored shapes."""
    match = Match(middle_blocks=middle_blocks, head=head or "imagenet")
    expected = backbone(middle_blocks)
    for layer in expected:
        if layer.name not in layers:
            raise where.refuse(layer.name, "is missing")
        if layers[layer.name].kind() != layer.kind:
            raise where.refuse(
                layers[layer.name].name,
                f"has the weights of a {layers[layer.name].kind()} layer, "
                f"{layer.name} is a {layer.kind} layer",
            )
    surplus = sorted(set(layers) - {layer.name for layer in expected} - {"dense", "predictions"})
    if surplus:
        raise where.refuse(
            layers[surplus[0]].name, f"is no layer of an Xception with {middle_blocks} middle blocks"
        )
    for name, stored in layers.items():
        shapes = [shape for _, _, shape in stored.weights]
        if stored.kind() in ("conv", "separable"):
            match.nodes[name] = Node(stored.name, "conv", attributes={"outputs": shapes[-1][-1]})
        elif stored.kind() == "dense":
            match.nodes[name] = Node(stored.name, "dense", attributes={"outputs": shapes[0][-1]})
    return match
