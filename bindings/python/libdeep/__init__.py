# SPDX-License-Identifier: Apache-2.0
"""Trains and runs Xception on plankton images: the library libdeep, through ctypes.

>>> import libdeep
>>> libdeep.Model.create(["Copepoda", "Diatoma"], architecture="xception-small", input_size=71).info.classes
2
"""

from __future__ import annotations

from typing import Any

from ._declarations import (
    Augment,
    BadImage as BadImageRule,
    ClassWeights,
    Dtype,
    Filter,
    Fit,
    Head,
    Isa,
    Log,
    Optimizer,
    Padding,
    Phase,
    Pixel,
    Preprocess,
    Role,
    Schedule,
    Status,
    Truncation,
)
from ._library import path as library_path
from .context import Context, Device, build_info, default_context, devices, version
from .dataset import BadImage, Dataset, Sample
from .device import DeviceTensor
from .dlpack import Tensor
from .errors import (
    BackendError,
    CancelledError,
    ChecksumError,
    DatasetError,
    DeviceError,
    DivergedError,
    Error,
    FileError,
    ForkedError,
    FormatError,
    InvalidArgumentError,
    LimitError,
    NotFoundError,
    OutOfMemoryError,
    StateError,
    TruncatedError,
    UnsupportedError,
    VersionError,
)
from .image import Image, ImageLike
from .metrics import ClassMetrics, History, Metrics, Prediction, Predictions
from .model import Memory, Model, ModelInfo, Param, Params
from .progress import Progress
from .session import Session
from .trainer import Step, Trainer

__version__ = version()


def __getattr__(name: str) -> Any:
    """DeepClassifier is imported when it is asked for, because it needs scikit-learn."""
    if name == "DeepClassifier":
        from .classifier import DeepClassifier

        return DeepClassifier
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "Augment",
    "BackendError",
    "BadImage",
    "BadImageRule",
    "CancelledError",
    "ChecksumError",
    "ClassMetrics",
    "ClassWeights",
    "Context",
    "Dataset",
    "DatasetError",
    "Device",
    "DeviceError",
    "DeviceTensor",
    "DivergedError",
    "Dtype",
    "Error",
    "FileError",
    "Filter",
    "Fit",
    "ForkedError",
    "FormatError",
    "Head",
    "History",
    "Image",
    "ImageLike",
    "InvalidArgumentError",
    "Isa",
    "LimitError",
    "Log",
    "Memory",
    "Metrics",
    "Model",
    "ModelInfo",
    "NotFoundError",
    "Optimizer",
    "OutOfMemoryError",
    "Padding",
    "Param",
    "Params",
    "Phase",
    "Pixel",
    "Prediction",
    "Predictions",
    "Preprocess",
    "Progress",
    "Role",
    "Sample",
    "Schedule",
    "Session",
    "StateError",
    "Status",
    "Step",
    "Tensor",
    "Trainer",
    "TruncatedError",
    "Truncation",
    "UnsupportedError",
    "VersionError",
    "build_info",
    "default_context",
    "devices",
    "library_path",
    "version",
]
