# SPDX-License-Identifier: Apache-2.0
"""Threads, forks, spawned workers, and the end of the interpreter. What forks or ends runs in a process of its own."""
from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import libdeep
from conftest import noise

HEAD = """
import multiprocessing, os, sys, time
import numpy as np
import libdeep

IMAGE = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)


def create(context=None):
    return libdeep.Model.create(["a", "b"], architecture="xception-small", width=0.05, middle_blocks=1, input_size=71,
                                context=context or libdeep.Context(threads=2))


def in_child(function):
    '''Calls function in a fork of this process; what it returned, as text.'''
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            answer = function()
        except BaseException as error:
            answer = f"{type(error).__name__} {getattr(error, 'status', '')}"
        os.write(write, str(answer).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        answer = pipe.read()
    return answer, os.waitpid(child, 0)[1]
"""


def run(tmp_path, code, **options):
    """Runs a program; its standard output, after checking that it ended well and complained about nothing."""
    (tmp_path / "program.py").write_text(HEAD + textwrap.dedent(code))
    # Python 3.12 and later warn when a process with threads forks; that is what these programs are about.
    quiet = ["-W", "ignore:This process:DeprecationWarning"]
    done = subprocess.run([sys.executable, "-X", "faulthandler", *quiet, str(tmp_path / "program.py")],
                          capture_output=True, text=True, timeout=120, **options)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout.split("\n")[:-1]


def test_threads_share_a_model(model):
    images = [noise(place, (25 + place, 30, 3)) for place in range(24)]
    alone = np.concatenate([model.predict_proba(image) for image in images])
    with ThreadPoolExecutor(6) as pool:
        for _ in range(3):
            together = np.concatenate(list(pool.map(model.predict_proba, images)))
            assert np.array_equal(alone, together)


def test_threads_have_sessions_of_their_own(model):
    x = np.random.default_rng(1).uniform(-1, 1, (8, 71, 71, 3)).astype(np.float32)

    def one(place):
        with model.session() as session:
            return session.run(x[place:place + 1])

    with ThreadPoolExecutor(4) as pool, model.session() as session:
        assert np.array_equal(np.concatenate(list(pool.map(one, range(8)))), session.run(x))


def test_closing_in_one_thread_waits_for_the_call_in_another(context):
    from conftest import TINY

    for _ in range(5):
        model = libdeep.Model.create(3, **TINY, context=context)
        with ThreadPoolExecutor(1) as pool:
            batch = pool.submit(model.predict_proba, [noise(place) for place in range(40)])
            model.close()
            try:
                assert np.isfinite(batch.result()).all()
            except libdeep.StateError as error:
                assert "closed" in str(error)


def test_each_thread_has_its_own_error_text(context, tmp_path):
    def fail(place):
        try:
            libdeep.Image.load(tmp_path / f"gone-{place}.png", context=context)
        except libdeep.NotFoundError as error:
            return f"gone-{place}.png" in error.text and error.path == str(tmp_path / f"gone-{place}.png")

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(fail, range(400)))


def test_a_child_forked_before_the_first_computation_may_compute(tmp_path):
    assert run(tmp_path, """
        print(*in_child(lambda: create().predict_proba(IMAGE).shape))
        print(create().predict_proba(IMAGE).shape)
    """) == ["(1, 2) 0", "(1, 2)"]


def test_a_child_may_not_use_the_objects_of_its_parent(tmp_path):
    assert run(tmp_path, """
        context = libdeep.default_context()
        model = create(context)
        image = libdeep.Image.from_array(IMAGE)
        for use in (lambda: model.predict(IMAGE), model.copy, model.session, lambda: image.resize(3, 3),
                    lambda: model.fit(libdeep.Dataset.from_images([IMAGE], [0], ["a", "b"], context=context))):
            print(*in_child(use))
    """) == ["ForkedError DEEP_ERROR_FORKED 0"] * 5


def test_a_child_of_a_process_that_has_computed_is_told_so(tmp_path):
    assert run(tmp_path, """
        model = create(libdeep.default_context())
        model.predict(IMAGE)
        print(*in_child(lambda: model.predict(IMAGE)))
        print(*in_child(libdeep.Context))
        print(*in_child(libdeep.default_context))
        print(model.predict(IMAGE).indices.shape)
    """) == ["ForkedError DEEP_ERROR_FORKED 0"] * 3 + ["(1, 2)"]


def test_the_default_context_is_one_per_process(tmp_path):
    assert run(tmp_path, """
        mine = libdeep.default_context()
        assert libdeep.default_context() is mine
        print(*in_child(lambda: libdeep.default_context() is not mine and create(libdeep.default_context()).info.classes))
    """) == ["2 0"]


def test_the_error_travels_through_multiprocessing_fork(tmp_path):
    assert run(tmp_path, """
        model = create()
        model.predict(IMAGE)

        def work(place):
            return model.predict(IMAGE).names[0]

        with multiprocessing.get_context("fork").Pool(1) as pool:
            try:
                pool.map(work, [0])
            except libdeep.ForkedError as error:
                print(type(error).__name__, error.status)
    """) == ["ForkedError DEEP_ERROR_FORKED"]


def test_spawned_workers_get_the_model_as_a_pickle(tmp_path):
    assert run(tmp_path, """
        def work(model, image):
            return model.predict_proba(image)

        if __name__ == "__main__":
            model = create()
            expected = model.predict_proba(IMAGE)
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                print(np.abs(pool.apply(work, (model, IMAGE)) - expected).max() < 1e-6)
    """) == ["True"]


@pytest.mark.parametrize("end", ["", "sys.exit(0)", "raise SystemExit", "del context", "import gc; gc.disable()"])
def test_the_interpreter_ends_quietly_whatever_is_alive(end, tmp_path):
    assert run(tmp_path, """
        import threading
        context = libdeep.Context(threads=1)
        model = create(context)
        image = libdeep.Image.from_array(IMAGE, context=context)
        pixels, tensor = image.view(), libdeep.Tensor.zeros((3,))
        shared = np.from_dlpack(tensor)
        dataset = libdeep.Dataset.from_images([IMAGE, IMAGE], [0, 1], ["a", "b"], context=context)
        metrics, session = model.evaluate(dataset), model.session()
        trained = create()
        trainer = trained.trainer(batch=1)
        trainer.compute_gradients(np.zeros((1, 71, 71, 3), np.float32), [0])
        gradient = trainer.gradients["predictions.bias"]
        session.cycle = [session, model, trainer]

        class Late:
            def __del__(self, model=model):
                model.close()

        late = Late()
        print("end")
    """ + "\n        " + end) == ["end"]


def test_a_fit_may_be_under_way_in_a_thread_when_the_program_ends(tmp_path):
    assert run(tmp_path, """
        import threading
        model = create()
        dataset = libdeep.Dataset.from_images([IMAGE] * 8, [0, 1] * 4, ["a", "b"])
        started = threading.Event()
        worker = threading.Thread(target=model.fit, args=(dataset,), kwargs={
            "epochs": 20, "batch": 2, "callbacks": [lambda moment: started.set()]})
        worker.start()
        started.wait()
        print("end")
    """) == ["end"]


def test_importing_is_quiet_and_changes_nothing(tmp_path):
    assert run(tmp_path, """
        import signal, threading
        print(threading.active_count(), signal.getsignal(signal.SIGINT) is signal.default_int_handler, "PIL" in sys.modules,
              "sklearn" in sys.modules, "h5py" in sys.modules)
    """) == ["1 True False False False"]


def test_the_names_that_the_package_promises_are_there():
    assert all(hasattr(libdeep, name) for name in libdeep.__all__)
    assert libdeep.__version__ == libdeep.version() == libdeep.build_info()["version"]
    assert any(device.available for device in libdeep.devices())
    assert os.path.basename(libdeep.library_path).startswith("libdeep.so")
