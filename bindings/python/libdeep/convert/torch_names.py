# SPDX-License-Identifier: Apache-2.0
"""The names of timm's legacy_xception (Cadene's Xception) beside libdeep's, for PyTorch and safetensors
files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Callable, Dict, List, Tuple

import numpy

from .architecture import SUFFIXES, TORCH_EPSILON, Architecture, Shape, all_layers
from .errors import Where
from .graph import SYMMETRIC, Node
from .match import Match
from .network import (
    Network,
    parse_class_lists,
    read_weights,
    restored,
    settle_architecture,
    transposed,
    transposed_shape,
)
from .options import ReadOptions

WEIGHTS = {
    "kernel": "weight",
    "bias": "bias",
    "depthwise_kernel": "conv1.weight",
    "pointwise_kernel": "pointwise.weight",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
BATCHES = "num_batches_tracked"  # a counter beside PyTorch's running statistics; nothing here needs it
# Wrappers that put a word before every name.
PREFIXES = ("module.", "_orig_mod.", "model.")


def _layer_name(name: str, middle_blocks: int, head: str) -> str:
    """timm's name of a layer: its blocks are numbered from 1 behind the stem, and a block's branch is a list
    in which ReLUs count too."""
    if name in ("dense", "predictions"):
        # timm's own head is one layer; a hidden one before it makes `fc` a Sequential(Linear, ReLU, Linear).
        return "fc" if head == "imagenet" else {"dense": "fc.0", "predictions": "fc.2"}[name]
    found = re.fullmatch(r"block(\d+)_([a-z]+)(\d?)(_bn)?", name)
    assert found is not None
    block, part, index, norm = found.groups()
    last = 6 + middle_blocks
    if int(block) in (1, last):
        number = int(index) + (2 if int(block) == last else 0)
        return f"bn{number}" if norm else f"conv{number}"
    if part == "shortcut":
        return f'block{int(block) - 1}.skip{"bn" if norm else ""}'
    place = 3 * (int(index) - 1) + (0 if block == "2" else 1)  # block 2's branch begins without a ReLU
    return f"block{int(block) - 1}.rep.{place + (1 if norm else 0)}"


def timm_names(architecture: Architecture) -> Dict[str, str]:
    """libdeep's parameter names -> timm's."""

    names: Dict[str, str] = {}
    for layer in all_layers(architecture):
        theirs = _layer_name(layer.name, architecture.middle_blocks, architecture.head)
        for suffix in SUFFIXES[layer.kind]:
            names[f"{layer.name}.{suffix}"] = f"{theirs}.{WEIGHTS[suffix]}"
    return names


@dataclass
class Tensors:
    """A file's tensors: shapes known, values read one at a time."""

    shapes: Dict[str, Shape]
    read: Callable[[str], numpy.ndarray]


def _plain_names(where: Where, tensors: Tensors) -> Dict[str, str]:
    """timm's name -> the file's, without wrappers' prefixes, counters, and with Cadene's last layer
    renamed."""
    names = {name: name for name in tensors.shapes if not name.endswith(BATCHES)}
    for prefix in PREFIXES:
        if names and all(name.startswith(prefix) for name in names):
            names = {name[len(prefix) :]: original for name, original in names.items()}
    plain: Dict[str, str] = {}
    for name, original in names.items():
        renamed = re.sub(r"^last_linear\.", "fc.", name)
        if renamed in plain:
            raise where.refuse(original, f'is the same weight as "{plain[renamed]}"')
        plain[renamed] = original
    return plain


def _form(where: Where, names: Dict[str, str]) -> Tuple[int, str]:
    """(middle blocks, head or '') from the names that are there."""
    blocks = {
        int(found.group(1)) for found in (re.match(r"block(\d{1,4})\.", name) for name in names) if found
    }
    middle_blocks = max(blocks, default=0) - 4
    if middle_blocks < 1 or "conv1.weight" not in names or "block1.rep.0.conv1.weight" not in names:
        raise where.refuse(
            "",
            "tensors are not named as in timm's legacy_xception: no "
            + (
                "conv1.weight"
                if "conv1.weight" not in names
                else "block1.rep.0.conv1.weight" if middle_blocks >= 1 else "block5.rep.1.conv1.weight"
            ),
        )
    if "fc.weight" in names:
        return middle_blocks, "imagenet"
    return middle_blocks, "service" if "fc.2.weight" in names else ""


def _shape_of(tensors: Tensors, file_name: str, expected_rank: int) -> Shape:
    """A tensor's shape; Cadene's first files keep pointwise kernels as matrices."""
    shape = tuple(tensors.shapes[file_name])
    return shape + (1, 1) if len(shape) == 2 and expected_rank == 4 else shape


def network_of_timm(
    where: Where, tensors: Tensors, options: ReadOptions, provenance: Dict[str, str]
) -> Network:
    """The network of a state dict with timm's names; padding and epsilon are PyTorch's."""
    names = _plain_names(where, tensors)
    middle_blocks, head = _form(where, names)
    match = Match(
        middle_blocks=middle_blocks,
        head=head or "imagenet",
        padding=options.padding or SYMMETRIC,
        epsilon=options.batch_norm_epsilon or TORCH_EPSILON,
    )
    ours = timm_names(Architecture(middle_blocks=middle_blocks, head=match.head))
    if not head:
        ours = {name: theirs for name, theirs in ours.items() if not theirs.startswith("fc.")}
    _check_names(where, names, list(ours.values()))
    for name, theirs in ours.items():
        layer, suffix = name.split(".")
        if suffix in ("kernel", "pointwise_kernel"):
            shape = tensors.shapes[names[theirs]]
            if not shape:
                raise where.refuse(theirs, "is a single number")
            match.nodes[layer] = Node(
                names[theirs],
                "dense" if theirs.startswith("fc.") else "conv",
                attributes={"outputs": int(shape[0])},
            )
    if not head and options.classes is None:
        raise where.refuse("", "has no last layer: name the classes (--classes), and it is made anew")
    architecture = settle_architecture(where, match, options.size, len(options.classes or ()))

    def read(name: str, shape: Shape) -> numpy.ndarray:
        file_name, wanted = names[ours[name]], transposed_shape(name, shape)
        if _shape_of(tensors, file_name, len(wanted)) != wanted:
            raise where.refuse(file_name, f"shape {tuple(tensors.shapes[file_name])}, expected {wanted}")
        return restored(name, tensors.read(file_name).reshape(wanted))

    weights = read_weights(where, architecture, read, bool(head))
    classes, aphia_ids = parse_class_lists(where, options.classes, options.aphia_ids, architecture.classes)
    network = Network(architecture, weights, classes, aphia_ids, provenance=dict(provenance))
    if not head:
        network.notes.append(
            f"no last layer in the file: a new one with random weights for " f"{architecture.classes} classes"
        )
    if not options.input_size:
        network.notes.append(
            f"weights do not say the input's size: {architecture.input_size} pixels assumed " "(--input-size)"
        )
    return network


def _check_names(where: Where, names: Dict[str, str], expected: List[str]) -> None:
    for name in expected:
        if name not in names:
            raise where.refuse(name, "is missing")
    for name in sorted(set(names) - set(expected)):
        raise where.refuse(names[name], "is no tensor of timm's legacy_xception")


def timm_tensors(network: Network) -> Dict[str, numpy.ndarray]:
    """The network's weights with timm's names and PyTorch's layouts, the counters among them."""
    tensors: Dict[str, numpy.ndarray] = {}
    for name, theirs in timm_names(network.architecture).items():
        tensors[theirs] = transposed(network.weights, name)
        if name.endswith(".moving_variance"):
            tensors[theirs.replace("running_var", BATCHES)] = numpy.zeros((), numpy.int64)
    return tensors


def difference_from_timm(architecture: Architecture) -> str:
    """Why a state dict would compute something else in timm's model; '' when it would not."""
    if architecture.padding != SYMMETRIC:
        return "the model pads as TensorFlow does, timm's network on every side"
    if architecture.batch_norm_epsilon != TORCH_EPSILON:
        return (
            f"the model's batch norm epsilon is {architecture.batch_norm_epsilon:g}, timm's network has "
            f"{TORCH_EPSILON:g}"
        )
    return ""
