# SPDX-License-Identifier: Apache-2.0
"""``python -m libdeep convert IN OUT``: argparse, one line for an error, the exit statuses of the tool
``deep``."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any, Dict, List, Optional

from ..errors import Error, FileError, NotFoundError, OutOfMemoryError
from . import by_suffix, convert, detect
from .architecture import MAX_CLASSES
from .errors import one_line

STATUS_OTHER, STATUS_USAGE, STATUS_FORMAT, STATUS_IO, STATUS_MEMORY = 1, 2, 3, 5, 6  # docs/command-line.md
LIST_LIMIT = 16 * 1024 * 1024  # bytes of a list of classes

EPILOG = """\
formats by suffix of OUT: .safetensors (libdeep's own), .keras, .weights.h5, .h5, .pth, .onnx.
IN is told by its content: any of those, or a run folder of the existing service."""


class UsageError(Exception):
    """The command line is wrong; the text says how."""


def _lines(path: str) -> List[str]:
    with open(path, "rb") as file:
        data = file.read(LIST_LIMIT + 1)
    if len(data) > LIST_LIMIT:
        raise UsageError(f"{path}: more than {LIST_LIMIT} bytes")
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: {one_line(error)}") from None
    while lines and not lines[-1].strip():
        lines.pop()
    if not 0 < len(lines) <= MAX_CLASSES:
        raise UsageError(f"{path}: {len(lines)} lines, not 1 to {MAX_CLASSES}")
    return [line.strip() for line in lines]


def _classes(word: str) -> List[str]:
    """Names from a file with one on each line, or that many numbers for a number."""
    if word.isascii() and word.isdigit() and not os.path.exists(word):
        if not 0 < int(word) <= MAX_CLASSES:
            raise UsageError(f"--classes {word}: not 1 to {MAX_CLASSES}")
        return [str(index) for index in range(int(word))]
    return _lines(word)


def _aphia_ids(path: str) -> List[int]:
    """Lines that are no number stand for an unknown ID."""
    return [int(line) if line.isascii() and line.isdigit() else 0 for line in _lines(path)]


def _three(word: str) -> List[float]:
    """ "127.5" or "103.9,116.8,123.7"."""
    try:
        numbers = [float(part) for part in word.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{word!r} is not one or three numbers") from None
    if len(numbers) not in (1, 3):
        raise argparse.ArgumentTypeError(f"{word!r} has {len(numbers)} numbers, not one or three")
    return numbers * (3 // len(numbers))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """IN, OUT and the options of load() and save()."""
    parser.description = "Converts models of Keras, PyTorch and ONNX into libdeep's, and back."
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("source", metavar="IN", help="model file or run folder")
    parser.add_argument("target", metavar="OUT", help="file to write; its suffix chooses the format")
    what = parser.add_argument_group("what IN does not say")
    what.add_argument(
        "--classes", metavar="FILE|N", help="class names, one on each line; or how many there are"
    )
    what.add_argument("--aphia-ids", metavar="FILE", help="WoRMS AphiaIDs, one on each line")
    what.add_argument("--input-size", type=int, metavar="PIXELS", help="side of the input")
    what.add_argument("--preprocess", choices=("tf", "torch", "caffe"), help="how pixels become numbers")
    what.add_argument("--mean", type=_three, metavar="N[,N,N]", help="mean of the pixels, 0 to 255")
    what.add_argument("--std", type=_three, metavar="N[,N,N]", help="their standard deviation, for torch")
    what.add_argument(
        "--filter", choices=("bilinear", "area", "triangle", "bicubic"), help="how images are resized"
    )
    what.add_argument("--fit", choices=("squash", "pad"), help="how images become square")
    what.add_argument("--padding", choices=("same", "symmetric"), help="TensorFlow's or PyTorch's pads")
    what.add_argument("--batch-norm-epsilon", type=float, metavar="E", help="1e-3 in Keras, 1e-5 in PyTorch")
    what.add_argument("--checkpoint", metavar="NAME", help="file in the run folder's ckpts/")
    what.add_argument("--seed", type=int, default=0, help="of a last layer that IN lacks")
    how = parser.add_argument_group("how OUT is written")
    how.add_argument(
        "--layout",
        choices=("timm", "nchw", "nhwc"),
        default="",
        help="timm: PyTorch's names in .safetensors; nchw (default), nhwc: axes of ONNX's input",
    )
    how.add_argument(
        "--force", action="store_true", help="write weights although the format's network computes otherwise"
    )
    parser.add_argument("--quiet", action="store_true", help="no notes")


def _options(arguments: argparse.Namespace) -> Dict[str, Any]:
    names = (
        "input_size",
        "preprocess",
        "mean",
        "std",
        "filter",
        "fit",
        "padding",
        "batch_norm_epsilon",
        "checkpoint",
    )
    options = {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
    if arguments.classes is not None:
        options["classes"] = _classes(arguments.classes)
    if arguments.aphia_ids is not None:
        options["aphia_ids"] = _aphia_ids(arguments.aphia_ids)
    return {**options, "seed": arguments.seed, "layout": arguments.layout, "force": arguments.force}


def _check(arguments: argparse.Namespace, options: Dict[str, Any]) -> None:
    """What can be said before anything is read."""
    target = by_suffix(arguments.target)
    if target is None:
        raise UsageError(f"{arguments.target}: no format has this suffix")
    wanted = {"timm": "safetensors", "nchw": "onnx", "nhwc": "onnx"}.get(arguments.layout, target)
    if wanted != target:
        raise UsageError(f"--layout {arguments.layout} is for .{wanted}")
    epsilon = options.get("batch_norm_epsilon", 1e-3)
    if not 0 < epsilon < 1:
        raise UsageError(f"--batch-norm-epsilon {epsilon}: not above 0 and below 1")
    if arguments.checkpoint is not None and detect(arguments.source) != "run-folder":
        raise UsageError("--checkpoint is for run folders")


def _run(arguments: argparse.Namespace) -> None:
    options = _options(arguments)
    _check(arguments, options)
    done = convert(arguments.source, arguments.target, **options)
    for note in [] if arguments.quiet else done.notes:
        print(f"note: {one_line(note)}", file=sys.stderr)
    info = done.model.info
    print(
        f"{arguments.source} ({done.source}) -> {arguments.target} ({done.target}): {info.classes} classes, "
        f"{info.input_size} pixels, {info.parameters} parameters"
    )


def status_of(error: BaseException) -> Optional[int]:
    """The exit status that says what an exception means; None for one that is a mistake in the program."""
    if isinstance(error, UsageError):
        return STATUS_USAGE
    if isinstance(error, (OutOfMemoryError, MemoryError)):
        return STATUS_MEMORY
    if isinstance(error, (NotFoundError, FileError)):
        return STATUS_IO
    if isinstance(error, Error):
        return STATUS_FORMAT
    if isinstance(error, OSError):
        return STATUS_IO
    return STATUS_OTHER if isinstance(error, ImportError) else None


def told(error: BaseException) -> str:
    """The system's errors as "file: reason", as the other messages are; others as they are."""
    if isinstance(error, OSError) and not isinstance(error, Error) and error.filename:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    return str(error)


def run(arguments: argparse.Namespace) -> int:
    """Converts; an error is one line on stderr. Gives the exit status."""
    try:
        _run(arguments)
        return 0
    except Exception as error:
        status = status_of(error)
        if status is None:
            raise
        print(f"libdeep convert: {one_line(told(error))}", file=sys.stderr)
        return status
