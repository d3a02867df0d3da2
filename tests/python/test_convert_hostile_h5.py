# SPDX-License-Identifier: Apache-2.0
"""HDF5 files that reach outside themselves, lie about sizes, or are damaged in their structure."""

from __future__ import annotations

import pathlib
import struct
import time

import numpy as np
import pytest

h5py = pytest.importorskip("h5py", reason="h5py is not installed")

from convert_support import network_of, refused, same_weights, tiny_model, weights_h5
from libdeep import convert

KERNEL = "block1_conv1/block1_conv1/kernel:0"
SHAPE = (3, 3, 3, 8)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A sound file's bytes."""
    path = tmp_path_factory.mktemp("h5") / "net.h5"
    convert.save(tiny_model(), path)
    return path.read_bytes()


@pytest.fixture
def path(tmp_path, whole):
    (tmp_path / "net.h5").write_bytes(whole)
    return tmp_path / "net.h5"


def replace_kernel(file, **options):
    """A data set in the kernel's place."""
    del file[KERNEL]
    return file.create_dataset(KERNEL, **{"shape": SHAPE, "dtype": "f4", **options})


def external_storage(file, path):
    (path.parent / "secret").write_bytes(bytes(4096))
    replace_kernel(file, external=[(str(path.parent / "secret"), 0, 4096)])


def virtual(file, path):
    layout = h5py.VirtualLayout(SHAPE, "f4")
    layout[...] = h5py.VirtualSource(str(path.parent / "other.h5"), "x", SHAPE)
    del file[KERNEL]
    file.create_virtual_dataset(KERNEL, layout)


def soft_link(file, path):
    del file[KERNEL]
    file[KERNEL] = h5py.SoftLink("/block1_conv2/block1_conv2/kernel:0")


def external_link(file, path):
    del file["block1_conv1"]
    file["block1_conv1"] = h5py.ExternalLink(str(path.parent / "other.h5"), "/")


def unused_external_link(file, path):
    file["unused"] = h5py.ExternalLink("/etc/passwd", "/")


def bomb(file, path):
    """A gigabyte of zeros in some thousand bytes; the channels are those of a huge network."""
    del file["block7_sepconv2/block7_sepconv2/pointwise_kernel:0"]
    file.create_dataset(
        "block7_sepconv2/block7_sepconv2/pointwise_kernel:0",
        (1, 1, 16384, 16384),
        "f4",
        chunks=(1, 1, 128, 16384),
        compression="gzip",
        fillvalue=0,
    )


def unallocated(file, path):
    """A terabyte declared, nothing stored."""
    del file["predictions/predictions/kernel:0"]
    file.create_dataset("predictions/predictions/kernel:0", (2**20, 2**18), "f4", chunks=(1024, 1024))


def loop(file, path):
    file["block1_conv1/again"] = file["/"]


def deep(file, path):
    file.create_group("/".join("g" * 40))


def named_type(file, path):
    file["type"] = np.dtype("f4")


def attribute(group, name, value):
    def change(file, path):
        file[group].attrs[name] = value

    return change


def compact(file, path):
    """Sound: data inside the object's header."""
    del file[KERNEL]
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_layout(h5py.h5d.COMPACT)
    space = h5py.h5s.create_simple(SHAPE)
    dataset = h5py.h5d.create(
        file["block1_conv1/block1_conv1"].id, b"kernel:0", h5py.h5t.IEEE_F32LE, space, properties
    )
    dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, np.full(SHAPE, 0.5, "f4"))


STRUCTURE = {
    "external storage": (external_storage, ["kernel:0", "external storage"]),
    "virtual data set": (virtual, ["kernel:0", "virtual"]),
    "soft link": (soft_link, ["kernel:0", "soft link"]),
    "external link": (external_link, ["block1_conv1", "external link"]),
    "external link that nothing uses": (unused_external_link, ["unused", "external link"]),
    "deflate bomb": (bomb, ["block7_sepconv2", "channels"]),
    "a terabyte declared": (unallocated, ["262144 classes"]),
    "a loop of hard links": (loop, ["twice"]),
    "nested 40 deep": (deep, ["deeper than 32"]),
    "a named type": (named_type, ["type", "Datatype"]),
    "another shape": (lambda file, path: replace_kernel(file, shape=(3, 3, 3, 16)), ["channels"]),
    "channels against the rest": (
        lambda file, path: replace_kernel(file, shape=(3, 3, 4, 8)),
        ["kernel:0", "shape"],
    ),
    "rank 32": (lambda file, path: replace_kernel(file, shape=(1,) * 32), ["block1_conv1"]),
    "a scalar": (lambda file, path: replace_kernel(file, shape=(), data=1.0), ["block1_conv1"]),
    "an empty data set": (lambda file, path: replace_kernel(file, shape=(3, 3, 3, 0)), ["block1_conv1"]),
    "no data space": (
        lambda file, path: replace_kernel(file, shape=None, data=h5py.Empty("f4")),
        ["block1_conv1"],
    ),
    "double precision": (
        lambda file, path: replace_kernel(file, data=np.ones(SHAPE), dtype="f8"),
        ["kernel:0", "float64"],
    ),
    "whole numbers": (
        lambda file, path: replace_kernel(file, data=np.ones(SHAPE, int), dtype="i8"),
        ["kernel:0", "int64"],
    ),
    "text": (lambda file, path: replace_kernel(file, data=np.full(SHAPE, b"x"), dtype="S4"), ["kernel:0"]),
    "records": (
        lambda file, path: replace_kernel(file, data=np.zeros(SHAPE, "f4,f4"), dtype="f4,f4"),
        ["kernel:0"],
    ),
    "lists of any length": (
        lambda file, path: replace_kernel(file, dtype=h5py.vlen_dtype("f4")),
        ["kernel:0"],
    ),
    "references": (lambda file, path: replace_kernel(file, dtype=h5py.ref_dtype), ["kernel:0"]),
    "nothing stored": (lambda file, path: replace_kernel(file), ["kernel:0", "stores none"]),
    "not a number": (
        lambda file, path: replace_kernel(file, data=np.full(SHAPE, np.nan, "f4")),
        ["kernel", "nan"],
    ),
    "negative variance": (
        lambda file, path: file["block1_conv1_bn/block1_conv1_bn/moving_variance:0"].__setitem__(0, -1),
        ["moving_variance", "-1"],
    ),
    "no layer_names": (lambda file, path: file.attrs.__delitem__("layer_names"), ["layers"]),
    "layer_names of numbers": (attribute("/", "layer_names", [1, 2]), ["layer_names"]),
    "layer_names twice": (attribute("/", "layer_names", [b"block1_conv1"] * 2), ["twice"]),
    "layer_names of nothing": (attribute("/", "layer_names", [b"nothing"]), ["nothing"]),
    "layer_names that climb": (attribute("/", "layer_names", [b"../etc"]), ["../etc"]),
    "layer_names not UTF-8": (attribute("/", "layer_names", np.array([b"\xff\xfe"])), ["layer_names"]),
    "a name of a megabyte": (attribute("/", "layer_names", [b"x" * 10**6]), ["layer_names"]),
    "weight_names of nothing": (
        attribute("block1_conv1", "weight_names", [b"kernel:0"]),
        ["block1_conv1/kernel:0"],
    ),
    "weight_names of another layer": (
        attribute("block1_conv1", "weight_names", [b"../block1_conv2/block1_conv2/kernel:0"]),
        ["block1_conv1"],
    ),
    "a weight more": (
        attribute("block1_conv1", "weight_names", [KERNEL[13:].encode()] * 2),
        ["block1_conv1"],
    ),
    "a layer more": (
        lambda file, path: (
            file.copy("block1_conv1", "block99_conv1"),
            file.attrs.__setitem__("layer_names", [*file.attrs["layer_names"], "block99_conv1"]),
        ),
        ["missing"],
    ),
    "three shortcuts": (
        lambda file, path: file.attrs.__setitem__(
            "layer_names", [name for name in file.attrs["layer_names"] if name != "conv2d_3"]
        ),
        ["3 conv layers"],
    ),
}


@pytest.mark.parametrize("case", STRUCTURE)
def test_hostile_structures_are_refused_by_name(path, case):
    change, words = STRUCTURE[case]
    with h5py.File(path, "r+") as file:
        change(file, path)
    refused(path, *words, input_size=71)


def test_a_data_set_of_the_right_shape_that_unpacks_without_end(path, monkeypatch):
    """Constant tensors of less than a megabyte may compress as well as they like; here the bound is 0."""
    name = "block7_sepconv2/block7_sepconv2/pointwise_kernel:0"
    with h5py.File(path, "r+") as file:
        shape = file[name].shape
        del file[name]
        file.create_dataset(
            name, data=np.zeros(shape, "f4"), chunks=shape, compression="gzip", compression_opts=9
        )
    assert not convert.load(path, input_size=71).params["block7_sepconv2.pointwise_kernel"].any()
    monkeypatch.setattr("libdeep.convert.hdf5.EXPANSION_FLOOR", 0)
    refused(path, "pointwise_kernel", "100-fold", input_size=71)


def test_more_objects_than_any_model_has(path, monkeypatch):
    monkeypatch.setattr("libdeep.convert.hdf5.MAX_OBJECTS", 500)
    with h5py.File(path, "r+") as file:
        for number in range(501):
            file.create_group(f"many/{number}")
    refused(path, "500 objects", input_size=71)


def test_the_name_of_a_numbered_layer_that_is_no_text(tmp_path):
    (tmp_path / "net.weights.h5").write_bytes(weights_h5(network_of(tiny_model())))
    with h5py.File(tmp_path / "net.weights.h5", "r+") as file:
        file["layers/conv2d/vars"].attrs["name"] = 3.5
    refused(tmp_path / "net.weights.h5", "name", input_size=71)


def test_data_in_the_header_are_read(path):
    with h5py.File(path, "r+") as file:
        compact(file, path)
    assert (convert.load(path, input_size=71).params["block1_conv1.kernel"] == 0.5).all()


def test_a_filter_that_would_be_loaded_as_code(path):
    """The number of the filter is changed in the file, as no such plugin can be had here."""
    with h5py.File(path, "r+") as file:
        replace_kernel(file, data=np.ones(SHAPE, "f4"), chunks=SHAPE, fletcher32=True)
    data = bytearray(path.read_bytes())
    message = data.index(struct.pack("<BB6xH", 1, 1, 3))  # filter pipeline: version 1, one filter, number 3
    struct.pack_into("<H", data, message + 8, 32004)
    path.write_bytes(data)
    refused(path, "filter 32004", input_size=71)


# Damage below what h5py can write


def superblock(offset, value):
    """Bytes 13 and 14 are the sizes of offsets and lengths."""

    def change(data):
        data[offset] = value
        return data

    return change


def node_of_tree(data):
    return data.index(b"TREE")


def tree_loops(data):
    """The first B-tree node is its own child."""
    place = node_of_tree(data)
    struct.pack_into("<Q", data, place + 32, place)
    return data


def tree_sibling(data):
    """... and its own neighbour on both sides."""
    place = node_of_tree(data)
    struct.pack_into("<QQ", data, place + 8, place, place)
    return data


def poke(signature, offset, form, value):
    def change(data):
        struct.pack_into(form, data, data.index(signature) + offset, value)
        return data

    return change


def each(signature, offset, form, value):
    """In every place."""

    def change(data):
        place = -1
        while (place := data.find(signature, place + 1)) >= 0:
            struct.pack_into(form, data, place + offset, value)
        return data

    return change


def trees_crossed(data):
    """Each node's first child is the first node."""
    return each(b"TREE", 32, "<Q", node_of_tree(data))(data)


DAMAGE = {
    "signature in no place": lambda data: b"\0" * 100 + bytes(data),
    "signature alone": lambda data: data[:8],
    "offsets of 1 byte": superblock(13, 1),
    "offsets of 3 bytes": superblock(13, 3),
    "offsets of 16 bytes": superblock(13, 16),
    "lengths of 1 byte": superblock(14, 1),
    "superblock of version 9": superblock(8, 9),
    "end of file beyond the file": lambda data: data[:40] + struct.pack("<Q", 2**40) + data[48:],
    "root group elsewhere": lambda data: data[:64] + struct.pack("<Q", 2**33) + data[72:],
    "tree that is its own child": tree_loops,
    "tree that is its own neighbour": tree_sibling,
    "trees across": trees_crossed,
    "tree of another level": poke(b"TREE", 5, "<B", 7),
    "tree of 65535 entries": poke(b"TREE", 6, "<H", 65535),
    "tree of another kind": each(b"TREE", 4, "<B", 1),
    "symbols beyond the node": each(b"SNOD", 6, "<H", 65535),
    "symbols of another version": each(b"SNOD", 4, "<B", 9),
    "heap longer than the file": poke(b"HEAP", 8, "<Q", 2**40),
    "heap data elsewhere": poke(b"HEAP", 24, "<Q", 2**40),
    "free list of a heap in itself": poke(b"HEAP", 16, "<Q", 8),
    "global heap of size 0": each(b"GCOL", 8, "<Q", 0),
    "global heap of 2^40": each(b"GCOL", 8, "<Q", 2**40),
    "global heap too long": each(b"GCOL", 8, "<Q", 18176),
    "text of size 0": each(b"GCOL", 24, "<Q", 0),
    "text longer than its heap": each(b"GCOL", 24, "<Q", 2**31),
    "text of 2^63": each(b"GCOL", 24, "<Q", 2**63),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damaged_files_end_in_one_line_and_soon(path, case):
    path.write_bytes(bytes(DAMAGE[case](bytearray(path.read_bytes()))))
    started = time.monotonic()
    refused(path, input_size=71)
    assert time.monotonic() - started < 60


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9, 0.999])
def test_truncated_files_are_refused(path, share):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    refused(path, input_size=71)


def test_a_signature_behind_a_user_block_is_found(tmp_path, whole):
    with (
        h5py.File(tmp_path / "net.h5", "w", userblock_size=1024) as file,
        h5py.File(pathlib.Path(tmp_path / "o.h5"), "w"),
    ):
        file.attrs["layer_names"] = [b"none"]
    refused(tmp_path / "net.h5", "none")


def test_changed_bytes_never_end_in_a_traceback(path):
    data, random = path.read_bytes(), np.random.default_rng(5)
    outcomes = []
    for _ in range(25):
        changed = bytearray(data)
        for place in random.integers(0, 20_000, 4):  # the front of the file is mostly structure
            changed[place] = random.integers(0, 256)
        path.write_bytes(changed)
        try:
            convert.load(path, input_size=71)
            outcomes.append("taken")
        except convert.ConvertError as error:
            assert "\n" not in str(error)
            outcomes.append("refused")
    assert "refused" in outcomes


def test_reading_without_a_second_process(path, monkeypatch):
    """Python inside another program may have no interpreter to start."""
    monkeypatch.setattr("sys.executable", "")
    same_weights(tiny_model(), convert.load(path, input_size=71))
