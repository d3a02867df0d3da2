# SPDX-License-Identifier: Apache-2.0
"""What flows through an ONNX graph while it is walked: numbers that are known, feature maps, and shapes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import List, Optional, Tuple, Union

import numpy

Axes = Tuple[int, ...]
NCHW: Axes = (0, 1, 2, 3)
FEATURES: Axes = (0, 1)  # (image, channel), after the global pooling


@dataclass
class Maps:
    """What a node of our graph gives. ``axes[i]`` is the i-th axis as one of 0 = image, 1 = channel, 2 = row,
    3 = column: exporters move axes about, and here that is followed and no node."""

    node: str
    axes: Axes
    pooled: bool = False  # rows and columns are 1
    steps: int = 0  # of the node's Affine when this was its value; more since then make it another value


@dataclass
class ShapeOf:
    """Something computed from a shape, such as the target of a Reshape that leaves the batch open."""


Value = Union[numpy.ndarray, Maps, ShapeOf]


@dataclass
class Step:
    """One thing done to each channel: multiply by ``scale``, add ``shift``; or a batch norm with its four
    vectors."""

    scale: Optional[numpy.ndarray] = None
    shift: Optional[numpy.ndarray] = None
    norm: Optional[Tuple[numpy.ndarray, numpy.ndarray, numpy.ndarray, numpy.ndarray]] = None
    epsilon: float = 0.0


@dataclass
class Affine:
    """All that is done to a convolution's output before the next ReLU, pool or sum. ``channels`` of it."""

    channels: int
    steps: List[Step] = field(default_factory=list)

    def epsilon(self) -> Optional[float]:
        """That of the one batch norm; None when there is something else, which is then written as a batch
        norm."""
        return self.steps[0].epsilon if self.is_norm() else None

    def is_norm(self) -> bool:
        return len(self.steps) == 1 and self.steps[0].norm is not None

    def vectors(self, epsilon: float) -> Tuple[numpy.ndarray, numpy.ndarray, numpy.ndarray, numpy.ndarray]:
        """(gamma, beta, mean, variance). A single batch norm's own, bit for bit. Anything else is computed in
        double precision to scale and shift, with mean 0 and variance 1 - epsilon, so that the norm itself
        does nothing.
        """
        if self.is_norm():
            assert self.steps[0].norm is not None
            return self.steps[0].norm
        scale, shift = numpy.ones(self.channels), numpy.zeros(self.channels)
        for step in self.steps:
            if step.norm is not None:
                gamma, beta, mean, variance = (vector.astype(numpy.float64) for vector in step.norm)
                factor = gamma / numpy.sqrt(variance + step.epsilon)
                scale, shift = scale * factor, (shift - mean) * factor + beta
            if step.scale is not None:
                scale, shift = scale * step.scale, shift * step.scale
            if step.shift is not None:
                shift = shift + step.shift
        zero = numpy.zeros(self.channels, numpy.float32)
        return (
            scale.astype(numpy.float32),
            shift.astype(numpy.float32),
            zero,
            numpy.full(self.channels, 1 - epsilon, numpy.float32),
        )


def moved(value: Maps, permutation: Axes) -> Maps:
    """After a Transpose."""
    return replace(value, axes=tuple(value.axes[place] for place in permutation))


def per_channel(values: numpy.ndarray, axes: Axes, channels: int) -> Optional[numpy.ndarray]:
    """``values`` as a vector over channels, as they would be broadcast against maps with these axes; None
    when they are anything else."""
    if values.dtype.kind != "f" or values.ndim > len(axes):
        return None
    full = values.reshape((1,) * (len(axes) - values.ndim) + values.shape)
    for place, axis in enumerate(axes):
        if full.shape[place] not in ((1, channels) if axis == 1 else (1,)):
            return None
    return numpy.broadcast_to(full.reshape(-1).astype(numpy.float64), (channels,))
