# SPDX-License-Identifier: Apache-2.0
"""Which format a file has: by its content, and by its name where content says nothing."""

from __future__ import annotations

import os
from typing import Optional

from .errors import Where
from .hdf5 import signature_offset
from .limits import MAX_FILE_BYTES
from .run_folder import is_run_folder
from .safetensors_files import is_libdeep

HEAD_BYTES = 4096 + 8  # enough to see HDF5's signature behind a user block of 4096 bytes
READABLE = ".safetensors, .h5, .keras, .pth, .onnx, or a run folder of the service"
SUFFIXES = {
    ".weights.h5": "keras-weights-h5",
    ".h5": "keras-h5",
    ".hdf5": "keras-h5",
    ".keras": "keras",
    ".pth": "torch",
    ".pt": "torch",
    ".onnx": "onnx",
    ".safetensors": "safetensors",
}


def by_suffix(path: str) -> Optional[str]:
    """The format that a name asks for; the longest suffix decides."""
    name = os.path.basename(path).lower()
    return next(
        (SUFFIXES[suffix] for suffix in sorted(SUFFIXES, key=len, reverse=True) if name.endswith(suffix)),
        None,
    )


def _folder_format(path: str) -> str:
    if is_run_folder(path):
        return "run-folder"
    if os.path.exists(os.path.join(path, "saved_model.pb")):
        raise Where(path).refuse(
            "", "a TensorFlow SavedModel holds a program; save the model as .keras or .h5"
        )
    raise Where(path).refuse("", "a folder without conf/conf.json and ckpts/: no run folder")


def _zip_format(path: str) -> str:
    """.keras and .pth are both ZIP archives; their first members differ."""
    import zipfile

    where = Where(path)
    with where.reading("archive"), zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    if "config.json" in names:
        return "keras"
    if any(name.endswith("/data.pkl") for name in names):
        return "torch"
    raise where.refuse("archive", "has neither config.json (.keras) nor data.pkl (.pth)")


def detect(path: str) -> str:
    """libdeep, timm-safetensors, keras-h5, keras, torch, onnx or run-folder. FileNotFoundError and other
    OSErrors are those of the system."""
    if os.path.isdir(path):
        return _folder_format(path)
    where = Where(path)
    if os.path.exists(path) and not os.path.isfile(path):
        raise where.refuse("", "is no regular file")  # opening a pipe would wait for its other end
    with open(path, "rb") as file:
        head = file.read(HEAD_BYTES)
    if not head:
        raise where.refuse("", "is empty")
    if signature_offset(head) is not None:
        return "keras-h5"
    if head[:2] == b"PK":
        return _zip_format(path)
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= min(os.path.getsize(path), MAX_FILE_BYTES):
        return "libdeep" if is_libdeep(path) else "timm-safetensors"
    named = by_suffix(path)
    if head[:2] in (b"\x80\x02", b"\x80\x04", b"\x80\x05") or named == "torch":
        return "torch"
    if named == "onnx":
        return "onnx"
    if named:
        raise where.refuse("", f"is not the {os.path.splitext(path)[1]} file that its name says")
    raise where.refuse("", f"is none of the known formats: {READABLE}")
