# SPDX-License-Identifier: Apache-2.0
"""A network as a graph of plain operations, whatever file it came from: what match.py compares with
Xception."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Set

from .errors import Where
from .limits import MAX_LAYERS

VALID, SAME, SYMMETRIC = "valid", "same", "symmetric"


@dataclass
class Node:
    """One operation. ``kind`` and its attributes:

    input (size: side in pixels or 0 when open), conv and depthwise (window, stride, padding, outputs), norm
    (epsilon, or None for a plain scale and shift), relu, pool (window, stride, padding), add, average
    (global), dense (outputs), dropout (rate), softmax.
    ``padding`` is VALID, SAME, or the pixels (top, left, bottom, right). ``source`` is for the reader to find
    the weights again.
    """

    name: str
    kind: str
    inputs: List[str] = field(default_factory=list)
    attributes: Dict[str, Any] = field(default_factory=dict)
    source: Any = None


class Graph:
    """Nodes by name, in the order in which they were added; a value is named after the node that makes it."""

    def __init__(self, where: Where) -> None:
        self.where = where
        self.nodes: Dict[str, Node] = {}
        self.output = ""
        self.read: Set[str] = set()  # values that some node reads

    def add(self, name: str, kind: str, inputs: List[str], source: Any = None, **attributes: Any) -> str:
        if name in self.nodes:
            raise self.where.refuse(name, "a layer of this name is already there")
        if len(self.nodes) >= MAX_LAYERS:
            raise self.where.refuse(name, f"more than {MAX_LAYERS} layers")
        self.nodes[name] = Node(name, kind, list(inputs), attributes, source)
        self.read.update(inputs)
        return name

    def consumers(self) -> Dict[str, List[Node]]:
        """For each value the nodes that read it, once for each time they do."""
        readers: Dict[str, List[Node]] = {name: [] for name in self.nodes}
        for node in self.nodes.values():
            for value in node.inputs:
                if value not in readers:
                    raise self.where.refuse(node.name, f'reads "{value}", which is no layer of this model')
                readers[value].append(node)
        return readers

    def the_input(self) -> Node:
        inputs = [node for node in self.nodes.values() if node.kind == "input"]
        if len(inputs) != 1:
            raise self.where.refuse("", f"{len(inputs)} inputs, one is expected")
        return inputs[0]
