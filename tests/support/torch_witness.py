"""torch in float64 as a second witness, and npseq's layers by the names that the tests use."""

import itertools

import numpy as np
import torch

import npseq

# name -> npseq's layer, torch's, options that both take
KINDS = {
    "rnn_tanh": ("RNN", torch.nn.RNN, {"nonlinearity": "tanh"}),
    "rnn_relu": ("RNN", torch.nn.RNN, {"nonlinearity": "relu"}),
    "lstm": ("LSTM", torch.nn.LSTM, {}),
    "gru": ("GRU", torch.nn.GRU, {}),
    "lstm_projected": ("LSTM", torch.nn.LSTM, {"proj_size": 2}),
}
SIZES = {"input_size": 2, "hidden_size": 3}

# bias, mixed lengths, state given, T: every combination, and as few as have every pair of values of two of them
EVERY = list(itertools.product([True, False], [False, True], [True, False], [1, 2, 7]))
PAIRS = [
    (True, False, False, 1),
    (False, True, True, 1),
    (True, True, True, 2),
    (False, False, False, 2),
    (True, False, True, 7),
    (False, True, False, 7),
]


def make_layer(kind, twin="plain", dtype=np.float64, rng=0, **options):
    """One of npseq's layers; ``twin`` is ``"plain"`` or ``"optimized"``."""
    name, _, own = KINDS[kind]
    layer = getattr(npseq, ("Optimized" if twin == "optimized" else "") + name)
    return layer(dtype=dtype, rng=rng, **{**SIZES, **own, **options})


def draw_state(layer, B, rng):
    """A random initial state (or a gradient of the final one) in torch's form."""
    runs = layer.num_layers * layer.num_directions
    parts = tuple(rng.standard_normal((runs, B, size)) for size in layer.state_sizes())
    return parts if len(parts) > 1 else parts[0]


def as_tuple(state):
    return state if isinstance(state, tuple) else (state,)


def as_dict(layer, y, state, dx, d_state, grads):
    """Everything a layer computes, by name, the gradients of the parameters in torch's sense."""
    found = {"y": y, "dx": dx, **{"d " + name: layer.to_torch_convention(name, d) for name, d in grads.items()}}
    found.update(zip(["final " + letter for letter in layer.cell.state], as_tuple(state)))
    if d_state is not None:
        found.update(zip(["d initial " + letter for letter in layer.cell.state], as_tuple(d_state)))
    return found


def run_npseq(layer, x, state, lengths, dy, d_final):
    y, end, tape = layer.forward(x, state, lengths)
    dx, d_initial, grads = layer.backward(tape, dy, d_final)
    return as_dict(layer, y, end, dx, d_initial if state is not None else None, grads)


def make_torch(kind, layer):
    """torch's layer with the parameters of npseq's."""
    own = KINDS[kind][2]
    module = KINDS[kind][1](
        layer.input_size,
        layer.hidden_size,
        layer.num_layers,
        bias=layer.bias,
        bidirectional=layer.bidirectional,
        dtype=torch.float64,
        **own,
    )
    module.load_state_dict({name: torch.tensor(array) for name, array in layer.state_dict().items()})
    return module


def run_torch(module, letters, x, state, lengths, dy, d_final):
    """The same computed by torch; lengths from 1 to T."""
    T = len(x)
    x = torch.tensor(x, requires_grad=True)
    initial = None if state is None else tuple(torch.tensor(part, requires_grad=True) for part in as_tuple(state))
    given = None if initial is None else initial if len(initial) > 1 else initial[0]
    if lengths is None:
        y, end = module(x, given)
    else:
        packed = torch.nn.utils.rnn.pack_padded_sequence(x, torch.tensor(lengths), enforce_sorted=False)
        y, end = module(packed, given)
        y, _ = torch.nn.utils.rnn.pad_packed_sequence(y, total_length=T)
    end = as_tuple(end)
    loss = (y * torch.tensor(dy)).sum() + sum((e * torch.tensor(d)).sum() for e, d in zip(end, as_tuple(d_final)))
    names = [name for name, _ in module.named_parameters()]
    wanted = [x, *(initial or ()), *module.parameters()]
    d_x, *rest = torch.autograd.grad(loss, wanted)
    found = {"y": y, "dx": d_x, **dict(zip(["final " + letter for letter in letters], end))}
    count = len(initial or ())
    found.update(zip(["d initial " + letter for letter in letters], rest[:count]))
    found.update(zip(["d " + name for name in names], rest[count:]))
    return {name: array.detach().numpy() for name, array in found.items()}
