# SPDX-License-Identifier: Apache-2.0
"""NVIDIA's libraries out of the wheels of libdeep[cuda], for the GPU plugin.

The plugin asks the dynamic linker for them by name, and the linker knows nothing of site-packages. A library that is loaded
already answers to its name, so those that are found here are loaded by their path before a device is asked for.
"""

from __future__ import annotations

import ctypes
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

DRIVER = "libcuda.so.1"
LIBRARIES = (("libcublasLt.so.13", "libcublasLt.so.12"), ("libcudnn.so.9",))  # one of each; cuDNN uses cuBLASLt

_Open = Callable[..., Any]
_logger = logging.getLogger("libdeep")


def folders() -> Iterator[Path]:
    """Where NVIDIA's wheels put libraries: site-packages/nvidia/*/lib."""
    for entry in sys.path:
        yield from sorted(Path(entry).glob("nvidia/*/lib"))


def _opens(open_library: _Open, file: str, mode: int = ctypes.DEFAULT_MODE) -> bool:
    try:
        open_library(file, mode=mode)
    except OSError as error:
        _logger.debug("%s is not loaded: %s", file, error)
        return False
    return True


def _load_one(open_library: _Open, names: tuple[str, ...]) -> None:
    for name in names:
        if _opens(open_library, name, os.RTLD_NOW | os.RTLD_NOLOAD):
            return  # the host's own, such as PyTorch's
    for name in names:
        for folder in folders():
            if (folder / name).is_file() and _opens(open_library, str(folder / name)):
                return


def load(device: str, open_library: _Open = ctypes.CDLL) -> None:
    """Before a context on `device` is made; nothing where that is no GPU, or there is no driver."""
    if not device.startswith(("auto", "cuda")) or not _opens(open_library, DRIVER):
        return
    for names in LIBRARIES:
        _load_one(open_library, names)
