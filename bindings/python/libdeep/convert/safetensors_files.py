# SPDX-License-Identifier: Apache-2.0
"""safetensors with timm's names. (A file that libdeep wrote is loaded by libdeep itself.)"""

from __future__ import annotations

import os
import struct
from typing import Any, Dict

import numpy

from .errors import Where, need
from .hdf5 import check_file_size
from .limits import MAX_JSON_BYTES, MAX_TENSOR_BYTES, parse_json
from .network import Network
from .options import ReadOptions
from .output import replacing
from .torch_names import Tensors, network_of_timm, timm_tensors

EXACT_TYPES = ("F32", "F16")


def read_header(path: str) -> Dict[str, Any]:
    """The JSON header, duplicates and depth checked."""
    where = Where(path)
    with where.reading("header"), open(path, "rb") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        if size > min(MAX_JSON_BYTES, os.path.getsize(path) - 8):
            raise where.refuse("header", f"{size} bytes, of a file of {os.path.getsize(path)}")
        return parse_json(where, "header", file.read(size))


def is_libdeep(path: str) -> bool:
    """Whether libdeep wrote the file."""
    metadata = read_header(path).get("__metadata__")
    return isinstance(metadata, dict) and "deep" in metadata


def _safetensors() -> Any:
    try:
        import safetensors
        import safetensors.numpy
    except ImportError as error:
        raise need("safetensors", "torch", "reading and writing safetensors of other programs") from error
    return safetensors


def read_timm_safetensors(path: str, options: ReadOptions) -> Network:
    """A state dict with timm's names, kept as safetensors."""
    where = Where(path)
    check_file_size(os.path.getsize(path), where)
    header = read_header(path)
    safetensors = _safetensors()
    try:
        file = safetensors.safe_open(path, framework="numpy")
    except safetensors.SafetensorError as error:
        raise where.refuse("", error) from error
    with file:
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}

        def read(name: str) -> numpy.ndarray:
            kind = header[name]["dtype"]
            if kind not in EXACT_TYPES or int(numpy.prod(shapes[name], dtype=object)) * 4 > MAX_TENSOR_BYTES:
                raise where.refuse(
                    name,
                    f'{kind} of shape {shapes[name]}, not {" or ".join(EXACT_TYPES)} of at most '
                    f"{MAX_TENSOR_BYTES} bytes",
                )
            return numpy.asarray(file.get_tensor(name), numpy.float32)

        return network_of_timm(where, Tensors(shapes, read), options, {"format": "timm-safetensors"})


def write_timm_safetensors(network: Network, path: str) -> None:
    """The weights with timm's names."""
    safetensors = _safetensors()
    with replacing(path) as temporary:
        safetensors.numpy.save_file(timm_tensors(network), temporary, metadata={"format": "pt"})
