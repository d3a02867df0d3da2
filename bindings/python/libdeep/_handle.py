# SPDX-License-Identifier: Apache-2.0
"""Who owns what the library made.

A Handle frees its object when nobody refers to it any more, and holds what the object borrows until after
that. So a model's context outlives the model whatever the order in which a program, the garbage collector or
the interpreter's exit lets go of the two. Passing a Handle to a function of the library keeps it alive for
the call.
"""

from __future__ import annotations

import ctypes
import weakref
from typing import Any, Callable, TypeVar

import numpy as np

from .errors import StateError, check

_Self = TypeVar("_Self", bound="Owner")


def _release(free: Callable[[Any], None], pointer: Any, keep: tuple[Any, ...]) -> None:
    free(pointer)


class Handle:
    """An address, how to free it, and what must live as long."""

    __slots__ = ("_as_parameter_", "__weakref__")

    def __init__(self, pointer: Any, free: Callable[[Any], None], *keep: Any) -> None:
        self._as_parameter_ = pointer
        weakref.finalize(self, _release, free, pointer, keep)


def create(
    kind: Any,
    free: Callable[[Any], None],
    function: Callable[..., int],
    *arguments: Any,
    keep: tuple[Any, ...] = (),
    path: bytes | None = None,
) -> Handle:
    """Calls a constructor, whose first parameter takes the address of the new `kind`."""
    pointer = ctypes.POINTER(kind)()
    check(function(ctypes.byref(pointer), *arguments), path)
    return Handle(pointer, free, *keep)


class Owner:
    """What the package's objects have in common: close(), `with`, and a clear error afterwards."""

    _handle: Handle | None = None

    @property
    def _live(self) -> Handle:
        handle = self._handle
        if handle is None:
            raise StateError(f"this {type(self).__name__} is closed")
        return handle

    def close(self) -> None:
        """Lets go of the memory as soon as nothing else needs it. Again is fine."""
        self._handle = None

    @property
    def closed(self) -> bool:
        return self._handle is None

    def __enter__(self: _Self) -> _Self:
        self._live
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class _Memory:
    """Memory of the library, shown to numpy; the array holds this, and this holds the owner."""

    def __init__(self, keep: Any, interface: dict[str, Any]) -> None:
        self.keep = keep
        self.__array_interface__ = interface


def view(
    keep: Any,
    address: int,
    shape: tuple[int, ...],
    dtype: Any,
    strides: tuple[int, ...] | None = None,
    writable: bool = False,
) -> np.ndarray[Any, Any]:
    """An array over memory that lives as long as `keep`, which the array holds."""
    interface = {
        "version": 3,
        "data": (address, not writable),
        "shape": shape,
        "strides": strides,
        "typestr": np.dtype(dtype).str,
    }
    return np.asarray(_Memory(keep, interface))
