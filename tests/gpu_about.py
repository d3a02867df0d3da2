#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""For gpu.sh: `folders` prints where wheels of this interpreter keep NVIDIA's libraries, with colons between; `versions` which
versions of cuDNN and cuBLASLt the dynamic linker finds, one line each. Python's standard library alone."""
import ctypes
import pathlib
import sys

NAMES = ("libcudnn.so.9", "libcublasLt.so.13", "libcublasLt.so.12")


def folders():
    """nvidia-cudnn-cu13 and its like install into site-packages/nvidia/*/lib."""
    found = []
    for entry in sys.path:
        for folder in sorted(pathlib.Path(entry).glob("nvidia/*/lib")):
            if any((folder / name).exists() for name in NAMES):
                found.append(str(folder))
    return found


def version(name, function):
    try:
        ask = getattr(ctypes.CDLL(name), function)
    except (OSError, AttributeError) as error:
        return f"{name}: {error}"
    ask.restype = ctypes.c_size_t
    return f"{name}: {ask()}"


def versions():
    yield version("libcudnn.so.9", "cudnnGetVersion")
    for name in NAMES[1:]:
        yield version(name, "cublasLtGetVersion")


if __name__ == "__main__":
    if sys.argv[1:] == ["folders"]:
        print(":".join(folders()))
    elif sys.argv[1:] == ["versions"]:
        print("\n".join(versions()))
    else:
        sys.exit(f"usage: {sys.argv[0]} folders|versions")
