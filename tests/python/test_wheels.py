# SPDX-License-Identifier: Apache-2.0
"""Both wheels, installed into empty virtual environments, train and predict. DEEP_BUILD names the build folder."""
import os
import pathlib
import re
import subprocess
import sys
import zipfile

import pytest

import libdeep

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = os.environ.get("DEEP_BUILD")

PROGRAM = """
import pathlib, sys
import numpy as np
import libdeep

noise = np.random.default_rng(0)
for name, channel in (("red", 0), ("green", 1)):
    pathlib.Path("set", name).mkdir(parents=True)
    for number in range(6):
        pixels = noise.integers(0, 40, (20, 22, 3)).astype(np.uint8)
        pixels[..., channel] += 200
        libdeep.Image.from_array(pixels).save(f"set/{name}/{number}.png")
data = libdeep.Dataset.open("set")
model = libdeep.Model.create(data.classes, architecture="xception-small", width=0.1, middle_blocks=1, input_size=71)
model.fit(data, epochs=4, batch=6, progress=False)
model.save("model.safetensors")
print(libdeep.library_path)
print(libdeep.Model.load("model.safetensors").predict("set/red/0.png", top=1)[0][0].name)
"""


def sanitised() -> bool:
    return "asan" in os.environ.get("LD_PRELOAD", "")


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """The paths of the wheel for every platform and of the one for this platform."""
    if not BUILD:
        pytest.skip("DEEP_BUILD is not set to the build folder")
    if sanitised():
        pytest.skip("a sanitised library does not stand alone")
    pytest.importorskip("auditwheel", reason="auditwheel is not installed")
    out = tmp_path_factory.mktemp("wheels")
    made = subprocess.run([SOURCE / "scripts" / "make-wheels.sh", BUILD, out], env={**os.environ, "PYTHON": sys.executable},
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8")
    assert made.returncode == 0, made.stdout
    by_tag = {re.search(r"py3-none-(any|manylinux)", path.name).group(1): path for path in out.glob("*.whl")}
    assert sorted(by_tag) == ["any", "manylinux"], made.stdout
    return by_tag


def run_in_a_fresh_environment(wheel, folder, environment):
    """Installs the wheel with nothing but numpy, and runs the program there, away from the source tree."""
    python = folder / "venv" / "bin" / "python"
    work = folder / "work"
    work.mkdir()
    clean = {name: value for name, value in os.environ.items()
             if name not in ("PYTHONPATH", "LIBDEEP_LIBRARY", "LD_LIBRARY_PATH", "PYTHONHOME")}
    clean.update(environment, OMP_WAIT_POLICY="passive")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    installed = subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel], env=clean,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8")
    if installed.returncode != 0 and "No matching distribution found for numpy" in installed.stdout:
        pytest.skip("pip reaches no package index: " + installed.stdout.splitlines()[-1])
    assert installed.returncode == 0, installed.stdout
    result = subprocess.run([python, "-c", PROGRAM], cwd=work, env=clean, capture_output=True, encoding="utf-8")
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


def test_the_wheel_for_this_platform_brings_its_library(wheels, tmp_path):
    path, name = run_in_a_fresh_environment(wheels["manylinux"], tmp_path, {})
    assert pathlib.Path(path).is_relative_to(tmp_path / "venv")
    assert name == "red"


def test_the_wheel_for_every_platform_uses_the_systems_library(wheels, tmp_path):
    subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", tmp_path / "root"], check=True)
    folder = next((tmp_path / "root").rglob("libdeep.so.0")).parent
    path, name = run_in_a_fresh_environment(wheels["any"], tmp_path, {"LD_LIBRARY_PATH": str(folder)})
    assert path == "libdeep.so.0"
    assert name == "red"


def test_the_wheels_hold_what_they_must_and_nothing_else(wheels):
    for tag, wheel in wheels.items():
        names = zipfile.ZipFile(wheel).namelist()
        assert "libdeep/_declarations.py" in names
        assert "libdeep/py.typed" in names
        assert any(name.endswith("LICENSE") for name in names)
        assert not [name for name in names if "__pycache__" in name or name.endswith(".build")]
        carried = [name for name in names if ".so" in name]
        if tag == "any":
            assert carried == []
            continue
        assert "libdeep/_lib/libdeep.so.0" in carried
        has_plugin = (pathlib.Path(BUILD) / "libdeep" / "libdeep-cuda.so").exists()
        assert ("libdeep/_lib/libdeep-cuda.so" in carried) == has_plugin
        for private in (name for name in carried if name.startswith("libdeep.libs/")):
            library = re.match(r"libdeep\.libs/(lib[A-Za-z]+)", private).group(1).lower()
            assert any(library in name.lower() for name in names if "licenses/" in name), private


def test_the_version_is_the_librarys(wheels):
    for wheel in wheels.values():
        assert wheel.name.startswith(f"libdeep-{libdeep.__version__}-")
