# SPDX-License-Identifier: Apache-2.0
"""Recorded references: one .npz per case, with sampled elements, norms and the framework's float32 error per
tensor."""

from __future__ import annotations

from pathlib import Path
from typing import Mapping, NamedTuple, Sequence

import numpy as np

import measure
from measure import Row, Tensors

FOLDER = Path(__file__).resolve().parent.parent / "golden"


class Golden(NamedTuple):
    """The float64 reference of one tensor."""

    values: np.ndarray  # sampled
    largest: float  # magnitude in the whole tensor
    norm: float  # of the whole tensor
    yardstick: float  # float32's error in the sampled elements


def record(exact: Tensors, rounded: Sequence[Tensors]) -> dict[str, Golden]:
    made = {}
    for name, tensor in exact.items():
        if measure.quantity(name) == measure.TOTAL:
            continue
        values, largest = measure.sample(name, tensor), float(np.abs(tensor).max())
        errors = [measure.error(name, measure.sample(name, run[name]), values, largest) for run in rounded]
        made[name] = Golden(values, largest, measure.norm(tensor), max(errors))
    return made


def write(path: Path, goldens: Mapping[str, Golden], changes: Tensors) -> None:
    """`changes` are those of margins.py."""
    np.savez_compressed(
        path,
        names=np.array(list(goldens)),
        counts=np.array([golden.values.size for golden in goldens.values()], np.int32),
        values=np.concatenate([golden.values for golden in goldens.values()]),
        measures=np.array([golden[1:] for golden in goldens.values()]),
        **{f"start/{name}": value for name, value in changes.items()},
    )


def read(path: Path) -> tuple[dict[str, Golden], dict[str, np.ndarray]]:
    """Goldens by name, and the changes to the seeded parameters."""
    with np.load(path, allow_pickle=False) as file:
        parts = np.split(file["values"], np.cumsum(file["counts"])[:-1])
        goldens = {
            str(name): Golden(part, *map(float, measures))
            for name, part, measures in zip(file["names"], parts, file["measures"])
        }
        changes = {name[len("start/") :]: file[name] for name in file.files if name.startswith("start/")}
    return goldens, changes


def compare(made: Tensors, goldens: Mapping[str, Golden], floor: float = measure.FLOOR) -> list[Row]:
    """Errors of the sampled elements, or of the norm of the whole where that is further off."""
    rows = []
    for name, tensor in made.items():
        if measure.quantity(name) == measure.TOTAL:
            continue
        reference = measure.reference_name(name)
        wanted = goldens[reference]
        found = measure.error(name, measure.sample(reference, tensor), wanted.values, wanted.largest)
        length = abs(measure.norm(tensor) - wanted.norm) / max(wanted.norm, 1e-300)
        rows.append(
            Row(
                measure.quantity(name),
                name.partition("/")[2],
                max(found, length),
                wanted.yardstick,
                measure.bound(name, wanted.yardstick, floor),
            )
        )
    return rows
