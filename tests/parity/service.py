# SPDX-License-Identifier: Apache-2.0
"""A converted run folder against the existing service's own predict, one crop: service.py; prints a table in
Markdown.

Needs DEEP_TEST_DATA, and planktonclas under PARITY_SERVICE (default: this Python).
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import numpy as np

import deep_side
import measure
from libdeep import convert
from preprocessing import image_files
from references import INTERPRETERS, run_script

LIMIT = 1e-4  # of the largest probability
IMAGES = 60
INTERPRETERS["service"] = os.environ.get("PARITY_SERVICE", sys.executable)


def listed(files: list[Path], folder: Path) -> str:
    (folder / "files.txt").write_text("".join(f"{path}\n" for path in files))
    return str(folder / "files.txt")


def service_predicts(run: Path, files: list[Path], folder: Path) -> dict[str, np.ndarray]:
    run_script(
        "service", "service_side.py", "predict", str(run), listed(files, folder), str(folder / "service.npz")
    )
    return dict(np.load(folder / "service.npz"))


def main() -> None:
    bad = []

    def row(what: str, made: np.ndarray, wanted: np.ndarray) -> None:
        error = measure.error("probabilities", made, wanted)
        same = int((made.argmax(axis=1) == wanted.argmax(axis=1)).sum())
        print(f"| {what} | {len(made)} | {same} | {error:.1e} | {LIMIT:.0e} |", flush=True)
        if not error <= LIMIT or same != len(made):
            bad.append(what)

    print("| prediction | images | same best class | error | limit |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = folder / "run"
        chosen = image_files()
        files = chosen[:: len(chosen) // IMAGES][:IMAGES]
        reference = Path(os.environ["DEEP_TEST_DATA"]) / "reference_run" / "run"
        run_script("service", "service_side.py", "make", str(run), str(reference), listed(files, folder))
        model = convert.load(run, context=deep_side.context())
        theirs = service_predicts(run, files, folder)
        with model.session(batch=8) as session:
            row("of the service's own input", session.run(theirs["x"]), theirs["probabilities"])
        row("of the files", model.predict_proba(files), theirs["probabilities"])
    if bad:
        raise SystemExit(f"beyond the limit: {'; '.join(bad)}")


if __name__ == "__main__":
    main()
