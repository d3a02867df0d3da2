# SPDX-License-Identifier: Apache-2.0
"""Images in and out: files, bytes, numpy arrays, Pillow images."""

from __future__ import annotations

import ctypes
import os
from typing import Any, Iterable, Iterator, Union

import numpy as np
import numpy.typing as npt

from . import _declarations as c
from ._handle import Handle, Owner, create, view
from ._library import library
from ._options import constant, fill
from .context import Context, default_context
from .dlpack import as_array
from .errors import check

# What a function that wants an image takes: a path, the bytes of a PNG or JPEG file, an array of pixels, a
# Pillow image, an Image.
ImageLike = Union[str, "os.PathLike[str]", bytes, bytearray, memoryview, npt.NDArray[Any], "Image", Any]

# (dtype, channels; 0 = no such axis) -> (format, format when the order is BGR)
_FORMATS = {
    ("uint8", 0): (c.Pixel.GRAY8, c.Pixel.GRAY8),
    ("uint8", 1): (c.Pixel.GRAY8, c.Pixel.GRAY8),
    ("uint8", 3): (c.Pixel.RGB, c.Pixel.BGR),
    ("uint8", 4): (c.Pixel.RGBA, c.Pixel.BGRA),
    ("uint16", 0): (c.Pixel.GRAY16, c.Pixel.GRAY16),
    ("uint16", 1): (c.Pixel.GRAY16, c.Pixel.GRAY16),
}


class Image(Owner):
    """Decoded pixels, 8-bit grey or RGB. One thread at a time.

    Image.load() reads a file, Image.decode() the bytes of one, Image.from_array() takes pixels.
    """

    def __init__(self, handle: Handle, context: Context) -> None:
        self._handle = handle
        self.context = context

    @classmethod
    def _create(
        cls,
        context: Context,
        function: Any,
        *arguments: Any,
        keep: tuple[Any, ...] = (),
        path: bytes | None = None,
    ) -> Image:
        owner = context._live
        return cls(
            create(
                c.deep_image, library.deep_image_free, function, *arguments, keep=(owner,) + keep, path=path
            ),
            context,
        )

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        channels: int = 0,
        truncation: str = "strict",
        ignore_orientation: bool = False,
        context: Context | None = None,
    ) -> Image:
        """Reads a PNG or JPEG file, told apart by content. `channels` 1 or 3 converts, 0 leaves what is
        stored; truncation="lenient" gives what there is of a file that ends too early."""
        context = context or default_context()
        options = fill(
            c.deep_image_options,
            channels=channels,
            truncation=truncation,
            ignore_orientation=ignore_orientation,
        )
        name = os.fsencode(path)
        return cls._create(
            context, library.deep_image_load, context._live, name, ctypes.byref(options), path=name
        )

    @classmethod
    def decode(
        cls,
        data: bytes | bytearray | memoryview,
        *,
        channels: int = 0,
        truncation: str = "strict",
        ignore_orientation: bool = False,
        context: Context | None = None,
    ) -> Image:
        """Decodes the bytes of a PNG or JPEG file, as load() does."""
        context = context or default_context()
        options = fill(
            c.deep_image_options,
            channels=channels,
            truncation=truncation,
            ignore_orientation=ignore_orientation,
        )
        held = np.frombuffer(data, np.uint8)  # shows where any buffer lies, without a copy
        return cls._create(
            context,
            library.deep_image_decode,
            context._live,
            held.ctypes.data,
            held.nbytes,
            ctypes.byref(options),
        )

    @classmethod
    def from_array(cls, array: Any, *, order: str = "rgb", context: Context | None = None) -> Image:
        """Pixels of shape (height, width), (height, width, 1), (..., 3) or (..., 4); uint8, or uint16 grey.

        Rows of packed uint8 grey or RGB pixels are used in place: later changes of the array show in the
        image. The rest is copied; the fourth channel is dropped, not blended. `order` is "rgb" or "bgr".
        """
        context = context or default_context()
        pixels = as_array(array)
        pixel_format = _pixel_format(pixels, order)
        stride = pixels.strides[0]
        if not _rows_are_packed(pixels):
            pixels, stride = np.ascontiguousarray(pixels), 0
        options = fill(
            c.deep_pixels,
            data=pixels.ctypes.data,
            stride=stride,
            width=pixels.shape[1],
            height=pixels.shape[0],
            format=pixel_format,
        )
        return cls._create(
            context, library.deep_image_wrap, context._live, ctypes.byref(options), keep=(pixels,)
        )

    @property
    def width(self) -> int:
        return int(library.deep_image_width(self._live))

    @property
    def height(self) -> int:
        return int(library.deep_image_height(self._live))

    @property
    def channels(self) -> int:
        """1 (grey) or 3 (RGB)."""
        return int(library.deep_image_channels(self._live))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width, channels."""
        return self.height, self.width, self.channels

    def view(self) -> npt.NDArray[np.uint8]:
        """The pixels in place, read-only, of shape (height, width, channels); the array keeps the memory
        alive."""
        handle = self._live
        address = ctypes.cast(library.deep_image_data(handle), ctypes.c_void_p).value or 0
        return view(
            handle, address, self.shape, np.uint8, (library.deep_image_stride(handle), self.channels, 1)
        )

    def to_array(self) -> npt.NDArray[np.uint8]:
        """A copy of the pixels, of shape (height, width, channels)."""
        return self.view().copy()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        pixels = self.view()
        if dtype is not None and np.dtype(dtype) != pixels.dtype:
            if copy is False:
                raise ValueError(f"pixels are uint8: {np.dtype(dtype)} needs a copy")
            return pixels.astype(dtype)
        return pixels.copy() if copy else pixels

    def resize(self, width: int, height: int, filter: str = "bilinear") -> Image:
        """A new image of that size; filters: "bilinear", "area", "triangle", "bicubic"."""
        return self._create(
            self.context,
            library.deep_image_resize,
            self._live,
            width,
            height,
            constant(c.Filter, filter, "filter"),
        )

    def fit(self, side: int, filter: str = "bilinear", fit: str = "squash") -> Image:
        """A new square image, "squash"ed or "pad"ded with the mean colour of the border."""
        return self._create(
            self.context,
            library.deep_image_fit,
            self._live,
            side,
            constant(c.Filter, filter, "filter"),
            constant(c.Fit, fit, "fit"),
        )

    def turn(self, quarter_turns: int, mirror: bool = False) -> Image:
        """A new image, turned counter-clockwise and then mirrored left and right."""
        return self._create(self.context, library.deep_image_turn, self._live, quarter_turns, bool(mirror))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a PNG file, in one step."""
        name = os.fsencode(path)
        check(library.deep_image_save_png(self._live, name), name)

    def to_png(self) -> bytes:
        """The bytes of a PNG file."""
        return take_bytes(self.context, library.deep_image_encode_png, self._live)

    def __repr__(self) -> str:
        return (
            "<libdeep.Image closed>"
            if self.closed
            else f"<libdeep.Image {self.width} x {self.height} x {self.channels}>"
        )

    def __reduce__(self) -> Any:
        return _decode, (self.to_png(),)


def _decode(data: bytes) -> Image:
    return Image.decode(data)


def take_bytes(context: Context, function: Any, handle: Handle) -> bytes:
    """Calls a function that gives a buffer to free."""
    owner, data, size = context._live, ctypes.c_void_p(), ctypes.c_size_t()
    check(function(handle, ctypes.byref(data), ctypes.byref(size)))
    try:
        return ctypes.string_at(data, size.value)
    finally:
        library.deep_free(owner, data)


def _pixel_format(pixels: npt.NDArray[Any], order: str) -> int:
    if order.lower() not in ("rgb", "bgr"):
        raise ValueError(f"order is {order!r}, not 'rgb' or 'bgr'")
    if pixels.ndim not in (2, 3):
        raise ValueError(
            f"an array of shape {pixels.shape} is not an image: (height, width) or (height, width, channels)"
        )
    channels = pixels.shape[2] if pixels.ndim == 3 else 0
    formats = _FORMATS.get((pixels.dtype.name, channels))
    if formats is None:
        if pixels.dtype.name not in ("uint8", "uint16"):
            raise TypeError(f"pixels of type {pixels.dtype}: uint8 is wanted, or uint16 for grey")
        raise ValueError(
            f"{pixels.dtype} pixels of {channels} channels: uint8 may have 1, 3 or 4, uint16 one"
        )
    if not pixels.dtype.isnative:
        raise TypeError(f"pixels of type {pixels.dtype.str} have the other byte order")
    return formats[order.lower() == "bgr"]


def _rows_are_packed(pixels: npt.NDArray[Any]) -> bool:
    """Whether the library can read the rows where they are, perhaps with room between them."""
    packed = pixels.itemsize * (pixels.shape[2] if pixels.ndim == 3 else 1)
    inner = pixels.ndim == 2 or pixels.strides[2] == pixels.itemsize
    return bool(inner and pixels.strides[1] == packed and pixels.strides[0] >= packed * pixels.shape[1])


def _is_pillow(source: Any) -> bool:
    return any(kind.__module__ == "PIL.Image" and kind.__name__ == "Image" for kind in type(source).__mro__)


def _from_pillow(source: Any) -> npt.NDArray[Any]:
    """The pixels as they stand in the Pillow image: an orientation tag is Pillow's to apply."""
    if source.mode in ("1", "LA", "La"):
        source = source.convert("L")
    elif source.mode in ("P", "PA", "RGBX"):
        source = source.convert("RGB")
    elif source.mode not in ("L", "RGB", "RGBA", "I;16", "I;16L", "I;16N"):
        raise TypeError(f"a Pillow image of mode {source.mode!r}: convert it to 'L' or 'RGB' first")
    return np.asarray(source)


_ARRAYS = ("__array_interface__", "__array__", "__dlpack__")  # what an array of any library has one of


def as_image(source: ImageLike, context: Context) -> Image:
    """Whatever stands for one image, as an Image."""
    if isinstance(source, Image):
        return source
    if isinstance(source, (str, os.PathLike)):
        return Image.load(source, context=context)
    if isinstance(source, (bytes, bytearray)) or (isinstance(source, memoryview) and source.ndim == 1):
        return Image.decode(source, context=context)
    if _is_pillow(source):
        return Image.from_array(_from_pillow(source), context=context)
    if isinstance(source, memoryview) or any(hasattr(source, name) for name in _ARRAYS):
        return Image.from_array(source, context=context)
    raise TypeError(
        f"{type(source).__name__} is not an image: a path, bytes, pixels as uint8, a Pillow or libdeep image"
    )


def each(sources: Any) -> Iterator[ImageLike]:
    """One image, a batch of them as an array, or any iterable: one after the other."""
    if isinstance(sources, (str, os.PathLike, bytes, bytearray, memoryview, Image)) or _is_pillow(sources):
        yield sources
    elif hasattr(sources, "ndim") and hasattr(sources, "shape"):
        array = np.asarray(sources)
        if array.ndim == 4:
            yield from array
        elif array.dtype == object or array.dtype.kind in "US":
            yield from array.ravel()
        else:
            yield array
    elif isinstance(sources, Iterable):
        yield from sources
    else:
        yield sources
