# SPDX-License-Identifier: Apache-2.0
"""DeepClassifier: Xception as a scikit-learn estimator. Needs scikit-learn (`pip install libdeep[sklearn]`)."""
from __future__ import annotations

import os
from typing import Any, Optional, Sequence

import numpy as np

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, check_random_state
except ImportError as error:
    raise ImportError("DeepClassifier needs scikit-learn: pip install libdeep[sklearn]") from error

from .dataset import Dataset
from .model import Model


class DeepClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Classifies images.

    X is a sequence of images: paths, bytes of image files, Pillow images, uint8 arrays (height, width) or
    (height, width, 3) of any size, or one uint8 array (n, height, width[, 3]). y is one label per image, of any type
    that numpy can sort.

    Parameters are stored as given; fit() checks them. `weights` is a model file (or Model) to start from: its backbone
    is taken, and the last layer too when its classes are those of y. `options` are further keyword arguments of
    Model.fit(), such as {"schedule": "cosine"}.

    Attributes after fit: `classes_`, `model_` (the libdeep Model), `history_`, `n_iter_` (epochs done).
    """

    def __init__(self, *, architecture: str = "xception", input_size: int = 100, head: str = "service",
                 width: float = 0.0, middle_blocks: int = 0, dropout: float = 0.0, weights: Any = None,
                 epochs: int = 15, batch: int = 16, optimizer: str = "adam", learning_rate: float = 0.0,
                 class_weights: str = "none", validation_fraction: float = 0.0,
                 options: Optional[dict[str, Any]] = None, random_state: Any = None, verbose: bool = False) -> None:
        self.architecture = architecture
        self.input_size = input_size
        self.head = head
        self.width = width
        self.middle_blocks = middle_blocks
        self.dropout = dropout
        self.weights = weights
        self.epochs = epochs
        self.batch = batch
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.class_weights = class_weights
        self.validation_fraction = validation_fraction
        self.options = options
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False  # rows of numbers are not images
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True  # paths
        tags.non_deterministic = False
        return tags

    def fit(self, X: Any, y: Any) -> "DeepClassifier":
        """Trains a new model. Returns self."""
        images = image_list(X)
        labels = np.asarray(y)
        if labels.ndim != 1 or len(labels) != len(images):
            raise ValueError(f"y has the shape {labels.shape}, but there are {len(images)} images")
        check_classification_targets(labels)
        self.classes_, indices = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y has one class, {self.classes_[0]!r}; a classifier needs two")
        seed = int(check_random_state(self.random_state).randint(2**31))
        names = class_names(self.classes_)
        train = make_dataset(images, indices.tolist(), names)
        valid = None
        if self.validation_fraction:
            train, valid = train.split(self.validation_fraction, seed=seed)
        model = self._start(names, seed)
        self.history_ = model.fit(
            train, valid, epochs=self.epochs, batch=self.batch, optimizer=self.optimizer,
            learning_rate=self.learning_rate, class_weights=self.class_weights, seed=seed,
            progress=self.verbose, **(self.options or {}))
        self.model_ = model
        self.n_iter_ = len(self.history_.epoch)
        return self

    def _start(self, names: Sequence[str], seed: int) -> Model:
        if self.weights is None:
            return Model.create(
                names, architecture=self.architecture, input_size=self.input_size, head=self.head, width=self.width,
                middle_blocks=self.middle_blocks, dropout=self.dropout, seed=seed)
        model = self.weights.copy() if isinstance(self.weights, Model) else Model.load(self.weights)
        if model.classes != list(names):
            model.set_classes(names, seed=seed)
        return model

    def predict_proba(self, X: Any) -> np.ndarray[Any, Any]:
        """Probabilities, one row for each image, columns in the order of `classes_`."""
        check_is_fitted(self, "model_")
        return self.model_.predict_proba(image_list(X))

    def predict(self, X: Any) -> np.ndarray[Any, Any]:
        """The most probable class of each image, one of `classes_`."""
        probabilities = self.predict_proba(X)  # first, because it says when there was no fit
        labels: np.ndarray[Any, Any] = self.classes_[probabilities.argmax(axis=1)]
        return labels


def image_list(X: Any) -> list[Any]:
    """The images of X, each as Model.predict() takes them."""
    if isinstance(X, (str, bytes, os.PathLike)):
        raise ValueError("X is one image; give a list of images")
    if isinstance(X, np.ndarray) and X.dtype != object and X.dtype.kind not in "US" and X.ndim not in (3, 4):
        raise ValueError(f"X has {X.ndim} dimensions: images are (n, height, width) or (n, height, width, 3)")
    images = [str(image) if isinstance(image, np.str_) else image for image in X]
    if not images:
        raise ValueError("X has no image")
    return images


def class_names(classes: np.ndarray[Any, Any]) -> list[str]:
    """The labels as text: what stands in the model file."""
    return [str(label) for label in classes.tolist()]


def make_dataset(images: list[Any], labels: list[int], names: Sequence[str]) -> Dataset:
    """Files stay files, so that they are decoded when needed; everything else is held in memory."""
    if all(isinstance(image, (str, os.PathLike)) for image in images):
        return Dataset.from_files(images, labels, names)
    return Dataset.from_images(images, labels, names)
