# SPDX-License-Identifier: Apache-2.0
"""The fit loop seen from Python: callbacks, what they raise, and Ctrl-C."""

from __future__ import annotations

import ctypes
import signal
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Callable, Iterable, TypeVar, Union

from . import _declarations as c
from . import progress as display
from ._handle import Handle
from ._library import library
from .context import Context
from .dataset import Dataset
from .errors import check
from .metrics import History
from .progress import Progress, moment

if TYPE_CHECKING:
    from .model import Model

# An object with any of Keras's methods (on_epoch_end(epoch, logs), ...), or a function of a Progress, which
# stops the fit by returning True.
Callback = Union[Callable[[Progress], Any], Any]

_Result = TypeVar("_Result")


class Interrupt:
    """Holds Ctrl-C back while the library computes, so that a fit ends at a step and not inside one.

    Python delivers a signal in the main thread at the next line of Python. That would be the first one of the
    progress callback, outside of any `try`, where ctypes could only print what was raised.
    """

    def __init__(self) -> None:
        self.seen: tuple[int, Any] | None = None
        self.listening = False  # the callbacks of the program are running: there an exception is caught
        self._previous: Any = None

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            previous = signal.getsignal(signal.SIGINT)
            if callable(previous):
                self._previous = previous
                signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)

    def _note(self, number: int, frame: Any) -> None:
        if self.listening:
            self._previous(number, frame)
        else:
            self.seen = number, frame

    def deliver(self) -> None:
        """Does what the signal would have done."""
        if self.seen is not None:
            seen, self.seen = self.seen, None
            self._previous(*seen)


def interruptible(context: Context, function: Callable[[], _Result]) -> _Result:
    """Calls a function of this context that the library can only be asked from outside to stop.

    Ctrl-C reaches the main thread when it runs Python, so there the function runs in a thread of its own.
    """
    if threading.current_thread() is not threading.main_thread():
        return function()
    outcome: Future[_Result] = Future()

    def work() -> None:
        try:
            outcome.set_result(function())
        except BaseException as raised:
            outcome.set_exception(raised)

    worker = threading.Thread(target=work, name="libdeep")
    worker.start()
    try:
        return outcome.result()
    except KeyboardInterrupt:
        context.cancel()
        try:
            worker.join()
        finally:
            context.resume()
        raise


class Callbacks:
    """Turns the library's moments into the calls that Keras's callbacks know."""

    def __init__(self, callbacks: Iterable[Callback], model: Model, line: display.Line | None) -> None:
        self.objects: list[Any] = []
        self.functions: list[Callable[[Progress], Any]] = []
        self.model = model
        self.line = line
        self._epoch: int | None = None
        self._validating = False
        for callback in callbacks:
            if any(
                hasattr(callback, name) for name in ("on_epoch_end", "on_train_begin", "on_train_batch_end")
            ):
                self.objects.append(callback)
            elif callable(callback):
                self.functions.append(callback)
            else:
                raise TypeError(
                    f"{type(callback).__name__} is no function and has no method of Keras's callbacks"
                )

    def call(self, method: str, *arguments: Any) -> None:
        for callback in self.objects:
            function = getattr(callback, method, None)
            if function is not None:
                function(*arguments)

    def begin(self, parameters: dict[str, Any]) -> None:
        self.model.stop_training = False
        for callback in self.objects:
            if hasattr(callback, "set_params"):
                callback.set_params(parameters)
            if hasattr(callback, "set_model"):
                callback.set_model(self.model)
        self.call("on_train_begin", {})

    def tell(self, now: Progress) -> bool:
        """Passes a moment on; True when the fit is to stop."""
        if self.line is not None:
            self.line.show(now)
        if now.phase == c.Phase.TRAIN:
            self._train_step(now)
        elif now.phase == c.Phase.EVALUATE and not self._validating:
            self._validating = True
            self.call("on_test_begin", {})
        elif now.phase == c.Phase.EPOCH:
            if self._validating:
                self.call("on_test_end", {"loss": now.valid_loss, "accuracy": now.valid_accuracy})
            self._validating = False
            self.call("on_epoch_end", now.epoch, now.logs())
        stops = [function(now) is True for function in self.functions]
        return any(stops) or bool(self.model.stop_training)

    def _train_step(self, now: Progress) -> None:
        if now.epoch != self._epoch:
            self._epoch = now.epoch
            self.call("on_epoch_begin", now.epoch, {})
        self.call("on_train_batch_end", now.step - 1, now.logs())


class Watch:
    """The progress callback of one fit, and what came of it."""

    def __init__(self, callbacks: Callbacks, interrupt: Interrupt) -> None:
        self.callbacks = callbacks
        self.interrupt = interrupt
        self.raised: BaseException | None = None
        self.stopped = False

    def __call__(self, user: None, struct: Any) -> int:
        try:
            self.interrupt.listening = True
            self.interrupt.deliver()
            self.stopped = self.callbacks.tell(moment(struct.contents))
            self.interrupt.listening = False
        except BaseException as raised:  # ctypes would print and forget it
            self.interrupt.listening = False
            self.raised = raised
        return int(self.stopped or self.raised is not None)


def run(
    model: Model,
    train: Dataset,
    valid: Dataset | None,
    options: Any,
    callbacks: Iterable[Callback],
    progress: bool | None,
) -> History:
    """Trains; the model's `history` has what was reached, also when this raises."""
    shown = display.wanted() if progress is None else progress
    line = display.Line() if shown else None
    told = Callbacks(callbacks, model, line)
    epochs, batch = options.epochs or 15, options.batch or 16  # the library's defaults
    steps = -(-len(train) // batch)
    told.begin({"epochs": epochs, "steps": steps, "batch_size": batch, "verbose": int(shown)})
    rows = ctypes.POINTER(c.deep_history)()
    with Interrupt() as interrupt:
        watch = Watch(told, interrupt)
        report = c.deep_progress_fn(watch)
        status = library.deep_model_fit(
            model._live,
            train._live,
            None if valid is None else valid._live,
            ctypes.byref(options),
            report,
            None,
            ctypes.byref(rows),
        )
        text = library.deep_last_error()
    if line is not None:
        line.close()
    model.history = History._read(Handle(rows, library.deep_history_free), watch.stopped)
    if watch.raised is not None:
        raise watch.raised
    interrupt.deliver()
    if not (watch.stopped and status == c.Status.ERROR_CANCELLED):
        check(status, options.checkpoint if status == c.Status.ERROR_IO else None, text)
    told.call("on_train_end", {name: values[-1] for name, values in model.history.history.items()})
    return model.history
