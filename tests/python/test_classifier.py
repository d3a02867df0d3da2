# SPDX-License-Identifier: Apache-2.0
"""DeepClassifier keeps scikit-learn's contract."""
import pickle
import warnings

import numpy as np
import pytest

sklearn = pytest.importorskip("sklearn", reason="scikit-learn is not installed", minversion="1.6")

from sklearn.base import clone  # noqa: E402
from sklearn.exceptions import NotFittedError  # noqa: E402
from sklearn.model_selection import GridSearchCV, cross_val_score  # noqa: E402
from sklearn.utils.estimator_checks import estimator_checks_generator  # noqa: E402
from sklearn.utils.validation import check_is_fitted, validate_data  # noqa: E402

import libdeep  # noqa: E402
from libdeep.classifier import DeepClassifier  # noqa: E402

TINY = {"architecture": "xception-small", "width": 0.05, "middle_blocks": 1, "input_size": 71, "batch": 8,
        "random_state": 1}


class Rows(DeepClassifier):
    """DeepClassifier for rows of numbers, each drawn as stripes of grey: check_estimator() gives nothing else.

    Flips and turns would exchange the stripes, so they are off.
    """

    def __init__(self, *, architecture="xception-small", width=0.05, middle_blocks=1, input_size=71, epochs=3, batch=16,
                 random_state=None):
        super().__init__(architecture=architecture, width=width, middle_blocks=middle_blocks, input_size=input_size,
                         epochs=epochs, batch=batch, random_state=random_state)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.three_d_array, tags.input_tags.string = True, False, False
        return tags

    def draw(self, X):
        stripes = np.clip((X - self.low_) / self.span_ * 255, 0, 255).astype(np.uint8)
        return [np.tile(np.repeat(row[None, :], 4, axis=1), (8, 1)) for row in stripes]

    def fit(self, X, y):
        X, y = validate_data(self, X, y)
        self.low_ = X.min(axis=0)
        self.span_ = np.maximum(X.max(axis=0) - self.low_, 1e-9)
        fitted = clone(self)
        fitted.options = {"augment": "none"}
        DeepClassifier.fit(fitted, self.draw(X), y)
        self.__dict__.update({name: value for name, value in vars(fitted).items() if name.endswith("_")})
        return self

    def predict_proba(self, X):
        check_is_fitted(self, "model_")
        return super().predict_proba(self.draw(validate_data(self, X, reset=False)))


def sklearn_checks():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [pytest.param(estimator, check, id=f"{number}-{check.func.__name__}")
                for number, (estimator, check) in enumerate(estimator_checks_generator(Rows()))]


# Left to scikit-learn to skip, with its own message: array API input (a variable must be set), pandas when not installed.
@pytest.mark.parametrize("estimator, check", sklearn_checks())
def test_scikit_learns_own_checks(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            check(estimator)
        except Exception as error:
            if type(error).__name__ == "SkipTest":
                pytest.skip(str(error))
            raise


def test_checks_for_images_themselves():
    """Those that need no input at all."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        checks = list(estimator_checks_generator(DeepClassifier(**TINY)))
    assert checks
    for estimator, check in checks:
        check(estimator)


@pytest.fixture(scope="module")
def coloured():
    """24 noisy images, red, green and blue, with text labels."""
    noise = np.random.default_rng(0)
    images = noise.integers(0, 40, (24, 20, 22, 3)).astype(np.uint8)
    labels = np.array(["red", "green", "blue"] * 8)
    for number, image in enumerate(images):
        image[..., number % 3] += 200
    return images, labels


@pytest.fixture(scope="module")
def fitted(coloured):
    return DeepClassifier(epochs=8, **TINY).fit(*coloured)


def test_it_learns_and_gives_the_callers_labels(fitted, coloured):
    images, labels = coloured
    assert fitted.classes_.tolist() == ["blue", "green", "red"]
    assert fitted.score(images, labels) == 1.0
    assert fitted.predict(images[:3]).tolist() == labels[:3].tolist()
    probabilities = fitted.predict_proba(images)
    assert probabilities.shape == (24, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    assert fitted.n_iter_ == 8 == len(fitted.history_)


def test_the_same_random_state_gives_the_same_model(fitted, coloured):
    again = clone(fitted).fit(*coloured)
    assert again.model_.to_bytes() == fitted.model_.to_bytes()
    other = clone(fitted).set_params(random_state=2).fit(*coloured)
    assert other.model_.to_bytes() != fitted.model_.to_bytes()


def test_files_and_arrays_are_alike(coloured, tmp_path):
    images, labels = coloured
    paths = [tmp_path / f"{number:02d}.png" for number in range(len(images))]
    for path, image in zip(paths, images):
        libdeep.Image.from_array(image).save(path)
    from_files = DeepClassifier(epochs=1, **TINY).fit(paths, labels)
    from_arrays = DeepClassifier(epochs=1, **TINY).fit(images, labels)
    assert from_files.model_.to_bytes() == from_arrays.model_.to_bytes()
    np.testing.assert_array_equal(from_files.predict_proba([str(path) for path in paths]),
                                  from_arrays.predict_proba(list(images)))


def test_numbers_as_labels(coloured):
    images, _ = coloured
    labels = np.arange(24) % 3 * 10
    model = DeepClassifier(epochs=1, **TINY).fit(images, labels)
    assert model.classes_.tolist() == [0, 10, 20]
    assert model.predict(images[:2]).dtype == labels.dtype
    assert model.model_.classes == ["0", "10", "20"]


def test_selection_tools_work(coloured):
    images, labels = coloured
    assert len(cross_val_score(DeepClassifier(epochs=1, **TINY), images, labels, cv=2)) == 2
    search = GridSearchCV(DeepClassifier(**TINY), {"epochs": [1, 2]}, cv=2).fit(images, labels)
    assert search.best_params_["epochs"] in (1, 2)


def test_pickled_it_predicts_the_same(fitted, coloured):
    copy = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(copy.predict_proba(coloured[0]), fitted.predict_proba(coloured[0]))


def test_it_goes_on_from_a_model(fitted, coloured, tmp_path):
    fitted.model_.save(tmp_path / "model.safetensors")
    for weights in (tmp_path / "model.safetensors", fitted.model_):
        model = DeepClassifier(weights=weights, epochs=1, **TINY).fit(*coloured)
        assert model.history_.history["accuracy"][0] > 0.9


def test_a_part_can_validate(coloured):
    model = DeepClassifier(epochs=1, validation_fraction=0.25, **TINY).fit(*coloured)
    assert "val_accuracy" in model.history_.history


@pytest.mark.parametrize("X, y, says", [
    (np.zeros((4, 9), np.uint8), [0, 1, 0, 1], "2 dimensions"),
    ([], [], "no image"),
    ("a.png", ["a"], "one image"),
    (np.zeros((4, 9, 9), np.uint8), [0, 1, 0], "4 images"),
    (np.zeros((4, 9, 9), np.uint8), [0, 0, 0, 0], "one class"),
])
def test_bad_input_is_named(X, y, says):
    with pytest.raises(ValueError, match=says):
        DeepClassifier(epochs=1, **TINY).fit(X, y)


def test_before_fit_there_is_no_prediction(coloured):
    with pytest.raises(NotFittedError):
        DeepClassifier(**TINY).predict(coloured[0])
