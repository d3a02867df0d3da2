# SPDX-License-Identifier: Apache-2.0
"""Compares libdeep with live references: compare_live.py [CASE...]; prints the worst of each quantity as
Markdown."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import deep_side
import measure
from cases import ALL, LIVE, Case
from references import derived, floor, references, start


def run(case: Case) -> list[measure.Row]:
    """Compares libdeep with the references of one case."""
    with tempfile.TemporaryDirectory() as folder:
        changes, exact, rounded = references(case, Path(folder))
    values = start(case, changes)
    made = deep_side.answer(case, values, draws=changes.get("draws"))
    return measure.compare(derived(case, values, made), exact, rounded, floor(case))


def main() -> None:
    chosen = [ALL[name] for name in sys.argv[1:]] or LIVE
    failed = 0
    print("| case | quantity | tensors | nearest to its bound | error | float32 | bound | |")
    print("|---|---|---|---|---|---|---|---|")
    for case in chosen:
        begin = time.monotonic()
        rows = run(case)
        for quantity, row in measure.worst(rows).items():
            same = [other for other in rows if other.quantity == quantity]
            bad = sum(not other.holds for other in same)
            failed += bad
            limit = "-" if row.bound == float("inf") else f"{row.bound:.1e}"
            verdict = f"{bad} beyond" if bad else "ok"
            errors = (f"{row.error:.1e}", f"{row.yardstick:.1e}", limit)
            cells = (case.name, quantity, len(same), row.name, *errors, verdict)
            print(f"| {' | '.join(map(str, cells))} |", flush=True)
        print(f"{case.name}: {time.monotonic() - begin:.0f} s", file=sys.stderr, flush=True)
    if failed:
        raise SystemExit(f"{failed} tensors are beyond their bound")


if __name__ == "__main__":
    main()
