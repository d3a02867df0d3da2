# SPDX-License-Identifier: Apache-2.0
"""Runs the references of a case: each in a process of its own, one per precision.

PARITY_KERAS and PARITY_TORCH name the Python interpreters that have TensorFlow and PyTorch; by default it is
this one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

import measure
import seeded
from cases import Case

HERE = Path(__file__).resolve().parent
INTERPRETERS = {
    "keras": os.environ.get("PARITY_KERAS", sys.executable),
    "torch": os.environ.get("PARITY_TORCH", sys.executable),
}


def run_script(framework: str, script: str, *arguments: str) -> None:
    done = subprocess.run(
        [INTERPRETERS[framework], str(HERE / script), *arguments], capture_output=True, text=True
    )
    if done.returncode != 0:
        raise SystemExit(f"{script} {' '.join(arguments)}:\n{done.stdout}{done.stderr}")
    sys.stderr.write(done.stdout)


def references(case: Case, folder: Path) -> tuple[dict, dict, list[dict]]:
    """What margins.py found, the answer in float64, and the answers in float32."""
    arguments, changes = [], {}
    if case.clear and case.kind in ("gradients", "updates"):
        run_script("keras", "margins.py", case.name, str(folder / "changes.npz"))
        arguments = ["--changes", str(folder / "changes.npz")]
        changes = dict(np.load(arguments[1]))
    # A training that has gone on for some steps amplifies roundings by chance: one float32 run says little.
    orders = range(case.batch if case.kind == "updates" else 1)
    runs = [("float64", [])] + [("float32", ["--order", str(order)]) for order in orders]
    values = start(case, changes)
    answers = []
    for dtype, more in runs:
        out = folder / "answer.npz"
        run_script(
            case.framework, f"{case.framework}_reference.py", case.name, dtype, str(out), *arguments, *more
        )
        answers.append(derived(case, values, dict(np.load(out))))
        out.unlink()
    return changes, answers[0], answers[1:]


def start(case: Case, changes: dict) -> dict[str, np.ndarray]:
    """The parameters that a case starts from."""
    return seeded.changed(
        case.seed, case.weights(), {name: changes[name] for name in changes if name != "draws"}
    )


def derived(case: Case, values: dict, made: dict) -> dict:
    """An answer with what follows from it."""
    made = measure.derive(values, made)
    return measure.total(made) if case.kind == "updates" and not case.clear else made


def floor(case: Case) -> float:
    return measure.ALONE_FLOOR if case.kind == "optimizer" else measure.FLOOR
