# SPDX-License-Identifier: Apache-2.0
"""Records the goldens anew: make.py [CASE...]

Needs TensorFlow (PARITY_KERAS), PyTorch and timm (PARITY_TORCH), as scripts/parity.sh sets up; libdeep is not
asked.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "parity"))

import golden  # noqa: E402
from cases import ALL, FAULTY, GOLDEN  # noqa: E402
from references import references  # noqa: E402


def main() -> None:
    for case in [ALL[name] for name in sys.argv[1:]] or GOLDEN + FAULTY:
        with tempfile.TemporaryDirectory() as folder:
            changes, exact, rounded = references(case, Path(folder))
        path = golden.FOLDER / f"{case.name}.npz"
        golden.write(path, golden.record(exact, rounded), changes)
        print(f"{path.name}: {path.stat().st_size} bytes", flush=True)


if __name__ == "__main__":
    main()
