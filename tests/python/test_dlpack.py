# SPDX-License-Identifier: Apache-2.0
"""Tensors shared with other libraries without a copy, and who lives how long."""
from __future__ import annotations

import gc
import pickle
import weakref

import numpy as np
import pytest

import libdeep
from libdeep import dlpack

TYPES = ["float32", "float64", "uint8", "int32", "int64"]


def address(capsule, name=b"dltensor"):
    return dlpack._is_valid(capsule, name)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (1, 2, 3, 4)])
def test_memory_is_shared_both_ways(dtype, shape, context):
    tensor = libdeep.Tensor.zeros(shape, dtype, context=context)
    taken, viewed = np.from_dlpack(tensor), np.asarray(tensor)
    assert taken.dtype == viewed.dtype == np.dtype(dtype) and taken.shape == viewed.shape == shape
    assert (tensor.dtype, tensor.shape, tensor.nbytes) == (dtype, shape, viewed.nbytes)
    viewed[...] = 7
    assert (np.from_dlpack(tensor) == 7).all() and (taken == 7).all()
    back = libdeep.Tensor.from_dlpack(viewed, context=context)
    np.asarray(back)[...] = 9
    assert (viewed == 9).all() and np.shares_memory(np.asarray(back), viewed)


def test_a_consumer_outlives_the_tensor(context):
    tensor = libdeep.Tensor.zeros((64,), context=context)
    handle = weakref.ref(tensor._handle)
    np.asarray(tensor)[:] = 5
    array = np.from_dlpack(tensor)
    del tensor
    gc.collect()
    filler = [np.zeros(64, np.float32) for _ in range(100)]
    assert handle() is not None and (array == 5).all() and filler
    del array
    gc.collect()
    assert handle() is None


def test_a_capsule_that_nobody_takes_frees_what_it_holds(context):
    tensor = libdeep.Tensor.zeros((64,), context=context)
    handle = weakref.ref(tensor._handle)
    capsule = tensor.__dlpack__()
    del tensor
    gc.collect()
    assert handle() is not None and address(capsule)
    del capsule
    gc.collect()
    assert handle() is None


def test_a_capsule_is_dropped_without_harm_while_an_exception_is_under_way(context):
    tensor = libdeep.Tensor.zeros((64,), context=context)
    handle = weakref.ref(tensor._handle)

    def fail(taken):
        held = taken.__dlpack__()
        array = np.from_dlpack(taken)
        raise KeyError("the one that must arrive", address(held), array.shape)

    with pytest.raises(KeyError, match="the one that must arrive"):
        fail(tensor)
    del tensor
    gc.collect()
    assert handle() is None


def test_a_producer_may_go_first(context):
    array = np.arange(6, dtype=np.float32)
    alive = weakref.ref(array)
    tensor = libdeep.Tensor.from_dlpack(array, context=context)
    del array
    gc.collect()
    assert alive() is not None and np.asarray(tensor).tolist() == [0, 1, 2, 3, 4, 5]
    view = np.asarray(tensor)
    del tensor
    gc.collect()
    assert alive() is not None and view[5] == 5
    del view
    gc.collect()
    assert alive() is None


def test_a_capsule_is_taken_once(context):
    capsule = libdeep.Tensor.zeros((3,), context=context).__dlpack__()
    once = libdeep.Tensor.from_dlpack(dlpack._Capsule(capsule, (1, 0)), context=context)
    assert once.shape == (3,) and not address(capsule)
    with pytest.raises(BufferError, match="taken before"):
        libdeep.Tensor.from_dlpack(dlpack._Capsule(capsule, (1, 0)), context=context)


class Old:
    """A producer that knows nothing of versions."""

    def __init__(self, array, device=(1, 0)):
        self.array, self.device = array, device

    def __dlpack__(self, stream=None):
        return self.array.__dlpack__()

    def __dlpack_device__(self):
        return self.device


def test_producers_without_versions_are_understood(context):
    array = np.arange(4, dtype=np.int64)
    assert np.shares_memory(np.asarray(libdeep.Tensor.from_dlpack(Old(array), context=context)), array)


def test_a_tensor_of_a_gpu_is_refused_before_it_is_touched(context):
    with pytest.raises(BufferError, match="on DLPack device 2, not on the CPU"):
        libdeep.Tensor.from_dlpack(Old(np.zeros(3), device=(2, 0)), context=context)


class Bfloat16(Old):
    """What torch gives for bfloat16: numpy's capsule of int16 under the other name."""

    def __dlpack__(self, **wishes):
        capsule = self.array.__dlpack__(**wishes)
        dlpack.describe(capsule).code = dlpack.BFLOAT
        return capsule


@pytest.mark.parametrize("wishes", [{}, {"max_version": (1, 0)}])
def test_bfloat16_goes_in_and_out(wishes, context):
    bits = np.array([0x3F80, 0x4000], np.int16)  # 1 and 2
    tensor = libdeep.Tensor.from_dlpack(Bfloat16(bits), context=context)
    assert tensor.dtype == "bfloat16" and np.shares_memory(tensor._view(), bits)
    with pytest.raises(TypeError, match="numpy has no bfloat16"):
        np.asarray(tensor)
    if wishes and np.lib.NumpyVersion(np.__version__) < "2.1.0":
        wishes = {}
    capsule = tensor.__dlpack__(**wishes)
    description = dlpack.describe(capsule)
    assert (description.code, description.bits, description.ndim) == (4, 16, 1)
    del capsule
    with pytest.raises(Exception, match="(?i)unsupported"):
        np.from_dlpack(tensor)
    again = pickle.loads(pickle.dumps(tensor))
    assert again.dtype == "bfloat16" and again._view().tolist() == bits.tolist()


def test_read_only_memory_stays_so(context):
    array = np.arange(3.0)
    array.flags.writeable = False
    tensor = libdeep.Tensor.from_array(array, context=context)
    assert not np.asarray(tensor).flags.writeable and np.shares_memory(np.asarray(tensor), array)


def test_what_is_not_dense_is_copied_unless_forbidden(context):
    array = np.arange(12.0).reshape(3, 4).T
    for make in (libdeep.Tensor.from_array, libdeep.Tensor.from_dlpack):
        tensor = make(array, context=context)
        assert np.array_equal(np.asarray(tensor), array) and not np.shares_memory(np.asarray(tensor), array)
        with pytest.raises(ValueError, match="needs a copy"):
            make(array, copy=False, context=context)
        assert not np.shares_memory(np.asarray(make(array.T, copy=True, context=context)), array)


@pytest.mark.parametrize("dtype", ["complex64", "float16", "bool", "uint16"])
def test_other_element_types_are_named(dtype, context):
    with pytest.raises(TypeError, match=f"elements of type {dtype}, not one of float32, bfloat16"):
        libdeep.Tensor.from_array(np.zeros(3, dtype), context=context)


@pytest.mark.parametrize("shape", [(0,), (-1,), (2**40, 2**40), (1,) * 9])
def test_impossible_shapes_are_refused(shape, context):
    with pytest.raises(libdeep.Error):
        libdeep.Tensor.zeros(shape, context=context)


def test_a_tensor_pickles_and_shows_itself(context):
    tensor = libdeep.Tensor.from_array(np.eye(2), context=context)
    assert np.array_equal(np.asarray(pickle.loads(pickle.dumps(tensor))), np.eye(2)) and len(tensor) == 2
    assert repr(tensor) == "<libdeep.Tensor float64, shape (2, 2)>"
    with pytest.raises(TypeError, match="a scalar has no length"):
        len(libdeep.Tensor.zeros((), context=context))


def test_a_session_takes_what_speaks_dlpack(model):
    x = np.random.default_rng(0).uniform(-1, 1, (2, 71, 71, 3)).astype(np.float32)
    with model.session(batch=2) as session:
        expected = session.run(x)
        assert np.array_equal(session.run(Old(x), copy=False), expected)
        assert np.array_equal(session.run(libdeep.Tensor.from_array(x), copy=False), expected)
