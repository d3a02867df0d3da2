# SPDX-License-Identifier: Apache-2.0
"""Labelled images: a folder per class, a split file, lists of files, or images in memory."""

from __future__ import annotations

import ctypes
import os
from typing import Any, Iterable, NamedTuple, Sequence, Union

import numpy as np
import numpy.typing as npt

from . import _declarations as c
from ._handle import Handle, Owner, create
from ._library import library
from ._options import fill, text
from .context import Context, default_context
from .errors import check
from .image import ImageLike, as_image, each


class Sample(NamedTuple):
    """One image of a dataset. `name` is the path as a split file has it; an image in memory has a number for
    a name, and no path."""

    path: str | None
    name: str
    label: int
    group: str


class BadImage(NamedTuple):
    """An image that was left out because it cannot be decoded."""

    path: str
    reason: str


def texts(what: str, values: Iterable[Any], convert: Any = None) -> Any:
    """An array of C strings."""
    encoded = [text(what, value if convert is None else convert(value)) for value in values]
    return (ctypes.c_char_p * len(encoded))(*encoded)


def make_classes(names: Sequence[str], aphia_ids: Sequence[int] | None, context: Context) -> Handle:
    """The library's table of class names."""
    if isinstance(names, (str, bytes)):
        raise TypeError("classes is one text; a list of names is wanted")
    names = [str(name) for name in names]
    ids = None
    if aphia_ids is not None:
        if len(aphia_ids) != len(names):
            raise ValueError(f"{len(aphia_ids)} AphiaIDs for {len(names)} classes")
        ids = (ctypes.c_int64 * len(names))(*(int(number or 0) for number in aphia_ids))
    return create(
        c.deep_classes,
        library.deep_classes_free,
        library.deep_classes_create,
        context._live,
        texts("class name", names),
        ids,
        len(names),
        keep=(context._live,),
    )


def make_labels(labels: Iterable[Any], classes: Sequence[str]) -> npt.NDArray[np.int32]:
    """Class numbers; a label may be a number or a name."""
    places = {name: place for place, name in enumerate(classes)}
    numbers = []
    for place, label in enumerate(labels):
        if isinstance(label, str):
            if label not in places:
                raise ValueError(f"label {place} is {label!r}, which is not among the {len(classes)} classes")
            numbers.append(places[label])
        else:
            numbers.append(label.__index__())
    for place, number in enumerate(numbers):
        if not 0 <= number < len(classes):
            raise ValueError(f"label {place} is {number}, outside the {len(classes)} classes")
    return np.array(numbers, np.int32)


class Dataset(Owner):
    """A list of labelled images, which does not change. One thread at a time.

    len(dataset) images; dataset[i] is a Sample.
    """

    def __init__(self, handle: Handle, context: Context) -> None:
        self._handle = handle
        self.context = context

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        images: str | os.PathLike[str] | None = None,
        classes: str | os.PathLike[str] | None = None,
        group_by: str | None = None,
        manifest: str | os.PathLike[str] | None = None,
        manifest_column: str | None = None,
        on_bad_image: str = "skip",
        threads: int = 0,
        context: Context | None = None,
    ) -> Dataset:
        """Opens a folder with one folder per class, or a split file ("path label" on each line).

        `images` is the root of a split file's paths, `classes` a file of class names, `group_by` a regular
        expression whose first group names an image's group (images of one group stay on one side of a split),
        `manifest` and `manifest_column` the same from a table. Every file is decoded once: on_bad_image is
        "skip", "refuse" or "keep".
        """
        context = context or default_context()
        options = fill(
            c.deep_dataset_options,
            images=images,
            classes=classes,
            group_by=group_by,
            manifest=manifest,
            manifest_column=manifest_column,
            on_bad_image=on_bad_image,
            threads=threads,
        )
        name = os.fsencode(path)
        return cls(
            create(
                c.deep_dataset,
                library.deep_dataset_free,
                library.deep_dataset_open,
                context._live,
                name,
                ctypes.byref(options),
                keep=(context._live,),
                path=name,
            ),
            context,
        )

    @classmethod
    def from_files(
        cls,
        paths: Sequence[str | os.PathLike[str]],
        labels: Sequence[int | str],
        classes: Sequence[str],
        *,
        aphia_ids: Sequence[int] | None = None,
        groups: Sequence[str] | None = None,
        on_bad_image: str = "skip",
        threads: int = 0,
        context: Context | None = None,
    ) -> Dataset:
        """A dataset of image files, in their order; a label is a class's number or name."""
        context = context or default_context()
        options = fill(c.deep_dataset_options, on_bad_image=on_bad_image, threads=threads)
        numbers = _matching("labels", make_labels(labels, classes), len(paths))
        table = make_classes(classes, aphia_ids, context)
        return cls(
            create(
                c.deep_dataset,
                library.deep_dataset_free,
                library.deep_dataset_create,
                context._live,
                texts("path", paths, os.fsencode),
                _int32(numbers),
                _groups(groups, len(paths)),
                len(paths),
                table,
                ctypes.byref(options),
                keep=(context._live,),
            ),
            context,
        )

    @classmethod
    def from_images(
        cls,
        images: Sequence[ImageLike] | npt.NDArray[Any],
        labels: Sequence[int | str] | npt.NDArray[Any],
        classes: Sequence[str],
        *,
        aphia_ids: Sequence[int] | None = None,
        groups: Sequence[str] | None = None,
        context: Context | None = None,
    ) -> Dataset:
        """A dataset of images in memory: arrays, Pillow images, or files, which are decoded now and kept."""
        context = context or default_context()
        held = [as_image(image, context)._live for image in each(images)]
        numbers = _matching("labels", make_labels(labels, classes), len(held))
        table = make_classes(classes, aphia_ids, context)
        pointers = (ctypes.POINTER(c.deep_image) * len(held))(*(handle._as_parameter_ for handle in held))
        return cls(
            create(
                c.deep_dataset,
                library.deep_dataset_free,
                library.deep_dataset_create_images,
                context._live,
                pointers,
                _int32(numbers),
                _groups(groups, len(held)),
                len(held),
                table,
                keep=(context._live, held),
            ),
            context,
        )

    def split(self, fraction: float, seed: int = 0) -> tuple[Dataset, Dataset]:
        """Two datasets; `fraction` of each class, as near as the groups allow, goes to the second."""
        options = fill(c.deep_split_options, seed=seed)
        sides = [ctypes.POINTER(c.deep_dataset)() for _ in range(2)]
        owner = self._live
        check(
            library.deep_dataset_split(
                ctypes.byref(sides[0]), ctypes.byref(sides[1]), owner, fraction, ctypes.byref(options)
            )
        )
        first, second = (
            Dataset(Handle(side, library.deep_dataset_free, owner), self.context) for side in sides
        )
        return first, second

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a split file, with classes.txt and aphia_ids.txt beside it."""
        name = os.fsencode(path)
        check(library.deep_dataset_save(self._live, name), name)

    def __len__(self) -> int:
        return int(library.deep_dataset_size(self._live))

    def __getitem__(self, index: int) -> Sample:
        size, place = len(self), index.__index__()
        place += size if place < 0 else 0
        if not 0 <= place < size:
            raise IndexError(f"image {index} of a dataset of {size}")
        owner = self._live
        path = library.deep_dataset_path(owner, place)
        return Sample(
            None if path is None else os.fsdecode(path),
            os.fsdecode(library.deep_dataset_name(owner, place)),
            library.deep_dataset_label(owner, place),
            os.fsdecode(library.deep_dataset_group(owner, place)),
        )

    @property
    def labels(self) -> npt.NDArray[np.int32]:
        """The class of each image."""
        owner = self._live
        return np.array([library.deep_dataset_label(owner, place) for place in range(len(self))], np.int32)

    @property
    def classes(self) -> list[str]:
        """Names, in the order of the labels."""
        table = library.deep_dataset_classes(self._live)
        return [
            library.deep_classes_name(table, place).decode()
            for place in range(library.deep_classes_count(table))
        ]

    @property
    def aphia_ids(self) -> list[int]:
        """WoRMS AphiaIDs, 0 where unknown."""
        table = library.deep_dataset_classes(self._live)
        return [
            library.deep_classes_aphia_id(table, place) for place in range(library.deep_classes_count(table))
        ]

    @property
    def class_sizes(self) -> list[int]:
        """Images of each class."""
        owner = self._live
        return [library.deep_dataset_class_size(owner, place) for place in range(len(self.classes))]

    @property
    def bad(self) -> list[BadImage]:
        """Images that were left out, and why."""
        owner = self._live
        return [
            BadImage(
                os.fsdecode(library.deep_dataset_bad_path(owner, place)),
                library.deep_dataset_bad_reason(owner, place).decode("utf-8", "backslashreplace"),
            )
            for place in range(library.deep_dataset_bad_count(owner))
        ]

    def __repr__(self) -> str:
        return (
            "<libdeep.Dataset closed>"
            if self.closed
            else f"<libdeep.Dataset {len(self)} images of {len(self.classes)} classes>"
        )

    def __reduce__(self) -> Any:
        raise TypeError(
            "a libdeep.Dataset cannot be pickled or copied: open it again, or save() it as a split file"
        )


DatasetLike = Union[Dataset, str, "os.PathLike[str]"]


def as_dataset(source: DatasetLike, context: Context) -> Dataset:
    """A dataset, or the path of one."""
    if isinstance(source, Dataset):
        return source
    if isinstance(source, (str, os.PathLike)):
        return Dataset.open(source, context=context)
    raise TypeError(
        f"{type(source).__name__} is neither a libdeep.Dataset nor a path; Dataset.from_images() takes arrays"
    )


def _int32(values: npt.NDArray[np.int32]) -> Any:
    return values.ctypes.data_as(ctypes.POINTER(ctypes.c_int32))


def _matching(what: str, values: npt.NDArray[np.int32], count: int) -> npt.NDArray[np.int32]:
    if len(values) != count:
        raise ValueError(f"{len(values)} {what} for {count} images")
    return values


def _groups(groups: Sequence[str] | None, count: int) -> Any:
    if groups is None:
        return None
    if len(groups) != count:
        raise ValueError(f"{len(groups)} groups for {count} images")
    return texts("group", groups)
