"""How the gradient changes on its way back through time: ‖dh_t‖ and ‖dc_t‖ against the distance from the loss.

In a plain RNN the gradient passes the same matrix and a tanh at every step, (36) of ``docs/derivation.md``, so with the
distance it vanishes or, with larger weights, explodes (Bengio et al., IEEE Trans. Neural Networks 5, 1994; Pascanu et
al. 2013, arXiv 1211.5063v2). In the LSTM and the GRU there is a second path that only multiplies by a gate, (37). Each
path can be switched off in the backward pass, to see how much of the gradient arrives through the other one alone.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from .. import bptt
from ..bptt import Cell
from ..nn import losses

LOGISTIC = "ifozr"  # letters of the gates that are between 0 and 1
SHUT, OPEN = 0.1, 0.9  # a gate is saturated below and above these (Karpathy et al. 2015, arXiv 1506.02078v2)
EXAMPLES = 64  # over which everything is averaged
PATHS = ("both", "direct", "W_h")  # both paths; past W_h (along c, or 1 − z) alone; through W_h alone


class Flow(NamedTuple):
    """How the gradient of one model changes with the distance from the loss.

    norms: letter of the state -> (T + 1,) the norm of its gradient at 0 … T steps before the loss. gates: letter ->
    (T, 2) the fractions of its values below ``SHUT`` and above ``OPEN``, at 0 … T − 1 steps before the loss. paths:
    name in ``PATHS`` -> (T + 1,) the norm of the whole state's gradient with only that path; {} for a cell with one
    path.
    """

    norms: dict[str, np.ndarray]
    gates: dict[str, np.ndarray]
    paths: dict[str, np.ndarray]


def gradient_flow(layer: Any, x: np.ndarray, d_h: np.ndarray) -> Flow:
    """Return the ``Flow`` of a loss that reads the final h of a single, unidirectional layer.

    Norms are over the units, averaged over the sequences.

    Args:
        layer: a ``Recurrent``. x: (T, B, I). d_h: (B, H), the gradient of the loss with respect to the final h.
    """
    cell, weights, (T, B, _) = layer.cell, layer.weights(), x.shape
    state = tuple(np.zeros((size, B), layer.dtype) for size in layer.state_sizes())
    tapes: list[Any] = []
    values = []
    for t in range(T):  # one tape for each step, so that the gradient can be read between the steps
        _, state, tape = bptt.forward_through_time(cell, weights, x[t : t + 1].transpose(0, 2, 1), state)
        tapes.append(tape)
        cache, _ = tapes[-1].segments[0].caches[0]
        values.append(np.stack(cache[: len(cell.gates)]))  # a cache starts with the gates' values
    d_state = (np.ascontiguousarray(d_h.T), *(np.zeros_like(part) for part in state[1:]))
    d_states = carried_back(cell, weights, tapes, d_state)
    norms = {letter: np.array([_norm(d[k]) for d in d_states]) for k, letter in enumerate(cell.state)}
    paths = {}
    if has_direct_path(cell, weights, tapes[-1], d_state):
        for path in PATHS:
            states = d_states if path == "both" else carried_back(cell, weights, tapes, d_state, path)
            paths[path] = np.array([_norm(np.concatenate(d)) for d in states])
    gates = np.stack(values[::-1])  # (T, G, H, B)
    saturated = np.stack([(gates < SHUT).mean((2, 3)), (gates > OPEN).mean((2, 3))], axis=-1)
    named = {gate: saturated[:, k] for k, gate in enumerate(cell.gates) if gate in LOGISTIC}
    return Flow(norms, named, paths)


def carried_back(
    cell: Cell, weights: bptt.Weights, tapes: list[Any], d_state: tuple[np.ndarray, ...], path: str = "both"
) -> list[tuple[np.ndarray, ...]]:
    """Carry the gradient of the final state back over ``tapes``, one for each step.

    Args:
        path: one of ``PATHS``. With ``"direct"`` the product with W_hᵀ in (30) is left out; with ``"W_h"`` the cell's
            own path to the state before the step (dc', dh'_direct) is.

    Returns:
        The gradient in every slot, the last slot first.
    """
    if path == "direct":
        weights = weights._replace(W_h=np.zeros_like(weights.W_h))
    if path == "W_h":
        cell = _without_direct_path(cell)
    d_states = [d_state]
    for tape in reversed(tapes):
        _, _, d_state = bptt.backward_through_time(cell, weights, tape, None, d_state, need_dx=False)
        d_states.append(d_state)
    return d_states


def has_direct_path(cell: Cell, weights: bptt.Weights, tape: Any, d_state: tuple[np.ndarray, ...]) -> bool:
    """True if the cell itself passes gradient to the state before the step, as the LSTM and the GRU do."""
    cache, _ = tape.segments[0].caches[0]
    d_before = cell.backward(d_state, cache, *([] if weights.own is None else [weights.own]))[2]
    return any(part.any() for part in d_before)


def _without_direct_path(cell: Cell) -> Any:
    def backward(d_state: Any, cache: Any, *own: Any) -> Any:
        da_x, da_h, d_before, *d_own = cell.backward(d_state, cache, *own)
        return (da_x, da_h, tuple(np.zeros_like(part) for part in d_before), *d_own)

    return SimpleNamespace(gates=cell.gates, state=cell.state, forward=cell.forward, backward=backward)


def _norm(d: np.ndarray) -> float:
    return float(np.sqrt((d * d).sum(axis=0)).mean())


def measure(model: Any, task: Any) -> Flow:
    """Return the ``Flow`` of a model's own loss on training examples, in float64; of a classifier's on the longest."""
    model, rows = model.astype(np.float64), task.parts["train"][:EXAMPLES]
    x, target, lengths = task.batch(rows, np.float64)[:3]
    if lengths is not None:  # so that every distance is one of real steps
        x, target = x[lengths == lengths.max()], target[lengths == lengths.max()]
    y, _, tape = model.forward(x)
    _, dy = losses.LOSSES[model.loss](y, target)
    if model.every_step:  # the loss of the last output alone, so that every distance is one from the same step
        dy = dy.swapaxes(0, 1).reshape(-1, dy.shape[-1])
    d_h, _ = model.fc.backward(tape.head, dy)
    if model.embedding is not None:
        x = model.embedding(x)
    return gradient_flow(model.rnn, x.swapaxes(0, 1), d_h[-len(x) :])
