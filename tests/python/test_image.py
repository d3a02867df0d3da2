# SPDX-License-Identifier: Apache-2.0
"""Images in and out: which are copied, which are not, and what is refused."""
from __future__ import annotations

import gc
import io
import pickle

import numpy as np
import PIL.Image
import pytest

import libdeep
from conftest import noise
from libdeep.image import as_image, each


def png(array):
    buffer = io.BytesIO()
    PIL.Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


def sources(array, path):
    """The same image as everything that stands for one."""
    path.write_bytes(png(array))
    with PIL.Image.open(path) as opened:
        opened.load()
    return {
        "str": str(path), "path": path, "bytes": png(array), "bytearray": bytearray(png(array)),
        "memoryview": memoryview(png(array)), "array": array, "array over a buffer": memoryview(array),
        "fortran": np.asfortranarray(array), "reversed": array[::-1][::-1].copy()[:, ::-1][:, ::-1],
        "Pillow file": opened, "Pillow array": PIL.Image.fromarray(array), "Image": libdeep.Image.from_array(array),
    }


@pytest.mark.parametrize("shape", [(40, 50, 3), (40, 50), (1, 1, 3), (3, 1), (1, 7, 3), (5, 3, 3)])
def test_whatever_stands_for_an_image_gives_the_same_pixels(shape, context, tmp_path):
    array = noise(1, shape)
    for name, source in sources(array, tmp_path / "image.png").items():
        pixels = as_image(source, context).to_array()
        assert pixels.dtype == np.uint8 and np.array_equal(pixels, array.reshape(*array.shape[:2], -1)), name


@pytest.mark.parametrize("array", [noise(2), noise(2, (9, 8)), noise(2, (9, 8, 1)), noise(2)[5:20, 7:30], noise(2)[::2]],
                         ids=["rgb", "grey", "one channel", "crop", "every other row"])
def test_packed_rows_of_uint8_are_used_in_place(array, context):
    image = libdeep.Image.from_array(array, context=context)
    assert np.shares_memory(image.view(), array)
    array[0, 0] = 77
    assert (image.view()[0, 0] == 77).all()


@pytest.mark.parametrize("array", [noise(2)[:, ::2], noise(2)[::-1], np.asfortranarray(noise(2)), noise(2, (9, 8, 4)),
                                   noise(2)[:, :, ::-1], noise(2, (9, 8)).astype(np.uint16)],
                         ids=["columns", "upside down", "fortran", "alpha", "channels", "uint16"])
def test_the_rest_is_copied(array, context):
    image = libdeep.Image.from_array(array, context=context)
    assert not np.shares_memory(image.view(), array)


def test_an_image_keeps_the_pixels_and_an_array_keeps_the_image(context):
    array = noise(3)
    expected = array.copy()
    image = libdeep.Image.from_array(array, context=context)
    del array
    gc.collect()
    pixels = image.view()
    image.close()
    del image
    gc.collect()
    filler = [np.full(expected.shape, 255, np.uint8) for _ in range(50)]
    assert np.array_equal(pixels, expected) and filler


def test_a_view_is_read_only_and_a_copy_is_ones_own(context):
    image = libdeep.Image.decode(png(noise(4)), context=context)
    with pytest.raises(ValueError):
        image.view()[0] = 0
    copied = image.to_array()
    copied[:] = 0
    assert image.view().any() and np.asarray(image).base is not None
    assert np.asarray(image, dtype=np.float32).dtype == np.float32


def test_sixteen_bit_grey_becomes_eight(context):
    array = np.array([[0, 128, 65535], [257, 514, 32768]], np.uint16)
    pixels = libdeep.Image.from_array(array, context=context).to_array()[:, :, 0]
    assert np.abs(pixels.astype(float) - array / 257).max() <= 1
    assert np.array_equal(pixels, as_image(PIL.Image.fromarray(array), context).to_array()[:, :, 0])


def test_alpha_is_dropped_and_bgr_is_turned(context):
    array = noise(5, (9, 8, 4))
    assert np.array_equal(libdeep.Image.from_array(array, context=context).to_array(), array[:, :, :3])
    turned = libdeep.Image.from_array(array[:, :, :3], order="bgr", context=context).to_array()
    assert np.array_equal(turned, array[:, :, 2::-1])


@pytest.mark.parametrize("mode, expected", [("1", "L"), ("LA", "L"), ("P", "RGB"), ("RGBA", "RGB")])
def test_pillow_modes_that_have_pixels_of_eight_bits(mode, expected, context):
    source = PIL.Image.fromarray(noise(6)).convert(mode)
    assert np.array_equal(np.squeeze(as_image(source, context).to_array()), np.asarray(source.convert(expected)))


@pytest.mark.parametrize("source, kind, words", [
    (PIL.Image.new("CMYK", (4, 4)), TypeError, "mode 'CMYK'"),
    (PIL.Image.new("F", (4, 4)), TypeError, "mode 'F'"),
    (np.zeros((4, 4, 3), np.float32), TypeError, "float32: uint8 is wanted"),
    (np.zeros((4, 4), bool), TypeError, "bool: uint8 is wanted"),
    (np.zeros((4, 4), ">u2"), TypeError, "byte order"),
    (np.zeros((4, 4, 2), np.uint8), ValueError, "of 2 channels"),
    (np.zeros((4, 4, 3), np.uint16), ValueError, "uint16 pixels of 3 channels"),
    (np.zeros(4, np.uint8), ValueError, r"shape \(4,\) is not an image"),
    (np.zeros((2, 4, 4, 3), np.uint8), ValueError, "is not an image"),
    (np.zeros((0, 4, 3), np.uint8), libdeep.InvalidArgumentError, "0"),
    (12, TypeError, "int is not an image"),
    (None, TypeError, "NoneType is not an image"),
    (b"", libdeep.TruncatedError, "0 bytes"),
])
def test_what_is_no_image_is_refused_with_the_reason(source, kind, words, context):
    with pytest.raises(kind, match=words):
        as_image(source, context)


class Foreign:
    """An array of a library that speaks DLPack and nothing else."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **wishes):
        return self.array.__dlpack__(**wishes)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


def test_arrays_of_other_libraries_are_images(context):
    array = noise(12)
    assert np.shares_memory(as_image(Foreign(array), context).view(), array)


def test_each_takes_one_image_or_many(tmp_path):
    image = noise(7)
    count = {"path": "a.png", "bytes": b"x", "array": image, "grey": image[:, :, 0], "Pillow": PIL.Image.fromarray(image)}
    assert {name: len(list(each(source))) for name, source in count.items()} == dict.fromkeys(count, 1)
    many = [np.stack([image, image]), [image, image], (image for _ in range(2)), np.array(["a.png", "b.png"]),
            np.array(["a.png", b"x"], object)]
    assert [len(list(each(source))) for source in many] == [2] * len(many)


def test_resize_fit_turn_give_new_images(context):
    image = libdeep.Image.from_array(noise(8, (20, 30, 3)), context=context)
    assert image.resize(10, 15, "area").shape == (15, 10, 3) and image.shape == (20, 30, 3)
    assert image.fit(12, fit="pad").shape == (12, 12, 3)
    assert np.array_equal(image.turn(1).to_array(), np.rot90(image.to_array()))
    assert np.array_equal(image.turn(0, mirror=True).to_array(), image.to_array()[:, ::-1])


def test_png_round_trip_through_file_bytes_and_pickle(context, tmp_path):
    image = libdeep.Image.from_array(noise(9), context=context)
    image.save(tmp_path / "a.png")
    for other in (libdeep.Image.load(tmp_path / "a.png"), libdeep.Image.decode(image.to_png()),
                  pickle.loads(pickle.dumps(image))):
        assert np.array_equal(other.to_array(), image.to_array())
    assert np.array_equal(np.asarray(PIL.Image.open(tmp_path / "a.png")), noise(9))


def test_channels_are_converted_on_request(context):
    assert libdeep.Image.decode(png(noise(10)), channels=1, context=context).shape == (40, 50, 1)
    assert libdeep.Image.decode(png(noise(10, (4, 5))), channels=3, context=context).shape == (4, 5, 3)


def test_a_closed_image_says_so(context):
    with libdeep.Image.from_array(noise(11), context=context) as image:
        assert repr(image) == "<libdeep.Image 50 x 40 x 3>"
    with pytest.raises(libdeep.StateError, match="this Image is closed"):
        image.view()
