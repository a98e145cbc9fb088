"""What stands between the runs of a layer: shapes, states, dropout between layers, sums, names.

Every run of the recurrence has been shown to be right for what it was given. So what a run was given, or what was made
of its results, is wrong.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from ...fused.step import Plan
from .. import reference
from .. import reference_layer as layers
from ..reference import known
from .same import at, same


def of_layer(check: Any, calls: list[Any]) -> list[str]:
    """Return where a layer goes wrong whose runs are right.

    Args:
        check: the ``LayerCheck`` that failed, whose runs are those of its ``tapes``.
        calls: of its recurrence, in order.
    """
    case, runs, tapes = check.case, check.case.runs, check.tapes
    start = 2 * runs if case.case.again else 0  # those with other parameters come first
    forwards = [call for call in calls[start:] if not call.backward][:runs]
    for run, call in enumerate(forwards):
        weights, tape = tapes[run]
        found = _given_to_forward(call, weights, tape, run // check.shape.D, case.layer.dropout)
        if found:
            return [found]
    if not same(check.y, check.true_y):
        return ["recurrent.py, Recurrent._run: y is not what the last runs have returned"]
    if not all(map(same, check.end, check.true_end)):
        return ["torch_shapes.py, rows: the final state is not what the runs have returned (whole)"]
    backwards = [call for call in calls[start:] if call.backward and any(call.forward is one for one in forwards)]
    return _backward(check, backwards[:runs])


def _given_to_forward(call: Any, weights: Any, tape: Any, k: int, p_drop: float) -> str | None:
    """Return what is wrong with what a run of layer k was given."""
    p = call.problem
    for name, given, true in zip(weights._fields, p.weights[:5], weights[:5]):
        if true is not None and not same(given, true):
            return f"recurrent.py, Recurrent._weights_of: {name} of layer {k} is not its parameter"
    x = p.x[::-1] if p.reverse else p.x
    valid = tape.valid
    x = x if valid is None else np.where(valid, x, 0)
    if not same(x, tape.x):
        if k == 0:
            return "torch_shapes.py, inputs: the first layer does not read x"
        kept = tape.x != 0
        factor = x[kept] / tape.x[kept] if kept.any() else np.ones(1)
        if same(factor, factor[:1] + 0 * factor) and not same(factor, 1 - p_drop + 0 * factor):  # else there is none
            return "recurrent.py, Recurrent._dropout_mask: the mask between layers is not 0 or 1 / (1 − p)"
        return f"recurrent.py, Recurrent._run: x of layer {k} is not that of the layer below times its mask (masks)"
    if (p.h_mask is None) != (tape.h_mask is None) or p.h_mask is not None and not same(p.h_mask, tape.h_mask):
        return "recurrent.py, Recurrent._dropout_mask: the mask of recurrent dropout is not 0 or 1 / (1 − p)"
    for letter, given, true in zip(p.cell.state, p.state, [slot[0] for slot in tape.slots]):
        if not same(given, true):
            return f"recurrent.py, Recurrent._columns: the initial {letter} of layer {k} is not the one that was given"
    return None


def _backward(check: Any, calls: list[Any]) -> list[str]:
    """Return what is wrong with what the runs were given going back, or with what was made of their results."""
    case, layer, grads = check.case, check.case.layer, check.grads
    L, D, P = layer.num_layers, layer.num_directions, layer.output_size
    dy: Any = case.R
    by_run = dict(zip(reversed(range(L)), [calls[i * D : (i + 1) * D] for i in range(L)]))
    before: list[Any] = [None] * (L * D)
    for k in reversed(range(L)):
        mask = check.shape.y_masks[k]
        dx: Any = 0
        dy = dy if mask is None else dy * mask
        for d, call in enumerate(sorted(by_run[k], key=lambda call: call.problem.reverse)):
            run = k * D + d
            p = call.problem
            true = dy[:, :, d * P : (d + 1) * P].transpose(0, 2, 1)
            padding = case.case.padding()[:, None, :]
            if not same(np.where(padding, 0, p.d_hs), np.where(padding, 0, true)):
                return [f"recurrent.py, Recurrent.backward: dy of layer {k} is not dx of the layer above"]
            for letter, given, part in zip(layer.cell.state, p.d_state, case.S):
                if not same(given, part[run].T):
                    return [f"recurrent.py, Recurrent.backward: d_state ({letter}) of layer {k} is not the one given"]
            d_weights, d_columns, d_before = call.result
            named = dict(zip(("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr"), d_weights[:5]))
            end = layers.run_names(check.shape)[run]
            for name, array in {**named, **(d_weights.own or {})}.items():
                if array is not None and not same(grads[name + end].reshape(array.shape), array):
                    return [f"recurrent.py, Recurrent._store: grads of {name + end} is not what its run has returned"]
            before[run] = d_before
            dx = dx + (0 if d_columns is None else d_columns.transpose(0, 2, 1))
        dy = dx
    if "x" in grads and not same(grads["x"], dy):
        return ["recurrent.py, Recurrent.backward: dx is not the sum of what the runs of the first layer have returned"]
    for n, letter in enumerate(layer.cell.state):
        d_initial = np.array([part[n].T for part in before])
        if letter in grads and not same(grads[letter], d_initial):
            return [f"torch_shapes.py, rows: d_state ({letter}) is not what the runs have returned (whole)"]
        learned = grads.get(letter + "_0")
        if learned is not None and letter not in grads and not same(learned, d_initial.sum(1)):
            return [f"recurrent.py, Recurrent.backward: grads of {letter}_0 (d) is not the sum over the sequences"]
    return []


def of_stream(layer: Any) -> list[str]:
    """Return whether a step of ``fused/step.py`` is wrong, or the stream around the steps."""
    rng = np.random.default_rng(0)
    for k, B in itertools.product(range(layer.num_layers), (1, 3)):
        weights = layer.weights(k)
        P, I = weights.W_h.shape[1], weights.W_x.shape[1]
        z = rng.standard_normal((P + 1 + I, B) if B > 1 else P + 1 + I)
        z[P] = 1
        step = Plan(layer.cell, weights).step(z)
        for part in step.state[1:]:
            part[...] = rng.standard_normal(part.shape)
        before, x = tuple(part.copy() for part in step.state), z[P + 1 :].reshape(1, I, B).copy()
        step.run()
        true = reference.forward_through_time(known(layer.cell), weights, x, before)[1]
        wrong = [letter for letter, part, new in zip(layer.cell.state, step.state, true) if not same(part, new)]
        if wrong:
            return [at(type(step).run, f"the new {', '.join(wrong)} is wrong (W, z)", "(44)")]
    return ["streaming.py, Stepper: every step is right; what the stream makes of them is not"]
