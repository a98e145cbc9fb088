"""What stands between the runs of a layer: shapes, states, dropout between layers, sums, names.

Every run of the recurrence has been shown to be right for what it was given. So what a run was given, or what was made
of its results, is wrong: it is not that of the second statement of a layer (``reference_layer.py``).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...fused.step import Plan
from .. import reference
from .. import reference_layer as layers
from ..reference import known
from .same import at, same


def of_layer(check: Any, calls: Sequence[Any], true_calls: Sequence[Any], true: dict[str, np.ndarray]) -> list[str]:
    """Return where a layer goes wrong whose runs are right.

    Args:
        check: the ``LayerCheck`` that failed.
        calls: of its recurrence, in order; true_calls: those of the second statement.
        true: the gradients of the second statement.
    """
    case, runs = check.case, check.case.runs
    calls = calls[2 * runs if case.case.again else 0 :]  # those with other parameters come first
    forwards, true_forwards = ([call for call in some if not call.backward][:runs] for some in (calls, true_calls))
    for run, (call, true_call) in enumerate(zip(forwards, true_forwards)):
        found = _given_to_forward(check, call.problem, true_call.problem, run // check.shape.D)
        if found:
            return [found]
    if not same(check.y, check.true_y):
        return ["recurrent.py, Recurrent._run: y is not what the last runs have returned"]
    if not all(map(same, check.end, check.true_end)):
        return ["torch_shapes.py, rows: the final state is not what the runs have returned (whole)"]
    numbers = {id(call): run for run, call in enumerate(forwards)}
    backwards = {numbers[id(c.forward)]: c for c in reversed(calls) if c.backward and id(c.forward) in numbers}
    return _backward(check, backwards, [call for call in true_calls if call.backward], true)


def _masked(check: Any, array: np.ndarray) -> np.ndarray:
    """Return an array (T, ·, B) with zeros in the padding."""
    return np.where(check.case.case.padding()[:, None, :], 0, array)


def _given_to_forward(check: Any, p: Any, true: Any, k: int) -> str | None:
    """Return what is wrong with what a run of layer k was given."""
    for name, given, expected in zip(p.weights._fields, p.weights[:5], true.weights[:5]):
        if expected is not None and not same(given, expected):
            return f"recurrent.py, Recurrent._weights_of: {name} of layer {k} is not its parameter"
    x, true_x = _masked(check, p.x), _masked(check, true.x)
    if not same(x, true_x):
        if k == 0:
            return "torch_shapes.py, inputs: the first layer does not read x"
        kept = true_x != 0
        factor = x[kept] / true_x[kept] if kept.any() else np.ones(1)
        no_mask = same(factor, 1 - check.case.layer.dropout + 0 * factor)
        if same(factor, factor[:1] + 0 * factor) and not no_mask:
            return "recurrent.py, Recurrent._dropout_mask: the mask between layers is not 0 or 1 / (1 − p)"
        return f"recurrent.py, Recurrent._run: x of layer {k} is not that of the layer below times its mask (masks)"
    if (p.h_mask is None) != (true.h_mask is None) or p.h_mask is not None and not same(p.h_mask, true.h_mask):
        return "recurrent.py, Recurrent._dropout_mask: the mask of recurrent dropout is not 0 or 1 / (1 − p)"
    for letter, given, expected in zip(p.cell.state, p.state, true.state):
        if not same(given, expected):
            return f"recurrent.py, Recurrent._columns: the initial {letter} of layer {k} is not the one that was given"
    return None


def _backward(check: Any, calls: dict[int, Any], true_calls: list[Any], true: dict[str, np.ndarray]) -> list[str]:
    """Return what is wrong with what the runs (by number) were given going back, or with what was made of their
    results."""
    letters, D, grads, ends = check.case.letters, check.shape.D, check.grads, layers.run_names(check.shape)
    runs = [k * D + d for k in reversed(range(check.shape.L)) for d in range(D)]  # in the order of the second statement
    for run, true_call in zip(runs, true_calls):
        p, expected, k = calls[run].problem, true_call.problem, run // D
        if not same(_masked(check, p.d_hs), _masked(check, expected.d_hs)):
            return [f"recurrent.py, Recurrent.backward: dy of layer {k} is not dx of the layer above"]
        for letter, given, part in zip(letters, p.d_state, expected.d_state):
            if not same(given, part):
                return [f"recurrent.py, Recurrent.backward: d_state ({letter}) of layer {k} is not the one given"]
        for name in true:
            if name.endswith(ends[run]) and not same(grads[name], true[name]):
                return [f"recurrent.py, Recurrent._store: grads of {name} is not what its run has returned"]
    if "x" in grads and not same(grads["x"], true["x"]):
        return ["recurrent.py, Recurrent.backward: dx is not the sum of what the runs of the first layer have returned"]
    for letter in letters:
        if letter in grads and not same(grads[letter], true[letter]):
            return [f"torch_shapes.py, rows: d_state ({letter}) is not what the runs have returned (whole)"]
        learned = letter + "_0"
        if learned in grads and letter not in grads and not same(grads[learned], true[learned]):
            return [f"recurrent.py, Recurrent.backward: grads of {learned} (d) is not the sum over the sequences"]
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
