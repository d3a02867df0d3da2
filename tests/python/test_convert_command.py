# SPDX-License-Identifier: Apache-2.0
"""python -m libdeep convert: what it prints, and its exit statuses."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from convert_support import same_weights, tiny_model
from libdeep import Model


def run(*words, **options):
    """(status, stdout, stderr) of a call."""
    done = subprocess.run(
        [sys.executable, "-m", "libdeep", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **options,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def model():
    return tiny_model(["a", "b"])


@pytest.fixture
def source(tmp_path, model):
    model.save(tmp_path / "net.safetensors")
    return tmp_path / "net.safetensors"


def test_there_and_back(tmp_path, source, model):
    pytest.importorskip("h5py", reason="h5py is not installed")
    status, out, err = run("convert", source, tmp_path / "net.keras")
    assert status == 0 and "2 classes, 71 pixels" in out
    assert err == "note: class names and preprocessing are not in the file\n"
    (tmp_path / "classes.txt").write_text("eins\nzwei\n\n")
    (tmp_path / "ids.txt").write_text("12\nunknown\n")
    status, _, err = run(
        "convert",
        tmp_path / "net.keras",
        tmp_path / "back.safetensors",
        "--quiet",
        "--classes",
        tmp_path / "classes.txt",
        "--aphia-ids",
        tmp_path / "ids.txt",
        "--mean",
        "1,2,3",
        "--fit",
        "pad",
    )
    assert (status, err) == (0, "")
    again = Model.load(tmp_path / "back.safetensors")
    same_weights(model, again)
    assert (again.classes, again.aphia_ids, again.info.mean, again.info.fit) == (
        ["eins", "zwei"],
        [12, 0],
        (1, 2, 3),
        "pad",
    )


@pytest.mark.parametrize(
    "words, status",
    [
        ([], 2),
        (["convert"], 2),
        (["convert", "IN"], 2),
        (["convert", "IN", "out.xyz"], 2),
        (["convert", "IN", "out"], 2),
        (["convert", "IN", "out.onnx", "--layout", "timm"], 2),
        (["convert", "IN", "out.onnx", "--layout", "chwn"], 2),
        (["convert", "IN", "out.onnx", "--classes", "0"], 2),
        (["convert", "IN", "out.onnx", "--mean", "1,2"], 2),
        (["convert", "IN", "out.onnx", "--mean", "a"], 2),
        (["convert", "IN", "out.onnx", "--checkpoint", "x"], 2),
        (["convert", "IN", "out.onnx", "--batch-norm-epsilon", "2"], 2),
        (["convert", "IN", "out.onnx", "--classes", "EMPTY"], 2),
        (["convert", "TEXT", "out.keras"], 3),
        (["convert", "EMPTY", "out.keras"], 3),
        (["convert", "FOLDER", "out.keras"], 3),
        (["convert", "missing.h5", "out.keras"], 5),
        (["convert", "IN", "missing/out.safetensors"], 5),
        (["convert", "IN", "out.onnx", "--classes", "missing.txt"], 5),
        (["info", "TEXT"], 3),
        (["info", "missing"], 5),
    ],
)
def test_an_error_is_one_line_and_its_status(tmp_path, source, words, status):
    (tmp_path / "text.h5").write_text("no model\n")
    (tmp_path / "empty").write_bytes(b"")
    names = {"IN": source, "TEXT": tmp_path / "text.h5", "FOLDER": tmp_path, "EMPTY": tmp_path / "empty"}
    found, out, err = run(*(names.get(word, word) for word in words), cwd=tmp_path)
    assert found == status, err
    assert out == "" and "Traceback" not in err
    lines = err.splitlines()
    assert len(lines) == 1 or lines[0].startswith("usage:"), err
    assert not list(tmp_path.glob("*.tmp")) and not (tmp_path / "out.keras").exists()


def test_a_pipe_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "pipe.h5")
    status, _, err = run("convert", tmp_path / "pipe.h5", tmp_path / "out.keras")
    assert status == 3 and "no regular file" in err


def test_a_folder_that_is_not_there_is_named(tmp_path, source):
    status, _, err = run("convert", source, tmp_path / "nowhere" / "out.onnx", "--layout", "nhwc")
    assert status in (1, 5) and err.count("\n") == 1 and ".tmp" not in err


def test_info_describes_a_model(source):
    status, out, _ = run("info", source)
    assert status == 0 and "input_size: 71\n" in out and "class_names: a, b\n" in out
    status, out, _ = run("info")
    assert status == 0 and "library: " in out
