# SPDX-License-Identifier: Apache-2.0
"""Finds the shared library, checks that it fits, and declares its functions. Done once, when the package is
imported."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Any, Iterator

from . import _declarations as declarations

SONAME = f"libdeep.so.{declarations.ABI_VERSION}"
PACKAGE = Path(__file__).resolve().parent


class Unusable(Exception):
    """Why a candidate is not the library."""


def _checked(plain: Any, low: int, high: int) -> Any:
    """The ctypes integer `plain` as an argument type that refuses what does not fit, where ctypes alone would
    cut it off."""

    def from_param(cls: Any, value: Any) -> Any:
        number = value.__index__()
        if not low <= number <= high:
            raise OverflowError(f"{number} is outside {low} to {high}")
        return plain(number)

    return type("Checked" + plain.__name__, (), {"from_param": classmethod(from_param)})


class _Text:
    """char pointers: bytes or None, and no zero byte inside, which would end the text early."""

    @classmethod
    def from_param(cls, value: Any) -> Any:
        if isinstance(value, bytes) and b"\0" in value:
            raise ValueError(f"{value!r} has a zero byte")
        return ctypes.c_char_p.from_param(value)


_ARGUMENTS = {
    ctypes.c_int32: _checked(ctypes.c_int32, -(2**31), 2**31 - 1),
    ctypes.c_int64: _checked(ctypes.c_int64, -(2**63), 2**63 - 1),
    ctypes.c_uint64: _checked(ctypes.c_uint64, 0, 2**64 - 1),
    ctypes.c_char_p: _Text,
}
if ctypes.c_size_t not in _ARGUMENTS:
    _ARGUMENTS[ctypes.c_size_t] = _checked(ctypes.c_size_t, 0, 2 ** (8 * ctypes.sizeof(ctypes.c_size_t)) - 1)


def _declare(library: ctypes.CDLL) -> None:
    for name, (result, parameters) in declarations.FUNCTIONS.items():
        try:
            function = getattr(library, name)
        except AttributeError:
            raise Unusable(f"it is older than this package: {name}() is missing") from None
        function.restype = result
        function.argtypes = [_ARGUMENTS.get(kind, kind) for kind in parameters]


def _open(file: str) -> ctypes.CDLL:
    """Loads a candidate; nothing of it is called before its ABI is known to fit."""
    try:
        library = ctypes.CDLL(file)
    except OSError as error:
        raise Unusable(str(error)) from None
    try:
        abi = library.deep_abi_version()
    except AttributeError:
        raise Unusable("it has no deep_abi_version(): not libdeep") from None
    if abi != declarations.ABI_VERSION:
        raise Unusable(f"its ABI is {abi}, this package is for {declarations.ABI_VERSION}")
    _declare(library)
    return library


def _files() -> Iterator[Path]:
    """Where the library lies when it came with the package: inside the wheel, or in the build folder of
    Meson."""
    yield PACKAGE / "_lib" / SONAME
    yield PACKAGE.parent / "libdeep.libs" / SONAME
    build = PACKAGE.parents[2]
    if (build / "meson-private").is_dir():
        yield build / "libdeep" / SONAME


def find() -> tuple[ctypes.CDLL, str]:
    """The library and where it was found; ImportError with every path tried and the reason."""
    named = os.environ.get("LIBDEEP_LIBRARY")
    if named:
        try:
            return _open(named), named
        except Unusable as reason:
            raise ImportError(f"LIBDEEP_LIBRARY is {named}, which cannot be used: {reason}") from None
    tried = ["LIBDEEP_LIBRARY: not set"]
    for candidate in [str(file) for file in _files()] + [SONAME]:
        if os.path.isabs(candidate) and not os.path.exists(candidate):
            tried.append(f"{candidate}: no such file")
            continue
        try:
            return _open(candidate), candidate
        except Unusable as reason:
            tried.append(f"{candidate}: {reason}")
    raise ImportError("libdeep's shared library was not found; tried\n  " + "\n  ".join(tried))


library, path = find()
