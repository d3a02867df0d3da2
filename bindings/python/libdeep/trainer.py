# SPDX-License-Identifier: Apache-2.0
"""Training one step at a time, for outer loops of one's own."""

from __future__ import annotations

import ctypes
import os
import warnings
import weakref
from typing import TYPE_CHECKING, Any, Iterator, Mapping, NamedTuple

import numpy as np
import numpy.typing as npt

from . import _declarations as c
from ._handle import Owner, create, view
from ._library import library
from ._options import fill, result
from .errors import check
from .session import Float32Array, as_batch, floats

if TYPE_CHECKING:
    from .model import Model


class Step(NamedTuple):
    """What a step found: the batch's mean loss, the gradient's norm before clipping, right answers, updates
    done so far."""

    loss: float
    gradient_norm: float
    correct: int
    step: int


class _Borrowed:
    """Stands between a gradient's array and the trainer, so that close() can tell whether an array is still
    in use."""

    def __init__(self, keep: Any) -> None:
        self.keep = keep


class Gradients(Mapping[str, Float32Array]):
    """Parameter name -> its gradient, in place and writable. An array keeps the trainer, and with it its hold
    of the model."""

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self._params = {name: place for name, place in trainer._params.items() if place[1].trainable}

    def __getitem__(self, name: str) -> Float32Array:
        index, info = self._params[name]
        values, count = ctypes.POINTER(ctypes.c_float)(), ctypes.c_int64()
        handle = self._trainer._live
        check(library.deep_trainer_gradient(handle, index, ctypes.byref(values), ctypes.byref(count)))
        borrowed = _Borrowed(handle)
        self._trainer._borrowed[borrowed] = name
        address = ctypes.cast(values, ctypes.c_void_p).value or 0
        return view(borrowed, address, info.shape, np.float32, writable=True)

    def __iter__(self) -> Iterator[str]:
        return iter(self._params)

    def __len__(self) -> int:
        return len(self._params)


class Trainer(Owner):
    """Holds a model alone and changes it step by step. One thread at a time.

    The options are those of Model.fit(); those that concern epochs have no meaning here. close(), or the end
    of `with`, gives the model back.
    """

    def __init__(self, model: Model, **options: Any) -> None:
        struct = fill(c.deep_fit_options, **options)
        owner = model._live
        self.model = model
        self.batch = struct.batch or 16
        self._params = {name: (index, model.params.info(name)) for index, name in enumerate(model.params)}
        self._side = model.info.input_size
        self._borrowed: weakref.WeakKeyDictionary[_Borrowed, str] = weakref.WeakKeyDictionary()
        self._handle = create(
            c.deep_trainer,
            library.deep_trainer_free,
            library.deep_trainer_create,
            owner,
            ctypes.byref(struct),
            keep=(owner,),
        )

    def _call(self, function: Any, x: Any, labels: npt.ArrayLike) -> Step:
        values = as_batch(x, self._side)
        numbers = np.asarray(labels)
        if numbers.shape != values.shape[:1] or numbers.dtype.kind not in "iu":
            raise ValueError(
                f"labels of shape {numbers.shape} and type {numbers.dtype} for {len(values)} images"
            )
        numbers = np.ascontiguousarray(numbers.astype(np.int64).clip(-1, 2**31 - 1), np.int32)
        step = result(c.deep_step)
        check(
            function(
                self._live,
                floats(values),
                numbers.ctypes.data_as(ctypes.POINTER(ctypes.c_int32)),
                len(values),
                ctypes.byref(step),
            )
        )
        return Step(step.loss, step.gradient_norm, step.correct, step.step)

    def step(self, x: Any, labels: npt.ArrayLike) -> Step:
        """Forward, loss, backward, update. `x` is preprocessed, of shape (n, side, side, 3), n up to the
        batch option."""
        return self._call(library.deep_trainer_step, x, labels)

    def compute_gradients(self, x: Any, labels: npt.ArrayLike) -> Step:
        """step() without the update."""
        return self._call(library.deep_trainer_gradients, x, labels)

    @property
    def gradients(self) -> Gradients:
        """The gradients as they stand, to read or to change before apply()."""
        return Gradients(self)

    def apply(self) -> None:
        """The update of step(), with the gradients as they stand."""
        check(library.deep_trainer_apply(self._live))

    @property
    def learning_rate(self) -> float:
        """Of the next update."""
        return float(library.deep_trainer_learning_rate(self._live))

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        check(library.deep_trainer_set_learning_rate(self._live, rate))

    def set_class_weights(self, weights: npt.ArrayLike | None) -> None:
        """One weight of the loss per class; None makes them all 1."""
        if weights is None:
            check(library.deep_trainer_set_class_weights(self._live, None, 0))
            return
        values = np.ascontiguousarray(weights, np.float32)
        if values.ndim != 1:
            raise ValueError(f"class weights of shape {values.shape}: one per class is wanted")
        check(library.deep_trainer_set_class_weights(self._live, floats(values), len(values)))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes parameters, optimizer slots and step count; the file before stays as `path`.prev."""
        name = os.fsencode(path)
        check(library.deep_trainer_save(self._live, name), name)

    def load(self, path: str | os.PathLike[str]) -> None:
        """Continues from what save() wrote."""
        name = os.fsencode(path)
        check(library.deep_trainer_load(self._live, name), name)

    def close(self) -> None:
        """Gives the model back; the weights stay. Gradient arrays that are still referred to delay that, with
        a warning."""
        names = sorted(set(self._borrowed.values()))
        if names and not self.closed:
            warnings.warn(
                f"the model stays with its trainer as long as gradients are in use: {', '.join(names)}",
                RuntimeWarning,
                stacklevel=2,
            )
        super().close()

    def __repr__(self) -> str:
        return f"<libdeep.Trainer{' closed' if self.closed else ''} batch {self.batch}>"

    def __reduce__(self) -> Any:
        raise TypeError("a libdeep.Trainer belongs to its process: save() it")
