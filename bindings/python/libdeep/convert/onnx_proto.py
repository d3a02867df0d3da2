# SPDX-License-Identifier: Apache-2.0
"""ONNX files parsed with suspicion: nothing outside the file, sizes that agree, no nested programs."""

from __future__ import annotations

import os
from typing import Any, Dict, List

import numpy

from .errors import Where, need, one_line
from .hdf5 import check_file_size
from .limits import MAX_NAME, MAX_TENSOR_BYTES

MAX_NODES = 10_000
MIN_OPSET, MAX_OPSET = 7, 30
MAX_RANK = 8
# TensorProto.DataType -> (numpy's name, member that holds the numbers when raw_data does not)
TYPES = {
    1: ("float32", "float_data"),
    6: ("int32", "int32_data"),
    7: ("int64", "int64_data"),
    9: ("bool", "int32_data"),
    10: ("float16", "int32_data"),
    11: ("float64", "double_data"),
}


def import_onnx() -> Any:
    try:
        import onnx
    except ImportError as error:
        raise need("onnx", "onnx", "reading and writing ONNX files") from error
    return onnx


def parse_model(path: str, where: Where) -> Any:
    """The ModelProto in the file, its outer form checked."""
    onnx = import_onnx()
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped,unused-ignore]

    check_file_size(os.path.getsize(path), where)
    with open(path, "rb") as file:
        data = file.read()
    model = onnx.ModelProto()
    try:
        with where.reading("ONNX"):
            model.ParseFromString(data)
    except DecodeError as error:
        raise where.refuse("ONNX", f"is no protobuf message of a model: {one_line(error)}") from None
    _check_model(where, model)
    return model


def _check_model(where: Where, model: Any) -> None:
    if not model.HasField("graph") or not model.graph.node:
        raise where.refuse("ONNX", "has no graph")
    versions = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    if len(versions) != 1:
        raise where.refuse("ONNX", f"{len(versions)} opset imports of ONNX's own domain, one is expected")
    if not MIN_OPSET <= versions[0] <= MAX_OPSET:
        raise where.refuse("ONNX", f"opset {versions[0]}, not {MIN_OPSET} to {MAX_OPSET}")
    if model.training_info:
        raise where.refuse("ONNX", "holds training graphs")
    if model.functions:
        raise where.refuse(
            "ONNX", f'defines the function "{model.functions[0].name}"; export without functions'
        )
    graph = model.graph
    if len(graph.node) > MAX_NODES:
        raise where.refuse("ONNX", f"{len(graph.node)} nodes, the limit is {MAX_NODES}")
    if graph.sparse_initializer:
        raise where.refuse("ONNX", "has sparse initializers")
    _check_text(where, model)


def _check_text(where: Where, model: Any) -> None:
    """protobuf gives text that is not UTF-8 as bytes, which are no names."""
    for node in model.graph.node:
        _each_text(where, [node.op_type, node.domain, node.name, *node.input, *node.output])
        _each_text(where, [attribute.name for attribute in node.attribute])
    for tensor in model.graph.initializer:
        _each_text(where, [tensor.name])
    for value in [*model.graph.input, *model.graph.output]:
        _each_text(where, [value.name])
    for entry in model.metadata_props:
        _each_text(where, [entry.key, entry.value])
    _each_text(where, [model.producer_name])


def _each_text(where: Where, values: List[Any]) -> None:
    for value in values:
        if not isinstance(value, str):
            raise where.refuse("ONNX", f"{value!r} is not UTF-8")


def opset_of(model: Any) -> int:
    return next(int(entry.version) for entry in model.opset_import if entry.domain in ("", "ai.onnx"))


class Tensors:
    """The graph's initializers: all looked at when made, their numbers read on demand."""

    def __init__(self, where: Where, protos: Any) -> None:
        self.where = where
        self._protos: Dict[str, Any] = {}
        for proto in protos:
            if proto.name in self._protos:
                raise where.refuse(proto.name, "an initializer of this name is already there")
            check_tensor(where, proto.name, proto)
            self._protos[proto.name] = proto

    def __contains__(self, name: str) -> bool:
        return name in self._protos

    def __getitem__(self, name: str) -> numpy.ndarray:
        return tensor_values(self.where, name, self._protos[name])

    def names(self) -> List[str]:
        return list(self._protos)


def check_tensor(where: Where, name: str, proto: Any) -> None:
    """Numbers in the file itself, of a known type, as many as the shape says."""
    if len(name) > MAX_NAME:
        raise where.refuse(name, f"a name of {len(name)} characters")
    if proto.data_location != 0 or proto.external_data:
        raise where.refuse(name, "external data: its numbers are in another file")
    if proto.HasField("segment"):
        raise where.refuse(name, "is a segment of a tensor")
    if proto.data_type not in TYPES:
        raise where.refuse(
            name, f'data type {proto.data_type} is none of {", ".join(kind for kind, _ in TYPES.values())}'
        )
    if len(proto.dims) > MAX_RANK or any(extent < 0 for extent in proto.dims):
        raise where.refuse(name, f"dimensions {list(proto.dims)[:MAX_RANK]}")
    kind, member = TYPES[proto.data_type]
    count = 1
    for extent in proto.dims:
        count *= int(extent)  # Python's integers do not wrap
    itemsize = numpy.dtype(kind).itemsize
    if count * itemsize > MAX_TENSOR_BYTES:
        raise where.refuse(name, f"{count} numbers, the limit is {MAX_TENSOR_BYTES} bytes")
    stored = len(proto.raw_data) / itemsize if proto.HasField("raw_data") else len(getattr(proto, member))
    if stored != count:
        raise where.refuse(name, f"dimensions {list(proto.dims)} make {count} numbers, {stored:g} are stored")


def tensor_values(where: Where, name: str, proto: Any) -> numpy.ndarray:
    """A checked tensor's numbers."""
    onnx = import_onnx()
    with where.reading(name):
        return numpy.asarray(onnx.numpy_helper.to_array(proto))


def attributes_of(where: Where, node: Any) -> Dict[str, Any]:
    """A node's attributes: numbers, strings, lists of them and tensors; no graphs."""
    onnx = import_onnx()
    kinds = onnx.AttributeProto
    allowed = (kinds.FLOAT, kinds.INT, kinds.STRING, kinds.TENSOR, kinds.FLOATS, kinds.INTS, kinds.STRINGS)
    values: Dict[str, Any] = {}
    for attribute in node.attribute:
        place = f'{node.op_type} "{node.name or (node.output[0] if node.output else "")}"'
        if attribute.name in values:
            raise where.refuse(place, f"attribute {attribute.name} stands twice")
        if attribute.type not in allowed or attribute.ref_attr_name:
            raise where.refuse(
                place, f"attribute {attribute.name} is of type {attribute.type}, a graph or the like"
            )
        if attribute.type == kinds.TENSOR:
            check_tensor(where, f"{place} {attribute.name}", attribute.t)
            values[attribute.name] = tensor_values(where, place, attribute.t)
        else:
            with where.reading(place):
                values[attribute.name] = onnx.helper.get_attribute_value(attribute)
    return values
