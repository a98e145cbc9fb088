"""What is wrong in the recurrence: the first wrong intermediate of ``bptt.py``, with its step, sequence and line.

The cell's derivative is replaced by the numerical derivative of its forward, so that only the recurrence is judged, and
the local variables of ``bptt.py``'s loops are recorded. The reference recurrence gives the true value of each: the
pre-activations, h_t and c_t going forward, da, dh, dc and the products going back.
"""

from __future__ import annotations

import inspect
import linecache
import re
import types
from types import CodeType
from typing import Any, NamedTuple

import numpy as np

from ... import bptt
from .. import reference
from ..cases import Case
from ..result import relative_error
from . import places, tracing

TOLERANCE = {"complex": 1e-11, "central": 1e-5}
FIELDS = ("W_x", "W_h", "b_x", "b_h", "W_p")
WHERE = {
    "dW_x": "W_x=",
    "dW_h": "W_h=",
    "db_x": "b_x=",
    "db_h": "b_h=",
    "dW_p": "W_p=",
    "d_own": "own=",
    "dx": "out=d_x",
}


class Problem(NamedTuple):
    """One layer in one direction with random data for everything."""

    cell: Any
    weights: bptt.Weights
    x: np.ndarray  # (T, I, B)
    state: tuple[Any, ...]
    lengths: Any
    reverse: bool
    h_mask: np.ndarray | None
    d_hs: np.ndarray
    d_state: tuple[Any, ...]

    def forward(self, engine: Any, cell: Any, **options: Any) -> tuple[np.ndarray, tuple[Any, ...], Any]:
        """Return hs, the final state and the tape."""
        hs, state, tape = engine.forward_through_time(
            cell, self.weights, self.x.copy(), self.state, self.lengths, self.reverse, h_mask=self.h_mask, **options
        )
        return hs, state, tape

    def backward(self, engine: Any, cell: Any, tape: Any, **options: Any) -> tuple[bptt.Weights, Any, tuple[Any, ...]]:
        """Return d_weights, d_x and d_state."""
        d_weights, d_x, d_state = engine.backward_through_time(
            cell, self.weights, tape, self.d_hs, self.d_state, **options
        )
        return d_weights, d_x, d_state


def problem_of(case: Case, run: int, rng: np.random.Generator, scale: float = 1.0) -> Problem:
    """Return the problem of one run (layer and direction) of a ``Recurrent`` in float64; ``scale`` multiplies the
    gradients that backward is given."""
    layer, T, B, lengths = case[:4]
    weights, sizes = layer.weights(run), layer.state_sizes()
    p = layer.recurrent_dropout if case.training else 0
    return Problem(
        layer.cell,
        weights,
        rng.standard_normal((T, weights.W_x.shape[1], B)),
        tuple(rng.standard_normal((size, B)) for size in sizes),
        None if lengths is None else np.asarray(lengths),
        run % layer.num_directions == 1,
        (rng.random((sizes[0], B)) >= p) / (1 - p) if p else None,
        scale * rng.standard_normal((T, sizes[0], B)),
        tuple(scale * rng.standard_normal((size, B)) for size in sizes),
    )


def can_judge(layer: Any) -> bool:
    """True if the layer's recurrence is that of ``bptt.py`` or another order of it, without a planted bug."""
    return hasattr(layer, "weights") and not isinstance(layer.through_time, types.SimpleNamespace)


def diagnose(case: Case, method: str = "complex", scale: float = 1.0) -> list[str]:
    """Return what is wrong in the recurrence of a layer; empty if every run of it is right."""
    layer, engine = case.layer, case.layer.through_time
    for run in range(len(layer.suffixes)):
        problem = problem_of(case, run, np.random.default_rng(run), scale)
        every: list[dict[str, Any]] = [{}]
        if layer.checkpoint_every:
            every.append({"checkpoint_every": layer.checkpoint_every})
        for options in every:
            cell = reference.TrueDerivative(layer.cell, method)
            lines = _compare(problem, engine, cell, TOLERANCE[method], options)
            if not lines and not inspect.ismodule(engine) and not options:
                lines = _other_engine(problem, engine, TOLERANCE[method])
            if lines:
                return lines
    return []


def _compare(problem: Problem, engine: Any, cell: Any, tolerance: float, options: dict[str, Any]) -> list[str]:
    """Return a line about the first wrong intermediate, or about wrong results; empty if all is right."""
    codes = list(_functions(engine).values())
    forward_notes, backward_notes = _Notes(), _Notes()
    hs, end, tape = problem.forward(reference, cell, note=forward_notes)
    true = _results(*problem.backward(reference, cell, tape, note=backward_notes), problem.cell)
    (given_hs, given_end, tape), assigned = tracing.record(
        lambda: problem.forward(engine, cell, **options), codes, elements=True
    )
    same = relative_error(given_hs, hs) <= tolerance and all(
        relative_error(a, b) <= tolerance for a, b in zip(given_end, end)
    )
    if not same:
        found = None if options else _first_wrong(problem, assigned, forward_notes, tolerance)
        what = f"{found}" if found else "the outputs or the final state differ"
        return [f"forward_through_time is not the recurrence of the equations: {what}"]
    return _compare_backward(problem, engine, cell, tape, true, backward_notes, tolerance, options)


def _compare_backward(
    problem: Problem,
    engine: Any,
    cell: Any,
    tape: Any,
    true: dict[str, Any],
    notes: _Notes,
    tolerance: float,
    options: dict[str, Any],
) -> list[str]:
    """Return a line about the first wrong intermediate of backward.

    ``true`` are the gradients, ``notes`` the intermediates of the reference.
    """
    codes = list(_functions(engine).values())
    assigned: list[tracing.Assignment] = []
    try:
        returned, _ = tracing.record(lambda: problem.backward(engine, cell, tape), codes, elements=True, into=assigned)
    except Exception:  # the report has its text; what was wrong before it happened?
        found = _first_wrong(problem, assigned, notes, tolerance)
        return [f"backward_through_time: {found}"] if found else []
    d_weights, d_x, d_state = returned
    given = _results(d_weights, d_x, d_state, problem.cell)
    wrong = [name for name in true if _differs(given[name], true[name], tolerance)]
    if not wrong:
        again = _results(*problem.backward(engine, cell, tape), problem.cell)
        wrong = [name for name in true if _differs(again[name], true[name], tolerance)]
        text = f"backward_through_time: called again with the same tape it returns another {', '.join(wrong)}"
        return [f"{text}: it changes the tape or its arguments"] if wrong else []
    if options:
        return [
            f"backward_through_time: with checkpoint_every={options['checkpoint_every']!r} it returns a wrong "
            f"{', '.join(wrong)}, without it the right one: the segments are recomputed, ordered or added wrongly"
        ]
    found = _first_wrong(problem, assigned, notes, tolerance)
    if found:
        return [f"backward_through_time: {found}"]
    inner = _assembled(assigned, problem)
    tails: dict[str, Any] = {}
    for name in wrong:
        tails.setdefault(_where_it_goes_wrong(name, true[name], inner, engine, tolerance), []).append(name)
    return [
        f"backward_through_time: {', '.join(names)} {'is' if len(names) == 1 else 'are'} wrong, {tail}"
        for tail, names in tails.items()
    ]


def _differs(given: Any, expected: np.ndarray, tolerance: float) -> bool:
    return np.shape(given) != np.shape(expected) or relative_error(given, expected) > tolerance


def _other_engine(problem: Problem, engine: Any, tolerance: float) -> list[str]:
    """Compare another order of the same recurrence with ``bptt.py``, which is right, for the cell itself."""
    hs, _, tape = problem.forward(bptt, problem.cell)
    true = _results(*problem.backward(bptt, problem.cell, tape), problem.cell)
    given_hs, _, tape = problem.forward(engine, problem.cell)
    if relative_error(given_hs, hs) > tolerance:
        return ["bptt.py is right with this cell; the layer's own recurrence (fused/) computes another forward"]
    given = _results(*problem.backward(engine, problem.cell, tape), problem.cell)
    wrong = [name for name in true if _differs(given[name], true[name], tolerance)]
    return (
        [f"bptt.py is right with this cell; the layer's own recurrence (fused/) gives a wrong {', '.join(wrong)}"]
        if wrong
        else []
    )


class _Notes(dict[tuple[str, int], list[Any]]):
    """(name, step) -> the values that the reference noted, in order."""

    def __call__(self, name: str, t: int, value: Any) -> None:
        self.setdefault((name, t), []).append(value)


def _functions(engine: Any) -> dict[str, CodeType]:
    """Return name -> code of the functions of ``bptt.py``."""
    module = engine if inspect.ismodule(engine) else bptt  # which the others use for a cell that is not npseq's
    functions = [f for f in vars(module).values() if inspect.isfunction(f) and f.__module__ == module.__name__]
    return {f.__name__: f.__code__ for f in functions}


def _key(item: tracing.Assignment) -> tuple[str, int]:
    """Return the name and the step under which the reference notes the value of an assignment.

    Outside the loops over the steps the name is that of the function's last two words and of the variable.
    """
    loop = "t" in item.code.co_varnames + item.code.co_cellvars
    return (item.name if loop else f"through_time.{item.name}"), item.step or 0


def _first_wrong(problem: Problem, assigned: list[Any], notes: _Notes, tolerance: float) -> str | None:
    """Return a line about the first assignment whose value is not the one that the reference noted."""
    order: dict[tuple[Any, ...], list[Any]] = {}
    for item in assigned:
        order.setdefault(_key(item), []).append(item)
    for item in assigned:
        mine, true = order[_key(item)], notes.get(_key(item))
        if not true:
            continue
        k = next(k for k, other in enumerate(mine) if other is item)
        if len(mine) != len(true):  # a line was added or dropped: only the last value can be compared
            if k < len(mine) - 1:
                continue
            k = len(true) - 1
        for label, given, expected in _parts(item.value, true[k], problem.cell.state):
            if _differs(given, expected, tolerance):
                return f"{item.name}{label} is wrong at {_describe(problem, item, given, expected)}"
    return None


def _parts(given: Any, expected: Any, letters: str) -> list[tuple[Any, ...]]:
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


def _results(d_weights: bptt.Weights, d_x: Any, d_state: tuple[Any, ...], cell: Any) -> dict[str, Any]:
    """Return name -> gradient of everything that backward returns."""
    return {**_of_weights(d_weights), "dx": d_x, **_of_state(d_state, cell)}


def _of_state(d_state: tuple[Any, ...], cell: Any) -> dict[str, np.ndarray]:
    """Return the gradient of each array of the initial state."""
    return {f"d_state ({letter}) before the first step": d for letter, d in zip(cell.state, d_state)}


def _of_weights(d_weights: tuple[Any, ...]) -> dict[str, np.ndarray]:
    """Return dW_x, dW_h, … and d_own[name] -> gradient."""
    found = {f"d{name}": d for name, d in zip(FIELDS, d_weights) if d is not None}
    return {**found, **{f"d_own[{name}]": d for name, d in (d_weights[5] or {}).items()}}


def _assembled(assigned: list[Any], problem: Problem) -> dict[str, Any]:
    """Return what the loop over the steps hands to ``backward_through_time``, as far as it has the usual names."""
    found: dict[str, Any] = {}
    for item in assigned:
        if _key(item)[0] == "d_weights" and isinstance(item.value, tuple) and len(item.value) == 6:
            found.update(_of_weights(item.value), function=item.code.co_name)
        elif _key(item)[0] == "d_x" + tracing.AT_THE_END:
            found["dx"] = item.value[::-1] if problem.reverse else item.value
        elif item.name == "d_state" and isinstance(item.value, tuple):
            found.update(_of_state(item.value, problem.cell))
    return found


def _where_it_goes_wrong(name: str, expected: np.ndarray, inner: dict[str, Any], engine: Any, tolerance: float) -> str:
    """Return the end of a line about one wrong result: the line of code that computes it, if it can be found."""
    functions = _functions(engine)
    if name in inner and np.shape(inner[name]) == expected.shape and relative_error(inner[name], expected) <= tolerance:
        code = functions["backward_through_time"]
        line = places.line_with(code, "return ") or code.co_firstlineno
        return (
            f"but right where {inner.get('function', 'the loop over the steps')} returns: the error is in what "
            f"backward_through_time does with it, up to {places.line_of(code, line)}"
        )
    text = "every intermediate before is right"
    for code in functions.values():
        where = places.line_with(code, WHERE.get(name.partition("[")[0], "\0"))
        if where:
            return f"{text}, {places.line_of(code, where)}{_called_there(code, where, functions)}"
    return text


def _called_there(code: CodeType, line: int, functions: dict[str, CodeType]) -> str:
    """Return the functions of the module that a line calls: the error may be in one of them."""
    text = linecache.getline(code.co_filename, line)
    called = [name for name in functions if name + "(" in text]
    return "".join(f" (or in {name}, line {functions[name].co_firstlineno})" for name in called)


def code_at(text: str) -> CodeType | None:
    """Return the function of ``bptt.py`` that has the line which a text names, such as ``bptt.py:185``."""
    found = re.search(r"bptt\.py:(\d+)", text)
    for code in _functions(bptt).values():
        if found and int(found[1]) in {line for _, _, line in code.co_lines()}:
            return code
    return None
