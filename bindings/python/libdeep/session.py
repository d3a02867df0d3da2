# SPDX-License-Identifier: Apache-2.0
"""A model compiled for one batch size: nothing is allocated by the library while it runs."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any, Iterator, Mapping

import numpy as np
import numpy.typing as npt

from . import _declarations as c
from ._handle import Owner, create
from ._library import library
from ._options import fill, result
from .device import Borrowed, DeviceTensor, floats_at
from .dlpack import as_array
from .errors import check
from .image import ImageLike, as_image

if TYPE_CHECKING:
    from .model import Model

Float32Array = npt.NDArray[np.float32]


def floats(array: npt.NDArray[Any]) -> Any:
    """Where the values of a float32 array begin."""
    return array.ctypes.data_as(ctypes.POINTER(ctypes.c_float))


def as_batch(x: Any, side: int, copy: bool | None = None) -> Float32Array:
    """Network input of shape (n, side, side, 3), as C-contiguous float32: `x` itself when it is so.

    copy=False refuses what would have to be converted.
    """
    array = as_array(x)
    if array.ndim != 4 or array.shape[1:] != (side, side, 3):
        raise ValueError(f"input of shape {array.shape}: (n, {side}, {side}, 3) is wanted")
    right = (
        array.dtype == np.float32
        and array.dtype.isnative
        and array.flags.c_contiguous
        and array.flags.aligned
    )
    if right and not copy:
        return array
    if copy is False:
        raise ValueError(
            f"input of type {array.dtype}{'' if array.flags.c_contiguous else ', not C-contiguous'}: "
            "without a copy it must be C-contiguous float32"
        )
    if array.dtype.kind not in "fiu":
        raise TypeError(f"input of type {array.dtype}: numbers are wanted")
    return np.array(array, np.float32, order="C")


def device_index(name: str) -> int:
    """1 of "cuda:1", 0 of "cuda" and of what is no GPU."""
    return int(name.partition(":")[2] or 0)


class Layers(Mapping[str, Float32Array]):
    """What each layer gave in the session's last run, under Keras's names: arrays of shape (n, ...)."""

    def __init__(self, session: Session) -> None:
        self._session = session
        owner = session._live
        self._places: dict[str, int] = {}
        self._shapes: list[tuple[int, ...]] = []
        for place in range(library.deep_session_layer_count(owner)):
            layer = result(c.deep_layer)
            check(library.deep_session_layer_info(owner, place, ctypes.byref(layer)))
            self._places[layer.name.decode()] = place
            self._shapes.append(tuple(layer.shape[: layer.rank]))

    def __getitem__(self, name: str) -> Float32Array:
        place, images = self._places[name], self._session._last
        values = np.empty((images, *self._shapes[place]), np.float32)
        check(
            library.deep_session_layer_read(self._session._live, place, images, floats(values), values.size)
        )
        return values

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


class Session(Owner):
    """A model compiled for up to `batch` images at once. One thread at a time; any number of sessions per
    model.

    While a session lives its model cannot be trained or written. With layers=True nothing is fused and each
    layer's output is kept: slower, for looking inside. `stream` is a CUDA stream's handle to compute in, such as
    torch.cuda.current_stream().cuda_stream (1 where that is 0, the default stream), None for one of its own.
    """

    def __init__(
        self,
        model: Model,
        batch: int = 1,
        threads: int = 0,
        layers: bool = False,
        stream: int | None = None,
    ) -> None:
        options = fill(c.deep_session_options, batch=batch, threads=threads, layers=layers, stream=stream)
        owner = model._live
        self.model = model
        self.batch = batch or 1
        self._side, self._classes = model.info.input_size, len(model.classes)
        self._with_layers, self._last = layers, 0
        self._own_stream, self._index = stream is None, device_index(model.device)
        self._handle = create(
            c.deep_session,
            library.deep_session_free,
            library.deep_session_create,
            owner,
            ctypes.byref(options),
            keep=(owner,),
        )

    def _check_layers(self, images: int) -> None:
        if self._with_layers and images > self.batch:
            raise ValueError(f"{images} images in a session of batch {self.batch} that keeps its layers")

    def _run(self, x: Any, copy: bool | None, logits: bool) -> Float32Array:
        values = as_batch(x, self._side, copy)
        images = len(values)
        self._check_layers(images)
        out = np.empty((images, self._classes), np.float32)
        owner = self._live
        for first in range(0, images, self.batch):
            part, target = values[first : first + self.batch], floats(out[first : first + self.batch])
            check(
                library.deep_session_run(
                    owner, floats(part), len(part), *((target, None) if logits else (None, target))
                )
            )
            self._last = len(part)
        return out

    def run(self, x: Any, *, copy: bool | None = None) -> Float32Array:
        """Probabilities of shape (n, classes), from preprocessed input of shape (n, side, side, 3).

        C-contiguous float32 is read in place. Other numbers are converted, or refused with copy=False.
        """
        return self._run(x, copy, False)

    def logits(self, x: Any, *, copy: bool | None = None) -> Float32Array:
        """The values before the softmax; otherwise as run()."""
        return self._run(x, copy, True)

    def _target(self, out: Any, images: int, stream: int) -> DeviceTensor | Borrowed:
        """Where results go."""
        wanted = images, self._classes
        if out is None:
            return DeviceTensor(self.model.context._live, self._index, wanted)
        given = Borrowed(out, "out", self._index, stream)
        if given.shape != wanted or given.read_only:
            what = "that is read-only" if given.shape == wanted else f"of shape {given.shape}"
            raise ValueError(f"out {what}: {wanted} is wanted, to be written")
        return given

    def _queue(self, source: Borrowed, target: DeviceTensor | Borrowed, logits: bool) -> None:
        owner, images, image = self._live, source.shape[0], 3 * self._side**2
        for first in range(0, images, self.batch):
            part = min(self.batch, images - first)
            to = floats_at(target.address, first * self._classes)
            results = (to, None) if logits else (None, to)
            check(
                library.deep_session_run_device(
                    owner, floats_at(source.address, first * image), part, *results
                )
            )
            self._last = part

    def _run_device(self, x: Any, out: Any, logits: bool) -> Any:
        owner = self._live
        stream = library.deep_session_stream(owner)
        if stream is None:
            check(library.deep_session_wait(owner, None))  # says why there is none
        source = Borrowed(x, "input", self._index, stream)
        if source.shape[1:] != (self._side, self._side, 3):
            raise ValueError(
                f"input of shape {source.shape}: (n, {self._side}, {self._side}, 3) is wanted"
            )
        self._check_layers(source.shape[0])
        target = self._target(out, source.shape[0], stream)
        try:
            self._queue(source, target, logits)
        finally:
            if self._own_stream:
                check(library.deep_session_wait(owner, None))
        result = target if out is None else out
        if isinstance(result, DeviceTensor):
            result._written_by(owner)
        return result

    def run_device(self, x: Any, *, out: Any = None) -> Any:
        """Probabilities of shape (n, classes) in the GPU's memory, from input that stands there: nothing passes
        through the host.

        `x`, and `out` where one is given to be written, are what speaks DLPack, such as a torch.Tensor on "cuda":
        C-contiguous float32 on the session's GPU. Gives `out`, or a new DeviceTensor. The session's stream waits for
        what wrote `x`. The call returns when the results are there; but in a session made with `stream` the work is
        queued there, and `x` must stay as it is, in what other streams do, until that stream has come behind it.
        """
        return self._run_device(x, out, False)

    def logits_device(self, x: Any, *, out: Any = None) -> Any:
        """The values before the softmax; otherwise as run_device()."""
        return self._run_device(x, out, True)

    def preprocess(self, image: ImageLike) -> Float32Array:
        """An image as the network wants it, of shape (side, side, 3)."""
        source = as_image(image, self.model.context)
        values = np.empty((self._side, self._side, 3), np.float32)
        check(library.deep_session_preprocess(self._live, source._live, floats(values)))
        return values

    @property
    def layers(self) -> Layers:
        """Each layer's output in the last run, of a session made with layers=True."""
        if not self._with_layers:
            raise ValueError("this session was made without layers=True")
        return Layers(self)

    def __repr__(self) -> str:
        return f"<libdeep.Session{' closed' if self.closed else ''} batch {self.batch}>"

    def __reduce__(self) -> Any:
        raise TypeError("a libdeep.Session belongs to its process: pickle its model")
