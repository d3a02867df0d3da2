# SPDX-License-Identifier: Apache-2.0
"""Seeded weights, images and gradients: the same bits on every machine, with every numpy.

Numbers come from splitmix64 and exact arithmetic (shifts, sums, products, square roots), so they depend
neither on numpy's generators nor on a mathematical library's last digit. A tensor's stream is a function of
the seed and of its name alone.
"""

from __future__ import annotations

import numpy as np

from xception import Layer, layers

GOLDEN_GAMMA = 0x9E3779B97F4A7C15  # splitmix64's increment
MASK = (1 << 64) - 1
UNIT = 2.0**-53

# Rough second moments, so that the running statistics suit what flows through the network.
IMAGE_POWER = 0.33
NORMALISED_POWER = 1.6
RELU_SHARE = 0.55
POOL_GAIN = 1.8


def stream(seed: int, name: str, count: int) -> np.ndarray:
    """The first `count` 64-bit numbers of the stream `name`."""
    state = 0xCBF29CE484222325  # FNV-1a of the seed and the name
    for byte in f"{seed}/{name}".encode():
        state = ((state ^ byte) * 0x100000001B3) & MASK
    z = np.uint64(state) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(GOLDEN_GAMMA)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def uniform(seed: int, name: str, count: int) -> np.ndarray:
    """`count` doubles in [0, 1)."""
    return (stream(seed, name, count) >> np.uint64(11)).astype(np.float64) * UNIT


def bell(seed: int, name: str, count: int) -> np.ndarray:
    """`count` doubles of mean 0 and variance 1, nearly normal: the sum of four uniform 16-bit fields."""
    bits = stream(seed, name, count)
    total = np.zeros(count)
    for shift in (0, 16, 32, 48):
        total += ((bits >> np.uint64(shift)) & np.uint64(0xFFFF)).astype(np.float64)
    return (total / 65536 - 2 + 2 / 65536) * np.sqrt(3.0)


def _size(shape: tuple) -> int:
    return int(np.prod(shape, dtype=np.int64))


def weights(seed: int, **network) -> dict[str, np.ndarray]:
    """Parameters by name, float32, for the network that `xception.layers(**network)` describes.

    Kernels keep the power of what flows through them; gammas lie around 1, betas around 0; running means and
    variances scatter around what the layer before gives, by factors from .4 to 2.5.
    """
    made: dict[str, np.ndarray] = {}
    power = {"input": IMAGE_POWER}

    def put(layer: Layer, kind: str, shape: tuple, values: np.ndarray) -> None:
        made[f"{layer.name}.{kind}"] = values.reshape(shape).astype(np.float32)

    def kernel(layer: Layer, kind: str, shape: tuple, fan_in: int) -> None:
        put(layer, kind, shape, bell(seed, f"{layer.name}.{kind}", _size(shape)) / np.sqrt(float(fan_in)))

    for layer in layers(**network):
        given = power[layer.inputs[0]]
        if layer.kind == "conv":
            kernel(layer, "kernel", layer.shape, layer.shape[0] * layer.shape[1] * layer.shape[2])
        elif layer.kind == "separable":
            kernel(layer, "depthwise_kernel", (3, 3, layer.shape[0], 1), 9)
            kernel(layer, "pointwise_kernel", (1, 1) + layer.shape, layer.shape[0])
        elif layer.kind == "dense":
            kernel(layer, "kernel", layer.shape, layer.shape[0])
            put(layer, "bias", layer.shape[1:], 0.1 * bell(seed, f"{layer.name}.bias", layer.shape[1]))
        elif layer.kind == "norm":
            count = layer.shape[0]
            scatter = 0.65 + 0.95 * uniform(seed, f"{layer.name}.moving_variance", count)
            put(layer, "gamma", (count,), 0.6 + 0.8 * uniform(seed, f"{layer.name}.gamma", count))
            put(layer, "beta", (count,), 0.3 * bell(seed, f"{layer.name}.beta", count))
            put(
                layer,
                "moving_mean",
                (count,),
                0.3 * np.sqrt(given) * bell(seed, f"{layer.name}.moving_mean", count),
            )
            put(layer, "moving_variance", (count,), given * scatter * scatter)
        power[layer.name] = _power_after(layer, [power[name] for name in layer.inputs])
    return made


def _power_after(layer: Layer, given: list[float]) -> float:
    if layer.kind == "norm":
        return NORMALISED_POWER
    if layer.kind == "relu":
        return given[0] * RELU_SHARE
    if layer.kind == "pool":
        return given[0] * POOL_GAIN
    return sum(given)


def drawn_anew(seed: int, name: str, kernel: np.ndarray, attempt: int, channels: np.ndarray) -> np.ndarray:
    """A copy of the pointwise kernel with other weights for some of its output channels."""
    inputs = kernel.shape[2]
    values = bell(seed, f"{name}.again.{attempt}", inputs * len(channels)) / np.sqrt(float(inputs))
    made = kernel.copy()
    made[0, 0][:, channels] = values.reshape(inputs, len(channels)).astype(np.float32)
    return made


def changed(seed: int, values: dict[str, np.ndarray], changes) -> dict[str, np.ndarray]:
    """`values` with the changes that margins.py found: whole tensors, or channels of a kernel to draw
    anew."""
    made = dict(values)
    for name in changes:
        if "/" in name:
            kernel, attempt = name.split("/")
            made[kernel] = drawn_anew(seed, kernel, made[kernel], int(attempt), changes[name])
        else:
            made[name] = changes[name]
    return made


def images(seed: int, count: int, size: int) -> np.ndarray:
    """Preprocessed images, (count, size, size, 3) float32 in [-1, 1]: soft blobs with grain."""
    coarse = 7  # cells across
    position = np.arange(size) * (coarse - 1) / (size - 1)
    cell = np.minimum(position.astype(np.int64), coarse - 2)
    part = position - cell
    grid = uniform(seed, "images.blobs", count * coarse * coarse * 3).reshape(count, coarse, coarse, 3)
    rows = grid[:, cell] * (1 - part)[None, :, None, None] + grid[:, cell + 1] * part[None, :, None, None]
    part = part[None, None, :, None]
    smooth = rows[:, :, cell] * (1 - part) + rows[:, :, cell + 1] * part
    grain = uniform(seed, "images.grain", count * size * size * 3).reshape(smooth.shape)
    level = np.floor(255.999 * np.clip(1.4 * smooth - 0.2 + 0.25 * (grain - 0.5), 0, 1))
    return (level / 127.5 - 1).astype(np.float32)


def labels(seed: int, count: int, classes: int) -> np.ndarray:
    """`count` class indices, int32."""
    return (stream(seed, "labels", count) % np.uint64(classes)).astype(np.int32)


def class_weights(seed: int, classes: int) -> np.ndarray:
    """Float32 weights from .25 to 2."""
    return (0.25 + 1.75 * uniform(seed, "class weights", classes)).astype(np.float32)


def gradients(seed: int, step: int, name: str, shape: tuple) -> np.ndarray:
    """A made-up gradient, float32: elements from 1e-8 to 1, a hundredth of it in three steps of four.

    Elements this small make Adam's epsilon count, and the fall makes amsgrad count.
    """
    count = _size(shape)
    scale = np.array([1.0, 1e-2, 1e-4, 1e-6, 1e-8])[stream(seed, f"{name}.scale", count) % np.uint64(5)]
    fall = 1.0 if step % 4 == 0 else 0.01
    return (scale * fall * bell(seed, f"{name}.gradient.{step}", count)).reshape(shape).astype(np.float32)
