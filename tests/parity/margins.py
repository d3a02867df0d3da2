# SPDX-License-Identifier: Apache-2.0
"""Inputs of a case for which ReLUs and pools decide clearly: margins.py CASE OUT.npz

The gradient of a ReLU network jumps where a ReLU's input is 0 or two candidates of a max pool are equal. With
millions of activations some always lie within float32's rounding of that, and two correct programs then
differ by one activation's whole contribution (some 1e-3 of a gradient) and not by rounding. So the comparison
is made where the gradient is smooth on rounding's scale: the float64 network is walked layer by layer, in
training mode, and wherever a decision is closer than SAFETY errors of float32, the channel's beta is shifted
to the nearest gap among its values, or, before a pool, its pointwise kernel is drawn anew.

A training cannot be prepared like that, since its weights move. There, each step's images are drawn until the
network of that step decides clearly on all of them; the draws that were taken are what is recorded.
"""

from __future__ import annotations

import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

import seeded  # noqa: E402
from cases import ALL, UPDATES, Case  # noqa: E402
from xception import Layer, layers  # noqa: E402

SAFETY = 4.0  # margin of a decision, in largest errors that a float32 walk makes in its channel ...
LEAST = 1e-5  # ... and at least this share of the channel's standard deviation
TRIES = 50  # of a kernel's channels
DRAWS = 2000  # of a step's images


def paddings(size: int, stride: int, symmetric: bool) -> tuple[int, int]:
    """Cells before and after, for a 3-wide window: TensorFlow's 'same', or one on each side."""
    if symmetric:
        return 1, 1
    total = max((-(-size // stride) - 1) * stride + 3 - size, 0)
    return total // 2, total - total // 2


class Walk:
    """The network in training mode, one layer after the other, in one precision."""

    def __init__(self, case: Case, values: dict[str, np.ndarray], images: np.ndarray, dtype: str) -> None:
        self.torch = case.framework == "torch"
        self.values, self.dtype = values, dtype
        self.made = {"input": tf.constant(images, dtype)}

    def parameter(self, layer: Layer, kind: str) -> tf.Tensor:
        return tf.constant(self.values[f"{layer.name}.{kind}"], self.dtype)

    def padded(self, x: tf.Tensor, stride: int, fill: float) -> tf.Tensor:
        pads = [paddings(size, stride, self.torch) for size in x.shape[1:3]]
        return tf.pad(x, [(0, 0), *pads, (0, 0)], constant_values=tf.constant(fill, self.dtype))

    def run(self, layer: Layer) -> tf.Tensor:
        """Computes the layer's output from its inputs' and keeps it."""
        x = self.made[layer.inputs[0]]
        kind = layer.kind
        if kind == "conv":
            y = tf.nn.conv2d(x, self.parameter(layer, "kernel"), layer.stride, layer.padding.upper())
        elif kind == "separable":
            y = tf.nn.depthwise_conv2d(
                self.padded(x, 1, 0), self.parameter(layer, "depthwise_kernel"), [1] * 4, "VALID"
            )
            y = tf.nn.conv2d(y, self.parameter(layer, "pointwise_kernel"), 1, "VALID")
        elif kind == "norm":
            mean, variance = tf.nn.moments(x, [0, 1, 2])
            y = tf.nn.batch_normalization(
                x,
                mean,
                variance,
                self.parameter(layer, "beta"),
                self.parameter(layer, "gamma"),
                1e-5 if self.torch else 1e-3,
            )
        elif kind == "relu":
            y = tf.nn.relu(x)
        elif kind == "pool":
            y = tf.nn.max_pool2d(self.padded(x, 2, -np.inf), 3, 2, "VALID")
        elif kind == "add":
            y = x + self.made[layer.inputs[1]]
        elif kind == "average":
            y = tf.reduce_mean(x, [1, 2])
        elif kind == "dense":
            y = x @ self.parameter(layer, "kernel") + self.parameter(layer, "bias")
        else:
            y = tf.nn.softmax(x)
        self.made[layer.name] = y
        return y


def deviations(x: np.ndarray) -> np.ndarray:
    """Standard deviation of each channel (the last axis)."""
    return x.reshape(-1, x.shape[-1]).std(axis=0)


def clear_shift(column: np.ndarray, margin: float) -> float:
    """The smallest number to add to `column` so that no element is nearer to 0 than `margin`."""
    if np.abs(column).min() >= margin:
        return 0.0
    edges = np.concatenate([[-np.inf], np.sort(column), [np.inf]])
    low, high = (
        edges[:-1] + margin,
        edges[1:] - margin,
    )  # a point between them has no element within the margin
    wide = low <= high
    nearest = np.clip(0.0, low[wide], high[wide])
    return -nearest[np.abs(nearest).argmin()]


def close_pools(x: np.ndarray, margins: np.ndarray, symmetric: bool) -> np.ndarray:
    """Channels of (n, h, w, c) in which some 3x3/2 window's two largest values are nearer than their
    margin."""
    pads = [paddings(size, 2, symmetric) for size in x.shape[1:3]]
    grown = np.pad(x, [(0, 0), *pads, (0, 0)], constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(grown, (3, 3), axis=(1, 2))[:, ::2, ::2]
    top = np.partition(windows.reshape(*windows.shape[:4], 9), 7, axis=-1)
    gaps = (top[..., 8] - top[..., 7]).reshape(-1, x.shape[-1]).min(axis=0)
    return np.flatnonzero(gaps < margins)


class Clearing:
    """Two walks side by side, float64 and float32; their difference tells how far apart decisions must be."""

    def __init__(self, case: Case, values: dict[str, np.ndarray], images: np.ndarray) -> None:
        self.case, self.values = case, values
        self.listed = layers(**case.network)
        self.by_name = {layer.name: layer for layer in self.listed}
        self.walks = [Walk(case, values, images, dtype) for dtype in ("float64", "float32")]
        self.changed: dict[str, np.ndarray] = {}  # what a golden keeps of the changes
        self.narrowest = np.inf  # smallest margin, in standard deviations of its channel

    def run(self, layer: Layer) -> None:
        for walk in self.walks:
            walk.run(layer)

    def look(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """The float64 output of a layer, and the margin of each of its channels."""
        exact, rounded = (walk.made[name].numpy() for walk in self.walks)
        error = np.abs(exact - rounded).reshape(-1, exact.shape[-1]).max(axis=0)
        spread = deviations(exact)
        margins = np.maximum(SAFETY * error, LEAST * spread)
        self.narrowest = min(self.narrowest, float((margins / np.maximum(spread, 1e-30)).min()))
        return exact, margins

    def clear_pool(self, pool: Layer) -> None:
        norm = self.by_name[pool.inputs[0]]
        separable = self.by_name[norm.inputs[0]]
        name = f"{separable.name}.pointwise_kernel"
        for attempt in range(TRIES):
            close = close_pools(*self.look(norm.name), self.walks[0].torch)
            if len(close) == 0:
                return
            self.values[name] = seeded.drawn_anew(self.case.seed, name, self.values[name], attempt, close)
            self.changed[f"{name}/{attempt}"] = close.astype(np.int32)
            self.run(separable)
            self.run(norm)
        raise AssertionError(f"{pool.name}: no clear maximum after {TRIES} draws")

    def clear_relu(self, relu: Layer) -> None:
        source = self.by_name[relu.inputs[0]]
        exact, margins = self.look(source.name)
        columns = exact.reshape(-1, exact.shape[-1])
        shifts = np.array([clear_shift(columns[:, c], margins[c]) for c in range(len(margins))])
        if not shifts.any():
            return
        while source.kind in ("add", "pool"):  # both pass a shift of the branch's batch norm on
            source = self.by_name[source.inputs[0]]
        name = f"{source.name}.{'bias' if source.kind == 'dense' else 'beta'}"
        before = self.values[name]
        self.values[name] = self.changed[name] = (before + shifts).astype(np.float32)
        moved = self.values[name].astype(np.float64) - before
        for walk in self.walks:
            walk.made[relu.inputs[0]] += tf.constant(moved, walk.dtype)

    def all(self) -> dict[str, np.ndarray]:
        """Walks through the network; the changes, as seeded.changed() reads them."""
        for layer in self.listed:
            if layer.kind == "pool":
                self.clear_pool(layer)
            if layer.kind == "relu":
                self.clear_relu(layer)
            self.run(layer)
        return self.changed

    def is_clear(self) -> bool:
        """Whether nothing need be changed."""
        for layer in self.listed:
            if layer.kind in ("relu", "pool"):
                exact, margins = self.look(layer.inputs[0])
                if layer.kind == "relu" and (np.abs(exact) < margins).any():
                    return False
                if layer.kind == "pool" and len(close_pools(exact, margins, self.walks[0].torch)) > 0:
                    return False
            self.run(layer)
        return True


def clear_draws(case: Case) -> np.ndarray:
    """Which draw of its images each step of a training takes."""
    import keras

    from keras_network import build
    from keras_reference import Training

    keras.backend.set_floatx("float64")
    training = Training(case, *build(case))
    taken = []
    for step in range(UPDATES):
        values = training.values()
        draw = next(
            (draw for draw in range(DRAWS) if Clearing(case, values, case.images(step, draw)).is_clear()),
            None,
        )
        if draw is None:
            raise AssertionError(f"step {step}: no clear images in {DRAWS} draws")
        taken.append(draw)
        training.step(step, draw)
    print(f"{case.name}: {sum(taken) + len(taken)} draws for {len(taken)} steps")
    return np.array(taken, np.int32)


def main() -> None:
    case = ALL[sys.argv[1]]
    if case.kind == "updates":
        np.savez_compressed(sys.argv[2], draws=clear_draws(case))
        return
    clearing = Clearing(case, case.weights(), case.images())
    changed = clearing.all()
    print(f"{case.name}: {len(changed)} tensors changed, margins from {clearing.narrowest:.1e} on")
    np.savez_compressed(sys.argv[2], **changed)


if __name__ == "__main__":
    main()
