# SPDX-License-Identifier: Apache-2.0
"""ONNX: what is written, run by another program; graphs in the forms of exporters, written here; hostile
files."""

from __future__ import annotations

import json

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed")

from onnx import TensorProto, helper, numpy_helper

from convert_support import images, probabilities, refused, same_form, same_weights, tiny_model
from libdeep import convert

FORMS = [
    {"head": "imagenet"},
    {"head": "service", "dropout": 0.25},
    {"padding": "symmetric", "batch_norm_epsilon": 1e-5},
    {"input_size": 80},
    {"input_size": 80, "padding": "symmetric"},
]


def written(tmp_path, model, layout="nchw"):
    """The graph that convert.save() writes, and where."""
    path = tmp_path / "net.onnx"
    convert.save(model, path, layout=layout)
    return onnx.load(path), path


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_a_round_trip_keeps_every_bit_and_word(tmp_path, form, layout):
    model = tiny_model(
        ["Copepoda", "Diatoma", "ü"],
        aphia_ids=[1080, 0, 7],
        mean=[1, 2, 3],
        std=[4, 5, 6],
        fit="pad",
        preprocess="torch",
        **form,
    )
    written(tmp_path, model, layout)
    again = convert.load(tmp_path / "net.onnx")
    same_weights(model, again)
    same_form(model, again)
    assert again.info == model.info
    assert (again.classes, again.aphia_ids) == (model.classes, model.aphia_ids)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_onnxruntime_agrees(tmp_path, form, layout):
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    model = tiny_model(5, **form)
    written(tmp_path, model, layout)
    session = runtime.InferenceSession(str(tmp_path / "net.onnx"), providers=["CPUExecutionProvider"])
    for count in (1, 3):  # the batch is open
        x = images(model, count)
        ours = probabilities(model, x)
        theirs = session.run(None, {"image": x if layout == "nhwc" else x.transpose(0, 3, 1, 2)})[0]
        assert abs(ours - theirs).max() <= 1e-4 * abs(ours).max()


def test_what_is_written_is_clean_and_says_what_it_is(tmp_path):
    proto, path = written(tmp_path, tiny_model(["a", "b"]))
    onnx.checker.check_model(str(path), full_check=True)
    assert proto.opset_import[0].version >= 17
    properties = {entry.key: json.loads(entry.value) for entry in proto.metadata_props}
    assert properties["deep.classes"] == ["a", "b"]
    assert properties["deep.preprocessing"]["mean"] == [127.5] * 3
    assert proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"


# Forms of exporters


def folded(proto):
    """Batch norm folded into the convolutions before it, as torch.onnx.export and tf2onnx do."""
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    nodes = []
    for node in proto.graph.node:
        if node.op_type != "BatchNormalization":
            nodes.append(node)
            continue
        gamma, beta, mean, variance = (values.pop(name).astype(np.float64) for name in node.input[1:])
        scale = gamma / np.sqrt(variance + node.attribute[0].f)
        conv = nodes[-1]
        values[conv.input[1]] = (values[conv.input[1]] * scale[:, None, None, None]).astype(np.float32)
        values[conv.output[0] + "_bias"] = (beta - mean * scale).astype(np.float32)
        conv.input.append(conv.output[0] + "_bias")
        conv.output[0] = node.output[0]
    return rebuilt(proto, nodes, values)


def rebuilt(proto, nodes, values):
    del proto.graph.node[:], proto.graph.initializer[:]
    proto.graph.node.extend(nodes)
    proto.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in values.items())
    return proto


def unfused(proto):
    """Batch norm as a multiplication and an addition, the dense layer as MatMul and Add, pooling as
    ReduceMean."""
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    nodes = []
    for node in proto.graph.node:
        name, result = node.name, node.output[0]
        if node.op_type == "BatchNormalization":
            gamma, beta, mean, variance = (values.pop(part).astype(np.float64) for part in node.input[1:])
            scale = gamma / np.sqrt(variance + node.attribute[0].f)
            values[name + "_mul"] = scale.astype(np.float32).reshape(1, -1, 1, 1)
            values[name + "_sub"] = (mean * scale - beta).astype(np.float32).reshape(-1, 1, 1)
            nodes += [
                helper.make_node("Mul", [name + "_mul", node.input[0]], [name + "_m"]),
                helper.make_node("Sub", [name + "_m", name + "_sub"], [result]),
            ]
        elif node.op_type == "Gemm":
            nodes += [
                helper.make_node("MatMul", node.input[:2], [name + "_m"]),
                helper.make_node("Add", [name + "_m", node.input[2]], [result]),
            ]
        elif node.op_type == "GlobalAveragePool":
            nodes.append(helper.make_node("ReduceMean", node.input, node.output, axes=[2, 3], keepdims=1))
        elif node.op_type == "Flatten":
            values["axes"] = np.array([2, 3])
            nodes.append(helper.make_node("Squeeze", [node.input[0], "axes"], node.output))
        else:
            nodes.append(node)
    return rebuilt(proto, nodes, values)


def shuffled_axes(proto):
    """NHWC maps wherever the operator allows, with Transposes between, as tf2onnx writes them before
    optimising."""
    nodes = []
    for node in proto.graph.node:
        if node.op_type == "Relu" and node.output[0].startswith("block"):
            name = node.name
            nodes += [
                helper.make_node("Transpose", node.input, [name + "_a"], perm=[0, 2, 3, 1]),
                helper.make_node("Relu", [name + "_a"], [name + "_b"]),
                helper.make_node("Transpose", [name + "_b"], node.output, perm=[0, 3, 1, 2]),
            ]
        elif node.op_type == "Flatten":
            nodes += [
                helper.make_node("Shape", node.input, ["shape"]),
                helper.make_node("Constant", [], ["zero"], value=numpy_helper.from_array(np.array([0]))),
                helper.make_node("Constant", [], ["rest"], value_ints=[-1]),
                helper.make_node("Gather", ["shape", "zero"], ["batch_size"]),
                helper.make_node("Concat", ["batch_size", "rest"], ["target"], axis=0),
                helper.make_node("Reshape", [node.input[0], "target"], node.output),
            ]
        else:
            nodes.append(node)
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    return rebuilt(proto, nodes, values)


def automatic_pads(proto):
    """TensorFlow's rule by its name."""
    for node in proto.graph.node:
        if node.op_type == "MaxPool":
            kept = [attribute for attribute in node.attribute if attribute.name != "pads"]
            del node.attribute[:]
            node.attribute.extend(kept + [helper.make_attribute("auto_pad", "SAME_UPPER")])
    return proto


def without_softmax(proto):
    proto.graph.output[0].name = proto.graph.node[-1].input[0]
    del proto.graph.node[-1]
    return proto


@pytest.mark.parametrize(
    "change",
    [
        folded,
        unfused,
        shuffled_axes,
        automatic_pads,
        without_softmax,
        lambda proto: shuffled_axes(unfused(proto)),
    ],
)
@pytest.mark.parametrize("side", [71, 80])
def test_the_forms_of_exporters(tmp_path, change, side):
    model = tiny_model(4, head="service", input_size=side)
    proto, path = written(tmp_path, model)
    del proto.metadata_props[:]
    onnx.save(change(proto), path)
    again = convert.load(path)
    x = images(model)
    # Folding rounds each weight once more: some units in the last place, through 30 layers.
    np.testing.assert_allclose(probabilities(again, x), probabilities(model, x), rtol=1e-4, atol=1e-6)
    same_form(model, again) if change is not without_softmax else None


def test_folded_batch_norm_is_said_and_the_rest_is_untouched(tmp_path):
    model = tiny_model(padding="symmetric", batch_norm_epsilon=1e-5, input_size=80)
    proto, path = written(tmp_path, model)
    onnx.save(folded(proto), path)
    done = convert.convert(path, tmp_path / "net.safetensors")
    assert any("folded" in note for note in done.notes)
    np.testing.assert_array_equal(done.model.params["block1_conv1_bn.gamma"], 1)
    name = "block2_sepconv1.depthwise_kernel"
    np.testing.assert_array_equal(done.model.params[name], model.params[name])
    assert done.model.info.padding == "symmetric" and done.model.info.batch_norm_epsilon == pytest.approx(
        1e-5
    )


def test_a_graph_of_open_size_takes_the_callers(tmp_path):
    model = tiny_model(input_size=80, padding="symmetric")
    proto, path = written(tmp_path, model)
    for place in (2, 3):
        proto.graph.input[0].type.tensor_type.shape.dim[place].dim_param = "side"
    del proto.metadata_props[:]
    onnx.save(proto, path)
    again = convert.load(path, input_size=80)
    same_form(model, again)
    assert convert.load(path).info.input_size == 299


# Files that are not what they seem


def node_of(proto, name):
    return next(node for node in proto.graph.node if node.name == name)


def initializer(proto, name):
    return next(tensor for tensor in proto.graph.initializer if tensor.name == name)


def attribute(proto, node, **values):
    found = node_of(proto, node)
    kept = [entry for entry in found.attribute if entry.name not in values]
    del found.attribute[:]
    found.attribute.extend(kept + [helper.make_attribute(name, value) for name, value in values.items()])


def external(proto):
    tensor = initializer(proto, "predictions.bias")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../../../etc/passwd")


def external_attribute(proto):
    tensor = TensorProto(name="t", data_type=1, dims=[1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="/etc/passwd")
    proto.graph.node.insert(0, helper.make_node("Constant", [], ["x"], name="c", value=tensor))


def dims(*extents, name="predictions.bias"):
    def change(proto):
        tensor = initializer(proto, name)
        del tensor.dims[:]
        tensor.dims.extend(extents)

    return change


def cycle(proto):
    node_of(proto, "block2_sepconv1_depthwise").input[0] = "block14_sepconv2_act"


def other_operator(proto, kind="Sigmoid", name="block1_conv1_act", domain=""):
    node_of(proto, name).op_type = kind
    node_of(proto, name).domain = domain


def another_output(proto):
    proto.graph.output.add().CopyFrom(helper.make_tensor_value_info("block2_add", TensorProto.FLOAT, None))


def nested_graph(proto):
    inner = helper.make_graph([], "g", [], [])
    proto.graph.node.insert(
        0, helper.make_node("If", ["image"], ["x"], name="branch", then_branch=inner, else_branch=inner)
    )


def hidden_graph(proto):
    attribute(proto, "block1_conv1_act", body=helper.make_graph([], "g", [], []))


def function(proto):
    proto.functions.append(
        helper.make_function("own", "F", ["x"], ["y"], [helper.make_node("Relu", ["x"], ["y"])], [])
    )


def many_nodes(proto):
    for number in range(10_001):
        proto.graph.node.add(op_type="Relu", input=["image"], output=[f"r{number}"])


def scaled_input(proto):
    proto.graph.node.insert(
        0, helper.make_node("Mul", ["image", "block1_conv1_bn.gamma"], ["scaled"], name="scale")
    )
    node_of(proto, "block1_conv1").input[0] = "scaled"


def swapped_sum(proto):
    node_of(proto, "block5_add").input[1] = "block3_add"


def tap_before_norm(proto):
    """The shortcut's addition reads the convolution as it was before its batch norm."""
    node_of(proto, "block2_add").input[1] = "block2_shortcut"


def properties(**values):
    return lambda proto: helper.set_model_props(
        proto, {f"deep.{name}": json.dumps(value) for name, value in values.items()}
    )


HOSTILE = {
    "external data": (external, ["predictions.bias", "external"]),
    "external data in an attribute": (external_attribute, ["external"]),
    "negative dimension": (dims(-3), ["predictions.bias", "-3"]),
    "dimensions whose product wraps": (dims(4194305, 4194305, 211106198978564), ["predictions.bias"]),
    "more numbers than stored": (dims(4), ["predictions.bias", "3 are stored"]),
    "fewer numbers than stored": (dims(2), ["predictions.bias", "3 are stored"]),
    "rank 9": (dims(*[1] * 8, 3), ["predictions.bias", "dimensions"]),
    "text as weights": (
        lambda proto: setattr(initializer(proto, "predictions.bias"), "data_type", 8),
        ["data type 8"],
    ),
    "unknown type": (
        lambda proto: setattr(initializer(proto, "predictions.bias"), "data_type", 99),
        ["data type 99"],
    ),
    "double precision": (
        lambda proto: initializer(proto, "predictions.bias").CopyFrom(
            numpy_helper.from_array(np.zeros(3), "predictions.bias")
        ),
        ["bias", "float64"],
    ),
    "not a number": (
        lambda proto: initializer(proto, "predictions.bias").CopyFrom(
            numpy_helper.from_array(np.float32([0, np.nan, 0]), "predictions.bias")
        ),
        ["predictions.bias", "nan"],
    ),
    "initializer twice": (
        lambda proto: proto.graph.initializer.add().CopyFrom(proto.graph.initializer[0]),
        ["already"],
    ),
    "sparse initializer": (lambda proto: proto.graph.sparse_initializer.add(), ["sparse"]),
    "no opset": (lambda proto: proto.ClearField("opset_import"), ["0 opset"]),
    "opset of the future": (lambda proto: setattr(proto.opset_import[0], "version", 999), ["opset 999"]),
    "opset of the past": (lambda proto: setattr(proto.opset_import[0], "version", 1), ["opset 1"]),
    "two opsets": (lambda proto: proto.opset_import.append(proto.opset_import[0]), ["2 opset"]),
    "no graph": (lambda proto: proto.ClearField("graph"), ["no graph"]),
    "unsupported operator": (other_operator, ["Sigmoid", "block1_conv1_act"]),
    "operator of another domain": (
        lambda proto: other_operator(proto, "Relu", domain="com.microsoft"),
        ["com.microsoft"],
    ),
    "leaky activation": (lambda proto: other_operator(proto, "LeakyRelu"), ["LeakyRelu"]),
    "a loop": (lambda proto: other_operator(proto, "Loop"), ["Loop"]),
    "node cycle": (cycle, ["cycle", "block2_sepconv1_depthwise"]),
    "a graph in a node": (nested_graph, ["branch"]),
    "a graph in an attribute": (hidden_graph, ["body"]),
    "an own function": (function, ["function"]),
    "training graph": (lambda proto: proto.training_info.add(), ["training"]),
    "two outputs": (another_output, ["2 outputs"]),
    "an output that is another": (
        lambda proto: setattr(proto.graph.output[0], "name", "block2_add"),
        ["block2_add"],
    ),
    "an output that is nothing": (
        lambda proto: setattr(proto.graph.output[0], "name", "nothing"),
        ["nothing"],
    ),
    "two inputs": (
        lambda proto: proto.graph.input.append(helper.make_tensor_value_info("second", 1, [1])),
        ["2 inputs"],
    ),
    "grey input": (
        lambda proto: setattr(proto.graph.input[0].type.tensor_type.shape.dim[1], "dim_value", 1),
        ["image"],
    ),
    "whole numbers as input": (
        lambda proto: setattr(proto.graph.input[0].type.tensor_type, "elem_type", 3),
        ["image"],
    ),
    "an input that is tiny": (
        lambda proto: [
            setattr(proto.graph.input[0].type.tensor_type.shape.dim[place], "dim_value", 8)
            for place in (2, 3)
        ],
        ["8 pixels"],
    ),
    "kernel_shape against the weights": (
        lambda proto: attribute(proto, "block1_conv1", kernel_shape=[5, 5]),
        ["[5, 5]"],
    ),
    "another stride": (
        lambda proto: attribute(proto, "block1_conv1", strides=[1, 1]),
        ["block1_conv1", "stride"],
    ),
    "strides that differ": (lambda proto: attribute(proto, "block1_conv1", strides=[2, 1]), ["block1_conv1"]),
    "dilation": (lambda proto: attribute(proto, "block1_conv1", dilations=[2, 2]), ["dilations"]),
    "pads of a convolution": (
        lambda proto: attribute(proto, "block1_conv1", pads=[1] * 4),
        ["block1_conv1", "padding"],
    ),
    "negative pads": (lambda proto: attribute(proto, "block2_pool", pads=[-1] * 4), ["block2_pool"]),
    "pads of neither rule": (
        lambda proto: attribute(proto, "block3_pool", pads=[1, 1, 0, 0]),
        ["block3_pool"],
    ),
    "SAME_LOWER": (lambda proto: attribute(proto, "block3_pool", auto_pad="SAME_LOWER"), ["SAME_LOWER"]),
    "ceiling": (lambda proto: attribute(proto, "block3_pool", ceil_mode=1), ["ceil_mode"]),
    "groups": (lambda proto: attribute(proto, "block2_sepconv1_depthwise", group=4), ["4 groups"]),
    "training mode": (lambda proto: attribute(proto, "block1_conv1_bn", training_mode=1), ["training_mode"]),
    "two epsilons": (lambda proto: attribute(proto, "block3_sepconv1_bn", epsilon=0.1), ["epsilon is 0.1"]),
    "epsilon 0": (lambda proto: attribute(proto, "block3_sepconv1_bn", epsilon=0.0), ["epsilon is 0"]),
    "scaled product": (lambda proto: attribute(proto, "predictions", alpha=2.0), ["alpha"]),
    "softmax over the batch": (lambda proto: attribute(proto, "probabilities", axis=0), ["axis"]),
    "preprocessing in the graph": (scaled_input, ["scale", "channel"]),
    "a sum of others": (swapped_sum, ["block"]),
    "a shortcut from before the norm": (tap_before_norm, ["block2_shortcut"]),
    "too many nodes": (many_nodes, ["nodes", "limit"]),
    "a node without output": (lambda proto: node_of(proto, "block1_conv1").ClearField("output"), ["Conv"]),
    "a value made twice": (
        lambda proto: node_of(proto, "block1_conv2").output.__setitem__(0, "block1_conv1"),
        ["already"],
    ),
    "attribute twice": (
        lambda proto: node_of(proto, "block1_conv1").attribute.append(
            helper.make_attribute("strides", [2, 2])
        ),
        ["strides", "twice"],
    ),
    "a dead end": (
        lambda proto: proto.graph.node.insert(1, helper.make_node("Relu", ["block1_conv1"], ["dead"])),
        ["read"],
    ),
    "classes that are no list": (
        lambda proto: helper.set_model_props(proto, {"deep.classes": "3"}),
        ["deep.classes"],
    ),
    "classes of another number": (
        lambda proto: helper.set_model_props(proto, {"deep.classes": '["a"]'}),
        ["1 class names"],
    ),
    "a class twice": (properties(classes=["a", "a", "b"]), ["a"]),
    "AphiaIDs of text": (properties(aphia_ids=["1", "2", "3"]), ["deep.aphia_ids"]),
    "negative AphiaIDs": (properties(aphia_ids=[-1, 2, 3]), ["-1"]),
    "AphiaIDs of 100 bits": (properties(aphia_ids=[2**100, 2, 3]), ["AphiaID"]),
    "preprocessing of another name": (properties(preprocessing={"mode": "magic"}), ["magic"]),
    "preprocessing that is no object": (properties(preprocessing=[1]), ["deep.preprocessing"]),
    "an infinite mean": (
        lambda proto: helper.set_model_props(proto, {"deep.preprocessing": '{"mean": [1e999, 0, 0]}'}),
        ["mean"],
    ),
    "a deviation of 0": (
        properties(preprocessing={"mode": "torch", "mean": [0, 0, 0], "std": [0, 1, 1]}),
        ["std"],
    ),
    "properties that close early": (
        lambda proto: helper.set_model_props(proto, {"deep.classes": '[]},{"a":1'}),
        ["deep"],
    ),
    "properties of brackets": (
        lambda proto: helper.set_model_props(proto, {"deep.classes": "[" * 10**5}),
        ["nested"],
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_graphs_are_refused_by_name(tmp_path, case):
    change, words = HOSTILE[case]
    proto, path = written(tmp_path, tiny_model())
    change(proto)
    path.write_bytes(proto.SerializeToString())
    refused(path, *words)


def varint(number):
    data = b""
    while number > 127:
        data, number = data + bytes([number & 127 | 128]), number >> 7
    return data + bytes([number])


@pytest.mark.parametrize(
    "data",
    [
        b"\x08" + b"\xff" * 11 + b"\x01",
        b"\x3a" + varint(10**9) + b"abc",
        b"\x3a" + varint(2**63) + b"a",
        b"\x3b\x3b\x3b",
        b"\x3c",
        b"\x3f\x00",
        b"\x00\x00",
        b"\x3a\x02\x0a\xff",
        b"\x38\x05",
        b"\x08",
        b"\x80" * 20,
        b"\xff" * 1000,
        b"no graph",
        b"\x3a\x02" * 5000,
    ],
    ids=[
        "varint of 12 bytes",
        "length beyond the file",
        "length 2^63",
        "group",
        "end of group",
        "wire type 7",
        "field 0",
        "length beyond the parent",
        "wire type of another kind",
        "cut varint",
        "endless varint",
        "all ones",
        "text",
        "pairs",
    ],
)
def test_malformed_protobuf_is_refused(tmp_path, data):
    (tmp_path / "net.onnx").write_bytes(data)
    refused(tmp_path / "net.onnx")


@pytest.mark.parametrize("depth", [50, 99, 150, 5000])
def test_messages_in_messages_are_refused(tmp_path, depth):
    """A node's attribute is a graph, whose node has an attribute that is a graph, ..."""
    data = b""
    for _ in range(depth):
        for field in (0x32, 0x2A, 0x0A):  # AttributeProto.g, NodeProto.attribute, GraphProto.node
            data = bytes([field]) + varint(len(data)) + data
    (tmp_path / "net.onnx").write_bytes(b"\x3a" + varint(len(data)) + data)
    refused(tmp_path / "net.onnx")


def test_a_file_of_more_than_two_gigabytes_is_refused(tmp_path):
    path = tmp_path / "net.onnx"
    with open(path, "wb") as file:
        file.truncate(2**31)  # sparse: nothing is written
    refused(path, "2147483648 bytes")


def test_bytes_that_change_never_end_in_a_traceback(tmp_path):
    """A third of the bytes are names and numbers of the graph, where a change can do harm."""
    _, path = written(tmp_path, tiny_model())
    data, random = path.read_bytes(), np.random.default_rng(3)
    taken = 0
    for _ in range(200):
        changed = bytearray(data)
        for place in random.integers(0, len(data), 3):
            changed[place] = random.integers(0, 256)
        path.write_bytes(changed[: random.integers(1, len(data))] if random.random() < 0.2 else changed)
        try:
            convert.load(path)
            taken += 1
        except convert.ConvertError as error:
            assert "\n" not in str(error)
    assert taken < 200
