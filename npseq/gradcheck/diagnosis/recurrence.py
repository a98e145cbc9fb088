"""What is wrong in the recurrence: the first wrong intermediate of ``bptt.py``, with its step, sequence and line.

The cell's derivative is replaced by the numerical derivative of its forward, so that only the recurrence is judged, and
the local variables of ``bptt.py``'s loops are recorded. The reference recurrence gives the true value of each: the
pre-activations, h_t and c_t going forward, da, dh, dc and the products going back.
"""

from __future__ import annotations

import inspect
import re
from typing import Any, NamedTuple

import numpy as np

from ... import bptt
from .. import reference
from ..result import near
from . import places, tracing

FIELDS = bptt.Weights._fields[:5]
WHERE = {"d_own": "own=", "dx": "out=d_x", **{f"d{name}": f"{name}=" for name in FIELDS}}  # what computes a result


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

    def forward(self, engine: Any, cell: Any, **options: Any) -> Any:
        """Return hs, the final state and the tape."""
        given = cell, self.weights, self.x.copy(), self.state, self.lengths, self.reverse
        return engine.forward_through_time(*given, h_mask=self.h_mask, **options)

    def backward(self, engine: Any, cell: Any, tape: Any, **options: Any) -> Any:
        """Return d_weights, d_x and d_state."""
        return engine.backward_through_time(cell, self.weights, tape, self.d_hs, self.d_state, **options)


class Judged:
    """One problem, run by a module with the functions of ``bptt.py`` and by the reference, for the same cell."""

    def __init__(self, problem: Problem, engine: Any, cell: Any, allowed: float) -> None:
        self.problem, self.engine, self.cell, self.allowed = problem, engine, cell, allowed
        functions = [f for f in vars(engine).values() if inspect.isfunction(f) and f.__module__ == engine.__name__]
        self.codes = {f.__name__: f.__code__ for f in functions}
        self.forward_notes, self.backward_notes = Notes(), Notes()
        hs, end, tape = problem.forward(reference, cell, note=self.forward_notes)
        self.outputs = hs, *end
        self.gradients = results(problem, problem.backward(reference, cell, tape, note=self.backward_notes))

    def wrong(self, options: dict[str, Any]) -> list[str]:
        """Return a line about the first wrong intermediate, or about wrong results; empty if all is right."""
        problem, codes = self.problem, list(self.codes.values())
        (hs, end, tape), assigned = tracing.record(
            lambda: problem.forward(self.engine, self.cell, **options), codes, elements=True
        )
        if not all(map(self.near, (hs, *end), self.outputs)):
            found = None if options else self._first_wrong(assigned, self.forward_notes)
            what = found or "the outputs or the final state differ"
            return [f"forward_through_time is not the recurrence of the equations: {what}"]
        return self._backward(tape, options)

    def _backward(self, tape: Any, options: dict[str, Any]) -> list[str]:
        problem, codes, true = self.problem, list(self.codes.values()), self.gradients

        def run() -> Any:
            return problem.backward(self.engine, self.cell, tape)

        assigned: list[tracing.Assignment] = []
        try:
            returned, _ = tracing.record(run, codes, elements=True, into=assigned)
        except Exception:  # the report has its text; what was wrong before it happened?
            found = self._first_wrong(assigned, self.backward_notes)
            return [f"backward_through_time: {found}"] if found else []
        wrong = self._wrong_of(results(problem, returned))
        if not wrong:
            wrong = self._wrong_of(results(problem, run()))
            text = f"backward_through_time: called again with the same tape it returns another {', '.join(wrong)}"
            return [f"{text}: it changes the tape or its arguments"] if wrong else []
        if options:
            return [
                f"backward_through_time: with checkpoint_every={options['checkpoint_every']!r} it returns a wrong "
                f"{', '.join(wrong)}, without it the right one: the segments are recomputed, ordered or added wrongly"
            ]
        found = self._first_wrong(assigned, self.backward_notes)
        if found:
            return [f"backward_through_time: {found}"]
        inner = _assembled(assigned, problem)
        tails: dict[str, Any] = {}
        for name in wrong:
            tails.setdefault(self._where_it_goes_wrong(name, true[name], inner), []).append(name)
        return [
            f"backward_through_time: {', '.join(names)} {'is' if len(names) == 1 else 'are'} wrong, {tail}"
            for tail, names in tails.items()
        ]

    def near(self, given: Any, expected: np.ndarray) -> bool:
        return near(given, expected, self.allowed)

    def _wrong_of(self, given: dict[str, Any]) -> list[str]:
        return [name for name, true in self.gradients.items() if not self.near(given[name], true)]

    def _first_wrong(self, assigned: list[Any], notes: Notes) -> str | None:
        """Return a line about the first assignment whose value is not the one that the reference noted."""
        for item, k, count in tracing.numbered(assigned, _key):
            true = notes.get(_key(item))
            if not true:
                continue
            if count != len(true):  # a line was added or dropped: only the last value can be compared
                if k < count - 1:
                    continue
                k = len(true) - 1
            for label, given, expected in _parts(item.value, true[k], self.problem.cell.state):
                if not self.near(given, expected):
                    return f"{item.name}{label} is wrong at {_describe(self.problem, item, given, expected)}"
        return None

    def _where_it_goes_wrong(self, name: str, expected: np.ndarray, inner: dict[str, Any]) -> str:
        """Return the end of a line about one wrong result: the line of code that computes it, if it can be found."""
        if name in inner and self.near(inner[name], expected):
            code = self.codes["backward_through_time"]
            last = places.line_with(code, "return ") or code.co_firstlineno
            return (
                f"but right where {inner.get('function', 'the loop over the steps')} returns: the error is in what "
                f"backward_through_time does with it, up to {places.line_of(code, last)}"
            )
        text = "every intermediate before is right"
        for code in self.codes.values():
            line = places.line_with(code, WHERE.get(name.partition("[")[0], "\0"))
            if line:  # the error may also be in a function that the line calls
                called = [other for other in self.codes if other + "(" in places.text_of(code, line)]
                or_in = "".join(f" (or in {other}, line {self.codes[other].co_firstlineno})" for other in called)
                return f"{text}, {places.line_of(code, line)}{or_in}"
        return text

    def function_at(self, text: str) -> Any:
        """Return the function that has the line which a text names, such as ``bptt.py:185``."""
        found = re.search(r"\.py:(\d+)", text)
        lines = {name: {line for _, _, line in code.co_lines()} for name, code in self.codes.items()}
        return next((name for name in lines if found and int(found[1]) in lines[name]), None)


class Notes(dict[tuple[str, int], list[Any]]):
    """(name, step) -> the values that the reference noted, in order."""

    def __call__(self, name: str, t: int, value: Any) -> None:
        self.setdefault((name, t), []).append(value)


def _key(item: tracing.Assignment) -> tuple[str, int]:
    """Return the name and the step under which the reference notes the value of an assignment.

    Outside the loops over the steps the name is that of the function's last two words and of the variable.
    """
    loop = "t" in item.code.co_varnames + item.code.co_cellvars
    return (item.name if loop else f"through_time.{item.name}"), item.step or 0


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


def results(problem: Problem, returned: tuple[Any, ...]) -> dict[str, Any]:
    """Return name -> gradient of everything that backward returns: d_weights, d_x, d_state."""
    d_weights, d_x, d_state = returned
    return {**_of_weights(d_weights), "dx": d_x, **_of_state(d_state, problem.cell)}


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
