# SPDX-License-Identifier: Apache-2.0
"""Reads an HDF5 file from end to end, to see whether libhdf5 survives it. Runs in a process of its own
(hdf5.py), as libhdf5 loops, takes gigabytes or crashes over some files; so this module imports nothing of
libdeep."""

from __future__ import annotations

import io
import json
import sys
from typing import Any, List, Set

MAX_BYTES = 512 * 1024**2  # of one data set; larger ones are refused later by their declared size
MAX_OBJECTS = 50_000


def limit(seconds: int, size: int) -> None:
    """Bounds this process's computing time and memory."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))  # SIGXCPU, then SIGKILL
    resource.setrlimit(resource.RLIMIT_AS, (size, size))


def children(h5py: Any, group: Any) -> List[bytes]:
    """Names of a group's hard links; hdf5.py refuses the other kinds by name."""
    names: List[bytes] = []

    def visit(name: bytes, info: Any) -> Any:
        if info.type == h5py.h5l.TYPE_HARD:
            names.append(name)
        return None if len(names) <= MAX_OBJECTS else 1

    group.links.iterate(visit, info=True)
    return names


def read_attributes(h5py: Any, thing: Any) -> None:
    values = h5py.AttributeManager(type("Owner", (), {"id": thing})())
    for name in list(values):
        values[name]


def read_data(h5py: Any, data: Any) -> None:
    """The numbers, unless they are elsewhere or hdf5.py refuses them by their description."""
    properties = data.get_create_plist()
    dataset = h5py.Dataset(data)
    plain = not properties.get_external_count() and properties.get_layout() != h5py.h5d.VIRTUAL
    filters = {properties.get_filter(number)[0] for number in range(properties.get_nfilters())}
    if plain and filters <= {1, 2, 3} and dataset.dtype.kind == "f" and dataset.nbytes <= MAX_BYTES:
        dataset[()]


def walk(h5py: Any, file: Any) -> None:
    todo = [file.id]
    seen: Set[int] = set()
    while todo and len(seen) <= MAX_OBJECTS:
        thing = todo.pop()
        address = h5py.h5o.get_info(thing).addr
        if address in seen:
            continue
        seen.add(address)
        read_attributes(h5py, thing)
        if isinstance(thing, h5py.h5g.GroupID):
            todo += [h5py.h5o.open(thing, name) for name in children(h5py, thing)]
        elif isinstance(thing, h5py.h5d.DatasetID):
            read_data(h5py, thing)


def main() -> None:
    """Arguments: the module search path as JSON, seconds, bytes, and the file; "-" has its bytes on standard
    input."""
    sys.path[:] = json.loads(sys.argv[1])
    import h5py

    source = io.BytesIO(sys.stdin.buffer.read()) if sys.argv[4] == "-" else sys.argv[4]
    limit(int(sys.argv[2]), int(sys.argv[3]))
    try:
        with h5py.File(source, "r") as file:
            walk(h5py, file)
    except (
        Exception
    ) as error:  # whatever it is, the file is at fault, and the other process tells it in one line
        sys.exit(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
