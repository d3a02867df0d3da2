# SPDX-License-Identifier: Apache-2.0
"""Recognises Xception in a graph: walks from the input as the network is drawn, and refuses by name what
differs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Set

from . import architecture
from .errors import Where
from .graph import SAME, SYMMETRIC, VALID, Graph, Node


@dataclass
class Match:
    """What was recognised. ``nodes`` has libdeep's layer names; a separable convolution is two entries,
    ``name.depthwise`` and ``name.pointwise``."""

    nodes: Dict[str, Node] = field(default_factory=dict)
    middle_blocks: int = 0
    head: str = "imagenet"
    input_size: int = 0  # 0 = left open by the file
    padding: str = SAME
    epsilon: float = architecture.PUBLISHED_EPSILON
    dropout: float = 0.0
    softmax: bool = False

    def channels(self) -> Dict[str, int]:
        """Outputs of each convolution and dense layer, as architecture.find_width() wants them."""
        return {
            name[: -len(".pointwise")] if name.endswith(".pointwise") else name: node.attributes["outputs"]
            for name, node in self.nodes.items()
            if node.kind in ("conv", "dense")
        }


class _Walker:
    """Follows values through the graph. Methods take the value where a part begins and give the one where it
    ends."""

    def __init__(self, graph: Graph, default_size: int) -> None:
        self.graph = graph
        self.where: Where = graph.where
        self.readers = graph.consumers()
        self.match = Match()
        self.visited: Set[str] = set()
        self.epsilons: Dict[float, str] = {}
        self.paddings: Set[str] = {SAME, SYMMETRIC}
        self.default_size = default_size
        self.size = 0

    # Steps

    def visit(self, node: Node) -> str:
        if node.name in self.visited:
            raise self.where.refuse(node.name, "is used twice: not Xception")
        self.visited.add(node.name)
        return node.name

    def next_of(self, value: str, kind: str, part: str) -> Node:
        """The node of this kind that reads ``value``."""
        found = [node for node in self.readers[value] if node.kind == kind]
        if len(found) != 1:
            others = ", ".join(f'{node.kind} "{node.name}"' for node in self.readers[value]) or "nothing"
            raise self.where.refuse(value, f"Xception has {kind} ({part}) next, found {others}")
        self.visit(found[0])
        return found[0]

    def only(self, value: str, kind: str, part: str) -> Node:
        """The node that reads ``value`` and is the only one to do so."""
        node = self.next_of(value, kind, part)
        if len(self.readers[value]) != 1:
            raise self.where.refuse(
                value, f"is read {len(self.readers[value])} times, Xception reads it once"
            )
        return node

    def has(self, value: str, kind: str) -> bool:
        return any(node.kind == kind for node in self.readers[value])

    def expect(self, node: Node, part: str, **wanted: Any) -> None:
        for key, value in wanted.items():
            if node.attributes.get(key) != value:
                raise self.where.refuse(node.name, f"{key} is {node.attributes.get(key)}, {part} has {value}")

    # Parts

    def norm(self, value: str, name: str) -> str:
        node = self.only(value, "norm", name)
        self.match.nodes[name] = node
        if node.attributes["epsilon"] is not None:
            self.epsilons.setdefault(float(node.attributes["epsilon"]), node.name)
        return node.name

    def relu(self, value: str) -> str:
        return self.only(value, "relu", "ReLU").name

    def conv_unit(self, value: str, name: str, stride: int) -> str:
        node = self.only(value, "conv", name)
        self.expect(node, name, window=3, stride=stride)
        self.expect_no_padding(node, name)
        self.match.nodes[name] = node
        self.size = (self.size - 3) // stride + 1
        return self.relu(self.norm(node.name, name + "_bn"))

    def expect_no_padding(self, node: Node, name: str) -> None:
        if node.attributes["padding"] not in (VALID, (0, 0, 0, 0)):
            raise self.where.refuse(node.name, f'padding is {node.attributes["padding"]}, {name} has none')

    def separable(self, value: str, name: str, alone: bool = True) -> str:
        depthwise = self.only(value, "depthwise", name) if alone else self.next_of(value, "depthwise", name)
        self.expect(depthwise, name, window=3, stride=1)
        if depthwise.attributes["padding"] not in (SAME, (1, 1, 1, 1)):
            raise self.where.refuse(
                depthwise.name, f'padding is {depthwise.attributes["padding"]}, {name} has "same"'
            )
        pointwise = self.only(depthwise.name, "conv", name)
        self.expect(pointwise, name, window=1, stride=1)
        self.match.nodes[name + ".depthwise"] = depthwise
        self.match.nodes[name + ".pointwise"] = pointwise
        return self.norm(pointwise.name, name + "_bn")

    def pool(self, value: str, name: str) -> str:
        """Max pooling; its padding tells TensorFlow's rule from PyTorch's, unless the map's side is odd."""
        node = self.only(value, "pool", name)
        self.expect(node, name, window=3, stride=2)
        padding = node.attributes["padding"]
        tensorflow = (1, 1, 1, 1) if self.size % 2 else (0, 0, 1, 1)
        rules = {
            rule
            for rule, here in ((SAME, padding in (SAME, tensorflow)), (SYMMETRIC, padding == (1, 1, 1, 1)))
            if here
        }
        if not rules & self.paddings:
            raise self.where.refuse(
                node.name,
                f"padding is {padding} on a map of {self.size} pixels; {name} has "
                f"{tensorflow} or, in every pool, (1, 1, 1, 1)",
            )
        self.paddings &= rules
        self.size = (self.size + 1) // 2
        return node.name

    def add(self, left: str, right: str, part: str) -> str:
        node = self.only(left, "add", part)
        if sorted(node.inputs) != sorted([left, right]):
            raise self.where.refuse(node.name, f"adds {node.inputs}, Xception adds {[left, right]}")
        return node.name

    def shortcut(self, value: str, name: str) -> str:
        node = self.next_of(value, "conv", name)
        self.expect(node, name, window=1, stride=2)
        if node.attributes["padding"] not in (VALID, SAME, (0, 0, 0, 0)):
            raise self.where.refuse(node.name, f'padding is {node.attributes["padding"]}, {name} has none')
        self.match.nodes[name] = node
        return self.norm(node.name, name + "_bn")

    def expect_readers(self, value: str, count: int) -> None:
        if len(self.readers[value]) != count:
            names = ", ".join(f'"{node.name}"' for node in self.readers[value])
            raise self.where.refuse(
                value, f'is read by {names or "nothing"}; Xception reads it {count} times'
            )

    def down_block(self, value: str, block: int) -> str:
        name = f"block{block}"
        self.expect_readers(value, 2)
        beside = self.shortcut(value, f"{name}_shortcut")
        start, alone = (value, False) if block == 2 else (self.next_of(value, "relu", name).name, True)
        branch = self.relu(self.separable(start, f"{name}_sepconv1", alone))
        branch = self.pool(self.separable(branch, f"{name}_sepconv2"), f"{name}_pool")
        return self.add(branch, beside, name)

    def middle_block(self, value: str, block: int) -> str:
        self.expect_readers(value, 2)
        branch = value
        for index in (1, 2, 3):
            name = f"block{block}_sepconv{index}"
            branch = self.next_of(branch, "relu", name).name if index == 1 else self.relu(branch)
            branch = self.separable(branch, name)
        # The sum is also the other reader of `value`, so only() is asked from the branch's side.
        return self.add(branch, value, f"block{block}")

    def stem(self) -> str:
        start = self.graph.the_input()
        self.visit(start)
        self.match.input_size = start.attributes.get("size", 0)
        self.size = self.match.input_size or self.default_size
        if not architecture.MIN_INPUT_SIZE <= self.size <= architecture.MAX_INPUT_SIZE:
            raise self.where.refuse(
                start.name,
                f"input of {self.size} pixels, not {architecture.MIN_INPUT_SIZE} to "
                f"{architecture.MAX_INPUT_SIZE}",
            )
        return self.conv_unit(self.conv_unit(start.name, "block1_conv1", 2), "block1_conv2", 1)

    def flows(self, value: str) -> str:
        for block in (2, 3, 4):
            value = self.down_block(value, block)
        block = 5
        while self.has(value, "add") and block < 5 + architecture.MAX_MIDDLE_BLOCKS:
            value = self.middle_block(value, block)
            block += 1
        self.match.middle_blocks = block - 5
        if block == 5:
            raise self.where.refuse(value, "no middle block follows; Xception has at least one")
        value = self.down_block(value, block)
        for index in (1, 2):
            value = self.relu(self.separable(value, f"block{block + 1}_sepconv{index}"))
        return value

    # Head

    def dropout(self, value: str) -> str:
        while self.has(value, "dropout"):
            node = self.only(value, "dropout", "head")
            if self.match.dropout:
                raise self.where.refuse(
                    node.name, "a second dropout; libdeep has one, before the last dense layer"
                )
            self.match.dropout = float(node.attributes["rate"])
            value = node.name
        return value

    def dense(self, value: str) -> Node:
        return self.only(value, "dense", "head")

    def head(self, value: str) -> str:
        value = self.dropout(self.only(value, "average", "avg_pool").name)
        last = self.dense(value)
        if self.has(last.name, "relu"):
            if self.match.dropout:
                raise self.where.refuse(last.name, "dropout before the hidden layer; libdeep has it after")
            self.match.head = "service"
            self.match.nodes["dense"] = last
            last = self.dense(self.dropout(self.relu(last.name)))
        self.match.nodes["predictions"] = last
        if not self.has(last.name, "softmax"):
            return last.name
        self.match.softmax = True
        return self.only(last.name, "softmax", "softmax").name

    # End

    def settle_epsilon(self) -> float:
        """The one epsilon of all batch norms; where all are folded away, that of the framework with such
        pads."""
        if len(self.epsilons) > 1:
            (first, there), (second, here) = list(self.epsilons.items())[:2]
            raise self.where.refuse(
                here, f'batch norm epsilon is {second:g}, in "{there}" {first:g}; libdeep has one'
            )
        if not self.epsilons:
            return architecture.PUBLISHED_EPSILON if SAME in self.paddings else architecture.TORCH_EPSILON
        return next(iter(self.epsilons))

    def finish(self, value: Optional[str]) -> Match:
        if value != self.graph.output:
            raise self.where.refuse(self.graph.output, f'is the output; Xception ends at "{value}"')
        self.expect_readers(value, 0)
        rest: List[str] = [name for name in self.graph.nodes if name not in self.visited]
        if rest:
            raise self.where.refuse(rest[0], f"{self.graph.nodes[rest[0]].kind} is no part of Xception")
        self.match.epsilon = self.settle_epsilon()
        # Where every map has an odd side both rules give the same pixels, and the other habit of PyTorch
        # decides.
        symmetric = SAME not in self.paddings or (
            SYMMETRIC in self.paddings and self.match.epsilon == architecture.TORCH_EPSILON
        )
        self.match.padding = SYMMETRIC if symmetric else SAME
        return self.match


def match_xception(
    graph: Graph, default_size: int = architecture.DEFAULT_INPUT_SIZE, top: bool = True
) -> Match:
    """The parts of Xception in ``graph``.

    ``default_size`` is the input's side where the graph leaves it open. Without ``top`` a graph that ends
    after block 14 or after the global average pooling is taken too; it then has no ``predictions``.
    """
    walker = _Walker(graph, default_size)
    value = walker.flows(walker.stem())
    if not top and value == graph.output:
        return walker.finish(value)
    if not top and walker.has(value, "average") and walker.readers[value][0].name == graph.output:
        return walker.finish(walker.only(value, "average", "avg_pool").name)
    return walker.finish(walker.head(value))
