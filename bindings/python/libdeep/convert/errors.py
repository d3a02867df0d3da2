# SPDX-License-Identifier: Apache-2.0
"""The one exception of the converters, and the ways to raise it."""

from __future__ import annotations

import contextlib
import re
import struct
import zipfile
import zlib
from typing import Iterator, Tuple, Type

from ..errors import FormatError

MAX_MESSAGE = 400  # characters; names in a hostile file can be long


class ConvertError(FormatError):
    """A file cannot be converted: malformed, not Xception, or asking for something that is refused.

    The text is one line that names the file, the place in it and the number or word that is wrong.
    """


def one_line(text: object) -> str:
    """``text`` without line breaks and control characters, cut at MAX_MESSAGE."""
    line = re.sub(r"[\x00-\x1f\x7f]+", " ", str(text)).strip()
    return line if len(line) <= MAX_MESSAGE else line[: MAX_MESSAGE - 3] + "..."


def refusal(file: str, place: str, what: object) -> ConvertError:
    """The exception for ``what`` being wrong at ``place`` (a layer, tensor or member; may be empty) of
    ``file``."""
    return ConvertError(one_line(f"{file}: {place}: {what}" if place else f"{file}: {what}"), file)


# What h5py, zipfile, json and numpy raise over bytes that they do not like.
LIBRARY_ERRORS: Tuple[Type[BaseException], ...] = (
    OSError,
    EOFError,
    RuntimeError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    MemoryError,
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
)


@contextlib.contextmanager
def refusing(file: str, place: str) -> Iterator[None]:
    """Turns whatever a library raises over a malformed file into a ConvertError."""
    try:
        yield
    except ConvertError:
        raise
    except LIBRARY_ERRORS as error:
        raise refusal(file, place, f"{type(error).__name__}: {error}") from error


class Where:
    """A file's name, carried to where complaints are made: ``raise where.refuse('conv1', 'has 3
    inputs')``."""

    def __init__(self, file: str) -> None:
        self.file = file

    def refuse(self, place: str, what: object) -> ConvertError:
        return refusal(self.file, place, what)

    def reading(self, place: str) -> "contextlib.AbstractContextManager[None]":
        return refusing(self.file, place)


def need(module: str, extra: str, purpose: str) -> ImportError:
    """The ImportError for a package that is an extra."""
    return ImportError(f'{purpose} needs {module}, which is not installed: pip install "libdeep[{extra}]"')
