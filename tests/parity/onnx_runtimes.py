# SPDX-License-Identifier: Apache-2.0
"""libdeep's ONNX export run by onnxruntime and OpenVINO: onnx_runtimes.py; prints a Markdown table."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
import openvino

import deep_side
import measure
from cases import Case
from libdeep import convert

LIMIT = 1e-4  # of the largest probability

CASES = [
    Case("imagenet head, 71 px", "forward", batch=3, seed=71),
    Case("service head, 100 px", "forward", size=100, batch=2, seed=72, head="service"),
    Case("PyTorch's padding and epsilon, 100 px", "forward", size=100, batch=2, seed=73, framework="torch"),
    Case("imagenet head, 299 px", "forward", size=299, batch=1, seed=74),
    Case("narrow, 72 px", "forward", size=72, batch=16, seed=75, width=0.25, middle_blocks=2),
]


def with_onnxruntime(path: Path, x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def with_openvino(path: Path, x: np.ndarray) -> np.ndarray:
    # Full precision: on some processors OpenVINO would compute in bfloat16.
    network = openvino.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return network(x)[0]


def main() -> None:
    bad = []
    print("| network | order | onnxruntime | OpenVINO | limit |")
    print("|---|---|---|---|---|")
    for case in CASES:
        model = deep_side.make_model(case, case.weights())
        x = case.images()
        with model.session(batch=case.batch) as session:
            wanted = session.run(x)
        with tempfile.TemporaryDirectory() as folder:
            for layout in ("nchw", "nhwc"):
                path = Path(folder) / f"{layout}.onnx"
                convert.save(model, path, layout=layout)
                given = np.ascontiguousarray(x.transpose(0, 3, 1, 2)) if layout == "nchw" else x
                errors = [
                    measure.error("probabilities", runtime(path, given), wanted)
                    for runtime in (with_onnxruntime, with_openvino)
                ]
                print(
                    f"| {case.name}, batch {case.batch} | {layout} | {errors[0]:.1e} | {errors[1]:.1e} "
                    f"| {LIMIT:.0e} |",
                    flush=True,
                )
                if not max(errors) <= LIMIT:
                    bad.append(f"{case.name}, {layout}")
    if bad:
        raise SystemExit(f"beyond the limit: {'; '.join(bad)}")


if __name__ == "__main__":
    main()
