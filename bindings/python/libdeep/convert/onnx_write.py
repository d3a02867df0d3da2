# SPDX-License-Identifier: Apache-2.0
"""The neutral form as an ONNX graph. Batch norm stays a node of its own, so every weight is there as it
is."""

from __future__ import annotations

import json
from typing import Any, Dict, List, Tuple

import numpy

from .errors import need
from .network import Network, transposed
from .output import replacing

OPSET = 17
IR_VERSION = 8  # that of the first release with opset 17
BATCH = "batch"  # the name of the dimension that is left open
METADATA = "deep."  # prefix of the properties


def _onnx() -> Any:
    try:
        import onnx
    except ImportError as error:
        raise need("onnx", "onnx", "reading and writing ONNX files") from error
    return onnx


class _GraphWriter:
    """Appends nodes; methods take the name of a value and give that of the next."""

    def __init__(self, network: Network) -> None:
        self.onnx = _onnx()
        self.network = network
        self.form = network.architecture
        self.nodes: List[Any] = []
        self.initializers: List[Any] = []
        self.side = self.form.input_size

    def node(self, kind: str, name: str, inputs: List[str], **attributes: Any) -> str:
        self.nodes.append(self.onnx.helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def weight(self, name: str, values: numpy.ndarray) -> str:
        self.initializers.append(self.onnx.numpy_helper.from_array(numpy.ascontiguousarray(values), name))
        return name

    def kernel(self, name: str) -> str:
        return self.weight(name, transposed(self.network.weights, name))

    def vector(self, name: str) -> str:
        return self.weight(name, self.network.weights[name])

    def conv(self, name: str, value: str, side: int, stride: int, pad: int) -> str:
        return self.node(
            "Conv",
            name,
            [value, self.kernel(f"{name}.kernel")],
            kernel_shape=[side, side],
            strides=[stride, stride],
            pads=[pad] * 4,
        )

    def norm(self, name: str, value: str) -> str:
        weights = [
            self.vector(f"{name}.{suffix}") for suffix in ("gamma", "beta", "moving_mean", "moving_variance")
        ]
        return self.node("BatchNormalization", name, [value, *weights], epsilon=self.form.batch_norm_epsilon)

    def relu(self, name: str, value: str) -> str:
        return self.node("Relu", f"{name}_act", [value])

    def conv_unit(self, name: str, value: str, stride: int) -> str:
        self.side = (self.side - 3) // stride + 1
        return self.relu(name, self.norm(f"{name}_bn", self.conv(name, value, 3, stride, 0)))

    def separable(self, name: str, value: str) -> str:
        depthwise = f"{name}.depthwise_kernel"
        value = self.node(
            "Conv",
            f"{name}_depthwise",
            [value, self.kernel(depthwise)],
            kernel_shape=[3, 3],
            strides=[1, 1],
            pads=[1] * 4,
            group=self.network.weights[depthwise].shape[2],
        )
        value = self.node("Conv", name, [value, self.kernel(f"{name}.pointwise_kernel")], kernel_shape=[1, 1])
        return self.norm(f"{name}_bn", value)

    def pool(self, name: str, value: str) -> str:
        """TensorFlow pads an even side only behind, an odd one on both sides; PyTorch always on both."""
        before = 1 if self.form.padding == "symmetric" or self.side % 2 else 0
        self.side = (self.side + 1) // 2
        return self.node(
            "MaxPool", name, [value], kernel_shape=[3, 3], strides=[2, 2], pads=[before, before, 1, 1]
        )

    def down_block(self, block: int, value: str) -> str:
        name = f"block{block}"
        beside = self.norm(f"{name}_shortcut_bn", self.conv(f"{name}_shortcut", value, 1, 2, 0))
        if block != 2:
            value = self.relu(f"{name}_sepconv1", value)
        value = self.relu(f"{name}_sepconv2", self.separable(f"{name}_sepconv1", value))
        value = self.pool(f"{name}_pool", self.separable(f"{name}_sepconv2", value))
        return self.node("Add", f"{name}_add", [value, beside])

    def middle_block(self, block: int, value: str) -> str:
        start = value
        for index in (1, 2, 3):
            name = f"block{block}_sepconv{index}"
            value = self.separable(name, self.relu(name, value))
        return self.node("Add", f"block{block}_add", [value, start])

    def dense(self, name: str, value: str) -> str:
        inputs = [value, self.vector(f"{name}.kernel"), self.vector(f"{name}.bias")]
        return self.node("Gemm", name, inputs)

    def head(self, value: str) -> str:
        value = self.node("Flatten", "features", [self.node("GlobalAveragePool", "avg_pool", [value])])
        if self.form.head == "service":
            value = self.relu("dense", self.dense("dense", value))
        return self.node("Softmax", "probabilities", [self.dense("predictions", value)], axis=-1)

    def build(self, layout: str) -> Tuple[List[Any], str]:
        """(shape of the input, name of the output)"""
        size = self.form.input_size
        shape: List[Any] = [BATCH, 3, size, size]
        value = "image"
        if layout == "nhwc":
            shape = [BATCH, size, size, 3]
            value = self.node("Transpose", "image_nchw", [value], perm=[0, 3, 1, 2])
        value = self.conv_unit("block1_conv2", self.conv_unit("block1_conv1", value, 2), 1)
        for block in range(2, 6 + self.form.middle_blocks):
            middle = 5 <= block < 5 + self.form.middle_blocks
            value = (self.middle_block if middle else self.down_block)(block, value)
        for index in (1, 2):
            name = f"block{6 + self.form.middle_blocks}_sepconv{index}"
            value = self.relu(name, self.separable(name, value))
        return shape, self.head(value)


def properties(network: Network) -> Dict[str, str]:
    """What a graph cannot say, each as JSON: classes, AphiaIDs, preprocessing, and what a training would
    need."""
    images, form = network.preprocessing, network.architecture
    values = {
        "classes": network.classes,
        "aphia_ids": network.aphia_ids,
        "preprocessing": {
            "mode": images.mode,
            "mean": images.mean,
            "std": images.std,
            "filter": images.filter,
            "fit": images.fit,
            "input_channels": form.input_channels,
        },
        "architecture": {
            "name": "xception",
            "head": form.head,
            "width": form.width,
            "middle_blocks": form.middle_blocks,
            "input_size": form.input_size,
            "padding": form.padding,
            "batch_norm_epsilon": form.batch_norm_epsilon,
            "dropout": form.dropout,
        },
    }
    return {
        METADATA + name: json.dumps(value, ensure_ascii=False, sort_keys=True)
        for name, value in values.items()
    }


def write_onnx(network: Network, path: str, layout: str = "nchw") -> None:
    """A graph from ``image`` (float32, prepared as the properties say) to ``probabilities``; the batch is
    open.

    ``layout`` is the order of the image's axes: "nchw" or "nhwc".
    """
    onnx = _onnx()
    writer = _GraphWriter(network)
    shape, output = writer.build(layout)
    number = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        writer.nodes,
        "xception",
        [onnx.helper.make_tensor_value_info("image", number, shape)],
        [onnx.helper.make_tensor_value_info(output, number, [BATCH, network.architecture.classes])],
        initializer=writer.initializers,
    )
    model = onnx.helper.make_model(
        graph,
        producer_name="libdeep",
        ir_version=IR_VERSION,
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
    )
    onnx.helper.set_model_props(model, properties(network))
    onnx.checker.check_model(model, full_check=True)
    with replacing(path) as temporary, open(temporary, "wb") as file:
        file.write(model.SerializeToString(deterministic=True))
