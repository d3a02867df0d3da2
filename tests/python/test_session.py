# SPDX-License-Identifier: Apache-2.0
"""Sessions and trainers: arrays in without a copy, arrays out that own their memory."""
from __future__ import annotations

import gc
import pickle
import warnings

import numpy as np
import pytest

import libdeep
from conftest import CLASSES, TINY, noise
from libdeep.session import as_batch


def inputs(count, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (count, 71, 71, 3)).astype(np.float32)


def test_contiguous_float32_is_read_in_place():
    x = inputs(2)
    assert as_batch(x, 71) is x and as_batch(x, 71, copy=False) is x
    assert np.shares_memory(as_batch(x[:1], 71), x) and not np.shares_memory(as_batch(x, 71, copy=True), x)


@pytest.mark.parametrize("x", [inputs(1).astype(np.float64), inputs(2)[::2].repeat(1, 0)[:, ::-1], np.asfortranarray(inputs(1)),
                               inputs(1).astype(">f4"), np.ones((1, 71, 71, 3), np.uint8)],
                         ids=["float64", "mirrored", "fortran", "byte order", "uint8"])
def test_the_rest_is_converted_unless_forbidden(x, model):
    with model.session() as session:
        np.testing.assert_array_equal(session.run(x), session.run(np.ascontiguousarray(x, np.float32)))
        with pytest.raises(ValueError, match="without a copy it must be C-contiguous float32"):
            session.run(x, copy=False)


@pytest.mark.parametrize("x, kind, words", [
    (np.zeros((71, 71, 3), np.float32), ValueError, r"input of shape \(71, 71, 3\): \(n, 71, 71, 3\) is wanted"),
    (np.zeros((1, 71, 71, 1), np.float32), ValueError, "is wanted"),
    (np.zeros((1, 70, 71, 3), np.float32), ValueError, "is wanted"),
    (np.zeros((1, 71, 71, 3), complex), TypeError, "complex128: numbers are wanted"),
    (np.full((1, 71, 71, 3), "x"), TypeError, "numbers are wanted"),
])
def test_what_is_no_input_is_refused(x, kind, words, model):
    with model.session() as session, pytest.raises(kind, match=words):
        session.run(x)


def test_any_number_of_images_goes_through_a_session(model):
    x = inputs(5)
    with model.session(batch=2) as session:
        together, logits = session.run(x), session.logits(x)
        one_by_one = np.concatenate([session.run(x[i:i + 1]) for i in range(5)])
        np.testing.assert_allclose(together, one_by_one, rtol=1e-5)
        softmax = np.exp(logits - logits.max(1, keepdims=True))
        np.testing.assert_allclose(together, softmax / softmax.sum(1, keepdims=True), rtol=1e-5)
        assert session.run(x[:0]).shape == (0, 3)


def test_outputs_own_their_memory(model):
    with model.session() as session:
        first = session.run(inputs(1))
        kept = first.copy()
        session.run(inputs(1, seed=9) * 3)
    assert first.flags.owndata and np.array_equal(first, kept)


def test_preprocessing_takes_what_stands_for_an_image(model):
    with model.session() as session:
        values = session.preprocess(noise(1, (71, 71, 3)))
        np.testing.assert_allclose(values, (noise(1, (71, 71, 3)) - 127.5) / 127.5, atol=1e-6)


def test_layers_have_keras_names_and_the_last_runs_values(model):
    x = inputs(3)
    with model.session(batch=3, layers=True) as session, model.session(batch=3) as fused:
        probabilities = session.run(x)
        layers = session.layers
        assert len(layers) == len(list(layers)) > 50
        assert {"block1_conv1", "block2_sepconv1_bn", "block2_add", "predictions"} <= set(layers)
        np.testing.assert_allclose(layers["predictions_softmax"], probabilities, rtol=1e-6)
        np.testing.assert_allclose(layers["predictions"], session.logits(x), rtol=1e-6)
        np.testing.assert_allclose(fused.run(x), probabilities, rtol=1e-4)
        assert layers["block1_conv1"].shape == (3, 35, 35, 8)
        session.run(x[:1])
        assert session.layers["block2_add"].shape[0] == 1
        with pytest.raises(ValueError, match="5 images in a session of batch 3"):
            session.run(inputs(5))
        with pytest.raises(KeyError):
            layers["no_such"]
        with pytest.raises(ValueError, match="without layers=True"):
            fused.layers


def test_a_session_holds_the_model_until_it_is_closed(model):
    session = model.session()
    with pytest.raises(libdeep.StateError):
        model.params["predictions.bias"] = [1, 2, 3]
    session.close()
    model.params["predictions.bias"] = [1, 2, 3]
    with pytest.raises(libdeep.StateError, match="this Session is closed"):
        session.run(inputs(1))


def test_steps_count_and_learn(model):
    x, labels = inputs(6), np.arange(6) % 3
    with model.trainer(batch=6, learning_rate=0.01) as trainer:
        steps = [trainer.step(x, labels) for _ in range(30)]
    assert [step.step for step in steps] == list(range(1, 31)) and steps[-1].loss < steps[0].loss / 2
    assert steps[-1].correct > 4 and steps[0].gradient_norm > 0


def test_gradients_and_apply_are_a_step(context):
    one, two = (libdeep.Model.create(CLASSES, **TINY, seed=1, context=context) for _ in range(2))
    x, labels = inputs(4), [0, 1, 2, 0]
    with one.trainer(batch=4) as first, two.trainer(batch=4) as second:
        assert first.step(x, labels).loss == second.compute_gradients(x, labels).loss
        second.apply()
        with pytest.raises(libdeep.StateError):
            second.apply()
    assert one.to_bytes() == two.to_bytes()


def test_gradients_are_written_in_place(model):
    before = model.params["predictions.bias"]
    with model.trainer(batch=2, optimizer="sgd", learning_rate=0.5) as trainer:
        trainer.compute_gradients(inputs(2), [0, 1])
        gradients = trainer.gradients
        assert set(gradients) == {name for name in trainer.model.params if trainer.model.params.info(name).trainable}
        for name in gradients:
            gradients[name][...] = 0
        gradients["predictions.bias"][:] = [1, -2, 3]
        trainer.apply()
        with pytest.raises(KeyError):
            gradients["block1_conv1_bn.moving_mean"]
    np.testing.assert_allclose(model.params["predictions.bias"], before - 0.5 * np.array([1, -2, 3]), rtol=1e-6)


def test_a_gradient_outlives_close_and_close_warns(model):
    trainer = model.trainer(batch=1)
    trainer.compute_gradients(inputs(1), [0])
    gradient = trainer.gradients["predictions.bias"]
    kept = gradient.copy()
    with pytest.warns(RuntimeWarning, match="gradients are in use: predictions.bias"):
        trainer.close()
    assert np.array_equal(gradient, kept)
    with pytest.raises(libdeep.StateError):
        model.params["predictions.bias"] = [1, 2, 3]
    del gradient
    gc.collect()
    model.params["predictions.bias"] = [1, 2, 3]


def test_a_trainer_without_borrowed_gradients_closes_quietly(model):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with model.trainer(batch=1) as trainer:
            trainer.compute_gradients(inputs(1), [0])
            total = sum(float(np.abs(values).sum()) for values in trainer.gradients.values())
    assert total > 0
    model.params["predictions.bias"] = [1, 2, 3]


def test_learning_rate_and_class_weights(model):
    x, labels = inputs(3), [0, 1, 2]
    with model.trainer(batch=3) as trainer:
        trainer.learning_rate = 0.25
        assert trainer.learning_rate == 0.25
        with pytest.raises(libdeep.InvalidArgumentError):
            trainer.learning_rate = 0
        plain = trainer.compute_gradients(x, labels).loss
        trainer.set_class_weights([2, 2, 2])
        assert trainer.compute_gradients(x, labels).loss == pytest.approx(2 * plain, rel=1e-5)
        trainer.set_class_weights(None)
        assert trainer.compute_gradients(x, labels).loss == plain
        for wrong in ([1, 2], [[1, 2, 3]], [1, 2, -3]):
            with pytest.raises(ValueError):
                trainer.set_class_weights(wrong)


@pytest.mark.parametrize("labels", [[0], [0, 3], [0, -1], [0, 2**32], [0.0, 1.0], ["a", "b"]])
def test_wrong_labels_are_refused(labels, model):
    with model.trainer(batch=2) as trainer, pytest.raises(ValueError):
        trainer.step(inputs(2), labels)


def test_a_checkpoint_continues_exactly(context, tmp_path):
    x, labels = inputs(3), [0, 1, 2]
    straight, broken = (libdeep.Model.create(CLASSES, **TINY, seed=2, context=context) for _ in range(2))
    with straight.trainer(batch=3) as trainer:
        for _ in range(4):
            trainer.step(x, labels)
    with broken.trainer(batch=3) as trainer:
        for _ in range(2):
            trainer.step(x, labels)
        trainer.save(tmp_path / "c")
    fresh = libdeep.Model.create(CLASSES, **TINY, seed=7, context=context)
    with fresh.trainer(batch=3) as trainer:
        trainer.load(tmp_path / "c")
        for _ in range(2):
            last = trainer.step(x, labels)
    assert last.step == 4 and fresh.to_bytes() == straight.to_bytes()


def test_sessions_and_trainers_are_not_pickled(model, dataset):
    with model.session() as session:
        for thing in (session, model.context, dataset):
            with pytest.raises(TypeError, match="cannot be pickled|belongs to its process"):
                pickle.dumps(thing)
    with model.trainer() as trainer, pytest.raises(TypeError, match="belongs to its process"):
        pickle.dumps(trainer)


def test_a_stream_is_refused_where_there_is_none(model: libdeep.Model) -> None:
    with pytest.raises(ValueError, match="the default stream has the handle 1"):
        libdeep.Session(model, stream=0)
    with pytest.raises(ValueError, match="a stream is given, but device"):
        libdeep.Session(model, stream=1)
