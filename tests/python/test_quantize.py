# SPDX-License-Identifier: Apache-2.0
"""Models in 16 and 8 bits."""
from __future__ import annotations

import pickle

import numpy as np
import pytest

import libdeep
from conftest import CLASSES, coloured
from libdeep.convert.bridge import from_model
from libdeep.convert.errors import ConvertError


@pytest.fixture
def trained(model, dataset):
    model.fit(dataset, epochs=4, batch=6, seed=3, augment="none")
    return model


@pytest.mark.parametrize("dtype", ["bf16", "int8"])
def test_a_quantized_model_answers_as_its_original(trained, dataset, context, dtype):
    small = trained.quantize(dtype, dataset)
    assert (trained.info.dtype, small.info.dtype) == ("float32", dtype)
    assert small.info.parameters == trained.info.parameters
    images, _ = coloured(12, first=100)
    exact, rounded = trained.predict_proba(images), small.predict_proba(images)
    assert np.abs(exact - rounded).max() < 0.05
    assert not np.array_equal(exact, rounded)
    assert len(small.to_bytes()) < len(trained.to_bytes())


@pytest.mark.parametrize("dtype", ["bf16", "int8"])
def test_it_is_pickled_copied_and_loaded(model, dataset, context, dtype):
    small = model.quantize(dtype, dataset)
    images, _ = coloured(2)
    for other in (small.copy(), libdeep.Model.load(small.to_bytes(), context=context)):
        assert other.info == small.info
        assert np.array_equal(other.predict_proba(images), small.predict_proba(images))
    assert pickle.loads(pickle.dumps(small)).info.dtype == dtype


def test_the_metadata_tell_of_each_kernel(model, dataset):
    small = model.quantize("int8", dataset, images=4, method="percentile", percentile=99.9)
    told = small.metadata["quantization"]
    assert (told["dtype"], told["method"], told["percentile"], told["images"]) == ("i8", "percentile", 99.9, 4)
    kernels = told["kernels"]
    assert kernels["block1_conv1.kernel"]["dtype"] == "bf16"
    assert {kernel["dtype"] for kernel in kernels.values()} == {"bf16", "i8"}
    assert all(0 <= kernel["error"] < 0.05 for kernel in kernels.values() if kernel["dtype"] == "i8")
    assert "quantization" not in model.metadata


def test_kernels_are_read_as_floats(model, dataset):
    name = "block2_sepconv1.pointwise_kernel"
    small = model.quantize("int8", dataset)
    assert small.params.info("block2_sepconv1.pointwise_quantization").role == "quantization"
    exact, rounded = model.params[name], small.params[name]
    assert exact.shape == rounded.shape
    assert 0 < np.linalg.norm(exact - rounded) / np.linalg.norm(exact) < 0.03


def test_what_cannot_be_done_is_refused(model, dataset):
    small = model.quantize()
    with pytest.raises(libdeep.UnsupportedError, match="cannot be trained"):
        small.fit(dataset, epochs=1)
    with pytest.raises(libdeep.UnsupportedError, match="cannot be written"):
        small.params["predictions.bias"] = np.zeros(len(CLASSES))
    with pytest.raises(libdeep.UnsupportedError, match="quantized again"):
        small.quantize()
    with pytest.raises(ConvertError, match="convert the float32 one"):
        from_model(small)
    with pytest.raises(libdeep.InvalidArgumentError, match="calibration"):
        model.quantize("int8")
    with pytest.raises(ValueError, match="'int4'"):
        model.quantize("int4")
    with pytest.raises(ValueError, match="method"):
        model.quantize("int8", dataset, method="best")
