"""Export to ONNX, with no onnx package: ``npseq export FILE.pth --to model.onnx``.

Layers become ONNX's own RNN, GRU (``linear_before_reset=1``: reset after the product) and LSTM nodes, in float32, batch
and time left free. What ONNX orders otherwise is put in its order here: the gates of the LSTM are i o f c there, those
of the GRU z r h, in torch's sense of z. Projection has no counterpart in ONNX and is refused.

The file is written by hand (``protobuf.py``): the messages that a recurrent network needs fit on a page, and the reader
sees what is in such a file. With the onnx package the graph below would be no shorter.
"""

import numpy as np

from .._version import __version__
from ..nn.model import Model
from . import atomic, protobuf

GATES = {"LSTM": [0, 3, 1, 2], "GRU": [1, 0, 2], "RNN": [0]}  # ONNX's order of torch's gate blocks
FLOAT, INT32 = protobuf.FLOAT, protobuf.INT32


def export(model, path, with_state=False, with_lengths=False, with_scaler=False):
    """Write a ``Model`` or a layer as an ONNX file.

    A model's graph has the input ``x`` (batch, time, I), standardised, and the output ``y`` (batch, O). A layer's has x
    and y in the layer's own layout, (time, batch, ·) or with batch_first (batch, time, ·), and its final states.

    Args:
        with_state: further inputs ``h_0`` (and ``c_0``), (L·D, batch, H), and outputs ``h_n`` (and ``c_n``).
        with_lengths: a further input ``lengths`` (batch,) of int32, from 1 to time.
        with_scaler: x and y in the data's own units: the model's scaler is put into the graph.

    Raises:
        ValueError: for a layer with projection, or a scaler that is not there.
        OSError: when the file cannot be written; one that was there is left whole.
    """
    is_model = isinstance(model, Model)
    layer = model.rnn if is_model else model
    if layer.proj_size:
        raise ValueError(f"projection (proj_size={layer.proj_size}) cannot be expressed in ONNX")
    if with_scaler and not (is_model and model.scaling):
        raise ValueError("with_scaler given, but there is no scaler to put into the graph")
    g = _Graph()
    x = "x"
    shape = ("batch", "time") if layer.batch_first else ("time", "batch")
    inputs = [protobuf.value_info("x", FLOAT, (*shape, layer.input_size))]
    if with_scaler:
        x = g.node("Sub", [x, g.constant(np.float32(model.scaling.inputs.mean))])
        x = g.node("Div", [x, g.constant(np.float32(model.scaling.inputs.scale))])
    if layer.batch_first:
        x = g.node("Transpose", [x], perm=[1, 0, 2])
    if with_lengths:
        inputs.append(protobuf.value_info("lengths", INT32, ("batch",)))
    if with_state:
        inputs += [
            protobuf.value_info(
                letter + "_0", FLOAT, (layer.num_layers * layer.num_directions, "batch", layer.hidden_size)
            )
            for letter in layer.cell.state
        ]
    y, states = _layers(g, layer, x, with_state, "lengths" if with_lengths else "")

    outputs = []
    if is_model:
        h = g.node("Transpose", [states[0][-1]], perm=[1, 0, 2])  # (D, B, H) -> (B, D, H)
        h = g.node("Reshape", [h, g.constant(np.int64([0, -1]))])
        weights = model.fc.state_dict()
        y = g.node("Gemm", [h, g.constant(weights["weight"]), g.constant(weights["bias"])], transB=1)
        if with_scaler:
            y = g.node("Mul", [y, g.constant(np.float32(model.scaling.outputs.scale))])
            y = g.node("Add", [y, g.constant(np.float32(model.scaling.outputs.mean))])
        outputs.append(protobuf.value_info("y", FLOAT, ("batch", len(weights["bias"]))))
    else:
        y = g.node("Transpose", [y], perm=[1, 0, 2]) if layer.batch_first else y
        outputs.append(protobuf.value_info("y", FLOAT, (*shape, layer.num_directions * layer.hidden_size)))
    g.node("Identity", [y], "y")
    if with_state or not is_model:
        for letter, parts in zip(layer.cell.state, states):
            g.node("Concat", parts, letter + "_n", axis=0)
            outputs.append(
                protobuf.value_info(
                    letter + "_n", FLOAT, (layer.num_layers * layer.num_directions, "batch", layer.hidden_size)
                )
            )
    with atomic.replacing(path) as file:
        file.write(protobuf.model(g.nodes, "npseq", inputs, outputs, g.initializers, "npseq", __version__))


class _Graph:
    """Nodes and constants, with a name for every value."""

    def __init__(self):
        self.nodes, self.initializers = [], []

    def constant(self, array):
        name = f"constant_{len(self.initializers)}"
        self.initializers.append(protobuf.tensor(name, np.asarray(array)))
        return name

    def node(self, kind, inputs, output=None, **attributes):
        output = output or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(protobuf.node(kind, inputs, [output], **attributes))
        return output


def _layers(g, layer, x, with_state, lengths):
    """x (time, batch, I) -> y (time, batch, D·H), and for each letter of the state its final value layer by layer."""
    kind = next(name for name in ("LSTM", "GRU", "RNN") if name in type(layer).__name__)
    D, H, letters = layer.num_directions, layer.hidden_size, layer.cell.state
    parameters = layer.state_dict()
    attributes = {"hidden_size": H, "direction": "bidirectional" if D == 2 else "forward"}
    if kind == "GRU":
        attributes["linear_before_reset"] = 1
    if kind == "RNN":
        attributes["activations"] = [layer.nonlinearity.capitalize()] * D
    states = [[] for _ in letters]
    for k in range(layer.num_layers):
        suffixes = [f"_l{k}", f"_l{k}_reverse"][:D]

        def stacked(name):
            blocks = [np.split(parameters[name + suffix], len(GATES[kind])) for suffix in suffixes]
            return np.stack([np.concatenate([direction[gate] for gate in GATES[kind]]) for direction in blocks])

        bias = g.constant(np.concatenate([stacked("bias_ih"), stacked("bias_hh")], axis=1)) if layer.bias else ""
        inputs = [x, g.constant(stacked("weight_ih")), g.constant(stacked("weight_hh")), bias, lengths]
        for letter in letters:
            if with_state:
                inputs.append(
                    g.node("Slice", [letter + "_0", *(g.constant(np.int64([n])) for n in (k * D, k * D + D, 0))])
                )
            elif layer.learn_initial_state:  # (D, 1, H), for every sequence of the batch
                batch = g.node("Slice", [g.node("Shape", [x]), g.constant(np.int64([1])), g.constant(np.int64([2]))])
                shape = g.node("Concat", [g.constant(np.int64([D])), batch, g.constant(np.int64([H]))], axis=0)
                inputs.append(g.node("Expand", [g.constant(parameters[letter + "_0"][k * D : k * D + D, None]), shape]))
        while not inputs[-1]:
            inputs.pop()
        names = [f"Y_{k}", *(f"Y_{letter}_{k}" for letter in letters)]
        g.nodes.append(protobuf.node(kind, inputs, names, **attributes))
        for parts, name in zip(states, names[1:]):
            parts.append(name)
        y = g.node("Transpose", [names[0]], perm=[0, 2, 1, 3])  # (T, D, B, H) -> (T, B, D, H)
        x = g.node("Reshape", [y, g.constant(np.int64([0, 0, D * H]))])
    return x, states
