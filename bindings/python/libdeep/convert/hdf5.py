# SPDX-License-Identifier: Apache-2.0
"""HDF5 files read with suspicion: hard links, plain storage and known filters only, shapes before data.

What HDF5 could otherwise be made to do: read other files (external and soft links, external storage, virtual
data sets), load code (filter plugins), and unpack a kilobyte into gigabytes (declared shapes, deflate).
"""

from __future__ import annotations

import inspect
import io
import json
import os
import signal
import subprocess
import sys
from typing import Any, Dict, List, Optional, Tuple, Union

import numpy

from . import hdf5_probe
from .errors import Where, need
from .limits import (
    EXPANSION_FLOOR,
    MAX_EXPANSION,
    MAX_FILE_BYTES,
    MAX_JSON_BYTES,
    MAX_NAME,
    MAX_TENSOR_BYTES,
    MAX_TEXT_LINES,
)

MAX_OBJECTS = 50_000  # groups and data sets; an optimizer's state makes some thousands
MAX_DEPTH = 32
# What reading may cost before it is given up. The published network takes 0.2 s and 0.5 GB, most of it
# libraries.
PROBE_SECONDS, PROBE_SPEED, PROBE_MEMORY = 5, 20 * 1024**2, 2 * 1024**3  # + 1 s for each PROBE_SPEED bytes
SIGNATURE = b"\x89HDF\r\n\x1a\n"
# Filters of the HDF5 library itself. Any other number would have it look for a plugin to load.
KNOWN_FILTERS = {1: "deflate", 2: "shuffle", 3: "fletcher32"}


def signature_offset(start: bytes) -> Optional[int]:
    """Where the HDF5 signature stands: 0, 512, 1024, ..., doubling; None when it is not in ``start``."""
    offset = 0
    while offset < len(start):
        if start[offset : offset + len(SIGNATURE)] == SIGNATURE:
            return offset
        offset = 512 if offset == 0 else offset * 2
    return None


def survive(source: Union[str, bytes], where: Where) -> None:
    """Has another process read the whole file first: whatever libhdf5 does over it, it does it there.

    A program in which Python is embedded may have no interpreter to start; the file is then read without
    this.
    """
    if not sys.executable:
        return
    size = len(source) if isinstance(source, bytes) else os.path.getsize(source)
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    environment.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    seconds = PROBE_SECONDS + size // PROBE_SPEED
    command = [
        sys.executable,
        "-I",
        "-B",
        "-c",
        inspect.getsource(hdf5_probe),
        json.dumps(sys.path),
        str(seconds),
        str(PROBE_MEMORY + 2 * size),
        "-" if isinstance(source, bytes) else os.path.abspath(source),
    ]
    try:
        done = subprocess.run(
            command,
            input=source if isinstance(source, bytes) else b"",
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=4 * seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise where.refuse("HDF5", f"reading takes longer than {4 * seconds} s") from None
    if done.returncode == -signal.SIGXCPU:
        raise where.refuse("HDF5", f"reading takes more than {seconds} s of computing")
    if done.returncode < 0:
        raise where.refuse(
            "HDF5", f"libhdf5 did not survive the file: {signal.Signals(-done.returncode).name}"
        )
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["unknown"]
        raise where.refuse("HDF5", lines[-1])


class Hdf5File:
    """An open HDF5 file whose structure has been looked at: ``shapes`` has each data set's path and shape.

    ``source`` is a path or the file's bytes. Use as a context manager.
    """

    def __init__(self, source: Union[str, bytes], where: Where) -> None:
        try:
            import h5py
        except ImportError as error:
            raise need("h5py", "keras", "reading and writing Keras files") from error
        self._h5py = h5py
        self.where = where
        survive(source, where)
        self.shapes: Dict[str, Tuple[int, ...]] = {}
        self.groups: List[str] = [""]
        with where.reading("HDF5"):
            self._file = h5py.File(io.BytesIO(source) if isinstance(source, bytes) else source, "r")
        try:
            self._walk()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Hdf5File":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    # Structure

    def _links(self, group: Any, path: str) -> List[str]:
        """Names of a group's members, each of which is a hard link."""
        found: List[Tuple[bytes, int]] = []

        def visit(name: bytes, info: Any) -> Optional[int]:
            """Raises nothing: an exception does not survive the way through libhdf5."""
            found.append((name, info.type))
            return None if len(found) <= MAX_OBJECTS else 1  # anything but None ends the iteration

        place = path or "root group"
        with self.where.reading(place):
            group.id.links.iterate(visit, info=True)
        kinds = {self._h5py.h5l.TYPE_SOFT: "a soft", self._h5py.h5l.TYPE_EXTERNAL: "an external"}
        for name, kind in found:
            if kind != self._h5py.h5l.TYPE_HARD:
                raise self.where.refuse(_join(path, name), f'is {kinds.get(kind, "an unknown")} link')
        with self.where.reading(place):
            return [name.decode("utf-8") for name, _ in found]

    def _walk(self) -> None:
        """Visits everything once; refuses links, loops, depth and numbers of objects that no weights file
        has."""
        todo = [("", self._file, 0)]
        seen = set()
        count = 0
        while todo:
            path, group, depth = todo.pop()
            with self.where.reading(path or "root group"):
                address = self._h5py.h5o.get_info(group.id).addr
            if address in seen:
                raise self.where.refuse(path, "the group is reached twice: a loop of links")
            seen.add(address)
            for name in self._links(group, path):
                child_path = _join(path, name)
                count += 1
                if count > MAX_OBJECTS:
                    raise self.where.refuse(path, f"more than {MAX_OBJECTS} objects")
                if depth + 1 > MAX_DEPTH:
                    raise self.where.refuse(child_path, f"nested deeper than {MAX_DEPTH}")
                if len(name) > MAX_NAME or "/" in name or name in (".", "..", ""):
                    raise self.where.refuse(child_path, "is not a name")
                self._visit(child_path, group, name, depth, todo)

    def _visit(self, path: str, group: Any, name: str, depth: int, todo: List[Any]) -> None:
        with self.where.reading(path):
            child = group[name]
            if isinstance(child, self._h5py.Group):
                self.groups.append(path)
                todo.append((path, child, depth + 1))
            elif isinstance(child, self._h5py.Dataset):
                self._check_storage(path, child)
                self.shapes[path] = tuple(int(extent) for extent in child.shape or ())
            else:
                raise self.where.refuse(path, f"is a {type(child).__name__}, neither group nor data set")

    def _check_storage(self, path: str, dataset: Any) -> None:
        """No data outside the file, none made up of other data sets, no filter that would be loaded as
        code."""
        properties = dataset.id.get_create_plist()
        if properties.get_external_count():
            raise self.where.refuse(path, "external storage: its data are in another file")
        if properties.get_layout() == self._h5py.h5d.VIRTUAL:
            raise self.where.refuse(path, "is a virtual data set")
        for index in range(properties.get_nfilters()):
            number = properties.get_filter(index)[0]
            if number not in KNOWN_FILTERS:
                raise self.where.refuse(
                    path, f'filter {number} is none of {", ".join(KNOWN_FILTERS.values())}'
                )

    # Data

    def read(self, path: str, shape: Tuple[int, ...]) -> numpy.ndarray:
        """The data set at ``path`` as float32; its shape must be ``shape``, its numbers float32 or
        float16."""
        declared = self.shapes.get(path)
        if declared is None:
            raise self.where.refuse(path, "there is no such data set")
        if declared != tuple(shape):
            raise self.where.refuse(path, f"shape {declared}, expected {tuple(shape)}")
        with self.where.reading(path):
            dataset = self._file[path]
            self._check_dtype(path, dataset.dtype)
            self._check_size(path, dataset)
            return numpy.ascontiguousarray(dataset[()], dtype=numpy.float32)

    def _check_dtype(self, path: str, dtype: numpy.dtype) -> None:
        if dtype.kind != "f" or dtype.itemsize not in (2, 4):
            raise self.where.refuse(path, f"numbers are {dtype.name}, not float32 (or float16)")

    def _check_size(self, path: str, dataset: Any) -> None:
        """Stored bytes must bear the declared shape: nothing left out, nothing that unpacks without end."""
        declared = int(dataset.size) * dataset.dtype.itemsize
        stored = int(dataset.id.get_storage_size())
        if declared > MAX_TENSOR_BYTES:
            raise self.where.refuse(path, f"{declared} bytes, the limit is {MAX_TENSOR_BYTES}")
        if stored == 0 and declared:
            raise self.where.refuse(path, f"declares {declared} bytes and stores none")
        chunked = dataset.id.get_create_plist().get_layout() == self._h5py.h5d.CHUNKED
        if not chunked and stored != declared:
            raise self.where.refuse(path, f"declares {declared} bytes and stores {stored}")
        if declared > max(EXPANSION_FLOOR, MAX_EXPANSION * stored):
            raise self.where.refuse(
                path, f"{stored} bytes would unpack to {declared}, more than {MAX_EXPANSION}-fold"
            )
        if chunked:
            chunk = int(numpy.prod(dataset.chunks, dtype=object)) * dataset.dtype.itemsize
            if chunk > MAX_TENSOR_BYTES:
                raise self.where.refuse(path, f"chunks of {chunk} bytes, the limit is {MAX_TENSOR_BYTES}")

    # Attributes

    def _attribute(self, group: str, name: str) -> Any:
        with self.where.reading(f'{group or "root group"} attribute {name}'):
            attributes = self._file[group or "/"].attrs
            if name not in attributes:
                return None
            handle = attributes.get_id(name)
            lines = int(numpy.prod(handle.shape, dtype=object)) if handle.shape else 1
            size = lines * handle.dtype.itemsize
            if lines > MAX_TEXT_LINES or size > MAX_JSON_BYTES:
                raise self.where.refuse(group, f"attribute {name} has {lines} entries, {size} bytes")
            return attributes[name]

    def text(self, group: str, name: str) -> Optional[bytes]:
        """A string attribute as bytes; None when there is none."""
        value = self._attribute(group, name)
        if value is None or isinstance(value, bytes):
            return value
        if isinstance(value, str):
            return value.encode("utf-8", "surrogateescape")
        raise self.where.refuse(group, f"attribute {name} is {type(value).__name__}, not text")

    def names(self, group: str, name: str) -> Optional[List[str]]:
        """A list-of-strings attribute, also where Keras split it into name0, name1, ...; None when there is
        none."""
        parts = self._attribute(group, name)
        if parts is not None:
            return self._decode(group, name, parts)
        found: List[str] = []
        number = 0
        while (parts := self._attribute(group, f"{name}{number}")) is not None:
            found += self._decode(group, name, parts)
            number += 1
            if len(found) > MAX_TEXT_LINES:
                raise self.where.refuse(group, f"attribute {name} has more than {MAX_TEXT_LINES} entries")
        return found if number else None

    def _decode(self, group: str, name: str, values: Any) -> List[str]:
        lines: List[str] = []
        with self.where.reading(f'{group or "root group"} attribute {name}'):
            for value in numpy.atleast_1d(values).tolist():
                text = value.decode("utf-8") if isinstance(value, bytes) else value
                if not isinstance(text, str) or len(text) > MAX_NAME:
                    raise self.where.refuse(group, f"attribute {name} is not a list of names")
                lines.append(text)
        return lines


def _join(path: str, name: Union[str, bytes]) -> str:
    text = name.decode("utf-8", "replace") if isinstance(name, bytes) else name
    return f"{path}/{text}" if path else text


def check_file_size(size: int, where: Where) -> None:
    if size > MAX_FILE_BYTES:
        raise where.refuse("", f"{size} bytes, the limit is {MAX_FILE_BYTES}")
