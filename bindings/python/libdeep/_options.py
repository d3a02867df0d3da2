# SPDX-License-Identifier: Apache-2.0
"""From Python's keywords to the library's option structs. Zero is every field's default."""

from __future__ import annotations

import ctypes
import enum
import operator
import os
from typing import Any, Iterable, TypeVar

from . import _declarations as c

# Fields that hold a constant; a program may give its name in any case.
_ENUMERATIONS: dict[str, type[enum.IntEnum]] = {
    "class_weights": c.ClassWeights,
    "dtype": c.Dtype,
    "filter": c.Filter,
    "fit": c.Fit,
    "head": c.Head,
    "isa": c.Isa,
    "log_level": c.Log,
    "method": c.Calibrate,
    "on_bad_image": c.BadImage,
    "optimizer": c.Optimizer,
    "padding": c.Padding,
    "preprocess": c.Preprocess,
    "schedule": c.Schedule,
    "truncation": c.Truncation,
}
_TYPES = {"FP32": "F32", "FP16": "F16", "INT8": "I8"}  # as the tool and most people say
_PATHS = {"checkpoint", "classes", "images", "manifest"}
_RANGES = {
    ctypes.c_int32: (-(2**31), 2**31 - 1),
    ctypes.c_int64: (-(2**63), 2**63 - 1),
    ctypes.c_uint64: (0, 2**64 - 1),
}

_Struct = TypeVar("_Struct", bound=ctypes.Structure)


def constant(kind: type[enum.IntEnum], value: Any, what: str) -> int:
    """The number behind a constant, its name or its number."""
    if isinstance(value, str):
        name = value.upper()
        try:
            return int(kind[_TYPES.get(name, name) if kind is c.Dtype else name])
        except KeyError:
            names = ", ".join(repr(member.name.lower()) for member in kind)
            raise ValueError(f"{what} is {value!r}, not one of {names}") from None
    return operator.index(value)


def _flags(value: Any) -> int:
    """Augmentations added together: 'flip+rotate90', a list of names, or a number."""
    if isinstance(value, str):
        value = value.split("+")
    if isinstance(value, Iterable):
        return sum({constant(c.Augment, item, "augment") for item in value})
    return operator.index(value)


def _integer(name: str, kind: Any, value: Any) -> int:
    number = operator.index(value)
    low, high = _RANGES[kind]
    if not low <= number <= high:
        raise ValueError(f"{name} is {number}, outside {low} to {high}")
    return number


def text(name: str, value: Any) -> bytes:
    """UTF-8 for the library, which reads up to the first zero byte."""
    data = os.fsencode(value) if name in _PATHS else value if isinstance(value, bytes) else value.encode()
    if b"\0" in data:
        raise ValueError(f"{name} has a zero byte: {value!r}")
    return bytes(data)


def _field(name: str, kind: Any, value: Any) -> Any:
    if name == "augment":
        return _flags(value)
    if name == "stream" and value == 0:
        raise ValueError("stream 0: the default stream has the handle 1")
    if name in _ENUMERATIONS and kind is ctypes.c_int32:
        return constant(_ENUMERATIONS[name], value, name)
    if kind is ctypes.c_char_p:
        return text(name, value)
    if kind in _RANGES:
        return _integer(name, kind, value)
    if isinstance(kind, type) and issubclass(kind, ctypes.Array):
        values, length = [float(item) for item in value], len(kind())
        if len(values) != length:
            raise ValueError(f"{name} has {len(values)} values, not {length}")
        return kind(*values)
    return float(value) if kind is ctypes.c_double else value


def fill(kind: type[_Struct], **values: Any) -> _Struct:
    """A struct with its size and the values set; None leaves a field at its default."""
    struct = kind(ctypes.sizeof(kind))
    fields = {field[0]: field[1] for field in kind._fields_[1:]}
    for name, value in values.items():
        if name not in fields or name == "reserved":
            known = ", ".join(sorted(field for field in fields if not field.startswith("reserved")))
            raise TypeError(f"{name!r} is not an option; these are: {known}")
        if value is not None:
            setattr(struct, name, _field(name, fields[name], value))
    return struct


def result(kind: type[_Struct]) -> _Struct:
    """An empty struct for the library to fill."""
    return kind(ctypes.sizeof(kind))
