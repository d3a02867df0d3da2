# SPDX-License-Identifier: Apache-2.0
"""A network with its weights, class names and preprocessing: the front door."""

from __future__ import annotations

import ctypes
import itertools
import json
import os
from dataclasses import dataclass
from typing import Any, Iterable, Iterator, Mapping, MutableMapping, NamedTuple, Sequence

import numpy as np
import numpy.typing as npt

from . import _declarations as c
from . import _fit
from ._handle import Handle, Owner, create
from ._library import library
from ._options import fill, result
from .context import Context, default_context
from .dataset import DatasetLike, as_dataset, make_classes
from .errors import check
from .image import ImageLike, as_image, each, take_bytes
from .metrics import History, Metrics, Predictions
from .session import Float32Array, Session, floats
from .trainer import Trainer

DECODED_AT_ONCE = 64  # images of a prediction that are in memory at the same time
_ROW = np.dtype([("class_index", np.int32), ("probability", np.float32)])  # deep_prediction


@dataclass(frozen=True)
class ModelInfo:
    """What a model is. `parameters` counts all values, `trainable_parameters` those that training changes,
    `multiply_adds` are those of one image; mean and std are per RGB channel on the scale 0..255; dtype is what
    kernels are stored in, the smallest of them: "float32", "bf16", "fp16" or "int8"."""

    architecture: str
    input_size: int
    input_channels: int
    classes: int
    head: str
    preprocess: str
    filter: str
    fit: str
    padding: str
    middle_blocks: int
    width: float
    dropout: float
    batch_norm_epsilon: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    parameters: int
    trainable_parameters: int
    multiply_adds: int
    dtype: str


class Memory(NamedTuple):
    """Bytes that a use of a model needs; libraries' code and decoded images come on top."""

    weights: int
    activations: int
    optimizer: int
    total: int


class Param(NamedTuple):
    """A parameter, in Keras's name and layout. Roles: kernel, bias, gamma, beta, mean, variance; in int8 models
    also quantization."""

    name: str
    role: str
    shape: tuple[int, ...]
    trainable: bool


class Params(MutableMapping[str, Float32Array]):
    """Name -> a copy of the values as float32; params[name] = array writes them. The set of names is
    fixed."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def info(self, name: str) -> Param:
        """Role, shape and whether training changes it."""
        return self._at(self._index(name))

    def _index(self, name: str) -> int:
        index = library.deep_model_param_index(self._model._live, name.encode())
        if index < 0:
            raise KeyError(name)
        return int(index)

    def _at(self, index: int) -> Param:
        owner, param = self._model._live, result(c.deep_param)
        check(library.deep_model_param_info(owner, index, ctypes.byref(param)))
        return Param(
            param.name.decode(),
            c.Role(param.role).name.lower(),
            tuple(param.shape[: param.rank]),
            bool(param.trainable),
        )

    def __getitem__(self, name: str) -> Float32Array:
        index = self._index(name)
        values = np.empty(self._at(index).shape, np.float32)
        check(library.deep_model_param_read(self._model._live, index, floats(values), values.size))
        return values

    def __setitem__(self, name: str, values: npt.ArrayLike) -> None:
        index = self._index(name)
        shape, array = self._at(index).shape, np.ascontiguousarray(values, np.float32)
        if array.shape != shape:
            raise ValueError(f"{name} has the shape {shape}, not {array.shape}")
        check(library.deep_model_param_write(self._model._live, index, floats(array), array.size))

    def __delitem__(self, name: str) -> None:
        raise TypeError("a model's parameters cannot be deleted")

    def __iter__(self) -> Iterator[str]:
        return (self._at(index).name for index in range(len(self)))

    def __len__(self) -> int:
        return int(library.deep_model_param_count(self._model._live))


class Model(Owner):
    """A network with its weights, class names and preprocessing.

    Any number of threads may predict with one model; a fit, a trainer or a write needs it alone, else
    StateError. Models are copied by copy() and pickled as the bytes of their file, which are loaded into the
    default context.
    """

    history: History | None = None  # of the last fit
    stop_training = False  # a callback sets it, as in Keras

    def __init__(self, handle: Handle, context: Context) -> None:
        self._handle = handle
        self.context = context

    @classmethod
    def _create(cls, context: Context, function: Any, *arguments: Any, path: bytes | None = None) -> Model:
        owner = context._live
        return cls(
            create(c.deep_model, library.deep_model_free, function, *arguments, keep=(owner,), path=path),
            context,
        )

    @classmethod
    def create(
        cls,
        classes: int | Sequence[str] = 1000,
        *,
        aphia_ids: Sequence[int] | None = None,
        architecture: str = "xception",
        input_size: int = 299,
        input_channels: int = 3,
        head: str = "imagenet",
        padding: str = "same",
        batch_norm_epsilon: float = 0,
        dropout: float = 0.0,
        width: float = 0,
        middle_blocks: int = 0,
        preprocess: str = "tf",
        filter: str = "bilinear",
        fit: str = "squash",
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        seed: int = 0,
        context: Context | None = None,
    ) -> Model:
        """A model with random weights.

        `classes` are names, or how many there are. `architecture` is "xception" or "xception-small"; `width`
        scales its channels and `middle_blocks` replaces its number of middle blocks, 0 being the
        architecture's own. `head` is "imagenet" (pooling, dense) or "service" (a dense layer of 1024
        between). `padding` is "same" (TensorFlow's) or "symmetric" (PyTorch's), batch_norm_epsilon 0 is 1e-3.
        Images reach input_size by `filter` and `fit`, and are normalised by `preprocess` ("tf", "torch",
        "caffe") with `mean` and `std`, which are a fit's to find when not given.
        """
        context = context or default_context()
        if std is not None and mean is None:
            raise ValueError("std without mean")
        named = not hasattr(classes, "__index__")
        if aphia_ids is not None and not named:
            raise ValueError("AphiaIDs for classes without names")
        table = make_classes(classes, aphia_ids, context) if named else None  # type: ignore[arg-type]
        options = fill(
            c.deep_model_options,
            architecture=architecture,
            classes=table and table._as_parameter_,
            class_count=None if named else classes,
            input_size=input_size,
            input_channels=input_channels,
            head=head,
            padding=padding,
            batch_norm_epsilon=batch_norm_epsilon,
            dropout=dropout,
            width=width,
            middle_blocks=middle_blocks,
            preprocess=preprocess,
            filter=filter,
            fit=fit,
            has_mean=mean is not None,
            mean=mean,
            std=std,
            seed=seed,
        )
        return cls._create(context, library.deep_model_create, context._live, ctypes.byref(options))

    @classmethod
    def load(cls, source: str | os.PathLike[str] | bytes, *, context: Context | None = None) -> Model:
        """Loads a model file: its path, or its bytes."""
        context = context or default_context()
        if isinstance(source, (bytes, bytearray, memoryview)):
            held = np.frombuffer(source, np.uint8)  # shows where any buffer lies, without a copy
            return cls._create(
                context, library.deep_model_load_memory, context._live, held.ctypes.data, held.nbytes
            )
        name = os.fsencode(source)
        return cls._create(context, library.deep_model_load, context._live, name, path=name)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a model file, in one step: `path` is whole, old or new, at every instant."""
        name = os.fsencode(path)
        check(library.deep_model_save(self._live, name), name)

    def to_bytes(self) -> bytes:
        """The bytes of the model file."""
        return take_bytes(self.context, library.deep_model_save_memory, self._live)

    def copy(self) -> Model:
        """An independent model."""
        return self._create(self.context, library.deep_model_clone, self._live)

    def __copy__(self) -> Model:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> Model:
        return self.copy()

    def __reduce__(self) -> Any:
        return _load, (self.to_bytes(),)

    @property
    def info(self) -> ModelInfo:
        """Architecture, sizes, preprocessing."""
        summary = result(c.deep_model_summary)
        check(library.deep_model_info(self._live, ctypes.byref(summary)))
        values = {
            name: getattr(summary, name)
            for name, *_ in summary._fields_
            if name not in ("struct_size", "reserved")
        }
        values["architecture"] = summary.architecture.decode()
        for name, kind in _NAMED.items():
            values[name] = kind(values[name]).name.lower()
        values["dtype"] = _DTYPES[summary.dtype]
        return ModelInfo(**{**values, "mean": tuple(summary.mean), "std": tuple(summary.std)})

    @property
    def device(self) -> str:
        """What computes it: the context's device, or, where that was "auto" and lacks something, "cpu" or "ref"."""
        return str(library.deep_model_device(self._live).decode())

    @property
    def classes(self) -> list[str]:
        """Names, in the order of the network's outputs."""
        owner = self._live
        return [
            library.deep_model_class_name(owner, place).decode()
            for place in range(library.deep_model_class_count(owner))
        ]

    @property
    def aphia_ids(self) -> list[int]:
        """WoRMS AphiaIDs of the classes, 0 where unknown."""
        owner = self._live
        return [
            library.deep_model_class_aphia_id(owner, place)
            for place in range(library.deep_model_class_count(owner))
        ]

    def set_classes(
        self, classes: Sequence[str], *, aphia_ids: Sequence[int] | None = None, seed: int = 0
    ) -> None:
        """Renames the classes; with another number of them also makes a new last layer, random by `seed`."""
        check(
            library.deep_model_set_classes(self._live, make_classes(classes, aphia_ids, self.context), seed)
        )

    @property
    def metadata(self) -> dict[str, Any]:
        """The document in the model file: architecture, classes, preprocessing, and "user" for what programs
        put there."""
        document: dict[str, Any] = json.loads(library.deep_model_metadata(self._live))
        return document

    def set_metadata(self, key: str, value: Any) -> None:
        """Puts a value that JSON can hold into the metadata's "user" part; None removes the key."""
        data = None if value is None else json.dumps(value, allow_nan=False).encode()
        check(library.deep_model_set_metadata(self._live, key.encode(), data))

    @property
    def params(self) -> Params:
        """The parameters by name."""
        return Params(self)

    def set_trainable(self, prefix: str, trainable: bool) -> None:
        """Freezes or frees the parameters whose names begin so; "backbone" is everything below the head, ""
        everything."""
        check(library.deep_model_set_trainable(self._live, prefix.encode(), bool(trainable)))

    def memory(self, batch: int = 1, training: bool = False) -> Memory:
        """How much memory predicting, or training, with that batch takes."""
        estimate = result(c.deep_memory_estimate)
        check(library.deep_model_memory_estimate(self._live, batch, bool(training), ctypes.byref(estimate)))
        return Memory(estimate.weights, estimate.activations, estimate.optimizer, estimate.total)

    def largest_batch(self, training: bool = False, **options: Any) -> int:
        """The largest batch that the device has memory for, at most 256; on the processor 8, and 16 for training.

        `options` of the training are those of fit().
        """
        if options and not training:
            raise TypeError("options are those of a training")
        batch = ctypes.c_int32()
        wanted = ctypes.byref(fill(c.deep_fit_options, **options)) if training else None
        check(library.deep_model_largest_batch(self._live, wanted, ctypes.byref(batch)))
        return batch.value

    def _predict(self, images: Any, top: int, batch: int) -> npt.NDArray[Any]:
        """Rows of `top` (class_index, probability), decoding some images at a time."""
        options = fill(c.deep_predict_options, batch=batch)
        owner, sources, parts = self._live, each(images), [np.empty((0, top), _ROW)]
        for chunk in iter(lambda: list(itertools.islice(sources, max(batch, DECODED_AT_ONCE))), []):
            held = [as_image(image, self.context)._live for image in chunk]
            pointers = (ctypes.POINTER(c.deep_image) * len(held))(*(handle._as_parameter_ for handle in held))
            rows = np.empty((len(held), top), _ROW)
            check(
                library.deep_model_predict(
                    owner,
                    pointers,
                    len(held),
                    ctypes.byref(options),
                    rows.ctypes.data_as(ctypes.POINTER(c.deep_prediction)),
                    top,
                )
            )
            parts.append(rows)
        return np.concatenate(parts)

    def predict(self, images: ImageLike | Iterable[ImageLike], top: int = 5, batch: int = 0) -> Predictions:
        """Classifies one image or many: paths, bytes, arrays, Pillow or libdeep images, or an array of shape
        (n, h, w, c).

        The result has one row per image, also for one. `batch` images are computed at once (0 = one by one);
        decoding is done some images at a time, so any iterable may be of any length.
        """
        if top < 1:
            raise ValueError(f"top is {top}")
        classes = self.classes
        rows = self._predict(images, min(top, len(classes)), batch)
        return Predictions(rows["class_index"].copy(), rows["probability"].copy(), classes, self.aphia_ids)

    def predict_proba(self, images: ImageLike | Iterable[ImageLike], batch: int = 0) -> Float32Array:
        """Probabilities of shape (images, classes); images as in predict()."""
        rows = self._predict(images, len(self.classes), batch)
        out = np.empty(rows.shape, np.float32)
        np.put_along_axis(out, rows["class_index"].astype(np.intp), rows["probability"], axis=1)
        return out

    def evaluate(self, dataset: DatasetLike, *, batch: int = 0, workers: int = 0) -> Metrics:
        """Classifies a dataset and compares with its labels; its classes must be the model's, by name and
        order."""
        options = fill(c.deep_predict_options, batch=batch, workers=workers)
        owner, data = self._live, as_dataset(dataset, self.context)._live
        metrics = ctypes.POINTER(c.deep_metrics)()

        def work() -> None:
            check(library.deep_model_evaluate(owner, data, ctypes.byref(options), ctypes.byref(metrics)))

        _fit.interruptible(self.context, work)
        return Metrics(Handle(metrics, library.deep_metrics_free, self.context._live), self.classes)

    def fit(
        self,
        train: DatasetLike,
        valid: DatasetLike | None = None,
        *,
        epochs: int = 15,
        batch: int = 16,
        callbacks: Iterable[_fit.Callback] = (),
        progress: bool | None = None,
        **options: Any,
    ) -> History:
        """Trains, and ends with the weights of the best epoch by validation accuracy, unless keep_last=True.

        Callbacks are objects with methods of Keras's callbacks, or functions that get a Progress and stop the
        fit by returning True. What a callback raises stops the fit at that step and is raised again; so does
        Ctrl-C. In each case the model has the weights of the last finished step, and model.history the epochs
        so far. `progress` shows a line per epoch; None does so on a terminal and in a notebook.

        Options, as in deep_fit_options: seed, optimizer ("adam", "sgd", "rmsprop", "adamw"), schedule
        ("step", "constant", "exponential", "cosine", "plateau"), dtype ("fp32", or "bf16" and, on GPUs, "fp16":
        activations in half the memory), learning_rate, momentum, nesterov,
        no_amsgrad, beta1, beta2, epsilon, weight_decay, l2, clip_norm, label_smoothing, backbone_rate,
        class_weights ("none", "balanced", "sqrt"), augment ("flip+rotate90", "flip", "none"), step_decay,
        step_milestones, decay_rate, decay_epochs, warmup_epochs, plateau_factor, plateau_patience,
        early_stop, keep_running_statistics, keep_last, workers, keep_preprocessing, cache_bytes, checkpoint,
        checkpoint_steps, checkpoint_seconds, resume.
        """
        struct = fill(c.deep_fit_options, epochs=epochs, batch=batch, **options)
        training = as_dataset(train, self.context)
        return _fit.run(
            self,
            training,
            None if valid is None else as_dataset(valid, self.context),
            struct,
            callbacks,
            progress,
        )

    def quantize(
        self,
        dtype: str = "bf16",
        calibration: DatasetLike | None = None,
        *,
        method: str = "minmax",
        percentile: float = 0,
        images: int = 0,
        max_error: float = 0,
    ) -> Model:
        """A copy whose kernels are stored in "bf16", "fp16" or "int8": less memory, faster prediction, no training.

        "fp16" is for GPUs (and "ref"), which keep what stands between layers in the kernels' type.

        "int8" needs `calibration` images like those to be classified, of which at most `images` (256) are used;
        their labels are not looked at. `method` chooses the ranges of the activations: "minmax", "percentile"
        (`percentile` percent of each channel's values, 99.99) or "entropy". A kernel whose outputs differ more
        than `max_error` (0.05) stays in bf16; metadata["quantization"] tells of each.
        """
        if dtype not in ("bf16", "fp16", "int8"):
            raise ValueError(f"dtype is {dtype!r}, not one of 'bf16', 'fp16', 'int8'")
        data = None if calibration is None else as_dataset(calibration, self.context)
        options = fill(
            c.deep_quantize_options,
            dtype=next(number for number, name in _DTYPES.items() if name == dtype),
            method=method,
            percentile=percentile,
            images=images,
            max_error=max_error,
            calibration=None if data is None else data._live._as_parameter_,
        )
        return _fit.interruptible(
            self.context,
            lambda: self._create(self.context, library.deep_model_quantize, self._live, ctypes.byref(options)),
        )

    def session(
        self, batch: int = 1, threads: int = 0, layers: bool = False, stream: int | None = None
    ) -> Session:
        """The model compiled for up to `batch` images at once."""
        return Session(self, batch, threads, layers, stream)

    def trainer(self, **options: Any) -> Trainer:
        """Training one step at a time; the options are those of fit()."""
        return Trainer(self, **options)

    def __repr__(self) -> str:
        if self.closed:
            return "<libdeep.Model closed>"
        info = self.info
        return (
            f"<libdeep.Model {info.architecture}, {info.input_size} px, {info.classes} classes, "
            f"{info.parameters:,} parameters>"
        )


_DTYPES = {int(c.Dtype.F32): "float32", int(c.Dtype.BF16): "bf16", int(c.Dtype.I8): "int8", int(c.Dtype.F16): "fp16"}
_NAMED: Mapping[str, Any] = {
    "head": c.Head,
    "preprocess": c.Preprocess,
    "filter": c.Filter,
    "fit": c.Fit,
    "padding": c.Padding,
}


def _load(data: bytes) -> Model:
    return Model.load(data)
