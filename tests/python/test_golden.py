# SPDX-License-Identifier: Apache-2.0
"""libdeep against recorded answers of Keras and PyTorch in float64 (docs/parity.md); and planted errors, each
of which must be noticed. DEEP_GOLDEN=small leaves the networks of full width out, for builds that compute
slowly."""

from __future__ import annotations

import dataclasses
import os
import sys
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "parity"))

import deep_side
import golden
import measure
from cases import ALL, GOLDEN, learning_rate
from references import derived, floor, start
from xception import layers, sides

CASES = [case for case in GOLDEN if case.width < 1 or os.environ.get("DEEP_GOLDEN") != "small"]


def recording(name):
    """The golden of a case, and the parameters that the case starts from."""
    recorded, changes = golden.read(golden.FOLDER / f"{name}.npz")
    return recorded, start(ALL[name], changes)


def answer(name, options=None, change=None, **faults):
    """libdeep's answer to a case; `change` replaces fields of the case, for libdeep alone."""
    _, changes = golden.read(golden.FOLDER / f"{name}.npz")
    case = dataclasses.replace(ALL[name], **(change or {}))
    return deep_side.answer(case, start(case, changes), options, changes.get("draws"), **faults)


@lru_cache(maxsize=2)
def sound_answer(name):
    return answer(name)


def rows(name, made=None):
    """The comparison of a case, by (quantity, tensor)."""
    recorded, values = recording(name)
    made = derived(ALL[name], values, sound_answer(name) if made is None else made)
    return {(row.quantity, row.name): row for row in golden.compare(made, recorded, floor(ALL[name]))}


def beyond(found, quantity):
    """Tensors of a quantity that are beyond their bound."""
    return {name for (kind, name), row in found.items() if kind == quantity and not row.holds}


@pytest.mark.parametrize("name", [case.name for case in CASES])
def test_libdeep_equals_the_float64_reference(name):
    found = rows(name)
    recorded = {measure.quantity(key) for key in recording(name)[0]}
    assert {quantity for quantity, _ in found} - {"fused"} == recorded
    assert [row for row in found.values() if not row.holds] == []


@pytest.mark.parametrize("name", ["forward-small-100", "gradients-small-100"])
def test_a_golden_knows_every_tensor(name):
    recorded, values = recording(name)
    listed = layers(**ALL[name].network)
    if ALL[name].kind == "forward":
        assert {key for key in recorded} == {f"layer/{layer.name}" for layer in listed}
        assert set(sound_answer(name)) >= set(recorded)
    else:
        trainable = {key for key in values if ".moving_" not in key}
        assert {key for key in recorded if key.startswith("gradient/")} == {
            f"gradient/{key}" for key in trainable
        }


def test_the_yardstick_is_measured():
    """Keras in float32 is not Keras in float64, and both agree to some digits."""
    recorded, _ = recording("gradients-small-100")
    assert all(
        1e-9 < item.yardstick < 1e-4 for name, item in recorded.items() if name.startswith("gradient/")
    )


# ---- planted errors ----


def test_planted_error_adam_epsilon_1e_8_is_caught():
    assert beyond(rows("optimizer-adam-amsgrad", answer("optimizer-adam-amsgrad", epsilon=1e-8)), "weight")


def test_planted_error_no_amsgrad_is_caught():
    assert beyond(rows("optimizer-adam-amsgrad", answer("optimizer-adam-amsgrad", no_amsgrad=True)), "weight")


def test_planted_error_no_weight_decay_is_caught():
    """AdamW differs from Adam with amsgrad by the decay of kernels alone."""
    found = beyond(rows("optimizer-adamw", sound_answer("optimizer-adam-amsgrad")), "weight")
    assert found and all(name.endswith("kernel") for name in found)


def test_planted_error_no_schedule_is_caught(monkeypatch):
    name = "updates-small-sgd-momentum"
    monkeypatch.setattr(deep_side, "learning_rate", lambda case, step: learning_rate(case, 0))
    assert beyond(rows(name, answer(name)), "weight") >= {"block1_conv1.kernel", "predictions.kernel"}


@pytest.mark.parametrize("change", [{"smoothing": 0.0}, {"weighted": False}])
def test_planted_error_in_the_loss_of_a_training_is_caught(change):
    name = "updates-small-sgd-momentum"
    found = rows(name, answer(name, change=change))
    assert not found["loss", ""].holds and not found["weight", "predictions.kernel"].holds


def test_planted_error_unbiased_running_variance_is_caught():
    """PyTorch's convention: the variance of n values is taken with n - 1."""
    name = "gradients-small-100"
    case, (_, values) = ALL[name], recording(name)
    listed = layers(**case.network)
    side = sides(case.size, listed)
    made = dict(sound_answer(name))
    norms = [layer.name for layer in listed if layer.kind == "norm"]
    for norm in norms:
        key, count = f"running/{norm}.moving_variance", case.batch * side[norm] ** 2
        before = 0.99 * values[f"{norm}.moving_variance"].astype(np.float64)
        made[key] = before + (made[key] - before) * count / (count - 1)
    assert beyond(rows(name, made), "batch") == {f"{norm}.moving_variance" for norm in norms}
    assert beyond(rows(name), "batch") == set()


def test_planted_error_pool_padded_on_both_sides_is_caught():
    """24 cells become 12 in block 3's pool: TensorFlow pads (0, 1) there, PyTorch (1, 1)."""
    found = rows("forward-small-100", answer("forward-small-100", {"padding": "symmetric"}))
    assert found["layer", "block3_sepconv2_bn"].holds
    assert not found["layer", "block3_pool"].holds
    assert not found["fused", "predictions"].holds and not found["fused", "predictions_softmax"].holds


def test_planted_error_relu_in_place_on_the_shortcut_is_caught():
    """The reference is wrong here: its blocks that begin with a ReLU rectify what their shortcut reads as
    well."""
    found = rows("fault-relu-in-place")
    assert found["layer", "block3_sepconv2_bn"].holds
    assert not found["layer", "block3_shortcut"].holds
    assert not found["layer", "block5_add"].holds
    assert not found["fused", "predictions"].holds


def test_planted_error_batch_norm_epsilon_is_caught():
    found = rows("forward-small-100", answer("forward-small-100", {"batch_norm_epsilon": 1e-5}))
    assert found["layer", "block1_conv1"].holds
    assert not found["layer", "block1_conv1_bn"].holds
    assert not found["fused", "predictions"].holds


@pytest.mark.parametrize("change", [{"smoothing": 0.0}, {"weighted": False}])
def test_planted_error_in_the_loss_is_caught(change):
    found = rows("gradients-small-100", answer("gradients-small-100", change=change))
    assert not found["loss", ""].holds
    assert beyond(found, "gradient") >= {"predictions.kernel", "block1_conv1.kernel"}


def test_planted_error_loss_divided_by_the_sum_of_weights_is_caught():
    case = ALL["gradients-small-100"]
    weights = case.class_weights()[case.labels()]
    made = {
        name: value * (len(weights) / weights.sum() if name.startswith(("gradient/", "loss")) else 1)
        for name, value in sound_answer("gradients-small-100").items()
    }
    found = rows("gradients-small-100", made)
    assert not found["loss", ""].holds and not found["gradient", "predictions.kernel"].holds
