# SPDX-License-Identifier: Apache-2.0
"""Models of Keras, PyTorch and ONNX into libdeep's, and back: docs/convert.md.

>>> from libdeep import Model, convert
>>> model = Model.create(["Copepoda", "Diatoma"], architecture="xception-small", input_size=71)
>>> convert.by_suffix("net.weights.h5")
'keras-weights-h5'
"""

from __future__ import annotations

import ctypes
import hashlib
import os
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, List, Optional, Union

from ..context import Context
from ..errors import InvalidArgumentError
from ..model import Model
from .bridge import from_model, to_model
from .errors import ConvertError, Where
from .formats import by_suffix, detect
from .keras_read import read_h5, read_keras
from .keras_write import notes_on_keras, write_h5, write_keras, write_weights_h5
from .network import Network
from .onnx_read import read_onnx
from .onnx_write import write_onnx
from .options import READ_NAMES, WRITE_NAMES, ReadOptions, WriteOptions
from .run_folder import read_run_folder
from .safetensors_files import read_timm_safetensors, write_timm_safetensors
from .torch_files import read_torch, write_torch
from .torch_names import difference_from_timm

__all__ = ["ConvertError", "Conversion", "by_suffix", "convert", "detect", "load", "save"]

# What a model is not made of: a class named twice, a mean that is infinite, an AphiaID beyond 64 bits.
_NOT_FOR_A_MODEL = (
    InvalidArgumentError,
    ValueError,
    TypeError,
    KeyError,
    OverflowError,
    ctypes.ArgumentError,
)
WRITABLE = ".safetensors, .keras, .weights.h5, .h5, .pth, .onnx"
Path = Union[str, "os.PathLike[str]"]
_READERS: Dict[str, Callable[[str, ReadOptions], Network]] = {
    "keras-h5": read_h5,
    "keras": read_keras,
    "torch": read_torch,
    "onnx": read_onnx,
    "run-folder": read_run_folder,
    "timm-safetensors": read_timm_safetensors,
}
_BLOCK = 1024 * 1024  # bytes hashed at once


@dataclass
class Conversion:
    """What convert() did: the two formats, the model, and what its user should know."""

    source: str
    target: str
    model: Model
    notes: List[str] = field(default_factory=list)


def _sha256(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(_BLOCK), b""):
            digest.update(block)
    return digest.hexdigest()


def _override_preprocessing(network: Network, options: ReadOptions) -> None:
    """The caller's word on how images are prepared goes before the file's."""
    images = network.preprocessing
    for name, ours in (
        ("preprocess", "mode"),
        ("mean", "mean"),
        ("std", "std"),
        ("filter", "filter"),
        ("fit", "fit"),
    ):
        if getattr(options, name) is not None:
            setattr(images, ours, getattr(options, name))


def _read(
    path: str, form: str, options: ReadOptions, context: Optional[Context], seed: int, notes: List[str]
) -> Model:
    if form == "libdeep":
        return Model.load(path, context=context)
    network = _READERS[form](path, options)
    _override_preprocessing(network, options)
    if os.path.isfile(path):
        network.provenance["sha256"] = _sha256(path)
    notes += network.notes
    try:
        return to_model(network, context, seed)
    except _NOT_FOR_A_MODEL as error:
        raise Where(path).refuse("", error) from error


def _options(kind: Any, given: Dict[str, Any]) -> Any:
    unknown = sorted(set(given) - set(kind.__dataclass_fields__))
    if unknown:
        raise TypeError(f'unknown option {unknown[0]}; there are: {", ".join(kind.__dataclass_fields__)}')
    return kind(**given)


def load(path: Path, *, context: Optional[Context] = None, seed: int = 0, **options: Any) -> Model:
    """The model in a file of any format that detect() knows, or in a run folder of the service.

    Options say what a file does not: ``classes`` (names), ``aphia_ids``, ``input_size``, ``padding``,
    ``batch_norm_epsilon``, ``preprocess``, ``mean``, ``std``, ``filter``, ``fit``; ``checkpoint`` chooses in
    a run folder. A file without its last layer needs ``classes``; the layer is then random by ``seed``.
    ConvertError when the file is malformed, not Xception, or asks for what is refused; OSError from the
    system.
    """
    name = os.fspath(path)
    return _read(name, detect(name), _options(ReadOptions, options), context, seed, [])


def _check_target(path: str, target: str, network: Network, options: WriteOptions, notes: List[str]) -> None:
    """Refuses a format that cannot say what the model's result depends on, unless forced."""
    why = ""
    if target in ("torch", "timm-safetensors"):
        why = difference_from_timm(network.architecture)
    elif target.startswith("keras") and network.architecture.padding != "same":
        why = 'the model pads its pools as PyTorch does, which Keras\'s "same" is not'
    if why and not options.force:
        raise Where(path).refuse(
            "", f"{why}: the result would differ (--force writes the weights all the same)"
        )
    if why:
        notes.append(why)


def _write(model: Model, path: str, options: WriteOptions, notes: List[str]) -> str:
    """Writes in the format of the name; gives the format."""
    target = by_suffix(path)
    if target is None:
        raise ValueError(f"{path}: no format has this suffix; there are {WRITABLE}")
    if options.layout not in _LAYOUTS.get(target, ("",)):
        raise ValueError(f"{path}: layout {options.layout!r} is none of {target}")
    if target == "safetensors" and options.layout != "timm":
        model.save(path)
        return "libdeep"
    target = "timm-safetensors" if target == "safetensors" else target
    network = from_model(model)
    _check_target(path, target, network, options, notes)
    if target == "onnx":
        write_onnx(network, path, options.layout or "nchw")
        return target
    _WRITERS[target](network, path)
    notes += notes_on_keras(network, target == "keras")
    return target


_LAYOUTS = {"safetensors": ("", "timm"), "onnx": ("", "nchw", "nhwc")}
_WRITERS: Dict[str, Callable[[Network, str], None]] = {
    "keras": write_keras,
    "keras-weights-h5": write_weights_h5,
    "keras-h5": write_h5,
    "torch": write_torch,
    "timm-safetensors": write_timm_safetensors,
}


def save(model: Model, path: Path, **options: Any) -> List[str]:
    """Writes a model in the format of the name's suffix: .safetensors (libdeep's own; timm's names with
    ``layout='timm'``), .keras, .weights.h5, .h5, .pth, .onnx (``layout='nhwc'`` for images in Keras's order).

    ``force`` writes weights although the format's network would compute something else. Gives what the file
    cannot say, as lines of text. ``path`` is whole, old or new, at every instant.
    """
    notes: List[str] = []
    _write(model, os.fspath(path), _options(WriteOptions, options), notes)
    return notes


def convert(
    source: Path, target: Path, *, context: Optional[Context] = None, seed: int = 0, **options: Any
) -> Conversion:
    """load() and save(), with the options of both."""
    unknown = sorted(set(options) - set(READ_NAMES) - set(WRITE_NAMES))
    if unknown:
        raise TypeError(f"unknown option {unknown[0]}")
    read = ReadOptions(**{name: value for name, value in options.items() if name in READ_NAMES})
    write = WriteOptions(**{name: value for name, value in options.items() if name in WRITE_NAMES})
    notes: List[str] = []
    form = detect(os.fspath(source))
    model = _read(os.fspath(source), form, read, context, seed, notes)
    return Conversion(form, _write(model, os.fspath(target), write, notes), model, notes)
