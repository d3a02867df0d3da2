# SPDX-License-Identifier: Apache-2.0
"""What a caller may say about a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Sequence

from .architecture import DEFAULT_INPUT_SIZE


@dataclass
class ReadOptions:
    """What the caller knows and a file does not say. None = the file's, or the default."""

    classes: Optional[Sequence[str]] = None
    aphia_ids: Optional[Sequence[int]] = None
    input_size: Optional[int] = None
    padding: Optional[str] = None
    batch_norm_epsilon: Optional[float] = None
    mean: Optional[Sequence[float]] = None
    std: Optional[Sequence[float]] = None
    preprocess: Optional[str] = None
    filter: Optional[str] = None
    fit: Optional[str] = None
    checkpoint: Optional[str] = None  # of a run folder

    @property
    def size(self) -> int:
        return self.input_size or DEFAULT_INPUT_SIZE


@dataclass
class WriteOptions:
    """How to write where a format leaves a choice."""

    layout: str = ""  # .safetensors: 'timm'; .onnx: 'nchw' (default) or 'nhwc' input
    force: bool = False  # write although the format cannot say all that the model's result depends on


READ_NAMES = tuple(ReadOptions.__dataclass_fields__)
WRITE_NAMES = tuple(WriteOptions.__dataclass_fields__)
