# SPDX-License-Identifier: Apache-2.0
"""Bounds on what a file may ask for, checked before memory is taken, and JSON read within them."""

from __future__ import annotations

import json
import re
from typing import Any, Dict, List, Tuple

from .errors import Where

MAX_FILE_BYTES = 2 * 1024**3 - 1  # protobuf's own limit, and twenty times the published network
MAX_TENSOR_BYTES = 512 * 1024**2
MAX_EXPANSION = 100  # unpacked bytes for each stored one; float weights reach less than 2
EXPANSION_FLOOR = 1024**2  # below that many bytes a constant tensor may compress as well as it likes
MAX_JSON_BYTES = 16 * 1024**2  # Keras's own description of Xception has 0.14 MB
MAX_JSON_DEPTH = 64
MAX_LAYERS = 2000  # the published network has 132; 64 middle blocks make 700
MAX_NAME = 512  # characters
MAX_TEXT_LINES = 100_000

_STRINGS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.S)
_BRACKETS = re.compile(r"[\[\]{}]")


def _depth(text: str) -> int:
    """The deepest nesting of brackets outside strings."""
    deepest = depth = 0
    for bracket in _BRACKETS.findall(_STRINGS.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _no_duplicates(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f'member "{twice}" stands twice')
    return members


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


def parse_json(where: Where, place: str, data: bytes) -> Dict[str, Any]:
    """The JSON object in ``data``: UTF-8, bounded in size and depth, no member twice, no NaN."""
    if len(data) > MAX_JSON_BYTES:
        raise where.refuse(place, f"{len(data)} bytes of JSON, the limit is {MAX_JSON_BYTES}")
    with where.reading(place):
        text = data.decode("utf-8")
        depth = _depth(text)
        if depth > MAX_JSON_DEPTH:
            raise where.refuse(place, f"JSON nested {depth} deep, the limit is {MAX_JSON_DEPTH}")
        value = json.loads(text, object_pairs_hook=_no_duplicates, parse_constant=_no_constant)
    if not isinstance(value, dict):
        raise where.refuse(place, f"a JSON object is expected, not {type(value).__name__}")
    return value


def member(where: Where, place: str, owner: Dict[str, Any], name: str, kind: Any, default: Any = None) -> Any:
    """``owner[name]``, of type ``kind``; ``default`` when it is missing and a default is given."""
    value = owner.get(name, default)
    if value is None and default is None and name not in owner:
        raise where.refuse(place, f'has no "{name}"')
    if not isinstance(value, kind) or (isinstance(value, bool) and kind in (int, float, (int, float))):
        raise where.refuse(place, f'"{name}" is {one_value(value)}, of the wrong type')
    return value


def one_value(value: Any) -> str:
    """``value`` for a message, not longer than a line can bear."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
