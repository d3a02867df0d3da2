# SPDX-License-Identifier: Apache-2.0
"""Tensors shared with PyTorch. Skipped, and counted so, where it is not installed: it is not among the requirements."""
from __future__ import annotations

import numpy as np
import pytest

import libdeep

torch = pytest.importorskip("torch", reason="torch is not installed")


def test_memory_is_shared_from_libdeep_to_torch(context):
    tensor = libdeep.Tensor.zeros((2, 3), context=context)
    torch.from_dlpack(tensor)[1, 2] = 7
    assert np.asarray(tensor)[1, 2] == 7


@pytest.mark.parametrize("name", ["float32", "bfloat16", "float64", "uint8", "int32", "int64"])
def test_memory_is_shared_from_torch_to_libdeep_and_back(name, context):
    source = torch.ones((2, 2), dtype=getattr(torch, name))
    shared = libdeep.Tensor.from_dlpack(source, context=context)
    back = torch.from_dlpack(shared)
    back[0, 0] = 3
    assert source[0, 0] == 3 and back.dtype == source.dtype and shared.dtype == name


def test_torch_tensors_are_input(model):
    x = torch.rand((1, 71, 71, 3))
    with model.session() as session:
        assert np.array_equal(session.run(x, copy=False), session.run(x.numpy()))
