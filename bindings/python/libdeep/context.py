# SPDX-License-Identifier: Apache-2.0
"""Threads, device, limits and log: what everything else is made from."""

from __future__ import annotations

import ctypes
import json
import logging
import os
import threading
from typing import Any, NamedTuple

from . import _cuda
from . import _declarations as c
from ._handle import Owner, create
from ._library import library
from ._options import fill, result
from .errors import check

logger = logging.getLogger("libdeep")

_LEVELS: dict[int, int] = {
    c.Log.ERROR: logging.ERROR,
    c.Log.WARNING: logging.WARNING,
    c.Log.INFO: logging.INFO,
    c.Log.DEBUG: logging.DEBUG,
}


def _forward(user: None, level: int, line: bytes) -> None:
    logger.log(_LEVELS.get(level, logging.DEBUG), "%s", line.decode("utf-8", "backslashreplace"))


_log = c.deep_log_fn(_forward)  # one for all contexts, never freed


class Context(Owner):
    """Threads, device and limits, shared by any number of models and threads.

    `threads` compute (0 = the processors this process may run on), `device` is "auto", "cuda", "cuda:1", "cpu" or
    "ref", `isa` the highest instruction set ("auto", "baseline", "avx2", "avx512"). Log lines up to `log_level` go to
    logging.getLogger("libdeep"). The limits are those of deep_context_options, 0 being the library's own;
    `plain_launches` queues a GPU's kernels one by one, never as a CUDA graph;
    `fused_separable` makes separable convolutions of bf16 and fp16 in one kernel there: 1 where that should pay, 2 all.
    """

    def __init__(
        self,
        threads: int = 0,
        device: str = "auto",
        isa: str = "auto",
        log_level: str = "warning",
        max_pixels: int = 0,
        max_side: int = 0,
        max_decoder_bytes: int = 0,
        max_image_bytes: int = 0,
        max_model_bytes: int = 0,
        plain_launches: bool = False,
        fused_separable: int = 0,
    ) -> None:
        options = fill(
            c.deep_context_options,
            threads=threads,
            device=device,
            isa=isa,
            log_level=log_level,
            max_pixels=max_pixels,
            max_side=max_side,
            max_decoder_bytes=max_decoder_bytes,
            max_image_bytes=max_image_bytes,
            max_model_bytes=max_model_bytes,
            plain_launches=plain_launches,
            fused_separable=fused_separable,
        )
        options.log = _log
        _cuda.load(device or "auto")
        self._handle = create(
            c.deep_context, library.deep_context_free, library.deep_context_create, ctypes.byref(options)
        )

    @property
    def threads(self) -> int:
        """Threads that compute."""
        return int(library.deep_context_threads(self._live))

    @property
    def device(self) -> str:
        """The device in use: "cuda", "cuda:1", "cpu" or "ref"."""
        return str(library.deep_context_device(self._live).decode())

    def cancel(self) -> None:
        """Stops every fit and evaluation of this context at its next step with CancelledError. From any
        thread."""
        library.deep_context_cancel(self._live)

    def resume(self) -> None:
        """Withdraws cancel()."""
        library.deep_context_resume(self._live)

    def __repr__(self) -> str:
        return (
            "<libdeep.Context closed>"
            if self.closed
            else f"<libdeep.Context {self.device}, {self.threads} threads>"
        )

    def __reduce__(self) -> Any:
        raise TypeError("a libdeep.Context belongs to its process: it cannot be pickled or copied")


class Device(NamedTuple):
    """A device that Context(device=...) takes; when it is not available the description says why."""

    name: str
    description: str
    available: bool
    threads: int


def devices() -> list[Device]:
    """What can compute, the preferred one first."""
    _cuda.load("auto")
    found = []
    for index in range(library.deep_device_count()):
        device = result(c.deep_device)
        check(library.deep_device_info(index, ctypes.byref(device)))
        found.append(
            Device(device.name.decode(), device.description.decode(), bool(device.available), device.threads)
        )
    return found


def version() -> str:
    """Version of the shared library."""
    return str(library.deep_version_string().decode())


def build_info() -> dict[str, Any]:
    """What the shared library was built with."""
    info: dict[str, Any] = json.loads(library.deep_build_info())
    return info


_default: tuple[int, Context] | None = None
_default_lock = threading.Lock()


def default_context() -> Context:
    """The context of whatever is made without one; made on first use, one per process."""
    global _default
    with _default_lock:
        if _default is None or _default[0] != os.getpid() or _default[1].closed:
            _default = os.getpid(), Context()
        return _default[1]


def _unlock_after_fork() -> None:
    global _default_lock
    _default_lock = threading.Lock()


os.register_at_fork(after_in_child=_unlock_after_fork)
