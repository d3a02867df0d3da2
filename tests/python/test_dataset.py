# SPDX-License-Identifier: Apache-2.0
"""Datasets from folders, split files, lists and memory."""
from __future__ import annotations

import gc

import numpy as np
import PIL.Image
import pytest

import libdeep
from conftest import CLASSES, TINY, coloured


def test_a_folder_per_class(folder, context):
    data = libdeep.Dataset.open(folder, context=context)
    assert len(data) == 18 and data.classes == CLASSES and data.class_sizes == [6, 6, 6] and data.bad == []
    first = data[0]
    assert (first.name, first.label, first.path) == ("alpha/00.png", 0, str(folder / "alpha" / "00.png"))
    assert data[-1] == data[17] and [sample.label for sample in data] == data.labels.tolist()
    for place in (18, -19):
        with pytest.raises(IndexError, match="of a dataset of 18"):
            data[place]


def test_a_split_file_comes_back(folder, context, tmp_path):
    data = libdeep.Dataset.open(folder, context=context)
    (tmp_path / "files").mkdir()
    data.save(tmp_path / "files" / "all.txt")
    again = libdeep.Dataset.open(tmp_path / "files" / "all.txt", images=folder)
    assert list(again) == list(data) and again.classes == data.classes


def test_splits_keep_classes_and_groups_together(folder, context):
    data = libdeep.Dataset.open(folder, group_by="([0-9])[.]png$", context=context)
    train, valid = data.split(0.3, seed=4)
    assert len(train) + len(valid) == 18 and {s.name for s in train} | {s.name for s in valid} == {s.name for s in data}
    assert not {(s.label, s.group) for s in train} & {(s.label, s.group) for s in valid}
    assert [s.name for s in data.split(0.3, seed=4)[1]] == [s.name for s in valid]


def test_bad_images_are_listed_or_refused(folder, context):
    (folder / "alpha" / "bad.png").write_bytes(b"no image")
    with pytest.raises(libdeep.DatasetError, match="bad.png"):
        libdeep.Dataset.open(folder, on_bad_image="refuse", context=context)
    data = libdeep.Dataset.open(folder, on_bad_image="keep", context=context)
    assert len(data) == 19
    for place in range(200):  # one in a hundred is tolerated
        (folder / "beta" / f"more{place}.png").write_bytes((folder / "beta" / "01.png").read_bytes())
    data = libdeep.Dataset.open(folder, context=context)
    assert len(data) == 218 and [bad.path for bad in data.bad] == [str(folder / "alpha" / "bad.png")]
    assert "neither PNG nor JPEG" in data.bad[0].reason


def test_files_with_labels_by_number_or_name(folder, context):
    paths = sorted(folder.glob("*/*.png"))
    numbers = libdeep.Dataset.from_files(paths, [CLASSES.index(path.parent.name) for path in paths], CLASSES,
                                         aphia_ids=[5, 0, 7], context=context)
    names = libdeep.Dataset.from_files([str(path) for path in paths], [path.parent.name for path in paths], CLASSES,
                                       groups=[path.stem for path in paths], context=context)
    assert numbers.labels.tolist() == names.labels.tolist() == [0] * 6 + [1] * 6 + [2] * 6
    assert numbers.aphia_ids == [5, 0, 7] and names[0].group == "00" and names[0].path == str(paths[0])


def test_images_in_memory_outlive_their_arrays_and_the_dataset_they_were_split_from(context, model):
    images, labels = coloured(18)
    expected = model.evaluate(libdeep.Dataset.from_images([i.copy() for i in images], labels, CLASSES, context=context))
    data = libdeep.Dataset.from_images(images, np.array(labels), CLASSES, context=context)
    assert data[3] == (None, "3", 0, "3")
    train, valid = data.split(0.5)
    del images, data
    gc.collect()
    filler = [np.zeros((30, 34, 3), np.uint8) for _ in range(100)]
    parts = [model.evaluate(side) for side in (train, valid)]
    assert sum(part.count for part in parts) == 18 and filler
    assert sum(part.log_loss * part.count for part in parts) / 18 == pytest.approx(expected.log_loss, rel=1e-6)


def test_memory_and_files_give_the_same_training(folder, context):
    paths = sorted(folder.glob("*/*.png"))
    labels = [path.parent.name for path in paths]
    files = libdeep.Dataset.from_files(paths, labels, CLASSES, context=context)
    memory = libdeep.Dataset.from_images([PIL.Image.open(path) for path in paths], labels, CLASSES, context=context)
    models = [libdeep.Model.create(CLASSES, **TINY, seed=1, context=context) for _ in range(2)]
    for one, data in zip(models, (files, memory)):
        one.fit(data, epochs=2, batch=6)
    assert models[0].to_bytes() == models[1].to_bytes()


@pytest.mark.parametrize("labels, options, words", [
    ([0], {}, "1 labels for 2 images"),
    ([0, 3], {}, "label 1 is 3, outside the 3 classes"),
    ([0, -1], {}, "label 1 is -1"),
    (["alpha", "delta"], {}, "label 1 is 'delta', which is not among the 3 classes"),
    ([0, 1], {"groups": ["a"]}, "1 groups for 2 images"),
    ([0, 1], {"aphia_ids": [1]}, "1 AphiaIDs for 3 classes"),
])
def test_what_does_not_fit_together_is_refused(labels, options, words, context):
    images, _ = coloured(2)
    with pytest.raises(ValueError, match=words):
        libdeep.Dataset.from_images(images, labels, CLASSES, context=context, **options)
    with pytest.raises(ValueError, match=words):
        libdeep.Dataset.from_files(["a", "b"], labels, CLASSES, context=context, **options)


def test_what_is_no_dataset_is_refused(model):
    with pytest.raises(TypeError, match="list is neither a libdeep.Dataset nor a path"):
        model.fit([1, 2])
    with pytest.raises(libdeep.NotFoundError, match="gone"):
        model.evaluate("gone")
