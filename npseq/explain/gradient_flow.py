"""How the gradient fares on its way back, ‖∂L/∂h_t‖ against the distance of step t from the loss.

In a plain RNN it goes through the same matrix and a tanh at every step, so with the distance it vanishes or, with
larger weights, explodes (Bengio et al., IEEE Trans. Neural Networks 5, 1994; Pascanu et al. 2013, arXiv
1211.5063v2). The LSTM's cell state is carried by the forget gate alone, and so is its gradient.
"""

from typing import NamedTuple

import numpy as np

from .. import bptt
from ..nn import losses

LOGISTIC = "ifozr"  # letters of the gates that are between 0 and 1
SHUT, OPEN = 0.1, 0.9  # a gate is saturated below and above these (Karpathy et al. 2015, arXiv 1506.02078v2)
EXAMPLES = 64  # over which everything is averaged


class Flow(NamedTuple):
    """norms: letter of the state -> (T + 1,) ‖∂L/∂state‖ at 0 … T steps before the loss; gates: letter -> (T, 2) the
    shares of its values below ``SHUT`` and above ``OPEN``, at 0 … T − 1 steps before the loss."""

    norms: dict
    gates: dict


def gradient_flow(layer, x, d_h):
    """The ``Flow`` of a loss that reads the final h of a layer of one level and one direction.

    Norms are over the units, averaged over the sequences.

    Args:
        layer: a ``Recurrent``. x: (T, B, I). d_h: (B, H), the gradient of the loss with respect to the final h.
    """
    cell, weights, (T, B, _) = layer.cell, layer.weights(), x.shape
    state = tuple(np.zeros((size, B), layer.dtype) for size in layer.state_sizes())
    tapes, values = [], []
    for t in range(T):  # a tape for each step, so that the gradient can be read between the steps
        _, state, tape = bptt.forward_through_time(cell, weights, x[t : t + 1].transpose(0, 2, 1), state)
        cache, _ = tape.segments[0].caches[0]
        tapes.append(tape)
        values.append(np.stack(cache[: len(cell.gates)]))  # a cache starts with the gates' values
    d_state = (np.ascontiguousarray(d_h.T), *(np.zeros_like(part) for part in state[1:]))
    norms = [[_norm(d) for d in d_state]]
    for tape in reversed(tapes):
        _, _, d_state = bptt.backward_through_time(cell, weights, tape, None, d_state, need_dx=False)
        norms.append([_norm(d) for d in d_state])
    values = np.stack(values[::-1])  # (T, G, H, B)
    saturated = np.stack([(values < SHUT).mean((2, 3)), (values > OPEN).mean((2, 3))], axis=-1)
    return Flow(
        dict(zip(cell.state, np.array(norms).T)),
        {gate: saturated[:, k] for k, gate in enumerate(cell.gates) if gate in LOGISTIC},
    )


def _norm(d):
    return np.sqrt((d * d).sum(axis=0)).mean()


def measure(model, task):
    """The ``Flow`` of a model's own loss on training examples, of a classifier's the longest ones, in float64."""
    model, rows = model.astype(np.float64), task.parts["train"][:EXAMPLES]
    x, target, lengths = task.batch(rows, np.float64)
    if lengths is not None:  # so that every distance is one of real steps
        x, target = x[lengths == lengths.max()], target[lengths == lengths.max()]
    y, (_, head_tape) = model.forward(x)
    _, dy = losses.LOSSES[model.loss](y, target)
    d_h, _ = model.fc.backward(head_tape, dy)
    return gradient_flow(model.rnn, x.swapaxes(0, 1), d_h)
