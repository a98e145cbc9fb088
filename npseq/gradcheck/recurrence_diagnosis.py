"""What is wrong in the recurrence: the first wrong intermediate of ``bptt.py``, with its step, sequence and line.

The cell's derivative is replaced by the numerical derivative of its forward, so that only the recurrence is judged, and
the local variables of ``bptt.py``'s loops are recorded. The reference recurrence gives the true value of each: the
pre-activations, h_t and c_t going forward, da, dh, dc and the products going back.
"""

from __future__ import annotations

import inspect
import types
from typing import Any, NamedTuple

import numpy as np

from .. import bptt
from . import places, reference, tracing
from .result import relative_error

TOLERANCE = {"complex": 1e-11, "central": 1e-5}
FIELDS = ("W_x", "W_h", "b_x", "b_h", "W_p")
WHERE = {"W_x": "W_x=", "W_h": "W_h=", "b_x": "b_x=", "b_h": "b_h=", "W_p": "W_p=", "own": "own=", "x": "out=d_x"}


class Problem(NamedTuple):
    """One layer in one direction with random data for everything."""

    cell: Any
    weights: bptt.Weights
    x: np.ndarray  # (T, I, B)
    state: tuple
    lengths: Any
    reverse: bool
    h_mask: np.ndarray | None
    d_hs: np.ndarray
    d_state: tuple

    def forward(self, engine: Any, cell: Any, **options: Any) -> tuple:
        """Return hs, the final state and the tape."""
        return engine.forward_through_time(
            cell, self.weights, self.x.copy(), self.state, self.lengths, self.reverse, h_mask=self.h_mask, **options
        )

    def backward(self, engine: Any, cell: Any, tape: Any, **options: Any) -> tuple:
        """Return d_weights, d_x and d_state."""
        return engine.backward_through_time(cell, self.weights, tape, self.d_hs, self.d_state, **options)


def problem_of(layer: Any, run: int, T: int, B: int, lengths: Any, training: bool, rng: np.random.Generator) -> Problem:
    """Return the problem of one run (layer and direction) of a ``Recurrent`` in float64."""
    weights, sizes = layer.weights(run), layer.state_sizes()
    p = layer.recurrent_dropout if training else 0
    return Problem(
        layer.cell,
        weights,
        rng.standard_normal((T, weights.W_x.shape[1], B)),
        tuple(rng.standard_normal((size, B)) for size in sizes),
        None if lengths is None else np.asarray(lengths),
        run % layer.num_directions == 1,
        (rng.random((sizes[0], B)) >= p) / (1 - p) if p else None,
        rng.standard_normal((T, sizes[0], B)),
        tuple(rng.standard_normal((size, B)) for size in sizes),
    )


def can_judge(layer: Any) -> bool:
    """True if the layer's recurrence is that of ``bptt.py`` or another schedule of it, without a planted bug."""
    return hasattr(layer, "weights") and not isinstance(layer.through_time, types.SimpleNamespace)


def diagnose(layer: Any, T: int, B: int, lengths: Any, training: bool, method: str = "complex") -> list[str]:
    """Return what is wrong in the recurrence of a layer; empty if every run of it is right."""
    engine = layer.through_time
    for run in range(len(layer.suffixes)):
        problem = problem_of(layer, run, T, B, lengths, training, np.random.default_rng(run))
        for options in [{}] + ([{"checkpoint_every": layer.checkpoint_every}] if layer.checkpoint_every else []):
            cell = reference.TrueDerivative(layer.cell, method)
            lines = _compare(problem, engine, cell, TOLERANCE[method], options)
            if not lines and not inspect.ismodule(engine) and not options:
                lines = _other_engine(problem, engine, TOLERANCE[method])
            if lines:
                return lines
    return []


def _compare(problem: Problem, engine: Any, cell: Any, tolerance: float, options: dict) -> list[str]:
    """Return a line about the first wrong intermediate, or about wrong results; empty if all is right."""
    codes = _loops(engine)
    forward_notes, backward_notes = _Notes(), _Notes()
    hs, end, tape = problem.forward(reference, cell, note=forward_notes)
    true = _results(*problem.backward(reference, cell, tape, note=backward_notes), problem.cell)
    (given_hs, given_end, tape), assigned = tracing.record(lambda: problem.forward(engine, cell, **options), codes)
    same = relative_error(given_hs, hs) <= tolerance and all(
        relative_error(a, b) <= tolerance for a, b in zip(given_end, end)
    )
    if not same:
        found = None if options else _first_wrong(problem, assigned, forward_notes, tolerance)
        what = f"{found}" if found else "the outputs or the final state differ"
        return [f"forward_through_time is not the recurrence of the equations: {what}"]
    returned, assigned = tracing.record(lambda: problem.backward(engine, cell, tape), codes)
    given = _results(*returned, problem.cell)
    wrong = [name for name in true if given[name] is None or relative_error(given[name], true[name]) > tolerance]
    if not wrong:
        return []
    found = None if options else _first_wrong(problem, assigned, backward_notes, tolerance)
    if found:
        return [f"backward_through_time: {found}"]
    how = f" with checkpoint_every={options['checkpoint_every']!r}, right without it" if options else ""
    return [f"backward_through_time: {_result_line(name, given[name], true[name], codes)}{how}" for name in wrong]


def _other_engine(problem: Problem, engine: Any, tolerance: float) -> list[str]:
    """Compare another schedule of the same recurrence with ``bptt.py``, which is right, for the cell itself."""
    hs, _, tape = problem.forward(bptt, problem.cell)
    true = _results(*problem.backward(bptt, problem.cell, tape), problem.cell)
    given_hs, _, tape = problem.forward(engine, problem.cell)
    if relative_error(given_hs, hs) > tolerance:
        return ["bptt.py is right with this cell; the layer's own recurrence (fused/) computes another forward"]
    given = _results(*problem.backward(engine, problem.cell, tape), problem.cell)
    wrong = [f"d{name}" for name in true if relative_error(given[name], true[name]) > tolerance]
    return (
        [f"bptt.py is right with this cell; the layer's own recurrence (fused/) gives a wrong {', '.join(wrong)}"]
        if wrong
        else []
    )


class _Notes(dict):
    """(name, step) -> the values that the reference noted, in order."""

    def __call__(self, name: str, t: int, value: Any) -> None:
        self.setdefault((name, t), []).append(value)


def _loops(engine: Any) -> list:
    """Return the code of the functions of ``bptt.py`` that go over the steps."""
    module = engine if inspect.ismodule(engine) else bptt  # which other schedules use for a cell that is not npseq's
    functions = [f for f in vars(module).values() if inspect.isfunction(f) and f.__module__ == module.__name__]
    codes = [f.__code__ for f in functions]
    return [code for code in codes if "t" in code.co_varnames + code.co_cellvars]


def _first_wrong(problem: Problem, assigned: list, notes: _Notes, tolerance: float) -> str | None:
    """Return a line about the first assignment whose value is not the one that the reference noted."""
    order: dict[tuple, list] = {}
    for item in assigned:
        order.setdefault((item.name, item.step or 0), []).append(item)
    for item in assigned:
        mine, true = order[item.name, item.step or 0], notes.get((item.name, item.step or 0))
        if not true:
            continue
        k = next(k for k, other in enumerate(mine) if other is item)
        if len(mine) != len(true):  # a line was added or dropped: only the last value can be compared
            if k < len(mine) - 1:
                continue
            k = len(true) - 1
        for label, given, expected in _parts(item.value, true[k], problem.cell.state):
            if np.shape(given) != np.shape(expected) or relative_error(given, expected) > tolerance:
                return f"{item.name}{label} is wrong at {_describe(problem, item, given, expected)}"
    return None


def _parts(given: Any, expected: Any, letters: str) -> list[tuple]:
    """Return (label, given, expected) of the arrays of two values of one kind."""
    if isinstance(expected, tuple) and isinstance(given, tuple) and len(given) == len(expected):
        return [(f" ({letter})", a, b) for letter, a, b in zip(letters, given, expected)]
    if isinstance(expected, np.ndarray) and isinstance(given, np.ndarray):
        return [("", given, expected)]
    return []


def _describe(problem: Problem, item: tracing.Assignment, given: Any, expected: Any) -> str:
    """Return step, place, values and line of a wrong intermediate."""
    number = item.line
    if item.name == "state" and item.step:  # it was read from a slot that the step before wrote
        number = places.line_with(item.code, "[t + 1] =") or number
    line = places.line_of(item.code, number)
    T, units = len(problem.x), len(problem.state[-1])
    step = item.step or 0
    if np.shape(given) != np.shape(expected):
        return f"step {step}: shape {np.shape(given)}, {np.shape(expected)} expected; {line}"
    where, a, b = places.worst_element(given, expected)
    if len(where) == 3:  # all steps at once
        step, where = where[0], where[1:]
    time = T - 1 - step if problem.reverse else step
    place = places.of_column(where, expected.shape[-2:], problem.cell.gates, units)
    return f"step {time}{', ' + place if place else ''}: {a:.9g} given, {b:.9g} expected; {line}"


def _results(d_weights: bptt.Weights, d_x: Any, d_state: tuple, cell: Any) -> dict[str, Any]:
    """Return name -> gradient of everything that backward returns."""
    found = {name: d for name, d in zip(FIELDS, d_weights) if d is not None}
    found.update({f"own {name}": d for name, d in (d_weights.own or {}).items()})
    return {**found, "x": d_x, **{f"initial {letter}": d for letter, d in zip(cell.state, d_state)}}


def _result_line(name: str, given: Any, expected: np.ndarray, codes: list) -> str:
    """Return a line about one wrong result, with the line of code that computes it if it can be found."""
    text = f"d{name} is wrong, every intermediate before it is right"
    for code in codes:
        line = places.line_with(code, WHERE.get(name.split()[0], "\0"))
        if line:
            return f"{text}, {places.line_of(code, line)}"
    return text
