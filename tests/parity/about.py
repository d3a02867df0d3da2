# SPDX-License-Identifier: Apache-2.0
"""Versions and machine of a parity report, for the interpreter that runs this: about.py PACKAGE..."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata

FLAGS = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile")


def instruction_sets() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            flags = next((line for line in file if line.startswith(("flags", "Features"))), "").split()
    except OSError:
        flags = []
    return ", ".join(flag for flag in FLAGS if flag in flags) or "unknown"


def main() -> None:
    for package in sys.argv[1:]:
        try:
            print(f"| {package} | {metadata.version(package)} |")
        except metadata.PackageNotFoundError:
            pass
    if "libdeep" in sys.argv:
        import libdeep

        print(f"| libdeep | {libdeep.__version__} |")
        print(f"| Python | {platform.python_version()} |")
        print(f"| machine | {platform.machine()}, {os.cpu_count()} CPUs, {instruction_sets()} |")


if __name__ == "__main__":
    main()
