# SPDX-License-Identifier: Apache-2.0
"""Keras's description of a model (model_config, config.json) as a graph. Nothing in it is looked up or run: a
closed list of layer classes is known, anything else is refused by its name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Tuple

from .errors import Where
from .graph import SAME, VALID, Graph
from .keras_layers import SNAKE_CASE, Counter
from .limits import MAX_LAYERS, MAX_NAME, member, one_value

MAX_NESTING = 4  # models in models
MODELS = ("Functional", "Model", "Sequential")
NUMBER = (int, float)


@dataclass(frozen=True)
class Source:
    """Where a node's weights are: the layer's names from the outermost model inwards, the same path in a
    Keras 3 weights file, and which part of the layer the node is."""

    path: Tuple[str, ...]
    stored: str
    part: str  # a suffix of libdeep's parameter names, or '' for a layer that is one node


Layer = Dict[str, Any]


class _ConfigReader:
    def __init__(self, where: Where, place: str) -> None:
        self.where = where
        self.place = place
        self.graph = Graph(where)
        self.count = 0

    # Layers, one method a class; each adds nodes and gives the name of the last one

    def conv2d(self, name: str, config: Layer, inputs: List[str], source: Source) -> str:
        self.expect(name, config, groups=1)
        return self.activated(
            name,
            config,
            self.graph.add(
                name,
                "conv",
                inputs,
                source,
                window=self.square(name, config, "kernel_size"),
                stride=self.square(name, config, "strides"),
                padding=self.padding(name, config),
                outputs=self.plain_convolution(name, config),
            ),
        )

    def separable_conv2d(self, name: str, config: Layer, inputs: List[str], source: Source) -> str:
        self.expect(name, config, depth_multiplier=1)
        outputs = self.plain_convolution(name, config)
        depthwise = self.graph.add(
            f"{name}/depthwise",
            "depthwise",
            inputs,
            source,
            window=self.square(name, config, "kernel_size"),
            stride=self.square(name, config, "strides"),
            padding=self.padding(name, config),
        )
        return self.activated(
            name,
            config,
            self.graph.add(
                name, "conv", [depthwise], source, window=1, stride=1, padding=VALID, outputs=outputs
            ),
        )

    def plain_convolution(self, name: str, config: Layer) -> int:
        self.expect(name, config, use_bias=False, data_format="channels_last")
        if self.square(name, config, "dilation_rate", [1, 1]) != 1:
            raise self.where.refuse(name, f'dilation_rate is {config["dilation_rate"]}, Xception has 1')
        filters: int = member(self.where, name, config, "filters", int)
        return filters

    def batch_normalization(self, name: str, config: Layer, inputs: List[str], source: Source) -> str:
        self.expect(name, config, center=True, scale=True, renorm=False)
        axis = config.get("axis", -1)
        if axis not in (-1, 3, [3], [-1]):
            raise self.where.refuse(name, f"axis is {one_value(axis)}, not the last")
        epsilon = member(self.where, name, config, "epsilon", NUMBER, 1e-3)
        if not 0 < epsilon < 1:
            raise self.where.refuse(name, f"epsilon is {epsilon}")
        return self.graph.add(name, "norm", inputs, source, epsilon=float(epsilon))

    def activation(self, name: str, config: Layer, inputs: List[str], source: Source) -> str:
        return self.activate(name, name, self.activation_of(name, config), inputs)

    def re_lu(self, name: str, config: Layer, inputs: List[str], source: Source) -> str:
        self.expect(name, config, max_value=None)
        for key in ("negative_slope", "threshold"):
            if config.get(key) not in (None, 0, 0.0):
                raise self.where.refuse(name, f"{key} is {one_value(config[key])}, Xception has 0")
        return self.graph.add(name, "relu", inputs)

    def softmax(self, name: str, config: Layer, inputs: List[str], source: Source) -> str:
        self.expect(name, config, axis=-1)
        return self.graph.add(name, "softmax", inputs)

    def max_pooling2d(self, name: str, config: Layer, inputs: List[str], source: Source) -> str:
        self.expect(name, config, data_format="channels_last")
        return self.graph.add(
            name,
            "pool",
            inputs,
            window=self.square(name, config, "pool_size"),
            stride=self.square(name, config, "strides"),
            padding=self.padding(name, config),
        )

    def global_average_pooling2d(self, name: str, config: Layer, inputs: List[str], source: Source) -> str:
        self.expect(name, config, data_format="channels_last", keepdims=False)
        return self.graph.add(name, "average", inputs)

    def add(self, name: str, config: Layer, inputs: List[str], source: Source) -> str:
        return self.graph.add(name, "add", inputs)

    def dropout(self, name: str, config: Layer, inputs: List[str], source: Source) -> str:
        rate = member(self.where, name, config, "rate", NUMBER)
        if not 0 <= rate < 1:
            raise self.where.refuse(name, f"rate is {rate}, not 0 to below 1")
        return self.graph.add(name, "dropout", inputs, rate=float(rate))

    def dense(self, name: str, config: Layer, inputs: List[str], source: Source) -> str:
        self.expect(name, config, use_bias=True)
        return self.activated(
            name,
            config,
            self.graph.add(
                name, "dense", inputs, source, outputs=member(self.where, name, config, "units", int)
            ),
        )

    def input_layer(self, name: str, config: Layer) -> str:
        shape = config.get("batch_shape", config.get("batch_input_shape"))
        if not isinstance(shape, list) or len(shape) != 4 or shape[3] != 3 or shape[1] != shape[2]:
            raise self.where.refuse(name, f"input shape is {one_value(shape)}, not [null, side, side, 3]")
        side = shape[1]
        if side is not None and (not isinstance(side, int) or isinstance(side, bool)):
            raise self.where.refuse(name, f"input side is {one_value(side)}")
        return self.graph.add(name, "input", [], size=side or 0)

    # Their options

    def expect(self, name: str, config: Layer, **wanted: Any) -> None:
        """Each option has the one value that Xception has; an option that an old Keras did not write has it
        too."""
        for key, value in wanted.items():
            found = config.get(key, value)
            if found != value or isinstance(found, bool) != isinstance(value, bool):
                raise self.where.refuse(name, f"{key} is {one_value(found)}, Xception has {value}")

    def square(self, name: str, config: Layer, key: str, default: Any = None) -> int:
        value = config.get(key, default)
        value = [value, value] if isinstance(value, int) else value
        if (
            not isinstance(value, list)
            or len(value) != 2
            or value[0] != value[1]
            or isinstance(value[0], bool)
            or not isinstance(value[0], int)
        ):
            raise self.where.refuse(name, f"{key} is {one_value(value)}, not two equal numbers")
        return value[0]

    def padding(self, name: str, config: Layer) -> str:
        value = config.get("padding")
        if value not in (VALID, SAME):
            raise self.where.refuse(name, f'padding is {one_value(value)}, neither "valid" nor "same"')
        return str(value)

    def activation_of(self, name: str, config: Layer) -> str:
        value = config.get("activation", "linear")
        if value not in ("linear", "relu", "softmax", None):
            raise self.where.refuse(name, f"activation is {one_value(value)}, not linear, relu or softmax")
        return value or "linear"

    def activate(self, owner: str, name: str, activation: str, inputs: List[str]) -> str:
        if activation == "linear":
            raise self.where.refuse(owner, "an activation that does nothing")
        return self.graph.add(name, activation, inputs)

    def activated(self, name: str, config: Layer, value: str) -> str:
        """``value`` with the activation that stands inside the layer."""
        activation = self.activation_of(name, config)
        return (
            value
            if activation == "linear"
            else self.activate(name, f"{name}/{activation}", activation, [value])
        )

    # Models

    def model(self, layer: Layer, path: Tuple[str, ...], stored: str, inputs: List[str]) -> str:
        """Adds a model's layers; ``inputs`` feed its input layer, or are [] for the outermost model."""
        if len(path) > MAX_NESTING:
            raise self.where.refuse(path[-1], f"models nested deeper than {MAX_NESTING}")
        place = path[-1] if path else self.place
        config = member(self.where, place, layer, "config", (dict, list))
        if isinstance(config, list):  # Sequential of the first Keras 2 releases
            config = {"layers": config}
        layers = member(self.where, place, config, "layers", list)
        self.count += len(layers)
        if self.count > MAX_LAYERS:
            raise self.where.refuse(place, f"{self.count} layers, the limit is {MAX_LAYERS}")
        if layer["class_name"] == "Sequential":
            return self.sequential(place, layers, path, stored, inputs)
        return self.functional(place, config, layers, path, stored, inputs)

    def sequential(
        self, place: str, layers: List[Any], path: Tuple[str, ...], stored: str, inputs: List[str]
    ) -> str:
        numbers = Counter()
        for layer in layers:
            kind, name = self.identify(layer)
            # InputLayer is not among a Sequential's layers when Keras numbers them.
            within = "" if kind == "InputLayer" else f"{stored}layers/{numbers.next(SNAKE_CASE[kind])}/"
            if kind == "InputLayer" and inputs:
                continue
            inputs = [self.one_layer(kind, name, layer, path, within, inputs)]
        if not inputs:
            raise self.where.refuse(place, "a Sequential without layers")
        return inputs[0]

    def functional(
        self,
        place: str,
        config: Layer,
        layers: List[Any],
        path: Tuple[str, ...],
        stored: str,
        inputs: List[str],
    ) -> str:
        numbers = Counter()
        entries: Dict[str, Tuple[str, Layer, str]] = {}
        for layer in layers:
            kind, name = self.identify(layer)
            if name in entries:
                raise self.where.refuse(name, "a layer of this name is already there")
            entries[name] = kind, layer, f"{stored}layers/{numbers.next(SNAKE_CASE[kind])}/"
        self.one_end(place, config, "input_layers", entries)
        output = self.one_end(place, config, "output_layers", entries)
        values: Dict[str, str] = {}
        for name in self.ordered(entries):
            kind, layer, within = entries[name]
            if kind == "InputLayer" and inputs:
                values[name] = inputs[0]
                continue
            sources = [values[value] for value in self.inbound(name, layer)]
            values[name] = self.one_layer(kind, name, layer, path, within, sources)
        return values[output]

    def ordered(self, entries: Dict[str, Tuple[str, Layer, str]]) -> List[str]:
        """Names so that each layer comes after those that it reads."""
        waiting = {name: self.inbound(name, layer) for name, (_, layer, _) in entries.items()}
        readers: Dict[str, List[str]] = {name: [] for name in waiting}
        for name, sources in waiting.items():
            for source in sources:
                if source not in readers:
                    raise self.where.refuse(name, f'reads "{source}", which is no layer of this model')
                readers[source].append(name)
        left = {name: len(sources) for name, sources in waiting.items()}
        order = [name for name, number in left.items() if number == 0]
        for name in order:  # grows while it is walked
            for reader in readers[name]:
                left[reader] -= 1
                if left[reader] == 0:
                    order.append(reader)
        if len(order) < len(entries):
            raise self.where.refuse(next(name for name in entries if left[name]), "is part of a cycle")
        return order

    def one_layer(
        self, kind: str, name: str, layer: Layer, path: Tuple[str, ...], stored: str, inputs: List[str]
    ) -> str:
        config = member(self.where, name, layer, "config", (dict, list))
        if kind in MODELS:
            if len(inputs) > 1:
                raise self.where.refuse(name, f"{len(inputs)} inputs, one is expected")
            return self.model(layer, path + (name,), stored, inputs)
        if not isinstance(config, dict):
            raise self.where.refuse(name, '"config" is not an object')
        # Keras lets layers of different models have one name.
        unique = "/".join(path + (name,))
        if kind == "InputLayer":
            return self.input_layer(unique, config)
        if not inputs and not path and isinstance(config.get("batch_input_shape"), list):
            inputs = [self.input_layer(f"{unique}/input", config)]  # Sequential of Keras 2 has no InputLayer
        if not inputs:
            raise self.where.refuse(name, "has no input")
        if kind != "Add" and len(inputs) != 1:
            raise self.where.refuse(name, f"{len(inputs)} inputs, one is expected")
        build: Callable[..., str] = getattr(self, BUILDERS[kind])
        return build(unique, config, inputs, Source(path + (name,), stored, ""))

    def identify(self, layer: Any) -> Tuple[str, str]:
        """(class, name) of a layer that is known; refuses everything else by its own name."""
        if not isinstance(layer, dict):
            raise self.where.refuse(self.place, f"{one_value(layer)} is no layer")
        kind = member(self.where, self.place, layer, "class_name", str)
        config = layer.get("config")
        name = layer.get("name") or (config.get("name") if isinstance(config, dict) else None)
        if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME or "/" in name:
            raise self.where.refuse(self.place, f"a {kind} is named {one_value(name)}")
        registered, module = layer.get("registered_name"), layer.get("module") or "keras"
        if (
            registered not in (None, kind)
            or not isinstance(module, str)
            or module.split(".")[0] not in KERAS_MODULES
        ):
            raise self.where.refuse(
                name,
                f"custom class {one_value(registered or kind)} of {one_value(module)}: "
                "code that is not in the file",
            )
        if kind == "Lambda":
            raise self.where.refuse(name, "a Lambda layer holds code, which is never run")
        if kind not in BUILDERS and kind not in MODELS and kind != "InputLayer":
            raise self.where.refuse(name, f"layer class {kind} is no part of Xception, or a custom one")
        return kind, name

    def one_end(self, place: str, config: Layer, key: str, entries: Dict[str, Any]) -> str:
        """The layer that ``input_layers`` or ``output_layers`` names; there must be one."""
        ends = member(self.where, place, config, key, list)
        if len(ends) == 1 and isinstance(ends[0], list):
            ends = ends[0]
        if len(ends) != 3 or not isinstance(ends[0], str):
            raise self.where.refuse(place, f"{key} is {one_value(ends)}: one is expected")
        if ends[0] not in entries:
            raise self.where.refuse(place, f'{key} names "{ends[0]}", which is no layer of this model')
        return ends[0]

    # Edges

    def inbound(self, name: str, layer: Layer) -> List[str]:
        """Names of the layers that a layer reads, from Keras 3's or Keras 2's way of writing them."""
        calls = member(self.where, name, layer, "inbound_nodes", list)
        if not calls:
            return []
        if len(calls) != 1:
            raise self.where.refuse(name, f"is called {len(calls)} times, Xception calls each layer once")
        call = calls[0]
        if isinstance(call, dict):
            self.check_arguments(name, call.get("kwargs", {}))
            return self.tensors(name, call.get("args"))
        if not isinstance(call, list):
            raise self.where.refuse(name, f'"inbound_nodes" holds {one_value(call)}')
        if call and isinstance(call[0], str):  # one input, written without its list
            call = [call]
        return [self.edge(name, entry) for entry in call]

    def check_arguments(self, name: str, arguments: Any) -> None:
        """Of a call's keyword arguments only those that change nothing at inference."""
        if not isinstance(arguments, dict):
            raise self.where.refuse(name, f"call arguments are {one_value(arguments)}")
        for key, value in arguments.items():
            if value is not None and not (key == "training" and value is False):
                raise self.where.refuse(name, f"is called with {key}={one_value(value)}")

    def tensors(self, name: str, arguments: Any) -> List[str]:
        """The layers behind Keras 3's call arguments: tensors, or one list of them."""
        if isinstance(arguments, list) and len(arguments) == 1 and isinstance(arguments[0], list):
            arguments = arguments[0]
        if not isinstance(arguments, list):
            raise self.where.refuse(name, f"is called with {one_value(arguments)}")
        found: List[str] = []
        for tensor in arguments:
            if not isinstance(tensor, dict) or tensor.get("class_name") != "__keras_tensor__":
                raise self.where.refuse(
                    name, f"is called with {one_value(tensor)}, which is no output of a layer"
                )
            config = member(self.where, name, tensor, "config", dict)
            found.append(self.edge(name, member(self.where, name, config, "keras_history", list)))
        return found

    def edge(self, name: str, entry: Any) -> str:
        """[layer, call, output] and, in Keras 2, the call's keyword arguments."""
        if not isinstance(entry, list) or not 3 <= len(entry) <= 4 or not isinstance(entry[0], str):
            raise self.where.refuse(name, f'"inbound_nodes" holds {one_value(entry)}')
        if entry[2] != 0:
            raise self.where.refuse(name, f'reads output {one_value(entry[2])} of "{entry[0]}"')
        if len(entry) == 4:
            self.check_arguments(name, entry[3])
        return entry[0]


KERAS_MODULES = ("keras", "tf_keras", "tensorflow")
BUILDERS = {
    kind: method
    for kind, method in SNAKE_CASE.items()
    if hasattr(_ConfigReader, method) and kind not in MODELS and kind != "InputLayer"
}


def graph_of_config(where: Where, place: str, model: Layer) -> Graph:
    """The graph of a model's configuration; ``place`` is where it stands in the file."""
    kind = member(where, place, model, "class_name", str)
    if kind not in MODELS:
        raise where.refuse(place, f'model class {kind} is not one of {", ".join(MODELS)}')
    registered = model.get("registered_name")
    if registered not in (None, kind):
        raise where.refuse(place, f"custom class {one_value(registered)}: code that is not in the file")
    reader = _ConfigReader(where, place)
    reader.graph.output = reader.model(model, (), "", [])
    return reader.graph
