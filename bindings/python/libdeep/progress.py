# SPDX-License-Identifier: Apache-2.0
"""A training's moments as Python objects, and the line that shows them on a terminal or in a notebook."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import Any, NamedTuple

from ._declarations import Phase
from .metrics import logs

REDRAW = 0.1  # seconds between two looks of the line
PHASES = {
    Phase.PREPARE: "looking at images",
    Phase.TRAIN: "training",
    Phase.EVALUATE: "validating",
    Phase.EPOCH: "done",
}


class Progress(NamedTuple):
    """Where a fit stands. `phase` is a Phase, `epoch` counts from 0, `step` from 1 within the phase; loss and
    accuracy are means over the epoch so far; the valid figures are None before a validation; `seconds_left`
    is 0 when unknown.
    """

    phase: Phase
    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    accuracy: float
    valid_loss: float | None
    valid_accuracy: float | None
    learning_rate: float
    images_per_second: float
    seconds_left: float

    @property
    def has_valid(self) -> bool:
        return self.valid_loss is not None

    def logs(self) -> dict[str, float]:
        """The figures under Keras's names."""
        return logs(self)


def moment(struct: Any) -> Progress:
    """A Progress from the library's struct."""
    valid = bool(struct.has_valid)
    return Progress(
        Phase(struct.phase),
        struct.epoch - 1,
        struct.epochs,
        struct.step,
        struct.steps,
        struct.loss,
        struct.accuracy,
        struct.valid_loss if valid else None,
        struct.valid_accuracy if valid else None,
        struct.learning_rate,
        struct.images_per_second,
        struct.seconds_left,
    )


def in_notebook() -> bool:
    """Whether a Jupyter kernel runs this."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return type(shell).__name__ == "ZMQInteractiveShell"


def wanted() -> bool:
    """Whether somebody is looking."""
    return in_notebook() or bool(sys.stderr is not None and sys.stderr.isatty())


def bar(done: int, total: int, width: int = 20) -> str:
    filled = width * done // total if total else 0
    return "█" * filled + "·" * (width - filled)


def duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"


class Line:
    """One line per epoch, redrawn in place."""

    def __init__(self, stream: Any = None) -> None:
        usual = sys.stdout if in_notebook() else sys.stderr  # notebooks show stderr as an alarm
        self.stream = usual if stream is None else stream
        self._drawn, self._width = 0.0, 0

    def show(self, now: Progress) -> None:
        if now.phase == Phase.EPOCH:
            self._write(self._epoch(now), end="\n")
        elif time.monotonic() - self._drawn >= REDRAW or now.step == now.steps:
            self._write(self._moment(now))

    def close(self) -> None:
        """Leaves an unfinished line where it is."""
        if self._width:
            self._put("\n")
        self._width = 0

    def _moment(self, now: Progress) -> str:
        done = f"{bar(now.step, now.steps)} {now.step}/{now.steps} {PHASES[now.phase]}"
        if now.phase == Phase.PREPARE:
            return done
        text = f"epoch {now.epoch + 1}/{now.epochs} {done}"
        if now.phase == Phase.TRAIN:
            text += (
                f", loss {now.loss:.4f}, accuracy {now.accuracy:.4f}, {now.images_per_second:.1f} images/s"
            )
            text += f", {duration(now.seconds_left)} left" if now.seconds_left else ""
        return text

    def _epoch(self, now: Progress) -> str:
        figures = ", ".join(f"{name} {value:.4g}" for name, value in now.logs().items())
        return f"epoch {now.epoch + 1}/{now.epochs}: {figures}"

    def _write(self, text: str, end: str = "") -> None:
        self._put("\r" + text.ljust(self._width) + end)
        self._drawn, self._width = time.monotonic(), 0 if end else len(text)

    def _put(self, text: str) -> None:
        """Writes; a terminal that has gone away is no reason to end a training."""
        with contextlib.suppress(OSError, ValueError):
            try:
                self.stream.write(text)
            except UnicodeEncodeError:
                self.stream.write(text.replace("█", "#").replace("·", "."))
            self.stream.flush()
