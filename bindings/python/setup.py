# SPDX-License-Identifier: Apache-2.0
"""Builds the package without a compiler. With libdeep/_lib/libdeep.so.0 in place the wheel is one for this platform and any
Python 3 (scripts/make-wheels.sh); without it, one for every platform, which finds the system's library."""
import pathlib
import re
import subprocess
import sys
import tempfile

from setuptools import Distribution, setup
from setuptools.command.build_py import build_py

try:
    from setuptools.command.bdist_wheel import bdist_wheel
except ImportError:  # before setuptools 70
    from wheel.bdist_wheel import bdist_wheel

HERE = pathlib.Path(__file__).resolve().parent
TABLE = HERE / "libdeep" / "_declarations.py"
LIBRARY = HERE / "libdeep" / "_lib" / "libdeep.so.0"
GENERATOR = HERE.parent.parent / "scripts" / "make-declarations.py"


def declarations() -> str:
    """The table of the public headers: as the build made it, or made now from a source tree."""
    if TABLE.exists():
        return TABLE.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        made = pathlib.Path(folder) / TABLE.name
        subprocess.run([sys.executable, str(GENERATOR), str(made)], check=True)
        return made.read_text(encoding="utf-8")


def version(text: str) -> str:
    return ".".join(re.search(rf"^VERSION_{part} = (\d+)$", text, re.M).group(1)
                    for part in ("MAJOR", "MINOR", "PATCH"))


class BuildWithTable(build_py):
    def run(self):
        super().run()
        target = pathlib.Path(self.build_lib) / "libdeep" / TABLE.name
        target.write_text(declarations(), encoding="utf-8")


class AnyPython(bdist_wheel):
    def get_tag(self):
        _, _, platform = super().get_tag()
        return "py3", "none", platform


class PlatformIfLibrary(Distribution):
    def has_ext_modules(self):
        return LIBRARY.exists()


setup(version=version(declarations()), distclass=PlatformIfLibrary,
      cmdclass={"build_py": BuildWithTable, "bdist_wheel": AnyPython})
