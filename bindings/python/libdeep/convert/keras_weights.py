# SPDX-License-Identifier: Apache-2.0
"""Where Keras put the weights inside an HDF5 file: by layer names (until Keras 2, and .h5 of Keras 3), or by
class names and numbers (.weights.h5 and .keras of Keras 3)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Dict, List, Optional, Sequence, Tuple

from .architecture import SUFFIXES, Shape
from .errors import Where
from .hdf5 import Hdf5File
from .keras_config import Source

# What weights were called before Keras 2.
OLD_ROLES = {"W": "kernel", "b": "bias", "running_mean": "moving_mean", "running_std": "moving_variance"}
ROLES = sorted(
    {role for suffixes in SUFFIXES.values() for role in suffixes} | set(OLD_ROLES), key=len, reverse=True
)

Paths = Dict[str, str]  # suffix of libdeep's parameter name -> data set


def role_of(weight_name: str) -> str:
    """``gamma`` for "bn/gamma:0", "bn/gamma_2", "bn_gamma:0"; '' when the name says nothing."""
    last = re.sub(r"(_\d+)?(:\d+)?$", "", weight_name.split("/")[-1])
    for role in ROLES:
        if last == role or last.endswith("_" + role):
            return OLD_ROLES.get(role, role)
    return ""


@dataclass
class StoredLayer:
    """A layer's weights in the file: its name there, and (role or '', data set, shape) in the order of the
    file."""

    name: str
    weights: List[Tuple[str, str, Shape]]

    def kind(self) -> str:
        """The kind of layer that has such weights; '' for none that Xception has."""
        roles = tuple(role for role, _, _ in self.weights)
        ranks = [len(shape) for _, _, shape in self.weights]
        for kind, suffixes in SUFFIXES.items():
            wanted = {"conv": [4], "separable": [4, 4], "norm": [1] * 4, "dense": [2, 1]}[kind]
            if ranks == wanted and ("" in roles or sorted(roles) == sorted(suffixes)):
                return kind
        return ""

    def paths(self, where: Where, kind: str) -> Paths:
        """The data sets under libdeep's suffixes; by their names, or by their order where names say
        nothing."""
        suffixes = SUFFIXES[kind]
        roles = [role for role, _, _ in self.weights]
        if len(self.weights) != len(suffixes):
            raise where.refuse(
                self.name, f"has {len(self.weights)} weights, a {kind} layer has {len(suffixes)}"
            )
        if "" in roles:
            roles = list(suffixes)
        if sorted(roles) != sorted(suffixes):
            raise where.refuse(
                self.name, f'has the weights {", ".join(roles)}, a {kind} layer has ' f'{", ".join(suffixes)}'
            )
        return {role: path for role, (_, path, _) in zip(roles, self.weights)}


class NamedStore:
    """Weights under the layers' names. ``root`` is the group that has the attribute layer_names."""

    def __init__(self, file: Hdf5File, root: str) -> None:
        self.file = file
        self.where = file.where
        self.root = root
        names = file.names(root, "layer_names")
        if names is None:
            raise self.where.refuse(root, "has no attribute layer_names: not the weights of a Keras model")
        if len(set(names)) != len(names):
            raise self.where.refuse(root, "layer_names has a name twice")
        self.layer_names = names
        self._groups: Dict[str, List[Tuple[str, str, Shape]]] = {}

    def weights(self, layer: str) -> List[Tuple[str, str, Shape]]:
        """(name, data set, shape) of each weight in a layer's group."""
        if layer not in self._groups:
            self._groups[layer] = self._read_group(layer)
        return self._groups[layer]

    def _read_group(self, layer: str) -> List[Tuple[str, str, Shape]]:
        group = f"{self.root}/{layer}" if self.root else layer
        if layer not in self.layer_names or group not in self.file.groups:
            raise self.where.refuse(layer, "the file has no weights under this name")
        entries = []
        for name in self.file.names(group, "weight_names") or []:
            path = f"{group}/{name}"
            if path not in self.file.shapes:
                raise self.where.refuse(path, "named in weight_names, but there is no such data set")
            entries.append((name, path, self.file.shapes[path]))
        return entries

    def flat(self, layer: str) -> StoredLayer:
        return StoredLayer(layer, [(role_of(name), path, shape) for name, path, shape in self.weights(layer)])

    def nested(self, group: str) -> Dict[str, StoredLayer]:
        """The layers of a model that was saved as one layer: a weight's name has its layer before the last
        slash."""
        layers: Dict[str, StoredLayer] = {}
        for name, path, shape in self.weights(group):
            parts = name.split("/")
            owner = parts[-2] if len(parts) > 1 else re.sub(f'_({"|".join(ROLES)})(:\\d+)?$', "", name)
            layers.setdefault(owner, StoredLayer(owner, [])).weights.append((role_of(name), path, shape))
        return layers

    def find(self, source: Source, kind: str) -> Paths:
        """The data sets of the layer ``source``, which may be inside a model that is one layer here."""
        if len(source.path) == 1:
            return self.flat(source.path[0]).paths(self.where, kind)
        layers = self.nested(source.path[0])
        name = source.path[-1]
        if name not in layers:
            # A second model of the same process: TensorFlow numbered the layer's names, but not Keras's.
            again = [other for other in layers if re.fullmatch(re.escape(name) + r"_\d+", other)]
            if len(again) != 1:
                raise self.where.refuse("/".join(source.path), "the file has no weights under this name")
            name = again[0]
        return layers[name].paths(self.where, kind)

    def all_layers(self) -> List[StoredLayer]:
        """Every layer with weights, those of nested models among them."""
        layers: List[StoredLayer] = []
        for name in self.layer_names:
            if not self.weights(name):
                continue
            stored = self.flat(name)
            layers += [stored] if stored.kind() else list(self.nested(name).values())
        return layers


class NumberedStore:
    """Weights under layers/conv2d_1/vars/0. The group vars may carry the layer's own name."""

    def __init__(self, file: Hdf5File) -> None:
        self.file = file
        self.where = file.where
        # TensorFlow 2.12 and 2.13 wrote another word.
        self.word = next(
            (word for word in ("layers", "_layer_checkpoint_dependencies") if word in file.groups), ""
        )
        if not self.word:
            raise self.where.refuse("", 'has no group "layers": not the weights of a Keras 3 model')

    def _variables(self, group: str) -> List[Tuple[str, str, Shape]]:
        """('', data set, shape) of layer ``group``'s variables in their order."""
        found: List[Tuple[str, str, Shape]] = []
        while (path := f"{group}/vars/{len(found)}") in self.file.shapes:
            found.append(("", path, self.file.shapes[path]))
        return found

    def own_name(self, group: str) -> str:
        name = self.file.text(f"{group}/vars", "name") if f"{group}/vars" in self.file.groups else None
        return name.decode("utf-8", "replace") if name else ""

    def find(self, source: Source, kind: str) -> Paths:
        group = source.stored.replace("layers/", self.word + "/").rstrip("/")
        name = self.own_name(group)
        if name and name != source.path[-1]:
            raise self.where.refuse(group, f'holds the weights of "{name}", not of "{source.path[-1]}"')
        return StoredLayer(group, self._variables(group)).paths(self.where, kind)

    def all_layers(self) -> List[StoredLayer]:
        """Every layer with weights, in order of class and number. Its name is Keras's where the file has it,
        else the group's."""
        groups = sorted(
            (
                group[: -len("/vars")]
                for group in self.file.groups
                if group.endswith("/vars") and group.startswith(self.word + "/")
            ),
            key=_natural,
        )
        layers = []
        for group in groups:
            variables = self._variables(group)
            if variables:
                layers.append(StoredLayer(self.own_name(group) or group.split("/")[-1], variables))
        return layers

    def has_names(self) -> bool:
        """Whether the file carries the layers' own names."""
        return any(
            self.own_name(group[: -len("/vars")]) for group in self.file.groups if group.endswith("/vars")
        )


def _natural(name: str) -> List[Tuple[int, str]]:
    """A sorting key under which conv2d < conv2d_2 < conv2d_10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def in_order(layers: Sequence[StoredLayer], start: Optional[str] = None) -> List[StoredLayer]:
    """Layers by the number at the end of their name, none being 0: conv2d, conv2d_1, ..."""

    def number(layer: StoredLayer) -> int:
        digits = re.search(r"_(\d+)$", layer.name)
        return int(digits.group(1)) if digits else 0

    return sorted(layers, key=number)
