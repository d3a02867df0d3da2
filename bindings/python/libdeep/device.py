# SPDX-License-Identifier: Apache-2.0
"""Arrays in a GPU's memory, exchanged with other libraries through DLPack: nothing passes through the host.

Who lends an array is told in which stream it will be read, and lets that stream wait for what wrote it.
"""

from __future__ import annotations

import ctypes
import functools
import math
import weakref
from typing import Any

from . import _declarations as c
from ._handle import Handle, view
from ._library import library
from .dlpack import CUDA, FLOAT, describe, read_only
from .errors import check

LEGACY_DEFAULT = 1  # what the protocol, and CUDA's cudaStreamLegacy, call the default stream
NO_WAITING = -1


def floats_at(address: int, skipped: int) -> Any:
    """Where float32 values begin, behind some."""
    return ctypes.cast(address + 4 * skipped, ctypes.POINTER(ctypes.c_float))


def _check_stream(stream: int | None) -> int:
    if stream is None:
        return LEGACY_DEFAULT
    if stream == 0 or stream < NO_WAITING:
        raise ValueError(f"stream {stream}: 1 is the default stream, 2 that of each thread, -1 asks for no waiting")
    return stream


class DeviceTensor:
    """A dense float32 array in a GPU's memory: torch.from_dlpack(tensor), cupy.from_dlpack(tensor).

    Memory is shared, not copied; it lives until the tensor and all that shares it are gone. A stream that takes it
    waits for the session's that writes it.
    """

    def __init__(self, context: Handle, index: int, shape: tuple[int, ...]) -> None:
        memory = ctypes.c_void_p()
        size = max(1, 4 * math.prod(shape))
        check(library.deep_device_memory_alloc(ctypes.byref(memory), context, size))
        self._handle = Handle(memory, functools.partial(library.deep_device_memory_free, context), context)
        self.address = int(memory.value or 0)
        self._index = index
        self._writer: weakref.ref[Handle] | None = None
        self.shape = shape

    dtype = "float32"

    @property
    def nbytes(self) -> int:
        return 4 * math.prod(self.shape)

    def _written_by(self, session: Handle) -> None:
        """What is queued in the session's stream has to be waited for. A session that is gone has waited itself."""
        self._writer = weakref.ref(session)

    def _let_wait(self, stream: int) -> None:
        session = None if self._writer is None else self._writer()
        if session is None or stream in (NO_WAITING, library.deep_session_stream(session)):
            return
        check(library.deep_session_wait(session, stream))

    def __dlpack_device__(self) -> tuple[int, int]:
        return CUDA, self._index

    def __dlpack__(
        self,
        *,
        stream: int | None = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        """A capsule for another library's from_dlpack(), which will use the array in `stream` (None = 1, the default
        one): that one waits for what writes the array."""
        here = self.__dlpack_device__()
        if dl_device is not None and tuple(dl_device) != here:
            raise BufferError(f"the tensor is on DLPack device {here}, not {tuple(dl_device)}")
        if copy:
            raise BufferError("a tensor in a GPU's memory is lent without a copy")
        self._let_wait(_check_stream(stream))
        wishes: dict[str, Any] = {} if max_version is None else {"max_version": max_version}
        # numpy makes the capsule without a look at the memory, and takes it for the host's
        capsule = view(self._handle, self.address, self.shape, self.dtype, writable=True).__dlpack__(**wishes)
        device = describe(capsule).device
        device[0], device[1] = here
        return capsule

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"<libdeep.DeviceTensor {self.dtype}, shape {self.shape}, cuda:{self._index}>"

    def __reduce__(self) -> Any:
        raise TypeError("a libdeep.DeviceTensor is memory of a GPU: it cannot be pickled or copied")


def _is_dense(shape: tuple[int, ...], strides: Any) -> bool:
    """Row-major without gaps; strides count elements, and none at all say so too."""
    step = 1
    for axis in range(len(shape) - 1, -1, -1) if strides and 0 not in shape else ():
        if shape[axis] != 1 and strides[axis] != step:
            return False
        step *= shape[axis]
    return True


class Borrowed:
    """Another library's array, for as long as this lives."""

    def __init__(self, producer: Any, what: str, index: int, stream: int) -> None:
        """Its float32 values in the memory of GPU `index`, which may be used in `stream` from now on."""
        if not hasattr(producer, "__dlpack__"):
            raise TypeError(f"{what} of type {type(producer).__name__} has no __dlpack__()")
        device = tuple(map(int, producer.__dlpack_device__()))
        if device != (CUDA, index):
            raise BufferError(f"{what} is on DLPack device {device}, the session computes on {(CUDA, index)}")
        try:
            self._capsule = producer.__dlpack__(stream=stream, max_version=(1, 0))
        except TypeError:
            self._capsule = producer.__dlpack__(stream=stream)
        tensor = describe(self._capsule)
        if (tensor.code, tensor.bits, tensor.lanes) != (FLOAT, 32, 1):
            kind = f"DLPack type {tensor.code} of {tensor.bits} bits"
            raise TypeError(f"{what} of {kind}: float32 is wanted, which is type {FLOAT} of 32")
        self.shape = tuple(tensor.shape[: tensor.ndim])
        if not _is_dense(self.shape, tensor.strides):
            strides = tuple(tensor.strides[: tensor.ndim])
            raise ValueError(f"{what} of shape {self.shape} with strides {strides} is not C-contiguous")
        self.address = int(tensor.data or 0) + int(tensor.byte_offset)

    @property
    def read_only(self) -> bool:
        return read_only(self._capsule)
