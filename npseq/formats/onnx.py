"""Export to ONNX, without the onnx package: ``npseq export FILE.pth --to model.onnx``.

Layers become ONNX's own RNN, GRU (``linear_before_reset=1``: reset after the product) and LSTM nodes, in float32; batch
size and number of steps are free. Which node it is depends on the layer's cell alone. Gate blocks are reordered for
ONNX: i o f c for the LSTM and z r h for the GRU, whose z is 1 − z of npseq's. Projection and cells of one's own have no
counterpart in ONNX and are refused.

The file is written by hand (``protobuf.py``): the messages that a recurrent network needs fit on a page, and the reader
sees what such a file contains. With the onnx package the graph below would not be shorter.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import numpy as np

from .._version import __version__
from ..cells import GRUCell, LSTMCell, ReLURNNCell, RNNCell
from ..nn.model import Model
from ..nn.own_parameters import cell_name
from ..nn.reading import POOLED
from ..nn.recurrent import Recurrent
from . import atomic, protobuf
from .protobuf import DOUBLE, FLOAT, INT32, INT64


class _Node(NamedTuple):
    """How ONNX has a cell: the operator, its order of our gate blocks, the sign of each block of ours, and the
    activation function where it is not the operator's default."""

    kind: str
    order: list[int]
    signs: list[int]
    activation: str | None = None


NODES: dict[Any, _Node] = {
    LSTMCell: _Node("LSTM", [0, 3, 1, 2], [1, 1, 1, 1]),
    GRUCell: _Node("GRU", [1, 0, 2], [1, -1, 1]),  # 1 − σ(a) = σ(−a)
    RNNCell: _Node("RNN", [0], [1], "Tanh"),
    ReLURNNCell: _Node("RNN", [0], [1], "Relu"),
}
LARGEST = np.finfo(np.float32).max
LARGEST_RATIO = 2.0**14  # |mean| / scale for which float32 still has a thousandth of a standard deviation


def export(
    model: Model | Recurrent,
    path: str | os.PathLike[str],
    with_state: bool = False,
    with_lengths: bool = False,
    with_scaler: bool = False,
) -> None:
    """Write a ``Model`` or a layer as an ONNX file.

    A model's graph has the input ``x`` (batch, time, I), standardised, or with an embedding int64 (batch, time); and
    the output ``y``, (batch, O), or (batch, time, O) of a model with an output at every step. A layer's has x
    and y in the layer's own layout, (time, batch, ·) or with batch_first (batch, time, ·), and its final states.

    Args:
        model: the model or the layer.
        path: of the file to write or replace.
        with_state: further inputs ``h_0`` (and ``c_0``), (L·D, batch, H), and outputs ``h_n`` (and ``c_n``).
        with_lengths: a further input ``lengths`` (batch,) of int32, from 0 to time; after no step the state is the
            initial one, as in npseq (ONNX Runtime alone gives zeros).
        with_scaler: x and y in data units: the model's scaler becomes part of the graph and is computed in double. x
            and y are float32, or double where float32 could not hold the data (``needs_double``).

    Raises:
        TypeError: for anything but a ``Model`` or a recurrent layer.
        ValueError: for a cell or a projection that ONNX does not have, or a missing scaler.
        OSError: when the file cannot be written; an existing file is left intact.
    """
    layer = model.rnn if isinstance(model, Model) else model
    _check(model, layer, with_scaler)
    scaled = model if isinstance(model, Model) and with_scaler else None
    graph = _Graph()
    shape = ("batch", "time") if layer.batch_first else ("time", "batch")
    kind = DOUBLE if scaled is not None and needs_double(scaled) else FLOAT
    if isinstance(model, Model) and model.embedding is not None:
        x = graph.input("x", INT64, shape)
        x = graph.node("Gather", [graph.constant(_float32(model.embedding.params)["weight"]), x])
    else:
        x = graph.input("x", kind, (*shape, layer.input_size))
    if scaled is not None:
        mean, scale, _, _ = _scaler(scaled)
        x = graph.node("Sub", [graph.cast(x, DOUBLE), graph.constant(mean)])
        x = graph.cast(graph.node("Div", [x, graph.constant(scale)]), FLOAT)
    if layer.batch_first:
        x = graph.node("Transpose", [x], perm=[1, 0, 2])
    lengths = graph.input("lengths", INT32, ("batch",)) if with_lengths else ""
    states_shape = (layer.num_layers * layer.num_directions, "batch", layer.hidden_size)
    if with_state:
        for letter in layer.cell.state:
            graph.input(letter + "_0", FLOAT, states_shape)
    y, states = _layers(graph, layer, x, with_state, lengths)

    if isinstance(model, Model):
        h, size = states[0][-1], len(model.fc.params["bias"])
        if model.read == "last" and layer.num_directions == 2:
            h = _last_outputs(graph, y, h, layer.hidden_size, lengths)
        if model.every_step:
            y = _head_of_every_step(graph, model, y)
        elif model.read in POOLED:
            y = _linear(graph, model, _pooled(graph, model.read, y, lengths))
        else:
            y = _head(graph, model, h)
        if scaled is not None:
            _, _, mean, scale = _scaler(scaled)
            y = graph.node("Mul", [graph.cast(y, DOUBLE), graph.constant(scale)])
            y = graph.node("Add", [y, graph.constant(mean)])
            if scaled.scaling is not None and scaled.scaling.skip is not None:
                y = graph.node("Add", [y, _skipped(graph, scaled.scaling.skip, layer.batch_first, kind, lengths)])
            y = graph.cast(y, kind)
        graph.output("y", kind, (*shape, size) if model.every_step else ("batch", size), "Identity", [y])
    else:
        y = graph.node("Transpose", [y], perm=[1, 0, 2]) if layer.batch_first else y
        graph.output("y", FLOAT, (*shape, layer.num_directions * layer.hidden_size), "Identity", [y])
    if with_state or not isinstance(model, Model):
        for letter, parts in zip(layer.cell.state, states):
            graph.output(letter + "_n", FLOAT, states_shape, "Concat", parts, axis=0)
    graph.write(path)


def needs_double(model: Model) -> bool:
    """True if data in their own units are too large against their standard deviation for float32."""
    input_mean, input_scale, output_mean, output_scale = _scaler(model)
    ratios = [np.abs(input_mean) / input_scale, np.abs(output_mean) / output_scale]
    return bool(max(map(np.max, ratios)) > LARGEST_RATIO)


def _scaler(model: Model) -> list[np.ndarray]:
    """Return mean and scale of the inputs, mean and scale of the outputs, in float64."""
    assert model.scaling is not None
    inputs, outputs = model.scaling.inputs, model.scaling.outputs
    return [np.asarray(part, np.float64) for part in (inputs.mean, inputs.scale, outputs.mean, outputs.scale)]


def _check(model: Any, layer: Any, with_scaler: bool) -> None:
    """Refuse what cannot be exported. Errors as ``export``."""
    if not isinstance(layer, Recurrent):
        raise TypeError(f"a {type(model).__name__} given; a Model or a recurrent layer expected")
    if layer.cell not in NODES:
        known = ", ".join(sorted({node.kind for node in NODES.values()}))
        raise ValueError(f"the cell {cell_name(layer.cell)} cannot be expressed in ONNX, which has {known}")
    if layer.proj_size:
        raise ValueError(f"projection (proj_size={layer.proj_size}) cannot be expressed in ONNX")
    if with_scaler and not (isinstance(model, Model) and model.scaling is not None):
        raise ValueError("with_scaler given, but the model has no scaler")


class _Graph:
    """Nodes, constants, inputs and outputs, with a name for every value."""

    def __init__(self) -> None:
        self.nodes: list[bytes] = []
        self.initializers: list[bytes] = []
        self.inputs: list[bytes] = []
        self.outputs: list[bytes] = []

    def input(self, name: str, kind: int, shape: tuple[int | str, ...]) -> str:
        self.inputs.append(protobuf.value_info(name, kind, shape))
        return name

    def output(
        self, name: str, kind: int, shape: tuple[int | str, ...], node: str, inputs: list[str], **attributes: Any
    ) -> None:
        """An output of the graph, which the last node makes."""
        self.outputs.append(protobuf.value_info(name, kind, shape))
        self.node(node, inputs, name, **attributes)

    def constant(self, array: Any) -> str:
        name = f"constant_{len(self.initializers)}"
        self.initializers.append(protobuf.tensor(name, np.asarray(array)))
        return name

    def counts(self, *numbers: int) -> str:
        return self.constant(np.array(numbers, np.int64))

    def node(self, kind: str, inputs: list[str], output: str | None = None, **attributes: Any) -> str:
        output = output or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(protobuf.node(kind, inputs, [output], **attributes))
        return output

    def cast(self, value: str, kind: int) -> str:
        return self.node("Cast", [value], to=kind)

    def write(self, path: str | os.PathLike[str]) -> None:
        data = protobuf.model(self.nodes, "npseq", self.inputs, self.outputs, self.initializers, "npseq", __version__)
        with atomic.replacing(path) as file:
            file.write(data)


def _last_outputs(graph: _Graph, y: str, h: str, H: int, lengths: str) -> str:
    """Return the outputs of both directions at the last step, (2, batch, H), of y (time, batch, 2·H): of the forward
    direction it is the final state h[0], of the reverse direction that after its first step."""
    forward = graph.node("Slice", [h, graph.counts(0), graph.counts(1), graph.counts(0)])
    backward = graph.node("Slice", [y, graph.counts(H), graph.counts(2 * H), graph.counts(2)])
    backward = _last(graph, backward, lengths)
    if lengths:
        final = graph.node("Slice", [h, graph.counts(1), graph.counts(2), graph.counts(0)])
        backward = graph.node("Where", [_is_empty(graph, lengths), final, backward])
    return graph.node("Concat", [forward, backward], axis=0)


def _last(graph: _Graph, x: str, lengths: str) -> str:
    """Return the last step (1, batch, ·) of each sequence of x (time, batch, ·)."""
    ends = graph.counts(-1), graph.counts(2**62)
    if lengths:  # the last step of each sequence comes first
        x = graph.node("ReverseSequence", [x, graph.cast(lengths, INT64)], time_axis=0, batch_axis=1)
        ends = graph.counts(0), graph.counts(1)
    return graph.node("Slice", [x, *ends, graph.counts(0)])


def _is_empty(graph: _Graph, lengths: str) -> str:
    """Return a bool (batch, 1): sequences of no step."""
    empty = graph.node("Equal", [graph.cast(lengths, INT64), graph.counts(0)])
    return graph.node("Reshape", [empty, graph.counts(-1, 1)])


def _head_of_every_step(graph: _Graph, model: Model, y: str) -> str:
    """The linear layer on the top layer's outputs (time, batch, D·H). Returns y (batch, time, O)."""
    weights = _float32(model.fc.params)
    y = graph.node("MatMul", [y, graph.constant(weights["weight"].T.copy())])
    return graph.node("Transpose", [graph.node("Add", [y, graph.constant(weights["bias"])])], perm=[1, 0, 2])


def _skipped(graph: _Graph, columns: list[int], batch_first: bool, kind: int, lengths: str) -> str:
    """Return the forecast (batch, O) of double that the last row of the graph's input x holds in these columns."""
    x = graph.node("Gather", ["x", graph.counts(*columns)], axis=2)
    if batch_first:
        x = graph.node("Transpose", [x], perm=[1, 0, 2])
    x = graph.node("Reshape", [_last(graph, x, lengths), graph.counts(-1, len(columns))])
    return graph.cast(x, DOUBLE) if kind != DOUBLE else x


def _head(graph: _Graph, model: Model, h: str) -> str:
    """The linear layer on the top layer's final hidden states (D, batch, H). Returns y (batch, O)."""
    h = graph.node("Transpose", [h], perm=[1, 0, 2])  # (D, B, H) -> (B, D, H)
    return _linear(graph, model, graph.node("Reshape", [h, graph.counts(0, -1)]))


def _pooled(graph: _Graph, read: str, y: str, lengths: str) -> str:
    """Return the mean or the maximum, or both, (batch, ·) over the valid steps of the outputs y (time, batch, D·H),
    which are 0 past the lengths; 0 for a sequence without a step."""
    steps = graph.counts(0)
    if not lengths:
        mean = graph.node("ReduceMean", [y], axes=[0], keepdims=0)
        largest = graph.node("ReduceMax", [y], axes=[0], keepdims=0)
    else:
        T = graph.node("Gather", [graph.node("Shape", [y]), graph.constant(np.int64(0))])
        times = graph.node("Range", [graph.constant(np.int64(0)), T, graph.constant(np.int64(1))])
        counts = graph.cast(lengths, INT64)
        there = graph.node("Less", [graph.node("Unsqueeze", [times, graph.counts(1)]), counts])  # (time, batch)
        n = graph.node("Max", [graph.cast(counts, FLOAT), graph.constant(np.float32(1))])
        total = graph.node("ReduceSum", [y, steps], keepdims=0)
        mean = graph.node("Div", [total, graph.node("Unsqueeze", [n, graph.counts(1)])])
        low = graph.node("Where", [graph.node("Unsqueeze", [there, graph.counts(2)]), y, graph.constant(-LARGEST)])
        largest = graph.node("ReduceMax", [low], axes=[0], keepdims=0)
        some = graph.node("Unsqueeze", [graph.node("Greater", [counts, graph.counts(0)]), graph.counts(1)])
        largest = graph.node("Where", [some, largest, graph.constant(np.float32(0))])
    found = {"mean": [mean], "max": [largest], "mean+max": [mean, largest]}[read]
    return found[0] if len(found) == 1 else graph.node("Concat", found, axis=1)


def _linear(graph: _Graph, model: Model, h: str) -> str:
    weights = _float32(model.fc.params)
    return graph.node("Gemm", [h, graph.constant(weights["weight"]), graph.constant(weights["bias"])], transB=1)


def _layers(graph: _Graph, layer: Recurrent, x: str, with_state: bool, lengths: str) -> tuple[str, list[list[str]]]:
    """The recurrent layers on x (time, batch, I). Returns y (time, batch, D·H), and for each letter of the state its
    final value layer by layer."""
    node, D, H = NODES[layer.cell], layer.num_directions, layer.hidden_size
    parameters = _float32(layer.params)
    attributes: dict[str, Any] = {"hidden_size": H, "direction": "bidirectional" if D == 2 else "forward"}
    if node.kind == "GRU":
        attributes["linear_before_reset"] = 1
    if node.activation:
        attributes["activations"] = [node.activation] * D
    states: list[list[str]] = [[] for _ in layer.cell.state]
    for k in range(layer.num_layers):
        suffixes = [f"_l{k}", f"_l{k}_reverse"][:D]

        def stacked(name: str, suffixes: list[str] = suffixes) -> np.ndarray:
            return np.stack([_reordered(parameters[name + suffix], node) for suffix in suffixes])

        bias = ""
        if layer.bias:
            bias = graph.constant(np.concatenate([stacked("bias_ih"), stacked("bias_hh")], axis=1))
        inputs = [x, graph.constant(stacked("weight_ih")), graph.constant(stacked("weight_hh")), bias, lengths]
        for letter in layer.cell.state:
            if with_state:
                ends = [graph.counts(n) for n in (k * D, k * D + D, 0)]
                inputs.append(graph.node("Slice", [letter + "_0", *ends]))
            elif layer.learn_initial_state:  # (D, 1, H), for every sequence of the batch
                learned = parameters[letter + "_0"][k * D : k * D + D, None]
                inputs.append(graph.node("Expand", [graph.constant(learned), _state_shape(graph, x, D, H)]))
        while not inputs[-1]:
            inputs.pop()
        initial = inputs[5:]  # behind x, W, R, B and the lengths
        names = [f"Y_{k}", *(f"Y_{letter}_{k}" for letter in layer.cell.state)]
        graph.nodes.append(protobuf.node(node.kind, inputs, names, **attributes))
        if lengths and initial:  # after no step ONNX Runtime gives zeros, npseq the initial state
            empty = _is_empty(graph, lengths)
            names[1:] = [graph.node("Where", [empty, *pair]) for pair in zip(initial, names[1:])]
        for parts, name in zip(states, names[1:]):
            parts.append(name)
        y = graph.node("Transpose", [names[0]], perm=[0, 2, 1, 3])  # (T, D, B, H) -> (T, B, D, H)
        x = graph.node("Reshape", [y, graph.counts(0, 0, D * H)])
    return x, states


def _state_shape(graph: _Graph, x: str, D: int, H: int) -> str:
    """Return the vector [D, batch, H], for the batch of x (time, batch, ·)."""
    sizes = graph.node("Shape", [x])
    batch = graph.node("Slice", [sizes, graph.counts(1), graph.counts(2)])
    return graph.node("Concat", [graph.counts(D), batch, graph.counts(H)], axis=0)


def _reordered(array: np.ndarray, node: _Node) -> np.ndarray:
    """Return the gate blocks of a parameter in ONNX's order and sense."""
    blocks = np.split(array, len(node.order))
    return np.concatenate([blocks[gate] * np.float32(node.signs[gate]) for gate in node.order])


def _float32(parameters: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: np.asarray(array, np.float32) for name, array in parameters.items()}
