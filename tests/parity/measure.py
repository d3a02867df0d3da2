# SPDX-License-Identifier: Apache-2.0
"""How far apart two sets of tensors are, and how far apart they may be.

Tensors are named "<quantity>/<name>". Layer outputs and statistics are compared in the max norm, gradients
and weights in L2, both relative to the float64 reference. A tensor's bound is FLOOR, or FACTOR times what the
framework's own float32 misses the reference by, whichever is larger.
"""

from __future__ import annotations

from typing import Mapping, NamedTuple, Sequence

import numpy as np

from seeded import stream

FLOOR = 1e-4
FACTOR = 2.0
SAMPLES = 64
BATCH_NORM_MOMENTUM = 0.99
TOTAL = "total change"  # reported, not bounded: see total()
L2 = ("gradient", "weight", "change", TOTAL)  # the other quantities: max norm
ALONE_FLOOR = 1e-6  # an optimizer alone, given identical gradients

Tensors = Mapping[str, np.ndarray]


class Row(NamedTuple):
    """One tensor's comparison."""

    quantity: str
    name: str
    error: float
    yardstick: float  # the framework's float32
    bound: float

    @property
    def holds(self) -> bool:
        return self.error <= self.bound  # false for NaN


def quantity(name: str) -> str:
    return name.split("/")[0]


def sample(name: str, tensor: np.ndarray) -> np.ndarray:
    """The whole of a small tensor, else some of its elements, picked by its name, as float64."""
    flat = tensor.ravel()
    if flat.size > SAMPLES:
        flat = flat[stream(0, name, SAMPLES) % np.uint64(flat.size)]
    return flat.astype(np.float64)


def norm(tensor: np.ndarray) -> float:
    return float(np.linalg.norm(tensor.ravel().astype(np.float64)))


def error(name: str, tensor: np.ndarray, reference: np.ndarray, largest: float | None = None) -> float:
    """Relative error; `largest` is the largest magnitude of the reference where `reference` is a part of
    it."""
    difference = tensor.ravel().astype(np.float64) - reference.ravel()
    if quantity(name) in L2:
        return float(np.linalg.norm(difference) / max(np.linalg.norm(reference.ravel()), 1e-300))
    scale = np.abs(reference).max() if largest is None else largest
    return float(np.abs(difference).max() / max(scale, 1e-300))


def bound(name: str, yardstick: float, floor: float = FLOOR) -> float:
    return np.inf if quantity(name) == TOTAL else max(floor, FACTOR * yardstick)


def derive(start: Tensors, made: Tensors) -> dict[str, np.ndarray]:
    """Adds what follows from `made` and tells more: a weight's change, and the batch statistic in a running
    one.

    A running variance moves by a hundredth per step; the batch's own shows which convention it follows.
    """
    out = dict(made)
    for name, tensor in made.items():
        kind, _, parameter = name.partition("/")
        if kind not in ("weight", "running"):
            continue
        before = start[parameter].astype(np.float64).reshape(tensor.shape)
        after = tensor.astype(np.float64)
        if kind == "weight":
            out[f"change/{parameter}"] = after - before
        else:
            out[f"batch/{parameter}"] = (after - BATCH_NORM_MOMENTUM * before) / (1 - BATCH_NORM_MOMENTUM)
    return out


def reference_name(name: str) -> str:
    """The fused path is compared with the same reference as the layers."""
    return name.replace("fused/", "layer/")


def compare(made: Tensors, exact: Tensors, rounded: Sequence[Tensors], floor: float = FLOOR) -> list[Row]:
    """libdeep's tensors against the float64 reference; the yardstick is the worst of the float32 runs."""
    rows = []
    for name, tensor in made.items():
        wanted = exact[reference_name(name)]
        yardstick = max(error(name, run[reference_name(name)], wanted) for run in rounded)
        rows.append(
            Row(
                quantity(name),
                name.partition("/")[2],
                error(name, tensor, wanted),
                yardstick,
                bound(name, yardstick, floor),
            )
        )
    return rows


def total(made: Tensors) -> dict[str, np.ndarray]:
    """Replaces the changes of single tensors by that of all trainable ones together, for trainings without
    clear decisions.

    After some steps such a training's change differs between any two float32 programs by what their roundings
    have grown to. It is reported beside Keras's, and has no bound.
    """
    changes = [name for name in sorted(made) if quantity(name) == "change" and ".moving_" not in name]
    out = {name: tensor for name, tensor in made.items() if quantity(name) != "change"}
    if changes:
        out[f"{TOTAL}/"] = np.concatenate([made[name].ravel() for name in changes])
    return out


def worst(rows: list[Row]) -> dict[str, Row]:
    """Of each quantity, the tensor nearest to its bound."""
    found: dict[str, Row] = {}
    for row in rows:
        other = found.get(row.quantity)
        if other is None or not row.error / row.bound <= other.error / other.bound:  # NaN is the worst
            found[row.quantity] = row
    return found
