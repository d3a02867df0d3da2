# SPDX-License-Identifier: Apache-2.0
"""Arrays of numbers, shared with other libraries without a copy through DLPack, in both directions.

numpy does the lending and the taking back: its capsules and deleters are C, and safe to run while an
exception is under way, as a callback written in Python is not. What numpy lacks is bfloat16; there the
capsule's element type is exchanged for int16 on the way into numpy, and back on the way out.
"""

from __future__ import annotations

import ctypes
from typing import Any, Sequence

import numpy as np
import numpy.typing as npt

from . import _declarations as c
from ._handle import Handle, create, view
from ._library import library
from .context import Context, default_context

_NUMPY = {
    c.Dtype.F32: "float32",
    c.Dtype.BF16: "int16",
    c.Dtype.F64: "float64",
    c.Dtype.U8: "uint8",
    c.Dtype.I32: "int32",
    c.Dtype.I64: "int64",
}
_NAMES = {kind: "bfloat16" if kind is c.Dtype.BF16 else name for kind, name in _NUMPY.items()}
_KINDS = {name: kind for kind, name in _NAMES.items()}

CPU, CUDA = 1, 2  # kDLCPU, kDLCUDA
INT, FLOAT, BFLOAT = 0, 2, 4  # kDLInt, kDLFloat, kDLBfloat


class _Tensor(ctypes.Structure):
    """DLTensor."""

    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device", ctypes.c_int32 * 2),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


class _Versioned(ctypes.Structure):
    """DLManagedTensorVersioned."""

    _fields_ = [
        ("version", ctypes.c_uint32 * 2),
        ("manager", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
        ("flags", ctypes.c_uint64),
        ("tensor", _Tensor),
    ]


_is_valid = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_IsValid", ctypes.pythonapi)
)
_get_pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)


def describe(capsule: Any) -> _Tensor:
    """The description inside a capsule that nobody has taken yet."""
    if _is_valid(capsule, b"dltensor_versioned"):
        versioned: _Tensor = _Versioned.from_address(_get_pointer(capsule, b"dltensor_versioned")).tensor
        return versioned
    if _is_valid(capsule, b"dltensor"):
        return _Tensor.from_address(_get_pointer(capsule, b"dltensor"))
    raise BufferError("not a DLPack capsule, or one that was taken before")


class _Capsule:
    """A capsule that numpy can ask for."""

    def __init__(self, capsule: Any, device: tuple[int, int]) -> None:
        self._capsule, self._device = capsule, device

    def __dlpack__(self, **wishes: Any) -> Any:
        capsule, self._capsule = self._capsule, None
        return capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._device


def _request(producer: Any) -> Any:
    """The producer's capsule, with a version where it knows of versions."""
    try:
        return producer.__dlpack__(max_version=(1, 0))
    except TypeError:
        return producer.__dlpack__()


def read_only(capsule: Any) -> bool:
    """Capsules without a version are of memory that may be written; numpy before 2.1 is more careful than that."""
    if not _is_valid(capsule, b"dltensor_versioned"):
        return False
    flags: int = _Versioned.from_address(_get_pointer(capsule, b"dltensor_versioned")).flags
    return bool(flags & 1)


def _borrow(producer: Any) -> tuple[npt.NDArray[Any], str, bool]:
    """An array over the producer's memory, which it keeps, the name of the element type, and whether it may be
    written."""
    device = producer.__dlpack_device__()
    if device[0] != CPU:
        raise BufferError(f"the tensor is on DLPack device {device[0]}, not on the CPU")
    capsule = _request(producer)
    tensor, writable = describe(capsule), not read_only(capsule)
    if (tensor.code, tensor.bits, tensor.lanes) != (BFLOAT, 16, 1):
        array = np.from_dlpack(_Capsule(capsule, device))
        return array, array.dtype.name, writable
    tensor.code = INT
    return np.from_dlpack(_Capsule(capsule, device)), "bfloat16", writable


def as_array(source: Any) -> npt.NDArray[Any]:
    """Anything that numpy knows, and anything that speaks DLPack, without a copy where that is possible."""
    if hasattr(source, "__dlpack__") and not hasattr(source, "__array__"):
        if source.__dlpack_device__()[0] == CUDA:
            raise BufferError("the array is in a GPU's memory: a session's run_device() reads it there")
        return np.from_dlpack(source)
    return np.asarray(source)


class Tensor:
    """An array of float32, bfloat16, float64, uint8, int32 or int64 in the host's memory, row-major and
    dense.

    Memory is shared, not copied, with numpy (np.asarray(tensor)) and whatever speaks DLPack
    (torch.from_dlpack(tensor)); it lives until the tensor and all that shares it are gone.
    """

    def __init__(self, handle: Handle, writable: bool = True) -> None:
        self._handle = handle
        self._writable = writable

    @classmethod
    def zeros(cls, shape: Sequence[int], dtype: str = "float32", *, context: Context | None = None) -> Tensor:
        """A new tensor filled with zeros."""
        context = context or default_context()
        owner = context._live
        arguments = owner, _kind(dtype), (ctypes.c_int64 * len(shape))(*shape), len(shape)
        return cls(
            create(
                c.deep_tensor, library.deep_tensor_free, library.deep_tensor_create, *arguments, keep=(owner,)
            )
        )

    @classmethod
    def from_array(
        cls, array: npt.ArrayLike, *, copy: bool | None = None, context: Context | None = None
    ) -> Tensor:
        """A tensor over an array's memory. What is not C-contiguous is copied, or refused with copy=False."""
        values = np.asarray(array)
        return cls._wrap(values, values.dtype.name, values.flags.writeable, copy, context)

    @classmethod
    def from_dlpack(
        cls, producer: Any, *, copy: bool | None = None, context: Context | None = None
    ) -> Tensor:
        """A tensor over the memory of an array of another library, on the CPU; copy as in from_array()."""
        values, name, writable = _borrow(producer)
        return cls._wrap(values, name, writable, copy, context)

    @classmethod
    def _wrap(
        cls, values: npt.NDArray[Any], name: str, writable: bool, copy: bool | None, context: Context | None
    ) -> Tensor:
        context, kind, flags = context or default_context(), _kind(name), values.flags
        dense = flags.c_contiguous and flags.aligned and values.dtype.isnative
        if copy or not dense:
            if copy is False:
                raise ValueError(f"an array of shape {values.shape} that is not dense needs a copy")
            values, writable = np.array(values, values.dtype.newbyteorder("="), order="C"), True
        owner, shape = context._live, (ctypes.c_int64 * values.ndim)(*values.shape)
        arguments = owner, kind, shape, values.ndim, values.ctypes.data, values.nbytes
        handle = create(
            c.deep_tensor,
            library.deep_tensor_free,
            library.deep_tensor_wrap,
            *arguments,
            keep=(owner, values),
        )
        return cls(handle, writable)

    @property
    def shape(self) -> tuple[int, ...]:
        """Extents, outermost first."""
        rank = library.deep_tensor_rank(self._handle)
        return tuple(library.deep_tensor_extent(self._handle, axis) for axis in range(rank))

    @property
    def dtype(self) -> str:
        """Such as "float32"."""
        return _NAMES[library.deep_tensor_dtype(self._handle)]

    @property
    def nbytes(self) -> int:
        return int(library.deep_tensor_size(self._handle))

    def _view(self) -> npt.NDArray[Any]:
        """The memory as an array, whose element type stands in for bfloat16."""
        kind = library.deep_tensor_dtype(self._handle)
        address = library.deep_tensor_data(self._handle) or 0
        return view(self._handle, address, self.shape, _NUMPY[kind], writable=self._writable)

    @property
    def __array_interface__(self) -> dict[str, Any]:
        if self.dtype == "bfloat16":
            raise TypeError("numpy has no bfloat16: take the tensor through DLPack")
        interface: dict[str, Any] = self._view().__array_interface__
        return interface

    def __dlpack_device__(self) -> tuple[int, int]:
        return CPU, 0

    def __dlpack__(self, **wishes: Any) -> Any:
        """A capsule for another library's from_dlpack(); the wishes are those of the protocol."""
        capsule = self._view().__dlpack__(**wishes)
        if self.dtype == "bfloat16":
            describe(capsule).code = BFLOAT
        return capsule

    def __len__(self) -> int:
        shape = self.shape
        if not shape:
            raise TypeError("a scalar has no length")
        return shape[0]

    def __repr__(self) -> str:
        return f"<libdeep.Tensor {self.dtype}, shape {self.shape}>"

    def __reduce__(self) -> Any:
        return _rebuild, (self.dtype, self._view().copy())


def _rebuild(name: str, values: npt.NDArray[Any]) -> Tensor:
    return Tensor._wrap(values, name, True, None, None)


def _kind(name: str) -> int:
    try:
        return _KINDS[name]
    except KeyError:
        raise TypeError(f"elements of type {name}, not one of {', '.join(_KINDS)}") from None
