# SPDX-License-Identifier: Apache-2.0
"""Models: what they are, files, copies, parameters, predictions."""
from __future__ import annotations

import copy
import gc
import json
import pickle
import weakref

import numpy as np
import PIL.Image
import pytest

import libdeep
from conftest import CLASSES, TINY, coloured, noise


def create(context, *arguments, **options):
    return libdeep.Model.create(*arguments, context=context, **{**TINY, **options})


def test_options_arrive(context):
    model = create(context, ["a", "b"], aphia_ids=[7, 0], head="service", padding="symmetric", batch_norm_epsilon=1e-5,
                   dropout=0.25, preprocess="torch", filter="area", fit="pad", mean=(1, 2, 3), std=(4, 5, 6),
                   input_channels=1, seed=3)
    info = model.info
    assert (info.head, info.padding, info.preprocess, info.filter, info.fit) == \
        ("service", "symmetric", "torch", "area", "pad")
    assert (info.batch_norm_epsilon, info.dropout, info.mean, info.std) == (1e-5, 0.25, (1, 2, 3), (4, 5, 6))
    assert (info.architecture, info.input_size, info.input_channels, info.classes) == ("xception-small", 71, 1, 2)
    assert (info.middle_blocks, info.width) == (1, 0.05) and info.parameters > info.trainable_parameters > 0
    assert model.classes == ["a", "b"] and model.aphia_ids == [7, 0]
    assert model.metadata["preprocessing"]["mode"] == "torch"


def test_a_number_of_classes_is_enough(context):
    assert create(context, 3).classes == ["0", "1", "2"] and create(context, np.int64(2)).info.classes == 2


def test_constants_may_be_numbers(context):
    assert create(context, 2, head=libdeep.Head.SERVICE).info.head == "service"


@pytest.mark.parametrize("options, words", [
    ({"head": "big"}, "head is 'big', not one of 'imagenet', 'service'"),
    ({"head": 9}, "head"),
    ({"std": (1, 1, 1)}, "std without mean"),
    ({"mean": (1, 2)}, "mean has 2 values, not 3"),
    ({"classes": []}, "0"),
    ({"classes": "Copepoda"}, "a list of names"),
    ({"classes": ["a", "a"]}, "a"),
    ({"classes": ["a"], "aphia_ids": [1, 2]}, "2 AphiaIDs for 1 classes"),
    ({"classes": 2, "aphia_ids": [1, 2]}, "AphiaIDs for classes without names"),
    ({"classes": 2**40}, "class_count is 1099511627776"),
    ({"dropout": 1.5}, "dropout"),
])
def test_wrong_options_are_named(options, words, context):
    with pytest.raises((ValueError, TypeError), match=words):
        create(context, options.pop("classes", 3), **options)


def test_the_same_seed_gives_the_same_bytes(context):
    assert create(context, 3, seed=5).to_bytes() == create(context, 3, seed=5).to_bytes() != create(context, 3).to_bytes()


def test_file_bytes_and_copies_are_the_same_model(model, tmp_path):
    model.set_metadata("origin", {"cruise": "M 123", "depth": [1, 2.5, None]})
    model.save(tmp_path / "m.safetensors")
    data = model.to_bytes()
    assert (tmp_path / "m.safetensors").read_bytes() == data
    others = [libdeep.Model.load(tmp_path / "m.safetensors"), libdeep.Model.load(str(tmp_path / "m.safetensors")),
              libdeep.Model.load(data), libdeep.Model.load(bytearray(data)), libdeep.Model.load(memoryview(data)),
              model.copy(), copy.copy(model), copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    assert all(other.to_bytes() == data for other in others)
    assert others[0].metadata["user"]["origin"] == {"cruise": "M 123", "depth": [1, 2.5, None]}


def test_a_copy_goes_its_own_way(model):
    other = model.copy()
    other.params["predictions.bias"] = [1, 2, 3]
    assert not model.params["predictions.bias"].any()


def test_metadata_that_json_cannot_hold_is_refused(model):
    for value in (float("nan"), object()):
        with pytest.raises((ValueError, TypeError)):
            model.set_metadata("x", value)
    model.set_metadata("x", 1)
    model.set_metadata("x", None)
    assert "x" not in model.metadata.get("user", {})
    assert json.dumps(model.metadata)


def test_parameters_are_a_mapping_with_keras_names(model):
    params = model.params
    assert len(params) == len(list(params)) == len(set(params)) > 100
    assert params["block1_conv1.kernel"].dtype == np.float32 and params["block1_conv1.kernel"].ndim == 4
    info = params.info("block5_sepconv1.depthwise_kernel")
    assert info.role == "kernel" and info.shape[:2] == (3, 3) and info.shape[3] == 1 and info.trainable
    assert params.info("block1_conv1_bn.moving_mean") == ("block1_conv1_bn.moving_mean", "mean", (8,), False)
    assert sum(values.size for values in params.values()) == model.info.parameters
    with pytest.raises(KeyError, match="no_such"):
        params["no_such"]
    with pytest.raises(TypeError):
        del params["predictions.bias"]


def test_written_parameters_are_read_back_and_owned_by_the_reader(model):
    rng = np.random.default_rng(0)
    for name in model.params:
        model.params[name] = np.asfortranarray(np.abs(rng.normal(size=model.params.info(name).shape)))
    rng = np.random.default_rng(0)
    for name, values in model.params.items():
        assert np.array_equal(values, np.abs(rng.normal(size=values.shape)).astype(np.float32))
    values = model.params["predictions.bias"]
    values[:] = 9
    assert not (model.params["predictions.bias"] == 9).any()


@pytest.mark.parametrize("values, kind", [(np.zeros(4), ValueError), (np.zeros((3, 1)), ValueError), ([1, 2, "x"], ValueError),
                                          ([1, 2, np.nan], libdeep.InvalidArgumentError)])
def test_a_wrong_parameter_is_refused(values, kind, model):
    with pytest.raises(kind):
        model.params["predictions.bias"] = values
    assert not model.params["predictions.bias"].any()


def test_classes_are_renamed_or_replaced(model):
    kernel = model.params["predictions.kernel"]
    model.set_classes(["x", "y", "z"], aphia_ids=[1, 2, 3])
    assert model.classes == ["x", "y", "z"] and model.aphia_ids == [1, 2, 3]
    assert np.array_equal(kernel, model.params["predictions.kernel"])
    model.set_classes(["x", "y"], seed=4)
    assert model.params["predictions.kernel"].shape == (kernel.shape[0], 2)


def test_freezing(model):
    model.set_trainable("backbone", False)
    assert {name for name in model.params if model.params.info(name).trainable} == {"predictions.kernel", "predictions.bias"}
    with pytest.raises(libdeep.InvalidArgumentError, match="no_such"):
        model.set_trainable("no_such", True)


def test_memory_of_training_is_more_than_of_predicting(model):
    assert model.memory(batch=4, training=True).total > model.memory(batch=4).total > model.memory().weights > 0


def test_a_prediction_has_names_and_probabilities_in_order(model):
    predictions = model.predict([noise(1), noise(2)], top=2)
    assert len(predictions) == 2 and [len(row) for row in predictions] == [2, 2]
    first, second = predictions[0]
    assert first.name in CLASSES and first.name == CLASSES[first.class_index] and first.probability >= second.probability
    assert predictions.indices.shape == predictions.probabilities.shape == (2, 2)
    assert predictions.names == [row[0].name for row in predictions]
    assert predictions[-1] == predictions[1] and len(predictions[:1]) == 1 and first.name in repr(predictions)
    with pytest.raises(IndexError):
        predictions[2]


def test_top_is_never_more_than_the_classes(model):
    assert model.predict(noise(1), top=5).indices.shape == (1, 3)
    with pytest.raises(ValueError, match="top is 0"):
        model.predict(noise(1), top=0)


def test_probabilities_agree_with_predictions_and_a_session(model):
    images = [noise(place, (30 + place, 40, 3)) for place in range(5)]
    probabilities = model.predict_proba(images)
    assert probabilities.shape == (5, 3) and probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-6)
    for row, prediction in zip(probabilities, model.predict(images)):
        assert [row[p.class_index] for p in prediction] == [p.probability for p in prediction]
    with model.session(batch=2) as session:
        batch = np.stack([session.preprocess(image) for image in images])
        np.testing.assert_allclose(session.run(batch), probabilities, rtol=1e-5)


def test_many_images_of_all_kinds_and_none(model, tmp_path):
    images, _ = coloured(3)
    PIL.Image.fromarray(images[0]).save(tmp_path / "a.png")
    kinds = [tmp_path / "a.png", (tmp_path / "a.png").read_bytes(), images[0], PIL.Image.fromarray(images[0]),
             libdeep.Image.from_array(images[0])]
    probabilities = model.predict_proba(kinds, batch=2)
    assert np.array_equal(probabilities, np.repeat(probabilities[:1], 5, axis=0))
    assert np.array_equal(model.predict_proba(np.stack(images)), model.predict_proba(images))
    assert model.predict_proba([]).shape == (0, 3) and len(model.predict([])) == 0
    assert len(model.predict(noise(place, (8, 8, 3)) for place in range(150))) == 150  # more than are decoded at once


def test_a_bad_image_among_many_is_named(model, tmp_path):
    with pytest.raises(libdeep.NotFoundError, match="gone.png"):
        model.predict([noise(0), tmp_path / "gone.png"])


def test_an_evaluation_agrees_with_the_predictions(model, dataset):
    metrics = model.evaluate(dataset, batch=4)
    images, labels = coloured(18)
    probabilities = model.predict_proba(images)
    assert np.array_equal(metrics.labels, labels) and np.array_equal(metrics.predicted, probabilities.argmax(1))
    np.testing.assert_allclose(metrics.confidence, probabilities.max(1), rtol=1e-5)
    confusion = np.zeros((3, 3), int)
    np.add.at(confusion, (metrics.labels, metrics.predicted), 1)
    assert np.array_equal(metrics.confusion, confusion) and metrics.count == 18
    assert metrics.accuracy == pytest.approx(np.trace(confusion) / 18)
    assert [row.support for row in metrics.per_class] == [6, 6, 6] and metrics.per_class[0].name == "alpha"
    assert metrics.summary()["accuracy"] == metrics.accuracy and "accuracy" in repr(metrics)
    again = libdeep.Metrics.compute(probabilities, labels, CLASSES)
    assert again.log_loss == pytest.approx(metrics.log_loss, rel=1e-5) and again.per_class == metrics.per_class


def test_metrics_agree_with_scikit_learn():
    from sklearn import metrics as sk

    rng = np.random.default_rng(3)
    probabilities = rng.dirichlet(np.ones(7), 200).astype(np.float32)
    probabilities = np.round(probabilities * 4096) / 4096  # sums of such are exact
    probabilities[:, 0] += 1 - probabilities.sum(1)
    labels = rng.integers(0, 7, 200)
    ours, called = libdeep.Metrics.compute(probabilities, labels), probabilities.argmax(1)
    assert ours.accuracy == pytest.approx(sk.accuracy_score(labels, called))
    assert ours.macro_f1 == pytest.approx(sk.f1_score(labels, called, average="macro", zero_division=0))
    assert ours.weighted_f1 == pytest.approx(sk.f1_score(labels, called, average="weighted", zero_division=0))
    assert ours.log_loss == pytest.approx(sk.log_loss(labels, probabilities.astype(float)), rel=1e-5)
    assert ours.top5_accuracy == pytest.approx(sk.top_k_accuracy_score(labels, probabilities, k=5))
    assert np.array_equal(ours.confusion, sk.confusion_matrix(labels, called))


@pytest.mark.parametrize("probabilities, labels", [(np.ones((2, 3)), [0]), (np.ones(3), [0]), (np.ones((1, 3)), [0.5]),
                                                   (np.ones((1, 3)) / 3, [3]), (np.ones((1, 3)) / 3, [-1]),
                                                   (np.ones((1, 3)) / 3, [2**32])])
def test_metrics_of_what_does_not_fit_are_refused(probabilities, labels):
    with pytest.raises(ValueError):
        libdeep.Metrics.compute(probabilities, labels)


def test_a_dataset_of_other_classes_is_refused(model, context):
    images, labels = coloured(3)
    other = libdeep.Dataset.from_images(images, labels, ["x", "y", "z"], context=context)
    with pytest.raises(libdeep.DatasetError):
        model.evaluate(other)


def test_a_model_keeps_its_context_and_a_session_its_model():
    context = libdeep.Context(threads=1)
    model = create(context, 3)
    session = model.session()
    alive = weakref.ref(context._live)
    context.close()
    model.close()
    del context, model
    gc.collect()
    assert session.run(np.zeros((1, 71, 71, 3), np.float32)).shape == (1, 3) and alive() is not None
    with pytest.raises(libdeep.StateError, match="this Context is closed"):
        session.preprocess(b"x")
    del session
    gc.collect()
    assert alive() is None


def test_closing_frees_what_nobody_needs(model):
    handle = weakref.ref(model._live)
    with model:
        assert handle() is not None
    assert handle() is None


def test_an_object_in_a_cycle_with_its_context_is_freed_in_order():
    context = libdeep.Context(threads=1)
    model = create(context, 3)
    model.me, context.model, context.session = model, model, model.session()
    handles = [weakref.ref(thing._live) for thing in (context, model, context.session)]
    del context, model
    gc.collect()
    assert [handle() for handle in handles] == [None, None, None]


def test_the_largest_batch_is_a_default_on_the_processor(model):
    with pytest.raises(TypeError, match="options are those of a training"):
        model.largest_batch(optimizer="sgd")
    if not model.device.startswith("cuda"):
        assert (model.largest_batch(), model.largest_batch(training=True, optimizer="sgd")) == (8, 16)
