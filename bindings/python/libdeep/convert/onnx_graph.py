# SPDX-License-Identifier: Apache-2.0
"""Walks an ONNX graph and writes down the network it computes as graph.Graph. Nothing is run: each operator
that exporters of Xception use has a method here, any other is refused by its name."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Callable, Dict, List, Optional, Tuple, Union

import numpy

from .errors import Where
from .graph import SAME, VALID, Graph
from .onnx_proto import Tensors, attributes_of, opset_of
from .onnx_values import FEATURES, NCHW, Affine, Maps, ShapeOf, Step, Value, moved, per_channel

Attributes = Dict[str, Any]
FLOATS = (1, 10)  # FLOAT and FLOAT16 in TensorProto.DataType
Padding = Union[str, Tuple[int, ...]]


class OnnxWalk:
    """``graph`` afterwards; its convolutions' and dense layers' sources are kernels, its norms' sources
    Affine."""

    def __init__(self, where: Where, model: Any) -> None:
        self.where = where
        self.proto = model.graph
        self.opset = opset_of(model)
        self.graph = Graph(where)
        self.tensors = Tensors(where, model.graph.initializer)
        self.values: Dict[str, Value] = {}
        self.uses: Dict[str, int] = {}
        self.steps: Dict[str, int] = {}  # by node: what has been done to its channels so far
        self.place = ""  # the node at hand, for messages

    # Walking

    def walk(self) -> Graph:
        for node in self.proto.node:
            for name in node.input:
                self.uses[name] = self.uses.get(name, 0) + 1
        self.take_input()
        for node in self.proto.node:
            self.step(node)
        outputs = [output.name for output in self.proto.output]
        if len(outputs) != 1:
            raise self.where.refuse("ONNX", f"{len(outputs)} outputs, one is expected")
        self.place = outputs[0]
        self.graph.output = self.maps(self.values.get(outputs[0]), outputs[0]).node
        return self.graph

    def take_input(self) -> None:
        """The one input that is no initializer: (batch, 3, side, side) or (batch, side, side, 3)."""
        inputs = [value for value in self.proto.input if value.name not in self.tensors]
        if len(inputs) != 1:
            raise self.where.refuse("ONNX", f"{len(inputs)} inputs, one is expected")
        tensor = inputs[0].type.tensor_type
        sides = [int(dim.dim_value) if dim.HasField("dim_value") else 0 for dim in tensor.shape.dim]
        if tensor.elem_type not in FLOATS or len(sides) != 4:
            raise self.where.refuse(
                inputs[0].name,
                f"element type {tensor.elem_type}, dimensions {sides}: not a batch " "of float images",
            )
        last = sides[3] == 3 and sides[1] != 3
        channels, rows, columns = (sides[3], sides[1], sides[2]) if last else sides[1:]
        if channels not in (0, 3) or rows != columns:
            raise self.where.refuse(inputs[0].name, f"dimensions {sides}: not squares of 3 channels")
        name = self.graph.add(inputs[0].name, "input", [], size=max(rows, 0))
        self.values[name] = Maps(name, (0, 2, 3, 1) if last else NCHW)

    def step(self, node: Any) -> None:
        name = node.output[0] if node.output else ""
        self.place = f'{node.op_type} "{node.name or name}"'
        if node.domain not in ("", "ai.onnx"):
            raise self.where.refuse(
                self.place, f"operator of domain {node.domain}, which is none of ONNX's own"
            )
        method = OPERATORS.get(node.op_type)
        if method is None:
            raise self.where.refuse(
                self.place, "no exporter of Xception uses this operator; it is not supported"
            )
        if not name or [output for output in node.output[1:] if output and self.uses.get(output)]:
            raise self.where.refuse(self.place, f"{len(node.output)} outputs, one is expected")
        if name in self.values or name in self.tensors:
            raise self.where.refuse(self.place, f'makes "{name}", which is already there')
        inputs = [self.value(value) if value else None for value in node.input]
        self.values[name] = method(self, name, inputs, attributes_of(self.where, node))

    def value(self, name: str) -> Value:
        if name in self.values:
            return self.values[name]
        if name in self.tensors:
            return self.tensors[name]
        raise self.where.refuse(
            self.place, f'reads "{name}", which nothing before it makes: a cycle, or missing'
        )

    def refuse(self, what: object) -> Exception:
        return self.where.refuse(self.place, what)

    # What operators ask of their inputs

    def maps(
        self, value: Optional[Value], what: str = "its input", axes: Optional[Tuple[int, ...]] = None
    ) -> Maps:
        if not isinstance(value, Maps):
            raise self.refuse(f"{what} does not come from the image")
        if axes is not None and value.axes != axes:
            raise self.refuse(f"{what} has its axes in the order {value.axes}, {axes} is expected")
        if value.steps != self.steps.get(value.node, 0):
            raise self.refuse(f'reads "{value.node}" as it was before its batch norm or bias')
        return value

    def known(self, value: Optional[Value], what: str) -> numpy.ndarray:
        if not isinstance(value, numpy.ndarray):
            raise self.refuse(f"{what} is not a constant")
        return value

    def weights(self, value: Optional[Value], what: str, rank: int) -> numpy.ndarray:
        values = self.known(value, what)
        if values.ndim != rank or values.dtype not in (numpy.float32, numpy.float16):
            raise self.refuse(
                f"{what} is {values.dtype.name} of shape {values.shape}, not float32 of {rank} dimensions"
            )
        return values.astype(numpy.float32)

    def whole_numbers(self, value: Optional[Value], what: str) -> List[int]:
        values = self.known(value, what)
        if values.dtype.kind != "i" or values.ndim > 1 or values.size > 8:
            raise self.refuse(
                f"{what} is {values.dtype.name} of shape {values.shape}, not a few whole numbers"
            )
        return [int(number) for number in values.reshape(-1)]

    def want(self, attributes: Attributes, **wanted: Any) -> None:
        for name, value in wanted.items():
            if attributes.get(name, value) != value:
                raise self.refuse(f"{name} is {attributes[name]}, {value} is expected")

    def window(
        self, attributes: Attributes, shape: Optional[Tuple[int, ...]] = None
    ) -> Tuple[int, int, Padding]:
        """(side, stride, padding) of a convolution or pool; ``shape`` is the kernel's, which must agree."""
        sides = list(attributes.get("kernel_shape", shape[2:] if shape else []))
        strides, dilations = list(attributes.get("strides", [1, 1])), attributes.get("dilations", [1, 1])
        if len(sides) != 2 or sides[0] != sides[1] or len(strides) != 2 or strides[0] != strides[1]:
            raise self.refuse(f"window {sides}, strides {strides}: not squares")
        if shape is not None and sides != list(shape[2:]):
            raise self.refuse(f"kernel_shape is {sides}, the weights are {list(shape)}")
        if list(dilations) != [1, 1]:
            raise self.refuse(f"dilations are {list(dilations)}")
        return int(sides[0]), int(strides[0]), self.padding(attributes)

    def padding(self, attributes: Attributes) -> Padding:
        rule = attributes.get("auto_pad", b"NOTSET").decode("ascii", "replace")
        pads = tuple(int(pixels) for pixels in attributes.get("pads", (0, 0, 0, 0)))
        if rule == "SAME_UPPER":
            return SAME
        if rule == "VALID":
            return VALID
        if rule != "NOTSET" or len(pads) != 4:
            raise self.refuse(f"auto_pad {rule}, pads {pads}")
        return pads

    # Convolutions and what follows them

    def conv(self, name: str, inputs: List[Any], attributes: Attributes) -> Value:
        maps = self.maps(inputs[0], axes=NCHW)
        kernel = self.weights(inputs[1], "the kernel", 4)
        side, stride, padding = self.window(attributes, kernel.shape)
        group = attributes.get("group", 1)
        bias = self.weights(inputs[2], "the bias", 1) if len(inputs) > 2 and inputs[2] is not None else None
        if bias is not None and bias.shape != kernel.shape[:1]:
            raise self.refuse(f"{bias.size} biases for {kernel.shape[0]} channels")
        if group != 1:
            if kernel.shape[:2] != (group, 1) or (bias is not None and bias.any()):
                raise self.refuse(
                    f"{group} groups, weights of shape {kernel.shape}, "
                    f'{"a" if bias is not None else "no"} bias: not a depthwise convolution'
                )
            self.graph.add(
                name, "depthwise", [maps.node], kernel, window=side, stride=stride, padding=padding
            )
            return Maps(name, NCHW)
        self.graph.add(
            name,
            "conv",
            [maps.node],
            kernel,
            window=side,
            stride=stride,
            padding=padding,
            outputs=int(kernel.shape[0]),
        )
        affine = Affine(int(kernel.shape[0]))
        if bias is not None:
            affine.steps.append(Step(shift=bias.astype(numpy.float64)))
        return Maps(self.graph.add(f"{name}/norm", "norm", [name], affine, epsilon=None), NCHW)

    def extend(self, value: Maps, step: Step) -> Value:
        """One more step behind a convolution or dense layer."""
        node = self.graph.nodes[value.node]
        if value.node in self.graph.read:
            raise self.refuse(f'changes "{value.node}", which something else reads as it was')
        if node.kind == "dense" and step.scale is None and step.norm is None:
            node.source["bias"] = node.source["bias"] + step.shift
        elif node.kind == "norm":
            node.source.steps.append(step)
            node.attributes["epsilon"] = node.source.epsilon()
        else:
            raise self.refuse(
                f'changes each channel of {node.kind} "{node.name}"; Xception does so only behind a '
                "convolution"
            )
        self.steps[node.name] = value.steps + 1
        return replace(value, steps=value.steps + 1)

    def channels(self, value: Maps) -> int:
        node = self.graph.nodes[value.node]
        if node.kind == "norm":
            return int(node.source.channels)
        return int(node.attributes["outputs"]) if node.kind == "dense" else 0

    def batch_normalization(self, name: str, inputs: List[Any], attributes: Attributes) -> Value:
        self.want(attributes, training_mode=0, spatial=1, is_test=1)
        maps = self.maps(inputs[0], axes=NCHW)
        vectors = [
            self.weights(value, what, 1)
            for value, what in zip(inputs[1:5], ("the scale", "the shift", "the mean", "the variance"))
        ]
        count = self.channels(maps)
        if len(vectors) != 4 or any(vector.size != count for vector in vectors):
            raise self.refuse(
                f"vectors of {[vector.size for vector in vectors]} numbers behind {count} channels"
            )
        epsilon = float(attributes.get("epsilon", 1e-5))
        if not 0 < epsilon < 1:
            raise self.refuse(f"epsilon is {epsilon}")
        # The attribute is a float32: 1e-3 comes back as 0.0010000000474974513.
        epsilon = float(f"{epsilon:.7g}")
        return self.extend(maps, Step(norm=(vectors[0], vectors[1], vectors[2], vectors[3]), epsilon=epsilon))

    def arithmetic(self, inputs: List[Any]) -> Tuple[Maps, numpy.ndarray, bool]:
        """(maps, vector over channels, whether the maps come first) of an operator on maps and a constant."""
        first = isinstance(inputs[0], Maps)
        maps = self.maps(inputs[0] if first else inputs[1], "neither operand")
        vector = per_channel(
            self.known(inputs[1] if first else inputs[0], "an operand"), maps.axes, self.channels(maps)
        )
        if vector is None or not self.channels(maps):
            raise self.refuse(
                "combines maps with a constant that is not one number for each channel of a convolution"
            )
        return maps, vector, first

    def add(self, name: str, inputs: List[Any], attributes: Attributes) -> Value:
        if all(isinstance(value, Maps) for value in inputs):
            left, right = (self.maps(value) for value in inputs)
            if left.axes != right.axes:
                raise self.refuse(f"adds maps with axes {left.axes} and {right.axes}")
            return Maps(self.graph.add(name, "add", [left.node, right.node]), left.axes)
        maps, vector, _ = self.arithmetic(inputs)
        return self.extend(maps, Step(shift=vector))

    def sub(self, name: str, inputs: List[Any], attributes: Attributes) -> Value:
        maps, vector, first = self.arithmetic(inputs)
        return self.extend(
            maps, Step(shift=-vector) if first else Step(scale=-numpy.ones_like(vector), shift=vector)
        )

    def mul(self, name: str, inputs: List[Any], attributes: Attributes) -> Value:
        maps, vector, _ = self.arithmetic(inputs)
        return self.extend(maps, Step(scale=vector))

    def div(self, name: str, inputs: List[Any], attributes: Attributes) -> Value:
        maps, vector, first = self.arithmetic(inputs)
        if not first or not vector.all():
            raise self.refuse("divides by maps or by 0")
        return self.extend(maps, Step(scale=1 / vector))

    # The rest of the network

    def relu(self, name: str, inputs: List[Any], attributes: Attributes) -> Value:
        maps = self.maps(inputs[0])
        return Maps(self.graph.add(name, "relu", [maps.node]), maps.axes, maps.pooled)

    def max_pool(self, name: str, inputs: List[Any], attributes: Attributes) -> Value:
        self.want(attributes, ceil_mode=0, storage_order=0)
        maps = self.maps(inputs[0], axes=NCHW)
        side, stride, padding = self.window(attributes)
        return Maps(
            self.graph.add(name, "pool", [maps.node], window=side, stride=stride, padding=padding), NCHW
        )

    def global_average_pool(self, name: str, inputs: List[Any], attributes: Attributes) -> Value:
        maps = self.maps(inputs[0], axes=NCHW)
        return Maps(self.graph.add(name, "average", [maps.node]), NCHW, pooled=True)

    def reduce_mean(self, name: str, inputs: List[Any], attributes: Attributes) -> Value:
        maps = self.maps(inputs[0])
        axes = self.whole_numbers(inputs[1], "axes") if len(inputs) > 1 else list(attributes.get("axes", []))
        rank = len(maps.axes)
        if any(not -rank <= axis < rank for axis in axes):
            raise self.refuse(f"axes {axes} of {rank} dimensions")
        if sorted(maps.axes[axis] for axis in axes) != [2, 3]:
            raise self.refuse(f"averages over axes {axes}, not over rows and columns")
        self.graph.add(name, "average", [maps.node])
        return Maps(name, maps.axes, pooled=True) if attributes.get("keepdims", 1) else Maps(name, FEATURES)

    def matmul(self, name: str, inputs: List[Any], attributes: Attributes) -> Value:
        return self.dense(
            name, self.maps(inputs[0], axes=FEATURES), self.weights(inputs[1], "the kernel", 2), None
        )

    def gemm(self, name: str, inputs: List[Any], attributes: Attributes) -> Value:
        self.want(attributes, alpha=1.0, beta=1.0, transA=0)
        kernel = self.weights(inputs[1], "the kernel", 2)
        bias = self.weights(inputs[2], "the bias", 1) if len(inputs) > 2 and inputs[2] is not None else None
        return self.dense(
            name,
            self.maps(inputs[0], axes=FEATURES),
            kernel.T if attributes.get("transB", 0) else kernel,
            bias,
        )

    def dense(self, name: str, maps: Maps, kernel: numpy.ndarray, bias: Optional[numpy.ndarray]) -> Value:
        outputs = int(kernel.shape[1])
        if bias is not None and bias.size != outputs:
            raise self.refuse(f"{bias.size} biases for {outputs} outputs")
        source = {"kernel": kernel, "bias": numpy.zeros(outputs, numpy.float32) if bias is None else bias}
        return Maps(self.graph.add(name, "dense", [maps.node], source, outputs=outputs), FEATURES)

    def softmax(self, name: str, inputs: List[Any], attributes: Attributes) -> Value:
        maps = self.maps(inputs[0], axes=FEATURES)
        if attributes.get("axis", -1 if self.opset >= 13 else 1) not in (-1, 1):
            raise self.refuse(f'axis is {attributes["axis"]}')
        return Maps(self.graph.add(name, "softmax", [maps.node]), FEATURES)

    # Moving numbers about

    def same(self, name: str, inputs: List[Any], attributes: Attributes) -> Value:
        """Identity, and Dropout at inference."""
        value: Value = inputs[0]
        if len(inputs) > 2 and inputs[2] is not None and self.known(inputs[2], "training_mode").any():
            raise self.refuse("is in training mode")
        return value

    def cast(self, name: str, inputs: List[Any], attributes: Attributes) -> Value:
        kinds = {1: numpy.float32, 6: numpy.int32, 7: numpy.int64, 10: numpy.float16, 11: numpy.float64}
        kind = attributes.get("to")
        value: Value = inputs[0]
        if isinstance(value, numpy.ndarray) and kind in kinds:
            return numpy.asarray(value, kinds[kind])
        if isinstance(value, ShapeOf) or kind in FLOATS:
            return value
        raise self.refuse(f"to type {kind}")

    def constant(self, name: str, inputs: List[Any], attributes: Attributes) -> Value:
        for key, kind in (
            ("value", None),
            ("value_ints", numpy.int64),
            ("value_int", numpy.int64),
            ("value_floats", numpy.float32),
            ("value_float", numpy.float32),
        ):
            if key in attributes:
                return numpy.asarray(attributes[key], kind)
        raise self.refuse(f'attributes {", ".join(attributes)}')

    def transpose(self, name: str, inputs: List[Any], attributes: Attributes) -> Value:
        value = inputs[0]
        rank = len(value.axes) if isinstance(value, Maps) else self.known(value, "its input").ndim
        order = tuple(int(axis) for axis in attributes.get("perm", range(rank - 1, -1, -1)))
        if sorted(order) != list(range(rank)):
            raise self.refuse(f"perm is {list(order)} of {rank} dimensions")
        return moved(value, order) if isinstance(value, Maps) else value.transpose(order)

    def reshape(self, name: str, inputs: List[Any], attributes: Attributes) -> Value:
        if isinstance(inputs[0], Maps):
            return self.flattened(inputs[0])
        sizes = self.whole_numbers(inputs[1], "the shape")
        with self.where.reading(self.place):
            values = self.known(inputs[0], "its input")
            sizes = [
                values.shape[place] if size == 0 and place < values.ndim else size
                for place, size in enumerate(sizes)
            ]
            return values.reshape(sizes)

    def flattened(self, value: Maps) -> Maps:
        """Maps of one pixel as (image, channel); nothing else is reshaped in Xception."""
        if value.axes != FEATURES and not value.pooled:
            raise self.refuse("reshapes maps that are larger than one pixel")
        return replace(value, axes=FEATURES)

    def squeeze(self, name: str, inputs: List[Any], attributes: Attributes) -> Value:
        if isinstance(inputs[0], ShapeOf):
            return inputs[0]
        axes = self.whole_numbers(inputs[1], "axes") if len(inputs) > 1 else list(attributes.get("axes", []))
        if isinstance(inputs[0], Maps):
            rank = len(inputs[0].axes)
            if any(not -rank <= axis < rank for axis in axes) or sorted(
                inputs[0].axes[axis] for axis in axes
            ) != [2, 3]:
                raise self.refuse(f"axes {axes}, not rows and columns")
            return self.flattened(inputs[0])
        with self.where.reading(self.place):
            return numpy.squeeze(self.known(inputs[0], "its input"), tuple(axes) if axes else None)

    def unsqueeze(self, name: str, inputs: List[Any], attributes: Attributes) -> Value:
        if isinstance(inputs[0], ShapeOf):
            return inputs[0]
        axes = self.whole_numbers(inputs[1], "axes") if len(inputs) > 1 else list(attributes.get("axes", []))
        with self.where.reading(self.place):
            return numpy.expand_dims(self.known(inputs[0], "its input"), tuple(axes))

    def flatten(self, name: str, inputs: List[Any], attributes: Attributes) -> Value:
        self.want(attributes, axis=1)
        return self.flattened(self.maps(inputs[0]))

    def shape(self, name: str, inputs: List[Any], attributes: Attributes) -> Value:
        """Only ever the way to a Reshape, whose result is known without it."""
        return ShapeOf()


def _on_numbers(compute: Callable[..., numpy.ndarray]) -> Callable[..., Value]:
    """An operator on constants, as exporters leave them behind; also what is computed from shapes."""

    def run(walk: OnnxWalk, name: str, inputs: List[Any], attributes: Attributes) -> Value:
        if any(isinstance(value, ShapeOf) for value in inputs):
            return ShapeOf()
        values = [walk.known(value, "an operand") for value in inputs if value is not None]
        if sum(value.size for value in values) > MAX_FOLDED or not math.prod(
            value.ndim <= 4 for value in values
        ):
            raise walk.refuse(f"computes with {sum(value.size for value in values)} constants")
        with walk.where.reading(walk.place):
            return compute(values, attributes)

    return run


def _gather(values: List[numpy.ndarray], attributes: Attributes) -> numpy.ndarray:
    return numpy.take(values[0], values[1], axis=int(attributes.get("axis", 0)))


def _concat(values: List[numpy.ndarray], attributes: Attributes) -> numpy.ndarray:
    return numpy.concatenate(values, axis=int(attributes["axis"]))


MAX_FOLDED = 64  # numbers: enough for shapes
OPERATORS: Dict[str, Callable[..., Value]] = {
    "Conv": OnnxWalk.conv,
    "BatchNormalization": OnnxWalk.batch_normalization,
    "Relu": OnnxWalk.relu,
    "MaxPool": OnnxWalk.max_pool,
    "Add": OnnxWalk.add,
    "Sub": OnnxWalk.sub,
    "Mul": OnnxWalk.mul,
    "Div": OnnxWalk.div,
    "GlobalAveragePool": OnnxWalk.global_average_pool,
    "ReduceMean": OnnxWalk.reduce_mean,
    "MatMul": OnnxWalk.matmul,
    "Gemm": OnnxWalk.gemm,
    "Softmax": OnnxWalk.softmax,
    "Identity": OnnxWalk.same,
    "Dropout": OnnxWalk.same,
    "Cast": OnnxWalk.cast,
    "Constant": OnnxWalk.constant,
    "Transpose": OnnxWalk.transpose,
    "Reshape": OnnxWalk.reshape,
    "Squeeze": OnnxWalk.squeeze,
    "Unsqueeze": OnnxWalk.unsqueeze,
    "Flatten": OnnxWalk.flatten,
    "Shape": OnnxWalk.shape,
    "Gather": _on_numbers(_gather),
    "Concat": _on_numbers(_concat),
    "Slice": _on_numbers(lambda values, _: values[0]),
}
