# SPDX-License-Identifier: Apache-2.0
"""Run folders of the existing service."""

from __future__ import annotations

import json
import os
import pathlib
import shutil

import pytest

pytest.importorskip("h5py", reason="h5py is not installed")

from convert_support import network_of, refused, same_weights, tiny_model, write_full_h5
from libdeep import convert

MEAN = [142.34101527548236] * 3
CLASSES = ["Actinoptychus", "Bacillariophyceae", "Ciliophora"]


@pytest.fixture
def model():
    return tiny_model(head="service", input_size=100)


@pytest.fixture
def run(tmp_path, model):
    """A run folder as the service writes it."""
    folder = tmp_path / "2026-11-23_044708"
    for name in ("conf", "ckpts", "dataset_files"):
        (folder / name).mkdir(parents=True)
    configure(
        folder,
        {
            "model": {"image_size": 100, "modelname": "Xception", "num_classes": 3, "preprocess_mode": "tf"},
            "dataset": {"mean_RGB": MEAN, "std_RGB": [45.5] * 3},
            "testing": {"ckpt_name": None},
        },
    )
    convert.save(model, folder / "ckpts" / "best_model.keras")
    (folder / "dataset_files" / "classes.txt").write_text("\n".join(CLASSES) + "\n")
    (folder / "dataset_files" / "aphia_ids.txt").write_text("148944\r\nunknown\r\n11\r\n")
    return folder


def configure(folder, changes):
    path = folder / "conf" / "conf.json"
    configuration = json.loads(path.read_text()) if path.exists() else {}
    for name, values in changes.items():
        configuration.setdefault(name, {}).update(values)
    path.write_text(json.dumps(configuration, indent=4))


def test_a_run_becomes_one_file(tmp_path, run, model):
    done = convert.convert(run, tmp_path / "net.safetensors")
    again = convert.load(tmp_path / "net.safetensors")
    same_weights(model, again)
    assert done.source == "run-folder" and done.notes == []
    assert again.classes == CLASSES and again.aphia_ids == [148944, 0, 11]
    info = again.info
    assert (info.input_size, info.preprocess, info.head, info.filter, info.fit) == (
        100,
        "tf",
        "service",
        "bilinear",
        "squash",
    )
    assert info.mean == pytest.approx(MEAN) and info.std == pytest.approx([45.5] * 3)
    assert again.metadata["user"]["converted"]["checkpoint"] == "best_model.keras"


@pytest.mark.parametrize(
    "files, configured, asked, expected",
    [
        (["best_model.keras", "final_model.keras"], None, None, "best_model.keras"),
        (["a.keras", "b.keras", "z.h5"], None, None, "b.keras"),
        (["epoch-01.h5", "final_model.h5"], "", None, "final_model.h5"),
        (["best_model.keras", "final_model.h5"], "final_model.h5", None, "final_model.h5"),
        (["best_model.keras", "final_model.h5"], "final_model.h5", "best_model.keras", "best_model.keras"),
    ],
)
def test_the_checkpoint_that_the_service_would_take(run, model, files, configured, asked, expected):
    (run / "ckpts" / "best_model.keras").unlink()
    for name in files:
        if name.endswith(".h5"):
            write_full_h5(run / "ckpts" / name, network_of(model))
        else:
            convert.save(model, run / "ckpts" / name)
    configure(run, {"testing": {"ckpt_name": configured}})
    again = convert.load(run, **({"checkpoint": asked} if asked else {}))
    assert again.metadata["user"]["converted"]["checkpoint"] == expected
    same_weights(model, again)


def test_a_run_without_lists_has_numbered_classes(run):
    shutil.rmtree(run / "dataset_files")
    assert convert.load(run).classes == ["0", "1", "2"]


def test_text_about_classes_is_kept(run):
    (run / "dataset_files" / "info.txt").write_text("one\ntwo\nthree\n")
    assert convert.load(run).metadata["user"]["converted"]["info"] == ["one", "two", "three"]


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"model": {"modelname": "EfficientNetV2B0"}}, ["modelname", "EfficientNetV2B0"]),
        ({"model": {"num_classes": 4}}, ["num_classes is 4", "3"]),
        ({"model": {"image_size": "big"}}, ["image_size"]),
        ({"model": {"image_size": 30}}, ["30"]),
        ({"model": {"preprocess_mode": "TF"}}, ["preprocess_mode"]),
        ({"dataset": {"mean_RGB": None}}, ["mean_RGB"]),
        ({"dataset": {"mean_RGB": [1, 2]}}, ["mean_RGB"]),
        ({"dataset": {"mean_RGB": [1, 2, "3"]}}, ["mean_RGB"]),
        ({"dataset": {"std_RGB": [0, 1, 1]}}, ["std_RGB"]),
        ({"testing": {"ckpt_name": "other.keras"}}, ["other.keras", "best_model.keras"]),
        ({"testing": {"ckpt_name": "../../etc/passwd"}}, ["passwd", "no name of a file"]),
        ({"testing": {"ckpt_name": 3}}, ["3"]),
    ],
)
def test_a_configuration_that_does_not_fit(run, changes, words):
    configure(run, changes)
    refused(run, *words)


@pytest.mark.parametrize(
    "name, content, words",
    [
        ("conf/conf.json", b"{", ["conf.json"]),
        ("conf/conf.json", b'{"a":1,"a":2}', ["twice"]),
        ("conf/conf.json", b"[" * 10**5, ["nested"]),
        ("conf/conf.json", b'{"model": 3}', ["model"]),
        ("conf/conf.json", b'{"model": NaN}', ["NaN"]),
        ("dataset_files/classes.txt", b"a\nb\n", ["2 class names for 3"]),
        ("dataset_files/classes.txt", b"\xff\xfe\n", ["classes.txt"]),
        ("dataset_files/classes.txt", b"a\n\0\nc\n", ["line 2"]),
        ("dataset_files/classes.txt", b"a\n" + b"x" * 10**6 + b"\nc\n", ["line 2"]),
        ("dataset_files/aphia_ids.txt", b"1\n", ["1 AphiaIDs for 3"]),
    ],
)
def test_malformed_files_of_a_run(run, name, content, words):
    (run / name).write_bytes(content)
    refused(run, *words)


def test_a_pipe_in_place_of_a_list_does_not_block(run):
    (run / "dataset_files" / "classes.txt").unlink()
    os.mkfifo(run / "dataset_files" / "classes.txt")
    refused(run, "no regular file")


def test_no_checkpoint(run):
    (run / "ckpts" / "best_model.keras").unlink()
    refused(run, "neither a .keras nor a .h5")


def test_other_folders_are_refused(tmp_path):
    refused(tmp_path, "no run folder")
    (tmp_path / "saved_model.pb").write_bytes(b"x")
    refused(tmp_path, "SavedModel")


def test_the_recorded_run(tmp_path):
    """The run folder that the service wrote, with a checkpoint of the right form put in."""
    data = os.environ.get("DEEP_TEST_DATA")
    if not data:
        pytest.skip("DEEP_TEST_DATA is not set")
    folder = tmp_path / "run"
    shutil.copytree(pathlib.Path(data) / "reference_run" / "run", folder)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    (folder / "ckpts").mkdir()
    convert.save(tiny_model(6, head="service", input_size=100), folder / "ckpts" / "best_model.keras")
    again = convert.load(folder)
    assert again.classes == (folder / "dataset_files" / "classes.txt").read_text().split()
    assert again.info.mean == pytest.approx([142.34101527548236] * 3) and again.info.input_size == 100
