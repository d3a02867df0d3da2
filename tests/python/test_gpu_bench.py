# SPDX-License-Identifier: Apache-2.0
"""bench/gpu.py without a GPU: what it says is missing, how it judges, and what it draws."""
from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"
sys.path.insert(0, str(BENCH))

import gpu
import libdeep
import roofline

TRAINING = next(row for row in gpu.rows(False) if row.memory)


def result(own_ms, peer_ms, own_megabytes=7000.0):
    """A row with libdeep and its peer; None leaves one out."""
    times = {"libdeep": (own_ms, own_megabytes), TRAINING.peer: (peer_ms, 15000.0)}
    contenders = {
        name: {"min": ms, "median": ms, "runs": 12, "megabytes": megabytes, "difference": 0.0}
        for name, (ms, megabytes) in times.items()
        if ms is not None
    }
    return {"case": "", "batch": 128, "refused": {}, "contenders": contenders}


def test_a_target_is_met_or_missed_or_was_not_measured():
    assert gpu.judged(gpu.verdicts(TRAINING, result(50, 85))) == (
        ">= 1.7 x torch: 1.70, met; <= 0.5 x its memory: 0.47, met"
    )
    assert gpu.judged(gpu.verdicts(TRAINING, result(50, 84, 7600.0))) == (
        ">= 1.7 x torch: 1.68, missed; <= 0.5 x its memory: 0.51, missed"
    )
    for lacking in (result(None, 85), result(50, None)):
        assert gpu.judged(gpu.verdicts(TRAINING, lacking)) == (
            ">= 1.7 x torch: not measured; <= 0.5 x its memory: not measured"
        )


def test_a_single_image_has_a_time_of_its_own():
    single = next(row for row in gpu.rows(False) if row.most_ms)
    assert single.case.batch == 1
    found = result(0.31, 0.62)
    found["contenders"][single.peer] = found["contenders"].pop(TRAINING.peer)
    assert gpu.judged(gpu.verdicts(single, found)) == ">= 1.5 x torch-compiled: 2.00, met; <= 0.3 ms: 0.31, missed"


def test_what_a_library_refuses_stands_in_its_cell():
    refusing = result(None, 85)
    refusing["refused"]["libdeep"] = "not built yet"
    assert gpu.cell(refusing, "libdeep") == "no: not built yet"
    assert gpu.cell(refusing, "torch-compiled") == "-"
    assert gpu.cell(refusing, TRAINING.peer) == "85.00 / 85.00 ms, 1506 images/s, 15000 MB"


def test_without_a_gpu_it_says_what_is_missing(tmp_path):
    made = subprocess.run(
        [sys.executable, BENCH / "gpu.py", "--build", os.environ["DEEP_BUILD"], "--plugin", tmp_path],
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=False,
    )
    assert made.returncode == 1
    assert re.fullmatch(r"libdeep: cuda +not available: no GPU plugin: /.*\n", made.stdout)


@pytest.mark.parametrize("rate", [0.001, 40.0])
def test_the_roofline_stays_inside_its_picture(rate):
    dots = [
        {"name": "a <b>", "intensity": 2.0, "rate": rate, "ms": 1.0, "share": 0.5},
        {"name": "c", "intensity": 300.0, "rate": 30.0, "ms": 1.0, "share": 0.5},
    ]
    text = roofline.draw(dots, 3.0, {"fp32": 50.0, "bf16": 700.0})
    root = ElementTree.fromstring(text)
    name = "{http://www.w3.org/2000/svg}"
    circles, lines = root.findall(f"{name}circle"), root.findall(f"{name}polyline")
    points = [(float(c.get("cx")), float(c.get("cy"))) for c in circles]
    points += [tuple(map(float, point.split(","))) for line in lines for point in line.get("points").split()]
    assert len(circles) == 2 and len(lines) == 2 and len(points) == 8
    assert all(0 <= x <= roofline.WIDTH and 0 <= y <= roofline.HEIGHT for x, y in points)
    assert points[0][0] < points[1][0] and (points[0][1] > points[1][1]) == (rate < 30)
    assert len(re.findall("<title>a &lt;b&gt;: ", text)) == 1


def test_the_tool_shows_no_peaks_of_the_processor_for_a_gpu(tmp_path):
    """On the stand-in device, which is a GPU for all that the tool can see."""
    build = Path(os.environ["DEEP_BUILD"])
    stand_in = {**os.environ, "DEEP_PLUGIN_PATH": str(build / "tests" / "cuda" / "device")}
    model = tmp_path / "model.safetensors"
    libdeep.Model.create(["a", "b"], architecture="xception-small", input_size=71, width=0.1, middle_blocks=1).save(model)
    command = [build / "tools" / "deep", "bench", model, "--device", "cuda", "--dtype", "fp32", "--batch", "1", "--repetitions", "1"]
    told = json.loads(subprocess.run([*command, "--json"], env=stand_in, check=True, capture_output=True).stdout)
    assert told["peaks"] == [] and len(told["speeds"]) == 1 and told["steps"]
    assert not any("of_peak" in part for part in told["speeds"] + told["steps"])
    text = subprocess.run(command, env=stand_in, check=True, capture_output=True, encoding="utf-8").stdout
    assert "%" in text and "\npeak " not in text and "inf" not in text and "nan" not in text
    refused = subprocess.run([*command, "--svg", tmp_path / "roofline.svg"], env=stand_in, capture_output=True, encoding="utf-8")
    assert refused.returncode == 2 and "measured on processors alone" in refused.stderr


def test_one_kernel_stands_beside_the_two_that_it_replaces():
    def step(layer, op, shape, ms):
        return {"layer": layer, "op": op, "shape": shape, "ms": ms}
    apart = [step("a", "depthwise_conv2d", "x", 2.0), step("a", "conv2d", "y", 3.0), step("b", "depthwise_conv2d", "x", 1.0),
             step("b", "conv2d", "y", 2.0), step("a_bn", "batch_norm_fold", "y", 9.0), step("c", "conv2d", "y", 7.0)]
    one = [step("a", "separable_conv2d", "y", 2.5), step("b", "separable_conv2d", "y", 1.5), step("c", "conv2d", "y", 7.0)]
    assert gpu.pair_fused(apart, one) == [{"name": "y", "count": 2, "apart": 4.0, "one": 2.0}]
