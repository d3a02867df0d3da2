# SPDX-License-Identifier: Apache-2.0
"""Where the package looks for the shared library, and what it says when there is none."""
from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

import libdeep

PACKAGE = pathlib.Path(libdeep.__file__).parent
LIBRARY = pathlib.Path(libdeep.library_path).resolve()
SHOW = "import libdeep; print(libdeep.library_path)"


def python(folder, code=SHOW, **environment):
    """Runs code with the package in `folder`; (exit status, standard output, standard error)."""
    kept = {name: value for name, value in os.environ.items() if name not in ("LIBDEEP_LIBRARY", "LD_LIBRARY_PATH")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder,
                          env={**kept, "PYTHONPATH": str(folder), **environment})
    return done.returncode, done.stdout.strip(), done.stderr.strip()


@pytest.fixture
def installed(tmp_path):
    """The package as pip would lay it down, without a library."""
    place = tmp_path / "site"
    shutil.copytree(PACKAGE, place / "libdeep", ignore=shutil.ignore_patterns("__pycache__"))
    return place


def make_library(path, body):
    source = path.with_suffix(".c")
    path.parent.mkdir(exist_ok=True, parents=True)
    source.write_text(body)
    subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", str(source), "-o", str(path)], check=True)
    return path


def test_the_variable_names_the_library(installed):
    assert python(installed, LIBDEEP_LIBRARY=str(LIBRARY)) == (0, str(LIBRARY), "")


def test_a_broken_variable_is_an_error_even_where_a_library_could_be_found(installed, tmp_path):
    shutil.copy(LIBRARY, installed / "libdeep.so.0")
    status, _, text = python(installed, LIBDEEP_LIBRARY=str(tmp_path / "gone.so"), LD_LIBRARY_PATH=str(installed))
    assert status == 1 and "ImportError: LIBDEEP_LIBRARY is" in text and "gone.so" in text and "No such file" in text


@pytest.mark.parametrize("place", ["libdeep/_lib", "libdeep.libs"])
def test_the_file_inside_the_wheel_is_found(installed, place):
    (installed / place).mkdir()
    shutil.copy(LIBRARY, installed / place / "libdeep.so.0")
    assert python(installed) == (0, str(installed / place / "libdeep.so.0"), "")


def test_the_build_folder_of_meson_is_found(tmp_path):
    build = tmp_path / "build"
    shutil.copytree(PACKAGE, build / "bindings" / "python" / "libdeep", ignore=shutil.ignore_patterns("__pycache__"))
    (build / "libdeep").mkdir()
    shutil.copy(LIBRARY, build / "libdeep" / "libdeep.so.0")
    assert python(build / "bindings" / "python")[0] == 1  # no build folder: nothing says that it is Meson's
    (build / "meson-private").mkdir()
    assert python(build / "bindings" / "python") == (0, str(build / "libdeep" / "libdeep.so.0"), "")


def test_the_systems_library_is_found_by_its_soname_alone(installed, tmp_path):
    system = tmp_path / "system"
    system.mkdir()
    shutil.copy(LIBRARY, system / "libdeep.so")
    assert python(installed, LD_LIBRARY_PATH=str(system))[0] == 1
    shutil.copy(LIBRARY, system / "libdeep.so.0")
    assert python(installed, LD_LIBRARY_PATH=str(system)) == (0, "libdeep.so.0", "")


def test_the_file_inside_the_wheel_comes_before_the_systems(installed, tmp_path):
    (installed / "libdeep" / "_lib").mkdir()
    for place in (installed / "libdeep" / "_lib", tmp_path):
        shutil.copy(LIBRARY, place / "libdeep.so.0")
    assert python(installed, LD_LIBRARY_PATH=str(tmp_path))[1] == str(installed / "libdeep" / "_lib" / "libdeep.so.0")


def test_a_failure_lists_every_path_and_why(installed):
    (installed / "libdeep.libs").mkdir()
    (installed / "libdeep.libs" / "libdeep.so.0").write_bytes(b"not a library")
    status, _, text = python(installed)
    lines = text[text.index("\nImportError") + 1:].splitlines()
    assert status == 1 and len(lines) == 5
    assert "LIBDEEP_LIBRARY: not set" in lines[1]
    assert lines[2].strip() == f"{installed / 'libdeep' / '_lib' / 'libdeep.so.0'}: no such file"
    assert str(installed / "libdeep.libs" / "libdeep.so.0") in lines[3] and "file too short" in lines[3]
    assert lines[4].strip().startswith("libdeep.so.0: libdeep.so.0: cannot open shared object file")


def test_another_abi_is_refused_before_anything_else_is_called(installed, tmp_path):
    path = make_library(tmp_path / "lib" / "libdeep.so.0", "int deep_abi_version(void) { return 7; }\n")
    status, _, text = python(installed, LIBDEEP_LIBRARY=str(path))
    assert status == 1 and "its ABI is 7, this package is for 0" in text


def test_an_older_library_is_named_with_the_function_that_it_lacks(installed, tmp_path):
    path = make_library(tmp_path / "lib" / "libdeep.so.0", "int deep_abi_version(void) { return 0; }\n")
    status, _, text = python(installed, LIBDEEP_LIBRARY=str(path))
    assert status == 1 and "it is older than this package: deep_" in text and "() is missing" in text


def test_a_library_that_is_not_libdeep_is_refused(installed, tmp_path):
    path = make_library(tmp_path / "lib" / "other.so", "int other(void) { return 0; }\n")
    status, _, text = python(installed, LIBDEEP_LIBRARY=str(path))
    assert status == 1 and "not libdeep" in text
