# SPDX-License-Identifier: Apache-2.0
"""Exceptions: one per status, with code, name, path and text; from real failures."""
from __future__ import annotations

import copy
import errno
import logging
import os
import pathlib
import pickle

import numpy as np
import pytest

import libdeep
from conftest import CLASSES, TINY, coloured, noise
from libdeep import errors

CORPUS = pathlib.Path(__file__).resolve().parents[1] / "fuzz" / "corpus"
BUILTIN = {
    libdeep.InvalidArgumentError: ValueError, libdeep.OutOfMemoryError: MemoryError, libdeep.FileError: OSError,
    libdeep.FormatError: ValueError, libdeep.TruncatedError: ValueError, libdeep.LimitError: ValueError,
    libdeep.ChecksumError: ValueError, libdeep.DatasetError: ValueError, libdeep.DivergedError: ArithmeticError,
    libdeep.StateError: RuntimeError, libdeep.ForkedError: RuntimeError, libdeep.BackendError: RuntimeError,
    libdeep.DeviceError: RuntimeError, libdeep.NotFoundError: FileNotFoundError,
}


def test_every_status_has_its_exception():
    codes = {kind.code: kind for kind in libdeep.Error.__subclasses__()}
    assert set(codes) == set(libdeep.Status) - {libdeep.Status.OK}
    for code, kind in codes.items():
        with pytest.raises(kind) as caught:
            errors.check(code, b"some.file")
        assert type(caught.value) is kind and caught.value.path == "some.file"
        assert caught.value.code == code and caught.value.status == f"DEEP_{libdeep.Status(code).name}"
        assert issubclass(kind, libdeep.Error) and kind.__name__ in libdeep.__all__


def test_an_unknown_status_is_an_error_too():
    with pytest.raises(libdeep.Error) as caught:
        errors.check(999)
    assert caught.value.code == 999 and caught.value.status == "DEEP_ERROR_UNKNOWN"


@pytest.mark.parametrize("kind", BUILTIN, ids=lambda kind: kind.__name__)
def test_an_exception_is_the_builtin_that_means_the_same(kind):
    assert issubclass(kind, BUILTIN[kind])


def test_no_exception_is_an_interrupt():
    assert not any(issubclass(kind, KeyboardInterrupt) for kind in libdeep.Error.__subclasses__())


@pytest.mark.parametrize("kind", libdeep.Error.__subclasses__(), ids=lambda kind: kind.__name__)
def test_an_exception_survives_pickling_and_copying(kind):
    before = kind("the text: 17", "a/path")
    for after in (pickle.loads(pickle.dumps(before)), copy.copy(before), copy.deepcopy(before)):
        assert type(after) is kind and (after.text, after.path, after.code) == ("the text: 17", "a/path", kind.code)
        assert str(after) == "the text: 17"


def missing(context, model, folder):
    libdeep.Model.load(folder / "gone.safetensors", context=context)


def not_a_folder_to_save_in(context, model, folder):
    model.save(folder / "gone" / "model.safetensors")


def garbage(context, model, folder):
    libdeep.Image.decode(b"neither PNG nor JPEG", context=context)


def cut(context, model, folder):
    libdeep.Image.load(CORPUS / "png" / "cut.png", context=context)


def cmyk(context, model, folder):
    libdeep.Image.load(CORPUS / "jpeg" / "cmyk.jpeg", context=context)


def too_large(context, model, folder):
    small = libdeep.Context(max_pixels=100)
    libdeep.Image.from_array(noise(0), context=small)


def damaged(context, model, folder):
    data = bytearray(model.to_bytes())
    data[-5] ^= 1
    libdeep.Model.load(data, context=context)


def newer(context, model, folder):
    data = model.to_bytes()
    assert data.count(b'\\"major\\":1') == 1
    libdeep.Model.load(data.replace(b'\\"major\\":1', b'\\"major\\":9'), context=context)


def empty_folder(context, model, folder):
    (folder / "empty").mkdir()
    libdeep.Dataset.open(folder / "empty", context=context)


def not_a_number(context, model, folder):
    with model.trainer(batch=1) as trainer:
        trainer.step(np.full((1, 71, 71, 3), np.nan, np.float32), [0])


def cancelled(context, model, folder):
    other = libdeep.Context(threads=1)
    images, labels = coloured(6)
    data = libdeep.Dataset.from_images(images, labels, CLASSES, context=other)
    other.cancel()
    libdeep.Model.create(CLASSES, **TINY, context=other).fit(data, epochs=1)


def written_while_in_use(context, model, folder):
    with model.session():
        model.params["predictions.bias"] = np.zeros(3)


def no_such_device(context, model, folder):
    libdeep.Context(device="cuda")


def bad_size(context, model, folder):
    libdeep.Model.create(3, input_size=12, context=context)


@pytest.mark.parametrize("failure, kind, words", [
    (missing, libdeep.NotFoundError, "gone.safetensors"),
    (not_a_folder_to_save_in, (libdeep.FileError, libdeep.NotFoundError), "gone"),
    (garbage, libdeep.FormatError, "neither PNG nor JPEG"),
    (cut, libdeep.TruncatedError, "cut.png"),
    (cmyk, libdeep.UnsupportedError, "cmyk.jpeg"),
    (too_large, libdeep.LimitError, "100"),
    (damaged, libdeep.ChecksumError, ""),
    (newer, libdeep.VersionError, ""),
    (empty_folder, libdeep.DatasetError, "empty"),
    (not_a_number, libdeep.DivergedError, "finite"),
    (cancelled, libdeep.CancelledError, ""),
    (written_while_in_use, libdeep.StateError, ""),
    (no_such_device, libdeep.DeviceError, "cuda"),
    (bad_size, libdeep.InvalidArgumentError, "12"),
], ids=lambda value: getattr(value, "__name__", ""))
def test_a_failure_raises_its_exception_with_one_line_that_tells_what_was_wrong(failure, kind, words, context, model,
                                                                                tmp_path):
    with pytest.raises(kind) as caught:
        failure(context, model, tmp_path)
    assert words in caught.value.text and "\n" not in str(caught.value) and caught.value.text


def test_a_missing_file_is_what_open_would_raise(context, tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        libdeep.Image.load(tmp_path / "gone.png", context=context)
    assert caught.value.errno == errno.ENOENT and caught.value.filename == str(tmp_path / "gone.png")
    assert caught.value.path == os.fspath(tmp_path / "gone.png")


@pytest.mark.parametrize("use", [
    lambda m: m.classes, lambda m: m.info, lambda m: m.predict(noise(0)), lambda m: m.params["x"], lambda m: m.to_bytes(),
    lambda m: m.session(), lambda m: m.trainer(), lambda m: m.copy(), lambda m: m.__enter__(), lambda m: m.metadata,
])
def test_what_is_closed_says_so(use, model):
    model.close()
    model.close()
    with pytest.raises(libdeep.StateError, match="this Model is closed"):
        use(model)
    assert model.closed and repr(model) == "<libdeep.Model closed>"


def test_a_path_with_a_zero_byte_is_refused_not_cut_off(context, tmp_path):
    with pytest.raises(Exception, match="zero byte"):
        libdeep.Image.load(str(tmp_path) + "\0.png", context=context)
    with pytest.raises(ValueError, match="zero byte"):
        libdeep.Model.create(["a", "b\0c"], **TINY, context=context)


def test_log_lines_reach_logging(caplog):
    talking = libdeep.Context(threads=1, log_level="debug")
    data = libdeep.Image.from_array(noise(0), context=talking).to_png()
    with caplog.at_level(logging.DEBUG, logger="libdeep"):
        libdeep.Image.decode(data[:-60], truncation="lenient", context=talking)
    assert [record.name for record in caplog.records] == ["libdeep"] * len(caplog.records)
    assert any(record.levelno == logging.WARNING for record in caplog.records) and caplog.records[0].getMessage()


def test_the_log_level_of_a_context_holds_back_the_rest(caplog):
    quiet = libdeep.Context(threads=1, log_level="error")
    data = libdeep.Image.from_array(noise(0), context=quiet).to_png()
    with caplog.at_level(logging.DEBUG, logger="libdeep"):
        libdeep.Image.decode(data[:-60], truncation="lenient", context=quiet)
    assert caplog.records == []


@pytest.mark.parametrize("options, words", [
    ({"optimizer": "adamm"}, "optimizer is 'adamm', not one of 'adam'"),
    ({"dtype": "fp64"}, "dtype is 'fp64', not one of"),
    ({"epoch": 3}, "'epoch' is not an option"),
    ({"reserved": 3}, "'reserved' is not an option"),
    ({"augment": "flop"}, "'flop', not one of 'flip'"),
    ({"step_milestones": [0.5]}, "step_milestones has 1 values, not 2"),
    ({"plateau_patience": 2**33}, "plateau_patience is 8589934592"),
    ({"seed": -1}, "seed is -1"),
])
def test_a_wrong_option_is_named(options, words, model, dataset):
    with pytest.raises((TypeError, ValueError), match=words):
        model.fit(dataset, **options)
