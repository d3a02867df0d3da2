# SPDX-License-Identifier: Apache-2.0
"""NVIDIA's libraries are found in the wheels of libdeep[cuda], and left alone where a host has loaded its own."""
from __future__ import annotations

import os
import sys

import pytest

from libdeep import _cuda

NO_LOAD = os.RTLD_NOW | os.RTLD_NOLOAD


class Linker:
    """In the place of ctypes.CDLL: what it can open by name, what is loaded already, what was opened by path."""

    def __init__(self, known=(_cuda.DRIVER,), loaded=(), broken=()):
        self.known, self.loaded, self.broken, self.opened = known, loaded, broken, []

    def __call__(self, file, mode=0):
        if "/" in file and file not in self.broken:
            self.opened.append(file)
        elif not (file in self.loaded if mode == NO_LOAD else file in self.known):
            raise OSError(f"{file}: cannot open")


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Paths in two folders of sys.path, by name; the second has what the first lacks, and another cuDNN."""
    places = {"cudnn": "first/nvidia/cudnn/lib/libcudnn.so.9", "later": "second/nvidia/cudnn/lib/libcudnn.so.9",
              "lt": "second/nvidia/cu13/lib/libcublasLt.so.13"}
    for place in places.values():
        (tmp_path / place).parent.mkdir(parents=True)
        (tmp_path / place).touch()
    monkeypatch.setattr(sys, "path", [str(tmp_path / "first"), str(tmp_path / "none"), str(tmp_path / "second")])
    return {name: str(tmp_path / place) for name, place in places.items()}


@pytest.mark.parametrize("device", ["auto", "cuda", "cuda:1"])
def test_the_first_of_each_is_loaded_cublaslt_before_cudnn(files, device):
    linker = Linker()
    _cuda.load(device, linker)
    assert linker.opened == [files["lt"], files["cudnn"]]


def test_one_that_does_not_open_gives_way_to_the_next(files):
    linker = Linker(broken=(files["cudnn"],))
    _cuda.load("cuda", linker)
    assert linker.opened == [files["lt"], files["later"]]


def test_what_the_host_has_loaded_stays(files):
    linker = Linker(loaded=("libcublasLt.so.12",))
    _cuda.load("cuda", linker)
    assert linker.opened == [files["cudnn"]]


def test_nothing_is_loaded_without_a_driver_or_for_the_processor(files):
    for device, linker in (("auto", Linker(known=())), ("cpu", Linker()), ("ref", Linker())):
        _cuda.load(device, linker)
        assert linker.opened == []


def test_nothing_is_loaded_where_there_is_nothing(monkeypatch, tmp_path):
    linker = Linker()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    _cuda.load("cuda", linker)
    assert linker.opened == []
