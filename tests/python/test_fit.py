# SPDX-License-Identifier: Apache-2.0
"""Trainings: what callbacks see, what they raise, Ctrl-C, and the progress line."""
from __future__ import annotations

import io
import os
import signal
import threading
import time

import numpy as np
import pytest

import libdeep
from conftest import CLASSES, TINY, coloured, noise
from libdeep import _fit, progress


@pytest.fixture
def sides(dataset):
    return dataset.split(1 / 3, seed=1)


class Recorder:
    """Writes down what Keras's callbacks would be told."""

    def __init__(self):
        self.calls = []

    def __getattr__(self, name):
        if not name.startswith(("on_", "set_")):
            raise AttributeError(name)
        return lambda *arguments: self.calls.append((name, *arguments))

    def names(self):
        return [call[0] for call in self.calls]


def test_a_training_learns_and_tells_its_history(model, sides):
    history = model.fit(*sides, epochs=8, batch=4, learning_rate=0.01, keep_last=True)
    assert history.epoch == list(range(8)) and not history.stopped and history is model.history
    assert set(history.history) == {"loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds"}
    assert all(len(values) == 8 for values in history.history.values())
    assert history.history["loss"][-1] < history.history["loss"][0] and len(list(history)) == 8
    assert model.evaluate(sides[0]).count == 12 and "8 epochs" in repr(history)


def test_without_validation_there_are_no_such_figures(model, dataset):
    history = model.fit(dataset, epochs=1)
    assert "val_loss" not in history.history and history.best == 0


def test_the_same_seed_gives_the_same_model(context, sides):
    models = [libdeep.Model.create(CLASSES, **TINY, seed=1, context=context) for _ in range(2)]
    for one, dtype in zip(models, (0, "fp32")):  # 0 is every option's default
        one.fit(*sides, epochs=2, batch=4, seed=9, dtype=dtype)
    assert models[0].to_bytes() == models[1].to_bytes()


def test_a_folder_is_a_dataset(model, folder):
    assert model.fit(folder, epochs=1, batch=6).epoch == [0] and model.evaluate(str(folder)).count == 18


def test_keras_callbacks_are_called_in_keras_order(model, sides):
    recorder = Recorder()
    model.fit(*sides, epochs=2, batch=6, callbacks=[recorder])
    epoch = ["on_epoch_begin"] + ["on_train_batch_end"] * 2 + ["on_test_begin", "on_test_end", "on_epoch_end"]
    assert recorder.names() == ["set_params", "set_model", "on_train_begin"] + epoch * 2 + ["on_train_end"]
    ends = [call for call in recorder.calls if call[0] == "on_epoch_end"]
    assert [call[1] for call in ends] == [0, 1]
    assert ends[1][2]["val_loss"] == model.history.history["val_loss"][1]
    assert ends[1][2]["loss"] == model.history.history["loss"][1] and recorder.calls[1] == ("set_model", model)
    assert [call[1] for call in recorder.calls if call[0] == "on_train_batch_end"] == [0, 1, 0, 1]
    assert recorder.calls[0] == ("set_params", {"epochs": 2, "steps": 2, "batch_size": 6, "verbose": 0})


def test_a_function_sees_every_moment(model, sides):
    moments = []
    model.fit(*sides, epochs=1, batch=6, callbacks=[moments.append])
    assert {moment.phase for moment in moments} == set(libdeep.Phase)
    steps = [moment for moment in moments if moment.phase == libdeep.Phase.TRAIN]
    assert [(moment.step, moment.steps, moment.epoch, moment.epochs) for moment in steps] == [(1, 2, 0, 1), (2, 2, 0, 1)]
    assert steps[0].valid_loss is None and moments[-1].valid_loss == model.history.history["val_loss"][0]


def test_a_function_stops_by_returning_true(model, dataset):
    steps = []

    def third_step(moment):
        steps.append(moment.step)
        return moment.phase == libdeep.Phase.TRAIN and len(steps) >= 20

    history = model.fit(dataset, epochs=100, batch=6, callbacks=[third_step])
    assert history.stopped and len(history) < 20 and len(steps) == 20
    assert model.predict(noise(0)).indices.shape == (1, 3)


def test_only_true_stops(model, dataset):
    assert not model.fit(dataset, epochs=1, callbacks=[lambda moment: 1, lambda moment: "x"]).stopped


def test_stop_training_stops_as_in_keras(model, dataset):
    class AfterTwo:
        def set_model(self, model):
            self.model = model

        def on_epoch_end(self, epoch, logs):
            self.model.stop_training = epoch == 1

    history = model.fit(dataset, epochs=50, batch=6, callbacks=[AfterTwo()])
    assert history.stopped and history.epoch == [0, 1]
    assert not model.fit(dataset, epochs=1, batch=6).stopped


class Boom(Exception):
    pass


@pytest.mark.parametrize("kind", [Boom, KeyboardInterrupt, SystemExit])
def test_what_a_callback_raises_stops_the_fit_at_that_step_and_is_raised_again(kind, model, dataset):
    raised, calls = kind("at the fourth"), []

    def callback(moment):
        calls.append(moment)
        if moment.phase == libdeep.Phase.TRAIN and moment.epoch == 1 and moment.step == 1:
            raise raised

    with pytest.raises(kind) as caught:
        model.fit(dataset, epochs=50, batch=6, callbacks=[callback])
    assert caught.value is raised and calls[-1].epoch == 1 and calls[-1].step == 1  # not called again
    assert model.history.epoch == [0]
    before = model.to_bytes()
    model.fit(dataset, epochs=1, batch=6)
    assert model.to_bytes() != before


def test_what_is_no_callback_is_refused_before_training(model, dataset):
    before = model.to_bytes()
    with pytest.raises(TypeError, match="int is no function"):
        model.fit(dataset, callbacks=[3])
    assert model.to_bytes() == before


def interrupt(callback_of, delay=0.3):
    """Sends SIGINT to this process, as Ctrl-C does, while `callback_of` works."""
    timer = threading.Timer(delay, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    started = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            callback_of()
    finally:
        timer.join()
    return time.monotonic() - started


def test_ctrl_c_stops_a_fit_at_a_step_with_model_and_checkpoint_intact(context, dataset, tmp_path):
    handler = signal.getsignal(signal.SIGINT)
    model = libdeep.Model.create(CLASSES, **TINY, seed=1, context=context)
    took = interrupt(lambda: model.fit(dataset, epochs=100000, batch=6, checkpoint=tmp_path / "c", checkpoint_steps=1))
    assert took < 60 and signal.getsignal(signal.SIGINT) is handler
    done = len(model.history)
    assert np.isfinite(model.predict_proba(noise(0))).all() and model.params["predictions.bias"].any()
    fresh = libdeep.Model.create(CLASSES, **TINY, seed=1, context=context)
    history = fresh.fit(dataset, epochs=100000, batch=6, checkpoint=tmp_path / "c", resume=True,
                        callbacks=[lambda moment: moment.epoch > done and moment.phase == libdeep.Phase.EPOCH])
    assert history.stopped and history.epoch[:done] == list(range(done)) and len(history) > done


def test_ctrl_c_reaches_a_callback_that_never_ends(model, dataset):
    def forever(moment):
        while True:
            pass

    assert interrupt(lambda: model.fit(dataset, epochs=1, callbacks=[forever])) < 60


def test_a_handler_of_the_programs_own_is_called_at_the_next_step(model, dataset):
    seen = []
    previous = signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))
    try:
        model.fit(dataset, epochs=3, batch=6, callbacks=[
            lambda moment: os.kill(os.getpid(), signal.SIGINT) if moment.step == 1 and moment.epoch == 1 else None])
    finally:
        signal.signal(signal.SIGINT, previous)
    assert seen and len(model.history) == 3


def test_ctrl_c_stops_an_evaluation(context, model):
    images, labels = coloured(3)
    many = libdeep.Dataset.from_images(images * 20000, labels * 20000, CLASSES, context=context)
    cancelled = []

    def work():
        try:
            model.evaluate(many)
        except libdeep.CancelledError as error:
            cancelled.append(error)
            raise

    assert interrupt(lambda: model.evaluate(many)) < 60
    assert interrupt(lambda: _fit.interruptible(context, work)) < 60 and cancelled
    assert model.evaluate(libdeep.Dataset.from_images(images, labels, CLASSES, context=context)).count == 3


def test_a_fit_in_another_thread_leaves_signals_alone(model, dataset):
    handler = signal.getsignal(signal.SIGINT)
    seen = []
    worker = threading.Thread(target=lambda: model.fit(dataset, epochs=1, callbacks=[
        lambda moment: seen.append(signal.getsignal(signal.SIGINT) is handler)]))
    worker.start()
    worker.join()
    assert seen and all(seen)


def test_the_model_is_held_alone_while_it_trains(model, dataset):
    failures = []

    def callback(moment):
        try:
            model.predict(noise(0))
        except libdeep.StateError as error:
            failures.append(error)

    model.fit(dataset, epochs=1, callbacks=[callback])
    assert failures and model.predict(noise(0))


def test_the_gil_is_released(model):
    stop, ticks = threading.Event(), []

    def tick():
        while not stop.wait(0.001):
            ticks.append(time.monotonic())

    worker = threading.Thread(target=tick)
    with model.session(batch=256) as session:
        x = np.zeros((256, 71, 71, 3), np.float32)
        worker.start()
        begun = time.monotonic()
        session.run(x)  # one call of the library
        ended = time.monotonic()
    stop.set()
    worker.join()
    assert ended - begun > 0.02 and sum(begun < moment < ended for moment in ticks) > 5


def test_a_failure_of_the_library_is_raised_and_history_kept(model, context, tmp_path):
    images, labels = coloured(6)
    other = libdeep.Dataset.from_images(images, labels, ["x", "y", "z"], context=context)
    with pytest.raises(libdeep.DatasetError):
        model.fit(other)
    assert len(model.history) == 0
    with pytest.raises(libdeep.Error) as caught:
        model.fit(libdeep.Dataset.from_images(images, labels, CLASSES, context=context), epochs=1,
                  checkpoint=tmp_path / "gone" / "c")
    assert "gone" in caught.value.text


def test_the_line_shows_each_epoch(model, sides, monkeypatch):
    shown = io.StringIO()
    monkeypatch.setattr(progress.sys, "stderr", shown)
    model.fit(*sides, epochs=2, batch=6, progress=True)
    lines = shown.getvalue().splitlines()
    assert lines[-1].strip().startswith("epoch 2/2: loss ") and "val_accuracy" in lines[-1]
    assert "epoch 1/2: loss" in shown.getvalue() and "\r" in shown.getvalue()
    assert "training, loss" in shown.getvalue() and shown.getvalue().endswith("\n")


def test_nothing_is_shown_where_nobody_looks(model, sides, monkeypatch):
    shown = io.StringIO()
    monkeypatch.setattr(progress.sys, "stderr", shown)
    model.fit(*sides, epochs=1)
    model.fit(*sides, epochs=1, progress=False)
    assert shown.getvalue() == "" and not progress.wanted()
    monkeypatch.setattr(shown, "isatty", lambda: True)
    assert progress.wanted()
    monkeypatch.setattr(progress.sys, "stderr", None)  # as under pythonw
    assert not progress.wanted()


def test_a_terminal_that_goes_away_does_not_end_the_training(model, sides, monkeypatch):
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(progress.sys, "stderr", closed)
    assert model.fit(*sides, epochs=2, progress=True).epoch == [0, 1]


def test_the_line_does_without_block_characters(monkeypatch):
    class Ascii(io.StringIO):
        def write(self, text):
            text.encode("ascii")
            return super().write(text)

    shown = Ascii()
    line = progress.Line(shown)
    line.show(progress.Progress(libdeep.Phase.TRAIN, 0, 3, 5, 10, 0.5, 0.25, None, None, 1e-3, 100.0, 3700.0))
    line.close()
    assert "##########.......... 5/10 training" in shown.getvalue() and "1:01:40 left" in shown.getvalue()


def test_interrupts_outside_the_callbacks_wait():
    previous = signal.getsignal(signal.SIGINT)
    with _fit.Interrupt() as held:
        os.kill(os.getpid(), signal.SIGINT)
        assert held.seen is not None and held.seen[0] == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            held.deliver()
        held.deliver()
    assert signal.getsignal(signal.SIGINT) is previous
