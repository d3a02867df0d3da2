# SPDX-License-Identifier: Apache-2.0
"""Every example of docs/python.md and of the package's docstrings gives what the page says."""
from __future__ import annotations

import doctest
import importlib
import pathlib
import pkgutil

import numpy as np
import pytest

import libdeep
from conftest import noise

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "python.md"
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.fixture
def reader(tmp_path, monkeypatch, context):
    """The files that a reader of the page has in the working folder."""
    monkeypatch.chdir(tmp_path)
    for place in range(16):
        name = ("Copepoda", "Diatoma")[place % 2]
        pathlib.Path("images", name).mkdir(parents=True, exist_ok=True)
        image = noise(place, (32, 40, 3), (180, 20, 20) if place % 2 else (20, 180, 20))
        libdeep.Image.from_array(image, context=context).save(f"images/{name}/{place}.png")
    libdeep.Image.from_array(noise(99, (32, 40, 3), (20, 180, 20)), context=context).save("cell.png")


def test_the_page(reader):
    with np.printoptions(legacy=False):
        failed, tried = doctest.testfile(str(PAGE), module_relative=False, optionflags=FLAGS)
    assert tried > 25 and failed == 0


def test_the_page_has_no_example_outside_the_doctests():
    blocks = PAGE.read_text(encoding="utf-8").split("```python\n")[1:]
    assert blocks and all(block.startswith(">>> ") and "\n\n```" in block for block in blocks)


def test_the_docstrings(reader):
    modules = [libdeep] + [importlib.import_module(f"libdeep.{found.name}")
                           for found in pkgutil.iter_modules(libdeep.__path__) if found.name != "__main__"]
    results = [doctest.testmod(module, optionflags=FLAGS) for module in modules]
    assert len(modules) > 10 and sum(result.failed for result in results) == 0 < sum(result.attempted for result in results)
