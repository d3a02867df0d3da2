# SPDX-License-Identifier: Apache-2.0
"""One exception per status of the library. Each is also the builtin exception that means the same, where
there is one."""

from __future__ import annotations

import errno
import os
from typing import Any

from ._declarations import Status
from ._library import library


class Error(Exception):
    """Base of all. `code` is the status as a number, `status` its name, `path` the file that the call was
    about, or None."""

    code: int = -1
    path: str | None = None

    def __init__(self, text: str, path: str | None = None, code: int | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.path = path
        if code is not None:
            self.code = code

    @property
    def status(self) -> str:
        """Such as "DEEP_ERROR_FORMAT"."""
        name: bytes = library.deep_status_name(self.code)
        return name.decode()

    def __str__(self) -> str:
        return self.text

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.text, self.path, self.code)


class InvalidArgumentError(Error, ValueError):
    """A rule of the call was broken; the text names it."""

    code = Status.ERROR_INVALID_ARGUMENT


class OutOfMemoryError(Error, MemoryError):
    """Memory was refused: a smaller batch, perhaps. Everything is as usable as before."""

    code = Status.ERROR_OUT_OF_MEMORY


class FileError(Error, OSError):
    """The system could not open, read, write or rename."""

    code = Status.ERROR_IO


class FormatError(Error, ValueError):
    """A file or buffer is malformed."""

    code = Status.ERROR_FORMAT


class TruncatedError(Error, ValueError):
    """A file or buffer ends too early."""

    code = Status.ERROR_TRUNCATED


class UnsupportedError(Error):
    """Well formed, but not something libdeep does."""

    code = Status.ERROR_UNSUPPORTED


class LimitError(Error, ValueError):
    """A limit of the context was exceeded: raise it if the source can be trusted."""

    code = Status.ERROR_LIMIT


class ChecksumError(Error, ValueError):
    """Stored and computed checksum differ: the file is damaged."""

    code = Status.ERROR_CHECKSUM


class VersionError(Error):
    """Written by a newer version than this library knows."""

    code = Status.ERROR_VERSION


class DatasetError(Error, ValueError):
    """The dataset as a whole cannot be used: empty, too many bad images, other classes than the model's."""

    code = Status.ERROR_DATASET


class DivergedError(Error, ArithmeticError):
    """The loss or a gradient is no longer finite: a lower learning rate. The checkpoint is of the step before."""

    code = Status.ERROR_DIVERGED


class CancelledError(Error):
    """Context.cancel() asked for it."""

    code = Status.ERROR_CANCELLED


class StateError(Error, RuntimeError):
    """Right call, wrong moment: closed, or used elsewhere at the same time."""

    code = Status.ERROR_STATE


class ForkedError(Error, RuntimeError):
    """The object is of the process that forked this one, or that process had computed. Use multiprocessing's
    "spawn"."""

    code = Status.ERROR_FORKED


class BackendError(Error, RuntimeError):
    """A library that computes failed."""

    code = Status.ERROR_BACKEND


class DeviceError(Error, RuntimeError):
    """The device asked for is not there."""

    code = Status.ERROR_DEVICE


class NotFoundError(Error, FileNotFoundError):
    """No such file, tensor, class or image."""

    code = Status.ERROR_NOT_FOUND

    def __init__(self, text: str, path: str | None = None, code: int | None = None) -> None:
        super().__init__(text, path, code)
        self.errno = errno.ENOENT
        self.filename = path


_CLASSES: dict[int, type[Error]] = {kind.code: kind for kind in Error.__subclasses__()}


def check(status: int, path: bytes | str | None = None, text: bytes | None = None) -> None:
    """Raises the exception of a status that is not OK, with the text of this thread's last failure unless one
    is given."""
    if status != Status.OK:
        words = (library.deep_last_error() if text is None else text).decode("utf-8", "backslashreplace")
        raise _CLASSES.get(status, Error)(words, None if path is None else os.fsdecode(path), status)
