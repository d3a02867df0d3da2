# SPDX-License-Identifier: Apache-2.0
"""What predictions, evaluations and trainings found."""

from __future__ import annotations

import ctypes
import html
from typing import Any, Iterator, NamedTuple, Sequence, overload

import numpy as np
import numpy.typing as npt

from . import _declarations as c
from . import notebook
from ._handle import Handle, create, view
from ._library import library
from ._options import result
from .context import Context, default_context
from .errors import check


SHOWN = 10  # images of which a representation tells


class Prediction(NamedTuple):
    """A class and its probability. `aphia_id` is 0 when unknown."""

    name: str
    probability: float
    class_index: int
    aphia_id: int


class Predictions(Sequence["list[Prediction]"]):
    """For each image its most probable classes: predictions[i][0] is the first.

    `indices` and `probabilities` are arrays of shape (images, top).
    """

    def __init__(
        self,
        indices: npt.NDArray[np.int32],
        probabilities: npt.NDArray[np.float32],
        classes: Sequence[str],
        aphia_ids: Sequence[int],
    ) -> None:
        self.indices = indices
        self.probabilities = probabilities
        self.classes = list(classes)
        self.aphia_ids = list(aphia_ids)

    def __len__(self) -> int:
        return len(self.indices)

    @overload
    def __getitem__(self, index: int) -> list[Prediction]: ...

    @overload
    def __getitem__(self, index: slice) -> Predictions: ...

    def __getitem__(self, index: int | slice) -> list[Prediction] | Predictions:
        if isinstance(index, slice):
            return Predictions(self.indices[index], self.probabilities[index], self.classes, self.aphia_ids)
        return [
            Prediction(self.classes[place], float(probability), int(place), self.aphia_ids[place])
            for place, probability in zip(self.indices[index], self.probabilities[index])
        ]

    @property
    def names(self) -> list[str]:
        """The most probable class of each image."""
        return [self.classes[place] for place in self.indices[:, 0]]

    def _repr_html_(self) -> str:
        rows = [(place, *(f"{p.name} {p.probability:.3f}" for p in row)) for place, row in enumerate(self[:SHOWN])]
        header = ["image", *(f"{place}." for place in range(1, self.indices.shape[1] + 1))]
        return notebook.table(header, rows) + (f"<p>... {len(self) - SHOWN} more</p>" if len(self) > SHOWN else "")

    def __repr__(self) -> str:
        rows = [", ".join(f"{p.name} {p.probability:.3f}" for p in row) for row in self[:SHOWN]]
        more = [f"... {len(self) - SHOWN} more"] if len(self) > SHOWN else []
        return "\n".join(rows + more)


class ClassMetrics(NamedTuple):
    """Figures of one class. `support` images are of it, `predicted` were called so."""

    name: str
    support: int
    predicted: int
    precision: float
    recall: float
    f1: float


class Metrics:
    """What an evaluation found. Attributes: count, accuracy, top5_accuracy, macro_precision, macro_recall,
    macro_f1, weighted_f1, log_loss, ece (expected calibration error).

    `confusion` counts images, rows true, columns predicted; `labels`, `predicted` and `confidence` have one
    value per image.
    """

    count: int
    accuracy: float
    top5_accuracy: float
    macro_precision: float
    macro_recall: float
    macro_f1: float
    weighted_f1: float
    log_loss: float
    ece: float

    def __init__(self, handle: Handle, classes: Sequence[str]) -> None:
        self.classes = list(classes)
        summary = result(c.deep_metrics_summary)
        check(library.deep_metrics_get_summary(handle, ctypes.byref(summary)))
        for name, *_ in summary._fields_[1:]:
            if name not in ("classes", "reserved"):
                setattr(self, name, getattr(summary, name))
        size = summary.classes
        address = ctypes.cast(library.deep_metrics_confusion(handle), ctypes.c_void_p).value or 0
        self.confusion: npt.NDArray[np.int64] = view(handle, address, (size, size), np.int64).copy()
        images = range(self.count)
        self.labels = np.array([library.deep_metrics_label(handle, i) for i in images], np.int32)
        self.predicted = np.array([library.deep_metrics_predicted(handle, i) for i in images], np.int32)
        self.confidence = np.array([library.deep_metrics_confidence(handle, i) for i in images], np.float32)
        self.per_class = [_class_metrics(handle, place, name) for place, name in enumerate(self.classes)]

    @classmethod
    def compute(
        cls,
        probabilities: npt.ArrayLike,
        labels: npt.ArrayLike,
        classes: Sequence[str] | None = None,
        *,
        context: Context | None = None,
    ) -> Metrics:
        """Metrics of probabilities of shape (images, classes) against true classes."""
        context = context or default_context()
        rows = np.ascontiguousarray(probabilities, np.float32)
        truth = np.asarray(labels)
        if rows.ndim != 2 or truth.shape != rows.shape[:1] or (truth.size and truth.dtype.kind not in "iu"):
            raise ValueError(
                f"probabilities of shape {rows.shape} and labels of shape {truth.shape} and type "
                f"{truth.dtype}: (n, classes) and n integers are wanted"
            )
        truth = np.ascontiguousarray(truth.astype(np.int64).clip(-1, 2**31 - 1), np.int32)
        handle = create(
            c.deep_metrics,
            library.deep_metrics_free,
            library.deep_metrics_compute,
            context._live,
            rows.ctypes.data_as(ctypes.POINTER(ctypes.c_float)),
            truth.ctypes.data_as(ctypes.POINTER(ctypes.c_int32)),
            rows.shape[0],
            rows.shape[1],
            keep=(context._live,),
        )
        return cls(handle, classes if classes is not None else [str(place) for place in range(rows.shape[1])])

    def summary(self) -> dict[str, float]:
        """The figures over the whole dataset, by name."""
        names = (
            "count",
            "accuracy",
            "top5_accuracy",
            "macro_precision",
            "macro_recall",
            "macro_f1",
            "weighted_f1",
            "log_loss",
            "ece",
        )
        return {name: getattr(self, name) for name in names}

    def _repr_html_(self) -> str:
        figures = notebook.table(["", ""], [(name.replace("_", " "), value) for name, value in self.summary().items()])
        classes = notebook.table(["class", "images", "predicted", "precision", "recall", "F1"], self.per_class)
        return figures + notebook.confusion(self.confusion.tolist(), self.classes) + classes

    def __repr__(self) -> str:
        return (
            f"<libdeep.Metrics {self.count} images: accuracy {self.accuracy:.4f}, "
            f"macro F1 {self.macro_f1:.4f}, log loss {self.log_loss:.4f}>"
        )


def _class_metrics(handle: Handle, place: int, name: str) -> ClassMetrics:
    figures = result(c.deep_class_metrics)
    check(library.deep_metrics_get_class(handle, place, ctypes.byref(figures)))
    return ClassMetrics(
        name, figures.support, figures.predicted, figures.precision, figures.recall, figures.f1
    )


class History:
    """One row per epoch, as Keras has it: `epoch` counts from 0, `history` maps a figure's name to its
    values.

    Figures: loss, accuracy, val_loss and val_accuracy (with validation), learning_rate, seconds. `best` is
    the epoch whose weights the model has, `stopped` tells whether a callback ended the training early.
    """

    def __init__(
        self,
        rows: Sequence[dict[str, float]] = (),
        epochs: Sequence[int] = (),
        best: int | None = None,
        stopped: bool = False,
    ) -> None:
        self.epoch: list[int] = list(epochs)
        self.history: dict[str, list[float]] = {}
        for row in rows:
            for name, value in row.items():
                self.history.setdefault(name, []).append(value)
        self.best = best
        self.stopped = stopped

    @classmethod
    def _read(cls, handle: Handle, stopped: bool) -> History:
        rows, epochs = [], []
        for place in range(library.deep_history_count(handle)):
            row = result(c.deep_epoch)
            check(library.deep_history_get(handle, place, ctypes.byref(row)))
            epochs.append(row.epoch - 1)
            rows.append({**logs(row), "seconds": row.seconds})
        best = library.deep_history_best(handle)
        return cls(rows, epochs, best - 1 if best > 0 else None, stopped)

    def __len__(self) -> int:
        return len(self.epoch)

    def __iter__(self) -> Iterator[dict[str, float]]:
        return ({name: values[place] for name, values in self.history.items()} for place in range(len(self)))

    def _repr_html_(self) -> str:
        epochs = [epoch + 1 for epoch in self.epoch]
        charts = [notebook.chart(title, epochs, [(label, self.history[name]) for label, name in lines if name in self.history])
                  for title, lines in (("loss", (("training", "loss"), ("validation", "val_loss"))),
                                       ("accuracy", (("training", "accuracy"), ("validation", "val_accuracy"))),
                                       ("learning rate", (("", "learning_rate"),)))]
        return f"<p>{html.escape(repr(self)[1:-1])}</p>" + "".join(charts)

    def __repr__(self) -> str:
        last = ", ".join(f"{name} {values[-1]:.4g}" for name, values in self.history.items())
        return f"<libdeep.History {len(self)} epochs: {last}>" if self.epoch else "<libdeep.History 0 epochs>"


def logs(figures: Any) -> dict[str, float]:
    """The figures of an epoch or of a moment in it, under Keras's names."""
    found = {"loss": figures.loss, "accuracy": figures.accuracy}
    if figures.has_valid:
        found.update(val_loss=figures.valid_loss, val_accuracy=figures.valid_accuracy)
    found["learning_rate"] = figures.learning_rate
    return found
