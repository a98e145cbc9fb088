"""From gradients and a loss to a verdict: what the complex step says, and whether it can be trusted."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Mapping, Sequence
from types import CodeType
from typing import Any

import numpy as np

from ..nn import own_parameters
from . import places, tracing
from .analytic import Differentiated, Make, check_method
from .numerical import dtype_of, numerical_gradient
from .result import ArrayError, Result, compare, largest

THRESHOLD = {"complex": 1e-13, "central": 1e-6}

Arrays = Mapping[str, np.ndarray]


def threshold_of(method: str, threshold: float | None) -> float:
    """Return the threshold of a method unless one is given.

    Raises:
        ValueError: if there is no such method.
    """
    dtype_of(method)
    return THRESHOLD[method] if threshold is None else threshold


def judge(
    make: Make,
    calls: Sequence[Arrays],
    method: str,
    threshold: float,
    steps_of: str | None = None,
    fault: str | None = None,
) -> tuple[Result, dict[str, np.ndarray]]:
    """Compare gradients with the numerical gradient of a loss.

    Args:
        make: ``make(dtype) -> f, arrays``: a loss, and the arrays of that dtype that it reads.
        calls: the gradients that backward returned, called once or twice; empty if it raised an exception.
        method, threshold, steps_of: as for ``check``.
        fault: a line about the exception.

    Returns:
        The result, without a diagnosis, and the numerical gradient.
    """
    not_analytic: dict[str, str] = {}
    central: dict[str, np.ndarray] = {}
    differentiated = None
    if method == "complex":
        differentiated = Differentiated(make)
        expected = differentiated.expected
    else:
        expected = numerical_gradient(*make(np.float64), "central")
    calls = calls or [{name: np.full(array.shape, np.nan) for name, array in expected.items()}]
    result = _result(calls, expected, threshold, method, steps_of)
    if fault is not None:
        result.faults.append(fault)
    if differentiated is not None:
        errors = {name: found.error for name, found in result.arrays.items()}
        not_analytic, central = check_method(calls, errors, threshold, differentiated)
    result.central_values = central
    if not_analytic and differentiated is not None:
        result.not_analytic, result.reasons = not_analytic, differentiated.reasons()
        result.central = _result(calls, central, THRESHOLD["central"], "central", steps_of)
        result.central.faults = list(result.faults)
    return result, expected


def _result(
    calls: Sequence[Arrays], expected: Arrays, threshold: float, method: str, steps_of: str | None = None
) -> Result:
    """Return the worst errors of the gradients that backward returned, called once or twice."""
    arrays = {
        name: max((compare(name, given[name], expected[name]) for given in calls), key=lambda found: found.error)
        for name in expected
    }
    result = Result(arrays, threshold, method)
    if steps_of is not None:
        given, true = calls[0][steps_of], expected[steps_of]
        result.steps = [compare(f"{steps_of}[{t}]", given[t], true[t], largest(true)) for t in range(len(true))]
    differ = [name for name in expected if not np.array_equal(calls[0][name], calls[-1][name], equal_nan=True)]
    if differ:
        result.faults.append(f"backward called twice gives two different gradients of {', '.join(differ)}")
    return result


def failure(error: Exception) -> str:
    """Return one line about an exception that backward raised: its text, and the line of code that raised it.

    An exception about the contract of ``cells.py`` is a sentence that says everything else.
    """
    here = os.path.dirname(os.path.abspath(__file__)) + os.sep
    of_contract = _frames(error)[-1:] and _frames(error)[-1][0].co_filename == own_parameters.__file__
    cause = error.__cause__ if of_contract else error
    frames = [frame for frame in _frames(cause) if not frame[0].co_filename.startswith(here)]
    frames = [frame for frame in frames if frame[0].co_filename != own_parameters.__file__]
    text = str(error) if of_contract else f"backward raises {type(error).__name__}"
    if cause is None or not frames:
        return text if of_contract else f"{text}: {error}"
    code, line = frames[-1]
    if of_contract:
        return f"{text}, {places.line_of(code, line)}"
    names = tracing.stored_on_line(code, line)
    computing = f" when it computes {', '.join(dict.fromkeys(names))}" if names else ""
    return f"{text}{computing}, {places.line_of(code, line)} ({error})"


def _frames(error: BaseException | None) -> list[tuple[CodeType, int]]:
    """Return the functions that an exception went through, other than those of packages, and their lines."""
    frames = traceback.walk_tb(error.__traceback__) if error is not None else ()
    codes = [(frame.f_code, line) for frame, line in frames]
    return [(code, line) for code, line in codes if not tracing.is_package_code(code.co_filename)]


# ---- what the loss does not depend on ----


def unused_arrays(make: Make, result: Result, expected: Arrays, rng: np.random.Generator) -> list[str]:
    """Return a fault for each array whose gradient is zero everywhere because the loss does not depend on it.

    The array is changed by numbers of the order of 1: at a stationary point the gradient is zero but the loss moves.
    """
    f, arrays = make(np.float64)
    lines = []
    for name, array in arrays.items():
        if array.size == 0 or result.arrays[name].error or largest(expected[name]):
            continue
        before, value = array.copy(), f()
        array[...] = before + rng.standard_normal(array.shape)
        moved = f()
        array[...] = before
        if moved == value:
            lines.append(f"the loss does not depend on {name}: its gradient is zero everywhere")
    return lines


def unread_by_forward(
    cell: Any, forward: Callable[..., Any], arrays: Mapping[str, np.ndarray], rng: np.random.Generator
) -> tuple[list[str], list[str]]:
    """Find what a cell's forward does not read, by changing it at random points.

    Args:
        cell: a class with the contract of ``cells.py``.
        forward: ``forward(arrays) -> new state``.
        arrays: ``a_x``, ``a_h``, the arrays of the state and the cell's own parameters.

    Returns:
        Faults (nothing of a_x or a_h, an array of the state, or a parameter is read) and notes (a gate block of a_x or
        a_h is not read).
    """
    G = len(cell.gates)
    blocks = {name: np.split(np.arange(len(arrays[name])), G) for name in ("a_x", "a_h")}
    read: set[tuple[str, int]] = set()
    for _ in range(20):  # a rectifier may be shut, and stay shut, at some of them
        if len(read) == sum(len(blocks.get(name, [0])) for name in arrays):
            break
        point = {name: np.array(array + rng.standard_normal(array.shape)) for name, array in arrays.items()}
        value = forward(point)
        for name, array in point.items():
            parts: list[Any] = blocks.get(name, [...])
            for k, rows in enumerate(parts):
                changed = array.copy()
                changed[rows] += 2 * rng.standard_normal(changed[rows].shape)
                moved = forward({**point, name: changed})
                if any(not np.array_equal(a, b) for a, b in zip(value, moved)):
                    read.add((name, k))
    faults, notes = [], []
    for name in arrays:
        unread = [k for k in range(len(blocks.get(name, [0]))) if (name, k) not in read]
        if name == f"{cell.state[0]}_prev" and any(name == "a_h" for name, _ in read):
            continue  # h is read through W_h
        if len(unread) == len(blocks.get(name, [0])):
            faults.append(f"forward does not read {name}, so every gradient that goes through it is zero")
        elif unread:
            gates = ", ".join(cell.gates[k] for k in unread)
            notes.append(f"forward does not read gate {gates} of {name}: those rows have no effect")
    return faults, notes


def set_places(found: Mapping[str, ArrayError], shapes: Mapping[str, tuple[Any, ...]], gates: str, units: int) -> None:
    """Set ``place`` of the errors of arrays with one column per sequence."""
    for name, error in found.items():
        error.place = places.of_column(error.where, shapes[name], gates, units)
