# SPDX-License-Identifier: Apache-2.0
"""Sessions between arrays of a GPU's memory, on the stand-in device: its memory is closed to the host except where this file opens it,
and what is queued there is computed when somebody waits."""
from __future__ import annotations

import copy
import ctypes
import gc
import mmap
import os
import weakref

os.environ["FAKE_GPUS"] = "2"

import numpy as np
import pytest

import libdeep
from conftest import CLASSES, TINY
from libdeep import device, dlpack

SIDE, BATCH = 71, 3
STREAM, OTHER = 0x1000, 0x2000  # of the host, as far as the stand-in knows

_libc = ctypes.CDLL(None, use_errno=True)


def opened(address, nbytes):
    """The bytes of the device's memory, which the next work on the device closes again."""
    first = address // mmap.PAGESIZE * mmap.PAGESIZE
    both = mmap.PROT_READ | mmap.PROT_WRITE
    assert _libc.mprotect(ctypes.c_void_p(first), ctypes.c_size_t(address + nbytes - first), both) == 0
    return (ctypes.c_uint8 * nbytes).from_address(address)


def peek(tensor):
    """The values as they are now: nobody waits."""
    values = np.frombuffer(opened(tensor.address, tensor.nbytes), np.float32)
    return values.reshape(tensor.shape).copy()


class Lent:
    """An array of another library on a GPU: says what it was asked, and can lie about itself."""

    def __init__(self, owner, values, where=(2, 0), versions=True, patch=None):
        self.tensor = libdeep.device.DeviceTensor(owner._live, 0, values.shape)
        np.frombuffer(opened(self.tensor.address, self.tensor.nbytes), np.float32)[:] = values.ravel()
        self.where, self.versions, self.patch, self.asked = where, versions, patch, []

    def __dlpack_device__(self):
        return self.where

    def __dlpack__(self, *, stream=None, **wishes):
        if wishes and not self.versions:
            raise TypeError("unexpected keyword")
        self.asked.append(stream)
        capsule = self.tensor.__dlpack__(stream=-1, **wishes)
        if self.patch is not None:
            self.patch(dlpack.describe(capsule))
        return capsule


class Taken:
    """What a library does that takes a tensor: keeps the capsule."""

    def __init__(self, tensor, **wishes):
        self.capsule = tensor.__dlpack__(**wishes)
        self.description = dlpack.describe(self.capsule)


@pytest.fixture(scope="module")
def gpu():
    return libdeep.Context(threads=1, device="cuda")


@pytest.fixture
def on_gpu(gpu):
    return libdeep.Model.create(CLASSES, **TINY, seed=1, context=gpu)


def images(count, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (count, SIDE, SIDE, 3)).astype(np.float32)


@pytest.mark.parametrize("versions", [True, False])
@pytest.mark.parametrize("count", [BATCH, 1, 2 * BATCH + 1])
def test_results_are_those_of_the_hosts_memory_bit_for_bit(count, versions, gpu, on_gpu):
    x = images(count)
    with on_gpu.session(batch=BATCH) as session:
        lent = Lent(gpu, x, versions=versions)
        for _ in range(3):
            found, logits = session.run_device(lent), session.logits_device(lent)
            assert isinstance(found, libdeep.DeviceTensor) and found.shape == logits.shape == (count, 3)
            assert np.array_equal(peek(found), session.run(x))
            assert np.array_equal(peek(logits), session.logits(x))
        assert lent.asked == [libdeep.session.library.deep_session_stream(session._live)] * 6


def test_no_image_gives_no_result(gpu, on_gpu):
    with on_gpu.session() as session:
        found = session.run_device(Lent(gpu, images(1), patch=lambda tensor: tensor.shape.__setitem__(0, 0)))
        assert found.shape == (0, 3) and len(found) == 0 and found.nbytes == 0


def test_results_go_where_they_are_wanted(gpu, on_gpu):
    x, out = images(2), Lent(gpu, np.zeros((2, 3), np.float32))
    with on_gpu.session(batch=2) as session:
        assert session.run_device(Lent(gpu, x), out=out) is out
        assert np.array_equal(peek(out.tensor), session.run(x))
        again = session.logits_device(Lent(gpu, x))
        assert session.run_device(Lent(gpu, x), out=again) is again
        assert np.array_equal(peek(again), session.run(x))


def test_layers_are_kept_of_the_last_run(gpu, on_gpu):
    x = images(2)
    with on_gpu.session(batch=2, layers=True) as session:
        found = session.run_device(Lent(gpu, x))
        assert np.array_equal(session.layers["predictions_softmax"], peek(found))
        with pytest.raises(ValueError, match="3 images in a session of batch 2"):
            session.run_device(Lent(gpu, images(3)))


# ---- what is lent, and who waits for whom ----


@pytest.mark.parametrize("wishes", [{}, {"max_version": (1, 0)}])
def test_a_capsule_describes_the_memory_of_the_gpu(wishes, gpu, on_gpu):
    if wishes and np.lib.NumpyVersion(np.__version__) < "2.1.0":
        wishes = {}
    with on_gpu.session(batch=2) as session:
        tensor = session.run_device(Lent(gpu, images(2)))
    assert tensor.__dlpack_device__() == (2, 0)
    taken = Taken(tensor, stream=OTHER, dl_device=(2, 0), copy=False, **wishes)
    found = taken.description
    assert tuple(found.device) == (2, 0) and found.data == tensor.address and found.byte_offset == 0
    assert (found.code, found.bits, found.lanes, found.ndim) == (2, 32, 1, 2) and tuple(found.shape[:2]) == (2, 3)
    assert dlpack._is_valid(taken.capsule, b"dltensor_versioned" if wishes else b"dltensor")
    with pytest.raises(Exception, match="(?i)unsupported"):
        np.from_dlpack(dlpack._Capsule(taken.capsule, (2, 0)))


@pytest.mark.parametrize("stream, waits", [(-1, False), (STREAM, False), (OTHER, True), (None, True), (1, True), (2, True)])
def test_a_stream_that_takes_results_waits_for_the_hosts(stream, waits, gpu, on_gpu):
    x = images(2)
    with on_gpu.session(batch=2) as plain:
        expected = plain.run(x)
    with on_gpu.session(batch=2, stream=STREAM) as session:
        lent = Lent(gpu, x)
        found = session.run_device(lent)
        assert lent.asked == [STREAM] and not peek(found).any()
        taken = Taken(found, stream=stream)
        assert np.array_equal(peek(found), expected if waits else np.zeros((2, 3), np.float32)) and taken
        Taken(found, stream=OTHER)
        assert np.array_equal(peek(found), expected)


def test_a_session_of_its_own_stream_has_waited(gpu, on_gpu):
    x = images(1)
    with on_gpu.session() as session:
        found = session.run_device(Lent(gpu, x))
        first = peek(found)
        assert np.array_equal(first, session.run(x)) and first.any()


def test_results_are_there_when_the_session_is_gone(gpu, on_gpu):
    x = images(1)
    with on_gpu.session() as plain:
        expected = plain.run(x)
    session = on_gpu.session(stream=STREAM)
    found = session.run_device(Lent(gpu, x))
    session.close()
    gc.collect()
    Taken(found, stream=OTHER)
    assert np.array_equal(peek(found), expected)
    on_gpu.params["predictions.bias"] = [1, 2, 3]  # nothing holds the model


def test_memory_lives_as_long_as_somebody_has_it(gpu, on_gpu):
    with on_gpu.session() as session:
        found = session.run_device(Lent(gpu, images(1)))
    handle, values = weakref.ref(found._handle), peek(found)
    taken = Taken(found)
    address = found.address
    del found
    gc.collect()
    assert handle() is not None and taken.description.data == address
    assert np.array_equal(np.frombuffer(opened(address, 12), np.float32), values[0])
    del taken
    gc.collect()
    assert handle() is None


# ---- what is refused ----


def strided(tensor):
    tensor.strides[1] = 2 * tensor.strides[1]


def retyped(code, bits):
    def patch(tensor):
        tensor.code, tensor.bits = code, bits

    return patch


@pytest.mark.parametrize(
    "changes, kind, words",
    [
        ({"where": (2, 1)}, BufferError, r"input is on DLPack device \(2, 1\), the session computes on \(2, 0\)"),
        ({"where": (1, 0)}, BufferError, r"input is on DLPack device \(1, 0\), the session computes on \(2, 0\)"),
        ({"patch": retyped(2, 16)}, TypeError, "input of DLPack type 2 of 16 bits: float32 is wanted, which is type 2 of 32"),
        ({"patch": retyped(0, 32)}, TypeError, "input of DLPack type 0 of 32 bits: float32 is wanted"),
        ({"patch": strided}, ValueError, r"input of shape \(1, 71, 71, 3\) with strides .* is not C-contiguous"),
        ({"values": np.zeros((1, 70, 71, 3), np.float32)}, ValueError, r"input of shape \(1, 70, 71, 3\): \(n, 71, 71, 3\) is wanted"),
        ({"values": np.zeros((71, 71, 3), np.float32)}, ValueError, r"input of shape \(71, 71, 3\): \(n, 71, 71, 3\) is wanted"),
    ],
)
def test_what_is_no_input_is_refused(changes, kind, words, gpu, on_gpu):
    with on_gpu.session() as session, pytest.raises(kind, match=words):
        session.run_device(Lent(gpu, **{"values": images(1), **changes}))


def test_what_cannot_be_written_is_refused(gpu, on_gpu):
    x = Lent(gpu, images(2))
    with on_gpu.session(batch=2) as session:
        with pytest.raises(ValueError, match=r"out of shape \(1, 3\): \(2, 3\) is wanted"):
            session.run_device(x, out=Lent(gpu, np.zeros((1, 3), np.float32)))
        with pytest.raises(BufferError, match=r"out is on DLPack device \(1, 0\)"):
            session.run_device(x, out=np.zeros((2, 3), np.float32))
        if np.lib.NumpyVersion(np.__version__) >= "2.1.0":
            with pytest.raises(ValueError, match=r"out that is read-only: \(2, 3\) is wanted, to be written"):
                session.run_device(x, out=ReadOnly(gpu, np.zeros((2, 3), np.float32)))


class ReadOnly(Lent):
    def __dlpack__(self, **wishes):
        capsule = super().__dlpack__(**wishes)
        dlpack._Versioned.from_address(dlpack._get_pointer(capsule, b"dltensor_versioned")).flags |= 1
        return capsule


def test_memory_that_only_says_so_is_refused(gpu, on_gpu):
    """The library asks the GPU."""
    with on_gpu.session() as session, pytest.raises(libdeep.InvalidArgumentError, match='input is not in the memory of device "cuda"'):
        session.run_device(Lent(gpu, images(1), patch=lambda tensor: setattr(tensor, "data", id(session))))


def test_arrays_and_sessions_of_other_devices_are_refused(gpu, on_gpu, model):
    with on_gpu.session() as session:
        with pytest.raises(BufferError, match=r"input is on DLPack device \(1, 0\)"):
            session.run_device(images(1))
        with pytest.raises(TypeError, match="input of type list has no __dlpack__"):
            session.run_device([1])
        with pytest.raises(BufferError, match=r"in a GPU's memory: a session's run_device\(\) reads it there"):
            session.run(Lent(gpu, images(1)))
    with pytest.raises(libdeep.StateError, match="this Session is closed"):
        session.run_device(Lent(gpu, images(1)))
    host = libdeep.Model.create(CLASSES, **TINY, seed=1, context=libdeep.Context(threads=1, device="ref"))
    with host.session() as session, pytest.raises(libdeep.UnsupportedError, match='"ref" computes in the host\'s memory'):
        session.run_device(Lent(gpu, images(1)))


def test_a_second_gpu_is_told_from_the_first(gpu):
    second = libdeep.Context(threads=1, device="cuda:1")
    model = libdeep.Model.create(CLASSES, **TINY, seed=1, context=second)
    with model.session() as session:
        with pytest.raises(BufferError, match=r"on DLPack device \(2, 0\), the session computes on \(2, 1\)"):
            session.run_device(Lent(gpu, images(1)))
        found = session.run_device(Lent(second, images(1), where=(2, 1)))
        assert found.__dlpack_device__() == (2, 1) and np.array_equal(peek(found), session.run(images(1)))
        assert repr(found) == "<libdeep.DeviceTensor float32, shape (1, 3), cuda:1>"


def test_wishes_that_cannot_be_met_are_refused(gpu):
    tensor = device.DeviceTensor(gpu._live, 0, (2, 3))
    with pytest.raises(BufferError, match=r"on DLPack device \(2, 0\), not \(1, 0\)"):
        tensor.__dlpack__(dl_device=(1, 0))
    with pytest.raises(BufferError, match="without a copy"):
        tensor.__dlpack__(copy=True)
    for stream in (0, -2):
        with pytest.raises(ValueError, match=f"stream {stream}: 1 is the default stream"):
            tensor.__dlpack__(stream=stream)
    with pytest.raises(TypeError, match="cannot be pickled or copied"):
        copy.copy(tensor)


def test_a_full_device_says_so(gpu):
    with pytest.raises(libdeep.OutOfMemoryError, match="memory on the device: out of GPU memory: "):
        device.DeviceTensor(gpu._live, 0, (2**40, 3))
